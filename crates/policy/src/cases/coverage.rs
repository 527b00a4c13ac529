//! What cases reach: which policies decided one, and which conditions were seen to hold and to fail.

use crate::approval;
use crate::decide::Answer;
use crate::facts::Query;
use crate::near_miss::conjuncts;
use crate::set::{Set, is_baseline};
use crate::slice::{Clock, Facts, Slice};
use cedar_policy::{EvalResult, Expression, eval_expression, pst};
use std::str::FromStr;

/// What the cases of a file reached.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Coverage {
    /// Of what there is to reach, in whole percent, rounded down: each policy counts once, and each of its conditions twice. Only
    /// the organisation's own policies count, if there are any.
    pub percent: u8,
    /// Every policy, by id.
    pub policies: Vec<Covered>,
}

/// What was reached of a policy.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Covered {
    /// Its id.
    pub policy: String,
    /// It is not the baseline's.
    pub own: bool,
    /// Cases that it was a reason of.
    pub determined: usize,
    /// Its conditions, split at `&&`.
    pub conditions: Vec<Seen>,
}

/// How a condition was seen, in cases that the policy's scope admits.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Seen {
    /// In Cedar.
    pub condition: String,
    /// Cases in which it was true.
    pub held: usize,
    /// Cases in which it was false.
    pub failed: usize,
}

impl Covered {
    /// What of it is reached, of how much.
    fn reached(&self) -> (usize, usize) {
        let seen = |seen: &Seen| usize::from(seen.held > 0) + usize::from(seen.failed > 0);
        let reached = usize::from(self.determined > 0) + self.conditions.iter().map(seen).sum::<usize>();
        (reached, 1 + 2 * self.conditions.len())
    }
}

/// Counts while cases run.
pub(super) struct Tracker<'a> {
    set: &'a Set,
    expressions: Vec<Vec<Option<Expression>>>,
    policies: Vec<Covered>,
}

impl<'a> Tracker<'a> {
    pub(super) fn new(set: &'a Set) -> Self {
        let (mut expressions, mut policies) = (Vec::new(), Vec::new());
        for entry in set.entries() {
            let texts = conditions(&entry.policy);
            expressions.push(texts.iter().map(|text| Expression::from_str(text).ok()).collect());
            policies.push(Covered {
                policy: entry.id.clone(),
                own: !is_baseline(&entry.policy),
                determined: 0,
                conditions: texts.into_iter().map(|condition| Seen { condition, held: 0, failed: 0 }).collect(),
            });
        }
        Self { set, expressions, policies }
    }

    pub(super) fn count(&mut self, query: &Query, answer: &Answer) {
        let Ok(facts) = Facts::of(query, approval::met(self.set.approval_rules(), query)) else { return };
        let Ok(slice) = Slice::build(&self.set.names, &facts, Clock::Told) else { return };
        for at in self.set.candidates(&facts.target()) {
            let Ok(at) = usize::try_from(at) else { continue };
            let (Some(covered), Some(expressions)) = (self.policies.get_mut(at), self.expressions.get(at)) else {
                continue;
            };
            covered.determined += usize::from(answer.policies.contains(&covered.policy));
            for (seen, expression) in covered.conditions.iter_mut().zip(expressions.iter()) {
                let Some(expression) = expression else { continue };
                match eval_expression(&slice.request, &slice.entities, expression) {
                    Ok(EvalResult::Bool(true)) => seen.held += 1,
                    Ok(EvalResult::Bool(false)) => seen.failed += 1,
                    _ => {}
                }
            }
        }
    }

    pub(super) fn finish(self) -> Coverage {
        let any = self.policies.iter().any(|covered| covered.own);
        let counted = self.policies.iter().filter(|covered| covered.own || !any).map(Covered::reached);
        let (reached, all) = counted.fold((0, 0), |(a, b), (reached, all)| (a + reached, b + all));
        let percent = (reached * 100).checked_div(all).unwrap_or(100);
        Coverage { percent: u8::try_from(percent).unwrap_or(100), policies: self.policies }
    }
}

fn conditions(policy: &cedar_policy::Policy) -> Vec<String> {
    let Ok(tree) = policy.to_pst() else { return Vec::new() };
    let mut parts = Vec::new();
    for clause in tree.body().clauses() {
        let (pst::Clause::When(expr) | pst::Clause::Unless(expr)) = clause;
        conjuncts(expr, &mut parts);
    }
    parts.into_iter().map(ToString::to_string).collect()
}
