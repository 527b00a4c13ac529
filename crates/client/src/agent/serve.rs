//! The agent's end: a vault that is open, connections that ask of it, and a time when it is over.

use super::frame::{Deadline, Failed, receive, send};
use super::lease::{Clocks, Lease, Over};
use super::place::{Held, peer};
use super::wire::{Ask, Folder, Open, Opened, PROTOCOL, Presence, Reply, Unlocked, program};
use crate::vault::{Sitting, sat_down};
use api::terms::Code;
use api::wire::{Answer, Command, Problem};
use keeper::{Keeper, Session};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What an agent bears with.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Until whoever connects says something.
    pub first: Duration,
    /// For a frame, once it began.
    pub frame: Duration,
    /// Between two signs that a command is being worked on.
    pub beat: Duration,
    /// Between two looks at the clocks, where nobody asks for anything.
    pub tick: Duration,
    /// For commands that run when the time is over.
    pub ending: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            first: Duration::from_secs(10),
            frame: Duration::from_secs(30),
            beat: Duration::from_secs(5),
            tick: Duration::from_secs(1),
            ending: Duration::from_secs(10),
        }
    }
}

/// How much of what is due is done between commands, at once.
const IDLE_WORK: Duration = Duration::from_millis(200);
/// How many ticks lie between two looks at what is due.
const TICKS_BETWEEN_JOBS: u32 = 30;
/// Threads that wait for connections, so that one that comes finds one there.
const ACCEPTORS: usize = 2;
/// What a session left goes into the tree when nothing was asked for this long,
const QUIET: Duration = Duration::from_millis(10);
/// or after this many times as long: clients that come one after the other do not wait for it each.
const QUIETS_AT_MOST: u32 = 20;
/// A word for whoever waits fits what the kernel keeps for them, or they do not read.
const BEAT_WITHIN: Duration = Duration::from_millis(50);

/// What an agent serves.
#[derive(Debug)]
pub struct Serving {
    /// The opened vault.
    pub keeper: Keeper,
    /// Its folder.
    pub dir: PathBuf,
    /// For how long.
    pub lease: Lease,
    /// By these clocks.
    pub clocks: Arc<dyn Clocks>,
    /// Which kind of root opened it.
    pub root: String,
    /// Set from outside to end it.
    pub stop: Arc<AtomicBool>,
    /// What it bears with.
    pub limits: Limits,
}

/// Where the vault was when it was opened.
#[derive(Debug)]
struct Home {
    folder: Folder,
    /// Of `vault.json`: inode, length, time of the last change. Another one names other roots.
    file: (u64, u64, i64, i64),
}

impl Home {
    fn of(dir: &Path) -> std::io::Result<Self> {
        let file = std::fs::metadata(dir.join("vault.json"))?;
        let file = (file.ino(), file.len(), file.mtime(), file.mtime_nsec());
        Ok(Self { folder: Folder::at(dir)?, file })
    }

    fn is_still(&self, dir: &Path) -> bool {
        Self::of(dir).is_ok_and(|now| now.folder.is(&self.folder) && now.file == self.file)
    }
}

/// What connections share.
#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    home: Home,
    clocks: Arc<dyn Clocks>,
    root: String,
    limits: Limits,
    state: Mutex<State>,
    changed: Condvar,
    connections: AtomicUsize,
    /// Threads that wait for one.
    acceptors: AtomicUsize,
    /// Whose command is at work, and when they were told so last.
    waiting: Mutex<BTreeMap<u64, (Arc<UnixStream>, Instant)>>,
    /// Commands so far.
    commands: AtomicU64,
    /// Held while entries are brought into the tree.
    settling: Mutex<()>,
    /// Whether they could not be when that was tried last.
    behind: AtomicBool,
    /// Whether a thread waits to do that.
    settles_soon: AtomicBool,
}

#[derive(Debug)]
struct State {
    /// Gone once it is over.
    keeper: Option<Arc<Keeper>>,
    lease: Lease,
    over: Option<Over>,
    /// Commands at work.
    running: usize,
}

