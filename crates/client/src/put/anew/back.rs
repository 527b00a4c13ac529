//! Reading back: what was written is opened as a reader would, and every file of it held to the digest that the old map names.

use super::pass::torn;
use super::{DOING, Draft};
use crate::cat::Reading;
use crate::digest::Growing;
use crate::fault;
use crate::opened::Opened;
use api::terms::Code;
use api::wire::Problem;
use seal::Suite;
use seal::list::{Entry, Node};
use seal::map::MapEntry;
use seal::record::VersionRecord;
use seal::tree::{self, Digest, GROUP_LEN};
use std::io::Write;
use zeroize::Zeroizing;

impl Draft<'_> {
    /// Reads the new version, to the last byte; the digests of its files as one tree.
    pub(super) fn read_back(&self, old: &Opened<'_>, record: &VersionRecord) -> Result<Growing, Problem> {
        let grant = self.renewed(record)?;
        let new = Opened::new(self.client.store(), &grant)?;
        self.watch.stage("checking", Some(self.old.version.bytes));
        let (mut old_list, mut old_map) = (old.list()?, old.map()?);
        let (mut new_list, mut new_map) = (new.list()?, new.map()?);
        let mut reading = Reading::of(&new, DOING);
        let mut whole = Growing::new(record.suite);
        let told = |what: &str, e| fault::manifest(what, record, &e);
        loop {
            let before = next(old_list.next_entry(), old_map.next_entry(), old.record())?;
            let entry = new_list.next_entry().map_err(|e| told("cannot read the new list", e))?;
            let place = new_map.next_entry().map_err(|e| told("cannot read the new map", e))?;
            let (Some((was, was_at)), Some((_, entry)), Some((_, place))) = (&before, entry, &place) else {
                // All three end together.
                return if before.is_none() && place.is_none() { Ok(whole) } else { Err(torn()) };
            };
            // Under another suite the digest is another one, made while the file was held to this one.
            let same = was_at.digest == place.digest
                || self.old.record.suite != record.suite && was_at.digest.is_some() == place.digest.is_some();
            if *was != entry || !same || was_at.size() != place.size() {
                return Err(differs(&entry));
            }
            let Some(digest) = place.digest else { continue };
            let mut digesting = Digesting::new(record.suite);
            let read = reading.range(&new_map, place, 0..entry.size(), &mut digesting, self.watch)?;
            read.map_err(|e| fault::internal("cannot digest a file", e))?;
            if !matches!(entry.node(), Node::File { .. }) || *digesting.finish().as_bytes() != digest {
                return Err(differs(&entry));
            }
            whole.push(Digest::from_bytes(digest));
        }
    }
}

type Read<T> = Result<Option<(u64, T)>, seal::manifest::Error<depot::sealed::Error>>;

/// The next entry of a list with its place.
fn next(
    entry: Read<Entry>,
    place: Read<MapEntry>,
    record: &VersionRecord,
) -> Result<Option<(Entry, MapEntry)>, Problem> {
    let entry = entry.map_err(|e| fault::manifest("cannot read the list", record, &e))?;
    let place = place.map_err(|e| fault::manifest("cannot read the map", record, &e))?;
    match (entry, place) {
        (Some((one, entry)), Some((other, place))) if one == other => Ok(Some((entry, place))),
        (None, None) => Ok(None),
        _ => Err(torn()),
    }
}

pub(super) fn differs(entry: &Entry) -> Problem {
    let path = String::from_utf8_lossy(entry.path());
    let why = format!("`{path}` read back is not what it was: the version stays under its key");
    Problem::new(Code::Integrity, "cannot re-encrypt", why)
}

/// The tree digest of what is written to it.
pub(super) struct Digesting {
    growing: Growing,
    /// A group that is not whole yet; never grown, which would leave a copy behind.
    group: Zeroizing<Vec<u8>>,
}

impl Digesting {
    pub(super) fn new(suite: Suite) -> Self {
        Self { growing: Growing::new(suite), group: Zeroizing::new(Vec::with_capacity(GROUP_LEN)) }
    }

    pub(super) fn finish(mut self) -> Digest {
        if !self.group.is_empty() {
            self.growing.push(tree::leaf(self.growing.suite(), &self.group));
        }
        self.growing.finish()
    }
}

impl Write for Digesting {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let suite = self.growing.suite();
        let missing = (GROUP_LEN - self.group.len()) % GROUP_LEN;
        let (first, rest) = bytes.split_at(missing.min(bytes.len()));
        self.group.extend_from_slice(first);
        if self.group.len() == GROUP_LEN {
            self.growing.push(tree::leaf(suite, &self.group));
            self.group.clear();
        }
        for group in rest.chunks(GROUP_LEN) {
            if group.len() == GROUP_LEN {
                self.growing.push(tree::leaf(suite, group));
            } else {
                self.group.extend_from_slice(group);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_digests_the_same_however_it_is_cut() {
        let bytes: Vec<u8> = (0..3 * GROUP_LEN + 777).map(|at| (at % 251) as u8).collect();
        for suite in Suite::ALL {
            for len in [0, 1, GROUP_LEN - 1, GROUP_LEN, GROUP_LEN + 1, bytes.len()] {
                let leaves: Vec<Digest> =
                    bytes[..len].chunks(GROUP_LEN).map(|group| tree::leaf(suite, group)).collect();
                for step in [1_000, GROUP_LEN, 2 * GROUP_LEN + 5] {
                    let mut digesting = Digesting::new(suite);
                    bytes[..len].chunks(step).for_each(|part| digesting.write_all(part).unwrap());
                    assert_eq!(digesting.finish(), tree::root(suite, &leaves), "{len} by {step}");
                }
            }
        }
    }
}
