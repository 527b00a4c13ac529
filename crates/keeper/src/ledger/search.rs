//! Finding entries. The index is a hint kept beside the log: whatever it names is read from the log and matched again.

use super::Ledger;
use super::error::{Error, Result};
use super::rows::{self, State, in_sizes, signed, unsigned};
use super::snapshot::{Snapshot, tail_start};
use crate::datastore::{Transaction, Value, tuples};
use api::terms::{ArtifactId, DecisionId, EntryId, PrincipalId, Timestamp, VersionId};
use log::entry::{Entry, Id};
use log::source;
use log::tile::{self, Tile, WIDTH};
use log::tree::{self, Hash};
use std::collections::BTreeMap;

/// The most entries of one page.
pub const MAX_PAGE: u32 = 10_000;
/// Index rows read at a time.
const ROWS: usize = 1000;

/// Which entries; all conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// By this principal.
    pub principal: Option<PrincipalId>,
    /// About this artifact.
    pub artifact: Option<ArtifactId>,
    /// About this version.
    pub version: Option<VersionId>,
    /// Of this act, or of those below it (`release` finds `release.read`).
    pub act: Option<String>,
    /// Of one of these acts, by their whole names; none named: of any.
    pub acts: &'static [&'static str],
    /// With this parameter.
    pub detail: Option<(&'static str, String)>,
    /// At or after.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// Newest first.
    pub newest_first: bool,
    /// Continue after this index, in the order asked for.
    pub after: Option<u64>,
    /// At most this many, up to 10,000.
    pub limit: u32,
}

/// An entry that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its index; none while it is pending.
    pub index: Option<u64>,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// A page of entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In the order asked for.
    pub items: Vec<Found>,
    /// Continue after this index; none at the end.
    pub next: Option<u64>,
}

impl Ledger {
    /// The newest entries, newest first, pending ones before all.
    ///
    /// # Errors
    /// Whatever database and files say.
    pub fn tail(&self, limit: u32) -> Result<Page> {
        self.query(&Filter { newest_first: true, limit, ..Filter::default() })
    }

    /// Entries that match a filter. Each is proven to be in the tree that was signed, or waits under a MAC; only
    /// [`Ledger::verify`] says that the index left out none, and that the log is whole.
    ///
    /// # Errors
    /// [`Error::Damaged`] if an entry is not what was signed, and whatever database and files say.
    pub fn query(&self, filter: &Filter) -> Result<Page> {
        let limit = usize::try_from(filter.limit.clamp(1, MAX_PAGE)).unwrap_or(1);
        // One more than asked for tells whether there is a next page.
        let (snapshot, (pending, indexed)) = self.snapshot_and(|tx| {
            let pending = rows::pending(tx, &self.mac, i64::from(MAX_PAGE))?;
            Ok((pending, candidates(tx, filter, limit + 1)?))
        })?;
        let mut reader = Bodies { snapshot: &snapshot, bundle: None };
        let size = snapshot.state.size;
        let mut tail: Vec<u64> = (tail_start(size)..size).filter(|index| filter.beyond(*index)).collect();
        let mut items = Vec::new();
        let waiting = || pending.iter().filter(|entry| filter.matches(&entry.body));
        let found = |entry: &rows::Recent| Found { index: None, body: entry.body.clone() };
        if filter.newest_first && filter.after.is_none() {
            items.extend(waiting().rev().take(limit).map(found));
        }
        let indexes: Vec<u64> = if filter.newest_first {
            tail.reverse();
            tail.into_iter().chain(indexed).collect()
        } else {
            indexed.into_iter().chain(tail).collect()
        };
        for index in indexes {
            let body = reader.body(index)?;
            if !filter.matches(&body) {
                continue;
            }
            if items.len() == limit {
                let next = items.iter().rev().find_map(|item: &Found| item.index);
                return Ok(Page { items, next: next.or(Some(size)) });
            }
            items.push(Found { index: Some(index), body });
        }
        if !filter.newest_first {
            let room = limit - items.len();
            items.extend(waiting().take(room).map(found));
        }
        Ok(Page { items, next: None })
    }

