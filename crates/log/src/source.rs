//! Reading tiles from wherever they lie.

use std::collections::BTreeMap;

use crate::Fault;
use crate::tile::{self, CHECKPOINT_PATH, Level, MAX_BUNDLE_LEN, MAX_TILE_LEN, Tile, TileError};
use crate::tree::{self, Hash};

/// Why a file of a log could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// There is no such file.
    #[error("`{path}` is missing")]
    Missing {
        /// Its path in the log.
        path: String,
    },
    /// The file is longer than anything a log may hold there.
    #[error("`{path}` is too long")]
    TooLong {
        /// Its path in the log.
        path: String,
    },
    /// Storage failed.
    #[error("`{path}` cannot be read: {why}")]
    Io {
        /// Its path in the log.
        path: String,
        /// What storage said.
        why: String,
    },
    /// The file is malformed.
    #[error("`{path}` is malformed")]
    Malformed {
        /// Its path in the log.
        path: String,
        /// What is wrong.
        #[source]
        error: TileError,
    },
}

impl SourceError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Missing { .. } | Self::TooLong { .. } => Fault::Hostile,
            Self::Io { .. } => Fault::Environment,
            Self::Malformed { error, .. } => error.fault(),
        }
    }

    /// The file's path in the log.
    pub fn path(&self) -> &str {
        match self {
            Self::Missing { path } | Self::TooLong { path } | Self::Io { path, .. } | Self::Malformed { path, .. } => {
                path
            }
        }
    }
}

/// Where the files of one log lie. Paths are those of `tlog-tiles`, relative, with `/`.
pub trait TileSource: Sync {
    /// Reads a whole file of at most `max` bytes.
    ///
    /// # Errors
    /// [`SourceError::Missing`] when there is none, [`SourceError::TooLong`], or [`SourceError::Io`].
    fn read(&self, path: &str, max: usize) -> Result<Vec<u8>, SourceError>;
}

/// A log in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryTiles(pub BTreeMap<String, Vec<u8>>);

impl MemoryTiles {
    /// Adds what an [`crate::edge::Extension`] wrote.
    pub fn insert_all(&mut self, files: impl IntoIterator<Item = (Tile, Vec<u8>)>) {
        self.0.extend(files.into_iter().map(|(tile, bytes)| (tile.path(), bytes)));
    }
}

impl TileSource for MemoryTiles {
    fn read(&self, path: &str, max: usize) -> Result<Vec<u8>, SourceError> {
        match self.0.get(path) {
            None => Err(SourceError::Missing { path: path.to_owned() }),
            Some(bytes) if bytes.len() > max => Err(SourceError::TooLong { path: path.to_owned() }),
            Some(bytes) => Ok(bytes.clone()),
        }
    }
}

/// Reads the signed checkpoint.
///
/// # Errors
/// As [`TileSource::read`].
pub fn checkpoint(source: &dyn TileSource) -> Result<Vec<u8>, SourceError> {
    source.read(CHECKPOINT_PATH, crate::note::MAX_LEN)
}

/// Reads a tile of hashes; when the partial one is missing, the full one, cut.
///
/// # Errors
/// When neither is there, or it is malformed.
pub fn hashes(source: &dyn TileSource, tile: &Tile) -> Result<Vec<Hash>, SourceError> {
    let malformed = |error| SourceError::Malformed { path: tile.path(), error };
    match source.read(&tile.path(), MAX_TILE_LEN) {
        Ok(bytes) => tile::hashes(&bytes, tile.width).map_err(malformed),
        Err(SourceError::Missing { .. }) if !tile.is_full() => {
            let full = tile.full();
            let bytes = source.read(&full.path(), MAX_TILE_LEN).map_err(|error| missing_as(tile, error))?;
            let mut hashes = tile::hashes(&bytes, full.width).map_err(malformed)?;
            hashes.truncate(usize::try_from(tile.width).unwrap_or(0));
            Ok(hashes)
        }
        Err(error) => Err(error),
    }
}

