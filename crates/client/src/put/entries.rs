//! What is put, one entry after another.

use crate::source::{Error, Filter, Found, Identity, Tree, Walk, What};
use rustix::fs::FileType;
use std::path::Path;
use std::sync::Arc;

/// The source of a put.
pub(super) enum Entries {
    /// A folder.
    Folder(Walk),
    /// One file, read below the folder it lies in.
    File(Option<Found>),
    /// Standard input: one file of unknown length.
    Stdin(Option<Found>),
}

/// An opened source.
pub(super) struct Opened {
    pub(super) tree: Arc<Tree>,
    pub(super) entries: Entries,
    /// Total bytes, if that is known without walking.
    pub(super) total: Option<u64>,
}

impl Opened {
    /// Opens a path, or standard input for `-`.
    pub(super) fn open(path: &Path, stdin_name: &[u8], filter: Filter, vault: &Path) -> Result<Self, Error> {
        if path.as_os_str() == "-" {
            let found =
                Found { path: stdin_name.to_vec(), what: What::File, mode: 0o600, identity: Identity::default() };
            return Ok(Self { tree: Arc::new(Tree::open(vault)?), entries: Entries::Stdin(Some(found)), total: None });
        }
        let stat = rustix::fs::lstat(path).map_err(|errno| match errno {
            rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR => Error::Missing(path.to_owned()),
            other => Error::Io { path: path.to_owned(), source: other.into() },
        })?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let skip = rustix::fs::stat(vault).ok().map(|stat| Identity::of(&stat));
                let root = Identity::of(&stat);
                if skip.is_some_and(|vault| (vault.dev, vault.ino) == (root.dev, root.ino)) {
                    return Err(Error::IsVault(path.to_owned()));
                }
                let tree = Arc::new(Tree::open(path)?);
                let walk = Walk::new(Arc::clone(&tree), filter, skip.map(|vault| (vault.dev, vault.ino)));
                Ok(Self { tree, entries: Entries::Folder(walk), total: None })
            }
            FileType::Symlink => Err(Error::RootIsLink(path.to_owned())),
            FileType::RegularFile => Self::file(path, &stat),
            _ => Err(Error::Special { path: path.to_owned(), kind: "pipe, socket or device", below: None }),
        }
    }

    fn file(path: &Path, stat: &rustix::fs::Stat) -> Result<Self, Error> {
        use std::os::unix::ffi::OsStrExt as _;
        let name = path.file_name().ok_or_else(|| Error::Missing(path.to_owned()))?.as_bytes().to_vec();
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => std::fs::canonicalize(parent),
            _ => std::env::current_dir(),
        };
        let parent = parent.map_err(|source| Error::Io { path: path.to_owned(), source })?;
        let identity = Identity::of(stat);
        let found = Found { path: name, what: What::File, mode: stat.st_mode & 0o7777, identity };
        let tree = Arc::new(Tree::open(&parent)?);
        Ok(Self { tree, entries: Entries::File(Some(found)), total: Some(identity.size) })
    }
}

impl Iterator for Entries {
    type Item = Result<Found, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Folder(walk) => walk.next(),
            Self::File(found) | Self::Stdin(found) => found.take().map(Ok),
        }
    }
}
