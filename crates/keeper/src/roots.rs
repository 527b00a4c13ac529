//! Roots: what wraps domain keys and the vault's own keys.
//!
//! A provider never shows its key; what it wraps is opaque. Hardware and cloud providers implement the same trait.

mod add;
mod change;
#[cfg(feature = "aws-kms")]
mod cloud;
mod drill;
mod escrow;
mod join;
mod keyfile;
mod list;
mod passphrase;
pub(crate) mod recovery;
mod remove;
mod retire;
mod set;
mod token;
mod upkeep;

pub(crate) use add::{add as added, useful};
pub(crate) use change::change as changed;
#[cfg(feature = "aws-kms")]
pub(crate) use cloud::KmsRoot;
pub(crate) use drill::{drill as drilled, scheduled as drill_all};
pub(crate) use escrow::{create as escrowed, rehearse as rehearsed, unlock as unlock_escrow};
pub(crate) use join::{Joining, New, lacking};
pub(crate) use keyfile::{KeyfileRoot, make_private_folder};
pub(crate) use list::{all as items, list as listed};
pub(crate) use passphrase::PassphraseRoot;
pub(crate) use recovery::{RecoveryRoot, RecoveryWrapper};
pub(crate) use remove::{remove as removed, shut};
pub(crate) use retire::{forget, of_state, orphans, retire};
pub(crate) use set::{Finding, Roots, Wrapped};
pub(crate) use token::TokenRoot;
pub(crate) use upkeep::{due, fell_behind, fill, see_to, tell};

use crate::error::{Error, Result};
use crate::keys::sealed;
use crate::resident;
use crate::vault::RootKind;
use api::terms::{KeyId, Suite, VaultId};
use seal::secret::{ArchiveKey, DomainKey, FieldKey, MacKey, RootKey, SigningSeed};
use seal::wrap::{self, Kind, WrapContext};

/// A secret that a root wraps.
#[derive(Debug)]
pub(crate) enum Secret {
    Domain(DomainKey),
    Archive(ArchiveKey),
    Seed(SigningSeed),
    Mac(MacKey),
    Field(FieldKey),
}

impl Secret {
    /// A fresh secret of the type that a kind wants.
    pub(crate) fn generate(kind: Kind) -> Result<Self> {
        let random = |_| Error::Random;
        Ok(match kind {
            Kind::Domain => Self::Domain(DomainKey::generate().map_err(random)?),
            Kind::Archive => Self::Archive(ArchiveKey::generate().map_err(random)?),
            Kind::Mac => Self::Mac(MacKey::generate().map_err(random)?),
            Kind::Field => Self::Field(FieldKey::generate().map_err(random)?),
            Kind::LogEd25519 | Kind::LogMlDsa44 | Kind::Release | Kind::Session => {
                Self::Seed(SigningSeed::generate().map_err(random)?)
            }
            Kind::Version | Kind::Value => return Err(Error::Internal("roots do not wrap what domain keys do")),
        })
    }

    /// One that a root outside this process opened.
    pub(crate) fn from_bytes(kind: Kind, bytes: &[u8; 32]) -> Result<Self> {
        fn copied(bytes: &[u8; 32]) -> impl FnOnce(&mut [u8; 32]) -> Result<()> {
            |out| {
                out.copy_from_slice(bytes);
                Ok(())
            }
        }
        let secret = match kind {
            Kind::Domain => Self::Domain(DomainKey::fill_with(copied(bytes))?),
            Kind::Archive => Self::Archive(ArchiveKey::fill_with(copied(bytes))?),
            Kind::Mac => Self::Mac(MacKey::fill_with(copied(bytes))?),
            Kind::Field => Self::Field(FieldKey::fill_with(copied(bytes))?),
            Kind::LogEd25519 | Kind::LogMlDsa44 | Kind::Release | Kind::Session => {
                Self::Seed(SigningSeed::fill_with(copied(bytes))?)
            }
            Kind::Version | Kind::Value => return Err(Error::Internal("roots do not wrap what domain keys do")),
        };
        resident::keep(secret.expose_bytes());
        Ok(secret)
    }

