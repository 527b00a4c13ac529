//! The anchor: the last signed head, kept outside the vault, so that a vault that was rolled back is noticed.

use super::error::{Error, Result};
use super::files;
use log::checkpoint::Checkpoint;
use log::keys::LogKeys;
use log::note;
use std::io::ErrorKind;
use std::path::PathBuf;

/// A file outside the vault.
#[derive(Debug, Clone)]
pub(super) struct Anchor {
    path: PathBuf,
}

impl Anchor {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The head it holds, if there is one.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] when it is there and not signed by this log: what cannot be compared must not be overwritten.
    pub(super) fn read(&self, keys: &LogKeys) -> Result<Option<Checkpoint>> {
        let bytes = match files::read_bounded(&self.path, note::MAX_LEN) {
            Ok(bytes) => bytes,
            Err(Some(error)) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(Some(error)) => return Err(Error::io("the anchor cannot be read", &self.path, &error)),
            Err(None) => return Err(self.refused()),
        };
        keys.open(&bytes).map(Some).map_err(|_| self.refused())
    }

    fn refused(&self) -> Error {
        Error::ReadOnly(format!("the anchor `{}` is not a checkpoint that this log signed", self.path.display()))
    }

    /// Replaces it, durably.
    pub(super) fn write(&self, checkpoint: &str) -> Result<()> {
        let folder = self.path.parent().ok_or(Error::Internal("an anchor without a folder"))?;
        if !folder.is_dir() {
            let made = std::fs::create_dir_all(folder);
            made.map_err(|error| Error::io("the anchor's folder cannot be made", folder, &error))?;
        }
        files::write_durably(&self.path, checkpoint.as_bytes())?;
        files::sync_folder(folder)
    }
}
