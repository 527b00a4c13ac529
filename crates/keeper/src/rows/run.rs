//! Runs, and what they made versions from.

use super::{RowId, Table};
use crate::datastore::Value;
use crate::field::{Place, SealedText};
use api::terms::{PrincipalId, RunId, Timestamp, VersionId};
use api::wire::RunOutput;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A command over versions in memory: what it may open and make, for whom, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    pub(crate) id: RunId,
    pub(crate) principal: PrincipalId,
    /// The session key that signs for it, hexadecimal.
    pub(crate) session_key: String,
    pub(crate) inputs: Vec<VersionId>,
    pub(crate) outputs: Vec<RunOutput>,
    /// A reason was given when it started.
    pub(crate) reasoned: bool,
    /// The inputs whose names were typed again when it started.
    pub(crate) confirmed: Vec<VersionId>,
    pub(crate) unattended: bool,
    pub(crate) started: Timestamp,
    pub(crate) until: Timestamp,
    /// The last renewal that is in the log.
    pub(crate) renewed: Timestamp,
    pub(crate) ended: Option<Timestamp>,
}

impl Table for Run {
    const NAME: &'static str = "run";
    const INDEX: &'static [&'static str] = &["principal"];
    fn id(&self) -> RowId {
        *self.id.as_bytes()
    }
    fn index(&self) -> Vec<Value<'_>> {
        vec![self.principal.as_bytes().into()]
    }
}

impl Made {
    /// Where the command of a version is sealed.
    pub(crate) fn place(version: &VersionId) -> Place<'_> {
        Place::once(super::Version::NAME, "command", version.as_bytes())
    }
}

/// How a run made a version; a part of the version's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Made {
    pub(crate) run: RunId,
    /// Sealed: people write tokens into commands.
    pub(crate) command: SealedText,
    pub(crate) code: Option<String>,
    /// SHA-256, hexadecimal.
    pub(crate) environment: String,
    pub(crate) parts: BTreeMap<String, String>,
}
