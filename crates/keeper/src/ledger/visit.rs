//! Reading the whole log at once: every entry of the tree, each proven to be in it while it is read, from several threads.

use super::error::{Error, Result};
use super::{Ledger, SignedHead, THREADS, signed_head, state_mismatch};
use log::proof::Head;
use log::verify::{self, Visitor};

impl Ledger {
    /// Shows every entry of the tree to `visit`, in no order; answers the head that they are under. What was seen counts only when this
    /// answers: the log was verified on the way, and continues its anchor, its published checkpoint and `known`. No index is asked, so
    /// none can hide an entry. Pending entries are not shown: integrate first.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a log that does not hold, or whose entries `visit` refuses; whatever database and files say.
    pub fn visit(&self, known: Option<Head>, visit: Visitor<'_>) -> Result<SignedHead> {
        let mut failures = Vec::new();
        // Read first: a pass meanwhile only makes the log longer.
        let (_, mut older) = self.signed_before(&mut failures)?;
        older.extend(known);
        let snapshot = self.snapshot()?;
        if snapshot.state.size > 0 {
            let options = verify::Options { keys: self.keys(), older: &older, threads: THREADS };
            let report = verify::run(&snapshot.files, &options, Some(visit));
            failures.extend(state_mismatch(&snapshot.state, &report));
            failures.extend(report.failures.iter().map(ToString::to_string));
        } else {
            failures.extend(super::behind_empty(&older));
        }
        match failures.into_iter().next() {
            None => Ok(signed_head(&snapshot.state)),
            Some(failure) => Err(Error::Damaged(failure)),
        }
    }
}
