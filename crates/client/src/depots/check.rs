//! `depot check`: each depot alone against what its objects must be, and repair from the others.
//!
//! A repair brings the object as a copy does, verified on its way, and puts it in the place of the one that is damaged in one step. Nothing
//! else ever overwrites an object, and a good one is left: it is replaced only after it was found to be wrong.

use super::Depot;
use super::copy::{Failed, MAX_LISTED, THREADS, Write, bring, object_of};
use super::needs::{Need, Needs};
use crate::verify::{Sample, Share};
use crate::watch::{Watch, check};
use crate::{Client, fault};
use api::terms::{Code, DepotId, ObjectId};
use api::wire::{DepotSeen, Problem};
use depot::Store;
use depot::sealed::{Expected, Scratch, SegmentCheck, Stopped, pass};
use seal::segment::SegmentInfo;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Whether damage is repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// It is.
    Yes,
    /// It is only told.
    No,
}

/// An object that is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The depot; none if no depot has it right.
    pub depot: Option<String>,
    /// A version that needs it.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The object.
    pub object: String,
    /// What is wrong.
    pub what: String,
    /// It is right now.
    pub repaired: bool,
}

impl Finding {
    pub(super) fn of(need: &Need, depot: Option<&Depot>, what: &str) -> Self {
        Self {
            depot: depot.map(|depot| depot.item.id.to_string()),
            ..Self::lost(&need.reference, object_of(need), what)
        }
    }

    pub(super) fn lost(reference: &str, object: ObjectId, what: &str) -> Self {
        let (reference, object, what) = (reference.to_owned(), object.to_string(), what.to_owned());
        Self { depot: None, reference, object, what, repaired: false }
    }
}

/// What was seen of one depot.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Passed {
    /// The depot.
    pub depot: String,
    /// Where it is.
    pub place: String,
    /// Objects looked at.
    pub checked: u64,
    /// Bytes read of them.
    pub bytes: u64,
    /// Not there.
    pub missing: u64,
    /// There, and not what they must be.
    pub damaged: u64,
    /// Of these and those, repaired.
    pub repaired: u64,
    /// Why it could not be looked at to the end.
    pub failed: Option<String>,
}

/// What a check found.
#[derive(Debug, Clone, serde::Serialize)]
pub struct CheckReport {
    /// Every depot holds everything, now.
    pub ok: bool,
    /// One by one, the primary first.
    pub depots: Vec<Passed>,
    /// What is or was wrong.
    pub findings: Vec<Finding>,
}

impl CheckReport {
    /// What is wrong, if anything is.
    pub(crate) fn first_failure(&self) -> Option<String> {
        let found = self.findings.iter().find(|finding| !finding.repaired);
        let found = found.map(|finding| format!("{}: see strongroom depot check", finding.what));
        found.or_else(|| {
            let silent = |depot: &Passed| Some(format!("{}: {}", depot.place, depot.failed.as_ref()?));
            self.depots.iter().find_map(silent)
        })
    }
}

/// How one object stands in one depot.
enum Found {
    Right { read: u64 },
    Wrong { missing: bool, what: String, mended: Option<Result<(), Failed>> },
    Silent(String),
}

impl Client {
    /// Reads every object, or a sample of their bytes, in every depot or in one of them, and repairs what is wrong.
    ///
    /// # Errors
    /// The keeper's; `interrupted`. Damage is in the report, and so are depots that do not answer.
    pub fn depot_check(
        &self,
        only: Option<DepotId>,
        share: Option<Share>,
        repair: Repair,
        watch: &dyn Watch,
    ) -> Result<CheckReport, Problem> {
        let begun = self.compare()?;
        let needs = self.needs(watch)?;
        // Only what is found here counts: how the records were read is said by the check of their depot.
        drop(self.read_elsewhere());
        let mut report = CheckReport { ok: true, depots: Vec::new(), findings: Vec::new() };
        let lost = needs.lost.iter().map(|lost| Finding::lost(&lost.reference, lost.object, &lost.what));
        report.findings.extend(lost.take(MAX_LISTED));
        report.ok &= report.findings.is_empty();
        for depot in self.depots().all().iter().filter(|depot| only.is_none_or(|id| id == depot.item.id)) {
            let passed = self.check_one(depot, &needs, share, repair, &mut report.findings, watch)?;
            let wrong = (passed.missing + passed.damaged).saturating_sub(passed.repaired);
            if passed.failed.is_none() {
                let found = wrong + needs.lost.len() as u64;
                // A sample finds nothing where it did not look: what was known stands until all is read.
                let damaged = if share.is_some() { found.max(depot.item.seen.damaged) } else { found };
                let counted = DepotSeen { checked: Some(begun.now), damaged, ..DepotSeen::default() };
                // Every object was looked for, so this is a comparison as well.
                let held = passed.checked - wrong.min(passed.checked);
                let seen = DepotSeen { compared: Some(begun.now), held, missing: wrong, ..counted };
                self.tell_seen(depot.item.id, seen, &begun);
            }
            report.ok &= wrong == 0 && passed.failed.is_none();
            report.depots.push(passed);
        }
        Ok(report)
    }

