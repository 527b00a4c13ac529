//! Rotation: a new version of a domain key, and of the archive key of its domain, writes at once; version keys are wrapped again in batches, each a transaction with
//! its entry, so that a kill loses nothing and the next command goes on. The depot is never touched.
//!
//! A compromised key is followed by a new one as well, and what it wraps is moved like the rest. That ends its use here; whoever has it and
//! an older copy of the database has the version keys all the same (`docs/incidents.md`).

mod one;
mod rewrap;

use super::domains::{NewDomainKey, newest, place_of};
use super::drift;
use super::list::{item, wraps_under};
use super::named::{self, Named};
use super::uses::{self, Bound};
use crate::acts::{Act, Wanted, act, look};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::epochs;
use crate::error::{Error, Result};
use crate::facts;
use crate::jobs::{Slice, by_system};
use crate::journal::{By, Event, Logged};
use crate::rows::{Domain, Key, NamedVersion, Purpose, Table};
use crate::session::Session;
use crate::write::objects::millis;
use api::terms::{Action, KeyId, KeyState, Name, Timestamp, WorkspaceId};
use api::wire::{KeyItem, KeyRotate, KeyRotated, KeyUnmade, Receipt};
use log::entry::Kind;
use policy::Resource;
use rewrap::{Rewrapped, next_behind, rewrap_all};
use std::collections::{BTreeMap, BTreeSet};

/// How long before its time is over a key is renewed: a tenth of the shortest cryptoperiod of the baseline.
pub(crate) const AHEAD_MILLIS: u64 = 3 * 86_400_000;
/// The most keys that are looked through at a time.
const MAX_RENEWED: i64 = 1_000;

/// Rotates the domain keys that match, each in a transaction of its own, and goes on with a rotation of them that did not finish. A domain
/// whose next key cannot be made keeps no other one from it.
pub(crate) fn rotate(engine: &Engine, session: &Session, command: &KeyRotate) -> Result<KeyRotated> {
    if command.per_second == Some(0) {
        return Err(Error::bad("the rotation", "a pace is at least one key in a second"));
    }
    if let Some(id) = command.key {
        return one::rotate(engine, session, command, id);
    }
    let (wanted, scope) = wanted(engine, command)?;
    if let Some(name) = &command.name {
        let meant = (command.workspace.as_ref(), name, command.out_of_policy);
        return rotate_named(engine, session, meant, &wanted);
    }
    // Also where nothing matches, whoever may not is told so.
    look(engine, session, &wanted)?;
    let meant = |state| move |tx: &mut dyn Transaction| matching(engine, tx, command, scope, state);
    let matching = engine.store.read(meant(KeyState::Active))?;
    let suspended = engine.store.read(meant(KeyState::Suspended))?;
    let lost = engine.store.read(|tx| {
        let compromised = meant(KeyState::Compromised)(tx)?;
        leading(engine, tx, compromised)
    })?;
    let unfinished = engine.store.read(|tx| behind(engine, tx, &matching))?;
    let mut rotation = Rotation::new(engine, session, (command, scope), &wanted)?;
    // Another rotation that did not finish keeps no domain waiting whose key is compromised.
    rotation.follow_each(lost.iter())?;
    let stuck = rotation.resume(&unfinished)?;
    let made_then: BTreeSet<Timestamp> =
        unfinished.iter().filter(|key| !stuck.contains(key)).map(|key| key.created).collect();
    // The first key of a domain is of no rotation, whenever it was made.
    let done = |key: &Key| unfinished.contains(key) || key.version > 1 && made_then.contains(&key.created);
    // What is wrapped again last is made first: a kill leaves something unfinished for long, by which the next one knows what was made.
    rotation.follow_each(matching.iter().rev().filter(|key| !done(key)))?;
    rotation.rewrap()?;
    rotation.told(&suspended)
}

