//! `kill -9` in the middle of destroying a key, and of saying that one is compromised: another process does it, and is killed at many
//! points. What was to shut is shut at each of them, or nothing was begun, and whoever comes next goes on.

use crate::destroy::{destroy, domain_keys, state_holds, written};
use crate::incidents::compromise;
use crate::world::{Client, Put, World, code};
use api::terms::{Action, Class, Code, KeyId, Mode, Timestamp};
use api::wire::{Answer, Command, IncidentList, KeyCompromise};
use keeper::Keeper;
use keeper::system::Clock;
use keeper::vault::{OpenOptions, RootUnlock};
use seal::secret::SigningSeed;
use seal::sign::SigningKey;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::fault::Dice;

const DAY: u64 = 86_400_000;
/// What the other process is told: the time, what it does, and where the vault is.
const TOLD: &str = "STRONGROOM_TEST_KILLED";
const VERSIONS: usize = 300;

#[derive(Debug)]
struct Stopped(u64);

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0)
    }
}

/// In the other process: opens the vault, says so, does what it was told, and ends.
fn does(command: impl Fn(&str) -> Command) {
    let Ok(told) = std::env::var(TOLD) else { return };
    let (millis, rest) = told.split_once(' ').unwrap();
    let (what, place) = rest.split_once(' ').unwrap();
    let place = PathBuf::from(place);
    let root = RootUnlock::Keyfile(place.join("keys/root.key"));
    let options = OpenOptions {
        clock: Arc::new(Stopped(millis.parse().unwrap())),
        ..OpenOptions::new(place.join("vault"), root, place.join("state/anchor"))
    };
    let keeper = Keeper::open(&options).unwrap();
    let key = SigningKey::from_seed(&SigningSeed::generate().unwrap()).unwrap();
    let session = keeper.session(None, *key.verifying_key().as_bytes()).unwrap();
    println!("\nopen");
    keeper.call(&session, command(what)).unwrap();
    println!("\ndone");
    std::process::exit(0);
}

/// This test in another process, which has opened the vault when this returns.
fn other(test: &str, world: &World, what: &str) -> (Child, impl Iterator<Item = String>) {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let told = format!("{} {what} {}", world.clock.millis(), world.tmp.path().display());
    command.args(["--exact", &format!("killed::{test}"), "--nocapture"]).env(TOLD, told);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.by_ref().any(|line| line == "open"), "it opened the vault");
    (child, lines)
}

/// Kills it after so long; whether it had not come to its end.
fn killed((mut child, mut lines): (Child, impl Iterator<Item = String>), after: Duration) -> bool {
    let began = Instant::now();
    while began.elapsed() < after {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    !lines.any(|line| line == "done")
}

fn filled() -> (World, KeyId) {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    for _ in 0..VERSIONS {
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
    let (world, key) = filled();
    let keeper = world.open();
    destroy(&Client::new(&keeper, &world, None), key).unwrap();
    keeper.close().unwrap();
    world.clock.advance(7 * DAY);
    let (all, mut dice, mut kills, mut between) = (wraps(&world), Dice::new(5), 0, 0);
    for round in 0..200 {
        let after = Duration::from_micros(dice.below(4_000) + round * 500);
        let in_the_middle =
            killed(other("a_destruction_that_is_killed_anywhere_opens_nothing_and_goes_on", &world, "shred"), after);
        let left = wraps(&world);
        between += usize::from(in_the_middle && left + VERSIONS > all && left < all);
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        for version in ["lab/net@v1", "lab/net@v150", "lab/net@v300"] {
            assert_eq!(code(client.release(Action::Read, version)), Code::Gone, "round {round}, {left} of {all} wraps");
        }
        if !in_the_middle {
            break;
        }
        kills += 1;
    }
    assert!(kills >= 3 && between >= 1, "killed {kills} times, {between} times with some of the keys gone");
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
    let (mut dice, mut before, mut between) = (Dice::new(6), 0, 0);
    for round in 0..6 {
        let (world, key) = filled();
        for _ in 0..3 {
            let after = Duration::from_micros(dice.below(2_000) + round * 1_500);
            let what = key.to_string();
            let in_the_middle = killed(
                other(
                    "a_compromise_that_is_killed_anywhere_is_said_or_not_and_is_told_whole_by_the_next",
                    &world,
                    &what,
                ),
                after,
            );
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
            before += usize::from(in_the_middle && incidents == 0);
            between += usize::from(in_the_middle && incidents == 1);
        }
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        let told = compromise(&client, key).unwrap();
        assert_eq!(told.found.unwrap().versions, VERSIONS as u64);
        state_holds(&client);
    }
    assert!(before + between >= 3, "killed {before} times before it was said, {between} times after");
}
