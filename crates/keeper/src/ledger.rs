//! The log of a vault: entries wait in the database, one sequencer integrates them into the tree (`spec/log.md`).
//!
//! A pass takes the visible, unintegrated entries by (ticket, position), makes full bundles and tiles durable, signs the new
//! head, compares-and-swaps (fence, size, root) in the database, moves the anchor and publishes the checkpoint, in this order.
//! The newest partial bundle stays in the database, so that a pass for one entry costs one commit and the anchor.
//!
//! A tree behind its anchor, or inconsistent with it or with the published checkpoint, opens read-only: nothing is signed.

mod anchor;
mod backup;
mod beside;
mod error;
mod export;
mod files;
mod notes;
mod owed;
mod rows;
mod schema;
mod search;
mod snapshot;
mod state;
mod visit;

pub(crate) use backup::{Lies, Tiles, anchored_in};
pub(crate) use beside::{beside, read_beside, write_beside};
pub use error::{Error, Result};
pub use rows::{EntryMac, append};
pub use schema::SCHEMA;
pub use search::{Filter, Found, Page};
pub use state::StateRow;

use crate::datastore::{Datastore, Transaction};
use anchor::Anchor;
use api::terms::EntryId;
use api::wire::Freshness;
use files::Folder;
use log::checkpoint::Checkpoint;
use log::edge::Edge;
use log::keys::{LogKeys, Signers};
use log::note;
use log::proof::{self, Head};
use log::receipt::Receipt;
use log::source::{HashReader, TileSource};
use log::tile::{self, CHECKPOINT_PATH, Level};
use log::tree::Hash;
use log::verify::{self, Failure, Report};
use notes::Notes;
use owed::Owed;
use rows::State;
use snapshot::{Snapshot, tail_start};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a ledger works with.
#[derive(Debug)]
pub struct Options {
    /// The database, migrated.
    pub store: Datastore,
    /// The vault's `log` folder; it exists.
    pub folder: PathBuf,
    /// The anchor's file, outside the vault.
    pub anchor: PathBuf,
    /// The log's signing keys.
    pub signers: Signers,
    /// The key under which entries wait.
    pub mac: EntryMac,
}

/// The log of one vault. `&self` everywhere: share it between threads; several processes may work on one vault.
#[derive(Debug)]
pub struct Ledger {
    store: Datastore,
    folder: Folder,
    anchor: Anchor,
    signers: Signers,
    notes: Notes,
    mac: EntryMac,
    sequencer: Mutex<Sequencer>,
    owed: Owed,
    /// The last pass of this process did not come to its end.
    failed: AtomicBool,
}

/// What the sequencer remembers between passes.
#[derive(Debug, Default)]
struct Sequencer {
    /// The right edge of the tree of this state; reloaded when the database says something else.
    edge: Option<(State, Edge)>,
    /// The size up to which anchor and published checkpoint are known to be moved.
    anchored: Option<u64>,
    /// Seen empty by this process: the first pass makes the anchor, also if it takes more than one try.
    newborn: bool,
    /// Why nothing may be signed.
    read_only: Option<String>,
}

/// A signed head of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHead {
    /// Entries and root.
    pub head: Head,
    /// The signed note; empty before the first entry is integrated.
    pub checkpoint: String,
}

/// What a full verification found.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The head that was verified.
    pub head: SignedHead,
    /// Against the anchor.
    pub freshness: Freshness,
    /// Entries re-derived.
    pub entries: u64,
    /// Tiles re-derived.
    pub tiles: u64,
    /// What did not hold, with places.
    pub failures: Vec<String>,
}

impl Ledger {
    /// Opens the log and checks it against its anchor, its published checkpoint, its own signatures and its right edge.
    ///
    /// A log that fails a check opens read-only: see [`Self::read_only`].
    ///
    /// # Errors
    /// When the database or a file cannot be read.
    pub fn open(options: Options) -> Result<Self> {
        let Options { store, folder, anchor, signers, mac } = options;
        let ledger = Self {
            store,
            folder: Folder::new(folder),
            anchor: Anchor::new(anchor),
            notes: Notes::new(signers.keys().clone()),
            signers,
            mac,
            sequencer: Mutex::default(),
            owed: Owed::default(),
            failed: AtomicBool::new(false),
        };
        let mut sequencer = ledger.sequencer();
        match ledger.reload(&mut sequencer) {
            Ok(()) => {}
            Err(Error::ReadOnly(why) | Error::Damaged(why)) => {
                sequencer.read_only = ledger.still(&mut sequencer, why)?
            }
            Err(error) => return Err(error),
        }
        drop(sequencer);
        Ok(ledger)
    }

