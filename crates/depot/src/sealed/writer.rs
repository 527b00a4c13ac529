//! Sealing a segment and uploading it, by several threads.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use seal::Suite;
use seal::secret::PackKey;
use seal::segment::{GROUP_LEN, SegmentContext, SegmentInfo, SegmentSealer, block_group_count, sealed_groups_len};
use seal::tree::Digest;

use super::{Error, Result, Scratch};
use crate::key::Key;
use crate::store::{Store, Upload};

/// A segment that is being sealed and uploaded.
///
/// Blocks are claimed by their first group. Every block but the last is a whole number of groups (64 KiB each); about 1 MiB is a good size. A segment
/// that is dropped leaves no object; one that failed is begun anew, with a new object.
#[must_use = "a segment that is not finished leaves no object"]
pub struct SegmentWriter {
    key: Key,
    upload: Box<dyn Upload>,
    sealer: SegmentSealer,
    leaves: Mutex<Vec<Digest>>,
}

impl SegmentWriter {
    /// Starts a segment in a new object.
    ///
    /// # Errors
    /// As [`Store::create`]; [`Error::Seal`] without randomness.
    pub fn create(
        store: &dyn Store,
        key: &Key,
        suite: Suite,
        pack_key: &PackKey,
        context: &SegmentContext,
    ) -> Result<Self> {
        let sealer = SegmentSealer::new(suite, pack_key, context).map_err(Error::Seal)?;
        Ok(Self { key: *key, upload: store.create(key)?, sealer, leaves: Mutex::default() })
    }

    /// The object's name.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Seals and uploads the plaintext that begins at `first_group`. Threads write different blocks, in any order.
    ///
    /// # Errors
    /// [`Error::Misuse`] for a group that was written before, a second short block, or more than 1 GiB; the store's errors. The segment cannot be
    /// finished after that.
    pub fn write(&self, first_group: u64, plaintext: &[u8], scratch: &mut Scratch) -> Result<()> {
        if plaintext.is_empty() {
            return Err(Error::Misuse("a block without bytes"));
        }
        self.write_steps(first_group, plaintext, None, scratch)
    }

    /// [`Self::write`] that also gives the tree leaf of each group of plaintext, for the digest of a file that begins at a group's start.
    /// `plain_leaves` has one place for each group of plaintext.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_digesting(
        &self,
        first_group: u64,
        plaintext: &[u8],
        plain_leaves: &mut [Digest],
        scratch: &mut Scratch,
    ) -> Result<()> {
        if plaintext.is_empty() || plain_leaves.len() != block_group_count(plaintext.len()) {
            return Err(Error::Misuse("a block without bytes, or with another number of leaves than groups"));
        }
        self.write_steps(first_group, plaintext, Some(plain_leaves), scratch)
    }

    /// Ends the segment: writes the tree and makes the object durable. `plaintext_len` is the length of all blocks together.
    ///
    /// # Errors
    /// [`Error::Misuse`] if a block is missing or the length is another; as [`Upload::finish`].
    pub fn finish(self, plaintext_len: u64) -> Result<SegmentInfo> {
        let (info, upload) = self.close(plaintext_len)?;
        upload.finish()?;
        Ok(info)
    }

    /// [`Self::finish`] without the last step, for [`crate::finish_all`]: the object is not there before the upload is finished.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub fn close(self, plaintext_len: u64) -> Result<(SegmentInfo, Box<dyn Upload>)> {
        if plaintext_len.is_multiple_of(GROUP_LEN as u64) {
            // A message ends with a short chunk, here an empty one.
            self.step(plaintext_len / GROUP_LEN as u64, &[], None, &mut Scratch::default())?;
        }
        let leaves = self.leaves.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (tail, info) = self.sealer.finish(&leaves).map_err(misuse_or)?;
        if info.plaintext_len() != plaintext_len {
            return Err(Error::Misuse("the blocks are not as long together as was said"));
        }
        self.upload.write_at(info.tail_range().start, &tail)?;
        Ok((info, self.upload))
    }

    /// Cuts a block into steps that stay in the cache between sealing and writing.
    fn write_steps(
        &self,
        first_group: u64,
        plaintext: &[u8],
        plain_leaves: Option<&mut [Digest]>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let blocks = (first_group..).step_by(STEP_GROUPS).zip(plaintext.chunks(STEP_GROUPS * GROUP_LEN));
        match plain_leaves {
            None => blocks.into_iter().try_for_each(|(group, plain)| self.step(group, plain, None, scratch)),
            Some(leaves) => blocks
                .zip(leaves.chunks_mut(STEP_GROUPS))
                .try_for_each(|((group, plain), leaves)| self.step(group, plain, Some(leaves), scratch)),
        }
    }

    fn step(
        &self,
        first_group: u64,
        plaintext: &[u8],
        plain_leaves: Option<&mut [Digest]>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let groups = block_group_count(plaintext.len());
        let mut leaves = [Digest::default(); STEP_GROUPS];
        let leaves = leaves.get_mut(..groups).ok_or(Error::Misuse("a step of too many groups"))?;
        let sealed = scratch.sized(sealed_groups_len(first_group, plaintext.len()));
        match plain_leaves {
            None => self.sealer.seal_groups(first_group, plaintext, sealed, leaves),
            Some(plain) => self.sealer.seal_groups_digesting(first_group, plaintext, sealed, leaves, plain),
        }
        .map_err(misuse_or)?;
        self.upload.write_at(group_start(first_group), sealed)?;
        self.keep(first_group, leaves)
    }

    /// Keeps the leaves of a block at their place.
    fn keep(&self, first_group: u64, leaves: &[Digest]) -> Result<()> {
        let first = usize::try_from(first_group).map_err(|_| Error::Misuse("a group past the end"))?;
        let mut all = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < first + leaves.len() {
            all.resize(first + leaves.len(), Digest::default());
        }
        if let Some(places) = all.get_mut(first..first + leaves.len()) {
            places.copy_from_slice(leaves);
        }
        Ok(())
    }
}

impl fmt::Debug for SegmentWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentWriter({})", self.key)
    }
}

/// Where a group is stored.
const fn group_start(group: u64) -> u64 {
    if group == 0 { 0 } else { seal::chunked::HEADER_LEN as u64 + group * seal::segment::SEALED_GROUP_LEN as u64 }
}

/// Sealing has no damaged input: what fails is the caller's rule, or the machine.
fn misuse_or(error: seal::segment::Error) -> Error {
    match error {
        seal::segment::Error::Misuse(what) => Error::Misuse(what),
        other => Error::Seal(other),
    }
}

/// Groups sealed at a time: 256 KiB of plaintext and as much sealed fit into a core's own cache.
const STEP_GROUPS: usize = 4;
