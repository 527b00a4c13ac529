//! What the depots must hold: every object of every version that has a key, and what it must be.

use crate::watch::{Watch, check};
use crate::{Client, fault};
use api::terms::{Code, ObjectId};
use api::wire::{Problem, VersionItem};
use depot::sealed::{Expected, VersionObject};
use depot::{Entry, Key, Store};
use seal::object::TRAILER_LEN;
use seal::record::{Pack, VersionRecord};
use seal::segment::SegmentInfo;
use seal::tree::Digest;
use std::collections::{HashMap, HashSet};

/// Objects listed at a time.
const PAGE: usize = 10_000;

/// An object that a version needs.
#[derive(Debug, Clone)]
pub(super) struct Need {
    pub(super) key: Key,
    pub(super) expected: Expected,
    pub(super) len: u64,
    /// The first version that was found to need it.
    pub(super) reference: String,
}

/// Whose packs are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packs {
    All,
    Own,
}

/// What is needed, and the versions of which that cannot be told.
#[derive(Debug, Default)]
pub(super) struct Needs {
    pub(super) items: Vec<Need>,
    pub(super) lost: Vec<Lost>,
}

/// A version whose record is right in no depot.
#[derive(Debug, Clone)]
pub(super) struct Lost {
    pub(super) reference: String,
    pub(super) object: ObjectId,
    pub(super) what: String,
}

impl Client {
    /// What every version needs. No key is needed to tell it: the keeper names each version's digest, that its record, and the record
    /// every other object. The record is read from whichever depot has it right.
    ///
    /// # Errors
    /// The keeper's; `unavailable` if no depot answers.
    pub(super) fn needs(&self, watch: &dyn Watch) -> Result<Needs, Problem> {
        let mut needs = Needs::default();
        let mut seen = HashSet::new();
        self.each_version(&mut |item| {
            check(watch, "depot")?;
            // What only a destroyed version needs may be gone.
            if item.is_destroyed() { Ok(()) } else { self.need(item, &mut seen, &mut needs, Packs::All) }
        })?;
        Ok(needs)
    }

    /// What one version was committed with: its object, and the segments of packs of its own.
    ///
    /// # Errors
    /// If its record cannot be read.
    pub(super) fn needs_of(&self, item: &VersionItem) -> Result<Vec<Need>, Problem> {
        let (mut needs, mut seen) = (Needs::default(), HashSet::new());
        self.need(item, &mut seen, &mut needs, Packs::Own)?;
        match needs.lost.pop() {
            Some(lost) => Err(Problem::new(Code::Integrity, "cannot copy the version", lost.what)),
            None => Ok(needs.items),
        }
    }

    fn need(
        &self,
        item: &VersionItem,
        seen: &mut HashSet<[u8; 16]>,
        needs: &mut Needs,
        packs: Packs,
    ) -> Result<(), Problem> {
        let vault = *self.vault().as_bytes();
        let key = Key::new(vault, *item.object.as_bytes());
        if !seen.insert(*item.object.as_bytes()) {
            return Ok(());
        }
        let mut digest = [0; 32];
        // A digest that is none matches nothing.
        let _ = hex::decode_to_slice(&item.digest, &mut digest);
        let record = VersionObject::open(self.store(), &key).and_then(|object| object.record(&digest));
        let record: VersionRecord = match record {
            Ok(record) => record,
            Err(error) if error.is_integrity() => {
                let lost = Lost { reference: item.reference.clone(), object: item.object, what: error.to_string() };
                needs.lost.push(lost);
                return Ok(());
            }
            Err(error) => return Err(fault::sealed(&format!("cannot read the record of {}", item.reference), &error)),
        };
        let broken = |e: &dyn std::fmt::Display| fault::internal("cannot read a version record", e);
        let record_len = record.encode().map_err(|e| broken(&e))?.len() as u64;
        let len = record.map.offset + record.map.stored_len + record_len + TRAILER_LEN as u64;
        let (expected, reference) = (Expected::Version(digest), item.reference.clone());
        needs.items.push(Need { key, expected, len, reference });
        let meant = |pack: &&Pack| packs == Packs::All || pack.owner == record.version;
        for segment in record.packs.iter().filter(meant).flat_map(|pack| &pack.segments) {
            if !seen.insert(segment.object) {
                continue;
            }
            let digest = Digest::from_bytes(segment.digest);
            let info = SegmentInfo::new(record.suite, segment.plaintext_len, segment.stored_len, digest);
            let info = info.map_err(|e| broken(&e))?;
            let (key, expected) = (Key::new(vault, segment.object), Expected::Segment(info));
            needs.items.push(Need { key, expected, len: segment.stored_len, reference: item.reference.clone() });
        }
        Ok(())
    }
}

/// What a depot says it holds of a vault, with lengths.
pub(super) fn held(store: &dyn Store, vault: &[u8; 16], watch: &dyn Watch) -> Result<HashMap<[u8; 16], u64>, Problem> {
    let mut held = HashMap::new();
    let mut after: Option<Key> = None;
    loop {
        check(watch, "depot")?;
        let page = store.list(vault, after.as_ref(), PAGE).map_err(|e| fault::depot("cannot list the depot", &e))?;
        held.extend(page.iter().map(|Entry { key, len_bytes }| (*key.object(), *len_bytes)));
        match page.last() {
            Some(last) if after.is_some_and(|before| last.key <= before) => {
                let why = "it lists the same names again";
                return Err(Problem::new(Code::Unavailable, "cannot list the depot", why));
            }
            Some(last) if page.len() >= PAGE => after = Some(last.key),
            _ => return Ok(held),
        }
    }
}
