//! `get`: opens a version, or a part of one, onto the disk.
//!
//! Two threads, or one where there is one block, read, verify, decrypt, write and digest blocks of about 1 MiB. Everything is staged beside the destination; the one
//! rename at the end shows it, after every digest of every file was compared with the map.

mod feed;
mod out;
mod unpack;
mod work;

use crate::dest::{Existing, Granted, Place, Stage};
use crate::opened::{List, Map, Opened};
use crate::seat::{Grant, Why};
use crate::source::split;
use crate::watch::{Watch, check};
use crate::{Client, fault};
use api::terms::{Action, Code, Reference, ReleaseId};
use api::wire::Problem;
#[cfg(feature = "share")]
pub(crate) use feed::below;
use feed::{BLOCK_LEN, Feed, Sink};
use out::{Making, Medium, OutFile};
use seal::list::{Entry, Node};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
pub(crate) use unpack::Packed;
use work::Worker;

/// What to open, and where it goes.
#[derive(Debug, Clone)]
pub struct Get {
    /// The version, or a file or folder in it.
    pub reference: Reference,
    /// The destination.
    pub dest: PathBuf,
    /// What to do with something that is there.
    pub existing: Existing,
    /// Why it is asked for.
    pub why: Why,
}

/// What was opened.
#[derive(Debug, Clone, serde::Serialize)]
pub struct GetReport {
    /// `workspace/artifact@vN`.
    pub version: String,
    /// Where it is.
    pub dest: String,
    /// Plaintext bytes.
    pub bytes: u64,
    /// Files.
    pub files: u64,
    /// The release in the log.
    pub release: ReleaseId,
}

/// At work on what is longer than a block.
const THREADS: usize = 2;

/// How many threads so many bytes are worth: starting one takes longer than opening a block.
fn threads(len: u64) -> usize {
    if len <= BLOCK_LEN { 1 } else { THREADS }
}

/// What of a version is asked for.
pub(crate) enum Wanted {
    /// One file, with the number of its entry.
    File(u64, Entry),
    /// Everything below this folder of the version.
    Folder(Vec<u8>),
}

impl Client {
    /// Opens a version, or a part of one, onto the disk.
    ///
    /// # Errors
    /// `conflict` if the destination exists; `denied` with reasons; `integrity` with object and place; `interrupted`. Then nothing is
    /// left at the destination or beside it.
    pub fn get(&self, get: &Get, watch: &dyn Watch) -> Result<GetReport, Problem> {
        // Before anybody is bothered with a decision.
        if get.existing == Existing::Keep && get.dest.symlink_metadata().is_ok_and(|found| !found.is_dir()) {
            return Err(crate::dest::Error::Exists(get.dest.clone()).into());
        }
        let grant = self.seat().release(&get.reference.without_path().to_string(), Action::Export, &get.why)?;
        let packed = Packed::open(self.store(), &grant, get.reference.path.as_deref())?;
        let Packed { opened, list, map, wanted, .. } = packed;
        let total = if matches!(wanted, Wanted::Folder(_)) { list.total_len() } else { 0 };
        let getting = Getting { opened: &opened, grant: &grant, watch, medium: Medium::Disk };
        match wanted {
            Wanted::File(ordinal, entry) => {
                watch.stage("opening", Some(entry.size()));
                getting.file(get, list, map, ordinal, &entry)
            }
            Wanted::Folder(prefix) => {
                watch.stage("opening", Some(total).filter(|_| prefix.is_empty()));
                getting.folder(get, list, map, &prefix)
            }
        }
    }
}

struct Getting<'a> {
    opened: &'a Opened<'a>,
    grant: &'a Grant,
    watch: &'a dyn Watch,
    medium: Medium,
}

