//! Versions: opened for writing, committed, released, listed, collected.

use super::{Freshness, MadeBy, Provenance, Receipt, RemovedState, hex_bytes};
use crate::terms::{
    Action, ArtifactId, Class, DecisionId, DepotId, EntryId, Environment, KeyId, KeyState, Kind, Name, ObjectId,
    ReleaseId, RunId, Suite, Timestamp, VersionId,
};
use std::collections::BTreeMap;

/// Open a version for writing.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Begin {
    /// The workspace; made by an owner's first `put`.
    pub workspace: Name,
    /// The artifact; made by the first version.
    pub artifact: Name,
    /// The class asked for; else the workspace's default, else confidential.
    pub class: Option<Class>,
    /// Whatever the class would be, it is not below this one. For settings that may come from somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Class>,
    /// The environment.
    pub environment: Environment,
    /// What it is; on the first version, else must agree.
    pub kind: Option<Kind>,
    /// The alias that the commit is going to move: a right of its own, asked for here so that nothing is uploaded in vain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<Name>,
    /// What the commit is going to name as sources; each must be visible.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// The run whose output it is: what the run's inputs are, it is made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Depot objects the client is about to upload, registered with a lease. At most 1,024.
    pub objects: Vec<ObjectId>,
    /// A signed release request (`seal::request`) with action `write` for a version id drawn by the client; a version
    /// id that is already open for writing by the same principal resumes it.
    #[serde(with = "hex_bytes")]
    pub request: Vec<u8>,
}

/// The version is open for writing.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Begun {
    /// Its artifact.
    pub artifact: ArtifactId,
    /// The class chosen.
    pub class: Class,
    /// Why this class: `asked`, `workspace default`, `default`, `artifact`.
    pub class_why: String,
    /// Signed envelope (`seal::envelope`) with the list and map keys of the new version.
    #[serde(with = "hex_bytes")]
    pub envelope: Vec<u8>,
    /// The latest committed version, if the signed request names it as its second version, the writer may read it and
    /// its packs may be shared. Its envelope is empty: its keys are in the one above.
    pub previous: Option<Released>,
    /// The vault's print key, sealed for whoever holds the new version's list key (`seal::prints`).
    #[serde(with = "hex_bytes", default, skip_serializing_if = "Vec::is_empty")]
    pub print_key: Vec<u8>,
    /// The sealed prints of `previous`, if it comes along and has some.
    #[serde(with = "hex_bytes", default, skip_serializing_if = "Vec::is_empty")]
    pub previous_prints: Vec<u8>,
    /// Objects stay registered until then unless extended.
    pub lease_until: Timestamp,
    /// The intent's entry.
    pub entry: EntryId,
}

/// Make a version exist.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Commit {
    /// The version.
    pub version: VersionId,
    /// Its record, deterministic CBOR (`seal::record`).
    #[serde(with = "hex_bytes")]
    pub record: Vec<u8>,
    /// Salted commitment to the plaintext digest of the whole.
    #[serde(with = "hex_bytes")]
    pub plaintext_commitment: Vec<u8>,
    /// Plaintext bytes.
    pub bytes: u64,
    /// Files.
    pub files: u64,
    /// Tags: at most 64, keys are names, values at most 1,024 bytes.
    pub tags: BTreeMap<String, String>,
    /// An alias to move to it in the same act.
    pub alias: Option<Name>,
    /// References of what it was made from.
    pub from: Vec<String>,
    /// How, if it was begun for a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Provenance>,
    /// What its content is recognised by, sealed by the client (`seal::prints`); empty for none.
    #[serde(with = "hex_bytes", default, skip_serializing_if = "Vec::is_empty")]
    pub prints: Vec<u8>,
    /// The depot that its objects were written to: refused if it is not the primary any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depot: Option<DepotId>,
}

/// Ask for what the content of versions is recognised by, to look for copies of it.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Prints {
    /// A signed release request (`seal::request`) with action `scan` for 1 to 64 versions.
    #[serde(with = "hex_bytes")]
    pub request: Vec<u8>,
}

/// Sealed prints and the keys to them, under decisions, in the log.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Printed {
    /// Signed envelope with the list keys of the versions below; empty if there are none.
    #[serde(with = "hex_bytes")]
    pub envelope: Vec<u8>,
    /// The vault's print key, sealed for whoever holds the list key of the first version below.
    #[serde(with = "hex_bytes")]
    pub print_key: Vec<u8>,
    /// Of the versions that were asked for, those that the caller may look for.
    pub items: Vec<PrintedVersion>,
}

/// The prints of one version.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct PrintedVersion {
    /// The version.
    pub version: VersionId,
    /// Its prints, sealed; empty if it has none.
    #[serde(with = "hex_bytes")]
    pub sealed: Vec<u8>,
}

