//! A root in a PKCS #11 token: its key never leaves the token, which wraps and unwraps inside.
//!
//! The token's key has the id of the root. It only encrypts, so the tag over `vault.json` is made with a key of its own, which the token
//! wraps and `vault.json` carries.

use super::{RootProvider, Secret, Software, Wrapper};
use crate::error::{Error, Result};
use crate::hash;
use crate::vault::{Passphrase, RootKind, TokenPlace};
use api::terms::{KeyId, VaultId};
use pkcs11::{LastTry, Place, Settings, Token, TokenError};
use seal::secret::RootKey;
use seal::wrap::WrapContext;

/// A root in a token, opened.
#[derive(Debug)]
pub(crate) struct TokenRoot {
    token: Token,
    /// Makes tags, and nothing else.
    tags: Software,
}

impl TokenRoot {
    /// Makes a key in a token; with what `vault.json` keeps of it.
    pub(crate) fn create(vault: VaultId, place: &TokenPlace, pin: &Passphrase) -> Result<(Self, Vec<u8>)> {
        let TokenPlace { module, token, serial, .. } = place;
        let made = Token::create(module, token, serial.as_deref(), pin, settings(place));
        let (token, place) = made.map_err(failed)?;
        let id = KeyId::from_bytes(place.key);
        let root = (|| {
            let key = RootKey::generate().map_err(|_| Error::Random)?;
            let params = token.wrap(&tag_context(vault, id), key.expose_bytes()).map_err(failed)?;
            Ok((Software::new(id, key), params))
        })();
        match root {
            Ok((tags, params)) => Ok((Self { token, tags }, params)),
            Err(error) => {
                // It wraps nothing: what is left of it is of no use.
                let _ = token.destroy_key();
                Err(error)
            }
        }
    }

    /// Finds the key in its token.
    pub(crate) fn open(vault: VaultId, id: KeyId, place: &TokenPlace, pin: &Passphrase, params: &[u8]) -> Result<Self> {
        let TokenPlace { module, token, serial, .. } = place.clone();
        let of = Place { module, token, serial, key: *id.as_bytes() };
        let token = Token::open(&of, pin, settings(place)).map_err(failed)?;
        let opened = token.unwrap(&tag_context(vault, id), params).map_err(|error| match error {
            TokenError::Refused => Error::RootRefused("the token's key is not this vault's, or vault.json was altered"),
            other => failed(other),
        })?;
        let key = RootKey::fill_with::<Error>(|out| {
            out.copy_from_slice(opened.as_slice());
            Ok(())
        })?;
        Ok(Self { token, tags: Software::new(id, key) })
    }
}

fn settings(place: &TokenPlace) -> Settings {
    let last_try = if place.asked { LastTry::Take } else { LastTry::Refuse };
    Settings { answer_within: place.deadline, open_within: place.deadline, last_try, ..Settings::default() }
}

fn tag_context(vault: VaultId, root: KeyId) -> Vec<u8> {
    hash::lp(&[b"strongroom/v1/root/tag", vault.as_bytes(), root.as_bytes()])
}

/// In the keeper's words. What may pass is told as such.
fn failed(error: TokenError) -> Error {
    let passes = matches!(
        error,
        TokenError::Missing(_)
            | TokenError::Removed(_)
            | TokenError::NoAnswer(_)
            | TokenError::Unhealthy
            | TokenError::Busy
            | TokenError::Answer { .. }
    );
    let spent = matches!(
        error,
        TokenError::PinWrong(_) | TokenError::PinLastTry | TokenError::PinLocked | TokenError::PinExpired
    );
    Error::RootSays { why: error.to_string(), passes, spent }
}

impl Wrapper for TokenRoot {
    fn id(&self) -> KeyId {
        self.tags.id
    }
    fn wrap(&self, context: &WrapContext, secret: &Secret) -> Result<Vec<u8>> {
        self.token.wrap(&context.for_device(), secret.expose_bytes()).map_err(failed)
    }
}

impl RootProvider for TokenRoot {
    fn kind(&self) -> RootKind {
        RootKind::Pkcs11
    }
    fn unwrap(&self, context: &WrapContext, wrapped: &[u8]) -> Result<Secret> {
        let opened = self.token.unwrap(&context.for_device(), wrapped).map_err(|error| match error {
            TokenError::Refused => Error::Wrap { key: hex::encode(context.key_id) },
            other => failed(other),
        })?;
        Secret::from_bytes(context.kind, &opened)
    }
    fn tag(&self, message: &[u8]) -> [u8; 32] {
        self.tags.tag(message)
    }
    fn calls(&self) -> u64 {
        self.token.calls()
    }
    fn give_up(&self) {
        // A key that wraps nothing.
        let _ = self.token.destroy_key();
    }
}
