//! Personal fields: sealed where they stand, found by a keyed blind index.

use crate::error::{Error, Result};
use crate::hash;
use api::terms::{VaultId, WorkspaceId};
use aws_lc_rs::hmac;
use seal::secret::FieldKey;
use serde::{Deserialize, Serialize};

/// The longest personal field, in bytes: a reason of 1,024 bytes as JSON may take six times that.
pub(crate) const MAX_FIELD_LEN: u64 = 16_384;

/// A sealed text as hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct SealedText(pub(crate) String);

/// The version of a field that is written once, with its row: names of principals, the sidecar of the log.
pub(crate) const WRITTEN_ONCE: u64 = 1;

/// Where a sealed field stands; it opens nowhere else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    pub(crate) row: &'a [u8; 16],
    /// How often the field was written in this row: an older text does not open as the newer one.
    pub(crate) version: u64,
}

impl<'a> Place<'a> {
    /// Of a field that is written once.
    pub(crate) fn once(table: &'static str, column: &'static str, row: &'a [u8; 16]) -> Self {
        Self { table, column, row, version: WRITTEN_ONCE }
    }
}

/// Seals and opens personal fields.
pub(crate) struct Fields {
    vault: VaultId,
    key: FieldKey,
    epoch: u32,
    blind: hmac::Key,
}

impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fields(..)")
    }
}

impl Fields {
    /// With the vault's field key, and its version as the epoch of what it seals.
    pub(crate) fn new(vault: VaultId, key: FieldKey, epoch: u32) -> Self {
        let master = hmac::Key::new(hmac::HMAC_SHA256, key.expose_bytes());
        let derived = hmac::sign(&master, &hash::lp(&[b"strongroom/v1/blind-index", vault.as_bytes()]));
        Self { vault, epoch, blind: hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()), key }
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

    /// The blind index of a value in a column of a workspace's rows, or of the vault's: equal values have equal ones there and
    /// unrelated ones elsewhere, and nobody without the key can make one.
    pub(crate) fn blind_index(&self, of: Option<&WorkspaceId>, table: &str, column: &str, value: &str) -> String {
        let workspace = of.map_or(&[][..], |id| id.as_bytes());
        let input = hash::lp(&[workspace, table.as_bytes(), column.as_bytes(), value.as_bytes()]);
        hex::encode(hmac::sign(&self.blind, &input))
    }

    fn context(&self, place: Place<'_>) -> Vec<u8> {
        let Place { table, column, row, version } = place;
        hash::lp(&[
            b"strongroom/v1/field",
            self.vault.as_bytes(),
            table.as_bytes(),
            column.as_bytes(),
            row,
            &version.to_be_bytes(),
            &self.epoch.to_be_bytes(),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(vault: u8, epoch: u32) -> Fields {
        Fields::new(VaultId::from_bytes([vault; 16]), FieldKey::from_slice(&[7; 32]).unwrap(), epoch)
    }

    #[test]
    fn a_sealed_field_opens_in_its_place_version_and_epoch_only() {
        let (here, row, other) = (fields(1, 1), [3; 16], [4; 16]);
        let place = Place { version: 2, ..Place::once("principal", "name", &row) };
        let sealed = here.seal(place, "alice").unwrap();
        assert_eq!(here.open(place, &sealed).unwrap(), "alice");
        let older = here.seal(Place { version: 1, ..place }, "alicia").unwrap();
        assert!(here.open(place, &older).is_err(), "an older text put back");
        for elsewhere in [
            Place { version: 1, ..place },
            Place { version: 3, ..place },
            Place { row: &other, ..place },
            Place { column: "mail", ..place },
            Place { table: "sidecar", ..place },
        ] {
            assert!(here.open(elsewhere, &sealed).is_err(), "{elsewhere:?}");
        }
        // The same key bytes under another number, and in another vault.
        assert!(fields(1, 2).open(place, &sealed).is_err());
        assert!(fields(2, 1).open(place, &sealed).is_err());
    }

    #[test]
    fn a_blind_index_says_nothing_about_another_place() {
        let (here, lab, yard) = (fields(1, 1), WorkspaceId::from_bytes([5; 16]), WorkspaceId::from_bytes([6; 16]));
        let index = |fields: &Fields, of, table, column| fields.blind_index(of, table, column, "alice");
        let known = index(&here, Some(&lab), "principal", "name");
        assert_eq!(known, index(&here, Some(&lab), "principal", "name"));
        for other in [
            index(&here, Some(&yard), "principal", "name"),
            index(&here, None, "principal", "name"),
            index(&here, Some(&lab), "principal", "mail"),
            index(&here, Some(&lab), "sidecar", "name"),
            index(&fields(2, 1), Some(&lab), "principal", "name"),
        ] {
            assert_ne!(known, other);
        }
    }
}
