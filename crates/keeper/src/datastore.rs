//! The keeper's memory: one SQL text on two engines, SQLite ([`sqlite`]) and PostgreSQL ([`postgres`]).
//!
//! Domain code writes commands as closures over a [`Transaction`]; it never sees an engine, and there is no branch on the
//! engine outside this module. What holds on both:
//!
//! - a write transaction is serializable, durable when [`Datastore::write`] returns, and all or nothing;
//! - a failed statement ends its transaction: later statements repeat the failure and nothing is committed;
//! - closures are **re-runnable**: a transaction that lost a race is run again from the start, so ids, times and nonces
//!   are made outside and side effects happen after;
//! - a commit whose answer was lost is [`Error::OutcomeUnknown`], resolved by the caller's idempotency key, never guessed;
//! - a read transaction sees one snapshot and cannot write.
//!
//! The dialect is the common subset, checked on every statement (see [`Transaction::query`]).

pub mod error;
pub mod migrate;
pub mod postgres;
pub mod probe;
pub mod sqlite;
mod statement;
pub mod value;

pub use error::{ConstraintKind, Error, Fault, Result};
pub use migrate::Migration;
pub use statement::{MAX_PARAMETERS, tuples};
pub use value::{Row, Rows, Value};

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

/// Statements in one atomic unit of work.
pub trait Transaction {
    /// Runs one `SELECT`, `VALUES`, `INSERT`, `UPDATE`, `DELETE` or `WITH` and returns its rows.
    ///
    /// Parameters are `$1`, `$2`, ... in any order and as often as needed; each of `values` must be used. The common
    /// dialect is enforced: no `::`, `?`, double quotes, comments or second statement; `CAST(x AS t)` for casts, `CAST`
    /// around aggregates, qualified columns in `DO UPDATE`, deletion of a page through a sub-select, and no `LIKE`
    /// (case rules differ).
    ///
    /// # Errors
    /// Whatever the engine says, sorted by [`Error`]. The transaction is over after the first error.
    fn query(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Rows>;

    /// Runs a `SELECT` without parameters and shows its rows one after another, until one is refused: a pass over a table in the order in which
    /// it lies, which is held nowhere as a whole. One at a time in a transaction.
    ///
    /// # Errors
    /// As [`Transaction::query`]; whatever `show` says, and then nothing is shown any more.
    fn walk(&mut self, sql: &str, show: &mut dyn FnMut(&Row) -> Result<()>) -> Result<()>;

    /// Runs a `SELECT` and holds its rows until the transaction ends: `FOR SHARE` or `FOR UPDATE` on PostgreSQL, nothing
    /// on SQLite, where writers are serial. Locks come first in a transaction and in a fixed order (`ORDER BY id`).
    ///
    /// # Errors
    /// As [`Transaction::query`]; [`Error::Misuse`] in a read transaction.
    fn lock(&mut self, strength: Lock, sql: &str, values: &[Value<'_>]) -> Result<Rows>;

    /// Draws the next ticket, a positive number: larger than every ticket of every transaction that committed before
    /// this one took its locks. Numbers may be skipped, never repeated among committed transactions.
    ///
    /// # Errors
    /// As [`Transaction::query`]; [`Error::Misuse`] in a read transaction.
    fn ticket(&mut self) -> Result<i64>;
}

/// How strongly [`Transaction::lock`] holds rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// Others may hold it too: a release and the facts it relies on.
    Shared,
    /// Nobody else holds it: a revocation, an epoch change.
    Exclusive,
}

/// What a transaction's body wants to happen at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Make it durable.
    Commit,
    /// Leave no trace.
    RollBack,
}

/// A write transaction that may change the schema. Only [`Datastore::migrate`] uses it.
pub trait Alteration: Transaction {
    /// Creates the driver's own tables if missing and keeps other migrations out until the transaction ends.
    ///
    /// # Errors
    /// As [`Transaction::query`].
    fn prepare(&mut self) -> Result<()>;

