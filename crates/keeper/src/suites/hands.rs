//! Who at hand wraps the next key of a domain: a date of the table may leave that to roots that this process has nothing to open with,
//! as a token that is pulled out. What seals there stops then, and is told of before.

use super::weak;
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::Result;
use crate::keys::domains::{kept, place_of};
use crate::rows::Root;
use crate::vault::file::VaultFile;
use api::terms::{Class, Environment, KeyId, RootKind, Timestamp};
use api::wire::KeysAway;
use policy::Crypto;
use std::collections::BTreeMap;

/// The most domains that are named.
const MAX_NAMED: usize = 8;

/// The roots that this process opens or can open.
#[derive(Debug)]
pub(crate) struct Hands {
    file: VaultFile,
    roots: Vec<(KeyId, RootKind)>,
}

impl Hands {
    /// Those that count in this transaction.
    pub(crate) fn of(engine: &Engine, tx: &mut dyn Transaction) -> Result<Self> {
        // What this process does not know yet it has nothing to open with; what it knows counts only if its row does.
        let rows: Vec<Root> = engine.keys.guard.select(tx, "ORDER BY id", &[])?;
        let counts = |id: KeyId| rows.iter().any(|row| row.id == id && row.state.counts());
        let members = engine.domains.roots.members();
        let at_hand = members.iter().filter(|member| member.is_at_hand() && counts(member.id));
        let at_hand = at_hand.map(|member| (member.id, member.term));
        Ok(Self { file: VaultFile::read_of(engine)?, roots: at_hand.collect() })
    }

    /// Whether none of them may wrap in a place, by a date of the table: what was never so is told where it is missed.
    pub(crate) fn are_empty(&self, table: &Crypto, (class, environment): (Class, Environment), at: Timestamp) -> bool {
        let none = |time| !self.roots.iter().any(|root| self.wraps(table, (class, environment), *root, time));
        none(at) && table.since(at, none).is_some()
    }

    fn wraps(
        &self,
        table: &Crypto,
        (class, environment): (Class, Environment),
        (id, term): (KeyId, RootKind),
        at: Timestamp,
    ) -> bool {
        let costs = || self.file.entry(id).is_none_or(|entry| weak(table, entry, at).is_ok());
        table.wraps(class, environment, term, at) && costs()
    }
}

/// The first date from which on domains whose keys write have nobody at hand for the next one, and which those are.
pub(crate) fn away(engine: &Engine, tx: &mut dyn Transaction, now: Timestamp) -> Result<Option<KeysAway>> {
    let table = engine.crypto(tx)?;
    let Some(last) = table.dates().last().copied() else { return Ok(None) };
    let hands = Hands::of(engine, tx)?;
    let guard = &engine.keys.guard;
    let mut dates: BTreeMap<Timestamp, Vec<String>> = BTreeMap::new();
    for key in kept(tx, guard)?.iter().filter(|key| key.state.protects()) {
        let Some(domain) = key.domain else { continue };
        let place = (domain.class, domain.environment);
        if let Some(first) = table.first(now, last.max(now), |time| hands.are_empty(&table, place, time)) {
            dates.entry(first).or_default().push(place_of(tx, guard, &domain, key.purpose)?);
        }
    }
    Ok(dates.pop_first().map(|(from, mut of)| {
        let domains = of.len() as u64;
        of.sort();
        of.truncate(MAX_NAMED);
        KeysAway { from, domains, of }
    }))
}
