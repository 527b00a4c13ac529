//! Tree digests: vectors and properties.

use proptest::prelude::*;
use seal::Suite;
use seal::tree::{Digest, GROUP_LEN, Stream, digest, group_count, leaf, leaves, node, root};
use serde::Deserialize;

use crate::suites;
use crate::vectors::{Pattern, array};

#[derive(Deserialize)]
struct Vectors {
    streams: Vec<StreamCase>,
    roots: Vec<RootCase>,
    rejected: Vec<Rejected>,
}

#[derive(Deserialize)]
struct StreamCase {
    suite: u16,
    #[serde(flatten)]
    data: Pattern,
    digest: String,
}

#[derive(Deserialize)]
struct RootCase {
    suite: u16,
    leaves: u32,
    root: String,
}

#[derive(Deserialize)]
struct Rejected {
    name: String,
    suite: u16,
    leaves: Option<u32>,
    #[serde(flatten)]
    data: Option<Pattern>,
    root: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../../vectors/tree.json")).unwrap()
}

fn of(number: u16) -> Suite {
    Suite::from_number(number).unwrap()
}

/// Leaf i of the vectors is SHA-256 of i as four bytes, big endian.
fn numbered(count: u32) -> Vec<Digest> {
    let sha256 = |i: u32| aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &i.to_be_bytes());
    (0..count).map(|i| Digest::from_bytes(sha256(i).as_ref().try_into().unwrap())).collect()
}

#[test]
fn vectors_match() {
    let Vectors { streams, roots, .. } = vectors();
    assert!(streams.len() >= 14 && roots.len() >= 30);
    for case in streams {
        assert_eq!(
            digest(of(case.suite), &case.data.bytes()),
            Digest::from(array(&case.digest)),
            "{} bytes",
            case.data.len
        );
    }
    for case in roots {
        assert_eq!(
            root(of(case.suite), &numbered(case.leaves)),
            Digest::from(array(&case.root)),
            "{} leaves",
            case.leaves
        );
    }
}

#[test]
fn rejected_vectors_do_not_match() {
    let Vectors { streams, roots, rejected } = vectors();
    assert!(rejected.len() >= 3 * (streams.len() + roots.len()));
    for case in rejected {
        let ours = match (case.leaves, case.data) {
            (Some(count), _) => root(of(case.suite), &numbered(count)),
            (None, data) => digest(of(case.suite), &data.unwrap().bytes()),
        };
        assert_ne!(ours, Digest::from(array(&case.root)), "{}", case.name);
    }
}

/// RFC 6962, section 2.1, as it is written there.
fn by_definition(suite: Suite, leaves: &[Digest]) -> Digest {
    if leaves.len() == 1 {
        return leaves[0];
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    node(suite, &by_definition(suite, left), &by_definition(suite, right))
}

#[test]
fn roots_have_the_shape_of_rfc_6962() {
    for suite in Suite::ALL {
        let leaves = numbered(600);
        for count in 1..=600 {
            assert_eq!(root(suite, &leaves[..count]), by_definition(suite, &leaves[..count]), "{count} leaves");
        }
    }
}

#[test]
fn the_suites_share_no_digest() {
    let [a, b] = Suite::ALL;
    let (one, two) = (Digest::from_bytes([1; 32]), Digest::from_bytes([2; 32]));
    for data in [&[][..], &[7], &[7; GROUP_LEN], &[7; GROUP_LEN + 1]] {
        assert_ne!(digest(a, data), digest(b, data), "{} bytes", data.len());
    }
    assert_ne!(node(a, &one, &two), node(b, &one, &two));
    // RFC 6962 as it stands: a leaf is no node over the same bytes, and the root of nothing is SHA-256 of nothing.
    let both = [[1; 32], [2; 32]].concat();
    assert_ne!(leaf(Suite::Nist, &both), node(Suite::Nist, &one, &two));
    let sha256 = |bytes: &[u8]| hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes));
    assert_eq!(root(Suite::Nist, &[]).to_string(), sha256(&[]));
    assert_eq!(leaf(Suite::Nist, b"x").to_string(), sha256(b"\0x"));
    assert_eq!(node(Suite::Nist, &one, &two).to_string(), sha256(&[&[1], both.as_slice()].concat()));
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
    fn pieces_of_any_size_give_one_digest(suite in suites(), len in 0..300_000usize, pieces in prop::collection::vec(1..100_000usize, 1..6)) {
        let data = Pattern { len: len as u64, seed: 1 }.bytes();
        let mut stream = Stream::new(suite);
        let mut rest = data.as_slice();
        for piece in pieces.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at(rest.len().min(*piece));
            stream.update(now);
            rest = later;
        }
        prop_assert_eq!(stream.finish(), digest(suite, &data));
        prop_assert_eq!(leaves(suite, &data).len() as u64, group_count(len as u64));
    }

    #[test]
    fn a_flipped_bit_changes_the_leaf(suite in suites(), len in 1..=GROUP_LEN, at: prop::sample::Index, bit in 0..8u8) {
        let mut data = vec![0; len];
        let before = leaf(suite, &data);
        data[at.index(len)] ^= 1 << bit;
        prop_assert_ne!(before, leaf(suite, &data));
    }
}
