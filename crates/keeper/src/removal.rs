//! Removing versions: what is removed is not opened any more, and can be restored for as long as its class says
//! (`destroy_wait_days`). Then its key is destroyed ([`destroy`]), and with it everything that only it opens.
//!
//! The row stays and says so: numbers are never used again, the log's words have their version, and packs that other versions took
//! over stay theirs.

mod destroy;

pub(crate) use destroy::{
    destroy, destroy_due, free, is_destroyed, living_objects, living_records, objects_of, record_of, release,
};

use crate::datastore::Transaction;
use crate::decide::{About, Verdict, judge};
use crate::engine::Engine;
use crate::epochs;
use crate::error::{Error, Result};
use crate::facts::{self, Circumstances, Found, Stated};
use crate::journal::{By, Event};
use crate::retention;
use crate::rows::{Artifact, Change, Edge, Ending, Key, PolicySet, Removed, Table as _, Version, Workspace};
use crate::session::Session;
use crate::show;
use crate::write::{Outcome, denied_as};
use api::terms::{Action, Class, DecisionId, Reference, Selector, Timestamp};
use api::wire::{Removal, RemovalItem, Remove, Restore};
use log::entry::Kind;
use seal::record::VersionRecord;
use std::collections::{BTreeMap, BTreeSet};

/// The most versions removed by one command; of more, the oldest.
const MAX_VERSIONS: usize = 1_000;
/// The most dependents that are named, and the most that are looked at.
const MAX_NAMED: usize = 100;
const MAX_EDGES: i64 = 1_000;
/// The longest reason, in bytes.
pub(crate) const MAX_REASON_LEN: usize = 1024;
const DAY_MILLIS: u64 = 86_400_000;

/// When the key of a version that is removed now is destroyed.
pub(crate) fn until(rules: &policy::Set, class: Class, now: Timestamp) -> Timestamp {
    now.plus_millis(u64::from(rules.class_rules(class).destroy_wait_days).saturating_mul(DAY_MILLIS))
}

/// The acts.
const REMOVE: &str = "version.remove";
const RESTORE: &str = "version.restore";

/// What a refusal says of a removed version.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RemovedWords {
    /// It can be restored.
    Until { at: Timestamp, until: Timestamp },
    /// Its key is to be destroyed, which its custodians cancel.
    Ending { at: Timestamp, until: Timestamp },
    /// A legal hold keeps its key.
    Held { at: Timestamp },
    /// It cannot.
    Destroyed { at: Timestamp },
}

impl std::fmt::Display for RemovedWords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Until { at, until } => write!(f, "was removed at {at}; its key is destroyed after {until}"),
            Self::Ending { at, until } => {
                write!(f, "is not opened since {at}, when its key was said to go; it is destroyed after {until}")
            }
            Self::Held { at } => write!(f, "was removed at {at}; a legal hold keeps its key"),
            Self::Destroyed { at } => write!(f, "was removed, and its key was destroyed at {at}"),
        }
    }
}

/// Refuses a version that was removed.
pub(crate) fn refuse(found: &Found) -> Result<()> {
    refuse_version(&found.version, found.named())
}

/// The same of a version of this name.
pub(crate) fn refuse_version(version: &Version, reference: String) -> Result<()> {
    let Some(removed) = &version.removed else { return Ok(()) };
    let state = match removed.destroyed {
        Some(at) => RemovedWords::Destroyed { at },
        None if removed.held => RemovedWords::Held { at: removed.at },
        None if removed.by_key => RemovedWords::Ending { at: removed.at, until: removed.until },
        None => RemovedWords::Until { at: removed.at, until: removed.until },
    };
    Err(Error::Removed { reference, state })
}

