//! The archive: keys of versions that are out of use lie apart, under a key and a right of their own.

use crate::decisions::{entries, principal, staff};
use crate::destroy::{Dying, destroy, log_keys, ran, state_holds, written};
use crate::runs;
use crate::world::{Client, Put, World, code, name};
use api::terms::{Action, Class, Code, KeyId, KeyState, Mode, VersionId};
use api::wire::{
    Answer, Command, Explain, HoldSet, KeyArchive, KeyArchived, KeyCompromise, KeyItem, KeyMove, KeyRotate, Problem,
    Refusal, Remove, Status, WhoCan,
};
use keeper::Keeper;
use keeper::datastore::Datastore;
use keeper::datastore::sqlite::{Options, Sqlite};
use keeper::vault::OpenOptions;
use log::certificate::check;
use rusqlite::params;
use seal::record::VersionRecord;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const DAY: u64 = 86_400_000;

fn asked(client: &Client<'_>, references: &[&str]) -> KeyArchive {
    let id = |reference: &&str| client.show(reference).map_or(VersionId::from_bytes([9; 16]), |item| item.id);
    KeyArchive { versions: references.iter().map(id).collect(), reason: "the project ended".into() }
}

fn told(answer: Result<Answer, Problem>) -> Result<KeyArchived, Problem> {
    match answer? {
        Answer::KeyArchived(done) => Ok(*done),
        other => panic!("{other:?}"),
    }
}

pub fn archive(client: &Client<'_>, references: &[&str]) -> Result<KeyArchived, Problem> {
    told(client.call(Command::KeyArchive(asked(client, references))))
}

pub fn unarchive(client: &Client<'_>, references: &[&str]) -> Result<KeyArchived, Problem> {
    told(client.call(Command::KeyUnarchive(asked(client, references))))
}

fn keys(client: &Client<'_>, purpose: &str) -> Vec<KeyItem> {
    match client.call(Command::KeyList).unwrap() {
        Answer::Keys(list) => list.keys.into_iter().filter(|key| key.purpose == purpose).collect(),
        other => panic!("{other:?}"),
    }
}

fn status(client: &Client<'_>) -> Status {
    match client.call(Command::Status).unwrap() {
        Answer::Status(status) => *status,
        other => panic!("{other:?}"),
    }
}

fn rotate(client: &Client<'_>) -> u64 {
    match client.call(Command::KeyRotate(KeyRotate::default())).unwrap() {
        Answer::Rotated(rotated) => rotated.rewrapped,
        other => panic!("{other:?}"),
    }
}

fn explain(client: &Client<'_>, action: Action, reference: &str) -> Refusal {
    match client.call(Command::Explain(Explain { reference: Some(reference.into()), ..Explain::of(action) })).unwrap() {
        Answer::Explained(refusal) => *refusal,
        other => panic!("{other:?}"),
    }
}

fn who_can(client: &Client<'_>, action: Action, reference: &str) -> Vec<String> {
    let ask =
        WhoCan { action, reference: Some(reference.into()), environment: None, as_of: None, limit: 100, after: None };
    match client.call(Command::WhoCan(ask)).unwrap() {
        Answer::WhoCan(page) => page.items.into_iter().map(|holder| holder.principal).collect(),
        other => panic!("{other:?}"),
    }
}

/// A rehearsal vault whose `lab/old` has two versions, with a steward besides the staff.
fn lab() -> World {
    filled(World::new(Mode::Rehearsal))
}

pub fn filled(world: World) -> World {
    let world = staff(world);
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    owner.call(Command::PrincipalAdd(principal("stella", Class::Confidential, &[("lab", "steward")]))).unwrap();
    let wanda = Client::new(&keeper, &world, Some("wanda"));
    for _ in 0..2 {
        wanda.put(&Put::new("lab/old").class(Class::Internal)).unwrap();
    }
    drop((owner, wanda));
    keeper.close().unwrap();
    world
}

