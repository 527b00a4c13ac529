//! One file: read once, its prints looked up, and weighed.

use super::archive;
use super::known::{Index, Slot};
use super::views;
use crate::digest::Growing;
use seal::Suite;
use seal::prints::{Edges, For, Kind};
use seal::tree;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use zeroize::Zeroizing;

/// Content of one artifact in one file.
#[derive(Debug, Clone)]
pub(super) struct Match {
    pub(super) version: u32,
    /// Numbers of the files, the best first.
    pub(super) files: Vec<u32>,
    pub(super) whole: bool,
    pub(super) pieces: u64,
    pub(super) of: u64,
    pub(super) among_others: bool,
}

/// What looking at a file came to.
#[derive(Debug, Default)]
pub(super) struct Looked {
    pub(super) held: Vec<Match>,
    pub(super) bytes: u64,
    /// What was not looked into.
    pub(super) left: Vec<&'static str>,
}

/// Bytes read at a time, and analysed together.
const READ_LEN: usize = 4 << 20;
const PART_LEN: usize = 64 << 10;
/// A file up to this length is also looked at as what it is: a notebook, a table in HTML, an archive.
const MAX_WHOLE_LEN: u64 = 32 << 20;
/// Of a longer one all up to here is read, and of what follows so much in each stretch.
const ALL_LEN: u64 = 256 << 20;
const STRETCH_LEN: u64 = 64 << 20;

/// Least distinct pieces of a kind that are no chance.
const MIN_ROWS: usize = 3;
const MIN_CELLS: usize = 6;
const MIN_WINDOWS: usize = 3;
const MIN_LINES: usize = 3;
/// So many lines are no boilerplate that programs share, whatever else is in the file.
const MANY_LINES: usize = 8;

/// What is recognised in one candidate.
pub(super) struct Tally<'a> {
    index: &'a Index,
    /// The candidate's length.
    len: u64,
    /// Distinct prints by kind, of each file that is looked for.
    hits: HashMap<(u32, u32), [HashSet<u64>; 5]>,
    lines: usize,
    /// The candidate is an archive or a notebook: whatever it holds, it holds more.
    holds_more: bool,
}

impl<'a> Tally<'a> {
    pub(super) fn new(index: &'a Index, len: u64) -> Self {
        Self { index, len, hits: HashMap::new(), lines: 0, holds_more: false }
    }

    /// Looks at some content.
    pub(super) fn content(&mut self, bytes: &[u8], edges: Edges) {
        let Some(printer) = &self.index.printer else { return };
        printer.content(bytes, edges, For::Looking, &mut |kind, print| self.print(kind, print));
    }

    /// Looks at content that is whole in memory, in parts: what is text and what is not may lie behind one another.
    pub(super) fn parts(&mut self, bytes: &[u8], edges: Edges) {
        let count = bytes.len().div_ceil(PART_LEN);
        for (at, part) in bytes.chunks(PART_LEN).enumerate() {
            let (first, last) = (at == 0 && edges.first, at + 1 == count && edges.last);
            self.content(part, Edges { first, last });
        }
    }

    /// Says that the candidate is made of several things.
    pub(super) fn holds_more(&mut self) {
        self.holds_more = true;
    }

    /// Asks for a whole file inside the candidate.
    pub(super) fn whole(&mut self, bytes: &[u8]) {
        if self.index.has_length(bytes.len() as u64) {
            for suite in Suite::ALL {
                let leaves: Vec<tree::Digest> = tree::leaves(suite, bytes).collect();
                self.digest(bytes.len() as u64, &tree::root(suite, &leaves));
            }
        }
    }

    fn digest(&mut self, len: u64, digest: &tree::Digest) {
        if let Some(printer) = &self.index.printer {
            self.print(Kind::Whole, printer.whole(len, digest));
        }
    }

    fn print(&mut self, kind: Kind, print: u64) {
        self.lines += usize::from(kind == Kind::Lines);
        for Slot { version, file, .. } in self.index.find(print) {
            let hits = self.hits.entry((*version, *file)).or_default();
            let at = match kind {
                Kind::Whole => 0,
                Kind::Row => 1,
                Kind::Cells => 2,
                Kind::Lines => 3,
                Kind::Window => 4,
            };
            if let Some(kind) = hits.get_mut(at) {
                kind.insert(print);
            }
        }
    }

    fn is_no_chance(&self, [whole, rows, cells, lines, windows]: &[HashSet<u64>; 5]) -> bool {
        let few = lines.len() >= MIN_LINES && lines.len() * 4 >= self.lines;
        !whole.is_empty()
            || rows.len() >= MIN_ROWS
            || cells.len() >= MIN_CELLS
            || windows.len() >= MIN_WINDOWS
            || few
            || lines.len() >= MANY_LINES
    }

