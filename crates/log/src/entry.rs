//! What the log records (`spec/log.md#entry`).

mod decode;
mod encode;

use std::collections::BTreeMap;
use std::fmt;

use crate::tree::{self, Hash};
use crate::{Fault, text};

/// The longest string in an entry, in bytes.
pub const MAX_STRING_LEN: usize = 4096;
/// The longest name of an act, table or member, in bytes.
pub const MAX_NAME_LEN: usize = 64;
/// The most members of a map.
pub const MAX_MEMBERS: usize = 64;
/// The most policies or near misses.
pub const MAX_POLICIES: usize = 256;
/// The most state changes.
pub const MAX_CHANGES: usize = 1024;
/// The longest id of a row, in bytes.
pub const MAX_ROW_ID_LEN: usize = 64;

/// Why an entry was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Not JSON in canonical form, within the limits.
    #[error("not canonical JSON")]
    Json(#[from] crate::jcs::JcsError),
    /// A member is missing, unknown, or not of its form.
    #[error("member `{0}` is missing or not of its form")]
    Member(&'static str),
    /// The entry is longer than 65,535 bytes.
    #[error("an entry of more than 65535 bytes")]
    TooLong,
}

impl EntryError {
    /// Whose fault it is: of whoever wrote the bytes, or asked to write them.
    pub fn fault(&self) -> Fault {
        Fault::Hostile
    }
}

/// A random 16-byte id, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Id(pub [u8; 16]);

impl Id {
    /// From 32 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        text::hex_array(text).map(Self)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// The word it is written as.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
            /// Reads the word.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words! {
    /// What sort of event an entry records.
    Kind {
        /// The first entry of a log.
        Genesis = "genesis",
        /// A change of state, in the same transaction.
        State = "state",
        /// A handing-over of keys.
        Release = "release",
        /// A refusal.
        Denial = "denial",
        /// An external act is about to happen.
        Intent = "intent",
        /// What became of an intent.
        Outcome = "outcome",
    }
}

words! {
    /// How the principal was established.
    AuthMethod {
        /// Claimed, not proven: solo and rehearsal.
        Asserted = "asserted",
        /// A client certificate.
        Mtls = "mtls",
        /// An identity token.
        Oidc = "oidc",
        /// A passkey.
        Passkey = "passkey",
        /// The keeper itself: due jobs and reconciliation.
        System = "system",
    }
}

words! {
    /// What a decision came to.
    Effect {
        /// Permitted.
        Allow = "allow",
        /// Refused.
        Deny = "deny",
    }
}

/// A policy's answer and the hashes that let it be replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Its id.
    pub id: Id,
    /// What it came to.
    pub effect: Effect,
    /// The determining policies.
    pub policies: Vec<String>,
    /// Near misses, when it denied.
    pub near: Vec<String>,
    /// Hash of the policy set.
    pub policy_set: Hash,
    /// Hash of the schema.
    pub schema: Hash,
    /// Hash of the entity slice.
    pub slice: Hash,
    /// Hash of the context.
    pub context: Hash,
    /// The engine and its version.
    pub engine: String,
}

/// One row of policy-relevant state that an entry wrote or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// The table.
    pub table: String,
    /// The row's primary key, 1 to 64 bytes.
    pub id: Vec<u8>,
    /// [`row_commitment`] of the new row; `None` when it was removed.
    pub commitment: Option<Hash>,
}

/// One entry. Maps and lists that are empty are not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The vault.
    pub vault: Id,
    /// The log number.
    pub log: u64,
    /// The entry's id.
    pub id: Id,
    /// The ticket drawn after the locks.
    pub ticket: u64,
    /// What sort of event.
    pub kind: Kind,
    /// The keeper's clock: `YYYY-MM-DDTHH:MM:SS.mmmZ`.
    pub time: String,
    /// How the principal was established.
    pub auth: AuthMethod,
    /// Who acted.
    pub principal: Id,
    /// What was done, such as `version.commit`.
    pub act: String,
    /// The decision it rests on.
    pub decision: Option<Decision>,
    /// What was acted on, by ids and digests.
    pub subject: BTreeMap<String, String>,
    /// Parameters that are neither personal nor secret.
    pub detail: BTreeMap<String, String>,
    /// Salted commitments to values kept outside.
    pub commitments: BTreeMap<String, Hash>,
    /// The rows written.
    pub state: Vec<StateChange>,
}

impl Entry {
    /// The canonical bytes: what is stored and hashed.
    ///
    /// # Errors
    /// [`EntryError`] when a member is not of its form or a limit is exceeded.
    pub fn encode(&self) -> Result<Vec<u8>, EntryError> {
        encode::entry(self)
    }

    /// Reads an entry, which must be in canonical form.
    ///
    /// # Errors
    /// [`EntryError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        decode::entry(bytes)
    }
}

/// The commitment to a row: H(LP("strongroom/v1/row", table, id, salt, body)), `body` after a u32 and the others after a u16 length.
///
/// # Errors
/// [`EntryError::TooLong`] when a field does not fit its length.
pub fn row_commitment(table: &str, id: &[u8], salt: &[u8], body: &[u8]) -> Result<Hash, EntryError> {
    let mut input = Vec::with_capacity(64 + table.len() + id.len() + salt.len() + body.len());
    for field in [b"strongroom/v1/row".as_slice(), table.as_bytes(), id, salt] {
        input.extend_from_slice(&u16::try_from(field.len()).map_err(|_| EntryError::TooLong)?.to_be_bytes());
        input.extend_from_slice(field);
    }
    input.extend_from_slice(&u32::try_from(body.len()).map_err(|_| EntryError::TooLong)?.to_be_bytes());
    input.extend_from_slice(body);
    Ok(tree::sha256(&input))
}

/// Whether a text is a name: 1 to 64 of `[A-Za-z0-9_.:/-]`.
fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.:/-".contains(&b);
    (1..=MAX_NAME_LEN).contains(&text.len()) && text.bytes().all(plain)
}

/// Whether a text has the form `YYYY-MM-DDTHH:MM:SS.mmmZ`, fields within their ranges.
fn is_time(text: &str) -> bool {
    let shape = b"0000-00-00T00:00:00.000Z";
    let fits = |(byte, want): (u8, &u8)| if *want == b'0' { byte.is_ascii_digit() } else { byte == *want };
    let field = |from: usize, low: u8, high: u8| {
        let value = text.get(from..from + 2).and_then(|digits| digits.parse::<u8>().ok());
        value.is_some_and(|value| (low..=high).contains(&value))
    };
    text.len() == shape.len()
        && text.bytes().zip(shape).all(fits)
        && field(5, 1, 12)
        && field(8, 1, 31)
        && field(11, 0, 23)
        && field(14, 0, 59)
        && field(17, 0, 59)
}
