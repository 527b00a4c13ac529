//! What each engine promises beyond the common suite, and which databases are refused.

use super::{Fixture, Outcome, Place, SCHEMA, file};
use keeper::datastore::{Datastore, Error, Lock, Snapshot, Transaction, postgres, sqlite};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use testkit::postgres::{Collation, Postgres};

const INSERT: &str = "INSERT INTO command (key, at) VALUES ($1, 1)";

fn folder(fixture: &Fixture) -> &tempfile::TempDir {
    match &fixture.place {
        Place::Sqlite { dir } => dir,
        Place::Postgres { .. } => panic!("not SQLite"),
    }
}

fn address(fixture: &Fixture) -> &str {
    match &fixture.place {
        Place::Postgres { address, .. } => address,
        Place::Sqlite { .. } => panic!("not PostgreSQL"),
    }
}

#[test]
fn the_sqlite_file_is_in_wal_mode_and_its_tables_are_strict() -> Outcome {
    let fixture = Fixture::sqlite();
    let other = rusqlite::Connection::open(file(folder(&fixture)))?;
    let mode: String = other.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    assert_eq!(mode, "wal");
    let sql =
        "SELECT COUNT(*) FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%' AND strict = 0";
    assert_eq!(other.query_row(sql, [], |row| row.get::<_, i64>(0))?, 0);
    Ok(())
}

#[test]
fn the_sqlite_files_are_their_owners_alone() -> Outcome {
    let fixture = Fixture::sqlite();
    fixture.store.write(|tx| tx.query(INSERT, &[b"a".into()]))?;
    let mut count = 0;
    for entry in std::fs::read_dir(folder(&fixture))? {
        let mode = entry?.metadata()?.permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        count += 1;
    }
    assert_eq!(count, 3, "the file, its log and its index");
    Ok(())
}

#[test]
fn what_a_transaction_keeps_aside_lies_in_memory() -> Outcome {
    let fixture = Fixture::sqlite();
    let sql = "SELECT CAST(temp_store AS BIGINT) FROM pragma_temp_store";
    assert_eq!(fixture.store.write(|tx| tx.query(sql, &[])?.one()?.integer(0))?, 2);
    assert_eq!(fixture.store.read(|tx| tx.query(sql, &[])?.one()?.integer(0))?, 2);
    Ok(())
}

#[test]
fn a_closed_sqlite_store_is_one_file() -> Outcome {
    let Fixture { store, place } = Fixture::sqlite();
    store.write(|tx| tx.query(INSERT, &[b"a".into()]))?;
    store.read(|tx| tx.query("SELECT key FROM command", &[]))?;
    drop(store);
    let Place::Sqlite { dir } = &place else { panic!("not SQLite") };
    assert_eq!(std::fs::read_dir(dir)?.count(), 1);
    Ok(())
}

#[test]
fn deleted_bytes_are_wiped_from_the_sqlite_file() -> Outcome {
    let fixture = Fixture::sqlite();
    let canary = b"a canary that must be gone after its deletion".repeat(3);
    fixture
        .store
        .write(|tx| tx.query("INSERT INTO command (key, answer, at) VALUES ($1, $1, 1)", &[(&canary).into()]))?;
    let dir = folder(&fixture);
    let holds = || -> Result<bool, std::io::Error> {
        Ok(std::fs::read(file(dir))?.windows(canary.len()).any(|window| window == canary))
    };
    let checkpoint = || -> Result<(), rusqlite::Error> {
        rusqlite::Connection::open(file(dir))?.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    };
    checkpoint()?;
    assert!(holds()?, "the test must be able to fail");
    fixture.store.write(|tx| tx.query("DELETE FROM command", &[]))?;
    checkpoint()?;
    assert!(!holds()?);
    Ok(())
}

#[test]
fn a_language_that_orders_text_is_refused() -> Outcome {
    let server = Postgres::shared()?;
    let address = server.database(Collation::Language)?;
    let refused = Datastore::postgres(&postgres::Options::new(&address));
    assert!(matches!(&refused, Err(Error::Unsupported(why)) if why.contains("locale")), "{refused:?}");
    Ok(())
}

#[test]
fn a_database_that_acknowledges_too_early_is_refused() -> Outcome {
    let server = Postgres::shared()?;
    let address = format!("{} options='-c synchronous_commit=off'", server.database(Collation::Bytes)?);
    let refused = Datastore::postgres(&postgres::Options::new(&address));
    assert!(matches!(&refused, Err(Error::Unsupported(why)) if why.contains("durable")), "{refused:?}");
    Ok(())
}

