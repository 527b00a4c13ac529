//! `key check`: what the vault's table, the class table and the cryptoperiods do not allow of what is there, now or at a time to come,
//! each with the command that mends it. It changes nothing.

use super::domains::{kept, place_of, wraps_of};
use super::list::wraps_under;
use super::named::{self, Named};
use crate::acts::{Wanted, look};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::facts;
use crate::rows::{Guard, NamedVersion, Root, Version};
use crate::session::Session;
use crate::suites::hands::Hands;
use crate::suites::{stretch_of, worded_cost};
use crate::vault::file::VaultFile;
use crate::vault::{RootKind, open};
use api::terms::{Action, Class, Environment, KeyId, KeyState, Suite, Timestamp, VersionId};
use api::wire::{KeyCheck, KeyChecked, KeyFinding, KeyWrong};
use policy::{Crypto, Stretch};
use std::sync::Arc;

/// The most findings told of; others are counted.
const MAX_FINDINGS: usize = 1_000;
/// Versions read at a time.
pub(super) const PAGE: i64 = 1_000;
/// What brings everything back that can be without a person.
pub(super) const MIGRATE: &str = "strongroom key migrate";

/// A class in an environment.
type Place = (Class, Environment);

/// Everything that is out of policy.
pub(crate) fn check(engine: &Engine, session: &Session, command: &KeyCheck) -> Result<KeyChecked> {
    look(engine, session, &Wanted::vault(Action::ManageKeys, "key.check"))?;
    let now = engine.now()?;
    // A time that is past is over already: nothing is less out of policy by it.
    let at = command.at.unwrap_or(now).max(now);
    let until = at.plus_millis(command.within_secs.saturating_mul(1_000));
    let table = engine.store.read(|tx| engine.crypto(tx))?;
    let blank =
        || Scan { engine, table: Arc::clone(&table), at, until, items: Listed::default(), coming: Listed::default() };
    let mut scan = blank();
    scan.passphrases(&VaultFile::read_of(engine)?)?;
    // A read may run again.
    scan.join(engine.store.read(|tx| {
        let mut scan = blank();
        scan.domains(tx)?;
        scan.values(tx)?;
        Ok::<_, Error>(scan)
    })?);
    scan.versions()?;
    let Scan { items, coming, .. } = scan;
    Ok(KeyChecked {
        ok: items.found.is_empty(),
        at,
        until,
        items: items.found,
        more: items.more,
        coming: coming.found,
        coming_more: coming.more,
    })
}

/// Findings, the first of them in full.
#[derive(Debug, Default)]
struct Listed {
    found: Vec<KeyFinding>,
    more: u64,
}

impl Listed {
    fn push(&mut self, finding: KeyFinding) {
        if self.found.len() < MAX_FINDINGS {
            self.found.push(finding);
        } else {
            self.more += 1;
        }
    }

    fn join(&mut self, other: Self) {
        other.found.into_iter().for_each(|finding| self.push(finding));
        self.more += other.more;
    }
}

/// What is looked at.
#[derive(Debug, Clone)]
struct What<'a> {
    key: KeyId,
    of: &'a str,
    mend: &'a str,
}

struct Scan<'a> {
    engine: &'a Engine,
    table: Arc<Crypto>,
    at: Timestamp,
    until: Timestamp,
    items: Listed,
    coming: Listed,
}

