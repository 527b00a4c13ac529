//! Depots: where the objects lie. The keeper says which there are and in which order; what lies in them it never sees
//! (`docs/decisions/0100-depots-are-copies.md`).
//!
//! What a depot holds is told by whoever looked. That is believed for what waits ([`copy_due`], `status`) and for nothing else: nothing is
//! deleted, read or left unread because of it.

pub(crate) mod uncopied;

use crate::acts::{Wanted, act, look};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::journal::Logged;
use crate::rows::{Depot, Guard, PolicySet};
use crate::session::Session;
use crate::write::objects::{COMMITTED, millis};
use api::terms::{Action, DepotId, DepotKind, Timestamp};
use api::wire::{
    DepotAdd, DepotCompared, DepotCopied, DepotCounted, DepotItem, DepotList, DepotMoved, DepotRemove, DepotSeen,
};

/// The table of what was seen.
const SEEN: &str = "depot_seen";
/// The most depots in use at a time.
const MAX_DEPOTS: usize = 8;
/// The most rows, those of depots out of use among them.
const MAX_ROWS: i64 = 256;
/// The longest place, URL or name of a region.
const MAX_PLACE_LEN: usize = 4_096;

/// The depots in use.
pub(crate) fn list(engine: &Engine) -> Result<DepotList> {
    let now = engine.now()?;
    let items = engine.store.read(|tx| {
        let guard = &engine.keys.guard;
        let rows = in_use(tx, guard)?;
        let mut items = Vec::with_capacity(rows.len());
        for (place, row) in rows.into_iter().enumerate() {
            items.push(item(tx, guard, row, place == 0)?);
        }
        Ok::<_, Error>(items)
    })?;
    Ok(DepotList { items, now })
}

/// Takes one into use.
pub(crate) fn add(engine: &Engine, session: &Session, command: &DepotAdd) -> Result<DepotMoved> {
    check_form(command)?;
    let id = DepotId::from_bytes(crate::system::random()?);
    let wanted = Wanted::vault(Action::Collect, "depot.add");
    // Commits hold the same subject: none is under way while the primary changes.
    let (row, logged) = act(engine, session, &wanted, &[PolicySet::row_id()], |tx, act| {
        let guard = &act.engine.keys.guard;
        let rows = in_use(tx, guard)?;
        let count = "SELECT CAST(COUNT(*) AS BIGINT) FROM depot";
        if tx.query(count, &[])?.one()?.integer(0)? >= MAX_ROWS {
            return Err(Error::conflict("the depot", format!("a vault has at most {MAX_ROWS} in its time")));
        }
        let ranks = rows.iter().map(|row| row.rank);
        let rank = if command.first {
            ranks.min().unwrap_or(0).saturating_sub(1)
        } else {
            ranks.max().unwrap_or(0).saturating_add(1)
        };
        let row = Depot {
            id,
            kind: command.kind,
            place: command.place.clone(),
            endpoint: command.endpoint.clone(),
            region: command.region.clone(),
            credentials: command.credentials.clone(),
            rank,
            created: Some(act.now),
            retired: None,
        };
        if rows.iter().any(|other| other.is_at(&row)) {
            return Err(Error::conflict("the depot", "the vault has it already"));
        }
        if rows.len() >= MAX_DEPOTS {
            return Err(Error::conflict("the depot", "a vault has at most 8"));
        }
        let change = guard.insert(tx, &row, act.ticket)?;
        if committed_since(tx, None)? == 0 {
            keep(tx, guard, id, &DepotSeen { compared: Some(act.now), ..DepotSeen::default() })?;
        }
        let event = act.event("depot.add").on("depot", id).with("kind", row.kind).with("first", command.first);
        let event = event.hiding("place", &row.place)?.changing(vec![change]);
        let logged = act.engine.log(tx, act.ticket, &act.by, &[event])?;
        Ok((row, logged.first().copied()))
    })?;
    told(engine, row, logged)
}

