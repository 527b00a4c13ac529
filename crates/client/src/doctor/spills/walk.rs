//! Walking folders with two threads that read. What cannot be read is counted, not an error: a search of a temporary folder meets
//! what others are just changing.

use super::known::Index;
use super::look::{Looked, Match, Room, look};
use super::places::Root;
use super::{NotSearched, Searched};
use crate::source::{Identity, LastFolder, Tree};
use crate::watch::{Watch, check};
use api::wire::Problem;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use std::collections::{BTreeMap, HashSet};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

const THREADS: usize = 2;
/// Files that may wait for a thread.
const MAX_WAITING: usize = 4_096;
/// The most entries of one search, and the deepest folder.
const MAX_ENTRIES: u64 = 5_000_000;
const MAX_DEPTH: usize = 128;
/// A file shorter than this holds nothing that is recognised.
const MIN_LEN: u64 = 32;

/// A file that holds something.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) tree: Arc<Tree>,
    /// Below the tree.
    pub(super) path: Vec<u8>,
    pub(super) identity: Identity,
    pub(super) held: Vec<Match>,
    /// It was named itself.
    pub(super) named: bool,
}

impl Found {
    pub(super) fn shown(&self) -> PathBuf {
        self.tree.shown(&self.path)
    }
}

/// What a walk came to.
#[derive(Default)]
pub(super) struct Walked {
    pub(super) found: Vec<Found>,
    pub(super) searched: Searched,
    pub(super) not_searched: Left,
}

/// What was not looked into, by why.
#[derive(Default)]
pub(super) struct Left(BTreeMap<&'static str, (u64, PathBuf)>);

impl Left {
    fn add(&mut self, what: &'static str, example: &Path) {
        self.0.entry(what).or_insert_with(|| (0, example.to_owned())).0 += 1;
    }

    pub(super) fn told(self) -> Vec<NotSearched> {
        self.0.into_iter().map(|(what, (count, example))| NotSearched { what, count, example }).collect()
    }
}

/// A file to look at.
struct Job {
    tree: Arc<Tree>,
    path: Vec<u8>,
    identity: Identity,
    named: bool,
}

/// Searches everything below the roots, but for the vault itself.
pub(super) fn search(index: &Index, roots: &[Root], vault: &Path, watch: &dyn Watch) -> Result<Walked, Problem> {
    let walked = Mutex::new(Walked::default());
    let (send, receive) = sync_channel(MAX_WAITING);
    let receive = Mutex::new(receive);
    let mut walk = Walk {
        walked: &walked,
        send: Some(send),
        seen: HashSet::new(),
        vault: rustix::fs::stat(vault).ok().map(|stat| (Identity::of(&stat).dev, Identity::of(&stat).ino)),
        user: rustix::process::geteuid().as_raw(),
        entries: 0,
        watch,
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| work(index, &receive, &walked, watch));
        }
        let done = roots.iter().try_for_each(|root| walk.root(root));
        // The threads end when nobody sends any more.
        walk.send = None;
        done
    })?;
    check(watch, "doctor")?;
    Ok(walked.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn work(index: &Index, jobs: &Mutex<Receiver<Job>>, walked: &Mutex<Walked>, watch: &dyn Watch) {
    let (mut folder, mut room) = (LastFolder::default(), Room::default());
    let mut last: Option<Arc<Tree>> = None;
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        if watch.interrupted() {
            continue;
        }
        if last.as_ref().is_none_or(|tree| !Arc::ptr_eq(tree, &job.tree)) {
            folder = LastFolder::default();
            last = Some(Arc::clone(&job.tree));
        }
        let looked = job.tree.file(&job.path, &job.identity, &mut folder).ok().and_then(|file| {
            let looked = look(index, &mut room, &job.path, &file, job.identity.size).ok()?;
            job.tree.unchanged(&job.path, &file, &job.identity).ok().map(|()| looked)
        });
        let mut walked = walked.lock().unwrap_or_else(PoisonError::into_inner);
        let path = job.tree.shown(&job.path);
        let Some(Looked { held, bytes, left }) = looked else {
            walked.not_searched.add("files that changed, or could not be read", &path);
            continue;
        };
        walked.searched.files += 1;
        walked.searched.bytes += bytes;
        watch.advance(bytes);
        left.into_iter().for_each(|what| walked.not_searched.add(what, &path));
        if !held.is_empty() {
            let Job { tree, path, identity, named } = job;
            walked.found.push(Found { tree, path, identity, held, named });
        }
    }
}

struct Walk<'a> {
    walked: &'a Mutex<Walked>,
    send: Option<SyncSender<Job>>,
    /// Folders that were entered: roots may lie in one another, and mounts make loops.
    seen: HashSet<(u64, u64)>,
    vault: Option<(u64, u64)>,
    user: u32,
    entries: u64,
    watch: &'a dyn Watch,
}

