//! Segments: sealed streams in the depot that verify and open in parts (`spec/format.md#segments`).
//!
//! A stored segment is a chunked-encryption message followed by its *outboard*: `message || tops || leaves`. The message is cut into
//! groups of four chunks, so a group of ciphertext is exactly 64 KiB of plaintext and verifies and opens alone. The leaves are the
//! digests of the groups; a top is the root over a block of 256 leaves; the root over the tops is the segment's digest, which the
//! version record names.
//!
//! A whole read loads the tail at once. A range read loads the tops (2 KiB for 1 GiB), one block of leaves (8 KiB) and the groups it
//! needs, all at places known from [`SegmentInfo`]; an [`Outboard`] keeps what it verified, so a warm read loads its groups only.
//!
//! ```
//! use seal::Suite;
//! use seal::secret::PackKey;
//! use seal::segment::{Outboard, SegmentContext, SegmentOpener, SegmentSealer, sealed_groups_len};
//! use seal::tree::Digest;
//!
//! let key = PackKey::generate()?;
//! let context = SegmentContext { vault: [1; 16], pack: [2; 16], index: 0 };
//!
//! // One block is enough here; threads would each seal blocks of whole groups.
//! let sealer = SegmentSealer::new(Suite::Nist, &key, &context)?;
//! let mut stored = vec![0; sealed_groups_len(0, 5)];
//! let mut leaves = [Digest::default()];
//! sealer.seal_groups(0, b"hello", &mut stored, &mut leaves)?;
//! let (tail, info) = sealer.finish(&leaves)?;
//! stored.extend_from_slice(&tail);
//!
//! let outboard = Outboard::whole(info, &tail)?;
//! let opener = SegmentOpener::new(&key, &context, outboard, &stored[..56])?;
//! let mut out = [0; 3];
//! opener.open_range(1..4, &stored[..info.sealed_len() as usize], &mut out)?;
//! assert_eq!(&out, b"ell");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod info;
mod opener;
mod outboard;
mod sealer;

use crate::label::{Context, Label};
use crate::{Corrupt, Fault, Id, Suite, chunked, entropy};

pub use info::{BadInfo, SegmentInfo};
pub use opener::SegmentOpener;
pub use outboard::Outboard;
pub(crate) use outboard::build;
pub use sealer::SegmentSealer;

/// Most plaintext bytes of a segment: 1 GiB.
pub const MAX_PLAINTEXT_LEN: u64 = 1 << 30;
/// Chunks in a group.
pub const GROUP_CHUNKS: u64 = 4;
/// Plaintext bytes of every group but the last.
pub const GROUP_LEN: usize = crate::tree::GROUP_LEN;
/// Sealed bytes of a full group, the header of group 0 apart.
pub const SEALED_GROUP_LEN: usize = GROUP_CHUNKS as usize * chunked::SEALED_CHUNK_LEN;
/// Leaves below one top.
pub const BLOCK_LEAVES: u64 = 256;

const _: () = assert!(GROUP_LEN == GROUP_CHUNKS as usize * chunked::CHUNK_LEN);

/// Where a segment belongs. It opens nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SegmentContext {
    /// The vault.
    pub vault: Id,
    /// The pack whose key seals it.
    pub pack: Id,
    /// Its number in the pack.
    pub index: u32,
}

impl SegmentContext {
    /// `LP("strongroom/v1/segment", suite, vault, pack, index)`.
    fn encode(&self, suite: Suite) -> Vec<u8> {
        Context::new(Label::Segment, suite)
            .field(&self.vault)
            .field(&self.pack)
            .field(&self.index.to_be_bytes())
            .into_bytes()
    }
}

/// Why a segment could not be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not what was sealed here: one opaque answer, with the offset in the stored segment of the unit that failed.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// A group's block of leaves is not loaded yet: read [`SegmentInfo::block_range`] and call [`Outboard::load_block`].
    #[error("leaf block {0} is not loaded")]
    NotLoaded(u64),
    /// The buffers or the order of calls do not fit; says what.
    #[error("misuse of a segment: {0}")]
    Misuse(&'static str),
    /// No randomness for the salt.
    #[error(transparent)]
    Entropy(#[from] entropy::Unavailable),
    /// The library below failed where it cannot.
    #[error("the cipher failed")]
    Failed,
}

impl Error {
    /// Whose fault this is.
    pub fn fault(self) -> Fault {
        match self {
            Self::Corrupt(_) => Fault::Hostile,
            Self::NotLoaded(_) | Self::Misuse(_) => Fault::Misuse,
            Self::Entropy(_) => Fault::Environment,
            Self::Failed => Fault::Bug,
        }
    }

    /// Where the damage is, in bytes from the start of the stored segment.
    pub fn corrupt_offset(self) -> Option<u64> {
        match self {
            Self::Corrupt(corrupt) => Some(corrupt.offset()),
            _ => None,
        }
    }
}

impl From<chunked::Error> for Error {
    fn from(error: chunked::Error) -> Self {
        match error {
            chunked::Error::Corrupt(corrupt) => Self::Corrupt(corrupt),
            chunked::Error::Misuse(what) => Self::Misuse(what),
            chunked::Error::Entropy(error) => Self::Entropy(error),
            chunked::Error::TooLong(_) | chunked::Error::Failed => Self::Failed,
        }
    }
}

/// Groups of a segment with this many plaintext bytes: at least one, for the message always has a last chunk.
pub const fn group_count(plaintext_len: u64) -> u64 {
    plaintext_len / GROUP_LEN as u64 + 1
}

/// Groups that a block of plaintext fills, counting the last, short one if the block ends the segment.
pub const fn block_group_count(plaintext_len: usize) -> usize {
    match plaintext_len {
        0 => 1,
        len => len.div_ceil(GROUP_LEN),
    }
}

/// Sealed bytes of the block of plaintext that begins at `first_group`: the header counts with group 0, and a block that is not a
/// whole number of groups (an empty one too) ends the segment.
pub const fn sealed_groups_len(first_group: u64, plaintext_len: usize) -> usize {
    let header = if first_group == 0 { chunked::HEADER_LEN } else { 0 };
    let full = plaintext_len / chunked::CHUNK_LEN;
    let chunks = if plaintext_len != 0 && plaintext_len.is_multiple_of(GROUP_LEN) { full } else { full + 1 };
    header + plaintext_len + chunks * chunked::TAG_LEN
}
