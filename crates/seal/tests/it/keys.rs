//! Wraps, derivations, passphrases, padding.

use proptest::prelude::*;
use seal::passphrase::{Cost, Params};
use seal::secret::{ArchiveKey, DomainKey, FieldKey, MacKey, RootKey, SigningSeed, ValueKey, VersionKey};
use seal::wrap::{Error, Kind, WRAP_LEN, WrapContext, WrappingKey, unwrap, wrap};
use seal::{Fault, Suite, derive, mac, padme, passphrase};

use crate::case::{Case, cases, unhex};
use crate::suites;

pub fn context(suite: Suite, kind: Kind) -> WrapContext {
    WrapContext {
        suite,
        vault: [1; 16],
        kind,
        workspace: Some([2; 16]),
        environment: Some(0),
        class: Some(2),
        artifact: None,
        version: None,
        key_id: [3; 16],
        wrapping_key_id: [4; 16],
        wrapping_key_version: 1,
    }
}

fn context_of(case: &Case) -> WrapContext {
    let context = case.value("context");
    let id = |field: &str| (!context[field].is_null()).then(|| unhex(&context[field]).try_into().unwrap());
    let number = |field: &str| context[field].as_u64().map(|n| n as u8);
    WrapContext {
        suite: Suite::from_number(context["suite"].as_u64().unwrap() as u16).unwrap(),
        vault: id("vault").unwrap(),
        kind: Kind::from_number(number("kind").unwrap()).unwrap(),
        workspace: id("workspace"),
        environment: number("environment"),
        class: number("class"),
        artifact: id("artifact"),
        version: id("version"),
        key_id: id("key_id").unwrap(),
        wrapping_key_id: id("wrapping_key_id").unwrap(),
        wrapping_key_version: context["wrapping_key_version"].as_u64().unwrap() as u32,
    }
}

#[test]
fn wrap_vectors() {
    for case in cases(include_str!("../../../../vectors/wrap.json"), 72) {
        let context = context_of(&case);
        let (root, domain, archive);
        let key = if case.value("by") == "root" {
            root = RootKey::from_slice(&case.bytes("wrapping_key")).unwrap();
            WrappingKey::from(&root)
        } else if case.value("by") == "archive" {
            archive = ArchiveKey::from_slice(&case.bytes("wrapping_key")).unwrap();
            WrappingKey::from(&archive)
        } else {
            domain = DomainKey::from_slice(&case.bytes("wrapping_key")).unwrap();
            WrappingKey::from(&domain)
        };
        let wrapped = case.bytes("wrapped");
        let secret: Result<[u8; 32], Error> = match context.kind {
            Kind::Version => unwrap::<VersionKey>(key, &context, &wrapped).map(|key| *key.expose_bytes()),
            Kind::Domain => unwrap::<DomainKey>(key, &context, &wrapped).map(|key| *key.expose_bytes()),
            Kind::Archive => unwrap::<ArchiveKey>(key, &context, &wrapped).map(|key| *key.expose_bytes()),
            _ => unwrap::<SigningSeed>(key, &context, &wrapped).map(|key| *key.expose_bytes()),
        };
        if case.ok() {
            assert_eq!(secret, Ok(case.array("secret")), "{}", case.name());
        } else {
            assert_eq!(secret, Err(Error::Authentication), "{}", case.name());
        }
    }
}

#[test]
fn every_kind_comes_back() {
    for suite in Suite::ALL {
        let root = RootKey::generate().unwrap();
        let domain = DomainKey::generate().unwrap();
        let archive = ArchiveKey::generate().unwrap();
        macro_rules! round {
            ($type:ident, $kind:ident, $key:expr) => {
                let secret = $type::generate().unwrap();
                let context = context(suite, Kind::$kind);
                let wrapped = wrap($key, &context, &secret).unwrap();
                assert_eq!(wrapped.len(), WRAP_LEN);
                assert_ne!(wrapped, wrap($key, &context, &secret).unwrap());
                let opened: $type = unwrap($key, &context, &wrapped).unwrap();
                assert_eq!(opened.expose_bytes(), secret.expose_bytes());
            };
        }
        round!(DomainKey, Domain, &root);
        round!(ArchiveKey, Archive, &root);
        round!(VersionKey, Version, &domain);
        round!(VersionKey, Version, &archive);
        round!(ValueKey, Value, &domain);
        round!(SigningSeed, LogEd25519, &root);
        round!(SigningSeed, LogMlDsa44, &root);
        round!(SigningSeed, Release, &root);
        round!(SigningSeed, Session, &root);
        round!(MacKey, Mac, &root);
        round!(FieldKey, Field, &root);
    }
}

