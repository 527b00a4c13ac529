//! Sealed segments and version objects over a [`crate::Store`]: what goes in is sealed, what comes out was verified first.
//!
//! - [`SegmentWriter`] seals blocks of plaintext from several threads and uploads them as they come.
//! - [`SegmentReader`] gives any range of a segment. Each group is verified against the segment's digest *before* it is decrypted, so a forgery by
//!   somebody who holds the key is found as well.
//! - [`SegmentCheck`] verifies a stored segment without any key.
//! - [`pass`] verifies a whole stored object without any key and hands its bytes on: what copies and repairs are made of.
//! - [`VersionObject`] reads a version's record, list and map; [`Appender`] writes them.
//!
//! Threads share one writer or reader and bring a [`Scratch`] each, so memory does not grow with the data: about a quarter of a MiB a thread (4 MiB over a bucket),
//! plus 32 bytes for each 64 KiB of the segment.
//!
//! ```
//! use depot::sealed::{Scratch, SegmentReader, SegmentWriter};
//! use depot::{Key, Local};
//! use seal::secret::PackKey;
//! use seal::segment::SegmentContext;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let store = Local::create(folder.path())?;
//! let key = Key::new([1; 16], [2; 16]);
//! let (pack_key, context) = (PackKey::generate()?, SegmentContext { vault: [1; 16], pack: [3; 16], index: 0 });
//! let mut scratch = Scratch::default();
//!
//! let writer = SegmentWriter::create(&store, &key, seal::Suite::Default, &pack_key, &context)?;
//! writer.write(0, &[7; 100_000], &mut scratch)?;
//! let info = writer.finish(100_000)?;
//!
//! let reader = SegmentReader::open(&store, &key, &pack_key, &context, info)?;
//! let mut range = [0; 10];
//! reader.read(70_000, &mut range, &mut scratch)?;
//! assert_eq!(range, [7; 10]);
//! # Ok(())
//! # }
//! ```

mod pass;
mod reader;
mod version;
mod writer;

use seal::segment::{self, SegmentInfo};

use crate::error::Error as StoreError;
use crate::key::Key;
use crate::{Fault, Place};

pub use pass::{Expected, Stopped, pass};
pub use reader::{SegmentCheck, SegmentReader};
pub use version::{Appender, VersionObject};
pub use writer::SegmentWriter;

/// The result of a sealed operation.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a sealed object could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Stored bytes are not what was sealed there: damaged, cut, moved or forged. Nothing of them was given out.
    #[error("object {key} is damaged or forged at byte {offset} ({what})")]
    Corrupt {
        /// The object.
        key: Key,
        /// Where the unit that failed begins, in bytes from the start of the object.
        offset: u64,
        /// What the unit is.
        what: Unit,
    },
    /// The store failed, or the object is not there.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The caller broke a rule; says which.
    #[error("wrong use of a sealed object: {0}")]
    Misuse(&'static str),
    /// No randomness, or a defect below.
    #[error(transparent)]
    Seal(segment::Error),
}

impl Error {
    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Corrupt { .. } => Fault::Hostile,
            Self::Store(error) => error.fault(),
            Self::Misuse(_) => Fault::Misuse,
            Self::Seal(error) => error.fault(),
        }
    }

    /// Whether the depot does not hold what a version record says: damaged, cut, replaced or missing.
    #[must_use]
    pub fn is_integrity(&self) -> bool {
        matches!(
            self,
            Self::Corrupt { .. }
                | Self::Store(StoreError::NotFound { .. } | StoreError::PastEnd { .. } | StoreError::Foreign { .. })
        )
    }

    /// Whether another copy of the object may do better.
    fn is_of_this_copy(&self) -> bool {
        match self {
            Self::Corrupt { .. } => true,
            Self::Store(StoreError::Misuse { .. } | StoreError::Bug { .. } | StoreError::BadKey) => false,
            Self::Store(_) => true,
            Self::Misuse(_) | Self::Seal(_) => false,
        }
    }

    /// The object and the offset in it, where they are known.
    #[must_use]
    pub fn place(&self) -> Option<(Key, u64)> {
        match self {
            Self::Corrupt { key, offset, .. } => Some((*key, *offset)),
            Self::Store(
                StoreError::NotFound { place: Place::Object(key) } | StoreError::Foreign { place: Place::Object(key) },
            ) => Some((*key, 0)),
            Self::Store(StoreError::PastEnd { key, object_len, .. }) => Some((*key, *object_len)),
            _ => None,
        }
    }

    /// An error of the pure layer, with the place in the object.
    fn of_segment(error: segment::Error, key: &Key, info: &SegmentInfo) -> Self {
        match error {
            segment::Error::Corrupt(corrupt) => {
                let offset = corrupt.offset();
                let what = match info.group_at(offset) {
                    Some(0) if offset == 0 => Unit::Start,
                    Some(group) => Unit::Group(group),
                    None => Unit::Tree,
                };
                Self::Corrupt { key: *key, offset, what }
            }
            segment::Error::Misuse(what) => Self::Misuse(what),
            other => Self::Seal(other),
        }
    }
}

/// The unit of a stored object that an error names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// The object's length is not the one its record tells.
    Length,
    /// The header or the first group.
    Start,
    /// A group, counted from 0.
    Group(u64),
    /// The tree's digests behind the groups.
    Tree,
    /// The record at the end of a version object.
    Record,
}

impl std::fmt::Display for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Length => f.write_str("wrong length"),
            Self::Start => f.write_str("header or first group"),
            Self::Group(group) => write!(f, "group {group}"),
            Self::Tree => f.write_str("tree of digests"),
            Self::Record => f.write_str("version record"),
        }
    }
}

/// A thread's own buffer for sealed bytes. It grows to what one step needs and is used again.
#[derive(Debug, Default)]
pub struct Scratch {
    bytes: Vec<u8>,
}

impl Scratch {
    /// A slice of `len` bytes with unspecified content.
    fn sized(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.len() < len {
            self.bytes.resize(len, 0);
        }
        self.bytes.get_mut(..len).unwrap_or_default()
    }
}