    /// Runs one DDL statement that says `BIGINT`, `TEXT` and `BYTEA`.
    ///
    /// # Errors
    /// As [`Transaction::query`].
    fn define(&mut self, ddl: &str) -> Result<()>;
}

/// The database at one moment, as bytes: read from its beginning, once. Dropped, it is forgotten.
pub struct Snapshot {
    /// How many there are.
    pub len: u64,
    /// The bytes.
    pub bytes: Box<dyn std::io::Read>,
}

/// What an engine implements. Bodies may run several times; only the last run counts.
///
/// A driver answers `Ok(())` when the body's outcome was carried out, and repeats the body after a lost race whatever
/// the body made of the error. A body that asks for a commit after a failed statement gets that statement's error.
pub trait Driver: Send + Sync {
    /// Runs `body` on one snapshot, without the right to write.
    ///
    /// # Errors
    /// See [`Error`].
    fn read(&self, body: &mut dyn FnMut(&mut dyn Transaction) -> Outcome) -> Result<()>;

    /// The same for a pass over much of the store that finds its rows here and there.
    ///
    /// # Errors
    /// See [`Error`].
    fn read_widely(&self, body: &mut dyn FnMut(&mut dyn Transaction) -> Outcome) -> Result<()> {
        self.read(body)
    }

    /// How many such passes one caller may have at a time and leave others room.
    fn breadth(&self) -> usize {
        1
    }

    /// Conditions that part a table into as many walks as are worth it at a time.
    ///
    /// # Errors
    /// See [`Error`].
    fn parts(&self, table: &str) -> Result<Vec<String>> {
        let _ = table;
        Ok(vec!["TRUE".to_owned()])
    }

    /// Runs `body` atomically and durably.
    ///
    /// # Errors
    /// See [`Error`].
    fn write(&self, body: &mut dyn FnMut(&mut dyn Transaction) -> Outcome) -> Result<()>;

    /// Runs `body` on one snapshot; if it asks for a commit, answers that snapshot as bytes. Writers go on meanwhile. Where the database's own
    /// file is not it, it is copied to `room`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for an engine that is copied by its own means.
    fn snapshot(&self, room: &Path, body: &mut dyn FnMut(&mut dyn Transaction) -> Outcome) -> Result<Option<Snapshot>> {
        let _ = (room, body);
        Err(Error::Unsupported("this database is not copied from here: use the means of its server".into()))
    }

    /// Runs `body` atomically with the right to change the schema.
    ///
    /// # Errors
    /// See [`Error`].
    fn alter(&self, body: &mut dyn FnMut(&mut dyn Alteration) -> Outcome) -> Result<()>;

    /// Leaves no bytes of deleted rows in the engine's own files: SQLite, which zeroes what it deletes, folds its write-ahead log into
    /// the file and empties it. What a server keeps (PostgreSQL: until it vacuums and recycles) is not in the engine's hand.
    ///
    /// # Errors
    /// [`Error::Busy`] while others read what was before; see [`Error`].
    fn scrub(&self) -> Result<()>;
}

/// A handle on the store; clones share it.
#[derive(Clone)]
pub struct Datastore {
    driver: Arc<dyn Driver>,
}

impl Datastore {
    /// Over any driver: tests wrap one to inject faults.
    pub fn new(driver: Arc<dyn Driver>) -> Self {
        Self { driver }
    }

    /// Opens or creates the SQLite database at `path`.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::Busy`], [`Error::Corrupt`], [`Error::Unavailable`], [`Error::Unsupported`].
    pub fn sqlite(path: &Path, options: &sqlite::Options) -> Result<Self> {
        Ok(Self::new(Arc::new(sqlite::Sqlite::open(path, options)?)))
    }

    /// Connects to a PostgreSQL database.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Unsupported`].
    pub fn postgres(options: &postgres::Options) -> Result<Self> {
        Ok(Self::new(Arc::new(postgres::Postgres::connect(options)?)))
    }

    /// Runs `body` on one snapshot and returns its answer.
    ///
    /// # Errors
    /// The body's own error, or the store's [`Error`] converted.
    pub fn read<T, E: From<Error>>(
        &self,
        body: impl Fn(&mut dyn Transaction) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        answer(body, |run| self.driver.read(run))
    }

