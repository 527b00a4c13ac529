//! Versions: written, released, refused.

use crate::world::{Client, Put, World, code, name};
use api::terms::{Action, Class, Code, Environment, Mode, ObjectId, VersionId};
use api::wire::{Answer, Command, ListQuery};
use seal::envelope::Key;
use seal::record::{Pack, VersionRecord};
use testkit::suites;

fn roles(opened: &seal::envelope::Opened) -> Vec<u8> {
    opened.keys.iter().map(|key| key.key.role()).collect()
}

fn key_bytes(opened: &seal::envelope::Opened, role: u8) -> [u8; 32] {
    let found = opened.keys.iter().find(|key| key.key.role() == role).unwrap();
    match &found.key {
        Key::List(key) => *key.expose_bytes(),
        Key::Map(key) => *key.expose_bytes(),
    }
}

#[test]
fn what_was_put_is_released_with_the_keys_it_was_sealed_with() {
    suites::each(|| {
        let world = World::new(Mode::Solo);
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        let put = Put::new("lab/table");
        let (begun, write_keys) = client.begin(&put).unwrap();
        assert_eq!((begun.class, begun.class_why.as_str()), (Class::Confidential, "default"));
        let committed = client.commit(&put, &begun).unwrap();
        assert_eq!(committed.version.reference, "lab/table@v1");
        assert_eq!((committed.version.number, committed.version.creator.as_str()), (1, "olivia"));

        let (released, opened) = client.release(Action::Export, "lab/table").unwrap();
        assert_eq!(released.version, committed.version);
        assert_eq!(roles(&opened), [1, 2]);
        for role in [1, 2] {
            assert_eq!(key_bytes(&opened, role), key_bytes(&write_keys, role));
        }
        let digest: [u8; 32] = seal::record::digest_of(&released.record);
        assert_eq!(opened.release.versions, [(*put.version.as_bytes(), Some(digest))]);
        assert_eq!(opened.release.expiry_ms, released.expires.as_millis());
        let (_, listed) = client.release(Action::List, "lab/table@v1").unwrap();
        assert_eq!(roles(&listed), [1]);
    });
}

#[test]
fn numbers_have_no_gaps_and_an_unfinished_version_does_not_show() {
    suites::each(|| {
        let world = World::new(Mode::Solo);
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        let (first, second, third) = (Put::new("lab/net"), Put::new("lab/net"), Put::new("lab/net"));
        client.begin(&first).unwrap();
        assert_eq!(code(client.show("lab/net")), Code::NotFound);
        let list = |workspace: Option<&str>| {
            let query = ListQuery { workspace: workspace.map(name), after: None, limit: 10 };
            match client.call(Command::List(query)).unwrap() {
                Answer::List(page) => page,
                other => panic!("{other:?}"),
            }
        };
        assert!(list(Some("lab")).items.is_empty());
        client.put(&second).unwrap();
        client.call(Command::Abandon { version: first.version }).unwrap();
        assert_eq!(client.put(&third).unwrap().version.number, 2);
        let items = list(Some("lab")).items;
        assert_eq!(items.len(), 1);
        assert_eq!(items[0].latest.as_ref().unwrap().number, 2);
        assert_eq!(list(None).items[0].artifacts, Some(1));
        let history = Command::History { reference: "lab/net".into(), before: None, limit: 1 };
        let Answer::Versions { items, next } = client.call(history).unwrap() else { panic!() };
        assert_eq!((items[0].number, next), (2, Some(2)));
        let history = Command::History { reference: "lab/net".into(), before: next, limit: 5 };
        let Answer::Versions { items, next } = client.call(history).unwrap() else { panic!() };
        assert_eq!((items.len(), items[0].number, next), (1, 1, None));
    });
}

#[test]
fn a_draft_is_resumed_with_the_same_keys_and_a_commit_may_be_repeated() {
    suites::each(|| {
        let world = World::new(Mode::Solo);
        let put = Put::new("lab/net");
        let keys = {
            let keeper = world.open();
            let client = Client::new(&keeper, &world, None);
            let (_, opened) = client.begin(&put).unwrap();
            key_bytes(&opened, 2)
        };
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        let (begun, opened) = client.begin(&put).unwrap();
        assert_eq!(key_bytes(&opened, 2), keys);
        let record = put.record(&keeper, &begun).encode().unwrap();
        let once = client.commit_record(&put, record.clone()).unwrap();
        let again = client.commit_record(&put, record).unwrap();
        assert_eq!((once.version, once.receipt.entry), (again.version, again.receipt.entry));
        assert_eq!(code(client.begin(&put)), Code::Conflict);
        assert_eq!(code(client.commit(&put, &begun)), Code::Conflict);
    });
}

