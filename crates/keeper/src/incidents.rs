//! Incidents: a key is compromised. Releases stop with the marking; what the key ever touched is read from the log, and a playbook says
//! what is to be done, whose steps the keeper sees for itself where it can (`docs/incidents.md`).

mod by_id;
mod evidence;
mod export;
mod packs;
mod parts;
mod radius;
mod settled;
mod steps;
mod told;

pub(crate) use export::export;
pub(crate) use told::{list, open, show};

use crate::acts::{Under, Wanted, act, look};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::jobs::{Slice, by_system};
use crate::journal::{By, Event, Logged};
use crate::keys::state::{MAX_REASON_LEN, Target};
use crate::rows::{Incident, IncidentAbout, Root, Said, Table as _, Told, Workspace};
use crate::session::Session;
use api::terms::{Action, Code, EntryId, IncidentId, KeyId, KeyState, PlaybookStep, Timestamp};
use api::wire::{IncidentDone, IncidentTold, KeyCompromise};
use log::entry::Kind;
use policy::Resource;
use radius::{How, Radius, Subject};

/// The most entries that a job reads in passing: of a longer log the evidence waits for `jobs run`, or for whoever marked the key.
const MAX_IN_PASSING: u64 = 100_000;

/// Marks a key as compromised and tells what it touched; of one that is marked, goes on where that ended.
pub(crate) fn compromise(engine: &Engine, session: &Session, command: &KeyCompromise) -> Result<IncidentTold> {
    check_reason(&command.reason)?;
    let (incident, logged) = match engine.store.read(|tx| of_key(engine, tx, command.key))? {
        Some(incident) => {
            seen(engine, session, &incident, Action::ManageKeys, "key.compromise")?;
            (incident, None)
        }
        None => mark(engine, session, command)?,
    };
    engine.domains.forget(command.key);
    engine.facts.forget_all();
    let receipt = logged.map(|logged| engine.settled(&logged)).transpose()?;
    let (incident, exposed, unread) = match incident.found {
        Some(_) => (incident, None, None),
        // The marking stands, whatever keeps the log from being read.
        None => match find_out(engine, &incident, &By::session(session, engine.now()?)) {
            Ok((incident, exposed)) => (incident, Some(exposed), None),
            Err(error) => (incident, None, Some(error.to_string())),
        },
    };
    let told = told::told(engine, session, &incident, exposed)?;
    Ok(IncidentTold { unread, receipt, ..told })
}

/// One transaction: the state, the incident, the entry. From its commit on nothing is released under the key.
fn mark(engine: &Engine, session: &Session, command: &KeyCompromise) -> Result<(Incident, Option<Logged>)> {
    let not_found = || Error::NotFound(command.key.to_string());
    let Some(target) = engine.store.read(|tx| Target::find(engine, tx, command.key))? else {
        refuse_root(engine, session, command.key)?;
        return Err(not_found());
    };
    let wanted = target.wanted(engine, Action::ManageKeys, "key.compromise")?;
    let (id, entry) = (IncidentId::from_bytes(crate::system::random()?), EntryId::from_bytes(crate::system::random()?));
    let log_size = engine.ledger.head()?.head.size;
    let done = act(engine, session, &wanted, &target.seized(), |tx, act| {
        let (about, workspace) = match &target {
            Target::Domain { domain, .. } => (IncidentAbout::Domain(*domain), domain.workspace),
            Target::Version(version) => (IncidentAbout::Version(version.id), version.workspace),
            Target::Named(..) => return Err(of_a_name()),
            Target::Vault => return Err(of_the_vault()),
        };
        // Somebody may have been faster.
        if let Some(incident) = of_key(engine, tx, command.key)? {
            return Ok((incident, None));
        }
        let guard = &engine.keys.guard;
        let (from, moved) = target.moved(tx, act, KeyState::Compromised)?;
        // It is so already, and of that there is an incident.
        let moved = moved.ok_or_else(|| Error::Altered { table: Incident::NAME, row: command.key.to_string() })?;
        let incident = Incident {
            id,
            key: command.key,
            workspace,
            about,
            by: session.principal,
            at: act.now,
            entry,
            found: None,
            done: std::collections::BTreeMap::new(),
            closed: None,
        };
        let changes = vec![moved, guard.insert(tx, &incident, act.ticket)?];
        let event = target.event(act, command.key, ("key.compromise", from, KeyState::Compromised));
        let event = event.on("incident", id).with("log_size", log_size).hiding("reason", &command.reason)?;
        let event = Event { id: Some(entry), ..event.changing(changes) };
        let logged = engine.log(tx, act.ticket, &act.by, &[event])?;
        Ok((incident, logged.first().copied()))
    });
    // Whoever does not see the place learns neither its name nor that there is such a key.
    done.map_err(|error| if matches!(error, Error::NotFound(_)) { not_found() } else { error })
}

