//! What lies under keys that write no more is wrapped again: a batch is opened and wrapped outside of any transaction, while the batch before it
//! is written. Only rows that are still what was read are replaced, so whoever comes between is not undone.

use crate::datastore::{Row, Transaction};
use crate::engine::Engine;
use crate::epochs;
use crate::error::{Error, Result};
use crate::jobs::Slice;
use crate::journal::{By, Event};
use crate::keys::Domains;
use crate::keys::uses;
use crate::rows::{Guard, Key, Purpose, Replacement, Table, Wrap};
use api::terms::{KeyId, KeyState};
use log::entry::Kind;
use std::collections::{BTreeMap, BTreeSet};

/// Keys wrapped again in one transaction: their changes fit one entry.
const BATCH: i64 = 256;
/// Threads that wrap them, at most.
const MAX_THREADS: usize = 8;
/// How often what changes meanwhile is looked at again, before it is left to the next run.
const MAX_ROUNDS: usize = 8;

/// What was wrapped again, and under which keys something stays that does not open, with the first reason.
#[derive(Debug, Default)]
pub(super) struct Rewrapped {
    pub(super) done: u64,
    pub(super) left: BTreeMap<KeyId, Error>,
}

impl Rewrapped {
    /// For whoever wants one reason: what was altered goes before what is away.
    pub(super) fn told(self) -> Result<u64> {
        let (of_one, altered): (Vec<Error>, Vec<Error>) = self.left.into_values().partition(Error::is_of_one_key);
        altered.into_iter().chain(of_one).next().map_or(Ok(self.done), Err)
    }
}

/// Wraps again until nothing is left or the time is over. A key that cannot be opened keeps no other one from it.
pub(super) fn rewrap_all(engine: &Engine, by: &By, slice: &Slice) -> Result<Rewrapped> {
    let (mut all, mut through) = (Rewrapped::default(), BTreeSet::new());
    let ended = rewrap_each(engine, by, slice, (&mut all, &mut through));
    for key in through {
        let row = engine.store.read(|tx| engine.keys.guard.expect::<Key>(tx, key.as_bytes()));
        // What is set to go was forgotten, and may have been opened once more since.
        let kept = |row: Key| row.ending.is_none() && !matches!(row.state, KeyState::Compromised | KeyState::Destroyed);
        if !row.is_ok_and(kept) {
            engine.domains.forget(key);
        }
    }
    ended.map(|()| all)
}

fn rewrap_each(
    engine: &Engine,
    by: &By,
    slice: &Slice,
    (all, through): (&mut Rewrapped, &mut BTreeSet<KeyId>),
) -> Result<()> {
    while let Some(old) = engine.store.read(|tx| next_behind(tx, through))? {
        through.insert(old);
        match rewrap_one(engine, by, slice, old, all) {
            Err(error) if error.is_of_one_key() || error.is_altered() => {
                all.left.entry(old).or_insert(error);
            }
            ended => ended?,
        }
        if slice.is_over() {
            break;
        }
    }
    Ok(())
}

/// All that lies under one key, in the order of the wraps. What somebody else changed meanwhile is looked at once more, and so is all if another
/// key writes by then.
fn rewrap_one(engine: &Engine, by: &By, slice: &Slice, old: KeyId, all: &mut Rewrapped) -> Result<()> {
    for _ in 0..MAX_ROUNDS {
        let (mut ahead, mut missed) = (Batch::prepare(engine, old, None, slice)?, 0);
        while let Some(batch) = ahead.take() {
            // Each batch at its own time: a rotation with a pace takes long.
            let (by, last) = (By { at: engine.now()?, ..*by }, batch.last);
            let (wrote, next) = std::thread::scope(|scope| {
                let next = scope.spawn(|| Batch::prepare(engine, old, Some(last), slice));
                (engine.store.write(|tx| batch.write(engine, tx, &by)), next.join())
            });
            let Some(wrote) = wrote? else {
                // Another key writes by now, or none.
                missed += 1;
                break;
            };
            all.done += wrote.done;
            missed += wrote.missed;
            if let Some(error) = batch.left {
                all.left.entry(old).or_insert(error);
            }
            if slice.is_over() {
                return Ok(());
            }
            slice.keep_pace(all.done);
            ahead = next.map_err(|_| Error::Internal("a thread ended"))??;
        }
        if missed == 0 {
            break;
        }
    }
    Ok(())
}

/// A domain key that writes no more and still wraps something, and whose domain has a key to wrap it under: not while that is suspended;
/// none of these.
pub(super) fn next_behind(tx: &mut dyn Transaction, except: &BTreeSet<KeyId>) -> Result<Option<KeyId>> {
    let sql = "SELECT k.id FROM crypto_key k WHERE k.purpose IN ($1, $5) AND k.state IN ($2, $4) AND k.ends IS NULL \
               AND EXISTS (SELECT 1 FROM wrap w WHERE w.under = k.id) \
               AND EXISTS (SELECT 1 FROM crypto_key n WHERE n.purpose = k.purpose AND n.workspace = k.workspace \
               AND n.environment = k.environment AND n.class = k.class AND n.state = $3) ORDER BY k.id LIMIT $6";
    let values = [
        Purpose::Domain.word().into(),
        KeyState::Deactivated.word().into(),
        KeyState::Active.word().into(),
        KeyState::Compromised.word().into(),
        Purpose::Archive.word().into(),
        i64::try_from(except.len() + 1).unwrap_or(i64::MAX).into(),
    ];
    let rows = tx.query(sql, &values)?;
    let mut found = rows.iter().map(|row| row.array(0).map(KeyId::from_bytes));
    Ok(found.find(|id| id.as_ref().map_or(true, |id| !except.contains(id))).transpose()?)
}

