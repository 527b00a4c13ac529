//! What is done about roots without being asked: it is written down which of them do not answer, one that missed keys gets them, and
//! what a retired one could open goes.

use super::join::{Joining, New, count_lacking};
use super::{Finding, retire};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::jobs::{Slice, by_system};
use crate::journal::Event;
use crate::rows::{Change, Failing, Guard, Root, RootState};
use api::terms::{KeyId, Timestamp};
use log::entry::Kind;
use std::collections::BTreeMap;

/// The longest reason that is kept of a failure, in bytes.
const MAX_WHY_LEN: usize = 300;

/// Whether there is anything to do.
pub(crate) fn due(engine: &Engine, now: Timestamp) -> Result<Option<Timestamp>> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM root WHERE state = $1";
    let retired = engine.store.read(|tx| tx.query(sql, &[RootState::Retired.word().into()])?.one()?.integer(0))?;
    let waits = retired > 0 || engine.domains.roots.has_findings() || !behind(engine)?.is_empty();
    Ok(waits.then_some(now))
}

/// Does it; how many wraps were made or removed.
pub(crate) fn see_to(engine: &Engine, slice: &Slice) -> Result<u64> {
    write_down(engine)?;
    let mut done = retire(engine, slice)?;
    for new in behind(engine)? {
        if slice.is_over() {
            break;
        }
        done += catch_up(engine, &new, slice)?;
    }
    // Opening one may have told something.
    write_down(engine)?;
    Ok(done)
}

/// A root that missed a key, in the transaction that makes the key.
pub(crate) fn fell_behind(tx: &mut dyn Transaction, guard: &Guard, id: KeyId, ticket: i64) -> Result<Option<Change>> {
    let row: Root = guard.expect(tx, id.as_bytes())?;
    if row.state != RootState::Active {
        return Ok(None);
    }
    guard.update(tx, &Root { state: RootState::Behind, ..row }, ticket).map(Some)
}

/// The roots that missed something and can be opened here.
fn behind(engine: &Engine) -> Result<Vec<New>> {
    let roots = &engine.domains.roots;
    let mut found = Vec::new();
    for row in super::of_state(engine, RootState::Behind)? {
        let members = roots.members();
        let Some(member) = members.iter().find(|member| member.id == row.id && member.is_at_hand()) else { continue };
        // It is noted that one does not answer.
        if let Ok(root) = roots.opened(member) {
            found.push(New::opening(row, root));
        }
    }
    Ok(found)
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
        if row.state != RootState::Behind || count_lacking(tx, &row)? > 0 {
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
fn write_down(engine: &Engine) -> Result<()> {
    let findings = engine.domains.roots.findings();
    if findings.is_empty() {
        return Ok(());
    }
    let now = engine.now()?;
    let written = engine.store.write(|tx| tell(engine, tx, &findings, now));
    if written.is_err() {
        for (root, finding) in findings {
            engine.domains.roots.note(root, finding);
        }
    }
    written
}

fn tell(engine: &Engine, tx: &mut dyn Transaction, findings: &BTreeMap<KeyId, Finding>, now: Timestamp) -> Result<()> {
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
            event = event.with("why", &failing.why);
        }
        events.push(event.changing(vec![change]));
    }
    engine.log(tx, ticket, &by_system(engine, now), &events).map(drop)
}

fn bounded(why: &str) -> String {
    let end = (0..=MAX_WHY_LEN.min(why.len())).rev().find(|end| why.is_char_boundary(*end)).unwrap_or(0);
    why.get(..end).unwrap_or_default().to_owned()
}
