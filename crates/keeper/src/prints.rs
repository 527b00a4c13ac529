//! Prints: what a version's content is recognised by. The client makes and seals them; the keeper stores them, and hands them out with
//! the keys to them to whoever may look for copies.
//!
//! They are sealed under a key that follows from the version's, so they go with it. Whoever has them and the vault's print key can
//! confirm a guess of content: handing them out is an act with its own right, decided for each place and in the log.

use crate::datastore::Transaction;
use crate::decide::judge;
use crate::engine::Engine;
use crate::epochs::{self, Subject};
use crate::error::{Error, Result};
use crate::facts::{self, Circumstances, Found};
use crate::journal::{By, Event, Logged};
use crate::keys::{sealed, state};
use crate::release::{Sealing, envelope};
use crate::rows::{PolicySet, Version};
use crate::session::{Session, verified};
use crate::show;
use api::terms::{Action, ArtifactId, Class, DecisionId, Environment, ReleaseId, VersionId};
use api::wire::{Command, Printed, PrintedVersion, Prints};
use log::entry::Kind;
use seal::secret::{ListKey, VersionKey};
use std::collections::BTreeMap;

/// Stores the prints of a version that is being committed.
pub(crate) fn store(tx: &mut dyn Transaction, version: VersionId, sealed: &[u8]) -> Result<()> {
    if !sealed.is_empty() {
        let sql = "INSERT INTO prints (version, sealed) VALUES ($1, $2)";
        tx.query(sql, &[version.as_bytes().into(), sealed.into()])?;
    }
    Ok(())
}

/// The sealed prints of a version; empty if it has none.
pub(crate) fn of(tx: &mut dyn Transaction, version: VersionId) -> Result<Vec<u8>> {
    let rows = tx.query("SELECT sealed FROM prints WHERE version = $1", &[version.as_bytes().into()])?;
    rows.optional()?.map_or_else(|| Ok(Vec::new()), |row| Ok(row.bytes(0)?.to_vec()))
}

/// Forgets the prints of a version whose key is destroyed.
pub(crate) fn forget(tx: &mut dyn Transaction, version: VersionId) -> Result<()> {
    tx.query("DELETE FROM prints WHERE version = $1", &[version.as_bytes().into()])?;
    Ok(())
}

/// The vault's print key, for whoever is given a version's list key.
pub(crate) fn key_for(engine: &Engine, version: VersionId, list: &ListKey) -> Result<Vec<u8>> {
    let key = engine.keys.print_key(engine.vault)?;
    seal::prints::seal_key(&key, list, engine.vault.as_bytes(), version.as_bytes())
        .map_err(|_| Error::Internal("the print key could not be sealed"))
}

/// A version that may be looked for.
struct Opened {
    version: Version,
    key: VersionKey,
    sealed: Vec<u8>,
}

/// What the transaction came to.
struct Done {
    opened: Vec<Opened>,
    logged: Vec<Logged>,
    lease_secs: u64,
}

/// Versions of one artifact that policy cannot tell apart are decided on once.
type Placed = (ArtifactId, Class, Environment, bool);

