//! What a killed `get` left beside a destination: told from what lives by a lock, and removed.
//!
//! Whoever stages something holds an exclusive lock on it until it is shown. The kernel lets go of the lock when the process ends,
//! however it ends. Nothing here follows a link, and nothing of another user is touched.

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::{Errno, Result};
use std::os::fd::{AsFd, BorrowedFd};

/// How names of stagings begin; 16 hexadecimal digits follow.
pub(super) const PREFIX: &[u8] = b".strongroom-staging-";
const DIGITS: usize = 16;

/// Whether a staging that was just made stays its maker's: a sweep may have found it before it was locked. Where the file system has
/// no locks nobody sweeps.
pub(super) fn hold(parent: BorrowedFd<'_>, name: &[u8], made: BorrowedFd<'_>) -> Result<bool> {
    match lock(made) {
        Err(Errno::WOULDBLOCK) => Ok(false),
        Ok(()) | Err(_) => is_at(parent, name, made),
    }
}

/// Removes what this user's dead processes left in a folder. What cannot be removed stays for the next one.
pub(super) fn sweep(parent: BorrowedFd<'_>, user: u32) {
    let Ok(listing) = Dir::read_from(parent) else { return };
    for entry in listing.flatten() {
        let name = entry.file_name().to_bytes();
        if is_staging(name) && is_dead(parent, name, user).unwrap_or(false) {
            let _ = discard(parent, name);
        }
    }
}

/// Removes a file, a link, or a folder with all that is in it. Folders may be read-only, so they are opened up first.
pub(super) fn discard(parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(other) => return Err(other),
    }
    let folder = match rustix::fs::openat(parent, name, FOLDER, Mode::empty()) {
        Err(Errno::ACCESS) => {
            rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
            rustix::fs::openat(parent, name, FOLDER, Mode::empty())?
        }
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

/// Exactly the names that are drawn for stagings: an old folder that is being replaced may lie beside them under a longer one.
fn is_staging(name: &[u8]) -> bool {
    let digits = name.strip_prefix(PREFIX).unwrap_or_default();
    digits.len() == DIGITS && digits.iter().all(u8::is_ascii_hexdigit)
}

fn is_dead(parent: BorrowedFd<'_>, name: &[u8], user: u32) -> Result<bool> {
    let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let more = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => OFlags::DIRECTORY,
        FileType::RegularFile => OFlags::NONBLOCK,
        _ => return Ok(false),
    };
    if stat.st_uid != user {
        return Ok(false);
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | more;
    let found = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    lock(found.as_fd())?;
    Ok(rustix::fs::fstat(&found)?.st_uid == user && is_at(parent, name, found.as_fd())?)
}

/// Says that somebody lives who needs it.
pub(super) fn lock(fd: BorrowedFd<'_>) -> Result<()> {
    rustix::fs::flock(fd, FlockOperation::NonBlockingLockExclusive)
}

/// Whether this is what the name names.
pub(super) fn is_at(parent: BorrowedFd<'_>, name: &[u8], fd: BorrowedFd<'_>) -> Result<bool> {
    let here = rustix::fs::fstat(fd)?;
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(there) => Ok((here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)),
        Err(Errno::NOENT) => Ok(false),
        Err(other) => Err(other),
    }
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
