//! Backups: a vault in one file, sealed under a key that every root of the vault opens (`spec/keys.md#backups`).
//!
//! The file is a header, one sealed message, a checksum. The header says which vault it is of and carries the vault's file and the
//! wraps of the vault's MAC key, from which the backup's key is derived: so whatever opens the vault opens the backup, and no new wrap
//! has to be made by a root that is not at hand. The message is a row of items, each behind its head.
//!
//! ```
//! use seal::Suite;
//! use seal::backup::{self, BodySealer, Header, Wrapped};
//! use seal::secret::MacKey;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let header = Header {
//!     suite: Suite::Default, vault: [1; 16], backup: [2; 16], made_ms: 1_790_000_000_000, mac_key: [3; 16],
//!     description: b"{}".to_vec(), wraps: vec![Wrapped { root: [4; 16], sealed: vec![0; 104] }],
//! };
//! let (front, mac) = (header.encode()?, MacKey::generate()?);
//! let mut file = front.clone();
//! let mut sealer = BodySealer::new(&mac, &header, &front, &mut file)?;
//! sealer.push(b"what is kept", &mut file)?;
//! sealer.finish(&mut file)?;
//!
//! let (header, front_len) = Header::decode(&file)?;
//! let (front, body) = file.split_at(front_len);
//! let opener = backup::opener(&mac, &header, front, body.first_chunk().ok_or("short")?)?;
//! let mut plain = [0; 12];
//! opener.open_chunk(0, &body[seal::chunked::HEADER_LEN..], &mut plain)?;
//! assert_eq!(&plain, b"what is kept");
//! # Ok(())
//! # }
//! ```

use crate::cbor::{Malformed, Reader, Writer, same};
use crate::chunked::{self, CHUNK_LEN, Opener, Sealer, TAG_LEN};
use crate::label::{Context, Label};
use crate::secret::{BackupKey, MacKey};
use crate::{Id, Suite, derive, hash};

/// The first bytes of every backup.
pub const MAGIC: &[u8; 22] = b"strongroom/v1/backup\r\n";
/// Bytes before the header proper: magic, and its length as four bytes, big endian.
pub const FRONT_LEN: usize = MAGIC.len() + 4;
/// The longest header.
pub const MAX_HEADER_LEN: usize = 262_144;
/// The longest description of a vault in a header.
pub const MAX_DESCRIPTION_LEN: usize = 65_536;
/// The most roots that open a backup.
pub const MAX_WRAPS: usize = 16;
/// The longest wrap.
pub const MAX_WRAP_LEN: usize = 8_192;
/// Bytes of the checksum at the end: SHA-256 over everything before it. It shows damage, and nothing about who wrote the file.
pub const CHECKSUM_LEN: usize = 32;
/// The longest name of an item.
pub const MAX_NAME_LEN: usize = 200;
/// The most bytes of an item's head.
pub const MAX_HEAD_LEN: usize = 2 + MAX_NAME_LEN + 8;

const FORM: u64 = 1;

/// What can be read without a key. Nothing of it is trusted before the message opens: the message is bound to every byte of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Of the vault's own keys.
    pub suite: Suite,
    /// The vault.
    pub vault: Id,
    /// This backup.
    pub backup: Id,
    /// When it was begun, in milliseconds since 1970.
    pub made_ms: u64,
    /// The vault's MAC key.
    pub mac_key: Id,
    /// The vault's file, `vault.json`.
    pub description: Vec<u8>,
    /// The MAC key under each root.
    pub wraps: Vec<Wrapped>,
}

/// The MAC key under one root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    /// The root.
    pub root: Id,
    /// The wrap.
    pub sealed: Vec<u8>,
}

impl Header {
    /// Magic, length and header.
    ///
    /// # Errors
    /// [`Malformed`] for lengths or counts that no backup has.
    pub fn encode(&self) -> Result<Vec<u8>, Malformed> {
        let header = self.encode_proper();
        let len = u32::try_from(header.len()).map_err(|_| Malformed("a header that is too long"))?;
        let front = [MAGIC.as_slice(), &len.to_be_bytes(), &header].concat();
        // What is written is what is read.
        Self::decode(&front).map(|_| front)
    }

