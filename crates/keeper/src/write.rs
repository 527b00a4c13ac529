//! Writing versions: begin (decision, intent, key), extend, commit, abandon.

mod answered;
mod begin;
mod check;
mod class;
mod commit;
pub(crate) mod named;
pub(crate) mod objects;
pub(crate) mod reencrypt;
pub(crate) mod switch;

pub(crate) use begin::begin;
pub(crate) use class::{Classed, Wished, class_of};
pub(crate) use commit::commit;

use crate::datastore::Transaction;
use crate::decide::{About, Verdict, judge};
use crate::engine::Engine;
use crate::epochs;
use crate::error::{Error, Result};
use crate::facts::{self, Actor, Circumstances};
use crate::journal::{By, Event};
use crate::keys::domains::wrap_of;
use crate::rows::{Draft, PolicySet, Table, Workspace};
use crate::session::Session;
use api::terms::{Action, DecisionId, DepotId, KeyId, ObjectId, Timestamp, VersionId};
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
    let event = verdict.denial(act);
    denied_as(engine, tx, by, verdict, event)
}

/// The same with more in its entry.
pub(crate) fn denied_as<T>(
    engine: &Engine,
    tx: &mut dyn Transaction,
    by: &By,
    verdict: Verdict,
    event: Event,
) -> Result<Outcome<T>> {
    let ticket = tx.ticket()?;
    let logged = engine.log(tx, ticket, by, &[event])?;
    if !logged.is_empty() {
        engine.keep(tx, ticket, &verdict)?;
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

/// The caller's draft that is to end, and the key that its own lies under, with every row held that the end rests on.
fn ending(
    engine: &Engine,
    tx: &mut dyn Transaction,
    session: &Session,
    (version, depot): (VersionId, Option<DepotId>),
) -> Result<(Draft, KeyId)> {
    let draft = own_draft(engine, tx, session, version)?;
    let under = wrap_of(tx, &engine.keys.guard, draft.key)?.under;
    let (artifact, subjects) = (
        *draft.artifact.as_bytes(),
        [*session.principal.as_bytes(), *draft.workspace.as_bytes(), *under.as_bytes(), PolicySet::row_id()],
    );
    epochs::hold(tx, &subjects)?;
    epochs::seize(tx, &[artifact])?;
    if !epochs::closing(tx, &[subjects.as_slice(), &[artifact]].concat())?.is_empty() {
        return Err(Error::Stale);
    }
    if let Some(depot) = depot {
        crate::depots::check_primary(engine, tx, depot)?;
    }
    Ok((draft, under))
}

/// What is asked again of whoever goes on with a draft: the right to write may have gone since it was begun.
struct Again<'a> {
    engine: &'a Engine,
    session: &'a Session,
    version: VersionId,
    now: Timestamp,
    decision: DecisionId,
}

/// The caller's draft, and what the policy says now of writing it.
struct Judged {
    draft: Draft,
    actor: Actor,
    verdict: Verdict,
    about: About,
}

impl<'a> Again<'a> {
    fn new(engine: &'a Engine, session: &'a Session, version: VersionId) -> Result<Self> {
        let decision = DecisionId::from_bytes(crate::system::random()?);
        Ok(Self { engine, session, version, now: engine.now()?, decision })
    }

    fn by(&self) -> By {
        By::session(self.session, self.now)
    }

    fn judge(&self, tx: &mut dyn Transaction) -> Result<Judged> {
        let (engine, session) = (self.engine, self.session);
        let guard = &engine.keys.guard;
        let draft = own_draft(engine, tx, session, self.version)?;
        let subjects = [
            *session.principal.as_bytes(),
            *draft.workspace.as_bytes(),
            *draft.artifact.as_bytes(),
            PolicySet::row_id(),
        ];
        epochs::hold(tx, &subjects)?;
        if !epochs::closing(tx, &subjects)?.is_empty() {
            return Err(Error::Stale);
        }
        let workspace: Workspace = guard.expect(tx, draft.workspace.as_bytes())?;
        let artifact = draft.makes(guard.expect(tx, draft.artifact.as_bytes())?, self.now);
        let actor = facts::actor(engine, tx, session.principal)?;
        let rules = engine.rules(tx)?;
        let here = (draft.class, draft.environment);
        let resource = facts::resource_of(&artifact, draft.class, draft.environment);
        let path = format!("{}/{}", workspace.name, artifact.name);
        let (action, circumstances) = match &draft.renews {
            None => (Action::Write, Circumstances::plain(self.now)?),
            Some(_) => (Action::Reencrypt, reencrypt::circumstances(self.now, &path)?),
        };
        let query = facts::query(engine, session, &actor, action, resource, &circumstances);
        let verdict = judge(&rules, self.decision, &query);
        let about = About::placed(path, &session.name, here);
        Ok(Judged { draft, actor, verdict, about })
    }
}

/// Registers more objects, and renews the lease. Whoever may not write any more does not keep a draft alive.
pub(crate) fn extend(engine: &Engine, session: &Session, version: VersionId, new: &[ObjectId]) -> Result<()> {
    objects::check_count(new)?;
    let again = Again::new(engine, session, version)?;
    let until = again.now.plus_millis(LEASE_MILLIS);
    let (about, outcome) = engine.store.write(|tx| {
        let Judged { draft, verdict, about, .. } = again.judge(tx)?;
        if !verdict.answer.allowed {
            return Ok::<_, Error>((about, denied(engine, tx, &again.by(), verdict, "version.extend")?));
        }
        renew(engine, tx, draft, until)?;
        objects::register(tx, &engine.keys.guard, version, new, until)?;
        Ok((about, Outcome::Done(())))
    })?;
    outcome.told(&about)
}

/// Moves the lease of a draft and of its objects.
fn renew(engine: &Engine, tx: &mut dyn Transaction, draft: Draft, until: Timestamp) -> Result<()> {
    let version = draft.version;
    let ticket = tx.ticket()?;
    engine.keys.guard.update(tx, &Draft { lease_until: until, ..draft }, ticket)?;
    objects::renew(tx, version, until)
}

/// Gives a version up: its key is forgotten, its objects become garbage. Whoever lost the right to write may still give up what they
/// began; a suspended principal does nothing.
pub(crate) fn abandon(engine: &Engine, session: &Session, version: VersionId) -> Result<()> {
    let again = Again::new(engine, session, version)?;
    let (about, outcome) = engine.store.write(|tx| {
        let Judged { draft, actor, verdict, about } = again.judge(tx)?;
        if actor.row.suspended && !verdict.answer.allowed {
            return Ok::<_, Error>((about, denied(engine, tx, &again.by(), verdict, "version.abandon")?));
        }
        let ticket = tx.ticket()?;
        give_up(engine, tx, &again.by(), &draft, "given up", ticket)?;
        Ok((about, Outcome::Done(())))
    })?;
    outcome.told(&about)
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
