//! Speed of sealing and opening in memory, as ratios to a copy by as many threads in the same run.
//!
//! One JSON line for each measure. Runs are interleaved, medians reported, buffers allocated and touched before, and what was sealed
//! is opened and compared. `cargo bench -p strongroom-seal`; `SEAL_BENCH_MIB` and `SEAL_BENCH_RUNS` change size and repeats.

#![expect(clippy::indexing_slicing, reason = "a benchmark: a panic is how it fails")]

use std::hint::black_box;
use std::time::Instant;

use seal::Suite;
use seal::chunked::{self, CHUNK_LEN, SEALED_CHUNK_LEN};
use seal::secret::PackKey;
use seal::segment::{
    GROUP_LEN, Outboard, SEALED_GROUP_LEN, SegmentContext, SegmentInfo, SegmentOpener, SegmentSealer, sealed_groups_len,
};
use seal::tree::{self, Digest};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Groups that a thread takes at once: 1 MiB of plaintext.
const BLOCK_GROUPS: usize = 16;
const CONTEXT: SegmentContext = SegmentContext { vault: [1; 16], pack: [2; 16], index: 0 };

fn main() -> Outcome<()> {
    // `cargo test --benches` runs this too: then it only proves that it works.
    let testing = !std::env::args().any(|arg| arg == "--bench");
    let setting = |name: &str, default: usize| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default);
    let len = setting("SEAL_BENCH_MIB", if testing { 4 } else { 1024 }) << 20;
    let runs = setting("SEAL_BENCH_RUNS", if testing { 1 } else { 7 });
    for suite in Suite::ALL {
        println!("{{\"suite\":{}}}", suite.number());
        for threads in [1, 2] {
            throughput(suite, len, runs, threads)?;
        }
        range_reads(suite, len.min(256 << 20), if testing { 10 } else { 20_000 })?;
    }
    Ok(())
}

fn throughput(suite: Suite, len: usize, runs: usize, threads: usize) -> Outcome<()> {
    let key = PackKey::generate()?;
    let groups = len / GROUP_LEN;
    let plain = noise(len)?;
    // The bench keeps the last, empty group apart, so that every block is whole.
    let mut sealed = vec![1; sealed_groups_len(0, len)];
    let mut back = vec![1; len];
    let mut leaves = vec![Digest::default(); groups + 1];
    let mut plain_leaves = vec![Digest::default(); groups];
    let names = [
        "copy",
        "seal, cipher only",
        "seal, ciphertext digest",
        "seal, both digests",
        "open, tag and digest",
        "open, tag and both digests",
    ];
    let mut times = vec![Vec::new(); names.len()];
    for _ in 0..runs {
        times[0].push(timed(|| copy(&plain, &mut back, threads))?);
        times[1].push(timed(|| cipher_only(&key, &plain, &mut sealed, threads))?);
        for (measure, both) in [(2, false), (3, true)] {
            let sealer = SegmentSealer::new(suite, &key, &CONTEXT)?;
            let digests = both.then_some(plain_leaves.as_mut_slice());
            times[measure].push(timed(|| seal(&sealer, &plain, &mut sealed, &mut leaves[..groups], digests, threads))?);
            let mut end = [0; 16];
            sealer.seal_groups(groups as u64, &[], &mut end, &mut leaves[groups..])?;
            let (tail, info) = sealer.finish(&leaves)?;
            let outboard = Outboard::whole(info, &tail)?;
            let opener = SegmentOpener::new(&key, &CONTEXT, outboard, &sealed[..chunked::HEADER_LEN])?;
            back.fill(0);
            let mut seen = vec![Digest::default(); groups];
            let digests = both.then_some(seen.as_mut_slice());
            times[4 + usize::from(both)].push(timed(|| open(&opener, &sealed, &mut back, digests, threads))?);
            assert!(back == plain, "the round trip differs");
            assert!(!both || seen == plain_leaves, "the plaintext leaves differ");
        }
    }
    report(&names, &mut times, len, threads);
    Ok(())
}

/// A 2-thread copy loop with the same blocks: the yardstick.
fn copy(plain: &[u8], out: &mut [u8], threads: usize) -> Outcome<()> {
    let blocks = plain.chunks(BLOCK_GROUPS * GROUP_LEN).zip(out.chunks_mut(BLOCK_GROUPS * GROUP_LEN));
    in_threads(blocks.collect(), threads, |(from, to)| {
        to.copy_from_slice(from);
        Ok(())
    })
}

