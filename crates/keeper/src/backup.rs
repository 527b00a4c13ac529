//! Backups: the database, the wrapped keys, the policies, the log and its head in one sealed file (`spec/keys.md#backups`,
//! `docs/decisions/0110-a-backup-is-one-sealed-file.md`).
//!
//! [`create`] copies the database at one moment while others write, and seals the copy with the log's files of that moment. [`check`]
//! and [`restore`] need no vault, only the file and what opens one of its roots. What lies in depots is in no backup.

mod copy;
mod create;
pub(crate) mod history;
mod place;
mod read;
mod restore;
mod stream;
mod verify;

pub(crate) use create::create;
pub(crate) use place::is_unfinished;
pub use read::Opening;
pub use restore::{Fork, RestoreOptions, Restored};
pub use verify::{Checked, Content};

use crate::error::{Error, Result};
use crate::vault::{Description, RootEntry};
use api::terms::{BackupId, DepotKind, Mode, Suite, Timestamp, VaultId};
use api::wire::{Freshness, Problem};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What the manifest's form is called.
const FORM: u32 = 1;
/// The longest manifest.
const MAX_MANIFEST_LEN: u64 = 1 << 20;
/// Bytes read, sealed and written at a time.
const BLOCK_LEN: usize = 1 << 20;

/// What a backup says of itself, inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    strongroom_backup: u32,
    vault: VaultId,
    backup: BackupId,
    made: Timestamp,
    program: String,
    mode: Mode,
    suite: Suite,
    workspaces: u64,
    artifacts: u64,
    versions: u64,
    log_size: u64,
    log_root: String,
    checkpoint: String,
    /// Ed25519, ML-DSA-44.
    log_keys: [String; 2],
    /// Whether the anchor agreed.
    freshness: Freshness,
    database_bytes: u64,
    depots: Vec<DepotPlace>,
}

/// Where ciphertext lay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DepotPlace {
    /// A folder or a bucket.
    pub kind: DepotKind,
    /// Where; a relative path is one in the vault's folder.
    pub place: String,
    /// Whether it was written to.
    pub primary: bool,
}

/// What can be read of a backup without a key: which vault it is of, and which roots open it.
///
/// # Errors
/// `integrity` for what is no backup; `not-found` if there is no file.
pub fn describe(file: &Path) -> std::result::Result<Description, Problem> {
    let described = read::Sealed::open(file)?.vault_file()?;
    let roots = described.roots.iter().map(|root| RootEntry { id: root.id, kind: root.kind }).collect();
    Ok(Description { vault: described.vault, mode: described.mode, roots })
}

/// Checks a backup: with a root every byte of it, without one that it is whole and not damaged by accident.
///
/// # Errors
/// As [`describe`]; `root-refused` for what does not open it. What does not hold is in the answer.
pub fn check(file: &Path, opening: Option<&Opening>) -> std::result::Result<Checked, Problem> {
    Ok(verify::check(file, opening)?)
}

/// Restores a backup into an empty folder; one that broke off there is finished.
///
/// # Errors
/// `behind-anchor` if the anchor on this machine knows of entries that the backup has not, and forks are refused; `integrity` for a
/// backup that does not hold; `root-refused`; `conflict` for a folder that is not empty; `disk-full`.
pub fn restore(options: &RestoreOptions) -> std::result::Result<Restored, Problem> {
    Ok(restore::restore(options)?)
}

/// A backup whose bytes do not hold.
fn damaged(why: impl Into<String>) -> Error {
    Error::BackupDamaged(why.into())
}

impl Manifest {
    fn parse(bytes: &[u8]) -> Result<Self> {
        let parsed: Self = serde_json::from_slice(bytes).map_err(|_| damaged("its manifest is not of its form"))?;
        if parsed.strongroom_backup == FORM { Ok(parsed) } else { Err(damaged("its manifest is of another form")) }
    }
}
