//! The glossary as types: every value is parsed once, at the edge, and valid from then on.

mod class;
mod code;
mod id;
mod key_state;
mod name;
mod reference;
mod time;

pub use class::{
    Action, AuthMethod, Class, DepotKind, Environment, KeyState, Kind, Mode, PlaybookStep, PrincipalKind, RootKind,
    Suite,
};
pub use code::{Code, Exit};
pub use id::{
    ArtifactId, BackupId, DecisionId, DepotId, EntryId, GrantId, IdError, IncidentId, KeyId, ObjectId, PackId,
    PrincipalId, ReleaseId, RunId, SessionId, VaultId, VersionId, WorkspaceId,
};
pub use key_state::{TRANSITIONS, Transition};
pub use name::{Name, NameError};
pub use reference::{Reference, ReferenceError, Selector};
pub use time::{TimeError, Timestamp};

/// A word that is none of the closed set it was parsed for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not one of {}", .allowed.split_whitespace().collect::<Vec<_>>().join(", "))]
pub struct WordError {
    /// What was given, cut to 64 characters.
    pub word: String,
    /// What would have been accepted.
    pub allowed: &'static str,
}