    fn encode_proper(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.array(8).uint(FORM).uint(self.suite.number().into()).bytes(&self.vault).bytes(&self.backup);
        writer.uint(self.made_ms).bytes(&self.mac_key).bytes(&self.description).array(self.wraps.len());
        for wrap in &self.wraps {
            writer.array(2).bytes(&wrap.root).bytes(&wrap.sealed);
        }
        writer.into_bytes()
    }

    /// How long magic, length and header are together, from the first [`FRONT_LEN`] bytes.
    ///
    /// # Errors
    /// [`Malformed`] for what is no backup, or has too long a header.
    pub fn front_len(front: &[u8; FRONT_LEN]) -> Result<usize, Malformed> {
        let len = front.strip_prefix(MAGIC.as_slice()).and_then(|rest| rest.try_into().ok()).map(u32::from_be_bytes);
        let len = len.ok_or(Malformed("this is no backup of a vault"))?;
        match usize::try_from(len) {
            Ok(len) if (1..=MAX_HEADER_LEN).contains(&len) => Ok(FRONT_LEN + len),
            _ => Err(Malformed("a header that is too long")),
        }
    }

    /// Reads the header at the beginning of a backup; how many bytes it takes, magic and length included.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize), Malformed> {
        let front = bytes.first_chunk().ok_or(Malformed("this is no backup of a vault"))?;
        let end = Self::front_len(front)?;
        let proper = bytes.get(FRONT_LEN..end).ok_or(Malformed("the header is cut short"))?;
        let mut reader = Reader::new(proper);
        reader.array(8, "a header has eight fields")?;
        if reader.uint("the form of a backup")? != FORM {
            return Err(Malformed("the backup is of a form that this program does not know"));
        }
        let suite = Suite::from_number(reader.u16("a suite")?).map_err(|_| Malformed("an unknown suite"))?;
        let (vault, backup) = (reader.fixed("a vault id")?, reader.fixed("a backup id")?);
        let made_ms = reader.uint_up_to(crate::escrow::MAX_MADE_MS, "a time")?;
        let mac_key = reader.fixed("a key id")?;
        let description = reader.bytes(MAX_DESCRIPTION_LEN, "a description")?.to_vec();
        let count = reader.array_up_to(MAX_WRAPS, "at most 16 wraps")?;
        let mut wraps: Vec<Wrapped> = Vec::with_capacity(count);
        for _ in 0..count {
            reader.array(2, "a wrap has two fields")?;
            let wrap =
                Wrapped { root: reader.fixed("a root id")?, sealed: reader.bytes(MAX_WRAP_LEN, "a wrap")?.to_vec() };
            if wraps.last().is_some_and(|last| last.root >= wrap.root) {
                return Err(Malformed("wraps are in order of their roots, one each"));
            }
            wraps.push(wrap);
        }
        reader.end()?;
        if wraps.is_empty() {
            return Err(Malformed("a backup that no root opens"));
        }
        let header = Self { suite, vault, backup, made_ms, mac_key, description, wraps };
        same(proper, &header.encode_proper())?;
        Ok((header, end))
    }

    fn key(&self, mac: &MacKey) -> Result<BackupKey, chunked::Error> {
        let info = Context::new(Label::BackupKey, self.suite).field(&self.vault).field(&self.backup).into_bytes();
        Ok(BackupKey::fill_with(|out| derive::expand(mac.expose_bytes(), &info, out))?)
    }

    /// The context of the message, over every byte before it.
    fn context(&self, front: &[u8]) -> Vec<u8> {
        let digest = hash::sha256_of(front);
        Context::new(Label::Backup, self.suite).field(&self.vault).field(&self.backup).field(&digest).into_bytes()
    }
}

/// Opens the chunks of a backup's message. `front` is every byte before the message, `start` its first.
///
/// # Errors
/// [`chunked::Error::Corrupt`] unless a backup of this key has this front.
pub fn opener(mac: &MacKey, header: &Header, front: &[u8], start: &chunked::Header) -> Result<Opener, chunked::Error> {
    Opener::new(header.key(mac)?.expose_bytes(), &header.context(front), start)
}

/// Seals the message of a backup piece by piece.
#[must_use = "a backup without its last chunk does not open"]
pub struct BodySealer {
    sealer: Sealer,
    /// Less than a chunk that was not sealed yet. It is what the vault's folder holds in the clear, so it is no secret there.
    held: Vec<u8>,
}

