//! What waits to be copied: the objects that a version was committed with, for each depot besides the primary, until somebody says that they
//! are there. Counted by version and not by time, since commits do not become visible in the order of their times.

use super::in_use;
use crate::datastore::Transaction;
use crate::error::Result;
use crate::rows::Guard;
use api::terms::{DepotId, VersionId};

/// Takes down what a version is committed with, in its transaction: its depots do not change meanwhile.
pub(crate) fn note(tx: &mut dyn Transaction, guard: &Guard, version: VersionId, objects: usize) -> Result<()> {
    for depot in in_use(tx, guard)?.iter().skip(1) {
        let objects = i64::try_from(objects).unwrap_or(i64::MAX);
        // Objects of a version that is sealed anew are new ones, which no comparison under way has looked for.
        tx.query(
            "INSERT INTO uncopied (depot, version, objects) VALUES ($1, $2, $3) \
             ON CONFLICT (depot, version) DO UPDATE SET objects = uncopied.objects + excluded.objects, mark = NULL",
            &[depot.id.as_bytes().into(), version.as_bytes().into(), objects.into()],
        )?;
    }
    Ok(())
}

/// What waits is looked at by a comparison that begins.
pub(super) fn mark(tx: &mut dyn Transaction, mark: i64) -> Result<()> {
    tx.query("UPDATE uncopied SET mark = $1", &[mark.into()])?;
    Ok(())
}

/// What a comparison looked at waits no more: what is missing of it is counted.
pub(super) fn seen(tx: &mut dyn Transaction, depot: DepotId, mark: u64) -> Result<()> {
    // No ticket is above it.
    let mark = i64::try_from(mark).unwrap_or(i64::MAX);
    tx.query("DELETE FROM uncopied WHERE depot = $1 AND mark = $2", &[depot.as_bytes().into(), mark.into()])?;
    Ok(())
}

/// A version waits no more. How many objects did.
pub(super) fn told(tx: &mut dyn Transaction, depot: DepotId, version: VersionId) -> Result<u64> {
    let sql = "DELETE FROM uncopied WHERE depot = $1 AND version = $2 RETURNING objects";
    let row = tx.query(sql, &[depot.as_bytes().into(), version.as_bytes().into()])?.optional()?;
    row.map_or(Ok(0), |row| Ok(u64::try_from(row.integer(0)?).unwrap_or(0)))
}

pub(super) fn forget(tx: &mut dyn Transaction, depot: DepotId) -> Result<()> {
    tx.query("DELETE FROM uncopied WHERE depot = $1", &[depot.as_bytes().into()])?;
    Ok(())
}

/// Objects that wait.
pub(super) fn count(tx: &mut dyn Transaction, depot: DepotId) -> Result<u64> {
    let sql = "SELECT CAST(COALESCE(SUM(objects), 0) AS BIGINT) FROM uncopied WHERE depot = $1";
    let count = tx.query(sql, &[depot.as_bytes().into()])?.one()?.integer(0)?;
    Ok(u64::try_from(count).unwrap_or(0))
}
