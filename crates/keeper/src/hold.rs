//! Legal holds: what is under one is neither removed nor destroyed, whatever a rule or a person says, until its owner lifts it.

pub(crate) mod looked;

use crate::datastore::Transaction;
use crate::decide::{About, Verdict, judge};
use crate::engine::Engine;
use crate::epochs;
use crate::error::{Error, Result};
use crate::facts::{self, Circumstances, Found};
use crate::journal::{By, Event, Logged};
use crate::removal::{self, MAX_REASON_LEN, seized};
use crate::rows::{Artifact, Change, Hold, Removed, Version, Workspace};
use crate::session::Session;
use crate::show::{self, Seen};
use crate::write::{Outcome, denied_as};
use api::terms::{Action, DecisionId, Environment, Name, Reference, Selector, Timestamp};
use api::wire::{HoldItem, HoldLift, HoldMoved, HoldSet};
use log::entry::Kind;

/// The most holds of an artifact.
const MAX_HOLDS: usize = 64;
/// Artifacts of a workspace that are looked at in one go.
const PAGE: i64 = 200;
/// The most holds of a workspace that are listed.
const MAX_LISTED: usize = 10_000;

/// Puts versions under a hold.
pub(crate) fn set(engine: &Engine, session: &Session, command: &HoldSet) -> Result<HoldMoved> {
    let reference = show::parsed(&command.reference)?;
    Call { engine, session, reference, name: &command.name, reason: &command.reason, holds: true, now: engine.now()? }
        .answer()
}

/// Lifts a hold.
pub(crate) fn lift(engine: &Engine, session: &Session, command: &HoldLift) -> Result<HoldMoved> {
    let reference = Reference { selector: Selector::Latest, ..show::parsed(&command.reference)? };
    Call { engine, session, reference, name: &command.name, reason: &command.reason, holds: false, now: engine.now()? }
        .answer()
}

/// Holds of a workspace or an artifact, for whoever may list it.
pub(crate) fn list(engine: &Engine, session: &Session, place: &str) -> Result<Vec<HoldItem>> {
    if let Ok(name) = place.parse::<Name>() {
        return Seen::workspace(&name).guarded(engine, session, |tx, actor| {
            let workspace = show::listable_workspace(engine, tx, session, actor, &name)?;
            let (mut items, mut after) = (Vec::new(), String::new());
            loop {
                let values = [workspace.id.as_bytes().into(), after.as_str().into(), PAGE.into()];
                let tail = "WHERE workspace = $1 AND latest > 0 AND name > $2 ORDER BY name LIMIT $3";
                let artifacts: Vec<Artifact> = engine.keys.guard.select(tx, tail, &values)?;
                let Some(last) = artifacts.last() else { return Ok(items) };
                after = last.name.to_string();
                for artifact in &artifacts {
                    items.extend(items_of(engine, tx, &workspace, artifact)?);
                }
                if items.len() > MAX_LISTED {
                    return Err(Error::bad("the list", "it holds more than 10,000: name an artifact"));
                }
            }
        });
    }
    let reference = Reference { selector: Selector::Latest, ..show::parsed(place)? };
    Seen::reference(&reference).guarded(engine, session, |tx, actor| {
        let (workspace, artifact) = show::listable(engine, tx, session, actor, &reference)?;
        items_of(engine, tx, &workspace, &artifact)
    })
}

fn items_of(
    engine: &Engine,
    tx: &mut dyn Transaction,
    workspace: &Workspace,
    artifact: &Artifact,
) -> Result<Vec<HoldItem>> {
    artifact.holds.iter().map(|(name, hold)| item(engine, tx, workspace, artifact, name, hold)).collect()
}

fn item(
    engine: &Engine,
    tx: &mut dyn Transaction,
    workspace: &Workspace,
    artifact: &Artifact,
    name: &Name,
    hold: &Hold,
) -> Result<HoldItem> {
    let guard = &engine.keys.guard;
    let path = format!("{}/{}", workspace.name, artifact.name);
    let of = match hold.version {
        None => path,
        Some(id) => format!("{path}@v{}", guard.expect::<Version>(tx, id.as_bytes())?.number),
    };
    Ok(HoldItem { name: name.clone(), of, by: facts::name_of(engine, tx, hold.by)?, at: hold.at })
}

struct Call<'a> {
    engine: &'a Engine,
    session: &'a Session,
    reference: Reference,
    name: &'a Name,
    reason: &'a str,
    /// Whether the versions are to be held.
    holds: bool,
    now: Timestamp,
}

