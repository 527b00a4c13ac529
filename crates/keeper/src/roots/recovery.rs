//! A root behind a recovery code: it wraps at any time, by its public key, and unwraps only for whoever brings the code.

use super::{RootProvider, Secret, Software, Wrapper};
use crate::error::{Error, Result};
use crate::keys::sealed;
use crate::rows::Root;
use crate::vault::RootKind;
use api::terms::{KeyId, Suite, VaultId};
use seal::hpke::public_key_len;
use seal::recovery::{self, Code, Pair};
use seal::secret::RootKey;
use seal::wrap::{Kind, WrapContext};

/// The public half of a recovery root, as the vault holds it.
pub(crate) struct RecoveryWrapper {
    id: KeyId,
    suite: seal::Suite,
    public: Vec<u8>,
}

impl std::fmt::Debug for RecoveryWrapper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RecoveryWrapper({})", self.id)
    }
}

/// Both halves, of a new one or opened by its code.
pub(crate) struct RecoveryRoot {
    kind: RootKind,
    /// Tags what `vault.json` says of it.
    software: Software,
    pair: Pair,
    sealed: Vec<u8>,
}

impl std::fmt::Debug for RecoveryRoot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RecoveryRoot({})", self.software.id)
    }
}

impl RecoveryWrapper {
    /// From its row, whose MAC was checked; none for a root of another kind. Its key is of the suite of the vault's own keys.
    pub(crate) fn of(suite: Suite, row: &Root) -> Result<Option<Self>> {
        let Some(public) = &row.public else { return Ok(None) };
        let altered = || Error::Altered { table: "root", row: row.id.to_string() };
        let (suite, public) = (sealed(suite), hex::decode(public).map_err(|_| altered())?);
        if public.len() != public_key_len(suite) {
            return Err(altered());
        }
        Ok(Some(Self { id: row.id, suite, public }))
    }
}

impl RecoveryRoot {
    /// A fresh key behind a fresh code.
    pub(crate) fn create(code: &Code, suite: Suite, vault: VaultId, id: KeyId) -> Result<Self> {
        let suite = sealed(suite);
        let key = code.root_key(suite, vault.as_bytes()).map_err(failed)?;
        Self::behind(key, suite, vault, id, RootKind::Recovery)
    }

    /// A fresh pair whose private half this key opens.
    pub(crate) fn behind(key: RootKey, suite: seal::Suite, vault: VaultId, id: KeyId, kind: RootKind) -> Result<Self> {
        let software = Software::new(id, key);
        let pair = Pair::generate(suite).map_err(failed)?;
        let sealed = pair.seal(&software.key, vault.as_bytes(), id.as_bytes()).map_err(failed)?;
        Ok(Self { kind, software, pair, sealed })
    }

    /// The pair that this key opens.
    pub(crate) fn opened(
        key: RootKey,
        suite: seal::Suite,
        vault: VaultId,
        id: KeyId,
        private: &[u8],
        kind: RootKind,
    ) -> Result<Self> {
        let software = Software::new(id, key);
        let pair = Pair::open(&software.key, suite, vault.as_bytes(), id.as_bytes(), private);
        let pair = pair.map_err(|_| Error::RecoveryRefused(FOREIGN.to_owned()))?;
        Ok(Self { kind, software, pair, sealed: private.to_vec() })
    }

    /// The key that a code opens.
    ///
    /// # Errors
    /// [`Error::RecoveryRefused`] for a code of another vault, or one that was used.
    pub(crate) fn open(code: &Code, suite: Suite, vault: VaultId, id: KeyId, private: &[u8]) -> Result<Self> {
        let suite = sealed(suite);
        let key = code.root_key(suite, vault.as_bytes()).map_err(failed)?;
        Self::opened(key, suite, vault, id, private, RootKind::Recovery)
    }

    /// The public half, hexadecimal, for its row.
    pub(crate) fn public(&self) -> String {
        hex::encode(self.pair.public())
    }

    /// The sealed private half, for `vault.json`.
    pub(crate) fn sealed(&self) -> Vec<u8> {
        self.sealed.clone()
    }
}

/// What a code that is well formed and opens nothing is told.
pub(crate) const FOREIGN: &str = "it is the code of another vault, or was used already";

fn failed(error: recovery::Error) -> Error {
    match error {
        recovery::Error::Entropy(_) => Error::Random,
        recovery::Error::Form | recovery::Error::Slip(_) => Error::RecoveryRefused(error.to_string()),
        _ => Error::Internal("a recovery key could not be made"),
    }
}

/// Reads a code.
pub(crate) fn parse(text: &[u8]) -> Result<Code> {
    Code::parse(text).map_err(failed)
}

fn seal_to(suite: seal::Suite, public: &[u8], context: &WrapContext, secret: &Secret) -> Result<Vec<u8>> {
    let sealed = match secret {
        Secret::Domain(key) => recovery::wrap(suite, public, context, key),
        Secret::Archive(key) => recovery::wrap(suite, public, context, key),
        Secret::Seed(key) => recovery::wrap(suite, public, context, key),
        Secret::Mac(key) => recovery::wrap(suite, public, context, key),
        Secret::Field(key) => recovery::wrap(suite, public, context, key),
    };
    sealed.map_err(|_| Error::Internal("a key could not be sealed for recovery"))
}

impl Wrapper for RecoveryWrapper {
    fn id(&self) -> KeyId {
        self.id
    }
    fn wrap(&self, context: &WrapContext, secret: &Secret) -> Result<Vec<u8>> {
        seal_to(self.suite, &self.public, context, secret)
    }
}

impl Wrapper for RecoveryRoot {
    fn id(&self) -> KeyId {
        self.software.id
    }
    fn wrap(&self, context: &WrapContext, secret: &Secret) -> Result<Vec<u8>> {
        seal_to(self.pair.suite(), self.pair.public(), context, secret)
    }
}

impl RootProvider for RecoveryRoot {
    fn kind(&self) -> RootKind {
        self.kind
    }
    fn unwrap(&self, context: &WrapContext, wrapped: &[u8]) -> Result<Secret> {
        let opened = match context.kind {
            Kind::Domain => self.pair.unwrap(context, wrapped).map(Secret::Domain),
            Kind::Archive => self.pair.unwrap(context, wrapped).map(Secret::Archive),
            Kind::Mac => self.pair.unwrap(context, wrapped).map(Secret::Mac),
            Kind::Field => self.pair.unwrap(context, wrapped).map(Secret::Field),
            Kind::LogEd25519 | Kind::LogMlDsa44 | Kind::Release | Kind::Session => {
                self.pair.unwrap(context, wrapped).map(Secret::Seed)
            }
            Kind::Version | Kind::Value => Err(recovery::Error::Kind),
        };
        opened.map_err(|_| Error::Wrap { key: hex::encode(context.key_id) })
    }
    fn tag(&self, message: &[u8]) -> [u8; 32] {
        self.software.tag(message)
    }
}
