//! The journal of an unfinished put: what a killed put had finished is not done again.
//!
//! After each full segment one record is written, sealed under the draft version's map key, which the keeper hands out again to the
//! same principal. A record names the segment and the files that ended in it, with their identities; a file that goes on is named
//! with the roots of its tree so far. Files that changed since are put anew.

use crate::digest::Growing;
use crate::source::{Identity, MAX_PATH_LEN_BYTES};
use api::terms::VersionId;
use seal::Suite;
use seal::chunked;
use seal::label::{Label, lp};
use seal::record::{Segment, digest_of};
use seal::secret::{MapKey, PackKey};
use seal::tree::Digest;
use std::cmp::Ordering;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Most bytes about files in one record; what is beyond is put anew after a kill.
const MAX_FILES_LEN: usize = 16 << 20;
/// The longest record.
const MAX_RECORD_LEN: u64 = 32 << 20;

/// Where a draft's journal lies, and which version it is of.
#[derive(Debug, Clone)]
pub(super) struct Journal {
    folder: PathBuf,
    records: u32,
    /// A record could not be written: none may follow.
    closed: bool,
    /// Held for as long as the put runs: a second put of the same source to the same artifact has no journal.
    _lock: Arc<Lock>,
}

/// A locked file. Its name goes when the lock does, not before: under a name that went earlier somebody else would hold another lock.
#[derive(Debug)]
struct Lock {
    path: PathBuf,
    _file: File,
}

/// A file that is wholly in finished segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) path: Vec<u8>,
    pub(super) identity: Identity,
    pub(super) segment: u32,
    pub(super) offset: u64,
    pub(super) digest: [u8; 32],
}

/// A file that goes on in the next segment.
#[derive(Debug, Clone)]
pub(super) struct Partial {
    pub(super) path: Vec<u8>,
    pub(super) identity: Identity,
    pub(super) segment: u32,
    pub(super) offset: u64,
    /// Bytes of the file in finished segments.
    pub(super) done: u64,
    pub(super) growing: Growing,
}

/// What an earlier put finished.
pub(super) struct Resume {
    pub(super) suite: Suite,
    pub(super) pack: [u8; 16],
    pub(super) key: PackKey,
    pub(super) segments: Vec<Segment>,
    /// In the order of their paths, next last.
    files: Vec<Stored>,
    partial: Option<Partial>,
}

impl Journal {
    /// The journal of this source for this artifact.
    pub(super) fn of(drafts: &Path, target: &str, source: &Path) -> Option<Self> {
        use std::os::unix::ffi::OsStrExt as _;
        let source = std::fs::canonicalize(source).ok()?;
        Self::named(drafts, &[target.as_bytes(), b"\0", source.as_os_str().as_bytes()].concat()).ok().flatten()
    }

    /// The journal of a version that is sealed anew, unless somebody else has it.
    pub(super) fn anew(drafts: &Path, version: &VersionId) -> std::io::Result<Option<Self>> {
        Self::named(drafts, &[b"anew\0".as_slice(), version.as_bytes()].concat())
    }

    fn named(drafts: &Path, what: &[u8]) -> std::io::Result<Option<Self>> {
        let name = digest_of(what);
        let folder = drafts.join(hex::encode(name.get(..16).unwrap_or_default()));
        std::fs::create_dir_all(drafts)?;
        let lock = Lock::take(folder.with_extension("lock"))?;
        Ok(lock.map(|lock| Self { folder, records: 0, closed: false, _lock: Arc::new(lock) }))
    }

    /// The version that was being written.
    pub(super) fn version(&self) -> Option<VersionId> {
        std::fs::read_to_string(self.folder.join("version")).ok()?.trim().parse().ok()
    }

    /// Reads what was finished; none if anything is missing or does not open. The map key is of one suite: what was written under
    /// another does not open.
    pub(super) fn resume(
        &mut self,
        suite: Suite,
        key: &MapKey,
        vault: &[u8; 16],
        version: &VersionId,
    ) -> Option<Resume> {
        let mut resume: Option<Resume> = None;
        for number in 0.. {
            let path = self.record(number);
            let Ok(meta) = std::fs::metadata(&path) else { break };
            if meta.len() > MAX_RECORD_LEN + 65_536 {
                return None;
            }
            let context = context(vault, version, number)?;
            let sealed = std::fs::read(&path).ok()?;
            let bytes = chunked::open_all(key.expose_bytes(), &context, &sealed, MAX_RECORD_LEN).ok()?;
            let (pack, key, segment, files, partial) = decoded(suite, &bytes)?;
            let resume = resume.get_or_insert_with(|| Resume {
                suite,
                pack,
                key,
                segments: Vec::new(),
                files: Vec::new(),
                partial: None,
            });
            if resume.pack != pack {
                return None;
            }
            resume.segments.push(segment);
            resume.files.extend(files);
            resume.partial = partial;
            self.records = number + 1;
        }
        let mut resume = resume?;
        if !resume.files.is_sorted_by(|a, b| a.path < b.path) {
            return None;
        }
        resume.files.reverse();
        Some(resume)
    }

