//! What is done about roots without being asked: it is written down which of them do not answer, one that missed keys gets them, and
//! what a retired one could open goes.

use super::join::{Joining, New, count_lacking};
use super::set::Member;
use super::{Finding, Wrapper, retire};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::jobs::{Slice, by_system};
use crate::journal::{By, Event};
use crate::keys::domains::wraps_of;
use crate::rows::{Change, Failing, Guard, Root, RootState};
use api::terms::{KeyId, Timestamp};
use log::entry::Kind;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The longest reason that is kept of a failure, in bytes.
const MAX_WHY_LEN: usize = 300;
/// The most keys that a look at a root takes in.
const PAGE: i64 = 64;

/// Whether there is anything to do.
pub(crate) fn due(engine: &Engine, now: Timestamp) -> Result<Option<Timestamp>> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM root WHERE state = $1";
    let retired = engine.store.read(|tx| tx.query(sql, &[RootState::Retired.word().into()])?.one()?.integer(0))?;
    let waits = retired > 0 || engine.domains.roots.has_findings() || !behind(engine, false)?.is_empty();
    Ok(waits.then_some(now))
}

/// Does it; how many wraps were made or removed.
pub(crate) fn see_to(engine: &Engine, slice: &Slice) -> Result<u64> {
    tell(engine)?;
    let mut done = retire(engine, slice)?;
    let mut outcome = Ok(());
    for (row, member) in behind(engine, slice.is_whole())? {
        if slice.is_over() {
            break;
        }
        // It is noted that one does not answer, and the next one is not kept waiting by it.
        let Some(new) = new_of(engine, row, &member) else { continue };
        match catch_up(engine, &new, slice) {
            Ok(some) => done += some,
            Err(error) => outcome = outcome.and(Err(error)),
        }
    }
    // Opening one may have told something.
    tell(engine)?;
    outcome.map(|()| done)
}

/// A root that missed a key, in the transaction that makes the key.
pub(crate) fn fell_behind(tx: &mut dyn Transaction, guard: &Guard, id: KeyId, ticket: i64) -> Result<Option<Change>> {
    let row: Root = guard.expect(tx, id.as_bytes())?;
    if row.state != RootState::Active {
        return Ok(None);
    }
    guard.update(tx, &Root { state: RootState::Behind, ..row }, ticket).map(Some)
}

/// The roots that missed something and may be asked: in passing, none of which it is known that it does not answer.
fn behind(engine: &Engine, all: bool) -> Result<Vec<(Root, Arc<Member>)>> {
    let rows = super::of_state(engine, RootState::Behind)?;
    if !rows.is_empty() {
        engine.store.read(|tx| engine.domains.roots.refresh(tx, &engine.keys.guard))?;
    }
    let members = engine.domains.roots.members();
    let mut found = Vec::new();
    for row in rows {
        let Some(member) = members.iter().find(|member| member.id == row.id) else { continue };
        let asks = member.public.is_some() || member.is_open() || member.is_at_hand() && (all || row.failing.is_none());
        // What no key waits for, or only keys that nothing here opens, is not tried by every command.
        if asks && (all || waits_for(engine, &row)?) {
            found.push((row, Arc::clone(member)));
        }
    }
    Ok(found)
}

/// Whether a root lacks nothing, so that it is behind no more, or a key under a root that opens here as far as is known.
fn waits_for(engine: &Engine, row: &Root) -> Result<bool> {
    let roots = engine.domains.roots.members();
    engine.store.read(|tx| {
        let guard = &engine.keys.guard;
        let rows: Vec<Root> = guard.select(tx, "ORDER BY id", &[])?;
        let fails = |id: KeyId| rows.iter().any(|row| row.id == id && row.failing.is_some());
        let opens = |root: &&Arc<Member>| root.is_open() || root.is_at_hand() && !fails(root.id);
        let open: Vec<KeyId> = roots.iter().filter(opens).map(|root| root.id).collect();
        let keys = super::lacking(engine, tx, row, None, PAGE)?;
        if keys.is_empty() {
            return Ok(true);
        }
        for key in keys {
            if wraps_of(tx, guard, key.id)?.iter().any(|wrap| open.contains(&wrap.under)) {
                return Ok(true);
            }
        }
        Ok(false)
    })
}

