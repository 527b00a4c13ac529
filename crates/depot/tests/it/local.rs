//! What only a folder can get wrong.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use depot::{Error, Fault, Local, Store, Sweep, Swept};

use crate::conformance::{Fixture, key, local, random, whole};

/// The folder of the depot.
fn root(fixture: &Fixture) -> PathBuf {
    fixture.folder.as_ref().unwrap().path().join("depot")
}

fn vault_folder(fixture: &Fixture) -> PathBuf {
    root(fixture).join("01".repeat(16))
}

fn mode(path: PathBuf) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn files_and_folders_are_for_the_owner_only() {
    let fixture = local();
    fixture.store.put_small(&key(1, 2), b"x").unwrap();
    assert_eq!(mode(root(&fixture)), 0o700);
    assert_eq!(mode(vault_folder(&fixture)), 0o700);
    assert_eq!(mode(vault_folder(&fixture).join("0")), 0o700);
    assert_eq!(mode(vault_folder(&fixture).join("unfinished")), 0o700);
    assert_eq!(mode(vault_folder(&fixture).join("0").join("02".repeat(16))), 0o600);
}

#[test]
fn symbolic_links_are_refused_at_every_level() {
    let (real, linked) = (local(), local());
    real.store.put_small(&key(1, 2), b"x").unwrap();
    let object = vault_folder(&real).join("0").join("02".repeat(16));
    linked.store.put_small(&key(1, 3), b"y").unwrap();

    symlink(&object, vault_folder(&linked).join("0").join("02".repeat(16))).unwrap();
    assert_foreign(&linked);
    assert!(matches!(linked.store.create(&key(1, 2)), Err(Error::AlreadyExists { .. })));
    assert_eq!(linked.store.list(&[1; 16], None, 9).unwrap().len(), 1, "a link is not listed");

    std::fs::remove_dir_all(vault_folder(&linked).join("0")).unwrap();
    symlink(vault_folder(&real).join("0"), vault_folder(&linked).join("0")).unwrap();
    assert_foreign(&linked);
    assert!(matches!(linked.store.delete(&key(1, 2)), Err(Error::Foreign { .. })));
    assert!(matches!(linked.store.create(&key(1, 2)), Err(Error::Foreign { .. })));

    std::fs::remove_dir_all(vault_folder(&linked)).unwrap();
    symlink(vault_folder(&real), vault_folder(&linked)).unwrap();
    assert_foreign(&linked);
    assert!(matches!(linked.store.list(&[1; 16], None, 9), Err(Error::Foreign { .. })));
    assert_eq!(whole(&*real.store, &key(1, 2)), b"x");
}

fn assert_foreign(fixture: &Fixture) {
    let error = fixture.store.open(&key(1, 2)).err().unwrap();
    assert!(matches!(error, Error::Foreign { .. }), "{error:?}");
    assert_eq!(error.fault(), Fault::Hostile);
}

#[test]
fn pipes_and_folders_in_place_of_objects_are_refused_without_waiting() {
    let fixture = local();
    fixture.store.put_small(&key(1, 3), b"y").unwrap();
    let pipe = vault_folder(&fixture).join("0").join("02".repeat(16));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert_foreign(&fixture);
    std::fs::remove_file(&pipe).unwrap();
    std::fs::create_dir(&pipe).unwrap();
    assert_foreign(&fixture);
    assert_eq!(fixture.store.list(&[1; 16], None, 9).unwrap().len(), 1);
}

#[test]
fn foreign_names_are_not_listed() {
    let fixture = local();
    fixture.store.put_small(&key(1, 2), b"x").unwrap();
    let fan = vault_folder(&fixture).join("0");
    for name in ["readme.txt", &"AB".repeat(16), &"13".repeat(16), &format!("{}.bak", "02".repeat(16))] {
        std::fs::write(fan.join(name), b"z").unwrap();
    }
    assert_eq!(fixture.store.list(&[1; 16], None, 9).unwrap().len(), 1);
}

#[test]
fn killed_upload_shows_nothing_and_is_swept_after_its_grace() {
    let fixture = local();
    let upload = fixture.store.create(&key(1, 2)).unwrap();
    upload.write_at(0, b"half").unwrap();
    // A killed process leaves the file and no lock on it.
    let unfinished = vault_folder(&fixture).join("unfinished");
    let left = std::fs::read_dir(&unfinished).unwrap().next().unwrap().unwrap().path();
    std::fs::copy(&left, unfinished.join("left")).unwrap();
    drop(upload);
    assert!(!left.exists());
    assert!(fixture.store.list(&[1; 16], None, 9).unwrap().is_empty());
    let now = std::fs::metadata(vault_folder(&fixture)).unwrap().modified().unwrap();
    let (earlier, later) = (now - Duration::from_secs(3600), now + Duration::from_secs(3600));
    let (none, one) = (Swept::default(), Swept { uploads: 1, bytes: 4 });
    assert_eq!(fixture.store.sweep(&[1; 16], earlier, Sweep::Remove).unwrap(), none);
    assert_eq!(fixture.store.sweep(&[1; 16], earlier, Sweep::Count).unwrap(), none);
    for _ in 0..2 {
        assert_eq!(fixture.store.sweep(&[1; 16], later, Sweep::Count).unwrap(), one, "counting removes nothing");
    }
    assert_eq!(fixture.store.sweep(&[1; 16], later, Sweep::Remove).unwrap(), one);
    assert_eq!(fixture.store.sweep(&[1; 16], later, Sweep::Remove).unwrap(), none);
    assert_eq!(fixture.store.sweep(&[9; 16], now, Sweep::Remove).unwrap(), none);
    fixture.store.put_small(&key(1, 2), b"whole").unwrap();
    assert_eq!(whole(&*fixture.store, &key(1, 2)), b"whole");
}

