//! Named keys, under which small values are sealed, and their versions.

use super::catalog::{integer, perhaps};
use super::{Domain, RowId, Table};
use crate::datastore::Value;
use api::terms::{ArtifactId, KeyId, KeyState, Name, PrincipalId, Suite, Timestamp};
use serde::{Deserialize, Serialize};

/// A named key. Policy sees it as an artifact, so its id is of that kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamedKey {
    pub(crate) id: ArtifactId,
    pub(crate) name: Name,
    pub(crate) domain: Domain,
    pub(crate) created: Timestamp,
    pub(crate) creator: PrincipalId,
}

impl Table for NamedKey {
    const NAME: &'static str = "named_key";
    const INDEX: &'static [&'static str] = &["workspace", "name"];
    fn id(&self) -> RowId {
        *self.id.as_bytes()
    }
    fn index(&self) -> Vec<Value<'_>> {
        vec![self.domain.workspace.as_bytes().into(), self.name.as_str().into()]
    }
}

/// A version of a named key; the newest seals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamedVersion {
    /// The key's id.
    pub(crate) key: KeyId,
    pub(crate) named: ArtifactId,
    /// From 1.
    pub(crate) number: u32,
    /// Of its tokens, its wrap and its fingerprint.
    pub(crate) suite: Suite,
    pub(crate) state: KeyState,
    /// Hexadecimal.
    pub(crate) fingerprint: String,
    pub(crate) created: Timestamp,
    /// When its state began.
    pub(crate) since: Timestamp,
    pub(crate) due: Option<Timestamp>,
}

impl Table for NamedVersion {
    const NAME: &'static str = "named_version";
    const INDEX: &'static [&'static str] = &["named", "number", "state", "due"];
    fn id(&self) -> RowId {
        *self.key.as_bytes()
    }
    fn index(&self) -> Vec<Value<'_>> {
        vec![
            self.named.as_bytes().into(),
            integer(u64::from(self.number)),
            self.state.word().into(),
            perhaps(self.due.map(Timestamp::as_millis)),
        ]
    }
}
