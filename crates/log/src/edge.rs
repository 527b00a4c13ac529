//! The right edge of a tree: what is needed to append (`spec/log.md#tiles`).
//!
//! The rightmost, still partial tiles of all levels are the compact form of the whole tree: they give its root and take new leaves; entries of the partial
//! bundle are needed only when it becomes full. Appending is a pure
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
    /// A bundle becomes full whose earlier entries were not given.
    #[error("the entries before this batch are needed")]
    Bundle,
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
            Self::Bundle => Fault::Misuse,
        }
    }
}

/// The right edge of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    /// The partial tile of each level, 0 to 255 hashes, from level 0 up.
    levels: Vec<Vec<Hash>>,
    /// The partial entry bundle; none as long as nobody gave its entries, which only matters when it becomes full.
    bundle: Option<Vec<u8>>,
}

/// A batch appended to an [`Edge`]: what must be durable before the new size may be signed.
#[derive(Debug, Clone)]
pub struct Extension {
    /// The new edge.
    pub edge: Edge,
    /// Tiles and bundles to write: each full one once, and the partial ones of the new size that changed.
    pub files: Vec<(Tile, Vec<u8>)>,
    /// The leaves of the batch, in order.
    pub leaves: Vec<Hash>,
}

impl Default for Edge {
    /// Of the empty tree.
    fn default() -> Self {
        Self { size: 0, levels: Vec::new(), bundle: Some(Vec::new()) }
    }
}

impl Edge {
    /// The edge of the tree of `size` entries as its tiles lie in `source`, checked against its root. The entries of its partial
    /// bundle are not read: see [`Self::holding`].
    ///
    /// # Errors
    /// When tiles are missing or malformed, or do not give `root`.
    pub fn load(source: &dyn TileSource, size: u64, root: &Hash) -> Result<Self, EdgeError> {
        let edge = Self::load_hashes(source, size)?;
        if edge.root() == *root { Ok(edge) } else { Err(EdgeError::Root { size }) }
    }

    /// The same edge with the entries of its partial bundle, which must hash to their leaves.
    ///
    /// # Errors
    /// [`EdgeError::Leaf`], and [`EdgeError::Tile`] for other than as many entries as the bundle has.
    pub fn holding(mut self, bundle: Vec<u8>) -> Result<Self, EdgeError> {
        let entries = tile::entries(&bundle, self.size % WIDTH)?;
        let wrong = entries.iter().zip(self.partial(0)).position(|(entry, leaf)| tree::leaf(entry) != *leaf);
        if let Some(place) = wrong {
            return Err(EdgeError::Leaf { index: self.size - self.size % WIDTH + place as u64 });
        }
        self.bundle = Some(bundle);
        Ok(self)
    }

    /// Whether a batch of `count` entries can be added only to an edge that [holds](Self::holding) its bundle.
    pub fn wants_bundle(&self, count: usize) -> bool {
        self.bundle.is_none() && self.size % WIDTH + count as u64 >= WIDTH
    }

    /// The edge without its bundle, not checked.
    pub(crate) fn load_hashes(source: &dyn TileSource, size: u64) -> Result<Self, SourceError> {
        let bundle = size.is_multiple_of(WIDTH).then(Vec::new);
        let mut edge = Self { size, levels: Vec::new(), bundle };
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

    /// The index of a leaf of the partial bundle, the newest if there are several.
    pub fn index_of(&self, leaf: &Hash) -> Option<u64> {
        let place = self.partial(0).iter().rposition(|known| known == leaf)?;
        Some(self.size - self.size % WIDTH + place as u64)
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
    /// When an entry is empty or longer than 65,535 bytes, the log is full, or the edge [wants its bundle](Self::wants_bundle).
    pub fn extend<E: AsRef<[u8]>>(&self, entries: impl IntoIterator<Item = E>) -> Result<Extension, EdgeError> {
        let mut edge = self.clone();
        let (mut files, mut leaves) = (Vec::new(), Vec::new());
        for entry in entries {
            leaves.push(edge.push(entry.as_ref(), &mut files)?);
        }
        if edge.size > self.size {
            edge.partials(self.size, &mut files);
        }
        Ok(Extension { edge, files, leaves })
    }

    /// Adds one entry; its leaf.
    fn push(&mut self, entry: &[u8], files: &mut Vec<(Tile, Vec<u8>)>) -> Result<Hash, EdgeError> {
        if self.size >= MAX_SIZE {
            return Err(EdgeError::Full);
        }
        if self.wants_bundle(1) {
            return Err(EdgeError::Bundle);
        }
        match &mut self.bundle {
            Some(bundle) => tile::push_entry(bundle, entry)?,
            None => tile::check_entry(entry).map(|_| ())?,
        }
        let index = self.size / WIDTH;
        self.size += 1;
        if self.size.is_multiple_of(WIDTH) {
            let bundle = self.bundle.replace(Vec::new()).unwrap_or_default();
            files.push((Tile { level: Level::Entries, index, width: WIDTH }, bundle));
        }
        let leaf = tree::leaf(entry);
        let mut carry = Some(leaf);
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
        Ok(leaf)
    }

    /// The partial tiles, and the partial bundle if it is here, that changed since the tree had `old` entries.
    fn partials(&self, old: u64, files: &mut Vec<(Tile, Vec<u8>)>) {
        for (level, hashes) in (0..).zip(&self.levels) {
            let count = tile::count_at(level, self.size);
            if tile::count_at(level, old) < count && !hashes.is_empty() {
                let tile = Tile { level: Level::Hashes(level), index: count / WIDTH, width: count % WIDTH };
                files.push((tile, tile::to_bytes(hashes)));
            }
        }
        if let Some(bundle) = self.bundle.as_ref().filter(|bundle| !bundle.is_empty()) {
            let tile = Tile { level: Level::Entries, index: self.size / WIDTH, width: self.size % WIDTH };
            files.push((tile, bundle.clone()));
        }
    }
}
