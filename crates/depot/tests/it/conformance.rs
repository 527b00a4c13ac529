//! One suite for every store.

use std::sync::Arc;

use depot::{Bucket, Error, Id, Key, Local, Store, Upload, finish_all};
use object_store::memory::InMemory;
use tempfile::TempDir;
use testkit::fault::{Dice, Plan};

use crate::faulty_client::FaultyClient;

/// A store and what it needs to live.
pub struct Fixture {
    pub store: Arc<dyn Store>,
    pub folder: Option<TempDir>,
}

pub fn local() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    Fixture { store: Arc::new(Local::create(&folder.path().join("depot")).unwrap()), folder: Some(folder) }
}

/// A folder where flushing costs nothing, for tests of logic that put thousands of objects.
pub fn local_in_memory() -> Fixture {
    let shared = std::path::Path::new("/dev/shm");
    let folder = if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() }.unwrap();
    Fixture { store: Arc::new(Local::create(&folder.path().join("depot")).unwrap()), folder: Some(folder) }
}

fn memory_bucket() -> Fixture {
    Fixture { store: Arc::new(Bucket::with_client(Arc::new(InMemory::new()), "", PART_LEN).unwrap()), folder: None }
}

/// A client that could fail but whose plan is empty: the wrapper itself keeps the contract.
fn quiet_faulty_bucket() -> Fixture {
    let client = FaultyClient::new(Plan::new(0));
    Fixture { store: Arc::new(Bucket::with_client(Arc::new(client), "a/prefix", PART_LEN).unwrap()), folder: None }
}

macro_rules! conformance {
    ($($claim:ident)*) => {
        conformance!(@store local: $($claim)*);
        conformance!(@store memory_bucket: $($claim)*);
        conformance!(@store quiet_faulty_bucket: $($claim)*);
    };
    (@store $store:ident: $($claim:ident)*) => {
        mod $store {
            $(
                #[test]
                fn $claim() {
                    let fixture = super::$store();
                    super::$claim(&*fixture.store);
                }
            )*
        }
    };
}

conformance! {
    bytes_come_back
    writes_from_threads_in_any_order_make_one_object
    nothing_shows_before_finish
    dropped_upload_leaves_nothing
    object_is_never_overwritten
    equal_key_in_another_vault_is_another_object
    read_past_the_end_is_refused
    missing_object_is_not_found
    delete_is_idempotent
    listing_pages_in_order_and_stays_in_its_vault
    empty_object_is_an_object
    hole_is_refused_and_leaves_nothing
    double_write_is_refused
    several_uploads_finish_together
    name_is_free_again_after_an_abort
}

fn bytes_come_back(store: &dyn Store) {
    for (n, len) in
        [1, 2, 4095, PART_LEN - 1, PART_LEN, PART_LEN + 1, 2 * PART_LEN, 3 * PART_LEN + 17].into_iter().enumerate()
    {
        let bytes = random(len as u64, len);
        let key = key(1, n as u8);
        store.put_small(&key, &bytes).unwrap();
        assert_eq!(whole(store, &key), bytes);
        assert_eq!(store.len_bytes(&key).unwrap(), len as u64);
        let object = store.open(&key).unwrap();
        assert_eq!((object.len_bytes(), *object.key()), (len as u64, key));
        let mut last = [0];
        object.read_at(len as u64 - 1, &mut last).unwrap();
        assert_eq!(last[0], bytes[len - 1]);
    }
}

fn writes_from_threads_in_any_order_make_one_object(store: &dyn Store) {
    let bytes = random(1, 3 * PART_LEN + 5000);
    let key = key(1, 1);
    let upload = store.create(&key).unwrap();
    let block = 10_007;
    let blocks: Vec<_> = bytes.chunks(block).enumerate().collect();
    // Pairs of blocks are written in turned order, by two threads.
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(2, std::sync::atomic::Ordering::Relaxed);
                    if at >= blocks.len() {
                        return;
                    }
                    for (index, part) in blocks[at..blocks.len().min(at + 2)].iter().rev() {
                        upload.write_at((index * block) as u64, part).unwrap();
                    }
                }
            });
        }
    });
    upload.finish().unwrap();
    assert!(whole(store, &key) == bytes);
}

fn nothing_shows_before_finish(store: &dyn Store) {
    let key = key(1, 1);
    let upload = store.create(&key).unwrap();
    upload.write_at(0, &random(1, 3 * PART_LEN)).unwrap();
    assert!(matches!(store.open(&key), Err(Error::NotFound { .. })));
    assert!(store.list(key.vault(), None, 10).unwrap().is_empty());
    upload.finish().unwrap();
    assert_eq!(store.list(key.vault(), None, 10).unwrap().len(), 1);
}

