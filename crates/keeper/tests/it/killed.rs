//! `kill -9` in the middle of destroying a key, and of saying that one is compromised: another process does it, and ends itself so at its
//! first write, at its second, and on, before the commit of each and after it. What was to shut is shut at each of them, or nothing was
//! begun, and whoever comes next goes on.

use crate::destroy::{destroy, domain_keys, state_holds, written};
use crate::incidents::compromise;
use crate::world::{Client, Put, World, code};
use api::terms::{Action, Class, Code, KeyId, Mode, Timestamp};
use api::wire::{Answer, Command, IncidentList, KeyCompromise};
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
