//! A backup is made: said in the log, copied, sealed, said to be there.

use super::copy::{Copied, Room, copy};
use super::history;
use super::stream::{Output, refuse_existing};
use crate::acts::{Act, Wanted, act};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::journal::{By, Event, Logged};
use crate::ledger::Lies;
use crate::session::Session;
use api::terms::{Action, BackupId};
use api::wire::{BackupCreate, BackupMade, BackupRoot, BackupSeen};
use log::entry::Kind;
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
    // Nothing is copied that is not in the log first. What is put after this entry is in the next backup.
    let made = act(engine, session, &Wanted::vault(Action::Backup, ACT), &[], |tx, act| begun(tx, act, backup))?;
    engine.integrate()?;
    let copied = copy(engine, &room, backup, made)?;
    let bytes = sealed(engine, &copied, path)?;
    drop(room);
    let Copied { manifest, file, .. } = copied;
    let seen = BackupSeen { backup, made, log_size: manifest.log_size, bytes };
    let logged = engine.store.write(|tx| done(engine, session, tx, &seen))?;
    let roots = file.roots.iter().map(|root| BackupRoot { id: root.id, kind: root.kind.word().to_owned() }).collect();
    Ok(BackupMade {
        backup,
        file: command.file.clone(),
        made,
        bytes,
        versions: manifest.versions,
        log_size: manifest.log_size,
        roots,
        receipt: engine.settled(&logged)?,
    })
}

fn begun(tx: &mut dyn Transaction, act: &Act<'_>, backup: BackupId) -> Result<api::terms::Timestamp> {
    let event = Event { kind: Kind::Intent, ..act.event(ACT) }.on("backup", backup);
    act.engine.log(tx, act.ticket, &act.by, &[event])?;
    Ok(act.now)
}

fn done(engine: &Engine, session: &Session, tx: &mut dyn Transaction, seen: &BackupSeen) -> Result<Logged> {
    let by = By::session(session, engine.now()?);
    let ticket = tx.ticket()?;
    engine.watch.mark(tx)?;
    let change = history::made(tx, &engine.keys.guard, seen, ticket)?;
    let event = Event::new(Kind::Outcome, ACT).on("backup", seen.backup).with("size", seen.log_size);
    let logged = engine.log(tx, ticket, &by, &[event.with("bytes", seen.bytes).changing(vec![change])])?;
    logged.first().copied().ok_or(Error::Internal("an entry was lost"))
}

fn sealed(engine: &Engine, copied: &Copied, path: &Path) -> Result<u64> {
    let mut out = Output::begin(path, &copied.header, engine.keys.mac())?;
    let manifest = serde_json::to_vec(&copied.manifest).map_err(|_| Error::Internal("a manifest is not JSON"))?;
    out.item(ItemKind::Manifest, "", &manifest)?;
    out.item_from(ItemKind::Database, &copied.database, copied.manifest.database_bytes, &copied.path)?;
    copied.tiles.each(|lies, name, bytes| {
        let kind = match lies {
            Lies::Folder => ItemKind::LogFile,
            Lies::Database => ItemKind::LogTail,
        };
        out.item(kind, name, bytes)
    })?;
    out.finish()
}
