//! The end of removed versions: when their time is over, every wrap of their keys goes, with their prints. Objects that no other
//! version names are garbage from then on.

use crate::certificate::{Gone, Lines};
use crate::datastore::{self, Transaction, Value};
use crate::engine::Engine;
use crate::epochs;
use crate::error::{Error, Result};
use crate::jobs::{Slice, by_system};
use crate::journal::{Event, in_sizes};
use crate::rows::{Artifact, Draft, Purpose, Removed, Table, Version, Workspace, Wrap};
use crate::write::give_up;
use crate::write::objects::{COMMITTED, LEASED, millis};
use crate::{certificate, prints, show};
use api::terms::{EntryId, KeyState, ObjectId, Timestamp, VersionId};
use log::entry::Kind;
use seal::record::VersionRecord;
use std::collections::BTreeMap;

/// How many are looked at at once.
const PAGE: i64 = 64;

/// Whether a version's key is gone.
pub(crate) fn is_destroyed(version: &Version) -> bool {
    version.removed.as_ref().is_some_and(|removed| removed.destroyed.is_some())
}

/// When the first one is due.
pub(crate) fn destroy_due(engine: &Engine, _: Timestamp) -> Result<Option<Timestamp>> {
    let first: Vec<Version> = engine.store.read(|tx| next(engine, tx, i64::MAX, 1))?;
    Ok(first.first().and_then(|version| version.removed.as_ref()).and_then(Removed::ends))
}

/// Destroys the keys of versions whose time is over; how many there were.
pub(crate) fn destroy(engine: &Engine, slice: &Slice) -> Result<u64> {
    let mut done = 0;
    loop {
        let now = engine.now()?;
        let page = engine.store.read(|tx| next(engine, tx, millis(now), PAGE))?;
        for version in &page {
            done += u64::from(engine.store.write(|tx| end(engine, tx, version.id, now))?);
            if slice.is_over() {
                return scrubbed(engine, done);
            }
        }
        if page.is_empty() {
            return scrubbed(engine, done);
        }
    }
}

/// Behind destruction the engine forgets the bytes, unless somebody reads what was before: then SQLite's own checkpoints do.
fn scrubbed(engine: &Engine, done: u64) -> Result<u64> {
    if done > 0
        && let Err(error) = engine.store.scrub()
        && !matches!(error, datastore::Error::Busy)
    {
        return Err(error.into());
    }
    Ok(done)
}

fn next(engine: &Engine, tx: &mut dyn Transaction, before: i64, limit: i64) -> Result<Vec<Version>> {
    engine.keys.guard.select(tx, "WHERE ends <= $1 ORDER BY ends, id LIMIT $2", &[before.into(), limit.into()])
}

/// Destroys the key of one version, if it is still due.
fn end(engine: &Engine, tx: &mut dyn Transaction, id: VersionId, now: Timestamp) -> Result<bool> {
    let guard = &engine.keys.guard;
    let version: Version = guard.expect(tx, id.as_bytes())?;
    epochs::seize(tx, &[*version.artifact.as_bytes()])?;
    // Again, behind the lock: it may have been restored, or put under a hold.
    let version: Version = guard.expect(tx, id.as_bytes())?;
    let artifact: Artifact = guard.expect(tx, version.artifact.as_bytes())?;
    let Some(removed) = version.removed.clone().filter(|removed| removed.ends().is_some_and(|ends| ends <= now)) else {
        return Ok(false);
    };
    if artifact.holds(version.id) {
        return Err(Error::Altered { table: Version::NAME, row: version.id.to_string() });
    }
    let ticket = tx.ticket()?;
    engine.watch.mark(tx)?;
    let wraps: Vec<Wrap> = guard.select(tx, "WHERE wrapped = $1", &[version.key.as_bytes().into()])?;
    if wraps.is_empty() {
        // It was not destroyed, and its wraps are not where they are looked for.
        return Err(Error::Altered { table: Wrap::NAME, row: version.key.to_string() });
    }
    // What was begun to seal it anew ends with it.
    if let Some(draft) = guard.find::<Draft>(tx, id.as_bytes())? {
        give_up(engine, tx, &by_system(engine, now), &draft, "the version was destroyed", ticket)?;
    }
    let mut changes = Vec::with_capacity(wraps.len() + 1);
    for wrap in &wraps {
        changes.push(guard.remove::<Wrap>(tx, &wrap.id())?);
    }
    prints::forget(tx, version.id)?;
    let ended = Version {
        key_state: KeyState::Destroyed,
        removed: Some(Removed { destroyed: Some(now), ..removed }),
        ..version.clone()
    };
    changes.push(guard.update(tx, &ended, ticket)?);
    let living = living_objects(engine, tx, &artifact)?;
    let (freed, kept) = free(tx, &ended, |object| living.get(object).copied(), now)?;
    epochs::bump(tx, artifact.id.as_bytes())?;
    let under = wraps.first().map(|wrap| wrap.under);
    let entry = EntryId::from_bytes(crate::system::random()?);
    let digest = certify(
        engine,
        tx,
        &Ended { artifact: &artifact, version: &ended, wraps: &wraps, freed, kept: &kept, now },
        entry,
    )?;
    let event = Event { id: Some(entry), ..Event::new(Kind::State, "version.destroy") };
    let event = event
        .on("workspace", version.workspace)
        .on("artifact", version.artifact)
        .on("version", version.id)
        .on("key", version.key)
        .on("digest", &version.digest)
        .with("number", version.number)
        .with("class", version.class)
        .with("wraps", wraps.len())
        .with(log::certificate::DETAIL, digest)
        .with("objects", freed)
        .with("objects_of_others", kept.len())
        .changing(changes);
    let event = under.into_iter().fold(event, |event, under| event.on("under", under));
    engine.log(tx, ticket, &by_system(engine, now), &[event])?;
    Ok(true)
}