/// Serves until it is over; the keys are overwritten when this returns. `ready` is told once commands can come.
///
/// # Errors
/// When the socket cannot be made, or the vault's folder is gone.
pub(super) fn serve_in(held: &Held, serving: Serving, ready: impl FnOnce(&Unlocked)) -> Result<(), Problem> {
    let Serving { keeper, dir, lease, clocks, root, stop, limits } = serving;
    let home = Home::of(&dir).map_err(|error| crate::fault::io("cannot look at", &dir, &error))?;
    keeper.unlocked_until(lease.until())?;
    keeper.settle()?;
    let listener = held.listen().map_err(|error| crate::fault::io("cannot listen in", &dir, &error))?;
    let state = State { keeper: Some(Arc::new(keeper)), lease, over: None, running: 0 };
    let shared = Arc::new(Shared {
        dir,
        home,
        clocks,
        root,
        limits,
        state: Mutex::new(state),
        changed: Condvar::new(),
        connections: AtomicUsize::new(0),
        acceptors: AtomicUsize::new(1),
        waiting: Mutex::default(),
        commands: AtomicU64::new(0),
        settling: Mutex::default(),
        behind: AtomicBool::new(false),
        settles_soon: AtomicBool::new(false),
    });
    ready(&shared.unlocked());
    let (acceptor, listener) = (Arc::clone(&shared), Arc::new(listener));
    std::thread::spawn(move || acceptor.accept(&listener));
    let housekeeper = Arc::clone(&shared);
    std::thread::spawn(move || housekeeper.keep_house());
    let over = shared.wait(&stop);
    held.leave();
    shared.end(over)
}

