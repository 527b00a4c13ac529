//! Findings: what is wrong with a policy text, or should be better, and where.

use crate::near_miss::facts_read;
use crate::set::{LoadError, Source, parse_source, position_of, validate};
use cedar_policy::{Effect, Policy, PolicyId, pst};
use std::collections::BTreeMap;
use std::fmt;

/// Something found in a policy text.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// Which check, in a word that never changes: `parse`, `template`, `id`, `approval`, `advice`, `schema`,
    /// `annotation`, `optional`, `edge`, `action`, `size`.
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

/// Checks sources: everything that [`Set::load`](crate::Set::load) refuses, and what makes policies hard to live with.
/// Guardrails need not be among them.
#[must_use]
pub fn lint(sources: &[Source]) -> Vec<Finding> {
    let pinless = crate::Set::load_with(sources, crate::Pins::Waived);
    let mut findings = match pinless {
        Err(LoadError::Invalid(findings)) => findings,
        Err(other) => {
            let nowhere = Source { name: "set".to_owned(), text: String::new() };
            return vec![Finding::error("size", &nowhere, None, other.to_string())];
        }
        Ok(_) => Vec::new(),
    };
    let mut named = BTreeMap::new();
    for source in sources {
        // What does not parse is among the findings already.
        for policy in parse_source(source, &mut Vec::new()) {
            style(&policy, source, &mut findings);
            let id = policy.annotation("id").unwrap_or_default().to_owned();
            named.insert(id.clone(), (policy.new_id(PolicyId::new(id)), source));
        }
    }
    let warnings = validate(&named).unwrap_or_default();
    findings.extend(warnings.into_iter().filter(|finding| finding.severity == Severity::Warning));
    let place = |finding: &Finding| finding.position.map_or((0, 0), |at| (at.line, at.column));
    findings.sort_by(|a, b| a.source.cmp(&b.source).then_with(|| place(a).cmp(&place(b))));
    findings
}

/// Warnings about one policy that is sound.
fn style(policy: &Policy, source: &Source, findings: &mut Vec<Finding>) {
    let position = position_of(policy, source).map(|at| Position::of(&source.text, at));
    let mut warn = |rule, message: String| {
        findings.push(Finding {
            severity: Severity::Warning,
            rule,
            source: source.name.clone(),
            position,
            policy: policy.annotation("id").map(str::to_owned),
            message,
        });
    };
    for key in ["reason", "owner"] {
        if policy.annotation(key).is_none_or(str::is_empty) {
            warn("annotation", format!("no @{key}"));
        }
    }
    let permit = policy.effect() == Effect::Permit;
    if permit && matches!(policy.action_constraint(), cedar_policy::ActionConstraint::Any) {
        warn("action", "a permit for every action: name the actions".to_owned());
    }
    let Ok(tree) = policy.to_pst() else { return };
    let body = tree.body();
    let mut weak = Weak::default();
    if !permit && matches!(&body.principal, pst::PrincipalConstraint::In(_) | pst::PrincipalConstraint::IsIn(..)) {
        weak.edge = true;
    }
    for clause in body.clauses() {
        match clause {
            pst::Clause::When(expr) => weak.look(expr, permit),
            pst::Clause::Unless(expr) => weak.look(expr, !permit),
        }
    }
    if weak.optional {
        warn("optional", format!("`has` where a missing fact would open something ({})", weak.reads.join(" ")));
    }
    if weak.edge {
        warn("edge", "`in` where a missing role or parent would open something: use the attribute `roles`".to_owned());
    }
}

/// What would turn a no into a yes if a fact were missing.
#[derive(Default)]
struct Weak {
    optional: bool,
    edge: bool,
    reads: Vec<String>,
}

impl Weak {
    /// `opens`: the expression's truth speaks for a yes. `in` and `has` are false when something is missing, so they are
    /// harmless where truth opens, and not where it closes. Errors close in any case.
    fn look(&mut self, expr: &pst::Expr, opens: bool) {
        match expr {
            pst::Expr::UnaryOp { op: pst::UnaryOp::Not, expr } => self.look(expr, !opens),
            pst::Expr::BinaryOp { op: pst::BinaryOp::And | pst::BinaryOp::Or, left, right } => {
                self.look(left, opens);
                self.look(right, opens);
            }
            pst::Expr::BinaryOp { op: pst::BinaryOp::In, .. } | pst::Expr::Is { in_expr: Some(_), .. } => {
                self.edge |= !opens;
            }
            pst::Expr::HasAttr { expr, .. } => {
                if !opens {
                    self.optional = true;
                    self.reads.extend(facts_read(expr));
                }
            }
            pst::Expr::IfThenElse { cond, then_expr, else_expr } => {
                // Which branch is taken may flip either way.
                self.look(cond, opens);
                self.look(cond, !opens);
                self.look(then_expr, opens);
                self.look(else_expr, opens);
            }
            other => self.look_inside(other),
        }
    }

    /// Below anything else, as in `(a in b) == false`, truth may count either way.
    fn look_inside(&mut self, expr: &pst::Expr) {
        let deeper = |e: &pst::Expr| match e {
            pst::Expr::BinaryOp { op: pst::BinaryOp::In, .. } => Some((true, false)),
            pst::Expr::HasAttr { .. } => Some((false, true)),
            _ => None,
        };
        let join = |a: (bool, bool), b: (bool, bool)| (a.0 || b.0, a.1 || b.1);
        let (edge, optional) = expr.reduce(&deeper, &join, (false, false));
        self.edge |= edge;
        self.optional |= optional;
    }
}
