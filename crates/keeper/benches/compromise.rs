//! A domain key with N versions is compromised: how long until nothing is released under it, and until it is known what it touched. Every
//! version is put through the whole path, and each tenth is released once, by several principals at once.
//!
//! `cargo bench -p strongroom-keeper --bench compromise [-- N]` (20,000 by default; 1,000,000 take long to make, and 10 GB)
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a benchmark")]
#![expect(clippy::print_stdout, dead_code, reason = "a benchmark, with the tests' little client")]

#[path = "../tests/it/world.rs"]
mod world;

use api::terms::{Action, Class, Code, KeyId, Mode, Timestamp};
use api::wire::{Answer, Command, IncidentTold, KeyCompromise, KeyRotate};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;
use world::{Client, Put, World};

/// Versions of each artifact.
const VERSIONS: usize = 100;
/// Clients at once: their transactions are made durable together.
const CLIENTS: usize = 32;

fn main() {
    let size = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(20_000_usize);
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    keeper.unlocked_until(Timestamp::from_millis(world.clock.millis() + 86_400_000)).unwrap();
    let began = Instant::now();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let client = Client::new(&keeper, &world, None);
                loop {
                    let artifact = next.fetch_add(1, Ordering::Relaxed);
                    if artifact * VERSIONS >= size {
                        return;
                    }
                    let name = format!("lab/a-{artifact}");
                    for version in 0..VERSIONS {
                        client.put(&Put::new(&name).class(Class::Internal)).unwrap();
                        if version % 10 == 0 {
                            client.release(Action::Read, &name).unwrap();
                        }
                    }
                }
            });
        }
    });
    println!("made {size} versions in {:.0} s", began.elapsed().as_secs_f64());
    let client = Client::new(&keeper, &world, None);
    client.call(Command::AuditVerify).unwrap();
    let key = domain_key(&client);

    // Somebody goes on releasing: the time of the last one that was let through.
    let (stop, last) = (AtomicBool::new(false), std::sync::Mutex::new(None));
    let began = Instant::now();
    let told = std::thread::scope(|scope| {
        scope.spawn(|| {
            let other = Client::new(&keeper, &world, None);
            while !stop.load(Ordering::Relaxed) {
                match other.release(Action::Read, "lab/a-0") {
                    Ok(_) => *last.lock().unwrap() = Some(began.elapsed()),
                    Err(problem) => {
                        assert_eq!(problem.code, Code::Gone, "{problem}");
                        return;
                    }
                }
            }
        });
        let told = compromise(&client, key);
        stop.store(true, Ordering::Relaxed);
        told
    });
    let whole = began.elapsed();
    let found = told.found.unwrap();
    let last = last.lock().unwrap().unwrap_or_default();
    println!(
        "compromise {:>9} versions, {:>8} releases, {:>9} entries: the last release after {:>6.3} s, all is known after {:>6.2} s",
        found.versions,
        found.releases,
        found.log_size,
        last.as_secs_f64(),
        whole.as_secs_f64(),
    );
    let began = Instant::now();
    let again = compromise(&client, key);
    println!(
        "told again with its progress: {:.2} s, {} exposed",
        began.elapsed().as_secs_f64(),
        again.incident.exposed.unwrap()
    );
    let file = world.tmp.path().join("evidence").display().to_string();
    let began = Instant::now();
    match client.call(Command::IncidentEvidence { incident: told.incident.id, file }).unwrap() {
        Answer::Evidence(written) => {
            println!("evidence of {} lines: {:.2} s", written.lines, began.elapsed().as_secs_f64());
        }
        other => panic!("{other:?}"),
    }
    let began = Instant::now();
    client.call(Command::KeyRotate(KeyRotate { no_wait: true, ..KeyRotate::default() })).unwrap();
    println!("a new key writes after {:.3} s", began.elapsed().as_secs_f64());
}

fn compromise(client: &Client<'_>, key: KeyId) -> IncidentTold {
    match client.call(Command::KeyCompromise(KeyCompromise { key, reason: "a benchmark".into() })).unwrap() {
        Answer::Incident(told) => *told,
        other => panic!("{other:?}"),
    }
}

fn domain_key(client: &Client<'_>) -> KeyId {
    match client.call(Command::KeyList).unwrap() {
        Answer::Keys(list) => list.keys.iter().find(|key| key.purpose == "domain").unwrap().id,
        other => panic!("{other:?}"),
    }
}
