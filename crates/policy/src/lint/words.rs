//! Values that no fact has: `resource.env == "production"`.

use super::Place;
use crate::baseline::Tables;
use crate::role::Role;
use crate::set::Fact;
use api::terms::{AuthMethod, Environment, Kind, RootKind};
use cedar_policy::{Policy, pst};

/// Warns of comparisons with words that are none of their fact's, and with numbers that are no class.
pub(super) fn check(policy: &Policy, place: &mut Place<'_>) {
    let Ok(tree) = policy.to_pst() else { return };
    for clause in tree.body().clauses() {
        let (pst::Clause::When(expr) | pst::Clause::Unless(expr)) = clause;
        look(expr, place);
    }
}

fn look(expr: &pst::Expr, place: &mut Place<'_>) {
    if let pst::Expr::BinaryOp { op, left, right } = expr
        && compares(*op)
    {
        for (fact, value) in [(left, right), (right, left)] {
            if let Some(fact) = Fact::of(fact) {
                compared(fact, value, place);
            }
        }
    }
    // The children, whatever the node.
    match expr {
        pst::Expr::BinaryOp { left, right, .. } => {
            look(left, place);
            look(right, place);
        }
        pst::Expr::UnaryOp { expr, .. } => look(expr, place),
        pst::Expr::IfThenElse { cond, then_expr, else_expr } => {
            for part in [cond, then_expr, else_expr] {
                look(part, place);
            }
        }
        _ => {}
    }
}

const fn compares(op: pst::BinaryOp) -> bool {
    use pst::BinaryOp::{Contains, ContainsAll, ContainsAny, Eq, Greater, GreaterEq, Less, LessEq, NotEq};
    matches!(op, Eq | NotEq | Less | LessEq | Greater | GreaterEq | Contains | ContainsAll | ContainsAny)
}

fn compared(fact: Fact, value: &pst::Expr, place: &mut Place<'_>) {
    let Some((name, words)) = vocabulary(fact) else {
        if let (Fact::Class | Fact::Clearance, pst::Expr::Literal(pst::Literal::Long(number))) = (fact, value)
            && !(0..=3).contains(number)
        {
            place.warn("word", format!("{number} is no class: 0 public, 1 internal, 2 confidential, 3 restricted"));
        }
        return;
    };
    let texts: Vec<&str> = match value {
        pst::Expr::Literal(pst::Literal::String(text)) => vec![text],
        pst::Expr::Set(items) => items
            .iter()
            .filter_map(|item| match &**item {
                pst::Expr::Literal(pst::Literal::String(text)) => Some(text.as_str()),
                _ => None,
            })
            .collect(),
        _ => return,
    };
    for text in texts.into_iter().filter(|text| !words.iter().any(|word| word == text)) {
        place.warn("word", format!("`{text}` is no {name}: {}", words.join(" ")));
    }
}

/// What a fact with words of its own may be, and what they are called.
fn vocabulary(fact: Fact) -> Option<(&'static str, Vec<String>)> {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    Some(match fact {
        Fact::Env | Fact::Envs => {
            ("environment", owned(&Environment::ALL.iter().map(|env| env.word()).collect::<Vec<_>>()))
        }
        Fact::Kind => ("kind", owned(&Kind::ALL.iter().map(|kind| kind.word()).collect::<Vec<_>>())),
        Fact::Auth => ("way to sign in", owned(&AuthMethod::ALL.iter().map(|auth| auth.word()).collect::<Vec<_>>())),
        Fact::Roles => ("role", owned(&Role::ALL.iter().map(|role| role.word()).collect::<Vec<_>>())),
        Fact::Roots => ("root", owned(&RootKind::ALL.iter().map(|root| root.word()).collect::<Vec<_>>())),
        Fact::Approved => ("approval rule", Tables::embedded().ok()?.approvals.into_keys().collect()),
        _ => return None,
    })
}
