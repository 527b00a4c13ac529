//! Which policies are proven never to err, and what stands against it in the others.
//!
//! Strict validation excludes most errors: every attribute is there and has its type, and the functions that read texts are given
//! literals that they can read. What is left is arithmetic that overflows and attributes of entities that are not in the slice.
//! Numbers are followed as ranges: a class is 0 to 3, the clock is between the years 0 and 9999.

use super::Place;
use crate::near_miss::literal_millis;
use cedar_policy::{Policy, pst};

/// Warns of what may err.
pub(super) fn check(policy: &Policy, place: &mut Place<'_>) {
    let Ok(tree) = policy.to_pst() else { return };
    for clause in tree.body().clauses() {
        let (pst::Clause::When(expr) | pst::Clause::Unless(expr)) = clause;
        let mut risks = Vec::new();
        range(expr, &mut risks);
        for risk in risks {
            place.warn("errs", risk);
        }
    }
}

/// The least and the greatest value of a number, or of milliseconds.
type Range = (i64, i64);

/// Any number.
const ANY: Range = (i64::MIN, i64::MAX);
/// The years 0 to 9999, which is what times are written as.
const TIMES: Range = (-62_167_219_200_000, 253_402_300_799_999);

/// The range of an expression, if it is a number, a time or a span; adds what in it may err.
fn range(expr: &pst::Expr, risks: &mut Vec<String>) -> Range {
    match expr {
        pst::Expr::Literal(pst::Literal::Long(number)) => (*number, *number),
        pst::Expr::GetAttr { expr: of, attr } => match (&**of, attr.as_str()) {
            (pst::Expr::Var(pst::Var::Principal), "clearance") | (pst::Expr::Var(pst::Var::Resource), "class") => {
                (0, 3)
            }
            (pst::Expr::Var(pst::Var::Context), "now") => TIMES,
            (pst::Expr::Var(_), _) => ANY,
            (inner @ pst::Expr::GetAttr { .. }, "age") => {
                range(inner, risks);
                (0, i64::MAX)
            }
            (inner @ pst::Expr::GetAttr { .. }, _) => range(inner, risks),
            (other, _) => {
                risks.push(format!(
                    "`{other}` may not be among the facts: only the one who asks and what is asked for are"
                ));
                ANY
            }
        },
        pst::Expr::UnaryOp { op, expr: of } => unary(*op, expr, range(of, risks), risks),
        pst::Expr::BinaryOp { op, left, right } => {
            let (left, right) = (range(left, risks), range(right, risks));
            binary(*op, expr, left, right, risks)
        }
        pst::Expr::IfThenElse { cond, then_expr, else_expr } => {
            range(cond, risks);
            let (a, b) = (range(then_expr, risks), range(else_expr, risks));
            (a.0.min(b.0), a.1.max(b.1))
        }
        pst::Expr::Set(items) => items.iter().fold(ANY, |_, item| {
            range(item, risks);
            ANY
        }),
        pst::Expr::Record(fields) => fields.values().fold(ANY, |_, field| {
            range(field, risks);
            ANY
        }),
        pst::Expr::HasAttr { expr, .. } | pst::Expr::Like { expr, .. } | pst::Expr::Is { expr, .. } => {
            range(expr, risks);
            ANY
        }
        _ => ANY,
    }
}

fn unary(op: pst::UnaryOp, whole: &pst::Expr, (least, most): Range, risks: &mut Vec<String>) -> Range {
    const SECOND: i64 = 1_000;
    match op {
        pst::UnaryOp::Neg => match (most.checked_neg(), least.checked_neg()) {
            (Some(least), Some(most)) => (least, most),
            _ => overflow(whole, risks),
        },
        pst::UnaryOp::Duration | pst::UnaryOp::Datetime => literal_millis(whole).map_or(ANY, |millis| (millis, millis)),
        pst::UnaryOp::ToMilliseconds => (least, most),
        pst::UnaryOp::ToSeconds => (least / SECOND, most / SECOND),
        pst::UnaryOp::ToMinutes => (least / (60 * SECOND), most / (60 * SECOND)),
        pst::UnaryOp::ToHours => (least / (3_600 * SECOND), most / (3_600 * SECOND)),
        pst::UnaryOp::ToDays => (least / (86_400 * SECOND), most / (86_400 * SECOND)),
        pst::UnaryOp::ToTime => (0, 86_400 * SECOND - 1),
        pst::UnaryOp::ToDate => match least.checked_sub(86_400 * SECOND) {
            Some(least) => (least, most),
            None => overflow(whole, risks),
        },
        _ => ANY,
    }
}

fn binary(op: pst::BinaryOp, whole: &pst::Expr, left: Range, right: Range, risks: &mut Vec<String>) -> Range {
    let spans = |a: Option<i64>, b: Option<i64>| a.zip(b);
    let range = match op {
        pst::BinaryOp::Add | pst::BinaryOp::Offset => spans(left.0.checked_add(right.0), left.1.checked_add(right.1)),
        pst::BinaryOp::Sub | pst::BinaryOp::DurationSince => {
            spans(left.0.checked_sub(right.1), left.1.checked_sub(right.0))
        }
        pst::BinaryOp::Mul => {
            let corners = [(left.0, right.0), (left.0, right.1), (left.1, right.0), (left.1, right.1)];
            let products: Option<Vec<i64>> = corners.iter().map(|(a, b)| a.checked_mul(*b)).collect();
            products.and_then(|products| spans(products.iter().min().copied(), products.iter().max().copied()))
        }
        pst::BinaryOp::GetTag => {
            risks.push(format!("`{whole}`: the tag may not be there"));
            return ANY;
        }
        _ => return ANY,
    };
    range.unwrap_or_else(|| overflow(whole, risks))
}

fn overflow(whole: &pst::Expr, risks: &mut Vec<String>) -> Range {
    risks.push(format!("`{whole}` may overflow"));
    ANY
}
