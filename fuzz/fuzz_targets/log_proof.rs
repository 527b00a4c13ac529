//! Proofs made of any hashes for any sizes: refused without panic, unless they really lead to the root.
#![no_main]
use libfuzzer_sys::fuzz_target;
use log::proof::{self, Head};
use log::tree::Hash;

fuzz_target!(|input: (u64, u64, Vec<[u8; 32]>, [u8; 32], [u8; 32])| {
    let (index, size, path, leaf, root) = input;
    let path: Vec<Hash> = path.into_iter().map(Hash::from_bytes).collect();
    let (leaf, root) = (Hash::from_bytes(leaf), Hash::from_bytes(root));
    if proof::verify_inclusion(&leaf, index, size, &path, &root).is_ok() {
        assert!(index < size && (size > 1) != path.is_empty());
        assert!(size > 1 || leaf == root);
    }
    let (old, new) = (Head { size: index, root: leaf }, Head { size, root });
    if proof::verify_consistency(&old, &new, &path).is_ok() {
        assert!(index <= size);
        assert!(index != size || leaf == root);
    }
});
