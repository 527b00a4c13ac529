//! The log for auditors: found, shown, proven, verified, exported.

use crate::acts::{Wanted, act, look};
use crate::backup::history;
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::facts;
use crate::field::{Place, SealedText};
use crate::journal::{self, SIDECAR};
use crate::ledger::{Filter, Found, SignedHead, StateRow};
use crate::replay;
use crate::rows::{
    Alias, Artifact, Depot, Edge, Grant, Incident, Key, NamedKey, NamedVersion, PolicySet, PolicySource, Principal,
    Root, Run, Setting, Subject, Table, Version, Workspace, Wrap, known_by, selecting,
};
use crate::session::Session;
use crate::{show, subject};
use api::terms::{Action, DecisionId, EntryId, Name, PrincipalId, Selector};
use api::wire::{AuditFilter, AuditItem, AuditPage, Freshness, LogHead, LogVerified, StateVerified};
use log::entry::Entry;
use std::path::Path;

/// Rows of one table read at a time by `verify --state`.
const STATE_PAGE: i64 = 10_000;

/// A page of entries.
pub(crate) fn page(engine: &Engine, session: &Session, filter: &AuditFilter) -> Result<AuditPage> {
    look(engine, session, &Wanted::vault(Action::Audit, "audit.query"))?;
    let (principal, artifact, version) = engine.store.read(|tx| resolved(engine, tx, filter))?;
    let filter = Filter {
        principal,
        artifact,
        version,
        act: filter.act.clone(),
        acts: &[],
        detail: None,
        since: filter.since,
        until: filter.until,
        newest_first: filter.newest_first,
        after: filter.after,
        limit: filter.limit,
    };
    let found = engine.ledger.query(&filter)?;
    let items = engine.store.read(|tx| found.items.iter().map(|item| told(engine, tx, item)).collect::<Result<_>>())?;
    Ok(AuditPage { items, next: found.next })
}

type Narrowed = (Option<PrincipalId>, Option<api::terms::ArtifactId>, Option<api::terms::VersionId>);

/// Names in a filter as ids.
pub(crate) fn resolved(engine: &Engine, tx: &mut dyn Transaction, filter: &AuditFilter) -> Result<Narrowed> {
    let principal = match &filter.principal {
        None => None,
        Some(name) => match erased(engine, tx, name)? {
            Some(id) => Some(id),
            None => {
                let row = facts::principal_named(engine, tx, name)?;
                Some(row.ok_or_else(|| Error::NoPrincipal(name.clone()))?.id)
            }
        },
    };
    let Some(text) = &filter.reference else { return Ok((principal, None, None)) };
    let reference = show::parsed(text)?;
    let not_found = || Error::NotFound(reference.to_string());
    let workspace = facts::workspace_named(engine, tx, &reference.workspace)?.ok_or_else(not_found)?;
    let artifact = facts::artifact_named(engine, tx, &workspace, &reference.artifact)?.ok_or_else(not_found)?;
    if reference.selector == Selector::Latest && !text.contains('@') {
        return Ok((principal, Some(artifact.id), None));
    }
    let found = facts::resolve(engine, tx, &reference)?.ok_or_else(not_found)?;
    Ok((principal, Some(artifact.id), Some(found.version.id)))
}

/// Somebody who was erased is named by the id, whatever others call themselves.
fn erased(engine: &Engine, tx: &mut dyn Transaction, name: &Name) -> Result<Option<PrincipalId>> {
    let Ok(id) = name.as_str().parse::<PrincipalId>() else { return Ok(None) };
    let row: Option<Principal> = engine.keys.guard.find(tx, id.as_bytes())?;
    Ok(row.filter(|row| row.erased.is_some()).map(|row| row.id))
}

/// One entry, by id or by index.
pub(crate) fn entry(engine: &Engine, session: &Session, which: &str) -> Result<AuditItem> {
    look(engine, session, &Wanted::vault(Action::Audit, "audit.show"))?;
    let found = find(engine, which)?;
    let replayed = replay::one(engine, &found.body)?;
    let told = engine.store.read(|tx| told(engine, tx, &found))?;
    Ok(AuditItem { replayed, ..told })
}

/// The `.tlog-proof` of one entry, and its index.
pub(crate) fn prove(engine: &Engine, session: &Session, which: &str) -> Result<(String, u64)> {
    look(engine, session, &Wanted::vault(Action::Audit, "audit.prove"))?;
    engine.integrate()?;
    let (receipt, _) = match named(which)? {
        Which::Id(id) => engine.ledger.receipt(&id)?,
        Which::Index(index) => engine.ledger.receipt_at(index)?,
    };
    let text = String::from_utf8(receipt.to_bytes()).map_err(|_| Error::Internal("a proof that is no text"))?;
    Ok((text, receipt.index))
}

