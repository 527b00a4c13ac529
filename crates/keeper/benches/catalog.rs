//! How `ls`, `show` and opening a vault grow with the catalog: 300 artifacts of three versions are put through the whole path, then
//! rows of others are copied beside them in SQL until the catalog has the size wanted. The copies have no valid MACs: they make the
//! tables and their indexes as large as they would be, and are not read by what is measured, which asks for the artifacts put.
//!
//! `cargo bench -p strongroom-keeper --bench catalog [-- ARTIFACTS]` (100,000 by default, of ten versions each: some minutes, 4 GB)
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a benchmark")]
#![expect(clippy::print_stdout, dead_code, reason = "a benchmark, with the tests' little client")]

mod filled;
#[path = "../tests/it/world.rs"]
mod world;

use api::terms::Mode;
use api::wire::{Answer, Command, ListQuery};
use filled::{VERSIONS, fill, put};
use std::time::Instant;
use world::{Client, World, name};

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
