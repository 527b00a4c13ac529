//! `put`: seals a source as a new version.
//!
//! Two threads read, digest, seal and upload blocks of about 1 MiB; this one puts the results in order and writes list and map. Memory
//! does not grow with the source. The version exists when the keeper commits it; before that nothing of it can be seen.

mod cache;
mod collect;
mod entries;
mod feed;
mod known;
mod target;
mod work;

use crate::opened::{open_list, open_map};
use crate::seat::{Keys, Why, unexpected};
use crate::source::Filter;
use crate::spool::Spool;
use crate::watch::{Watch, check};
use crate::{Client, fault};
use api::terms::{Action, Class, Code, Environment, Kind, Name, VersionId};
use api::wire::{Answer, Begin, Begun, Command, Commit, Committed, Problem, VersionItem};
use cache::{CacheReader, CacheWriter};
use collect::{Collector, Order};
use depot::sealed::{Appender, SegmentWriter};
use depot::{Key, Upload};
use entries::Opened;
use feed::{Ended, Feed};
use known::Known;
use seal::list::ListWriter;
use seal::manifest::SinkFailed;
use seal::map::MapWriter;
use seal::padme::Padding;
use seal::record::{Pack, Segment, VersionRecord, digest_of};
use seal::secret::{MapKey, PackKey};
use seal::segment::SegmentInfo;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use target::{Target, random, random_object};
use work::{Finished, Worker};

/// What to put, and as what.
#[derive(Debug, Clone)]
pub struct Put {
    /// A file, a folder, or `-`.
    pub source: PathBuf,
    /// The workspace.
    pub workspace: Name,
    /// The artifact.
    pub artifact: Name,
    /// The class asked for.
    pub class: Option<Class>,
    /// The environment.
    pub environment: Environment,
    /// What it is.
    pub kind: Option<Kind>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// An alias to move.
    pub alias: Option<Name>,
    /// What it was made from.
    pub from: Vec<String>,
    /// Which entries.
    pub filter: Filter,
}

/// A version that was put.
#[derive(Debug, Clone, serde::Serialize)]
pub struct PutReport {
    /// `workspace/artifact@vN`.
    pub version: String,
    /// Its identity.
    pub id: VersionId,
    /// SHA-256 of the version record, hexadecimal.
    pub digest: String,
    /// Plaintext bytes.
    pub bytes: u64,
    /// Files.
    pub files: u64,
    /// Segment bytes uploaded: 0 if nothing changed.
    pub uploaded_bytes: u64,
    /// Plaintext bytes that an earlier version's packs hold.
    pub reused_bytes: u64,
    /// The classification.
    pub class: Class,
    /// Why this one.
    pub class_why: String,
    /// The environment.
    pub environment: Environment,
    /// The entry in the log.
    pub entry: api::terms::EntryId,
    /// Its index, once integrated.
    pub log_index: Option<u64>,
}

/// Threads that read and seal.
const THREADS: usize = 2;
/// Finished blocks that may wait for their turn.
const MAX_WAITING: usize = 1_024;

impl Client {
    /// Seals a source as a new version.
    ///
    /// # Errors
    /// `denied`; `source-changed`; `not-found`; `disk-full`, `unavailable`, `interrupted`: then nothing of the version shows.
    pub fn put(&self, put: &Put, watch: &dyn Watch) -> Result<PutReport, Problem> {
        let name = put.artifact.as_str().as_bytes();
        let opened = Opened::open(&put.source, name, put.filter.clone(), &self.dir)?;
        let began_nanos = crate::system::now().as_millis().saturating_mul(1_000_000);
        let previous = self.previous(put)?;
        let draft = self.begin(put)?;
        watch.note(&format!("class {} ({})", draft.begun.class, draft.begun.class_why));
        let put = Putting { client: self, put, draft, previous, began_nanos, watch };
        let version = put.draft.version;
        put.run(opened).inspect_err(|_| {
            // What was registered is collected later in any case; this makes it sooner.
            let _ = self.seat().call(Command::Abandon { version });
        })
    }

