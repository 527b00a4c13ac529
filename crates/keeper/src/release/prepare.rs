//! Facts and decision of one release, from a snapshot whose epochs are compared again when it commits.

use super::commit::Decided;
use crate::cache::Known;
use crate::datastore::Transaction;
use crate::decide::{About, judge};
use crate::engine::Engine;
use crate::epochs::{self, Epochs, Subject};
use crate::error::{Error, Result};
use crate::facts::{self, Circumstances, Stated};
use crate::journal::{By, Event};
use crate::keys::domains::OpenedKey;
use crate::keys::sealed;
use crate::keys::state::Above;
use crate::rows::PolicySet;
use crate::session::{Asked, Session};
use crate::{removal, show, subject};
use api::terms::{Action, DecisionId, EntryId, KeyId, Reference, ReleaseId};
use api::wire::Release;
use log::entry::Kind;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A release that was decided and waits for its commit.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) subjects: Vec<Subject>,
    pub(crate) decided: Decided,
    pub(crate) about: About,
    pub(crate) release: ReleaseId,
    pub(crate) action: Action,
    /// Why its keys do not leave although policy lets them.
    pub(crate) shut: Option<Error>,
    /// What opens them, if they leave.
    pub(crate) domain_key: Option<Arc<OpenedKey>>,
}

/// Reads (or remembers) the facts and decides.
pub(crate) fn prepare(
    engine: &Engine,
    session: &Session,
    command: &Release,
    reference: &Reference,
    asked: &Asked,
) -> Result<Prepared> {
    let now = engine.now()?;
    // Facts in memory that name another version than the request, or another suite of it, are old, or the request is: read them again.
    let fits = |known: &Arc<Known>| {
        let is_it = asked.versions == [known.found.version.id] && admitted(known, asked).is_ok();
        is_it && known.refuse_unread(now).is_ok()
    };
    let remembered = engine.facts.find(session.principal, reference).filter(fits);
    let from_memory = remembered.is_some();
    let known = match remembered {
        Some(known) => known,
        None => {
            let known = match engine.store.read(|tx| read(engine, tx, session, reference)) {
                // Told to whoever may see it; a refusal is logged.
                Err(removed @ Error::Removed { .. }) => {
                    show::show(engine, session, &command.reference)?;
                    return Err(removed);
                }
                known => Arc::new(known?),
            };
            engine.facts.keep(session.principal, reference, &known);
            known
        }
    };
    let found = &known.found;
    let path = found.path();
    let stated = Stated { reason: command.reason.as_deref(), confirm: command.confirm.as_deref() };
    let circumstances = Circumstances::stated(now, &stated, &path)?;
    let decide = |action: Action| {
        let query = facts::query(engine, session, &known.actor, action, found.resource(), &circumstances);
        Ok::<_, Error>(judge(&known.rules, DecisionId::from_bytes(crate::system::random()?), &query))
    };
    let mut verdict = decide(command.action)?;
    // What is archived is opened under that right besides; the refusal is then of that one.
    let mut archive = None;
    if verdict.answer.allowed && found.is_apart(command.action) {
        let besides = decide(Action::ArchiveRead)?;
        if besides.answer.allowed {
            archive = Some((archive_event(&known, &besides), besides.blob(&known.personal)?));
        } else {
            verdict = besides;
        }
    }
    let about = About::version(reference, &session.name);
    if verdict.answer.allowed && asked.versions != [found.version.id] {
        return Err(Error::Conflict {
            what: "the release",
            why: format!("`{}` names another version than the signed request", command.reference),
            hint: Some("run the command again".into()),
        });
    }
    if verdict.answer.allowed {
        admitted(&known, asked)?;
    }
    // Told to whoever may open it, and logged as the refusal that it is.
    let shut = if verdict.answer.allowed {
        // What is sealed anew gets another suite by that.
        let unread = if command.action == Action::Reencrypt { Ok(()) } else { known.refuse_unread(now) };
        let states = known.above.refuse(&found.version, &found.named(), command.action.into());
        states.and(unread).err()
    } else {
        None
    };
    let released = verdict.answer.allowed && shut.is_none();
    // Roots are asked for whoever may have what they open, and before it is logged that it leaves.
    let domain_key = match released.then(|| opened(engine, known.wrap.under)) {
        // It may have been destroyed since, or wrapped elsewhere: what stands there now decides.
        Some(Err(_)) if from_memory => {
            engine.facts.forget(&known.epochs.keys().copied().collect::<Vec<_>>());
            return prepare(engine, session, command, reference, asked);
        }
        opened => opened.transpose()?,
    };
    let release = ReleaseId::from_bytes(crate::system::random()?);
    let event = event(engine, command, &known, &verdict, released.then_some(release), shut.as_ref())?;
    let subjects: Vec<Subject> = known.epochs.keys().copied().collect();
    let also = archive.filter(|_| released);
    let blob = verdict.blob(&known.personal)?;
    let decided = Decided { by: By::session(session, now), known, blob, event, also, verdict, released };
    Ok(Prepared { subjects, decided, about, release, action: command.action, shut, domain_key })
}

