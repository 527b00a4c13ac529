//! How often a domain key was used: every wrap that was ever made under it, counted in the transaction that makes it.
//!
//! A wrap has a key of its own, derived with 24 random bytes, so that NIST's bound for one key with random nonces (SP 800-38D 8.3, 2^32)
//! is far from what would harm; the class's bound is that one or lower (`baseline/classes.json`). Rows alone do not say it, because wraps go:
//! the count stays. It is not hot where it matters: releases do not touch it.

use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::rows::{Change, Guard, Key};
use api::terms::{KeyId, Timestamp};
use policy::ClassRules;

/// The table.
const TABLE: &str = "key_use";

/// What a key's class says of its uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bound {
    /// So many at most.
    pub(crate) max: u64,
    /// From so many on it is renewed.
    pub(crate) early: u64,
}

impl Bound {
    /// Of a domain key; the vault's own keys wrap nothing.
    pub(crate) fn of(key: &Key) -> Option<Self> {
        key.domain.and_then(|domain| policy::class_rules(domain.class)).map(Self::from)
    }
}

impl From<&ClassRules> for Bound {
    fn from(rules: &ClassRules) -> Self {
        let early = rules.wraps_max / 100 * u64::from(rules.renew_at_percent);
        Self { max: rules.wraps_max, early }
    }
}

/// Counts wraps that are made under a key. A key that comes near its bound is due from now on; at its bound it wraps nothing more.
pub(crate) fn used(
    engine: &Engine,
    tx: &mut dyn Transaction,
    (key, more): (&Key, u64),
    now: Timestamp,
    ticket: i64,
) -> Result<Option<Change>> {
    let guard = &engine.keys.guard;
    let uses = count(tx, guard, key.id, more)?;
    let Some(bound) = Bound::of(key) else { return Ok(None) };
    if uses > bound.max {
        return Err(Error::Conflict {
            what: "the new version",
            why: format!("the key {} has wrapped {} keys, as many as its class lets one", key.id, bound.max),
            hint: Some("strongroom key rotate".into()),
        });
    }
    if uses < bound.early || key.due.is_some_and(|due| due <= now) {
        return Ok(None);
    }
    guard.update(tx, &Key { due: Some(now), ..key.clone() }, ticket).map(Some)
}

/// Adds to the count of a key; how many there are now.
pub(crate) fn count(tx: &mut dyn Transaction, guard: &Guard, key: KeyId, more: u64) -> Result<u64> {
    let uses = of(tx, guard, key)?.saturating_add(more);
    let value = i64::try_from(uses).unwrap_or(i64::MAX);
    let mac = guard.tag(TABLE, key.as_bytes(), &value.to_be_bytes());
    tx.query(
        "INSERT INTO key_use (key, uses, mac) VALUES ($1, $2, $3) \
         ON CONFLICT (key) DO UPDATE SET uses = excluded.uses, mac = excluded.mac",
        &[key.as_bytes().into(), value.into(), (&mac).into()],
    )?;
    Ok(uses)
}

/// How often a key was used.
///
/// # Errors
/// [`Error::Altered`] for a count that the keeper did not write.
pub(crate) fn of(tx: &mut dyn Transaction, guard: &Guard, key: KeyId) -> Result<u64> {
    let rows = tx.query("SELECT uses, mac FROM key_use WHERE key = $1", &[key.as_bytes().into()])?;
    let Some(row) = rows.optional()? else { return Ok(0) };
    let uses = row.integer(0)?;
    guard.check(TABLE, key.as_bytes(), &uses.to_be_bytes(), row.bytes(1)?)?;
    Ok(u64::try_from(uses).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
