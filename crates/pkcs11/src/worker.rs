//! A thread that owns what may block, and callers that wait no longer than they said.
//!
//! After a call that was not answered in time the worker is unhealthy: further calls fail at once, until the thread comes back from
//! that call. A call that nobody waits for any more is not made.
//!
//! A thread that was left in a call is kept on a list: when a process exits under it, the exit handlers of the module's libraries free
//! what it uses, and it crashes. [`rest`] waits for the list.

use super::error::{Result, TokenError};
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Calls that may wait.
const QUEUE_LEN: usize = 256;

/// Threads that may hang at a time.
const MAX_LEFT: usize = 8;

type Work<S> = Box<dyn FnOnce(&mut S) + Send>;

struct Task<S> {
    number: u64,
    since: Instant,
    work: Work<S>,
}

/// A number for each call: the highest that the thread is done with, and the highest that somebody gave up.
#[derive(Default)]
struct Pulse {
    asked: AtomicU64,
    answered: AtomicU64,
    late: AtomicU64,
}

/// A thread, and the end of its work.
struct Running {
    ended: Receiver<Infallible>,
    handle: JoinHandle<()>,
}

static LEFT: Mutex<Vec<Running>> = Mutex::new(Vec::new());

impl Running {
    /// Waits for its end; one that has not ended goes on the list.
    fn join(self, within: Duration) -> bool {
        if self.ended.recv_timeout(within) == Err(RecvTimeoutError::Disconnected) {
            // With what the libraries keep for each thread.
            let _ = self.handle.join();
            return true;
        }
        LEFT.lock().unwrap_or_else(PoisonError::into_inner).push(self);
        false
    }
}

/// Waits for threads that were left in a call of a module. How many still are.
pub(super) fn rest(within: Duration) -> usize {
    let since = Instant::now();
    let left = std::mem::take(&mut *LEFT.lock().unwrap_or_else(PoisonError::into_inner));
    left.into_iter().map(|running| running.join(within.saturating_sub(since.elapsed()))).filter(|ended| !ended).count()
}

/// The caller's half.
pub(super) struct Worker<S> {
    tasks: Option<SyncSender<Task<S>>>,
    pulse: Arc<Pulse>,
    running: Mutex<Option<Running>>,
    answer_within: Duration,
}

impl<S: 'static> Worker<S> {
    /// Makes the state in its thread. Where the answer comes too late, `abandon` gets the state.
    pub(super) fn start<R: Send + 'static>(
        open_within: Duration,
        answer_within: Duration,
        make: impl FnOnce() -> Result<(S, R)> + Send + 'static,
        abandon: impl FnOnce(S) + Send + 'static,
    ) -> Result<(Self, R)> {
        if rest(Duration::ZERO) >= MAX_LEFT {
            return Err(TokenError::Unhealthy);
        }
        let pulse = Arc::new(Pulse::default());
        let (tasks, queue) = sync_channel::<Task<S>>(QUEUE_LEN);
        let (alive, ended) = sync_channel::<Infallible>(0);
        // No buffer: either the caller has the answer, or the thread learns that nobody took it.
        let (first, opened) = sync_channel(0);
        let beat = Arc::clone(&pulse);
        let body = move || {
            let _alive = alive;
            match make() {
                Err(error) => drop(first.send(Err(error))),
                Ok((state, made)) => match first.send(Ok(made)) {
                    Ok(()) => serve(state, &queue, &beat, answer_within),
                    Err(_) => abandon(state),
                },
            }
        };
        let named = thread::Builder::new().name("pkcs11".to_owned());
        let running = Running { ended, handle: named.spawn(body).map_err(|_| TokenError::Stopped)? };
        let made = match opened.recv_timeout(open_within) {
            Ok(Ok(made)) => made,
            Ok(Err(error)) => {
                running.join(answer_within);
                return Err(error);
            }
            Err(RecvTimeoutError::Timeout) => {
                // The thread learns that it is late.
                drop(opened);
                running.join(Duration::ZERO);
                return Err(TokenError::NoAnswer(open_within));
            }
            Err(RecvTimeoutError::Disconnected) => return Err(TokenError::Stopped),
        };
        Ok((Self { tasks: Some(tasks), pulse, running: Mutex::new(Some(running)), answer_within }, made))
    }

    /// Whether the thread has come back from every call that somebody gave up.
    pub(super) fn answers(&self) -> bool {
        self.pulse.late.load(Ordering::Acquire) <= self.pulse.answered.load(Ordering::Acquire)
    }

    /// Has the thread do this, and waits for the answer.
    pub(super) fn ask<R: Send + 'static>(&self, work: impl FnOnce(&mut S) -> Result<R> + Send + 'static) -> Result<R> {
        if !self.answers() {
            return Err(TokenError::Unhealthy);
        }
        let (reply, answer) = sync_channel(1);
        let number = self.pulse.asked.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        let task =
            Task { number, since: Instant::now(), work: Box::new(move |state| drop(reply.try_send(work(state)))) };
        match self.tasks.as_ref().ok_or(TokenError::Stopped)?.try_send(task) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(TokenError::Busy),
            Err(TrySendError::Disconnected(_)) => return Err(TokenError::Stopped),
        }
        match answer.recv_timeout(self.answer_within) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => {
                self.pulse.late.fetch_max(number, Ordering::AcqRel);
                Err(TokenError::NoAnswer(self.answer_within))
            }
            Err(RecvTimeoutError::Disconnected) => Err(TokenError::Stopped),
        }
    }
}

