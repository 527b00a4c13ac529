//! Small values under named keys: sealed and opened in the keeper, each opening decided and logged.

use crate::decisions::{entries, principal, staff};
use crate::world::{Client, World, code};
use api::terms::{Action, Class, Code, Environment, KeyId, KeyState, Mode};
use api::wire::{
    Answer, Command, Decrypt, Decrypted, Encrypt, Encrypted, Explain, KeyDestroy, KeyItem, KeyMove, KeyRotate,
    KeyRotated, NamedKeyMade, NamedKeyMake, Plain, PolicyApply, Problem, WhoCan,
};
use keeper::Keeper;
use keeper::vault::{ClockCheck, OpenOptions};
use std::collections::BTreeMap;

fn pairs(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn make(client: &Client<'_>, name: &str, class: Class) -> Result<NamedKeyMade, Problem> {
    let (workspace, name) = name.split_once('/').unwrap();
    let (workspace, name) = (workspace.parse().unwrap(), name.parse().unwrap());
    let wanted = NamedKeyMake { workspace, name, environment: Environment::Dev, class: Some(class) };
    match client.call(Command::NamedKeyMake(wanted))? {
        Answer::NamedKeyMade(made) => Ok(*made),
        other => panic!("{other:?}"),
    }
}

fn encrypt(client: &Client<'_>, name: &str, value: &[u8], context: &[(&str, &str)]) -> Result<Encrypted, Problem> {
    let (workspace, name) = name.split_once('/').unwrap();
    let (workspace, name) = (workspace.parse().unwrap(), name.parse().unwrap());
    let (context, value) = (pairs(context), Plain::new(value.to_vec()));
    match client.call(Command::Encrypt(Encrypt { workspace, name, context, value, reason: None }))? {
        Answer::Encrypted(done) => Ok(*done),
        other => panic!("{other:?}"),
    }
}

fn asked(token: &str, context: &[(&str, &str)]) -> Decrypt {
    Decrypt { token: token.to_owned(), context: pairs(context), reason: None, confirm: None, to_disk: false }
}

fn decrypt_as(client: &Client<'_>, asked: Decrypt) -> Result<Decrypted, Problem> {
    match client.call(Command::Decrypt(asked))? {
        Answer::Decrypted(done) => Ok(*done),
        other => panic!("{other:?}"),
    }
}

fn decrypt(client: &Client<'_>, token: &str, context: &[(&str, &str)]) -> Result<Decrypted, Problem> {
    decrypt_as(client, asked(token, context))
}

fn renew(client: &Client<'_>, token: &str, context: &[(&str, &str)]) -> Result<Encrypted, Problem> {
    match client.call(Command::Renew(asked(token, context)))? {
        Answer::Encrypted(done) => Ok(*done),
        other => panic!("{other:?}"),
    }
}

fn rotate(client: &Client<'_>, which: KeyRotate) -> Result<KeyRotated, Problem> {
    match client.call(Command::KeyRotate(which))? {
        Answer::Rotated(rotated) => Ok(rotated),
        other => panic!("{other:?}"),
    }
}

fn only(workspace: &str, name: &str) -> KeyRotate {
    let (workspace, name) = (Some(workspace.parse().unwrap()), Some(name.parse().unwrap()));
    KeyRotate { workspace, name, ..KeyRotate::default() }
}

fn keys(client: &Client<'_>) -> Vec<KeyItem> {
    match client.call(Command::KeyList).unwrap() {
        Answer::Keys(list) => list.keys,
        other => panic!("{other:?}"),
    }
}

fn moved(client: &Client<'_>, key: KeyId, to: KeyState) -> Result<(), Problem> {
    client.call(Command::KeyMove(KeyMove { key, to, reason: "a laptop was lost".into() })).map(drop)
}

fn state_holds(client: &Client<'_>) {
    match client.call(Command::StateVerify).unwrap() {
        Answer::StateVerified(verified) => assert!(verified.ok, "{verified:?}"),
        other => panic!("{other:?}"),
    }
}

/// What the files of the vault hold.
fn kept(world: &World) -> Vec<u8> {
    let mut kept = Vec::new();
    for entry in std::fs::read_dir(world.dir()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            kept.extend(std::fs::read(path).unwrap());
        }
    }
    kept
}

