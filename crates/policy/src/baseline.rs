//! The baseline as data: schema, policies, class table, suites, approval rules and duties, from `baseline/`.

use crate::approval::Rules;
use crate::digest::{Digest, of_parts};
use crate::role::Conflict;
use crate::set::Source;
use api::terms::{Class, Environment, RootKind};
use std::sync::LazyLock;

/// What a class asks for (DESIGN 7), from `baseline/classes.json`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct ClassRules {
    /// The person was present at most this many seconds before the session started; `None`: not asked.
    pub presence_secs: Option<u64>,
    /// The same for export, share, approve, destroy.
    pub export_presence_secs: Option<u64>,
    /// How long a client may hold a version's keys before it renews, in seconds.
    pub lease_secs: u64,
    /// The longest unattended run, in seconds.
    pub longest_unattended_secs: u64,
    /// Days after which a domain key is due for rotation.
    pub rotation_days: u32,
    /// Version keys that one domain key may wrap, at most 2^32 (NIST SP 800-38D 8.3).
    pub wraps_max: u64,
    /// A domain key is renewed when it has wrapped this part of them, in per cent.
    pub renew_at_percent: u8,
    /// Roots that may wrap its domain keys in `prod`.
    pub prod_roots: ProdRoots,
    /// Days between asking for destruction and destruction.
    pub destroy_wait_days: u32,
    /// Approvals that destruction wants.
    pub destroy_approvals: u32,
    /// A release waits until the anchor holds its entry.
    pub waits_for_anchor: bool,
}

/// Roots that a class admits in `prod`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProdRoots {
    /// Any root.
    Any,
    /// Any but a key file.
    NotKeyFile,
    /// A hardware module or a cloud KMS, and escrow.
    HsmOrKmsWithEscrow,
}

impl ProdRoots {
    /// Whether a root of this kind may wrap the class's keys in `prod`.
    #[must_use]
    pub const fn admits(self, kind: RootKind) -> bool {
        match self {
            Self::Any => true,
            Self::NotKeyFile => !matches!(kind, RootKind::Keyfile),
            Self::HsmOrKmsWithEscrow => matches!(kind, RootKind::Hsm | RootKind::Kms | RootKind::Escrow),
        }
    }
}

/// The pinned class table; none only if the embedded file is broken, which a test excludes.
#[must_use]
pub fn class_rules(class: Class) -> Option<&'static ClassRules> {
    static TABLE: LazyLock<Option<Classes>> = LazyLock::new(|| Tables::embedded().ok().map(|tables| tables.classes));
    TABLE.as_ref().map(|classes| classes.of(class))
}

/// Whether a root of this kind may wrap keys of a class in an environment: `prod_roots` of the class table. The guardrails of
/// `roots.cedar` ask besides whether the roots that may are enough.
#[must_use]
pub fn admits_root(class: Class, environment: Environment, kind: RootKind) -> bool {
    environment != Environment::Prod || class_rules(class).is_some_and(|rules| rules.prod_roots.admits(kind))
}

/// The number of this baseline. Any change of a file in `baseline/` raises it, so that a vault tells a program that is older than
/// its policies from one that is newer.
pub const EDITION: u32 = 1;

/// SHA-256 over every file of the baseline (`spec/policy.md#hashes`).
pub(crate) fn digest() -> Digest {
    static DIGEST: LazyLock<Digest> = LazyLock::new(|| {
        let named = |(name, text): &(&'static str, &'static str)| [name.as_bytes(), text.as_bytes()];
        let files = GUARDRAILS.iter().chain(PERMITS).chain(DATA).flat_map(named);
        of_parts(std::iter::once(b"strongroom/v1/policy/baseline".as_slice()).chain(files))
    });
    *DIGEST
}

/// The class table.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Classes {
    public: ClassRules,
    internal: ClassRules,
    confidential: ClassRules,
    restricted: ClassRules,
}

impl Classes {
    pub(crate) const fn of(&self, class: Class) -> &ClassRules {
        match class {
            Class::Public => &self.public,
            Class::Internal => &self.internal,
            Class::Confidential => &self.confidential,
            Class::Restricted => &self.restricted,
        }
    }
}

/// The tables that go with every set.
#[derive(Debug, Clone)]
pub(crate) struct Tables {
    pub(crate) classes: Classes,
    pub(crate) approvals: Rules,
    pub(crate) conflicts: Vec<Conflict>,
}

impl Tables {
    pub(crate) fn embedded() -> Result<Self, serde_json::Error> {
        Ok(Self {
            classes: serde_json::from_str(include_str!("../../../baseline/classes.json"))?,
            approvals: serde_json::from_str(include_str!("../../../baseline/approvals.json"))?,
            conflicts: serde_json::from_str(include_str!("../../../baseline/duties.json"))?,
        })
    }
}

/// The pinned schema, in Cedar's syntax.
pub(crate) const SCHEMA: &str = include_str!("../../../baseline/schema.cedarschema");

macro_rules! files {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../../baseline/", $name))),)*]
    };
}

/// Guardrails: a set without them is refused.
pub(crate) const GUARDRAILS: &[(&str, &str)] = files! {
    "guardrails/principal.cedar" "guardrails/artifact.cedar" "guardrails/restricted.cedar"
    "guardrails/export.cedar" "guardrails/presence.cedar" "guardrails/duties.cedar" "guardrails/roots.cedar"
};

/// Permits of the roles; an organisation may replace them.
pub(crate) const PERMITS: &[(&str, &str)] = files! { "permits/roles.cedar" "permits/solo.cedar" };

/// What goes with the policies.
const DATA: &[(&str, &str)] =
    files! { "schema.cedarschema" "classes.json" "crypto.toml" "approvals.json" "duties.json" };

/// Every source of the baseline, named `baseline/...`.
pub(crate) fn sources() -> Vec<Source> {
    let source = |(name, text): &(&str, &str)| Source { name: format!("baseline/{name}"), text: (*text).to_owned() };
    GUARDRAILS.iter().chain(PERMITS).map(source).collect()
}
