//! `Explain`: the decision that would be made, by the same code, without acting and without an entry.

use crate::acts::{Wanted, look};
use crate::datastore::Transaction;
use crate::decide::{About, THE_VAULT, judge};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::facts::{self, Actor, Circumstances, Stated};
use crate::keys::named::Named;
use crate::keys::state;
use crate::people::VAULT_WIDE;
use crate::removal;
use crate::rows::Artifact;
use crate::session::Session;
use crate::show;
use crate::write::{Wished, class_of, named};
use api::terms::{Action, ArtifactId, Class, DecisionId, Environment, Kind, Name, Reference, Selector, WorkspaceId};
use api::wire::{Explain, Refusal};
use policy::Resource;

/// What would be answered. Whoever may list principals may ask about another, for the answer tells what that list tells; and whoever
/// may not know of what is asked about gets the answer of what is not there.
pub(crate) fn explain(engine: &Engine, session: &Session, command: &Explain) -> Result<Refusal> {
    let other = command.principal.as_ref().filter(|name| **name != session.name);
    if other.is_some() {
        look(engine, session, &Wanted::vault(Action::List, "policy.explain"))?;
    }
    named::form(None, &command.from)?;
    let now = engine.now()?;
    engine.store.read(|tx| {
        let caller = facts::actor(engine, tx, session.principal)?;
        let (actor, who) = match other {
            None => (caller.clone(), &session.name),
            Some(name) => {
                let row = facts::principal_named(engine, tx, name)?;
                let row = row.ok_or_else(|| Error::NoPrincipal(name.clone()))?;
                (facts::actor(engine, tx, row.id)?, name)
            }
        };
        let Subject { resource, about, conflict, removed, apart } =
            Question { engine, actor: &actor, who: who.as_str(), command }.resource(tx)?;
        let rules = engine.rules(tx)?;
        let stated = Stated { reason: command.reason.as_deref(), confirm: command.confirm.as_deref() };
        let circumstances = Circumstances::stated(now, &stated, &about.path)?;
        let judged = |actor: &Actor, action: Action| {
            let query = facts::query(engine, session, actor, action, resource.clone(), &circumstances);
            judge(&rules, DecisionId::from_bytes([0; 16]), &query)
        };
        let mut verdict = judged(&actor, command.action);
        if apart && verdict.answer.allowed {
            let besides = judged(&actor, Action::ArchiveRead);
            verdict = if besides.answer.allowed { verdict } else { besides };
        }
        let told = match other {
            None => &verdict,
            Some(_) => &judged(&caller, Action::List),
        };
        if !told.answer.visible && !told.answer.allowed {
            return Err(Error::NotFound(about.named));
        }
        // As for the act: whoever sees it learns that it is opened by nobody, whatever else is decided.
        if let Some(removed) = removed
            && judged(&caller, Action::List).answer.allowed
        {
            return Err(removed);
        }
        // As for a `put`: only whoever may write there learns what stands against it.
        if verdict.answer.allowed {
            if let Some(conflict) = conflict {
                return Err(conflict);
            }
            // What the caller does not see is not told of by what another sees.
            named::lineage(engine, session, tx, (&caller, now), &command.from)?;
            named::lineage(engine, session, tx, (&actor, now), &command.from)?;
        }
        Ok(verdict.refusal(&about, None))
    })
}

/// The version that a `put` would make, its class, how it is told of, and what stands against it.
pub(crate) fn written(
    engine: &Engine,
    tx: &mut dyn Transaction,
    actor: &Actor,
    who: &str,
    asked: &Explain,
) -> Result<(Resource, Class, About, Option<Error>)> {
    let Subject { resource, about, conflict, .. } = Question { engine, actor, who, command: asked }.resource(tx)?;
    match resource {
        Resource::Artifact(ref artifact) => {
            let class = artifact.class;
            Ok((resource, class, about, conflict))
        }
        _ => Err(Error::Internal("a put goes to no artifact")),
    }
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
    /// It was removed, and what is asked would open it.
    removed: Option<Error>,
    /// It is archived, and what is asked would open it.
    apart: bool,
}

impl Subject {
    fn new(resource: Resource, about: About) -> Self {
        Self { resource, about, conflict: None, removed: None, apart: false }
    }
}

