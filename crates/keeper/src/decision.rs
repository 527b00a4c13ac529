//! `explain DECISION`: a decision that was made, made again from what was kept of it, with the facts as they were.

use crate::acts::{Wanted, look};
use crate::audit;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::ledger;
use crate::replay;
use crate::session::Session;
use api::terms::{Action, Code, DecisionId, EntryId, PrincipalId, Timestamp};
use api::wire::{DecisionTold, NearMiss};
use log::entry::Effect;
use policy::Answer;

/// Everybody may ask about their own decisions, as far as they could see what these were about; about others whoever reads the log.
pub(crate) fn told(engine: &Engine, session: &Session, id: DecisionId) -> Result<DecisionTold> {
    let found = match engine.ledger.decided(&id) {
        Err(ledger::Error::NotFound) => None,
        found => Some(found?),
    };
    let entry = found.as_ref().map(|found| replay::parsed(&found.body)).transpose()?;
    let made = match &entry {
        Some(entry) => replay::answered(engine, entry)?,
        None => None,
    };
    let own = entry.as_ref().is_some_and(|entry| entry.principal.0 == *session.principal.as_bytes());
    let seen = made.as_ref().is_some_and(|(answer, _)| answer.visible || answer.allowed);
    if !(own && seen) {
        look(engine, session, &Wanted::vault(Action::Audit, "decision.explain"))?;
    }
    let (Some(found), Some(entry)) = (found, entry) else { return Err(Error::NotFound(id.to_string())) };
    let damaged = |why: &str| Error::Log { code: Code::Integrity, why: why.to_owned() };
    let replayed = replay::one(engine, &found.body)?;
    let principal = engine.store.read(|tx| audit::name_of(engine, tx, &PrincipalId::from_bytes(entry.principal.0)))?;
    let decision = entry.decision.ok_or_else(|| damaged("the entry of a decision has none"))?;
    let facts = match &made {
        Some((_, record)) => record.told().ok(),
        None => None,
    };
    let (reasons, near_misses) = match &made {
        Some((answer, _)) => (answer.reasons.clone(), near(answer)),
        None => (Vec::new(), decision.near.iter().map(|text| recorded(text)).collect()),
    };
    Ok(DecisionTold {
        decision: id,
        entry: EntryId::from_bytes(entry.id.0),
        log_index: found.index,
        time: entry.time.parse::<Timestamp>().map_err(|_| damaged("an entry has no time"))?,
        principal,
        act: entry.act,
        allowed: decision.effect == Effect::Allow,
        policies: decision.policies,
        reasons,
        near_misses,
        policy_set: decision.policy_set.to_string(),
        engine: decision.engine,
        subject: entry.subject,
        replayed: replayed.ok_or_else(|| damaged("the entry of a decision has none"))?,
        facts,
    })
}

fn near(answer: &Answer) -> Vec<NearMiss> {
    let told = |miss: &policy::NearMiss| NearMiss {
        policy: miss.policy.clone(),
        condition: miss.condition.clone(),
        held: miss.held.clone(),
    };
    answer.near_misses.iter().map(told).collect()
}

/// A near miss as its entry has it: `policy: condition (4 of 5)`.
fn recorded(text: &str) -> NearMiss {
    let (policy, rest) = text.split_once(": ").unwrap_or(("", text));
    let (condition, held) = rest.rsplit_once(" (").unwrap_or((rest, ""));
    NearMiss { policy: policy.into(), condition: condition.into(), held: held.trim_end_matches(')').into() }
}
