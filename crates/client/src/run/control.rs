//! What happens to a run from outside: signals, which go on to the command, and the keeper's word that it may not go on.

use super::GRACE;
use super::link::{Link, Message};
use crate::Client;
use crate::seat::unexpected;
use crate::watch::Watch;
use api::terms::{Code, Exit};
use api::wire::{Answer, Command, Problem, RunStarted};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::{Handle, Signals};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::Duration;

/// How often the keeper is asked.
const EVERY: Duration = Duration::from_secs(2);

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// By itself, with this code.
    Exited(u8),
    /// By this signal.
    Signalled(u8),
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Inputs are being opened.
    Opening,
    /// The command runs: signals are its affair.
    Running,
    /// Outputs are being sealed.
    Sealing,
    /// Nothing is to be done any more.
    Done,
}

/// The state that the threads of a run share.
pub(super) struct Control<'a> {
    watch: &'a dyn Watch,
    state: Mutex<State>,
    moved: Condvar,
    signals: Handle,
    incoming: Mutex<Option<Signals>>,
}

struct State {
    phase: Phase,
    /// The user wants it to end.
    interrupted: bool,
    /// Why it may not go on.
    stopped: Option<Problem>,
}

impl<'a> Control<'a> {
    /// Catches signals from here on.
    pub(super) fn new(watch: &'a dyn Watch) -> Result<Self, Problem> {
        let failed = |e: std::io::Error| Problem::new(Code::Unavailable, "cannot catch signals", e.to_string());
        let incoming = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2]).map_err(failed)?;
        let state = State { phase: Phase::Opening, interrupted: false, stopped: None };
        let signals = incoming.handle();
        Ok(Self {
            watch,
            state: Mutex::new(state),
            moved: Condvar::new(),
            signals,
            incoming: Mutex::new(Some(incoming)),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, phase: Phase) {
        self.state().phase = phase;
        self.moved.notify_all();
    }

    /// The command is about to run: unless it was stopped or interrupted by now. From here on a stop ends it.
    pub(super) fn start(&self) -> Result<(), Problem> {
        let mut state = self.state();
        if let Some(why) = state.stopped.clone() {
            return Err(why);
        }
        if state.interrupted {
            return Err(Problem::new(Code::Interrupted, "the run was stopped", "it was interrupted"));
        }
        state.phase = Phase::Running;
        drop(state);
        self.watch.over();
        Ok(())
    }

    /// The command has ended.
    pub(super) fn over(&self) {
        self.enter(Phase::Sealing);
    }

    /// Why it was stopped, if it was.
    pub(super) fn stopped(&self) -> Option<Problem> {
        self.state().stopped.clone()
    }

    /// Waits for a while, or until something happens; answers whether the run may go on.
    pub(super) fn wait(&self, time: Duration) -> bool {
        let state = self.state();
        let idle = |state: &mut State| !state.interrupted && state.stopped.is_none();
        let waited = self.moved.wait_timeout_while(state, time, idle);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.interrupted && state.stopped.is_none()
    }

    /// Starts the threads that pass signals on and ask the keeper; they end when what is answered is dropped. Without them nothing is
    /// run: nobody would stop it.
    pub(super) fn renewing<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        client: &'scope Client,
        started: &'scope RunStarted,
        link: &Link,
    ) -> Result<Renewing<'scope, 'a>, Problem> {
        let again = || {
            let failed =
                |e: std::io::Error| Problem::new(Code::Unavailable, "cannot watch over the command", e.to_string());
            link.again().map_err(failed)
        };
        let (own, signals) = (again()?, again()?);
        if let Some(incoming) = self.incoming.lock().unwrap_or_else(PoisonError::into_inner).take() {
            scope.spawn(move || self.pass_on(incoming, &signals));
        }
        scope.spawn(move || self.ask(client, started, &own));
        Ok(Renewing(self))
    }

    fn pass_on(&self, mut incoming: Signals, link: &Link) {
        for signal in &mut incoming {
            let mut state = self.state();
            match state.phase {
                // A terminal's signals reach every process of its group: the command has this one already.
                Phase::Running if from_terminal(signal) => {}
                Phase::Running => {
                    let _ = link.send(&Message::Signal(u8::try_from(signal).unwrap_or(0)), None);
                }
                _ if [SIGUSR1, SIGUSR2].contains(&signal) => {}
                _ => {
                    state.interrupted = true;
                    self.moved.notify_all();
                }
            }
        }
    }

    /// Asks the keeper every few seconds whether the run may go on; stops it when it may not, or when nobody has said so for as long as
    /// the last word holds.
    fn ask(&self, client: &Client, started: &RunStarted, link: &Link) {
        let mut holds_until = started.lease_until;
        loop {
            if !self.until_next() {
                return;
            }
            let problem = match client.seat().call(Command::RunRenew { run: started.run }) {
                Ok(Answer::RunRenewed(renewed)) => {
                    holds_until = renewed.lease_until;
                    continue;
                }
                Ok(other) => unexpected(&other),
                // Nobody can say any more that it may not go on.
                Err(problem) if is_lost(client, &problem) => {
                    Problem::new(Code::RootRefused, "the vault is locked", "its agent ended")
                        .with_try("strongroom unlock")
                }
                Err(problem) if passes(&problem) && crate::system::now() < holds_until => continue,
                Err(problem) => problem,
            };
            self.stop(problem, link);
            return;
        }
    }

    /// Waits for the next time to ask; answers whether there is one.
    fn until_next(&self) -> bool {
        let state = self.state();
        let on = |state: &mut State| state.phase != Phase::Done;
        let waited = self.moved.wait_timeout_while(state, EVERY, on);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.phase != Phase::Done
    }

    /// Ends the command: it is told, and after a while ended.
    fn stop(&self, problem: Problem, link: &Link) {
        self.watch.note(&format!("stopping the command: {problem}"));
        let mut state = self.state();
        state.stopped = Some(problem);
        self.moved.notify_all();
        if state.phase != Phase::Running {
            return;
        }
        let _ = link.send(&Message::Signal(u8::try_from(SIGTERM).unwrap_or(15)), None);
        let running = |state: &mut State| state.phase == Phase::Running;
        let waited = self.moved.wait_timeout_while(state, GRACE, running);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.phase == Phase::Running {
            let _ = link.send(&Message::Kill, None);
        }
    }
}

