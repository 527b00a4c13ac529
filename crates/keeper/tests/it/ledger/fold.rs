//! `verify --state`: the tables against the fold of the log.

use super::{NOW, Outcome, World, changing, commit, commit_at, done, entry};
use keeper::ledger::{Error, Ledger, StateRow};

/// Rows 1, 2 and 3 of `grant`: 1 written twice, 2 written and removed, 3 pending.
fn world() -> (World, Vec<StateRow>) {
    let world = World::sqlite();
    let store = world.store();
    let write = |n, row, commitment| commit(&store, &[changing(entry(n), "grant", row, commitment)]).unwrap();
    write(0, 1, Some(10));
    write(1, 2, Some(20));
    world.commit_together(100..500);
    let first = write(2, 1, Some(11));
    write(3, 2, None);
    world.open().integrate(NOW).unwrap();
    let third = write(4, 3, Some(30));
    let row = |id: u8, byte, ticket| StateRow { table: "grant", id: vec![id; 16], commitment: [byte; 32], ticket };
    (world, vec![row(1, 11, first), row(3, 30, third)])
}

fn failures(ledger: &Ledger, rows: &[StateRow]) -> Vec<String> {
    let (compared, failures) = ledger.verify_state::<Error>(None, |_| Ok(rows.to_vec())).unwrap();
    assert_eq!(compared, rows.len() as u64);
    failures
}

#[test]
fn tables_that_are_the_fold_of_the_log_verify() {
    let (world, rows) = world();
    let ledger = world.open();
    assert_eq!(failures(&ledger, &rows), Vec::<String>::new());
    ledger.integrate(NOW).unwrap();
    assert_eq!(failures(&ledger, &rows), Vec::<String>::new());
}

#[test]
fn rows_that_differ_from_the_log_are_named() {
    let (world, rows) = world();
    let ledger = world.open();
    let with = |change: &dyn Fn(&mut Vec<StateRow>)| {
        let mut rows = rows.clone();
        change(&mut rows);
        let failures = failures(&ledger, &rows);
        assert_eq!(failures.len(), 1, "{failures:?}");
        failures[0].clone()
    };
    let one = "01".repeat(16);
    assert!(with(&|rows| rows[0].commitment[5] ^= 1).contains(&format!("grant {one}: is not what entry 402 says")));
    // The whole older row, put back: its commitment was the row's once.
    assert!(with(&|rows| rows[0].commitment = [10; 32]).contains("is not what entry"));
    assert!(with(&|rows| rows[0].ticket -= 1).contains("is not what entry"));
    assert!(with(&|rows| drop(rows.remove(0))).contains("is missing, entry 402 wrote it"));
    assert!(with(&|rows| rows.push(StateRow { id: vec![2; 16], ..rows[0].clone() })).contains("knows no such row"));
    assert!(with(&|rows| rows.push(StateRow { table: "other", ..rows[0].clone() })).contains("knows no such row"));
}

#[test]
fn a_pending_entry_that_was_deleted_is_missed_by_its_row() {
    let (world, rows) = world();
    world.tamper("DELETE FROM entry WHERE idx IS NULL");
    let ledger = world.open();
    let failures = failures(&ledger, &rows);
    assert!(failures.len() == 1 && failures[0].contains("the log knows no such row"), "{failures:?}");
}

#[test]
fn tickets_of_one_row_must_rise_and_of_different_rows_need_not() -> Outcome {
    let world = World::sqlite();
    let (store, ledger) = (world.store(), world.open());
    commit_at(&store, 50, &[changing(entry(0), "grant", 1, Some(1))]);
    ledger.integrate(NOW)?;
    commit_at(&store, 40, &[changing(entry(1), "grant", 2, Some(2))]);
    ledger.integrate(NOW)?;
    let row = |id: u8, ticket| StateRow { table: "grant", id: vec![id; 16], commitment: [id; 32], ticket };
    assert_eq!(failures(&ledger, &[row(1, 50), row(2, 40)]), Vec::<String>::new());
    commit_at(&store, 45, &[changing(entry(2), "grant", 1, Some(1))]);
    ledger.integrate(NOW)?;
    let failures = failures(&ledger, &[row(1, 45), row(2, 40)]);
    assert!(failures.len() == 1 && failures[0].contains("entry 2 has an earlier ticket"), "{failures:?}");
    done()
}

#[test]
fn the_fold_is_of_what_was_signed() -> Outcome {
    let (world, rows) = world();
    let bundle = world.path("vault/log/tile/entries/000");
    let mut bytes = std::fs::read(&bundle)?;
    let at = bytes.windows(5).position(|window| window == b"grant").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&bundle, bytes)?;
    let ledger = world.open();
    assert!(failures(&ledger, &rows).iter().any(|failure| failure.contains("does not hash to its leaf")));
    done()
}
