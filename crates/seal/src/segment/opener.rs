//! Opening a segment, whole or in ranges, by several threads at once.

use std::fmt;
use std::ops::Range;

use zeroize::Zeroizing;

use super::{Error, GROUP_CHUNKS, GROUP_LEN, Outboard, SegmentContext, SegmentInfo};
use crate::Corrupt;
use crate::chunked::{CHUNK_LEN, HEADER_LEN, Opener, SEALED_CHUNK_LEN, TAG_LEN};
use crate::secret::PackKey;

/// Opens one segment against its digest.
pub struct SegmentOpener {
    opener: Opener,
    outboard: Outboard,
}

impl SegmentOpener {
    /// Derives the segment's key, for the suite of the outboard, and checks its commitment. `header` is what [`SegmentInfo::header_range`] says.
    ///
    /// # Errors
    /// [`Error::Corrupt`] at byte 0 for another key, place, suite or header.
    pub fn new(key: &PackKey, context: &SegmentContext, outboard: Outboard, header: &[u8]) -> Result<Self, Error> {
        let header = header.try_into().map_err(|_| Corrupt::at(0))?;
        let opener = Opener::new(key.expose_bytes(), &context.encode(outboard.info().suite()), header)?;
        Ok(Self { opener, outboard })
    }

    /// Opens a list or a map, which is laid out like a segment under a key and a context of its own.
    pub(crate) fn with_opener(opener: Opener, outboard: Outboard) -> Self {
        Self { opener, outboard }
    }

    /// The segment's tree, to load blocks into.
    pub fn outboard(&self) -> &Outboard {
        &self.outboard
    }

    /// The segment's lengths and places.
    pub fn info(&self) -> &SegmentInfo {
        self.outboard.info()
    }

    /// Opens a range of plaintext into `out`, which has the range's length.
    ///
    /// `sealed` is the groups that hold the range: `info.groups_range(&info.groups_of(&range))`. Each group is verified before a byte
    /// of it is decrypted, and only the chunks in the range are. If this fails, `out` is zero.
    ///
    /// # Errors
    /// [`Error::Corrupt`] at the group; [`Error::NotLoaded`]; [`Error::Misuse`] for a range outside the segment or buffers of other
    /// lengths.
    pub fn open_range(&self, range: Range<u64>, sealed: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let opened = self.try_open_range(&range, sealed, out);
        if opened.is_err() {
            out.fill(0);
        }
        opened
    }

    fn try_open_range(&self, range: &Range<u64>, sealed: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let info = self.info();
        if range.start > range.end || range.end > info.plaintext_len() || range.end - range.start != out.len() as u64 {
            return Err(Error::Misuse("the range does not fit the segment or the buffer"));
        }
        let groups = info.groups_of(range);
        let stored = info.groups_range(&groups);
        if sealed.len() as u64 != stored.end - stored.start {
            return Err(Error::Misuse("the sealed bytes are not the groups of the range"));
        }
        let mut sealed = sealed;
        let mut out = out;
        for group in groups {
            let (bytes, after) = self.outboard.split_group(group, sealed)?;
            self.outboard.verify_group(group, bytes)?;
            let start = group * GROUP_LEN as u64;
            let within = range.start.max(start)..range.end.min(start + GROUP_LEN as u64);
            let (now, later) = out.split_at_mut_checked((within.end - within.start) as usize).ok_or(Error::Failed)?;
            self.open_group(group, &within, bytes, now)?;
            (sealed, out) = (after, later);
        }
        Ok(())
    }

    /// Opens the part `within` (offsets in the segment) of one verified group.
    fn open_group(&self, group: u64, within: &Range<u64>, bytes: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let body = match group {
            0 => bytes.get(HEADER_LEN..).ok_or(Error::Failed)?,
            _ => bytes,
        };
        let mut out = out;
        for (index, sealed) in (group * GROUP_CHUNKS..).zip(body.chunks(SEALED_CHUNK_LEN)) {
            let start = index * CHUNK_LEN as u64;
            let end = start + sealed.len().saturating_sub(TAG_LEN) as u64;
            let part = within.start.max(start)..within.end.min(end);
            if part.start >= part.end {
                continue;
            }
            let (now, later) = out.split_at_mut_checked((part.end - part.start) as usize).ok_or(Error::Failed)?;
            if part == (start..end) {
                self.opener.open_chunk(index, sealed, now)?;
            } else {
                let from = (part.start - start) as usize;
                self.open_part(index, sealed, from, now)?;
            }
            out = later;
        }
        Ok(())
    }

    /// Opens a chunk apart and copies the bytes from `from` on that `out` holds.
    fn open_part(&self, index: u64, sealed: &[u8], from: usize, out: &mut [u8]) -> Result<(), Error> {
        let mut chunk = Zeroizing::new([0; CHUNK_LEN]);
        let plain = chunk.get_mut(..sealed.len().saturating_sub(TAG_LEN)).ok_or(Error::Failed)?;
        self.opener.open_chunk(index, sealed, plain)?;
        out.copy_from_slice(plain.get(from..from + out.len()).ok_or(Error::Failed)?);
        Ok(())
    }
}

impl fmt::Debug for SegmentOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentOpener").field("info", self.info()).finish_non_exhaustive()
    }
}
