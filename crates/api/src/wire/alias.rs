//! Movable names of versions.

use super::Receipt;
use crate::terms::{Class, DecisionId, EntryId, Environment, Name, Timestamp, VersionId};

/// Move an alias to a version, or make it.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct AliasSet {
    /// The version that it comes to.
    pub reference: String,
    /// The alias; `latest` and `v1`, `v2`, ... are none.
    pub alias: Name,
    /// The number of the version that it must point to now, 0 for none; something else is a conflict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<u64>,
}

/// Take an alias away.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct AliasRemove {
    /// The artifact; a version in it is ignored.
    pub reference: String,
    /// The alias.
    pub alias: Name,
    /// The number of the version that it must point to now; something else is a conflict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<u64>,
}

/// Where an alias was and is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AliasMoved {
    /// The alias.
    pub alias: Name,
    /// `workspace/artifact@vN` that it points to; none after its removal.
    pub version: Option<String>,
    /// What it pointed to before; none if it was not there.
    pub before: Option<String>,
    /// Whether anything changed: an alias that pointed there already stays, and has no new entry.
    pub changed: bool,
    /// Where the log says so.
    pub receipt: Option<Receipt>,
}

/// An alias and its version.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AliasItem {
    /// The alias.
    pub alias: Name,
    /// `workspace/artifact@vN`.
    pub version: String,
    /// The version.
    pub id: VersionId,
    /// Its number.
    pub number: u64,
    /// Its classification.
    pub class: Class,
    /// Its environment.
    pub environment: Environment,
    /// When it was put.
    pub created: Timestamp,
}

/// The past of an alias, from the log.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct AliasPast {
    /// The artifact; a version in it is ignored.
    pub reference: String,
    /// The alias.
    pub alias: Name,
    /// Continue behind this index of the log, towards older entries.
    pub after: Option<u64>,
    /// At most this many, up to 1,000.
    pub limit: u32,
}

/// A move of an alias, as an entry of the log says it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AliasMove {
    /// The index of the entry; none while it waits.
    pub log_index: Option<u64>,
    /// The entry.
    pub entry: EntryId,
    /// When.
    pub time: Timestamp,
    /// Who, by name.
    pub principal: Option<String>,
    /// `version.commit` (a put with the alias), `alias.set` or `alias.remove`.
    pub act: String,
    /// `workspace/artifact@vN` that it came to; none when it was removed.
    pub version: Option<String>,
    /// What it left.
    pub before: Option<String>,
    /// The decision that allowed it.
    pub decision: Option<DecisionId>,
}
