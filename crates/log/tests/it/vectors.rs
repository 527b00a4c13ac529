//! The language-neutral cases of `vectors/log.json`, written by a second implementation (`spec/vectors/log.py`).

use log::entry::Entry;
use log::keys::LogKeys;
use log::note::VerifierKey;
use log::proof::{self, Head};
use log::receipt::Receipt;
use log::tile::{self, Tile};
use log::tree::{self, Hash};
use serde_json::Value;

fn file() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/log.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn text<'a>(case: &'a Value, member: &str) -> &'a str {
    case[member].as_str().unwrap()
}

fn hash(case: &Value, member: &str) -> Hash {
    Hash::from_hex(text(case, member)).unwrap()
}

fn hashes(case: &Value, member: &str) -> Vec<Hash> {
    case[member].as_array().unwrap().iter().map(|hash| Hash::from_hex(hash.as_str().unwrap()).unwrap()).collect()
}

fn number(case: &Value, member: &str) -> u64 {
    case[member].as_u64().unwrap()
}

/// Runs all cases of a group and compares each outcome with what is expected.
fn check(group: &str, at_least: usize, accepts: impl Fn(&Value) -> bool) {
    let file = file();
    let cases = file[group].as_array().unwrap();
    assert!(cases.len() >= at_least, "{group}");
    for case in cases {
        assert_eq!(
            accepts(case),
            case["ok"].as_bool().unwrap(),
            "{group}: {}",
            case.get("name").unwrap_or(&case["path"])
        );
    }
}

#[test]
fn three_quarters_are_negative() {
    let file = file();
    let cases: Vec<_> = file.as_object().unwrap().values().filter_map(Value::as_array).flatten().collect();
    let negative = cases.iter().filter(|case| case["ok"] == false).count();
    assert!(negative * 4 >= cases.len() * 3, "{negative} of {}", cases.len());
}

#[test]
fn vkeys() {
    check("vkey", 12, |case| VerifierKey::parse(text(case, "vkey")).is_ok());
}

#[test]
fn checkpoints() {
    let file = file();
    let keys = LogKeys::from_vkeys(text(&file, "ed25519"), text(&file, "mldsa")).unwrap();
    // The same seeds give the same keys in both implementations.
    assert_eq!(&keys, crate::support::keys());
    check("checkpoint", 40, |case| keys.open(text(case, "note").as_bytes()).is_ok());
}

#[test]
fn proofs() {
    check("proof", 60, |case| match text(case, "kind") {
        "inclusion" => {
            let (leaf, path, root) = (hash(case, "leaf"), hashes(case, "path"), hash(case, "root"));
            proof::verify_inclusion(&leaf, number(case, "index"), number(case, "size"), &path, &root).is_ok()
        }
        "consistency" => {
            let old = Head { size: number(case, "old_size"), root: hash(case, "old_root") };
            let new = Head { size: number(case, "new_size"), root: hash(case, "new_root") };
            proof::verify_consistency(&old, &new, &hashes(case, "proof")).is_ok()
        }
        other => panic!("unknown kind {other}"),
    });
}

#[test]
fn receipts() {
    check("receipt", 13, |case| {
        let receipt = Receipt::parse(text(case, "receipt").as_bytes());
        receipt.is_ok_and(|receipt| receipt.verify(text(case, "entry").as_bytes(), crate::support::keys()).is_ok())
    });
}

#[test]
fn paths() {
    check("path", 25, |case| Tile::parse(text(case, "path")).is_ok());
}

#[test]
fn bundles() {
    check("bundle", 13, |case| tile::entries(&from_hex(text(case, "hex")), number(case, "width")).is_ok());
}

#[test]
fn entries() {
    check("entry", 40, |case| {
        let bytes = text(case, "json").as_bytes();
        assert_eq!(tree::leaf(bytes), hash(case, "leaf"));
        Entry::parse(bytes).is_ok_and(|entry| entry.encode().unwrap() == bytes)
    });
}

fn from_hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}
