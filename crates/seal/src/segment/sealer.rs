//! Sealing a segment, by several threads at once.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Error, GROUP_CHUNKS, GROUP_LEN, MAX_PLAINTEXT_LEN, SegmentContext, SegmentInfo};
use super::{block_group_count, group_count, outboard, sealed_groups_len};
use crate::Suite;
use crate::chunked::{CHUNK_LEN, Cipher, HEADER_LEN, Header, TAG_LEN};
use crate::secret::PackKey;
use crate::tree::{self, Digest};

/// Seals one segment. Threads seal different blocks of whole groups; each group can be sealed once.
///
/// The segment ends with the block that is not a whole number of groups. If the plaintext is, an empty block ends it. An interrupted
/// segment is thrown away: a new one draws a new salt.
#[must_use = "a segment without its tail does not open"]
pub struct SegmentSealer {
    suite: Suite,
    cipher: Cipher,
    header: Header,
    /// One bit for each group that was sealed: a group sealed twice would use its nonces twice.
    sealed: Vec<AtomicU64>,
    /// The plaintext length plus one, once the last block is sealed.
    end: AtomicU64,
}

impl SegmentSealer {
    /// Draws a salt and derives the segment's key.
    ///
    /// # Errors
    /// [`Error::Entropy`].
    pub fn new(suite: Suite, key: &PackKey, context: &SegmentContext) -> Result<Self, Error> {
        let (cipher, header) = Cipher::fresh(key.expose_bytes(), &context.encode(suite))?;
        Ok(Self::with_cipher(suite, cipher, header))
    }

    pub(super) fn with_cipher(suite: Suite, cipher: Cipher, header: Header) -> Self {
        let words = group_count(MAX_PLAINTEXT_LEN).div_ceil(u64::from(u64::BITS));
        Self { suite, cipher, header, sealed: (0..words).map(|_| AtomicU64::new(0)).collect(), end: AtomicU64::new(0) }
    }

    /// Seals the plaintext that begins at `first_group` into `out`, and writes the leaf of each group.
    ///
    /// `out` is [`sealed_groups_len`] bytes, to be stored at [`SegmentInfo::groups_range`], that is behind the blocks before it;
    /// `leaves` is [`block_group_count`] long. A block that is not a whole number of groups, also an empty one, ends the segment.
    ///
    /// # Errors
    /// [`Error::Misuse`] for buffers of other lengths, a group that was sealed before, a second end, or more than 1 GiB.
    pub fn seal_groups(
        &self,
        first_group: u64,
        plaintext: &[u8],
        out: &mut [u8],
        leaves: &mut [Digest],
    ) -> Result<(), Error> {
        self.seal(first_group, plaintext, out, leaves, &mut [])
    }

    /// [`Self::seal_groups`] that also writes the [`tree::leaf`] of each group of plaintext while it is in the cache: for a file that
    /// begins at a group boundary. `plain_leaves` has one place for each group of plaintext, so none for an empty block.
    ///
    /// # Errors
    /// As [`Self::seal_groups`].
    pub fn seal_groups_digesting(
        &self,
        first_group: u64,
        plaintext: &[u8],
        out: &mut [u8],
        leaves: &mut [Digest],
        plain_leaves: &mut [Digest],
    ) -> Result<(), Error> {
        if plain_leaves.len() != plaintext.len().div_ceil(GROUP_LEN) {
            return Err(Error::Misuse("one plaintext leaf for each group of plaintext"));
        }
        self.seal(first_group, plaintext, out, leaves, plain_leaves)
    }

