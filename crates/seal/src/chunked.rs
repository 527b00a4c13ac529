//! Chunked encryption: the one primitive that seals everything (`spec/format.md#chunked-encryption`).
//!
//! This is C2SP `chunked-encryption@v1` with AES-256-GCM and HKDF-Expand over SHA-256. A message is `salt || commitment`, then chunks
//! of 16 KiB, each with its own tag; the last chunk is shorter, possibly empty. A fresh salt gives each message its own key and
//! nonces, the commitment binds the message to one key, and the chunk number in the nonce fixes order and end.
//!
//! ```
//! let key = seal::secret::PackKey::generate()?;
//! let sealed = seal::chunked::seal_all(key.expose_bytes(), b"a context", b"hello")?;
//! let opened = seal::chunked::open_all(key.expose_bytes(), b"a context", &sealed, 1024)?;
//! assert_eq!(opened.as_slice(), b"hello");
//! assert!(seal::chunked::open_all(key.expose_bytes(), b"another", &sealed, 1024).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{Corrupt, Fault, derive, entropy};

/// Plaintext bytes of every chunk but the last.
pub const CHUNK_LEN: usize = 16_384;
/// Bytes of an AEAD tag.
pub const TAG_LEN: usize = 16;
/// Bytes of a full sealed chunk.
pub const SEALED_CHUNK_LEN: usize = CHUNK_LEN + TAG_LEN;
/// Bytes of the salt that starts a message.
pub const SALT_LEN: usize = 24;
/// Bytes of the key commitment that follows the salt.
pub const COMMITMENT_LEN: usize = 32;
/// Bytes before the first chunk.
pub const HEADER_LEN: usize = SALT_LEN + COMMITMENT_LEN;
/// Chunks are numbered below this.
pub const MAX_CHUNKS: u64 = 1 << 38;

/// The start of every message: salt, then commitment.
pub type Header = [u8; HEADER_LEN];

