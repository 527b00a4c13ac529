//! The log on its way into a backup, and the anchor that a backup is held to.

use super::anchor::Anchor;
use super::error::{Error, Result};
use super::notes::Notes;
use super::snapshot::Snapshot;
use super::{Ledger, SignedHead, signed_head};
use crate::datastore::Transaction;
use log::keys::LogKeys;
use log::note;
use log::proof::Head;
use log::source::{self, TileSource};
use log::tile::{self, CHECKPOINT_PATH, Level, Tile, WIDTH};
use std::path::Path;

/// The files of the log at one moment.
pub(crate) struct Tiles {
    snapshot: Snapshot,
}

/// Where the content of a file of the log lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lies {
    /// In the folder.
    Folder,
    /// In the database.
    Database,
}

impl Ledger {
    /// The log as a transaction sees it; none when a pass replaced a file meanwhile, and it has to be looked at again.
    pub(crate) fn tiles(&self, tx: &mut dyn Transaction) -> Result<Option<Tiles>> {
        let snapshot = Snapshot::read(tx, &self.folder)?;
        if !snapshot.whole {
            return Ok(None);
        }
        self.check_signature(&snapshot.state)?;
        snapshot.edge()?;
        Ok(Some(Tiles { snapshot }))
    }

    /// The head in the anchor, if there is one.
    pub(crate) fn anchored(&self) -> Result<Option<Head>> {
        Ok(self.anchor.read(&self.notes)?.map(|checkpoint| checkpoint.head()))
    }
}

/// The head in an anchor of a log that is not open.
pub(crate) fn anchored_in(anchor: &Path, keys: &LogKeys) -> Result<Option<Head>> {
    let held = Anchor::new(anchor.to_owned()).read(&Notes::new(keys.clone()))?;
    Ok(held.map(|checkpoint| checkpoint.head()))
}

impl Tiles {
    /// The head that they are under.
    pub(crate) fn head(&self) -> SignedHead {
        signed_head(&self.snapshot.state)
    }

    /// Every file in tlog-tiles layout, one after the other.
    pub(crate) fn each<E: From<Error>>(
        &self,
        mut each: impl FnMut(Lies, &str, &[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let (size, files) = (self.snapshot.state.size, &self.snapshot.files);
        let lies = |tile: &Tile| match tile.level {
            Level::Entries | Level::Hashes(0) if !tile.is_full() => Lies::Database,
            Level::Entries | Level::Hashes(_) => Lies::Folder,
        };
        for level in 0..tile::MAX_LEVELS {
            let count = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
            for index in 0..count.div_ceil(WIDTH) {
                let Some(tile) = Tile::of(level, index, size) else { continue };
                let hashes = source::hashes(files, &tile).map_err(Error::from)?;
                each(lies(&tile), &tile.path(), &tile::to_bytes(&hashes))?;
            }
        }
        for index in 0..size.div_ceil(WIDTH) {
            let Some(tile) = Tile::bundle(index, size) else { continue };
            each(lies(&tile), &tile.path(), &source::bundle(files, &tile).map_err(Error::from)?)?;
        }
        let checkpoint = files.read(CHECKPOINT_PATH, note::MAX_LEN).map_err(Error::from)?;
        each(Lies::Database, CHECKPOINT_PATH, &checkpoint)
    }
}
