//! What a rotation cannot wrap again stays under its old key, alone, and is named.

use super::super::domains::{Belongs, next_key};
use super::rewrap::Batch;
use super::*;
use crate::rows::Wrap;
use crate::system;
use crate::vault::{self, InitOptions, OpenOptions, RootChoice, RootUnlock};
use api::terms::{ArtifactId, Class, Environment, Mode, VersionId};
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

fn domain() -> Domain {
    Domain { workspace: WorkspaceId::from_bytes([3; 16]), environment: Environment::Dev, class: Class::Internal }
}

/// The first key of a domain, with so many version keys under it, and the next one, which writes.
fn rotated(engine: &Engine, versions: usize) -> (Key, Key) {
    let guard = &engine.keys.guard;
    let made = engine.store.write(|tx| {
        let (ticket, now) = (tx.ticket()?, engine.now()?);
        let (old, _) = next_key(engine, tx, (&domain(), Purpose::Domain), (ticket, now))?;
        let with = engine.domains.open(tx, guard, old.id)?;
        for _ in 0..versions {
            let (artifact, version) =
                (ArtifactId::from_bytes(system::random()?), VersionId::from_bytes(system::random()?));
            let key = KeyId::from_bytes(system::random()?);
            let belongs = Belongs { domain: domain(), artifact, version, key, suite: old.suite };
            guard.insert(tx, &engine.domains.mint(&belongs, &old, &with)?.wrap, ticket)?;
        }
        let event = Event::new(Kind::State, "key.rotate");
        let (new, _) = succeeded(engine, tx, (ticket, now), &old, event)?;
        Ok::<_, Error>((old, new))
    });
    made.unwrap()
}

fn wraps(engine: &Engine, under: KeyId) -> Vec<Wrap> {
    let tail = "WHERE under = $1 ORDER BY id";
    engine.store.read(|tx| engine.keys.guard.select(tx, tail, &[under.as_bytes().into()])).unwrap()
}

/// Writes a row as a keeper does, its MAC right.
fn written(engine: &Engine, wrap: &Wrap) {
    let write = |tx: &mut dyn Transaction| {
        let ticket = tx.ticket()?;
        engine.keys.guard.update(tx, wrap, ticket).map(drop)
    };
    engine.store.write(write).unwrap();
}

#[test]
fn a_version_key_of_another_fingerprint_is_left_behind_alone_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let engine = opened(dir.path());
    let (old, new) = rotated(&engine, 600);
    let before = wraps(&engine, old.id);
    // One in the first batch, one in the last.
    let (first, second) = (before[3].clone(), before[590].clone());
    let exchanged = |wrap: &Wrap| Wrap { fingerprint: before[4].fingerprint.clone(), ..wrap.clone() };
    written(&engine, &exchanged(&first));
    written(&engine, &exchanged(&second));
    for _ in 0..2 {
        let refused = go_on(&engine, &Slice::whole());
        assert!(matches!(&refused, Err(Error::Wrap { key }) if *key == first.key.to_string()), "{refused:?}");
        assert_eq!(wraps(&engine, old.id), [exchanged(&first), exchanged(&second)]);
        assert_eq!(wraps(&engine, new.id).len(), 598);
    }
    // One whose MAC is not the keeper's is left the same way.
    let tampered = "UPDATE wrap SET mac = $1 WHERE id = $2";
    let zero = [0_u8; 32];
    let values = [zero.as_slice().into(), second.id.as_bytes().into()];
    engine.store.write(|tx| tx.query(tampered, &values).map(drop).map_err(Error::from)).unwrap();
    written(&engine, &first);
    assert!(matches!(go_on(&engine, &Slice::whole()), Err(Error::Altered { .. })));
    assert_eq!(wraps(&engine, new.id).len(), 599);
    // As it was, it goes where the others are.
    written(&engine, &second);
    assert_eq!(go_on(&engine, &Slice::whole()).unwrap(), 1);
    assert_eq!((wraps(&engine, old.id).len(), wraps(&engine, new.id).len()), (0, 600));
}

