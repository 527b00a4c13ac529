//! `who-can`: every principal that may do something, with what lets it and what is asked of it first.
//!
//! Principals that the policies cannot tell apart are asked about once ([`policy::Likeness`]), so that ten thousand cost no more than the
//! few kinds of them that there are.

use super::then::Then;
use crate::acts::{Under, Wanted, look_as};
use crate::datastore::{Transaction, Value};
use crate::decide::{About, THE_VAULT};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::explain::{named_of, of_named, of_vault, of_versions, opens};
use crate::facts::{self, Actor};
use crate::keys::named::Named;
use crate::keys::state;
use crate::people::VAULT_WIDE;
use crate::removal;
use crate::rows::{Alias, Artifact, Grant, Principal, Version, Workspace};
use crate::session::Session;
use crate::show;
use api::terms::{Action, Class, Environment, Name, PrincipalId, Reference, Selector, Timestamp};
use api::wire::{Granted, Holder, WhoCan, WhoCanPage};
use policy::{Advice, Context, Likeness, Query, Resource, Role, Set, Standing, standing};
use std::collections::HashMap;
use std::sync::Arc;

/// The longest page.
const MAX_PAGE: u32 = 10_000;
/// The most principals that are looked at.
const MAX_PRINCIPALS: usize = 100_000;
/// Rows of people read at a time.
const STEP: i64 = 10_000;

/// Those who may, by name.
pub(crate) fn who_can(engine: &Engine, session: &Session, command: &WhoCan) -> Result<WhoCanPage> {
    let now = engine.now()?;
    let at = command.as_of.unwrap_or(now);
    if at > now {
        return Err(Error::bad("the question", "it is about a time to come: who may then is not known"));
    }
    let place = engine.store.read(|tx| Place::of(engine, tx, command))?;
    look_as(engine, session, &place.wanted(), &place.about(session))?;
    let then = match command.as_of {
        None => None,
        Some(at) => Some(Then::read(engine, at, place.alias().as_ref())?),
    };
    engine.store.read(|tx| {
        let subject = place.subject(engine, tx, command, then.as_ref(), at)?;
        let (actors, rules) = match &then {
            None => (actors(engine, tx, &place)?, engine.rules(tx)?),
            Some(then) => (then.actors(tx)?, then.rules(engine, tx)?),
        };
        Asked { engine, command, place: &place, subject, actors, rules, at }.page(tx)
    })
}

/// What is asked about, as it is named.
enum Place {
    Vault,
    Workspace(Workspace),
    Artifact(Box<(Workspace, Artifact, Reference)>),
    Named(Box<Named>),
}

/// What is decided on.
struct Subject {
    resource: Resource,
    about: String,
    class: Option<Class>,
    environment: Option<Environment>,
    /// It was archived then, and what is asked would open it.
    apart: bool,
}

impl Place {
    fn of(engine: &Engine, tx: &mut dyn Transaction, command: &WhoCan) -> Result<Self> {
        let action = command.action;
        let misplaced = |why: &str| Err(Error::bad("the question", format!("`{action}`: {why}")));
        if command.environment.is_some() && action != Action::Write {
            return misplaced("an environment applies only to `write`");
        }
        let text = match command.reference.as_deref() {
            None | Some(VAULT_WIDE) if !of_versions(action) => return Ok(Self::Vault),
            None => return misplaced("name the WORKSPACE/ARTIFACT that it is about"),
            Some(text) => text,
        };
        if of_vault(action) {
            return misplaced("it is about the vault: leave the reference out");
        }
        if let Ok(name) = text.parse::<Name>() {
            if of_versions(action) {
                return misplaced("it is about a version: WORKSPACE/ARTIFACT[@v3|@alias]");
            }
            let workspace = facts::workspace_named(engine, tx, &name)?;
            return Ok(Self::Workspace(workspace.ok_or_else(|| Error::NotFound(name.to_string()))?));
        }
        if matches!(action, Action::RotateKeys | Action::ManageKeys | Action::Audit) {
            return misplaced("it is about a workspace, or about the vault without a reference");
        }
        let reference = show::parsed(text)?;
        if of_named(action) {
            return Ok(Self::Named(Box::new(named_of(engine, tx, &reference)?)));
        }
        if action == Action::Write && reference.selector != Selector::Latest {
            return misplaced("a put goes to WORKSPACE/ARTIFACT, without a version");
        }
        let not_found = || Error::NotFound(reference.to_string());
        let workspace = facts::workspace_named(engine, tx, &reference.workspace)?.ok_or_else(not_found)?;
        let artifact = facts::artifact_named(engine, tx, &workspace, &reference.artifact)?.ok_or_else(not_found)?;
        Ok(Self::Artifact(Box::new((workspace, artifact, reference))))
    }

