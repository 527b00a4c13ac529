//! One put under way: threads, order, list and map, upload, commit.

use super::cache::{self, CacheReader, CacheWriter};
use super::collect::{self, Collector, Order};
use super::draft::{Journal, Record, Resume};
use super::entries::Opened;
use super::feed::{BLOCK_LEN, Ended, Feed, Plan};
use super::known::Known;
use super::prints::Prints;
use super::target::{Target, random};
use super::work::{Finished, Worker};
use super::{Draft, Put, PutReport};
use crate::opened::{open_list, open_map};
use crate::seat::unexpected;
use crate::spool::Spool;
use crate::watch::{Watch, check};
use crate::{Client, fault};
use api::wire::{Answer, Command, Commit, Committed, Problem, VersionItem};
use depot::sealed::{Appender, SegmentWriter};
use depot::{Key, Upload};
use seal::Suite;
use seal::list::ListWriter;
use seal::manifest::{SinkFailed, WriteError};
use seal::map::MapWriter;
use seal::padme::Padding;
use seal::prints::{Carried, Printer, Set};
use seal::record::{Manifest, Pack, Segment, VersionRecord, digest_of};
use seal::secret::{MapKey, PackKey};
use seal::segment::SegmentInfo;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Threads that read and seal.
const THREADS: usize = 2;
const NO_OBJECT: &str = "cannot write the version object";
/// Finished blocks that may wait for their turn.
const MAX_WAITING: usize = 1_024;

/// One put under way.
pub(super) struct Putting<'a> {
    pub(super) client: &'a Client,
    pub(super) put: &'a Put,
    pub(super) draft: Draft,
    pub(super) previous: Option<VersionItem>,
    pub(super) journal: &'a RefCell<Option<Journal>>,
    pub(super) began_nanos: u64,
    pub(super) watch: &'a dyn Watch,
}

/// What the segments became.
struct Sealed {
    pack: [u8; 16],
    key: Arc<PackKey>,
    segments: BTreeMap<u32, Segment>,
    /// The last segment, written but not yet shown: finished together with the version object.
    last: Option<Box<dyn Upload>>,
    stored: u64,
}

impl Sealed {
    /// From nothing, or from what a killed put had finished.
    fn start(resume: Option<&Resume>) -> Result<Self, Problem> {
        let (pack, key, finished) = match resume {
            Some(resume) => (resume.pack, copy(&resume.key)?, resume.segments.as_slice()),
            None => (random()?, PackKey::generate().map_err(|e| fault::internal("cannot draw a key", e))?, &[][..]),
        };
        let segments = (0..).zip(finished.iter().copied()).collect();
        Ok(Self { pack, key: Arc::new(key), segments, last: None, stored: 0 })
    }

    /// The pack for the version record, if it has any segment.
    fn pack(&self, owner: [u8; 16]) -> Result<Option<(Pack, PackKey)>, Problem> {
        if self.segments.is_empty() {
            return Ok(None);
        }
        let pack = Pack { id: self.pack, owner, segments: self.segments.values().copied().collect() };
        Ok(Some((pack, copy(&self.key)?)))
    }
}

