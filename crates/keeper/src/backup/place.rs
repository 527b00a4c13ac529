//! The folder that a backup is restored into: claimed, filled, a vault. Until `vault.json` is there, which comes last, it opens
//! nothing, and a file in it says how far a restore came.

use crate::error::{Error, Result};
use crate::roots::make_private_folder;
use crate::vault::file::{NAME as VAULT_FILE, VaultFile};
use crate::vault::open::DATABASE;
use api::terms::BackupId;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Says that a restore is under way, and how far it came.
const MARKER: &str = "restore.unfinished";
/// What the database's files are called besides.
const DATABASE_FILES: [&str; 3] = [DATABASE, "keeper.db-wal", "keeper.db-shm"];
/// Folders of a vault.
const FOLDERS: [&str; 3] = ["log", "drafts", "depot"];
const MAX_MARKER_LEN: usize = 64;

/// How far a restore came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Files are being written: they are thrown away if it breaks off.
    Filling,
    /// Every file is durable; what is left is to say so in the log, and to make it a vault.
    Filled,
}

impl Stage {
    const fn word(self) -> &'static str {
        match self {
            Self::Filling => "filling",
            Self::Filled => "filled ",
        }
    }
}

/// A folder that is claimed by one restore.
pub(super) struct Place {
    dir: PathBuf,
    /// Held by a lock.
    marker: File,
    backup: BackupId,
    /// The folder was made for this.
    made: bool,
}

/// Whether a restore did not come to its end in a folder.
pub(crate) fn is_unfinished(dir: &Path) -> bool {
    dir.join(MARKER).is_file()
}

impl Place {
    /// Claims a folder that is empty, or in which a restore of this backup broke off; and how far that came.
    pub(super) fn claim(dir: &Path, backup: BackupId) -> Result<(Self, Stage)> {
        match VaultFile::read(dir) {
            Err(Error::NoVault(_) | Error::RestoreUnfinished(_)) => {}
            Err(error @ (Error::Io { .. } | Error::VaultFileLost(_))) => return Err(error),
            Ok(_) | Err(_) => return Err(Error::VaultExists(dir.to_owned())),
        }
        let made = !dir.exists();
        make_private_folder(dir)?;
        let path = dir.join(MARKER);
        let io = |error: std::io::Error| Error::io("the folder cannot be used", dir, &error);
        let others = std::fs::read_dir(dir)
            .map_err(io)?
            .filter(|entry| !entry.as_ref().is_ok_and(|entry| entry.file_name() == MARKER));
        let (empty, unfinished) = (others.count() == 0, is_unfinished(dir));
        if !empty && !unfinished {
            let why = format!("`{}` is not empty", dir.display());
            return Err(Error::Conflict {
                what: "the restore",
                why,
                hint: Some("name an empty folder with --vault".to_owned()),
            });
        }
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let marker = open.map_err(io)?;
        if marker.try_lock().is_err() {
            return Err(Error::conflict("the restore", "another one is under way in this folder"));
        }
        let mut text = vec![0; MAX_MARKER_LEN];
        let len = marker.read_at(&mut text, 0).map_err(io)?;
        text.truncate(len);
        let place = Self { dir: dir.to_owned(), marker, backup, made };
        let stage = match String::from_utf8(text).ok().as_deref().and_then(|text| text.trim_end().split_once(' ')) {
            Some((stage, of)) if stage == Stage::Filled.word().trim_end() => match of.trim().parse::<BackupId>() {
                Ok(of) if of == backup => Stage::Filled,
                _ => {
                    return Err(Error::Conflict {
                        what: "the restore",
                        why: "another backup was restored here, all but its last step".to_owned(),
                        hint: Some("restore the same backup again; or empty the folder".to_owned()),
                    });
                }
            },
            _ => Stage::Filling,
        };
        if stage == Stage::Filling
            && let Err(error) = place.note(Stage::Filling).and_then(|()| place.empty())
        {
            place.give_up();
            return Err(error);
        }
        Ok((place, stage))
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where no anchor is.
    pub(super) fn no_anchor(&self) -> PathBuf {
        self.dir.join("no-anchor")
    }

    /// Takes down how far it came, durably.
    fn note(&self, stage: Stage) -> Result<()> {
        let text = format!("{} {}\n", stage.word(), self.backup);
        self.marker
            .write_all_at(text.as_bytes(), 0)
            .and_then(|()| self.marker.sync_all())
            .and_then(|()| File::open(&self.dir)?.sync_all())
            .map_err(|error| Error::io("the restore cannot be written", &self.dir, &error))
    }

    /// The file of the database, which is new.
    pub(super) fn database(&self) -> Result<(File, PathBuf)> {
        let path = self.dir.join(DATABASE);
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let io = |error: std::io::Error| Error::io("the restore cannot be written", &path, &error);
        Ok((made.map_err(io)?, path))
    }

    /// Writes a file of the log.
    pub(super) fn log_file(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.dir.join("log").join(name);
        let io = |error: std::io::Error| Error::io("the restore cannot be written", &path, &error);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(io)?;
        file.write_all(bytes).map_err(io)
    }

    /// Makes the folders that every vault has.
    pub(super) fn folders(&self) -> Result<()> {
        for name in FOLDERS {
            make_private_folder(&self.dir.join(name))?;
        }
        let ignore = self.dir.join(".gitignore");
        std::fs::write(&ignore, "*\n").map_err(|error| Error::io("the restore cannot be written", &ignore, &error))
    }

    /// Every file is there: makes all of them durable at once, and takes that down.
    pub(super) fn filled(&self) -> Result<()> {
        let io = |error: std::io::Error| Error::io("the restore cannot be written", &self.dir, &error);
        let folder = File::open(&self.dir).map_err(io)?;
        rustix::fs::syncfs(&folder).map_err(|error| io(error.into()))?;
        self.note(Stage::Filled)
    }

    /// Makes it a vault.
    pub(super) fn finish(self, file: &VaultFile) -> Result<()> {
        file.write(&self.dir)?;
        // What says that it is unfinished counts only where no `vault.json` is.
        let _ = std::fs::remove_file(self.dir.join(MARKER));
        Ok(())
    }

    /// Leaves nothing of a restore that was refused.
    pub(super) fn give_up(self) {
        if self.empty().is_ok() {
            let _ = std::fs::remove_file(self.dir.join(MARKER));
            if self.made {
                let _ = std::fs::remove_dir(&self.dir);
            }
        }
    }

    /// Removes what a restore wrote.
    fn empty(&self) -> Result<()> {
        let io = |error: std::io::Error| Error::io("what a restore left cannot be removed", &self.dir, &error);
        let there = |done: std::io::Result<()>| match done {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other.map_err(io),
        };
        for name in DATABASE_FILES.into_iter().chain([".gitignore", "vault.lock", "vault.json.partial"]) {
            there(std::fs::remove_file(self.dir.join(name)))?;
        }
        for name in FOLDERS {
            there(std::fs::remove_dir_all(self.dir.join(name)))?;
        }
        debug_assert!(!self.dir.join(VAULT_FILE).exists(), "no vault is emptied");
        Ok(())
    }
}
