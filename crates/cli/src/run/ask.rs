//! Questions about people, rights and decisions.

use super::{Context, near};
use crate::args::{WhoCanArgs, WhoDidArgs};
use crate::output::{Failure, printable, table};
use api::terms::{Code, DecisionId, Exit, Name, Reference};
use api::wire::{DecisionTold, Deed, DeedOutcome, FactsTold, Holder, Outcome, Problem, WhoCan, WhoCanPage, WhoDid};
use client::Client;
use serde_json::json;
use std::ffi::OsStr;

pub fn who_can(context: &Context, args: WhoCanArgs) -> Result<u8, Failure> {
    let WhoCanArgs { action, reference, environment, as_of, limit, after } = args;
    let reference = reference.as_deref().map(super::policy::subject).transpose()?;
    context.with(|client| {
        let ask = WhoCan { action, reference: reference.clone(), environment, as_of, after, limit };
        let page = client.who_can(ask).map_err(|problem| missing(client, reference.as_deref(), problem))?;
        context.output.list("who-can", &page, "items", || holders(&page))?;
        Ok(0)
    })
}

/// What of the question is not there.
fn missing(client: &Client, reference: Option<&str>, problem: Problem) -> Failure {
    match reference.map(|text| (text.parse::<Reference>(), text.parse::<Name>())) {
        Some((Ok(reference), _)) => near::told(client, &reference, problem.into()),
        Some((_, Ok(workspace))) => near::told_workspace(client, &workspace, problem.into()),
        _ => problem.into(),
    }
}

fn holders(page: &WhoCanPage) -> String {
    let mut rows = Vec::new();
    for holder in &page.items {
        let Holder { principal, kind, clearance, conditions, path, .. } = holder;
        let asked = if conditions.is_empty() { "-".to_owned() } else { conditions.join(", ") };
        let mut first = vec![principal.clone(), kind.to_string(), clearance.to_string()];
        for granted in path {
            let held = match (&granted.workspace, &granted.role) {
                (Some(workspace), Some(role)) => format!("{workspace}={role}"),
                _ => "-".to_owned(),
            };
            let until = granted.until.map_or_else(|| "-".to_owned(), |until| until.to_string());
            let mut row = std::mem::replace(&mut first, vec![String::new(); 3]);
            row.extend([granted.policy.clone(), held, until, asked.clone()]);
            rows.push(row);
        }
    }
    let mut out = match rows.is_empty() {
        true => format!("nobody may {} {}\n", page.action, printable(&page.about)),
        false => table(&["principal", "kind", "clearance", "by", "held", "until", "asks for"], &rows),
    };
    if let Some(next) = &page.next {
        out.push_str(&format!("more: --after {}\n", printable(next)));
    }
    out
}

pub fn who_did(context: &Context, args: &WhoDidArgs) -> Result<u8, Failure> {
    let parsed = super::data::reference(OsStr::new(&args.reference))?;
    if parsed.path.is_some() {
        return Err(Failure::usage("bad reference", "the log tells of whole versions: leave the path out"));
    }
    let WhoDidArgs { reference, since, until, limit, after } = args;
    context.with(|client| {
        let ask = WhoDid { reference: reference.clone(), since: *since, until: *until, after: *after, limit: *limit };
        let (items, next) = client.who_did(ask).map_err(|problem| near::told(client, &parsed, problem.into()))?;
        context.output.list("who-did", &json!({"items": items, "next": next}), "items", || {
            let head = ["index", "time", "principal", "act", "version", "outcome", "policies"];
            let text = table(&head, &items.iter().map(row).collect::<Vec<_>>());
            match next {
                Some(next) => format!("{text}more: --after {next}\n"),
                None => text,
            }
        })?;
        Ok(0)
    })
}

/// Who does what is due by itself, instead of the owner in whose name it is done: no name of a principal.
pub const THE_SYSTEM: &str = "(system)";

fn row(deed: &Deed) -> Vec<String> {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let outcome = match (deed.outcome, deed.count) {
        (DeedOutcome::Done, _) => "done".to_owned(),
        (DeedOutcome::Denied, 1) => "denied".to_owned(),
        (DeedOutcome::Denied, count) => format!("denied x {count}"),
    };
    let act = match &deed.alias {
        Some(alias) => format!("{} {alias}", deed.act),
        None => deed.act.clone(),
    };
    let index = deed.log_index.map_or_else(|| "pending".to_owned(), |index| index.to_string());
    let policies = if deed.policies.is_empty() { "-".to_owned() } else { deed.policies.join(", ") };
    let who = if deed.by_system { THE_SYSTEM.to_owned() } else { or_dash(&deed.principal) };
    vec![index, deed.time.to_string(), who, act, or_dash(&deed.version), outcome, policies]
}

