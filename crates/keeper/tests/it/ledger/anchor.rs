//! What was signed before must not be signed away: rollbacks, forks, altered rows and files.

use super::{NOW, Outcome, World, assert_whole, done, entry, id, signers};
use api::wire::Freshness;
use keeper::ledger::{Error, Ledger};
use log::edge::Edge;
use log::tree;

/// A log of 300 entries in two passes, with copies of everything after the first.
fn two_passes() -> World {
    let world = World::sqlite();
    world.commit_together(0..270);
    world.open().integrate(NOW).unwrap();
    for (part, copy) in [("vault", "old/vault"), ("state/anchor", "old/anchor")] {
        world.back_up(part, copy);
    }
    world.commit_together(270..300);
    world.open().integrate(NOW).unwrap();
    world
}

fn assert_read_only(ledger: &Ledger, why: &str) {
    let reason = ledger.read_only().unwrap();
    assert!(reason.contains(why), "{reason}");
    assert!(matches!(ledger.integrate(NOW), Err(Error::ReadOnly(_))));
    assert!(matches!(ledger.freshness(), Err(Error::ReadOnly(_))));
    assert!(!ledger.verify().unwrap().failures.is_empty());
}

#[test]
fn an_older_copy_of_the_vault_is_read_only() {
    let world = two_passes();
    world.restore("old/vault", "vault");
    let anchor = std::fs::read(world.path("state/anchor")).unwrap();
    let ledger = world.open();
    assert_read_only(&ledger, "an older copy was restored");
    // Nor does it change what the anchor says, or sign what is committed now.
    world.commit_together(300..301);
    assert!(ledger.integrate(NOW).is_err());
    assert_eq!(std::fs::read(world.path("state/anchor")).unwrap(), anchor);
    assert_read_only(&world.open(), "an older copy was restored");
}

#[test]
fn an_older_copy_of_the_database_alone_is_read_only_even_without_the_anchor() {
    let world = two_passes();
    world.back_up("vault/log", "new/log");
    world.restore("old/vault", "vault");
    world.restore("new/log", "vault/log");
    std::fs::remove_file(world.path("state/anchor")).unwrap();
    assert_read_only(&world.open(), "published checkpoint");
}

#[test]
fn a_copy_that_went_another_way_is_a_fork() {
    for more in [30, 31, 40] {
        let world = two_passes();
        world.back_up("state/anchor", "new/anchor");
        world.restore("old/vault", "vault");
        world.restore("old/anchor", "state/anchor");
        // The same vault lives on from the copy, and then meets the anchor of the first life.
        world.commit_together(1000..1000 + more);
        world.open().integrate(NOW).unwrap();
        assert_whole(&world.open(), 270 + more);
        world.restore("new/anchor", "state/anchor");
        assert_read_only(&world.open(), "does not continue its anchor");
    }
}

#[test]
fn a_rollback_under_a_running_keeper_is_noticed_at_the_next_pass() {
    let world = two_passes();
    let store = world.store();
    let ledger = Ledger::open(world.options(store.clone())).unwrap();
    ledger.integrate(NOW).unwrap();
    let old = std::fs::read_to_string(world.path("old/vault/log/checkpoint")).unwrap();
    let head = ledger.keys().open(old.as_bytes()).unwrap();
    world.commit_together(300..301);
    let root = head.root.to_string();
    store
        .write(|tx| {
            tx.query("UPDATE logstate SET size = 270, root = $1, checkpoint = $2", &[(&root).into(), (&old).into()])?;
            tx.query("DELETE FROM entry WHERE idx >= 270", &[])
        })
        .unwrap();
    assert!(matches!(ledger.integrate(NOW), Err(Error::ReadOnly(why)) if why.contains("older copy")));
    assert!(ledger.read_only().is_some());
}

#[test]
fn an_anchor_that_is_missing_proves_nothing_until_it_is_made_again_on_purpose() {
    let world = two_passes();
    std::fs::remove_file(world.path("state/anchor")).unwrap();
    let ledger = world.open();
    assert_eq!(ledger.freshness().unwrap(), Freshness::Unproven);
    assert_eq!(ledger.verify().unwrap().freshness, Freshness::Unproven);
    ledger.integrate(NOW).unwrap();
    assert_eq!(ledger.freshness().unwrap(), Freshness::Unproven, "a copy does not vouch for itself");
    assert_eq!(ledger.anchor_again(NOW).unwrap().freshness, Freshness::Proven);
    assert_eq!(ledger.freshness().unwrap(), Freshness::Proven);
    assert_eq!(ledger.keys().open(world.anchored().as_bytes()).unwrap().size, 300);
}

#[test]
fn an_anchor_of_another_log_is_refused_and_kept() {
    for foreign in [b"rubbish".to_vec(), signers(2).sign(300, &tree::leaf(b""), NOW).unwrap(), vec![b'x'; 300_000]] {
        let world = two_passes();
        std::fs::write(world.path("state/anchor"), &foreign).unwrap();
        assert_read_only(&world.open(), "is not a checkpoint that this log signed");
        assert_eq!(std::fs::read(world.path("state/anchor")).unwrap(), foreign);
    }
}

