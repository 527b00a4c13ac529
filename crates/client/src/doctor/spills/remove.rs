//! Removing what was found: the very file, if it still is what was found.

use super::known::Index;
use super::look::{Room, look};
use super::walk::{Found, folder_of};
use crate::source::{Identity, LastFolder, split};
use rustix::fs::AtFlags;

/// What became of a file that was to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Removal {
    /// Its name is gone. Snapshots, backups and the disk itself may hold what it held.
    Removed,
    /// It has other names, which still hold it.
    OneNameOfSeveral,
    /// It is not what was found any more, and was left.
    Changed,
    /// It is in git's own store, which would be damaged by it.
    InGit,
    /// It holds other things too: it is removed only if it is named itself.
    HoldsOthers,
    /// The file system refused.
    Refused,
}

/// Whether git keeps the file for itself.
pub(super) fn is_in_git(found: &Found) -> bool {
    let path = found.shown();
    let names: Vec<_> = path.iter().map(|name| name.to_string_lossy()).collect();
    let below = |folder: &str| names.iter().rev().skip(1).any(|name| name == folder);
    // A bare repository has its objects without `.git`.
    let bare = path.ancestors().skip(1).any(|folder| folder.join("objects").is_dir() && folder.join("HEAD").is_file());
    below(".git") || bare
}

/// Looks again at the open file, and removes its name if that is still this file's.
pub(super) fn remove(index: &Index, found: &Found) -> Removal {
    if is_in_git(found) {
        return Removal::InGit;
    }
    let Ok(file) = found.tree.file(&found.path, &found.identity, &mut LastFolder::default()) else {
        return Removal::Changed;
    };
    let again = look(index, &mut Room::default(), &found.path, &file, found.identity.size);
    if !again.is_ok_and(|again| !again.held.is_empty()) {
        return Removal::Changed;
    }
    let (_, name) = split(&found.path);
    let Some(folder) = folder_of(found) else { return Removal::Changed };
    let Ok(stat) = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) else { return Removal::Changed };
    if Identity::of(&stat) != found.identity {
        return Removal::Changed;
    }
    match rustix::fs::unlinkat(&folder, name, AtFlags::empty()) {
        Ok(()) if stat.st_nlink > 1 => Removal::OneNameOfSeveral,
        Ok(()) => Removal::Removed,
        Err(_) => Removal::Refused,
    }
}
