//! The log, seen from outside.

use super::hex_bytes;
use crate::terms::{Action, Class, EntryId, Environment, Kind, Name, Timestamp};

/// Where the log says that something happened.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Receipt {
    /// The entry.
    pub entry: EntryId,
    /// SHA-256 leaf hash of the entry, hexadecimal.
    pub leaf: String,
    /// Its index in the tree, once integrated.
    pub log_index: Option<u64>,
    /// The keeper's signature (release key) over label, vault, entry id and leaf hash.
    #[serde(with = "hex_bytes")]
    pub signature: Vec<u8>,
}

/// What the anchor says of the log's age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Freshness {
    /// The tree equals or extends what the anchor last saw.
    Proven,
    /// There is no anchor to compare with.
    Unproven,
}

/// Which entries; all conditions must hold.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct AuditFilter {
    /// By this principal.
    pub principal: Option<Name>,
    /// About this artifact (a reference; its version narrows further if given).
    pub reference: Option<String>,
    /// Of this act or a prefix of it (`release`, `key.rotate`).
    pub act: Option<String>,
    /// At or after.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// Newest first (`audit tail`).
    pub newest_first: bool,
    /// Continue after this index (exclusive), in the order asked for.
    pub after: Option<u64>,
    /// At most this many, up to 10,000.
    pub limit: u32,
}

/// A page of entries.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct AuditPage {
    /// In the order asked for.
    pub items: Vec<AuditItem>,
    /// Where to go on.
    pub next: Option<u64>,
}

/// An entry.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct AuditItem {
    /// Index in the tree; none while pending.
    pub log_index: Option<u64>,
    /// The name of the principal; of one who was erased, `ID (erased)`.
    pub principal: Option<String>,
    /// The entry itself, as the log holds it.
    pub entry: serde_json::Value,
    /// What its commitments commit to, where known.
    pub disclosed: serde_json::Value,
    /// Whether its decision, made again, comes out as it was recorded; only when one entry is asked for, and it has a decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replayed: Option<Replayed>,
}

/// A decision made again from what the keeper stored.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Replayed {
    /// How it compares.
    pub outcome: Outcome,
    /// What is missing or other than recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// How a decision that was made again compares with the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The same answer, determining policies and near misses.
    Same,
    /// Another answer, or inputs that are not those that the entry commits to.
    Differs,
    /// Inputs that the keeper should have kept are gone.
    Missing,
    /// Another engine or schema decided: the program that had them can tell.
    OtherEngine,
    /// Verifiable, no longer replayable: who asked was erased since, which is in the log.
    Erased,
}

/// A signed tree head.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct LogHead {
    /// Entries.
    pub size: u64,
    /// Root hash, hexadecimal.
    pub root: String,
    /// The signed note.
    pub checkpoint: String,
}

/// `audit verify`.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct LogVerified {
    /// Everything re-derived and equal.
    pub ok: bool,
    /// The head.
    pub head: LogHead,
    /// Against the anchor.
    pub freshness: Freshness,
    /// What did not hold, in words, with places.
    pub failures: Vec<String>,
    /// What became of the vault by restoring it, if it was.
    pub restored: Option<super::Restores>,
}

/// The clock counts again.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct ClockAccepted {
    /// What the vault was told last.
    pub before: Timestamp,
    /// What the clock shows.
    pub now: Timestamp,
    /// Where the log says so.
    pub receipt: Receipt,
}

/// `verify --state`.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct StateVerified {
    /// The tables equal the fold of the log.
    pub ok: bool,
    /// Rows compared.
    pub rows: u64,
    /// What did not hold: table, row, how.
    pub failures: Vec<String>,
}

/// `audit verify --replay`.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct DecisionsReplayed {
    /// No decision differs, and nothing is missing.
    pub ok: bool,
    /// Decisions that came out as recorded.
    pub same: u64,
    /// Decisions of another engine or schema, which were not made again.
    pub other_engine: u64,
    /// Decisions of people who were erased since: verifiable, no longer replayable.
    pub erased: u64,
    /// What did not hold: entry, decision, how.
    pub failures: Vec<String>,
}

/// What would be decided.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Explain {
    /// As whom; else the caller.
    pub principal: Option<Name>,
    /// Which action.
    pub action: Action,
    /// On what: a version, an artifact as a `put` would find it, a workspace; none or `vault` for the vault itself.
    pub reference: Option<String>,
    /// For `write` and `alias`: the class that the new version is asked to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// The class that it is not to be below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Class>,
    /// Its environment; none: `dev`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// What a first version is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// For `write`: what it was made from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// With this reason.
    pub reason: Option<String>,
    /// With this confirmation.
    pub confirm: Option<String>,
}

impl Explain {
    /// Whether the caller may do this to the vault itself; other questions set what they name.
    #[must_use]
    pub fn of(action: Action) -> Self {
        Self {
            principal: None,
            action,
            reference: None,
            class: None,
            at_least: None,
            environment: None,
            kind: None,
            from: Vec::new(),
            reason: None,
            confirm: None,
        }
    }
}
