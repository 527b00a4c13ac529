//! Questions about people and their rights.

use super::GrantSpec;
use crate::terms::{AuthMethod, Class, Mode, PrincipalId, PrincipalKind, VaultId};

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
