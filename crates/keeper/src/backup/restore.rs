//! A backup becomes a vault again, on a machine that may have nothing but a root of it.
//!
//! The files are written first, and thrown away if this breaks off. When all are durable, the restored log is held to the anchor of
//! this machine, an entry says that it was restored, and the anchor moves; `vault.json` comes last. Who is killed in between begins
//! again where he was: never is there half a vault that opens.

use super::history;
use super::place::{Place, Stage};
use super::read::{Items, Opening, Sealed};
use super::verify::{log_keys, manifest};
use super::{DepotPlace, Manifest, damaged};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::journal::{By, Event};
use crate::ledger::anchored_in;
use crate::people::erase;
use crate::removal;
use crate::roots::RootProvider;
use crate::system::Clock;
use crate::vault::file::VaultFile;
use crate::vault::{ClockCheck, OpenOptions, RootKind, open};
use api::terms::{BackupId, PrincipalId, Timestamp, VaultId};
use api::wire::{Freshness, RestoreItem};
use log::entry::{AuthMethod, Kind};
use log::proof::Head;
use log::tile::Tile;
use seal::backup::ItemKind;
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The longest file of a log: a bundle.
const MAX_LOG_FILE_LEN: u64 = 32 << 20;

/// How a backup is restored.
#[derive(Debug)]
pub struct RestoreOptions {
    /// The backup.
    pub file: PathBuf,
    /// The folder; made if absent, else empty.
    pub dir: PathBuf,
    /// What opens it.
    pub opening: Opening,
    /// The anchor; made if absent.
    pub anchor: PathBuf,
    /// Whether entries that the anchor knows of may be given up.
    pub fork: Fork,
    /// Time; tests put their own in.
    pub clock: Arc<dyn Clock>,
}

/// Whether the log may go back behind what was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fork {
    /// It is refused.
    Refused,
    /// It is done, logged, and shown for ever.
    Accepted,
}

/// A backup that was restored.
#[derive(Debug, Clone, Serialize)]
pub struct Restored {
    /// The vault.
    pub vault: VaultId,
    /// The backup.
    pub backup: BackupId,
    /// When that was made.
    pub made: Timestamp,
    /// Where the vault is.
    pub dir: PathBuf,
    /// What opened it.
    pub opened_by: RootKind,
    /// Versions in it.
    pub versions: u64,
    /// Entries of the log in the backup.
    pub log_size: u64,
    /// Whether an anchor showed that nothing newer had been signed.
    pub freshness: Freshness,
    /// Entries that an anchor knew of, if they were given up.
    pub fork: Option<u64>,
    /// Where the anchor of then was moved, if so.
    pub old_anchor: Option<PathBuf>,
    /// Where the ciphertext lay. It was not in the backup.
    pub depots: Vec<DepotPlace>,
}

/// Restores a backup.
pub(super) fn restore(options: &RestoreOptions) -> Result<Restored> {
    let sealed = Sealed::open(&options.file)?;
    let file = sealed.vault_file()?;
    let (root, mac) = sealed.unlock(&file, &options.opening)?;
    let opened = sealed.opened(&mac)?;
    let mut items = opened.items();
    let manifest = manifest(&mut items, &sealed)?;
    let (place, stage) = Place::claim(&options.dir, manifest.backup)?;
    let restoring = Restoring { options, file: &file, root: &root, manifest: &manifest };
    if stage == Stage::Filling {
        let filled = restoring.refuse_behind().and_then(|()| fill(&place, items, &manifest));
        if let Err(error) = filled {
            place.give_up();
            return Err(error);
        }
    }
    let (fork, freshness, old_anchor) = match restoring.settle(&place) {
        Ok(settled) => settled,
        Err((error, Logged::Not)) => {
            place.give_up();
            return Err(error);
        }
        Err((error, Logged::Perhaps)) => return Err(error),
    };
    place.finish(&file)?;
    Ok(Restored {
        vault: file.vault,
        backup: manifest.backup,
        made: manifest.made,
        dir: options.dir.clone(),
        opened_by: root.kind(),
        versions: manifest.versions,
        log_size: manifest.log_size,
        freshness,
        fork,
        old_anchor,
        depots: manifest.depots,
    })
}