/// The key that came after one, those of values in its domain, and where the log says so.
type Followed = (Key, Vec<NamedVersion>, Vec<Logged>);

/// A rotation of some domains, so far.
struct Rotation<'a> {
    engine: &'a Engine,
    session: &'a Session,
    command: &'a KeyRotate,
    scope: Option<WorkspaceId>,
    wanted: &'a Wanted,
    /// When it began, and when all of its keys were made: by that the next one knows them again.
    began: Timestamp,
    keys: Vec<Key>,
    values: Vec<NamedVersion>,
    logged: Vec<Logged>,
    rewrapped: u64,
    failed: Vec<KeyUnmade>,
    /// Under which keys something was not wrapped again, and why.
    left: BTreeMap<KeyId, Error>,
    /// The first that failed, as it was.
    first: Option<Error>,
}

impl<'a> Rotation<'a> {
    fn new(
        engine: &'a Engine,
        session: &'a Session,
        (command, scope): (&'a KeyRotate, Option<WorkspaceId>),
        wanted: &'a Wanted,
    ) -> Result<Self> {
        let began = engine.now()?;
        let (keys, values, logged, failed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (rewrapped, left, first) = (0, BTreeMap::new(), None);
        Ok(Self {
            engine,
            session,
            command,
            scope,
            wanted,
            began,
            keys,
            values,
            logged,
            rewrapped,
            failed,
            left,
            first,
        })
    }

    /// Makes the next key of each of these, as far as it can be made.
    fn follow_each<'k>(&mut self, keys: impl Iterator<Item = &'k Key>) -> Result<()> {
        for old in keys {
            match self.follow(old) {
                Ok(done) => self.took(done),
                Err(error) if error.is_of_one_key() => self.failed(old, error)?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn took(&mut self, (key, values, logged): Followed) {
        self.keys.push(key);
        self.values.extend(values);
        self.logged.extend(logged);
    }

    /// Makes the next version of a key, and of the named keys in its domain, in one transaction.
    fn follow(&self, old: &Key) -> Result<Followed> {
        let (engine, began) = (self.engine, self.began);
        act(engine, self.session, self.wanted, &[*old.id.as_bytes()], |tx, act| {
            let (key, event) = succeeded(engine, tx, (act.ticket, began), old, act.event("key.rotate"))?;
            let (mut values, mut events) = (Vec::new(), vec![event]);
            let named = match old.domain.filter(|_| old.purpose == Purpose::Domain) {
                Some(domain) => named::in_domain(engine, tx, &domain)?,
                None => Vec::new(),
            };
            for old in &named {
                let made = named::succeed(engine, tx, (act.ticket, act.now), old, act.event("key.rotate"))?;
                values.push(made.0);
                events.push(made.1);
            }
            Ok((key, values, engine.log(tx, act.ticket, &act.by, &events)?))
        })
    }

    fn failed(&mut self, key: &Key, error: Error) -> Result<()> {
        let of = self.place(key)?;
        self.first.get_or_insert(error.clone());
        self.failed.push(KeyUnmade { of, problem: error.into() });
        Ok(())
    }

    fn place(&self, key: &Key) -> Result<String> {
        let Some(domain) = key.domain else { return Err(Error::Internal("a domain key without a domain")) };
        self.engine.store.read(|tx| place_of(tx, &self.engine.keys.guard, &domain, key.purpose))
    }

    /// Goes on with what an unfinished rotation left: no further version is made on top of it. Those of these that it left still, because
    /// something under them does not open.
    fn resume(&mut self, unfinished: &[Key]) -> Result<Vec<Key>> {
        if unfinished.is_empty() {
            return Ok(Vec::new());
        }
        let engine = self.engine;
        let seized: Vec<[u8; 16]> = unfinished.iter().map(|key| *key.id.as_bytes()).collect();
        let logged = act(engine, self.session, self.wanted, &seized, |tx, act| {
            let event = act.event("key.rotate").with("resumed", "yes").with("keys", unfinished.len());
            engine.log(tx, act.ticket, &act.by, &[event])
        })?;
        self.keys.extend(unfinished.iter().cloned());
        self.logged.extend(logged);
        if self.command.no_wait {
            return Ok(Vec::new());
        }
        self.rewrap()?;
        engine.store.read(|tx| behind(engine, tx, unfinished))
    }

    /// Wraps again what lies under older versions, of these domains and of others, unless that is left to later commands.
    fn rewrap(&mut self) -> Result<()> {
        if self.command.no_wait {
            return Ok(());
        }
        let engine = self.engine;
        // Keys that were opened under another table are not used.
        engine.store.read(|tx| engine.crypto(tx))?;
        let slice = self.command.per_second.map_or_else(Slice::whole, Slice::paced);
        let Rewrapped { done, left } = rewrap_all(engine, &By::session(self.session, engine.now()?), &slice)?;
        self.rewrapped += done;
        self.left.extend(left);
        Ok(())
    }

    /// The answer. If nothing was done of what somebody asked for by hand, and one thing failed, that is all there is to say.
    fn told(mut self, suspended: &[Key]) -> Result<KeyRotated> {
        let engine = self.engine;
        // Domains that the command is not about are those of others; of one that has several such keys the first reason is told.
        let mut named = BTreeSet::new();
        for (old, error) in std::mem::take(&mut self.left) {
            let old: Key = engine.store.read(|tx| engine.keys.guard.expect(tx, old.as_bytes()))?;
            let place = self.place(&old)?;
            if means(self.command, self.scope, &old) && named.insert(place) {
                self.failed(&old, error)?;
            }
        }
        let did_nothing = self.keys.is_empty() && self.rewrapped == 0 && !self.command.out_of_policy;
        if let Some(error) = self.first.take().filter(|_| did_nothing && self.failed.len() == 1) {
            return Err(error);
        }
        let suspended = suspended.iter().map(|key| self.place(key)).collect::<Result<Vec<_>>>()?;
        let receipts = self.logged.iter().map(|logged| engine.settled(logged)).collect::<Result<Vec<_>>>()?;
        let (keys, remaining) = engine.store.read(|tx| {
            let mut keys = self.keys.iter().map(|key| item(engine, tx, key)).collect::<Result<Vec<_>>>()?;
            for version in &self.values {
                keys.push(Named::by_id(engine, tx, version.named)?.item(tx, engine, version)?);
            }
            Ok::<_, Error>((keys, remaining(engine, tx)?))
        })?;
        let (rewrapped, failed) = (self.rewrapped, self.failed);
        Ok(KeyRotated { keys, already: false, rewrapped, remaining, suspended, failed, receipts })
    }
}

/// Keys that lie under older versions and are to be moved.
fn remaining(engine: &Engine, tx: &mut dyn Transaction) -> Result<u64> {
    let mut remaining = 0;
    for key in spent(engine, tx)?.into_iter().filter(|key| key.ending.is_none()) {
        remaining += wraps_under(tx, &key)?;
    }
    Ok(remaining)
}

/// Whether any rotation is unfinished.
pub(crate) fn is_unfinished(engine: &Engine) -> Result<bool> {
    Ok(engine.store.read(|tx| next_behind(tx, &BTreeSet::new()))?.is_some())
}

/// As much of unfinished rotations as the time allows; how many keys were wrapped again.
pub(crate) fn go_on(engine: &Engine, slice: &Slice) -> Result<u64> {
    engine.store.read(|tx| engine.crypto(tx))?;
    rewrap_all(engine, &by_system(engine, engine.now()?), slice)?.told()
}

fn wanted(engine: &Engine, command: &KeyRotate) -> Result<(Wanted, Option<WorkspaceId>)> {
    let Some(name) = &command.workspace else {
        return Ok((Wanted::vault(Action::RotateKeys, "key.rotate"), None));
    };
    let workspace = engine.store.read(|tx| facts::workspace_named(engine, tx, name))?;
    let workspace = workspace.ok_or_else(|| Error::NotFound(name.to_string()))?;
    let resource = Resource::Workspace(policy::Workspace { id: workspace.id });
    let path = name.to_string();
    let wanted = Wanted { resource, path, ..Wanted::vault(Action::RotateKeys, "key.rotate") };
    Ok((wanted, Some(workspace.id)))
}

/// The domain keys in a state that a command means.
fn matching(
    engine: &Engine,
    tx: &mut dyn Transaction,
    command: &KeyRotate,
    workspace: Option<WorkspaceId>,
    state: KeyState,
) -> Result<Vec<Key>> {
    let values = [Purpose::Domain.word().into(), Purpose::Archive.word().into(), state.word().into()];
    let tail = "WHERE purpose IN ($1, $2) AND state = $3 ORDER BY id";
    let mut keys: Vec<Key> = engine.keys.guard.select(tx, tail, &values)?;
    keys.retain(|key| means(command, workspace, key));
    if command.out_of_policy {
        let now = engine.now()?;
        let mut drifted = Vec::new();
        for key in keys {
            if drift::of_domain(engine, tx, &key, now)?.is_some() {
                drifted.push(key);
            }
        }
        return Ok(drifted);
    }
    Ok(keys)
}

/// Whether a command is about the domain of a key, in this workspace or any.
fn means(command: &KeyRotate, workspace: Option<WorkspaceId>, key: &Key) -> bool {
    key.domain.is_some_and(|domain| {
        workspace.is_none_or(|id| id == domain.workspace)
            && command.environment.is_none_or(|env| env == domain.environment)
            && command.class.is_none_or(|class| class == domain.class)
    })
}

/// Those of these keys that are the newest of their domain.
fn leading(engine: &Engine, tx: &mut dyn Transaction, keys: Vec<Key>) -> Result<Vec<Key>> {
    let mut leading = Vec::new();
    for key in keys {
        let Some(domain) = key.domain else { continue };
        if newest(tx, &engine.keys.guard, &domain, key.purpose)?.is_some_and(|newest| newest.id == key.id) {
            leading.push(key);
        }
    }
    Ok(leading)
}

/// The domain keys and archive keys that wrap nothing new, and whose wraps are to be moved.
fn spent(engine: &Engine, tx: &mut dyn Transaction) -> Result<Vec<Key>> {
    let values = [
        Purpose::Domain.word().into(),
        Purpose::Archive.word().into(),
        KeyState::Deactivated.word().into(),
        KeyState::Compromised.word().into(),
    ];
    engine.keys.guard.select(tx, "WHERE purpose IN ($1, $2) AND state IN ($3, $4) ORDER BY id", &values)
}

/// The active keys among these whose domain, or its archive, still has version keys under an older version.
fn behind(engine: &Engine, tx: &mut dyn Transaction, active: &[Key]) -> Result<Vec<Key>> {
    let mut sets: Vec<(Purpose, Option<Domain>)> = Vec::new();
    for key in spent(engine, tx)?.into_iter().filter(|key| key.ending.is_none()) {
        if wraps_under(tx, &key)? > 0 {
            sets.push((key.purpose, key.domain));
        }
    }
    Ok(active.iter().filter(|key| sets.contains(&(key.purpose, key.domain))).cloned().collect())
}

/// Rotates one named key. Values that are sealed stay as they are.
fn rotate_named(
    engine: &Engine,
    session: &Session,
    (workspace, name, drifted_only): (Option<&Name>, &Name, bool),
    wanted: &Wanted,
) -> Result<KeyRotated> {
    let Some(workspace) = workspace else {
        return Err(Error::bad("the rotation", "a named key is one of a workspace: name that too"));
    };
    match engine.store.read(|tx| Named::find(engine, tx, workspace, name))? {
        Some(named) => rotate_found(engine, session, &named, drifted_only, wanted),
        None => {
            // Whoever may not rotate there is told so, whether it is there or not.
            look(engine, session, wanted)?;
            Err(Error::NotFound(format!("{workspace}/{name}")))
        }
    }
}

fn rotate_found(
    engine: &Engine,
    session: &Session,
    named: &Named,
    drifted_only: bool,
    wanted: &Wanted,
) -> Result<KeyRotated> {
    let body = |tx: &mut dyn Transaction, act: &Act<'_>| {
        // Of what is in policy, nothing is wanted.
        if drifted_only && drift::of_named(engine, tx, named, act.now)?.is_none() {
            return Ok(None);
        }
        named::rotated(tx, act, named).map(Some)
    };
    let seized = [*named.row.id.as_bytes()];
    let Some((new, logged)) = drift::mended(engine, || act(engine, session, wanted, &seized, body))? else {
        return Ok(of_named(Vec::new(), Vec::new()));
    };
    let receipts = logged.iter().map(|logged| engine.settled(logged)).collect::<Result<Vec<_>>>()?;
    engine.store.read(|tx| {
        let item = Named::by_id(engine, tx, new.named)?.item(tx, engine, &new)?;
        Ok(of_named(vec![item], receipts.clone()))
    })
}

/// What is said of one named key.
fn of_named(keys: Vec<KeyItem>, receipts: Vec<Receipt>) -> KeyRotated {
    let (suspended, failed) = (Vec::new(), Vec::new());
    KeyRotated { keys, already: false, rewrapped: 0, remaining: 0, suspended, failed, receipts }
}

/// Makes the next version of a domain's key, which writes from now on, and closes this one; with what the log is to say of it.
pub(super) fn succeeded(
    engine: &Engine,
    tx: &mut dyn Transaction,
    (ticket, now): (i64, Timestamp),
    old: &Key,
    event: Event,
) -> Result<(Key, Event)> {
    let guard = &engine.keys.guard;
    let rules = engine.rules(tx)?;
    let refuse = || Error::Altered { table: Key::NAME, row: old.id.to_string() };
    let domain = old.domain.ok_or_else(refuse)?;
    let current = newest(tx, guard, &domain, old.purpose)?;
    if current.as_ref() != Some(old) || !matches!(old.state, KeyState::Active | KeyState::Compromised) {
        return Err(Error::conflict("the rotation", "somebody else rotated meanwhile"));
    }
    let version = old.version.checked_add(1).ok_or_else(refuse)?;
    let rotation_days = rules.class_rules(domain.class).rotation_days;
    let suite = engine.crypto(tx)?.writes(domain.class, domain.environment, now);
    let wanted = NewDomainKey { purpose: old.purpose, domain, version, suite, rotation_days, now };
    let (key, mut changes) = engine.domains.make(tx, guard, &wanted, ticket)?;
    // One that is compromised stays so.
    if old.state.may_become(KeyState::Deactivated) {
        let closed = Key { state: KeyState::Deactivated, since: now, due: None, ..old.clone() };
        changes.push(guard.update(tx, &closed, ticket)?);
    }
    epochs::bump(tx, old.id.as_bytes())?;
    let event = event
        .on("key", key.id)
        .on("replaces", old.id)
        .on("workspace", domain.workspace)
        .with("class", domain.class)
        .with("environment", domain.environment)
        .with("version", version)
        .changing(changes);
    let event = if key.purpose == Purpose::Archive { event.with("purpose", key.purpose.word()) } else { event };
    Ok((key, event))
}

/// When the first domain key is renewed: some days before its time is over.
pub(crate) fn renewal(engine: &Engine, _: Timestamp) -> Result<Option<Timestamp>> {
    let (first, value) = engine.store.read(|tx| {
        Ok::<_, Error>((soonest(engine, tx, i64::MAX, 1)?, named::soonest(engine, tx, i64::MAX, 1)?.pop()))
    })?;
    let dues = first.first().and_then(|key| key.due).into_iter().chain(value.and_then(|version| version.due));
    Ok(dues.min().map(|due| Timestamp::from_millis(due.as_millis().saturating_sub(AHEAD_MILLIS))))
}

/// Renews the domain keys whose time is nearly over, each in a transaction of its own; how many. One that cannot be followed keeps no other
/// one from it. Version keys follow by the job that goes on with any rotation.
pub(crate) fn renew(engine: &Engine, slice: &Slice) -> Result<u64> {
    let (mut done, mut stuck, mut failed) = (0, BTreeSet::new(), None);
    loop {
        let now = engine.now()?;
        let until = millis(now.plus_millis(AHEAD_MILLIS));
        let due = engine.store.read(|tx| soonest(engine, tx, until, MAX_RENEWED))?;
        let Some(first) = due.iter().find(|key| !stuck.contains(&key.id)) else {
            done += renew_named(engine, until, slice)?;
            break;
        };
        match engine.store.write(|tx| renew_one(engine, tx, (first.id, until), now)) {
            Ok(renewed) => done += u64::from(renewed),
            Err(error) if error.is_of_one_key() => {
                stuck.insert(first.id);
                failed.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
        if slice.is_over() {
            break;
        }
    }
    failed.map_or(Ok(done), Err)
}

fn renew_one(engine: &Engine, tx: &mut dyn Transaction, (id, until): (KeyId, i64), now: Timestamp) -> Result<bool> {
    epochs::seize(tx, &[*id.as_bytes()])?;
    // Another keeper may have been faster, or a custodian has suspended it.
    let still = soonest(engine, tx, until, MAX_RENEWED)?.into_iter().find(|key| key.id == id);
    let Some(old) = still else { return Ok(false) };
    let ticket = tx.ticket()?;
    engine.watch.mark(tx)?;
    let uses = uses::of(tx, &engine.keys.guard, old.id)?;
    let spent = Bound::of(&old).is_some_and(|bound| uses >= bound.early);
    let why = if spent { "its uses are nearly over" } else { "its time is nearly over" };
    let event = Event::new(Kind::State, "key.rotate").with("why", why).with("uses", uses);
    let (_, event) = succeeded(engine, tx, (ticket, now), &old, event)?;
    engine.log(tx, ticket, &by_system(engine, now), &[event])?;
    Ok(true)
}

/// The same of named keys.
fn renew_named(engine: &Engine, until: i64, slice: &Slice) -> Result<u64> {
    let mut done = 0;
    for due in engine.store.read(|tx| named::soonest(engine, tx, until, MAX_RENEWED))? {
        let now = engine.now()?;
        let renewed = engine.store.write(|tx| {
            epochs::seize(tx, &[*due.named.as_bytes()])?;
            let ticket = tx.ticket()?;
            engine.watch.mark(tx)?;
            let Some(event) = named::renew_one(engine, tx, (ticket, now), &due)? else { return Ok(0) };
            engine.log(tx, ticket, &by_system(engine, now), &[event])?;
            Ok::<_, Error>(1)
        });
        done += match renewed {
            // Its domain's key is set aside, or does not open: the others do not wait for that.
            Err(error) if error.is_of_one_key() => 0,
            renewed => renewed?,
        };
        if slice.is_over() {
            break;
        }
    }
    Ok(done)
}

/// The keys that write and whose time is over first, among those whose time is over by then.
fn soonest(engine: &Engine, tx: &mut dyn Transaction, until: i64, limit: i64) -> Result<Vec<Key>> {
    let tail = "WHERE state = $1 AND due <= $2 ORDER BY due, id LIMIT $3";
    engine.keys.guard.select(tx, tail, &[KeyState::Active.word().into(), until.into(), limit.into()])
}

#[cfg(test)]
mod tests;
