//! PostgreSQL: `tokio-postgres` behind a blocking facade.
//!
//! Each connection has a small runtime of its own that runs only while a caller waits on it, so the keeper stays
//! synchronous. A call that misses its deadline loses its socket and is never cancelled: cancelling a commit that waits
//! for a standby would report success for something unreplicated. A commit without an answer is
//! [`Error::OutcomeUnknown`]; anything lost before the commit was sent left no trace and is run again or refused.
//!
//! Write transactions are `SERIALIZABLE` and repeated on SQLSTATE 40001 and 40P01. Must not be called from inside an
//! asynchronous task. Connections are not encrypted yet: use a Unix socket or a trusted network.

mod pool;
mod session;

use super::error::{ConstraintKind, Error, Result};
use super::{Alteration, Driver, Outcome, Transaction};
use pool::Pool;
use session::{Failure, Mode, Session};
use std::time::Duration;
use tokio_postgres::error::{DbError, SqlState};

/// How to reach the database.
#[derive(Clone)]
pub struct Options {
    /// `host=/run/postgresql user=keeper dbname=strongroom`, or a `postgresql://` address.
    pub address: String,
    /// The longest a single call may take, the wait for a connection included.
    pub deadline: Duration,
    /// The longest a statement waits for rows that others hold, before [`Error::Busy`].
    pub busy: Duration,
    /// The most connections.
    pub connections: usize,
}

impl Options {
    /// The defaults for `address`.
    pub fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            deadline: Duration::from_secs(15),
            busy: Duration::from_secs(5),
            connections: 8,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The address may hold a password.
        f.debug_struct("Options").field("connections", &self.connections).finish_non_exhaustive()
    }
}

/// The driver.
pub struct Postgres {
    pool: Pool,
}

impl Postgres {
    /// Connects and refuses a database that cannot carry the store.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it cannot be reached, [`Error::Unsupported`] if it orders text by a language, does not
    /// store UTF-8, or acknowledges commits before they are durable.
    pub fn connect(options: &Options) -> Result<Self> {
        let pool = Pool::new(options)?;
        let mut lease = pool.take()?;
        // A refusal is a failed step: asking for the commit brings it back.
        let asked = lease.attempt(READ, Mode::Read, &mut |session| {
            let _ = suitable(session);
            Outcome::Commit
        });
        asked.map_err(Failure::into_error)?;
        drop(lease);
        Ok(Self { pool })
    }

    fn run(&self, begin: &'static str, mode: Mode, body: &mut dyn FnMut(&mut Session<'_>) -> Outcome) -> Result<()> {
        let mut losses = 0;
        for attempt in 1..=ATTEMPTS {
            let mut lease = self.pool.take()?;
            match lease.attempt(begin, mode, body) {
                Ok(()) => return Ok(()),
                Err(Failure::Race) => {
                    drop(lease);
                    std::thread::sleep(PAUSE * attempt.min(8));
                }
                Err(Failure::Lost(error)) => {
                    // The server went away: its other connections are as dead as this one.
                    drop(lease);
                    self.pool.clear();
                    losses += 1;
                    if losses > LOSSES {
                        return Err(error);
                    }
                }
                Err(Failure::Final(error)) => return Err(error),
            }
        }
        Err(Error::Contended { attempts: ATTEMPTS })
    }
}

impl Driver for Postgres {
    fn read(&self, body: &mut dyn FnMut(&mut dyn Transaction) -> Outcome) -> Result<()> {
        self.run(READ, Mode::Read, &mut |session| body(session))
    }

    fn write(&self, body: &mut dyn FnMut(&mut dyn Transaction) -> Outcome) -> Result<()> {
        self.run(WRITE, Mode::Write, &mut |session| body(session))
    }

    fn alter(&self, body: &mut dyn FnMut(&mut dyn Alteration) -> Outcome) -> Result<()> {
        self.run(ALTER, Mode::Alter, &mut |session| body(session))
    }

    fn scrub(&self) -> Result<()> {
        Ok(())
    }
}

fn suitable(session: &mut Session<'_>) -> Result<()> {
    let row = session
        .query(
            "SELECT CAST(CAST('Z' AS TEXT) < CAST('a' AS TEXT) AS INTEGER), current_setting('server_encoding'), \
             current_setting('synchronous_commit'), current_setting('fsync')",
            &[],
        )?
        .one()?;
    let refusal = if row.integer(0)? != 1 {
        "the database orders text by a language: create it with the locale `C`"
    } else if row.text(1)? != "UTF8" {
        "the database does not store text as UTF-8"
    } else if row.text(2)? == "off" || row.text(3)? == "off" {
        "the database acknowledges commits before they are durable (synchronous_commit, fsync)"
    } else {
        return Ok(());
    };
    Err(session.refuse(Error::Unsupported(refusal.into())))
}

/// PostgreSQL's failures as ours.
fn translate(error: &tokio_postgres::Error, mode: Mode) -> Failure {
    let Some(db) = error.as_db_error() else {
        return match std::error::Error::source(error) {
            // A value that could not be sent or read: the connection is fine.
            Some(source) if !source.is::<std::io::Error>() && !error.is_closed() => {
                Failure::Final(Error::Statement(format!("{error}: {source}")))
            }
            Some(source) => Failure::Lost(Error::Unavailable(source.to_string())),
            None => Failure::Lost(Error::Unavailable(error.to_string())),
        };
    };
    let message = db.message().to_owned();
    let code = db.code();
    if *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED {
        return Failure::Race;
    }
    // Two first migrations at once: the loser finds everything in place when it runs again.
    if mode == Mode::Alter && [SqlState::UNIQUE_VIOLATION, SqlState::DUPLICATE_TABLE].contains(code) {
        return Failure::Race;
    }
    if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        let misuse = Error::Misuse("a read transaction cannot write");
        return Failure::Final(if mode == Mode::Read { misuse } else { Error::ReadOnly });
    }
    match code.code().get(..2).unwrap_or_default() {
        "08" => Failure::Lost(Error::Unavailable(message)),
        "57" if code.code().starts_with("57P") => Failure::Lost(Error::Unavailable(message)),
        _ => Failure::Final(translate_final(db, message)),
    }
}

fn translate_final(db: &DbError, message: String) -> Error {
    let constraint = |kind| Error::Constraint { kind, message: message.clone() };
    match db.code().code() {
        "23505" => constraint(ConstraintKind::Unique),
        "23503" => constraint(ConstraintKind::ForeignKey),
        "23502" => constraint(ConstraintKind::NotNull),
        "23514" => constraint(ConstraintKind::Check),
        "42804" | "22003" => constraint(ConstraintKind::Type),
        "55P03" | "53300" => Error::Busy,
        "53100" => Error::Full,
        "XX001" | "XX002" => Error::Corrupt(message),
        code if code.starts_with("23") => constraint(ConstraintKind::Other),
        code if code.starts_with("53")
            || code.starts_with("58")
            || code.starts_with("57")
            || code.starts_with("28") =>
        {
            Error::Unavailable(message)
        }
        _ => Error::Statement(message),
    }
}

const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const WRITE: &str = "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE";
/// Sees what another migration committed while this one waited for its lock.
const ALTER: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// How often a transaction runs when it loses races.
const ATTEMPTS: u32 = 24;

/// How often it runs when the connection is lost.
const LOSSES: u32 = 2;

/// Between two runs, times the number of the run.
const PAUSE: Duration = Duration::from_millis(1);
