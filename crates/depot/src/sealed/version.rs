//! Version objects: sealed list, sealed map and version record in one object.

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use seal::manifest::Source;
use seal::object::{TRAILER_LEN, record_range};
use seal::record::{Manifest, VersionDigest, VersionRecord, digest_of};
use seal::segment::{Outboard, SegmentInfo};
use seal::tree::Digest;

use super::reader::{by_groups, load_blocks, of_part, read, read_range, shifted, top, with_copies};
use super::{Error, Result, Scratch, Unit};
use crate::key::Key;
use crate::store::{Object, Store, Upload};

/// A version object that is open for reading. It is a [`Source`] for the readers of list and map, which verify what they read.
///
/// Where there are copies of it, list and map are verified here as well, without their keys: their readers could not ask for the next one.
#[derive(Debug)]
pub struct VersionObject {
    object: Box<dyn Object>,
    parts: Vec<Part>,
}

impl VersionObject {
    /// Opens a version object. Nothing is verified yet.
    ///
    /// # Errors
    /// The store's errors.
    pub fn open(store: &dyn Store, key: &Key) -> Result<Self> {
        Ok(Self { object: store.open(key)?, parts: Vec::new() })
    }

    /// Opens the version object of a verified record.
    ///
    /// # Errors
    /// The store's errors.
    pub fn of(store: &dyn Store, record: &VersionRecord) -> Result<Self> {
        let object = store.open(&Key::new(record.vault, record.object))?;
        let parts = if object.is_copied() { parts(record)? } else { Vec::new() };
        Ok(Self { object, parts })
    }

    /// The object's name.
    #[must_use]
    pub fn key(&self) -> &Key {
        self.object.key()
    }

    /// Reads the version record, verified against the version digest.
    ///
    /// # Errors
    /// [`Error::Corrupt`] unless this is exactly the record that the digest names, and it begins where the map ends; the store's errors.
    pub fn record(&self, digest: &VersionDigest) -> Result<VersionRecord> {
        with_copies(&*self.object, |copy| record(copy, digest).map(|(record, _)| record))
    }
}

/// A copy's record and the bytes from there to the end of the object.
pub(super) fn record(object: &dyn Object, digest: &VersionDigest) -> Result<(VersionRecord, Vec<u8>)> {
    let len = object.len_bytes();
    let corrupt = |offset| Error::Corrupt { key: *object.key(), offset, what: Unit::Record };
    let trailer_at = len.checked_sub(TRAILER_LEN as u64).ok_or_else(|| corrupt(0))?;
    let mut trailer = [0; TRAILER_LEN];
    read(object, trailer_at, &mut trailer)?;
    let range = record_range(len, &trailer).map_err(|_| corrupt(trailer_at))?;
    // `record_range` bounds the length.
    let mut bytes = vec![0; usize::try_from(range.end - range.start).map_err(|_| corrupt(trailer_at))?];
    read(object, range.start, &mut bytes)?;
    if digest_of(&bytes) != *digest {
        return Err(corrupt(range.start));
    }
    let record = VersionRecord::decode(&bytes).map_err(|_| corrupt(range.start))?;
    // Bytes between map and record belong to nobody.
    let end_of_map = record.map.offset.saturating_add(record.map.stored_len);
    if end_of_map != range.start {
        return Err(corrupt(end_of_map.min(range.start)));
    }
    bytes.extend_from_slice(&trailer);
    Ok((record, bytes))
}

/// List and map of a record.
pub(super) fn parts(record: &VersionRecord) -> Result<Vec<Part>> {
    let part = |manifest: &Manifest| {
        let digest = Digest::from_bytes(manifest.digest);
        let info = SegmentInfo::manifest(record.suite, manifest.plaintext_len, digest);
        let info = info.map_err(|_| Error::Misuse("a record whose lengths do not agree"))?;
        Ok(Part { base: manifest.offset, info, tree: OnceLock::new() })
    };
    [&record.list, &record.map].into_iter().map(part).collect()
}

/// A list or a map in its version object.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) base: u64,
    pub(super) info: SegmentInfo,
    tree: OnceLock<Outboard>,
}

impl Part {
    fn holds(&self, range: &Range<u64>) -> bool {
        self.base <= range.start && range.end <= self.base.saturating_add(self.info.stored_len())
    }

    fn tree(&self, object: &dyn Object) -> Result<&Outboard> {
        if let Some(tree) = self.tree.get() {
            return Ok(tree);
        }
        let tree = with_copies(object, |copy| top(copy, self.base, self.info))?;
        Ok(self.tree.get_or_init(|| tree))
    }

