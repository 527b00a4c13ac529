//! Entries.

use std::collections::BTreeMap;

use log::entry::{AuthMethod, Decision, Effect, Entry, EntryError, Id, Kind, StateChange, row_commitment};
use log::jcs::JcsError;
use log::tree::{Hash, sha256};
use proptest::prelude::*;

pub fn sample() -> Entry {
    let hash = |n: u8| Hash::from_bytes([n; 32]);
    let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Entry {
        vault: Id([0xaa; 16]),
        log: 1,
        id: Id([0xbb; 16]),
        ticket: 42,
        kind: Kind::Release,
        time: "2026-11-21T02:03:04.005Z".to_owned(),
        auth: AuthMethod::Asserted,
        principal: Id([0xcc; 16]),
        act: "release.read".to_owned(),
        decision: Some(Decision {
            id: Id([0xdd; 16]),
            effect: Effect::Allow,
            policies: vec!["workspace-readers".to_owned()],
            near: Vec::new(),
            policy_set: hash(1),
            schema: hash(2),
            slice: hash(3),
            context: hash(4),
            engine: "cedar-policy 4.14.1".to_owned(),
        }),
        subject: map(&[("artifact", "00"), ("workspace", "11")]),
        detail: map(&[("reason", "a \"quoted\"\nline é")]),
        commitments: BTreeMap::from([("name".to_owned(), hash(5))]),
        state: vec![
            StateChange { table: "grant".to_owned(), id: vec![1, 2], commitment: Some(hash(6)) },
            StateChange { table: "grant".to_owned(), id: vec![3], commitment: None },
        ],
    }
}

