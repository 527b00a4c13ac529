//! Tree digests: vectors and properties.

use proptest::prelude::*;
use seal::tree::{Digest, GROUP_LEN, Stream, digest, group_count, leaf, leaves, node, root};
use serde::Deserialize;

use crate::vectors::{Pattern, array};

#[derive(Deserialize)]
struct Vectors {
    streams: Vec<StreamCase>,
    roots: Vec<RootCase>,
    rejected: Vec<Rejected>,
}

#[derive(Deserialize)]
struct StreamCase {
    #[serde(flatten)]
    data: Pattern,
    digest: String,
}

#[derive(Deserialize)]
struct RootCase {
    leaves: u32,
    root: String,
}

#[derive(Deserialize)]
struct Rejected {
    name: String,
    leaves: Option<u32>,
    #[serde(flatten)]
    data: Option<Pattern>,
    root: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../../vectors/tree.json")).unwrap()
}

/// Leaf i of the vectors is SHA-256 of i as four bytes, big endian.
fn numbered(count: u32) -> Vec<Digest> {
    let sha256 = |i: u32| aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &i.to_be_bytes());
    (0..count).map(|i| Digest::from_bytes(sha256(i).as_ref().try_into().unwrap())).collect()
}

#[test]
fn vectors_match() {
    let Vectors { streams, roots, .. } = vectors();
    assert!(streams.len() >= 7 && roots.len() >= 15);
    for case in streams {
        assert_eq!(digest(&case.data.bytes()), Digest::from(array(&case.digest)), "{} bytes", case.data.len);
    }
    for case in roots {
        assert_eq!(root(&numbered(case.leaves)), Digest::from(array(&case.root)), "{} leaves", case.leaves);
    }
}

#[test]
fn rejected_vectors_do_not_match() {
    let Vectors { streams, roots, rejected } = vectors();
    assert!(rejected.len() >= 3 * (streams.len() + roots.len()));
    for case in rejected {
        let ours = match (case.leaves, case.data) {
            (Some(count), _) => root(&numbered(count)),
            (None, data) => digest(&data.unwrap().bytes()),
        };
        assert_ne!(ours, Digest::from(array(&case.root)), "{}", case.name);
    }
}

/// RFC 6962, section 2.1, as it is written there.
fn by_definition(leaves: &[Digest]) -> Digest {
    if leaves.len() == 1 {
        return leaves[0];
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    node(&by_definition(left), &by_definition(right))
}

#[test]
fn roots_have_the_shape_of_rfc_6962() {
    let leaves = numbered(600);
    for count in 1..=600 {
        assert_eq!(root(&leaves[..count]), by_definition(&leaves[..count]), "{count} leaves");
    }
}

#[test]
fn a_digest_prints_as_hex() {
    let digest = Digest::from_bytes([0x0f; 32]);
    assert_eq!(digest.to_string(), "0f".repeat(32));
    assert_eq!(format!("{digest:?}"), format!("Digest({})", "0f".repeat(32)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn pieces_of_any_size_give_one_digest(len in 0..300_000usize, pieces in prop::collection::vec(1..100_000usize, 1..6)) {
        let data = Pattern { len: len as u64, seed: 1 }.bytes();
        let mut stream = Stream::new();
        let mut rest = data.as_slice();
        for piece in pieces.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at(rest.len().min(*piece));
            stream.update(now);
            rest = later;
        }
        prop_assert_eq!(stream.finish(), digest(&data));
        prop_assert_eq!(leaves(&data).len() as u64, group_count(len as u64));
    }

    #[test]
    fn a_flipped_bit_changes_the_leaf(len in 1..=GROUP_LEN, at: prop::sample::Index, bit in 0..8u8) {
        let mut data = vec![0; len];
        let before = leaf(&data);
        data[at.index(len)] ^= 1 << bit;
        prop_assert_ne!(before, leaf(&data));
    }
}
