//! Which algorithms protect what: `baseline/crypto.toml`, or an organisation's table in its place.

use api::terms::{Class, Environment, Suite};
use std::sync::OnceLock;

/// Which suite seals and which suites are opened, for each class and environment; what a guess at a passphrase costs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crypto {
    vault: Vault,
    class: Classes,
    passphrase: Passphrases,
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
    /// What is written could not be opened.
    #[error("class {class} writes suite `{suite}`, which it does not let be read")]
    Unreadable {
        /// The class.
        class: Class,
        /// What it writes.
        suite: Suite,
    },
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Argon2id {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

/// Parameters of PBKDF2. Whoever uses them bounds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pbkdf2 {
    /// Iterations.
    pub iterations: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Vault {
    suite: Suite,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Classes {
    public: Rule,
    internal: Rule,
    confidential: Rule,
    restricted: Rule,
}

/// Of one class; environments that differ have their own.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    write: Suite,
    read: Vec<Suite>,
    dev: Option<Place>,
    staging: Option<Place>,
    prod: Option<Place>,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    write: Suite,
    read: Vec<Suite>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Passphrases {
    default: Argon2id,
    nist: Pbkdf2,
}

impl Crypto {
    /// The baseline's table, as text.
    pub const BASELINE: &str = include_str!("../../../baseline/crypto.toml");
    /// The longest table, in bytes: it is a row of the vault, and in the log.
    pub const MAX_LEN_BYTES: usize = 4_096;

    /// Reads a table. Every class has its lines, and opens what it writes.
    ///
    /// # Errors
    /// [`CryptoError`].
    pub fn parse(text: &str) -> Result<Self, CryptoError> {
        if text.len() > Self::MAX_LEN_BYTES {
            return Err(CryptoError::TooLong);
        }
        let table: Self = toml::from_str(text).map_err(|error| CryptoError::Form(error.to_string()))?;
        for class in Class::ALL {
            for environment in Environment::ALL {
                let suite = table.writes(*class, *environment);
                if !table.reads(*class, *environment, suite) {
                    return Err(CryptoError::Unreadable { class: *class, suite });
                }
            }
        }
        Ok(table)
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
        self.vault.suite
    }

    /// The suite of new versions and of new domain keys.
    #[must_use]
    pub const fn writes(&self, class: Class, environment: Environment) -> Suite {
        let rule = self.of(class);
        match rule.differs(environment) {
            Some(place) => place.write,
            None => rule.write,
        }
    }

    /// Whether versions of this suite are opened.
    #[must_use]
    pub fn reads(&self, class: Class, environment: Environment, suite: Suite) -> bool {
        let rule = self.of(class);
        rule.differs(environment).map_or(&rule.read, |place| &place.read).contains(&suite)
    }

    /// How a passphrase becomes a root of a suite.
    #[must_use]
    pub const fn stretch(&self, suite: Suite) -> Stretch {
        match suite {
            Suite::Default => Stretch::Argon2id(self.passphrase.default),
            Suite::Nist => Stretch::Pbkdf2(self.passphrase.nist),
        }
    }

    const fn of(&self, class: Class) -> &Rule {
        match class {
            Class::Public => &self.class.public,
            Class::Internal => &self.class.internal,
            Class::Confidential => &self.class.confidential,
            Class::Restricted => &self.class.restricted,
        }
    }
}

impl Rule {
    const fn differs(&self, environment: Environment) -> Option<&Place> {
        match environment {
            Environment::Dev => self.dev.as_ref(),
            Environment::Staging => self.staging.as_ref(),
            Environment::Prod => self.prod.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASELINE: &str = Crypto::BASELINE;

    fn parse(from: &str, to: &str) -> Result<Crypto, CryptoError> {
        assert!(BASELINE.contains(from), "{from}");
        Crypto::parse(&BASELINE.replacen(from, to, 1))
    }

    #[test]
    fn the_baseline_writes_the_default_suite_and_reads_both() {
        let table = Crypto::baseline().unwrap();
        assert_eq!(table.vault(), Suite::Default);
        for (class, environment) in Class::ALL.iter().flat_map(|c| Environment::ALL.iter().map(move |e| (*c, *e))) {
            assert_eq!(table.writes(class, environment), Suite::Default);
            assert!(Suite::ALL.iter().all(|suite| table.reads(class, environment, *suite)));
        }
        let Stretch::Argon2id(argon) = table.stretch(Suite::Default) else { panic!("Argon2id") };
        assert_eq!((argon.memory_kib, argon.passes, argon.lanes), (65_536, 3, 4));
        assert_eq!(table.stretch(Suite::Nist), Stretch::Pbkdf2(Pbkdf2 { iterations: 600_000 }));
    }

    #[test]
    fn a_class_or_one_environment_of_it_may_differ() {
        let class = "[class.restricted]\nwrite = \"default\"\nread = [\"default\", \"nist\"]";
        let nist = "[class.restricted]\nwrite = \"nist\"\nread = [\"nist\"]";
        let table = parse(class, nist).unwrap();
        for environment in Environment::ALL {
            assert_eq!(table.writes(Class::Restricted, *environment), Suite::Nist);
            assert!(!table.reads(Class::Restricted, *environment, Suite::Default));
            assert_eq!(table.writes(Class::Confidential, *environment), Suite::Default);
        }
        let prod = format!("{class}\n\n[class.restricted.prod]\nwrite = \"nist\"\nread = [\"nist\"]");
        let table = parse(class, &prod).unwrap();
        assert_eq!(table.writes(Class::Restricted, Environment::Prod), Suite::Nist);
        assert_eq!(table.writes(Class::Restricted, Environment::Staging), Suite::Default);
        assert!(!table.reads(Class::Restricted, Environment::Prod, Suite::Default));
        assert!(table.reads(Class::Restricted, Environment::Dev, Suite::Nist));
    }

    #[test]
    fn a_table_that_is_not_one_is_refused() {
        for (from, to) in [
            ("suite = \"default\"", ""),
            ("suite = \"default\"", "suite = \"fips\""),
            ("suite = \"default\"", "suite = \"default\"\nmore = 1"),
            ("suite = \"default\"", "suite = \"default\"\nsuite = \"nist\""),
            ("[class.public]", "[class.secret]"),
            ("[class.public]", "[class.public.test]"),
            ("read = [\"default\", \"nist\"]", "read = \"default\""),
            ("read = [\"default\", \"nist\"]", ""),
            ("iterations = 600000", "iterations = -1"),
            ("iterations = 600000", "iterations = 4294967296"),
            ("lanes = 4", "lanes = 4\nhash = \"sha1\""),
        ] {
            assert!(matches!(parse(from, to), Err(CryptoError::Form(_))), "{from} -> {to}");
        }
        for read in ["[]", "[\"nist\"]"] {
            let refused = parse("read = [\"default\", \"nist\"]", &format!("read = {read}"));
            assert_eq!(refused, Err(CryptoError::Unreadable { class: Class::Public, suite: Suite::Default }));
        }
        let prod = "[class.public.prod]\nwrite = \"default\"\nread = [\"nist\"]\n\n[class.internal]";
        assert!(matches!(parse("[class.internal]", prod), Err(CryptoError::Unreadable { .. })));
        assert_eq!(Crypto::parse(&" ".repeat(Crypto::MAX_LEN_BYTES + 1)), Err(CryptoError::TooLong));
        for cut in 0..BASELINE.find("iterations").unwrap() {
            assert!(Crypto::parse(&BASELINE[..cut]).is_err(), "cut at {cut}");
        }
    }
}