#[test]
fn an_entry_is_written_in_canonical_form_and_read_back() {
    let bytes = sample().encode().unwrap();
    assert_eq!(Entry::parse(&bytes).unwrap(), sample());
    assert_eq!(log::jcs::parse(&bytes, 65_535).map(|value| log::jcs::to_vec(&value).unwrap()), Ok(bytes.clone()));
    let text = String::from_utf8(bytes).unwrap();
    assert!(
        text.starts_with(r#"{"act":"release.read","auth":{"method":"asserted"},"commitments":{"name":"0505"#),
        "{text}"
    );
    assert!(text.contains(r#""detail":{"reason":"a \"quoted\"\nline é"}"#), "{text}");
    assert!(
        text.ends_with(
            r#""ticket":42,"time":"2026-11-21T02:03:04.005Z","v":1,"vault":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"#
        ),
        "{text}"
    );
}

#[test]
fn the_smallest_entry_has_no_empty_members() {
    let small = Entry {
        decision: None,
        subject: BTreeMap::new(),
        detail: BTreeMap::new(),
        commitments: BTreeMap::new(),
        state: Vec::new(),
        ..sample()
    };
    let bytes = small.encode().unwrap();
    assert_eq!(Entry::parse(&bytes).unwrap(), small);
    let members: serde_json::Map<_, _> = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(members.len(), 10);
}

#[test]
fn entries_that_are_not_canonical_are_refused() {
    let text = String::from_utf8(sample().encode().unwrap()).unwrap();
    for (from, to) in [
        ("{\"act\"", "{ \"act\""),
        ("\"v\":1", "\"v\":1.0"),
        ("\"v\":1", "\"v\":1,\"v\":1"),
        ("\"v\":1,", "\"u\":1,\"v\":1,"),
        ("\"log\":1", "\"log\":01"),
        ("line é", "line \\u00e9"),
        ("asserted", "\\u0061sserted"),
        ("\"near\"", "\"near\":[],\"near\""),
        ("\"id\":\"0102\",\"table\":\"grant\"", "\"table\":\"grant\",\"id\":\"0102\""),
        ("\"policies\"", "\"near\":[],\"policies\""),
    ] {
        let changed = text.replacen(from, to, 1);
        if changed != text {
            assert!(Entry::parse(changed.as_bytes()).is_err(), "{to}");
        }
    }
    assert_eq!(Entry::parse(format!("{text} ").as_bytes()), Err(EntryError::Json(JcsError::NotCanonical)));
}

#[test]
fn members_out_of_their_form_are_refused() {
    let text = String::from_utf8(sample().encode().unwrap()).unwrap();
    for (from, to, member) in [
        ("\"v\":1", "\"v\":2", "v"),
        ("\"log\":1", "\"log\":0", "log"),
        ("\"ticket\":42", "\"ticket\":-1", "ticket"),
        ("\"ticket\":42", "\"ticket\":\"42\"", "ticket"),
        ("\"release\"", "\"realise\"", "kind"),
        ("asserted", "trusted", "method"),
        ("release.read", "release read", "act"),
        ("release.read", "", "act"),
        ("2026-11-21T", "2026-13-21T", "time"),
        ("02:03:04.005Z", "24:03:04.005Z", "time"),
        ("02:03:04.005Z", "02:03:04Z", "time"),
        ("\"allow\"", "\"maybe\"", "effect"),
        ("\"aaaa", "\"AAAA", "vault"),
        ("\"0101", "\"01", "policy_set"),
        ("\"id\":\"0102\"", "\"id\":\"012\"", "id"),
        ("\"id\":\"0102\"", "\"id\":\"\"", "state"),
        ("\"name\":\"05", "\"na me\":\"05", "commitments"),
        ("\"artifact\":\"00\"", "\"artifact\":0", "subject"),
        ("\"auth\":{\"method\":\"asserted\"}", "\"auth\":{\"method\":\"asserted\",\"x\":\"\"}", "auth"),
        ("{\"act\"", "{\"aaa\":1,\"act\"", "entry"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        assert_eq!(Entry::parse(changed.as_bytes()), Err(EntryError::Member(member)), "{to}");
    }
    assert_eq!(Entry::parse(b"[]"), Err(EntryError::Member("entry")));
    assert!(Entry::parse(b"").is_err());
}

#[test]
fn limits_hold_when_writing() {
    let refused = |change: &dyn Fn(&mut Entry)| {
        let mut entry = sample();
        change(&mut entry);
        entry.encode().unwrap_err()
    };
    let text = |len| "x".repeat(len);
    assert_eq!(refused(&|e| drop(e.detail.insert("a".into(), text(4097)))), EntryError::Member("detail"));
    assert_eq!(
        refused(&|e| (0..65).for_each(|n| drop(e.subject.insert(n.to_string(), text(1))))),
        EntryError::Member("subject")
    );
    assert_eq!(
        refused(&|e| (0..63).for_each(|n| drop(e.detail.insert(n.to_string(), text(4096))))),
        EntryError::TooLong
    );
    assert_eq!(refused(&|e| e.state = vec![e.state[0].clone(); 1025]), EntryError::Member("state"));
    assert_eq!(refused(&|e| e.state[0].id = vec![0; 65]), EntryError::Member("state"));
    assert_eq!(refused(&|e| e.ticket = (1 << 53) + 1), EntryError::Json(JcsError::Number));
    assert_eq!(Entry::parse(&vec![b' '; 65_536]), Err(EntryError::TooLong));
}

#[test]
fn a_row_commitment_binds_every_field_and_its_length() {
    let expected = [b"\0\x11strongroom/v1/row\0\x01t\0\x02id\0\x01s\0\0\0\x04".as_slice(), b"body"].concat();
    let commit = |table, id: &[u8], salt: &[u8], body: &[u8]| row_commitment(table, id, salt, body).unwrap();
    assert_eq!(commit("t", b"id", b"s", b"body"), sha256(&expected));
    let shifted =
        [commit("ti", b"d", b"s", b"body"), commit("t", b"i", b"ds", b"body"), commit("t", b"id", b"sb", b"ody")];
    assert!(!shifted.contains(&commit("t", b"id", b"s", b"body")));
    assert_eq!(row_commitment("t", &vec![0; 65_536], b"", b""), Err(EntryError::TooLong));
}

proptest! {
    #[test]
    fn any_entry_round_trips(
        ticket in 0_u64..=1 << 53,
        texts in prop::collection::vec("\\PC{0,40}|[\\x00-\\x1f\"\\\\]{0,9}", 1..5),
        ids in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..64), 0..5),
    ) {
        let mut entry = Entry { ticket, ..sample() };
        entry.detail = texts.iter().enumerate().map(|(n, text)| (format!("k{n}"), text.clone())).collect();
        entry.state = ids.into_iter().map(|id| StateChange { table: "t".into(), id, commitment: None }).collect();
        let bytes = entry.encode().unwrap();
        prop_assert_eq!(Entry::parse(&bytes), Ok(entry));
        prop_assert!(log::jcs::parse(&bytes, 65_535).is_ok());
    }

    #[test]
    fn a_flipped_bit_never_reads_as_the_same_entry(at in 0_usize..10_000, bit in 0_u8..8) {
        let mut bytes = sample().encode().unwrap();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        prop_assert_ne!(Entry::parse(&bytes), Ok(sample()));
    }
}
