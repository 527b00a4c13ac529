//! Records: canonical, salted, and refused when they are not what was written.

use crate::facts::*;
use api::terms::{Action, Class};
use policy::{Digest, Pins, Record, ReplayError, Set, decide, replay};

#[test]
fn the_record_of_a_decision_is_canonical_json() {
    let answer = decide(baseline(), &query(Action::Read, Class::Confidential));
    let slice = String::from_utf8(answer.record.slice.clone()).unwrap();
    let expected = concat!(
        r#"{"action":{"id":"read","type":"Action"},"entities":[{"attrs":{"active":true,"clearance":3,"#,
        r#""envs":["dev","staging","prod"],"roles":["member","reader"]},"parents":[{"id":"member","type":"Role"},"#,
        r#"{"id":"reader","type":"Role"}],"uid":{"id":"a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1","type":"User"}},{"attrs":"#,
        r#"{"class":2,"env":"dev","held":false,"kind":"model","owner":"b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0","quarantined":false,"#,
        r#""residency":[],"workspace":{"__entity":{"id":"1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a","type":"Workspace"}}},"#,
        r#""parents":[{"id":"1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a","type":"Workspace"},"#,
        r#"{"id":"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a","type":"Vault"}],"#,
        r#""uid":{"id":"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee","type":"Artifact"}},{"attrs":{},"#,
        r#""parents":[{"id":"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a","type":"Vault"}],"#,
        r#""uid":{"id":"1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a","type":"Workspace"}},{"attrs":{},"parents":[],"#,
        r#""uid":{"id":"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a","type":"Vault"}}],"#,
        r#""principal":{"id":"a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1","type":"User"},"#,
        r#""resource":{"id":"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee","type":"Artifact"}}"#,
    );
    assert_eq!(slice, expected);
    let context = String::from_utf8(answer.record.context).unwrap();
    let expected = concat!(
        r#"{"approved":[],"auth":"asserted","confirmed":false,"mfa":{"age":{"__extn":{"arg":"0ms","fn":"duration"}},"#,
        r#""applicable":true},"now":{"__extn":{"arg":"2026-11-18T11:06:40.000Z","fn":"datetime"}},"own":true,"#,
        r#""reasoned":false,"region":"","roots":[],"solo":false,"task":false}"#,
    );
    assert_eq!(context, expected);
}

#[test]
fn the_salt_changes_the_addresses_and_nothing_else() {
    let mut query = query(Action::Read, Class::Public);
    let one = decide(baseline(), &query);
    query.salt = [10; 16];
    let other = decide(baseline(), &query);
    assert_ne!(one.slice_hash, other.slice_hash);
    assert_ne!(one.context_hash, other.context_hash);
    assert_eq!((one.record.slice, one.policies), (other.record.slice, other.policies));
}

#[test]
fn a_record_that_was_touched_is_refused() {
    let record = decide(baseline(), &query(Action::Read, Class::Confidential)).record;
    let with_slice = |slice: Vec<u8>| Record { slice, ..record.clone() };
    let with_context = |context: Vec<u8>| Record { context, ..record.clone() };
    let edit = |bytes: &[u8], from: &str, to: &str| {
        let text = std::str::from_utf8(bytes).unwrap();
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1).into_bytes()
    };
    let touched = [
        with_slice(Vec::new()),
        with_slice(b"[]".to_vec()),
        with_slice([record.slice.as_slice(), b" "].concat()),
        with_slice(edit(&record.slice, ":[\"member\"", ": [\"member\"")),
        with_slice(edit(&record.slice, "\"clearance\":3", "\"clearance\":4")),
        with_slice(edit(&record.slice, "\"active\":true,", "")),
        with_slice(edit(&record.slice, "\"attrs\":{},", "\"attrs\":{\"x\":1},")),
        with_slice(edit(&record.slice, "{\"id\":\"member\",\"type\":\"Role\"},", "")),
        with_slice(edit(&record.slice, "\"type\":\"User\"", "\"type\":\"Root\"")),
        with_slice(edit(&record.slice, "\"id\":\"read\"", "\"id\":\"reed\"")),
        with_slice(vec![b'['; 200_000]),
        with_context(edit(&record.context, "2026-11-18", "2026-11-31")),
        with_context(edit(&record.context, "0ms", "00ms")),
        with_context(edit(&record.context, "0ms", "0h")),
        with_context(edit(&record.context, "datetime", "decimal")),
        with_context(edit(&record.context, "\"solo\":false", "\"solo\":0")),
        with_context(edit(&record.context, "T11:06", "T11:6")),
    ];
    for (at, record) in touched.iter().enumerate() {
        assert!(matches!(replay(baseline(), record, None), Err(ReplayError::Malformed)), "{at}");
    }
}

#[test]
fn another_set_is_named_unless_it_is_asked_what_it_would_say() {
    let answer = decide(baseline(), &query(Action::Read, Class::Public));
    let none = Set::load_with(&[], Pins::Waived).unwrap();
    let refused = replay(&none, &answer.record, Some(answer.set_hash));
    assert!(matches!(refused, Err(ReplayError::OtherSet { recorded, .. }) if recorded == answer.set_hash));
    assert!(!replay(&none, &answer.record, None).unwrap().allowed);
    assert_eq!(Digest::from_bytes([0xab; 32]).to_string(), "ab".repeat(32));
}

#[test]
fn facts_that_broke_a_bound_are_refused_again() {
    let mut query = query(Action::List, Class::Public);
    query.principal.roles = vec![query.principal.roles[0]; policy::Query::MAX_ROLES + 1];
    let answer = decide(baseline(), &query);
    assert!(!answer.allowed && answer.record.slice.is_empty() && answer.record.context.is_empty());
    let again = replay(baseline(), &answer.record, Some(answer.set_hash)).unwrap();
    assert_eq!(policy::Answer { errors: again.errors.clone(), ..answer }, again);
    assert_eq!(again.errors.len(), 1);
}

#[test]
fn times_of_every_kind_replay() {
    let mut query = query(Action::List, Class::Public);
    for millis in [0, 951_782_400_000, 1_709_164_799_999, 4_102_444_800_000, 253_402_300_799_999] {
        query.context.now = api::terms::Timestamp::from_millis(millis);
        let answer = decide(baseline(), &query);
        assert!(answer.allowed, "{answer:?}");
        assert_eq!(replay(baseline(), &answer.record, None).unwrap(), answer);
    }
}
