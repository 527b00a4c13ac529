//! Who can write the database cannot make an honest collection delete what a version needs.

use crate::world::{Client, Put, World, code};
use api::terms::{Code, Mode, ObjectId};
use api::wire::{Answer, CollectPlan, Command, Problem};
use keeper::Keeper;
use keeper::datastore::sqlite::{Options, Sqlite};
use keeper::datastore::{self, Alteration, Datastore, Driver, Outcome, Transaction};
use keeper::vault::OpenOptions;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const DAY_MILLIS: u64 = 24 * 3_600_000;

/// A committed version with a spare object, one that was given up, one being written.
struct Scene {
    world: World,
    kept: Put,
    spare: ObjectId,
    given_up: Put,
    live: Put,
}

fn scene() -> Scene {
    let world = World::new(Mode::Solo);
    let (kept, given_up, live) = (Put::new("lab/net"), Put::new("lab/net"), Put::new("lab/net"));
    let spare = ObjectId::from_bytes([9; 16]);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let (begun, _) = client.begin(&kept).unwrap();
    client.call(Command::Extend { version: kept.version, objects: vec![spare] }).unwrap();
    client.commit(&kept, &begun).unwrap();
    client.begin(&given_up).unwrap();
    client.call(Command::Abandon { version: given_up.version }).unwrap();
    world.clock.advance(DAY_MILLIS);
    client.begin(&live).unwrap();
    keeper.close().unwrap();
    Scene { world, kept, spare, given_up, live }
}

fn mark(world: &World, dry: bool) -> Result<CollectPlan, Problem> {
    let keeper = world.open();
    let client = Client::new(&keeper, world, None);
    match client.call(Command::CollectMark { grace_secs: 0, dry })? {
        Answer::Collect(plan) => Ok(plan),
        other => panic!("{other:?}"),
    }
}

fn sorted(mut objects: Vec<ObjectId>) -> Vec<ObjectId> {
    objects.sort();
    objects
}

#[test]
fn garbage_is_listed_in_full_and_nothing_else() {
    let Scene { world, spare, given_up, .. } = scene();
    let expected = sorted(given_up.objects.iter().copied().chain([spare]).collect());
    assert_eq!(sorted(mark(&world, true).unwrap().objects), expected);
    assert_eq!(sorted(mark(&world, false).unwrap().objects), expected);
    assert_eq!(sorted(mark(&world, true).unwrap().objects), expected, "what is marked is listed again");
}

#[test]
fn a_writer_of_the_database_cannot_make_gc_delete_live_objects() {
    let attacks: [(&str, &[&str]); 14] = [
        ("a committed object marked", &["UPDATE object SET state = 2, at = 0 WHERE version = KEPT AND state = 1"]),
        ("its lease put back", &["UPDATE object SET state = 0, at = 0 WHERE version = KEPT"]),
        ("given to no version", &["UPDATE object SET state = 2, version = randomblob(16) WHERE version = KEPT"]),
        ("given to a version that was given up", &["UPDATE object SET state = 2, version = GONE WHERE version = KEPT"]),
        (
            "under a MAC of another",
            &["UPDATE object SET state = 2, version = GONE, mac = (SELECT mac FROM object WHERE version = GONE) \
             WHERE version = KEPT"],
        ),
        ("the version deleted", &["DELETE FROM version WHERE id = KEPT", "UPDATE object SET state = 2"]),
        ("its record deleted", &["DELETE FROM record", "UPDATE object SET state = 2 WHERE version = KEPT"]),
        ("its record emptied", &["UPDATE record SET bytes = x''", "UPDATE object SET state = 2 WHERE version = KEPT"]),
        (
            "everything about it deleted",
            &[
                "DELETE FROM version WHERE id = KEPT",
                "DELETE FROM record",
                "DELETE FROM alias",
                "DELETE FROM artifact",
                "DELETE FROM workspace",
                "UPDATE object SET state = 0, at = 0 WHERE version = KEPT",
            ],
        ),
        ("a live lease ended", &["UPDATE object SET at = 0 WHERE version = LIVE"]),
        ("a live object marked", &["UPDATE object SET state = 2 WHERE version = LIVE"]),
        ("a live object given away", &["UPDATE object SET state = 2, version = GONE WHERE version = LIVE"]),
        (
            "a live draft taken away for the time being",
            &["DELETE FROM draft WHERE id = LIVE", "UPDATE object SET state = 2, at = 1 WHERE version = LIVE"],
        ),
        (
            "a live draft's lease ended",
            &["UPDATE draft SET lease_until = 0, body = CAST(replace(CAST(body AS TEXT), '\"lease_until\"', \
             '\"lease_until_\"') AS BLOB)"],
        ),
    ];
    for (what, edits) in attacks {
        let Scene { world, kept, given_up, live, .. } = scene();
        for edit in edits {
            let id = |put: &Put| format!("x'{}'", put.version);
            let edit = edit.replace("KEPT", &id(&kept)).replace("GONE", &id(&given_up)).replace("LIVE", &id(&live));
            assert!(world.tamper(&edit) > 0 || edit.contains("alias"), "{what}: {edit}");
        }
        // What is only looked at lists no live object; what acts is refused.
        match mark(&world, true) {
            Ok(plan) => {
                let needed = |object| kept.objects.contains(object) || live.objects.contains(object);
                assert!(!plan.objects.iter().any(needed), "{what}: {plan:?}");
            }
            Err(refused) => {
                assert!(matches!(refused.code, Code::BadSignature | Code::Integrity), "{what}: {refused:?}")
            }
        }
        let refused = code(mark(&world, false));
        assert!(matches!(refused, Code::BadSignature | Code::Integrity), "{what}: {refused:?}");
    }
}

