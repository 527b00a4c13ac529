//! Which requests a policy can match at all, from its scope alone: the index.

use crate::role::Role;
use crate::slice::{ResourceFacts, Target};
use api::terms::{Action, PrincipalKind};
use cedar_policy::{ActionConstraint, EntityTypeName, EntityUid, Policy, PrincipalConstraint, ResourceConstraint};

/// A policy's scope, exactly: forbids that match are asked for their conditions alone.
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

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum PrincipalScope {
    #[default]
    Any,
    Role(Role),
    Id(String),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum ResourceScope {
    #[default]
    Any,
    Type(ResourceType),
    /// This entity.
    Eq(ResourceType, String),
    /// This entity, or anything in it.
    In(ResourceType, String),
    /// Both: of the type, and in the entity.
    TypeIn(ResourceType, ResourceType, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResourceType {
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
            ResourceConstraint::Eq(uid) => match resource_type(uid.type_name()) {
                Some(of) => applies.resource = ResourceScope::Eq(of, id(&uid)),
                None => applies.never = true,
            },
            ResourceConstraint::In(uid) => match resource_type(uid.type_name()) {
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

    /// The role that it is for.
    pub(crate) fn role(&self) -> Option<Role> {
        match self.principal {
            PrincipalScope::Role(role) => Some(role),
            PrincipalScope::Any | PrincipalScope::Id(_) => None,
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
                ResourceScope::Eq(of, id) => is(*of, target) && within(*of, id, target),
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

impl Applies {
    /// The id of the one thing that the resource must be or lie in, if the scope names one.
    pub(crate) fn place(&self) -> Option<&str> {
        match &self.resource {
            ResourceScope::Any | ResourceScope::Type(_) => None,
            ResourceScope::Eq(_, id) | ResourceScope::In(_, id) | ResourceScope::TypeIn(_, _, id) => Some(id),
        }
    }
}

/// For looking at policies without a request.
impl Applies {
    /// The types of resources that it may be about.
    pub(crate) fn types(&self) -> &'static [ResourceType] {
        use ResourceType::{Artifact, Vault, Workspace};
        let of = match &self.resource {
            ResourceScope::Any | ResourceScope::In(Vault, _) => return &[Vault, Workspace, Artifact],
            ResourceScope::In(Workspace, _) => return &[Workspace, Artifact],
            ResourceScope::In(Artifact, _) => Artifact,
            ResourceScope::Type(of) | ResourceScope::Eq(of, _) | ResourceScope::TypeIn(of, _, _) => *of,
        };
        match of {
            Vault => &[Vault],
            Workspace => &[Workspace],
            Artifact => &[Artifact],
        }
    }

    /// Whether every resource and every single principal that the other's scope names is in this one's.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        use ResourceScope::{Any, Eq, In, Type, TypeIn};
        let resource = match (&self.resource, &other.resource) {
            (Any, _) => true,
            (Type(of), Type(is) | Eq(is, _) | TypeIn(is, _, _)) => of == is,
            (In(of, id), Eq(is, which)) => of == is && id == which,
            (In(of, id), TypeIn(_, is, which)) => of == is && id == which,
            (mine, others) => mine == others,
        };
        resource && (!self.is_personal() || self.principal == other.principal)
    }

    /// Whether the scope admits a principal with this kind and these roles, but for its id.
    pub(crate) fn admits(&self, kind: PrincipalKind, roles: &[Role]) -> bool {
        let held = match &self.principal {
            PrincipalScope::Any | PrincipalScope::Id(_) => true,
            PrincipalScope::Role(role) => roles.contains(role),
        };
        !self.never && held && self.kind.is_none_or(|wanted| wanted == kind)
    }

    /// Whether it asks for a kind of principal.
    pub(crate) const fn asks_kind(&self) -> bool {
        self.kind.is_some()
    }
}

impl<'a> Target<'a> {
    /// The ids of the resource and of all that it lies in.
    pub(crate) fn places(&self) -> impl Iterator<Item = &'a str> {
        let (inner, outer) = match self.resource {
            ResourceFacts::Vault => (None, None),
            ResourceFacts::Workspace(id) => (Some(id), None),
            ResourceFacts::Artifact(artifact) => (Some(&artifact.workspace), Some(&artifact.id)),
        };
        inner.into_iter().chain(outer).map(String::as_str).chain([self.vault])
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
    super::guard::kind(&name.to_string())
}

fn resource_type(name: &EntityTypeName) -> Option<ResourceType> {
    match name.to_string().as_str() {
        "Vault" => Some(ResourceType::Vault),
        "Workspace" => Some(ResourceType::Workspace),
        "Artifact" => Some(ResourceType::Artifact),
        _ => None,
    }
}
