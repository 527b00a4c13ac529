//! `policy lint`, `policy test`, and what `policy apply` shows before it asks.

use super::Context;
use crate::output::{Failure, printable};
use api::terms::Exit;
use api::wire::{PolicyChanges, PolicyCheck, PolicyChecked, PolicyCoverage, PolicyFinding};

/// Checks and prints. Findings, cases that fail and too little coverage exit with 1.
pub(super) fn check(context: &Context, check: PolicyCheck, min_coverage: Option<u8>) -> Result<u8, Failure> {
    context.with_owner(|client| {
        let mut checked = client.policy_check(check)?;
        let short = short_of(checked.coverage.as_ref(), min_coverage);
        checked.ok &= short.is_none();
        context.output.result("policy-check", &checked, || {
            let mut out = checked_text(&checked);
            if let Some((reached, wanted)) = short {
                out.push_str(&format!("coverage: {reached} % is less than the {wanted} % wanted\n"));
            }
            out
        })?;
        Ok(if checked.ok { 0 } else { Exit::Error as u8 })
    })
}

/// The coverage and what was wanted, if it is less.
fn short_of(coverage: Option<&PolicyCoverage>, wanted: Option<u8>) -> Option<(u8, u8)> {
    let (reached, wanted) = (coverage?.percent, wanted?);
    (reached < wanted).then_some((reached, wanted))
}

fn checked_text(checked: &PolicyChecked) -> String {
    let mut out: String = checked.findings.iter().map(finding_text).collect();
    for failure in &checked.failures {
        let why: String = failure.why.iter().map(|why| format!("  {}\n", printable(why))).collect();
        let (case, expected, got) = (printable(&failure.case), printable(&failure.expected), printable(&failure.got));
        out.push_str(&format!("case failed: {case}: expected {expected}, got {got}\n{why}"));
    }
    out.push_str(&checked.changes.as_ref().map(changes_text).unwrap_or_default());
    out.push_str(&checked.coverage.as_ref().map(coverage_text).unwrap_or_default());
    let failed = match (checked.cases, checked.failures.len()) {
        (0, _) => String::new(),
        (cases, 0) => format!("{cases} cases, "),
        (cases, failed) => format!("{cases} cases, {failed} failed, "),
    };
    let set = if checked.hash.is_empty() { "no set".to_owned() } else { format!("set {}", checked.hash) };
    out.push_str(&format!("{} policies, {failed}{} findings ({set})\n", checked.policies, checked.findings.len()));
    out
}

fn finding_text(finding: &PolicyFinding) -> String {
    let PolicyFinding { severity, rule, file, line, column, policy, what, why, mend } = finding;
    let at = line.map(|line| format!(":{line}:{}", column.unwrap_or(1))).unwrap_or_default();
    let policy = policy.as_ref().map(|id| format!(" `{}`", printable(id))).unwrap_or_default();
    let mut out = format!("{severity}[{rule}]: {}{at}:{policy} {}\n", printable(file), printable(what));
    if !why.is_empty() {
        out.push_str(&format!("  why: {why}\n  mend: {mend}\n"));
    }
    out
}

/// The organisation's policies as far as cases did not reach them, or all if it has none.
fn coverage_text(coverage: &PolicyCoverage) -> String {
    let any = coverage.policies.iter().any(|policy| policy.own);
    let mut out = String::new();
    for policy in coverage.policies.iter().filter(|policy| policy.own) {
        let id = printable(&policy.policy);
        if policy.determined == 0 {
            out.push_str(&format!("not covered: `{id}` decided no case\n"));
        }
        for seen in &policy.conditions {
            for (count, word) in [(seen.held, "true"), (seen.failed, "false")] {
                if count == 0 {
                    out.push_str(&format!("not covered: `{id}`: never {word}: {}\n", printable(&seen.condition)));
                }
            }
        }
    }
    let of = if any { "the organisation's policies" } else { "the baseline" };
    out.push_str(&format!("coverage: {} % of {of}\n", coverage.percent));
    out
}

/// What would change.
pub(super) fn changes_text(changes: &PolicyChanges) -> String {
    let PolicyChanges { added, removed, changed, decisions, .. } = changes;
    let mut out = String::new();
    for (sign, ids) in [("+", added), ("-", removed), ("~", changed)] {
        ids.iter().for_each(|id| out.push_str(&format!("{sign} {}\n", printable(id))));
    }
    for change in decisions {
        let (case, before, after) = (printable(&change.case), printable(&change.before), printable(&change.after));
        out.push_str(&format!("case {case}: {before} -> {after}\n"));
    }
    let (added, removed, changed) = (added.len(), removed.len(), changed.len());
    match added + removed + changed {
        0 => out.push_str("no policy changes\n"),
        _ => out.push_str(&format!("policies: {added} added, {removed} removed, {changed} changed\n")),
    }
    out
}
