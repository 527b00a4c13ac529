//! Denials in bursts: the first have an entry each, the others a durable count that becomes one; none is lost.

use crate::decisions::{entries, principal, staff};
use crate::world::{Client, Put, World, code};
use api::terms::{Action, Class, Code, Mode};
use api::wire::{Answer, AuditFilter, Command, KeyRotate, Release};

/// How many of a window have an entry each (`spec/log.md#bursts`).
const ONE_BY_ONE: usize = 8;
const WINDOW_MILLIS: u64 = 60_000;

/// Denials of an act with an entry each, and those that entries count.
fn told(auditor: &Client<'_>, act: &str) -> (usize, usize) {
    let single = entries(auditor, act).iter().filter(|item| item.entry["kind"] == "denial").count();
    let counts = entries(auditor, "denials").into_iter().filter(|item| item.entry["detail"]["of"] == act);
    (single, counts.map(|item| item.entry["detail"]["count"].as_str().unwrap().parse::<usize>().unwrap()).sum())
}

fn integrate(client: &Client<'_>) {
    match client.call(Command::AuditVerify).unwrap() {
        Answer::LogVerified(verified) => assert!(verified.ok, "{verified:?}"),
        other => panic!("{other:?}"),
    }
}

/// A refused release, without a look before it.
fn refused(client: &Client<'_>, reference: &str) {
    let id = api::terms::VersionId::from_bytes([9; 16]);
    let empty = Release {
        reference: reference.into(),
        action: Action::Read,
        request: Vec::new(),
        reason: None,
        confirm: None,
        run: None,
        shared_with: Vec::new(),
    };
    let asked = client.ask(Action::Read, &[id], &Command::Release(empty.clone()));
    let release = Release { request: asked.signed.encode(), ..empty };
    assert_eq!(code(client.call(Command::Release(release))), Code::Denied);
}

