//! How long versions stay: removing, restoring, retention and legal holds, which go to the keeper and nowhere else.

use crate::Client;
use crate::seat::unexpected;
use api::wire::{
    Answer, Command, HoldItem, HoldLift, HoldMoved, HoldSet, Problem, Removal, Remove, Restore, RetentionQuery,
    RetentionReport, RetentionSet,
};

impl Client {
    /// Removes versions; they can be restored until their keys are destroyed.
    ///
    /// # Errors
    /// `denied`, also for what is under a legal hold; `not-found`; `conflict` while an alias points to one.
    pub fn remove(&self, remove: Remove) -> Result<Removal, Problem> {
        self.removal(Command::Remove(remove))
    }

    /// Restores a version that was removed.
    ///
    /// # Errors
    /// `denied`, `not-found`; `gone` if its key was destroyed.
    pub fn restore(&self, restore: Restore) -> Result<Removal, Problem> {
        self.removal(Command::Restore(restore))
    }

    fn removal(&self, command: Command) -> Result<Removal, Problem> {
        match self.seat().call(command)? {
            Answer::Removal(removal) => Ok(*removal),
            other => Err(unexpected(&other)),
        }
    }

    /// Says how long the versions of an artifact are kept.
    ///
    /// # Errors
    /// `denied`, `not-found`; `bad-request` for bounds that are too small or too large.
    pub fn retention_set(&self, set: RetentionSet) -> Result<RetentionReport, Problem> {
        self.retained(Command::RetentionSet(set))
    }

    /// What retention keeps and removes.
    ///
    /// # Errors
    /// `not-found`, `denied`.
    pub fn retention(&self, query: RetentionQuery) -> Result<RetentionReport, Problem> {
        self.retained(Command::Retention(query))
    }

    fn retained(&self, command: Command) -> Result<RetentionReport, Problem> {
        match self.seat().call(command)? {
            Answer::Retention(report) => Ok(*report),
            other => Err(unexpected(&other)),
        }
    }

    /// Puts versions under a legal hold.
    ///
    /// # Errors
    /// `denied`, `not-found`; `conflict` if the name holds something else; `gone` for a destroyed version.
    pub fn hold_set(&self, set: HoldSet) -> Result<HoldMoved, Problem> {
        self.hold_moved(Command::HoldSet(set))
    }

    /// Lifts a legal hold.
    ///
    /// # Errors
    /// `denied`, `not-found`.
    pub fn hold_lift(&self, lift: HoldLift) -> Result<HoldMoved, Problem> {
        self.hold_moved(Command::HoldLift(lift))
    }

    fn hold_moved(&self, command: Command) -> Result<HoldMoved, Problem> {
        match self.seat().call(command)? {
            Answer::HoldMoved(moved) => Ok(*moved),
            other => Err(unexpected(&other)),
        }
    }

    /// Legal holds of a workspace or an artifact, by artifact and name.
    ///
    /// # Errors
    /// `not-found`, `denied`.
    pub fn legal_holds(&self, place: &str) -> Result<Vec<HoldItem>, Problem> {
        match self.seat().call(Command::Holds { place: place.to_owned() })? {
            Answer::Holds { items } => Ok(items),
            other => Err(unexpected(&other)),
        }
    }
}
