//! `key compromise` and `incident`.

use super::Context;
use super::admin::key_named;
use crate::args::{IncidentCommand, KeyMoveArgs};
use crate::output::{Failure, printable, table};
use api::terms::{KeyState, PlaybookStep};
use api::wire::{IncidentDone, IncidentFound, IncidentItem, IncidentStep, IncidentTold, KeyCompromise};
use client::Client;
use serde_json::json;

/// Principals in the text; the JSON has more, and the evidence all.
const SHOWN: usize = 20;

pub fn compromise(context: &Context, client: &Client, args: &KeyMoveArgs) -> Result<u8, Failure> {
    let key = key_named(client, &args.key)?;
    if context.global.dry_run {
        let to = KeyState::Compromised;
        let would = json!({"key": key, "to": to});
        context.output.result("key-moved", &would, || format!("key {key} would be {to}: {}\n", to.allows()))?;
        return Ok(0);
    }
    let told = client.key_compromise(KeyCompromise { key, reason: args.reason.clone() })?;
    context.output.result("incident", &told, || text(&told))?;
    Ok(0)
}

pub fn incident(context: &Context, command: &IncidentCommand) -> Result<u8, Failure> {
    context.with(|client| match command {
        IncidentCommand::Ls => {
            let list = client.incidents()?;
            context.output.list("incidents", &list, "items", || items_text(&list.items))?;
            Ok(0)
        }
        IncidentCommand::Show { id, evidence: None } => {
            let told = client.incident(client.incident_named(id)?)?;
            context.output.result("incident", &told, || text(&told))?;
            Ok(0)
        }
        IncidentCommand::Show { id, evidence: Some(file) } => {
            let id = client.incident_named(id)?;
            if context.global.dry_run {
                let would = json!({"incident": id, "file": file.display().to_string()});
                context.output.result("evidence", &would, || "the evidence would be written\n".to_owned())?;
                return Ok(0);
            }
            let written = client.incident_evidence(id, file)?;
            context.output.result("evidence", &written, || {
                format!("{} lines in {}\nsha256 {}\n", written.lines, printable(&written.file), written.evidence)
            })?;
            Ok(0)
        }
        IncidentCommand::Done { id, step, reason } => {
            let incident = client.incident_named(id)?;
            if context.global.dry_run {
                return shown(context, &client.incident(incident)?);
            }
            let done = IncidentDone { incident, step: *step, reason: reason.clone() };
            shown(context, &client.incident_done(done)?)
        }
        IncidentCommand::Close { id } => {
            let incident = client.incident_named(id)?;
            if context.global.dry_run {
                return shown(context, &client.incident(incident)?);
            }
            shown(context, &client.incident_close(incident)?)
        }
    })
}

fn shown(context: &Context, told: &IncidentTold) -> Result<u8, Failure> {
    context.output.result("incident", told, || text(told))?;
    Ok(0)
}

fn items_text(items: &[IncidentItem]) -> String {
    let row = |item: &IncidentItem| {
        let left = match (item.exposed, item.of_keys) {
            (Some(left), Some(of)) => format!("{left} of {of}"),
            _ => "-".to_owned(),
        };
        vec![item.id.to_string(), item.key.to_string(), item.of.clone(), item.at.to_string(), standing(item), left]
    };
    let rows: Vec<_> = items.iter().map(row).collect();
    table(&["id", "key", "of", "marked", "open", "exposed"], &rows)
}

/// What is open, in a word or a few.
fn standing(item: &IncidentItem) -> String {
    match (item.closed, item.open.is_empty()) {
        (Some(_), _) => "closed".to_owned(),
        (None, true) => "nothing: strongroom incident close ID".to_owned(),
        (None, false) => item.open.iter().copied().map(PlaybookStep::word).collect::<Vec<_>>().join(", "),
    }
}

/// A line of `status`.
pub fn line(item: &IncidentItem) -> String {
    let left = match (item.exposed, item.of_keys) {
        (Some(left), Some(of)) if left > 0 => format!(", {left} of {of} version keys exposed"),
        _ => String::new(),
    };
    format!(
        "incident     {} of {}: open: {}{left} (strongroom incident show {})\n",
        item.key,
        item.of,
        standing(item),
        item.id
    )
}

fn text(told: &IncidentTold) -> String {
    let item = &told.incident;
    let mut out = format!(
        "incident     {}\nkey          {} of {}, compromised: nothing is released under it\nmarked       {}, log entry {}\n",
        item.id, item.key, item.of, item.at, told.entry,
    );
    if let Some(closed) = item.closed {
        out += &format!("closed       {closed}\n");
    }
    match (&told.found, &told.unread) {
        (Some(found), _) => out += &found_text(found),
        (None, why) => {
            let why = why.as_deref().unwrap_or("not yet");
            out += &format!("touched      not read from the log: {} (strongroom jobs run incidents)\n", printable(why));
        }
    }
    out += &people_text(told);
    out += "\n";
    for step in &told.steps {
        out += &step_text(step);
    }
    out
}

fn found_text(found: &IncidentFound) -> String {
    let mut out = format!("versions     {}", found.versions);
    if found.unfinished > 0 {
        out += &format!(", and {} that were begun and never finished", found.unfinished);
    }
    if found.destroyed > 0 {
        out += &format!("; the keys of {} are destroyed", found.destroyed);
    }
    out += &format!("\npacks        {}", found.packs);
    if found.records_lost > 0 {
        out += &format!(", without those of {} versions whose record is not there", found.records_lost);
    }
    let between = match (found.first, found.last) {
        (Some(first), Some(last)) => format!(", from {first} to {last}"),
        _ => String::new(),
    };
    out + &format!(
        "\nprincipals   {}\nreleases     {}, {} of them to a disk and {} of those to others; {} times for writing{between}\n\
         evidence     sha256 {}, from {} entries with root {}\n",
        found.principals,
        found.releases,
        found.exports,
        found.shares,
        found.writes,
        found.evidence,
        found.log_size,
        found.log_root,
    )
}

fn people_text(told: &IncidentTold) -> String {
    let Some(people) = &told.principals else {
        return "whom         is told to whoever may audit the workspace\n".to_owned();
    };
    if people.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = people
        .iter()
        .take(SHOWN)
        .map(|one| {
            let name = one.principal.clone().unwrap_or_else(|| one.id.to_string());
            let counts = [one.reads, one.exports, one.shares, one.writes].map(|count| count.to_string());
            std::iter::once(name).chain(counts).chain([one.last.to_string()]).collect()
        })
        .collect();
    let more = people.len().saturating_sub(SHOWN) as u64 + told.more_principals;
    let more = match more {
        0 => String::new(),
        more => format!("and {more} more: strongroom incident show {} --evidence FILE\n", told.incident.id),
    };
    format!("\n{}{more}", table(&["principal", "reads", "exports", "shares", "writes", "last"], &rows))
}

fn step_text(step: &IncidentStep) -> String {
    let mark = if step.done { "done" } else { "open" };
    let left = match (step.left, step.of) {
        (Some(left), Some(of)) => format!(" ({left} of {of} left)"),
        (Some(left), None) if left > 0 => format!(" ({left} left)"),
        _ => String::new(),
    };
    let said = match (&step.by, step.at) {
        (Some(by), Some(at)) => format!(" (by {by}, {at})"),
        (None, Some(at)) => format!(" ({at})"),
        _ => String::new(),
    };
    let mut out = format!("{mark}  {}{left}{said}: {}\n", step.step, step.about);
    if !step.done {
        step.commands.iter().for_each(|command| out += &format!("        {command}\n"));
    }
    out
}