impl Getting<'_> {
    fn file(&self, get: &Get, list: List, mut map: Map, ordinal: u64, entry: &Entry) -> Result<GetReport, Problem> {
        let mut place = Place::for_file(&get.dest, split(entry.path()).1, get.existing)?;
        let told = |e| fault::manifest("cannot read the map", &self.grant.record, &e);
        let place_entry = map.find(ordinal).map_err(told)?;
        let mapped = place_entry.filter(|mapped| mapped.size() == Some(entry.size()) && mapped.digest.is_some());
        let mapped = mapped.ok_or_else(|| disagree(self.grant))?;
        let (staged, granted) = place.stage_file()?;
        let staged = Arc::new(staged);
        let out = Arc::new(OutFile::new(self.making(granted), entry, &mapped, Some(Arc::clone(&staged))));
        let feed = Feed::one(self.opened, list, map, out, mapped);
        let done = self.run(feed, None, threads(entry.size()))?;
        staged.sync_all().map_err(|e| fault::io("cannot write", &get.dest, &e))?;
        check(self.watch, "get")?;
        Ok(self.report(place.show()?, done.bytes, 1))
    }

    fn folder(&self, get: &Get, list: List, map: Map, prefix: &[u8]) -> Result<GetReport, Problem> {
        let mut place = Place::for_folder(&get.dest, get.existing)?;
        let stage = place.stage_folder()?;
        let (bytes, files) = self.staged(list, map, &stage, prefix)?;
        stage.sync()?;
        check(self.watch, "get")?;
        Ok(self.report(place.show()?, bytes, files))
    }

    /// Everything below a folder of the version, in the stage with its links and modes; answers bytes and files.
    fn staged(&self, list: List, map: Map, stage: &Stage, prefix: &[u8]) -> Result<(u64, u64), Problem> {
        let feed = Feed::folder(self.opened, list, map, Sink { stage, prefix, making: self.making(stage.granted()) })?;
        let done = self.run(feed, Some(stage), THREADS)?;
        for (path, target) in &done.links {
            stage.link(path, target)?;
        }
        // Deepest first: a folder that may not be searched is closed after what is in it.
        for (path, mode) in done.folders.iter().rev() {
            stage.mode(path, u32::from(*mode))?;
        }
        Ok((done.bytes, done.files))
    }

    fn making(&self, granted: Granted) -> Making {
        Making { suite: self.grant.record.suite, granted, medium: self.medium }
    }

    /// Blocks until there are no more, in so many threads, of which this is one.
    fn run<'b>(&self, feed: Feed<'b>, stage: Option<&'b Stage>, threads: usize) -> Result<Feed<'b>, Problem> {
        let feed = Mutex::new(feed);
        let failed: Mutex<Option<Problem>> = Mutex::new(None);
        let stop = AtomicBool::new(false);
        let work = || {
            let mut worker = Worker::new(stage);
            while !stop.load(Ordering::Relaxed) {
                match self.step(&feed, &mut worker) {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(problem) => {
                        stop.store(true, Ordering::Relaxed);
                        failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(problem);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(problem) => Err(problem),
            None => Ok(feed.into_inner().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// One block; false at the end.
    fn step(&self, feed: &Mutex<Feed<'_>>, worker: &mut Worker<'_>) -> Result<bool, Problem> {
        check(self.watch, "get")?;
        let block = feed.lock().unwrap_or_else(PoisonError::into_inner).next()?;
        let Some(block) = block else { return Ok(false) };
        self.watch.advance(worker.process(block)?);
        Ok(true)
    }

    fn report(&self, dest: PathBuf, bytes: u64, files: u64) -> GetReport {
        let version = self.grant.version.reference.clone();
        GetReport { version, dest: shown(&dest), bytes, files, release: self.grant.release }
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Finds out whether a file or a folder is asked for.
fn wanted(list: &mut List, path: Option<&[u8]>, grant: &Grant) -> Result<Wanted, Problem> {
    let read = |e| fault::manifest("cannot read the list", &grant.record, &e);
    let reference = &grant.version.reference;
    let Some(path) = path else {
        list.seek_ordinal(0).map_err(read)?;
        return match list.next_entry().map_err(read)? {
            Some((ordinal, entry)) if list.entries() == 1 && matches!(entry.node(), Node::File { .. }) => {
                Ok(Wanted::File(ordinal, entry))
            }
            _ => Ok(Wanted::Folder(Vec::new())),
        };
    };
    let shown = String::from_utf8_lossy(path);
    match list.find(path).map_err(read)? {
        Some((ordinal, entry)) => match entry.node() {
            Node::File { .. } => Ok(Wanted::File(ordinal, entry)),
            Node::Folder => Ok(Wanted::Folder(path.to_vec())),
            Node::Symlink { .. } => {
                let what = format!("cannot get `{shown}`");
                Err(Problem::new(Code::BadRequest, what, "it is a symbolic link; links are never followed"))
            }
        },
        None => {
            let below = [path, b"/"].concat();
            list.seek_path(&below).map_err(read)?;
            let inside = list.next_entry().map_err(read)?.is_some_and(|(_, entry)| entry.path().starts_with(&below));
            if inside {
                return Ok(Wanted::Folder(path.to_vec()));
            }
            let problem = Problem::new(
                Code::NotFound,
                format!("no file `{shown}`"),
                format!("{reference} holds nothing of this name"),
            );
            Err(problem.with_try(format!("strongroom ls {reference}")))
        }
    }
}

fn disagree(grant: &Grant) -> Problem {
    let object = api::terms::ObjectId::from_bytes(grant.record.object);
    Problem::new(
        Code::Integrity,
        format!("cannot open {}", grant.version.reference),
        format!("list and map in object {object} do not agree"),
    )
}
