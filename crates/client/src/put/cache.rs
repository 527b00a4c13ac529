//! The cache of file states: which bytes on this disk the previous version was made from.
//!
//! A file whose device, inode, size and both times are those of then is not read again. The cache is sealed under the previous
//! version's map key, so only somebody who may read that version learns anything from it; a cache that does not open is no cache.

use crate::source::{Identity, MAX_PATH_LEN_BYTES};
use seal::chunked::{self, CHUNK_LEN, HEADER_LEN, Header, Opener, SEALED_CHUNK_LEN, Sealer, TAG_LEN};
use seal::label::{Label, lp};
use seal::secret::MapKey;
use std::cmp::Ordering;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// States younger than this when the put began are not trusted: a file could change again within the file system's clock tick.
const SETTLED_NANOS: u64 = 50_000_000;
/// The same where time stamps are whole seconds: FAT ticks every two, older network and disk file systems every one.
const COARSE_NANOS: u64 = 2_000_000_000;
const SECOND_NANOS: u64 = 1_000_000_000;

/// What a cache is sealed for.
pub(super) fn context(vault: &[u8; 16], version: &[u8; 16]) -> Option<Vec<u8>> {
    lp(Label::Cache, &[vault, version]).ok()
}

/// Where the cache of a version is.
pub(super) fn path(folder: &Path, version: &[u8; 16]) -> PathBuf {
    folder.join(hex::encode(version))
}

/// Writes a cache. Whatever fails, there is no cache then, and nothing else is wrong.
pub(super) struct CacheWriter {
    sealer: Sealer,
    file: BufWriter<File>,
    path: PathBuf,
    chunk: Zeroizing<Vec<u8>>,
    began_nanos: u64,
}

impl CacheWriter {
    pub(super) fn create(
        folder: &Path,
        key: &MapKey,
        vault: &[u8; 16],
        version: &[u8; 16],
        began_nanos: u64,
    ) -> Option<Self> {
        std::fs::create_dir_all(folder).ok()?;
        let (sealer, header) = Sealer::new(key.expose_bytes(), &context(vault, version)?).ok()?;
        let path = path(folder, version).with_extension("new");
        let mut file = BufWriter::with_capacity(4 * SEALED_CHUNK_LEN, File::create(&path).ok()?);
        file.write_all(&header).ok()?;
        Some(Self { sealer, file, path, chunk: Zeroizing::new(Vec::with_capacity(CHUNK_LEN)), began_nanos })
    }

    /// Notes a file; states that are too young are left out.
    pub(super) fn push(&mut self, path: &[u8], identity: &Identity) -> Option<()> {
        if !settled(identity, self.began_nanos) {
            return Some(());
        }
        self.write(&u16::try_from(path.len()).ok()?.to_be_bytes())?;
        self.write(path)?;
        self.write(&identity.to_bytes())
    }

    fn write(&mut self, mut bytes: &[u8]) -> Option<()> {
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(CHUNK_LEN - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            if self.chunk.len() == CHUNK_LEN {
                self.seal()?;
            }
            bytes = rest;
        }
        Some(())
    }

    fn seal(&mut self) -> Option<()> {
        let mut sealed = vec![0; self.chunk.len() + TAG_LEN];
        self.sealer.seal_next(&self.chunk, &mut sealed).ok()?;
        self.chunk.clear();
        self.file.write_all(&sealed).ok()
    }

    /// Puts it in place.
    pub(super) fn finish(mut self) -> Option<()> {
        self.seal()?;
        let Self { sealer, mut file, path, .. } = self;
        sealer.finish().ok()?;
        file.flush().ok()?;
        std::fs::rename(&path, path.with_extension("")).ok()
    }

