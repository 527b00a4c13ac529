//! Full offline verification: every signature, every entry, every hash of every tile, the root, and older heads (`spec/log.md#verification`).
//!
//! It works from the signed root downwards, so that a failure names the object that is wrong: the right edge must give the root, each full tile the hash in
//! its parent, each entry the leaf in its tile. Two threads or more share the lowest level. It holds 32 bytes for each 256 entries.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Fault;
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::edge::Edge;
use crate::keys::LogKeys;
use crate::proof::{self, Head, ProofError};
use crate::source::{self, HashReader, SourceError, TileSource};
use crate::tile::{self, MAX_LEVELS, Tile, WIDTH};
use crate::tree::{self, Hash, LeafHasher};

/// The most failures a report lists.
pub const MAX_FAILURES: usize = 100;
/// The most threads used.
pub const MAX_THREADS: usize = 64;
/// Bundles a thread takes at a time.
const STRIDE: u64 = 16;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The checkpoint cannot be read.
    #[error("the checkpoint cannot be read: {0}")]
    NoCheckpoint(SourceError),
    /// The checkpoint or its signatures are refused.
    #[error("checkpoint: {0}")]
    Checkpoint(CheckpointError),
    /// A tile or bundle is missing, unreadable or malformed.
    #[error("{0}")]
    Object(SourceError),
    /// The right edge does not give the signed root.
    #[error("the right edge of the tree of {size} does not give the signed root")]
    Root {
        /// Size of the tree.
        size: u64,
    },
    /// A tile does not hash to what its parent holds.
    #[error("`{path}` does not hash to what its parent holds")]
    Tile {
        /// The tile's path.
        path: String,
    },
    /// An entry does not hash to its leaf.
    #[error("`{path}`: entry {index} does not hash to its leaf")]
    Entry {
        /// The bundle's path.
        path: String,
        /// The entry's index in the log.
        index: u64,
    },
    /// The visitor refused an entry.
    #[error("entry {index}: {what}")]
    Content {
        /// The entry's index in the log.
        index: u64,
        /// Why.
        what: String,
    },
    /// The log is smaller than a head known from outside: it was cut or rolled back.
    #[error("the log has {size} entries, but a head with {known} is known: it was rolled back")]
    Behind {
        /// Size of the log.
        size: u64,
        /// Size of the known head.
        known: u64,
    },
    /// The log does not continue a head known from outside: it is a fork.
    #[error("the log does not continue the known head of {known} entries: it is a fork")]
    Fork {
        /// Size of the known head.
        known: u64,
    },
}

impl Failure {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::NoCheckpoint(error) | Self::Object(error) => error.fault(),
            _ => Fault::Hostile,
        }
    }

    /// The path of the object that is wrong, if it is one.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::NoCheckpoint(_) | Self::Checkpoint(_) => Some(tile::CHECKPOINT_PATH),
            Self::Object(error) => Some(error.path()),
            Self::Tile { path } | Self::Entry { path, .. } => Some(path),
            _ => None,
        }
    }
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The checkpoint, when its signatures hold.
    pub checkpoint: Option<Checkpoint>,
    /// Entries whose leaf was derived from their bytes and found in its tile.
    pub entries: u64,
    /// Tiles of hashes that were derived again.
    pub tiles: u64,
    /// How many older heads the log was shown to continue.
    pub older: usize,
    /// What is wrong, from the root downwards; at most [`MAX_FAILURES`].
    pub failures: Vec<Failure>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_ok(&self) -> bool {
        self.failures.is_empty()
    }
}

/// What to verify against, and how.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// The log's keys, known from outside.
    pub keys: &'a LogKeys,
    /// Heads known from outside (anchor, pinned): the log must continue each.
    pub older: &'a [Head],
    /// How many threads, 1 to [`MAX_THREADS`].
    pub threads: usize,
}

/// Looks at each entry on the way, from several threads and in no order; `Err` makes it a failure. What it sees is authentic only if the report is ok.
pub type Visitor<'a> = &'a (dyn Fn(u64, &[u8]) -> Result<(), String> + Sync);

/// Verifies the log that lies in `source`.
pub fn run(source: &dyn TileSource, options: &Options<'_>, visit: Option<Visitor<'_>>) -> Report {
    let run =
        Run { source, visit, failures: Mutex::new(Vec::new()), entries: AtomicU64::new(0), tiles: AtomicU64::new(0) };
    let checkpoint = match source::checkpoint(source) {
        Err(error) => {
            run.fail(0, Failure::NoCheckpoint(error));
            None
        }
        Ok(bytes) => match options.keys.open(&bytes) {
            Err(error) => {
                run.fail(0, Failure::Checkpoint(error));
                None
            }
            Ok(checkpoint) => Some(checkpoint),
        },
    };
    let mut older = 0;
    if let Some(checkpoint) = &checkpoint {
        run.tree(checkpoint, options.threads.clamp(1, MAX_THREADS));
        for known in options.older {
            match continues(source, known, &checkpoint.head()) {
                Ok(()) => older += 1,
                Err(failure) => run.fail(u64::MAX, failure),
            }
        }
    }
    let mut failures = run.failures.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    failures.sort_by_key(|(order, _)| *order);
    Report {
        checkpoint,
        entries: run.entries.into_inner(),
        tiles: run.tiles.into_inner(),
        older,
        failures: failures.into_iter().map(|(_, failure)| failure).collect(),
    }
}

