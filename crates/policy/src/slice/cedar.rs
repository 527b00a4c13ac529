//! The same facts as Cedar's own values, built directly: parsing JSON for every request would cost more than deciding.

use super::document::principal_type;
use super::{ArtifactFacts, Circumstances, Facts, PrincipalFacts, ResourceFacts};
use crate::role::Role;
use api::terms::{Action, PrincipalKind, Timestamp};
use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, ParseErrors, Request, RestrictedExpression,
};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

/// What slices share: names, parsed once, and what was built before.
#[derive(Debug)]
pub(crate) struct Names {
    kinds: Vec<(PrincipalKind, EntityTypeName)>,
    vault: EntityTypeName,
    workspace: EntityTypeName,
    artifact: EntityTypeName,
    actions: Vec<(Action, EntityUid)>,
    roles: Vec<(Role, EntityUid)>,
    entities: Known<Subjects, Arc<Entities>>,
    /// What resources lie in: the vault, and the workspace if one is named. Cedar looks for cycles, which takes longer the more is new.
    places: Known<(Option<String>, String), Entities>,
    /// By everything but the time, which they do not hold.
    contexts: Known<Circumstances, Context>,
    /// Cedar parses the name of the function anew for each duration, which takes longer than all the rest.
    durations: Known<u64, RestrictedExpression>,
}

impl Names {
    pub(crate) fn new() -> Result<Self, Box<ParseErrors>> {
        let (action, role) = (type_name("Action")?, type_name("Role")?);
        let kind = |kind: &PrincipalKind| type_name(principal_type(*kind)).map(|name| (*kind, name));
        Ok(Self {
            kinds: PrincipalKind::ALL.iter().map(kind).collect::<Result<_, _>>()?,
            vault: type_name("Vault")?,
            workspace: type_name("Workspace")?,
            artifact: type_name("Artifact")?,
            actions: Action::ALL.iter().map(|a| (*a, uid(&action, a.word()))).collect(),
            roles: Role::ALL.iter().map(|r| (*r, uid(&role, r.word()))).collect(),
            entities: Known::default(),
            places: Known::default(),
            contexts: Known::default(),
            durations: Known::default(),
        })
    }

    fn kind(&self, wanted: PrincipalKind) -> Result<&EntityTypeName, String> {
        let found = self.kinds.iter().find(|(kind, _)| *kind == wanted);
        found.map(|(_, name)| name).ok_or_else(|| format!("there is no type for {wanted}"))
    }

    fn action(&self, wanted: Action) -> Result<EntityUid, String> {
        let found = self.actions.iter().find(|(action, _)| *action == wanted);
        found.map(|(_, uid)| uid.clone()).ok_or_else(|| format!("there is no action {wanted}"))
    }
}

fn type_name(text: &str) -> Result<EntityTypeName, Box<ParseErrors>> {
    text.parse().map_err(Box::new)
}

fn uid(type_name: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(type_name.clone(), EntityId::new(id))
}

/// What was built before, by all that it was built from. Only speed depends on it.
#[derive(Debug)]
struct Known<K, V>(RwLock<HashMap<K, V>>);

impl<K, V> Default for Known<K, V> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Eq + Hash, V: Clone> Known<K, V> {
    const MAX: usize = 1024;

    fn get_or_build(&self, from: K, build: impl FnOnce(&K) -> Result<V, String>) -> Result<V, String> {
        if let Some(built) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&from) {
            return Ok(built.clone());
        }
        let built = build(&from)?;
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= Self::MAX {
            known.clear();
        }
        known.insert(from, built.clone());
        Ok(built)
    }
}

/// What entities are built from: everything but action and circumstances.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Subjects {
    principal: PrincipalFacts,
    resource: ResourceFacts,
    vault: String,
}

/// Whether a context holds the time. Cedar parses a name for it, and it differs in every request: policies that do not ask are
/// not told. One that asked all the same would err, which denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    Told,
    Left,
}

/// What Cedar is given.
#[derive(Debug)]
pub(crate) struct Slice {
    pub(crate) request: Request,
    pub(crate) entities: Arc<Entities>,
}

impl Slice {
    /// Builds request and entities. The types of [`Facts`] guarantee the schema, which a property test holds them to, so
    /// that nothing is checked again here.
    pub(crate) fn build(names: &Names, facts: &Facts, clock: Clock) -> Result<Self, String> {
        let principal = uid(names.kind(facts.principal.kind)?, &facts.principal.id);
        let resource = match &facts.resource {
            ResourceFacts::Vault => uid(&names.vault, &facts.vault),
            ResourceFacts::Workspace(id) => uid(&names.workspace, id),
            ResourceFacts::Artifact(artifact) => uid(&names.artifact, &artifact.id),
        };
        let action = names.action(facts.action)?;
        let context = names.context(&facts.context, clock)?;
        let subjects = Subjects {
            principal: facts.principal.clone(),
            resource: facts.resource.clone(),
            vault: facts.vault.clone(),
        };
        let build = |_: &Subjects| entities(names, facts, &principal, &resource).map(Arc::new);
        let entities = names.entities.get_or_build(subjects, build)?;
        let request = Request::new(principal, action, resource, context, None).map_err(|e| e.to_string())?;
        Ok(Self { request, entities })
    }
}

