//! That a vault stays open for a while is said in its log.

use crate::engine::Engine;
use crate::error::Result;
use crate::jobs::by_system;
use crate::journal::{By, Event};
use api::terms::Timestamp;
use log::entry::{AuthMethod, Kind};

/// Somebody has the vault stay open until then.
pub(crate) fn begun(engine: &Engine, until: Timestamp) -> Result<()> {
    let by = By { principal: engine.owner, auth: AuthMethod::Asserted, at: engine.now()? };
    let (root, kind) = engine.opened_by;
    let event = Event::new(Kind::State, "vault.unlock").on("root", root);
    write(engine, &by, event.with("until", until).with("kind", kind))
}

/// It does not any more: somebody said so, or it ended by itself.
pub(crate) fn ended(engine: &Engine, why: &str, by_itself: bool) -> Result<()> {
    let at = engine.now()?;
    let by =
        if by_itself { by_system(engine, at) } else { By { principal: engine.owner, auth: AuthMethod::Asserted, at } };
    write(engine, &by, Event::new(Kind::State, "vault.lock").with("why", why))
}

fn write(engine: &Engine, by: &By, event: Event) -> Result<()> {
    engine.store.write(|tx| {
        let ticket = tx.ticket()?;
        engine.log(tx, ticket, by, std::slice::from_ref(&event)).map(drop)
    })
}