#[test]
fn a_deletion_is_not_believed_either() {
    let Scene { world, kept, spare, .. } = scene();
    mark(&world, false).unwrap();
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    assert_eq!(world.tamper(&format!("UPDATE object SET state = 2 WHERE version = x'{}'", kept.version)), 3);
    let done = |objects| client.call(Command::CollectDone { objects });
    assert_eq!(code(done(kept.objects.clone())), Code::BadSignature);
    assert_eq!(code(done(vec![spare, kept.objects[0]])), Code::BadSignature);
    done(vec![spare]).unwrap();
}

#[test]
fn a_dead_draft_goes_once_it_was_given_up() {
    let Scene { world, spare, given_up, live, .. } = scene();
    world.clock.advance(2 * DAY_MILLIS);
    let all = given_up.objects.iter().chain(&live.objects).copied().chain([spare]).collect();
    let expected = sorted(all);
    assert_eq!(sorted(mark(&world, true).unwrap().objects), expected);
    assert_eq!(sorted(mark(&world, false).unwrap().objects), expected);
}

/// Two databases under one keeper: from some transaction on, or for one, it works with the other one.
pub struct Exchanged {
    first: Sqlite,
    then: Sqlite,
    transactions: AtomicUsize,
    from: AtomicUsize,
    until: AtomicUsize,
}

impl Exchanged {
    /// Of the world's database and another.
    pub fn new(world: &World, then: &Path) -> Arc<Self> {
        let open = |path: &Path| Sqlite::open(path, &Options::default()).unwrap();
        let (first, then) = (open(&world.dir().join("keeper.db")), open(then));
        let never = || AtomicUsize::new(usize::MAX);
        Arc::new(Self { first, then, transactions: AtomicUsize::new(0), from: never(), until: never() })
    }

    fn current(&self) -> &Sqlite {
        let before = self.transactions.fetch_add(1, Ordering::SeqCst);
        let other = self.from.load(Ordering::SeqCst)..self.until.load(Ordering::SeqCst);
        if other.contains(&before) { &self.then } else { &self.first }
    }

    /// Exchanges them before the transaction after the next `count`.
    pub fn after(&self, count: usize) {
        self.from.store(self.transactions.load(Ordering::SeqCst) + count, Ordering::SeqCst);
    }

    /// The same, for that transaction alone.
    pub fn once_after(&self, count: usize) {
        self.after(count);
        self.until.store(self.from.load(Ordering::SeqCst) + 1, Ordering::SeqCst);
    }

    /// Whether it happened.
    pub fn happened(&self) -> bool {
        self.transactions.load(Ordering::SeqCst) > self.from.load(Ordering::SeqCst)
    }
}

