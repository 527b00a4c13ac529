//! Receipts: one entry's offline proof, C2SP `tlog-proof` (`spec/log.md#proofs`).

use std::fmt::Write as _;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::keys::LogKeys;
use crate::proof::{self, MAX_PATH, ProofError};
use crate::tree::{self, Hash};
use crate::{Fault, note, text};

/// The longest receipt.
pub const MAX_LEN: usize = note::MAX_LEN + 2 * MAX_EXTRA_LEN;
/// The longest extra data, before encoding.
pub const MAX_EXTRA_LEN: usize = 65_536;

const HEADER: &str = "c2sp.org/tlog-proof@v1\n";

/// Why a receipt was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Not a `tlog-proof`.
    #[error("not a receipt")]
    Malformed,
    /// The checkpoint in it was refused.
    #[error("the receipt's checkpoint is refused")]
    Checkpoint(#[from] CheckpointError),
    /// The proof does not hold for this entry.
    #[error("the receipt does not prove this entry")]
    Proof(#[from] ProofError),
}

impl ReceiptError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        Fault::Hostile
    }
}

/// The proof that an entry stands in a signed tree. Nothing in it is authentic before [`Self::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Data that the proof does not authenticate.
    pub extra: Option<Vec<u8>>,
    /// The entry's index.
    pub index: u64,
    /// The inclusion path, the leaf's sibling first.
    pub path: Vec<Hash>,
    /// The signed checkpoint, verbatim.
    pub checkpoint: Vec<u8>,
}

impl Receipt {
    /// Reads a receipt.
    ///
    /// # Errors
    /// [`ReceiptError::Malformed`]; the checkpoint in it is not read yet.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReceiptError> {
        Self::parse_inner(bytes).ok_or(ReceiptError::Malformed)
    }

    fn parse_inner(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_LEN)?;
        let (head, checkpoint) = text.strip_prefix(HEADER)?.split_once("\n\n")?;
        let mut lines = head.split('\n');
        let mut line = lines.next()?;
        let mut extra = None;
        if let Some(base64) = line.strip_prefix("extra ") {
            extra = Some(text::from_base64(base64, MAX_EXTRA_LEN)?);
            line = lines.next()?;
        }
        let index = text::decimal(line.strip_prefix("index ")?, tree::MAX_SIZE - 1)?;
        let mut path = Vec::new();
        for line in lines {
            if path.len() == MAX_PATH {
                return None;
            }
            path.push(Hash::from_bytes(text::base64_array(line)?));
        }
        Some(Self { extra, index, path, checkpoint: checkpoint.as_bytes().to_vec() })
    }

    /// The text of the receipt, for a file named `*.tlog-proof`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = String::from(HEADER);
        if let Some(extra) = &self.extra {
            out.push_str("extra ");
            out.push_str(&text::base64(extra));
            out.push('\n');
        }
        let written = writeln!(out, "index {}", self.index);
        debug_assert!(written.is_ok(), "writing to a string");
        for hash in &self.path {
            out.push_str(&text::base64(hash.as_bytes()));
            out.push('\n');
        }
        out.push('\n');
        let mut out = out.into_bytes();
        out.extend_from_slice(&self.checkpoint);
        out
    }

    /// Checks that `entry` stands at [`Self::index`] in the tree that both keys signed; gives the checkpoint.
    ///
    /// # Errors
    /// [`ReceiptError::Checkpoint`] or [`ReceiptError::Proof`].
    pub fn verify(&self, entry: &[u8], keys: &LogKeys) -> Result<Checkpoint, ReceiptError> {
        let checkpoint = keys.open(&self.checkpoint)?;
        proof::verify_inclusion(&tree::leaf(entry), self.index, checkpoint.size, &self.path, &checkpoint.root)?;
        Ok(checkpoint)
    }
}