/// Writes the files of the vault.
fn fill(place: &Place, mut items: Items<'_, '_>, manifest: &Manifest) -> Result<()> {
    place.folders()?;
    let (database, _) = items.head()?;
    if (database.kind, database.len) != (ItemKind::Database, manifest.database_bytes) {
        return Err(damaged("its database is not what its manifest says"));
    }
    let (mut out, path) = place.database()?;
    items.read(&database, |piece| {
        out.write_all(piece).map_err(|error| Error::io("the restore cannot be written", &path, &error))
    })?;
    loop {
        let (item, _) = items.head()?;
        match item.kind {
            ItemKind::LogFile => {
                let bytes = items.whole(&item, MAX_LOG_FILE_LEN)?;
                if Tile::parse(&item.name).is_err() {
                    return Err(damaged("a file of its log has no path of one"));
                }
                place.log_file(&item.name, &bytes)?;
            }
            ItemKind::LogTail => items.read(&item, |_| Ok(()))?,
            ItemKind::End => break,
            ItemKind::Manifest | ItemKind::Database => return Err(damaged("an item stands twice")),
        }
    }
    items.finish()?;
    place.filled()
}

/// Whether the log of the folder says that it was restored.
enum Logged {
    Not,
    Perhaps,
}

struct Restoring<'a> {
    options: &'a RestoreOptions,
    file: &'a VaultFile,
    root: &'a Arc<dyn RootProvider>,
    manifest: &'a Manifest,
}

/// Entries given up, whether an anchor vouched, where the old one is.
type Settled = (Option<u64>, Freshness, Option<PathBuf>);