impl Driver for Exchanged {
    fn read(&self, body: &mut dyn FnMut(&mut dyn Transaction) -> Outcome) -> datastore::Result<()> {
        self.current().read(body)
    }
    fn write(&self, body: &mut dyn FnMut(&mut dyn Transaction) -> Outcome) -> datastore::Result<()> {
        self.current().write(body)
    }
    fn alter(&self, body: &mut dyn FnMut(&mut dyn Alteration) -> Outcome) -> datastore::Result<()> {
        self.first.alter(body)
    }
    fn scrub(&self) -> datastore::Result<()> {
        self.current().scrub()
    }
}

/// The vault's database as it is now.
pub fn copied(world: &World, name: &str) -> std::path::PathBuf {
    let path = world.tmp.path().join(name);
    assert_eq!(world.tamper(&format!("VACUUM INTO '{}'", path.display())), 0);
    path
}

/// Collects while somebody exchanges the database for an older one before some transaction of it, each in turn: how often it was
/// refused, until a collection ended before the exchange.
fn collected_while_exchanged(world: &World, older: &Path, live: &[ObjectId], dry: bool) -> usize {
    for count in 0.. {
        let then = world.tmp.path().join(format!("then-{dry}-{count}"));
        std::fs::copy(older, &then).unwrap();
        let exchanged = Exchanged::new(world, &then);
        let store = Some(Datastore::new(exchanged.clone()));
        let keeper = Keeper::open(&OpenOptions { store, ..world.options() }).unwrap();
        let client = Client::new(&keeper, world, None);
        exchanged.after(count);
        match client.call(Command::CollectMark { grace_secs: 0, dry }) {
            Ok(Answer::Collect(plan)) if !exchanged.happened() => {
                assert!(!plan.objects.iter().any(|object| live.contains(object)), "{plan:?}");
                return count;
            }
            Ok(answer) => panic!("dry {dry}, exchanged after {count}: {answer:?}"),
            Err(problem) => assert!(
                matches!(problem.code, Code::Integrity | Code::BadSignature | Code::BehindAnchor | Code::Busy),
                "dry {dry}, exchanged after {count}: {problem:?}"
            ),
        }
    }
    unreachable!("it ends")
}

#[test]
fn gc_lists_from_no_other_state_than_the_head_attests_that_it_integrated() {
    for emptied in [false, true] {
        let world = World::new(Mode::Solo);
        let put = || {
            let keeper = world.open();
            let put = Put::new("lab/net");
            Client::new(&keeper, &world, None).put(&put).unwrap();
            keeper.close().unwrap();
            put
        };
        put();
        // A database of the time before the version, whole and consistent.
        let older = copied(&world, "older");
        let live = put();
        let db = rusqlite::Connection::open(&older).unwrap();
        if emptied {
            // Or of a time before everything, of which the fold of no entry is the state.
            let tables = "principal role_grant workspace artifact version alias edge crypto_key wrap root policy_source policy_set \
                          setting draft entry entry_index";
            for table in tables.split(' ') {
                db.execute(&format!("DELETE FROM {table}"), []).unwrap();
            }
            let empty = "UPDATE logstate SET size = 0, checkpoint = '', \
                         root = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'";
            assert_eq!(db.execute(empty, []).unwrap(), 1);
        }
        // In it the objects of the version are garbage: registered under their MACs, which are theirs for ever, for a version of which
        // nothing else is known.
        db.execute("ATTACH ?1 AS newer", [world.dir().join("keeper.db").display().to_string()]).unwrap();
        let plant = format!(
            "INSERT INTO object SELECT id, version, 2, 0, mac FROM newer.object WHERE version = x'{}'",
            live.version
        );
        assert_eq!(db.execute(&plant, []).unwrap(), live.objects.len());
        drop(db);
        for dry in [true, false] {
            let refused = collected_while_exchanged(&world, &older, &live.objects, dry);
            assert!(refused >= if dry { 2 } else { 4 }, "emptied {emptied}, dry {dry}: {refused}");
        }
        assert!(mark(&world, false).unwrap().objects.is_empty());
    }
}
