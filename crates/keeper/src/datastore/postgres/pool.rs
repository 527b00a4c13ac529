//! Connections, each with its own runtime, lent to one caller at a time.

use super::super::Outcome;
use super::super::error::{Error, Result};
use super::session::{Failure, Mode, Session};
use super::{Options, translate};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, Config, NoTls};

/// The connections.
pub(super) struct Pool {
    config: Config,
    options: Options,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Link>,
    /// Idle and lent.
    open: usize,
}

impl Pool {
    pub(super) fn new(options: &Options) -> Result<Self> {
        // The parser's message may quote the address, which may hold a password.
        let mut config: Config = options
            .address
            .parse()
            .map_err(|_| Error::Unsupported("the address of the database is malformed".into()))?;
        config.connect_timeout(options.deadline).application_name("strongroom");
        Ok(Self { config, options: options.clone(), state: Mutex::default(), freed: Condvar::new() })
    }

    /// An idle connection, a new one, or the next that comes free.
    pub(super) fn take(&self) -> Result<Lease<'_>> {
        let full = |state: &mut State| state.idle.is_empty() && state.open >= self.options.connections.max(1);
        let waited = self.freed.wait_timeout_while(self.state(), self.options.deadline, full);
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            return Err(Error::Busy);
        }
        let link = state.idle.pop();
        if link.is_none() {
            state.open += 1;
        }
        drop(state);
        let mut lease = Lease { pool: self, link };
        if lease.link.is_none() {
            // A failure drops the lease, which gives the place back.
            lease.link = Some(Link::connect(&self.config, &self.options)?);
        }
        Ok(lease)
    }

    /// Forgets the idle connections.
    pub(super) fn clear(&self) {
        let idle = {
            let mut state = self.state();
            let idle = std::mem::take(&mut state.idle);
            state.open = state.open.saturating_sub(idle.len());
            idle
        };
        drop(idle);
        self.freed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection on loan.
pub(super) struct Lease<'p> {
    pool: &'p Pool,
    link: Option<Link>,
}

impl Lease<'_> {
    /// Runs one transaction to its end.
    pub(super) fn attempt(
        &mut self,
        begin: &'static str,
        mode: Mode,
        body: &mut dyn FnMut(&mut Session<'_>) -> Outcome,
    ) -> std::result::Result<(), Failure> {
        let Some(link) = &mut self.link else {
            return Err(Failure::Final(Error::Misuse("a lease has no connection")));
        };
        link.simple(begin, mode).inspect_err(|_| link.broken = true)?;
        // Until the end is known, a panic of the body must not lend the connection to somebody else.
        link.broken = true;
        let mut session = Session::new(link, mode);
        let outcome = body(&mut session);
        let failure = session.into_failure();
        link.broken = matches!(failure, Some(Failure::Lost(_))) || link.lost;
        match (outcome, failure) {
            (Outcome::Commit, None) => link.commit(mode),
            (outcome, failure) => {
                link.roll_back(mode);
                match (outcome, failure) {
                    (Outcome::RollBack, None | Some(Failure::Final(_))) => Ok(()),
                    (_, Some(failure)) => Err(failure),
                    (Outcome::Commit, None) => Ok(()),
                }
            }
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let kept = self.link.take().filter(|link| !link.broken && !link.client.is_closed());
        let mut state = self.pool.state();
        match kept {
            Some(link) => state.idle.push(link),
            None => state.open = state.open.saturating_sub(1),
        }
        drop(state);
        self.pool.freed.notify_one();
    }
}

/// One connection and the runtime that drives it.
pub(super) struct Link {
    pub(super) client: Client,
    runtime: Option<Runtime>,
    deadline: Duration,
    /// Not to be lent again.
    broken: bool,
    /// A call missed its deadline: nothing more is sent.
    lost: bool,
}

impl Link {
    fn connect(config: &Config, options: &Options) -> Result<Self> {
        let unavailable = |error: std::io::Error| Error::Unavailable(error.to_string());
        let runtime = Builder::new_current_thread().enable_io().enable_time().build().map_err(unavailable)?;
        let connecting = async {
            let (client, connection) = config.connect(NoTls).await?;
            // Its end shows in the next call.
            tokio::spawn(async move { drop(connection.await) });
            client.batch_execute(&settings(options)).await?;
            Ok(client)
        };
        let timed = runtime.block_on(async { tokio::time::timeout(options.deadline, connecting).await });
        let client = match timed {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => {
                runtime.shutdown_background();
                return Err(translate(&error, Mode::Read).into_error());
            }
            Err(_) => {
                runtime.shutdown_background();
                return Err(Error::Unavailable("connecting took too long".into()));
            }
        };
        Ok(Self { client, runtime: Some(runtime), deadline: options.deadline, broken: false, lost: false })
    }

    /// Waits for one call, at most until the deadline.
    pub(super) fn call<T>(
        &mut self,
        mode: Mode,
        call: impl AsyncFnOnce(&Client) -> std::result::Result<T, tokio_postgres::Error>,
    ) -> std::result::Result<T, Failure> {
        let Some(runtime) = self.runtime.as_ref().filter(|_| !self.lost) else {
            return Err(Failure::Final(Error::Unavailable("the connection was given up".into())));
        };
        let client = &self.client;
        let deadline = self.deadline;
        match runtime.block_on(async { tokio::time::timeout(deadline, call(client)).await }) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(translate(&error, mode)),
            Err(_) => {
                self.give_up();
                Err(Failure::Final(Error::Unavailable("a call missed its deadline".into())))
            }
        }
    }

    fn simple(&mut self, sql: &'static str, mode: Mode) -> std::result::Result<(), Failure> {
        self.call(mode, async |client| client.batch_execute(sql).await)
    }

    /// Commits. An answer that names a reason is final; no answer is an unknown outcome.
    fn commit(&mut self, mode: Mode) -> std::result::Result<(), Failure> {
        match self.simple("COMMIT", mode) {
            Err(Failure::Lost(error) | Failure::Final(error @ Error::Unavailable(_))) => {
                self.broken = true;
                Err(Failure::Final(if mode == Mode::Read { error } else { Error::OutcomeUnknown(error.to_string()) }))
            }
            known => known,
        }
    }

    fn roll_back(&mut self, mode: Mode) {
        // A connection that cannot roll back is dropped, and then the server rolls back.
        if !self.broken && self.simple("ROLLBACK", mode).is_err() {
            self.broken = true;
        }
    }

    /// Closes the socket at once.
    fn give_up(&mut self) {
        self.lost = true;
        self.broken = true;
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// Nothing here may cancel a statement by time: a cancelled commit would lie.
fn settings(options: &Options) -> String {
    format!(
        "SET lock_timeout = {}; SET statement_timeout = 0; SET client_connection_check_interval = 1000; \
         SET idle_in_transaction_session_timeout = {}",
        options.busy.as_millis().clamp(1, 3_600_000),
        options.deadline.as_millis().clamp(1, 1_800_000) * 2,
    )
}
