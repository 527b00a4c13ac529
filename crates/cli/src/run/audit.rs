//! Commands on the log.

use super::ask::THE_SYSTEM;
use super::{Context, further};
use crate::args::{AuditCommand, AuditQueryArgs};
use crate::output::{Failure, json as safe_json, printable, table};
use crate::unlock;
use api::terms::{Code, Exit};
use api::wire::{AuditFilter, AuditItem, AuditPage, DecisionsReplayed, Freshness, LogVerified, Outcome, Problem};
use serde_json::{Value, json};
use std::path::Path;

pub fn audit(context: &Context, command: AuditCommand) -> Result<u8, Failure> {
    match command {
        AuditCommand::Tail { limit } => {
            page(context, AuditFilter { newest_first: true, limit, ..AuditFilter::default() })
        }
        AuditCommand::Query(args) => page(context, filter(args)?),
        AuditCommand::Show { entry } => context.with(|client| {
            let item = client.audit_entry(&entry).map_err(no_entry(&entry))?;
            let text = serde_json::to_string_pretty(&item).map_err(|e| Failure::internal("cannot write JSON", &e))?;
            context.output.result("entry", &item, || safe_json(&text) + "\n")?;
            let outcome = item.replayed.map(|replayed| replayed.outcome);
            Ok(if matches!(outcome, Some(Outcome::Differs | Outcome::Missing)) { Exit::Integrity as u8 } else { 0 })
        }),
        AuditCommand::Prove { entry, output } => prove(context, &entry, output.as_deref()),
        AuditCommand::Verify { new_anchor, replay } => verify(context, new_anchor, replay),
        AuditCommand::Export { folder } => context.with(|client| {
            // The keeper may run elsewhere: it gets the whole path.
            let whole = std::path::absolute(&folder).map_err(|e| Failure::from_io("bad folder", &e))?;
            client.audit_export(&whole)?;
            let shown = folder.display().to_string();
            context
                .output
                .result("export", &json!({"folder": shown}), || format!("the log is in {}\n", printable(&shown)))?;
            Ok(0)
        }),
    }
}

fn filter(args: AuditQueryArgs) -> Result<AuditFilter, Failure> {
    Ok(AuditFilter {
        principal: args.by.as_deref().map(unlock::name).transpose()?,
        reference: args.reference,
        act: args.act,
        since: args.since,
        until: args.until,
        newest_first: false,
        after: args.after,
        limit: args.limit,
    })
}

/// What is not found here is an entry.
fn no_entry(entry: &str) -> impl FnOnce(Problem) -> Failure {
    move |problem| match problem.code {
        Code::NotFound => {
            let why = format!("the log holds no entry `{entry}`");
            Problem::new(Code::NotFound, "not found", why).with_try("strongroom audit tail").into()
        }
        _ => problem.into(),
    }
}

fn page(context: &Context, filter: AuditFilter) -> Result<u8, Failure> {
    context.with(|client| {
        let newest = filter.newest_first;
        let mut page = client.audit(filter)?;
        // The index after the newest entries is one to query from, not one to tail from.
        page.next = page.next.filter(|_| !newest);
        context.output.list("entries", &page, "items", || page_text(&page))?;
        Ok(0)
    })
}

fn page_text(page: &AuditPage) -> String {
    let field = |item: &AuditItem, name: &str| match item.entry.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    };
    let row = |item: &AuditItem| {
        let index = item.log_index.map(|index| index.to_string()).unwrap_or_else(|| "pending".to_owned());
        let by_system = item.entry.pointer("/auth/method").is_some_and(|method| method == "system");
        let named = || item.principal.clone().unwrap_or_else(|| "-".to_owned());
        let who = if by_system { THE_SYSTEM.to_owned() } else { named() };
        let time = match item.entry.get("time").and_then(Value::as_u64) {
            Some(millis) => api::terms::Timestamp::from_millis(millis).to_string(),
            None => field(item, "time"),
        };
        vec![index, time, who, field(item, "act"), outcome(&item.entry)]
    };
    let mut out =
        table(&["index", "time", "principal", "act", "outcome"], &page.items.iter().map(row).collect::<Vec<_>>());
    if let Some(next) = page.next {
        out.push_str(&format!("more: --after {next}\n"));
    }
    out
}

/// Whether the entry records a yes or a no.
fn outcome(entry: &Value) -> String {
    let decision = entry.get("decision");
    match decision.and_then(|decision| decision.get("effect")).and_then(Value::as_str) {
        Some("allow") => "allowed".to_owned(),
        Some("deny") => "denied".to_owned(),
        _ => match entry.get("detail").filter(|_| act_is_denials(entry)).and_then(|detail| detail.get("count")) {
            Some(Value::String(count)) => format!("denied x {count}"),
            _ => entry.get("kind").and_then(Value::as_str).unwrap_or("-").to_owned(),
        },
    }
}

