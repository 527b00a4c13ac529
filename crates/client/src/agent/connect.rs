//! The client's end: a [`Connection`] to the agent of a vault, if there is one.

use super::frame::{Deadline, Failed, receive, send};
use super::place::Place;
use super::wire::{Ask, Folder, Open, Opened, PROTOCOL, Presence, Reply, Unlocked, program};
use crate::Client;
use crate::connection::Connection;
use crate::seat::{Seat, SessionKey};
use api::terms::{Code, Name, PrincipalId, SessionId};
use api::wire::{Answer, Command, DepotList, Problem, VaultInfo};
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a frame may take, once it began.
const FRAME: Duration = Duration::from_secs(30);
/// How long the agent may be silent: while it works, it says so every few seconds.
const SILENCE: Duration = Duration::from_secs(30);
/// How long it may take to say that it locks the vault, before it is ended by force.
const LOCKING: Duration = Duration::from_secs(5);

/// A session with an agent.
#[derive(Debug)]
pub struct Agent {
    opened: Opened,
    stream: Mutex<UnixStream>,
}

/// Who sits down, and what they say of themselves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seated<'a> {
    /// The principal; else the owner.
    pub principal: Option<&'a Name>,
    /// Whether they proved to be there; else they did, just now.
    pub presence: Option<Presence>,
}

/// How a vault was locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locked {
    /// It was not unlocked.
    Already,
    /// Its agent ended.
    Asked,
    /// Its agent did not answer, and was ended by force.
    Forced,
}

/// Sits down at a vault's agent; none if it has none.
///
/// # Errors
/// `conflict` for an agent of another folder or another version of the program, `bad-session` for one of another user; what the keeper
/// says of the principal; `unavailable`.
pub fn seat(place: &Place, dir: &Path, who: Seated<'_>) -> Result<Option<Client>, Problem> {
    let Some((stream, _)) = place.connect()? else { return Ok(None) };
    let key = SessionKey::generate()?;
    let open = Open {
        protocol: PROTOCOL,
        program: program(),
        folder: Folder::at(dir).map_err(|error| crate::fault::io("cannot look at", dir, &error))?,
        principal: who.principal.cloned(),
        presence: who.presence,
        public_key: key.public().to_vec(),
    };
    let opened = match asked(&stream, &Ask::Open(open)) {
        // It ended between our connecting and its answer: as if it had not been there.
        Err(Failed::Gone) => return Ok(None),
        Err(failed) => return Err(failed.problem()),
        Ok(Reply::Opened(opened)) => *opened,
        Ok(Reply::Refused(problem)) => return Err(*problem),
        Ok(_) => return Err(Failed::Malformed.problem()),
    };
    if opened.info.vault != place.vault() {
        return Err(Problem::new(Code::BadSession, "the agent cannot be trusted", "it answers for another vault"));
    }
    let seat = Seat::new(Box::new(Agent { opened, stream: Mutex::new(stream) }), key)?;
    Client::of(seat, dir).map(Some)
}

/// How long the vault stays unlocked, if it is.
///
/// # Errors
/// As [`seat`].
pub fn state(place: &Place) -> Result<Option<Unlocked>, Problem> {
    let Some((stream, _)) = place.connect()? else { return Ok(None) };
    told(asked(&stream, &Ask::State))
}

/// Whether a vault that is unlocked stays so for this many seconds; one that is not is no hindrance.
///
/// # Errors
/// As [`seat`].
pub fn lasts(place: &Place, secs: u64) -> Result<bool, Problem> {
    let end = crate::system::now().plus_millis(secs.saturating_mul(1000));
    Ok(state(place)?.is_none_or(|unlocked| unlocked.until >= end))
}

/// Has a living agent stay for so many seconds from now on; none if it is gone.
pub(super) fn extend(place: &Place, folder: Folder, secs: u64) -> Result<Option<Unlocked>, Problem> {
    let Some((stream, _)) = place.connect()? else { return Ok(None) };
    told(asked(&stream, &Ask::Extend { folder, program: program(), secs }))
}

