//! Lineage, which is the keeper's to tell.

use crate::Client;
use crate::seat::unexpected;
use api::wire::{Answer, Command, Lineage, LineageQuery, Problem};

impl Client {
    /// A page of the graph of what a version was made from, or of what was made from it.
    ///
    /// # Errors
    /// `not-found`, `denied`; `bad-request` beyond what one walk tells.
    pub fn lineage(&self, query: LineageQuery) -> Result<Lineage, Problem> {
        match self.seat().call(Command::Lineage(query))? {
            Answer::Lineage(graph) => Ok(*graph),
            other => Err(unexpected(&other)),
        }
    }
}
