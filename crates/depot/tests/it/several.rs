//! Several depots read as one, copies that are verified on their way, and replacing.

use std::sync::Arc;

use depot::fault::{FaultStore, Kind};
use depot::sealed::{Error, Expected, Scratch, SegmentReader, SegmentWriter, Stopped, VersionObject, pass};
use depot::{Key, Member, Several, Store};
use seal::Suite;
use seal::secret::PackKey;
use seal::segment::{GROUP_LEN, SegmentContext, SegmentInfo};
use testkit::fault::{Dice, Plan};

use crate::conformance::{key, local_in_memory, random, whole};
use crate::version;

const CONTEXT: SegmentContext = SegmentContext { vault: [1; 16], pack: [2; 16], index: 3 };
const GROUPS: u64 = 9;

fn store() -> Arc<dyn Store> {
    let local = local_in_memory();
    // The folder goes at the end of the process's life; it lies in memory.
    std::mem::forget(local.folder);
    local.store
}

fn several(stores: &[&Arc<dyn Store>]) -> Several {
    let member = |(at, store): (usize, &&Arc<dyn Store>)| {
        let store = Arc::clone(store);
        Arc::new(Member::new(format!("depot {at}"), move || Ok(Arc::clone(&store))))
    };
    Several::new(stores.iter().enumerate().map(member).collect())
}

struct Segment {
    key: Key,
    pack_key: PackKey,
    info: SegmentInfo,
    plain: Vec<u8>,
    stored: Vec<u8>,
}

fn segment(store: &dyn Store, object: u8) -> Segment {
    let (key, pack_key, plain) = (key(1, object), PackKey::generate().unwrap(), random(7, GROUPS as usize * GROUP_LEN));
    let writer = SegmentWriter::create(store, &key, Suite::Default, &pack_key, &CONTEXT).unwrap();
    writer.write(0, &plain, &mut Scratch::default()).unwrap();
    let info = writer.finish(plain.len() as u64).unwrap();
    Segment { key, pack_key, info, plain, stored: whole(store, &key) }
}

impl Segment {
    fn read(&self, store: &dyn Store) -> Result<bool, Error> {
        let reader = SegmentReader::open(store, &self.key, &self.pack_key, &CONTEXT, self.info)?;
        let mut plain = vec![0; self.plain.len()];
        reader.read(0, &mut plain, &mut Scratch::default())?;
        Ok(plain == self.plain)
    }

    /// Puts it there with wrong bytes at these places.
    fn damaged(&self, store: &dyn Store, places: &[usize]) {
        let mut bytes = self.stored.clone();
        places.iter().for_each(|at| bytes[*at] ^= 1);
        put(store, &self.key, &bytes);
    }
}

fn put(store: &dyn Store, key: &Key, bytes: &[u8]) {
    let upload = store.replace(key).unwrap();
    upload.write_at(0, bytes).unwrap();
    upload.finish().unwrap();
}

/// As `depot copy` and repair do.
fn copy(from: &dyn Store, to: &dyn Store, key: &Key, expected: &Expected) -> Result<(), ()> {
    let upload = to.replace(key).map_err(drop)?;
    match pass(from, key, expected, |at, bytes| upload.write_at(at, bytes)) {
        Ok(_) => upload.finish().map_err(drop),
        Err(Stopped::Object(_) | Stopped::Sink(_)) => Err(()),
    }
}

#[test]
fn what_one_copy_has_wrong_is_read_from_the_other_group_by_group() {
    let (one, other) = (store(), store());
    let both = several(&[&one, &other]);
    let segment = segment(&*one, 1);
    assert!(segment.read(&both).unwrap() && both.take_missed().is_empty());
    put(&*other, &segment.key, &segment.stored);
    let (len, tail) = (segment.stored.len(), segment.info.sealed_len() as usize);
    for (here, there) in [
        (vec![0], vec![len - 1]),
        (vec![70_000], vec![200_000]),
        (vec![70_000, 500_000], vec![200_000, 400_000]),
        (vec![tail + 40], vec![tail]),
        (vec![tail], vec![10]),
    ] {
        segment.damaged(&*one, &here);
        segment.damaged(&*other, &there);
        assert!(segment.read(&both).unwrap(), "{here:?} {there:?}");
        assert!(both.take_missed().iter().any(|missed| missed.key == segment.key), "{here:?} is told");
        assert!(segment.read(&*one).is_err() && segment.read(&*other).is_err(), "neither alone");
        let healed = store();
        copy(&both, &*healed, &segment.key, &Expected::Segment(segment.info)).unwrap();
        assert!(whole(&*healed, &segment.key) == segment.stored, "a whole one is made of two");
    }
    // The same place in both: nothing is given out.
    segment.damaged(&*one, &[10]);
    segment.damaged(&*other, &[10]);
    assert!(matches!(segment.read(&both), Err(Error::Corrupt { .. })));
    // Missing, cut, and longer ones.
    segment.damaged(&*other, &[]);
    one.delete(&segment.key).unwrap();
    assert!(segment.read(&both).unwrap());
    for bytes in [&segment.stored[..len - 1], &segment.stored[..100], &[&segment.stored[..], &[0]].concat()[..]] {
        put(&*one, &segment.key, bytes);
        assert!(segment.read(&both).unwrap());
    }
    other.delete(&segment.key).unwrap();
    assert!(matches!(segment.read(&both), Err(Error::Corrupt { .. })), "the first one's fault is told");
}

