//! Personal fields: sealed under the key of the person that they are about, found by a keyed blind index
//! (`docs/decisions/0117-a-key-for-each-person.md`).

use crate::error::{Error, Result};
use crate::hash;
use api::terms::{PrincipalId, VaultId, WorkspaceId};
use aws_lc_rs::hmac;
use seal::secret::{FieldKey, SubjectKey};
use serde::{Deserialize, Serialize};

/// The longest personal field, in bytes: a reason of 1,024 bytes as JSON may take six times that.
pub(crate) const MAX_FIELD_LEN: u64 = 16_384;
/// The longest record of a decision, in bytes: salt, the slice of the policy's facts, context.
const MAX_RECORD_LEN: u64 = 64 << 20;

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
    pub(crate) row: &'a [u8],
    /// How often the field was written in this row: an older text does not open as the newer one.
    pub(crate) version: u64,
}

impl<'a> Place<'a> {
    /// Of a field that is written once.
    pub(crate) fn once(table: &'static str, column: &'static str, row: &'a [u8]) -> Self {
        Self { table, column, row, version: WRITTEN_ONCE }
    }

    fn context(self, vault: VaultId, label: &[u8], epoch: u32, of: Option<&PrincipalId>) -> Vec<u8> {
        let Place { table, column, row, version } = self;
        let (version, epoch) = (version.to_be_bytes(), epoch.to_be_bytes());
        let mut parts: Vec<&[u8]> =
            vec![label, vault.as_bytes(), table.as_bytes(), column.as_bytes(), row, &version, &epoch];
        parts.extend(of.map(|id| id.as_bytes().as_slice()));
        hash::lp(&parts)
    }

    fn altered(self) -> Error {
        Error::Altered { table: self.table, row: hex::encode(self.row) }
    }
}

/// The vault's field key: seals the keys of people, and makes blind indexes.
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

    /// The version of the key.
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Seals the key of a person for one place.
    pub(crate) fn seal_key(&self, place: Place<'_>, key: &SubjectKey) -> Result<SealedText> {
        let context = place.context(self.vault, b"strongroom/v1/field", self.epoch, None);
        seal::chunked::seal_all(self.key.expose_bytes(), &context, key.expose_bytes())
            .map(|sealed| SealedText(hex::encode(sealed)))
            .map_err(|_| Error::Internal("a field could not be sealed"))
    }

    /// Opens the key of a person in its place.
    pub(crate) fn open_key(&self, place: Place<'_>, epoch: u32, sealed: &SealedText) -> Result<SubjectKey> {
        let altered = || place.altered();
        let bytes = hex::decode(&sealed.0).map_err(|_| altered())?;
        let context = place.context(self.vault, b"strongroom/v1/field", epoch, None);
        let plain = seal::chunked::open_all(self.key.expose_bytes(), &context, &bytes, 32).map_err(|_| altered())?;
        SubjectKey::from_slice(&plain).map_err(|_| altered())
    }

    /// The blind index of a value in a column of a workspace's rows, or of the vault's: equal values have equal ones there and
    /// unrelated ones elsewhere, and nobody without the key can make one.
    pub(crate) fn blind_index(&self, of: Option<&WorkspaceId>, table: &str, column: &str, value: &str) -> String {
        let workspace = of.map_or(&[][..], |id| id.as_bytes());
        let input = hash::lp(&[workspace, table.as_bytes(), column.as_bytes(), value.as_bytes()]);
        hex::encode(hmac::sign(&self.blind, &input))
    }
}

/// Seals and opens what is personal of one person.
pub(crate) struct Personal {
    vault: VaultId,
    of: PrincipalId,
    key: SubjectKey,
    epoch: u32,
}

impl std::fmt::Debug for Personal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Personal(..)")
    }
}

impl Personal {
    /// With the key of a person, and its version as the epoch of what it seals.
    pub(crate) fn new(vault: VaultId, of: PrincipalId, key: SubjectKey, epoch: u32) -> Self {
        Self { vault, of, key, epoch }
    }

    /// Seals a text for one place.
    pub(crate) fn seal(&self, place: Place<'_>, text: &str) -> Result<SealedText> {
        if text.len() as u64 > MAX_FIELD_LEN {
            return Err(Error::bad("a personal field", format!("it has more than {MAX_FIELD_LEN} bytes")));
        }
        self.seal_bytes(place, text.as_bytes()).map(|sealed| SealedText(hex::encode(sealed)))
    }

