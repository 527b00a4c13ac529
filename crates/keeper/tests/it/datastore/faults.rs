//! Full and read-only disks, other processes, death in the middle, damaged files: clear errors, nothing lost.
//!
//! Tests that need another process or a file system of their own start this binary again with `STAGE` set.

use super::{Fixture, Outcome, Place, SCHEMA, file};
use keeper::datastore::probe::probe;
use keeper::datastore::{Datastore, Error, Fault, sqlite};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const STAGE: &str = "STRONGROOM_TEST_STAGE";
const INSERT: &str = "INSERT INTO command (key, answer, at) VALUES ($1, $2, $3)";

fn put(store: &Datastore, key: i64, len: usize) -> Result<(), Error> {
    let answer = vec![7; len];
    store.write(|tx| tx.query(INSERT, &[(&key.to_be_bytes()).into(), (&answer).into(), key.into()])).map(|_| ())
}

fn keys(store: &Datastore) -> Result<BTreeSet<i64>, Error> {
    let rows = store.read(|tx| tx.query("SELECT at FROM command", &[]))?;
    rows.iter().map(|row| row.integer(0)).collect()
}

fn stage() -> Option<PathBuf> {
    std::env::var_os(STAGE).map(PathBuf::from)
}

/// This test again, in another process, on the folder `dir`.
fn again(test: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("datastore::faults::{test}"), "--nocapture"]).env(STAGE, dir);
    command
}

/// This test again, alone in a file system of 1 MiB at `dir`, which is gone afterwards.
fn confined(test: &str, dir: &Path, finish: &str) -> Outcome {
    let exe = std::env::current_exe()?;
    let script = format!(
        "mount -t tmpfs -o size=1m tmpfs '{}' && {finish} exec '{}' --exact datastore::faults::{test} --nocapture",
        dir.display(),
        exe.display()
    );
    let namespace = if rustix::process::geteuid().is_root() { "--mount" } else { "--map-root-user" };
    let output = Command::new("unshare").args(["--mount", namespace, "sh", "-c", &script]).env(STAGE, dir).output()?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "needs `unshare` and `mount`:\n{out}{err}");
    Ok(())
}

/// Until the store says no.
fn fill(store: &Datastore, from: i64) -> Result<(i64, Error), Error> {
    for key in from..from + 100_000 {
        if let Err(error) = put(store, key, 3000) {
            return Ok((key, error));
        }
    }
    panic!("the disk never filled");
}

#[test]
fn a_full_disk_is_told_and_loses_nothing() -> Outcome {
    let Some(dir) = stage() else {
        return confined("a_full_disk_is_told_and_loses_nothing", tempfile::tempdir()?.path(), "");
    };
    let open = || Datastore::sqlite(&dir.join("store.db"), &sqlite::Options::default());
    let store = open()?;
    store.migrate(SCHEMA)?;
    let (first, error) = fill(&store, 0)?;
    assert_eq!((&error, error.fault(), error.is_temporary()), (&Error::Full, Fault::Environment, true));
    assert!(first > 10);
    assert_eq!(keys(&store)?, (0..first).collect());
    drop(store);
    let store = open()?;
    assert_eq!(keys(&store)?, (0..first).collect(), "everything acknowledged is there after reopening");
    assert!(matches!(probe(&dir), Err(Error::Full | Error::Unavailable(_))) || fill(&store, first)?.1 == Error::Full);
    Ok(())
}

#[test]
fn a_read_only_disk_is_told() -> Outcome {
    let Some(dir) = stage() else {
        let dir = tempfile::tempdir()?;
        let finish = format!("mount -o remount,ro '{}' &&", dir.path().display());
        return confined("a_read_only_disk_is_told", dir.path(), &finish);
    };
    assert_eq!(probe(&dir), Err(Error::ReadOnly));
    let refused = Datastore::sqlite(&dir.join("store.db"), &sqlite::Options::default());
    assert!(matches!(refused, Err(Error::ReadOnly | Error::Unavailable(_))), "{refused:?}");
    Ok(())
}

#[test]
fn a_full_quota_fails_the_large_and_spares_its_neighbours() -> Outcome {
    let dir = tempfile::tempdir()?;
    let options = sqlite::Options { max_pages: Some(200), ..sqlite::Options::default() };
    let store = Datastore::sqlite(&file(&dir), &options)?;
    store.migrate(SCHEMA)?;
    let large = 2 << 20;
    std::thread::scope(|scope| -> Outcome {
        let store = &store;
        let greedy = scope.spawn(move || (0..20).map(|n| put(store, 1_000_000 + n, large)).collect::<Vec<_>>());
        let modest = |thread: i64| scope.spawn(move || (0..20).try_for_each(|n| put(store, thread * 100 + n, 10)));
        let modest: Vec<_> = (0..6).map(modest).collect();
        for thread in modest {
            thread.join().unwrap()?;
        }
        assert!(greedy.join().unwrap().iter().all(|result| *result == Err(Error::Full)));
        Ok(())
    })?;
    assert_eq!(keys(&store)?.len(), 120);
    // And the store goes on: what is deleted makes room.
    let (_, error) = fill(&store, 5_000)?;
    assert_eq!(error, Error::Full);
    store.write(|tx| tx.query("DELETE FROM command WHERE at >= $1", &[5_000.into()]))?;
    put(&store, 6_000, 100_000)?;
    Ok(())
}

