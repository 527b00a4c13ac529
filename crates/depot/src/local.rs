//! A depot in a folder.
//!
//! ```text
//! DEPOT/<vault id>/<first digit of the object id>/<object id>    0600
//! DEPOT/<vault id>/unfinished/<object id>.<process>-<count>      uploads in progress, each locked by whoever writes it
//! ```
//! Folders are 0700. Every step down is an `openat` that follows no symbolic link, and whatever is not a plain file is refused. An object is written
//! under a temporary name, flushed, renamed without replacing, and its folder flushed: it shows whole, and once acknowledged it survives a crash.

mod folder;
mod upload;

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, FileType};

use seal::Id;

use crate::error::{Error, Place, Result};
use crate::key::{Hex, Key, parse_id};
use crate::store::{Entry, Object, Store, Sweep, Swept, Taken, Upload};
use folder::Folder;

/// A depot in a folder of this machine.
#[derive(Debug)]
pub struct Local {
    root: Folder,
}

impl Local {
    /// Makes the folder (0700) when it is missing, and opens it.
    ///
    /// # Errors
    /// The environment's errors.
    pub fn create(path: &Path) -> Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        match std::fs::DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => {
                if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                    let parent = File::open(parent).map_err(|e| folder::map_io(e, Place::Depot))?;
                    parent.sync_all().map_err(|e| folder::map_io(e, Place::Depot))?;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(folder::map_io(error, Place::Depot)),
        }
        Self::open(path)
    }

    /// Opens the folder, which must exist.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it does not exist; the environment's errors.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { root: Folder::open_root(path)? })
    }

    fn vault(&self, vault: &Id) -> Result<Folder> {
        self.root.child(&Hex(vault).to_string(), Place::Vault(*vault))
    }

    /// The vault's folder with all its subfolders, made when missing.
    fn prepare(&self, vault: &Id) -> Result<Folder> {
        let place = Place::Vault(*vault);
        match self.vault(vault) {
            Err(Error::NotFound { .. }) => {}
            other => return other,
        }
        let name = Hex(vault).to_string();
        self.root.make_child(&name, place)?;
        let folder = self.root.child(&name, place)?;
        for first in 0..FANS {
            folder.make_child(&fan_name(first), place)?;
        }
        folder.make_child(UNFINISHED, place)?;
        folder.flush(place)?;
        self.root.flush(Place::Depot)?;
        Ok(folder)
    }

    fn start(&self, key: &Key, taken: Taken) -> Result<Box<dyn Upload>> {
        let place = Place::from(key);
        let vault = self.prepare(key.vault())?;
        let fan = vault.child_or_make(&fan_of(key), place)?;
        if taken == Taken::Refused && fan.holds(&object_name(key), place)? {
            return Err(Error::AlreadyExists { place });
        }
        let unfinished = vault.child_or_make(UNFINISHED, place)?;
        Ok(Box::new(upload::LocalUpload::start(*key, unfinished, fan, object_name(key), taken)?))
    }

    /// The folder that holds `key`, for reading.
    fn fan(&self, key: &Key) -> Result<Folder> {
        self.vault(key.vault())?.child(&fan_of(key), key.into())
    }
}

impl Store for Local {
    fn create(&self, key: &Key) -> Result<Box<dyn Upload>> {
        self.start(key, Taken::Refused)
    }

    fn replace(&self, key: &Key) -> Result<Box<dyn Upload>> {
        self.start(key, Taken::Replaced)
    }

    fn open(&self, key: &Key) -> Result<Box<dyn Object>> {
        let place = Place::from(key);
        let file =
            self.fan(key).and_then(|fan| fan.open_file(&object_name(key), place)).map_err(|e| name_object(e, key))?;
        let len_bytes = file.metadata().map_err(|e| folder::map_io(e, place))?.size();
        Ok(Box::new(LocalObject { key: *key, file, len_bytes }))
    }

    fn delete(&self, key: &Key) -> Result<()> {
        let removed = self.fan(key).and_then(|fan| {
            fan.remove_file(&object_name(key), key.into())?;
            fan.flush(key.into())
        });
        match removed {
            Err(Error::NotFound { .. }) => Ok(()),
            other => other,
        }
    }

    fn list(&self, vault: &Id, after: Option<&Key>, limit: usize) -> Result<Vec<Entry>> {
        let place = Place::Vault(*vault);
        let folder = match self.vault(vault) {
            Err(Error::NotFound { .. }) => return Ok(Vec::new()),
            other => other?,
        };
        let after = after.map(|key| *key.object());
        let first = after.map_or(0, |[first, ..]| first >> 4);
        let mut entries = Vec::new();
        for fan_digit in first..FANS {
            let fan = match folder.child(&fan_name(fan_digit), place) {
                Err(Error::NotFound { .. }) => continue,
                other => other?,
            };
            for object in objects_in(&fan, fan_digit, place)? {
                if entries.len() == limit {
                    return Ok(entries);
                }
                if after.is_none_or(|after| object > after) {
                    let key = Key::new(*vault, object);
                    entries.extend(entry(&fan, key)?);
                }
            }
        }
        Ok(entries)
    }