#[test]
fn what_is_archived_is_opened_under_that_right_only_and_told_of_as_before() {
    for world in World::both(Mode::Rehearsal).map(filled) {
        let keeper = world.open();
        let [wanda, rick, stella, cus, mallory, owner] =
            ["wanda", "rick", "stella", "cus", "mallory", "olivia"].map(|who| Client::new(&keeper, &world, Some(who)));
        rick.release(Action::Read, "lab/old@v1").unwrap();
        for client in [&wanda, &rick, &stella] {
            assert_eq!(code(archive(client, &["lab/old@v1"])), Code::Denied);
        }
        let known = asked(&cus, &["lab/old@v1"]);
        assert_eq!(code(told(mallory.call(Command::KeyArchive(known)))), Code::NotFound);
        assert!(keys(&cus, "archive").is_empty(), "none is made before it is used");

        let done = archive(&cus, &["lab/old@v1"]).unwrap();
        assert_eq!((done.moved, done.already, done.receipts.len()), (vec!["lab/old@v1".to_owned()], 0, 1));
        let again = archive(&cus, &["lab/old@v1"]).unwrap();
        assert_eq!((again.moved.len(), again.already, again.receipts.len()), (0, 1, 0));
        let made = keys(&cus, "archive");
        assert_eq!((made.len(), made[0].wraps, made[0].class, made[0].uses), (1, 1, Some(Class::Internal), Some(1)));
        assert_eq!(status(&cus).keys.archived, 1);

        for client in [&rick, &wanda] {
            for action in [Action::Read, Action::Export] {
                let refused = client.release(action, "lab/old@v1").unwrap_err();
                assert_eq!(refused.code, Code::Denied);
                assert!(refused.what.contains("archive-read"), "{refused:?}");
                assert!(refused.try_.unwrap().contains("--grant lab=steward"));
                assert!(!explain(client, action, "lab/old@v1").allowed);
            }
            client.release(Action::Read, "lab/old@v2").unwrap();
            // Names are no content.
            client.release(Action::List, "lab/old@v1").unwrap();
            assert!(explain(client, Action::List, "lab/old@v1").allowed);
        }
        let item = rick.show("lab/old@v1").unwrap();
        assert!(item.archived.is_some() && item.key_state == KeyState::Deactivated);
        assert!(explain(&stella, Action::Read, "lab/old@v1").allowed);
        assert_eq!(code(cus.release(Action::Read, "lab/old@v1")), Code::Denied);
        for action in [Action::Read, Action::Export] {
            stella.release(action, "lab/old@v1").unwrap();
            assert_eq!(who_can(&owner, action, "lab/old@v1"), ["stella"]);
            assert!(who_can(&owner, action, "lab/old@v2").contains(&"rick".to_owned()));
        }
        assert_eq!(who_can(&owner, Action::ArchiveRead, "lab/old@v1"), ["stella"]);
        // Both decisions are in the log, and are made again.
        let aud = Client::new(&keeper, &world, Some("aud"));
        assert_eq!(entries(&aud, "archive.read").len(), 2);
        match aud.call(Command::DecisionsReplay).unwrap() {
            Answer::DecisionsReplayed(replayed) => assert!(replayed.ok, "{replayed:?}"),
            other => panic!("{other:?}"),
        }

        assert_eq!(code(unarchive(&stella, &["lab/old@v1"])), Code::Denied);
        assert_eq!(unarchive(&cus, &["lab/old@v1", "lab/old@v2"]).unwrap().already, 1);
        rick.release(Action::Read, "lab/old@v1").unwrap();
        let item = rick.show("lab/old@v1").unwrap();
        assert!(item.archived.is_none() && item.key_state == KeyState::Deactivated, "nothing leads back from there");
        assert_eq!((status(&cus).keys.archived, keys(&cus, "archive")[0].wraps), (0, 0));
        state_holds(&aud);
    }
}

/// Everything of a row.
type Row = (Vec<u8>, Vec<u8>, Vec<u8>, i64, Vec<u8>, Option<Vec<u8>>);

fn wrap_of(world: &World, key: KeyId) -> Row {
    let db = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
    let sql = "SELECT id, body, salt, ticket, mac, under FROM wrap WHERE wrapped = ?1";
    db.query_row(sql, [key.as_bytes()], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
    })
    .unwrap()
}

fn version_row(world: &World, id: VersionId) -> Row {
    let db = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
    db.query_row("SELECT id, body, salt, ticket, mac FROM version WHERE id = ?1", [id.as_bytes()], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, None))
    })
    .unwrap()
}

/// Puts an older copy of a row back, which has a MAC of the keeper's.
fn put_back(world: &World, table: &str, row: &Row) {
    let db = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
    let (id, body, salt, ticket, mac, under) = row;
    let sql = format!("UPDATE {table} SET body = ?2, salt = ?3, ticket = ?4, mac = ?5 WHERE id = ?1");
    assert_eq!(db.execute(&sql, params![id, body, salt, ticket, mac]).unwrap(), 1);
    if let Some(under) = under {
        assert_eq!(db.execute("UPDATE wrap SET under = ?2 WHERE id = ?1", params![id, under]).unwrap(), 1);
    }
}