    /// The latest version, if there is one that the caller may see.
    fn previous(&self, put: &Put) -> Result<Option<VersionItem>, Problem> {
        match self.seat().show(&format!("{}/{}", put.workspace, put.artifact)) {
            Ok(item) => Ok(Some(item)),
            Err(problem) if matches!(problem.code, Code::NotFound | Code::Denied | Code::ApprovalNeeded) => Ok(None),
            Err(other) => Err(other),
        }
    }

    fn begin(&self, put: &Put) -> Result<Draft, Problem> {
        let version = VersionId::from_bytes(random()?);
        let (segment, object) = (random_object()?, random_object()?);
        let (request, one_time) = self.seat().sign(Action::Write, version)?;
        let answer = self.seat().call(Command::Begin(Begin {
            workspace: put.workspace.clone(),
            artifact: put.artifact.clone(),
            class: put.class,
            environment: put.environment,
            kind: put.kind,
            objects: vec![segment, object],
            request: request.encode(),
        }))?;
        let Answer::Begun(begun) = answer else { return Err(unexpected(&answer)) };
        let (keys, _) = self.seat().open(&begun.envelope, &request, one_time, version)?;
        let Keys { list, map } = keys;
        let map = map.ok_or_else(|| Problem::new(Code::BadSignature, "cannot put", "the envelope holds no map key"))?;
        Ok(Draft { version, begun: *begun, list, map, segment, object })
    }
}

/// A version that is open for writing.
struct Draft {
    version: VersionId,
    begun: Begun,
    list: seal::secret::ListKey,
    map: MapKey,
    segment: api::terms::ObjectId,
    object: api::terms::ObjectId,
}

/// One put under way.
struct Putting<'a> {
    client: &'a Client,
    put: &'a Put,
    draft: Draft,
    previous: Option<VersionItem>,
    began_nanos: u64,
    watch: &'a dyn Watch,
}

/// What the segments became.
#[derive(Default)]
struct Sealed {
    segments: BTreeMap<u32, Segment>,
    /// The last segment, written but not yet shown: finished together with the version object.
    last: Option<Box<dyn Upload>>,
    stored: u64,
}

