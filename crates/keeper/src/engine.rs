//! What every command works with: the store, the keys, the policy in force, the clock.

use crate::cache::Facts;
use crate::clock::Watch;
use crate::datastore::{Datastore, Transaction};
use crate::error::{Error, Result};
use crate::keys::{Domains, VaultKeys};
use crate::ledger::Ledger;
use crate::release::Queue;
use crate::rows::{PolicySet, PolicySource};
use crate::session::Nonces;
use api::terms::{Mode, PrincipalId, Timestamp, VaultId};
use api::wire::VaultInfo;
use policy::{Pins, Set, Source};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// One opened vault.
pub(crate) struct Engine {
    pub(crate) vault: VaultId,
    pub(crate) mode: Mode,
    pub(crate) owner: PrincipalId,
    pub(crate) info: VaultInfo,
    pub(crate) store: Datastore,
    pub(crate) keys: VaultKeys,
    pub(crate) domains: Domains,
    pub(crate) watch: Watch,
    pub(crate) nonces: Nonces,
    pub(crate) rules: Rules,
    pub(crate) facts: Facts,
    pub(crate) releases: Queue,
    pub(crate) ledger: Ledger,
    /// Entries written since the log was last integrated by this process.
    pub(crate) appended: AtomicU64,
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

    /// The policy set in force in this transaction: from memory if it is the one that the row names. The set's epoch has no MAC
    /// and is not asked.
    pub(crate) fn rules(&self, tx: &mut dyn Transaction) -> Result<Arc<Set>> {
        let loaded = self.rules.loaded();
        if loaded.hash().to_string() == self.rules_hash(tx)? {
            return Ok(loaded);
        }
        let set = Arc::new(load_rules(&self.keys, tx)?);
        self.rules.replace(&set);
        Ok(set)
    }

    /// The hash of the policy set in force, from its row under a MAC.
    pub(crate) fn rules_hash(&self, tx: &mut dyn Transaction) -> Result<String> {
        Ok(self.keys.guard.expect::<PolicySet>(tx, &PolicySet::row_id())?.hash)
    }
}

/// Reads the policy set from its rows and checks that it is the one that was applied.
pub(crate) fn load_rules(keys: &VaultKeys, tx: &mut dyn Transaction) -> Result<Set> {
    let row: PolicySet = keys.guard.expect(tx, &PolicySet::row_id())?;
    let sources = rule_sources(keys, tx, &row)?;
    let set = if row.validator == Set::validator() {
        // INVARIANT: the row's MAC holds, so a keeper with this validator found the set sound when it was applied.
        Set::load_validated(&all_sources(&sources), &row.hash).map_err(|error| Error::Policy(error.to_string()))?
    } else {
        Some(assemble_rules(&sources)?).filter(|set| set.hash().to_string() == row.hash)
    };
    if let Some(set) = set {
        return Ok(set);
    }
    // A program with another baseline: its guardrails differ from those that were in force.
    Err(Error::Unsupported(
        "the policy set in force was applied by a program with another baseline: open the vault with that program"
            .into(),
    ))
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
