//! What every command works with: the store, the keys, the policy in force, the clock.

use crate::cache::Facts;
use crate::clock::Watch;
use crate::datastore::{Datastore, Transaction};
use crate::error::{Error, Result};
use crate::kept;
use crate::keys::{Domains, VaultKeys};
use crate::ledger::Ledger;
use crate::release::Queue;
use crate::rows::{PolicySet, PolicySource, Table};
use crate::session::Nonces;
use crate::suites::Suites;
use crate::vault::RootKind;
use api::terms::{KeyId, Mode, PrincipalId, Timestamp, VaultId};
use api::wire::VaultInfo;
use policy::{Crypto, Digest, Pins, Set, Source};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// One opened vault.
pub(crate) struct Engine {
    pub(crate) vault: VaultId,
    /// Its folder.
    pub(crate) dir: std::path::PathBuf,
    pub(crate) mode: Mode,
    pub(crate) owner: PrincipalId,
    pub(crate) info: VaultInfo,
    pub(crate) store: Datastore,
    pub(crate) keys: VaultKeys,
    pub(crate) domains: Domains,
    /// The root that opened it.
    pub(crate) opened_by: (KeyId, RootKind),
    pub(crate) watch: Arc<Watch>,
    pub(crate) nonces: Nonces,
    pub(crate) rules: Rules,
    pub(crate) suites: Arc<Suites>,
    pub(crate) facts: Facts,
    pub(crate) releases: Queue,
    pub(crate) ledger: Ledger,
    /// Entries written since the log was last integrated by this process.
    pub(crate) appended: AtomicU64,
    /// Whether it stays open between sessions, after each of which it integrates.
    pub(crate) stays: AtomicBool,
    /// Why nothing may be written, if so.
    pub(crate) read_only: OnceLock<String>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("vault", &self.vault).field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// The policy set that was read last. Whether it is still in force, the row under its MAC says each time.
#[derive(Debug)]
pub(crate) struct Rules {
    loaded: RwLock<Arc<Set>>,
}

impl Rules {
    /// With a set that was read.
    pub(crate) fn new(set: Arc<Set>) -> Self {
        Self { loaded: RwLock::new(set) }
    }

    fn loaded(&self) -> Arc<Set> {
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, set: &Arc<Set>) {
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(set);
    }
}

impl Engine {
    /// Now.
    pub(crate) fn now(&self) -> Result<Timestamp> {
        self.watch.now()
    }

    /// Refuses a clock that is not to be trusted, and, near a date of the table, goes by the latest keeper of this vault.
    pub(crate) fn keep_time(&self) -> Result<()> {
        if self.watch.is_near_date() {
            self.store.read(|tx| self.watch.catch_up(tx))?;
        }
        self.now().map(drop)
    }

    /// The policy set in force in this transaction: from memory if it is the one that the row names. The set's epoch has no MAC
    /// and is not asked.
    ///
    /// # Errors
    /// [`Error::OtherBaseline`], besides what the database says: until a vault is moved to this program's baseline, nothing is
    /// decided but that.
    pub(crate) fn rules(&self, tx: &mut dyn Transaction) -> Result<Arc<Set>> {
        let row = in_force(&self.keys, tx)?.current()?;
        self.rules_of(tx, &row)
    }

    /// The same with whatever baseline it has, if it is not newer than this program's.
    pub(crate) fn rules_as_applied(&self, tx: &mut dyn Transaction) -> Result<Arc<Set>> {
        let row = in_force(&self.keys, tx)?.not_newer()?;
        self.rules_of(tx, &row)
    }

    fn rules_of(&self, tx: &mut dyn Transaction, row: &PolicySet) -> Result<Arc<Set>> {
        let loaded = self.rules.loaded();
        if loaded.hash().to_string() == row.hash && (loaded.pins() == Pins::Required) == row.is_current() {
            return Ok(loaded);
        }
        let set = Arc::new(read_rules(&self.keys, tx, row)?);
        self.rules.replace(&set);
        Ok(set)
    }

