//! `key ls`, `key show`: keys without their bytes.

use super::named;
use super::rotate::AHEAD_MILLIS;
use super::uses::{self, Bound};
use crate::acts::{Wanted, look};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::rows::{Key, Purpose, Workspace};
use crate::session::Session;
use api::terms::{Action, Timestamp};
use api::wire::{KeyItem, KeyList};

/// The most keys in one answer.
const MAX_KEYS: i64 = 100_000;

/// Every key, in order of purpose, workspace, environment, class, version.
pub(crate) fn list(engine: &Engine, session: &Session) -> Result<KeyList> {
    look(engine, session, &Wanted::vault(Action::List, "key.list"))?;
    let now = engine.now()?;
    engine.store.read(|tx| {
        let keys: Vec<Key> = engine.keys.guard.select(tx, "ORDER BY id LIMIT $1", &[MAX_KEYS.into()])?;
        let mut items = keys.iter().map(|key| item(engine, tx, key)).collect::<Result<Vec<_>>>()?;
        items.extend(named::items(engine, tx)?);
        let set = |item: &KeyItem| match item.purpose.as_str() {
            word if word == Purpose::Domain.word() => 0,
            word if word == Purpose::Archive.word() => 1,
            _ => 2,
        };
        let rank = |item: &KeyItem| (set(item), item.name.is_none(), item.purpose.clone());
        items.sort_by(|a, b| {
            (rank(a), &a.workspace, a.environment, a.class, &a.name, a.version).cmp(&(
                rank(b),
                &b.workspace,
                b.environment,
                b.class,
                &b.name,
                b.version,
            ))
        });
        Ok(KeyList { keys: items, now })
    })
}

/// One key for an answer.
pub(crate) fn item(engine: &Engine, tx: &mut dyn Transaction, key: &Key) -> Result<KeyItem> {
    let workspace = match &key.domain {
        Some(domain) => {
            let row: Workspace = engine.keys.guard.expect(tx, domain.workspace.as_bytes())?;
            Some(row.name.into())
        }
        None => None,
    };
    let wraps = wraps_under(tx, key)?;
    let bound = Bound::of(key);
    // Rows that are there are uses, whatever the count says.
    let uses = bound.map(|_| uses::of(tx, &engine.keys.guard, key.id)).transpose()?.map(|uses| uses.max(wraps));
    let renewed = key.due.filter(|_| key.state.protects() && key.domain.is_some());
    Ok(KeyItem {
        id: key.id,
        purpose: key.purpose.word().to_owned(),
        name: None,
        workspace,
        environment: key.domain.map(|domain| domain.environment),
        class: key.domain.map(|domain| domain.class),
        version: key.version,
        state: key.state.word().to_owned(),
        fingerprint: key.fingerprint.clone(),
        created: key.created,
        since: key.since,
        due: key.due,
        wraps,
        uses,
        uses_early: bound.map(|bound| bound.early),
        uses_max: bound.map(|bound| bound.max),
        renewed: renewed.map(|due| Timestamp::from_millis(due.as_millis().saturating_sub(AHEAD_MILLIS))),
        ends: key.ending.as_ref().filter(|ending| ending.shredded.is_none()).map(|ending| ending.until),
    })
}

/// How many keys are wrapped under a key.
pub(crate) fn wraps_under(tx: &mut dyn Transaction, key: &Key) -> Result<u64> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM wrap WHERE under = $1";
    let count = tx.query(sql, &[key.id.as_bytes().into()])?.one()?.integer(0)?;
    u64::try_from(count).map_err(|_| Error::Internal("a count below zero"))
}
