//! Findings: what is wrong with a policy text, or should be better, and where.

mod reach;
mod style;
mod total;
mod words;

use crate::set::{LoadError, Pins, Set, Source, parse_source, position_of, validate};
use api::terms::Timestamp;
use cedar_policy::{Policy, PolicyId};
use std::collections::BTreeMap;
use std::fmt;

/// Something found in a policy text.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// Which check, in a word that never changes: see [`Self::why`].
    pub rule: &'static str,
    /// The source.
    pub source: String,
    /// Where in it.
    pub position: Option<Position>,
    /// The policy.
    pub policy: Option<String>,
    /// What.
    pub message: String,
}

/// A line and a column, from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The set is refused.
    Error,
    /// The set is taken; look at it.
    Warning,
}

impl Position {
    /// The position of a byte.
    pub(crate) fn of(text: &str, offset: usize) -> Self {
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = text.get(..end).unwrap_or_default();
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self { line, column }
    }
}

impl Finding {
    /// Why it matters, by its rule.
    #[must_use]
    pub fn why(&self) -> &'static str {
        explained(self.rule).0
    }

    /// How to mend it, by its rule.
    #[must_use]
    pub fn mend(&self) -> &'static str {
        explained(self.rule).1
    }

    /// An error of a set as a whole.
    #[must_use]
    pub fn of_set(message: String) -> Self {
        Self::error("size", &Source { name: "set".to_owned(), text: String::new() }, None, message)
    }

    pub(crate) fn error(rule: &'static str, source: &Source, at: Option<usize>, message: String) -> Self {
        let position = at.map(|at| Position::of(&source.text, at));
        Self { severity: Severity::Error, rule, source: source.name.clone(), position, policy: None, message }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Why a rule is one, and what to do about a finding.
fn explained(rule: &str) -> (&'static str, &'static str) {
    match rule {
        "parse" => ("what cannot be read is not in force", "correct the text; Cedar's guide has the syntax"),
        "template" => ("templates have slots that grants would fill; grants are data here", "write the policy out"),
        "id" => ("decisions and the log name policies by their id", "give it an @id of its own"),
        "approval" => ("approvals are counted by rules", "name a rule of baseline/approvals.json"),
        "advice" => ("refusals offer only what lifts them", "use confirm, present, task or root, or leave it out"),
        "schema" => {
            ("a policy that does not fit the facts could not be evaluated", "use what baseline/schema.cedarschema has")
        }
        "size" => {
            ("sets are bounded, so that no text takes the keeper's time or stack", "split it, or leave policies out")
        }
        "annotation" => ("refusals show the reason; reviewers ask the owner", "add the annotation"),
        "review" => {
            ("rules that nobody looks at outlive their reason", "look at it, then set @review_by to the next date")
        }
        "action" => ("it will speak for actions that are added later", "name the actions"),
        "optional" => {
            ("where a fact is missing, `has` turns a no into a yes", "use the attribute itself: all are required")
        }
        "edge" => {
            ("where a role or parent is missing, `in` turns a no into a yes", "use the attribute `principal.roles`")
        }
        "unused" => ("it never matches, so that it gives or takes nothing", "correct the condition, or delete it"),
        "shadowed" => ("it changes no decision, and misleads whoever reads it", "delete it, or narrow the other one"),
        "forbidden" => ("what it gives is always taken away", "delete it, or lift the other one"),
        "word" => ("no fact ever has that value", "use a value of baseline/schema.cedarschema"),
        "errs" => ("a policy that errs denies whatever it was to say", "rewrite the part so that it cannot err"),
        _ => ("", ""),
    }
}

/// Checks sources: everything that [`Set::load`](crate::Set::load) refuses, and what makes policies hard to live with. Guardrails
/// need not be among them. `now` tells what is past its review.
#[must_use]
pub fn lint(sources: &[Source], now: Timestamp) -> Vec<Finding> {
    let set = match Set::load_with(sources, Pins::Waived) {
        Ok(set) => Some(set),
        Err(LoadError::Invalid(findings)) => return sorted(with_style(sources, now, None, findings)),
        Err(other) => return vec![Finding::of_set(other.to_string())],
    };
    sorted(with_style(sources, now, set.as_ref(), Vec::new()))
}

fn sorted(mut findings: Vec<Finding>) -> Vec<Finding> {
    let place = |finding: &Finding| finding.position.map_or((0, 0), |at| (at.line, at.column));
    findings.sort_by(|a, b| (&a.source, place(a), a.rule, &a.message).cmp(&(&b.source, place(b), b.rule, &b.message)));
    findings.dedup();
    findings
}

/// Adds the warnings; those that need the whole set only if there is one.
fn with_style(sources: &[Source], now: Timestamp, set: Option<&Set>, mut findings: Vec<Finding>) -> Vec<Finding> {
    let mut named: BTreeMap<String, (Policy, &Source)> = BTreeMap::new();
    for source in sources {
        // What does not parse is among the findings already.
        for policy in parse_source(source, &mut Vec::new()) {
            let mut place = Place::of(&policy, source);
            style::check(&policy, &mut place, now);
            words::check(&policy, &mut place);
            total::check(&policy, &mut place);
            findings.append(&mut place.findings);
            let id = policy.annotation("id").unwrap_or_default().to_owned();
            named.insert(id.clone(), (policy.new_id(PolicyId::new(id)), source));
        }
    }
    let warnings = validate(&named).unwrap_or_default();
    let warnings = warnings.into_iter().filter(|finding| finding.severity == Severity::Warning);
    findings.extend(warnings.map(|finding| match finding.message.contains("policy is impossible") {
        true => Finding { rule: "unused", message: "it never matches".to_owned(), ..finding },
        false => finding,
    }));
    let known: Vec<String> = findings.iter().filter(|f| f.rule == "unused").filter_map(|f| f.policy.clone()).collect();
    for entry in set.into_iter().flat_map(Set::entries).filter(|entry| !known.contains(&entry.id)) {
        let Some((policy, source)) = named.get(&entry.id) else { continue };
        let mut place = Place::of(policy, source);
        reach::check(set.map(Set::entries).unwrap_or_default(), entry, &mut place);
        findings.append(&mut place.findings);
    }
    findings
}

/// Where findings about one policy belong.
struct Place<'a> {
    source: &'a Source,
    position: Option<Position>,
    policy: Option<String>,
    findings: Vec<Finding>,
}

impl<'a> Place<'a> {
    fn of(policy: &Policy, source: &'a Source) -> Self {
        let position = position_of(policy, source).map(|at| Position::of(&source.text, at));
        Self { source, position, policy: policy.annotation("id").map(str::to_owned), findings: Vec::new() }
    }

    fn warn(&mut self, rule: &'static str, message: String) {
        self.findings.push(Finding {
            severity: Severity::Warning,
            rule,
            source: self.source.name.clone(),
            position: self.position,
            policy: self.policy.clone(),
            message,
        });
    }
}