impl Scan<'_> {
    fn join(&mut self, other: Self) {
        self.items.join(other.items);
        self.coming.join(other.coming);
    }

    /// Tells of something that holds at a time, at the first one at which it does; whether it does already.
    fn told(
        &mut self,
        (wrong, what): (KeyWrong, &What<'_>),
        why: impl Fn(&Crypto, Timestamp) -> String,
        holds: impl Fn(&Crypto, Timestamp) -> bool,
    ) -> bool {
        let table = Arc::clone(&self.table);
        let Some(first) = table.first(self.at, self.until, |time| holds(&table, time)) else { return false };
        let is_now = first == self.at;
        let since = if is_now { table.since(first, |time| holds(&table, time)) } else { Some(first) };
        let (key, of, mend) = (what.key, what.of.to_owned(), what.mend.to_owned());
        let finding = KeyFinding { wrong, key, of, why: why(&table, first), since, mend };
        if is_now {
            self.items.push(finding)
        } else {
            self.coming.push(finding)
        }
        is_now
    }

    /// A suite that is not written, and one that is not opened.
    fn suite(&mut self, what: &What<'_>, (class, environment): Place, suite: Suite) {
        let unread = |_: &Crypto, _| format!("it is of suite `{suite}`, which is not opened there");
        let shut = |table: &Crypto, time| !table.reads(class, environment, suite, time);
        let is_shut = self.told((KeyWrong::Unread, what), unread, shut);
        if !is_shut {
            let why = |table: &Crypto, time| {
                let written = table.writes(class, environment, time);
                format!("it is of suite `{suite}`, and `{written}` is written there")
            };
            self.told((KeyWrong::Suite, what), why, |table, time| table.writes(class, environment, time) != suite);
        }
    }

    /// Passphrase roots that cost a guesser too little.
    fn passphrases(&mut self, file: &VaultFile) -> Result<()> {
        for entry in file.roots.iter().filter(|entry| entry.kind == RootKind::Passphrase) {
            let cost = stretch_of(open::params(entry)?.cost());
            let mend = format!("strongroom root rotate {}", entry.id);
            let what = What { key: entry.id, of: "passphrase root", mend: &mend };
            let costs = worded_cost(cost);
            let why = |_: &Crypto, _| format!("a guess at it costs {costs}, which is not opened");
            let weak = self.told((KeyWrong::Weak, &what), why, |table, time| !table.bears(cost, time));
            if !weak {
                let suite = self.engine.info.suite;
                let why = |table: &Crypto, time| {
                    let new = worded_cost(table.stretch(suite, time));
                    format!("a guess at it costs {costs}, at a new one {new}")
                };
                self.told((KeyWrong::Cost, &what), why, |table, time| is_below(cost, table.stretch(suite, time)));
            }
        }
        Ok(())
    }

    /// Domain keys: their suite, their time, their roots, and what lies under those that are out of use.
    fn domains(&mut self, tx: &mut dyn Transaction) -> Result<()> {
        let guard = &self.engine.keys.guard;
        let (roots, hands) = (counting(tx, guard)?, Hands::of(self.engine, tx)?);
        let keys = kept(tx, guard)?;
        for key in keys.iter().filter(|key| key.ending.is_none()) {
            let Some(domain) = key.domain else { continue };
            let of = place_of(tx, guard, &domain, key.purpose)?;
            let resumed = format!("strongroom key resume {} --reason REASON; then {MIGRATE}", key.id);
            let mend = if key.state == KeyState::Suspended { resumed.as_str() } else { MIGRATE };
            let what = What { key: key.id, of: &of, mend };
            let place = (domain.class, domain.environment);
            if key.state.protects() || key.state == KeyState::Suspended {
                let suite = key.suite;
                let why = |table: &Crypto, time| {
                    let written = table.writes(place.0, place.1, time);
                    format!("it is of suite `{suite}`, and `{written}` is written there")
                };
                let drifted = |table: &Crypto, time| table.writes(place.0, place.1, time) != suite;
                self.told((KeyWrong::Suite, &what), why, drifted);
                self.due(&what, key.due);
            }
            if key.state.protects() {
                self.hands(&what, place, &hands);
            }
            self.roots(tx, &what, place, &roots)?;
            let spent = matches!(key.state, KeyState::Deactivated | KeyState::Compromised);
            let wraps = if spent { wraps_under(tx, key)? } else { 0 };
            if wraps > 0 {
                let why = format!("{wraps} keys lie under it, and it is {}", key.state);
                let since = Some(key.since);
                let (key, of, mend) = (key.id, of, MIGRATE.to_owned());
                self.items.push(KeyFinding { wrong: KeyWrong::Unfinished, key, of, why, since, mend });
            }
        }
        Ok(())
    }

    /// A domain whose next key nobody at hand may wrap, from a date on.
    fn hands(&mut self, what: &What<'_>, place: Place, hands: &Hands) {
        let mend = "strongroom root ls; then strongroom root add --help";
        let why = |_: &Crypto, _| "no root at hand may wrap its next key, and what seals there stops".to_owned();
        let none = |table: &Crypto, time| hands.are_empty(table, place, time);
        self.told((KeyWrong::Away, &What { mend, ..what.clone() }), why, none);
    }

    /// Roots that wrap a domain key and may not, and a key that none may open.
    fn roots(&mut self, tx: &mut dyn Transaction, what: &What<'_>, place: Place, roots: &[Root]) -> Result<()> {
        let wraps = wraps_of(tx, &self.engine.keys.guard, what.key)?;
        let wrapping: Vec<&Root> = roots.iter().filter(|root| wraps.iter().any(|wrap| wrap.under == root.id)).collect();
        let (class, environment) = place;
        for root in &wrapping {
            let term = root.term();
            let why = |_: &Crypto, _| format!("the {term} root {} wraps it, and may not wrap there", root.id);
            self.told((KeyWrong::Root, what), why, |table, time| !table.wraps(class, environment, term, time));
        }
        if wrapping.is_empty() {
            return Ok(());
        }
        let none = |table: &Crypto, time| {
            !wrapping.iter().any(|root| !root.kind.only_wraps() && table.opens(class, environment, root.term(), time))
        };
        let mend = "strongroom root add --help; then strongroom key migrate";
        let why = |_: &Crypto, _| "no root that wraps it may open it there".to_owned();
        self.told((KeyWrong::Locked, &What { mend, ..what.clone() }), why, none);
        Ok(())
    }

    fn due(&mut self, what: &What<'_>, due: Option<Timestamp>) {
        if let Some(due) = due.filter(|due| *due <= self.until) {
            let (key, of, mend) = (what.key, what.of.to_owned(), what.mend.to_owned());
            let (list, why) = if due <= self.at {
                (&mut self.items, "its cryptoperiod is over")
            } else {
                (&mut self.coming, "its cryptoperiod ends: it is followed by another before that")
            };
            list.push(KeyFinding { wrong: KeyWrong::Overdue, key, of, why: why.to_owned(), since: Some(due), mend });
        }
    }

    /// Named keys: the version that seals, and when those before it open no more.
    fn values(&mut self, tx: &mut dyn Transaction) -> Result<()> {
        for named in named::all(self.engine, tx)? {
            let domain = named.row.domain;
            let place = (domain.class, domain.environment);
            for version in named.versions(self.engine, tx)? {
                let of = format!("{} v{}", named.path(), version.number);
                let newest = version.key == named.newest.key;
                if version.state == KeyState::Destroyed {
                    continue;
                }
                if newest && version.state.protects() {
                    let what = What { key: version.key, of: &of, mend: MIGRATE };
                    self.suite(&what, place, version.suite);
                    self.due(&what, version.due);
                } else {
                    self.outgoing(&of, place, &version);
                }
            }
        }
        Ok(())
    }

    /// Whether values of it exist, nobody here knows: what shuts them is told while it is to come.
    fn outgoing(&mut self, of: &str, (class, environment): Place, version: &NamedVersion) {
        let shut = |table: &Crypto, time| !table.reads(class, environment, version.suite, time);
        if shut(&self.table, self.at) {
            return;
        }
        let what = What { key: version.key, of, mend: "strongroom encrypt --renew" };
        let suite = version.suite;
        let why = |_: &Crypto, _| format!("values of it are of suite `{suite}`, which is not opened there");
        self.told((KeyWrong::Values, &what), why, shut);
    }

    /// Versions whose suite is not written any more, or not even opened.
    fn versions(&mut self) -> Result<()> {
        let mut after = VersionId::from_bytes([0; 16]);
        loop {
            let engine = self.engine;
            let page: Vec<(Version, String)> = engine.store.read(|tx| {
                let mut page = Vec::new();
                for version in page_after(engine, tx, after)? {
                    let named = if self.drifts(&version) && version.removed.is_none() {
                        facts::found_by_id(engine, tx, version.id)?.map(|found| found.named())
                    } else {
                        None
                    };
                    page.push((version, named.unwrap_or_default()));
                }
                Ok::<_, Error>(page)
            })?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = last.id;
            for (version, of) in page.iter().filter(|(_, of)| !of.is_empty()) {
                let anew = format!("strongroom key reencrypt {of}");
                let mend = match version.archived {
                    Some(_) => format!("strongroom key unarchive {of} --reason REASON; then {anew}"),
                    None => anew,
                };
                let what = What { key: version.key, of, mend: &mend };
                self.suite(&what, (version.class, version.environment), version.suite);
            }
        }
    }

    /// Whether there is anything to tell of versions like this one.
    fn drifts(&self, version: &Version) -> bool {
        let Version { class, environment, suite, .. } = *version;
        let table = &self.table;
        let drifted =
            |time| table.writes(class, environment, time) != suite || !table.reads(class, environment, suite, time);
        table.first(self.at, self.until, drifted).is_some()
    }
}

