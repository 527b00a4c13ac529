use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const VAULT: [u8; 16] = [1; 16];
const VERSION: [u8; 16] = [2; 16];
const LATE: u64 = u64::MAX;

fn identity(n: u64) -> Identity {
    Identity { dev: 1, ino: n, size: n, modified_nanos: n, changed_nanos: n }
}

fn written(dir: &Path, key: &MapKey, count: u64, began: u64) {
    let mut writer = CacheWriter::create(dir, key, &VAULT, &VERSION, began).unwrap();
    for n in 0..count {
        writer.push(format!("{n:08}").as_bytes(), &identity(n)).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn states_are_found_in_order_and_absent_ones_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let key = MapKey::generate().unwrap();
    for count in [0, 1, 327, 3000] {
        written(dir.path(), &key, count, LATE);
        let mut reader = CacheReader::open(dir.path(), &key, &VAULT, &VERSION).unwrap();
        for n in (0..count).step_by(7) {
            assert_eq!(reader.at(format!("{n:08}").as_bytes()), Some(identity(n)));
            assert_eq!(reader.at(format!("{n:08}x").as_bytes()), None);
        }
        assert_eq!(reader.at(b"z"), None);
    }
}

#[test]
fn a_state_of_the_last_moment_is_not_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let key = MapKey::generate().unwrap();
    written(dir.path(), &key, 10, SETTLED_NANOS + 5);
    let mut reader = CacheReader::open(dir.path(), &key, &VAULT, &VERSION).unwrap();
    assert_eq!(reader.at(b"00000004"), Some(identity(4)));
    assert_eq!(reader.at(b"00000005"), None);
}

#[test]
fn whole_seconds_are_trusted_after_two() {
    const BEGAN: u64 = 1_000 * SECOND_NANOS;
    let at = |modified_nanos, changed_nanos| Identity { modified_nanos, changed_nanos, ..identity(1) };
    let fine = BEGAN - SETTLED_NANOS - 1;
    assert!(settled(&at(fine, fine), BEGAN));
    // FAT: written within two seconds of the put, perhaps again within the same tick.
    for old in [0, SECOND_NANOS, COARSE_NANOS] {
        assert!(!settled(&at(BEGAN - old, BEGAN - old), BEGAN), "{old}");
    }
    assert!(settled(&at(BEGAN - 3 * SECOND_NANOS, BEGAN - 3 * SECOND_NANOS), BEGAN));
    // A coarse change time beside a fine modification time, as a program may set it, and the reverse.
    assert!(!settled(&at(fine, BEGAN - SECOND_NANOS), BEGAN));
    assert!(!settled(&at(BEGAN - SECOND_NANOS, fine), BEGAN));
}

#[test]
fn another_key_version_or_a_flipped_byte_is_no_cache() {
    let dir = tempfile::tempdir().unwrap();
    let key = MapKey::generate().unwrap();
    written(dir.path(), &key, 10, LATE);
    assert!(CacheReader::open(dir.path(), &MapKey::generate().unwrap(), &VAULT, &VERSION).is_none());
    assert!(CacheReader::open(dir.path(), &key, &VAULT, &[3; 16]).is_none());
    let place = path(dir.path(), &VERSION);
    let mut bytes = std::fs::read(&place).unwrap();
    bytes[HEADER_LEN + 5] ^= 1;
    std::fs::write(&place, bytes).unwrap();
    let mut reader = CacheReader::open(dir.path(), &key, &VAULT, &VERSION).unwrap();
    assert_eq!(reader.at(b"00000001"), None);
}

/// Paths of a walk, each with a state.
fn states() -> impl Strategy<Value = BTreeMap<Vec<u8>, Identity>> {
    let identity = any::<[u8; Identity::LEN_BYTES]>().prop_map(|bytes| Identity::from_bytes(&bytes));
    prop::collection::btree_map(prop::collection::vec(any::<u8>(), 0..300), identity, 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_cache_answers_as_the_map_of_settled_states(
        states in states(),
        asked in prop::collection::btree_set(prop::collection::vec(any::<u8>(), 0..3), 0..40),
        began in any::<u64>(),
        flip in any::<prop::sample::Index>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let key = MapKey::generate().unwrap();
        let mut writer = CacheWriter::create(dir.path(), &key, &VAULT, &VERSION, began).unwrap();
        for (path, identity) in &states {
            writer.push(path, identity).unwrap();
        }
        writer.finish().unwrap();
        let expected = |path: &Vec<u8>| states.get(path).copied().filter(|identity| settled(identity, began));
        let every: std::collections::BTreeSet<Vec<u8>> = states.keys().cloned().chain(asked).collect();
        let mut reader = CacheReader::open(dir.path(), &key, &VAULT, &VERSION).unwrap();
        for path in &every {
            prop_assert_eq!(reader.at(path), expected(path));
        }
        // A flipped byte makes states unknown, never others.
        let place = path(dir.path(), &VERSION);
        let mut bytes = std::fs::read(&place).unwrap();
        let at = flip.index(bytes.len());
        bytes[at] ^= 1;
        std::fs::write(&place, bytes).unwrap();
        if let Some(mut reader) = CacheReader::open(dir.path(), &key, &VAULT, &VERSION) {
            for path in &every {
                let found = reader.at(path);
                prop_assert!(found.is_none() || found == expected(path));
            }
        }
    }
}
