//! SQLite: one file, write-ahead log, every commit synced, commits shared by those who wait together.
//!
//! One connection writes, others read snapshots. Writers need no thread of their own: a caller takes the write connection
//! under a mutex, runs its transaction as a savepoint, and the last one in the queue commits for all (`group`). Another
//! process may use the same file: it waits up to [`Options::busy`], then [`Error::Busy`].

mod group;
mod session;
mod snapshot;

use super::error::{ConstraintKind, Error, Result};
use super::{Alteration, Driver, Outcome, Snapshot, Transaction};
use group::Writer;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};
use session::{Mode, Session};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How to open the database.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long to wait for another process before [`Error::Busy`].
    pub busy: Duration,
    /// The most pages of 4 KiB the file may have; beyond it [`Error::Full`]. `None`: until the disk is full.
    pub max_pages: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self { busy: Duration::from_secs(5), max_pages: None }
    }
}

/// The driver.
pub struct Sqlite {
    path: PathBuf,
    options: Options,
    /// Before the writer, so that the writer is closed last and folds the log into the file.
    readers: Mutex<Vec<Connection>>,
    writer: Writer,
}

impl Sqlite {
    /// Opens or creates the database at `path`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the linked SQLite is too old or the file system refuses the write-ahead log, and
    /// whatever opening says.
    pub fn open(path: &Path, options: &Options) -> Result<Self> {
        let linked = rusqlite::version_number();
        if linked < OLDEST_SQLITE {
            let message = format!("SQLite {} is linked, at least 3.51.3 is needed", rusqlite::version());
            return Err(Error::Unsupported(message));
        }
        // A new file is its owner's alone, and so are its log and its index, which SQLite gives the same mode. An old one is
        // not opened here: closing it would drop the locks that other connections of this process hold on it.
        let _ = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(translate)?;
        harden(&connection, options)?;
        if connection.is_readonly("main").map_err(translate)? {
            return Err(Error::ReadOnly);
        }
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)).map_err(translate)?;
        if mode != "wal" {
            return Err(Error::Unsupported(format!(
                "the file system refuses a write-ahead log (SQLite chose `{mode}`)"
            )));
        }
        for (pragma, value) in [("synchronous", "FULL"), ("secure_delete", "ON"), ("journal_size_limit", "67108864")] {
            connection.pragma_update(None, pragma, value).map_err(translate)?;
        }
        if let Some(pages) = options.max_pages {
            connection.pragma_update(None, "max_page_count", pages).map_err(translate)?;
        }
        let writer = Writer::new(connection, options.busy);
        Ok(Self { path: path.to_owned(), options: options.clone(), readers: Mutex::default(), writer })
    }

    /// An idle reading connection, or a new one.
    fn reader(&self) -> Result<Connection> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(connection) = idle {
            return Ok(connection);
        }
        self.new_reader()
    }

    fn new_reader(&self) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(translate)?;
        harden(&connection, &self.options)?;
        connection.pragma_update(None, "query_only", "ON").map_err(translate)?;
        Ok(connection)
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_READERS {
            idle.push(connection);
        }
    }
}

impl Driver for Sqlite {
    fn read(&self, body: &mut dyn FnMut(&mut dyn Transaction) -> Outcome) -> Result<()> {
        let connection = self.reader()?;
        let read = looked(&connection, body)?;
        // A reader that cannot end its transaction is dropped, and with it its snapshot.
        if connection.is_autocommit() || execute(&connection, "ROLLBACK").is_ok() {
            self.keep(connection);
        }
        read
    }

    fn read_widely(&self, body: &mut dyn FnMut(&mut dyn Transaction) -> Outcome) -> Result<()> {
        let connection = self.new_reader()?;
        connection.pragma_update(None, "cache_size", -WIDE_KIB).map_err(translate)?;
        // The connection is dropped, and with it its snapshot and its memory.
        looked(&connection, body)?
    }

    fn breadth(&self) -> usize {
        BREADTH
    }

    fn parts(&self, table: &str) -> Result<Vec<String>> {
        let connection = self.reader()?;
        let last: i64 = connection
            .query_row(&format!("SELECT COALESCE(MAX(rowid), 0) FROM {table}"), [], |row| row.get(0))
            .map_err(translate)?;
        self.keep(connection);
        // Rows are numbered from 1 as they come; what comes now is in the last part.
        let step = last / WALKS + 1;
        let until = |part: i64| if part == WALKS { i64::MAX } else { step * part };
        Ok((1..=WALKS).map(|part| format!("rowid > {} AND rowid <= {}", until(part - 1), until(part))).collect())
    }

    fn write(&self, body: &mut dyn FnMut(&mut dyn Transaction) -> Outcome) -> Result<()> {
        self.writer.run(&mut |session| body(session))
    }