/// Shows that the log in `source`, with this head, continues a known head.
///
/// # Errors
/// [`Failure::Behind`], [`Failure::Fork`], or [`Failure::Object`].
pub fn continues(source: &dyn TileSource, known: &Head, head: &Head) -> Result<(), Failure> {
    if head.size < known.size {
        return Err(Failure::Behind { size: head.size, known: known.size });
    }
    let proof = proof::consistency(&mut HashReader::new(source, head.size), known.size);
    match proof.and_then(|proof| proof::verify_consistency(known, head, &proof)) {
        Ok(()) => Ok(()),
        Err(ProofError::Source(error)) => Err(Failure::Object(error)),
        Err(_) => Err(Failure::Fork { known: known.size }),
    }
}

struct Run<'a> {
    source: &'a dyn TileSource,
    visit: Option<Visitor<'a>>,
    /// With a key that sorts from the root downwards.
    failures: Mutex<Vec<(u64, Failure)>>,
    entries: AtomicU64,
    tiles: AtomicU64,
}

impl Run<'_> {
    fn fail(&self, order: u64, failure: Failure) {
        let mut failures = self.failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if failures.len() < MAX_FAILURES {
            failures.push((order, failure));
        }
    }

    /// Checks all tiles and entries under a signed head.
    fn tree(&self, checkpoint: &Checkpoint, threads: usize) {
        let size = checkpoint.size;
        let edge = match Edge::load_hashes(self.source, size) {
            Ok(edge) if edge.root() == checkpoint.root => Some(edge),
            Ok(_) => {
                self.fail(1, Failure::Root { size });
                None
            }
            // The tile that cannot be read is found again below.
            Err(_) => None,
        };
        let context = Context { size, edge: edge.as_ref() };
        // From the top: the hashes of one level are the parents of the next lower one.
        let mut parents: Vec<Option<Hash>> = Vec::new();
        for level in (1..MAX_LEVELS).rev() {
            let mut hashes = Vec::new();
            for index in 0..tile::count_at(level, size).div_ceil(WIDTH) {
                let Some(tile) = Tile::of(level, index, size) else { continue };
                match self.hashes(&context, &tile, level, &parents) {
                    Some(found) => hashes.extend(found.into_iter().map(Some)),
                    None => hashes.extend((0..tile.width).map(|_| None)),
                }
            }
            parents = hashes;
        }
        let next = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|| self.lowest(&context, &parents, &next));
            }
            self.lowest(&context, &parents, &next);
        });
    }

    /// Takes strides of tiles at level 0 until none is left.
    fn lowest(&self, context: &Context<'_>, parents: &[Option<Hash>], next: &AtomicU64) {
        let count = context.size.div_ceil(WIDTH);
        let mut hasher = LeafHasher::default();
        loop {
            let from = next.fetch_add(STRIDE, Ordering::Relaxed);
            if from >= count {
                return;
            }
            for index in from..(from + STRIDE).min(count) {
                let Some(tile) = Tile::of(0, index, context.size) else { continue };
                let leaves = self.hashes(context, &tile, 0, parents);
                self.bundle(context, index, leaves.as_deref(), &mut hasher);
            }
        }
    }

    /// The hashes of a tile, checked against its parent, or against the right edge when it is partial; `None` when they cannot be had.
    fn hashes(&self, context: &Context<'_>, tile: &Tile, level: u8, parents: &[Option<Hash>]) -> Option<Vec<Hash>> {
        let order = order(level, tile.index);
        let hashes = match source::hashes(self.source, tile) {
            Ok(hashes) => hashes,
            Err(error) => {
                self.fail(order, Failure::Object(error));
                return None;
            }
        };
        let holds = if tile.is_full() {
            let parent = usize::try_from(tile.index).ok().and_then(|index| parents.get(index)).copied();
            // The tile that should hold the parent was reported when it could not be had.
            parent.is_some_and(|parent| parent.is_none_or(|parent| tree::fold(&mut hashes.clone()) == Some(parent)))
        } else {
            // An edge that does not give the root was reported.
            context.edge.is_none_or(|edge| edge.partial(level) == hashes)
        };
        if holds {
            self.tiles.fetch_add(1, Ordering::Relaxed);
        } else {
            self.fail(order, Failure::Tile { path: tile.path() });
        }
        Some(hashes)
    }

    fn bundle(&self, context: &Context<'_>, index: u64, leaves: Option<&[Hash]>, hasher: &mut LeafHasher) {
        let Some(tile) = Tile::bundle(index, context.size) else { return };
        let order = order(0, index).saturating_add(1);
        let bytes = match source::bundle(self.source, &tile) {
            Ok(bytes) => bytes,
            Err(error) => return self.fail(order, Failure::Object(error)),
        };
        let mut good = 0;
        // `source::bundle` made sure that there are exactly as many whole entries as the tile is wide.
        for (place, entry) in tile::Entries::new(&bytes).flatten().enumerate() {
            let at = index * WIDTH + place as u64;
            match leaves.map(|leaves| leaves.get(place)) {
                Some(leaf) if leaf == Some(&hasher.leaf(entry)) => good += 1,
                Some(_) => self.fail(order, Failure::Entry { path: tile.path(), index: at }),
                // Its tile was reported.
                None => {}
            }
            if let Some(Err(what)) = self.visit.map(|visit| visit(at, entry)) {
                self.fail(order, Failure::Content { index: at, what });
            }
        }
        self.entries.fetch_add(good, Ordering::Relaxed);
    }
}

struct Context<'a> {
    size: u64,
    /// When it gives the signed root.
    edge: Option<&'a Edge>,
}

/// Sorts failures from the root downwards, then from left to right.
fn order(level: u8, index: u64) -> u64 {
    (u64::from(MAX_LEVELS - level) << 56) | (index << 1).saturating_add(2)
}
