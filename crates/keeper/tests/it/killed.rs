//! `kill -9` in the middle of destroying a key, of saying that one is compromised, of a rotation and of removing a root: another process
//! does it, and ends itself so at its first write, at its second, and on, before the commit of each and after it. What was to shut is shut
//! at each of them, or nothing was begun, and whoever comes next goes on.

use crate::destroy::{destroy, domain_keys, state_holds, written};
use crate::incidents::compromise;
use crate::roots;
use crate::world::{Client, Put, World, code};
use api::terms::{Action, Class, Code, KeyId, Mode, Timestamp};
use api::wire::{Answer, Command, IncidentList, KeyCompromise, KeyRotate, RootRemove};
use keeper::Keeper;
use keeper::datastore::sqlite::{Options, Sqlite};
use keeper::datastore::{self, Alteration, Datastore, Driver, Outcome, Transaction};
use keeper::system::Clock;
use keeper::vault::{OpenOptions, RootUnlock};
use rustix::process::{Signal, getpid, kill_process};
use seal::secret::SigningSeed;
use seal::sign::SigningKey;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const DAY: u64 = 86_400_000;
/// What the other process is told: after how many half writes it ends, the time, what it does, and where the vault is.
const TOLD: &str = "STRONGROOM_TEST_KILLED";
const VERSIONS: usize = 300;

#[derive(Debug)]
struct Stopped(u64);

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0)
    }
}

/// A database whose process is killed in the middle of a write, or right after it.
struct Killed {
    inner: Sqlite,
    halves: AtomicI64,
}

impl Killed {
    fn half(&self) {
        if self.halves.fetch_sub(1, Ordering::SeqCst) == 0 {
            kill_process(getpid(), Signal::KILL).unwrap();
        }
    }
}

impl Driver for Killed {
    fn read(&self, body: &mut dyn FnMut(&mut dyn Transaction) -> Outcome) -> datastore::Result<()> {
        self.inner.read(body)
    }
    fn write(&self, body: &mut dyn FnMut(&mut dyn Transaction) -> Outcome) -> datastore::Result<()> {
        self.inner.write(&mut |tx| {
            let outcome = body(tx);
            self.half();
            outcome
        })?;
        self.half();
        Ok(())
    }
    fn alter(&self, body: &mut dyn FnMut(&mut dyn Alteration) -> Outcome) -> datastore::Result<()> {
        self.inner.alter(body)
    }
    fn scrub(&self) -> datastore::Result<()> {
        self.half();
        self.inner.scrub()
    }
}

/// In the other process: opens the vault, does what it was told until it is killed, or ends.
fn does(command: impl Fn(&str) -> Command) {
    let Ok(told) = std::env::var(TOLD) else { return };
    let mut told = told.splitn(4, ' ');
    let mut next = || told.next().unwrap();
    let (halves, millis, what, place) =
        (next().parse().unwrap(), next().parse().unwrap(), next(), PathBuf::from(next()));
    let inner = Sqlite::open(&place.join("vault/keeper.db"), &Options::default()).unwrap();
    let killed = Arc::new(Killed { inner, halves: AtomicI64::new(i64::MAX) });
    let root = RootUnlock::Keyfile(place.join("keys/root.key"));
    let options = OpenOptions {
        clock: Arc::new(Stopped(millis)),
        store: Some(Datastore::new(killed.clone())),
        ..OpenOptions::new(place.join("vault"), root, place.join("state/anchor"))
    };
    let keeper = Keeper::open(&options).unwrap();
    let key = SigningKey::from_seed(&SigningSeed::generate().unwrap()).unwrap();
    let session = keeper.session(None, *key.verifying_key().as_bytes()).unwrap();
    killed.halves.store(halves, Ordering::SeqCst);
    keeper.call(&session, command(what)).unwrap();
    std::process::exit(0);
}

/// This test in another process; whether it was killed there.
fn is_killed(test: &str, world: &World, what: &str, halves: u32) -> bool {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let told = format!("{halves} {} {what} {}", world.clock.millis(), world.tmp.path().display());
    command.args(["--exact", &format!("killed::{test}"), "--nocapture"]).env(TOLD, told);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success() || status.signal() == Some(9), "{status:?}");
    !status.success()
}

