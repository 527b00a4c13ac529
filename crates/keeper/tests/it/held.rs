//! Holds that come while a key or a person comes to an end: whoever looked for them before looks again. A hold that was set is never passed
//! over, wherever in between it came.

use crate::decisions::{entries, staff};
use crate::destroy::{Dying, destroy, domain_keys, ran, state_holds, written};
use crate::erase::{erase, suspend};
use crate::keeping::collected;
use crate::world::{Client, Put, World, code, name};
use api::terms::{Action, Class, Code, Mode, ObjectId};
use api::wire::{Command, HoldLift, HoldSet, KeyRotate};
use keeper::Keeper;
use keeper::datastore::sqlite::{Options, Sqlite};
use keeper::datastore::{self, Alteration, Datastore, Driver, Outcome, Transaction};
use keeper::vault::OpenOptions;
use seal::secret::SigningSeed;
use seal::sign::SigningKey;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

const DAY: u64 = 86_400_000;

fn hold(reference: &str) -> Command {
    Command::HoldSet(HoldSet { reference: reference.into(), name: name("case"), reason: "a case".into() })
}

fn lift(reference: &str) -> Command {
    Command::HoldLift(HoldLift { reference: reference.into(), name: name("case"), reason: "closed".into() })
}

type Hook = Box<dyn FnOnce() + Send>;

/// A database where something else happens once, before so many transactions.
struct Hooked {
    inner: Sqlite,
    left: AtomicI64,
    hook: Mutex<Option<Hook>>,
}

impl Hooked {
    fn step(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 0 {
            let hook = self.hook.lock().unwrap().take().unwrap();
            // Another thread, as another process would: transactions do not nest.
            std::thread::spawn(hook).join().unwrap();
        }
    }
}

impl Driver for Hooked {
    fn read(&self, body: &mut dyn FnMut(&mut dyn Transaction) -> Outcome) -> datastore::Result<()> {
        self.step();
        self.inner.read(body)
    }
    fn write(&self, body: &mut dyn FnMut(&mut dyn Transaction) -> Outcome) -> datastore::Result<()> {
        self.step();
        self.inner.write(body)
    }
    fn alter(&self, body: &mut dyn FnMut(&mut dyn Alteration) -> Outcome) -> datastore::Result<()> {
        self.inner.alter(body)
    }
    fn scrub(&self) -> datastore::Result<()> {
        self.inner.scrub()
    }
}