/// The version exists.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Committed {
    /// The version.
    pub version: VersionItem,
    /// Where the log says so.
    pub receipt: Receipt,
}

/// Ask for keys.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Release {
    /// The reference as the user wrote it, without the path.
    pub reference: String,
    /// What for; must equal the signed request's.
    pub action: Action,
    /// A signed release request (`seal::request`). Its version must be what the reference resolves to.
    #[serde(with = "hex_bytes")]
    pub request: Vec<u8>,
    /// Why, for restricted data.
    pub reason: Option<String>,
    /// `WORKSPACE/ARTIFACT` typed again, for restricted data in solo mode.
    pub confirm: Option<String>,
    /// The run that it is an input of: then the action is `read`, and reason and confirmation are the run's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Of an export that goes to others: their public keys, as they were given. It wants a reason. At most 32 of at most 1,024 bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared_with: Vec<String>,
}

/// Keys, under a decision, in the log.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Released {
    /// The release.
    pub release: ReleaseId,
    /// The decision.
    pub decision: DecisionId,
    /// The version.
    pub version: VersionItem,
    /// Its record, deterministic CBOR; its SHA-256 must equal the digest that the envelope signs.
    #[serde(with = "hex_bytes")]
    pub record: Vec<u8>,
    /// Signed envelope with the keys that the action allows: list key, or list and map key.
    #[serde(with = "hex_bytes")]
    pub envelope: Vec<u8>,
    /// The client forgets the keys then.
    pub expires: Timestamp,
    /// Where the log says so.
    pub receipt: Receipt,
}

/// A version, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct VersionItem {
    /// `workspace/artifact@vN`.
    pub reference: String,
    /// Identity.
    pub id: VersionId,
    /// Number within the artifact, from 1.
    pub number: u64,
    /// The artifact.
    pub artifact: ArtifactId,
    /// Classification.
    pub class: Class,
    /// Environment.
    pub environment: Environment,
    /// The suite that it is sealed with.
    pub suite: Suite,
    /// Kind.
    pub kind: Kind,
    /// SHA-256 of the version record, hexadecimal.
    pub digest: String,
    /// The depot object holding list, map and record.
    pub object: ObjectId,
    /// Its version key.
    pub key: KeyId,
    /// In which state that is; the domain's key above it has one of its own.
    pub key_state: KeyState,
    /// Plaintext bytes.
    pub bytes: u64,
    /// Files.
    pub files: u64,
    /// Commit time.
    pub created: Timestamp,
    /// Name of the principal who put it.
    pub creator: String,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Aliases that point here.
    pub aliases: Vec<String>,
    /// What it was made from, as version ids.
    pub from: Vec<VersionId>,
    /// How, if a run made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<MadeBy>,
    /// Since when it is not opened any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<RemovedState>,
    /// When it was last sealed anew under another key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reencrypted: Option<Timestamp>,
    /// Since when its key is in the archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived: Option<Timestamp>,
    /// Legal holds that it is under; only `Show` and `History` tell them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Name>,
}

impl VersionItem {
    /// Whether its key is gone, and with it whatever only it opens.
    pub fn is_destroyed(&self) -> bool {
        self.removed.as_ref().is_some_and(|removed| removed.destroyed.is_some())
    }
}

/// What to list.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct ListQuery {
    /// Artifacts of this workspace; else workspaces.
    pub workspace: Option<Name>,
    /// Continue after this name.
    pub after: Option<String>,
    /// At most this many, up to 1,000.
    pub limit: u32,
}

/// A page of names.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct ListPage {
    /// By name.
    pub items: Vec<ListItem>,
    /// Where to go on.
    pub next: Option<String>,
}

/// A workspace, or an artifact with its latest version.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct ListItem {
    /// Name.
    pub name: String,
    /// Artifacts in the workspace.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub artifacts: Option<u64>,
    /// The artifact's latest version.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub latest: Option<Box<VersionItem>>,
}

/// What an object in the depot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectRole {
    /// A segment or version object of a committed version.
    Committed,
    /// Registered for a version being written.
    Leased,
    /// Marked for deletion.
    Marked,
}

/// An object the depot should hold.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct StoredObject {
    /// The object.
    pub object: ObjectId,
    /// What for.
    pub role: ObjectRole,
}

/// What garbage collection may delete.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct CollectPlan {
    /// Marked in a transaction just now or before; no version names them and no lease holds them.
    pub objects: Vec<ObjectId>,
    /// The proof that the database is current.
    pub freshness: Freshness,
}

/// Garbage was collected.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Collected {
    /// How many objects are gone.
    pub objects: u64,
    /// Where the log says so.
    pub receipt: Option<Receipt>,
}
