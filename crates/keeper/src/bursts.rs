//! Denials in bursts: the first ones of a window have an entry each, the others are counted in a row of the same transaction, and
//! the count becomes one entry when the window is over (`spec/log.md#bursts`). None is lost, and none is answered uncounted.

use crate::clock::TOLERATED_BACK_MILLIS;
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::hash;
use crate::journal::{By, Event};
use crate::rows::{Burst, Table};
use api::terms::Timestamp;
use log::entry::{AuthMethod, Kind};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// How many denials of a window have an entry each.
const ONE_BY_ONE: u64 = 8;
/// How long a window is open, from its first denial on.
const WINDOW_MILLIS: u64 = 60_000;
/// How many windows are closed in one transaction.
const MAX_CLOSED: i64 = 64;
/// The longest list of policies in an entry's detail, in bytes.
const MAX_POLICIES_LEN: usize = 4096;

/// The act of the entry that says how many were counted.
const DENIALS: &str = "denials";

/// The bursts that a transaction adds to.
#[derive(Debug, Default)]
pub(crate) struct Bursts {
    touched: BTreeMap<String, Touched>,
    /// Entries of windows that were found to be over.
    closed: Vec<(By, Event)>,
}

#[derive(Debug)]
struct Touched {
    burst: Burst,
    stored: Stored,
}

/// Whether a row stands in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    Yes,
    No,
}

/// What becomes of a denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// An entry of its own.
    Entry,
    /// One more in the count.
    Count,
}

impl Bursts {
    /// Takes a denial in.
    pub(crate) fn take(&mut self, engine: &Engine, tx: &mut dyn Transaction, by: &By, event: &Event) -> Result<Share> {
        let same = sameness(by, event);
        let Touched { burst, .. } = match self.touched.entry(same.clone()) {
            Entry::Occupied(touched) => touched.into_mut(),
            Entry::Vacant(place) => {
                let found: Option<Burst> = engine.keys.guard.find(tx, &Burst::id_of(&same))?;
                let stored = if found.is_some() { Stored::Yes } else { Stored::No };
                place.insert(Touched { burst: found.unwrap_or_else(|| new(&same, by, event)), stored })
            }
        };
        if is_over(burst, by.at) {
            self.closed.extend(closing(burst, by.at)?);
            *burst = new(&same, by, event);
        }
        burst.last = burst.last.max(by.at);
        if burst.logged < ONE_BY_ONE {
            burst.logged += 1;
            return Ok(Share::Entry);
        }
        burst.counted += 1;
        Ok(Share::Count)
    }

    /// Writes the counts, and gives the entries of windows that are over.
    pub(crate) fn settle(self, engine: &Engine, tx: &mut dyn Transaction, ticket: i64) -> Result<Vec<(By, Event)>> {
        let guard = &engine.keys.guard;
        for Touched { burst, stored } in self.touched.into_values() {
            match stored {
                Stored::Yes => guard.update(tx, &burst, ticket)?,
                Stored::No => guard.insert(tx, &burst, ticket)?,
            };
        }
        Ok(self.closed)
    }
}

impl Engine {
    /// When the first window is over that is open.
    pub(crate) fn bursts_over(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        let first: Vec<Burst> = self.store.read(|tx| self.keys.guard.select(tx, "ORDER BY until, id LIMIT 1", &[]))?;
        // One that would be open for long is of a clock that was set back on purpose: it is closed at once.
        let beyond = now.plus_millis(WINDOW_MILLIS + TOLERATED_BACK_MILLIS);
        Ok(first.first().map(|burst| if burst.until > beyond { now } else { burst.until }))
    }

