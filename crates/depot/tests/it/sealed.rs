//! Sealed segments: what was written comes back, and whatever else lies in the depot is refused with its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use depot::fault::{FaultStore, Kind};
use depot::sealed::{Error, Scratch, SegmentCheck, SegmentReader, SegmentWriter, Unit};
use depot::{Bucket, Fault, Key, Store, finish_all};
use object_store::memory::InMemory;
use seal::Suite;
use seal::secret::PackKey;
use seal::segment::{GROUP_LEN, SegmentContext, SegmentInfo};
use seal::tree::{self, Digest};
use testkit::fault::{Dice, Plan};
use testkit::suites;

use crate::conformance::{PART_LEN, key, local_in_memory, random, whole};
use crate::faulty_client::FaultyClient;

const CONTEXT: SegmentContext = SegmentContext { vault: [1; 16], pack: [2; 16], index: 3 };
const HEADER: u64 = 56;
const SEALED_GROUP: u64 = 65_600;

/// The suite that the test runs for.
fn suite() -> Suite {
    if suites::current() == "nist" { Suite::Nist } else { Suite::Default }
}

fn pack_key() -> PackKey {
    PackKey::generate().unwrap()
}

fn write(
    store: &dyn Store,
    key: &Key,
    pack_key: &PackKey,
    context: &SegmentContext,
    plain: &[u8],
) -> Result<SegmentInfo, Error> {
    let mut scratch = Scratch::default();
    let writer = SegmentWriter::create(store, key, suite(), pack_key, context)?;
    for (n, block) in plain.chunks(2 * GROUP_LEN).enumerate() {
        writer.write(2 * n as u64, block, &mut scratch)?;
    }
    writer.finish(plain.len() as u64)
}

fn read_all(
    store: &dyn Store,
    key: &Key,
    pack_key: &PackKey,
    context: &SegmentContext,
    info: SegmentInfo,
) -> Result<Vec<u8>, Error> {
    let reader = SegmentReader::open(store, key, pack_key, context, info)?;
    let mut plain = vec![0xAA; info.plaintext_len() as usize];
    let outcome = reader.read(0, &mut plain, &mut Scratch::default());
    if outcome.is_err() {
        assert!(plain.iter().all(|byte| *byte == 0), "bytes were given out");
    }
    outcome.map(|()| plain)
}

/// Puts other bytes under a name, as somebody who can write to the depot would.
fn replace(store: &dyn Store, key: &Key, bytes: &[u8]) {
    store.delete(key).unwrap();
    store.put_small(key, bytes).unwrap();
}

fn stores() -> Vec<Arc<dyn Store>> {
    let bucket = Bucket::with_client(Arc::new(InMemory::new()), "", PART_LEN).unwrap();
    let local = local_in_memory();
    // The folder goes at the end of the process's life; it lies in memory.
    let folder = local.folder.unwrap();
    let store = Arc::clone(&local.store);
    std::mem::forget(folder);
    vec![Arc::new(bucket), store]
}

fn memory() -> Bucket {
    Bucket::in_memory().unwrap()
}

#[test]
fn segments_of_every_shape_come_back() {
    suites::each(|| {
        let chunk = 16_384;
        let group = GROUP_LEN;
        let lens = [
            0,
            1,
            chunk - 1,
            chunk,
            chunk + 1,
            group - 1,
            group,
            group + 1,
            4 * group,
            5 * group + 7,
            16 * group,
            17 * group - 1,
            40 * group,
        ];
        for store in stores() {
            for (n, len) in lens.into_iter().enumerate() {
                let (pack_key, plain, key) = (pack_key(), random(n as u64, len), key(1, n as u8));
                let info = write(&*store, &key, &pack_key, &CONTEXT, &plain).unwrap();
                assert_eq!((info.plaintext_len(), info.stored_len()), (len as u64, store.len_bytes(&key).unwrap()));
                assert!(read_all(&*store, &key, &pack_key, &CONTEXT, info).unwrap() == plain, "{len}");
                let sealed = whole(&*store, &key);
                assert!(plain.len() < 32 || !sealed.windows(32).step_by(16).any(|window| plain[..32] == *window));
                SegmentCheck::open(&*store, &key, info)
                    .unwrap()
                    .verify(0..info.group_count(), &mut Scratch::default())
                    .unwrap();
            }
        }
    });
}

