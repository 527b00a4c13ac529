//! Closed sets of words: classifications, environments, kinds, actions.

use super::WordError;
use std::fmt;
use std::str::FromStr;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal $word:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant = $number,)* }

        impl $name {
            /// Every member, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// Its word, as users and records write it.
            pub const fn word(self) -> &'static str { match self { $(Self::$variant => $word,)* } }
            /// Its number, as binary records write it.
            pub const fn number(self) -> u8 { self as u8 }
            /// The member with this number.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.word()) }
        }
        impl FromStr for $name {
            type Err = WordError;
            fn from_str(text: &str) -> Result<Self, WordError> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    other => Err(WordError { word: other.chars().take(64).collect(), allowed: concat!($($word, " ",)*) }),
                }
            }
        }
    )*};
}

words! {
    /// Classification: how sensitive, in rising order. Also a principal's clearance.
    Class {
        /// May be published.
        Public = 0 "public",
        /// For members of the organisation.
        Internal = 1 "internal",
        /// For cleared members of the workspace; the default.
        Confidential = 2 "confidential",
        /// For an open task, with approvals for every export.
        Restricted = 3 "restricted",
    }
    /// Environment.
    Environment {
        /// Development; the default.
        Dev = 0 "dev",
        /// Staging.
        Staging = 1 "staging",
        /// Production.
        Prod = 2 "prod",
    }
    /// What an artifact is.
    Kind {
        /// A model.
        Model = 0 "model",
        /// A dataset.
        Dataset = 1 "dataset",
        /// A code bundle.
        Code = 2 "code",
        /// Anything else.
        Other = 3 "other",
    }
    /// How a vault is run.
    Mode {
        /// One person, one machine; identity is asserted.
        Solo = 0 "solo",
        /// Team rules on one machine with asserted identities, for learning and tests.
        Rehearsal = 1 "rehearsal",
    }
    /// What a principal is.
    PrincipalKind {
        /// A person.
        User = 0 "user",
        /// A long-lived program.
        Service = 1 "service",
        /// A job or container.
        Workload = 2 "workload",
    }
    /// A numbered suite of algorithms (`spec/format.md#suites`).
    Suite {
        /// AES-256-GCM, BLAKE3 trees, X-Wing, Argon2id.
        Default = 1 "default",
        /// AES-256-GCM, SHA-256 trees, MLKEM768-P256, PBKDF2. No validation is claimed.
        Nist = 2 "nist",
    }
    /// What wraps the keys of a vault.
    RootKind {
        /// A key file outside the vault.
        Keyfile = 0 "keyfile",
        /// A passphrase.
        Passphrase = 1 "passphrase",
        /// A hardware module.
        Hsm = 2 "hsm",
        /// A cloud's key management.
        Kms = 3 "kms",
        /// A public key whose secret is split and put away: it wraps only.
        Escrow = 4 "escrow",
    }
    /// What a depot is.
    DepotKind {
        /// A folder.
        Folder = 0 "folder",
        /// An S3-compatible bucket.
        Bucket = 1 "bucket",
    }
    /// How a principal was authenticated. Nothing asserted ever counts as authenticated.
    AuthMethod {
        /// The operating-system account vouches.
        Asserted = 0 "asserted",
        /// A client certificate.
        Mtls = 1 "mtls",
        /// An OpenID Connect provider.
        Oidc = 2 "oidc",
        /// A passkey.
        Passkey = 3 "passkey",
    }
    /// What is asked of the policy; each is its own right.
    Action {
        /// See names of artifacts, versions and of files inside a version.
        List = 0 "list",
        /// Open a version in memory (`cat`, `run`, Python).
        Read = 1 "read",
        /// Write plaintext to a disk (`get`).
        Export = 2 "export",
        /// Put a new version.
        Write = 3 "write",
        /// Move an alias.
        Alias = 4 "alias",
        /// Rotate keys.
        RotateKeys = 5 "rotate-keys",
        /// Add or change principals and grants.
        ManagePrincipals = 6 "manage-principals",
        /// Replace the policy set.
        ManagePolicy = 7 "manage-policy",
        /// Read the audit log.
        Audit = 8 "audit",
        /// Collect garbage in the depot.
        Collect = 9 "collect",
        /// Look for copies of a version's content by its prints.
        Scan = 10 "scan",
        /// See who may do what.
        Review = 11 "review",
        /// Remove versions, and say how long they are kept.
        Remove = 12 "remove",
        /// Put versions under a legal hold, and lift it.
        Hold = 13 "hold",
        /// Restore removed versions.
        Restore = 14 "restore",
        /// Make named keys; suspend keys, resume them, and mark them as compromised.
        ManageKeys = 15 "manage-keys",
        /// Destroy keys, and with them what only they open.
        DestroyKeys = 16 "destroy-keys",
        /// Make a backup of the vault.
        Backup = 17 "backup",
        /// Seal a version anew under another key.
        Reencrypt = 18 "reencrypt",
        /// Seal a small value under a named key.
        Encrypt = 19 "encrypt",
        /// Open a small value that a named key sealed.
        Decrypt = 20 "decrypt",
        /// Open a version whose key is in the archive: besides the right to what is done with it.
        ArchiveRead = 21 "archive-read",
    }
    /// Where a key is in its life (NIST SP 800-57 part 1 revision 5, section 7). What a state allows and what follows it:
    /// [`KeyState::protects`], [`KeyState::opens`], [`TRANSITIONS`](super::TRANSITIONS).
    KeyState {
        /// Made, and not in use yet.
        PreActive = 0 "pre-active",
        /// Protects and opens.
        Active = 1 "active",
        /// Set aside while somebody looks into it; it can come back.
        Suspended = 2 "suspended",
        /// Opens what it protected, and protects nothing new.
        Deactivated = 3 "deactivated",
        /// Somebody else may have it.
        Compromised = 4 "compromised",
        /// Gone: no copy of it opens anything here.
        Destroyed = 5 "destroyed",
    }
    /// What is to be done about a compromised key.
    PlaybookStep {
        /// Another key takes its place, and nothing is wrapped under it any more.
        Rotate = 0 "rotate",
        /// What it exposed is sealed under new version keys.
        ReEncrypt = 1 "re-encrypt",
        /// Whoever is concerned is told.
        Notify = 2 "notify",
        /// It is looked at who has which rights.
        Review = 3 "review",
    }
}
