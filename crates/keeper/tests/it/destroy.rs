//! `key destroy`: what a key opened stays shut at once, can be cancelled while its class waits, and is gone for good at the end, with a
//! certificate that needs no vault to be checked.

use crate::decisions::{entries, staff};
use crate::world::{Client, Put, World, code, name};
use api::terms::{Action, Class, Code, KeyId, KeyState, Mode};
use api::wire::{
    Answer, Certificate, Command, HoldLift, HoldSet, KeyDestroy, KeyDestroying, KeyItem, KeyMove, KeySpare, Problem,
    Remove, Restore,
};
use keeper::Keeper;
use keeper::datastore::sqlite::{Options, Sqlite};
use keeper::datastore::{self, Alteration, Datastore, Driver, Outcome, Transaction};
use keeper::vault::OpenOptions;
use log::certificate::{CertificateError, check, joined};
use log::keys::LogKeys;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const DAY: u64 = 86_400_000;

fn ask(client: &Client<'_>, command: Command) -> Result<KeyDestroying, Problem> {
    match client.call(command)? {
        Answer::KeyDestroying(done) => Ok(*done),
        other => panic!("{other:?}"),
    }
}

pub fn destroy(client: &Client<'_>, key: KeyId) -> Result<KeyDestroying, Problem> {
    ask(client, Command::KeyDestroy(KeyDestroy { key, reason: "the contract ended".into(), confirm: None }))
}

fn spare(client: &Client<'_>, key: KeyId) -> Result<KeyDestroying, Problem> {
    ask(client, Command::KeySpare(KeySpare { key, reason: "it did not".into() }))
}

pub fn domain_keys(client: &Client<'_>) -> Vec<KeyItem> {
    match client.call(Command::KeyList).unwrap() {
        Answer::Keys(list) => list.keys.into_iter().filter(|key| key.purpose == "domain").collect(),
        other => panic!("{other:?}"),
    }
}

fn certificate(client: &Client<'_>, key: KeyId, part: u32) -> Result<Certificate, Problem> {
    match client.call(Command::KeyCertificate { key, part })? {
        Answer::Certificate(told) => Ok(*told),
        other => panic!("{other:?}"),
    }
}

/// The whole of it, as the command writes it.
pub fn written(client: &Client<'_>, key: KeyId) -> String {
    let head = certificate(client, key, 0).unwrap();
    let parts: String = (1..=head.parts).map(|part| certificate(client, key, part).unwrap().text).collect();
    joined(&head.text, &parts, &head.entry.unwrap(), &head.proof.unwrap())
}

pub fn log_keys(client: &Client<'_>, world: &World) -> LogKeys {
    let folder = world.tmp.path().join(format!("export-{}", world.clock.millis()));
    client.call(Command::AuditExport { folder: folder.to_str().unwrap().into() }).unwrap();
    let text = std::fs::read_to_string(folder.join("vkeys")).unwrap();
    let (ed25519, mldsa) = text.trim_end().split_once('\n').unwrap();
    LogKeys::from_vkeys(ed25519, mldsa).unwrap()
}

pub fn ran(client: &Client<'_>, job: &str) -> u64 {
    match client.call(Command::JobsRun { name: Some(job.into()) }).unwrap() {
        Answer::JobsRan(ran) => {
            assert!(ran.items.iter().all(|item| item.failed.is_none()), "{ran:?}");
            ran.items.iter().map(|item| item.done).sum()
        }
        other => panic!("{other:?}"),
    }
}

pub fn state_holds(client: &Client<'_>) {
    match client.call(Command::StateVerify).unwrap() {
        Answer::StateVerified(verified) => assert!(verified.ok, "{verified:?}"),
        other => panic!("{other:?}"),
    }
}

