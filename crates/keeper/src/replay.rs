//! Decisions made again: from what was kept under the hashes that the log's entries commit to.

use crate::acts::{Wanted, look};
use crate::datastore::Transaction;
use crate::decide::Verdict;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::field::Personal;
use crate::kept::{self, Kept, Lost};
use crate::people::erase;
use crate::session::Session;
use crate::subject;
use api::terms::{Action, DecisionId, PrincipalId};
use api::wire::{DecisionsReplayed, Outcome, Replayed};
use log::entry::{Decision, Effect, Entry, Kind};
use log::tree::Hash;
use policy::{Answer, Digest, Record, Set};
use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The most failures listed.
const MAX_FAILURES: usize = 100;
/// The most people whose keys are in memory at once.
const MAX_PEOPLE: usize = 1024;

/// Makes every decision in the log again.
pub(crate) fn all(engine: &Engine, session: &Session) -> Result<DecisionsReplayed> {
    look(engine, session, &Wanted::vault(Action::Audit, "audit.replay"))?;
    let replays = Replays::new(engine);
    let mut told = DecisionsReplayed { ok: true, same: 0, other_engine: 0, erased: 0, failures: Vec::new() };
    let (mut from, mut more) = (Some(0), 0_u64);
    while let Some(index) = from {
        let page = engine.ledger.walk(index)?;
        for found in &page.items {
            let entry = parsed(&found.body)?;
            let Some(Replayed { outcome, why }) = replays.replay(&entry)? else { continue };
            match outcome {
                Outcome::Same => told.same += 1,
                Outcome::OtherEngine => told.other_engine += 1,
                Outcome::Erased => told.erased += 1,
                Outcome::Differs | Outcome::Missing if told.failures.len() < MAX_FAILURES => {
                    told.failures.push(format!("entry {} ({}): {}", entry.id, entry.act, why.unwrap_or_default()));
                }
                Outcome::Differs | Outcome::Missing => more += 1,
            }
        }
        from = page.next;
    }
    told.ok = told.failures.is_empty();
    if more > 0 {
        told.failures.push(format!("and {more} more"));
    }
    Ok(told)
}

/// The answer of an entry's decision, made again, with what it was made on; none if that cannot be had, or another engine decided.
pub(crate) fn answered(engine: &Engine, entry: &Entry) -> Result<Option<(Answer, Record)>> {
    let Some(decision) = &entry.decision else { return Ok(None) };
    if decision.engine != policy::ENGINE || digest(decision.schema) != Set::schema() {
        return Ok(None);
    }
    let replays = Replays::new(engine);
    engine.store.read(|tx| {
        let Ok(record) = replays.record(tx, entry, decision)? else { return Ok(None) };
        let answer = replays.answer(tx, Ok(record.clone()), decision)?;
        Ok(answer.ok().map(|answer| (answer, record)))
    })
}

/// Makes the decision of one entry again; none if it has none.
pub(crate) fn one(engine: &Engine, body: &[u8]) -> Result<Option<Replayed>> {
    Replays::new(engine).replay(&parsed(body)?)
}

/// An entry of the log.
pub(crate) fn parsed(body: &[u8]) -> Result<Entry> {
    let damaged = |why: String| Error::Log { code: api::terms::Code::Integrity, why };
    Entry::parse(body).map_err(|error| damaged(error.to_string()))
}

/// What opens the records of somebody's decisions; none of somebody who was erased.
type Opener = Kept<Option<Arc<Personal>>>;

/// What decisions in a row mostly share: the set they were made by, the keys of who asked; and who was erased since.
struct Replays<'a> {
    engine: &'a Engine,
    /// The tickets of erasures that are in the log: rows are not believed. Read where a row tells of one.
    erased: OnceCell<BTreeMap<PrincipalId, u64>>,
    last: RefCell<Option<(Digest, Kept<Arc<Set>>)>>,
    people: RefCell<HashMap<PrincipalId, Opener>>,
}

impl<'a> Replays<'a> {
    fn new(engine: &'a Engine) -> Self {
        Self { engine, erased: OnceCell::new(), last: RefCell::default(), people: RefCell::default() }
    }

    fn replay(&self, entry: &Entry) -> Result<Option<Replayed>> {
        let Some(decision) = &entry.decision else { return Ok(None) };
        let replayed = self.engine.store.read(|tx| self.made(tx, entry, decision))?;
        Ok(Some(match replayed {
            Ok(replayed) => replayed,
            // After the transaction: the log opens its own.
            Err(Lost::Erased) => self.erased(entry)?,
            Err(Lost::Missing(why)) => Replayed { outcome: Outcome::Missing, why: Some(why) },
            Err(Lost::Altered(why)) => differs(why),
        }))
    }

    fn made(&self, tx: &mut dyn Transaction, entry: &Entry, decision: &Decision) -> Result<Kept<Replayed>> {
        let record = self.record(tx, entry, decision)?;
        if decision.engine != policy::ENGINE || digest(decision.schema) != Set::schema() {
            // Not made again, but what it rests on must be there.
            let why = format!("`{}` with schema {} decided", decision.engine, decision.schema);
            let sources = kept::sources(tx, digest(decision.policy_set))?;
            return Ok(record.and(sources).map(|_| Replayed { outcome: Outcome::OtherEngine, why: Some(why) }));
        }
        Ok(self.again(tx, record, decision)?.map(|again| {
            if again == *decision {
                Replayed { outcome: Outcome::Same, why: None }
            } else {
                differs(format!("decided again it is {}, recorded is {}", said(&again), said(decision)))
            }
        }))
    }

