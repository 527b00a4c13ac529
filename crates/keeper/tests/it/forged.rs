//! Who can write the database and the log's folder makes them agree with each other: only the signed head does not go along.

use super::collect::{Exchanged, copied};
use crate::world::{Client, Put, World, code};
use api::terms::{Action, Class, Code, Mode};
use api::wire::{Answer, AuditFilter, AuditItem, Command};
use keeper::Keeper;
use keeper::datastore::Datastore;
use keeper::vault::OpenOptions;
use log::tile::{self, Level, Tile, WIDTH};
use log::tree;
use rusqlite::{Connection, params};
use std::time::{Duration, Instant};

/// A row of the table of entries: ticket, position, id, body, leaf, MAC, index.
type Row = (i64, i64, Vec<u8>, Vec<u8>, Option<Vec<u8>>, Vec<u8>, Option<i64>);

fn database(world: &World) -> Connection {
    let db = Connection::open(world.dir().join("keeper.db")).unwrap();
    db.busy_timeout(Duration::from_secs(10)).unwrap();
    db
}

fn rows(db: &Connection, condition: &str) -> Vec<Row> {
    let sql = format!("SELECT ticket, position, id, body, leaf, mac, idx FROM entry WHERE {condition}");
    let row = |r: &rusqlite::Row<'_>| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?, r.get(6)?));
    db.prepare(&sql).unwrap().query_map([], row).unwrap().map(Result::unwrap).collect()
}

/// Gives the one waiting entry the place of the newest one in the tree, its leaf included; the row that stood there.
fn planted(db: &Connection) -> (Row, Row) {
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = rows(db, "idx IS NULL").pop().unwrap();
    let newest = rows(db, "idx IS NOT NULL ORDER BY idx").pop().unwrap();
    db.execute("DELETE FROM entry WHERE idx = ?1", [newest.6]).unwrap();
    let leaf = tree::leaf(&waiting.3);
    let moved = "UPDATE entry SET idx = ?1, leaf = ?2 WHERE idx IS NULL";
    assert_eq!(db.execute(moved, params![newest.6, leaf.as_bytes()]).unwrap(), 1);
    db.execute_batch("COMMIT").unwrap();
    (waiting, newest)
}

fn query(client: &Client<'_>, act: &str) -> Result<Vec<AuditItem>, api::wire::Problem> {
    let filter = AuditFilter { act: Some(act.into()), limit: 1000, ..AuditFilter::default() };
    match client.call(Command::Audit(filter))? {
        Answer::Audit(page) => Ok(page.items),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_release_planted_in_the_place_of_another_entry_is_missed() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net")).unwrap();
    client.release(Action::Read, "lab/net").unwrap();
    let (waiting, newest) = planted(&database(&world));
    assert!(waiting.6.is_none() && newest.6.is_some());
    drop(client);
    // Nothing waits, and the release's row says that it is in the tree: the tree says otherwise.
    assert_eq!(keeper.close().unwrap_err().code, Code::Integrity);
}

#[test]
fn no_restricted_key_leaves_for_an_entry_that_was_planted() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/genome").class(Class::Restricted)).unwrap();
    // The release has committed its entry and waits for the log's lock meanwhile.
    let lock = std::fs::File::open(world.dir().join("log/lock")).unwrap();
    lock.lock().unwrap();
    let refused = std::thread::scope(|scope| {
        let released =
            scope.spawn(|| client.release_with(Action::Read, "lab/genome", Some("a test"), Some("lab/genome")));
        let (db, since) = (database(&world), Instant::now());
        while rows(&db, "idx IS NULL").is_empty() {
            assert!(since.elapsed() < Duration::from_secs(8), "the release wrote no entry");
            std::thread::yield_now();
        }
        planted(&db);
        lock.unlock().unwrap();
        released.join().unwrap().map(|_| ())
    });
    assert_eq!(code(refused), Code::Integrity);
}

#[test]
fn no_restricted_key_leaves_for_an_entry_that_is_hidden_from_one_look() {
    let mut refused = 0;
    for count in 0.. {
        let world = World::new(Mode::Solo);
        {
            let keeper = world.open();
            Client::new(&keeper, &world, None).put(&Put::new("lab/genome").class(Class::Restricted)).unwrap();
            keeper.close().unwrap();
        }
        let exchanged = Exchanged::new(&world, &copied(&world, "without"));
        let store = Some(Datastore::new(exchanged.clone()));
        let keeper = Keeper::open(&OpenOptions { store, ..world.options() }).unwrap();
        let client = Client::new(&keeper, &world, None);
        exchanged.once_after(count);
        match client.release_with(Action::Read, "lab/genome", Some("a test"), Some("lab/genome")) {
            Err(_) => refused += 1,
            Ok((released, _)) => {
                let checkpoint = std::fs::read_to_string(world.dir().join("log/checkpoint")).unwrap();
                let size: u64 = checkpoint.lines().nth(1).unwrap().parse().unwrap();
                let index = released.receipt.log_index;
                assert!(index.is_some_and(|index| index < size), "hidden from {count}: {index:?} of {size}");
                if !exchanged.happened() {
                    break;
                }
            }
        }
    }
    assert!(refused > 0, "no look that mattered");
}

