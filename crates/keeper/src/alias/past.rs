//! The past of an alias: its moves as the log's entries say them, each proven to be in the tree or waiting under a MAC.

use super::{ALIAS, LEFT, REMOVE, SET};
use crate::audit;
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::ledger::{Filter, Found};
use crate::rows::Version;
use crate::session::Session;
use crate::show::{self, Seen};
use crate::write::named;
use api::terms::{DecisionId, EntryId, PrincipalId, Reference, Selector, Timestamp, VersionId};
use api::wire::{AliasMove, AliasPast};
use log::entry::Entry;

/// Acts that move aliases; a `put` with one is one.
const MOVES: &[&str] = &["version.commit", SET, REMOVE];
/// The longest page.
const MAX_PAGE: u32 = 1_000;

/// The moves of an alias, newest first, and where to go on. Whoever may list the artifact may ask.
pub(crate) fn history(
    engine: &Engine,
    session: &Session,
    command: &AliasPast,
) -> Result<(Vec<AliasMove>, Option<u64>)> {
    named::form(Some(&command.alias), &[])?;
    let reference = Reference { selector: Selector::Latest, ..show::parsed(&command.reference)? };
    let seen = Seen::reference(&reference);
    let (workspace, artifact) =
        seen.guarded(engine, session, |tx, actor| show::listable(engine, tx, session, actor, &reference))?;
    let page = engine.ledger.query(&Filter {
        artifact: Some(artifact.id),
        acts: MOVES,
        detail: Some((ALIAS, command.alias.to_string())),
        newest_first: true,
        after: command.after,
        limit: command.limit.clamp(1, MAX_PAGE),
        ..Filter::default()
    })?;
    if page.items.is_empty() && command.after.is_none() {
        let alias = Selector::Alias(command.alias.clone());
        return Err(Error::NotFound(Reference { selector: alias, ..reference }.to_string()));
    }
    let path = format!("{}/{}", workspace.name, artifact.name);
    let items = engine
        .store
        .read(|tx| page.items.iter().map(|found| told(engine, tx, &path, found)).collect::<Result<Vec<_>>>())?;
    Ok((items, page.next))
}

fn told(engine: &Engine, tx: &mut dyn Transaction, path: &str, found: &Found) -> Result<AliasMove> {
    let damaged = |why: &str| Error::Log { code: api::terms::Code::Integrity, why: why.to_owned() };
    let entry = Entry::parse(&found.body).map_err(|error| damaged(&error.to_string()))?;
    let mut numbered = |name: &str| -> Result<Option<String>> {
        let Some(id) = entry.subject.get(name) else { return Ok(None) };
        let id: VersionId = id.parse().map_err(|_| damaged("a version in an entry has no id"))?;
        let version: Version = engine.keys.guard.expect(tx, id.as_bytes())?;
        Ok(Some(format!("{path}@v{}", version.number)))
    };
    let version = if entry.act == REMOVE { None } else { numbered("version")? };
    let before = numbered(LEFT)?;
    Ok(AliasMove {
        log_index: found.index,
        entry: EntryId::from_bytes(entry.id.0),
        time: entry.time.parse::<Timestamp>().map_err(|_| damaged("an entry has no time"))?,
        principal: audit::name_of(engine, tx, &PrincipalId::from_bytes(entry.principal.0))?,
        act: entry.act.clone(),
        version,
        before,
        decision: entry.decision.map(|decision| DecisionId::from_bytes(decision.id.0)),
    })
}
