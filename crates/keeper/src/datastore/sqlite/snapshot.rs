//! The database at one moment, as bytes, while others write: its own file, or a copy of it.
//!
//! In WAL mode nothing but a checkpoint writes to the file, and a checkpoint moves nothing that a reader does not see: a reader whose snapshot
//! has no page in the write-ahead log keeps the file as it is for as long as it reads (sqlite.org/walformat.html, locks 3 and 4). So the log is
//! emptied, a reader begins, and if the log is empty still the file is its snapshot.

use super::super::Snapshot;
use super::super::error::{Error, Result};
use super::{Sqlite, execute, translate};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Pages copied at a time.
const PAGES: i32 = 4_096;
/// How long readers of the write-ahead log are waited for: nobody of this process writes meanwhile.
const PATIENCE: Duration = Duration::from_secs(1);

/// The database's own file, while a reader keeps it as it is.
pub(super) struct Quiet {
    file: &'static File,
    len: u64,
}

/// The file, if it is the snapshot of this reader, who is in a transaction then; none if the write-ahead log cannot be emptied now.
pub(super) fn quiet(store: &Sqlite, reader: &Connection) -> Result<Option<Quiet>> {
    // As SQLite names it, links resolved: beside it is its log.
    let Some(path) = reader.path() else { return Ok(None) };
    let log = format!("{path}-wal");
    let is_quiet = store.writer.emptied(PATIENCE.min(store.options.busy), || {
        execute(reader, "BEGIN DEFERRED")?;
        // Now it has its snapshot.
        reader.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |_| Ok(())).map_err(translate)?;
        // Looked at after that: it is not emptied while a reader has pages in it, and not removed while anybody has it open.
        Ok(std::fs::metadata(&log).is_ok_and(|found| found.len() == 0))
    });
    match is_quiet {
        Ok(true) => {}
        Ok(false) | Err(Error::Busy) => return Ok(None),
        Err(error) => return Err(error),
    }
    let count = |pragma| reader.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).map_err(translate);
    let pages = count("page_count")? * count("page_size")?;
    let (file, len) = opened(path).map_err(|error| unavailable(&error))?;
    Ok((i64::try_from(len) == Ok(pages)).then_some(Quiet { file, len }))
}

/// A file that is open in this process for good: to close it would drop the locks that SQLite's connections have on it. And its length.
fn opened(path: &str) -> std::io::Result<(&'static File, u64)> {
    static OPENED: Mutex<BTreeMap<(u64, u64), &'static File>> = Mutex::new(BTreeMap::new());
    let mut all = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    let named = std::fs::metadata(path)?;
    let file = match all.get(&(named.dev(), named.ino())) {
        Some(file) => file,
        None => {
            let file: &'static File = Box::leak(Box::new(File::open(path)?));
            let found = file.metadata()?;
            all.insert((found.dev(), found.ino()), file);
            file
        }
    };
    Ok((file, file.metadata()?.len()))
}

impl Quiet {
    pub(super) fn read_by(self, reader: Connection) -> Snapshot {
        let Self { file, len } = self;
        Snapshot { len, bytes: Box::new(Still { file, at: 0, reader }) }
    }
}

/// A file that is a snapshot, from its beginning.
struct Still {
    file: &'static File,
    at: u64,
    #[expect(dead_code, reason = "it is held, not read")]
    reader: Connection,
}

impl std::io::Read for Still {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(into, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Copies what a connection sees in its open read transaction into a new file. The transaction keeps the snapshot: whatever is written
/// meanwhile stays in the write-ahead log, and the copy never starts again. The file has no name any more when this returns.
pub(super) fn copied(from: &Connection, into: &Path) -> Result<Snapshot> {
    pages(from, into)?;
    let file = File::open(into).map_err(|error| unavailable(&error))?;
    // It goes away with this process, however that ends.
    std::fs::remove_file(into).map_err(|error| unavailable(&error))?;
    let len = file.metadata().map_err(|error| unavailable(&error))?.len();
    Ok(Snapshot { len, bytes: Box::new(file) })
}

fn unavailable(error: &std::io::Error) -> Error {
    Error::Unavailable(format!("the database cannot be copied: {}", error.kind()))
}

fn pages(from: &Connection, into: &Path) -> Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(into).map_err(|error| unavailable(&error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut to = Connection::open_with_flags(into, flags).map_err(translate)?;
    // It is thrown away unless it becomes whole: nothing of it has to be undone or to last.
    for (pragma, value) in [("journal_mode", "OFF"), ("synchronous", "OFF")] {
        to.pragma_update(None, pragma, value).map_err(translate)?;
    }
    let copy = Backup::new(from, &mut to).map_err(translate)?;
    loop {
        match copy.step(PAGES).map_err(translate)? {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            _ => return Err(Error::Busy),
        }
    }
}