/// Removes versions, or says what removing them would mean.
pub(crate) fn remove(engine: &Engine, session: &Session, command: &Remove) -> Result<Removal> {
    let reference = show::parsed(&command.reference)?;
    if command.reason.as_ref().is_some_and(|reason| reason.len() > MAX_REASON_LEN) {
        return Err(Error::bad("the removal", "a reason has at most 1024 bytes"));
    }
    match (&reference.selector, command.all) {
        (Selector::Latest, false) => return Err(Error::bad("the removal", "name the version, or all of them")),
        (Selector::Latest, true) | (_, false) => {}
        (_, true) => return Err(Error::bad("the removal", "all versions are of an artifact: name it without one")),
    }
    Call { engine, session, reference, now: engine.now()?, wish: Wish::Remove(command) }.answer()
}

/// Restores a version that was removed.
pub(crate) fn restore(engine: &Engine, session: &Session, command: &Restore) -> Result<Removal> {
    let reference = show::parsed(&command.reference)?;
    if matches!(reference.selector, Selector::Latest | Selector::Alias(_)) {
        return Err(Error::bad(
            "the restoration",
            "name the version by its number: what was removed has no other name",
        ));
    }
    Call { engine, session, reference, now: engine.now()?, wish: Wish::Restore }.answer()
}

#[derive(Clone, Copy)]
enum Wish<'a> {
    Remove(&'a Remove),
    Restore,
}

struct Call<'a> {
    engine: &'a Engine,
    session: &'a Session,
    reference: Reference,
    now: Timestamp,
    wish: Wish<'a>,
}

/// The artifact and the versions that are meant.
struct Site {
    workspace: Workspace,
    artifact: Artifact,
    versions: Vec<Version>,
}

impl Site {
    fn found(&self, version: &Version) -> Found {
        Found { workspace: self.workspace.clone(), artifact: self.artifact.clone(), version: version.clone() }
    }
}

