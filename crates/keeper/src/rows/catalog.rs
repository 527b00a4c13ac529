//! What is kept: workspaces, artifacts, versions, aliases, and versions being written.

use super::{Hold, Made, Removed, Retention, RowId, Table, named_id};
use crate::datastore::Value;
use api::terms::{
    ArtifactId, Class, Environment, KeyId, KeyState, Kind, Name, ObjectId, PrincipalId, RunId, Suite, Timestamp,
    VersionId, WorkspaceId,
};
use api::wire::LineageKind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A boundary of people and artifacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Workspace {
    pub(crate) id: WorkspaceId,
    pub(crate) name: Name,
    pub(crate) default_class: Option<Class>,
    pub(crate) created: Timestamp,
    pub(crate) creator: PrincipalId,
}

impl Table for Workspace {
    const NAME: &'static str = "workspace";
    const INDEX: &'static [&'static str] = &["name"];
    fn id(&self) -> RowId {
        *self.id.as_bytes()
    }
    fn index(&self) -> Vec<Value<'_>> {
        vec![self.name.as_str().into()]
    }
}

/// A named model, dataset, code bundle or other thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Artifact {
    pub(crate) id: ArtifactId,
    pub(crate) workspace: WorkspaceId,
    pub(crate) name: Name,
    pub(crate) kind: Kind,
    pub(crate) class: Class,
    pub(crate) created: Timestamp,
    pub(crate) creator: PrincipalId,
    /// Number of the highest committed version; 0 before the first.
    pub(crate) latest: u64,
    /// Number of the highest version that is there; 0 if each was removed.
    pub(crate) current: u64,
    /// How long versions are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retention: Option<Retention>,
    /// Legal holds by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) holds: BTreeMap<Name, Hold>,
}

impl Artifact {
    /// What it is to whoever would write a version of it. Before there is one, nothing counts that an unfinished one said.
    pub(crate) fn begun_by(self, by: PrincipalId, kind: Option<Kind>, class: Class, now: Timestamp) -> Self {
        if self.latest > 0 {
            return self;
        }
        Self { kind: kind.unwrap_or(Kind::Other), class, created: now, creator: by, ..self }
    }

    /// Whether a version is under a legal hold.
    pub(crate) fn holds(&self, version: VersionId) -> bool {
        self.holds_of(version).next().is_some()
    }

    /// The legal holds that a version is under.
    pub(crate) fn holds_of(&self, version: VersionId) -> impl Iterator<Item = &Name> {
        let held = self.holds.iter().filter(move |(_, hold)| hold.version.is_none_or(|held| held == version));
        held.map(|(name, _)| name)
    }
}

impl Table for Artifact {
    const NAME: &'static str = "artifact";
    const INDEX: &'static [&'static str] = &["workspace", "name", "latest", "due"];
    fn id(&self) -> RowId {
        *self.id.as_bytes()
    }
    fn index(&self) -> Vec<Value<'_>> {
        let due = self.retention.as_ref().and_then(|retention| retention.due).map(Timestamp::as_millis);
        vec![self.workspace.as_bytes().into(), self.name.as_str().into(), integer(self.latest), perhaps(due)]
    }
}

/// An immutable sealed snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Version {
    pub(crate) id: VersionId,
    pub(crate) artifact: ArtifactId,
    pub(crate) workspace: WorkspaceId,
    pub(crate) number: u64,
    pub(crate) class: Class,
    pub(crate) environment: Environment,
    /// Of everything in it, its key and its envelopes.
    pub(crate) suite: Suite,
    /// The version key.
    pub(crate) key: KeyId,
    /// Its state.
    #[serde(default = "in_use", skip_serializing_if = "is_in_use")]
    pub(crate) key_state: KeyState,
    /// SHA-256 of the version record, hexadecimal.
    pub(crate) digest: String,
    /// The depot object with list, map and record.
    pub(crate) object: ObjectId,
    /// Salted commitment to the plaintext digest, hexadecimal.
    pub(crate) plaintext: String,
    pub(crate) bytes: u64,
    pub(crate) files: u64,
    pub(crate) created: Timestamp,
    pub(crate) creator: PrincipalId,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) from: Vec<VersionId>,
    pub(crate) made: Option<Made>,
    /// Since when it is not opened any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) removed: Option<Removed>,
    /// That it was sealed anew; the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reencrypted: Option<Reencryption>,
    /// That its key is in the archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) archived: Option<Archived>,
}

/// That the key of a version was moved to the archive of its domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Archived {
    pub(crate) at: Timestamp,
    pub(crate) by: PrincipalId,
}

