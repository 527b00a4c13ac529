//! What the service says of a key.

use super::answer;
use super::{Error, Result};
use serde::Deserialize;

/// Where a key stands, as AWS names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum KeyState {
    /// Being made.
    Creating,
    /// In use.
    Enabled,
    /// Shut, and can be opened again.
    Disabled,
    /// Waits to be destroyed.
    PendingDeletion,
    /// Waits for its material.
    PendingImport,
    /// Waits for its replicas to go.
    PendingReplicaDeletion,
    /// Its store is cut off.
    Unavailable,
    /// Its primary region is being moved.
    Updating,
    /// A state that AWS did not have when this was written.
    #[serde(other)]
    Unknown,
}

/// The health of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    state: KeyState,
    fits: bool,
}

impl Health {
    /// Its state.
    pub fn state(&self) -> KeyState {
        self.state
    }

    /// Whether it encrypts and decrypts symmetrically.
    pub fn fits(&self) -> bool {
        self.fits
    }

    /// Whether it can be used now. AWS uses a key while it moves its primary region.
    pub fn is_usable(&self) -> bool {
        self.fits && matches!(self.state, KeyState::Enabled | KeyState::Updating)
    }

    /// Why it cannot be used, as the failing call would say.
    ///
    /// # Errors
    /// [`Error::KeyUnfit`], [`Error::KeyDisabled`] or [`Error::KeyShut`].
    pub fn check(&self) -> Result<()> {
        match self.state {
            _ if !self.fits => Err(Error::KeyUnfit),
            _ if self.is_usable() => Ok(()),
            KeyState::Disabled => Err(Error::KeyDisabled),
            state => Err(Error::KeyShut(answer::said_of(&format!("{state:?}")))),
        }
    }
}

/// The answer of `DescribeKey`.
#[derive(Deserialize)]
pub(super) struct Described {
    #[serde(rename = "KeyMetadata")]
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "Arn")]
    arn: String,
    #[serde(rename = "KeyState")]
    state: KeyState,
    #[serde(rename = "KeyUsage")]
    usage: String,
    #[serde(rename = "KeySpec")]
    spec: String,
}

impl Described {
    pub(super) fn arn(&self) -> &str {
        &self.metadata.arn
    }

    pub(super) fn into_health(self) -> Health {
        let Metadata { state, usage, spec, .. } = self.metadata;
        Health { state, fits: usage == "ENCRYPT_DECRYPT" && spec == answer::ALGORITHM }
    }
}
