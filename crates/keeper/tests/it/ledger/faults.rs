//! Passes that stop half-way: nothing acknowledged is lost, and nothing inconsistent is signed.

use super::{NOW, World, assert_whole, commit, entry, id, ids};
use api::wire::Freshness;
use keeper::datastore::{Alteration, Driver, Error as StoreError, Outcome, Result as StoreResult, Transaction, sqlite};
use keeper::ledger::{Error, SignedHead};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const WORKS: u8 = 0;
const FAILS: u8 = 1;
/// Commits, and says that the outcome is unknown.
const FORGETS: u8 = 2;

/// SQLite whose writes fail on demand.
struct Faulty {
    inner: sqlite::Sqlite,
    mode: AtomicU8,
}

impl Driver for Faulty {
    fn read(&self, body: &mut dyn FnMut(&mut dyn Transaction) -> Outcome) -> StoreResult<()> {
        self.inner.read(body)
    }

    fn write(&self, body: &mut dyn FnMut(&mut dyn Transaction) -> Outcome) -> StoreResult<()> {
        match self.mode.load(Ordering::SeqCst) {
            FAILS => Err(StoreError::Unavailable("the test".into())),
            FORGETS => {
                self.inner.write(body)?;
                Err(StoreError::OutcomeUnknown("the test".into()))
            }
            _ => self.inner.write(body),
        }
    }

    fn alter(&self, body: &mut dyn FnMut(&mut dyn Alteration) -> Outcome) -> StoreResult<()> {
        self.inner.alter(body)
    }

    fn scrub(&self) -> StoreResult<()> {
        self.inner.scrub()
    }
}

fn faulty(world: &World) -> Arc<Faulty> {
    let inner = sqlite::Sqlite::open(&world.path("vault/keeper.db"), &sqlite::Options::default()).unwrap();
    Arc::new(Faulty { inner, mode: AtomicU8::new(WORKS) })
}

/// Asserts that anchor and published checkpoint have reached a head.
fn assert_settled(world: &World, head: &SignedHead) {
    assert_eq!(world.anchored(), head.checkpoint);
    assert_eq!(std::fs::read_to_string(world.path("vault/log/checkpoint")).unwrap(), head.checkpoint);
}

#[test]
fn a_pass_that_is_not_committed_leaves_no_trace_and_the_next_may_differ() {
    let world = World::sqlite();
    world.commit_together(0..200);
    let driver = faulty(&world);
    let ledger = world.open_over(driver.clone());
    ledger.integrate(NOW).unwrap();
    let (anchor, published) = (world.path("state/anchor"), world.path("vault/log/checkpoint"));
    let before = (std::fs::read(&anchor).unwrap(), std::fs::read(&published).unwrap());
    world.commit_together(200..300);
    driver.mode.store(FAILS, Ordering::SeqCst);
    assert!(matches!(ledger.integrate(NOW), Err(Error::Store(StoreError::Unavailable(_)))));
    assert!(world.path("vault/log/tile/entries/000").exists(), "the bundle was written before the commit failed");
    assert_eq!((std::fs::read(&anchor).unwrap(), std::fs::read(&published).unwrap()), before);
    assert_eq!(ledger.head().unwrap().head.size, 200);
    driver.mode.store(WORKS, Ordering::SeqCst);
    // An entry with an earlier ticket becomes visible: the bundle that lies there is not the one that is made now.
    super::commit_at(&world.store(), 0, &[entry(900)]);
    ledger.integrate(NOW).unwrap();
    assert_whole(&ledger, 301);
    assert_eq!(ids(&ledger)[200], id(900));
    assert_whole(&world.open(), 301);
}

