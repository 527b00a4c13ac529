//! Backups below the commands: the moment that is copied, the steps of a restore, the anchor that it is held to, and the clock.

use crate::destroy::{destroy, domain_keys};
use crate::world::{Client, Put, World, code};
use api::terms::{Action, Class, Code, Mode};
use api::wire::{Answer, BackupMade, Command, Freshness, KeySpare, Problem, Remove, Restore, Restores};
use keeper::Keeper;
use keeper::backup::{self, Fork, Opening, RestoreOptions, Restored};
use keeper::vault::{OpenOptions, RootMeans, RootUnlock};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn create(client: &Client<'_>, file: &Path) -> Result<BackupMade, Problem> {
    let file = file.display().to_string();
    match client.call(Command::BackupCreate(api::wire::BackupCreate { file }))? {
        Answer::BackupMade(made) => Ok(*made),
        other => panic!("{other:?}"),
    }
}

fn opening(world: &World) -> Opening {
    Opening::Roots(vec![Arc::new(RootMeans { root: None, unlock: RootUnlock::Keyfile(world.keyfile()) })])
}

/// Restores into a folder of its own, with an anchor of its own beside it.
fn restore(world: &World, file: &Path, dir: &Path, fork: Fork) -> Result<Restored, Problem> {
    restore_under(world, file, dir, &anchor(dir), fork)
}

fn restore_under(world: &World, file: &Path, dir: &Path, anchor: &Path, fork: Fork) -> Result<Restored, Problem> {
    backup::restore(&RestoreOptions {
        file: file.to_owned(),
        dir: dir.to_owned(),
        opening: opening(world),
        anchor: anchor.to_owned(),
        fork,
        clock: world.clock.clone(),
    })
}

fn anchor(dir: &Path) -> PathBuf {
    dir.with_extension("anchor")
}

fn open(world: &World, dir: &Path) -> Keeper {
    let root = RootUnlock::Keyfile(world.keyfile());
    Keeper::open(&OpenOptions { clock: world.clock.clone(), ..OpenOptions::new(dir.to_owned(), root, anchor(dir)) })
        .unwrap()
}