#[test]
fn an_unreachable_or_malformed_address_is_told_without_quoting_it() {
    let unreachable = Datastore::postgres(&postgres::Options::new("host=/nonexistent user=x password=hunter2"));
    let error = unreachable.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)) && error.is_temporary(), "{error:?}");
    let malformed = Datastore::postgres(&postgres::Options::new("host=/x user=y pass word=hunter2"));
    let error = malformed.unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)), "{error:?}");
    let options = postgres::Options::new("host=/x password=hunter2");
    assert!(!format!("{error} {error:?} {options:?}").contains("hunter2"));
}

#[test]
fn rows_that_others_hold_too_long_are_busy() -> Outcome {
    let fixture = Fixture::postgres();
    fixture.store.write(|tx| tx.query(INSERT, &[b"a".into()]))?;
    let hasty = postgres::Options { busy: Duration::from_millis(50), ..postgres::Options::new(address(&fixture)) };
    let hasty = Datastore::postgres(&hasty)?;
    let lock = "SELECT key FROM command ORDER BY key";
    fixture.store.write(|tx| {
        tx.lock(Lock::Exclusive, lock, &[])?;
        // Another thread, because transactions do not nest.
        let other = || hasty.write(|tx| tx.lock(Lock::Shared, lock, &[]));
        let refused = std::thread::scope(|scope| scope.spawn(other).join().unwrap());
        assert_eq!(refused, Err(Error::Busy));
        Ok::<_, Error>(())
    })?;
    assert_eq!(hasty.write(|tx| tx.lock(Lock::Shared, lock, &[]))?.len(), 1);
    Ok(())
}

#[test]
fn a_call_that_misses_its_deadline_is_given_up_and_the_store_goes_on() -> Outcome {
    let fixture = Fixture::postgres();
    let options =
        postgres::Options { deadline: Duration::from_millis(400), ..postgres::Options::new(address(&fixture)) };
    let store = Datastore::postgres(&options)?;
    let late = store.write(|tx| {
        tx.query(INSERT, &[b"a".into()])?;
        tx.query("SELECT CAST(pg_sleep(60) AS TEXT)", &[])
    });
    assert!(matches!(late, Err(Error::Unavailable(_))), "{late:?}");
    assert_eq!(fixture.store.read(|tx| tx.query("SELECT key FROM command", &[]))?.len(), 0);
    store.write(|tx| tx.query("SELECT 1", &[]))?;
    Ok(())
}

#[test]
fn a_commit_without_an_answer_is_an_unknown_outcome() -> Outcome {
    let server = Postgres::start(&["synchronous_standby_names=nobody"])?;
    let address = server.database(Collation::Bytes)?;
    let patient = postgres::Options::new(&format!("{address} options='-c synchronous_commit=local'"));
    Datastore::postgres(&patient)?.migrate(SCHEMA)?;
    let hung = postgres::Options { deadline: Duration::from_millis(400), ..postgres::Options::new(&address) };
    let hung = Datastore::postgres(&hung)?;
    let unknown = hung.write(|tx| tx.query(INSERT, &[b"a".into()])).unwrap_err();
    assert!(matches!(unknown, Error::OutcomeUnknown(_)) && !unknown.is_temporary(), "{unknown:?}");
    Ok(())
}

#[test]
fn connections_that_died_while_idle_are_replaced() -> Outcome {
    let fixture = Fixture::postgres();
    fixture.store.write(|tx| tx.query(INSERT, &[b"a".into()]))?;
    let kill = "SELECT CAST(COUNT(pg_terminate_backend(pid)) AS BIGINT) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let killed = fixture.place.open().write(|tx| tx.query(kill, &[])?.one()?.integer(0))?;
    assert!(killed > 0);
    fixture.store.write(|tx| tx.query(INSERT, &[b"b".into()]))?;
    assert_eq!(fixture.store.read(|tx| tx.query("SELECT key FROM command", &[]))?.len(), 2);
    Ok(())
}

#[test]
fn a_server_that_is_gone_is_unavailable() -> Outcome {
    let mut server = Postgres::start(&[])?;
    let store = Datastore::postgres(&postgres::Options::new(&server.database(Collation::Bytes)?))?;
    store.migrate(SCHEMA)?;
    server.crash();
    let refused = store.write(|tx| tx.query(INSERT, &[b"a".into()])).unwrap_err();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");
    Ok(())
}

