//! `gc`: what no version needs leaves the depots, in two steps. What one of them could not delete stays marked, and is tried again
//! the next time.

use crate::seat::unexpected;
use crate::watch::{Watch, check};
use crate::{Client, fault};
use api::terms::{Code, ObjectId};
use api::wire::{Answer, CollectPlan, Command, Freshness, Problem};
use depot::{Key, Store, Sweep};
use std::collections::BTreeMap;

/// What was collected.
#[derive(Debug, Clone, serde::Serialize)]
pub struct CollectReport {
    /// Objects deleted, or that would be.
    pub objects: u64,
    /// Bytes in the depots, of objects and unfinished uploads.
    pub bytes: u64,
    /// Unfinished uploads removed, or that would be.
    pub uploads: u64,
    /// The proof that the database is current.
    pub freshness: Freshness,
    /// Objects that did not leave every depot, and are tried again by the next gc.
    pub left: u64,
    /// Depots that could not be asked, and why.
    pub unreachable: BTreeMap<String, String>,
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
        let mut report =
            CollectReport { objects: 0, bytes: 0, uploads: 0, freshness, left: 0, unreachable: BTreeMap::new() };
        for step in objects.chunks(STEP) {
            check(watch, "gc")?;
            let mut gone = Vec::with_capacity(step.len());
            for object in step {
                if self.drop_object(*object, deletes, &mut report)? {
                    gone.push(*object);
                }
            }
            report.objects += gone.len() as u64;
            report.left += (step.len() - gone.len()) as u64;
            if deletes == Deletes::Yes && !gone.is_empty() {
                match self.seat().call(Command::CollectDone { objects: gone })? {
                    Answer::Collected(_) => {}
                    other => return Err(unexpected(&other)),
                }
            }
        }
        self.sweep(grace_secs, deletes, &mut report)?;
        Ok(report)
    }

    fn sweep(&self, grace_secs: u64, deletes: Deletes, report: &mut CollectReport) -> Result<(), Problem> {
        let what = if deletes == Deletes::Yes { Sweep::Remove } else { Sweep::Count };
        let before = crate::system::before(grace_secs);
        self.each_depot(report, |store, report| {
            let swept = store.sweep(self.vault().as_bytes(), before, what);
            let swept = swept.map_err(|e| fault::depot("cannot sweep unfinished uploads", &e))?;
            report.uploads += swept.uploads;
            report.bytes += swept.bytes;
            Ok(())
        })
        .map(drop)
    }

    /// Deletes an object from every depot; whether it is gone from all. Its bytes are counted, 0 where it is gone already.
    fn drop_object(&self, object: ObjectId, deletes: Deletes, report: &mut CollectReport) -> Result<bool, Problem> {
        let key = Key::new(*self.vault().as_bytes(), *object.as_bytes());
        self.each_depot(report, |store, report| {
            let len = match store.len_bytes(&key) {
                Ok(len) => len,
                Err(depot::Error::NotFound { .. }) => 0,
                Err(error) if deletes == Deletes::No => return Err(fault::depot("cannot look at an object", &error)),
                Err(_) => 0,
            };
            if deletes == Deletes::Yes {
                store.delete(&key).map_err(|e| {
                    let problem = fault::depot("cannot delete an object", &e);
                    if problem.code == Code::Integrity { problem } else { problem.with_try("strongroom gc") }
                })?;
            }
            report.bytes += len;
            Ok(())
        })
    }

    /// Does something in every depot; whether it was done in all. One of several that fails keeps no other from being asked, and is not
    /// asked again.
    fn each_depot(
        &self,
        report: &mut CollectReport,
        mut act: impl FnMut(&dyn Store, &mut CollectReport) -> Result<(), Problem>,
    ) -> Result<bool, Problem> {
        let depots = self.depots().all();
        if depots.len() < 2 {
            return act(self.store(), report).map(|()| true);
        }
        let mut all = true;
        for depot in depots {
            let id = depot.item.id.to_string();
            if report.unreachable.contains_key(&id) {
                all = false;
                continue;
            }
            let store = depot.member.store().map_err(|e| fault::depot("cannot open the depot", &e));
            if let Err(problem) = store.and_then(|store| act(store, report)) {
                report.unreachable.insert(id, problem.to_string());
                all = false;
            }
        }
        Ok(all)
    }
}
