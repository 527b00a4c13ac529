//! What can go wrong in a depot, and by whose fault.

use std::fmt;

use seal::{Fault, Id};

use crate::key::{Hex, Key};

/// The result of a depot operation.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed depot operation.
///
/// An error never means that an earlier acknowledged object is gone; after a failed [`crate::Upload::finish`] the object may or may not be there,
/// and its key must not be used again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The object is not there.
    #[error("{place} is not in the depot")]
    NotFound {
        /// What was looked for.
        place: Place,
    },
    /// An object of this name is there already; it was not touched.
    #[error("{place} is already in the depot")]
    AlreadyExists {
        /// What was to be written.
        place: Place,
    },
    /// The disk or the quota is full.
    #[error("the depot has no room for {place}")]
    Full {
        /// What was to be written.
        place: Place,
    },
    /// The operating system or the bucket refused.
    #[error("the depot refuses access to {place}")]
    Denied {
        /// What was asked for.
        place: Place,
    },
    /// The file system can only be read.
    #[error("the depot is read-only, {place} was not changed")]
    ReadOnly {
        /// What was to be written.
        place: Place,
    },
    /// A time-out or a network or server failure; trying again may help.
    #[error("the depot did not answer for {place}")]
    Unavailable {
        /// What was asked for.
        place: Place,
        /// The cause, as the transport tells it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A read past the end of the object: it was cut, or it is another one than expected.
    #[error("object {key} ends at {object_len}, but {len} bytes were asked for at offset {offset}")]
    PastEnd {
        /// The object.
        key: Key,
        /// Where the read began.
        offset: u64,
        /// How many bytes were asked for.
        len: u64,
        /// How many bytes the object has.
        object_len: u64,
    },
    /// A symbolic link, device or folder lies where an object or folder of the depot should be.
    #[error("{place} is not a plain file or folder of the depot")]
    Foreign {
        /// Where it lies.
        place: Place,
    },
    /// One of several depots could not be opened.
    #[error("depot {depot} cannot be opened")]
    Closed {
        /// Its name.
        depot: String,
        /// The cause.
        source: std::sync::Arc<Error>,
    },
    /// Any other failure of the disk or the bucket.
    #[error("the depot failed on {place}")]
    Failed {
        /// What was asked for.
        place: Place,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The text is not a key.
    #[error("not an object key (two 32-digit hex ids around a `/` are expected)")]
    BadKey,
    /// The caller broke the contract of the trait.
    #[error("wrong use of the depot: {what}")]
    Misuse {
        /// Which rule was broken.
        what: &'static str,
    },
    /// A defect of this crate.
    #[error("defect in the depot: {what}")]
    Bug {
        /// What cannot be.
        what: &'static str,
    },
    /// The settings of a depot cannot be used.
    #[error("depot settings: {what}")]
    Settings {
        /// What is wrong.
        what: String,
    },
}

impl Error {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::PastEnd { .. } | Self::Foreign { .. } | Self::BadKey => Fault::Hostile,
            Self::AlreadyExists { .. } | Self::Misuse { .. } | Self::Settings { .. } => Fault::Misuse,
            Self::Bug { .. } => Fault::Bug,
            Self::NotFound { .. }
            | Self::Full { .. }
            | Self::Denied { .. }
            | Self::ReadOnly { .. }
            | Self::Unavailable { .. }
            | Self::Closed { .. }
            | Self::Failed { .. } => Fault::Environment,
        }
    }

    /// Whether the same call may succeed later without anybody changing the request.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Full { .. })
    }
}

/// An error and what caused it, in one line. What the line says already is not said again: some clients repeat their causes.
#[must_use]
pub fn told(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !out.contains(&text) {
            out.push_str(": ");
            out.push_str(&text);
        }
        next = cause.source();
    }
    out
}

/// What an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// One object.
    Object(Key),
    /// All objects of one vault.
    Vault(Id),
    /// The depot itself.
    Depot,
}

impl From<Key> for Place {
    fn from(key: Key) -> Self {
        Self::Object(key)
    }
}

impl From<&Key> for Place {
    fn from(key: &Key) -> Self {
        Self::Object(*key)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(key) => write!(f, "object {key}"),
            Self::Vault(vault) => write!(f, "folder {}", Hex(vault)),
            Self::Depot => f.write_str("the depot folder"),
        }
    }
}
