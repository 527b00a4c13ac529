//! What the previous version holds already: unchanged files keep their place in its packs.
//!
//! List and map of the previous version, the cache of file states and the walk are all sorted by path, so they are read side by side
//! and never held whole.

use super::cache::CacheReader;
use crate::digest::Growing;
use crate::fault;
use crate::opened::{List, Map};
use crate::source::{Found, LastFolder, Tree};
use api::wire::Problem;
use depot::{Key, Store};
use seal::Suite;
use seal::list::{Entry, Node};
use seal::map::{Extent, MapEntry};
use seal::record::{Pack, Segment, VersionRecord};
use seal::secret::PackKey;
use seal::tree::{self, GROUP_LEN};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::os::unix::fs::FileExt as _;
use zeroize::Zeroizing;

/// The table of packs of the new version: those of the previous one that are used again, and the new one.
#[derive(Default)]
pub(super) struct Packs {
    /// In the order of the version record; `None` is the new pack.
    pub(super) order: Vec<Option<u32>>,
}

impl Packs {
    /// The number of a pack in the new record, given at first use.
    pub(super) fn number(&mut self, pack: Option<u32>) -> u32 {
        let known = self.order.iter().position(|held| *held == pack);
        let number = known.unwrap_or_else(|| {
            self.order.push(pack);
            self.order.len() - 1
        });
        number as u32
    }
}

/// Packs as the version record names them, and their keys as the map does.
pub(super) type Named = (Vec<Pack>, Vec<([u8; 16], PackKey)>);

/// The previous version, read along.
#[derive(Default)]
pub(super) struct Known {
    previous: Option<Previous>,
    /// Most packs of earlier versions that a new one names; beyond it files are put anew.
    pub(super) packs: Packs,
    /// Plaintext bytes that were not uploaded again.
    pub(super) reused: u64,
    /// Packs of the previous version that were asked for, and whether the depot holds them whole.
    present: BTreeMap<u32, bool>,
    /// What a file is read through; wiped at the end.
    buffer: Zeroizing<Vec<u8>>,
}

struct Previous {
    list: List,
    map: Map,
    record: VersionRecord,
    cache: Option<CacheReader>,
    /// With its number in the list.
    ahead: Option<(u32, Entry, MapEntry)>,
    over: bool,
}

/// Bytes of a file read at a time, to see whether it changed.
const READ_LEN: usize = 16 * GROUP_LEN;
/// Most packs of earlier versions.
const MAX_OLD_PACKS: usize = 1_000;

impl Known {
    /// Reads along with a previous version.
    pub(super) fn new(list: List, map: Map, record: VersionRecord, cache: Option<CacheReader>) -> Self {
        let previous = Previous { list, map, record, cache, ahead: None, over: false };
        Self { previous: Some(previous), ..Self::default() }
    }

    /// How many packs of the previous version are not in the depot as they were put.
    pub(super) fn lost(&self) -> usize {
        self.present.values().filter(|present| !**present).count()
    }

    /// Where a found file is already, and its number in the list, if its bytes have not changed and the depot still has them. Asked in the order of paths.
    pub(super) fn unchanged(
        &mut self,
        tree: &Tree,
        found: &Found,
        store: &dyn Store,
    ) -> Result<Option<(MapEntry, u32)>, Problem> {
        let Some(previous) = &mut self.previous else { return Ok(None) };
        let Some((number, entry, map)) = previous.at(&found.path)? else { return Ok(None) };
        let same_size = matches!(entry.node(), Node::File { size } if *size == found.identity.size);
        let Some(digest) = map.digest.filter(|_| same_size) else { return Ok(None) };
        let record = &previous.record;
        let mut present =
            |extent: &Extent| *self.present.entry(extent.pack).or_insert_with(|| holds(store, record, extent.pack));
        if !map.extents.iter().all(&mut present) {
            return Ok(None);
        }
        let cached = previous.cache.as_mut().and_then(|cache| cache.at(&found.path));
        if cached != Some(found.identity) && digest_of(record.suite, tree, found, &mut self.buffer)? != digest {
            return Ok(None);
        }
        let packs: Vec<u32> = map.extents.iter().map(|extent| extent.pack).collect();
        let new = packs.iter().filter(|pack| !self.packs.order.contains(&Some(**pack))).count();
        if self.packs.order.len() + new > MAX_OLD_PACKS {
            return Ok(None);
        }
        self.reused += found.identity.size;
        let renumber = |extent: &Extent| Extent { pack: self.packs.number(Some(extent.pack)), ..*extent };
        let extents = map.extents.iter().map(renumber).collect();
        Ok(Some((MapEntry { extents, digest: Some(digest) }, number)))
    }

