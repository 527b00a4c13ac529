//! Durable commits per second: one small transaction per caller, at 1, 8 and 64 callers, beside the disk's own syncs.
//!
//! `cargo bench -p strongroom-keeper --bench datastore [-- FOLDER]`. With `POSTGRES=address`, that database too.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use keeper::datastore::{Datastore, Error, Migration, postgres, sqlite, tuples};
use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const SCHEMA: &[Migration] = &[Migration {
    number: 1,
    name: "bench",
    statements: &[
        "CREATE TABLE fact (id BYTEA PRIMARY KEY, value BIGINT NOT NULL)",
        "CREATE TABLE entry (ticket BIGINT NOT NULL, position BIGINT NOT NULL, body BYTEA NOT NULL, PRIMARY KEY (ticket, position))",
    ],
}];

/// An entry of the log, about.
const BODY: [u8; 900] = [7; 900];

/// Entries in one batched transaction.
const BATCH: usize = 64;

const ROUND: Duration = Duration::from_secs(2);
const ROUNDS: usize = 5;

/// One release: a look at the facts, a ticket, one entry.
fn single(store: &Datastore, id: &[u8; 16]) -> Result<(), Error> {
    store.write(|tx| {
        tx.query("SELECT value FROM fact WHERE id = $1", &[id.into()])?;
        let ticket = tx.ticket()?;
        tx.query("INSERT INTO entry (ticket, position, body) VALUES ($1, 0, $2)", &[ticket.into(), (&BODY).into()])?;
        Ok(())
    })
}

/// One batch: one ticket, one insert of many rows.
fn batch(store: &Datastore, sql: &str) -> Result<(), Error> {
    store.write(|tx| {
        let ticket = tx.ticket()?;
        let values: Vec<_> = (0..BATCH as i64).flat_map(|n| [ticket.into(), n.into(), (&BODY).into()]).collect();
        tx.query(sql, &values).map(|_| ())
    })
}

/// How often `work` is done per second by `callers` at once, and the median time of one.
fn rate(callers: usize, work: impl Fn() -> Result<(), Error> + Sync) -> (f64, f64) {
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let started = Instant::now();
    let mut times = std::thread::scope(|scope| {
        let run = || {
            let mut times = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let began = Instant::now();
                work().unwrap();
                times.push(began.elapsed().as_secs_f64());
                done.fetch_add(1, Ordering::Relaxed);
            }
            times
        };
        let running: Vec<_> = (0..callers).map(|_| scope.spawn(run)).collect();
        std::thread::sleep(ROUND);
        stop.store(true, Ordering::Relaxed);
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    (done.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64(), median(&mut times))
}

fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(0.0)
}

fn report(name: &str, store: &Datastore) {
    let id = [1; 16];
    let sql = format!("INSERT INTO entry (ticket, position, body) VALUES {}", tuples(BATCH, 3));
    let insert = "INSERT INTO fact (id, value) VALUES ($1, 1) ON CONFLICT (id) DO NOTHING";
    store.write(|tx| tx.query(insert, &[(&id).into()])).unwrap();
    let mut shapes = [("single", 1, 1), ("single", 8, 1), ("single", 64, 1), ("batch of 64", 1, BATCH)]
        .map(|(shape, callers, size)| (shape, callers, size, Vec::new(), Vec::new()));
    // Interleaved, so that a slow minute of the machine meets all.
    for _ in 0..ROUNDS {
        for (_, callers, size, rates, times) in &mut shapes {
            let (per_second, time) = match *size {
                1 => rate(*callers, || single(store, &id)),
                _ => rate(*callers, || batch(store, &sql)),
            };
            rates.push(per_second * *size as f64);
            times.push(time);
        }
    }
    for (shape, callers, _, mut rates, mut times) in shapes {
        let (rate, time) = (median(&mut rates), median(&mut times) * 1e3);
        let (least, most) = (rates.first().copied().unwrap_or(0.0), rates.last().copied().unwrap_or(0.0));
        println!(
            "{name:10} {shape:12} {callers:3} callers {rate:9.0} entries/s [{least:.0}-{most:.0}]  p50 {time:.2} ms"
        );
    }
}

/// The floor: how many 4 KiB overwrites the disk syncs per second.
fn syncs(dir: &Path) -> f64 {
    let mut file = std::fs::File::create(dir.join("sync")).unwrap();
    let (began, mut count) = (Instant::now(), 0);
    while began.elapsed() < ROUND {
        file.rewind().unwrap();
        file.write_all(&[count as u8; 4096]).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    f64::from(count) / began.elapsed().as_secs_f64()
}

fn main() {
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_else(|| ".".into());
    let dir = tempfile::tempdir_in(folder).unwrap();
    println!("disk       {:.0} syncs of 4 KiB per second", syncs(dir.path()));
    let store = Datastore::sqlite(&dir.path().join("bench.db"), &sqlite::Options::default()).unwrap();
    store.migrate(SCHEMA).unwrap();
    report("sqlite", &store);
    if let Ok(address) = std::env::var("POSTGRES") {
        let store = Datastore::postgres(&postgres::Options::new(&address)).unwrap();
        store.migrate(SCHEMA).unwrap();
        report("postgres", &store);
    }
}