    /// The entries from this index on to the end of its bundle, each proven to be in the tree that was signed, and where to go on;
    /// behind the last, the pending ones. No index is asked, so none can hide an entry.
    ///
    /// # Errors
    /// [`Error::Damaged`] if an entry is not what was signed, and whatever database and files say.
    pub fn walk(&self, from: u64) -> Result<Page> {
        let (snapshot, pending) = self.snapshot_and(|tx| match State::read(tx)?.size {
            size if from < size => Ok(Vec::new()),
            _ => rows::pending(tx, &self.mac, i64::MAX),
        })?;
        let size = snapshot.state.size;
        if from >= size {
            let items = pending.into_iter().map(|entry| Found { index: None, body: entry.body }).collect();
            return Ok(Page { items, next: None });
        }
        let bundle = Bundle::read(&snapshot, from / WIDTH)?;
        let end = size.min((from / WIDTH + 1) * WIDTH);
        let items = (from..end).map(|index| Ok(Found { index: Some(index), body: bundle.body(index)? }));
        Ok(Page { items: items.collect::<Result<_>>()?, next: Some(end) })
    }

    /// The entry with this id: proven to be in the tree that was signed, or the keeper's own by its MAC while it waits.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Damaged`], and whatever database and files say.
    pub fn find(&self, id: &EntryId) -> Result<Found> {
        let key = [Value::from(id.as_bytes())];
        let (snapshot, (recent, indexed)) = self.snapshot_and(|tx| {
            let recent = rows::by_id(tx, &self.mac, id)?;
            Ok((recent, tx.query("SELECT idx FROM entry_index WHERE id = $1", &key)?.optional()?))
        })?;
        let index = match (&recent, indexed) {
            (Some((index, _)), _) => *index,
            (None, Some(row)) => Some(unsigned(row.integer(0)?)?),
            (None, None) => return Err(Error::NotFound),
        };
        let body = match (index, recent) {
            (None, Some((_, body))) => body,
            (None, None) => return Err(Error::NotFound),
            (Some(index), _) => snapshot.body(index)?,
        };
        let entry = Entry::parse(&body).map_err(|error| Error::Damaged(error.to_string()))?;
        if entry.id == Id(*id.as_bytes()) {
            Ok(Found { index, body })
        } else {
            Err(Error::Damaged("an entry under another id".into()))
        }
    }

    /// The entry that records this decision.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn decided(&self, decision: &DecisionId) -> Result<Found> {
        let key = [Value::from(decision.as_bytes())];
        let (snapshot, (pending, indexed)) = self.snapshot_and(|tx| {
            let pending = rows::pending(tx, &self.mac, i64::MAX)?;
            Ok((pending, tx.query("SELECT idx FROM entry_index WHERE decision = $1", &key)?.optional()?))
        })?;
        let records = |body: &[u8]| {
            let entry = Entry::parse(body).ok();
            entry.and_then(|entry| entry.decision).is_some_and(|found| found.id == Id(*decision.as_bytes()))
        };
        if let Some(waiting) = pending.into_iter().find(|entry| records(&entry.body)) {
            return Ok(Found { index: None, body: waiting.body });
        }
        let mut reader = Bodies { snapshot: &snapshot, bundle: None };
        let size = snapshot.state.size;
        let indexed = indexed.map(|row| row.integer(0)).transpose()?.map(unsigned).transpose()?;
        for index in indexed.into_iter().chain((tail_start(size)..size).rev()) {
            let body = reader.body(index)?;
            if records(&body) {
                return Ok(Found { index: Some(index), body });
            }
        }
        Err(Error::NotFound)
    }

    /// The leaves of those of these entries that are proven to be in the tree that was signed; the others wait. The database says
    /// where to look, and nothing more.
    ///
    /// # Errors
    /// [`Error::Damaged`] if one is neither, and whatever database and files say.
    pub(super) fn in_tree(&self, entries: &[(EntryId, Hash)]) -> Result<Vec<Hash>> {
        let gone = |id: &EntryId| Error::Damaged(format!("entry {id} was acknowledged, and is gone from the log"));
        let (snapshot, places) = self.snapshot_and(|tx| places(tx, entries))?;
        let mut indexed = Vec::new();
        for (id, leaf) in entries {
            indexed.extend(places.get(id).ok_or_else(|| gone(id))?.map(|index| (index, id, leaf)));
        }
        indexed.sort_unstable_by_key(|(index, ..)| *index);
        let mut reader = Bodies { snapshot: &snapshot, bundle: None };
        for (index, id, leaf) in &indexed {
            match reader.body(*index) {
                Ok(body) if tree::leaf(&body) == **leaf => {}
                Ok(_) | Err(Error::NotFound) => return Err(gone(id)),
                Err(error) => return Err(error),
            }
        }
        Ok(indexed.into_iter().map(|(_, _, leaf)| *leaf).collect())
    }

    /// The entry with this index.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn at(&self, index: u64) -> Result<Found> {
        Ok(Found { index: Some(index), body: self.snapshot()?.body(index)? })
    }
}

