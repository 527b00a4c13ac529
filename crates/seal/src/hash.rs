//! The fixed hash functions of records and envelopes.

use aws_lc_rs::digest::{Algorithm, Context, SHA3_256, SHA256, digest};

/// The hash of one piece, in one call: less for each than a context costs.
pub(crate) fn sha256_of(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

fn hash(algorithm: &'static Algorithm, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(algorithm);
    parts.iter().for_each(|part| context.update(part));
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    hash(&SHA256, parts)
}

pub(crate) fn sha3_256(parts: &[&[u8]]) -> [u8; 32] {
    hash(&SHA3_256, parts)
}
