//! `verify`: the depot against the version digests, without a key and without plaintext.
//!
//! The keeper names each version's digest; from it follow the record, the digests of list, map and every segment, and from those every
//! byte. What several versions share is read once. A sample ([`sample`]) reads some of the segments' bytes, and of everything else all.

mod sample;

pub(crate) use sample::Sample;
pub use sample::{Missed, SampleReport, Share};

use crate::watch::{Watch, check};
use crate::{Client, fault};
use api::terms::{Action, Code, Name, ObjectId};
use api::wire::{Command, Explain, Freshness, ListQuery, Problem, VersionItem};
use depot::sealed::{Scratch, SegmentCheck, VersionObject};
use depot::{Key, Store};
use seal::Suite;
use seal::manifest::Source as _;
use seal::record::{Manifest, Segment, VersionRecord};
use seal::segment::{Outboard, SegmentInfo};
use seal::tree::Digest;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Something in the depot that is not what was put.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Failure {
    /// The version.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The depot object.
    pub object: String,
    /// Where in the object.
    pub offset: u64,
    /// What is wrong.
    pub what: String,
}

impl Failure {
    const LOG: &str = "log";

    /// Whether it is the log that does not hold; then there is no version.
    pub fn is_of_the_log(&self) -> bool {
        self.object == Self::LOG
    }
}

/// How much was checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Checked {
    /// Depot objects.
    #[serde(rename = "checked")]
    pub objects: u64,
    /// Versions that need them.
    pub versions: u64,
    /// Bytes of the objects.
    pub bytes: u64,
}

/// What a verification found.
#[derive(Debug, Clone, serde::Serialize)]
pub struct VerifyReport {
    /// Everything is as it was put.
    pub ok: bool,
    /// How much was checked.
    #[serde(flatten)]
    pub checked: Checked,
    /// Whether the log is proven current.
    pub freshness: Freshness,
    /// What is wrong.
    pub failures: Vec<Failure>,
    /// What became of the vault by restoring it, if it was.
    pub restored: Option<api::wire::Restores>,
    /// How much of the segments was read, if not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<SampleReport>,
}

/// The job that looks at the depot now and then.
pub const JOB: &str = "verify";

/// Groups verified at a time by one thread.
const STEP_GROUPS: u64 = 64;
const THREADS: usize = 2;
/// Damage that is listed; more is only counted as not ok.
const MAX_FAILURES: usize = 1_000;

impl Client {
    /// Checks these versions, or the log and the anchor only if there are none.
    ///
    /// # Errors
    /// `not-found`, `denied`, `unavailable`. Damage is in the report.
    pub fn verify(&self, references: &[String], watch: &dyn Watch) -> Result<VerifyReport, Problem> {
        let mut run = Run::new(self, watch);
        run.versions(references)?;
        run.finish()
    }

    /// Checks a random part of the segments of these versions, or of every version, and lists, maps and lengths whole.
    ///
    /// # Errors
    /// As [`Self::verify`]; `unavailable` without randomness.
    pub fn verify_sample(
        &self,
        references: &[String],
        share: Share,
        watch: &dyn Watch,
    ) -> Result<VerifyReport, Problem> {
        let mut run = Run { sample: Some(Sample::of(share)), ..Run::new(self, watch) };
        match references {
            [] => self.each_version(&mut |item| run.version(item))?,
            named => run.versions(named)?,
        }
        let report = run.finish()?;
        if references.is_empty() {
            self.verified(&report);
        }
        Ok(report)
    }

    /// Checks every version of every artifact that the caller may see.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_all(&self, watch: &dyn Watch) -> Result<VerifyReport, Problem> {
        let mut run = Run::new(self, watch);
        self.each_version(&mut |item| run.version(item))?;
        let report = run.finish()?;
        self.verified(&report);
        Ok(report)
    }

    /// Has the vault remember that everything was looked at and found well. Whoever may not say so for the whole vault says nothing.
    fn verified(&self, report: &VerifyReport) {
        let may = || self.explain(Explain::of(Action::List)).is_ok_and(|answer| answer.allowed);
        if report.ok && may() {
            let _ = self.seat().call(Command::JobDone { name: JOB.to_owned() });
        }
    }

    /// Every version of every artifact that the caller may see.
    pub(crate) fn each_version(&self, act: &mut dyn FnMut(&VersionItem) -> Result<(), Problem>) -> Result<(), Problem> {
        self.each_name(None, &mut |workspace| {
            let parsed: Name = workspace.parse().map_err(|e| fault::internal("cannot list", e))?;
            self.each_version_of(&parsed, act)
        })
    }

    /// Every version of every artifact in a workspace.
    pub(crate) fn each_version_of(
        &self,
        workspace: &Name,
        act: &mut dyn FnMut(&VersionItem) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        self.each_name(Some(workspace), &mut |artifact| {
            let reference = format!("{workspace}/{artifact}");
            let mut before = None;
            loop {
                let (items, next) = self.history(&reference, before, 1_000)?;
                items.iter().try_for_each(&mut *act)?;
                match next {
                    Some(next) => before = Some(next),
                    None => return Ok(()),
                }
            }
        })
    }

    fn each_name(
        &self,
        workspace: Option<&Name>,
        act: &mut dyn FnMut(&str) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let mut after = None;
        loop {
            let page = self.names(ListQuery { workspace: workspace.cloned(), after, limit: 1_000 })?;
            page.items.iter().try_for_each(|item| act(&item.name))?;
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }
}

