//! The keeper's parsers of outside bytes, for the crate `fuzz/` and for property tests (feature `fuzz`).
//!
//! Each answers what it read as the keeper writes it, or nothing if it refuses the bytes.

use crate::ledger;
use crate::roots::{self, KeyfileRoot, Wrapper};
use crate::rows::{self, reread};
use crate::vault::file::{MAX_ROOTS, VaultFile};
use crate::vault::open;
use api::terms::{KeyId, Suite, VaultId};
use log::checkpoint::Checkpoint;
use log::keys::LogKeys;
use seal::wrap::Kind;

/// `vault.json`. What it asks of a passphrase's derivation is read as well.
pub fn vault_file(text: &[u8]) -> Option<Vec<u8>> {
    let file = VaultFile::parse(text).ok()?;
    assert!((1..=MAX_ROOTS).contains(&file.roots.len()), "the number of roots is bounded");
    for entry in &file.roots {
        if let Ok(params) = open::params(entry) {
            let text = entry.params.as_deref().unwrap_or_default().to_ascii_lowercase();
            assert_eq!(hex::encode(params.encode()), text, "parameters have one form");
        }
    }
    file.encoded().ok()
}

/// The key file of a vault.
pub fn key_file(text: &[u8], vault: [u8; 16]) -> Option<Vec<u8>> {
    let vault = VaultId::from_bytes(vault);
    let root = KeyfileRoot::parse(text, vault).ok()?;
    root.encoded(vault).ok().map(|text| text.to_vec())
}

/// The anchor of the log with these keys: the newest head it holds, and the slot to overwrite next.
pub fn anchor(bytes: &[u8], keys: &LogKeys) -> Option<(Checkpoint, Option<usize>)> {
    ledger::anchored(bytes, keys)
}

/// The tables of [`row`].
pub const TABLES: &[&str] = &[
    "workspace",
    "artifact",
    "version",
    "alias",
    "draft",
    "principal",
    "role_grant",
    "crypto_key",
    "wrap",
    "root",
    "policy_source",
    "policy_set",
    "setting",
    "burst",
    "run",
    "edge",
    "depot",
    "named_key",
    "named_version",
    "incident",
    "subject",
];

/// The body of a row, under a MAC and beside the index columns that belong to it.
pub fn row(table: &str, body: &[u8]) -> Option<Vec<u8>> {
    match table {
        "workspace" => reread::<rows::Workspace>(body),
        "artifact" => reread::<rows::Artifact>(body),
        "version" => reread::<rows::Version>(body),
        "alias" => reread::<rows::Alias>(body),
        "draft" => reread::<rows::Draft>(body),
        "principal" => reread::<rows::Principal>(body),
        "subject" => reread::<rows::Subject>(body),
        "role_grant" => reread::<rows::Grant>(body),
        "crypto_key" => reread::<rows::Key>(body),
        "wrap" => reread::<rows::Wrap>(body),
        "root" => reread::<rows::Root>(body),
        "policy_source" => reread::<rows::PolicySource>(body),
        "policy_set" => reread::<rows::PolicySet>(body),
        "setting" => reread::<rows::Setting>(body),
        "burst" => reread::<rows::Burst>(body),
        "run" => reread::<rows::Run>(body),
        "edge" => reread::<rows::Edge>(body),
        "depot" => reread::<rows::Depot>(body),
        "named_key" => reread::<rows::NamedKey>(body),
        "named_version" => reread::<rows::NamedVersion>(body),
        "incident" => reread::<rows::Incident>(body),
        _ => None,
    }
}

/// The suite of the vault's own keys here: wraps are made alike in all.
const SUITE: Suite = Suite::Default;

/// The row that is read before any MAC can be checked: the wrap of the row-MAC key, for this vault, root and key.
pub fn mac_key(body: &[u8], vault: [u8; 16], key_file: &[u8], key: [u8; 16]) -> Option<[u8; 32]> {
    let (vault, id) = (VaultId::from_bytes(vault), KeyId::from_bytes(key));
    let root = KeyfileRoot::parse(key_file, vault).ok()?;
    crate::keys::vault::mac_key(body, SUITE, vault, id, &root).ok().map(|key| *key.expose_bytes())
}

/// Such a row around a key: what [`mac_key`] opens.
pub fn mac_key_row(secret: [u8; 32], vault: [u8; 16], key_file: &[u8], key: [u8; 16]) -> Option<Vec<u8>> {
    let (vault, id) = (VaultId::from_bytes(vault), KeyId::from_bytes(key));
    let root = KeyfileRoot::parse(key_file, vault).ok()?;
    let secret = roots::Secret::Mac(seal::secret::MacKey::from_bytes(Box::new(secret)));
    let sealed = root.wrap(&roots::context(SUITE, vault, Kind::Mac, id, root.id()), &secret).ok()?;
    let wrap = rows::Wrap {
        id,
        kind: rows::WrapKind::Vault,
        key: id,
        suite: SUITE,
        purpose: Some(rows::Purpose::RowMac),
        domain: None,
        artifact: None,
        version: None,
        under: root.id(),
        under_version: 1,
        sealed: hex::encode(sealed),
        fingerprint: String::new(),
    };
    serde_json::to_vec(&wrap).ok()
}

#[cfg(test)]
mod tests;
