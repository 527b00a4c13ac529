//! `depot`.

use super::Context;
use crate::args::{BucketArgs, DepotAddArgs, DepotCheckArgs, DepotCommand};
use crate::output::{Failure, bytes_shown, table};
use api::terms::{Code, Exit, Timestamp};
use api::wire::{DepotMoved, Problem};
use client::{
    BucketAt, CheckReport, Client, CopyReport, Finding, Held, NewDepot, Place, Reached, Repair, Share, Which,
};
use serde_json::json;

pub fn depot(context: &Context, command: &DepotCommand) -> Result<u8, Failure> {
    match command {
        DepotCommand::Add(args) => add(context, args),
        DepotCommand::Ls => context.with(|client| {
            let items = client.depot_list()?;
            context.output.list("depots", &json!({"items": items}), "items", || list_text(&items))?;
            Ok(0)
        }),
        DepotCommand::Copy { to } => context.with(|client| copy(context, client, to.as_deref())),
        DepotCommand::Check(args) => context.with(|client| check(context, client, args)),
        DepotCommand::Rm { depot, lost } => {
            let held = if *lost { Held::Lost } else { Held::Needed };
            context.with(|client| remove(context, client, depot, held))
        }
    }
}

/// Where somebody says that a depot is.
pub fn place(text: &str, bucket: &BucketArgs) -> Result<Place, Failure> {
    let BucketArgs { endpoint, region, credentials } = bucket.clone();
    Ok(client::parse_place(text, BucketAt { endpoint, region, credentials })?)
}

fn add(context: &Context, args: &DepotAddArgs) -> Result<u8, Failure> {
    let place = place(&args.address, &args.bucket)?;
    context.with(|client| {
        if context.global.dry_run {
            client.depot_fits(&place)?;
            let would = json!({"depot": {"place": args.address}});
            let text = || format!("would take `{}` into use\n", args.address);
            return context.output.result("depot-moved", &would, text).map(|()| 0);
        }
        let terminal = context.terminal();
        let moved = client.depot_add(&NewDepot { place, which: Which::Copy }, &terminal);
        terminal.clear();
        let moved: DepotMoved = moved?;
        let depot = &moved.depot;
        let text = || format!("depot {} is {} {}\n", depot.id, depot.kind, depot.place);
        context.output.result("depot-moved", &moved, text)?;
        if depot.backlog > 0 {
            context.output.say(&format!("it lacks {} objects: strongroom depot copy", depot.backlog));
        }
        Ok(0)
    })
}

fn remove(context: &Context, client: &Client, text: &str, held: Held) -> Result<u8, Failure> {
    let id = client.depot_named(text)?;
    if context.global.dry_run {
        let would = json!({"depot": {"id": id}});
        context.output.result("depot-moved", &would, || format!("would take depot {id} out of use\n"))?;
        return Ok(0);
    }
    let terminal = context.terminal();
    let moved = client.depot_remove(id, held, &terminal);
    terminal.clear();
    let moved = moved?;
    context.output.result("depot-moved", &moved, || {
        format!("depot {id} is out of use; what lies in {} stays there\n", moved.depot.place)
    })?;
    Ok(0)
}

fn copy(context: &Context, client: &Client, to: Option<&str>) -> Result<u8, Failure> {
    let to = to.map(|text| client.depot_named(text)).transpose()?;
    if context.global.dry_run {
        let items: Vec<Reached> =
            client.depot_list()?.into_iter().filter(|one| to.is_none_or(|id| id == one.item.id)).collect();
        context.output.list("depots", &json!({"items": items}), "items", || list_text(&items))?;
        return Ok(0);
    }
    let terminal = context.terminal();
    let report = client.depot_copy(to, &terminal);
    terminal.clear();
    let report = report?;
    context.output.result("depot-copied", &report, || copied_text(&report))?;
    let failed = report.depots.iter().any(|depot| depot.failed.is_some());
    ended(context, report.ok, report.failures.iter().any(|finding| !finding.repaired), failed)
}

