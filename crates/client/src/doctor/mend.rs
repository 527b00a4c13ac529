//! What `--fix` does: nothing that could lose what somebody wants to keep.

use crate::dest;
use rustix::fs::{Mode, OFlags};
use std::fmt;
use std::path::PathBuf;

/// A safe change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mend {
    /// Takes permissions away.
    Permissions {
        /// Of what.
        path: PathBuf,
        /// What is left.
        mode: u32,
    },
    /// Removes the stagings in a folder whose `get` is dead.
    Stagings {
        /// The folder.
        folder: PathBuf,
    },
    /// Removes files and folders of the vault that may be deleted at any time.
    Remove {
        /// Them.
        paths: Vec<PathBuf>,
    },
}

impl fmt::Display for Mend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permissions { path, mode } => write!(f, "chmod {mode:03o} '{}'", path.display()),
            Self::Stagings { folder } => write!(f, "remove what killed gets left in '{}'", folder.display()),
            Self::Remove { paths } => write!(f, "remove {} files that nothing needs", paths.len()),
        }
    }
}

impl Mend {
    /// Makes the change; answers what was done.
    ///
    /// # Errors
    /// The file system's.
    pub fn apply(&self) -> std::io::Result<String> {
        match self {
            Self::Permissions { path, mode } => {
                // On what was opened, so that nothing else is changed if the name moves.
                let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let file = rustix::fs::open(path, flags, Mode::empty())?;
                rustix::fs::fchmod(&file, Mode::from_raw_mode(*mode))?;
            }
            Self::Stagings { folder } => dest::sweep(folder)?,
            Self::Remove { paths } => {
                for path in paths {
                    // A link is removed as one.
                    let is_folder = std::fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
                    match if is_folder { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) } {
                        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                        _ => {}
                    }
                }
            }
        }
        Ok(self.to_string())
    }
}
