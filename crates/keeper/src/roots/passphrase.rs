//! A root derived from a passphrase, by Argon2id or PBKDF2 as its parameters say.

use super::{RootProvider, Secret, Software, Wrapper};
use crate::error::{Error, Result};
use crate::vault::RootKind;
use api::terms::{KeyId, VaultId};
use seal::passphrase::{self, Params};
use seal::wrap::WrapContext;

/// A root derived from a passphrase.
pub(crate) struct PassphraseRoot(Software);

impl std::fmt::Debug for PassphraseRoot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PassphraseRoot({})", self.0.id)
    }
}

impl PassphraseRoot {
    /// Derives the root; takes the time and memory that the parameters say.
    pub(crate) fn derive(params: &Params, phrase: &[u8], vault: VaultId, id: KeyId) -> Result<Self> {
        let key = params.derive(phrase, vault.as_bytes()).map_err(|error| match error {
            passphrase::Error::Length => Error::RootRefused("a passphrase has 1 to 4096 bytes"),
            passphrase::Error::Malformed(_) => Error::VaultFile("its passphrase parameters are out of bounds"),
            passphrase::Error::Entropy(_) => Error::Random,
            passphrase::Error::Derivation(_) => Error::Internal("the passphrase could not be stretched"),
        })?;
        Ok(Self(Software::new(id, key)))
    }
}

impl Wrapper for PassphraseRoot {
    fn id(&self) -> KeyId {
        self.0.id
    }
    fn wrap(&self, context: &WrapContext, secret: &Secret) -> Result<Vec<u8>> {
        self.0.wrap(context, secret)
    }
}

impl RootProvider for PassphraseRoot {
    fn kind(&self) -> RootKind {
        RootKind::Passphrase
    }
    fn unwrap(&self, context: &WrapContext, wrapped: &[u8]) -> Result<Secret> {
        self.0.unwrap(context, wrapped)
    }
    fn tag(&self, message: &[u8]) -> [u8; 32] {
        self.0.tag(message)
    }
}