/// That a version was sealed anew under another key, in other packs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reencryption {
    pub(crate) at: Timestamp,
    /// Its key before, which is destroyed.
    pub(crate) key: KeyId,
    /// Its version digest before.
    pub(crate) digest: String,
}

/// The version that a draft seals anew, as it was when that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Renews {
    pub(crate) key: KeyId,
    pub(crate) digest: String,
}

impl Renews {
    pub(crate) fn of(version: &Version) -> Self {
        Self { key: version.key, digest: version.digest.clone() }
    }

    /// Whether the version is still that.
    pub(crate) fn is(&self, version: &Version) -> bool {
        *self == Self::of(version)
    }
}

const fn in_use() -> KeyState {
    KeyState::Active
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_in_use(state: &KeyState) -> bool {
    *state == KeyState::Active
}

impl Table for Version {
    const NAME: &'static str = "version";
    const INDEX: &'static [&'static str] = &["artifact", "number", "ends"];
    fn id(&self) -> RowId {
        *self.id.as_bytes()
    }
    fn index(&self) -> Vec<Value<'_>> {
        let ends = self.removed.as_ref().and_then(Removed::ends).map(Timestamp::as_millis);
        vec![self.artifact.as_bytes().into(), integer(self.number), perhaps(ends)]
    }
}

/// A movable name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alias {
    pub(crate) artifact: ArtifactId,
    pub(crate) name: Name,
    pub(crate) version: VersionId,
}

impl Alias {
    /// The row of an artifact's alias.
    pub(crate) fn id_of(artifact: ArtifactId, name: &Name) -> RowId {
        named_id(Self::NAME, &[artifact.as_bytes(), name.as_str().as_bytes()])
    }
}

impl Table for Alias {
    const NAME: &'static str = "alias";
    const INDEX: &'static [&'static str] = &["artifact", "version"];
    fn id(&self) -> RowId {
        Self::id_of(self.artifact, &self.name)
    }
    fn index(&self) -> Vec<Value<'_>> {
        vec![self.artifact.as_bytes().into(), self.version.as_bytes().into()]
    }
}

/// That a version was made from another: what the row of the one that was made says, to be found from its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Edge {
    pub(crate) source: VersionId,
    pub(crate) made: VersionId,
    pub(crate) kind: LineageKind,
}

impl Edge {
    /// The row between two versions.
    pub(crate) fn id_of(source: VersionId, made: VersionId) -> RowId {
        named_id(Self::NAME, &[source.as_bytes(), made.as_bytes()])
    }
}

impl Table for Edge {
    const NAME: &'static str = "edge";
    const INDEX: &'static [&'static str] = &["source", "made"];
    fn id(&self) -> RowId {
        Self::id_of(self.source, self.made)
    }
    fn index(&self) -> Vec<Value<'_>> {
        vec![self.source.as_bytes().into(), self.made.as_bytes().into()]
    }
}

impl Draft {
    /// The artifact as this version would make it.
    pub(crate) fn makes(&self, artifact: Artifact, now: Timestamp) -> Artifact {
        artifact.begun_by(self.principal, self.kind, self.class, now)
    }
}

/// A version being written. Under a MAC, but no part of the logged state: it ends with a commit or is given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draft {
    pub(crate) version: VersionId,
    pub(crate) artifact: ArtifactId,
    pub(crate) workspace: WorkspaceId,
    pub(crate) principal: PrincipalId,
    pub(crate) class: Class,
    pub(crate) class_why: String,
    pub(crate) environment: Environment,
    /// The kind that was asked for: the artifact's, if this becomes its first version.
    pub(crate) kind: Option<Kind>,
    pub(crate) suite: Suite,
    pub(crate) key: KeyId,
    pub(crate) intent: api::terms::EntryId,
    /// The run whose output it is.
    pub(crate) run: Option<RunId>,
    pub(crate) begun: Timestamp,
    pub(crate) lease_until: Timestamp,
    /// The version that it seals anew: then it has its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) renews: Option<Renews>,
}

impl Table for Draft {
    const NAME: &'static str = "draft";
    const INDEX: &'static [&'static str] = &["artifact", "lease_until"];
    fn id(&self) -> RowId {
        *self.version.as_bytes()
    }
    fn index(&self) -> Vec<Value<'_>> {
        vec![self.artifact.as_bytes().into(), integer(self.lease_until.as_millis())]
    }
}

pub(super) fn perhaps(number: Option<u64>) -> Value<'static> {
    number.map_or(Value::Integer(None), integer)
}

/// Numbers here are versions and milliseconds, far below 2^63.
pub(super) fn integer(number: u64) -> Value<'static> {
    Value::Integer(Some(i64::try_from(number).unwrap_or(i64::MAX)))
}