    /// Reads a range that it holds, from whichever copy has it right.
    fn read(&self, object: &dyn Object, range: &Range<u64>, out: &mut [u8]) -> Result<()> {
        let tree = self.tree(object)?;
        let within = range.start - self.base..range.end - self.base;
        let (first, last) = (self.info.group_at(within.start), self.info.group_at(within.end.saturating_sub(1)));
        let (Some(first), Some(last)) = (first, last) else {
            return with_copies(object, |copy| {
                read(copy, range.start, out)?;
                self.check_tail(tree, &within, out).map_err(|e| of_part(e, copy, self.base, &self.info))
            });
        };
        let (groups, mut scratch) = (first..last + 1, Scratch::default());
        with_copies(object, |copy| load_blocks(copy, self.base, tree, &groups, &mut scratch))?;
        by_groups(object, &groups, |copy, some| {
            let whole = self.info.groups_range(some);
            let bytes = read_range(copy, &shifted(&whole, self.base), &mut scratch)?;
            tree.verify_groups(some.start, bytes).map_err(|e| of_part(e, copy, self.base, &self.info))?;
            let part = whole.start.max(within.start)..whole.end.min(within.end);
            let asked = slice(bytes, part.start - whole.start, part.end - whole.start);
            let to = slice_mut(out, part.start - within.start, part.end - within.start);
            let (asked, to) = asked.zip(to).ok_or(Error::Misuse("a range outside of its groups"))?;
            to.copy_from_slice(asked);
            Ok(())
        })
    }

    /// Checks the digests in a range of the tail.
    fn check_tail(
        &self,
        tree: &Outboard,
        within: &Range<u64>,
        bytes: &[u8],
    ) -> std::result::Result<(), seal::segment::Error> {
        let of = |range: Range<u64>| {
            let from = usize::try_from(range.start.checked_sub(within.start)?).ok()?;
            let to = usize::try_from(range.end.checked_sub(within.start)?).ok()?;
            bytes.get(from..to)
        };
        if let Some(tops) = of(self.info.tops_range()) {
            Outboard::from_tops(self.info, tops)?;
        }
        for block in 0..self.info.block_count() {
            if let Some(leaves) = of(self.info.block_range(block)) {
                tree.load_block(block, leaves)?;
            }
        }
        Ok(())
    }
}

impl Source for &VersionObject {
    type Error = Error;

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        VersionObject::read_at(self, offset, out)
    }
}

impl Source for VersionObject {
    type Error = Error;

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        Self::read_at(self, offset, out)
    }
}

fn slice(bytes: &[u8], from: u64, to: u64) -> Option<&[u8]> {
    bytes.get(usize::try_from(from).ok()?..usize::try_from(to).ok()?)
}

fn slice_mut(bytes: &mut [u8], from: u64, to: u64) -> Option<&mut [u8]> {
    bytes.get_mut(usize::try_from(from).ok()?..usize::try_from(to).ok()?)
}

impl VersionObject {
    /// Stored bytes; those of the list and the map are verified if there are copies, else only their reader can do so.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let range = offset..offset.saturating_add(out.len() as u64);
        match self.parts.iter().find(|part| part.holds(&range) && !range.is_empty()) {
            Some(part) => part.read(&*self.object, &range, out),
            None => read(&*self.object, offset, out),
        }
    }
}

/// An object that is written from front to back, in steps of 1 MiB.
#[must_use = "an object that is not closed is not there"]
pub struct Appender {
    upload: Box<dyn Upload>,
    buffer: Vec<u8>,
    position: u64,
}

impl Appender {
    /// Starts a new object.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub fn create(store: &dyn Store, key: &Key) -> Result<Self> {
        Ok(Self { upload: store.create(key)?, buffer: Vec::new(), position: 0 })
    }

    /// How many bytes were appended.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position + self.buffer.len() as u64
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// As [`Upload::write_at`]; the object cannot be closed after that.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= APPEND_STEP { self.flush() } else { Ok(()) }
    }

    /// Ends the object. It is there when the upload is finished, for example with others by [`crate::finish_all`].
    ///
    /// # Errors
    /// As [`Upload::write_at`].
    pub fn close(mut self) -> Result<Box<dyn Upload>> {
        self.flush()?;
        Ok(self.upload)
    }

    fn flush(&mut self) -> Result<()> {
        self.upload.write_at(self.position, &self.buffer)?;
        self.position += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

impl fmt::Debug for Appender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Appender({} bytes)", self.position())
    }
}

const APPEND_STEP: usize = 1 << 20;