#[test]
fn a_record_that_does_not_match_its_draft_is_refused() {
    suites::each(|| {
        let world = World::new(Mode::Solo);
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        let put = Put::new("lab/net");
        let (begun, _) = client.begin(&put).unwrap();
        let good = put.record(&keeper, &begun);
        let edits: [&dyn Fn(&mut seal::record::VersionRecord); 8] = [
            &|record| record.vault[0] ^= 1,
            &|record| record.artifact[0] ^= 1,
            &|record| record.version[0] ^= 1,
            &|record| record.class = 0,
            &|record| record.environment = Some(2),
            &|record| record.object[0] ^= 1,
            &|record| record.packs[0].segments[0].object[0] ^= 1,
            &|record| record.packs[0].owner[0] ^= 1,
        ];
        for (at, edit) in edits.iter().enumerate() {
            let mut record = good.clone();
            edit(&mut record);
            let refused = client.commit_record(&put, record.encode().unwrap());
            assert!(refused.is_err(), "edit {at}");
        }
        let mut extended = good.encode().unwrap();
        extended.push(0);
        assert_eq!(code(client.commit_record(&put, extended)), Code::BadRequest);
        assert!(client.commit_record(&put, good.encode().unwrap()).is_ok());
    });
}

#[test]
fn packs_of_earlier_versions_are_shared_exactly_or_not_at_all() {
    suites::each(|| {
        let world = World::new(Mode::Solo);
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        let first = Put::new("lab/net");
        let (begun, _) = client.begin(&first).unwrap();
        let record = first.record(&keeper, &begun);
        client.commit_record(&first, record.encode().unwrap()).unwrap();

        let mut second = Put::new("lab/net");
        second.previous = Some(first.version);
        second.packs = record.packs.clone();
        let (begun, opened) = client.begin(&second).unwrap();
        let previous = begun.previous.as_ref().unwrap();
        assert_eq!(previous.record, record.encode().unwrap());
        let of_first = opened.keys.iter().filter(|key| key.version == *first.version.as_bytes()).count();
        assert_eq!((opened.keys.len(), of_first), (4, 2));

        let mut altered = second.record(&keeper, &begun);
        altered.packs[1].segments[0].digest[0] ^= 1;
        assert_eq!(code(client.commit_record(&second, altered.encode().unwrap())), Code::BadRequest);
        client.commit(&second, &begun).unwrap();

        // Another artifact may not name them.
        let mut third = Put::new("lab/other");
        third.packs = record.packs;
        assert_eq!(code(client.put(&third)), Code::BadRequest);
    });
}

#[test]
fn packs_of_another_class_or_environment_are_not_borrowed_whatever_the_client_sends() {
    suites::each(|| {
        let world = World::new(Mode::Solo);
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        let put = |class, environment| Put { environment, ..Put::new("lab/net").class(class) };
        let first = put(Class::Internal, Environment::Dev);
        let (begun, _) = client.begin(&first).unwrap();
        let packs = first.record(&keeper, &begun).packs;
        let record = VersionRecord { packs: packs.clone(), ..first.record(&keeper, &begun) };
        client.commit_record(&first, record.encode().unwrap()).unwrap();

        // It names the version before and its packs although it was not given their keys.
        let borrows = |put: Put, packs: &[Pack]| {
            let put = Put { previous: Some(first.version), packs: packs.to_vec(), ..put };
            let (begun, opened) = client.begin(&put).unwrap();
            let given = opened.keys.iter().any(|key| key.version == *first.version.as_bytes());
            assert_eq!(given, begun.previous.is_some());
            (given, client.commit(&put, &begun).map(|committed| committed.version.number))
        };
        let refused = |(given, commit): (bool, Result<u64, api::wire::Problem>)| {
            let problem = commit.unwrap_err();
            assert!(problem.code == Code::BadRequest && problem.why.contains("pack"), "{problem:?}");
            assert!(!given, "keys of packs that it may not name");
        };
        refused(borrows(put(Class::Internal, Environment::Staging), &packs));
        refused(borrows(put(Class::Internal, Environment::Prod), &packs));
        refused(borrows(put(Class::Confidential, Environment::Dev), &packs));
        let (given, shared) = borrows(put(Class::Internal, Environment::Dev), &packs);
        assert_eq!((given, shared.unwrap()), (true, 2), "what it may");

        // As packs of a version of the right class, which never had them.
        let third = put(Class::Confidential, Environment::Dev);
        client.put(&third).unwrap();
        let relabelled: Vec<Pack> =
            packs.iter().map(|pack| Pack { owner: *third.version.as_bytes(), ..pack.clone() }).collect();
        refused(borrows(put(Class::Confidential, Environment::Dev), &relabelled));
        refused(borrows(put(Class::Restricted, Environment::Dev), &packs));
        refused(borrows(put(Class::Restricted, Environment::Dev), &relabelled));
    });
}

