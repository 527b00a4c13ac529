//! The end of removed versions: when their time is over, every wrap of their keys goes, with their prints. Objects that no other
//! version names are garbage from then on.

use crate::datastore::{Transaction, Value};
use crate::engine::Engine;
use crate::epochs;
use crate::error::{Error, Result};
use crate::jobs::{Slice, by_system};
use crate::journal::{Event, in_sizes};
use crate::rows::{Artifact, Removed, Table, Version, Wrap};
use crate::write::objects::{COMMITTED, LEASED, millis};
use crate::{prints, show};
use api::terms::{KeyState, ObjectId, Timestamp, VersionId};
use log::entry::Kind;
use seal::record::VersionRecord;
use std::collections::BTreeSet;

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
                return Ok(done);
            }
        }
        if page.is_empty() {
            return Ok(done);
        }
    }
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
    let own = objects_of(tx, &version)?;
    let others = living_objects(engine, tx, &artifact)?;
    let (free, kept): (Vec<ObjectId>, Vec<ObjectId>) = own.into_iter().partition(|object| !others.contains(object));
    release(tx, &free, now)?;
    epochs::bump(tx, artifact.id.as_bytes())?;
    let under = wraps.first().map(|wrap| wrap.under);
    let event = Event::new(Kind::State, "version.destroy")
        .on("workspace", version.workspace)
        .on("artifact", version.artifact)
        .on("version", version.id)
        .on("key", version.key)
        .on("digest", &version.digest)
        .with("number", version.number)
        .with("class", version.class)
        .with("wraps", wraps.len())
        .with("objects", free.len())
        .with("objects_of_others", kept.len())
        .changing(changes);
    let event = under.into_iter().fold(event, |event, under| event.on("under", under));
    engine.log(tx, ticket, &by_system(engine, now), &[event])?;
    Ok(true)
}

/// The objects that versions of an artifact need whose keys are there, removed or not.
pub(crate) fn living_objects(
    engine: &Engine,
    tx: &mut dyn Transaction,
    artifact: &Artifact,
) -> Result<BTreeSet<ObjectId>> {
    let mut needed = BTreeSet::new();
    for version in super::every(engine, tx, artifact)?.iter().filter(|version| !is_destroyed(version)) {
        needed.extend(objects_of(tx, version)?);
    }
    Ok(needed)
}

fn objects_of(tx: &mut dyn Transaction, version: &Version) -> Result<BTreeSet<ObjectId>> {
    let record = VersionRecord::decode(&show::record_of(tx, version)?)
        .map_err(|_| Error::Altered { table: "record", row: version.id.to_string() })?;
    let segments = record.packs.iter().flat_map(|pack| &pack.segments).map(|segment| segment.object);
    Ok(segments.chain([record.object]).map(ObjectId::from_bytes).collect())
}

/// Gives objects of a version that is gone to the collection.
fn release(tx: &mut dyn Transaction, objects: &[ObjectId], now: Timestamp) -> Result<()> {
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
        let removed = Removed { at, by, by_rule: false, until: at, held: false, destroyed: None };
        assert_eq!(removed.ends(), Some(at));
        assert_eq!(Removed { held: true, ..removed.clone() }.ends(), None);
        assert_eq!(Removed { destroyed: Some(at), ..removed }.ends(), None);
    }
}
