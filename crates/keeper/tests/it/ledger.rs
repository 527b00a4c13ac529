//! The ledger: passes, recovery, anchor, proofs, queries, the fold, on both engines where they could differ.

mod anchor;
mod faults;
mod find;
mod fold;
mod passes;

use crate::datastore::Outcome;
use api::terms::{ArtifactId, EntryId, PrincipalId, Timestamp};
use keeper::datastore::{Datastore, Driver, Error, Migration, postgres, sqlite};
use keeper::ledger::{self, EntryMac, Ledger, Options};
use log::entry::{AuthMethod, Entry, Id, Kind, StateChange};
use log::keys::Signers;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use testkit::postgres::{Collation, Postgres};

pub const VAULT: [u8; 16] = [7; 16];
pub const NOW: u64 = 1_800_000_000;
/// 2026-11-21T00:00:00Z.
pub const START: u64 = 1_795_219_200_000;

const MIGRATIONS: [Migration; 2] =
    [Migration { number: 1, name: "rows", statements: &["CREATE TABLE thing (id BYTEA PRIMARY KEY)"] }, ledger::SCHEMA];

/// A vault's folder with a database, a log and an anchor beside it.
pub struct World {
    dir: TempDir,
    address: Option<(String, Arc<Postgres>)>,
}

impl World {
    pub fn sqlite() -> Self {
        Self::with(None)
    }

    pub fn postgres() -> Self {
        let server = Postgres::shared().unwrap();
        Self::with(Some((server.database(Collation::Bytes).unwrap(), server)))
    }

    fn with(address: Option<(String, Arc<Postgres>)>) -> Self {
        let world = Self { dir: tempfile::tempdir().unwrap(), address };
        std::fs::create_dir_all(world.path("vault/log")).unwrap();
        world.store().migrate(&MIGRATIONS).unwrap();
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn store(&self) -> Datastore {
        match &self.address {
            None => Datastore::sqlite(&self.path("vault/keeper.db"), &sqlite::Options::default()),
            Some((address, _)) => Datastore::postgres(&postgres::Options::new(address)),
        }
        .unwrap()
    }

    pub fn options(&self, store: Datastore) -> Options {
        Options {
            store,
            folder: self.path("vault/log"),
            anchor: self.path("state/anchor"),
            signers: signers(1),
            mac: mac(),
        }
    }

    pub fn open(&self) -> Ledger {
        Ledger::open(self.options(self.store())).unwrap()
    }

    /// Over a driver of the test's own.
    pub fn open_over(&self, driver: Arc<dyn Driver>) -> Ledger {
        Ledger::open(self.options(Datastore::new(driver))).unwrap()
    }

    /// The newest note in the anchor's slots.
    pub fn anchored(&self) -> String {
        let bytes = std::fs::read(self.path("state/anchor")).unwrap();
        let note = |slot: &[u8]| String::from_utf8(slot.split(|byte| *byte == 0).next().unwrap().to_vec()).unwrap();
        let size = |note: &String| note.lines().nth(1).map(|size| size.parse::<u64>().unwrap());
        bytes.chunks(8192).map(note).max_by_key(size).unwrap()
    }

    /// Commits entries in one transaction.
    pub fn commit_together(&self, entries: std::ops::Range<u64>) {
        commit(&self.store(), &entries.map(entry).collect::<Vec<_>>()).unwrap();
    }

    /// Changes the SQLite database behind the keeper's back.
    pub fn tamper(&self, sql: &str) {
        let changed = rusqlite::Connection::open(self.path("vault/keeper.db")).unwrap().execute(sql, []).unwrap();
        assert!(changed > 0, "the test must change something: {sql}");
    }

    /// Copies the vault, as a backup would.
    pub fn back_up(&self, part: &str, to: &str) {
        copy(&self.path(part), &self.path(to));
    }

    /// Puts a copy back.
    pub fn restore(&self, from: &str, part: &str) {
        let target = self.path(part);
        if target.is_dir() {
            std::fs::remove_dir_all(&target).unwrap();
        }
        for file in ["keeper.db-wal", "keeper.db-shm"] {
            let _ = std::fs::remove_file(self.path("vault").join(file));
        }
        copy(&self.path(from), &target);
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).unwrap();
        for item in std::fs::read_dir(from).unwrap() {
            let item = item.unwrap();
            copy(&item.path(), &to.join(item.file_name()));
        }
    } else {
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from, to).unwrap();
    }
}

