//! Several roots: each opens everything, the next one answers when one does not, and none goes that something needs.

use crate::decisions::entries;
use crate::world::{Client, Put, World, code};
use api::terms::{Action, Class, Code, Environment, KeyId, Mode};
use api::wire::{Answer, Command, Problem, RootAdded, RootDrills, RootItem, RootOutcome, RootRemove, RootRemoved};
use keeper::Keeper;
use keeper::vault::{OpenOptions, RootAdd, RootChoice, RootMeans, RootUnlock};
use std::path::PathBuf;
use std::sync::Arc;

pub fn second(world: &World) -> PathBuf {
    world.tmp.path().join("keys/second.key")
}

pub fn add(client: &Client<'_>, path: PathBuf, priority: Option<u32>) -> Result<RootAdded, Problem> {
    let choice = RootChoice::Keyfile { path };
    client.keeper.add_root(&client.session, &RootAdd { choice, priority, follows: None })
}

/// Options with key files in this order; `vault.json` decides who is asked first.
pub fn options(world: &World, paths: &[PathBuf]) -> OpenOptions {
    let means = |path: &PathBuf| Arc::new(RootMeans { root: None, unlock: RootUnlock::Keyfile(path.clone()) });
    OpenOptions { roots: paths.iter().map(means).collect(), ..world.options() }
}

pub fn roots(client: &Client<'_>) -> Vec<RootItem> {
    match client.call(Command::RootList).unwrap() {
        Answer::Roots(list) => list.roots,
        other => panic!("{other:?}"),
    }
}

fn drill(client: &Client<'_>) -> RootDrills {
    match client.call(Command::RootDrill).unwrap() {
        Answer::RootsDrilled(drills) => drills,
        other => panic!("{other:?}"),
    }
}

pub fn remove(client: &Client<'_>, root: KeyId) -> Result<RootRemoved, Problem> {
    match client.call(Command::RootRemove(RootRemove { root, after: None }))? {
        Answer::RootRemoved(removed) => Ok(removed),
        other => panic!("{other:?}"),
    }
}

fn holds(client: &Client<'_>) {
    match client.call(Command::StateVerify).unwrap() {
        Answer::StateVerified(verified) => assert!(verified.ok, "{verified:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_root_that_is_added_opens_what_was_there_and_what_comes_later() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net").class(Class::Confidential)).unwrap();
    let added = add(&client, second(&world), None).unwrap();
    assert_eq!((added.wrapped, added.locked, added.root.lacks), (1, 0, 0));
    assert_eq!((added.root.state.as_str(), added.root.kind.as_str(), added.root.wraps), ("active", "keyfile", 6));
    client.put(&Put::new("lab/other").class(Class::Restricted)).unwrap();
    assert_eq!(roots(&client).iter().map(|root| (root.wraps, root.lacks)).collect::<Vec<_>>(), [(7, 0), (7, 0)]);
    holds(&client);
    drop(client);
    keeper.close().unwrap();

    // With the first one gone, the second opens both.
    std::fs::remove_file(world.keyfile()).unwrap();
    let keeper = Keeper::open(&options(&world, &[world.keyfile(), second(&world)])).unwrap();
    let client = Client::new(&keeper, &world, None);
    client.release(Action::Read, "lab/net@v1").unwrap();
    client.put(&Put::new("lab/net")).unwrap();
    // A file is in the way of a third one of the same name, and nothing is left of the attempt.
    assert_eq!(add(&client, second(&world), None).unwrap_err().code, Code::Conflict);
    assert_eq!(roots(&client).len(), 2);
    holds(&client);
}

