//! Where hashes and entries lie, and how bundles are written (`spec/log.md#tiles`).

use std::fmt::Write as _;

use crate::tree::{Hash, MAX_SIZE};
use crate::{Fault, text};

/// Hashes in a full tile, entries in a full bundle.
pub const WIDTH: u64 = 256;
/// The longest entry.
pub const MAX_ENTRY_LEN: usize = 65_535;
/// The longest bundle: 256 entries of the greatest length, each after its length.
pub const MAX_BUNDLE_LEN: usize = 256 * (MAX_ENTRY_LEN + 2);
/// The longest tile.
pub const MAX_TILE_LEN: usize = 256 * Hash::LEN;
/// Levels a tree of [`MAX_SIZE`] entries needs: 0 to 6.
pub const MAX_LEVELS: u8 = 7;
/// The path of the checkpoint.
pub const CHECKPOINT_PATH: &str = "checkpoint";

/// Why a tile, bundle or path was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// The path is not of the form `tile/<L>/<N>[.p/<W>]`.
    #[error("not the path of a tile")]
    Path,
    /// The tile's length is not the one its width calls for.
    #[error("a tile of {len} bytes where {expected} were expected")]
    TileLength {
        /// Bytes found.
        len: usize,
        /// Bytes expected.
        expected: usize,
    },
    /// The bundle ends in the middle of an entry, or holds an empty one.
    #[error("a bundle with an empty or cut entry at place {place}")]
    Entry {
        /// Place in the bundle, from 0.
        place: u64,
    },
    /// The bundle holds another number of entries than expected.
    #[error("a bundle that does not hold exactly {expected} entries")]
    Count {
        /// Entries expected.
        expected: u64,
    },
    /// The entry is empty or longer than [`MAX_ENTRY_LEN`].
    #[error("an entry of {len} bytes; 1 to 65535 can be written")]
    EntryLength {
        /// Its length in bytes.
        len: usize,
    },
}

impl TileError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::EntryLength { .. } => Fault::Misuse,
            _ => Fault::Hostile,
        }
    }
}

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Hashes: of leaves at level 0, of full tiles of the level below above it.
    Hashes(u8),
    /// The entries themselves.
    Entries,
}

/// One tile or bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tile {
    /// What it holds.
    pub level: Level,
    /// Its index in the level.
    pub index: u64,
    /// How many hashes or entries, 1 to 256.
    pub width: u64,
}

impl Tile {
    /// The tile of hashes with this level and index in a tree of `size` entries; `None` when it would be empty.
    pub fn of(level: u8, index: u64, size: u64) -> Option<Self> {
        let count = count_at(level, size);
        let width = count.saturating_sub(index.checked_mul(WIDTH)?).min(WIDTH);
        (width > 0).then_some(Self { level: Level::Hashes(level), index, width })
    }

    /// The bundle with this index in a tree of `size` entries; `None` when it would be empty.
    pub fn bundle(index: u64, size: u64) -> Option<Self> {
        Self::of(0, index, size).map(|tile| Self { level: Level::Entries, ..tile })
    }

    /// Whether it has its final width.
    pub fn is_full(&self) -> bool {
        self.width == WIDTH
    }

    /// The same tile at its final width.
    #[must_use]
    pub fn full(self) -> Self {
        Self { width: WIDTH, ..self }
    }

    /// Its path: `tile/<L>/<N>[.p/<W>]`.
    pub fn path(&self) -> String {
        let mut out = match self.level {
            Level::Hashes(level) => format!("tile/{level}/"),
            Level::Entries => "tile/entries/".to_owned(),
        };
        let mut groups = vec![self.index % 1000];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        while let Some(group) = groups.pop() {
            let written = if groups.is_empty() { write!(out, "{group:03}") } else { write!(out, "x{group:03}/") };
            debug_assert!(written.is_ok(), "writing to a string");
        }
        if !self.is_full() {
            let written = write!(out, ".p/{}", self.width);
            debug_assert!(written.is_ok(), "writing to a string");
        }
        out
    }

    /// Reads a path.
    ///
    /// # Errors
    /// [`TileError::Path`] when it is not exactly what [`Self::path`] writes for a tile within the limits.
    pub fn parse(path: &str) -> Result<Self, TileError> {
        Self::parse_inner(path).filter(|tile| tile.path() == path).ok_or(TileError::Path)
    }

    fn parse_inner(path: &str) -> Option<Self> {
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let level = match level {
            "entries" => Level::Entries,
            digits => Level::Hashes(u8::try_from(text::decimal(digits, u64::from(MAX_LEVELS) - 1)?).ok()?),
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => (number, text::decimal(width, WIDTH - 1).filter(|&width| width > 0)?),
            None => (rest, WIDTH),
        };
        let mut index: u64 = 0;
        for group in number.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            if digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
        }
        (index < MAX_SIZE / WIDTH).then_some(Self { level, index, width })
    }
}

/// How many complete subtrees of 256^`level` leaves a tree of `size` holds.
pub(crate) fn count_at(level: u8, size: u64) -> u64 {
    size.checked_shr(8 * u32::from(level)).unwrap_or(0)
}

