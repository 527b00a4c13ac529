//! `status`.

use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::Result;
use crate::roots;
use crate::rows::{PolicySet, Purpose};
use crate::session::Session;
use crate::write::objects::MARKED;
use crate::write::objects::millis;
use crate::{depots, incidents, jobs};
use api::terms::KeyState;
use api::wire::Status;

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
        let overdue = "SELECT CAST(COUNT(*) AS BIGINT) FROM crypto_key WHERE purpose = $1 AND state = $2 AND due < $3";
        let values = [Purpose::Domain.word().into(), KeyState::Active.word().into(), millis(now).into()];
        let keys_due = count(tx, overdue, &values)?;
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
            incidents: incidents.clone(),
            drafts: count(tx, "SELECT CAST(COUNT(*) AS BIGINT) FROM draft", &[])?,
            jobs_overdue: jobs_overdue.clone(),
            depots: depots.clone(),
            to_delete: count(tx, MARKED_COUNT, &[MARKED.into()])?,
            verified,
            roots: roots::items(engine, tx)?,
            policy_set: rules.hash,
        })
    })
}

const MARKED_COUNT: &str = "SELECT CAST(COUNT(*) AS BIGINT) FROM object WHERE state = $1";

fn tally(tx: &mut dyn Transaction, name: &'static str) -> Result<u64> {
    count(tx, "SELECT value FROM tally WHERE name = $1", &[name.into()])
}

fn count(tx: &mut dyn Transaction, sql: &str, values: &[crate::datastore::Value<'_>]) -> Result<u64> {
    Ok(u64::try_from(tx.query(sql, values)?.one()?.integer(0)?).unwrap_or(0))
}