#[test]
fn a_living_upload_is_never_swept_however_old() {
    let fixture = local();
    let upload = fixture.store.create(&key(1, 2)).unwrap();
    upload.write_at(0, b"half").unwrap();
    let later =
        std::fs::metadata(vault_folder(&fixture)).unwrap().modified().unwrap() + Duration::from_secs(10 * 86_400);
    for what in [Sweep::Count, Sweep::Remove] {
        assert_eq!(fixture.store.sweep(&[1; 16], later, what).unwrap(), Swept::default());
    }
    upload.write_at(4, b"whole").unwrap();
    upload.finish().unwrap();
    assert_eq!(whole(&*fixture.store, &key(1, 2)), b"halfwhole");
}

#[test]
fn sweeping_beside_uploads_takes_none_of_them() {
    let fixture = local();
    let later = std::time::UNIX_EPOCH + Duration::from_secs(1 << 35);
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                fixture.store.sweep(&[1; 16], later, Sweep::Remove).unwrap();
            }
        });
        for n in 0..200 {
            fixture.store.put_small(&key(1, n), &[n; 10]).unwrap();
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(fixture.store.list(&[1; 16], None, 1_000).unwrap().len(), 200);
}

#[test]
fn of_two_racing_uploads_exactly_one_wins() {
    let fixture = local();
    for n in 0..20 {
        let uploads: Vec<_> = (0..4)
            .map(|seed| {
                let upload = fixture.store.create(&key(1, n)).unwrap();
                upload.write_at(0, &random(seed, 5000)).unwrap();
                upload
            })
            .collect();
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = uploads.into_iter().map(|upload| scope.spawn(|| upload.finish().is_ok())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(outcomes.iter().filter(|won| **won).count(), 1);
        let winner = outcomes.iter().position(|won| *won).unwrap();
        assert_eq!(whole(&*fixture.store, &key(1, n)), random(winner as u64, 5000));
    }
    assert_eq!(std::fs::read_dir(vault_folder(&fixture).join("unfinished")).unwrap().count(), 0);
}

#[test]
fn object_cut_while_it_is_open_is_told() {
    let fixture = local();
    fixture.store.put_small(&key(1, 2), &random(1, 1000)).unwrap();
    let object = fixture.store.open(&key(1, 2)).unwrap();
    let path = vault_folder(&fixture).join("0").join("02".repeat(16));
    std::fs::File::options().write(true).open(path).unwrap().set_len(500).unwrap();
    let error = object.read_at(400, &mut [0; 200]).err().unwrap();
    assert!(matches!(error, Error::PastEnd { object_len: 500, offset: 400, .. }), "{error:?}");
}

#[test]
fn missing_depot_is_not_found() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Local::open(&folder.path().join("none")), Err(Error::NotFound { .. })));
    assert!(matches!(Local::create(&folder.path().join("none/deeper")), Err(Error::NotFound { .. })));
}

/// The test starts itself again under a file size limit, which the file system reports like a full disk.
#[test]
fn full_disk_is_told_and_leaves_nothing() {
    const CHILD: &str = "DEPOT_TEST_FULL_DISK";
    if let Some(path) = std::env::var_os(CHILD) {
        let store = Local::create(&PathBuf::from(path)).unwrap();
        let upload = store.create(&key(1, 2)).unwrap();
        upload.write_at(0, &random(1, 1000)).unwrap();
        let error = upload.write_at(1000, &random(1, 1 << 20)).err().unwrap();
        assert!(matches!(error, Error::Full { .. }), "{error:?}");
        assert!(error.is_temporary());
        assert!(upload.finish().is_err());
        assert!(matches!(store.open(&key(1, 2)), Err(Error::NotFound { .. })));
        store.put_small(&key(1, 2), b"small enough").unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let limited = "ulimit -f 16; trap '' XFSZ; exec \"$0\" --exact local::full_disk_is_told_and_leaves_nothing";
    // Its output goes through a pipe: a file would be under the limit too.
    let output = Command::new("sh")
        .args(["-c", limited])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, folder.path().join("depot"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let unfinished = folder.path().join("depot").join("01".repeat(16)).join("unfinished");
    assert_eq!(std::fs::read_dir(unfinished).unwrap().count(), 0);
}
