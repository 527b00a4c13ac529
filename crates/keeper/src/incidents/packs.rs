//! The packs that versions name: from their records, each held to the digest that the log has of it.

use super::radius::Touched;
use crate::datastore::{Transaction, Value};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::hash;
use seal::record::VersionRecord;
use std::collections::HashSet;

/// Records read in one transaction: a longer one keeps a snapshot that others wait for.
const STRETCH: usize = 65_536;
/// Records read in one query.
const PAGE: usize = 64;
/// One of so many is much of them: to look one up takes as long as to walk past several.
const MUCH: u64 = 4;

/// A version, and the digest of its record.
pub(super) type Wanted = ([u8; 16], [u8; 32]);

/// Packs that were found, and of how many versions the record is not there or is another.
#[derive(Debug, Default)]
pub(super) struct Packs {
    pub(super) ids: HashSet<[u8; 16]>,
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
    let mut wanted = wanted(keys);
    let count = |tx: &mut dyn Transaction| {
        Ok::<_, Error>(tx.query("SELECT CAST(COUNT(*) AS BIGINT) FROM record", &[])?.one()?.integer(0)?)
    };
    if u64::try_from(engine.store.read(count)?).is_ok_and(|all| all / MUCH < wanted.len() as u64) {
        wanted.sort_unstable();
        return walked(engine, &wanted);
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

/// Those of a sorted list, by every record there is.
fn walked(engine: &Engine, wanted: &[Wanted]) -> Result<Packs> {
    engine.store.read_widely(|tx| {
        let mut packs = Packs { ids: HashSet::with_capacity(wanted.len()), lost: wanted.len() as u64 };
        tx.walk("SELECT version, bytes FROM record", &mut |row| {
            let version = row.array(0)?;
            let first = wanted.partition_point(|(other, _)| *other < version);
            let of_version = wanted.get(first..).unwrap_or_default().iter().take_while(|(other, _)| *other == version);
            if of_version.clone().next().is_none() {
                return Ok(());
            }
            let is_wanted = |digest| of_version.clone().any(|(_, other)| *other == digest);
            if let Some(record) = right(row.bytes(1)?, is_wanted) {
                packs.lost = packs.lost.saturating_sub(1);
                packs.ids.extend(record.packs.iter().map(|pack| pack.id));
            }
            Ok(())
        })?;
        Ok(packs)
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
    let mut wanted: Vec<([u8; 16], [u8; 32], u64)> = keys.into_iter().filter_map(committed).collect();
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
    show: &mut dyn FnMut(&[u8; 16], &VersionRecord),
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
