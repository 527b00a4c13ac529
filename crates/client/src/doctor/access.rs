//! Who can read and change what opens a vault and what proves it.

use super::{Check, Mend, Places, Unit};
use rustix::fs::{FileType, Mode, Stat};
use std::path::{Path, PathBuf};

const FOLDER: Unit = Unit::new("vault-folder", "who can read the database sees who works with what, and when");
const DATABASE: Unit = Unit::new("database", "who can write it can break the vault, if nothing worse");
const KEYFILE: Unit = Unit::new("key-file", "whoever reads it opens the vault");
const ANCHOR: Unit = Unit::new("anchor", "whoever replaces it can pass off an older copy of the vault");
const CONFIG: Unit = Unit::new("configuration", "it says which key file, anchor and principal are used");
const PASSPHRASE: Unit = Unit::new("passphrase-file", "whoever reads it opens the vault");
const PARENTS: Unit =
    Unit::new("parents", "who can write to a folder can put another thing in the place of what is in it");

/// Permission bits of others.
const OTHERS: u32 = 0o077;
const OTHERS_WRITE: u32 = 0o022;

pub(super) fn checks(places: &Places) -> Vec<Check> {
    let user = rustix::process::geteuid().as_raw();
    let mut checks = vec![
        kept(&FOLDER, &places.dir, user, OTHERS, "the vault folder"),
        database(&places.dir, user),
        parents(places, user),
    ];
    if let Some(path) = &places.keyfile {
        checks.push(kept(&KEYFILE, path, user, OTHERS, "the key file"));
    }
    if let Some(path) = &places.anchor {
        checks.push(anchor(path, user));
    }
    match &places.config {
        Some(path) if path.exists() => {
            checks.push(kept(&CONFIG, path, user, OTHERS_WRITE, "the configuration"));
        }
        _ => checks.push(CONFIG.ok("there is none")),
    }
    if let Some(path) = &places.passphrase_file {
        checks.push(kept(&PASSPHRASE, path, user, OTHERS, "the passphrase file"));
    }
    checks
}

/// Whether something is this user's, with none of these bits.
fn kept(unit: &Unit, path: &Path, user: u32, forbidden: u32, name: &str) -> Check {
    let shown = path.display();
    let stat = match looked_at(path) {
        Ok(stat) => stat,
        Err(error) => return unit.unknown(format!("{name} `{shown}` cannot be looked at: {error}")),
    };
    if stat.st_uid != user {
        let hint = format!("sudo chown {user} '{shown}'");
        return unit.finding(format!("{name} `{shown}` is of user {}", stat.st_uid)).with_try(hint);
    }
    let mode = stat.st_mode & 0o7777;
    if mode & forbidden == 0 {
        return unit.ok(format!("{name} is for its owner ({mode:03o})"));
    }
    let can = if mode & forbidden & 0o022 != 0 { "written" } else { "read" };
    let to = mode & !forbidden & 0o7777;
    unit.finding(format!("{name} `{shown}` can be {can} by others ({mode:03o})"))
        .with_try(format!("chmod {to:03o} '{shown}'"))
        .mended_by(Mend::Permissions { path: path.to_owned(), mode: to })
}

/// The link itself is nobody's secret: what it leads to counts.
fn looked_at(path: &Path) -> std::io::Result<Stat> {
    Ok(rustix::fs::stat(path)?)
}

/// The files in the vault folder: readable by others they are behind the folder only, writable by others never.
fn database(dir: &Path, user: u32) -> Check {
    let open = looked_at(dir).is_ok_and(|stat| stat.st_mode & OTHERS != 0);
    let forbidden = if open { OTHERS } else { OTHERS_WRITE };
    let names = ["keeper.db", "keeper.db-wal", "keeper.db-shm", "vault.json", "log", "depot"];
    let there = names.iter().map(|name| dir.join(name)).filter(|path| path.exists());
    let checks: Vec<Check> = there.map(|path| kept(&DATABASE, &path, user, forbidden, "the vault's")).collect();
    let worst = checks.into_iter().max_by_key(|check| check.state);
    worst.map_or_else(
        || DATABASE.unknown(format!("there is no database in `{}`", dir.display())),
        |check| if check.state == super::State::Ok { DATABASE.ok("for its owner") } else { check },
    )
}

fn anchor(path: &Path, user: u32) -> Check {
    if path.exists() {
        return kept(&ANCHOR, path, user, OTHERS_WRITE, "the anchor");
    }
    ANCHOR
        .warning(format!("there is no anchor at `{}`", path.display()))
        .with_try("strongroom audit verify --new-anchor, if this is the newest copy of the vault")
}

/// Every folder above what matters: of this user or of root, and writable by nobody else unless it keeps owners apart.
fn parents(places: &Places, user: u32) -> Check {
    let named = [Some(&places.dir), places.keyfile.as_ref(), places.anchor.as_ref(), places.config.as_ref()];
    let mut seen: Vec<PathBuf> = Vec::new();
    for path in named.into_iter().flatten() {
        let Ok(path) = std::path::absolute(path) else { continue };
        for parent in path.ancestors().skip(1).filter(|parent| parent.is_dir()) {
            if seen.iter().any(|known| known == parent) {
                continue;
            }
            seen.push(parent.to_owned());
            let Ok(stat) = looked_at(parent) else { continue };
            if let Some(found) = open_parent(parent, &stat, user) {
                return found;
            }
        }
    }
    PARENTS.ok(format!("{} folders above are for their owners to write", seen.len()))
}

fn open_parent(parent: &Path, stat: &Stat, user: u32) -> Option<Check> {
    let mode = Mode::from_raw_mode(stat.st_mode);
    let shown = parent.display();
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return None;
    }
    if ![0, user].contains(&stat.st_uid) {
        let what = format!("the folder `{shown}` is of user {}, who can replace what is in it", stat.st_uid);
        return Some(
            PARENTS.finding(what).with_try("move the vault, its key file and its anchor to a folder of yours"),
        );
    }
    let shared = mode.intersects(Mode::WOTH) || (mode.intersects(Mode::WGRP) && stat.st_gid != user);
    if !shared || mode.contains(Mode::SVTX) {
        return None;
    }
    let found = PARENTS.finding(format!("others can write to the folder `{shown}` ({:03o})", stat.st_mode & 0o7777));
    let to = stat.st_mode & 0o7777 & !OTHERS_WRITE;
    let found = found.with_try(format!("chmod {to:03o} '{shown}'"));
    // A folder that somebody shares on purpose is theirs to change.
    Some(found)
}