    /// Whoever asks must be one who may see rights there, now.
    fn wanted(&self) -> Wanted {
        let (resource, path) = match self {
            Self::Vault => (Resource::Vault, THE_VAULT.to_owned()),
            Self::Workspace(workspace) => {
                (Resource::Workspace(policy::Workspace { id: workspace.id }), workspace.name.to_string())
            }
            Self::Artifact(place) => {
                let (_, artifact, reference) = &**place;
                (facts::resource_of(artifact, artifact.class, Environment::Dev), reference.to_string())
            }
            Self::Named(named) => (named.resource(), named.path()),
        };
        Wanted { action: Action::Review, resource, act: "who-can", path, under: Under::Current }
    }

    fn about(&self, session: &Session) -> About {
        match self {
            Self::Artifact(place) => About::version(&place.2, &session.name),
            Self::Vault | Self::Workspace(_) | Self::Named(_) => About::new(self.wanted().path, &session.name),
        }
    }

    /// The alias by which a version is named.
    fn alias(&self) -> Option<[u8; 16]> {
        match self {
            Self::Artifact(place) => match &place.2.selector {
                Selector::Alias(name) => Some(Alias::id_of(place.1.id, name)),
                _ => None,
            },
            Self::Vault | Self::Workspace(_) | Self::Named(_) => None,
        }
    }

    fn workspace(&self) -> Option<&Workspace> {
        match self {
            Self::Vault => None,
            Self::Workspace(workspace) => Some(workspace),
            Self::Artifact(place) => Some(&place.0),
            Self::Named(named) => Some(&named.workspace),
        }
    }

    /// What is decided on, as it was.
    fn subject(
        &self,
        engine: &Engine,
        tx: &mut dyn Transaction,
        command: &WhoCan,
        then: Option<&Then>,
        at: Timestamp,
    ) -> Result<Subject> {
        let plain = |resource, about: String| Subject { resource, about, class: None, environment: None, apart: false };
        let (workspace, artifact, reference) = match self {
            Self::Vault => return Ok(plain(Resource::Vault, VAULT_WIDE.to_owned())),
            Self::Workspace(workspace) if workspace.created > at => {
                return Err(Error::NotFound(workspace.name.to_string()));
            }
            Self::Workspace(workspace) => {
                let resource = Resource::Workspace(policy::Workspace { id: workspace.id });
                return Ok(plain(resource, workspace.name.to_string()));
            }
            Self::Named(named) if named.row.created > at => return Err(Error::NotFound(named.path())),
            Self::Named(named) => {
                let (class, environment) = (Some(named.row.domain.class), Some(named.row.domain.environment));
                let (resource, about) = (named.resource(), named.path());
                return Ok(Subject { resource, about, class, environment, apart: false });
            }
            Self::Artifact(place) => &**place,
        };
        let not_found = || Error::NotFound(reference.to_string());
        let path = format!("{}/{}", workspace.name, artifact.name);
        let latest = |tx: &mut dyn Transaction| newest(engine, tx, artifact, at)?.ok_or_else(not_found);
        let (class, environment, about, apart) = if command.action == Action::Write {
            let latest = latest(tx)?;
            let class = if then.is_some() { class_of(engine, tx, artifact, latest.number)? } else { artifact.class };
            (class, command.environment.unwrap_or(Environment::Dev), path, false)
        } else {
            let version = match (&reference.selector, then) {
                (Selector::Latest, _) => Some(latest(tx)?),
                (Selector::Alias(_), Some(then)) => match then.alias {
                    Some(id) => engine.keys.guard.find::<Version>(tx, id.as_bytes())?,
                    None => None,
                },
                (selector, _) => facts::selected(engine, tx, artifact, selector)?,
            };
            let version = version.filter(|version| version.artifact == artifact.id && version.created <= at);
            let version = version.ok_or_else(not_found)?;
            let about = format!("{path}@v{}", version.number);
            if opens(command.action) && !was_there(&version, at) {
                removal::refuse_version(&version, about.clone())?;
            }
            // What a state was then, the log says and the rows do not.
            let keys = [Action::Read, Action::Export, Action::Scan, Action::Reencrypt, Action::ArchiveRead];
            if then.is_none() && keys.contains(&command.action) {
                state::refuse_shut(engine, tx, &version, &about, command.action.into())?;
            }
            let opens = matches!(command.action, Action::Read | Action::Export);
            let apart = opens && version.archived.as_ref().is_some_and(|archived| archived.at <= at);
            (version.class, version.environment, about, apart)
        };
        let resource = facts::resource_of(artifact, class, environment);
        Ok(Subject { resource, about, class: Some(class), environment: Some(environment), apart })
    }
}

