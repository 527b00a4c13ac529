//! What a killed `get` left beside a destination: told from what lives by a lock, and removed.
//!
//! Whoever stages something holds an exclusive lock on it until it is shown. The kernel lets go of the lock when the process ends,
//! however it ends. Whoever sweeps holds it too, from the look at what lies there until that is removed; and no name is given to
//! something new after it was seen, so that what is removed is what was looked at. Nothing here follows a link, and nothing of another
//! user is touched.

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::{Errno, Result};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How names of stagings begin; 16 hexadecimal digits follow.
pub(super) const PREFIX: &[u8] = b".strongroom-staging-";
const DIGITS: usize = 16;

/// Whether a staging that was just made stays its maker's: a sweep may have found it before it was locked. Where the file system has
/// no locks nobody sweeps.
pub(crate) fn hold(parent: BorrowedFd<'_>, name: &[u8], made: BorrowedFd<'_>) -> Result<bool> {
    match lock(made) {
        Err(Errno::WOULDBLOCK) => Ok(false),
        Ok(()) | Err(_) => is_at(parent, name, made),
    }
}

/// Removes what this user's dead processes left in a folder. What cannot be removed stays for the next one.
pub(super) fn sweep(parent: BorrowedFd<'_>, user: u32) {
    sweep_after(parent, user, |_| ());
}

/// How many stagings of this user's dead processes lie in a folder; none where others may have named them.
pub(super) fn count(parent: BorrowedFd<'_>, user: u32) -> Result<usize> {
    if !names_are_kept(parent, user) {
        return Ok(0);
    }
    let names = Dir::read_from(parent)?.flatten().map(|entry| entry.file_name().to_bytes().to_vec());
    Ok(names.filter(|name| is_staging(name) && matches!(dead(parent, name, user), Ok(Some(_)))).count())
}

/// The same, with something that happens between the look at something dead and its removal.
pub(super) fn sweep_after(parent: BorrowedFd<'_>, user: u32, mut meanwhile: impl FnMut(&[u8])) {
    if !names_are_kept(parent, user) {
        return;
    }
    let Ok(listing) = Dir::read_from(parent) else { return };
    for entry in listing.flatten() {
        let name = entry.file_name().to_bytes();
        if !is_staging(name) {
            continue;
        }
        if let Ok(Some(locked)) = dead(parent, name, user) {
            meanwhile(name);
            let _ = discard(parent, name);
            drop(locked);
        }
    }
}

/// Whether nobody else can give what is this user's another name here: else a folder of theirs that somebody named like a staging
/// would be removed for one.
pub(crate) fn names_are_kept(parent: BorrowedFd<'_>, user: u32) -> bool {
    let Ok(stat) = rustix::fs::fstat(parent) else { return false };
    let mode = Mode::from_raw_mode(stat.st_mode);
    [0, user].contains(&stat.st_uid) && (!mode.intersects(Mode::WGRP | Mode::WOTH) || mode.contains(Mode::SVTX))
}

/// Removes a file, a link, or a folder with all that is in it. Folders may be read-only, so they are opened up first.
pub(crate) fn discard(parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(other) => return Err(other),
    }
    let folder = match rustix::fs::openat(parent, name, FOLDER, Mode::empty()) {
        Err(Errno::ACCESS) => {
            open_up(parent, name)?;
            rustix::fs::openat(parent, name, FOLDER, Mode::empty())?
        }
        // Somebody else removes it too.
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    let _ = rustix::fs::fchmod(&folder, Mode::RWXU);
    for entry in Dir::read_from(&folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            discard(folder.as_fd(), name)?;
        }
    }
    match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Gives its owner every right on a folder that cannot be opened: on the very folder, whatever the name names a moment later.
pub(super) fn open_up(parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    rustix::fs::chmod(super::through_proc(&folder), Mode::RWXU)
}

/// Exactly the names that are drawn for stagings: an old folder that is being replaced may lie beside them under a longer one.
fn is_staging(name: &[u8]) -> bool {
    let digits = name.strip_prefix(PREFIX).unwrap_or_default();
    digits.len() == DIGITS && digits.iter().all(u8::is_ascii_hexdigit)
}

/// What a dead process of this user left under the name, if that is what is there. Its lock is held as long as this is kept.
pub(crate) fn dead(parent: BorrowedFd<'_>, name: &[u8], user: u32) -> Result<Option<OwnedFd>> {
    let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let more = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => OFlags::DIRECTORY,
        FileType::RegularFile => OFlags::NONBLOCK,
        _ => return Ok(None),
    };
    if stat.st_uid != user {
        return Ok(None);
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | more;
    let found = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    lock(found.as_fd())?;
    let left = rustix::fs::fstat(&found)?.st_uid == user && is_at(parent, name, found.as_fd())?;
    Ok(left.then_some(found))
}

/// Says that somebody lives who needs it.
pub(super) fn lock(fd: BorrowedFd<'_>) -> Result<()> {
    rustix::fs::flock(fd, FlockOperation::NonBlockingLockExclusive)
}

/// Whether this is what the name names.
pub(crate) fn is_at(parent: BorrowedFd<'_>, name: &[u8], fd: BorrowedFd<'_>) -> Result<bool> {
    let here = rustix::fs::fstat(fd)?;
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(there) => Ok((here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)),
        Err(Errno::NOENT) => Ok(false),
        Err(other) => Err(other),
    }
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