/// Where the bytes of wraps lie: the sealed forms, as they stand in the database's files.
fn sealed(world: &World, under: KeyId) -> Vec<String> {
    let db = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
    let mut rows = db.prepare("SELECT body FROM wrap WHERE under = ?1 OR wrapped = ?1").unwrap();
    let bodies = rows.query_map([under.as_bytes()], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    bodies
        .map(|body| {
            let body: serde_json::Value = serde_json::from_slice(&body.unwrap()).unwrap();
            body["sealed"].as_str().unwrap().to_owned()
        })
        .collect()
}

fn in_files(world: &World, needle: &str) -> usize {
    let files = ["keeper.db", "keeper.db-wal"].map(|file| std::fs::read(world.dir().join(file)).unwrap_or_default());
    files.iter().flat_map(|bytes| bytes.windows(needle.len())).filter(|window| *window == needle.as_bytes()).count()
}

#[test]
fn a_domain_key_shuts_what_it_opens_comes_back_when_spared_and_takes_it_along_at_the_end() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    for reference in ["lab/net", "lab/net", "lab/other"] {
        client.put(&Put::new(reference).class(Class::Internal)).unwrap();
    }
    client.put(&Put::new("lab/open").class(Class::Public)).unwrap();
    client.release(Action::Read, "lab/net@v1").unwrap();
    let key = domain_keys(&client).iter().find(|key| key.class == Some(Class::Internal)).unwrap().id;
    let done = destroy(&client, key).unwrap();
    let until = done.until.unwrap();
    assert_eq!((done.of.as_str(), done.versions), ("lab/dev/internal", 3));
    assert_eq!(until.as_millis(), world.clock.millis() + 7 * DAY);
    assert!(done.receipt.is_some() && destroy(&client, key).unwrap().receipt.is_none());

    for reference in ["lab/net@v1", "lab/net@v2", "lab/other"] {
        let refused = client.release(Action::Read, reference).unwrap_err();
        assert_eq!((refused.code, refused.what.as_str()), (Code::Gone, "the key is to be destroyed"));
        let cancel = format!("strongroom key destroy {key} --cancel --reason REASON");
        assert!(refused.try_.unwrap().starts_with(&cancel) && refused.why.contains(&until.to_string()));
    }
    client.release(Action::Read, "lab/open").unwrap();
    // Writing goes on, under the next key; what is to go is not wrapped under that.
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    client.release(Action::Read, "lab/net@v3").unwrap();
    assert_eq!(ran(&client, "rewrap"), 0);
    let told: Vec<_> = domain_keys(&client).into_iter().filter(|key| key.class == Some(Class::Internal)).collect();
    assert_eq!(
        told.iter().map(|key| (key.version, key.state.as_str(), key.wraps)).collect::<Vec<_>>(),
        [(1, "deactivated", 3), (2, "active", 1)]
    );
    assert_eq!((told[0].ends, told[1].ends), (Some(until), None));

    spare(&client, key).unwrap();
    client.release(Action::Read, "lab/net@v1").unwrap();
    assert_eq!(code(spare(&client, key)), Code::Conflict);
    assert_eq!(code(certificate(&client, key, 0)), Code::Conflict);
    // Spared, it is an old key like others.
    destroy(&client, key).unwrap();
    world.clock.advance(7 * DAY - 1);
    assert_eq!(ran(&client, "shred"), 0);

    let bytes = sealed(&world, key);
    assert!(bytes.len() >= 4 && bytes.iter().all(|bytes| in_files(&world, bytes) > 0));
    world.clock.advance(1);
    assert_eq!(ran(&client, "shred"), 4);
    assert_eq!(ran(&client, "shred"), 0);
    assert!(bytes.iter().all(|bytes| in_files(&world, bytes) == 0), "a wrap is in the files still");
    for reference in ["lab/net@v1", "lab/other@v1"] {
        let refused = client.release(Action::Read, reference).unwrap_err();
        assert_eq!((refused.code, refused.what.as_str()), (Code::Gone, "the version was removed"), "{reference}");
    }
    assert_eq!(client.show("lab/net@v1").unwrap().key_state, KeyState::Destroyed);
    client.release(Action::Read, "lab/net@v3").unwrap();
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    assert_eq!((code(spare(&client, key)), code(destroy(&client, key))), (Code::Conflict, Code::Conflict));
    state_holds(&client);

    // The certificate holds by the log's keys alone, and nothing of it can be altered.
    let (text, by) = (written(&client, key), log_keys(&client, &world));
    let checked = check(&text, &by).unwrap();
    assert_eq!(checked.key, key.to_string());
    for line in ["kind domain", "of lab/dev/internal", &format!("destroyed {}", entry_time(&client))] {
        assert!(checked.head.iter().any(|held| held == line), "{line}: {:?}", checked.head);
    }
    for part in ["lab/net@v1", "lab/net@v2", "lab/other@v1", "wrapped-under"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("lab/net@v3") && !text.contains("the contract ended"));
    for (at, byte) in text.bytes().enumerate().step_by(7) {
        let mut altered = text.clone().into_bytes();
        altered[at] = if byte == b'0' { b'1' } else { b'0' };
        let altered = String::from_utf8_lossy(&altered).into_owned();
        if let Ok(checked) = check(&altered, &by) {
            // What a proof does not authenticate: signatures of others.
            panic!("a change at {at} was not seen: {checked:?}");
        }
    }
    let other = World::new(Mode::Solo);
    let others = other.open();
    let stranger = Client::new(&others, &other, None);
    assert!(matches!(check(&text, &log_keys(&stranger, &other)), Err(CertificateError::Proof(_))));
    assert_eq!((entries(&client, "key.destroy").len(), entries(&client, "key.spare").len()), (2, 1));
    assert_eq!((entries(&client, "key.shred").len(), entries(&client, "key.certify").len()), (1, 1));
}