#[test]
fn a_value_comes_back_under_its_context_and_no_other() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let made = make(&client, "app/db", Class::Internal).unwrap();
    assert_eq!((made.name.as_str(), made.version, made.class), ("app/db", 1, Class::Internal));
    assert_eq!(code(make(&client, "app/db", Class::Internal)), Code::Conflict);
    let about = [("table", "patients"), ("name", "Ada Lovelace")];
    let value = b"a-very-secret-value";
    let sealed = encrypt(&client, "app/db", value, &about).unwrap();
    assert!(sealed.token.contains(":app/db:v1:") && !sealed.token.contains(&made.key.to_string()), "{}", sealed.token);
    assert_ne!(sealed.token, encrypt(&client, "app/db", value, &about).unwrap().token);
    let opened = decrypt(&client, &sealed.token, &about).unwrap();
    assert_eq!((opened.value.expose_bytes(), opened.version, opened.newest), (value.as_slice(), 1, 1));
    assert!(opened.receipt.log_index.is_some());
    for other in [&[][..], &about[..1], &[("table", "patients"), ("name", "Ada")]] {
        let refused = decrypt(&client, &sealed.token, other).unwrap_err();
        assert_eq!((refused.code, refused.what.as_str()), (Code::Integrity, "the value stays sealed"));
        assert!(refused.try_.is_some_and(|hint| hint.contains("--context")));
    }
    // In the log: who, which key, which version; neither the value nor what it is about.
    let done = entries(&client, "value.decrypt");
    assert_eq!(done.iter().filter(|item| item.entry["kind"] == "release").count(), 1);
    let failed: Vec<_> = done.iter().filter(|item| item.entry["kind"] == "denial").collect();
    assert!(
        !failed.is_empty() && failed.iter().all(|item| item.entry["detail"]["failed"] == "the value does not open")
    );
    assert_eq!(entries(&client, "value.encrypt").len(), 2);
    let said: String = done.iter().map(|item| item.entry.to_string()).collect();
    assert!(!said.contains("Ada") && !said.contains("secret") && said.contains(&made.key.to_string()), "{said}");
    drop(client);
    keeper.close().unwrap();
    let kept = kept(&world);
    for hidden in [b"Ada Lovelace".as_slice(), value, b"patients"] {
        assert!(!kept.windows(hidden.len()).any(|window| window == hidden), "{hidden:?}");
    }
    assert!(kept.windows(8).any(|window| window == b"named_ke"), "the database was read");
}

#[test]
fn bounds_are_held_to_the_byte_and_tokens_are_told_apart() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    make(&client, "app/db", Class::Internal).unwrap();
    let largest = vec![7; 65_536];
    let sealed = encrypt(&client, "app/db", &largest, &[]).unwrap();
    assert_eq!(decrypt(&client, &sealed.token, &[]).unwrap().value.expose_bytes(), largest);
    assert_eq!(code(encrypt(&client, "app/db", &[7; 65_537], &[])), Code::BadRequest);
    assert_eq!(code(encrypt(&client, "app/db", b"x", &[("", "x")])), Code::BadRequest);
    assert_eq!(code(encrypt(&client, "app/db", b"x", &[("n", &"x".repeat(1025))])), Code::BadRequest);
    let token = encrypt(&client, "app/db", b"x", &[]).unwrap().token;
    let vault = keeper.info().vault.to_string();
    let told: &[(String, Code)] = &[
        ("x".into(), Code::BadRequest),
        (format!("{token}="), Code::BadRequest),
        (token.replace(&vault, &"0".repeat(32)), Code::Conflict),
        (token.replace(":app/db:", ":app/other:"), Code::NotFound),
        (token.replace(":app/db:", ":apps/db:"), Code::NotFound),
        (token.replace(":v1:", ":v2:"), Code::Conflict),
    ];
    for (token, expected) in told {
        assert_eq!(code(decrypt(&client, token, &[])), *expected, "{token}");
        assert_eq!(code(renew(&client, token, &[])), *expected, "{token}");
    }
    // Under another key's name it does not open, and nothing says whether it was of that key.
    make(&client, "app/other", Class::Internal).unwrap();
    assert_eq!(code(decrypt(&client, &token.replace(":app/db:", ":app/other:"), &[])), Code::Integrity);
    state_holds(&client);
}

