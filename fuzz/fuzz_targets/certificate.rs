//! A certificate of destruction: as text, and as edits of a real one of two parts. What is taken says what the log's entry vouches for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log::certificate::{DETAIL, MAGIC, check, joined, part_line};
use log::entry::{AuthMethod, Entry, Id, Kind};
use log::keys::Signers;
use log::receipt::Receipt;
use log::tree;
use std::collections::BTreeMap;
use std::sync::LazyLock;

const KEY: &str = "0202020202020202020202020202020202020202";
const TIME: &str = "2026-11-21T02:03:04.005Z";
const PARTS: [&str; 2] = ["wrap 01\nwrap 02\n", "version 03\n"];

static SIGNERS: LazyLock<Signers> = LazyLock::new(|| {
    Signers::from_seeds(&format!("strongroom/{}/1", "07".repeat(16)), &[1; 32], &[2; 32]).expect("an origin")
});
static HEAD: LazyLock<String> = LazyLock::new(|| {
    let parts: String = (1..).zip(PARTS).map(|(number, body)| part_line(number, body)).collect();
    format!("{MAGIC}\nkey {KEY}\nof lab/dev/internal\n{parts}")
});
static REAL: LazyLock<String> = LazyLock::new(|| {
    let one = |name: &str, value: String| BTreeMap::from([(name.to_owned(), value)]);
    let entry = Entry {
        vault: Id([7; 16]),
        log: 1,
        id: Id([8; 16]),
        ticket: 9,
        kind: Kind::State,
        time: TIME.to_owned(),
        auth: AuthMethod::System,
        principal: Id([9; 16]),
        act: "key.shred".to_owned(),
        decision: None,
        subject: one("key", KEY.to_owned()),
        detail: one(DETAIL, tree::sha256(HEAD.as_bytes()).to_string()),
        commitments: BTreeMap::new(),
        state: Vec::new(),
    };
    let entry = entry.encode().expect("an entry");
    let checkpoint = SIGNERS.sign(1, &tree::leaf(&entry), 1).expect("signed");
    let proof = Receipt { extra: None, index: 0, path: Vec::new(), checkpoint }.to_bytes();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    let whole = joined(&HEAD, &PARTS.concat(), &text(entry), &text(proof));
    assert!(check(&whole, SIGNERS.keys()).is_ok(), "it is one");
    whole
});

fn held_to(text: &str) {
    if let Ok(checked) = check(text, SIGNERS.keys()) {
        assert_eq!((checked.key.as_str(), checked.time.as_str(), checked.checkpoint.size), (KEY, TIME, 1));
        let head: Vec<&str> = HEAD.lines().skip(1).collect();
        assert_eq!(checked.head, head, "nobody else signs for this log");
    }
}

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        held_to(text);
    }
    let mut real = REAL.clone().into_bytes();
    for edit in data.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % real.len();
        real[at] ^= edit[2];
    }
    if let Ok(text) = std::str::from_utf8(&real) {
        held_to(text);
    }
});
