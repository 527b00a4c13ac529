//! Keys without their bytes, the wraps that hold them, and the roots above.

use super::{RowId, Table};
use crate::datastore::Value;
use api::terms::{
    ArtifactId, Class, Environment, KeyId, KeyState, PrincipalId, Suite, Timestamp, VersionId, WorkspaceId,
};
use serde::{Deserialize, Serialize};

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Purpose {
    /// Wraps version keys of one domain.
    Domain,
    /// Wraps version keys of one domain that were moved to its archive.
    Archive,
    /// Seed of the log's Ed25519 key.
    LogEd25519,
    /// Seed of the log's ML-DSA-44 key.
    LogMldsa44,
    /// Seed of the Ed25519 key that signs envelopes and receipts.
    Release,
    /// Authenticates rows.
    RowMac,
    /// Seals personal fields.
    Field,
}

impl Purpose {
    /// Its word in answers.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Archive => "archive",
            Self::LogEd25519 => "log-ed25519",
            Self::LogMldsa44 => "log-mldsa44",
            Self::Release => "release",
            Self::RowMac => "row-mac",
            Self::Field => "field",
        }
    }
}

/// The domain of a domain key or of an archive key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Domain {
    pub(crate) workspace: WorkspaceId,
    pub(crate) environment: Environment,
    pub(crate) class: Class,
}

/// A domain key, an archive key, or one of the vault's own keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Key {
    pub(crate) id: KeyId,
    pub(crate) purpose: Purpose,
    pub(crate) domain: Option<Domain>,
    /// From 1.
    pub(crate) version: u32,
    /// Of its wraps and its fingerprint.
    pub(crate) suite: Suite,
    pub(crate) state: KeyState,
    /// Hexadecimal.
    pub(crate) fingerprint: String,
    pub(crate) created: Timestamp,
    /// When its state began.
    pub(crate) since: Timestamp,
    pub(crate) due: Option<Timestamp>,
    /// That it is to be destroyed, or was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ending: Option<Ending>,
}

/// That a domain key is to be destroyed. It opens nothing from then on; until its wraps are gone, the destruction can be cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ending {
    pub(crate) at: Timestamp,
    pub(crate) by: PrincipalId,
    /// Its wraps stay at least until then.
    pub(crate) until: Timestamp,
    /// When they were destroyed.
    pub(crate) shredded: Option<Timestamp>,
    /// When what it opened had been told of as gone, and the certificate was written.
    pub(crate) certified: Option<Timestamp>,
}

impl Table for Key {
    const NAME: &'static str = "crypto_key";
    const INDEX: &'static [&'static str] =
        &["purpose", "workspace", "environment", "class", "number", "state", "due", "ends"];
    fn id(&self) -> RowId {
        *self.id.as_bytes()
    }
    fn index(&self) -> Vec<Value<'_>> {
        let number = |n: u8| i64::from(n);
        let millis = |at: Timestamp| i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
        vec![
            self.purpose.word().into(),
            self.domain.as_ref().map(|d| d.workspace.as_bytes().as_slice()).into(),
            self.domain.map(|d| number(d.environment.number())).into(),
            self.domain.map(|d| number(d.class.number())).into(),
            i64::from(self.version).into(),
            self.state.word().into(),
            self.due.map(millis).into(),
            self.ending.as_ref().filter(|ending| ending.certified.is_none()).map(|ending| millis(ending.until)).into(),
        ]
    }
}

/// What kind of key a wrap holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WrapKind {
    /// A version key under a domain key or an archive key.
    Version,
    /// A version of a named key under a domain key.
    Named,
    /// A domain key or an archive key under a root.
    Domain,
    /// One of the vault's own keys under a root.
    Vault,
}

