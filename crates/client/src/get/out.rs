//! A file that is taking shape: written in parts by several threads, digested as its groups come.

use crate::dest::{Granted, LastFolder, Stage};
use crate::digest::Growing;
use crate::fault;
use crate::source::as_path;
use api::terms::Code;
use api::wire::Problem;
use rustix::fs::Mode;
use seal::Suite;
use seal::list::Entry;
use seal::map::MapEntry;
use seal::tree::{self, Digest, GROUP_LEN};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// Where a file takes shape, which says how it is made and what of it is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Medium {
    /// A disk. The digest of the whole file must be the map's too: what lies there for long is what later puts compare with.
    Disk,
    /// The memory of a run. As for `cat`, each group was verified against the version record before it was decrypted, and that is all.
    Memory,
}

/// How the files of one version are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Making {
    pub(super) suite: Suite,
    pub(super) granted: Granted,
    pub(super) medium: Medium,
}

/// One file of the destination.
pub(super) struct OutFile {
    path: Vec<u8>,
    size: u64,
    suite: Suite,
    medium: Medium,
    /// Set at the end; until then only the owner can open it.
    mode: Mode,
    digest: Option<[u8; 32]>,
    state: Mutex<State>,
}

struct State {
    file: Option<Arc<File>>,
    written: u64,
    /// Digests of groups that came early.
    early: BTreeMap<u64, Digest>,
    next_group: u64,
    growing: Growing,
    /// A part did not start at a group: the file is read back for its digest.
    read_back: bool,
}

const GROUP: u64 = GROUP_LEN as u64;
/// Bytes read back at a time.
const READ_LEN: u64 = 16 * GROUP;
/// A large page: where the length is known from the start, a file system in memory gives these to a file that fills them.
const LARGE_PAGE: u64 = 2 << 20;

impl OutFile {
    /// A file as list and map tell it; `file` is open already if it is the only one.
    pub(super) fn new(making: Making, entry: &Entry, mapped: &MapEntry, file: Option<Arc<File>>) -> Self {
        let Making { suite, granted, medium } = making;
        let state = State {
            file,
            written: 0,
            early: BTreeMap::new(),
            next_group: 0,
            growing: Growing::new(suite),
            read_back: false,
        };
        let mode = granted.of(u32::from(entry.mode()));
        Self {
            path: entry.path().to_vec(),
            size: entry.size(),
            suite,
            medium,
            mode,
            digest: mapped.digest,
            state: Mutex::new(state),
        }
    }

    /// An empty file has no parts.
    pub(super) fn finish_empty(&self, stage: &Stage) -> Result<(), Problem> {
        let file = stage.file(&self.path, &mut LastFolder::default())?;
        self.end(&file, &Growing::new(self.suite))
    }

    /// Writes a part and takes note of its digests.
    pub(super) fn write(
        &self,
        offset: u64,
        bytes: &[u8],
        stage: Option<&Stage>,
        last: &mut LastFolder,
    ) -> Result<(), Problem> {
        let file = self.open(stage, last)?;
        file.write_all_at(bytes, offset).map_err(|e| fault::io("cannot write", as_path(&self.path), &e))?;
        let end = offset + bytes.len() as u64;
        let digested = self.medium == Medium::Disk;
        let aligned = offset.is_multiple_of(GROUP) && (end.is_multiple_of(GROUP) || end == self.size);
        let leaves: Vec<Digest> =
            if digested && aligned { tree::leaves(self.suite, bytes).collect() } else { Vec::new() };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.read_back |= digested && !aligned;
        state.early.extend((offset / GROUP..).zip(leaves));
        while let Some(leaf) = {
            let next = state.next_group;
            state.early.remove(&next)
        } {
            state.growing.push(leaf);
            state.next_group += 1;
        }
        state.written += bytes.len() as u64;
        if state.written < self.size {
            return Ok(());
        }
        state.file = None;
        let growing = if state.read_back { self.read_back(&file)? } else { state.growing.clone() };
        self.end(&file, &growing)
    }

