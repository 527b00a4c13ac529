//! `whoami`: who asks, which needs no right.

use crate::engine::Engine;
use crate::error::Result;
use crate::session::{Presence, Session};
use crate::{facts, people};
use api::terms::{Mode, PrincipalKind};
use api::wire::{PresenceTold, PrincipalItem, WhoAmI};

/// The caller, from rows under their MACs.
pub(crate) fn told(engine: &Engine, session: &Session) -> Result<WhoAmI> {
    let item = engine.store.read(|tx| {
        let actor = facts::actor(engine, tx, session.principal)?;
        people::item(engine, tx, &actor)
    })?;
    let PrincipalItem { id, name, kind, clearance, suspended, grants, .. } = item;
    let presence = match session.presence {
        _ if engine.mode == Mode::Solo || kind != PrincipalKind::User => PresenceTold::NotAsked,
        Presence::Now => PresenceTold::Now,
        Presence::None => PresenceTold::None,
    };
    Ok(WhoAmI {
        principal: name,
        id,
        kind,
        clearance,
        suspended,
        grants,
        auth: session.method,
        presence,
        vault: engine.vault,
        mode: engine.mode,
        read_only: engine.read_only.get().cloned(),
    })
}
