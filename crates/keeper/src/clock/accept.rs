//! The way back: whoever may rotate keys says that the machine's clock is right.

use crate::acts::{Under, Wanted, act_at};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::session::Session;
use api::terms::Action;
use api::wire::ClockAccepted;

/// Takes what the clock shows as the time, ahead of the mark or behind it, and says so in the log.
pub(crate) fn accept(engine: &Engine, session: &Session) -> Result<ClockAccepted> {
    let (now, before) = engine.watch.shown();
    let wanted = Wanted { under: Under::Applied, ..Wanted::vault(Action::RotateKeys, "clock.accept") };
    // At both times: a clock that is set back must not revive the grant of who sets it, nor one set ahead begin one.
    let logged = act_at(engine, session, &wanted, &[], &[before, now], |tx, act| {
        engine.watch.rewrite(tx, now)?;
        let event = act.event("clock.accept").with("before", before).with("now", now);
        let logged = engine.log(tx, act.ticket, &act.by, &[event])?;
        logged.first().copied().ok_or(Error::Internal("an entry was lost"))
    })?;
    engine.watch.go_on_from(now);
    Ok(ClockAccepted { before, now, receipt: engine.settled(&logged)? })
}
