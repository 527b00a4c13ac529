//! Case files: questions with the answers that a policy set should give, for `policy test` (`spec/policy.md#cases`).

mod coverage;
mod file;

pub use coverage::{Coverage, Covered, Seen};

use crate::decide::{Advice, Answer, decide};
use crate::set::Set;
use coverage::Tracker;
use file::{Case, CaseFile, Verdict};
use std::collections::BTreeSet;

/// Why text is no case file.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// Longer than [`Report::MAX_LEN_BYTES`], or with too many cases.
    #[error("a case file has at most {} bytes and {} cases", Report::MAX_LEN_BYTES, Report::MAX_CASES)]
    TooLarge,
    /// Not JSON, or not of the form.
    #[error("line {line}, column {column}: {what}")]
    Form {
        /// From 1; 0: nowhere in particular.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong.
        what: String,
    },
    /// A case names a principal or an artifact that the file does not have.
    #[error("case `{case}` names an unknown {what}")]
    Unknown {
        /// The case.
        case: String,
        /// What it names.
        what: String,
    },
}

/// What came of a case file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// How many cases were there.
    pub cases: usize,
    /// Those that went otherwise than expected, in the file's order.
    pub failures: Vec<Failure>,
    /// What was answered to each, by its name, in the file's order.
    pub answers: Vec<(String, String)>,
    /// What they reached.
    pub coverage: Coverage,
}

/// A case that went otherwise than expected.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Failure {
    /// Its name.
    pub name: String,
    /// What was expected, as in `deny by clearance`.
    pub expected: String,
    /// What came.
    pub got: String,
    /// On a refusal: what failed, in words.
    pub why: Vec<String>,
}

impl Report {
    /// The longest case file, in bytes.
    pub const MAX_LEN_BYTES: usize = 4 << 20;
    /// The most cases in a file.
    pub const MAX_CASES: usize = 10_000;

    /// Whether every case went as expected.
    pub const fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// Asks a set the questions of a case file.
///
/// # Errors
/// [`CaseError`] when `text` is no case file. Cases that go wrong are no error but in the [`Report`].
pub fn test(set: &Set, text: &str) -> Result<Report, CaseError> {
    if text.len() > Report::MAX_LEN_BYTES {
        return Err(CaseError::TooLarge);
    }
    let file: CaseFile = serde_json::from_str(text).map_err(|e| CaseError::Form {
        line: e.line(),
        column: e.column(),
        what: e.to_string(),
    })?;
    if file.cases.len() > Report::MAX_CASES {
        return Err(CaseError::TooLarge);
    }
    let (mut failures, mut answers, mut tracker) = (Vec::new(), Vec::new(), Tracker::new(set));
    for case in &file.cases {
        let query = case.query(&file)?;
        let answer = decide(set, &query);
        tracker.count(&query, &answer);
        failures.extend(failure(case, &answer));
        let ids: Vec<&str> = answer.policies.iter().map(String::as_str).collect();
        let advice: Vec<&str> = answer.advice.iter().map(advice_word).collect();
        answers.push((case.name.clone(), told(answer.allowed, answer.visible, &ids, &advice)));
    }
    Ok(Report { cases: file.cases.len(), failures, answers, coverage: tracker.finish() })
}

fn failure(case: &Case, answer: &Answer) -> Option<Failure> {
    let expects_allow = case.expect == Verdict::Allow;
    let wanted = case.policies.as_ref().map(|ids| ids.iter().collect::<BTreeSet<_>>());
    let advice: Vec<&str> = answer.advice.iter().map(advice_word).collect();
    let fits = answer.allowed == expects_allow
        && answer.errors.is_empty()
        && wanted.as_ref().is_none_or(|ids| ids.iter().copied().eq(&answer.policies))
        && case.visible.is_none_or(|visible| visible == answer.visible)
        && case.advice.as_ref().is_none_or(|words| *words == advice);
    if fits {
        return None;
    }
    let ids: Vec<&str> = wanted.iter().flatten().map(|id| id.as_str()).collect();
    let got: Vec<&str> = answer.policies.iter().map(String::as_str).collect();
    let words: Vec<&str> = case.advice.iter().flatten().map(String::as_str).collect();
    let near = answer.near_misses.iter().map(|miss| format!("{}: {}", miss.policy, miss.condition));
    Some(Failure {
        name: case.name.clone(),
        expected: told(expects_allow, case.visible.unwrap_or(true), &ids, &words),
        got: told(answer.allowed, answer.visible, &got, &advice),
        why: answer.errors.iter().cloned().chain(near).collect(),
    })
}

fn told(allowed: bool, visible: bool, policies: &[&str], advice: &[&str]) -> String {
    let mut text = if allowed { "allow" } else { "deny" }.to_owned();
    if !policies.is_empty() {
        text = format!("{text} by {}", policies.join(" "));
    }
    if !advice.is_empty() {
        text = format!("{text}, advice {}", advice.join(" "));
    }
    if visible { text } else { text + ", not visible" }
}

const fn advice_word(advice: &Advice) -> &'static str {
    match advice {
        Advice::Confirm => "confirm",
        Advice::Present => "present",
        Advice::OpenTask => "task",
        Advice::Root => "root",
        Advice::Request { .. } => "request",
    }
}
