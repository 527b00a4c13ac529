//! Proofs made of any hashes for any sizes: refused without panic, unless they really lead to the root.
//!
//! An input is two numbers, two hashes, a path: index, size, leaf and root, or two sizes and their roots.
#![no_main]
use libfuzzer_sys::fuzz_target;
use log::proof::{self, Head};
use log::tree::Hash;

fuzz_target!(|data: &[u8]| {
    let Some((numbers, rest)) = data.split_first_chunk::<16>() else { return };
    let Some((ends, rest)) = rest.split_first_chunk::<64>() else { return };
    let number = |at: usize| u64::from_le_bytes(numbers[at..at + 8].try_into().expect("8 bytes"));
    let (index, size) = (number(0), number(8));
    let hash = |bytes: &[u8]| Hash::from_bytes(bytes.try_into().expect("32 bytes"));
    let (leaf, root) = (hash(&ends[..32]), hash(&ends[32..]));
    let path: Vec<Hash> = rest.chunks_exact(32).map(hash).collect();
    let included = |path: &[Hash]| proof::verify_inclusion(&leaf, index, size, path, &root).is_ok();
    if included(&path) {
        assert!(index < size && (size > 1) != path.is_empty());
        assert!(size > 1 || leaf == root);
        others(&path).for_each(|other| assert!(!included(&other)));
    }
    let (old, new) = (Head { size: index, root: leaf }, Head { size, root });
    let consistent = |path: &[Hash]| proof::verify_consistency(&old, &new, path).is_ok();
    if consistent(&path) {
        assert!(index <= size);
        assert!(index != size || leaf == root);
        others(&path).for_each(|other| assert!(!consistent(&other)));
    }
});

/// The path with each hash altered, without its last, with one more.
fn others(path: &[Hash]) -> impl Iterator<Item = Vec<Hash>> {
    let altered = (0..path.len()).map(|at| {
        let mut other = path.to_vec();
        let mut bytes = *other[at].as_bytes();
        bytes[at % 32] ^= 1;
        other[at] = Hash::from_bytes(bytes);
        other
    });
    let shorter = path.split_last().map(|(_, rest)| rest.to_vec());
    altered.chain(shorter).chain([[path, &[Hash::from_bytes([7; 32])]].concat()])
}