impl Filter {
    /// Whether the entry comes after the place where the last page ended.
    fn beyond(&self, index: u64) -> bool {
        self.after.is_none_or(|after| if self.newest_first { index < after } else { index > after })
    }

    /// Whether an act is asked for.
    fn is_of(&self, act: &str) -> bool {
        (self.acts.is_empty() || self.acts.contains(&act))
            && self.act.as_ref().is_none_or(|wanted| is_below(act, wanted))
    }

    fn matches(&self, body: &[u8]) -> bool {
        let Ok(entry) = Entry::parse(body) else { return false };
        let subject = |name: &str, id: Option<String>| id.is_none_or(|id| entry.subject.get(name) == Some(&id));
        let at = entry.time.parse::<Timestamp>().ok();
        self.principal.is_none_or(|id| entry.principal == Id(*id.as_bytes()))
            && subject("artifact", self.artifact.map(|id| id.to_string()))
            && subject("version", self.version.map(|id| id.to_string()))
            && self.is_of(&entry.act)
            && self.detail.as_ref().is_none_or(|(name, value)| entry.detail.get(*name) == Some(value))
            && self.since.is_none_or(|since| at.is_some_and(|at| at >= since))
            && self.until.is_none_or(|until| at.is_some_and(|at| at < until))
    }
}

