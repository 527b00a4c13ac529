//! A map sealed by a holder of the key around hostile plaintext: a walk ends, and every extent lies in the record's segments.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seal::Suite;
use seal::chunked::seal_all;
use seal::label::{Label, lp};
use seal::map::{MAX_EXTENTS, MapReader};
use seal::record::{Manifest, Pack, Segment, VersionRecord};
use seal::secret::MapKey;
use seal::tree::{leaf, root};

const GROUP: usize = 4 * 16_400;
/// Lengths of the segments of the two packs.
const SEGMENTS: [&[u64]; 2] = [&[100_000, 50], &[7]];

fuzz_target!(|data: &[u8]| {
    if data.is_empty() || data.len() > 200_000 {
        return;
    }
    Suite::ALL.into_iter().for_each(|suite| walk(suite, data));
});

fn walk(suite: Suite, data: &[u8]) {
    let number = suite.number().to_be_bytes();
    let context = lp(Label::Map, &[&number, &[1; 16], &[3; 16]]).expect("short");
    let mut stored = seal_all(&[6; 32], &context, data).expect("sealed");
    let (first, rest) = stored.split_at(stored.len().min(56 + GROUP));
    let leaves: Vec<_> = std::iter::once(first).chain(rest.chunks(GROUP)).map(|group| leaf(suite, group)).collect();
    let digest = root(suite, &leaves);
    stored.extend_from_slice(digest.as_bytes());
    leaves.iter().for_each(|leaf| stored.extend_from_slice(leaf.as_bytes()));
    let map = Manifest {
        offset: 0,
        plaintext_len: data.len() as u64,
        stored_len: stored.len() as u64,
        digest: *digest.as_bytes(),
    };
    let record = record(suite, map);
    let key = MapKey::from_slice(&[6; 32]).expect("32 bytes");
    let Ok(mut reader) = MapReader::open(&key, &record, stored.as_slice()) else { return };
    assert!(reader.pack_key(1).is_some() && reader.pack_key(2).is_none(), "the packs are the record's");
    let mut next = 0;
    while let Ok(Some((ordinal, entry))) = reader.next_entry() {
        assert_eq!(ordinal, next);
        next += 1;
        assert!(entry.extents.len() <= MAX_EXTENTS && entry.size().is_some());
        for extent in &entry.extents {
            let pieces: Vec<_> = reader.pieces(extent).collect();
            assert_eq!(pieces.iter().map(|piece| piece.len).sum::<u64>(), extent.len);
            for piece in pieces {
                let len = SEGMENTS[piece.pack as usize][piece.segment as usize];
                assert!(piece.len > 0 && piece.offset + piece.len <= len);
            }
        }
    }
    assert!(next <= reader.entries());
    let _ = reader.find(next / 2);
}

fn record(suite: Suite, map: Manifest) -> VersionRecord {
    let pack = |(number, lens): (usize, &[u64])| Pack {
        id: [number as u8; 16],
        owner: [3; 16],
        segments: lens
            .iter()
            .map(|len| Segment { object: [9; 16], plaintext_len: *len, stored_len: 0, digest: [0; 32] })
            .collect(),
    };
    VersionRecord {
        suite,
        vault: [1; 16],
        artifact: [2; 16],
        version: [3; 16],
        previous: None,
        class: 0,
        environment: None,
        packs: SEGMENTS.into_iter().enumerate().map(pack).collect(),
        object: [4; 16],
        list: map,
        map,
    }
}