fn check(context: &Context, client: &Client, args: &DepotCheckArgs) -> Result<u8, Failure> {
    let only = args.depot.as_deref().map(|text| client.depot_named(text)).transpose()?;
    let share = args.sample.and_then(|part| Share::of_millionths(part.millionths));
    let repair = if args.repair && !context.global.dry_run { Repair::Yes } else { Repair::No };
    let terminal = context.terminal();
    let report = client.depot_check(only, share, repair, &terminal);
    terminal.clear();
    let report = report?;
    context.output.result("depot-checked", &report, || checked_text(&report))?;
    let failed = report.depots.iter().any(|depot| depot.failed.is_some());
    ended(context, report.ok, report.findings.iter().any(|finding| !finding.repaired), failed)
}

/// Damage is told by the exit code before a depot that does not answer.
fn ended(context: &Context, ok: bool, damaged: bool, failed: bool) -> Result<u8, Failure> {
    let (exit, problem) = match (ok, damaged, failed) {
        (true, _, _) => return Ok(0),
        (false, false, true) => {
            let problem = Problem::new(Code::Unavailable, "a depot does not answer", "see the list above");
            (Exit::Temporary, problem.with_try("strongroom depot ls"))
        }
        (false, _, _) => {
            let problem = Problem::new(Code::Integrity, "a depot does not hold what was put", "see the list above");
            (Exit::Integrity, problem.with_try("strongroom depot check --repair"))
        }
    };
    if context.output.is_json() { Err(Failure::Exit(exit as u8)) } else { Err(problem.into()) }
}

fn list_text(items: &[Reached]) -> String {
    let time = |time: Option<Timestamp>| time.map_or_else(|| "never".to_owned(), |time| time.to_string());
    let row = |one: &Reached| {
        let item = &one.item;
        let state = match &one.why {
            None => "answers".to_owned(),
            Some(why) => why.clone(),
        };
        let seen = &item.seen;
        let held = seen.compared.map_or_else(|| "-".to_owned(), |_| seen.held.to_string());
        let role = if item.primary { "primary" } else { "copy" };
        let lacks = if item.primary { seen.missing } else { item.backlog };
        vec![
            item.id.to_string().chars().take(SHORT).collect(),
            role.to_owned(),
            format!("{} {}", item.kind, item.place),
            held,
            lacks.to_string(),
            seen.damaged.to_string(),
            time(seen.compared),
            time(seen.checked),
            state,
        ]
    };
    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
    table(&["depot", "is", "place", "holds", "lacks", "damaged", "compared", "checked", "state"], &rows)
}

fn copied_text(report: &CopyReport) -> String {
    let row = |depot: &client::Copied| {
        let state = depot.failed.clone().unwrap_or_else(|| "done".to_owned());
        let copied = format!("{} ({})", depot.copied, bytes_shown(depot.bytes));
        vec![depot.place.clone(), copied, depot.held.to_string(), depot.missing.to_string(), state]
    };
    let rows: Vec<Vec<String>> = report.depots.iter().map(row).collect();
    table(&["depot", "copied", "holds", "lacks", "state"], &rows) + &findings_text(&report.failures)
}

fn checked_text(report: &CheckReport) -> String {
    let row = |depot: &client::Passed| {
        let state = depot.failed.clone().unwrap_or_else(|| "checked".to_owned());
        let read = format!("{} ({})", depot.checked, bytes_shown(depot.bytes));
        let counts = [depot.missing, depot.damaged, depot.repaired].map(|count| count.to_string());
        [vec![depot.place.clone(), read], counts.to_vec(), vec![state]].concat()
    };
    let rows: Vec<Vec<String>> = report.depots.iter().map(row).collect();
    table(&["depot", "objects", "missing", "damaged", "repaired", "state"], &rows) + &findings_text(&report.findings)
}

fn findings_text(findings: &[Finding]) -> String {
    let line = |finding: &Finding| {
        let depot = finding.depot.as_ref().map_or_else(|| "every depot".to_owned(), |id| format!("depot {id}"));
        let repaired = if finding.repaired { " (repaired)" } else { "" };
        format!("{} in {depot}: object {}: {}{repaired}\n", finding.reference, finding.object, finding.what)
    };
    findings.iter().map(line).collect()
}

/// So much of an id is shown.
const SHORT: usize = 8;
