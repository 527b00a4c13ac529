//! The packs that versions name: from their records, each held to the digest that the log has of it.

use super::radius::Touched;
use crate::datastore::{Transaction, Value};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::hash;
use seal::record::VersionRecord;
use std::collections::HashSet;

/// Records read in one query.
const PAGE: usize = 64;
/// Records read in one transaction.
const STRETCH: usize = 64 * PAGE;

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

/// The same of some; two threads share the work.
fn counted(engine: &Engine, keys: &[Touched]) -> Result<Packs> {
    let mut wanted: Vec<([u8; 16], [u8; 32])> =
        keys.iter().filter_map(|touched| touched.committed.map(|(_, digest)| (touched.version, digest))).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let (left, right) = wanted.split_at(wanted.len() / 2);
    let (left, right) = std::thread::scope(|scope| {
        let other = scope.spawn(|| within(engine, right));
        (within(engine, left), other.join())
    });
    let right = right.map_err(|_| Error::Internal("a thread that counts packs ended early"))??;
    let mut packs = left?;
    packs.ids.extend(right.ids);
    packs.lost += right.lost;
    Ok(packs)
}

fn within(engine: &Engine, wanted: &[([u8; 16], [u8; 32])]) -> Result<Packs> {
    let mut packs = Packs::default();
    for stretch in wanted.chunks(STRETCH) {
        let found = engine.store.read(|tx| {
            let mut found = Packs::default();
            for page in stretch.chunks(PAGE) {
                read(tx, page, &mut |_, record| found.ids.extend(record.packs.iter().map(|pack| pack.id)))
                    .map(|lost| found.lost += lost)?;
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
    wanted: &[([u8; 16], [u8; 32])],
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
    let mut right = 0;
    for row in &rows {
        let (version, bytes) = (row.array(0)?, row.bytes(1)?);
        let named = wanted.binary_search_by_key(&version, |(version, _)| *version).ok();
        let digest = named.and_then(|at| wanted.get(at)).map(|(_, digest)| digest);
        if digest != Some(&hash::sha256(bytes)) {
            continue;
        }
        if let Ok(record) = VersionRecord::decode(bytes) {
            right += 1;
            show(&version, &record);
        }
    }
    Ok((wanted.len() as u64).saturating_sub(right))
}
