//! Cutting the source into blocks: the plan of packs and segments, made as the walk goes.
//!
//! Files are laid one after another into the segments of one new pack; a file of 1 MiB or more starts at a group, so that its own
//! groups are the segment's. A block is a run of whole groups (the last of a segment apart) that one thread reads, digests and seals.

use super::draft::Resume;
use super::entries::Entries;
use super::known::Known;
use super::target::Target;
use crate::digest::Growing;
use crate::source::{Found, Tree, What};
use api::wire::Problem;
use depot::sealed::SegmentWriter;
use seal::map::{Extent, MapEntry};
use seal::padme::Padding;
use seal::tree::GROUP_LEN;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Plaintext bytes of a block.
pub(super) const BLOCK_LEN: usize = 1 << 20;
/// From this size on a file starts at a group.
pub(super) const LARGE_LEN: u64 = 1 << 20;
/// Most plaintext bytes of a segment.
pub(super) const SEGMENT_LEN: u64 = seal::segment::MAX_PLAINTEXT_LEN;
/// Most entries without new bytes in one block.
const MAX_ITEMS: usize = 1_024;
const GROUP: u64 = GROUP_LEN as u64;

/// One unit of work.
pub(super) struct Block {
    pub(super) seq: u64,
    pub(super) items: Vec<Item>,
    pub(super) data: Option<Data>,
    /// The segment ends behind this block.
    pub(super) ends: Option<Ended>,
}

/// Plaintext to seal.
pub(super) struct Data {
    pub(super) writer: Arc<SegmentWriter>,
    pub(super) first_group: u64,
    pub(super) len: usize,
    /// Bytes that were read already (standard input).
    pub(super) inline: Option<Zeroizing<Vec<u8>>>,
}

/// A segment whose last block was cut.
pub(super) struct Ended {
    pub(super) writer: Arc<SegmentWriter>,
    pub(super) index: u32,
    pub(super) object: [u8; 16],
    pub(super) plaintext_len: u64,
    /// More segments or more of the source follow.
    pub(super) full: bool,
}

/// What a block holds, in the order of the list.
pub(super) enum Item {
    /// An entry without new bytes, and its number in the version before if it is unchanged.
    Ready(Found, MapEntry, Option<u32>),
    /// A file goes on whose earlier groups a killed put had sealed.
    Resumed(Growing),
    /// A part of a file.
    Piece(Piece),
}

/// A part of a file in one block.
#[derive(Clone)]
pub(super) struct Piece {
    pub(super) file: Arc<Planned>,
    /// Where in the block.
    pub(super) at: usize,
    /// Where in the file.
    pub(super) offset: u64,
    pub(super) len: usize,
    /// The file ends here, with this length.
    pub(super) ends: Option<u64>,
}

/// A file with a place.
pub(super) struct Planned {
    pub(super) found: Found,
    /// The new pack's number in the version record.
    pub(super) pack: u32,
    pub(super) segment: u32,
    pub(super) offset: u64,
    /// Standard input: never opened by path.
    pub(super) inline: bool,
}

/// Hands out blocks; shared by the threads behind a lock.
pub(super) struct Feed<'a> {
    pub(super) entries: Entries,
    pub(super) tree: Arc<Tree>,
    pub(super) known: Known,
    pub(super) target: Target<'a>,
    pub(super) padding: Padding,
    resume: Option<Resume>,
    open: Option<Open>,
    current: Option<(Arc<Planned>, u64)>,
    ahead: Option<Zeroizing<Vec<u8>>>,
    pad: Option<u64>,
    /// Plaintext of all segments so far.
    written: u64,
    next_index: u32,
    seq: u64,
    done: bool,
}

/// What a feed cuts, and what it may leave out.
pub(super) struct Plan<'a> {
    pub(super) entries: Entries,
    pub(super) tree: Arc<Tree>,
    pub(super) known: Known,
    pub(super) target: Target<'a>,
    pub(super) padding: Padding,
    pub(super) resume: Option<Resume>,
}

struct Open {
    writer: Arc<SegmentWriter>,
    object: [u8; 16],
    index: u32,
    len: u64,
}

/// A block being filled.
struct Filling {
    items: Vec<Item>,
    /// Where it starts in the segment.
    start: u64,
    inline: Option<Zeroizing<Vec<u8>>>,
}

impl<'a> Feed<'a> {
    pub(super) fn new(plan: Plan<'a>) -> Self {
        let Plan { entries, tree, known, target, padding, resume } = plan;
        let finished = resume.as_ref().map(|resume| resume.segments.as_slice()).unwrap_or_default();
        Self {
            written: finished.iter().map(|segment| segment.plaintext_len).sum(),
            next_index: finished.len() as u32,
            entries,
            tree,
            known,
            target,
            padding,
            resume,
            open: None,
            current: None,
            ahead: None,
            pad: None,
            seq: 0,
            done: false,
        }
    }

