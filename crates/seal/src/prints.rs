//! Prints: what a version's content is recognised by, without keeping any of it (`spec/keys.md#prints`).
//!
//! A print is 64 bits of keyed BLAKE3 over a piece of content that is worth recognising: a whole file, a row of a table, a run of its
//! cells, three lines of text, 64 bytes of anything else. Where pieces begin follows from the content alone, so they are found again
//! in copies that were cut, joined, or pasted into something else. Zeros, headers, comments and whatever else unrelated files share
//! have no prints.
//!
//! Without the key a print says nothing. With it, whoever has a guess can confirm it, and nothing else.

mod binary;
mod set;
#[cfg(test)]
mod tests;
mod text;

pub use set::{Builder, Carried, Entry, MAX_SEALED_LEN, Set, Whole};

use crate::derive::Failed;
use crate::label::{Context, Label};
use crate::secret::{ListKey, MacKey, PrintKey};
use crate::tree::Digest;
use crate::{Id, Suite, derive};

/// What a print was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A whole file: its length and tree digest.
    Whole,
    /// A row of a table, or a long line.
    Row,
    /// Four cells of a row, one after another.
    Cells,
    /// Three lines, one after another.
    Lines,
    /// 64 bytes.
    Window,
}

impl Kind {
    /// Those that are parts of files.
    pub const PARTS: [Self; 4] = [Self::Row, Self::Cells, Self::Lines, Self::Window];

    const fn number(self) -> u8 {
        match self {
            Self::Whole => 0,
            Self::Row => 1,
            Self::Cells => 2,
            Self::Lines => 3,
            Self::Window => 4,
        }
    }
}

/// Where a piece of content was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edges {
    /// It begins where its file does.
    pub first: bool,
    /// It ends where its file does.
    pub last: bool,
}

impl Edges {
    /// Nothing was cut.
    pub const WHOLE: Self = Self { first: true, last: true };
    /// It begins and ends somewhere inside.
    pub const INSIDE: Self = Self { first: false, last: false };
}

/// Which prints are made: a search also looks for rows that a table's writer put a number before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// To be kept.
    Keeping,
    /// To be looked up.
    Looking,
}

/// Makes prints.
pub struct Printer {
    key: PrintKey,
}

impl std::fmt::Debug for Printer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Printer(..)")
    }
}

/// Files shorter than this have no print of their own.
pub const MIN_WHOLE_LEN: u64 = 64;
/// The longest piece that is hashed for one print, in bytes.
const MAX_PIECE_LEN: usize = 4_096;

impl Printer {
    /// With a vault's key.
    pub fn new(key: PrintKey) -> Self {
        Self { key }
    }

    /// The print of a whole file.
    pub fn whole(&self, len: u64, digest: &Digest) -> u64 {
        let mut piece = [0; 40];
        let (start, rest) = piece.split_at_mut(8);
        start.copy_from_slice(&len.to_be_bytes());
        rest.copy_from_slice(digest.as_bytes());
        self.print(Kind::Whole, &piece)
    }

    /// The prints of a piece of content.
    pub fn content(&self, bytes: &[u8], edges: Edges, what_for: For, out: &mut dyn FnMut(Kind, u64)) {
        if is_text(bytes) {
            text::prints(self, bytes, edges, what_for, out);
        } else {
            binary::prints(self, bytes, out);
            // Text among other bytes, as in an archive.
            if what_for == For::Looking && is_mostly_printable(bytes) {
                text::prints(self, bytes, edges, what_for, out);
            }
        }
    }

    fn print(&self, kind: Kind, piece: &[u8]) -> u64 {
        let mut buffer = [0; 256];
        let piece = piece.get(..MAX_PIECE_LEN).unwrap_or(piece);
        let len = piece.len() + 1;
        let hash = match buffer.get_mut(..len) {
            Some(short) => {
                if let Some((first, rest)) = short.split_first_mut() {
                    *first = kind.number();
                    rest.copy_from_slice(piece);
                }
                blake3::keyed_hash(self.key.expose_bytes(), short)
            }
            None => {
                let mut hasher = blake3::Hasher::new_keyed(self.key.expose_bytes());
                hasher.update(&[kind.number()]).update(piece);
                hasher.finalize()
            }
        };
        // As much as there was of it: many pieces are short, and every byte is written for itself.
        zeroize::Zeroize::zeroize(buffer.get_mut(..len.min(256)).unwrap_or_default());
        hash.as_bytes().first_chunk().map_or(0, |start| u64::from_be_bytes(*start))
    }
}