/// The principal, the resource and what it lies in.
fn entities(names: &Names, facts: &Facts, principal: &EntityUid, resource: &EntityUid) -> Result<Entities, String> {
    let vault = uid(&names.vault, &facts.vault);
    let mut entities = Vec::with_capacity(2);
    entities.push(principal_entity(names, principal.clone(), &facts.principal)?);
    let workspace = match &facts.resource {
        ResourceFacts::Vault => None,
        ResourceFacts::Workspace(id) => Some(id),
        ResourceFacts::Artifact(artifact) => {
            let workspace = uid(&names.workspace, &artifact.workspace);
            entities.push(artifact_entity(resource.clone(), workspace, vault.clone(), artifact)?);
            Some(&artifact.workspace)
        }
    };
    let place = names.places.get_or_build((workspace.cloned(), facts.vault.clone()), |(workspace, _)| {
        let inner =
            workspace.as_ref().map(|id| Entity::new_no_attrs(uid(&names.workspace, id), [vault.clone()].into()));
        let place = inner.into_iter().chain([Entity::with_uid(vault.clone())]);
        Entities::from_entities(place, None).map_err(|e| e.to_string())
    })?;
    place.add_entities(entities, None).map_err(|e| e.to_string())
}

fn principal_entity(names: &Names, uid: EntityUid, facts: &PrincipalFacts) -> Result<Entity, String> {
    let parents = names.roles.iter().filter(|(role, _)| facts.roles.contains(role)).map(|(_, uid)| uid.clone());
    let attrs = [
        ("active".to_owned(), RestrictedExpression::new_bool(facts.active)),
        ("clearance".to_owned(), RestrictedExpression::new_long(facts.clearance.number().into())),
        ("envs".to_owned(), words(facts.envs.iter().map(|env| env.word()))),
        ("roles".to_owned(), words(facts.roles.iter().map(|role| role.word()))),
    ];
    Entity::new_with_tags(uid, attrs, parents, []).map_err(|e| e.to_string())
}

fn artifact_entity(
    uid: EntityUid,
    workspace: EntityUid,
    vault: EntityUid,
    facts: &ArtifactFacts,
) -> Result<Entity, String> {
    let attrs = [
        ("class".to_owned(), RestrictedExpression::new_long(facts.class.number().into())),
        ("env".to_owned(), word(facts.env.word())),
        ("held".to_owned(), RestrictedExpression::new_bool(facts.held)),
        ("kind".to_owned(), word(facts.kind.word())),
        ("owner".to_owned(), word(&facts.owner)),
        ("quarantined".to_owned(), RestrictedExpression::new_bool(facts.quarantined)),
        ("residency".to_owned(), words(facts.residency.iter().map(String::as_str))),
        ("workspace".to_owned(), RestrictedExpression::new_entity_uid(workspace.clone())),
    ];
    Entity::new_with_tags(uid, attrs, [workspace, vault], []).map_err(|e| e.to_string())
}

impl Names {
    fn context(&self, facts: &Circumstances, clock: Clock) -> Result<Context, String> {
        match clock {
            Clock::Told => {
                let now = RestrictedExpression::new_datetime(facts.now.to_string());
                self.timeless(facts, Some(("now".to_owned(), now)))
            }
            Clock::Left => {
                let timeless = Circumstances { now: Timestamp::from_millis(0), ..facts.clone() };
                self.contexts.get_or_build(timeless, |facts| self.timeless(facts, None))
            }
        }
    }

    fn timeless(&self, facts: &Circumstances, now: Option<(String, RestrictedExpression)>) -> Result<Context, String> {
        let flag = RestrictedExpression::new_bool;
        let duration = |millis: &u64| Ok(RestrictedExpression::new_duration(format!("{millis}ms")));
        let mfa = RestrictedExpression::new_record([
            ("age".to_owned(), self.durations.get_or_build(facts.mfa_age_millis, duration)?),
            ("applicable".to_owned(), flag(facts.mfa_applicable)),
        ]);
        let pairs = [
            ("approved".to_owned(), words(facts.approved.iter().map(String::as_str))),
            ("auth".to_owned(), word(facts.auth.word())),
            ("confirmed".to_owned(), flag(facts.confirmed)),
            ("mfa".to_owned(), mfa.map_err(|e| e.to_string())?),
            ("own".to_owned(), flag(facts.own)),
            ("reasoned".to_owned(), flag(facts.reasoned)),
            ("region".to_owned(), word(&facts.region)),
            ("roots".to_owned(), words(facts.roots.iter().map(|root| root.word()))),
            ("solo".to_owned(), flag(facts.solo)),
            ("task".to_owned(), flag(facts.task)),
        ];
        Context::from_pairs(pairs.into_iter().chain(now)).map_err(|e| e.to_string())
    }
}

fn word(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn words<'a>(texts: impl Iterator<Item = &'a str>) -> RestrictedExpression {
    RestrictedExpression::new_set(texts.map(word))
}