/// Reads an entry bundle of exactly the tile's width; when the partial one is missing, the full one, cut.
///
/// # Errors
/// When neither is there, or it is malformed.
pub fn bundle(source: &dyn TileSource, tile: &Tile) -> Result<Vec<u8>, SourceError> {
    let malformed = |error| SourceError::Malformed { path: tile.path(), error };
    let (mut bytes, cut) = match source.read(&tile.path(), MAX_BUNDLE_LEN) {
        Err(SourceError::Missing { .. }) if !tile.is_full() => {
            let full = tile.full().path();
            (source.read(&full, MAX_BUNDLE_LEN).map_err(|error| missing_as(tile, error))?, true)
        }
        other => (other?, false),
    };
    if cut {
        let mut len = 0;
        for entry in tile::Entries::new(&bytes).take(usize::try_from(tile.width).unwrap_or(0)) {
            len += 2 + entry.map_err(malformed)?.len();
        }
        bytes.truncate(len);
    }
    tile::entries(&bytes, tile.width).map_err(malformed)?;
    Ok(bytes)
}

fn missing_as(tile: &Tile, error: SourceError) -> SourceError {
    match error {
        SourceError::Missing { .. } => SourceError::Missing { path: tile.path() },
        other => other,
    }
}

/// Gives any subtree hash of a tree of a given size, caching the tiles it read.
///
/// What it gives is only as authentic as the source: check what is made of it against a signed root.
pub struct HashReader<'a> {
    source: &'a dyn TileSource,
    size: u64,
    cache: BTreeMap<(u8, u64), Vec<Hash>>,
}

impl std::fmt::Debug for HashReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HashReader").field("size", &self.size).field("tiles", &self.cache.len()).finish_non_exhaustive()
    }
}

impl<'a> HashReader<'a> {
    /// Over the tree of `size` entries.
    pub fn new(source: &'a dyn TileSource, size: u64) -> Self {
        Self { source, size, cache: BTreeMap::new() }
    }

    /// The size of the tree.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hash of the subtree over the leaves `start..end`, shaped as RFC 6962 says; of none, the empty root.
    ///
    /// # Errors
    /// When a tile is missing or malformed, or the range does not lie within the tree.
    pub fn range(&mut self, start: u64, end: u64) -> Result<Hash, SourceError> {
        if start == end {
            return Ok(tree::empty_root());
        }
        let mut peaks = Vec::new();
        let mut at = start;
        while at < end {
            // The largest aligned perfect subtree that starts here and fits.
            let aligned = if at == 0 { u32::MAX } else { at.trailing_zeros() };
            let height = aligned.min((end - at).ilog2());
            peaks.push(self.perfect(at, height)?);
            at += 1 << height;
        }
        Ok(tree::fold_peaks(&peaks).unwrap_or_else(tree::empty_root))
    }

    /// The hash of the perfect subtree of 2^`height` leaves that starts at `start`.
    fn perfect(&mut self, start: u64, height: u32) -> Result<Hash, SourceError> {
        let level = u8::try_from(height / 8).unwrap_or(u8::MAX);
        let first = start >> (height - height % 8);
        let tile = self.tile(level, first / tile::WIDTH)?;
        let from = usize::try_from(first % tile::WIDTH).unwrap_or(usize::MAX);
        let hashes = from.checked_add(1 << (height % 8)).and_then(|to| tile.get(from..to));
        hashes
            .and_then(|hashes| tree::fold(&mut hashes.to_vec()))
            .ok_or_else(|| out_of_range(level, first / tile::WIDTH))
    }

    fn tile(&mut self, level: u8, index: u64) -> Result<&[Hash], SourceError> {
        let hashes = match self.cache.entry((level, index)) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let tile = Tile::of(level, index, self.size).ok_or_else(|| out_of_range(level, index))?;
                entry.insert(hashes(self.source, &tile)?)
            }
        };
        Ok(hashes)
    }
}

fn out_of_range(level: u8, index: u64) -> SourceError {
    SourceError::Missing { path: Tile { level: Level::Hashes(level), index, width: tile::WIDTH }.path() }
}
