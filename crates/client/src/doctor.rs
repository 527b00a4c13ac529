//! `doctor`: what around a vault is not as it should be, why that matters, and what mends it.
//!
//! Most checks need no key, so that they work where the vault does not open. A check says `unknown` where it could not look; it
//! never takes that for well.

mod access;
mod machine;
mod mend;
mod place;
mod remains;
pub mod spills;
#[cfg(test)]
mod tests;

pub use mend::Mend;

use crate::Client;
use api::terms::{Code, VaultId};
use api::wire::{Freshness, Problem};
use std::path::PathBuf;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As it should be.
    Ok,
    /// It could not be looked at.
    Unknown,
    /// Worth knowing; nothing is broken by it.
    Warning,
    /// To be mended.
    Finding,
}

/// What one check found.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Check {
    /// Its name, which stays the same.
    pub name: &'static str,
    /// How it came out.
    pub state: State,
    /// What was found.
    pub what: String,
    /// Why it matters.
    pub why: &'static str,
    /// What a person can do.
    #[serde(rename = "try", skip_serializing_if = "Option::is_none")]
    pub try_: Option<String>,
    /// What `--fix` would do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// What `--fix` did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
    /// How.
    #[serde(skip)]
    pub mend: Option<Mend>,
}

impl Check {
    fn of(unit: &Unit, state: State, what: String) -> Self {
        Self { name: unit.name, state, what, why: unit.why, try_: None, fix: None, fixed: None, mend: None }
    }

    /// With what a person can do.
    #[must_use]
    fn with_try(self, hint: impl Into<String>) -> Self {
        Self { try_: Some(hint.into()), ..self }
    }

    /// With what mends it safely.
    #[must_use]
    fn mended_by(self, mend: Mend) -> Self {
        Self { fix: Some(mend.to_string()), mend: Some(mend), ..self }
    }

    /// Does what `--fix` does, and says what became of it.
    pub fn fix(&mut self) {
        let Some(mend) = self.mend.take() else { return };
        match mend.apply() {
            Ok(done) => {
                self.state = State::Ok;
                self.fixed = Some(done);
                self.fix = None;
            }
            Err(error) => self.what = format!("{}; it could not be mended: {error}", self.what),
        }
    }
}

/// A check's name, and why it matters.
struct Unit {
    name: &'static str,
    why: &'static str,
}

impl Unit {
    const fn new(name: &'static str, why: &'static str) -> Self {
        Self { name, why }
    }
    fn ok(&self, what: impl Into<String>) -> Check {
        Check::of(self, State::Ok, what.into())
    }
    fn unknown(&self, what: impl Into<String>) -> Check {
        Check::of(self, State::Unknown, what.into())
    }
    fn warning(&self, what: impl Into<String>) -> Check {
        Check::of(self, State::Warning, what.into())
    }
    fn finding(&self, what: impl Into<String>) -> Check {
        Check::of(self, State::Finding, what.into())
    }
}

/// What the checks look at.
#[derive(Debug, Clone)]
pub struct Places {
    /// The vault folder.
    pub dir: PathBuf,
    /// The vault, if its file can be read.
    pub vault: Option<VaultId>,
    /// The key file, if that is what opens it.
    pub keyfile: Option<PathBuf>,
    /// The key files of its other roots, which are no copies.
    pub keyfiles: Vec<PathBuf>,
    /// The anchor.
    pub anchor: Option<PathBuf>,
    /// The user's configuration.
    pub config: Option<PathBuf>,
    /// The file that holds the passphrase, if one is named.
    pub passphrase_file: Option<PathBuf>,
    /// The working folder.
    pub here: PathBuf,
    /// Where `proc`, `sys` and `run` are.
    pub system: PathBuf,
}

/// Every check that needs no key.
pub fn examine(places: &Places) -> Vec<Check> {
    let mut checks = access::checks(places);
    checks.extend(place::checks(places));
    checks.extend(machine::checks(&places.system));
    checks.extend(remains::checks(places));
    checks
}

