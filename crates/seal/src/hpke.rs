//! HPKE (RFC 9180), base mode, single shot: the suite's hybrid KEM, HKDF-SHA-256 (1), AES-256-GCM (2).
//!
//! The key schedule is ours, on `aws-lc-rs` primitives. Both KEMs are ML-KEM-768 beside a Diffie-Hellman, joined in the same way: X-Wing
//! (0x647a, `draft-connolly-cfrg-xwing-kem`) with X25519, MLKEM768-P256 (0x0050, `draft-irtf-cfrg-concrete-hybrid-kems-04`,
//! `draft-ietf-hpke-pq-05`) with P-256. The tests hold all of it to the `hpke` crate and to published vectors.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{Algorithm, ECDH_P256, PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::encoding::{AsBigEndian as _, Curve25519SeedBin, EcPrivateKeyBin};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use aws_lc_rs::kem::{Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_768};
use zeroize::Zeroizing;

use crate::secret::SharedSecret;
use crate::{Fault, Suite, hash};

/// Length of a private key, in bytes, in both suites: ML-KEM-768 decapsulation key, then private key of the group.
pub const PRIVATE_KEY_LEN: usize = ML_KEM_PRIVATE_LEN + GROUP_PRIVATE_LEN;

/// Length of a public key of the suite's KEM, in bytes.
pub const fn public_key_len(suite: Suite) -> usize {
    ML_KEM_PUBLIC_LEN + Hybrid::of(suite).point_len
}

/// Length of an encapsulated key of the suite's KEM, in bytes.
pub const fn enc_len(suite: Suite) -> usize {
    ML_KEM_CIPHERTEXT_LEN + Hybrid::of(suite).point_len
}

/// What tells the hybrid KEMs apart.
struct Hybrid {
    /// Its number in HPKE's registry.
    id: u16,
    group: &'static Algorithm,
    /// Length of a public key of the group, in bytes.
    point_len: usize,
    label: &'static [u8],
}

impl Hybrid {
    const fn of(suite: Suite) -> Self {
        match suite {
            Suite::Default => Self { id: 0x647a, group: &X25519, point_len: 32, label: br"\.//^\" },
            Suite::Nist => Self { id: 0x0050, group: &ECDH_P256, point_len: 65, label: b"MLKEM768-P256" },
        }
    }

    /// The peer's public key of the group. A point of P-256 has the one form that the KEM knows, uncompressed: the library takes others.
    fn point<'a>(&self, bytes: &'a [u8]) -> Result<UnparsedPublicKey<&'a [u8]>, Failed> {
        let uncompressed = self.point_len == 32 || bytes.first() == Some(&4);
        if bytes.len() == self.point_len && uncompressed {
            Ok(UnparsedPublicKey::new(self.group, bytes))
        } else {
            Err(Failed)
        }
    }

    /// The combiner of both KEMs (draft-connolly-cfrg-xwing-kem, section 5.3; `C2PRICombiner` of draft-irtf-cfrg-hybrid-kems).
    fn combine(&self, ml_kem: &[u8], shared: &[u8], ct: &[u8], public: &[u8]) -> SharedSecret {
        SharedSecret::from_bytes(Box::new(hash::sha3_256(&[ml_kem, shared, ct, public, self.label])))
    }
}

const ML_KEM_PUBLIC_LEN: usize = 1_184;
const ML_KEM_PRIVATE_LEN: usize = 2_400;
/// Of both groups.
const GROUP_PRIVATE_LEN: usize = 32;
/// Where a decapsulation key holds its encapsulation key (FIPS 203, section 7.1).
const ML_KEM_PUBLIC_AT: usize = 1_152;
const ML_KEM_CIPHERTEXT_LEN: usize = 1_088;
const KDF_ID: u16 = 1;
const AEAD_ID: u16 = 2;
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
    suite: Suite,
    ml_kem: DecapsulationKey,
    group: PrivateKey,
    public: Box<[u8]>,
}

impl std::fmt::Debug for OneTimeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OneTimeKey({:?}, ..)", self.suite)
    }
}

impl OneTimeKey {
    /// A fresh pair for the suite's KEM.
    ///
    /// # Errors
    /// [`Failed`] when the library gives no key.
    pub fn generate(suite: Suite) -> Result<Self, Failed> {
        let ml_kem = DecapsulationKey::generate(&ML_KEM_768).map_err(|_| Failed)?;
        let group = PrivateKey::generate(Hybrid::of(suite).group).map_err(|_| Failed)?;
        let public = ml_kem.encapsulation_key().and_then(|key| key.key_bytes()).map_err(|_| Failed)?;
        Self::from_parts(suite, ml_kem, group, public.as_ref())
    }

    fn from_parts(
        suite: Suite,
        ml_kem: DecapsulationKey,
        group: PrivateKey,
        ml_kem_public: &[u8],
    ) -> Result<Self, Failed> {
        let point = group.compute_public_key().map_err(|_| Failed)?;
        let public = [ml_kem_public, point.as_ref()].concat().into_boxed_slice();
        if public.len() == public_key_len(suite) { Ok(Self { suite, ml_kem, group, public }) } else { Err(Failed) }
    }

    /// The pair with these expanded secrets, for vectors.
    #[cfg(test)]
    pub(crate) fn from_secrets(
        suite: Suite,
        ml_kem: &[u8],
        group: &[u8],
        ml_kem_public: &[u8],
    ) -> Result<Self, Failed> {
        let ml_kem = DecapsulationKey::new(&ML_KEM_768, ml_kem).map_err(|_| Failed)?;
        let group = PrivateKey::from_private_key(Hybrid::of(suite).group, group).map_err(|_| Failed)?;
        Self::from_parts(suite, ml_kem, group, ml_kem_public)
    }