fn dropped_upload_leaves_nothing(store: &dyn Store) {
    for (n, len) in [10, 3 * PART_LEN].into_iter().enumerate() {
        let key = key(1, n as u8);
        let upload = store.create(&key).unwrap();
        upload.write_at(0, &random(1, len)).unwrap();
        drop(upload);
        assert!(matches!(store.len_bytes(&key), Err(Error::NotFound { .. })));
    }
    assert!(store.list(&[1; 16], None, 10).unwrap().is_empty());
}

fn object_is_never_overwritten(store: &dyn Store) {
    for (n, len) in [10, 2 * PART_LEN + 10].into_iter().enumerate() {
        let key = key(1, n as u8);
        let (first, second) = (random(1, len), random(2, len));
        let early = store.create(&key).unwrap();
        early.write_at(0, &second).unwrap();
        store.put_small(&key, &first).unwrap();
        assert!(matches!(early.finish(), Err(Error::AlreadyExists { .. })));
        assert!(matches!(store.put_small(&key, &second), Err(Error::AlreadyExists { .. })));
        assert!(whole(store, &key) == first);
    }
}

fn equal_key_in_another_vault_is_another_object(store: &dyn Store) {
    store.put_small(&Key::new([1; 16], [9; 16]), b"one").unwrap();
    store.put_small(&Key::new([2; 16], [9; 16]), b"two").unwrap();
    store.delete(&Key::new([2; 16], [9; 16])).unwrap();
    assert_eq!(whole(store, &Key::new([1; 16], [9; 16])), b"one");
}

fn read_past_the_end_is_refused(store: &dyn Store) {
    let key = key(1, 1);
    store.put_small(&key, &random(1, 1000)).unwrap();
    let object = store.open(&key).unwrap();
    for (offset, len) in [(0, 1001), (999, 2), (1000, 1), (5000, 1), (u64::MAX, 1), (u64::MAX - 1, 4)] {
        let mut buffer = vec![0; len];
        assert!(
            matches!(object.read_at(offset, &mut buffer), Err(Error::PastEnd { .. } | Error::Misuse { .. })),
            "{offset} {len}"
        );
        assert!(store.read_at(&key, offset, &mut buffer).is_err(), "{offset} {len}");
    }
    object.read_at(1000, &mut []).unwrap();
    object.read_at(0, &mut [0; 1000]).unwrap();
}

fn missing_object_is_not_found(store: &dyn Store) {
    store.put_small(&key(1, 1), b"x").unwrap();
    for key in [key(1, 2), key(3, 1)] {
        for error in [
            store.open(&key).err().unwrap(),
            store.len_bytes(&key).err().unwrap(),
            store.read_at(&key, 0, &mut [0]).err().unwrap(),
            store.read_at(&key, 0, &mut []).err().unwrap(),
        ] {
            assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
            assert!(error.to_string().contains(&key.to_string()), "{error}");
        }
    }
}

fn delete_is_idempotent(store: &dyn Store) {
    let key = key(1, 1);
    store.delete(&key).unwrap();
    store.put_small(&key, b"x").unwrap();
    store.delete(&key).unwrap();
    store.delete(&key).unwrap();
    assert!(matches!(store.open(&key), Err(Error::NotFound { .. })));
}

fn listing_pages_in_order_and_stays_in_its_vault(store: &dyn Store) {
    let vault: Id = [7; 16];
    let mut dice = Dice::new(3);
    let mut keys: Vec<Key> = (0..40)
        .map(|_| {
            let mut id = [0; 16];
            dice.fill(&mut id);
            id[0] &= 3;
            Key::new(vault, id)
        })
        .collect();
    for (n, key) in keys.iter().enumerate() {
        store.put_small(key, &random(1, n)).unwrap();
    }
    store.put_small(&key(6, 1), b"other").unwrap();
    store.put_small(&key(8, 1), b"other").unwrap();
    let lens: std::collections::BTreeMap<Key, u64> = keys.iter().enumerate().map(|(n, key)| (*key, n as u64)).collect();
    keys.sort_unstable();
    for page in [1, 7, 39, 40, 41, 1000] {
        let mut found = Vec::new();
        loop {
            let entries = store.list(&vault, found.last(), page).unwrap();
            assert!(entries.len() <= page);
            assert!(entries.iter().all(|entry| lens[&entry.key] == entry.len_bytes));
            found.extend(entries.iter().map(|entry| entry.key));
            if entries.len() < page {
                break;
            }
        }
        assert_eq!(found, keys);
    }
    assert!(store.list(&vault, keys.last(), 5).unwrap().is_empty());
    assert!(store.list(&[99; 16], None, 5).unwrap().is_empty());
}

