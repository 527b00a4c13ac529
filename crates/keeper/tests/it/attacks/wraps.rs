//! Wraps in places that are not theirs: of another version, class, key or vault, and of before a rotation.

use super::{outcome, put_one};
use crate::incidents::compromise;
use crate::world::{Client, Put, World, code};
use api::terms::{Action, Class, Code, KeyId, Mode};
use api::wire::{Answer, Command, KeyRotate};
use testkit::suites;

/// A row of the wraps: its identity, and what the keeper wrote of it.
type WrapRow = (Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, i64, Vec<u8>);

const WRAP: &str = "id, wrapped, under, body, salt, ticket, mac";

fn wrap_rows(world: &World, condition: &str) -> Vec<WrapRow> {
    let db = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
    let mut rows = db.prepare(&format!("SELECT {WRAP} FROM wrap WHERE {condition} ORDER BY id")).unwrap();
    let rows = rows.query_map([], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// The wraps of the keys of an artifact's versions.
fn wraps_of(world: &World, artifact: &str) -> Vec<WrapRow> {
    let versions =
        format!("SELECT id FROM version WHERE artifact = (SELECT id FROM artifact WHERE name = '{artifact}')");
    wrap_rows(world, &format!("version IN ({versions})"))
}

/// Writes a wrap over another one: also in whose name it stands, or only what is sealed in it.
fn write_over(world: &World, target: &WrapRow, source: &WrapRow, with_names: bool) {
    let db = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
    let (_, wrapped, under, body, salt, ticket, mac) = source;
    let (wrapped, under) = if with_names { (wrapped, under) } else { (&target.1, &target.2) };
    let sql = "UPDATE wrap SET wrapped = ?2, under = ?3, body = ?4, salt = ?5, ticket = ?6, mac = ?7 WHERE id = ?1";
    let changed = db.execute(sql, rusqlite::params![target.0, wrapped, under, body, salt, ticket, mac]).unwrap();
    assert_eq!(changed, 1);
}

#[test]
fn a_wrap_opens_nothing_in_the_place_of_another_version_class_key_or_vault() {
    suites::each(|| {
        let (world, other) = (World::new(Mode::Solo), World::new(Mode::Solo));
        for world in [&world, &other] {
            let keeper = world.open();
            let client = Client::new(&keeper, world, None);
            for put in [Put::new("lab/net"), Put::new("lab/beside"), Put::new("lab/open").class(Class::Public)] {
                client.put(&put).unwrap();
            }
            client.put(&Put::new("lab/twice")).unwrap();
            client.put(&Put::new("lab/twice")).unwrap();
        }
        let net = wraps_of(&world, "net").remove(0);
        let mut sources = [wraps_of(&world, "beside"), wraps_of(&world, "twice"), wraps_of(&world, "open")].concat();
        sources.extend(wraps_of(&other, "net"));
        // Of the domain's own key, too.
        sources.extend(wrap_rows(&world, "json_extract(body, '$.kind') = 'domain'"));
        assert!(sources.len() >= 6, "{}", sources.len());
        outcome(&world).unwrap();
        for (source, with_names) in sources.iter().flat_map(|source| [(source, false), (source, true)]) {
            write_over(&world, &net, source, with_names);
            let refused = outcome(&world).unwrap_err();
            assert!(matches!(refused.code, Code::BadSignature | Code::Integrity), "{refused}");
            write_over(&world, &net, &net, true);
            outcome(&world).unwrap();
        }
    });
}

#[test]
fn an_old_wrap_that_is_put_back_after_a_rotation_brings_no_key_back() {
    let world = World::new(Mode::Solo);
    put_one(&world, Class::Internal);
    let old = wraps_of(&world, "net");
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.call(Command::KeyRotate(KeyRotate::default())).unwrap();
    drop(client);
    keeper.close().unwrap();
    let new = wraps_of(&world, "net");
    assert_ne!(old[0].2, new[0].2, "it lies under another key");
    assert_eq!(world.tamper("DELETE FROM wrap WHERE version IS NOT NULL"), 1);
    let db = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
    let (id, wrapped, under, body, salt, ticket, mac) = &old[0];
    let version = "(SELECT id FROM version)";
    let sql = format!("INSERT INTO wrap (version, {WRAP}) VALUES ({version}, ?1, ?2, ?3, ?4, ?5, ?6, ?7)");
    assert_eq!(db.execute(&sql, rusqlite::params![id, wrapped, under, body, salt, ticket, mac]).unwrap(), 1);
    drop(db);
    // It wraps the key that is there anyway.
    outcome(&world).unwrap();
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    match client.call(Command::StateVerify).unwrap() {
        Answer::StateVerified(verified) => assert!(!verified.ok, "it is not the state that the log tells of"),
        other => panic!("{other:?}"),
    }
    // Nor does it open by way of a key that was shut since.
    let under = KeyId::from_bytes(old[0].2.clone().try_into().unwrap());
    compromise(&client, under).unwrap();
    assert_eq!(code(client.release(Action::Read, "lab/net")), Code::Gone);
}
