//! What is put: a file, a folder or standard input, read without following links and without mixing two states of a file.
//!
//! Paths are raw bytes. Every open goes through a folder descriptor with `O_NOFOLLOW`, so a link that is swapped in after the walk
//! is an error, never a way out of the source. A file's [`Identity`] is taken when it is found and compared after every read.

mod filter;
mod identity;
mod tree;
mod walk;

pub use filter::{BadGlob, Filter};
pub use identity::Identity;
pub(crate) use tree::split;
pub use tree::{LastFolder, Tree};
pub use walk::Walk;

use api::terms::Code;
use api::wire::Problem;
use std::path::{Path, PathBuf};

/// One thing found in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its path below the root, without a leading slash; empty for the root folder itself.
    pub path: Vec<u8>,
    /// What it is.
    pub what: What,
    /// Permission bits, at most `0o7777`.
    pub mode: u32,
    /// Its state when it was found.
    pub identity: Identity,
}

/// The kinds of things a version can hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A regular file of `identity.size` bytes.
    File,
    /// A folder.
    Folder,
    /// A symbolic link with these bytes as its target.
    Link(Vec<u8>),
}

/// The longest path, in bytes.
pub const MAX_PATH_LEN_BYTES: usize = 4096;
/// The deepest nesting of folders.
pub const MAX_DEPTH: usize = 256;
/// The most entries of a version.
pub const MAX_ENTRIES: u64 = 1 << 30;

/// Why a source could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The root does not exist.
    #[error("`{}` does not exist", .0.display())]
    Missing(PathBuf),
    /// Neither file, folder nor link.
    #[error("`{}` is a {kind}, which cannot be stored", .path.display())]
    Special {
        /// Where.
        path: PathBuf,
        /// `socket`, `pipe`, `device`.
        kind: &'static str,
        /// The path below the folder that is put, if it was found in one.
        below: Option<Vec<u8>>,
    },
    /// The root is a symbolic link.
    #[error("`{}` is a symbolic link; links are never followed", .0.display())]
    RootIsLink(PathBuf),
    /// The root is the vault that it would be put into.
    #[error("`{}` is the vault itself", .0.display())]
    IsVault(PathBuf),
    /// Patterns choose nothing of what is there.
    #[error("nothing in `{}` matches the patterns of --include", .0.display())]
    NothingMatches(PathBuf),
    /// It is not what it was when it was found.
    #[error("`{}` changed while it was read", .0.display())]
    Changed(PathBuf),
    /// More than this program handles.
    #[error("`{}` is beyond the limit of {limit}", .path.display())]
    TooMuch {
        /// Where.
        path: PathBuf,
        /// Which limit.
        limit: &'static str,
    },
    /// The operating system refused.
    #[error("cannot read `{}`", .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn io(path: &[u8], source: impl Into<std::io::Error>) -> Self {
        Self::Io { path: as_path(path).to_owned(), source: source.into() }
    }

    pub(crate) fn changed(path: &[u8]) -> Self {
        Self::Changed(as_path(path).to_owned())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let what = "cannot read the source";
        match &error {
            Error::Missing(_) => Self::new(Code::NotFound, what, error.to_string()),
            Error::Special { below: Some(below), .. } => Self::new(Code::Unsupported, what, error.to_string())
                .with_try(format!("strongroom put ... --exclude '{}'", as_path(below).display())),
            Error::Special { below: None, .. } => Self::new(Code::Unsupported, what, error.to_string())
                .with_try("name a file or a folder, or - for standard input"),
            Error::IsVault(_) => Self::new(Code::BadRequest, what, error.to_string())
                .with_try("name what is to be protected; a vault inside a folder is passed over"),
            Error::NothingMatches(_) => Self::new(Code::BadRequest, what, error.to_string())
                .with_try("a pattern without a slash matches names at any depth, one with a slash paths from the root"),
            Error::RootIsLink(path) => {
                let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
                Self::new(Code::BadRequest, what, error.to_string())
                    .with_try(format!("strongroom put '{}' ...", target.display()))
            }
            Error::Changed(_) => Self::new(Code::SourceChanged, what, error.to_string()),
            Error::TooMuch { .. } => Self::new(Code::Unsupported, what, error.to_string()),
            Error::Io { source, .. } => Self::new(Code::Unavailable, what, format!("{error}: {source}")),
        }
    }
}

/// Raw bytes as a path of this system.
pub(crate) fn as_path(bytes: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt as _;
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}