impl BodySealer {
    /// Begins the message, whose first bytes go to `out`.
    ///
    /// # Errors
    /// [`chunked::Error::Entropy`].
    pub fn new(mac: &MacKey, header: &Header, front: &[u8], out: &mut Vec<u8>) -> Result<Self, chunked::Error> {
        let (sealer, start) = Sealer::new(header.key(mac)?.expose_bytes(), &header.context(front))?;
        out.extend_from_slice(&start);
        Ok(Self { sealer, held: Vec::with_capacity(CHUNK_LEN) })
    }

    /// Appends what is sealed of the bytes so far to `out`.
    ///
    /// # Errors
    /// [`chunked::Error::Misuse`] for more than a message holds.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), chunked::Error> {
        if !self.held.is_empty() {
            let (first, rest) = bytes.split_at(bytes.len().min(CHUNK_LEN - self.held.len()));
            self.held.extend_from_slice(first);
            bytes = rest;
            if self.held.len() == CHUNK_LEN {
                sealed(&mut self.sealer, &self.held, out)?;
                self.held.clear();
            }
        }
        let whole = bytes.chunks_exact(CHUNK_LEN);
        self.held.extend_from_slice(whole.remainder());
        for chunk in whole {
            sealed(&mut self.sealer, chunk, out)?;
        }
        Ok(())
    }

    /// Ends the message; answers its plaintext length.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<u64, chunked::Error> {
        sealed(&mut self.sealer, &self.held, out)?;
        self.sealer.finish()
    }
}

impl std::fmt::Debug for BodySealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BodySealer(..)")
    }
}

fn sealed(sealer: &mut Sealer, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), chunked::Error> {
    let start = out.len();
    out.resize(start + chunk.len() + TAG_LEN, 0);
    sealer.seal_next(chunk, out.get_mut(start..).ok_or(chunked::Error::Failed)?)
}

/// What an item of the message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ItemKind {
    /// What the others are, first of all: JSON.
    Manifest = 1,
    /// The vault's database.
    Database = 2,
    /// A file of the log's folder, by its path there.
    LogFile = 3,
    /// A file of the log that the database holds the content of: for whoever verifies the log from the backup alone.
    LogTail = 4,
    /// Nothing follows.
    End = 5,
}

impl ItemKind {
    const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Manifest,
            2 => Self::Database,
            3 => Self::LogFile,
            4 => Self::LogTail,
            5 => Self::End,
            _ => return None,
        })
    }
}

/// The head of an item: its kind, its name behind a length of one byte, the length of what follows as eight bytes, big endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub kind: ItemKind,
    /// A path for files of the log, else nothing.
    pub name: String,
    /// How many bytes follow.
    pub len: u64,
}

impl Item {
    /// The bytes of the head.
    ///
    /// # Errors
    /// [`Malformed`] for a name that no item has.
    pub fn encode(&self) -> Result<Vec<u8>, Malformed> {
        let len = u8::try_from(self.name.len()).ok().filter(|len| usize::from(*len) <= MAX_NAME_LEN);
        let len = len.ok_or(Malformed("the name of an item is too long"))?;
        Ok([&[self.kind as u8, len], self.name.as_bytes(), &self.len.to_be_bytes()].concat())
    }

    /// Reads the head at the beginning of some bytes; how many it takes. None if there are too few yet.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        let Some(([kind, name_len], rest)) = bytes.split_first_chunk::<2>() else { return Ok(None) };
        let kind = ItemKind::from_number(*kind).ok_or(Malformed("an item of an unknown kind"))?;
        let name_len = usize::from(*name_len);
        if name_len > MAX_NAME_LEN || (name_len > 0) != matches!(kind, ItemKind::LogFile | ItemKind::LogTail) {
            return Err(Malformed("an item with a name that it has not"));
        }
        let Some((name, rest)) = rest.split_at_checked(name_len) else { return Ok(None) };
        let Some(len) = rest.first_chunk() else { return Ok(None) };
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.');
        let name = name.iter().all(is_plain).then(|| str::from_utf8(name).ok()).flatten();
        let name = name.ok_or(Malformed("an item with a name that is no path of a log"))?.to_owned();
        Ok(Some((Self { kind, name, len: u64::from_be_bytes(*len) }, 2 + name_len + 8)))
    }
}

#[cfg(test)]
mod tests;