fn empty_object_is_an_object(store: &dyn Store) {
    let key = key(1, 1);
    store.create(&key).unwrap().finish().unwrap();
    assert_eq!(store.len_bytes(&key).unwrap(), 0);
    store.read_at(&key, 0, &mut []).unwrap();
    assert!(store.read_at(&key, 0, &mut [0]).is_err());
}

fn hole_is_refused_and_leaves_nothing(store: &dyn Store) {
    for (n, (offset, len)) in
        [(1, 10), (PART_LEN as u64, 10), (2 * PART_LEN as u64, PART_LEN), (3, 2 * PART_LEN)].into_iter().enumerate()
    {
        let key = key(1, n as u8);
        let upload = store.create(&key).unwrap();
        upload.write_at(offset, &random(1, len)).unwrap();
        assert!(matches!(upload.finish(), Err(Error::Misuse { .. })));
        assert!(matches!(store.open(&key), Err(Error::NotFound { .. })));
    }
}

fn double_write_is_refused(store: &dyn Store) {
    let key = key(1, 1);
    let upload = store.create(&key).unwrap();
    upload.write_at(0, &random(1, 3 * PART_LEN)).unwrap();
    let outcome = upload.write_at(5, b"again").and_then(|()| upload.finish());
    assert!(matches!(outcome, Err(Error::Misuse { .. })));
    assert!(matches!(store.open(&key), Err(Error::NotFound { .. })));
}

fn several_uploads_finish_together(store: &dyn Store) {
    let keys: Vec<Key> = (0..19).map(|n| key(1, n)).collect();
    let uploads = keys.iter().map(|key| {
        let upload = store.create(key).unwrap();
        upload.write_at(0, key.object()).unwrap();
        upload
    });
    finish_all(uploads.collect()).unwrap();
    assert!(keys.iter().all(|key| whole(store, key) == key.object()));

    let mixed: Vec<Box<dyn Upload>> = [key(1, 100), key(1, 101)].iter().map(|key| store.create(key).unwrap()).collect();
    mixed[1].write_at(5, b"hole").unwrap();
    assert!(matches!(finish_all(mixed), Err(Error::Misuse { .. })));
}

fn name_is_free_again_after_an_abort(store: &dyn Store) {
    let key = key(1, 1);
    drop(store.create(&key).unwrap());
    store.put_small(&key, b"x").unwrap();
    assert_eq!(whole(store, &key), b"x");
}

#[test]
fn bucket_refuses_writes_spread_over_too_many_parts() {
    let fixture = memory_bucket();
    let upload = fixture.store.create(&key(1, 1)).unwrap();
    let outcomes: Vec<_> = (0..20).rev().map(|part| upload.write_at(part * PART_LEN as u64, b"x")).collect();
    assert!(outcomes[..8].iter().all(Result::is_ok));
    assert!(matches!(outcomes[8], Err(Error::Misuse { .. })));
    assert!(upload.finish().is_err());
}

#[test]
fn bucket_writers_that_run_ahead_wait_for_the_late_one() {
    let fixture = memory_bucket();
    let upload = fixture.store.create(&key(1, 1)).unwrap();
    let bytes = random(1, 40 * PART_LEN);
    let (first, rest) = bytes.split_at(PART_LEN / 2);
    std::thread::scope(|scope| {
        for half in 0..2 {
            let upload = &upload;
            // Each writes its half of every part, so parts stay open until both came by.
            scope.spawn(move || {
                for (n, block) in rest.chunks(PART_LEN / 2).enumerate().filter(|(n, _)| n % 2 == half) {
                    upload.write_at((PART_LEN / 2 + n * (PART_LEN / 2)) as u64, block).unwrap();
                }
            });
        }
        scope.spawn(|| {
            std::thread::yield_now();
            upload.write_at(0, first).unwrap();
        });
    });
    upload.finish().unwrap();
    assert!(whole(&*fixture.store, &key(1, 1)) == bytes);
}

pub fn key(vault: u8, object: u8) -> Key {
    Key::new([vault; 16], [object; 16])
}

pub fn random(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Dice::new(seed).fill(&mut bytes);
    bytes
}

pub fn whole(store: &dyn Store, key: &Key) -> Vec<u8> {
    let object = store.open(key).unwrap();
    let mut bytes = vec![0; object.len_bytes() as usize];
    object.read_at(0, &mut bytes).unwrap();
    bytes
}

/// Small parts, so that the tests need little memory.
pub const PART_LEN: usize = 64 << 10;
