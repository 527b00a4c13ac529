//! Facts in words. Only what the caller may know: itself, its session, and the class and place of what it asked for.

use crate::slice::{Facts, NEVER_MILLIS, ResourceFacts};
use std::fmt::Display;

/// The facts behind a condition that failed, or the condition itself when there are no words for them.
pub(super) fn of(source: &str, paths: &[String], facts: &Facts) -> String {
    let known: Vec<String> = paths.iter().filter_map(|path| fact(path, source, facts)).collect();
    match known.is_empty() {
        false => known.join(", "),
        // What lifts a guardrail alone is no way for a team: it is told where nothing else is.
        true if paths.iter().any(|path| path == "context.solo") => {
            format!("the vault is {}solo", if facts.context.solo { "" } else { "not " })
        }
        true => format!("`{source}` does not hold"),
    }
}

fn fact(path: &str, source: &str, facts: &Facts) -> Option<String> {
    let (variable, name) = path.split_once('.').unwrap_or((path, ""));
    match variable {
        "principal" => of_principal(name, facts),
        "principal in" => {
            let wanted = source.split('"').nth(1).unwrap_or("another");
            Some(format!("{}; it takes `{wanted}`", listed("your roles here are", &facts.principal.roles)))
        }
        "resource" => of_resource(name, facts),
        "context" => of_context(name, facts),
        _ => None,
    }
}

fn of_principal(name: &str, facts: &Facts) -> Option<String> {
    let principal = &facts.principal;
    match name {
        "" => Some(format!("you are a {}", principal.kind)),
        "clearance" => Some(format!("your clearance is {}", principal.clearance)),
        "active" => (!principal.active).then(|| "you are suspended".to_owned()),
        "roles" => Some(listed("your roles here are", &principal.roles)),
        "envs" => Some(listed("your environments are", &principal.envs)),
        _ => None,
    }
}

fn of_resource(name: &str, facts: &Facts) -> Option<String> {
    let ResourceFacts::Artifact(artifact) = &facts.resource else { return None };
    match name {
        "class" => Some(format!("the artifact is {}", artifact.class)),
        "env" => Some(format!("the artifact is in {}", artifact.env)),
        "kind" => Some(format!("the artifact is a {}", artifact.kind)),
        "owner" => artifact.owner.is_empty().then(|| "nobody answers for the artifact".to_owned()),
        "held" => artifact.held.then(|| "it is under a legal hold".to_owned()),
        "quarantined" => artifact.quarantined.then(|| "the artifact is quarantined".to_owned()),
        _ => None,
    }
}

fn of_context(name: &str, facts: &Facts) -> Option<String> {
    let context = &facts.context;
    let unless = |given: bool, words: &str| (!given).then(|| words.to_owned());
    match name {
        "own" => unless(context.own, "you hold no role in this workspace itself"),
        "approved" => Some(match context.approved.as_slice() {
            [] => "no approval is given".to_owned(),
            rules => listed("approvals given are", rules),
        }),
        "task" => unless(context.task, "no open task of yours covers it"),
        "reasoned" => unless(context.reasoned, "no reason is given"),
        "confirmed" => unless(context.confirmed, "its name is not confirmed"),
        "mfa.age" if context.mfa_age_millis == NEVER_MILLIS => Some("your presence was never proven".to_owned()),
        "mfa.age" => Some(format!("your presence was proven {} ago", span(context.mfa_age_millis))),
        "roots" => Some(listed("the vault's roots that may wrap it are", &context.roots)),
        "region" if context.region.is_empty() => Some("your region is not known".to_owned()),
        "region" => Some(format!("your region is {}", context.region)),
        "auth" => Some(format!("you signed in by {}", context.auth)),
        "now" => Some(format!("the time is {}", context.now)),
        _ => None,
    }
}

fn listed<T: Display>(start: &str, items: &[T]) -> String {
    if items.is_empty() {
        return format!("{start} none");
    }
    let words: Vec<String> = items.iter().map(ToString::to_string).collect();
    format!("{start} {}", words.join(" "))
}

/// A span of time in its largest whole unit but one, as in `20 min` or `3 h 5 min`.
fn span(millis: u64) -> String {
    let minutes = millis / 60_000;
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{} s", millis / 1000),
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}
