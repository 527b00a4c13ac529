//! The prints of one version: chosen among many, and sealed.

use super::{Kind, Unopened, context, version_key};
use crate::Id;
use crate::cbor::{Reader, Writer, same};
use crate::label::Label;
use crate::secret::ListKey;
use std::collections::BTreeSet;

/// The most prints of whole files in a set.
const MAX_WHOLES: usize = 16_384;
/// The most prints of each other kind.
const MAX_PARTS: usize = 8_192;
/// The most prints of each other kind of one file, for its first MiB and for each further one; rows are told by few of many.
const FIRST_PARTS: [usize; 4] = [512, 192, 256, 192];
const MORE_PARTS: usize = 96;
/// What a file begins with is kept whatever it is, because that is what people look at and paste: so many of a kind of one file, and of
/// all.
const HEAD_PARTS: [usize; 4] = [16, 48, 16, 0];
const MAX_HEADS: usize = 2_048;
/// Bytes of an entry: the file's number and the print; of a whole file also its length.
const PART_LEN: usize = 12;
const WHOLE_LEN: usize = 20;
/// The encoded set is padded to a multiple of this, so that its length says little.
const STEP_LEN: usize = 4_096;
/// The longest encoded set: what its parts may hold at most, and the step.
const MAX_LEN: usize = MAX_WHOLES * WHOLE_LEN + 4 * MAX_PARTS * PART_LEN + 2 * STEP_LEN;
/// The longest sealed set.
pub const MAX_SEALED_LEN: usize = MAX_LEN + MAX_LEN / 512 + 128;

/// The print of a whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Whole {
    /// The print.
    pub print: u64,
    /// The file's number in the version's list.
    pub file: u32,
    /// Its length.
    pub len: u64,
}

/// The print of a part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The print.
    pub print: u64,
    /// The file's number in the version's list.
    pub file: u32,
}

/// The prints of one version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Set {
    /// How many files the version has.
    pub files: u64,
    /// Of whole files.
    pub wholes: Vec<Whole>,
    /// Of parts, by kind in the order of [`Kind::PARTS`].
    pub parts: [Vec<Entry>; 4],
}

/// Chooses the prints of a version: of more than fit, the smallest, which is as good as any because they are pseudorandom.
#[derive(Debug, Default)]
pub struct Builder {
    wholes: Smallest<Whole>,
    parts: [Smallest<Entry>; 4],
    /// Of the beginnings of files.
    heads: [Vec<Entry>; 4],
    /// Of the file that goes on.
    open: [Smallest<u64>; 4],
    open_heads: [Vec<u64>; 4],
    open_len: u64,
}

/// Keeps the smallest of what comes, each once.
#[derive(Debug)]
struct Smallest<T: Ord> {
    held: BTreeSet<T>,
}

impl<T: Ord> Default for Smallest<T> {
    fn default() -> Self {
        Self { held: BTreeSet::new() }
    }
}

impl<T: Ord> Smallest<T> {
    fn push(&mut self, value: T, max: usize) {
        let fits = self.held.len() < max || self.held.last().is_some_and(|largest| value < *largest);
        if fits && self.held.insert(value) && self.held.len() > max {
            self.held.pop_last();
        }
    }

    fn take(&mut self) -> Vec<T> {
        std::mem::take(&mut self.held).into_iter().collect()
    }
}

impl Builder {
    /// Takes a part of the file that goes on.
    pub fn part(&mut self, kind: Kind, print: u64) {
        let more = MORE_PARTS * usize::try_from(self.open_len >> 20).unwrap_or(MAX_PARTS).min(MAX_PARTS);
        let limits = FIRST_PARTS.into_iter().zip(HEAD_PARTS);
        let held = self.open.iter_mut().zip(&mut self.open_heads);
        let mut kinds = Kind::PARTS.iter().zip(limits).zip(held);
        if let Some(((_, (first, head)), (held, heads))) = kinds.find(|((part, _), _)| **part == kind) {
            if heads.len() < head {
                heads.push(print);
            } else {
                held.push(print, (first + more).min(MAX_PARTS));
            }
        }
    }

    /// Says how much of the file that goes on was read.
    pub fn advance(&mut self, len: u64) {
        self.open_len += len;
    }

    /// Ends a file: its number, and the print of the whole if it has one.
    pub fn end(&mut self, file: u32, whole: Option<(u64, u64)>) {
        for (open, kept) in self.open.iter_mut().zip(&mut self.parts) {
            for print in open.take() {
                kept.push(Entry { print, file }, MAX_PARTS);
            }
        }
        for ((open, heads), kept) in self.open_heads.iter_mut().zip(&mut self.heads).zip(&mut self.parts) {
            for entry in open.drain(..).map(|print| Entry { print, file }) {
                if heads.len() < MAX_HEADS {
                    heads.push(entry);
                } else {
                    kept.push(entry, MAX_PARTS);
                }
            }
        }
        self.open_len = 0;
        if let Some((print, len)) = whole {
            self.wholes.push(Whole { print, file, len }, MAX_WHOLES);
        }
    }

    /// Takes over the prints of a file that did not change, which had another number in another set.
    pub fn carry(&mut self, from: &Carried, number: u32, file: u32) {
        for (part, kept) in from.0.parts.iter().zip(&mut self.parts) {
            of_file(part, number, |entry| entry.file).for_each(|entry| {
                kept.push(Entry { print: entry.print, file }, MAX_PARTS);
            });
        }
        of_file(&from.0.wholes, number, |whole| whole.file).for_each(|whole| {
            self.wholes.push(Whole { file, ..*whole }, MAX_WHOLES);
        });
    }

