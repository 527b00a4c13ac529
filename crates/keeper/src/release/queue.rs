//! The release queue: callers line up, the first works the desk and commits for up to 64 of them at once.
//!
//! No thread stands by. Who finds the desk free works it for one batch, wakes those it answered, and hands the desk to the
//! first one still in line. Each caller sleeps on its own slot, so that a commit wakes nobody in vain.

use super::commit::{Decided, Fate, commit};
use super::prepare::Prepared;
use crate::datastore::Fault;
use crate::engine::Engine;
use crate::error::{Error, Result};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The most releases in one transaction.
const MAX_BATCH: usize = 64;
/// The most releases waiting; beyond it callers are told to try again.
const MAX_WAITING: usize = 4096;

/// Releases that wait for their commit.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    /// Somebody works the desk, or was told to.
    busy: bool,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    prepared: Prepared,
    slot: Arc<Slot>,
}

/// Where one caller sleeps.
#[derive(Debug, Default)]
struct Slot {
    word: Mutex<Word>,
    said: Condvar,
}

/// What a caller is told.
#[derive(Debug, Default)]
enum Word {
    #[default]
    Wait,
    /// Work the desk; your release is first in line.
    Work,
    Answer(Box<(Prepared, Result<Fate>)>),
}

impl Queue {
    /// Hands in a release and waits until it is durable, or stale.
    pub(crate) fn submit(&self, engine: &Engine, prepared: Prepared) -> Result<(Prepared, Fate)> {
        let slot = Arc::new(Slot::default());
        {
            let mut line = locked(&self.line);
            if line.waiting.len() >= MAX_WAITING {
                return Err(crate::datastore::Error::Busy.into());
            }
            line.waiting.push_back(Waiting { prepared, slot: Arc::clone(&slot) });
            if !line.busy {
                // INVARIANT: nobody waits at a free desk, so this caller is first in line.
                line.busy = true;
                slot.say(Word::Work);
            }
        }
        loop {
            match slot.wait() {
                Word::Wait => {}
                Word::Work => self.work(engine),
                Word::Answer(answer) => {
                    let (prepared, fate) = *answer;
                    return fate.map(|fate| (prepared, fate));
                }
            }
        }
    }

    /// Commits one batch, the worker's own release among it, and hands the desk on.
    fn work(&self, engine: &Engine) {
        let batch: Vec<Waiting> = {
            let mut line = locked(&self.line);
            let size = line.waiting.len().min(MAX_BATCH);
            line.waiting.drain(..size).collect()
        };
        let fates = outcome(engine, &batch);
        let mut line = locked(&self.line);
        match line.waiting.front() {
            Some(next) => next.slot.say(Word::Work),
            None => line.busy = false,
        }
        drop(line);
        for (Waiting { prepared, slot }, fate) in batch.into_iter().zip(fates) {
            slot.say(Word::Answer(Box::new((prepared, fate))));
        }
    }
}

impl Slot {
    fn say(&self, word: Word) {
        *locked(&self.word) = word;
        self.said.notify_one();
    }

    fn wait(&self) -> Word {
        let mut word = locked(&self.word);
        while matches!(*word, Word::Wait) {
            word = self.said.wait(word).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::take(&mut *word)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What became of each of a batch. A failure that may be one member's is looked for one by one, so that nobody else fails with it.
fn outcome(engine: &Engine, batch: &[Waiting]) -> Vec<Result<Fate>> {
    let decided: Vec<_> = batch.iter().map(|waiting| &waiting.prepared.decided).collect();
    match commit(engine, &decided) {
        Ok(fates) if fates.len() == batch.len() => fates.into_iter().map(Ok).collect(),
        Ok(_) => batch.iter().map(|_| Err(Error::Internal("a batch lost a release"))).collect(),
        Err(error) if batch.len() > 1 && may_be_of_one(&error) => {
            decided.iter().map(|one| alone(engine, one)).collect()
        }
        Err(error) => batch.iter().map(|_| Err(error.clone())).collect(),
    }
}

/// Commits one of a batch whose transaction left no trace.
fn alone(engine: &Engine, decided: &Decided) -> Result<Fate> {
    commit(engine, &[decided])?.pop().ok_or(Error::Internal("a batch lost a release"))
}

/// Whether a failure may come from what one member is about. What the machine or another process does fails everybody, and a commit
/// whose outcome is unknown may stand: it is not made again.
fn may_be_of_one(error: &Error) -> bool {
    match error {
        Error::Store(store) => store.fault() != Fault::Environment,
        Error::ReadOnly(_) | Error::Random => false,
        _ => true,
    }
}