/// Takes one out of use, which is not the last, and not the only one that holds something: that was looked for by whoever asks, up to a
/// time since which nothing was committed.
pub(crate) fn remove(engine: &Engine, session: &Session, command: &DepotRemove) -> Result<DepotMoved> {
    let wanted = Wanted::vault(Action::Collect, "depot.remove");
    let (row, logged) = act(engine, session, &wanted, &[PolicySet::row_id()], |tx, act| {
        let guard = &act.engine.keys.guard;
        let rows = in_use(tx, guard)?;
        let named = rows.iter().find(|row| row.id == command.depot);
        let row = named.ok_or_else(|| Error::NotFound(command.depot.to_string()))?;
        if rows.len() == 1 {
            return Err(Error::conflict("the depot", "it is the only one"));
        }
        if committed_since(tx, Some(command.checked))? > 0 {
            return Err(Error::conflict("the depot", "something was put since it was looked for what it alone holds"));
        }
        let retired = Depot { retired: Some(act.now), ..row.clone() };
        let change = match retired.created {
            None => guard.insert(tx, &retired, act.ticket)?,
            Some(_) => guard.update(tx, &retired, act.ticket)?,
        };
        tx.query("DELETE FROM depot_seen WHERE depot = $1", &[row.id.as_bytes().into()])?;
        uncopied::forget(tx, row.id)?;
        let event = act.event("depot.remove").on("depot", row.id).changing(vec![change]);
        let logged = act.engine.log(tx, act.ticket, &act.by, &[event])?;
        Ok((retired, logged.first().copied()))
    })?;
    told(engine, row, logged)
}

/// Begins a comparison: what waits to be copied now is of it. Two at once take it from one another, so that neither lets go of what it did
/// not look at.
pub(crate) fn compare(engine: &Engine, session: &Session) -> Result<DepotCompared> {
    look(engine, session, &Wanted::vault(Action::Collect, "depot.compare"))?;
    let now = engine.now()?;
    let mark = engine.store.write(|tx| {
        let mark = tx.ticket()?;
        uncopied::mark(tx, mark)?;
        u64::try_from(mark).map_err(|_| Error::Internal("a ticket below zero"))
    })?;
    Ok(DepotCompared { mark, now })
}

/// Takes down that a depot holds what a version was committed with. Whoever committed it says so, or who may collect.
pub(crate) fn copied(engine: &Engine, session: &Session, command: &DepotCopied) -> Result<()> {
    let (depot, object) = (command.depot, command.object);
    let by = engine.store.read(|tx| uncopied::committed_by(tx, depot, object))?;
    match by {
        // A comparison was faster.
        None => return Ok(()),
        Some(by) if by == session.principal() => {}
        Some(_) => look(engine, session, &Wanted::vault(Action::Collect, "depot.copied"))?,
    }
    engine.store.write(|tx| {
        let guard = &engine.keys.guard;
        let objects = uncopied::told(tx, depot, object)?;
        let mut seen = seen(tx, guard, depot)?;
        if objects == 0 || seen.compared.is_none() {
            return Ok(());
        }
        seen.held = seen.held.saturating_add(objects);
        keep(tx, guard, depot, &seen)
    })
}

/// Takes down what somebody saw of a depot. Only who may collect says so: others do not see everything, and would call it complete.
pub(crate) fn counted(engine: &Engine, session: &Session, command: &DepotCounted) -> Result<()> {
    look(engine, session, &Wanted::vault(Action::Collect, "depot.counted"))?;
    engine.store.write(|tx| {
        let guard = &engine.keys.guard;
        let id = command.depot;
        if !in_use(tx, guard)?.iter().any(|row| row.id == id) {
            return Err(Error::NotFound(id.to_string()));
        }
        let mut seen = seen(tx, guard, id)?;
        let told = &command.seen;
        if told.compared.is_some() {
            (seen.compared, seen.held, seen.missing) = (told.compared, told.held, told.missing);
        }
        if told.checked.is_some() {
            (seen.checked, seen.damaged) = (told.checked, told.damaged);
        }
        if let (Some(_), Some(mark)) = (told.compared, command.mark) {
            uncopied::seen(tx, id, mark)?;
        }
        keep(tx, guard, id, &seen)
    })
}

/// Now, if a depot lacks something.
pub(crate) fn copy_due(engine: &Engine, now: Timestamp) -> Result<Option<Timestamp>> {
    let waits = list(engine)?.items.iter().any(|item| item.backlog > 0);
    Ok(waits.then_some(now))
}

/// Refuses a version whose objects were written to another depot than the primary.
pub(crate) fn check_primary(engine: &Engine, tx: &mut dyn Transaction, written: DepotId) -> Result<()> {
    match in_use(tx, &engine.keys.guard)?.first() {
        Some(primary) if primary.id == written => Ok(()),
        _ => Err(Error::conflict("the new version", "the vault has another primary depot since it was uploaded")),
    }
}

