//! The engine behind one vault.

use crate::session::Session;
use crate::vault::{OpenOptions, not_yet};
use api::terms::Name;
use api::wire::{Answer, Command, Problem, VaultInfo};

/// One opened vault. `&self` everywhere: share it between threads.
#[derive(Debug)]
pub struct Keeper {
    info: VaultInfo,
}

impl Keeper {
    /// Opens a vault with one of its roots.
    ///
    /// # Errors
    /// `no-vault`, `root-refused`, `bad-signature` for altered state, `clock-back`, `unavailable`.
    pub fn open(_options: &OpenOptions) -> Result<Self, Problem> {
        Err(not_yet())
    }

    /// What a client pins.
    pub fn info(&self) -> &VaultInfo {
        &self.info
    }

    /// Starts a session as the owner (solo), or as a named principal (rehearsal), bound to an Ed25519 public key.
    ///
    /// # Errors
    /// `bad-request` when a principal is named in solo mode; `not-found` for an unknown one.
    pub fn session(&self, _principal: Option<&Name>, _public_key: [u8; 32]) -> Result<Session, Problem> {
        Err(not_yet())
    }

    /// Answers one command.
    ///
    /// # Errors
    /// Whatever the command's own rules refuse; the problem names what, why and what to try.
    pub fn call(&self, _session: &Session, _command: Command) -> Result<Answer, Problem> {
        Err(not_yet())
    }

    /// Integrates what the log has pending and closes the store. Dropping a keeper loses nothing; the next one integrates.
    ///
    /// # Errors
    /// When tiles or the anchor cannot be written.
    pub fn close(self) -> Result<(), Problem> {
        Ok(())
    }
}
