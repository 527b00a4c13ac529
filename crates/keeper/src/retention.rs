//! Retention: which versions of an artifact are kept. A rule keeps what is younger than an age, or among the newest so many; what
//! neither keeps is removed by a job, and waits then like everything that is removed. What an alias points to stays, and so does what
//! is under a legal hold.

mod report;

pub(crate) use report::report;

use crate::datastore::Transaction;
use crate::decide::{About, Verdict, judge};
use crate::engine::Engine;
use crate::epochs;
use crate::error::{Error, Result};
use crate::facts::{self, Circumstances, Stated};
use crate::jobs::{Slice, by_system};
use crate::journal::{By, Event, Logged};
use crate::removal::{self, seized};
use crate::rows::{Artifact, Removed, Retention, Version};
use crate::session::Session;
use crate::show;
use crate::write::objects::millis;
use crate::write::{Outcome, denied_as};
use api::terms::{Action, ArtifactId, DecisionId, Environment, Reference, Selector, Timestamp};
use api::wire::{Keeping, RetentionItem, RetentionReport, RetentionSet};
use log::entry::Kind;
use std::collections::BTreeMap;

const DAY_SECS: u64 = 86_400;
const MAX_SECS: u64 = 100 * 366 * DAY_SECS;
const MAX_LAST: u32 = 1_000_000;
/// After how long an artifact is looked at again where an alias or a hold keeps what the rule would not.
const AGAIN_MILLIS: u64 = DAY_SECS * 1000;
/// The act.
const SET: &str = "retention.set";
/// The most artifacts looked at at once, and the most versions removed in one transaction.
const PAGE: i64 = 16;
const MAX_AT_ONCE: usize = 256;

/// What becomes of a version that is there, and until when it is young enough.
pub(super) struct Fate {
    pub(super) keeping: Keeping,
    pub(super) young_until: Option<Timestamp>,
}

/// What becomes of the `rank`-th newest version of its environment that is there, from 0.
fn fate(artifact: &Artifact, version: &Version, rank: usize, aliased: bool, now: Timestamp) -> Fate {
    let Some(rule) = &artifact.retention else { return Fate { keeping: Keeping::NoRule, young_until: None } };
    let young_until = rule.keep_secs.map(|secs| version.created.plus_millis(secs.saturating_mul(1000)));
    let keeping = if rule.keep_last.is_some_and(|last| rank < usize::try_from(last).unwrap_or(usize::MAX)) {
        Keeping::Last
    } else if young_until.is_some_and(|until| now < until) {
        Keeping::Young
    } else if version.class > rule.class {
        Keeping::Above
    } else if artifact.holds(version.id) {
        Keeping::Held
    } else if aliased {
        Keeping::Aliased
    } else {
        Keeping::Due
    };
    Fate { keeping, young_until }
}

/// The versions of an artifact that are there, newest first, and what becomes of each.
fn fates(
    engine: &Engine,
    tx: &mut dyn Transaction,
    artifact: &Artifact,
    now: Timestamp,
) -> Result<Vec<(Version, Fate)>> {
    let mut fates = Vec::new();
    // Whoever may write in one environment pushes nothing out of another.
    let mut ranks = BTreeMap::<Environment, usize>::new();
    for version in removal::living(engine, tx, artifact)? {
        let next = ranks.entry(version.environment).or_default();
        let rank = *next;
        *next += 1;
        let aliased = !show::aliases_of(engine, tx, version.id)?.is_empty();
        let fate = fate(artifact, &version, rank, aliased, now);
        fates.push((version, fate));
    }
    Ok(fates)
}

/// Whether the rule would remove a version as soon as it was there again.
pub(crate) fn takes(
    engine: &Engine,
    tx: &mut dyn Transaction,
    artifact: &Artifact,
    version: &Version,
    now: Timestamp,
) -> Result<bool> {
    let newer = |other: &&Version| other.number > version.number && other.environment == version.environment;
    let rank = removal::living(engine, tx, artifact)?.iter().filter(newer).count();
    Ok(fate(artifact, version, rank, false, now).keeping == Keeping::Due)
}

/// A rule after one more version: the newest ones are others now, and each has an age at which it goes.
pub(crate) fn after_commit(rule: Option<Retention>, now: Timestamp) -> Option<Retention> {
    let rule = rule?;
    let next = match (rule.keep_last, rule.keep_secs) {
        (Some(_), _) => now,
        (None, Some(secs)) => now.plus_millis(secs.saturating_mul(1000)),
        (None, None) => return Some(rule),
    };
    let due = Some(rule.due.map_or(next, |due| due.min(next)));
    Some(Retention { due, ..rule })
}

