//! `depot copy`: what a depot lacks is brought from another that has it right.
//!
//! What a version was committed with is brought to all of them before its `put` is answered, as far as they answer.
//!
//! An object shows in the destination when all of it was verified and is durable there, so a copy that was killed leaves objects that are
//! whole and a rest that is done the next time. Whoever comes second to an object that two copies bring leaves it.

use super::needs::{Need, Needs, held};
use super::{Depot, listed};
use crate::seat::unexpected;
use crate::watch::{Watch, check};
use crate::{Client, fault};
use api::terms::{Action, Code, DepotId, ObjectId, Timestamp};
use api::wire::{Answer, Command, DepotCopied, DepotCounted, DepotSeen, Explain, Problem, VersionItem};
use depot::sealed::{Stopped, pass};
use depot::{Several, Store, Sweep, Upload};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Objects on their way at a time.
pub(super) const THREADS: usize = 3;
/// How old an unfinished upload is when a copy sweeps it away.
const GRACE_SECS: u64 = 3_600;
/// Failures that are listed.
pub(super) const MAX_LISTED: usize = 1_000;

/// What one depot got.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Copied {
    /// The depot.
    pub depot: String,
    /// Where it is.
    pub place: String,
    /// Objects that it holds now.
    pub held: u64,
    /// Objects brought.
    pub copied: u64,
    /// Bytes brought.
    pub bytes: u64,
    /// Objects that it lacks still.
    pub missing: u64,
    /// Why nothing more was brought.
    pub failed: Option<String>,
}

/// A new version that one of the depots besides the primary did not take: the job brings it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct NotCopied {
    /// The depot.
    pub depot: String,
    /// Where it is.
    pub place: String,
    /// `workspace/artifact@vN`.
    pub version: String,
    /// Why.
    pub what: String,
    /// It takes nothing now, and not just this version.
    #[serde(skip)]
    pub(super) away: bool,
}

/// A comparison under way: since when, and how the keeper knows it again, if it may be told.
pub(super) struct Comparison {
    pub(super) now: Timestamp,
    mark: Option<u64>,
}

/// What was copied.
#[derive(Debug, Clone, serde::Serialize)]
pub struct CopyReport {
    /// Every depot holds everything, as far as lengths tell.
    pub ok: bool,
    /// One by one, the primary first.
    pub depots: Vec<Copied>,
    /// Objects that no depot has right.
    pub failures: Vec<super::Finding>,
}

impl CopyReport {
    /// Objects brought.
    pub fn copied(&self) -> u64 {
        self.depots.iter().map(|depot| depot.copied).sum()
    }

    /// What is in the way, if anything is.
    pub fn first_failure(&self) -> Option<String> {
        let failed = self.depots.iter().find_map(|depot| Some(format!("{}: {}", depot.place, depot.failed.as_ref()?)));
        failed.or_else(|| self.failures.first().map(|failure| format!("{}: {}", failure.object, failure.what)))
    }
}

impl Client {
    /// Copies what every depot lacks, or one of them.
    ///
    /// # Errors
    /// The keeper's; `interrupted`. What could not be copied is in the report.
    pub fn depot_copy(&self, to: Option<DepotId>, watch: &dyn Watch) -> Result<CopyReport, Problem> {
        let begun = self.compare()?;
        let needs = self.needs(watch)?;
        let mut report = CopyReport { ok: true, depots: Vec::new(), failures: Vec::new() };
        let lost = needs.lost.iter().map(|lost| super::Finding::lost(&lost.reference, lost.object, &lost.what));
        report.failures.extend(lost.take(MAX_LISTED));
        for depot in self.depots().all().iter().filter(|depot| to.is_none_or(|id| id == depot.item.id)) {
            let copied = self.copy_to(depot, &needs, &mut report, watch)?;
            if copied.failed.is_none() {
                let missing = copied.missing + needs.lost.len() as u64;
                let seen = DepotSeen { compared: Some(begun.now), held: copied.held, missing, ..DepotSeen::default() };
                self.tell_seen(depot.item.id, seen, &begun);
            }
            report.ok &= copied.failed.is_none() && copied.missing == 0;
            report.depots.push(copied);
        }
        report.ok &= report.failures.is_empty();
        Ok(report)
    }

