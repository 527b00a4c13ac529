//! The packs that versions name: from their records, each held to the digest that the log has of it.

use super::by_id::{ById, Id};
use super::radius::Touched;
use crate::datastore::{Transaction, Value};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::hash;
use seal::record::VersionRecord;
use std::collections::HashSet;

/// Records looked up in one transaction: a longer one keeps a snapshot that others wait for. (A walk keeps one for seconds, as long as
/// all of this takes; who would empty the log of the database meanwhile is told that it is busy.)
const STRETCH: usize = 65_536;
/// Records read in one query.
const PAGE: usize = 64;
/// One of so many is much of them: to look one up takes as long as to walk past several.
const MUCH: i64 = 4;

/// A version, and the digest of its record.
pub(super) type Wanted = (Id, [u8; 32]);

/// Packs that were found, and of how many versions the record is not there or is another.
#[derive(Debug, Default)]
pub(super) struct Packs {
    pub(super) ids: HashSet<Id>,
    pub(super) lost: u64,
}

/// The packs of the committed versions among these. Of a key that is gone the record may be too: its version was sealed anew, perhaps.
pub(super) fn of(engine: &Engine, keys: &[Touched]) -> Result<Packs> {
    let (gone, living): (Vec<Touched>, Vec<Touched>) = keys.iter().partition(|touched| touched.destroyed.is_some());
    let mut packs = counted(engine, &living)?;
    packs.ids.extend(counted(engine, &gone)?.ids);
    Ok(packs)
}

/// The same of some. Where they are much of all there are, the table is walked through as it lies; else each is looked up, in parts that are
/// read at once: most of the time a disk is waited for.
fn counted(engine: &Engine, keys: &[Touched]) -> Result<Packs> {
    let wanted = wanted(keys);
    if wanted.is_empty() {
        return Ok(Packs::default());
    }
    // No more are counted than tell.
    let few = i64::try_from(wanted.len()).unwrap_or(i64::MAX).saturating_mul(MUCH);
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM (SELECT version FROM record LIMIT $1) AS counted";
    let all = engine.store.read(|tx| Ok::<_, Error>(tx.query(sql, &[few.into()])?.one()?.integer(0)?))?;
    if all < few {
        return walked(engine, &ById::new(wanted));
    }
    let mut packs = Packs::default();
    std::thread::scope(|scope| {
        let parts = wanted.chunks(wanted.len().div_ceil(engine.store.breadth()).max(PAGE));
        let parts: Vec<_> = parts.map(|part| scope.spawn(|| within(engine, part))).collect();
        for part in parts {
            let part = part.join().map_err(|_| Error::Internal("a thread that counts packs ended early"))??;
            packs.ids.extend(part.ids);
            packs.lost += part.lost;
        }
        Ok(packs)
    })
}

/// The same by every record there is.
fn walked(engine: &Engine, wanted: &ById<[u8; 32]>) -> Result<Packs> {
    let parts = engine.store.parts("record")?;
    let mut packs = Packs { ids: HashSet::new(), lost: wanted.rows().len() as u64 };
    std::thread::scope(|scope| {
        let parts: Vec<_> = parts.iter().map(|part| scope.spawn(|| walked_part(engine, wanted, part))).collect();
        for part in parts {
            let (ids, found) = part.join().map_err(|_| Error::Internal("a thread that counts packs ended early"))??;
            packs.ids.extend(ids);
            packs.lost = packs.lost.saturating_sub(found);
        }
        Ok(packs)
    })
}

/// The packs of one part, and how many versions they are of.
fn walked_part(engine: &Engine, wanted: &ById<[u8; 32]>, part: &str) -> Result<(HashSet<Id>, u64)> {
    engine.store.read(|tx| {
        let (mut ids, mut found) = (HashSet::new(), 0);
        tx.walk(&format!("SELECT version, bytes FROM record WHERE {part}"), &mut |row| {
            let of_version = wanted.of(&row.array(0)?);
            let is_wanted = |digest| of_version.iter().any(|(_, other)| *other == digest);
            if !of_version.is_empty()
                && let Some(record) = right(row.bytes(1)?, is_wanted)
            {
                found += 1;
                ids.extend(record.packs.iter().map(|pack| pack.id));
            }
            Ok(())
        })?;
        Ok((ids, found))
    })
}

/// A record whose digest is wanted.
fn right(bytes: &[u8], is_wanted: impl Fn([u8; 32]) -> bool) -> Option<VersionRecord> {
    is_wanted(hash::sha256(bytes)).then(|| VersionRecord::decode(bytes).ok()).flatten()
}

/// The versions that were committed, each once, in the order of the log: records lie in a table as they came, and read in that order each
/// page of it is read once.
pub(super) fn wanted<'k>(keys: impl IntoIterator<Item = &'k Touched>) -> Vec<Wanted> {
    let committed = |touched: &Touched| touched.committed.map(|(index, digest)| (touched.version, digest, index));
    let mut wanted: Vec<(Id, [u8; 32], u64)> = keys.into_iter().filter_map(committed).collect();
    wanted.sort_unstable();
    wanted.dedup_by_key(|(version, digest, _)| (*version, *digest));
    wanted.sort_unstable_by_key(|(.., index)| *index);
    wanted.into_iter().map(|(version, digest, _)| (version, digest)).collect()
}

fn within(engine: &Engine, wanted: &[Wanted]) -> Result<Packs> {
    let mut packs = Packs::default();
    for stretch in wanted.chunks(STRETCH) {
        let found = engine.store.read_widely(|tx| {
            let mut found = Packs::default();
            for page in stretch.chunks(PAGE) {
                found.lost +=
                    read(tx, page, &mut |_, record| found.ids.extend(record.packs.iter().map(|pack| pack.id)))?;
            }
            Ok::<_, Error>(found)
        })?;
        packs.ids.extend(found.ids);
        packs.lost += found.lost;
    }
    Ok(packs)
}

/// Shows the records of at most [`PAGE`] versions, those whose digest is right; answers how many are not.
pub(super) fn read(
    tx: &mut dyn Transaction,
    wanted: &[Wanted],
    show: &mut dyn FnMut(&Id, &VersionRecord),
) -> Result<u64> {
    // The last one again fills a page, so that one text serves all.
    let padding = wanted.last().into_iter().cycle().take(PAGE.saturating_sub(wanted.len()));
    let values: Vec<Value<'_>> = wanted.iter().chain(padding).map(|(version, _)| version.into()).collect();
    if values.is_empty() {
        return Ok(0);
    }
    let marks = (1..=values.len()).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
    let rows = tx.query(&format!("SELECT version, bytes FROM record WHERE version IN ({marks})"), &values)?;
    let mut found = 0;
    for row in &rows {
        let version = row.array(0)?;
        if let Some(record) = right(row.bytes(1)?, |digest| wanted.contains(&(version, digest))) {
            found += 1;
            show(&version, &record);
        }
    }
    Ok((wanted.len() as u64).saturating_sub(found))
}
