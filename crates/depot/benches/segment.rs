//! Sealing and opening whole segments against a copy loop of two threads in the same run.
//!
//! *Warm* overwrites files that are there; *fresh* makes new ones through the local depot, as `put` does. Five interleaved runs, medians; the round
//! trip is compared byte for byte. `STRONGROOM_BENCH_MIB` bounds the size (default and most: 1024).
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a bench stops at any failure")]

mod bench;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bench::{BLOCK, Shared, Warm, copy, cpu_seconds, median, over_blocks};
use depot::sealed::{SegmentReader, SegmentWriter};
use depot::{Key, Local, Store};
use seal::secret::PackKey;
use seal::segment::{GROUP_LEN, SegmentContext, SegmentInfo};
use seal::tree::Digest;

const CONTEXT: SegmentContext = SegmentContext { vault: [1; 16], pack: [2; 16], index: 0 };
const RUNS: usize = 5;
const GROUPS: u64 = (BLOCK / GROUP_LEN) as u64;

fn main() {
    let most = std::env::var("STRONGROOM_BENCH_MIB").ok().and_then(|mib| mib.parse().ok()).unwrap_or(1024);
    println!(
        "GB/s of plaintext, 2 threads, memory to memory, medians of {RUNS}; ratios to the copy of the same kind; below, CPU seconds for a GB"
    );
    println!(
        "{:>6} | {:>6} {:>13} {:>13} {:>13} | {:>6} {:>13}",
        "MiB", "copy", "seal", "seal+plain", "open", "copy", "seal"
    );
    println!("{:>6} | {:^48} | {:^20}", "", "warm", "fresh");
    for mib in [1, 16, 256, 1024].into_iter().filter(|mib| *mib <= most) {
        measure(mib);
    }
}

fn measure(mib: u64) {
    let len = mib << 20;
    let folder = Shared::new("segment");
    let (plain, out, sealed) = (folder.random("plain", len), folder.file("out"), folder.file("sealed"));
    let warm = Warm { file: Arc::clone(&sealed), len: 0 };
    let pack_key = PackKey::generate().expect("randomness");
    // The first round allocates the files.
    copy(&plain, &out, len);
    seal(&warm, 0, &pack_key, &plain, len, false);
    let mut times = [const { Vec::new() }; 6];
    let mut cpu = [const { Vec::new() }; 6];
    let mut timed = |which: usize, work: &mut dyn FnMut() -> f64| {
        let before = cpu_seconds();
        times[which].push(work());
        cpu[which].push(cpu_seconds() - before);
    };
    for run in 0..RUNS {
        timed(0, &mut || copy(&plain, &out, len));
        timed(1, &mut || seal(&warm, 0, &pack_key, &plain, len, false).0);
        let mut info = None;
        timed(2, &mut || {
            let (seconds, sealed) = seal(&warm, 0, &pack_key, &plain, len, true);
            info = Some(sealed);
            seconds
        });
        let info = info.expect("sealed");
        out.write_all_at(&[0; BLOCK], 0).expect("write");
        timed(3, &mut || open(&Warm { len: info.stored_len(), ..warm.clone() }, &pack_key, info, &out, len));
        assert!(equal(&plain, &out, len), "the round trip differs");
        std::fs::remove_file(folder.0.join("fresh")).unwrap_or_default();
        timed(4, &mut || copy(&plain, &folder.file("fresh"), len));
        let local = Local::create(&folder.0.join(format!("depot-{run}"))).expect("depot");
        timed(5, &mut || seal(&local, run as u8, &pack_key, &plain, len, true).0);
        std::fs::remove_dir_all(folder.0.join(format!("depot-{run}"))).expect("remove");
    }
    let [copied, sealing, both, opening, fresh_copy, fresh] =
        times.map(|mut times| len as f64 / 1e9 / median(&mut times));
    println!(
        "{mib:>6} | {copied:>6.2} {sealing:>6.2} ({:.2}) {both:>6.2} ({:.2}) {opening:>6.2} ({:.2}) | {fresh_copy:>6.2} {fresh:>6.2} ({:.2})",
        sealing / copied,
        both / copied,
        opening / copied,
        fresh / fresh_copy,
    );
    let [copied, sealing, both, opening, fresh_copy, fresh] = cpu.map(|mut cpu| median(&mut cpu) / (len as f64 / 1e9));
    println!(
        "{:>6} | {copied:>6.2} {sealing:>6.2} ({:.2}) {both:>6.2} ({:.2}) {opening:>6.2} ({:.2}) | {fresh_copy:>6.2} {fresh:>6.2} ({:.2})",
        "cpu-s",
        copied / sealing,
        copied / both,
        copied / opening,
        fresh_copy / fresh,
    );
}

fn seal(
    store: &dyn Store,
    object: u8,
    pack_key: &PackKey,
    plain: &File,
    len: u64,
    digest_plain: bool,
) -> (f64, SegmentInfo) {
    let start = std::time::Instant::now();
    let writer =
        SegmentWriter::create(store, &Key::new([1; 16], [object; 16]), seal::Suite::Default, pack_key, &CONTEXT)
            .expect("create");
    over_blocks(len, |block, offset, now, thread| {
        let buffer = &mut thread.buffer[..now];
        plain.read_exact_at(buffer, offset).expect("read");
        if digest_plain {
            let mut leaves = [Digest::default(); GROUPS as usize];
            writer
                .write_digesting(block * GROUPS, buffer, &mut leaves[..now.div_ceil(GROUP_LEN)], &mut thread.scratch)
                .expect("seal");
        } else {
            writer.write(block * GROUPS, buffer, &mut thread.scratch).expect("seal");
        }
    });
    let info = writer.finish(len).expect("finish");
    (start.elapsed().as_secs_f64(), info)
}

fn open(store: &dyn Store, pack_key: &PackKey, info: SegmentInfo, out: &File, len: u64) -> f64 {
    let start = std::time::Instant::now();
    let reader = SegmentReader::open(store, &Key::new([1; 16], [0; 16]), pack_key, &CONTEXT, info).expect("open");
    over_blocks(len, |_, offset, now, thread| {
        let buffer = &mut thread.buffer[..now];
        reader.read(offset, buffer, &mut thread.scratch).expect("read");
        out.write_all_at(buffer, offset).expect("write");
    });
    start.elapsed().as_secs_f64()
}

fn equal(left: &File, right: &File, len: u64) -> bool {
    let (mut a, mut b) = (vec![0; BLOCK], vec![0; BLOCK]);
    (0..len).step_by(BLOCK).all(|at| {
        left.read_exact_at(&mut a, at).expect("read");
        right.read_exact_at(&mut b, at).expect("read");
        a == b
    })
}