    /// What an entry rests on, opened.
    fn record(&self, tx: &mut dyn Transaction, entry: &Entry, decision: &Decision) -> Result<Kept<Record>> {
        let ticket = i64::try_from(entry.ticket).map_err(|_| Error::Internal("a ticket above 2^63"))?;
        let personal = match self.opener(tx, PrincipalId::from_bytes(entry.principal.0))? {
            Ok(personal) => personal,
            Err(lost) => return Ok(Err(lost)),
        };
        kept::record(tx, ticket, personal.as_deref(), (digest(decision.slice), digest(decision.context)))
    }

    fn opener(&self, tx: &mut dyn Transaction, id: PrincipalId) -> Result<Opener> {
        if let Some(known) = self.people.borrow().get(&id) {
            return Ok(known.clone());
        }
        let opener = match subject::personal(self.engine, tx, id) {
            Ok(personal) => Ok(personal.map(Arc::new)),
            // A row that is not there shows as one that was taken out.
            Err(altered @ Error::Altered { .. }) => Err(Lost::Altered(altered.to_string())),
            Err(error) => return Err(error),
        };
        let mut people = self.people.borrow_mut();
        if people.len() >= MAX_PEOPLE {
            people.clear();
        }
        people.insert(id, opener.clone());
        Ok(opener)
    }

    /// Whether the log says that whoever asked was erased, after they did. A refusal may have been under way: it let nobody in.
    fn erased(&self, entry: &Entry) -> Result<Replayed> {
        let id = PrincipalId::from_bytes(entry.principal.0);
        Ok(match self.erased_at(&id)? {
            Some(ticket) if entry.ticket <= ticket || entry.kind == Kind::Denial => {
                Replayed { outcome: Outcome::Erased, why: Some(format!("{id} was erased since")) }
            }
            Some(_) => differs(format!("{id} was erased before")),
            None => differs(format!("{id} is told of as erased, and the log has no entry of it")),
        })
    }

    /// The ticket of somebody's erasure, if the log has it.
    fn erased_at(&self, id: &PrincipalId) -> Result<Option<u64>> {
        let erased = match self.erased.get() {
            Some(known) => known,
            None => {
                let read = erase::in_log(self.engine)?;
                self.erased.get_or_init(|| read)
            }
        };
        Ok(erased.get(id).copied())
    }

    /// The decision as it would be logged if it were made now, under the same id.
    fn again(&self, tx: &mut dyn Transaction, record: Kept<Record>, recorded: &Decision) -> Result<Kept<Decision>> {
        let answer = self.answer(tx, record, recorded)?;
        Ok(answer.map(|answer| Verdict::logged_as(&DecisionId::from_bytes(recorded.id.0), &answer)))
    }

    /// The answer as it would be now.
    fn answer(&self, tx: &mut dyn Transaction, record: Kept<Record>, recorded: &Decision) -> Result<Kept<Answer>> {
        let record = match record {
            Ok(record) => record,
            Err(lost) => return Ok(Err(lost)),
        };
        let hash = digest(recorded.policy_set);
        let known = self.last.borrow().as_ref().filter(|(known, _)| *known == hash).map(|(_, set)| set.clone());
        let set = match known {
            Some(set) => set,
            None => kept::set(tx, hash)?.map(|(set, _)| Arc::new(set)),
        };
        *self.last.borrow_mut() = Some((hash, set.clone()));
        Ok(set.and_then(|set| {
            policy::replay(&set, &record, Some(hash)).map_err(|error| Lost::Altered(error.to_string()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::{self, InitOptions, OpenOptions, RootChoice, RootUnlock, open};
    use api::terms::Mode;
    use api::wire::{Command, PolicyApply};

    #[test]
    fn what_another_engines_decision_rests_on_must_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let root = RootChoice::Keyfile { path: at("key") };
        let owner = "olivia".parse().unwrap();
        let vault = vault::draw_id().unwrap();
        vault::init(&InitOptions {
            dir: at("vault"),
            vault,
            mode: Mode::Solo,
            root,
            anchor: at("anchor"),
            owner,
            crypto: None,
            recovery: None,
        })
        .unwrap();
        let options = OpenOptions::new(at("vault"), RootUnlock::Keyfile(at("key")), at("anchor"));
        let keeper = crate::keeper::Keeper::open(&options).unwrap();
        let session = keeper.session(None, [0; 32]).unwrap();
        keeper.call(&session, Command::PolicyApply(PolicyApply { sources: Default::default(), base: None })).unwrap();
        keeper.close().unwrap();
        let engine = open::open(&options).unwrap();
        let bodies = engine.ledger.walk(0).unwrap().items;
        let mut entry = bodies
            .iter()
            .rev()
            .map(|found| parsed(&found.body).unwrap())
            .find(|entry| entry.decision.is_some())
            .unwrap();
        let outcome = |entry: &Entry| Replays::new(&engine).replay(entry).unwrap().unwrap().outcome;
        assert_eq!(outcome(&entry), Outcome::Same);
        entry.decision.as_mut().unwrap().engine = "cedar-policy 9".into();
        assert_eq!(outcome(&entry), Outcome::OtherEngine);
        let gone = |condition: &str| {
            let sql = format!("DELETE FROM cas WHERE {condition}");
            engine.store.write(|tx| tx.query(&sql, &[]).map(|_| ()).map_err(Error::from)).unwrap();
        };
        gone("ticket > 0");
        assert_eq!(outcome(&entry), Outcome::Missing);
    }
}
