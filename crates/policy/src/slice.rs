//! From a query to what Cedar sees: normalised facts, their canonical JSON, and Cedar's entities.

mod cedar;
mod document;

pub(crate) use cedar::{Clock, Names, Slice};
pub(crate) use document::{ContextDoc, DocumentError, SliceDoc};

use crate::decide::Advice;
use crate::facts::{Context, Mfa, Principal, PrincipalState, Query, Resource};
use crate::role::{Role, Scope, closure};
use api::terms::{Action, AuthMethod, Class, Environment, Kind, Mode, PrincipalKind, RootKind, Timestamp};

/// A query, normalised: what does not count is gone, sets are sorted, ids are text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) action: Action,
    pub(crate) principal: PrincipalFacts,
    pub(crate) resource: ResourceFacts,
    pub(crate) vault: String,
    pub(crate) context: Circumstances,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PrincipalFacts {
    pub(crate) id: String,
    pub(crate) kind: PrincipalKind,
    pub(crate) clearance: Class,
    pub(crate) active: bool,
    /// Where the resource is, implied ones included, sorted.
    pub(crate) roles: Vec<Role>,
    pub(crate) envs: Vec<Environment>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum ResourceFacts {
    Vault,
    Workspace(String),
    Artifact(ArtifactFacts),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ArtifactFacts {
    pub(crate) id: String,
    pub(crate) workspace: String,
    pub(crate) class: Class,
    pub(crate) env: Environment,
    pub(crate) kind: Kind,
    /// Empty: nobody.
    pub(crate) owner: String,
    pub(crate) quarantined: bool,
    pub(crate) held: bool,
    pub(crate) residency: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Circumstances {
    pub(crate) now: Timestamp,
    pub(crate) solo: bool,
    pub(crate) auth: AuthMethod,
    pub(crate) own: bool,
    pub(crate) mfa_applicable: bool,
    pub(crate) mfa_age_millis: u64,
    pub(crate) approved: Vec<String>,
    pub(crate) task: bool,
    pub(crate) reasoned: bool,
    pub(crate) confirmed: bool,
    pub(crate) roots: Vec<RootKind>,
    pub(crate) region: String,
}

/// The age of a proof of presence that was never given: the longest duration Cedar knows.
pub(crate) const NEVER_MILLIS: u64 = i64::MAX as u64;

/// What the index is asked: who does what to what, without attributes.
#[derive(Debug, Clone)]
pub(crate) struct Target<'a> {
    pub(crate) action: Action,
    pub(crate) kind: PrincipalKind,
    pub(crate) principal: &'a str,
    pub(crate) roles: &'a [Role],
    pub(crate) resource: &'a ResourceFacts,
    pub(crate) vault: &'a str,
}

impl Facts {
    /// Normalises; `Err` names the bound that the query breaks.
    pub(crate) fn of(query: &Query, approved: Vec<&str>) -> Result<Self, &'static str> {
        check_bounds(query)?;
        let Query { principal, context, .. } = query;
        let (roles, own) = roles_here(principal, &query.resource, context.now);
        Ok(Self {
            action: query.action,
            principal: PrincipalFacts {
                id: principal.id.to_string(),
                kind: principal.kind,
                clearance: principal.clearance,
                active: principal.state == PrincipalState::Active,
                roles,
                envs: sorted(principal.envs.iter().copied()),
            },
            resource: resource_facts(&query.resource),
            vault: query.vault.to_string(),
            context: circumstances(principal.kind, context, own, approved),
        })
    }

    /// Whether the action is one on such a resource (the schema's `appliesTo`). Requests are not checked against the
    /// schema one by one, and a permit for any resource would otherwise speak for resources that make no sense.
    pub(crate) fn action_applies(&self) -> bool {
        use Action::{
            Alias, ArchiveRead, Audit, Backup, Collect, Decrypt, DestroyKeys, Encrypt, Export, Hold, List, ManageKeys,
            ManagePolicy, ManagePrincipals, Read, Reencrypt, Remove, Restore, Review, RotateKeys, Scan, Write,
        };
        match (self.action, &self.resource) {
            (List | Review, _) => true,
            (
                Read | Export | Write | Alias | Scan | Remove | Restore | Hold | DestroyKeys | Reencrypt | Encrypt
                | Decrypt | ArchiveRead,
                ResourceFacts::Artifact(_),
            ) => true,
            (
                RotateKeys | ManageKeys | ManagePrincipals | Audit,
                ResourceFacts::Vault | ResourceFacts::Workspace(_),
            ) => true,
            (ManagePolicy | Collect | Backup, ResourceFacts::Vault) => true,
            (
                Read | Export | Write | Alias | Scan | Remove | Restore | Hold | DestroyKeys | Reencrypt | Encrypt
                | Decrypt | ArchiveRead,
                _,
            ) => false,
            (RotateKeys | ManageKeys | ManagePrincipals | Audit | ManagePolicy | Collect | Backup, _) => false,
        }
    }

    /// Whether the principal may know that the resource exists: it holds a role there.
    pub(crate) fn visible(&self) -> bool {
        !self.principal.roles.is_empty()
    }

    pub(crate) fn target(&self) -> Target<'_> {
        Target {
            action: self.action,
            kind: self.principal.kind,
            principal: &self.principal.id,
            roles: &self.principal.roles,
            resource: &self.resource,
            vault: &self.vault,
        }
    }

    /// The same facts after the caller did what the advice says.
    pub(crate) fn granting(&self, advice: &[Advice]) -> Self {
        let mut facts = self.clone();
        let context = &mut facts.context;
        for step in advice {
            match step {
                Advice::Confirm => (context.reasoned, context.confirmed) = (true, true),
                Advice::Present => context.mfa_age_millis = 0,
                Advice::OpenTask => context.task = true,
                Advice::Root => context.roots = vec![RootKind::Hsm, RootKind::Kms, RootKind::Escrow],
                Advice::Request { rule } => context.approved.push(rule.clone()),
            }
        }
        context.approved = sorted(context.approved.drain(..));
        facts
    }
}

