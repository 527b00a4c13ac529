//! Backups: made, seen by `status`, and what was restored from one.

use super::Receipt;
use crate::terms::{BackupId, KeyId, Timestamp};

/// Asks for a backup.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BackupCreate {
    /// Where it goes: an absolute path at which nothing is.
    pub file: String,
}

/// A backup that was made.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct BackupMade {
    /// Its id.
    pub backup: BackupId,
    /// Where it is.
    pub file: String,
    /// When it was begun: what was done later is not in it.
    pub made: Timestamp,
    /// Its length.
    pub bytes: u64,
    /// Versions in it.
    pub versions: u64,
    /// Entries of the log in it.
    pub log_size: u64,
    /// Roots that open it.
    pub roots: Vec<BackupRoot>,
    /// The entry.
    pub receipt: Receipt,
}

/// A root that opens a backup.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BackupRoot {
    /// Its id.
    pub id: KeyId,
    /// `keyfile`, `passphrase`, `recovery`, `pkcs11`, `aws-kms` or `escrow`.
    pub kind: String,
}

/// What became of the vault by restoring it. It is kept for ever.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Restores {
    /// How often it was restored.
    pub count: u64,
    /// How often that gave up entries that had been signed.
    pub forks: u64,
    /// The last of them, the newest first.
    pub latest: Vec<RestoreItem>,
}

/// One time that the vault was restored.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RestoreItem {
    /// From which backup.
    pub backup: BackupId,
    /// When that was made.
    pub made: Timestamp,
    /// When it was restored.
    pub at: Timestamp,
    /// Entries of the log in the backup.
    pub log_size: u64,
    /// Entries that an anchor knew of then, if they were given up.
    pub fork: Option<u64>,
}