    /// Whether the candidate is about as dense in a file's pieces as the file is. What is not sure is among others.
    fn is_all_of(&self, version: u32, file: u32, hits: &[HashSet<u64>; 5]) -> bool {
        let Some(len) = self.index.length_of(version, file) else { return false };
        if hits.first().is_some_and(|whole| !whole.is_empty()) && len == self.len {
            return true;
        }
        if self.holds_more {
            return false;
        }
        let expected = u128::from(self.index.prints_of(version, file)) * u128::from(self.len) / u128::from(len.max(1));
        u128::from(pieces(hits)) * 2 >= expected
    }

    /// What the candidate holds: of each artifact the newest of the versions that fit best.
    pub(super) fn matches(&self) -> Vec<Match> {
        let mut versions: HashMap<u32, Match> = HashMap::new();
        let mut files: Vec<_> = self.hits.iter().filter(|(_, hits)| self.is_no_chance(hits)).collect();
        files.sort_unstable_by_key(|((_, file), hits)| (std::cmp::Reverse(pieces(hits)), *file));
        for ((version, file), hits) in files {
            let held = versions.entry(*version).or_insert_with(|| Match {
                version: *version,
                files: Vec::new(),
                whole: false,
                pieces: 0,
                of: 0,
                among_others: true,
            });
            held.files.push(*file);
            held.whole |= hits.first().is_some_and(|whole| !whole.is_empty());
            held.pieces += pieces(hits);
            held.of += u64::from(self.index.prints_of(*version, *file));
            held.among_others &= !self.is_all_of(*version, *file, hits);
        }
        // Versions are numbered from the newest.
        let mut found: Vec<Match> = versions.into_values().collect();
        found.sort_unstable_by_key(|held| (std::cmp::Reverse((held.whole, held.pieces)), held.version));
        let mut artifacts = HashSet::new();
        found.retain(|held| {
            let artifact = self.index.version(held.version).map(|known| known.item.artifact);
            artifact.is_some_and(|artifact| artifacts.insert(artifact))
        });
        found
    }
}

fn pieces(hits: &[HashSet<u64>; 5]) -> u64 {
    hits.iter().map(|kind| kind.len() as u64).sum()
}

/// Where files are read to, one after another: wiped when the search ends, or a file needs more.
#[derive(Default)]
pub(super) struct Room(Zeroizing<Vec<u8>>);

impl Room {
    fn of(&mut self, len: usize) -> &mut [u8] {
        if self.0.len() < len {
            self.0 = Zeroizing::new(vec![0; len.next_power_of_two()]);
        }
        self.0.get_mut(..len).unwrap_or_default()
    }
}

/// Looks at an open file of this length. Holes are passed over.
///
/// # Errors
/// The file system's.
pub(super) fn look(index: &Index, room: &mut Room, path: &[u8], file: &File, len: u64) -> std::io::Result<Looked> {
    let mut tally = Tally::new(index, len);
    let mut looked = Looked::default();
    let wanted = index.has_length(len);
    // Which suite sealed what is looked for is not known here; few files have a length that is.
    let mut growing: Vec<Growing> = Suite::ALL.into_iter().map(Growing::new).collect();
    let mut whole = len <= MAX_WHOLE_LEN;
    let buffer = room.of(if whole { len as usize } else { READ_LEN });
    let mut at = 0;
    while at < len {
        // A whole file that is looked for is read whole, for its digest.
        if !wanted {
            match next_data(file, at, len) {
                Some(data) if data > at => {
                    let next = at.max(data - data % READ_LEN as u64);
                    whole &= next == at;
                    at = next;
                }
                Some(_) => {}
                None => {
                    whole = false;
                    break;
                }
            }
        }
        let step = (len - at).min(READ_LEN as u64) as usize;
        let to = if whole { at as usize } else { 0 };
        let part = buffer.get_mut(to..to + step).unwrap_or_default();
        file.read_exact_at(part, at)?;
        looked.bytes += step as u64;
        if wanted {
            for growing in &mut growing {
                tree::leaves(growing.suite(), part).for_each(|leaf| growing.push(leaf));
            }
        }
        tally.parts(part, Edges { first: at == 0, last: at + step as u64 == len });
        if at == 0 {
            looked.left.extend(archive::not_opened(path, part));
        }
        at += step as u64;
        if at >= ALL_LEN && !wanted {
            at = at.next_multiple_of(STRETCH_LEN).max(at).min(len.saturating_sub(READ_LEN as u64).max(at));
            looked.left.push("the middle of files of more than 256 MiB, but for samples");
        }
    }
    if wanted {
        growing.iter().for_each(|growing| tally.digest(len, &growing.finish()));
    }
    if whole {
        views::inside(&mut tally, path, buffer.get(..len as usize).unwrap_or_default());
    }
    looked.left.sort_unstable();
    looked.left.dedup();
    looked.held = tally.matches();
    Ok(looked)
}

/// Where bytes are that were written, from here on; where the file system cannot tell, here.
fn next_data(file: &File, at: u64, len: u64) -> Option<u64> {
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
        Ok(data) => (data < len).then_some(data),
        Err(rustix::io::Errno::NXIO) => None,
        Err(_) => Some(at),
    }
}
