//! `Explain`: the decision that would be made, by the same code, without acting and without an entry.

use crate::decide::{About, judge};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::facts::{self, Actor, Circumstances, Stated};
use crate::rows::Artifact;
use crate::session::Session;
use crate::show;
use api::terms::{Action, ArtifactId, DecisionId, Environment, Kind, Name, Selector, WorkspaceId};
use api::wire::{Explain, Refusal};
use policy::Resource;

/// What would be answered. Anybody may be asked about in any mode: nothing acts.
pub(crate) fn explain(engine: &Engine, session: &Session, command: &Explain) -> Result<Refusal> {
    let circumstances_of = |path: &str| {
        let stated = Stated { reason: command.reason.as_deref(), confirm: command.confirm.as_deref() };
        Circumstances::stated(engine.now()?, &stated, path)
    };
    engine.store.read(|tx| {
        let (actor, who) = match &command.principal {
            None => (facts::actor(engine, tx, session.principal)?, session.name.to_string()),
            Some(name) => {
                let row = facts::principal_named(engine, tx, name)?;
                let row = row.ok_or_else(|| Error::NotFound(format!("the principal {name}")))?;
                (facts::actor(engine, tx, row.id)?, name.to_string())
            }
        };
        let (resource, path) = resource(engine, tx, &actor, command)?;
        let rules = engine.rules(tx)?;
        let circumstances = circumstances_of(&path)?;
        let query = facts::query(engine, session, &actor, command.action, resource, &circumstances);
        let verdict = judge(&rules, DecisionId::from_bytes([0; 16]), &query);
        Ok(verdict.refusal(&About { path, who }, None))
    })
}

/// What a reference names for an action: a version, an artifact that a first `put` would make, a workspace, or the vault.
fn resource(
    engine: &Engine,
    tx: &mut dyn crate::datastore::Transaction,
    actor: &Actor,
    command: &Explain,
) -> Result<(Resource, String)> {
    let text = command.reference.as_str();
    if vault_wide(command.action) {
        return Ok((Resource::Vault, "the vault".into()));
    }
    if let Ok(name) = text.parse::<Name>() {
        let workspace = facts::workspace_named(engine, tx, &name)?;
        let workspace = workspace.ok_or_else(|| Error::NotFound(name.to_string()))?;
        return Ok((Resource::Workspace(policy::Workspace { id: workspace.id }), name.to_string()));
    }
    let reference = show::parsed(text)?;
    let path = format!("{}/{}", reference.workspace, reference.artifact);
    if let Some(found) = facts::resolve(engine, tx, &reference)? {
        return Ok((found.resource(), path));
    }
    if command.action != Action::Write || reference.selector != Selector::Latest {
        return Err(Error::NotFound(reference.to_string()));
    }
    let workspace = facts::workspace_named(engine, tx, &reference.workspace)?;
    let default = workspace.as_ref().and_then(|workspace| workspace.default_class);
    let id = workspace.map_or(WorkspaceId::from_bytes(crate::system::random()?), |workspace| workspace.id);
    let artifact = Artifact {
        id: ArtifactId::from_bytes(crate::system::random()?),
        workspace: id,
        name: reference.artifact.clone(),
        kind: Kind::Other,
        class: policy::default_class(default),
        created: engine.now()?,
        creator: actor.row.id,
        latest: 0,
    };
    Ok((facts::resource_of(&artifact, artifact.class, Environment::Dev), path))
}

/// Actions that are rights on the vault itself.
const fn vault_wide(action: Action) -> bool {
    match action {
        Action::RotateKeys | Action::ManagePrincipals | Action::ManagePolicy | Action::Audit | Action::Collect => true,
        Action::List | Action::Read | Action::Export | Action::Write | Action::Alias => false,
    }
}