    /// Takes it back.
    pub(super) fn discard(self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether any later change must show in the times of this state. As a file system does not say how coarse its clock is, a time
/// without a fraction of a second counts as coarse.
fn settled(identity: &Identity, began_nanos: u64) -> bool {
    let times = [identity.modified_nanos, identity.changed_nanos];
    let coarse = times.iter().any(|at| at.is_multiple_of(SECOND_NANOS));
    let margin = if coarse { COARSE_NANOS } else { SETTLED_NANOS };
    times.iter().all(|at| at.saturating_add(margin) < began_nanos)
}

/// Reads a cache along with the walk.
pub(super) struct CacheReader<R = File> {
    opener: Opener,
    file: BufReader<R>,
    index: u64,
    chunk: Zeroizing<Vec<u8>>,
    at: usize,
    ahead: Option<(Vec<u8>, Identity)>,
    over: bool,
}

impl CacheReader {
    /// Opens the cache of a version, if there is one.
    pub(super) fn open(folder: &Path, key: &MapKey, vault: &[u8; 16], version: &[u8; 16]) -> Option<Self> {
        let file = File::open(path(folder, version)).ok()?;
        let len = file.metadata().ok()?.len();
        Self::over(file, len, key, vault, version)
    }
}

impl<R: Read> CacheReader<R> {
    /// Reads sealed bytes, of which there are `len`.
    pub(super) fn over(file: R, len: u64, key: &MapKey, vault: &[u8; 16], version: &[u8; 16]) -> Option<Self> {
        chunked::plaintext_len(len).ok()?;
        let mut file = BufReader::with_capacity(4 * SEALED_CHUNK_LEN, file);
        let mut header: Header = [0; HEADER_LEN];
        file.read_exact(&mut header).ok()?;
        let opener = Opener::new(key.expose_bytes(), &context(vault, version)?, &header).ok()?;
        let chunk = Zeroizing::new(Vec::with_capacity(CHUNK_LEN));
        Some(Self { opener, file, index: 0, chunk, at: 0, ahead: None, over: false })
    }

    /// The state of the file at `path`, moving past smaller paths.
    pub(super) fn at(&mut self, path: &[u8]) -> Option<Identity> {
        loop {
            if self.ahead.is_none() && !self.over {
                self.ahead = self.record();
                self.over = self.ahead.is_none();
            }
            let (held, identity) = self.ahead.as_ref()?;
            match held.as_slice().cmp(path) {
                Ordering::Less => self.ahead = None,
                Ordering::Equal => return Some(*identity),
                Ordering::Greater => return None,
            }
        }
    }

    fn record(&mut self) -> Option<(Vec<u8>, Identity)> {
        let mut len = [0; 2];
        self.read(&mut len)?;
        let len = usize::from(u16::from_be_bytes(len));
        if len > MAX_PATH_LEN_BYTES {
            return None;
        }
        let mut path = vec![0; len];
        self.read(&mut path)?;
        let mut identity = [0; Identity::LEN_BYTES];
        self.read(&mut identity)?;
        Some((path, Identity::from_bytes(&identity)))
    }

    fn read(&mut self, mut out: &mut [u8]) -> Option<()> {
        while !out.is_empty() {
            if self.at == self.chunk.len() {
                self.open_chunk()?;
            }
            let rest = self.chunk.get(self.at..)?;
            let len = rest.len().min(out.len());
            let (now, later) = out.split_at_mut(len);
            now.copy_from_slice(rest.get(..len)?);
            self.at += len;
            out = later;
        }
        Some(())
    }

    fn open_chunk(&mut self) -> Option<()> {
        let mut sealed = Vec::with_capacity(SEALED_CHUNK_LEN);
        (&mut self.file).take(SEALED_CHUNK_LEN as u64).read_to_end(&mut sealed).ok()?;
        let len = sealed.len().checked_sub(TAG_LEN).filter(|len| *len > 0)?;
        self.chunk.resize(len, 0);
        self.opener.open_chunk(self.index, &sealed, &mut self.chunk).ok()?;
        (self.index, self.at) = (self.index + 1, 0);
        Some(())
    }
}

#[cfg(test)]
mod tests;
