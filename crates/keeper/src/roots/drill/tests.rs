//! A drill whose time is over goes on where it was, and is not done before it came to the end.

use super::*;
use crate::vault::{self, InitOptions, OpenOptions, RootChoice, RootUnlock};
use api::terms::Mode;
use std::path::Path;
use std::time::Duration;

fn opened(dir: &Path) -> Engine {
    let (vault, key, anchor) = (vault::draw_id().unwrap(), dir.join("key"), dir.join("anchor"));
    let root = RootChoice::Keyfile { path: key.clone() };
    let (dir, owner) = (dir.join("vault"), "olivia".parse().unwrap());
    let (mode, crypto, recovery) = (Mode::Solo, None, None);
    let init = InitOptions { dir: dir.clone(), vault, mode, root, anchor: anchor.clone(), owner, crypto, recovery };
    vault::init(&init).unwrap();
    vault::open::open(&OpenOptions::new(dir, RootUnlock::Keyfile(key), anchor)).unwrap()
}

#[test]
fn a_drill_without_time_opens_one_key_after_another_until_it_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let engine = opened(dir.path());
    let member = engine.domains.roots.members().remove(0);
    let drilled = || {
        let row: Root = engine.store.read(|tx| engine.keys.guard.expect(tx, member.id.as_bytes())).unwrap();
        row.drilled
    };
    let whole = one(&engine, &member, &Slice::whole()).unwrap();
    assert!(!whole.unfinished && whole.keys >= 5, "{}", whole.keys);
    let none = || Slice::within(Duration::ZERO);
    for key in 0..whole.keys {
        assert_eq!(drilled(), None, "after {key} keys");
        assert_eq!(scheduled(&engine, &none()).unwrap(), 0);
    }
    assert_eq!(scheduled(&engine, &none()).unwrap(), 1);
    assert!(drilled().is_some());
    // It begins anew the next time, and not before there is a reason.
    assert_eq!(stopped(&engine, member.id).unwrap(), None);
    assert_eq!(scheduled(&engine, &none()).unwrap(), 0);
    assert_eq!(stopped(&engine, member.id).unwrap(), None);
    assert_eq!(scheduled(&engine, &Slice::whole()).unwrap(), 1, "asked for, it is done");
    let moved = "UPDATE job SET last = last + 2 WHERE name LIKE 'drill-%'";
    stop(&engine, member.id, Some(member.id)).unwrap();
    engine.store.write(|tx| tx.query(moved, &[]).map(drop).map_err(Error::from)).unwrap();
    assert!(matches!(stopped(&engine, member.id), Err(Error::Altered { table: JOBS, .. })));
}
