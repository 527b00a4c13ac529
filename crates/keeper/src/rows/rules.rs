//! The rules in force: policy sources, the set they make, settings.

use super::{RowId, Table, named_id};
use crate::datastore::Value;
use api::terms::Timestamp;
use serde::{Deserialize, Serialize};

/// One source file of the organisation's part of the policy set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicySource {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Table for PolicySource {
    const NAME: &'static str = "policy_source";
    const INDEX: &'static [&'static str] = &["name"];
    fn id(&self) -> RowId {
        named_id(Self::NAME, &[self.name.as_bytes()])
    }
    fn index(&self) -> Vec<Value<'_>> {
        vec![(&self.name).into()]
    }
}

/// The set in force: one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicySet {
    /// Hash of the whole set, hexadecimal.
    pub(crate) hash: String,
    /// What validated it ([`policy::Set::validator`]); the same program need not do it again at each start.
    pub(crate) validator: String,
    /// Names of the organisation's sources, so that a removed row is missed.
    pub(crate) sources: Vec<String>,
    pub(crate) applied: Timestamp,
}

impl PolicySet {
    /// Its row, also the subject of its epoch.
    pub(crate) fn row_id() -> RowId {
        named_id(Self::NAME, &[])
    }
}

impl Table for PolicySet {
    const NAME: &'static str = "policy_set";
    const INDEX: &'static [&'static str] = &[];
    fn id(&self) -> RowId {
        Self::row_id()
    }
    fn index(&self) -> Vec<Value<'_>> {
        Vec::new()
    }
}

/// A named setting of the vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setting {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl Setting {
    /// The row of a setting.
    pub(crate) fn id_of(name: &str) -> RowId {
        named_id(Self::NAME, &[name.as_bytes()])
    }
}

impl Table for Setting {
    const NAME: &'static str = "setting";
    const INDEX: &'static [&'static str] = &["name"];
    fn id(&self) -> RowId {
        Self::id_of(&self.name)
    }
    fn index(&self) -> Vec<Value<'_>> {
        vec![(&self.name).into()]
    }
}
