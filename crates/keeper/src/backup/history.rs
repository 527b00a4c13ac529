//! What the vault knows of its backups: the last that was made, and every time that it was restored.

use crate::datastore::Transaction;
use crate::error::{Error, Result};
use crate::rows::{Change, Guard, Setting, Table as _};
use crate::write::objects::millis;
use api::terms::{BackupId, Timestamp};
use api::wire::{RestoreItem, Restores};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// When the last backup was made stands beside when jobs ran, and in no entry of the log: one that came after the backup would make an
/// older copy of the vault of it, the moment that it is there.
const TABLE: &str = "job";
const LAST: &str = "backup";
/// The setting with what was restored.
const RESTORES: &str = "restores";
/// How many are told one by one; the log has all of them.
const LATEST: usize = 16;

/// When the last backup was made.
pub(crate) fn last(tx: &mut dyn Transaction, guard: &Guard) -> Result<Option<Timestamp>> {
    let rows = tx.query("SELECT last, mac FROM job WHERE name = $1", &[LAST.into()])?;
    let Some(row) = rows.optional()? else { return Ok(None) };
    let at = row.integer(0)?;
    guard.check(TABLE, LAST.as_bytes(), &at.to_be_bytes(), row.bytes(1)?)?;
    Ok(Some(Timestamp::from_millis(u64::try_from(at).unwrap_or(0))))
}

/// Every time that the vault was restored.
pub(crate) fn restores(tx: &mut dyn Transaction, guard: &Guard) -> Result<Option<Restores>> {
    setting(tx, guard, RESTORES)
}

/// Takes down when a backup was made.
pub(super) fn made(tx: &mut dyn Transaction, guard: &Guard, at: Timestamp) -> Result<()> {
    let at = millis(at);
    let mac = guard.tag(TABLE, LAST.as_bytes(), &at.to_be_bytes());
    tx.query(
        "INSERT INTO job (name, last, mac) VALUES ($1, $2, $3) \
         ON CONFLICT (name) DO UPDATE SET last = excluded.last, mac = excluded.mac",
        &[LAST.into(), at.into(), (&mac).into()],
    )?;
    Ok(())
}

/// Takes down that the vault was restored.
pub(super) fn restored(tx: &mut dyn Transaction, guard: &Guard, item: &RestoreItem, ticket: i64) -> Result<Change> {
    let mut all = restores(tx, guard)?.unwrap_or_default();
    all.count = all.count.saturating_add(1);
    all.forks = all.forks.saturating_add(item.fork.is_some().into());
    all.latest.insert(0, item.clone());
    // Of forks the newest ones stay, whatever came after them.
    while all.latest.len() > LATEST {
        let plain = all.latest.iter().rposition(|old| old.fork.is_none());
        all.latest.remove(plain.unwrap_or(LATEST));
    }
    set(tx, guard, RESTORES, &all, ticket)
}

/// What was taken down of restoring this backup, if that is the last thing that happened to the vault.
pub(super) fn restored_from(tx: &mut dyn Transaction, guard: &Guard, backup: BackupId) -> Result<Option<RestoreItem>> {
    let all = restores(tx, guard)?.unwrap_or_default();
    Ok(all.latest.into_iter().next().filter(|item| item.backup == backup))
}

fn setting<T: DeserializeOwned>(tx: &mut dyn Transaction, guard: &Guard, name: &str) -> Result<Option<T>> {
    let found: Option<Setting> = guard.find(tx, &Setting::id_of(name))?;
    let altered = |_| Error::Altered { table: Setting::NAME, row: name.to_owned() };
    found.map(|setting| serde_json::from_str(&setting.value).map_err(altered)).transpose()
}

fn set<T: Serialize>(tx: &mut dyn Transaction, guard: &Guard, name: &str, value: &T, ticket: i64) -> Result<Change> {
    let value = serde_json::to_string(value).map_err(|_| Error::Internal("a setting is not JSON"))?;
    let row = Setting { name: name.to_owned(), value };
    match guard.find::<Setting>(tx, &Setting::id_of(name))? {
        None => guard.insert(tx, &row, ticket),
        Some(_) => guard.update(tx, &row, ticket),
    }
}