fn entry_time(client: &Client<'_>) -> String {
    entries(client, "key.shred")[0].entry["time"].as_str().unwrap().to_owned()
}

#[test]
fn a_version_key_goes_as_a_removed_version_does_and_only_its_custodians_cancel() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    let key = client.show("lab/net@v1").unwrap().key;
    let done = destroy(&client, key).unwrap();
    assert_eq!((done.of.as_str(), done.versions), ("lab/net@v1", 1));
    let refused = client.release(Action::Read, "lab/net@v1").unwrap_err();
    assert_eq!(refused.code, Code::Gone);
    assert!(refused.try_.unwrap().starts_with("strongroom key destroy lab/net@v1 --cancel"));
    let undelete = client.call(Command::Restore(Restore { reference: "lab/net@v1".into() }));
    assert_eq!(code(undelete), Code::Conflict);
    spare(&client, key).unwrap();
    client.release(Action::Read, "lab/net@v1").unwrap();
    // Also where somebody has removed the version before: then it is the custodians' to bring back.
    let wish = Remove { reference: "lab/net@v1".into(), all: false, reason: None, confirm: None, dry: false };
    client.call(Command::Remove(wish)).unwrap();
    assert!(destroy(&client, key).unwrap().receipt.is_some());
    assert_eq!(code(client.call(Command::Restore(Restore { reference: "lab/net@v1".into() }))), Code::Conflict);
    world.clock.advance(7 * DAY);
    assert_eq!(ran(&client, "destroy"), 1);
    assert_eq!(code(client.release(Action::Read, "lab/net@v1")), Code::Gone);
    client.release(Action::Read, "lab/net@v2").unwrap();
    let text = written(&client, key);
    let checked = check(&text, &log_keys(&client, &world)).unwrap();
    assert!(checked.head.iter().any(|line| line == "of lab/net@v1"), "{:?}", checked.head);
    state_holds(&client);
}

