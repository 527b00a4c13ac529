//! Incidents: what is known of a compromised key, and what is still to be done about it.

use super::Receipt;
use crate::terms::{EntryId, IncidentId, KeyId, PlaybookStep, PrincipalId, Timestamp};

/// Mark a key as compromised, or go on with what followed.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct KeyCompromise {
    /// A domain key or a version's.
    pub key: KeyId,
    /// Why; in the log, under a salted commitment.
    pub reason: String,
}

/// Say that a step was done by people.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct IncidentDone {
    /// Which.
    pub incident: IncidentId,
    /// `notify` or `review`: what else there is the keeper sees for itself.
    pub step: PlaybookStep,
    /// What was done; in the log, under a salted commitment.
    pub reason: String,
}

/// An incident in a list.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct IncidentItem {
    /// Its id.
    pub id: IncidentId,
    /// The compromised key.
    pub key: KeyId,
    /// What it belongs to: `workspace/environment/class`, or `workspace/artifact@vN`.
    pub of: String,
    /// When it was marked.
    pub at: Timestamp,
    /// When it was closed.
    pub closed: Option<Timestamp>,
    /// Steps that are not done.
    pub open: Vec<PlaybookStep>,
    /// Version keys that are exposed and still in use; none before the evidence is there.
    pub exposed: Option<u64>,
    /// Of so many that the compromised key ever wrapped.
    pub of_keys: Option<u64>,
}

/// `incident ls`.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct IncidentList {
    /// The newest first.
    pub items: Vec<IncidentItem>,
}

/// An incident, as much of it as whoever asks may know.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct IncidentTold {
    /// The incident.
    pub incident: IncidentItem,
    /// The entry that marked the key.
    pub entry: EntryId,
    /// What the log told of the key; none until it was read.
    pub found: Option<IncidentFound>,
    /// Why it was not read yet, if that was tried.
    pub unread: Option<String>,
    /// The playbook, in order.
    pub steps: Vec<IncidentStep>,
    /// Whom its keys were handed to; none for whoever may not audit the workspace.
    pub principals: Option<Vec<IncidentPrincipal>>,
    /// How many more principals there are.
    pub more_principals: u64,
    /// Where the log says what was done now; none if nothing was.
    pub receipt: Option<Receipt>,
}

/// What the log told of a key, up to a head.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct IncidentFound {
    /// When it was read.
    pub at: Timestamp,
    /// Entries in the tree.
    pub log_size: u64,
    /// The root over them, hexadecimal.
    pub log_root: String,
    /// Versions that were committed.
    pub versions: u64,
    /// Versions that were begun and never finished.
    pub unfinished: u64,
    /// Versions whose keys were destroyed since.
    pub destroyed: u64,
    /// Packs that the versions name.
    pub packs: u64,
    /// Versions whose record is missing or is not what the log says, so that their packs are not counted.
    pub records_lost: u64,
    /// Principals to whom keys were handed.
    pub principals: u64,
    /// Releases of these versions.
    pub releases: u64,
    /// Those that went to a disk, among them.
    pub exports: u64,
    /// Those that went to others, among the exports.
    pub shares: u64,
    /// How often a key was handed out for writing.
    pub writes: u64,
    /// When a key was handed out first.
    pub first: Option<Timestamp>,
    /// When last.
    pub last: Option<Timestamp>,
    /// SHA-256 of the evidence, hexadecimal.
    pub evidence: String,
}

/// A step of the playbook.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct IncidentStep {
    /// Which.
    pub step: PlaybookStep,
    /// Whether nothing of it is left.
    pub done: bool,
    /// How much is left, where that can be counted.
    pub left: Option<u64>,
    /// Of how much.
    pub of: Option<u64>,
    /// What it is for.
    pub about: String,
    /// The commands, in order.
    pub commands: Vec<String>,
    /// Who said that it was done, if people do it and whoever asks may know.
    pub by: Option<String>,
    /// When.
    pub at: Option<Timestamp>,
}

/// Somebody to whom keys were handed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct IncidentPrincipal {
    /// The name, if it is known.
    pub principal: Option<String>,
    /// The id.
    pub id: PrincipalId,
    /// Releases into memory.
    pub reads: u64,
    /// Releases to a disk.
    pub exports: u64,
    /// Releases to others.
    pub shares: u64,
    /// How often a key was handed out for writing.
    pub writes: u64,
    /// When first.
    pub first: Timestamp,
    /// When last.
    pub last: Timestamp,
}

/// Where the evidence went.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EvidenceWritten {
    /// The file.
    pub file: String,
    /// Its lines.
    pub lines: u64,
    /// SHA-256 of the evidence, hexadecimal: up to the line that says so.
    pub evidence: String,
}