/// Does something while another keeper puts `lab/net` under a hold before one of its transactions; whether it came that far.
fn raced(world: &World, before: i64, does: impl FnOnce(&Client<'_>)) -> bool {
    let options = world.options();
    let hook: Hook = Box::new(move || {
        let keeper = Keeper::open(&options).unwrap();
        let key = SigningKey::from_seed(&SigningSeed::generate().unwrap()).unwrap();
        let session = keeper.session(None, *key.verifying_key().as_bytes()).unwrap();
        keeper.call(&session, hold("lab/net")).unwrap();
    });
    let inner = Sqlite::open(&world.dir().join("keeper.db"), &Options::default()).unwrap();
    let hooked = Arc::new(Hooked { inner, left: AtomicI64::new(i64::MAX), hook: Mutex::new(Some(hook)) });
    let store = Some(Datastore::new(hooked.clone()));
    let keeper = Keeper::open(&OpenOptions { store, ..world.options() }).unwrap();
    let client = Client::new(&keeper, world, None);
    hooked.left.store(before, Ordering::SeqCst);
    does(&client);
    hooked.left.store(i64::MAX, Ordering::SeqCst);
    let left = hooked.hook.lock().unwrap().is_some();
    !left
}

/// Of the last entry.
fn ticket(client: &Client<'_>, act: &str) -> Option<i64> {
    entries(client, act).iter().map(|item| item.entry["ticket"].as_i64().unwrap()).max()
}

#[test]
fn a_hold_that_comes_anywhere_before_the_end_of_a_key_puts_it_off() {
    let (mut kept, mut before) = (0, 0);
    loop {
        let world = World::new(Mode::Solo);
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
        destroy(&client, domain_keys(&client)[0].id).unwrap();
        drop(client);
        keeper.close().unwrap();
        world.clock.advance(8 * DAY);
        let came = raced(&world, before, |client| {
            let _ = client.call(Command::JobsRun { name: Some("shred".into()) }).unwrap();
        });
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        let (held, put_off, shred) =
            (ticket(&client, "hold.set"), ticket(&client, "key.put-off"), ticket(&client, "key.shred"));
        assert_eq!(held.is_some(), came);
        // The hold came first, and nothing was destroyed; or the end did.
        assert!(put_off.is_some() != shred.is_some(), "before {before}: {put_off:?}, {shred:?}");
        assert!(held.is_none() || put_off > held || shred < held, "before {before}: {held:?}, {put_off:?}, {shred:?}");
        kept += u32::from(put_off.is_some());
        state_holds(&client);
        if !came {
            break;
        }
        before += 1;
        assert!(before < 200, "it does not end");
    }
    assert!(kept >= 3, "{kept} of {before}");
}

#[test]
fn a_hold_that_comes_anywhere_before_an_erasure_keeps_the_person() {
    let suspended = || {
        let world = staff(World::new(Mode::Rehearsal));
        let keeper = world.open();
        suspend(&Client::new(&keeper, &world, None), "wanda");
        keeper.close().unwrap();
        world
    };
    let (mut kept, mut before, mut world) = (0, 0, suspended());
    loop {
        let mut refused = None;
        let came = raced(&world, before, |client| refused = erase(client, "wanda").err());
        let keeper = world.open();
        let (owner, aud) = (Client::new(&keeper, &world, None), Client::new(&keeper, &world, Some("aud")));
        let (held, erased) = (ticket(&aud, "hold.set"), ticket(&aud, "principal.erase"));
        assert_eq!(refused.is_some(), erased.is_none(), "before {before}");
        if let Some(refused) = refused {
            // The hold came first. Without it, the same vault is there for the next try.
            assert!(came, "before {before}: {refused:?}");
            assert_eq!((refused.code, refused.try_.as_deref()), (Code::Conflict, Some("strongroom hold ls lab/net")));
            owner.call(lift("lab/net")).unwrap();
            kept += 1;
        } else {
            assert!(!came || erased < held, "before {before}: {held:?}, {erased:?}");
            world = suspended();
        }
        if !came {
            break;
        }
        before += 1;
        assert!(before < 200, "it does not end");
    }
    assert!(kept >= 3, "{kept} of {before}");
}

#[test]
fn a_hold_that_is_lifted_while_it_is_looked_for_keeps_nothing_twice() {
    for world in [World::new(Mode::Solo), World::postgres(Mode::Solo)] {
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        for reference in ["lab/net", "lab/net", "lab/other"] {
            client.put(&Put::new(reference).class(Class::Internal)).unwrap();
        }
        let key = domain_keys(&client)[0].id;
        client.call(hold("lab/net@v2")).unwrap();
        assert_eq!(code(destroy(&client, key)), Code::Denied);
        client.call(lift("lab/net@v2")).unwrap();
        destroy(&client, key).unwrap();
        client.call(hold("lab/net@v2")).unwrap();
        world.clock.advance(8 * DAY);
        assert_eq!(ran(&client, "shred"), 0);
        client.call(lift("lab/net@v2")).unwrap();
        world.clock.advance(DAY);
        assert_eq!(ran(&client, "shred"), 4);
        assert!(written(&client, key).contains("lab/other@v1"));
        state_holds(&client);
    }
}

#[test]
fn what_a_version_under_another_key_shares_stays_and_what_goes_together_goes() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let first = Put::new("lab/net").class(Class::Internal);
    let (begun, _) = client.begin(&first).unwrap();
    let record = first.record(&keeper, &begun);
    client.commit_record(&first, record.encode().unwrap()).unwrap();
    let borrowing = |previous: &Put| Put {
        previous: Some(previous.version),
        packs: record.packs.clone(),
        ..Put::new("lab/net").class(Class::Internal)
    };
    // More than are told of in one transaction, all of which name the segment of the first.
    let mut all = vec![first.clone()];
    for _ in 0..150 {
        let put = borrowing(all.last().unwrap());
        client.put(&put).unwrap();
        all.push(put);
    }
    let doomed = domain_keys(&client)[0].id;
    client.call(Command::KeyRotate(KeyRotate { no_wait: true, ..KeyRotate::default() })).unwrap();
    let last = borrowing(all.last().unwrap());
    client.put(&last).unwrap();
    destroy(&client, doomed).unwrap();
    world.clock.advance(8 * DAY);
    assert_eq!(ran(&client, "shred"), 152);
    assert_eq!(client.show("lab/net").unwrap().number, 152);
    assert_eq!(code(client.release(Action::Read, "lab/net@v151")), Code::Gone);
    client.release(Action::Read, "lab/net").unwrap();
    let text = written(&client, doomed);
    let keeps = format!("{} {}", first.objects[1], last.version);
    assert!(text.contains("lab/net@v1") && text.contains("lab/net@v151") && text.contains(&keeps), "{keeps}: {text}");
    world.clock.advance(1000);
    let mut gone: Vec<ObjectId> = all.iter().flat_map(|put| put.objects.clone()).collect();
    gone.retain(|object| *object != first.objects[1]);
    gone.sort();
    assert_eq!(collected(&client), gone);
    state_holds(&client);
}

#[test]
fn what_is_told_of_in_part_is_no_garbage_while_others_need_it() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let first = Put::new("lab/net").class(Class::Internal);
    let (begun, _) = client.begin(&first).unwrap();
    let record = first.record(&keeper, &begun);
    client.commit_record(&first, record.encode().unwrap()).unwrap();
    for _ in 0..150 {
        let (previous, packs) = (Some(first.version), record.packs.clone());
        client.put(&Put { previous, packs, ..Put::new("lab/net").class(Class::Internal) }).unwrap();
    }
    let doomed = domain_keys(&client)[0].id;
    destroy(&client, doomed).unwrap();
    drop(client);
    keeper.close().unwrap();
    world.clock.advance(8 * DAY);
    let inner = Sqlite::open(&world.dir().join("keeper.db"), &Options::default()).unwrap();
    let dying = Arc::new(Dying { inner, left: AtomicI64::new(i64::MAX) });
    let keeper = Keeper::open(&OpenOptions { store: Some(Datastore::new(dying.clone())), ..world.options() }).unwrap();
    let client = Client::new(&keeper, &world, None);
    // The end, and the first of two batches.
    dying.left.store(2, Ordering::SeqCst);
    let _ = client.call(Command::JobsRun { name: Some("shred".into()) });
    dying.left.store(i64::MAX, Ordering::SeqCst);
    assert_eq!(entries(&client, "key.gone").len(), 1, "half of it is told of");
    world.clock.advance(1000);
    let some = collected(&client);
    assert!(some.len() > 100 && !some.contains(&first.objects[1]), "{}", some.len());
    assert!(ran(&client, "shred") > 0);
    world.clock.advance(1000);
    assert!(collected(&client).contains(&first.objects[1]));
    assert!(client.show("lab/net").is_err(), "no version is left");
    state_holds(&client);
}
