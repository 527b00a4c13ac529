//! `key migrate`: everything that is out of policy is brought back, a step at a time. The vault is the list of what is left to do: a
//! kill loses nothing, and two of them at once do nothing twice.

use crate::Client;
use crate::seat::{Why, unexpected};
use crate::watch::{Watch, check};
use api::terms::{Class, Code};
use api::wire::{
    Answer, Command, KeyCheck, KeyChecked, KeyFinding, KeyPlanned, KeyRotate, KeyUnmade, NamedDrift, Problem,
    VersionDrift, WrapsMended,
};
use std::collections::BTreeSet;

/// What is said when somebody stops it.
const DOING: &str = "key migrate";
/// How often the keys are looked at again: an unfinished rotation is gone on with before there is another.
const MAX_ROUNDS: usize = 8;
/// The most versions and findings that are told of; others are counted.
const MAX_TOLD: usize = 1_000;

/// What is to be done, in the order in which it is.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct MigratePlan {
    /// Domain keys that are followed by others.
    pub domains: Vec<String>,
    /// Named keys that are, `workspace/name`.
    pub named: Vec<String>,
    /// Keys that are wrapped again for it already.
    pub rewraps: u64,
    /// Wraps that go.
    pub wraps: u64,
    /// How many versions are sealed anew.
    pub versions: u64,
    /// Their plaintext bytes.
    pub bytes: u64,
    /// The first 1,000 of them.
    pub first: Vec<VersionDrift>,
    /// Restricted artifacts among them, which whoever agrees to the plan confirms by that. At most 1,000: others wait for another plan.
    pub restricted: BTreeSet<String>,
    /// What is left for people. At most 1,000.
    pub left: Vec<KeyFinding>,
}

/// What was done.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct MigrateReport {
    /// New domain keys.
    pub domains: u64,
    /// New versions of named keys.
    pub named: u64,
    /// Keys that were wrapped again.
    pub rewrapped: u64,
    /// Wraps that were made under roots that may.
    pub wraps_made: u64,
    /// Wraps that were removed.
    pub wraps_removed: u64,
    /// Wraps that stay, because nothing else opens the key here.
    pub wraps_kept: u64,
    /// Versions that were sealed anew.
    pub versions: u64,
    /// Their plaintext bytes.
    pub bytes: u64,
    /// Versions that somebody else was at.
    pub skipped: u64,
    /// Versions that were not, and why. At most 1,000.
    pub failed: Vec<MigrateFailure>,
    /// Domain keys and named keys that were not followed, and why.
    pub unmade: Vec<KeyUnmade>,
    /// What is left for people. At most 1,000.
    pub left: Vec<KeyFinding>,
}

/// A version that was not sealed anew.
#[derive(Debug, Clone, serde::Serialize)]
pub struct MigrateFailure {
    /// `workspace/artifact@vN`.
    pub reference: String,
    /// Why.
    pub problem: Problem,
}

impl MigratePlan {
    /// Whether there is nothing to do but for people.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty() && self.named.is_empty() && self.rewraps + self.wraps + self.versions == 0
    }
}

impl Client {
    /// What is out of policy.
    ///
    /// # Errors
    /// `denied`.
    pub fn key_check(&self, asked: KeyCheck) -> Result<KeyChecked, Problem> {
        match self.seat().call(Command::KeyCheck(asked))? {
            Answer::KeyChecked(checked) => Ok(*checked),
            other => Err(unexpected(&other)),
        }
    }

    /// What it takes to bring everything back.
    ///
    /// # Errors
    /// `denied`.
    pub fn migrate_plan(&self) -> Result<MigratePlan, Problem> {
        let mut page = self.planned(None)?;
        let mut plan = MigratePlan {
            domains: std::mem::take(&mut page.domains),
            named: page.named.iter().map(|named| format!("{}/{}", named.workspace, named.name)).collect(),
            rewraps: page.rewraps,
            wraps: page.wraps,
            ..MigratePlan::default()
        };
        loop {
            plan.versions += page.versions.len() as u64;
            plan.bytes += page.versions.iter().map(|version| version.bytes).sum::<u64>();
            for version in page.versions.iter().filter(|version| version.class == Class::Restricted) {
                if plan.restricted.len() < MAX_TOLD {
                    plan.restricted.insert(version.path.clone());
                }
            }
            let room = MAX_TOLD.saturating_sub(plan.first.len());
            plan.first.extend(page.versions.into_iter().take(room));
            add(&mut plan.left, page.left);
            let Some(next) = page.next else { return Ok(plan) };
            page = self.planned(Some(next))?;
        }
    }