/// Re-derives the whole log.
pub(crate) fn verify(engine: &Engine, session: &Session) -> Result<LogVerified> {
    look(engine, session, &Wanted::vault(Action::Audit, "audit.verify"))?;
    if engine.read_only.get().is_none() {
        engine.integrate()?;
    }
    let mut verified = engine.ledger.verify()?;
    verified.failures.extend(engine.read_only.get().map(|why| format!("the log is read-only: {why}")));
    answer(engine, verified)
}

/// Makes a missing anchor; the act is an entry, under the new anchor.
pub(crate) fn make_anchor(engine: &Engine, session: &Session) -> Result<LogVerified> {
    let logged = act(engine, session, &Wanted::vault(Action::RotateKeys, "log.anchor"), &[], |tx, act| {
        let (ticket, event) = (act.ticket, act.event("log.anchor"));
        let logged = engine.log(tx, ticket, &act.by, &[event])?;
        logged.first().copied().ok_or(Error::Internal("an entry was lost"))
    })?;
    engine.ledger.owe(logged.id, logged.leaf);
    let now = engine.now()?.as_millis() / 1000;
    answer(engine, engine.ledger.anchor_again(now)?)
}

/// A log that does not verify proves nothing, whatever anchor is there.
fn answer(engine: &Engine, verified: crate::ledger::Verified) -> Result<LogVerified> {
    let ok = verified.failures.is_empty();
    Ok(LogVerified {
        ok,
        head: head(&verified.head),
        freshness: if ok { verified.freshness } else { Freshness::Unproven },
        failures: verified.failures,
        restored: engine.store.read(|tx| history::restores(tx, &engine.keys.guard))?,
    })
}

/// Rebuilds the state from the log and compares.
pub(crate) fn verify_state(engine: &Engine, session: &Session) -> Result<StateVerified> {
    look(engine, session, &Wanted::vault(Action::Audit, "audit.verify-state"))?;
    let (rows, failures) = engine.ledger.verify_state(None, state_rows)?;
    Ok(StateVerified { ok: failures.is_empty(), rows, failures })
}

/// Every row that the log tells of.
pub(crate) fn state_rows(tx: &mut dyn Transaction) -> Result<Vec<StateRow>> {
    let mut rows = Vec::new();
    add::<Principal>(tx, &mut rows)?;
    add::<Subject>(tx, &mut rows)?;
    add::<Grant>(tx, &mut rows)?;
    add::<Workspace>(tx, &mut rows)?;
    add::<Artifact>(tx, &mut rows)?;
    add::<Version>(tx, &mut rows)?;
    add::<Alias>(tx, &mut rows)?;
    add::<Run>(tx, &mut rows)?;
    add::<Edge>(tx, &mut rows)?;
    add::<Key>(tx, &mut rows)?;
    add::<Wrap>(tx, &mut rows)?;
    add::<NamedKey>(tx, &mut rows)?;
    add::<NamedVersion>(tx, &mut rows)?;
    add::<Root>(tx, &mut rows)?;
    add::<PolicySource>(tx, &mut rows)?;
    add::<PolicySet>(tx, &mut rows)?;
    add::<Setting>(tx, &mut rows)?;
    add::<Depot>(tx, &mut rows)?;
    add::<Incident>(tx, &mut rows)?;
    Ok(rows)
}

/// The rows of a table as commitments. MACs are not looked at: an altered row shows as one that the log does not know, and so does one
/// whose index columns are not what its body says.
fn add<T: Table>(tx: &mut dyn Transaction, rows: &mut Vec<StateRow>) -> Result<()> {
    let mut after: Vec<u8> = Vec::new();
    loop {
        let sql = selecting::<T>("WHERE id > $1 ORDER BY id LIMIT $2");
        let page = tx.query(&sql, &[(&after).into(), STATE_PAGE.into()])?;
        for row in &page {
            let id = row.bytes(0)?.to_vec();
            let commitment = known_by::<T>(row)?.unwrap_or([0; 32]);
            rows.push(StateRow { table: T::NAME, ticket: row.integer(3)?, commitment, id });
        }
        match page.iter().last() {
            Some(last) if page.len() as u64 == STATE_PAGE.unsigned_abs() => after = last.bytes(0)?.to_vec(),
            _ => return Ok(()),
        }
    }
}