    fn sweep(&self, vault: &Id, before: SystemTime, what: Sweep) -> Result<Swept> {
        let place = Place::Vault(*vault);
        let folder = match self.vault(vault).and_then(|folder| folder.child(UNFINISHED, place)) {
            Err(Error::NotFound { .. }) => return Ok(Swept::default()),
            other => other?,
        };
        let mut swept = Swept::default();
        for name in folder.names(place)? {
            let Some(status) = folder.status(&name, place)? else { continue };
            let is_file = FileType::from_raw_mode(status.st_mode) == FileType::RegularFile;
            if is_file && written(&status) < before && sweep_dead(&folder, &name, place, what)? {
                swept.uploads += 1;
                swept.bytes += u64::try_from(status.st_size).unwrap_or(0);
            }
        }
        Ok(swept)
    }
}

#[derive(Debug)]
struct LocalObject {
    key: Key,
    file: File,
    len_bytes: u64,
}

impl Object for LocalObject {
    fn key(&self) -> &Key {
        &self.key
    }

    fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let len = buf.len() as u64;
        if offset.checked_add(len).is_none_or(|end| end > self.len_bytes) {
            return Err(Error::PastEnd { key: self.key, offset, len, object_len: self.len_bytes });
        }
        self.file.read_exact_at(buf, offset).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                let object_len = self.file.metadata().map_or(self.len_bytes, |status| status.size());
                Error::PastEnd { key: self.key, offset, len, object_len }
            }
            _ => folder::map_io(error, self.key.into()),
        })
    }
}

/// The objects of one subfolder in order. Names that are not of our making are passed over.
fn objects_in(fan: &Folder, first: u8, place: Place) -> Result<Vec<Id>> {
    let mut objects: Vec<Id> = fan
        .names(place)?
        .iter()
        .filter_map(|name| parse_id(name))
        .filter(|id| id.first().is_some_and(|byte| byte >> 4 == first))
        .collect();
    objects.sort_unstable();
    Ok(objects)
}

/// The line of one object, or `None` if it vanished or is not a plain file.
fn entry(fan: &Folder, key: Key) -> Result<Option<Entry>> {
    let status = fan.status(&object_name(&key), key.into())?;
    Ok(status
        .filter(|status| FileType::from_raw_mode(status.st_mode) == FileType::RegularFile)
        .map(|status| Entry { key, len_bytes: u64::try_from(status.st_size).unwrap_or(0) }))
}

/// Removes an unfinished upload, or leaves it, unless the one who writes it lives; whether it was a dead one's.
fn sweep_dead(folder: &Folder, name: &str, place: Place, what: Sweep) -> Result<bool> {
    let file = match folder.open_file(name, place) {
        Err(Error::NotFound { .. }) => return Ok(false),
        other => other?,
    };
    if file.try_lock().is_err() {
        return Ok(false);
    }
    if what == Sweep::Count {
        return Ok(true);
    }
    // Still locked: an upload that gets the name just now sees that it is taken away.
    match folder.remove_file(name, place) {
        Err(Error::NotFound { .. }) => Ok(false),
        other => other.map(|()| true),
    }
}

/// When a file was last written. A time that cannot be told counts as just now, so that nothing is removed too early.
fn written(status: &rustix::fs::Stat) -> SystemTime {
    let seconds = u64::try_from(status.st_mtime).unwrap_or(u64::MAX);
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or_else(far_future)
}

fn far_future() -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(1 << 40)).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Names the object where a missing folder above it was the cause.
fn name_object(error: Error, key: &Key) -> Error {
    match error {
        Error::NotFound { .. } => Error::NotFound { place: key.into() },
        other => other,
    }
}

fn object_name(key: &Key) -> String {
    Hex(key.object()).to_string()
}

fn fan_of(key: &Key) -> String {
    let [first, ..] = key.object();
    fan_name(first >> 4)
}

fn fan_name(first: u8) -> String {
    format!("{first:x}")
}

/// Subfolders of a vault, one for each first digit.
const FANS: u8 = 16;

/// The folder of uploads in progress.
const UNFINISHED: &str = "unfinished";

/// Flags for a look at a name itself, not at what a link points to.
const NO_FOLLOW: AtFlags = AtFlags::SYMLINK_NOFOLLOW;
