//! A copy of the database at one moment, page by page, while others write.

use super::super::error::{Error, Result};
use super::translate;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Pages copied at a time.
const PAGES: i32 = 4_096;

/// Copies what a connection sees in its open read transaction into a new file. The transaction keeps the snapshot: whatever is written
/// meanwhile stays in the write-ahead log, and the copy never starts again.
pub(super) fn pages(from: &Connection, into: &Path) -> Result<()> {
    let unavailable = |error: std::io::Error| Error::Unavailable(format!("the copy cannot be made: {}", error.kind()));
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(into).map_err(unavailable)?;
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
