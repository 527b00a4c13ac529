//! What decisions rest on, kept under the hashes by which entries name it, so that they can be made again. Nothing here is under a
//! MAC: whoever reads compares with a hash that is.

use crate::datastore::Transaction;
use crate::error::{Error, Result};
use crate::field::{Personal, Place};
use crate::hash;
use crate::rows::{self, RowId, Table};
use policy::{Digest, Record, Set, Source};
use std::collections::BTreeMap;

const TABLE: &str = "cas";
/// The ticket of what belongs to no one entry: sets and their texts, each kept once.
const SHARED: i64 = 0;

/// Why something kept cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lost {
    /// It is not there.
    Missing(String),
    /// It is not what its hash says.
    Altered(String),
    /// It was sealed for somebody who was erased, if the log says so.
    Erased,
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(why) | Self::Altered(why) => f.write_str(why),
            Self::Erased => f.write_str("what was decided on went with whom it was about"),
        }
    }
}

/// What was kept, or why it cannot be had.
pub(crate) type Kept<T> = std::result::Result<T, Lost>;

/// Keeps a set: every source under its SHA-256, and under the set's hash which sources it has.
pub(crate) fn keep_set(tx: &mut dyn Transaction, set: Digest, sources: &[Source]) -> Result<()> {
    let mut names = BTreeMap::new();
    for Source { name, text } in sources {
        let digest = hash::sha256(text.as_bytes());
        put(tx, &digest, text.as_bytes())?;
        names.insert(name, hex::encode(digest));
    }
    let names = serde_json::to_vec(&names).map_err(|_| Error::Internal("the names of sources are no JSON"))?;
    put(tx, set.as_bytes(), &names)
}

/// The sources of a set, which are to have its hash.
pub(crate) fn sources(tx: &mut dyn Transaction, set: Digest) -> Result<Kept<Vec<Source>>> {
    let missing = |what: String| Ok(Err(Lost::Missing(format!("{what} is missing"))));
    let altered = |what: String| Ok(Err(Lost::Altered(format!("{what} is not what was kept"))));
    let list = format!("the list of the sources of policy set {set}");
    let Some(names) = find(tx, SHARED, set.as_bytes())? else { return missing(list) };
    let Ok(names) = serde_json::from_slice::<BTreeMap<String, String>>(&names) else { return altered(list) };
    if names.len() > Set::MAX_SOURCES {
        return altered(list);
    }
    let (mut sources, mut len) = (Vec::with_capacity(names.len()), 0);
    for (name, hex) in names {
        let Ok(digest) = hex::decode(&hex) else { return altered(list) };
        let what = format!("the text of `{name}` in policy set {set}");
        let Some(text) = find(tx, SHARED, &digest)? else { return missing(what) };
        len += text.len();
        if len > Set::MAX_LEN_BYTES {
            return altered(list);
        }
        match String::from_utf8(text) {
            Ok(text) if hash::sha256(text.as_bytes()).as_slice() == digest => sources.push(Source { name, text }),
            _ => return altered(what),
        }
    }
    Ok(Ok(sources))
}

/// A set that was in force once, with its sources.
pub(crate) fn set(tx: &mut dyn Transaction, hash: Digest) -> Result<Kept<(Set, Vec<Source>)>> {
    let sources = match sources(tx, hash)? {
        Ok(sources) => sources,
        Err(lost) => return Ok(Err(lost)),
    };
    Ok(match Set::load_kept(&sources) {
        Ok(set) if set.hash() == hash => Ok((set, sources)),
        Ok(_) => Err(Lost::Altered(format!("the list of the sources of policy set {hash} is not what was kept"))),
        Err(error) => Err(Lost::Altered(format!("policy set {hash} cannot be read: {error}"))),
    })
}

/// The record of a decision under the hash of its slice, sealed for whom it is about.
pub(crate) fn sealed(personal: &Personal, slice: &[u8; 32], record: &Record) -> Result<Vec<u8>> {
    personal.seal_bytes(place(slice), &encoded(record))
}

