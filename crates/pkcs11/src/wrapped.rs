//! The bytes of a wrap: `version (1) | length of the IV (1) | IV | ciphertext (32) | tag (16)`.
//!
//! AES-256-GCM, the context is the additional data. The IV is 12 bytes, up to 16 where a token chooses its own.

use super::SECRET_LEN;
use super::error::{Result, TokenError};

const VERSION: u8 = 1;
pub(super) const TAG_LEN: usize = 16;
/// Ciphertext and tag.
pub(super) const BODY_LEN: usize = SECRET_LEN + TAG_LEN;
pub(super) const IV_LEN: usize = 12;
pub(super) const MAX_IV_LEN: usize = 16;

/// Length with an IV of 12 bytes.
pub const MIN_WRAPPED_LEN: usize = 2 + IV_LEN + BODY_LEN;
/// Length with an IV of 16 bytes.
pub const MAX_WRAPPED_LEN: usize = 2 + MAX_IV_LEN + BODY_LEN;

/// A wrap, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrapped {
    pub(super) iv: Vec<u8>,
    pub(super) body: Vec<u8>,
}

impl Wrapped {
    /// `None` for lengths that no wrap has.
    pub(super) fn new(iv: &[u8], body: &[u8]) -> Option<Self> {
        let fits = (IV_LEN..=MAX_IV_LEN).contains(&iv.len()) && body.len() == BODY_LEN;
        fits.then(|| Self { iv: iv.to_vec(), body: body.to_vec() })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(MAX_WRAPPED_LEN);
        out.push(VERSION);
        // INVARIANT: 12 to 16.
        out.push(u8::try_from(self.iv.len()).unwrap_or_default());
        out.extend_from_slice(&self.iv);
        out.extend_from_slice(&self.body);
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let [VERSION, iv_len, rest @ ..] = bytes else { return Err(TokenError::Refused) };
        let (iv, body) = rest.split_at_checked(usize::from(*iv_len)).ok_or(TokenError::Refused)?;
        Self::new(iv, body).ok_or(TokenError::Refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_two_lengths_and_one_version_decode() {
        for iv_len in 0..=20 {
            let made = Wrapped::new(&vec![7; iv_len], &[9; BODY_LEN]);
            assert_eq!(made.is_some(), (12..=16).contains(&iv_len));
            let Some(made) = made else { continue };
            let bytes = made.encode();
            assert_eq!(Wrapped::decode(&bytes), Ok(made));
            for cut in 0..bytes.len() {
                assert_eq!(Wrapped::decode(&bytes[..cut]), Err(TokenError::Refused));
            }
            assert_eq!(Wrapped::decode(&[&bytes[..], &[0]].concat()), Err(TokenError::Refused));
            for (place, other) in [(0, 0), (0, 2), (1, 11), (1, 17), (1, 255)] {
                let mut bytes = bytes.clone();
                bytes[place] = other;
                assert_eq!(Wrapped::decode(&bytes), Err(TokenError::Refused));
            }
        }
    }
}