struct Run<'a> {
    client: &'a Client,
    watch: &'a dyn Watch,
    vault: [u8; 16],
    /// Objects that were read, and the damage found in each: every version that needs one is named.
    seen: HashMap<[u8; 16], Option<(u64, String)>>,
    checked: Checked,
    failures: Vec<Failure>,
    /// Which parts of segments are read; none for all.
    sample: Option<Sample>,
}

impl<'a> Run<'a> {
    fn new(client: &'a Client, watch: &'a dyn Watch) -> Self {
        let vault = *client.vault().as_bytes();
        Self {
            client,
            watch,
            vault,
            seen: HashMap::new(),
            checked: Checked::default(),
            failures: Vec::new(),
            sample: None,
        }
    }

    fn versions(&mut self, references: &[String]) -> Result<(), Problem> {
        for reference in references {
            let item = self.client.seat().show(reference)?;
            if item.is_destroyed() {
                let why = format!("the key of `{}` was destroyed, and what only it opens is not kept", item.reference);
                return Err(Problem::new(Code::Gone, "the version was removed", why));
            }
            self.version(&item)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<VerifyReport, Problem> {
        let log = self.client.audit_verify()?;
        for what in log.failures.iter().take(MAX_FAILURES) {
            let what = what.clone();
            self.failures.push(Failure { reference: String::new(), object: Failure::LOG.to_owned(), offset: 0, what });
        }
        let ok = log.ok && self.failures.is_empty();
        let sample = self.sample.map(|sample| sample.report());
        let (checked, failures) = (self.checked, self.failures);
        Ok(VerifyReport { ok, checked, freshness: log.freshness, failures, restored: log.restored, sample })
    }

    fn version(&mut self, item: &VersionItem) -> Result<(), Problem> {
        check(self.watch, "verify")?;
        // What only a destroyed version needs may be gone from the depot.
        if item.is_destroyed() {
            return Ok(());
        }
        self.checked.versions += 1;
        // A version object belongs to one version; two references may name it.
        if self.seen.insert(*item.object.as_bytes(), None).is_some() {
            return Ok(());
        }
        self.checked.objects += 1;
        let record = match self.record(item) {
            Ok(record) => record,
            Err(error) => return self.failed(item, Key::new(self.vault, *item.object.as_bytes()), &error),
        };
        for (name, manifest) in [("list", &record.list), ("map", &record.map)] {
            if let Err((offset, what)) = self.manifest(&record, manifest) {
                self.fail(item, &record.object, offset, format!("{name}: {what}"));
            }
            self.checked.bytes += manifest.stored_len;
        }
        for segment in record.packs.iter().flat_map(|pack| &pack.segments) {
            self.segment(item, record.suite, segment)?;
        }
        Ok(())
    }

    /// The record, which must be exactly the one that the keeper names.
    fn record(&self, item: &VersionItem) -> depot::sealed::Result<VersionRecord> {
        let key = Key::new(self.vault, *item.object.as_bytes());
        let mut digest = [0; 32];
        // A digest that is none matches nothing.
        let _ = hex::decode_to_slice(&item.digest, &mut digest);
        VersionObject::open(self.client.store(), &key)?.record(&digest)
    }

    fn segment(&mut self, item: &VersionItem, suite: Suite, segment: &Segment) -> Result<(), Problem> {
        if let Some(known) = self.seen.get(&segment.object) {
            if let Some((offset, what)) = known.clone() {
                self.fail(item, &segment.object, offset, what);
            }
            return Ok(());
        }
        self.seen.insert(segment.object, None);
        check(self.watch, "verify")?;
        self.checked.objects += 1;
        let key = Key::new(self.vault, segment.object);
        let info =
            SegmentInfo::new(suite, segment.plaintext_len, segment.stored_len, Digest::from_bytes(segment.digest));
        let Ok(info) = info else {
            self.fail(item, &segment.object, 0, "the record's lengths do not agree".to_owned());
            return Ok(());
        };
        let steps = match &mut self.sample {
            None => steps(&info, STEP_GROUPS).collect(),
            Some(sample) => sample.choose(&info)?,
        };
        let read: u64 = steps.iter().map(|step| sealed_len(&info, step)).sum();
        self.checked.bytes += if self.sample.is_some() { read } else { segment.stored_len };
        let checked =
            SegmentCheck::open(self.client.store(), &key, info).and_then(|check| groups(&check, &steps, self.watch));
        match checked {
            // Stopped on request is not checked.
            Ok(()) => check(self.watch, "verify"),
            Err(error) => self.failed(item, key, &error),
        }
    }

    /// Damage is noted; a depot that cannot be read ends the run.
    fn failed(&mut self, item: &VersionItem, key: Key, error: &depot::sealed::Error) -> Result<(), Problem> {
        if !error.is_integrity() {
            return Err(fault::sealed(&format!("cannot verify {}", item.reference), error));
        }
        let (key, offset) = error.place().unwrap_or((key, 0));
        self.fail(item, key.object(), offset, error.to_string());
        Ok(())
    }

    fn fail(&mut self, item: &VersionItem, object: &[u8; 16], offset: u64, what: String) {
        self.seen.insert(*object, Some((offset, what.clone())));
        if self.failures.len() < MAX_FAILURES {
            let object = ObjectId::from_bytes(*object).to_string();
            self.failures.push(Failure { reference: item.reference.clone(), object, offset, what });
        }
    }

    /// Every group of a list or map, against the record; the place is in the version object.
    fn manifest(&self, record: &VersionRecord, manifest: &Manifest) -> Result<(), (u64, String)> {
        let base = manifest.offset;
        let store: &dyn Store = self.client.store();
        let stored = |e: depot::sealed::Error| (e.place().map_or(base, |(_, offset)| offset), e.to_string());
        let wrong = |e: seal::segment::Error| (base + e.corrupt_offset().unwrap_or(0), "damaged or forged".to_owned());
        let object = &VersionObject::of(store, record).map_err(stored)?;
        let read = |range: Range<u64>| {
            let mut bytes = vec![0; (range.end - range.start) as usize];
            object.read_at(base + range.start, &mut bytes).map(|()| bytes).map_err(stored)
        };
        let info = SegmentInfo::manifest(record.suite, manifest.plaintext_len, Digest::from_bytes(manifest.digest));
        let info = info.map_err(|e| (base, e.to_string()))?;
        let outboard = Outboard::from_tops(info, &read(info.tops_range())?).map_err(wrong)?;
        for first in (0..info.group_count()).step_by(STEP_GROUPS as usize) {
            let step = first..info.group_count().min(first + STEP_GROUPS);
            let missing: Vec<u64> = outboard.missing_blocks(&step).collect();
            for block in missing {
                outboard.load_block(block, &read(info.block_range(block))?).map_err(wrong)?;
            }
            outboard.verify_groups(first, &read(info.groups_range(&step))?).map_err(wrong)?;
        }
        Ok(())
    }
}

/// Whether the depot holds exactly this segment. Interrupted, the answer means nothing.
pub(crate) fn whole(store: &dyn Store, suite: Suite, vault: [u8; 16], segment: &Segment, watch: &dyn Watch) -> bool {
    let digest = Digest::from_bytes(segment.digest);
    let Ok(info) = SegmentInfo::new(suite, segment.plaintext_len, segment.stored_len, digest) else { return false };
    let check = SegmentCheck::open(store, &Key::new(vault, segment.object), info);
    let steps: Vec<Range<u64>> = steps(&info, STEP_GROUPS).collect();
    check.and_then(|check| groups(&check, &steps, watch)).is_ok()
}

/// All groups of a segment, so many at a time.
fn steps(info: &SegmentInfo, groups: u64) -> impl Iterator<Item = Range<u64>> + use<> {
    let count = info.group_count();
    (0..count).step_by(groups as usize).map(move |first| first..count.min(first + groups))
}

fn sealed_len(info: &SegmentInfo, step: &Range<u64>) -> u64 {
    let range = info.groups_range(step);
    range.end - range.start
}

/// Verifies groups of a segment with all threads; answers the first damage by place.
fn groups(check: &SegmentCheck, steps: &[Range<u64>], watch: &dyn Watch) -> depot::sealed::Result<()> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut scratch = Scratch::default();
        loop {
            let Some(step) = steps.get(next.fetch_add(1, Ordering::Relaxed)).filter(|_| !watch.interrupted()) else {
                return Ok(());
            };
            watch.advance(sealed_len(check.info(), step));
            check.verify(step.clone(), &mut scratch)?;
        }
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..THREADS).map(|_| scope.spawn(work)).collect();
        let mut result = work();
        for other in others {
            let outcome: depot::sealed::Result<()> =
                other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            result = match (result, outcome) {
                (Err(one), Err(two)) if place(&two) < place(&one) => Err(two),
                (Ok(()), outcome) => outcome,
                (first, _) => first,
            };
        }
        result
    })
}

fn place(error: &depot::sealed::Error) -> u64 {
    error.place().map_or(0, |(_, offset)| offset)
}
