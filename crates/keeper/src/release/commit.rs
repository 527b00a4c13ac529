//! The batch: up to 64 decisions, one transaction, one ticket.

use crate::cache::Known;
use crate::datastore::Transaction;
use crate::decide::Verdict;
use crate::engine::Engine;
use crate::epochs::{self, Subject};
use crate::error::{Error, Result};
use crate::facts::{self, Actor};
use crate::journal::{Blob, By, Event, Logged};
use api::terms::PrincipalId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A decision with its entry, not yet in the log.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) by: By,
    /// What the decision saw.
    pub(crate) known: Arc<Known>,
    pub(crate) blob: Blob,
    pub(crate) event: Event,
    /// A second decision that a release rests on, with its entry.
    pub(crate) also: Option<(Event, Blob)>,
    pub(crate) verdict: Verdict,
    /// Whether keys leave: policy lets them, and their states do.
    pub(crate) released: bool,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Logged: the keys may leave.
    Released(Logged),
    /// Logged as a denial.
    Denied,
    /// Its facts changed: decide again. Nothing was logged.
    Stale,
}

/// Logs a batch. When this returns, what was not stale is durable.
pub(crate) fn commit(engine: &Engine, batch: &[&Decided]) -> Result<Vec<Fate>> {
    engine.store.write(|tx| run(engine, tx, batch))
}

fn run(engine: &Engine, tx: &mut dyn Transaction, batch: &[&Decided]) -> Result<Vec<Fate>> {
    let union: BTreeSet<Subject> = batch.iter().flat_map(|decided| decided.known.epochs.keys().copied()).collect();
    let union: Vec<Subject> = union.into_iter().collect();
    let stands = epochs::hold(tx, &union)?;
    let closing = epochs::closing(tx, &union)?;
    // Epochs have no MAC: the set must also be the one that its row names, and who acts must be as its rows say now.
    let in_force = engine.rules_hash(tx)?;
    let actors = actors(engine, tx, batch)?;
    // A denial stays one: a revocation under way takes rights away only. What it would allow is decided again.
    let fresh = |decided: &Decided| {
        let known = &decided.known;
        let same = known.epochs.iter().all(|(subject, value)| stands.get(subject) == Some(value))
            && decided.verdict.answer.set_hash.to_string() == in_force
            && actors.get(&known.actor.row.id) == Some(&known.actor);
        same && (!decided.released || !closing.iter().any(|s| known.epochs.contains_key(s)))
    };
    let mut fates = vec![Fate::Stale; batch.len()];
    let kept: Vec<(usize, &&Decided)> = batch.iter().enumerate().filter(|(_, decided)| fresh(decided)).collect();
    if kept.is_empty() {
        return Ok(fates);
    }
    let ticket = tx.ticket()?;
    engine.watch.mark(tx)?;
    let mut events: Vec<(&By, &Event)> = kept.iter().map(|(_, decided)| (&decided.by, &decided.event)).collect();
    let also = || kept.iter().filter_map(|(_, decided)| decided.also.as_ref().map(|also| (&decided.by, also)));
    events.extend(also().map(|(by, (event, _))| (by, event)));
    // Those of the releases come first.
    let logged = engine.log_all(tx, ticket, &events)?;
    // A denial that was only counted is not replayed.
    let told = kept.iter().zip(&logged).filter(|(_, logged)| logged.is_some());
    let mut blobs: Vec<&Blob> = told.map(|((_, decided), _)| &decided.blob).collect();
    blobs.extend(also().map(|(_, (_, blob))| blob));
    engine.keep_all(tx, ticket, &blobs)?;
    for ((at, decided), logged) in kept.into_iter().zip(logged) {
        let done = match (decided.released, logged) {
            (true, Some(logged)) => Fate::Released(logged),
            (true, None) => return Err(Error::Internal("a release has no entry")),
            (false, _) => Fate::Denied,
        };
        if let Some(fate) = fates.get_mut(at) {
            *fate = done;
        }
    }
    Ok(fates)
}

/// The principals of a batch with their grants, read under their MACs.
fn actors(engine: &Engine, tx: &mut dyn Transaction, batch: &[&Decided]) -> Result<BTreeMap<PrincipalId, Actor>> {
    let ids: BTreeSet<PrincipalId> = batch.iter().map(|decided| decided.known.actor.row.id).collect();
    ids.into_iter().map(|id| Ok((id, facts::actor(engine, tx, id)?))).collect()
}
