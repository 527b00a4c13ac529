//! A backup is made: said in the log, copied, sealed.

use super::copy::{Copied, Room, copy};
use super::history;
use super::stream::{Output, refuse_existing};
use crate::acts::{Act, Wanted, act};
use crate::datastore::{Snapshot, Transaction};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::journal::Logged;
use crate::ledger::Lies;
use crate::session::Session;
use api::terms::{Action, BackupId, Timestamp};
use api::wire::{BackupCreate, BackupMade, BackupRoot};
use seal::backup::ItemKind;
use std::path::Path;

const ACT: &str = "backup.create";

/// Makes a backup in a new file.
pub(crate) fn create(engine: &Engine, session: &Session, command: &BackupCreate) -> Result<BackupMade> {
    let path = Path::new(&command.file);
    if !path.is_absolute() || path.file_name().is_none() {
        return Err(Error::bad("the backup", "its place is no absolute path of a file"));
    }
    refuse_existing(path)?;
    let backup = BackupId::from_bytes(crate::system::random()?);
    let room = Room::take(&engine.dir)?;
    // It is in the log before it is there, and so in the backup: whatever is logged after this is newer than the backup.
    let wanted = Wanted::vault(Action::Backup, ACT);
    let (made, logged) = act(engine, session, &wanted, &[], |tx, act| begun(tx, act, backup))?;
    let receipt = engine.anchored(&logged)?;
    let (copied, database) = copy(engine, &room, backup, made)?;
    let bytes = sealed(engine, &copied, database, path)?;
    engine.store.write(|tx| history::made(tx, &engine.keys.guard, made))?;
    let Copied { manifest, file, .. } = copied;
    let roots = file.roots.iter().map(|root| BackupRoot { id: root.id, kind: root.kind.word().to_owned() }).collect();
    Ok(BackupMade {
        backup,
        file: command.file.clone(),
        made,
        bytes,
        versions: manifest.versions,
        log_size: manifest.log_size,
        roots,
        receipt,
    })
}

fn begun(tx: &mut dyn Transaction, act: &Act<'_>, backup: BackupId) -> Result<(Timestamp, Logged)> {
    let event = act.event(ACT).on("backup", backup);
    let logged = act.engine.log(tx, act.ticket, &act.by, &[event])?;
    Ok((act.now, logged.first().copied().ok_or(Error::Internal("an entry was lost"))?))
}

fn sealed(engine: &Engine, copied: &Copied, database: Snapshot, path: &Path) -> Result<u64> {
    let mut out = Output::begin(path, &copied.header, engine.keys.mac())?;
    let manifest = serde_json::to_vec(&copied.manifest).map_err(|_| Error::Internal("a manifest is not JSON"))?;
    out.item(ItemKind::Manifest, "", &manifest)?;
    out.item_from(ItemKind::Database, database.bytes, database.len, &engine.dir)?;
    copied.tiles.each(|lies, name, bytes| {
        let kind = match lies {
            Lies::Folder => ItemKind::LogFile,
            Lies::Database => ItemKind::LogTail,
        };
        out.item(kind, name, bytes)
    })?;
    out.finish()
}