/// The roots that count.
pub(super) fn counting(tx: &mut dyn Transaction, guard: &Guard) -> Result<Vec<Root>> {
    let rows: Vec<Root> = guard.select(tx, "ORDER BY id", &[])?;
    Ok(rows.into_iter().filter(|root| root.state.counts()).collect())
}

/// A page of versions in order of id.
pub(super) fn page_after(engine: &Engine, tx: &mut dyn Transaction, after: VersionId) -> Result<Vec<Version>> {
    engine.keys.guard.select(tx, "WHERE id > $1 ORDER BY id LIMIT $2", &[after.as_bytes().into(), PAGE.into()])
}

/// Whether a cost is below another one of the same function.
fn is_below(is: Stretch, new: Stretch) -> bool {
    match (is, new) {
        (Stretch::Argon2id(is), Stretch::Argon2id(new)) => is.memory_kib < new.memory_kib || is.passes < new.passes,
        (Stretch::Pbkdf2(is), Stretch::Pbkdf2(new)) => is.iterations < new.iterations,
        _ => false,
    }
}

/// What is said of a key that stands still.
pub(super) fn aside(key: KeyId, of: String, why: String, mend: String) -> KeyFinding {
    KeyFinding { wrong: KeyWrong::Aside, key, of, why, since: None, mend }
}

/// A named key's version that sealed before.
pub(super) fn outgoing(named: &Named, version: &NamedVersion, written: Suite) -> KeyFinding {
    KeyFinding {
        wrong: KeyWrong::Values,
        key: version.key,
        of: format!("{} v{}", named.path(), version.number),
        why: format!("values of it are of suite `{}`, and `{written}` is written there", version.suite),
        since: None,
        mend: "strongroom encrypt --renew".to_owned(),
    }
}
