//! What integration costs: `cargo bench -p strongroom-keeper --bench ledger`.
//!
//! One entry committed and integrated at a time, then many; the yardstick of the same run is a 4 KiB overwrite with `fdatasync` on the same disk.
#![expect(clippy::unwrap_used, reason = "a benchmark")]

use api::terms::EntryId;
use keeper::datastore::{Datastore, Migration, sqlite};
use keeper::ledger::{self, EntryMac, Ledger, Options};
use log::entry::{AuthMethod, Entry, Id, Kind};
use log::keys::Signers;
use std::collections::BTreeMap;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

const MIGRATIONS: [Migration; 2] =
    [Migration { number: 1, name: "rows", statements: &["CREATE TABLE thing (id BYTEA PRIMARY KEY)"] }, ledger::SCHEMA];
const SINGLE: u64 = 600;
const MANY: u64 = 20_000;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("log")).unwrap();
    let store = Datastore::sqlite(&dir.path().join("keeper.db"), &sqlite::Options::default()).unwrap();
    store.migrate(&MIGRATIONS).unwrap();
    let origin = format!("strongroom/{}/1", "07".repeat(16));
    let options = || Options {
        store: store.clone(),
        folder: dir.path().join("log"),
        anchor: dir.path().join("state/anchor"),
        signers: Signers::from_seeds(&origin, &[1; 32], &[2; 32]).unwrap(),
        mac: EntryMac::new(&[3; 32]),
    };
    let ledger = Ledger::open(options()).unwrap();
    let mut syncs = overwrites(dir.path());
    let (mut commits, mut passes) = (Vec::new(), Vec::new());
    for n in 0..SINGLE {
        commits.push(timed(|| commit(&store, n, 1)));
        passes.push(timed(|| drop(ledger.integrate(1).unwrap())));
    }
    report("4 KiB overwrite and fdatasync", &mut syncs);
    report("commit of one entry", &mut commits);
    report("integration of one entry", &mut passes);
    for n in (0..MANY).step_by(64) {
        commit(&store, SINGLE + n, 64);
    }
    let total = timed(|| drop(ledger.integrate(1).unwrap()));
    println!("integration of {MANY} entries: {:.0} entries/s", MANY as f64 / total.as_secs_f64());
    let mut opens: Vec<_> = (0..20).map(|_| timed(|| drop(Ledger::open(options()).unwrap()))).collect();
    report("opening", &mut opens);
    let mut verifications: Vec<_> =
        (0..5).map(|_| timed(|| assert!(ledger.verify().unwrap().failures.is_empty()))).collect();
    report("full verification", &mut verifications);
}

fn timed(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

fn report(what: &str, times: &mut [Duration]) {
    times.sort();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default().as_secs_f64() * 1e3;
    println!("{what}: p50 {:.3} ms, p99 {:.3} ms", at(50), at(99));
}

fn overwrites(dir: &Path) -> Vec<Duration> {
    let file = std::fs::File::create(dir.join("yardstick")).unwrap();
    let write = |_| timed(|| file.write_all_at(&[0; 4096], 0).and_then(|()| file.sync_data()).unwrap());
    (0..SINGLE).map(write).collect()
}

fn commit(store: &Datastore, from: u64, count: u64) {
    let id = |n: u64| {
        let mut id = [0; 16];
        id[8..].copy_from_slice(&n.to_be_bytes());
        id
    };
    let entry = |n: u64, ticket: i64| Entry {
        vault: Id([7; 16]),
        log: 1,
        id: Id(id(n)),
        ticket: ticket.unsigned_abs(),
        kind: Kind::Release,
        time: "2026-11-21T02:03:04.005Z".to_owned(),
        auth: AuthMethod::Asserted,
        principal: Id([9; 16]),
        act: "release.read".to_owned(),
        decision: None,
        subject: BTreeMap::from([("artifact".to_owned(), "0a".repeat(16))]),
        detail: BTreeMap::from([("padding".to_owned(), "x".repeat(550))]),
        commitments: BTreeMap::new(),
        state: Vec::new(),
    };
    let mac = EntryMac::new(&[3; 32]);
    let written = store.write(|tx| {
        let ticket = tx.ticket()?;
        let entries: Vec<_> =
            (from..from + count).map(|n| (EntryId::from_bytes(id(n)), entry(n, ticket).encode().unwrap())).collect();
        ledger::append(tx, &mac, ticket, &entries)
    });
    written.unwrap();
}