/// As the agent's process does, in this one.
///
/// # Errors
/// `conflict` if another agent has the place; whatever [`Place::claim`](super::Place) says.
pub fn serve(place: &super::Place, serving: Serving, ready: impl FnOnce(&Unlocked)) -> Result<(), Problem> {
    let held = place.claim()?;
    let held = held.ok_or_else(|| Problem::new(Code::Conflict, "the vault is unlocked already", "it has an agent"))?;
    serve_in(&held, serving, ready)
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is over, and tells meanwhile whoever waits for a command. Nothing here waits for the vault.
    fn wait(&self, stop: &AtomicBool) -> Over {
        let tick = self.limits.tick.min(self.limits.beat);
        loop {
            self.beat();
            drop(self.changed.wait_timeout(self.state(), tick).unwrap_or_else(PoisonError::into_inner));
            if stop.load(Ordering::Acquire) {
                self.finish(Over::Signal);
            }
            if let Some(over) = self.over() {
                return over;
            }
        }
    }

    /// Does between commands what is due, until it is over.
    fn keep_house(&self) {
        let mut ticks = 0;
        while self.state().over.is_none() {
            let tick = self.limits.tick;
            let (state, _) = self.changed.wait_timeout(self.state(), tick).unwrap_or_else(PoisonError::into_inner);
            let idle = state.running == 0 && state.over.is_none();
            drop(state);
            if let Ok(keeper) = self.keeper() {
                keeper.forget_old();
            }
            ticks += 1;
            if !idle {
                continue;
            }
            // A session that goes on, as a run's does, keeps its entries out of the tree no longer than this.
            let _ = self.settle();
            if ticks >= TICKS_BETWEEN_JOBS
                && let Ok(keeper) = self.keeper()
            {
                ticks = 0;
                // What failed is due again, and told by whoever asks for it: `status`, `jobs run`.
                let _ = keeper.go_on(IDLE_WORK);
            }
        }
    }

    /// Why it is over, if it is now.
    fn over(&self) -> Option<Over> {
        let lease = {
            let state = self.state();
            if state.over.is_some() {
                return state.over;
            }
            state.lease
        };
        let read_only = || self.state().keeper.as_ref().is_some_and(|keeper| keeper.is_read_only());
        let over = lease.over(self.clocks.now());
        let over = over.or_else(|| (!self.home.is_still(&self.dir)).then_some(Over::Folder));
        let over = over.or_else(|| read_only().then_some(Over::ReadOnly))?;
        self.finish(over);
        Some(over)
    }

    /// From here on nothing is answered any more; the first reason stays.
    fn finish(&self, why: Over) {
        self.state().over.get_or_insert(why);
        self.changed.notify_all();
    }

    /// Lets commands at work come to their end for a while, says in the log that the vault is locked, and overwrites the keys.
    fn end(&self, over: Over) -> Result<(), Problem> {
        let ends = Instant::now().checked_add(self.limits.ending);
        let mut state = self.state();
        while state.running > 0 {
            let left = ends.and_then(|ends| ends.checked_duration_since(Instant::now()));
            let Some(left) = left.filter(|left| !left.is_zero()) else { break };
            drop(state);
            self.beat();
            state = self.state();
            if state.running > 0 {
                let left = left.min(self.limits.beat);
                (state, _) = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
            }
        }
        let keeper = state.keeper.take();
        drop(state);
        let Some(keeper) = keeper.and_then(Arc::into_inner) else {
            // Something does not come to an end. The process does: what was not acknowledged did not happen.
            return Err(Problem::new(
                Code::Busy,
                "the agent ended while it worked",
                "a command did not come to its end",
            ));
        };
        if matches!(over, Over::Folder | Over::ReadOnly) {
            return Ok(());
        }
        keeper.locked(over.word(), !matches!(over, Over::Asked))?;
        keeper.close()
    }

    fn unlocked(&self) -> Unlocked {
        let lease = self.state().lease;
        Unlocked {
            since: lease.since(),
            until: lease.until(),
            pid: std::process::id(),
            uid: rustix::process::geteuid().as_raw(),
            root: self.root.clone(),
            memory_locked: keeper::resident::keys_are_resident(),
        }
    }

    /// Waits for connections and attends to them, until it is over or enough others wait.
    fn accept(self: &Arc<Self>, listener: &Arc<UnixListener>) {
        while self.state().over.is_none() {
            let Ok((stream, _)) = listener.accept() else {
                // Too many open files, perhaps: nothing to do but wait for some to close.
                std::thread::sleep(self.limits.tick);
                continue;
            };
            let (stream, connection) = (Arc::new(stream), Counted::one(&self.connections));
            if connection.before >= self.limits.connections {
                let why = format!("it has {} connections already", self.limits.connections);
                let _ = refuse(&stream, Problem::new(Code::Busy, "the agent is busy", why));
                continue;
            }
            if self.acceptors.fetch_sub(1, Ordering::AcqRel) == 1 {
                self.acceptors.fetch_add(1, Ordering::AcqRel);
                let (next, listener) = (Arc::clone(self), Arc::clone(listener));
                if std::thread::Builder::new().spawn(move || next.accept(&listener)).is_err() {
                    // Nobody else would wait: this one goes on doing so.
                    let _ = refuse(&stream, Problem::new(Code::Busy, "the agent is busy", "it has no thread left"));
                    continue;
                }
            }
            // Whatever goes wrong is that connection's end, and no one else's.
            let _ = self.attend(&stream);
            drop(stream);
            // Counted for as long as it waits, for a tree that cannot be reached as well.
            self.settle_soon();
            drop(connection);
            if self.acceptors.fetch_add(1, Ordering::AcqRel) >= ACCEPTORS {
                self.acceptors.fetch_sub(1, Ordering::AcqRel);
                return;
            }
        }
    }

    /// One connection, to its end.
    fn attend(&self, stream: &Arc<UnixStream>) -> Result<(), Failed> {
        if let Err(why) = peer(stream) {
            return refuse(stream, Problem::new(Code::BadSession, "the agent answers its own user only", why));
        }
        let ask = match receive(stream, Some(self.limits.first), self.limits.frame) {
            Ok(ask) => ask,
            Err(failed @ (Failed::Malformed | Failed::TooLong)) => return refuse(stream, not_understood(&failed)),
            Err(other) => return Err(other),
        };
        match ask {
            Ask::Lock => {
                self.finish(Over::Asked);
                self.reply(stream, &Reply::Done)
            }
            Ask::State => self.reply(stream, &Reply::State(self.unlocked())),
            Ask::Extend { folder, program, secs } => match self.extend(&folder, &program, secs) {
                Ok(unlocked) => self.reply(stream, &Reply::State(unlocked)),
                Err(problem) => refuse(stream, problem),
            },
            Ask::Open(open) => match self.at_work(stream, || self.open(&open)) {
                Ok((session, opened)) => {
                    self.reply(stream, &Reply::Opened(Box::new(opened)))?;
                    match self.attend_session(stream, &session)? {
                        Ended::Closed => match self.at_work(stream, || self.settle()) {
                            Ok(()) => self.reply(stream, &Reply::Done),
                            Err(problem) => refuse(stream, problem),
                        },
                        Ended::Left => Ok(()),
                    }
                }
                Err(problem) => refuse(stream, problem),
            },
            Ask::Call(_) | Ask::Close => refuse(
                stream,
                Problem::new(Code::BadSession, "no session is open", "a command came before its session"),
            ),
        }
    }

    /// What sessions left goes into the tree.
    fn settle(&self) -> Result<(), Problem> {
        let keeper = self.keeper()?;
        let _one = self.settling.lock().unwrap_or_else(PoisonError::into_inner);
        let settled = if keeper.is_unsettled() { keeper.settle() } else { Ok(()) };
        self.behind.store(settled.is_err(), Ordering::Release);
        settled
    }

    /// The same once nobody asks for anything, after a session ended, also by the death of its client: whoever ended it is not to wait
    /// for this on the same core, nor the next ones each.
    fn settle_soon(&self) {
        let is_unsettled = self.keeper().is_ok_and(|keeper| keeper.is_unsettled());
        if !is_unsettled || self.settles_soon.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut before = self.commands.load(Ordering::Relaxed);
        for _ in 0..QUIETS_AT_MOST {
            drop(self.changed.wait_timeout(self.state(), QUIET).unwrap_or_else(PoisonError::into_inner));
            let now = self.commands.load(Ordering::Relaxed);
            if std::mem::replace(&mut before, now) == now {
                break;
            }
        }
        // What ends from here on has a wait of its own.
        self.settles_soon.store(false, Ordering::Release);
        // One that fails is tried again before the next session begins, which is told.
        let _ = self.settle();
    }

    fn reply(&self, stream: &UnixStream, reply: &Reply) -> Result<(), Failed> {
        send(stream, reply, Deadline::within(self.limits.frame))
    }

    /// The vault, unless it is locked; it is not overwritten while this is held.
    fn keeper(&self) -> Result<Borrowed<'_>, Problem> {
        self.over();
        let mut state = self.state();
        match (&state.keeper, state.over) {
            (Some(keeper), None) => {
                let keeper = Arc::clone(keeper);
                state.running += 1;
                Ok(Borrowed { keeper, _told: Told(self) })
            }
            (_, over) => {
                let why = over.unwrap_or(Over::Asked).why();
                Err(Problem::new(Code::RootRefused, "the vault is locked", why).with_try("strongroom unlock"))
            }
        }
    }

    /// Refuses whoever means another vault, or is another program.
    fn is_meant(&self, folder: &Folder, theirs: &str) -> Result<(), Problem> {
        let conflict = |why: String| {
            Problem::new(Code::Conflict, "the agent is not this command's", why).with_try("strongroom lock")
        };
        if theirs != program() {
            return Err(conflict(format!("it is {}, the command {theirs}", program())));
        }
        if !folder.is(&self.home.folder) {
            let (ours, other) = (self.home.folder.path.display(), folder.path.display());
            return Err(conflict(format!("it has opened `{ours}`, which has the id of `{other}`: one is a copy")));
        }
        Ok(())
    }

    fn open(&self, open: &Open) -> Result<(Session, Opened), Problem> {
        if open.protocol != PROTOCOL {
            return self.is_meant(&open.folder, "another version").and(Err(not_understood(&Failed::Malformed)));
        }
        self.is_meant(&open.folder, &open.program)?;
        let keeper = self.keeper()?;
        let presence = open.presence.map(|presence| match presence {
            Presence::None => keeper::Presence::None,
            Presence::Now => keeper::Presence::Now,
        });
        let public_key = open.public_key.as_slice().try_into();
        let public_key = public_key
            .map_err(|_| Problem::new(Code::BadRequest, "cannot open a session", "the session's key is no key"))?;
        let session = sat_down(&keeper, Sitting { principal: open.principal.as_ref(), presence }, public_key)?;
        let (info, unlocked) = (keeper.info().clone(), self.unlocked());
        // What another session is being settled of is its own.
        let waits = self.behind.load(Ordering::Acquire) && self.settle().is_err();
        let depots = match keeper.call(&session, Command::Depots) {
            Ok(Answer::Depots(list)) => Some(list),
            Ok(_) | Err(_) => None,
        };
        let opened = Opened { info, principal: session.principal(), session: session.id(), unlocked, depots, waits };
        Ok((session, opened))
    }

    fn extend(&self, folder: &Folder, program: &str, secs: u64) -> Result<Unlocked, Problem> {
        self.is_meant(folder, program)?;
        let keeper = self.keeper()?;
        let bad = || Problem::new(Code::BadRequest, "cannot unlock for so long", "it is from 1m to 7d");
        let lease = Lease::new(self.clocks.now(), secs).ok_or_else(bad)?;
        keeper.unlocked_until(lease.until())?;
        keeper.settle()?;
        self.state().lease = lease;
        Ok(self.unlocked())
    }

    /// Commands of one session, one after the other.
    fn attend_session(&self, stream: &Arc<UnixStream>, session: &Session) -> Result<Ended, Failed> {
        loop {
            match receive(stream, None, self.limits.frame) {
                Ok(Ask::Call(command)) => {
                    let answer = self.at_work(stream, || self.call(session, *command));
                    self.answer(stream, answer)?;
                }
                Ok(Ask::Close) => return Ok(Ended::Closed),
                Ok(_) => {
                    let why = "a connection has one";
                    refuse(stream, Problem::new(Code::BadSession, "a session is open already", why))?;
                    return Ok(Ended::Left);
                }
                Err(failed @ (Failed::Malformed | Failed::TooLong)) => {
                    refuse(stream, not_understood(&failed))?;
                    return Ok(Ended::Left);
                }
                Err(Failed::Gone) => return Ok(Ended::Left),
                Err(other) => return Err(other),
            }
        }
    }

    /// Does something for a client, who is told meanwhile that it is being done.
    fn at_work<T>(&self, stream: &Arc<UnixStream>, act: impl FnOnce() -> T) -> T {
        let _told = AtWork::on(self, stream);
        act()
    }

    /// Tells whoever waits for a long command that it is being worked on.
    fn beat(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for (stream, since) in waiting.values_mut() {
            if since.elapsed() < self.limits.beat {
                continue;
            }
            *since = Instant::now();
            // Whoever does not read ends here: a part of a frame must not come before the answer.
            if send(stream, &Reply::Working, Deadline::within(BEAT_WITHIN)).is_err() {
                let _ = stream.shutdown(std::net::Shutdown::Both);
            }
        }
    }

    /// Answers a command, unless it is over by now.
    fn call(&self, session: &Session, command: Command) -> Result<Answer, Problem> {
        let keeper = self.keeper()?;
        if !is_daily(&command) && keeper.is_unsettled() {
            // Whoever reads the log finds in it what was answered before; if that fails, the command says so itself.
            let _ = self.settle();
        }
        keeper.call(session, command)
    }

    fn answer(&self, stream: &UnixStream, answer: Result<Answer, Problem>) -> Result<(), Failed> {
        let reply = match answer {
            Ok(answer) => Reply::Answer(Box::new(answer)),
            Err(problem) => Reply::Refused(Box::new(problem)),
        };
        match self.reply(stream, &reply) {
            Err(Failed::TooLong) => {
                let problem =
                    Problem::new(Code::Unsupported, "the answer is too long", "more than 64 MiB in one answer");
                refuse(stream, problem.with_try("strongroom lock, then the command again"))
            }
            sent => sent,
        }
    }
}