    /// Logs the counts of windows that are over.
    pub(crate) fn close_bursts(&self) -> Result<()> {
        if self.read_only.get().is_some() {
            return Ok(());
        }
        let now = self.now()?;
        // A clock that was set back on purpose leaves windows that would be open for long.
        let tail = "WHERE until <= $1 OR until > $2 ORDER BY until, id LIMIT $3";
        let (past, beyond) = (millis(now)?, millis(now.plus_millis(WINDOW_MILLIS + TOLERATED_BACK_MILLIS))?);
        let values = [past.into(), beyond.into(), MAX_CLOSED.into()];
        let due = |tx: &mut dyn Transaction| self.keys.guard.select::<Burst>(tx, tail, &values);
        while !self.store.read(due)?.is_empty() {
            self.store.write(|tx| {
                let bursts = due(tx)?;
                let ticket = tx.ticket()?;
                let mut entries = Vec::with_capacity(bursts.len());
                for burst in &bursts {
                    self.keys.guard.remove::<Burst>(tx, &burst.id())?;
                    entries.extend(closing(burst, now)?);
                }
                self.append(tx, ticket, &entries.iter().map(|(by, event)| (by, event)).collect::<Vec<_>>()).map(drop)
            })?;
        }
        Ok(())
    }
}

fn millis(at: Timestamp) -> Result<i64> {
    i64::try_from(at.as_millis()).map_err(|_| Error::Internal("a time beyond all time"))
}

fn is_over(burst: &Burst, now: Timestamp) -> bool {
    now >= burst.until || now.plus_millis(TOLERATED_BACK_MILLIS) < burst.began
}

fn new(same: &str, by: &By, event: &Event) -> Burst {
    Burst {
        same: same.to_owned(),
        principal: by.principal,
        auth: by.auth.as_str().to_owned(),
        act: event.act.to_owned(),
        subject: event.subject.clone(),
        detail: event.detail.clone(),
        policies: event.decision.as_ref().map(|decision| decision.policies.clone()).unwrap_or_default(),
        began: by.at,
        until: by.at.plus_millis(WINDOW_MILLIS),
        last: by.at,
        logged: 0,
        counted: 0,
    }
}

/// The entry of a window that is over; none if every denial in it has its own.
fn closing(burst: &Burst, now: Timestamp) -> Result<Option<(By, Event)>> {
    if burst.counted == 0 {
        return Ok(None);
    }
    let auth = AuthMethod::parse(&burst.auth);
    let auth = auth.ok_or_else(|| Error::Altered { table: Burst::NAME, row: burst.same.clone() })?;
    let mut policies = burst.policies.join(" ");
    policies.truncate(policies.floor_char_boundary(MAX_POLICIES_LEN));
    let event =
        Event { subject: burst.subject.clone(), detail: burst.detail.clone(), ..Event::new(Kind::Denial, DENIALS) };
    let event = event
        .with("of", &burst.act)
        .with("count", burst.counted)
        .with("logged", burst.logged)
        .with("began", burst.began)
        .with("last", burst.last)
        .with("policies", policies);
    Ok(Some((By { principal: burst.principal, auth, at: now }, event)))
}

/// What denials have in common that are counted together: who, how, which act, on what, refused by what.
fn sameness(by: &By, event: &Event) -> String {
    let mut bytes = hash::lp(&[
        b"strongroom/v1/burst",
        by.principal.as_bytes(),
        by.auth.as_str().as_bytes(),
        event.act.as_bytes(),
        event.asked.as_ref().map_or(&[][..], |asked| asked.as_slice()),
    ]);
    let decision = event.decision.as_ref();
    let pairs = |map: &BTreeMap<String, String>| map.iter().flat_map(|(k, v)| [k.clone(), v.clone()]).collect();
    // Not the reason that the caller gave: another one each time would make each refusal a window of its own.
    let lists: [Vec<String>; 4] = [
        pairs(&event.subject),
        pairs(&event.detail),
        decision.map(|decision| decision.policies.clone()).unwrap_or_default(),
        decision.map(|decision| decision.near.clone()).unwrap_or_default(),
    ];
    for list in &lists {
        hash::push_long(&mut bytes, &(list.len() as u64).to_be_bytes());
        list.iter().for_each(|text| hash::push_long(&mut bytes, text.as_bytes()));
    }
    hex::encode(hash::sha256(&bytes))
}
