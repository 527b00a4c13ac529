//! How `ls`, `show` and opening a vault grow with the catalog: 300 artifacts of three versions are put through the whole path, then
//! rows of others are copied beside them in SQL until the catalog has the size wanted. The copies have no valid MACs: they make the
//! tables and their indexes as large as they would be, and are not read by what is measured, which asks for the artifacts put.
//!
//! `cargo bench -p strongroom-keeper --bench catalog [-- ARTIFACTS]` (100,000 by default, of ten versions each: some minutes, 4 GB)
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a benchmark")]
#![expect(clippy::print_stdout, dead_code, reason = "a benchmark, with the tests' little client")]

#[path = "../tests/it/world.rs"]
mod world;

use api::terms::Mode;
use api::wire::{Answer, Command, ListQuery};
use std::time::Instant;
use world::{Client, Put, World, name};

/// Versions of each copied artifact.
const VERSIONS: i64 = 10;

fn main() {
    let artifacts = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(100_000_usize);
    let world = World::new(Mode::Solo);
    put(&world);
    println!(
        "{:>10} {:>10} {:>14} {:>14} {:>10} {:>10} {:>12}",
        "artifacts", "versions", "first page us", "last page us", "show us", "ls us", "open us"
    );
    let mut made = 0;
    for size in [0, 1_000, 10_000, 100_000, 1_000_000].into_iter().take_while(|size| *size <= artifacts) {
        fill(&world, made, size);
        made = size;
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        let first = p50(|| assert_eq!(page(&client, None), 100));
        let last = p50(|| assert_eq!(page(&client, Some("y".to_owned())), 100));
        let show = p50(|| drop(client.show("lab/z-050").unwrap()));
        let workspaces =
            p50(|| drop(client.call(Command::List(ListQuery { workspace: None, after: None, limit: 100 })).unwrap()));
        drop(client);
        drop(keeper);
        let open = p50(|| drop(world.open()));
        println!(
            "{:>10} {:>10} {first:>14.0} {last:>14.0} {show:>10.0} {workspaces:>10.0} {open:>12.0}",
            300 + size,
            900 + size * VERSIONS as usize
        );
    }
}

/// The artifacts that are asked for: a hundred before, between and behind the copies.
fn put(world: &World) {
    let keeper = world.open();
    let client = Client::new(&keeper, world, None);
    for group in ["a", "m", "z"] {
        for n in 0..100 {
            let mut previous = None;
            for _ in 0..3 {
                let put = Put { previous, ..Put::new(&format!("lab/{group}-{n:03}")) };
                previous = Some(put.version);
                client.put(&put).unwrap();
            }
        }
    }
    drop(client);
    keeper.close().unwrap();
}

/// Copies rows until there are `to` artifacts more than were put.
fn fill(world: &World, from: usize, to: usize) {
    let mut db = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
    db.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -2000000; PRAGMA temp_store = MEMORY").unwrap();
    let tx = db.transaction().unwrap();
    let blob = |sql: &str| tx.query_row(sql, [], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let model = blob("SELECT id FROM artifact WHERE name = 'm-050'");
    let first = blob(&format!("SELECT id FROM version WHERE artifact = X'{}' AND number = 1", hex::encode(&model)));
    let (model, first) = (hex::encode(model), hex::encode(first));
    {
        let copying = |into: &str, values: &str, from: &str| {
            tx.prepare(&format!("INSERT INTO {into} SELECT {values} FROM {from}")).unwrap()
        };
        let mut artifact = copying(
            "artifact (id, workspace, name, latest, body, salt, ticket, mac)",
            "?1, workspace, ?2, ?3, body, salt, ticket, mac",
            &format!("artifact WHERE id = X'{model}'"),
        );
        let mut version = copying(
            "version (id, artifact, number, body, salt, ticket, mac)",
            "?1, ?2, ?3, body, salt, ticket, mac",
            &format!("version WHERE id = X'{first}'"),
        );
        let mut wrap = copying(
            "wrap (id, wrapped, under, version, body, salt, ticket, mac)",
            "?1, ?2, under, ?3, body, salt, ticket, mac",
            &format!("wrap WHERE version = X'{first}'"),
        );
        let mut record = copying("record (version, bytes)", "?1, bytes", &format!("record WHERE version = X'{first}'"));
        for n in from..to {
            let id = drawn();
            assert_eq!(artifact.execute((&id, format!("n-{n:07}"), VERSIONS)).unwrap(), 1);
            for number in 1..=VERSIONS {
                let of = drawn();
                assert_eq!(version.execute((&of, &id, number)).unwrap(), 1);
                assert_eq!(wrap.execute((&drawn(), &drawn(), &of)).unwrap(), 1);
                assert_eq!(record.execute([&of]).unwrap(), 1);
            }
        }
    }
    tx.commit().unwrap();
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
}

fn drawn() -> [u8; 16] {
    *keeper::vault::draw_id().unwrap().as_bytes()
}

/// A page of 100 names; how many came.
fn page(client: &Client<'_>, after: Option<String>) -> usize {
    match client.call(Command::List(ListQuery { workspace: Some(name("lab")), after, limit: 100 })).unwrap() {
        Answer::List(page) => page.items.len(),
        other => panic!("{other:?}"),
    }
}

fn p50(work: impl Fn()) -> f64 {
    let mut times: Vec<f64> = (0..101)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