impl Call<'_> {
    fn answer(&self) -> Result<HoldMoved> {
        if self.reason.trim().is_empty() || self.reason.len() > MAX_REASON_LEN {
            return Err(Error::bad("the hold", "a hold has a reason of at most 1024 bytes"));
        }
        let (about, outcome) = self.engine.store.write(|tx| self.run(tx))?;
        let (hold, logged) = outcome.told(&about)?;
        let receipt = logged.map(|logged| self.engine.settled(&logged)).transpose()?;
        Ok(HoldMoved { hold, holds: self.holds, changed: receipt.is_some(), receipt })
    }

    const fn act(&self) -> &'static str {
        if self.holds { "hold.set" } else { "hold.lift" }
    }

    #[expect(clippy::type_complexity, reason = "the answer's parts, or the refusal to tell")]
    fn run(&self, tx: &mut dyn Transaction) -> Result<(About, Outcome<(HoldItem, Option<Logged>)>)> {
        let engine = self.engine;
        let (workspace, artifact) = seized(engine, tx, self.session, &self.reference)?;
        let version = self.version(tx, &workspace, &artifact)?;
        let about = About::version(&self.reference, &self.session.name);
        let by = By::session(self.session, self.now);
        let verdict = self.decide(tx, &workspace, &artifact, version.as_ref())?;
        if !verdict.answer.allowed {
            let event = verdict.denial(self.act());
            return Ok((about, denied_as(engine, tx, &by, verdict, event)?));
        }
        if let Some(version) = version.as_ref().filter(|version| self.holds && removal::is_destroyed(version)) {
            let path = format!("{}/{}", workspace.name, artifact.name);
            removal::refuse_version(version, format!("{path}@v{}", version.number))?;
        }
        let wanted = version.as_ref().map(|version| version.id);
        let hold = Hold { version: wanted, by: self.session.principal, at: self.now };
        let (hold, changes) = match (artifact.holds.get(self.name), self.holds) {
            (Some(there), true) if there.version == wanted => (there.clone(), false),
            (Some(_), true) => return Err(self.conflict("it holds something else of this artifact")),
            (None, true) if artifact.holds.len() >= MAX_HOLDS => {
                return Err(self.conflict("an artifact has at most 64 holds"));
            }
            (None, true) => (hold, true),
            (Some(there), false) => (there.clone(), true),
            (None, false) => return Err(self.conflict("there is no such hold")),
        };
        let item = item(engine, tx, &workspace, &artifact, self.name, &hold)?;
        if !changes {
            return Ok((about, Outcome::Done((item, None))));
        }
        let logged = self.write(tx, &artifact, hold, &by, &verdict)?;
        Ok((about, Outcome::Done((item, Some(logged)))))
    }

    fn conflict(&self, why: &str) -> Error {
        let (workspace, artifact) = (&self.reference.workspace, &self.reference.artifact);
        Error::Conflict {
            what: "the hold",
            why: format!("`{}`: {why}", self.name),
            hint: Some(format!("strongroom hold ls {workspace}/{artifact}")),
        }
    }

    /// The one version that is meant, or that a hold to be lifted is of; none for the artifact.
    fn version(&self, tx: &mut dyn Transaction, workspace: &Workspace, artifact: &Artifact) -> Result<Option<Version>> {
        let held = artifact.holds.get(self.name).filter(|_| !self.holds).and_then(|hold| hold.version);
        let selector = held.map_or_else(|| self.reference.selector.clone(), Selector::Id);
        if selector == Selector::Latest {
            return Ok(None);
        }
        let found = facts::selected(self.engine, tx, artifact, &selector)?;
        let version = found.ok_or_else(|| Error::NotFound(self.reference.to_string()))?;
        let found = Found { workspace: workspace.clone(), artifact: artifact.clone(), version };
        facts::coherent(&found)?;
        Ok(Some(found.version))
    }

    fn decide(
        &self,
        tx: &mut dyn Transaction,
        workspace: &Workspace,
        artifact: &Artifact,
        version: Option<&Version>,
    ) -> Result<Verdict> {
        let engine = self.engine;
        let resource = match version {
            None => facts::resource_of(artifact, artifact.class, Environment::Dev),
            Some(version) => {
                let (workspace, artifact, version) = (workspace.clone(), artifact.clone(), version.clone());
                Found { workspace, artifact, version }.resource()
            }
        };
        let actor = facts::actor(engine, tx, self.session.principal)?;
        let rules = engine.rules(tx)?;
        let circumstances = Circumstances::plain(self.now)?;
        let query = facts::query(engine, self.session, &actor, Action::Hold, resource, &circumstances);
        Ok(judge(&rules, DecisionId::from_bytes(crate::system::random()?), &query))
    }

    fn write(
        &self,
        tx: &mut dyn Transaction,
        artifact: &Artifact,
        hold: Hold,
        by: &By,
        verdict: &Verdict,
    ) -> Result<Logged> {
        let engine = self.engine;
        // Whoever looked for holds and rests on that looks again.
        epochs::seize(tx, &[looked::subject()])?;
        epochs::bump(tx, &looked::subject())?;
        let ticket = tx.ticket()?;
        engine.watch.mark(tx)?;
        let mut becomes = artifact.clone();
        let of = hold.version;
        if self.holds {
            becomes.holds.insert(self.name.clone(), hold);
        } else {
            becomes.holds.remove(self.name);
        }
        let mut changes = vec![engine.keys.guard.update(tx, &becomes, ticket)?];
        changes.extend(self.ends(tx, &becomes, ticket)?);
        epochs::bump(tx, artifact.id.as_bytes())?;
        engine.keep(tx, ticket, verdict)?;
        let event = Event { decision: Some(verdict.logged()), ..Event::new(Kind::State, self.act()) };
        let event = event.on("workspace", artifact.workspace).on("artifact", artifact.id).with("hold", self.name);
        let event = of.iter().fold(event, |event, id| event.on("version", id));
        let event = event.changing(changes).hiding("reason", self.reason)?;
        let logged = engine.log(tx, ticket, by, &[event])?;
        logged.first().copied().ok_or(Error::Internal("an entry was lost"))
    }

    /// What was removed before waits with its end, and when it is held no more it can be restored for as long again.
    fn ends(&self, tx: &mut dyn Transaction, artifact: &Artifact, ticket: i64) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        let rules = self.engine.rules(tx)?;
        for version in removal::every(self.engine, tx, artifact)? {
            let held = artifact.holds(version.id);
            let Some(removed) = &version.removed else { continue };
            if removed.destroyed.is_some() || removed.held == held {
                continue;
            }
            let again = removal::until(&rules, version.class, self.now);
            let until = if held { removed.until } else { removed.until.max(again) };
            let removed = Some(Removed { held, until, ..removed.clone() });
            changes.push(self.engine.keys.guard.update(tx, &Version { removed, ..version }, ticket)?);
        }
        Ok(changes)
    }
}