    /// Writes the record of a finished segment. Whatever fails, the put goes on without.
    pub(super) fn push(
        &mut self,
        record: &Record<'_>,
        key: &MapKey,
        vault: &[u8; 16],
        version: &VersionId,
    ) -> Option<()> {
        if self.closed {
            return None;
        }
        if self.records == 0 {
            let _ = std::fs::remove_dir_all(&self.folder);
            std::fs::create_dir_all(&self.folder).ok()?;
            std::fs::write(self.folder.join("version"), format!("{version}\n")).ok()?;
        }
        let context = context(vault, version, self.records)?;
        let sealed = chunked::seal_all(key.expose_bytes(), &context, &record.encoded()?).ok()?;
        let path = self.record(self.records);
        let new = path.with_extension("new");
        std::fs::write(&new, sealed).ok()?;
        File::open(&new).ok()?.sync_all().ok()?;
        std::fs::rename(&new, &path).ok()?;
        self.records += 1;
        Some(())
    }

    /// Whether a later put could go on from here.
    pub(super) fn is_useful(&self) -> bool {
        self.records > 0
    }

    /// Forgets everything but the lock.
    pub(super) fn remove(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
        self.records = 0;
    }

    /// Forgets everything and takes no more.
    pub(super) fn close(&mut self) {
        self.remove();
        self.closed = true;
    }

    fn record(&self, number: u32) -> PathBuf {
        self.folder.join(format!("{number:08}"))
    }
}

impl Lock {
    /// Locks a file of this name, unless somebody else has it.
    fn take(path: PathBuf) -> std::io::Result<Option<Self>> {
        let file = File::create(&path)?;
        Ok(Self::of(path, file))
    }