#[test]
fn callers_wait_for_a_connection_and_no_longer_than_the_deadline() -> Outcome {
    let fixture = Fixture::postgres();
    let options = postgres::Options::new(address(&fixture));
    let one = Datastore::postgres(&postgres::Options { connections: 1, ..options.clone() })?;
    let hasty = postgres::Options { connections: 1, deadline: Duration::from_millis(300), ..options };
    let hasty = Datastore::postgres(&hasty)?;
    let (inside, told) = mpsc::channel();
    let hold = |store: &Datastore, other: &dyn Fn() -> Result<(), Error>| {
        store.read(|_| {
            let _ = inside.send(());
            other()
        })
    };
    // The one connection is lent out: the second caller is busy when the deadline has passed.
    let second = |store: &Datastore| store.read(|tx| tx.query("SELECT 1", &[])).map(|_| ());
    let refused = hold(&hasty, &|| std::thread::scope(|scope| scope.spawn(|| second(&hasty)).join().unwrap()));
    assert_eq!(refused, Err(Error::Busy));
    told.recv()?;
    // Given time, both are served.
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..6).map(|_| scope.spawn(|| second(&one))).collect();
        running.into_iter().try_for_each(|thread| thread.join().unwrap())
    })?;
    Ok(())
}

#[test]
fn many_callers_share_commits() -> Outcome {
    let fixture = Fixture::sqlite();
    let store = &fixture.store;
    std::thread::scope(|scope| {
        let work = |thread: u8| {
            scope.spawn(move || {
                (0..50_u8).try_for_each(|n| store.write(|tx| tx.query(INSERT, &[(&[thread, n]).into()])).map(|_| ()))
            })
        };
        let running: Vec<_> = (0..16).map(work).collect();
        running.into_iter().try_for_each(|thread| thread.join().unwrap())
    })?;
    assert_eq!(store.read(|tx| tx.query("SELECT key FROM command", &[]))?.len(), 800);
    Ok(())
}

#[test]
fn a_second_writer_in_the_same_process_is_busy_after_its_wait() -> Outcome {
    let fixture = Fixture::sqlite();
    let options = sqlite::Options { busy: Duration::from_millis(20), ..sqlite::Options::default() };
    let other = Datastore::sqlite(&file(folder(&fixture)), &options)?;
    fixture.store.write(|_| {
        let refused = || other.write(|tx| tx.query(INSERT, &[b"b".into()]));
        let refused = std::thread::scope(|scope| scope.spawn(refused).join().unwrap());
        assert_eq!(refused, Err(Error::Busy));
        Ok::<_, Error>(())
    })?;
    other.write(|tx| tx.query(INSERT, &[b"b".into()]))?;
    Ok(())
}

/// The bytes of a snapshot as a database of its own: that it holds together, its keys, and the sum of their times.
fn opened(snapshot: &mut Snapshot, dir: &tempfile::TempDir) -> Result<(i64, i64), Box<dyn std::error::Error>> {
    let path = dir.path().join("opened.db");
    let mut file = std::fs::File::create(&path)?;
    assert_eq!(std::io::copy(&mut snapshot.bytes, &mut file)?, snapshot.len);
    let db = rusqlite::Connection::open(&path)?;
    let told: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    assert_eq!(told, "ok");
    let sql = "SELECT COUNT(*), COALESCE(SUM(at), 0) FROM command";
    Ok(db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

fn summed(tx: &mut dyn Transaction) -> Result<(i64, i64), Error> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT), CAST(COALESCE(SUM(at), 0) AS BIGINT) FROM command";
    let row = tx.query(sql, &[])?.one()?;
    Ok((row.integer(0)?, row.integer(1)?))
}

/// Rows of which some are more than a page, so that the log soon has more than SQLite folds in by itself.
fn fill(store: &Datastore, from: u32, count: u32) -> Result<(), Error> {
    store.write(|tx| {
        for n in from..from + count {
            let (key, answer) = (n.to_be_bytes(), vec![7_u8; 6_000]);
            let values = [(&key).into(), (&answer).into(), i64::from(n).into()];
            tx.query("INSERT INTO command (key, answer, at) VALUES ($1, $2, $3)", &values)?;
        }
        Ok(())
    })
}

#[test]
fn a_snapshot_is_the_sqlite_file_itself_and_stays_what_it_was() -> Outcome {
    let fixture = Fixture::sqlite();
    // Nothing can be copied there.
    let room = folder(&fixture).path().join("nowhere").join("room");
    fill(&fixture.store, 0, 10)?;
    let (then, mut snapshot) = fixture.store.snapshot(&room, summed)?;
    for round in 1..20 {
        fill(&fixture.store, round * 100, 100)?;
        fixture.store.write(|tx| tx.query("DELETE FROM command WHERE at < 5", &[]))?;
    }
    // Nor can anybody fold into the file what was written since.
    assert_eq!(fixture.store.scrub(), Err(Error::Busy));
    let dir = tempfile::tempdir()?;
    assert_eq!(opened(&mut snapshot, &dir)?, then);
    assert_eq!(then.0, 10);
    drop(snapshot);
    fixture.store.scrub()?;
    let (now, mut snapshot) = fixture.store.snapshot(&room, summed)?;
    assert_eq!((opened(&mut snapshot, &dir)?, now.0), (now, 1_905));
    Ok(())
}

