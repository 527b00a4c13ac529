//! The start of a run: everything it is going to open and make is decided before anything is.

use super::{about, actions, hold};
use crate::datastore::Transaction;
use crate::decide::{About, Verdict, judge};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::explain;
use crate::facts::{self, Actor, Circumstances, Found, Stated};
use crate::journal::{By, Event, Logged};
use crate::rows::{PolicySet, Run};
use crate::session::Session;
use crate::show;
use crate::write::{Outcome, denied};
use api::terms::{Action, Class, DecisionId, EntryId, RunId, Timestamp};
use api::wire::{Explain, RunOutput, RunStart, RunStarted, VersionItem};
use log::entry::Kind;
use std::collections::BTreeSet;

/// The most inputs, and the most outputs.
const MAX_PLACES: usize = 64;
/// The longest command, in bytes.
const MAX_COMMAND_LEN: usize = 4096;
/// The longest reason, in bytes.
const MAX_REASON_LEN: usize = 1024;
/// An attended run ends after a working day.
const ATTENDED_SECS: u64 = 12 * 3600;

/// Starts a run.
pub(crate) fn start(engine: &Engine, session: &Session, command: &RunStart) -> Result<RunStarted> {
    form(command)?;
    let random = crate::system::random::<16>;
    // An input may be archived, and have two.
    let places = 2 * command.inputs.len() + command.outputs.len();
    let decisions = (0..places).map(|_| random().map(DecisionId::from_bytes)).collect::<Result<Vec<_>>>()?;
    let id = RunId::from_bytes(random()?);
    let entry = EntryId::from_bytes(random()?);
    let call = Call { engine, session, command, now: engine.now()?, id, entry, decisions };
    let (about, outcome) = engine.store.write(|tx| call.run(tx))?;
    let Done { row, items, lease_secs, logged } = outcome.told(&about)?;
    let lease_until = row.until.min(row.started.plus_millis(lease_secs.saturating_mul(1000)));
    Ok(RunStarted { run: id, inputs: items, until: row.until, lease_until, receipt: engine.receipt(&logged)? })
}

fn form(command: &RunStart) -> Result<()> {
    let bad = |why: &str| Err(Error::bad("the run", why));
    if command.inputs.len() > MAX_PLACES || command.outputs.len() > MAX_PLACES {
        return bad("at most 64 inputs and 64 outputs");
    }
    if command.inputs.is_empty() && command.outputs.is_empty() {
        return bad("it has neither input nor output");
    }
    let places: BTreeSet<_> = command.outputs.iter().map(|output| (&output.workspace, &output.artifact)).collect();
    if places.len() < command.outputs.len() {
        return bad("two outputs go to one artifact");
    }
    if command.line.len() > MAX_COMMAND_LEN {
        return bad("a command has at most 4,096 bytes");
    }
    if command.reason.as_ref().is_some_and(|reason| reason.len() > MAX_REASON_LEN) {
        return bad("a reason has at most 1,024 bytes");
    }
    if command.confirm.len() > MAX_PLACES { bad("at most 64 confirmations") } else { Ok(()) }
}

/// The shortest lease among some classes.
pub(super) fn lease_secs(rules: &policy::Set, classes: impl Iterator<Item = Class>) -> u64 {
    let shortest = classes.map(|class| rules.class_rules(class).lease_secs).min();
    shortest.unwrap_or_else(|| rules.class_rules(Class::Public).lease_secs)
}

struct Call<'a> {
    engine: &'a Engine,
    session: &'a Session,
    command: &'a RunStart,
    now: Timestamp,
    id: RunId,
    entry: EntryId,
    decisions: Vec<DecisionId>,
}

struct Done {
    row: Run,
    items: Vec<VersionItem>,
    lease_secs: u64,
    logged: Logged,
}

/// What was decided on one input or output.
struct Decided {
    act: &'static str,
    verdict: Verdict,
    about: About,
    class: Class,
}