    /// Before anything is looked at: what is committed from now on is not counted as copied.
    pub(super) fn compare(&self) -> Result<Comparison, Problem> {
        let may = self.explain(Explain::of(Action::Collect)).is_ok_and(|answer| answer.allowed);
        if !may {
            return Ok(Comparison { now: listed(self.seat())?.now, mark: None });
        }
        match self.seat().call(Command::DepotCompare)? {
            Answer::DepotCompared(begun) => Ok(Comparison { now: begun.now, mark: Some(begun.mark) }),
            other => Err(unexpected(&other)),
        }
    }

    /// Has the vault remember what was seen of a depot. Whoever may not say so says nothing.
    pub(super) fn tell_seen(&self, depot: DepotId, seen: DepotSeen, begun: &Comparison) {
        if begun.mark.is_some() {
            let _ = self.seat().call(Command::DepotCounted(DepotCounted { depot, seen, mark: begun.mark }));
        }
    }

    /// Brings what a version was committed with to the depots besides the primary, so that the loss of one loses nothing of it. The version
    /// exists: a depot that does not take it now gets it from the job, and is told of ([`Self::not_copied`]). One that takes nothing is
    /// left out for the rest of the command.
    pub(crate) fn copy_new(&self, item: &VersionItem, watch: &dyn Watch) {
        let others = self.depots().all().get(1..).unwrap_or_default();
        if others.is_empty() {
            return;
        }
        let needs = self.needs_of(item);
        for depot in others {
            let failed = match (self.depots().away(depot), &needs) {
                (Some(why), _) => Failed::There(why),
                (None, Err(problem)) => Failed::Here(problem.to_string()),
                (None, Ok(needs)) => match self.bring_new(depot, needs, watch) {
                    Err(failed) => failed,
                    Ok(()) => {
                        let copied = DepotCopied { depot: depot.item.id, object: item.object };
                        let _ = self.seat().call(Command::DepotCopied(copied));
                        continue;
                    }
                },
            };
            let away = matches!(failed, Failed::There(_));
            let what = match failed {
                Failed::Here(what) | Failed::Silent(what) | Failed::There(what) => what,
                Failed::Interrupted => "it was interrupted".to_owned(),
            };
            let (depot, place, version) = (depot.item.id.to_string(), depot.place.text(), item.reference.clone());
            self.depots().not_copied(NotCopied { depot, place, version, what, away });
        }
    }

    fn bring_new(&self, depot: &Depot, needs: &[Need], watch: &dyn Watch) -> Result<(), Failed> {
        // Asked first for what takes a short time to refuse: an upload is tried again for longer.
        let looked = depot.member.store().and_then(|store| store.list(self.vault().as_bytes(), None, 1).map(|_| store));
        let store = looked.map_err(|error| Failed::There(fault::chain(&error)))?;
        watch.stage("copying", Some(needs.iter().map(|need| need.len).sum()));
        let source = self.depots().for_the_sake_of(depot.item.id);
        let all: Vec<(&Need, Write)> = needs.iter().map(|need| (need, Write::New)).collect();
        let brought = bring_all(&source, store, &all, watch);
        watch.over();
        let failed: Vec<Failed> = brought.into_iter().filter_map(|(_, result)| result.err()).collect();
        // What keeps everything out says more than what is wrong with one object.
        let (all, one): (Vec<Failed>, Vec<Failed>) =
            failed.into_iter().partition(|why| matches!(why, Failed::There(_)));
        all.into_iter().chain(one).next().map_or(Ok(()), Err)
    }

    fn copy_to(
        &self,
        depot: &Depot,
        needs: &Needs,
        report: &mut CopyReport,
        watch: &dyn Watch,
    ) -> Result<Copied, Problem> {
        let vault = *self.vault().as_bytes();
        let (id, place) = (depot.item.id.to_string(), depot.place.text());
        let mut copied = Copied { depot: id, place, ..Copied::default() };
        let looked = depot.member.store().map_err(|e| fault::depot("cannot open the depot", &e)).and_then(|store| {
            // What a killed copy left. What is being written is locked by whoever writes it; on somebody else's file system the lock may not
            // tell, so what is young stays for later, or for `gc`.
            let swept = store.sweep(&vault, crate::system::before(GRACE_SECS), Sweep::Remove);
            swept.map_err(|e| fault::depot("cannot sweep unfinished uploads", &e))?;
            Ok((store, held(store, &vault, watch)?))
        });
        let (store, held) = match looked {
            Ok(looked) => looked,
            Err(problem) if problem.code == Code::Interrupted => return Err(problem),
            Err(problem) => {
                (copied.missing, copied.failed) = (needs.items.len() as u64, Some(problem.to_string()));
                return Ok(copied);
            }
        };
        let lacking: Vec<(&Need, Write)> = lacking(needs, &held);
        copied.held = (needs.items.len() - lacking.len()) as u64;
        watch.stage("copying", Some(lacking.iter().map(|(need, _)| need.len).sum()));
        let source = self.depots().for_the_sake_of(depot.item.id);
        let results = bring_all(&source, store, &lacking, watch);
        watch.over();
        check(watch, "depot copy")?;
        for (need, brought) in results {
            match brought {
                Ok(bytes) => {
                    copied.held += 1;
                    copied.copied += u64::from(bytes > 0);
                    copied.bytes += bytes;
                }
                Err(Failed::Here(what)) if report.failures.len() < MAX_LISTED => {
                    report.failures.push(super::Finding::of(need, None, &what));
                }
                Err(Failed::Here(_) | Failed::Interrupted) => {}
                Err(Failed::There(what) | Failed::Silent(what)) => {
                    copied.failed.get_or_insert(what);
                }
            }
        }
        copied.missing = needs.items.len() as u64 - copied.held;
        Ok(copied)
    }

