//! A vault with a large catalog: some artifacts are put through the whole path, rows of others are copied beside them.

use super::world::{Client, Put, World};

/// Versions of each copied artifact.
pub const VERSIONS: i64 = 10;

/// The artifacts that are asked for: a hundred before, between and behind the copies.
pub fn put(world: &World) {
    let keeper = world.open();
    let client = Client::new(&keeper, world, None);
    for group in ["a", "m", "z"] {
        for n in 0..100 {
            let mut previous = None;
            for _ in 0..3 {
                let put = Put { previous, ..Put::new(&format!("lab/{group}-{n:03}")) };
                previous = Some(put.version);
                client.put(&put).unwrap();
            }
        }
    }
    drop(client);
    keeper.close().unwrap();
}

/// Copies rows until there are `to` artifacts more than were put.
pub fn fill(world: &World, from: usize, to: usize) {
    let mut db = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
    db.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -2000000; PRAGMA temp_store = MEMORY").unwrap();
    let tx = db.transaction().unwrap();
    let blob = |sql: &str| tx.query_row(sql, [], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let model = blob("SELECT id FROM artifact WHERE name = 'm-050'");
    let first = blob(&format!("SELECT id FROM version WHERE artifact = X'{}' AND number = 1", hex::encode(&model)));
    let (model, first) = (hex::encode(model), hex::encode(first));
    {
        let copying = |into: &str, values: &str, from: &str| {
            tx.prepare(&format!("INSERT INTO {into} SELECT {values} FROM {from}")).unwrap()
        };
        let mut artifact = copying(
            "artifact (id, workspace, name, latest, body, salt, ticket, mac)",
            "?1, workspace, ?2, ?3, body, salt, ticket, mac",
            &format!("artifact WHERE id = X'{model}'"),
        );
        let mut version = copying(
            "version (id, artifact, number, body, salt, ticket, mac)",
            "?1, ?2, ?3, body, salt, ticket, mac",
            &format!("version WHERE id = X'{first}'"),
        );
        let mut wrap = copying(
            "wrap (id, wrapped, under, version, body, salt, ticket, mac)",
            "?1, ?2, under, ?3, body, salt, ticket, mac",
            &format!("wrap WHERE version = X'{first}'"),
        );
        let mut record = copying("record (version, bytes)", "?1, bytes", &format!("record WHERE version = X'{first}'"));
        for n in from..to {
            let id = drawn();
            assert_eq!(artifact.execute((&id, format!("n-{n:07}"), VERSIONS)).unwrap(), 1);
            for number in 1..=VERSIONS {
                let of = drawn();
                assert_eq!(version.execute((&of, &id, number)).unwrap(), 1);
                assert_eq!(wrap.execute((&drawn(), &drawn(), &of)).unwrap(), 1);
                assert_eq!(record.execute([&of]).unwrap(), 1);
            }
        }
    }
    tx.commit().unwrap();
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
}

fn drawn() -> [u8; 16] {
    *keeper::vault::draw_id().unwrap().as_bytes()
}
