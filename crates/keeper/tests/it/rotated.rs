//! Rotation of several domains: one whose next key cannot be made keeps no other one from its own, whoever is killed goes on, and two at once
//! make nothing twice.

use crate::decisions::entries;
use crate::destroy::{Dying, domain_keys, state_holds};
use crate::drift::{SUITES, apply, confidential};
use crate::world::{Client, Put, World, code};
use api::terms::{Action, Class, Code, Environment, KeyState, Mode};
use api::wire::{
    Answer, Command, JobsRan, KeyCompromise, KeyItem, KeyMove, KeyRotate, KeyRotated, NamedKeyMake, Problem,
};
use keeper::Keeper;
use keeper::datastore::Datastore;
use keeper::datastore::sqlite::{Options, Sqlite};
use keeper::vault::OpenOptions;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const DAY: u64 = 86_400_000;

fn rotate(client: &Client<'_>, ask: KeyRotate) -> Result<KeyRotated, Problem> {
    match client.call(Command::KeyRotate(ask))? {
        Answer::Rotated(rotated) => Ok(rotated),
        other => panic!("{other:?}"),
    }
}

fn all(client: &Client<'_>) -> KeyRotated {
    rotate(client, KeyRotate::default()).unwrap()
}

/// What could not be rotated, and why.
fn failed(rotated: &KeyRotated) -> Vec<(&str, Code)> {
    rotated.failed.iter().map(|failed| (failed.of.as_str(), failed.problem.code)).collect()
}

fn place(key: &KeyItem) -> String {
    format!("{}/{}/{}", key.workspace.clone().unwrap(), key.environment.unwrap(), key.class.unwrap())
}

/// The newest key of each domain.
fn newest(client: &Client<'_>) -> BTreeMap<String, u32> {
    domain_keys(client).iter().fold(BTreeMap::new(), |mut newest, key| {
        let number = newest.entry(place(key)).or_insert(0);
        *number = key.version.max(*number);
        newest
    })
}

/// A domain of the class confidential and two of others, with a named key each.
fn filled(world: &World) -> Keeper {
    let keeper = world.open();
    let client = Client::new(&keeper, world, None);
    client.put(&Put::new("lab/net")).unwrap();
    client.put(&Put::new("lab/open").class(Class::Internal)).unwrap();
    client.put(&Put::new("web/open").class(Class::Internal)).unwrap();
    for (name, class) in [("secret", Class::Confidential), ("open", Class::Internal)] {
        let (workspace, name) = ("lab".parse().unwrap(), name.parse().unwrap());
        let make = NamedKeyMake { workspace, name, environment: Environment::Dev, class: Some(class) };
        client.call(Command::NamedKeyMake(make)).unwrap();
    }
    drop(client);
    keeper
}

const STUCK: &str = "lab/dev/confidential";

/// No root that is here may wrap keys of the class confidential.
fn shut(client: &Client<'_>, open: &str) {
    apply(client, &confidential(&format!("{SUITES}\nwrap = [\"passphrase\"]\nopen = [{open}]")), true).unwrap();
}

#[test]
fn a_domain_whose_next_key_cannot_be_made_keeps_no_other_from_it() {
    for world in [World::new(Mode::Solo), World::postgres(Mode::Solo)] {
        let keeper = filled(&world);
        let client = Client::new(&keeper, &world, None);
        shut(&client, "\"passphrase\", \"keyfile\"");
        let rotated = all(&client);
        assert_eq!(failed(&rotated), [(STUCK, Code::Unsupported)]);
        assert_eq!(rotated.failed[0].problem.try_.as_deref(), Some("strongroom root add --help"));
        let (named, domains): (Vec<&KeyItem>, Vec<&KeyItem>) = rotated.keys.iter().partition(|key| key.name.is_some());
        let made: BTreeSet<String> = domains.iter().map(|key| place(key)).collect();
        assert_eq!(made.iter().map(String::as_str).collect::<Vec<_>>(), ["lab/dev/internal", "web/dev/internal"]);
        assert_eq!(named.iter().map(|key| key.name.as_deref().unwrap()).collect::<Vec<_>>(), ["open"]);
        assert_eq!((rotated.rewrapped, rotated.remaining, rotated.receipts.len()), (3, 0, 3));
        // Each domain in a transaction of its own, with a decision of its own.
        let tickets: BTreeSet<String> =
            entries(&client, "key.rotate").iter().map(|item| item.entry["ticket"].to_string()).collect();
        assert_eq!(tickets.len(), 2);

        // Of what is out of policy there is an answer also if nothing could be done; of one by hand, the refusal.
        let drifted = rotate(&client, KeyRotate { out_of_policy: true, ..KeyRotate::default() }).unwrap();
        assert_eq!((drifted.keys.len(), failed(&drifted)), (0, vec![(STUCK, Code::Unsupported)]));
        let only = KeyRotate { class: Some(Class::Confidential), ..KeyRotate::default() };
        assert_eq!(code(rotate(&client, only.clone())), Code::Unsupported);
        let before = newest(&client);
        assert_eq!((before[STUCK], before["lab/dev/internal"]), (1, 2));
        apply(&client, "", true).unwrap();
        let rotated = rotate(&client, only).unwrap();
        assert_eq!((rotated.keys.len(), rotated.failed.len()), (2, 0));
        for reference in ["lab/net", "lab/open", "web/open"] {
            client.release(Action::Read, reference).unwrap();
        }
        state_holds(&client);
    }
}

