//! Where `get` puts things: staged beside the destination, shown in one step, gone without a trace on failure.
//!
//! A single file has no name at all until it is whole, where the file system can do that. What a killed process left of a folder is
//! removed by the next `get` into the same place.
//!
//! Inside the staging folder everything is created below its descriptor with `O_NOFOLLOW` and `O_EXCL`, folders and files first and
//! links last, so a hostile version can name no place outside of it.

mod stage;
pub(crate) mod stale;

pub use stage::{LastFolder, Stage};

use api::terms::Code;
use api::wire::Problem;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// How many stagings lie in a folder that killed gets left there.
///
/// # Errors
/// The file system's.
pub fn stagings(folder: &Path) -> std::io::Result<usize> {
    let folder = rustix::fs::open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(stale::count(folder.as_fd(), rustix::process::geteuid().as_raw())?)
}

/// Removes them, as the next `get` into the folder would.
///
/// # Errors
/// The file system's.
pub fn sweep(folder: &Path) -> std::io::Result<()> {
    let folder = rustix::fs::open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    stale::sweep(folder.as_fd(), rustix::process::geteuid().as_raw());
    Ok(())
}

/// What to do with something that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Refuse.
    Keep,
    /// Replace it once the new one is whole.
    Replace,
}

/// Why nothing could be put there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something is there already.
    #[error("`{}` exists already", .0.display())]
    Exists(PathBuf),
    /// The destination has no name, or its folder does not exist.
    #[error("`{}` is no place for a file or folder", .0.display())]
    NoPlace(PathBuf),
    /// The version names a place that is none, or one place twice.
    #[error("the version names an impossible path `{}`", .0.display())]
    Path(PathBuf),
    /// What was staged is not there any more, or something else is in its place.
    #[error("what was being written for `{}` was removed or replaced by another process", .0.display())]
    Vanished(PathBuf),
    /// The operating system refused.
    #[error("cannot write `{}`", .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let what = "cannot write the destination";
        match &error {
            Error::Exists(path) => Self::new(Code::Conflict, what, error.to_string())
                .with_try(format!("another destination, or --force to replace `{}`", path.display())),
            Error::NoPlace(_) => {
                Self::new(Code::NotFound, what, error.to_string()).with_try("a name in a folder that exists")
            }
            Error::Path(_) => Self::new(Code::Integrity, what, error.to_string()),
            Error::Vanished(_) => {
                Self::new(Code::Unavailable, what, error.to_string()).with_try("run the command again")
            }
            Error::Io { source, .. } => {
                let code = match source.kind() {
                    std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Code::DiskFull,
                    _ => Code::Unavailable,
                };
                Self::new(code, what, format!("{error}: {source}"))
            }
        }
    }
}

/// A place that was looked at and found free, or to be replaced.
#[derive(Debug)]
pub struct Place {
    parent: OwnedFd,
    folder: PathBuf,
    name: Vec<u8>,
    hidden: Vec<u8>,
    existing: Existing,
    staged: Staged,
}

/// What there is to be shown.
#[derive(Debug)]
enum Staged {
    /// Nothing yet, or nothing any more.
    Nothing,
    /// A file without a name.
    Nameless(OwnedFd),
    /// What the hidden name names; this descriptor holds the lock on it.
    Hidden(OwnedFd),
}

/// The permission bits that new things get here: all but those of the umask, or what the folder's default access list grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted(u32);

impl Granted {
    /// What of a version's mode is given to a new file or folder, as `tar` does it for everybody but root: never set-user-id,
    /// set-group-id or sticky.
    pub fn of(self, mode: u32) -> Mode {
        Mode::from_raw_mode((mode & self.0 & 0o777) as _)
    }

    /// What only its owner may do.
    pub(crate) const OWNER: Self = Self(0o700);

