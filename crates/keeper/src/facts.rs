//! What a decision is about: rows, read and checked, in the policy's words.

use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::rows::{self, Alias, Artifact, Grant, Principal, Table, Version, Workspace};
use crate::session::Session;
use crate::subject;
use api::terms::{Action, Class, Environment, Name, PrincipalId, Reference, Selector, Timestamp, VersionId};
use policy::{Context, Held, PrincipalState, Query, Resource, Role, Scope};

/// The most grants of one principal that are read.
const MAX_GRANTS: i64 = 1024;

/// Who acts: the principal with its grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Actor {
    pub(crate) row: Principal,
    pub(crate) grants: Vec<Grant>,
}

/// A version with everything above it.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) workspace: Workspace,
    pub(crate) artifact: Artifact,
    pub(crate) version: Version,
}

/// The circumstances that the caller may state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stated<'a> {
    pub(crate) reason: Option<&'a str>,
    pub(crate) confirm: Option<&'a str>,
}

/// A principal's row and grants. Principals stay: one whose row is gone was taken out of the database.
pub(crate) fn actor(engine: &Engine, tx: &mut dyn Transaction, id: PrincipalId) -> Result<Actor> {
    let guard = &engine.keys.guard;
    let row = guard.expect(tx, id.as_bytes())?;
    let grants =
        guard.select(tx, "WHERE principal = $1 ORDER BY id LIMIT $2", &[id.as_bytes().into(), MAX_GRANTS.into()])?;
    Ok(Actor { row, grants })
}

/// A principal by name.
pub(crate) fn principal_named(engine: &Engine, tx: &mut dyn Transaction, name: &Name) -> Result<Option<Principal>> {
    subject::named(engine, tx, name)
}

/// The name of a principal; of somebody who was erased, the id.
pub(crate) fn name_of(engine: &Engine, tx: &mut dyn Transaction, id: PrincipalId) -> Result<String> {
    subject::name_of(engine, tx, id)
}

/// A workspace by name.
pub(crate) fn workspace_named(engine: &Engine, tx: &mut dyn Transaction, name: &Name) -> Result<Option<Workspace>> {
    Ok(engine.keys.guard.select(tx, "WHERE name = $1", &[name.as_str().into()])?.pop())
}

/// An artifact by name.
pub(crate) fn artifact_named(
    engine: &Engine,
    tx: &mut dyn Transaction,
    workspace: &Workspace,
    name: &Name,
) -> Result<Option<Artifact>> {
    let values = [workspace.id.as_bytes().into(), name.as_str().into()];
    Ok(engine.keys.guard.select(tx, "WHERE workspace = $1 AND name = $2", &values)?.pop())
}

/// The version that a reference names now.
pub(crate) fn resolve(engine: &Engine, tx: &mut dyn Transaction, reference: &Reference) -> Result<Option<Found>> {
    let Some(workspace) = workspace_named(engine, tx, &reference.workspace)? else { return Ok(None) };
    let Some(artifact) = artifact_named(engine, tx, &workspace, &reference.artifact)? else { return Ok(None) };
    let version = selected(engine, tx, &artifact, &reference.selector)?;
    Ok(version.map(|version| Found { workspace, artifact, version }))
}

/// The version of an artifact that a selector names now.
pub(crate) fn selected(
    engine: &Engine,
    tx: &mut dyn Transaction,
    artifact: &Artifact,
    selector: &Selector,
) -> Result<Option<Version>> {
    let guard = &engine.keys.guard;
    let found = match selector {
        Selector::Latest => return numbered(engine, tx, artifact, artifact.current),
        Selector::Number(number) => return numbered(engine, tx, artifact, *number),
        Selector::Alias(name) => match guard.find::<Alias>(tx, &Alias::id_of(artifact.id, name))? {
            Some(alias) => guard.find(tx, alias.version.as_bytes())?,
            None => None,
        },
        Selector::Id(id) => guard.find(tx, id.as_bytes())?,
    };
    Ok(found.filter(|version: &Version| version.artifact == artifact.id))
}

/// A version by number.
pub(crate) fn numbered(
    engine: &Engine,
    tx: &mut dyn Transaction,
    artifact: &Artifact,
    number: u64,
) -> Result<Option<Version>> {
    let Ok(number) = i64::try_from(number) else { return Ok(None) };
    let values = [artifact.id.as_bytes().into(), number.into()];
    Ok(engine.keys.guard.select(tx, "WHERE artifact = $1 AND number = $2", &values)?.pop())
}

/// A version by id, with everything above it.
pub(crate) fn found_by_id(engine: &Engine, tx: &mut dyn Transaction, id: VersionId) -> Result<Option<Found>> {
    let guard = &engine.keys.guard;
    let Some(version) = guard.find::<Version>(tx, id.as_bytes())? else { return Ok(None) };
    let artifact: Artifact = guard.expect(tx, version.artifact.as_bytes())?;
    let workspace = guard.expect(tx, artifact.workspace.as_bytes())?;
    Ok(Some(Found { workspace, artifact, version }))
}

