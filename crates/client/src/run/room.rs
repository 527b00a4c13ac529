//! The room of a run: a folder in memory that holds everything its command sees, and the process that leads to it.

use super::link::{Link, Message};
use super::{descendants, mounted};
use crate::dest::stale;
use api::terms::{Code, RunId};
use api::wire::Problem;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Dir, Mode, OFlags};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where a run keeps what its command sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file system in memory that only the run's processes see.
    Namespace,
    /// A folder of this user's on a file system in memory.
    Folder,
}

impl Kind {
    /// Its name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Folder => "folder",
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Namespace, Self::Folder].into_iter().find(|kind| kind.word() == text).ok_or(())
    }
}

/// The variable that tells a run's processes.
pub(super) const MARK: &str = "STRONGROOM_RUN";
/// How the folders of rooms begin; the run's id follows.
const PREFIX: &str = "run-";
/// The same where other users have folders too.
const SHARED_PREFIX: &str = "strongroom-run-";

/// What a room is made for.
pub(super) struct Plan<'a> {
    pub(super) run: RunId,
    /// The vault's folder for what can be lost.
    pub(super) scratch: &'a Path,
    pub(super) size_bytes: u64,
    /// The program that holds [`super::inside`].
    pub(super) helper: &'a Path,
    pub(super) command: &'a [OsString],
}

/// A room, with its command not started yet.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) kind: Kind,
    /// The folder in memory.
    pub(super) root: OwnedFd,
    pub(super) link: Link,
    maker: Child,
    place: Place,
}

/// The folder on the outside: in it, or over it, the room is.
#[derive(Debug)]
struct Place {
    parent: OwnedFd,
    name: Vec<u8>,
    path: PathBuf,
    /// Locked as long as the run lives.
    folder: OwnedFd,
}

/// A place that is ready for a room, so that the command's environment can name it.
#[derive(Debug)]
pub(super) struct Ready {
    kind: Kind,
    place: Place,
}

impl Ready {
    /// Where the command will see the room.
    pub(super) fn path(&self) -> &Path {
        &self.place.path
    }

    /// Looks for a place of this kind.
    pub(super) fn find(kind: Kind, plan: &Plan<'_>) -> std::io::Result<Self> {
        let place = match kind {
            Kind::Namespace => {
                private_folder(plan.scratch)?;
                Place::make(plan.scratch, format!("{PREFIX}{}", plan.run).into_bytes())?
            }
            Kind::Folder => {
                let name = format!("{SHARED_PREFIX}{}", plan.run).into_bytes();
                let mut refused = std::io::Error::other("there is no file system in memory");
                let mut found = None;
                for base in in_memory() {
                    match Place::make(&base, name.clone()) {
                        Ok(place) if mounted::is_in_memory(&place.folder).unwrap_or(false) => {
                            found = Some(place);
                            break;
                        }
                        Ok(place) => place.remove(),
                        Err(why) => refused = why,
                    }
                }
                found.ok_or(refused)?
            }
        };
        Ok(Self { kind, place })
    }

    /// Makes the room, by a process that will lead to the command.
    pub(super) fn make(self, plan: &Plan<'_>, environment: &[(OsString, OsString)]) -> Result<Room, (String, Self)> {
        match self.started(plan, environment) {
            Ok((link, maker, root)) => Ok(Room { kind: self.kind, root, link, maker, place: self.place }),
            Err(why) => Err((why, self)),
        }
    }

    fn started(&self, plan: &Plan<'_>, environment: &[(OsString, OsString)]) -> Result<(Link, Child, OwnedFd), String> {
        let told = |e: std::io::Error| e.to_string();
        if self.kind == Kind::Folder {
            rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(|e| told(e.into()))?;
        }
        let (link, theirs) = Link::pair().map_err(told)?;
        let mut command = Command::new(plan.helper);
        command.args(["run-inside", "maker", self.kind.word()]).arg(self.path()).arg(plan.size_bytes.to_string());
        command.arg("--").args(plan.command).envs(environment.iter().cloned()).stdin(Stdio::from(theirs));
        let mut maker = command.spawn().map_err(told)?;
        drop(command);
        let answer = link.receive().map_err(told);
        let failed = match answer {
            Ok(Some((Message::Room, root))) => match self.root(root) {
                Ok(root) => return Ok((link, maker, root)),
                Err(why) => told(why),
            },
            Ok(Some((Message::NoRoom(why), _))) => why,
            Ok(_) => "the process that makes it ended".to_owned(),
            Err(why) => why,
        };
        let _ = maker.kill();
        let _ = maker.wait();
        Err(failed)
    }