impl Call<'_> {
    fn answer(&self) -> Result<Removal> {
        let (about, outcome) = self.engine.store.write(|tx| self.run(tx))?;
        let (items, changed, logged) = outcome.told(&about)?;
        let receipt = logged.map(|logged| self.engine.settled(&logged)).transpose()?;
        Ok(Removal { items, changed, receipt })
    }

    #[expect(clippy::type_complexity, reason = "the answer's parts, or the refusal to tell")]
    fn run(
        &self,
        tx: &mut dyn Transaction,
    ) -> Result<(About, Outcome<(Vec<RemovalItem>, u64, Option<crate::journal::Logged>)>)> {
        let engine = self.engine;
        let site = self.site(tx)?;
        let about = About::version(&self.reference, &self.session.name);
        let by = By::session(self.session, self.now);
        let mut verdicts: BTreeMap<_, Verdict> = BTreeMap::new();
        for version in &site.versions {
            let key = (version.class, version.environment, site.artifact.holds(version.id));
            if verdicts.contains_key(&key) {
                continue;
            }
            let verdict = self.decide(tx, &site.found(version))?;
            if !verdict.answer.allowed {
                let event = verdict.denial(self.act()).on("version", version.id);
                return Ok((about, denied_as(engine, tx, &by, verdict, event)?));
            }
            verdicts.insert(key, verdict);
        }
        let changing = self.changing(tx, &site)?;
        let rules = engine.rules(tx)?;
        let shared = match self.wish {
            Wish::Remove(_) => Shared::of(engine, tx, &site.artifact)?,
            Wish::Restore => Shared::default(),
        };
        let mut items = Vec::with_capacity(site.versions.len());
        for version in &site.versions {
            let until = match (&version.removed, self.wish) {
                (Some(removed), Wish::Remove(_)) => Some(removed.until),
                (None, Wish::Remove(_)) => Some(until(&rules, version.class, self.now)),
                (_, Wish::Restore) => None,
            };
            items.push(self.item(tx, &site, &shared, version, until)?);
        }
        if changing.is_empty() || matches!(self.wish, Wish::Remove(Remove { dry: true, .. })) {
            return Ok((about, Outcome::Done((items, 0, None))));
        }
        let ticket = tx.ticket()?;
        engine.watch.mark(tx)?;
        let mut events = Vec::with_capacity(changing.len());
        for (version, item) in
            site.versions.iter().zip(&items).filter(|(version, _)| changing.contains(&version.number))
        {
            let key = (version.class, version.environment, site.artifact.holds(version.id));
            let verdict = verdicts.get(&key).ok_or(Error::Internal("a version without its decision"))?;
            let removed = item.until.map(|until| Removed {
                at: self.now,
                by: self.session.principal,
                by_rule: false,
                until,
                held: false,
                destroyed: None,
                by_key: false,
            });
            let change = engine.keys.guard.update(tx, &Version { removed, ..version.clone() }, ticket)?;
            engine.keep(tx, ticket, verdict)?;
            let event = Event { decision: Some(verdict.logged()), ..Event::new(Kind::State, self.act()) };
            events.push(self.event(event, version, item, change)?);
        }
        let mut artifact = site.artifact.clone();
        if let (Wish::Restore, Some(rule)) = (self.wish, &mut artifact.retention) {
            // Its age counts again.
            rule.due = Some(self.now);
        }
        let artifact = updated(engine, tx, &artifact, ticket)?;
        if let Some(first) = events.first_mut() {
            first.state.push(artifact);
        }
        // What is in memory of the artifact is old.
        epochs::bump(tx, site.artifact.id.as_bytes())?;
        let logged = engine.log(tx, ticket, &by, &events)?;
        let first = logged.first().copied().ok_or(Error::Internal("an entry was lost"))?;
        Ok((about, Outcome::Done((items, changing.len() as u64, Some(first)))))
    }

    const fn act(&self) -> &'static str {
        match self.wish {
            Wish::Remove(_) => REMOVE,
            Wish::Restore => RESTORE,
        }
    }

    fn event(&self, event: Event, version: &Version, item: &RemovalItem, change: Change) -> Result<Event> {
        let event = event.on("workspace", version.workspace).on("artifact", version.artifact).on("version", version.id);
        let mut event = event.with("number", version.number).with("class", version.class).changing(vec![change]);
        if let Some(until) = item.until {
            event = event.with("until", until);
        }
        match self.wish {
            Wish::Remove(Remove { reason: Some(reason), .. }) => event.hiding("reason", reason),
            Wish::Remove(_) | Wish::Restore => Ok(event),
        }
    }

    /// Names first, then the locks, then what they protect.
    fn site(&self, tx: &mut dyn Transaction) -> Result<Site> {
        let engine = self.engine;
        let not_found = || Error::NotFound(self.reference.to_string());
        let (workspace, artifact) = seized(engine, tx, self.session, &self.reference)?;
        let all = matches!(self.wish, Wish::Remove(Remove { all: true, .. }));
        let versions = if all {
            let mut versions = living(engine, tx, &artifact)?;
            versions.reverse();
            versions.truncate(MAX_VERSIONS);
            versions
        } else {
            vec![facts::selected(engine, tx, &artifact, &self.reference.selector)?.ok_or_else(not_found)?]
        };
        if versions.is_empty() {
            return Err(not_found());
        }
        let site = Site { workspace, artifact, versions };
        site.versions.iter().try_for_each(|version| facts::coherent(&site.found(version)))?;
        Ok(site)
    }

    fn decide(&self, tx: &mut dyn Transaction, found: &Found) -> Result<Verdict> {
        let engine = self.engine;
        let (action, circumstances) = match self.wish {
            Wish::Remove(Remove { reason, confirm, .. }) => {
                let stated = Stated { reason: reason.as_deref(), confirm: confirm.as_deref() };
                (Action::Remove, Circumstances::stated(self.now, &stated, &found.path())?)
            }
            Wish::Restore => (Action::Restore, Circumstances::plain(self.now)?),
        };
        let actor = facts::actor(engine, tx, self.session.principal)?;
        let query = facts::query(engine, self.session, &actor, action, found.resource(), &circumstances);
        let rules = engine.rules(tx)?;
        Ok(judge(&rules, DecisionId::from_bytes(crate::system::random()?), &query))
    }

    /// Numbers of the versions that change. Refuses what cannot be removed or restored; told to whoever may.
    fn changing(&self, tx: &mut dyn Transaction, site: &Site) -> Result<BTreeSet<u64>> {
        let path = format!("{}/{}", site.workspace.name, site.artifact.name);
        for version in &site.versions {
            match (self.wish, &version.removed) {
                (_, Some(removed)) if removed.destroyed.is_some() => {
                    refuse_version(version, format!("{path}@v{}", version.number))?;
                }
                (Wish::Restore, Some(removed)) if removed.by_key => {
                    return Err(Error::Conflict {
                        what: "the restoration",
                        why: format!(
                            "the key of {path}@v{} is to be destroyed, which a custodian cancels",
                            version.number
                        ),
                        hint: Some(format!(
                            "strongroom key destroy {path}@v{} --cancel --reason REASON",
                            version.number
                        )),
                    });
                }
                (Wish::Restore, Some(_)) if retention::takes(self.engine, tx, &site.artifact, version, self.now)? => {
                    return Err(Error::Conflict {
                        what: "the restoration",
                        why: format!("the retention of {path} would remove {path}@v{} again", version.number),
                        hint: Some(format!("strongroom retention report {path}")),
                    });
                }
                (Wish::Remove(_), None) => {
                    if let Some(alias) = show::aliases_of(self.engine, tx, version.id)?.first() {
                        return Err(Error::Conflict {
                            what: "the removal",
                            why: format!("the alias `{alias}` points to {path}@v{}", version.number),
                            hint: Some(format!("strongroom alias rm {path} {alias}")),
                        });
                    }
                }
                _ => {}
            }
        }
        let is_there = |version: &&Version| version.removed.is_none() == matches!(self.wish, Wish::Remove(_));
        Ok(site.versions.iter().filter(is_there).map(|version| version.number).collect())
    }

    fn item(
        &self,
        tx: &mut dyn Transaction,
        site: &Site,
        shared: &Shared,
        version: &Version,
        until: Option<Timestamp>,
    ) -> Result<RemovalItem> {
        let path = format!("{}/{}", site.workspace.name, site.artifact.name);
        let (mut made_from_it, mut more) = (Vec::new(), 0);
        let mut shares_with = Vec::new();
        if until.is_some() {
            (made_from_it, more) = self.dependents(tx, version)?;
            let goes: BTreeSet<u64> = site.versions.iter().map(|version| version.number).collect();
            let others = shared.with(version.number).into_iter().filter(|number| !goes.contains(number));
            shares_with = others.map(|number| format!("{path}@v{number}")).collect();
        }
        Ok(RemovalItem {
            version: format!("{path}@v{}", version.number),
            id: version.id,
            class: version.class,
            environment: version.environment,
            bytes: version.bytes,
            files: version.files,
            until,
            made_from_it,
            more_made_from_it: more,
            shares_with,
        })
    }

    /// What was made from a version and is not destroyed, as far as the caller may see it, and how many more.
    fn dependents(&self, tx: &mut dyn Transaction, version: &Version) -> Result<(Vec<String>, u64)> {
        let engine = self.engine;
        let values = [version.id.as_bytes().into(), MAX_EDGES.into()];
        let edges: Vec<Edge> = engine.keys.guard.select(tx, "WHERE source = $1 ORDER BY made LIMIT $2", &values)?;
        let actor = facts::actor(engine, tx, self.session.principal)?;
        let (mut named, mut more) = (Vec::new(), 0);
        for edge in edges {
            let Some(found) = facts::found_by_id(engine, tx, edge.made)? else { continue };
            if is_destroyed(&found.version) {
                continue;
            }
            match show::may_list(engine, tx, self.session, &actor, found.resource()) {
                Ok(()) if named.len() < MAX_NAMED => named.push(format!("{}@v{}", found.path(), found.version.number)),
                Ok(()) => more += 1,
                // What the caller may not see is not there for them.
                Err(Error::Unseen(_)) => {}
                Err(error) => return Err(error),
            }
        }
        named.sort();
        Ok((named, more))
    }
}

