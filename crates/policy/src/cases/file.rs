//! The form of a case file. Names stand for ids, so that cases read well: the id of a name is a hash of it.

use super::CaseError;
use crate::digest::of_parts;
use crate::facts::{Approval, Artifact, Context, Mfa, Principal, PrincipalState, Query, Resource, Workspace};
use crate::role::{Held, Role, Scope};
use api::terms::{
    Action, ArtifactId, AuthMethod, Class, Environment, Kind, Mode, PrincipalId, PrincipalKind, RootKind, Timestamp,
    VaultId, WorkspaceId,
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A case file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseFile {
    /// What it is about, for readers.
    #[serde(default, rename = "about")]
    _about: String,
    /// The mode of all cases that name none.
    #[serde(default = "rehearsal")]
    mode: Mode,
    /// Principals that cases name.
    principals: BTreeMap<String, PrincipalForm>,
    /// Artifacts that cases name.
    #[serde(default)]
    artifacts: BTreeMap<String, ArtifactForm>,
    pub(super) cases: Vec<Case>,
}

/// A question and what is expected.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    principal: String,
    action: Action,
    resource: What,
    #[serde(default)]
    context: ContextForm,
    pub(super) expect: Verdict,
    /// Ids of the determining policies, all of them.
    #[serde(default)]
    pub(super) policies: Option<Vec<String>>,
    #[serde(default)]
    pub(super) visible: Option<bool>,
    /// Words: `confirm`, `present`, `task`, `request`.
    #[serde(default)]
    pub(super) advice: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Allow,
    Deny,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum What {
    Artifact(String),
    Workspace(String),
    Vault,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PrincipalForm {
    #[serde(default = "user")]
    kind: PrincipalKind,
    clearance: Class,
    #[serde(default)]
    suspended: bool,
    /// By workspace; `*` is the vault.
    roles: BTreeMap<String, Vec<Role>>,
    #[serde(default = "dev_only")]
    envs: Vec<Environment>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArtifactForm {
    workspace: String,
    class: Class,
    #[serde(default = "dev")]
    env: Environment,
    #[serde(default = "other")]
    kind: Kind,
    /// `null`: nobody.
    #[serde(default = "somebody")]
    owner: Option<String>,
    #[serde(default)]
    quarantined: bool,
    #[serde(default)]
    held: bool,
    #[serde(default)]
    residency: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ContextForm {
    mode: Option<Mode>,
    /// Milliseconds since 1970.
    now: u64,
    auth: Option<AuthMethod>,
    /// Seconds since the person was proven present; `null`: never.
    presence_secs: Option<u64>,
    approvals: Vec<ApprovalForm>,
    task: bool,
    reason: bool,
    confirmed: bool,
    roots: Vec<RootKind>,
    region: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApprovalForm {
    rule: String,
    by: String,
    #[serde(default = "user")]
    kind: PrincipalKind,
    roles: Vec<Role>,
}

const fn rehearsal() -> Mode {
    Mode::Rehearsal
}

const fn user() -> PrincipalKind {
    PrincipalKind::User
}

const fn dev() -> Environment {
    Environment::Dev
}

fn dev_only() -> Vec<Environment> {
    vec![Environment::Dev]
}

const fn other() -> Kind {
    Kind::Other
}

#[expect(clippy::unnecessary_wraps, reason = "serde asks for the type of the field")]
fn somebody() -> Option<String> {
    Some("somebody".to_owned())
}

/// The id that a name stands for: `kind` and `name`, hashed.
fn id(kind: &str, name: &str) -> [u8; 16] {
    let digest = of_parts([b"strongroom/v1/policy/case".as_slice(), kind.as_bytes(), name.as_bytes()]);
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(digest.as_bytes()) {
        *to = *from;
    }
    id
}

fn principal_id(name: &str) -> PrincipalId {
    PrincipalId::from_bytes(id("principal", name))
}

fn workspace_id(name: &str) -> WorkspaceId {
    WorkspaceId::from_bytes(id("workspace", name))
}

impl Case {
    /// The question that the case asks.
    pub(super) fn query(&self, file: &CaseFile) -> Result<Query, CaseError> {
        let unknown = |what: &str, name: &str| CaseError::Unknown {
            case: self.name.clone(),
            what: format!("{what} `{}`", name.chars().take(64).collect::<String>()),
        };
        let form = file.principals.get(&self.principal).ok_or_else(|| unknown("principal", &self.principal))?;
        let resource = match &self.resource {
            What::Vault => Resource::Vault,
            What::Workspace(name) => Resource::Workspace(Workspace { id: workspace_id(name) }),
            What::Artifact(name) => {
                Resource::Artifact(file.artifacts.get(name).ok_or_else(|| unknown("artifact", name))?.artifact(name))
            }
        };
        Ok(Query {
            vault: VaultId::from_bytes([0; 16]),
            principal: form.principal(&self.principal),
            action: self.action,
            resource,
            context: self.context.context(file.mode),
            salt: [0; 16],
        })
    }
}

impl PrincipalForm {
    fn principal(&self, name: &str) -> Principal {
        let scope = |place: &str| if place == "*" { Scope::Vault } else { Scope::Workspace(workspace_id(place)) };
        let held = |(place, roles): (&String, &Vec<Role>)| {
            let scope = scope(place);
            roles.iter().map(|role| Held::new(*role, scope)).collect::<Vec<_>>()
        };
        Principal {
            id: principal_id(name),
            kind: self.kind,
            clearance: self.clearance,
            state: if self.suspended { PrincipalState::Suspended } else { PrincipalState::Active },
            roles: self.roles.iter().flat_map(held).collect(),
            envs: self.envs.clone(),
        }
    }
}

impl ArtifactForm {
    fn artifact(&self, name: &str) -> Artifact {
        Artifact {
            id: ArtifactId::from_bytes(id("artifact", name)),
            workspace: workspace_id(&self.workspace),
            class: self.class,
            env: self.env,
            kind: self.kind,
            owner: self.owner.as_deref().map(principal_id),
            quarantined: self.quarantined,
            held: self.held,
            residency: self.residency.clone(),
        }
    }
}

impl ContextForm {
    fn context(&self, mode: Mode) -> Context {
        let approval = |form: &ApprovalForm| Approval {
            rule: form.rule.clone(),
            approver: principal_id(&form.by),
            kind: form.kind,
            roles: form.roles.clone(),
        };
        Context {
            now: Timestamp::from_millis(self.now),
            auth: self.auth.unwrap_or(AuthMethod::Asserted),
            mode: self.mode.unwrap_or(mode),
            mfa: self.presence_secs.map_or(Mfa::Never, |secs| Mfa::Age { millis: secs.saturating_mul(1000) }),
            approvals: self.approvals.iter().map(approval).collect(),
            task_open: self.task,
            reason_given: self.reason,
            confirmed: self.confirmed,
            roots: self.roots.clone(),
            region: self.region.clone(),
        }
    }
}