pub fn explain(context: &Context, text: &str) -> Result<u8, Failure> {
    let bad = |_| {
        let problem = Problem::new(Code::BadRequest, "bad decision", "a decision is named by 32 hexadecimal digits");
        problem.with_try("strongroom audit tail; what would be decided: strongroom policy explain read REF")
    };
    let id: DecisionId = text.parse().map_err(bad)?;
    context.with(|client| {
        let told = client.decision(id).map_err(|problem| match problem.code {
            Code::NotFound => {
                let why = format!("the log records no decision `{id}`");
                Failure::from(Problem::new(Code::NotFound, "not found", why).with_try("strongroom audit tail"))
            }
            _ => problem.into(),
        })?;
        context.output.result("explained", &told, || explained(&told))?;
        let broken = matches!(told.replayed.outcome, Outcome::Differs | Outcome::Missing);
        Ok(if broken { Exit::Integrity as u8 } else { 0 })
    })
}

fn explained(told: &DecisionTold) -> String {
    let verb = if told.allowed { "allowed" } else { "denied" };
    let who = printable(told.principal.as_deref().unwrap_or("somebody")).to_string();
    let index = told.log_index.map_or_else(|| "waiting".to_owned(), |index| format!("index {index}"));
    let mut out = format!("{verb}: {} by {who} at {}, log entry {} ({index})\n", told.act, told.time, told.entry);
    if !told.policies.is_empty() {
        out.push_str(&format!("  policies: {}\n", printable(&told.policies.join(", "))));
    }
    told.reasons.iter().for_each(|reason| out.push_str(&format!("  reason: {}\n", printable(reason))));
    for miss in &told.near_misses {
        let (policy, condition) = (printable(&miss.policy), printable(&miss.condition));
        out.push_str(&format!("  near miss: {policy}: {condition} ({})\n", printable(&miss.held)));
    }
    if let Some(facts) = &told.facts {
        out.push_str(&self::facts(facts));
    }
    out.push_str(&format!("  policy set: {} ({})\n", told.policy_set, printable(&told.engine)));
    let why = told.replayed.why.as_ref().map(|why| format!(": {}", printable(why))).unwrap_or_default();
    out.push_str(match told.replayed.outcome {
        Outcome::Same => "  made again: the same",
        Outcome::Differs => "  made again: NOT the same",
        Outcome::Missing => "  made again: NOT possible",
        Outcome::OtherEngine => "  not made again: another engine decided",
        Outcome::Erased => "  verifiable, no longer replayable",
    });
    out.push_str(&format!("{why}\n"));
    out
}

/// The facts, each on a line of its own.
fn facts(facts: &FactsTold) -> String {
    let yes_no = |fact: bool| if fact { "yes" } else { "no" };
    let mut out = String::from("  by these facts:\n");
    let mut fact = |name: &str, value: String| out.push_str(&format!("    {name:<12} {}\n", printable(&value)));
    fact("action", facts.action.to_string());
    let state = if facts.active { "active" } else { "suspended" };
    fact("principal", format!("{}, {state}, clearance {}", facts.kind, facts.clearance));
    let own = if facts.own { ", one of them in the workspace itself" } else { "" };
    let roles = if facts.roles.is_empty() { "none".to_owned() } else { facts.roles.join(", ") };
    fact("roles there", format!("{roles}{own}"));
    if let (Some(class), Some(environment), Some(kind)) = (facts.class, facts.environment, facts.artifact_kind) {
        fact("artifact", format!("{class}, {environment}, {kind}"));
    }
    fact(
        "presence",
        match (facts.presence_applies, facts.presence_millis) {
            (false, _) => "not asked for".to_owned(),
            (true, None) => "never proven".to_owned(),
            (true, Some(millis)) => format!("proven {} s before the session", millis / 1000),
        },
    );
    fact("auth", format!("{}{}", facts.auth, if facts.solo { ", alone" } else { "" }));
    fact("reason", format!("{}, confirmed {}", yes_no(facts.reasoned), yes_no(facts.confirmed)));
    fact("task", yes_no(facts.task).to_owned());
    if !facts.approved.is_empty() {
        fact("approved", facts.approved.join(", "));
    }
    fact("roots", facts.roots.join(", "));
    out
}
