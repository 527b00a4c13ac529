//! Escrow: shares bring everything back, those that are not enough nothing, and a wrong one is named.

use crate::decisions::entries;
use crate::destroy::{ran, state_holds};
use crate::drift::{after, apply, check, confidential, wrong};
use crate::world::{Client, Put, World, code};
use api::terms::{Action, Class, Code, KeyId, Mode};
use api::wire::{Answer, Command, EscrowMade, KeyWrong, Problem, RootItem};
use keeper::Keeper;
use keeper::vault::{
    self, EscrowWanted, OpenOptions, RecoverOptions, Recovering, RootAdd, RootChoice, RootMeans, RootUnlock, Shares,
};
use std::path::Path;

fn create(client: &Client<'_>, threshold: u8, shares: u8) -> (EscrowMade, Vec<String>) {
    let wanted = EscrowWanted { shares, threshold };
    let mut texts = Vec::new();
    let mut hand_out = |_, shares: &Shares| {
        texts = shares.0.iter().map(|text| text.to_string()).collect();
        Ok(())
    };
    let made = client.keeper.create_escrow(&client.session, &wanted, &mut hand_out).unwrap();
    (made, texts)
}

fn shares(texts: &[&String]) -> Shares {
    Shares(texts.iter().map(|text| (*text).clone().into()).collect())
}

fn rehearse(client: &Client<'_>, texts: &[&String]) -> Result<u64, Problem> {
    client.keeper.rehearse_escrow(&client.session, &shares(texts)).map(|done| done.keys)
}

/// Brings the vault in a folder back, with a new key file beside it.
fn recover(world: &World, dir: &Path, texts: &[&String]) -> Result<OpenOptions, Problem> {
    recovered(world, dir, texts, false).map(|(options, _)| options)
}

/// The same, with the roots of before that stay.
fn recovered(
    world: &World,
    dir: &Path,
    texts: &[&String],
    keep_roots: bool,
) -> Result<(OpenOptions, Vec<KeyId>), Problem> {
    let key = dir.with_extension("key");
    let options = RecoverOptions {
        dir: dir.to_owned(),
        anchor: world.anchor(),
        with: Recovering::Shares(shares(texts)),
        root: RootChoice::Keyfile { path: key.clone() },
        recovery: None,
        keep_roots,
        clock: world.clock.clone(),
        store: None,
    };
    let stay = vault::recover(&options)?;
    let options = OpenOptions {
        clock: world.clock.clone(),
        ..OpenOptions::new(dir.to_owned(), RootUnlock::Keyfile(key), world.anchor())
    };
    Ok((options, stay))
}

fn roots(client: &Client<'_>) -> Vec<RootItem> {
    match client.call(Command::RootList).unwrap() {
        Answer::Roots(list) => list.roots,
        other => panic!("{other:?}"),
    }
}

#[test]
fn with_every_root_gone_m_shares_open_everything() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net").class(Class::Confidential)).unwrap();
    let (made, texts) = create(&client, 3, 5);
    assert_eq!((made.generation, made.wrapped, made.locked), (1, 1, 0));
    assert_eq!((made.root.kind.as_str(), made.root.state.as_str(), made.root.only_wraps), ("escrow", "active", true));
    // A key that is made later is escrowed too.
    client.put(&Put::new("lab/later").class(Class::Restricted)).unwrap();
    assert_eq!(roots(&client).iter().map(|root| root.lacks).collect::<Vec<_>>(), [0, 0]);
    drop(client);
    keeper.close().unwrap();
    std::fs::remove_file(world.keyfile()).unwrap();

    let few = recover(&world, &world.dir(), &[&texts[0], &texts[3]]).unwrap_err();
    assert_eq!(few.code, Code::RootRefused);
    assert!(few.why.contains("2 of the 3 shares"), "{few}");
    assert!(!world.dir().with_extension("key").exists());
    let options = recover(&world, &world.dir(), &[&texts[4], &texts[0], &texts[2]]).unwrap();
    let keeper = Keeper::open(&options).unwrap();
    let client = Client::new(&keeper, &world, None);
    client.release(Action::Read, "lab/net@v1").unwrap();
    client.release_with(Action::Read, "lab/later@v1", Some("a drill"), Some("lab/later")).unwrap();
    client.put(&Put::new("lab/net")).unwrap();
    // The key file of before is replaced, the escrow stays.
    assert_eq!(roots(&client).iter().map(|root| root.kind.as_str()).collect::<Vec<_>>(), ["keyfile", "escrow"]);
    assert_eq!(rehearse(&client, &[&texts[1], &texts[2], &texts[3]]).unwrap(), 7);
    assert_eq!(entries(&client, "vault.recover").len(), 2);
}

