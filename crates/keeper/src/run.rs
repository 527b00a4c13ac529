//! Runs: what one command may open and make, for whom and until when. Releases and new versions name their run; it goes on only as
//! long as everything it opened may still be read (`docs/decisions/0070-runs.md`).

mod start;

pub(crate) use start::start;

use crate::datastore::Transaction;
use crate::decide::{About, Verdict, judge};
use crate::engine::Engine;
use crate::epochs::{self, Subject};
use crate::error::{Error, Result};
use crate::facts::{self, Circumstances, Found};
use crate::journal::{By, Event};
use crate::keys::state;
use crate::removal;
use crate::rows::{PolicySet, Run};
use crate::session::Session;
use crate::suites;
use api::terms::{Action, Class, DecisionId, Reference, RunId, Selector, Timestamp, VersionId};
use api::wire::{RunEnd, RunOutcome, RunRenewed};
use log::entry::Kind;

/// The longest reason for a stop, in bytes.
const MAX_WHY_LEN: usize = 512;
/// The most outputs of a run that its end names.
const MAX_OUTPUTS: usize = 64;

/// The run of this very session, while it may go on. Another session of the same person has another key, and is refused.
pub(crate) fn own(
    engine: &Engine,
    tx: &mut dyn Transaction,
    session: &Session,
    id: RunId,
    now: Timestamp,
) -> Result<Run> {
    let run: Option<Run> = engine.keys.guard.find(tx, id.as_bytes())?;
    let own = |run: &Run| run.principal == session.principal && run.session_key == hex::encode(session.public_key);
    let run = run.filter(own).ok_or_else(|| Error::NotFound(format!("the run {id}")))?;
    if let Some(ended) = run.ended {
        return Err(Error::conflict("the run", format!("it ended at {ended}")));
    }
    if run.until <= now {
        return Err(Error::Conflict {
            what: "the run",
            why: format!("its time was over at {}", run.until),
            hint: Some("start it again with `--unattended`, which says how long it may take".to_owned()),
        });
    }
    Ok(run)
}

impl Run {
    /// Refuses a version that is none of its inputs.
    pub(crate) fn opens(&self, version: VersionId) -> Result<()> {
        if self.inputs.contains(&version) {
            return Ok(());
        }
        Err(Error::bad("the release", "the version is no input of the run"))
    }

    /// The class that nothing it makes is below: the highest of what it opened.
    pub(crate) fn floor(&self, engine: &Engine, tx: &mut dyn Transaction) -> Result<Option<Class>> {
        let mut floor = None;
        for found in self.found(engine, tx)? {
            floor = floor.max(Some(found.version.class));
        }
        Ok(floor)
    }

    fn found(&self, engine: &Engine, tx: &mut dyn Transaction) -> Result<Vec<Found>> {
        let lost = |id: &VersionId| Error::Altered { table: "version", row: id.to_string() };
        self.inputs.iter().map(|id| facts::found_by_id(engine, tx, *id)?.ok_or_else(|| lost(id))).collect()
    }
}

/// Whether a run may go on. A renewal is an entry once in half a lease; in between nothing is written.
pub(crate) fn renew(engine: &Engine, session: &Session, id: RunId) -> Result<RunRenewed> {
    let now = engine.now()?;
    let decision = DecisionId::from_bytes(crate::system::random()?);
    let call = Renewal { engine, session, id, now, decision };
    let (run, judged) = engine.store.read(|tx| call.judge(tx))?;
    let half = judged.lease_secs.saturating_mul(500);
    if judged.refused.is_none() && now < run.renewed.plus_millis(half) {
        return Ok(judged.renewed(&run, now));
    }
    let (renewed, refused) = engine.store.write(|tx| call.write(tx))?;
    match refused {
        Some((verdict, about)) => Err(verdict.error(&about)),
        None => Ok(renewed),
    }
}

struct Renewal<'a> {
    engine: &'a Engine,
    session: &'a Session,
    id: RunId,
    now: Timestamp,
    decision: DecisionId,
}

/// What the policy says now of a run's inputs.
struct Judged {
    lease_secs: u64,
    /// The last one that it allows, if there are inputs at all.
    allowed: Option<Verdict>,
    refused: Option<(Box<Verdict>, About)>,
}

impl Judged {
    fn renewed(&self, run: &Run, now: Timestamp) -> RunRenewed {
        RunRenewed { lease_until: run.until.min(now.plus_millis(self.lease_secs.saturating_mul(1000))) }
    }
}