/// Whether a file with this name is one that many hold: licences, and what tools put into every repository.
pub fn is_common_name(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path).to_ascii_lowercase();
    let stem = name.split(|byte| *byte == b'.').next().unwrap_or(&name);
    let stems: [&[u8]; 7] =
        [b"license", b"licence", b"copying", b"notice", b"authors", b"contributing", b"code_of_conduct"];
    let names: [&[u8]; 4] = [b".gitattributes", b".gitignore", b".dockerignore", b"__init__.py"];
    stems.contains(&stem) || names.contains(&name.as_slice())
}

/// Whether content says enough for a whole file to be recognised by it: not one byte over and over.
pub fn says_enough(bytes: &[u8]) -> bool {
    has_distinct(bytes.get(..MAX_PIECE_LEN).unwrap_or(bytes), 8)
}

/// Text has no zero bytes and hardly any other control characters.
fn is_text(bytes: &[u8]) -> bool {
    let start = bytes.get(..8_192).unwrap_or(bytes);
    let odd = start.iter().filter(|byte| **byte < 32 && !matches!(**byte, b'\n' | b'\r' | b'\t' | 0x0c | 0x1b)).count();
    !start.contains(&0) && odd * 50 <= start.len()
}

/// Of random bytes three in eight are printable.
fn is_mostly_printable(bytes: &[u8]) -> bool {
    let printable = bytes.iter().filter(|byte| matches!(byte, 32..=126 | b'\n' | b'\r' | b'\t')).count();
    printable * 2 > bytes.len()
}

/// Whether there are at least so many different bytes.
fn has_distinct(bytes: &[u8], least: u32) -> bool {
    let (mut seen, mut count) = ([0_u64; 4], 0);
    for byte in bytes {
        if let Some(word) = seen.get_mut(usize::from(byte >> 6)) {
            let bit = 1 << (byte & 63);
            count += u32::from(*word & bit == 0);
            *word |= bit;
        }
        if count >= least {
            return true;
        }
    }
    count >= least
}

/// The key of a vault's prints.
///
/// # Errors
/// [`Failed`].
pub fn vault_key(rows: &MacKey, vault: &Id) -> Result<PrintKey, Failed> {
    let info = Context::new(Label::PrintKey, Suite::Default).field(vault).into_bytes();
    PrintKey::fill_with(|out| derive::expand(rows.expose_bytes(), &info, out))
}

/// The key under which a version's prints lie, and under which the vault's print key travels to whoever may have it.
fn version_key(list: &ListKey, vault: &Id, version: &Id) -> Result<PrintKey, Failed> {
    let info = Context::new(Label::PrintsKey, Suite::Default).field(vault).field(version).into_bytes();
    PrintKey::fill_with(|out| derive::expand(list.expose_bytes(), &info, out))
}

/// Seals the vault's print key for whoever holds a version's list key.
///
/// # Errors
/// [`Unopened`] when it cannot be sealed.
pub fn seal_key(key: &PrintKey, list: &ListKey, vault: &Id, version: &Id) -> Result<Vec<u8>, Unopened> {
    let under = version_key(list, vault, version).map_err(|_| Unopened)?;
    crate::chunked::seal_all(under.expose_bytes(), &context(Label::PrintKey, vault, version), key.expose_bytes())
        .map_err(|_| Unopened)
}

/// Opens it.
///
/// # Errors
/// [`Unopened`].
pub fn open_key(sealed: &[u8], list: &ListKey, vault: &Id, version: &Id) -> Result<PrintKey, Unopened> {
    let under = version_key(list, vault, version).map_err(|_| Unopened)?;
    PrintKey::fill_with(|out| {
        crate::chunked::open_into(under.expose_bytes(), &context(Label::PrintKey, vault, version), sealed, out)
    })
    .map_err(|_| Unopened)
}

fn context(label: Label, vault: &Id, version: &Id) -> Vec<u8> {
    Context::new(label, Suite::Default).field(vault).field(version).into_bytes()
}

/// Prints, or their key, that are damaged, of another version, or not of their form: which, nobody learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the prints do not open")]
pub struct Unopened;

impl Unopened {
    /// Whose fault this is: the bytes came from outside.
    pub fn fault(self) -> crate::Fault {
        crate::Fault::Hostile
    }
}
