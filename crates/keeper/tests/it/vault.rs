//! Making and opening vaults.

use crate::world::{Client, World, code, name};
use api::terms::{Code, Mode};
use keeper::Keeper;
use keeper::vault::{self, InitOptions, OpenOptions, RootChoice, RootKind, RootMeans, RootUnlock};
use testkit::suites;

fn means(unlock: RootUnlock) -> Vec<std::sync::Arc<RootMeans>> {
    vec![std::sync::Arc::new(RootMeans { root: None, unlock })]
}

#[test]
fn a_vault_opens_with_its_key_file_and_says_who_it_is() {
    suites::each(|| {
        let world = World::new(Mode::Solo);
        let described = vault::describe(&world.dir()).unwrap();
        assert_eq!((described.vault, described.mode), (world.vault, Mode::Solo));
        assert_eq!(described.roots.iter().map(|root| root.kind).collect::<Vec<_>>(), [RootKind::Keyfile]);
        let keeper = world.open();
        assert_eq!(keeper.info().vault, world.vault);
        let client = Client::new(&keeper, &world, None);
        assert_eq!(client.session.name(), &name("olivia"));
        assert_eq!(std::fs::read_to_string(world.dir().join(".gitignore")).unwrap(), "*\n");
        for folder in ["log", "depot", "drafts"] {
            assert!(world.dir().join(folder).is_dir());
        }
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(world.keyfile()).unwrap().permissions().mode() & 0o777, 0o600);
    });
}

#[test]
fn a_passphrase_opens_and_a_wrong_one_is_told_so() {
    suites::each(|| {
        let world = World::with_root(Mode::Solo, Some(b"correct horse"));
        let with = |phrase: &[u8]| OpenOptions {
            roots: means(RootUnlock::Passphrase(phrase.to_vec().into())),
            ..world.options()
        };
        assert!(Keeper::open(&with(b"correct horse")).is_ok());
        assert_eq!(code(Keeper::open(&with(b"wrong horse"))), Code::RootRefused);
        assert_eq!(code(Keeper::open(&with(b""))), Code::RootRefused);
        assert_eq!(code(Keeper::open(&world.options())), Code::RootRefused);
    });
}

#[test]
fn a_foreign_or_missing_or_public_key_file_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let (one, other) = (World::new(Mode::Solo), World::new(Mode::Solo));
    std::fs::copy(other.keyfile(), one.tmp.path().join("foreign")).unwrap();
    let with = |path| OpenOptions { roots: means(RootUnlock::Keyfile(path)), ..one.options() };
    assert_eq!(code(Keeper::open(&with(one.tmp.path().join("foreign")))), Code::RootRefused);
    assert_eq!(code(Keeper::open(&with(one.tmp.path().join("none")))), Code::RootRefused);
    // The right words with another key.
    let text = std::fs::read_to_string(one.keyfile()).unwrap();
    let flipped = if text.ends_with("0\n") { "1\n" } else { "0\n" };
    std::fs::write(one.keyfile(), format!("{}{flipped}", &text[..text.len() - 2])).unwrap();
    assert_eq!(code(Keeper::open(&one.options())), Code::RootRefused);
    std::fs::write(one.keyfile(), &text).unwrap();
    assert!(Keeper::open(&one.options()).is_ok());
    std::fs::set_permissions(one.keyfile(), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(code(Keeper::open(&one.options())), Code::RootRefused);
}

#[test]
fn a_second_init_and_an_empty_folder_are_refused() {
    let world = World::new(Mode::Solo);
    let again = InitOptions {
        dir: world.dir(),
        vault: vault::draw_id().unwrap(),
        mode: Mode::Solo,
        root: RootChoice::Keyfile { path: world.tmp.path().join("second.key") },
        anchor: world.anchor(),
        owner: name("olivia"),
        crypto: None,
        recovery: None,
    };
    assert_eq!(code(vault::init(&again)), Code::Conflict);
    assert!(!world.tmp.path().join("second.key").exists());
    // A key file is never overwritten.
    let over = InitOptions {
        dir: world.tmp.path().join("elsewhere"),
        root: RootChoice::Keyfile { path: world.keyfile() },
        ..again
    };
    assert_eq!(code(vault::init(&over)), Code::Conflict);
    let nothing = OpenOptions { dir: world.tmp.path().join("nothing"), ..world.options() };
    assert_eq!(code(Keeper::open(&nothing)), Code::NoVault);
}

#[test]
fn an_altered_vault_file_is_refused() {
    suites::each(|| {
        let world = World::new(Mode::Solo);
        let path = world.dir().join("vault.json");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"solo\"", "\"rehearsal\"")).unwrap();
        assert_eq!(code(Keeper::open(&world.options())), Code::RootRefused);
        let (here, there) = if suites::current() == "nist" { ("nist", "default") } else { ("default", "nist") };
        let other = text.replace(&format!("\"suite\": \"{here}\""), &format!("\"suite\": \"{there}\""));
        assert_ne!(other, text);
        std::fs::write(&path, other).unwrap();
        assert_eq!(code(Keeper::open(&world.options())), Code::RootRefused);
        std::fs::write(&path, text.replace("\"strongroom\": 1", "\"strongroom\": 2")).unwrap();
        assert_eq!(code(Keeper::open(&world.options())), Code::Unsupported);
        std::fs::write(&path, &text[..20]).unwrap();
        assert_eq!(code(Keeper::open(&world.options())), Code::Integrity);
        std::fs::write(&path, text).unwrap();
        assert!(Keeper::open(&world.options()).is_ok());
    });
}

#[test]
fn a_clock_that_went_back_is_refused_and_says_so() {
    let world = World::new(Mode::Solo);
    world.clock.set(1_000_000_000_000);
    assert_eq!(code(Keeper::open(&world.options())), Code::ClockBack);
}

#[test]
fn solo_has_one_principal() {
    let world = World::new(Mode::Solo);
    let keeper = world.open();
    assert_eq!(code(keeper.session(Some(&name("alice")), [0; 32])), Code::BadRequest);
    let world = World::new(Mode::Rehearsal);
    let keeper = world.open();
    assert_eq!(code(keeper.session(Some(&name("alice")), [0; 32])), Code::NotFound);
    assert!(keeper.session(Some(&name("olivia")), [0; 32]).is_ok());
}