#[test]
fn objects_belong_to_one_version() {
    suites::each(|| {
        let world = World::new(Mode::Solo);
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        let first = Put::new("lab/net");
        client.put(&first).unwrap();
        let second = Put { version: VersionId::from_bytes(crate::world::random()), ..first.clone() };
        assert_eq!(code(client.begin(&second)), Code::Conflict);
        let third = Put::new("lab/net");
        client.begin(&third).unwrap();
        let twice = vec![ObjectId::from_bytes([1; 16]); 2];
        let extend = Command::Extend { version: third.version, objects: twice };
        assert_eq!(code(client.call(extend)), Code::BadRequest);
        let stolen = Command::Extend { version: third.version, objects: first.objects.clone() };
        assert_eq!(code(client.call(stolen)), Code::Conflict);
        let more = Command::Extend { version: third.version, objects: vec![ObjectId::from_bytes([1; 16])] };
        assert!(client.call(more).is_ok());
    });
}

#[test]
fn a_version_being_written_has_a_bounded_number_of_objects() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let put = Put::new("lab/net");
    let (begun, _) = client.begin(&put).unwrap();
    // Twice the segments that a record can name, the two that were begun with among them; registered one by one this would take long.
    let many = format!(
        "INSERT INTO object WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 131069) \
         SELECT randomblob(16), x'{}', 0, 0, x'' FROM n",
        put.version
    );
    assert_eq!(world.tamper(&many), 131_069);
    let extend = |objects| client.call(Command::Extend { version: put.version, objects });
    let object = |byte| ObjectId::from_bytes([byte; 16]);
    extend(vec![object(1)]).unwrap();
    extend(vec![object(1)]).unwrap();
    let refused = extend(vec![object(2)]).unwrap_err();
    assert!(refused.code == Code::Conflict && refused.why.contains("131,072"), "{refused:?}");
    let again = Put { objects: vec![object(3)], ..put.clone() };
    assert_eq!(code(client.begin(&again)), Code::Conflict, "nor by taking it up again");
    world.tamper("DELETE FROM object WHERE mac = x''");
    client.commit(&put, &begun).unwrap();
}

#[test]
fn restricted_data_wants_a_reason_and_a_confirmation_in_solo() {
    suites::each(|| {
        let world = World::new(Mode::Solo);
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        client.put(&Put::new("lab/genome").class(Class::Restricted)).unwrap();
        let problem = client.release(Action::Export, "lab/genome").unwrap_err();
        assert_eq!(problem.code, Code::ConfirmationNeeded);
        assert!(problem.refusal.unwrap().confirmation_needed);
        let wrong = client.release_with(Action::Export, "lab/genome", Some("study 7"), Some("lab/other"));
        assert_eq!(code(wrong), Code::ConfirmationNeeded);
        let blank = client.release_with(Action::Export, "lab/genome", Some(" "), Some("lab/genome"));
        assert_eq!(code(blank), Code::ConfirmationNeeded);
        client.release_with(Action::Export, "lab/genome", Some("study 7"), Some("lab/genome")).unwrap();
    });
}

#[test]
fn a_class_is_kept_or_raised_but_not_lowered_by_a_put() {
    suites::each(|| {
        let world = World::new(Mode::Solo);
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
        let (begun, _) = client.begin(&Put::new("lab/net")).unwrap();
        assert_eq!((begun.class, begun.class_why.as_str()), (Class::Internal, "artifact"));
        assert_eq!(code(client.begin(&Put::new("lab/net").class(Class::Public))), Code::Conflict);
        let raised = client.put(&Put::new("lab/net").class(Class::Confidential)).unwrap();
        assert_eq!(raised.version.class, Class::Confidential);
    });
}

#[test]
fn aliases_move_and_reserved_names_are_refused() {
    suites::each(|| {
        let world = World::new(Mode::Solo);
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        let with = |alias: &str| Put { alias: Some(name(alias)), ..Put::new("lab/net") };
        let one = client.put(&with("prod")).unwrap();
        assert_eq!(one.version.aliases, ["prod"]);
        client.release(Action::Read, "lab/net@prod").unwrap();
        let two = client.put(&with("prod")).unwrap();
        assert_eq!(client.show("lab/net@prod").unwrap().id, two.version.id);
        // A release whose reference was cached follows the alias too.
        assert_eq!(client.release(Action::Read, "lab/net@prod").unwrap().0.version.number, 2);
        assert!(client.show("lab/net@v1").unwrap().aliases.is_empty());
        for reserved in ["latest", "v1"] {
            assert_eq!(code(client.put(&with(reserved))), Code::BadRequest);
        }
    });
}

#[test]
fn lineage_names_versions_that_the_writer_can_see() {
    suites::each(|| {
        let world = World::new(Mode::Solo);
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        let data = client.put(&Put::new("lab/data")).unwrap();
        let model = Put { from: vec!["lab/data@v1".into()], ..Put::new("lab/model") };
        assert_eq!(client.put(&model).unwrap().version.from, [data.version.id]);
        let ghost = Put { from: vec!["lab/ghost".into()], ..Put::new("lab/model") };
        assert_eq!(code(client.put(&ghost)), Code::NotFound);
    });
}
