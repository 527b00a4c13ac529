//! A root comes in: everything that it may wrap is wrapped under it, in batches, each a transaction with its entry. Who is killed
//! goes on where it was; a key that was made meanwhile is found at the end.

use super::{RootProvider, Wrapper};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::journal::{By, Event};
use crate::keys::domains::{wrap_under, wraps_of};
use crate::rows::{Key, Root, RootState, Wrap};
use api::terms::{Class, Environment, KeyId, KeyState};
use log::entry::Kind;
use std::sync::Arc;

/// Keys wrapped in one transaction: their changes fit one entry.
const BATCH: i64 = 64;

/// A root with what wraps under it.
#[derive(Debug, Clone)]
pub(crate) struct New {
    pub(crate) row: Root,
    wraps: Arc<dyn Wrapper>,
    /// It opens here as well: what it wrapped is opened again before it counts.
    opens: Option<Arc<dyn RootProvider>>,
}

impl New {
    /// One that opens here.
    pub(crate) fn opening(row: Root, root: Arc<dyn RootProvider>) -> Self {
        let wraps: Arc<dyn Wrapper> = Arc::clone(&root) as Arc<dyn Wrapper>;
        Self { row, wraps, opens: Some(root) }
    }

    /// The root, if it opens here.
    pub(crate) fn opened(&self) -> Option<Arc<dyn RootProvider>> {
        self.opens.clone()
    }

    /// One that only wraps.
    pub(crate) fn wrapping(row: Root, wraps: Arc<dyn Wrapper>) -> Self {
        Self { row, wraps, opens: None }
    }
}

/// Roots that come in.
pub(crate) struct Joining<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) by: By,
}

/// How far a batch came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batch {
    /// The last key that was looked at; none if there was no more.
    pub(crate) last: Option<KeyId>,
    pub(crate) wrapped: u64,
    /// Those whose roots are not at hand.
    pub(crate) locked: u64,
}

impl Joining<'_> {
    /// Wraps all that a root lacks; how many keys, and how many could not be opened because their roots are not at hand.
    pub(crate) fn wrap_all(&self, new: &New) -> Result<(u64, u64)> {
        let (mut after, mut wrapped, mut locked) = (None, 0, 0);
        loop {
            let batch = self.wrap_some(new, after)?;
            wrapped += batch.wrapped;
            locked += batch.locked;
            if batch.last.is_none() {
                return Ok((wrapped, locked));
            }
            after = batch.last;
        }
    }

    /// One batch of what a root lacks, of the keys after this one.
    pub(crate) fn wrap_some(&self, new: &New, after: Option<KeyId>) -> Result<Batch> {
        let (engine, guard) = (self.engine, &self.engine.keys.guard);
        let keys = engine.store.read(|tx| {
            let keys = lacking(engine, tx, &new.row, after, BATCH)?;
            keys.into_iter()
                .map(|key| Ok((wraps_of(tx, guard, key.id)?, key)))
                .collect::<Result<Vec<(Vec<Wrap>, Key)>>>()
        })?;
        let mut batch = Batch { last: keys.last().map(|(_, key)| key.id), wrapped: 0, locked: 0 };
        let mut made = Vec::with_capacity(keys.len());
        for (wraps, key) in &keys {
            match self.wrapped(new, key, wraps) {
                Ok(wrap) => made.push(wrap),
                Err(error @ (Error::Store(_) | Error::Internal(_))) => return Err(error),
                // Whatever keeps one key shut keeps no other from being wrapped.
                Err(_) => batch.locked += 1,
            }
        }
        if !made.is_empty() {
            batch.wrapped = engine.store.write(|tx| self.keep(tx, new, &made))?;
        }
        Ok(batch)
    }

    /// A key, opened by whichever root opens it, under the new one.
    fn wrapped(&self, new: &New, key: &Key, wraps: &[Wrap]) -> Result<Wrap> {
        let domains = &self.engine.domains;
        let secret = domains.secret(key, wraps)?;
        let context = domains.context(key, new.row.id);
        let sealed = new.wraps.wrap(&context, &secret)?;
        if let Some(root) = &new.opens {
            // What does not open again must not be all that is left.
            if root.unwrap(&context, &sealed)?.expose_bytes() != secret.expose_bytes() {
                return Err(Error::Wrap { key: key.id.to_string() });
            }
        }
        wrap_under(key, new.row.id, sealed)
    }

    /// Writes wraps of keys that are still there and still lack one; how many.
    fn keep(&self, tx: &mut dyn Transaction, new: &New, made: &[Wrap]) -> Result<u64> {
        let guard = &self.engine.keys.guard;
        let row: Option<Root> = guard.find(tx, new.row.id.as_bytes())?;
        if row.is_none_or(|row| row.state == RootState::Retired) {
            return Err(Error::conflict("the root", "somebody removed it meanwhile"));
        }
        let ticket = tx.ticket()?;
        let mut changes = Vec::with_capacity(made.len());
        for wrap in made {
            let key: Key = guard.expect(tx, wrap.key.as_bytes())?;
            let is_there = wraps_of(tx, guard, wrap.key)?.iter().any(|other| other.under == wrap.under);
            if key.state != KeyState::Destroyed && !is_there {
                changes.push(guard.insert(tx, wrap, ticket)?);
            }
        }
        let count = changes.len() as u64;
        if count > 0 {
            let event = Event::new(Kind::State, "root.wrap").on("root", new.row.id).with("keys", count);
            self.engine.log(tx, ticket, &self.by, &[event.changing(changes)])?;
        }
        Ok(count)
    }
}

/// Keys that a root may wrap and does not, in order of id, after this one.
pub(crate) fn lacking(
    engine: &Engine,
    tx: &mut dyn Transaction,
    root: &Root,
    after: Option<KeyId>,
    limit: i64,
) -> Result<Vec<Key>> {
    let after = after.unwrap_or(KeyId::from_bytes([0; 16]));
    let tail = format!("{} AND id > $3 ORDER BY id LIMIT $4", lacks(engine, tx, root)?);
    let values = [KeyState::Destroyed.word().into(), root.id.as_bytes().into(), after.as_bytes().into(), limit.into()];
    engine.keys.guard.select(tx, &tail, &values)
}

/// How many there are.
pub(crate) fn count_lacking(engine: &Engine, tx: &mut dyn Transaction, root: &Root) -> Result<u64> {
    let sql = format!("SELECT CAST(COUNT(*) AS BIGINT) FROM crypto_key {}", lacks(engine, tx, root)?);
    let count = tx.query(&sql, &[KeyState::Destroyed.word().into(), root.id.as_bytes().into()])?.one()?.integer(0)?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Those that neither the class table nor the vault's own keeps from it now.
fn lacks(engine: &Engine, tx: &mut dyn Transaction, root: &Root) -> Result<String> {
    let (table, now) = (engine.crypto(tx)?, engine.suites.reached());
    let mut admitted = String::new();
    for environment in Environment::ALL {
        let classes = Class::ALL.iter().filter(|class| table.wraps(**class, *environment, root.term(), now));
        let classes: String = classes.map(|class| format!(", {}", class.number())).collect();
        admitted += &format!(" OR environment = {} AND class IN (-1{classes})", environment.number());
    }
    Ok(format!(
        "WHERE state <> $1 AND NOT EXISTS (SELECT 1 FROM wrap w WHERE w.wrapped = crypto_key.id AND w.under = $2) \
         AND (environment IS NULL{admitted})"
    ))
}