#[test]
fn rotation_makes_a_version_for_new_values_and_old_ones_stay_readable() {
    for table in ["", "nist"] {
        let world = World::new(Mode::Solo);
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        make(&client, "app/db", Class::Internal).unwrap();
        make(&client, "app/other", Class::Internal).unwrap();
        let about = [("row", "17")];
        let old = encrypt(&client, "app/db", b"one", &about).unwrap();
        if !table.is_empty() {
            // The next version is of the other suite.
            let suites = policy::Crypto::BASELINE
                .replace("[class.internal]\nwrite = \"default\"", "[class.internal]\nwrite = \"nist\"");
            client.call(Command::SuitesApply { table: suites, lockout: false }).unwrap();
        }
        let done = rotate(&client, only("app", "db")).unwrap();
        assert_eq!((done.keys.len(), done.keys[0].name.as_deref(), done.keys[0].version), (1, Some("db"), 2));
        let new = encrypt(&client, "app/db", b"two", &about).unwrap();
        // One that is of another suite than is written is followed when it would seal.
        let others = if table.is_empty() { 1 } else { 2 };
        assert_eq!((new.version, encrypt(&client, "app/other", b"x", &[]).unwrap().version), (2, others));
        let opened = decrypt(&client, &old.token, &about).unwrap();
        assert_eq!((opened.value.expose_bytes(), opened.version, opened.newest), (b"one".as_slice(), 1, 2));
        // A renewed token is of the newest version, and nobody saw the value.
        let renewed = renew(&client, &old.token, &about).unwrap();
        assert_eq!((renewed.before, renewed.version), (Some(1), 2));
        assert_eq!(decrypt(&client, &renewed.token, &about).unwrap().value.expose_bytes(), b"one");
        assert_eq!(code(renew(&client, &old.token, &[])), Code::Integrity);
        // Rotated like the rest: with its domain, whose new key wraps every version again.
        if !table.is_empty() {
            // What lies under the domain key that was followed comes first.
            assert_eq!(rotate(&client, KeyRotate::default()).unwrap().rewrapped, 2);
        }
        let done = rotate(&client, KeyRotate::default()).unwrap();
        let named: Vec<_> = done.keys.iter().filter_map(|key| Some((key.name.clone()?, key.version))).collect();
        assert_eq!(named.len(), 2, "{named:?}");
        assert!(named.contains(&("db".to_owned(), 3)) && named.contains(&("other".to_owned(), others + 1)));
        assert_eq!((done.rewrapped, done.remaining), (u64::from(others) + 2, 0));
        for (token, value) in [(&old.token, b"one"), (&new.token, b"two"), (&renewed.token, b"one")] {
            assert_eq!(decrypt(&client, token, &about).unwrap().value.expose_bytes(), value);
        }
        let listed = keys(&client);
        let states: Vec<_> =
            listed.iter().filter(|key| key.name.as_deref() == Some("db")).map(|key| key.state.as_str()).collect();
        assert_eq!(states, ["deactivated", "deactivated", "active"]);
        assert_eq!(code(rotate(&client, only("app", "gone"))), Code::NotFound);
        state_holds(&client);
    }
}

