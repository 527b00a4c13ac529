//! Full verification and its negative controls.

use std::sync::atomic::{AtomicU64, Ordering};

use log::proof::Head;
use log::source::MemoryTiles;
use log::verify::{self, Failure, Options, Report};
use proptest::prelude::*;

use crate::support::{entries, entry, keys, log_in_batches, log_of, sign};

fn run(tiles: &MemoryTiles, older: &[Head]) -> Report {
    verify::run(tiles, &Options { keys: keys(), older, threads: 2 }, None)
}

/// A log of three levels is 65,537 entries long: made once.
fn large() -> &'static (MemoryTiles, Head) {
    static LARGE: std::sync::OnceLock<(MemoryTiles, Head)> = std::sync::OnceLock::new();
    LARGE.get_or_init(|| log_of(66_000))
}

#[test]
fn logs_of_all_shapes_verify() {
    for size in [0, 1, 2, 255, 256, 257, 511, 512, 513, 5000] {
        let (tiles, head) = log_in_batches(size, &[1, 300, 7]);
        let (_, older) = log_of(size / 2);
        let report = run(&tiles, &[older, head]);
        assert!(report.is_ok(), "{size}: {:?}", report.failures);
        assert_eq!((report.entries, report.older), (size, 2));
        assert_eq!(report.checkpoint.unwrap().head(), head);
    }
    let (tiles, _) = large();
    let report = run(tiles, &[]);
    assert!(report.is_ok(), "{:?}", report.failures);
    // 258 tiles at level 0, two at level 1, one at level 2.
    assert_eq!((report.entries, report.tiles), (66_000, 258 + 2 + 1));
}

#[test]
fn one_flipped_bit_anywhere_is_found_and_named() {
    let (good, _) = large();
    for (path, at) in [
        ("tile/0/000", 0),
        ("tile/0/100", 8191),
        ("tile/entries/000", 2),
        ("tile/entries/200", 700),
        ("tile/1/000", 33),
        ("tile/entries/257.p/208", 5),
    ] {
        let mut tiles = good.clone();
        tiles.0.get_mut(path).unwrap()[at] ^= 0x04;
        let report = run(&tiles, &[]);
        assert_eq!(report.failures.first().and_then(Failure::path), Some(path), "{:?}", report.failures.first());
    }
    for path in ["tile/0/257.p/208", "tile/1/001.p/1", "tile/2/000.p/1"] {
        let mut tiles = good.clone();
        tiles.0.get_mut(path).unwrap()[17] ^= 0x80;
        assert_eq!(run(&tiles, &[]).failures.first(), Some(&Failure::Root { size: 66_000 }), "{path}");
    }
}

#[test]
fn a_missing_cut_or_extended_file_is_found_and_named() {
    let (good, _) = log_of(700);
    for path in good.0.keys() {
        for change in ["missing", "cut", "extended"] {
            let mut tiles = good.clone();
            match change {
                "missing" => drop(tiles.0.remove(path)),
                "cut" => drop(tiles.0.get_mut(path).unwrap().pop()),
                _ => tiles.0.get_mut(path).unwrap().push(0),
            }
            let report = run(&tiles, &[]);
            assert!(report.failures.iter().any(|f| f.path() == Some(path)), "{path} {change}: {:?}", report.failures);
        }
    }
}

#[test]
fn swapped_bundles_and_tiles_are_found() {
    let (good, _) = log_of(700);
    for (a, b) in [("tile/entries/000", "tile/entries/001"), ("tile/0/000", "tile/0/001")] {
        let mut tiles = good.clone();
        let (first, second) = (good.0[a].clone(), good.0[b].clone());
        tiles.0.extend([(a.to_owned(), second), (b.to_owned(), first)]);
        assert!(!run(&tiles, &[]).is_ok(), "{a}");
    }
}

#[test]
fn an_entry_replaced_with_all_its_tiles_does_not_give_the_signed_root() {
    let (good, head) = log_of(700);
    let forged = log::edge::Edge::default()
        .extend((0..700).map(|n| if n == 300 { b"forged".to_vec() } else { entry(n) }))
        .unwrap();
    let mut tiles = good.clone();
    tiles.insert_all(forged.files);
    assert_eq!(run(&tiles, &[]).failures.first(), Some(&Failure::Root { size: 700 }));
    // Even signed with the real keys it is a fork of what was seen before.
    sign(&mut tiles, &Head { size: 700, root: forged.edge.root() });
    assert!(run(&tiles, &[]).is_ok());
    assert_eq!(run(&tiles, &[head]).failures, [Failure::Fork { known: 700 }]);
    let (_, older) = log_of(400);
    assert_eq!(run(&tiles, &[older]).failures, [Failure::Fork { known: 400 }]);
    let (_, before) = log_of(300);
    assert!(run(&tiles, &[before]).is_ok());
}

#[test]
fn a_log_behind_what_is_known_was_rolled_back() {
    let (_, head) = log_of(700);
    let (older, _) = log_of(699);
    assert_eq!(run(&older, &[head]).failures, [Failure::Behind { size: 699, known: 700 }]);
    let (empty, _) = log_of(0);
    assert_eq!(run(&empty, &[head]).failures, [Failure::Behind { size: 0, known: 700 }]);
}

#[test]
fn without_a_checkpoint_that_both_keys_signed_nothing_is_verified() {
    let (good, _) = log_of(10);
    let mut tiles = good.clone();
    tiles.0.remove("checkpoint");
    assert!(matches!(run(&tiles, &[]).failures[..], [Failure::NoCheckpoint(_)]));
    let mut tiles = good;
    let checkpoint = tiles.0.get_mut("checkpoint").unwrap();
    let last = checkpoint.len() - 10;
    checkpoint[last] ^= 1;
    assert!(matches!(run(&tiles, &[]).failures[..], [Failure::Checkpoint(_)]));
}

#[test]
fn the_visitor_sees_every_entry_once_and_can_refuse_it() {
    let (tiles, _) = log_of(1000);
    let sum = AtomicU64::new(0);
    let visit = |index: u64, bytes: &[u8]| {
        assert_eq!(bytes, entry(index));
        sum.fetch_add(index + 1, Ordering::Relaxed);
        if index == 900 { Err("not wanted".to_owned()) } else { Ok(()) }
    };
    let report = verify::run(&tiles, &Options { keys: keys(), older: &[], threads: 2 }, Some(&visit));
    assert_eq!(report.failures, [Failure::Content { index: 900, what: "not wanted".to_owned() }]);
    assert_eq!(sum.into_inner(), 1000 * 1001 / 2);
}

#[test]
fn the_list_of_failures_is_bounded() {
    let (good, _) = log_of(2000);
    let other: Vec<_> = entries(5000..7000).collect();
    let wrong = log::edge::Edge::default().extend(other).unwrap();
    let mut tiles = good;
    tiles.insert_all(wrong.files.into_iter().filter(|(tile, _)| tile.level == log::tile::Level::Entries));
    assert_eq!(run(&tiles, &[]).failures.len(), verify::MAX_FAILURES);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_flipped_bit_in_any_file_is_found(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        static LOG: std::sync::OnceLock<MemoryTiles> = std::sync::OnceLock::new();
        let mut tiles = LOG.get_or_init(|| log_of(777).0).clone();
        let path = which.get(&tiles.0.keys().cloned().collect::<Vec<_>>()).clone();
        let bytes = tiles.0.get_mut(&path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(!run(&tiles, &[]).is_ok(), "{} at {}", path, at);
    }
}