impl Putting<'_> {
    pub(super) fn run(self, opened: Opened, resume: Option<Resume>) -> Result<(PutReport, VersionItem), Problem> {
        let client = self.client;
        let (vault, id) = (*client.vault().as_bytes(), *self.draft.version.as_bytes());
        let start = Sealed::start(resume.as_ref())?;
        let (pack, pack_key) = (start.pack, Arc::clone(&start.key));
        self.watch.stage("sealing", opened.total);
        let padding = Padding::for_class(self.draft.begun.class.number());
        let (tree, entries, known) = (Arc::clone(&opened.tree), opened.entries, self.known());
        let target = self.target(pack, &pack_key);
        let feed = Mutex::new(Feed::new(Plan { entries, tree: Arc::clone(&tree), known, target, padding, resume }));

        let key = Key::new(vault, *self.draft.object.as_bytes());
        let object = Appender::create(client.store(), &key).map_err(|e| fault::sealed(NO_OBJECT, &e))?;
        let object = RefCell::new((object, None));
        let spool = RefCell::new((Spool::new(&client.scratch()), None));
        let suite = self.draft.suite;
        let mut to_object = |bytes: &[u8]| append(&object, bytes);
        let mut to_spool = |bytes: &[u8]| spill(&spool, bytes);
        let list = ListWriter::new(&self.draft.list, suite, &vault, &id, &mut to_object);
        let map = MapWriter::new(&self.draft.map, suite, &vault, &id, &mut to_spool);
        let cache = CacheWriter::create(&client.cache(), &self.draft.map, &vault, &id, self.began_nanos);
        let told = |e: WriteError| collect::failed(&e);
        let prints = Prints::new(self.draft.printer.as_ref(), self.carried());
        let mut collector = Collector::new(suite, list.map_err(told)?, map.map_err(told)?, cache, prints);

        let small = opened.total.is_some_and(|total| total <= BLOCK_LEN as u64);
        let sealed = self.blocks(&feed, &tree, &mut collector, start, small);
        let sealed = sealed
            .map_err(|error| object.borrow_mut().1.take().or_else(|| spool.borrow_mut().1.take()).unwrap_or(error))?;
        let feed = feed.into_inner().unwrap_or_else(PoisonError::into_inner);
        let reused = feed.known.reused;
        if feed.known.lost() > 0 {
            self.watch.note(
                "the depot lost segments of the previous version: unchanged files were sealed again (try strongroom verify --all)",
            );
        }
        let (packs, keys) = feed.known.finish(sealed.pack(id)?)?;
        let Collector { list, map, cache, files, bytes, whole, prints, .. } = collector;
        let prints = prints.seal(&self.draft.list, &vault, &id)?;
        let list = list.finish(padding).map_err(told)?.at(0);
        let map = map.finish(&keys, padding).map_err(told)?;
        let ((mut object, _), (spool, _)) = (object.into_inner(), spool.into_inner());
        let map = map.at(object.position());
        spool.drain(|bytes| object.append(bytes).map_err(SpoolError::Sealed)).map_err(SpoolError::problem)?;
        let record = self.record(packs, list, map)?;
        self.upload(object, &record, sealed.last)?;
        let commitment = seal::mac::tag(&commitment_key(&self.draft.map)?, whole.finish().as_bytes());
        let committed = self.commit(&record, &commitment, prints, files, bytes)?;
        cache.map(CacheWriter::finish);
        self.forget_old_caches();
        let item = committed.version.clone();
        let report = self.report(&record, committed);
        Ok((PutReport { uploaded_bytes: sealed.stored, reused_bytes: reused, ..report }, item))
    }

    fn target<'a>(&'a self, pack: [u8; 16], key: &Arc<PackKey>) -> Target<'a> {
        Target {
            seat: self.client.seat(),
            store: self.client.store(),
            vault: *self.client.vault().as_bytes(),
            version: self.draft.version,
            suite: self.draft.suite,
            pack,
            key: Arc::clone(key),
            first: Some(self.draft.segment),
        }
    }

    fn record(&self, packs: Vec<Pack>, list: Manifest, map: Manifest) -> Result<Vec<u8>, Problem> {
        let record = VersionRecord {
            suite: self.draft.suite,
            vault: *self.client.vault().as_bytes(),
            artifact: *self.draft.begun.artifact.as_bytes(),
            version: *self.draft.version.as_bytes(),
            previous: self.previous.as_ref().map(|item| *item.id.as_bytes()),
            class: self.draft.begun.class.number(),
            environment: Some(self.put.environment.number()),
            packs,
            object: *self.draft.object.as_bytes(),
            list,
            map,
        };
        record.encode().map_err(|e| fault::internal("cannot write the version record", e))
    }

    fn report(&self, record: &[u8], committed: Committed) -> PutReport {
        let Committed { version, receipt } = committed;
        PutReport {
            version: version.reference,
            id: version.id,
            digest: hex::encode(digest_of(record)),
            bytes: version.bytes,
            files: version.files,
            uploaded_bytes: 0,
            reused_bytes: 0,
            class: version.class,
            class_why: self.draft.begun.class_why.clone(),
            environment: version.environment,
            entry: receipt.entry,
            log_index: receipt.log_index,
        }
    }

    /// The previous version to compare with.
    fn known(&self) -> Known {
        let Some(grant) = &self.draft.known else { return Known::default() };
        let Some(key) = &grant.keys.map else { return Known::default() };
        let store = self.client.store();
        let (list, map) = match (open_list(store, &grant.record, &grant.keys.list), open_map(store, &grant.record, key))
        {
            (Ok(list), Ok(map)) => (list, map),
            (Err(problem), _) | (_, Err(problem)) => {
                self.watch.note(&format!("the previous version cannot be compared with: {problem}"));
                return Known::default();
            }
        };
        let cache = CacheReader::open(&self.client.cache(), key, &grant.record.vault, &grant.record.version);
        Known::new(list, map, grant.record.clone(), cache)
    }

    /// What the files of the previous version are recognised by, for those that did not change.
    fn carried(&self) -> Option<Carried> {
        let (grant, sealed) = (self.draft.known.as_ref()?, &self.draft.begun.previous_prints);
        if sealed.is_empty() {
            return None;
        }
        let set = Set::open(sealed, &grant.keys.list, &grant.record.vault, &grant.record.version);
        if set.is_err() {
            self.watch.note(
                "what recognises the previous version is damaged: copies of unchanged files are found whole only",
            );
        }
        set.ok().map(Carried::from)
    }

    /// Runs the threads and collects what they finish; what is small is sealed here.
    fn blocks(
        &self,
        feed: &Mutex<Feed<'_>>,
        tree: &crate::source::Tree,
        to: &mut Collector<'_>,
        mut sealed: Sealed,
        small: bool,
    ) -> Result<Sealed, Problem> {
        let (stop, suite, printer) = (AtomicBool::new(false), self.draft.suite, self.draft.printer.as_ref());
        // One block is not worth a thread: starting it takes longer than sealing a small file.
        if small {
            let mut worker = Worker::new(suite, tree, printer);
            loop {
                let block = feed.lock().unwrap_or_else(PoisonError::into_inner).next()?;
                let Some(block) = block else { return Ok(sealed) };
                check(self.watch, "put")?;
                self.collect(worker.process(block)?, to, &mut sealed)?;
            }
        }
        let (send, receive) = sync_channel(MAX_WAITING);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                let (send, stop) = (send.clone(), &stop);
                scope.spawn(move || worker(suite, feed, tree, printer, &send, stop));
            }
            drop(send);
            let mut order = Order::default();
            let mut result = Ok(());
            for finished in &receive {
                result = finished.and_then(|block| {
                    check(self.watch, "put")?;
                    order.push(block);
                    while let Some(block) = order.pop() {
                        self.collect(block, to, &mut sealed)?;
                    }
                    Ok(())
                });
                if result.is_err() {
                    break;
                }
            }
            stop.store(true, Ordering::Relaxed);
            drop(receive);
            result.map(|()| sealed)
        })
    }

    fn collect(&self, block: Finished, to: &mut Collector<'_>, sealed: &mut Sealed) -> Result<(), Problem> {
        self.watch.advance(block.bytes);
        for (item, looked) in block.items {
            to.take(item, looked)?;
        }
        let Some(Ended { writer, index, object, plaintext_len, full }) = block.ends else { return Ok(()) };
        let writer: SegmentWriter = Arc::into_inner(writer)
            .ok_or_else(|| fault::internal("cannot end a segment", "a block is still being written"))?;
        let (info, upload) = writer.close(plaintext_len).map_err(|e| fault::sealed("cannot end a segment", &e))?;
        sealed.stored += info.stored_len();
        let segment = segment(object, &info);
        sealed.segments.insert(index, segment);
        if full {
            upload.finish().map_err(|e| fault::depot("cannot upload a segment", &e))?;
            self.note(&segment, to, sealed);
        } else {
            sealed.last = Some(upload);
        }
        Ok(())
    }

    /// Writes a finished segment into the journal; without a journal a kill costs time, nothing else.
    fn note(&self, segment: &Segment, to: &mut Collector<'_>, sealed: &Sealed) {
        let ended = std::mem::take(&mut to.ended);
        let partial = to.partial();
        let record = Record { pack: &sealed.pack, key: &sealed.key, segment, ended: &ended, partial: partial.as_ref() };
        let mut journal = self.journal.borrow_mut();
        let Some(open) = journal.as_mut() else { return };
        if open.push(&record, &self.draft.map, self.client.vault().as_bytes(), &self.draft.version).is_none() {
            open.close();
        }
    }

    /// Shows the last segment and the version object; their flushes overlap.
    fn upload(&self, mut object: Appender, record: &[u8], last: Option<Box<dyn Upload>>) -> Result<(), Problem> {
        let mut tail = Vec::with_capacity(record.len() + seal::object::TRAILER_LEN);
        seal::object::append(record, &mut tail).map_err(|e| fault::internal(NO_OBJECT, e))?;
        object.append(&tail).map_err(|e| fault::sealed(NO_OBJECT, &e))?;
        let object = object.close().map_err(|e| fault::sealed(NO_OBJECT, &e))?;
        check(self.watch, "put")?;
        depot::finish_all(last.into_iter().chain([object]).collect()).map_err(|e| fault::depot("cannot upload", &e))
    }

    fn commit(
        &self,
        record: &[u8],
        commitment: &[u8],
        prints: Vec<u8>,
        files: u64,
        bytes: u64,
    ) -> Result<Committed, Problem> {
        let answer = self.client.seat().call(Command::Commit(Commit {
            version: self.draft.version,
            record: record.to_vec(),
            plaintext_commitment: commitment.to_vec(),
            bytes,
            files,
            tags: self.put.tags.clone(),
            alias: self.put.alias.clone(),
            from: self.put.from.clone(),
            made: self.put.made.as_ref().map(|made| made.provenance.clone()),
            prints,
            depot: self.client.primary(),
        }))?;
        match answer {
            Answer::Committed(committed) => Ok(*committed),
            other => Err(unexpected(&other)),
        }
    }

    /// The cache of the version before is of no use any more.
    fn forget_old_caches(&self) {
        if let Some(item) = &self.previous {
            let _ = std::fs::remove_file(cache::path(&self.client.cache(), item.id.as_bytes()));
        }
    }
}

