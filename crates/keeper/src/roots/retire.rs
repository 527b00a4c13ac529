//! A root goes: what it could open is removed, in batches, and then its row. A job goes on with it.

use crate::datastore::{Transaction, Value};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::jobs::{Slice, by_system};
use crate::journal::Event;
use crate::rows::{Guard, Key, Root, RootState, Wrap};
use crate::vault::file::{RootEntry, VaultFile};
use api::terms::{KeyId, KeyState};
use log::entry::Kind;

/// Wraps removed in one transaction: their changes fit one entry.
const BATCH: i64 = 64;

/// The roots in a state.
pub(crate) fn of_state(engine: &Engine, state: RootState) -> Result<Vec<Root>> {
    engine.store.read(|tx| engine.keys.guard.select(tx, "WHERE state = $1 ORDER BY id", &[state.word().into()]))
}

/// Removes retired roots from `vault.json`, then what they could open, then their rows; how many wraps.
pub(crate) fn retire(engine: &Engine, slice: &Slice) -> Result<u64> {
    let retired = of_state(engine, RootState::Retired)?;
    if retired.is_empty() {
        return Ok(0);
    }
    let amended = VaultFile::amend(&engine.dir, |file| {
        let stays = |entry: &RootEntry| retired.iter().all(|row| row.id != entry.id);
        if file.vault == engine.vault && file.roots.iter().any(stays) {
            file.roots.retain(stays);
        }
        Ok(())
    })?;
    drop(amended);
    forget(engine, RootState::Retired, slice)
}

/// Removes the wraps under roots of a state, and then their rows, while the time lasts.
pub(crate) fn forget(engine: &Engine, state: RootState, slice: &Slice) -> Result<u64> {
    let guard = &engine.keys.guard;
    let mut done = 0;
    for row in of_state(engine, state)? {
        loop {
            let by = by_system(engine, engine.now()?);
            let removed = engine.store.write(|tx| {
                let tail = "WHERE under = $1 ORDER BY id LIMIT $2";
                let wraps: Vec<Wrap> = guard.select(tx, tail, &[row.id.as_bytes().into(), BATCH.into()])?;
                let ticket = tx.ticket()?;
                let mut changes = Vec::with_capacity(wraps.len().max(1));
                for wrap in &wraps {
                    changes.push(guard.remove::<Wrap>(tx, wrap.id.as_bytes())?);
                }
                if wraps.is_empty() {
                    changes.push(guard.remove::<Root>(tx, row.id.as_bytes())?);
                }
                let event = Event::new(Kind::State, "root.retire").on("root", row.id).with("wraps", wraps.len());
                engine.log(tx, ticket, &by, &[event.changing(changes)])?;
                Ok::<_, Error>(wraps.len() as u64)
            })?;
            done += removed;
            if removed == 0 {
                break;
            }
            if slice.is_over() {
                return Ok(done);
            }
        }
    }
    Ok(done)
}

/// Keys that only roots open that go, in order of id.
pub(crate) fn orphans(tx: &mut dyn Transaction, guard: &Guard, leaving: &[KeyId], limit: i64) -> Result<Vec<Key>> {
    let marks: String = (0..leaving.len()).map(|at| format!(", ${}", at + 4)).collect();
    let tail = format!(
        "WHERE state <> $1 AND NOT EXISTS (SELECT 1 FROM wrap w JOIN root r ON r.id = w.under \
         WHERE w.wrapped = crypto_key.id AND r.state <> $2 AND r.id NOT IN ($3{marks})) ORDER BY id LIMIT {limit}"
    );
    let nobody = [0; 16];
    let mut values: Vec<Value<'_>> =
        vec![KeyState::Destroyed.word().into(), RootState::Retired.word().into(), nobody.as_slice().into()];
    values.extend(leaving.iter().map(|root| Value::from(root.as_bytes())));
    guard.select(tx, &tail, &values)
}
