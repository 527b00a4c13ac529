//! Rotation of one key that is named by its id: a domain key or an archive key, or the newest version of a named key.

use super::{Rotation, behind, of_named, rotate_found};
use crate::acts::{Wanted, look};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::keys::domains::{newest, place_of};
use crate::keys::named::Named;
use crate::keys::state::Target;
use crate::rows::{Domain, Key, Purpose, Workspace};
use crate::session::Session;
use api::terms::{Action, KeyId, KeyState};
use api::wire::{KeyRotate, KeyRotated};
use policy::Resource;

/// Makes the next version of this key and of none beside it, but of the named keys that lie under a domain key. Of one that was rotated
/// before, what was left is gone on with.
pub(super) fn rotate(engine: &Engine, session: &Session, command: &KeyRotate, id: KeyId) -> Result<KeyRotated> {
    let more = command.workspace.is_some() || command.environment.is_some() || command.class.is_some();
    if more || command.name.is_some() || command.out_of_policy {
        return Err(Error::bad("the rotation", "a key is named by its id, or by what it belongs to"));
    }
    let not_found = || Error::NotFound(id.to_string());
    let Some(target) = engine.store.read(|tx| Target::find(engine, tx, id))? else {
        // Whoever may not rotate is told so, whether it is there or not.
        look(engine, session, &Wanted::vault(Action::RotateKeys, "key.rotate"))?;
        return Err(not_found());
    };
    let (wanted, workspace) = wanted(engine, &target)?;
    // Whoever does not see the place learns neither its name nor that there is such a key.
    let may = look(engine, session, &wanted);
    may.map_err(|error| if matches!(error, Error::NotFound(_)) { not_found() } else { error })?;
    match target {
        Target::Domain { domain, purpose, .. } => {
            let workspace = workspace.ok_or(Error::Internal("a domain key without a workspace"))?;
            let asked = KeyRotate {
                workspace: Some(workspace.name),
                environment: Some(domain.environment),
                class: Some(domain.class),
                ..command.clone()
            };
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

fn wanted(engine: &Engine, target: &Target) -> Result<(Wanted, Option<Workspace>)> {
    let whole = Wanted::vault(Action::RotateKeys, "key.rotate");
    let Some(id) = target.workspace() else { return Ok((whole, None)) };
    let row: Workspace = engine.store.read(|tx| engine.keys.guard.expect(tx, id.as_bytes()))?;
    let resource = Resource::Workspace(policy::Workspace { id });
    Ok((Wanted { resource, path: row.name.to_string(), ..whole }, Some(row)))
}

fn of_domain(mut rotation: Rotation<'_>, id: KeyId, (domain, purpose): (&Domain, Purpose)) -> Result<KeyRotated> {
    let engine = rotation.engine;
    let look = || {
        engine.store.read(|tx| {
            let guard = &engine.keys.guard;
            let key: Key = guard.expect(tx, id.as_bytes())?;
            let of = place_of(tx, guard, domain, purpose)?;
            match (key.state, &key.ending) {
                (_, Some(ending)) => return Err(Error::KeyEnding { key: id, of, until: ending.until }),
                (KeyState::Active | KeyState::Deactivated | KeyState::Compromised, None) => {}
                (state, None) => return Err(Error::KeyShut { key: id, of, state }),
            }
            let newest = newest(tx, guard, domain, purpose)?;
            Ok((key, newest.ok_or(Error::Internal("a domain without a newest key"))?))
        })
    };
    let (key, mut last) = look()?;
    let mut already = last.id != id;
    if !already {
        match rotation.follow(&key) {
            Ok(done) => rotation.took(done),
            Err(error @ Error::Conflict { .. }) => {
                last = look()?.1;
                if last.id == id {
                    return Err(error);
                }
                already = true;
            }
            Err(error) => return Err(error),
        }
    }
    if already {
        let active: Vec<Key> = Some(last).into_iter().filter(|key| key.state == KeyState::Active).collect();
        let unfinished = engine.store.read(|tx| behind(engine, tx, &active))?;
        rotation.resume(&unfinished)?;
        if unfinished.is_empty() {
            rotation.keys.extend(active);
        }
    }
    rotation.rewrap()?;
    Ok(KeyRotated { already, ..rotation.told(&[])? })
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
