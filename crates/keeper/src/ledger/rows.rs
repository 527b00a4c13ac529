//! The log's rows: appending entries, the pending ones, the tail, the lock state.

use super::error::{Error, Result};
use crate::datastore::{self, Row, Rows, Transaction, Value, tuples};
use crate::hash;
use api::terms::EntryId;
use aws_lc_rs::hmac;
use log::tree::Hash;

/// The most entries that one pass integrates.
pub(super) const PASS: usize = 4096;
/// And about how many bytes of them: entries of a rotation are 40 kB each.
const PASS_BYTES: usize = 16 << 20;
const PASS_PAGE: i64 = 256;

/// The MAC under which entries wait in the database, so that only the keeper's own get signed.
#[derive(Clone)]
pub struct EntryMac(hmac::Key);

impl std::fmt::Debug for EntryMac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EntryMac(..)")
    }
}

impl EntryMac {
    /// With the vault's row-MAC key; the label keeps its uses apart.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    fn sign(&self, ticket: i64, position: i64, body: &[u8]) -> hmac::Tag {
        hmac::sign(&self.0, &mac_input(ticket, position, body))
    }
}

/// LP("strongroom/v1/entry-mac", ticket, position), then the body after a u32.
fn mac_input(ticket: i64, position: i64, body: &[u8]) -> Vec<u8> {
    let mut bytes = hash::lp(&[b"strongroom/v1/entry-mac", &ticket.to_be_bytes(), &position.to_be_bytes()]);
    hash::push_long(&mut bytes, body);
    bytes
}

/// Adds entries, already encoded under this ticket, to the transaction. They are in the log when it commits.
///
/// # Errors
/// Whatever the database says.
pub fn append(
    tx: &mut dyn Transaction,
    mac: &EntryMac,
    ticket: i64,
    entries: &[(EntryId, Vec<u8>)],
) -> datastore::Result<()> {
    let sql = "SELECT CAST(COALESCE(MAX(position), -1) AS BIGINT) FROM entry WHERE ticket = $1";
    let last = tx.query(sql, &[ticket.into()])?.one()?.integer(0)?;
    let rows: Vec<_> = (last + 1..)
        .zip(entries)
        .map(|(position, (id, body))| (position, id, body, mac.sign(ticket, position, body)))
        .collect();
    in_sizes(&rows, |page| {
        let mut values: Vec<Value<'_>> = Vec::with_capacity(page.len() * 5);
        for (position, id, body, tag) in page {
            values.extend([Value::from(ticket), (*position).into(), id.as_bytes().into()]);
            values.extend([Value::from(*body), tag.as_ref().into()]);
        }
        let sql = format!("INSERT INTO entry (ticket, position, id, body, mac) VALUES {}", tuples(page.len(), 5));
        tx.query(&sql, &values).map(|_| ())
    })
}

/// Pages of 64, 8 and 1: a handful of statement texts serve every batch.
pub(super) fn in_sizes<T, E>(
    items: &[T],
    mut each: impl FnMut(&[T]) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let mut rest = items;
    for size in [64, 8, 1] {
        while let Some((page, tail)) = rest.split_at_checked(size) {
            each(page)?;
            rest = tail;
        }
    }
    Ok(())
}

/// An entry that is not in a full bundle.
#[derive(Debug, Clone)]
pub(super) struct Recent {
    pub(super) ticket: i64,
    pub(super) position: i64,
    pub(super) body: Vec<u8>,
}

/// The pending entries, in the order in which they enter the tree, each checked to be the keeper's own.
pub(super) fn pending(tx: &mut dyn Transaction, mac: &EntryMac, limit: i64) -> Result<Vec<Recent>> {
    let sql = "SELECT ticket, position, body, mac FROM entry WHERE idx IS NULL ORDER BY ticket, position LIMIT $1";
    tx.query(sql, &[limit.into()])?.into_iter().map(|row| recent(checked(mac, row)?)).collect()
}