/// The name of the check whether the vault opens, and takes what is written.
pub const OPENS_NAME: &str = "opens";
const OPENS: Unit = Unit::new(OPENS_NAME, "what cannot be opened cannot be checked, and not be used");
const CLOCK: Unit = Unit::new("clock", "leases, windows and the ends of grants go by the clock of this machine");
const FRESHNESS: Unit = Unit::new("freshness", "only the anchor tells this vault from an older copy of it");
const ROOTS: Unit = Unit::new("roots", "whoever loses every root loses all data");
const KEYS: Unit = Unit::new("keys", "each class has a time after which its keys are to be rotated");
const DRAFTS: Unit = Unit::new("drafts", "what a killed put uploaded fills the depot until it is collected");
const VERIFIED: Unit = Unit::new("verified", "damage in the depot is found only by whoever looks");

/// What is said when the vault did not open: why, and what could not be checked then.
pub fn unopened(problem: &Problem) -> Vec<Check> {
    let unit = if matches!(problem.code, Code::ClockBack | Code::ClockAhead) { &CLOCK } else { &OPENS };
    let found = unit.finding(format!("{}: {}", problem.what, problem.why));
    let found = match &problem.try_ {
        Some(hint) => found.with_try(hint.clone()),
        None => found,
    };
    let rest = [&CLOCK, &OPENS, &FRESHNESS, &ROOTS, &KEYS, &DRAFTS, &VERIFIED];
    let rest = rest.into_iter().filter(|other| other.name != unit.name);
    std::iter::once(found).chain(rest.map(|unit| unit.unknown("the vault did not open"))).collect()
}

impl Client {
    /// The checks that ask the keeper.
    ///
    /// # Errors
    /// The keeper's refusal.
    pub fn examine(&self) -> Result<Vec<Check>, Problem> {
        let status = self.status()?;
        let opens = match &status.read_only {
            Some(why) => OPENS.finding(format!("the vault is read-only: {why}")).with_try("strongroom audit verify"),
            None => OPENS.ok("the vault opens"),
        };
        let fresh = match status.freshness {
            Freshness::Proven => FRESHNESS.ok("the log is as new as the anchor"),
            Freshness::Unproven => FRESHNESS
                .warning("there is no anchor to compare the log with")
                .with_try("strongroom audit verify --new-anchor, if this is the newest copy of the vault"),
        };
        let roots = match status.roots.len() {
            1 => ROOTS.warning("one root opens this vault, and nothing else").with_try("keep a copy of it apart"),
            count => ROOTS.ok(format!("{count} roots open this vault")),
        };
        let keys = match status.keys_due {
            0 => KEYS.ok("no key is due"),
            due => KEYS.warning(format!("{due} domain keys are due")).with_try("strongroom key rotate"),
        };
        let drafts = match status.drafts {
            0 => DRAFTS.ok("no version is unfinished"),
            count => DRAFTS.warning(format!("{count} versions are unfinished")).with_try("strongroom gc"),
        };
        let clock = CLOCK.ok("within the bounds of the vault's own");
        Ok(vec![opens, clock, fresh, roots, keys, drafts, self.looked_at_lately()])
    }

    /// When the depot was read last, as the vault's jobs say.
    fn looked_at_lately(&self) -> Check {
        let job = self.jobs().ok().and_then(|jobs| jobs.items.into_iter().find(|job| job.name == crate::verify::JOB));
        let Some(job) = job else { return VERIFIED.unknown("the vault does not say when the depot was read last") };
        match (job.last, job.overdue) {
            (Some(last), false) => VERIFIED.ok(format!("the depot was read at {last}")),
            (None, false) => VERIFIED.ok("a look at the depot is not due yet"),
            (last, true) => {
                let since = last.map_or_else(|| "never".to_owned(), |last| format!("at {last} last"));
                VERIFIED.warning(format!("the depot was read {since}")).with_try("strongroom verify --sample 5%")
            }
        }
    }
}