/// When an artifact is to be looked at again, after what was due was removed.
fn next_look(fates: &[(Version, Fate)], now: Timestamp) -> Option<Timestamp> {
    let next = |fate: &Fate| match fate.keeping {
        Keeping::Held | Keeping::Aliased => Some(now.plus_millis(AGAIN_MILLIS)),
        Keeping::Due => Some(now),
        Keeping::Young => fate.young_until,
        // One of the newest goes when others come, which is looked at then; or when it was kept for its age as well, never sooner.
        _ => None,
    };
    fates.iter().filter_map(|(_, fate)| next(fate)).min()
}

/// Sets the rule of an artifact, or says what it would do.
pub(crate) fn set(engine: &Engine, session: &Session, command: &RetentionSet) -> Result<RetentionReport> {
    let reference = show::parsed(&command.reference)?;
    if reference.selector != Selector::Latest {
        return Err(Error::bad("the retention", "it is of an artifact: name it without a version"));
    }
    if command.reason.as_ref().is_some_and(|reason| reason.len() > removal::MAX_REASON_LEN) {
        return Err(Error::bad("the retention", "a reason has at most 1024 bytes"));
    }
    if command.keep_secs.is_some_and(|secs| !(DAY_SECS..=MAX_SECS).contains(&secs)) {
        return Err(Error::bad("the retention", "keep for at least a day and at most 100 years"));
    }
    if command.keep_last.is_some_and(|last| !(1..=MAX_LAST).contains(&last)) {
        return Err(Error::bad("the retention", "keep at least the last one and at most the last 1,000,000"));
    }
    let call = Call { engine, session, reference, command, now: engine.now()? };
    let (about, outcome) = engine.store.write(|tx| call.run(tx))?;
    let (item, logged) = outcome.told(&about)?;
    let receipt = logged.map(|logged| engine.settled(&logged)).transpose()?;
    Ok(RetentionReport { items: vec![item], next: None, receipt })
}

struct Call<'a> {
    engine: &'a Engine,
    session: &'a Session,
    reference: Reference,
    command: &'a RetentionSet,
    now: Timestamp,
}

impl Call<'_> {
    #[expect(clippy::type_complexity, reason = "the answer's parts, or the refusal to tell")]
    fn run(&self, tx: &mut dyn Transaction) -> Result<(About, Outcome<(RetentionItem, Option<Logged>)>)> {
        let engine = self.engine;
        let (workspace, artifact) = seized(engine, tx, self.session, &self.reference)?;
        let about = About::version(&self.reference, &self.session.name);
        let by = By::session(self.session, self.now);
        let (keep_secs, keep_last) = (self.command.keep_secs, self.command.keep_last);
        let any = keep_secs.is_some() || keep_last.is_some();
        let class = artifact.class;
        let retention = any.then_some(Retention { keep_secs, keep_last, class, due: Some(self.now) });
        let verdict = self.decide(tx, &artifact, retention.as_ref())?;
        if !verdict.answer.allowed {
            let event = verdict.denial(SET);
            return Ok((about, denied_as(engine, tx, &by, verdict, event)?));
        }
        let becomes = Artifact { retention, ..artifact.clone() };
        let item = report::item(engine, tx, &workspace, &becomes, self.now, report::Detail::Versions)?;
        if self.command.dry {
            return Ok((about, Outcome::Done((item, None))));
        }
        let ticket = tx.ticket()?;
        engine.watch.mark(tx)?;
        let change = engine.keys.guard.update(tx, &becomes, ticket)?;
        epochs::bump(tx, artifact.id.as_bytes())?;
        engine.keep(tx, ticket, &verdict)?;
        let event = Event { decision: Some(verdict.logged()), ..Event::new(Kind::State, SET) };
        let mut event = event.on("workspace", workspace.id).on("artifact", artifact.id).changing(vec![change]);
        event = keep_secs.into_iter().fold(event, |event, secs| event.with("keep_secs", secs));
        event = keep_last.into_iter().fold(event, |event, last| event.with("keep_last", last));
        if let Some(reason) = &self.command.reason {
            event = event.hiding("reason", reason)?;
        }
        let logged = engine.log(tx, ticket, &by, &[event])?;
        let logged = logged.first().copied().ok_or(Error::Internal("an entry was lost"))?;
        Ok((about, Outcome::Done((item, Some(logged)))))
    }

    /// The right to remove in prod, whatever there is now: a rule removes what will be there, too. A rule that keeps whatever the one
    /// before keeps only restores.
    fn decide(&self, tx: &mut dyn Transaction, artifact: &Artifact, rule: Option<&Retention>) -> Result<Verdict> {
        let engine = self.engine;
        let restores = match (rule, &artifact.retention) {
            (None, _) => true,
            (Some(rule), Some(before)) => rule.keeps_all_of(before),
            (Some(_), None) => false,
        };
        let action = if restores { Action::Restore } else { Action::Remove };
        let resource = facts::resource_of(artifact, artifact.class, Environment::Prod);
        let stated = Stated { reason: self.command.reason.as_deref(), confirm: self.command.confirm.as_deref() };
        let path = format!("{}/{}", self.reference.workspace, self.reference.artifact);
        let circumstances = Circumstances::stated(self.now, &stated, &path)?;
        let actor = facts::actor(engine, tx, self.session.principal)?;
        let rules = engine.rules(tx)?;
        let query = facts::query(engine, self.session, &actor, action, resource, &circumstances);
        Ok(judge(&rules, DecisionId::from_bytes(crate::system::random()?), &query))
    }
}

