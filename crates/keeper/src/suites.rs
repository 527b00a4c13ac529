//! Which suites are written and read, and which roots wrap and open, at each time: the baseline's table, or the organisation's in its
//! place. Dates are compared with the time that the keeper has reached, which never goes back by itself.

pub(crate) mod hands;
pub(crate) mod lockout;

use crate::acts::{Act, Wanted, act, look};
use crate::clock::Watch;
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::epochs;
use crate::error::{Error, Result};
use crate::facts::Found;
use crate::hash;
use crate::journal::Logged;
use crate::rows::{Domain, Guard, PolicySet, Setting};
use crate::session::Session;
use crate::vault::file::RootEntry;
use crate::vault::{RootKind as RootMade, open};
use api::terms::{Action, Class, Environment, RootKind, Suite, Timestamp};
use api::wire::SuitesShown;
use policy::{Argon2id, Crypto, Pbkdf2, Stretch};
use seal::passphrase::Cost;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// The setting that holds the organisation's table; empty for the baseline's, so that a row that is gone is missed.
pub(crate) const SETTING: &str = "crypto";

/// The table that was read last, with the keeper's time. Whether it is still in force, the row under its MAC says each time.
#[derive(Debug)]
pub(crate) struct Suites {
    loaded: RwLock<(String, Arc<Crypto>)>,
    /// How often another one came in its place.
    replaced: AtomicU64,
    watch: Arc<Watch>,
}

/// Which table, and between which of its dates: what was allowed at another one is asked for again.
pub(crate) type Stamp = (u64, usize);

impl Suites {
    /// With a table that was read.
    pub(crate) fn new(text: String, table: Crypto, watch: Arc<Watch>) -> Self {
        watch.heed(table.dates());
        Self { loaded: RwLock::new((text, Arc::new(table))), replaced: AtomicU64::new(0), watch }
    }

    /// The table that was read last.
    pub(crate) fn known(&self) -> Arc<Crypto> {
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner).1)
    }

    /// The time that counts.
    pub(crate) fn reached(&self) -> Timestamp {
        self.watch.reached()
    }

    /// What changes when another table is in force, or a date of it has passed.
    pub(crate) fn stamp(&self) -> Stamp {
        let now = self.watch.reached();
        let passed = self.known().dates().iter().filter(|date| **date <= now).count();
        (self.replaced.load(Ordering::Acquire), passed)
    }

    /// Whether a root of a kind may wrap the keys of a place now; the vault's own keys are under every root.
    pub(crate) fn may_wrap(&self, place: Option<&Domain>, root: RootKind) -> bool {
        let now = self.watch.reached();
        place.is_none_or(|domain| self.known().wraps(domain.class, domain.environment, root, now))
    }

    /// Whether what it wrapped is opened now.
    pub(crate) fn may_open(&self, place: Option<&Domain>, root: RootKind) -> bool {
        let now = self.watch.reached();
        place.is_none_or(|domain| self.known().opens(domain.class, domain.environment, root, now))
    }

    /// Refuses a passphrase root that costs a guesser less than is opened now.
    pub(crate) fn refuse_weak(&self, entry: &RootEntry) -> Result<()> {
        weak(&self.known(), entry, self.watch.reached())
    }

    /// The table in force in this transaction.
    pub(crate) fn of(&self, tx: &mut dyn Transaction, guard: &Guard) -> Result<Arc<Crypto>> {
        let text = setting(tx, guard)?;
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone();
        if loaded.0 == text {
            return Ok(loaded.1);
        }
        let table = Arc::new(parsed(&text)?);
        self.watch.heed(table.dates());
        self.watch.catch_up(tx)?;
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = (text, Arc::clone(&table));
        self.replaced.fetch_add(1, Ordering::AcqRel);
        Ok(table)
    }
}

/// What the row says.
pub(crate) fn setting(tx: &mut dyn Transaction, guard: &Guard) -> Result<String> {
    Ok(guard.expect::<Setting>(tx, &Setting::id_of(SETTING))?.value)
}

/// The table that a row holds.
pub(crate) fn parsed(text: &str) -> Result<Crypto> {
    let table = if text.is_empty() { Crypto::baseline() } else { Crypto::parse(text) };
    table.map_err(|error| Error::bad("the table of suites", error.to_string()))
}

/// A table from outside, whose costs of a passphrase are within the bounds, each, whichever is used when.
pub(crate) fn checked(text: &str) -> Result<Crypto> {
    let table = parsed(text)?;
    if table.costs().all(|cost| cost_of(cost).is_bounded()) {
        return Ok(table);
    }
    Err(Error::bad("the table of suites", "a cost of a passphrase is out of bounds (spec/keys.md#limits)"))
}

/// What a guess at a new passphrase root costs.
pub(crate) fn cost(table: &Crypto, suite: Suite, at: Timestamp) -> Cost {
    cost_of(table.stretch(suite, at))
}

const fn cost_of(stretch: Stretch) -> Cost {
    match stretch {
        Stretch::Argon2id(Argon2id { memory_kib, passes, lanes }) => Cost::Argon2id { memory_kib, passes, lanes },
        Stretch::Pbkdf2(Pbkdf2 { iterations }) => Cost::Pbkdf2 { iterations },
    }
}

