//! How long a backup of a large vault takes, and what a writer waits meanwhile: the catalog of the bench `catalog`, whose copied rows
//! make the database as large as it would be. The peer is a plain copy of the database, made durable. The log is short here: 10,000
//! entries are 10 MB of a backup.
//!
//! `cargo bench -p strongroom-keeper --bench backup [-- ARTIFACTS]` (10,000 by default, of ten versions each; 100,000 take 10 GB)
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a benchmark")]
#![expect(clippy::print_stdout, dead_code, reason = "a benchmark, with the tests' little client")]

mod filled;
#[path = "../tests/it/world.rs"]
mod world;

use api::terms::Mode;
use api::wire::{Answer, BackupCreate, Command};
use filled::{VERSIONS, fill, put};
use keeper::backup::{self, Fork, Opening, RestoreOptions};
use keeper::vault::{RootMeans, RootUnlock};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use world::{Client, Put, World};

fn main() {
    let artifacts = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(10_000_usize);
    let world = World::new(Mode::Solo);
    put(&world);
    fill(&world, 0, artifacts);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let (alone, _) = longest_put(&client, || std::thread::park_timeout(Duration::from_secs(2)));
    let file = world.tmp.path().join("backup");
    let (waited, (bytes, create)) = longest_put(&client, || {
        let began = Instant::now();
        let client = Client::new(&keeper, &world, None);
        let made = client.call(Command::BackupCreate(BackupCreate { file: file.display().to_string() })).unwrap();
        let Answer::BackupMade(made) = made else { panic!() };
        (made.bytes, began.elapsed())
    });
    drop(client);
    drop(keeper);
    let began = Instant::now();
    let copied = std::fs::copy(world.dir().join("keeper.db"), world.tmp.path().join("copy")).unwrap();
    std::fs::File::open(world.tmp.path().join("copy")).unwrap().sync_all().unwrap();
    let copy = began.elapsed();
    let opening =
        || Opening::Roots(vec![Arc::new(RootMeans { root: None, unlock: RootUnlock::Keyfile(world.keyfile()) })]);
    let began = Instant::now();
    assert!(backup::check(&file, Some(&opening())).unwrap().ok);
    let verify = began.elapsed();
    let began = Instant::now();
    let (dir, anchor) = (world.tmp.path().join("restored"), world.tmp.path().join("restored.anchor"));
    let clock = world.clock.clone();
    let options = RestoreOptions { file, dir, opening: opening(), anchor, fork: Fork::Refused, clock };
    backup::restore(&options).unwrap();
    let restore = began.elapsed();
    println!(
        "{:>10} {:>9} {:>9} {:>10} {:>8} {:>9} {:>9} {:>14} {:>14}",
        "versions", "MB", "create s", "peer cp s", "ratio", "verify s", "restore s", "put max ms", "put max then"
    );
    println!(
        "{:>10} {:>9.0} {:>9.2} {:>10.2} {:>8.2} {:>9.2} {:>9.2} {:>14.1} {:>14.1}",
        900 + artifacts * VERSIONS as usize,
        bytes.max(copied) as f64 / 1e6,
        create.as_secs_f64(),
        copy.as_secs_f64(),
        create.as_secs_f64() / copy.as_secs_f64(),
        verify.as_secs_f64(),
        restore.as_secs_f64(),
        alone.as_secs_f64() * 1e3,
        waited.as_secs_f64() * 1e3,
    );
}

/// Puts one version after the other while something is done: how long the slowest took, and what was done.
fn longest_put<T>(client: &Client<'_>, work: impl FnOnce() -> T) -> (Duration, T) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let puts = scope.spawn(|| {
            let mut longest = Duration::ZERO;
            while !done.load(Ordering::Relaxed) {
                let began = Instant::now();
                client.put(&Put::new("lab/a-000")).unwrap();
                longest = longest.max(began.elapsed());
            }
            longest
        });
        let worked = work();
        done.store(true, Ordering::Relaxed);
        (puts.join().unwrap(), worked)
    })
}
