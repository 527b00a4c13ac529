//! Where `get` puts things: staged beside the destination, shown by one rename, gone without a trace on failure.
//!
//! Inside the staging folder everything is created below its descriptor with `O_NOFOLLOW` and `O_EXCL`, folders and files first and
//! links last, so a hostile version can name no place outside of it.

mod stage;

pub use stage::{LastFolder, Stage};

use api::terms::Code;
use api::wire::Problem;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

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
    armed: bool,
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
        let mut random = [0; 8];
        seal::entropy::fill(&mut random)
            .map_err(|e| Error::Io { path: folder.clone(), source: std::io::Error::other(e) })?;
        let hidden = format!(".strongroom-staging-{}", hex::encode(random)).into_bytes();
        let place = Self { parent, folder, name, hidden, existing, armed: false };
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
    /// [`Error::Io`].
    pub fn stage_file(&mut self) -> Result<(File, Granted), Error> {
        let (probe, granted) = self.folder(|| ())?;
        drop(probe);
        rustix::fs::unlinkat(&self.parent, &*self.hidden, AtFlags::REMOVEDIR).map_err(|e| self.failed(e))?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.parent, &*self.hidden, flags, Mode::RUSR | Mode::WUSR);
        let file = file.map_err(|e| self.failed(e))?;
        self.armed = true;
        Ok((File::from(file), granted))
    }

    /// Starts a folder.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn stage_folder(&mut self) -> Result<Stage, Error> {
        self.stage_folder_after(|| ())
    }

    /// The same, with something that happens while the first, open folder is there.
    fn stage_folder_after(&mut self, meanwhile: impl FnOnce()) -> Result<Stage, Error> {
        let (root, granted) = self.folder(meanwhile)?;
        self.armed = true;
        Ok(Stage::new(root, granted))
    }

    /// Looks at what a new folder is granted here, in one that is removed again, and makes the hidden folder closed to everybody
    /// else from the start: nobody can have put something into what will be shown.
    fn folder(&self, meanwhile: impl FnOnce()) -> Result<(OwnedFd, Granted), Error> {
        let open = |mode: Mode| -> rustix::io::Result<OwnedFd> {
            rustix::fs::mkdirat(&self.parent, &*self.hidden, mode)?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(&self.parent, &*self.hidden, flags, Mode::empty())
        };
        let made = || -> rustix::io::Result<_> {
            let granted = Granted::told_by(&open(Mode::RWXU | Mode::RWXG | Mode::RWXO)?)?;
            meanwhile();
            // Refused if somebody put something in.
            rustix::fs::unlinkat(&self.parent, &*self.hidden, AtFlags::REMOVEDIR)?;
            let folder = open(Mode::RWXU)?;
            // A default access list may have granted more.
            rustix::fs::fchmod(&folder, Mode::RWXU)?;
            Ok((folder, granted))
        };
        made().map_err(|e| {
            let _ = rustix::fs::unlinkat(&self.parent, &*self.hidden, AtFlags::REMOVEDIR);
            self.failed(e)
        })
    }

    /// Shows what was staged, under its name, in one step.
    ///
    /// # Errors
    /// [`Error::Exists`] if somebody was first; [`Error::Io`].
    pub fn show(mut self) -> Result<PathBuf, Error> {
        match (self.existing, self.taken()?) {
            (Existing::Keep, _) => self.rename_to_free()?,
            (Existing::Replace, Some(FileType::Directory)) => self.swap()?,
            (Existing::Replace, _) => self.rename_over()?,
        }
        self.armed = false;
        rustix::fs::fsync(&self.parent).map_err(|e| self.failed(e))?;
        Ok(self.path())
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
        let path = self.folder.join(crate::source::as_path(name));
        let is_folder = std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir());
        let removed = if is_folder { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        removed.map_err(|source| Error::Io { path, source })
    }

    fn failed(&self, errno: Errno) -> Error {
        Error::Io { path: self.path(), source: errno.into() }
    }
}

impl Drop for Place {
    /// Removes what was staged and not shown. Folders may have become read-only, so they are opened up again first.
    fn drop(&mut self) {
        if self.armed {
            let hidden = self.hidden.clone();
            if self.remove(&hidden).is_err() {
                open_up(&self.folder.join(crate::source::as_path(&hidden)));
                let _ = self.remove(&hidden);
            }
        }
    }
}

fn open_up(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let _ = std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700));
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests;
