//! `key destroy`: a key is to go, and what only it opens with it. From then on it opens nothing; for as long as its class waits, any
//! custodian can cancel that. The end is [`super::shred`], or, of a version's key, that of a removed version.

use super::domains::newest;
use super::state::{MAX_REASON_LEN, Target};
use crate::acts::{Act, Under, Wanted, act, act_stated};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::epochs;
use crate::error::{Error, Result};
use crate::facts::{Found, Stated};
use crate::hold::looked::{self, Looked, steady};
use crate::journal::Logged;
use crate::keys::list::wraps_under;
use crate::removal;
use crate::rows::{Artifact, Domain, Ending, Key, Removed, Version, Workspace, Wrap};
use crate::session::Session;
use crate::show;
use api::terms::{Action, ArtifactId, KeyId, KeyState, Kind, Timestamp};
use api::wire::{KeyDestroy, KeyDestroying, KeySpare};
use policy::Resource;
use std::collections::BTreeSet;

/// The acts.
const DESTROY: &str = "key.destroy";
const SPARE: &str = "key.spare";
/// Wraps read at a time.
const PAGE: i64 = 4096;

/// Sets a key's end.
pub(crate) fn destroy(engine: &Engine, session: &Session, command: &KeyDestroy) -> Result<KeyDestroying> {
    reasoned(&command.reason)?;
    let target = found(engine, command.key)?;
    let (wanted, versions, done) = steady(|| decided(engine, session, command, &target))?;
    let (until, logged) = hidden(done, command.key)?;
    engine.domains.forget(command.key);
    let receipt = logged.map(|logged| engine.settled(&logged)).transpose()?;
    Ok(KeyDestroying { key: command.key, of: wanted.path, until: Some(until), versions, receipt })
}

/// Looks for holds, decides, and does it: what was decided, about how many versions, and what came of it.
fn decided(
    engine: &Engine,
    session: &Session,
    command: &KeyDestroy,
    target: &Target,
) -> Result<(Wanted, u64, Result<Done>)> {
    let looked = match target {
        Target::Domain { key, .. } => Some(Looked::at(engine, *key.as_bytes(), || is_held(engine, *key))?),
        Target::Version(_) | Target::Named(..) | Target::Vault => None,
    };
    let (wanted, versions) = engine.store.read(|tx| wanted(engine, tx, target, looked.as_ref()))?;
    let stated = Stated { reason: Some(&command.reason), confirm: command.confirm.as_deref() };
    let seized = [target.seized(), looked.iter().map(|_| looked::subject()).collect()].concat();
    let done = act_stated(engine, session, &wanted, &stated, &seized, |tx, act| {
        if let Some(looked) = &looked {
            looked.stands(tx)?;
        }
        match target {
            Target::Domain { key, domain, .. } => ended(tx, act, *key, domain, &command.reason),
            Target::Version(version) => removed(tx, act, version, &command.reason),
            Target::Named(..) | Target::Vault => Err(alone(target)),
        }
    });
    if matches!(done, Err(Error::Stale)) { Err(Error::Stale) } else { Ok((wanted, versions, done)) }
}

/// Cancels it.
pub(crate) fn spare(engine: &Engine, session: &Session, command: &KeySpare) -> Result<KeyDestroying> {
    reasoned(&command.reason)?;
    let target = found(engine, command.key)?;
    let wanted = Wanted { act: SPARE, ..target.wanted(engine, Action::ManageKeys, SPARE)? };
    let of = engine.store.read(|tx| target.place(engine, tx))?;
    let done = act(engine, session, &wanted, &target.seized(), |tx, act| spared(tx, act, &target, &command.reason));
    let logged = hidden(done, command.key)?;
    let receipt = Some(engine.settled(&logged)?);
    Ok(KeyDestroying { key: command.key, of, until: None, versions: 0, receipt })
}

fn reasoned(reason: &str) -> Result<()> {
    if reason.trim().is_empty() || reason.len() > MAX_REASON_LEN {
        return Err(Error::bad("the key", "its destruction, or that it is spared, has a reason of at most 1024 bytes"));
    }
    Ok(())
}

fn found(engine: &Engine, key: KeyId) -> Result<Target> {
    let target = engine.store.read(|tx| Target::find(engine, tx, key))?;
    let target = target.ok_or_else(|| Error::NotFound(key.to_string()))?;
    match target {
        Target::Domain { .. } | Target::Version(_) => Ok(target),
        Target::Named(..) | Target::Vault => Err(alone(&target)),
    }
}

/// A key that is not destroyed by itself.
fn alone(target: &Target) -> Error {
    match target {
        Target::Named(..) => Error::conflict("the key", "it goes with the key of its domain, and not by itself"),
        _ => of_the_vault(),
    }
}

fn of_the_vault() -> Error {
    Error::conflict("the key", "it is one of the vault's own, without which nothing works")
}

