//! The life of a domain key with N versions: it is rotated, which wraps all of their keys again; the vault is backed up; the key is compromised:
//! how long until nothing is released under it, and until it is known what it touched. Every version is put through the whole path, and each
//! tenth is released once, by several clients at once. Peak memory is told after each step.
//!
//! `cargo bench -p strongroom-keeper --bench lifetime [-- N [FOLDER]]` (20,000 by default; 1,000,000 take 10 GB, and half an hour to make). What was
//! made is left in the folder, and taken from there the next time.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a benchmark")]
#![expect(clippy::print_stdout, dead_code, reason = "a benchmark, with the tests' little client")]

#[path = "../tests/it/world.rs"]
mod world;

use api::terms::{Action, Class, Code, KeyId, Mode, Timestamp};
use api::wire::{Answer, BackupCreate, Command, IncidentTold, KeyCompromise, KeyRotate};
use keeper::Keeper;
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;
use world::{Client, Put, World};

/// Versions of each artifact.
const VERSIONS: usize = 100;
/// Clients at once: their transactions are made durable together.
const CLIENTS: usize = 32;

fn main() {
    let size = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(20_000_usize);
    let folder = std::env::args().skip(1).find(|arg| arg.starts_with('/')).map(PathBuf::from);
    let world = match &folder {
        None => filled(size),
        Some(folder) => {
            if !folder.exists() {
                leave(&filled(size), folder);
            }
            left(folder)
        }
    };
    let keeper = opened(&world);
    let client = Client::new(&keeper, &world, None);
    client.call(Command::AuditVerify).unwrap();
    told_memory();

    let began = Instant::now();
    let rotated = match client.call(Command::KeyRotate(KeyRotate::default())).unwrap() {
        Answer::Rotated(rotated) => rotated,
        other => panic!("{other:?}"),
    };
    assert_eq!((rotated.rewrapped, rotated.remaining), (size as u64, 0));
    let took = began.elapsed().as_secs_f64();
    println!("wrapped {size} keys again in {took:.2} s: {:.0}/s", size as f64 / took);
    told_memory();

    let file = world.tmp.path().join("backup").display().to_string();
    let began = Instant::now();
    let made = match client.call(Command::BackupCreate(BackupCreate { file })).unwrap() {
        Answer::BackupMade(made) => made,
        other => panic!("{other:?}"),
    };
    println!("backup of {:.0} MB in {:.2} s", made.bytes as f64 / 1e6, began.elapsed().as_secs_f64());
    told_memory();
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
    told_memory();
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

/// A vault with so many versions, closed.
fn filled(size: usize) -> World {
    let world = World::new(Mode::Solo);
    let keeper = opened(&world);
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
                        // A principal has 524,288 requests in ten minutes.
                        world.clock.advance(4);
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
    keeper.close().unwrap();
    world
}

/// Its keeper, with the keys held in memory for as long as all of this takes.
fn opened(world: &World) -> Keeper {
    let keeper = world.open();
    keeper.unlocked_until(Timestamp::from_millis(world.clock.millis() + 86_400_000)).unwrap();
    keeper
}

fn leave(world: &World, folder: &Path) {
    std::fs::write(world.tmp.path().join("at"), format!("{} {}", world.vault, world.clock.millis())).unwrap();
    copy(world.tmp.path(), folder);
}

/// A copy of what was left there, at the time it was left.
fn left(folder: &Path) -> World {
    let tmp = tempfile::tempdir().unwrap();
    copy(folder, tmp.path());
    let at = std::fs::read_to_string(tmp.path().join("at")).unwrap();
    let (vault, millis) = at.split_once(' ').unwrap();
    let (vault, clock) = (vault.parse().unwrap(), world::TestClock::at(millis.parse().unwrap()));
    World { tmp, vault, clock, server: None }
}

/// The disk is done with it when this is over, so that what is measured then does not wait for it.
fn copy(from: &Path, to: &Path) {
    assert!(Process::new("cp").arg("-aT").args([from, to]).status().unwrap().success());
    assert!(Process::new("sync").arg("-f").arg(to).status().unwrap().success());
}

fn compromise(client: &Client<'_>, key: KeyId) -> IncidentTold {
    match client.call(Command::KeyCompromise(KeyCompromise { key, reason: "a benchmark".into() })).unwrap() {
        Answer::Incident(told) => *told,
        other => panic!("{other:?}"),
    }
}

fn domain_key(client: &Client<'_>) -> KeyId {
    match client.call(Command::KeyList).unwrap() {
        Answer::Keys(list) => {
            let active = list.keys.iter().find(|key| key.purpose == "domain" && key.state == "active");
            active.unwrap().id
        }
        other => panic!("{other:?}"),
    }
}

/// The most memory that this process had until now.
fn told_memory() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    println!("  {line}");
}
