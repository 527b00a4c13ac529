//! `gc`: what no version needs leaves the depot, in two steps.

use crate::seat::unexpected;
use crate::watch::{Watch, check};
use crate::{Client, fault};
use api::terms::{Code, ObjectId};
use api::wire::{Answer, CollectPlan, Command, Freshness, Problem};
use depot::{Key, Sweep};

/// What was collected.
#[derive(Debug, Clone, serde::Serialize)]
pub struct CollectReport {
    /// Objects deleted, or that would be.
    pub objects: u64,
    /// Bytes in the depot, of objects and unfinished uploads.
    pub bytes: u64,
    /// Unfinished uploads removed, or that would be.
    pub uploads: u64,
    /// The proof that the database is current.
    pub freshness: Freshness,
}

/// Whether gc deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletes {
    /// It does.
    Yes,
    /// It only says what it would.
    No,
}

/// Objects told to the keeper at a time.
const STEP: usize = 1_000;

impl Client {
    /// Marks what no version names and no lease holds, deletes it from the depot, and says so. What a put is writing at the same time
    /// stays: its finished objects are leased, and the depot knows the unfinished ones whose writer lives.
    ///
    /// # Errors
    /// `behind-anchor` if the database is not proven current; `denied`; `unavailable`.
    pub fn collect(&self, grace_secs: u64, deletes: Deletes, watch: &dyn Watch) -> Result<CollectReport, Problem> {
        let plan = match self.seat().call(Command::CollectMark { grace_secs, dry: deletes == Deletes::No })? {
            Answer::Collect(plan) => plan,
            other => return Err(unexpected(&other)),
        };
        let CollectPlan { objects, freshness } = plan;
        let mut report = CollectReport { objects: 0, bytes: 0, uploads: 0, freshness };
        for step in objects.chunks(STEP) {
            check(watch, "gc")?;
            for object in step {
                report.bytes += self.drop_object(*object, deletes)?;
                report.objects += 1;
            }
            if deletes == Deletes::Yes {
                match self.seat().call(Command::CollectDone { objects: step.to_vec() })? {
                    Answer::Collected(_) => {}
                    other => return Err(unexpected(&other)),
                }
            }
        }
        let what = if deletes == Deletes::Yes { Sweep::Remove } else { Sweep::Count };
        let swept = self.store().sweep(self.vault().as_bytes(), crate::system::before(grace_secs), what);
        let swept = swept.map_err(|e| fault::depot("cannot sweep unfinished uploads", &e))?;
        report.uploads = swept.uploads;
        report.bytes += swept.bytes;
        Ok(report)
    }

    /// Deletes an object; answers its length, 0 if it is gone already.
    fn drop_object(&self, object: ObjectId, deletes: Deletes) -> Result<u64, Problem> {
        let key = Key::new(*self.vault().as_bytes(), *object.as_bytes());
        let len = match self.store().len_bytes(&key) {
            Ok(len) => len,
            Err(depot::Error::NotFound { .. }) => 0,
            Err(error) if deletes == Deletes::No => return Err(fault::depot("cannot look at an object", &error)),
            Err(_) => 0,
        };
        if deletes == Deletes::Yes {
            self.store().delete(&key).map_err(|e| {
                let problem = fault::depot("cannot delete an object", &e);
                if problem.code == Code::Integrity { problem } else { problem.with_try("strongroom gc") }
            })?;
        }
        Ok(len)
    }
}
