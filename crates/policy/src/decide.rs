//! One question, one answer.

mod record;

pub use record::{Record, ReplayError, replay};

use crate::digest::Digest;
use crate::facts::Query;
use crate::near_miss::Near;
use crate::set::{Entry, Set};
use crate::slice::{Clock, Facts, Slice};
use crate::{ENGINE, approval};
use api::terms::Code;
use cedar_policy::{AuthorizationError, Authorizer, Decision, Effect, PolicySet};

/// The policy's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Yes or no.
    pub allowed: bool,
    /// The principal may know that the resource exists. If not, the answer to show is "not found", and nothing else of
    /// this answer may be shown.
    pub visible: bool,
    /// Ids of the determining policies, sorted: the permits that held, or the forbids that did; empty when nothing
    /// permitted.
    pub policies: Vec<String>,
    /// The sentences of their `@reason` annotations, in the same order.
    pub reasons: Vec<String>,
    /// On a refusal: what failed on the way to the permit that came closest.
    pub near_misses: Vec<NearMiss>,
    /// On a refusal: what would turn it into a yes; empty when nothing in the caller's reach would.
    pub advice: Vec<Advice>,
    /// The approval rule to ask for, when [`Self::advice`] has one.
    pub approval: Option<String>,
    /// The code of the refusal; `None` when allowed.
    pub code: Option<Code>,
    /// Evaluation errors, each `policy: what`; any of them denies.
    pub errors: Vec<String>,
    /// Salted content address of [`Record::slice`].
    pub slice_hash: Digest,
    /// Salted content address of [`Record::context`].
    pub context_hash: Digest,
    /// The policy set.
    pub set_hash: Digest,
    /// The schema.
    pub schema_hash: Digest,
    /// The engine and its version.
    pub engine: &'static str,
    /// What is needed to decide it again.
    pub record: Record,
}

/// A condition that failed, in terms of the caller.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct NearMiss {
    /// Who asks for it: a guardrail, or the permit that came closest.
    pub policy: String,
    /// The fact, as in `your clearance is internal, the artifact is confidential`.
    pub condition: String,
    /// How many conditions of that permit and of all guardrails held, as in `4 of 5`.
    pub held: String,
    /// The condition in Cedar.
    pub source: String,
}

/// What would turn a refusal into a yes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(tag = "advice", rename_all = "kebab-case")]
pub enum Advice {
    /// Give a reason and type the name again.
    Confirm,
    /// Prove presence again.
    Present,
    /// Open a task.
    OpenTask,
    /// Use a vault with other roots, or another environment.
    Root,
    /// Ask for approval under a rule.
    Request {
        /// The rule.
        rule: String,
    },
}

/// Decides. Never fails: whatever goes wrong is a refusal with [`Answer::errors`].
#[must_use]
pub fn decide(set: &Set, query: &Query) -> Answer {
    let facts = match Facts::of(query, approval::met(&set.tables.approvals, query)) {
        Ok(facts) => facts,
        Err(bound) => return refused(set, query, bound),
    };
    let record = Record::of(&facts, query.salt);
    answer(set, &facts, record)
}

/// Decides on facts that were put together, for [`decide`] and [`replay`].
fn answer(set: &Set, facts: &Facts, record: Record) -> Answer {
    if !facts.action_applies() {
        let error = format!("`{}` is no act on such a resource", facts.action);
        return broken(set, record, vec![error], facts.visible());
    }
    let outcome = match outcome(set, facts) {
        Ok(outcome) => outcome,
        Err(error) => return broken(set, record, vec![error], facts.visible()),
    };
    let mut answer = Answer::blank(set, record, facts.visible());
    answer.allowed = outcome.allowed;
    answer.reasons = outcome.determining.iter().filter_map(|entry| entry.reason.clone()).collect();
    answer.policies = outcome.determining.iter().map(|entry| entry.id.clone()).collect();
    answer.errors = outcome.errors;
    if !answer.allowed {
        if answer.visible && answer.errors.is_empty() {
            answer.near_misses = near_misses(set, facts, &outcome.determining);
            answer.advice = advice(set, facts, &outcome.determining);
        } else if answer.visible {
            answer.near_misses = failures(&answer.errors, set.candidates(&facts.target()).len());
        }
        answer.approval = answer.advice.iter().find_map(|a| match a {
            Advice::Request { rule } => Some(rule.clone()),
            _ => None,
        });
        answer.code = Some(code(&answer, &outcome.determining));
    }
    answer
}

