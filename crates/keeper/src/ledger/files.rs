//! The log's folder: full bundles and tiles, and the upper partial tiles; durable before a head over them is signed.

use super::error::{Error, Result};
use log::source::{MemoryTiles, SourceError, TileSource};
use log::tile::{CHECKPOINT_PATH, Level, Tile};
use rustix::fs::OFlags;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

/// The folder of one log.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// That it is there: nothing may be committed which could not be integrated.
    pub(super) fn check(&self) -> Result<()> {
        if is_folder(&self.path) { Ok(()) } else { Err(Error::Damaged("the folder of the log is missing".into())) }
    }

    /// Keeps other processes out until the file is dropped.
    pub(super) fn lock(&self) -> Result<File> {
        let path = self.path.join("lock");
        let io = |error: std::io::Error| Error::io("the log cannot be locked", &path, &error);
        let file = unlinked().truncate(false).open(&path).map_err(io)?;
        for _ in 0..LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
                Err(std::fs::TryLockError::Error(error)) => return Err(io(error)),
            }
        }
        Err(Error::Busy)
    }

    /// Writes tiles and makes them durable, folders included. What a pass left behind that was never signed is replaced.
    pub(super) fn write(&self, files: &[&(Tile, Vec<u8>)]) -> Result<()> {
        let mut folders = BTreeSet::new();
        let mut writes = Vec::with_capacity(files.len());
        for (tile, bytes) in files {
            let path = self.path.join(tile.path());
            let parent = path.parent().ok_or(Error::Internal("a tile without a folder"))?;
            self.make_folder(parent, &mut folders)?;
            folders.insert(parent.to_owned());
            writes.push((path, bytes));
        }
        side_by_side(&writes, |(path, bytes)| write_durably(path, bytes))?;
        side_by_side(&folders.into_iter().collect::<Vec<_>>(), |folder| sync_folder(folder))
    }

    /// Makes a folder and notes the parents that must be synced for it to last.
    fn make_folder(&self, folder: &Path, changed: &mut BTreeSet<PathBuf>) -> Result<()> {
        if folder == self.path {
            return Ok(());
        }
        let parent = folder.parent().ok_or(Error::Internal("a folder outside the log"))?;
        self.make_folder(parent, changed)?;
        let failed = |error| Error::io("a folder of the log cannot be made", folder, &error);
        match std::fs::create_dir(folder) {
            Ok(()) => drop(changed.insert(parent.to_owned())),
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(error)),
            // A link planted here would have tiles written, and removed, elsewhere.
            Err(_) if is_folder(folder) => {}
            Err(_) => return Err(failed(ErrorKind::NotADirectory.into())),
        }
        Ok(())
    }

    /// Whether a folder below this one is one all the way, no part of it a link.
    fn is_own(&self, folder: &Path) -> bool {
        let mut below = folder.ancestors().take_while(|part| *part != self.path);
        folder.starts_with(&self.path) && below.all(is_folder)
    }

    /// Publishes a signed checkpoint, in place: replacing the file would cost as much as a sync. A crash may lose or tear it, and
    /// then it says nothing; the lock state has it.
    pub(super) fn publish(&self, checkpoint: &str) -> Result<()> {
        let path = self.path.join(CHECKPOINT_PATH);
        let overwrite = || -> std::io::Result<()> {
            let file = unlinked().truncate(false).open(&path)?;
            file.write_all_at(checkpoint.as_bytes(), 0)?;
            file.set_len(checkpoint.len() as u64)
        };
        overwrite().map_err(|error| Error::io("the checkpoint cannot be published", &path, &error))
    }

    /// Removes the partial tiles that newer ones have replaced; they are not needed any more, so that failures do not matter.
    pub(super) fn tidy(&self, written: &[(Tile, Vec<u8>)]) {
        for (tile, _) in written.iter().filter(|(tile, _)| tile.level != Level::Entries) {
            let keep = (!tile.is_full()).then(|| self.path.join(tile.path()));
            let partials = self.path.join(format!("{}.p", tile.full().path()));
            if !self.is_own(&partials) {
                continue;
            }
            let Ok(listing) = std::fs::read_dir(&partials) else { continue };
            let width =
                |name: &OsStr| name.to_str().and_then(|name| name.parse().ok()).is_some_and(|width: u8| width > 0);
            let of_tiles = listing.flatten().filter(|file| width(&file.file_name())).map(|file| file.path());
            for file in of_tiles.filter(|file| Some(file) != keep.as_ref()) {
                let _ = std::fs::remove_file(file);
            }
            if keep.is_none() {
                let _ = std::fs::remove_dir(&partials);
            }
        }
    }
}

