//! Whatever is done to a stored segment, a range opens to what was sealed or not at all.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use seal::Suite;
use seal::secret::PackKey;
use seal::segment::{
    Error, Outboard, SegmentContext, SegmentInfo, SegmentOpener, SegmentSealer, block_group_count, sealed_groups_len,
};
use seal::tree::Digest;

const LEN: usize = 140_000;
const CONTEXT: SegmentContext = SegmentContext { vault: [1; 16], pack: [2; 16], index: 3 };

static PLAINTEXT: LazyLock<Vec<u8>> = LazyLock::new(|| (0..LEN).map(|i| i as u8).collect());
/// The same plaintext under each suite.
static STORED: LazyLock<[(Vec<u8>, SegmentInfo); 2]> = LazyLock::new(|| Suite::ALL.map(sealed));

fn sealed(suite: Suite) -> (Vec<u8>, SegmentInfo) {
    let sealer = SegmentSealer::new(suite, &key(), &CONTEXT).expect("entropy");
    let mut stored = vec![0; sealed_groups_len(0, LEN)];
    let mut leaves = vec![Digest::default(); block_group_count(LEN)];
    sealer.seal_groups(0, &PLAINTEXT, &mut stored, &mut leaves).expect("sealed");
    let (tail, info) = sealer.finish(&leaves).expect("finished");
    stored.extend(tail);
    (stored, info)
}

fn key() -> PackKey {
    PackKey::from_slice(&[9; 32]).expect("32 bytes")
}

fuzz_target!(|data: &[u8]| {
    let Some((head, edits)) = data.split_first_chunk::<6>() else { return };
    let number = |bytes: [u8; 3]| u64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0])) % (LEN as u64 + 1);
    let (a, b) = (number([head[0], head[1], head[2]]), number([head[3], head[4], head[5]]));
    let range = a.min(b)..a.max(b);
    for (stored, info) in &*STORED {
        attempt(*info, stored.clone(), edits, range.clone());
    }
});

fn attempt(info: SegmentInfo, mut stored: Vec<u8>, edits: &[u8], range: std::ops::Range<u64>) {
    for edit in edits.chunks_exact(4) {
        let at = u32::from_le_bytes([edit[0], edit[1], edit[2], 0]) as usize % stored.len();
        stored[at] ^= edit[3];
    }
    let mut out = vec![0xee; (range.end - range.start) as usize];
    match open(info, &stored, range.clone(), &mut out) {
        Ok(()) => assert_eq!(out, PLAINTEXT[range.start as usize..range.end as usize]),
        Err(Error::Corrupt(corrupt)) => assert!(corrupt.offset() < info.stored_len()),
        Err(other) => panic!("{other:?}"),
    }
}

fn open(info: SegmentInfo, stored: &[u8], range: std::ops::Range<u64>, out: &mut [u8]) -> Result<(), Error> {
    let part = |range: std::ops::Range<u64>| &stored[range.start as usize..range.end as usize];
    let outboard = Outboard::from_tops(info, part(info.tops_range()))?;
    let opener = SegmentOpener::new(&key(), &CONTEXT, outboard, part(info.header_range()))?;
    let groups = info.groups_of(&range);
    for block in opener.outboard().missing_blocks(&groups) {
        opener.outboard().load_block(block, part(info.block_range(block)))?;
    }
    opener.open_range(range, part(info.groups_range(&groups)), out)
}