fn of_a_name() -> Error {
    Error::Conflict {
        what: "the key",
        why: "it is a named key: give it a new version (`key rotate --name`), seal its values again (`encrypt --renew`), and suspend it"
            .to_owned(),
        hint: None,
    }
}

fn of_the_vault() -> Error {
    Error::Conflict {
        what: "the key",
        why: "it is one of the vault's own: whoever has it opens every row or signs for the vault, and it does not rotate. Make a new \
              vault, put there what matters, and remove the roots of this one"
            .to_owned(),
        hint: Some("strongroom root ls".to_owned()),
    }
}

/// A root is no key with a state: another one takes its place.
fn refuse_root(engine: &Engine, session: &Session, id: KeyId) -> Result<()> {
    if engine.store.read(|tx| engine.keys.guard.find::<Root>(tx, id.as_bytes()))?.is_none() {
        return Ok(());
    }
    look(engine, session, &Wanted::vault(Action::ManageKeys, "key.compromise"))?;
    Err(Error::Conflict {
        what: "the key",
        why: "it is a root: add another, remove this one, then rotate every domain key and mark those as compromised that it wrapped"
            .to_owned(),
        hint: Some(format!("strongroom root remove {id}")),
    })
}

fn check_reason(reason: &str) -> Result<()> {
    if reason.trim().is_empty() || reason.len() > MAX_REASON_LEN {
        return Err(Error::bad("the incident", "what is said of it is a text of at most 1024 bytes"));
    }
    Ok(())
}

/// The incident of a key.
fn of_key(engine: &Engine, tx: &mut dyn Transaction, key: KeyId) -> Result<Option<Incident>> {
    Ok(engine.keys.guard.select(tx, "WHERE exposed = $1", &[key.as_bytes().into()])?.pop())
}

/// An incident that was named.
fn named(engine: &Engine, id: IncidentId) -> Result<Incident> {
    let found: Option<Incident> = engine.store.read(|tx| engine.keys.guard.find(tx, id.as_bytes()))?;
    found.ok_or_else(|| Error::NotFound(id.to_string()))
}

/// A right on the workspace of an incident.
fn wanted(engine: &Engine, incident: &Incident, action: Action, act: &'static str) -> Result<Wanted> {
    let row: Workspace = engine.store.read(|tx| engine.keys.guard.expect(tx, incident.workspace.as_bytes()))?;
    let resource = Resource::Workspace(policy::Workspace { id: row.id });
    Ok(Wanted { action, resource, act, path: row.name.to_string(), under: Under::Current })
}

/// Refuses whoever has not that right; who does not see the workspace learns nothing of it.
fn seen(engine: &Engine, session: &Session, incident: &Incident, action: Action, act: &'static str) -> Result<()> {
    unseen(incident, look(engine, session, &wanted(engine, incident, action, act)?))
}

fn unseen<T>(incident: &Incident, done: Result<T>) -> Result<T> {
    let not_found = || Error::NotFound(incident.id.to_string());
    done.map_err(|error| if matches!(error, Error::NotFound(_)) { not_found() } else { error })
}