    /// The time of the keeper, and what it names now.
    pub(super) fn now(&self) -> Result<Timestamp, Problem> {
        Ok(listed(self.seat())?.now)
    }
}

/// How an object gets to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    /// Nothing is there.
    New,
    /// What is there is not what it must be.
    Replacing,
}

/// Why an object was not brought.
#[derive(Debug)]
pub(super) enum Failed {
    /// No other depot has it right.
    Here(String),
    /// No other depot answers.
    Silent(String),
    /// The destination does not take it.
    There(String),
    /// Somebody wants to stop.
    Interrupted,
}

/// What a depot lacks by its listing: not there, or of another length.
pub(super) fn lacking<'a>(needs: &'a Needs, held: &HashMap<[u8; 16], u64>) -> Vec<(&'a Need, Write)> {
    let write = |need: &Need| match held.get(need.key.object()) {
        Some(len) if *len == need.len => None,
        Some(_) => Some(Write::Replacing),
        None => Some(Write::New),
    };
    needs.items.iter().filter_map(|need| Some((need, write(need)?))).collect()
}

/// Brings several, some at a time. Those that were not tried after a failure are not in the answer.
fn bring_all<'a>(
    from: &Several,
    to: &dyn Store,
    all: &[(&'a Need, Write)],
    watch: &dyn Watch,
) -> Vec<(&'a Need, Result<u64, Failed>)> {
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS.min(all.len()) {
            scope.spawn(|| {
                while let Some((need, write)) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let brought = bring(from, to, need, *write, watch);
                    // A destination that fails fails for the others too.
                    let stop = matches!(brought, Err(Failed::There(_) | Failed::Interrupted));
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((*need, brought));
                    if stop {
                        next.store(usize::MAX / 2, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Brings an object from one depot to another. Answers its bytes; 0 if somebody else has just brought it.
pub(super) fn bring(
    from: &dyn Store,
    to: &dyn Store,
    need: &Need,
    write: Write,
    watch: &dyn Watch,
) -> Result<u64, Failed> {
    let there = |error: &depot::Error| Failed::There(fault::chain(error));
    let started = match write {
        Write::New => to.create(&need.key),
        Write::Replacing => to.replace(&need.key),
    };
    let upload: Box<dyn Upload> = match started {
        Ok(upload) => upload,
        Err(depot::Error::AlreadyExists { .. }) => return Ok(0),
        Err(error) => return Err(there(&error)),
    };
    let passed = pass(from, &need.key, &need.expected, |at, bytes| {
        if watch.interrupted() {
            return Err(Failed::Interrupted);
        }
        watch.advance(bytes.len() as u64);
        upload.write_at(at, bytes).map_err(|error| there(&error))
    });
    let len = passed.map_err(|stopped| match stopped {
        Stopped::Sink(failed) => failed,
        Stopped::Object(error) if error.is_integrity() => Failed::Here(fault::chain(&error)),
        Stopped::Object(error) => Failed::Silent(fault::chain(&error)),
    })?;
    match upload.finish() {
        Ok(()) => Ok(len),
        Err(depot::Error::AlreadyExists { .. }) => Ok(0),
        Err(error) => Err(there(&error)),
    }
}

/// An object's name as the keeper writes it.
pub(super) fn object_of(need: &Need) -> ObjectId {
    ObjectId::from_bytes(*need.key.object())
}
