//! Reading ranges of a segment of 1 GiB that is open: microseconds a range, against a plain read of the same length from a plain file.
//!
//! CPU time, which is wall time here as nothing waits, and which other work on the machine blurs less. Random offsets, one thread, through the local depot in memory; every range is verified and compared.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a bench stops at any failure")]

#[expect(dead_code, reason = "shared with the other bench")]
mod bench;

use std::os::unix::fs::FileExt;

use bench::{BLOCK, Shared, cpu_seconds};
use depot::sealed::{Scratch, SegmentReader, SegmentWriter};
use depot::{Key, Local};
use seal::secret::PackKey;
use seal::segment::{GROUP_LEN, SegmentContext};
use testkit::fault::Dice;

const READS: usize = 5000;

fn main() {
    let mib: u64 = std::env::var("STRONGROOM_BENCH_MIB").ok().and_then(|mib| mib.parse().ok()).unwrap_or(1024);
    let len = mib << 20;
    let folder = Shared::new("range");
    let plain = folder.random("plain", len);
    let local = Local::create(&folder.0.join("depot")).expect("depot");
    let (key, pack_key) = (Key::new([1; 16], [1; 16]), PackKey::generate().expect("randomness"));
    let context = SegmentContext { vault: [1; 16], pack: [2; 16], index: 0 };
    let mut scratch = Scratch::default();
    let writer = SegmentWriter::create(&local, &key, seal::Suite::Default, &pack_key, &context).expect("create");
    let mut block = vec![0; BLOCK];
    for at in (0..len).step_by(BLOCK) {
        plain.read_exact_at(&mut block, at).expect("read");
        writer.write(at / GROUP_LEN as u64, &block, &mut scratch).expect("seal");
    }
    let info = writer.finish(len).expect("finish");

    println!("segment of {mib} MiB, {READS} reads at random offsets, microseconds of CPU: p50 (p99)");
    println!("{:>8} {:>18} {:>18} {:>22}", "bytes", "plain read", "verified range", "opened for each read");
    for size in [64, 4096, 65_536, 1 << 20] {
        let mut dice = Dice::new(size as u64);
        let (mut expected, mut got) = (vec![0; size], vec![0; size]);
        let (mut plain_times, mut times, mut cold_times) = (Vec::new(), Vec::new(), Vec::new());
        let warm = SegmentReader::open(&local, &key, &pack_key, &context, info).expect("open");
        warm.load_tree(&mut scratch).expect("tree");
        for n in 0..READS {
            let offset = dice.below(len - size as u64);
            plain_times.push(micros(|| plain.read_exact_at(&mut expected, offset).expect("read")));
            times.push(micros(|| warm.read(offset, &mut got, &mut scratch).expect("range")));
            assert!(expected == got, "the range differs");
            if n % 10 == 0 {
                cold_times.push(micros(|| {
                    let reader = SegmentReader::open(&local, &key, &pack_key, &context, info).expect("open");
                    reader.read(offset, &mut got, &mut scratch).expect("range");
                }));
            }
        }
        println!("{size:>8} {:>18} {:>18} {:>22}", show(plain_times), show(times), show(cold_times));
    }
}

fn micros(work: impl FnOnce()) -> f64 {
    let start = cpu_seconds();
    work();
    (cpu_seconds() - start) * 1e6
}

fn show(mut times: Vec<f64>) -> String {
    times.sort_by(f64::total_cmp);
    format!("{:.1} ({:.1})", times[times.len() / 2], times[times.len() * 99 / 100])
}
