//! An opened vault: the keeper's end, the depots, and a folder for what can be lost.

use crate::depots::Depots;
use crate::seat::Seat;
use api::terms::{DepotId, VaultId};
use api::wire::Problem;
use depot::Store;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Everything one principal can do with one vault.
#[derive(Debug)]
pub struct Client {
    seat: Seat,
    depots: Depots,
    /// The vault folder; in it `cache`, `drafts` and `scratch` may be deleted at any time.
    pub(crate) dir: PathBuf,
}

impl Client {
    /// Joins a session, a depot and a folder.
    pub fn new(seat: Seat, store: Arc<dyn Store>, dir: PathBuf) -> Self {
        Self { seat, depots: Depots::alone(store), dir }
    }

    /// With the depots that the keeper names.
    ///
    /// # Errors
    /// The keeper's; `integrity`, `unavailable` when the vault's own folder is its only depot, and is not there.
    pub(crate) fn of(seat: Seat, dir: &Path) -> Result<Self, Problem> {
        let depots = Depots::of(&seat, dir)?;
        Ok(Self { seat, depots, dir: dir.to_owned() })
    }

    /// The session.
    pub fn seat(&self) -> &Seat {
        &self.seat
    }

    /// What is written to the primary depot, and read from whichever holds it.
    pub fn store(&self) -> &dyn Store {
        self.depots.store()
    }

    /// The depots one by one.
    pub(crate) fn depots(&self) -> &Depots {
        &self.depots
    }

    /// The depot that is written to.
    pub(crate) fn primary(&self) -> Option<DepotId> {
        self.depots.primary()
    }

    /// The vault.
    pub fn vault(&self) -> VaultId {
        self.seat.connection().info().vault
    }

    /// Ends the session; what is pending in the log is integrated.
    ///
    /// # Errors
    /// When that cannot be done now.
    pub fn close(self) -> Result<(), Problem> {
        self.seat.close()
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.dir.join("cache")
    }

    pub(crate) fn scratch(&self) -> PathBuf {
        self.dir.join("scratch")
    }
}
