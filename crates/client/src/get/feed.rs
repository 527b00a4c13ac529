//! The order of work of a get: list and map read side by side, cut into ranges of segments.

use super::out::{Making, OutFile};
use crate::dest::Stage;
use crate::fault;
use crate::opened::{List, Map, Opened};
use api::terms::Code;
use api::wire::Problem;
use depot::sealed::SegmentReader;
use seal::list::{Entry, Node};
use seal::map::{MapEntry, Piece};
use std::collections::VecDeque;
use std::sync::Arc;

/// Most plaintext bytes of a block, a piece of a small file apart.
pub(super) const BLOCK_LEN: u64 = 1 << 20;
/// Most parts of files in a block.
const MAX_PARTS: usize = 2_048;
/// Bytes between two parts that are read rather than skipped.
const MAX_GAP: u64 = 1 << 16;
/// Segments kept open.
const MAX_OPEN: usize = 4;

/// A range of a segment and the parts of files in it.
pub(super) struct Block {
    pub(super) reader: Arc<SegmentReader>,
    pub(super) start: u64,
    pub(super) len: u64,
    pub(super) parts: Vec<Part>,
}

/// A part of a file.
pub(super) struct Part {
    pub(super) file: Arc<OutFile>,
    /// Where in the block.
    pub(super) at: u64,
    /// Where in the file.
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// Where a folder's entries go.
pub(super) struct Sink<'a> {
    pub(super) stage: &'a Stage,
    /// The folder of the version that is asked for; empty for all.
    pub(super) prefix: &'a [u8],
    pub(super) making: Making,
}

/// Hands out blocks; shared by the threads behind a lock.
pub(super) struct Feed<'a> {
    opened: &'a Opened<'a>,
    list: List,
    map: Map,
    sink: Option<Sink<'a>>,
    open: VecDeque<((u32, u32), Arc<SegmentReader>)>,
    pieces: VecDeque<(Arc<OutFile>, u64, Piece)>,
    over: bool,
    pub(super) links: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) folders: Vec<(Vec<u8>, u16)>,
    pub(super) files: u64,
    pub(super) bytes: u64,
}

impl<'a> Feed<'a> {
    fn new(opened: &'a Opened<'a>, list: List, map: Map, sink: Option<Sink<'a>>) -> Self {
        Self {
            opened,
            list,
            map,
            sink,
            open: VecDeque::new(),
            pieces: VecDeque::new(),
            over: false,
            links: Vec::new(),
            folders: Vec::new(),
            files: 0,
            bytes: 0,
        }
    }

    /// One file.
    pub(super) fn one(opened: &'a Opened<'a>, list: List, map: Map, out: Arc<OutFile>, mapped: MapEntry) -> Self {
        let mut feed = Self::new(opened, list, map, None);
        feed.over = true;
        feed.lay(&out, &mapped);
        feed
    }

    /// Everything below a folder.
    pub(super) fn folder(
        opened: &'a Opened<'a>,
        mut list: List,
        mut map: Map,
        sink: Sink<'a>,
    ) -> Result<Self, Problem> {
        let record = opened.record();
        let told = |e| fault::manifest("cannot read the list", record, &e);
        list.seek_path(sink.prefix).map_err(told)?;
        // The map has no names: it is moved to the first entry's number.
        let first = list.next_entry().map_err(told)?;
        let ordinal = first.map_or(list.entries(), |(ordinal, _)| ordinal);
        list.seek_path(sink.prefix).map_err(told)?;
        if ordinal < map.entries() {
            map.seek(ordinal).map_err(|e| fault::manifest("cannot read the map", record, &e))?;
        }
        Ok(Self::new(opened, list, map, Some(sink)))
    }

    /// The next block; none at the end, nor after an error.
    pub(super) fn next(&mut self) -> Result<Option<Block>, Problem> {
        let block = self.cut();
        if block.is_err() {
            self.over = true;
            self.pieces.clear();
        }
        block
    }

    fn cut(&mut self) -> Result<Option<Block>, Problem> {
        let Some((file, offset, piece)) = self.piece()? else { return Ok(None) };
        let (pack, segment) = (piece.pack, piece.segment);
        let mut block = Block { reader: self.segment(pack, segment)?, start: piece.offset, len: 0, parts: Vec::new() };
        self.add(&mut block, file, offset, piece);
        while block.len < BLOCK_LEN && block.parts.len() < MAX_PARTS {
            let Some((file, offset, piece)) = self.piece()? else { break };
            let end = block.start + block.len;
            let near = piece.offset >= end && piece.offset - end <= MAX_GAP;
            let fits = piece.offset.saturating_add(piece.len) <= block.start + BLOCK_LEN;
            if (piece.pack, piece.segment) != (pack, segment) || !near || !fits {
                self.pieces.push_front((file, offset, piece));
                break;
            }
            self.add(&mut block, file, offset, piece);
        }
        Ok(Some(block))
    }

