//! Which requests a policy can match at all, from its scope alone: the index.

use crate::role::Role;
use crate::slice::{ResourceFacts, Target};
use api::terms::{Action, PrincipalKind};
use cedar_policy::{ActionConstraint, EntityTypeName, EntityUid, Policy, PrincipalConstraint, ResourceConstraint};

/// A policy's scope, as far as the index uses it. What it does not understand it lets through.
#[derive(Debug, Clone, Default)]
pub(crate) struct Applies {
    /// `None`: every action.
    actions: Option<Vec<Action>>,
    kind: Option<PrincipalKind>,
    principal: PrincipalScope,
    resource: ResourceScope,
    /// Matches nothing that the schema has.
    never: bool,
}

#[derive(Debug, Clone, Default)]
enum PrincipalScope {
    #[default]
    Any,
    Role(Role),
    Id(String),
}

#[derive(Debug, Clone, Default)]
enum ResourceScope {
    #[default]
    Any,
    Type(ResourceType),
    /// This entity, or anything in it.
    In(ResourceType, String),
    /// Both: of the type, and in the entity.
    TypeIn(ResourceType, ResourceType, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ResourceType {
    Vault,
    Workspace,
    Artifact,
}

impl Applies {
    pub(crate) fn of(policy: &Policy) -> Self {
        let mut applies = Self::default();
        applies.read_action(&policy.action_constraint());
        match policy.principal_constraint() {
            PrincipalConstraint::Any => {}
            PrincipalConstraint::Is(name) => applies.read_kind(&name),
            PrincipalConstraint::In(uid) | PrincipalConstraint::Eq(uid) => applies.read_principal(&uid),
            PrincipalConstraint::IsIn(name, uid) => {
                applies.read_principal(&uid);
                applies.read_kind(&name);
            }
        }
        match policy.resource_constraint() {
            ResourceConstraint::Any => {}
            ResourceConstraint::Is(name) => match resource_type(&name) {
                Some(of) => applies.resource = ResourceScope::Type(of),
                None => applies.never = true,
            },
            // `==` is narrower than `in`; the wider test is safe and there are few such policies.
            ResourceConstraint::In(uid) | ResourceConstraint::Eq(uid) => match resource_type(uid.type_name()) {
                Some(of) => applies.resource = ResourceScope::In(of, id(&uid)),
                None => applies.never = true,
            },
            ResourceConstraint::IsIn(name, uid) => match (resource_type(&name), resource_type(uid.type_name())) {
                (Some(is), Some(of)) => applies.resource = ResourceScope::TypeIn(is, of, id(&uid)),
                _ => applies.never = true,
            },
        }
        applies
    }

    fn read_action(&mut self, constraint: &ActionConstraint) {
        // The schema has no groups of actions, so that `in` is `==` with several.
        let action = |uid: &EntityUid| uid.id().unescaped().parse().ok();
        self.actions = match constraint {
            ActionConstraint::Any => None,
            ActionConstraint::Eq(uid) => Some(action(uid).into_iter().collect()),
            ActionConstraint::In(uids) => Some(uids.iter().filter_map(action).collect()),
        };
    }

    fn read_kind(&mut self, name: &EntityTypeName) {
        self.kind = kind(name);
        self.never |= self.kind.is_none();
    }

    fn read_principal(&mut self, uid: &EntityUid) {
        if uid.type_name().to_string() == "Role" {
            match uid.id().unescaped().parse() {
                Ok(role) => self.principal = PrincipalScope::Role(role),
                Err(_) => self.never = true,
            }
        } else {
            self.read_kind(uid.type_name());
            self.principal = PrincipalScope::Id(id(uid));
        }
    }

    /// Whether the policy can match the target.
    pub(crate) fn matches(&self, target: &Target<'_>) -> bool {
        let principal = match &self.principal {
            PrincipalScope::Any => true,
            PrincipalScope::Role(role) => target.roles.contains(role),
            PrincipalScope::Id(id) => id == target.principal,
        };
        principal && self.could_match(target)
    }

    /// The same for another principal of the same kind: who lacks only a role came near.
    pub(crate) fn could_match(&self, target: &Target<'_>) -> bool {
        !self.never
            && self.on(target.action)
            && self.kind.is_none_or(|kind| kind == target.kind)
            && match &self.resource {
                ResourceScope::Any => true,
                ResourceScope::Type(of) => is(*of, target),
                ResourceScope::In(of, id) => within(*of, id, target),
                ResourceScope::TypeIn(of, parent, id) => is(*of, target) && within(*parent, id, target),
            }
    }

    /// Whether the policy speaks of this action.
    pub(crate) fn on(&self, action: Action) -> bool {
        self.actions.as_ref().is_none_or(|actions| actions.contains(&action))
    }

    /// Whether it asks for a principal by id, so that nobody else comes near.
    pub(crate) fn is_personal(&self) -> bool {
        matches!(self.principal, PrincipalScope::Id(_))
    }
}

fn is(of: ResourceType, target: &Target<'_>) -> bool {
    of == match target.resource {
        ResourceFacts::Vault => ResourceType::Vault,
        ResourceFacts::Workspace(_) => ResourceType::Workspace,
        ResourceFacts::Artifact(_) => ResourceType::Artifact,
    }
}

fn within(of: ResourceType, id: &str, target: &Target<'_>) -> bool {
    match (of, target.resource) {
        (ResourceType::Vault, _) => id == target.vault,
        (ResourceType::Workspace, ResourceFacts::Workspace(here)) => id == here,
        (ResourceType::Workspace, ResourceFacts::Artifact(artifact)) => id == artifact.workspace,
        (ResourceType::Artifact, ResourceFacts::Artifact(artifact)) => id == artifact.id,
        (ResourceType::Workspace | ResourceType::Artifact, _) => false,
    }
}

fn id(uid: &EntityUid) -> String {
    uid.id().unescaped().to_owned()
}

fn kind(name: &EntityTypeName) -> Option<PrincipalKind> {
    match name.to_string().as_str() {
        "User" => Some(PrincipalKind::User),
        "Service" => Some(PrincipalKind::Service),
        "Workload" => Some(PrincipalKind::Workload),
        _ => None,
    }
}

fn resource_type(name: &EntityTypeName) -> Option<ResourceType> {
    match name.to_string().as_str() {
        "Vault" => Some(ResourceType::Vault),
        "Workspace" => Some(ResourceType::Workspace),
        "Artifact" => Some(ResourceType::Artifact),
        _ => None,
    }
}
