//! The right edge of a tree: what is needed to append (`spec/log.md#tiles`).
//!
//! The rightmost, still partial tiles of all levels are the compact form of the whole tree: they give its root and take new leaves. Appending is a pure
//! function from an edge and a batch to a new edge and the files to write, so that a pass whose files could not be made durable changes nothing.

use crate::Fault;
use crate::source::{self, SourceError, TileSource};
use crate::tile::{self, Level, MAX_LEVELS, Tile, TileError, WIDTH};
use crate::tree::{self, Hash, MAX_SIZE};

/// Why an edge could not be loaded or extended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EdgeError {
    /// A tile or entry was refused.
    #[error("tile refused")]
    Tile(#[from] TileError),
    /// A tile could not be read.
    #[error("tile not readable")]
    Source(#[from] SourceError),
    /// The tiles do not give the root that was signed.
    #[error("the tiles of size {size} do not give the signed root")]
    Root {
        /// Size of the tree.
        size: u64,
    },
    /// An entry does not hash to its leaf.
    #[error("entry {index} does not hash to its leaf")]
    Leaf {
        /// The entry's index in the log.
        index: u64,
    },
    /// The log would hold more than [`MAX_SIZE`] entries.
    #[error("the log is full")]
    Full,
}

impl EdgeError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Tile(error) => error.fault(),
            Self::Source(error) => error.fault(),
            Self::Root { .. } | Self::Leaf { .. } => Fault::Hostile,
            Self::Full => Fault::Environment,
        }
    }
}

/// The right edge of a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    /// The partial tile of each level, 0 to 255 hashes, from level 0 up.
    levels: Vec<Vec<Hash>>,
    /// The partial entry bundle.
    bundle: Vec<u8>,
}

/// A batch appended to an [`Edge`]: what must be durable before the new size may be signed.
#[derive(Debug, Clone)]
pub struct Extension {
    /// The new edge.
    pub edge: Edge,
    /// Tiles and bundles to write: each full one once, and the partial ones of the new size that changed.
    pub files: Vec<(Tile, Vec<u8>)>,
}

impl Edge {
    /// The edge of the tree of `size` entries as it lies in `source`, checked against its root.
    ///
    /// # Errors
    /// When tiles are missing or malformed, or do not give `root`, or when the partial bundle does not hash to its tile.
    pub fn load(source: &dyn TileSource, size: u64, root: &Hash) -> Result<Self, EdgeError> {
        let edge = Self::load_derived(source, size, root)?;
        if let Some(partial) = Tile::bundle(size / WIDTH, size) {
            let entries = tile::entries(&edge.bundle, partial.width)?;
            let wrong = entries.iter().zip(edge.partial(0)).position(|(entry, leaf)| tree::leaf(entry) != *leaf);
            if let Some(place) = wrong {
                return Err(EdgeError::Leaf { index: size - size % WIDTH + place as u64 });
            }
        }
        Ok(edge)
    }

    /// The same from a source that made the partial tile of leaves by hashing the partial bundle: its entries are not hashed again.
    ///
    /// # Errors
    /// As [`Self::load`], but for a bundle that does not hash to its tile.
    pub fn load_derived(source: &dyn TileSource, size: u64, root: &Hash) -> Result<Self, EdgeError> {
        let mut edge = Self::load_hashes(source, size)?;
        if edge.root() != *root {
            return Err(EdgeError::Root { size });
        }
        if let Some(partial) = Tile::bundle(size / WIDTH, size) {
            edge.bundle = source::bundle(source, &partial)?;
        }
        Ok(edge)
    }

    /// The edge without its bundle, not checked.
    pub(crate) fn load_hashes(source: &dyn TileSource, size: u64) -> Result<Self, SourceError> {
        let mut edge = Self { size, ..Self::default() };
        for level in 0..MAX_LEVELS {
            let count = tile::count_at(level, size);
            if count == 0 {
                break;
            }
            let hashes = match Tile::of(level, count / WIDTH, size) {
                Some(partial) => source::hashes(source, &partial)?,
                None => Vec::new(),
            };
            edge.levels.push(hashes);
        }
        Ok(edge)
    }

    /// The hashes of the partial tile of a level.
    pub(crate) fn partial(&self, level: u8) -> &[Hash] {
        self.levels.get(usize::from(level)).map(Vec::as_slice).unwrap_or_default()
    }

    /// How many entries the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        let mut peaks = Vec::new();
        for level in self.levels.iter().rev() {
            let mut rest = level.as_slice();
            while !rest.is_empty() {
                let (subtree, tail) = rest.split_at(1 << rest.len().ilog2());
                peaks.extend(tree::fold(&mut subtree.to_vec()));
                rest = tail;
            }
        }
        tree::fold_peaks(&peaks).unwrap_or_else(tree::empty_root)
    }

    /// Appends a batch.
    ///
    /// # Errors
    /// When an entry is empty or longer than 65,535 bytes, or the log is full.
    pub fn extend<E: AsRef<[u8]>>(&self, entries: impl IntoIterator<Item = E>) -> Result<Extension, EdgeError> {
        let mut edge = self.clone();
        let mut files = Vec::new();
        for entry in entries {
            edge.push(entry.as_ref(), &mut files)?;
        }
        if edge.size > self.size {
            edge.partials(self.size, &mut files);
        }
        Ok(Extension { edge, files })
    }

    fn push(&mut self, entry: &[u8], files: &mut Vec<(Tile, Vec<u8>)>) -> Result<(), EdgeError> {
        if self.size >= MAX_SIZE {
            return Err(EdgeError::Full);
        }
        tile::push_entry(&mut self.bundle, entry)?;
        let index = self.size / WIDTH;
        self.size += 1;
        if self.size.is_multiple_of(WIDTH) {
            let bundle = std::mem::take(&mut self.bundle);
            files.push((Tile { level: Level::Entries, index, width: WIDTH }, bundle));
        }
        let mut carry = Some(tree::leaf(entry));
        for level in 0..MAX_LEVELS {
            let Some(hash) = carry.take() else { break };
            if self.levels.len() == usize::from(level) {
                self.levels.push(Vec::with_capacity(256));
            }
            let Some(hashes) = self.levels.get_mut(usize::from(level)) else { break };
            hashes.push(hash);
            if hashes.len() as u64 == WIDTH {
                let index = (tile::count_at(level, self.size) - 1) / WIDTH;
                files.push((Tile { level: Level::Hashes(level), index, width: WIDTH }, tile::to_bytes(hashes)));
                carry = tree::fold(hashes);
                hashes.clear();
            }
        }
        Ok(())
    }

    /// The partial tiles and the partial bundle that changed since the tree had `old` entries.
    fn partials(&self, old: u64, files: &mut Vec<(Tile, Vec<u8>)>) {
        for (level, hashes) in (0..).zip(&self.levels) {
            let count = tile::count_at(level, self.size);
            if tile::count_at(level, old) < count && !hashes.is_empty() {
                let tile = Tile { level: Level::Hashes(level), index: count / WIDTH, width: count % WIDTH };
                files.push((tile, tile::to_bytes(hashes)));
            }
        }
        if !self.bundle.is_empty() {
            let tile = Tile { level: Level::Entries, index: self.size / WIDTH, width: self.size % WIDTH };
            files.push((tile, self.bundle.clone()));
        }
    }
}
