//! The facts of a decision as they were, read back from its record.

use crate::decide::{Record, ReplayError};
use crate::role::Role;
use crate::slice::{NEVER_MILLIS, ResourceFacts};
use api::terms::{Action, AuthMethod, Class, Environment, Kind, PrincipalKind, RootKind};

/// What a decision was made on, as far as it is of the caller and of what it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What was asked.
    pub action: Action,
    /// What the principal was.
    pub kind: PrincipalKind,
    /// Its clearance.
    pub clearance: Class,
    /// Not suspended.
    pub active: bool,
    /// Its roles where the resource is, implied ones included.
    pub roles: Vec<Role>,
    /// The environments that it was admitted to.
    pub envs: Vec<Environment>,
    /// It held a role in the very workspace.
    pub own: bool,
    /// Of an artifact: class, environment, kind.
    pub artifact: Option<(Class, Environment, Kind)>,
    /// Rules that need several people did not apply.
    pub solo: bool,
    /// How it was authenticated.
    pub auth: AuthMethod,
    /// Presence was asked for.
    pub presence_applies: bool,
    /// How long ago presence was proven, in milliseconds; none: never.
    pub presence_millis: Option<u64>,
    /// Approval rules that were met.
    pub approved: Vec<String>,
    /// An open task covered it.
    pub task: bool,
    /// A reason was given.
    pub reasoned: bool,
    /// The name was typed again.
    pub confirmed: bool,
    /// What wrapped the vault's keys.
    pub roots: Vec<RootKind>,
}

impl Record {
    /// The facts in it.
    ///
    /// # Errors
    /// [`ReplayError::Malformed`] for a record that was not written so, and for one of facts that broke a bound.
    pub fn told(&self) -> Result<Told, ReplayError> {
        let facts = self.facts()?;
        let artifact = match &facts.resource {
            ResourceFacts::Artifact(artifact) => Some((artifact.class, artifact.env, artifact.kind)),
            ResourceFacts::Vault | ResourceFacts::Workspace(_) => None,
        };
        let (principal, context) = (facts.principal, facts.context);
        let presence = Some(context.mfa_age_millis).filter(|age| context.mfa_applicable && *age < NEVER_MILLIS);
        Ok(Told {
            action: facts.action,
            kind: principal.kind,
            clearance: principal.clearance,
            active: principal.active,
            roles: principal.roles,
            envs: principal.envs,
            own: context.own,
            artifact,
            solo: context.solo,
            auth: context.auth,
            presence_applies: context.mfa_applicable,
            presence_millis: presence,
            approved: context.approved,
            task: context.task,
            reasoned: context.reasoned,
            confirmed: context.confirmed,
            roots: context.roots,
        })
    }
}
