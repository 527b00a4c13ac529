//! The same facts as Cedar's own values, built directly: parsing JSON for every request would cost more than deciding.

use super::document::principal_type;
use super::{ArtifactFacts, Circumstances, Facts, NEVER_MILLIS, PrincipalFacts, ResourceFacts};
use crate::role::Role;
use api::terms::{Action, PrincipalKind};
use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, ParseErrors, Request, RestrictedExpression,
};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// What slices share: names, parsed once, and entities.
#[derive(Debug)]
pub(crate) struct Names {
    kinds: Vec<(PrincipalKind, EntityTypeName)>,
    vault: EntityTypeName,
    workspace: EntityTypeName,
    artifact: EntityTypeName,
    actions: Vec<(Action, EntityUid)>,
    roles: Vec<(Role, EntityUid)>,
    /// The age of a proof of presence that was never given: Cedar parses the name of the function anew for each duration.
    never: RestrictedExpression,
    known: Known,
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
            never: duration(NEVER_MILLIS),
            known: Known::default(),
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

/// Entities that were built before. Only speed depends on it: they follow from what they are found by.
#[derive(Debug, Default)]
struct Known(RwLock<HashMap<Subjects, Arc<Entities>>>);

/// What entities are built from: everything but action and circumstances.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Subjects {
    principal: PrincipalFacts,
    resource: ResourceFacts,
    vault: String,
}

impl Known {
    const MAX: usize = 1024;

    fn get_or_build(
        &self,
        facts: &Facts,
        build: impl FnOnce() -> Result<Entities, String>,
    ) -> Result<Arc<Entities>, String> {
        let subjects = Subjects {
            principal: facts.principal.clone(),
            resource: facts.resource.clone(),
            vault: facts.vault.clone(),
        };
        if let Some(entities) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&subjects) {
            return Ok(Arc::clone(entities));
        }
        let entities = Arc::new(build()?);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= Self::MAX {
            known.clear();
        }
        known.insert(subjects, Arc::clone(&entities));
        Ok(entities)
    }
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
    pub(crate) fn build(names: &Names, facts: &Facts) -> Result<Self, String> {
        let principal = uid(names.kind(facts.principal.kind)?, &facts.principal.id);
        let resource = match &facts.resource {
            ResourceFacts::Vault => uid(&names.vault, &facts.vault),
            ResourceFacts::Workspace(id) => uid(&names.workspace, id),
            ResourceFacts::Artifact(artifact) => uid(&names.artifact, &artifact.id),
        };
        let context = context(names, &facts.context)?;
        let action = names.action(facts.action)?;
        let entities = names.known.get_or_build(facts, || entities(names, facts, &principal, &resource))?;
        let request = Request::new(principal, action, resource, context, None).map_err(|e| e.to_string())?;
        Ok(Self { request, entities })
    }
}

/// The principal, the resource and what it lies in.
fn entities(names: &Names, facts: &Facts, principal: &EntityUid, resource: &EntityUid) -> Result<Entities, String> {
    let vault = uid(&names.vault, &facts.vault);
    let in_vault = |uid: EntityUid| Entity::new_no_attrs(uid, [vault.clone()].into());
    let mut entities = Vec::with_capacity(4);
    entities.push(principal_entity(names, principal.clone(), &facts.principal)?);
    match &facts.resource {
        ResourceFacts::Vault => {}
        ResourceFacts::Workspace(_) => entities.push(in_vault(resource.clone())),
        ResourceFacts::Artifact(artifact) => {
            let workspace = uid(&names.workspace, &artifact.workspace);
            entities.push(in_vault(workspace.clone()));
            entities.push(artifact_entity(resource.clone(), workspace, vault.clone(), artifact)?);
        }
    }
    entities.push(Entity::with_uid(vault));
    Entities::from_entities(entities, None).map_err(|e| e.to_string())
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
        ("kind".to_owned(), word(facts.kind.word())),
        ("owner".to_owned(), word(&facts.owner)),
        ("quarantined".to_owned(), RestrictedExpression::new_bool(facts.quarantined)),
        ("residency".to_owned(), words(facts.residency.iter().map(String::as_str))),
        ("workspace".to_owned(), RestrictedExpression::new_entity_uid(workspace.clone())),
    ];
    Entity::new_with_tags(uid, attrs, [workspace, vault], []).map_err(|e| e.to_string())
}

fn context(names: &Names, facts: &Circumstances) -> Result<Context, String> {
    let flag = RestrictedExpression::new_bool;
    let age = match facts.mfa_age_millis {
        NEVER_MILLIS => names.never.clone(),
        millis => duration(millis),
    };
    let mfa = RestrictedExpression::new_record([
        ("age".to_owned(), age),
        ("applicable".to_owned(), flag(facts.mfa_applicable)),
    ]);
    Context::from_pairs([
        ("approved".to_owned(), words(facts.approved.iter().map(String::as_str))),
        ("auth".to_owned(), word(facts.auth.word())),
        ("confirmed".to_owned(), flag(facts.confirmed)),
        ("mfa".to_owned(), mfa.map_err(|e| e.to_string())?),
        ("now".to_owned(), RestrictedExpression::new_datetime(facts.now.to_string())),
        ("own".to_owned(), flag(facts.own)),
        ("reasoned".to_owned(), flag(facts.reasoned)),
        ("region".to_owned(), word(&facts.region)),
        ("roots".to_owned(), words(facts.roots.iter().map(|root| root.word()))),
        ("solo".to_owned(), flag(facts.solo)),
        ("task".to_owned(), flag(facts.task)),
    ])
    .map_err(|e| e.to_string())
}

fn duration(millis: u64) -> RestrictedExpression {
    RestrictedExpression::new_duration(format!("{millis}ms"))
}

fn word(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn words<'a>(texts: impl Iterator<Item = &'a str>) -> RestrictedExpression {
    RestrictedExpression::new_set(texts.map(word))
}