#[test]
fn what_does_not_open_under_one_key_is_told_and_stops_no_rotation() {
    let world = World::new(Mode::Solo);
    let keeper = filled(&world);
    let client = Client::new(&keeper, &world, None);
    let made = rotate(&client, KeyRotate { no_wait: true, ..KeyRotate::default() }).unwrap();
    assert_eq!((made.remaining, made.failed.len()), (5, 0));
    shut(&client, "\"passphrase\"");
    // What was begun is gone on with, and nothing of it made once more.
    let resumed = all(&client);
    assert_eq!((resumed.rewrapped, resumed.remaining, failed(&resumed)), (3, 2, vec![(STUCK, Code::Gone)]));
    assert_eq!(newest(&client).into_values().collect::<Vec<_>>(), [2, 2, 2]);
    // What stays unfinished keeps no other domain from the next rotation.
    world.clock.advance(DAY);
    let again = all(&client);
    assert_eq!((failed(&again), again.remaining), (vec![(STUCK, Code::Gone)], 2));
    assert_eq!(newest(&client).into_values().collect::<Vec<_>>(), [2, 3, 3]);
    apply(&client, "", true).unwrap();
    let done = all(&client);
    assert_eq!((done.remaining, done.failed.len(), newest(&client)[STUCK]), (0, 0, 2));
    client.release(Action::Read, "lab/net").unwrap();
    state_holds(&client);
}

#[test]
fn domains_that_are_set_aside_are_named() {
    let world = World::new(Mode::Solo);
    let keeper = filled(&world);
    let client = Client::new(&keeper, &world, None);
    let key = domain_keys(&client).into_iter().find(|key| place(key) == STUCK).unwrap().id;
    client.call(Command::KeyMove(KeyMove { key, to: KeyState::Suspended, reason: "r".into() })).unwrap();
    let rotated = all(&client);
    assert_eq!((rotated.suspended.as_slice(), rotated.failed.len()), ([STUCK.to_owned()].as_slice(), 0));
    assert_eq!(newest(&client).into_values().collect::<Vec<_>>(), [1, 2, 2]);
}

#[test]
fn whoever_is_killed_in_a_rotation_of_several_domains_goes_on() {
    let mut deaths = 0;
    for left in 1..40 {
        let world = World::new(Mode::Solo);
        drop(filled(&world));
        let inner = Sqlite::open(&world.dir().join("keeper.db"), &Options::default()).unwrap();
        let dying = Arc::new(Dying { inner, left: AtomicI64::new(i64::MAX) });
        let store = Some(Datastore::new(dying.clone()));
        let keeper = Keeper::open(&OpenOptions { store, ..world.options() }).unwrap();
        let client = Client::new(&keeper, &world, None);
        dying.left.store(left, Ordering::SeqCst);
        let whole = rotate(&client, KeyRotate::default()).is_ok();
        drop(client);
        drop(keeper);
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        let keys = domain_keys(&client);
        let done = keys.iter().filter(|key| key.state == "active" && key.version == 2).count() == 3
            && keys.iter().all(|key| key.state == "active" || key.wraps == 0);
        let rotated = all(&client);
        assert_eq!((rotated.remaining, rotated.failed.len()), (0, 0), "{left}");
        let expected = if done { 3 } else { 2 };
        assert_eq!(newest(&client).into_values().collect::<Vec<_>>(), [expected; 3], "{left}");
        for reference in ["lab/net", "lab/open", "web/open"] {
            client.release(Action::Read, reference).unwrap();
        }
        state_holds(&client);
        if whole {
            break;
        }
        deaths += 1;
    }
    assert!(deaths >= 4, "{deaths}");
}

