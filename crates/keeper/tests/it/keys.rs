//! States of keys: what each allows is held to at every release and every write, and is told.

use crate::decisions::{entries, principal, staff};
use crate::world::{Client, Put, World, code};
use api::terms::{Action, Class, Code, KeyId, KeyState, Mode};
use api::wire::{Answer, Command, Explain, KeyItem, KeyMove, KeyMoved, KeyRotate, Problem, WhoCan};

fn moved(client: &Client<'_>, key: KeyId, to: KeyState) -> Result<KeyMoved, Problem> {
    match client.call(Command::KeyMove(KeyMove { key, to, reason: "a laptop was lost".into() }))? {
        Answer::KeyMoved(moved) => Ok(*moved),
        other => panic!("{other:?}"),
    }
}

fn keys(client: &Client<'_>) -> Vec<KeyItem> {
    match client.call(Command::KeyList).unwrap() {
        Answer::Keys(list) => list.keys,
        other => panic!("{other:?}"),
    }
}

fn domain_key(client: &Client<'_>) -> KeyId {
    keys(client).iter().find(|key| key.purpose == "domain" && key.state == "active").unwrap().id
}

fn state_holds(client: &Client<'_>) {
    match client.call(Command::StateVerify).unwrap() {
        Answer::StateVerified(verified) => assert!(verified.ok, "{verified:?}"),
        other => panic!("{other:?}"),
    }
}

fn shut(refused: Result<impl std::fmt::Debug, Problem>, key: KeyId) {
    let refused = refused.unwrap_err();
    assert_eq!((refused.code, refused.what.as_str()), (Code::Gone, "the key is suspended"));
    assert!(refused.why.contains(&key.to_string()) && refused.why.contains("it neither seals nor opens"), "{refused}");
    assert_eq!(refused.try_.as_deref(), Some("strongroom key states"));
}

#[test]
fn a_suspended_version_key_opens_nothing_until_it_is_resumed() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    // In memory from here on: the change must reach what is remembered.
    client.release(Action::Read, "lab/net@v1").unwrap();
    let item = client.show("lab/net@v1").unwrap();
    assert_eq!(item.key_state, KeyState::Active);
    let done = moved(&client, item.key, KeyState::Suspended).unwrap();
    assert_eq!((done.from, done.to, done.of.as_str()), (KeyState::Active, KeyState::Suspended, "lab/net@v1"));
    assert!(done.receipt.is_some());
    for action in [Action::List, Action::Read, Action::Export] {
        shut(client.release(action, "lab/net@v1"), item.key);
    }
    let explain = Explain { reference: Some("lab/net@v1".into()), ..Explain::of(Action::Read) };
    shut(client.call(Command::Explain(explain)), item.key);
    let reference = Some("lab/net@v1".into());
    let who = WhoCan { action: Action::Read, reference, environment: None, as_of: None, after: None, limit: 10 };
    shut(client.call(Command::WhoCan(who)), item.key);
    // Beside it everything goes on, and the version is still shown.
    client.release(Action::Read, "lab/net@v2").unwrap();
    assert_eq!(client.show("lab/net@v1").unwrap().key_state, KeyState::Suspended);
    client.put(&Put::new("lab/net")).unwrap();
    let again = moved(&client, item.key, KeyState::Suspended).unwrap();
    assert_eq!((again.from, again.receipt), (KeyState::Suspended, None));
    // Each refusal is in the log as one, with the decision that would have let it through.
    let denied = entries(&client, "release.read");
    let denied: Vec<_> = denied.iter().filter(|item| item.entry["kind"] == "denial").collect();
    assert_eq!(denied.len(), 1);
    assert_eq!(denied[0].entry["detail"]["state"], "suspended");

    moved(&client, item.key, KeyState::Active).unwrap();
    client.release(Action::Read, "lab/net@v1").unwrap();
    assert_eq!((entries(&client, "key.suspend").len(), entries(&client, "key.resume").len()), (1, 1));
    state_holds(&client);
}

