//! `root remove`: a root opens nothing any more. The last one that opens stays, and so does one without which a key would be lost.

use super::drill::one;
use super::{orphans, retire};
use crate::acts::{Act, Wanted, act, look};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::jobs::Slice;
use crate::journal::Logged;
use crate::keys::domains::{kept, wraps_of};
use crate::rows::{Root, RootState};
use crate::session::Session;
use crate::suites::lockout;
use api::terms::{Action, KeyId};
use api::wire::{RootOutcome, RootRemove, RootRemoved};

const ACT: &str = "root.remove";

/// Removes a root.
pub(crate) fn remove(engine: &Engine, session: &Session, command: &RootRemove) -> Result<RootRemoved> {
    let wanted = Wanted::vault(Action::ManageKeys, ACT);
    if let Some(after) = command.after {
        proven(engine, session, command.root, after)?;
    }
    let others: Vec<KeyId> = engine
        .domains
        .roots
        .members()
        .iter()
        .filter(|member| member.id != command.root && engine.domains.roots.lasting(member).is_ok())
        .map(|member| member.id)
        .collect();
    let (row, logged) = act(engine, session, &wanted, &[], |tx, act| written(tx, act, command.root, &others))?;
    let receipt = engine.settled(&logged)?;
    let rows: Vec<Root> = engine.store.read(|tx| engine.keys.guard.select(tx, "ORDER BY id", &[]))?;
    engine.domains.roots.reload(&rows, None)?;
    // What is left of it is a job's as well.
    let wraps = retire(engine, &Slice::whole())?;
    Ok(RootRemoved { root: row.id, kind: row.kind.word().to_owned(), wraps, receipt })
}

/// Has the root that takes the place of another one open everything, before that one opens nothing.
fn proven(engine: &Engine, session: &Session, old: KeyId, new: KeyId) -> Result<()> {
    look(engine, session, &Wanted::vault(Action::ManageKeys, ACT))?;
    let row: Option<Root> = engine.store.read(|tx| engine.keys.guard.find(tx, new.as_bytes()))?;
    let follows = row.is_some_and(|row| row.follows == Some(old) && row.state.counts());
    let member = engine.domains.roots.members().into_iter().find(|member| member.id == new);
    let member = member.filter(|_| follows).ok_or_else(|| Error::NotFound(new.to_string()))?;
    let drill = one(engine, &member, &Slice::whole())?;
    if drill.outcome == RootOutcome::Opens {
        return Ok(());
    }
    let why = drill.why.unwrap_or_else(|| "it does not open everything".to_owned());
    let why = format!("{new} does not take its place yet: {why}");
    Err(Error::Conflict { what: "the root", why, hint: Some("strongroom root ls".to_owned()) })
}

fn written(tx: &mut dyn Transaction, act: &Act<'_>, id: KeyId, others: &[KeyId]) -> Result<(Root, Logged)> {
    let guard = &act.engine.keys.guard;
    let rows: Vec<Root> = guard.select(tx, "ORDER BY id", &[])?;
    let found = rows.iter().find(|row| row.id == id && row.state.counts());
    let row = found.cloned().ok_or_else(|| Error::NotFound(id.to_string()))?;
    let opens = |row: &Root| row.id != id && row.state.counts() && others.contains(&row.id);
    if !rows.iter().any(opens) {
        let why = "no other root opens here, and a vault without one is lost".to_owned();
        return Err(Error::Conflict { what: "the root", why, hint: Some("strongroom root drill".to_owned()) });
    }
    // What does not open here now, or only wraps, saves nothing.
    let leaving: Vec<KeyId> = rows.iter().filter(|row| !opens(row)).map(|row| row.id).collect();
    if let Some(key) = orphans(tx, guard, &leaving, 1)?.first() {
        let why = format!("nothing else that opens wraps key {}", key.id);
        return Err(Error::Conflict { what: "the root", why, hint: Some("strongroom root ls".to_owned()) });
    }
    let others: Vec<&Root> = rows.iter().filter(|row| opens(row)).collect();
    if let Some(key) = shut(act.engine, tx, &[id], &others)? {
        let why = format!("no other root that wraps key {key} may open it by the vault's table");
        return Err(Error::Conflict { what: "the root", why, hint: Some("strongroom key check".to_owned()) });
    }
    // Nor what the table's dates shut later.
    let table = act.engine.crypto(tx)?;
    let before = lockout::told(act.engine, tx, (&table, act.now), None)?;
    let after = lockout::told(act.engine, tx, (&table, act.now), Some(id))?;
    if let Some(why) = after.into_iter().find(|told| !before.contains(told)) {
        return Err(Error::Conflict { what: "the root", why, hint: Some("strongroom key check".to_owned()) });
    }
    let change = guard.update(tx, &Root { state: RootState::Retired, ..row.clone() }, act.ticket)?;
    let event = act.event(ACT).on("root", row.id).with("kind", row.kind).changing(vec![change]);
    let logged = act.engine.log(tx, act.ticket, &act.by, &[event])?;
    Ok((row, logged.first().copied().ok_or(Error::Internal("an entry was lost"))?))
}

/// A domain key or archive key that these roots wrap and none of the others may open, although they wrap it.
pub(crate) fn shut(
    engine: &Engine,
    tx: &mut dyn Transaction,
    leaving: &[KeyId],
    others: &[&Root],
) -> Result<Option<KeyId>> {
    let guard = &engine.keys.guard;
    if !engine.crypto(tx)?.speaks_of_roots() {
        return Ok(None);
    }
    for key in kept(tx, guard)? {
        let wraps = wraps_of(tx, guard, key.id)?;
        let mut may = others.iter().filter(|root| engine.suites.may_open(key.domain.as_ref(), root.term()));
        let is_left = may.any(|root| wraps.iter().any(|wrap| wrap.under == root.id));
        if !is_left && wraps.iter().any(|wrap| leaving.contains(&wrap.under)) {
            return Ok(Some(key.id));
        }
    }
    Ok(None)
}
