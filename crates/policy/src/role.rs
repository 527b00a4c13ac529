//! Roles: what a principal is in a workspace, or in the whole vault.

use api::terms::{Timestamp, WordError, WorkspaceId};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

macro_rules! roles {
    ($($(#[$doc:meta])* $variant:ident = $bit:literal $word:literal implies [$($implied:ident)*],)*) => {
        /// A role (`spec/policy.md#roles`). In a slice, `Role::"writer"` means *writer where the resource is*.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum Role { $($(#[$doc])* #[serde(rename = $word)] $variant = $bit,)* }

        impl Role {
            /// Every role, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// Its word.
            pub const fn word(self) -> &'static str { match self { $(Self::$variant => $word,)* } }
            /// The roles that come with it.
            pub const fn implied(self) -> &'static [Self] { match self { $(Self::$variant => &[$(Self::$implied,)*],)* } }
        }

        impl FromStr for Role {
            type Err = WordError;
            fn from_str(text: &str) -> Result<Self, WordError> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    other => Err(WordError { word: other.chars().take(64).collect(), allowed: concat!($($word, " ",)*) }),
                }
            }
        }
    };
}

roles! {
    /// Sees names; comes with every other role, is never granted.
    Member = 0 "member" implies [],
    /// Reads and exports.
    Reader = 1 "reader" implies [Member],
    /// Reads, exports and puts versions; moves aliases in `dev`.
    Writer = 2 "writer" implies [Member Reader],
    /// Answers for the data: a writer who moves aliases everywhere and approves exports.
    Steward = 3 "steward" implies [Member Reader Writer],
    /// Answers for the keys: rotates them and collects garbage; never opens data.
    Custodian = 4 "custodian" implies [Member],
    /// Replaces the policy set.
    PolicyAuthor = 5 "policy-author" implies [Member],
    /// Reads the log.
    Auditor = 6 "auditor" implies [Member],
    /// Manages principals and grants, approves exports. In solo the owner may do everything.
    Owner = 7 "owner" implies [Member],
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Where a role is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// In every workspace, and for acts on the vault itself.
    Vault,
    /// In one workspace.
    Workspace(WorkspaceId),
}

/// A role held somewhere, for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Held {
    /// The role.
    pub role: Role,
    /// Where.
    pub scope: Scope,
    /// The last moment it counts; `None`: until it is taken away.
    pub until: Option<Timestamp>,
}

impl Held {
    /// A role without an end.
    pub const fn new(role: Role, scope: Scope) -> Self {
        Self { role, scope, until: None }
    }

    /// Whether it counts at `now`.
    pub fn counts_at(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now <= until)
    }
}

/// The set of roles, implied ones included.
pub(crate) fn closure(roles: impl IntoIterator<Item = Role>) -> BTreeSet<Role> {
    roles.into_iter().flat_map(|role| role.implied().iter().copied().chain([role])).collect()
}

/// Two roles that one principal must not hold in one place outside solo (`baseline/duties.json`), with the reason.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conflict {
    /// One role.
    pub one: Role,
    /// The other.
    pub other: Role,
    /// Why they exclude each other.
    pub reason: String,
}
