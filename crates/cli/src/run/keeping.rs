//! `rm`, `undelete`, `retention`, `hold`.

use super::data::reference;
use super::{Context, near, policy};
use crate::args::{HoldCommand, RemovalArgs, RetentionCommand, RmArgs};
use crate::output::{Failure, bytes_shown, table};
use crate::unlock;
use api::terms::{Action, Code, Name, Reference, Selector};
use api::wire::{
    Explain, HoldItem, HoldLift, HoldMoved, HoldSet, Keeping, KeptVersion, Problem, Removal, RemovalItem, Remove,
    Restore, RetentionItem, RetentionQuery, RetentionReport, RetentionSet,
};
use client::{Client, Why};
use serde_json::json;
use std::ffi::OsStr;

const DAY_SECS: u64 = 86_400;

pub fn remove(context: &Context, args: &RmArgs) -> Result<u8, Failure> {
    let named = whole(&args.reference)?;
    if named.selector == Selector::Latest && !args.all_versions {
        let why = "say which version, or --all-versions: what has no number is the latest version for other commands";
        let hint = format!("strongroom history {named}, then strongroom rm {named}@vN");
        return Err(Problem::new(Code::BadRequest, "no version is named", why).with_try(hint).into());
    }
    context.with_reasons(stated(&args.why), |why| {
        context.with(|client| {
            let wish = Remove {
                reference: named.to_string(),
                all: args.all_versions,
                reason: why.reason.clone(),
                confirm: why.confirm.clone(),
                dry: context.global.dry_run,
            };
            let done = client.remove(wish).map_err(|problem| near::told(client, &named, problem.into()))?;
            context.output.result("removal", &done, || removed(&done, context.global.dry_run))?;
            Ok(0)
        })
    })
}

fn removed(done: &Removal, dry: bool) -> String {
    let mut text = String::new();
    for item in &done.items {
        let until = item.until.map(|until| until.to_string()).unwrap_or_default();
        let size = format!("{} in {} files", bytes_shown(item.bytes), item.files);
        text += &match (dry, done.changed) {
            (true, _) => format!("would remove {}: {size}; its key would be destroyed after {until}\n", item.version),
            (false, 0) => format!("{} was removed already; its key is destroyed after {until}\n", item.version),
            (false, _) => format!(
                "removed {}: {size}\n  until {until} it can be restored: strongroom undelete {}\n",
                item.version, item.version
            ),
        };
        text += &warnings(item);
    }
    text + &entry(done.receipt.as_ref())
}

fn stated(args: &RemovalArgs) -> Why {
    Why { reason: args.reason.clone(), confirm: args.confirm.clone() }
}

