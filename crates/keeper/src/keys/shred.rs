//! The end of a domain key whose waiting time is over: its wraps go first, and from that commit on nothing opens what it wrapped. Then
//! the versions that it opened are told of as gone, in batches; the database forgets the bytes; a certificate says so. Whoever is
//! killed goes on where it was.

use super::destroy::is_held;
use super::domains::{place_of, wraps_of};
use super::survive::Survivors;
use crate::certificate::{self, Gone, Lines};
use crate::datastore::{self, Transaction};
use crate::engine::Engine;
use crate::epochs::{self, Epochs};
use crate::error::{Error, Result};
use crate::hold::looked::{Looked, steady};
use crate::jobs::{Slice, by_system};
use crate::journal::Event;
use crate::prints;
use crate::removal;
use crate::rows::{
    Artifact, Change, Draft, Ending, Key, NamedVersion, Removed, Table as _, Version, Workspace, Wrap, WrapKind,
};
use crate::write::give_up;
use crate::write::objects::millis;
use api::terms::{ArtifactId, EntryId, KeyId, KeyState, ObjectId, Timestamp};
use log::entry::Kind;
use std::collections::{BTreeMap, BTreeSet};

/// Versions told of as gone in one transaction: their changes fit one entry.
const BATCH: i64 = 128;
const DAY_MILLIS: u64 = 86_400_000;

/// When the first key's waiting time is over.
pub(crate) fn due(engine: &Engine, _: Timestamp) -> Result<Option<Timestamp>> {
    let first = engine.store.read(|tx| next(engine, tx, i64::MAX))?;
    Ok(first.and_then(|key| key.ending).map(|ending| ending.until))
}

/// Destroys what is due; how many keys and versions went.
pub(crate) fn shred(engine: &Engine, slice: &Slice) -> Result<u64> {
    let (mut done, mut survivors, mut of) = (0, Survivors::default(), None);
    loop {
        let now = engine.now()?;
        let Some(key) = engine.store.read(|tx| next(engine, tx, millis(now)))? else { return Ok(done) };
        let Some(ending) = &key.ending else { return Err(altered(key.id)) };
        if ending.shredded.is_none() {
            let ended = steady(|| {
                let looked = Looked::at(engine, *key.id.as_bytes(), || is_held(engine, key.id))?;
                engine.store.write(|tx| end(engine, tx, key.id, (now, &looked)))
            });
            match ended {
                Ok(ended) => done += u64::from(ended),
                // Holds move all the time: it is not the end of it, and the next run looks again.
                Err(Error::Stale) => return Ok(done),
                Err(error) => return Err(error),
            }
            engine.domains.forget(key.id);
        } else {
            // What survives one key may go with another.
            if of.replace(key.id) != Some(key.id) {
                survivors = Survivors::default();
            }
            match told(engine, &key, now, &mut survivors) {
                // They move all the time, as above.
                Err(Error::Stale) => return Ok(done),
                Err(error) => return Err(error),
                Ok(0) => {
                    // Before it is certified that they are gone. While somebody reads what was before, it waits.
                    match engine.store.scrub() {
                        Err(datastore::Error::Busy) => return Ok(done),
                        other => other?,
                    }
                    engine.store.write(|tx| certify(engine, tx, key.id, now))?;
                }
                Ok(some) => done += some,
            }
        }
        if slice.is_over() {
            return Ok(done);
        }
    }
}

fn altered(key: KeyId) -> Error {
    Error::Altered { table: Key::NAME, row: key.to_string() }
}

fn next(engine: &Engine, tx: &mut dyn Transaction, before: i64) -> Result<Option<Key>> {
    let tail = "WHERE ends <= $1 ORDER BY ends, id LIMIT 1";
    Ok(engine.keys.guard.select(tx, tail, &[before.into()])?.pop())
}

/// A key, held, and its ending.
fn held(engine: &Engine, tx: &mut dyn Transaction, id: KeyId) -> Result<(Key, Option<Ending>)> {
    epochs::seize(tx, &[*id.as_bytes()])?;
    let key: Key = engine.keys.guard.expect(tx, id.as_bytes())?;
    let ending = key.ending.clone();
    Ok((key, ending))
}

