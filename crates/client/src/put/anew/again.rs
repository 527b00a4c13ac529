//! A version that goes over to another suite: its files are digested in that too, while they are held to the digests that they have.

use super::back::{Digesting, differs};
use super::{DOING, Draft};
use crate::cat::Reading;
use crate::fault;
use crate::opened::{Map, Opened};
use crate::watch::Watch;
use api::wire::Problem;
use seal::Suite;
use seal::list::Entry;
use seal::map::MapEntry;
use std::io::Write;

/// Reads files of the old version in order, if their digests must be others.
pub(super) struct Again<'a> {
    reading: Option<Reading<'a>>,
    from: Suite,
    to: Suite,
    watch: &'a dyn Watch,
}

impl<'a> Again<'a> {
    pub(super) fn new(draft: &Draft<'a>, opened: &'a Opened<'a>) -> Self {
        let (from, to) = (opened.record().suite, draft.suite);
        if from != to {
            draft.watch.stage("digesting", Some(draft.old.version.bytes));
        }
        Self { reading: (from != to).then(|| Reading::of(opened, DOING)), from, to, watch: draft.watch }
    }

    /// The place of a file with its digest in the new suite.
    pub(super) fn digested(&mut self, map: &Map, entry: &Entry, place: MapEntry) -> Result<MapEntry, Problem> {
        let (Some(reading), Some(digest)) = (&mut self.reading, place.digest) else { return Ok(place) };
        let mut both = Both(Digesting::new(self.from), Digesting::new(self.to));
        let read = reading.range(map, &place, 0..entry.size(), &mut both, self.watch)?;
        read.map_err(|e| fault::internal("cannot digest a file", e))?;
        if *both.0.finish().as_bytes() != digest {
            return Err(differs(entry));
        }
        Ok(MapEntry { digest: Some(*both.1.finish().as_bytes()), ..place })
    }
}

/// What is written is digested twice.
struct Both(Digesting, Digesting);

impl Write for Both {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write_all(bytes)?;
        self.1.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
