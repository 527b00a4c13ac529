//! Garbage collection, the keeper's half: what may go is marked in a transaction, deleted by the client, then forgotten.
//!
//! State and time of a registration have no MAC, so nothing goes because they say so ([`garbage`]); and nothing is listed before
//! the tables were found to be the fold of the log, so that a version whose rows were deleted is missed, and before that log was
//! found to continue the head that this very command integrated, so that no older database is listed from.

mod garbage;

use crate::acts::{Act, Wanted, act, look};
use crate::audit::state_rows;
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::ledger::SignedHead;
use crate::rows::Draft;
use crate::session::Session;
use crate::write::give_up;
use crate::write::objects::{COMMITTED, LEASED, MARKED, check_count, millis};
use api::terms::{Action, Code, ObjectId};
use api::wire::{CollectPlan, Collected, Freshness, ObjectRole, StoredObject};
use garbage::DeadDrafts;
use std::cell::RefCell;

/// The most drafts given up by one command.
const MAX_DRAFTS: i64 = 256;
/// The longest page of objects.
const MAX_PAGE: u32 = 10_000;
/// Before everything: what is marked already, and nothing else.
const NEVER: i64 = i64::MIN;

/// Marks what no version names and no lease holds, and lists it with what was marked before.
pub(crate) fn mark(engine: &Engine, session: &Session, grace_secs: u64) -> Result<CollectPlan> {
    let freshness = proven(engine)?;
    let wanted = Wanted::vault(Action::Collect, "gc.mark");
    let logged = act(engine, session, &wanted, &[], |tx, act| {
        let before = cutoff(act.now.as_millis(), grace_secs).min(millis(act.now));
        abandon_dead(engine, tx, act, before)?;
        let now = millis(act.now);
        let objects = garbage::find(engine, tx, before, DeadDrafts::Stay)?;
        let marked = garbage::mark(tx, &objects, now)?;
        let ticket = act.ticket;
        let event = act.event("gc.mark").with("marked", marked).with("listed", objects.len());
        let logged = engine.log(tx, ticket, &act.by, &[event])?;
        logged.first().copied().ok_or(Error::Internal("an entry was lost"))
    })?;
    // The mark must be in an anchored tree before anything is deleted, this very entry.
    engine.ledger.owe(logged.id, logged.leaf);
    let head = engine.integrated()?;
    Ok(CollectPlan { objects: listed(engine, NEVER, Some(&head))?, freshness })
}

/// What [`mark`] would list, without acting.
pub(crate) fn preview(engine: &Engine, session: &Session, grace_secs: u64) -> Result<CollectPlan> {
    look(engine, session, &Wanted::vault(Action::Collect, "gc.mark"))?;
    let freshness = proven(engine)?;
    let before = cutoff(engine.now()?.as_millis(), grace_secs);
    Ok(CollectPlan { objects: listed(engine, before, None)?, freshness })
}

fn cutoff(now: u64, grace_secs: u64) -> i64 {
    i64::try_from(now.saturating_sub(grace_secs.saturating_mul(1000))).unwrap_or(i64::MAX)
}

/// The garbage of one moment at which the tables are the fold of a log that continues this head, the anchor and what was published.
///
/// # Errors
/// The first contradiction.
fn listed(engine: &Engine, before: i64, attested: Option<&SignedHead>) -> Result<Vec<ObjectId>> {
    let found = RefCell::new(Vec::new());
    let (_, failures) = engine.ledger.verify_state(attested, |tx| {
        found.replace(garbage::find(engine, tx, before, DeadDrafts::Go)?);
        state_rows(tx)
    })?;
    match failures.into_iter().next() {
        None => Ok(found.into_inner()),
        Some(why) => Err(Error::Log { code: Code::Integrity, why: format!("nothing is collected: {why}") }),
    }
}

/// The database must be the newest one: an older copy does not know of versions whose objects it would call garbage.
fn proven(engine: &Engine) -> Result<Freshness> {
    if let Some(why) = engine.read_only.get() {
        return Err(Error::ReadOnly(why.clone()));
    }
    match engine.ledger.freshness()? {
        Freshness::Proven => Ok(Freshness::Proven),
        Freshness::Unproven => Err(Error::Unproven(
            "the database is not proven current: there is no anchor to compare with, so nothing is collected",
        )),
    }
}

/// Drafts without a sign of life are given up.
fn abandon_dead(engine: &Engine, tx: &mut dyn Transaction, act: &Act<'_>, before: i64) -> Result<()> {
    let values = [before.into(), MAX_DRAFTS.into()];
    let dead: Vec<Draft> =
        engine.keys.guard.select(tx, "WHERE lease_until <= $1 ORDER BY lease_until, id LIMIT $2", &values)?;
    for draft in &dead {
        give_up(engine, tx, &act.by, draft, "lease over", act.ticket)?;
    }
    Ok(())
}

/// Forgets objects that were marked and are deleted now.
pub(crate) fn done(engine: &Engine, session: &Session, objects: &[ObjectId]) -> Result<Collected> {
    check_count(objects)?;
    let wanted = Wanted::vault(Action::Collect, "gc.done");
    let (gone, logged) = act(engine, session, &wanted, &[], |tx, act| {
        let gone = garbage::forget(engine, tx, objects)?;
        if gone != objects.len() as u64 {
            return Err(Error::conflict("the collection", "an object was not marked for deletion"));
        }
        let ticket = act.ticket;
        let event = act.event("gc.done").with("objects", gone);
        Ok((gone, engine.log(tx, ticket, &act.by, &[event])?.first().copied()))
    })?;
    let receipt = logged.map(|logged| engine.receipt(&logged)).transpose()?;
    Ok(Collected { objects: gone, receipt })
}

/// Every object the depot should hold, in order of id.
pub(crate) fn objects(
    engine: &Engine,
    session: &Session,
    after: Option<ObjectId>,
    limit: u32,
) -> Result<(Vec<StoredObject>, Option<ObjectId>)> {
    look(engine, session, &Wanted::vault(Action::List, "object.list"))?;
    let limit = limit.clamp(1, MAX_PAGE);
    let first = after.unwrap_or(ObjectId::from_bytes([0; 16]));
    let comparison = if after.is_some() { ">" } else { ">=" };
    engine.store.read(|tx| {
        let sql = format!("SELECT id, state FROM object WHERE id {comparison} $1 ORDER BY id LIMIT $2");
        let rows = tx.query(&sql, &[first.as_bytes().into(), (i64::from(limit) + 1).into()])?;
        let more = rows.len() > limit as usize;
        let mut items = Vec::with_capacity(rows.len());
        for row in rows.iter().take(limit as usize) {
            let role = match row.integer(1)? {
                LEASED => ObjectRole::Leased,
                COMMITTED => ObjectRole::Committed,
                MARKED => ObjectRole::Marked,
                _ => return Err(Error::Altered { table: "object", row: hex::encode(row.bytes(0)?) }),
            };
            items.push(StoredObject { object: ObjectId::from_bytes(row.array(0)?), role });
        }
        let next = items.last().map(|item| item.object).filter(|_| more);
        Ok((items, next))
    })
}
