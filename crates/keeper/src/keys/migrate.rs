//! `key migrate`, the keeper's part: what there is to do, and wraps of domain keys brought into line. Domain keys and named keys are
//! followed by `key rotate`, versions sealed anew by whoever may. Each step is whole by itself; what is left is found again by looking.

use super::check::{self, counting};
use super::domains::{kept, place_of, wraps_of};
use super::drift;
use super::list::wraps_under;
use super::named;
use crate::acts::{Act, Wanted, act, look};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::facts;
use crate::journal::By;
use crate::keys::state::{self, Towards};
use crate::roots;
use crate::rows::{Domain, Key, Purpose, Root, Version, Wrap};
use crate::session::Session;
use api::terms::{Action, KeyId, KeyState, Timestamp, VersionId};
use api::wire::{KeyPlanned, NamedDrift, VersionDrift, WrapsMended};

/// The act, in the log.
const ACT: &str = "wrap.remove";
/// Domain keys whose wraps are removed in one transaction: their changes fit one entry.
const BATCH: i64 = 32;

/// Findings after which a page ends.
const MAX_LEFT: usize = 1_000;

/// What there is to do: at first everything of keys, then the versions of the next page in which there are any.
pub(crate) fn plan(engine: &Engine, session: &Session, after: Option<VersionId>) -> Result<KeyPlanned> {
    look(engine, session, &Wanted::vault(Action::ManageKeys, "key.check"))?;
    let now = engine.now()?;
    let Some(mut after) = after else {
        let mut planned = engine.store.read(|tx| keys(engine, tx, now))?;
        planned.domains.sort();
        planned.domains.dedup();
        return Ok(KeyPlanned { next: Some(VersionId::from_bytes([0; 16])), ..planned });
    };
    let mut planned = KeyPlanned::default();
    loop {
        let (last, versions, left) = engine.store.read(|tx| {
            let page = check::page_after(engine, tx, after)?;
            let mut here = KeyPlanned::default();
            for version in page.iter().filter(|version| version.removed.is_none()) {
                one(engine, tx, (version, now), &mut here)?;
            }
            Ok::<_, Error>((page.last().map(|version| version.id), here.versions, here.left))
        })?;
        planned.left.extend(left);
        planned.next = last;
        match last {
            Some(id) if versions.is_empty() && planned.left.len() < MAX_LEFT => after = id,
            _ => return Ok(KeyPlanned { versions, ..planned }),
        }
    }
}