#[test]
fn a_wrap_that_is_put_where_it_was_opens_nothing() {
    let world = lab();
    let (id, key, before, row, after);
    {
        let keeper = world.open();
        let cus = Client::new(&keeper, &world, Some("cus"));
        let item = cus.show("lab/old@v1").unwrap();
        (id, key) = (item.id, item.key);
        (before, row) = (wrap_of(&world, key), version_row(&world, id));
        archive(&cus, &["lab/old@v1"]).unwrap();
        after = wrap_of(&world, key);
        assert_ne!(before.5, after.5);
        keeper.close().unwrap();
    }
    // Back under the domain key.
    put_back(&world, "wrap", &before);
    {
        let keeper = world.open();
        for who in ["rick", "stella"] {
            let client = Client::new(&keeper, &world, Some(who));
            assert_eq!(code(client.release(Action::Read, "lab/old@v1")), Code::BadSignature, "{who}");
        }
        let cus = Client::new(&keeper, &world, Some("cus"));
        assert_eq!(code(unarchive(&cus, &["lab/old@v1"])), Code::BadSignature);
        let aud = Client::new(&keeper, &world, Some("aud"));
        let Answer::StateVerified(state) = aud.call(Command::StateVerify).unwrap() else { panic!() };
        assert!(!state.ok && state.failures.iter().any(|failure| failure.contains("wrap")), "{state:?}");
    }
    // The row that says so as well: both were the keeper's own once, and only the log knows better.
    put_back(&world, "version", &row);
    {
        let keeper = world.open();
        let aud = Client::new(&keeper, &world, Some("aud"));
        let Answer::StateVerified(state) = aud.call(Command::StateVerify).unwrap() else { panic!() };
        assert!(!state.ok && state.failures.iter().any(|failure| failure.contains("version")), "{state:?}");
    }
    // The row alone: it lies in the archive and says that it does not.
    put_back(&world, "wrap", &after);
    {
        let keeper = world.open();
        let rick = Client::new(&keeper, &world, Some("rick"));
        assert_eq!(code(rick.release(Action::Read, "lab/old@v1")), Code::BadSignature);
    }
}

#[test]
fn the_wrap_of_the_archive_is_no_use_after_it_was_left() {
    let world = lab();
    let keeper = world.open();
    let cus = Client::new(&keeper, &world, Some("cus"));
    archive(&cus, &["lab/old@v1"]).unwrap();
    let key = cus.show("lab/old@v1").unwrap().key;
    let old = wrap_of(&world, key);
    unarchive(&cus, &["lab/old@v1"]).unwrap();
    drop(cus);
    keeper.close().unwrap();
    put_back(&world, "wrap", &old);
    let keeper = world.open();
    let rick = Client::new(&keeper, &world, Some("rick"));
    assert_eq!(code(rick.release(Action::Read, "lab/old@v1")), Code::BadSignature);
}

#[test]
fn a_run_that_began_before_is_not_renewed_without_the_right() {
    for world in World::both(Mode::Rehearsal).map(filled) {
        let keeper = world.open();
        let [rick, stella, cus] = ["rick", "stella", "cus"].map(|who| Client::new(&keeper, &world, Some(who)));
        let started = runs::start(&rick, runs::over(&["lab/old@v1"], &[])).unwrap();
        let other = runs::start(&stella, runs::over(&["lab/old@v1"], &[])).unwrap();
        let item = (started.inputs[0].reference.clone(), started.inputs[0].id);
        runs::release(&rick, started.run, Action::Read, (&item.0, item.1)).unwrap();
        archive(&cus, &["lab/old@v1"]).unwrap();
        // Facts of the release before are in memory, and count no more.
        assert_eq!(code(runs::release(&rick, started.run, Action::Read, (&item.0, item.1))), Code::Denied);
        runs::release(&stella, other.run, Action::Read, (&item.0, item.1)).unwrap();
        let refused = runs::renew(&rick, started.run).unwrap_err();
        assert!(refused.code == Code::Denied && refused.what.contains("archive-read"), "{refused:?}");
        assert!(runs::renew(&rick, started.run).is_err(), "it has ended");
        runs::renew(&stella, other.run).unwrap();
        assert_eq!(code(runs::start(&rick, runs::over(&["lab/old@v1"], &[]))), Code::Denied);
        runs::start(&stella, runs::over(&["lab/old@v1", "lab/old@v2"], &[])).unwrap();
    }
}

