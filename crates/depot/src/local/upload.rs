//! Writing one object of a local depot.

use std::fs::{File, TryLockError};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::folder::{Folder, map_io};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::store::{Taken, Upload};

/// An upload into a file with a temporary name.
pub(super) struct LocalUpload {
    key: Key,
    file: File,
    unfinished: Folder,
    temporary: String,
    fan: Folder,
    name: String,
    taken: Taken,
    /// Bytes written, to be compared with `end`: a hole or an overlap makes them differ.
    written: AtomicU64,
    end: AtomicU64,
    failed: AtomicBool,
    /// Whether every byte is on disk.
    flushed: AtomicBool,
    moved: bool,
}

impl LocalUpload {
    /// Makes the temporary file.
    pub(super) fn start(key: Key, unfinished: Folder, fan: Folder, name: String, taken: Taken) -> Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let temporary = format!("{name}.{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            if let Some(file) = unfinished.new_file(&temporary, key.into())?
                && hold(&file).map_err(|e| map_io(e, key.into()))?
            {
                return Ok(Self {
                    key,
                    file,
                    unfinished,
                    temporary,
                    fan,
                    name,
                    taken,
                    written: AtomicU64::new(0),
                    end: AtomicU64::new(0),
                    failed: AtomicBool::new(false),
                    flushed: AtomicBool::new(false),
                    moved: false,
                });
            }
        }
    }
}

/// Locks a new temporary file for as long as it is open, which tells a sweep that its upload lives. False if a sweep took it just
/// now. Where the file system has no locks nothing is held, and a sweep removes nothing.
fn hold(file: &File) -> std::io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(file.metadata()?.nlink() > 0),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(_)) => Ok(true),
    }
}

impl Upload for LocalUpload {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let len = bytes.len() as u64;
        let end = offset.checked_add(len).ok_or(Error::Misuse { what: "an offset past 2^64" })?;
        self.flushed.store(false, Ordering::Relaxed);
        self.file.write_all_at(bytes, offset).map_err(|error| {
            self.failed.store(true, Ordering::Relaxed);
            map_io(error, self.key.into())
        })?;
        self.written.fetch_add(len, Ordering::Relaxed);
        self.end.fetch_max(end, Ordering::Relaxed);
        Ok(())
    }

    fn flush(&self) -> Result<bool> {
        if self.failed.load(Ordering::Relaxed) {
            return Err(Error::Misuse { what: "an upload was finished after a failed write" });
        }
        if self.written.load(Ordering::Relaxed) != self.end.load(Ordering::Relaxed) {
            return Err(Error::Misuse { what: "an upload with a hole or an overlap was finished" });
        }
        if !self.flushed.load(Ordering::Relaxed) {
            self.file.sync_all().map_err(|e| map_io(e, self.key.into()))?;
            self.flushed.store(true, Ordering::Relaxed);
        }
        Ok(true)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.flush()?;
        let place = self.key.into();
        match self.taken {
            Taken::Refused => self.unfinished.move_file(&self.temporary, &self.fan, &self.name, place)?,
            Taken::Replaced => self.unfinished.move_over(&self.temporary, &self.fan, &self.name, place)?,
        }
        self.moved = true;
        self.fan.flush(place)
    }
}

impl Drop for LocalUpload {
    fn drop(&mut self) {
        if !self.moved {
            // What cannot be removed now is swept later.
            let _ = self.unfinished.remove_file(&self.temporary, self.key.into());
        }
    }
}
