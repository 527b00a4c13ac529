//! The anchor: the last signed head, kept outside the vault, so that a vault that was rolled back is noticed.
//!
//! The file has two slots of 8 KiB, each a signed note and padding; the older one is overwritten in place. A write that is torn
//! leaves the other slot, and one `fdatasync` without a change of metadata makes it durable. A file that is one plain note is
//! read as well.

use super::error::{Error, Result};
use super::files;
use super::notes::Notes;
use log::checkpoint::Checkpoint;
use log::note;
use log::proof::Head;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

const SLOT_LEN: usize = 8192;
const SLOTS: usize = 2;

/// A file outside the vault.
#[derive(Debug, Clone)]
pub(super) struct Anchor {
    path: PathBuf,
}

/// What the file holds.
pub(super) struct Held {
    pub(super) newest: Checkpoint,
    /// The slot to overwrite next; none when the file has no slots.
    pub(super) next: Option<usize>,
}

impl Held {
    /// Reads the file's bytes; none when no slot holds what this log signed.
    pub(super) fn parse(bytes: &[u8], notes: &Notes) -> Option<Self> {
        if let Ok(newest) = notes.open(bytes) {
            return Some(Self { newest, next: None });
        }
        if bytes.len() != SLOTS * SLOT_LEN {
            return None;
        }
        let open = |slot: &[u8]| {
            let end = slot.iter().position(|&byte| byte == 0)?;
            notes.open(slot.get(..end)?).ok()
        };
        let slots = bytes.chunks_exact(SLOT_LEN).enumerate();
        let newest = slots.filter_map(|(at, slot)| Some((at, open(slot)?))).max_by_key(|(_, found)| found.size);
        newest.map(|(at, newest)| Self { newest, next: Some((at + 1) % SLOTS) })
    }
}

impl Anchor {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The head it holds, if there is one.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] when it is there and not signed by this log: what cannot be compared must not be overwritten.
    pub(super) fn read(&self, notes: &Notes) -> Result<Option<Checkpoint>> {
        Ok(self.held(notes)?.map(|held| held.newest))
    }

    fn held(&self, notes: &Notes) -> Result<Option<Held>> {
        let bytes = match files::read_bounded(&self.path, note::MAX_LEN) {
            Ok(bytes) => bytes,
            Err(Some(error)) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(Some(error)) => return Err(Error::io("the anchor cannot be read", &self.path, &error)),
            Err(None) => return Err(self.refused()),
        };
        Held::parse(&bytes, notes).map(Some).ok_or_else(|| self.refused())
    }

    fn refused(&self) -> Error {
        Error::ReadOnly(format!("the anchor `{}` is not a checkpoint that this log signed", self.path.display()))
    }

    /// Moves it to a newer head, durably. A missing anchor is not made here: a copy of the vault on another machine would then
    /// vouch for itself.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] when it holds a newer head, or another one of the same size.
    pub(super) fn advance(&self, notes: &Notes, head: &Head, checkpoint: &str) -> Result<()> {
        let Some(held) = self.held(notes)? else { return Ok(()) };
        refuse_newer(&held.newest, head)?;
        let slot = slot(checkpoint)?;
        let Some(next) = held.next else { return self.create(&slot) };
        let overwrite = || -> std::io::Result<()> {
            let file = File::options().write(true).open(&self.path)?;
            file.write_all_at(&slot, (next * SLOT_LEN) as u64)?;
            file.sync_data()
        };
        overwrite().map_err(|error| Error::io("the anchor cannot be written", &self.path, &error))
    }

    /// Whether a head may follow what it holds.
    pub(super) fn admits(&self, notes: &Notes, head: &Head) -> Result<()> {
        self.read(notes)?.map_or(Ok(()), |newest| refuse_newer(&newest, head))
    }

    /// Makes it, for a log that has none: a new one, or one whose owner says so.
    pub(super) fn found(&self, notes: &Notes, head: &Head, checkpoint: &str) -> Result<()> {
        match self.held(notes)? {
            Some(_) => self.advance(notes, head, checkpoint),
            None => self.create(&slot(checkpoint)?),
        }
    }

    /// Makes the file, with the head in the first slot.
    fn create(&self, slot: &[u8]) -> Result<()> {
        let folder = self.path.parent().ok_or(Error::Internal("an anchor without a folder"))?;
        if !folder.is_dir() {
            let made = std::fs::create_dir_all(folder);
            made.map_err(|error| Error::io("the anchor's folder cannot be made", folder, &error))?;
        }
        let mut bytes = slot.to_vec();
        bytes.resize(SLOTS * SLOT_LEN, 0);
        files::write_durably(&self.path, &bytes)?;
        files::sync_folder(folder)
    }
}

fn refuse_newer(newest: &Checkpoint, head: &Head) -> Result<()> {
    if newest.size > head.size || newest.size == head.size && newest.root != head.root {
        let (held, size) = (newest.size, head.size);
        return Err(Error::ReadOnly(format!("it has {size} entries, but its anchor has {held} or another history")));
    }
    Ok(())
}

fn slot(checkpoint: &str) -> Result<Vec<u8>> {
    let mut slot = checkpoint.as_bytes().to_vec();
    if slot.len() >= SLOT_LEN {
        return Err(Error::Internal("a checkpoint that does not fit the anchor"));
    }
    slot.resize(SLOT_LEN, 0);
    Ok(slot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::keys::Signers;
    use log::tree;

    #[test]
    fn a_torn_write_leaves_the_head_before() {
        let dir = tempfile::tempdir().unwrap();
        let anchor = Anchor::new(dir.path().join("state/anchor"));
        let signers = Signers::from_seeds(&format!("strongroom/{}/1", "07".repeat(16)), &[1; 32], &[2; 32]).unwrap();
        let notes = &Notes::new(signers.keys().clone());
        let note = |size| String::from_utf8(signers.sign(size, &tree::leaf(b"x"), 1).unwrap()).unwrap();
        assert!(anchor.read(notes).unwrap().is_none());
        for size in 1..6 {
            anchor.found(notes, &Head { size, root: tree::leaf(b"x") }, &note(size)).unwrap();
            assert_eq!(anchor.read(notes).unwrap().unwrap().size, size);
        }
        // The newest, of size 5, is in the first slot.
        let whole = std::fs::read(&anchor.path).unwrap();
        for cut in [0, 1, 512, 3000] {
            let mut torn = whole.clone();
            torn[cut..SLOT_LEN].fill(b'?');
            std::fs::write(&anchor.path, &torn).unwrap();
            assert_eq!(anchor.read(notes).unwrap().unwrap().size, 4);
            anchor.found(notes, &Head { size: 6, root: tree::leaf(b"x") }, &note(6)).unwrap();
            assert_eq!(anchor.read(notes).unwrap().unwrap().size, 6);
        }
        let mut both = whole;
        both.fill(b'?');
        std::fs::write(&anchor.path, &both).unwrap();
        assert!(matches!(anchor.read(notes), Err(Error::ReadOnly(_))));
        assert!(anchor.found(notes, &Head { size: 7, root: tree::leaf(b"x") }, &note(7)).is_err());
        // A plain note is read, and replaced by slots.
        std::fs::write(&anchor.path, note(8)).unwrap();
        assert_eq!(anchor.read(notes).unwrap().unwrap().size, 8);
        anchor.found(notes, &Head { size: 9, root: tree::leaf(b"x") }, &note(9)).unwrap();
        assert_eq!(anchor.read(notes).unwrap().unwrap().size, 9);
        assert_eq!(std::fs::metadata(&anchor.path).unwrap().len(), 16_384);
    }
}
