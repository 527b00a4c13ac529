//! HMAC-SHA-256 (RFC 2104), for database rows.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use subtle::ConstantTimeEq;

use crate::secret::MacKey;

/// Authenticates `message`, which must start with its own label (`label::lp`).
pub fn tag(key: &MacKey, message: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(sign(&Key::new(HMAC_SHA256, key.expose_bytes()), message).as_ref());
    out
}

/// Is `expected` the tag of `message`? Compared in constant time.
#[must_use]
pub fn verify(key: &MacKey, message: &[u8], expected: &[u8]) -> bool {
    tag(key, message).as_slice().ct_eq(expected).into()
}
