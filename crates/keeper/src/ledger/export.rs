//! `audit export`: the log as a folder in tlog-tiles layout, which any verifier reads.

use super::Ledger;
use super::error::{Error, Result};
use log::source::{self, TileSource};
use log::tile::{self, CHECKPOINT_PATH, Tile, WIDTH};
use std::path::Path;

/// The file with the log's two verifier keys, one a line. Compare it with what you know: a copy proves nothing about itself.
pub(super) const VKEYS: &str = "vkeys";

impl Ledger {
    /// Writes every bundle and tile of the current head, its checkpoint and the verifier keys into an empty or absent folder;
    /// gives the number of entries.
    ///
    /// # Errors
    /// [`Error::NotEmpty`], [`Error::Damaged`], and whatever database and files say.
    pub fn export(&self, into: &Path) -> Result<u64> {
        let snapshot = self.snapshot()?;
        let (size, files) = (snapshot.state.size, &snapshot.files);
        make_empty(into)?;
        for level in 0..tile::MAX_LEVELS {
            let count = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
            for index in 0..count.div_ceil(WIDTH) {
                let Some(tile) = Tile::of(level, index, size) else { continue };
                write(into, &tile.path(), &tile::to_bytes(&source::hashes(files, &tile)?))?;
            }
        }
        for index in 0..size.div_ceil(WIDTH) {
            let Some(tile) = Tile::bundle(index, size) else { continue };
            write(into, &tile.path(), &source::bundle(files, &tile)?)?;
        }
        let keys = self.keys();
        write(into, VKEYS, format!("{}\n{}\n", keys.ed25519(), keys.mldsa()).as_bytes())?;
        // Last, so that a folder with a checkpoint is a whole log.
        let checkpoint = files.read(CHECKPOINT_PATH, log::note::MAX_LEN)?;
        if !checkpoint.is_empty() {
            write(into, CHECKPOINT_PATH, &checkpoint)?;
        }
        Ok(size)
    }
}

fn make_empty(folder: &Path) -> Result<()> {
    let io = |error: std::io::Error| Error::io("the folder to export into cannot be used", folder, &error);
    std::fs::create_dir_all(folder).map_err(io)?;
    match std::fs::read_dir(folder).map_err(io)?.next() {
        None => Ok(()),
        Some(_) => Err(Error::NotEmpty(folder.to_owned())),
    }
}

fn write(folder: &Path, path: &str, bytes: &[u8]) -> Result<()> {
    let path = folder.join(path);
    let io = |error: std::io::Error| Error::io("the export cannot be written", &path, &error);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(io)?;
    }
    std::fs::write(&path, bytes).map_err(io)
}
