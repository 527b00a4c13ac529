//! Reading `vectors/*.json` (`spec/format.md#vectors`).

use serde::Deserialize;

/// Byte i is (seed + 7 i + i div 251) mod 256.
#[derive(Deserialize, Clone, Copy)]
pub struct Pattern {
    pub len: u64,
    pub seed: u64,
}

impl Pattern {
    pub fn bytes(self) -> Vec<u8> {
        (0..self.len).map(|i| (self.seed + 7 * i + i / 251) as u8).collect()
    }
}

/// One edit of stored bytes: at `at`, `remove` bytes go and `insert` comes.
#[derive(Deserialize)]
pub struct Splice {
    at: usize,
    remove: usize,
    insert: String,
}

pub fn edited(bytes: &[u8], splices: &[Splice]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for splice in splices {
        bytes.splice(splice.at..splice.at + splice.remove, unhex(&splice.insert));
    }
    bytes
}

pub fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

pub fn array<const N: usize>(text: &str) -> [u8; N] {
    unhex(text).try_into().unwrap()
}
