//! What a decision is about: typed facts, put together by the keeper from rows it has verified.

use crate::role::{Held, Role};
use api::terms::{
    Action, ArtifactId, AuthMethod, Class, Environment, Kind, Mode, PrincipalId, PrincipalKind, RootKind, Timestamp,
    VaultId, WorkspaceId,
};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Identity.
    pub id: PrincipalId,
    /// User, service or workload.
    pub kind: PrincipalKind,
    /// The highest class it may open.
    pub clearance: Class,
    /// Active or suspended.
    pub state: PrincipalState,
    /// Every role it holds, in all workspaces or at least in the one asked about; those past their end are ignored.
    pub roles: Vec<Held>,
    /// Environments it may touch.
    pub envs: Vec<Environment>,
}

/// Whether a principal may act at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrincipalState {
    /// It may.
    Active,
    /// It is refused everything.
    Suspended,
}

/// An artifact, or one about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Identity.
    pub id: ArtifactId,
    /// Where it is.
    pub workspace: WorkspaceId,
    /// Classification of the version asked for.
    pub class: Class,
    /// Environment.
    pub env: Environment,
    /// What it is.
    pub kind: Kind,
    /// Who answers for it; without an owner nothing is released.
    pub owner: Option<PrincipalId>,
    /// Set aside: nothing is released, no alias moves.
    pub quarantined: bool,
    /// Under a legal hold: it is not removed.
    pub held: bool,
    /// Regions in which it may be opened; empty: anywhere. Each at most [`Query::MAX_REGION_BYTES`] bytes.
    pub residency: Vec<String>,
}

/// A workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workspace {
    /// Identity.
    pub id: WorkspaceId,
}

/// What is acted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// The vault itself.
    Vault,
    /// A workspace.
    Workspace(Workspace),
    /// An artifact.
    Artifact(Artifact),
}

impl Resource {
    /// The workspace it is in.
    pub const fn workspace(&self) -> Option<WorkspaceId> {
        match self {
            Self::Vault => None,
            Self::Workspace(workspace) => Some(workspace.id),
            Self::Artifact(artifact) => Some(artifact.workspace),
        }
    }
}

/// When the person was last proven present. Not applicable to services and workloads, nor in solo: the crate works
/// that out itself and ignores what is given here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mfa {
    /// Never.
    Never,
    /// This many milliseconds before the session, or the run, started.
    Age {
        /// Milliseconds.
        millis: u64,
    },
}

/// A verified approval of exactly this act. The keeper checked signature, freshness and that it is not used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The rule it counts for (`baseline/approvals.json`).
    pub rule: String,
    /// Who approved.
    pub approver: PrincipalId,
    /// What the approver is; only users approve.
    pub kind: PrincipalKind,
    /// The roles the approver holds where the resource is.
    pub roles: Vec<Role>,
}

/// The circumstances; only the keeper states them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The keeper's clock.
    pub now: Timestamp,
    /// How the principal was authenticated.
    pub auth: AuthMethod,
    /// Solo or rehearsal.
    pub mode: Mode,
    /// Presence of the person.
    pub mfa: Mfa,
    /// Verified approvals of this act.
    pub approvals: Vec<Approval>,
    /// An open task that the principal is assigned to covers the artifact.
    pub task_open: bool,
    /// A reason was given.
    pub reason_given: bool,
    /// The artifact's name was typed again.
    pub confirmed: bool,
    /// What wraps the keys of the vault.
    pub roots: Vec<RootKind>,
    /// Where the client is, if known. At most [`Query::MAX_REGION_BYTES`] bytes.
    pub region: Option<String>,
}

impl Context {
    /// Nothing proven, nothing given.
    pub const fn new(now: Timestamp, mode: Mode) -> Self {
        Self {
            now,
            auth: AuthMethod::Asserted,
            mode,
            mfa: Mfa::Never,
            approvals: Vec::new(),
            task_open: false,
            reason_given: false,
            confirmed: false,
            roots: Vec::new(),
            region: None,
        }
    }
}

/// One question to the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The vault.
    pub vault: VaultId,
    /// Who.
    pub principal: Principal,
    /// Does what.
    pub action: Action,
    /// To what.
    pub resource: Resource,
    /// Under which circumstances.
    pub context: Context,
    /// Random, fresh: salts the content addresses of slice and context, so that a hash in the log tells nothing.
    pub salt: [u8; 16],
}

impl Query {
    /// The longest name of a region; a longer one denies.
    pub const MAX_REGION_BYTES: usize = 64;
    /// The most regions an artifact may name; more deny.
    pub const MAX_REGIONS: usize = 64;
    /// The most approvals looked at; more deny.
    pub const MAX_APPROVALS: usize = 64;
    /// The most roles a principal may hold; more deny.
    pub const MAX_ROLES: usize = 4096;
}