    /// Ends the segment: the tail to store behind the message, and what the version record says.
    ///
    /// # Errors
    /// [`Error::Misuse`] unless every group up to the end was sealed and has its leaf.
    pub fn finish(self, leaves: &[Digest]) -> Result<(Vec<u8>, SegmentInfo), Error> {
        let end =
            self.end.load(Ordering::Acquire).checked_sub(1).ok_or(Error::Misuse("the segment has no last block"))?;
        let groups = group_count(end);
        let none_after =
            self.sealed.iter().map(|word| u64::from(word.load(Ordering::Acquire).count_ones())).sum::<u64>() == groups;
        let all_before = (0..groups).all(|group| self.is_sealed(group));
        if !all_before || !none_after || leaves.len() as u64 != groups {
            return Err(Error::Misuse("the segment lacks groups or leaves"));
        }
        let (tail, digest) = outboard::build(self.suite, leaves);
        let info = SegmentInfo::of(self.suite, end, digest).map_err(|_| Error::Failed)?;
        Ok((tail, info))
    }

    fn is_sealed(&self, group: u64) -> bool {
        self.sealed.get((group / 64) as usize).is_some_and(|word| word.load(Ordering::Acquire) >> (group % 64) & 1 == 1)
    }

    fn seal(
        &self,
        first_group: u64,
        plaintext: &[u8],
        out: &mut [u8],
        leaves: &mut [Digest],
        plain_leaves: &mut [Digest],
    ) -> Result<(), Error> {
        let groups = block_group_count(plaintext.len());
        if leaves.len() != groups || out.len() != sealed_groups_len(first_group, plaintext.len()) {
            return Err(Error::Misuse("the sealed buffer or the leaves do not fit the block"));
        }
        self.claim(first_group, plaintext.len())?;
        let mut plain = plaintext;
        let mut rest = out;
        let mut plain_leaves = plain_leaves.iter_mut();
        for (group, leaf) in (first_group..).zip(leaves) {
            let (now, later) = plain.split_at(plain.len().min(GROUP_LEN));
            let (sealed, after) =
                rest.split_at_mut_checked(sealed_groups_len(group, now.len())).ok_or(Error::Failed)?;
            if let Some(plain_leaf) = plain_leaves.next() {
                *plain_leaf = tree::leaf(self.suite, now);
            }
            self.seal_group(group, now, sealed)?;
            *leaf = tree::leaf(self.suite, sealed);
            (plain, rest) = (later, after);
        }
        Ok(())
    }

    fn seal_group(&self, group: u64, plaintext: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let mut rest = out;
        if group == 0 {
            let (header, body) = rest.split_first_chunk_mut::<HEADER_LEN>().ok_or(Error::Failed)?;
            *header = self.header;
            rest = body;
        }
        let mut plain = plaintext;
        let mut chunk = group * GROUP_CHUNKS;
        while !rest.is_empty() {
            let (now, later) = plain.split_at(plain.len().min(CHUNK_LEN));
            let (sealed, after) = rest.split_at_mut_checked(now.len() + TAG_LEN).ok_or(Error::Failed)?;
            self.cipher.seal_at(chunk, now, sealed)?;
            (plain, rest) = (later, after);
            chunk += 1;
        }
        Ok(())
    }

    /// Takes the groups of a block before a nonce is used; if this fails, they stay taken.
    fn claim(&self, first_group: u64, plaintext_len: usize) -> Result<(), Error> {
        let start = first_group.checked_mul(GROUP_LEN as u64).ok_or(TOO_LONG)?;
        let end = start.checked_add(plaintext_len as u64).ok_or(TOO_LONG)?;
        if end > MAX_PLAINTEXT_LEN {
            return Err(TOO_LONG);
        }
        for group in first_group..first_group + block_group_count(plaintext_len) as u64 {
            let word = self.sealed.get((group / 64) as usize).ok_or(TOO_LONG)?;
            let bit = 1 << (group % 64);
            if word.fetch_or(bit, Ordering::AcqRel) & bit != 0 {
                return Err(Error::Misuse("the group is sealed already"));
            }
        }
        let last = plaintext_len == 0 || !plaintext_len.is_multiple_of(GROUP_LEN);
        if last && self.end.compare_exchange(0, end + 1, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return Err(Error::Misuse("the segment has its last block already"));
        }
        Ok(())
    }
}

impl fmt::Debug for SegmentSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SegmentSealer(..)")
    }
}

const TOO_LONG: Error = Error::Misuse("a segment holds at most 1 GiB");
