//! State rows: what policy reads, each under a MAC that the database cannot make (`docs/decisions/0040-rows-under-macs.md`).
//!
//! A table holds `id`, a few index columns, and the row itself as canonical JSON in `body`, with `salt`, `ticket` and `mac`.
//! Index columns only find rows; every one must equal what the body says when the row is read.

mod burst;
mod catalog;
mod depot;
mod incident;
mod keeping;
mod keyring;
mod named;
mod people;
#[cfg(any(test, feature = "fuzz"))]
mod reread;
mod rules;
mod run;

pub(crate) use burst::Burst;
pub(crate) use catalog::{Alias, Archived, Artifact, Draft, Edge, Reencryption, Renews, Version, Workspace};
pub(crate) use depot::Depot;
pub(crate) use incident::{About as IncidentAbout, Incident, Said, Told};
pub(crate) use keeping::{Hold, Removed, Retention};
pub(crate) use keyring::{Domain, Ending, Failing, Key, Purpose, Root, RootState, Wrap, WrapKind};
pub(crate) use named::{NamedKey, NamedVersion};
pub(crate) use people::{Erased, Grant, Principal, Subject};
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use reread::reread;
pub(crate) use rules::{PolicySet, PolicySource, Setting};
pub(crate) use run::{Made, Run};

use crate::datastore::{Row, Rows, Transaction, Value};
use crate::error::{Error, Result};
use crate::hash;
use crate::kept;
use aws_lc_rs::hmac;
use seal::secret::MacKey;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Write as _;

/// A row's id; names hash to one where a row has no random id.
pub(crate) type RowId = [u8; 16];

/// A typed row of one table.
pub(crate) trait Table: Serialize + DeserializeOwned {
    /// The table.
    const NAME: &'static str;
    /// Whether each row stays readable under its commitment when it is another one: what tells who had which rights.
    const KEPT: bool = false;
    /// Whether a row is overwritten before it is removed, because something may still open what it holds.
    const WIPED: bool = false;
    /// Its index columns.
    const INDEX: &'static [&'static str];
    /// The row's id.
    fn id(&self) -> RowId;
    /// The values of [`Self::INDEX`].
    fn index(&self) -> Vec<Value<'_>>;
}

/// Overwrites the body of a row with as many zeros, in its place. SQLite's `secure_delete` clears what is removed, but where the rows
/// of a page move together before that, pieces of one that is gone may stay between them (seen in 18 of 120 tables).
fn wipe(tx: &mut dyn Transaction, table: &'static str, id: &RowId) -> Result<()> {
    let rows = tx.query(&format!("SELECT body FROM {table} WHERE id = $1"), &[id.into()])?;
    let Some(row) = rows.optional()? else { return Ok(()) };
    let zeros = vec![0; row.bytes(0)?.len()];
    tx.query(&format!("UPDATE {table} SET body = $2 WHERE id = $1"), &[id.into(), (&zeros).into()])?;
    Ok(())
}

/// A row that was written or removed, as the log entry of the same transaction says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The table.
    pub(crate) table: &'static str,
    /// The row.
    pub(crate) id: RowId,
    /// The salted commitment to the row; none if it was removed.
    pub(crate) commitment: Option<[u8; 32]>,
}

/// Makes and checks the MACs of rows.
#[derive(Clone)]
pub(crate) struct Guard {
    key: hmac::Key,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Guard(..)")
    }
}

