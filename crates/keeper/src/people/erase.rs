//! Erasing a person: the key that seals what is personal of them goes, with their name. Entries stay, and name an id that nothing
//! leads back from (`docs/erasure.md`).

use super::told;
pub(crate) use super::told::read as listed;
use crate::acts::{Wanted, act, look};
use crate::backup::history;
use crate::datastore::{self, Transaction};
use crate::engine::Engine;
use crate::epochs;
use crate::error::{Error, Result};
use crate::facts;
use crate::hold::looked::{self, Looked, steady};
use crate::jobs::{Slice, by_system};
use crate::journal::{Event, Logged};
use crate::ledger::Filter;
use crate::replay;
use crate::rows::{Artifact, Change, Erased, Grant, PolicySet, Principal, Run, Subject, Table, Version, Workspace};
use crate::session::Session;
use api::terms::{Action, Class, PrincipalId, Timestamp};
use api::wire::{PrincipalErase, PrincipalErased};
use log::entry::Kind;
use std::collections::{BTreeMap, BTreeSet};

/// The act in the log.
const ERASE: &str = "principal.erase";
/// The longest reason, in bytes.
const MAX_REASON_LEN: usize = 1024;
/// The act of the entries with the runs that the first one has no room for.
const ERASE_RUNS: &str = "principal.erase-runs";
/// The most runs in one entry, beside as many grants: it stays below its length.
const MAX_RUNS: usize = 256;
/// Rows and entries read at a time.
const PAGE: i64 = 1000;
const ENTRIES: u32 = 10_000;

/// Erases somebody who is suspended.
pub(crate) fn erase(engine: &Engine, session: &Session, command: &PrincipalErase) -> Result<PrincipalErased> {
    check(command)?;
    let wanted = Wanted::vault(Action::ManagePrincipals, ERASE);
    // Before it is told who is there and who is not.
    look(engine, session, &wanted)?;
    let id = engine.store.read(|tx| {
        let row = facts::principal_named(engine, tx, &command.name)?;
        let row = row.ok_or_else(|| Error::NoPrincipal(command.name.clone()))?;
        refuse(engine, session, command, &row)?;
        Ok::<_, Error>(row.id)
    })?;
    let (ended, backup, logged) = steady(|| {
        let looked = Looked::at(engine, *id.as_bytes(), || refuse_held(engine, id))?;
        act(engine, session, &wanted, &[*id.as_bytes(), looked::subject()], |tx, act| {
            // Whoever is suspended makes nothing, and a hold that came meanwhile is not passed over.
            looked.stands(tx)?;
            let row: Principal = engine.keys.guard.expect(tx, id.as_bytes())?;
            // They may have become active meanwhile, or somebody was faster.
            refuse(engine, session, command, &row)?;
            let backup = history::last(tx, &engine.keys.guard)?;
            let by = act.by.principal;
            let ended = end(engine, tx, row, by, (act.now, act.ticket))?;
            let event = act.event(ERASE).with("backup", told_of(backup)).hiding("reason", &command.reason)?;
            let logged = engine.log(tx, act.ticket, &act.by, &ended.told(event))?;
            let logged: Logged = *logged.first().ok_or(Error::Internal("an entry was lost"))?;
            Ok((ended, backup, logged))
        })
    })?;
    engine.facts.forget_all();
    // The erasure stands, whatever keeps the rest from being done.
    let unfinished = match go_on(engine, &Slice::whole()).and_then(|_| is_unfinished(engine)) {
        Ok(false) => None,
        Ok(true) => Some("somebody reads the database".to_owned()),
        Err(error) => Some(error.to_string()),
    };
    let (grants, runs, values) = (ended.grants, ended.runs.len() as u64, ended.values);
    let (finished, receipt) = (unfinished.is_none(), engine.settled(&logged)?);
    Ok(PrincipalErased { id, grants, runs, values, backup, finished, unfinished, receipt })
}

fn check(command: &PrincipalErase) -> Result<()> {
    let bad = |why: &str| Err(Error::bad("the erasure", why));
    let reason = command.reason.trim();
    if reason.is_empty() || command.reason.len() > MAX_REASON_LEN {
        return bad("it has a reason of at most 1024 bytes");
    }
    if reason.to_lowercase().contains(&command.name.as_str().to_lowercase()) {
        return bad("its reason stays in the log, and must not name who is erased: give the number of the request");
    }
    Ok(())
}

/// Refuses what would leave the vault without its owner, or let somebody wipe out their own traces.
fn refuse(engine: &Engine, session: &Session, command: &PrincipalErase, row: &Principal) -> Result<()> {
    let name = &command.name;
    let refused = |why: String| Err(Error::conflict("the erasure", why));
    if row.erased.is_some() {
        return refused(format!("`{name}` was erased already"));
    }
    if row.id == engine.owner {
        return refused(format!("`{name}` owns the vault: it stays"));
    }
    if row.id == session.principal {
        return refused("nobody erases themselves: another owner does".into());
    }
    if !row.suspended {
        return Err(Error::Conflict {
            what: "the erasure",
            why: format!("`{name}` is active: only who was suspended is erased"),
            hint: Some(format!("strongroom principal add {name} --change --suspended")),
        });
    }
    Ok(())
}

