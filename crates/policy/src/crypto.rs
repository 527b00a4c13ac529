//! Which algorithms protect what, and since when: `baseline/crypto.toml`, or an organisation's table in its place.

mod dated;
mod form;

use crate::baseline::admits_root;
use api::terms::{Class, Environment, RootKind, Suite, Timestamp};
use dated::{Among, BEGINNING, NoSteps, Steps};
use std::sync::OnceLock;

/// Which suite seals and which suites are opened, which roots wrap and which only open, for each class and environment and at each
/// time; what a guess at a passphrase costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crypto {
    vault: Suite,
    public: Rule,
    internal: Rule,
    confidential: Rule,
    restricted: Rule,
    passphrase: Passphrases,
    /// When anything changes, in order.
    dates: Vec<Timestamp>,
}

/// A table that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// Longer than a vault keeps.
    #[error("the table is longer than {} bytes", Crypto::MAX_LEN_BYTES)]
    TooLong,
    /// Not of its form; with the place.
    #[error("the table of suites is not of its form: {0}")]
    Form(String),
    /// Nothing could be written.
    #[error("class {class} in {environment} writes no suite {}", since(*.at))]
    Unwritten {
        /// The class.
        class: Class,
        /// The environment.
        environment: Environment,
        /// From when on.
        at: Timestamp,
    },
    /// What is written could not be opened.
    #[error("class {class} in {environment} writes suite `{suite}`, which it does not let be read {}", since(*.at))]
    Unreadable {
        /// The class.
        class: Class,
        /// The environment.
        environment: Environment,
        /// What it writes.
        suite: Suite,
        /// From when on.
        at: Timestamp,
    },
    /// No root that opens could wrap.
    #[error("class {class} in {environment} lets no root wrap that opens again {}", since(*.at))]
    Unwrapped {
        /// The class.
        class: Class,
        /// The environment.
        environment: Environment,
        /// From when on.
        at: Timestamp,
    },
    /// What is wrapped could not be opened.
    #[error("class {class} in {environment} lets a {root} root wrap, which may not open {}", since(*.at))]
    Unopened {
        /// The class.
        class: Class,
        /// The environment.
        environment: Environment,
        /// The kind of root.
        root: RootKind,
        /// From when on.
        at: Timestamp,
    },
    /// A new passphrase root would be refused at once.
    #[error("a passphrase of suite `{suite}` costs less than is opened {}", since(*.at))]
    Weak {
        /// The suite.
        suite: Suite,
        /// From when on.
        at: Timestamp,
    },
}

/// When a fault of a table begins, in words.
fn since(at: Timestamp) -> String {
    if at == BEGINNING { "before its first date".to_owned() } else { format!("from {at}") }
}

/// What a guess at a passphrase costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stretch {
    /// Argon2id, of suite `default`.
    Argon2id(Argon2id),
    /// PBKDF2-HMAC-SHA-256, of suite `nist`.
    Pbkdf2(Pbkdf2),
}

/// Parameters of Argon2id. Whoever uses them bounds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2id {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

/// Parameters of PBKDF2. Whoever uses them bounds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pbkdf2 {
    /// Iterations.
    pub iterations: u32,
}