/// The first pack of a version, as another one would name it.
fn pack_of(client: &Client<'_>, reference: &str) -> seal::record::Pack {
    let (released, _) = client.release(Action::Read, reference).unwrap();
    VersionRecord::decode(&released.record).unwrap().packs[0].clone()
}

#[test]
fn nothing_new_is_made_of_what_is_archived() {
    for world in World::both(Mode::Rehearsal).map(filled) {
        let keeper = world.open();
        let [wanda, stella, cus] = ["wanda", "stella", "cus"].map(|who| Client::new(&keeper, &world, Some(who)));
        let (first, pack) = (wanda.show("lab/old@v2").unwrap().id, pack_of(&wanda, "lab/old@v2"));
        let next =
            || Put { previous: Some(first), packs: vec![pack.clone()], ..Put::new("lab/old").class(Class::Internal) };
        // Begun before, with the keys of the version before in hand.
        let early = next();
        let (begun, _) = wanda.begin(&early).unwrap();
        assert!(begun.previous.is_some());
        assert!(archive(&cus, &["lab/old@v2"]).unwrap().shared_with.is_empty());
        let refused = wanda.commit(&early, &begun).unwrap_err();
        assert_eq!((refused.code, refused.what.as_str()), (Code::Conflict, "the new version was refused"));
        // Whoever has the right is not handed it for this either.
        for client in [&wanda, &stella] {
            let put = next();
            let (begun, _) = client.begin(&put).unwrap();
            assert!(begun.previous.is_none());
            assert_eq!(code(client.commit(&put, &begun)), Code::Conflict);
        }
        unarchive(&cus, &["lab/old@v2"]).unwrap();
        let shared = next();
        wanda.put(&shared).unwrap();
        // What a version in use names too is taken over from that, and that is told.
        assert_eq!(archive(&cus, &["lab/old@v2"]).unwrap().shared_with, ["lab/old@v3"]);
        let put = Put { previous: Some(shared.version), ..next() };
        wanda.put(&put).unwrap();
    }
}

#[test]
fn packs_of_a_version_that_is_gone_are_not_taken_over_from_archived_ones() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    let (first, pack) = (client.show("lab/net@v1").unwrap().id, pack_of(&client, "lab/net@v1"));
    let next = |before| Put {
        previous: Some(before),
        packs: vec![pack.clone()],
        ..Put::new("lab/net").class(Class::Internal)
    };
    let second = next(first);
    client.put(&second).unwrap();
    let remove =
        Remove { reference: "lab/net@v1".into(), all: false, reason: Some("r".into()), confirm: None, dry: false };
    client.call(Command::Remove(remove)).unwrap();
    // Whoever wrote them is gone, and what is left in use names them.
    let third = next(second.version);
    let (begun, _) = client.begin(&third).unwrap();
    archive(&client, &["lab/net@v2"]).unwrap();
    assert_eq!(code(client.commit(&third, &begun)), Code::Conflict);
    unarchive(&client, &["lab/net@v2"]).unwrap();
    client.commit(&third, &begun).unwrap();
}

#[test]
fn archive_keys_rotate_with_their_domain_and_on_their_own() {
    for world in World::both(Mode::Solo) {
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        for reference in ["lab/net", "lab/net", "lab/net"] {
            client.put(&Put::new(reference).class(Class::Internal)).unwrap();
        }
        archive(&client, &["lab/net@v1"]).unwrap();
        assert_eq!(rotate(&client), 3);
        let states = |purpose: &str| -> Vec<(u32, String, u64)> {
            keys(&client, purpose).into_iter().map(|key| (key.version, key.state, key.wraps)).collect()
        };
        let rotated = |of: u64| vec![(1, "deactivated".to_owned(), 0), (2, "active".to_owned(), of)];
        assert_eq!((states("domain"), states("archive")), (rotated(2), rotated(1)));
        client.release(Action::Read, "lab/net@v1").unwrap();

        // One that is made later is due later, and is renewed then.
        world.clock.advance(100 * DAY);
        client.put(&Put::new("lab/pub").class(Class::Public)).unwrap();
        archive(&client, &["lab/pub@v1"]).unwrap();
        let due = |key: &KeyItem| key.due.unwrap().as_millis() - key.created.as_millis();
        let archived = keys(&client, "archive");
        assert_eq!(archived.iter().filter(|key| key.state == "active").map(due).max(), Some(365 * DAY));
        world.clock.advance(78 * DAY);
        assert!(status(&client).keys.due_soon >= 2);
        ran(&client, "rotate");
        ran(&client, "rewrap");
        let internal = states("archive").into_iter().filter(|(version, ..)| *version == 3).collect::<Vec<_>>();
        assert_eq!(internal, [(3, "active".to_owned(), 1)]);
        client.release(Action::Read, "lab/net@v1").unwrap();
        state_holds(&client);
    }
}