impl TileSource for Folder {
    fn read(&self, path: &str, max: usize) -> std::result::Result<Vec<u8>, SourceError> {
        read_bounded(&self.path.join(path), max).map_err(|error| match error {
            None => SourceError::TooLong { path: path.to_owned() },
            Some(error) if error.kind() == ErrorKind::NotFound => SourceError::Missing { path: path.to_owned() },
            Some(error) => SourceError::Io { path: path.to_owned(), why: error.kind().to_string() },
        })
    }
}

/// The files of a log with what is not in its folder: the tail and the checkpoint of one moment.
#[derive(Debug)]
pub(super) struct Overlay {
    pub(super) folder: Folder,
    pub(super) memory: MemoryTiles,
}

impl TileSource for Overlay {
    fn read(&self, path: &str, max: usize) -> std::result::Result<Vec<u8>, SourceError> {
        match self.memory.read(path, max) {
            Err(SourceError::Missing { .. }) => self.folder.read(path, max),
            other => other,
        }
    }
}

/// Reads a file of at most `max` bytes; `None` as the error when it is longer.
pub(super) fn read_bounded(path: &Path, max: usize) -> std::result::Result<Vec<u8>, Option<std::io::Error>> {
    let file = File::open(path).map_err(Some)?;
    let mut bytes = Vec::new();
    file.take(max as u64 + 1).read_to_end(&mut bytes).map_err(Some)?;
    if bytes.len() > max { Err(None) } else { Ok(bytes) }
}

fn is_folder(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

/// How files of the log are opened for writing: never through a link.
fn unlinked() -> OpenOptions {
    let mut options = File::options();
    options.write(true).create(true).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

/// Writes a file beside its place, syncs it and moves it there. The folder still has to be synced.
pub(super) fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = path.with_file_name(name);
    let io = |error: std::io::Error| Error::io("a file of the log cannot be written", path, &error);
    let mut file = unlinked().truncate(true).open(&partial).map_err(io)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io)?;
    std::fs::rename(&partial, path).map_err(io)
}

/// Runs work that mostly waits for the disk on a few threads: syncs that wait together share a commit of the file system.
fn side_by_side<T: Sync>(items: &[T], work: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
    if items.len() < 2 {
        return items.iter().try_for_each(work);
    }
    let next = AtomicUsize::new(0);
    let run = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(item)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (1..items.len().min(WRITERS)).map(|_| scope.spawn(run)).collect();
        let own = run();
        // INVARIANT: a thread panics only when the work does, which it must not.
        let join = |thread: ScopedJoinHandle<'_, _>| thread.join().unwrap_or(Err(Error::Internal("a writer panicked")));
        threads.into_iter().map(join).fold(own, Result::and)
    })
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| Error::io("a folder of the log cannot be synced", folder, &error))
}

/// The most threads that write.
const WRITERS: usize = 8;
/// How often and with what pauses a lock is tried: ten seconds in all.
const LOCK_TRIES: u32 = 10_000;
const LOCK_PAUSE: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_in_the_folder_has_nothing_written_or_removed_elsewhere() {
        let tmp = tempfile::tempdir().unwrap();
        let (log, outside) = (tmp.path().join("log"), tmp.path().join("outside"));
        let full = Tile { level: Level::Hashes(0), index: 3, width: log::tile::WIDTH };
        let partials = log.join(format!("{}.p", full.path()));
        std::fs::create_dir_all(partials.parent().unwrap()).unwrap();
        std::fs::create_dir(&outside).unwrap();
        for name in ["anchor", "7"] {
            std::fs::write(outside.join(name), b"kept").unwrap();
        }
        std::os::unix::fs::symlink(&outside, &partials).unwrap();
        let folder = Folder::new(log.clone());
        folder.tidy(&[(full, vec![0])]);
        folder.write(&[&(Tile { width: 9, ..full }, vec![0])]).unwrap_err();
        std::os::unix::fs::symlink(outside.join("anchor"), log.join(CHECKPOINT_PATH)).unwrap();
        folder.publish("overwritten").unwrap_err();
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 2);
        assert_eq!(std::fs::read(outside.join("anchor")).unwrap(), b"kept");

        // In a folder of its own, old tiles go and nothing else does.
        std::fs::remove_file(&partials).unwrap();
        folder.write(&[&(Tile { width: 9, ..full }, vec![0])]).unwrap();
        std::fs::write(partials.join("note"), b"kept").unwrap();
        folder.tidy(&[(full, vec![0])]);
        let left: Vec<_> = std::fs::read_dir(&partials).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(left, ["note"]);
    }
}
