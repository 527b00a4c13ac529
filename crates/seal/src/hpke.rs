//! HPKE (RFC 9180), base mode, single shot: X-Wing (0x647a), HKDF-SHA-256 (1), AES-256-GCM (2).
//!
//! The key schedule is ours, on `aws-lc-rs` primitives; X-Wing is `draft-connolly-cfrg-xwing-kem`. The tests hold both to the `hpke`
//! crate and to published vectors.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use aws_lc_rs::kem::{Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_768};
use zeroize::Zeroizing;

use crate::secret::SharedSecret;
use crate::{Fault, hash};

/// The KEM's number: X-Wing.
pub const KEM_ID: u16 = 0x647a;
/// Length of a public key, in bytes.
pub const PUBLIC_KEY_LEN: usize = ML_KEM_PUBLIC_LEN + X25519_LEN;
/// Length of an encapsulated key, in bytes.
pub const ENC_LEN: usize = ML_KEM_CIPHERTEXT_LEN + X25519_LEN;

const ML_KEM_PUBLIC_LEN: usize = 1_184;
const ML_KEM_CIPHERTEXT_LEN: usize = 1_088;
const X25519_LEN: usize = 32;
const KDF_ID: u16 = 1;
const AEAD_ID: u16 = 2;
const XWING_LABEL: &[u8] = br"\.//^\";
const NONCE_LEN: usize = 12;

/// Encapsulation, decapsulation or the cipher failed; which, nobody learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the envelope's key exchange failed")]
pub struct Failed;

impl Failed {
    /// Whose fault this is: the peer's bytes are not what they claim.
    pub fn fault(self) -> Fault {
        Fault::Hostile
    }
}

/// A key pair that receives one envelope and is dropped.
pub struct OneTimeKey {
    ml_kem: DecapsulationKey,
    x25519: PrivateKey,
    public: Box<[u8; PUBLIC_KEY_LEN]>,
}

impl std::fmt::Debug for OneTimeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OneTimeKey(..)")
    }
}

impl OneTimeKey {
    /// A fresh pair.
    ///
    /// # Errors
    /// [`Failed`] when the library gives no key.
    pub fn generate() -> Result<Self, Failed> {
        let ml_kem = DecapsulationKey::generate(&ML_KEM_768).map_err(|_| Failed)?;
        let x25519 = PrivateKey::generate(&X25519).map_err(|_| Failed)?;
        let public = ml_kem.encapsulation_key().and_then(|key| key.key_bytes()).map_err(|_| Failed)?;
        Self::from_parts(ml_kem, x25519, public.as_ref())
    }

    fn from_parts(ml_kem: DecapsulationKey, x25519: PrivateKey, ml_kem_public: &[u8]) -> Result<Self, Failed> {
        let x25519_public = x25519.compute_public_key().map_err(|_| Failed)?;
        let public = [ml_kem_public, x25519_public.as_ref()].concat().into_boxed_slice();
        Ok(Self { ml_kem, x25519, public: public.try_into().map_err(|_| Failed)? })
    }

    /// The pair with these expanded secrets, for vectors.
    #[cfg(test)]
    pub(crate) fn from_secrets(ml_kem: &[u8], x25519: &[u8], ml_kem_public: &[u8]) -> Result<Self, Failed> {
        let ml_kem = DecapsulationKey::new(&ML_KEM_768, ml_kem).map_err(|_| Failed)?;
        let x25519 = PrivateKey::from_private_key(&X25519, x25519).map_err(|_| Failed)?;
        Self::from_parts(ml_kem, x25519, ml_kem_public)
    }

    /// The public half: ML-KEM-768 encapsulation key, then X25519 public key.
    pub fn public(&self) -> &[u8; PUBLIC_KEY_LEN] {
        &self.public
    }

    pub(crate) fn decapsulate(&self, enc: &[u8; ENC_LEN]) -> Result<SharedSecret, Failed> {
        let (ml_kem_ct, x25519_ct) = enc.split_at(ML_KEM_CIPHERTEXT_LEN);
        let ml_kem = self.ml_kem.decapsulate(Ciphertext::from(ml_kem_ct)).map_err(|_| Failed)?;
        let (_, x25519_public) = self.public.split_at(ML_KEM_PUBLIC_LEN);
        agree(&self.x25519, UnparsedPublicKey::new(&X25519, x25519_ct), Failed, |x25519| {
            Ok(combine(ml_kem.as_ref(), x25519, x25519_ct, x25519_public))
        })
    }
}

