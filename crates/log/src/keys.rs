//! The two keys of a log: signing and verifying checkpoints (`spec/log.md#checkpoint`).

use std::fmt;

use aws_lc_rs::signature::{self, Ed25519KeyPair, KeyPair as _, PqdsaKeyPair, UnparsedPublicKey};
use zeroize::Zeroizing;

use crate::Fault;
use crate::checkpoint::{Checkpoint, CheckpointError, Origin};
use crate::cosign;
use crate::note::{Algorithm, Note, NoteError, VerifierKey};
use crate::tree::Hash;

/// Why keys could not be made or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The origin is not that of a log.
    #[error("not the origin of a log")]
    Origin,
    /// The two verifier keys are not an Ed25519 and an ML-DSA-44 key under one origin.
    #[error("not the two keys of one log")]
    Pair,
    /// The cryptographic library refused.
    #[error("the cryptographic library refused the key or the message")]
    Library,
}

impl KeyError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Origin | Self::Pair => Fault::Misuse,
            Self::Library => Fault::Bug,
        }
    }
}

/// The signing keys of one log. The library wipes its copies when they are dropped.
pub struct Signers {
    ed25519: Ed25519KeyPair,
    mldsa: PqdsaKeyPair,
    keys: LogKeys,
}

impl fmt::Debug for Signers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signers({}, [redacted])", self.keys.origin)
    }
}

impl Signers {
    /// The signers made from two independent 32-byte seeds.
    ///
    /// # Errors
    /// [`KeyError::Origin`], or [`KeyError::Library`] which a working library does not give.
    pub fn from_seeds(origin: &str, ed25519: &[u8; 32], mldsa: &[u8; 32]) -> Result<Self, KeyError> {
        let origin = Origin::parse(origin).map_err(|_| KeyError::Origin)?;
        let (ed25519_seed, mldsa_seed) = (Zeroizing::new(*ed25519), Zeroizing::new(*mldsa));
        let ed25519 = Ed25519KeyPair::from_seed_unchecked(ed25519_seed.as_slice()).map_err(|_| KeyError::Library)?;
        let mldsa = PqdsaKeyPair::from_seed(&signature::ML_DSA_44_SIGNING, mldsa_seed.as_slice())
            .map_err(|_| KeyError::Library)?;
        let name = origin.to_string();
        let key = |algorithm, bytes| VerifierKey::new(&name, algorithm, bytes).map_err(|_| KeyError::Library);
        let keys = LogKeys {
            ed25519: key(Algorithm::Ed25519, ed25519.public_key().as_ref())?,
            mldsa: key(Algorithm::MlDsa44, mldsa.public_key().as_ref())?,
            origin,
        };
        Ok(Self { ed25519, mldsa, keys })
    }

    /// The public halves.
    pub fn keys(&self) -> &LogKeys {
        &self.keys
    }

    /// Signs a checkpoint with both keys; `time` in POSIX seconds goes into the ML-DSA line.
    ///
    /// # Security
    /// The caller must never sign a head that is smaller than, or inconsistent with, one it signed before.
    ///
    /// # Errors
    /// [`KeyError::Library`], which a working library does not give.
    pub fn sign(&self, size: u64, root: &Hash, time: u64) -> Result<Vec<u8>, KeyError> {
        let checkpoint = Checkpoint { origin: self.keys.origin.clone(), size, root: *root };
        let time = time.min(cosign::MAX_TIME);
        let mut note = Note::new(checkpoint.to_string()).map_err(|_| KeyError::Library)?;
        let ed25519 = self.ed25519.sign(note.text().as_bytes()).as_ref().to_vec();
        let message = cosign::message(self.keys.mldsa.name(), time, &checkpoint).map_err(|_| KeyError::Library)?;
        let mut timestamped = time.to_be_bytes().to_vec();
        let mut signed = vec![0; cosign::MLDSA_SIGNATURE_LEN];
        self.mldsa.sign(&message, &mut signed).map_err(|_| KeyError::Library)?;
        timestamped.append(&mut signed);
        note.push(&self.keys.ed25519, ed25519);
        note.push(&self.keys.mldsa, timestamped);
        Ok(note.to_bytes())
    }
}

/// The public keys of one log: what a verifier must hold beforehand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKeys {
    origin: Origin,
    ed25519: VerifierKey,
    mldsa: VerifierKey,
}

impl LogKeys {
    /// From the two vkeys, which must carry the log's origin as their name.
    ///
    /// # Errors
    /// [`KeyError::Pair`] or [`KeyError::Origin`].
    pub fn from_vkeys(ed25519: &str, mldsa: &str) -> Result<Self, KeyError> {
        let ed25519 = VerifierKey::parse(ed25519).map_err(|_| KeyError::Pair)?;
        let mldsa = VerifierKey::parse(mldsa).map_err(|_| KeyError::Pair)?;
        let algorithms = (ed25519.algorithm(), mldsa.algorithm());
        if algorithms != (Algorithm::Ed25519, Algorithm::MlDsa44) || ed25519.name() != mldsa.name() {
            return Err(KeyError::Pair);
        }
        let origin = Origin::parse(ed25519.name()).map_err(|_| KeyError::Origin)?;
        Ok(Self { origin, ed25519, mldsa })
    }

    /// The log.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The Ed25519 key.
    pub fn ed25519(&self) -> &VerifierKey {
        &self.ed25519
    }

    /// The ML-DSA-44 key.
    pub fn mldsa(&self) -> &VerifierKey {
        &self.mldsa
    }

    /// Opens a signed checkpoint: both lines must be there, once, and verify.
    ///
    /// # Errors
    /// [`CheckpointError`]; nothing of a refused checkpoint may be used.
    pub fn open(&self, bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
        self.open_timed(bytes).map(|(checkpoint, _)| checkpoint)
    }

    /// As [`Self::open`], with the time of the ML-DSA line in POSIX seconds.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_timed(&self, bytes: &[u8]) -> Result<(Checkpoint, u64), CheckpointError> {
        let note = Note::parse(bytes)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        if checkpoint.origin != self.origin {
            return Err(CheckpointError::Origin);
        }
        let ed25519 = note.signature_by(&self.ed25519)?;
        verify(&self.ed25519, note.text().as_bytes(), ed25519)?;
        let (time, mldsa) = cosign::split(note.signature_by(&self.mldsa)?)?;
        let message = cosign::message(self.mldsa.name(), time, &checkpoint)?;
        verify(&self.mldsa, &message, mldsa)?;
        Ok((checkpoint, time))
    }
}

/// Whether this key signed exactly this message; ML-DSA under the empty context.
fn verify(key: &VerifierKey, message: &[u8], signature: &[u8]) -> Result<(), NoteError> {
    let verified = match key.algorithm() {
        Algorithm::Ed25519 => UnparsedPublicKey::new(&signature::ED25519, key.as_bytes()).verify(message, signature),
        Algorithm::MlDsa44 => UnparsedPublicKey::new(&signature::ML_DSA_44, key.as_bytes()).verify(message, signature),
    };
    verified.map_err(|_| NoteError::Signature)
}

#[cfg(test)]
mod tests;
