//! The processes around a run's command: one that makes the room, and one that starts the command and outlives nothing of it.
//!
//! With namespaces there are two. The *maker* gets a mount and a process namespace, mounts a file system in memory where the run says,
//! and hands its descriptor over. The *first process* of the new namespace starts the command; when it ends, the kernel ends everything
//! in there, also what forked away. Each dies with its parent, so that a run that is killed leaves nothing behind. Without namespaces
//! the maker is the first process: what forks away becomes its child, and is ended with the command.

use super::link::{Link, Message};
use super::room::{self, Kind};
use super::{descendants, mounted};
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus};
use rustix::thread::UnshareFlags;
use std::ffi::OsString;
use std::io::{Error, Result};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Which of the processes this is, and what it needs to know.
#[derive(Debug)]
pub struct Inside {
    /// `maker` or `first`.
    pub part: String,
    /// `namespace` or `folder`.
    pub kind: String,
    /// Where the room is.
    pub room: PathBuf,
    /// The most bytes in it.
    pub size_bytes: u64,
    /// The command.
    pub command: Vec<OsString>,
}

/// Signals that a terminal or a caller sends to the whole group; what comes of them is the command's affair.
const SPARED: [i32; 6] = [
    signal_hook::consts::SIGINT,
    signal_hook::consts::SIGQUIT,
    signal_hook::consts::SIGTERM,
    signal_hook::consts::SIGHUP,
    signal_hook::consts::SIGUSR1,
    signal_hook::consts::SIGUSR2,
];

/// The exit code of what was ended from outside, as shells tell it.
const KILLED: u8 = 128 + 9;

/// Is such a process; answers its exit code.
pub fn inside(inside: &Inside) -> u8 {
    let Ok(link) = Link::of_stdin() else { return 1 };
    let kind = inside.kind.parse::<Kind>();
    let done = match (inside.part.as_str(), kind) {
        ("maker", Ok(Kind::Namespace)) => make_namespace(link, inside),
        ("maker", Ok(Kind::Folder)) => make_folder(link, inside),
        ("first", Ok(Kind::Namespace)) => first(link, inside, Kind::Namespace),
        _ => Err(Error::other("no part of a run")),
    };
    done.unwrap_or(1)
}

fn make_namespace(link: Link, inside: &Inside) -> Result<u8> {
    die_with_parent()?;
    spare()?;
    let made = enter().and_then(|()| mounted::in_memory(&inside.room, inside.size_bytes));
    match made {
        Ok(root) => link.send(&Message::Room, Some(root.as_fd()))?,
        Err(why) => {
            link.send(&Message::NoRoom(why.to_string()), None)?;
            return Ok(1);
        }
    }
    let mut command = Command::new("/proc/self/exe");
    command.arg("run-inside").args(["first", "namespace"]).arg(&inside.room).arg("0").arg("--").args(&inside.command);
    let first = command.stdin(Stdio::from(link.for_below()?)).spawn();
    let mut first = match first {
        Ok(first) => first,
        Err(why) => {
            link.send(&Message::NotStarted(why.to_string()), None)?;
            return Ok(1);
        }
    };
    // The run sees the end of the link when the first process is gone.
    drop(command);
    drop(link);
    rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    Ok(told(first.wait()?))
}

fn make_folder(link: Link, inside: &Inside) -> Result<u8> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    spare()?;
    link.send(&Message::Room, None)?;
    first(link, inside, Kind::Folder)
}

/// Starts the command when it is told to, and answers for it.
fn first(link: Link, inside: &Inside, kind: Kind) -> Result<u8> {
    if kind == Kind::Namespace {
        die_with_parent()?;
        // So that `/proc` tells of what is in here. Where it may not be mounted, the old one does for most.
        let _ = mounted::proc();
    }
    let Ok(Some((Message::Go, Some(stdin)))) = link.receive() else {
        abandoned(kind, inside);
        return Ok(KILLED);
    };
    rustix::thread::set_no_new_privs(true)?;
    let command = match started(inside, stdin) {
        Ok(command) => command,
        Err(why) => {
            link.send(&Message::NotStarted(why), None)?;
            return Ok(1);
        }
    };
    let handle = rustix::process::pidfd_open(command, PidfdFlags::empty())?;
    let (link, listening) = (Arc::new(link), inside.room.clone());
    let heard = Arc::clone(&link);
    std::thread::spawn(move || {
        listen(&heard, &handle);
        if kind == Kind::Folder {
            descendants::end_all();
            room::wipe(&listening);
        }
        std::process::exit(i32::from(KILLED));
    });
    let status = wait_for(command)?;
    if kind == Kind::Folder {
        descendants::end_all();
    }
    let (message, code) = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => (Message::Exited(narrow(code)), narrow(code)),
        (None, Some(signal)) => (Message::Signalled(narrow(signal)), narrow(signal).wrapping_add(128)),
        (None, None) => (Message::Exited(1), 1),
    };
    link.send(&message, None)?;
    // A namespace ends with this process, and with it whatever forked away.
    Ok(code)
}

/// Passes signals on until everything is to end: because the run says so, or because it is gone.
fn listen(link: &Link, command: &OwnedFd) {
    while let Ok(Some((message, _))) = link.receive() {
        match message {
            Message::Signal(number) => {
                if let Some(signal) = Signal::from_named_raw(i32::from(number)) {
                    let _ = rustix::process::pidfd_send_signal(command, signal);
                }
            }
            _ => return,
        }
    }
}

/// The run was gone before the command started.
fn abandoned(kind: Kind, inside: &Inside) {
    if kind == Kind::Folder {
        room::wipe(&inside.room);
    }
}

fn started(inside: &Inside, stdin: OwnedFd) -> std::result::Result<Pid, String> {
    let (program, arguments) = inside.command.split_first().ok_or("there is no command")?;
    let child = Command::new(program).args(arguments).stdin(Stdio::from(stdin)).spawn();
    let child = child.map_err(|e| e.to_string())?;
    i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or_else(|| "it has no process id".to_owned())
}

/// Waits for the command, and for whatever ends before it.
fn wait_for(command: Pid) -> Result<WaitStatus> {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == command => return Ok(status),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(other) => return Err(other.into()),
        }
    }
}

/// A mount and a process namespace; with a user namespace around them for whoever may not have them otherwise.
fn enter() -> Result<()> {
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let both = UnshareFlags::NEWNS | UnshareFlags::NEWPID;
    if unshare(both).is_err() {
        unshare(both | UnshareFlags::NEWUSER)?;
        std::fs::write("/proc/self/setgroups", "deny")?;
        std::fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
        std::fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
    }
    mounted::private()
}

#[expect(deprecated, reason = "unsafe only for the flag that gives threads tables of descriptors of their own")]
fn unshare(flags: UnshareFlags) -> Result<()> {
    Ok(rustix::thread::unshare(flags)?)
}

fn die_with_parent() -> Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// Goes on after signals that are meant for the command. A handler, because what is ignored stays ignored in the command.
fn spare() -> Result<()> {
    SPARED
        .iter()
        .try_for_each(|&signal| signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false))).map(drop))
}

fn told(status: ExitStatus) -> u8 {
    let signal = || status.signal().map_or(1, |signal| narrow(signal).wrapping_add(128));
    status.code().map_or_else(signal, narrow)
}

fn narrow(number: i32) -> u8 {
    u8::try_from(number & 0xff).unwrap_or(1)
}
