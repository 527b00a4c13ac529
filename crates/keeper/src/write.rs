//! Writing versions: begin (decision, intent, key), extend, commit, abandon.

mod begin;
mod check;
mod class;
mod commit;
pub(crate) mod named;
pub(crate) mod objects;

pub(crate) use begin::begin;
pub(crate) use class::{Classed, Wished, class_of};
pub(crate) use commit::commit;

use crate::datastore::Transaction;
use crate::decide::{About, Verdict};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::journal::{By, Event};
use crate::keys::domains::wrap_of;
use crate::rows::{Draft, Table};
use crate::session::Session;
use api::terms::{ObjectId, Timestamp, VersionId};
use log::entry::Kind;

/// How long a version may stay unfinished before garbage collection takes it, counted from its last sign of life.
pub(crate) const LEASE_MILLIS: u64 = 24 * 3_600_000;

/// What a deciding transaction came to: done, or refused and logged as a denial.
pub(crate) enum Outcome<T> {
    Done(T),
    Refused(Box<Verdict>),
}

impl<T> Outcome<T> {
    /// The answer, or the error of the refusal.
    pub(crate) fn told(self, about: &About) -> Result<T> {
        match self {
            Self::Done(answer) => Ok(answer),
            Self::Refused(verdict) => Err(verdict.error(about)),
        }
    }
}

/// Logs a denial in the transaction that decided it.
pub(crate) fn denied<T>(
    engine: &Engine,
    tx: &mut dyn Transaction,
    by: &By,
    verdict: Verdict,
    act: &'static str,
) -> Result<Outcome<T>> {
    let ticket = tx.ticket()?;
    let logged = engine.log(tx, ticket, by, &[verdict.denial(act)])?;
    if !logged.is_empty() {
        engine.keep(tx, ticket, &[&verdict.blob()])?;
    }
    Ok(Outcome::Refused(Box::new(verdict)))
}

/// The draft of a version, if it is the caller's.
pub(crate) fn own_draft(
    engine: &Engine,
    tx: &mut dyn Transaction,
    session: &Session,
    version: VersionId,
) -> Result<Draft> {
    let draft: Option<Draft> = engine.keys.guard.find(tx, version.as_bytes())?;
    draft
        .filter(|draft| draft.principal == session.principal)
        .ok_or_else(|| Error::NotFound(format!("the version {version} being written")))
}

/// Registers more objects, and renews the lease.
pub(crate) fn extend(engine: &Engine, session: &Session, version: VersionId, new: &[ObjectId]) -> Result<()> {
    objects::check_count(new)?;
    let until = engine.now()?.plus_millis(LEASE_MILLIS);
    engine.store.write(|tx| {
        let draft = own_draft(engine, tx, session, version)?;
        renew(engine, tx, draft, until)?;
        objects::register(tx, &engine.keys.guard, version, new, until)
    })
}

/// Moves the lease of a draft and of its objects.
fn renew(engine: &Engine, tx: &mut dyn Transaction, draft: Draft, until: Timestamp) -> Result<()> {
    let version = draft.version;
    let ticket = tx.ticket()?;
    engine.keys.guard.update(tx, &Draft { lease_until: until, ..draft }, ticket)?;
    objects::renew(tx, version, until)
}

/// Gives a version up: its key is forgotten, its objects become garbage.
pub(crate) fn abandon(engine: &Engine, session: &Session, version: VersionId) -> Result<()> {
    let by = By::session(session, engine.now()?);
    engine.store.write(|tx| {
        let draft = own_draft(engine, tx, session, version)?;
        let ticket = tx.ticket()?;
        give_up(engine, tx, &by, &draft, "given up", ticket)
    })
}

/// Removes a draft and logs its outcome.
pub(crate) fn give_up(
    engine: &Engine,
    tx: &mut dyn Transaction,
    by: &By,
    draft: &Draft,
    why: &str,
    ticket: i64,
) -> Result<()> {
    let guard = &engine.keys.guard;
    let wrap = wrap_of(tx, guard, draft.key)?;
    let change = guard.remove::<crate::rows::Wrap>(tx, &wrap.id())?;
    guard.remove::<Draft>(tx, draft.version.as_bytes())?;
    objects::release(tx, draft.version, by.at)?;
    let event = Event::new(Kind::Outcome, "version.abandon")
        .on("version", draft.version)
        .on("artifact", draft.artifact)
        .on("intent", draft.intent)
        .with("why", why)
        .changing(vec![change]);
    engine.log(tx, ticket, by, &[event]).map(|_| ())
}
