//! Lengths and places inside a stored segment.

use std::ops::Range;

use super::{BLOCK_LEAVES, GROUP_LEN, MAX_PLAINTEXT_LEN, SEALED_GROUP_LEN, group_count};
use crate::tree::{DIGEST_LEN, Digest};
use crate::{Fault, Suite, chunked};

/// What a version record says about a segment. Everything about its layout follows from the plaintext length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SegmentInfo {
    suite: Suite,
    plaintext_len: u64,
    digest: Digest,
}

/// Lengths that no segment has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadInfo {
    /// More plaintext than a segment holds.
    #[error("a segment holds at most {MAX_PLAINTEXT_LEN} bytes, not {0}")]
    TooLong(u64),
    /// The stored length does not follow from the plaintext length.
    #[error("a segment of {plaintext} bytes is stored in {expected} bytes, not {stored}")]
    StoredLen {
        /// The plaintext length given.
        plaintext: u64,
        /// The stored length given.
        stored: u64,
        /// The only stored length it can have.
        expected: u64,
    },
}

impl BadInfo {
    /// Whose fault this is.
    pub fn fault(self) -> Fault {
        Fault::Hostile
    }
}

impl SegmentInfo {
    /// Checks the two lengths against each other.
    ///
    /// # Errors
    /// [`BadInfo`].
    pub fn new(suite: Suite, plaintext_len: u64, stored_len: u64, digest: Digest) -> Result<Self, BadInfo> {
        let info = Self::of(suite, plaintext_len, digest)?;
        let expected = info.stored_len();
        if stored_len != expected {
            return Err(BadInfo::StoredLen { plaintext: plaintext_len, stored: stored_len, expected });
        }
        Ok(info)
    }

    /// A list or a map: laid out like a segment, with a limit of its own.
    ///
    /// # Errors
    /// [`BadInfo::TooLong`].
    pub fn manifest(suite: Suite, plaintext_len: u64, digest: Digest) -> Result<Self, BadInfo> {
        if plaintext_len > crate::record::MAX_MANIFEST_LEN {
            return Err(BadInfo::TooLong(plaintext_len));
        }
        Ok(Self { suite, plaintext_len, digest })
    }

    pub(super) fn of(suite: Suite, plaintext_len: u64, digest: Digest) -> Result<Self, BadInfo> {
        if plaintext_len > MAX_PLAINTEXT_LEN {
            return Err(BadInfo::TooLong(plaintext_len));
        }
        Ok(Self { suite, plaintext_len, digest })
    }

    /// Algorithms: those of the version record.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Plaintext bytes.
    pub fn plaintext_len(&self) -> u64 {
        self.plaintext_len
    }

    /// Bytes in the depot: message and outboard.
    pub fn stored_len(&self) -> u64 {
        self.tail_range().end
    }

    /// Bytes of the message, which comes first.
    pub fn sealed_len(&self) -> u64 {
        chunked::HEADER_LEN as u64
            + self.plaintext_len
            + chunked::chunk_count(self.plaintext_len) * chunked::TAG_LEN as u64
    }

    /// The root over all groups of the message.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Number of groups, at least one.
    pub fn group_count(&self) -> u64 {
        group_count(self.plaintext_len)
    }

    /// Number of blocks of [`BLOCK_LEAVES`] leaves, the last one possibly shorter.
    pub fn block_count(&self) -> u64 {
        self.group_count().div_ceil(BLOCK_LEAVES)
    }

    /// Where the header is.
    pub fn header_range(&self) -> Range<u64> {
        0..chunked::HEADER_LEN as u64
    }

    /// Where the whole outboard is.
    pub fn tail_range(&self) -> Range<u64> {
        let start = self.sealed_len();
        start..start + (self.block_count() + self.group_count()) * DIGEST_LEN as u64
    }

    /// Where the tops are.
    pub fn tops_range(&self) -> Range<u64> {
        let start = self.sealed_len();
        start..start + self.block_count() * DIGEST_LEN as u64
    }

    /// Where a block of leaves is; empty if there is no such block.
    pub fn block_range(&self, block: u64) -> Range<u64> {
        let leaves = self.tops_range().end;
        let of = |leaf: u64| leaves + leaf.min(self.group_count()) * DIGEST_LEN as u64;
        of(block.saturating_mul(BLOCK_LEAVES))..of(block.saturating_add(1).saturating_mul(BLOCK_LEAVES))
    }

    /// The block that holds a group's leaf.
    pub fn block_of(&self, group: u64) -> u64 {
        group / BLOCK_LEAVES
    }

    /// The groups that hold a range of plaintext; none for an empty range.
    pub fn groups_of(&self, plaintext: &Range<u64>) -> Range<u64> {
        let end = plaintext.end.min(self.plaintext_len);
        if plaintext.start >= end {
            return 0..0;
        }
        plaintext.start / GROUP_LEN as u64..end.div_ceil(GROUP_LEN as u64)
    }

    /// Where groups are stored; the header is part of group 0.
    pub fn groups_range(&self, groups: &Range<u64>) -> Range<u64> {
        self.group_start(groups.start)..self.group_start(groups.end)
    }

    /// The group that a stored offset lies in, or `None` in the outboard.
    pub fn group_at(&self, stored_offset: u64) -> Option<u64> {
        let body = stored_offset.saturating_sub(chunked::HEADER_LEN as u64);
        (stored_offset < self.sealed_len()).then_some(body / SEALED_GROUP_LEN as u64)
    }

    /// Where a group starts; past the last one, where the message ends.
    pub(super) fn group_start(&self, group: u64) -> u64 {
        match group {
            0 => 0,
            group if group >= self.group_count() => self.sealed_len(),
            group => chunked::HEADER_LEN as u64 + group * SEALED_GROUP_LEN as u64,
        }
    }
}