    /// Whether what was found wrong still is while nobody integrates: between head and anchor another process looks like an older copy.
    fn still(&self, sequencer: &mut Sequencer, why: String) -> Result<Option<String>> {
        let Ok(_lock) = self.folder.lock() else { return Ok(Some(why)) };
        match self.reload(sequencer) {
            Ok(()) => Ok(None),
            Err(Error::ReadOnly(why) | Error::Damaged(why)) => Ok(Some(why)),
            Err(error) => Err(error),
        }
    }

    /// Why nothing may be signed, if so.
    pub fn read_only(&self) -> Option<String> {
        self.sequencer().read_only.clone()
    }

    /// The public keys of the log.
    pub fn keys(&self) -> &LogKeys {
        self.signers.keys()
    }

    /// Integrates everything that was committed before; `now` in POSIX seconds goes into the signature.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::Busy`], [`Error::Damaged`], and whatever database and files say. Entries are safe in any
    /// case: the next pass takes them.
    pub fn integrate(&self, now: u64) -> Result<SignedHead> {
        let done = self.integrated(now);
        self.failed.store(done.is_err(), Ordering::Relaxed);
        done
    }

    fn integrated(&self, now: u64) -> Result<SignedHead> {
        let mut sequencer = self.sequencer();
        let lock = self.folder.lock()?;
        for _ in 0..MAX_PASSES {
            if let Some(why) = &sequencer.read_only {
                return Err(Error::ReadOnly(why.clone()));
            }
            match self.pass(&mut sequencer, now) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    if let Error::ReadOnly(why) = &error {
                        sequencer.read_only = Some(why.clone());
                    }
                    // What the database says now is read again.
                    sequencer.edge = None;
                    return Err(error);
                }
            }
        }
        drop(lock);
        let head = match &sequencer.edge {
            Some((state, _)) => signed_head(state),
            None => return Err(Error::Internal("a pass without an edge")),
        };
        drop(sequencer);
        self.settle_owed()?;
        Ok(head)
    }

    /// Remembers that an entry was acknowledged after its commit: a pass of this process must find it in the tree.
    pub fn owe(&self, entry: EntryId, leaf: Hash) {
        self.owed.add(entry, leaf);
    }

    /// Whether an acknowledged entry is not known to be in the tree.
    pub fn owes(&self) -> bool {
        !self.owed.is_empty()
    }

    /// Whether something is known to be left to do: an acknowledged entry, or what the last pass could not finish. Entries may be in
    /// the tree already while the anchor or the published checkpoint is behind it.
    pub fn is_behind(&self) -> bool {
        self.owes() || self.failed.load(Ordering::Relaxed)
    }

    /// Looks for acknowledged entries that no pass of this process took: another one did, or they came later, or they were deleted.
    fn settle_owed(&self) -> Result<()> {
        if self.owes() {
            self.owed.settle(self.in_tree(&self.owed.rest())?);
        }
        Ok(())
    }

    /// The head in the lock state.
    ///
    /// # Errors
    /// Whatever the database says.
    pub fn head(&self) -> Result<SignedHead> {
        self.store.read(|tx| State::read(tx)).map(|state| signed_head(&state))
    }

    /// The index of an entry in the tree, if it has one yet: from memory while it is in the newest bundle.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn index_of(&self, entry: &EntryId, leaf: &Hash) -> Result<Option<u64>> {
        let near = self.sequencer().edge.as_ref().and_then(|(_, edge)| edge.index_of(leaf));
        if near.is_some() { Ok(near) } else { self.find(entry).map(|found| found.index) }
    }

    /// How many entries are not in the tree yet.
    ///
    /// # Errors
    /// Whatever the database says.
    pub fn pending(&self) -> Result<u64> {
        self.store.read(rows::pending_count)
    }

    /// Whether the anchor shows that the log is not older than what was last signed.
    ///
    /// # Errors
    /// When the anchor cannot be read. A log behind its anchor is not "unproven" but [`Error::ReadOnly`].
    pub fn freshness(&self) -> Result<Freshness> {
        if let Some(why) = self.read_only() {
            return Err(Error::ReadOnly(why));
        }
        Ok(if self.anchor.read(&self.notes)?.is_some() { Freshness::Proven } else { Freshness::Unproven })
    }

    /// The offline proof that an entry is in the tree, and the entry's bytes.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Pending`], [`Error::Damaged`].
    pub fn receipt(&self, entry: &EntryId) -> Result<(Receipt, Vec<u8>)> {
        let index = self.find(entry)?.index.ok_or(Error::Pending)?;
        self.receipt_at(index)
    }

    /// The same by index.
    ///
    /// # Errors
    /// As [`Self::receipt`].
    pub fn receipt_at(&self, index: u64) -> Result<(Receipt, Vec<u8>)> {
        let snapshot = self.snapshot()?;
        let size = snapshot.state.size;
        if index >= size {
            return Err(Error::NotFound);
        }
        let body = snapshot.body(index)?;
        let path = proof::inclusion(&mut HashReader::new(&snapshot.files, size), index)?;
        let receipt = Receipt { extra: None, index, path, checkpoint: snapshot.state.checkpoint.into_bytes() };
        receipt.verify(&body, self.keys()).map_err(|error| Error::Damaged(format!("entry {index}: {error}")))?;
        Ok((receipt, body))
    }

    /// Re-derives the whole log: signatures, every entry, every tile, the root, and consistency with the anchor and the
    /// published checkpoint.
    ///
    /// # Errors
    /// When it cannot be read at all; what does not hold is in the answer.
    pub fn verify(&self) -> Result<Verified> {
        let mut failures = Vec::new();
        let (freshness, older) = self.signed_before(&mut failures)?;
        let read = self.read(Snapshot::read, |tx| rows::next_pass(tx, &self.mac).map(|_| ()));
        let snapshot = match read {
            Err(Error::Damaged(why)) => {
                failures.push(why);
                return Ok(self.unverified(failures));
            }
            other => other?.0,
        };
        let state = &snapshot.state;
        let mut verified = Verified { head: signed_head(state), freshness, entries: 0, tiles: 0, failures };
        if *state == State::unsigned(state.fence) {
            verified.failures.extend(behind_empty(&older));
            return Ok(verified);
        }
        let options = verify::Options { keys: self.keys(), older: &older, threads: THREADS };
        let report = verify::run(&snapshot.files, &options, None);
        verified.failures.extend(state_mismatch(state, &report));
        verified.entries = report.entries;
        verified.tiles = report.tiles;
        verified.failures.extend(report.failures.iter().map(Failure::to_string));
        Ok(verified)
    }

    /// The heads of anchor and published checkpoint, and whether there is an anchor. One that this log did not sign is a failure.
    fn signed_before(&self, failures: &mut Vec<String>) -> Result<(Freshness, Vec<Head>)> {
        let anchored = match self.anchor.read(&self.notes) {
            Ok(anchored) => anchored,
            Err(Error::ReadOnly(why)) => {
                failures.push(why);
                None
            }
            Err(error) => return Err(error),
        };
        let freshness = if anchored.is_some() { Freshness::Proven } else { Freshness::Unproven };
        Ok((freshness, anchored.iter().chain(&self.published()?).map(Checkpoint::head).collect()))
    }

    fn unverified(&self, failures: Vec<String>) -> Verified {
        let head = self.head().unwrap_or_else(|_| signed_head(&State::unsigned(0)));
        Verified { head, freshness: Freshness::Unproven, entries: 0, tiles: 0, failures }
    }

    /// One pass; false when nothing was left to do.
    fn pass(&self, sequencer: &mut Sequencer, now: u64) -> Result<bool> {
        let (state, pending) =
            self.store.read(|tx| Ok::<_, Error>((State::read(tx)?, rows::next_pass(tx, &self.mac)?)))?;
        if sequencer.edge.as_ref().is_none_or(|(known, _)| *known != state) {
            self.reload(sequencer)?;
        }
        if let Some((state, edge)) = sequencer.edge.take() {
            let edge = if edge.wants_bundle(pending.len()) { edge.holding(self.bundle(&state)?)? } else { edge };
            sequencer.edge = Some((state, edge));
        }
        let Some((state, edge)) = &sequencer.edge else { return Err(Error::Internal("no edge after loading")) };
        if pending.is_empty() {
            if sequencer.anchored != Some(state.size) && state.size > 0 {
                self.publish(state, sequencer.newborn)?;
                sequencer.anchored = Some(state.size);
                sequencer.newborn = false;
            }
            return Ok(false);
        }
        self.anchor.admits(&self.notes, &Head { size: state.size, root: state.root })?;
        let extension = edge.extend(pending.iter().map(|entry| &entry.body))?;
        let (bundles, written): (Vec<_>, Vec<_>) = {
            let keep = |level: Level, full: bool| full || matches!(level, Level::Hashes(1..));
            let files = extension.files.into_iter().filter(|(tile, _)| keep(tile.level, tile.is_full()));
            files.partition(|(tile, _)| tile.level == Level::Entries)
        };
        self.folder.write(&bundles.iter().chain(&written).collect::<Vec<_>>())?;
        let (size, root) = (extension.edge.size(), extension.edge.root());
        let signed = self.signers.sign(size, &root, now).map_err(|_| Error::Internal("a head could not be signed"))?;
        let checkpoint = String::from_utf8(signed).map_err(|_| Error::Internal("a note that is no text"))?;
        let new = State { fence: state.fence + 1, size, root, checkpoint };
        let full = tail_start(size);
        // Those that stay in the database, and those that are in bundles already.
        let bundled = usize::try_from(full.saturating_sub(state.size)).unwrap_or(usize::MAX).min(pending.len());
        let (gone, stay) = pending.split_at(bundled);
        let stay_leaves = extension.leaves.iter().skip(bundled);
        self.store.write(|tx| {
            if !state.swap(tx, &new)? {
                return Err(Error::Busy);
            }
            // Below the start of the old tail nothing is left since its own pass.
            if full > tail_start(state.size) {
                rows::drop_bundled(tx, full, gone)?;
            }
            rows::number(tx, full.max(state.size), stay.iter().zip(stay_leaves.clone()))?;
            search::index(tx, &bundles)
        })?;
        sequencer.anchored = None;
        sequencer.edge = Some((new.clone(), extension.edge));
        if self.owes() {
            self.owed.settle(extension.leaves);
        }
        self.publish(&new, sequencer.newborn)?;
        sequencer.anchored = Some(size);
        sequencer.newborn = false;
        self.folder.tidy(&written);
        Ok(true)
    }

    /// Makes a missing anchor, when the owner says that this log is the newest one: whatever is wrong with it is refused, and
    /// the log proves its freshness from here on.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a log that does not verify, and as [`Self::integrate`].
    pub fn anchor_again(&self, now: u64) -> Result<Verified> {
        self.integrate(now)?;
        let verified = self.verify()?;
        if let Some(failure) = verified.failures.first() {
            return Err(Error::Damaged(failure.clone()));
        }
        self.anchor.found(&self.notes, &verified.head.head, &verified.head.checkpoint)?;
        self.verify()
    }

    /// Moves the anchor, then publishes. The first pass of a new log makes the anchor.
    fn publish(&self, state: &State, newborn: bool) -> Result<()> {
        let head = Head { size: state.size, root: state.root };
        let anchor = if newborn { Anchor::found } else { Anchor::advance };
        anchor(&self.anchor, &self.notes, &head, &state.checkpoint)?;
        self.folder.publish(&state.checkpoint)
    }

    /// The entries of the partial bundle of this state.
    fn bundle(&self, state: &State) -> Result<Vec<u8>> {
        let tail = self.store.read(|tx| rows::tail(tx, tail_start(state.size), state.size))?;
        let mut bundle = Vec::new();
        for (_, body) in &tail {
            tile::push_entry(&mut bundle, body).map_err(|error| Error::Damaged(error.to_string()))?;
        }
        Ok(bundle)
    }

    /// Reads state and edge, and checks them against everything that was signed before.
    fn reload(&self, sequencer: &mut Sequencer) -> Result<()> {
        sequencer.edge = None;
        sequencer.anchored = None;
        self.folder.check()?;
        let (snapshot, ()) = self.read(Snapshot::read_tree, |_| Ok(()))?;
        let state = &snapshot.state;
        let head = Head { size: state.size, root: state.root };
        self.check_signature(state)?;
        let anchored = self.anchor.read(&self.notes)?;
        let published = self.published()?;
        let known = [("anchor", &anchored), ("published checkpoint", &published)];
        for (what, older) in known.into_iter().filter_map(|(what, older)| Some((what, older.as_ref()?))) {
            continues(&snapshot.files, what, &older.head(), &head)?;
        }
        sequencer.newborn |= state.size == 0;
        let edge = snapshot.edge()?;
        let moved = |known: &Option<Checkpoint>| known.as_ref().is_some_and(|known| known.head() == head);
        if moved(&anchored) && moved(&published) {
            sequencer.anchored = Some(state.size);
        }
        sequencer.edge = Some((snapshot.state, edge));
        Ok(())
    }

    /// The lock state must be what this log signed.
    fn check_signature(&self, state: &State) -> Result<()> {
        if *state == State::unsigned(state.fence) {
            return Ok(());
        }
        let checkpoint = self.notes.open(state.checkpoint.as_bytes());
        match checkpoint {
            Ok(checkpoint) if (checkpoint.size, checkpoint.root) == (state.size, state.root) => Ok(()),
            _ => Err(Error::Damaged("the stored head is not what was signed".into())),
        }
    }

    /// The published checkpoint, if there is one that this log signed: a torn or foreign file proves nothing.
    fn published(&self) -> Result<Option<Checkpoint>> {
        match self.folder.read(CHECKPOINT_PATH, note::MAX_LEN) {
            Ok(bytes) => Ok(self.notes.open(&bytes).ok()),
            Err(log::source::SourceError::Io { .. }) => {
                Err(Error::Damaged("the published checkpoint cannot be read".into()))
            }
            Err(_) => Ok(None),
        }
    }

    fn snapshot(&self) -> Result<Snapshot> {
        self.snapshot_and(|_| Ok(())).map(|(snapshot, ())| snapshot)
    }

    /// The log at one moment, and what else is read in the same transaction. Its head is one that this log signed, its right edge
    /// the one that the head is over: what a snapshot gives is what was signed.
    fn snapshot_and<T>(&self, more: impl Fn(&mut dyn Transaction) -> Result<T>) -> Result<(Snapshot, T)> {
        let (snapshot, found) = self.read(Snapshot::read, more)?;
        self.check_signature(&snapshot.state)?;
        snapshot.edge()?;
        Ok((snapshot, found))
    }

    /// The same as it lies there, whatever it is worth.
    fn read<T>(
        &self,
        snapshot: impl Fn(&mut dyn Transaction, &Folder) -> Result<Snapshot>,
        more: impl Fn(&mut dyn Transaction) -> Result<T>,
    ) -> Result<(Snapshot, T)> {
        let read = || self.store.read(|tx| Ok::<_, Error>((snapshot(tx, &self.folder)?, more(tx)?)));
        let mut found = read()?;
        for _ in 0..SNAPSHOT_TRIES {
            if found.0.whole {
                break;
            }
            found = read()?;
        }
        Ok(found)
    }

    fn sequencer(&self) -> MutexGuard<'_, Sequencer> {
        self.sequencer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Before the first pass.
    fn unsigned(fence: i64) -> Self {
        Self { fence, size: 0, root: log::tree::empty_root(), checkpoint: String::new() }
    }
}

