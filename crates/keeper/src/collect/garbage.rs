//! What is garbage: registered by the keeper for a version that was given up, or spare in one that was committed.
//!
//! A registration's MAC binds the object to its version for ever. Whatever names an object is that version's record, or a later one
//! that took over its packs whole; so the version's own rows, each proven, decide.

use crate::datastore::{Rows, Transaction, Value};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::journal::in_sizes;
use crate::removal;
use crate::rows::{Artifact, Draft, Version, Wrap};
use crate::show;
use crate::write::objects::{MARKED, check_owner, millis};
use api::terms::{ObjectId, VersionId};
use seal::record::VersionRecord;
use std::collections::{BTreeMap, BTreeSet};

/// The most objects found at once; what is left comes next time.
const MAX_FOUND: i64 = 100_000;

/// What becomes of drafts whose lease is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeadDrafts {
    /// Their objects stay until they were given up.
    Stay,
    /// Their objects go: they would be given up first.
    Go,
}

/// A registration that says of itself that it is garbage.
struct Said {
    object: ObjectId,
    state: i64,
}

/// What is marked, and what nobody has leased since `before`.
///
/// # Errors
/// [`Error::Altered`] for a registration that contradicts the keeper's own rows: then nothing is garbage.
pub(super) fn find(engine: &Engine, tx: &mut dyn Transaction, before: i64, dead: DeadDrafts) -> Result<Vec<ObjectId>> {
    let sql = "SELECT id, version, state, mac FROM object WHERE state = 2 OR state = 0 AND at <= $1 \
               ORDER BY at, id LIMIT $2";
    let rows = tx.query(sql, &[before.into(), MAX_FOUND.into()])?;
    proven(engine, tx, &rows, before, dead)
}

/// Marks what was found; how many were not marked before.
pub(super) fn mark(tx: &mut dyn Transaction, objects: &[ObjectId], now: i64) -> Result<u64> {
    let mut marked = 0;
    in_sizes(objects, |page| {
        let mut values: Vec<Value<'_>> = vec![now.into()];
        values.extend(page.iter().map(|object| Value::from(object.as_bytes())));
        let sql = format!("UPDATE object SET state = 2, at = $1 WHERE state = 0 AND id IN ({})", marks(2, page.len()));
        marked += tx.query(&sql, &values)?.changed();
        Ok(())
    })?;
    Ok(marked)
}

/// Forgets marked objects; how many there were.
pub(super) fn forget(engine: &Engine, tx: &mut dyn Transaction, objects: &[ObjectId]) -> Result<u64> {
    let mut gone = 0;
    in_sizes(objects, |page| {
        let values: Vec<Value<'_>> = page.iter().map(|object| Value::from(object.as_bytes())).collect();
        let these = marks(1, page.len());
        let sql = format!("SELECT id, version, state, mac FROM object WHERE state = 2 AND id IN ({these})");
        let rows = tx.query(&sql, &values)?;
        proven(engine, tx, &rows, super::NEVER, DeadDrafts::Stay)?;
        let sql = format!("DELETE FROM object WHERE state = 2 AND id IN ({these})");
        gone += tx.query(&sql, &values)?.changed();
        Ok(())
    })?;
    Ok(gone)
}

fn marks(first: usize, count: usize) -> String {
    (first..first + count).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ")
}

/// Those of the rows that are garbage indeed.
fn proven(
    engine: &Engine,
    tx: &mut dyn Transaction,
    rows: &Rows,
    before: i64,
    dead: DeadDrafts,
) -> Result<Vec<ObjectId>> {
    let mut by_version: BTreeMap<VersionId, Vec<Said>> = BTreeMap::new();
    for row in rows {
        let (object, version) = (ObjectId::from_bytes(row.array(0)?), VersionId::from_bytes(row.array(1)?));
        check_owner(&engine.keys.guard, object, version, row.bytes(3)?)?;
        by_version.entry(version).or_default().push(Said { object, state: row.integer(2)? });
    }
    let mut garbage = Vec::with_capacity(rows.len());
    for (version, said) in by_version {
        let fate = fate(engine, tx, version, &said, before)?;
        let goes = |said: &Said| match fate {
            Fate::Over => true,
            Fate::DeadDraft => dead == DeadDrafts::Go,
            Fate::Renewed => said.state == MARKED,
        };
        garbage.extend(said.iter().filter(|said| goes(said)).map(|said| said.object));
    }
    Ok(garbage)
}

/// Why objects of a version are garbage.
enum Fate {
    /// It is committed and names none of them, it was given up, or it was destroyed and no other names them.
    Over,
    /// It is to be given up.
    DeadDraft,
    /// It is being sealed anew: what is leased may be for that.
    Renewed,
}

/// What became of the version that the objects are of.
fn fate(engine: &Engine, tx: &mut dyn Transaction, version: VersionId, said: &[Said], before: i64) -> Result<Fate> {
    let guard = &engine.keys.guard;
    let refused = |contradiction: Option<&Said>, fate| match contradiction {
        Some(said) => Err(Error::Altered { table: "object", row: said.object.to_string() }),
        None => Ok(fate),
    };
    if let Some(row) = guard.find::<Version>(tx, version.as_bytes())? {
        if removal::is_destroyed(&row) {
            let artifact: Artifact = guard.expect(tx, row.artifact.as_bytes())?;
            let needed = removal::living_objects(engine, tx, &artifact)?;
            return refused(said.iter().find(|said| needed.contains_key(&said.object)), Fate::Over);
        }
        let record = VersionRecord::decode(&show::record_of(tx, &row)?)
            .map_err(|_| Error::Altered { table: "record", row: version.to_string() })?;
        let segments = record.packs.iter().flat_map(|pack| &pack.segments).map(|segment| segment.object);
        let mut named: BTreeSet<[u8; 16]> = segments.chain([record.object]).collect();
        // Others may name packs that it had before it was sealed anew.
        if row.reencrypted.is_some() {
            let artifact: Artifact = guard.expect(tx, row.artifact.as_bytes())?;
            named.extend(removal::living_objects(engine, tx, &artifact)?.keys().map(|object| *object.as_bytes()));
        }
        let anew = guard.find::<Draft>(tx, version.as_bytes())?;
        let fate = match anew {
            Some(draft) if millis(draft.lease_until) > before => Fate::Renewed,
            Some(_) => Fate::DeadDraft,
            None => Fate::Over,
        };
        return refused(said.iter().find(|said| named.contains(said.object.as_bytes())), fate);
    }
    let Some(draft) = guard.find::<Draft>(tx, version.as_bytes())? else {
        // Giving a version up removes the wrap of its key, which the log tells: a key without version and draft is one whose
        // draft was taken away.
        let wraps = guard.select::<Wrap>(tx, "WHERE version = $1 LIMIT 1", &[version.as_bytes().into()])?;
        return match wraps.first() {
            Some(_) => Err(Error::Altered { table: "draft", row: version.to_string() }),
            None => Ok(Fate::Over),
        };
    };
    // Leases of objects are moved with their draft's, and only what has no draft is marked.
    let live = millis(draft.lease_until) > before;
    refused(said.iter().find(|said| live || said.state == MARKED), Fate::DeadDraft)
}