    /// Puts a piece into a block, or as much as a block takes.
    fn add(&mut self, block: &mut Block, file: Arc<OutFile>, offset: u64, piece: Piece) {
        // Cut where the segment's blocks are, so that groups are opened once.
        let len = if piece.len < BLOCK_LEN { piece.len } else { piece.len.min(BLOCK_LEN - piece.offset % BLOCK_LEN) };
        let rest = Piece { offset: piece.offset + len, len: piece.len - len, ..piece };
        if rest.len > 0 {
            self.pieces.push_front((Arc::clone(&file), offset + len, rest));
        }
        let at = piece.offset - block.start;
        block.len = at + len;
        block.parts.push(Part { file, at, offset, len });
    }

    /// The next piece of any file.
    fn piece(&mut self) -> Result<Option<(Arc<OutFile>, u64, Piece)>, Problem> {
        while self.pieces.is_empty() && !self.over {
            self.entry()?;
        }
        Ok(self.pieces.pop_front())
    }

    fn lay(&mut self, out: &Arc<OutFile>, mapped: &MapEntry) {
        let mut offset = 0;
        for extent in &mapped.extents {
            for piece in self.map.pieces(extent) {
                self.pieces.push_back((Arc::clone(out), offset, piece));
                offset += piece.len;
            }
        }
        self.files += 1;
        self.bytes += offset;
    }

    /// Takes one entry of list and map.
    fn entry(&mut self) -> Result<(), Problem> {
        let record = self.opened.record();
        let next = self.list.next_entry().map_err(|e| fault::manifest("cannot read the list", record, &e))?;
        let mapped = self.map.next_entry().map_err(|e| fault::manifest("cannot read the map", record, &e))?;
        let (Some(sink), Some((ordinal, entry))) = (&self.sink, next) else {
            self.over = true;
            return Ok(());
        };
        let Some((_, mapped)) = mapped.filter(|(number, _)| *number == ordinal) else { return Err(self.torn(&entry)) };
        let Some(path) = below(entry.path(), sink.prefix) else {
            // `a.b` sorts between `a` and `a/b`: it is passed over, and the end comes with the first name beyond `a/`.
            self.over = entry.path() > [sink.prefix, b"0"].concat().as_slice();
            return Ok(());
        };
        match entry.node() {
            Node::Folder => {
                if !path.is_empty() {
                    sink.stage.folder(path)?;
                }
                self.folders.push((path.to_vec(), entry.mode()));
            }
            Node::Symlink { target } => self.links.push((path.to_vec(), target.clone())),
            Node::File { size } => {
                if mapped.size() != Some(*size) || mapped.digest.is_none() {
                    return Err(self.torn(&entry));
                }
                let entry = Entry::new(path.to_vec(), entry.mode(), entry.node().clone());
                let entry = entry.map_err(|e| Problem::new(Code::Integrity, "cannot read the list", e.to_string()))?;
                let out = Arc::new(OutFile::new(sink.making, &entry, &mapped, None));
                if *size == 0 {
                    out.finish_empty(sink.stage)?;
                }
                self.lay(&out, &mapped);
            }
        }
        Ok(())
    }

    fn torn(&self, entry: &Entry) -> Problem {
        let path = String::from_utf8_lossy(entry.path());
        let object = api::terms::ObjectId::from_bytes(self.opened.record().object);
        Problem::new(
            Code::Integrity,
            format!("cannot open `{path}`"),
            format!("list and map in object {object} do not agree"),
        )
    }

    fn segment(&mut self, pack: u32, segment: u32) -> Result<Arc<SegmentReader>, Problem> {
        if let Some((_, reader)) = self.open.iter().find(|(place, _)| *place == (pack, segment)) {
            return Ok(Arc::clone(reader));
        }
        let reader = Arc::new(self.opened.segment(&self.map, pack, segment)?);
        if self.open.len() == MAX_OPEN {
            self.open.pop_front();
        }
        self.open.push_back(((pack, segment), Arc::clone(&reader)));
        Ok(reader)
    }
}

/// The path below a folder; empty for the folder itself.
pub(crate) fn below<'a>(path: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    if prefix.is_empty() {
        return Some(path);
    }
    let rest = path.strip_prefix(prefix)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(b"/") }
}
