//! What is started twice at once, by two keepers of one vault: it is done once, or one of them is told, and nothing is lost.

use crate::decisions::entries;
use crate::destroy::{Dying, destroy, domain_keys, state_holds};
use crate::roots;
use crate::world::{Client, Put, World, code};
use api::terms::{Action, Class, Code, KeyId, Mode};
use api::wire::{Answer, Command, JobItem, KeyCompromise, KeyRotate, KeyRotated};
use keeper::Keeper;
use keeper::datastore::sqlite::{Options, Sqlite};
use keeper::datastore::{self, Alteration, Datastore, Driver, Outcome, Transaction};
use keeper::vault::OpenOptions;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

const DAY: u64 = 86_400_000;
const LONG: Duration = Duration::from_secs(60);

/// A database that waits, with its first write after it is told to, for another one that does the same.
struct Meeting {
    inner: Sqlite,
    waits: AtomicBool,
    place: Arc<Barrier>,
}

impl Driver for Meeting {
    fn read(&self, body: &mut dyn FnMut(&mut dyn Transaction) -> Outcome) -> datastore::Result<()> {
        self.inner.read(body)
    }
    fn write(&self, body: &mut dyn FnMut(&mut dyn Transaction) -> Outcome) -> datastore::Result<()> {
        if self.waits.swap(false, Ordering::SeqCst) {
            self.place.wait();
        }
        self.inner.write(body)
    }
    fn alter(&self, body: &mut dyn FnMut(&mut dyn Alteration) -> Outcome) -> datastore::Result<()> {
        self.inner.alter(body)
    }
    fn scrub(&self) -> datastore::Result<()> {
        self.inner.scrub()
    }
}

#[test]
fn two_rotations_at_once_make_one_new_key_and_one_is_told() {
    const VERSIONS: u64 = 300;
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    for _ in 0..VERSIONS {
        client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    }
    let place = Arc::new(Barrier::new(2));
    let rotated = std::thread::scope(|scope| {
        let runs = [(); 2].map(|()| {
            scope.spawn(|| {
                let inner = Sqlite::open(&world.dir().join("keeper.db"), &Options::default()).unwrap();
                let meeting = Arc::new(Meeting { inner, waits: AtomicBool::new(false), place: Arc::clone(&place) });
                let store = Some(Datastore::new(meeting.clone()));
                let keeper = Keeper::open(&OpenOptions { store, ..world.options() }).unwrap();
                let client = Client::new(&keeper, &world, None);
                // Both have read what is to be rotated when the first of them writes.
                meeting.waits.store(true, Ordering::SeqCst);
                let answer = client.call(Command::KeyRotate(KeyRotate::default()));
                assert!(!meeting.waits.load(Ordering::SeqCst), "they did not meet");
                answer
            })
        });
        runs.map(|run| run.join().unwrap())
    });
    // Who came second may have wrapped something again for the other, and is told so beside the refusal.
    let mut told: Vec<_> = rotated
        .into_iter()
        .map(|answer| match answer {
            Ok(Answer::Rotated(KeyRotated { keys, failed, remaining, .. })) => {
                let remaining = if keys.is_empty() { 0 } else { remaining };
                (keys.len(), failed.into_iter().map(|one| one.problem.code).collect(), remaining)
            }
            Ok(other) => panic!("{other:?}"),
            Err(problem) => (0, vec![problem.code], 0),
        })
        .collect();
    told.sort_by_key(|(keys, ..)| *keys);
    assert_eq!(told, [(0, vec![Code::Conflict], 0), (1, Vec::new(), 0)]);
    let keys: Vec<_> = domain_keys(&client).into_iter().map(|key| (key.version, key.state, key.wraps)).collect();
    assert_eq!(keys, [(1, "deactivated".to_owned(), 0), (2, "active".to_owned(), VERSIONS)]);
    assert_eq!(entries(&client, "key.rotate").iter().filter(|item| item.entry["kind"] == "state").count(), 1);
    for version in 1..=VERSIONS {
        client.release(Action::List, &format!("lab/net@v{version}")).unwrap();
    }
    state_holds(&client);
}

