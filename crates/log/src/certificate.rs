//! Certificates of destruction, checked by whoever has the log's two keys (`spec/keys.md#certificates`).
//!
//! Four sections with an empty line between them: the head, the parts that it names, the entry that holds the head's digest, and the
//! entry's `.tlog-proof`. What the head says is what the log's signatures vouch for.

use crate::Fault;
use crate::checkpoint::Checkpoint;
use crate::entry::Entry;
use crate::keys::LogKeys;
use crate::receipt::{Receipt, ReceiptError};
use crate::tree;

/// The first line.
pub const MAGIC: &str = "strongroom/v1/certificate-of-destruction";
/// The longest certificate, in bytes.
pub const MAX_LEN: usize = 1 << 30;
/// The parameter of the entry that holds the head's SHA-256.
pub const DETAIL: &str = "certificate";

/// Why a certificate was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It is not of its form.
    #[error("{0}")]
    Malformed(&'static str),
    /// The entry is not the one that holds this head.
    #[error("the entry does not hold the digest of this head")]
    Head,
    /// A part is not what the head names.
    #[error("part {0} is not the one that the head names")]
    Part(usize),
    /// The proof does not hold.
    #[error("the proof: {0}")]
    Proof(#[from] ReceiptError),
}

impl CertificateError {
    /// Whose fault it is: of whoever wrote the bytes.
    pub fn fault(&self) -> Fault {
        Fault::Hostile
    }
}

/// A certificate whose proof holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The key that was destroyed, as the head and the entry name it.
    pub key: String,
    /// When, as the entry says.
    pub time: String,
    /// Lines of the head, without the first.
    pub head: Vec<String>,
    /// The tree in which the entry stands.
    pub checkpoint: Checkpoint,
}

/// A part as a head names it, from 1: `part <n> <SHA-256> <bytes>`.
pub fn part_line(number: usize, body: &str) -> String {
    format!("part {number} {} {}\n", tree::sha256(body.as_bytes()), body.len())
}

/// The file, from its sections. Heads and parts end with a line end and have no empty lines.
pub fn joined(head: &str, parts: &str, entry: &str, proof: &str) -> String {
    format!("{head}\n{parts}\n{entry}\n\n{proof}")
}

/// Checks a certificate against the log's keys. It needs nothing else.
///
/// # Errors
/// [`CertificateError`].
pub fn check(text: &str, keys: &LogKeys) -> Result<Checked, CertificateError> {
    let malformed = CertificateError::Malformed;
    if text.len() > MAX_LEN {
        return Err(malformed("longer than 1 GiB"));
    }
    let (head, rest) = text.split_once("\n\n").ok_or(malformed("no parts"))?;
    let (mut parts, rest) = rest.split_once("\n\n").ok_or(malformed("no entry"))?;
    let (entry, proof) = rest.split_once("\n\n").ok_or(malformed("no proof"))?;
    let mut lines = head.lines();
    if lines.next() != Some(MAGIC) {
        return Err(malformed("not a certificate of destruction"));
    }
    let lines: Vec<String> = lines.map(str::to_owned).collect();
    let parsed = Entry::parse(entry.as_bytes()).map_err(|_| malformed("the entry is not one"))?;
    let digest = tree::sha256(format!("{head}\n").as_bytes()).to_string();
    if parsed.detail.get(DETAIL) != Some(&digest) {
        return Err(CertificateError::Head);
    }
    let key = lines.iter().find_map(|line| line.strip_prefix("key ")).ok_or(malformed("no key is named"))?;
    if parsed.subject.get("key").map(String::as_str) != Some(key) {
        return Err(CertificateError::Head);
    }
    let named: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("part ")).collect();
    for (number, line) in (1..).zip(&named) {
        let wrong = CertificateError::Part(number);
        let len = line.rsplit(' ').next().and_then(|len| len.parse::<usize>().ok());
        // The last line end went with the empty line behind the section.
        let is_last = number == named.len();
        let len = len.and_then(|len| len.checked_sub(usize::from(is_last))).ok_or_else(|| wrong.clone())?;
        let (body, rest) = parts.split_at_checked(len).ok_or_else(|| wrong.clone())?;
        let body = if is_last { format!("{body}\n") } else { body.to_owned() };
        if part_line(number, &body).trim_end().strip_prefix("part ") != Some(*line) {
            return Err(wrong);
        }
        parts = rest;
    }
    if !parts.is_empty() {
        return Err(CertificateError::Part(named.len() + 1));
    }
    let checkpoint = Receipt::parse(proof.as_bytes())?.verify(entry.as_bytes(), keys)?;
    Ok(Checked { key: key.to_owned(), time: parsed.time, head: lines, checkpoint })
}