/// Reads from the log what the key touched, and writes it down, once. How many of its keys are in use, and of how many.
fn find_out(engine: &Engine, incident: &Incident, by: &By) -> Result<(Incident, (u64, u64))> {
    engine.integrate()?;
    let subject = Subject { key: incident.key, about: incident.about, workspace: incident.workspace };
    let radius = Radius::read(engine, &subject, None)?;
    let marked = engine.ledger.find(&incident.entry)?.index;
    if marked.is_none_or(|index| index >= radius.head.size) {
        return Err(Error::Log { code: Code::Busy, why: "the marking is not in the tree yet".to_owned() });
    }
    let (evidence, packs, exposed) = std::thread::scope(|scope| {
        let packs = scope.spawn(|| packs::of(engine, &radius.keys));
        let keys = || radius.keys.iter().map(|touched| KeyId::from_bytes(touched.key)).collect();
        let exposed = scope.spawn(move || engine.store.read_widely(|tx| steps::wrapped(tx, keys())));
        (evidence::write(engine, &subject, &radius, &mut |_| Ok(())), packs.join(), exposed.join())
    });
    let packs = packs.map_err(|_| Error::Internal("a thread that counts packs ended early"))??;
    let exposed = exposed.map_err(|_| Error::Internal("a thread that counts keys ended early"))??;
    let (digest, _) = evidence?;
    let (keys, people) = (parts::keys(&radius), parts::people(&radius)?);
    let told = Told {
        at: by.at,
        log_size: radius.head.size,
        log_root: radius.head.root.to_string(),
        packs: packs.ids.len() as u64,
        records_lost: packs.lost,
        evidence: hex::encode(digest),
        keys: parts::digest(&keys),
        people: parts::digest(&people),
        ..counted(&radius)
    };
    let row = engine.store.write(|tx| {
        let guard = &engine.keys.guard;
        let row: Incident = guard.expect(tx, incident.id.as_bytes())?;
        if row.found.is_some() {
            return Ok(row);
        }
        let ticket = tx.ticket()?;
        engine.watch.mark(tx)?;
        parts::put(tx, incident.id, parts::KEYS, &keys)?;
        parts::put(tx, incident.id, parts::PEOPLE, &people)?;
        let row = Incident { found: Some(told.clone()), ..row };
        let change = guard.update(tx, &row, ticket)?;
        let event = Event::new(Kind::State, "incident.evidence")
            .on("incident", row.id)
            .on("key", row.key)
            .on("workspace", row.workspace)
            .on("evidence", &told.evidence)
            .with("log_size", told.log_size)
            .with("log_root", &told.log_root)
            .with("versions", told.versions)
            .with("releases", told.releases)
            .with("principals", told.principals)
            .changing(vec![change]);
        engine.log(tx, ticket, by, &[event])?;
        Ok::<_, Error>(row)
    })?;
    Ok((row, (exposed, radius.keys.len() as u64)))
}

/// The counts of what was read.
fn counted(radius: &Radius) -> Told {
    let how = |which: How| radius.handed.iter().filter(|handed| handed.how == which).count() as u64;
    let versions = |is: fn(&radius::Touched) -> bool| {
        let mut ids: Vec<_> = radius.keys.iter().filter(|key| is(key)).map(|touched| touched.version).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.len() as u64
    };
    let (exports, shares) = (how(How::Export), how(How::Share));
    let times = || radius.handed.iter().map(|handed| handed.at);
    Told {
        at: Timestamp::from_millis(0),
        log_size: 0,
        log_root: String::new(),
        versions: versions(|touched| touched.committed.is_some()),
        unfinished: versions(|touched| touched.committed.is_none()),
        destroyed: versions(|touched| touched.destroyed.is_some()),
        packs: 0,
        records_lost: 0,
        principals: radius.people.len() as u64,
        releases: how(How::Read) + exports + shares,
        exports: exports + shares,
        shares,
        writes: how(How::Write),
        first: times().min(),
        last: times().max(),
        evidence: String::new(),
        keys: String::new(),
        people: String::new(),
    }
}