#[test]
fn a_snapshot_is_a_copy_while_somebody_reads_from_the_log() -> Outcome {
    let fixture = Fixture::sqlite();
    let dir = folder(&fixture).path();
    let busy = sqlite::Options { busy: Duration::from_millis(50), ..sqlite::Options::default() };
    let store = Datastore::sqlite(&file(folder(&fixture)), &busy)?;
    fill(&store, 0, 10)?;
    let other = fixture.place.open();
    other.read(|tx| -> Outcome {
        let then = summed(tx)?;
        fill_elsewhere(&store, 100)?;
        let nowhere = dir.join("nowhere").join("room");
        let (refused, copied) = std::thread::scope(|scope| {
            let taken = scope.spawn(|| {
                let copied = store
                    .snapshot(&dir.join("room"), summed)
                    .map(|(now, mut snapshot)| (now, opened(&mut snapshot, &tempfile::tempdir().unwrap()).unwrap()));
                (store.snapshot(&nowhere, summed).map(|(now, _)| now), copied)
            });
            taken.join().unwrap()
        });
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
        let (now, found) = copied?;
        assert_eq!((now, found.0), (found, 110));
        assert_eq!(summed(tx)?, then);
        Ok(())
    })?;
    assert!(!dir.join("room").exists());
    Ok(())
}

fn fill_elsewhere(store: &Datastore, from: u32) -> Result<(), Error> {
    std::thread::scope(|scope| scope.spawn(|| fill(store, from, 100)).join().unwrap())
}

#[test]
fn snapshots_hold_together_while_this_program_and_another_write() -> Outcome {
    let fixture = Fixture::sqlite();
    let busy = sqlite::Options { busy: Duration::from_millis(20), ..sqlite::Options::default() };
    let (store, other) = (fixture.place.open(), Datastore::sqlite(&file(folder(&fixture)), &busy)?);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| -> Outcome {
        let writing = scope.spawn(|| {
            for round in 0..100_000 {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                fill(&store, round * 10, 10).unwrap();
                store.write(|tx| tx.query("DELETE FROM command WHERE at > 400 AND at < 900000", &[])).unwrap();
            }
        });
        let dir = tempfile::tempdir()?;
        let (room, nowhere) = (dir.path().join("room"), dir.path().join("nowhere").join("room"));
        let mut files = 0;
        for round in 0..20 {
            let (then, mut snapshot) = match store.snapshot(&nowhere, summed) {
                Err(Error::Unavailable(_)) => store.snapshot(&room, summed)?,
                itself => itself.inspect(|_| files += 1)?,
            };
            // What another program writes then, and would fold into the file.
            let _ = fill(&other, 1_000_000 + round * 10, 10);
            let _ = other.scrub();
            assert_eq!(opened(&mut snapshot, &dir)?, then);
        }
        stop.store(true, Ordering::Relaxed);
        writing.join().unwrap();
        println!("{files} of 20 were the file itself");
        Ok(())
    })
}

#[test]
fn a_snapshot_of_a_linked_file_looks_at_the_log_beside_the_file() -> Outcome {
    let (fixture, dir) = (Fixture::sqlite(), tempfile::tempdir()?);
    let link = dir.path().join("link.db");
    std::os::unix::fs::symlink(file(folder(&fixture)), &link)?;
    // What would be its log, were the link not followed.
    std::fs::write(dir.path().join("link.db-wal"), b"something")?;
    let store = Datastore::sqlite(&link, &sqlite::Options::default())?;
    fill(&store, 0, 10)?;
    let (then, mut snapshot) = store.snapshot(&dir.path().join("nowhere").join("room"), summed)?;
    fill(&store, 100, 10)?;
    assert_eq!((opened(&mut snapshot, &dir)?, then.0), (then, 10));
    Ok(())
}

#[test]
fn a_snapshot_of_a_server_is_refused() {
    let fixture = Fixture::postgres();
    let refused = fixture.store.snapshot(std::path::Path::new("room"), summed).map(|(now, _)| now);
    assert!(matches!(refused, Err(Error::Unsupported(_))), "{refused:?}");
}