/// Whoever does not see the place learns neither its name nor that there is such a key.
fn hidden<T>(done: Result<T>, key: KeyId) -> Result<T> {
    done.map_err(|error| if matches!(error, Error::NotFound(_)) { Error::NotFound(key.to_string()) } else { error })
}

/// What is decided on, and how many versions it is about: for a domain's key, something of its class in its place that has no other
/// property, held if any version under it is.
fn wanted(
    engine: &Engine,
    tx: &mut dyn Transaction,
    target: &Target,
    looked: Option<&Looked<bool>>,
) -> Result<(Wanted, u64)> {
    let (resource, versions) = match target {
        Target::Domain { key, domain, .. } => {
            let row: Key = engine.keys.guard.expect(tx, key.as_bytes())?;
            let facts = policy::Artifact {
                id: ArtifactId::from_bytes(*key.as_bytes()),
                workspace: domain.workspace,
                class: domain.class,
                env: domain.environment,
                kind: Kind::Other,
                owner: Some(engine.owner),
                quarantined: false,
                held: looked.is_some_and(|looked| looked.found),
                residency: Vec::new(),
            };
            (Resource::Artifact(facts), wraps_under(tx, &row)?)
        }
        Target::Version(version) => (site(engine, tx, version)?.resource(), 1),
        Target::Named(..) | Target::Vault => return Err(alone(target)),
    };
    let path = target.place(engine, tx)?;
    Ok((Wanted { action: Action::DestroyKeys, resource, act: DESTROY, path, under: Under::Current }, versions))
}

fn site(engine: &Engine, tx: &mut dyn Transaction, version: &Version) -> Result<Found> {
    let guard = &engine.keys.guard;
    let workspace: Workspace = guard.expect(tx, version.workspace.as_bytes())?;
    let artifact: Artifact = guard.expect(tx, version.artifact.as_bytes())?;
    Ok(Found { workspace, artifact, version: version.clone() })
}

/// Whether any version whose key this one wraps is under a legal hold: in pages, each a transaction of its own, for [`Looked`].
pub(crate) fn is_held(engine: &Engine, key: KeyId) -> Result<bool> {
    let (mut free, mut after) = (BTreeSet::new(), Vec::new());
    loop {
        let page = engine.store.read(|tx| page_of(engine, tx, (key, &after), &free))?;
        if page.held {
            return Ok(true);
        }
        free.extend(page.free);
        match page.next {
            Some(last) => after = last.as_bytes().to_vec(),
            None => return Ok(false),
        }
    }
}

/// What a page of wraps tells.
#[derive(Debug, Default)]
struct Page {
    held: bool,
    /// Artifacts without any hold.
    free: BTreeSet<ArtifactId>,
    next: Option<KeyId>,
}

fn page_of(
    engine: &Engine,
    tx: &mut dyn Transaction,
    (key, after): (KeyId, &[u8]),
    free: &BTreeSet<ArtifactId>,
) -> Result<Page> {
    let guard = &engine.keys.guard;
    let tail = "WHERE under = $1 AND id > $2 ORDER BY id LIMIT $3";
    let wraps: Vec<Wrap> = guard.select(tx, tail, &[key.as_bytes().into(), after.into(), PAGE.into()])?;
    let mut page = Page::default();
    for wrap in &wraps {
        let (Some(id), Some(version)) = (wrap.artifact, wrap.version) else { continue };
        if free.contains(&id) || page.free.contains(&id) {
            continue;
        }
        let artifact: Artifact = guard.expect(tx, id.as_bytes())?;
        if artifact.holds.is_empty() {
            page.free.insert(id);
        } else if artifact.holds(version) {
            return Ok(Page { held: true, ..page });
        }
    }
    let is_full = wraps.len() as u64 == PAGE.unsigned_abs();
    page.next = wraps.last().filter(|_| is_full).map(|wrap| wrap.id);
    Ok(page)
}

/// When it ends, and the entry, if that was not set before.
type Done = (Timestamp, Option<Logged>);

/// A domain's key: closed for whatever it opens. Its successor is made when something is written there.
fn ended(tx: &mut dyn Transaction, act: &Act<'_>, id: KeyId, domain: &Domain, reason: &str) -> Result<Done> {
    let guard = &act.engine.keys.guard;
    let key: Key = guard.expect(tx, id.as_bytes())?;
    if key.state == KeyState::Destroyed {
        return Err(Error::conflict("the key", "it is destroyed already"));
    }
    if let Some(ending) = &key.ending {
        return Ok((ending.until, None));
    }
    let rules = act.engine.rules(tx)?;
    let until = removal::until(&rules, domain.class, act.now);
    let state = match key.state {
        // One that is set aside stays so: sparing it is not resuming it.
        KeyState::Active => KeyState::Deactivated,
        other => other,
    };
    let ending = Ending { at: act.now, by: act.by.principal, until, shredded: None, certified: None };
    let since = if state == key.state { key.since } else { act.now };
    let row = Key { state, since, due: None, ending: Some(ending), ..key.clone() };
    let change = guard.update(tx, &row, act.ticket)?;
    epochs::bump(tx, id.as_bytes())?;
    let first = newest(tx, guard, domain, key.purpose)?.is_some_and(|newest| newest.id == id);
    let event = act
        .event(DESTROY)
        .on("key", id)
        .on("workspace", domain.workspace)
        .with("class", domain.class)
        .with("environment", domain.environment)
        .with("from", key.state)
        .with("to", state)
        .with("newest", first)
        .with("until", until)
        .with("wraps", wraps_under(tx, &key)?)
        .changing(vec![change])
        .hiding("reason", reason)?;
    let logged = act.engine.log(tx, act.ticket, &act.by, &[event])?;
    Ok((until, logged.first().copied()))
}

