//! `key check`, `key migrate`.

use super::Context;
use crate::args::{Duration, MigrateArgs};
use crate::output::{Failure, bytes_shown, printable, table};
use api::terms::Timestamp;
use api::wire::{KeyCheck, KeyChecked, KeyFinding, KeyUnmade};
use client::{MigratePlan, MigrateReport, Why};

pub fn check(context: &Context, at: Option<Timestamp>, within: Duration) -> Result<u8, Failure> {
    context.with(|client| {
        let checked = client.key_check(KeyCheck { at, within_secs: within.secs })?;
        context.output.result("key-check", &checked, || checked_text(&checked))?;
        Ok(if checked.ok { 0 } else { 1 })
    })
}

pub fn migrate(context: &Context, args: &MigrateArgs) -> Result<u8, Failure> {
    let plan = context.with(|client| Ok(client.migrate_plan()?))?;
    if args.plan || context.global.dry_run {
        context.output.result("key-migrate-plan", &plan, || plan_text(&plan))?;
        return Ok(0);
    }
    if !plan.is_empty() {
        context.output.say(plan_text(&plan).trim_end());
        context.confirmed("Is that what is to be done?")?;
    }
    let why = Why { reason: args.reason.clone(), confirm: None };
    context.with(|client| {
        let terminal = context.terminal();
        let done = client.migrate(&plan, &why, &terminal);
        terminal.clear();
        let done = done?;
        context.output.result("key-migrate", &done, || done_text(&done))?;
        Ok(if done.failed.is_empty() && done.unmade.is_empty() { 0 } else { 1 })
    })
}

fn findings(items: &[KeyFinding]) -> String {
    let row = |item: &KeyFinding| {
        let since = item.since.map_or_else(|| "-".to_owned(), |since| since.to_string());
        vec![item.wrong.word().to_owned(), printable(&item.of), since, printable(&item.why), item.mend.clone()]
    };
    table(&["what", "of", "since", "why", "try"], &items.iter().map(row).collect::<Vec<_>>())
}

fn checked_text(checked: &KeyChecked) -> String {
    let mut text = match checked.items.len() as u64 + checked.more {
        0 => format!("everything is in policy at {}\n", checked.at),
        some => format!("{some} out of policy at {}\n\n{}", checked.at, findings(&checked.items)),
    };
    if checked.more > 0 {
        text += &format!("and {} more\n", checked.more);
    }
    if !checked.coming.is_empty() {
        let some = checked.coming.len() as u64 + checked.coming_more;
        text += &format!("\n{some} until {}\n\n{}", checked.until, findings(&checked.coming));
    }
    text
}

fn plan_text(plan: &MigratePlan) -> String {
    if plan.is_empty() && plan.left.is_empty() {
        return "everything is in policy\n".to_owned();
    }
    let mut text = String::new();
    text += &format!("1. domain keys followed by others: {}\n", counted(&plan.domains));
    text += &format!("   keys still to be wrapped again for a rotation before: {}\n", plan.rewraps);
    text += &format!("2. named keys followed by others: {}\n", counted(&plan.named));
    text += &format!("3. wraps removed of roots that may not wrap: {} or more\n", plan.wraps);
    text += &format!("4. versions sealed anew: {}, {}\n", plan.versions, bytes_shown(plan.bytes));
    if !plan.restricted.is_empty() {
        let named: Vec<String> = plan.restricted.iter().map(|path| printable(path)).collect();
        text += &format!("   of these restricted artifacts among others: {}\n", named.join(", "));
    }
    text + &left_text(&plan.left)
}

pub(super) fn counted(names: &[String]) -> String {
    match names {
        [] => "0".to_owned(),
        names => {
            let first: Vec<&str> = names.iter().take(8).map(String::as_str).collect();
            let more = if names.len() > first.len() { " ..." } else { "" };
            format!("{} ({}{more})", names.len(), printable(&first.join(", ")))
        }
    }
}

fn done_text(done: &MigrateReport) -> String {
    let mut text = format!(
        "{} domain keys and {} named keys followed by others, {} keys wrapped again\n",
        done.domains, done.named, done.rewrapped
    );
    text += &unmade_text(&done.unmade);
    text += &format!("{} wraps made, {} removed\n", done.wraps_made, done.wraps_removed);
    if done.wraps_kept > 0 {
        let kept = done.wraps_kept;
        text += &format!("{kept} wraps stay: nothing else opens their keys here (strongroom root add --help)\n");
    }
    text += &format!("{} versions sealed anew, {}\n", done.versions, bytes_shown(done.bytes));
    if done.skipped > 0 {
        text += &format!("{} versions left to whoever is at them: run the command again\n", done.skipped);
    }
    for failure in &done.failed {
        let why = printable(&failure.problem.why);
        text += &format!("not sealed anew: {}: {why}\n", printable(&failure.reference));
    }
    text + &left_text(&done.left)
}

/// Keys that were not rotated, each with why and what to do.
pub(super) fn unmade_text(unmade: &[KeyUnmade]) -> String {
    let line = |unmade: &KeyUnmade| {
        let hint = unmade.problem.try_.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("not done: {}: {}{hint}\n", printable(&unmade.of), printable(&unmade.problem.why))
    };
    unmade.iter().map(line).collect()
}

fn left_text(left: &[KeyFinding]) -> String {
    if left.is_empty() { String::new() } else { format!("\nleft for people\n\n{}", findings(left)) }
}
