//! From the old segments, list and map to the new ones.

use super::super::run::{append, shown, spill};
use super::again::Again;
use super::{DOING, Draft, NewPack, Part};
use crate::digest::Growing;
use crate::fault;
use crate::opened::Opened;
use crate::put::collect::failed;
use crate::spool::Spool;
use crate::watch::{Watch, check};
use api::terms::Code;
use api::wire::Problem;
use depot::Key;
use depot::sealed::{Appender, Scratch, SegmentReader, SegmentWriter};
use seal::list::ListWriter;
use seal::map::{Extent, MapEntry, MapWriter};
use seal::padme::Padding;
use seal::record::VersionRecord;
use seal::tree::{Digest, GROUP_LEN};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use zeroize::Zeroizing;

/// Plaintext bytes that a thread has in memory.
const BLOCK_LEN: u64 = 1 << 20;
const THREADS: usize = 2;

/// What was written.
pub(super) struct Written {
    pub(super) record: VersionRecord,
    /// Over the digests of all files.
    pub(super) whole: Growing,
}

/// Seals the plaintext of one segment as another. Each group is verified before it is opened.
pub(super) fn segment(from: &SegmentReader, to: &SegmentWriter, len: u64, watch: &dyn Watch) -> Result<(), Problem> {
    from.load_tree(&mut Scratch::default()).map_err(|e| fault::sealed("cannot read a segment", &e))?;
    let next = AtomicU64::new(0);
    let work = || {
        let mut buffer = Zeroizing::new(vec![0; len.min(BLOCK_LEN) as usize]);
        let mut scratch = Scratch::default();
        loop {
            let at = next.fetch_add(BLOCK_LEN, Ordering::Relaxed);
            if at >= len {
                return Ok(());
            }
            check(watch, DOING)?;
            let block = buffer.get_mut(..(len - at).min(BLOCK_LEN) as usize).unwrap_or_default();
            from.read(at, block, &mut scratch).map_err(|e| fault::sealed("cannot read a segment", &e))?;
            to.write(at / GROUP_LEN as u64, block, &mut scratch)
                .map_err(|e| fault::sealed("cannot write a segment", &e))?;
            watch.advance(block.len() as u64);
        }
    };
    if len <= BLOCK_LEN {
        return work();
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err(fault::internal("cannot write a segment", "a thread ended early")))
        })
    })
}

impl Draft<'_> {
    /// Writes list, map and record as one object: the same entries, with their places in the new pack.
    pub(super) fn manifests(
        &self,
        opened: &Opened<'_>,
        places: &BTreeMap<Part, u32>,
        pack: &NewPack,
    ) -> Result<Written, Problem> {
        let (vault, version) = self.ids();
        let (client, old) = (self.client, opened.record());
        let key = Key::new(vault, *self.object.as_bytes());
        let what = "cannot write the version object";
        let object = Appender::create(client.store(), &key).map_err(|e| fault::sealed(what, &e))?;
        let object = RefCell::new((object, None));
        let spool = RefCell::new((Spool::new(&client.scratch()), None));
        let mut to_object = |bytes: &[u8]| append(&object, bytes);
        let mut to_spool = |bytes: &[u8]| spill(&spool, bytes);
        let told =
            |e| object.borrow_mut().1.take().or_else(|| spool.borrow_mut().1.take()).unwrap_or_else(|| failed(&e));
        let id = version.as_bytes();
        let mut list = ListWriter::new(&self.keys.list, self.suite, &vault, id, &mut to_object).map_err(told)?;
        let mut map = MapWriter::new(self.new_map()?, self.suite, &vault, id, &mut to_spool).map_err(told)?;
        let mut whole = Growing::new(self.suite);
        let mut again = Again::new(self, opened);
        let (mut entries, mut mapped) = (opened.list()?, opened.map()?);
        loop {
            check(self.watch, DOING)?;
            let entry = entries.next_entry().map_err(|e| fault::manifest("cannot read the list", old, &e))?;
            let place = mapped.next_entry().map_err(|e| fault::manifest("cannot read the map", old, &e))?;
            let (entry, place) = match (entry, place) {
                (Some((one, entry)), Some((other, place))) if one == other => (entry, place),
                (None, None) => break,
                _ => return Err(torn()),
            };
            let place = again.digested(&mapped, &entry, place)?;
            list.push(&entry).map_err(told)?;
            map.push(&moved(&place, places)?).map_err(told)?;
            place.digest.into_iter().for_each(|digest| whole.push(Digest::from_bytes(digest)));
        }
        let padding = Padding::for_class(old.class);
        let list = list.finish(padding).map_err(told)?.at(0);
        let map = map.finish(&pack.keys()?, padding).map_err(told)?;
        let ((object, _), (spool, _)) = (object.into_inner(), spool.into_inner());
        let map = map.at(object.position());
        let record = self.record(pack, list, map);
        shown(object, spool, &record)?;
        Ok(Written { record, whole })
    }
}

/// Where a file lies now. Segments of a pack that follow each other still do.
fn moved(place: &MapEntry, places: &BTreeMap<Part, u32>) -> Result<MapEntry, Problem> {
    let extent = |extent: &Extent| {
        let segment = places.get(&(extent.pack, extent.segment)).copied();
        Ok(Extent { pack: 0, segment: segment.ok_or_else(torn)?, ..*extent })
    };
    Ok(MapEntry { extents: place.extents.iter().map(extent).collect::<Result<_, Problem>>()?, digest: place.digest })
}

pub(super) fn torn() -> Problem {
    Problem::new(Code::Integrity, "cannot re-encrypt", "list and map of the version do not agree")
}
