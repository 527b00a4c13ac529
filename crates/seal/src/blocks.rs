//! Sorted entries in blocks of at most 64 KiB, with index blocks over them (`spec/format.md#blocks`).
//!
//! Every block is a CBOR array: of entries at level 0, of children at every level above. A block is written when it is full, so both
//! writer and reader hold one block for each level, never a whole stream.

use zeroize::Zeroizing;

use crate::cbor::{Malformed, Reader, Writer, same};
use crate::manifest::{Error, Opener, Sealer, Source, WriteError};

/// Longest block, in bytes.
pub(crate) const MAX_BLOCK_LEN: usize = 65_536;
/// Most levels of index blocks.
pub(crate) const MAX_DEPTH: usize = 8;
/// Most entries.
pub(crate) const MAX_ENTRIES: u64 = 1 << 30;
/// Longest key, in bytes.
pub(crate) const MAX_KEY_LEN: usize = 4_096;
/// Room for the array's head.
const HEAD_LEN: usize = 5;
/// Room for any item with names: a path and the target of a link.
const ITEM_LEN: usize = 2 * MAX_KEY_LEN + 64;
/// First capacity of a block that is being filled.
const FIRST_LEN: usize = 4_096;

/// What a stream of blocks holds.
pub(crate) trait Item: Sized {
    /// Reads one.
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed>;
    /// Writes one.
    fn write(&self, writer: &mut Writer);
    /// What it is sorted by; empty where only the ordinal counts.
    fn key(&self) -> &[u8];
}

/// A pointer to a block one level below.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Child {
    first_key: Vec<u8>,
    first_ordinal: u64,
    offset: u64,
    len: u32,
}

impl Item for Child {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.array(4, "index: child")?;
        Ok(Self {
            first_key: reader.bytes(MAX_KEY_LEN, "index: first key")?.to_vec(),
            first_ordinal: reader.uint_up_to(MAX_ENTRIES, "index: first ordinal")?,
            offset: reader.uint("index: offset")?,
            len: reader.u32("index: length")?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.array(4).bytes(&self.first_key).uint(self.first_ordinal).uint(self.offset).uint(self.len.into());
    }

    fn key(&self) -> &[u8] {
        &self.first_key
    }
}

/// Where the root block is, and how many entries there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) entries: u64,
    pub(crate) offset: u64,
    pub(crate) len: u32,
    pub(crate) depth: u8,
}

#[derive(Default)]
struct Level {
    /// Encoded items: in a list, names. Wiped when it grows and at the end, used again in between.
    items: Zeroizing<Vec<u8>>,
    count: usize,
    first_key: Vec<u8>,
    first_ordinal: u64,
}

/// Writes blocks.
#[derive(Default)]
pub(crate) struct Builder {
    levels: Vec<Level>,
    entries: u64,
    /// The item that is being added.
    item: Zeroizing<Vec<u8>>,
}

impl Builder {
    /// How many entries there are.
    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    /// Adds an entry behind the others. The caller has checked the order.
    pub(crate) fn push<T: Item>(&mut self, item: &T, out: &mut Sealer<'_>) -> Result<(), WriteError> {
        if self.entries == MAX_ENTRIES {
            return Err(WriteError::TooMany);
        }
        if self.item.capacity() == 0 {
            self.item = Zeroizing::new(Vec::with_capacity(ITEM_LEN));
        }
        let mut writer = Writer::reusing(std::mem::take(&mut *self.item));
        item.write(&mut writer);
        let bytes = Zeroizing::new(writer.into_bytes());
        let pushed = self.push_at(0, item.key(), self.entries, &bytes, out);
        self.item = bytes;
        pushed?;
        self.entries += 1;
        Ok(())
    }

    fn push_at(
        &mut self,
        level: usize,
        key: &[u8],
        ordinal: u64,
        item: &[u8],
        out: &mut Sealer<'_>,
    ) -> Result<(), WriteError> {
        if item.len() + HEAD_LEN > MAX_BLOCK_LEN || level > MAX_DEPTH {
            return Err(WriteError::TooLarge);
        }
        while self.levels.len() <= level {
            self.levels.push(Level::default());
        }
        if self.levels.get(level).is_some_and(|l| l.items.len() + item.len() + HEAD_LEN > MAX_BLOCK_LEN) {
            self.flush(level, out)?;
        }
        let level = self.levels.get_mut(level).ok_or(WriteError::Bug)?;
        if level.count == 0 {
            level.first_key = key.to_vec();
            level.first_ordinal = ordinal;
        }
        append(&mut level.items, item);
        level.count += 1;
        Ok(())
    }

