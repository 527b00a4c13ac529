//! Decisions made again: from what was kept under the hashes that the log's entries commit to.

use crate::acts::{Wanted, look};
use crate::datastore::Transaction;
use crate::decide::Verdict;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::kept::{self, Kept, Lost};
use crate::session::Session;
use api::terms::{Action, DecisionId};
use api::wire::{DecisionsReplayed, Outcome, Replayed};
use log::entry::{Decision, Effect, Entry};
use log::tree::Hash;
use policy::{Digest, Set};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most failures listed.
const MAX_FAILURES: usize = 100;

/// Makes every decision in the log again.
pub(crate) fn all(engine: &Engine, session: &Session) -> Result<DecisionsReplayed> {
    look(engine, session, &Wanted::vault(Action::Audit, "audit.replay"))?;
    let replays = Replays::default();
    let mut told = DecisionsReplayed { ok: true, same: 0, other_engine: 0, failures: Vec::new() };
    let mut from = Some(0);
    while let Some(index) = from {
        let page = engine.ledger.walk(index)?;
        for found in &page.items {
            let entry = parsed(&found.body)?;
            let Some(Replayed { outcome, why }) = engine.store.read(|tx| replays.replay(tx, &entry))? else { continue };
            match outcome {
                Outcome::Same => told.same += 1,
                Outcome::OtherEngine => told.other_engine += 1,
                Outcome::Differs | Outcome::Missing if told.failures.len() < MAX_FAILURES => {
                    told.failures.push(format!("entry {} ({}): {}", entry.id, entry.act, why.unwrap_or_default()));
                }
                Outcome::Differs | Outcome::Missing => {}
            }
        }
        from = page.next;
    }
    told.ok = told.failures.is_empty();
    Ok(told)
}

/// Makes the decision of one entry again; none if it has none.
pub(crate) fn one(tx: &mut dyn Transaction, body: &[u8]) -> Result<Option<Replayed>> {
    Replays::default().replay(tx, &parsed(body)?)
}

fn parsed(body: &[u8]) -> Result<Entry> {
    let damaged = |why: String| Error::Log { code: api::terms::Code::Integrity, why };
    Entry::parse(body).map_err(|error| damaged(error.to_string()))
}

/// The sets that decisions in a row were made by.
#[derive(Default)]
struct Replays {
    sets: RefCell<BTreeMap<Digest, Kept<Arc<Set>>>>,
}

impl Replays {
    fn replay(&self, tx: &mut dyn Transaction, entry: &Entry) -> Result<Option<Replayed>> {
        let Some(decision) = &entry.decision else { return Ok(None) };
        if decision.engine != policy::ENGINE || digest(decision.schema) != Set::schema() {
            let why = format!("`{}` with schema {} decided", decision.engine, decision.schema);
            return Ok(Some(Replayed { outcome: Outcome::OtherEngine, why: Some(why) }));
        }
        Ok(Some(match self.again(tx, entry.ticket, decision)? {
            Ok(again) if again == *decision => Replayed { outcome: Outcome::Same, why: None },
            Ok(again) => differs(format!("decided again it is {}, recorded is {}", said(&again), said(decision))),
            Err(Lost::Missing(why)) => Replayed { outcome: Outcome::Missing, why: Some(why) },
            Err(Lost::Altered(why)) => differs(why),
        }))
    }

    /// The decision as it would be logged if it were made now, under the same id.
    fn again(&self, tx: &mut dyn Transaction, ticket: u64, recorded: &Decision) -> Result<Kept<Decision>> {
        let ticket = i64::try_from(ticket).map_err(|_| Error::Internal("a ticket above 2^63"))?;
        let record = match kept::record(tx, ticket, digest(recorded.slice), digest(recorded.context))? {
            Ok(record) => record,
            Err(lost) => return Ok(Err(lost)),
        };
        let hash = digest(recorded.policy_set);
        let known = self.sets.borrow().get(&hash).cloned();
        let set = match known {
            Some(set) => set,
            None => kept::set(tx, hash)?.map(Arc::new),
        };
        self.sets.borrow_mut().entry(hash).or_insert_with(|| set.clone());
        Ok(set.and_then(|set| {
            let answer = policy::replay(&set, &record, Some(hash)).map_err(|error| Lost::Altered(error.to_string()))?;
            Ok(Verdict::logged_as(&DecisionId::from_bytes(recorded.id.0), &answer))
        }))
    }
}

fn differs(why: String) -> Replayed {
    Replayed { outcome: Outcome::Differs, why: Some(why) }
}

fn digest(hash: Hash) -> Digest {
    Digest::from_bytes(*hash.as_bytes())
}

fn said(decision: &Decision) -> String {
    let effect = match decision.effect {
        Effect::Allow => "a yes",
        Effect::Deny => "a no",
    };
    format!("{effect} ({})", decision.policies.join(" "))
}