    /// Both private keys, for whoever seals them.
    ///
    /// # Security
    /// A recovery key is the one that is kept; it is sealed at once.
    pub(crate) fn expose_private(&self) -> Result<Zeroizing<Vec<u8>>, Failed> {
        let ml_kem = self.ml_kem.key_bytes().map_err(|_| Failed)?;
        let mut out = Zeroizing::new(Vec::with_capacity(PRIVATE_KEY_LEN));
        out.extend_from_slice(ml_kem.as_ref());
        match self.suite {
            Suite::Default => {
                let group: Curve25519SeedBin<'_> = self.group.as_be_bytes().map_err(|_| Failed)?;
                out.extend_from_slice(group.as_ref());
            }
            Suite::Nist => {
                let group: EcPrivateKeyBin<'_> = self.group.as_be_bytes().map_err(|_| Failed)?;
                out.extend_from_slice(group.as_ref());
            }
        }
        if out.len() == PRIVATE_KEY_LEN { Ok(out) } else { Err(Failed) }
    }

    /// The pair of both private keys.
    pub(crate) fn from_private(suite: Suite, private: &[u8]) -> Result<Self, Failed> {
        let (ml_kem, group) = private.split_at_checked(ML_KEM_PRIVATE_LEN).ok_or(Failed)?;
        let public = ml_kem.get(ML_KEM_PUBLIC_AT..ML_KEM_PUBLIC_AT + ML_KEM_PUBLIC_LEN).ok_or(Failed)?;
        let key = DecapsulationKey::new(&ML_KEM_768, ml_kem).map_err(|_| Failed)?;
        let group = PrivateKey::from_private_key(Hybrid::of(suite).group, group).map_err(|_| Failed)?;
        Self::from_parts(suite, key, group, public)
    }

    /// Whose KEM it is for.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The public half, [`public_key_len`] bytes: ML-KEM-768 encapsulation key, then public key of the group.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    pub(crate) fn decapsulate(&self, enc: &[u8]) -> Result<SharedSecret, Failed> {
        let kem = Hybrid::of(self.suite);
        let (ml_kem_ct, ct) = enc.split_at_checked(ML_KEM_CIPHERTEXT_LEN).ok_or(Failed)?;
        let point = kem.point(ct)?;
        let ml_kem = self.ml_kem.decapsulate(Ciphertext::from(ml_kem_ct)).map_err(|_| Failed)?;
        let (_, public) = self.public.split_at_checked(ML_KEM_PUBLIC_LEN).ok_or(Failed)?;
        agree(&self.group, point, Failed, |shared| Ok(kem.combine(ml_kem.as_ref(), shared, ct, public)))
    }
}

/// A fresh shared secret for the holder of `public`, and what they need to find it.
pub(crate) fn encapsulate(suite: Suite, public: &[u8]) -> Result<(SharedSecret, Vec<u8>), Failed> {
    let kem = Hybrid::of(suite);
    let (ml_kem_public, public) = public.split_at_checked(ML_KEM_PUBLIC_LEN).ok_or(Failed)?;
    let point = kem.point(public)?;
    let key = EncapsulationKey::new(&ML_KEM_768, ml_kem_public).map_err(|_| Failed)?;
    let (ml_kem_ct, ml_kem) = key.encapsulate().map_err(|_| Failed)?;
    let ephemeral = PrivateKey::generate(kem.group).map_err(|_| Failed)?;
    let ct = ephemeral.compute_public_key().map_err(|_| Failed)?;
    let secret =
        agree(&ephemeral, point, Failed, |shared| Ok(kem.combine(ml_kem.as_ref(), shared, ct.as_ref(), public)))?;
    Ok((secret, [ml_kem_ct.as_ref(), ct.as_ref()].concat()))
}

/// RFC 9180 `SealBase` under a fresh encapsulation; appends the tag.
pub(crate) fn seal(
    suite: Suite,
    public: &[u8],
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<(Vec<u8>, Vec<u8>), Failed> {
    let (secret, enc) = encapsulate(suite, public)?;
    let (key, nonce) = key_schedule(suite, &secret, info)?;
    let mut out = Vec::with_capacity(plaintext.len() + AES_256_GCM.tag_len());
    out.extend_from_slice(plaintext);
    key.seal_in_place_append_tag(nonce, Aad::from(aad), &mut out).map_err(|_| Failed)?;
    Ok((enc, out))
}

/// RFC 9180 `OpenBase`.
pub(crate) fn open(
    key: &OneTimeKey,
    enc: &[u8],
    info: &[u8],
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let secret = key.decapsulate(enc)?;
    let (key, nonce) = key_schedule(key.suite, &secret, info)?;
    let mut out = Zeroizing::new(ciphertext.to_vec());
    let len = key.open_in_place(nonce, Aad::from(aad), &mut out).map_err(|_| Failed)?.len();
    out.truncate(len);
    Ok(out)
}

/// RFC 9180, section 5.1, mode base: the key and the nonce of sequence number 0.
fn key_schedule(suite: Suite, secret: &SharedSecret, info: &[u8]) -> Result<(LessSafeKey, Nonce), Failed> {
    let mut key = Zeroizing::new([0; 32]);
    let mut nonce = [0; NONCE_LEN];
    derive_key_and_nonce(&suite_id(Hybrid::of(suite).id, AEAD_ID), secret, info, key.as_mut_slice(), &mut nonce)?;
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