/// An entry that is in no full bundle, by its id: its index if it has one, and its body.
pub(super) fn by_id(tx: &mut dyn Transaction, mac: &EntryMac, id: &EntryId) -> Result<Option<(Option<u64>, Vec<u8>)>> {
    let sql = "SELECT ticket, position, body, mac, idx FROM entry WHERE id = $1";
    let Some(row) = tx.query(sql, &[id.as_bytes().into()])?.optional()? else { return Ok(None) };
    let row = checked(mac, row)?;
    let index = row.integer_or_null(4)?.map(unsigned).transpose()?;
    Ok(Some((index, recent(row)?.body)))
}

/// A row that starts with ticket, position, body and MAC, which must be the keeper's own.
fn checked(mac: &EntryMac, row: Row) -> Result<Row> {
    let input = mac_input(row.integer(0)?, row.integer(1)?, row.bytes(2)?);
    hmac::verify(&mac.0, &input, row.bytes(3)?)
        .map_err(|_| Error::Damaged("an entry in the database is not the keeper's".into()))?;
    Ok(row)
}

/// Those of the next pass: the first of [`pending`], at most [`PASS`] of them, and no more once they have [`PASS_BYTES`].
pub(super) fn next_pass(tx: &mut dyn Transaction, mac: &EntryMac) -> Result<Vec<Recent>> {
    let (mut found, mut bytes): (Vec<Recent>, usize) = (Vec::new(), 0);
    while found.len() < PASS && bytes < PASS_BYTES {
        let after = found.last().map_or((i64::MIN, i64::MIN), |last| (last.ticket, last.position));
        let sql = "SELECT ticket, position, body, mac FROM entry WHERE idx IS NULL AND (ticket, position) > ($1, $2) \
                   ORDER BY ticket, position LIMIT $3";
        let rows = tx.query(sql, &[after.0.into(), after.1.into(), PASS_PAGE.into()])?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            let entry = recent(checked(mac, row)?)?;
            bytes += entry.body.len();
            found.push(entry);
        }
    }
    Ok(found)
}

/// How many entries are pending.
pub(super) fn pending_count(tx: &mut dyn Transaction) -> Result<u64> {
    let row = tx.query("SELECT CAST(COUNT(*) AS BIGINT) FROM entry WHERE idx IS NULL", &[])?.one()?;
    unsigned(row.integer(0)?)
}

/// The entries of the partial bundle, which must be those from `from` up to `size`, with their leaves: neither is compared.
pub(super) fn tail(tx: &mut dyn Transaction, from: u64, size: u64) -> Result<Vec<(Hash, Vec<u8>)>> {
    let sql = "SELECT idx, leaf, body FROM entry WHERE idx IS NOT NULL ORDER BY idx LIMIT 512";
    let rows = in_order(tx.query(sql, &[])?, from, size)?;
    rows.map(|mut row| Ok((leaf(&row)?, row.take_bytes(2)?))).collect()
}

/// Their leaves alone. What they are worth, the signed root says.
pub(super) fn leaves(tx: &mut dyn Transaction, from: u64, size: u64) -> Result<Vec<Hash>> {
    let sql = "SELECT idx, leaf FROM entry WHERE idx IS NOT NULL ORDER BY idx LIMIT 512";
    let rows = in_order(tx.query(sql, &[])?, from, size)?;
    rows.map(|row| leaf(&row)).collect()
}

fn leaf(row: &Row) -> Result<Hash> {
    let leaf = row.array(1).map_err(|_| Error::Damaged("an entry of the tail is without its leaf".into()))?;
    Ok(Hash::from_bytes(leaf))
}

