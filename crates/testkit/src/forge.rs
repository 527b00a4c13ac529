//! What somebody seals who holds a key: chunks with valid tags, which only a digest can refuse.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "for tests: it fails aloud")]

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};

const HEADER_LEN: usize = 56;

/// Seals `plain` as chunk `index` of a stored message (`spec/format.md#chunked-encryption`) under its own salt: same key, same nonce, a
/// valid tag.
///
/// # Panics
/// If the header of `stored` was not made with this key and context.
#[must_use]
pub fn chunk(key: &[u8; 32], stored: &[u8], context: &[u8], index: u64, plain: &[u8]) -> Vec<u8> {
    let info = [&b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0"[..], &stored[..24], context].concat();
    let okm = expand(key, &info);
    assert_eq!(okm[44..76], stored[24..HEADER_LEN], "the message key is derived as the format says");
    let mut nonce: [u8; 12] = okm[32..44].try_into().expect("12 bytes");
    for (byte, number) in nonce[4..].iter_mut().zip(index.to_be_bytes()) {
        *byte ^= number;
    }
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &okm[..32]).expect("a key"));
    let mut sealed = plain.to_vec();
    let nonce = Nonce::assume_unique_for_key(nonce);
    cipher.seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed).expect("a sealed chunk");
    sealed
}

/// HKDF-Expand with SHA-256 to 96 bytes.
fn expand(key: &[u8], info: &[u8]) -> Vec<u8> {
    let key = Key::new(HMAC_SHA256, key);
    let mut okm: Vec<u8> = Vec::new();
    for n in 1..=3 {
        let before = okm[okm.len().saturating_sub(32)..].to_vec();
        okm.extend_from_slice(sign(&key, &[&before, info, &[n]].concat()).as_ref());
    }
    okm
}
