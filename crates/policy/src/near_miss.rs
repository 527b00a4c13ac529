//! What was missing: conditions one by one, and the facts behind them, in words.

mod words;

use crate::decide::NearMiss;
use crate::set::{Entry, Set};
use crate::slice::{Facts, Slice};
use cedar_policy::{
    Context, Effect, Entities, EntityUid, EvalResult, Expression, Policy, Request, eval_expression, pst,
};
use std::str::FromStr;

/// One condition of a policy: what must hold for a permit to speak, or for a forbid to stay silent.
#[derive(Debug)]
pub(crate) struct Condition {
    /// In Cedar.
    pub(crate) source: String,
    expression: Option<Expression>,
    /// The facts it is about, as paths: `principal.clearance`.
    paths: Vec<String>,
}

impl Condition {
    /// The conditions of a policy; all of them hold exactly if the permit permits, or the forbid does not forbid.
    ///
    /// A forbid `when { A } unless { B && C }` is silent if `A` fails or `B && C` holds. It is asked only about requests
    /// for which it spoke, so `A` held, and what is missing is among `B` and `C`. Without `unless`, it is that `A` fails.
    pub(crate) fn split(policy: &Policy) -> Vec<Self> {
        let Ok(tree) = policy.to_pst() else { return Vec::new() };
        let body = tree.body();
        let mut parts = Vec::new();
        if policy.effect() == Effect::Permit {
            parts.extend(principal_scope(&body.principal));
        }
        let (mut whens, mut unlesses) = (Vec::new(), Vec::new());
        for clause in body.clauses() {
            match clause {
                pst::Clause::When(expr) => conjuncts(expr, &mut whens),
                pst::Clause::Unless(expr) => unlesses.push(expr),
            }
        }
        match policy.effect() {
            Effect::Permit => {
                parts.extend(whens.into_iter().map(|expr| Self::of(expr.to_string(), expr)));
                parts.extend(unlesses.into_iter().map(|expr| Self::of(format!("!({expr})"), expr)));
            }
            Effect::Forbid if unlesses.is_empty() => {
                let text = whens.iter().map(ToString::to_string).collect::<Vec<_>>().join(" && ");
                let text = if text.is_empty() { "false".to_owned() } else { format!("!({text})") };
                let paths = whens.into_iter().flat_map(facts_read).collect();
                parts.push(Self::parsed(text, paths));
            }
            Effect::Forbid => {
                let mut wanted = Vec::new();
                unlesses.into_iter().for_each(|expr| conjuncts(expr, &mut wanted));
                parts.extend(wanted.into_iter().map(|expr| Self::of(expr.to_string(), expr)));
            }
        }
        parts
    }

    fn of(source: String, expr: &pst::Expr) -> Self {
        Self::parsed(source, facts_read(expr))
    }

    fn parsed(source: String, mut paths: Vec<String>) -> Self {
        paths.sort();
        paths.dedup();
        Self { expression: Expression::from_str(&source).ok(), source, paths }
    }

    fn holds(&self, slice: &Slice) -> bool {
        let Some(expression) = &self.expression else { return false };
        matches!(eval_expression(&slice.request, &slice.entities, expression), Ok(EvalResult::Bool(true)))
    }
}

/// The milliseconds of a literal `duration("...")`, or of a literal `datetime("...")` since 1970, by Cedar's own reading.
pub(crate) fn literal_millis(expr: &pst::Expr) -> Option<i64> {
    let text = match expr {
        pst::Expr::UnaryOp { op: pst::UnaryOp::Duration, .. } => format!("{expr}.toMilliseconds()"),
        pst::Expr::UnaryOp { op: pst::UnaryOp::Datetime, .. } => {
            format!("{expr}.durationSince(datetime(\"1970-01-01\")).toMilliseconds()")
        }
        _ => return None,
    };
    let nobody: EntityUid = "Vault::\"\"".parse().ok()?;
    let request = Request::new(nobody.clone(), nobody.clone(), nobody, Context::empty(), None).ok()?;
    match eval_expression(&request, &Entities::empty(), &Expression::from_str(&text).ok()?) {
        Ok(EvalResult::Long(millis)) => Some(millis),
        _ => None,
    }
}