/// The hash of a slice is salted: no two records have one.
fn place(slice: &[u8; 32]) -> Place<'_> {
    Place::once(TABLE, "record", slice)
}

/// The record of a decision: salt, slice after a u32, context.
fn encoded(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(20 + record.slice.len() + record.context.len());
    bytes.extend_from_slice(&record.salt);
    hash::push_long(&mut bytes, &record.slice);
    bytes.extend_from_slice(&record.context);
    bytes
}

/// The record that an entry with this ticket commits to, for whom it is about; none of somebody who was erased.
pub(crate) fn record(
    tx: &mut dyn Transaction,
    ticket: i64,
    personal: Option<&Personal>,
    (slice, context): (Digest, Digest),
) -> Result<Kept<Record>> {
    let Some(personal) = personal else { return Ok(Err(Lost::Erased)) };
    let Some(bytes) = find(tx, ticket, slice.as_bytes())? else {
        return Ok(Err(Lost::Missing("the record of what was decided on is missing".into())));
    };
    let bytes = personal.open_bytes(place(slice.as_bytes()), &bytes).ok();
    let record = bytes
        .and_then(|bytes| decoded(&bytes))
        .filter(|record| record.slice_hash() == slice && record.context_hash() == context);
    Ok(record.ok_or_else(|| Lost::Altered("the record of what was decided on is not what the entry commits to".into())))
}

/// Keeps what a commitment in an entry with this ticket opens to: a row that tells who had which rights, for when it is another one.
pub(crate) fn keep_row(
    tx: &mut dyn Transaction,
    ticket: i64,
    commitment: &[u8; 32],
    salt: &[u8; 16],
    body: &[u8],
) -> Result<()> {
    let sql = "INSERT INTO cas (ticket, hash, bytes) VALUES ($1, $2, $3) ON CONFLICT (ticket, hash) DO NOTHING";
    let bytes = [salt.as_slice(), body].concat();
    tx.query(sql, &[ticket.into(), commitment.into(), (&bytes).into()])?;
    Ok(())
}

/// The row that an entry with this ticket commits to.
pub(crate) fn row<T: Table>(
    tx: &mut dyn Transaction,
    ticket: i64,
    id: &RowId,
    commitment: &[u8; 32],
) -> Result<Kept<T>> {
    let what = || format!("row `{}` of `{}`, as it was,", hex::encode(id), T::NAME);
    let Some(bytes) = find(tx, ticket, commitment)? else {
        return Ok(Err(Lost::Missing(format!("{} is missing", what()))));
    };
    let opened = bytes.split_first_chunk::<16>().and_then(|(salt, body)| {
        let same = rows::commitment(T::NAME, id, salt, body) == *commitment;
        same.then(|| serde_json::from_slice::<T>(body).ok()).flatten().filter(|row| row.id() == *id)
    });
    Ok(opened.ok_or_else(|| Lost::Altered(format!("{} is not what the log commits to", what()))))
}

fn decoded(bytes: &[u8]) -> Option<Record> {
    let (salt, rest) = bytes.split_first_chunk::<16>()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let (slice, context) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).ok()?)?;
    Some(Record { salt: *salt, slice: slice.to_vec(), context: context.to_vec() })
}

fn put(tx: &mut dyn Transaction, digest: &[u8; 32], bytes: &[u8]) -> Result<()> {
    let sql = "INSERT INTO cas (ticket, hash, bytes) VALUES ($1, $2, $3) \
               ON CONFLICT (ticket, hash) DO UPDATE SET bytes = excluded.bytes";
    tx.query(sql, &[SHARED.into(), digest.into(), bytes.into()])?;
    Ok(())
}

fn find(tx: &mut dyn Transaction, ticket: i64, digest: &[u8]) -> Result<Option<Vec<u8>>> {
    let row = tx.query("SELECT bytes FROM cas WHERE ticket = $1 AND hash = $2", &[ticket.into(), digest.into()])?;
    Ok(row.optional()?.map(|mut row| row.take_bytes(0)).transpose()?)
}
