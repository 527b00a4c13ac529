//! Who can write the database cannot make an honest collection delete what a version needs.

use crate::world::{Client, Put, World, code};
use api::terms::{Code, Mode, ObjectId};
use api::wire::{Answer, CollectPlan, Command, Problem};

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