/// Hands out the prints of the versions that the caller may look for. Of the others nothing is said; refusals are logged.
pub(crate) fn printed(engine: &Engine, session: &Session, command: &Prints) -> Result<Printed> {
    let now = engine.now()?;
    let wrapped = Command::Prints(command.clone());
    let asked = verified(engine.vault, session, &engine.nonces, &command.request, &wrapped, now)?;
    if asked.action != Action::Scan {
        return Err(Error::bad("the request for prints", "the signed request is for another action"));
    }
    let by = By::session(session, now);
    let release = ReleaseId::from_bytes(crate::system::random()?);
    let suite = asked.signed.unverified().suite;
    let done = engine.store.write(|tx| run(engine, session, tx, &by, release, (suite, &asked.versions)))?;
    let restricted = done.opened.iter().any(|opened| opened.version.class == Class::Restricted);
    for logged in &done.logged {
        if restricted {
            engine.anchored(logged)?;
        } else {
            engine.ledger.owe(logged.id, logged.leaf);
        }
    }
    let Some(first) = done.opened.first() else {
        return Ok(Printed { envelope: Vec::new(), print_key: Vec::new(), items: Vec::new() });
    };
    let list = seal::derive::list_key(
        &first.key,
        sealed(first.version.suite),
        engine.vault.as_bytes(),
        first.version.id.as_bytes(),
    );
    let list = list.map_err(|_| Error::Internal("a key could not be derived"))?;
    let print_key = key_for(engine, first.version.id, &list)?;
    let sealing = |opened: &'_ Opened| Ok::<_, Error>((opened.version.id, show::digest_bytes(&opened.version)?));
    let digests: Vec<_> = done.opened.iter().map(sealing).collect::<Result<_>>()?;
    let versions: Vec<Sealing<'_>> = done
        .opened
        .iter()
        .zip(digests)
        .map(|(opened, (version, digest))| Sealing {
            version,
            suite: opened.version.suite,
            digest: Some(digest),
            key: &opened.key,
            action: Action::Scan,
        })
        .collect();
    let expires = now.plus_millis(done.lease_secs.saturating_mul(1000));
    let envelope = envelope(engine, &asked, release, expires, &versions)?;
    let items = done.opened.into_iter();
    let items = items.map(|opened| PrintedVersion { version: opened.version.id, sealed: opened.sealed }).collect();
    Ok(Printed { envelope, print_key, items })
}

fn run(
    engine: &Engine,
    session: &Session,
    tx: &mut dyn Transaction,
    by: &By,
    release: ReleaseId,
    (suite, versions): (seal::Suite, &[VersionId]),
) -> Result<Done> {
    let mut found: BTreeMap<Placed, Vec<Found>> = BTreeMap::new();
    let mut subjects: Vec<Subject> = vec![*session.principal.as_bytes(), PolicySet::row_id()];
    for version in versions {
        let Some(version) = facts::found_by_id(engine, tx, *version)? else { continue };
        // The keys of a version leave under its own suite only, and those of a removed one not at all.
        if sealed(version.version.suite) != suite || version.version.removed.is_some() {
            continue;
        }
        facts::coherent(&version)?;
        if state::is_shut(engine, tx, &version.version)? {
            continue;
        }
        subjects.extend([*version.workspace.id.as_bytes(), *version.artifact.id.as_bytes()]);
        let held = version.artifact.holds(version.version.id);
        let placed = (version.artifact.id, version.version.class, version.version.environment, held);
        found.entry(placed).or_default().push(version);
    }
    subjects.sort_unstable();
    subjects.dedup();
    epochs::hold(tx, &subjects)?;
    if !epochs::closing(tx, &subjects)?.is_empty() {
        return Err(Error::Stale);
    }
    let actor = facts::actor(engine, tx, session.principal)?;
    let rules = engine.rules(tx)?;
    let ticket = tx.ticket()?;
    engine.watch.mark(tx)?;
    let mut done = Done { opened: Vec::new(), logged: Vec::new(), lease_secs: u64::MAX };
    for group in found.into_values() {
        let Some(one) = group.first() else { continue };
        let circumstances = Circumstances::plain(by.at)?;
        let query = facts::query(engine, session, &actor, Action::Scan, one.resource(), &circumstances);
        let verdict = judge(&rules, DecisionId::from_bytes(crate::system::random()?), &query);
        let about = |event: Event| event.on("workspace", one.workspace.id).on("artifact", one.artifact.id);
        if !verdict.answer.allowed {
            let told = engine.log(tx, ticket, by, &[about(verdict.denial("release.prints"))])?;
            // A denial that was only counted is not replayed.
            if !told.is_empty() {
                engine.keep(tx, ticket, &verdict)?;
            }
            continue;
        }
        engine.keep(tx, ticket, &verdict)?;
        let event = Event { decision: Some(verdict.logged()), ..Event::new(Kind::Release, "release.prints") };
        let event = about(event).on("release", release).with("versions", group.len()).with("class", one.version.class);
        done.logged.extend(engine.log(tx, ticket, by, &[event])?);
        done.lease_secs = done.lease_secs.min(rules.class_rules(one.version.class).lease_secs);
        for found in group {
            let key = state::opened(engine, tx, &found)?;
            let sealed = of(tx, found.version.id)?;
            done.opened.push(Opened { version: found.version, key, sealed });
        }
    }
    Ok(done)
}
