//! What policies should have, and what would open something if a fact were missing.

use super::Place;
use crate::near_miss::facts_read;
use crate::set::is_baseline;
use api::terms::Timestamp;
use cedar_policy::{ActionConstraint, Effect, Policy, pst};

/// Warnings about one policy by itself.
pub(super) fn check(policy: &Policy, place: &mut Place<'_>, now: Timestamp) {
    annotations(policy, place, now);
    let permit = policy.effect() == Effect::Permit;
    if permit && matches!(policy.action_constraint(), ActionConstraint::Any) {
        place.warn("action", "a permit for every action: name the actions".to_owned());
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
        let reads = weak.reads.join(" ");
        place.warn("optional", format!("`has` where a missing fact would open something ({reads})"));
    }
    if weak.edge {
        place.warn(
            "edge",
            "`in` where a missing role or parent would open something: use the attribute `roles`".to_owned(),
        );
    }
}

/// The baseline is looked at with every release, so that it has no date; and what gives rights is no control.
fn annotations(policy: &Policy, place: &mut Place<'_>, now: Timestamp) {
    let baseline = is_baseline(policy);
    let own: &[&str] = if baseline { &[] } else { &["review_by"] };
    let control: &[&str] = if policy.effect() == Effect::Forbid { &["control"] } else { &[] };
    for key in ["reason", "owner"].iter().chain(control).chain(own) {
        if policy.annotation(key).is_none_or(str::is_empty) {
            place.warn("annotation", format!("no @{key}"));
        }
    }
    let Some(review) = policy.annotation("review_by").filter(|text| !text.is_empty()) else { return };
    let date = |text: &str| {
        let digits = |part: std::ops::Range<usize>| {
            text.get(part).is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
        };
        text.len() == 10
            && digits(0..4)
            && digits(5..7)
            && digits(8..10)
            && text.get(4..5) == Some("-")
            && text.get(7..8) == Some("-")
    };
    let today = now.to_string();
    let today = today.get(..10).unwrap_or_default();
    if !date(review) {
        place.warn("review", format!("@review_by `{review}` is no date such as 2027-01-31"));
    } else if review < today {
        place.warn("review", format!("its review was due by {review}"));
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