/// Reads the hashes of a tile.
///
/// # Errors
/// [`TileError::TileLength`] when there are not exactly `width` of them.
pub fn hashes(bytes: &[u8], width: u64) -> Result<Vec<Hash>, TileError> {
    let expected = usize::try_from(width.min(WIDTH)).unwrap_or(0) * Hash::LEN;
    if bytes.len() != expected {
        return Err(TileError::TileLength { len: bytes.len(), expected });
    }
    let (chunks, _) = bytes.as_chunks::<{ Hash::LEN }>();
    Ok(chunks.iter().map(|chunk| Hash::from_bytes(*chunk)).collect())
}

/// Writes the hashes of a tile.
pub fn to_bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.as_bytes()).copied().collect()
}

/// Appends an entry to a bundle.
///
/// # Errors
/// [`TileError::EntryLength`] when it is empty or too long.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), TileError> {
    bundle.extend_from_slice(&check_entry(entry)?.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// The length of an entry that a bundle can hold.
pub(crate) fn check_entry(entry: &[u8]) -> Result<u16, TileError> {
    let len = u16::try_from(entry.len()).ok().filter(|&len| len > 0);
    len.ok_or(TileError::EntryLength { len: entry.len() })
}

/// The entries of a bundle, in order.
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    rest: &'a [u8],
    place: u64,
}

impl<'a> Entries<'a> {
    /// Over the bytes of a bundle.
    pub fn new(bundle: &'a [u8]) -> Self {
        Self { rest: bundle, place: 0 }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<&'a [u8], TileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let place = self.place;
        self.place += 1;
        let entry = self.rest.split_first_chunk::<2>().and_then(|(len, rest)| {
            let len = usize::from(u16::from_be_bytes(*len));
            if len == 0 { None } else { rest.split_at_checked(len) }
        });
        match entry {
            Some((entry, rest)) => {
                self.rest = rest;
                Some(Ok(entry))
            }
            None => {
                self.rest = &[];
                Some(Err(TileError::Entry { place }))
            }
        }
    }
}

/// Reads a bundle of exactly `width` entries.
///
/// # Errors
/// When it is cut, or holds another number of entries.
pub fn entries(bundle: &[u8], width: u64) -> Result<Vec<&[u8]>, TileError> {
    let mut out = Vec::with_capacity(usize::try_from(width.min(WIDTH)).unwrap_or(0));
    for entry in Entries::new(bundle) {
        if out.len() as u64 == width {
            return Err(TileError::Count { expected: width });
        }
        out.push(entry?);
    }
    if out.len() as u64 == width { Ok(out) } else { Err(TileError::Count { expected: width }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_tlog_tiles() {
        let path = |level, index, width| Tile { level, index, width }.path();
        assert_eq!(path(Level::Hashes(0), 0, 256), "tile/0/000");
        assert_eq!(path(Level::Hashes(1), 1_234_067, 256), "tile/1/x001/x234/067");
        assert_eq!(path(Level::Entries, 1000, 7), "tile/entries/x001/000.p/7");
        for bad in ["tile/0/0", "tile/7/000", "tile/00/000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/x000/000"] {
            assert_eq!(Tile::parse(bad), Err(TileError::Path), "{bad}");
        }
        for tile in ["tile/0/000", "tile/6/x001/234.p/255", "tile/entries/999"] {
            assert_eq!(Tile::parse(tile).unwrap().path(), tile);
        }
    }

    #[test]
    fn widths_of_the_tree_of_70000() {
        assert_eq!(Tile::of(0, 273, 70_000).unwrap().width, 112);
        assert_eq!(Tile::of(1, 1, 70_000).unwrap().width, 17);
        assert_eq!(Tile::of(2, 0, 70_000).unwrap().width, 1);
        assert_eq!(Tile::of(0, 274, 70_000), None);
        assert_eq!(Tile::of(3, 0, 70_000), None);
        assert_eq!(Tile::of(1, 0, 256).unwrap().width, 1);
    }

    #[test]
    fn cut_or_empty_entries_are_refused() {
        let mut bundle = Vec::new();
        push_entry(&mut bundle, b"ab").unwrap();
        push_entry(&mut bundle, b"c").unwrap();
        assert_eq!(entries(&bundle, 2).unwrap(), [b"ab".as_slice(), b"c"]);
        assert_eq!(entries(&bundle, 1), Err(TileError::Count { expected: 1 }));
        assert_eq!(entries(&bundle, 3), Err(TileError::Count { expected: 3 }));
        for cut in [1, 2, 3, 5, 6] {
            assert!(entries(bundle.get(..cut).unwrap(), 2).is_err(), "{cut}");
        }
        assert_eq!(entries(&[0, 0], 1), Err(TileError::Entry { place: 0 }));
        assert!(push_entry(&mut bundle, &[]).is_err());
        assert!(push_entry(&mut bundle, &vec![0; 65_536]).is_err());
    }
}