#[test]
fn ranges_are_the_same_bytes() {
    suites::each(|| {
        let (store, pack_key, plain) = (memory(), pack_key(), random(1, 300 * GROUP_LEN + 123));
        let info = write(&store, &key(1, 1), &pack_key, &CONTEXT, &plain).unwrap();
        let lazy = SegmentReader::open(&store, &key(1, 1), &pack_key, &CONTEXT, info).unwrap();
        let eager = SegmentReader::open(&store, &key(1, 1), &pack_key, &CONTEXT, info).unwrap();
        let mut scratch = Scratch::default();
        eager.load_tree(&mut scratch).unwrap();
        let mut dice = Dice::new(4);
        for _ in 0..200 {
            let start = dice.below(plain.len() as u64) as usize;
            let len = (dice.below(3 * GROUP_LEN as u64) as usize).min(plain.len() - start);
            for reader in [&lazy, &eager] {
                let mut range = vec![0; len];
                reader.read(start as u64, &mut range, &mut scratch).unwrap();
                assert!(range == plain[start..start + len], "{start} {len}");
            }
        }
        for (offset, len) in [(plain.len() as u64, 1), (plain.len() as u64 - 1, 2), (u64::MAX, 1), (0, plain.len() + 1)]
        {
            assert!(
                matches!(lazy.read(offset, &mut vec![0; len], &mut scratch), Err(Error::Misuse(_))),
                "{offset} {len}"
            );
        }
        lazy.read(plain.len() as u64, &mut [], &mut scratch).unwrap();
    });
}

#[test]
fn threads_write_and_read_one_segment_and_digest_its_plaintext() {
    suites::each(|| {
        let (pack_key, plain) = (pack_key(), random(2, 61 * GROUP_LEN + 5));
        for store in stores() {
            let writer = SegmentWriter::create(&*store, &key(1, 1), suite(), &pack_key, &CONTEXT).unwrap();
            let blocks: Vec<_> = plain.chunks(8 * GROUP_LEN).enumerate().collect();
            let leaves = std::sync::Mutex::new(vec![Digest::default(); 62]);
            let next = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        let mut scratch = Scratch::default();
                        while let Some((n, block)) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
                            let mut plain_leaves = vec![Digest::default(); block.len().div_ceil(GROUP_LEN)];
                            writer.write_digesting(8 * *n as u64, block, &mut plain_leaves, &mut scratch).unwrap();
                            leaves.lock().unwrap()[8 * n..8 * n + plain_leaves.len()].copy_from_slice(&plain_leaves);
                        }
                    });
                }
            });
            let (info, upload) = writer.close(plain.len() as u64).unwrap();
            assert!(store.open(&key(1, 1)).is_err(), "nothing shows before the upload is finished");
            finish_all(vec![upload]).unwrap();
            assert_eq!(tree::root(suite(), &leaves.into_inner().unwrap()), tree::digest(suite(), &plain));
            let reader = SegmentReader::open(&*store, &key(1, 1), &pack_key, &CONTEXT, info).unwrap();
            std::thread::scope(|scope| {
                for half in 0..2 {
                    let (reader, plain) = (&reader, &plain);
                    scope.spawn(move || {
                        let start = half * plain.len() / 2;
                        let mut out = vec![0; plain.len() / 2];
                        reader.read(start as u64, &mut out, &mut Scratch::default()).unwrap();
                        assert!(out == plain[start..start + plain.len() / 2]);
                    });
                }
            });
        }
    });
}

/// Where the unit that holds a stored byte begins.
fn unit_of(info: &SegmentInfo, position: u64) -> u64 {
    match info.group_at(position) {
        Some(0) => 0,
        Some(group) => HEADER + group * SEALED_GROUP,
        None => info.sealed_len(),
    }
}