#[test]
fn a_certificate_names_the_packs_that_live_on_and_who_needs_them() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let first = Put::new("lab/net").class(Class::Internal);
    let (begun, _) = client.begin(&first).unwrap();
    let record = first.record(&keeper, &begun);
    client.commit_record(&first, record.encode().unwrap()).unwrap();
    let second = Put {
        previous: Some(first.version),
        packs: record.packs.clone(),
        ..Put::new("lab/net").class(Class::Internal)
    };
    client.put(&second).unwrap();
    let certified = |reference: &str| {
        let key = client.show(reference).unwrap().key;
        destroy(&client, key).unwrap();
        world.clock.advance(7 * DAY);
        assert_eq!(ran(&client, "destroy"), 1);
        written(&client, key)
    };
    let lines = |text: &str, name: &str| {
        let of = text.lines().filter_map(|line| line.strip_prefix(name).and_then(|rest| rest.strip_prefix(' ')));
        of.map(str::to_owned).collect::<Vec<_>>()
    };
    let text = certified("lab/net@v1");
    let by = log_keys(&client, &world);
    check(&text, &by).unwrap();
    let [_, segment] = first.objects[..] else { panic!() };
    let lives = format!("{segment} {}", second.version);
    assert_eq!(lines(&text, "lives-on"), std::slice::from_ref(&lives), "{text}");
    assert_eq!((lines(&text, "freed"), lines(&text, "kept")), (vec!["1".to_owned()], vec!["1".to_owned()]));
    // Nobody takes that out of it, or names another version.
    for altered in [
        text.replace(&format!("lives-on {lives}\n"), ""),
        text.replace(&second.version.to_string(), &first.version.to_string()),
    ] {
        assert!(altered != text && check(&altered, &by).is_err());
    }
    client.release(Action::Read, "lab/net@v2").unwrap();
    // With the last one that needs them they go.
    let last = certified("lab/net@v2");
    check(&last, &log_keys(&client, &world)).unwrap();
    assert_eq!((lines(&last, "lives-on").len(), lines(&last, "freed")), (0, vec!["3".to_owned()]), "{last}");
    state_holds(&client);
}

#[test]
fn a_legal_hold_keeps_a_domain_key_before_and_while_it_waits() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    let key = domain_keys(&client)[0].id;
    let hold = HoldSet { reference: "lab/net".into(), name: name("case"), reason: "a case".into() };
    let lift = HoldLift { reference: "lab/net".into(), name: name("case"), reason: "closed".into() };
    client.call(Command::HoldSet(hold.clone())).unwrap();
    let refused = destroy(&client, key).unwrap_err();
    assert_eq!(refused.code, Code::Denied);
    assert!(refused.refusal.unwrap().policies.iter().any(|policy| policy == "legal-hold"));
    client.call(Command::HoldLift(lift.clone())).unwrap();
    destroy(&client, key).unwrap();
    client.call(Command::HoldSet(hold)).unwrap();
    world.clock.advance(8 * DAY);
    assert_eq!(ran(&client, "shred"), 0);
    assert_eq!(entries(&client, "key.put-off").len(), 1);
    client.call(Command::HoldLift(lift)).unwrap();
    world.clock.advance(DAY);
    assert_eq!(ran(&client, "shred"), 2);
    state_holds(&client);
}

#[test]
fn custodians_destroy_and_spare_and_nobody_who_works_with_the_data() {
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    let wanda = Client::new(&keeper, &world, Some("wanda"));
    wanda.put(&Put::new("lab/mine").class(Class::Internal)).unwrap();
    let cathy = Client::new(&keeper, &world, Some("cus"));
    let key = domain_keys(&cathy).iter().find(|key| key.class == Some(Class::Internal)).unwrap().id;
    for who in ["wanda", "rick"] {
        let other = Client::new(&keeper, &world, Some(who));
        assert_eq!(code(destroy(&other, key)), Code::Denied, "{who}");
    }
    destroy(&cathy, key).unwrap();
    assert_eq!(code(spare(&wanda, key)), Code::Denied);
    spare(&cathy, key).unwrap();
    wanda.release(Action::Read, "lab/mine").unwrap();
    // No key of the vault itself, and none that is not there.
    let Answer::Keys(all) = owner.call(Command::KeyList).unwrap() else { panic!() };
    let own = all.keys.iter().find(|key| key.purpose == "release").unwrap().id;
    assert_eq!(code(destroy(&cathy, own)), Code::Conflict);
    assert_eq!(code(destroy(&cathy, KeyId::from_bytes([9; 16]))), Code::NotFound);
}

/// A database whose writes fail after so many, and which forgets nothing then.
pub struct Dying {
    pub inner: Sqlite,
    pub left: AtomicI64,
}

