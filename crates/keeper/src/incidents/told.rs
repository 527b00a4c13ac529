//! Incidents as they are told. Counts and steps: to whoever manages keys there. Names of principals and the evidence: to whoever may read
//! the log there, which keepers of keys may not (`docs/decisions/0113-incidents-tell-custodians-counts.md`).

use super::{named, seen, steps};
use crate::audit;
use crate::datastore::Transaction;
use crate::decide::judge;
use crate::engine::Engine;
use crate::error::Result;
use crate::facts::{self, Circumstances};
use crate::keys::domains::place_of;
use crate::rows::{Artifact, Incident, IncidentAbout, Key, Purpose, Version, Workspace};
use crate::session::Session;
use api::terms::{Action, DecisionId, IncidentId, PlaybookStep, WorkspaceId};
use api::wire::{IncidentFound, IncidentItem, IncidentList, IncidentPrincipal, IncidentStep, IncidentTold};
use policy::Resource;

/// The most incidents in an answer.
const MAX_ITEMS: i64 = 1_000;
/// The most principals in an answer; the evidence has all.
const MAX_PRINCIPALS: usize = 1_000;

/// The incidents of which whoever asks may know, newest first.
pub(crate) fn list(engine: &Engine, session: &Session) -> Result<IncidentList> {
    Ok(IncidentList { items: items(engine, session, "ORDER BY ticket DESC, id LIMIT $1")? })
}

/// Those that are not closed.
pub(crate) fn open(engine: &Engine, session: &Session) -> Result<Vec<IncidentItem>> {
    items(engine, session, "WHERE state IN ('marked', 'open') ORDER BY ticket DESC, id LIMIT $1")
}

fn items(engine: &Engine, session: &Session, tail: &str) -> Result<Vec<IncidentItem>> {
    engine.store.read(|tx| {
        let rows: Vec<Incident> = engine.keys.guard.select(tx, tail, &[MAX_ITEMS.into()])?;
        let mut items = Vec::new();
        for row in &rows {
            if may(engine, tx, session, Action::ManageKeys, row.workspace)?
                || may(engine, tx, session, Action::Audit, row.workspace)?
            {
                let standing = steps::standing(engine, tx, row, None)?;
                items.push(item(engine, tx, row, &standing)?);
            }
        }
        Ok(items)
    })
}

/// One incident.
pub(crate) fn show(engine: &Engine, session: &Session, id: IncidentId) -> Result<IncidentTold> {
    let incident = named(engine, id)?;
    let audits = engine.store.read(|tx| may(engine, tx, session, Action::Audit, incident.workspace))?;
    if !audits {
        seen(engine, session, &incident, Action::ManageKeys, "incident.show")?;
    }
    told(engine, session, &incident, None)
}

/// Whether somebody may do something in a workspace now.
fn may(engine: &Engine, tx: &mut dyn Transaction, session: &Session, action: Action, id: WorkspaceId) -> Result<bool> {
    let actor = facts::actor(engine, tx, session.principal)?;
    let rules = engine.rules(tx)?;
    let circumstances = Circumstances::plain(engine.now()?)?;
    let resource = Resource::Workspace(policy::Workspace { id });
    let query = facts::query(engine, session, &actor, action, resource, &circumstances);
    Ok(judge(&rules, DecisionId::from_bytes(crate::system::random()?), &query).answer.allowed)
}

/// An incident, for somebody who may know of it. How many of its keys are in use is counted, unless that was done just before.
pub(super) fn told(
    engine: &Engine,
    session: &Session,
    incident: &Incident,
    exposed: Option<(u64, u64)>,
) -> Result<IncidentTold> {
    engine.store.read(|tx| {
        let audits = may(engine, tx, session, Action::Audit, incident.workspace)?;
        let standing = steps::standing(engine, tx, incident, exposed)?;
        let item = item(engine, tx, incident, &standing)?;
        let mut steps = Vec::new();
        for step in steps::of(incident.about) {
            steps.push(told_step(engine, tx, incident, &item, &standing, *step, audits)?);
        }
        let (principals, more_principals) = match (&incident.found, audits) {
            (Some(told), true) => {
                let (principals, more) = principals(engine, tx, incident, &told.people)?;
                (Some(principals), more)
            }
            _ => (None, 0),
        };
        Ok(IncidentTold {
            incident: item,
            entry: incident.entry,
            found: found(incident),
            unread: None,
            steps,
            principals,
            more_principals,
            receipt: None,
        })
    })
}

fn item(
    engine: &Engine,
    tx: &mut dyn Transaction,
    incident: &Incident,
    standing: &steps::Standing,
) -> Result<IncidentItem> {
    let open = if incident.closed.is_some() { Vec::new() } else { standing.open(incident) };
    Ok(IncidentItem {
        id: incident.id,
        key: incident.key,
        of: of(engine, tx, incident)?,
        at: incident.at,
        closed: incident.closed.map(|said| said.at),
        open,
        exposed: standing.exposed.map(|(left, _)| left),
        of_keys: standing.exposed.map(|(_, of)| of),
    })
}

/// What the key belongs to, in words.
fn of(engine: &Engine, tx: &mut dyn Transaction, incident: &Incident) -> Result<String> {
    let guard = &engine.keys.guard;
    let workspace: Workspace = guard.expect(tx, incident.workspace.as_bytes())?;
    Ok(match incident.about {
        IncidentAbout::Domain(domain) => {
            let purpose = purpose(engine, tx, incident)?;
            place_of(tx, guard, &domain, purpose)?
        }
        IncidentAbout::Version(id) => {
            let version: Version = guard.expect(tx, id.as_bytes())?;
            let artifact: Artifact = guard.expect(tx, version.artifact.as_bytes())?;
            format!("{}/{}@v{}", workspace.name, artifact.name, version.number)
        }
    })
}

