//! Integration: order, sizes, several sequencers, exports.

use super::{NOW, World, assert_whole, commit, commit_at, entry, id, ids, signers};
use api::terms::EntryId;
use api::wire::Freshness;
use keeper::datastore::Datastore;
use keeper::ledger::Error;
use log::source::{SourceError, TileSource};
use log::verify::{self, Options};
use std::path::{Path, PathBuf};

struct Folder(PathBuf);

impl TileSource for Folder {
    fn read(&self, path: &str, _max: usize) -> Result<Vec<u8>, SourceError> {
        std::fs::read(self.0.join(path)).map_err(|_| SourceError::Missing { path: path.to_owned() })
    }
}

fn rows(store: &Datastore, sql: &str) -> i64 {
    store.read(|tx| tx.query(sql, &[])?.one()?.integer(0)).unwrap()
}

#[test]
fn pending_entries_are_found_without_a_look_at_the_tail() {
    let world = World::sqlite();
    world.commit_together(0..100);
    world.open().integrate(NOW).unwrap();
    let db = rusqlite::Connection::open(world.path("vault/keeper.db")).unwrap();
    for select in [
        "ticket, position, body, mac FROM entry WHERE idx IS NULL ORDER BY ticket, position LIMIT 4096",
        "COUNT(*) FROM entry WHERE idx IS NULL",
    ] {
        let plan: Vec<String> = db
            .prepare(&format!("EXPLAIN QUERY PLAN SELECT {select}"))
            .unwrap()
            .query_map([], |row| row.get(3))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert!(plan.iter().all(|step| step.contains("entry_pending")), "{plan:?}");
    }
}

fn grows_through_all_shapes(world: &World) {
    let mut size = 0;
    for step in [1, 2, 252, 1, 1, 255, 1, 300, 700] {
        world.commit_together(size..size + step);
        size += step;
        let ledger = world.open();
        assert_eq!(ledger.pending().unwrap(), step);
        let head = ledger.integrate(NOW).unwrap();
        assert_eq!((head.head.size, ledger.pending().unwrap()), (size, 0));
        assert_eq!(ledger.keys().open(head.checkpoint.as_bytes()).unwrap().head(), head.head);
        assert_whole(&ledger, size);
        assert_eq!(ledger.freshness().unwrap(), Freshness::Proven);
    }
    let store = world.store();
    assert_eq!(rows(&store, "SELECT CAST(COUNT(*) AS BIGINT) FROM entry"), 1513 % 256);
    assert_eq!(rows(&store, "SELECT CAST(COUNT(*) AS BIGINT) FROM entry_index"), 1513 - 1513 % 256);
    let ledger = world.open();
    assert_eq!(ids(&ledger), (0..1513).map(id).collect::<Vec<_>>());
    for n in [0, 255, 256, 1000, 1400, 1512] {
        let (receipt, body) = ledger.receipt(&id(n)).unwrap();
        assert_eq!((receipt.index, receipt.verify(&body, ledger.keys()).unwrap().size), (n, 1513));
        assert!(receipt.verify(&ledger.at((n + 1) % 1513).unwrap().body, ledger.keys()).is_err());
    }
    assert!(matches!(ledger.receipt(&id(9999)), Err(Error::NotFound)));
    assert!(matches!(ledger.receipt_at(1513), Err(Error::NotFound)));
}

#[test]
fn a_log_grows_through_all_shapes_on_sqlite() {
    grows_through_all_shapes(&World::sqlite());
}

#[test]
fn a_log_grows_through_all_shapes_on_postgres() {
    grows_through_all_shapes(&World::postgres());
}

#[test]
fn an_empty_log_opens_and_integrates_nothing() {
    let world = World::sqlite();
    let ledger = world.open();
    let head = ledger.integrate(NOW).unwrap();
    assert_eq!((head.head.size, head.checkpoint.as_str()), (0, ""));
    assert_whole(&ledger, 0);
    assert_eq!(ledger.freshness().unwrap(), Freshness::Unproven);
    assert!(!world.path("state/anchor").exists());
}

#[test]
fn entries_enter_by_ticket_and_position_and_gaps_never_block() {
    let world = World::sqlite();
    let store = world.store();
    commit_at(&store, 7, &[entry(70), entry(71)]);
    commit_at(&store, 5, &[entry(50)]);
    let ledger = world.open();
    assert!(matches!(ledger.receipt(&id(50)), Err(Error::Pending)));
    ledger.integrate(NOW).unwrap();
    // Ticket 6 was drawn before 7 and commits after: it comes next.
    commit_at(&store, 6, &[entry(60)]);
    commit_at(&store, 7, &[entry(72)]);
    ledger.integrate(NOW).unwrap();
    assert_eq!(ids(&ledger), [50, 70, 71, 60, 72].map(id));
    assert_whole(&ledger, 5);
}

