//! Where the objects lie, besides the vault's own folder.

use super::{RowId, Table, named_id};
use crate::datastore::Value;
use api::terms::{DepotId, DepotKind, Timestamp};
use serde::{Deserialize, Serialize};

/// A depot that was taken into use. The vault's own folder has a row only when it was taken out of use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Depot {
    pub(crate) id: DepotId,
    pub(crate) kind: DepotKind,
    /// An absolute path, `s3://bucket/prefix`, or [`Self::OWN_PLACE`].
    pub(crate) place: String,
    pub(crate) endpoint: Option<String>,
    pub(crate) region: Option<String>,
    /// The path of a file, which is outside of the vault.
    pub(crate) credentials: Option<String>,
    /// The lowest of those in use is the primary. The vault's own folder has 0.
    pub(crate) rank: i32,
    pub(crate) created: Option<Timestamp>,
    pub(crate) retired: Option<Timestamp>,
}

impl Depot {
    /// The vault's own folder, in the vault.
    pub(crate) const OWN_PLACE: &'static str = "depot";

    /// The vault's own folder, which every vault begins with.
    pub(crate) fn own() -> Self {
        Self {
            id: DepotId::from_bytes(named_id(Self::NAME, &[Self::OWN_PLACE.as_bytes()])),
            kind: DepotKind::Folder,
            place: Self::OWN_PLACE.to_owned(),
            endpoint: None,
            region: None,
            credentials: None,
            rank: 0,
            created: None,
            retired: None,
        }
    }

    /// Whether it is at the same place.
    pub(crate) fn is_at(&self, other: &Self) -> bool {
        (self.kind, &self.place, &self.endpoint) == (other.kind, &other.place, &other.endpoint)
    }
}

impl Table for Depot {
    const NAME: &'static str = "depot";
    const INDEX: &'static [&'static str] = &[];
    fn id(&self) -> RowId {
        *self.id.as_bytes()
    }
    fn index(&self) -> Vec<Value<'_>> {
        Vec::new()
    }
}
