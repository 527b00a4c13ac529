//! Lists: the sealed names of a version's files (`spec/format.md#list`).
//!
//! Entries are sorted by raw path bytes and lie in blocks of at most 64 KiB under an index, so a name is found, or a page read, with a
//! few blocks. Neither writer nor reader holds the whole.

use crate::blocks::{Builder, Item, Seek, Walker, decode_block};
use crate::cbor::{Malformed, Reader, Writer};
use crate::label::{Context, Label};
use crate::manifest::{Error, Footer, LIST_MAGIC, Opener, Sealed, Sealer, Sink, Source, WriteError};
use crate::padme::Padding;
use crate::record::VersionRecord;
use crate::secret::ListKey;
use crate::{Id, Suite};

/// Longest path, in bytes.
pub const MAX_PATH_LEN: usize = 4_096;
/// Longest target of a symbolic link, in bytes.
pub const MAX_TARGET_LEN: usize = 4_096;
/// Longest file, in bytes.
pub const MAX_FILE_LEN: u64 = 1 << 46;

/// One name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    path: Vec<u8>,
    mode: u16,
    node: Node,
}

/// What a name is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A regular file of this many bytes.
    File {
        /// Its length.
        size: u64,
    },
    /// A folder.
    Folder,
    /// A symbolic link, with its target as stored in the file system.
    Symlink {
        /// Raw bytes; never followed.
        target: Vec<u8>,
    },
}

impl Entry {
    /// A name.
    ///
    /// # Errors
    /// [`Malformed`] for a path that is empty (except the root folder's: its first entry tells a folder with one file from a
    /// single file), longer than [`MAX_PATH_LEN`], absolute, or has an empty, `.` or `..` component or a NUL;
    /// for a mode of more than 12 bits; for a target that is empty, too long or has a NUL; for a file longer than [`MAX_FILE_LEN`].
    pub fn new(path: Vec<u8>, mode: u16, node: Node) -> Result<Self, Malformed> {
        let is_root = path.is_empty() && node == Node::Folder;
        if (path.is_empty() && !is_root) || path.len() > MAX_PATH_LEN || path.contains(&0) {
            return Err(Malformed("list: path"));
        }
        if !is_root && path.split(|byte| *byte == b'/').any(|part| matches!(part, b"" | b"." | b"..")) {
            return Err(Malformed("list: component of a path"));
        }
        if mode > 0o7777 {
            return Err(Malformed("list: mode"));
        }
        match &node {
            Node::File { size } if *size > MAX_FILE_LEN => Err(Malformed("list: size")),
            Node::Symlink { target } if target.is_empty() || target.len() > MAX_TARGET_LEN || target.contains(&0) => {
                Err(Malformed("list: target"))
            }
            _ => Ok(Self { path, mode, node }),
        }
    }

    /// Raw bytes of the path, relative to the version's root, components separated by `/`.
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// The 12 permission bits.
    pub fn mode(&self) -> u16 {
        self.mode
    }

    /// What it is.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Length of the file; 0 for everything else.
    pub fn size(&self) -> u64 {
        match self.node {
            Node::File { size } => size,
            Node::Folder | Node::Symlink { .. } => 0,
        }
    }
}

impl Item for Entry {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.array(4, "list: entry")?;
        let path = reader.bytes(MAX_PATH_LEN, "list: path")?.to_vec();
        let mode = reader.u16("list: mode")?;
        let node = match reader.byte_up_to(2, "list: kind")? {
            0 => Node::File { size: reader.uint("list: size")? },
            1 if reader.null() => Node::Folder,
            2 => Node::Symlink { target: reader.bytes(MAX_TARGET_LEN, "list: target")?.to_vec() },
            _ => return Err(Malformed("list: kind")),
        };
        Self::new(path, mode, node)
    }

    fn write(&self, writer: &mut Writer) {
        writer.array(4).bytes(&self.path).uint(self.mode.into());
        match &self.node {
            Node::File { size } => writer.uint(0).uint(*size),
            Node::Folder => writer.uint(1).null(),
            Node::Symlink { target } => writer.uint(2).bytes(target),
        };
    }

    fn key(&self) -> &[u8] {
        &self.path
    }
}

/// Reads one decrypted block of entries, checking everything but its place: what a fuzzer feeds.
///
/// # Errors
/// [`Malformed`].
pub fn decode_entries(block: &[u8]) -> Result<Vec<Entry>, Malformed> {
    decode_block(block)
}

fn context(suite: Suite, vault: &Id, version: &Id) -> Vec<u8> {
    Context::new(Label::List, suite).field(vault).field(version).into_bytes()
}