/// Destroys every wrap of the key, if it is still due; a legal hold that came meanwhile puts it off by a day.
///
/// # Errors
/// [`Error::Stale`] if a hold moved since it was looked for.
fn end(
    engine: &Engine,
    tx: &mut dyn Transaction,
    id: KeyId,
    (now, looked): (Timestamp, &Looked<bool>),
) -> Result<bool> {
    let guard = &engine.keys.guard;
    looked.stands(tx)?;
    let (key, ending) = held(engine, tx, id)?;
    // Somebody may have spared it, or been faster.
    let Some(ending) = ending.filter(|ending| ending.until <= now && ending.shredded.is_none()) else {
        return Ok(false);
    };
    let domain = key.domain.ok_or_else(|| altered(id))?;
    let ticket = tx.ticket()?;
    engine.watch.mark(tx)?;
    let about = |act: &'static str| Event::new(Kind::State, act).on("key", id).on("workspace", domain.workspace);
    if looked.found {
        let until = now.plus_millis(DAY_MILLIS);
        let row = Key { ending: Some(Ending { until, ..ending }), ..key.clone() };
        let change = guard.update(tx, &row, ticket)?;
        let event = about("key.put-off").with("why", "legal hold").with("until", until).changing(vec![change]);
        engine.log(tx, ticket, &by_system(engine, now), &[event])?;
        return Ok(false);
    }
    let wraps = wraps_of(tx, guard, id)?;
    if wraps.is_empty() {
        // It was not destroyed, and its wraps are not where they are looked for.
        return Err(Error::Altered { table: Wrap::NAME, row: id.to_string() });
    }
    let mut changes = Vec::with_capacity(wraps.len() + 1);
    for wrap in &wraps {
        changes.push(guard.remove::<Wrap>(tx, &wrap.id())?);
    }
    let roots: BTreeSet<KeyId> = wraps.iter().map(|wrap| wrap.under).collect();
    let mut under = Lines::default();
    certificate::under_roots(engine, tx, &mut under, &roots.into_iter().collect::<Vec<_>>())?;
    certificate::keep_part(engine, tx, id, 1, under.text())?;
    let ending = Some(Ending { shredded: Some(now), ..ending });
    let gone = Key { state: KeyState::Destroyed, since: now, due: None, ending, ..key };
    changes.push(guard.update(tx, &gone, ticket)?);
    epochs::bump(tx, id.as_bytes())?;
    let event = about("key.shred").with("wraps", wraps.len()).changing(changes);
    engine.log(tx, ticket, &by_system(engine, now), &[event])?;
    Ok(true)
}

/// Tells of some versions as gone whose keys the key wrapped; how many wraps went. What survives of their artifacts is looked for before.
fn told(engine: &Engine, key: &Key, now: Timestamp, survivors: &mut Survivors) -> Result<u64> {
    let outcome = steady(|| {
        let artifacts = engine.store.read(|tx| Ok::<_, Error>(artifacts_of(&batch(engine, tx, key.id)?)))?;
        survivors.look(engine, key, &artifacts)?;
        let told = engine.store.write(|tx| tell(engine, tx, key.id, (now, &*survivors)));
        if let Err(Error::Stale) = told {
            survivors.forget(&artifacts);
        }
        told
    });
    let (wraps, after) = outcome?;
    survivors.moved(&after);
    Ok(wraps)
}

fn batch(engine: &Engine, tx: &mut dyn Transaction, id: KeyId) -> Result<Vec<Wrap>> {
    engine.keys.guard.select(tx, "WHERE under = $1 ORDER BY id LIMIT $2", &[id.as_bytes().into(), BATCH.into()])
}

fn artifacts_of(wraps: &[Wrap]) -> BTreeSet<ArtifactId> {
    wraps.iter().filter_map(|wrap| wrap.artifact).collect()
}

