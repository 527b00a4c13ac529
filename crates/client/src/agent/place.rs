//! Where an agent's socket lies: `$XDG_RUNTIME_DIR/strongroom/<vault id>.sock`, else the same in `/tmp/strongroom-<user id>/`. The
//! folder must be its user's own and nobody else's, and is opened once; everything in it is then named through the open folder, so
//! that nobody puts another one in its place, and no path is too long for a socket.
//!
//! An agent holds the lock beside the socket for as long as it lives: a socket whose lock is free is of an agent that is gone.

use crate::system;
use api::terms::{Code, VaultId};
use api::wire::Problem;
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use rustix::process::{Pid, PidfdFlags, Signal, geteuid, getpid, pidfd_open, pidfd_send_signal};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const PRIVATE: Mode = Mode::RWXU;
/// How long a new agent waits for one that is ending.
const ENDING: Duration = Duration::from_secs(12);

/// Where the agent of one vault is found.
#[derive(Debug, Clone)]
pub struct Place {
    folder: PathBuf,
    vault: VaultId,
}

/// The folder, opened and found to be ours alone.
#[derive(Debug)]
pub(super) struct Private(OwnedFd);

/// The lock of a living agent.
#[derive(Debug)]
pub(super) struct Held {
    folder: Private,
    _lock: OwnedFd,
    vault: VaultId,
}

impl Place {
    /// In a user's folder for what runs, if that is theirs alone, else in one of their own for everything temporary.
    pub fn new(runtime: Option<&Path>, vault: VaultId) -> Self {
        let own = runtime.filter(|dir| dir.is_absolute()).filter(|dir| private(dir).is_ok());
        let folder = match own {
            Some(dir) => dir.join("strongroom"),
            None => PathBuf::from(format!("/tmp/strongroom-{}", geteuid().as_raw())),
        };
        Self { folder, vault }
    }

    /// In a folder that is given, for tests of what may lie there.
    pub fn within(folder: PathBuf, vault: VaultId) -> Self {
        Self { folder, vault }
    }

    /// The socket's path, for people.
    pub fn socket(&self) -> PathBuf {
        self.folder.join(socket_name(self.vault))
    }

    /// Its folder and its vault.
    pub(super) fn parts(&self) -> (PathBuf, VaultId) {
        (self.folder.clone(), self.vault)
    }

    /// Waits a moment for an agent to come or to go.
    pub(super) fn wait_changed(&self) {
        std::thread::sleep(Duration::from_millis(5));
    }

    pub(super) fn vault(&self) -> VaultId {
        self.vault
    }