#[test]
fn kinds_and_types_that_do_not_belong_together_are_refused() {
    for suite in Suite::ALL {
        let root = RootKey::generate().unwrap();
        let domain = DomainKey::generate().unwrap();
        let version = VersionKey::generate().unwrap();
        let archive = ArchiveKey::generate().unwrap();
        let refused = [
            wrap(&archive, &context(suite, Kind::Value), &ValueKey::generate().unwrap()).err(),
            wrap(&archive, &context(suite, Kind::Domain), &domain).err(),
            wrap(&domain, &context(suite, Kind::Archive), &archive).err(),
            wrap(&root, &context(suite, Kind::Domain), &archive).err(),
            wrap(&root, &context(suite, Kind::Version), &version).err(),
            wrap(&domain, &context(suite, Kind::Domain), &domain).err(),
            wrap(&root, &context(suite, Kind::Value), &ValueKey::generate().unwrap()).err(),
            wrap(&domain, &context(suite, Kind::Value), &version).err(),
            wrap(&domain, &context(suite, Kind::Mac), &version).err(),
            unwrap::<MacKey>(&root, &context(suite, Kind::Field), &[0; WRAP_LEN]).err(),
        ];
        assert_eq!(refused, [Some(Error::Kind); 10]);
        assert_eq!(Error::Kind.fault(), Fault::Misuse);
    }
}

#[test]
fn a_wrap_of_one_suite_does_not_open_as_the_other() {
    let (root, secret) = (RootKey::generate().unwrap(), MacKey::generate().unwrap());
    for (suite, other) in [(Suite::Default, Suite::Nist), (Suite::Nist, Suite::Default)] {
        let wrapped = wrap(&root, &context(suite, Kind::Mac), &secret).unwrap();
        assert!(unwrap::<MacKey>(&root, &context(suite, Kind::Mac), &wrapped).is_ok());
        let opened = unwrap::<MacKey>(&root, &context(other, Kind::Mac), &wrapped);
        assert_eq!(opened.err(), Some(Error::Authentication));
    }
}

#[test]
fn kinds_keep_their_numbers() {
    for number in 0..=u8::MAX {
        assert_eq!(Kind::from_number(number).map(Kind::number), (1..=10).contains(&number).then_some(number));
    }
}

#[test]
fn derive_vectors() {
    for case in cases(include_str!("../../../../vectors/derive.json"), 24) {
        let suite = Suite::from_number(case.suite()).unwrap();
        let (vault, id) = (case.array("vault"), case.array("id"));
        let key = VersionKey::from_slice(&case.bytes("key")).unwrap();
        let out = match case.value("label").as_str().unwrap() {
            "list-key" => derive::list_key(&key, suite, &vault, &id).unwrap().expose_bytes().to_vec(),
            "map-key" => derive::map_key(&key, suite, &vault, &id).unwrap().expose_bytes().to_vec(),
            _ => derive::fingerprint(key.expose_bytes(), suite, &vault, &id).unwrap().to_vec(),
        };
        assert_eq!(out == case.bytes("out"), case.ok(), "{}", case.name());
    }
}

#[test]
fn passphrase_vectors() {
    for case in cases(include_str!("../../../../vectors/passphrase.json"), 14) {
        let number = |field| case.value(field).as_u64().unwrap().try_into().unwrap();
        let cost = match Suite::from_number(case.suite()).unwrap() {
            Suite::Default => {
                let (memory_kib, passes, lanes) = (number("memory"), number("passes"), number("lanes"));
                Cost::Argon2id { memory_kib, passes, lanes }
            }
            _ => Cost::Pbkdf2 { iterations: number("iterations") },
        };
        let root = passphrase::Params::new(cost, case.array("salt"))
            .and_then(|params| params.derive(&case.bytes("passphrase"), &case.array("vault")));
        let found = root.is_ok_and(|root| *root.expose_bytes() == case.array("root"));
        assert_eq!(found, case.ok(), "{}", case.name());
    }
}

#[test]
fn padme_vectors() {
    for case in cases(include_str!("../../../../vectors/padme.json"), 100) {
        let padded = padme::padded_len(case.value("length").as_u64().unwrap());
        assert_eq!(padded == case.value("padded").as_u64().unwrap(), case.ok(), "{}: {padded}", case.name());
    }
}

#[test]
fn a_row_mac_is_checked() {
    let (key, other) = (MacKey::generate().unwrap(), MacKey::generate().unwrap());
    let tag = mac::tag(&key, b"row");
    assert!(mac::verify(&key, b"row", &tag));
    assert!(!mac::verify(&key, b"rov", &tag));
    assert!(!mac::verify(&other, b"row", &tag));
    assert!(!mac::verify(&key, b"row", &tag[..31]));
    assert!(!mac::verify(&key, b"row", &[]));
}

fn argon2id(memory_kib: u32, passes: u32, lanes: u32) -> Cost {
    Cost::Argon2id { memory_kib, passes, lanes }
}

/// Costs that a test can wait for, the second dearer.
fn costs(suite: Suite) -> [Cost; 2] {
    match suite {
        Suite::Default => [argon2id(8 << 10, 1, 1), argon2id(8 << 10, 2, 1)],
        _ => [600_000, 600_001].map(|iterations| Cost::Pbkdf2 { iterations }),
    }
}