impl Answer {
    fn blank(set: &Set, record: Record, visible: bool) -> Self {
        Self {
            allowed: false,
            visible,
            policies: Vec::new(),
            reasons: Vec::new(),
            near_misses: Vec::new(),
            advice: Vec::new(),
            approval: None,
            code: None,
            errors: Vec::new(),
            slice_hash: record.slice_hash(),
            context_hash: record.context_hash(),
            set_hash: set.hash(),
            schema_hash: set.schema_hash(),
            engine: ENGINE,
            record,
        }
    }
}

/// A refusal because facts break a bound: there is no slice to record.
fn refused(set: &Set, query: &Query, bound: &str) -> Answer {
    let record = Record { slice: Vec::new(), context: Vec::new(), salt: query.salt };
    broken(set, record, vec![bound.to_owned()], false)
}

fn broken(set: &Set, record: Record, errors: Vec<String>, visible: bool) -> Answer {
    let code = if visible { Code::Denied } else { Code::NotFound };
    let reasons = if visible { errors.clone() } else { Vec::new() };
    Answer { errors, reasons, code: Some(code), ..Answer::blank(set, record, visible) }
}

pub(crate) struct Outcome<'a> {
    pub(crate) allowed: bool,
    pub(crate) determining: Vec<&'a Entry>,
    pub(crate) errors: Vec<String>,
}

/// Asks the policies that can speak.
pub(crate) fn outcome<'a>(set: &'a Set, facts: &Facts) -> Result<Outcome<'a>, String> {
    let speaking = set.speaking(facts);
    let narrowed = set.narrowed(&speaking);
    let slice = Slice::build(&set.names, facts, narrowed.clock)?;
    Ok(evaluate(set, set.admitted(&speaking, &narrowed), &slice))
}

/// Runs Cedar over these policies of the set. An error in any of them denies.
pub(crate) fn evaluate<'a>(set: &'a Set, policies: &PolicySet, slice: &Slice) -> Outcome<'a> {
    let response = Authorizer::new().is_authorized(&slice.request, policies, &slice.entities);
    let diagnostics = response.diagnostics();
    let mut errors: Vec<String> = diagnostics
        .errors()
        .map(|error| match error {
            AuthorizationError::PolicyEvaluationError(e) => format!("{}: {}", e.policy_id(), e.inner()),
        })
        .collect();
    errors.sort();
    let mut determining: Vec<&Entry> =
        diagnostics.reason().filter_map(|id| set.entry(AsRef::<str>::as_ref(id))).collect();
    determining.sort_by(|a, b| a.id.cmp(&b.id));
    let allowed = response.decision() == Decision::Allow && errors.is_empty();
    if !allowed {
        determining.retain(|entry| entry.effect == Effect::Forbid);
    }
    Outcome { allowed, determining, errors }
}

/// Policies that erred, as what was missing. What went wrong may tell facts that are not the caller's: it stays in
/// [`Answer::errors`].
fn failures(errors: &[String], asked: usize) -> Vec<NearMiss> {
    let held = format!("{} of {asked}", asked.saturating_sub(errors.len()));
    let failure = |error: &String| NearMiss {
        policy: error.split(": ").next().unwrap_or_default().to_owned(),
        condition: "the policy cannot be evaluated, and any error denies".to_owned(),
        held: held.clone(),
        source: String::new(),
    };
    errors.iter().take(MAX_FAILURES).map(failure).collect()
}

/// The most policies that erred and are told of.
const MAX_FAILURES: usize = 32;

/// What was missing. Any permit may have come closest, also one that asks for the time.
fn near_misses(set: &Set, facts: &Facts, forbids: &[&Entry]) -> Vec<NearMiss> {
    let slice = Slice::build(&set.names, facts, Clock::Told);
    slice.map(|slice| Near::of(set, facts).explain(facts, &slice, forbids)).unwrap_or_default()
}

/// Advice is given only if every forbid that held can be lifted by the caller, and lifting them all would allow.
pub(crate) fn advice(set: &Set, facts: &Facts, determining: &[&Entry]) -> Vec<Advice> {
    let wanted: Option<Vec<Advice>> = determining.iter().map(|entry| entry.advice.clone()).collect();
    let Some(mut wanted) = wanted.filter(|wanted| !wanted.is_empty()) else { return Vec::new() };
    wanted.sort();
    wanted.dedup();
    let allowed = outcome(set, &facts.granting(&wanted)).is_ok_and(|outcome| outcome.allowed);
    if allowed { wanted } else { Vec::new() }
}

fn code(answer: &Answer, determining: &[&Entry]) -> Code {
    if !answer.visible {
        Code::NotFound
    } else if determining.iter().any(|entry| entry.gone) && answer.errors.is_empty() {
        Code::Gone
    } else if answer.approval.is_some() {
        Code::ApprovalNeeded
    } else if answer.advice == [Advice::Confirm] {
        Code::ConfirmationNeeded
    } else {
        Code::Denied
    }
}

#[cfg(test)]
mod tests;
