//! Group commit: those who wait together share one sync.
//!
//! A caller counts itself into the queue, takes the write connection, runs its transaction as a savepoint inside the open
//! group, and then either commits the group, if nobody queues behind it, or waits for the one who will. The mutex is held
//! during the commit, so those who arrive meanwhile form the next group.

use super::super::Outcome;
use super::super::error::{Error, Result};
use super::session::{Mode, Session};
use super::{execute, translate};
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The write connection and its queue.
pub(super) struct Writer {
    state: Mutex<State>,
    /// Callers that are about to take the mutex.
    queue: AtomicUsize,
    /// Callers ever.
    arrivals: AtomicU64,
    /// How long another process is waited for.
    busy: Duration,
}

struct State {
    connection: Connection,
    /// The open transaction's group.
    open: Option<Open>,
    /// Callers up to this one waited through a failed attempt to begin: they are busy too, not each in turn.
    busy_until: u64,
    /// Why the connection must not be used any more.
    dead: Option<String>,
}

struct Open {
    group: Arc<Group>,
    members: usize,
}

/// Where members wait for the commit.
#[derive(Default)]
struct Group {
    verdict: Mutex<Option<Verdict>>,
    settled: Condvar,
}

#[derive(Debug, Clone)]
enum Verdict {
    Committed,
    /// Another member's failure ended the whole transaction: run again.
    Lost(Error),
    Failed(Error),
}

/// Whether others may join the group after a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Company {
    Welcome,
    Refused,
}

/// What became of one member when its body had run.
enum Joined {
    /// Its savepoint is part of the group.
    Waits(Arc<Group>),
    /// It is over: rolled back, or failed.
    Over(Result<()>),
}

