//! Denials that are the same, counted.

use super::{RowId, Table, named_id};
use crate::datastore::Value;
use api::terms::{PrincipalId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The denials of one window that are the same. Under a MAC, but no part of the logged state: it ends with an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Burst {
    /// What they have in common, as a hash, hexadecimal.
    pub(crate) same: String,
    pub(crate) principal: PrincipalId,
    /// How the principal was authenticated, as entries say it.
    pub(crate) auth: String,
    pub(crate) act: String,
    pub(crate) subject: BTreeMap<String, String>,
    pub(crate) detail: BTreeMap<String, String>,
    pub(crate) policies: Vec<String>,
    /// Of the first one.
    pub(crate) began: Timestamp,
    /// The window's end.
    pub(crate) until: Timestamp,
    /// Of the last one.
    pub(crate) last: Timestamp,
    /// Those with an entry of their own.
    pub(crate) logged: u64,
    /// Those after them, which have none yet.
    pub(crate) counted: u64,
}

impl Burst {
    /// The row of denials that have this in common.
    pub(crate) fn id_of(same: &str) -> RowId {
        named_id(Self::NAME, &[same.as_bytes()])
    }
}

impl Table for Burst {
    const NAME: &'static str = "burst";
    const INDEX: &'static [&'static str] = &["until"];
    fn id(&self) -> RowId {
        Self::id_of(&self.same)
    }
    fn index(&self) -> Vec<Value<'_>> {
        vec![Value::Integer(Some(i64::try_from(self.until.as_millis()).unwrap_or(i64::MAX)))]
    }
}
