//! Depot objects as the keeper knows them: leased to a version being written, committed, or marked for deletion.

use crate::datastore::{Row, Transaction, Value, tuples};
use crate::error::{Error, Result};
use crate::journal::in_sizes;
use crate::rows::Guard;
use api::terms::{ObjectId, Timestamp, VersionId};
use std::collections::HashSet;

/// The table.
const TABLE: &str = "object";

/// The most objects in one command.
pub(crate) const MAX_OBJECTS: usize = 1024;
/// The most objects of a version: twice what a record can name, because a segment that was interrupted starts anew as another object.
const MAX_OF_VERSION: i64 = 2 * 65_536;

/// Registered for a version being written; `at` is the end of the lease.
pub(crate) const LEASED: i64 = 0;
/// Part of a committed version; `at` is the commit.
pub(crate) const COMMITTED: i64 = 1;
/// To be deleted from the depot; `at` is the mark.
pub(crate) const MARKED: i64 = 2;

/// Refuses too many objects, and one twice.
pub(crate) fn check_count(objects: &[ObjectId]) -> Result<()> {
    if objects.len() > MAX_OBJECTS {
        return Err(Error::bad("the list of objects", "at most 1,024 at once"));
    }
    let distinct: HashSet<&ObjectId> = objects.iter().collect();
    if distinct.len() == objects.len() { Ok(()) } else { Err(Error::bad("the list of objects", "one is named twice")) }
}

/// Checks that the keeper registered an object for a version. That never changes, so no older row says otherwise.
pub(crate) fn check_owner(guard: &Guard, object: ObjectId, version: VersionId, mac: &[u8]) -> Result<()> {
    guard.check(TABLE, object.as_bytes(), version.as_bytes(), mac)
}

/// Refuses the id of a version that was given up: its objects wait for a collection, which a draft of the same id would contradict.
pub(crate) fn check_unused(tx: &mut dyn Transaction, version: VersionId) -> Result<()> {
    match count(tx, version)? {
        0 => Ok(()),
        _ => Err(Error::conflict("the new version", "its id was used before")),
    }
}

/// How many objects are registered for a version.
fn count(tx: &mut dyn Transaction, version: VersionId) -> Result<i64> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM object WHERE version = $1";
    Ok(tx.query(sql, &[version.as_bytes().into()])?.one()?.integer(0)?)
}

fn too_many() -> Error {
    Error::Conflict {
        what: "the list of objects",
        why: "the version being written has 131,072 of them, twice what it can name".into(),
        hint: Some("run the command again: it starts a new version".into()),
    }
}

/// Registers objects for a version being written. Naming one again that is this version's is fine.
pub(crate) fn register(
    tx: &mut dyn Transaction,
    guard: &Guard,
    version: VersionId,
    objects: &[ObjectId],
    until: Timestamp,
) -> Result<()> {
    let at = millis(until);
    let mut taken = 0_usize;
    in_sizes(objects, |page| {
        let macs: Vec<Vec<u8>> =
            page.iter().map(|object| guard.tag(TABLE, object.as_bytes(), version.as_bytes())).collect();
        let mut values: Vec<Value<'_>> = Vec::with_capacity(page.len() * 5);
        for (object, mac) in page.iter().zip(&macs) {
            values.extend([
                Value::from(object.as_bytes()),
                Value::from(version.as_bytes()),
                Value::from(LEASED),
                Value::from(at),
                Value::from(mac),
            ]);
        }
        let sql = format!(
            "INSERT INTO object (id, version, state, at, mac) VALUES {} ON CONFLICT (id) DO UPDATE SET at = excluded.at \
             WHERE object.version = excluded.version AND object.state = 0 RETURNING id",
            tuples(page.len(), 5)
        );
        taken += tx.query(&sql, &values)?.len();
        Ok(())
    })?;
    if taken != objects.len() {
        return Err(Error::conflict("the list of objects", "one is in use already"));
    }
    if count(tx, version)? <= MAX_OF_VERSION { Ok(()) } else { Err(too_many()) }
}

/// Moves the lease of every object of a version being written.
pub(crate) fn renew(tx: &mut dyn Transaction, version: VersionId, until: Timestamp) -> Result<()> {
    let sql = "UPDATE object SET at = $2 WHERE version = $1 AND state = 0";
    tx.query(sql, &[version.as_bytes().into(), millis(until).into()])?;
    Ok(())
}

/// Ends the leases of a version's objects: they are garbage from now on.
pub(crate) fn release(tx: &mut dyn Transaction, version: VersionId, now: Timestamp) -> Result<()> {
    let sql = "UPDATE object SET at = $2 WHERE version = $1 AND state = 0 AND at > $2";
    tx.query(sql, &[version.as_bytes().into(), millis(now).into()])?;
    Ok(())
}

/// The objects leased to a version, each registered by the keeper for it.
pub(crate) fn leased(tx: &mut dyn Transaction, guard: &Guard, version: VersionId) -> Result<HashSet<ObjectId>> {
    let rows = tx.query("SELECT id, mac FROM object WHERE version = $1 AND state = 0", &[version.as_bytes().into()])?;
    let checked = |row: &Row| {
        let object = ObjectId::from_bytes(row.array(0)?);
        check_owner(guard, object, version, row.bytes(1)?)?;
        Ok(object)
    };
    rows.iter().map(checked).collect()
}

/// Makes objects part of a committed version; what else was leased to it becomes garbage.
pub(crate) fn commit(tx: &mut dyn Transaction, version: VersionId, used: &[ObjectId], now: Timestamp) -> Result<()> {
    let at = millis(now);
    let mut changed = 0;
    in_sizes(used, |page| {
        let marks: Vec<String> = (3..page.len() + 3).map(|n| format!("${n}")).collect();
        let mut values: Vec<Value<'_>> = vec![version.as_bytes().into(), at.into()];
        values.extend(page.iter().map(|object| Value::from(object.as_bytes())));
        let sql = format!(
            "UPDATE object SET state = 1, at = $2 WHERE version = $1 AND state = 0 AND id IN ({})",
            marks.join(", ")
        );
        changed += tx.query(&sql, &values)?.changed();
        Ok(())
    })?;
    if changed != used.len() as u64 {
        return Err(Error::conflict("the version", "one of its objects is not leased to it any more"));
    }
    release(tx, version, now)
}

pub(crate) fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}