/// What the key wraps: what is in use, or the archive.
fn purpose(engine: &Engine, tx: &mut dyn Transaction, incident: &Incident) -> Result<Purpose> {
    let key: Option<Key> = engine.keys.guard.find(tx, incident.key.as_bytes())?;
    Ok(key.map_or(Purpose::Domain, |key| key.purpose))
}

fn found(incident: &Incident) -> Option<IncidentFound> {
    let told = incident.found.as_ref()?;
    Some(IncidentFound {
        at: told.at,
        log_size: told.log_size,
        log_root: told.log_root.clone(),
        versions: told.versions,
        unfinished: told.unfinished,
        destroyed: told.destroyed,
        packs: told.packs,
        records_lost: told.records_lost,
        principals: told.principals,
        releases: told.releases,
        exports: told.exports,
        shares: told.shares,
        writes: told.writes,
        first: told.first,
        last: told.last,
        evidence: told.evidence.clone(),
    })
}

fn told_step(
    engine: &Engine,
    tx: &mut dyn Transaction,
    incident: &Incident,
    item: &IncidentItem,
    standing: &steps::Standing,
    step: PlaybookStep,
    audits: bool,
) -> Result<IncidentStep> {
    let workspace: Workspace = engine.keys.guard.expect(tx, incident.workspace.as_bytes())?;
    let (left, total) = match step {
        PlaybookStep::Rotate => (standing.rotation.map(|(left, _)| left), None),
        PlaybookStep::ReEncrypt => (item.exposed, item.of_keys),
        PlaybookStep::Notify | PlaybookStep::Review => (None, None),
    };
    let said = incident.done.get(&step);
    let by = match said.filter(|_| audits) {
        Some(said) => audit::name_of(engine, tx, &said.by)?,
        None => None,
    };
    Ok(IncidentStep {
        step,
        done: standing.is_done(incident, step),
        left,
        of: total,
        about: about(step).to_owned(),
        commands: commands((incident, purpose(engine, tx, incident)?), &item.of, workspace.name.as_str(), step),
        by,
        at: said.map(|said| said.at),
    })
}

/// What a step is for.
const fn about(step: PlaybookStep) -> &'static str {
    match step {
        PlaybookStep::Rotate => {
            "a new key takes its place, and what it wraps is wrapped again: the rest of the domain opens again"
        }
        PlaybookStep::ReEncrypt => {
            "whoever has the key and an old copy of the database has these version keys: seal the versions anew, or remove them"
        }
        PlaybookStep::Notify => {
            "tell the owners of the data and whoever the law names; `incident show` lists whom keys went to"
        }
        PlaybookStep::Review => "look at who may open and who keeps keys there, and take away what nobody needs",
    }
}

/// The commands of a step, as they are typed.
fn commands((incident, purpose): (&Incident, Purpose), of: &str, workspace: &str, step: PlaybookStep) -> Vec<String> {
    let (id, key) = (incident.id, incident.key);
    let said = || format!("incident done {id} {step} --reason TEXT");
    let words = match (step, incident.about) {
        (PlaybookStep::Rotate, IncidentAbout::Domain(domain)) => {
            let (environment, class) = (domain.environment, domain.class);
            vec![format!("key rotate --workspace {workspace} --env {environment} --class {class}")]
        }
        (PlaybookStep::Rotate, IncidentAbout::Version(_)) => Vec::new(),
        // What is archived is taken out first: it is sealed anew where it is in use.
        (PlaybookStep::ReEncrypt, IncidentAbout::Domain(_)) if purpose == Purpose::Archive => {
            vec![format!("key unarchive --all-of {key} --reason TEXT"), format!("key reencrypt --all-of {key}")]
        }
        (PlaybookStep::ReEncrypt, IncidentAbout::Domain(_)) => vec![format!("key reencrypt --all-of {key}")],
        (PlaybookStep::ReEncrypt, IncidentAbout::Version(_)) => vec![format!("key reencrypt {of}")],
        (PlaybookStep::Notify, _) => vec![format!("incident show {id}"), said()],
        (PlaybookStep::Review, IncidentAbout::Domain(_)) => {
            let who = |action: Action| format!("who-can {action} {workspace}");
            vec![who(Action::ManageKeys), who(Action::RotateKeys), "principal ls".to_owned(), said()]
        }
        (PlaybookStep::Review, IncidentAbout::Version(_)) => {
            vec![format!("who-can {} {of}", Action::Read), "principal ls".to_owned(), said()]
        }
    };
    words.into_iter().map(|words| format!("strongroom {words}")).collect()
}

/// Whom keys were handed to, those first who took them out, and how many more there are.
fn principals(
    engine: &Engine,
    tx: &mut dyn Transaction,
    incident: &Incident,
    expected: &str,
) -> Result<(Vec<IncidentPrincipal>, u64)> {
    let mut people = super::parts::people_of(tx, incident.id, expected)?;
    people.sort_by_key(|one| std::cmp::Reverse((one.shares, one.exports, one.reads, one.writes)));
    let more = people.len().saturating_sub(MAX_PRINCIPALS) as u64;
    let mut items = Vec::new();
    for one in people.into_iter().take(MAX_PRINCIPALS) {
        items.push(IncidentPrincipal {
            principal: audit::name_of(engine, tx, &one.principal)?,
            id: one.principal,
            reads: one.reads,
            exports: one.exports,
            shares: one.shares,
            writes: one.writes,
            first: one.first,
            last: one.last,
        });
    }
    Ok((items, more))
}
