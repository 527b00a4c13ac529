//! Reading segments: verified first, decrypted after.

use std::fmt;
use std::ops::Range;

use seal::secret::PackKey;
use seal::segment::{GROUP_LEN, Outboard, SEALED_GROUP_LEN, SegmentContext, SegmentInfo, SegmentOpener};

use super::{Error, Result, Scratch, Unit};
use crate::error::Error as StoreError;
use crate::key::Key;
use crate::store::{Object, Store};

/// A stored segment that is open for reading, by any number of threads.
///
/// It keeps the part of the tree that it verified (32 bytes for each 64 KiB once all is loaded), so a repeated read touches only its own groups.
pub struct SegmentReader {
    object: Box<dyn Object>,
    opener: SegmentOpener,
}

impl SegmentReader {
    /// Opens a segment. `info` comes from a verified version record.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a wrong length, header, key, context or tree; the store's errors.
    pub fn open(
        store: &dyn Store,
        key: &Key,
        pack_key: &PackKey,
        context: &SegmentContext,
        info: SegmentInfo,
    ) -> Result<Self> {
        let object = store.open(key)?;
        let mut outboard = Some(with_copies(&*object, |copy| tree(copy, info))?);
        let opener = with_copies(&*object, |copy| {
            let mut header = [0; seal::chunked::HEADER_LEN];
            read(copy, 0, &mut header)?;
            let outboard = match outboard.take() {
                Some(outboard) => outboard,
                None => with_copies(&*object, |copy| tree(copy, info))?,
            };
            SegmentOpener::new(pack_key, context, outboard, &header).map_err(|e| Error::of_segment(e, key, &info))
        })?;
        Ok(Self { object, opener })
    }

    /// The object's name.
    #[must_use]
    pub fn key(&self) -> &Key {
        self.object.key()
    }

    /// The segment's lengths.
    #[must_use]
    pub fn info(&self) -> &SegmentInfo {
        self.opener.info()
    }

    /// Fills `out` with the plaintext from `offset` on. Every group is verified before it is decrypted; on failure `out` is zero.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with the place; [`Error::Misuse`] for a range outside the segment; the store's errors.
    pub fn read(&self, offset: u64, out: &mut [u8], scratch: &mut Scratch) -> Result<()> {
        let filled = self.fill(offset, out, scratch);
        if filled.is_err() {
            out.fill(0);
        }
        filled
    }

    /// Loads the whole tree with one read: worth it before a whole segment is read from a bucket.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn load_tree(&self, scratch: &mut Scratch) -> Result<()> {
        let groups = 0..self.info().group_count();
        with_copies(&*self.object, |object| load_blocks(object, 0, self.opener.outboard(), &groups, scratch))
    }

    fn fill(&self, offset: u64, out: &mut [u8], scratch: &mut Scratch) -> Result<()> {
        let info = *self.info();
        let end = offset.checked_add(out.len() as u64).filter(|end| *end <= info.plaintext_len());
        let end = end.ok_or(Error::Misuse("the range is not inside the segment"))?;
        let (mut start, mut rest) = (offset, out);
        while start < end {
            let step_end = end.min((start / GROUP_LEN as u64 + step_groups(&*self.object)) * GROUP_LEN as u64);
            let step = usize::try_from(step_end - start).map_err(|_| Error::Misuse("a range longer than memory"))?;
            let (now, later) =
                rest.split_at_mut_checked(step).ok_or(Error::Misuse("a range longer than its buffer"))?;
            self.fill_step(&info, start..step_end, now, scratch)?;
            (start, rest) = (step_end, later);
        }
        Ok(())
    }

    fn fill_step(&self, info: &SegmentInfo, range: Range<u64>, out: &mut [u8], scratch: &mut Scratch) -> Result<()> {
        let groups = info.groups_of(&range);
        with_copies(&*self.object, |copy| load_blocks(copy, 0, self.opener.outboard(), &groups, scratch))?;
        by_groups(&*self.object, &groups, |copy, some| {
            let part = range.start.max(some.start * GROUP_LEN as u64)..range.end.min(some.end * GROUP_LEN as u64);
            let place =
                usize::try_from(part.start - range.start).ok().zip(usize::try_from(part.end - range.start).ok());
            let out = place.and_then(|(start, end)| out.get_mut(start..end));
            let out = out.ok_or(Error::Misuse("a range longer than its buffer"))?;
            let sealed = read_range(copy, &info.groups_range(some), scratch)?;
            self.opener.open_range(part, sealed, out).map_err(|e| Error::of_segment(e, self.key(), info))
        })
    }
}

impl fmt::Debug for SegmentReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentReader({})", self.key())
    }
}

/// A stored segment that is verified against its digest without any key.
#[derive(Debug)]
pub struct SegmentCheck {
    object: Box<dyn Object>,
    outboard: Outboard,
}

impl SegmentCheck {
    /// Opens a segment and verifies the top of its tree.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a wrong length or tree; the store's errors.
    pub fn open(store: &dyn Store, key: &Key, info: SegmentInfo) -> Result<Self> {
        let object = store.open(key)?;
        let outboard = with_copies(&*object, |object| tree(object, info))?;
        Ok(Self { object, outboard })
    }

    /// The segment's lengths.
    #[must_use]
    pub fn info(&self) -> &SegmentInfo {
        self.outboard.info()
    }