/// The cipher alone: each thread seals messages of its own, without a digest.
fn cipher_only(key: &PackKey, plain: &[u8], out: &mut [u8], threads: usize) -> Outcome<()> {
    let parts =
        plain.chunks(plain.len() / threads).zip(out.chunks_mut(plain.len() / CHUNK_LEN / threads * SEALED_CHUNK_LEN));
    in_threads(parts.take(threads).collect(), threads, |(from, to)| {
        let (mut sealer, _) = chunked::Sealer::new(key.expose_bytes(), b"bench")?;
        for (plain, sealed) in from.chunks(CHUNK_LEN).zip(to.chunks_mut(SEALED_CHUNK_LEN)) {
            sealer.seal_next(plain, sealed)?;
        }
        Ok(())
    })
}

fn seal(
    sealer: &SegmentSealer,
    plain: &[u8],
    out: &mut [u8],
    leaves: &mut [Digest],
    plain_leaves: Option<&mut [Digest]>,
    threads: usize,
) -> Outcome<()> {
    let mut plain_leaves = plain_leaves.map(|leaves| leaves.chunks_mut(BLOCK_GROUPS));
    let mut rest = out;
    let mut blocks = Vec::new();
    for (i, (plain, leaves)) in plain.chunks(BLOCK_GROUPS * GROUP_LEN).zip(leaves.chunks_mut(BLOCK_GROUPS)).enumerate()
    {
        let first = (i * BLOCK_GROUPS) as u64;
        let (sealed, later) = rest.split_at_mut(sealed_groups_len(first, plain.len()));
        rest = later;
        blocks.push((first, plain, sealed, leaves, plain_leaves.as_mut().and_then(Iterator::next)));
    }
    in_threads(blocks, threads, |(first, plain, sealed, leaves, digests)| {
        match digests {
            Some(digests) => sealer.seal_groups_digesting(first, plain, sealed, leaves, digests)?,
            None => sealer.seal_groups(first, plain, sealed, leaves)?,
        }
        Ok(())
    })
}

fn open(
    opener: &SegmentOpener,
    sealed: &[u8],
    out: &mut [u8],
    digests: Option<&mut [Digest]>,
    threads: usize,
) -> Outcome<()> {
    let info = opener.info();
    let mut digests = digests.map(|digests| digests.chunks_mut(BLOCK_GROUPS));
    let mut blocks = Vec::new();
    for (i, out) in out.chunks_mut(BLOCK_GROUPS * GROUP_LEN).enumerate() {
        let start = (i * BLOCK_GROUPS * GROUP_LEN) as u64;
        blocks.push((start..start + out.len() as u64, out, digests.as_mut().and_then(Iterator::next)));
    }
    in_threads(blocks, threads, |(range, out, digests)| {
        let stored = info.groups_range(&info.groups_of(&range));
        opener.open_range(range, &sealed[stored.start as usize..stored.end as usize], out)?;
        for (to, digest) in digests.into_iter().flatten().zip(tree::leaves(info.suite(), out)) {
            *to = digest;
        }
        Ok(())
    })
}

