//! What is there: names, versions, history. Decided like everything else; no keys leave here.

use crate::datastore::Transaction;
use crate::decide::{About, judge};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::facts::{self, Actor, Circumstances, Found};
use crate::hash;
use crate::journal::By;
use crate::rows::{Alias, Artifact, Made, Version, Workspace};
use crate::session::Session;
use crate::subject;
use api::terms::{Action, DecisionId, Environment, Reference, VersionId};
use api::wire::{ListItem, ListPage, ListQuery, MadeBy, Provenance, RemovedState, VersionItem};
use policy::Resource;

/// The longest page.
const MAX_PAGE: u32 = 1000;

/// A page of workspaces, or of a workspace's artifacts.
pub(crate) fn list(engine: &Engine, session: &Session, query: &ListQuery) -> Result<ListPage> {
    let limit = query.limit.clamp(1, MAX_PAGE);
    match &query.workspace {
        None => engine.store.read(|tx| workspaces(engine, tx, session, query.after.as_deref(), limit)),
        Some(name) => {
            let seen = Seen::workspace(name);
            seen.guarded(engine, session, |tx, actor| {
                let workspace = listable_workspace(engine, tx, session, actor, name)?;
                artifacts(engine, tx, &workspace, query.after.as_deref(), limit)
            })
        }
    }
}

/// One version.
pub(crate) fn show(engine: &Engine, session: &Session, reference: &str) -> Result<VersionItem> {
    let reference = parsed(reference)?;
    Seen::reference(&reference).guarded(engine, session, |tx, actor| {
        let found = facts::resolve(engine, tx, &reference)?.ok_or_else(|| Error::NotFound(reference.to_string()))?;
        facts::coherent(&found)?;
        may_list(engine, tx, session, actor, found.resource())?;
        shown(engine, tx, found)
    })
}

/// Versions of an artifact, newest first.
pub(crate) fn history(
    engine: &Engine,
    session: &Session,
    reference: &str,
    before: Option<u64>,
    limit: u32,
) -> Result<(Vec<VersionItem>, Option<u64>)> {
    let reference = parsed(reference)?;
    let limit = limit.clamp(1, MAX_PAGE);
    Seen::reference(&reference).guarded(engine, session, |tx, actor| {
        let not_found = || Error::NotFound(reference.to_string());
        let (workspace, artifact) = listable(engine, tx, session, actor, &reference)?;
        let below = before.map_or(i64::MAX, |number| i64::try_from(number).unwrap_or(i64::MAX));
        let values = [artifact.id.as_bytes().into(), below.into(), (i64::from(limit) + 1).into()];
        let tail = "WHERE artifact = $1 AND number < $2 ORDER BY number DESC LIMIT $3";
        let mut versions: Vec<Version> = engine.keys.guard.select(tx, tail, &values)?;
        let more = versions.len() > limit as usize;
        versions.truncate(limit as usize);
        let next = versions.last().map(|version| version.number).filter(|_| more);
        if versions.is_empty() && before.is_none() {
            return Err(not_found());
        }
        let items = versions
            .into_iter()
            .map(|version| {
                let found = Found { workspace: workspace.clone(), artifact: artifact.clone(), version };
                shown(engine, tx, found)
            })
            .collect::<Result<_>>()?;
        Ok((items, next))
    })
}

/// A workspace, if its artifacts may be listed.
pub(crate) fn listable_workspace(
    engine: &Engine,
    tx: &mut dyn Transaction,
    session: &Session,
    actor: &Actor,
    name: &api::terms::Name,
) -> Result<Workspace> {
    let workspace = facts::workspace_named(engine, tx, name)?;
    let workspace = workspace.ok_or_else(|| Error::NotFound(name.to_string()))?;
    may_list(engine, tx, session, actor, workspace_resource(&workspace))?;
    Ok(workspace)
}

/// The artifact of a reference, if its versions may be listed.
pub(crate) fn listable(
    engine: &Engine,
    tx: &mut dyn Transaction,
    session: &Session,
    actor: &Actor,
    reference: &Reference,
) -> Result<(Workspace, Artifact)> {
    let not_found = || Error::NotFound(reference.to_string());
    let workspace = facts::workspace_named(engine, tx, &reference.workspace)?.ok_or_else(not_found)?;
    let artifact = facts::artifact_named(engine, tx, &workspace, &reference.artifact)?.ok_or_else(not_found)?;
    let resource = facts::resource_of(&artifact, artifact.class, Environment::Dev);
    may_list(engine, tx, session, actor, resource)?;
    Ok((workspace, artifact))
}

/// A version for whoever may list it: with the legal holds that it is under, which `hold ls` tells too.
fn shown(engine: &Engine, tx: &mut dyn Transaction, found: Found) -> Result<VersionItem> {
    let holds = found.artifact.holds_of(found.version.id).cloned().collect();
    Ok(VersionItem { holds, ..described(engine, tx, found)? })
}

