//! Sealing a version anew under another key, in other packs (`docs/decisions/0112-reencryption-keeps-the-version.md`).

use super::{Receipt, VersionItem, hex_bytes};
use crate::terms::{DepotId, EntryId, KeyId, ObjectId, Timestamp, VersionId};

/// Open a version that is there for sealing it anew. The keys that open it as it is come with a release for the same action.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct ReencryptBegin {
    /// The version, as the user wrote it.
    pub reference: String,
    /// Depot objects the client is about to upload, registered with a lease. At most 1,024.
    pub objects: Vec<ObjectId>,
    /// A signed release request (`seal::request`) with action `reencrypt` for the version. One that the same principal began is taken up
    /// again.
    #[serde(with = "hex_bytes")]
    pub request: Vec<u8>,
    /// Why; in the log, under a salted commitment.
    pub reason: Option<String>,
    /// `WORKSPACE/ARTIFACT` typed again, for restricted data in solo mode.
    pub confirm: Option<String>,
}

/// The version is open for sealing it anew.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct ReencryptBegun {
    /// The version as it is.
    pub version: VersionItem,
    /// Signed envelope (`seal::envelope`) with list and map key under the new version key.
    #[serde(with = "hex_bytes")]
    pub envelope: Vec<u8>,
    /// Its prints, sealed for whoever holds the old list key; empty if it has none.
    #[serde(with = "hex_bytes", default, skip_serializing_if = "Vec::is_empty")]
    pub prints: Vec<u8>,
    /// The new version key.
    pub key: KeyId,
    /// Objects stay registered until then unless extended.
    pub lease_until: Timestamp,
    /// The intent's entry.
    pub entry: EntryId,
}

/// Put what was sealed anew in the place of what was there.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct ReencryptCommit {
    /// The version.
    pub version: VersionId,
    /// Its new record, deterministic CBOR (`seal::record`).
    #[serde(with = "hex_bytes")]
    pub record: Vec<u8>,
    /// Commitment to the plaintext digest of the whole, salted with the new map key.
    #[serde(with = "hex_bytes")]
    pub plaintext_commitment: Vec<u8>,
    /// Its prints, sealed under the new list key; empty for none.
    #[serde(with = "hex_bytes", default, skip_serializing_if = "Vec::is_empty")]
    pub prints: Vec<u8>,
    /// The depot that its objects were written to: refused if it is not the primary any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depot: Option<DepotId>,
}

/// The version lies under another key, in other packs.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Reencrypted {
    /// The version as it is now.
    pub version: VersionItem,
    /// Its key before, which is destroyed.
    pub old_key: KeyId,
    /// Its version digest before.
    pub old_digest: String,
    /// Objects that nothing names any more: `gc` deletes them.
    pub garbage: u64,
    /// Versions that still name packs of before: what the old key opened of them, it goes on opening.
    pub shared_with: Vec<String>,
    /// Where the log says so.
    pub receipt: Receipt,
}