#[test]
fn a_version_is_renewed_by_itself_when_its_time_is_nearly_over() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    make(&client, "app/db", Class::Restricted).unwrap();
    let due = keys(&client).iter().find(|key| key.name.is_some()).and_then(|key| key.due).unwrap();
    for _ in 0..28 {
        world.clock.advance(86_400_000);
        client.call(Command::Status).unwrap();
    }
    client.call(Command::JobsRun { name: None }).unwrap();
    let listed = keys(&client);
    let versions: Vec<_> = listed.iter().filter(|key| key.name.is_some()).map(|key| key.version).collect();
    assert_eq!(versions, [1, 2]);
    assert!(listed.iter().any(|key| key.name.is_some() && key.due.is_some_and(|next| next > due)));
    client.call(Command::JobsRun { name: None }).unwrap();
    assert_eq!(keys(&client).iter().filter(|key| key.name.is_some()).count(), 2, "once");
    state_holds(&client);
}

#[test]
fn a_suspended_key_neither_seals_nor_opens() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    make(&client, "app/db", Class::Internal).unwrap();
    let old = encrypt(&client, "app/db", b"one", &[]).unwrap().token;
    rotate(&client, only("app", "db")).unwrap();
    let listed = keys(&client);
    let newest = listed.iter().find(|key| key.name.is_some() && key.state == "active").unwrap().id;
    let first = listed.iter().find(|key| key.name.is_some() && key.state == "deactivated").unwrap().id;
    let domain = listed.iter().find(|key| key.purpose == "domain" && key.state == "active").unwrap().id;
    for key in [newest, domain] {
        moved(&client, key, KeyState::Suspended).unwrap();
        let shut = |refused: Result<(), Problem>| {
            let refused = refused.unwrap_err();
            assert_eq!((refused.code, refused.what.as_str()), (Code::Gone, "the key is suspended"));
            assert!(refused.why.contains(&key.to_string()), "{refused}");
        };
        shut(encrypt(&client, "app/db", b"x", &[]).map(drop));
        // The newest speaks for what was sealed before.
        shut(decrypt(&client, &old, &[]).map(drop));
        shut(renew(&client, &old, &[]).map(drop));
        for action in [Action::Encrypt, Action::Decrypt] {
            let explain = Explain { reference: Some("app/db".into()), ..Explain::of(action) };
            shut(client.call(Command::Explain(explain)).map(drop));
        }
        moved(&client, key, KeyState::Active).unwrap();
        encrypt(&client, "app/db", b"x", &[]).unwrap();
        assert_eq!(decrypt(&client, &old, &[]).unwrap().value.expose_bytes(), b"one");
    }
    // Its time is over: it opens, and seals never again.
    assert_eq!(code(moved(&client, first, KeyState::Active)), Code::Conflict);
    let denied = entries(&client, "value.decrypt");
    assert!(denied.iter().any(|item| item.entry["kind"] == "denial" && item.entry["detail"]["state"] == "suspended"));
    state_holds(&client);
}