/// A key sealed under another one, for one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wrap {
    pub(crate) id: KeyId,
    pub(crate) kind: WrapKind,
    /// The wrapped key.
    pub(crate) key: KeyId,
    /// The suite of the wrapped key.
    pub(crate) suite: Suite,
    pub(crate) purpose: Option<Purpose>,
    pub(crate) domain: Option<Domain>,
    /// The artifact, or the named key.
    pub(crate) artifact: Option<ArtifactId>,
    pub(crate) version: Option<VersionId>,
    /// A root, a domain key or an archive key.
    pub(crate) under: KeyId,
    pub(crate) under_version: u32,
    /// Hexadecimal.
    pub(crate) sealed: String,
    /// Of the wrapped key, hexadecimal.
    pub(crate) fingerprint: String,
}

impl Table for Wrap {
    const NAME: &'static str = "wrap";
    const WIPED: bool = true;
    const INDEX: &'static [&'static str] = &["wrapped", "under", "version"];
    fn id(&self) -> RowId {
        *self.id.as_bytes()
    }
    fn index(&self) -> Vec<Value<'_>> {
        let version = self.version.as_ref().map(|version| version.as_bytes().as_slice());
        vec![self.key.as_bytes().into(), self.under.as_bytes().into(), version.into()]
    }
}

/// Whether a root counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RootState {
    /// It does not have a wrap of every key yet.
    Joining,
    /// Everything that it may wrap is wrapped under it.
    Active,
    /// It counts, and keys were made while it did not answer.
    Behind,
    /// It opens nothing any more; its wraps are being removed.
    Retired,
}

impl RootState {
    /// Whether it opens and wraps.
    pub(crate) const fn counts(self) -> bool {
        matches!(self, Self::Active | Self::Behind)
    }

    /// Its word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Active => "active",
            Self::Behind => "behind",
            Self::Retired => "retired",
        }
    }
}

/// What is wrong with a root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Failing {
    pub(crate) since: Timestamp,
    pub(crate) why: String,
}

/// A root that wraps keys of this vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Root {
    pub(crate) id: KeyId,
    pub(crate) kind: crate::vault::RootKind,
    pub(crate) created: Timestamp,
    pub(crate) state: RootState,
    /// In which order roots are asked: the lowest first.
    pub(crate) priority: u32,
    /// That it did not open what it should, since when, and why; none while it does.
    pub(crate) failing: Option<Failing>,
    /// When it opened everything that it wraps, as a drill.
    pub(crate) drilled: Option<Timestamp>,
    /// Of a recovery root: the public key under which everything is sealed, hexadecimal.
    pub(crate) public: Option<String>,
    /// Of a recovery root: its code was written to a file.
    pub(crate) in_file: bool,
    /// Of an escrow: its terms and what its shares are recognised by, hexadecimal.
    pub(crate) escrow: Option<String>,
    /// Of an escrow: how many there were of the vault, it included.
    pub(crate) generation: Option<u16>,
    /// The root that it is to take the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) follows: Option<KeyId>,
}

impl Root {
    /// A new one, which does not count yet.
    pub(crate) fn joining(id: KeyId, kind: crate::vault::RootKind, created: Timestamp) -> Self {
        let priority = kind.priority();
        Self {
            id,
            kind,
            created,
            state: RootState::Joining,
            priority,
            failing: None,
            drilled: None,
            public: None,
            in_file: false,
            escrow: None,
            generation: None,
            follows: None,
        }
    }

    /// As policy names it. A code on paper is what a passphrase is, something that a person has; a code in a file is a key file.
    pub(crate) fn term(&self) -> api::terms::RootKind {
        use crate::vault::RootKind as Kind;
        match self.kind {
            Kind::Passphrase => api::terms::RootKind::Passphrase,
            Kind::Recovery if !self.in_file => api::terms::RootKind::Passphrase,
            Kind::Keyfile | Kind::Recovery => api::terms::RootKind::Keyfile,
            Kind::Pkcs11 => api::terms::RootKind::Hsm,
            Kind::AwsKms => api::terms::RootKind::Kms,
            Kind::Escrow => api::terms::RootKind::Escrow,
        }
    }
}

impl Table for Root {
    const NAME: &'static str = "root";
    const INDEX: &'static [&'static str] = &["state"];
    fn id(&self) -> RowId {
        *self.id.as_bytes()
    }
    fn index(&self) -> Vec<Value<'_>> {
        vec![self.state.word().into()]
    }
}
