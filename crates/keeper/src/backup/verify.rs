//! A backup is checked: without a key that it is whole, with one every byte, and the log in it from its entries to its head.

use super::read::{Items, Opened, Opening, Sealed};
use super::{DepotPlace, MAX_MANIFEST_LEN, Manifest, damaged};
use crate::error::{Error, Result};
use crate::vault::RootKind;
use api::terms::{BackupId, Mode, Suite, Timestamp, VaultId};
use api::wire::{BackupRoot, Freshness};
use log::keys::LogKeys;
use log::source::{SourceError, TileSource};
use log::verify::{self, Failure};
use seal::backup::ItemKind;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// How every SQLite database begins.
const DATABASE_MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Threads that verify the log.
const THREADS: usize = 2;

/// What was found out about a backup.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// Whether nothing is wrong, as far as it could be looked at.
    pub ok: bool,
    /// Which it says it is.
    pub backup: BackupId,
    /// Of which vault.
    pub vault: VaultId,
    /// The vault's mode.
    pub mode: Mode,
    /// The suite of the vault's own keys.
    pub suite: Suite,
    /// When it was made.
    pub made: Timestamp,
    /// Its length.
    pub bytes: u64,
    /// Roots that open it.
    pub roots: Vec<BackupRoot>,
    /// What is inside; none if nothing opened it: then nothing above is proven.
    pub content: Option<Content>,
    /// What is wrong.
    pub failures: Vec<String>,
}

/// What is in a backup, each byte of which was authenticated.
#[derive(Debug, Clone, Serialize)]
pub struct Content {
    /// What opened it.
    pub opened_by: RootKind,
    /// The program that made it.
    pub program: String,
    /// Workspaces in it.
    pub workspaces: u64,
    /// Artifacts in it.
    pub artifacts: u64,
    /// Versions in it.
    pub versions: u64,
    /// Entries of the log in it, each of which was hashed into the tree again.
    pub log_size: u64,
    /// The root of that tree, which the log signed.
    pub log_root: String,
    /// Whether the anchor agreed when it was made.
    pub freshness: Freshness,
    /// The length of the database.
    pub database_bytes: u64,
    /// Where the ciphertext lay then. It is not in the backup.
    pub depots: Vec<DepotPlace>,
}

/// Checks a backup.
pub(super) fn check(path: &Path, opening: Option<&Opening>) -> Result<Checked> {
    let sealed = Sealed::open(path)?;
    let file = sealed.vault_file()?;
    let roots = file.roots.iter().map(|root| BackupRoot { id: root.id, kind: root.kind.word().to_owned() });
    let mut checked = Checked {
        ok: true,
        backup: sealed.id(),
        vault: file.vault,
        mode: file.mode,
        suite: file.suite,
        made: sealed.made(),
        bytes: sealed.len(),
        roots: roots.collect(),
        content: None,
        failures: Vec::new(),
    };
    let Some(opening) = opening else {
        if !sealed.sum_holds()? {
            checked.failures.push("its checksum does not hold: it was damaged".to_owned());
        }
        checked.ok = checked.failures.is_empty();
        return Ok(checked);
    };
    let (root, mac) = sealed.unlock(&file, opening)?;
    let opened = sealed.opened(&mac)?;
    match content(&opened, &checked, root.kind()) {
        Ok((content, failures)) => (checked.content, checked.failures) = (Some(content), failures),
        Err(Error::BackupDamaged(why)) => checked.failures.push(why),
        Err(error) => return Err(error),
    }
    checked.ok = checked.failures.is_empty();
    Ok(checked)
}

/// Reads the manifest, which must be of the backup that the header speaks of.
pub(super) fn manifest(items: &mut Items<'_, '_>, sealed: &Sealed) -> Result<Manifest> {
    let item = items.first()?;
    let manifest = Manifest::parse(&items.whole(&item, MAX_MANIFEST_LEN)?)?;
    let said = (manifest.vault.as_bytes(), manifest.backup, manifest.made);
    if said == (&sealed.header.vault, sealed.id(), sealed.made()) {
        Ok(manifest)
    } else {
        Err(damaged("its manifest is of another backup"))
    }
}

/// The public keys of the log.
pub(super) fn log_keys(manifest: &Manifest) -> Result<LogKeys> {
    let [ed25519, mldsa] = &manifest.log_keys;
    LogKeys::from_vkeys(ed25519, mldsa).map_err(|_| damaged("its manifest has no keys of a log"))
}

fn content(opened: &Opened<'_>, of: &Checked, opened_by: RootKind) -> Result<(Content, Vec<String>)> {
    let mut items = opened.items();
    let manifest = manifest(&mut items, opened.sealed())?;
    let mut failures = Vec::new();
    let (database, _) = items.head()?;
    if (database.kind, database.len) != (ItemKind::Database, manifest.database_bytes) {
        return Err(damaged("its database is not what its manifest says"));
    }
    let mut start: Vec<u8> = Vec::with_capacity(DATABASE_MAGIC.len());
    items.read(&database, |piece| {
        let lacks = DATABASE_MAGIC.len() - start.len();
        start.extend(piece.iter().take(lacks));
        Ok(())
    })?;
    if start != DATABASE_MAGIC {
        failures.push("its database is none".to_owned());
    }
    let mut tiles = BTreeMap::new();
    loop {
        let (item, at) = items.head()?;
        match item.kind {
            ItemKind::LogFile | ItemKind::LogTail => {
                items.read(&item, |_| Ok(()))?;
                tiles.insert(item.name, (at, item.len));
            }
            ItemKind::End => break,
            ItemKind::Manifest | ItemKind::Database => return Err(damaged("an item stands twice")),
        }
    }
    items.finish()?;
    let keys = log_keys(&manifest)?;
    if keys.origin().vault() != of.vault.as_bytes() {
        failures.push("its log is another vault's".to_owned());
    }
    let report =
        verify::run(&Tiles { opened, tiles }, &verify::Options { keys: &keys, older: &[], threads: THREADS }, None);
    failures.extend(report.failures.iter().map(Failure::to_string));
    let head = report.checkpoint.map(|checkpoint| (checkpoint.size, checkpoint.root.to_string()));
    if head != Some((manifest.log_size, manifest.log_root.clone())) {
        failures.push("its log has another head than its manifest says".to_owned());
    }
    let Manifest {
        program,
        workspaces,
        artifacts,
        versions,
        log_size,
        log_root,
        freshness,
        database_bytes,
        depots,
        ..
    } = manifest;
    let content = Content {
        opened_by,
        program,
        workspaces,
        artifacts,
        versions,
        log_size,
        log_root,
        freshness,
        database_bytes,
        depots,
    };
    Ok((content, failures))
}

/// The log in a backup, read by the places of its files.
struct Tiles<'o, 's> {
    opened: &'o Opened<'s>,
    tiles: BTreeMap<String, (u64, u64)>,
}

impl TileSource for Tiles<'_, '_> {
    fn read(&self, path: &str, max: usize) -> std::result::Result<Vec<u8>, SourceError> {
        let path = path.to_owned();
        let Some((at, len)) = self.tiles.get(&path) else { return Err(SourceError::Missing { path }) };
        let len = usize::try_from(*len).ok().filter(|len| *len <= max);
        let len = len.ok_or_else(|| SourceError::TooLong { path: path.clone() })?;
        self.opened.read_at(*at, len).map_err(|error| SourceError::Io { path, why: error.to_string() })
    }
}
