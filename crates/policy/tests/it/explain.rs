//! What a refusal says, word for word, and what it must not say.

use crate::facts::*;
use api::terms::{Action, Class, Code, Mode, PrincipalKind};
use policy::{Advice, Answer, Held, Mfa, PrincipalState, Query, Resource, Role, Scope, decide};

fn told(answer: &Answer) -> Vec<String> {
    answer.near_misses.iter().map(|m| format!("{} | {} held; failed: {}", m.policy, m.held, m.condition)).collect()
}

fn ask(query: &Query) -> Answer {
    decide(baseline(), query)
}

#[test]
fn a_refusal_names_what_failed_in_words() {
    let mut query = query(Action::Read, Class::Confidential);
    query.principal.clearance = Class::Internal;
    let answer = ask(&query);
    assert_eq!(answer.policies, ["clearance"]);
    assert_eq!(answer.reasons, ["the clearance must reach the class of the artifact"]);
    assert_eq!(
        told(&answer),
        ["clearance | 12 of 13 held; failed: your clearance is internal, the artifact is confidential"]
    );
    assert_eq!(answer.near_misses[0].source, "principal.clearance >= resource.class");
    assert_eq!((answer.code, answer.advice.len()), (Some(Code::Denied), 0));
}

#[test]
fn several_failures_are_all_named() {
    let mut query = query(Action::Export, Class::Restricted);
    query.principal.clearance = Class::Public;
    query.context.mfa = Mfa::Age { millis: 80 * 60_000 };
    assert_eq!(
        told(&ask(&query)),
        [
            "clearance | 11 of 15 held; failed: your clearance is public, the artifact is restricted",
            "presence-restricted-export | 11 of 15 held; failed: your presence was proven 1 h 20 min ago",
            "restricted-export | 11 of 15 held; failed: no approval is given",
            "restricted-task | 11 of 15 held; failed: no open task of yours covers it",
        ]
    );
}

#[test]
fn a_missing_role_is_named() {
    let answer = ask(&query(Action::Write, Class::Public));
    assert!(answer.policies.is_empty());
    assert_eq!(
        told(&answer),
        ["writer-write | 9 of 10 held; failed: your roles here are member reader; it takes `writer`"]
    );
}

#[test]
fn an_unfinished_confirmation_names_its_parts() {
    let resource = Resource::Artifact(artifact(Class::Restricted));
    let answer = ask(&with(Action::Read, resource, &[Role::Owner], Mode::Solo));
    assert_eq!(answer.code, Some(Code::ConfirmationNeeded));
    assert_eq!(answer.advice, [Advice::Confirm]);
    let failed: Vec<&str> = answer.near_misses.iter().map(|m| m.condition.as_str()).collect();
    assert_eq!(failed, ["no reason is given", "its name is not confirmed"]);
}

#[test]
fn what_is_gone_says_so() {
    let mut suspended = query(Action::Read, Class::Public);
    suspended.principal.state = PrincipalState::Suspended;
    assert_eq!(ask(&suspended).code, Some(Code::Gone));
    let mut artifact = artifact(Class::Public);
    artifact.quarantined = true;
    let quarantined = with(Action::Read, Resource::Artifact(artifact), &[Role::Reader], Mode::Solo);
    assert_eq!(ask(&quarantined).code, Some(Code::Gone));
    assert_eq!(ask(&quarantined).near_misses[0].condition, "the artifact is quarantined");
}

#[test]
fn whoever_may_not_know_of_it_learns_nothing() {
    for action in Action::ALL {
        for class in Class::ALL {
            let mut query = query(*action, *class);
            query.principal.roles = vec![Held::new(Role::Steward, Scope::Workspace(OTHER))];
            let answer = ask(&query);
            assert!(!answer.allowed && !answer.visible);
            assert_eq!(answer.code, Some(Code::NotFound));
            assert!(answer.near_misses.is_empty() && answer.advice.is_empty() && answer.approval.is_none());
        }
    }
}

#[test]
fn nothing_is_said_about_other_people() {
    for action in Action::ALL {
        for class in Class::ALL {
            let mut query = query(*action, *class);
            query.principal.roles = vec![Held::new(Role::Member, Scope::Workspace(LAB))];
            query.principal.clearance = Class::Public;
            query.context.approvals = vec![approval("restricted-export", CAROL, &[Role::Owner])];
            let told = format!("{:?}", ask(&query).near_misses);
            for secret in [BOB.to_string(), CAROL.to_string(), "eu".to_owned() + "-west"] {
                assert!(!told.contains(&secret), "{told}");
            }
        }
    }
}

#[test]
fn advice_is_given_only_if_it_would_help() {
    let mut hopeless = query(Action::Export, Class::Restricted);
    hopeless.principal.clearance = Class::Internal;
    let answer = ask(&hopeless);
    assert!(answer.advice.is_empty() && answer.approval.is_none(), "{answer:?}");
    assert_eq!(answer.code, Some(Code::Denied));
    let mut hopeful = query(Action::Export, Class::Restricted);
    hopeful.context.mfa = Mfa::Never;
    let answer = ask(&hopeful);
    let rule = "restricted-export".to_owned();
    assert_eq!(answer.advice, [Advice::Present, Advice::OpenTask, Advice::Request { rule }]);
    assert_eq!(answer.code, Some(Code::ApprovalNeeded));
}

#[test]
fn a_program_is_told_that_people_do_this() {
    let mut query = with(Action::ManagePrincipals, workspace(), &[Role::Owner], Mode::Rehearsal);
    query.principal.kind = PrincipalKind::Workload;
    assert_eq!(ask(&query).near_misses[0].condition, "you are a workload");
}
