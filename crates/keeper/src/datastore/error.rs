//! What can go wrong with the store, sorted by what the caller can do about it.

/// The store's result.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure of the store. Messages come from the engine's primary message and never hold row values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another process or too many callers hold the store; nothing was done, try again.
    #[error("the database is busy: another process holds it")]
    Busy,
    /// The transaction lost every race it was allowed to; nothing was done, try again.
    #[error("the transaction conflicted with others {attempts} times")]
    Contended {
        /// How often it ran.
        attempts: u32,
    },
    /// No space is left; nothing was done.
    #[error("no space is left for the database")]
    Full,
    /// The database or its disk cannot be written.
    #[error("the database is read-only")]
    ReadOnly,
    /// The store cannot be reached or stopped working; nothing was done.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The commit was sent and its answer lost: it may or may not be there. Ask with the idempotency key.
    #[error("the outcome of the commit is unknown: {0}")]
    OutcomeUnknown(String),
    /// A rule of the schema refused the change; nothing was done.
    #[error("a {kind} constraint refused the change: {message}")]
    Constraint {
        /// Which rule.
        kind: ConstraintKind,
        /// The engine's message, naming the constraint.
        message: String,
    },
    /// The database file or a stored value is not what it must be.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// A newer program has migrated this database.
    #[error("the database has schema {found}, this program knows {known}")]
    SchemaNewer {
        /// The database's schema.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// An applied migration is not the one this program carries.
    #[error("migration {number} in the database differs from this program's")]
    SchemaChanged {
        /// Its number.
        number: i64,
    },
    /// The engine, the file system or the database's settings cannot carry the store.
    #[error("{0}")]
    Unsupported(String),
    /// The engine refused the statement: an error in our SQL.
    #[error("the database refused a statement: {0}")]
    Statement(String),
    /// The caller broke a rule of this interface.
    #[error("{0}")]
    Misuse(&'static str),
    /// A value or an answer is larger than the store carries.
    #[error("{what} is larger than {max}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The limit.
        max: usize,
    },
}

/// A rule of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConstraintKind {
    /// A primary key or a unique index.
    Unique,
    /// A reference to a missing row, or from a row that is to go.
    ForeignKey,
    /// NOT NULL.
    NotNull,
    /// CHECK.
    Check,
    /// A value of another type than its column.
    Type,
    /// Another rule.
    Other,
}

impl std::fmt::Display for ConstraintKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unique => "unique",
            Self::ForeignKey => "foreign key",
            Self::NotNull => "not-null",
            Self::Check => "check",
            Self::Type => "type",
            Self::Other => "schema",
        })
    }
}

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What is stored is not what was stored.
    Stored,
    /// The caller asked for what the rules refuse.
    Caller,
    /// The machine, the disk, the network, another process.
    Environment,
    /// Ours.
    Bug,
}

impl Error {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Busy
            | Self::Contended { .. }
            | Self::Full
            | Self::ReadOnly
            | Self::Unavailable(_)
            | Self::OutcomeUnknown(_)
            | Self::SchemaNewer { .. }
            | Self::Unsupported(_) => Fault::Environment,
            Self::Constraint { .. } => Fault::Caller,
            Self::Corrupt(_) => Fault::Stored,
            Self::SchemaChanged { .. } | Self::Statement(_) | Self::Misuse(_) | Self::TooLarge { .. } => Fault::Bug,
        }
    }

    /// Whether the same request may succeed later without anybody's doing; false when the outcome is unknown.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Busy | Self::Contended { .. } | Self::Full | Self::Unavailable(_))
    }

    /// Whether a unique constraint refused the change.
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Constraint { kind: ConstraintKind::Unique, .. })
    }
}
