//! Releases per second: verified, decided, logged durably, sealed, with 1, 64 and 256 in flight; the median of one; and what a
//! command pays to open a vault. Beside it the disk's own synchronous write, measured in the same run.
//!
//! `cargo bench -p strongroom-keeper --bench release [-- ROUNDS]`
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a benchmark")]
#![expect(clippy::print_stdout, dead_code, reason = "a benchmark, with the tests' little client")]

#[path = "../tests/it/world.rs"]
mod world;

use api::terms::{Action, Mode, VersionId};
use api::wire::{Answer, Command, Release};
use std::io::{Seek as _, Write as _};
use std::time::Instant;
use world::{Client, Put, World};

/// Versions that the releases are about.
const VERSIONS: usize = 64;

fn main() {
    let rounds = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(5);
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let versions: Vec<VersionId> =
        (0..VERSIONS).map(|n| client.put(&Put::new(&format!("lab/net-{n}"))).unwrap().version.id).collect();
    println!("{:<36} {:>12} {:>12} {:>12}", "", "per second", "p50 us", "CPU us");
    for _ in 0..rounds {
        shown("4 KiB write and fdatasync", &synced(&world, 400));
        for (in_flight, each) in [(1, 400), (64, 100), (256, 40)] {
            let times = releases(&client, &versions, in_flight, each);
            shown(&format!("release, {in_flight} in flight"), &times);
        }
        shown("put: begin, commit, integrate", &timed(40, || drop(client.put(&Put::new("lab/put")).unwrap())));
        shown("open a vault with a key file", &timed(20, || drop(world.open())));
        shown("show", &timed(400, || drop(client.show("lab/net-1").unwrap())));
    }
}

/// Each caller's times, and the whole's seconds.
struct Times {
    each: Vec<f64>,
    whole: f64,
    /// Of this process, all threads.
    cpu: f64,
}

fn cpu_secs() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// `in_flight` callers with requests signed beforehand.
fn releases(client: &Client<'_>, versions: &[VersionId], in_flight: usize, each: usize) -> Times {
    let command = |n: usize| {
        let at = n % versions.len();
        let reference = format!("lab/net-{at}");
        let empty = Release {
            reference,
            action: Action::Read,
            request: Vec::new(),
            reason: None,
            confirm: None,
            run: None,
            shared_with: Vec::new(),
        };
        let asked = client.ask(Action::Read, &[versions[at]], &Command::Release(empty.clone()));
        Release { request: asked.signed.encode(), ..empty }
    };
    let batches: Vec<Vec<Release>> =
        (0..in_flight).map(|caller| (0..each).map(|n| command(caller * 7 + n)).collect()).collect();
    let (began, cpu) = (Instant::now(), cpu_secs());
    let each = std::thread::scope(|scope| {
        let run = |batch: Vec<Release>| {
            batch
                .into_iter()
                .map(|release| {
                    let began = Instant::now();
                    match client.call(Command::Release(release)).unwrap() {
                        Answer::Released(released) => assert!(!released.envelope.is_empty()),
                        other => panic!("{other:?}"),
                    }
                    began.elapsed().as_secs_f64()
                })
                .collect::<Vec<f64>>()
        };
        let callers: Vec<_> = batches.into_iter().map(|batch| scope.spawn(move || run(batch))).collect();
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    });
    Times { each, whole: began.elapsed().as_secs_f64(), cpu: cpu_secs() - cpu }
}

fn timed(count: usize, work: impl Fn()) -> Times {
    let (began, cpu) = (Instant::now(), cpu_secs());
    let each = (0..count)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed().as_secs_f64()
        })
        .collect();
    Times { each, whole: began.elapsed().as_secs_f64(), cpu: cpu_secs() - cpu }
}

fn synced(world: &World, count: usize) -> Times {
    let mut file = std::fs::File::create(world.tmp.path().join("sync")).unwrap();
    file.write_all(&[7; 4096]).unwrap();
    let file = std::cell::RefCell::new(file);
    timed(count, || {
        let mut file = file.borrow_mut();
        file.rewind().unwrap();
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
    })
}

fn shown(what: &str, times: &Times) {
    let mut each = times.each.clone();
    each.sort_by(f64::total_cmp);
    let p50 = each[each.len() / 2] * 1e6;
    let count = each.len() as f64;
    println!("{what:<36} {:>12.0} {p50:>12.0} {:>12.0}", count / times.whole, times.cpu * 1e6 / count);
}