/// Of one class; environments that differ have their own.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    whole: Place,
    dev: Option<Place>,
    staging: Option<Place>,
    prod: Option<Place>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    write: Steps<Suite>,
    read: Among<Suite>,
    /// Without lines about roots, the class table alone says.
    roots: Option<Kinds>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Kinds {
    wrap: Among<RootKind>,
    open: Among<RootKind>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Passphrases {
    default: Steps<Argon2id>,
    nist: Steps<Pbkdf2>,
    least_default: Among<Argon2id>,
    least_nist: Among<Pbkdf2>,
}

impl Crypto {
    /// The baseline's table, as text.
    pub const BASELINE: &str = include_str!("../../../baseline/crypto.toml");
    /// The longest table, in bytes: it is a row of the vault, and in the log.
    pub const MAX_LEN_BYTES: usize = 8_192;

    /// Reads a table. Every class has its lines, and at every time a suite that writes and is opened, and a root that may wrap and open.
    ///
    /// # Errors
    /// [`CryptoError`], with the time at which a gap begins.
    pub fn parse(text: &str) -> Result<Self, CryptoError> {
        if text.len() > Self::MAX_LEN_BYTES {
            return Err(CryptoError::TooLong);
        }
        let form: form::Table = toml::from_str(text).map_err(|error| CryptoError::Form(error.to_string()))?;
        let mut table = Self {
            vault: form.vault.suite,
            public: Rule::new(Class::Public, form.class.public)?,
            internal: Rule::new(Class::Internal, form.class.internal)?,
            confidential: Rule::new(Class::Confidential, form.class.confidential)?,
            restricted: Rule::new(Class::Restricted, form.class.restricted)?,
            passphrase: Passphrases::new(form.passphrase)?,
            dates: Vec::new(),
        };
        table.dates = table.all_dates();
        let dates: Vec<Timestamp> = std::iter::once(BEGINNING).chain(table.dates.iter().copied()).collect();
        dates.into_iter().try_for_each(|at| table.checked(at))?;
        Ok(table)
    }

    fn all_dates(&self) -> Vec<Timestamp> {
        let mut dates: Vec<Timestamp> = self.passphrase.dates();
        for rule in [&self.public, &self.internal, &self.confidential, &self.restricted] {
            for place in [Some(&rule.whole), rule.dev.as_ref(), rule.staging.as_ref(), rule.prod.as_ref()] {
                place.into_iter().for_each(|place| dates.extend(place.dates()));
            }
        }
        dates.sort_unstable();
        dates.dedup();
        dates
    }

    /// That nothing is missing from then on until the next date.
    fn checked(&self, at: Timestamp) -> Result<(), CryptoError> {
        for (class, environment) in places() {
            let suite = self.writes(class, environment, at);
            if !self.reads(class, environment, suite, at) {
                return Err(CryptoError::Unreadable { class, environment, suite, at });
            }
            let wraps = |root: &&RootKind| self.wraps(class, environment, **root, at);
            for root in RootKind::ALL.iter().filter(wraps) {
                if !self.opens(class, environment, *root, at) {
                    return Err(CryptoError::Unopened { class, environment, root: *root, at });
                }
            }
            // An escrow wraps, and opens nothing in daily life.
            if !RootKind::ALL.iter().filter(wraps).any(|root| *root != RootKind::Escrow) {
                return Err(CryptoError::Unwrapped { class, environment, at });
            }
        }
        let weak = Suite::ALL.iter().find(|suite| !self.bears(self.stretch(**suite, at), at));
        weak.map_or(Ok(()), |suite| Err(CryptoError::Weak { suite: *suite, at }))
    }

    /// The baseline's.
    ///
    /// # Errors
    /// [`CryptoError`] only if the embedded file is broken, which a test excludes.
    pub fn baseline() -> Result<Self, CryptoError> {
        static TABLE: OnceLock<Result<Crypto, CryptoError>> = OnceLock::new();
        TABLE.get_or_init(|| Self::parse(Self::BASELINE)).clone()
    }

    /// The suite of the vault's own keys.
    #[must_use]
    pub const fn vault(&self) -> Suite {
        self.vault
    }

    /// The suite of new versions and of new domain keys.
    #[must_use]
    pub fn writes(&self, class: Class, environment: Environment, at: Timestamp) -> Suite {
        self.place(class, environment).write.at(at)
    }

    /// Whether versions of this suite are opened.
    #[must_use]
    pub fn reads(&self, class: Class, environment: Environment, suite: Suite, at: Timestamp) -> bool {
        self.place(class, environment).read.has(suite, at)
    }

    /// Whether a root of this kind may wrap keys of a class in an environment: the class table lets it, and this one.
    #[must_use]
    pub fn wraps(&self, class: Class, environment: Environment, root: RootKind, at: Timestamp) -> bool {
        let kinds = self.kinds(class, environment);
        admits_root(class, environment, root) && kinds.is_none_or(|kinds| kinds.wrap.has(root, at))
    }

    /// Whether what a root of this kind wrapped there is opened.
    #[must_use]
    pub fn opens(&self, class: Class, environment: Environment, root: RootKind, at: Timestamp) -> bool {
        let kinds = self.kinds(class, environment);
        admits_root(class, environment, root) && kinds.is_none_or(|kinds| kinds.open.has(root, at))
    }

    /// Whether it says anything of roots that the class table does not.
    #[must_use]
    pub fn speaks_of_roots(&self) -> bool {
        places().any(|(class, environment)| self.kinds(class, environment).is_some())
    }

    /// How a passphrase becomes a new root of a suite.
    #[must_use]
    pub fn stretch(&self, suite: Suite, at: Timestamp) -> Stretch {
        match suite {
            Suite::Default => Stretch::Argon2id(self.passphrase.default.at(at)),
            Suite::Nist => Stretch::Pbkdf2(self.passphrase.nist.at(at)),
        }
    }

    /// Whether a passphrase root of this cost is opened.
    #[must_use]
    pub fn bears(&self, cost: Stretch, at: Timestamp) -> bool {
        match cost {
            Stretch::Argon2id(is) => self.passphrase.least_default.at(at).all(|least| is.is_at_least(least)),
            Stretch::Pbkdf2(is) => self.passphrase.least_nist.at(at).all(|least| is.iterations >= least.iterations),
        }
    }

    /// Every cost that a line names, at whatever time.
    pub fn costs(&self) -> impl Iterator<Item = Stretch> + '_ {
        let Passphrases { default, nist, least_default, least_nist } = &self.passphrase;
        let argon = default.all().chain(least_default.all()).map(Stretch::Argon2id);
        argon.chain(nist.all().chain(least_nist.all()).map(Stretch::Pbkdf2))
    }

    /// When anything changes, in order.
    #[must_use]
    pub fn dates(&self) -> &[Timestamp] {
        &self.dates
    }

    /// Since when something has held that holds at a time; none if it has from the beginning.
    pub fn since(&self, at: Timestamp, holds: impl Fn(Timestamp) -> bool) -> Option<Timestamp> {
        let mut since = None;
        for date in self.dates.iter().rev().filter(|date| **date <= at) {
            if !holds(*date) {
                return since;
            }
            since = Some(*date);
        }
        since.filter(|_| !holds(BEGINNING))
    }

    /// The first time between two, both included, at which something holds.
    pub fn first(&self, at: Timestamp, end: Timestamp, holds: impl Fn(Timestamp) -> bool) -> Option<Timestamp> {
        let later = self.dates.iter().copied().filter(|date| at < *date && *date <= end);
        std::iter::once(at).chain(later).find(|time| holds(*time))
    }

    const fn rule(&self, class: Class) -> &Rule {
        match class {
            Class::Public => &self.public,
            Class::Internal => &self.internal,
            Class::Confidential => &self.confidential,
            Class::Restricted => &self.restricted,
        }
    }

    fn place(&self, class: Class, environment: Environment) -> &Place {
        let rule = self.rule(class);
        rule.differs(environment).unwrap_or(&rule.whole)
    }

    /// An environment whose lines say nothing of roots has those of its class.
    fn kinds(&self, class: Class, environment: Environment) -> Option<&Kinds> {
        let own = self.place(class, environment).roots.as_ref();
        own.or(self.rule(class).whole.roots.as_ref())
    }
}

