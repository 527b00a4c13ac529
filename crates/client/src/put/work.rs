//! What a thread does with a block: read, check that nothing changed, digest, seal, upload.

use super::feed::{BLOCK_LEN, Block, Data, Ended, Item, Piece};
use super::prints::{Sampled, sampled};
use crate::fault;
use crate::source::{Error, LastFolder, Tree};
use api::wire::Problem;
use depot::sealed::Scratch;
use seal::Suite;
use seal::prints::Printer;
use seal::tree::{self, Digest, GROUP_LEN};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A block whose bytes are in the depot.
pub(super) struct Finished {
    pub(super) seq: u64,
    pub(super) items: Vec<(Item, Looked)>,
    pub(super) bytes: u64,
    pub(super) ends: Option<Ended>,
}

/// What was made of the bytes of an item: the digests of the groups that begin in it, and what it is recognised by.
#[derive(Default)]
pub(super) struct Looked {
    pub(super) leaves: Vec<Digest>,
    pub(super) sampled: Sampled,
}

/// One thread's buffers and open files.
pub(super) struct Worker<'a> {
    suite: Suite,
    tree: &'a Tree,
    printer: Option<&'a Printer>,
    folder: LastFolder,
    /// The file read last; large ones stay open from block to block.
    open: Option<(Arc<super::feed::Planned>, File)>,
    /// Wiped at the end; never grown in place, which would leave a copy behind.
    buffer: Zeroizing<Vec<u8>>,
    group: Zeroizing<Vec<u8>>,
    scratch: Scratch,
}

const GROUP: u64 = GROUP_LEN as u64;

impl<'a> Worker<'a> {
    pub(super) fn new(suite: Suite, tree: &'a Tree, printer: Option<&'a Printer>) -> Self {
        let (buffer, group) = (Zeroizing::default(), Zeroizing::default());
        Self {
            suite,
            tree,
            printer,
            folder: LastFolder::default(),
            open: None,
            buffer,
            group,
            scratch: Scratch::default(),
        }
    }

    pub(super) fn process(&mut self, block: Block) -> Result<Finished, Problem> {
        let Block { seq, items, data, ends } = block;
        let bytes = items.iter().map(|item| if let Item::Piece(piece) = item { piece.len as u64 } else { 0 }).sum();
        let items = match data {
            Some(data) => self.seal(items, data)?,
            None => items.into_iter().map(|item| (item, Looked::default())).collect(),
        };
        Ok(Finished { seq, items, bytes, ends })
    }

    fn seal(&mut self, items: Vec<Item>, data: Data) -> Result<Vec<(Item, Looked)>, Problem> {
        let Data { writer, first_group, len, inline } = data;
        let mut buffer = std::mem::take(&mut self.buffer);
        fit(&mut buffer, len, BLOCK_LEN);
        let sealed = self.fill(&items, inline, buffer.get_mut(..len).unwrap_or_default()).and_then(|()| {
            let plain = buffer.get(..len).unwrap_or_default();
            // The common case of large files: the block is one piece, whose groups are the block's.
            if let [Item::Piece(piece)] = items.as_slice()
                && piece.at == 0
                && piece.len == len
                && piece.offset.is_multiple_of(GROUP)
            {
                let sampled = sampled(self.printer, piece, plain);
                let mut leaves = vec![Digest::default(); len.div_ceil(GROUP_LEN)];
                let written = writer.write_digesting(first_group, plain, &mut leaves, &mut self.scratch);
                written.map_err(|e| fault::sealed("cannot write a segment", &e))?;
                return Ok(items.into_iter().zip([Looked { leaves, sampled }]).collect());
            }
            let items = self.leaves(items, plain)?;
            writer
                .write(first_group, plain, &mut self.scratch)
                .map_err(|e| fault::sealed("cannot write a segment", &e))?;
            Ok(items)
        });
        self.buffer = buffer;
        sealed
    }

