//! The cache of file states: what it knows of a path is what its bytes say, and nothing once they were altered.
#![no_main]

use client::put::fuzz::{cached, sealed_cache};
use client::source::{Identity, MAX_PATH_LEN_BYTES};
use libfuzzer_sys::fuzz_target;
use std::collections::{BTreeMap, BTreeSet};

/// More than one chunk; beyond it is only slower.
const MAX_PLAIN_LEN: usize = 20_000;

fuzz_target!(|data: &[u8]| {
    assert!(cached(data, &BTreeSet::new()).is_none(), "nobody else seals a cache");
    let Some((edit, plain)) = data.split_first_chunk::<4>() else { return };
    if plain.len() > MAX_PLAIN_LEN {
        return;
    }
    let records = records(plain);
    let paths: BTreeSet<Vec<u8>> = records.iter().map(|(path, _)| path.clone()).collect();
    let sealed = sealed_cache(plain).expect("sealed");
    let known = cached(&sealed, &paths).expect("a cache");
    assert_eq!(known, expected(&records, &paths));

    let mut altered = sealed;
    let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) * usize::from(edit[2]).max(1) % altered.len();
    altered[at] ^= edit[3] | 1;
    if let Some(found) = cached(&altered, &paths) {
        assert!(found.iter().zip(&known).all(|(found, known)| found.is_none() || found == known));
    }
});

/// Whole records from the start: a length, a path, a state.
fn records(mut plain: &[u8]) -> Vec<(Vec<u8>, Identity)> {
    let mut records = Vec::new();
    while let Some((len, rest)) = plain.split_first_chunk::<2>() {
        let len = usize::from(u16::from_be_bytes(*len));
        let Some((path, rest)) = rest.split_at_checked(len).filter(|_| len <= MAX_PATH_LEN_BYTES) else { break };
        let Some((identity, rest)) = rest.split_first_chunk() else { break };
        records.push((path.to_vec(), Identity::from_bytes(identity)));
        plain = rest;
    }
    records
}

/// A record is found unless a greater path stands before it; the first of a name counts.
fn expected(records: &[(Vec<u8>, Identity)], paths: &BTreeSet<Vec<u8>>) -> Vec<Option<Identity>> {
    let mut found = BTreeMap::new();
    let mut greatest: Option<&Vec<u8>> = None;
    for (path, identity) in records {
        if greatest.is_none_or(|greatest| path > greatest) {
            found.insert(path, *identity);
            greatest = Some(path);
        }
    }
    paths.iter().map(|path| found.get(path).copied()).collect()
}