fn worker(
    suite: Suite,
    feed: &Mutex<Feed<'_>>,
    tree: &crate::source::Tree,
    printer: Option<&Printer>,
    send: &SyncSender<Result<Finished, Problem>>,
    stop: &AtomicBool,
) {
    let mut worker = Worker::new(suite, tree, printer);
    while !stop.load(Ordering::Relaxed) {
        let block = feed.lock().unwrap_or_else(PoisonError::into_inner).next();
        let finished = match block {
            Ok(None) => return,
            Ok(Some(block)) => worker.process(block),
            Err(problem) => Err(problem),
        };
        let failed = finished.is_err();
        if send.send(finished).is_err() || failed {
            return;
        }
    }
}

pub(super) fn segment(object: [u8; 16], info: &SegmentInfo) -> Segment {
    let digest = *info.digest().as_bytes();
    Segment { object, plaintext_len: info.plaintext_len(), stored_len: info.stored_len(), digest }
}

pub(super) fn copy(key: &PackKey) -> Result<PackKey, Problem> {
    PackKey::from_slice(key.expose_bytes()).map_err(|e| fault::internal("cannot keep a key", e))
}

/// The commitment is keyed, so that only who may read the version can check it.
pub(super) fn commitment_key(map: &MapKey) -> Result<seal::secret::MacKey, Problem> {
    seal::secret::MacKey::from_slice(map.expose_bytes()).map_err(|e| fault::internal("cannot commit", e))
}