    /// Connects to the agent, if there is one. What an agent that is gone left behind is removed.
    ///
    /// # Errors
    /// `bad-session` for a socket that another user serves; `conflict` for something in its place that is no socket of ours; `busy`.
    pub(super) fn connect(&self) -> Result<Option<(UnixStream, u32)>, Problem> {
        // A folder that is not ours holds no agent of ours; whoever planted it keeps no command from opening the vault itself.
        let Ok(folder) = private(&self.folder) else { return Ok(None) };
        let name = socket_name(self.vault);
        match rustix::fs::statat(&folder.0, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(self.failed("cannot look for the agent", error)),
            Ok(found) => {
                let is_socket = FileType::from_raw_mode(found.st_mode) == FileType::Socket;
                if !is_socket || found.st_uid != geteuid().as_raw() {
                    let why = format!("`{}` is no socket of this user", self.socket().display());
                    return Err(Problem::new(Code::Conflict, "the agent cannot be trusted", why)
                        .with_try("remove it, then strongroom unlock"));
                }
            }
        }
        let socket = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        );
        let socket = socket.map_err(|error| self.failed("cannot make a socket", error))?;
        let address =
            SocketAddrUnix::new(folder.path(&name)).map_err(|error| self.failed("cannot name the socket", error))?;
        match rustix::net::connect(&socket, &address) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::CONNREFUSED) => {
                self.sweep(&folder);
                return Ok(None);
            }
            Err(Errno::AGAIN) => {
                return Err(Problem::new(Code::Busy, "the agent does not answer", "too many connections wait for it")
                    .with_try("strongroom lock, then the command again"));
            }
            Err(error) => return Err(self.failed("cannot reach the agent", error)),
        }
        let pid = peer(&socket).map_err(|why| Problem::new(Code::BadSession, "the agent cannot be trusted", why))?;
        let stream = UnixStream::from(socket);
        stream.set_nonblocking(false).map_err(|error| crate::fault::io("cannot use", &self.socket(), &error))?;
        Ok(Some((stream, pid)))
    }

    /// Removes the socket of an agent that is gone. One that begins meanwhile holds the lock, and is left alone.
    fn sweep(&self, folder: &Private) {
        if let Ok(lock) = folder.lock_file(self.vault)
            && rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok()
        {
            let _ = rustix::fs::unlinkat(&folder.0, socket_name(self.vault), AtFlags::empty());
        }
    }

    /// Whether an agent lives, or is about to. Whoever only looks is in nobody's way who looks too.
    pub(super) fn is_held(&self) -> bool {
        self.left().is_some_and(|lock| rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared).is_err())
    }

    /// The lock of an agent that lives or lived.
    fn left(&self) -> Option<OwnedFd> {
        let folder = private(&self.folder).ok()?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&folder.0, format!("{}.lock", self.vault), flags, Mode::empty()).ok()
    }

    /// Takes the place for a new agent; none if a living one has it.
    ///
    /// # Errors
    /// `unavailable` when the folder cannot be made, or is not this user's alone.
    pub(super) fn claim(&self) -> Result<Option<Held>, Problem> {
        match rustix::fs::mkdir(&self.folder, PRIVATE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(self.failed("cannot make the agent's folder", error)),
        }
        let folder = private(&self.folder).map_err(|why| {
            let why = format!("`{}` {why}", self.folder.display());
            Problem::new(Code::Unavailable, "the agent has no safe place", why).with_try(
                "XDG_RUNTIME_DIR=DIR strongroom unlock, DIR being a folder of yours that nobody else can enter",
            )
        })?;
        let lock = folder.lock_file(self.vault).map_err(|error| self.failed("cannot lock the agent's place", error))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                let own = getpid();
                let born = system::born(own).unwrap_or_default();
                rustix::io::pwrite(&lock, format!("{own} {born}\n").as_bytes(), 0)
                    .map_err(|error| self.failed("cannot write the agent's lock", error))?;
                Ok(Some(Held { folder, _lock: lock, vault: self.vault }))
            }
            Err(Errno::AGAIN) => Ok(None),
            Err(error) => Err(self.failed("cannot lock the agent's place", error)),
        }
    }

    /// Ends the agent that holds the lock, by the process that it wrote into it.
    ///
    /// # Errors
    /// When that cannot be done.
    pub(super) fn kill(&self) -> Result<(), Problem> {
        let Some((process, born)) = self.left().and_then(|lock| holder(&lock)) else { return Ok(()) };
        if process == getpid() {
            return Err(Problem::new(Code::Conflict, "cannot end the agent", "it is this very process"));
        }
        let ended = pidfd_open(process, PidfdFlags::empty()).and_then(|opened| {
            // Another process may have its number by now, and the lock another holder.
            let is_it = self.is_held() && system::born(process) == Some(born);
            if is_it { pidfd_send_signal(opened, Signal::KILL) } else { Ok(()) }
        });
        match ended {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(self.failed("cannot end the agent", error)),
        }
    }

    /// Waits until no agent has the place.
    pub(super) fn wait_free(&self) -> bool {
        let began = Instant::now();
        while self.is_held() {
            if began.elapsed() > ENDING {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    fn failed(&self, what: &str, error: Errno) -> Problem {
        crate::fault::io(what, &self.socket(), &std::io::Error::from(error))
    }
}

impl Held {
    /// Binds the socket: under another name first, so that nobody meets one that does not listen yet.
    pub(super) fn listen(&self) -> std::io::Result<UnixListener> {
        let (name, new) = (socket_name(self.vault), format!("{}.new", self.vault));
        let _ = rustix::fs::unlinkat(&self.folder.0, &new, AtFlags::empty());
        let listener = UnixListener::bind(self.folder.path(&new))?;
        rustix::fs::chmodat(&self.folder.0, &new, Mode::RUSR | Mode::WUSR, AtFlags::empty())?;
        rustix::fs::renameat(&self.folder.0, &new, &self.folder.0, &name)?;
        Ok(listener)
    }

    /// Removes the socket.
    pub(super) fn leave(&self) {
        let _ = rustix::fs::unlinkat(&self.folder.0, socket_name(self.vault), AtFlags::empty());
    }
}

impl Private {
    /// The path of something in the open folder.
    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.0.as_raw_fd()))
    }

    fn lock_file(&self, vault: VaultId) -> Result<OwnedFd, Errno> {
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.0, format!("{vault}.lock"), flags, Mode::RUSR | Mode::WUSR)
    }
}

/// Which process wrote into a lock, and when that was born.
fn holder(lock: &OwnedFd) -> Option<(Pid, u64)> {
    let mut text = [0; 64];
    let len = rustix::io::pread(lock, &mut text, 0).ok()?;
    let line = std::str::from_utf8(text.get(..len)?).ok()?.lines().next()?;
    let (pid, born) = line.split_once(' ')?;
    Some((Pid::from_raw(pid.parse().ok()?)?, born.parse().ok()?))
}

fn socket_name(vault: VaultId) -> String {
    format!("{vault}.sock")
}

/// Opens a folder that must be this user's own, with no right for anybody else, and no link.
fn private(path: &Path) -> Result<Private, String> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
        Errno::LOOP | Errno::NOTDIR => "is a link or no folder".to_owned(),
        other => format!("cannot be opened: {other}"),
    })?;
    let found = rustix::fs::fstat(&folder).map_err(|error| format!("cannot be looked at: {error}"))?;
    if found.st_uid != geteuid().as_raw() {
        return Err(format!("belongs to user {}, not to {}", found.st_uid, geteuid().as_raw()));
    }
    if found.st_mode & 0o077 != 0 {
        return Err(format!("can be entered by others (mode {:03o})", found.st_mode & 0o777));
    }
    Ok(Private(folder))
}

/// The process at the other end of a connection, which must be this user's.
pub(super) fn peer(socket: &impl AsFd) -> Result<u32, String> {
    let other = sockopt::socket_peercred(socket).map_err(|error| format!("the other end is not known: {error}"))?;
    let (theirs, ours) = (other.uid.as_raw(), geteuid().as_raw());
    if theirs != ours {
        return Err(format!("the other end runs as user {theirs}, this one as {ours}"));
    }
    Ok(other.pid.as_raw_nonzero().get().unsigned_abs())
}
