//! How `ls` and `show` grow with the catalog: artifacts of ten versions each are put through the whole path, and a page of 100
//! names, the last page, and one version are asked for on the way.
//!
//! `cargo bench -p strongroom-keeper --bench catalog [-- ARTIFACTS]` (1,000 by default, about a minute)
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a benchmark")]
#![expect(clippy::print_stdout, dead_code, reason = "a benchmark, with the tests' little client")]

#[path = "../tests/it/world.rs"]
mod world;

use api::terms::Mode;
use api::wire::{Answer, Command, ListQuery};
use std::time::Instant;
use world::{Client, Put, World, name};

const VERSIONS: usize = 10;

fn main() {
    let artifacts = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(1_000_usize);
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    println!("{:>10} {:>10} {:>16} {:>16} {:>12}", "artifacts", "versions", "first page us", "last page us", "show us");
    let mut next_look = 10;
    for n in 0..artifacts {
        let mut previous = None;
        for _ in 0..VERSIONS {
            let put = Put { previous, ..Put::new(&format!("lab/net-{n:06}")) };
            previous = Some(put.version);
            client.put(&put).unwrap();
        }
        if n + 1 == next_look || n + 1 == artifacts {
            next_look *= 10;
            let first = p50(|| assert!(page(&client, None) > 0));
            let last = p50(|| assert!(page(&client, Some(format!("net-{:06}", n.saturating_sub(100)))) <= 100));
            let show = p50(|| drop(client.show(&format!("lab/net-{:06}", n / 2)).unwrap()));
            println!("{:>10} {:>10} {first:>16.0} {last:>16.0} {show:>12.0}", n + 1, (n + 1) * VERSIONS);
        }
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
