//! The playbook: what is to be done, and how far it is. What the keeper can see is computed and never typed.

use super::parts;
use crate::datastore::{Transaction, Value};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::keys::domains::newest;
use crate::keys::list::wraps_under;
use crate::rows::{Incident, IncidentAbout, Key};
use api::terms::{KeyId, KeyState, PlaybookStep};

/// Keys looked for in one query.
const PAGE: usize = 512;
/// So many times as many are still read past.
const DENSE: usize = 8;

/// How far an incident is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// Wraps under the domain key, and whether another writes; none of a version key.
    pub(super) rotation: Option<(u64, bool)>,
    /// Version keys that are still in use, of so many; none before they are known.
    pub(super) exposed: Option<(u64, u64)>,
}

/// Whether people say that it is done.
pub(super) const fn is_by_hand(step: PlaybookStep) -> bool {
    matches!(step, PlaybookStep::Notify | PlaybookStep::Review)
}

/// The steps of an incident, in order.
pub(super) fn of(about: IncidentAbout) -> &'static [PlaybookStep] {
    match about {
        IncidentAbout::Domain(_) => PlaybookStep::ALL,
        IncidentAbout::Version(_) => const { &[PlaybookStep::ReEncrypt, PlaybookStep::Notify, PlaybookStep::Review] },
    }
}

/// How far it is now; how many of its keys are in use, and of how many, may be known.
pub(super) fn standing(
    engine: &Engine,
    tx: &mut dyn Transaction,
    incident: &Incident,
    exposed: Option<(u64, u64)>,
) -> Result<Standing> {
    let guard = &engine.keys.guard;
    let rotation = match incident.about {
        IncidentAbout::Version(_) => None,
        IncidentAbout::Domain(domain) => {
            let key: Key = guard.expect(tx, incident.key.as_bytes())?;
            let writes =
                newest(tx, guard, &domain, key.purpose)?.is_some_and(|newest| newest.state == KeyState::Active);
            Some((wraps_under(tx, &key)?, writes))
        }
    };
    let exposed = match (&incident.found, exposed) {
        (None, _) => None,
        (Some(_), Some(exposed)) => Some(exposed),
        (Some(told), None) => {
            let keys: Vec<KeyId> =
                parts::keys_of(tx, incident.id, &told.keys)?.iter().map(|listed| listed.key).collect();
            let all = keys.len() as u64;
            Some((wrapped(tx, keys)?, all))
        }
    };
    Ok(Standing { rotation, exposed })
}

/// How many of these keys anything wraps: one that was destroyed, or whose version was sealed anew under another, has no wrap.
pub(super) fn wrapped(tx: &mut dyn Transaction, mut keys: Vec<KeyId>) -> Result<u64> {
    // In the order of the index.
    keys.sort_unstable();
    keys.dedup();
    let (mut count, mut are_dense) = (0, true);
    for page in keys.chunks(PAGE) {
        // Ids are random: where one page lies dense in the index, the others do.
        let between = if are_dense { between(tx, page)? } else { None };
        are_dense = between.is_some();
        count += between.map_or_else(|| among(tx, page), Ok)?;
    }
    Ok(count)
}

/// How many of a sorted page are wrapped, from all that are between its first and its last: a stretch of the index is read at once. None where
/// that would be many times as many.
fn between(tx: &mut dyn Transaction, page: &[KeyId]) -> Result<Option<u64>> {
    let (Some(first), Some(last)) = (page.first(), page.last()) else { return Ok(Some(0)) };
    let most = page.len() * DENSE;
    let sql = "SELECT wrapped FROM wrap WHERE wrapped >= $1 AND wrapped <= $2 ORDER BY wrapped LIMIT $3";
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = tx.query(sql, &[first.as_bytes().into(), last.as_bytes().into(), limit.into()])?;
    if rows.len() >= most {
        return Ok(None);
    }
    let (mut count, mut page, mut before) = (0, page, None);
    for row in &rows {
        let key = KeyId::from_bytes(row.array(0)?);
        page = page.get(page.iter().take_while(|other| **other < key).count()..).unwrap_or_default();
        // A key may have several wraps.
        count += u64::from(page.first() == Some(&key) && before != Some(key));
        before = Some(key);
    }
    Ok(Some(count))
}

/// The same, each looked up.
fn among(tx: &mut dyn Transaction, page: &[KeyId]) -> Result<u64> {
    let size = if page.len() == PAGE { PAGE } else { page.len().next_power_of_two() };
    // The last one again fills the page.
    let padding = page.last().into_iter().cycle().take(size.saturating_sub(page.len()));
    let values: Vec<Value<'_>> = page.iter().chain(padding).map(|key| key.as_bytes().into()).collect();
    let marks = (1..=values.len()).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
    let sql = format!("SELECT CAST(COUNT(DISTINCT wrapped) AS BIGINT) FROM wrap WHERE wrapped IN ({marks})");
    let found = tx.query(&sql, &values)?.one()?.integer(0)?;
    u64::try_from(found).map_err(|_| Error::Internal("a count below zero"))
}

impl Standing {
    /// Whether nothing of a step is left.
    pub(super) fn is_done(&self, incident: &Incident, step: PlaybookStep) -> bool {
        match step {
            PlaybookStep::Rotate => self.rotation == Some((0, true)),
            PlaybookStep::ReEncrypt => self.exposed.is_some_and(|(left, _)| left == 0),
            PlaybookStep::Notify | PlaybookStep::Review => incident.done.contains_key(&step),
        }
    }

    /// The steps of which something is left.
    pub(super) fn open(&self, incident: &Incident) -> Vec<PlaybookStep> {
        of(incident.about).iter().copied().filter(|step| !self.is_done(incident, *step)).collect()
    }
}

/// The steps that are open now.
pub(super) fn open(engine: &Engine, tx: &mut dyn Transaction, incident: &Incident) -> Result<Vec<PlaybookStep>> {
    Ok(standing(engine, tx, incident, None)?.open(incident))
}