#[test]
fn each_right_is_its_own_and_strangers_learn_nothing() {
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let as_ = |name: &str| Client::new(&keeper, &world, Some(name));
    let (wanda, rick, alice, cus, mallory) = (as_("wanda"), as_("rick"), as_("alice"), as_("cus"), as_("mallory"));
    let owner = Client::new(&keeper, &world, None);
    // A custodian makes the key, which opens nothing for them.
    assert_eq!(code(make(&wanda, "lab/db", Class::Confidential)), Code::Denied);
    assert_eq!(code(make(&owner, "lab/db", Class::Confidential)), Code::Denied);
    make(&cus, "lab/db", Class::Confidential).unwrap();
    assert_eq!(code(make(&mallory, "lab/db", Class::Public)), Code::NotFound);
    assert_eq!(code(make(&cus, "fresh/db", Class::Public)), Code::NotFound, "a workspace is its owner's to make");
    assert_eq!(code(encrypt(&cus, "lab/db", b"x", &[])), Code::Denied);
    let token = encrypt(&wanda, "lab/db", b"x", &[]).unwrap().token;
    assert_eq!(code(encrypt(&rick, "lab/db", b"x", &[])), Code::Denied);
    assert_eq!(code(renew(&rick, &token, &[])), Code::Denied);
    assert_eq!(decrypt(&rick, &token, &[]).unwrap().value.expose_bytes(), b"x");
    // Cleared for less.
    assert_eq!(code(decrypt(&alice, &token, &[])), Code::Denied);
    for refused in [code(decrypt(&mallory, &token, &[])), code(encrypt(&mallory, "lab/db", b"x", &[]))] {
        assert_eq!(refused, Code::NotFound);
    }
    let reference = Some("lab/db".into());
    let who = WhoCan { action: Action::Decrypt, reference, environment: None, as_of: None, after: None, limit: 10 };
    match owner.call(Command::WhoCan(who)).unwrap() {
        Answer::WhoCan(page) => {
            let names: Vec<&str> = page.items.iter().map(|holder| holder.principal.as_str()).collect();
            assert_eq!(names, ["rick", "wanda"]);
        }
        other => panic!("{other:?}"),
    }
    // An application that writes need not be able to read.
    let text = "@id(\"sealers\") @reason(\"the application seals\") @owner(\"sec\") @control(\"AC-6\")\n\
                @review_by(\"2030-01-01\")\n\
                forbid (principal in Role::\"writer\", action == Action::\"decrypt\", resource);";
    let sources = BTreeMap::from([("sealers.cedar".to_owned(), text.to_owned())]);
    as_("pol").call(Command::PolicyApply(PolicyApply { sources, base: None })).unwrap();
    encrypt(&wanda, "lab/db", b"y", &[]).unwrap();
    renew(&wanda, &token, &[]).unwrap();
    assert_eq!(code(decrypt(&wanda, &token, &[])), Code::Denied);
    decrypt(&rick, &token, &[]).unwrap();
    state_holds(&as_("aud"));
}

#[test]
fn restricted_values_ask_for_a_reason_and_a_disk_for_the_right_to_export() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    make(&client, "app/db", Class::Restricted).unwrap();
    let token = encrypt(&client, "app/db", b"x", &[]).unwrap().token;
    let refused = decrypt(&client, &token, &[]).unwrap_err();
    assert_eq!(refused.code, Code::ConfirmationNeeded);
    assert_eq!(refused.try_.as_deref(), Some("the same command with `--reason REASON --confirm app/db`"));
    let stated = Decrypt { reason: Some("audit".into()), confirm: Some("app/db".into()), ..asked(&token, &[]) };
    assert_eq!(decrypt_as(&client, stated.clone()).unwrap().value.expose_bytes(), b"x");
    decrypt_as(&client, Decrypt { to_disk: true, ..stated }).unwrap();
    let done = entries(&client, "value.decrypt");
    let disk: Vec<_> = done.iter().filter(|item| item.entry["detail"]["to"] == "disk").collect();
    assert_eq!(disk.len(), 1);
    assert_eq!(disk[0].entry["detail"]["approval"], "none (solo)");
    drop(client);
    keeper.close().unwrap();

    // From outside its workspace confidential data does not go to a disk without a steward, by this way neither.
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let owner = Client::new(&keeper, &world, None);
    owner.call(Command::PrincipalAdd(principal("rita", Class::Confidential, &[("vault", "reader")]))).unwrap();
    let as_ = |name| Client::new(&keeper, &world, Some(name));
    make(&as_("cus"), "lab/db", Class::Confidential).unwrap();
    let token = encrypt(&as_("wanda"), "lab/db", b"x", &[]).unwrap().token;
    decrypt(&as_("rita"), &token, &[]).unwrap();
    let to_disk = Decrypt { to_disk: true, ..asked(&token, &[]) };
    assert_eq!(code(decrypt_as(&as_("rita"), to_disk)), Code::ApprovalNeeded);
}