impl<S> Drop for Worker<S> {
    /// Lets a healthy thread close its session before the process goes on, and leaves one that hangs.
    fn drop(&mut self) {
        self.tasks = None;
        let answers = self.pulse.late.load(Ordering::Acquire) <= self.pulse.answered.load(Ordering::Acquire);
        if let Ok(Some(running)) = self.running.get_mut().map(Option::take) {
            running.join(if answers { self.answer_within } else { Duration::ZERO });
        }
    }
}

fn serve<S>(mut state: S, queue: &Receiver<Task<S>>, pulse: &Pulse, within: Duration) {
    while let Ok(Task { number, since, work }) = queue.recv() {
        if since.elapsed() < within {
            work(&mut state);
        } else {
            // Dropped unmade; its caller has its answer, and secrets in it are overwritten.
            drop(work);
        }
        pulse.answered.fetch_max(number, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(20);

    fn worker(within: Duration) -> Worker<u32> {
        Worker::start(LONG, within, || Ok((7, ())), drop).unwrap().0
    }

    #[test]
    fn a_call_that_hangs_hangs_no_caller_and_the_next_fails_at_once() {
        let worker = worker(SHORT);
        let (go, gate) = sync_channel::<()>(0);
        let hung = worker.ask(move |_| gate.recv().map_err(|_| TokenError::Removed("the gate".to_owned())));
        assert_eq!(hung, Err(TokenError::NoAnswer(SHORT)));
        assert_eq!(worker.ask(|state| Ok(*state)), Err(TokenError::Unhealthy));
        assert!(!worker.answers());
        drop(go);
        let until = Instant::now() + LONG;
        while !worker.answers() && Instant::now() < until {
            thread::yield_now();
        }
        assert_eq!(worker.ask(|state| Ok(*state)), Ok(7));
    }

    #[test]
    fn a_call_that_waited_too_long_is_never_made() {
        let worker = Arc::new(worker(SHORT));
        let (go, gate) = sync_channel::<()>(0);
        let (at, started) = sync_channel(1);
        let first = Arc::clone(&worker);
        let first = thread::spawn(move || {
            first.ask(move |_| {
                at.send(()).unwrap();
                gate.recv().map_err(|_| TokenError::Removed("the gate".to_owned()))
            })
        });
        started.recv().unwrap();
        // Queued while the worker still counts as healthy.
        let second = worker.ask(|state| {
            *state = 8;
            Ok(())
        });
        assert!(matches!(second, Err(TokenError::NoAnswer(_) | TokenError::Unhealthy)));
        assert_eq!(first.join().unwrap(), Err(TokenError::NoAnswer(SHORT)));
        drop(go);
        let until = Instant::now() + LONG;
        while !worker.answers() && Instant::now() < until {
            thread::yield_now();
        }
        assert_eq!(worker.ask(|state| Ok(*state)), Ok(7));
    }

    #[test]
    fn a_late_start_hands_its_state_to_be_undone() {
        let (undone, told) = sync_channel(1);
        let (go, gate) = sync_channel::<()>(0);
        let make = move || {
            let _ = gate.recv();
            Ok((5_u32, ()))
        };
        let late = Worker::start(SHORT, SHORT, make, move |state| undone.send(state).unwrap());
        assert_eq!(late.err(), Some(TokenError::NoAnswer(SHORT)));
        drop(go);
        assert_eq!(told.recv_timeout(LONG), Ok(5));
    }

    #[test]
    fn a_thread_that_panics_is_told() {
        let worker = worker(LONG);
        assert_eq!(worker.ask(|_| -> Result<()> { panic!("on purpose") }), Err(TokenError::Stopped));
        assert_eq!(worker.ask(|state| Ok(*state)), Err(TokenError::Stopped));
    }
}
