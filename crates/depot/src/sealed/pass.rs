//! A whole stored object, verified without any key and handed on: what a check reads, and what copies and repairs are made of.

use std::ops::Range;

use seal::record::VersionDigest;
use seal::segment::{Outboard, SegmentInfo};

use super::reader::{check_len, load_blocks, of_part, read_range, shifted, step_groups, top, with_copies};
use super::version::{parts, record};
use super::{Error, Result, Scratch};
use crate::key::Key;
use crate::store::{Object, Store};

/// What an object must be, as a version's digest and its record tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The object of the version with this digest.
    Version(VersionDigest),
    /// A segment of a verified record.
    Segment(SegmentInfo),
}

/// Why an object was not handed on to its end.
#[derive(Debug)]
pub enum Stopped<E> {
    /// It is not what it must be, or cannot be read.
    Object(Error),
    /// Whoever takes the bytes failed.
    Sink(E),
}

impl<E> From<Error> for Stopped<E> {
    fn from(error: Error) -> Self {
        Self::Object(error)
    }
}

/// Reads a whole object from front to back and gives every byte, with its offset, to `sink`: in order, once, and none before it was
/// verified. Answers its length. Where there are copies, bytes that are wrong in one are read from the next.
///
/// # Errors
/// [`Stopped::Object`] at the first byte that is right in no copy; [`Stopped::Sink`].
pub fn pass<E>(
    store: &dyn Store,
    key: &Key,
    expected: &Expected,
    mut sink: impl FnMut(u64, &[u8]) -> std::result::Result<(), E>,
) -> std::result::Result<u64, Stopped<E>> {
    let object = store.open(key).map_err(Error::from)?;
    let mut scratch = Scratch::default();
    match expected {
        Expected::Segment(info) => {
            let tree = with_copies(&*object, |copy| {
                check_len(copy, info.stored_len())?;
                top(copy, 0, *info)
            })?;
            stretch(&*object, 0, &tree, &mut scratch, &mut sink)?;
            Ok(info.stored_len())
        }
        Expected::Version(digest) => {
            let (record, end) = with_copies(&*object, |copy| record(copy, digest))?;
            for part in parts(&record)? {
                let tree = with_copies(&*object, |copy| top(copy, part.base, part.info))?;
                stretch(&*object, part.base, &tree, &mut scratch, &mut sink)?;
            }
            let at = record.map.offset.saturating_add(record.map.stored_len);
            sink(at, &end).map_err(Stopped::Sink)?;
            Ok(at.saturating_add(end.len() as u64))
        }
    }
}

/// Hands on what begins at `base`: its groups, then its tail.
fn stretch<E>(
    object: &dyn Object,
    base: u64,
    tree: &Outboard,
    scratch: &mut Scratch,
    sink: &mut impl FnMut(u64, &[u8]) -> std::result::Result<(), E>,
) -> std::result::Result<(), Stopped<E>> {
    let info = tree.info();
    let mut first = 0;
    while first < info.group_count() {
        let step = first..info.group_count().min(first + step_groups(object));
        with_copies(object, |copy| load_blocks(copy, base, tree, &step, scratch))?;
        let whole = with_copies(object, |copy| groups(copy, base, tree, &step, scratch));
        // Where no copy has all of them, each is taken from whichever has it.
        let one_by_one = whole.is_err() && object.is_copied();
        let parts: Vec<Range<u64>> = match one_by_one {
            true => step.clone().map(|group| group..group + 1).collect(),
            false => vec![step.clone()],
        };
        if !one_by_one {
            whole?;
        }
        for part in parts {
            if one_by_one {
                with_copies(object, |copy| groups(copy, base, tree, &part, scratch))?;
            }
            let range = shifted(&info.groups_range(&part), base);
            sink(range.start, taken(scratch, &range)?).map_err(Stopped::Sink)?;
        }
        first = step.end;
    }
    let range = shifted(&info.tops_range(), base);
    with_copies(object, |copy| {
        let tops = read_range(copy, &range, scratch)?;
        Outboard::from_tops(*info, tops).map(drop).map_err(|e| of_part(e, copy, base, info))
    })?;
    sink(range.start, taken(scratch, &range)?).map_err(Stopped::Sink)?;
    for block in 0..info.block_count() {
        let range = shifted(&info.block_range(block), base);
        with_copies(object, |copy| {
            let leaves = read_range(copy, &range, scratch)?;
            tree.load_block(block, leaves).map_err(|e| of_part(e, copy, base, info))
        })?;
        sink(range.start, taken(scratch, &range)?).map_err(Stopped::Sink)?;
    }
    Ok(())
}

/// Reads groups and verifies them; they are at the beginning of the scratch then.
fn groups(copy: &dyn Object, base: u64, tree: &Outboard, step: &Range<u64>, scratch: &mut Scratch) -> Result<()> {
    let bytes = read_range(copy, &shifted(&tree.info().groups_range(step), base), scratch)?;
    tree.verify_groups(step.start, bytes).map_err(|e| of_part(e, copy, base, tree.info()))
}

/// What was read into the scratch last.
fn taken<'a>(scratch: &'a mut Scratch, range: &Range<u64>) -> Result<&'a [u8]> {
    let len = usize::try_from(range.end - range.start).map_err(|_| Error::Misuse("a range longer than memory"))?;
    Ok(scratch.sized(len))
}