fn told(reply: Result<Reply, Failed>) -> Result<Option<Unlocked>, Problem> {
    match reply {
        Err(Failed::Gone) => Ok(None),
        Err(failed) => Err(failed.problem()),
        Ok(Reply::State(unlocked)) => Ok(Some(unlocked)),
        Ok(Reply::Refused(problem)) => Err(*problem),
        Ok(_) => Err(Failed::Malformed.problem()),
    }
}

/// Locks the vault: its agent overwrites the keys and ends; one that does not answer is ended by force.
///
/// # Errors
/// `bad-session` for an agent of another user; `unavailable` if it lives on.
pub fn lock(place: &Place) -> Result<Locked, Problem> {
    let asked = match place.connect() {
        Ok(None) if !place.is_held() => return Ok(Locked::Already),
        Ok(None) => false,
        Ok(Some((stream, _))) => {
            let sent = send(&stream, &Ask::Lock, Deadline::within(LOCKING));
            sent.is_ok() && matches!(receive(&stream, Some(LOCKING), LOCKING), Ok(Reply::Done) | Err(Failed::Gone))
        }
        Err(problem) if problem.code == Code::Busy => false,
        Err(problem) => return Err(problem),
    };
    if asked && place.wait_free() {
        return Ok(Locked::Asked);
    }
    place.kill()?;
    if place.wait_free() {
        // Its socket is stale now.
        place.connect()?;
        return Ok(Locked::Forced);
    }
    Err(Problem::new(Code::Unavailable, "the agent did not end", "it does not answer, and lives on"))
}

fn asked(stream: &UnixStream, ask: &Ask) -> Result<Reply, Failed> {
    match send(stream, ask, Deadline::within(FRAME)) {
        // Who is refused at once is told so before the other end closes.
        Err(Failed::Broken(ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)) | Ok(()) => {}
        Err(other) => return Err(other),
    }
    loop {
        match receive(stream, Some(SILENCE), FRAME)? {
            Reply::Working => {}
            reply => return Ok(reply),
        }
    }
}

impl Agent {
    fn ask(&self, ask: &Ask) -> Result<Reply, Problem> {
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        match asked(&stream, ask) {
            Ok(Reply::Refused(problem)) => Err(*problem),
            Ok(reply) => Ok(reply),
            Err(Failed::Gone | Failed::Broken(_)) => {
                Err(Problem::new(Code::OutcomeUnknown, "the agent is gone", "it ended before it answered"))
            }
            Err(failed) => Err(failed.problem()),
        }
    }
}

impl Connection for Agent {
    fn info(&self) -> &VaultInfo {
        &self.opened.info
    }
    fn principal(&self) -> PrincipalId {
        self.opened.principal
    }
    fn session(&self) -> SessionId {
        self.opened.session
    }
    fn depots(&self) -> Option<&DepotList> {
        self.opened.depots.as_ref()
    }
    fn unlocked(&self) -> Option<&Unlocked> {
        Some(&self.opened.unlocked)
    }
    fn call(&self, command: Command) -> Result<Answer, Problem> {
        match self.ask(&Ask::Call(Box::new(command)))? {
            Reply::Answer(answer) => Ok(*answer),
            _ => Err(Failed::Malformed.problem()),
        }
    }
    fn close(self: Box<Self>) -> Result<(), Problem> {
        if !self.opened.waits {
            return Ok(());
        }
        match self.ask(&Ask::Close) {
            Ok(Reply::Done) => Ok(()),
            Ok(_) => Err(Failed::Malformed.problem()),
            // Every answer stands. What it had pending it integrates at its end, and else the next command does.
            Err(problem) if problem.code == Code::OutcomeUnknown => Ok(()),
            Err(problem) => Err(problem),
        }
    }
}