    fn check_one(
        &self,
        depot: &Depot,
        needs: &Needs,
        share: Option<Share>,
        repair: Repair,
        findings: &mut Vec<Finding>,
        watch: &dyn Watch,
    ) -> Result<Passed, Problem> {
        let (id, place) = (depot.item.id.to_string(), depot.place.text());
        let mut passed = Passed { depot: id, place, ..Passed::default() };
        let store = match depot.member.store() {
            Ok(store) => store,
            Err(error) => {
                passed.failed = Some(fault::chain(&error));
                return Ok(passed);
            }
        };
        watch.stage("checking", share.is_none().then(|| needs.items.iter().map(|need| need.len).sum()));
        let source = self.depots().for_the_sake_of(depot.item.id);
        let look = |need: &Need| -> Found {
            let found = looked(store, need, share, watch);
            let Found::Wrong { missing, what, .. } = found else { return found };
            let write = if missing { Write::New } else { Write::Replacing };
            let mended = (repair == Repair::Yes).then(|| bring(&source, store, need, write, watch).map(drop));
            Found::Wrong { missing, what, mended }
        };
        let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..THREADS.min(needs.items.len()) {
                scope.spawn(|| {
                    while let Some(need) = needs.items.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let found = look(need);
                        if matches!(found, Found::Silent(_)) || watch.interrupted() {
                            next.store(usize::MAX / 2, Ordering::Relaxed);
                        }
                        results.lock().unwrap_or_else(PoisonError::into_inner).push((need, found));
                    }
                });
            }
        });
        watch.over();
        check(watch, "depot check")?;
        for (need, found) in results.into_inner().unwrap_or_else(PoisonError::into_inner) {
            passed.take(need, found, depot, findings);
        }
        Ok(passed)
    }

    /// A depot by its id, the beginning of it, or its place.
    ///
    /// # Errors
    /// `not-found`; `bad-request` if several begin so.
    pub fn depot_named(&self, text: &str) -> Result<DepotId, Problem> {
        let named = |depot: &&Depot| {
            depot.item.place == text || depot.place.text() == text || depot.item.id.to_string().starts_with(text)
        };
        let found: Vec<&Depot> = self.depots().all().iter().filter(named).collect();
        match found.as_slice() {
            [one] => Ok(one.item.id),
            [] => {
                let problem = Problem::new(
                    Code::NotFound,
                    format!("no depot `{text}`"),
                    "the vault has none of this id or place",
                );
                Err(problem.with_try("strongroom depot ls"))
            }
            _ => Err(Problem::new(Code::BadRequest, format!("`{text}` is not one depot"), "several begin so")),
        }
    }
}

impl Passed {
    fn take(&mut self, need: &Need, found: Found, depot: &Depot, findings: &mut Vec<Finding>) {
        match found {
            Found::Right { read } => {
                self.checked += 1;
                self.bytes += read;
            }
            Found::Silent(what) => {
                self.failed.get_or_insert(what);
            }
            Found::Wrong { missing, what, mended } => {
                self.checked += 1;
                *(if missing { &mut self.missing } else { &mut self.damaged }) += 1;
                let repaired = matches!(mended, Some(Ok(())));
                self.repaired += u64::from(repaired);
                let what = match mended {
                    Some(Err(Failed::Here(why) | Failed::Silent(why))) => format!("{what}; not repaired: {why}"),
                    Some(Err(Failed::There(why))) => format!("{what}; the depot does not take it: {why}"),
                    _ => what,
                };
                if findings.len() < MAX_LISTED {
                    findings.push(Finding { repaired, ..Finding::of(need, Some(depot), &what) });
                }
            }
        }
    }
}

/// Reads one object of one depot.
fn looked(store: &dyn Store, need: &Need, share: Option<Share>, watch: &dyn Watch) -> Found {
    let read = match (&need.expected, share) {
        (Expected::Segment(info), Some(share)) => sampled(store, need, info, share, watch),
        _ => {
            let sink = |_: u64, bytes: &[u8]| {
                watch.advance(bytes.len() as u64);
                if watch.interrupted() { Err(()) } else { Ok(()) }
            };
            match pass(store, &need.key, &need.expected, sink) {
                Ok(len) => Ok(len),
                Err(Stopped::Object(error)) => Err(error),
                Err(Stopped::Sink(())) => return Found::Silent("it was interrupted".to_owned()),
            }
        }
    };
    match read {
        Ok(read) => Found::Right { read },
        Err(error) if error.is_integrity() => {
            let missing = matches!(error, depot::sealed::Error::Store(depot::Error::NotFound { .. }));
            Found::Wrong { missing, what: error.to_string(), mended: None }
        }
        Err(error) => Found::Silent(fault::chain(&error)),
    }
}

/// Reads some of a segment; answers how much.
fn sampled(
    store: &dyn Store,
    need: &Need,
    info: &SegmentInfo,
    share: Share,
    watch: &dyn Watch,
) -> depot::sealed::Result<u64> {
    let segment = SegmentCheck::open(store, &need.key, *info)?;
    // Without randomness everything is read.
    let whole = || -> Vec<Range<u64>> { std::iter::once(0..info.group_count()).collect() };
    let steps = Sample::of(share).choose(info).unwrap_or_else(|_| whole());
    let (mut scratch, mut read) = (Scratch::default(), 0);
    for step in steps {
        let range = info.groups_range(&step);
        segment.verify(step, &mut scratch)?;
        watch.advance(range.end - range.start);
        read += range.end - range.start;
    }
    Ok(read)
}
