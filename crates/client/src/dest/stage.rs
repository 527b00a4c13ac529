//! The staging folder of a version with several entries.

use super::{Error, Granted};
use crate::source::{MAX_PATH_LEN_BYTES, as_path, split};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};

/// A folder that nobody else writes, in which a version takes shape.
#[derive(Debug)]
pub struct Stage {
    root: OwnedFd,
    granted: Granted,
}

/// The folder that was used last: neighbours are created one after another.
#[derive(Debug, Default)]
pub struct LastFolder {
    open: Option<(Vec<u8>, OwnedFd)>,
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const NEW: OFlags =
    OFlags::RDWR.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Stage {
    /// A folder that is this process's own, and the permission bits that things in it get.
    pub(crate) fn new(root: OwnedFd, granted: Granted) -> Self {
        Self { root, granted }
    }

    /// The permission bits that things in it get.
    pub fn granted(&self) -> Granted {
        self.granted
    }

    /// Makes a folder, and those above it that the version did not name. Its mode is set later.
    ///
    /// # Errors
    /// [`Error::Path`], [`Error::Io`].
    pub fn folder(&self, path: &[u8]) -> Result<(), Error> {
        check(path)?;
        self.parent(path)?;
        self.enter(path, Missing::Make).map(drop)
    }

    /// Makes an empty file, open for writing and reading back.
    ///
    /// # Errors
    /// [`Error::Path`] if the place is taken or impossible; [`Error::Io`].
    pub fn file(&self, path: &[u8], last: &mut LastFolder) -> Result<File, Error> {
        check(path)?;
        let (folder, name) = split(path);
        let hit = last.open.as_ref().is_some_and(|(held, _)| held == folder);
        if !hit {
            last.open = Some((folder.to_vec(), self.enter(folder, Missing::Make)?));
        }
        let at = last.open.as_ref().map_or(self.root.as_fd(), |(_, fd)| fd.as_fd());
        let fd = rustix::fs::openat(at, name, NEW, Mode::RUSR | Mode::WUSR).map_err(|e| failed(path, e))?;
        Ok(File::from(fd))
    }

    /// Makes a link. Only after every file: nothing is ever written through one.
    ///
    /// # Errors
    /// [`Error::Path`], [`Error::Io`].
    pub fn link(&self, path: &[u8], target: &[u8]) -> Result<(), Error> {
        check(path)?;
        let (folder, name) = split(path);
        let at = self.enter(folder, Missing::Make)?;
        rustix::fs::symlinkat(target, &at, name).map_err(|e| failed(path, e))
    }

    /// Sets the permission bits of a folder, as far as they are granted. The empty path is the staging folder itself.
    ///
    /// # Errors
    /// [`Error::Path`], [`Error::Io`].
    pub fn mode(&self, path: &[u8], mode: u32) -> Result<(), Error> {
        if !path.is_empty() {
            check(path)?;
        }
        let at = self.enter(path, Missing::Refuse)?;
        rustix::fs::fchmod(&at, self.granted.of(mode)).map_err(|e| failed(path, e))
    }

    /// Makes everything in it durable with one call.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn sync(&self) -> Result<(), Error> {
        rustix::fs::syncfs(&self.root).map_err(|e| failed(b"", e))
    }

    fn parent(&self, path: &[u8]) -> Result<OwnedFd, Error> {
        self.enter(split(path).0, Missing::Make)
    }

    fn enter(&self, folder: &[u8], missing: Missing) -> Result<OwnedFd, Error> {
        let mut at = rustix::fs::openat(&self.root, ".", FOLDER, Mode::empty()).map_err(|e| failed(folder, e))?;
        for part in folder.split(|b| *b == b'/').filter(|part| !part.is_empty()) {
            at = match rustix::fs::openat(&at, part, FOLDER, Mode::empty()) {
                Err(Errno::NOENT) if missing == Missing::Make => {
                    rustix::fs::mkdirat(&at, part, Mode::from_raw_mode(0o755)).map_err(|e| failed(folder, e))?;
                    rustix::fs::openat(&at, part, FOLDER, Mode::empty())
                }
                other => other,
            }
            .map_err(|e| failed(folder, e))?;
        }
        Ok(at)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Make,
    Refuse,
}

/// A path of a version: relative, clean, bounded. The list's reader checks this too; here it is about our own disk.
fn check(path: &[u8]) -> Result<(), Error> {
    let sound = |part: &[u8]| !part.is_empty() && part != b"." && part != b".." && !part.contains(&0);
    if path.len() <= MAX_PATH_LEN_BYTES && path.split(|b| *b == b'/').all(sound) {
        Ok(())
    } else {
        Err(Error::Path(as_path(path).to_owned()))
    }
}

fn failed(path: &[u8], errno: Errno) -> Error {
    match errno {
        Errno::EXIST | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG | Errno::ISDIR => {
            Error::Path(as_path(path).to_owned())
        }
        other => Error::Io { path: as_path(path).to_owned(), source: other.into() },
    }
}
