//! The facts of a decision as they were, read back from its record.

use crate::decide::{Record, ReplayError};
use crate::slice::{NEVER_MILLIS, ResourceFacts};
use api::wire::FactsTold;

impl Record {
    /// The facts in it, as far as they are of the caller and of what it asked for.
    ///
    /// # Errors
    /// [`ReplayError::Malformed`] for a record that was not written so, and for one of facts that broke a bound.
    pub fn told(&self) -> Result<FactsTold, ReplayError> {
        let facts = self.facts()?;
        let artifact = match &facts.resource {
            ResourceFacts::Artifact(artifact) => Some((artifact.class, artifact.env, artifact.kind)),
            ResourceFacts::Vault | ResourceFacts::Workspace(_) => None,
        };
        let (principal, context) = (facts.principal, facts.context);
        let presence = Some(context.mfa_age_millis).filter(|age| context.mfa_applicable && *age < NEVER_MILLIS);
        Ok(FactsTold {
            action: facts.action,
            kind: principal.kind,
            clearance: principal.clearance,
            active: principal.active,
            roles: principal.roles.iter().map(ToString::to_string).collect(),
            envs: principal.envs,
            own: context.own,
            class: artifact.map(|(class, _, _)| class),
            environment: artifact.map(|(_, environment, _)| environment),
            artifact_kind: artifact.map(|(_, _, kind)| kind),
            solo: context.solo,
            auth: context.auth,
            presence_applies: context.mfa_applicable,
            presence_millis: presence,
            approved: context.approved,
            task: context.task,
            reasoned: context.reasoned,
            confirmed: context.confirmed,
            roots: context.roots.iter().map(ToString::to_string).collect(),
        })
    }
}
