//! The root of a source and opening below it.

use super::{Error, Identity, as_path};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// An open folder below which everything is opened, component by component, without following links.
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
    path: PathBuf,
}

/// A folder descriptor kept from the last open, because neighbours are read one after another.
#[derive(Debug, Default)]
pub struct LastFolder {
    open: Option<(Vec<u8>, OwnedFd)>,
}

const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);
const FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

impl Tree {
    /// Opens the folder that is the root. The last component may not be a link.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::RootIsLink`], [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let root = rustix::fs::open(path, FOLDER, Mode::empty()).map_err(|errno| match errno {
            Errno::NOENT => Error::Missing(path.to_owned()),
            Errno::LOOP => Error::RootIsLink(path.to_owned()),
            other => Error::Io { path: path.to_owned(), source: other.into() },
        })?;
        Ok(Self { root, path: path.to_owned() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of something below, for messages.
    pub fn shown(&self, path: &[u8]) -> PathBuf {
        if path.is_empty() { self.path.clone() } else { self.path.join(as_path(path)) }
    }

    /// State of the root itself.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn stat(&self) -> Result<Stat, Error> {
        rustix::fs::fstat(&self.root).map_err(|e| Error::Io { path: self.path.clone(), source: e.into() })
    }

    /// Opens the folder at `path` below the root.
    ///
    /// # Errors
    /// [`Error::Changed`] if a link or something else is in the way, [`Error::Io`].
    pub fn folder(&self, path: &[u8]) -> Result<OwnedFd, Error> {
        let mut at = rustix::fs::openat(&self.root, ".", FOLDER, Mode::empty()).map_err(|e| self.failed(path, e))?;
        for part in path.split(|b| *b == b'/').filter(|part| !part.is_empty()) {
            at = rustix::fs::openat(&at, part, FOLDER, Mode::empty()).map_err(|e| self.failed(path, e))?;
        }
        Ok(at)
    }

    /// Opens a regular file that was found with this identity.
    ///
    /// # Errors
    /// [`Error::Changed`] if it is not the same any more, [`Error::Io`].
    pub fn file(&self, path: &[u8], found: &Identity, last: &mut LastFolder) -> Result<File, Error> {
        let (folder, name) = split(path);
        let at = last.folder(self, folder)?;
        let fd = rustix::fs::openat(at, name, FILE, Mode::empty()).map_err(|e| self.failed(path, e))?;
        self.unchanged(path, &fd, found)?;
        Ok(File::from(fd))
    }

    /// Checks that the open file is still what was found.
    ///
    /// # Errors
    /// [`Error::Changed`], [`Error::Io`].
    pub fn unchanged(&self, path: &[u8], file: impl AsFd, found: &Identity) -> Result<(), Error> {
        let stat = rustix::fs::fstat(file).map_err(|e| self.failed(path, e))?;
        let same = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && Identity::of(&stat) == *found;
        if same { Ok(()) } else { Err(Error::Changed(self.shown(path))) }
    }

    /// State of `name` in an open folder, without following it.
    pub(super) fn stat_at(&self, folder: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<Stat, Error> {
        rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| self.failed(path, e))
    }

    fn failed(&self, path: &[u8], errno: Errno) -> Error {
        match errno {
            Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::NXIO | Errno::ISDIR => Error::Changed(self.shown(path)),
            other => Error::Io { path: self.shown(path), source: other.into() },
        }
    }
}

impl LastFolder {
    fn folder(&mut self, tree: &Tree, path: &[u8]) -> Result<BorrowedFd<'_>, Error> {
        let hit = self.open.as_ref().is_some_and(|(held, _)| held == path);
        if !hit {
            self.open = Some((path.to_vec(), tree.folder(path)?));
        }
        match &self.open {
            Some((_, fd)) => Ok(fd.as_fd()),
            None => Err(Error::changed(path)),
        }
    }
}

/// Splits a path into its folder and its name.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(at) => {
            let (folder, rest) = path.split_at(at);
            (folder, rest.strip_prefix(b"/").unwrap_or(rest))
        }
        None => (&[], path),
    }
}