#[test]
fn two_processes_share_one_database() -> Outcome {
    if let Some(dir) = stage() {
        let store = Datastore::sqlite(&file_in(&dir), &sqlite::Options::default())?;
        return Ok((1000..1100).try_for_each(|key| put(&store, key, 100))?);
    }
    let fixture = Fixture::sqlite();
    let Place::Sqlite { dir } = &fixture.place else { panic!("not SQLite") };
    let child = again("two_processes_share_one_database", dir.path()).stdout(Stdio::null()).spawn()?;
    (0..100).try_for_each(|key| put(&fixture.store, key, 100))?;
    assert!(finish(child).success());
    assert_eq!(keys(&fixture.store)?, (0..100).chain(1000..1100).collect());
    Ok(())
}

#[test]
fn a_process_that_holds_the_database_makes_others_busy() -> Outcome {
    if let Some(dir) = stage() {
        let store = Datastore::sqlite(&file_in(&dir), &sqlite::Options::default())?;
        return Ok(store.write(|tx| {
            tx.query(INSERT, &[b"k".into(), b"v".into(), 5.into()])?;
            println!("\nheld");
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).map_err(|_| Error::Misuse("stdin"))?;
            Ok::<_, Error>(())
        })?);
    }
    let fixture = Fixture::sqlite();
    let Place::Sqlite { dir } = &fixture.place else { panic!("not SQLite") };
    let mut command = again("a_process_that_holds_the_database_makes_others_busy", dir.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.by_ref().find(|line| line.as_ref().is_ok_and(|line| line == "held")).unwrap()?;

    let options = sqlite::Options { busy: Duration::from_millis(50), ..sqlite::Options::default() };
    let hasty = Datastore::sqlite(&file(dir), &options)?;
    // Many callers do not wait in turn: those who queued behind the first failure are busy with it.
    let all_busy = std::thread::scope(|scope| {
        let running: Vec<_> = (0..8)
            .map(|key| {
                scope.spawn({
                    let hasty = &hasty;
                    move || put(hasty, key, 1)
                })
            })
            .collect();
        running.into_iter().all(|thread| thread.join().unwrap() == Err(Error::Busy))
    });
    assert!(all_busy);
    assert_eq!(keys(&hasty)?, BTreeSet::new(), "reads go on");
    child.stdin.take().unwrap().write_all(b"\n")?;
    assert!(lines.all(|line| line.is_ok()));
    assert!(finish(child).success());
    put(&hasty, 6, 1)?;
    assert_eq!(keys(&hasty)?, [5, 6].into());
    Ok(())
}

#[test]
fn what_a_killed_process_acknowledged_is_there() -> Outcome {
    if let Some(dir) = stage() {
        let store = Datastore::sqlite(&file_in(&dir), &sqlite::Options::default())?;
        for key in 0.. {
            put(&store, key, 2000)?;
            println!("\nack {key}");
        }
    }
    for round in 0..4_usize {
        let fixture = Fixture::sqlite();
        let Place::Sqlite { dir } = &fixture.place else { panic!("not SQLite") };
        let mut command = again("what_a_killed_process_acknowledged_is_there", dir.path());
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut acknowledged = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let number = |line: String| line.strip_prefix("ack ").and_then(|text| text.parse::<i64>().ok());
        let mut last = acknowledged.by_ref().filter_map(number).nth(20 + round * 37).unwrap();
        child.kill()?;
        last = acknowledged.filter_map(number).last().unwrap_or(last);
        finish(child);
        let found = keys(&fixture.place.open())?;
        assert!(found.is_superset(&(0..=last).collect()), "{last} was acknowledged, {:?} is there", found.last());
        assert!(found.len() as i64 <= last + 2, "at most one more than was acknowledged");
    }
    Ok(())
}

#[test]
fn a_file_that_is_no_database_is_damaged() -> Outcome {
    let dir = tempfile::tempdir()?;
    std::fs::write(file(&dir), b"this is not a database, but it is long enough to be read as one".repeat(100))?;
    let refused = Datastore::sqlite(&file(&dir), &sqlite::Options::default()).unwrap_err();
    assert!(matches!(refused, Error::Corrupt(_)) && refused.fault() == Fault::Stored, "{refused:?}");
    Ok(())
}

#[test]
fn a_damaged_page_is_found_when_it_is_read() -> Outcome {
    let dir = tempfile::tempdir()?;
    {
        let store = Datastore::sqlite(&file(&dir), &sqlite::Options::default())?;
        store.migrate(SCHEMA)?;
        (0..200).try_for_each(|key| put(&store, key, 1000))?;
    }
    let mut bytes = std::fs::read(file(&dir))?;
    let half = bytes.len() / 2;
    bytes[half..].fill(0xA5);
    std::fs::write(file(&dir), bytes)?;
    let store = Datastore::sqlite(&file(&dir), &sqlite::Options::default())?;
    let refused = keys(&store);
    assert!(matches!(refused, Err(Error::Corrupt(_))), "{refused:?}");
    Ok(())
}

#[test]
fn a_probe_accepts_a_local_folder_and_leaves_nothing_behind() -> Outcome {
    let dir = tempfile::tempdir()?;
    probe(dir.path())?;
    assert_eq!(std::fs::read_dir(dir.path())?.count(), 0);
    assert!(probe(&dir.path().join("missing")).is_err());
    Ok(())
}

fn file_in(dir: &Path) -> PathBuf {
    dir.join("store.db")
}

fn finish(mut child: Child) -> std::process::ExitStatus {
    child.wait().unwrap()
}
