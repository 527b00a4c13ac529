//! Entries that were acknowledged and are not known to be in the tree: what only this process can miss.
//!
//! A waiting entry that is deleted with nothing else in the database to contradict it leaves no trace there, and no row could tell:
//! whoever writes the database may put back an older copy of any row. So the keeper that gave its word remembers it, by the leaf.

use api::terms::EntryId;
use log::tree::Hash;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The entries, by leaf.
#[derive(Debug, Default)]
pub(super) struct Owed(Mutex<BTreeMap<[u8; 32], EntryId>>);

impl Owed {
    /// One more.
    pub(super) fn add(&self, entry: EntryId, leaf: Hash) {
        self.map().insert(*leaf.as_bytes(), entry);
    }

    /// These are in the tree.
    pub(super) fn settle(&self, leaves: impl IntoIterator<Item = Hash>) {
        let mut map = self.map();
        for leaf in leaves {
            map.remove(leaf.as_bytes());
        }
    }

    /// Whether none is left.
    pub(super) fn is_empty(&self) -> bool {
        self.map().is_empty()
    }

    /// Those that are left.
    pub(super) fn rest(&self) -> Vec<(EntryId, Hash)> {
        self.map().iter().map(|(leaf, entry)| (*entry, Hash::from_bytes(*leaf))).collect()
    }

    fn map(&self) -> MutexGuard<'_, BTreeMap<[u8; 32], EntryId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
