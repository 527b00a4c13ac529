//! What waits to be copied: the objects that a version was committed with, for each depot besides the primary, until somebody says that they
//! are there. A version that is sealed anew is committed again, with other objects. Counted by what was committed and not by time, since commits do
//! not become visible in the order of their times.

use super::in_use;
use crate::datastore::Transaction;
use crate::error::Result;
use crate::rows::Guard;
use api::terms::{DepotId, ObjectId, PrincipalId};

/// Takes down what somebody commits, so many objects and that of the version among them, in its transaction: its depots do not change meanwhile.
pub(crate) fn note(
    tx: &mut dyn Transaction,
    guard: &Guard,
    (object, objects): (ObjectId, usize),
    by: PrincipalId,
) -> Result<()> {
    for depot in in_use(tx, guard)?.iter().skip(1) {
        let objects = i64::try_from(objects).unwrap_or(i64::MAX);
        tx.query(
            "INSERT INTO uncopied (depot, object, principal, objects) VALUES ($1, $2, $3, $4)",
            &[depot.id.as_bytes().into(), object.as_bytes().into(), by.as_bytes().into(), objects.into()],
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

/// Who committed what waits; none if it does not.
pub(super) fn committed_by(tx: &mut dyn Transaction, depot: DepotId, object: ObjectId) -> Result<Option<PrincipalId>> {
    let sql = "SELECT principal FROM uncopied WHERE depot = $1 AND object = $2";
    let row = tx.query(sql, &[depot.as_bytes().into(), object.as_bytes().into()])?.optional()?;
    row.map(|row| Ok(PrincipalId::from_bytes(row.array(0)?))).transpose()
}

/// It waits no more. How many objects did.
pub(super) fn told(tx: &mut dyn Transaction, depot: DepotId, object: ObjectId) -> Result<u64> {
    let sql = "DELETE FROM uncopied WHERE depot = $1 AND object = $2 RETURNING objects";
    let row = tx.query(sql, &[depot.as_bytes().into(), object.as_bytes().into()])?.optional()?;
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
