//! Random work on stores that fail: every answer is right or an error, and what was acknowledged stays.

use std::collections::BTreeMap;
use std::sync::Arc;

use depot::fault::{FaultStore, Kind};
use depot::{Bucket, Id, Key, Store};
use testkit::fault::{Dice, Plan};

use crate::conformance::{PART_LEN, local_in_memory, random, whole};
use crate::faulty_client::FaultyClient;

const VAULT: Id = [5; 16];
const ROUNDS: u64 = 30;
const STEPS: usize = 120;

/// What the test knows of a key.
#[derive(Debug, Clone)]
enum Known {
    /// Acknowledged: must be there with these bytes.
    There(Vec<u8>),
    /// An upload failed: these bytes, a part of them, or nothing.
    Unclear,
    /// A delete failed: these bytes or nothing.
    MayBeGone(Vec<u8>),
    /// A delete was acknowledged.
    Gone,
}

#[test]
fn faulty_local_store_never_lies() {
    let mut struck = BTreeMap::new();
    for seed in 0..ROUNDS {
        let plan = Plan::new(seed)
            .rate("refuse", 30)
            .rate("full", 30)
            .rate("lose-ack", 60)
            .rate("torn", 60)
            .rate("short", 30)
            .rate("stale-list", 300);
        let plan = Arc::new(plan);
        let fixture = local_in_memory();
        let script = Arc::clone(&plan);
        let store = FaultStore::new(Arc::clone(&fixture.store), move |kind: Kind| script.strike(kind.name()));
        work(&store, &plan);
        count(&mut struck, &plan, &["refuse", "full", "lose-ack", "torn", "short", "stale-list"]);
    }
    assert!(struck.values().all(|times| *times > 0), "{struck:?}");
}

#[test]
fn faulty_bucket_never_lies() {
    let faults = ["refuse", "lose-ack", "repeat", "torn", "lie", "short", "long", "shifted", "stale-list"];
    let mut struck = BTreeMap::new();
    for seed in 0..ROUNDS {
        let plan = faults.iter().fold(Plan::new(seed), |plan, fault| plan.rate(fault, 40));
        let client = FaultyClient::new(plan);
        let plan = Arc::clone(&client.plan);
        let store = Bucket::with_client(Arc::new(client), "", PART_LEN).unwrap();
        work(&store, &plan);
        count(&mut struck, &plan, &faults);
    }
    assert!(struck.values().all(|times| *times > 0), "{struck:?}");
}

fn count(struck: &mut BTreeMap<String, u64>, plan: &Plan, faults: &[&str]) {
    for fault in faults {
        *struck.entry((*fault).to_owned()).or_default() += plan.struck(fault);
    }
}

fn work(store: &dyn Store, plan: &Plan) {
    let mut dice = Dice::new(plan.seed() ^ 0xd1ce);
    let mut known: BTreeMap<Key, Known> = BTreeMap::new();
    for _ in 0..STEPS {
        match dice.below(10) {
            0..4 => put(store, &mut known, &mut dice),
            4..8 => read(store, &known, &mut dice, plan),
            8 => delete(store, &mut known, &mut dice),
            _ => {
                if let Ok(entries) = store.list(&VAULT, None, 1000) {
                    let gone = entries
                        .iter()
                        .find(|entry| !matches!(known.get(&entry.key), Some(state) if !matches!(state, Known::Gone)));
                    assert!(gone.is_none(), "seed {}: {gone:?} is listed", plan.seed());
                }
            }
        }
    }
    plan.disarm();
    for (key, state) in known {
        match state {
            Known::There(bytes) => assert!(whole(store, &key) == bytes, "seed {}: {key} was acknowledged", plan.seed()),
            Known::Gone => assert!(store.open(&key).is_err(), "seed {}: {key} was deleted", plan.seed()),
            Known::MayBeGone(bytes) => {
                assert!(store.open(&key).is_err() || whole(store, &key) == bytes, "seed {}", plan.seed())
            }
            Known::Unclear => {}
        }
    }
}

fn put(store: &dyn Store, known: &mut BTreeMap<Key, Known>, dice: &mut Dice) {
    let mut id = [0; 16];
    dice.fill(&mut id);
    let key = Key::new(VAULT, id);
    let len = if dice.below(2) == 0 { dice.below(3000) } else { dice.below(4 * PART_LEN as u64) };
    let bytes = random(dice.roll(), len as usize);
    let outcome = store.create(&key).and_then(|upload| {
        for (n, piece) in bytes.chunks(50_000).enumerate() {
            upload.write_at(n as u64 * 50_000, piece)?;
        }
        upload.finish()
    });
    known.insert(key, if outcome.is_ok() { Known::There(bytes) } else { Known::Unclear });
}

fn read(store: &dyn Store, known: &BTreeMap<Key, Known>, dice: &mut Dice, plan: &Plan) {
    let Some((key, state)) = known.iter().nth(dice.below(known.len() as u64) as usize) else { return };
    let Ok(object) = store.open(key) else { return };
    let (Known::There(bytes) | Known::MayBeGone(bytes)) = state else { return };
    assert_eq!(object.len_bytes(), bytes.len() as u64, "seed {}", plan.seed());
    let start = dice.below(bytes.len() as u64 + 1) as usize;
    let len = dice.below((bytes.len() - start) as u64 + 1) as usize;
    let mut buffer = vec![0; len];
    if object.read_at(start as u64, &mut buffer).is_ok() {
        assert!(buffer == bytes[start..start + len], "seed {}: a read of {key} gave other bytes", plan.seed());
    }
    let mut past = vec![0; len + 1];
    assert!(object.read_at((bytes.len() - len) as u64, &mut past).is_err(), "seed {}", plan.seed());
}

fn delete(store: &dyn Store, known: &mut BTreeMap<Key, Known>, dice: &mut Dice) {
    let count = known.len() as u64;
    let Some((key, state)) = known.iter_mut().nth(dice.below(count) as usize) else { return };
    *state = match (store.delete(key), state.clone()) {
        (Ok(()), _) => Known::Gone,
        (Err(_), Known::There(bytes)) => Known::MayBeGone(bytes),
        (Err(_), other) => other,
    };
}