fn was_there(version: &Version, at: Timestamp) -> bool {
    version.created <= at && version.removed.as_ref().is_none_or(|removed| at < removed.at)
}

/// The newest version that was there.
fn newest(engine: &Engine, tx: &mut dyn Transaction, artifact: &Artifact, at: Timestamp) -> Result<Option<Version>> {
    let mut below = i64::MAX;
    loop {
        let tail = "WHERE artifact = $1 AND number < $2 ORDER BY number DESC LIMIT 64";
        let page: Vec<Version> = engine.keys.guard.select(tx, tail, &[artifact.id.as_bytes().into(), below.into()])?;
        let Some(last) = page.last() else { return Ok(None) };
        below = i64::try_from(last.number).unwrap_or(0);
        if let Some(found) = page.into_iter().find(|version| was_there(version, at)) {
            return Ok(Some(found));
        }
    }
}

/// The class that an artifact had with this many versions: the highest of theirs.
fn class_of(engine: &Engine, tx: &mut dyn Transaction, artifact: &Artifact, versions: u64) -> Result<Class> {
    let mut class = Class::Public;
    for number in 1..=versions {
        if class == artifact.class {
            break;
        }
        if let Some(version) = facts::numbered(engine, tx, artifact, number)? {
            class = class.max(version.class);
        }
    }
    Ok(class)
}

/// Every principal with the grants that count there.
fn actors(engine: &Engine, tx: &mut dyn Transaction, place: &Place) -> Result<Vec<Actor>> {
    let guard = &engine.keys.guard;
    let mut actors: Vec<Actor> = Vec::new();
    loop {
        let after = actors.last().map_or([0; 16], |actor| *actor.row.id.as_bytes());
        let page: Vec<Principal> =
            guard.select(tx, "WHERE id > $1 ORDER BY id LIMIT $2", &[(&after).into(), STEP.into()])?;
        let full = page.len() as u64 == STEP.unsigned_abs();
        actors.extend(page.into_iter().map(|row| Actor { row, grants: Vec::new() }));
        refuse_more_than_are_looked_at(actors.len())?;
        if !full {
            break;
        }
    }
    let places: HashMap<PrincipalId, usize> = actors.iter().enumerate().map(|(at, actor)| (actor.row.id, at)).collect();
    let mut after = [0; 16];
    loop {
        let (here, values): (&str, Vec<Value<'_>>) = match place.workspace() {
            // Whoever holds a role anywhere is a member of the vault.
            None => ("", vec![(&after).into(), STEP.into()]),
            Some(workspace) => (
                "AND (workspace IS NULL OR workspace = $3) ",
                vec![(&after).into(), STEP.into(), workspace.id.as_bytes().into()],
            ),
        };
        let page: Vec<Grant> = guard.select(tx, &format!("WHERE id > $1 {here}ORDER BY id LIMIT $2"), &values)?;
        let full = page.len() as u64 == STEP.unsigned_abs();
        after = page.last().map_or(after, |grant| *grant.id.as_bytes());
        for grant in page {
            if let Some(actor) = places.get(&grant.principal).and_then(|at| actors.get_mut(*at)) {
                actor.grants.push(grant);
            }
        }
        if !full {
            return Ok(actors);
        }
    }
}

/// Refuses a vault of more people than one answer is made of.
pub(super) fn refuse_more_than_are_looked_at(principals: usize) -> Result<()> {
    if principals <= MAX_PRINCIPALS {
        return Ok(());
    }
    Err(Error::Unsupported(format!("more than {MAX_PRINCIPALS} principals are not looked at")))
}

/// The question, with everything that answers it.
struct Asked<'a> {
    engine: &'a Engine,
    command: &'a WhoCan,
    place: &'a Place,
    subject: Subject,
    actors: Vec<Actor>,
    rules: Arc<Set>,
    at: Timestamp,
}

