//! Lengths from a record: accepted only if they fit, and then every place lies inside the stored segment.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seal::Suite;
use seal::segment::{Outboard, SegmentInfo};
use seal::tree::Digest;

fuzz_target!(|data: (u64, u64, u64, u64, Vec<u8>)| {
    let (plaintext, stored, a, b, bytes) = data;
    if let Ok(info) = SegmentInfo::new(Suite::Nist, plaintext, stored, Digest::default()) {
        assert_eq!((info.plaintext_len(), info.stored_len()), (plaintext, stored));
    }
    let plaintext = plaintext % ((1 << 30) + 1);
    let stored = match SegmentInfo::new(Suite::Nist, plaintext, 0, Digest::default()) {
        Err(seal::segment::BadInfo::StoredLen { expected, .. }) => expected,
        other => panic!("{other:?}"),
    };
    let info = SegmentInfo::new(Suite::Nist, plaintext, stored, Digest::default()).expect("the only length");
    let groups = info.groups_of(&(a.min(b)..a.max(b)));
    assert!(groups.end <= info.group_count() && info.groups_range(&groups).end <= info.sealed_len());
    for range in [
        info.header_range(),
        info.tops_range(),
        info.tail_range(),
        info.block_range(a),
        info.groups_range(&(a.min(b)..a.max(b))),
    ] {
        assert!(range.start <= range.end && range.end <= stored);
    }
    assert!(info.group_at(a).is_none_or(|group| group < info.group_count()));
    for suite in Suite::ALL {
        let info = SegmentInfo::new(suite, plaintext, stored, Digest::default()).expect("the only length");
        assert!(Outboard::from_tops(info, &bytes).is_err());
        assert!(Outboard::whole(info, &bytes).is_err());
    }
});
