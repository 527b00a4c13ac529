//! The core flows on PostgreSQL: the same engine, another database.

use crate::decisions::{entries, principal, revoke_under_load, staff};
use crate::world::{Client, Put, World, code, name};
use api::terms::{Action, Class, Code, Mode};
use api::wire::{Answer, Command, KeyRotate, PrincipalAdd};

#[test]
fn put_release_rotate_collect_and_verify_on_postgres() {
    let world = World::postgres(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let put = Put { alias: Some(name("prod")), ..Put::new("lab/net") };
    assert_eq!(client.put(&put).unwrap().version.number, 1);
    let given_up = Put::new("lab/net");
    client.begin(&given_up).unwrap();
    client.call(Command::Abandon { version: given_up.version }).unwrap();
    let second = Put { alias: Some(name("prod")), from: vec!["lab/net@v1".into()], ..Put::new("lab/net") };
    assert_eq!(client.put(&second).unwrap().version.number, 2);
    let (released, opened) = client.release(Action::Export, "lab/net@prod").unwrap();
    assert_eq!((released.version.number, opened.keys.len()), (2, 2));
    let Answer::Rotated(rotated) = client.call(Command::KeyRotate(KeyRotate::default())).unwrap() else { panic!() };
    assert_eq!((rotated.rewrapped, rotated.remaining), (2, 0));
    client.release(Action::Read, "lab/net@v1").unwrap();
    let Answer::Versions { items, .. } =
        client.call(Command::History { reference: "lab/net".into(), before: None, limit: 10 }).unwrap()
    else {
        panic!()
    };
    assert_eq!(items.iter().map(|item| item.number).collect::<Vec<_>>(), [2, 1]);
    world.clock.advance(10);
    let Answer::Collect(plan) = client.call(Command::CollectMark { grace_secs: 0, dry: false }).unwrap() else {
        panic!()
    };
    assert_eq!(plan.objects.len(), 2);
    client.call(Command::CollectDone { objects: plan.objects }).unwrap();
    let Answer::StateVerified(state) = client.call(Command::StateVerify).unwrap() else { panic!() };
    assert!(state.ok, "{state:?}");
    let Answer::LogVerified(log) = client.call(Command::AuditVerify).unwrap() else { panic!() };
    assert!(log.ok, "{log:?}");
    let Answer::DecisionsReplayed(made) = client.call(Command::DecisionsReplay).unwrap() else { panic!() };
    assert!(made.ok && made.same > 5, "{made:?}");
    assert!(!entries(&client, "release").is_empty());
    drop(client);
    keeper.close().unwrap();
    assert!(keeper::Keeper::open(&world.options()).is_ok());
}

#[test]
fn revocation_holds_on_postgres_across_two_keepers() {
    let world = staff(World::postgres(Mode::Rehearsal));
    let (keeper, other) = (world.open(), world.open());
    let owner = Client::new(&keeper, &world, None);
    let there = Client::new(&other, &world, Some("rick"));
    there.release(Action::Read, "lab/net").unwrap();
    let change = |clearance, suspended| {
        let grants = [("lab", "reader")];
        let suspended = Some(suspended);
        Command::PrincipalAdd(PrincipalAdd { suspended, change: true, ..principal("rick", clearance, &grants) })
    };
    owner.call(change(Class::Internal, false)).unwrap();
    assert_eq!(code(there.release(Action::Read, "lab/net")), Code::Denied);
    owner.call(change(Class::Confidential, false)).unwrap();
    there.release(Action::Read, "lab/net").unwrap();
    revoke_under_load(&world);
}

#[test]
fn writers_at_once_leave_no_gap_on_postgres() {
    let world = World::postgres(Mode::Solo);
    let (one, two) = (world.open(), world.open());
    let first = Client::new(&one, &world, None);
    first.put(&Put::new("lab/net")).unwrap();
    std::thread::scope(|scope| {
        for keeper in [&one, &two] {
            scope.spawn(|| {
                let client = Client::new(keeper, &world, None);
                for _ in 0..4 {
                    client.put(&Put::new("lab/net")).unwrap();
                }
            });
        }
    });
    assert_eq!(first.show("lab/net").unwrap().number, 9);
    let Answer::StateVerified(state) = first.call(Command::StateVerify).unwrap() else { panic!() };
    assert!(state.ok, "{state:?}");
}
