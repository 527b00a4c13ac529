//! Where vault, key file and anchor lie, and on what.

use super::{Check, Places, Unit};
use std::path::{Path, PathBuf};

const SYSTEM: Unit = Unit::new("file-system", "the database relies on locks, syncs and a disk that stays");
const SYNC: Unit = Unit::new("sync", "what is acknowledged must be on the disk");
const DISK: Unit = Unit::new("disk", "a full disk stops puts and the log");
const VAULT_PLACE: Unit = Unit::new("vault-place", "a program that copies files while they change breaks a database");
const KEY_PLACE: Unit = Unit::new("key-place", "a key beside what it opens, or in a cloud, protects from nobody there");
const KEY_COPIES: Unit = Unit::new("key-copies", "a copy of the key file opens the vault as well");
const ANCHOR_PLACE: Unit =
    Unit::new("anchor-place", "an anchor that is copied with the vault cannot tell an older copy");

/// Less free space than this is a finding, and less than that a warning.
const LITTLE_BYTES: u64 = 64 << 20;
const SOME_BYTES: u64 = 1 << 30;

/// Names of folders that a program keeps the same somewhere else.
const SYNCED: [&str; 14] = [
    "dropbox",
    "onedrive",
    "google drive",
    "googledrive",
    "my drive",
    "icloud drive",
    "icloudrive",
    "mobile documents",
    "nextcloud",
    "owncloud",
    "pcloud",
    "box sync",
    "megasync",
    "seafile",
];

/// Files that such a program leaves in the folder it keeps.
const MARKS: [&str; 4] = [".stfolder", ".dropbox", ".dropbox.cache", ".owncloudsync.log"];

pub(super) fn checks(places: &Places) -> Vec<Check> {
    let mut checks = vec![system(places), sync(&places.dir), disk(&places.dir), vault_place(&places.dir)];
    if let Some(path) = &places.keyfile {
        checks.push(key_place(path, &places.dir));
        checks.push(key_copies(places, path));
    }
    if let Some(path) = &places.anchor {
        checks.push(anchor_place(path, &places.dir));
    }
    checks
}

/// A file system that does not stay, or is elsewhere.
fn system(places: &Places) -> Check {
    let kind = match rustix::fs::statfs(&places.dir) {
        Ok(found) => found.f_type as u32,
        Err(error) => return SYSTEM.unknown(format!("the file system cannot be asked: {error}")),
    };
    match kind {
        TMPFS | RAMFS => SYSTEM
            .finding("the vault is in memory (tmpfs): it is lost when the machine stops")
            .with_try("move the vault to a disk"),
        OVERLAY => SYSTEM
            .warning("the vault is on a container's layer (overlay): it is lost with the container")
            .with_try("keep the vault on a mounted volume"),
        _ => match keeper::datastore::probe::refuse_network(&places.dir) {
            Ok(()) => SYSTEM.ok("local"),
            Err(error) => SYSTEM.finding(error.to_string()).with_try("move the vault to a local disk"),
        },
    }
}

const TMPFS: u32 = 0x0102_1994;
const RAMFS: u32 = 0x8584_58f6;
const OVERLAY: u32 = 0x794c_7630;

fn sync(dir: &Path) -> Check {
    match keeper::datastore::probe::probe(dir) {
        Ok(()) => SYNC.ok("locks exclude, a sync succeeds, memory is shared"),
        Err(error) => SYNC.finding(error.to_string()).with_try("move the vault to a local disk that can be written"),
    }
}

fn disk(dir: &Path) -> Check {
    let free = match rustix::fs::statvfs(dir) {
        Ok(found) => found.f_bavail.saturating_mul(found.f_frsize),
        Err(error) => return DISK.unknown(format!("the disk cannot be asked: {error}")),
    };
    let shown = format!("{} MiB are free", free >> 20);
    if free < LITTLE_BYTES {
        DISK.finding(shown).with_try("make room, or strongroom gc")
    } else if free < SOME_BYTES {
        DISK.warning(shown).with_try("make room, or strongroom gc")
    } else {
        DISK.ok(shown)
    }
}

fn vault_place(dir: &Path) -> Check {
    match synced(dir) {
        Some(folder) => VAULT_PLACE
            .warning(format!("the vault lies in `{}`, which is kept the same elsewhere", folder.display()))
            .with_try("move the vault out of it, and back it up when nothing writes"),
        None => VAULT_PLACE.ok("in no folder that is known to be copied while it changes"),
    }
}

