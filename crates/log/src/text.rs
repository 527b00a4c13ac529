//! Strict text forms shared by notes, paths and entries.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// ASCII decimal without leading zeros, at most `max`.
pub(crate) fn decimal(text: &str, max: u64) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    if !canonical || text.is_empty() || text.len() > 20 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|&n| n <= max)
}

/// Standard base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Standard base64 with padding, canonical, of at most `max` bytes.
pub(crate) fn from_base64(text: &str, max: usize) -> Option<Vec<u8>> {
    if text.len() > max.div_ceil(3).saturating_mul(4) {
        return None;
    }
    STANDARD.decode(text).ok().filter(|bytes| bytes.len() <= max)
}

/// Exactly `N` bytes of standard base64.
pub(crate) fn base64_array<const N: usize>(text: &str) -> Option<[u8; N]> {
    from_base64(text, N)?.try_into().ok()
}

/// Exactly `N` bytes of lower-case hexadecimal.
pub(crate) fn hex_array<const N: usize>(text: &str) -> Option<[u8; N]> {
    from_hex(text, N)?.try_into().ok()
}

/// At most `max` bytes of lower-case hexadecimal.
pub(crate) fn from_hex(text: &str, max: usize) -> Option<Vec<u8>> {
    if text.len() > max.saturating_mul(2) || text.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let mut bytes = vec![0; text.len() / 2];
    hex::decode_to_slice(text, &mut bytes).ok().map(|()| bytes)
}