#[test]
fn flipped_bit_anywhere_is_refused_with_its_place() {
    suites::each(|| {
        let (store, pack_key, plain) = (memory(), pack_key(), random(3, 2 * GROUP_LEN + 20_000));
        let key = key(1, 1);
        let info = write(&store, &key, &pack_key, &CONTEXT, &plain).unwrap();
        let stored = whole(&store, &key);
        // Header, tree and first tag byte by byte; every chunk, its tag and the rest in steps that share no factor with them.
        let header = 0..HEADER as usize;
        let tag = 56 + 16_384..56 + 16_400;
        let tail = info.tail_range().start as usize..stored.len();
        let positions = header.chain(tag).chain(tail).chain((0..stored.len()).step_by(1009));
        for (n, position) in positions.enumerate() {
            let mut bytes = stored.clone();
            bytes[position] ^= 1 << (n % 8);
            replace(&store, &key, &bytes);
            let error = read_all(&store, &key, &pack_key, &CONTEXT, info).err().unwrap();
            assert!(error.is_integrity() && error.fault() == Fault::Hostile, "{position}: {error}");
            let (place, offset) = error.place().unwrap();
            assert!(
                place == key && offset >= unit_of(&info, position as u64) && offset <= position as u64,
                "{position}: {error}"
            );
            assert!(error.to_string().contains(&key.to_string()));

            // Without a key the same is found.
            let check =
                SegmentCheck::open(&store, &key, info).and_then(|check| check.verify(0..3, &mut Scratch::default()));
            assert!(check.err().unwrap().is_integrity());

            // Ranges in other groups still come, ranges in this one do not.
            let Some(group) = info.group_at(position as u64).filter(|_| position >= HEADER as usize) else { continue };
            let reader = SegmentReader::open(&store, &key, &pack_key, &CONTEXT, info).unwrap();
            for other in 0..3 {
                let mut range = [0xAA; 100];
                let read = reader.read(other * GROUP_LEN as u64 + 50, &mut range, &mut Scratch::default());
                assert_eq!(read.is_ok(), other != group);
                let start = other as usize * GROUP_LEN + 50;
                assert!(if other == group { range == [0; 100] } else { range == plain[start..start + 100] });
            }
        }
    });
}

#[test]
fn cut_and_extended_segments_are_refused() {
    suites::each(|| {
        let (store, pack_key) = (memory(), pack_key());
        let key = key(1, 1);
        let info = write(&store, &key, &pack_key, &CONTEXT, &random(3, 2 * GROUP_LEN)).unwrap();
        let stored = whole(&store, &key);
        let len = stored.len();
        for cut in [0, 1, 55, 56, 57, 65_655, 65_656, info.sealed_len() as usize, len - 32, len - 1] {
            replace(&store, &key, &stored[..cut]);
            let error = read_all(&store, &key, &pack_key, &CONTEXT, info).err().unwrap();
            assert!(
                matches!(error, Error::Corrupt { what: Unit::Length, offset, .. } if offset == cut as u64),
                "{cut}: {error}"
            );
        }
        for more in [&[0][..], &stored[..], &[0; 65_600]] {
            replace(&store, &key, &[&stored, more].concat());
            let error = read_all(&store, &key, &pack_key, &CONTEXT, info).err().unwrap();
            assert!(matches!(error, Error::Corrupt { what: Unit::Length, .. }), "{error}");
        }
        store.delete(&key).unwrap();
        let error = read_all(&store, &key, &pack_key, &CONTEXT, info).err().unwrap();
        assert!(error.is_integrity() && error.place() == Some((key, 0)), "{error}");
    });
}

#[test]
fn segment_cut_while_it_is_read_is_refused() {
    suites::each(|| {
        let fixture = local_in_memory();
        let (pack_key, plain, key) = (pack_key(), random(3, 4 * GROUP_LEN), key(1, 1));
        let info = write(&*fixture.store, &key, &pack_key, &CONTEXT, &plain).unwrap();
        let reader = SegmentReader::open(&*fixture.store, &key, &pack_key, &CONTEXT, info).unwrap();
        let path =
            fixture.folder.as_ref().unwrap().path().join("depot").join("01".repeat(16)).join("0").join("01".repeat(16));
        let mut scratch = Scratch::default();
        reader.load_tree(&mut scratch).unwrap();
        std::fs::File::options().write(true).open(path).unwrap().set_len(100_000).unwrap();
        let mut out = vec![0xAA; plain.len()];
        let error = reader.read(0, &mut out, &mut scratch).err().unwrap();
        assert!(matches!(error, Error::Corrupt { what: Unit::Length, offset: 100_000, .. }), "{error}");
        assert!(out.iter().all(|byte| *byte == 0));
    });
}