/// Whether the entry counts denials that have none of their own.
fn act_is_denials(entry: &Value) -> bool {
    entry.get("act").and_then(Value::as_str) == Some("denials")
}

fn prove(context: &Context, entry: &str, to: Option<&Path>) -> Result<u8, Failure> {
    context.with(|client| {
        let (proof, log_index) = client.audit_proof(entry).map_err(no_entry(entry))?;
        if let Some(path) = to {
            let what = format!("cannot write `{}`", path.display());
            let mut file = created(path, &what)?;
            std::io::Write::write_all(&mut file, proof.as_bytes()).map_err(|e| Failure::from_io(&what, &e))?;
        }
        let result =
            json!({"proof": proof, "log_index": log_index, "output": to.map(|path| path.display().to_string())});
        context.output.result("proof", &result, || match to {
            Some(path) => format!("proof of entry {log_index} in {}\n", printable(&path.display().to_string())),
            None => proof.clone(),
        })?;
        Ok(0)
    })
}

/// A file that was not there.
pub(super) fn created(path: &Path, what: &str) -> Result<std::fs::File, Failure> {
    let mut options = std::fs::File::options();
    options.write(true).create_new(true).open(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => {
            let problem = Problem::new(Code::Conflict, what, "there is a file of this name");
            problem.with_try("another name for -o; nothing is overwritten").into()
        }
        _ => Failure::from_io(what, &e),
    })
}

fn verify(context: &Context, new_anchor: bool, replay: bool) -> Result<u8, Failure> {
    context.with(|client| {
        let verified = if new_anchor { client.anchor_make() } else { client.audit_verify() }?;
        let (replayed, failed) = further(replay.then(|| client.decisions_replay()));
        let ok = verified.ok && failed.is_none() && replayed.as_ref().is_none_or(|replayed| replayed.ok);
        let told = Told { verified: &LogVerified { ok, ..verified.clone() }, replayed: replayed.as_ref() };
        context.output.result("log-verified", &told, || verified_text(&verified, replayed.as_ref()))?;
        if verified.ok && verified.freshness == Freshness::Unproven {
            context.output.warn("freshness not proven: there is no anchor to compare the log with (audit verify --new-anchor makes one)");
        }
        match failed {
            Some(problem) if verified.ok => return Err(problem.into()),
            Some(problem) => drop(Failure::from(problem).report(context.output.is_json())),
            None => {}
        }
        Ok(if ok { 0 } else { Exit::Integrity as u8 })
    })
}

/// The verification as JSON: `ok` is of everything that was asked for.
#[derive(serde::Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    verified: &'a LogVerified,
    #[serde(skip_serializing_if = "Option::is_none")]
    replayed: Option<&'a DecisionsReplayed>,
}

fn verified_text(verified: &LogVerified, replayed: Option<&DecisionsReplayed>) -> String {
    let mut out: String = verified.failures.iter().map(|failure| format!("wrong: {}\n", printable(failure))).collect();
    let word = if verified.ok { "verified" } else { "NOT verified" };
    out.push_str(&format!("log {word}: {} entries, root {}\n", verified.head.size, verified.head.root));
    if verified.freshness == Freshness::Proven {
        out.push_str("as new as the anchor\n");
    }
    for line in verified.restored.iter().flat_map(super::backup::told) {
        out.push_str(&format!("restored: {line}\n"));
    }
    if let Some(replayed) = replayed {
        out.push_str(&format!("decisions: {} made again, as recorded\n", replayed.same));
        if replayed.other_engine > 0 {
            out.push_str(&format!("decisions of another engine, not made again: {}\n", replayed.other_engine));
        }
        if replayed.erased > 0 {
            out.push_str(&format!(
                "decisions of people who were erased: {}, verifiable, no longer replayable\n",
                replayed.erased
            ));
        }
        replayed.failures.iter().for_each(|failure| out.push_str(&format!("wrong: {}\n", printable(failure))));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::outcome;
    use serde_json::json;

    #[test]
    fn a_counted_burst_says_how_many() {
        let entry = json!({"act": "denials", "kind": "denial", "detail": {"count": "12", "of": "release.read"}});
        assert_eq!(outcome(&entry), "denied x 12");
        let entry = json!({"act": "release.read", "kind": "denial", "detail": {"count": "12"}});
        assert_eq!(outcome(&entry), "denial");
    }
}
