//! Version objects: sealed list, sealed map and version record in one object.

use std::fmt;

use seal::manifest::Source;
use seal::object::{TRAILER_LEN, record_range};
use seal::record::{VersionDigest, VersionRecord, digest_of};

use super::{Error, Result, Unit};
use crate::error::Error as StoreError;
use crate::key::Key;
use crate::store::{Object, Store, Upload};

/// A version object that is open for reading. It is a [`Source`] for the readers of list and map, which verify what they read.
#[derive(Debug)]
pub struct VersionObject {
    object: Box<dyn Object>,
}

impl VersionObject {
    /// Opens a version object. Nothing is verified yet.
    ///
    /// # Errors
    /// The store's errors.
    pub fn open(store: &dyn Store, key: &Key) -> Result<Self> {
        Ok(Self { object: store.open(key)? })
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
        let len = self.object.len_bytes();
        let corrupt = |offset| Error::Corrupt { key: *self.key(), offset, what: Unit::Record };
        let trailer_at = len.checked_sub(TRAILER_LEN as u64).ok_or_else(|| corrupt(0))?;
        let mut trailer = [0; TRAILER_LEN];
        self.read_at(trailer_at, &mut trailer)?;
        let range = record_range(len, &trailer).map_err(|_| corrupt(trailer_at))?;
        // `record_range` bounds the length.
        let mut bytes = vec![0; usize::try_from(range.end - range.start).map_err(|_| corrupt(trailer_at))?];
        self.read_at(range.start, &mut bytes)?;
        if digest_of(&bytes) != *digest {
            return Err(corrupt(range.start));
        }
        let record = VersionRecord::decode(&bytes).map_err(|_| corrupt(range.start))?;
        // Bytes between map and record belong to nobody.
        let end_of_map = record.map.offset.saturating_add(record.map.stored_len);
        if end_of_map != range.start {
            return Err(corrupt(end_of_map.min(range.start)));
        }
        Ok(record)
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

impl VersionObject {
    /// Stored bytes as they are. Only their reader can verify them.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.object.read_at(offset, out).map_err(|error| match error {
            StoreError::PastEnd { key, object_len, .. } => {
                Error::Corrupt { key, offset: object_len, what: Unit::Length }
            }
            other => Error::Store(other),
        })
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