#[test]
fn a_compromised_archive_key_is_an_incident_of_what_lies_under_it() {
    for world in World::both(Mode::Solo) {
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        for _ in 0..3 {
            client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
        }
        archive(&client, &["lab/net@v1", "lab/net@v2"]).unwrap();
        unarchive(&client, &["lab/net@v2"]).unwrap();
        let key = keys(&client, "archive")[0].id;
        let command = KeyCompromise { key, reason: "found on a public server".into() };
        let Answer::Incident(incident) = client.call(Command::KeyCompromise(command)).unwrap() else { panic!() };
        // What left it again was under it too.
        assert_eq!((incident.incident.of.as_str(), incident.incident.of_keys), ("lab/dev/internal/archive", Some(2)));
        let seal =
            incident.steps.iter().flat_map(|step| &step.commands).filter(|line| line.contains(" key unarchive "));
        assert_eq!(seal.count(), 1);
        assert_eq!(code(client.release(Action::Read, "lab/net@v1")), Code::Gone);
        for reference in ["lab/net@v2", "lab/net@v3"] {
            client.release(Action::Read, reference).unwrap();
        }
        // Nothing is put there until it has a successor; what lies there comes out.
        assert_eq!(code(archive(&client, &["lab/net@v3"])), Code::Gone);
        unarchive(&client, &["lab/net@v1"]).unwrap();
        client.release(Action::Read, "lab/net@v1").unwrap();
        rotate(&client);
        archive(&client, &["lab/net@v3"]).unwrap();
        client.release(Action::Read, "lab/net@v3").unwrap();
        state_holds(&client);
    }
}

#[test]
fn a_destroyed_archive_key_takes_what_lies_under_it_and_its_domains_key_does_not() {
    for world in World::both(Mode::Solo) {
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        for _ in 0..2 {
            client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
            client.put(&Put::new("lab/kept").class(Class::Internal)).unwrap();
        }
        archive(&client, &["lab/net@v1", "lab/kept@v1"]).unwrap();
        let hold = HoldSet { reference: "lab/kept@v1".into(), name: name("case"), reason: "a case".into() };
        client.call(Command::HoldSet(hold)).unwrap();
        let (domain, apart) = (keys(&client, "domain")[0].id, keys(&client, "archive")[0].id);
        assert_eq!(code(destroy(&client, apart)), Code::Denied, "a legal hold");
        unarchive(&client, &["lab/kept@v1"]).unwrap();
        let done = destroy(&client, apart).unwrap();
        assert_eq!((done.of.as_str(), done.versions), ("lab/dev/internal/archive", 1));
        assert_eq!(code(client.release(Action::Read, "lab/net@v1")), Code::Gone);
        assert_eq!(code(unarchive(&client, &["lab/net@v1"])), Code::Gone, "it is to go");
        client.release(Action::Read, "lab/net@v2").unwrap();
        // The next one is made for what comes later, and lives.
        archive(&client, &["lab/net@v2"]).unwrap();
        world.clock.advance(8 * DAY);
        assert!(ran(&client, "shred") > 0);
        assert!(client.show("lab/net@v1").unwrap().is_destroyed());
        let text = written(&client, apart);
        assert!(text.contains("kind archive") && text.contains("of lab/dev/internal/archive"), "{text}");
        check(&text, &log_keys(&client, &world)).unwrap();
        client.release(Action::Read, "lab/net@v2").unwrap();

        let lift = api::wire::HoldLift { reference: "lab/kept@v1".into(), name: name("case"), reason: "closed".into() };
        client.call(Command::HoldLift(lift)).unwrap();
        destroy(&client, domain).unwrap();
        world.clock.advance(8 * DAY);
        assert!(ran(&client, "shred") > 0);
        assert_eq!(code(client.release(Action::Read, "lab/kept@v2")), Code::Gone);
        client.release(Action::Read, "lab/net@v2").unwrap();
        state_holds(&client);
    }
}

