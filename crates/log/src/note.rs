//! C2SP signed notes: text, a blank line, signature lines (`spec/log.md#checkpoint`).

use std::fmt;

use crate::{Fault, text, tree};

/// The longest signed note.
pub const MAX_LEN: usize = 262_144;
/// The most signature lines.
pub const MAX_SIGNATURES: usize = 32;
/// The longest key name.
pub const MAX_NAME_LEN: usize = 255;
/// The longest signature, without its key id.
pub const MAX_SIGNATURE_LEN: usize = 8192;
/// The longest public key.
pub const MAX_KEY_LEN: usize = 4096;

/// Why a note or verifier key was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not text, blank line, signature lines, each ending in a newline, in UTF-8 without control characters.
    #[error("not a signed note")]
    Malformed,
    /// Longer than [`MAX_LEN`] or with more than [`MAX_SIGNATURES`] lines.
    #[error("a note that is too long")]
    TooLong,
    /// A name that is empty, too long or contains a space or a plus.
    #[error("not a key name")]
    Name,
    /// Not a verifier key: `<name>+<8 hex digits>+<base64>`, with the right key id.
    #[error("not a verifier key")]
    Key,
    /// No line, or more than one, or a line that does not verify, for a key that must have signed.
    #[error("the signatures do not verify")]
    Signature,
}

impl NoteError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        Fault::Hostile
    }
}

/// How a key signs: the signature type identifier byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519 over the note text (0x01).
    Ed25519,
    /// ML-DSA-44 over a cosigned message (0x06).
    MlDsa44,
}

impl Algorithm {
    /// The identifier byte.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::MlDsa44 => 0x06,
        }
    }

    /// Length of its public key in bytes.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Ed25519 => 32,
            Self::MlDsa44 => 1312,
        }
    }
}

/// A public key with its name: what a verifier is given beforehand.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: u32,
    algorithm: Algorithm,
    key: Vec<u8>,
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({}+{:08x}, {:?})", self.name, self.id, self.algorithm)
    }
}

impl fmt::Display for VerifierKey {
    /// The vkey text: `<name>+<key id>+<base64(type || key)>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![self.algorithm.byte()];
        bytes.extend_from_slice(&self.key);
        write!(f, "{}+{:08x}+{}", self.name, self.id, text::base64(&bytes))
    }
}

impl VerifierKey {
    /// A key under a name.
    ///
    /// # Errors
    /// [`NoteError::Name`] or [`NoteError::Key`] when the name or the key's length is not acceptable.
    pub fn new(name: &str, algorithm: Algorithm, key: &[u8]) -> Result<Self, NoteError> {
        check_name(name)?;
        if key.len() != algorithm.key_len() {
            return Err(NoteError::Key);
        }
        let mut input = format!("{name}\n").into_bytes();
        input.push(algorithm.byte());
        input.extend_from_slice(key);
        let [a, b, c, d, ..] = *tree::sha256(&input).as_bytes();
        Ok(Self { name: name.to_owned(), id: u32::from_be_bytes([a, b, c, d]), algorithm, key: key.to_vec() })
    }

    /// Reads a vkey.
    ///
    /// # Errors
    /// [`NoteError::Name`] or [`NoteError::Key`]; the key id must be the right one.
    pub fn parse(vkey: &str) -> Result<Self, NoteError> {
        let mut parts = vkey.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key);
        };
        let id: [u8; 4] = text::hex_array(id).ok_or(NoteError::Key)?;
        let bytes = text::from_base64(key, MAX_KEY_LEN).ok_or(NoteError::Key)?;
        let (algorithm, key) = match bytes.split_first() {
            Some((0x01, key)) => (Algorithm::Ed25519, key),
            Some((0x06, key)) => (Algorithm::MlDsa44, key),
            _ => return Err(NoteError::Key),
        };
        let parsed = Self::new(name, algorithm, key)?;
        if parsed.id == u32::from_be_bytes(id) { Ok(parsed) } else { Err(NoteError::Key) }
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public key's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.key
    }
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The key's name.
    pub name: String,
    /// The key id.
    pub id: u32,
    /// The signature without the key id.
    pub bytes: Vec<u8>,
}

/// A parsed note. Nothing in it is authentic until a signature was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

impl Note {
    /// A note to be signed.
    ///
    /// # Errors
    /// [`NoteError::Malformed`] when the text does not end in a newline or contains control characters.
    pub fn new(text: String) -> Result<Self, NoteError> {
        if !text.ends_with('\n') || !clean(&text) {
            return Err(NoteError::Malformed);
        }
        Ok(Self { text, signatures: Vec::new() })
    }

    /// Reads a signed note.
    ///
    /// # Errors
    /// [`NoteError::TooLong`], [`NoteError::Malformed`] or [`NoteError::Name`].
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_LEN {
            return Err(NoteError::TooLong);
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| NoteError::Malformed)?;
        let (body, lines) = whole.rsplit_once("\n\n").ok_or(NoteError::Malformed)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Malformed)?;
        let mut note = Self::new(format!("{body}\n"))?;
        for line in lines.split('\n') {
            if note.signatures.len() == MAX_SIGNATURES {
                return Err(NoteError::TooLong);
            }
            note.signatures.push(parse_line(line)?);
        }
        Ok(note)
    }

    /// The text, with its final newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Adds a signature by a key.
    pub fn push(&mut self, key: &VerifierKey, bytes: Vec<u8>) {
        self.signatures.push(Signature { name: key.name.clone(), id: key.id, bytes });
    }

    /// The one signature by a key.
    ///
    /// # Errors
    /// [`NoteError::Signature`] when there is none or more than one.
    pub fn signature_by(&self, key: &VerifierKey) -> Result<&[u8], NoteError> {
        let mut lines = self.signatures.iter().filter(|line| line.id == key.id && line.name == key.name);
        match (lines.next(), lines.next()) {
            (Some(line), None) => Ok(&line.bytes),
            _ => Err(NoteError::Signature),
        }
    }

    /// The signed note's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = format!("{}\n", self.text);
        for Signature { name, id, bytes } in &self.signatures {
            let mut signature = id.to_be_bytes().to_vec();
            signature.extend_from_slice(bytes);
            out.push_str("\u{2014} ");
            out.push_str(name);
            out.push(' ');
            out.push_str(&text::base64(&signature));
            out.push('\n');
        }
        out.into_bytes()
    }
}

fn parse_line(line: &str) -> Result<Signature, NoteError> {
    let (name, base64) =
        line.strip_prefix("\u{2014} ").and_then(|rest| rest.split_once(' ')).ok_or(NoteError::Malformed)?;
    check_name(name)?;
    let bytes = text::from_base64(base64, 4 + MAX_SIGNATURE_LEN).ok_or(NoteError::Malformed)?;
    let (id, bytes) = bytes.split_first_chunk::<4>().ok_or(NoteError::Malformed)?;
    if bytes.is_empty() {
        return Err(NoteError::Malformed);
    }
    Ok(Signature { name: name.to_owned(), id: u32::from_be_bytes(*id), bytes: bytes.to_vec() })
}

fn check_name(name: &str) -> Result<(), NoteError> {
    let bad = |c: char| c.is_whitespace() || c == '+' || c < ' ';
    if name.is_empty() || name.len() > MAX_NAME_LEN || name.contains(bad) { Err(NoteError::Name) } else { Ok(()) }
}

fn clean(text: &str) -> bool {
    text.bytes().all(|byte| byte >= 0x20 || byte == b'\n')
}
