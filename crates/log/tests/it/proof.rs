//! Inclusion and consistency proofs against RFC 6962, word by word.

use log::proof::{self, Head, ProofError};
use log::source::HashReader;
use log::tree::Hash;

use crate::support::{Naive, log_of};

const MAX: u64 = 300;

fn flip(hash: &Hash) -> Hash {
    let mut bytes = *hash.as_bytes();
    bytes[7] ^= 0x10;
    Hash::from_bytes(bytes)
}

#[test]
fn inclusion_proofs_of_every_entry_of_every_size_are_those_of_rfc_6962() {
    let mut naive = Naive::new(MAX);
    for size in 1..=MAX {
        let (tiles, head) = log_of(size);
        let end = usize::try_from(size).unwrap();
        assert_eq!(head.root, naive.mth(0, end), "root of {size}");
        let mut reader = HashReader::new(&tiles, size);
        for index in 0..size {
            let m = usize::try_from(index).unwrap();
            let path = proof::inclusion(&mut reader, index).unwrap();
            assert_eq!(path, naive.path(m, 0, end), "{index} of {size}");
            proof::verify_inclusion(&naive.leaf(m), index, size, &path, &head.root).unwrap();
        }
    }
}

#[test]
fn inclusion_proofs_hold_only_for_what_they_prove() {
    let naive = Naive::new(MAX);
    for size in [1, 2, 3, 7, 8, 100, 255, 256, 257, 300] {
        let (tiles, head) = log_of(size);
        let mut reader = HashReader::new(&tiles, size);
        for index in (0..size).step_by(1 + usize::try_from(size / 40).unwrap()) {
            let leaf = naive.leaf(usize::try_from(index).unwrap());
            let path = proof::inclusion(&mut reader, index).unwrap();
            let check = |leaf: &Hash, index, size, path: &[Hash], root: &Hash| {
                proof::verify_inclusion(leaf, index, size, path, root).is_ok()
            };
            assert!(check(&leaf, index, size, &path, &head.root));
            assert!(!check(&flip(&leaf), index, size, &path, &head.root));
            assert!(!check(&leaf, index, size, &path, &flip(&head.root)));
            for other in 0..size {
                assert!(other == index || !check(&leaf, other, size, &path, &head.root), "{index} as {other}");
            }
            for at in 0..path.len() {
                let mut wrong = path.clone();
                wrong[at] = flip(&path[at]);
                assert!(!check(&leaf, index, size, &wrong, &head.root));
                wrong.remove(at);
                assert!(!check(&leaf, index, size, &wrong, &head.root));
            }
            let mut longer = path.clone();
            longer.push(head.root);
            assert!(!check(&leaf, index, size, &longer, &head.root));
        }
        assert_eq!(proof::inclusion(&mut reader, size), Err(ProofError::Index { index: size, size }));
    }
}

#[test]
fn consistency_proofs_between_all_sizes_are_those_of_rfc_6962() {
    let mut naive = Naive::new(MAX);
    for new in 1..=MAX {
        let (tiles, head) = log_of(new);
        let mut reader = HashReader::new(&tiles, new);
        for old in 0..=new {
            let m = usize::try_from(old).unwrap();
            let proof = proof::consistency(&mut reader, old).unwrap();
            let expected =
                if old == 0 { Vec::new() } else { naive.subproof(m, 0, usize::try_from(new).unwrap(), true) };
            assert_eq!(proof, expected, "{old} to {new}");
            let older = Head { size: old, root: naive.mth(0, m) };
            proof::verify_consistency(&older, &head, &proof).unwrap();
        }
    }
}

#[test]
fn consistency_proofs_hold_only_for_what_they_prove() {
    let mut naive = Naive::new(MAX);
    for (old, new) in [(1, 2), (1, 300), (2, 3), (4, 7), (6, 8), (128, 300), (255, 256), (256, 300), (257, 299)] {
        let (tiles, head) = log_of(new);
        let proof = proof::consistency(&mut HashReader::new(&tiles, new), old).unwrap();
        let older = Head { size: old, root: naive.mth(0, usize::try_from(old).unwrap()) };
        let check = |old: &Head, new: &Head, proof: &[Hash]| proof::verify_consistency(old, new, proof).is_ok();
        assert!(check(&older, &head, &proof));
        assert!(!check(&Head { root: flip(&older.root), ..older }, &head, &proof));
        assert!(!check(&older, &Head { root: flip(&head.root), ..head }, &proof));
        assert!(!check(&Head { size: old - 1, ..older }, &head, &proof));
        assert!(!check(&head, &older, &proof), "backwards");
        for at in 0..proof.len() {
            let mut wrong = proof.clone();
            wrong[at] = flip(&proof[at]);
            assert!(!check(&older, &head, &wrong), "{old} to {new}, hash {at}");
            wrong.remove(at);
            assert!(!check(&older, &head, &wrong), "{old} to {new}, without {at}");
        }
        let mut longer = proof.clone();
        longer.push(head.root);
        assert!(!check(&older, &head, &longer));
    }
    let (_, head) = log_of(5);
    assert!(proof::verify_consistency(&head, &head, &[]).is_ok());
    assert!(proof::verify_consistency(&head, &head, &[head.root]).is_err());
    assert!(proof::verify_consistency(&Head { root: flip(&head.root), ..head }, &head, &[]).is_err());
    let not_empty = Head { size: 0, root: head.root };
    assert!(proof::verify_consistency(&not_empty, &head, &[]).is_err());
}