/// The same, in its transaction; with the epochs that it leaves.
///
/// # Errors
/// [`Error::Stale`] if an artifact moved since.
fn tell(
    engine: &Engine,
    tx: &mut dyn Transaction,
    id: KeyId,
    (now, survivors): (Timestamp, &Survivors),
) -> Result<(u64, Epochs)> {
    let guard = &engine.keys.guard;
    let wraps = batch(engine, tx, id)?;
    let Some(last) = wraps.last().map(|wrap| wrap.id) else { return Ok((0, Epochs::new())) };
    let artifacts = artifacts_of(&wraps);
    let seized: Vec<[u8; 16]> = artifacts.iter().map(|id| *id.as_bytes()).collect();
    if !survivors.knows(&artifacts, &epochs::seize(tx, &seized)?) {
        return Err(Error::Stale);
    }
    let (key, ending) = held(engine, tx, id)?;
    let ending = ending.filter(|ending| ending.shredded.is_some()).ok_or_else(|| altered(id))?;
    let domain = key.domain.ok_or_else(|| altered(id))?;
    let workspace: Workspace = guard.expect(tx, domain.workspace.as_bytes())?;
    let ticket = tx.ticket()?;
    engine.watch.mark(tx)?;
    let mut changes: Vec<Change> = Vec::new();
    let mut gone: BTreeMap<ArtifactId, Vec<(Version, &Wrap)>> = BTreeMap::new();
    let (mut unfinished, by) = (0, by_system(engine, now));
    let mut given_up: BTreeSet<KeyId> = BTreeSet::new();
    let (mut lines, mut versions) = (Lines::default(), 0);
    for wrap in &wraps {
        if given_up.contains(&wrap.key) {
            continue;
        }
        if wrap.kind == WrapKind::Named {
            let value: NamedVersion = guard.expect(tx, wrap.key.as_bytes())?;
            let gone = NamedVersion { state: KeyState::Destroyed, since: now, due: None, ..value };
            epochs::bump(tx, gone.named.as_bytes())?;
            changes.push(guard.update(tx, &gone, ticket)?);
            changes.push(guard.remove::<Wrap>(tx, &wrap.id())?);
            lines.add("value-key", format_args!("{} {}", wrap.key, wrap.fingerprint));
            continue;
        }
        let version = wrap.version.ok_or_else(|| altered(id))?;
        // Of a version that was begun and never finished there is no row.
        let draft: Option<Draft> = guard.find(tx, version.as_bytes())?;
        if let Some(draft) = draft.filter(|draft| draft.key == wrap.key) {
            give_up(engine, tx, &by, &draft, "its key was destroyed", ticket)?;
            given_up.insert(draft.key);
            unfinished += 1;
            continue;
        }
        let found: Option<Version> = guard.find(tx, version.as_bytes())?;
        if let Some(version) = found.filter(|version| version.key == wrap.key) {
            let removed = Removed {
                at: ending.at,
                by: ending.by,
                by_rule: false,
                until: ending.until,
                held: false,
                destroyed: Some(now),
                by_key: true,
            };
            let removed = match version.removed.clone() {
                Some(before) => Removed { destroyed: Some(now), held: false, ..before },
                None => removed,
            };
            let row = Version { key_state: KeyState::Destroyed, removed: Some(removed), ..version };
            changes.push(guard.update(tx, &row, ticket)?);
            prints::forget(tx, row.id)?;
            // Somebody may be sealing it anew, under another key.
            if let Some(draft) = guard.find::<Draft>(tx, row.id.as_bytes())? {
                give_up(engine, tx, &by, &draft, "the version was destroyed", ticket)?;
                given_up.insert(draft.key);
            }
            gone.entry(row.artifact).or_default().push((row, wrap));
        }
        changes.push(guard.remove::<Wrap>(tx, &wrap.id())?);
    }
    for (artifact, gone) in &gone {
        let artifact: Artifact = guard.expect(tx, artifact.as_bytes())?;
        changes.push(removal::lowered(engine, tx, &artifact, ticket)?);
        epochs::bump(tx, artifact.id.as_bytes())?;
        let living = |object: &ObjectId| survivors.needs(artifact.id, object, last);
        for (version, wrap) in gone {
            let (freed, kept) = removal::free(tx, version, living, now)?;
            let named = format!("{}/{}@v{}", workspace.name, artifact.name, version.number);
            let fingerprint = &wrap.fingerprint;
            Gone { version, named: &named, fingerprint, freed, kept: &kept }.tell(&mut lines);
            versions += 1;
        }
    }
    if unfinished > 0 {
        lines.add("unfinished", unfinished);
    }
    let number = certificate::parts(tx, id)?.checked_add(1).ok_or_else(|| altered(id))?;
    certificate::keep_part(engine, tx, id, number, lines.text())?;
    let event = Event::new(Kind::State, "key.gone")
        .on("key", id)
        .on("workspace", domain.workspace)
        .with("versions", versions)
        .with("unfinished", unfinished)
        .changing(changes);
    engine.log(tx, ticket, &by, &[event])?;
    Ok((wraps.len() as u64, epochs::read(tx, &seized)?))
}

/// Writes the certificate.
fn certify(engine: &Engine, tx: &mut dyn Transaction, id: KeyId, now: Timestamp) -> Result<()> {
    let guard = &engine.keys.guard;
    let (key, ending) = held(engine, tx, id)?;
    // Somebody may have been faster.
    let Some(ending) = ending.filter(|ending| ending.certified.is_none()) else { return Ok(()) };
    let (Some(shredded), Some(domain)) = (ending.shredded, key.domain) else { return Err(altered(id)) };
    let values = [id.as_bytes().into()];
    if !guard.select::<Wrap>(tx, "WHERE under = $1 LIMIT 1", &values)?.is_empty() {
        return Err(Error::conflict("the key", "something is wrapped under it still"));
    }
    let place = place_of(tx, guard, &domain, key.purpose)?;
    let rules = engine.rules(tx)?;
    let ticket = tx.ticket()?;
    engine.watch.mark(tx)?;
    let mut head = certificate::head(engine, id, key.purpose.word(), &key.fingerprint);
    head.add("of", place);
    head.add("number", key.version);
    head.add("asked", format_args!("{} {}", ending.at, ending.by));
    head.add("destroyed", shredded);
    certificate::horizon(&mut head, shredded, rules.class_rules(domain.class).lease_secs);
    for number in 1..=certificate::parts(tx, id)? {
        let part = certificate::part(engine, tx, id, number)?.ok_or_else(|| altered(id))?;
        head.part(usize::try_from(number).unwrap_or(usize::MAX), &part.body);
    }
    let entry = EntryId::from_bytes(crate::system::random()?);
    let digest = certificate::keep_head(engine, tx, id, None, &head, entry)?;
    let row = Key { ending: Some(Ending { certified: Some(now), ..ending }), ..key };
    let change = guard.update(tx, &row, ticket)?;
    let event = Event { id: Some(entry), ..Event::new(Kind::State, "key.certify") };
    let event = event.on("key", id).on("workspace", domain.workspace);
    let event = event.with(log::certificate::DETAIL, digest).changing(vec![change]);
    engine.log(tx, ticket, &by_system(engine, now), &[event])?;
    Ok(())
}