/// Has every root at hand wrap what it may and does not yet, whether it is known to be behind or not; how many keys.
pub(crate) fn fill(engine: &Engine, by: By) -> Result<u64> {
    engine.store.read(|tx| engine.domains.roots.refresh(tx, &engine.keys.guard))?;
    let rows: Vec<Root> = engine.store.read(|tx| engine.keys.guard.select(tx, "ORDER BY id", &[]))?;
    let joining = Joining { engine, by };
    let mut done = 0;
    for member in engine.domains.roots.members() {
        let row = rows.iter().find(|row| row.id == member.id && row.state.counts());
        let Some(new) = row.and_then(|row| new_of(engine, row.clone(), &member)) else { continue };
        done += joining.wrap_all(&new)?.0;
    }
    Ok(done)
}

/// What wraps under a root: its public key, or itself, opened.
fn new_of(engine: &Engine, row: Root, member: &Member) -> Option<New> {
    if let Some(public) = &member.public {
        return Some(New::wrapping(row, Arc::clone(public) as Arc<dyn Wrapper>));
    }
    engine.domains.roots.lasting(member).ok().map(|root| New::opening(row, root))
}

/// Wraps what a root lacks, while the time lasts; it is behind no more if nothing is left.
fn catch_up(engine: &Engine, new: &New, slice: &Slice) -> Result<u64> {
    let joining = Joining { engine, by: by_system(engine, engine.now()?) };
    let (mut after, mut done) = (None, 0);
    loop {
        let batch = joining.wrap_some(new, after)?;
        done += batch.wrapped;
        if batch.last.is_none() {
            break;
        }
        if slice.is_over() {
            return Ok(done);
        }
        after = batch.last;
    }
    settled(&joining, new)?;
    Ok(done)
}

/// Makes a root active that lacks nothing.
pub(crate) fn settled(joining: &Joining<'_>, new: &New) -> Result<bool> {
    let (engine, guard) = (joining.engine, &joining.engine.keys.guard);
    engine.store.write(|tx| {
        let row: Root = guard.expect(tx, new.row.id.as_bytes())?;
        if row.state != RootState::Behind || count_lacking(engine, tx, &row)? > 0 {
            return Ok::<_, Error>(row.state == RootState::Active);
        }
        let ticket = tx.ticket()?;
        let change = guard.update(tx, &Root { state: RootState::Active, ..row }, ticket)?;
        let event = Event::new(Kind::State, "root.complete").on("root", new.row.id).changing(vec![change]);
        engine.log(tx, ticket, &joining.by, &[event])?;
        Ok(true)
    })
}

/// Writes what was found out about roots into their rows and the log: once when one begins to fail, once when it answers again.
pub(crate) fn tell(engine: &Engine) -> Result<()> {
    if !engine.domains.roots.has_findings() || engine.read_only.get().is_some() {
        return Ok(());
    }
    let findings = engine.domains.roots.findings();
    let now = engine.now();
    let written = now.and_then(|now| engine.store.write(|tx| write_down(engine, tx, &findings, now)));
    if written.is_err() {
        for (root, finding) in findings {
            engine.domains.roots.note_again(root, finding);
        }
    }
    written
}

fn write_down(
    engine: &Engine,
    tx: &mut dyn Transaction,
    findings: &BTreeMap<KeyId, Finding>,
    now: Timestamp,
) -> Result<()> {
    let guard = &engine.keys.guard;
    let mut news = Vec::new();
    for (id, finding) in findings {
        let Some(row) = guard.find::<Root>(tx, id.as_bytes())? else { continue };
        let (act, failing) = match (finding, &row.failing) {
            (Finding::Answers, Some(_)) => ("root.answers", None),
            (Finding::Fails(why), None) => ("root.failing", Some(Failing { since: now, why: bounded(why) })),
            (Finding::Answers, None) | (Finding::Fails(_), Some(_)) => continue,
        };
        news.push((act, Root { failing, ..row }));
    }
    if news.is_empty() {
        return Ok(());
    }
    let ticket = tx.ticket()?;
    let mut events = Vec::with_capacity(news.len());
    for (act, row) in news {
        let change = guard.update(tx, &row, ticket)?;
        let mut event = Event::new(Kind::State, act).on("root", row.id).with("kind", row.kind);
        if let Some(failing) = &row.failing {
            // It may name files and people.
            event = event.hiding("reason", &failing.why)?;
        }
        events.push(event.changing(vec![change]));
    }
    engine.log(tx, ticket, &by_system(engine, now), &events).map(drop)
}

fn bounded(why: &str) -> String {
    let end = (0..=MAX_WHY_LEN.min(why.len())).rev().find(|end| why.is_char_boundary(*end)).unwrap_or(0);
    why.get(..end).unwrap_or_default().to_owned()
}