impl Asked<'_> {
    fn page(&self, tx: &mut dyn Transaction) -> Result<WhoCanPage> {
        let mut answers: HashMap<Likeness, Standing> = HashMap::new();
        let mut holders: Vec<(String, &Actor, Likeness)> = Vec::new();
        for actor in &self.actors {
            let query = self.query(actor, self.command.action);
            // What is archived is opened under that right besides, which asks of whoever acts nothing that opening does not ask.
            if self.subject.apart && !standing(&self.rules, &self.query(actor, Action::ArchiveRead)).may {
                continue;
            }
            let likeness = Likeness::of(&self.rules, &query);
            let stands = answers.entry(likeness.clone()).or_insert_with(|| standing(&self.rules, &query));
            // Other roots are another vault: here nobody does what asks for them.
            if stands.may && !stands.conditions.contains(&Advice::Root) {
                holders.push((facts::name_of(self.engine, tx, actor.row.id)?, actor, likeness));
            }
        }
        holders.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        let limit = self.command.limit.clamp(1, MAX_PAGE) as usize;
        let from = match &self.command.after {
            None => 0,
            Some(after) => holders.partition_point(|(name, ..)| name <= after),
        };
        let rest = holders.get(from..).unwrap_or_default();
        let page = rest.get(..rest.len().min(limit)).unwrap_or_default();
        let next = page.last().map(|(name, ..)| name.clone()).filter(|_| rest.len() > page.len());
        let mut items = Vec::with_capacity(page.len());
        for (name, actor, likeness) in page {
            let stands = answers.get(likeness).ok_or(Error::Internal("an answer was lost"))?;
            items.push(self.holder(tx, name, actor, stands)?);
        }
        Ok(WhoCanPage {
            action: self.command.action,
            about: self.subject.about.clone(),
            class: self.subject.class,
            environment: self.subject.environment,
            as_of: self.at,
            policy_set: self.rules.hash().to_string(),
            principals: self.actors.len() as u64,
            questions: answers.len() as u64,
            items,
            next,
        })
    }

    /// The question about one of them, with nothing proven and nothing given.
    fn query(&self, actor: &Actor, action: Action) -> Query {
        let engine = self.engine;
        let context = Context {
            roots: crate::facts::roots_of(engine, &self.subject.resource),
            ..Context::new(self.at, engine.mode)
        };
        Query {
            vault: engine.vault,
            principal: actor.facts(),
            action,
            resource: self.subject.resource.clone(),
            context,
            salt: [0; 16],
        }
    }

    fn holder(&self, tx: &mut dyn Transaction, name: &str, actor: &Actor, stands: &Standing) -> Result<Holder> {
        let mut path = Vec::new();
        for grant in &stands.grants {
            let Some(role) = grant.role else {
                path.push(Granted { policy: grant.policy.clone(), role: None, workspace: None, until: None });
                continue;
            };
            for held in actor.grants.iter().filter(|held| self.counts(held, role)) {
                let workspace = match held.workspace {
                    None => VAULT_WIDE.to_owned(),
                    Some(id) => match self.place.workspace().filter(|workspace| workspace.id == id) {
                        Some(workspace) => workspace.name.to_string(),
                        None => self.engine.keys.guard.expect::<Workspace>(tx, id.as_bytes())?.name.to_string(),
                    },
                };
                let (policy, role) = (grant.policy.clone(), Some(held.role.clone()));
                path.push(Granted { policy, role, workspace: Some(workspace), until: held.until });
            }
        }
        Ok(Holder {
            principal: name.to_owned(),
            id: actor.row.id,
            kind: actor.row.kind,
            clearance: actor.row.clearance,
            conditions: stands.conditions.iter().map(said).collect(),
            path,
        })
    }

    /// Whether a grant makes its holder what a policy asks for, there and then.
    fn counts(&self, held: &Grant, wanted: Role) -> bool {
        let Ok(role) = held.role.parse::<Role>() else { return false };
        let here = match (held.workspace, self.place.workspace()) {
            (None, _) => true,
            (Some(id), Some(workspace)) => workspace.id == id,
            (Some(_), None) => wanted == Role::Member,
        };
        here && held.until.is_none_or(|until| self.at <= until) && (role == wanted || role.implied().contains(&wanted))
    }
}

fn said(advice: &Advice) -> String {
    match advice {
        Advice::Confirm => "confirmation".to_owned(),
        Advice::Present => "presence".to_owned(),
        Advice::OpenTask => "task".to_owned(),
        Advice::Root => "root".to_owned(),
        Advice::Request { rule } => format!("approval:{rule}"),
    }
}