fn is_below(act: &str, wanted: &str) -> bool {
    act.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Indexes of entries in full bundles that the index believes to match, in the order asked for.
fn candidates(tx: &mut dyn Transaction, filter: &Filter, limit: usize) -> Result<Vec<u64>> {
    let mut found = Vec::new();
    let mut after = match (filter.after, filter.newest_first) {
        (Some(after), _) => signed(after)?,
        (None, true) => i64::MAX,
        (None, false) => -1,
    };
    while found.len() < limit {
        let rows = page(tx, filter, after)?;
        let full = rows.len() == ROWS;
        for (index, act) in rows {
            after = signed(index)?;
            if filter.is_of(&act) {
                found.push(index);
            }
        }
        if !full {
            break;
        }
    }
    found.truncate(limit);
    Ok(found)
}

/// Where the database believes entries to be: at an index, or waiting.
fn places(tx: &mut dyn Transaction, entries: &[(EntryId, Hash)]) -> Result<BTreeMap<EntryId, Option<u64>>> {
    let mut places = BTreeMap::new();
    in_sizes(entries, |page| {
        let values: Vec<Value<'_>> = page.iter().map(|(id, _)| Value::from(id.as_bytes())).collect();
        let marks = (1..=page.len()).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
        for table in ["entry", "entry_index"] {
            let rows = tx.query(&format!("SELECT id, idx FROM {table} WHERE id IN ({marks})"), &values)?;
            for row in &rows {
                let index = row.integer_or_null(1)?.map(unsigned).transpose()?;
                places.insert(EntryId::from_bytes(row.array(0)?), index);
            }
        }
        Ok::<_, Error>(())
    })?;
    Ok(places)
}

fn page(tx: &mut dyn Transaction, filter: &Filter, after: i64) -> Result<Vec<(u64, String)>> {
    let millis = |at: Timestamp| signed(at.as_millis());
    let mut values: Vec<Value<'_>> = vec![after.into()];
    let (comparison, order) = if filter.newest_first { ("<", "DESC") } else { (">", "ASC") };
    let conditions = [
        ("principal =", filter.principal.as_ref().map(|id| Value::from(id.as_bytes()))),
        ("artifact =", filter.artifact.as_ref().map(|id| Value::from(id.as_bytes()))),
        ("version =", filter.version.as_ref().map(|id| Value::from(id.as_bytes()))),
        ("at >=", filter.since.map(millis).transpose()?.map(Value::from)),
        ("at <", filter.until.map(millis).transpose()?.map(Value::from)),
    ];
    let mut sql = format!("SELECT idx, act FROM entry_index WHERE idx {comparison} $1");
    for (condition, value) in conditions {
        if let Some(value) = value {
            values.push(value);
            sql.push_str(&format!(" AND {condition} ${}", values.len()));
        }
    }
    sql.push_str(&format!(" ORDER BY idx {order} LIMIT {ROWS}"));
    let rows = tx.query(&sql, &values)?;
    rows.iter().map(|row| Ok((unsigned(row.integer(0)?)?, row.text(1)?.to_owned()))).collect()
}

/// Adds the entries of bundles that became full.
pub(super) fn index(tx: &mut dyn Transaction, bundles: &[(Tile, Vec<u8>)]) -> Result<()> {
    struct Row {
        index: i64,
        at: i64,
        entry: Entry,
        artifact: Option<Id>,
        version: Option<Id>,
    }
    for (tile, bytes) in bundles {
        let bodies = tile::entries(bytes, tile.width).map_err(|error| Error::Damaged(error.to_string()))?;
        let mut rows = Vec::with_capacity(bodies.len());
        for (index, body) in (tile.index * WIDTH..).zip(bodies) {
            let entry = Entry::parse(body).map_err(|error| Error::Damaged(format!("entry {index}: {error}")))?;
            let at = entry.time.parse::<Timestamp>().map_err(|_| Error::Damaged(format!("entry {index}: its time")))?;
            let subject = |name: &str| entry.subject.get(name).and_then(|id| Id::parse(id));
            let (artifact, version) = (subject("artifact"), subject("version"));
            rows.push(Row { index: signed(index)?, at: signed(at.as_millis())?, entry, artifact, version });
        }
        in_sizes(&rows, |page| {
            let mut values: Vec<Value<'_>> = Vec::with_capacity(page.len() * 8);
            for row in page {
                values.extend([row.index.into(), Value::from(&row.entry.id.0), row.at.into()]);
                values.extend([Value::from(&row.entry.principal.0), row.entry.act.as_str().into()]);
                values.push(Value::Bytes(row.artifact.as_ref().map(|id| id.0.as_slice())));
                values.push(Value::Bytes(row.version.as_ref().map(|id| id.0.as_slice())));
                values.push(Value::Bytes(row.entry.decision.as_ref().map(|decision| decision.id.0.as_slice())));
            }
            let columns = "idx, id, at, principal, act, artifact, version, decision";
            let sql = format!("INSERT INTO entry_index ({columns}) VALUES {}", tuples(page.len(), 8));
            tx.query(&sql, &values).map(|_| ())
        })?;
    }
    Ok(())
}

impl Snapshot {
    /// The bytes of one entry, proven to be in the tree.
    pub(super) fn body(&self, index: u64) -> Result<Vec<u8>> {
        Bundle::read(self, index / WIDTH)?.body(index)
    }
}

/// Reads entries, a bundle at a time.
struct Bodies<'a> {
    snapshot: &'a Snapshot,
    bundle: Option<Bundle>,
}

impl Bodies<'_> {
    fn body(&mut self, index: u64) -> Result<Vec<u8>> {
        let wanted = index / WIDTH;
        let bundle = match self.bundle.take() {
            Some(bundle) if bundle.number == wanted => bundle,
            _ => Bundle::read(self.snapshot, wanted)?,
        };
        let body = bundle.body(index);
        self.bundle = Some(bundle);
        body
    }
}

/// A bundle with the leaves that its entries must hash to, which are proven to be in the tree.
struct Bundle {
    number: u64,
    bytes: Vec<u8>,
    leaves: Vec<Hash>,
}

impl Bundle {
    fn read(snapshot: &Snapshot, number: u64) -> Result<Self> {
        let tile = Tile::bundle(number, snapshot.state.size).ok_or(Error::NotFound)?;
        Ok(Self { number, bytes: source::bundle(&snapshot.files, &tile)?, leaves: snapshot.leaves(number)? })
    }

    fn body(&self, index: u64) -> Result<Vec<u8>> {
        let place = usize::try_from(index % WIDTH).unwrap_or(usize::MAX);
        let body = tile::Entries::new(&self.bytes).flatten().nth(place).ok_or(Error::NotFound)?;
        if self.leaves.get(place) != Some(&tree::leaf(body)) {
            return Err(Error::Damaged(format!("entry {index} does not hash to its leaf")));
        }
        Ok(body.to_vec())
    }
}