/// How a session came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// Its client waits for the tree.
    Closed,
    /// Its client is gone, or was refused.
    Left,
}

/// A command under way: until this is dropped its client is told so from time to time.
struct AtWork<'a> {
    shared: &'a Shared,
    number: u64,
}

impl<'a> AtWork<'a> {
    fn on(shared: &'a Shared, stream: &Arc<UnixStream>) -> Self {
        let number = shared.commands.fetch_add(1, Ordering::Relaxed);
        let waiting = (Arc::clone(stream), Instant::now());
        shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(number, waiting);
        Self { shared, number }
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

/// The vault while something is done with it. Fields are dropped in their order: first the vault is given back, then that is told.
struct Borrowed<'a> {
    keeper: Arc<Keeper>,
    _told: Told<'a>,
}

struct Told<'a>(&'a Shared);

impl std::ops::Deref for Borrowed<'_> {
    type Target = Keeper;
    fn deref(&self) -> &Keeper {
        &self.keeper
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.running -= 1;
        // Only the end waits for this.
        if state.over.is_some() {
            self.0.changed.notify_all();
        }
    }
}

/// What neither shows the log nor rests on how far it goes.
fn is_daily(command: &Command) -> bool {
    matches!(
        command,
        Command::Begin(_)
            | Command::Extend { .. }
            | Command::Commit(_)
            | Command::Abandon { .. }
            | Command::Release(_)
            | Command::Show { .. }
            | Command::List(_)
            | Command::Depots
            | Command::DepotCopied(_)
    )
}

/// One more of something, for as long as it lives.
struct Counted<'a> {
    of: &'a AtomicUsize,
    before: usize,
}

impl<'a> Counted<'a> {
    fn one(of: &'a AtomicUsize) -> Self {
        Self { of, before: of.fetch_add(1, Ordering::AcqRel) }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.of.fetch_sub(1, Ordering::AcqRel);
    }
}

fn refuse(stream: &UnixStream, problem: Problem) -> Result<(), Failed> {
    send(stream, &Reply::Refused(Box::new(problem)), Deadline::within(Duration::from_secs(5)))
}

fn not_understood(failed: &Failed) -> Problem {
    Problem::new(Code::Conflict, "the agent did not understand", failed.to_string())
        .with_try("strongroom lock, then strongroom unlock: it may be of another version")
}
