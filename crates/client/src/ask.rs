//! Questions about people, rights and decisions, which are the keeper's to answer.

use crate::Client;
use crate::seat::unexpected;
use api::terms::DecisionId;
use api::wire::{Answer, Command, DecisionTold, Deed, Problem, WhoCan, WhoCanPage, WhoDid};

impl Client {
    /// Who may do something, now or at a time.
    ///
    /// # Errors
    /// `not-found`, `denied`, `bad-request` for a question about nothing.
    pub fn who_can(&self, ask: WhoCan) -> Result<WhoCanPage, Problem> {
        match self.seat().call(Command::WhoCan(ask))? {
            Answer::WhoCan(page) => Ok(*page),
            other => Err(unexpected(&other)),
        }
    }

    /// What was done to an artifact and what was refused, newest first, and where to go on.
    ///
    /// # Errors
    /// `not-found`, `denied`.
    pub fn who_did(&self, ask: WhoDid) -> Result<(Vec<Deed>, Option<u64>), Problem> {
        match self.seat().call(Command::WhoDid(ask))? {
            Answer::WhoDid { items, next } => Ok((items, next)),
            other => Err(unexpected(&other)),
        }
    }

    /// A decision that was made.
    ///
    /// # Errors
    /// `not-found`; `denied` for one that is not the caller's own.
    pub fn decision(&self, decision: DecisionId) -> Result<DecisionTold, Problem> {
        match self.seat().call(Command::DecisionShow { decision })? {
            Answer::Decision(told) => Ok(*told),
            other => Err(unexpected(&other)),
        }
    }
}
