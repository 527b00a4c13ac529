//! How fast a log is appended to and fully verified from files: `cargo bench -p strongroom-log [-- ENTRIES]`.
//!
//! Entries are 900 bytes. The log lies in a temporary folder, so that what is read comes from the page cache. The yardstick of the same run is hashing the
//! leaves alone, in memory, on one thread.
#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::path::PathBuf;
use std::time::Instant;

use log::edge::Edge;
use log::keys::Signers;
use log::source::{SourceError, TileSource};
use log::tree::LeafHasher;
use log::verify::{self, Options};

const ENTRY_LEN: usize = 900;
const ROUNDS: usize = 5;

struct Folder(PathBuf);

impl TileSource for Folder {
    fn read(&self, path: &str, _max: usize) -> Result<Vec<u8>, SourceError> {
        std::fs::read(self.0.join(path)).map_err(|_| SourceError::Missing { path: path.to_owned() })
    }
}

fn main() {
    let entries = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000_u64);
    let folder = Folder(std::env::temp_dir().join(format!("strongroom-bench-{}", std::process::id())));
    let signers = Signers::from_seeds("strongroom/000102030405060708090a0b0c0d0e0f/1", &[1; 32], &[2; 32]).unwrap();
    let mut entry = vec![b'x'; ENTRY_LEN];
    let mut edge = Edge::default();
    let mut appending = 0.0;
    for from in (0..entries).step_by(4096) {
        let batch: Vec<_> = (from..(from + 4096).min(entries)).map(|n| with_number(&mut entry, n)).collect();
        let started = Instant::now();
        let extension = edge.extend(&batch).unwrap();
        appending += started.elapsed().as_secs_f64();
        for (tile, bytes) in &extension.files {
            let path = folder.0.join(tile.path());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        edge = extension.edge;
    }
    std::fs::write(folder.0.join("checkpoint"), signers.sign(edge.size(), &edge.root(), 1).unwrap()).unwrap();
    println!("append, in memory: {:>10.0} entries/s", entries as f64 / appending);
    let mut results = [Vec::new(), Vec::new(), Vec::new()];
    let [leaves, one, two] = &mut results;
    for _ in 0..ROUNDS {
        let mut hasher = LeafHasher::default();
        let started = Instant::now();
        for _ in 0..entries {
            std::hint::black_box(hasher.leaf(&entry));
        }
        leaves.push(started.elapsed().as_secs_f64());
        for (threads, times) in [(1, &mut *one), (2, &mut *two)] {
            let started = Instant::now();
            let report = verify::run(&folder, &Options { keys: signers.keys(), older: &[], threads }, None);
            times.push(started.elapsed().as_secs_f64());
            assert!(report.is_ok() && report.entries == entries, "{:?}", report.failures);
        }
    }
    let names = ["leaves alone, one thread", "verify, one thread", "verify, two threads"];
    for (name, times) in names.iter().zip(&mut results) {
        times.sort_by(f64::total_cmp);
        println!("{name}: {:>10.0} entries/s (median of {ROUNDS})", entries as f64 / times.get(ROUNDS / 2).unwrap());
    }
    std::fs::remove_dir_all(&folder.0).unwrap();
}

fn with_number(entry: &mut [u8], n: u64) -> Vec<u8> {
    if let Some(head) = entry.first_chunk_mut::<8>() {
        *head = n.to_be_bytes();
    }
    entry.to_vec()
}