fn filled(versions: usize) -> (World, KeyId) {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    for _ in 0..versions {
        client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    }
    let key = domain_keys(&client)[0].id;
    drop(client);
    keeper.close().unwrap();
    (world, key)
}

fn wraps(world: &World) -> usize {
    let db = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
    db.query_row("SELECT count(*) FROM wrap", [], |row| row.get::<_, u32>(0)).unwrap() as usize
}

#[test]
fn a_destruction_that_is_killed_anywhere_opens_nothing_and_goes_on() {
    does(|_| Command::JobsRun { name: Some("shred".into()) });
    let (world, key) = filled(VERSIONS);
    let keeper = world.open();
    destroy(&Client::new(&keeper, &world, None), key).unwrap();
    keeper.close().unwrap();
    world.clock.advance(7 * DAY);
    let (all, mut between) = (wraps(&world), 0);
    let mut kills = 0;
    // Half a write further each time, from where the one before was killed.
    while is_killed("a_destruction_that_is_killed_anywhere_opens_nothing_and_goes_on", &world, "shred", kills + 1) {
        let left = wraps(&world);
        between += usize::from(left + VERSIONS > all && left < all);
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        for version in ["lab/net@v1", "lab/net@v150", "lab/net@v300"] {
            assert_eq!(
                code(client.release(Action::Read, version)),
                Code::Gone,
                "killed {kills}, {left} of {all} wraps"
            );
        }
        kills += 1;
        assert!(kills < 64, "it does not get on");
    }
    assert!(kills >= 4 && between >= 1, "killed {kills} times, {between} times with some of the keys gone");
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    assert!(wraps(&world) + VERSIONS <= all);
    let text = written(&client, key);
    assert_eq!(text.lines().filter(|line| line.contains("lab/net@v")).count(), VERSIONS, "{text}");
    state_holds(&client);
}

#[test]
fn a_compromise_that_is_killed_anywhere_is_said_or_not_and_is_told_whole_by_the_next() {
    does(|key| Command::KeyCompromise(KeyCompromise { key: key.parse().unwrap(), reason: "found on a server".into() }));
    let test = "a_compromise_that_is_killed_anywhere_is_said_or_not_and_is_told_whole_by_the_next";
    let (mut before, mut between) = (0, 0);
    for halves in 0..64 {
        let (world, key) = filled(40);
        let killed = is_killed(test, &world, &key.to_string(), halves);
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        let incidents = match client.call(Command::Incidents).unwrap() {
            Answer::Incidents(IncidentList { items, .. }) => items.len(),
            other => panic!("{other:?}"),
        };
        match client.release(Action::Read, "lab/net@v1") {
            Ok(_) => assert_eq!(incidents, 0, "nothing was said"),
            refused => assert_eq!((code(refused), incidents), (Code::Gone, 1), "it was said once"),
        }
        (before, between) =
            (before + u32::from(killed && incidents == 0), between + u32::from(killed && incidents == 1));
        let told = compromise(&client, key).unwrap();
        assert_eq!(told.found.unwrap().versions, 40);
        state_holds(&client);
        if !killed {
            assert!(before >= 1 && between >= 1, "killed {before} times before it was said, {between} times after");
            return;
        }
    }
    panic!("it does not get on");
}

/// One number of the database.
fn counted(world: &World, sql: &str) -> usize {
    let db = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
    db.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap() as usize
}