/// An artifact that is held exclusively, with whatever decisions about it rest on held shared.
pub(crate) fn seized(
    engine: &Engine,
    tx: &mut dyn Transaction,
    session: &Session,
    reference: &Reference,
) -> Result<(Workspace, Artifact)> {
    let not_found = || Error::NotFound(reference.to_string());
    let workspace = facts::workspace_named(engine, tx, &reference.workspace)?.ok_or_else(not_found)?;
    let artifact = facts::artifact_named(engine, tx, &workspace, &reference.artifact)?.ok_or_else(not_found)?;
    let held = [*session.principal.as_bytes(), *workspace.id.as_bytes(), PolicySet::row_id()];
    epochs::hold(tx, &held)?;
    epochs::seize(tx, &[*artifact.id.as_bytes()])?;
    if !epochs::closing(tx, &[held.as_slice(), &[*artifact.id.as_bytes()]].concat())?.is_empty() {
        return Err(Error::Stale);
    }
    let artifact: Artifact = engine.keys.guard.expect(tx, artifact.id.as_bytes())?;
    Ok((workspace, artifact))
}

/// Has whatever is to be destroyed wait as long as its class does, from now on; the changes, as many at a time as an entry holds.
pub(crate) fn put_off(
    engine: &Engine,
    tx: &mut dyn Transaction,
    now: Timestamp,
    ticket: i64,
) -> Result<Vec<Vec<Change>>> {
    const PAGE: i64 = 512;
    let (guard, rules) = (&engine.keys.guard, engine.rules(tx)?);
    let mut changes = Vec::new();
    let mut after: Vec<u8> = Vec::new();
    loop {
        let values = [(&after).into(), PAGE.into()];
        let page: Vec<Version> =
            guard.select(tx, "WHERE ends IS NOT NULL AND id > $1 ORDER BY id LIMIT $2", &values)?;
        let mut moved = Vec::with_capacity(page.len());
        for version in &page {
            let again = until(&rules, version.class, now);
            if let Some(removed) = version.removed.clone().filter(|removed| removed.until < again) {
                let row = Version { removed: Some(Removed { until: again, ..removed }), ..version.clone() };
                moved.push(guard.update(tx, &row, ticket)?);
            }
        }
        changes.push(moved);
        match page.last() {
            Some(last) => after = last.id.as_bytes().to_vec(),
            None => break,
        }
    }
    after.clear();
    loop {
        let values = [(&after).into(), PAGE.into()];
        let page: Vec<Key> = guard.select(tx, "WHERE ends IS NOT NULL AND id > $1 ORDER BY id LIMIT $2", &values)?;
        let mut moved = Vec::with_capacity(page.len());
        for key in &page {
            let (Some(ending), Some(domain)) = (&key.ending, key.domain) else { continue };
            let again = until(&rules, domain.class, now);
            if ending.shredded.is_none() && ending.until < again {
                let row = Key { ending: Some(Ending { until: again, ..ending.clone() }), ..key.clone() };
                moved.push(guard.update(tx, &row, ticket)?);
            }
        }
        changes.push(moved);
        match page.last() {
            Some(last) => after = last.id.as_bytes().to_vec(),
            None => break,
        }
    }
    changes.retain(|changes| !changes.is_empty());
    Ok(changes)
}

