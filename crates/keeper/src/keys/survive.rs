//! What the versions of an artifact need while a domain key's end is told of, batch by batch. Looked for outside of those transactions, a
//! page at a time, and kept over the batches while nothing else moves the artifact: wraps under the key go in order of id, so that it is
//! known beforehand which version is the last one to need an object.

use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::epochs::{self, Epochs};
use crate::error::{Error, Result};
use crate::keys::domains::wraps_of;
use crate::removal::{self, is_destroyed, objects_of, record_of};
use crate::rows::{Artifact, Domain, Key, Version};
use api::terms::{ArtifactId, KeyId, ObjectId, VersionId};
use std::collections::{BTreeMap, BTreeSet};

/// Versions read in one transaction.
const PAGE: u64 = 256;
/// The most artifacts and objects that are remembered beyond a batch.
const MAX_KEPT: usize = 1 << 18;

/// Until when something is needed: until this wrap goes, or beyond all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Until {
    Wrap(KeyId),
    Beyond,
}

/// Objects, each with the version that needs it longest.
type Needed = BTreeMap<ObjectId, (Until, VersionId)>;

/// What the artifacts need that were looked at, each with the epoch before the look.
#[derive(Debug, Default)]
pub(super) struct Survivors(BTreeMap<ArtifactId, (i64, Needed)>);

impl Survivors {
    /// Looks at those artifacts that it knows nothing of.
    pub(super) fn look(&mut self, engine: &Engine, key: &Key, artifacts: &BTreeSet<ArtifactId>) -> Result<()> {
        let kept: usize = self.0.values().map(|(_, needed)| needed.len() + 1).sum();
        if kept > MAX_KEPT {
            self.0.retain(|id, _| artifacts.contains(id));
        }
        for id in artifacts {
            if self.0.contains_key(id) {
                continue;
            }
            let subject = *id.as_bytes();
            let epoch = engine.store.read(|tx| epochs::read(tx, &[subject]))?.remove(&subject);
            let epoch = epoch.ok_or_else(|| Error::Altered { table: "epoch", row: hex::encode(subject) })?;
            self.0.insert(*id, (epoch, needed(engine, key, *id)?));
        }
        Ok(())
    }

    /// Whether it knows of all of these, as they are.
    pub(super) fn knows(&self, artifacts: &BTreeSet<ArtifactId>, epochs: &Epochs) -> bool {
        artifacts.iter().all(|id| {
            let known = self.0.get(id).map(|(epoch, _)| *epoch);
            known.is_some() && known == epochs.get(id.as_bytes()).copied()
        })
    }

    /// Which version needs an object when every wrap up to this one is gone.
    pub(super) fn needs(&self, artifact: ArtifactId, object: &ObjectId, last: KeyId) -> Option<VersionId> {
        let (_, needed) = self.0.get(&artifact)?;
        needed.get(object).filter(|(until, _)| *until > Until::Wrap(last)).map(|(_, version)| *version)
    }

    /// Goes on after a batch, whose own changes are those that were known beforehand.
    pub(super) fn moved(&mut self, after: &Epochs) {
        for (id, (epoch, _)) in &mut self.0 {
            *epoch = after.get(id.as_bytes()).copied().unwrap_or(*epoch);
        }
    }

    /// Forgets what moved.
    pub(super) fn forget(&mut self, artifacts: &BTreeSet<ArtifactId>) {
        self.0.retain(|id, _| !artifacts.contains(id));
    }
}

/// The objects that versions of an artifact need whose keys are there, under this key or another; of a named key, none.
fn needed(engine: &Engine, key: &Key, id: ArtifactId) -> Result<Needed> {
    let mut all = Needed::new();
    let Some(artifact) = engine.store.read(|tx| engine.keys.guard.find::<Artifact>(tx, id.as_bytes()))? else {
        return Ok(all);
    };
    let mut below = artifact.latest.saturating_add(1);
    while below > 1 {
        let (last, page) = engine.store.read(|tx| {
            let page = removal::page_below(engine, tx, &artifact, (below, PAGE))?;
            let mut needed = Needed::new();
            for version in page.iter().filter(|version| !is_destroyed(version)) {
                let until = until(engine, tx, key, version)?;
                join(&mut needed, objects_of(&record_of(tx, version)?).map(|object| (object, (until, version.id))));
            }
            Ok::<_, Error>((page.last().map_or(0, |version| version.number), needed))
        })?;
        join(&mut all, page.into_iter());
        below = last;
    }
    Ok(all)
}

fn join(all: &mut Needed, more: impl Iterator<Item = (ObjectId, (Until, VersionId))>) {
    for (object, by) in more {
        let known = all.entry(object).or_insert(by);
        if by.0 > known.0 {
            *known = by;
        }
    }
}

/// Until when a version is there whose key is.
fn until(engine: &Engine, tx: &mut dyn Transaction, key: &Key, version: &Version) -> Result<Until> {
    let place = Domain { workspace: version.workspace, environment: version.environment, class: version.class };
    if key.domain != Some(place) {
        return Ok(Until::Beyond);
    }
    let wraps = wraps_of(tx, &engine.keys.guard, version.key)?;
    let here = wraps.iter().find(|wrap| wrap.under == key.id);
    Ok(here.map_or(Until::Beyond, |wrap| Until::Wrap(wrap.id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_needed_until_the_last_version_goes_that_names_it() {
        let (artifact, object) = (ArtifactId::from_bytes([1; 16]), ObjectId::from_bytes([2; 16]));
        let wrap = |n| KeyId::from_bytes([n; 16]);
        let version = |n| VersionId::from_bytes([n; 16]);
        let mut needed = Needed::new();
        join(&mut needed, [5, 9, 7].into_iter().map(|n| (object, (Until::Wrap(wrap(n)), version(n)))));
        let mut survivors = Survivors(BTreeMap::from([(artifact, (3, needed))]));
        let by = |survivors: &Survivors, last| survivors.needs(artifact, &object, wrap(last));
        assert_eq!((by(&survivors, 4), by(&survivors, 8)), (Some(version(9)), Some(version(9))));
        assert_eq!((by(&survivors, 9), by(&survivors, 255)), (None, None));
        join(&mut survivors.0.get_mut(&artifact).unwrap().1, std::iter::once((object, (Until::Beyond, version(1)))));
        assert_eq!(by(&survivors, 255), Some(version(1)));

        let artifacts = BTreeSet::from([artifact]);
        let at = |epoch| Epochs::from([(*artifact.as_bytes(), epoch)]);
        assert!(survivors.knows(&artifacts, &at(3)) && !survivors.knows(&artifacts, &at(4)));
        survivors.moved(&at(4));
        assert!(survivors.knows(&artifacts, &at(4)) && !survivors.knows(&artifacts, &Epochs::new()));
        survivors.forget(&artifacts);
        assert!(!survivors.knows(&artifacts, &at(4)));
    }
}