/// What a destruction left, for its certificate.
struct Ended<'a> {
    artifact: &'a Artifact,
    version: &'a Version,
    wraps: &'a [Wrap],
    freed: usize,
    kept: &'a [(ObjectId, VersionId)],
    now: Timestamp,
}

/// Keeps the certificate of a version's key; its digest for the entry with this id.
fn certify(engine: &Engine, tx: &mut dyn Transaction, ended: &Ended<'_>, entry: EntryId) -> Result<log::tree::Hash> {
    let Ended { artifact, version, wraps, freed, kept, now } = *ended;
    let workspace: Workspace = engine.keys.guard.expect(tx, version.workspace.as_bytes())?;
    let named = format!("{}/{}@v{}", workspace.name, artifact.name, version.number);
    let fingerprint = wraps.first().map(|wrap| wrap.fingerprint.as_str()).unwrap_or_default();
    let mut part = Lines::default();
    for wrap in wraps {
        let under = if version.archived.is_some() { Purpose::Archive } else { Purpose::Domain };
        part.add("wrapped-under", format_args!("{} {}", wrap.under, under.word()));
    }
    Gone { version, named: &named, fingerprint, freed, kept }.tell(&mut part);
    let mut head = certificate::head(engine, version.key, "version", fingerprint);
    head.add("of", &named);
    if let Some(removed) = &version.removed {
        head.add("asked", format_args!("{} {}", removed.at, removed.by));
    }
    head.add("destroyed", now);
    let rules = engine.rules(tx)?;
    certificate::horizon(&mut head, now, rules.class_rules(version.class).lease_secs);
    certificate::keep_part(engine, tx, version.key, 1, part.text())?;
    head.part(1, part.text());
    certificate::keep_head(engine, tx, version.key, Some(version.id), &head, entry)
}

/// The objects that versions of an artifact need whose keys are there, removed or not, each with one of them.
pub(crate) fn living_objects(
    engine: &Engine,
    tx: &mut dyn Transaction,
    artifact: &Artifact,
) -> Result<BTreeMap<ObjectId, VersionId>> {
    let mut needed = BTreeMap::new();
    for (version, record) in living_records(engine, tx, artifact)? {
        needed.extend(objects_of(&record).map(|object| (object, version.id)));
    }
    Ok(needed)
}

/// Gives the objects of a version that is gone to the collection, but for those that a living one needs: how many, and which not.
pub(crate) fn free(
    tx: &mut dyn Transaction,
    gone: &Version,
    living: impl Fn(&ObjectId) -> Option<VersionId>,
    now: Timestamp,
) -> Result<(usize, Vec<(ObjectId, VersionId)>)> {
    let (mut free, mut kept) = (Vec::new(), Vec::new());
    for object in objects_of(&record_of(tx, gone)?) {
        match living(&object) {
            Some(by) => kept.push((object, by)),
            None => free.push(object),
        }
    }
    release(tx, &free, now)?;
    Ok((free.len(), kept))
}

/// The versions of an artifact whose keys are there, removed or not, with their records.
pub(crate) fn living_records(
    engine: &Engine,
    tx: &mut dyn Transaction,
    artifact: &Artifact,
) -> Result<Vec<(Version, VersionRecord)>> {
    let all = super::every(engine, tx, artifact)?.into_iter().filter(|version| !is_destroyed(version));
    all.map(|version| record_of(tx, &version).map(|record| (version, record))).collect()
}

/// The record of a version.
pub(crate) fn record_of(tx: &mut dyn Transaction, version: &Version) -> Result<VersionRecord> {
    VersionRecord::decode(&show::record_of(tx, version)?)
        .map_err(|_| Error::Altered { table: "record", row: version.id.to_string() })
}

/// The objects that a record names.
pub(crate) fn objects_of(record: &VersionRecord) -> impl Iterator<Item = ObjectId> {
    let segments = record.packs.iter().flat_map(|pack| &pack.segments).map(|segment| segment.object);
    segments.chain([record.object]).map(ObjectId::from_bytes)
}

/// Gives objects that no version names any more to the collection.
pub(crate) fn release(tx: &mut dyn Transaction, objects: &[ObjectId], now: Timestamp) -> Result<()> {
    in_sizes(objects, |page| {
        let marks = (4..page.len() + 4).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
        let mut values: Vec<Value<'_>> = vec![LEASED.into(), millis(now).into(), COMMITTED.into()];
        values.extend(page.iter().map(|object| Value::from(object.as_bytes())));
        let sql = format!("UPDATE object SET state = $1, at = $2 WHERE state = $3 AND id IN ({marks})");
        tx.query(&sql, &values).map(drop)?;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_and_an_end_keep_the_job_away() {
        let at = Timestamp::from_millis(1);
        let by = api::terms::PrincipalId::from_bytes([1; 16]);
        let removed = Removed { at, by, by_rule: false, until: at, held: false, destroyed: None, by_key: false };
        assert_eq!(removed.ends(), Some(at));
        assert_eq!(Removed { held: true, ..removed.clone() }.ends(), None);
        assert_eq!(Removed { destroyed: Some(at), ..removed }.ends(), None);
    }
}
