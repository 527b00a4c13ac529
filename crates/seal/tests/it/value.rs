//! Sealed values and their tokens.

use proptest::prelude::*;
use seal::secret::ValueKey;
use seal::value::{self, Error, MAX_LEN, MAX_TOKEN_LEN, Pairs, Place, Token};
use seal::{Fault, Suite};
use std::collections::BTreeMap;

use crate::case::{cases, unhex};
use crate::suites;

fn place(suite: Suite) -> Place<'static> {
    Place { suite, vault: [1; 16], named: [2; 16], key: [3; 16], number: 7, workspace: "app", name: "db" }
}

fn key() -> ValueKey {
    ValueKey::from_slice(&[9; 32]).unwrap()
}

fn pairs(of: &[(&str, &str)]) -> Pairs {
    Pairs::new(of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()).unwrap()
}

#[test]
fn value_vectors() {
    for case in cases(include_str!("../../../../vectors/sealed_value.json"), 80) {
        let of = case.value("place");
        let text = |field: &str| of[field].as_str().unwrap();
        let id = |field: &str| unhex(&of[field]).try_into().unwrap();
        let place = Place {
            suite: Suite::from_number(case.suite()).unwrap(),
            vault: id("vault"),
            named: id("named"),
            key: id("key_id"),
            number: of["number"].as_u64().unwrap().try_into().unwrap(),
            workspace: text("workspace"),
            name: text("name"),
        };
        let said: BTreeMap<String, String> = serde_json::from_value(case.value("pairs").clone()).unwrap();
        let key = ValueKey::from_slice(&case.bytes("key")).unwrap();
        let token = case.value("token").as_str().unwrap();
        let opened = Token::parse(token).and_then(|token| {
            value::open(&key, &place, &Pairs::new(said).unwrap(), &token).map(|value| (token, value))
        });
        assert_eq!(opened.is_ok(), case.ok(), "{}: {:?}", case.name(), opened.as_ref().err());
        if let Ok((read, value)) = opened {
            assert_eq!((value.to_vec(), read.to_string()), (case.bytes("value"), token.to_owned()), "{}", case.name());
        }
    }
}

#[test]
fn a_value_of_64_kib_is_sealed_and_one_byte_more_is_not() {
    for suite in Suite::ALL {
        let value = vec![0xa5; MAX_LEN + 1];
        for len in [0, 1, 16_383, 16_384, 16_385, MAX_LEN] {
            let token = value::seal(&key(), &place(suite), &Pairs::default(), &value[..len]).unwrap().to_string();
            assert!(token.len() <= MAX_TOKEN_LEN && !token.contains('\n'), "{len}");
            let token = Token::parse(&token).unwrap();
            assert_eq!(value::open(&key(), &place(suite), &Pairs::default(), &token).unwrap().len(), len);
        }
        let refused = value::seal(&key(), &place(suite), &Pairs::default(), &value);
        assert_eq!(refused.err(), Some(Error::TooLong));
    }
    assert_eq!(Token::parse(&"x".repeat(MAX_TOKEN_LEN + 1)), Err(Error::Token("it is too long")));
    assert_eq!((Error::TooLong.fault(), Error::Authentication.fault()), (Fault::Misuse, Fault::Hostile));
}

#[test]
fn a_context_is_bounded_and_the_largest_one_seals() {
    let of = |count: usize, name: usize, value: usize| {
        let name = |at: usize| format!("{at:0>name$}");
        Pairs::new((0..count).map(|at| (name(at), "v".repeat(value))).collect())
    };
    let largest = of(16, 64, 192).unwrap();
    let token = value::seal(&key(), &place(Suite::Default), &largest, b"x").unwrap();
    assert_eq!(value::open(&key(), &place(Suite::Default), &largest, &token).unwrap().as_slice(), b"x");
    assert!(of(16, 64, 193).is_err() && of(17, 2, 1).is_err() && of(1, 65, 1).is_err() && of(1, 1, 1025).is_err());
    assert!(of(1, 1, 1024).is_ok() && of(0, 1, 1).is_ok());
    assert!(Pairs::new(BTreeMap::from([(String::new(), "x".to_owned())])).is_err());
    // What it is about may be personal.
    assert_eq!(format!("{:?}", pairs(&[("patient", "Ada")])), "Pairs(1 of them)");
}

#[test]
fn two_tokens_of_one_value_differ() {
    let seal = || value::seal(&key(), &place(Suite::Default), &Pairs::default(), b"same").unwrap().to_string();
    assert_ne!(seal(), seal());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_was_sealed_opens_under_the_same_context_and_no_other(
        suite in suites(),
        value in prop::collection::vec(any::<u8>(), 0..400),
        said in prop::collection::btree_map("[a-z]{1,3}", "[a-z]{0,3}", 0..4),
        other in prop::collection::btree_map("[a-z]{1,3}", "[a-z]{0,3}", 0..4),
    ) {
        let (one, two) = (Pairs::new(said).unwrap(), Pairs::new(other).unwrap());
        let token = value::seal(&key(), &place(suite), &one, &value).unwrap();
        let token = Token::parse(&token.to_string()).unwrap();
        prop_assert_eq!(value::open(&key(), &place(suite), &one, &token).unwrap().to_vec(), value);
        prop_assert_eq!(value::open(&key(), &place(suite), &two, &token).is_ok(), one == two);
    }

    #[test]
    fn a_token_with_any_byte_altered_does_not_open(suite in suites(), at in any::<prop::sample::Index>(), to in 0u8..128) {
        let said = pairs(&[("row", "17")]);
        let text = value::seal(&key(), &place(suite), &said, b"a secret").unwrap().to_string();
        let mut bytes = text.clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        let altered = String::from_utf8(bytes).unwrap();
        let opened = Token::parse(&altered).and_then(|token| value::open(&key(), &place(suite), &said, &token));
        prop_assert!(opened.is_err(), "{altered}");
    }

    #[test]
    fn a_token_has_one_form(text in "strongroom:1:(0[1-9]|[0-9a-f]{2}){16}:[a-z./]{1,5}:v[0-9]{1,3}:[A-Za-z0-9_-]{96,104}") {
        if let Ok(token) = Token::parse(&text) {
            prop_assert_eq!(token.to_string(), text);
        }
    }
}