    /// Refuses to go on with a set that was loaded with another baseline, unless it was moved meanwhile.
    pub(crate) fn refuse_other_baseline(&self) -> Result<()> {
        match self.rules.loaded().pins() {
            Pins::Required => Ok(()),
            Pins::Waived => self.store.read(|tx| self.rules(tx)).map(drop),
        }
    }

    /// Which suites are written and read, in this transaction.
    pub(crate) fn crypto(&self, tx: &mut dyn Transaction) -> Result<Arc<Crypto>> {
        self.suites.of(tx, &self.keys.guard)
    }

    /// The hash of the policy set in force, from its row under a MAC.
    pub(crate) fn rules_hash(&self, tx: &mut dyn Transaction) -> Result<String> {
        Ok(in_force(&self.keys, tx)?.current()?.hash)
    }
}

/// The row of the set in force.
pub(crate) fn in_force(keys: &VaultKeys, tx: &mut dyn Transaction) -> Result<PolicySet> {
    keys.guard.expect(tx, &PolicySet::row_id())
}

/// Reads the policy set from its rows and checks that it is the one that was applied. One with an older baseline is what was kept
/// of it then.
pub(crate) fn load_rules(keys: &VaultKeys, tx: &mut dyn Transaction) -> Result<Set> {
    let row = in_force(keys, tx)?.not_newer()?;
    read_rules(keys, tx, &row)
}

fn read_rules(keys: &VaultKeys, tx: &mut dyn Transaction, row: &PolicySet) -> Result<Set> {
    let sources = rule_sources(keys, tx, row)?;
    let altered = || Error::Altered { table: PolicySet::NAME, row: row.hash.clone() };
    if !row.is_current() {
        return Ok(as_applied(tx, row)?.0);
    }
    let set = if row.validator == Set::validator() {
        // INVARIANT: the row's MAC holds, so a keeper with this validator found the set sound when it was applied.
        Set::load_validated(&all_sources(&sources), &row.hash).map_err(|error| Error::Policy(error.to_string()))?
    } else {
        Some(assemble_rules(&sources)?).filter(|set| set.hash().to_string() == row.hash)
    };
    set.ok_or_else(altered)
}

/// The set of a row as it was kept when it was applied, with its sources.
pub(crate) fn as_applied(tx: &mut dyn Transaction, row: &PolicySet) -> Result<(Set, Vec<Source>)> {
    let hash = hex::decode(&row.hash).ok().and_then(|bytes| bytes.try_into().ok());
    let hash = hash.ok_or_else(|| Error::Altered { table: PolicySet::NAME, row: row.hash.clone() })?;
    kept::set(tx, Digest::from_bytes(hash))?.map_err(|lost| Error::Altered { table: "cas", row: lost.to_string() })
}

/// The organisation's sources of a set; one that is missing is an altered table.
pub(crate) fn rule_sources(keys: &VaultKeys, tx: &mut dyn Transaction, row: &PolicySet) -> Result<Vec<PolicySource>> {
    let sources: Vec<PolicySource> = keys.guard.select(tx, "ORDER BY name", &[])?;
    let names: Vec<&String> = sources.iter().map(|source| &source.name).collect();
    if names == row.sources.iter().collect::<Vec<_>>() {
        return Ok(sources);
    }
    Err(Error::Altered { table: "policy_source", row: "a source is missing or was added".into() })
}

/// The baseline and the organisation's sources as one set.
pub(crate) fn assemble_rules(sources: &[PolicySource]) -> Result<Set> {
    Set::load_with(&all_sources(sources), Pins::Required).map_err(|error| Error::Policy(error.to_string()))
}

/// The baseline's sources, then the organisation's.
pub(crate) fn all_sources(own: &[PolicySource]) -> Vec<Source> {
    let own = own.iter().map(|source| Source { name: source.name.clone(), text: source.text.clone() });
    Set::baseline_sources().into_iter().chain(own).collect()
}

#[cfg(test)]
mod tests;