fn signed_head(state: &State) -> SignedHead {
    SignedHead { head: Head { size: state.size, root: state.root }, checkpoint: state.checkpoint.clone() }
}

fn continues(files: &dyn TileSource, what: &str, older: &Head, head: &Head) -> Result<()> {
    match verify::continues(files, older, head) {
        Ok(()) => Ok(()),
        Err(Failure::Behind { size, known }) => Err(Error::ReadOnly(format!(
            "it has {size} entries, but its {what} has {known}: an older copy was restored"
        ))),
        Err(Failure::Fork { known }) => {
            Err(Error::ReadOnly(format!("it does not continue its {what} of {known} entries")))
        }
        Err(failure) => Err(Error::Damaged(failure.to_string())),
    }
}

/// An empty log behind a head that was signed.
fn behind_empty(older: &[Head]) -> Option<String> {
    let newest = older.iter().map(|head| head.size).max().filter(|size| *size > 0)?;
    Some(Failure::Behind { size: 0, known: newest }.to_string())
}

/// A checkpoint whose signatures hold, but which is not the head in the database.
fn state_mismatch(state: &State, report: &Report) -> Option<String> {
    let checkpoint = report.checkpoint.as_ref()?;
    let same = (checkpoint.size, checkpoint.root) == (state.size, state.root);
    (!same).then(|| "the stored head is not what was signed".to_owned())
}

/// What an anchor's bytes say: the newest head, and the slot to overwrite next.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn anchored(bytes: &[u8], keys: &LogKeys) -> Option<(Checkpoint, Option<usize>)> {
    let held = anchor::Held::parse(bytes, &Notes::new(keys.clone()))?;
    Some((held.newest, held.next))
}

/// Passes in one call; what comes later is left to the next.
const MAX_PASSES: u32 = 256;
/// How often a snapshot is read again when a pass replaced files meanwhile.
const SNAPSHOT_TRIES: u32 = 3;
/// Threads of a full verification.
const THREADS: usize = 2;