#[test]
fn an_altered_entry_of_the_tail_with_a_leaf_to_match_is_not_shown() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let put = client.put(&Put::new("lab/net")).unwrap();
    assert_eq!(query(&client, "version.commit").unwrap().len(), 1);
    let db = database(&world);
    for (ticket, position, _, body, ..) in rows(&db, "idx IS NOT NULL") {
        let body = String::from_utf8(body).unwrap().replace("\"class\":\"confidential\"", "\"class\":\"public\"");
        let leaf = tree::leaf(body.as_bytes());
        let sql = "UPDATE entry SET body = ?1, leaf = ?2 WHERE ticket = ?3 AND position = ?4";
        db.execute(sql, params![body.as_bytes(), leaf.as_bytes(), ticket, position]).unwrap();
    }
    let show = |entry: String| client.call(Command::AuditShow { entry });
    assert_eq!(code(query(&client, "version.commit")), Code::Integrity);
    assert_eq!(code(show(put.receipt.entry.to_string())), Code::Integrity);
    assert_eq!(code(show(put.receipt.log_index.unwrap().to_string())), Code::Integrity);
    assert_eq!(code(client.call(Command::DecisionsReplay)), Code::Integrity);
}

#[test]
fn entries_of_the_tail_that_changed_places_are_not_shown() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let (one, two) = (client.put(&Put::new("lab/a")).unwrap(), client.put(&Put::new("lab/b")).unwrap());
    let (one, two) = (one.receipt.log_index.unwrap(), two.receipt.log_index.unwrap());
    let show = |index: u64| client.call(Command::AuditShow { entry: index.to_string() });
    show(one).unwrap();
    // Each row stays whole, with its MAC; only where they stand is exchanged, with or without the leaves.
    for columns in ["idx", "idx leaf"] {
        let db = database(&world);
        let (a, b) = (rows(&db, &format!("idx = {one}")).remove(0), rows(&db, &format!("idx = {two}")).remove(0));
        db.execute_batch("BEGIN IMMEDIATE").unwrap();
        let place = |row: &Row, idx: Option<i64>, leaf: &Option<Vec<u8>>| {
            let sql = "UPDATE entry SET idx = ?1, leaf = ?2 WHERE ticket = ?3 AND position = ?4";
            assert_eq!(db.execute(sql, params![idx, leaf, row.0, row.1]).unwrap(), 1);
        };
        let leaves = if columns == "idx" { (&b.4, &a.4) } else { (&a.4, &b.4) };
        place(&a, None, &None);
        place(&b, a.6, leaves.1);
        place(&a, b.6, leaves.0);
        db.execute_batch("COMMIT").unwrap();
        assert_eq!(code(show(one)), Code::Integrity, "{columns}");
        assert_eq!(code(show(two)), Code::Integrity, "{columns}");
        place(&a, None, &None);
        place(&b, b.6, &b.4);
        place(&a, a.6, &a.4);
        show(one).unwrap();
    }
}

#[test]
fn an_altered_bundle_with_a_tile_to_match_is_not_shown() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let put = client.put(&Put::new("lab/net")).unwrap();
    // Enough for several full bundles, so that some proofs pass through upper tiles.
    for _ in 0..3 * WIDTH {
        client.release(Action::Read, "lab/net").unwrap();
    }
    client.put(&Put::new("lab/other")).unwrap();
    let show = || client.call(Command::AuditShow { entry: put.receipt.entry.to_string() });
    show().unwrap();
    let first = |level| world.dir().join("log").join(Tile { level, index: 0, width: WIDTH }.path());
    let (bundle, hashes) = (first(Level::Entries), first(Level::Hashes(0)));
    let whole = std::fs::read(&bundle).unwrap();
    let (mut forged, mut leaves) = (Vec::new(), Vec::new());
    for entry in tile::entries(&whole, WIDTH).unwrap() {
        let text = std::str::from_utf8(entry).unwrap();
        let text = text.replace("\"class\":\"confidential\"", "\"class\":\"public\"");
        tile::push_entry(&mut forged, text.as_bytes()).unwrap();
        leaves.push(tree::leaf(text.as_bytes()));
    }
    assert_ne!(forged, whole);
    std::fs::write(&bundle, &forged).unwrap();
    std::fs::write(&hashes, tile::to_bytes(&leaves)).unwrap();
    assert_eq!(code(show()), Code::Integrity);
    assert_eq!(code(query(&client, "version.commit")), Code::Integrity);
    assert_eq!(code(client.call(Command::DecisionsReplay)), Code::Integrity);
}