#[test]
fn a_passphrase_gives_one_root_for_each_salt_and_vault() {
    let root = |params: &Params, text: &[u8], vault| *params.derive(text, &[vault; 16]).unwrap().expose_bytes();
    for suite in Suite::ALL {
        let [cost, dearer] = costs(suite);
        let params = Params::new(cost, [7; 16]).unwrap();
        assert_eq!(params.suite(), suite);
        let first = root(&params, b"correct horse", 1);
        assert_eq!(first, root(&Params::decode(&params.encode()).unwrap(), b"correct horse", 1));
        let salted = Params::new(cost, [8; 16]).unwrap();
        let longer = Params::new(dearer, [7; 16]).unwrap();
        assert_ne!(first, root(&params, b"correct hors", 1));
        assert_ne!(first, root(&params, b"correct horse", 2));
        assert_ne!(first, root(&salted, b"correct horse", 1));
        assert_ne!(first, root(&longer, b"correct horse", 1));
        assert_eq!(params.derive(b"", &[1; 16]).err(), Some(passphrase::Error::Length));
        assert_eq!(params.derive(&[1; 4_097], &[1; 16]).err(), Some(passphrase::Error::Length));
    }
}

#[test]
fn hostile_passphrase_parameters_are_refused() {
    for memory in [(8 << 10) - 1, (1 << 20) + 1, u32::MAX] {
        assert!(Params::new(argon2id(memory, 1, 1), [0; 16]).is_err(), "{memory}");
    }
    for (passes, lanes) in [(0, 1), (17, 1), (1, 0), (1, 17)] {
        assert!(Params::new(argon2id(8 << 10, passes, lanes), [0; 16]).is_err(), "{passes} {lanes}");
    }
    // Too few are weak, too many a trap: both ways, for writers and readers.
    for iterations in [0, 1, 1_000, 599_999, 10_000_001, u32::MAX] {
        assert!(Params::new(Cost::Pbkdf2 { iterations }, [0; 16]).is_err(), "{iterations}");
    }
    for suite in Suite::ALL {
        let good = Params::generate(Cost::recommended(suite)).unwrap().encode();
        assert_eq!(Params::decode(&good).unwrap().encode(), good);
        for cut in 0..good.len() {
            assert!(Params::decode(&good[..cut]).is_err());
        }
        assert!(Params::decode(&[good.as_slice(), &[0]].concat()).is_err());
        // Under another suite the same numbers are no parameters.
        for number in (0..=23).filter(|number| u16::from(*number) != suite.number()) {
            assert!(Params::decode(&[&good[..1], &[number], &good[2..]].concat()).is_err(), "suite {number}");
        }
    }
    // 1 TiB of memory; 4 billion iterations; 999, in the form of four bytes and in their own.
    let argon = Params::generate(Cost::recommended(Suite::Default)).unwrap().encode();
    let huge = [&argon[..2], &[0x1a, 0x40, 0, 0, 0], &argon[7..]].concat();
    let pbkdf2 = Params::generate(Cost::recommended(Suite::Nist)).unwrap().encode();
    let of = |iterations: &[u8]| [&pbkdf2[..2], iterations, &pbkdf2[7..]].concat();
    assert!(Params::decode(&of(&[0x1a, 0x00, 0x09, 0x27, 0xc0])).is_ok(), "600,000");
    let none = [of(&[0x1a, 0xff, 0xff, 0xff, 0xff]), of(&[0x1a, 0, 0, 3, 0xe7]), of(&[0x19, 3, 0xe7])];
    for hostile in none.into_iter().chain([huge]) {
        assert!(Params::decode(&hostile).is_err());
    }
}

#[test]
fn the_specification_lists_every_label() {
    let spec = include_str!("../../../../spec/keys.md");
    for label in seal::label::Label::ALL {
        let name = label.text().strip_prefix("strongroom/v1/").unwrap();
        assert!(spec.contains(&format!("`{name}`")), "{name}");
    }
}

proptest! {
    #[test]
    fn a_changed_wrap_does_not_open(suite in suites(), at in 0..WRAP_LEN, bit in 0u8..8) {
        let key = DomainKey::from_bytes(Box::new([1; 32]));
        let context = context(suite, Kind::Version);
        let mut wrapped = wrap(&key, &context, &VersionKey::from_bytes(Box::new([2; 32]))).unwrap();
        wrapped[at] ^= 1 << bit;
        prop_assert_eq!(unwrap::<VersionKey>(&key, &context, &wrapped).err(), Some(Error::Authentication));
    }

    #[test]
    fn any_bytes_do_not_open(suite in suites(), bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let key = DomainKey::from_bytes(Box::new([1; 32]));
        let opened = unwrap::<VersionKey>(&key, &context(suite, Kind::Version), &bytes);
        prop_assert_eq!(opened.err(), Some(Error::Authentication));
    }

    #[test]
    fn padding_grows_and_costs_at_most_an_eighth(len in 0u64..1 << 50) {
        let padded = padme::padded_len(len);
        prop_assert!(padded >= len && padded - len <= len / 8);
        prop_assert_eq!(padme::padded_len(padded), padded);
        prop_assert!(padme::padded_len(len + 1) >= padded);
    }

    #[test]
    fn any_bytes_are_parameters_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(params) = passphrase::Params::decode(&bytes) {
            prop_assert_eq!(params.encode(), bytes);
        }
    }
}