    /// [`Self::read`] for a pass over much of the store that finds its rows here and there: SQLite has 32 MiB of its pages in memory for as long
    /// as this takes, in which an index of a few million rows fits.
    ///
    /// # Errors
    /// The body's own error, or the store's [`Error`] converted.
    pub fn read_widely<T, E: From<Error>>(
        &self,
        body: impl Fn(&mut dyn Transaction) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        answer(body, |run| self.driver.read_widely(run))
    }

    /// How many of [`Self::read_widely`] one caller may have at a time and leave others room: a server's connections are few.
    pub fn breadth(&self) -> usize {
        self.driver.breadth()
    }

    /// Conditions of which each row of a table meets one, for as many of [`Transaction::walk`] at once, each in a transaction of its own: SQLite
    /// waits for a disk page by page, a server reads ahead.
    ///
    /// # Errors
    /// Whatever the engine says.
    pub fn parts(&self, table: &str) -> Result<Vec<String>> {
        let _inside = Inside::enter()?;
        self.driver.parts(table)
    }

    /// Runs `body` on one snapshot and, if it succeeds, answers that snapshot as the bytes of a database. Writers go on meanwhile. Where others keep
    /// the database's own file from being it, it is copied to `room`, which must not exist, and whose name is gone when this returns.
    ///
    /// # Errors
    /// The body's own error, or the store's [`Error`] converted; [`Error::Unsupported`] for an engine that is copied by its own means.
    pub fn snapshot<T, E: From<Error>>(
        &self,
        room: &Path,
        body: impl Fn(&mut dyn Transaction) -> std::result::Result<T, E>,
    ) -> std::result::Result<(T, Snapshot), E> {
        let mut snapshot = None;
        let answer = answer(body, |run| {
            snapshot = self.driver.snapshot(room, run)?;
            Ok(())
        })?;
        Ok((answer, snapshot.ok_or(Error::Misuse("a snapshot without its bytes"))?))
    }

    /// Runs `body` atomically; when this returns `Ok`, its effects are durable. An `Err` of the body leaves no trace.
    ///
    /// `body` may run several times: see the module's rules.
    ///
    /// # Errors
    /// The body's own error, or the store's [`Error`] converted.
    pub fn write<T, E: From<Error>>(
        &self,
        body: impl Fn(&mut dyn Transaction) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        answer(body, |run| self.driver.write(run))
    }

    /// Leaves no bytes of deleted rows behind, as far as the engine can: [`Driver::scrub`].
    ///
    /// # Errors
    /// [`Error::Busy`], and whatever the engine says.
    pub fn scrub(&self) -> Result<()> {
        let _inside = Inside::enter()?;
        self.driver.scrub()
    }

    /// Brings the schema up to `migrations`, which are numbered 1, 2, 3 ... without gaps and never change once released.
    /// One transaction applies all that are missing.
    ///
    /// # Errors
    /// [`Error::SchemaNewer`] if a later program has been here, [`Error::SchemaChanged`] if an applied migration differs
    /// from the one given, and whatever the engine says.
    pub fn migrate(&self, migrations: &[Migration]) -> Result<()> {
        let _inside = Inside::enter()?;
        migrate::run(&*self.driver, migrations)
    }
}

impl std::fmt::Debug for Datastore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Datastore")
    }
}

/// Carries a body's typed answer past the object-safe driver.
fn answer<T, E: From<Error>>(
    body: impl Fn(&mut dyn Transaction) -> std::result::Result<T, E>,
    run: impl FnOnce(&mut dyn FnMut(&mut dyn Transaction) -> Outcome) -> Result<()>,
) -> std::result::Result<T, E> {
    let _inside = Inside::enter()?;
    let mut last = None;
    run(&mut |transaction| {
        let result = body(transaction);
        let outcome = if result.is_ok() { Outcome::Commit } else { Outcome::RollBack };
        last = Some(result);
        outcome
    })?;
    last.unwrap_or_else(|| Err(Error::Misuse("a driver did not run the transaction").into()))
}

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Marks a thread that is inside a transaction, so that a nested one is refused instead of waiting for itself.
struct Inside;

impl Inside {
    fn enter() -> Result<Self> {
        match INSIDE.replace(true) {
            false => Ok(Self),
            true => Err(Error::Misuse("transactions do not nest")),
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(false);
    }
}
