//! Whether a folder's file system can carry a vault: asked by `init` before it makes anything there.

use super::error::{Error, Result};
use super::sqlite::{self, Sqlite};
use super::{Driver, Outcome, Value};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Tries in `dir` what the database relies on: locks that exclude, a sync of file and folder, shared memory between two
/// connections.
///
/// # Errors
/// [`Error::Unsupported`] says what the file system cannot do; [`Error::ReadOnly`], [`Error::Full`],
/// [`Error::Unavailable`] if it cannot be written at all.
pub fn probe(dir: &Path) -> Result<()> {
    refuse_network(dir)?;
    let files = Files::new(dir);
    files.remove();
    locks_exclude(&files.path("lock"))?;
    let folder = File::open(dir).map_err(|error| translate(error, "the folder"))?;
    folder.sync_all().map_err(|error| translate(error, "a sync of the folder"))?;
    shared_memory(&files.path("db"))
}

/// Refuses network file systems by their type, because they pass the probe on one machine and fail on two. The types of FUSE
/// and 9P say nothing: they carry a sandbox's local disk as well as somebody's server, so they are only probed.
///
/// # Errors
/// [`Error::Unsupported`] names the file system.
pub fn refuse_network(dir: &Path) -> Result<()> {
    let system = rustix::fs::statfs(dir).map_err(|error| translate(error.into(), "the file system"))?;
    match network(system.f_type as u32) {
        Some(name) => Err(Error::Unsupported(format!("the folder is on a network file system ({name})"))),
        None => Ok(()),
    }
}

fn network(kind: u32) -> Option<&'static str> {
    NETWORK.iter().find(|(magic, _)| *magic == kind).map(|(_, name)| *name)
}

/// Two handles on one file exclude each other, and it can be synced.
fn locks_exclude(path: &Path) -> Result<()> {
    let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let first = open().map_err(|error| translate(error, "a file"))?;
    let second = open().map_err(|error| translate(error, "a file"))?;
    first.lock().map_err(|error| translate(error, "a lock"))?;
    match second.try_lock() {
        Err(TryLockError::WouldBlock) => {}
        Ok(()) => return Err(Error::Unsupported("the file system's locks do not exclude".into())),
        Err(TryLockError::Error(error)) => return Err(translate(error, "a lock")),
    }
    first.sync_all().map_err(|error| translate(error, "a sync"))
}

/// Two connections see each other's commits, and one writer keeps the other out.
fn shared_memory(path: &Path) -> Result<()> {
    let options = sqlite::Options { busy: Duration::ZERO, ..sqlite::Options::default() };
    let (first, second) = (Sqlite::open(path, &options)?, Sqlite::open(path, &options)?);
    let mut result = Ok(());
    first.alter(&mut |alteration| {
        result = alteration.define("CREATE TABLE probe (id BIGINT PRIMARY KEY)").and_then(|()| {
            let inside = second.write(&mut |_| Outcome::RollBack);
            if inside != Err(Error::Busy) {
                return Err(Error::Unsupported("the file system lets two writers in".into()));
            }
            alteration.query("INSERT INTO probe (id) VALUES ($1)", &[Value::from(7)]).map(|_| ())
        });
        if result.is_ok() { Outcome::Commit } else { Outcome::RollBack }
    })?;
    result?;
    let mut seen = Ok(0);
    second.read(&mut |transaction| {
        seen = transaction.query("SELECT id FROM probe", &[]).and_then(|rows| rows.one()?.integer(0));
        Outcome::RollBack
    })?;
    if seen? == 7 { Ok(()) } else { Err(Error::Unsupported("the file system does not share memory".into())) }
}

fn translate(error: std::io::Error, what: &str) -> Error {
    use std::io::ErrorKind as Kind;
    match error.kind() {
        Kind::ReadOnlyFilesystem | Kind::PermissionDenied => Error::ReadOnly,
        Kind::StorageFull | Kind::QuotaExceeded => Error::Full,
        Kind::Unsupported => Error::Unsupported(format!("the file system refuses {what}")),
        _ => Error::Unavailable(format!("{what}: {error}")),
    }
}

/// The probe's files, removed when it ends. The process's number keeps two probes apart.
struct Files {
    stem: PathBuf,
}

impl Files {
    fn new(dir: &Path) -> Self {
        Self { stem: dir.join(format!(".probe-{}", std::process::id())) }
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.stem.with_extension(suffix)
    }

    fn remove(&self) {
        for suffix in ["lock", "db", "db-wal", "db-shm", "db-journal"] {
            // What is not there need not be removed; what cannot be removed the probe itself will meet.
            let _ = std::fs::remove_file(self.path(suffix));
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.remove();
    }
}

/// From linux/magic.h and the file systems' own sources.
const NETWORK: [(u32, &str); 10] = [
    (0x6969, "NFS"),
    (0x517B, "SMB"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB2"),
    (0x5346_414F, "AFS"),
    (0x6B41_4653, "AFS"),
    (0x00C3_6400, "Ceph"),
    (0x0BD0_0BD0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x7375_7245, "Coda"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_refused_by_their_type_and_local_ones_are_not() {
        for (kind, name) in [(0x6969, "NFS"), (0xFF53_4D42, "CIFS"), (0xFE53_4D42, "SMB2"), (0x00C3_6400, "Ceph")] {
            assert_eq!(network(kind), Some(name));
        }
        let (ext4, xfs, btrfs, tmpfs, overlay) = (0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x794C_7630);
        for kind in [ext4, xfs, btrfs, tmpfs, overlay, 0x6573_5546, 0x0102_1997] {
            assert_eq!(network(kind), None, "{kind:#x}");
        }
    }
}
