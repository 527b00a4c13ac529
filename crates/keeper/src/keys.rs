//! Keys: made, wrapped, found, opened.

pub(crate) mod archive;
pub(crate) mod check;
pub(crate) mod destroy;
pub(crate) mod domains;
pub(crate) mod drift;
pub(crate) mod list;
pub(crate) mod migrate;
pub(crate) mod named;
pub(crate) mod rotate;
pub(crate) mod shred;
pub(crate) mod state;
mod survive;
pub(crate) mod uses;
pub(crate) mod vault;

pub(crate) use domains::{Domains, Minted};
pub(crate) use vault::VaultKeys;

use crate::error::{Error, Result};
use crate::rows::Purpose;
use api::terms::{KeyId, Suite, VaultId};
use seal::wrap::Kind;

impl Purpose {
    /// The kind of its wraps.
    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::Domain => Kind::Domain,
            Self::Archive => Kind::Archive,
            Self::LogEd25519 => Kind::LogEd25519,
            Self::LogMldsa44 => Kind::LogMlDsa44,
            Self::Release => Kind::Release,
            Self::RowMac => Kind::Mac,
            Self::Field => Kind::Field,
        }
    }
}

/// The suite as the sealed format knows it.
pub(crate) const fn sealed(suite: Suite) -> seal::Suite {
    match suite {
        Suite::Default => seal::Suite::Default,
        Suite::Nist => seal::Suite::Nist,
    }
}

/// A key's public name, hexadecimal.
pub(crate) fn fingerprint(suite: Suite, vault: VaultId, id: KeyId, bytes: &[u8; 32]) -> Result<String> {
    seal::derive::fingerprint(bytes, sealed(suite), vault.as_bytes(), id.as_bytes())
        .map(hex::encode)
        .map_err(|_| Error::Internal("a fingerprint could not be derived"))
}

/// Checks a key that was unwrapped against the fingerprint of its row.
pub(crate) fn check_fingerprint(
    suite: Suite,
    vault: VaultId,
    id: KeyId,
    bytes: &[u8; 32],
    expected: &str,
) -> Result<()> {
    if fingerprint(suite, vault, id, bytes)? == expected { Ok(()) } else { Err(Error::Wrap { key: id.to_string() }) }
}
