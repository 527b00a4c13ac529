//! Whatever goes wrong is a refusal.

use crate::facts::*;
use api::terms::{Action, Class, Code};
use policy::{Held, Pins, Query, Resource, Role, Scope, Set, Source, decide};

/// A policy that passes strict validation and overflows for every clearance above internal.
const OVERFLOW: &str = "(principal, action == Action::\"read\", resource is Artifact)
    when { principal.clearance * 4611686018427387904 > 100 };";

fn with_policy(text: String) -> Set {
    let mut sources = Set::baseline_sources();
    sources.push(Source { name: "own".to_owned(), text });
    Set::load(&sources).unwrap()
}

#[test]
fn a_policy_that_errs_denies_whatever_its_effect() {
    for effect in ["permit", "forbid"] {
        let set = with_policy(format!("@id(\"errs\")\n{effect} {OVERFLOW}"));
        let answer = decide(&set, &query(Action::Read, Class::Public));
        assert!(!answer.allowed, "{effect}");
        assert!(answer.errors.len() == 1 && answer.errors[0].starts_with("errs: "), "{:?}", answer.errors);
        assert_eq!(answer.code, Some(Code::Denied));
        let named: Vec<&str> = answer.near_misses.iter().map(|miss| miss.policy.as_str()).collect();
        assert!(answer.advice.is_empty() && named == ["errs"], "it is named: {:?}", answer.near_misses);
        let elsewhere = decide(&set, &query(Action::Export, Class::Public));
        assert!(elsewhere.allowed, "it does not speak of export");
    }
}

#[test]
fn an_empty_set_denies() {
    let set = Set::load_with(&[], Pins::Waived).unwrap();
    let answer = decide(&set, &query(Action::List, Class::Public));
    assert!(!answer.allowed && answer.policies.is_empty() && answer.errors.is_empty());
}

#[test]
fn a_query_over_its_bounds_denies() {
    let long = "r".repeat(Query::MAX_REGION_BYTES + 1);
    let artifact_with = |residency: Vec<String>| {
        let mut artifact = artifact(Class::Public);
        artifact.residency = residency;
        Resource::Artifact(artifact)
    };
    type Change<'a> = (&'static str, Box<dyn Fn(&mut Query) + 'a>);
    let changes: Vec<Change<'_>> = vec![
        ("long region", Box::new(|q| q.context.region = Some(long.clone()))),
        ("long residency", Box::new(|q| q.resource = artifact_with(vec![long.clone()]))),
        ("regions", Box::new(|q| q.resource = artifact_with(vec!["eu".to_owned(); Query::MAX_REGIONS + 1]))),
        ("roles", Box::new(|q| q.principal.roles = vec![Held::new(Role::Reader, Scope::Vault); Query::MAX_ROLES + 1])),
        (
            "approvals",
            Box::new(|q| {
                q.context.approvals = vec![approval("restricted-export", BOB, &[Role::Owner]); Query::MAX_APPROVALS + 1]
            }),
        ),
    ];
    for (what, change) in changes {
        let mut query = query(Action::Read, Class::Public);
        assert!(decide(baseline(), &query).allowed);
        change(&mut query);
        let answer = decide(baseline(), &query);
        assert!(!answer.allowed && answer.errors.len() == 1, "{what}: {answer:?}");
    }
}

#[test]
fn hostile_words_are_only_words() {
    let mut query = query(Action::Read, Class::Public);
    let region = "eu\"} ] \\ \u{0} é";
    let Resource::Artifact(artifact) = &mut query.resource else { panic!("an artifact") };
    artifact.residency = vec![region.to_owned()];
    assert!(!decide(baseline(), &query).allowed);
    query.context.region = Some(region.to_owned());
    let answer = decide(baseline(), &query);
    assert!(answer.allowed, "{answer:?}");
    assert_eq!(policy::replay(baseline(), &answer.record, None).unwrap(), answer);
}
