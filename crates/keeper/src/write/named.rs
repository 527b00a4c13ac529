//! What a new version names besides its bytes: an alias to move, and the versions that it was made from. Decided when it is begun, so
//! that nothing is uploaded in vain, and again when it is committed.

use crate::datastore::Transaction;
use crate::decide::judge;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::facts::{self, Actor, Circumstances};
use crate::people::VAULT_WIDE;
use crate::rows::{Alias, Artifact, Version};
use crate::session::Session;
use crate::show;
use api::terms::{Action, ArtifactId, Class, DecisionId, Environment, Name, Reference, Selector, Timestamp, VersionId};

/// The most aliases of an artifact.
pub(crate) const MAX_ALIASES: i64 = 1_000;
/// The most lineage references.
const MAX_FROM: usize = 256;

/// Refuses a workspace that cannot be.
pub(crate) fn place(workspace: &Name) -> Result<()> {
    if workspace.as_str() == VAULT_WIDE {
        let why = "`vault` is no name for a workspace: in grants it means the whole vault";
        return Err(Error::bad("the new version", why));
    }
    Ok(())
}

/// Checks the form of both.
pub(crate) fn form(alias: Option<&Name>, from: &[String]) -> Result<()> {
    if from.len() > MAX_FROM {
        return Err(Error::bad("the new version", "at most 256 sources"));
    }
    match alias {
        Some(alias) if !is_alias(alias) => Err(Error::bad("the alias", "`latest` and `v1`, `v2`, ... are no aliases")),
        _ => Ok(()),
    }
}

/// Whether a name can be told from `latest` and version numbers.
fn is_alias(name: &Name) -> bool {
    let parsed: std::result::Result<Reference, _> = format!("w/a@{name}").parse();
    parsed.is_ok_and(|reference| reference.selector == Selector::Alias(name.clone()))
}

/// Refuses one more alias where there are as many as an artifact may have.
pub(crate) fn room_for_alias(tx: &mut dyn Transaction, artifact: ArtifactId) -> Result<()> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM alias WHERE artifact = $1";
    if tx.query(sql, &[artifact.as_bytes().into()])?.one()?.integer(0)? < MAX_ALIASES {
        return Ok(());
    }
    Err(Error::conflict("the alias", format!("an artifact has at most {MAX_ALIASES} aliases")))
}

/// Where the right to move aliases is asked for: at the version that the alias comes to, and at the one that it leaves.
pub(super) fn alias_places(
    engine: &Engine,
    tx: &mut dyn Transaction,
    artifact: &Artifact,
    name: &Name,
    here: (Class, Environment),
) -> Result<Vec<(Class, Environment)>> {
    let guard = &engine.keys.guard;
    let mut places = vec![here];
    if let Some(held) = guard.find::<Alias>(tx, &Alias::id_of(artifact.id, name))? {
        let left: Version = guard.expect(tx, held.version.as_bytes())?;
        places.push((left.class, left.environment));
    }
    Ok(places)
}

/// What it was made from; each must be visible to the writer.
pub(crate) fn lineage(
    engine: &Engine,
    session: &Session,
    tx: &mut dyn Transaction,
    (actor, now): (&Actor, Timestamp),
    from: &[String],
) -> Result<Vec<VersionId>> {
    let rules = engine.rules(tx)?;
    let mut ids = Vec::with_capacity(from.len());
    for reference in from {
        let not_found = || Error::NotFound(reference.clone());
        let found = facts::resolve(engine, tx, &show::parsed(reference)?)?.ok_or_else(not_found)?;
        let circumstances = Circumstances::plain(now)?;
        let query = facts::query(engine, session, actor, Action::List, found.resource(), &circumstances);
        if !judge(&rules, DecisionId::from_bytes([0; 16]), &query).answer.allowed {
            return Err(not_found());
        }
        if !ids.contains(&found.version.id) {
            ids.push(found.version.id);
        }
    }
    Ok(ids)
}
