//! The tree's digests, verified as they are loaded.

use std::sync::OnceLock;

use super::{BLOCK_LEAVES, Error, SegmentInfo};
use crate::tree::{self, DIGEST_LEN, Digest};
use crate::{Corrupt, Suite};

/// The verified part of a segment's tree. It needs no key: whoever has the digest can verify ciphertext.
///
/// Blocks can be loaded from any thread; everything in here was checked against the digest of the [`SegmentInfo`]. Fully loaded it
/// holds 32 bytes for each 64 KiB of the segment.
#[derive(Debug)]
pub struct Outboard {
    info: SegmentInfo,
    tops: Vec<Digest>,
    blocks: Vec<OnceLock<Vec<Digest>>>,
}

impl Outboard {
    /// Starts with the tops only, read from [`SegmentInfo::tops_range`].
    ///
    /// # Errors
    /// [`Error::Corrupt`] unless they are as many as the segment has and give its digest.
    pub fn from_tops(info: SegmentInfo, tops: &[u8]) -> Result<Self, Error> {
        let range = info.tops_range();
        let corrupt = Corrupt::at(range.start);
        if tops.len() as u64 != range.end - range.start {
            return Err(corrupt.into());
        }
        let tops = parse(tops);
        if tree::root(info.suite(), &tops) != *info.digest() {
            return Err(corrupt.into());
        }
        let blocks = tops.iter().map(|_| OnceLock::new()).collect();
        Ok(Self { info, tops, blocks })
    }

    /// Loads the whole tail, read from [`SegmentInfo::tail_range`].
    ///
    /// # Errors
    /// [`Error::Corrupt`] at the tops or at the block of leaves that is wrong, or if the tail has another length.
    pub fn whole(info: SegmentInfo, tail: &[u8]) -> Result<Self, Error> {
        let range = info.tail_range();
        let corrupt = Corrupt::at(range.start);
        if tail.len() as u64 != range.end - range.start {
            return Err(corrupt.into());
        }
        let tops_len = info.block_count() as usize * DIGEST_LEN;
        let (tops, leaves) = tail.split_at_checked(tops_len).ok_or(corrupt)?;
        let outboard = Self::from_tops(info, tops)?;
        for (block, bytes) in (0..).zip(leaves.chunks(BLOCK_LEN)) {
            outboard.load_block(block, bytes)?;
        }
        Ok(outboard)
    }

    /// Adds a block of leaves, read from [`SegmentInfo::block_range`]. Loading one twice is harmless.
    ///
    /// # Errors
    /// [`Error::Corrupt`] unless they give the block's top; [`Error::Misuse`] if there is no such block.
    pub fn load_block(&self, block: u64, bytes: &[u8]) -> Result<(), Error> {
        let at = usize::try_from(block).map_err(|_| NO_BLOCK)?;
        let (top, slot) = self.tops.get(at).zip(self.blocks.get(at)).ok_or(NO_BLOCK)?;
        let range = self.info.block_range(block);
        let corrupt = Corrupt::at(range.start);
        if bytes.len() as u64 != range.end - range.start {
            return Err(corrupt.into());
        }
        let leaves = parse(bytes);
        if tree::root(self.info.suite(), &leaves) != *top {
            return Err(corrupt.into());
        }
        slot.get_or_init(|| leaves);
        Ok(())
    }

    /// Blocks that `groups` need and that are not loaded yet.
    pub fn missing_blocks(&self, groups: &std::ops::Range<u64>) -> impl Iterator<Item = u64> {
        let wanted = match groups.is_empty() {
            true => 0..0,
            false => groups.start / BLOCK_LEAVES..groups.end.div_ceil(BLOCK_LEAVES),
        };
        (0..)
            .zip(&self.blocks)
            .skip(usize::try_from(wanted.start).unwrap_or(usize::MAX))
            .take_while(move |(block, _)| *block < wanted.end)
            .filter(|(_, slot)| slot.get().is_none())
            .map(|(block, _)| block)
    }

    /// The segment this belongs to.
    pub fn info(&self) -> &SegmentInfo {
        &self.info
    }

    /// Verifies groups from `first_group` on, without a key. `sealed` is what [`SegmentInfo::groups_range`] says: whole groups.
    ///
    /// # Errors
    /// [`Error::Corrupt`] at the first group that is not the sealed one; [`Error::NotLoaded`]; [`Error::Misuse`] for a part of a group
    /// or more than the segment has.
    pub fn verify_groups(&self, first_group: u64, sealed: &[u8]) -> Result<(), Error> {
        let mut rest = sealed;
        let mut group = first_group;
        while !rest.is_empty() {
            let (bytes, after) = self.split_group(group, rest)?;
            self.verify_group(group, bytes)?;
            rest = after;
            group += 1;
        }
        Ok(())
    }

    /// Cuts the bytes of `group` off the front.
    pub(super) fn split_group<'a>(&self, group: u64, sealed: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), Error> {
        if group >= self.info.group_count() {
            return Err(Error::Misuse("the segment has no such group"));
        }
        let len = self.info.group_start(group + 1) - self.info.group_start(group);
        sealed.split_at_checked(len as usize).ok_or(Error::Misuse("the sealed bytes end inside a group"))
    }

    /// Verifies the bytes of one group.
    pub(super) fn verify_group(&self, group: u64, bytes: &[u8]) -> Result<(), Error> {
        let block = group / BLOCK_LEAVES;
        let leaves = usize::try_from(block).ok().and_then(|at| self.blocks.get(at)).ok_or(NO_BLOCK)?;
        let leaf = leaves.get().ok_or(Error::NotLoaded(block))?.get((group % BLOCK_LEAVES) as usize);
        if leaf != Some(&tree::leaf(self.info.suite(), bytes)) {
            return Err(Corrupt::at(self.info.group_start(group)).into());
        }
        Ok(())
    }
}

/// The tail for these leaves, and the digest.
pub(crate) fn build(suite: Suite, leaves: &[Digest]) -> (Vec<u8>, Digest) {
    let tops: Vec<Digest> = leaves.chunks(BLOCK_LEAVES as usize).map(|block| tree::root(suite, block)).collect();
    let tail = tops.iter().chain(leaves).flat_map(|digest| *digest.as_bytes()).collect();
    (tail, tree::root(suite, &tops))
}

fn parse(bytes: &[u8]) -> Vec<Digest> {
    let (digests, _) = bytes.as_chunks::<DIGEST_LEN>();
    digests.iter().copied().map(Digest::from_bytes).collect()
}

const BLOCK_LEN: usize = BLOCK_LEAVES as usize * DIGEST_LEN;
const NO_BLOCK: Error = Error::Misuse("the segment has no such block");