/// What depends on a version.
fn warnings(item: &RemovalItem) -> String {
    let mut text = String::new();
    if !item.made_from_it.is_empty() {
        let more = match item.more_made_from_it {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        text += &format!("  made from it: {}{more}\n", item.made_from_it.join(", "));
    }
    if !item.shares_with.is_empty() {
        text += &format!("  files it shares with {} stay readable there\n", item.shares_with.join(", "));
    }
    text
}

fn entry(receipt: Option<&api::wire::Receipt>) -> String {
    receipt.map(|receipt| format!("log entry {}\n", receipt.entry)).unwrap_or_default()
}

pub fn restore(context: &Context, text: &str) -> Result<u8, Failure> {
    let named = whole(text)?;
    context.with(|client| {
        if context.global.dry_run {
            return would(context, client, Action::Restore, &named);
        }
        let done = client.restore(Restore { reference: named.to_string() });
        let done = done.map_err(|problem| near::told(client, &named, problem.into()))?;
        context.output.result("removal", &done, || {
            let verb = if done.changed == 0 { "is there already" } else { "is restored" };
            let lines: String = done.items.iter().map(|item| format!("{} {verb}\n", item.version)).collect();
            lines + &entry(done.receipt.as_ref())
        })?;
        Ok(0)
    })
}

pub fn retention(context: &Context, command: &RetentionCommand) -> Result<u8, Failure> {
    match command {
        RetentionCommand::Set { artifact, keep_for, keep_last, keep_everything: _, why } => {
            set(context, artifact, keep_for.map(|time| time.secs), *keep_last, why)
        }
        RetentionCommand::Report { place, after } => report(context, place, after.clone()),
    }
}

fn set(
    context: &Context,
    text: &str,
    keep_secs: Option<u64>,
    keep_last: Option<u32>,
    reasons: &RemovalArgs,
) -> Result<u8, Failure> {
    let named = artifact(text)?;
    context.with_reasons(stated(reasons), |why| {
        context.with(|client| {
            let wish = RetentionSet {
                reference: named.to_string(),
                keep_secs,
                keep_last,
                reason: why.reason.clone(),
                confirm: why.confirm.clone(),
                dry: context.global.dry_run,
            };
            let done = client.retention_set(wish).map_err(|problem| near::told(client, &named, problem.into()))?;
            told(context, &done)
        })
    })
}

fn report(context: &Context, place: &str, after: Option<String>) -> Result<u8, Failure> {
    context.with(|client| {
        let done = client.retention(RetentionQuery { place: place.to_owned(), after });
        told(context, &done.map_err(|problem| near_place(client, place, problem))?)
    })
}

/// A failure on a workspace or an artifact, with names that are near.
fn near_place(client: &Client, place: &str, problem: Problem) -> Failure {
    match (place.parse::<Name>(), place.parse::<Reference>()) {
        (Ok(workspace), _) => near::told_workspace(client, &workspace, problem.into()),
        (Err(_), Ok(named)) => near::told(client, &named, problem.into()),
        (Err(_), Err(_)) => problem.into(),
    }
}

fn told(context: &Context, report: &RetentionReport) -> Result<u8, Failure> {
    context.output.list("retention", report, "items", || {
        let text = match &report.items[..] {
            [one] if !one.versions.is_empty() => of_artifact(one),
            items => of_workspace(items),
        };
        let more = report.next.as_ref().map(|next| format!("more: --after {next}\n")).unwrap_or_default();
        text + &more + &entry(report.receipt.as_ref())
    })?;
    Ok(0)
}

/// A rule in words.
fn rule(item: &RetentionItem) -> String {
    let age = item.keep_secs.map(|secs| match secs % DAY_SECS {
        0 => format!("{} days", secs / DAY_SECS),
        _ => format!("{secs} seconds"),
    });
    match (age, item.keep_last) {
        (None, None) => "everything".to_owned(),
        (Some(age), None) => format!("younger than {age}"),
        (None, Some(last)) => format!("the last {last}"),
        (Some(age), Some(last)) => format!("the last {last}, and whatever is younger than {age}"),
    }
}

fn of_workspace(items: &[RetentionItem]) -> String {
    if items.is_empty() {
        return "nothing here yet\n".to_owned();
    }
    let row = |item: &RetentionItem| {
        let holds = item.holds.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let counts = [item.kept, item.due, item.removed, item.destroyed].map(|count| count.to_string());
        [vec![item.artifact.clone(), rule(item)], counts.to_vec(), vec![holds]].concat()
    };
    let head = ["artifact", "keeps", "kept", "due", "removed", "destroyed", "holds"];
    table(&head, &items.iter().map(row).collect::<Vec<_>>())
}

fn of_artifact(item: &RetentionItem) -> String {
    let until = |version: &KeptVersion| version.until.map(|until| until.to_string()).unwrap_or_default();
    let words = |version: &KeptVersion| match version.fate {
        Keeping::NoRule => "stays: no rule".to_owned(),
        Keeping::Young => format!("stays until {}", until(version)),
        Keeping::Last => "stays: one of the last".to_owned(),
        Keeping::Above => "stays: the rule was set for a lower class".to_owned(),
        Keeping::Held => "stays: legal hold".to_owned(),
        Keeping::Aliased => "stays: an alias points to it".to_owned(),
        Keeping::Due => "goes with the next run of the job".to_owned(),
        Keeping::Removed if version.until.is_none() => "removed; a legal hold keeps its key".to_owned(),
        Keeping::Removed => format!("removed; restorable until {}", until(version)),
        Keeping::Destroyed => format!("destroyed at {}", until(version)),
    };
    let row = |version: &KeptVersion| vec![version.version.clone(), version.created.to_string(), words(version)];
    let text = table(&["version", "put", "what becomes of it"], &item.versions.iter().map(row).collect::<Vec<_>>());
    format!("{} keeps {}\n{text}", item.artifact, rule(item))
}

pub fn hold(context: &Context, command: &HoldCommand) -> Result<u8, Failure> {
    match command {
        HoldCommand::Set { reference, name, reason } => {
            let (named, name) = (whole(reference)?, unlock::name(name)?);
            let wish = HoldSet { reference: named.to_string(), name, reason: reason.clone() };
            moved(context, &named, |client| client.hold_set(wish))
        }
        HoldCommand::Lift { artifact: of, name, reason } => {
            let (named, name) = (artifact(of)?, unlock::name(name)?);
            let wish = HoldLift { reference: named.to_string(), name, reason: reason.clone() };
            moved(context, &named, |client| client.hold_lift(wish))
        }
        HoldCommand::Ls { place } => holds(context, place),
    }
}

fn moved(
    context: &Context,
    named: &Reference,
    act: impl FnOnce(&Client) -> Result<HoldMoved, Problem>,
) -> Result<u8, Failure> {
    context.with(|client| {
        if context.global.dry_run {
            return would(context, client, Action::Hold, named);
        }
        let done = act(client).map_err(|problem| near::told(client, named, problem.into()))?;
        context.output.result("hold", &done, || {
            let HoldItem { name, of, .. } = &done.hold;
            let text = match (done.holds, done.changed) {
                (true, true) => format!("{of} is under the hold {name}\n"),
                (true, false) => format!("{of} is under the hold {name} already\n"),
                (false, _) => format!("the hold {name} on {of} is lifted\n"),
            };
            text + &entry(done.receipt.as_ref())
        })?;
        Ok(0)
    })
}

fn holds(context: &Context, place: &str) -> Result<u8, Failure> {
    context.with(|client| {
        let items = client.legal_holds(place).map_err(|problem| near_place(client, place, problem))?;
        context.output.list("holds", &json!({"items": items}), "items", || {
            let row =
                |item: &HoldItem| vec![item.name.to_string(), item.of.clone(), item.by.clone(), item.at.to_string()];
            match &items[..] {
                [] => "no legal hold\n".to_owned(),
                items => table(&["hold", "on", "by", "since"], &items.iter().map(row).collect::<Vec<_>>()),
            }
        })?;
        Ok(0)
    })
}

/// `--dry-run`: what would be decided.
fn would(context: &Context, client: &Client, action: Action, named: &Reference) -> Result<u8, Failure> {
    let question = Explain { reference: Some(named.to_string()), ..Explain::of(action) };
    policy::answered(context, &question, &policy::explained(client, &question)?)
}

/// A version, or an artifact: no path in it.
fn whole(text: &str) -> Result<Reference, Failure> {
    let parsed = reference(OsStr::new(text))?;
    match parsed.path {
        None => Ok(parsed),
        Some(_) => Err(Failure::usage("bad reference", "this is about whole versions: leave the path out")),
    }
}

/// An artifact, without a version.
fn artifact(text: &str) -> Result<Reference, Failure> {
    let parsed = whole(text)?;
    match parsed.selector {
        Selector::Latest => Ok(parsed),
        _ => Err(Failure::usage("bad artifact", "name the WORKSPACE/ARTIFACT without a version")),
    }
}