    /// The bytes, for a fingerprint.
    pub(crate) fn expose_bytes(&self) -> &[u8; 32] {
        match self {
            Self::Domain(key) => key.expose_bytes(),
            Self::Archive(key) => key.expose_bytes(),
            Self::Seed(key) => key.expose_bytes(),
            Self::Mac(key) => key.expose_bytes(),
            Self::Field(key) => key.expose_bytes(),
        }
    }
}

/// The half of a root that wraps, which needs not be unlocked.
pub(crate) trait Wrapper: Send + Sync + std::fmt::Debug {
    /// Its id; wraps name it.
    fn id(&self) -> KeyId;
    /// Wraps a secret for one place.
    fn wrap(&self, context: &WrapContext, secret: &Secret) -> Result<Vec<u8>>;
}

/// A root of one vault, unlocked.
pub(crate) trait RootProvider: Wrapper {
    /// Its kind.
    fn kind(&self) -> RootKind;
    /// Opens what it wrapped for that place.
    fn unwrap(&self, context: &WrapContext, wrapped: &[u8]) -> Result<Secret>;
    /// A tag over public bytes that only this root can make.
    fn tag(&self, message: &[u8]) -> [u8; 32];
    /// How often something outside this process was asked to wrap or to open.
    fn calls(&self) -> u64 {
        0
    }
    /// Removes the key of a root that does not come in.
    fn give_up(&self) {}
}

/// What providers that hold their key in memory share.
pub(crate) struct Software {
    id: KeyId,
    key: RootKey,
}

impl std::fmt::Debug for Software {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Software({})", self.id)
    }
}

impl Software {
    fn new(id: KeyId, key: RootKey) -> Self {
        resident::keep(key.expose_bytes());
        Self { id, key }
    }

    fn wrap(&self, context: &WrapContext, secret: &Secret) -> Result<Vec<u8>> {
        let wrapped = match secret {
            Secret::Domain(key) => wrap::wrap(&self.key, context, key),
            Secret::Archive(key) => wrap::wrap(&self.key, context, key),
            Secret::Seed(key) => wrap::wrap(&self.key, context, key),
            Secret::Mac(key) => wrap::wrap(&self.key, context, key),
            Secret::Field(key) => wrap::wrap(&self.key, context, key),
        };
        wrapped.map_err(|_| Error::Internal("a key could not be wrapped"))
    }

    fn unwrap(&self, context: &WrapContext, wrapped: &[u8]) -> Result<Secret> {
        let opened = match context.kind {
            Kind::Domain => wrap::unwrap(&self.key, context, wrapped).map(Secret::Domain),
            Kind::Archive => wrap::unwrap(&self.key, context, wrapped).map(Secret::Archive),
            Kind::Mac => wrap::unwrap(&self.key, context, wrapped).map(Secret::Mac),
            Kind::Field => wrap::unwrap(&self.key, context, wrapped).map(Secret::Field),
            Kind::LogEd25519 | Kind::LogMlDsa44 | Kind::Release | Kind::Session => {
                wrap::unwrap(&self.key, context, wrapped).map(Secret::Seed)
            }
            Kind::Version | Kind::Value => Err(wrap::Error::Kind),
        };
        let opened = opened.map_err(|_| Error::Wrap { key: hex::encode(context.key_id) })?;
        resident::keep(opened.expose_bytes());
        Ok(opened)
    }

    fn tag(&self, message: &[u8]) -> [u8; 32] {
        use aws_lc_rs::hmac;
        let master = hmac::Key::new(hmac::HMAC_SHA256, self.key.expose_bytes());
        let derived = hmac::sign(&master, b"strongroom/v1/vault-file");
        let key = hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref());
        hmac::sign(&key, message).as_ref().first_chunk::<32>().copied().unwrap_or_default()
    }
}

/// The context of a wrap under a root, for a key that belongs to the vault as a whole.
pub(crate) fn context(suite: Suite, vault: VaultId, kind: Kind, key: KeyId, root: KeyId) -> WrapContext {
    WrapContext {
        suite: sealed(suite),
        vault: *vault.as_bytes(),
        kind,
        workspace: None,
        environment: None,
        class: None,
        artifact: None,
        version: None,
        key_id: *key.as_bytes(),
        wrapping_key_id: *root.as_bytes(),
        wrapping_key_version: 1,
    }
}
