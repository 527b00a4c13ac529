//! The list of the erased beside the anchor: a backup from before an erasure knows nothing of it, and whoever restores one erases
//! again who is named here. Ids only, under a MAC of the vault.

use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::ledger::{beside, read_beside, write_beside};
use crate::rows::Principal;
use api::terms::{Code, PrincipalId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// The longest list: 100,000 people take 3.5 MB.
const MAX_LEN: usize = 64 << 20;
/// Rows read at a time.
const PAGE: i64 = 1000;
const TABLE: &str = "erased";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    erased: BTreeSet<PrincipalId>,
    /// Hexadecimal.
    mac: String,
}

/// Who was erased, as the list beside an anchor says.
///
/// # Errors
/// Integrity, when it is not a list that this vault wrote.
pub(crate) fn read(engine: &Engine, anchor: &Path) -> Result<BTreeSet<PrincipalId>> {
    let path = beside(anchor);
    let Some(bytes) = read_beside(&path, MAX_LEN)? else { return Ok(BTreeSet::new()) };
    let refused = || Error::Log {
        code: Code::Integrity,
        why: format!("`{}` is not a list of the erased that this vault wrote", path.display()),
    };
    let list: List = serde_json::from_slice(&bytes).map_err(|_| refused())?;
    let mac = hex::decode(&list.mac).map_err(|_| refused())?;
    let body = body(&list.erased);
    engine.keys.guard.check(TABLE, engine.vault.as_bytes(), &body, &mac).map_err(|_| refused())?;
    Ok(list.erased)
}

/// Writes it: whoever it named, and whoever the vault says was erased. In a transaction that no other keeper has at the same time, so that
/// nobody's id is lost between reading and writing.
///
/// # Errors
/// As [`read`]: one that does not hold stays as it is, because it shows that somebody was at it, and a restore refuses it.
pub(super) fn write(engine: &Engine, tx: &mut dyn Transaction) -> Result<()> {
    let anchor = engine.ledger.anchor_path();
    let mut erased = read(engine, anchor)?;
    erased.extend(rows(engine, tx)?);
    let mac = hex::encode(engine.keys.guard.tag(TABLE, engine.vault.as_bytes(), &body(&erased)));
    let text = serde_json::to_vec(&List { erased, mac }).map_err(|_| Error::Internal("a list is not JSON"))?;
    Ok(write_beside(&beside(anchor), &text)?)
}

fn rows(engine: &Engine, tx: &mut dyn Transaction) -> Result<Vec<PrincipalId>> {
    let mut erased = Vec::new();
    let mut after: Vec<u8> = Vec::new();
    loop {
        let values = [(&after).into(), PAGE.into()];
        let page: Vec<Principal> = engine.keys.guard.select(tx, "WHERE id > $1 ORDER BY id LIMIT $2", &values)?;
        erased.extend(page.iter().filter(|row| row.erased.is_some()).map(|row| row.id));
        match page.last() {
            Some(last) => after = last.id.as_bytes().to_vec(),
            None => return Ok(erased),
        }
    }
}

fn body(erased: &BTreeSet<PrincipalId>) -> Vec<u8> {
    erased.iter().flat_map(|id| *id.as_bytes()).collect()
}