/// A version for an answer.
pub(crate) fn described(engine: &Engine, tx: &mut dyn Transaction, found: Found) -> Result<VersionItem> {
    let creator = facts::name_of(engine, tx, found.version.creator)?;
    let aliases = aliases_of(engine, tx, found.version.id)?;
    let made = made(engine, tx, &found.version)?;
    Ok(item(&found, (creator, aliases), made))
}

/// A version for an answer, with what was looked up.
pub(crate) fn item(found: &Found, (creator, aliases): (String, Vec<String>), made: Option<MadeBy>) -> VersionItem {
    let Found { artifact, version, .. } = found;
    VersionItem {
        reference: format!("{}@v{}", found.path(), version.number),
        id: version.id,
        number: version.number,
        artifact: artifact.id,
        class: version.class,
        environment: version.environment,
        suite: version.suite,
        kind: artifact.kind,
        digest: version.digest.clone(),
        object: version.object,
        key: version.key,
        key_state: version.key_state,
        bytes: version.bytes,
        files: version.files,
        created: version.created,
        creator,
        tags: version.tags.clone(),
        aliases,
        from: version.from.clone(),
        made,
        removed: version.removed.as_ref().map(|removed| RemovedState {
            at: removed.at,
            until: removed.until,
            by_rule: removed.by_rule,
            held: removed.held,
            destroyed: removed.destroyed,
        }),
        reencrypted: version.reencrypted.as_ref().map(|was| was.at),
        archived: version.archived.as_ref().map(|was| was.at),
        holds: Vec::new(),
    }
}

/// How a run made a version. The command is whose it was who ran it, and goes with them.
pub(crate) fn made(engine: &Engine, tx: &mut dyn Transaction, version: &Version) -> Result<Option<MadeBy>> {
    let Some(Made { run, command, code, environment, parts }) = version.made.clone() else { return Ok(None) };
    let command = match subject::personal(engine, tx, version.creator)? {
        Some(personal) => personal.open(Made::place(&version.id), &command)?,
        None => ERASED.to_owned(),
    };
    Ok(Some(MadeBy { run, provenance: Provenance { command, code, environment, parts } }))
}

/// The names that point to a version.
pub(crate) fn aliases_of(engine: &Engine, tx: &mut dyn Transaction, id: VersionId) -> Result<Vec<String>> {
    let aliases: Vec<Alias> = engine.keys.guard.select(tx, "WHERE version = $1", &[id.as_bytes().into()])?;
    let mut names: Vec<String> = aliases.into_iter().map(|alias| alias.name.into()).collect();
    names.sort();
    Ok(names)
}

/// The record of a version, which must have the digest that the version's row says.
pub(crate) fn record_of(tx: &mut dyn Transaction, version: &Version) -> Result<Vec<u8>> {
    let altered = || Error::Altered { table: "record", row: version.id.to_string() };
    let rows = tx.query("SELECT bytes FROM record WHERE version = $1", &[version.id.as_bytes().into()])?;
    let bytes = rows.optional()?.ok_or_else(altered)?.take_bytes(0)?;
    if hex::encode(hash::sha256(&bytes)) == version.digest { Ok(bytes) } else { Err(altered()) }
}

/// A version's digest as bytes.
pub(crate) fn digest_bytes(version: &Version) -> Result<[u8; 32]> {
    let mut digest = [0; 32];
    hex::decode_to_slice(&version.digest, &mut digest).map_err(|_| Error::Internal("a digest is not hexadecimal"))?;
    Ok(digest)
}

/// What stands for a text that went with the person whose it was.
const ERASED: &str = "(erased)";

/// Something that may be looked at, and the denial that is logged when it may not.
pub(crate) struct Seen<'a> {
    /// A workspace, or a version.
    what: std::result::Result<&'a api::terms::Name, &'a Reference>,
}

impl<'a> Seen<'a> {
    pub(crate) fn workspace(name: &'a api::terms::Name) -> Self {
        Self { what: Ok(name) }
    }

    pub(crate) fn reference(reference: &'a Reference) -> Self {
        Self { what: Err(reference) }
    }

    /// Runs a body that decides; a refusal is logged before it is told.
    pub(crate) fn guarded<T>(
        &self,
        engine: &Engine,
        session: &Session,
        body: impl Fn(&mut dyn Transaction, &Actor) -> Result<T>,
    ) -> Result<T> {
        let answer = engine.store.read(|tx| {
            let actor = facts::actor(engine, tx, session.principal)?;
            body(tx, &actor)
        });
        match answer {
            Err(Error::Unseen(verdict)) => {
                let by = By::session(session, engine.now()?);
                let event = verdict.denial("metadata.list").with("asked", "metadata");
                engine.store.write(|tx| {
                    let ticket = tx.ticket()?;
                    let logged = engine.log(tx, ticket, &by, std::slice::from_ref(&event))?;
                    if logged.is_empty() { Ok(()) } else { engine.keep(tx, ticket, &verdict) }
                })?;
                let who = &session.name;
                Err(verdict.error(&match self.what {
                    Ok(name) => About::new(name.as_str(), who),
                    Err(reference) => About::version(reference, who),
                }))
            }
            other => other,
        }
    }
}

