//! `status`.

use crate::backup::history;
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::Result;
use crate::roots;
use crate::rows::{PolicySet, Purpose};
use crate::session::Session;
use crate::suites::hands;
use crate::write::objects::MARKED;
use crate::write::objects::millis;
use crate::{depots, incidents, jobs};
use api::terms::{KeyState, Timestamp};
use api::wire::{KeysStand, Status};

/// How the vault stands.
pub(crate) fn status(engine: &Engine, session: &Session) -> Result<Status> {
    let now = engine.now()?;
    let head = engine.ledger.head()?;
    let log_pending = engine.ledger.pending()?;
    let read_only = engine.read_only.get().cloned();
    let freshness = crate::audit::freshness(engine)?;
    let overdue = jobs::list(engine)?.into_iter().filter(|job| job.overdue).map(|job| job.name);
    let jobs_overdue: Vec<String> = overdue.collect();
    let incidents = incidents::open(engine, session)?;
    let (depots, verified) = (depots::list(engine)?.items, jobs::last(engine, "verify")?);
    engine.store.read(|tx| {
        let guard = &engine.keys.guard;
        let rules: PolicySet = guard.expect(tx, &PolicySet::row_id())?;
        let overdue =
            "SELECT CAST(COUNT(*) AS BIGINT) FROM crypto_key WHERE purpose IN ($1, $4) AND state = $2 AND due < $3";
        let values =
            [Purpose::Domain.word().into(), KeyState::Active.word().into(), millis(now).into(), ARCHIVE.into()];
        let named = "SELECT CAST(COUNT(*) AS BIGINT) FROM named_version WHERE state = $1 AND due < $2";
        let due_named = count(tx, named, &[KeyState::Active.word().into(), millis(now).into()])?;
        let keys_due = count(tx, overdue, &values)? + due_named;
        Ok(Status {
            vault: engine.info.clone(),
            principal: session.name.to_string(),
            workspaces: tally(tx, "workspaces")?,
            artifacts: tally(tx, "artifacts")?,
            versions: tally(tx, "versions")?,
            log_size: head.head.size,
            log_pending,
            freshness,
            read_only: read_only.clone(),
            keys_due,
            keys: KeysStand { away: hands::away(engine, tx, now)?, ..keys_stand(tx, millis(now), keys_due)? },
            now,
            incidents: incidents.clone(),
            drafts: count(tx, "SELECT CAST(COUNT(*) AS BIGINT) FROM draft", &[])?,
            jobs_overdue: jobs_overdue.clone(),
            depots: depots.clone(),
            to_delete: count(tx, MARKED_COUNT, &[MARKED.into()])?,
            verified,
            roots: roots::items(engine, tx)?,
            backed_up: history::last(tx, guard)?,
            restored: history::restores(tx, guard)?,
            policy_set: rules.hash,
        })
    })
}

/// How soon is soon.
const SOON_MILLIS: i64 = 30 * 86_400_000;

fn keys_stand(tx: &mut dyn Transaction, now: i64, overdue: u64) -> Result<KeysStand> {
    let of = |tx: &mut dyn Transaction, state: KeyState, until: i64| {
        let sql =
            "SELECT CAST(COUNT(*) AS BIGINT) FROM crypto_key WHERE purpose IN ($1, $4) AND state = $2 AND due <= $3";
        count(tx, sql, &[Purpose::Domain.word().into(), state.word().into(), until.into(), ARCHIVE.into()])
    };
    let first = "SELECT MIN(due) FROM crypto_key WHERE purpose IN ($1, $3) AND state = $2";
    let values = [Purpose::Domain.word().into(), KeyState::Active.word().into(), ARCHIVE.into()];
    let first = tx.query(first, &values)?.one()?.integer_or_null(0)?;
    Ok(KeysStand {
        active: of(tx, KeyState::Active, i64::MAX)?,
        due_soon: of(tx, KeyState::Active, now.saturating_add(SOON_MILLIS))?,
        overdue,
        suspended: of(tx, KeyState::Suspended, i64::MAX)?,
        archived: count(tx, ARCHIVED_COUNT, &[ARCHIVE.into()])?,
        away: None,
        next_due: first.and_then(|first| u64::try_from(first).ok()).map(Timestamp::from_millis),
    })
}

const ARCHIVE: &str = Purpose::Archive.word();
const ARCHIVED_COUNT: &str =
    "SELECT CAST(COUNT(*) AS BIGINT) FROM wrap w, crypto_key k WHERE k.purpose = $1 AND w.under = k.id";
const MARKED_COUNT: &str = "SELECT CAST(COUNT(*) AS BIGINT) FROM object WHERE state = $1";

pub(crate) fn tally(tx: &mut dyn Transaction, name: &'static str) -> Result<u64> {
    count(tx, "SELECT value FROM tally WHERE name = $1", &[name.into()])
}

fn count(tx: &mut dyn Transaction, sql: &str, values: &[crate::datastore::Value<'_>]) -> Result<u64> {
    Ok(u64::try_from(tx.query(sql, values)?.one()?.integer(0)?).unwrap_or(0))
}
