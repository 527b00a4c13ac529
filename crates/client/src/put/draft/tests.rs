use super::*;
use proptest::prelude::*;

const VAULT: [u8; 16] = [1; 16];
const SUITE: Suite = Suite::Nist;

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
    let mut growing = Growing::new(SUITE);
    (0..5).for_each(|n| growing.push(seal::tree::leaf(SUITE, &[n])));
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
    let mut resume = journal.resume(SUITE, &key, &VAULT, &version).unwrap();
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
    assert!(journal.resume(SUITE, &MapKey::generate().unwrap(), &VAULT, &version).is_none());
    assert!(journal.resume(SUITE, &key, &VAULT, &VersionId::from_bytes([5; 16])).is_none());
    assert_eq!(Journal::of(dir.path(), "lab/b", dir.path()).unwrap().version(), None);
    let path = journal.record(1);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[60] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(journal.resume(SUITE, &key, &VAULT, &version).is_none());
    journal.remove();
    assert_eq!(journal.version(), None);
}

#[test]
fn the_lock_stays_until_the_put_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let (key, pack_key) = (MapKey::generate().unwrap(), PackKey::generate().unwrap());
    let mut first = journal(dir.path(), &key, &pack_key, &VersionId::from_bytes([4; 16]));
    // A put that starts over, or whose journal cannot be written, goes on and still holds it.
    first.remove();
    assert!(Journal::of(dir.path(), "lab/a", dir.path()).is_none(), "a second put got in");
    first.close();
    let copy = first.clone();
    drop(first);
    assert!(Journal::of(dir.path(), "lab/a", dir.path()).is_none(), "a copy holds it too");
    drop(copy);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "no lock file is left");
    assert!(Journal::of(dir.path(), "lab/a", dir.path()).is_some());
}

#[test]
fn a_lock_whose_name_is_gone_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let first = Lock::take(path.clone()).unwrap();
    // Opened while the first held it, locked after that one ended and took the name with it.
    let waiting = File::create(&path).unwrap();
    drop(first);
    let second = Lock::take(path.clone()).unwrap();
    assert!(Lock::of(path.clone(), waiting).is_none());
    assert!(path.exists() && Lock::take(path).unwrap().is_none(), "the second one's is untouched");
    drop(second);
}

#[test]
fn a_journal_that_could_not_be_written_takes_no_later_record() {
    let dir = tempfile::tempdir().unwrap();
    let (key, pack_key) = (MapKey::generate().unwrap(), PackKey::generate().unwrap());
    let version = VersionId::from_bytes([4; 16]);
    let mut journal = journal(dir.path(), &key, &pack_key, &version);
    journal.close();
    let segment = Segment { object: [7; 16], plaintext_len: 50, stored_len: 200, digest: [3; 32] };
    let ended = Ended::default();
    let record = Record { pack: &[9; 16], key: &pack_key, segment: &segment, ended: &ended, partial: None };
    assert!(journal.push(&record, &key, &VAULT, &version).is_none());
    assert!(!journal.is_useful() && journal.version().is_none());
}

fn identities() -> impl Strategy<Value = Identity> {
    any::<[u8; Identity::LEN_BYTES]>().prop_map(|bytes| Identity::from_bytes(&bytes))
}

fn files() -> impl Strategy<Value = Vec<Stored>> {
    let path = prop::collection::vec(any::<u8>(), 0..40);
    let file = (path, identities(), any::<(u32, u64, [u8; 32])>());
    prop::collection::vec(file, 0..20).prop_map(|files| {
        let stored = |(path, identity, (segment, offset, digest))| Stored { path, identity, segment, offset, digest };
        files.into_iter().map(stored).collect()
    })
}

fn partials() -> impl Strategy<Value = Option<Partial>> {
    let partial = (prop::collection::vec(any::<u8>(), 0..40), identities(), any::<(u32, u64, u64)>(), 0..300u32);
    prop::option::of(partial.prop_map(|(path, identity, (segment, offset, done), leaves)| {
        let mut growing = Growing::new(SUITE);
        (0..leaves).for_each(|n| growing.push(seal::tree::leaf(SUITE, &n.to_be_bytes())));
        Partial { path, identity, segment, offset, done, growing }
    }))
}

proptest! {
    #[test]
    fn a_record_reads_as_it_was_written(files in files(), partial in partials(), lens in any::<(u64, u64, [u8; 32])>()) {
        let key = PackKey::from_slice(&[5; 32]).unwrap();
        let segment = Segment { object: [1; 16], plaintext_len: lens.0, stored_len: lens.1, digest: lens.2 };
        let mut ended = Ended::default();
        files.iter().for_each(|file| ended.push(file));
        let record = Record { pack: &[9; 16], key: &key, segment: &segment, ended: &ended, partial: partial.as_ref() };
        let bytes = record.encoded().unwrap();
        let (pack, key_read, segment_read, files_read, partial_read) = decoded(SUITE, &bytes).unwrap();
        prop_assert_eq!((pack, key_read.expose_bytes(), segment_read), ([9; 16], key.expose_bytes(), segment));
        prop_assert_eq!(files_read, files);
        let parts = |partial: &Option<Partial>| partial.as_ref().map(|p| {
            (p.path.clone(), p.identity, p.segment, p.offset, p.done, p.growing.parts().to_vec())
        });
        prop_assert_eq!(parts(&partial_read), parts(&partial));
        // Cut anywhere it is none: a record with a file under way may end before that one only.
        let whole_without = bytes.len() - partial.as_ref().map_or(0, |p| 2 + p.path.len() + 40 + 20 + 1 + 36 * p.growing.parts().len());
        for cut in 0..bytes.len() {
            prop_assert_eq!(decoded(SUITE, &bytes[..cut]).is_some(), cut == whole_without, "cut at {}", cut);
        }
    }

    #[test]
    fn any_bytes_are_a_record_or_none(mut bytes in prop::collection::vec(any::<u8>(), 116..600), count in 0..4u32) {
        // Pack, key, segment; then how many files there are.
        bytes[112..116].copy_from_slice(&count.to_be_bytes());
        let read = decoded(SUITE, &bytes);
        if let Some((.., files, partial)) = &read {
            prop_assert_eq!(files.len(), count as usize);
            prop_assert!(files.iter().all(|file| file.path.len() <= MAX_PATH_LEN_BYTES));
            prop_assert!(partial.is_some() || 116 + files.iter().map(|file| 86 + file.path.len()).sum::<usize>() == bytes.len());
        }
        prop_assert!(count > 0 || read.is_some() == (bytes.len() == 116) || read.is_some_and(|read| read.4.is_some()));
    }
}