#[test]
fn two_rotations_at_once_make_nothing_twice() {
    for world in [World::new(Mode::Solo), World::postgres(Mode::Solo)] {
        let keeper = filled(&world);
        let other = world.open();
        let work = |keeper: &Keeper| {
            let client = Client::new(keeper, &world, None);
            (0..3).map(|_| rotate(&client, KeyRotate::default())).collect::<Vec<_>>()
        };
        let answers = std::thread::scope(|scope| {
            let second = scope.spawn(|| work(&other));
            let mut answers = work(&keeper);
            answers.extend(second.join().unwrap());
            answers
        });
        for answer in &answers {
            match answer {
                Ok(rotated) => assert!(failed(rotated).iter().all(|(_, code)| *code == Code::Conflict), "{rotated:?}"),
                Err(problem) => assert_eq!(problem.code, Code::Conflict, "{problem:?}"),
            }
        }
        let client = Client::new(&keeper, &world, None);
        all(&client);
        let keys = domain_keys(&client);
        assert_eq!(keys.iter().filter(|key| key.state == "active").count(), 3);
        assert!(keys.iter().all(|key| key.state == "active" || key.wraps == 0), "{keys:?}");
        assert!(newest(&client).into_values().all(|number| number <= 8));
        for reference in ["lab/net", "lab/open", "web/open"] {
            client.release(Action::Read, reference).unwrap();
        }
        state_holds(&client);
    }
}

#[test]
fn the_job_renews_what_it_can() {
    let world = World::new(Mode::Solo);
    let keeper = filled(&world);
    let client = Client::new(&keeper, &world, None);
    shut(&client, "\"passphrase\", \"keyfile\"");
    // In steps that a clock may take.
    for days in [30, 30, 30, 30, 30, 28] {
        world.clock.advance(days * DAY);
        client.release(Action::Read, "lab/open").unwrap();
    }
    let ran = match client.call(Command::JobsRun { name: Some("rotate".into()) }).unwrap() {
        Answer::JobsRan(ran) => ran,
        other => panic!("{other:?}"),
    };
    let JobsRan { items, .. } = &ran;
    assert!(items.iter().any(|item| item.failed.as_deref().is_some_and(|why| why.contains("no root"))), "{ran:?}");
    assert_eq!(newest(&client).into_values().collect::<Vec<_>>(), [1, 2, 2]);
    state_holds(&client);
}

#[test]
fn what_a_rotation_left_waits_for_the_key_that_it_goes_to() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net")).unwrap();
    let first = domain_keys(&client).remove(0).id;
    let of = |key, no_wait| rotate(&client, KeyRotate { key: Some(key), no_wait, ..KeyRotate::default() });
    let second = of(first, true).unwrap().keys.remove(0).id;
    let moved = |to| client.call(Command::KeyMove(KeyMove { key: second, to, reason: "lost".into() })).unwrap();
    moved(KeyState::Suspended);
    let told = of(first, false).unwrap();
    assert_eq!((told.already, told.rewrapped, told.remaining, told.keys[0].id), (true, 0, 1, second));
    assert_eq!(told.suspended.len(), 1, "{told:?}");
    moved(KeyState::Active);
    client.call(Command::KeyCompromise(KeyCompromise { key: second, reason: "lost".into() })).unwrap();
    let refused = of(first, false).unwrap_err();
    assert!(refused.code == Code::Gone && refused.why.contains(&second.to_string()), "{refused:?}");
    // The one that was lost is the one to rotate; what came from before goes with it.
    let done = of(second, false).unwrap();
    assert_eq!((done.already, done.rewrapped, done.remaining), (false, 1, 0), "{done:?}");
    let after = of(first, false).unwrap();
    assert_eq!((after.already, after.keys[0].version), (true, 3));
    client.release(Action::Read, "lab/net@v1").unwrap();
    state_holds(&client);
}
