//! What a key ever touched, from the log alone: one verified pass over every entry, so that no writer of the database hides anything.
//!
//! A version key does not change when it is wrapped again, and whoever has a compromised domain key and any older copy of the database has
//! every version key that it ever wrapped. So a version is touched if its key was made under the domain key or moved to it, at whatever
//! time, and every release of it counts, those before and after too.

use super::by_id::{ById, Id};
use crate::engine::Engine;
use crate::error::Result;
use crate::hash;
use crate::rows::IncidentAbout;
use api::terms::{KeyId, Timestamp, WorkspaceId};
use log::proof::Head;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The key that is asked about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject {
    pub(super) key: KeyId,
    pub(super) about: IncidentAbout,
    pub(super) workspace: WorkspaceId,
}

/// A version key that was touched, and its version.
#[derive(Debug, Clone, Copy)]
pub(super) struct Touched {
    pub(super) key: Id,
    pub(super) version: Id,
    pub(super) artifact: Id,
    /// The key under which it was made.
    pub(super) under: Id,
    pub(super) by: Id,
    /// The entry that made it.
    pub(super) begun: u64,
    /// The commit of the version, and its digest.
    pub(super) committed: Option<(u64, [u8; 32])>,
    pub(super) destroyed: Option<u64>,
}

/// How keys were handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Read,
    Export,
    Share,
    Write,
}

/// That keys were handed out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Handed {
    pub(super) index: u64,
    pub(super) at: Timestamp,
    pub(super) entry: Id,
    pub(super) by: Id,
    /// The version; of prints, which are asked for by artifact, that.
    pub(super) about: Id,
    pub(super) is_version: bool,
    pub(super) how: How,
    /// How it is named: its place in [`Radius::acts`].
    act: u16,
    /// To how many others.
    pub(super) shared: u32,
}

/// What somebody was handed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Person {
    pub(super) reads: u64,
    pub(super) exports: u64,
    pub(super) shares: u64,
    pub(super) writes: u64,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
}

/// Everything that a key touched, in the order of the log.
#[derive(Debug)]
pub(super) struct Radius {
    pub(super) head: Head,
    pub(super) keys: Vec<Touched>,
    pub(super) handed: Vec<Handed>,
    pub(super) people: BTreeMap<Id, Person>,
    acts: Vec<String>,
}

impl Radius {
    /// Reads the log; `up_to` a head that it had before, if it is to be what it was then.
    pub(super) fn read(engine: &Engine, subject: &Subject, up_to: Option<Head>) -> Result<Self> {
        let seen = Mutex::new(Seen::default());
        let size = up_to.map_or(u64::MAX, |head| head.size);
        let workspace = subject.workspace.to_string();
        let visit = |index: u64, body: &[u8]| {
            if index >= size {
                return Ok(());
            }
            let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
            if !concerns(text) {
                return Ok(());
            }
            let entry: Entry<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
            if entry.subject.workspace.is_some_and(|other| other != workspace) {
                return Ok(());
            }
            let fact = entry.fact(index, subject.key).map_err(str::to_owned)?;
            seen.lock().unwrap_or_else(PoisonError::into_inner).take(&entry, fact)
        };
        let signed = engine.ledger.visit(up_to, &visit)?;
        let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(seen.about(subject, up_to.unwrap_or(signed.head)))
    }

    /// How an act is named.
    pub(super) fn act(&self, handed: &Handed) -> &str {
        self.acts.get(usize::from(handed.act)).map_or("", String::as_str)
    }
}

/// Whether an entry may be of those that are looked for: most are told apart by how they begin, or hold.
fn concerns(text: &str) -> bool {
    const ACTS: [&str; 5] = [
        "{\"act\":\"version.",
        "{\"act\":\"key.rewrap\"",
        "{\"act\":\"key.archive\"",
        "{\"act\":\"key.unarchive\"",
        "{\"act\":\"key.gone\"",
    ];
    ACTS.iter().any(|act| text.starts_with(act))
        || text.contains("\"kind\":\"release\"")
        || text.contains("\"under\":\"")
}

/// The members of an entry that count here; it is one that was signed, so nothing else of it is looked at.
#[derive(Deserialize)]
struct Entry<'a> {
    act: &'a str,
    kind: &'a str,
    id: &'a str,
    principal: &'a str,
    time: &'a str,
    #[serde(borrow, default)]
    subject: Names<'a>,
    #[serde(borrow, default)]
    detail: Detail<'a>,
    #[serde(borrow, default)]
    state: Vec<Change<'a>>,
}