/// A domain key or an archive key, from memory if it is there.
fn opened(engine: &Engine, id: KeyId) -> Result<Arc<OpenedKey>> {
    match engine.domains.remembered(id) {
        Some(key) => Ok(key),
        None => engine.store.read(|tx| engine.domains.open(tx, &engine.keys.guard, id)),
    }
}

/// Whether the keys leave under the suite that the version has. Told to whoever may open it.
fn admitted(known: &Known, asked: &Asked) -> Result<()> {
    let version = &known.found.version;
    if sealed(version.suite) != asked.signed.unverified().suite {
        return Err(Error::Suite { what: "the release", suite: version.suite });
    }
    Ok(())
}

/// The entry of the second decision on what is archived: each has one that commits to what it rests on.
fn archive_event(known: &Known, verdict: &crate::decide::Verdict) -> Event {
    let found = &known.found;
    let event = Event { decision: Some(verdict.logged()), ..Event::new(Kind::State, "archive.read") };
    let event = event.on("workspace", found.workspace.id).on("artifact", found.artifact.id);
    event.on("version", found.version.id).with("class", found.version.class)
}

/// The decisive entry.
fn event(
    engine: &Engine,
    command: &Release,
    known: &Known,
    verdict: &crate::decide::Verdict,
    release: Option<ReleaseId>,
    shut: Option<&Error>,
) -> Result<Event> {
    let act = act(command.action);
    let found = &known.found;
    let mut event = match release {
        Some(release) => {
            let event = Event { decision: Some(verdict.logged()), ..Event::new(Kind::Release, act) };
            event.on("release", release).on("digest", &found.version.digest)
        }
        None => verdict.denial(act),
    };
    if let Some(Error::KeyShut { key, state, .. }) = shut {
        event = event.on("key", key).with("state", state);
    }
    if let Some(Error::KeyEnding { key, until, .. }) = shut {
        event = event.on("key", key).with("until", until);
    }
    if let Some(Error::SuiteShut { suite, since, .. }) = shut {
        event = event.with("suite", suite);
        event = since.iter().fold(event, |event, since| event.with("since", since));
    }
    event.id = Some(EntryId::from_bytes(crate::system::random()?));
    event = event
        .on("workspace", found.workspace.id)
        .on("artifact", found.artifact.id)
        .on("version", found.version.id)
        .with("class", found.version.class);
    if let Some(run) = command.run {
        event = event.on("run", run);
    }
    if engine.mode == api::terms::Mode::Solo && found.version.class == api::terms::Class::Restricted {
        event = event.with("approval", "none (solo)");
    }
    if !command.shared_with.is_empty() {
        event = event.with("shared_with", command.shared_with.len()).with("recall", "none");
        event = event.hiding("recipients", &command.shared_with.join("\n"))?;
    }
    match &command.reason {
        Some(reason) => event.hiding("reason", reason),
        None => Ok(event),
    }
}

/// The act's name in the log.
pub(crate) const fn act(action: Action) -> &'static str {
    match action {
        Action::List => "release.list",
        Action::Read => "release.read",
        Action::Export => "release.export",
        Action::Reencrypt => "release.reencrypt",
        Action::Write
        | Action::Alias
        | Action::RotateKeys
        | Action::ManageKeys
        | Action::DestroyKeys
        | Action::ManagePrincipals
        | Action::ManagePolicy
        | Action::Audit
        | Action::Collect
        | Action::Backup
        | Action::Scan
        | Action::Review
        | Action::Remove
        | Action::Restore
        | Action::Hold
        | Action::Encrypt
        | Action::Decrypt
        | Action::ArchiveRead => "release",
    }
}

fn read(engine: &Engine, tx: &mut dyn Transaction, session: &Session, reference: &Reference) -> Result<Known> {
    let not_found = || Error::NotFound(reference.to_string());
    let found = facts::resolve(engine, tx, reference)?.ok_or_else(not_found)?;
    facts::coherent(&found)?;
    removal::refuse(&found)?;
    let actor = facts::actor(engine, tx, session.principal)?;
    let personal = subject::acting(engine, tx, session.principal)?;
    let rules = engine.rules(tx)?;
    let guard = &engine.keys.guard;
    let (wrap, above) = Above::of_version(tx, guard, &found.version)?;
    let subjects = [
        *found.workspace.id.as_bytes(),
        *found.artifact.id.as_bytes(),
        *actor.row.id.as_bytes(),
        *above.wraps.id.as_bytes(),
        *above.newest.id.as_bytes(),
        PolicySet::row_id(),
    ];
    let epochs: Epochs = epochs::read(tx, &subjects)?;
    let distinct: BTreeSet<&Subject> = subjects.iter().collect();
    if epochs.len() != distinct.len() {
        return Err(Error::Altered { table: "epoch", row: found.version.id.to_string() });
    }
    let creator = facts::name_of(engine, tx, found.version.creator)?;
    let record = show::record_of(tx, &found.version)?;
    let aliases = show::aliases_of(engine, tx, found.version.id)?;
    let crypto = engine.crypto(tx)?;
    let made = show::made(engine, tx, &found.version)?;
    Ok(Known { found, actor, personal, rules, crypto, wrap, above, epochs, creator, record, aliases, made })
}