impl Walk<'_> {
    fn left(&self, what: &'static str, example: &Path) {
        self.walked.lock().unwrap_or_else(PoisonError::into_inner).not_searched.add(what, example);
    }

    fn root(&mut self, root: &Root) -> Result<(), Problem> {
        // The way to a root may lead through links; the root itself is no link.
        let stat = match rustix::fs::lstat(&root.path) {
            Ok(stat) => stat,
            Err(_) if root.well_known => return Ok(()),
            Err(_) => {
                self.left("places that are not there, or cannot be looked at", &root.path);
                return Ok(());
            }
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => match Tree::open(&root.path) {
                Ok(tree) => self.folders(&Arc::new(tree), root),
                Err(_) => {
                    self.left("folders that could not be read", &root.path);
                    Ok(())
                }
            },
            FileType::RegularFile => {
                let parent = root.path.parent().filter(|parent| !parent.as_os_str().is_empty());
                let name = root.path.file_name().map(|name| std::os::unix::ffi::OsStrExt::as_bytes(name).to_vec());
                if let (Ok(tree), Some(name)) = (Tree::open(parent.unwrap_or(Path::new("."))), name) {
                    self.file(&Arc::new(tree), name, &stat, true);
                }
                Ok(())
            }
            FileType::Symlink => {
                self.left("links, which are not followed", &root.path);
                Ok(())
            }
            _ => {
                self.left("pipes, sockets and devices", &root.path);
                Ok(())
            }
        }
    }

    fn folders(&mut self, tree: &Arc<Tree>, root: &Root) -> Result<(), Problem> {
        let mut open: Vec<(Vec<u8>, usize)> = vec![(Vec::new(), 0)];
        while let Some((path, depth)) = open.pop() {
            check(self.watch, "doctor")?;
            let shown = tree.shown(&path);
            let entered = tree.folder(&path).ok().and_then(|folder| {
                let stat = rustix::fs::fstat(&folder).ok()?;
                Some((Dir::read_from(&folder).ok()?, Identity::of(&stat), folder))
            });
            let Some((listing, identity, folder)) = entered else {
                self.left("folders that could not be read", &shown);
                continue;
            };
            let id = (identity.dev, identity.ino);
            if Some(id) == self.vault || !self.seen.insert(id) || is_of_the_system(&folder) {
                continue;
            }
            self.walked.lock().unwrap_or_else(PoisonError::into_inner).searched.folders += 1;
            for entry in listing.flatten() {
                let name = entry.file_name().to_bytes();
                if name == b"." || name == b".." {
                    continue;
                }
                self.entries += 1;
                if self.entries > MAX_ENTRIES {
                    self.left("what comes after 5,000,000 entries", &shown);
                    return Ok(());
                }
                let full = if path.is_empty() { name.to_vec() } else { [&path, &b"/"[..], name].concat() };
                let Ok(stat) = rustix::fs::statat(folder.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
                match FileType::from_raw_mode(stat.st_mode) {
                    // In shared folders everybody looks after their own.
                    _ if root.own_only && stat.st_uid != self.user => {}
                    FileType::Directory if depth < MAX_DEPTH => open.push((full, depth + 1)),
                    FileType::Directory => self.left("folders more than 128 deep", &tree.shown(&full)),
                    FileType::RegularFile => self.file(tree, full, &stat, false),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn file(&self, tree: &Arc<Tree>, path: Vec<u8>, stat: &Stat, named: bool) {
        let identity = Identity::of(stat);
        if identity.size < MIN_LEN || seal::prints::is_common_name(&path) {
            return;
        }
        let job = Job { tree: Arc::clone(tree), path, identity, named };
        if let Some(send) = &self.send {
            let _ = send.send(job);
        }
    }
}

/// File systems that hold no files of anybody: `proc`, `sys` and the like.
fn is_of_the_system(folder: impl std::os::fd::AsFd) -> bool {
    const SYSTEM: [u32; 8] =
        [0x9fa0, 0x6265_6572, 0x6367_7270, 0x0027_e0eb, 0x6462_6720, 0x7472_6163, 0x1cd1, 0x6269_6e6d];
    rustix::fs::fstatfs(folder).is_ok_and(|found| SYSTEM.contains(&(found.f_type as u32)))
}

/// Opens the folder that holds a found file, for its removal.
pub(super) fn folder_of(found: &Found) -> Option<std::os::fd::OwnedFd> {
    let (folder, _) = crate::source::split(&found.path);
    let folder = found.tree.folder(folder).ok()?;
    rustix::fs::openat(&folder, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()
}
