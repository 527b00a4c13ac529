//! What the new version is recognised by: chosen from bytes that lie in a buffer anyway, so that a put reads nothing for it.
//!
//! Of a large file the start, the end and a little of each block are looked at; of a small one all. Copies of any length from a block
//! on are found by that, shorter ones by chance and at the start.

use super::feed::Piece;
use crate::source::{Found, What};
use api::wire::Problem;
use seal::prints::{Builder, Carried, Edges, For, Kind, MIN_WHOLE_LEN, Printer, is_common_name, says_enough};
use seal::secret::ListKey;
use seal::tree::Digest;

/// Bytes at the start of a file that are looked at, at the start of each further piece, and at the end.
const HEAD_LEN: usize = 64 << 10;
const SAMPLE_LEN: usize = 8 << 10;
const TAIL_LEN: usize = 16 << 10;

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
    let len = if piece.offset == 0 { HEAD_LEN } else { SAMPLE_LEN };
    let head = bytes.get(..len).unwrap_or(bytes);
    let whole = head.len() == bytes.len() && piece.ends.is_some();
    printer.content(head, Edges { first: piece.offset == 0, last: whole }, For::Keeping, &mut keep);
    if piece.ends.is_some() && !whole {
        let from = bytes.len().saturating_sub(TAIL_LEN).max(head.len());
        let tail = bytes.get(from..).unwrap_or_default();
        printer.content(tail, Edges { first: false, last: true }, For::Keeping, &mut keep);
    }
    sampled
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