/// Rows that start with an index, which must be those from `from` up to `size`.
fn in_order(rows: Rows, from: u64, size: u64) -> Result<impl Iterator<Item = Row>> {
    let mut next = from;
    for row in &rows {
        if unsigned(row.integer(0)?)? != next {
            return Err(Error::Damaged(format!("entry {next} is not in the database")));
        }
        next += 1;
    }
    if next != size {
        return Err(Error::Damaged(format!("the database holds entries up to {next} of {size}")));
    }
    Ok(rows.into_iter())
}

fn recent(mut row: Row) -> Result<Recent> {
    Ok(Recent { ticket: row.integer(0)?, position: row.integer(1)?, body: row.take_bytes(2)? })
}

/// The lock state: the last head that was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) fence: i64,
    pub(super) size: u64,
    pub(super) root: Hash,
    /// The signed note; empty before the first.
    pub(super) checkpoint: String,
}

impl State {
    pub(super) fn read(tx: &mut dyn Transaction) -> Result<Self> {
        let mut row = tx.query("SELECT fence, size, root, checkpoint FROM logstate WHERE id = 0", &[])?.one()?;
        let root = Hash::from_hex(row.text(2)?).ok_or_else(|| Error::Damaged("the stored root is no hash".into()))?;
        Ok(Self { fence: row.integer(0)?, size: unsigned(row.integer(1)?)?, root, checkpoint: row.take_text(3)? })
    }

    /// Compares-and-swaps (fence, size, root): false when another sequencer was here.
    pub(super) fn swap(&self, tx: &mut dyn Transaction, new: &Self) -> Result<bool> {
        let sql = "UPDATE logstate SET fence = $1, size = $2, root = $3, checkpoint = $4 \
                   WHERE id = 0 AND fence = $5 AND size = $6 AND root = $7";
        let (root, old_root) = (new.root.to_string(), self.root.to_string());
        let values = [
            new.fence.into(),
            signed(new.size)?.into(),
            root.as_str().into(),
            new.checkpoint.as_str().into(),
            self.fence.into(),
            signed(self.size)?.into(),
            old_root.as_str().into(),
        ];
        Ok(tx.query(sql, &values)?.changed() == 1)
    }
}

/// Gives indexes and leaves to entries that stay in the tail.
pub(super) fn number<'a>(
    tx: &mut dyn Transaction,
    from: u64,
    entries: impl Iterator<Item = (&'a Recent, &'a Hash)>,
) -> Result<()> {
    let sql = "UPDATE entry SET idx = $1, leaf = $2 WHERE ticket = $3 AND position = $4 AND idx IS NULL";
    for (at, (entry, leaf)) in (from..).zip(entries) {
        let values = [signed(at)?.into(), leaf.as_bytes().into(), entry.ticket.into(), entry.position.into()];
        let changed = tx.query(sql, &values)?.changed();
        if changed != 1 {
            return Err(Error::Damaged("a pending entry went away".into()));
        }
    }
    Ok(())
}

/// Removes entries that are in full bundles now: the old tail, and those that came straight from pending.
pub(super) fn drop_bundled(tx: &mut dyn Transaction, below: u64, entries: &[Recent]) -> Result<()> {
    tx.query("DELETE FROM entry WHERE idx < $1", &[signed(below)?.into()])?;
    in_sizes(entries, |page| {
        let values: Vec<Value<'_>> = page.iter().flat_map(|e| [e.ticket.into(), e.position.into()]).collect();
        let sql = format!("DELETE FROM entry WHERE (ticket, position) IN (VALUES {})", tuples(page.len(), 2));
        match tx.query(&sql, &values)?.changed() {
            changed if changed == page.len() as u64 => Ok(()),
            _ => Err(Error::Damaged("a pending entry went away".into())),
        }
    })
}

pub(super) fn signed(value: u64) -> Result<i64> {
    i64::try_from(value).map_err(|_| Error::Internal("a number above 2^63"))
}

pub(super) fn unsigned(value: i64) -> Result<u64> {
    u64::try_from(value).map_err(|_| Error::Damaged("a number below zero".into()))
}
