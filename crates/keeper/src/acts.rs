//! Acts on the vault itself or on a workspace: decided, logged, and done in one transaction.

use crate::datastore::Transaction;
use crate::decide::{About, THE_VAULT, Verdict, judge};
use crate::engine::Engine;
use crate::epochs::{self, Subject};
use crate::error::{Error, Result};
use crate::facts::{self, Circumstances, Stated};
use crate::journal::{By, Event};
use crate::rows::PolicySet;
use crate::session::Session;
use crate::write::{Outcome, denied};
use api::terms::{Action, DecisionId, Timestamp};
use log::entry::Kind;
use policy::Resource;

/// An act that was allowed, inside its transaction.
pub(crate) struct Act<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) by: By,
    pub(crate) now: Timestamp,
    pub(crate) verdict: Verdict,
    /// Drawn after the locks.
    pub(crate) ticket: i64,
}

impl Act<'_> {
    /// The entry of the act, with its decision.
    pub(crate) fn event(&self, act: &'static str) -> Event {
        Event { decision: Some(self.verdict.logged()), ..Event::new(Kind::State, act) }
    }
}

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) action: Action,
    pub(crate) resource: Resource,
    /// Its name in the log when it is refused.
    pub(crate) act: &'static str,
    /// What it is about, in words.
    pub(crate) path: String,
    /// The policies that decide.
    pub(crate) under: Under,
}

/// Which policies decide on an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Under {
    /// Those in force, which must have this program's baseline.
    Current,
    /// Those in force, whatever their baseline: for the act that moves it.
    Applied,
}

impl Wanted {
    /// Of the vault itself.
    pub(crate) fn vault(action: Action, act: &'static str) -> Self {
        Self { action, resource: Resource::Vault, act, path: THE_VAULT.into(), under: Under::Current }
    }
}

/// Decides and, if allowed, acts, in one write transaction; a refusal is logged in it instead.
pub(crate) fn act<T>(
    engine: &Engine,
    session: &Session,
    wanted: &Wanted,
    seized: &[Subject],
    body: impl Fn(&mut dyn Transaction, &Act<'_>) -> Result<T>,
) -> Result<T> {
    act_stated(engine, session, wanted, &Stated::default(), seized, body)
}

/// The same where the caller may have to state a reason and confirm the path.
pub(crate) fn act_stated<T>(
    engine: &Engine,
    session: &Session,
    wanted: &Wanted,
    stated: &Stated<'_>,
    seized: &[Subject],
    body: impl Fn(&mut dyn Transaction, &Act<'_>) -> Result<T>,
) -> Result<T> {
    let now = engine.now()?;
    acted(engine, session, (wanted, stated), seized, &[now], |tx, act| {
        engine.watch.mark(tx)?;
        body(tx, act)
    })
}

/// The same at times that the watch does not vouch for: it is allowed if it is at each of them, and happens at the last.
pub(crate) fn act_at<T>(
    engine: &Engine,
    session: &Session,
    wanted: &Wanted,
    seized: &[Subject],
    times: &[Timestamp],
    body: impl Fn(&mut dyn Transaction, &Act<'_>) -> Result<T>,
) -> Result<T> {
    acted(engine, session, (wanted, &Stated::default()), seized, times, body)
}

fn acted<T>(
    engine: &Engine,
    session: &Session,
    (wanted, stated): (&Wanted, &Stated<'_>),
    seized: &[Subject],
    times: &[Timestamp],
    body: impl Fn(&mut dyn Transaction, &Act<'_>) -> Result<T>,
) -> Result<T> {
    let ids = times.iter().map(|_| crate::system::random().map(DecisionId::from_bytes)).collect::<Result<Vec<_>>>()?;
    let outcome = engine.store.write(|tx| {
        let held = [*session.principal.as_bytes(), PolicySet::row_id()];
        let held: Vec<Subject> = held.into_iter().filter(|subject| !seized.contains(subject)).collect();
        epochs::seize(tx, seized)?;
        epochs::hold(tx, &held)?;
        // About oneself too: whose rights are being taken away does not give them back by a change of itself.
        if !epochs::closing(tx, &[*session.principal.as_bytes(), PolicySet::row_id()])?.is_empty() {
            return Err(Error::Stale);
        }
        let mut last = None;
        for (&time, &id) in times.iter().zip(&ids) {
            let circumstances = Circumstances::stated(time, stated, &wanted.path)?;
            let verdict = decided(engine, tx, session, wanted, id, &circumstances)?;
            if !verdict.answer.allowed {
                return denied(engine, tx, &By::session(session, time), verdict, wanted.act);
            }
            last = Some((time, verdict));
        }
        let (now, verdict) = last.ok_or(Error::Internal("an act at no time"))?;
        let by = By::session(session, now);
        let ticket = tx.ticket()?;
        engine.keep(tx, ticket, &verdict)?;
        body(tx, &Act { engine, by, now, verdict, ticket }).map(Outcome::Done)
    })?;
    outcome.told(&About::new(&wanted.path, &session.name))
}

/// Decides on something that is only looked at; a refusal is logged.
pub(crate) fn look(engine: &Engine, session: &Session, wanted: &Wanted) -> Result<()> {
    look_as(engine, session, wanted, &About::new(&wanted.path, &session.name))
}

/// The same, refused in these words.
pub(crate) fn look_as(engine: &Engine, session: &Session, wanted: &Wanted, about: &About) -> Result<()> {
    let now = engine.now()?;
    let id = DecisionId::from_bytes(crate::system::random()?);
    let circumstances = Circumstances::plain(now)?;
    let verdict = engine.store.read(|tx| decided(engine, tx, session, wanted, id, &circumstances))?;
    if verdict.answer.allowed {
        return Ok(());
    }
    let by = By::session(session, now);
    engine.store.write(|tx| denied::<()>(engine, tx, &by, verdict.clone(), wanted.act))?.told(about)
}

fn decided(
    engine: &Engine,
    tx: &mut dyn Transaction,
    session: &Session,
    wanted: &Wanted,
    id: DecisionId,
    circumstances: &Circumstances,
) -> Result<Verdict> {
    let actor = facts::actor(engine, tx, session.principal)?;
    let rules = match wanted.under {
        Under::Current => engine.rules(tx)?,
        Under::Applied => engine.rules_as_applied(tx)?,
    };
    let query = facts::query(engine, session, &actor, wanted.action, wanted.resource.clone(), circumstances);
    Ok(judge(&rules, id, &query))
}