impl Driver for Dying {
    fn read(&self, body: &mut dyn FnMut(&mut dyn Transaction) -> Outcome) -> datastore::Result<()> {
        self.inner.read(body)
    }
    fn write(&self, body: &mut dyn FnMut(&mut dyn Transaction) -> Outcome) -> datastore::Result<()> {
        if self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(datastore::Error::Unavailable("the test".into()));
        }
        self.inner.write(body)
    }
    fn alter(&self, body: &mut dyn FnMut(&mut dyn Alteration) -> Outcome) -> datastore::Result<()> {
        self.inner.alter(body)
    }
    fn scrub(&self) -> datastore::Result<()> {
        if self.left.load(Ordering::SeqCst) <= 0 {
            return Err(datastore::Error::Unavailable("the test".into()));
        }
        self.inner.scrub()
    }
}

#[test]
fn whoever_is_killed_goes_on_where_it_was_and_a_draft_goes_with_its_key() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    for _ in 0..3 {
        client.put(&Put::new("lab/net").class(Class::Internal)).unwrap();
    }
    let begun = Put::new("lab/late").class(Class::Internal);
    let (late, _) = client.begin(&begun).unwrap();
    let key = domain_keys(&client)[0].id;
    destroy(&client, key).unwrap();
    drop(client);
    keeper.close().unwrap();
    // Not before: whoever closes takes what is due along.
    world.clock.advance(7 * DAY);
    let mut deaths = 0;
    loop {
        let inner = Sqlite::open(&world.dir().join("keeper.db"), &Options::default()).unwrap();
        let dying = Arc::new(Dying { inner, left: AtomicI64::new(i64::MAX) });
        let store = Some(Datastore::new(dying.clone()));
        let keeper = Keeper::open(&OpenOptions { store, ..world.options() }).unwrap();
        let client = Client::new(&keeper, &world, None);
        dying.left.store(deaths + 1, Ordering::SeqCst);
        let ran = client.call(Command::JobsRun { name: Some("shred".into()) });
        match ran {
            Ok(Answer::JobsRan(ran)) if ran.items.iter().all(|item| item.failed.is_none()) => break,
            Ok(_) | Err(_) => deaths += 1,
        }
        assert!(deaths < 20, "it does not get on");
        // Whatever was reached, nothing of it opens.
        dying.left.store(i64::MAX, Ordering::SeqCst);
        assert_eq!(code(client.release(Action::Read, "lab/net@v1")), Code::Gone);
    }
    assert!(deaths >= 2, "{deaths}");
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    assert!(client.commit(&begun, &late).is_err());
    let text = written(&client, key);
    assert!(text.contains("unfinished 1") && text.contains("lab/net@v3"), "{text}");
    check(&text, &log_keys(&client, &world)).unwrap();
    state_holds(&client);
}

#[test]
fn what_was_begun_under_a_key_that_is_to_go_is_not_finished_and_one_set_aside_stays_so() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let begun = Put::new("lab/late").class(Class::Internal);
    let (late, _) = client.begin(&begun).unwrap();
    let key = domain_keys(&client)[0].id;
    destroy(&client, key).unwrap();
    let refused = client.commit(&begun, &late).unwrap_err();
    assert_eq!((refused.code, refused.what.as_str()), (Code::Gone, "the key is to be destroyed"));
    // The same put begins anew, under the domain's next key.
    client.put(&Put::new("lab/late").class(Class::Internal)).unwrap();
    client.release(Action::Read, "lab/late").unwrap();

    // Sparing a suspended key is not resuming it.
    let newest = domain_keys(&client).into_iter().find(|key| key.state == "active").unwrap().id;
    let suspend = KeyMove { key: newest, to: KeyState::Suspended, reason: "looked into".into() };
    client.call(Command::KeyMove(suspend)).unwrap();
    destroy(&client, newest).unwrap();
    spare(&client, newest).unwrap();
    let refused = client.release(Action::Read, "lab/late").unwrap_err();
    assert_eq!((refused.code, refused.what.as_str()), (Code::Gone, "the key is suspended"));
    assert_eq!(code(client.put(&Put::new("lab/more").class(Class::Internal))), Code::Gone);
    state_holds(&client);
}
