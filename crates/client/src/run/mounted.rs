//! File systems in a namespace of one's own.

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use std::ffi::CString;
use std::io::{Error, Result};
use std::path::Path;

/// `f_type` of a file system in memory (`linux/magic.h`).
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// Large pages where a file fills them, and never to swap: from the best to what every kernel takes.
const WISHES: [&str; 4] = [",huge=within_size,noswap", ",noswap", ",huge=within_size", ""];

/// Nothing that is mounted from here on shows outside.
pub(super) fn private() -> Result<()> {
    Ok(mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?)
}

/// A file system in memory over an empty folder, and its root.
pub(super) fn in_memory(at: &Path, size_bytes: u64) -> Result<OwnedFd> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    let mut refused = Error::other("no options");
    for wish in WISHES {
        let options = CString::new(format!("mode=0700,size={size_bytes}{wish}"))?;
        match mount("strongroom", at, "tmpfs", flags, options.as_c_str()) {
            Ok(()) => return root(at),
            Err(errno) => refused = errno.into(),
        }
    }
    Err(refused)
}

/// The processes of this namespace.
pub(super) fn proc() -> Result<()> {
    Ok(mount("proc", "/proc", "proc", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, None)?)
}

/// Opens a folder, if what is there lies in memory.
///
/// # Errors
/// If it does not, whatever was said of it.
pub(super) fn root(at: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = rustix::fs::open(at, flags, Mode::empty())?;
    if is_in_memory(&root)? {
        Ok(root)
    } else {
        Err(Error::other(format!("`{}` does not lie in memory", at.display())))
    }
}

/// Whether an open file or folder lies in memory.
pub(crate) fn is_in_memory(file: impl rustix::fd::AsFd) -> Result<bool> {
    // Its type differs between machines.
    let kind = rustix::fs::fstatfs(file)?.f_type as u64;
    Ok(kind == TMPFS_MAGIC)
}