fn key_place(keyfile: &Path, dir: &Path) -> Check {
    let (Ok(real), Ok(vault)) = (std::fs::canonicalize(keyfile), std::fs::canonicalize(dir)) else {
        return KEY_PLACE.unknown(format!("the key file `{}` cannot be found", keyfile.display()));
    };
    let move_it = "move it, and name it with --keyfile PATH or in the configuration";
    if real.starts_with(&vault) {
        return KEY_PLACE.finding("the key file lies inside the vault that it opens").with_try(move_it);
    }
    if let Some(folder) = synced(&real) {
        let what = format!("the key file lies in `{}`, which is copied elsewhere", folder.display());
        return KEY_PLACE.finding(what).with_try(move_it);
    }
    if let Some(tree) = working_tree(&real) {
        let what = format!("the key file lies in the working tree `{}`", tree.display());
        return KEY_PLACE.warning(what).with_try(move_it);
    }
    KEY_PLACE.ok("apart from the vault")
}

/// Looks for files with the key's words at the top of the vault, beside it, in its working tree and in the working folder.
fn key_copies(places: &Places, keyfile: &Path) -> Check {
    let Some(vault) = places.vault else { return KEY_COPIES.unknown("the vault's file cannot be read") };
    let word = format!("strongroom-root-v1 {vault} ");
    let known: Vec<PathBuf> = places
        .keyfiles
        .iter()
        .map(PathBuf::as_path)
        .chain([keyfile])
        .filter_map(|path| std::fs::canonicalize(path).ok())
        .collect();
    let mut folders: Vec<PathBuf> = vec![places.dir.clone(), places.here.clone()];
    let whole = std::path::absolute(&places.dir).unwrap_or_default();
    folders.extend(whole.parent().map(Path::to_owned));
    folders.extend(working_tree(&whole));
    for folder in folders {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten().take(MAX_LOOKED_AT) {
            let path = entry.path();
            let same = std::fs::canonicalize(&path).is_ok_and(|path| known.contains(&path));
            if !same && begins_with(&path, word.as_bytes()) {
                return KEY_COPIES
                    .finding(format!("`{}` is a copy of the key file", path.display()))
                    .with_try(format!("rm '{}', once a copy is kept where only you can read it", path.display()));
            }
        }
    }
    KEY_COPIES.ok("none in the vault, beside it, in its working tree or here")
}

/// The most names that are looked at in one folder.
const MAX_LOOKED_AT: usize = 10_000;

fn begins_with(path: &Path, word: &[u8]) -> bool {
    use std::io::Read as _;
    let is_small = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() < 4_096);
    if !is_small {
        return false;
    }
    let mut start = Vec::with_capacity(word.len());
    let read = std::fs::File::open(path).and_then(|file| file.take(word.len() as u64).read_to_end(&mut start));
    read.is_ok() && start == word
}

fn anchor_place(anchor: &Path, dir: &Path) -> Check {
    let folder = anchor.parent().unwrap_or(Path::new("."));
    let (Ok(real), Ok(vault)) = (std::fs::canonicalize(folder), std::fs::canonicalize(dir)) else {
        return ANCHOR_PLACE.unknown(format!("the anchor's folder `{}` cannot be found", folder.display()));
    };
    if real.starts_with(&vault) {
        return ANCHOR_PLACE
            .finding("the anchor lies inside the vault")
            .with_try("move it, and name it with --anchor PATH or in the configuration");
    }
    let stays = |path: &Path| rustix::fs::stat(path).map(|stat| stat.st_dev);
    let (Ok(one), Ok(two)) = (stays(&real), stays(&vault)) else {
        return ANCHOR_PLACE.unknown("its file system cannot be asked");
    };
    let away = ["/media", "/mnt", "/run/media", "/Volumes"].iter().any(|mounts| vault.starts_with(mounts));
    if one == two && away {
        return ANCHOR_PLACE
            .warning("anchor and vault lie on the same removable disk")
            .with_try("keep the anchor on this machine: --anchor PATH");
    }
    ANCHOR_PLACE.ok("outside the vault")
}

/// The folder above that is copied elsewhere as it changes.
fn synced(path: &Path) -> Option<PathBuf> {
    let whole = std::fs::canonicalize(path).or_else(|_| std::path::absolute(path)).ok()?;
    let is_synced = |folder: &&Path| {
        let name = folder.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let named = SYNCED.iter().any(|known| name == *known || name.starts_with(&format!("{known} ")));
        named || name.starts_with("onedrive -") || MARKS.iter().any(|mark| folder.join(mark).exists())
    };
    whole.ancestors().find(is_synced).map(Path::to_owned)
}

/// The working tree that a path lies in.
fn working_tree(path: &Path) -> Option<PathBuf> {
    path.ancestors().skip(1).find(|folder| folder.join(".git").exists()).map(Path::to_owned)
}
