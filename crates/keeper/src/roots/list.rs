//! `root ls`: the roots, and how each stands.

use super::join::count_lacking;
use crate::acts::{Wanted, look};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::rows::Root;
use crate::session::Session;
use api::terms::Action;
use api::wire::{RootFailing, RootItem, RootList};

/// Every root, in the order in which they are asked.
pub(crate) fn list(engine: &Engine, session: &Session) -> Result<RootList> {
    look(engine, session, &Wanted::vault(Action::List, "root.list"))?;
    engine.store.read(|tx| Ok(RootList { roots: all(engine, tx)? }))
}

/// The same for an answer to something else.
pub(crate) fn all(engine: &Engine, tx: &mut dyn Transaction) -> Result<Vec<RootItem>> {
    let mut rows: Vec<Root> = engine.keys.guard.select(tx, "ORDER BY id", &[])?;
    rows.sort_by_key(|row| (row.priority, row.created, row.id));
    rows.iter().map(|row| item(engine, tx, row)).collect()
}

/// One root for an answer.
pub(crate) fn item(engine: &Engine, tx: &mut dyn Transaction, row: &Root) -> Result<RootItem> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM wrap WHERE under = $1";
    let wraps = tx.query(sql, &[row.id.as_bytes().into()])?.one()?.integer(0)?;
    let members = engine.domains.roots.members();
    let member = members.iter().find(|member| member.id == row.id);
    let failing = row.failing.as_ref().map(|failing| RootFailing { since: failing.since, why: failing.why.clone() });
    Ok(RootItem {
        id: row.id,
        kind: row.kind.word().to_owned(),
        term: row.term(),
        priority: row.priority,
        state: row.state.word().to_owned(),
        created: row.created,
        wraps: u64::try_from(wraps).map_err(|_| Error::Internal("a count below zero"))?,
        lacks: if row.state.counts() { count_lacking(engine, tx, row)? } else { 0 },
        only_wraps: row.kind.only_wraps(),
        at_hand: member.is_some_and(|member| member.is_at_hand()),
        calls: member.map_or(0, |member| member.calls()),
        failing,
        drilled: row.drilled,
        follows: row.follows,
    })
}