fn principal_scope(constraint: &pst::PrincipalConstraint) -> Option<Condition> {
    match constraint {
        pst::PrincipalConstraint::Any => None,
        other => Some(Condition::parsed(format!("principal {other}"), vec!["principal in".to_owned()])),
    }
}

/// Splits at `&&`.
pub(crate) fn conjuncts<'a>(expr: &'a pst::Expr, into: &mut Vec<&'a pst::Expr>) {
    match expr {
        pst::Expr::BinaryOp { op: pst::BinaryOp::And, left, right } => {
            conjuncts(left, into);
            conjuncts(right, into);
        }
        other => into.push(other),
    }
}

/// Every path of attributes from a variable that the expression reads.
pub(crate) fn facts_read(expr: &pst::Expr) -> Vec<String> {
    let whole = |e: &pst::Expr| path(e).map(|path| vec![path]);
    let join = |mut a: Vec<String>, b: Vec<String>| {
        a.extend(b);
        a
    };
    expr.reduce(&whole, &join, Vec::new())
}

fn path(expr: &pst::Expr) -> Option<String> {
    match expr {
        pst::Expr::GetAttr { expr, attr } => match &**expr {
            pst::Expr::Var(var) => Some(format!("{}.{attr}", variable(var))),
            inner => path(inner).map(|inner| format!("{inner}.{attr}")),
        },
        pst::Expr::Var(var) => Some(variable(var).to_owned()),
        _ => None,
    }
}

const fn variable(var: &pst::Var) -> &'static str {
    match var {
        pst::Var::Principal => "principal",
        pst::Var::Action => "action",
        pst::Var::Resource => "resource",
        pst::Var::Context => "context",
    }
}

/// The policies that near misses are about.
pub(crate) struct Near<'a> {
    /// Permits that a principal in other roles would have had.
    pub(crate) permits: Vec<&'a Entry>,
    /// Forbids whose scope admits the request, in the order of their ids.
    pub(crate) forbids: Vec<&'a Entry>,
}

impl<'a> Near<'a> {
    pub(crate) fn of(set: &'a Set, facts: &Facts) -> Self {
        let target = facts.target();
        let forbids = set.candidates(&target).into_iter().filter_map(|at| set.at(at));
        Self {
            permits: set.near_permits(&target),
            forbids: forbids.filter(|entry| entry.effect == Effect::Forbid).collect(),
        }
    }

    /// What failed on the way to the permit that came closest: its own conditions, and each guardrail as one or more. `held`:
    /// the forbids that did.
    pub(crate) fn explain(self, facts: &Facts, slice: &Slice, held: &[&Entry]) -> Vec<NearMiss> {
        let split = |entry: &'_ Entry| -> (usize, Vec<usize>) {
            let conditions = entry.conditions();
            let failed = conditions.iter().enumerate().filter(|(_, c)| !c.holds(slice)).map(|(at, _)| at).collect();
            (conditions.len(), failed)
        };
        let closest = self
            .permits
            .into_iter()
            .map(|entry| (split(entry), entry))
            .min_by(|((_, a), x), ((_, b), y)| a.len().cmp(&b.len()).then_with(|| x.id.cmp(&y.id)));
        let mut total = 0;
        let mut failed = Vec::new();
        if let Some(((count, missing), entry)) = closest {
            total += count;
            failed.extend(missing.into_iter().filter_map(|at| Some((entry, entry.conditions().get(at)?))));
        }
        for entry in self.forbids {
            if !held.iter().any(|forbid| forbid.id == entry.id) {
                total += 1;
                continue;
            }
            let (count, missing) = split(entry);
            total += count.max(1);
            failed.extend(missing.into_iter().filter_map(|at| Some((entry, entry.conditions().get(at)?))));
        }
        let held = format!("{} of {total}", total.saturating_sub(failed.len()));
        let miss = |(entry, condition): (&Entry, &Condition)| NearMiss {
            policy: entry.id.clone(),
            condition: words::of(&condition.source, &condition.paths, facts),
            held: held.clone(),
            source: condition.source.clone(),
        };
        failed.into_iter().map(miss).collect()
    }
}