fn jobs(client: &Client<'_>) -> Vec<JobItem> {
    match client.call(Command::Jobs).unwrap() {
        Answer::Jobs(list) => list.items,
        other => panic!("{other:?}"),
    }
}

/// Says that a key is compromised, in a process that writes nothing more after that.
fn compromised(world: &World, key: KeyId) {
    let inner = Sqlite::open(&world.dir().join("keeper.db"), &Options::default()).unwrap();
    let dying = Arc::new(Dying { inner, left: AtomicI64::new(i64::MAX) });
    let store = Some(Datastore::new(dying.clone()));
    let keeper = Keeper::open(&OpenOptions { store, ..world.options() }).unwrap();
    let client = Client::new(&keeper, world, None);
    dying.left.store(1, Ordering::SeqCst);
    drop(client.call(Command::KeyCompromise(KeyCompromise { key, reason: "found on a server".into() })));
}

#[test]
fn two_schedulers_at_once_do_each_job_once() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let of =
        |client: &Client<'_>, class| domain_keys(client).into_iter().find(|key| key.class == Some(class)).unwrap().id;
    for class in [Class::Internal, Class::Confidential] {
        for _ in 0..80 {
            client.put(&Put::new(&format!("lab/{class}")).class(class)).unwrap();
        }
    }
    let second = roots::add(&client, roots::second(&world), Some(1)).unwrap().root.id;
    let (doomed, leaked) = (of(&client, Class::Internal), of(&client, Class::Confidential));
    drop(client);
    keeper.close().unwrap();
    // A root that misses a key, a key that is to go, and a compromise of which nothing was read yet.
    let away = world.tmp.path().join("keys/away");
    std::fs::rename(roots::second(&world), &away).unwrap();
    let both = || Keeper::open(&roots::options(&world, &[world.keyfile(), roots::second(&world)])).unwrap();
    let keeper = both();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/public").class(Class::Public)).unwrap();
    destroy(&client, doomed).unwrap();
    drop(client);
    keeper.close().unwrap();
    compromised(&world, leaked);
    world.clock.advance(31 * DAY);
    std::fs::rename(&away, roots::second(&world)).unwrap();

    let (one, other) = (both(), both());
    let client = Client::new(&one, &world, None);
    let due = |client: &Client<'_>| {
        let names = ["incidents", "roots", "shred", "drill"];
        jobs(client).into_iter().filter(|job| job.overdue && names.contains(&job.name.as_str())).count()
    };
    assert_eq!(due(&client), 4, "{:?}", jobs(&client));
    let place = Barrier::new(2);
    std::thread::scope(|scope| {
        let runs = [&one, &other].map(|keeper| {
            let place = &place;
            scope.spawn(move || {
                place.wait();
                keeper.go_on(LONG)
            })
        });
        for run in runs {
            if let Err(problem) = run.join().unwrap() {
                assert!(matches!(problem.code, Code::Busy | Code::Conflict), "{problem}");
            }
        }
    });
    one.go_on(LONG).unwrap();
    assert_eq!(due(&client), 0, "{:?}", jobs(&client));
    let logged = |act: &str| entries(&client, act).len();
    assert_eq!((logged("key.shred"), logged("key.certify"), logged("incident.evidence")), (1, 1, 1));
    assert_eq!((logged("root.failing"), logged("root.answers")), (1, 1));
    let complete = entries(&client, "root.complete");
    let of_second = |item: &&api::wire::AuditItem| item.entry.to_string().contains(&second.to_string());
    // Once when it was added, once now.
    assert_eq!(complete.iter().filter(of_second).count(), 2);
    let found = roots::roots(&client);
    assert_eq!(found.iter().map(|root| (root.state.as_str(), root.lacks)).collect::<Vec<_>>(), [("active", 0); 2]);
    assert!(found.iter().all(|root| root.drilled.is_some_and(|at| at.as_millis() == world.clock.millis())));
    let wraps: Vec<u64> = found.iter().map(|root| root.wraps).collect();
    assert_eq!(wraps[0], wraps[1], "each key once under each root");
    assert_eq!(code(client.release(Action::Read, "lab/internal@v1")), Code::Gone);
    client.release(Action::Read, "lab/public").unwrap();
    state_holds(&client);
}
