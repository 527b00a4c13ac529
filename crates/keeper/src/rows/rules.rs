//! The rules in force: policy sources, the set they make, settings.

use super::{RowId, Table, named_id};
use crate::datastore::Value;
use crate::error::{Error, Result};
use api::terms::Timestamp;
use policy::Set;
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
    /// The digest of the baseline in it ([`policy::Set::baseline_digest`]), hexadecimal.
    pub(crate) baseline: String,
    /// The number of that baseline.
    pub(crate) edition: u32,
}

impl PolicySet {
    /// A set with this program's baseline.
    pub(crate) fn new(set: &Set, sources: Vec<String>, applied: Timestamp) -> Self {
        Self {
            hash: set.hash().to_string(),
            validator: Set::validator(),
            sources,
            applied,
            baseline: Set::baseline_digest().to_string(),
            edition: policy::EDITION,
        }
    }

    /// Whether its baseline is this program's.
    pub(crate) fn is_current(&self) -> bool {
        self.baseline == Set::baseline_digest().to_string()
    }

    /// Refuses a set with another baseline than this program's.
    pub(crate) fn current(self) -> Result<Self> {
        if self.is_current() { Ok(self) } else { Err(self.other()) }
    }

    /// Refuses a set with a newer baseline than this program's.
    pub(crate) fn not_newer(self) -> Result<Self> {
        if self.edition <= policy::EDITION { Ok(self) } else { Err(self.other()) }
    }

    fn other(self) -> Error {
        Error::OtherBaseline { edition: self.edition, baseline: self.baseline }
    }

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
