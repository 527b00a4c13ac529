//! Version records and the version object.

use proptest::prelude::*;
use seal::record::{Error, Manifest, Pack, Segment, VersionRecord, digest_of};
use seal::{Fault, Suite, object};

use crate::case::cases;

fn stored_len(plaintext: u64) -> u64 {
    let groups = plaintext / 65_536 + 1;
    56 + plaintext + (plaintext / 16_384 + 1) * 16 + 32 * (groups + groups.div_ceil(256))
}

pub fn sample() -> VersionRecord {
    let segment = |n: u8, plaintext_len| Segment {
        object: [n; 16],
        plaintext_len,
        stored_len: stored_len(plaintext_len),
        digest: [n; 32],
    };
    let manifest = |offset, plaintext_len| Manifest {
        offset,
        plaintext_len,
        stored_len: stored_len(plaintext_len),
        digest: [9; 32],
    };
    VersionRecord {
        suite: Suite::Default,
        vault: [1; 16],
        artifact: [2; 16],
        version: [3; 16],
        previous: Some([4; 16]),
        class: 2,
        environment: Some(1),
        packs: vec![
            Pack { id: [5; 16], owner: [4; 16], segments: vec![segment(10, 1 << 30), segment(11, 70_000)] },
            Pack { id: [6; 16], owner: [3; 16], segments: vec![segment(12, 1)] },
        ],
        object: [7; 16],
        list: manifest(0, 500),
        map: manifest(stored_len(500), 65_536),
    }
}

#[test]
fn vectors() {
    for case in cases(include_str!("../../../../vectors/record.json"), 60) {
        let bytes = case.bytes("record");
        let decoded = VersionRecord::decode(&bytes);
        let told = case.has("digest").then(|| case.array::<32>("digest"));
        let holds = decoded.as_ref().is_ok_and(|record| told.is_none_or(|told| record.digest() == Ok(told)));
        assert_eq!(holds, case.ok(), "{}: {decoded:?}", case.name());
        if let Ok(record) = decoded {
            assert_eq!(record.encode().unwrap(), bytes);
            assert!(!case.ok() || record.suite.number() == case.suite(), "{}", case.name());
        }
    }
}

#[test]
fn a_record_comes_back() {
    let record = sample();
    let bytes = record.encode().unwrap();
    assert_eq!(VersionRecord::decode(&bytes).unwrap(), record);
    assert_eq!(record.digest().unwrap(), digest_of(&bytes));
}

#[test]
fn a_flipped_byte_is_an_error_or_another_digest() {
    let bytes = sample().encode().unwrap();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        if let Ok(other) = VersionRecord::decode(&flipped) {
            assert_ne!(other.digest().unwrap(), digest_of(&bytes), "byte {at}");
        }
    }
}

#[test]
fn what_cannot_be_read_is_not_written() {
    let mut record = sample();
    record.packs[0].segments[0].stored_len += 1;
    let error = record.encode().unwrap_err();
    assert_eq!(error.to_string(), "malformed: record: stored length of a segment");
    assert_eq!(error.fault(), Fault::Hostile);
    assert_eq!(VersionRecord::decode(&vec![0; 9 << 20]), Err(Error::TooLong));
}

#[test]
fn the_largest_record_fits() {
    let mut record = sample();
    let mut number = 0u128;
    let mut fresh = || {
        number += 1;
        (1u128 << 100 | number).to_be_bytes()
    };
    record.packs = (0..4_096)
        .map(|_| {
            let len = 1 << 30;
            let mut segment =
                || Segment { object: fresh(), plaintext_len: len, stored_len: stored_len(len), digest: [1; 32] };
            let segments = (0..16).map(|_| segment()).collect();
            Pack { id: fresh(), owner: [8; 16], segments }
        })
        .collect();
    let bytes = record.encode().unwrap();
    assert_eq!(VersionRecord::decode(&bytes).unwrap(), record);
    let one = record.packs[0].segments[0];
    record.packs[0].segments.push(Segment { object: [0xaa; 16], ..one });
    assert!(record.encode().is_err());
}

#[test]
fn the_trailer_finds_the_record() {
    let record = sample().encode().unwrap();
    let mut bytes = vec![0; 1_000];
    object::append(&record, &mut bytes).unwrap();
    let (_, trailer) = bytes.split_last_chunk().unwrap();
    let range = object::record_range(bytes.len() as u64, trailer).unwrap();
    assert_eq!(&bytes[range.start as usize..range.end as usize], record);
    assert!(object::record_range(record.len() as u64 + 7, trailer).is_err());
    assert!(object::record_range(7, trailer).is_err());
    assert!(object::record_range(u64::MAX, b"SRV1\xff\xff\xff\xff").is_err());
    assert!(object::record_range(1_000, b"SRV2\0\0\0\x01").is_err());
}

proptest! {
    #[test]
    fn any_bytes_decode_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(record) = VersionRecord::decode(&bytes) {
            prop_assert_eq!(record.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn an_edited_record_decodes_or_fails(at in 0usize..400, value: u8, cut in 0usize..20) {
        let mut bytes = sample().encode().unwrap();
        let at = at % bytes.len();
        bytes[at] = value;
        bytes.truncate(bytes.len() - cut);
        if let Ok(record) = VersionRecord::decode(&bytes) {
            prop_assert_eq!(record.encode().unwrap(), bytes);
        }
    }
}