/// Takes down that people did a step.
pub(crate) fn done(engine: &Engine, session: &Session, command: &IncidentDone) -> Result<IncidentTold> {
    check_reason(&command.reason)?;
    if !steps::is_by_hand(command.step) {
        let why = format!("the keeper sees for itself when `{}` is done", command.step);
        return Err(Error::bad("the incident", why));
    }
    let incident = named(engine, command.incident)?;
    let wanted = wanted(engine, &incident, Action::ManageKeys, "incident.done")?;
    let done = act(engine, session, &wanted, &[], |tx, act| {
        let row: Incident = engine.keys.guard.expect(tx, incident.id.as_bytes())?;
        if row.closed.is_some() {
            return Err(Error::conflict("the incident", "it is closed"));
        }
        let mut next = row.clone();
        if next.done.insert(command.step, Said { by: session.principal, at: act.now }).is_some() {
            return Ok((row, None));
        }
        let change = engine.keys.guard.update(tx, &next, act.ticket)?;
        let event = act.event("incident.done").on("incident", row.id).on("key", row.key).on("workspace", row.workspace);
        let event = event.with("step", command.step).hiding("reason", &command.reason)?.changing(vec![change]);
        let logged = engine.log(tx, act.ticket, &act.by, &[event])?;
        Ok((next, logged.first().copied()))
    });
    answered(engine, session, unseen(&incident, done)?)
}

/// Closes an incident of which nothing is left; what it found stays.
pub(crate) fn close(engine: &Engine, session: &Session, id: IncidentId) -> Result<IncidentTold> {
    let incident = named(engine, id)?;
    let wanted = wanted(engine, &incident, Action::ManageKeys, "incident.close")?;
    unseen(&incident, look(engine, session, &wanted))?;
    let refuse = |left: &str| Error::Conflict {
        what: "the incident",
        why: format!("a step is open: {left}"),
        hint: Some(format!("strongroom incident show {id}")),
    };
    // Row by row, under their MACs, before anything waits for it.
    if incident.closed.is_none() && settled::left(engine, &incident)? > 0 {
        return Err(refuse(PlaybookStep::ReEncrypt.word()));
    }
    let done = act(engine, session, &wanted, &[], |tx, act| {
        let row: Incident = engine.keys.guard.expect(tx, incident.id.as_bytes())?;
        if row.closed.is_some() {
            return Ok((row, None));
        }
        let open: Vec<&str> = steps::open(engine, tx, &row)?.into_iter().map(PlaybookStep::word).collect();
        if !open.is_empty() {
            return Err(refuse(&open.join(", ")));
        }
        let next = Incident { closed: Some(Said { by: session.principal, at: act.now }), ..row.clone() };
        let change = engine.keys.guard.update(tx, &next, act.ticket)?;
        let event =
            act.event("incident.close").on("incident", row.id).on("key", row.key).on("workspace", row.workspace);
        let logged = engine.log(tx, act.ticket, &act.by, &[event.changing(vec![change])])?;
        Ok((next, logged.first().copied()))
    });
    answered(engine, session, unseen(&incident, done)?)
}

fn answered(engine: &Engine, session: &Session, (row, logged): (Incident, Option<Logged>)) -> Result<IncidentTold> {
    let receipt = logged.map(|logged| engine.settled(&logged)).transpose()?;
    Ok(IncidentTold { receipt, ..told::told(engine, session, &row, None)? })
}

/// The incidents whose evidence is missing: whoever marked the key was stopped before it was read.
fn marked(engine: &Engine) -> Result<Vec<Incident>> {
    engine.store.read(|tx| {
        let values = [Incident::MARKED.into(), MAX_LOOKED_AT.into()];
        engine.keys.guard.select(tx, "WHERE state = $1 ORDER BY id LIMIT $2", &values)
    })
}

/// The most incidents that are looked at.
const MAX_LOOKED_AT: i64 = 1_000;

/// Whether evidence is missing.
pub(crate) fn due(engine: &Engine, now: Timestamp) -> Result<Option<Timestamp>> {
    Ok((!marked(engine)?.is_empty()).then_some(now))
}

/// Reads what is missing; how many there were.
pub(crate) fn see_to(engine: &Engine, slice: &Slice) -> Result<u64> {
    let mut done = 0;
    for incident in marked(engine)? {
        if !slice.is_whole() && engine.ledger.head()?.head.size > MAX_IN_PASSING {
            continue;
        }
        find_out(engine, &incident, &by_system(engine, engine.now()?))?;
        done += 1;
        if slice.is_over() {
            break;
        }
    }
    Ok(done)
}
