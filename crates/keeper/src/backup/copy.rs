//! The vault at one moment: its database, and everything else that a backup holds.

use super::{DepotPlace, FORM, Manifest};
use crate::datastore::{Snapshot, Transaction};
use crate::depots;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::keys::sealed;
use crate::ledger::Tiles;
use crate::rows::{Key, Purpose, Root, Wrap};
use crate::status::tally;
use crate::vault::file::VaultFile;
use api::terms::{BackupId, KeyState, Timestamp};
use seal::backup::{Header, Wrapped};
use std::fs::File;
use std::path::{Path, PathBuf};

/// A copy, where the database's own file is not at rest: in the vault's folder, it holds nothing that the database beside it does not.
const NAME: &str = "backup.partial";
/// Held by whoever makes a backup.
const LOCK: &str = "backup.lock";
/// How often the moment is looked for again, when roots or files change just then.
const TRIES: u32 = 8;

/// The place of the copy, held by one backup at a time. What is dropped leaves nothing.
pub(super) struct Room {
    path: PathBuf,
    #[expect(dead_code, reason = "it is held, not read")]
    lock: File,
}

impl Room {
    /// Takes it, and removes what one left that was killed.
    pub(super) fn take(dir: &Path) -> Result<Self> {
        let path = dir.join(LOCK);
        let io = |error: std::io::Error| Error::io("the vault cannot be locked", &path, &error);
        let lock = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(Error::conflict("the backup", "another one is being made"));
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(io(error)),
        }
        let room = Self { path: dir.join(NAME), lock };
        room.clear();
        Ok(room)
    }

    fn clear(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A vault at one moment, without its database.
pub(super) struct Copied {
    pub(super) header: Header,
    pub(super) manifest: Manifest,
    pub(super) file: VaultFile,
    pub(super) tiles: Tiles,
}

/// What a transaction tells of the vault.
type Told = (Header, Manifest, VaultFile, Tiles);

/// Copies the vault as it is now; others write meanwhile.
pub(super) fn copy(engine: &Engine, room: &Room, backup: BackupId, made: Timestamp) -> Result<(Copied, Snapshot)> {
    let mut copied = None;
    for _ in 0..TRIES {
        room.clear();
        match engine.store.snapshot(&room.path, |tx| told(engine, tx, backup, made)) {
            // A pass or a root came between: look again.
            Err(Error::Stale) => {}
            other => {
                copied = Some(other?);
                break;
            }
        }
    }
    let ((header, mut manifest, file, tiles), database) = copied
        .ok_or_else(|| Error::conflict("the backup", "roots or the log changed each time that they were looked at"))?;
    manifest.database_bytes = database.len;
    Ok((Copied { header, manifest, file, tiles }, database))
}

/// Everything besides the database, as the same transaction sees it.
fn told(engine: &Engine, tx: &mut dyn Transaction, backup: BackupId, made: Timestamp) -> Result<Told> {
    let tiles = engine.ledger.tiles(tx)?.ok_or(Error::Stale)?;
    let (file, header) = header(engine, tx, backup, made)?;
    let head = tiles.head();
    let places = depots::in_use(tx, &engine.keys.guard)?.into_iter().enumerate();
    let manifest = Manifest {
        strongroom_backup: FORM,
        vault: engine.vault,
        backup,
        made,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        mode: engine.mode,
        suite: engine.info.suite,
        workspaces: tally(tx, "workspaces")?,
        artifacts: tally(tx, "artifacts")?,
        versions: tally(tx, "versions")?,
        log_size: head.head.size,
        log_root: head.head.root.to_string(),
        checkpoint: head.checkpoint,
        log_keys: [engine.ledger.keys().ed25519().to_string(), engine.ledger.keys().mldsa().to_string()],
        freshness: engine.ledger.freshness()?,
        database_bytes: 0,
        depots: places.map(|(at, row)| DepotPlace { kind: row.kind, place: row.place, primary: at == 0 }).collect(),
    };
    Ok((header, manifest, file, tiles))
}

/// The vault's file with the roots that count, and the wraps of the MAC key under them.
fn header(engine: &Engine, tx: &mut dyn Transaction, backup: BackupId, made: Timestamp) -> Result<(VaultFile, Header)> {
    let guard = &engine.keys.guard;
    let values = [Purpose::RowMac.word().into(), KeyState::Active.word().into()];
    let keys: Vec<Key> = guard.select(tx, "WHERE purpose = $1 AND state = $2", &values)?;
    let key = keys.first().ok_or(Error::Internal("a vault without a MAC key"))?;
    let wraps: Vec<Wrap> = guard.select(tx, "WHERE wrapped = $1 ORDER BY under", &[key.id.as_bytes().into()])?;
    let rows: Vec<Root> = guard.select(tx, "ORDER BY id", &[])?;
    let mut file = VaultFile::read_of(engine)?;
    let counting: Vec<&Root> = rows.iter().filter(|row| row.state.counts()).collect();
    if counting.iter().any(|row| file.entry(row.id).is_none()) {
        // One was removed from the file since this transaction began.
        return Err(Error::Stale);
    }
    file.roots.retain(|entry| counting.iter().any(|row| row.id == entry.id));
    let mut wrapped = Vec::with_capacity(wraps.len());
    for wrap in wraps.iter().filter(|wrap| counting.iter().any(|row| row.id == wrap.under)) {
        let sealed = hex::decode(&wrap.sealed).map_err(|_| Error::Wrap { key: key.id.to_string() })?;
        wrapped.push(Wrapped { root: *wrap.under.as_bytes(), sealed });
    }
    wrapped.sort_by_key(|wrap| wrap.root);
    let header = Header {
        suite: sealed(file.suite),
        vault: *engine.vault.as_bytes(),
        backup: *backup.as_bytes(),
        made_ms: made.as_millis(),
        mac_key: *key.id.as_bytes(),
        description: file.encoded()?,
        wraps: wrapped,
    };
    Ok((file, header))
}
