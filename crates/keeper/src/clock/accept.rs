//! The way back: whoever may rotate keys says that the machine's clock is right.

use crate::acts::{Under, Wanted, act_at};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::rows::{Change, Domain, Key, NamedKey, NamedVersion};
use crate::session::Session;
use crate::write::objects::millis;
use api::terms::{Action, KeyState, Timestamp};
use api::wire::ClockAccepted;

/// The most keys that it moves; more than an entry holds are moved by accepting the clock again.
const MAX_CHANGED: i64 = 1_000;

/// Takes what the clock shows as the time, ahead of the mark or behind it, and says so in the log.
pub(crate) fn accept(engine: &Engine, session: &Session) -> Result<ClockAccepted> {
    let (now, before) = engine.watch.shown();
    let wanted = Wanted { under: Under::Applied, ..Wanted::vault(Action::RotateKeys, "clock.accept") };
    // At both times: a clock that is set back must not revive the grant of who sets it, nor one set ahead begin one.
    let logged = act_at(engine, session, &wanted, &[], &[before, now], |tx, act| {
        engine.watch.rewrite(tx, now)?;
        let changes = due_in_time(engine, tx, now, act.ticket)?;
        let event = act.event("clock.accept").with("before", before).with("now", now).changing(changes);
        let logged = engine.log(tx, act.ticket, &act.by, &[event])?;
        logged.first().copied().ok_or(Error::Internal("an entry was lost"))
    })?;
    engine.watch.go_on_from(now);
    Ok(ClockAccepted { before, now, receipt: engine.settled(&logged)? })
}

/// What a clock that was ahead made is due when it would be had it been made now, not when that clock would have said.
fn due_in_time(engine: &Engine, tx: &mut dyn Transaction, now: Timestamp, ticket: i64) -> Result<Vec<Change>> {
    let guard = &engine.keys.guard;
    let latest = |domain: Domain| {
        policy::class_rules(domain.class).map(|rules| now.plus_millis(u64::from(rules.rotation_days) * 86_400_000))
    };
    let tail = "WHERE state IN ($1, $2) AND due > $3 ORDER BY due DESC, id LIMIT $4";
    let values =
        [KeyState::Active.word().into(), KeyState::Suspended.word().into(), millis(now).into(), MAX_CHANGED.into()];
    let mut changes = Vec::new();
    for key in guard.select::<Key>(tx, tail, &values)? {
        let latest = key.domain.and_then(latest);
        if latest.is_some_and(|latest| key.due.is_some_and(|due| due > latest)) {
            changes.push(guard.update(tx, &Key { due: latest, ..key }, ticket)?);
        }
    }
    for version in guard.select::<NamedVersion>(tx, tail, &values)? {
        let named: NamedKey = guard.expect(tx, version.named.as_bytes())?;
        let latest = latest(named.domain);
        if changes.len() < MAX_CHANGED as usize
            && latest.is_some_and(|latest| version.due.is_some_and(|due| due > latest))
        {
            changes.push(guard.update(tx, &NamedVersion { due: latest, ..version }, ticket)?);
        }
    }
    Ok(changes)
}
