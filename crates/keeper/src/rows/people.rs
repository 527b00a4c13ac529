//! Who may do what: principals and their grants.

use super::{RowId, Table};
use crate::datastore::Value;
use crate::field::SealedText;
use api::terms::{Class, GrantId, PrincipalId, PrincipalKind, Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};

/// A user, service or workload: what policy knows of it. What is personal is in its [`Subject`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Principal {
    pub(crate) id: PrincipalId,
    pub(crate) kind: PrincipalKind,
    pub(crate) clearance: Class,
    pub(crate) suspended: bool,
    pub(crate) created: Timestamp,
    /// That it was erased: it has no subject any more, and gets none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) erased: Option<Erased>,
}

/// When somebody was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Erased {
    pub(crate) at: Timestamp,
    pub(crate) by: PrincipalId,
    /// When the database had forgotten the bytes too.
    pub(crate) finished: Option<Timestamp>,
}

impl Table for Principal {
    const NAME: &'static str = "principal";
    const KEPT: bool = true;
    const INDEX: &'static [&'static str] = &["erasing"];
    fn id(&self) -> RowId {
        *self.id.as_bytes()
    }
    fn index(&self) -> Vec<Value<'_>> {
        let erasing = self.erased.filter(|erased| erased.finished.is_none());
        vec![erasing.map(|erased| i64::try_from(erased.at.as_millis()).unwrap_or(i64::MAX)).into()]
    }
}

/// Who a principal is: the name, and the key that seals whatever is personal of it. The row goes when somebody is erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subject {
    /// The principal's.
    pub(crate) id: PrincipalId,
    /// Blind index of the name.
    pub(crate) name_index: String,
    /// The name, sealed under the key.
    pub(crate) name: SealedText,
    /// The key, sealed under the vault's field key.
    pub(crate) key: SealedText,
    /// From 1.
    pub(crate) version: u32,
    /// The version of the field key.
    pub(crate) under: u32,
    pub(crate) created: Timestamp,
}

impl Table for Subject {
    const NAME: &'static str = "subject";
    const WIPED: bool = true;
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
