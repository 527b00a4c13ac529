use super::*;
use crate::secret::{DomainKey, MacKey, SigningSeed, VersionKey};
use crate::wrap::Kind;
use serde_json::Value;

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn id(value: &Value) -> Id {
    bytes(value).try_into().unwrap()
}

fn key(value: &Value) -> RootKey {
    RootKey::from_slice(&bytes(value)).unwrap()
}

fn suite(value: &Value) -> Suite {
    Suite::from_number(value.as_u64().unwrap() as u16).unwrap()
}

fn context_of(suite: Suite, value: &Value) -> WrapContext {
    let optional = |name: &str| (!value[name].is_null()).then(|| id(&value[name]));
    let number = |name: &str| value[name].as_u64().map(|n| n as u8);
    WrapContext {
        suite,
        vault: id(&value["vault"]),
        kind: Kind::from_number(number("kind").unwrap()).unwrap(),
        workspace: optional("workspace"),
        environment: number("environment"),
        class: number("class"),
        artifact: optional("artifact"),
        version: optional("version"),
        key_id: id(&value["key_id"]),
        wrapping_key_id: id(&value["wrapping_key_id"]),
        wrapping_key_version: value["wrapping_key_version"].as_u64().unwrap() as u32,
    }
}

/// Of the key that is sealed; the case's own suite is that of the recovery key.
fn wrapped_suite(case: &Value) -> Suite {
    if case["wrapped"].is_null() { suite(&case["suite"]) } else { suite(&case["wrapped"]) }
}

#[test]
fn recovery_vectors() {
    let file: Value = serde_json::from_str(include_str!("../../../../vectors/recovery.json")).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.len() >= 120);
    for case in cases {
        let suite = suite(&case["suite"]);
        let holds = match case["do"].as_str().unwrap() {
            "code" => Code::parse(case["text"].as_str().unwrap().as_bytes())
                .and_then(|code| code.root_key(suite, &id(&case["vault"])))
                .is_ok_and(|found| found.expose_bytes().as_slice() == bytes(&case["key"])),
            "private" => {
                let (vault, root) = (id(&case["vault"]), id(&case["root"]));
                Pair::open(&key(&case["key"]), suite, &vault, &root, &bytes(&case["sealed"]))
                    .is_ok_and(|pair| pair.public() == bytes(&case["public"]))
            }
            "wrap" => {
                let pair = Pair(OneTimeKey::from_private(suite, &bytes(&case["private"])).unwrap());
                let (context, sealed) = (context_of(wrapped_suite(case), &case["context"]), bytes(&case["sealed"]));
                let opened = match context.kind {
                    Kind::Mac => pair.unwrap::<MacKey>(&context, &sealed).map(|key| *key.expose_bytes()),
                    _ => pair.unwrap::<DomainKey>(&context, &sealed).map(|key| *key.expose_bytes()),
                };
                opened.is_ok_and(|found| found.as_slice() == bytes(&case["secret"]))
            }
            other => panic!("{other}"),
        };
        assert_eq!(holds, case["expect"] == "ok", "{}", case["name"]);
    }
}

#[test]
fn a_code_is_read_as_it_was_shown() {
    for _ in 0..200 {
        let code = Code::generate().unwrap();
        let text = code.expose_text();
        assert_eq!(text.split('-').map(str::len).collect::<Vec<_>>(), [GROUP_LEN; GROUPS]);
        let read = Code::parse(text.as_bytes()).unwrap();
        assert_eq!(read.0.expose_bytes(), code.0.expose_bytes());
    }
}

#[test]
fn what_is_sealed_to_a_recovery_key_opens_in_its_place_and_only_by_its_code() {
    for (suite, wrapped) in [
        (Suite::Default, Suite::Default),
        (Suite::Nist, Suite::Nist),
        (Suite::Default, Suite::Nist),
        (Suite::Nist, Suite::Default),
    ] {
        seals_and_opens(suite, wrapped);
    }
}

/// A key of one suite under a recovery key of another.
fn seals_and_opens(suite: Suite, wrapped_suite: Suite) {
    let (code, vault, root) = (Code::generate().unwrap(), [1; 16], [2; 16]);
    let code_key = code.root_key(suite, &vault).unwrap();
    let pair = Pair::generate(suite).unwrap();
    let sealed = pair.seal(&code_key, &vault, &root).unwrap();
    assert_eq!(sealed.len(), PRIVATE_SEALED_LEN);
    let again = Pair::open(&code_key, suite, &vault, &root, &sealed).unwrap();
    assert_eq!(again.public(), pair.public());
    let other = Code::generate().unwrap().root_key(suite, &vault).unwrap();
    assert_eq!(Pair::open(&other, suite, &vault, &root, &sealed).err(), Some(Error::Authentication));
    assert_eq!(Pair::open(&code_key, suite, &vault, &[3; 16], &sealed).err(), Some(Error::Authentication));

    let context = WrapContext {
        suite: wrapped_suite,
        vault,
        kind: Kind::Release,
        workspace: None,
        environment: None,
        class: None,
        artifact: None,
        version: None,
        key_id: [4; 16],
        wrapping_key_id: root,
        wrapping_key_version: 1,
    };
    let secret = SigningSeed::generate().unwrap();
    let wrapped = wrap(suite, pair.public(), &context, &secret).unwrap();
    assert_eq!(wrapped.len(), sealed_len(suite));
    assert_ne!(wrapped, wrap(suite, pair.public(), &context, &secret).unwrap());
    assert_eq!(again.unwrap::<SigningSeed>(&context, &wrapped).unwrap().expose_bytes(), secret.expose_bytes());
    let elsewhere = WrapContext { key_id: [5; 16], ..context };
    assert_eq!(again.unwrap::<SigningSeed>(&elsewhere, &wrapped).err(), Some(Error::Authentication));
    let unlike = if wrapped_suite == Suite::Default { Suite::Nist } else { Suite::Default };
    let of_another_suite = WrapContext { suite: unlike, ..context };
    assert_eq!(again.unwrap::<SigningSeed>(&of_another_suite, &wrapped).err(), Some(Error::Authentication));
    // A root wraps no version keys, and no kind with another's type.
    let version = WrapContext { kind: Kind::Version, ..context };
    assert_eq!(wrap(suite, pair.public(), &version, &VersionKey::generate().unwrap()).err(), Some(Error::Kind));
    assert_eq!(again.unwrap::<MacKey>(&context, &wrapped).err(), Some(Error::Kind));
    let nonsense = vec![0; hpke::public_key_len(suite)];
    assert_eq!(wrap(suite, &nonsense, &context, &secret).err(), Some(Error::Cipher));
}

#[test]
fn debug_shows_nothing() {
    assert_eq!(format!("{:?}", Code::generate().unwrap()), "Code(..)");
    assert_eq!(format!("{:?}", Pair::generate(Suite::Nist).unwrap()), "Pair(OneTimeKey(Nist, ..))");
}

#[test]
fn the_seeds_of_the_fuzzer_are_codes() {
    let seeds = testkit::seeds::good("recovery_code");
    assert!(seeds.len() >= 3);
    assert!(seeds.iter().all(|seed| Code::parse(seed).is_ok()));
}