/// Refuses while a legal hold keeps something that they made: who made it belongs to what is held. In pages, each a transaction of its
/// own, for [`Looked`].
fn refuse_held(engine: &Engine, id: PrincipalId) -> Result<()> {
    let guard = &engine.keys.guard;
    let mut after: Vec<u8> = Vec::new();
    loop {
        let page: Vec<Artifact> = engine
            .store
            .read(|tx| guard.select(tx, "WHERE id > $1 ORDER BY id LIMIT $2", &[(&after).into(), PAGE.into()]))?;
        for artifact in page.iter().filter(|artifact| !artifact.holds.is_empty()) {
            if artifact.creator != id && !made_held(engine, artifact, id)? {
                continue;
            }
            let workspace = engine.store.read(|tx| guard.expect::<Workspace>(tx, artifact.workspace.as_bytes()))?;
            let path = format!("{}/{}", workspace.name, artifact.name);
            return Err(Error::Conflict {
                what: "the erasure",
                why: format!("a legal hold keeps what they made in `{path}`"),
                hint: Some(format!("strongroom hold ls {path}")),
            });
        }
        match page.last() {
            Some(last) => after = last.id.as_bytes().to_vec(),
            None => return Ok(()),
        }
    }
}

/// Whether they made a version of the artifact that is held.
fn made_held(engine: &Engine, artifact: &Artifact, id: PrincipalId) -> Result<bool> {
    let mut after: i64 = 0;
    loop {
        let tail = "WHERE artifact = $1 AND number > $2 ORDER BY number LIMIT $3";
        let page: Vec<Version> = engine.store.read(|tx| {
            engine.keys.guard.select(tx, tail, &[artifact.id.as_bytes().into(), after.into(), PAGE.into()])
        })?;
        if page.iter().any(|version| version.creator == id && artifact.holds(version.id)) {
            return Ok(true);
        }
        match page.last() {
            Some(last) => after = i64::try_from(last.number).unwrap_or(i64::MAX),
            None => return Ok(false),
        }
    }
}

/// What ended with somebody.
struct Ended {
    id: PrincipalId,
    grants: u64,
    values: u64,
    /// Rows of runs.
    runs: Vec<Change>,
    /// All others.
    changes: Vec<Change>,
}

impl Ended {
    /// The entries: an id, and counts. There may be more runs than one of them holds.
    fn told(&self, first: Event) -> Vec<Event> {
        let mut parts = self.runs.chunks(MAX_RUNS);
        let first = first
            .on("principal", self.id)
            .with("grants", self.grants)
            .with("runs", self.runs.len())
            .with("values", self.values)
            .changing(self.changes.clone())
            .changing(parts.next().unwrap_or_default().to_vec());
        let more = |runs: &[Change]| {
            let event = Event::new(Kind::State, ERASE_RUNS).on("principal", self.id);
            event.with("runs", runs.len()).changing(runs.to_vec())
        };
        std::iter::once(first).chain(parts.map(more)).collect()
    }
}

/// Destroys the key with the name, and what hangs on it.
fn end(
    engine: &Engine,
    tx: &mut dyn Transaction,
    row: Principal,
    by: PrincipalId,
    (at, ticket): (Timestamp, i64),
) -> Result<Ended> {
    let guard = &engine.keys.guard;
    let id = row.id;
    // One that is not there was taken out of the database: that is no erasure.
    let subject: Subject = guard.expect(tx, id.as_bytes())?;
    let mut changes = vec![guard.remove::<Subject>(tx, &subject.id())?];
    let grants = facts::actor(engine, tx, id)?.grants;
    for grant in &grants {
        changes.push(guard.remove::<Grant>(tx, &grant.id())?);
    }
    let runs = end_runs(engine, tx, id, (at, ticket))?;
    let values = tx.query("DELETE FROM sidecar WHERE subject = $1", &[id.as_bytes().into()])?.changed();
    let erased = Some(Erased { at, by, finished: None });
    let gone = Principal { clearance: Class::Public, suspended: true, erased, ..row };
    changes.push(guard.update(tx, &gone, ticket)?);
    epochs::bump(tx, id.as_bytes())?;
    epochs::conclude(tx, id.as_bytes())?;
    Ok(Ended { id, grants: grants.len() as u64, values, runs, changes })
}