    /// The packs of the new record and their keys, in its order. `new` is the pack of this put, if it has any segment.
    pub(super) fn finish(self, new: Option<(Pack, PackKey)>) -> Result<Named, Problem> {
        let lost = || fault::internal("cannot name the packs of the version", "a pack is not known");
        let mut new = new;
        let (mut packs, mut keys) = (Vec::new(), Vec::new());
        for number in self.packs.order {
            let (pack, key) = match (number, &self.previous) {
                // Empty standard input has a place and no bytes.
                (None, _) => match new.take() {
                    Some(new) => new,
                    None => continue,
                },
                (Some(number), Some(previous)) => {
                    let pack = previous.record.packs.get(number as usize).ok_or_else(lost)?.clone();
                    let key = previous.map.pack_key(number).ok_or_else(lost)?;
                    (pack, PackKey::from_slice(key.expose_bytes()).map_err(|_| lost())?)
                }
                (Some(_), None) => return Err(lost()),
            };
            keys.push((pack.id, key));
            packs.push(pack);
        }
        Ok((packs, keys))
    }
}

impl Previous {
    /// The entry at `path`, moving past smaller ones.
    fn at(&mut self, path: &[u8]) -> Result<Option<(u32, Entry, MapEntry)>, Problem> {
        loop {
            if self.ahead.is_none() && !self.over {
                let told = |e| fault::manifest("cannot read the previous version", &self.record, &e);
                let entry = self.list.next_entry().map_err(told)?;
                let map = self.map.next_entry().map_err(told)?;
                self.ahead = entry.zip(map).map(|((at, entry), (_, map))| (at as u32, entry, map));
                self.over = self.ahead.is_none();
            }
            let Some((_, entry, _)) = &self.ahead else { return Ok(None) };
            match entry.path().cmp(path) {
                Ordering::Less => self.ahead = None,
                Ordering::Equal => return Ok(self.ahead.take()),
                Ordering::Greater => return Ok(None),
            }
        }
    }
}

/// Whether every segment of a pack is in the depot with its length: one look for each, no reading. A depot that cannot answer has not
/// got it.
fn holds(store: &dyn Store, record: &VersionRecord, pack: u32) -> bool {
    let Some(pack) = record.packs.get(pack as usize) else { return false };
    let there = |segment: &Segment| {
        let len = store.len_bytes(&Key::new(record.vault, segment.object));
        len.is_ok_and(|len| len == segment.stored_len)
    };
    pack.segments.iter().all(there)
}

/// The digest of a file of the source.
fn digest_of(suite: Suite, tree: &Tree, found: &Found, buffer: &mut Zeroizing<Vec<u8>>) -> Result<[u8; 32], Problem> {
    let file = tree.file(&found.path, &found.identity, &mut LastFolder::default())?;
    super::work::fit(buffer, found.identity.size.min(READ_LEN as u64) as usize, READ_LEN);
    let mut growing = Growing::new(suite);
    let mut at = 0;
    while at < found.identity.size {
        let len = (found.identity.size - at).min(buffer.len() as u64) as usize;
        let part = buffer.get_mut(..len).unwrap_or_default();
        file.read_exact_at(part, at).map_err(|e| super::work::short_read(tree, &found.path, e))?;
        tree::leaves(suite, part).for_each(|leaf| growing.push(leaf));
        at += len as u64;
    }
    tree.unchanged(&found.path, &file, &found.identity)?;
    Ok(*growing.finish().as_bytes())
}