/// The vault in a folder, with its log and tables verified: how many versions, and what it says of being restored.
fn verified(world: &World, dir: &Path) -> (u64, Restores) {
    let keeper = open(world, dir);
    let client = Client::new(&keeper, world, None);
    match client.call(Command::StateVerify).unwrap() {
        Answer::StateVerified(state) => assert!(state.ok, "{state:?}"),
        other => panic!("{other:?}"),
    }
    match client.call(Command::AuditVerify).unwrap() {
        Answer::LogVerified(log) => assert!(log.ok && log.freshness == Freshness::Proven, "{log:?}"),
        other => panic!("{other:?}"),
    }
    match client.call(Command::Status).unwrap() {
        Answer::Status(status) => (status.versions, status.restored.unwrap()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_backup_is_one_moment_of_a_vault_that_is_written_all_the_while() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let stop = AtomicBool::new(false);
    let write = || {
        let client = Client::new(&keeper, &world, None);
        let mut puts = 0u64;
        while !stop.load(Ordering::Relaxed) || puts == 0 {
            client.put(&Put::new("lab/net")).unwrap();
            keeper.settle().unwrap();
            puts += 1;
        }
        puts
    };
    let made: Vec<(PathBuf, BackupMade)> = std::thread::scope(|scope| {
        let writers = [scope.spawn(write), scope.spawn(write)];
        let client = Client::new(&keeper, &world, None);
        let made = (0..8).map(|number| {
            let file = world.tmp.path().join(format!("b{number}"));
            let made = create(&client, &file).unwrap();
            (file, made)
        });
        let made = made.collect();
        stop.store(true, Ordering::Relaxed);
        let puts: u64 = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
        assert!(puts > 8, "{puts} puts are no company");
        made
    });
    assert!(made.windows(2).all(|pair| pair[0].1.log_size < pair[1].1.log_size));
    for (number, (file, made)) in made.iter().enumerate() {
        let checked = backup::check(file, Some(&opening(&world))).unwrap();
        assert!(checked.ok, "{checked:?}");
        let dir = world.tmp.path().join(format!("restored{number}"));
        let restored = restore(&world, file, &dir, Fork::Refused).unwrap();
        assert_eq!((restored.log_size, restored.freshness), (made.log_size, Freshness::Unproven));
        let (versions, restores) = verified(&world, &dir);
        assert_eq!((versions, restores.count, restores.forks), (made.versions, 1, 0));
    }
}

#[test]
fn a_restore_that_broke_off_is_finished_by_the_same_backup_and_no_other() {
    let world = World::new(Mode::Solo);
    let (file, other) = (world.tmp.path().join("b"), world.tmp.path().join("other"));
    {
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        client.put(&Put::new("lab/net")).unwrap();
        create(&client, &file).unwrap();
        create(&client, &other).unwrap();
    }
    let dir = world.tmp.path().join("new");
    // It broke off while files were written: they are thrown away.
    std::fs::create_dir_all(dir.join("log/tile")).unwrap();
    std::fs::write(dir.join("keeper.db"), b"SQLite format 3\0 and no more").unwrap();
    std::fs::write(dir.join("restore.unfinished"), "filling 00\n").unwrap();
    let root = RootUnlock::Keyfile(world.keyfile());
    let unfinished = Keeper::open(&OpenOptions::new(dir.clone(), root, anchor(&dir))).unwrap_err();
    assert_eq!((unfinished.code, unfinished.try_.is_some()), (Code::Conflict, true), "{unfinished}");
    let restored = restore(&world, &file, &dir, Fork::Refused).unwrap();
    assert!(!dir.join("restore.unfinished").exists());
    assert_eq!(restore(&world, &file, &dir, Fork::Refused).unwrap_err().code, Code::Conflict);

    // It broke off before its last step: another backup does not take its place, and nothing is said twice.
    std::fs::remove_file(dir.join("vault.json")).unwrap();
    std::fs::write(dir.join("restore.unfinished"), format!("filled  {}\n", restored.backup)).unwrap();
    assert_eq!(restore(&world, &other, &dir, Fork::Refused).unwrap_err().code, Code::Conflict);
    restore(&world, &file, &dir, Fork::Refused).unwrap();
    assert_eq!(verified(&world, &dir).1.count, 1);

    // What is refused leaves a folder as it was.
    let full = world.tmp.path().join("full");
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("f"), b"mine").unwrap();
    assert_eq!(restore(&world, &file, &full, Fork::Refused).unwrap_err().code, Code::Conflict);
    assert_eq!(std::fs::read_dir(&full).unwrap().count(), 1);
}

#[test]
fn a_log_goes_behind_no_anchor_and_beside_none_unless_it_is_told_to() {
    let world = World::new(Mode::Solo);
    let (file, late) = (world.tmp.path().join("b"), world.tmp.path().join("late"));
    {
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        client.put(&Put::new("lab/net")).unwrap();
        create(&client, &file).unwrap();
        client.put(&Put::new("lab/net")).unwrap();
        keeper.settle().unwrap();
    }
    let kept = std::fs::read(world.anchor()).unwrap();
    let dir = world.tmp.path().join("new");
    let behind = restore_under(&world, &file, &dir, &world.anchor(), Fork::Refused).unwrap_err();
    assert_eq!(behind.code, Code::BehindAnchor);
    assert!(!dir.exists() && std::fs::read(world.anchor()).unwrap() == kept, "nothing was touched");

    // A twin with a history of its own, longer than what the anchor knows of: no shorter, and not the same.
    let twin = world.tmp.path().join("twin");
    restore(&world, &file, &twin, Fork::Refused).unwrap();
    {
        let keeper = open(&world, &twin);
        let client = Client::new(&keeper, &world, None);
        for _ in 0..4 {
            client.put(&Put::new("lab/net")).unwrap();
        }
        create(&client, &late).unwrap();
    }
    let beside = restore_under(&world, &late, &dir, &world.anchor(), Fork::Refused).unwrap_err();
    assert_eq!(beside.code, Code::BehindAnchor);
    assert!(beside.why.contains("another history"), "{beside}");
    assert!(!dir.exists() && std::fs::read(world.anchor()).unwrap() == kept, "nothing was touched");

    let forked = restore_under(&world, &late, &dir, &world.anchor(), Fork::Accepted).unwrap();
    let aside = forked.old_anchor.expect("the anchor of then");
    assert_eq!(std::fs::read(aside).unwrap(), kept);
    std::fs::rename(world.anchor(), anchor(&dir)).unwrap();
    let (_, restores) = verified(&world, &dir);
    assert_eq!((restores.count, restores.forks, restores.latest.len()), (2, 1, 2));
    assert_eq!(restores.latest[0].fork, forked.fork);

    // An anchor that this log never signed is no fork to accept.
    let foreign = World::new(Mode::Solo);
    let under =
        restore_under(&world, &file, &world.tmp.path().join("n2"), &foreign.anchor(), Fork::Accepted).unwrap_err();
    assert_eq!(under.code, Code::BehindAnchor);
    assert!(under.why.contains("is not a checkpoint that this log signed"), "{under}");
}

#[test]
fn a_backup_that_lay_for_years_opens_and_one_of_the_future_does_not() {
    let world = World::new(Mode::Solo);
    let file = world.tmp.path().join("b");
    {
        let keeper = world.open();
        create(&Client::new(&keeper, &world, None), &file).unwrap();
    }
    let now = world.clock.millis();
    let (early, dir) = (world.tmp.path().join("early"), world.tmp.path().join("new"));
    world.clock.set(now - 30 * 86_400_000);
    assert_eq!(restore(&world, &file, &early, Fork::Refused).unwrap_err().code, Code::ClockBack);
    assert!(!early.join("vault.json").exists());
    world.clock.set(now + 1_000 * 86_400_000);
    restore(&world, &file, &dir, Fork::Refused).unwrap();
    assert_eq!(verified(&world, &dir).1.latest[0].at.as_millis(), world.clock.millis());
}

#[test]
fn only_one_backup_is_made_at_a_time_in_a_place_that_is_free() {
    let world = World::new(Mode::Rehearsal);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    // An owner of a team runs no machines.
    let file = world.tmp.path().join("b");
    assert_eq!(code(create(&client, &file)), Code::Denied);
    assert!(!file.exists());

    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let file = world.tmp.path().join("b");
    let lock = std::fs::File::create(world.dir().join("backup.lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(code(create(&client, &file)), Code::Conflict);
    lock.unlock().unwrap();
    std::os::unix::fs::symlink("nowhere", &file).unwrap();
    assert_eq!(code(create(&client, &file)), Code::Conflict, "not even through a link that leads nowhere");
    assert_eq!(code(create(&client, Path::new("relative"))), Code::BadRequest);
    std::fs::remove_file(&file).unwrap();
    // What one left that was killed is swept, and nothing else is.
    for left in ["b.0123abcd.partial", "b.0123abcd.partial2", "b.0123abcx.partial", "c.0123abcd.partial"] {
        std::fs::write(world.tmp.path().join(left), b"left").unwrap();
    }
    std::fs::write(world.dir().join("backup.partial"), b"left").unwrap();
    create(&client, &file).unwrap();
    let there = |name: &str| world.tmp.path().join(name).exists();
    assert!(!there("b.0123abcd.partial") && !world.dir().join("backup.partial").exists());
    assert!(there("b.0123abcd.partial2") && there("b.0123abcx.partial") && there("c.0123abcd.partial"));
}

#[test]
fn a_database_on_a_server_is_not_copied_and_says_so() {
    let world = World::postgres(Mode::Solo);
    let keeper = world.open();
    let refused = create(&Client::new(&keeper, &world, None), &world.tmp.path().join("b")).unwrap_err();
    assert!(refused.why.contains("the means of its server"), "{refused}");
    assert!(!world.tmp.path().join("b").exists());
}

#[test]
fn what_was_to_be_destroyed_waits_anew_after_a_restore() {
    const DAY: u64 = 86_400_000;
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    for name in ["lab/kept", "lab/gone"] {
        client.put(&Put::new(name).class(Class::Internal)).unwrap();
    }
    client.put(&Put::new("lab/public").class(Class::Public)).unwrap();
    let key = domain_keys(&client).iter().find(|key| key.class == Some(Class::Public)).unwrap().id;
    destroy(&client, key).unwrap();
    let reason = Some("a mistake".to_owned());
    let removal = Remove { reference: "lab/gone@v1".into(), all: false, reason, confirm: None, dry: false };
    client.call(Command::Remove(removal)).unwrap();
    let file = world.tmp.path().join("backup");
    create(&client, &file).unwrap();
    drop(client);
    drop(keeper);

    // Both times are over when it is restored, and both may have been called off since the backup was made.
    world.clock.advance(60 * DAY);
    let dir = world.tmp.path().join("restored");
    restore(&world, &file, &dir, Fork::Refused).unwrap();
    let ran = |client: &Client<'_>| client.call(Command::JobsRun { name: None }).map(drop).unwrap();
    let keeper = open(&world, &dir);
    let client = Client::new(&keeper, &world, None);
    ran(&client);
    client.call(Command::KeySpare(KeySpare { key, reason: "it was called off".into() })).unwrap();
    client.release(Action::Read, "lab/public").unwrap();
    client.call(Command::Restore(Restore { reference: "lab/gone@v1".into() })).unwrap();
    client.release(Action::Read, "lab/gone").unwrap();
    drop(client);
    drop(keeper);

    // Nobody calls it off: it is carried out, as long after the restore as it was to wait.
    let dir = world.tmp.path().join("again");
    restore(&world, &file, &dir, Fork::Refused).unwrap();
    for (days, state) in [(6, "deactivated"), (2, "destroyed")] {
        world.clock.advance(days * DAY);
        let keeper = open(&world, &dir);
        let client = Client::new(&keeper, &world, None);
        ran(&client);
        assert_eq!(domain_keys(&client).iter().find(|item| item.id == key).unwrap().state, state);
        assert_eq!(code(client.release(Action::Read, "lab/public@v1")), Code::Gone);
    }
}