    /// Writes the block of `level` and points to it from the level above.
    fn flush(&mut self, level: usize, out: &mut Sealer<'_>) -> Result<(), WriteError> {
        let child = self.write(level, out)?;
        let mut writer = Writer::new();
        child.write(&mut writer);
        let bytes = Zeroizing::new(writer.into_bytes());
        self.push_at(level + 1, &child.first_key, child.first_ordinal, &bytes, out)
    }

    fn write(&mut self, level: usize, out: &mut Sealer<'_>) -> Result<Child, WriteError> {
        let full = self.levels.get_mut(level).ok_or(WriteError::Bug)?;
        let mut head = Writer::new();
        head.array(full.count);
        let head = head.into_bytes();
        let len = u32::try_from(head.len() + full.items.len()).map_err(|_| WriteError::Bug)?;
        let offset = out.position();
        out.write(&head)?;
        out.write(&full.items)?;
        full.items.clear();
        full.count = 0;
        Ok(Child { first_key: std::mem::take(&mut full.first_key), first_ordinal: full.first_ordinal, offset, len })
    }

    /// Writes what is left; the last block is the root.
    pub(crate) fn finish(mut self, out: &mut Sealer<'_>) -> Result<Root, WriteError> {
        if self.levels.is_empty() {
            self.levels.push(Level::default());
        }
        let mut level = 0;
        while level + 1 < self.levels.len() {
            self.flush(level, out)?;
            level += 1;
        }
        let root = self.write(level, out)?;
        let depth = u8::try_from(level).map_err(|_| WriteError::Bug)?;
        Ok(Root { entries: self.entries, offset: root.offset, len: root.len, depth })
    }
}

/// Appends without leaving a copy behind where the buffer was before it grew.
fn append(buffer: &mut Zeroizing<Vec<u8>>, bytes: &[u8]) {
    let len = buffer.len() + bytes.len();
    if len > buffer.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(len.next_power_of_two().max(FIRST_LEN)));
        larger.extend_from_slice(buffer);
        *buffer = larger;
    }
    buffer.extend_from_slice(bytes);
}

/// Reads blocks, from any key or ordinal on.
pub(crate) struct Walker<T> {
    root: Root,
    /// Children not yet visited, from the root down, nearest last; reversed, so that `pop` gives the next.
    path: Vec<Vec<Child>>,
    /// Entries of the current block, reversed.
    leaf: Vec<T>,
    /// Ordinal of the next entry.
    ordinal: u64,
    last_key: Option<Vec<u8>>,
}

/// Where to start.
#[derive(Clone, Copy)]
pub(crate) enum Seek<'a> {
    Key(&'a [u8]),
    Ordinal(u64),
}

impl Seek<'_> {
    fn reached(self, key: &[u8], ordinal: u64) -> bool {
        match self {
            Seek::Key(wanted) => key >= wanted,
            Seek::Ordinal(wanted) => ordinal >= wanted,
        }
    }

    fn passed(self, child: &Child) -> bool {
        match self {
            Seek::Key(wanted) => child.first_key.as_slice() > wanted,
            Seek::Ordinal(wanted) => child.first_ordinal > wanted,
        }
    }
}

impl<T: Item> Walker<T> {
    pub(crate) fn new(root: Root) -> Self {
        Self { root, path: Vec::new(), leaf: Vec::new(), ordinal: root.entries, last_key: None }
    }

    /// Moves before the first entry at or after `to`.
    pub(crate) fn seek<S: Source>(&mut self, to: Seek<'_>, from: &mut Opener<S>) -> Result<(), Error<S::Error>> {
        let root = self.root;
        (self.path, self.leaf, self.last_key, self.ordinal) = (Vec::new(), Vec::new(), None, 0);
        let mut block = Child { first_key: Vec::new(), first_ordinal: 0, offset: root.offset, len: root.len };
        for level in (1..=usize::from(root.depth)).rev() {
            let mut children = read_children(&block, level, from)?;
            let before = children.iter().take_while(|child| !to.passed(child)).count();
            let mut rest = children.split_off(before.saturating_sub(1));
            rest.reverse();
            block = rest.pop().ok_or(Malformed("index: no child"))?;
            self.path.push(rest);
        }
        self.enter(&block, from)?;
        while self.leaf.last().is_some_and(|item| !to.reached(item.key(), self.ordinal)) {
            self.take()?;
        }
        Ok(())
    }

