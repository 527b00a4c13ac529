//! One open folder: every call names an entry of it, and none follows a symbolic link.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;

use super::NO_FOLLOW;
use crate::error::{Error, Place, Result};

/// An open folder.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

impl Folder {
    /// Opens the depot's own folder; the path to it is the user's word and may hold links.
    pub(super) fn open_root(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).map(Self).map_err(|e| map(e, Place::Depot))
    }

    /// Opens a subfolder.
    pub(super) fn child(&self, name: &str, place: Place) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.0, name, flags, Mode::empty()).map(Self).map_err(|e| map(e, place))
    }

    /// Makes a subfolder; one that exists is fine. Not flushed.
    pub(super) fn make_child(&self, name: &str, place: Place) -> Result<()> {
        match rustix::fs::mkdirat(&self.0, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(map(error, place)),
        }
    }

    /// Opens a subfolder, making it durably when it is missing.
    pub(super) fn child_or_make(&self, name: &str, place: Place) -> Result<Self> {
        match self.child(name, place) {
            Err(Error::NotFound { .. }) => {
                self.make_child(name, place)?;
                self.flush(place)?;
                self.child(name, place)
            }
            other => other,
        }
    }

    /// Opens a plain file for reading. Pipes and devices planted there are refused without blocking on them.
    pub(super) fn open_file(&self, name: &str, place: Place) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(&self.0, name, flags, Mode::empty()).map_err(|e| map(e, place))?);
        match file.metadata() {
            Ok(status) if status.is_file() => Ok(file),
            Ok(_) => Err(Error::Foreign { place }),
            Err(error) => Err(map_io(error, place)),
        }
    }

    /// Makes a new plain file (0600) for writing; `None` if the name is taken.
    pub(super) fn new_file(&self, name: &str, place: Place) -> Result<Option<File>> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => Ok(Some(File::from(file))),
            Err(Errno::EXIST) => Ok(None),
            Err(error) => Err(map(error, place)),
        }
    }

    /// Moves a file into another folder without replacing what is there.
    pub(super) fn move_file(&self, from: &str, to_folder: &Self, to: &str, place: Place) -> Result<()> {
        match rustix::fs::renameat_with(&self.0, from, &to_folder.0, to, RenameFlags::NOREPLACE) {
            // Some file systems lack this rename; a second link never replaces either.
            Err(Errno::INVAL | Errno::NOSYS) => {
                rustix::fs::linkat(&self.0, from, &to_folder.0, to, AtFlags::empty()).map_err(|e| map(e, place))?;
                self.remove_file(from, place)
            }
            other => other.map_err(|e| map(e, place)),
        }
    }

    /// Moves a file into another folder, in the place of what is there.
    pub(super) fn move_over(&self, from: &str, to_folder: &Self, to: &str, place: Place) -> Result<()> {
        rustix::fs::renameat(&self.0, from, &to_folder.0, to).map_err(|e| map(e, place))
    }

    /// Removes a file.
    pub(super) fn remove_file(&self, name: &str, place: Place) -> Result<()> {
        rustix::fs::unlinkat(&self.0, name, AtFlags::empty()).map_err(|e| map(e, place))
    }

    /// Whether something has that name.
    pub(super) fn holds(&self, name: &str, place: Place) -> Result<bool> {
        self.status(name, place).map(|status| status.is_some())
    }

    /// What lies under a name, links not followed.
    pub(super) fn status(&self, name: &str, place: Place) -> Result<Option<Stat>> {
        match rustix::fs::statat(&self.0, name, NO_FOLLOW) {
            Ok(status) => Ok(Some(status)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(map(error, place)),
        }
    }

    /// The names in it, in no order. Names that are not text are not ours and left out.
    pub(super) fn names(&self, place: Place) -> Result<Vec<String>> {
        let entries = Dir::read_from(self.0.as_fd()).map_err(|e| map(e, place))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|e| map(e, place))?;
            if let Ok(name) = entry.file_name().to_str()
                && name != "."
                && name != ".."
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Makes changes of names durable.
    pub(super) fn flush(&self, place: Place) -> Result<()> {
        rustix::fs::fsync(&self.0).map_err(|e| map(e, place))
    }
}

/// Turns an error of the operating system into ours.
pub(super) fn map(error: Errno, place: Place) -> Error {
    match error {
        Errno::NOENT => Error::NotFound { place },
        Errno::EXIST => Error::AlreadyExists { place },
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG => Error::Full { place },
        Errno::ACCESS | Errno::PERM => Error::Denied { place },
        Errno::ROFS => Error::ReadOnly { place },
        Errno::LOOP | Errno::NOTDIR | Errno::ISDIR | Errno::NXIO | Errno::MLINK => Error::Foreign { place },
        Errno::TIMEDOUT | Errno::AGAIN | Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::BUSY | Errno::STALE => {
            Error::Unavailable { place, source: Box::new(error) }
        }
        _ => Error::Failed { place, source: Box::new(error) },
    }
}

/// As [`map`], for calls of the standard library.
pub(super) fn map_io(error: io::Error, place: Place) -> Error {
    match Errno::from_io_error(&error) {
        Some(errno) => map(errno, place),
        None => Error::Failed { place, source: Box::new(error) },
    }
}
