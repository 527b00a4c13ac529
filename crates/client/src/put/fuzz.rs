//! The parsers of what a put leaves on this disk, for the crate `fuzz/` (feature `fuzz`).

use super::cache::{CacheReader, context};
use super::draft::{Ended, Record, decoded};
use crate::source::Identity;
use seal::Suite;
use seal::chunked;
use seal::secret::MapKey;
use std::collections::BTreeSet;
use zeroize::Zeroizing;

const VAULT: [u8; 16] = [1; 16];
const VERSION: [u8; 16] = [2; 16];

/// A journal's record, once opened: what was read, written again.
pub fn journal_record(suite: Suite, bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (pack, key, segment, files, partial) = decoded(suite, bytes)?;
    let mut ended = Ended::default();
    files.iter().for_each(|file| ended.push(file));
    Record { pack: &pack, key: &key, segment: &segment, ended: &ended, partial: partial.as_ref() }.encoded()
}

/// A cache of file states around these bytes, sealed.
pub fn sealed_cache(plain: &[u8]) -> Option<Vec<u8>> {
    chunked::seal_all(key()?.expose_bytes(), &context(&VAULT, &VERSION)?, plain).ok()
}

/// What a sealed cache knows of each path; none if there is no such cache.
pub fn cached(sealed: &[u8], paths: &BTreeSet<Vec<u8>>) -> Option<Vec<Option<Identity>>> {
    let mut reader = CacheReader::over(sealed, sealed.len() as u64, &key()?, &VAULT, &VERSION)?;
    Some(paths.iter().map(|path| reader.at(path)).collect())
}

fn key() -> Option<MapKey> {
    MapKey::from_slice(&[3; 32]).ok()
}

#[cfg(test)]
mod tests;