#[test]
fn swapped_segments_and_groups_are_refused() {
    suites::each(|| {
        let (store, pack_key) = (memory(), pack_key());
        let (one, two) = (key(1, 1), key(1, 2));
        let other = SegmentContext { index: 4, ..CONTEXT };
        let plain = random(1, 3 * GROUP_LEN + 9);
        let info_one = write(&store, &one, &pack_key, &CONTEXT, &plain).unwrap();
        let info_two = write(&store, &two, &pack_key, &other, &random(2, 3 * GROUP_LEN + 9)).unwrap();
        let (bytes_one, bytes_two) = (whole(&store, &one), whole(&store, &two));

        // Right place, right digest, but the record of another index, pack, vault or key.
        for wrong in [other, SegmentContext { pack: [9; 16], ..CONTEXT }, SegmentContext { vault: [9; 16], ..CONTEXT }]
        {
            let error = read_all(&store, &one, &pack_key, &wrong, info_one).err().unwrap();
            assert!(matches!(error, Error::Corrupt { what: Unit::Start, offset: 0, .. }), "{error}");
        }
        assert!(
            read_all(&store, &one, &PackKey::generate().unwrap(), &CONTEXT, info_one).err().unwrap().is_integrity()
        );

        replace(&store, &one, &bytes_two);
        replace(&store, &two, &bytes_one);
        assert!(read_all(&store, &one, &pack_key, &CONTEXT, info_one).err().unwrap().is_integrity());
        assert!(read_all(&store, &two, &pack_key, &other, info_two).err().unwrap().is_integrity());

        // Message and tree of two segments mixed.
        let cut = info_one.sealed_len() as usize;
        replace(&store, &one, &[&bytes_one[..cut], &bytes_two[cut..]].concat());
        assert!(matches!(
            read_all(&store, &one, &pack_key, &CONTEXT, info_one),
            Err(Error::Corrupt { what: Unit::Tree, .. })
        ));
        replace(&store, &one, &[&bytes_two[..cut], &bytes_one[cut..]].concat());
        assert!(matches!(
            read_all(&store, &one, &pack_key, &CONTEXT, info_one),
            Err(Error::Corrupt { what: Unit::Start, .. })
        ));

        // Groups 1 and 2 changed places.
        let (first, second) = ((HEADER + SEALED_GROUP) as usize, (HEADER + 2 * SEALED_GROUP) as usize);
        let mut mixed = bytes_one.clone();
        mixed[first..second].copy_from_slice(&bytes_one[second..second + SEALED_GROUP as usize]);
        mixed[second..second + SEALED_GROUP as usize].copy_from_slice(&bytes_one[first..second]);
        replace(&store, &one, &mixed);
        assert!(matches!(
            read_all(&store, &one, &pack_key, &CONTEXT, info_one),
            Err(Error::Corrupt { what: Unit::Group(1), .. })
        ));

        replace(&store, &one, &bytes_one);
        assert!(read_all(&store, &one, &pack_key, &CONTEXT, info_one).unwrap() == plain);
    });
}

/// Seals a chunk as somebody does who holds the pack key: same salt, same nonce, a valid tag.
fn forge_chunk(pack_key: &PackKey, stored: &[u8], index: u64, plain: &[u8]) -> Vec<u8> {
    use seal::label::{Label, lp};
    let context = lp(
        Label::Segment,
        &[&suite().number().to_be_bytes(), &CONTEXT.vault, &CONTEXT.pack, &CONTEXT.index.to_be_bytes()],
    )
    .unwrap();
    testkit::forge::chunk(pack_key.expose_bytes(), stored, &context, index, plain)
}

#[test]
fn forgery_by_a_holder_of_the_key_is_refused() {
    suites::each(|| {
        let (store, pack_key, plain) = (memory(), pack_key(), random(1, 3 * GROUP_LEN + 9));
        let key = key(1, 1);
        let info = write(&store, &key, &pack_key, &CONTEXT, &plain).unwrap();
        let mut stored = whole(&store, &key);

        let forged = forge_chunk(&pack_key, &stored, 5, &[0x66; 16_384]);
        let at = 56 + 5 * 16_400;
        stored[at..at + 16_400].copy_from_slice(&forged);

        // Control: the cipher alone accepts it, so the digest is what refuses.
        let header: &[u8; 56] = stored[..56].try_into().unwrap();
        let context = seal::label::lp(
            seal::label::Label::Segment,
            &[&suite().number().to_be_bytes(), &CONTEXT.vault, &CONTEXT.pack, &CONTEXT.index.to_be_bytes()],
        );
        let opener = seal::chunked::Opener::new(pack_key.expose_bytes(), &context.unwrap(), header).unwrap();
        let mut accepted = vec![0; 16_384];
        opener.open_chunk(5, &stored[at..at + 16_400], &mut accepted).unwrap();
        assert!(accepted.iter().all(|byte| *byte == 0x66));

        replace(&store, &key, &stored);
        let error = read_all(&store, &key, &pack_key, &CONTEXT, info).err().unwrap();
        assert!(matches!(error, Error::Corrupt { what: Unit::Group(1), .. }), "{error}");
        let reader = SegmentReader::open(&store, &key, &pack_key, &CONTEXT, info).unwrap();
        let mut range = [0xAA; 4096];
        assert!(reader.read(5 * 16_384, &mut range, &mut Scratch::default()).err().unwrap().is_integrity());
        assert_eq!(range, [0; 4096]);

        // A whole new segment under the same key and place, tree included.
        let twin = memory();
        write(&twin, &key, &pack_key, &CONTEXT, &random(9, plain.len())).unwrap();
        replace(&store, &key, &whole(&twin, &key));
        assert!(matches!(
            read_all(&store, &key, &pack_key, &CONTEXT, info),
            Err(Error::Corrupt { what: Unit::Tree, .. })
        ));
    });
}

