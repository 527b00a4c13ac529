//! Aliases, which go to the keeper and nowhere else.

use crate::Client;
use crate::seat::unexpected;
use api::wire::{AliasItem, AliasMove, AliasMoved, AliasPast, AliasRemove, AliasSet, Answer, Command, Problem, WhoAmI};

impl Client {
    /// Moves an alias, or makes it.
    ///
    /// # Errors
    /// `denied`; `not-found`; `conflict` if it is not where it was expected to be.
    pub fn alias_set(&self, set: AliasSet) -> Result<AliasMoved, Problem> {
        self.alias_moved(Command::AliasSet(set))
    }

    /// Takes an alias away.
    ///
    /// # Errors
    /// As [`Self::alias_set`].
    pub fn alias_remove(&self, remove: AliasRemove) -> Result<AliasMoved, Problem> {
        self.alias_moved(Command::AliasRemove(remove))
    }

    fn alias_moved(&self, command: Command) -> Result<AliasMoved, Problem> {
        match self.seat().call(command)? {
            Answer::AliasMoved(moved) => Ok(*moved),
            other => Err(unexpected(&other)),
        }
    }

    /// The aliases of an artifact, by name.
    ///
    /// # Errors
    /// `not-found`, `denied`.
    pub fn aliases(&self, reference: &str) -> Result<Vec<AliasItem>, Problem> {
        match self.seat().call(Command::AliasList { reference: reference.to_owned() })? {
            Answer::Aliases { items } => Ok(items),
            other => Err(unexpected(&other)),
        }
    }

    /// The moves of an alias, newest first, and where to go on.
    ///
    /// # Errors
    /// `not-found`, `denied`.
    pub fn alias_history(&self, past: AliasPast) -> Result<(Vec<AliasMove>, Option<u64>), Problem> {
        match self.seat().call(Command::AliasHistory(past))? {
            Answer::AliasMoves { items, next } => Ok((items, next)),
            other => Err(unexpected(&other)),
        }
    }

    /// Who asks, and with which rights.
    ///
    /// # Errors
    /// The keeper's refusal.
    pub fn whoami(&self) -> Result<WhoAmI, Problem> {
        match self.seat().call(Command::WhoAmI)? {
            Answer::WhoAmI(told) => Ok(*told),
            other => Err(unexpected(&other)),
        }
    }
}