#[test]
fn one_that_does_not_answer_is_told_once_and_gets_what_it_missed() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    let id = add(&client, second(&world), Some(1)).unwrap().root.id;
    drop(client);
    keeper.close().unwrap();
    let both = || options(&world, &[world.keyfile(), second(&world)]);

    let away = world.tmp.path().join("keys/away");
    std::fs::rename(second(&world), &away).unwrap();
    for _ in 0..2 {
        let keeper = Keeper::open(&both()).unwrap();
        let client = Client::new(&keeper, &world, None);
        client.release(Action::Read, "lab/net@v1").unwrap();
        drop(client);
        keeper.close().unwrap();
    }
    let keeper = Keeper::open(&both()).unwrap();
    let client = Client::new(&keeper, &world, None);
    let first = roots(&client).remove(0);
    assert_eq!((first.id, first.priority, first.lacks), (id, 1, 0));
    assert!(first.failing.unwrap().why.contains("missing"));
    assert_eq!(entries(&client, "root.failing").len(), 1);
    // A domain key that is made meanwhile is under the other one only.
    client.put(&Put::new("lab/new").class(Class::Public)).unwrap();
    let first = roots(&client).remove(0);
    assert_eq!((first.state.as_str(), first.lacks), ("behind", 1));
    drop(client);
    keeper.close().unwrap();

    std::fs::rename(&away, second(&world)).unwrap();
    let keeper = Keeper::open(&both()).unwrap();
    keeper.close().unwrap();
    let keeper = Keeper::open(&options(&world, &[second(&world)])).unwrap();
    let client = Client::new(&keeper, &world, None);
    client.release(Action::Read, "lab/new@v1").unwrap();
    let first = roots(&client).remove(0);
    assert_eq!((first.state.as_str(), first.lacks, first.failing.is_none()), ("active", 0, true));
    assert_eq!((entries(&client, "root.answers").len(), entries(&client, "root.complete").len()), (1, 2));
    holds(&client);
}

#[test]
fn a_key_is_opened_anew_when_the_time_of_its_class_in_memory_is_over() {
    for class in [Class::Public, Class::Internal, Class::Confidential, Class::Restricted] {
        let world = World::new(Mode::Solo);
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        client.put(&Put::new("lab/net").class(class)).unwrap();
        let release = || client.release_with(Action::Read, "lab/net@v1", Some("a test"), Some("lab/net"));
        release().unwrap();
        let lease = policy::class_rules(class).unwrap().lease_secs;
        assert!(lease > 1 && !keeper.forget_old());
        // What roots wrap opens no more: only what is in memory does.
        assert!(world.tamper("UPDATE wrap SET mac = zeroblob(32) WHERE under IN (SELECT id FROM root)") > 0);
        world.clock.advance((lease - 1) * 1_000);
        release().unwrap();
        assert!(!keeper.forget_old());
        world.clock.advance(1_000);
        assert_eq!(release().unwrap_err().code, Code::BadSignature, "{class}");
        assert!(
            keeper.forget_old() && !keeper.forget_old(),
            "{class}: nobody uses it, and it is overwritten all the same"
        );
    }
}

#[test]
fn what_one_root_does_not_open_another_does() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    let first = roots(&client).remove(0).id;
    add(&client, second(&world), None).unwrap();
    drop(client);
    keeper.close().unwrap();
    // The wraps of the first are exchanged: their MACs hold, and each is in the other's place.
    let under =
        |of: &str| format!("SELECT w.id FROM wrap w JOIN crypto_key k ON k.id = w.wrapped WHERE k.purpose = '{of}'");
    let sealed =
        "UPDATE wrap SET body = (SELECT body FROM wrap o WHERE o.under <> wrap.under AND o.wrapped = wrap.wrapped)";
    assert_eq!(
        world.tamper(&format!("{sealed} WHERE hex(under) = upper('{first}') AND id IN ({})", under("row-mac"))),
        1
    );
    let keeper = Keeper::open(&options(&world, &[world.keyfile(), second(&world)])).unwrap();
    let client = Client::new(&keeper, &world, None);
    client.release(Action::Read, "lab/net@v1").unwrap();
    drop(client);
    keeper.close().unwrap();
    let keeper = Keeper::open(&options(&world, &[second(&world)])).unwrap();
    let client = Client::new(&keeper, &world, None);
    let failing = roots(&client).into_iter().find(|root| root.id == first).unwrap().failing.unwrap();
    assert!(failing.why.contains("does not open in its place"), "{failing:?}");
    // With the first one alone it stays shut.
    assert_eq!(code(Keeper::open(&options(&world, &[world.keyfile()]))), Code::BadSignature);
}