#[test]
fn a_share_that_is_wrong_is_named_and_nothing_changes() {
    let (world, other) = (World::new(Mode::Solo), World::new(Mode::Solo));
    let foreign = {
        let keeper = other.open();
        create(&Client::new(&keeper, &other, None), 2, 3).1
    };
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let wanted = EscrowWanted { shares: 3, threshold: 4 };
    let refused = keeper.create_escrow(&client.session, &wanted, &mut |_, _| Ok(())).unwrap_err();
    assert_eq!(refused.code, Code::BadRequest);
    assert_eq!(rehearse(&client, &[&foreign[0]]).unwrap_err().code, Code::NotFound);
    let (_, old) = create(&client, 2, 3);
    let (made, texts) = create(&client, 2, 3);
    assert_eq!((made.generation, roots(&client).len()), (2, 2));
    // One whose shares reach nobody replaces none.
    let nobody = Problem::new(Code::DiskFull, "cannot write", "no room");
    let wanted = EscrowWanted { shares: 3, threshold: 2 };
    let lost = keeper.create_escrow(&client.session, &wanted, &mut |_, _| Err(nobody.clone())).unwrap_err();
    assert_eq!((lost.code, roots(&client).len()), (Code::DiskFull, 2));
    // Another sign in a group is a slip of that group.
    let digits: Vec<usize> = texts[1].char_indices().filter(|(_, c)| *c == '-').map(|(at, _)| at - 1).collect();
    let mut slip = texts[1].clone();
    let at = digits[digits.len() - 1];
    let with = if &slip[at..=at] == "7" { "8" } else { "7" };
    slip.replace_range(at..=at, with);
    for (shown, why) in [
        (vec![&texts[0], &texts[0]], "share 1 is there twice"),
        (vec![&texts[0], &foreign[1]], "share 2 is of another vault"),
        (vec![&texts[0], &old[2]], "share 3 is outdated: it is of escrow 1"),
        (vec![&texts[2]], "1 of the 2 shares"),
        (vec![&texts[0], &slip], "has a slip in it"),
    ] {
        let told = rehearse(&client, &shown).unwrap_err();
        assert_eq!(told.code, Code::RootRefused);
        assert!(told.why.contains(why), "{told}");
        let told = recover(&world, &world.dir(), &shown).unwrap_err();
        assert!(told.why.contains(why), "{told}");
    }
    assert_eq!(rehearse(&client, &[&texts[2], &texts[0]]).unwrap(), 5);
    let escrow = roots(&client).into_iter().find(|root| root.kind == "escrow").unwrap();
    assert!(escrow.drilled.is_some());
    assert_eq!((entries(&client, "escrow.create").len(), entries(&client, "escrow.rehearse").len()), (2, 6));
    match client.call(Command::StateVerify).unwrap() {
        Answer::StateVerified(verified) => assert!(verified.ok, "{verified:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_the_vault_keeps_of_an_escrow_is_held_to() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let (made, texts) = create(&client, 2, 2);
    drop(client);
    keeper.close().unwrap();
    // The row is under its MAC, and vault.json under the tag of the seed.
    let path = world.dir().join("vault.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let at = text.find(&made.root.id.to_string()).unwrap();
    let tag = at + text[at..].find("\"tag\"").unwrap() + 8;
    let flipped = if &text[tag..=tag] == "0" { "1" } else { "0" };
    let mut altered = text.clone();
    altered.replace_range(tag..=tag, flipped);
    std::fs::write(&path, &altered).unwrap();
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let told = rehearse(&client, &[&texts[0], &texts[1]]).unwrap_err();
    assert!(told.why.contains("was altered"), "{told}");
    drop(client);
    keeper.close().unwrap();
    std::fs::write(&path, &text).unwrap();
    let text = "CAST(body AS TEXT)";
    let sql = format!(
        "UPDATE root SET body = CAST(replace({text}, '\"generation\":1', '\"generation\":2') AS BLOB) WHERE {text} LIKE '%\"kind\":\"escrow\"%'"
    );
    assert_eq!(world.tamper(&sql), 1);
    assert_eq!(code(Keeper::open(&world.options())), Code::BadSignature);
}

#[test]
fn an_escrow_gets_what_was_locked_when_it_was_made() {
    use api::terms::Environment;
    let world = World::new(Mode::Solo);
    let phrase = || b"a passphrase with some length".to_vec();
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let choice = RootChoice::Passphrase { bytes: phrase().into() };
    keeper.add_root(&client.session, &RootAdd { choice, priority: None, follows: None }).unwrap();
    let prod = Put { environment: Environment::Prod, ..Put::new("lab/net").class(Class::Confidential) };
    // In dev the key file wraps it as well, in prod the passphrase alone, which an escrow does not count as.
    client.put(&prod).unwrap();
    client.put(&Put::new("lab/dev").class(Class::Confidential)).unwrap();
    drop(client);
    keeper.close().unwrap();
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let (made, texts) = create(&client, 2, 2);
    assert_eq!((made.wrapped, made.locked, made.root.state.as_str()), (1, 1, "behind"));
    drop(client);
    keeper.close().unwrap();
    let unlock = RootUnlock::Passphrase(phrase().into());
    let mut both = world.options();
    both.roots.push(std::sync::Arc::new(RootMeans { root: None, unlock }));
    let keeper = Keeper::open(&both).unwrap();
    let client = Client::new(&keeper, &world, None);
    client.call(Command::JobsRun { name: Some("roots".into()) }).unwrap();
    let escrow = roots(&client).into_iter().find(|root| root.kind == "escrow").unwrap();
    assert_eq!((escrow.state.as_str(), escrow.lacks), ("active", 0));
    assert_eq!(rehearse(&client, &[&texts[0], &texts[1]]).unwrap(), 7);
}

const SUITES: &str = "write = \"default\"\nread = [\"default\", \"nist\"]";

/// A table in which each class names the roots that wrap and open.
fn everywhere(roots: &str) -> String {
    let lines = policy::Crypto::BASELINE.lines().map(|line| match line.starts_with("read = ") {
        true => format!("{line}\n{roots}\n"),
        false => format!("{line}\n"),
    });
    lines.collect()
}

#[test]
fn an_escrow_that_may_wrap_nothing_is_not_made_and_replaces_none() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    client.put(&Put::new("lab/net")).unwrap();
    let (_, texts) = create(&client, 2, 3);
    let table = everywhere("wrap = [\"keyfile\", \"hsm\"]\nopen = [\"keyfile\", \"hsm\", \"escrow\"]");
    apply(&client, &table, false).unwrap();
    let wanted = EscrowWanted { shares: 3, threshold: 2 };
    let mut handed_out = false;
    let refused = keeper.create_escrow(&client.session, &wanted, &mut |_, _| {
        handed_out = true;
        Ok(())
    });
    let refused = refused.unwrap_err();
    assert!(refused.code == Code::Gone && refused.why.contains("escrow") && !handed_out, "{refused:?}");
    assert_eq!(rehearse(&client, &[&texts[0], &texts[1]]).unwrap(), 6, "the one before brings back what it wraps");
    assert_eq!(wrong(&check(&client)), [KeyWrong::Root]);
}

#[test]
fn what_shares_do_not_open_stays_under_the_root_that_does() {
    let world = World::new(Mode::Solo);
    let phrase = || RootUnlock::Passphrase(b"a passphrase with some length".to_vec().into());
    {
        let keeper = world.open();
        let client = Client::new(&keeper, &world, None);
        let choice = RootChoice::Passphrase { bytes: b"a passphrase with some length".to_vec().into() };
        keeper.add_root(&client.session, &RootAdd { choice, priority: None, follows: None }).unwrap();
        // Confidential keys are for the passphrase alone: neither a key file nor an escrow wraps them.
        apply(&client, &confidential(&format!("{SUITES}\nwrap = [\"passphrase\", \"hsm\"]")), false).unwrap();
        client.put(&Put::new("lab/secret").class(Class::Confidential)).unwrap();
        client.put(&Put::new("lab/open").class(Class::Internal)).unwrap();
        drop(client);
        keeper.close().unwrap();
    }
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let (made, texts) = create(&client, 2, 2);
    assert_eq!((made.wrapped, made.locked), (1, 0), "internal alone");
    let passphrase = roots(&client).into_iter().find(|root| root.kind == "passphrase").unwrap().id;
    drop(client);
    keeper.close().unwrap();

    // Whoever has that root may be why the vault is recovered: it stays only if that is said.
    let refused = recovered(&world, &world.dir(), &[&texts[0], &texts[1]], false).unwrap_err();
    assert!(refused.code == Code::Conflict && refused.why.contains(&passphrase.to_string()), "{refused:?}");
    assert!(refused.try_.unwrap().contains("--keep-roots"));
    let (options, stay) = recovered(&world, &world.dir(), &[&texts[0], &texts[1]], true).unwrap();
    assert_eq!(stay, [passphrase]);
    let keeper = Keeper::open(&options).unwrap();
    let client = Client::new(&keeper, &world, None);
    client.release(Action::Read, "lab/open").unwrap();
    assert_eq!(code(client.release(Action::Read, "lab/secret")), Code::RootRefused);
    let kinds: Vec<String> = roots(&client).into_iter().map(|root| root.kind).collect();
    assert_eq!(kinds, ["keyfile", "passphrase", "escrow"], "the key file of before is gone");
    let done = entries(&client, "vault.recover").pop().unwrap().entry;
    assert_eq!(done["subject"]["stays.0"], passphrase.to_string(), "{done}");
    drop(client);
    keeper.close().unwrap();
    let means = RootMeans { root: None, unlock: phrase() };
    let roots = options.roots.iter().cloned().chain([std::sync::Arc::new(means)]).collect();
    let keeper = Keeper::open(&OpenOptions { roots, ..options }).unwrap();
    let client = Client::new(&keeper, &world, None);
    client.release(Action::Read, "lab/secret").unwrap();
    state_holds(&client);
}

#[test]
fn an_escrow_whose_date_is_over_wraps_nothing_new_and_then_brings_nothing_back() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let (wraps, opens) = (after(&world, 20), after(&world, 40));
    let until = |time| format!("[\"keyfile\", \"hsm\", {{ root = \"escrow\", until = \"{time}\" }}]");
    let lines = format!("{SUITES}\nwrap = {}\nopen = {}", until(wraps), until(opens));
    apply(&client, &confidential(&lines), false).unwrap();
    let (_, texts) = create(&client, 2, 2);
    client.put(&Put::new("lab/old").class(Class::Confidential)).unwrap();
    client.put(&Put::new("lab/open").class(Class::Internal)).unwrap();
    assert_eq!(rehearse(&client, &[&texts[0], &texts[1]]).unwrap(), 7);
    world.clock.set(wraps.as_millis());
    assert_eq!(wrong(&check(&client)), [KeyWrong::Root]);
    client.put(&Put::new("lab/new").class(Class::Confidential)).unwrap();
    assert_eq!(rehearse(&client, &[&texts[0], &texts[1]]).unwrap(), 7, "the next key is not under it");
    let keyfile = roots(&client).into_iter().find(|root| root.kind == "keyfile").unwrap().id;
    drop(client);
    keeper.close().unwrap();

    world.clock.set(opens.as_millis());
    let (options, stay) = recovered(&world, &world.dir(), &[&texts[0], &texts[1]], true).unwrap();
    assert_eq!(stay, [keyfile], "both confidential keys are under it alone, by the table or by their wraps");
    let keeper = Keeper::open(&options).unwrap();
    let client = Client::new(&keeper, &world, None);
    client.release(Action::Read, "lab/open").unwrap();
    for reference in ["lab/old", "lab/new"] {
        assert_eq!(code(client.release(Action::Read, reference)), Code::RootRefused, "{reference}");
    }
    drop(client);
    keeper.close().unwrap();
    // It turns up again: the new root gets what it missed, and the old one may go.
    let means = RootMeans { root: None, unlock: RootUnlock::Keyfile(world.keyfile()) };
    let both = options.roots.iter().cloned().chain([std::sync::Arc::new(means)]).collect();
    let keeper = Keeper::open(&OpenOptions { roots: both, ..options }).unwrap();
    let client = Client::new(&keeper, &world, None);
    client.release(Action::Read, "lab/old").unwrap();
    assert!(ran(&client, "roots") >= 2);
    let remove = api::wire::RootRemove { root: keyfile, after: None };
    client.call(Command::RootRemove(remove)).unwrap();
    client.release(Action::Read, "lab/new").unwrap();
    state_holds(&client);
}