    fn of(path: PathBuf, file: File) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        file.try_lock().ok()?;
        // Whoever held it may have taken the name away between the two: then this is the lock of nothing.
        let (held, named) = (file.metadata().ok()?, std::fs::symlink_metadata(&path).ok()?);
        let same = (held.dev(), held.ino()) == (named.dev(), named.ino());
        same.then(|| Self { path, _file: file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The file is closed, and with it the lock is given back, after this.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Resume {
    /// The place of a found file, if its bytes are there already. Asked in the order of paths.
    pub(super) fn stored(&mut self, path: &[u8], identity: &Identity) -> Option<Stored> {
        while let Some(next) = self.files.last() {
            match next.path.as_slice().cmp(path) {
                Ordering::Less => drop(self.files.pop()),
                Ordering::Equal => return self.files.pop().filter(|stored| stored.identity == *identity),
                Ordering::Greater => return None,
            }
        }
        None
    }

    /// The file that was under way, if this is it and it has not changed.
    pub(super) fn partial(&mut self, path: &[u8], identity: &Identity) -> Option<Partial> {
        self.partial.take_if(|partial| partial.path == path && partial.identity == *identity)
    }
}

/// Files that ended since the last record.
#[derive(Default)]
pub(super) struct Ended {
    bytes: Zeroizing<Vec<u8>>,
    count: u32,
}

impl Ended {
    pub(super) fn push(&mut self, file: &Stored) {
        if self.bytes.len() + file.path.len() + 128 > MAX_FILES_LEN {
            return;
        }
        put_path(&mut self.bytes, &file.path);
        self.bytes.extend_from_slice(&file.identity.to_bytes());
        self.bytes.extend_from_slice(&file.segment.to_be_bytes());
        self.bytes.extend_from_slice(&file.offset.to_be_bytes());
        self.bytes.extend_from_slice(&file.digest);
        self.count += 1;
    }
}

/// One record, to be written.
pub(super) struct Record<'a> {
    pub(super) pack: &'a [u8; 16],
    pub(super) key: &'a PackKey,
    pub(super) segment: &'a Segment,
    pub(super) ended: &'a Ended,
    pub(super) partial: Option<&'a Partial>,
}

impl Record<'_> {
    /// Its bytes, before they are sealed.
    pub(super) fn encoded(&self) -> Option<Zeroizing<Vec<u8>>> {
        let mut out = Zeroizing::new(Vec::with_capacity(self.ended.bytes.len() + 8_192));
        out.extend_from_slice(self.pack);
        out.extend_from_slice(self.key.expose_bytes());
        out.extend_from_slice(&self.segment.object);
        out.extend_from_slice(&self.segment.plaintext_len.to_be_bytes());
        out.extend_from_slice(&self.segment.stored_len.to_be_bytes());
        out.extend_from_slice(&self.segment.digest);
        out.extend_from_slice(&self.ended.count.to_be_bytes());
        out.extend_from_slice(&self.ended.bytes);
        let Some(partial) = self.partial else { return Some(out) };
        put_path(&mut out, &partial.path);
        out.extend_from_slice(&partial.identity.to_bytes());
        out.extend_from_slice(&partial.segment.to_be_bytes());
        out.extend_from_slice(&partial.offset.to_be_bytes());
        out.extend_from_slice(&partial.done.to_be_bytes());
        out.push(u8::try_from(partial.growing.parts().len()).ok()?);
        for (height, root) in partial.growing.parts() {
            out.extend_from_slice(&height.to_be_bytes());
            out.extend_from_slice(root.as_bytes());
        }
        Some(out)
    }
}

fn context(vault: &[u8; 16], version: &VersionId, number: u32) -> Option<Vec<u8>> {
    lp(Label::Draft, &[vault, version.as_bytes(), &number.to_be_bytes()]).ok()
}

fn put_path(out: &mut Vec<u8>, path: &[u8]) {
    // Paths are bounded by the walk.
    out.extend_from_slice(&(path.len() as u16).to_be_bytes());
    out.extend_from_slice(path);
}

/// Pack and its key, segment, files that ended, the file that goes on.
pub(super) type Decoded = ([u8; 16], PackKey, Segment, Vec<Stored>, Option<Partial>);

/// Reads the bytes of a record.
pub(super) fn decoded(suite: Suite, bytes: &[u8]) -> Option<Decoded> {
    let mut rest = bytes;
    let pack = take::<16>(&mut rest)?;
    let key = PackKey::from_slice(&*Zeroizing::new(take::<32>(&mut rest)?)).ok()?;
    let segment = Segment {
        object: take(&mut rest)?,
        plaintext_len: u64::from_be_bytes(take(&mut rest)?),
        stored_len: u64::from_be_bytes(take(&mut rest)?),
        digest: take(&mut rest)?,
    };
    let count = u32::from_be_bytes(take(&mut rest)?);
    let mut files = Vec::new();
    for _ in 0..count {
        let path = take_path(&mut rest)?;
        let identity = Identity::from_bytes(&take(&mut rest)?);
        let (place, offset) = (u32::from_be_bytes(take(&mut rest)?), u64::from_be_bytes(take(&mut rest)?));
        files.push(Stored { path, identity, segment: place, offset, digest: take(&mut rest)? });
    }
    if rest.is_empty() {
        return Some((pack, key, segment, files, None));
    }
    let path = take_path(&mut rest)?;
    let identity = Identity::from_bytes(&take(&mut rest)?);
    let (place, offset) = (u32::from_be_bytes(take(&mut rest)?), u64::from_be_bytes(take(&mut rest)?));
    let done = u64::from_be_bytes(take(&mut rest)?);
    let [parts] = take::<1>(&mut rest)?;
    let mut roots = Vec::new();
    for _ in 0..parts {
        roots.push((u32::from_be_bytes(take(&mut rest)?), Digest::from_bytes(take(&mut rest)?)));
    }
    let growing = Growing::from_parts(suite, roots)?;
    let partial = Partial { path, identity, segment: place, offset, done, growing };
    rest.is_empty().then_some((pack, key, segment, files, Some(partial)))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (now, later) = rest.split_first_chunk::<N>()?;
    *rest = later;
    Some(*now)
}

fn take_path(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let len = usize::from(u16::from_be_bytes(take(rest)?));
    let (path, later) = rest.split_at_checked(len).filter(|_| len <= MAX_PATH_LEN_BYTES)?;
    *rest = later;
    Some(path.to_vec())
}

#[cfg(test)]
mod tests;
