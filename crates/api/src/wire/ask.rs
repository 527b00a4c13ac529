//! Questions about people and their rights.

use super::{GrantSpec, NearMiss, Replayed};
use crate::terms::{
    Action, AuthMethod, Class, DecisionId, EntryId, Environment, Kind, Mode, PrincipalId, PrincipalKind, Timestamp,
    VaultId,
};
use std::collections::BTreeMap;

/// The caller, as the keeper sees it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct WhoAmI {
    /// Name.
    pub principal: String,
    /// Identity.
    pub id: PrincipalId,
    /// User, service or workload.
    pub kind: PrincipalKind,
    /// The highest class it may open.
    pub clearance: Class,
    /// Refused everything.
    pub suspended: bool,
    /// Its roles, those past their end too.
    pub grants: Vec<GrantSpec>,
    /// How it was authenticated.
    pub auth: AuthMethod,
    /// Whether the person proved to be there when the session started.
    pub presence: PresenceTold,
    /// The vault.
    pub vault: VaultId,
    /// Its mode.
    pub mode: Mode,
    /// Why nothing may be written, if so.
    pub read_only: Option<String>,
}

/// What a session says of the person's presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PresenceTold {
    /// When the session started.
    Now,
    /// Never.
    None,
    /// It is not asked for: in a solo vault, and of services and workloads.
    NotAsked,
}

/// Ask who may do something.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct WhoCan {
    /// What.
    pub action: Action,
    /// To what: a version, a workspace; none or `vault` for the vault itself. For `write` an artifact.
    pub reference: Option<String>,
    /// For `write`: the environment of the new version; none: `dev`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// When; none: now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
    /// Continue after this name.
    pub after: Option<String>,
    /// At most this many, up to 10,000.
    pub limit: u32,
}

/// A page of those who may.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct WhoCanPage {
    /// What was asked.
    pub action: Action,
    /// `workspace/artifact@vN`, `workspace/artifact`, a workspace, or `vault`.
    pub about: String,
    /// The class that was decided on.
    pub class: Option<Class>,
    /// The environment that was decided on.
    pub environment: Option<Environment>,
    /// For this moment.
    pub as_of: Timestamp,
    /// The policy set that was in force then, hexadecimal.
    pub policy_set: String,
    /// How many principals were looked at.
    pub principals: u64,
    /// How many of them the policies can tell apart: so many decisions were made.
    pub questions: u64,
    /// By name.
    pub items: Vec<Holder>,
    /// Where to go on.
    pub next: Option<String>,
}

/// A principal that may.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Holder {
    /// Name.
    pub principal: String,
    /// Identity.
    pub id: PrincipalId,
    /// User, service or workload.
    pub kind: PrincipalKind,
    /// The highest class it may open.
    pub clearance: Class,
    /// What is asked of it first: `confirmation`, `presence`, `task`, `approval:RULE`.
    pub conditions: Vec<String>,
    /// What lets it.
    pub path: Vec<Granted>,
}

/// A policy that speaks for a principal, and the grant by which it does.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Granted {
    /// The policy.
    pub policy: String,
    /// The role that is held; none if the policy asks for none.
    pub role: Option<String>,
    /// Where it is held; `vault`: everywhere.
    pub workspace: Option<String>,
    /// Its end.
    pub until: Option<Timestamp>,
}

/// Ask who did what to an artifact.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct WhoDid {
    /// An artifact, or a version of it.
    pub reference: String,
    /// At or after.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// Continue behind this index of the log, towards older entries.
    pub after: Option<u64>,
    /// At most this many, up to 10,000.
    pub limit: u32,
}

/// Something that was done, or refused, as an entry of the log says it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Deed {
    /// The index of the entry; none while it waits.
    pub log_index: Option<u64>,
    /// The entry.
    pub entry: EntryId,
    /// When.
    pub time: Timestamp,
    /// Who, by name.
    pub principal: Option<String>,
    /// The keeper did it when it was due, as a rule says; the principal is the owner, in whose name it acts.
    pub by_system: bool,
    /// The act, such as `release.read`.
    pub act: String,
    /// Whether it was done.
    pub outcome: DeedOutcome,
    /// How many times; more than once for refusals that were counted.
    pub count: u64,
    /// `workspace/artifact@vN`; none of the artifact as a whole, or of a version that was not finished.
    pub version: Option<String>,
    /// The alias that it was about.
    pub alias: Option<String>,
    /// The decision.
    pub decision: Option<DecisionId>,
    /// The policies that determined it.
    pub policies: Vec<String>,
}

/// Whether something was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeedOutcome {
    /// It was.
    Done,
    /// It was refused.
    Denied,
}

/// A decision that was made, made again and told.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DecisionTold {
    /// The decision.
    pub decision: DecisionId,
    /// The entry that records it.
    pub entry: EntryId,
    /// Its index in the log; none while it waits.
    pub log_index: Option<u64>,
    /// When.
    pub time: Timestamp,
    /// Who asked, by name.
    pub principal: Option<String>,
    /// The act.
    pub act: String,
    /// The answer.
    pub allowed: bool,
    /// The policies that determined it.
    pub policies: Vec<String>,
    /// The sentences of their `@reason` annotations.
    pub reasons: Vec<String>,
    /// What was missing.
    pub near_misses: Vec<NearMiss>,
    /// The policy set that decided, hexadecimal.
    pub policy_set: String,
    /// The engine that decided.
    pub engine: String,
    /// What it was about, by ids.
    pub subject: BTreeMap<String, String>,
    /// Whether it comes out the same today, from what was kept.
    pub replayed: Replayed,
    /// What it was made on, if that was kept and this program's engine decided.
    pub facts: Option<FactsTold>,
}

/// The facts of a decision as they were.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FactsTold {
    /// What was asked.
    pub action: Action,
    /// What the principal was.
    pub kind: PrincipalKind,
    /// Its clearance.
    pub clearance: Class,
    /// Not suspended.
    pub active: bool,
    /// Its roles there, implied ones included.
    pub roles: Vec<String>,
    /// The environments that it was admitted to.
    pub envs: Vec<Environment>,
    /// It held a role in the very workspace.
    pub own: bool,
    /// Of what was asked for.
    pub class: Option<Class>,
    /// Of what was asked for.
    pub environment: Option<Environment>,
    /// Of what was asked for.
    pub artifact_kind: Option<Kind>,
    /// Alone.
    pub solo: bool,
    /// How it was authenticated.
    pub auth: AuthMethod,
    /// Whether presence was asked for.
    pub presence_applies: bool,
    /// How long before the session presence was proven; none: never.
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
    pub roots: Vec<String>,
}