fn one(
    engine: &Engine,
    tx: &mut dyn Transaction,
    (version, now): (&Version, Timestamp),
    planned: &mut KeyPlanned,
) -> Result<()> {
    let written = engine.crypto(tx)?.writes(version.class, version.environment, now);
    if version.suite == written {
        return Ok(());
    }
    let Some(found) = facts::found_by_id(engine, tx, version.id)? else { return Ok(()) };
    let reference = found.named();
    if version.archived.is_some() {
        let mend = format!("strongroom key unarchive {reference} --reason REASON");
        planned.left.push(check::aside(version.key, reference, "it is archived, and left alone".to_owned(), mend));
        return Ok(());
    }
    match state::refuse_shut(engine, tx, version, &reference, Towards::Move) {
        Ok(()) => {
            let (path, id, suite, bytes) = (found.path(), version.id, version.suite, version.bytes);
            planned.versions.push(VersionDrift { reference, path, id, class: version.class, suite, written, bytes });
        }
        Err(shut @ (Error::KeyShut { .. } | Error::KeyEnding { .. })) => {
            let mend = "strongroom key states".to_owned();
            planned.left.push(check::aside(version.key, reference, shut.to_string(), mend));
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Everything that is not a version.
fn keys(engine: &Engine, tx: &mut dyn Transaction, now: Timestamp) -> Result<KeyPlanned> {
    let guard = &engine.keys.guard;
    let mut planned = KeyPlanned::default();
    let roots = counting(tx, guard)?;
    let keys = kept(tx, guard)?;
    for key in keys.iter().filter(|key| key.ending.is_none()) {
        let Some(domain) = key.domain else { continue };
        planned.wraps += unfit(engine, tx, key, &domain, &roots)?.len() as u64;
        match key.state {
            KeyState::Active if drift::of_domain(engine, tx, key, now)?.is_some() => {
                planned.domains.push(place_of(tx, guard, &domain, key.purpose)?);
            }
            KeyState::Suspended if drift::of_domain(engine, tx, key, now)?.is_some() => {
                let mend = format!("strongroom key resume {} --reason REASON", key.id);
                let of = place_of(tx, guard, &domain, key.purpose)?;
                planned.left.push(check::aside(key.id, of, "it is suspended, and left alone".to_owned(), mend));
            }
            KeyState::Deactivated | KeyState::Compromised => planned.rewraps += wraps_under(tx, key)?,
            _ => {}
        }
    }
    for named in named::all(engine, tx)? {
        let drifted = drift::of_named(engine, tx, &named, now)?.is_some();
        if drifted && named.newest.state.protects() {
            planned.named.push(NamedDrift { workspace: named.workspace.name.clone(), name: named.row.name.clone() });
        }
        let domain = named.row.domain;
        let written = engine.crypto(tx)?.writes(domain.class, domain.environment, now);
        for version in named.versions(engine, tx)? {
            if version.suite != written && version.state != KeyState::Destroyed {
                planned.left.push(check::outgoing(&named, &version, written));
            }
        }
    }
    Ok(planned)
}

/// Wraps of a domain key under roots that may not wrap it.
fn unfit(engine: &Engine, tx: &mut dyn Transaction, key: &Key, domain: &Domain, roots: &[Root]) -> Result<Vec<Wrap>> {
    let mut wraps = wraps_of(tx, &engine.keys.guard, key.id)?;
    let may = |wrap: &Wrap| {
        let root = roots.iter().find(|root| root.id == wrap.under);
        root.is_none_or(|root| engine.suites.may_wrap(Some(domain), root.term()))
    };
    wraps.retain(|wrap| !may(wrap));
    Ok(wraps)
}

/// Has every root that is at hand wrap what it may, and removes wraps of those that may not where another one opens the key here.
pub(crate) fn mend_wraps(engine: &Engine, session: &Session) -> Result<WrapsMended> {
    look(engine, session, &Wanted::vault(Action::ManageKeys, ACT))?;
    if let Some(why) = engine.read_only.get() {
        return Err(Error::ReadOnly(why.clone()));
    }
    engine.store.read(|tx| engine.crypto(tx))?;
    let made = roots::fill(engine, By::session(session, engine.now()?))?;
    let opens: Vec<KeyId> = engine
        .domains
        .roots
        .members()
        .iter()
        .filter(|member| !member.kind.only_wraps() && engine.domains.roots.lasting(member).is_ok())
        .map(|member| member.id)
        .collect();
    let mut mended = WrapsMended { made, removed: 0, kept: 0 };
    let mut after = KeyId::from_bytes([0; 16]);
    let wanted = Wanted::vault(Action::ManageKeys, ACT);
    loop {
        let keys: Vec<KeyId> = engine.store.read(|tx| unfit_after(engine, tx, after))?;
        let Some(last) = keys.last() else { return Ok(mended) };
        after = *last;
        let (removed, kept) = act(engine, session, &wanted, &[], |tx, act| remove(tx, act, &keys, &opens))?;
        mended.removed += removed;
        mended.kept += kept;
    }
}

/// The next domain keys that have such wraps.
fn unfit_after(engine: &Engine, tx: &mut dyn Transaction, after: KeyId) -> Result<Vec<KeyId>> {
    let guard = &engine.keys.guard;
    let roots = counting(tx, guard)?;
    let (mut after, mut found) = (after, Vec::new());
    loop {
        let values = [
            Purpose::Domain.word().into(),
            Purpose::Archive.word().into(),
            KeyState::Destroyed.word().into(),
            after.as_bytes().into(),
            BATCH.into(),
        ];
        let tail = "WHERE purpose IN ($1, $2) AND state <> $3 AND id > $4 ORDER BY id LIMIT $5";
        let keys: Vec<Key> = guard.select(tx, tail, &values)?;
        let Some(last) = keys.last() else { return Ok(found) };
        after = last.id;
        for key in &keys {
            let Some(domain) = key.domain else { continue };
            if !unfit(engine, tx, key, &domain, &roots)?.is_empty() {
                found.push(key.id);
            }
        }
        if !found.is_empty() {
            return Ok(found);
        }
    }
}

/// Removes them; how many, and how many stay because nothing else opens the key here.
fn remove(tx: &mut dyn Transaction, act: &Act<'_>, keys: &[KeyId], opens: &[KeyId]) -> Result<(u64, u64)> {
    let (engine, guard) = (act.engine, &act.engine.keys.guard);
    let roots = counting(tx, guard)?;
    let (mut changes, mut kept) = (Vec::new(), 0);
    let mut event = act.event(ACT);
    for id in keys {
        let key: Key = guard.expect(tx, id.as_bytes())?;
        let Some(domain) = key.domain.filter(|_| key.state != KeyState::Destroyed) else { continue };
        let wraps = unfit(engine, tx, &key, &domain, &roots)?;
        let others = wraps_of(tx, guard, key.id)?;
        let stays = |wrap: &Wrap| {
            let root = roots.iter().find(|root| root.id == wrap.under && opens.contains(&root.id));
            root.is_some_and(|root| engine.suites.may_wrap(Some(&domain), root.term()))
        };
        if !others.iter().any(stays) {
            kept += wraps.len() as u64;
            continue;
        }
        for wrap in &wraps {
            event = event.on(&format!("root.{}", changes.len()), wrap.under);
            changes.push(guard.remove::<Wrap>(tx, wrap.id.as_bytes())?);
        }
    }
    let removed = changes.len() as u64;
    if removed > 0 {
        engine.log(tx, act.ticket, &act.by, &[event.with("wraps", removed).changing(changes)])?;
    }
    Ok((removed, kept))
}
