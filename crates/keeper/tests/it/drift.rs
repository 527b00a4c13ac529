//! The vault's table over time: what its dates open, close and ask for, what of it is out of policy, and that no clock brings it back.

use crate::decisions::{entries, principal, staff};
use crate::destroy::{domain_keys, state_holds};
use crate::world::{Client, Put, World, code};
use api::terms::{Action, Class, Code, Environment, Mode, Suite, Timestamp};
use api::wire::{
    Answer, Command, Decrypt, Encrypt, KeyArchive, KeyCheck, KeyChecked, KeyDestroy, KeyItem, KeyMove, KeyPlanned,
    KeyRotate, KeyRotated, KeyWrong, KeysStand, NamedKeyMake, Plain, Problem, RootRemove, SuitesShown, WrapsMended,
};
use keeper::Keeper;
use keeper::vault::{OpenOptions, RootAdd, RootChoice, RootMeans, RootUnlock};
use std::collections::BTreeMap;

const BASELINE: &str = policy::Crypto::BASELINE;
const DAY: u64 = 86_400_000;
const NIST: seal::Suite = seal::Suite::Nist;
const DEFAULT: seal::Suite = seal::Suite::Default;

/// The baseline with other lines for the class confidential.
pub fn confidential(lines: &str) -> String {
    let class = "[class.confidential]\nwrite = \"default\"\nread = [\"default\", \"nist\"]";
    assert!(BASELINE.contains(class));
    BASELINE.replacen(class, &format!("[class.confidential]\n{lines}"), 1)
}

/// `nist` writes from one day on, and `default` is opened until another.
pub fn goes_over(from: Timestamp, until: Timestamp) -> String {
    confidential(&format!(
        "write = [\"default\", {{ suite = \"nist\", from = \"{from}\" }}]\n\
         read = [{{ suite = \"default\", until = \"{until}\" }}, \"nist\"]"
    ))
}

pub fn apply(client: &Client<'_>, table: &str, lockout: bool) -> Result<SuitesShown, Problem> {
    match client.call(Command::SuitesApply { table: table.to_owned(), lockout })? {
        Answer::Suites(shown) => Ok(shown),
        other => panic!("{other:?}"),
    }
}

fn check_at(client: &Client<'_>, at: Option<Timestamp>, within: u64) -> KeyChecked {
    match client.call(Command::KeyCheck(KeyCheck { at, within_secs: within / 1_000 })).unwrap() {
        Answer::KeyChecked(checked) => *checked,
        other => panic!("{other:?}"),
    }
}

pub fn check(client: &Client<'_>) -> KeyChecked {
    check_at(client, None, 0)
}

pub fn wrong(checked: &KeyChecked) -> Vec<KeyWrong> {
    checked.items.iter().map(|item| item.wrong).collect()
}

fn plan(client: &Client<'_>) -> KeyPlanned {
    let page = |after| match client.call(Command::KeyPlan { after }).unwrap() {
        Answer::KeyPlanned(planned) => *planned,
        other => panic!("{other:?}"),
    };
    let mut whole = page(None);
    while let Some(after) = whole.next {
        let more = page(Some(after));
        whole.versions.extend(more.versions);
        whole.left.extend(more.left);
        whole.next = more.next;
    }
    whole
}

fn mend(client: &Client<'_>) -> WrapsMended {
    match client.call(Command::WrapsMend).unwrap() {
        Answer::WrapsMended(mended) => mended,
        other => panic!("{other:?}"),
    }
}

pub fn rotate(client: &Client<'_>) -> Result<KeyRotated, Problem> {
    match client.call(Command::KeyRotate(KeyRotate { out_of_policy: true, ..KeyRotate::default() }))? {
        Answer::Rotated(rotated) => Ok(rotated),
        other => panic!("{other:?}"),
    }
}

pub fn after(world: &World, days: u64) -> Timestamp {
    Timestamp::from_millis(world.clock.millis() + days * DAY)
}

