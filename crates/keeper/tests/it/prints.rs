//! What versions are recognised by goes to whoever may read them, under a decision in the log, and to nobody else.

use crate::decisions::{entries, staff};
use crate::world::{Asked, Client, Put, World, code};
use api::terms::{Action, Class, Code, Mode, VersionId};
use api::wire::{Answer, Command, Printed, Prints, Problem};
use seal::envelope::Key;
use seal::secret::PrintKey;

fn asked(client: &Client<'_>, action: Action, versions: &[VersionId]) -> (Asked, Command) {
    let asked = client.ask(action, versions, &Command::Prints(Prints { request: Vec::new() }));
    let command = Command::Prints(Prints { request: asked.signed.encode() });
    (asked, command)
}

fn prints(client: &Client<'_>, versions: &[VersionId]) -> Result<(Printed, Option<PrintKey>), Problem> {
    let (asked, command) = asked(client, Action::Scan, versions);
    let Answer::Printed(printed) = client.call(command)? else { panic!() };
    let Some(first) = printed.items.first() else { return Ok((*printed, None)) };
    let opened = client.open(asked, &printed.envelope).unwrap();
    assert_eq!(opened.keys.len(), printed.items.len(), "a list key for each, and no map key");
    let version = *first.version.as_bytes();
    let key = opened.keys.iter().find(|key| key.version == version).unwrap();
    let Key::List(list) = &key.key else { panic!() };
    let vault = client.keeper.info().vault;
    let key = seal::prints::open_key(&printed.print_key, list, vault.as_bytes(), &version).unwrap();
    Ok((*printed, Some(key)))
}

#[test]
fn prints_go_to_whoever_may_read_and_to_nobody_else() {
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let as_ = |who| Client::new(&keeper, &world, Some(who));
    let wanda = as_("wanda");
    let put = Put::new("lab/open").class(Class::Internal);
    wanda.put(&put).unwrap();
    let net = wanda.show("lab/net").unwrap().id;
    let both = [net, put.version];
    let versions = |printed: &Printed| printed.items.iter().map(|item| item.version).collect::<Vec<_>>();

    let (printed, key) = prints(&wanda, &both).unwrap();
    let mut given = versions(&printed);
    given.sort_unstable();
    let mut all = both.to_vec();
    all.sort_unstable();
    assert_eq!(given, all);
    for item in &printed.items {
        assert_eq!(item.sealed, item.version.as_bytes(), "as the client sealed them");
    }
    // Everybody who is given the vault's print key is given the same.
    let (printed, other) = prints(&as_("alice"), &both).unwrap();
    assert_eq!(versions(&printed), [put.version], "her clearance does not reach the other");
    assert_eq!(key.unwrap().expose_bytes(), other.unwrap().expose_bytes());
    for nobody in ["mallory", "cus", "aud", "pol", "olivia"] {
        let (printed, key) = prints(&as_(nobody), &both).unwrap();
        assert!(printed.items.is_empty() && key.is_none() && printed.print_key.is_empty(), "{nobody}");
    }
    let missing = VersionId::from_bytes([9; 16]);
    assert!(prints(&wanda, &[missing]).unwrap().0.items.is_empty());

    // One entry for each artifact that was decided on, refusals too; each replays.
    let logged = entries(&as_("aud"), "release.prints");
    let of = |kind: &str| logged.iter().filter(|item| item.entry["kind"] == kind).count();
    assert_eq!((of("release"), of("denial")), (3, 11), "{logged:?}");
    let Answer::DecisionsReplayed(replayed) = as_("aud").call(Command::DecisionsReplay).unwrap() else { panic!() };
    assert!(replayed.ok, "{replayed:?}");
}

#[test]
fn a_request_for_prints_counts_once_and_for_that_only() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    let client = Client::new(&keeper, &world, None);
    let put = Put::new("lab/net").class(Class::Restricted);
    client.put(&put).unwrap();
    // Nobody confirms each artifact of a search; the entry waits for the anchor all the same.
    let (printed, _) = prints(&client, &[put.version]).unwrap();
    assert_eq!(printed.items.len(), 1);
    let (_, command) = asked(&client, Action::Scan, &[put.version]);
    client.call(command.clone()).unwrap();
    assert_ne!(code(client.call(command)), Code::Internal, "a replay");
    let (_, command) = asked(&client, Action::List, &[put.version]);
    assert_eq!(code(client.call(command)), Code::BadRequest);
    let unbound = client.ask_bound(Action::Scan, &[put.version], &[0; 32]);
    assert_eq!(code(client.call(Command::Prints(Prints { request: unbound.signed.encode() }))), Code::BadSession);
    // The key of a search is not to be had as a release.
    assert_eq!(code(client.release(Action::Scan, "lab/net").map(drop)), Code::BadRequest);
}

#[test]
fn a_writer_is_given_the_key_to_make_prints_and_no_prints() {
    let world = staff(World::new(Mode::Rehearsal));
    let keeper = world.open();
    let wanda = Client::new(&keeper, &world, Some("wanda"));
    let first = wanda.show("lab/net").unwrap().id;
    let put = Put::new("lab/net").class(Class::Confidential);
    let (begun, opened) = wanda.begin(&put).unwrap();
    let list = opened.keys.iter().find_map(|key| match &key.key {
        Key::List(list) => Some(list),
        Key::Map(_) => None,
    });
    let vault = *keeper.info().vault.as_bytes();
    let own = seal::prints::open_key(&begun.print_key, list.unwrap(), &vault, put.version.as_bytes()).unwrap();
    assert!(begun.previous_prints.is_empty(), "it named no version before");
    assert!(seal::prints::open_key(&begun.print_key, list.unwrap(), &vault, first.as_bytes()).is_err());
    let (_, found) = prints(&wanda, &[first]).unwrap();
    assert_eq!(own.expose_bytes(), found.unwrap().expose_bytes());
    // Together with the version before come its prints, for what did not change.
    let put = Put { previous: Some(first), ..Put::new("lab/net").class(Class::Confidential) };
    let (begun, _) = wanda.begin(&put).unwrap();
    assert_eq!(begun.previous_prints, first.as_bytes());
    // Another vault has another key.
    let other = World::new(Mode::Solo);
    let keeper = other.open();
    let client = Client::new(&keeper, &other, None);
    let put = Put::new("lab/net");
    client.put(&put).unwrap();
    let (_, key) = prints(&client, &[put.version]).unwrap();
    assert_ne!(key.unwrap().expose_bytes(), own.expose_bytes());
}
