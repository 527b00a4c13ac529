//! Keys that seal and are not what the table asks for now: of a suite that is not written, or under a root that may not wrap. Nothing is
//! sealed under one: the command that would makes the next key first, so that no date stops anybody's work.

use super::Domains;
use super::domains::{newest, wraps_of};
use super::named::{self, Named};
use super::rotate::succeeded;
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::epochs;
use crate::error::{Error, Result};
use crate::jobs::by_system;
use crate::journal::Event;
use crate::rows::{Key, NamedVersion, Purpose, Root};
use api::terms::{KeyId, KeyState, Suite, Timestamp};
use log::entry::Kind;
use std::collections::BTreeSet;

/// How a key that seals is out of policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drift {
    /// Its suite is not the one that is written.
    Suite {
        /// The one that is.
        written: Suite,
    },
    /// A root wraps it that may not wrap there.
    Root {
        /// Which.
        root: KeyId,
    },
    /// Its time is over.
    Overdue {
        /// Since when.
        due: Timestamp,
    },
}

/// How a domain key that writes is out of policy, its time included.
pub(crate) fn of_domain(engine: &Engine, tx: &mut dyn Transaction, key: &Key, at: Timestamp) -> Result<Option<Drift>> {
    let overdue = key.due.filter(|due| *due <= at).map(|due| Drift::Overdue { due });
    Ok(drifted(engine, tx, key, at)?.or(overdue))
}

fn drifted(engine: &Engine, tx: &mut dyn Transaction, key: &Key, at: Timestamp) -> Result<Option<Drift>> {
    let Some(domain) = key.domain else { return Ok(None) };
    let table = engine.crypto(tx)?;
    let written = table.writes(domain.class, domain.environment, at);
    if key.suite != written {
        return Ok(Some(Drift::Suite { written }));
    }
    if !table.speaks_of_roots() {
        // The class table never changes, and no wrap was made that it does not admit.
        return Ok(None);
    }
    let guard = &engine.keys.guard;
    for wrap in wraps_of(tx, guard, key.id)? {
        let Some(root) = guard.find::<Root>(tx, wrap.under.as_bytes())? else { continue };
        if root.state.counts() && !table.wraps(domain.class, domain.environment, root.term(), at) {
            return Ok(Some(Drift::Root { root: root.id }));
        }
    }
    Ok(None)
}

/// How the version of a named key that seals is, its domain's key apart.
pub(crate) fn of_named(
    engine: &Engine,
    tx: &mut dyn Transaction,
    named: &Named,
    at: Timestamp,
) -> Result<Option<Drift>> {
    let domain = named.row.domain;
    let written = engine.crypto(tx)?.writes(domain.class, domain.environment, at);
    let newest: &NamedVersion = &named.newest;
    let overdue = newest.due.filter(|due| *due <= at).map(|due| Drift::Overdue { due });
    Ok(if newest.suite == written { overdue } else { Some(Drift::Suite { written }) })
}

/// Refuses to seal under a domain key that is out of policy. Its time alone stops nobody: a job renews it.
pub(crate) fn refuse(engine: &Engine, tx: &mut dyn Transaction, key: &Key, at: Timestamp) -> Result<()> {
    match drifted(engine, tx, key, at)? {
        Some(_) => Err(Error::OutOfPolicy { key: key.id }),
        None => Ok(()),
    }
}

/// Refuses to seal a value under a named key that is out of policy, or whose domain's key is.
pub(crate) fn refuse_named(engine: &Engine, tx: &mut dyn Transaction, named: &Named, at: Timestamp) -> Result<()> {
    if let Some(key) = Domains::active(tx, &engine.keys.guard, &named.row.domain, Purpose::Domain)? {
        refuse(engine, tx, &key, at)?;
    }
    match of_named(engine, tx, named, at)? {
        Some(Drift::Suite { .. }) => Err(Error::OutOfPolicy { key: named.newest.key }),
        _ => Ok(()),
    }
}

/// The most keys that one act makes another follow: each domain of a workspace, and its archive.
const MAX_FOLLOWED: usize = 32;

/// Does something, and where a key is in the way that is out of policy, makes the next one and does it again. A domain's key may stand
/// in the way first, and a named one after it; what is moved in a workspace may meet one in each of its domains.
pub(crate) fn mended<T>(engine: &Engine, run: impl Fn() -> Result<T>) -> Result<T> {
    let mut followed = BTreeSet::new();
    loop {
        match run() {
            Err(Error::OutOfPolicy { key }) if followed.len() < MAX_FOLLOWED && followed.insert(key) => {
                follow(engine, key)?;
            }
            other => return other,
        }
    }
}

/// Makes the next key after one that is out of policy, in a transaction of its own, unless somebody was faster.
fn follow(engine: &Engine, key: KeyId) -> Result<()> {
    let now = engine.now()?;
    let guard = &engine.keys.guard;
    engine.store.write(|tx| {
        let named = guard.find::<NamedVersion>(tx, key.as_bytes())?;
        epochs::seize(tx, &[named.as_ref().map_or(*key.as_bytes(), |version| *version.named.as_bytes())])?;
        let event = Event::new(Kind::State, "key.rotate").with("why", "it is out of policy");
        let event = match named {
            Some(version) => named_event(engine, tx, (now, &version), event)?,
            None => domain_event(engine, tx, (now, key), event)?,
        };
        let Some((ticket, event)) = event else { return Ok(()) };
        engine.watch.mark(tx)?;
        engine.log(tx, ticket, &by_system(engine, now), &[event]).map(drop)
    })
}

fn domain_event(
    engine: &Engine,
    tx: &mut dyn Transaction,
    (now, key): (Timestamp, KeyId),
    event: Event,
) -> Result<Option<(i64, Event)>> {
    let old: Key = engine.keys.guard.expect(tx, key.as_bytes())?;
    let Some(domain) = old.domain else { return Ok(None) };
    let leads = newest(tx, &engine.keys.guard, &domain, old.purpose)?.is_some_and(|newest| newest.id == key);
    if !leads || old.state != KeyState::Active || drifted(engine, tx, &old, now)?.is_none() {
        return Ok(None);
    }
    let ticket = tx.ticket()?;
    let (_, event) = succeeded(engine, tx, (ticket, now), &old, event)?;
    Ok(Some((ticket, event)))
}

fn named_event(
    engine: &Engine,
    tx: &mut dyn Transaction,
    (now, version): (Timestamp, &NamedVersion),
    event: Event,
) -> Result<Option<(i64, Event)>> {
    let named = Named::by_id(engine, tx, version.named)?;
    let is_same = named.newest.key == version.key && named.newest.state.protects();
    if !is_same || of_named(engine, tx, &named, now)?.is_none() {
        return Ok(None);
    }
    let ticket = tx.ticket()?;
    let (_, event) = named::succeed(engine, tx, (ticket, now), &named, event)?;
    Ok(Some((ticket, event)))
}