/// Versions of an artifact that are there, newest first.
pub(crate) fn living(engine: &Engine, tx: &mut dyn Transaction, artifact: &Artifact) -> Result<Vec<Version>> {
    let all = every(engine, tx, artifact)?;
    Ok(all.into_iter().filter(|version| version.removed.is_none()).collect())
}

/// Versions of an artifact, removed or not, newest first. Numbers have no gaps: one that is not found by its artifact was hidden, and
/// nothing may be concluded without it.
pub(crate) fn every(engine: &Engine, tx: &mut dyn Transaction, artifact: &Artifact) -> Result<Vec<Version>> {
    let tail = "WHERE artifact = $1 ORDER BY number DESC";
    let all: Vec<Version> = engine.keys.guard.select(tx, tail, &[artifact.id.as_bytes().into()])?;
    if all.iter().map(|version| version.number).eq((1..=artifact.latest).rev()) {
        return Ok(all);
    }
    Err(Error::Altered { table: Version::NAME, row: format!("of the artifact {}", artifact.id) })
}

/// Versions of an artifact below a number, newest first, so many: none is missing among them, as in [`every`].
pub(crate) fn page_below(
    engine: &Engine,
    tx: &mut dyn Transaction,
    artifact: &Artifact,
    (below, limit): (u64, u64),
) -> Result<Vec<Version>> {
    let limited = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = [artifact.id.as_bytes().into(), i64::try_from(below).unwrap_or(i64::MAX).into(), limited.into()];
    let tail = "WHERE artifact = $1 AND number < $2 ORDER BY number DESC LIMIT $3";
    let page: Vec<Version> = engine.keys.guard.select(tx, tail, &values)?;
    let expected = (below.saturating_sub(limit).max(1)..below).rev();
    if page.iter().map(|version| version.number).eq(expected) {
        return Ok(page);
    }
    Err(Error::Altered { table: Version::NAME, row: format!("of the artifact {}", artifact.id) })
}