/// One 4 KiB read at a random place, verified, from memory: first with everything loaded, then with nothing.
fn range_reads(suite: Suite, len: usize, reads: usize) -> Outcome<()> {
    let key = PackKey::generate()?;
    let plain = noise(len)?;
    let sealer = SegmentSealer::new(suite, &key, &CONTEXT)?;
    let mut stored = vec![0; sealed_groups_len(0, len) + 16];
    let mut leaves = vec![Digest::default(); len / GROUP_LEN + 1];
    let (body, end) = stored.split_at_mut(sealed_groups_len(0, len));
    sealer.seal_groups(0, &plain, body, &mut leaves[..len / GROUP_LEN])?;
    sealer.seal_groups((len / GROUP_LEN) as u64, &[], end, &mut leaves[len / GROUP_LEN..])?;
    let (tail, info) = sealer.finish(&leaves)?;
    stored.extend_from_slice(&tail);
    let warm = SegmentOpener::new(&key, &CONTEXT, Outboard::whole(info, &tail)?, &stored[..chunked::HEADER_LEN])?;
    let part = |range: std::ops::Range<u64>| &stored[range.start as usize..range.end as usize];
    let mut out = [0; 4096];
    let (mut times, mut cold_times) = (Vec::new(), Vec::new());
    for seed in noise(reads * 8)?.as_chunks::<8>().0 {
        let start = u64::from_le_bytes(*seed) % (len as u64 - 4096);
        let range = start..start + 4096;
        let groups = info.groups_of(&range);
        let began = Instant::now();
        warm.open_range(range.clone(), part(info.groups_range(&groups)), &mut out)?;
        times.push(began.elapsed().as_secs_f64());
        assert!(out == plain[start as usize..][..4096], "the range differs");
        let began = Instant::now();
        cold_read(&key, info, &part, range, &mut out)?;
        cold_times.push(began.elapsed().as_secs_f64());
    }
    for (name, times) in [("4 KiB range, warm", &mut times), ("4 KiB range, cold outboard", &mut cold_times)] {
        times.sort_by(f64::total_cmp);
        let at = |share: usize| times[times.len() * share / 100] * 1e6;
        println!(
            "{{\"measure\":\"{name}\",\"p50_us\":{:.1},\"p99_us\":{:.1},\"reads\":{}}}",
            at(50),
            at(99),
            times.len()
        );
    }
    Ok(())
}

/// Reads tops, one block of leaves and the groups, as a first range read does.
fn cold_read<'a>(
    key: &PackKey,
    info: SegmentInfo,
    part: &impl Fn(std::ops::Range<u64>) -> &'a [u8],
    range: std::ops::Range<u64>,
    out: &mut [u8],
) -> Outcome<()> {
    let outboard = Outboard::from_tops(info, part(info.tops_range()))?;
    let opener = SegmentOpener::new(key, &CONTEXT, outboard, part(info.header_range()))?;
    let groups = info.groups_of(&range);
    for block in opener.outboard().missing_blocks(&groups) {
        opener.outboard().load_block(block, part(info.block_range(block)))?;
    }
    opener.open_range(range, part(info.groups_range(&groups)), out)?;
    Ok(())
}

/// Deals the items out to threads in turn.
fn in_threads<T: Send>(items: Vec<T>, threads: usize, work: impl Fn(T) -> Outcome<()> + Sync) -> Outcome<()> {
    let mut hands: Vec<Vec<T>> = (0..threads).map(|_| Vec::new()).collect();
    for (i, item) in items.into_iter().enumerate() {
        hands[i % threads].push(item);
    }
    let work = &work;
    std::thread::scope(|scope| {
        let started: Vec<_> =
            hands.into_iter().map(|hand| scope.spawn(move || hand.into_iter().try_for_each(work))).collect();
        started.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })
}

fn timed(work: impl FnOnce() -> Outcome<()>) -> Outcome<f64> {
    let began = Instant::now();
    black_box(work()?);
    Ok(began.elapsed().as_secs_f64())
}

fn report(names: &[&str], times: &mut [Vec<f64>], len: usize, threads: usize) {
    let medians: Vec<f64> = times
        .iter_mut()
        .map(|times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        })
        .collect();
    for (i, (name, median)) in names.iter().zip(&medians).enumerate() {
        let (fast, slow) = (times[i][0], times[i][times[i].len() - 1]);
        let gb = |secs: f64| len as f64 / 1e9 / secs;
        println!(
            "{{\"measure\":\"{name}\",\"threads\":{threads},\"bytes\":{len},\"gb_per_s\":{:.2},\"min\":{:.2},\"max\":{:.2},\"of_copy\":{:.3},\"runs\":{}}}",
            gb(*median),
            gb(slow),
            gb(fast),
            medians[0] / median,
            times[i].len()
        );
    }
}

/// Incompressible bytes: a cipher's output.
fn noise(len: usize) -> Outcome<Vec<u8>> {
    let sealed = chunked::seal_all(&[7; 32], b"noise", &vec![0; len])?;
    Ok(sealed[chunked::HEADER_LEN..][..len].to_vec())
}

const _: () = assert!(SEALED_GROUP_LEN == 65_600);
