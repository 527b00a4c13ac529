//! The anchor holds a head that was signed, or none: as bytes, and as edits of a real file of two slots.
#![no_main]

use keeper::fuzz::anchor;
use libfuzzer_sys::fuzz_target;
use log::keys::Signers;
use log::tree::{self, Hash};
use std::sync::LazyLock;

const SLOT_LEN: usize = 8192;
/// The older slot, then the newer one; seeds hold heads of up to nine entries.
const SIZES: [u64; 2] = [4, 5];
const NEWEST_SEED: u64 = 9;

static ROOT: LazyLock<Hash> = LazyLock::new(|| tree::leaf(b"x"));
static SIGNERS: LazyLock<Signers> = LazyLock::new(|| {
    Signers::from_seeds(&format!("strongroom/{}/1", "07".repeat(16)), &[1; 32], &[2; 32]).expect("an origin")
});
static NOTES: LazyLock<[Vec<u8>; 2]> =
    LazyLock::new(|| SIZES.map(|size| SIGNERS.sign(size, &ROOT, 1).expect("signed")));
static FILE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let slot = |note: &Vec<u8>| [note.as_slice(), &vec![0; SLOT_LEN - note.len()]].concat();
    NOTES.iter().flat_map(slot).collect()
});

fuzz_target!(|data: &[u8]| {
    if let Some((head, next)) = anchor(data, SIGNERS.keys()) {
        assert!(head.root == *ROOT && (1..=NEWEST_SEED).contains(&head.size), "nobody else signs for this log");
        assert_eq!(next.is_some(), data.len() == 2 * SLOT_LEN);
    }
    let mut file = FILE.clone();
    for edit in data.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % file.len();
        file[at] ^= edit[2];
    }
    // A slot counts with its note and the zero that ends it.
    let whole = |slot: usize| {
        let range = slot * SLOT_LEN..=slot * SLOT_LEN + NOTES[slot].len();
        file[range.clone()] == FILE[range]
    };
    let expected = if whole(1) { Some((SIZES[1], Some(0))) } else { whole(0).then_some((SIZES[0], Some(1))) };
    assert_eq!(anchor(&file, SIGNERS.keys()).map(|(head, next)| (head.size, next)), expected);
});