fn counted_now(world: &World) -> i64 {
    let db = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
    let sql = "SELECT COALESCE(SUM(json_extract(CAST(body AS TEXT), '$.counted')), 0) FROM burst";
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn denials_in_a_burst_are_counted_and_none_is_lost_when_a_keeper_dies() {
    let world = staff(World::new(Mode::Rehearsal));
    {
        let keeper = world.open();
        let alice = Client::new(&keeper, &world, Some("alice"));
        let look = || Command::Audit(AuditFilter { limit: 1, ..AuditFilter::default() });
        for n in 1..=20 {
            refused(&alice, "lab/net");
            assert_eq!(code(alice.call(look())), Code::Denied);
            assert_eq!(code(alice.call(Command::KeyRotate(KeyRotate::default()))), Code::Denied);
            // What was answered is durable: another connection sees it.
            assert_eq!(counted_now(&world), 3 * (n - i64::try_from(ONE_BY_ONE).unwrap()).max(0));
        }
        // Killed here: no close.
    }
    let keeper = world.open();
    let aud = Client::new(&keeper, &world, Some("aud"));
    integrate(&aud);
    let acts = ["release.read", "audit.query", "key.rotate"];
    for act in acts {
        assert_eq!(told(&aud, act), (ONE_BY_ONE, 0), "{act}: the window is open");
    }
    world.clock.advance(WINDOW_MILLIS);
    integrate(&aud);
    integrate(&aud);
    for act in acts {
        assert_eq!(told(&aud, act), (ONE_BY_ONE, 20 - ONE_BY_ONE), "{act}");
    }
    assert_eq!(counted_now(&world), 0);
    let count = &entries(&aud, "denials")[0];
    let detail = |name: &str| count.entry["detail"][name].as_str().unwrap().to_owned();
    assert_eq!((count.principal.as_deref(), count.entry["kind"].as_str()), (Some("alice"), Some("denial")));
    assert_eq!(detail("logged"), ONE_BY_ONE.to_string());
    assert!(detail("began") <= detail("last"));
}

#[test]
fn only_denials_that_are_the_same_are_counted_together() {
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    Client::new(&keeper, &world, Some("wanda")).put(&Put::new("lab/other").class(Class::Confidential)).unwrap();
    owner.call(Command::PrincipalAdd(principal("bob", Class::Internal, &[("lab", "reader")]))).unwrap();
    let (alice, bob) = (Client::new(&keeper, &world, Some("alice")), Client::new(&keeper, &world, Some("bob")));
    for _ in 0..10 {
        refused(&alice, "lab/net");
        refused(&alice, "lab/other");
        refused(&bob, "lab/net");
    }
    // A window that is over is closed by the next denial of its kind too.
    world.clock.advance(WINDOW_MILLIS);
    refused(&alice, "lab/net");
    let aud = Client::new(&keeper, &world, Some("aud"));
    let counts = entries(&aud, "denials");
    assert_eq!(counts.len(), 1, "{counts:?}");
    assert_eq!(counts[0].principal.as_deref(), Some("alice"));
    integrate(&aud);
    assert_eq!(told(&aud, "release.read"), (3 * ONE_BY_ONE + 1, 3 * (10 - ONE_BY_ONE)));
    let mut who: Vec<_> = entries(&aud, "denials")
        .into_iter()
        .map(|item| (item.principal.unwrap(), item.entry["subject"]["artifact"].as_str().unwrap().to_owned()))
        .collect();
    who.sort();
    who.dedup();
    assert_eq!(who.len(), 3, "by principal and artifact: {who:?}");
}

#[test]
fn another_reason_each_time_does_not_escape_the_count() {
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let alice = Client::new(&keeper, &world, Some("alice"));
    let id = api::terms::VersionId::from_bytes([9; 16]);
    for n in 0..20 {
        let empty = Release {
            reference: "lab/net".into(),
            action: Action::Read,
            request: Vec::new(),
            reason: Some(format!("reason {n}")),
            confirm: None,
            run: None,
            shared_with: Vec::new(),
        };
        let asked = alice.ask(Action::Read, &[id], &Command::Release(empty.clone()));
        let release = Release { request: asked.signed.encode(), ..empty };
        assert_eq!(code(alice.call(Command::Release(release))), Code::Denied);
    }
    assert_eq!(counted_now(&world), 20 - ONE_BY_ONE as i64);
    world.clock.advance(WINDOW_MILLIS);
    let aud = Client::new(&keeper, &world, Some("aud"));
    integrate(&aud);
    assert_eq!(told(&aud, "release.read"), (ONE_BY_ONE, 20 - ONE_BY_ONE));
}

#[test]
fn a_count_that_was_edited_is_refused() {
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let alice = Client::new(&keeper, &world, Some("alice"));
    for _ in 0..10 {
        refused(&alice, "lab/net");
    }
    let edit = "UPDATE burst SET body = CAST(replace(CAST(body AS TEXT), '\"counted\":2', '\"counted\":0') AS BLOB)";
    assert_eq!(world.tamper(edit), 1);
    assert_eq!(code(alice.release(Action::Read, "lab/net")), Code::BadSignature);
    world.clock.advance(WINDOW_MILLIS);
    let aud = Client::new(&keeper, &world, Some("aud"));
    assert_eq!(code(aud.call(Command::AuditVerify)), Code::BadSignature);
}

#[test]
fn keepers_on_postgres_count_together() {
    let world = staff(World::postgres(Mode::Rehearsal));
    let (one, two) = (world.open(), world.open());
    std::thread::scope(|scope| {
        for keeper in [&one, &two, &one, &two] {
            let world = &world;
            scope.spawn(move || {
                let alice = Client::new(keeper, world, Some("alice"));
                (0..10).for_each(|_| refused(&alice, "lab/net"));
            });
        }
    });
    world.clock.advance(WINDOW_MILLIS);
    let aud = Client::new(&one, &world, Some("aud"));
    integrate(&aud);
    assert_eq!(told(&aud, "release.read"), (ONE_BY_ONE, 40 - ONE_BY_ONE));
}
