//! What is out of policy, and the way back (`docs/decisions/0115-crypto-policy-with-dates.md`).

use crate::terms::{Class, KeyId, Name, Suite, Timestamp, VersionId};

/// What is out of policy, now or at a time to come.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct KeyCheck {
    /// At this time instead of now; one that is past is now.
    pub at: Option<Timestamp>,
    /// And what comes so long after, in seconds.
    pub within_secs: u64,
}

/// How something is out of policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyWrong {
    /// It is of a suite that is not written there; it is opened.
    Suite,
    /// It is of a suite that is not opened there.
    Unread,
    /// A root wraps it that may not wrap there.
    Root,
    /// No root that wraps it may open it.
    Locked,
    /// No root at hand may wrap the next key, by a date.
    Away,
    /// A passphrase that costs a guesser less than a new one would.
    Cost,
    /// A passphrase that costs a guesser less than is opened.
    Weak,
    /// Its time is over.
    Overdue,
    /// A rotation has not come to what it wraps.
    Unfinished,
    /// Values that were sealed before: only who keeps them seals them again.
    Values,
    /// A key is suspended, or to go: it is left alone.
    Aside,
}

impl KeyWrong {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Suite => "suite",
            Self::Unread => "unread",
            Self::Root => "root",
            Self::Locked => "locked",
            Self::Away => "away",
            Self::Cost => "cost",
            Self::Weak => "weak",
            Self::Overdue => "overdue",
            Self::Unfinished => "unfinished",
            Self::Values => "values",
            Self::Aside => "aside",
        }
    }
}

/// One thing that is out of policy.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeyFinding {
    /// How.
    pub wrong: KeyWrong,
    /// The key, or the root.
    pub key: KeyId,
    /// What it is of, in words.
    pub of: String,
    /// Why, in words.
    pub why: String,
    /// Since when, or from when on; none if it always was, as far as the table tells.
    pub since: Option<Timestamp>,
    /// The command that mends it.
    pub mend: String,
}

/// What is out of policy.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct KeyChecked {
    /// Nothing is, at that time.
    pub ok: bool,
    /// When.
    pub at: Timestamp,
    /// How far it was looked ahead.
    pub until: Timestamp,
    /// What is. At most 1,000.
    pub items: Vec<KeyFinding>,
    /// How many more there are.
    pub more: u64,
    /// What comes until then. At most 1,000.
    pub coming: Vec<KeyFinding>,
    /// How many more there are.
    pub coming_more: u64,
}

/// A named key that is to be rotated.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NamedDrift {
    /// Its workspace.
    pub workspace: Name,
    /// Its name.
    pub name: Name,
}

/// A version that is to be sealed anew.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct VersionDrift {
    /// `workspace/artifact@vN`.
    pub reference: String,
    /// `workspace/artifact`.
    pub path: String,
    /// Its identity.
    pub id: VersionId,
    /// Its class.
    pub class: Class,
    /// Its suite.
    pub suite: Suite,
    /// The one that is written there.
    pub written: Suite,
    /// Plaintext bytes.
    pub bytes: u64,
}

/// What it takes to bring the vault back into its policy: the keeper's part at first, then pages of versions.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct KeyPlanned {
    /// Domain keys that are to be followed by others, by what they are of.
    pub domains: Vec<String>,
    /// Named keys that are.
    pub named: Vec<NamedDrift>,
    /// Keys that are wrapped under a domain key that is out of use.
    pub rewraps: u64,
    /// Wraps under roots that may not wrap there.
    pub wraps: u64,
    /// Versions whose suite is not written where they stand.
    pub versions: Vec<VersionDrift>,
    /// Where the next page of them begins.
    pub next: Option<VersionId>,
    /// What is left for people; of versions, those of this page.
    pub left: Vec<KeyFinding>,
}

/// Wraps were brought into line.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct WrapsMended {
    /// Made under roots that may wrap and did not.
    pub made: u64,
    /// Removed, of roots that may not.
    pub removed: u64,
    /// Left, because nothing else opens the key here.
    pub kept: u64,
}
