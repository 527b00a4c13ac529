//! The release queue: callers line up, the first becomes the worker and commits for up to 64 of them at once.
//!
//! No thread stands by: whoever finds the desk free works it, then hands it to the next one in line.

use super::commit::{Fate, commit};
use super::prepare::Prepared;
use crate::engine::Engine;
use crate::error::{Error, Result};
use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The most releases in one transaction.
const MAX_BATCH: usize = 64;
/// The most releases waiting; beyond it callers are told to try again.
const MAX_WAITING: usize = 4096;

/// Releases that wait for their commit.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    line: Mutex<Line>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Line {
    next: u64,
    busy: bool,
    waiting: VecDeque<(u64, Prepared)>,
    done: HashMap<u64, (Prepared, Result<Fate>)>,
}

impl Queue {
    /// Hands in a release and waits until it is durable, or stale.
    pub(crate) fn submit(&self, engine: &Engine, prepared: Prepared) -> Result<(Prepared, Fate)> {
        let mut line = self.locked();
        if line.waiting.len() >= MAX_WAITING {
            return Err(crate::datastore::Error::Busy.into());
        }
        let number = line.next;
        line.next += 1;
        line.waiting.push_back((number, prepared));
        loop {
            if let Some((prepared, fate)) = line.done.remove(&number) {
                return fate.map(|fate| (prepared, fate));
            }
            if line.busy {
                line = self.moved.wait(line).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let size = line.waiting.len().min(MAX_BATCH);
            let batch: Vec<(u64, Prepared)> = line.waiting.drain(..size).collect();
            line.busy = true;
            drop(line);
            let outcome = work(engine, &batch);
            line = self.locked();
            line.busy = false;
            for ((number, prepared), fate) in batch.into_iter().zip(outcome) {
                line.done.insert(number, (prepared, fate));
            }
            self.moved.notify_all();
        }
    }

    fn locked(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Commits a batch; a failure of the transaction is everybody's.
fn work(engine: &Engine, batch: &[(u64, Prepared)]) -> Vec<Result<Fate>> {
    let decided: Vec<_> = batch.iter().map(|(_, prepared)| &prepared.decided).collect();
    match commit(engine, &decided) {
        Ok(fates) if fates.len() == batch.len() => fates.into_iter().map(Ok).collect(),
        Ok(_) => batch.iter().map(|_| Err(Error::Internal("a batch lost a release"))).collect(),
        Err(error) => batch.iter().map(|_| Err(error.clone())).collect(),
    }
}
