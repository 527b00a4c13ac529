//! People, rules and an alias as they were: folded from the log, whose entries commit to rows that are kept.
//!
//! Every entry is read, and proven to be in the tree that was signed or to wait under a MAC. No index is asked, so none can hide an entry;
//! rows that were kept are held to what the entries commit to.

use super::can::refuse_more_than_are_looked_at;
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::facts::Actor;
use crate::kept;
use crate::replay;
use crate::rows::{Alias, Grant, PolicySet, Principal, RowId, Table};
use api::terms::{Code, PrincipalId, Timestamp, VersionId};
use log::entry::{Entry, Id};
use policy::{Digest, Set};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What an entry that changes rows holds, as it is written.
const CHANGES: &str = "\"state\":[";

/// The vault at a time, as far as it says who might do what.
pub(super) struct Then {
    at: Timestamp,
    principals: BTreeMap<RowId, Last>,
    grants: BTreeMap<RowId, Last>,
    set: Option<Digest>,
    /// Where the alias that was asked for pointed to.
    pub(super) alias: Option<VersionId>,
}

/// What the log said last of a row that was there.
struct Last {
    ticket: i64,
    commitment: [u8; 32],
}

impl Then {
    /// Folds the log up to a time.
    pub(super) fn read(engine: &Engine, at: Timestamp, alias: Option<&RowId>) -> Result<Self> {
        let (principals, grants) = (BTreeMap::new(), BTreeMap::new());
        let mut then = Self { at, principals, grants, set: None, alias: None };
        let mut from = Some(0);
        while let Some(index) = from {
            let page = engine.ledger.walk(index)?;
            for found in &page.items {
                then.fold(&found.body, alias)?;
            }
            from = page.next;
        }
        if then.set.is_some() { Ok(then) } else { Err(Error::bad("the question", "the vault was not there yet")) }
    }

    fn fold(&mut self, body: &[u8], alias: Option<&RowId>) -> Result<()> {
        // Most entries change nothing: releases, refusals.
        if !std::str::from_utf8(body).is_ok_and(|text| text.contains(CHANGES)) {
            return Ok(());
        }
        let entry = replay::parsed(body)?;
        if time_of(&entry)? > self.at {
            return Ok(());
        }
        let ticket = i64::try_from(entry.ticket).map_err(|_| Error::Internal("a ticket above 2^63"))?;
        for change in &entry.state {
            let id =
                RowId::try_from(change.id.as_slice()).map_err(|_| damaged("a row has another id than rows have"))?;
            let commitment = change.commitment.map(|hash| *hash.as_bytes());
            match change.table.as_str() {
                Principal::NAME => set(&mut self.principals, id, ticket, commitment),
                Grant::NAME => set(&mut self.grants, id, ticket, commitment),
                PolicySet::NAME => self.set = Some(set_of(&entry)?),
                Alias::NAME if alias == Some(&id) => {
                    let version = entry.subject.get("version").and_then(|id| Id::parse(id));
                    self.alias = commitment.and(version).map(|id| VersionId::from_bytes(id.0));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Everybody who was there, with their grants.
    pub(super) fn actors(&self, tx: &mut dyn Transaction) -> Result<Vec<Actor>> {
        refuse_more_than_are_looked_at(self.principals.len())?;
        let mut grants: HashMap<PrincipalId, Vec<Grant>> = HashMap::new();
        for (id, last) in &self.grants {
            let grant: Grant = last.row(tx, id)?;
            grants.entry(grant.principal).or_default().push(grant);
        }
        let mut actors = Vec::with_capacity(self.principals.len());
        for (id, last) in &self.principals {
            let row: Principal = last.row(tx, id)?;
            let grants = grants.remove(&row.id).unwrap_or_default();
            actors.push(Actor { row, grants });
        }
        Ok(actors)
    }

    /// The policies that were in force.
    pub(super) fn rules(&self, engine: &Engine, tx: &mut dyn Transaction) -> Result<Arc<Set>> {
        let hash = self.set.ok_or(Error::Internal("a vault without policies"))?;
        let current = engine.rules(tx)?;
        if current.hash() == hash {
            return Ok(current);
        }
        let kept = kept::set(tx, hash)?.map_err(|lost| Error::Altered { table: "cas", row: lost.to_string() })?;
        Ok(Arc::new(kept.0))
    }
}

impl Last {
    fn row<T: Table>(&self, tx: &mut dyn Transaction, id: &RowId) -> Result<T> {
        let kept = kept::row(tx, self.ticket, id, &self.commitment)?;
        kept.map_err(|lost| Error::Altered { table: T::NAME, row: lost.to_string() })
    }
}

fn set(rows: &mut BTreeMap<RowId, Last>, id: RowId, ticket: i64, commitment: Option<[u8; 32]>) {
    match commitment {
        Some(commitment) => drop(rows.insert(id, Last { ticket, commitment })),
        None => drop(rows.remove(&id)),
    }
}

/// The hash of the set that an entry put in force.
fn set_of(entry: &Entry) -> Result<Digest> {
    let hash = entry.subject.get("after").or_else(|| entry.detail.get("policy_set"));
    let mut bytes = [0; 32];
    let read = hash.map(|hash| hex::decode_to_slice(hash, &mut bytes));
    match read {
        Some(Ok(())) => Ok(Digest::from_bytes(bytes)),
        _ => Err(damaged("an entry does not name the policy set that it put in force")),
    }
}

fn time_of(entry: &Entry) -> Result<Timestamp> {
    entry.time.parse().map_err(|_| damaged("an entry has no time"))
}

fn damaged(why: &str) -> Error {
    Error::Log { code: Code::Integrity, why: why.to_owned() }
}
