//! Whether what a key exposed is settled, by the rows of every version under their MACs: counts of what the database shows close nothing.

use super::parts::{self, Listed};
use crate::datastore::{Transaction, Value};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::removal::is_destroyed;
use crate::rows::{Draft, Incident, Table as _, Version};
use api::terms::VersionId;
use std::collections::HashMap;

/// Versions looked at in one query.
const PAGE: usize = 64;
/// And in one transaction.
const STRETCH: usize = 64 * PAGE;

/// How many versions still have a key that was exposed.
///
/// # Errors
/// [`Error::Altered`] if the row of a version that was committed is not there, or is not what the keeper wrote.
pub(super) fn left(engine: &Engine, incident: &Incident) -> Result<u64> {
    let Some(told) = &incident.found else {
        return Err(Error::conflict("the incident", "it is not known yet what the key touched"));
    };
    let keys = engine.store.read(|tx| parts::keys_of(tx, incident.id, &told.keys))?;
    let mut left = 0;
    for stretch in keys.chunks(STRETCH) {
        left +=
            engine.store.read(|tx| stretch.chunks(PAGE).map(|page| exposed(engine, tx, page)).sum::<Result<u64>>())?;
    }
    Ok(left)
}

fn exposed(engine: &Engine, tx: &mut dyn Transaction, page: &[Listed]) -> Result<u64> {
    let guard = &engine.keys.guard;
    let padding = page.last().into_iter().cycle().take(PAGE.saturating_sub(page.len()));
    let values: Vec<Value<'_>> = page.iter().chain(padding).map(|listed| listed.version.as_bytes().into()).collect();
    let marks = (1..=values.len()).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
    let rows: Vec<Version> = guard.select(tx, &format!("WHERE id IN ({marks})"), &values)?;
    let rows: HashMap<VersionId, Version> = rows.into_iter().map(|row| (row.id, row)).collect();
    let mut left = 0;
    for listed in page {
        let uses = match rows.get(&listed.version) {
            Some(row) => row.key == listed.key && !is_destroyed(row),
            None if listed.committed => {
                return Err(Error::Altered { table: Version::NAME, row: listed.version.to_string() });
            }
            // Begun and given up, or still being written.
            None => {
                let draft: Option<Draft> = guard.find(tx, listed.version.as_bytes())?;
                draft.is_some_and(|draft| draft.key == listed.key)
            }
        };
        left += u64::from(uses);
    }
    Ok(left)
}
