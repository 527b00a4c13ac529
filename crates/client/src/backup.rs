//! Backups of a vault: made, checked, restored.

use crate::Client;
use crate::seat::unexpected;
use api::terms::Code;
use api::wire::{Answer, BackupCreate, BackupMade, Command, Problem};
use std::path::Path;

#[cfg(feature = "embedded")]
pub use keeper::backup::{Checked, Content, DepotPlace, Fork, Opening, Restored, check, describe};

#[cfg(feature = "embedded")]
/// What is restored, where to, and with what.
#[derive(Debug)]
pub struct Restore {
    /// The backup.
    pub file: std::path::PathBuf,
    /// The folder.
    pub dir: std::path::PathBuf,
    /// What opens it.
    pub opening: Opening,
    /// The anchor.
    pub anchor: std::path::PathBuf,
    /// Whether entries that the anchor knows of may be given up.
    pub fork: Fork,
}

/// Restores a backup into an empty folder, with the operating system's clock.
///
/// # Errors
/// As [`keeper::backup::restore`].
#[cfg(feature = "embedded")]
pub fn restore(options: Restore) -> Result<Restored, Problem> {
    let Restore { file, dir, opening, anchor, fork } = options;
    if let Some(folder) = anchor.parent() {
        crate::vault::private_folder(folder)?;
    }
    let clock = std::sync::Arc::new(keeper::system::SystemClock);
    keeper::backup::restore(&keeper::backup::RestoreOptions { file, dir, opening, anchor, fork, clock })
}

impl Client {
    /// Makes a backup of the vault in a new file.
    ///
    /// # Errors
    /// `denied`; `conflict` if something is there or another backup is being made; `disk-full`, `unavailable`.
    pub fn backup_create(&self, file: &Path) -> Result<BackupMade, Problem> {
        let bad = |why: String| Problem::new(Code::BadRequest, "cannot make a backup", why);
        // An agent stands in another folder than this process.
        let file = std::path::absolute(file).map_err(|error| bad(error.to_string()))?;
        let file = file.to_str().ok_or_else(|| bad("the file's name is not UTF-8".to_owned()))?.to_owned();
        match self.seat().call(Command::BackupCreate(BackupCreate { file }))? {
            Answer::BackupMade(made) => Ok(*made),
            other => Err(unexpected(&other)),
        }
    }
}
