//! An opened vault: the keeper's end, the depot, and a folder for what can be lost.

use crate::seat::Seat;
use api::terms::VaultId;
use api::wire::Problem;
use depot::Store;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Everything one principal can do with one vault.
#[derive(Debug)]
pub struct Client {
    seat: Seat,
    store: Arc<dyn Store>,
    /// The vault folder; in it `cache`, `drafts` and `scratch` may be deleted at any time.
    pub(crate) dir: PathBuf,
}

impl Client {
    /// Joins a session, a depot and a folder.
    pub fn new(seat: Seat, store: Arc<dyn Store>, dir: PathBuf) -> Self {
        Self { seat, store, dir }
    }

    /// With the depot in the vault's folder.
    ///
    /// # Errors
    /// `integrity`, `unavailable` when there is none.
    pub(crate) fn local(seat: Seat, dir: &Path) -> Result<Self, Problem> {
        let store = depot::Local::open(&dir.join("depot")).map_err(|e| {
            let problem = crate::fault::depot("cannot open the depot", &e);
            problem.with_try("put the folder `depot` back from a copy of the vault")
        })?;
        Ok(Self::new(seat, Arc::new(store), dir.to_owned()))
    }

    /// The session.
    pub fn seat(&self) -> &Seat {
        &self.seat
    }

    /// The depot.
    pub fn store(&self) -> &dyn Store {
        &*self.store
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