    /// The set of a version of so many files.
    #[must_use]
    pub fn finish(mut self, files: u64) -> Set {
        let mut parts = self.parts.each_mut().map(Smallest::take);
        for (part, heads) in parts.iter_mut().zip(self.heads) {
            part.truncate(MAX_PARTS - heads.len());
            part.extend(heads);
            part.sort_unstable();
            part.dedup();
        }
        Set { files, wholes: self.wholes.take(), parts }
    }
}

/// A set from which single files are taken over.
#[derive(Debug, Default)]
pub struct Carried(Set);

impl From<Set> for Carried {
    fn from(mut set: Set) -> Self {
        set.wholes.sort_unstable_by_key(|whole| whole.file);
        set.parts.iter_mut().for_each(|part| part.sort_unstable_by_key(|entry| entry.file));
        Self(set)
    }
}

/// Of entries in the order of their files, those of one.
fn of_file<T>(entries: &[T], file: u32, number: impl Fn(&T) -> u32) -> impl Iterator<Item = &T> {
    let first = entries.partition_point(|entry| number(entry) < file);
    entries.get(first..).unwrap_or_default().iter().take_while(move |entry| number(entry) == file)
}

impl Set {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.wholes.is_empty() && self.parts.iter().all(Vec::is_empty)
    }

    /// Seals it for a version.
    ///
    /// # Errors
    /// [`Unopened`] when it cannot be sealed.
    pub fn seal(&self, list: &ListKey, vault: &Id, version: &Id) -> Result<Vec<u8>, Unopened> {
        let key = version_key(list, vault, version).map_err(|_| Unopened)?;
        crate::chunked::seal_all(key.expose_bytes(), &context(Label::Prints, vault, version), &self.encode())
            .map_err(|_| Unopened)
    }

    /// Opens the prints of a version.
    ///
    /// # Errors
    /// [`Unopened`].
    pub fn open(sealed: &[u8], list: &ListKey, vault: &Id, version: &Id) -> Result<Self, Unopened> {
        let key = version_key(list, vault, version).map_err(|_| Unopened)?;
        let context = context(Label::Prints, vault, version);
        let bytes = crate::chunked::open_all(key.expose_bytes(), &context, sealed, MAX_LEN as u64);
        Self::decode(&bytes.map_err(|_| Unopened)?).ok_or(Unopened)
    }

    /// CBOR `[1, files, wholes, rows, cells, lines, windows, zeros]`.
    fn encode(&self) -> Vec<u8> {
        let bare = self.encode_padded(0);
        // Three bytes more for the length of the zeros.
        let padding = (bare.len() + 3).next_multiple_of(STEP_LEN) - bare.len() - 2;
        self.encode_padded(padding.max(256))
    }

    fn encode_padded(&self, padding: usize) -> Vec<u8> {
        let mut writer = Writer::with_capacity(STEP_LEN);
        writer.array(8).uint(1).uint(self.files);
        let mut bytes = Vec::with_capacity(self.wholes.len() * WHOLE_LEN);
        for whole in &self.wholes {
            bytes.extend_from_slice(&whole.file.to_be_bytes());
            bytes.extend_from_slice(&whole.print.to_be_bytes());
            bytes.extend_from_slice(&whole.len.to_be_bytes());
        }
        writer.bytes(&bytes);
        for part in &self.parts {
            bytes.clear();
            for entry in part {
                bytes.extend_from_slice(&entry.file.to_be_bytes());
                bytes.extend_from_slice(&entry.print.to_be_bytes());
            }
            writer.bytes(&bytes);
        }
        writer.bytes(&vec![0; padding]);
        writer.into_bytes()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        reader.array(8, "prints: array of 8").ok()?;
        if reader.uint("prints: version").ok()? != 1 {
            return None;
        }
        let files = reader.uint("prints: files").ok()?;
        let wholes = reader.bytes(MAX_WHOLES * WHOLE_LEN, "prints: wholes").ok()?;
        let wholes = wholes.chunks(WHOLE_LEN).map(whole).collect::<Option<_>>()?;
        let mut parts: [Vec<Entry>; 4] = Default::default();
        for part in &mut parts {
            let bytes = reader.bytes(MAX_PARTS * PART_LEN, "prints: parts").ok()?;
            *part = bytes.chunks(PART_LEN).map(entry).collect::<Option<_>>()?;
        }
        let zeros = reader.bytes(2 * STEP_LEN, "prints: zeros").ok()?.len();
        reader.end().ok()?;
        let set = Self { files, wholes, parts };
        same(bytes, &set.encode_padded(zeros)).ok()?;
        Some(set)
    }
}

fn entry(bytes: &[u8]) -> Option<Entry> {
    let (file, print) = bytes.split_first_chunk::<4>()?;
    Some(Entry { print: u64::from_be_bytes(print.try_into().ok()?), file: u32::from_be_bytes(*file) })
}

fn whole(bytes: &[u8]) -> Option<Whole> {
    let (start, len) = bytes.split_first_chunk::<PART_LEN>()?;
    let Entry { print, file } = entry(start)?;
    Some(Whole { print, file, len: u64::from_be_bytes(len.try_into().ok()?) })
}
