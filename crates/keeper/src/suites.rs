//! Which suites are written and read: the baseline's table, or the organisation's in its place.

use crate::acts::{Act, Wanted, act};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::epochs;
use crate::error::{Error, Result};
use crate::hash;
use crate::journal::Logged;
use crate::rows::{Guard, PolicySet, Setting};
use crate::session::Session;
use api::terms::{Action, Suite};
use api::wire::SuitesShown;
use policy::{Argon2id, Crypto, Pbkdf2, Stretch};
use seal::passphrase::Cost;
use std::sync::{Arc, PoisonError, RwLock};

/// The setting that holds the organisation's table; empty for the baseline's, so that a row that is gone is missed.
pub(crate) const SETTING: &str = "crypto";

/// The table that was read last. Whether it is still in force, the row under its MAC says each time.
#[derive(Debug)]
pub(crate) struct Suites {
    loaded: RwLock<(String, Arc<Crypto>)>,
}

impl Suites {
    /// With a table that was read.
    pub(crate) fn new(text: String, table: Crypto) -> Self {
        Self { loaded: RwLock::new((text, Arc::new(table))) }
    }

    /// The table in force in this transaction.
    pub(crate) fn of(&self, tx: &mut dyn Transaction, guard: &Guard) -> Result<Arc<Crypto>> {
        let text = setting(tx, guard)?;
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone();
        if loaded.0 == text {
            return Ok(loaded.1);
        }
        let table = Arc::new(parsed(&text)?);
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = (text, Arc::clone(&table));
        Ok(table)
    }
}

/// What the row says.
pub(crate) fn setting(tx: &mut dyn Transaction, guard: &Guard) -> Result<String> {
    Ok(guard.expect::<Setting>(tx, &Setting::id_of(SETTING))?.value)
}

/// The table that a row holds.
pub(crate) fn parsed(text: &str) -> Result<Crypto> {
    let table = if text.is_empty() { Crypto::baseline() } else { Crypto::parse(text) };
    table.map_err(|error| Error::bad("the table of suites", error.to_string()))
}

/// A table from outside, whose costs of a passphrase are within the bounds, each, whichever is used now.
pub(crate) fn checked(text: &str) -> Result<Crypto> {
    let table = parsed(text)?;
    match Suite::ALL.iter().all(|suite| cost(&table, *suite).is_bounded()) {
        true => Ok(table),
        false => {
            Err(Error::bad("the table of suites", "a cost of a passphrase is out of bounds (spec/keys.md#limits)"))
        }
    }
}

/// What a guess at a passphrase costs.
pub(crate) const fn cost(table: &Crypto, suite: Suite) -> Cost {
    match table.stretch(suite) {
        Stretch::Argon2id(Argon2id { memory_kib, passes, lanes }) => Cost::Argon2id { memory_kib, passes, lanes },
        Stretch::Pbkdf2(Pbkdf2 { iterations }) => Cost::Pbkdf2 { iterations },
    }
}

/// The table in force, as text.
pub(crate) fn shown(engine: &Engine) -> Result<SuitesShown> {
    let text = engine.store.read(|tx| setting(tx, &engine.keys.guard))?;
    Ok(SuitesShown { table: worded(&text), own: !text.is_empty(), receipt: None })
}

fn worded(text: &str) -> String {
    if text.is_empty() { Crypto::BASELINE.to_owned() } else { text.to_owned() }
}

/// Puts a table in the place of the one in force. Versions keep the suite that they have.
pub(crate) fn apply(engine: &Engine, session: &Session, text: &str) -> Result<SuitesShown> {
    let table = checked(text)?;
    if !text.is_empty() && table.vault() != engine.info.suite {
        let why = format!("the vault's own keys have suite `{}` since it was made", engine.info.suite);
        return Err(Error::conflict("the table of suites", why));
    }
    let wanted = Wanted::vault(Action::ManagePolicy, "policy.suites");
    // Whatever was decided under the table before is decided again: it is policy.
    let logged = act(engine, session, &wanted, &[PolicySet::row_id()], |tx, act| write(engine, tx, act, text))?;
    Ok(SuitesShown { table: worded(text), own: !text.is_empty(), receipt: Some(engine.settled(&logged)?) })
}

fn write(engine: &Engine, tx: &mut dyn Transaction, act: &Act<'_>, text: &str) -> Result<Logged> {
    let guard = &engine.keys.guard;
    let before = setting(tx, guard)?;
    let row = Setting { name: SETTING.to_owned(), value: text.to_owned() };
    let change = guard.update(tx, &row, act.ticket)?;
    epochs::bump(tx, &PolicySet::row_id())?;
    let digest = |text: &str| hex::encode(hash::sha256(worded(text).as_bytes()));
    let event =
        act.event("policy.suites").on("before", digest(&before)).on("after", digest(text)).changing(vec![change]);
    let logged = engine.log(tx, act.ticket, &act.by, &[event])?;
    logged.first().copied().ok_or(Error::Internal("an entry was lost"))
}