#[test]
fn a_root_that_something_needs_is_not_removed() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    let first = roots(&client).remove(0).id;
    let alone = remove(&client, first).unwrap_err();
    assert_eq!((alone.code, alone.try_.as_deref()), (Code::Conflict, Some("strongroom root drill")));
    assert_eq!(remove(&client, KeyId::from_bytes([7; 16])).unwrap_err().code, Code::NotFound);
    let added = add(&client, second(&world), None).unwrap().root.id;
    let removed = remove(&client, first).unwrap();
    assert_eq!((removed.root, removed.wraps), (first, 6));
    // What it knew, it does not open any more, and the other one goes on.
    client.release(Action::Read, "lab/net@v1").unwrap();
    assert_eq!(roots(&client).iter().map(|root| root.id).collect::<Vec<_>>(), [added]);
    holds(&client);
    drop(client);
    keeper.close().unwrap();
    assert_eq!(code(Keeper::open(&world.options())), Code::RootRefused);
    let keeper = Keeper::open(&options(&world, &[second(&world)])).unwrap();
    let client = Client::new(&keeper, &world, None);
    client.release(Action::Read, "lab/net@v1").unwrap();
    let again = remove(&client, first).unwrap_err();
    assert_eq!(again.code, Code::NotFound);
}

#[test]
fn a_drill_opens_everything_with_every_root() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    add(&client, second(&world), None).unwrap();
    let drills = drill(&client);
    assert!(drills.ok);
    assert_eq!(
        drills.items.iter().map(|item| (item.outcome, item.keys)).collect::<Vec<_>>(),
        [(RootOutcome::Opens, 6); 2]
    );
    assert!(drills.items.iter().all(|item| item.root.drilled.is_some()));
    assert_eq!(entries(&client, "root.drill").len(), 1);
    drop(client);
    keeper.close().unwrap();
    // A key file of the right form with another key in it, and one that is away.
    let text = std::fs::read_to_string(second(&world)).unwrap();
    let (head, key) = text.trim_end().rsplit_once(' ').unwrap();
    let other: String = key.chars().rev().collect();
    std::fs::write(second(&world), format!("{head} {other}\n")).unwrap();
    let keeper = Keeper::open(&options(&world, &[world.keyfile(), second(&world)])).unwrap();
    let client = Client::new(&keeper, &world, None);
    let drills = drill(&client);
    assert!(!drills.ok);
    assert_eq!(
        drills.items.iter().map(|item| item.outcome).collect::<Vec<_>>(),
        [RootOutcome::Opens, RootOutcome::Fails]
    );
    assert!(drills.items[1].root.failing.is_some());
    drop(client);
    keeper.close().unwrap();
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    assert_eq!(drill(&client).items[1].outcome, RootOutcome::Away);
}

#[test]
fn a_root_that_a_class_does_not_admit_never_wraps_it() {
    let world = World::new(Mode::Solo);
    let keeper = Keeper::open(&world.options()).unwrap();
    let client = Client::new(&keeper, &world, None);
    let prod = |class| Put { environment: Environment::Prod, ..Put::new("lab/net").class(class) };
    // A vault of key files has none that may.
    let refused = client.put(&prod(Class::Confidential)).unwrap_err();
    assert_eq!(refused.code, Code::Denied);
    client.put(&prod(Class::Internal)).unwrap();
    let bytes = b"a passphrase with some length".to_vec();
    let choice = RootChoice::Passphrase { bytes: bytes.into() };
    let added = client.keeper.add_root(&client.session, &RootAdd { choice, priority: None, follows: None }).unwrap();
    assert_eq!((added.root.kind.as_str(), added.wrapped), ("passphrase", 1));
    client.put(&prod(Class::Confidential)).unwrap();
    let found = roots(&client);
    assert_eq!(
        found.iter().map(|root| (root.kind.as_str(), root.wraps, root.lacks)).collect::<Vec<_>>(),
        [("keyfile", 6, 0), ("passphrase", 7, 0)]
    );
    // The passphrase is the only one that opens that key now.
    let refused = remove(&client, added.root.id).unwrap_err();
    assert_eq!((refused.code, refused.try_.as_deref()), (Code::Conflict, Some("strongroom root ls")));
    client.release(Action::Read, "lab/net@v2").unwrap();
    drop(client);
    keeper.close().unwrap();
    // The key file opens the vault, and not that key, although somebody gives it the wrap of the passphrase.
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.release(Action::Read, "lab/net@v1").unwrap();
    let shut = client.release(Action::Read, "lab/net@v2").unwrap_err();
    assert_eq!((shut.code, shut.try_.as_deref()), (Code::RootRefused, Some("strongroom root ls")));
    assert!(shut.why.contains("passphrase"), "{shut}");
}

