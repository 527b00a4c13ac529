//! What the new version is recognised by: chosen from bytes that lie in a buffer anyway, so that a put reads nothing for it.
//!
//! Of a small file all is looked at, of a larger one the start, the end, and a little of each stretch between. Copies that are longer
//! than a stretch are found by that, shorter ones by chance and at the start.

use super::feed::Piece;
use crate::source::{Found, What};
use api::wire::Problem;
use seal::prints::{Builder, Carried, Edges, For, Kind, MIN_WHOLE_LEN, Printer, is_common_name, says_enough};
use seal::secret::ListKey;
use seal::tree::Digest;
use std::ops::Range;

/// Bytes at the start of a file that are looked at, all of them.
const HEAD_LEN: u64 = 128 << 10;
/// In its first MiB so much of each stretch, and less of each longer one behind it; and the end.
const NEAR: (u64, u64) = (64 << 10, 16 << 10);
const FAR: (u64, u64) = (256 << 10, 2 << 10);
const NEAR_LEN: u64 = 1 << 20;
const TAIL_LEN: u64 = 16 << 10;

/// What was seen in a piece.
#[derive(Default)]
pub(super) struct Sampled {
    prints: Vec<(Kind, u64)>,
    /// The file is not one value over and over, and none that many have. Said by its first piece.
    telling: bool,
}

/// Looks at a piece of a file.
pub(super) fn sampled(printer: Option<&Printer>, piece: &Piece, bytes: &[u8]) -> Sampled {
    let Some(printer) = printer.filter(|_| !is_common_name(&piece.file.found.path)) else { return Sampled::default() };
    let mut sampled = Sampled { prints: Vec::new(), telling: piece.offset == 0 && says_enough(bytes) };
    let mut keep = |kind, print| sampled.prints.push((kind, print));
    let end = piece.offset + bytes.len() as u64;
    for part in parts(piece.offset, end, piece.ends) {
        let edges = Edges { first: part.start == 0, last: piece.ends == Some(part.end) };
        let (from, to) = ((part.start - piece.offset) as usize, (part.end - piece.offset) as usize);
        printer.content(bytes.get(from..to).unwrap_or_default(), edges, For::Keeping, &mut keep);
    }
    sampled
}

/// The parts of a piece of a file that are looked at, by their places in the file.
fn parts(start: u64, end: u64, ends: Option<u64>) -> Vec<Range<u64>> {
    let tail = ends.map_or(u64::MAX, |len| len.saturating_sub(TAIL_LEN));
    let mut parts: Vec<Range<u64>> = Vec::new();
    let mut add = |from: u64, to: u64| {
        let (from, to) = (from.max(start), to.min(end));
        match parts.last_mut() {
            Some(last) if from <= last.end => last.end = last.end.max(to),
            _ if from < to => parts.push(from..to),
            _ => {}
        }
    };
    add(0, HEAD_LEN);
    let mut at = start - start % NEAR.0;
    while at < end {
        let (stretch, len) = if at < NEAR_LEN { NEAR } else { FAR };
        if at.is_multiple_of(stretch) && at < tail {
            add(at, at + len);
        }
        at += NEAR.0;
    }
    if ends.is_some() {
        add(tail, end);
    }
    parts
}

/// Collects them in the order of the list.
#[derive(Default)]
pub(super) struct Prints<'a> {
    printer: Option<&'a Printer>,
    builder: Builder,
    /// Those of the version before, for files that did not change.
    carried: Option<Carried>,
    entries: u32,
    files: u64,
    telling: bool,
}

impl<'a> Prints<'a> {
    pub(super) fn new(printer: Option<&'a Printer>, carried: Option<Carried>) -> Self {
        Self { printer, carried, ..Self::default() }
    }

    pub(super) fn piece(&mut self, sampled: Sampled, len: usize) {
        self.telling |= sampled.telling;
        sampled.prints.into_iter().for_each(|(kind, print)| self.builder.part(kind, print));
        self.builder.advance(len as u64);
    }

    /// An entry of the list whose bytes were read.
    pub(super) fn ended(&mut self, found: &Found, len: u64, digest: Option<&[u8; 32]>) {
        let telling = std::mem::take(&mut self.telling);
        self.end(found, len, digest.filter(|_| telling));
    }

    /// An entry whose bytes were not read: it was known before under this number, or sealed by a put that was killed.
    pub(super) fn ready(&mut self, found: &Found, digest: Option<&[u8; 32]>, before: Option<u32>) {
        match (before, &self.carried) {
            (Some(before), Some(carried)) => {
                self.builder.carry(carried, before, self.entries);
                self.end(found, 0, None);
            }
            _ => self.end(found, found.identity.size, digest),
        }
    }

    fn end(&mut self, found: &Found, len: u64, digest: Option<&[u8; 32]>) {
        let wanted = found.what == What::File && len >= MIN_WHOLE_LEN && !is_common_name(&found.path);
        let digest = digest.filter(|_| wanted).map(|digest| Digest::from_bytes(*digest));
        let whole = self.printer.zip(digest).map(|(printer, digest)| (printer.whole(len, &digest), len));
        self.builder.end(self.entries, whole);
        self.entries = self.entries.saturating_add(1);
        self.files += u64::from(found.what == What::File);
    }

    /// The prints of the version, sealed; nothing without a key to make them.
    pub(super) fn seal(self, list: &ListKey, vault: &[u8; 16], version: &[u8; 16]) -> Result<Vec<u8>, Problem> {
        if self.printer.is_none() {
            return Ok(Vec::new());
        }
        let set = self.builder.finish(self.files);
        set.seal(list, vault, version).map_err(|e| crate::fault::internal("cannot seal what recognises the version", e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_file_is_looked_at_whole_and_a_large_one_here_and_there() {
        let whole = 0..100_000;
        assert_eq!(parts(0, 100_000, Some(100_000)), std::slice::from_ref(&whole));
        let of = |parts: &[Range<u64>]| parts.iter().map(|part| part.end - part.start).sum::<u64>();
        let first = parts(0, 1 << 20, None);
        assert_eq!(first[..2], [0..147_456, 196_608..212_992]);
        assert!(of(&first) < 380_000);
        let inside = parts(5 << 20, 6 << 20, None);
        assert_eq!((inside.len(), of(&inside)), (4, 8_192));
        let len = (9 << 20) + 77_777;
        let last = parts(9 << 20, len, Some(len));
        assert_eq!(last.last(), Some(&(len - 16_384..len)));
        // However it is cut, the same is looked at, and nothing twice.
        let whole: Vec<u64> = parts(0, len, Some(len)).into_iter().flatten().step_by(1_024).collect();
        assert!(whole.is_sorted_by(|a, b| a < b));
    }
}
