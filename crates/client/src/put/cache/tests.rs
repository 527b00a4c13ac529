use super::*;

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
