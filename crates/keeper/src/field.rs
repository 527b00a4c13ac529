//! Personal fields: sealed where they stand, found by a keyed blind index.

use crate::error::{Error, Result};
use crate::hash;
use api::terms::VaultId;
use aws_lc_rs::hmac;
use seal::secret::FieldKey;
use serde::{Deserialize, Serialize};

/// The longest personal field, in bytes: a reason of 1,024 bytes as JSON may take six times that.
pub(crate) const MAX_FIELD_LEN: u64 = 16_384;

/// A sealed text as hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct SealedText(pub(crate) String);

/// Where a sealed field stands; it opens nowhere else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    pub(crate) row: &'a [u8; 16],
}

/// Seals and opens personal fields.
pub(crate) struct Fields {
    vault: VaultId,
    key: FieldKey,
    blind: hmac::Key,
}

impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fields(..)")
    }
}

impl Fields {
    /// With the vault's field key.
    pub(crate) fn new(vault: VaultId, key: FieldKey) -> Self {
        let master = hmac::Key::new(hmac::HMAC_SHA256, key.expose_bytes());
        let derived = hmac::sign(&master, &hash::lp(&[b"strongroom/v1/blind-index", vault.as_bytes()]));
        Self { vault, blind: hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()), key }
    }

    /// Seals a text for one place.
    pub(crate) fn seal(&self, place: Place<'_>, text: &str) -> Result<SealedText> {
        if text.len() as u64 > MAX_FIELD_LEN {
            return Err(Error::bad("a personal field", format!("it has more than {MAX_FIELD_LEN} bytes")));
        }
        seal::chunked::seal_all(self.key.expose_bytes(), &self.context(place), text.as_bytes())
            .map(|sealed| SealedText(hex::encode(sealed)))
            .map_err(|_| Error::Internal("a field could not be sealed"))
    }

    /// Opens a text in its place.
    pub(crate) fn open(&self, place: Place<'_>, sealed: &SealedText) -> Result<String> {
        let altered = || Error::Altered { table: place.table, row: hex::encode(place.row) };
        let bytes = hex::decode(&sealed.0).map_err(|_| altered())?;
        let plain = seal::chunked::open_all(self.key.expose_bytes(), &self.context(place), &bytes, MAX_FIELD_LEN)
            .map_err(|_| altered())?;
        String::from_utf8(plain.to_vec()).map_err(|_| altered())
    }

    /// The blind index of a value in a column: equal values have equal ones, and nobody without the key can make one.
    pub(crate) fn blind_index(&self, table: &str, column: &str, value: &str) -> String {
        let input = hash::lp(&[table.as_bytes(), column.as_bytes(), value.as_bytes()]);
        hex::encode(hmac::sign(&self.blind, &input))
    }

    fn context(&self, place: Place<'_>) -> Vec<u8> {
        let Place { table, column, row } = place;
        hash::lp(&[b"strongroom/v1/field", self.vault.as_bytes(), table.as_bytes(), column.as_bytes(), row])
    }
}
