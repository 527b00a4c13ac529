//! What would mend a refusal: the role or the clearance that is missing, as the command that gives it.

use super::{About, THE_VAULT, Verdict};
use crate::people::VAULT_WIDE;
use api::terms::{Action, Class, Environment};
use policy::{PrincipalState, Query, Resource, Role, Scope};

/// What the question says of who asked and of what was asked for, as far as a grant depends on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    class: Option<Class>,
    environment: Option<Environment>,
    /// Who asked gives grants: it is no use to send them to themselves.
    manages: bool,
}

impl Asked {
    /// Of a question.
    pub(super) fn of(query: &Query) -> Self {
        let (class, environment) = match &query.resource {
            Resource::Artifact(artifact) => (Some(artifact.class), Some(artifact.env)),
            Resource::Vault | Resource::Workspace(_) => (None, None),
        };
        let (principal, now) = (&query.principal, query.context.now);
        let owns = |held: &policy::Held| {
            held.role == Role::Owner && held.scope == Scope::Vault && held.until.is_none_or(|until| now <= until)
        };
        let manages = principal.state == PrincipalState::Active && principal.roles.iter().any(owns);
        Self { class, environment, manages }
    }
}

/// What is missing, by the conditions that failed.
#[derive(Debug, Default)]
struct Missing {
    role: Option<Role>,
    clearance: bool,
    /// Roles that exclude each other: another person may have what this one may not.
    duties: bool,
    /// Something that neither a role nor a clearance mends.
    other: bool,
}

impl Verdict {
    /// The hint of a refusal that nobody lifts for a single act.
    pub(super) fn mending(&self, about: &About) -> String {
        let Missing { role, clearance, duties, other } = self.missing();
        let explaining = about.explaining(self.action);
        let grant = |role: Role| format!(" --grant {}={role}", about.place());
        let cleared = self.asked.class.map(|class| format!(" --clearance {class}")).unwrap_or_default();
        let own = role.is_none_or(opens_data) && !duties && (role.is_none() || !self.asked.manages);
        match role {
            _ if other => {}
            _ if own && (role.is_some() || clearance) => {
                let grant = role.map(grant).unwrap_or_default();
                let cleared = if clearance { cleared.as_str() } else { "" };
                let who = &about.who;
                return format!(
                    "whoever manages principals can run `strongroom principal add {who} --change{grant}{cleared}`"
                );
            }
            Some(role) => {
                return format!(
                    "it takes somebody with the role {role}: whoever manages principals can run \
                     `strongroom principal add NAME{}{cleared}`, and NAME then the same command",
                    grant(role)
                );
            }
            None => {}
        }
        if self.asked.manages {
            return format!("`{explaining}` says what is missing");
        }
        format!("ask whoever manages principals to look at `{explaining}`")
    }

    fn missing(&self) -> Missing {
        let mut missing = Missing::default();
        for miss in &self.answer.near_misses {
            let wanted =
                miss.source.strip_prefix("principal in ").and_then(|role| role.split('"').nth(1)?.parse().ok());
            match (wanted, miss.policy.as_str()) {
                (Some(_), _) if matches!(self.action, Action::Remove | Action::Restore) => {
                    missing.role = Some(self.role_of_act());
                }
                (Some(role), _) => missing.role = Some(role),
                (None, "solo-owner-data" | "solo-owner-vault") => missing.role = Some(self.role_of_act()),
                (None, "clearance") => missing.clearance = true,
                // Comes with every role.
                (None, "membership") => {}
                (None, policy) if policy.starts_with("duties-") => missing.duties = true,
                (None, _) => missing.other = true,
            }
        }
        missing
    }

    /// The least role that does it in a team, where alone the owner would.
    fn role_of_act(&self) -> Role {
        match self.action {
            Action::List | Action::Read | Action::Export | Action::Scan | Action::Decrypt => Role::Reader,
            Action::ArchiveRead => Role::Steward,
            Action::Alias | Action::Remove | Action::Restore if self.asked.environment != Some(Environment::Dev) => {
                Role::Steward
            }
            Action::Write | Action::Alias | Action::Remove | Action::Restore | Action::Encrypt => Role::Writer,
            Action::RotateKeys
            | Action::ManageKeys
            | Action::DestroyKeys
            | Action::Reencrypt
            | Action::Collect
            | Action::Backup => Role::Custodian,
            Action::ManagePolicy => Role::PolicyAuthor,
            Action::Audit | Action::Review => Role::Auditor,
            Action::ManagePrincipals | Action::Hold => Role::Owner,
        }
    }
}

impl About {
    /// Where a grant would have to be.
    fn place(&self) -> &str {
        if self.path == THE_VAULT { VAULT_WIDE } else { self.path.split('/').next().unwrap_or(VAULT_WIDE) }
    }
}

/// Roles to give to whoever wants to work with the data; the others rule over it, and are not given for the asking.
const fn opens_data(role: Role) -> bool {
    matches!(role, Role::Member | Role::Reader | Role::Writer | Role::Steward)
}
