//! Facts of recent releases, kept in memory. Only speed depends on them: the transaction that logs a release compares their
//! epochs again, so what another thread or process changed is decided again.

use crate::epochs::{Epochs, Subject};
use crate::error::Result;
use crate::facts::{Actor, Found};
use crate::field::Personal;
use crate::keys::state::Above;
use crate::rows::Wrap;
use crate::suites;
use api::terms::{PrincipalId, Reference, Timestamp};
use api::wire::MadeBy;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// The most facts kept.
const MAX_KEPT: usize = 1024;
/// The longest version record that is kept with them, in bytes.
const MAX_RECORD_LEN: usize = 32 << 10;

/// Everything a release needs to know, as of some epochs.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) found: Found,
    pub(crate) actor: Actor,
    /// Seals the records of the actor's decisions.
    pub(crate) personal: Personal,
    pub(crate) rules: Arc<policy::Set>,
    pub(crate) crypto: Arc<policy::Crypto>,
    pub(crate) wrap: Wrap,
    pub(crate) above: Above,
    pub(crate) epochs: Epochs,
    pub(crate) creator: String,
    pub(crate) record: Vec<u8>,
    pub(crate) aliases: Vec<String>,
    pub(crate) made: Option<MadeBy>,
}

impl Known {
    /// Refuses a version of a suite that the vault does not let be opened.
    pub(crate) fn refuse_unread(&self, at: Timestamp) -> Result<()> {
        let version = &self.found.version;
        let place = (version.class, version.environment);
        let mend = || format!("strongroom key reencrypt {}", self.found.named());
        suites::refuse_unread(&self.crypto, place, version.suite, at, mend)
    }
}

/// The facts by who asks about what.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    kept: RwLock<HashMap<(PrincipalId, Reference), Arc<Known>>>,
}

impl Facts {
    /// What is remembered.
    pub(crate) fn find(&self, principal: PrincipalId, reference: &Reference) -> Option<Arc<Known>> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        kept.get(&(principal, reference.clone())).cloned()
    }

    /// Remembers.
    pub(crate) fn keep(&self, principal: PrincipalId, reference: &Reference, known: &Arc<Known>) {
        if known.record.len() > MAX_RECORD_LEN {
            return;
        }
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert((principal, reference.clone()), Arc::clone(known));
    }

    /// Forgets everything.
    pub(crate) fn forget_all(&self) {
        self.kept.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Forgets what depends on any of these subjects.
    pub(crate) fn forget(&self, subjects: &[Subject]) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, known| !subjects.iter().any(|subject| known.epochs.contains_key(subject)));
    }
}