    /// Tells them from a folder that was just made with every bit asked for. Reading the umask itself would mean changing it for a
    /// moment, for all threads.
    fn told_by(folder: &OwnedFd) -> rustix::io::Result<Self> {
        Ok(Self(rustix::fs::fstat(folder)?.st_mode & 0o777))
    }
}

impl Place {
    /// Looks at `dest` for a single file called `name`: in it, if it is a folder, else exactly there.
    ///
    /// # Errors
    /// [`Error::Exists`] unless it may be replaced; [`Error::NoPlace`]; [`Error::Io`].
    pub fn for_file(dest: &Path, name: &[u8], existing: Existing) -> Result<Self, Error> {
        if std::fs::metadata(dest).is_ok_and(|found| found.is_dir()) {
            return Self::find(&dest.join(crate::source::as_path(name)), existing);
        }
        Self::find(dest, existing)
    }

    /// Looks at `dest` for a folder.
    ///
    /// # Errors
    /// As [`Self::for_file`].
    pub fn for_folder(dest: &Path, existing: Existing) -> Result<Self, Error> {
        Self::find(dest, existing)
    }

    fn find(dest: &Path, existing: Existing) -> Result<Self, Error> {
        // `.` and `..` have no name of their own, but are there.
        let unnamed = || if dest.exists() { Error::Exists(dest.to_owned()) } else { Error::NoPlace(dest.to_owned()) };
        let name = dest.file_name().ok_or_else(unnamed)?.as_bytes().to_vec();
        let folder = match dest.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = rustix::fs::open(&folder, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::NOENT | Errno::NOTDIR => Error::NoPlace(folder.clone()),
            other => Error::Io { path: folder.clone(), source: other.into() },
        })?;
        let hidden = drawn(&folder)?;
        let place = Self { parent, folder, name, hidden, existing, staged: Staged::Nothing };
        if existing == Existing::Keep && place.taken()?.is_some() {
            return Err(Error::Exists(place.path()));
        }
        Ok(place)
    }

    /// Where the result will be.
    pub fn path(&self) -> PathBuf {
        let name = std::ffi::OsString::from_vec(self.name.clone());
        if self.folder.as_os_str() == "." { PathBuf::from(name) } else { self.folder.join(name) }
    }

    /// Starts a file; says which bits of its mode it may get in the end.
    ///
    /// # Errors
    /// [`Error::Vanished`], [`Error::Io`].
    pub fn stage_file(&mut self) -> Result<(File, Granted), Error> {
        self.sweep();
        let granted = self.look(&mut || ())?;
        let file = match self.nameless() {
            Some(file) => {
                self.staged = Staged::Nameless(file.try_clone().map_err(|e| self.refused(e))?);
                file
            }
            None => self.hidden_file()?,
        };
        Ok((File::from(file), granted))
    }

    /// A file that has no name yet, where the file system has such files and this process can name them later.
    fn nameless(&self) -> Option<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.parent, ".", flags, Mode::RUSR | Mode::WUSR).ok()?;
        let here = rustix::fs::fstat(&file).ok()?;
        let there = rustix::fs::stat(through_proc(&file)).ok()?;
        ((here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)).then_some(file)
    }

    /// A file under the hidden name.
    fn hidden_file(&mut self) -> Result<OwnedFd, Error> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let make = |place: &Self| {
            let file = rustix::fs::openat(&place.parent, &*place.hidden, flags, Mode::RUSR | Mode::WUSR)?;
            place.held(file)
        };
        let file = self.attempt(make)?;
        self.staged = Staged::Hidden(file.try_clone().map_err(|e| self.refused(e))?);
        Ok(file)
    }

    /// Starts a folder.
    ///
    /// # Errors
    /// [`Error::Vanished`], [`Error::Io`].
    pub fn stage_folder(&mut self) -> Result<Stage, Error> {
        self.stage_folder_after(|| ())
    }

    /// The same, with something that happens while the first, open folder is there.
    fn stage_folder_after(&mut self, mut meanwhile: impl FnMut()) -> Result<Stage, Error> {
        self.sweep();
        let granted = self.look(&mut meanwhile)?;
        let root = self.attempt(|place| {
            // Closed to everybody else from the start: nobody can have put something into what will be shown.
            let folder = place.held(place.new_folder(Mode::RWXU)?)?;
            // A default access list may have granted more.
            rustix::fs::fchmod(&folder, Mode::RWXU)?;
            Ok(folder)
        })?;
        self.staged = Staged::Hidden(root.try_clone().map_err(|e| self.refused(e))?);
        Ok(Stage::new(root, granted))
    }

    /// Looks at what is granted here. What is staged gets a name of its own: whoever sweeps may have seen this one.
    fn look(&mut self, meanwhile: &mut dyn FnMut()) -> Result<Granted, Error> {
        let granted = self.attempt(|place| place.granted(meanwhile))?;
        self.hidden = drawn(&self.folder)?;
        Ok(granted)
    }

    /// Looks at what a new folder is granted here, in one that is removed again. Refused if somebody put something in.
    fn granted(&self, meanwhile: &mut dyn FnMut()) -> rustix::io::Result<Granted> {
        let granted = Granted::told_by(&self.new_folder(Mode::RWXU | Mode::RWXG | Mode::RWXO)?)?;
        meanwhile();
        match rustix::fs::unlinkat(&self.parent, &*self.hidden, AtFlags::REMOVEDIR) {
            // Somebody who sweeps was faster.
            Ok(()) | Err(Errno::NOENT) => Ok(granted),
            Err(other) => Err(other),
        }
    }

    fn new_folder(&self, mode: Mode) -> rustix::io::Result<OwnedFd> {
        rustix::fs::mkdirat(&self.parent, &*self.hidden, mode)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.parent, &*self.hidden, flags, Mode::empty())
    }

    /// What was just made under the hidden name, locked: whoever sweeps leaves it alone.
    fn held(&self, made: OwnedFd) -> rustix::io::Result<OwnedFd> {
        if stale::hold(self.parent.as_fd(), &self.hidden, made.as_fd())? { Ok(made) } else { Err(Errno::NOENT) }
    }

    /// Makes something under the hidden name; under another one if a sweep took it away before it was locked.
    fn attempt<T>(&mut self, mut make: impl FnMut(&Self) -> rustix::io::Result<T>) -> Result<T, Error> {
        for _ in 1..ATTEMPTS {
            match make(self) {
                Err(Errno::NOENT) => self.hidden = drawn(&self.folder)?,
                Err(other) => {
                    let _ = rustix::fs::unlinkat(&self.parent, &*self.hidden, AtFlags::REMOVEDIR);
                    return Err(self.failed(other));
                }
                Ok(made) => return Ok(made),
            }
        }
        make(self).map_err(|e| if e == Errno::NOENT { Error::Vanished(self.path()) } else { self.failed(e) })
    }

    fn sweep(&self) {
        stale::sweep(self.parent.as_fd(), rustix::process::geteuid().as_raw());
    }

    /// Shows what was staged, under its name, in one step.
    ///
    /// # Errors
    /// [`Error::Exists`] if somebody was first; [`Error::Vanished`]; [`Error::Io`].
    pub fn show(mut self) -> Result<PathBuf, Error> {
        if !self.named()? {
            if !self.is_ours() {
                return Err(Error::Vanished(self.path()));
            }
            match (self.existing, self.taken()?) {
                (Existing::Keep, _) => self.rename_to_free()?,
                (Existing::Replace, Some(FileType::Directory)) => self.swap()?,
                (Existing::Replace, _) => self.rename_over()?,
            }
        }
        self.staged = Staged::Nothing;
        rustix::fs::fsync(&self.parent).map_err(|e| self.failed(e))?;
        Ok(self.path())
    }

    /// Gives a file without a name its own; the hidden one, if something else is there that it replaces. Whether it is shown by that.
    fn named(&mut self) -> Result<bool, Error> {
        let file = match std::mem::replace(&mut self.staged, Staged::Nothing) {
            Staged::Nameless(file) => file,
            other => {
                self.staged = other;
                return Ok(false);
            }
        };
        let link = |to: &[u8]| {
            rustix::fs::linkat(rustix::fs::CWD, through_proc(&file), &self.parent, to, AtFlags::SYMLINK_FOLLOW)
        };
        match link(&self.name) {
            Ok(()) => return Ok(true),
            Err(Errno::EXIST) if self.existing == Existing::Replace => {}
            Err(Errno::EXIST) => return Err(Error::Exists(self.path())),
            Err(other) => return Err(self.failed(other)),
        }
        // Before it has the name: there is no moment in which it could be taken for left over.
        let _ = stale::lock(file.as_fd());
        link(&self.hidden).map_err(|e| self.failed(e))?;
        self.staged = Staged::Hidden(file);
        Ok(false)
    }

    /// Whether what was staged is still there under the hidden name: nothing else is shown, or removed.
    fn is_ours(&self) -> bool {
        let at = |held: &OwnedFd| stale::is_at(self.parent.as_fd(), &self.hidden, held.as_fd());
        matches!(&self.staged, Staged::Hidden(held) if at(held) == Ok(true))
    }

    fn taken(&self) -> Result<Option<FileType>, Error> {
        match rustix::fs::statat(&self.parent, &*self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(other) => Err(self.failed(other)),
        }
    }

    fn rename_to_free(&self) -> Result<(), Error> {
        let (from, to) = (&*self.hidden, &*self.name);
        match rustix::fs::renameat_with(&self.parent, from, &self.parent, to, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => Err(Error::Exists(self.path())),
            // File systems without the flag: look once more, then rename.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) if self.taken()?.is_none() => self.rename_over(),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Err(Error::Exists(self.path())),
            Err(other) => Err(self.failed(other)),
        }
    }

    fn rename_over(&self) -> Result<(), Error> {
        rustix::fs::renameat(&self.parent, &*self.hidden, &self.parent, &*self.name).map_err(|e| self.failed(e))
    }

    /// Puts the new one in the place of an old folder, then removes the old one.
    fn swap(&self) -> Result<(), Error> {
        let (from, to) = (&*self.hidden, &*self.name);
        match rustix::fs::renameat_with(&self.parent, from, &self.parent, to, RenameFlags::EXCHANGE) {
            Ok(()) => self.remove(&self.hidden),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                let old = [from, b"-old"].concat();
                rustix::fs::renameat(&self.parent, to, &self.parent, &*old).map_err(|e| self.failed(e))?;
                self.rename_over()?;
                self.remove(&old)
            }
            Err(other) => Err(self.failed(other)),
        }
    }

    fn remove(&self, name: &[u8]) -> Result<(), Error> {
        let path = || self.folder.join(crate::source::as_path(name));
        stale::discard(self.parent.as_fd(), name).map_err(|e| Error::Io { path: path(), source: e.into() })
    }

    fn failed(&self, errno: Errno) -> Error {
        self.refused(errno.into())
    }

    fn refused(&self, source: std::io::Error) -> Error {
        Error::Io { path: self.path(), source }
    }
}

impl Drop for Place {
    /// Removes what was staged and not shown.
    fn drop(&mut self) {
        if self.is_ours() {
            let _ = self.remove(&self.hidden);
        }
    }
}

/// A fresh hidden name.
fn drawn(folder: &Path) -> Result<Vec<u8>, Error> {
    let mut random = [0; 8];
    seal::entropy::fill(&mut random)
        .map_err(|e| Error::Io { path: folder.to_owned(), source: std::io::Error::other(e) })?;
    Ok([stale::PREFIX, hex::encode(random).as_bytes()].concat())
}

/// Where a file that may have no name can be named from.
fn through_proc(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// How often something may be taken away between its making and its lock.
const ATTEMPTS: u32 = 8;

#[cfg(test)]
mod tests;