    /// Opens a text in its place.
    pub(crate) fn open(&self, place: Place<'_>, sealed: &SealedText) -> Result<String> {
        let bytes = hex::decode(&sealed.0).map_err(|_| place.altered())?;
        String::from_utf8(self.opened(place, &bytes, MAX_FIELD_LEN)?).map_err(|_| place.altered())
    }

    /// Seals a record of a decision.
    pub(crate) fn seal_bytes(&self, place: Place<'_>, bytes: &[u8]) -> Result<Vec<u8>> {
        seal::chunked::seal_all(self.key.expose_bytes(), &self.context(place), bytes)
            .map_err(|_| Error::Internal("a field could not be sealed"))
    }

    /// Opens one.
    pub(crate) fn open_bytes(&self, place: Place<'_>, sealed: &[u8]) -> Result<Vec<u8>> {
        self.opened(place, sealed, MAX_RECORD_LEN)
    }

    fn opened(&self, place: Place<'_>, sealed: &[u8], max: u64) -> Result<Vec<u8>> {
        seal::chunked::open_all(self.key.expose_bytes(), &self.context(place), sealed, max)
            .map(|plain| plain.to_vec())
            .map_err(|_| place.altered())
    }

    fn context(&self, place: Place<'_>) -> Vec<u8> {
        place.context(self.vault, b"strongroom/v1/personal", self.epoch, Some(&self.of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(vault: u8, epoch: u32) -> Fields {
        Fields::new(VaultId::from_bytes([vault; 16]), FieldKey::from_slice(&[7; 32]).unwrap(), epoch)
    }

    fn personal(vault: u8, of: u8, epoch: u32) -> Personal {
        let key = SubjectKey::from_slice(&[7; 32]).unwrap();
        Personal::new(VaultId::from_bytes([vault; 16]), PrincipalId::from_bytes([of; 16]), key, epoch)
    }

    #[test]
    fn a_sealed_field_opens_in_its_place_version_and_epoch_only() {
        let (here, row, other) = (personal(1, 1, 1), [3; 16], [4; 16]);
        let place = Place { version: 2, ..Place::once("subject", "name", &row) };
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
        // The same key bytes under another number, as another person's, and in another vault.
        assert!(personal(1, 1, 2).open(place, &sealed).is_err());
        assert!(personal(1, 2, 1).open(place, &sealed).is_err());
        assert!(personal(2, 1, 1).open(place, &sealed).is_err());
    }

    #[test]
    fn the_key_of_a_person_opens_in_its_row_and_vault_only() {
        let (here, row, other) = (fields(1, 1), [3; 16], [4; 16]);
        let place = Place::once("subject", "key", &row);
        let sealed = here.seal_key(place, &SubjectKey::from_slice(&[9; 32]).unwrap()).unwrap();
        assert_eq!(here.open_key(place, 1, &sealed).unwrap().expose_bytes(), &[9; 32]);
        assert!(here.open_key(Place { row: &other, ..place }, 1, &sealed).is_err());
        assert!(here.open_key(Place { version: 2, ..place }, 1, &sealed).is_err());
        assert!(here.open_key(place, 2, &sealed).is_err());
        assert!(fields(2, 1).open_key(place, 1, &sealed).is_err());
    }

    #[test]
    fn a_blind_index_says_nothing_about_another_place() {
        let (here, lab, yard) = (fields(1, 1), WorkspaceId::from_bytes([5; 16]), WorkspaceId::from_bytes([6; 16]));
        let index = |fields: &Fields, of, table, column| fields.blind_index(of, table, column, "alice");
        let known = index(&here, Some(&lab), "subject", "name");
        assert_eq!(known, index(&here, Some(&lab), "subject", "name"));
        for other in [
            index(&here, Some(&yard), "subject", "name"),
            index(&here, None, "subject", "name"),
            index(&here, Some(&lab), "subject", "mail"),
            index(&here, Some(&lab), "sidecar", "name"),
            index(&fields(2, 1), Some(&lab), "subject", "name"),
        ] {
            assert_ne!(known, other);
        }
    }
}
