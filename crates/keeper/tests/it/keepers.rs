//! Two keepers of one vault on PostgreSQL: what one of them does counts for the other at once, and dates pass for both.

use crate::archive::{archive, filled, unarchive};
use crate::decisions::{entries, staff};
use crate::destroy::{domain_keys, state_holds};
use crate::drift::{after, apply, check, goes_over, rotate, wrong};
use crate::erase::{erase, suspend};
use crate::world::{Client, Put, TestClock, World, code, name};
use api::terms::{Action, Code, Mode, Suite};
use api::wire::{Answer, AuditFilter, AuditItem, Command, KeyArchived, KeyRotate, KeyWrong, Problem};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const NIST: seal::Suite = seal::Suite::Nist;
const DEFAULT: seal::Suite = seal::Suite::Default;

fn states(client: &Client<'_>) -> Vec<(String, u64)> {
    domain_keys(client).into_iter().map(|key| (key.state, key.wraps)).collect()
}

#[test]
fn a_date_of_the_table_passes_for_both() {
    let world = World::postgres(Mode::Solo);
    let keepers = [world.open(), world.open()];
    let [one, two] = keepers.each_ref().map(|keeper| Client::new(keeper, &world, None));
    one.put(&Put::new("lab/net")).unwrap();
    two.release(Action::Read, "lab/net@v1").unwrap();
    let (from, until) = (after(&world, 20), after(&world, 40));
    // Put in force by one; the other has another one in memory.
    apply(&one, &goes_over(from, until), false).unwrap();
    let early = Put::new("lab/net");
    let (begun, _) = two.begin(&early).unwrap();

    world.clock.set(from.as_millis());
    for client in [&one, &two] {
        let refused = client.begin(&Put::new("lab/net")).unwrap_err();
        assert_eq!((refused.code, refused.suite), (Code::Conflict, Some(Suite::Nist)));
        assert_eq!(wrong(&check(client)), [KeyWrong::Suite, KeyWrong::Suite]);
    }
    assert_eq!(states(&one), [("active".into(), 2)], "nobody sealed yet");
    // Both seal at once: the domain has one next key, whoever made it.
    let start = Barrier::new(2);
    std::thread::scope(|scope| {
        for client in [&one, &two] {
            scope.spawn(|| {
                start.wait();
                for _ in 0..4 {
                    assert_eq!(client.under(NIST).put(&Put::new("lab/net")).unwrap().version.suite, Suite::Nist);
                }
                client.under(DEFAULT);
            });
        }
    });
    assert_eq!(states(&two), [("deactivated".into(), 2), ("active".into(), 8)]);
    // What was begun before is what it was begun as.
    assert_eq!(two.commit(&early, &begun).unwrap().version.suite, Suite::Default);
    let rotated = std::thread::scope(|scope| {
        let both = [&one, &two].map(|client| scope.spawn(|| rotate(client).unwrap()));
        both.map(|rotating| rotating.join().unwrap()).into_iter().map(|done| done.rewrapped).sum::<u64>()
    });
    assert_eq!((rotated, states(&one)), (2, vec![("deactivated".into(), 0), ("active".into(), 10)]));
    for client in [&one, &two] {
        client.release(Action::Read, "lab/net@v1").unwrap();
    }

    world.clock.set(until.as_millis());
    for client in [&one, &two] {
        for version in ["lab/net@v1", "lab/net@v10"] {
            assert_eq!(code(client.release(Action::Read, version)), Code::Gone, "{version}");
        }
        client.under(NIST).release(Action::Read, "lab/net@v2").unwrap();
    }
    state_holds(&two);
}