/// Between which keys of a domain something is moved.
struct Way {
    old: Key,
    new: Key,
}

impl Way {
    /// From a key to the one that writes in its place; none if nothing is moved from it now.
    fn from(tx: &mut dyn Transaction, guard: &Guard, old: KeyId) -> Result<Option<Self>> {
        let old: Key = guard.expect(tx, old.as_bytes())?;
        // What is to be destroyed takes what it opens with it.
        if old.ending.is_some() || !old.state.moves() || old.state.protects() {
            return Ok(None);
        }
        let refuse = || Error::Altered { table: Key::NAME, row: old.id.to_string() };
        let domain = old.domain.ok_or_else(refuse)?;
        let new = Domains::active(tx, guard, &domain, old.purpose)?;
        Ok(new.map(|new| Self { old, new }))
    }
}

/// Some wraps of one key, made again under the next, and not written.
pub(super) struct Batch {
    way: Way,
    rows: Vec<Replacement<Wrap>>,
    /// The last wrap that was looked at.
    last: KeyId,
    /// Why the first of those stays that do.
    left: Option<Error>,
}

/// What a transaction wrote of a batch, and what was no more as it was read.
pub(super) struct Wrote {
    pub(super) done: u64,
    pub(super) missed: u64,
}

impl Batch {
    /// Unwraps the next ones, checks them against their fingerprints and wraps them under the active key. What was altered stays where it is.
    pub(super) fn prepare(engine: &Engine, old: KeyId, after: Option<KeyId>, slice: &Slice) -> Result<Option<Self>> {
        let guard = &engine.keys.guard;
        let first = after.map_or([0; 16], |after| *after.as_bytes());
        let most = slice.portion(BATCH);
        let read = engine.store.read(|tx| {
            let Some(way) = Way::from(tx, guard, old)? else { return Ok(None) };
            let tail = "WHERE under = $1 AND id > $2 ORDER BY id LIMIT $3";
            let rows = guard.raw::<Wrap>(tx, tail, &[old.as_bytes().into(), first.as_slice().into(), most.into()])?;
            if rows.is_empty() {
                return Ok(None);
            }
            let from = engine.domains.open(tx, guard, old)?;
            let to = engine.domains.open(tx, guard, way.new.id)?;
            Ok::<_, Error>(Some((way, rows, from, to)))
        })?;
        let Some((way, rows, from, to)) = read else { return Ok(None) };
        let domain = way.old.domain.ok_or(Error::Internal("a domain key without a domain"))?;
        let rows: Vec<&Row> = rows.iter().collect();
        let Some(last) = rows.last().map(|row| row.array(0)).transpose()? else { return Ok(None) };
        let again = spread(&rows, |row| {
            let one = || {
                let wrap: Wrap = guard.hydrated(row)?;
                let again = engine.domains.wrap_again(&wrap, &domain, &from, (&way.new, &to))?;
                Replacement::of(&wrap, again, row)
            };
            match one() {
                Err(error) if error.is_altered() => Ok(Err(error)),
                done => done.map(Ok),
            }
        })?;
        let (mut rows, mut left) = (Vec::with_capacity(again.len()), None);
        for one in again {
            match one {
                Ok(one) => rows.push(one),
                Err(error) => _ = left.get_or_insert(error),
            }
        }
        Ok(Some(Self { way, rows, last: KeyId::from_bytes(last), left }))
    }

    /// Writes and logs it, if the keys are still what they were; none if they are not.
    pub(super) fn write(&self, engine: &Engine, tx: &mut dyn Transaction, by: &By) -> Result<Option<Wrote>> {
        let (guard, Way { old, new }) = (&engine.keys.guard, &self.way);
        epochs::hold(tx, &[*old.id.as_bytes()])?;
        let way = Way::from(tx, guard, old.id)?;
        if way.is_none_or(|way| way.new.id != new.id) {
            return Ok(None);
        }
        epochs::hold(tx, &[*new.id.as_bytes()])?;
        if self.rows.is_empty() {
            return Ok(Some(Wrote { done: 0, missed: 0 }));
        }
        let ticket = tx.ticket()?;
        let mut changes = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            changes.extend(row.put(tx, guard, ticket)?);
        }
        let (done, all) = (changes.len() as u64, self.rows.len() as u64);
        let wrote = Wrote { done, missed: all - done };
        if done == 0 {
            return Ok(Some(wrote));
        }
        // Counted, and no reason to renew the key at once: what moves is fewer than what it may wrap.
        uses::count(tx, guard, new.id, done)?;
        let event = Event::new(Kind::State, "key.rewrap")
            .on("from", old.id)
            .on("to", new.id)
            .with("wraps", done)
            .changing(changes);
        engine.log(tx, ticket, by, &[event])?;
        Ok(Some(wrote))
    }
}

/// Does the same to each, in their order, on as many threads as there are processors besides the one that writes.
fn spread<T: Sync, R: Send>(all: &[T], each: impl Fn(&T) -> Result<R> + Sync) -> Result<Vec<R>> {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = processors.saturating_sub(1).clamp(1, MAX_THREADS);
    let mut parts = all.chunks(all.len().div_ceil(threads).max(1));
    let own = parts.next().unwrap_or_default();
    let some = |part: &[T]| part.iter().map(&each).collect::<Result<Vec<R>>>();
    std::thread::scope(|scope| {
        let others: Vec<_> = parts.map(|part| scope.spawn(move || some(part))).collect();
        let mut done = some(own)?;
        for other in others {
            done.extend(other.join().map_err(|_| Error::Internal("a thread ended"))??);
        }
        Ok(done)
    })
}