impl Putting<'_> {
    fn run(&self, opened: Opened) -> Result<PutReport, Problem> {
        let client = self.client;
        let Draft { version, list, map, .. } = &self.draft;
        let (vault, id) = (*client.vault().as_bytes(), *version.as_bytes());
        let (pack, pack_key) = (random()?, PackKey::generate().map_err(|e| fault::internal("cannot draw a key", e))?);
        let pack_key = Arc::new(pack_key);
        let target = Target {
            seat: client.seat(),
            store: client.store(),
            vault,
            version: *version,
            pack,
            key: Arc::clone(&pack_key),
            first: Some(self.draft.segment),
        };
        self.watch.stage("sealing", opened.total);
        let padding = Padding::for_class(self.draft.begun.class.number());
        let tree = Arc::clone(&opened.tree);
        let feed = Mutex::new(Feed::new(opened.entries, Arc::clone(&tree), self.known()?, target, padding));

        let key = Key::new(vault, *self.draft.object.as_bytes());
        let object =
            Appender::create(client.store(), &key).map_err(|e| fault::sealed("cannot write the version object", &e))?;
        let object = RefCell::new((object, None));
        let spool = RefCell::new((Spool::new(&client.scratch()), None));
        let suite = seal::Suite::Default;
        let mut to_object = |bytes: &[u8]| append(&object, bytes);
        let mut to_spool = |bytes: &[u8]| spill(&spool, bytes);
        let list = ListWriter::new(list, suite, &vault, &id, &mut to_object).map_err(|e| collect::failed(&e))?;
        let map = MapWriter::new(map, suite, &vault, &id, &mut to_spool).map_err(|e| collect::failed(&e))?;
        let cache = CacheWriter::create(&client.cache(), &self.draft.map, &vault, &id, self.began_nanos);
        let mut collector = Collector::new(list, map, cache);

        let sealed = self.blocks(&feed, &tree, &mut collector);
        let sealed = sealed
            .map_err(|error| object.borrow_mut().1.take().or_else(|| spool.borrow_mut().1.take()).unwrap_or(error))?;
        let feed = feed.into_inner().unwrap_or_else(PoisonError::into_inner);
        let reused = feed.known.reused;
        let new = (!sealed.segments.is_empty()).then(|| {
            let segments = sealed.segments.values().copied().collect();
            Pack { id: pack, owner: id, segments }
        });
        let new_key =
            PackKey::from_slice(pack_key.expose_bytes()).map_err(|e| fault::internal("cannot keep a key", e))?;
        let (packs, keys) = feed.known.finish(new.map(|pack| (pack, new_key)))?;
        let Collector { list, map, cache, files, bytes, whole, .. } = collector;
        let list = list.finish(padding).map_err(|e| collect::failed(&e))?;
        let map = map.finish(&keys, padding).map_err(|e| collect::failed(&e))?;
        let ((mut object, _), (spool, _)) = (object.into_inner(), spool.into_inner());
        let map_offset = object.position();
        spool.drain(|bytes| object.append(bytes).map_err(SpoolError::Sealed)).map_err(SpoolError::problem)?;
        let record = VersionRecord {
            suite,
            vault,
            artifact: *self.draft.begun.artifact.as_bytes(),
            version: id,
            previous: self.previous.as_ref().map(|item| *item.id.as_bytes()),
            class: self.draft.begun.class.number(),
            environment: Some(self.put.environment.number()),
            packs,
            object: *self.draft.object.as_bytes(),
            list: list.at(0),
            map: map.at(map_offset),
        };
        let record = record.encode().map_err(|e| fault::internal("cannot write the version record", e))?;
        self.upload(object, &record, sealed.last)?;
        let commitment = seal::mac::tag(&commitment_key(&self.draft.map)?, whole.finish().as_bytes());
        let committed = self.commit(&record, &commitment, files, bytes)?;
        cache.map(CacheWriter::finish);
        self.forget_old_caches();
        let version = committed.version;
        Ok(PutReport {
            version: version.reference,
            id: version.id,
            digest: hex::encode(digest_of(&record)),
            bytes,
            files,
            uploaded_bytes: sealed.stored,
            reused_bytes: reused,
            class: version.class,
            class_why: self.draft.begun.class_why.clone(),
            environment: version.environment,
            entry: committed.receipt.entry,
            log_index: committed.receipt.log_index,
        })
    }

    /// The previous version to compare with, if it has the same class and place and the caller may read it.
    fn known(&self) -> Result<Known, Problem> {
        let Some(item) = &self.previous else { return Ok(Known::default()) };
        let same = item.class == self.draft.begun.class && item.environment == self.put.environment;
        if !same || item.class == Class::Restricted || self.put.source.as_os_str() == "-" {
            return Ok(Known::default());
        }
        let Ok(grant) = self.client.seat().release_item(item, Action::Read, &Why::default()) else {
            return Ok(Known::default());
        };
        let Some(key) = &grant.keys.map else { return Ok(Known::default()) };
        let store = self.client.store();
        let (list, map) = match (open_list(store, &grant.record, &grant.keys.list), open_map(store, &grant.record, key))
        {
            (Ok(list), Ok(map)) => (list, map),
            (Err(problem), _) | (_, Err(problem)) => {
                self.watch.note(&format!("the previous version cannot be compared with: {problem}"));
                return Ok(Known::default());
            }
        };
        let cache = CacheReader::open(&self.client.cache(), key, &grant.record.vault, &grant.record.version);
        Ok(Known::new(list, map, grant.record, cache))
    }

    /// Runs the threads and collects what they finish.
    fn blocks(
        &self,
        feed: &Mutex<Feed<'_>>,
        tree: &crate::source::Tree,
        to: &mut Collector<'_>,
    ) -> Result<Sealed, Problem> {
        let stop = AtomicBool::new(false);
        let (send, receive) = sync_channel(MAX_WAITING);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                let (send, stop) = (send.clone(), &stop);
                scope.spawn(move || worker(feed, tree, &send, stop));
            }
            drop(send);
            let (mut order, mut sealed) = (Order::default(), Sealed::default());
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
        for (item, leaves) in block.items {
            to.take(item, leaves)?;
        }
        let Some(Ended { writer, index, object, plaintext_len, full }) = block.ends else { return Ok(()) };
        let writer: SegmentWriter = Arc::into_inner(writer)
            .ok_or_else(|| fault::internal("cannot end a segment", "a block is still being written"))?;
        let (info, upload) = writer.close(plaintext_len).map_err(|e| fault::sealed("cannot end a segment", &e))?;
        sealed.stored += info.stored_len();
        sealed.segments.insert(index, segment(object, &info));
        if full {
            upload.finish().map_err(|e| fault::depot("cannot upload a segment", &e))?;
        } else {
            sealed.last = Some(upload);
        }
        Ok(())
    }

    /// Shows the last segment and the version object; their flushes overlap.
    fn upload(&self, mut object: Appender, record: &[u8], last: Option<Box<dyn Upload>>) -> Result<(), Problem> {
        let what = "cannot write the version object";
        let mut tail = Vec::with_capacity(record.len() + seal::object::TRAILER_LEN);
        seal::object::append(record, &mut tail).map_err(|e| fault::internal(what, e))?;
        object.append(&tail).map_err(|e| fault::sealed(what, &e))?;
        let object = object.close().map_err(|e| fault::sealed(what, &e))?;
        check(self.watch, "put")?;
        depot::finish_all(last.into_iter().chain([object]).collect()).map_err(|e| fault::depot("cannot upload", &e))
    }

    fn commit(&self, record: &[u8], commitment: &[u8], files: u64, bytes: u64) -> Result<Committed, Problem> {
        let answer = self.client.seat().call(Command::Commit(Commit {
            version: self.draft.version,
            record: record.to_vec(),
            plaintext_commitment: commitment.to_vec(),
            bytes,
            files,
            tags: self.put.tags.clone(),
            alias: self.put.alias.clone(),
            from: self.put.from.clone(),
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
    feed: &Mutex<Feed<'_>>,
    tree: &crate::source::Tree,
    send: &SyncSender<Result<Finished, Problem>>,
    stop: &AtomicBool,
) {
    let mut worker = Worker::new(tree);
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

fn segment(object: [u8; 16], info: &SegmentInfo) -> Segment {
    let digest = *info.digest().as_bytes();
    Segment { object, plaintext_len: info.plaintext_len(), stored_len: info.stored_len(), digest }
}

/// The commitment is keyed, so that only who may read the version can check it.
fn commitment_key(map: &MapKey) -> Result<seal::secret::MacKey, Problem> {
    seal::secret::MacKey::from_slice(map.expose_bytes()).map_err(|e| fault::internal("cannot commit", e))
}

fn append(object: &RefCell<(Appender, Option<Problem>)>, bytes: &[u8]) -> Result<(), SinkFailed> {
    let (appender, failed) = &mut *object.borrow_mut();
    appender.append(bytes).map_err(|e| {
        *failed = Some(fault::sealed("cannot write the version object", &e));
        SinkFailed
    })
}

fn spill(spool: &RefCell<(Spool, Option<Problem>)>, bytes: &[u8]) -> Result<(), SinkFailed> {
    let (spool, failed) = &mut *spool.borrow_mut();
    spool.append(bytes).map_err(|e| {
        *failed = Some(SpoolError::from(e).problem());
        SinkFailed
    })
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
        let what = "cannot write the version object";
        match self {
            Self::Io(error) => fault::io(what, std::path::Path::new("spool"), &error),
            Self::Sealed(error) => fault::sealed(what, &error),
        }
    }
}
