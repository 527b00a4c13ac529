//! Rotation of one key that is named by its id: a domain key or an archive key, or the newest version of a named key.

use super::{Rotation, behind, of_named, rotate_found};
use crate::acts::{Wanted, look};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::keys::domains::{newest, place_of};
use crate::keys::list::wraps_under;
use crate::keys::named::Named;
use crate::keys::state::Target;
use crate::rows::{Domain, Key, Purpose};
use crate::session::Session;
use api::terms::{Action, KeyId, KeyState};
use api::wire::{KeyRotate, KeyRotated};

/// Makes the next version of this key and of none beside it, but of the named keys that lie under a domain key. Of one that was rotated
/// before, what was left is gone on with.
pub(super) fn rotate(engine: &Engine, session: &Session, command: &KeyRotate, id: KeyId) -> Result<KeyRotated> {
    let more = command.workspace.is_some() || command.environment.is_some() || command.class.is_some();
    if more || command.name.is_some() || command.out_of_policy {
        return Err(Error::bad("the rotation", "a key is named by its id, or by what it belongs to"));
    }
    let not_found = || Error::NotFound(id.to_string());
    let target = engine.store.read(|tx| Target::find(engine, tx, id))?.ok_or_else(not_found)?;
    let wanted = target.wanted(engine, Action::RotateKeys, "key.rotate")?;
    // Whoever does not see the place learns neither its name nor that there is such a key.
    let may = look(engine, session, &wanted);
    may.map_err(|error| if matches!(error, Error::NotFound(_)) { not_found() } else { error })?;
    match target {
        Target::Domain { domain, purpose, .. } => {
            let (environment, class) = (Some(domain.environment), Some(domain.class));
            let asked = KeyRotate { environment, class, ..command.clone() };
            let rotation = Rotation::new(engine, session, (&asked, Some(domain.workspace)), &wanted)?;
            of_domain(rotation, id, (&domain, purpose))
        }
        Target::Named(named, _) => of_value(engine, session, command, (&named, id), &wanted),
        Target::Version(_) => {
            let of = target.of(engine)?;
            let hint = Some(format!("strongroom key reencrypt {of}"));
            let why = format!("it is the key of {of}, which is sealed anew, with another key");
            Err(Error::Conflict { what: "the rotation", why, hint })
        }
        Target::Vault => {
            Err(Error::conflict("the rotation", "it is one of the vault's own keys, which have one version"))
        }
    }
}

fn of_domain(mut rotation: Rotation<'_>, id: KeyId, (domain, purpose): (&Domain, Purpose)) -> Result<KeyRotated> {
    let engine = rotation.engine;
    let look = || {
        engine.store.read(|tx| {
            let guard = &engine.keys.guard;
            let key: Key = guard.expect(tx, id.as_bytes())?;
            let last = newest(tx, guard, domain, purpose)?.ok_or(Error::Internal("a domain without a newest key"))?;
            let of = place_of(tx, guard, domain, purpose)?;
            let shut = |key: &Key| Err(Error::KeyShut { key: key.id, of: of.clone(), state: key.state });
            if let Some(ending) = &key.ending {
                return Err(Error::KeyEnding { key: id, of, until: ending.until });
            }
            match (key.state, last.id == id) {
                (KeyState::Active | KeyState::Compromised, _) => {}
                // Its destruction was cancelled.
                (KeyState::Deactivated, true) => {
                    let why =
                        format!("the key {id} is deactivated: the next one is made when something is sealed in {of}");
                    return Err(Error::conflict("the rotation", why));
                }
                (KeyState::Deactivated, false) => {}
                (KeyState::PreActive | KeyState::Suspended | KeyState::Destroyed, _) => return shut(&key),
            }
            // Nothing is moved under what somebody else may have, or what is gone.
            let is_lost = matches!(last.state, KeyState::Compromised | KeyState::Destroyed);
            if last.id != id && is_lost && wraps_under(tx, &key)? > 0 {
                return shut(&last);
            }
            Ok((key, last))
        })
    };
    let (key, last) = look()?;
    if last.id != id {
        return gone_on(rotation, last);
    }
    match rotation.follow(&key) {
        Ok(done) => rotation.took(done),
        Err(error @ Error::Conflict { .. }) => {
            let (_, last) = look()?;
            return if last.id == id { Err(error) } else { gone_on(rotation, last) };
        }
        Err(error) => return Err(error),
    }
    rotation.rewrap()?;
    rotation.told(&[])
}

/// What is left of a rotation that was made before.
fn gone_on(mut rotation: Rotation<'_>, last: Key) -> Result<KeyRotated> {
    let engine = rotation.engine;
    let of = std::slice::from_ref(&last);
    let active = if last.state == KeyState::Active { of } else { &[] };
    let unfinished = engine.store.read(|tx| behind(engine, tx, active))?;
    rotation.resume(&unfinished)?;
    if unfinished.is_empty() {
        rotation.keys.push(last.clone());
    }
    rotation.rewrap()?;
    let suspended = if last.state == KeyState::Suspended { of } else { &[] };
    Ok(KeyRotated { already: true, ..rotation.told(suspended)? })
}

fn of_value(
    engine: &Engine,
    session: &Session,
    command: &KeyRotate,
    (named, id): (&Named, KeyId),
    wanted: &Wanted,
) -> Result<KeyRotated> {
    if command.per_second.is_some() {
        return Err(Error::bad("the rotation", "a named key wraps nothing: there is nothing to pace"));
    }
    let told = |named: &Named| engine.store.read(|tx| named.item(tx, engine, &named.newest));
    if named.newest.key != id {
        return Ok(KeyRotated { already: true, ..of_named(vec![told(named)?], Vec::new()) });
    }
    match rotate_found(engine, session, named, false, wanted) {
        Err(error @ Error::Conflict { .. }) => {
            let now = engine.store.read(|tx| Named::by_id(engine, tx, named.row.id))?;
            if now.newest.key == id {
                return Err(error);
            }
            Ok(KeyRotated { already: true, ..of_named(vec![told(&now)?], Vec::new()) })
        }
        other => other,
    }
}