#[test]
fn a_date_changes_what_is_written_and_then_what_is_opened() {
    for world in World::both(Mode::Solo) {
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        let (from, until) = (after(&world, 20), after(&world, 40));
        apply(&client, &goes_over(from, until), false).unwrap();
        let first = Put::new("lab/net");
        client.put(&first).unwrap();
        assert_eq!(wrong(&check(&client)), []);

        // What is to come is told before it comes.
        let told = check_at(&client, None, 30 * DAY);
        assert!(told.ok && told.coming.len() == 2, "{told:?}");
        assert!(told.coming.iter().all(|item| item.wrong == KeyWrong::Suite && item.since == Some(from)), "{told:?}");
        let then = check_at(&client, Some(from), 30 * DAY);
        assert_eq!(wrong(&then), [KeyWrong::Suite, KeyWrong::Suite]);
        assert_eq!((then.coming[0].wrong, then.coming[0].since), (KeyWrong::Unread, Some(until)));
        assert!(then.coming[0].mend.contains("key reencrypt lab/net@v1"), "{then:?}");

        world.clock.set(from.as_millis());
        let second = Put::new("lab/net");
        let refused = client.begin(&second).unwrap_err();
        assert_eq!((refused.code, refused.suite), (Code::Conflict, Some(Suite::Nist)));
        assert_eq!(domain_keys(&client).len(), 1);
        assert_eq!(client.under(NIST).put(&second).unwrap().version.suite, Suite::Nist);
        // The domain's key was followed on the way, and nobody was kept waiting.
        let keys = domain_keys(&client);
        let states: Vec<&str> = keys.iter().map(|key| key.state.as_str()).collect();
        assert_eq!(states, ["deactivated", "active"]);
        client.under(DEFAULT).release(Action::Read, "lab/net@v1").unwrap();

        world.clock.set(until.as_millis());
        let refused = client.release(Action::Read, "lab/net@v1").unwrap_err();
        assert_eq!(refused.code, Code::Gone);
        assert!(refused.why.contains("`default`") && refused.why.contains(&until.to_string()), "{refused:?}");
        assert_eq!(refused.try_.as_deref(), Some("strongroom key reencrypt lab/net@v1"));
        let denied = entries(&client, "release.read");
        assert!(denied.iter().any(|item| item.entry.to_string().contains(&until.to_string())), "it is in the log");
        client.under(NIST).release(Action::Read, "lab/net@v2").unwrap();
        // To be sealed anew it is opened still.
        client.under(DEFAULT).release(Action::Reencrypt, "lab/net@v1").unwrap();
        state_holds(&client);
    }
}

#[test]
fn a_clock_that_is_set_back_opens_nothing_again() {
    for world in World::both(Mode::Solo) {
        let (from, until) = (after(&world, 1), after(&world, 2));
        {
            let keeper = world.open();
            let client = Client::new(&keeper, &world, None);
            client.put(&Put::new("lab/net")).unwrap();
            apply(&client, &goes_over(from, until), false).unwrap();
            // A second before: the mark in the database is not far behind.
            world.clock.set(until.as_millis() - 1_000);
            client.release(Action::Read, "lab/net").unwrap();
            world.clock.set(until.as_millis());
            assert_eq!(code(client.release(Action::Read, "lab/net")), Code::Gone);
            world.clock.set(until.as_millis() - 60_000);
            assert_eq!(code(client.release(Action::Read, "lab/net")), Code::Gone, "in this process");
        }
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        assert_eq!(code(client.release(Action::Read, "lab/net")), Code::Gone, "and in the next one");
        drop(client);
        keeper.close().unwrap();
        world.clock.set(until.as_millis() - DAY);
        assert_eq!(Keeper::open(&world.options()).unwrap_err().code, Code::ClockBack);
    }
}