pub(super) fn append(object: &RefCell<(Appender, Option<Problem>)>, bytes: &[u8]) -> Result<(), SinkFailed> {
    let (appender, failed) = &mut *object.borrow_mut();
    appender.append(bytes).map_err(|e| {
        *failed = Some(fault::sealed(NO_OBJECT, &e));
        SinkFailed
    })
}

pub(super) fn spill(spool: &RefCell<(Spool, Option<Problem>)>, bytes: &[u8]) -> Result<(), SinkFailed> {
    let (spool, failed) = &mut *spool.borrow_mut();
    spool.append(bytes).map_err(|e| {
        *failed = Some(SpoolError::from(e).problem());
        SinkFailed
    })
}

/// Puts the map behind the list and the record behind both, and shows the object.
pub(super) fn shown(mut object: Appender, spool: Spool, record: &VersionRecord) -> Result<(), Problem> {
    spool.drain(|bytes| object.append(bytes).map_err(SpoolError::Sealed)).map_err(SpoolError::problem)?;
    let record = record.encode().map_err(|e| fault::internal("cannot write the version record", e))?;
    let mut tail = Vec::with_capacity(record.len() + seal::object::TRAILER_LEN);
    seal::object::append(&record, &mut tail).map_err(|e| fault::internal(NO_OBJECT, e))?;
    object.append(&tail).map_err(|e| fault::sealed(NO_OBJECT, &e))?;
    let object = object.close().map_err(|e| fault::sealed(NO_OBJECT, &e))?;
    object.finish().map_err(|e| fault::depot("cannot upload", &e))
}

/// Why a map could not be moved into the version object.
enum SpoolError {
    Io(std::io::Error),
    Sealed(depot::sealed::Error),
}

impl From<std::io::Error> for SpoolError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl SpoolError {
    fn problem(self) -> Problem {
        match self {
            Self::Io(error) => fault::io(NO_OBJECT, std::path::Path::new("spool"), &error),
            Self::Sealed(error) => fault::sealed(NO_OBJECT, &error),
        }
    }
}