/// A fresh shared secret for the holder of `public`, and what they need to find it.
pub(crate) fn encapsulate(public: &[u8; PUBLIC_KEY_LEN]) -> Result<(SharedSecret, Box<[u8; ENC_LEN]>), Failed> {
    let (ml_kem_public, x25519_public) = public.split_at(ML_KEM_PUBLIC_LEN);
    let key = EncapsulationKey::new(&ML_KEM_768, ml_kem_public).map_err(|_| Failed)?;
    let (ml_kem_ct, ml_kem) = key.encapsulate().map_err(|_| Failed)?;
    let ephemeral = PrivateKey::generate(&X25519).map_err(|_| Failed)?;
    let x25519_ct = ephemeral.compute_public_key().map_err(|_| Failed)?;
    let secret = agree(&ephemeral, UnparsedPublicKey::new(&X25519, x25519_public), Failed, |x25519| {
        Ok(combine(ml_kem.as_ref(), x25519, x25519_ct.as_ref(), x25519_public))
    })?;
    let enc = [ml_kem_ct.as_ref(), x25519_ct.as_ref()].concat().into_boxed_slice();
    Ok((secret, enc.try_into().map_err(|_| Failed)?))
}

/// X-Wing's combiner (draft-connolly-cfrg-xwing-kem, section 5.3).
fn combine(ml_kem: &[u8], x25519: &[u8], x25519_ct: &[u8], x25519_public: &[u8]) -> SharedSecret {
    SharedSecret::from_bytes(Box::new(hash::sha3_256(&[ml_kem, x25519, x25519_ct, x25519_public, XWING_LABEL])))
}

/// RFC 9180 `SealBase` under a fresh encapsulation; appends the tag.
pub(crate) fn seal(
    public: &[u8; PUBLIC_KEY_LEN],
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<(Box<[u8; ENC_LEN]>, Vec<u8>), Failed> {
    let (secret, enc) = encapsulate(public)?;
    let (key, nonce) = key_schedule(&secret, info)?;
    let mut out = Vec::with_capacity(plaintext.len() + AES_256_GCM.tag_len());
    out.extend_from_slice(plaintext);
    key.seal_in_place_append_tag(nonce, Aad::from(aad), &mut out).map_err(|_| Failed)?;
    Ok((enc, out))
}

/// RFC 9180 `OpenBase`.
pub(crate) fn open(
    key: &OneTimeKey,
    enc: &[u8; ENC_LEN],
    info: &[u8],
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let secret = key.decapsulate(enc)?;
    let (key, nonce) = key_schedule(&secret, info)?;
    let mut out = Zeroizing::new(ciphertext.to_vec());
    let len = key.open_in_place(nonce, Aad::from(aad), &mut out).map_err(|_| Failed)?.len();
    out.truncate(len);
    Ok(out)
}

/// RFC 9180, section 5.1, mode base: the key and the nonce of sequence number 0.
fn key_schedule(secret: &SharedSecret, info: &[u8]) -> Result<(LessSafeKey, Nonce), Failed> {
    let mut key = Zeroizing::new([0; 32]);
    let mut nonce = [0; NONCE_LEN];
    derive_key_and_nonce(&suite_id(KEM_ID, AEAD_ID), secret, info, key.as_mut_slice(), &mut nonce)?;
    let key = UnboundKey::new(&AES_256_GCM, key.as_slice()).map_err(|_| Failed)?;
    Ok((LessSafeKey::new(key), Nonce::assume_unique_for_key(nonce)))
}

fn derive_key_and_nonce(
    suite: &[u8],
    secret: &SharedSecret,
    info: &[u8],
    key: &mut [u8],
    nonce: &mut [u8],
) -> Result<(), Failed> {
    let psk_id_hash = labeled_extract(suite, &[], b"psk_id_hash", &[]);
    let info_hash = labeled_extract(suite, &[], b"info_hash", info);
    let mode_base = [0];
    let context = [mode_base.as_slice(), &psk_id_hash, &info_hash].concat();
    let secret = Salt::new(HKDF_SHA256, secret.expose_bytes()).extract(&labeled_ikm(suite, b"secret", &[]));
    labeled_expand(suite, &secret, b"key", &context, key)?;
    labeled_expand(suite, &secret, b"base_nonce", &context, nonce)
}

fn suite_id(kem: u16, aead: u16) -> Vec<u8> {
    [b"HPKE".as_slice(), &kem.to_be_bytes(), &KDF_ID.to_be_bytes(), &aead.to_be_bytes()].concat()
}

fn labeled_ikm(suite: &[u8], label: &[u8], ikm: &[u8]) -> Vec<u8> {
    [b"HPKE-v1".as_slice(), suite, label, ikm].concat()
}

/// `LabeledExtract` of public values: HKDF-Extract is HMAC with the salt as its key.
fn labeled_extract(suite: &[u8], salt: &[u8], label: &[u8], ikm: &[u8]) -> [u8; 32] {
    use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
    let mut out = [0; 32];
    out.copy_from_slice(sign(&Key::new(HMAC_SHA256, salt), &labeled_ikm(suite, label, ikm)).as_ref());
    out
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn labeled_expand(suite: &[u8], prk: &Prk, label: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), Failed> {
    let len = u16::try_from(out.len()).map_err(|_| Failed)?.to_be_bytes();
    let info: [&[u8]; 5] = [&len, b"HPKE-v1", suite, label, info];
    prk.expand(&info, Length(out.len())).and_then(|okm| okm.fill(out)).map_err(|_| Failed)
}

#[cfg(test)]
mod tests;