impl Argon2id {
    const fn is_at_least(self, least: Self) -> bool {
        self.memory_kib >= least.memory_kib && self.passes >= least.passes
    }
}

fn places() -> impl Iterator<Item = (Class, Environment)> {
    Class::ALL.iter().flat_map(|class| Environment::ALL.iter().map(|environment| (*class, *environment)))
}

fn no_steps(error: NoSteps, gap: impl Fn(Timestamp) -> CryptoError) -> CryptoError {
    match error {
        NoSteps::Form(why) => CryptoError::Form(why),
        NoSteps::Gap(at) => gap(at),
    }
}

impl Rule {
    fn new(class: Class, form: form::Rule) -> Result<Self, CryptoError> {
        let form::Rule { write, read, wrap, open, dev, staging, prod } = form;
        let first = form::Place { write, read, wrap, open };
        let own = |environment: Environment, place: Option<form::Place>| {
            place.map(|place| Place::new(class, environment, place)).transpose()
        };
        Ok(Self {
            whole: Place::new(class, Environment::Dev, first)?,
            dev: own(Environment::Dev, dev)?,
            staging: own(Environment::Staging, staging)?,
            prod: own(Environment::Prod, prod)?,
        })
    }

    const fn differs(&self, environment: Environment) -> Option<&Place> {
        match environment {
            Environment::Dev => self.dev.as_ref(),
            Environment::Staging => self.staging.as_ref(),
            Environment::Prod => self.prod.as_ref(),
        }
    }
}

impl Place {
    fn new(class: Class, environment: Environment, form: form::Place) -> Result<Self, CryptoError> {
        let gap = |at| CryptoError::Unwritten { class, environment, at };
        let write = form::steps(form.write).map_err(|error| no_steps(error, gap))?;
        let read = form::among(form.read).map_err(CryptoError::Form)?;
        let kinds = |line: Vec<_>| form::among(line).map_err(CryptoError::Form);
        let roots = match (form.wrap.map(kinds).transpose()?, form.open.map(kinds).transpose()?) {
            (None, None) => None,
            (Some(wrap), open) => Some(Kinds { open: open.unwrap_or_else(|| wrap.clone()), wrap }),
            (None, Some(_)) => {
                let why = format!("class {class} says which roots open (`open`) and not which wrap (`wrap`)");
                return Err(CryptoError::Form(why));
            }
        };
        Ok(Self { write, read, roots })
    }

    fn dates(&self) -> impl Iterator<Item = Timestamp> + '_ {
        let roots = self.roots.iter().flat_map(|kinds| kinds.wrap.dates().chain(kinds.open.dates()));
        self.write.dates().chain(self.read.dates()).chain(roots)
    }
}

impl Passphrases {
    fn new(form: form::Passphrases) -> Result<Self, CryptoError> {
        let gap = |at| CryptoError::Form(format!("a new passphrase root has no cost {}", since(at)));
        let floors = form.read.unwrap_or(form::Floors { default: None, nist: None });
        let (default, nist) = (floors.default.map(form::One::into_vec), floors.nist.map(form::One::into_vec));
        Ok(Self {
            default: form::steps(form.default).map_err(|error| no_steps(error, gap))?,
            nist: form::steps(form.nist).map_err(|error| no_steps(error, gap))?,
            least_default: form::among(default.unwrap_or_default()).map_err(CryptoError::Form)?,
            least_nist: form::among(nist.unwrap_or_default()).map_err(CryptoError::Form)?,
        })
    }

    fn dates(&self) -> Vec<Timestamp> {
        let argon = self.default.dates().chain(self.least_default.dates());
        argon.chain(self.nist.dates()).chain(self.least_nist.dates()).collect()
    }
}

#[cfg(test)]
mod tests;
