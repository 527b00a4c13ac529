//! What is kept beside the anchor, outside the vault: who was erased, for a backup that knows nothing of it.

use super::Ledger;
use super::error::{Error, Result};
use super::files;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The file beside an anchor.
pub(crate) fn beside(anchor: &Path) -> PathBuf {
    let mut name = anchor.as_os_str().to_owned();
    name.push(".erased");
    PathBuf::from(name)
}

/// What it holds, if it is there.
pub(crate) fn read_beside(path: &Path, max: usize) -> Result<Option<Vec<u8>>> {
    match files::read_bounded(path, max) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Some(error)) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(Some(error)) => Err(Error::io("the list of the erased cannot be read", path, &error)),
        Err(None) => Err(Error::Damaged(format!("`{}` is longer than any list of the erased", path.display()))),
    }
}

/// Replaces it, durably.
pub(crate) fn write_beside(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let io = |error: std::io::Error| Error::io("the list of the erased cannot be written", path, &error);
    std::fs::create_dir_all(folder).map_err(io)?;
    files::write_durably(path, bytes)?;
    files::sync_folder(folder)
}

impl Ledger {
    /// Where the anchor is.
    pub(crate) fn anchor_path(&self) -> &Path {
        self.anchor.path()
    }
}