/// Those in use, the primary first.
pub(crate) fn in_use(tx: &mut dyn Transaction, guard: &Guard) -> Result<Vec<Depot>> {
    let mut rows: Vec<Depot> = guard.select(tx, "ORDER BY id LIMIT $1", &[MAX_ROWS.into()])?;
    let own = Depot::own();
    if !rows.iter().any(|row| row.id == own.id) {
        rows.push(own);
    }
    rows.retain(|row| row.retired.is_none());
    rows.sort_by_key(|row| (row.rank, row.id));
    if rows.is_empty() { Err(Error::Internal("a vault without a depot")) } else { Ok(rows) }
}

fn item(tx: &mut dyn Transaction, guard: &Guard, row: Depot, primary: bool) -> Result<DepotItem> {
    let seen = seen(tx, guard, row.id)?;
    let backlog = match primary {
        true => 0,
        false if seen.compared.is_none() => committed_since(tx, None)?,
        false => seen.missing.saturating_add(uncopied::count(tx, row.id)?),
    };
    let Depot { id, kind, place, endpoint, region, credentials, created, .. } = row;
    Ok(DepotItem { id, kind, place, endpoint, region, credentials, primary, created, seen, backlog })
}

fn seen(tx: &mut dyn Transaction, guard: &Guard, depot: DepotId) -> Result<DepotSeen> {
    let rows = tx.query("SELECT body, mac FROM depot_seen WHERE depot = $1", &[depot.as_bytes().into()])?;
    let Some(row) = rows.optional()? else { return Ok(DepotSeen::default()) };
    let body = row.bytes(0)?;
    guard.check(SEEN, depot.as_bytes(), body, row.bytes(1)?)?;
    serde_json::from_slice(body).map_err(|_| Error::Altered { table: SEEN, row: depot.to_string() })
}

fn keep(tx: &mut dyn Transaction, guard: &Guard, depot: DepotId, seen: &DepotSeen) -> Result<()> {
    let body = serde_json::to_vec(seen).map_err(|_| Error::Internal("what was seen is not JSON"))?;
    let mac = guard.tag(SEEN, depot.as_bytes(), &body);
    tx.query(
        "INSERT INTO depot_seen (depot, body, mac) VALUES ($1, $2, $3) \
         ON CONFLICT (depot) DO UPDATE SET body = excluded.body, mac = excluded.mac",
        &[depot.as_bytes().into(), (&body).into(), (&mac).into()],
    )?;
    Ok(())
}

/// Objects of versions that were committed at this time or later; all of them without one.
fn committed_since(tx: &mut dyn Transaction, time: Option<Timestamp>) -> Result<u64> {
    let since = time.map_or(i64::MIN, millis);
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM object WHERE state = $1 AND at >= $2";
    let count = tx.query(sql, &[COMMITTED.into(), since.into()])?.one()?.integer(0)?;
    Ok(u64::try_from(count).unwrap_or(0))
}

fn check_form(command: &DepotAdd) -> Result<()> {
    let bad = |why: &str| Err(Error::bad("the depot", why));
    let texts =
        [Some(&command.place), command.endpoint.as_ref(), command.region.as_ref(), command.credentials.as_ref()];
    if texts.into_iter().flatten().any(|text| text.is_empty() || text.len() > MAX_PLACE_LEN || text.contains('\0')) {
        return bad("its place, endpoint, region and file of credentials have 1 to 4,096 bytes");
    }
    if command.endpoint.as_ref().is_some_and(|endpoint| endpoint.contains('@')) {
        return bad("its endpoint names a user, and credentials are not kept in the vault");
    }
    match command.kind {
        DepotKind::Folder if !command.place.starts_with('/') => bad("a folder is named by its absolute path"),
        DepotKind::Bucket if !command.place.starts_with("s3://") => bad("a bucket is named by s3://BUCKET/PREFIX"),
        DepotKind::Folder
            if command.endpoint.is_some() || command.region.is_some() || command.credentials.is_some() =>
        {
            bad("a folder has no endpoint, no region and no credentials")
        }
        DepotKind::Folder | DepotKind::Bucket => Ok(()),
    }
}

fn told(engine: &Engine, row: Depot, logged: Option<Logged>) -> Result<DepotMoved> {
    let logged = logged.ok_or(Error::Internal("an entry was lost"))?;
    let receipt = engine.settled(&logged)?;
    let guard = &engine.keys.guard;
    let depot = engine.store.read(|tx| {
        let primary = in_use(tx, guard)?.first().is_some_and(|first| first.id == row.id);
        item(tx, guard, row.clone(), primary)
    })?;
    Ok(DepotMoved { depot, receipt })
}