#[test]
fn a_suspended_domain_key_neither_seals_nor_opens_and_is_not_rotated() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    client.release(Action::Read, "lab/net").unwrap();
    let key = domain_key(&client);
    let begun = Put::new("lab/late").class(Class::Internal);
    let (late, _) = client.begin(&begun).unwrap();
    world.clock.advance(1000);
    moved(&client, key, KeyState::Suspended).unwrap();
    shut(client.release(Action::Read, "lab/net"), key);
    shut(client.put(&Put::new("lab/other").class(Class::Internal)), key);
    // What was begun before has its key already; it is committed, and stays shut like the rest.
    client.commit(&begun, &late).unwrap();
    shut(client.release(Action::Read, "lab/late"), key);
    // Another domain is another key.
    client.put(&Put::new("lab/open").class(Class::Public)).unwrap();
    client.release(Action::Read, "lab/open").unwrap();
    let rotate = |client: &Client<'_>| match client.call(Command::KeyRotate(KeyRotate::default())).unwrap() {
        Answer::Rotated(rotated) => rotated.keys.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(rotate(&client), 1, "the public one only");
    drop(client);
    keeper.close().unwrap();

    // After a restart as well, and jobs do not trip over it.
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    shut(client.release(Action::Read, "lab/net"), key);
    let suspended = keys(&client).into_iter().find(|item| item.id == key).unwrap();
    assert_eq!((suspended.state.as_str(), suspended.wraps), ("suspended", 2));
    assert!(suspended.since > suspended.created);
    moved(&client, key, KeyState::Active).unwrap();
    client.release(Action::Read, "lab/net").unwrap();
    assert_eq!(rotate(&client), 2);
    client.release(Action::Read, "lab/late").unwrap();
    // Its time is over: it opened what it sealed, and comes back into use never again.
    assert_eq!(code(moved(&client, key, KeyState::Active)), Code::Conflict);
    state_holds(&client);
}

#[test]
fn steps_that_the_table_has_not_and_keys_that_are_none_are_refused() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    let key = domain_key(&client);
    for to in [KeyState::PreActive, KeyState::Deactivated, KeyState::Compromised, KeyState::Destroyed] {
        assert_eq!(code(moved(&client, key, to)), Code::BadRequest, "{to}");
    }
    assert_eq!(moved(&client, key, KeyState::Active).unwrap().receipt, None);
    let unknown = KeyId::from_bytes([7; 16]);
    assert_eq!(code(moved(&client, unknown, KeyState::Suspended)), Code::NotFound);
    for own in keys(&client).iter().filter(|key| key.purpose != "domain") {
        assert_eq!(code(moved(&client, own.id, KeyState::Suspended)), Code::Conflict, "{}", own.purpose);
    }
    for reason in ["", "  ", &"x".repeat(1025)] {
        let wish = KeyMove { key, to: KeyState::Suspended, reason: reason.to_owned() };
        assert_eq!(code(client.call(Command::KeyMove(wish))), Code::BadRequest);
    }
    client.release(Action::Read, "lab/net").unwrap();
}

#[test]
fn keys_are_moved_by_their_custodians_only() {
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    owner.call(Command::PrincipalAdd(principal("carl", Class::Public, &[("lab", "custodian")]))).unwrap();
    owner.call(Command::PrincipalAdd(principal("yves", Class::Public, &[("yard", "custodian")]))).unwrap();
    let of = |who: &str| Client::new(&keeper, &world, Some(who));
    let (domain, version) = {
        let cus = of("cus");
        (domain_key(&cus), cus.show("lab/net").unwrap().key)
    };
    for who in ["wanda", "alice", "rick", "aud", "pol"] {
        for key in [domain, version] {
            assert_eq!(code(moved(&of(who), key, KeyState::Suspended)), Code::Denied, "{who}");
        }
    }
    // Who sees nothing of the place learns nothing of the key, whether there is one or not.
    for who in ["mallory", "yves"] {
        for key in [domain, version, KeyId::from_bytes([7; 16])] {
            let refused = moved(&of(who), key, KeyState::Suspended).unwrap_err();
            assert!(!refused.to_string().contains("lab"), "{who}: {refused}");
            assert_eq!((refused.code, refused.missing), (Code::NotFound, Some(key.to_string())), "{who}");
        }
    }
    for who in ["cus", "carl"] {
        moved(&of(who), domain, KeyState::Suspended).unwrap();
        shut(of("rick").release(Action::Read, "lab/net"), domain);
        moved(&of(who), domain, KeyState::Active).unwrap();
        of("rick").release(Action::Read, "lab/net").unwrap();
    }
    // Who may not open it is told that, and nothing of its keys.
    moved(&of("carl"), version, KeyState::Suspended).unwrap();
    assert_eq!(code(of("alice").release(Action::Read, "lab/net")), Code::Denied);
    shut(of("rick").release(Action::Read, "lab/net"), version);
}

#[test]
fn a_state_is_not_changed_behind_the_keepers_back() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    let (domain, version) = (domain_key(&client), client.show("lab/net").unwrap());
    moved(&client, version.key, KeyState::Suspended).unwrap();
    moved(&client, domain, KeyState::Suspended).unwrap();
    drop(client);
    keeper.close().unwrap();
    // The column that is looked up is not what counts, and the row is under a MAC.
    assert_eq!(world.tamper("UPDATE crypto_key SET state = 'active' WHERE state = 'suspended'"), 1);
    let suspended = "CAST(REPLACE(CAST(body AS TEXT), '\"suspended\"', '\"active\"') AS BLOB)";
    assert_eq!(world.tamper(&format!("UPDATE version SET body = {suspended}")), 1);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    assert_eq!(code(client.release(Action::Read, "lab/net")), Code::BadSignature);
}

