use super::*;

const VAULT: [u8; 16] = [1; 16];

fn stored(n: u32) -> Stored {
    let identity = Identity { ino: u64::from(n), size: 5, ..Identity::default() };
    Stored {
        path: format!("{n:05}").into_bytes(),
        identity,
        segment: n / 10,
        offset: u64::from(n) * 5,
        digest: [n as u8; 32],
    }
}

fn partial() -> Partial {
    let mut growing = Growing::default();
    (0..5).for_each(|n| growing.push(seal::tree::leaf(&[n])));
    let identity = Identity { ino: 99, size: 1 << 40, ..Identity::default() };
    Partial { path: b"zz".to_vec(), identity, segment: 1, offset: 65_536, done: 5 * 65_536, growing }
}

fn journal(dir: &Path, key: &MapKey, pack_key: &PackKey, version: &VersionId) -> Journal {
    let mut journal = Journal::of(dir, "lab/a", dir).unwrap();
    for number in 0..3 {
        let mut ended = Ended::default();
        (number * 10..number * 10 + 10).for_each(|n| ended.push(&stored(n)));
        let segment = Segment { object: [number as u8; 16], plaintext_len: 50, stored_len: 200, digest: [3; 32] };
        let partial = partial();
        let partial = (number == 2).then_some(&partial);
        let record = Record { pack: &[9; 16], key: pack_key, segment: &segment, ended: &ended, partial };
        journal.push(&record, key, &VAULT, version).unwrap();
    }
    journal
}

#[test]
fn what_was_finished_is_known_again() {
    let dir = tempfile::tempdir().unwrap();
    let (key, pack_key) = (MapKey::generate().unwrap(), PackKey::generate().unwrap());
    let version = VersionId::from_bytes([4; 16]);
    drop(journal(dir.path(), &key, &pack_key, &version));
    let mut journal = Journal::of(dir.path(), "lab/a", dir.path()).unwrap();
    assert_eq!(journal.version(), Some(version));
    let mut resume = journal.resume(&key, &VAULT, &version).unwrap();
    assert!(journal.is_useful());
    assert!(Journal::of(dir.path(), "lab/a", dir.path()).is_none(), "somebody has it");
    assert_eq!((resume.pack, resume.segments.len()), ([9; 16], 3));
    assert_eq!(resume.key.expose_bytes(), pack_key.expose_bytes());
    assert_eq!(resume.stored(b"00003", &stored(3).identity), Some(stored(3)));
    assert_eq!(resume.stored(b"00004x", &stored(4).identity), None);
    assert_eq!(resume.stored(b"00005", &Identity::default()), None, "it changed");
    assert_eq!(resume.stored(b"00029", &stored(29).identity), Some(stored(29)));
    assert!(resume.partial(b"zz", &Identity::default()).is_none());
    let found = resume.partial(b"zz", &partial().identity).unwrap();
    assert_eq!((found.done, found.growing.finish()), (partial().done, partial().growing.finish()));
}

#[test]
fn a_journal_of_another_version_source_or_key_or_a_damaged_one_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let (key, pack_key) = (MapKey::generate().unwrap(), PackKey::generate().unwrap());
    let version = VersionId::from_bytes([4; 16]);
    let mut journal = journal(dir.path(), &key, &pack_key, &version);
    assert!(journal.resume(&MapKey::generate().unwrap(), &VAULT, &version).is_none());
    assert!(journal.resume(&key, &VAULT, &VersionId::from_bytes([5; 16])).is_none());
    assert_eq!(Journal::of(dir.path(), "lab/b", dir.path()).unwrap().version(), None);
    let path = journal.record(1);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[60] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(journal.resume(&key, &VAULT, &version).is_none());
    journal.remove();
    assert_eq!(journal.version(), None);
}