#[test]
fn values_are_sealed_in_the_suite_of_the_day_and_old_ones_only_renewed() {
    for world in World::both(Mode::Solo) {
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        let (from, until) = (after(&world, 20), after(&world, 40));
        apply(&client, &goes_over(from, until), false).unwrap();
        let (workspace, name) = ("app".parse().unwrap(), "db".parse().unwrap());
        let made = NamedKeyMake { workspace, name, environment: Environment::Dev, class: Some(Class::Confidential) };
        client.call(Command::NamedKeyMake(made)).unwrap();
        let encrypt = || {
            let (workspace, name) = ("app".parse().unwrap(), "db".parse().unwrap());
            let (context, value) = (BTreeMap::new(), Plain::new(b"secret".to_vec()));
            match client.call(Command::Encrypt(Encrypt { workspace, name, context, value, reason: None })).unwrap() {
                Answer::Encrypted(done) => *done,
                other => panic!("{other:?}"),
            }
        };
        let asked = |token: &str| Decrypt {
            token: token.to_owned(),
            context: BTreeMap::new(),
            reason: None,
            confirm: None,
            to_disk: false,
        };
        let old = encrypt();
        assert_eq!(old.version, 1);
        world.clock.set(from.as_millis());
        assert_eq!(wrong(&check(&client)), [KeyWrong::Suite, KeyWrong::Suite], "domain and named key");
        assert_eq!(encrypt().version, 2, "the next version seals");
        assert_eq!(domain_keys(&client).last().unwrap().version, 2, "under a domain key that may be written with");
        client.call(Command::Decrypt(asked(&old.token))).unwrap();

        world.clock.set(until.as_millis());
        let refused = client.call(Command::Decrypt(asked(&old.token))).unwrap_err();
        assert_eq!((refused.code, refused.try_.as_deref()), (Code::Gone, Some("strongroom encrypt --renew")));
        let Answer::Encrypted(renewed) = client.call(Command::Renew(asked(&old.token))).unwrap() else { panic!() };
        assert_eq!((renewed.before, renewed.version), (Some(1), 2));
        client.call(Command::Decrypt(asked(&renewed.token))).unwrap();
        let left: Vec<String> = plan(&client).left.into_iter().map(|left| left.of).collect();
        assert_eq!(left, ["app/db v1"], "what only people know of");
        state_holds(&client);
    }
}

/// A vault with a key file and a passphrase, given both.
fn two_roots(world: &World) -> (Keeper, OpenOptions) {
    let keeper = world.open();
    let client = Client::new(&keeper, world, None);
    client.put(&Put::new("lab/old")).unwrap();
    let choice = RootChoice::Passphrase { bytes: b"correct horse".to_vec().into() };
    keeper.add_root(&client.session, &RootAdd { choice, priority: None, follows: None }).unwrap();
    drop(client);
    keeper.close().unwrap();
    let options = world.options();
    let phrase = RootMeans { root: None, unlock: RootUnlock::Passphrase(b"correct horse".to_vec().into()) };
    let roots = options.roots.iter().cloned().chain([std::sync::Arc::new(phrase)]).collect();
    let both = OpenOptions { roots, ..options };
    (Keeper::open(&both).unwrap(), both)
}

pub const SUITES: &str = "write = \"default\"\nread = [\"default\", \"nist\"]";

