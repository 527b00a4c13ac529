//! Checkpoints: who, how many, which root (`spec/log.md#checkpoint`).

use std::fmt;

use crate::proof::Head;
use crate::tree::{Hash, MAX_SIZE};
use crate::{Fault, text};

/// Why a checkpoint or origin was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not exactly the three lines origin, size, root.
    #[error("not a checkpoint")]
    Malformed,
    /// Not `strongroom/<vault id>/<log number>`, or of another log.
    #[error("not the origin of this log")]
    Origin,
    /// The note is malformed, or its signatures do not verify.
    #[error("the signed note is refused")]
    Note(#[from] crate::note::NoteError),
}

impl CheckpointError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        Fault::Hostile
    }
}

/// The identity of a log: `strongroom/<vault id>/<log number>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    vault: [u8; 16],
    log: u64,
}

impl Origin {
    /// The origin of a vault's log; log numbers start at 1.
    ///
    /// # Errors
    /// [`CheckpointError::Origin`] when the number is 0 or above 2^53.
    pub fn new(vault: [u8; 16], log: u64) -> Result<Self, CheckpointError> {
        if log == 0 || log > 1 << 53 { Err(CheckpointError::Origin) } else { Ok(Self { vault, log }) }
    }

    /// Reads an origin.
    ///
    /// # Errors
    /// [`CheckpointError::Origin`].
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let inner = || {
            let (vault, log) = text.strip_prefix("strongroom/")?.split_once('/')?;
            Self::new(text::hex_array(vault)?, text::decimal(log, 1 << 53)?).ok()
        };
        inner().ok_or(CheckpointError::Origin)
    }

    /// The vault's id.
    pub fn vault(&self) -> &[u8; 16] {
        &self.vault
    }

    /// The log's number.
    pub fn log(&self) -> u64 {
        self.log
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "strongroom/{}/{}", hex::encode(self.vault), self.log)
    }
}

/// A tree head under its log's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log.
    pub origin: Origin,
    /// How many entries.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

impl Checkpoint {
    /// Reads the text of a checkpoint; extension lines are refused.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`] or [`CheckpointError::Origin`].
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.split('\n');
        let parts = (lines.next(), lines.next(), lines.next(), lines.next(), lines.next());
        let (Some(origin), Some(size), Some(root), Some(""), None) = parts else {
            return Err(CheckpointError::Malformed);
        };
        Ok(Self {
            origin: Origin::parse(origin)?,
            size: text::decimal(size, MAX_SIZE).ok_or(CheckpointError::Malformed)?,
            root: text::base64_array(root).map(Hash::from_bytes).ok_or(CheckpointError::Malformed)?,
        })
    }

    /// Size and root.
    pub fn head(&self) -> Head {
        Head { size: self.size, root: self.root }
    }
}

impl fmt::Display for Checkpoint {
    /// The note text: three lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, text::base64(self.root.as_bytes()))
    }
}
