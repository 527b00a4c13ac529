//! `verify --state`: the tables must be the fold of the log.

use super::error::{Error, Result};
use super::rows::Recent;
use super::snapshot::Snapshot;
use super::{Ledger, SignedHead, THREADS, behind_empty, rows};
use crate::datastore::Transaction;
use log::entry::Entry;
use log::tree::{self, Hash};
use log::verify::{self, Failure};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The most failures listed.
const MAX_FAILURES: usize = 100;

/// A row of a policy-relevant table as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRow {
    /// The table.
    pub table: &'static str,
    /// Its id.
    pub id: Vec<u8>,
    /// The commitment to what it holds ([`log::entry::row_commitment`]).
    pub commitment: [u8; 32],
    /// The ticket of its last change.
    pub ticket: i64,
}

/// What the fold says of a row.
struct Last {
    index: u64,
    ticket: u64,
    commitment: Option<Hash>,
}

/// Table and row id, the id hashed when it is long.
type Key = (u16, [u8; 16]);

/// Rows on their way into the fold.
#[derive(Default)]
struct Fold {
    tables: Vec<String>,
    changes: BTreeMap<Key, Vec<Last>>,
}

impl Fold {
    fn key(&mut self, table: &str, id: &[u8]) -> Result<Key> {
        let known = self.tables.iter().position(|known| known == table);
        let number = known.unwrap_or_else(|| {
            self.tables.push(table.to_owned());
            self.tables.len() - 1
        });
        let number = u16::try_from(number).map_err(|_| Error::Damaged("more tables than there can be".into()))?;
        let hashed = || tree::sha256(id).as_bytes().first_chunk().copied().unwrap_or_default();
        Ok((number, <[u8; 16]>::try_from(id).unwrap_or_else(|_| hashed())))
    }

    fn add(&mut self, index: u64, entry: &Entry) -> Result<()> {
        for change in &entry.state {
            let key = self.key(&change.table, &change.id)?;
            let last = Last { index, ticket: entry.ticket, commitment: change.commitment };
            self.changes.entry(key).or_default().push(last);
        }
        Ok(())
    }

    fn name(&self, (number, id): &Key) -> String {
        let table = self.tables.get(usize::from(*number)).map(String::as_str).unwrap_or_default();
        format!("{table} {}", hex::encode(id))
    }
}

impl Ledger {
    /// Folds the log, pending entries included, and compares it with the rows that `read` gives; how many rows were compared,
    /// and what did not hold. The log is verified in the same pass, so that the fold is of what was signed, and must continue the
    /// anchor, the published checkpoint and `attested`: nobody puts another database in the place of the one that was checked before.
    ///
    /// # Errors
    /// When database or log cannot be read.
    pub fn verify_state<E: From<Error> + From<crate::datastore::Error>>(
        &self,
        attested: Option<&SignedHead>,
        read: impl Fn(&mut dyn Transaction) -> std::result::Result<Vec<StateRow>, E>,
    ) -> std::result::Result<(u64, Vec<String>), E> {
        let mut failures = Vec::new();
        // Read first: a pass meanwhile only makes the log longer.
        let (_, mut older) = self.signed_before(&mut failures)?;
        older.extend(attested.map(|signed| signed.head));
        let read_all = || {
            self.store.read(|tx| {
                let log = read_log(tx, self)?;
                Ok::<_, E>((log, read(tx)?))
            })
        };
        let mut found = read_all()?;
        for _ in 0..super::SNAPSHOT_TRIES {
            if !matches!(&found.0, Ok((snapshot, _)) if !snapshot.whole) {
                break;
            }
            found = read_all()?;
        }
        let (snapshot, pending, table_rows) = match found {
            (Ok((snapshot, pending)), table_rows) => (snapshot, pending, table_rows),
            (Err(why), _) => return Ok((0, vec![why])),
        };
        let fold = Mutex::new(Fold::default());
        let origin = self.keys().origin().clone();
        let visit = |index: u64, body: &[u8]| {
            let entry = Entry::parse(body).map_err(|error| error.to_string())?;
            if entry.vault.0 != *origin.vault() || entry.log != origin.log() {
                return Err("is of another log".to_owned());
            }
            let mut fold = fold.lock().unwrap_or_else(PoisonError::into_inner);
            fold.add(index, &entry).map_err(|error| error.to_string())
        };
        if snapshot.state.size == 0 {
            failures.extend(behind_empty(&older));
        } else {
            let options = verify::Options { keys: self.keys(), older: &older, threads: THREADS };
            let report = verify::run(&snapshot.files, &options, Some(&visit));
            failures.extend(report.failures.iter().map(Failure::to_string));
        }
        for (index, entry) in (snapshot.state.size..).zip(&pending) {
            failures.extend(visit(index, &entry.body).err().map(|why| format!("a pending entry {why}")));
        }
        let fold = fold.into_inner().unwrap_or_else(PoisonError::into_inner);
        let compared = compare(fold, &table_rows, &mut failures)?;
        failures.truncate(MAX_FAILURES);
        Ok((compared, failures))
    }
}

/// The log and its pending entries, or what is wrong with them.
fn read_log(tx: &mut dyn Transaction, ledger: &Ledger) -> Result<std::result::Result<(Snapshot, Vec<Recent>), String>> {
    let read =
        |tx: &mut dyn Transaction| Ok((Snapshot::read(tx, &ledger.folder)?, rows::pending(tx, &ledger.mac, i64::MAX)?));
    match read(tx) {
        Ok(log) => Ok(Ok(log)),
        Err(Error::Damaged(why)) => Ok(Err(why)),
        Err(error) => Err(error),
    }
}

/// Compares the fold with the tables, and the tickets of each row with the order of the log.
fn compare(mut fold: Fold, table_rows: &[StateRow], failures: &mut Vec<String>) -> Result<u64> {
    let mut expected = BTreeMap::new();
    for (key, mut changes) in std::mem::take(&mut fold.changes) {
        changes.sort_by_key(|change| change.index);
        if let Some((_, later)) = changes.iter().zip(changes.iter().skip(1)).find(|(a, b)| a.ticket > b.ticket) {
            failures.push(format!(
                "{}: entry {} has an earlier ticket than one before it",
                fold.name(&key),
                later.index
            ));
        }
        if let Some(Last { index, ticket, commitment: Some(commitment) }) = changes.pop() {
            expected.insert(key, (index, ticket, commitment));
        }
    }
    for row in table_rows {
        let key = fold.key(row.table, &row.id)?;
        match expected.remove(&key) {
            None => {
                failures.push(format!("{}: the log knows no such row, or says that it was removed", fold.name(&key)))
            }
            Some((index, ticket, commitment)) => {
                if commitment.as_bytes() != &row.commitment || i64::try_from(ticket) != Ok(row.ticket) {
                    failures.push(format!("{}: is not what entry {index} says", fold.name(&key)));
                }
            }
        }
    }
    for (key, (index, _, _)) in &expected {
        failures.push(format!("{}: is missing, entry {index} wrote it", fold.name(key)));
    }
    Ok(table_rows.len() as u64)
}
