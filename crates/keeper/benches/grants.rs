//! What grants cost a decision: `policy explain` as a command to the keeper, hydration from its tables included, with no grants of
//! others and with 100,000, and by one who holds 1, 64 and 256 of its own, which is the most. The grants of others are copied in SQL, as rows that are
//! found past and never read.
//!
//! `cargo bench -p strongroom-keeper --bench grants [-- GRANTS]`
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a benchmark")]
#![expect(clippy::print_stdout, dead_code, reason = "a benchmark, with the tests' little client")]

#[path = "../tests/it/world.rs"]
mod world;

use api::terms::{Action, Class, Mode, PrincipalKind};
use api::wire::{Answer, Command, Explain, GrantSpec, PrincipalAdd};
use std::time::Instant;
use world::{Client, Put, World, name};

fn main() {
    let grants = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(100_000_usize);
    let world = World::new(Mode::Rehearsal);
    let people = [("one", 1), ("some", 64), ("many", 256)];
    {
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        client.call(person("wes", vec![grant("lab", "writer")])).unwrap();
        let writer = Client::new(&keeper, &world, Some("wes"));
        writer.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
        for (who, count) in people {
            let others = (1..count).map(|n| grant(&format!("w-{n}"), "reader"));
            client.call(person(who, Vec::new())).unwrap();
            for batch in others.chain([grant("lab", "reader")]).collect::<Vec<_>>().chunks(50) {
                let Command::PrincipalAdd(add) = person(who, batch.to_vec()) else { panic!() };
                client.call(Command::PrincipalAdd(PrincipalAdd { change: true, ..add })).unwrap();
            }
        }
        keeper.close().unwrap();
    }
    println!("{:<44} {:>10} {:>10}", "", "p50 us", "p99 us");
    let mut none = Vec::new();
    for others in [0, grants] {
        fill(&world, others);
        let keeper = world.open();
        for (at, (who, count)) in people.iter().enumerate() {
            let client = Client::new(&keeper, &world, Some(who));
            let (p50, p99) = asked(&client);
            let ratio = none.get(at).map(|before: &f64| format!("  {:.2} x", p50 / before)).unwrap_or_default();
            println!("{:<44} {p50:>10.1} {p99:>10.1}{ratio}", format!("{others} of others, {count} of its own"));
            none.push(p50);
        }
    }
}

fn grant(workspace: &str, role: &str) -> GrantSpec {
    GrantSpec { workspace: name(workspace), role: role.into(), until: None }
}

fn person(who: &str, grants: Vec<GrantSpec>) -> Command {
    Command::PrincipalAdd(PrincipalAdd {
        name: name(who),
        kind: Some(PrincipalKind::User),
        clearance: Some(Class::Internal),
        grants,
        revoke: Vec::new(),
        suspended: None,
        change: false,
    })
}

fn fill(world: &World, count: usize) {
    let mut db = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
    let tx = db.transaction().unwrap();
    {
        let copy = "INSERT INTO role_grant (id, principal, workspace, body, salt, ticket, mac) \
                    SELECT ?1, ?2, workspace, body, salt, ticket, mac FROM role_grant LIMIT 1";
        let mut copy = tx.prepare(copy).unwrap();
        for n in 0..count {
            // Ten grants each.
            let drawn = |n: usize, salt: u8| {
                let mut id = [salt; 16];
                id[..8].copy_from_slice(&(n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
                id
            };
            assert_eq!(copy.execute((drawn(n, 1), drawn(n / 10, 2))).unwrap(), 1);
        }
    }
    tx.commit().unwrap();
}

fn asked(client: &Client<'_>) -> (f64, f64) {
    let question = Explain { reference: Some("lab/net".to_owned()), ..Explain::of(Action::Read) };
    let mut times: Vec<f64> = (0..2_000)
        .map(|_| {
            let began = Instant::now();
            match client.call(Command::Explain(question.clone())).unwrap() {
                Answer::Explained(answer) => assert!(answer.allowed, "{answer:?}"),
                other => panic!("{other:?}"),
            }
            began.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100])
}