#[derive(Deserialize, Default)]
struct Names<'a> {
    artifact: Option<&'a str>,
    digest: Option<&'a str>,
    from: Option<&'a str>,
    key: Option<&'a str>,
    replaces: Option<&'a str>,
    to: Option<&'a str>,
    under: Option<&'a str>,
    version: Option<&'a str>,
    workspace: Option<&'a str>,
}

#[derive(Deserialize, Default)]
struct Detail<'a> {
    shared_with: Option<&'a str>,
}

#[derive(Deserialize)]
struct Change<'a> {
    #[serde(default)]
    commitment: Option<&'a str>,
    id: &'a str,
    table: &'a str,
}

/// A version key that was made.
struct Made {
    touched: Touched,
    wrap: Option<Id>,
}

/// What an entry tells.
#[derive(Default)]
struct Fact {
    made: Option<Made>,
    /// Wraps that came under the key, or left it.
    moved: Vec<Id>,
    committed: Option<(Id, (u64, [u8; 32]))>,
    /// Of a key that takes the place of another.
    sealed_anew: Option<(Id, (u64, [u8; 32]))>,
    destroyed: Option<(Id, u64)>,
    /// Wraps that went with what they held.
    gone: Vec<(Id, u64)>,
    handed: Option<Handed>,
}

impl Entry<'_> {
    fn fact(&self, index: u64, key: KeyId) -> std::result::Result<Fact, &'static str> {
        let names = &self.subject;
        let mut fact = Fact::default();
        let wraps = || self.state.iter().filter(|change| change.table == "wrap");
        match (self.act, names.version, names.key, names.under) {
            ("key.gone" | "version.abandon", ..) => {
                let gone = wraps().filter(|change| change.commitment.is_none());
                fact.gone =
                    gone.map(|change| Ok((id(change.id)?, index))).collect::<std::result::Result<_, &'static str>>()?;
            }
            ("version.destroy", _, Some(gone), _) => fact.destroyed = Some((id(gone)?, index)),
            ("key.rewrap" | "key.archive" | "key.unarchive", ..) => {
                let key = key.to_string();
                if names.from == Some(&key) || names.to == Some(&key) {
                    fact.moved = wraps().map(|change| id(change.id)).collect::<std::result::Result<_, _>>()?;
                }
            }
            (_, Some(version), Some(made), Some(under)) if wraps().any(|change| change.commitment.is_some()) => {
                // Those of a key that was made for it come first.
                let wrap =
                    wraps().rfind(|change| change.commitment.is_some()).map(|change| id(change.id)).transpose()?;
                let touched = Touched {
                    key: id(made)?,
                    version: id(version)?,
                    artifact: id(names.artifact.ok_or("a version of no artifact")?)?,
                    under: id(under)?,
                    by: id(self.principal)?,
                    begun: index,
                    committed: None,
                    destroyed: None,
                };
                fact.made = Some(Made { touched, wrap });
            }
            _ => {}
        }
        // Of a version that is sealed anew the old key ends, and what is there from then on is of the new one.
        let (of, committed) = match (self.act, self.kind) {
            ("version.commit", "state") => (names.version, &mut fact.committed),
            ("version.reencrypt", "state") => (names.key, &mut fact.sealed_anew),
            _ => (None, &mut fact.committed),
        };
        if let (Some(of), Some(digest)) = (of, names.digest) {
            let bytes = hash::array_of_hex(digest).ok_or("a digest that is none")?;
            *committed = Some((id(of)?, (index, bytes)));
        }
        if let ("version.reencrypt", Some(gone)) = (self.act, names.replaces) {
            fact.destroyed = Some((id(gone)?, index));
        }
        fact.handed = self.handed(index)?;
        Ok(fact)
    }

    fn handed(&self, index: u64) -> std::result::Result<Option<Handed>, &'static str> {
        let how = match (self.kind, self.act, self.detail.shared_with) {
            (
                "intent",
                "version.begin" | "version.resume" | "version.reencrypt.begin" | "version.reencrypt.resume",
                _,
            ) => How::Write,
            ("release", "release.export", Some(_)) => How::Share,
            ("release", "release.export", None) => How::Export,
            ("release", ..) => How::Read,
            _ => return Ok(None),
        };
        let about = match (self.subject.version, self.subject.artifact) {
            (Some(version), _) => (id(version)?, true),
            (None, Some(artifact)) => (id(artifact)?, false),
            (None, None) => return Ok(None),
        };
        let shared = self.detail.shared_with.map_or(Ok(0), str::parse);
        Ok(Some(Handed {
            index,
            at: self.time.parse().map_err(|_| "an entry without a time")?,
            entry: id(self.id)?,
            by: id(self.principal)?,
            about: about.0,
            is_version: about.1,
            how,
            act: 0,
            shared: shared.map_err(|_| "shared with no number")?,
        }))
    }
}