    fn open(&self, stage: Option<&Stage>, last: &mut LastFolder) -> Result<Arc<File>, Problem> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &state.file {
            return Ok(Arc::clone(file));
        }
        let stage = stage.ok_or_else(|| fault::internal("cannot write a file", "there is no place for it"))?;
        let file = Arc::new(stage.file(&self.path, last)?);
        self.lay_out(&file)?;
        state.file = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Tells a file system in memory how long the file will be.
    pub(super) fn lay_out(&self, file: &File) -> Result<(), Problem> {
        if self.medium == Medium::Disk || self.size < LARGE_PAGE {
            return Ok(());
        }
        file.set_len(self.size).map_err(|e| fault::io("cannot write", as_path(&self.path), &e))
    }

    fn read_back(&self, file: &File) -> Result<Growing, Problem> {
        let mut growing = Growing::new(self.suite);
        let mut buffer = Zeroizing::new(vec![0; self.size.min(READ_LEN) as usize]);
        let mut at = 0;
        while at < self.size {
            let len = (self.size - at).min(buffer.len() as u64) as usize;
            let part = buffer.get_mut(..len).unwrap_or_default();
            file.read_exact_at(part, at).map_err(|e| fault::io("cannot read back", as_path(&self.path), &e))?;
            tree::leaves(self.suite, part).for_each(|leaf| growing.push(leaf));
            at += len as u64;
        }
        Ok(growing)
    }

    fn end(&self, file: &File, growing: &Growing) -> Result<(), Problem> {
        if self.medium == Medium::Disk && Some(*growing.finish().as_bytes()) != self.digest {
            let path = String::from_utf8_lossy(&self.path);
            return Err(Problem::new(
                Code::Integrity,
                format!("cannot open `{path}`"),
                "its bytes are not those that the map names",
            ));
        }
        rustix::fs::fchmod(file, self.mode)
            .map_err(|e| fault::io("cannot set the mode of", as_path(&self.path), &e.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seal::list::Node;

    /// Writes a file of three groups from its middle on, as a map tells it whose digest is of other bytes.
    fn written(medium: Medium, digest_of: &[u8]) -> (Result<(), Problem>, u64) {
        let bytes = vec![7; (3 << 20) + 5];
        let size = bytes.len() as u64;
        let mapped =
            MapEntry { digest: Some(*tree::digest(Suite::Default, digest_of).as_bytes()), ..MapEntry::default() };
        let entry = Entry::new(b"f".to_vec(), 0o644, Node::File { size }).unwrap();
        let file = Arc::new(tempfile::tempfile().unwrap());
        let making = Making { suite: Suite::Default, granted: Granted::OWNER, medium };
        let out = OutFile::new(making, &entry, &mapped, Some(Arc::clone(&file)));
        out.lay_out(&file).unwrap();
        let laid_out = file.metadata().unwrap().len();
        let (head, tail) = bytes.split_at(2 << 20);
        let mut last = LastFolder::default();
        out.write(head.len() as u64, tail, None, &mut last).unwrap();
        let done = out.write(0, head, None, &mut last);
        let mut back = vec![0; bytes.len()];
        file.read_exact_at(&mut back, 0).unwrap();
        assert!(back == bytes);
        (done, laid_out)
    }

    #[test]
    fn a_file_on_a_disk_is_what_the_map_says_and_one_in_memory_takes_its_groups_for_it() {
        let whole = vec![7; (3 << 20) + 5];
        assert!(written(Medium::Disk, &whole).0.is_ok());
        assert_eq!(written(Medium::Disk, b"other").0.unwrap_err().code, Code::Integrity);
        assert!(written(Medium::Memory, b"other").0.is_ok());
    }

    #[test]
    fn a_large_file_in_memory_has_its_length_from_the_start() {
        assert_eq!(written(Medium::Disk, &[]).1, 0);
        assert_eq!(written(Medium::Memory, &[]).1, (3 << 20) + 5);
    }
}
