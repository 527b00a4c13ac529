//! Logs to test with.

use std::collections::HashMap;
use std::sync::OnceLock;

use log::edge::Edge;
use log::keys::{LogKeys, Signers};
use log::proof::Head;
use log::source::MemoryTiles;
use log::tree::{self, Hash};

pub const ORIGIN: &str = "strongroom/000102030405060708090a0b0c0d0e0f/1";
pub const TIME: u64 = 1_800_000_000;

pub fn signers() -> &'static Signers {
    static SIGNERS: OnceLock<Signers> = OnceLock::new();
    SIGNERS.get_or_init(|| Signers::from_seeds(ORIGIN, &[1; 32], &[2; 32]).unwrap())
}

pub fn keys() -> &'static LogKeys {
    signers().keys()
}

/// Entries of various lengths, all different.
pub fn entry(index: u64) -> Vec<u8> {
    let len = 1 + usize::try_from(index.wrapping_mul(2_654_435_761) % 90).unwrap();
    let mut entry = format!("entry {index} ").into_bytes();
    entry.resize(entry.len() + len, b'x');
    entry
}

pub fn entries(range: std::ops::Range<u64>) -> impl Iterator<Item = Vec<u8>> {
    range.map(entry)
}

/// A signed log of `size` entries, appended in batches of the given sizes in turn.
pub fn log_in_batches(size: u64, batches: &[u64]) -> (MemoryTiles, Head) {
    let mut tiles = MemoryTiles::default();
    let mut edge = Edge::default();
    for batch in batches.iter().cycle() {
        if edge.size() == size {
            break;
        }
        let extension = edge.extend(entries(edge.size()..(edge.size() + batch).min(size))).unwrap();
        tiles.insert_all(extension.files);
        edge = extension.edge;
    }
    let head = Head { size, root: edge.root() };
    sign(&mut tiles, &head);
    (tiles, head)
}

pub fn log_of(size: u64) -> (MemoryTiles, Head) {
    log_in_batches(size, &[u64::MAX / 2])
}

pub fn sign(tiles: &mut MemoryTiles, head: &Head) {
    tiles.0.insert("checkpoint".to_owned(), signers().sign(head.size, &head.root, TIME).unwrap());
}

/// RFC 6962 section 2.1, word by word.
pub struct Naive {
    leaves: Vec<Hash>,
    known: HashMap<(usize, usize), Hash>,
}

impl Naive {
    pub fn new(size: u64) -> Self {
        Self { leaves: entries(0..size).map(|entry| tree::leaf(&entry)).collect(), known: HashMap::new() }
    }

    pub fn leaf(&self, index: usize) -> Hash {
        self.leaves[index]
    }

    pub fn mth(&mut self, start: usize, end: usize) -> Hash {
        if let Some(hash) = self.known.get(&(start, end)) {
            return *hash;
        }
        let hash = match end - start {
            0 => tree::empty_root(),
            1 => self.leaves[start],
            n => {
                let k = Self::k(n);
                tree::node(&self.mth(start, start + k), &self.mth(start + k, end))
            }
        };
        self.known.insert((start, end), hash);
        hash
    }

    pub fn path(&mut self, m: usize, start: usize, end: usize) -> Vec<Hash> {
        let n = end - start;
        if n == 1 {
            return Vec::new();
        }
        let k = Self::k(n);
        if m < k {
            let mut path = self.path(m, start, start + k);
            path.push(self.mth(start + k, end));
            path
        } else {
            let mut path = self.path(m - k, start + k, end);
            path.push(self.mth(start, start + k));
            path
        }
    }

    pub fn subproof(&mut self, m: usize, start: usize, end: usize, whole: bool) -> Vec<Hash> {
        let n = end - start;
        if m == n {
            return if whole { Vec::new() } else { vec![self.mth(start, end)] };
        }
        let k = Self::k(n);
        if m <= k {
            let mut proof = self.subproof(m, start, start + k, whole);
            proof.push(self.mth(start + k, end));
            proof
        } else {
            let mut proof = self.subproof(m - k, start + k, end, false);
            proof.push(self.mth(start, start + k));
            proof
        }
    }

    /// The largest power of two smaller than `n`.
    fn k(n: usize) -> usize {
        let mut k = 1;
        while k * 2 < n {
            k *= 2;
        }
        k
    }
}
