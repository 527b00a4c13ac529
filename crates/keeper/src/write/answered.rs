//! Commands that were answered: the same again gets the same answer, because its outcome may have been unknown.

use super::objects;
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::journal::Logged;
use api::terms::{EntryId, Timestamp};

/// The table.
const COMMAND: &str = "command";

/// What a repeated command is answered from.
#[derive(serde::Serialize, serde::Deserialize)]
struct Remembered {
    entry: EntryId,
    leaf: String,
}

/// Keeps the entry of a command.
pub(super) fn remember(
    engine: &Engine,
    tx: &mut dyn Transaction,
    key: &[u8; 32],
    logged: &Logged,
    now: Timestamp,
) -> Result<()> {
    let answer = Remembered { entry: logged.id, leaf: logged.leaf.to_string() };
    let answer = serde_json::to_vec(&answer).map_err(|_| Error::Internal("an answer is not JSON"))?;
    let mac = engine.keys.guard.tag(COMMAND, key, &answer);
    tx.query(
        "INSERT INTO command (key, answer, at, mac) VALUES ($1, $2, $3, $4)",
        &[key.into(), (&answer).into(), objects::millis(now).into(), (&mac).into()],
    )?;
    Ok(())
}

/// The entry of a command that was answered. A receipt is signed over what stands there.
pub(super) fn remembered(
    engine: &Engine,
    tx: &mut dyn Transaction,
    key: &[u8; 32],
    of: &str,
) -> Result<Option<Logged>> {
    let rows = tx.query("SELECT answer, mac FROM command WHERE key = $1", &[key.into()])?;
    let Some(row) = rows.optional()? else { return Ok(None) };
    engine.keys.guard.check(COMMAND, key, row.bytes(0)?, row.bytes(1)?)?;
    let altered = || Error::Altered { table: COMMAND, row: of.to_owned() };
    let remembered: Remembered = serde_json::from_slice(row.bytes(0)?).map_err(|_| altered())?;
    let leaf = log::tree::Hash::from_hex(&remembered.leaf).ok_or_else(altered)?;
    Ok(Some(Logged { id: remembered.entry, leaf }))
}