impl Call<'_> {
    fn run(&self, tx: &mut dyn Transaction) -> Result<(About, Outcome<Done>)> {
        let (engine, session) = (self.engine, self.session);
        let found = self.inputs(tx)?;
        let mut subjects = BTreeSet::from([*session.principal.as_bytes(), PolicySet::row_id()]);
        subjects.extend(found.iter().flat_map(|f| [*f.workspace.id.as_bytes(), *f.artifact.id.as_bytes()]));
        hold(tx, &subjects.into_iter().collect::<Vec<_>>())?;
        let actor = facts::actor(engine, tx, session.principal)?;
        let rules = engine.rules(tx)?;
        let by = By::session(session, self.now);
        let mut decided = Vec::with_capacity(self.decisions.len());
        let mut decisions = self.decisions.iter().copied();
        let mut draw = || decisions.next().ok_or(Error::Internal("a decision has no id"));
        for found in &found {
            let circumstances = self.circumstances(found)?;
            for action in actions(found) {
                let query = facts::query(engine, session, &actor, *action, found.resource(), &circumstances);
                let verdict = judge(&rules, draw()?, &query);
                let about = about(session, found);
                if !verdict.answer.allowed {
                    return Ok((about, denied(engine, tx, &by, verdict, "run.start")?));
                }
                decided.push(Decided { act: "run.input", verdict, about, class: found.version.class });
            }
        }
        let floor = found.iter().map(|found| found.version.class).max();
        for output in &self.command.outputs {
            let output = self.output(tx, &rules, &actor, output, floor, draw()?)?;
            if !output.verdict.answer.allowed {
                return Ok((output.about, denied(engine, tx, &by, output.verdict, "run.start")?));
            }
            decided.push(output);
        }
        let until = self.until(&rules, decided.iter().map(|decided| decided.class))?;
        let lease_secs = lease_secs(&rules, found.iter().map(|found| found.version.class));
        let done = self.write(tx, &by, &found, &decided, until, lease_secs)?;
        let nothing = About::new(String::new(), &session.name);
        Ok((nothing, Outcome::Done(done)))
    }

    fn inputs(&self, tx: &mut dyn Transaction) -> Result<Vec<Found>> {
        let mut found: Vec<Found> = Vec::with_capacity(self.command.inputs.len());
        for reference in &self.command.inputs {
            let input = facts::resolve(self.engine, tx, &show::parsed(reference)?)?;
            let input = input.ok_or_else(|| Error::NotFound(reference.clone()))?;
            facts::coherent(&input)?;
            found.push(input);
        }
        Ok(found)
    }

    fn circumstances(&self, found: &Found) -> Result<Circumstances> {
        let path = found.path();
        let confirm = self.command.confirm.iter().find(|confirm| **confirm == path);
        let stated = Stated { reason: self.command.reason.as_deref(), confirm: confirm.map(String::as_str) };
        Circumstances::stated(self.now, &stated, &path)
    }

    /// Whether the version that is going to be sealed there may be written, as the `put` would ask then.
    fn output(
        &self,
        tx: &mut dyn Transaction,
        rules: &policy::Set,
        actor: &Actor,
        output: &RunOutput,
        floor: Option<Class>,
        decision: DecisionId,
    ) -> Result<Decided> {
        let (engine, session) = (self.engine, self.session);
        let asked = Explain {
            reference: Some(format!("{}/{}", output.workspace, output.artifact)),
            class: output.class,
            at_least: output.at_least.max(floor),
            environment: Some(output.environment),
            kind: output.kind,
            ..Explain::of(Action::Write)
        };
        let (resource, class, about, conflict) = explain::written(engine, tx, actor, session.name.as_str(), &asked)?;
        let circumstances = Circumstances::plain(self.now)?;
        let query = facts::query(engine, session, actor, Action::Write, resource, &circumstances);
        let verdict = judge(rules, decision, &query);
        match conflict {
            Some(conflict) if verdict.answer.allowed => Err(conflict),
            _ => Ok(Decided { act: "run.output", verdict, about, class }),
        }
    }

    /// When it ends.
    fn until(&self, rules: &policy::Set, classes: impl Iterator<Item = Class>) -> Result<Timestamp> {
        let limit = |class: Class| (rules.class_rules(class).longest_unattended_secs, class);
        let (longest, class) = classes.map(limit).min().unwrap_or_else(|| limit(Class::Restricted));
        let secs = match self.command.unattended_secs {
            None => ATTENDED_SECS.min(longest),
            Some(0) => return Err(Error::bad("the run", "it has to have some time")),
            Some(secs) if secs > longest => {
                let why = format!("with {class} data it may go on for {} h unattended, not longer", longest / 3600);
                return Err(Error::bad("the run", why));
            }
            Some(secs) => secs,
        };
        Ok(self.now.plus_millis(secs.saturating_mul(1000)))
    }

    fn write(
        &self,
        tx: &mut dyn Transaction,
        by: &By,
        found: &[Found],
        decided: &[Decided],
        until: Timestamp,
        lease_secs: u64,
    ) -> Result<Done> {
        let (engine, command) = (self.engine, self.command);
        let ticket = tx.ticket()?;
        engine.watch.mark(tx)?;
        let confirmed = |found: &&Found| command.confirm.contains(&found.path());
        let row = Run {
            id: self.id,
            principal: self.session.principal,
            session_key: hex::encode(self.session.public_key),
            inputs: found.iter().map(|found| found.version.id).collect(),
            outputs: command.outputs.clone(),
            reasoned: command.reason.as_ref().is_some_and(|reason| !reason.trim().is_empty()),
            confirmed: found.iter().filter(confirmed).map(|found| found.version.id).collect(),
            unattended: command.unattended_secs.is_some(),
            started: self.now,
            until,
            renewed: self.now,
            ended: None,
        };
        let change = engine.keys.guard.insert(tx, &row, ticket)?;
        for decided in decided {
            engine.keep(tx, ticket, &decided.verdict)?;
        }
        let mut events = vec![self.event(&row, decided)?.changing(vec![change])];
        // Each decision has an entry that commits to what it rests on.
        events.extend(decided.iter().skip(1).map(|Decided { act, verdict, class, .. }| {
            let event = Event { decision: Some(verdict.logged()), ..Event::new(Kind::State, act) };
            event.on("run", self.id).with("class", class)
        }));
        let logged = engine.log(tx, ticket, by, &events)?;
        let logged = *logged.first().ok_or(Error::Internal("an entry was lost"))?;
        let items = found.iter().map(|found| show::described(engine, tx, found.clone())).collect::<Result<Vec<_>>>()?;
        Ok(Done { row, items, lease_secs, logged })
    }

    fn event(&self, row: &Run, decided: &[Decided]) -> Result<Event> {
        let decision = decided.first().map(|decided| decided.verdict.logged());
        let event = Event { id: Some(self.entry), decision, ..Event::new(Kind::State, "run.start") };
        let mut event = event
            .on("run", self.id)
            .with("inputs", row.inputs.len())
            .with("outputs", row.outputs.len())
            .with("until", row.until)
            .with("unattended", if row.unattended { "yes" } else { "no" })
            .hiding("command", &self.command.line)?;
        for (at, input) in row.inputs.iter().enumerate().take(32) {
            event = event.on(&format!("input.{at}"), input);
        }
        match &self.command.reason {
            Some(reason) => event.hiding("reason", reason),
            None => Ok(event),
        }
    }
}