#[test]
fn a_destroyed_domain_key_takes_values_along_and_the_next_versions_have_keys_of_their_own() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    make(&client, "lab/db", Class::Internal).unwrap();
    let old = encrypt(&client, "lab/db", b"secret", &[]).unwrap();
    let domains = |client: &Client<'_>| {
        let mut found: Vec<(u32, String, KeyId)> = keys(client)
            .into_iter()
            .filter(|key| key.purpose == "domain")
            .map(|key| (key.version, key.state, key.id))
            .collect();
        found.sort();
        found
    };
    let key = domains(&client)[0].2;
    let destroy = KeyDestroy { key, reason: "the contract ended".into(), confirm: None };
    client.call(Command::KeyDestroy(destroy)).unwrap();
    let ending = decrypt(&client, &old.token, &[]).unwrap_err();
    assert_eq!((ending.code, ending.what.as_str()), (Code::Gone, "the key is to be destroyed"));
    assert_eq!(entries(&client, "value.decrypt").iter().filter(|item| item.entry["kind"] == "denial").count(), 1);
    // Another key of the domain gets the domain's next key, with the next number.
    make(&client, "lab/other", Class::Internal).unwrap();
    let numbers: Vec<u32> = domains(&client).iter().map(|(number, ..)| *number).collect();
    assert_eq!(numbers, [1, 2]);
    let other = encrypt(&client, "lab/other", b"kept", &[]).unwrap();
    world.clock.advance(7 * 86_400_000);
    client.call(Command::JobsRun { name: Some("shred".into()) }).unwrap();
    assert_eq!(code(decrypt(&client, &old.token, &[])), Code::Gone);
    assert_eq!(code(encrypt(&client, "lab/db", b"more", &[])), Code::Gone);
    assert_eq!(decrypt(&client, &other.token, &[]).unwrap().value.expose_bytes(), b"kept");
    // Its next version seals again; what the old one sealed stays gone.
    rotate(&client, only("lab", "db")).unwrap();
    let new = encrypt(&client, "lab/db", b"new", &[]).unwrap();
    assert_eq!(decrypt(&client, &new.token, &[]).unwrap().value.expose_bytes(), b"new");
    assert_eq!(code(decrypt(&client, &old.token, &[])), Code::Gone);
    assert_eq!(domains(&client).len(), 2);
    let gone = keys(&client).into_iter().find(|key| key.name.as_deref() == Some("db") && key.version == 1).unwrap();
    assert_eq!(gone.state, "destroyed");
    match client.call(Command::StateVerify).unwrap() {
        Answer::StateVerified(verified) => assert!(verified.ok, "{verified:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_made_while_the_clock_was_ahead_is_due_in_its_time_once_it_is_set_right() {
    let world = World::new(Mode::Solo);
    let any_clock = || Keeper::open(&OpenOptions { clock_check: ClockCheck::AtCommands, ..world.options() }).unwrap();
    let (now, year) = (world.clock.millis(), 365 * 86_400_000);
    let due = |client: &Client<'_>| {
        let list = keys(client);
        let named = list.iter().filter(|key| key.name.is_some()).map(|key| key.due.unwrap().as_millis());
        named.max().unwrap()
    };
    world.clock.advance(year);
    let keeper = any_clock();
    let client = Client::new(&keeper, &world, None);
    client.call(Command::ClockAccept).unwrap();
    make(&client, "lab/tokens", Class::Confidential).unwrap();
    assert!(due(&client) > now + year);
    drop(client);
    drop(keeper);
    world.clock.set(now + 10_000);
    let keeper = any_clock();
    let client = Client::new(&keeper, &world, None);
    client.call(Command::ClockAccept).unwrap();
    assert_eq!(due(&client), world.clock.millis() + 90 * 86_400_000, "as if it were made now");
    match client.call(Command::StateVerify).unwrap() {
        Answer::StateVerified(verified) => assert!(verified.ok, "{verified:?}"),
        other => panic!("{other:?}"),
    }
}