#[test]
fn a_rotation_that_is_killed_anywhere_makes_one_key_and_goes_on() {
    const KEYS: usize = 600;
    does(|_| Command::KeyRotate(KeyRotate::default()));
    let (world, key) = filled(KEYS);
    let left = || counted(&world, &format!("SELECT count(*) FROM wrap WHERE under = x'{key}'"));
    let made = || counted(&world, "SELECT count(*) FROM crypto_key WHERE purpose = 'domain'");
    let (mut unbegun, mut before, mut between, mut after, mut halves) = (0, 0, 0, 0, 0);
    // Half a write further each time, from where the one before was killed.
    while after == 0 {
        let killed = is_killed("a_rotation_that_is_killed_anywhere_makes_one_key_and_goes_on", &world, "all", halves);
        assert!(killed, "it ended before it was killed with nothing left to wrap again");
        let (left, made) = (left(), made());
        let moved = counted(&world, "SELECT count(*) FROM wrap WHERE version IS NOT NULL");
        assert_eq!(moved, KEYS, "killed at {halves}: a key is lost, or there twice");
        match (made, left) {
            (1, KEYS) => unbegun += 1,
            (2, KEYS) => before += 1,
            (2, 0) => after += 1,
            (2, some) => {
                assert_eq!((KEYS - some) % 256, 0, "killed at {halves}: half a batch");
                between += 1;
            }
            other => panic!("killed at {halves}: {other:?}"),
        }
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        for version in ["lab/net@v1", "lab/net@v300", "lab/net@v600"] {
            client.release(Action::Read, version).unwrap();
        }
        halves += 1;
        assert!(halves < 64, "it does not get on");
    }
    assert!(
        unbegun >= 1 && before >= 2 && between >= 2,
        "{unbegun} before it began, {before} before a batch, {between}"
    );
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.call(Command::JobsRun { name: Some("rewrap".into()) }).unwrap();
    let keys: Vec<_> = domain_keys(&client).into_iter().map(|key| (key.version, key.state, key.wraps)).collect();
    assert_eq!(keys, [(1, "deactivated".to_owned(), 0), (2, "active".to_owned(), KEYS as u64)]);
    for version in 1..=KEYS {
        client.release(Action::List, &format!("lab/net@v{version}")).unwrap();
    }
    state_holds(&client);
}

#[test]
fn the_removal_of_a_root_that_is_killed_anywhere_opens_nothing_by_it_and_goes_on() {
    let test = "the_removal_of_a_root_that_is_killed_anywhere_opens_nothing_by_it_and_goes_on";
    does(|what| match what {
        "job" => Command::JobsRun { name: Some("roots".into()) },
        root => Command::RootRemove(RootRemove { root: root.parse().unwrap(), after: None }),
    });
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let root = roots::add(&client, roots::second(&world), None).unwrap().root.id;
    for class in [Class::Public, Class::Internal, Class::Confidential, Class::Restricted] {
        client.put(&Put::new(&format!("lab/{class}")).class(class)).unwrap();
    }
    // Each key of each domain is one more that both roots wrap.
    for _ in 0..36 {
        client.call(Command::KeyRotate(KeyRotate::default())).unwrap();
    }
    drop(client);
    keeper.close().unwrap();
    let left = || counted(&world, &format!("SELECT count(*) FROM wrap WHERE under = x'{root}'"));
    let rows = || counted(&world, &format!("SELECT count(*) FROM root WHERE id = x'{root}'"));
    let all = left();
    assert!(all > 2 * 64, "{all} wraps are no three batches");
    let opened_by_it = || Keeper::open(&roots::options(&world, &[roots::second(&world)]));

    assert!(is_killed(test, &world, &root.to_string(), 0));
    assert_eq!(left(), all, "nothing was begun");
    opened_by_it().unwrap().close().unwrap();
    assert!(is_killed(test, &world, &root.to_string(), 1));
    assert_eq!(left(), all, "it was said, and nothing done");
    let (mut before, mut between, mut after) = (0, 0, 0);
    // In turn in the middle of the next write, and right after it.
    for halves in [0, 1].into_iter().cycle().take(64) {
        assert_eq!(code(opened_by_it()), Code::RootRefused, "it goes, and opens nothing: {halves}");
        if !is_killed(test, &world, "job", halves) || rows() == 0 {
            break;
        }
        match (left(), rows()) {
            (some, 1) if some == all => before += 1,
            (0, 1) => after += 1,
            (some, 1) => {
                assert_eq!((all - some) % 64, 0, "half a batch: {some} of {all}");
                between += 1;
            }
            other => panic!("{other:?}"),
        }
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        client.release(Action::Read, "lab/public").unwrap();
    }
    assert!(before >= 1 && between >= 1 && after >= 1, "{before} before, {between} between, {after} after the batches");
    assert_eq!((left(), rows()), (0, 0), "nothing is left of it");
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    assert_eq!(roots::roots(&client).len(), 1);
    assert_eq!(roots::remove(&client, root).unwrap_err().code, Code::NotFound);
    for class in ["public", "internal", "confidential"] {
        client.release(Action::Read, &format!("lab/{class}")).unwrap();
    }
    state_holds(&client);
}