/// When the first artifact is to be looked at.
pub(crate) fn due(engine: &Engine, _: Timestamp) -> Result<Option<Timestamp>> {
    let first = engine.store.read(|tx| waiting(engine, tx, i64::MAX, 1))?;
    Ok(first.first().and_then(|artifact| artifact.retention.as_ref()).and_then(|rule| rule.due))
}

/// Removes what no rule keeps; how many versions there were.
pub(crate) fn apply(engine: &Engine, slice: &Slice) -> Result<u64> {
    let mut done = 0;
    loop {
        let now = engine.now()?;
        let page = engine.store.read(|tx| waiting(engine, tx, millis(now), PAGE))?;
        for artifact in &page {
            done += engine.store.write(|tx| look(engine, tx, artifact.id, now))?;
            if slice.is_over() {
                return Ok(done);
            }
        }
        if page.is_empty() {
            return Ok(done);
        }
    }
}

fn waiting(engine: &Engine, tx: &mut dyn Transaction, before: i64, limit: i64) -> Result<Vec<Artifact>> {
    engine.keys.guard.select(tx, "WHERE due <= $1 ORDER BY due, id LIMIT $2", &[before.into(), limit.into()])
}

/// Removes what is due of one artifact, as many as one transaction bears, and says when to look again.
fn look(engine: &Engine, tx: &mut dyn Transaction, id: ArtifactId, now: Timestamp) -> Result<u64> {
    let guard = &engine.keys.guard;
    epochs::seize(tx, &[*id.as_bytes()])?;
    let artifact: Artifact = guard.expect(tx, id.as_bytes())?;
    let Some(rule) = artifact.retention.clone().filter(|rule| rule.due.is_some_and(|due| due <= now)) else {
        return Ok(0);
    };
    let mut fates = fates(engine, tx, &artifact, now)?;
    let ticket = tx.ticket()?;
    engine.watch.mark(tx)?;
    let due: Vec<u64> = fates.iter().filter(|(_, fate)| fate.keeping == Keeping::Due).map(|(v, _)| v.number).collect();
    let going: Vec<u64> = due.into_iter().rev().take(MAX_AT_ONCE).collect();
    let rules = engine.rules(tx)?;
    let mut events = Vec::with_capacity(going.len());
    for (version, _) in fates.iter().filter(|(version, _)| going.contains(&version.number)) {
        let until = removal::until(&rules, version.class, now);
        let removed =
            Removed { at: now, by: engine.owner, by_rule: true, until, held: false, destroyed: None, by_key: false };
        let change = guard.update(tx, &Version { removed: Some(removed), ..version.clone() }, ticket)?;
        let event = Event::new(Kind::State, "retention.remove")
            .on("workspace", version.workspace)
            .on("artifact", version.artifact)
            .on("version", version.id)
            .with("number", version.number)
            .with("class", version.class)
            .with("until", until);
        events.push(event.changing(vec![change]));
    }
    fates.retain(|(version, _)| !going.contains(&version.number));
    let retention = Some(Retention { due: next_look(&fates, now), ..rule });
    let change = removal::updated(engine, tx, &Artifact { retention, ..artifact }, ticket)?;
    match events.first_mut() {
        Some(first) => first.state.push(change),
        // When it is looked at next is part of the row, and so of the log.
        None => events.push(Event::new(Kind::State, "retention.look").on("artifact", id).changing(vec![change])),
    }
    if !going.is_empty() {
        epochs::bump(tx, id.as_bytes())?;
    }
    engine.log(tx, ticket, &by_system(engine, now), &events)?;
    Ok(going.len() as u64)
}

#[cfg(test)]
mod tests;