impl Renewal<'_> {
    fn judge(&self, tx: &mut dyn Transaction) -> Result<(Run, Judged)> {
        let (engine, session) = (self.engine, self.session);
        let run = own(engine, tx, session, self.id, self.now)?;
        let found = run.found(engine, tx)?;
        let actor = facts::actor(engine, tx, session.principal)?;
        let rules = engine.rules(tx)?;
        let classes = found.iter().map(|found| found.version.class);
        let lease_secs = start::lease_secs(&rules, classes);
        let mut judged = Judged { lease_secs, allowed: None, refused: None };
        for found in &found {
            let circumstances = Circumstances {
                reason_given: run.reasoned,
                confirmed: run.confirmed.contains(&found.version.id),
                ..Circumstances::plain(self.now)?
            };
            for action in actions(found) {
                let query = facts::query(engine, session, &actor, *action, found.resource(), &circumstances);
                let verdict = judge(&rules, self.decision, &query);
                if !verdict.answer.allowed {
                    judged.refused = Some((Box::new(verdict), about(session, found)));
                    return Ok((run, judged));
                }
                judged.allowed = Some(verdict);
            }
            removal::refuse(found)?;
            state::refuse_shut(engine, tx, &found.version, &found.named(), state::Towards::Open)?;
            suites::refuse_unread_version(engine, tx, found, self.now)?;
        }
        Ok((run, judged))
    }

    /// Judges again with the epochs held, and writes what came of it.
    #[expect(clippy::type_complexity, reason = "the answer, or the refusal to tell")]
    fn write(&self, tx: &mut dyn Transaction) -> Result<(RunRenewed, Option<(Box<Verdict>, About)>)> {
        let engine = self.engine;
        hold(tx, &[*self.session.principal.as_bytes(), PolicySet::row_id()])?;
        let (run, judged) = self.judge(tx)?;
        let by = By::session(self.session, self.now);
        let ticket = tx.ticket()?;
        engine.watch.mark(tx)?;
        let renewed = judged.renewed(&run, self.now);
        let event = match &judged.refused {
            Some((verdict, _)) => {
                engine.keep(tx, ticket, verdict)?;
                let row = Run { ended: Some(self.now), ..run };
                let change = engine.keys.guard.update(tx, &row, ticket)?;
                verdict.denial("run.renew").changing(vec![change])
            }
            None => {
                let row = Run { renewed: self.now, ..run };
                let change = engine.keys.guard.update(tx, &row, ticket)?;
                let mut event = Event::new(Kind::State, "run.renew").changing(vec![change]);
                if let Some(verdict) = &judged.allowed {
                    engine.keep(tx, ticket, verdict)?;
                    event.decision = Some(verdict.logged());
                }
                event
            }
        };
        // Not counted as one of a burst: the run's row changes with it.
        engine.append(tx, ticket, &[(&by, &event.on("run", self.id))])?;
        Ok((renewed, judged.refused))
    }
}

/// Ends a run. One that was stopped because its inputs may not be read any more has ended already.
pub(crate) fn end(engine: &Engine, session: &Session, command: &RunEnd) -> Result<()> {
    if command.outputs.len() > MAX_OUTPUTS {
        return Err(Error::bad("the run", "at most 64 outputs"));
    }
    if matches!(&command.outcome, RunOutcome::Stopped { why } if why.len() > MAX_WHY_LEN) {
        return Err(Error::bad("the run", "the reason of a stop has at most 512 bytes"));
    }
    let now = engine.now()?;
    engine.store.write(|tx| {
        let guard = &engine.keys.guard;
        let run: Option<Run> = guard.find(tx, command.run.as_bytes())?;
        let own = |run: &Run| run.principal == session.principal && run.session_key == hex::encode(session.public_key);
        let run = run.filter(own).ok_or_else(|| Error::NotFound(format!("the run {}", command.run)))?;
        if run.ended.is_some() {
            return Ok(());
        }
        let ticket = tx.ticket()?;
        engine.watch.mark(tx)?;
        let row = Run { ended: Some(now), ..run };
        let change = guard.update(tx, &row, ticket)?;
        let mut event = Event::new(Kind::State, "run.end").on("run", command.run).changing(vec![change]);
        for (at, version) in command.outputs.iter().enumerate().take(32) {
            event = event.on(&format!("output.{at}"), version);
        }
        event = match &command.outcome {
            RunOutcome::Exited { code } => event.with("exited", code),
            RunOutcome::Signalled { signal } => event.with("signalled", signal),
            RunOutcome::Stopped { why } => event.hiding("stopped", why)?,
        };
        let by = By::session(session, now);
        engine.log(tx, ticket, &by, &[event]).map(drop)
    })
}

/// Holds what a decision rests on; refuses while a revocation is announced.
fn hold(tx: &mut dyn Transaction, subjects: &[Subject]) -> Result<()> {
    epochs::hold(tx, subjects)?;
    if epochs::closing(tx, subjects)?.is_empty() { Ok(()) } else { Err(Error::Stale) }
}

/// What a run does with an input: it reads, and what was archived it reads under that right besides.
fn actions(found: &Found) -> &'static [Action] {
    if found.is_apart(Action::Read) { &[Action::Read, Action::ArchiveRead] } else { &[Action::Read] }
}

/// A version in words.
fn about(session: &Session, found: &Found) -> About {
    let reference = Reference {
        workspace: found.workspace.name.clone(),
        artifact: found.artifact.name.clone(),
        selector: Selector::Number(found.version.number),
        path: None,
    };
    About::version(&reference, &session.name)
}