/// As long as this is kept, signals are passed on and the keeper is asked.
pub(super) struct Renewing<'c, 'a>(&'c Control<'a>);

impl Drop for Renewing<'_, '_> {
    fn drop(&mut self) {
        self.0.enter(Phase::Done);
        self.0.signals.close();
    }
}

/// Whether the agent that kept the vault open is gone.
fn is_lost(client: &Client, problem: &Problem) -> bool {
    problem.code == Code::OutcomeUnknown && client.seat().connection().unlocked().is_some()
}

/// Whether a failure may pass by itself.
fn passes(problem: &Problem) -> bool {
    problem.code.exit() == Exit::Temporary
}

/// Whether a signal comes from the terminal whose foreground group this process is in.
fn from_terminal(signal: i32) -> bool {
    let typed = [SIGINT, SIGQUIT].contains(&signal);
    let own = rustix::process::getpgrp();
    typed && rustix::termios::tcgetpgrp(rustix::stdio::stdin()).is_ok_and(|group| group == own)
}

impl Watch for Control<'_> {
    fn stage(&self, name: &'static str, total_bytes: Option<u64>) {
        self.watch.stage(name, total_bytes);
    }
    fn advance(&self, bytes: u64) {
        self.watch.advance(bytes);
    }
    fn note(&self, text: &str) {
        self.watch.note(text);
    }
    fn interrupted(&self) -> bool {
        let state = self.state();
        state.interrupted || state.stopped.is_some() || self.watch.interrupted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::Unwatched;

    #[test]
    fn what_was_stopped_or_interrupted_before_it_started_is_not_started() {
        let (link, _theirs) = Link::pair().unwrap();
        let control = Control::new(&Unwatched).unwrap();
        control.stop(Problem::new(Code::Denied, "no", "not any more"), &link);
        assert_eq!(control.start().unwrap_err().code, Code::Denied);
        assert!(Watch::interrupted(&control), "its inputs are not opened to the end either");

        let control = Control::new(&Unwatched).unwrap();
        control.state().interrupted = true;
        assert_eq!(control.start().unwrap_err().code, Code::Interrupted);

        let control = Control::new(&Unwatched).unwrap();
        control.start().unwrap();
        assert_eq!(control.state().phase, Phase::Running);
    }
}
