//! Near its bound a key is due; the job renews it; at the bound it wraps nothing more; nobody lowers the count.

use super::*;
use crate::jobs::Slice;
use crate::keys::domains::NewDomainKey;
use crate::keys::{list, rotate};
use crate::rows::{Domain, Purpose, Table as _};
use crate::vault::{self, InitOptions, OpenOptions, RootChoice, RootUnlock};
use api::terms::{Class, Environment, KeyState, Mode, PrincipalId, Suite, WorkspaceId};
use std::path::Path;

fn opened(dir: &Path) -> Engine {
    let (vault, key, anchor) = (vault::draw_id().unwrap(), dir.join("key"), dir.join("anchor"));
    let root = RootChoice::Keyfile { path: key.clone() };
    let (dir, owner) = (dir.join("vault"), "olivia".parse().unwrap());
    let (mode, crypto, recovery) = (Mode::Solo, None, None);
    let init = InitOptions { dir: dir.clone(), vault, mode, root, anchor: anchor.clone(), owner, crypto, recovery };
    vault::init(&init).unwrap();
    vault::open::open(&OpenOptions::new(dir, RootUnlock::Keyfile(key), anchor)).unwrap()
}

/// The key of a new domain.
fn made(engine: &Engine, class: Class) -> Key {
    let workspace = WorkspaceId::from_bytes([7; 16]);
    let now = engine.now().unwrap();
    let domain = Domain { workspace, environment: Environment::Dev, class };
    let new =
        NewDomainKey { purpose: Purpose::Domain, domain, version: 1, suite: Suite::Default, rotation_days: 30, now };
    let row = crate::rows::Workspace {
        id: workspace,
        name: "lab".parse().unwrap(),
        default_class: None,
        created: now,
        creator: PrincipalId::from_bytes([1; 16]),
    };
    engine
        .store
        .write(|tx| {
            let ticket = tx.ticket()?;
            engine.keys.guard.insert(tx, &row, ticket)?;
            engine.domains.make(tx, &engine.keys.guard, &new, ticket).map(|(key, _)| key)
        })
        .unwrap()
}

fn wraps(engine: &Engine, key: &Key) -> Result<Option<Change>> {
    engine.store.write(|tx| {
        let ticket = tx.ticket()?;
        let key: Key = engine.keys.guard.expect(tx, key.id.as_bytes())?;
        used(engine, tx, (&key, 1), engine.now()?, ticket)
    })
}

#[test]
fn a_key_near_its_bound_is_renewed_by_the_job_and_one_at_its_bound_wraps_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let engine = opened(dir.path());
    let key = made(&engine, Class::Restricted);
    let bound = Bound::of(&key).unwrap();
    assert!(bound.early < bound.max && bound.early > bound.max / 2);
    let count = |more: u64| engine.store.write(|tx| super::count(tx, &engine.keys.guard, key.id, more)).unwrap();
    assert_eq!(count(bound.early - 2), bound.early - 2);
    assert!(wraps(&engine, &key).unwrap().is_none());
    assert_eq!(rotate::renew(&engine, &Slice::whole()).unwrap(), 0, "not near yet");
    assert!(wraps(&engine, &key).unwrap().is_some(), "this one makes it due");
    assert!(wraps(&engine, &key).unwrap().is_none(), "once");
    count(bound.max - bound.early - 1);
    let refused = wraps(&engine, &key).unwrap_err();
    assert!(
        matches!(&refused, Error::Conflict { hint: Some(hint), .. } if hint == "strongroom key rotate"),
        "{refused}"
    );
    // What was refused does not count.
    assert_eq!(engine.store.read(|tx| of(tx, &engine.keys.guard, key.id)).unwrap(), bound.max);
    assert_eq!(rotate::renew(&engine, &Slice::whole()).unwrap(), 1);
    let (old, new) = engine
        .store
        .read(|tx| {
            let old: Key = engine.keys.guard.expect(tx, key.id.as_bytes())?;
            let new =
                crate::keys::Domains::active(tx, &engine.keys.guard, &key.domain.unwrap(), Purpose::Domain)?.unwrap();
            Ok::<_, Error>((old, new))
        })
        .unwrap();
    assert_eq!((old.state, new.version), (KeyState::Deactivated, 2));
    assert!(wraps(&engine, &new).unwrap().is_none(), "it begins anew");
    let item = engine.store.read(|tx| list::item(&engine, tx, &new)).unwrap();
    assert_eq!((item.uses, item.uses_max), (Some(1), Some(bound.max)));
    assert_eq!(rotate::renew(&engine, &Slice::whole()).unwrap(), 0, "once");
}

#[test]
fn the_count_outlives_the_wraps_and_is_under_a_mac() {
    let dir = tempfile::tempdir().unwrap();
    let engine = opened(dir.path());
    let key = made(&engine, Class::Internal);
    wraps(&engine, &key).unwrap();
    let item = engine.store.read(|tx| list::item(&engine, tx, &key)).unwrap();
    assert_eq!((item.wraps, item.uses), (0, Some(1)), "its wrap is gone, and it was used");
    let lower = |tx: &mut dyn Transaction| {
        tx.query("UPDATE key_use SET uses = 0 WHERE key = $1", &[key.id.as_bytes().into()])?;
        Ok::<_, Error>(())
    };
    engine.store.write(lower).unwrap();
    let read = engine.store.read(|tx| of(tx, &engine.keys.guard, key.id));
    assert!(matches!(read, Err(Error::Altered { table: TABLE, .. })), "{read:?}");
    assert_eq!(Key::NAME, "crypto_key");
}
