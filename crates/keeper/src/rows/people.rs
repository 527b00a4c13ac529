//! Who may do what: principals and their grants.

use super::{RowId, Table};
use crate::datastore::Value;
use crate::field::SealedText;
use api::terms::{Class, GrantId, PrincipalId, PrincipalKind, Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};

/// A user, service or workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Principal {
    pub(crate) id: PrincipalId,
    /// Blind index of the name.
    pub(crate) name_index: String,
    /// The name, sealed under the field key.
    pub(crate) name: SealedText,
    pub(crate) kind: PrincipalKind,
    pub(crate) clearance: Class,
    pub(crate) suspended: bool,
    pub(crate) created: Timestamp,
}

impl Table for Principal {
    const NAME: &'static str = "principal";
    const KEPT: bool = true;
    const INDEX: &'static [&'static str] = &["name_index"];
    fn id(&self) -> RowId {
        *self.id.as_bytes()
    }
    fn index(&self) -> Vec<Value<'_>> {
        vec![(&self.name_index).into()]
    }
}

/// A role in a workspace, or in the whole vault, for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grant {
    pub(crate) id: GrantId,
    pub(crate) principal: PrincipalId,
    /// None: the whole vault.
    pub(crate) workspace: Option<WorkspaceId>,
    pub(crate) role: String,
    pub(crate) until: Option<Timestamp>,
    pub(crate) created: Timestamp,
}

impl Table for Grant {
    const NAME: &'static str = "role_grant";
    const KEPT: bool = true;
    const INDEX: &'static [&'static str] = &["principal", "workspace"];
    fn id(&self) -> RowId {
        *self.id.as_bytes()
    }
    fn index(&self) -> Vec<Value<'_>> {
        vec![self.principal.as_bytes().into(), self.workspace.as_ref().map(|id| id.as_bytes().as_slice()).into()]
    }
}
