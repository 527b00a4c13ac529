//! The whole log at one moment: files, tail, checkpoint; readable like any log in tlog-tiles layout.

use super::error::{Error, Result};
use super::files::{Folder, Overlay};
use super::rows::{self, State};
use crate::datastore::Transaction;
use log::edge::Edge;
use log::proof;
use log::source::{self, HashReader, MemoryTiles, SourceError};
use log::tile::{self, CHECKPOINT_PATH, Level, Tile, WIDTH};
use log::tree::{self, Hash};

/// Levels of the tree that lie within one tile.
const TILE_HEIGHT: usize = 8;

/// The log at one moment.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) state: State,
    pub(super) files: Overlay,
    /// False when an upper partial tile was missing: a pass may have replaced it meanwhile.
    pub(super) whole: bool,
}

impl Snapshot {
    /// Reads it in a transaction, so that state and tail belong together.
    pub(super) fn read(tx: &mut dyn Transaction, folder: &Folder) -> Result<Self> {
        let state = State::read(tx)?;
        let (mut bundle, mut leaves) = (Vec::new(), Vec::new());
        for (leaf, body) in rows::tail(tx, tail_start(state.size), state.size)? {
            tile::push_entry(&mut bundle, &body).map_err(|error| Error::Damaged(error.to_string()))?;
            leaves.push(leaf);
        }
        Self::assemble(folder, state, &leaves, Some(bundle))
    }

    /// The same without the entries of the tail: enough for the tree.
    pub(super) fn read_tree(tx: &mut dyn Transaction, folder: &Folder) -> Result<Self> {
        let state = State::read(tx)?;
        let leaves = rows::leaves(tx, tail_start(state.size), state.size)?;
        Self::assemble(folder, state, &leaves, None)
    }

    fn assemble(folder: &Folder, state: State, leaves: &[Hash], bundle: Option<Vec<u8>>) -> Result<Self> {
        let mut memory = MemoryTiles::default();
        memory.0.insert(CHECKPOINT_PATH.to_owned(), state.checkpoint.clone().into_bytes());
        if let Some(partial) = Tile::bundle(state.size / WIDTH, state.size) {
            let hashes = Tile { level: Level::Hashes(0), ..partial };
            memory.insert_all([(hashes, tile::to_bytes(leaves))]);
            memory.insert_all(bundle.map(|bundle| (partial, bundle)));
        }
        let mut whole = true;
        // A pass may replace upper partial tiles at any time: keep those of this size.
        for level in 1..tile::MAX_LEVELS {
            let count = state.size.checked_shr(8 * u32::from(level)).unwrap_or(0);
            if let Some(partial) = Tile::of(level, count / WIDTH, state.size).filter(|tile| !tile.is_full()) {
                match source::hashes(folder, &partial) {
                    Ok(hashes) => memory.insert_all([(partial, tile::to_bytes(&hashes))]),
                    // Whoever needs it finds that it is missing, and says where.
                    Err(SourceError::Missing { .. } | SourceError::Malformed { .. } | SourceError::TooLong { .. }) => {
                        whole = false;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(Self { state, files: Overlay { folder: folder.clone(), memory }, whole })
    }

    /// The right edge, which is the one that the stored root is over: leaves of the tail and upper partial tiles are right then.
    pub(super) fn edge(&self) -> Result<Edge> {
        Ok(Edge::load(&self.files, self.state.size, &self.state.root)?)
    }

    /// The leaves of a bundle, proven to stand in the tree of the stored root. Of the partial bundle only [`Self::edge`] proves it.
    pub(super) fn leaves(&self, number: u64) -> Result<Vec<Hash>> {
        let size = self.state.size;
        let tile = Tile::of(0, number, size).ok_or(Error::NotFound)?;
        let leaves = source::hashes(&self.files, &tile)?;
        if tile.is_full() {
            let subtree = tree::fold(&mut leaves.clone()).ok_or(Error::Internal("a full tile of no hashes"))?;
            let path = proof::inclusion(&mut HashReader::new(&self.files, size), number * WIDTH)?;
            // The first steps lie within the tile. Above them bundles are what leaves are below: subtrees split where bundles end.
            let above = path.get(TILE_HEIGHT..).unwrap_or_default();
            proof::verify_inclusion(&subtree, number, size.div_ceil(WIDTH), above, &self.state.root)
                .map_err(|_| Error::Damaged(format!("tile {} is not in the tree that was signed", tile.path())))?;
        }
        Ok(leaves)
    }
}

/// The index of the first entry of the partial bundle.
pub(super) fn tail_start(size: u64) -> u64 {
    size - size % WIDTH
}