impl Question<'_> {
    /// What is asked about, as the act itself would ask: the vault, a workspace, a version, or the version that a `put` would make.
    fn resource(&self, tx: &mut dyn Transaction) -> Result<Subject> {
        let (engine, action) = (self.engine, self.command.action);
        let text = match self.command.reference.as_deref() {
            None | Some(VAULT_WIDE) if !of_versions(action) => {
                self.fits(VAULT_WIDE)?;
                return Ok(Subject::new(Resource::Vault, About::new(THE_VAULT, self.who)));
            }
            None => return Err(self.misplaced("name the WORKSPACE/ARTIFACT that it is about")),
            Some(text) => text,
        };
        self.fits(text)?;
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
        if matches!(action, Action::RotateKeys | Action::ManageKeys | Action::Audit) {
            return Err(self.misplaced("it is about a workspace, or about the vault without a reference"));
        }
        let reference = show::parsed(text)?;
        if of_named(action) {
            let named = named_of(engine, tx, &reference)?;
            let (seals, opens) = (action == Action::Encrypt, action == Action::Decrypt);
            let conflict = state::refuse_named(engine, tx, &named, &named.newest, (seals, opens)).err();
            let about = About::new(named.path(), self.who);
            return Ok(Subject { conflict, ..Subject::new(named.resource(), about) });
        }
        if of_put(action) && reference.selector == Selector::Latest {
            return self.new_version(tx, &reference);
        }
        if action == Action::Write {
            return Err(self.misplaced("a put goes to WORKSPACE/ARTIFACT, without a version"));
        }
        let found = facts::resolve(engine, tx, &reference)?.ok_or_else(|| Error::NotFound(reference.to_string()))?;
        let gone = if opens(action) { removal::refuse(&found).err() } else { None };
        // Moving an alias is decided first; opening is not.
        let (conflict, removed) = if action == Action::Alias { (gone, None) } else { (None, gone) };
        // So is whether its keys open.
        let keys = [Action::Read, Action::Export, Action::Scan, Action::Reencrypt, Action::ArchiveRead];
        let conflict = match removed.is_none() && keys.contains(&action) {
            true => state::refuse_shut(engine, tx, &found.version, &found.named(), action.into()).err(),
            false => conflict,
        };
        let apart = found.is_apart(action);
        Ok(Subject { conflict, removed, apart, ..Subject::new(found.resource(), About::version(&reference, self.who)) })
    }

    /// The version that a `put` would make.
    fn new_version(&self, tx: &mut dyn Transaction, reference: &Reference) -> Result<Subject> {
        let (engine, command) = (self.engine, self.command);
        named::place(&reference.workspace)?;
        let workspace = facts::workspace_named(engine, tx, &reference.workspace)?;
        let found = match &workspace {
            Some(workspace) => facts::artifact_named(engine, tx, workspace, &reference.artifact)?,
            None => None,
        };
        let wished = Wished { class: command.class, at_least: command.at_least, kind: command.kind };
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
            Some(artifact) => artifact.begun_by(self.actor.row.id, command.kind, class, engine.now()?),
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
                current: 0,
                retention: None,
                holds: std::collections::BTreeMap::new(),
            },
        };
        let path = format!("{}/{}", reference.workspace, reference.artifact);
        let about = About::placed(path, self.who, (class, environment));
        Ok(Subject { conflict, ..Subject::new(facts::resource_of(&artifact, class, environment), about) })
    }

    /// Refuses what such a question does not ask for: nothing that was said is left out of the answer.
    fn fits(&self, text: &str) -> Result<()> {
        let Explain { action, class, at_least, environment, kind, from, reason, confirm, .. } = self.command;
        let is_new = |reference: Reference| reference.selector == Selector::Latest;
        let of_new = of_put(*action) && show::parsed(text).is_ok_and(is_new);
        let placed = class.is_some() || at_least.is_some() || environment.is_some() || kind.is_some();
        if placed && !of_new {
            return Err(
                self.misplaced("class, environment and kind apply only to `write` and `alias` of WORKSPACE/ARTIFACT")
            );
        }
        if !from.is_empty() && *action != Action::Write {
            return Err(self.misplaced("sources apply only to `write`"));
        }
        if (reason.is_some() || confirm.is_some())
            && !of_keys(*action)
            && !matches!(action, Action::Remove | Action::DestroyKeys)
        {
            return Err(self.misplaced(
                "a reason and a confirmation apply only to `list`, `read`, `export`, `archive-read`, `decrypt`, `remove`, `destroy-keys` and `reencrypt`",
            ));
        }
        Ok(())
    }

    fn misplaced(&self, why: &str) -> Error {
        Error::bad("the question", format!("`{}`: {why}", self.command.action))
    }
}

/// Actions that are rights on a version, or on one that a `put` would make.
pub(crate) const fn of_versions(action: Action) -> bool {
    matches!(
        action,
        Action::Read
            | Action::Export
            | Action::Write
            | Action::Alias
            | Action::Scan
            | Action::Remove
            | Action::Restore
            | Action::Hold
            | Action::DestroyKeys
            | Action::Reencrypt
            | Action::Encrypt
            | Action::Decrypt
            | Action::ArchiveRead
    )
}

/// Actions that are rights on a named key.
pub(crate) const fn of_named(action: Action) -> bool {
    matches!(action, Action::Encrypt | Action::Decrypt)
}

/// The named key that `WORKSPACE/NAME` means.
pub(crate) fn named_of(engine: &Engine, tx: &mut dyn Transaction, reference: &Reference) -> Result<Named> {
    if reference.selector != Selector::Latest {
        return Err(Error::bad("the question", "a named key is WORKSPACE/NAME, without a version"));
    }
    let found = Named::find(engine, tx, &reference.workspace, &reference.artifact)?;
    found.ok_or_else(|| Error::NotFound(reference.to_string()))
}

/// Actions that a `put` asks for.
const fn of_put(action: Action) -> bool {
    matches!(action, Action::Write | Action::Alias)
}

/// Actions that have keys released.
const fn of_keys(action: Action) -> bool {
    matches!(
        action,
        Action::List | Action::Read | Action::Export | Action::Reencrypt | Action::Decrypt | Action::ArchiveRead
    )
}

/// Actions that open a version, or say that it is opened: refused of what was removed. It is still shown (`list`).
pub(crate) const fn opens(action: Action) -> bool {
    matches!(
        action,
        Action::Read | Action::Export | Action::Scan | Action::Alias | Action::Reencrypt | Action::ArchiveRead
    )
}

/// Actions that are rights on the vault itself and on nothing below it.
pub(crate) const fn of_vault(action: Action) -> bool {
    matches!(action, Action::ManagePrincipals | Action::ManagePolicy | Action::Collect | Action::Backup)
}