/// A version's: as if the version had been removed, by whoever keeps the keys.
fn removed(tx: &mut dyn Transaction, act: &Act<'_>, version: &Version, reason: &str) -> Result<Done> {
    let (engine, guard) = (act.engine, &act.engine.keys.guard);
    let version: Version = guard.expect(tx, version.id.as_bytes())?;
    if let Some(removed) = &version.removed {
        if removed.destroyed.is_some() {
            return Err(Error::conflict("the key", "it is destroyed already"));
        }
        if removed.by_key {
            return Ok((removed.until, None));
        }
    }
    let found = site(engine, tx, &version)?;
    if let Some(alias) = show::aliases_of(engine, tx, version.id)?.first() {
        let path = found.path();
        return Err(Error::Conflict {
            what: "the key",
            why: format!("the alias `{alias}` points to {}", found.named()),
            hint: Some(format!("strongroom alias rm {path} {alias}")),
        });
    }
    let rules = engine.rules(tx)?;
    // What somebody removed before waits anew, and only a custodian brings it back from here on.
    let until = removal::until(&rules, version.class, act.now);
    let gone = Removed {
        at: act.now,
        by: act.by.principal,
        by_rule: false,
        until,
        held: found.artifact.holds(version.id),
        destroyed: None,
        by_key: true,
    };
    let mut changes = vec![guard.update(tx, &Version { removed: Some(gone), ..version.clone() }, act.ticket)?];
    changes.push(removal::updated(engine, tx, &found.artifact, act.ticket)?);
    epochs::bump(tx, version.artifact.as_bytes())?;
    let event = act
        .event(DESTROY)
        .on("key", version.key)
        .on("workspace", version.workspace)
        .on("artifact", version.artifact)
        .on("version", version.id)
        .with("class", version.class)
        .with("environment", version.environment)
        .with("until", until)
        .changing(changes)
        .hiding("reason", reason)?;
    let logged = engine.log(tx, act.ticket, &act.by, &[event])?;
    Ok((until, logged.first().copied()))
}

fn spared(tx: &mut dyn Transaction, act: &Act<'_>, target: &Target, reason: &str) -> Result<Logged> {
    let (engine, guard) = (act.engine, &act.engine.keys.guard);
    let too_late = || Error::conflict("the key", "it is destroyed already");
    let not_at_all = || {
        let why = "it is not to be destroyed".to_owned();
        Error::Conflict { what: "the key", why, hint: Some("strongroom key ls".to_owned()) }
    };
    let event = match target {
        Target::Domain { key, domain, .. } => {
            let key: Key = guard.expect(tx, key.as_bytes())?;
            let ending = key.ending.clone().ok_or_else(not_at_all)?;
            if ending.shredded.is_some() {
                return Err(too_late());
            }
            let change = guard.update(tx, &Key { ending: None, ..key.clone() }, act.ticket)?;
            epochs::bump(tx, key.id.as_bytes())?;
            act.event(SPARE).on("key", key.id).on("workspace", domain.workspace).changing(vec![change])
        }
        Target::Version(version) => {
            let version: Version = guard.expect(tx, version.id.as_bytes())?;
            let removed = version.removed.clone().filter(|removed| removed.by_key).ok_or_else(not_at_all)?;
            if removed.destroyed.is_some() {
                return Err(too_late());
            }
            let found = site(engine, tx, &version)?;
            let mut changes = vec![guard.update(tx, &Version { removed: None, ..version.clone() }, act.ticket)?];
            changes.push(removal::updated(engine, tx, &found.artifact, act.ticket)?);
            epochs::bump(tx, version.artifact.as_bytes())?;
            let event = act.event(SPARE).on("key", version.key).on("workspace", version.workspace);
            event.on("artifact", version.artifact).on("version", version.id).changing(changes)
        }
        Target::Named(..) | Target::Vault => return Err(alone(target)),
    };
    let logged = engine.log(tx, act.ticket, &act.by, &[event.hiding("reason", reason)?])?;
    logged.first().copied().ok_or(Error::Internal("an entry was lost"))
}