impl Guard {
    /// With the vault's row-MAC key.
    pub(crate) fn new(key: &MacKey) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key.expose_bytes()) }
    }

    /// Writes a new row.
    pub(crate) fn insert<T: Table>(&self, tx: &mut dyn Transaction, row: &T, ticket: i64) -> Result<Change> {
        let sealed = self.sealed(row, ticket)?;
        let count = 5 + T::INDEX.len();
        let sql = format!(
            "INSERT INTO {} (id, body, salt, ticket, mac{}) VALUES {}",
            T::NAME,
            columns::<T>(""),
            crate::datastore::tuples(1, count),
        );
        tx.query(&sql, &sealed.values(row))?;
        sealed.keep::<T>(tx)?;
        Ok(sealed.change::<T>())
    }

    /// Replaces a row that exists.
    pub(crate) fn update<T: Table>(&self, tx: &mut dyn Transaction, row: &T, ticket: i64) -> Result<Change> {
        let sealed = self.sealed(row, ticket)?;
        let sets: String = T::INDEX.iter().enumerate().map(|(at, name)| format!(", {name} = ${}", at + 6)).collect();
        let sql = format!("UPDATE {} SET body = $2, salt = $3, ticket = $4, mac = $5{sets} WHERE id = $1", T::NAME);
        if tx.query(&sql, &sealed.values(row))?.changed() != 1 {
            return Err(Error::Altered { table: T::NAME, row: hex::encode(sealed.id) });
        }
        sealed.keep::<T>(tx)?;
        Ok(sealed.change::<T>())
    }

    /// The same for a row that was read in this transaction: only index columns that change are written, and only their indexes.
    pub(crate) fn replace<T: Table>(&self, tx: &mut dyn Transaction, old: &T, row: &T, ticket: i64) -> Result<Change> {
        let sealed = self.sealed(row, ticket)?;
        let (values, sets) = replacing(sealed.own(), row, &differing(old, row));
        if tx.query(&format!("UPDATE {} SET {sets} WHERE id = $1", T::NAME), &values)?.changed() != 1 {
            return Err(Error::Altered { table: T::NAME, row: hex::encode(sealed.id) });
        }
        sealed.keep::<T>(tx)?;
        Ok(sealed.change::<T>())
    }

    /// Removes a row.
    pub(crate) fn remove<T: Table>(&self, tx: &mut dyn Transaction, id: &RowId) -> Result<Change> {
        if T::WIPED {
            wipe(tx, T::NAME, id)?;
        }
        tx.query(&format!("DELETE FROM {} WHERE id = $1", T::NAME), &[id.into()])?;
        Ok(Change { table: T::NAME, id: *id, commitment: None })
    }

    /// The row with this id.
    pub(crate) fn find<T: Table>(&self, tx: &mut dyn Transaction, id: &RowId) -> Result<Option<T>> {
        Ok(self.select(tx, "WHERE id = $1", &[id.into()])?.pop())
    }

    /// The row with this id, which must be there because another row names it.
    pub(crate) fn expect<T: Table>(&self, tx: &mut dyn Transaction, id: &RowId) -> Result<T> {
        self.find(tx, id)?.ok_or_else(|| Error::Altered { table: T::NAME, row: hex::encode(id) })
    }

    /// The rows that a `WHERE ... ORDER BY ... LIMIT` finds.
    ///
    /// # Errors
    /// [`Error::Altered`] if the MAC of one does not verify, or an index column differs from its body.
    pub(crate) fn select<T: Table>(
        &self,
        tx: &mut dyn Transaction,
        tail: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<T>> {
        self.raw::<T>(tx, tail, values)?.iter().map(|row| self.hydrated(row)).collect()
    }

    /// The same as they stand in the table, unchecked: for [`Self::hydrated`].
    pub(crate) fn raw<T: Table>(&self, tx: &mut dyn Transaction, tail: &str, values: &[Value<'_>]) -> Result<Rows> {
        let sql = format!("SELECT id, body, salt, ticket, mac{} FROM {} {tail}", columns::<T>(""), T::NAME);
        Ok(tx.query(&sql, values)?)
    }

    /// The MAC of a row that has another form than state rows have: a registered object, a remembered command, the clock's mark.
    pub(crate) fn tag(&self, table: &str, id: &[u8], body: &[u8]) -> Vec<u8> {
        hmac::sign(&self.key, &mac_input(table, id, body, &[], 0)).as_ref().to_vec()
    }

    /// Checks such a MAC.
    ///
    /// # Errors
    /// [`Error::Altered`].
    pub(crate) fn check(&self, table: &'static str, id: &[u8], body: &[u8], tag: &[u8]) -> Result<()> {
        hmac::verify(&self.key, &mac_input(table, id, body, &[], 0), tag)
            .map_err(|_| Error::Altered { table, row: hex::encode(id) })
    }

    /// A row as it stands in the table, checked.
    pub(crate) fn hydrated<T: Table>(&self, row: &Row) -> Result<T> {
        let (id, body, salt) = (row.bytes(0)?, row.bytes(1)?, row.bytes(2)?);
        let altered = || Error::Altered { table: T::NAME, row: hex::encode(id) };
        let tag = row.bytes(4)?;
        hmac::verify(&self.key, &mac_input(T::NAME, id, body, salt, row.integer(3)?), tag).map_err(|_| altered())?;
        let typed: T = serde_json::from_slice(body).map_err(|_| altered())?;
        if typed.id() != id || !indexed(&typed, row, 5)? { Err(altered()) } else { Ok(typed) }
    }

    fn sealed<T: Table>(&self, row: &T, ticket: i64) -> Result<SealedRow> {
        let body = canonical(row)?;
        let salt: [u8; 16] = crate::system::random()?;
        let id = row.id();
        let mac = self.mac::<T>(&id, &body, &salt, ticket);
        Ok(SealedRow { id, body, salt, ticket, mac })
    }

    fn mac<T: Table>(&self, id: &RowId, body: &[u8], salt: &[u8], ticket: i64) -> Vec<u8> {
        hmac::sign(&self.key, &mac_input(T::NAME, id, body, salt, ticket)).as_ref().to_vec()
    }
}

/// Whether the index columns of a row, the first of which is at this place, are what its body says.
fn indexed<T: Table>(typed: &T, row: &Row, first: usize) -> Result<bool> {
    for (at, value) in (first..).zip(typed.index()) {
        let same = match value {
            Value::Integer(v) => row.integer_or_null(at)? == v,
            Value::Text(v) => row.text_or_null(at)? == v,
            Value::Bytes(v) => row.bytes_or_null(at)? == v,
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What the log would know a row by; none if its index columns hide it, or show it where it is not.
pub(crate) fn known_by<T: Table>(row: &Row) -> Result<Option<[u8; 32]>> {
    let (id, body, salt) = (row.bytes(0)?, row.bytes(1)?, row.bytes(2)?);
    let Ok(typed) = serde_json::from_slice::<T>(body) else { return Ok(None) };
    let is_itself = typed.id() == id && indexed(&typed, row, 4)?;
    Ok(is_itself.then(|| commitment(T::NAME, id, salt, body)))
}

/// `SELECT` of what [`known_by`] reads.
pub(crate) fn selecting<T: Table>(tail: &str) -> String {
    format!("SELECT id, body, salt, ticket{} FROM {} {tail}", columns::<T>(""), T::NAME)
}

/// A row ready for its table.
struct SealedRow {
    id: RowId,
    body: Vec<u8>,
    salt: [u8; 16],
    ticket: i64,
    mac: Vec<u8>,
}

impl SealedRow {
    fn values<'a, T: Table>(&'a self, row: &'a T) -> Vec<Value<'a>> {
        let mut values = self.own().to_vec();
        values.extend(row.index());
        values
    }

    fn own(&self) -> [Value<'_>; 5] {
        [(&self.id).into(), (&self.body).into(), (&self.salt).into(), self.ticket.into(), (&self.mac).into()]
    }

    fn keep<T: Table>(&self, tx: &mut dyn Transaction) -> Result<()> {
        if !T::KEPT {
            return Ok(());
        }
        let commitment = commitment(T::NAME, &self.id, &self.salt, &self.body);
        kept::keep_row(tx, self.ticket, &commitment, &self.salt, &self.body)
    }

    fn change<T: Table>(&self) -> Change {
        Change { table: T::NAME, id: self.id, commitment: Some(commitment(T::NAME, &self.id, &self.salt, &self.body)) }
    }
}

/// A row that is to take the place of another that was read, made outside of the transaction that writes it: all of it but the MAC.
pub(crate) struct Replacement<T> {
    row: T,
    body: Vec<u8>,
    salt: [u8; 16],
    /// The MAC of what is there.
    was: Vec<u8>,
    /// Which of its index columns differ.
    changed: Vec<bool>,
    change: Change,
}

impl<T: Table> Replacement<T> {
    /// In the place of a row as it stood in the table, and of what it said.
    pub(crate) fn of(old: &T, row: T, stood: &Row) -> Result<Self> {
        let (body, salt) = (canonical(&row)?, crate::system::random()?);
        let changed = differing(old, &row);
        let commitment = Some(commitment(T::NAME, &row.id(), &salt, &body));
        let change = Change { table: T::NAME, id: row.id(), commitment };
        Ok(Self { row, body, salt, was: stood.bytes(4)?.to_vec(), changed, change })
    }

    /// Writes it if the row is still what it was; none if it is not.
    pub(crate) fn put(&self, tx: &mut dyn Transaction, guard: &Guard, ticket: i64) -> Result<Option<Change>> {
        let Self { row, body, salt, was, changed, change } = self;
        let mac = guard.mac::<T>(&change.id, body, salt, ticket);
        let (mut values, sets) =
            replacing([(&change.id).into(), body.into(), salt.into(), ticket.into(), (&mac).into()], row, changed);
        values.push(was.into());
        let sql = format!("UPDATE {} SET {sets} WHERE id = $1 AND mac = ${}", T::NAME, values.len());
        debug_assert!(!T::KEPT, "what is kept of each row is written with it");
        Ok((tx.query(&sql, &values)?.changed() == 1).then(|| change.clone()))
    }
}

/// Which index columns differ.
fn differing<T: Table>(old: &T, row: &T) -> Vec<bool> {
    old.index().iter().zip(row.index()).map(|(was, is)| *was != is).collect()
}

/// What an `UPDATE` sets, the index columns that differ among it, and its values: the id, and what belongs to every row.
fn replacing<'v, T: Table>(own: [Value<'v>; 5], row: &'v T, changed: &[bool]) -> (Vec<Value<'v>>, String) {
    let (mut values, mut sets) = (own.to_vec(), "body = $2, salt = $3, ticket = $4, mac = $5".to_owned());
    for ((name, value), _) in T::INDEX.iter().zip(row.index()).zip(changed).filter(|(_, differs)| **differs) {
        values.push(value);
        // INVARIANT: writing to a String cannot fail.
        let _ = write!(sets, ", {name} = ${}", values.len());
    }
    (values, sets)
}

/// SHA-256(LP("strongroom/v1/row", table, id, salt, body)), the body after a u32 (`spec/log.md#entry`).
pub(crate) fn commitment(table: &str, id: &[u8], salt: &[u8], body: &[u8]) -> [u8; 32] {
    let mut bytes = hash::lp(&[b"strongroom/v1/row", table.as_bytes(), id, salt]);
    hash::push_long(&mut bytes, body);
    hash::sha256(&bytes)
}

fn mac_input(table: &str, id: &[u8], body: &[u8], salt: &[u8], ticket: i64) -> Vec<u8> {
    let mut bytes = hash::lp(&[b"strongroom/v1/row-mac", table.as_bytes(), id, salt, &ticket.to_be_bytes()]);
    hash::push_long(&mut bytes, body);
    bytes
}

fn columns<T: Table>(before: &str) -> String {
    T::INDEX.iter().map(|name| format!(", {before}{name}")).collect()
}

/// A row as canonical JSON.
fn canonical<T: Serialize>(row: &T) -> Result<Vec<u8>> {
    let value = serde_json::to_value(row).map_err(|_| Error::Internal("a row is not JSON"))?;
    crate::hash::canonical_json(&value)
}

/// The id of a row that is found by its name: the first 16 bytes of a hash.
pub(crate) fn named_id(table: &str, parts: &[&[u8]]) -> RowId {
    let mut fields: Vec<&[u8]> = vec![b"strongroom/v1/row-id", table.as_bytes()];
    fields.extend_from_slice(parts);
    let digest = hash::sha256(&hash::lp(&fields));
    let mut id = [0; 16];
    id.copy_from_slice(digest.first_chunk::<16>().unwrap_or(&[0; 16]));
    id
}

#[cfg(test)]
mod tests;