    /// Brings everything back, or goes on with that. A version that cannot be sealed anew keeps none of the others from it. Restricted
    /// artifacts are sealed anew if the plan that was agreed to names them.
    ///
    /// # Errors
    /// `denied`; `interrupted`; `disk-full`: what was done stays, and the same command goes on.
    pub fn migrate(&self, agreed: &MigratePlan, why: &Why, watch: &dyn Watch) -> Result<MigrateReport, Problem> {
        let mut report = MigrateReport::default();
        watch.note("1 of 4: domain keys");
        self.follow_domains(&mut report, watch)?;
        watch.note("2 of 4: named keys");
        for NamedDrift { workspace, name } in self.planned(None)?.named {
            check(watch, DOING)?;
            let of = format!("{workspace}/{name}");
            let (workspace, name) = (Some(workspace), Some(name));
            let done = self.rotate(KeyRotate { workspace, name, out_of_policy: true, ..KeyRotate::default() });
            match done {
                Ok(done) => report.named += done.keys.len() as u64,
                // Another one of these was faster, or a custodian has set it aside.
                Err(problem) if matches!(problem.code, Code::Conflict | Code::Gone) => {}
                Err(problem) if is_of_one_key(problem.code) => report.unmade.push(KeyUnmade { of, problem }),
                Err(problem) => return Err(problem),
            }
        }
        watch.note("3 of 4: wraps under roots");
        check(watch, DOING)?;
        let mended = self.mend_wraps()?;
        report.wraps_made = mended.made;
        report.wraps_removed = mended.removed;
        report.wraps_kept = mended.kept;
        watch.note("4 of 4: versions");
        self.seal_all(&mut report, (agreed, why), watch)?;
        Ok(report)
    }

    /// Domain keys, until none is out of policy and nothing is left under those before them, or no round changes that any more. One that
    /// cannot be followed keeps no other one from it.
    fn follow_domains(&self, report: &mut MigrateReport, watch: &dyn Watch) -> Result<(), Problem> {
        let mut before = None;
        for _ in 0..MAX_ROUNDS {
            check(watch, DOING)?;
            let planned = self.planned(None)?;
            let left = (planned.domains, planned.rewraps);
            if left == (Vec::new(), 0) || before.as_ref() == Some(&left) {
                return Ok(());
            }
            match self.rotate(KeyRotate { out_of_policy: true, ..KeyRotate::default() }) {
                Ok(done) => {
                    let named = done.keys.iter().filter(|key| key.name.is_some()).count();
                    report.domains += (done.keys.len() - named) as u64;
                    report.named += named as u64;
                    report.rewrapped += done.rewrapped;
                    // Another one of these was faster.
                    let lost = |failed: &KeyUnmade| failed.problem.code != Code::Conflict;
                    report.unmade = done.failed.into_iter().filter(lost).collect();
                    if left.0.is_empty() && done.rewrapped == 0 {
                        // What is left lies under a key whose domain is set aside.
                        return Ok(());
                    }
                }
                Err(problem) if problem.code == Code::Conflict => {}
                Err(problem) => return Err(problem),
            }
            before = Some(left);
        }
        Ok(())
    }

    /// Versions, a page at a time; what is left is looked for again.
    fn seal_all(&self, report: &mut MigrateReport, of: (&MigratePlan, &Why), watch: &dyn Watch) -> Result<(), Problem> {
        let mut page = self.planned(None)?;
        loop {
            for version in &page.versions {
                check(watch, DOING)?;
                self.seal_one(version, report, of, watch)?;
            }
            add(&mut report.left, page.left);
            let Some(next) = page.next else { return Ok(()) };
            page = self.planned(Some(next))?;
        }
    }

    fn seal_one(
        &self,
        version: &VersionDrift,
        report: &mut MigrateReport,
        (agreed, why): (&MigratePlan, &Why),
        watch: &dyn Watch,
    ) -> Result<(), Problem> {
        let why = Why { confirm: agreed.restricted.get(&version.path).cloned(), ..why.clone() };
        match self.reencrypt_unless(&version.reference, Some(version.written), &why, watch) {
            // Somebody else came first.
            Ok(None) => {}
            Ok(Some(done)) => {
                watch.note(&format!("sealed anew: {}", done.version));
                report.versions += 1;
                report.bytes += done.bytes;
            }
            Err(problem) if stops(problem.code) => return Err(problem),
            Err(problem) if problem.code == Code::Conflict => report.skipped += 1,
            Err(problem) => {
                if report.failed.len() < MAX_TOLD {
                    report.failed.push(MigrateFailure { reference: version.reference.clone(), problem });
                }
            }
        }
        Ok(())
    }

    fn planned(&self, after: Option<api::terms::VersionId>) -> Result<KeyPlanned, Problem> {
        match self.seat().call(Command::KeyPlan { after })? {
            Answer::KeyPlanned(planned) => Ok(*planned),
            other => Err(unexpected(&other)),
        }
    }

    fn mend_wraps(&self) -> Result<WrapsMended, Problem> {
        match self.seat().call(Command::WrapsMend)? {
            Answer::WrapsMended(mended) => Ok(mended),
            other => Err(unexpected(&other)),
        }
    }
}

/// Whether the others would fail in the same way. A vault that was locked is told by the next page.
const fn stops(code: Code) -> bool {
    matches!(code, Code::Interrupted | Code::DiskFull | Code::Unavailable | Code::ClockBack | Code::ClockAhead)
}

/// Whether it may be of one key's roots alone.
const fn is_of_one_key(code: Code) -> bool {
    matches!(code, Code::RootRefused | Code::Unavailable | Code::Unsupported)
}

fn add(left: &mut Vec<KeyFinding>, more: Vec<KeyFinding>) {
    let room = MAX_TOLD.saturating_sub(left.len());
    left.extend(more.into_iter().take(room));
}