/// Asks whether names may be seen.
pub(crate) fn may_list(
    engine: &Engine,
    tx: &mut dyn Transaction,
    session: &Session,
    actor: &Actor,
    resource: Resource,
) -> Result<()> {
    let rules = engine.rules(tx)?;
    let circumstances = Circumstances { confirmed: true, ..Circumstances::plain(engine.now()?)? };
    let query = facts::query(engine, session, actor, Action::List, resource, &circumstances);
    let verdict = judge(&rules, DecisionId::from_bytes(crate::system::random()?), &query);
    if verdict.answer.allowed { Ok(()) } else { Err(Error::Unseen(Box::new(verdict))) }
}

fn workspace_resource(workspace: &Workspace) -> Resource {
    Resource::Workspace(policy::Workspace { id: workspace.id })
}

fn workspaces(
    engine: &Engine,
    tx: &mut dyn Transaction,
    session: &Session,
    after: Option<&str>,
    limit: u32,
) -> Result<ListPage> {
    let guard = &engine.keys.guard;
    let actor = facts::actor(engine, tx, session.principal)?;
    let (mut items, mut last) = (Vec::new(), after.unwrap_or_default().to_owned());
    loop {
        let tail = "WHERE name > $1 ORDER BY name LIMIT $2";
        let page: Vec<Workspace> = guard.select(tx, tail, &[(&last).into(), i64::from(MAX_PAGE).into()])?;
        let full = page.len() == MAX_PAGE as usize;
        for workspace in page {
            last = workspace.name.to_string();
            // Workspaces that are not visible are left out, as if they were not there.
            match may_list(engine, tx, session, &actor, workspace_resource(&workspace)) {
                Ok(()) => {}
                Err(Error::Unseen(_)) => continue,
                Err(error) => return Err(error),
            }
            if items.len() == limit as usize {
                let next = items.last().map(|item: &ListItem| item.name.clone());
                return Ok(ListPage { items, next });
            }
            let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM artifact WHERE workspace = $1 AND latest > 0";
            let count = tx.query(sql, &[workspace.id.as_bytes().into()])?.one()?.integer(0)?;
            let artifacts = Some(u64::try_from(count).unwrap_or(0));
            items.push(ListItem { name: last.clone(), artifacts, latest: None });
        }
        if !full {
            return Ok(ListPage { items, next: None });
        }
    }
}

fn artifacts(
    engine: &Engine,
    tx: &mut dyn Transaction,
    workspace: &Workspace,
    after: Option<&str>,
    limit: u32,
) -> Result<ListPage> {
    let tail = "WHERE workspace = $1 AND name > $2 AND latest > 0 ORDER BY name LIMIT $3";
    let values = [workspace.id.as_bytes().into(), after.unwrap_or_default().into(), (i64::from(limit) + 1).into()];
    let mut page: Vec<Artifact> = engine.keys.guard.select(tx, tail, &values)?;
    let more = page.len() > limit as usize;
    page.truncate(limit as usize);
    let next = page.last().map(|artifact| artifact.name.to_string()).filter(|_| more);
    let mut items = Vec::with_capacity(page.len());
    for artifact in page {
        let name = artifact.name.to_string();
        if artifact.current == 0 {
            items.push(ListItem { name, artifacts: None, latest: None });
            continue;
        }
        let latest = facts::numbered(engine, tx, &artifact, artifact.current)?;
        let latest = latest.ok_or_else(|| Error::Altered { table: "artifact", row: artifact.id.to_string() })?;
        let found = Found { workspace: workspace.clone(), artifact, version: latest };
        let latest = Some(Box::new(described(engine, tx, found)?));
        items.push(ListItem { name, artifacts: None, latest });
    }
    Ok(ListPage { items, next })
}

/// Counts one more workspace, artifact or version, for `status`.
pub(crate) fn count(tx: &mut dyn Transaction, name: &'static str) -> Result<()> {
    tx.query("UPDATE tally SET value = value + 1 WHERE name = $1", &[name.into()])?;
    Ok(())
}

/// A reference to a version, without a path.
pub(crate) fn parsed(reference: &str) -> Result<Reference> {
    let bad = |error: api::terms::ReferenceError| Error::bad("the reference", error.to_string());
    let parsed: Reference = reference.parse().map_err(bad)?;
    if parsed.path.is_some() {
        Err(Error::bad("the reference", "it names a path inside, which the client looks up"))
    } else {
        Ok(parsed)
    }
}
