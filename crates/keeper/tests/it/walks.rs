//! Keys over their lives: whatever is done to them, in whatever order, each goes from state to state as the one table says, and a release
//! opens what the states of its keys let it, and nothing else.

use crate::destroy::{destroy, domain_keys, ran, state_holds};
use crate::world::{Client, Put, World};
use api::terms::{Action, Class, KeyId, KeyState, Mode};
use api::wire::{Command, KeyArchive, KeyCompromise, KeyMove, KeyRotate, KeySpare, VersionItem};
use std::collections::BTreeMap;
use testkit::fault::Dice;

const ARTIFACTS: [&str; 2] = ["lab/net", "lab/set"];
const STEPS: u64 = 40;

/// The state of each domain key, archive key and version key, as the rows have it.
fn states(world: &World) -> BTreeMap<String, KeyState> {
    let db = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
    let mut found = BTreeMap::new();
    for (sql, key, state) in [
        ("SELECT body FROM crypto_key WHERE purpose IN ('domain', 'archive')", "id", "state"),
        ("SELECT body FROM version", "key", "key_state"),
    ] {
        let mut rows = db.prepare(sql).unwrap();
        for body in rows.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap() {
            let body: serde_json::Value = serde_json::from_slice(&body.unwrap()).unwrap();
            // What is active goes without saying.
            let state =
                body.get(state).map_or(KeyState::Active, |state| serde_json::from_value(state.clone()).unwrap());
            found.insert(body[key].as_str().unwrap().to_owned(), state);
        }
    }
    found
}

/// Every change is a step of the table, and what is made begins active.
fn follows(before: &BTreeMap<String, KeyState>, after: &BTreeMap<String, KeyState>, why: &str) {
    for (key, now) in after {
        match before.get(key) {
            None => assert!([KeyState::Active, KeyState::Deactivated].contains(now), "{why}: {key} begins {now}"),
            Some(then) => assert!(then == now || then.may_become(*now), "{why}: {key} from {then} to {now}"),
        }
    }
    assert!(before.keys().all(|key| after.contains_key(key)), "{why}: a key is forgotten");
}

/// Where the key of a version lies: the key that wraps it.
fn above(world: &World, item: &VersionItem) -> Option<String> {
    let db = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
    db.query_row("SELECT lower(hex(under)) FROM wrap WHERE wrapped = ?1", [item.key.as_bytes()], |row| row.get(0)).ok()
}

/// A version opens if its key and the one above let it, and neither is to go; and only then.
fn opens_what_it_may(client: &Client<'_>, world: &World, going: &[KeyId], why: &str) {
    let states = states(world);
    for artifact in ARTIFACTS {
        for number in 1.. {
            let reference = format!("{artifact}@v{number}");
            let Ok(item) = client.show(&reference) else { break };
            let above = above(world, &item);
            let state = |key: &str| states.get(key).copied();
            let shut = |key: &str| going.iter().any(|id| id.to_string() == key);
            let may = above.as_deref().is_some_and(|above| {
                state(above).is_some_and(KeyState::opens)
                    && state(&item.key.to_string()).is_some_and(KeyState::opens)
                    && !shut(above)
                    && !shut(&item.key.to_string())
            });
            let opened = client.release(Action::Read, &reference);
            assert_eq!(opened.is_ok(), may, "{why}: {reference}: {:?}", opened.err());
        }
    }
}

#[test]
fn every_walk_keeps_to_the_table_and_opens_what_it_lets() {
    let mut seen: BTreeMap<(KeyState, KeyState), u32> = BTreeMap::new();
    for seed in 0..6 {
        let mut dice = Dice::new(seed);
        let world = World::new(Mode::Solo);
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        for artifact in ARTIFACTS {
            client.put(&Put::new(artifact).class(Class::Internal)).unwrap();
        }
        let mut going: Vec<KeyId> = Vec::new();
        let mut before = states(&world);
        for step in 0..STEPS {
            let reference = format!("{}@v{}", ARTIFACTS[dice.below(2) as usize], 1 + dice.below(4));
            let domains = domain_keys(&client);
            let domain = domains[dice.below(domains.len() as u64) as usize].id;
            let version = client.show(&reference).ok();
            let key = version.as_ref().filter(|_| dice.below(2) == 0).map_or(domain, |version| version.key);
            let reason = String::from("a walk");
            let act = dice.below(16);
            let why = format!("seed {seed}, step {step}, act {act} on {key} or {reference}");
            // Refusals are part of the walk: what counts is what becomes of the keys.
            match act {
                0..=4 => drop(client.put(&Put::new(ARTIFACTS[dice.below(2) as usize]).class(Class::Internal))),
                5 | 6 => drop(client.call(Command::KeyMove(KeyMove { key, to: KeyState::Suspended, reason }))),
                7 | 8 => drop(client.call(Command::KeyMove(KeyMove { key, to: KeyState::Active, reason }))),
                9 => drop(client.call(Command::KeyRotate(KeyRotate::default()))),
                10 => drop(client.call(Command::KeyCompromise(KeyCompromise { key, reason }))),
                11 if destroy(&client, key).is_ok() => going.push(key),
                12 if client.call(Command::KeySpare(KeySpare { key, reason: reason.clone() })).is_ok() => {
                    going.retain(|id| *id != key);
                }
                13 | 14 => {
                    let asked = KeyArchive { versions: version.iter().map(|item| item.id).collect(), reason };
                    let to = if act == 13 { Command::KeyArchive } else { Command::KeyUnarchive };
                    drop(client.call(to(asked)));
                }
                15 if !going.is_empty() => {
                    world.clock.advance(7 * 86_400_000);
                    for job in ["destroy", "shred"] {
                        ran(&client, job);
                        let after = states(&world);
                        follows(&before, &after, &why);
                        before = after;
                    }
                }
                _ => {}
            }
            let after = states(&world);
            follows(&before, &after, &why);
            for (key, now) in &after {
                if let Some(then) = before.get(key).filter(|then| *then != now) {
                    *seen.entry((*then, *now)).or_default() += 1;
                }
            }
            before = after;
            opens_what_it_may(&client, &world, &going, &why);
        }
        state_holds(&client);
    }
    use KeyState::{Active, Compromised, Deactivated, Suspended};
    for step in [(Active, Suspended), (Suspended, Active), (Active, Compromised), (Active, Deactivated)] {
        assert!(seen.contains_key(&step), "no walk went from {} to {}: {seen:?}", step.0, step.1);
    }
}