/// Writes the log out in tlog-tiles layout.
pub(crate) fn export(engine: &Engine, session: &Session, folder: &str) -> Result<()> {
    engine.integrate()?;
    let wanted = Wanted::vault(Action::Audit, "audit.export");
    act(engine, session, &wanted, &[], |tx, act| {
        let ticket = act.ticket;
        engine.log(tx, ticket, &act.by, &[act.event("audit.export")]).map(|_| ())
    })?;
    engine.integrate()?;
    engine.ledger.export(Path::new(folder))?;
    Ok(())
}

enum Which {
    Id(EntryId),
    Index(u64),
}

fn named(which: &str) -> Result<Which> {
    if let Ok(id) = which.parse::<EntryId>() {
        return Ok(Which::Id(id));
    }
    let bad =
        |_| Error::bad("the entry", "name it by its id or its decision's (32 hexadecimal digits), or by its index");
    which.parse().map(Which::Index).map_err(bad)
}

fn find(engine: &Engine, which: &str) -> Result<Found> {
    Ok(match named(which)? {
        // A refusal names its decision; ids of both are drawn at random.
        Which::Id(id) => match engine.ledger.find(&id) {
            Err(crate::ledger::Error::NotFound) => engine.ledger.decided(&DecisionId::from_bytes(*id.as_bytes()))?,
            found => found?,
        },
        Which::Index(index) => engine.ledger.at(index)?,
    })
}

fn head(signed: &SignedHead) -> LogHead {
    LogHead { size: signed.head.size, root: signed.head.root.to_string(), checkpoint: signed.checkpoint.clone() }
}

/// An entry with what the sidecar still holds of it.
fn told(engine: &Engine, tx: &mut dyn Transaction, found: &Found) -> Result<AuditItem> {
    let damaged = |_| Error::Log { code: api::terms::Code::Integrity, why: "an entry is not JSON".into() };
    let parsed = replay::parsed(&found.body)?;
    let entry: serde_json::Value = serde_json::from_slice(&found.body).map_err(damaged)?;
    let principal = name_of(engine, tx, &PrincipalId::from_bytes(parsed.principal.0))?;
    let disclosed = disclosed(engine, tx, &parsed)?;
    Ok(AuditItem { log_index: found.index, principal, entry, disclosed, replayed: None })
}

/// The name of the principal of an entry, if it is still known; the id of one who was erased.
pub(crate) fn name_of(engine: &Engine, tx: &mut dyn Transaction, id: &PrincipalId) -> Result<Option<String>> {
    match engine.keys.guard.find::<Principal>(tx, id.as_bytes())? {
        Some(row) => facts::name_of(engine, tx, row.id).map(Some),
        None => Ok(None),
    }
}

/// What an entry commits to, opened; of somebody who was erased, that it was.
fn disclosed(engine: &Engine, tx: &mut dyn Transaction, entry: &Entry) -> Result<serde_json::Value> {
    let owner = EntryId::from_bytes(entry.id.0);
    let mut map = serde_json::Map::new();
    for field in entry.commitments.keys() {
        let altered = || Error::Altered { table: SIDECAR, row: format!("{owner} {field}") };
        let field = FIELDS.into_iter().find(|known| known == field).ok_or_else(altered)?;
        let value = match subject::personal(engine, tx, about(entry, field).ok_or_else(altered)?)? {
            None => serde_json::json!({ "erased": true }),
            Some(personal) => {
                let sql = "SELECT sealed FROM sidecar WHERE owner = $1 AND field = $2";
                let row = tx.query(sql, &[owner.as_bytes().into(), field.into()])?.optional()?.ok_or_else(altered)?;
                let sealed = String::from_utf8(row.bytes(0)?.to_vec()).map_err(|_| altered())?;
                let text = personal.open(Place::once(SIDECAR, field, owner.as_bytes()), &SealedText(sealed))?;
                serde_json::from_str(&text).map_err(|_| altered())?
            }
        };
        map.insert(field.to_owned(), value);
    }
    Ok(serde_json::Value::Object(map))
}

/// Whom a field of an entry is about, whose key sealed it.
fn about(entry: &Entry, field: &str) -> Option<PrincipalId> {
    match field {
        journal::NAME => entry.subject.get("principal").and_then(|id| id.parse().ok()),
        _ => Some(PrincipalId::from_bytes(entry.principal.0)),
    }
}

/// The fields that entries commit to.
const FIELDS: [&str; 7] = ["command", "context", journal::NAME, "place", "reason", "recipients", "stopped"];

/// Whether the database is proven current.
pub(crate) fn freshness(engine: &Engine) -> Result<Freshness> {
    match engine.read_only.get() {
        Some(_) => Ok(Freshness::Unproven),
        None => Ok(engine.ledger.freshness()?),
    }
}
