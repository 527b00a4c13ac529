//! Appending.

use log::edge::{Edge, EdgeError};
use log::source::{self, MemoryTiles, SourceError};
use log::tile::{Tile, TileError, WIDTH};
use log::tree::{self, Hash};
use proptest::prelude::*;

use crate::support::{Naive, entries, log_in_batches, log_of};

/// The edge with its bundle.
fn load(tiles: &MemoryTiles, size: u64, root: &Hash) -> Result<Edge, EdgeError> {
    let edge = Edge::load(tiles, size, root)?;
    match Tile::bundle(size / WIDTH, size) {
        Some(partial) => edge.holding(source::bundle(tiles, &partial)?),
        None => Ok(edge),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn batches_of_any_size_give_the_same_tree(size in 1_u64..1500, batches in prop::collection::vec(1_u64..400, 1..6)) {
        let (one, head) = log_of(size);
        let (many, same) = log_in_batches(size, &batches);
        prop_assert_eq!(&head, &same);
        prop_assert_eq!(head.root, Naive::new(size).mth(0, usize::try_from(size).unwrap()));
        // Every file of the log written at once is in the one written in pieces; that has older partial ones as well.
        for (path, bytes) in one.0.iter().filter(|(path, _)| *path != "checkpoint") {
            prop_assert_eq!(many.0.get(path), Some(bytes), "{}", path);
        }
        prop_assert_eq!(load(&many, size, &head.root), load(&one, size, &head.root));
    }

    #[test]
    fn a_loaded_edge_continues_where_it_stopped(first in 0_u64..700, second in 1_u64..700) {
        let (mut tiles, head) = log_of(first);
        let edge = load(&tiles, first, &head.root).unwrap();
        let extension = edge.extend(entries(first..first + second)).unwrap();
        tiles.insert_all(extension.files);
        let (_, whole) = log_of(first + second);
        prop_assert_eq!(extension.edge.root(), whole.root);
        prop_assert!(load(&tiles, first + second, &whole.root).is_ok());
        // Without its bundle an edge takes what does not fill it, to the same tree.
        let bare = Edge::load(&log_of(first).0, first, &head.root).unwrap();
        let more = bare.extend(entries(first..first + second));
        prop_assert_eq!(bare.wants_bundle(usize::try_from(second).unwrap()), more.is_err());
        match more {
            Ok(more) => {
                prop_assert_eq!(more.edge.root(), whole.root);
                prop_assert_eq!(more.leaves, extension.leaves);
            }
            Err(error) => prop_assert_eq!(error, EdgeError::Bundle),
        }
    }
}

#[test]
fn an_empty_batch_writes_nothing() {
    let (tiles, head) = log_of(300);
    let edge = load(&tiles, 300, &head.root).unwrap();
    let extension = edge.extend(std::iter::empty::<Vec<u8>>()).unwrap();
    assert_eq!((extension.edge, extension.files.len()), (edge, 0));
    assert_eq!(Edge::default().root(), tree::empty_root());
}

#[test]
fn a_batch_with_one_bad_entry_changes_nothing() {
    let edge = Edge::default();
    let error = edge.extend([b"good".to_vec(), vec![0; 65_536]]).unwrap_err();
    assert_eq!(error, EdgeError::Tile(TileError::EntryLength { len: 65_536 }));
    assert_eq!(edge.size(), 0);
}

#[test]
fn a_missing_partial_tile_is_cut_from_the_full_one() {
    let (tiles, head) = log_of(300);
    let (mut later, _) = log_of(WIDTH * 3);
    later.0.retain(|path, _| !path.contains(".p/") || path.starts_with("tile/1/"));
    for (path, bytes) in &tiles.0 {
        if path.starts_with("tile/1/") {
            later.0.insert(path.clone(), bytes.clone());
        }
    }
    assert_eq!(load(&later, 300, &head.root), load(&tiles, 300, &head.root));
}

#[test]
fn an_edge_with_anything_wrong_is_not_loaded() {
    let (tiles, head) = log_of(600);
    let with = |path: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut tiles = tiles.clone();
        change(tiles.0.get_mut(path).unwrap());
        load(&tiles, 600, &head.root).unwrap_err()
    };
    assert_eq!(with("tile/0/002.p/88", &|bytes| bytes[0] ^= 1), EdgeError::Root { size: 600 });
    assert_eq!(with("tile/1/000.p/2", &|bytes| bytes[40] ^= 1), EdgeError::Root { size: 600 });
    assert_eq!(with("tile/entries/002.p/88", &|bytes| bytes[2] ^= 1), EdgeError::Leaf { index: 512 });
    assert!(matches!(with("tile/0/002.p/88", &|b| b.truncate(31)), EdgeError::Source(SourceError::Malformed { .. })));
    let short = Edge::load(&tiles, 600, &head.root).unwrap();
    assert!(matches!(short.holding(vec![0, 1, 7]), Err(EdgeError::Tile(_))));
    assert!(matches!(with("tile/entries/002.p/88", &|b| b.push(0)), EdgeError::Source(SourceError::Malformed { .. })));
    let mut without = tiles.clone();
    without.0.remove("tile/1/000.p/2");
    assert!(matches!(load(&without, 600, &head.root), Err(EdgeError::Source(SourceError::Missing { .. }))));
    assert_eq!(load(&tiles, 600, &tree::empty_root()), Err(EdgeError::Root { size: 600 }));
    assert_eq!(load(&MemoryTiles::default(), 0, &head.root), Err(EdgeError::Root { size: 0 }));
}