#[test]
fn altered_rows_are_noticed() {
    for sql in [
        "UPDATE entry SET leaf = zeroblob(32) WHERE idx = 299",
        "UPDATE entry SET leaf = NULL WHERE idx = 299",
        "DELETE FROM entry WHERE idx = 280",
        "DELETE FROM entry WHERE idx = 299",
        "UPDATE entry SET idx = 1000 WHERE idx = 299",
        "UPDATE entry SET idx = NULL WHERE idx = 299",
        "UPDATE logstate SET size = 299",
        "UPDATE logstate SET root = replace(root, substr(root, 1, 1), 'z')",
        "UPDATE logstate SET root = (SELECT substr(root, 2) || '0' FROM logstate)",
        "UPDATE logstate SET checkpoint = ''",
        "UPDATE logstate SET checkpoint = 'x' || checkpoint",
        "UPDATE logstate SET size = 0, checkpoint = '', \
         root = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'",
    ] {
        let world = two_passes();
        world.tamper(sql);
        let ledger = world.open();
        assert!(ledger.read_only().is_some(), "{sql}");
        assert!(ledger.integrate(NOW).is_err(), "{sql}");
        assert!(!ledger.verify().unwrap().failures.is_empty(), "{sql}");
    }
}

#[test]
fn an_altered_entry_of_the_tail_is_never_given_out_nor_bundled() {
    let world = two_passes();
    world.tamper("UPDATE entry SET body = X'7b7d' WHERE idx = 299");
    let ledger = world.open();
    assert!(ledger.read_only().is_none(), "its leaf is what was signed");
    assert!(ledger.verify().unwrap().failures.iter().any(|failure| failure.contains("299")));
    assert!(matches!(ledger.at(299), Err(Error::Damaged(_))));
    assert!(matches!(ledger.tail(1), Err(Error::Damaged(_))));
    assert!(matches!(ledger.receipt_at(299), Err(Error::Damaged(_))));
    // The next entries are signed; a bundle that would hold it is not.
    world.commit_together(300..511);
    assert_eq!(ledger.integrate(NOW).unwrap().head.size, 511);
    world.commit_together(511..512);
    let reopened = world.open();
    assert!(matches!(reopened.integrate(NOW), Err(Error::Damaged(why)) if why.contains("299")));
    assert_eq!(reopened.head().unwrap().head.size, 511);
}

#[test]
fn an_entry_that_the_keeper_did_not_write_is_not_signed() {
    for sql in [
        "INSERT INTO entry (ticket, position, id, body, mac) SELECT 9999, 0, id, body, mac FROM entry WHERE idx = 280",
        "UPDATE entry SET body = CAST(body || X'20' AS BLOB) WHERE idx IS NULL",
        "UPDATE entry SET position = 5 WHERE idx IS NULL",
        "UPDATE entry SET ticket = 77777 WHERE idx IS NULL",
    ] {
        let world = two_passes();
        world.commit_together(300..301);
        world.tamper(sql);
        let ledger = world.open();
        assert!(matches!(ledger.integrate(NOW), Err(Error::Damaged(_))), "{sql}");
        assert_eq!(ledger.head().unwrap().head.size, 300);
    }
}

#[test]
fn altered_files_are_found_with_their_place() -> Outcome {
    for (file, in_path) in [("tile/entries/000", true), ("tile/0/000", true), ("tile/1/000.p/1", false)] {
        let world = two_passes();
        let path = world.path("vault/log").join(file);
        let mut bytes = std::fs::read(&path)?;
        bytes[20] ^= 1;
        std::fs::write(&path, bytes)?;
        let ledger = world.open();
        assert_eq!(ledger.read_only().is_none(), in_path, "{file}");
        let failures = ledger.verify()?.failures;
        assert!(
            failures.iter().any(|failure| failure.contains(file) || failure.contains("right edge")),
            "{failures:?}"
        );
        // Nothing is given out of a log whose right edge is not the signed one, even where its path does not touch the edge.
        assert!(matches!(ledger.receipt_at(0), Err(Error::Damaged(_))), "{file}");
        std::fs::remove_file(&path)?;
        assert!(!world.open().verify()?.failures.is_empty(), "{file} missing");
    }
    done()
}

#[test]
fn a_log_signed_with_other_keys_is_read_only() {
    let world = two_passes();
    let mut options = world.options(world.store());
    options.signers = signers(2);
    let ledger = Ledger::open(options).unwrap();
    assert!(ledger.read_only().is_some());
}

#[test]
fn what_was_cut_off_after_the_anchor_is_named() {
    let world = two_passes();
    let forged = Edge::default().extend((0..299).map(|n| entry(n).encode().unwrap())).unwrap().edge;
    let note = signers(1).sign(299, &forged.root(), NOW).unwrap();
    std::fs::write(world.path("state/anchor"), note).unwrap();
    assert_read_only(&world.open(), "does not continue its anchor of 299 entries");
    assert!(matches!(world.open().find(&id(3)), Ok(found) if found.index == Some(3)));
}
