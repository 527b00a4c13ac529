//! The table as it is written: TOML of exactly this form.

use super::dated::{Among, Dated, NoSteps, Span, Steps};
use super::{Argon2id, Pbkdf2};
use api::terms::{RootKind, Suite};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    pub(super) vault: Vault,
    pub(super) class: Classes,
    pub(super) passphrase: Passphrases,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Vault {
    pub(super) suite: Suite,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Classes {
    pub(super) public: Rule,
    pub(super) internal: Rule,
    pub(super) confidential: Rule,
    pub(super) restricted: Rule,
}

/// Of one class; environments that differ have their own.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) write: One<Word<Suite, SuiteDated>>,
    pub(super) read: Vec<Word<Suite, SuiteDated>>,
    pub(super) wrap: Option<Vec<Word<RootKind, RootDated>>>,
    pub(super) open: Option<Vec<Word<RootKind, RootDated>>>,
    pub(super) dev: Option<Place>,
    pub(super) staging: Option<Place>,
    pub(super) prod: Option<Place>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    pub(super) write: One<Word<Suite, SuiteDated>>,
    pub(super) read: Vec<Word<Suite, SuiteDated>>,
    pub(super) wrap: Option<Vec<Word<RootKind, RootDated>>>,
    pub(super) open: Option<Vec<Word<RootKind, RootDated>>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Passphrases {
    pub(super) default: One<Argon>,
    pub(super) nist: One<Iterations>,
    pub(super) read: Option<Floors>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Floors {
    pub(super) default: Option<One<Least>>,
    pub(super) nist: Option<One<Iterations>>,
}

/// One entry, or several with dates.
#[derive(serde::Deserialize)]
#[serde(untagged, expecting = "one entry or a list of them, in which nothing is unknown")]
pub(super) enum One<T> {
    Alone(T),
    Several(Vec<T>),
}

impl<T> One<T> {
    pub(super) fn into_vec(self) -> Vec<T> {
        match self {
            Self::Alone(one) => vec![one],
            Self::Several(several) => several,
        }
    }
}

/// A word, or one with dates.
#[derive(serde::Deserialize)]
#[serde(untagged, expecting = "a word of the table, or one with `from` and `until`")]
pub(super) enum Word<T, D> {
    Always(T),
    Dated(D),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SuiteDated {
    suite: Suite,
    from: Option<String>,
    until: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RootDated {
    root: RootKind,
    from: Option<String>,
    until: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Argon {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    from: Option<String>,
    until: Option<String>,
}

/// What an Argon2id root costs at least; how many lanes it has is no cost.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Least {
    memory_kib: u32,
    passes: u32,
    from: Option<String>,
    until: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Iterations {
    iterations: u32,
    from: Option<String>,
    until: Option<String>,
}

/// What is written, and when it holds.
pub(super) trait Entry {
    type What;
    fn dated(self) -> Result<Dated<Self::What>, String>;
}

fn dated<T>(what: T, from: Option<&str>, until: Option<&str>) -> Result<Dated<T>, String> {
    Ok(Dated { what, span: Span::parse(from, until)? })
}

impl Entry for SuiteDated {
    type What = Suite;
    fn dated(self) -> Result<Dated<Suite>, String> {
        dated(self.suite, self.from.as_deref(), self.until.as_deref())
    }
}

impl Entry for RootDated {
    type What = RootKind;
    fn dated(self) -> Result<Dated<RootKind>, String> {
        dated(self.root, self.from.as_deref(), self.until.as_deref())
    }
}

impl<T, D: Entry<What = T>> Entry for Word<T, D> {
    type What = T;
    fn dated(self) -> Result<Dated<T>, String> {
        match self {
            Self::Always(what) => dated(what, None, None),
            Self::Dated(entry) => entry.dated(),
        }
    }
}

impl Entry for Argon {
    type What = Argon2id;
    fn dated(self) -> Result<Dated<Argon2id>, String> {
        let Self { memory_kib, passes, lanes, .. } = self;
        dated(Argon2id { memory_kib, passes, lanes }, self.from.as_deref(), self.until.as_deref())
    }
}

impl Entry for Least {
    type What = Argon2id;
    fn dated(self) -> Result<Dated<Argon2id>, String> {
        let Self { memory_kib, passes, .. } = self;
        dated(Argon2id { memory_kib, passes, lanes: 1 }, self.from.as_deref(), self.until.as_deref())
    }
}

impl Entry for Iterations {
    type What = Pbkdf2;
    fn dated(self) -> Result<Dated<Pbkdf2>, String> {
        dated(Pbkdf2 { iterations: self.iterations }, self.from.as_deref(), self.until.as_deref())
    }
}

/// Entries of which any may hold.
pub(super) fn among<E: Entry>(entries: Vec<E>) -> Result<Among<E::What>, String>
where
    E::What: Copy + PartialEq,
{
    Among::new(entries.into_iter().map(E::dated).collect::<Result<_, _>>()?)
}

/// Entries of which one holds at every time.
pub(super) fn steps<E: Entry>(entries: One<E>) -> Result<Steps<E::What>, NoSteps>
where
    E::What: Copy + PartialEq,
{
    Steps::new(entries.into_vec().into_iter().map(E::dated).collect::<Result<_, _>>().map_err(NoSteps::Form)?)
}
