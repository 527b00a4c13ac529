//! `root set`: in which order roots are asked.

use super::list::item;
use crate::acts::{Act, Wanted, act};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::journal::Logged;
use crate::rows::Root;
use crate::session::Session;
use crate::vault::file::VaultFile;
use api::terms::Action;
use api::wire::{RootChanged, RootSet};

const ACT: &str = "root.set";

/// Changes the priority of a root.
pub(crate) fn change(engine: &Engine, session: &Session, command: &RootSet) -> Result<RootChanged> {
    let wanted = Wanted::vault(Action::ManageKeys, ACT);
    let logged = act(engine, session, &wanted, &[], |tx, act| written(tx, act, command))?;
    let receipt = logged.map(|logged| engine.settled(&logged)).transpose()?;
    let rows: Vec<Root> = engine.store.read(|tx| engine.keys.guard.select(tx, "ORDER BY id", &[]))?;
    // The file's order is that in which roots are tried before the rows are known; where a kill leaves the old one, the next change
    // of roots mends it.
    let amended = VaultFile::amend(&engine.dir, |file| {
        file.check_of(engine)?;
        let rank = |id| rows.iter().find(|row| row.id == id).map(|row| (row.priority, row.created));
        file.roots.sort_by_key(|entry| rank(entry.id));
        Ok(())
    })?;
    drop(amended);
    engine.domains.roots.reload(&rows, None)?;
    engine.store.read(|tx| {
        let row: Root = engine.keys.guard.expect(tx, command.root.as_bytes())?;
        Ok(RootChanged { root: item(engine, tx, &row)?, receipt: receipt.clone() })
    })
}

fn written(tx: &mut dyn Transaction, act: &Act<'_>, command: &RootSet) -> Result<Option<Logged>> {
    let guard = &act.engine.keys.guard;
    let row: Option<Root> = guard.find(tx, command.root.as_bytes())?;
    let row = row.filter(|row| row.state.counts()).ok_or_else(|| Error::NotFound(command.root.to_string()))?;
    if row.priority == command.priority {
        return Ok(None);
    }
    let before = row.priority;
    let change = guard.update(tx, &Root { priority: command.priority, ..row }, act.ticket)?;
    let event = act.event(ACT).on("root", command.root).with("from", before).with("priority", command.priority);
    let logged = act.engine.log(tx, act.ticket, &act.by, &[event.changing(vec![change])])?;
    Ok(logged.first().copied())
}