#[test]
fn who_knows_an_older_list_of_roots_makes_no_key_for_it() {
    let world = World::new(Mode::Solo);
    let (old, new) = (world.open(), world.open());
    let (before, client) = (Client::new(&old, &world, None), Client::new(&new, &world, None));
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    let first = roots(&client).remove(0).id;
    add(&client, second(&world), None).unwrap();
    remove(&client, first).unwrap();
    // It was opened with a root that is gone, and has nothing for the one that counts.
    let refused = before.put(&Put::new("lab/other").class(Class::Public)).unwrap_err();
    assert_eq!(refused.code, Code::RootRefused);
    client.put(&Put::new("lab/other").class(Class::Public)).unwrap();
    holds(&client);
    drop((before, client));
    old.close().unwrap();
    new.close().unwrap();
    let keeper = Keeper::open(&options(&world, &[second(&world)])).unwrap();
    let client = Client::new(&keeper, &world, None);
    let drills = drill(&client);
    assert!(drills.ok && drills.items.len() == 1, "{drills:?}");
    client.release(Action::Read, "lab/other@v1").unwrap();
}

#[test]
fn roots_that_come_in_at_once_are_all_named() {
    let world = World::new(Mode::Solo);
    let keepers: Vec<Keeper> = (0..4).map(|_| world.open()).collect();
    std::thread::scope(|scope| {
        for (n, keeper) in keepers.iter().enumerate() {
            let world = &world;
            scope.spawn(move || {
                let client = Client::new(keeper, world, None);
                add(&client, world.tmp.path().join(format!("keys/at-once-{n}")), None).unwrap();
            });
        }
    });
    for n in 0..4 {
        let path = world.tmp.path().join(format!("keys/at-once-{n}"));
        let keeper = Keeper::open(&options(&world, &[path])).unwrap();
        let client = Client::new(&keeper, &world, None);
        assert_eq!(roots(&client).len(), 5);
        keeper.close().unwrap();
    }
}

#[test]
fn one_that_does_not_open_saves_no_key_from_being_lost() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let phrase = |text: &str| RootChoice::Passphrase { bytes: text.as_bytes().to_vec().into() };
    let add =
        |choice| keeper.add_root(&client.session, &RootAdd { choice, priority: None, follows: None }).unwrap().root.id;
    let (kept, lost) = (add(phrase("one that is at hand")), add(phrase("one that nobody knows any more")));
    let prod = Put { environment: Environment::Prod, ..Put::new("lab/net").class(Class::Confidential) };
    client.put(&prod).unwrap();
    drop(client);
    keeper.close().unwrap();
    let unlock = RootUnlock::Passphrase(b"one that is at hand".to_vec().into());
    let mut here = options(&world, &[world.keyfile()]);
    here.roots.push(Arc::new(RootMeans { root: Some(kept), unlock }));
    let keeper = Keeper::open(&here).unwrap();
    let client = Client::new(&keeper, &world, None);
    // The key file opens the vault, and not that key; the other passphrase might, and is not here.
    let refused = remove(&client, kept).unwrap_err();
    assert_eq!((refused.code, refused.try_.as_deref()), (Code::Conflict, Some("strongroom root ls")));
    remove(&client, lost).unwrap();
    client.release(Action::Read, "lab/net@v1").unwrap();
}