    /// Reads every piece to its place; gaps are zero.
    fn fill(&mut self, items: &[Item], inline: Option<Zeroizing<Vec<u8>>>, out: &mut [u8]) -> Result<(), Problem> {
        let mut filled = 0;
        if let Some(bytes) = inline {
            let (now, rest) = out.split_at_mut(bytes.len().min(out.len()));
            now.copy_from_slice(bytes.get(..now.len()).unwrap_or_default());
            rest.fill(0);
            return Ok(());
        }
        for item in items {
            let Item::Piece(piece) = item else { continue };
            if let Some(gap) = out.get_mut(filled..piece.at) {
                gap.fill(0);
            }
            filled = piece.at + piece.len;
            let to = out
                .get_mut(piece.at..filled)
                .ok_or_else(|| fault::internal("cannot fill a block", "a piece outside"))?;
            self.read(piece, piece.offset, to)?;
        }
        if let Some(gap) = out.get_mut(filled..) {
            gap.fill(0);
        }
        Ok(())
    }

    /// Reads a part of a file and checks that the file is still what was found.
    fn read(&mut self, piece: &Piece, offset: u64, to: &mut [u8]) -> Result<(), Problem> {
        let found = &piece.file.found;
        let hit = self.open.as_ref().is_some_and(|(held, _)| Arc::ptr_eq(held, &piece.file));
        if !hit {
            let file = self.tree.file(&found.path, &found.identity, &mut self.folder)?;
            self.open = Some((Arc::clone(&piece.file), file));
        }
        let Some((_, file)) = &self.open else { return Ok(()) };
        file.read_exact_at(to, offset).map_err(|e| short_read(self.tree, &found.path, e))?;
        self.tree.unchanged(&found.path, file, &found.identity)?;
        Ok(())
    }

    /// The digests of the groups that begin in each piece. A group that ends in the next block is read to its end here.
    fn leaves(&mut self, items: Vec<Item>, plain: &[u8]) -> Result<Vec<(Item, Looked)>, Problem> {
        let mut out = Vec::with_capacity(items.len());
        for item in items {
            let Item::Piece(piece) = &item else {
                out.push((item, Looked::default()));
                continue;
            };
            let bytes = plain.get(piece.at..piece.at + piece.len).unwrap_or_default();
            let mut leaves = Vec::with_capacity(piece.len / GROUP_LEN + 1);
            let end = piece.offset + piece.len as u64;
            let mut start = piece.offset.next_multiple_of(GROUP);
            while start < end {
                let (from, until) = ((start - piece.offset) as usize, start + GROUP);
                let whole = until <= end || piece.ends.is_some();
                let here = bytes.get(from..bytes.len().min(from + GROUP_LEN)).unwrap_or_default();
                leaves.push(if whole {
                    tree::leaf(self.suite, here)
                } else {
                    self.straddling(piece, here, end, until)?
                });
                start = until;
            }
            let sampled = sampled(self.printer, piece, bytes);
            out.push((item, Looked { leaves, sampled }));
        }
        Ok(out)
    }

    /// A group of a small file whose rest lies in the next block.
    fn straddling(&mut self, piece: &Piece, here: &[u8], end: u64, until: u64) -> Result<Digest, Problem> {
        let rest = (until.min(piece.file.found.identity.size) - end) as usize;
        let mut group = std::mem::take(&mut self.group);
        group.clear();
        group.reserve_exact(GROUP_LEN);
        group.extend_from_slice(here);
        group.resize(here.len() + rest, 0);
        let read = self.read(piece, end, group.get_mut(here.len()..).unwrap_or_default());
        let digest = read.map(|()| tree::leaf(self.suite, &group));
        self.group = group;
        digest
    }
}

/// Makes a buffer long enough. Short ones fit what is needed now: fresh pages and their wiping would be most of a small put.
pub(super) fn fit(buffer: &mut Zeroizing<Vec<u8>>, len: usize, max: usize) {
    if buffer.len() < len {
        *buffer = Zeroizing::new(vec![0; len.next_power_of_two().min(max)]);
    }
}

/// A file that ended early was cut while it was read.
pub(super) fn short_read(tree: &Tree, path: &[u8], error: std::io::Error) -> Problem {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::Changed(tree.shown(path)).into(),
        _ => Error::Io { path: tree.shown(path), source: error }.into(),
    }
}
