//! The lists of an incident, kept in parts: its version keys, and its principals. Their digests are in its row, which is under a MAC.

use super::evidence::Principal;
use super::radius::Radius;
use crate::datastore::Transaction;
use crate::error::{Error, Result};
use crate::hash;
use api::terms::{IncidentId, KeyId, VersionId};

/// The version keys: 33 bytes each, version, key, and whether the version was committed.
pub(super) const KEYS: &str = "keys";
/// The principals: a line of JSON each.
pub(super) const PEOPLE: &str = "people";

const KEY_LEN: usize = 33;
/// Bytes of a part: whole keys, and whole lines or not.
const PART_LEN: usize = 4_096 * KEY_LEN;
const TABLE: &str = "incident_part";

/// A version key of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) version: VersionId,
    pub(super) key: KeyId,
    pub(super) committed: bool,
}

/// The list of keys.
pub(super) fn keys(radius: &Radius) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(radius.keys.len() * KEY_LEN);
    for touched in &radius.keys {
        bytes.extend_from_slice(&touched.version);
        bytes.extend_from_slice(&touched.key);
        bytes.push(u8::from(touched.committed.is_some()));
    }
    bytes
}

/// The list of principals.
pub(super) fn people(radius: &Radius) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for (id, person) in &radius.people {
        serde_json::to_writer(&mut bytes, &Principal::of(*id, person))
            .map_err(|_| Error::Internal("a line is not JSON"))?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// As the row of the incident names a list.
pub(super) fn digest(bytes: &[u8]) -> String {
    hex::encode(hash::sha256(bytes))
}

/// Writes a list.
pub(super) fn put(tx: &mut dyn Transaction, incident: IncidentId, list: &'static str, bytes: &[u8]) -> Result<()> {
    for (part, bytes) in (0_i64..).zip(bytes.chunks(PART_LEN)) {
        let values = [incident.as_bytes().into(), list.into(), part.into(), bytes.into()];
        tx.query("INSERT INTO incident_part (incident, list, part, bytes) VALUES ($1, $2, $3, $4)", &values)?;
    }
    Ok(())
}

/// Reads a list, which must have this digest.
fn get(tx: &mut dyn Transaction, incident: IncidentId, list: &'static str, expected: &str) -> Result<Vec<u8>> {
    let sql = "SELECT bytes FROM incident_part WHERE incident = $1 AND list = $2 ORDER BY part";
    let mut bytes = Vec::new();
    for row in &tx.query(sql, &[incident.as_bytes().into(), list.into()])? {
        bytes.extend_from_slice(row.bytes(0)?);
    }
    if digest(&bytes) == expected {
        return Ok(bytes);
    }
    Err(Error::Altered { table: TABLE, row: format!("{incident} {list}") })
}

/// The keys of an incident.
pub(super) fn keys_of(tx: &mut dyn Transaction, incident: IncidentId, expected: &str) -> Result<Vec<Listed>> {
    let bytes = get(tx, incident, KEYS, expected)?;
    let listed = |entry: &[u8; KEY_LEN]| {
        let (version, rest) = entry.split_first_chunk::<16>()?;
        let (key, committed) = rest.split_first_chunk::<16>()?;
        let (version, key) = (VersionId::from_bytes(*version), KeyId::from_bytes(*key));
        Some(Listed { version, key, committed: committed == [1] })
    };
    let (entries, rest) = bytes.as_chunks::<KEY_LEN>();
    let found: Option<Vec<Listed>> = entries.iter().map(listed).collect();
    found.filter(|_| rest.is_empty()).ok_or(Error::Internal("a list of keys that is none"))
}

/// The principals of an incident.
pub(super) fn people_of(tx: &mut dyn Transaction, incident: IncidentId, expected: &str) -> Result<Vec<Principal>> {
    let bytes = get(tx, incident, PEOPLE, expected)?;
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let read = |line| serde_json::from_slice(line).map_err(|_| Error::Internal("a list of principals that is none"));
    lines.map(read).collect()
}
