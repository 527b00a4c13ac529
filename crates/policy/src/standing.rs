//! Who may, and what would still be asked of them: a decision without the circumstances that the one who acts brings along.

use crate::approval;
use crate::decide::{Advice, advice, outcome};
use crate::facts::Query;
use crate::role::Role;
use crate::set::{Entry, Set};
use crate::slice::Facts;

/// How a principal stands to an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// It may, if it does what [`Self::conditions`] say.
    pub may: bool,
    /// It may know that the resource exists.
    pub visible: bool,
    /// What is asked of it first; empty: nothing.
    pub conditions: Vec<Advice>,
    /// The permits that speak for it, sorted by id.
    pub grants: Vec<Granting>,
}

/// A permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granting {
    /// Its id.
    pub policy: String,
    /// The role that it is for; none if its scope names no role.
    pub role: Option<Role>,
}

/// How the principal of a question stands, with nothing done yet that advice could ask for. Never fails: what goes wrong is a no.
#[must_use]
pub fn standing(set: &Set, query: &Query) -> Standing {
    let nothing = |visible| Standing { may: false, visible, conditions: Vec::new(), grants: Vec::new() };
    let Ok(facts) = Facts::of(query, approval::met(&set.tables.approvals, query)) else { return nothing(false) };
    let visible = facts.visible();
    if !facts.action_applies() {
        return nothing(visible);
    }
    let asked = |facts: &Facts| outcome(set, facts).ok();
    let Some(outcome) = asked(&facts) else { return nothing(visible) };
    if outcome.allowed {
        return Standing { may: true, visible, conditions: Vec::new(), grants: granting(&outcome.determining) };
    }
    if !visible || !outcome.errors.is_empty() {
        return nothing(visible);
    }
    let conditions = advice(set, &facts, &outcome.determining);
    let granted = (!conditions.is_empty()).then(|| asked(&facts.granting(&conditions))).flatten();
    match granted.filter(|outcome| outcome.allowed) {
        Some(outcome) => Standing { may: true, visible, conditions, grants: granting(&outcome.determining) },
        None => nothing(visible),
    }
}

fn granting(permits: &[&Entry]) -> Vec<Granting> {
    permits.iter().map(|entry| Granting { policy: entry.id.clone(), role: entry.role() }).collect()
}