fn check_bounds(query: &Query) -> Result<(), &'static str> {
    let long = |region: &String| region.len() > Query::MAX_REGION_BYTES;
    let residency: &[String] = match &query.resource {
        Resource::Artifact(artifact) => &artifact.residency,
        _ => &[],
    };
    if query.principal.roles.len() > Query::MAX_ROLES {
        Err("the principal holds too many roles")
    } else if query.context.approvals.len() > Query::MAX_APPROVALS {
        Err("there are too many approvals")
    } else if residency.len() > Query::MAX_REGIONS {
        Err("the artifact names too many regions")
    } else if residency.iter().chain(&query.context.region).any(long) {
        Err("a region has too long a name")
    } else {
        Ok(())
    }
}

/// The roles that count where the resource is, and whether one is held in that very workspace. On the vault itself
/// roles of the vault count, and whoever holds any role anywhere is a member.
fn roles_here(principal: &Principal, resource: &Resource, now: Timestamp) -> (Vec<Role>, bool) {
    let place = resource.workspace();
    let counting = || principal.roles.iter().filter(|held| held.counts_at(now));
    let here = |scope: Scope| match scope {
        Scope::Vault => true,
        Scope::Workspace(id) => place == Some(id),
    };
    let mut roles = closure(counting().filter(|held| here(held.scope)).map(|held| held.role));
    if place.is_none() && counting().next().is_some() {
        roles.insert(Role::Member);
    }
    let own = counting().any(|held| held.scope != Scope::Vault && here(held.scope));
    (roles.into_iter().collect(), own)
}

fn resource_facts(resource: &Resource) -> ResourceFacts {
    match resource {
        Resource::Vault => ResourceFacts::Vault,
        Resource::Workspace(workspace) => ResourceFacts::Workspace(workspace.id.to_string()),
        Resource::Artifact(artifact) => ResourceFacts::Artifact(ArtifactFacts {
            id: artifact.id.to_string(),
            workspace: artifact.workspace.to_string(),
            class: artifact.class,
            env: artifact.env,
            kind: artifact.kind,
            owner: artifact.owner.map(|id| id.to_string()).unwrap_or_default(),
            quarantined: artifact.quarantined,
            held: artifact.held,
            residency: sorted(artifact.residency.iter().cloned()),
        }),
    }
}

fn circumstances(kind: PrincipalKind, context: &Context, own: bool, approved: Vec<&str>) -> Circumstances {
    let solo = context.mode == Mode::Solo;
    let mfa_applicable = !solo && kind == PrincipalKind::User;
    let mfa_age_millis = match context.mfa {
        Mfa::Age { millis } if mfa_applicable => millis.min(NEVER_MILLIS),
        _ => NEVER_MILLIS,
    };
    Circumstances {
        now: context.now,
        solo,
        auth: context.auth,
        own,
        mfa_applicable,
        mfa_age_millis,
        approved: sorted(approved.into_iter().map(str::to_owned)),
        task: context.task_open,
        reasoned: context.reason_given,
        confirmed: context.confirmed,
        roots: sorted(context.roots.iter().copied()),
        region: context.region.clone().unwrap_or_default(),
    }
}

fn sorted<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort();
    items.dedup();
    items
}