type Body<'b> = &'b mut dyn FnMut(&mut Session<'_>) -> Outcome;

impl Writer {
    pub(super) fn new(connection: Connection, busy: Duration) -> Self {
        let state = State { connection, open: None, busy_until: 0, dead: None };
        Self { state: Mutex::new(state), queue: AtomicUsize::new(0), arrivals: AtomicU64::new(0), busy }
    }

    /// Runs `body` in a transaction, again if a neighbour's failure took it down.
    pub(super) fn run(&self, body: Body<'_>) -> Result<()> {
        match self.attempt(body, Company::Welcome) {
            Joined::Over(result) => return result,
            Joined::Waits(group) => match group.wait() {
                Verdict::Committed => return Ok(()),
                Verdict::Failed(error) => return Err(error),
                Verdict::Lost(_) => {}
            },
        }
        // The second time nobody joins after it, so nobody can take it down again.
        match self.attempt(body, Company::Refused) {
            Joined::Over(result) => result,
            Joined::Waits(group) => match group.wait() {
                Verdict::Committed => Ok(()),
                Verdict::Failed(error) | Verdict::Lost(error) => Err(error),
            },
        }
    }

    /// Folds the write-ahead log into the file and empties it, between groups, if its readers end in this time; then `then`, before anybody of
    /// this process writes.
    pub(super) fn emptied<T>(&self, patience: Duration, then: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.settle();
        state.connection.busy_timeout(patience).map_err(translate)?;
        let busy = state.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        state.connection.busy_timeout(self.busy).map_err(translate)?;
        if busy.map_err(translate)? == 0 { then() } else { Err(Error::Busy) }
    }

    fn attempt(&self, body: Body<'_>, company: Company) -> Joined {
        let arrival = self.arrivals.fetch_add(1, Ordering::SeqCst) + 1;
        self.queue.fetch_add(1, Ordering::SeqCst);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.queue.fetch_sub(1, Ordering::SeqCst);

        // A panic of the body must not leave the others waiting for a commit.
        let joined = catch_unwind(AssertUnwindSafe(|| match state.begin(arrival, &self.arrivals) {
            Ok(()) => state.join(body),
            Err(error) => Joined::Over(Err(error)),
        }));
        if joined.is_err() {
            state.leave(None);
        }
        let full = state.open.as_ref().is_some_and(|open| open.members >= MAX_MEMBERS);
        if full || company == Company::Refused || self.queue.load(Ordering::SeqCst) == 0 {
            state.settle();
        }
        drop(state);
        joined.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl State {
    /// Opens a transaction unless one is open.
    fn begin(&mut self, arrival: u64, arrivals: &AtomicU64) -> Result<()> {
        if let Some(reason) = &self.dead {
            return Err(Error::Unavailable(reason.clone()));
        }
        if self.open.is_none() {
            if arrival <= self.busy_until {
                return Err(Error::Busy);
            }
            if let Err(error) = execute(&self.connection, "BEGIN IMMEDIATE") {
                if error == Error::Busy {
                    self.busy_until = arrivals.load(Ordering::SeqCst);
                }
                return Err(error);
            }
            self.open = Some(Open { group: Arc::default(), members: 0 });
        }
        execute(&self.connection, "SAVEPOINT member").inspect_err(|error| self.leave(Some(error)))
    }

    /// Runs one member's body in its savepoint.
    fn join(&mut self, body: Body<'_>) -> Joined {
        let mut session = Session::new(&self.connection, Mode::Write);
        let outcome = body(&mut session);
        let failure = session.into_failure();
        match (outcome, failure) {
            (Outcome::Commit, None) => match execute(&self.connection, "RELEASE member") {
                Ok(()) => self.stay(),
                Err(error) => {
                    self.leave(Some(&error));
                    Joined::Over(Err(error))
                }
            },
            (outcome, failure) => {
                self.leave(failure.as_ref());
                Joined::Over(match (outcome, failure) {
                    (Outcome::Commit, Some(error)) => Err(error),
                    _ => Ok(()),
                })
            }
        }
    }

    fn stay(&mut self) -> Joined {
        match &mut self.open {
            Some(open) => {
                open.members += 1;
                Joined::Waits(open.group.clone())
            }
            None => Joined::Over(Err(Error::Misuse("a member has no group"))),
        }
    }

    /// Takes a member's savepoint back; if SQLite has rolled back the whole transaction, so are its neighbours.
    fn leave(&mut self, failure: Option<&Error>) {
        let undone = if self.connection.is_autocommit() {
            Err(failure.cloned().unwrap_or_else(|| Error::Unavailable("the transaction ended early".into())))
        } else {
            execute(&self.connection, "ROLLBACK TO member").and_then(|()| execute(&self.connection, "RELEASE member"))
        };
        if let Err(error) = undone {
            self.abandon();
            self.conclude(Verdict::Lost(error));
        }
    }

    /// Commits the open group and tells its members.
    fn settle(&mut self) {
        let Some(open) = &self.open else { return };
        if open.members == 0 {
            self.abandon();
            return self.conclude(Verdict::Committed);
        }
        let verdict = match self.commit() {
            Ok(()) => Verdict::Committed,
            Err(error) => {
                self.abandon();
                Verdict::Failed(error)
            }
        };
        self.conclude(verdict);
    }

    /// Commits. After an I/O error the frames may be in the file or not, and nobody can tell until it is opened again.
    fn commit(&mut self) -> Result<()> {
        let mut statement = self.connection.prepare_cached("COMMIT").map_err(translate)?;
        let Err(error) = statement.raw_execute() else { return Ok(()) };
        drop(statement);
        Err(match translate(error) {
            Error::Unavailable(message) | Error::Corrupt(message) => {
                self.dead = Some(format!("a commit failed ({message}); open the database again"));
                Error::OutcomeUnknown(message)
            }
            known => known,
        })
    }

    /// Ends the transaction without a trace.
    fn abandon(&mut self) {
        if !self.connection.is_autocommit()
            && let Err(error) = execute(&self.connection, "ROLLBACK")
        {
            self.dead = Some(format!("a transaction could not be rolled back ({error}); open the database again"));
        }
    }

    fn conclude(&mut self, verdict: Verdict) {
        if let Some(open) = self.open.take() {
            open.group.settle(verdict);
        }
    }
}

impl Group {
    fn wait(&self) -> Verdict {
        let mut verdict = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*verdict {
                Some(verdict) => return verdict.clone(),
                None => verdict = self.settled.wait(verdict).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn settle(&self, verdict: Verdict) {
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
        self.settled.notify_all();
    }
}

/// The most members of one group: bounds how long the first waits.
const MAX_MEMBERS: usize = 256;
