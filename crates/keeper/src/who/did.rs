//! `who-did`: what was done to an artifact and what was refused, from the log's entries, each proven to be in the tree or waiting under a
//! MAC.

use crate::acts::{Under, Wanted, look_as};
use crate::audit;
use crate::datastore::Transaction;
use crate::decide::About;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::facts;
use crate::ledger::{Filter, Found};
use crate::replay;
use crate::rows::Version;
use crate::session::Session;
use crate::show;
use api::terms::{Action, Code, DecisionId, EntryId, PrincipalId, Timestamp, VersionId};
use api::wire::{AuditFilter, Deed, DeedOutcome, WhoDid};
use log::entry::{AuthMethod, Effect, Entry, Kind};
use policy::Resource;
use std::collections::HashMap;

/// The longest page.
const MAX_PAGE: u32 = 10_000;
/// The act of an entry that counts refusals.
const DENIALS: &str = "denials";

/// What was done, newest first, and where to go on. Whoever audits the workspace may ask.
pub(crate) fn who_did(engine: &Engine, session: &Session, command: &WhoDid) -> Result<(Vec<Deed>, Option<u64>)> {
    let reference = show::parsed(&command.reference)?;
    let not_found = || Error::NotFound(reference.to_string());
    let workspace = engine.store.read(|tx| {
        let workspace = facts::workspace_named(engine, tx, &reference.workspace)?.ok_or_else(not_found)?;
        facts::artifact_named(engine, tx, &workspace, &reference.artifact)?.ok_or_else(not_found)?;
        Ok::<_, Error>(workspace)
    })?;
    let resource = Resource::Workspace(policy::Workspace { id: workspace.id });
    let path = workspace.name.to_string();
    let about = About { named: reference.to_string(), ..About::new(&path, &session.name) };
    look_as(
        engine,
        session,
        &Wanted { action: Action::Audit, resource, act: "who-did", path, under: Under::Current },
        &about,
    )?;
    let asked = AuditFilter { reference: Some(command.reference.clone()), ..AuditFilter::default() };
    let (_, artifact, version) = engine.store.read(|tx| audit::resolved(engine, tx, &asked))?;
    let page = engine.ledger.query(&Filter {
        artifact,
        version,
        since: command.since,
        until: command.until,
        newest_first: true,
        after: command.after,
        limit: command.limit.clamp(1, MAX_PAGE),
        ..Filter::default()
    })?;
    let path = format!("{}/{}", reference.workspace, reference.artifact);
    let items = engine.store.read(|tx| {
        let mut told = Told { engine, path: &path, versions: HashMap::new(), names: HashMap::new() };
        page.items.iter().map(|found| told.deed(tx, found)).collect::<Result<Vec<_>>>()
    })?;
    Ok((items, page.next))
}

/// Entries in words, with what was looked up for them.
struct Told<'a> {
    engine: &'a Engine,
    path: &'a str,
    versions: HashMap<VersionId, Option<String>>,
    names: HashMap<PrincipalId, Option<String>>,
}

impl Told<'_> {
    fn deed(&mut self, tx: &mut dyn Transaction, found: &Found) -> Result<Deed> {
        let damaged = |why: &str| Error::Log { code: Code::Integrity, why: why.to_owned() };
        let entry = replay::parsed(&found.body)?;
        let counted = entry.act == DENIALS;
        let count = entry.detail.get("count").filter(|_| counted).map_or(Ok(1), |count| count.parse());
        let act = entry.detail.get("of").filter(|_| counted).unwrap_or(&entry.act).clone();
        let who = PrincipalId::from_bytes(entry.principal.0);
        let principal = match self.names.get(&who) {
            Some(name) => name.clone(),
            None => audit::name_of(self.engine, tx, &who)?,
        };
        self.names.insert(who, principal.clone());
        let policies = match &entry.decision {
            Some(decision) => decision.policies.clone(),
            None => entry
                .detail
                .get("policies")
                .into_iter()
                .flat_map(|text| text.split_whitespace())
                .map(str::to_owned)
                .collect(),
        };
        Ok(Deed {
            log_index: found.index,
            entry: EntryId::from_bytes(entry.id.0),
            time: entry.time.parse::<Timestamp>().map_err(|_| damaged("an entry has no time"))?,
            principal,
            by_system: entry.auth == AuthMethod::System,
            outcome: outcome(&entry),
            count: count.map_err(|_| damaged("an entry counts no number"))?,
            version: self.version(tx, &entry)?,
            alias: alias(&entry, &act),
            act,
            decision: entry.decision.map(|decision| DecisionId::from_bytes(decision.id.0)),
            policies,
        })
    }

    fn version(&mut self, tx: &mut dyn Transaction, entry: &Entry) -> Result<Option<String>> {
        let Some(id) = entry.subject.get("version").and_then(|id| id.parse::<VersionId>().ok()) else {
            return Ok(None);
        };
        if let Some(known) = self.versions.get(&id) {
            return Ok(known.clone());
        }
        // One that was begun and never finished has no number.
        let version: Option<Version> = self.engine.keys.guard.find(tx, id.as_bytes())?;
        let named = version.map(|version| format!("{}@v{}", self.path, version.number));
        self.versions.insert(id, named.clone());
        Ok(named)
    }
}

fn outcome(entry: &Entry) -> DeedOutcome {
    let refused = entry.decision.as_ref().is_some_and(|decision| decision.effect == Effect::Deny);
    if refused || entry.kind == Kind::Denial { DeedOutcome::Denied } else { DeedOutcome::Done }
}

/// The alias of a move, or of one that was refused.
fn alias(entry: &Entry, act: &str) -> Option<String> {
    let asked = entry.detail.get("asked").filter(|_| act.starts_with("alias."));
    entry.detail.get("alias").or(asked).cloned()
}
