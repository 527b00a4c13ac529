//! What is done about compromised keys.

use super::{Domain, RowId, Table};
use crate::datastore::Value;
use api::terms::{EntryId, IncidentId, KeyId, PlaybookStep, PrincipalId, Timestamp, VersionId, WorkspaceId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One incident. A key has one at most, for nothing leads back from being compromised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Incident {
    pub(crate) id: IncidentId,
    pub(crate) key: KeyId,
    pub(crate) workspace: WorkspaceId,
    pub(crate) about: About,
    pub(crate) by: PrincipalId,
    pub(crate) at: Timestamp,
    /// The entry that marked the key.
    pub(crate) entry: EntryId,
    /// What the log told of it; none until it was read.
    pub(crate) found: Option<Told>,
    /// What people said that they did.
    pub(crate) done: BTreeMap<PlaybookStep, Said>,
    pub(crate) closed: Option<Said>,
}

/// What the key is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum About {
    /// A domain key's.
    Domain(Domain),
    /// A version key's.
    Version(VersionId),
}

/// Who said something, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Said {
    pub(crate) by: PrincipalId,
    pub(crate) at: Timestamp,
}

/// What the log told, up to a head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Told {
    pub(crate) at: Timestamp,
    pub(crate) log_size: u64,
    /// Hexadecimal, as every digest here.
    pub(crate) log_root: String,
    pub(crate) versions: u64,
    pub(crate) unfinished: u64,
    pub(crate) destroyed: u64,
    pub(crate) packs: u64,
    pub(crate) records_lost: u64,
    pub(crate) principals: u64,
    pub(crate) releases: u64,
    pub(crate) exports: u64,
    pub(crate) shares: u64,
    pub(crate) writes: u64,
    pub(crate) first: Option<Timestamp>,
    pub(crate) last: Option<Timestamp>,
    /// Of the evidence, which the log gives again at any time.
    pub(crate) evidence: String,
    /// Of the lists that are kept in parts: version keys, and principals.
    pub(crate) keys: String,
    pub(crate) people: String,
}

impl Table for Incident {
    const NAME: &'static str = "incident";
    const INDEX: &'static [&'static str] = &["exposed", "state"];
    fn id(&self) -> RowId {
        *self.id.as_bytes()
    }
    fn index(&self) -> Vec<Value<'_>> {
        vec![self.key.as_bytes().into(), self.state().into()]
    }
}

impl Incident {
    /// The log was not read yet.
    pub(crate) const MARKED: &'static str = "marked";
    /// Something is to be done.
    pub(crate) const OPEN: &'static str = "open";
    /// Nothing is.
    pub(crate) const CLOSED: &'static str = "closed";

    /// Where it stands, for whoever looks for some.
    pub(crate) const fn state(&self) -> &'static str {
        match (&self.found, &self.closed) {
            (_, Some(_)) => Self::CLOSED,
            (None, None) => Self::MARKED,
            (Some(_), None) => Self::OPEN,
        }
    }
}