#[test]
fn what_somebody_changes_while_it_is_wrapped_again_is_not_undone() {
    let dir = tempfile::tempdir().unwrap();
    let engine = opened(dir.path());
    let (old, new) = rotated(&engine, 5);
    let before = wraps(&engine, old.id);
    let prepared = || Batch::prepare(&engine, old.id, None, &Slice::whole()).unwrap().unwrap();
    let write = |batch: &Batch| {
        let by = by_system(&engine, engine.now().unwrap());
        engine.store.write(|tx| batch.write(&engine, tx, &by)).unwrap()
    };
    // One is written again meanwhile, and one is gone.
    let (batch, stale) = (prepared(), prepared());
    written(&engine, &before[1]);
    engine.store.write(|tx| engine.keys.guard.remove::<Wrap>(tx, before[2].id.as_bytes()).map(drop)).unwrap();
    let wrote = write(&batch).unwrap();
    assert_eq!((wrote.done, wrote.missed), (3, 2));
    assert_eq!(wraps(&engine, old.id), [before[1].clone()]);
    assert_eq!(wraps(&engine, new.id).len(), 3);
    // Twice it is written once: all of it is no more what it was.
    let wrote = write(&stale).unwrap();
    assert_eq!((wrote.done, wrote.missed), (0, 5));
    // And if the key is another by then, or the old one is to go, nothing is.
    let last = prepared();
    let set = |change: fn(&mut Key)| {
        let mut key = engine.store.read(|tx| engine.keys.guard.expect::<Key>(tx, old.id.as_bytes())).unwrap();
        change(&mut key);
        let write = |tx: &mut dyn Transaction| {
            let ticket = tx.ticket()?;
            engine.keys.guard.update(tx, &key, ticket).map(drop)
        };
        engine.store.write(write).unwrap();
    };
    set(|key| key.state = KeyState::Destroyed);
    assert!(write(&last).is_none());
    set(|key| key.state = KeyState::Deactivated);
    let newest = engine.store.write(|tx| {
        let (ticket, now) = (tx.ticket()?, engine.now()?);
        Ok::<_, Error>(succeeded(&engine, tx, (ticket, now), &new, Event::new(Kind::State, "key.rotate"))?.0)
    });
    assert!(write(&last).is_none());
    assert_eq!(go_on(&engine, &Slice::whole()).unwrap(), 4);
    assert_eq!((wraps(&engine, old.id).len(), wraps(&engine, newest.unwrap().id).len()), (0, 4));
}

#[test]
fn without_a_key_that_writes_everything_stays_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let engine = opened(dir.path());
    let (old, new) = rotated(&engine, 3);
    let batch = Batch::prepare(&engine, old.id, None, &Slice::whole()).unwrap().unwrap();
    let gone = Key { state: KeyState::Deactivated, ..new };
    let write = |tx: &mut dyn Transaction| {
        let ticket = tx.ticket()?;
        engine.keys.guard.update(tx, &gone, ticket).map(drop)
    };
    engine.store.write(write).unwrap();
    let by = by_system(&engine, engine.now().unwrap());
    assert!(engine.store.write(|tx| batch.write(&engine, tx, &by)).unwrap().is_none());
    assert!(Batch::prepare(&engine, old.id, None, &Slice::whole()).unwrap().is_none());
    assert_eq!((go_on(&engine, &Slice::whole()).unwrap(), wraps(&engine, old.id).len()), (0, 3));
}

#[test]
fn a_wrap_is_made_again_only_of_the_key_that_its_row_names() {
    let dir = tempfile::tempdir().unwrap();
    let engine = opened(dir.path());
    let (old, new) = rotated(&engine, 2);
    let open = |key: &Key| engine.store.read(|tx| engine.domains.open(tx, &engine.keys.guard, key.id)).unwrap();
    let (from, to) = (open(&old), open(&new));
    let again = |wrap: &Wrap, domain: &Domain| engine.domains.wrap_again(wrap, domain, &from, (&new, &to));
    let [one, other] = <[Wrap; 2]>::try_from(wraps(&engine, old.id)).unwrap();
    let moved = again(&one, &domain()).unwrap();
    assert_eq!((moved.id, moved.key, &moved.fingerprint), (one.id, one.key, &one.fingerprint));
    assert_eq!((moved.under, moved.under_version), (new.id, 2));
    assert_ne!(moved.sealed, one.sealed);
    let elsewhere = Domain { class: Class::Public, ..domain() };
    let named = |refused: Result<Wrap>| matches!(refused, Err(Error::Wrap { key }) if key == one.key.to_string());
    assert!(named(again(&Wrap { fingerprint: other.fingerprint.clone(), ..one.clone() }, &domain())));
    assert!(named(again(&Wrap { fingerprint: String::new(), ..one.clone() }, &domain())));
    assert!(named(again(&Wrap { sealed: other.sealed.clone(), ..one.clone() }, &domain())));
    assert!(named(again(&Wrap { version: other.version, ..one.clone() }, &domain())));
    assert!(named(again(&one, &elsewhere)));
}
