//! How `who-can` and `lineage` grow: who may read one version among N principals of a few dozen kinds, now and as of a time; a graph of N
//! versions, both ways.
//!
//! `cargo bench -p strongroom-keeper --bench ask [-- N]` (10,000 by default: some minutes to make)
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a benchmark")]
#![expect(clippy::print_stdout, dead_code, reason = "a benchmark, with the tests' little client")]

#[path = "../tests/it/world.rs"]
mod world;

use api::terms::{Action, Class, Mode, PrincipalKind, Timestamp};
use api::wire::{Answer, Command, Direction, GrantSpec, LineageQuery, PrincipalAdd, WhoCan};
use std::time::Instant;
use world::{Client, Put, World, name};

fn main() {
    let size = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(10_000_usize);
    people(size);
    graph(size);
}

fn people(size: usize) {
    let world = World::new(Mode::Rehearsal);
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    let roles = ["reader", "writer", "steward", "auditor"];
    for n in 0..size {
        let workspace = name(["lab", "yard", "vault"][n % 3]);
        let add = PrincipalAdd {
            name: name(&format!("p{n:06}")),
            kind: Some(PrincipalKind::User),
            clearance: Some(Class::ALL[n % 4]),
            grants: vec![GrantSpec { workspace, role: roles[n % 4].into(), until: None }],
            revoke: Vec::new(),
            suspended: Some(n % 50 == 0),
            change: false,
        };
        owner.call(Command::PrincipalAdd(add)).unwrap();
    }
    let writer = Client::new(&keeper, &world, Some("p000009"));
    writer.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    owner.call(Command::AuditVerify).unwrap_err();
    let now = Timestamp::from_millis(world.clock.millis());
    world.clock.advance(1_000);
    for (what, as_of) in [("now", None), ("as of", Some(now))] {
        let mut found = (0, 0);
        let p50 = p50(|| {
            let ask = WhoCan {
                action: Action::Read,
                reference: Some("lab/net".into()),
                environment: None,
                as_of,
                after: None,
                limit: 10_000,
            };
            match owner.call(Command::WhoCan(ask)).unwrap() {
                Answer::WhoCan(page) => found = (page.items.len(), page.questions),
                other => panic!("{other:?}"),
            }
        });
        println!("who-can {what:<8} {size:>8} principals, {:>3} questions, {:>6} may: {p50:>8.1} ms", found.1, found.0);
    }
}

fn graph(size: usize) {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/v-0").class(Class::Internal)).unwrap();
    for n in 1..size {
        // Twenty artifacts; each version from the one before it and one further back.
        let at = |n: usize| format!("lab/v-{}@v{}", n % 20, n / 20 + 1);
        let mut from = vec![at(n - 1)];
        from.extend((n > 2).then(|| at(n / 2)));
        client.put(&Put { from, ..Put::new(&format!("lab/v-{}", n % 20)).class(Class::Internal) }).unwrap();
    }
    let last = format!("lab/v-{}@v{}", (size - 1) % 20, (size - 1) / 20 + 1);
    for (what, reference, direction) in
        [("show", last.as_str(), Direction::Ancestors), ("impact", "lab/v-0@v1", Direction::Descendants)]
    {
        let mut nodes = 0;
        let p50 = p50(|| {
            let query =
                LineageQuery { reference: reference.into(), direction, depth: 100_000, after: 0, limit: 10_000 };
            match client.call(Command::Lineage(query)).unwrap() {
                Answer::Lineage(graph) => nodes = graph.nodes.len(),
                other => panic!("{other:?}"),
            }
        });
        println!("lineage {what:<8} {nodes:>8} versions: {p50:>8.1} ms");
    }
}

fn p50(mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..11)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
