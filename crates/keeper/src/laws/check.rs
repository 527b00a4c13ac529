//! Checks of policies: what lint finds, how cases come out, what would change. Nothing is applied.

use super::{check_form, own_sources, rows};
use crate::engine::{Engine, assemble_rules};
use crate::error::{Error, Result};
use api::wire::{
    CaseFailure, ConditionCovered, DecisionChange, PolicyChanges, PolicyCheck, PolicyChecked, PolicyCoverage,
    PolicyCovered, PolicyFinding,
};
use policy::{Finding, Report, Set, Severity, Source};

/// Lints sources and runs cases, without applying anything.
pub(crate) fn checked(engine: &Engine, command: &PolicyCheck) -> Result<PolicyChecked> {
    let sources = match &command.sources {
        Some(sources) => sources.clone(),
        None => engine.store.read(|tx| own_sources(engine, tx))?,
    };
    check_form(&sources)?;
    let own = sources.iter().map(|(name, text)| Source { name: name.clone(), text: text.clone() });
    let all: Vec<Source> = Set::baseline_sources().into_iter().chain(own).collect();
    let mut findings: Vec<PolicyFinding> = policy::lint(&all, engine.now()?).iter().map(told).collect();
    let set = match assemble_rules(&rows(&sources)) {
        Ok(set) => set,
        Err(error) => {
            if findings.iter().all(|finding| finding.severity != "error") {
                findings.push(told(&Finding::of_set(error.to_string())));
            }
            return Ok(PolicyChecked {
                ok: false,
                hash: String::new(),
                policies: 0,
                cases: 0,
                findings,
                failures: Vec::new(),
                coverage: None,
                changes: None,
            });
        }
    };
    let run = |set: &Set| match &command.cases {
        Some(text) => {
            policy::test(set, text).map(Some).map_err(|error| Error::bad("the file of cases", error.to_string()))
        }
        None => Ok(None),
    };
    let report = run(&set)?;
    let changes = match &command.sources {
        None => None,
        Some(_) => {
            let before = engine.store.read(|tx| engine.rules_as_applied(tx))?;
            Some(changes(&before, &set, run(&before)?.as_ref(), report.as_ref()))
        }
    };
    let failures: Vec<CaseFailure> = report.iter().flat_map(|report| &report.failures).map(failed).collect();
    Ok(PolicyChecked {
        ok: failures.is_empty() && (report.is_some() || findings.is_empty()),
        hash: set.hash().to_string(),
        policies: set.ids().count() as u64,
        cases: report.as_ref().map_or(0, |report| report.cases as u64),
        findings,
        failures,
        coverage: report.as_ref().map(reached),
        changes,
    })
}

fn told(finding: &Finding) -> PolicyFinding {
    PolicyFinding {
        severity: if finding.severity == Severity::Error { "error" } else { "warning" }.into(),
        rule: finding.rule.into(),
        file: finding.source.clone(),
        line: finding.position.map(|at| at.line as u64),
        column: finding.position.map(|at| at.column as u64),
        policy: finding.policy.clone(),
        what: finding.message.clone(),
        why: finding.why().into(),
        mend: finding.mend().into(),
    }
}

fn failed(failure: &policy::Failure) -> CaseFailure {
    let policy::Failure { name, expected, got, why } = failure.clone();
    CaseFailure { case: name, expected, got, why }
}

fn reached(report: &Report) -> PolicyCoverage {
    let condition = |seen: &policy::Seen| ConditionCovered {
        condition: seen.condition.clone(),
        held: seen.held as u64,
        failed: seen.failed as u64,
    };
    let covered = |covered: &policy::Covered| PolicyCovered {
        policy: covered.policy.clone(),
        own: covered.own,
        determined: covered.determined as u64,
        conditions: covered.conditions.iter().map(condition).collect(),
    };
    let coverage = &report.coverage;
    PolicyCoverage { percent: coverage.percent, policies: coverage.policies.iter().map(covered).collect() }
}

fn changes(before: &Set, after: &Set, old: Option<&Report>, new: Option<&Report>) -> PolicyChanges {
    let policy::Changes { added, removed, changed } = before.changes(after);
    let pairs =
        old.into_iter().flat_map(|report| &report.answers).zip(new.into_iter().flat_map(|report| &report.answers));
    let decisions = pairs.filter(|(before, after)| before != after).map(|((case, before), (_, after))| {
        DecisionChange { case: case.clone(), before: before.clone(), after: after.clone() }
    });
    PolicyChanges { before: before.hash().to_string(), added, removed, changed, decisions: decisions.collect() }
}
