//! `Explain`: the decision that would be made, by the same code, without acting and without an entry.

use crate::acts::{Wanted, look};
use crate::datastore::Transaction;
use crate::decide::{About, THE_VAULT, judge};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::facts::{self, Actor, Circumstances, Stated};
use crate::people::VAULT_WIDE;
use crate::rows::Artifact;
use crate::session::Session;
use crate::show;
use crate::write::{Wished, class_of};
use api::terms::{Action, ArtifactId, DecisionId, Environment, Kind, Name, Reference, Selector, WorkspaceId};
use api::wire::{Explain, Refusal};
use policy::Resource;

/// What would be answered. Whoever may list principals may ask about another, for the answer tells what that list tells; and whoever
/// may not know of what is asked about gets the answer of what is not there.
pub(crate) fn explain(engine: &Engine, session: &Session, command: &Explain) -> Result<Refusal> {
    let other = command.principal.as_ref().filter(|name| **name != session.name);
    if other.is_some() {
        look(engine, session, &Wanted::vault(Action::List, "policy.explain"))?;
    }
    let circumstances_of = |path: &str| {
        let stated = Stated { reason: command.reason.as_deref(), confirm: command.confirm.as_deref() };
        Circumstances::stated(engine.now()?, &stated, path)
    };
    engine.store.read(|tx| {
        let caller = facts::actor(engine, tx, session.principal)?;
        let (actor, who) = match other {
            None => (caller.clone(), &session.name),
            Some(name) => {
                let row = facts::principal_named(engine, tx, name)?;
                let row = row.ok_or_else(|| Error::NotFound(format!("the principal {name}")))?;
                (facts::actor(engine, tx, row.id)?, name)
            }
        };
        let Subject { resource, about, conflict } =
            Question { engine, actor: &actor, who: who.as_str(), command }.resource(tx)?;
        let rules = engine.rules(tx)?;
        let circumstances = circumstances_of(&about.path)?;
        let judged = |actor: &Actor, action: Action| {
            let query = facts::query(engine, session, actor, action, resource.clone(), &circumstances);
            judge(&rules, DecisionId::from_bytes([0; 16]), &query)
        };
        let verdict = judged(&actor, command.action);
        let told = match other {
            None => &verdict,
            Some(_) => &judged(&caller, Action::List),
        };
        if !told.answer.visible && !told.answer.allowed {
            return Err(Error::NotFound(about.named));
        }
        // As for a `put`: only whoever may write there learns what stands against it.
        match conflict.filter(|_| verdict.answer.allowed) {
            Some(conflict) => Err(conflict),
            None => Ok(verdict.refusal(&about, None)),
        }
    })
}

struct Question<'a> {
    engine: &'a Engine,
    actor: &'a Actor,
    who: &'a str,
    command: &'a Explain,
}

/// What is asked about.
struct Subject {
    resource: Resource,
    about: About,
    conflict: Option<Error>,
}

impl Subject {
    fn new(resource: Resource, about: About) -> Self {
        Self { resource, about, conflict: None }
    }
}

impl Question<'_> {
    /// What is asked about, as the act itself would ask: the vault, a workspace, a version, or the version that a `put` would make.
    fn resource(&self, tx: &mut dyn Transaction) -> Result<Subject> {
        let (engine, action) = (self.engine, self.command.action);
        let text = match self.command.reference.as_deref() {
            None | Some(VAULT_WIDE) if !of_versions(action) => {
                return Ok(Subject::new(Resource::Vault, About::new(THE_VAULT, self.who)));
            }
            None => return Err(self.misplaced("name the WORKSPACE/ARTIFACT that it is about")),
            Some(text) => text,
        };
        if of_vault(action) {
            return Err(self.misplaced("it is about the vault: leave the reference out"));
        }
        if let Ok(name) = text.parse::<Name>() {
            if of_versions(action) {
                return Err(self.misplaced("it is about a version: WORKSPACE/ARTIFACT[@v3|@alias]"));
            }
            let workspace = facts::workspace_named(engine, tx, &name)?;
            let workspace = workspace.ok_or_else(|| Error::NotFound(name.to_string()))?;
            let resource = Resource::Workspace(policy::Workspace { id: workspace.id });
            return Ok(Subject::new(resource, About::new(name.as_str(), self.who)));
        }
        if action == Action::RotateKeys {
            return Err(self.misplaced("it is about a workspace, or about the vault without a reference"));
        }
        let reference = show::parsed(text)?;
        if matches!(action, Action::Write | Action::Alias) && reference.selector == Selector::Latest {
            return self.new_version(tx, &reference);
        }
        let found = facts::resolve(engine, tx, &reference)?.ok_or_else(|| Error::NotFound(reference.to_string()))?;
        Ok(Subject::new(found.resource(), About::version(&reference, self.who)))
    }

    /// The version that a `put` would make.
    fn new_version(&self, tx: &mut dyn Transaction, reference: &Reference) -> Result<Subject> {
        let (engine, command) = (self.engine, self.command);
        let workspace = facts::workspace_named(engine, tx, &reference.workspace)?;
        let found = match &workspace {
            Some(workspace) => facts::artifact_named(engine, tx, workspace, &reference.artifact)?,
            None => None,
        };
        let wished = Wished { class: command.class, at_least: command.at_least };
        let (class, conflict) = match (command.action, command.class) {
            // The version that an alias leaves may be of a lower class than the artifact is now.
            (Action::Alias, Some(class)) => (class, None),
            _ => {
                let classed = class_of(workspace.as_ref(), found.as_ref(), wished);
                (classed.class, classed.conflict)
            }
        };
        let environment = command.environment.unwrap_or(Environment::Dev);
        let artifact = match found {
            Some(artifact) => artifact,
            None => Artifact {
                id: ArtifactId::from_bytes(crate::system::random()?),
                workspace: match &workspace {
                    Some(workspace) => workspace.id,
                    None => WorkspaceId::from_bytes(crate::system::random()?),
                },
                name: reference.artifact.clone(),
                kind: command.kind.unwrap_or(Kind::Other),
                class,
                created: engine.now()?,
                creator: self.actor.row.id,
                latest: 0,
            },
        };
        let path = format!("{}/{}", reference.workspace, reference.artifact);
        let about = About::placed(path, self.who, (class, environment));
        Ok(Subject { resource: facts::resource_of(&artifact, class, environment), about, conflict })
    }

    fn misplaced(&self, why: &str) -> Error {
        Error::bad("the question", format!("`{}`: {why}", self.command.action))
    }
}

/// Actions that are rights on a version, or on one that a `put` would make.
const fn of_versions(action: Action) -> bool {
    matches!(action, Action::Read | Action::Export | Action::Write | Action::Alias)
}

/// Actions that are rights on the vault itself and on nothing below it.
const fn of_vault(action: Action) -> bool {
    matches!(action, Action::ManagePrincipals | Action::ManagePolicy | Action::Audit | Action::Collect)
}