    /// The next block; none at the end, nor after an error: what the error left half laid must not reach another thread.
    pub(super) fn next(&mut self) -> Result<Option<Block>, Problem> {
        if self.done {
            return Ok(None);
        }
        let block = self.cut();
        self.done |= block.is_err();
        block.map(Some)
    }

    fn cut(&mut self) -> Result<Block, Problem> {
        let mut filling = Filling { items: Vec::new(), start: self.position(), inline: None };
        let more = self.fill(&mut filling)?;
        let len = self.position() - filling.start;
        let data = match &self.open {
            Some(open) if len > 0 => Some(Data {
                writer: Arc::clone(&open.writer),
                first_group: filling.start / GROUP,
                len: len as usize,
                inline: filling.inline,
            }),
            _ => None,
        };
        self.written += len;
        let ends = match more {
            More::Block => None,
            More::Segment => self.end(true),
            More::Nothing => {
                self.done = true;
                self.end(false)
            }
        };
        let seq = self.seq;
        self.seq += 1;
        Ok(Block { seq, items: filling.items, data, ends })
    }

    fn position(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.len)
    }

    fn end(&mut self, full: bool) -> Option<Ended> {
        let Open { writer, object, index, len } = self.open.take()?;
        Some(Ended { writer, index, object, plaintext_len: len, full })
    }

    /// Fills a block; says what comes behind it.
    fn fill(&mut self, filling: &mut Filling) -> Result<More, Problem> {
        loop {
            let room = (filling.start + BLOCK_LEN as u64).min(SEGMENT_LEN) - self.position();
            if room == 0 {
                return Ok(if self.position() == SEGMENT_LEN { More::Segment } else { More::Block });
            }
            if filling.items.len() >= MAX_ITEMS && self.position() == filling.start {
                return Ok(More::Block);
            }
            if let Some(left) = self.pad {
                let now = left.min(room);
                self.advance(now)?;
                self.pad = Some(left - now).filter(|left| *left > 0);
                if self.pad.is_none() {
                    return Ok(More::Nothing);
                }
                continue;
            }
            if let Some((file, offset)) = self.current.take() {
                if file.inline {
                    return self.stream(filling, file, offset);
                }
                self.piece(filling, file, offset, room)?;
                continue;
            }
            match self.entries.next() {
                Some(found) => {
                    if self.enter(filling, found?)? == Entered::NeedsSegment {
                        return Ok(More::Segment);
                    }
                }
                None => {
                    let padding = self.padding.apply(self.new_bytes(filling)) - self.new_bytes(filling);
                    if padding == 0 {
                        return Ok(More::Nothing);
                    }
                    self.pad = Some(padding);
                }
            }
        }
    }

    fn new_bytes(&self, filling: &Filling) -> u64 {
        self.written + self.position() - filling.start
    }

    /// Takes one entry: ready at once, or a file to lay out.
    fn enter(&mut self, filling: &mut Filling, found: Found) -> Result<Entered, Problem> {
        let size = found.identity.size;
        let stdin = matches!(self.entries, Entries::Stdin(_));
        if found.what != What::File {
            filling.items.push(Item::Ready(found, MapEntry::default(), None));
            return Ok(Entered::Ready);
        }
        if size == 0 && !stdin {
            let digest = Some(*seal::tree::root(self.target.suite, &[]).as_bytes());
            filling.items.push(Item::Ready(found, MapEntry { extents: Vec::new(), digest }, None));
            return Ok(Entered::Ready);
        }
        if let Some(entered) = self.resumed(filling, &found)? {
            return Ok(entered);
        }
        if !stdin && let Some((entry, number)) = self.known.unchanged(&self.tree, &found, self.target.store)? {
            filling.items.push(Item::Ready(found, entry, Some(number)));
            return Ok(Entered::Ready);
        }
        let large = size >= LARGE_LEN || stdin;
        if large {
            let aligned = self.position().next_multiple_of(GROUP);
            self.advance(aligned - self.position())?;
        }
        // A small file never crosses the end of a segment; a large one that finds no room starts at the next.
        let fits = if large { self.position() < SEGMENT_LEN } else { self.position() + size <= SEGMENT_LEN };
        let (segment, offset) = if fits { (self.index(), self.position()) } else { (self.index() + 1, 0) };
        let pack = self.known.packs.number(None);
        self.current = Some((Arc::new(Planned { found, pack, segment, offset, inline: stdin }), 0));
        Ok(if fits { Entered::Laid } else { Entered::NeedsSegment })
    }

    /// A file that a killed put had finished, or goes on with.
    fn resumed(&mut self, filling: &mut Filling, found: &Found) -> Result<Option<Entered>, Problem> {
        let Some(resume) = &mut self.resume else { return Ok(None) };
        if let Some(stored) = resume.stored(&found.path, &found.identity) {
            let pack = self.known.packs.number(None);
            let extent = Extent { pack, segment: stored.segment, offset: stored.offset, len: found.identity.size };
            let entry = MapEntry { extents: vec![extent], digest: Some(stored.digest) };
            filling.items.push(Item::Ready(found.clone(), entry, None));
            self.known.reused += found.identity.size;
            return Ok(Some(Entered::Ready));
        }
        // Its next byte must be the first of the next segment.
        let at_start = self.open.is_none() && self.next_index as usize == resume.segments.len();
        let Some(partial) = resume.partial(&found.path, &found.identity) else { return Ok(None) };
        if !at_start || !partial.done.is_multiple_of(GROUP) || partial.done >= found.identity.size {
            return Ok(None);
        }
        self.known.reused += partial.done;
        let pack = self.known.packs.number(None);
        let (segment, offset) = (partial.segment, partial.offset);
        filling.items.push(Item::Resumed(partial.growing));
        let planned = Planned { found: found.clone(), pack, segment, offset, inline: false };
        self.current = Some((Arc::new(planned), partial.done));
        Ok(Some(Entered::Laid))
    }

    /// The number of the segment that the next byte goes to.
    fn index(&self) -> u32 {
        self.open.as_ref().map_or(self.next_index, |open| open.index)
    }

    fn piece(&mut self, filling: &mut Filling, file: Arc<Planned>, offset: u64, room: u64) -> Result<(), Problem> {
        let size = file.found.identity.size;
        let len = (size - offset).min(room);
        let at = (self.position() - filling.start) as usize;
        let end = offset + len;
        self.advance(len)?;
        let ends = (end == size).then_some(size);
        filling.items.push(Item::Piece(Piece { file: Arc::clone(&file), at, offset, len: len as usize, ends }));
        if ends.is_none() {
            self.current = Some((file, end));
        }
        Ok(())
    }

    /// One block of standard input; the next one is read ahead, to know whether this is the last.
    fn stream(&mut self, filling: &mut Filling, file: Arc<Planned>, offset: u64) -> Result<More, Problem> {
        let now = match self.ahead.take() {
            Some(bytes) => bytes,
            None => read_block()?,
        };
        let len = now.len() as u64;
        let next = if now.len() == BLOCK_LEN { read_block()? } else { Zeroizing::default() };
        let last = next.is_empty();
        if len == 0 {
            let digest = Some(*seal::tree::root(self.target.suite, &[]).as_bytes());
            filling.items.push(Item::Ready(file.found.clone(), MapEntry { extents: Vec::new(), digest }, None));
            return Ok(More::Nothing);
        }
        self.advance(len)?;
        let ends = last.then_some(offset + len);
        filling.items.push(Item::Piece(Piece { file: Arc::clone(&file), at: 0, offset, len: now.len(), ends }));
        filling.inline = Some(now);
        if !last {
            self.ahead = Some(next);
            self.current = Some((file, offset + len));
            return Ok(if self.position() == SEGMENT_LEN { More::Segment } else { More::Block });
        }
        let padding = self.padding.apply(self.new_bytes(filling)) - self.new_bytes(filling);
        if padding == 0 {
            return Ok(More::Nothing);
        }
        // Padding goes on in the same block if it is not full; the inline bytes then end early.
        self.pad = Some(padding);
        self.fill(filling)
    }

    /// Moves on in the segment, which is started when its first byte comes.
    fn advance(&mut self, len: u64) -> Result<(), Problem> {
        if len == 0 {
            return Ok(());
        }
        if self.open.is_none() {
            let index = self.next_index;
            let (writer, object) = self.target.start(index)?;
            self.next_index += 1;
            self.open = Some(Open { writer: Arc::new(writer), object, index, len: 0 });
        }
        if let Some(open) = &mut self.open {
            open.len += len;
        }
        Ok(())
    }
}

#[derive(PartialEq, Eq)]
enum Entered {
    Ready,
    Laid,
    NeedsSegment,
}

/// What comes behind a block.
enum More {
    Block,
    Segment,
    Nothing,
}

/// Reads a block of standard input: short only at its end. Straight from the descriptor, because the standard library's buffer in
/// between is never wiped.
fn read_block() -> Result<Zeroizing<Vec<u8>>, Problem> {
    let mut bytes = Zeroizing::new(vec![0; BLOCK_LEN]);
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::io::read(std::io::stdin(), rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(crate::source::Error::io(b"-", error).into()),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
