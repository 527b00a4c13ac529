//! What a table would lock out, now or at one of its dates: keys that no root opens, classes that no root writes for, the vault itself.

use super::weak;
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::Result;
use crate::keys::domains::{kept, wraps_of};
use crate::rows::{Domain, Root, Wrap};
use crate::vault::file::{RootEntry, VaultFile};
use api::terms::{Class, Environment, KeyId, Timestamp};
use policy::Crypto;
use std::collections::BTreeMap;

/// What it would shut, in words, with one root gone or none: once for each class and environment, at the first time at which it does.
pub(crate) fn told(
    engine: &Engine,
    tx: &mut dyn Transaction,
    (table, now): (&Crypto, Timestamp),
    leaving: Option<KeyId>,
) -> Result<Vec<String>> {
    let guard = &engine.keys.guard;
    let file = VaultFile::read_of(engine)?;
    let rows: Vec<Root> = guard.select(tx, "ORDER BY id", &[])?;
    let roots: Vec<Root> = rows.into_iter().filter(|root| root.state.counts() && Some(root.id) != leaving).collect();
    let keys = kept(tx, guard)?;
    let mut placed: Vec<(Domain, bool, Vec<Wrap>)> = Vec::with_capacity(keys.len());
    for key in keys {
        let Some(domain) = key.domain else { continue };
        placed.push((domain, key.state.protects(), wraps_of(tx, guard, key.id)?));
    }
    let times: Vec<Timestamp> =
        std::iter::once(now).chain(table.dates().iter().copied().filter(|date| *date > now)).collect();
    let look = Look { table, file: &file, roots: &roots };
    let (mut warnings, mut shut, mut dumb) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    for time in &times {
        if warnings.is_empty() && !look.vault_opens(*time) {
            warnings.push(format!(
                "{}: no root opens the vault: its passphrases cost a guesser too little",
                from(*time, now)
            ));
        }
        for (domain, protects, wraps) in &placed {
            let place = (domain.class, domain.environment);
            if !look.opens(place, wraps, *time) {
                shut.entry(place).or_insert(*time);
            }
            if *protects && !look.writes(place, *time) {
                dumb.entry(place).or_insert(*time);
            }
        }
    }
    let named = |(class, environment): &(Class, Environment)| format!("{class} in {environment}");
    for (place, time) in &shut {
        let place = named(place);
        warnings.push(format!("{}: nothing that is {place} is opened: every root of a key may not", from(*time, now)));
    }
    for (place, time) in &dumb {
        let place = named(place);
        warnings
            .push(format!("{}: nothing new is sealed that is {place}: no root that opens may wrap", from(*time, now)));
    }
    Ok(warnings)
}

fn from(time: Timestamp, now: Timestamp) -> String {
    if time == now { "at once".to_owned() } else { format!("from {time}") }
}

struct Look<'a> {
    table: &'a Crypto,
    file: &'a VaultFile,
    roots: &'a [Root],
}

impl Look<'_> {
    /// Whether a root is one that opens in daily life and whose passphrase costs enough.
    fn is_there(&self, root: &Root, time: Timestamp) -> bool {
        let entry: Option<&RootEntry> = self.file.entry(root.id);
        !root.kind.only_wraps() && entry.is_some_and(|entry| weak(self.table, entry, time).is_ok())
    }

    fn vault_opens(&self, time: Timestamp) -> bool {
        self.roots.iter().any(|root| self.is_there(root, time))
    }

    fn opens(&self, (class, environment): (Class, Environment), wraps: &[Wrap], time: Timestamp) -> bool {
        let may = |root: &&Root| self.is_there(root, time) && self.table.opens(class, environment, root.term(), time);
        self.roots.iter().filter(may).any(|root| wraps.iter().any(|wrap| wrap.under == root.id))
    }

    fn writes(&self, (class, environment): (Class, Environment), time: Timestamp) -> bool {
        let may = |root: &Root| self.is_there(root, time) && self.table.wraps(class, environment, root.term(), time);
        self.roots.iter().any(may)
    }
}