    /// The next entry and its ordinal.
    pub(crate) fn next<S: Source>(&mut self, from: &mut Opener<S>) -> Result<Option<(u64, T)>, Error<S::Error>> {
        while self.leaf.is_empty() {
            if !self.advance(from)? {
                return if self.ordinal == self.root.entries {
                    Ok(None)
                } else {
                    Err(Malformed("index: number of entries").into())
                };
            }
        }
        Ok(self.take()?)
    }

    fn take(&mut self) -> Result<Option<(u64, T)>, Malformed> {
        let Some(item) = self.leaf.pop() else { return Ok(None) };
        let key = item.key();
        if !key.is_empty() {
            if self.last_key.as_ref().is_some_and(|last| last.as_slice() >= key) {
                return Err(Malformed("blocks: entries out of order"));
            }
            self.last_key = Some(key.to_vec());
        }
        let ordinal = self.ordinal;
        if ordinal >= self.root.entries {
            return Err(Malformed("index: number of entries"));
        }
        self.ordinal += 1;
        Ok(Some((ordinal, item)))
    }

    /// Enters the next block of level 0, if there is one.
    fn advance<S: Source>(&mut self, from: &mut Opener<S>) -> Result<bool, Error<S::Error>> {
        let mut climbed = 0;
        let mut block = loop {
            match self.path.last_mut().map(Vec::pop) {
                None => return Ok(false),
                Some(None) => {
                    self.path.pop();
                    climbed += 1;
                }
                Some(Some(child)) => break child,
            }
        };
        for level in (1..=climbed).rev() {
            let mut children = read_children(&block, level, from)?;
            children.reverse();
            block = children.pop().ok_or(Malformed("index: no child"))?;
            self.path.push(children);
        }
        if block.first_ordinal != self.ordinal {
            return Err(Malformed("index: first ordinal").into());
        }
        self.enter(&block, from)?;
        Ok(true)
    }

    fn enter<S: Source>(&mut self, block: &Child, from: &mut Opener<S>) -> Result<(), Error<S::Error>> {
        self.leaf = read_block::<T, S>(block, from)?;
        let first = self.leaf.first().map(Item::key).unwrap_or_default();
        if self.root.depth > 0 && (self.leaf.is_empty() || first != block.first_key.as_slice()) {
            return Err(Malformed("index: first key").into());
        }
        self.leaf.reverse();
        self.ordinal = block.first_ordinal;
        Ok(())
    }
}

/// Children lie before their parent, so that a walk ends whatever the blocks say.
fn read_children<S: Source>(block: &Child, level: usize, from: &mut Opener<S>) -> Result<Vec<Child>, Error<S::Error>> {
    if level > MAX_DEPTH {
        return Err(Malformed("index: too deep").into());
    }
    let children = read_block::<Child, S>(block, from)?;
    let before = |child: &Child| child.offset.checked_add(child.len.into()).is_some_and(|end| end <= block.offset);
    let sorted = children
        .array_windows()
        .all(|[a, b]| a.first_ordinal < b.first_ordinal && a.first_key <= b.first_key && a.offset < b.offset);
    let first = children.first().is_some_and(|child| child.first_ordinal == block.first_ordinal);
    if !sorted || !first || !children.iter().all(before) {
        return Err(Malformed("index: children").into());
    }
    Ok(children)
}

fn read_block<T: Item, S: Source>(block: &Child, from: &mut Opener<S>) -> Result<Vec<T>, Error<S::Error>> {
    let len = usize::try_from(block.len).ok().filter(|len| *len <= MAX_BLOCK_LEN);
    let bytes = from.read(block.offset, len.ok_or(Malformed("blocks: too long"))?)?;
    Ok(decode_block(&bytes)?)
}

pub(crate) fn decode_block<T: Item>(bytes: &[u8]) -> Result<Vec<T>, Malformed> {
    let mut reader = Reader::new(bytes);
    let count = reader.array_up_to(bytes.len(), "blocks: array")?;
    let items = (0..count).map(|_| T::read(&mut reader)).collect::<Result<Vec<_>, _>>()?;
    reader.end()?;
    let mut writer = Writer::with_capacity(bytes.len());
    writer.array(items.len());
    items.iter().for_each(|item| item.write(&mut writer));
    same(bytes, &Zeroizing::new(writer.into_bytes()))?;
    Ok(items)
}