/// Why a message could not be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Wrong key, wrong context, or bytes that nobody with the key sealed: one opaque answer.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// The plaintext is longer than the caller's limit.
    #[error("the message is longer than the limit of {0} bytes")]
    TooLong(u64),
    /// The buffers or the order of calls do not fit; says what.
    #[error("misuse of chunked encryption: {0}")]
    Misuse(&'static str),
    /// No randomness for the salt.
    #[error(transparent)]
    Entropy(#[from] entropy::Unavailable),
    /// The library below failed where it cannot.
    #[error("the cipher failed")]
    Failed,
}

impl Error {
    /// Whose fault this is.
    pub fn fault(self) -> Fault {
        match self {
            Self::Corrupt(_) | Self::TooLong(_) => Fault::Hostile,
            Self::Misuse(_) => Fault::Misuse,
            Self::Entropy(_) => Fault::Environment,
            Self::Failed => Fault::Bug,
        }
    }
}

impl From<derive::Failed> for Error {
    fn from(_: derive::Failed) -> Self {
        Self::Failed
    }
}

/// Number of chunks of a message with this many plaintext bytes: at least one, the last one short.
pub const fn chunk_count(plaintext_len: u64) -> u64 {
    plaintext_len / CHUNK_LEN as u64 + 1
}

/// Length of the sealed message, or `None` beyond 2^38 chunks.
pub const fn sealed_len(plaintext_len: u64) -> Option<u64> {
    let chunks = chunk_count(plaintext_len);
    if chunks > MAX_CHUNKS {
        return None;
    }
    Some(HEADER_LEN as u64 + plaintext_len + chunks * TAG_LEN as u64)
}

/// Length of the plaintext in a sealed message of this length: the exact inverse of [`sealed_len`].
///
/// # Errors
/// [`Corrupt`] for a length that no message has.
pub fn plaintext_len(sealed_len: u64) -> Result<u64, Corrupt> {
    let body = sealed_len.checked_sub(HEADER_LEN as u64).ok_or(Corrupt::at(0))?;
    let full = body / SEALED_CHUNK_LEN as u64;
    let last_at = HEADER_LEN as u64 + full * SEALED_CHUNK_LEN as u64;
    if full >= MAX_CHUNKS {
        return Err(Corrupt::at(last_at));
    }
    let last = (body % SEALED_CHUNK_LEN as u64).checked_sub(TAG_LEN as u64).ok_or(Corrupt::at(last_at))?;
    Ok(full * CHUNK_LEN as u64 + last)
}

/// Where a sealed chunk begins, in bytes from the start of the message.
pub const fn chunk_offset(index: u64) -> u64 {
    HEADER_LEN as u64 + index * SEALED_CHUNK_LEN as u64
}

/// Seals a whole message in memory.
///
/// # Errors
/// [`Error::Entropy`].
pub fn seal_all(key: &[u8; 32], context: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Error> {
    let (cipher, header) = Cipher::fresh(key, context)?;
    seal_with(&cipher, &header, plaintext)
}

/// Opens a whole message in memory; the plaintext is overwritten when it is dropped.
///
/// # Errors
/// [`Error::Corrupt`]; [`Error::TooLong`], before anything is allocated, if there are more than `max_len` plaintext bytes.
pub fn open_all(key: &[u8; 32], context: &[u8], sealed: &[u8], max_len: u64) -> Result<Zeroizing<Vec<u8>>, Error> {
    let len = plaintext_len(sealed.len() as u64)?;
    if len > max_len {
        return Err(Error::TooLong(max_len));
    }
    let mut out = Zeroizing::new(vec![0; usize::try_from(len).map_err(|_| Error::TooLong(max_len))?]);
    open_into(key, context, sealed, &mut out)?;
    Ok(out)
}

/// Opens a whole message into a buffer of exactly its plaintext length; `out` is zero if this fails.
///
/// # Errors
/// [`Error::Corrupt`], also when the message is not of the length that fills `out`.
pub fn open_into(key: &[u8; 32], context: &[u8], sealed: &[u8], out: &mut [u8]) -> Result<(), Error> {
    let opened = open_exactly(key, context, sealed, out);
    if opened.is_err() {
        out.fill(0);
    }
    opened
}

fn open_exactly(key: &[u8; 32], context: &[u8], sealed: &[u8], out: &mut [u8]) -> Result<(), Error> {
    if plaintext_len(sealed.len() as u64)? != out.len() as u64 {
        return Err(Corrupt::at(0).into());
    }
    let (header, body) = sealed.split_first_chunk::<HEADER_LEN>().ok_or(Corrupt::at(0))?;
    let opener = Opener::new(key, context, header)?;
    let mut plain = out;
    for (index, chunk) in (0..).zip(body.chunks(SEALED_CHUNK_LEN)) {
        let (now, rest) = plain.split_at_mut_checked(chunk.len().saturating_sub(TAG_LEN)).ok_or(Error::Failed)?;
        opener.open_chunk(index, chunk, now)?;
        plain = rest;
    }
    // A message of only full chunks has no end; its length was refused above, so the loop saw a short one.
    Ok(())
}

fn seal_with(cipher: &Cipher, header: &Header, plaintext: &[u8]) -> Result<Vec<u8>, Error> {
    let len = sealed_len(plaintext.len() as u64).ok_or(Error::Misuse("a message has at most 2^38 chunks"))?;
    let mut out = vec![0; usize::try_from(len).map_err(|_| Error::Misuse("the message does not fit in memory"))?];
    let (start, body) = out.split_first_chunk_mut::<HEADER_LEN>().ok_or(Error::Failed)?;
    start.copy_from_slice(header);
    let full = plaintext.chunks_exact(CHUNK_LEN);
    let last = full.remainder();
    for ((index, plain), sealed) in (0..).zip(full.chain([last])).zip(body.chunks_mut(SEALED_CHUNK_LEN)) {
        cipher.seal_at(index, plain, sealed)?;
    }
    Ok(out)
}

/// Seals one message chunk after chunk.
///
/// Chunks are numbered by the sealer, so no nonce can be used twice. Dropping it before the short last chunk leaves a message that
/// does not open.
#[must_use = "a message without its last chunk does not open"]
pub struct Sealer {
    cipher: Cipher,
    next: u64,
    ended: Option<u64>,
}

impl Sealer {
    /// Draws a salt and starts a message; the header goes first.
    ///
    /// # Errors
    /// [`Error::Entropy`].
    pub fn new(key: &[u8; 32], context: &[u8]) -> Result<(Self, Header), Error> {
        let (cipher, header) = Cipher::fresh(key, context)?;
        Ok((Self { cipher, next: 0, ended: None }, header))
    }

    /// Seals the next chunk into `out`, which is 16 bytes longer. A chunk shorter than [`CHUNK_LEN`] ends the message.
    ///
    /// # Errors
    /// [`Error::Misuse`] after the end, for a longer chunk, or for a buffer of another length.
    pub fn seal_next(&mut self, plaintext: &[u8], out: &mut [u8]) -> Result<(), Error> {
        if self.ended.is_some() {
            return Err(Error::Misuse("the message has its last chunk already"));
        }
        self.cipher.seal_at(self.next, plaintext, out)?;
        if plaintext.len() < CHUNK_LEN {
            self.ended = Some(self.next * CHUNK_LEN as u64 + plaintext.len() as u64);
        }
        self.next += 1;
        Ok(())
    }

    /// Ends the message; answers its plaintext length.
    ///
    /// # Errors
    /// [`Error::Misuse`] without a last chunk.
    pub fn finish(self) -> Result<u64, Error> {
        self.ended.ok_or(Error::Misuse("the message has no last chunk"))
    }
}

/// Opens the chunks of one message, in any order, from any thread.
pub struct Opener(Cipher);

impl Opener {
    /// Derives the message key and checks the commitment.
    ///
    /// # Errors
    /// [`Error::Corrupt`] unless this key and context made this header.
    pub fn new(key: &[u8; 32], context: &[u8], header: &Header) -> Result<Self, Error> {
        let (salt, commitment) = header.split_first_chunk::<SALT_LEN>().ok_or(Error::Failed)?;
        let (cipher, expected) = Cipher::derive(key, context, salt)?;
        if !bool::from(expected.as_slice().ct_eq(commitment)) {
            return Err(Corrupt::at(0).into());
        }
        Ok(Self(cipher))
    }

    /// Opens chunk `index` into `out`, which is 16 bytes shorter than `sealed`. On failure `out` is zero.
    ///
    /// # Security
    /// Reading only some chunks does not show where the message ends: check the length with [`plaintext_len`], or open the last chunk.
    ///
    /// # Errors
    /// [`Error::Corrupt`] at the chunk; [`Error::Misuse`] for a buffer of another length.
    pub fn open_chunk(&self, index: u64, sealed: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let corrupt = Corrupt::at(chunk_offset(index.min(MAX_CHUNKS)));
        if index >= MAX_CHUNKS || sealed.len() > SEALED_CHUNK_LEN {
            return Err(corrupt.into());
        }
        let (body, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(corrupt)?;
        if body.len() != out.len() {
            return Err(Error::Misuse("the plaintext buffer does not fit the chunk"));
        }
        let nonce = self.0.nonce(index);
        self.0.key.open_separate_gather(nonce, Aad::empty(), body, tag, out).map_err(|_| {
            out.fill(0);
            corrupt.into()
        })
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("next", &self.next).finish_non_exhaustive()
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener(..)")
    }
}

/// A message key with its base nonce.
///
/// # Security
/// `seal_at` does not notice a number that is used twice, so this type stays inside the crate: its users count.
pub(crate) struct Cipher {
    key: LessSafeKey,
    base_nonce: [u8; NONCE_LEN],
}

impl Cipher {
    pub(crate) fn fresh(key: &[u8; 32], context: &[u8]) -> Result<(Self, Header), Error> {
        let salt = entropy::array::<SALT_LEN>()?;
        Self::with_salt(key, context, &salt)
    }

    fn with_salt(key: &[u8; 32], context: &[u8], salt: &[u8; SALT_LEN]) -> Result<(Self, Header), Error> {
        let (cipher, commitment) = Self::derive(key, context, salt)?;
        let mut header = [0; HEADER_LEN];
        for (to, from) in header.iter_mut().zip(salt.iter().chain(&commitment)) {
            *to = *from;
        }
        Ok((cipher, header))
    }

    fn derive(key: &[u8; 32], context: &[u8], salt: &[u8; SALT_LEN]) -> Result<(Self, [u8; COMMITMENT_LEN]), Error> {
        let info = [INFO_PREFIX, salt.as_slice(), context].concat();
        let mut okm = Zeroizing::new([0; KEY_LEN + NONCE_LEN + COMMITMENT_LEN]);
        derive::expand(key, &info, okm.as_mut_slice())?;
        let (message_key, rest) = okm.split_first_chunk::<KEY_LEN>().ok_or(Error::Failed)?;
        let (base_nonce, rest) = rest.split_first_chunk::<NONCE_LEN>().ok_or(Error::Failed)?;
        let commitment = rest.try_into().map_err(|_| Error::Failed)?;
        let key = UnboundKey::new(&AES_256_GCM, message_key).map_err(|_| Error::Failed)?;
        Ok((Self { key: LessSafeKey::new(key), base_nonce: *base_nonce }, commitment))
    }

    /// Seals one chunk into `out`, 16 bytes longer.
    pub(crate) fn seal_at(&self, index: u64, plaintext: &[u8], out: &mut [u8]) -> Result<(), Error> {
        if index >= MAX_CHUNKS || plaintext.len() > CHUNK_LEN {
            return Err(Error::Misuse("a chunk is at most 16 KiB and a message at most 2^38 chunks"));
        }
        let (body, tag) = out.split_last_chunk_mut::<TAG_LEN>().ok_or(Error::Misuse(WRONG_OUT))?;
        if body.len() != plaintext.len() {
            return Err(Error::Misuse(WRONG_OUT));
        }
        self.key
            .seal_out_of_place_scatter(self.nonce(index), Aad::empty(), plaintext, body, &[], tag)
            .map_err(|_| Error::Failed)
    }

    /// The base nonce XOR the chunk number, big endian.
    fn nonce(&self, index: u64) -> Nonce {
        let counter = u128::from(index).to_be_bytes();
        let mut nonce = self.base_nonce;
        for (byte, number) in nonce.iter_mut().rev().zip(counter.iter().rev()) {
            *byte ^= number;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 12;
const INFO_PREFIX: &[u8] = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0";
const WRONG_OUT: &str = "the sealed buffer is 16 bytes longer than the chunk";

#[cfg(test)]
mod tests;