/// Refuses rows that do not belong together.
pub(crate) fn coherent(found: &Found) -> Result<()> {
    let Found { workspace, artifact, version } = found;
    let together =
        version.artifact == artifact.id && version.workspace == workspace.id && artifact.workspace == workspace.id;
    if together { Ok(()) } else { Err(Error::Altered { table: rows::Version::NAME, row: version.id.to_string() }) }
}

impl Actor {
    /// In the policy's words. Grants that name a role of a later release are left out, which only takes rights away.
    pub(crate) fn facts(&self) -> policy::Principal {
        let held = |grant: &Grant| {
            let scope = grant.workspace.map_or(Scope::Vault, Scope::Workspace);
            Some(Held { role: grant.role.parse::<Role>().ok()?, scope, until: grant.until })
        };
        policy::Principal {
            id: self.row.id,
            kind: self.row.kind,
            clearance: self.row.clearance,
            state: if self.row.suspended { PrincipalState::Suspended } else { PrincipalState::Active },
            roles: self.grants.iter().filter_map(held).collect(),
            envs: Environment::ALL.to_vec(),
        }
    }
}

/// An artifact in the policy's words, as one class in one environment; held if it is as a whole.
pub(crate) fn resource_of(artifact: &Artifact, class: Class, env: Environment) -> Resource {
    Resource::Artifact(policy::Artifact {
        id: artifact.id,
        workspace: artifact.workspace,
        class,
        env,
        kind: artifact.kind,
        owner: Some(artifact.creator),
        quarantined: false,
        held: artifact.holds.values().any(|hold| hold.version.is_none()),
        residency: Vec::new(),
    })
}

impl Found {
    /// In the policy's words.
    pub(crate) fn resource(&self) -> Resource {
        match resource_of(&self.artifact, self.version.class, self.version.environment) {
            Resource::Artifact(facts) => {
                Resource::Artifact(policy::Artifact { held: self.artifact.holds(self.version.id), ..facts })
            }
            other => other,
        }
    }

    /// Whether an action opens something of the archive, which wants the right to that besides. Names of files and prints are told of what
    /// is archived as of anything else.
    pub(crate) fn is_apart(&self, action: Action) -> bool {
        self.version.archived.is_some() && matches!(action, Action::Read | Action::Export)
    }

    /// `workspace/artifact`.
    pub(crate) fn path(&self) -> String {
        format!("{}/{}", self.workspace.name, self.artifact.name)
    }

    /// `workspace/artifact@vN`.
    pub(crate) fn named(&self) -> String {
        format!("{}@v{}", self.path(), self.version.number)
    }
}

/// What wraps the keys of a resource: of the vault's roots, those that its class admits.
pub(crate) fn roots_of(engine: &Engine, resource: &Resource) -> Vec<api::terms::RootKind> {
    let place = match resource {
        Resource::Artifact(facts) => {
            Some(rows::Domain { workspace: facts.workspace, environment: facts.env, class: facts.class })
        }
        Resource::Workspace(_) | Resource::Vault => None,
    };
    engine.domains.roots.terms(place.as_ref())
}

/// The question to the policy.
pub(crate) fn query(
    engine: &Engine,
    session: &Session,
    actor: &Actor,
    action: Action,
    resource: Resource,
    circumstances: &Circumstances,
) -> Query {
    let context = Context {
        auth: session.method,
        mfa: session.presence.facts(),
        reason_given: circumstances.reason_given,
        confirmed: circumstances.confirmed,
        roots: roots_of(engine, &resource),
        ..Context::new(circumstances.now, engine.mode)
    };
    Query { vault: engine.vault, principal: actor.facts(), action, resource, context, salt: circumstances.salt }
}

/// What is true of one attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    pub(crate) now: Timestamp,
    pub(crate) reason_given: bool,
    pub(crate) confirmed: bool,
    pub(crate) salt: [u8; 16],
}

impl Circumstances {
    /// With nothing stated.
    pub(crate) fn plain(now: Timestamp) -> Result<Self> {
        Ok(Self { now, reason_given: false, confirmed: false, salt: crate::system::random()? })
    }

    /// With a reason and a confirmation, which must be the artifact's path to count.
    pub(crate) fn stated(now: Timestamp, stated: &Stated<'_>, path: &str) -> Result<Self> {
        Ok(Self {
            reason_given: stated.reason.is_some_and(|reason| !reason.trim().is_empty()),
            confirmed: stated.confirm == Some(path),
            ..Self::plain(now)?
        })
    }
}