fn job_is_due(client: &Client<'_>) -> bool {
    match client.call(Command::Jobs).unwrap() {
        Answer::Jobs(list) => list.items.iter().any(|job| job.name == "rotate" && job.overdue),
        other => panic!("{other:?}"),
    }
}

/// Number and state of the restricted domain's keys, oldest first.
fn restricted(client: &Client<'_>) -> Vec<(u32, String, u64)> {
    let mut found: Vec<_> = keys(client)
        .into_iter()
        .filter(|key| key.class == Some(Class::Restricted))
        .map(|key| (key.version, key.state, key.wraps))
        .collect();
    found.sort();
    found
}

#[test]
fn a_key_is_renewed_before_its_time_is_over_whoever_comes_late_or_twice() {
    const DAY: u64 = 86_400_000;
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    for _ in 0..3 {
        client.put(&Put::new("lab/net").class(Class::Restricted)).unwrap();
    }
    let began = world.clock.millis();
    let due = keys(&client).iter().find(|key| key.class == Some(Class::Restricted)).unwrap().due.unwrap().as_millis();
    assert_eq!((due - began) / DAY, 30);
    world.clock.set(due - 3 * DAY - 1);
    assert!(!job_is_due(&client));
    world.clock.set(due - 3 * DAY);
    assert!(job_is_due(&client));
    // A suspended key is its custodian's business: nothing is due of it.
    let key = domain_key(&client);
    moved(&client, key, KeyState::Suspended).unwrap();
    assert!(!job_is_due(&client));
    keeper.go_on(std::time::Duration::from_secs(60)).unwrap();
    moved(&client, key, KeyState::Active).unwrap();
    assert!(job_is_due(&client));
    // Two that run it at once make one new version.
    let other = world.open();
    let long = std::time::Duration::from_secs(60);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| keeper.go_on(long));
        let second = scope.spawn(|| other.go_on(long));
        for run in [first, second] {
            if let Err(problem) = run.join().unwrap() {
                assert_eq!(problem.code, Code::Busy, "{problem}");
            }
        }
    });
    keeper.go_on(long).unwrap();
    assert!(!job_is_due(&client));
    assert_eq!(restricted(&client), [(1, "deactivated".to_owned(), 0), (2, "active".to_owned(), 3)]);
    let solo = |client: &Client<'_>| client.release_with(Action::Read, "lab/net@v1", Some("test"), Some("lab/net"));
    solo(&client).unwrap();
    drop(other);

    // Missed for long: one new version, whose time begins now.
    world.clock.advance(29 * DAY);
    keeper.go_on(long).unwrap();
    world.clock.advance(29 * DAY);
    drop(client);
    keeper.close().unwrap();
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    keeper.go_on(long).unwrap();
    let keys_now = restricted(&client);
    assert_eq!(keys_now.last(), Some(&(4, "active".to_owned(), 3)));
    assert!(keys_now.iter().rev().skip(1).all(|(_, state, wraps)| state == "deactivated" && *wraps == 0));
    solo(&client).unwrap();
    let log = entries(&client, "key.rotate");
    assert_eq!(log.len(), 3);
    assert!(log.iter().all(|item| item.entry["auth"]["method"] == "system"), "{:?}", log[0].entry);
    state_holds(&client);
}

#[test]
fn suspending_the_newest_key_shuts_its_domain_at_every_point_of_a_rotation() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    let begun = |client: &Client<'_>| {
        client.call(Command::KeyRotate(KeyRotate { no_wait: true, ..KeyRotate::default() })).unwrap();
        domain_key(client)
    };
    // Still wrapped under the version before, which opens.
    let newest = begun(&client);
    client.release(Action::Read, "lab/net").unwrap();
    moved(&client, newest, KeyState::Suspended).unwrap();
    shut(client.release(Action::Read, "lab/net"), newest);
    moved(&client, newest, KeyState::Active).unwrap();
    // What is remembered from before the version key was moved must not outlive a change of the key that wraps it since.
    client.release(Action::Read, "lab/net").unwrap();
    client.call(Command::JobsRun { name: Some("rewrap".into()) }).unwrap();
    moved(&client, newest, KeyState::Suspended).unwrap();
    shut(client.release(Action::Read, "lab/net"), newest);
    moved(&client, newest, KeyState::Active).unwrap();
    client.release(Action::Read, "lab/net").unwrap();
    state_holds(&client);
}