impl Restoring<'_> {
    /// Refuses, before anything is written, what the anchor shows to be old. What it cannot tell alone is told by the log.
    fn refuse_behind(&self) -> Result<()> {
        let anchored = anchored_in(&self.options.anchor, &log_keys(self.manifest)?)?;
        match anchored {
            Some(head) if head.size > self.manifest.log_size && self.options.fork == Fork::Refused => {
                Err(self.behind(head))
            }
            _ => Ok(()),
        }
    }

    fn behind(&self, anchored: Head) -> Error {
        Error::BackupBehind { has: self.manifest.log_size, known: anchored.size }
    }

    fn open(&self, place: &Place, anchor: &Path) -> Result<Engine> {
        let options = OpenOptions {
            clock: Arc::clone(&self.options.clock),
            // The vault may have lain in the backup for longer than a vault may rest.
            clock_check: ClockCheck::AtCommands,
            ..OpenOptions::with_roots(place.dir().to_owned(), Vec::new(), anchor.to_owned())
        };
        open::opened(&options, self.file, self.root)
    }

    /// Holds the log to the anchor, says in it that it was restored, and moves the anchor. It can be done again from any point.
    fn settle(&self, place: &Place) -> std::result::Result<Settled, (Error, Logged)> {
        let not = |error: Error| (error, Logged::Not);
        let perhaps = |error: Error| (error, Logged::Perhaps);
        let engine = self.open(place, &self.options.anchor).map_err(not)?;
        let backup = self.manifest.backup;
        let read = |tx: &mut dyn Transaction| history::restored_from(tx, &engine.keys.guard, backup);
        let before = engine.store.read(read).map_err(not)?;
        let failed = |error| (error, if before.is_some() { Logged::Perhaps } else { Logged::Not });
        let anchored = engine.ledger.anchored().map_err(|error| failed(error.into()))?;
        let fork = engine.read_only.get().and(anchored);
        let accepted = self.options.fork == Fork::Accepted || before.as_ref().is_some_and(|item| item.fork.is_some());
        let engine = match (fork, engine.read_only.get()) {
            (Some(head), _) if !accepted => return Err(failed(self.behind(head))),
            (Some(_), _) => {
                drop(engine);
                self.open(place, &place.no_anchor()).map_err(failed)?
            }
            (None, Some(why)) => return Err(failed(Error::ReadOnly(why.clone()))),
            (None, None) => engine,
        };
        let given_up = fork.map(|head| head.size).or(before.as_ref().and_then(|item| item.fork));
        if before.is_none() {
            let erased = erase::listed(&engine, &self.options.anchor).map_err(failed)?;
            self.say(&engine, (anchored, fork), &erased).map_err(perhaps)?;
        }
        // From here on the log says it, so the anchor of then is put aside, and stays as a witness.
        drop(engine);
        let old_anchor = match fork {
            Some(head) => Some(put_aside(&self.options.anchor, head).map_err(perhaps)?),
            None => None,
        };
        let engine = self.open(place, &self.options.anchor).map_err(perhaps)?;
        let now = engine.now().map_err(perhaps)?.as_millis() / 1000;
        engine.ledger.anchor_again(now).map_err(|error| perhaps(error.into()))?;
        let vouched = given_up.is_none() && anchored.is_some() && before.is_none();
        Ok((given_up, if vouched { Freshness::Proven } else { Freshness::Unproven }, old_anchor))
    }

    /// The entry, and what `status` shows of it for ever.
    fn say(
        &self,
        engine: &Engine,
        (anchored, fork): (Option<Head>, Option<Head>),
        erased: &BTreeSet<PrincipalId>,
    ) -> Result<()> {
        let (shown, told) = engine.watch.shown();
        let now = if shown > told { shown } else { engine.now()? };
        let by = By { principal: engine.owner, auth: AuthMethod::Asserted, at: now };
        let Manifest { backup, made, log_size, .. } = *self.manifest;
        let item = RestoreItem { backup, made, at: now, log_size, fork: fork.map(|head| head.size) };
        engine.store.write(|tx| {
            let ticket = tx.ticket()?;
            engine.watch.rewrite(tx, now)?;
            let change = history::restored(tx, &engine.keys.guard, &item, ticket)?;
            let mut event = Event::new(Kind::State, "vault.restore").on("backup", backup);
            event = event.with("made", made).with("size", log_size).with("root", self.root.kind());
            event = match (anchored, fork) {
                (None, _) => event.with("anchor", "none"),
                (Some(_), None) => event.with("anchor", "continued"),
                (Some(_), Some(head)) => {
                    event.with("anchor", "given up").with("anchor_size", head.size).with("anchor_root", head.root)
                }
            };
            engine.log(tx, ticket, &by, &[event.changing(vec![change])])?;
            // What was to go may have been spared since: it waits anew.
            for changes in removal::put_off(engine, tx, now, ticket)? {
                let event = Event::new(Kind::State, "key.put-off").with("why", "restored").changing(changes);
                engine.log(tx, ticket, &by, &[event])?;
            }
            // Who was erased since is not brought back.
            erase::again(engine, tx, erased, (now, ticket))?;
            Ok::<_, Error>(())
        })?;
        engine.watch.go_on_from(now);
        Ok(())
    }
}

/// Moves an anchor aside, to a name that says what it knew of.
fn put_aside(anchor: &Path, head: Head) -> Result<PathBuf> {
    let mut name = anchor.file_name().ok_or(Error::Internal("an anchor without a name"))?.to_owned();
    let root: String = head.root.to_string().chars().take(16).collect();
    name.push(format!(".given-up-{}-{root}", head.size));
    let aside = anchor.with_file_name(name);
    let io = |error: std::io::Error| Error::io("the anchor cannot be moved", anchor, &error);
    std::fs::rename(anchor, &aside).map_err(io)?;
    if let Some(folder) = anchor.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
    }
    Ok(aside)
}
