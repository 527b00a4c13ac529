//! Ed25519 signatures (RFC 8032).

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use crate::secret::SigningSeed;
use crate::{Fault, derive};

/// Length of a signature, in bytes.
pub const SIGNATURE_LEN: usize = 64;

/// A signature.
pub type Signature = [u8; SIGNATURE_LEN];

/// The signature is not one of this key over these bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not valid")]
pub struct Invalid;

impl Invalid {
    /// Whose fault this is: whoever sent the bytes.
    pub fn fault(self) -> Fault {
        Fault::Hostile
    }
}

/// A key that signs.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// The key of this seed.
    ///
    /// # Errors
    /// [`derive::Failed`] when the library refuses, which it does for no seed.
    pub fn from_seed(seed: &SigningSeed) -> Result<Self, derive::Failed> {
        Ed25519KeyPair::from_seed_unchecked(seed.expose_bytes()).map(Self).map_err(|_| derive::Failed)
    }

    /// Its public half.
    pub fn verifying_key(&self) -> VerifyingKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        VerifyingKey(bytes)
    }

    /// Signs. The message must start with its own label.
    ///
    /// # Errors
    /// [`derive::Failed`].
    pub fn sign(&self, message: &[u8]) -> Result<Signature, derive::Failed> {
        let signature = self.0.try_sign(message).map_err(|_| derive::Failed)?;
        signature.as_ref().try_into().map_err(|_| derive::Failed)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// A key that verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VerifyingKey([u8; 32]);

impl VerifyingKey {
    /// The key with these bytes; bytes that are no point fail every verification.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Verifies.
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Invalid> {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).map_err(|_| Invalid)
    }
}