#[test]
fn a_root_that_may_only_open_wraps_nothing_new_and_then_opens_nothing() {
    let world = World::new(Mode::Solo);
    let (keeper, both) = two_roots(&world);
    let client = Client::new(&keeper, &world, None);
    let until = after(&world, 40);
    let table = confidential(&format!(
        "{SUITES}\nwrap = [\"passphrase\"]\nopen = [\"passphrase\", {{ root = \"keyfile\", until = \"{until}\" }}]"
    ));
    apply(&client, &table, false).unwrap();
    assert_eq!(wrong(&check(&client)), [KeyWrong::Root]);
    // What is written now is not under the key file.
    client.put(&Put::new("lab/new")).unwrap();
    let keys = domain_keys(&client);
    assert_eq!(keys.iter().map(|key| key.state.as_str()).collect::<Vec<_>>(), ["deactivated", "active"]);
    let under = |key: &KeyItem| {
        let sql = "SELECT COUNT(*) FROM wrap WHERE wrapped = ?1";
        let db = rusqlite::Connection::open(world.dir().join("keeper.db")).unwrap();
        db.query_row(sql, [key.id.as_bytes().as_slice()], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!((under(&keys[0]), under(&keys[1])), (2, 1));
    let planned = plan(&client);
    assert_eq!((planned.domains.len(), planned.rewraps, planned.wraps), (0, 1, 1));

    rotate(&client).unwrap();
    assert_eq!(mend(&client), WrapsMended { made: 0, removed: 1, kept: 0 });
    assert_eq!(mend(&client), WrapsMended { made: 0, removed: 0, kept: 0 }, "once is enough");
    assert_eq!((under(&keys[0]), under(&keys[1])), (1, 1));
    assert!(check(&client).ok);
    // Nothing but the time of keys comes.
    let coming = check_at(&client, None, 90 * DAY).coming;
    assert!(!coming.is_empty() && coming.iter().all(|finding| finding.wrong == KeyWrong::Overdue), "{coming:?}");
    state_holds(&client);
    drop(client);
    keeper.close().unwrap();

    // Whoever has the key file alone opens the vault, and nothing of that class.
    for days in [0, 41] {
        world.clock.advance(days * DAY);
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        let refused = client.release(Action::Read, "lab/new").unwrap_err();
        assert_eq!(refused.code, Code::RootRefused, "the other root is not here: {refused:?}");
    }
    let keeper = Keeper::open(&both).unwrap();
    let client = Client::new(&keeper, &world, None);
    client.release(Action::Read, "lab/new").unwrap();
    client.release(Action::Read, "lab/old").unwrap();
}

#[test]
fn a_key_under_a_root_that_may_not_open_any_more_says_since_when() {
    let world = World::new(Mode::Solo);
    let (keeper, _) = two_roots(&world);
    let client = Client::new(&keeper, &world, None);
    let until = after(&world, 5);
    let open = format!("open = [\"passphrase\", {{ root = \"keyfile\", until = \"{until}\" }}]");
    apply(&client, &confidential(&format!("{SUITES}\nwrap = [\"passphrase\"]\n{open}")), false).unwrap();
    drop(client);
    keeper.close().unwrap();
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    // Opened, and kept in memory for an hour: not past the date.
    client.release(Action::Read, "lab/old").unwrap();
    world.clock.set(until.as_millis());
    // The passphrase is not here: the key stays shut, and the wrap under the key file is not looked at.
    assert_eq!(code(client.release(Action::Read, "lab/old")), Code::RootRefused);
    drop(client);
    keeper.close().unwrap();

    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/old")).unwrap();
    client.release(Action::Read, "lab/old").unwrap();
    let until = after(&world, 5);
    let open = format!("open = [\"passphrase\", {{ root = \"keyfile\", until = \"{until}\" }}]");
    let table = confidential(&format!("{SUITES}\nwrap = [\"passphrase\"]\n{open}"));
    let refused = apply(&client, &table, false).unwrap_err();
    assert_eq!(refused.code, Code::Conflict);
    assert!(refused.why.contains("confidential in dev") && refused.why.contains(&until.to_string()), "{refused:?}");
    assert!(refused.try_.is_some_and(|hint| hint.contains("--accept-lockout")));
    assert_eq!(apply(&client, &table, true).unwrap().warnings.len(), 2);
    // Nothing new can be sealed at once, and nothing be read from the date on.
    assert_eq!(code(client.put(&Put::new("lab/new"))), Code::Unsupported);
    client.release(Action::Read, "lab/old").unwrap();
    assert_eq!(mend(&client), WrapsMended { made: 0, removed: 0, kept: 1 }, "the only one stays");
    world.clock.set(until.as_millis());
    let refused = client.release(Action::Read, "lab/old").unwrap_err();
    assert_eq!(refused.code, Code::Gone, "{refused:?}");
    assert!(refused.why.contains("keyfile") && refused.why.contains(&until.to_string()), "{refused:?}");
    assert_eq!(wrong(&check(&client)), [KeyWrong::Root, KeyWrong::Locked]);
    let choice = RootChoice::Keyfile { path: world.tmp.path().join("keys/second.key") };
    keeper.add_root(&client.session, &RootAdd { choice, priority: None, follows: None }).unwrap();
    apply(&client, "", true).unwrap();
    client.release(Action::Read, "lab/old").unwrap();
    state_holds(&client);
}

#[test]
fn the_only_root_that_may_open_a_key_is_not_removed() {
    for world in World::both(Mode::Solo) {
        let (keeper, _) = two_roots(&world);
        let client = Client::new(&keeper, &world, None);
        let roots = || match client.call(Command::RootList).unwrap() {
            Answer::Roots(list) => list.roots,
            other => panic!("{other:?}"),
        };
        let keyfile = roots().into_iter().find(|root| root.kind == "keyfile").unwrap().id;
        let lines = format!("{SUITES}\nwrap = [\"keyfile\", \"hsm\"]\nopen = [\"keyfile\", \"hsm\"]");
        apply(&client, &confidential(&lines), false).unwrap();
        let remove = || client.call(Command::RootRemove(RootRemove { root: keyfile, after: None }));
        let refused = remove().unwrap_err();
        assert_eq!((refused.code, refused.try_.as_deref()), (Code::Conflict, Some("strongroom key check")));
        assert_eq!(roots().len(), 2, "the passphrase wraps the key, and may not open it");
        apply(&client, "", false).unwrap();
        remove().unwrap();
        client.release(Action::Read, "lab/old").unwrap();
    }
}

#[test]
fn archive_keys_count_where_a_table_or_a_root_that_goes_would_shut_them() {
    for world in World::both(Mode::Solo) {
        let (keeper, _) = two_roots(&world);
        let client = Client::new(&keeper, &world, None);
        let version = client.show("lab/old").unwrap().id;
        let ask = KeyArchive { versions: vec![version], reason: "out of use".into() };
        client.call(Command::KeyArchive(ask)).unwrap();
        // The domain's own key goes; what is left of the place is in the archive.
        let keys = domain_keys(&client);
        client.call(Command::KeyDestroy(KeyDestroy { key: keys[0].id, reason: "r".into(), confirm: None })).unwrap();
        world.clock.advance(31 * DAY);
        client.call(Command::JobsRun { name: Some("shred".into()) }).unwrap();
        client.release(Action::Read, "lab/old").unwrap();
        let lines = format!("{SUITES}\nwrap = [\"hsm\"]\nopen = [\"hsm\"]");
        let refused = apply(&client, &confidential(&lines), false).unwrap_err();
        assert!(refused.why.contains("nothing that is confidential"), "{refused:?}");
        let lines = format!("{SUITES}\nwrap = [\"keyfile\", \"hsm\"]\nopen = [\"keyfile\", \"hsm\"]");
        apply(&client, &confidential(&lines), false).unwrap();
        let Answer::Roots(list) = client.call(Command::RootList).unwrap() else { panic!() };
        let keyfile = list.roots.iter().find(|root| root.kind == "keyfile").unwrap().id;
        let refused = client.call(Command::RootRemove(RootRemove { root: keyfile, after: None }));
        assert_eq!(code(refused), Code::Conflict);
        client.release(Action::Read, "lab/old").unwrap();
    }
}

#[test]
fn a_root_is_not_removed_that_a_date_to_come_leaves_alone() {
    let world = World::new(Mode::Solo);
    let (keeper, _) = two_roots(&world);
    let client = Client::new(&keeper, &world, None);
    let until = after(&world, 20);
    let line = "[passphrase.default]\nmemory_kib = 65536\npasses = 3\nlanes = 4";
    let dated = format!(
        "[passphrase.default]\nmemory_kib = 65536\npasses = 4\nlanes = 4\n\n[passphrase.read.default]\n\
         memory_kib = 65536\npasses = 4\nfrom = \"{until}\""
    );
    apply(&client, &BASELINE.replacen(line, &dated, 1), false).unwrap();
    let Answer::Roots(list) = client.call(Command::RootList).unwrap() else { panic!() };
    let keyfile = list.roots.iter().find(|root| root.kind == "keyfile").unwrap().id;
    let refused = client.call(Command::RootRemove(RootRemove { root: keyfile, after: None })).unwrap_err();
    assert_eq!(refused.code, Code::Conflict);
    assert!(refused.why.contains("no root opens the vault") && refused.why.contains(&until.to_string()), "{refused:?}");
}

#[test]
fn a_root_that_may_wrap_for_no_class_is_not_added() {
    let world = World::new(Mode::Solo);
    let (keeper, _) = two_roots(&world);
    let client = Client::new(&keeper, &world, None);
    let lines = BASELINE.lines().map(|line| match line.starts_with("read = ") {
        true => format!("{line}\nwrap = [\"passphrase\", \"hsm\", \"kms\", \"escrow\"]\nopen = [\"passphrase\", \"hsm\", \"kms\", \"escrow\", \"keyfile\"]\n"),
        false => format!("{line}\n"),
    });
    apply(&client, &lines.collect::<String>(), false).unwrap();
    let path = world.tmp.path().join("keys/second.key");
    let choice = RootChoice::Keyfile { path: path.clone() };
    let refused = keeper.add_root(&client.session, &RootAdd { choice, priority: None, follows: None }).unwrap_err();
    assert_eq!((refused.code, path.exists()), (Code::Gone, false), "{refused:?}");
}

#[test]
fn a_passphrase_that_costs_too_little_opens_nothing_from_its_date_on() {
    let world = World::with_root(Mode::Solo, Some(b"correct horse"));
    let phrase = || RootUnlock::Passphrase(b"correct horse".to_vec().into());
    let options =
        || OpenOptions { clock: world.options().clock, ..OpenOptions::new(world.dir(), phrase(), world.anchor()) };
    let keeper = Keeper::open(&options()).unwrap();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net")).unwrap();
    let (from, until) = (after(&world, 10), after(&world, 20));
    let line = "[passphrase.default]\nmemory_kib = 65536\npasses = 3\nlanes = 4";
    let dated = format!(
        "[[passphrase.default]]\nmemory_kib = 65536\npasses = 3\nlanes = 4\n\n[[passphrase.default]]\nmemory_kib = 65536\n\
         passes = 4\nlanes = 4\nfrom = \"{from}\"\n\n[passphrase.read.default]\nmemory_kib = 65536\npasses = 4\nfrom = \"{until}\""
    );
    let table = BASELINE.replacen(line, &dated, 1);
    let refused = apply(&client, &table, false).unwrap_err();
    assert!(refused.why.contains("no root opens the vault") && refused.why.contains(&until.to_string()), "{refused:?}");
    apply(&client, &table, true).unwrap();
    assert!(check(&client).ok);
    let told = check_at(&client, Some(from), 30 * DAY);
    assert_eq!((wrong(&told), told.coming[0].wrong), (vec![KeyWrong::Cost], KeyWrong::Weak));
    assert!(told.items[0].mend.starts_with("strongroom root rotate "), "{told:?}");

    // Another one is made at the new cost, and opens after the date.
    world.clock.set(from.as_millis());
    let choice = RootChoice::Passphrase { bytes: b"battery staple".to_vec().into() };
    keeper.add_root(&client.session, &RootAdd { choice, priority: None, follows: None }).unwrap();
    drop(client);
    keeper.close().unwrap();
    world.clock.set(until.as_millis());
    let refused = Keeper::open(&options()).unwrap_err();
    assert_eq!(refused.code, Code::Gone, "{refused:?}");
    assert!(refused.why.contains("3 passes") && refused.why.contains(&until.to_string()), "{refused:?}");
    let strong = RootUnlock::Passphrase(b"battery staple".to_vec().into());
    let keeper =
        Keeper::open(&OpenOptions { clock: options().clock, ..OpenOptions::new(world.dir(), strong, world.anchor()) })
            .unwrap();
    let client = Client::new(&keeper, &world, None);
    client.release(Action::Read, "lab/net").unwrap();
    assert_eq!(wrong(&check(&client)), [KeyWrong::Weak]);
}

#[test]
fn an_open_passphrase_root_wraps_nothing_new_from_its_date_on() {
    let world = World::with_root(Mode::Solo, Some(b"correct horse"));
    let phrase = RootUnlock::Passphrase(b"correct horse".to_vec().into());
    let clock = world.options().clock;
    let keeper = Keeper::open(&OpenOptions { clock, ..OpenOptions::new(world.dir(), phrase, world.anchor()) }).unwrap();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net")).unwrap();
    let until = after(&world, 20);
    let line = "[passphrase.default]\nmemory_kib = 65536\npasses = 3\nlanes = 4";
    let dated = format!(
        "[[passphrase.default]]\nmemory_kib = 65536\npasses = 4\nlanes = 4\n\n\
         [passphrase.read.default]\nmemory_kib = 65536\npasses = 4\nfrom = \"{until}\""
    );
    apply(&client, &BASELINE.replacen(line, &dated, 1), true).unwrap();
    let soon = stand(&client).away.unwrap();
    assert_eq!((soon.from, soon.domains, soon.of), (until, 1, vec!["lab/dev/confidential".to_owned()]));
    client.put(&Put::new("lab/open").class(Class::Public)).unwrap();

    world.clock.set(until.as_millis());
    // What it wrapped it opens, and what needs no root goes on.
    client.release(Action::Read, "lab/net").unwrap();
    client.put(&Put::new("lab/net")).unwrap();
    let new = || Put::new("lab/new").class(Class::Internal);
    let refused = client.put(&new()).unwrap_err();
    assert_eq!((refused.code, refused.what.as_str()), (Code::Gone, "the passphrase is out of policy"));
    let hint = refused.try_.unwrap();
    assert!(hint.starts_with("strongroom root rotate "), "{hint}");
    assert!(refused.why.contains("3 passes") && refused.why.contains(&until.to_string()), "{}", refused.why);
    let of = |class| Command::KeyRotate(KeyRotate { class: Some(class), ..KeyRotate::default() });
    assert_eq!(code(client.call(of(Class::Confidential))), Code::Gone);
    assert_eq!(wrong(&check(&client)), [KeyWrong::Weak, KeyWrong::Away, KeyWrong::Away]);
    assert_eq!(stand(&client).away.map(|away| (away.from <= until, away.domains)), Some((true, 2)));
    let weak = match client.call(Command::RootList).unwrap() {
        Answer::Roots(list) => list.roots[0].clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!((weak.state.as_str(), hint.ends_with(&weak.id.to_string())), ("active", true), "it is not behind");

    // Another one comes in by what this one still opens, and everything goes on.
    let choice = RootChoice::Passphrase { bytes: b"battery staple".to_vec().into() };
    keeper.add_root(&client.session, &RootAdd { choice, priority: None, follows: Some(weak.id) }).unwrap();
    client.put(&new()).unwrap();
    client.call(of(Class::Confidential)).unwrap();
    assert_eq!(wrong(&check(&client)), [KeyWrong::Weak]);
    assert_eq!(stand(&client).away, None);
    client.call(Command::RootRemove(RootRemove { root: weak.id, after: None })).unwrap();
    assert_eq!(wrong(&check(&client)), []);
    client.release(Action::Read, "lab/net@v1").unwrap();
    state_holds(&client);
}

fn stand(client: &Client<'_>) -> KeysStand {
    match client.call(Command::Status).unwrap() {
        Answer::Status(status) => status.keys,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_date_that_leaves_nobody_at_hand_to_wrap_is_told_before_it_comes() {
    let world = World::new(Mode::Solo);
    let (keeper, _) = two_roots(&world);
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/open").class(Class::Internal)).unwrap();
    let until = after(&world, 20);
    let table = confidential(&format!(
        "{SUITES}\nwrap = [\"passphrase\", {{ root = \"keyfile\", until = \"{until}\" }}]\nopen = [\"passphrase\", \"keyfile\"]"
    ));
    apply(&client, &table, false).unwrap();
    let away = |client: &Client<'_>| {
        let coming = check_at(client, None, 30 * DAY).coming;
        coming.into_iter().filter(|item| item.wrong == KeyWrong::Away).collect::<Vec<_>>()
    };
    assert!(away(&client).is_empty() && stand(&client).away.is_none(), "the passphrase is here");
    drop(client);
    keeper.close().unwrap();

    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let told = away(&client);
    assert!(told.len() == 1 && told[0].of == "lab/dev/confidential" && told[0].since == Some(until), "{told:?}");
    assert!(check(&client).ok, "it is not yet so");
    assert_eq!(stand(&client).away.map(|away| (away.from, away.domains)), Some((until, 1)));
    let then = check_at(&client, Some(until), 0);
    assert!(wrong(&then).contains(&KeyWrong::Away), "{then:?}");
    world.clock.set(until.as_millis());
    // And so it is: the key that writes is under a root that may not wrap, and the next one cannot be made here.
    assert_eq!(code(client.put(&Put::new("lab/late"))), Code::RootRefused);
    client.put(&Put::new("lab/open").class(Class::Internal)).unwrap();
    assert_eq!(stand(&client).away.map(|away| away.domains), Some(1));
}

#[test]
fn what_is_out_of_policy_is_rotated_and_nothing_else() {
    for world in World::both(Mode::Solo) {
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        client.put(&Put::new("lab/net")).unwrap();
        client.put(&Put::new("lab/open").class(Class::Internal)).unwrap();
        client.put(&Put::new("web/net")).unwrap();
        assert_eq!(rotate(&client).unwrap().keys.len(), 0, "everything is in policy");
        apply(&client, &confidential("write = \"nist\"\nread = [\"default\", \"nist\"]"), false).unwrap();
        let suspended = domain_keys(&client).into_iter().find(|key| key.workspace.as_deref() == Some("web")).unwrap();
        let moved = |to| {
            client.call(Command::KeyMove(KeyMove { key: suspended.id, to, reason: "r".into() })).unwrap();
        };
        moved(api::terms::KeyState::Suspended);
        let planned = plan(&client);
        assert_eq!(planned.domains, ["lab/dev/confidential"]);
        assert_eq!(planned.versions.iter().map(|v| v.reference.as_str()).collect::<Vec<_>>(), ["lab/net@v1"]);
        assert_eq!(planned.left.len(), 2, "a key that is set aside, and the version under it: {planned:?}");
        let done = rotate(&client).unwrap();
        assert_eq!((done.keys.len(), done.rewrapped), (1, 1));
        assert_eq!(rotate(&client).unwrap().keys.len(), 0, "once is enough");
        moved(api::terms::KeyState::Active);
        assert_eq!(rotate(&client).unwrap().keys.len(), 1);
        let planned = plan(&client);
        assert_eq!((planned.domains.len(), planned.rewraps, planned.versions.len()), (0, 0, 2));
        state_holds(&client);
    }
}

#[test]
fn whoever_keeps_no_keys_sees_and_mends_nothing() {
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let olivia = Client::new(&keeper, &world, Some("olivia"));
    olivia.call(Command::PrincipalAdd(principal("keys", Class::Internal, &[("vault", "custodian")]))).unwrap();
    let rick = Client::new(&keeper, &world, Some("rick"));
    for command in [Command::KeyCheck(KeyCheck::default()), Command::KeyPlan { after: None }, Command::WrapsMend] {
        assert!(matches!(code(rick.call(command)), Code::Denied | Code::NotFound));
    }
    let look = Command::SuitesLook { table: String::new() };
    assert!(matches!(code(rick.call(look)), Code::Denied | Code::NotFound));
    let cus = Client::new(&keeper, &world, Some("keys"));
    assert!(check(&cus).ok);
    assert_eq!(mend(&cus), WrapsMended { made: 0, removed: 0, kept: 0 });
}

#[test]
fn a_table_that_was_altered_in_the_database_is_not_believed() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net")).unwrap();
    apply(&client, &confidential("write = \"nist\"\nread = [\"nist\"]"), false).unwrap();
    assert_eq!(code(client.release(Action::Read, "lab/net")), Code::Gone);
    let sql = "UPDATE setting SET body = CAST(replace(CAST(body AS TEXT), 'nist\\\"]', 'default\\\"]') AS BLOB) \
               WHERE CAST(body AS TEXT) LIKE '%\"crypto\"%'";
    assert_eq!(world.tamper(sql), 1);
    assert_eq!(code(client.release(Action::Read, "lab/net")), Code::BadSignature);
    assert_eq!(code(client.call(Command::KeyCheck(KeyCheck::default()))), Code::BadSignature);
}
