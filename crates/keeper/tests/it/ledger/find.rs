//! Queries: every filter against a scan, pages in both directions, entries by id and index.

use super::{NOW, START, World, artifact, entry, id, principal};
use api::terms::Timestamp;
use keeper::ledger::{Error, Filter, Ledger};
use log::entry::Entry;

const SIZE: u64 = 700;

fn world() -> World {
    let world = World::sqlite();
    world.commit_together(0..SIZE);
    world.open().integrate(NOW).unwrap();
    world
}

/// The numbers of all entries that match, through pages of `limit`.
fn numbers(ledger: &Ledger, filter: &Filter, limit: u32) -> Vec<u64> {
    let mut filter = Filter { limit, ..filter.clone() };
    let mut numbers = Vec::new();
    loop {
        let page = ledger.query(&filter).unwrap();
        assert!(page.items.len() <= limit as usize);
        for found in page.items {
            let entry = Entry::parse(&found.body).unwrap();
            numbers.push(u64::from_be_bytes(entry.id.0[8..].try_into().unwrap()));
            assert_eq!(found.index, numbers.last().copied().filter(|n| *n < SIZE));
        }
        match page.next {
            Some(next) => filter.after = Some(next),
            None => return numbers,
        }
    }
}

#[test]
fn every_filter_finds_what_a_scan_finds() {
    let world = world();
    let ledger = world.open();
    let at = |n: u64| Timestamp::from_millis(START + n * 1000);
    let filters = [
        Filter::default(),
        Filter { principal: Some(principal(1)), ..Filter::default() },
        Filter { artifact: Some(artifact(3)), ..Filter::default() },
        Filter { act: Some("release".into()), ..Filter::default() },
        Filter { act: Some("release.read".into()), ..Filter::default() },
        Filter { act: Some("rele".into()), ..Filter::default() },
        Filter { since: Some(at(500)), ..Filter::default() },
        Filter { since: Some(at(100)), until: Some(at(120)), ..Filter::default() },
        Filter {
            principal: Some(principal(2)),
            artifact: Some(artifact(0)),
            act: Some("key".into()),
            ..Filter::default()
        },
        Filter { principal: Some(principal(9)), ..Filter::default() },
    ];
    for (n, filter) in filters.iter().enumerate() {
        let matches = |n: &u64| {
            let entry = entry(*n);
            filter.principal.is_none_or(|wanted| principal(n % 3) == wanted)
                && filter.artifact.is_none_or(|wanted| artifact(n % 5) == wanted)
                && filter.act.as_ref().is_none_or(|act| entry.act == *act || entry.act.starts_with(&format!("{act}.")))
                && filter.since.is_none_or(|since| at(*n) >= since)
                && filter.until.is_none_or(|until| at(*n) < until)
        };
        let mut expected: Vec<u64> = (0..SIZE).filter(matches).collect();
        for limit in [7, 100, 1000] {
            assert_eq!(numbers(&ledger, filter, limit), expected, "filter {n}, pages of {limit}");
        }
        expected.reverse();
        let newest = Filter { newest_first: true, ..filter.clone() };
        for limit in [7, 1000] {
            assert_eq!(numbers(&ledger, &newest, limit), expected, "filter {n}, newest first, pages of {limit}");
        }
    }
}

#[test]
fn pending_entries_are_the_newest() {
    let world = world();
    world.commit_together(SIZE..SIZE + 3);
    let ledger = world.open();
    let tail = ledger.tail(5).unwrap();
    assert_eq!(
        tail.items.iter().map(|found| found.index).collect::<Vec<_>>(),
        [None, None, None, Some(699), Some(698)]
    );
    assert_eq!(tail.next, Some(698));
    let all = numbers(&ledger, &Filter::default(), 1000);
    assert_eq!(all, (0..SIZE + 3).collect::<Vec<_>>());
    assert_eq!(ledger.find(&id(SIZE)).unwrap().index, None);
}

#[test]
fn entries_are_found_by_id_and_by_index() {
    let world = world();
    let ledger = world.open();
    for n in [0, 255, 256, 511, 512, 699] {
        let found = ledger.find(&id(n)).unwrap();
        assert_eq!(found.index, Some(n));
        assert_eq!(ledger.at(n).unwrap(), found);
    }
    assert!(matches!(ledger.find(&id(5000)), Err(Error::NotFound)));
    assert!(matches!(ledger.at(SIZE), Err(Error::NotFound)));
}

#[test]
fn the_index_is_only_a_hint() {
    let world = world();
    // It names another entry for this id, and claims entries for a principal that are not theirs.
    world.tamper("UPDATE entry_index SET id = X'00' WHERE idx = 10");
    world.tamper("UPDATE entry_index SET idx = 100000 WHERE idx = 20");
    let wanted = hex::encode(principal(1).as_bytes());
    world.tamper(&format!("UPDATE entry_index SET principal = X'{wanted}' WHERE idx = 30"));
    let ledger = world.open();
    assert!(matches!(ledger.find(&id(10)), Err(Error::NotFound)));
    assert!(matches!(ledger.find(&id(20)), Err(Error::NotFound)));
    let by = Filter { principal: Some(principal(1)), limit: 20, ..Filter::default() };
    let page = ledger.query(&by).unwrap();
    assert!(page.items.iter().all(|found| found.index != Some(30)));
}