#[test]
fn a_version_object_is_read_from_the_copy_that_has_it_right() {
    let (one, other) = (store(), store());
    let both = several(&[&one, &other]);
    let written = version::write(&*one, 1);
    let stored = whole(&*one, &written.key);
    put(&*other, &written.key, &stored);
    let expected = Expected::Version(written.digest);
    for position in (0..stored.len()).step_by(stored.len() / 60).chain(stored.len() - 300..stored.len()) {
        let mut bytes = stored.clone();
        bytes[position] ^= 0x10;
        put(&*one, &written.key, &bytes);
        assert_eq!(version::read_of(&both, &written), Ok(version::NAMES), "{position}");
        let none = |_: u64, _: &[u8]| Ok::<(), ()>(());
        assert!(pass(&*one, &written.key, &expected, none).is_err(), "every byte counts: {position}");
    }
    put(&*one, &written.key, &stored);
    let healed = store();
    copy(&*one, &*healed, &written.key, &expected).unwrap();
    assert!(whole(&*healed, &written.key) == stored);
    assert!(VersionObject::open(&both, &written.key).unwrap().record(&[0; 32]).is_err());
}

#[test]
fn a_depot_that_did_not_answer_is_left_out() {
    let (one, other) = (store(), store());
    let segment = segment(&*one, 1);
    put(&*other, &segment.key, &segment.stored);
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let silent: Arc<dyn Store> = Arc::new(FaultStore::new(one, move |kind| {
        let strikes = kind == Kind::Refuse;
        count.fetch_add(usize::from(strikes), std::sync::atomic::Ordering::Relaxed);
        strikes.then_some(0)
    }));
    let both = several(&[&silent, &other]);
    for _ in 0..3 {
        assert!(segment.read(&both).unwrap());
    }
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 1, "it was asked once");
    let closed = Arc::new(Member::new("closed", || Err(depot::Error::Settings { what: "no key".into() })));
    let open = Arc::clone(&other);
    let both = Several::new(vec![closed, Arc::new(Member::new("open", move || Ok(Arc::clone(&open))))]);
    assert!(segment.read(&both).unwrap());
    assert!(both.take_missed().iter().all(|missed| missed.depot == "closed" && missed.why.contains("no key")));
    assert!(both.create(&key(1, 9)).is_err(), "nothing is written to another than the first");
}

#[test]
fn replacing_takes_the_place_at_its_end_and_not_before() {
    for store in [store(), Arc::new(depot::Bucket::in_memory().unwrap()) as Arc<dyn Store>] {
        let key = key(1, 1);
        for (before, after) in [(100, 200), (200, 100), (100, 20 << 20), (20 << 20, 20 << 20)] {
            let (before, after) = (random(1, before), random(2, after));
            put(&*store, &key, &before);
            let upload = store.replace(&key).unwrap();
            upload.write_at(0, &after).unwrap();
            assert!(whole(&*store, &key) == before, "until then it is as it was");
            drop(upload);
            assert!(whole(&*store, &key) == before, "and stays if it is given up");
            put(&*store, &key, &after);
            assert!(whole(&*store, &key) == after);
        }
        assert!(store.put_small(&key, b"other").is_err(), "a new object never takes a place");
    }
}

#[test]
fn copies_over_faulty_depots_are_right_or_not_counted() {
    let mut struck = 0;
    for seed in 0..40 {
        let (one, other, target) = (store(), store(), store());
        let segment = segment(&*one, 1);
        put(&*other, &segment.key, &segment.stored);
        let plan = Plan::new(seed)
            .rate("flip", 100)
            .rate("short", 50)
            .rate("torn", 200)
            .rate("lose-ack", 100)
            .rate("full", 30);
        let plan = Arc::new(plan);
        let faulty = |store: &Arc<dyn Store>| -> Arc<dyn Store> {
            let plan = Arc::clone(&plan);
            Arc::new(FaultStore::new(Arc::clone(store), move |kind| plan.strike(kind.name())))
        };
        let from = several(&[&faulty(&one), &faulty(&other)]);
        let to = faulty(&target);
        let expected = Expected::Segment(segment.info);
        let mut dice = Dice::new(seed);
        for _ in 0..1 + dice.below(4) {
            if copy(&from, &*to, &segment.key, &expected).is_ok() {
                assert!(whole(&*target, &segment.key) == segment.stored, "seed {seed}: an acknowledged copy is right");
            }
        }
        struck += ["flip", "short", "torn", "lose-ack", "full"].iter().map(|fault| plan.struck(fault)).sum::<u64>();
        plan.disarm();
        copy(&from, &*to, &segment.key, &expected).unwrap();
        assert!(segment.read(&*target).unwrap(), "seed {seed}");
    }
    assert!(struck > 100, "{struck}");
}