pub fn signers(seed: u8) -> Signers {
    let origin = format!("strongroom/{}/1", hex::encode(VAULT));
    Signers::from_seeds(&origin, &[seed; 32], &[seed + 100; 32]).unwrap()
}

pub fn mac() -> EntryMac {
    EntryMac::new(&[3; 32])
}

pub fn id(n: u64) -> EntryId {
    let mut bytes = [0xee; 16];
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    EntryId::from_bytes(bytes)
}

pub fn principal(n: u64) -> PrincipalId {
    PrincipalId::from_bytes([n as u8 + 1; 16])
}

pub fn artifact(n: u64) -> ArtifactId {
    ArtifactId::from_bytes([n as u8 + 101; 16])
}

/// The n-th entry: by one of three principals, about one of five artifacts, one second after the one before.
pub fn entry(n: u64) -> Entry {
    let acts = ["version.commit", "release.read", "release.list", "key.rotate"];
    Entry {
        vault: Id(VAULT),
        log: 1,
        id: Id(*id(n).as_bytes()),
        ticket: 0,
        kind: Kind::State,
        time: Timestamp::from_millis(START + n * 1000).to_string(),
        auth: AuthMethod::Asserted,
        principal: Id(*principal(n % 3).as_bytes()),
        act: acts[n as usize % 4].to_owned(),
        decision: None,
        subject: BTreeMap::from([("artifact".to_owned(), artifact(n % 5).to_string())]),
        detail: BTreeMap::new(),
        commitments: BTreeMap::new(),
        state: Vec::new(),
    }
}

/// Commits entries under one ticket, which this gives.
pub fn commit(store: &Datastore, entries: &[Entry]) -> Result<i64, Error> {
    store.write(|tx| {
        let ticket = tx.ticket()?;
        append(tx, ticket, entries)?;
        Ok(ticket)
    })
}

/// Commits entries under a ticket of the test's choice.
pub fn commit_at(store: &Datastore, ticket: i64, entries: &[Entry]) {
    store.write(|tx| append(tx, ticket, entries)).unwrap();
}

fn append(tx: &mut dyn keeper::datastore::Transaction, ticket: i64, entries: &[Entry]) -> Result<(), Error> {
    let encode = |entry: &Entry| Entry { ticket: u64::try_from(ticket).unwrap(), ..entry.clone() }.encode().unwrap();
    let encoded: Vec<_> = entries.iter().map(|entry| (EntryId::from_bytes(entry.id.0), encode(entry))).collect();
    ledger::append(tx, &mac(), ticket, &encoded)
}

pub fn changing(entry: Entry, table: &str, row: u8, commitment: Option<u8>) -> Entry {
    let commitment = commitment.map(|byte| log::tree::Hash::from_bytes([byte; 32]));
    Entry { state: vec![StateChange { table: table.to_owned(), id: vec![row; 16], commitment }], ..entry }
}

/// The ids of all entries of the log in their order, read back through pages.
pub fn ids(ledger: &Ledger) -> Vec<EntryId> {
    let mut ids = Vec::new();
    let mut filter = ledger::Filter { limit: 100, ..ledger::Filter::default() };
    loop {
        let page = ledger.query(&filter).unwrap();
        ids.extend(page.items.iter().map(|found| EntryId::from_bytes(Entry::parse(&found.body).unwrap().id.0)));
        match page.next {
            Some(next) => filter.after = Some(next),
            None => return ids,
        }
    }
}

/// Asserts that the log verifies and holds this many entries.
pub fn assert_whole(ledger: &Ledger, entries: u64) {
    let verified = ledger.verify().unwrap();
    assert_eq!(verified.failures, Vec::<String>::new());
    assert_eq!((verified.head.head.size, verified.entries), (entries, entries));
}

pub fn done() -> Outcome {
    Ok(())
}
