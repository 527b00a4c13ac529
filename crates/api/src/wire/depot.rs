//! The depots of a vault: where its objects lie.

use super::Receipt;
use crate::terms::{DepotId, DepotKind, ObjectId, Timestamp};

/// A depot.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DepotItem {
    /// Its id.
    pub id: DepotId,
    /// What it is.
    pub kind: DepotKind,
    /// A folder's path, or `s3://bucket/prefix`; the vault's own folder is `depot`.
    pub place: String,
    /// The service's URL; none is AWS.
    pub endpoint: Option<String>,
    /// The service's region.
    pub region: Option<String>,
    /// The file that says how to sign in; none is the environment.
    pub credentials: Option<String>,
    /// Whether new objects are written to it first.
    pub primary: bool,
    /// Since when the vault has it; none for its own folder.
    pub created: Option<Timestamp>,
    /// What was seen of it last.
    pub seen: DepotSeen,
    /// Objects that it lacks as far as is known: missing when it was compared, and committed since and not told as copied. 0 of the primary.
    pub backlog: u64,
}

/// What somebody who looked says of a depot.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DepotSeen {
    /// When it was compared with the versions last.
    pub compared: Option<Timestamp>,
    /// Objects that it held then.
    pub held: u64,
    /// Objects that it lacked.
    pub missing: u64,
    /// When its objects were read last, or a sample of them.
    pub checked: Option<Timestamp>,
    /// Objects that were damaged then, and not repaired.
    pub damaged: u64,
}

/// The depots in use, the primary first.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct DepotList {
    /// At least one.
    pub items: Vec<DepotItem>,
    /// The keeper's time: what is committed from now on has a later one, or the same.
    pub now: Timestamp,
}

/// A comparison of depots with the versions, begun.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DepotCompared {
    /// By which [`DepotCounted`] names it. What is committed from now on is not of it.
    pub mark: u64,
    /// The keeper's time.
    pub now: Timestamp,
}

/// Take a depot into use.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct DepotAdd {
    /// What it is.
    pub kind: DepotKind,
    /// An absolute path, or `s3://bucket/prefix`.
    pub place: String,
    /// The service's URL.
    pub endpoint: Option<String>,
    /// The service's region.
    pub region: Option<String>,
    /// The file that says how to sign in, by its absolute path.
    pub credentials: Option<String>,
    /// It becomes the primary, and not the last.
    pub first: bool,
}

/// Take a depot out of use. What lies in it stays there.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct DepotRemove {
    /// Which.
    pub depot: DepotId,
    /// All that was committed before is in another one: refused if something was committed since.
    pub checked: Timestamp,
}

/// A depot that was taken into use, or out of it.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct DepotMoved {
    /// The depot.
    pub depot: DepotItem,
    /// The entry.
    pub receipt: Receipt,
}

/// Tell what was seen of a depot.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct DepotCounted {
    /// Which.
    pub depot: DepotId,
    /// What was seen; a time that is left out leaves what was told before.
    pub seen: DepotSeen,
    /// Of which comparison; without one, what waited to be copied still waits.
    pub mark: Option<u64>,
}

/// Tell that a depot holds what a version was committed with.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct DepotCopied {
    /// Which.
    pub depot: DepotId,
    /// The object of the version, by whoever committed it.
    pub object: ObjectId,
}