    fn snapshot(&self, room: &Path, body: &mut dyn FnMut(&mut dyn Transaction) -> Outcome) -> Result<Option<Snapshot>> {
        let reader = self.new_reader()?;
        let quiet = snapshot::quiet(self, &reader)?;
        if quiet.is_none() && reader.is_autocommit() {
            execute(&reader, "BEGIN DEFERRED")?;
        }
        let mut session = Session::new(&reader, Mode::Read);
        let outcome = body(&mut session);
        // The reader is dropped, and with it its snapshot, or goes with the bytes.
        match (outcome, session.into_failure(), quiet) {
            (Outcome::RollBack, ..) => Ok(None),
            (Outcome::Commit, Some(error), _) => Err(error),
            (Outcome::Commit, None, Some(file)) => Ok(Some(file.read_by(reader))),
            (Outcome::Commit, None, None) => snapshot::copied(&reader, room).map(Some),
        }
    }

    fn alter(&self, body: &mut dyn FnMut(&mut dyn Alteration) -> Outcome) -> Result<()> {
        self.writer.run(&mut |session| body(session))
    }

    fn scrub(&self) -> Result<()> {
        self.writer.emptied(self.options.busy, || Ok(()))
    }
}

/// Runs a body on a snapshot, which stays. What the body came to is the inner result.
fn looked(connection: &Connection, body: &mut dyn FnMut(&mut dyn Transaction) -> Outcome) -> Result<Result<()>> {
    execute(connection, "BEGIN DEFERRED")?;
    let mut session = Session::new(connection, Mode::Read);
    let outcome = body(&mut session);
    Ok(match (outcome, session.into_failure()) {
        (Outcome::Commit, Some(error)) => Err(error),
        _ => Ok(()),
    })
}

/// Settings of every connection: nothing in the file is trusted to run code, nothing is guessed from quotes, and a plan does not
/// hang on the values bound to it: otherwise statistics (which the linked SQLite has) prepare each statement again at each use.
fn harden(connection: &Connection, options: &Options) -> Result<()> {
    connection.busy_timeout(options.busy).map_err(translate)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    for (setting, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true),
    ] {
        connection.set_db_config(setting, on).map_err(translate)?;
    }
    // What a long transaction keeps aside, to undo a part of it, is pages of this database: it goes into no folder for temporary files.
    connection.pragma_update(None, "temp_store", "MEMORY").map_err(translate)?;
    connection.pragma_update(None, "cell_size_check", "ON").map_err(translate)
}

/// Runs a fixed statement that gives no rows.
fn execute(connection: &Connection, sql: &str) -> Result<()> {
    let mut statement = connection.prepare_cached(sql).map_err(translate)?;
    statement.raw_execute().map(|_| ()).map_err(translate)
}

/// SQLite's failures as ours.
fn translate(error: rusqlite::Error) -> Error {
    let (code, message) = match error {
        rusqlite::Error::SqliteFailure(code, message) => (code, message.unwrap_or_else(|| code.to_string())),
        rusqlite::Error::SqlInputError { error, msg, .. } => (error, msg),
        rusqlite::Error::MultipleStatement => return Error::Misuse("a statement is followed by another"),
        other => return Error::Statement(other.to_string()),
    };
    match code.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => Error::Busy,
        ErrorCode::DiskFull => Error::Full,
        // The index of the write-ahead log cannot grow: met before anything else on a disk that is full already.
        _ if code.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE => Error::Full,
        ErrorCode::ReadOnly => Error::ReadOnly,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Error::Corrupt(message),
        ErrorCode::ConstraintViolation => Error::Constraint { kind: constraint(code.extended_code), message },
        ErrorCode::TooBig => Error::TooLarge { what: "a value", max: super::value::MAX_VALUE_LEN },
        ErrorCode::SystemIoFailure
        | ErrorCode::CannotOpen
        | ErrorCode::PermissionDenied
        | ErrorCode::NoLargeFileSupport
        | ErrorCode::OutOfMemory => Error::Unavailable(message),
        _ => Error::Statement(message),
    }
}

fn constraint(extended: i32) -> ConstraintKind {
    match extended {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
            ConstraintKind::Unique
        }
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => ConstraintKind::ForeignKey,
        ffi::SQLITE_CONSTRAINT_NOTNULL => ConstraintKind::NotNull,
        ffi::SQLITE_CONSTRAINT_CHECK => ConstraintKind::Check,
        ffi::SQLITE_CONSTRAINT_DATATYPE => ConstraintKind::Type,
        _ => ConstraintKind::Other,
    }
}

/// 3.51.3: the first without the WAL-reset corruption (sqlite.org/wal.html#walresetbug).
const OLDEST_SQLITE: i32 = 3_051_003;

/// Prepared statements kept per connection.
const STATEMENTS: usize = 256;

/// Reading connections kept open.
const IDLE_READERS: usize = 8;
/// Parts of a table that are walked through at once: more than there are processors, because most of the time a disk is waited for.
const WALKS: i64 = 8;
/// Wide passes of one caller.
const BREADTH: usize = 4;
/// The page cache of a wide pass, in KiB.
const WIDE_KIB: i64 = 32 << 10;