/// Writes an artifact some of whose versions are gone, with the number of the highest one that is there. It is looked for from the one that
/// was, which is never below it.
pub(crate) fn lowered(engine: &Engine, tx: &mut dyn Transaction, artifact: &Artifact, ticket: i64) -> Result<Change> {
    let (mut below, mut limit) = (artifact.current.saturating_add(1), 4);
    let mut current = 0;
    while current == 0 && below > 1 {
        let page = page_below(engine, tx, artifact, (below, limit))?;
        current = page.iter().find(|version| version.removed.is_none()).map_or(0, |version| version.number);
        below = page.last().map_or(0, |version| version.number);
        limit = (limit * 4).min(1_024);
    }
    engine.keys.guard.update(tx, &Artifact { current, ..artifact.clone() }, ticket)
}

/// Writes an artifact whose versions changed, with the number of the highest one that is there.
pub(crate) fn updated(engine: &Engine, tx: &mut dyn Transaction, artifact: &Artifact, ticket: i64) -> Result<Change> {
    let versions = living(engine, tx, artifact)?;
    let current = versions.first().map_or(0, |version| version.number);
    engine.keys.guard.update(tx, &Artifact { current, ..artifact.clone() }, ticket)
}

/// Which versions of an artifact hold which packs: those whose keys are there.
#[derive(Default)]
struct Shared(BTreeMap<u64, BTreeSet<[u8; 16]>>);

impl Shared {
    fn of(engine: &Engine, tx: &mut dyn Transaction, artifact: &Artifact) -> Result<Self> {
        let mut packs = BTreeMap::new();
        for version in every(engine, tx, artifact)?.iter().filter(|version| !is_destroyed(version)) {
            let record = VersionRecord::decode(&show::record_of(tx, version)?)
                .map_err(|_| Error::Altered { table: "record", row: version.id.to_string() })?;
            packs.insert(version.number, record.packs.iter().map(|pack| pack.id).collect());
        }
        Ok(Self(packs))
    }

    /// Numbers of the others that hold some of a version's packs.
    fn with(&self, number: u64) -> Vec<u64> {
        let Some(own) = self.0.get(&number) else { return Vec::new() };
        let shares = |(other, packs): (&u64, &BTreeSet<[u8; 16]>)| *other != number && !own.is_disjoint(packs);
        self.0.iter().filter(|(other, packs)| shares((other, packs))).map(|(other, _)| *other).collect()
    }
}