/// The other way round.
pub(crate) const fn stretch_of(cost: Cost) -> Stretch {
    match cost {
        Cost::Argon2id { memory_kib, passes, lanes } => Stretch::Argon2id(Argon2id { memory_kib, passes, lanes }),
        Cost::Pbkdf2 { iterations } => Stretch::Pbkdf2(Pbkdf2 { iterations }),
    }
}

/// Refuses a passphrase root that costs a guesser less than the table lets be opened at a time. What is no passphrase has no cost.
pub(crate) fn weak(table: &Crypto, entry: &RootEntry, at: Timestamp) -> Result<()> {
    if entry.kind != RootMade::Passphrase {
        return Ok(());
    }
    let cost = stretch_of(open::params(entry)?.cost());
    if table.bears(cost, at) {
        return Ok(());
    }
    let since = table.since(at, |time| !table.bears(cost, time));
    Err(Error::RootWeak { root: entry.id, costs: worded_cost(cost), since })
}

/// A cost in words.
pub(crate) fn worded_cost(cost: Stretch) -> String {
    match cost {
        Stretch::Argon2id(Argon2id { memory_kib, passes, .. }) => format!("{memory_kib} KiB and {passes} passes"),
        Stretch::Pbkdf2(Pbkdf2 { iterations }) => format!("{iterations} iterations"),
    }
}

/// Refuses what is sealed in a suite that its class and environment do not let be opened at a time. `mend` seals it in another one.
pub(crate) fn refuse_unread(
    table: &Crypto,
    (class, environment): (Class, Environment),
    suite: Suite,
    at: Timestamp,
    mend: impl FnOnce() -> String,
) -> Result<()> {
    if table.reads(class, environment, suite, at) {
        return Ok(());
    }
    let since = table.since(at, |time| !table.reads(class, environment, suite, time));
    Err(Error::SuiteShut { class, suite, since, mend: mend() })
}

/// The same for a version, under the table in force.
pub(crate) fn refuse_unread_version(
    engine: &Engine,
    tx: &mut dyn Transaction,
    found: &Found,
    at: Timestamp,
) -> Result<()> {
    let version = &found.version;
    let mend = || format!("strongroom key reencrypt {}", found.named());
    let table = engine.crypto(tx)?;
    refuse_unread(&table, (version.class, version.environment), version.suite, at, mend)
}

/// The table in force, as text.
pub(crate) fn shown(engine: &Engine) -> Result<SuitesShown> {
    let text = engine.store.read(|tx| setting(tx, &engine.keys.guard))?;
    Ok(SuitesShown { table: worded(&text), own: !text.is_empty(), warnings: Vec::new(), receipt: None })
}

fn worded(text: &str) -> String {
    if text.is_empty() { Crypto::BASELINE.to_owned() } else { text.to_owned() }
}

/// What a table would shut, without putting it in force.
pub(crate) fn looked_at(engine: &Engine, session: &Session, text: &str) -> Result<SuitesShown> {
    let table = fitting(engine, text)?;
    look(engine, session, &Wanted::vault(Action::ManagePolicy, "policy.suites"))?;
    let now = engine.now()?;
    let warnings = engine.store.read(|tx| lockout::told(engine, tx, (&table, now), None))?;
    Ok(SuitesShown { table: worded(text), own: !text.is_empty(), warnings, receipt: None })
}

/// A table that this vault can have.
fn fitting(engine: &Engine, text: &str) -> Result<Crypto> {
    let table = checked(text)?;
    if !text.is_empty() && table.vault() != engine.info.suite {
        let why = format!("the vault's own keys have suite `{}` since it was made", engine.info.suite);
        return Err(Error::conflict("the table of suites", why));
    }
    Ok(table)
}

/// Puts a table in the place of the one in force. Versions keep the suite that they have. One that locks out is refused unless that is
/// what is wanted.
pub(crate) fn apply(engine: &Engine, session: &Session, text: &str, may_lock_out: bool) -> Result<SuitesShown> {
    let table = fitting(engine, text)?;
    let wanted = Wanted::vault(Action::ManagePolicy, "policy.suites");
    // Whatever was decided under the table before is decided again: it is policy.
    let (logged, warnings) = act(engine, session, &wanted, &[PolicySet::row_id()], |tx, act| {
        let warnings = lockout::told(engine, tx, (&table, act.now), None)?;
        if !warnings.is_empty() && !may_lock_out {
            return Err(Error::LocksOut(warnings));
        }
        Ok((write(engine, tx, act, text, &warnings)?, warnings))
    })?;
    let receipt = Some(engine.settled(&logged)?);
    Ok(SuitesShown { table: worded(text), own: !text.is_empty(), warnings, receipt })
}

fn write(engine: &Engine, tx: &mut dyn Transaction, act: &Act<'_>, text: &str, warnings: &[String]) -> Result<Logged> {
    let guard = &engine.keys.guard;
    let before = setting(tx, guard)?;
    let row = Setting { name: SETTING.to_owned(), value: text.to_owned() };
    let change = guard.update(tx, &row, act.ticket)?;
    epochs::bump(tx, &PolicySet::row_id())?;
    let digest = |text: &str| hex::encode(hash::sha256(worded(text).as_bytes()));
    let event = act
        .event("policy.suites")
        .on("before", digest(&before))
        .on("after", digest(text))
        .with("locks_out", warnings.len())
        .changing(vec![change]);
    let logged = engine.log(tx, act.ticket, &act.by, &[event])?;
    logged.first().copied().ok_or(Error::Internal("an entry was lost"))
}