#[test]
fn a_keeper_whose_clock_is_behind_goes_over_with_the_other() {
    let world = World::postgres(Mode::Solo);
    let behind = TestClock::at(world.clock.millis());
    let keepers = [world.open(), world.open_by(&behind)];
    let one = Client::new(&keepers[0], &world, None);
    let two = Client { clock: behind.clone(), ..Client::new(&keepers[1], &world, None) };
    one.put(&Put::new("lab/net")).unwrap();
    let (from, until) = (after(&world, 20), after(&world, 40));
    apply(&one, &goes_over(from, until), false).unwrap();
    world.clock.set(from.as_millis());
    behind.set(from.as_millis() - 60_000);
    // The first has not written yet: nobody knows better.
    two.put(&Put::new("lab/net")).unwrap();
    one.under(NIST).put(&Put::new("lab/net")).unwrap();
    let refused = two.begin(&Put::new("lab/net")).unwrap_err();
    assert_eq!((refused.code, refused.suite), (Code::Conflict, Some(Suite::Nist)));
    two.under(NIST).put(&Put::new("lab/net")).unwrap();
    one.put(&Put::new("lab/net")).unwrap();
    assert_eq!(states(&one), [("deactivated".into(), 2), ("active".into(), 3)], "the domain went over once");

    world.clock.set(until.as_millis());
    behind.set(until.as_millis() - 60_000);
    two.under(DEFAULT).release(Action::Read, "lab/net@v1").unwrap();
    assert_eq!(code(one.under(DEFAULT).release(Action::Read, "lab/net@v1")), Code::Gone);
    assert_eq!(code(two.release(Action::Read, "lab/net@v1")), Code::Gone);
    // A clock that is further behind than keepers are lifted is told before the date.
    behind.set(until.as_millis() - 300_000);
    assert_eq!(code(two.under(NIST).release(Action::Read, "lab/net@v3")), Code::ClockBack);
    state_holds(&one);
}

