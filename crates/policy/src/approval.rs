//! Approval rules: who must have approved, counted so that one person fills one slot.

use crate::facts::{Approval, Query};
use crate::role::Role;
use api::terms::{PrincipalId, PrincipalKind};
use std::collections::BTreeMap;

/// An approval rule: every slot wants another person, who holds the role named.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// One role per approval wanted.
    pub slots: Vec<Role>,
    /// Seconds for which an approval counts once all are there.
    pub valid_secs: u64,
    /// What it is for, in a sentence.
    pub about: String,
}

/// The rules by name.
pub type Rules = BTreeMap<String, Rule>;

/// The names of the rules that the approvals of this query meet, sorted.
///
/// Only users count, never the requester, and one person fills one slot however many roles or approvals are there.
pub(crate) fn met<'a>(rules: &'a Rules, query: &Query) -> Vec<&'a str> {
    let meets = |(name, rule): &(&'a String, &'a Rule)| is_met(rule, name, query);
    if query.context.approvals.is_empty() {
        return Vec::new();
    }
    rules.iter().filter(meets).map(|(name, _)| name.as_str()).collect()
}

fn is_met(rule: &Rule, name: &str, query: &Query) -> bool {
    let counts = |a: &&Approval| a.rule == name && a.kind == PrincipalKind::User && a.approver != query.principal.id;
    let mut people: BTreeMap<PrincipalId, Vec<Role>> = BTreeMap::new();
    for approval in query.context.approvals.iter().filter(counts) {
        people.entry(approval.approver).or_default().extend(&approval.roles);
    }
    let people: Vec<Vec<Role>> = people.into_values().collect();
    let mut seats: Vec<Option<usize>> = vec![None; people.len()];
    !rule.slots.is_empty()
        && (0..rule.slots.len())
            .all(|slot| seat(slot, &rule.slots, &people, &mut seats, &mut vec![false; people.len()]))
}

/// Kuhn's augmenting path: finds `slot` a person, moving others to other slots if need be.
fn seat(slot: usize, slots: &[Role], people: &[Vec<Role>], seats: &mut [Option<usize>], tried: &mut [bool]) -> bool {
    let Some(wanted) = slots.get(slot) else { return false };
    for (person, roles) in people.iter().enumerate() {
        let fresh = tried.get(person).is_some_and(|done| !done);
        if !fresh || !roles.contains(wanted) {
            continue;
        }
        if let Some(mark) = tried.get_mut(person) {
            *mark = true;
        }
        let free = match seats.get(person).copied().flatten() {
            None => true,
            Some(other) => seat(other, slots, people, seats, tried),
        };
        if free && let Some(place) = seats.get_mut(person) {
            *place = Some(slot);
            return true;
        }
    }
    false
}