    /// Verifies some groups. Threads may share the work; all of a segment is `0..info.group_count()`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] at the first group that is wrong; [`Error::Misuse`] for groups that it does not have; the store's errors.
    pub fn verify(&self, groups: Range<u64>, scratch: &mut Scratch) -> Result<()> {
        let info = self.outboard.info();
        if groups.end > info.group_count() {
            return Err(Error::Misuse("the segment has no such group"));
        }
        let mut first = groups.start;
        while first < groups.end {
            let step = first..groups.end.min(first + step_groups(&*self.object));
            with_copies(&*self.object, |copy| load_blocks(copy, 0, &self.outboard, &step, scratch))?;
            by_groups(&*self.object, &step, |copy, some| {
                let sealed = read_range(copy, &info.groups_range(some), scratch)?;
                self.outboard.verify_groups(some.start, sealed).map_err(|e| Error::of_segment(e, copy.key(), info))
            })?;
            first = step.end;
        }
        Ok(())
    }
}

/// Does something with an object, and with its copies one after the other as long as what is there is not what it should be.
///
/// # Errors
/// What the first of them failed with.
pub(super) fn with_copies<T>(object: &dyn Object, mut act: impl FnMut(&dyn Object) -> Result<T>) -> Result<T> {
    let mut first = None;
    let mut at = object;
    loop {
        let error = match act(at) {
            Err(error) if error.is_of_this_copy() => error,
            other => return other,
        };
        let next = at.other(&error);
        let failed = first.get_or_insert(error);
        match next {
            Some(copy) => at = copy,
            None => return Err(std::mem::replace(failed, Error::Misuse("an error that was told"))),
        }
    }
}

/// Does something with groups: with those of one copy, or, if none has them all as they should be, with each of whichever has it.
pub(super) fn by_groups(
    object: &dyn Object,
    groups: &Range<u64>,
    mut act: impl FnMut(&dyn Object, &Range<u64>) -> Result<()>,
) -> Result<()> {
    match with_copies(object, |copy| act(copy, groups)) {
        Err(error) if object.is_copied() && error.is_of_this_copy() && groups.end - groups.start > 1 => {}
        other => return other,
    }
    groups.clone().try_for_each(|group| with_copies(object, |copy| act(copy, &(group..group + 1))))
}

/// Checks the object's length, and verifies the top of its tree.
pub(super) fn tree(object: &dyn Object, info: SegmentInfo) -> Result<Outboard> {
    check_len(object, info.stored_len())?;
    top(object, 0, info)
}

/// Refuses an object of another length.
pub(super) fn check_len(object: &dyn Object, len: u64) -> Result<()> {
    if object.len_bytes() == len {
        return Ok(());
    }
    Err(Error::Corrupt { key: *object.key(), offset: len.min(object.len_bytes()), what: Unit::Length })
}

/// Verifies the top of a tree; what it is the tree of begins at `base` in the object.
pub(super) fn top(object: &dyn Object, base: u64, info: SegmentInfo) -> Result<Outboard> {
    let mut scratch = Scratch::default();
    let tops = read_range(object, &shifted(&info.tops_range(), base), &mut scratch)?;
    Outboard::from_tops(info, tops).map_err(|e| of_part(e, object, base, &info))
}

/// Loads what `groups` need of the tree and what is not loaded yet, neighbours together.
pub(super) fn load_blocks(
    object: &dyn Object,
    base: u64,
    outboard: &Outboard,
    groups: &Range<u64>,
    scratch: &mut Scratch,
) -> Result<()> {
    let info = outboard.info();
    let mut missing = outboard.missing_blocks(groups);
    let Some(first) = missing.next() else { return Ok(()) };
    let last = missing.last().unwrap_or(first);
    let range = info.block_range(first).start..info.block_range(last).end;
    let mut bytes = &*read_range(object, &shifted(&range, base), scratch)?;
    for block in first..=last {
        let len = info.block_range(block);
        let (now, later) = usize::try_from(len.end - len.start)
            .ok()
            .and_then(|len| bytes.split_at_checked(len))
            .unwrap_or((bytes, &[]));
        outboard.load_block(block, now).map_err(|e| of_part(e, object, base, info))?;
        bytes = later;
    }
    Ok(())
}

/// An error in what begins at `base`, with the place in the object.
pub(super) fn of_part(error: seal::segment::Error, object: &dyn Object, base: u64, info: &SegmentInfo) -> Error {
    match Error::of_segment(error, object.key(), info) {
        Error::Corrupt { key, offset, what } => Error::Corrupt { key, offset: offset.saturating_add(base), what },
        other => other,
    }
}

pub(super) fn shifted(range: &Range<u64>, by: u64) -> Range<u64> {
    range.start.saturating_add(by)..range.end.saturating_add(by)
}

pub(super) fn read_range<'a>(
    object: &dyn Object,
    range: &Range<u64>,
    scratch: &'a mut Scratch,
) -> Result<&'a mut [u8]> {
    let len = usize::try_from(range.end.saturating_sub(range.start))
        .map_err(|_| Error::Misuse("a range longer than memory"))?;
    let bytes = scratch.sized(len);
    read(object, range.start, bytes)?;
    Ok(bytes)
}

/// Reads stored bytes. An object that ends early was cut after it was opened.
pub(super) fn read(object: &dyn Object, offset: u64, bytes: &mut [u8]) -> Result<()> {
    object.read_at(offset, bytes).map_err(|error| match error {
        StoreError::PastEnd { key, object_len, .. } => Error::Corrupt { key, offset: object_len, what: Unit::Length },
        other => Error::Store(other),
    })
}

/// Groups read at a time.
pub(super) fn step_groups(object: &dyn Object) -> u64 {
    (object.step_bytes() / SEALED_GROUP_LEN).max(MIN_STEP_GROUPS) as u64
}

const MIN_STEP_GROUPS: usize = 4;
