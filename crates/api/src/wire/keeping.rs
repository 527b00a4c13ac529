//! How long versions stay: removing and restoring them, retention, legal holds.

use super::Receipt;
use crate::terms::{Class, Environment, Name, Timestamp, VersionId};

/// That a version was removed: it is not opened any more.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RemovedState {
    /// Since when.
    pub at: Timestamp,
    /// Its key stays at least until then, and it can be restored as long as its key is there.
    pub until: Timestamp,
    /// By the artifact's retention, not by hand.
    pub by_rule: bool,
    /// A legal hold that came later keeps its key.
    pub held: bool,
    /// When its key was destroyed; none: it can be restored.
    pub destroyed: Option<Timestamp>,
}

/// Remove versions.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Remove {
    /// A version, which must be named, or with `all` an artifact.
    pub reference: String,
    /// Every version of the artifact that is there.
    pub all: bool,
    /// Why; up to 1,024 bytes. For the log.
    pub reason: Option<String>,
    /// The artifact's path again, where that is asked for.
    pub confirm: Option<String>,
    /// Only say what would be.
    pub dry: bool,
}

/// Restore a removed version.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Restore {
    /// The version, by number or id.
    pub reference: String,
}

/// What was removed or restored.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Removal {
    /// By number.
    pub items: Vec<RemovalItem>,
    /// How many of them changed; the others were so already.
    pub changed: u64,
    /// Where the log says so; none if nothing changed.
    pub receipt: Option<Receipt>,
}

/// A version that was removed or restored, and what depends on it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RemovalItem {
    /// `workspace/artifact@vN`.
    pub version: String,
    /// The version.
    pub id: VersionId,
    /// Its classification.
    pub class: Class,
    /// Its environment.
    pub environment: Environment,
    /// Plaintext bytes.
    pub bytes: u64,
    /// Files.
    pub files: u64,
    /// When its key is destroyed; none if it was restored.
    pub until: Option<Timestamp>,
    /// Versions that were made from it, as far as the caller may see them; at most 100.
    pub made_from_it: Vec<String>,
    /// How many more there are.
    pub more_made_from_it: u64,
    /// Versions that hold some of the same packs: what they share stays readable there.
    pub shares_with: Vec<String>,
}

/// Say how long the versions of an artifact are kept.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct RetentionSet {
    /// The artifact.
    pub reference: String,
    /// Keep versions that are younger, in seconds, from a day to 100 years.
    pub keep_secs: Option<u64>,
    /// Keep the newest so many of each environment, from 1 to 1,000,000. Without both bounds everything is kept.
    pub keep_last: Option<u32>,
    /// Why; up to 1,024 bytes. For the log.
    pub reason: Option<String>,
    /// The artifact's path again, where that is asked for.
    pub confirm: Option<String>,
    /// Only say what would be.
    pub dry: bool,
}

/// Ask what retention keeps and removes.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct RetentionQuery {
    /// A workspace, or an artifact with all its versions.
    pub place: String,
    /// Continue after this artifact of the workspace.
    pub after: Option<String>,
}

/// What retention keeps and removes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RetentionReport {
    /// By name.
    pub items: Vec<RetentionItem>,
    /// Where to go on.
    pub next: Option<String>,
    /// Where the log says that a rule was set.
    pub receipt: Option<Receipt>,
}

/// An artifact and what is kept of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RetentionItem {
    /// `workspace/artifact`.
    pub artifact: String,
    /// Keep what is younger, in seconds.
    pub keep_secs: Option<u64>,
    /// Keep the newest so many.
    pub keep_last: Option<u32>,
    /// Legal holds on it.
    pub holds: Vec<Name>,
    /// How many versions stay.
    pub kept: u64,
    /// How many go with the next run of the job.
    pub due: u64,
    /// How many are removed and can be restored.
    pub removed: u64,
    /// How many are destroyed.
    pub destroyed: u64,
    /// Each version, newest first, where one artifact was asked for; at most 1,000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<KeptVersion>,
}

/// A version and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeptVersion {
    /// `workspace/artifact@vN`.
    pub version: String,
    /// When it was put.
    pub created: Timestamp,
    /// What becomes of it.
    pub fate: Keeping,
    /// Until when it is kept for its age, or when the key of a removed one is or was destroyed; none while a hold keeps it.
    pub until: Option<Timestamp>,
}

/// What becomes of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keeping {
    /// No rule says anything.
    NoRule,
    /// It is young enough.
    Young,
    /// It is one of the newest.
    Last,
    /// The rule was set for a lower class.
    Above,
    /// A legal hold keeps it.
    Held,
    /// An alias points to it.
    Aliased,
    /// It is removed with the next run of the job.
    Due,
    /// It is removed and can be restored.
    Removed,
    /// It is destroyed.
    Destroyed,
}

/// Put versions under a legal hold.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct HoldSet {
    /// An artifact, with whatever versions it has and will have; or one version.
    pub reference: String,
    /// What the hold is called, within the artifact.
    pub name: Name,
    /// Why; up to 1,024 bytes. For the log.
    pub reason: String,
}

/// Lift a legal hold.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct HoldLift {
    /// The artifact; a version in it is ignored.
    pub reference: String,
    /// Which.
    pub name: Name,
    /// Why; up to 1,024 bytes. For the log.
    pub reason: String,
}

/// A legal hold that was set or lifted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HoldMoved {
    /// The hold.
    pub hold: HoldItem,
    /// Whether it holds now.
    pub holds: bool,
    /// Whether anything changed.
    pub changed: bool,
    /// Where the log says so; none if nothing changed.
    pub receipt: Option<Receipt>,
}

/// A legal hold.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HoldItem {
    /// What it is called.
    pub name: Name,
    /// `workspace/artifact`, or `workspace/artifact@vN` for one version.
    pub of: String,
    /// Name of the principal who set it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}
