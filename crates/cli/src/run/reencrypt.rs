//! `key reencrypt`.

use super::data::reference;
use super::{Context, near, policy};
use crate::args::ReencryptArgs;
use crate::output::{Failure, bytes_shown};
use api::terms::{Action, Reference};
use api::wire::Explain;
use client::{Client, ReencryptReport, Why};
use serde_json::json;
use std::ffi::OsStr;

pub fn reencrypt(context: &Context, args: &ReencryptArgs) -> Result<u8, Failure> {
    let named = args.references.iter().map(|text| whole(text)).collect::<Result<Vec<_>, _>>()?;
    let mut all = args.all_of.is_none().then_some(named);
    let why = Why { reason: args.why.reason.clone(), confirm: args.why.confirm.clone() };
    // Asked for again with a reason, those that are done are not done twice.
    let mut done: Vec<ReencryptReport> = Vec::new();
    let ended = context.with_reasons(why, |why| {
        context.with(|client| {
            // Once: what was done is not among those of a second look.
            let named = match (&all, &args.all_of) {
                (None, Some(key)) => every(context, client, key)?,
                (known, _) => known.clone().unwrap_or_default(),
            };
            all = Some(named.clone());
            if context.global.dry_run {
                return would(context, client, &named, why);
            }
            for reference in named.iter().skip(done.len()) {
                let terminal = context.terminal();
                let report = client.reencrypt(&reference.to_string(), why, &terminal);
                terminal.clear();
                done.push(report.map_err(|problem| near::told(client, reference, problem.into()))?);
            }
            Ok(0)
        })
    });
    if !done.is_empty() || (ended.is_ok() && !context.global.dry_run) {
        context.output.result("reencrypt", &json!({"items": done}), || text(&done))?;
    }
    ended
}

/// The versions whose keys a domain key wrapped; those in the archive are told of.
fn every(context: &Context, client: &Client, key: &str) -> Result<Vec<Reference>, Failure> {
    let key = client.key(key)?;
    let (named, archived) = client.wrapped_by(&key)?;
    if archived > 0 {
        context.output.warn(&format!(
            "left alone: {archived} versions in the archive; they are brought back by strongroom key unarchive --all-of {} --reason REASON",
            key.id
        ));
    }
    named.iter().map(|text| whole(text)).collect()
}

/// `--dry-run`: the first that would be refused, or the last that would not.
fn would(context: &Context, client: &Client, named: &[Reference], why: &Why) -> Result<u8, Failure> {
    let mut last = None;
    for reference in named {
        let question = Explain {
            reference: Some(reference.to_string()),
            reason: why.reason.clone(),
            confirm: why.confirm.clone(),
            ..Explain::of(Action::Reencrypt)
        };
        let answer = policy::explained(client, &question)?;
        let allowed = answer.allowed;
        last = Some((question, answer));
        if !allowed {
            break;
        }
    }
    match last {
        Some((question, answer)) => policy::answered(context, &question, &answer),
        None => {
            context.output.result("reencrypt", &json!({"items": []}), || text(&[]))?;
            Ok(0)
        }
    }
}

fn text(done: &[ReencryptReport]) -> String {
    let mut text = String::new();
    for report in done {
        let size = format!("{} in {} files", bytes_shown(report.bytes), report.files);
        text += &format!("sealed anew: {}, {size}, each read back\n", report.version);
        text += &format!("  key {}; {} is destroyed\n", report.key, report.old_key);
        if !report.shared_with.is_empty() {
            let others = report.shared_with.join(" ");
            text += &format!("  these name packs of before still: strongroom key reencrypt {others}\n");
        }
        if report.garbage > 0 {
            text += &format!("  {} objects of before go with the next `strongroom gc`\n", report.garbage);
        }
    }
    if text.is_empty() { "nothing to seal anew\n".to_owned() } else { text }
}

/// A version: no path in it.
fn whole(text: &str) -> Result<Reference, Failure> {
    let parsed = reference(OsStr::new(text))?;
    match parsed.path {
        None => Ok(parsed),
        Some(_) => Err(Failure::usage("bad reference", "this is about whole versions: leave the path out")),
    }
}
