//! What can go wrong with the log.

use crate::datastore;
use api::terms::Code;
use log::edge::EdgeError;
use log::proof::ProofError;
use log::source::SourceError;
use std::path::{Path, PathBuf};

/// The ledger's result.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure of the log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] datastore::Error),
    /// A file of the log, or the anchor, could not be used.
    #[error("{what} `{}`: {why}", .path.display())]
    Io {
        /// What was attempted.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        why: std::io::ErrorKind,
    },
    /// The log is not what was signed.
    #[error("the log is damaged: {0}")]
    Damaged(String),
    /// The log is behind its anchor, or inconsistent with it: nothing may be signed.
    #[error("the log is read-only: {0}")]
    ReadOnly(String),
    /// Another process is integrating and does not finish.
    #[error("another process holds the log")]
    Busy,
    /// There is no such entry.
    #[error("there is no such entry")]
    NotFound,
    /// The entry is not in the tree yet.
    #[error("the entry is not in the tree yet")]
    Pending,
    /// The folder to export into holds something.
    #[error("`{}` is not an empty folder", .0.display())]
    NotEmpty(PathBuf),
    /// A defect of ours.
    #[error("a defect: {0}")]
    Internal(&'static str),
}

impl Error {
    pub(super) fn io(what: &'static str, path: &Path, error: &std::io::Error) -> Self {
        Self::Io { what, path: path.to_owned(), why: error.kind() }
    }

    /// Whose fault it is.
    pub fn fault(&self) -> datastore::Fault {
        use datastore::Fault;
        match self {
            Self::Store(error) => error.fault(),
            Self::Io { .. } | Self::Busy => Fault::Environment,
            Self::Damaged(_) | Self::ReadOnly(_) => Fault::Stored,
            Self::NotFound | Self::Pending | Self::NotEmpty(_) => Fault::Caller,
            Self::Internal(_) => Fault::Bug,
        }
    }
}

impl From<SourceError> for Error {
    fn from(error: SourceError) -> Self {
        match &error {
            SourceError::Io { path, .. } => {
                Self::Io { what: "a file of the log cannot be read", path: path.into(), why: std::io::ErrorKind::Other }
            }
            _ => Self::Damaged(error.to_string()),
        }
    }
}

impl From<EdgeError> for Error {
    fn from(error: EdgeError) -> Self {
        match error {
            EdgeError::Source(error) => error.into(),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<ProofError> for Error {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Source(error) => error.into(),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<Error> for crate::error::Error {
    fn from(error: Error) -> Self {
        let why = error.to_string();
        let code = match error {
            Error::Store(error) => return Self::Store(error),
            Error::Io { what, path, why } => return Self::Io { what, path, why },
            Error::ReadOnly(why) => return Self::ReadOnly(why),
            Error::NotFound => return Self::NotFound("entry".to_owned()),
            Error::Internal(why) => return Self::Internal(why),
            Error::Damaged(_) => Code::Integrity,
            Error::Busy => Code::Busy,
            Error::Pending => {
                return Self::Conflict {
                    what: "the proof",
                    why,
                    hint: Some("run the command again in a moment".into()),
                };
            }
            Error::NotEmpty(_) => {
                return Self::Conflict {
                    what: "the export",
                    why,
                    hint: Some("name a folder that is empty or absent".into()),
                };
            }
        };
        Self::Log { code, why }
    }
}