/// Ends what they have under way.
fn end_runs(
    engine: &Engine,
    tx: &mut dyn Transaction,
    id: PrincipalId,
    (at, ticket): (Timestamp, i64),
) -> Result<Vec<Change>> {
    let guard = &engine.keys.guard;
    let mut changes = Vec::new();
    let mut after: Vec<u8> = Vec::new();
    loop {
        let values = [id.as_bytes().into(), (&after).into(), PAGE.into()];
        let page: Vec<Run> = guard.select(tx, "WHERE principal = $1 AND id > $2 ORDER BY id LIMIT $3", &values)?;
        for run in page.iter().filter(|run| run.ended.is_none() && run.until > at) {
            changes.push(guard.update(tx, &Run { ended: Some(at), ..run.clone() }, ticket)?);
        }
        match page.last() {
            Some(last) => after = last.id.as_bytes().to_vec(),
            None => return Ok(changes),
        }
    }
}

/// How far it reaches: backups from before hold the key still, for whoever has a root that wrapped the keys above.
fn told_of(backup: Option<Timestamp>) -> String {
    backup.map_or_else(|| "none".to_owned(), |at| at.to_string())
}

/// Erases again whom the list beside the anchor names, in a vault that was restored from before. Nobody is asked: somebody was, then.
pub(crate) fn again(
    engine: &Engine,
    tx: &mut dyn Transaction,
    listed: &BTreeSet<PrincipalId>,
    (at, ticket): (Timestamp, i64),
) -> Result<()> {
    for id in listed {
        let row: Option<Principal> = engine.keys.guard.find(tx, id.as_bytes())?;
        let Some(row) = row.filter(|row| row.erased.is_none() && row.id != engine.owner) else { continue };
        let by = by_system(engine, at);
        let ended = end(engine, tx, row, by.principal, (at, ticket))?;
        let event = Event::new(Kind::State, ERASE).with("why", "restored");
        engine.log(tx, ticket, &by, &ended.told(event))?;
    }
    Ok(())
}

/// Whether something is left to do.
pub(crate) fn is_unfinished(engine: &Engine) -> Result<bool> {
    Ok(engine.store.read(|tx| next(engine, tx))?.is_some())
}

fn next(engine: &Engine, tx: &mut dyn Transaction) -> Result<Option<Principal>> {
    Ok(engine.keys.guard.select(tx, "WHERE erasing IS NOT NULL ORDER BY erasing, id LIMIT 1", &[])?.pop())
}

/// Has the database forget the bytes, and the list beside the anchor remember the ids; how many people there were. While somebody
/// reads what was before, it waits.
pub(crate) fn go_on(engine: &Engine, slice: &Slice) -> Result<u64> {
    let mut done = 0;
    while let Some(row) = engine.store.read(|tx| next(engine, tx))? {
        engine.facts.forget_all();
        match engine.store.scrub() {
            Err(datastore::Error::Busy) => return Ok(done),
            other => other?,
        }
        let now = engine.now()?;
        done += u64::from(engine.store.write(|tx| finish(engine, tx, row.id, now))?);
        if slice.is_over() {
            break;
        }
    }
    Ok(done)
}

fn finish(engine: &Engine, tx: &mut dyn Transaction, id: PrincipalId, now: Timestamp) -> Result<bool> {
    // Of the vault as well: the list beside the anchor is written by one at a time.
    epochs::seize(tx, &[*id.as_bytes(), PolicySet::row_id()])?;
    let row: Principal = engine.keys.guard.expect(tx, id.as_bytes())?;
    // Somebody may have been faster.
    let Some(erased) = row.erased.filter(|erased| erased.finished.is_none()) else { return Ok(false) };
    told::write(engine, tx)?;
    let ticket = tx.ticket()?;
    engine.watch.mark(tx)?;
    let row = Principal { erased: Some(Erased { finished: Some(now), ..erased }), ..row };
    let change = engine.keys.guard.update(tx, &row, ticket)?;
    let event = Event::new(Kind::State, "principal.erased").on("principal", id).changing(vec![change]);
    engine.log(tx, ticket, &by_system(engine, now), &[event])?;
    Ok(true)
}

/// Who was erased, by the tickets of entries that are proven to be in the log. Rows are not asked.
pub(crate) fn in_log(engine: &Engine) -> Result<BTreeMap<PrincipalId, u64>> {
    let mut erased = BTreeMap::new();
    let mut filter = Filter { acts: &[ERASE], limit: ENTRIES, ..Filter::default() };
    loop {
        let page = engine.ledger.query(&filter)?;
        for found in &page.items {
            let entry = replay::parsed(&found.body)?;
            let id = entry.subject.get("principal").and_then(|id| id.parse().ok());
            if let Some(id) = id.filter(|_| entry.kind == Kind::State) {
                erased.insert(id, entry.ticket);
            }
        }
        match page.next {
            Some(next) => filter.after = Some(next),
            None => return Ok(erased),
        }
    }
}