#[test]
fn several_thousand_entries_are_taken_in_several_passes() {
    let world = World::sqlite();
    for from in (0..5000).step_by(500) {
        world.commit_together(from..from + 500);
    }
    let ledger = world.open();
    assert_eq!(ledger.integrate(NOW).unwrap().head.size, 5000);
    assert_whole(&ledger, 5000);
    assert_eq!(ids(&ledger), (0..5000).map(id).collect::<Vec<_>>());
}

fn many_sequencers_make_one_log(world: &World) {
    const EACH: u64 = 100;
    let ledgers = [world.open(), world.open()];
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (ledger, store) = (&ledgers[worker % 2], world.store());
            scope.spawn(move || {
                for n in 0..EACH {
                    commit(&store, &[entry(worker as u64 * EACH + n)]).unwrap();
                    let head = ledger.integrate(NOW).unwrap();
                    // What was committed before the pass is in the tree after it.
                    let (receipt, _) = ledger.receipt(&id(worker as u64 * EACH + n)).unwrap();
                    assert!(receipt.index < head.head.size);
                }
            });
        }
    });
    for ledger in &ledgers {
        assert_whole(ledger, 4 * EACH);
    }
    let mut all = ids(&world.open());
    all.sort();
    assert_eq!(all, (0..4 * EACH).map(id).collect::<Vec<EntryId>>());
}

#[test]
fn many_sequencers_make_one_log_on_sqlite() {
    many_sequencers_make_one_log(&World::sqlite());
}

#[test]
fn many_sequencers_make_one_log_on_postgres() {
    many_sequencers_make_one_log(&World::postgres());
}

#[test]
fn an_export_is_a_log_that_others_verify() {
    let world = World::sqlite();
    world.commit_together(0..70);
    world.open().integrate(NOW).unwrap();
    let older = world.anchored();
    world.commit_together(70..700);
    let ledger = world.open();
    ledger.integrate(NOW).unwrap();
    let target = world.path("export");
    assert_eq!(ledger.export(&target).unwrap(), 700);
    let known = ledger.keys().open(older.as_bytes()).unwrap().head();
    let options = Options { keys: ledger.keys(), older: &[known], threads: 1 };
    let report = verify::run(&Folder(target.clone()), &options, None);
    assert!(report.is_ok(), "{:?}", report.failures);
    assert_eq!((report.entries, report.older), (700, 1));
    assert!(matches!(ledger.export(&target), Err(Error::NotEmpty(_))));
    assert!(matches!(ledger.export(Path::new("/dev/null/x")), Err(Error::Io { .. })));
    // Go reads it too, and the older checkpoint.
    std::fs::write(target.join("older"), older).unwrap();
    let program = world.path("go-verify");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/go/build.sh");
    let built = std::process::Command::new("sh").arg(script).arg(&program).status().unwrap();
    assert!(built.success(), "it needs the packages golang-go and golang-golang-x-mod-dev");
    let vkeys = std::fs::read_to_string(target.join("vkeys")).unwrap();
    assert_eq!(vkeys.lines().next(), Some(signers(1).keys().ed25519().to_string().as_str()));
    let run = |folder: &Path| {
        let vkey = vkeys.lines().next().unwrap();
        std::process::Command::new(&program)
            .arg(folder)
            .arg(vkey)
            .arg(target.join("older"))
            .output()
            .unwrap()
            .status
            .code()
    };
    assert_eq!(run(&target), Some(0));
    let bundle = target.join("tile/entries/001");
    let mut bytes = std::fs::read(&bundle).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&bundle, bytes).unwrap();
    assert_eq!(run(&target), Some(4));
}

#[test]
fn old_partial_tiles_are_removed() {
    let world = World::sqlite();
    let ledger = world.open();
    for from in (0..2000).step_by(250) {
        world.commit_together(from..from + 250);
        ledger.integrate(NOW).unwrap();
    }
    let names = |folder: &str| {
        let listing = std::fs::read_dir(world.path("vault/log").join(folder)).unwrap();
        let mut names: Vec<_> = listing.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names("tile/1/000.p"), ["7"]);
    assert_eq!(names("tile/entries").len(), 7);
    assert_eq!(names("tile/0").len(), 7);
}