#[test]
fn an_unknown_outcome_is_looked_up() {
    let world = World::sqlite();
    let driver = faulty(&world);
    let ledger = world.open_over(driver.clone());
    for (from, to) in [(0, 10), (10, 400)] {
        world.commit_together(from..to);
        driver.mode.store(FORGETS, Ordering::SeqCst);
        assert!(matches!(ledger.integrate(NOW), Err(Error::Store(StoreError::OutcomeUnknown(_)))));
        driver.mode.store(WORKS, Ordering::SeqCst);
        let head = ledger.integrate(NOW).unwrap();
        assert_eq!(head.head.size, to);
        // The anchor and the checkpoint, which the first pass did not reach, have been moved.
        assert_settled(&world, &head);
        assert_whole(&ledger, to);
    }
}

#[test]
fn an_anchor_that_cannot_be_written_fails_the_pass_and_is_moved_later() {
    let world = World::sqlite();
    world.commit_together(0..3);
    // A folder in the way of the file that is to become the anchor.
    std::fs::create_dir_all(world.path("state/anchor.partial")).unwrap();
    let ledger = world.open();
    assert!(matches!(ledger.integrate(NOW), Err(Error::Io { .. })));
    assert_eq!(ledger.head().unwrap().head.size, 3, "the pass was committed");
    assert!(!world.path("vault/log/checkpoint").exists(), "and not published");
    std::fs::remove_dir(world.path("state/anchor.partial")).unwrap();
    let head = ledger.integrate(NOW).unwrap();
    assert_settled(&world, &head);
    assert_eq!(ledger.freshness().unwrap(), Freshness::Proven);
}

#[test]
fn an_anchor_and_a_checkpoint_left_behind_by_a_crash_are_caught_up() {
    let world = World::sqlite();
    world.commit_together(0..100);
    world.open().integrate(NOW).unwrap();
    world.back_up("state/anchor", "old/anchor");
    world.commit_together(100..400);
    let head = world.open().integrate(NOW).unwrap();
    world.restore("old/anchor", "state/anchor");
    std::fs::write(world.path("vault/log/checkpoint"), "torn").unwrap();
    let ledger = world.open();
    assert_eq!(ledger.read_only(), None);
    assert_eq!(ledger.integrate(NOW).unwrap(), head);
    assert_settled(&world, &head);
}

#[test]
fn leftovers_of_killed_writers_do_no_harm() {
    let world = World::sqlite();
    let log = world.path("vault/log");
    for leftover in ["tile/entries/000", "tile/entries/000.partial", "tile/0/000", "tile/1/000.p/1", "checkpoint"] {
        let path = log.join(leftover);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "half a file").unwrap();
    }
    let ledger = world.open();
    for n in 0..3 {
        world.commit_together(n * 100..n * 100 + 100);
        ledger.integrate(NOW).unwrap();
        assert_whole(&world.open(), n * 100 + 100);
    }
}

#[test]
fn a_folder_that_cannot_be_written_stops_the_pass_and_nothing_is_lost() {
    let world = World::sqlite();
    world.commit_together(0..300);
    let ledger = world.open();
    let tile = world.path("vault/log/tile");
    std::fs::write(&tile, "in the way").unwrap();
    assert!(matches!(ledger.integrate(NOW), Err(Error::Io { .. })));
    assert_eq!((ledger.head().unwrap().head.size, ledger.pending().unwrap()), (0, 300));
    std::fs::remove_file(&tile).unwrap();
    assert_eq!(ledger.integrate(NOW).unwrap().head.size, 300);
    assert_whole(&ledger, 300);
}

#[test]
fn the_log_keeps_going_when_others_hold_the_lock_for_a_while() {
    let world = World::sqlite();
    let ledger = world.open();
    commit(&world.store(), &[entry(0)]).unwrap();
    let lock = std::fs::File::create(world.path("vault/log/lock")).unwrap();
    lock.lock().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| ledger.integrate(NOW));
        assert_eq!(world.open().pending().unwrap(), 1);
        lock.unlock().unwrap();
        assert_eq!(waiting.join().unwrap().unwrap().head.size, 1);
    });
    let mode = std::fs::metadata(world.path("vault/log/lock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0);
}