    /// The folder in memory, which must lie there whoever made it.
    fn root(&self, along: Option<OwnedFd>) -> std::io::Result<OwnedFd> {
        let root = match (self.kind, along) {
            (Kind::Namespace, Some(root)) => root,
            (Kind::Folder, None) => self.place.folder.try_clone()?,
            _ => return Err(std::io::Error::other("it came without its folder")),
        };
        let outside = rustix::fs::fstat(&self.place.folder)?;
        let inside = rustix::fs::fstat(&root)?;
        let covered = (outside.st_dev, outside.st_ino) != (inside.st_dev, inside.st_ino);
        if !mounted::is_in_memory(&root)? || covered != (self.kind == Kind::Namespace) {
            return Err(std::io::Error::other("it does not lie in memory"));
        }
        Ok(root)
    }

    /// Gives the place up.
    pub(super) fn discard(self) {
        self.place.remove();
    }
}

impl Room {
    /// A new folder in the room, with those above it.
    pub(super) fn folder(&self, path: &str) -> std::io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut at = self.root.try_clone()?;
        for part in path.split('/') {
            match rustix::fs::mkdirat(&at, part, Mode::RWXU) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(other) => return Err(other.into()),
            }
            at = rustix::fs::openat(&at, part, flags, Mode::empty())?;
        }
        Ok(at)
    }

    /// Waits until nothing of the command is left.
    pub(super) fn ended(&mut self) {
        let _ = self.maker.wait();
        if self.kind == Kind::Folder {
            descendants::end_all();
        }
    }
}

impl Drop for Room {
    /// Ends what runs, and wipes. In a namespace the kernel does, when the last descriptor goes.
    fn drop(&mut self) {
        let _ = self.link.send(&Message::Kill, None);
        self.ended();
        self.place.remove();
    }
}

impl Place {
    fn make(base: &Path, name: Vec<u8>) -> std::io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = rustix::fs::open(base, flags, Mode::empty())?;
        rustix::fs::mkdirat(&parent, &*name, Mode::RWXU)?;
        let folder = rustix::fs::openat(&parent, &*name, flags | OFlags::NOFOLLOW, Mode::empty())?;
        if !stale::hold(parent.as_fd(), &name, folder.as_fd())? {
            return Err(std::io::Error::other("another process took it away"));
        }
        let path = std::path::absolute(base)?.join(crate::source::as_path(&name));
        Ok(Self { parent, name, path, folder })
    }

    fn remove(&self) {
        if stale::is_at(self.parent.as_fd(), &self.name, self.folder.as_fd()) == Ok(true) {
            let _ = stale::discard(self.parent.as_fd(), &self.name);
        }
    }
}

/// Removes what is left in a room that is a folder; for a process of a run whose own end is gone.
pub(super) fn wipe(room: &Path) {
    let (Some(base), Some(name)) = (room.parent(), room.file_name()) else { return };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if let Ok(parent) = rustix::fs::open(base, flags, Mode::empty()) {
        let _ = stale::discard(parent.as_fd(), name.as_bytes());
    }
}

/// Removes what runs left that were killed: the folders that rooms were mounted over, and rooms that were folders, with whatever
/// processes still hold on to them.
pub(crate) fn sweep(scratch: &Path) {
    swept(scratch, PREFIX);
    for base in in_memory() {
        swept(&base, SHARED_PREFIX);
    }
}

fn swept(base: &Path, prefix: &str) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(parent) = rustix::fs::open(base, flags, Mode::empty()) else { return };
    let user = rustix::process::geteuid().as_raw();
    if !stale::names_are_kept(parent.as_fd(), user) {
        return;
    }
    let Ok(listing) = Dir::read_from(&parent) else { return };
    for entry in listing.flatten() {
        let name = entry.file_name().to_bytes();
        let Some(run) = name.strip_prefix(prefix.as_bytes()).filter(|id| id.len() == 32) else { continue };
        if let Ok(Some(locked)) = stale::dead(parent.as_fd(), name, user) {
            forget(parent.as_fd(), name, run);
            drop(locked);
        }
    }
}

fn forget(parent: BorrowedFd<'_>, name: &[u8], run: &[u8]) {
    for process in descendants::marked(&[MARK.as_bytes(), b"=", run].concat()) {
        let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
    }
    let _ = stale::discard(parent, name);
}

/// File systems in memory that this user may have a folder on.
fn in_memory() -> impl Iterator<Item = PathBuf> {
    let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    own.into_iter().chain([PathBuf::from("/dev/shm")])
}

fn private_folder(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// No room in memory.
pub(super) fn refused(why: &str) -> Problem {
    let what = "cannot keep the inputs in memory";
    Problem::new(Code::Unsupported, what, why)
        .with_try("a machine with user namespaces or a file system in memory at /dev/shm")
}
