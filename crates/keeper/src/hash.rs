//! Length-prefixed hashing and canonical JSON.

use crate::error::{Error, Result};
use aws_lc_rs::digest;

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, bytes);
    digest.as_ref().first_chunk::<32>().copied().unwrap_or_default()
}

/// Each field after its length as a big-endian u16. Fields here are labels, names and ids, far below 65,536 bytes.
pub(crate) fn lp(fields: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(fields.iter().map(|f| f.len() + 2).sum());
    for field in fields {
        debug_assert!(field.len() <= usize::from(u16::MAX), "a short field");
        out.extend_from_slice(&u16::try_from(field.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend_from_slice(field);
    }
    out
}

/// Appends a long field after its length as a big-endian u32.
pub(crate) fn push_long(out: &mut Vec<u8>, field: &[u8]) {
    debug_assert!(u32::try_from(field.len()).is_ok(), "at most 4 GiB");
    out.extend_from_slice(&u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(field);
}

/// Lower-case hexadecimal. Made at once, and not digit by digit: these are on the way of every key that is wrapped again.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    let mut digits = vec![0; bytes.len() * 2];
    // INVARIANT: there are two digits for each byte, and they are ASCII.
    let _ = hex::encode_to_slice(bytes, &mut digits);
    String::from_utf8(digits).unwrap_or_default()
}

/// What hexadecimal digits stand for.
pub(crate) fn of_hex(digits: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; digits.len() / 2];
    base16ct::mixed::decode(digits, &mut bytes).ok()?;
    Some(bytes)
}

/// The same of so many bytes.
pub(crate) fn array_of_hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let read = base16ct::mixed::decode(digits, &mut bytes).ok()?.len();
    (read == N).then_some(bytes)
}

/// RFC 8785 JSON.
pub(crate) fn canonical_json(value: &serde_json::Value) -> Result<Vec<u8>> {
    log::jcs::to_vec(value).map_err(|error| Error::bad("a value to record", error.to_string()))
}