#[test]
fn what_opens_nothing_or_is_gone_is_not_archived() {
    for world in World::both(Mode::Solo) {
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        for _ in 0..3 {
            client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
        }
        let suspend = |reference: &str| {
            let key = client.show(reference).unwrap().key;
            client
                .call(Command::KeyMove(KeyMove { key, to: KeyState::Suspended, reason: "looked into".into() }))
                .unwrap();
        };
        suspend("lab/net@v1");
        assert_eq!(code(archive(&client, &["lab/net@v1"])), Code::Gone, "it would come out deactivated, and open");
        let remove =
            Remove { reference: "lab/net@v2".into(), all: false, reason: Some("r".into()), confirm: None, dry: false };
        client.call(Command::Remove(remove.clone())).unwrap();
        assert_eq!(code(archive(&client, &["lab/net@v2"])), Code::Gone);
        // What is archived is suspended and removed like anything else.
        archive(&client, &["lab/net@v3"]).unwrap();
        assert_eq!(code(client.release(Action::Reencrypt, "lab/net@v3")), Code::Conflict);
        client.call(Command::Remove(Remove { reference: "lab/net@v3".into(), ..remove })).unwrap();
        assert_eq!(code(client.release(Action::Read, "lab/net@v3")), Code::Gone);
        world.clock.advance(8 * DAY);
        ran(&client, "destroy");
        assert!(client.show("lab/net@v3").unwrap().is_destroyed());
        assert_eq!(keys(&client, "archive")[0].wraps, 0);

        let none = KeyArchive { versions: Vec::new(), reason: "r".into() };
        assert_eq!(code(told(client.call(Command::KeyArchive(none)))), Code::BadRequest);
        let blank = KeyArchive { reason: " ".into(), ..asked(&client, &["lab/net@v1"]) };
        assert_eq!(code(told(client.call(Command::KeyArchive(blank)))), Code::BadRequest);
        assert_eq!(code(archive(&client, &["lab/none@v1"])), Code::NotFound);
        state_holds(&client);
    }
}

#[test]
fn whoever_is_killed_has_moved_whole_batches_and_goes_on() {
    const VERSIONS: u64 = 200;
    let world = World::new(Mode::Solo);
    let references: Vec<String> = (1..=VERSIONS).map(|number| format!("lab/net@v{number}")).collect();
    let references: Vec<&str> = references.iter().map(String::as_str).collect();
    {
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        for _ in 0..VERSIONS {
            client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
        }
        keeper.close().unwrap();
    }
    let (mut deaths, mut seen) = (0, Vec::new());
    loop {
        let inner = Sqlite::open(&world.dir().join("keeper.db"), &Options::default()).unwrap();
        let dying = Arc::new(Dying { inner, left: AtomicI64::new(i64::MAX) });
        let store = Some(Datastore::new(dying.clone()));
        let keeper = Keeper::open(&OpenOptions { store, ..world.options() }).unwrap();
        let client = Client::new(&keeper, &world, None);
        let wanted = asked(&client, &references);
        dying.left.store(deaths + 1, Ordering::SeqCst);
        let done = told(client.call(Command::KeyArchive(wanted)));
        dying.left.store(i64::MAX, Ordering::SeqCst);
        let archived = references.iter().filter(|reference| client.show(reference).unwrap().archived.is_some());
        seen.push(archived.count() as u64);
        // In one set or in the other, each of them opens.
        for reference in ["lab/net@v1", "lab/net@v100", "lab/net@v200"] {
            client.release(Action::Read, reference).unwrap();
        }
        assert_eq!(status(&client).keys.archived, seen[seen.len() - 1]);
        match done {
            Ok(done) => break assert_eq!(done.already, VERSIONS - done.moved.len() as u64),
            Err(_) => deaths += 1,
        }
        assert!(deaths < 20, "it does not get on");
    }
    assert!(seen.is_sorted() && seen.iter().any(|&count| 0 < count && count < VERSIONS), "{seen:?}");
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    assert_eq!(status(&client).keys.archived, VERSIONS);
    state_holds(&client);
}