fn id(text: &str) -> std::result::Result<Id, &'static str> {
    hash::array_of_hex(text).ok_or("an id that is none")
}

/// What was seen so far, in no order. Lists, that are sorted once: tables of a million ids take longer to fill.
#[derive(Default)]
struct Seen {
    made: Vec<Made>,
    moved: Vec<Id>,
    committed: Vec<(Id, (u64, [u8; 32]))>,
    sealed_anew: Vec<(Id, (u64, [u8; 32]))>,
    destroyed: Vec<(Id, u64)>,
    gone: Vec<(Id, u64)>,
    handed: Vec<Handed>,
    acts: Vec<String>,
}

impl Seen {
    fn take(&mut self, entry: &Entry<'_>, fact: Fact) -> std::result::Result<(), String> {
        self.made.extend(fact.made);
        self.moved.extend(fact.moved);
        self.committed.extend(fact.committed);
        self.sealed_anew.extend(fact.sealed_anew);
        self.destroyed.extend(fact.destroyed);
        self.gone.extend(fact.gone);
        if let Some(handed) = fact.handed {
            let known = self.acts.iter().position(|act| act == entry.act);
            let act = known.unwrap_or_else(|| {
                self.acts.push(entry.act.to_owned());
                self.acts.len() - 1
            });
            let act = u16::try_from(act).map_err(|_| "more acts than there can be")?;
            self.handed.push(Handed { act, ..handed });
        }
        Ok(())
    }

    /// What of it is of the key.
    fn about(self, subject: &Subject, head: Head) -> Radius {
        let Self { made, moved, committed, sealed_anew, destroyed, gone, mut handed, acts } = self;
        let key = *subject.key.as_bytes();
        let (moved, committed) = std::thread::scope(|scope| {
            let committed = scope.spawn(|| ById::new(committed));
            let moved = ById::new(moved.into_iter().map(|wrap| (wrap, ())).collect());
            (moved, committed.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        let (sealed_anew, destroyed, gone) = (ById::new(sealed_anew), ById::new(destroyed), ById::new(gone));
        let is_touched = |made: &Made| match subject.about {
            IncidentAbout::Domain(_) => made.touched.under == key || made.wrap.is_some_and(|wrap| moved.has(&wrap)),
            IncidentAbout::Version(_) => made.touched.key == key,
        };
        let touched = |Made { touched, wrap }: &Made| Touched {
            committed: sealed_anew.first(&touched.key).or_else(|| committed.first(&touched.version)).copied(),
            destroyed: destroyed.first(&touched.key).or_else(|| gone.first(&(*wrap)?)).copied(),
            ..*touched
        };
        let (one, other) = made.split_at(made.len() / 2);
        let of = |part: &[Made]| part.iter().filter(|made| is_touched(made)).map(touched).collect::<Vec<Touched>>();
        let mut keys = std::thread::scope(|scope| {
            let other = scope.spawn(|| of(other));
            let mut keys = of(one);
            keys.append(&mut other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            keys
        });
        drop(made);
        // Each is of an entry of its own. By a key that was taken out: these are long.
        keys.sort_by_cached_key(|touched| touched.begun);
        let each_once = |id: fn(&Touched) -> Id| {
            let mut ids: Vec<(Id, ())> = keys.iter().map(|touched| (id(touched), ())).collect();
            ids.sort_unstable();
            ids.dedup();
            ById::new(ids)
        };
        let (versions, artifacts) = (each_once(|touched| touched.version), each_once(|touched| touched.artifact));
        let whole = matches!(subject.about, IncidentAbout::Domain(_));
        handed.retain(|handed| match handed.is_version {
            true => versions.has(&handed.about),
            // Prints are handed out by artifact, and say nothing of one version.
            false => whole && artifacts.has(&handed.about),
        });
        handed.sort_by_cached_key(|handed| handed.index);
        let mut people: BTreeMap<Id, Person> = BTreeMap::new();
        for one in &handed {
            let (first, last) = (one.at, one.at);
            let new = Person { reads: 0, exports: 0, shares: 0, writes: 0, first, last };
            people.entry(one.by).or_insert(new).add(one);
        }
        Radius { head, keys, handed, people, acts }
    }
}

impl Person {
    fn add(&mut self, handed: &Handed) {
        let count = match handed.how {
            How::Read => &mut self.reads,
            How::Export => &mut self.exports,
            How::Share => &mut self.shares,
            How::Write => &mut self.writes,
        };
        *count += 1;
        self.first = self.first.min(handed.at);
        self.last = self.last.max(handed.at);
    }
}