/// Seals a list, entry by entry.
#[must_use = "an unfinished list does not open"]
pub struct ListWriter<'a> {
    blocks: Builder,
    sealer: Sealer<'a>,
    last: Vec<u8>,
    total: u64,
}

impl<'a> ListWriter<'a> {
    /// Starts the list of `version`; sealed bytes go to `out` as they are made.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn new(key: &ListKey, suite: Suite, vault: &Id, version: &Id, out: Sink<'a>) -> Result<Self, WriteError> {
        let sealer = Sealer::new(suite, key.expose_bytes(), &context(suite, vault, version), out)?;
        Ok(Self { blocks: Builder::default(), sealer, last: Vec::new(), total: 0 })
    }

    /// Adds the next entry; answers its ordinal.
    ///
    /// # Errors
    /// [`WriteError::Order`] unless its path is greater than the last one.
    pub fn push(&mut self, entry: &Entry) -> Result<u64, WriteError> {
        let ordinal = self.blocks.entries();
        if ordinal > 0 && self.last.as_slice() >= entry.path() {
            return Err(WriteError::Order);
        }
        self.blocks.push(entry, &mut self.sealer)?;
        entry.path().clone_into(&mut self.last);
        self.total = self.total.checked_add(entry.size()).ok_or(WriteError::TooLarge)?;
        Ok(ordinal)
    }

    /// Writes index, padding and footer.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn finish(mut self, padding: Padding) -> Result<Sealed, WriteError> {
        let root = self.blocks.finish(&mut self.sealer)?;
        let footer = Footer { root, total: self.total, packs_offset: 0, packs_len: 0 };
        self.sealer.finish(&footer.encode(LIST_MAGIC), padding)
    }
}

/// Reads a list, from any path or ordinal on.
pub struct ListReader<S> {
    opener: Opener<S>,
    footer: Footer,
    walker: Walker<Entry>,
}

impl<S: Source> ListReader<S> {
    /// Opens the list that `record` names; `source` reads the version object.
    ///
    /// # Errors
    /// [`Error`].
    pub fn open(key: &ListKey, record: &VersionRecord, source: S) -> Result<Self, Error<S::Error>> {
        let context = context(record.suite, &record.vault, &record.version);
        let mut opener = Opener::new(record.suite, key.expose_bytes(), &context, &record.list, source)?;
        let footer = Footer::read(LIST_MAGIC, &mut opener)?;
        if footer.packs_offset != 0 || footer.packs_len != 0 {
            return Err(Malformed("list: footer").into());
        }
        let mut reader = Self { opener, footer, walker: Walker::new(footer.root) };
        reader.seek_ordinal(0)?;
        Ok(reader)
    }

    /// How many entries there are.
    pub fn entries(&self) -> u64 {
        self.footer.root.entries
    }

    /// Length of all files together.
    pub fn total_len(&self) -> u64 {
        self.footer.total
    }

    /// Moves before the first entry whose path is at or after `path`: where a page or a prefix starts.
    ///
    /// # Errors
    /// [`Error`].
    pub fn seek_path(&mut self, path: &[u8]) -> Result<(), Error<S::Error>> {
        self.walker.seek(Seek::Key(path), &mut self.opener)
    }

    /// Moves before entry number `ordinal`.
    ///
    /// # Errors
    /// [`Error`].
    pub fn seek_ordinal(&mut self, ordinal: u64) -> Result<(), Error<S::Error>> {
        self.walker.seek(Seek::Ordinal(ordinal), &mut self.opener)
    }

    /// The next entry with its ordinal, or `None` after the last.
    ///
    /// # Errors
    /// [`Error`].
    pub fn next_entry(&mut self) -> Result<Option<(u64, Entry)>, Error<S::Error>> {
        let next = self.walker.next(&mut self.opener)?;
        match &next {
            Some((ordinal, entry)) if *ordinal > 0 && entry.path().is_empty() => {
                Err(Malformed("list: second root").into())
            }
            _ => Ok(next),
        }
    }

    /// The entry with exactly this path. Moves behind it.
    ///
    /// # Errors
    /// [`Error`].
    pub fn find(&mut self, path: &[u8]) -> Result<Option<(u64, Entry)>, Error<S::Error>> {
        self.seek_path(path)?;
        Ok(self.next_entry()?.filter(|(_, entry)| entry.path() == path))
    }
}

impl<S> std::fmt::Debug for ListReader<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListReader").field("entries", &self.footer.root.entries).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ListWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListWriter").field("entries", &self.blocks.entries()).finish_non_exhaustive()
    }
}