#[test]
fn misuse_of_a_writer_is_refused_and_leaves_no_object() {
    suites::each(|| {
        let (store, pack_key, plain) = (memory(), pack_key(), random(1, 2 * GROUP_LEN));
        let mut scratch = Scratch::default();
        let start = |n: u8| SegmentWriter::create(&store, &key(1, n), suite(), &pack_key, &CONTEXT).unwrap();

        let twice = start(1);
        twice.write(0, &plain, &mut scratch).unwrap();
        assert!(matches!(twice.write(1, &plain, &mut scratch), Err(Error::Misuse(_))), "a group is sealed once");
        drop(twice);
        let gap = start(2);
        gap.write(1, &plain, &mut scratch).unwrap();
        assert!(matches!(gap.finish(3 * GROUP_LEN as u64), Err(Error::Misuse(_))));
        let short = start(3);
        short.write(0, &plain[..100], &mut scratch).unwrap();
        assert!(
            matches!(short.write(1, &plain, &mut scratch), Err(Error::Misuse(_)))
                || short.finish(100 + 2 * GROUP_LEN as u64).is_err()
        );
        let said = start(4);
        said.write(0, &plain[..100], &mut scratch).unwrap();
        assert!(matches!(said.finish(99), Err(Error::Misuse(_))));
        let empty = start(5);
        assert!(matches!(empty.write(0, &[], &mut scratch), Err(Error::Misuse(_))));
        assert!(matches!(
            empty.write_digesting(0, &plain, &mut [Digest::default()], &mut scratch),
            Err(Error::Misuse(_))
        ));
        let far = start(6);
        assert!(matches!(far.write(1 << 14, &plain, &mut scratch), Err(Error::Misuse(_))), "more than 1 GiB");
        drop((empty, far));
        assert!(store.list(&[1; 16], None, 99).unwrap().is_empty());
    });
}

#[test]
fn faulty_stores_never_give_wrong_plaintext() {
    suites::each(|| {
        let faults = ["refuse", "full", "lose-ack", "repeat", "torn", "lie", "flip", "short", "long", "shifted"];
        let (mut right, mut refused, mut flips) = (0, 0, 0);
        for seed in 0..40 {
            let plan = faults.iter().fold(Plan::new(seed), |plan, fault| plan.rate(fault, 25));
            let (store, plan): (Arc<dyn Store>, Arc<Plan>) = if seed % 2 == 0 {
                let plan = Arc::new(plan);
                let script = Arc::clone(&plan);
                (Arc::new(FaultStore::new(Arc::new(memory()), move |kind: Kind| script.strike(kind.name()))), plan)
            } else {
                let client = FaultyClient::new(plan);
                let plan = Arc::clone(&client.plan);
                (Arc::new(Bucket::with_client(Arc::new(client), "", PART_LEN).unwrap()), plan)
            };
            let mut dice = Dice::new(seed);
            for n in 0..8 {
                let (pack_key, plain, key) =
                    (pack_key(), random(dice.roll(), dice.below(6 * GROUP_LEN as u64) as usize), key(1, n));
                let Ok(info) = write(&*store, &key, &pack_key, &CONTEXT, &plain) else { continue };
                for _ in 0..6 {
                    match read_all(&*store, &key, &pack_key, &CONTEXT, info) {
                        Ok(read) => {
                            assert!(read == plain, "seed {seed}");
                            right += 1;
                        }
                        Err(_) => refused += 1,
                    }
                }
                plan.disarm();
                assert!(
                    read_all(&*store, &key, &pack_key, &CONTEXT, info).unwrap() == plain,
                    "seed {seed}: acknowledged, but lost"
                );
                plan.arm();
            }
            flips += plan.struck("flip");
        }
        assert!(right > 50 && refused > 50 && flips > 50, "{right} right, {refused} refused, {flips} flips");
    });
}