#[test]
fn what_one_keeper_archives_the_other_releases_under_that_right_only() {
    const ROUNDS: u64 = 12;
    let world = filled(World::postgres(Mode::Rehearsal));
    let keepers = [world.open(), world.open()];
    let cus = Client::new(&keepers[0], &world, Some("cus"));
    let [rick, stella] = ["rick", "stella"].map(|who| Client::new(&keepers[1], &world, Some(who)));
    let over = AtomicBool::new(false);
    let start = Barrier::new(3);
    let [allowed, opened] = [AtomicU64::new(0), AtomicU64::new(0)];
    std::thread::scope(|scope| {
        // Ends by itself if this thread panics.
        let long_enough = Instant::now() + Duration::from_secs(120);
        let racing = |client, got, refused: &'static [Code]| {
            let (over, start): (&AtomicBool, &Barrier) = (&over, &start);
            scope.spawn(move || {
                start.wait();
                while !over.load(Ordering::SeqCst) && Instant::now() < long_enough {
                    match Client::release(client, Action::Read, "lab/old@v1") {
                        Ok(_) => _ = AtomicU64::fetch_add(got, 1, Ordering::SeqCst),
                        Err(problem) => assert!(refused.contains(&problem.code), "{problem:?}"),
                    }
                }
            })
        };
        let readers = [racing(&rick, &allowed, &[Code::Denied, Code::Busy]), racing(&stella, &opened, &[Code::Busy])];
        let count = || [&allowed, &opened].map(|got| got.load(Ordering::SeqCst));
        // Two who read all the time may be in its way for a while.
        let moved = |way: fn(&Client<'_>, &[&str]) -> Result<KeyArchived, Problem>| {
            let mut tried = std::iter::repeat_with(|| way(&cus, &["lab/old@v1"])).take(50);
            let done = tried.find(|done| !matches!(done, Err(problem) if problem.code == Code::Busy));
            let done = done.unwrap().unwrap();
            // One that was moved may still be told that the log is busy.
            assert_eq!(done.moved.len() as u64 + done.already, 1);
        };
        start.wait();
        for round in 0..ROUNDS {
            moved(archive);
            moved(unarchive);
            // Every other time it lies there until both were handed it: moved all the time, it is nobody's.
            let before = count();
            while round % 2 == 1
                && before.into_iter().zip(count()).any(|(then, now)| now == then)
                && readers.iter().all(|reader| !reader.is_finished())
            {
                std::thread::yield_now();
            }
        }
        moved(archive);
        over.store(true, Ordering::SeqCst);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
    let [allowed, opened] = [allowed, opened].map(AtomicU64::into_inner);
    assert!(opened >= ROUNDS / 2 && allowed >= ROUNDS / 2, "{opened} {allowed}");
    assert_eq!(code(rick.release(Action::Read, "lab/old@v1")), Code::Denied);

    // By the log as well: no reader was handed it between an entry that archives it and the one that brings it back.
    let aud = Client::new(&keepers[0], &world, Some("aud"));
    let ticket = |item: &AuditItem| item.entry["ticket"].as_u64().unwrap();
    let moved = |act| entries(&aud, act).iter().map(ticket).collect::<Vec<u64>>();
    let (into, back) = (moved("key.archive"), moved("key.unarchive"));
    assert_eq!((into.len() as u64, back.len() as u64), (ROUNDS + 1, ROUNDS));
    let filter = AuditFilter {
        act: Some("release.read".into()),
        principal: Some(name("rick")),
        limit: 10_000,
        ..Default::default()
    };
    let reads = match aud.call(Command::Audit(filter)).unwrap() {
        Answer::Audit(page) => page.items,
        other => panic!("{other:?}"),
    };
    let released = |item: &&AuditItem| item.entry["decision"]["effect"] == "allow";
    let released: Vec<u64> = reads.iter().filter(released).map(ticket).collect();
    assert!(reads.len() == 10_000 || released.len() as u64 >= allowed, "{} of {allowed}", released.len());
    for at in released {
        let archived = into.iter().filter(|ticket| **ticket < at).count();
        assert_eq!(archived, back.iter().filter(|ticket| **ticket < at).count(), "released while it was archived");
    }
    state_holds(&aud);
}

#[test]
fn a_key_that_both_rotate_by_its_id_has_one_next_version() {
    let world = World::postgres(Mode::Solo);
    let keepers = [world.open(), world.open()];
    let [one, two] = keepers.each_ref().map(|keeper| Client::new(keeper, &world, None));
    for _ in 0..5 {
        one.put(&Put::new("lab/net")).unwrap();
    }
    for round in 1..=6 {
        let active = domain_keys(&one).into_iter().find(|key| key.state == "active").unwrap();
        assert_eq!(active.version, round);
        let start = Barrier::new(2);
        let done = std::thread::scope(|scope| {
            let both = [&one, &two].map(|client| {
                scope.spawn(|| {
                    start.wait();
                    match client.call(Command::KeyRotate(KeyRotate { key: Some(active.id), ..KeyRotate::default() })) {
                        Ok(Answer::Rotated(done)) => done,
                        other => panic!("{other:?}"),
                    }
                })
            });
            both.map(|rotating| rotating.join().unwrap())
        });
        assert_eq!(done.iter().filter(|done| done.already).count(), 1, "{done:?}");
        assert!(done.iter().all(|done| done.failed.is_empty() && done.keys[0].version == round + 1), "{done:?}");
    }
    let under: Vec<u64> = domain_keys(&two).into_iter().map(|key| key.wraps).collect();
    assert_eq!(under, [0, 0, 0, 0, 0, 0, 5]);
    two.release(Action::Read, "lab/net@v3").unwrap();
    state_holds(&one);
}

#[test]
fn whoever_one_keeper_erases_is_nobody_to_the_other() {
    let world = staff(World::postgres(Mode::Rehearsal));
    let keepers = [world.open(), world.open()];
    let owner = Client::new(&keepers[0], &world, None);
    let rick = Client::new(&keepers[1], &world, Some("rick"));
    rick.release_with(Action::Read, "lab/net", Some("the trial of patient 4711"), None).unwrap();
    suspend(&owner, "rick");
    assert_eq!(code(rick.release(Action::Read, "lab/net")), Code::Gone);
    assert!(erase(&owner, "rick").unwrap().finished);
    let over = rick.release(Action::Read, "lab/net").unwrap_err();
    assert!(over.code == Code::Gone && over.why.contains("was erased"), "{over:?}");
    let aud = Client::new(&keepers[1], &world, Some("aud"));
    let read = entries(&aud, "release.read");
    assert!(
        read.iter().all(|item| item.principal.as_deref().is_some_and(|who| who.ends_with(" (erased)"))),
        "{read:?}"
    );
    assert!(read.iter().any(|item| item.disclosed == serde_json::json!({ "reason": { "erased": true } })), "{read:?}");
    state_holds(&aud);
}
