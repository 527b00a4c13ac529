//! Random 16-byte identifiers, one type per thing; text form is 32 lower-case hexadecimal digits.

use std::fmt;
use std::str::FromStr;

/// A text that is not 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is 32 lower-case hexadecimal digits")]
pub struct IdError;

fn parse(text: &str) -> Result<[u8; 16], IdError> {
    let mut bytes = [0; 16];
    let read = base16ct::lower::decode(text, &mut bytes).map_err(|_| IdError)?;
    if read.len() == 16 { Ok(bytes) } else { Err(IdError) }
}

/// Its text, without a detour over the heap.
fn with_text<T>(id: &[u8; 16], then: impl FnOnce(&str) -> T) -> T {
    let mut text = [0; 32];
    // Both hold: the buffer has its length, and hexadecimal is UTF-8.
    let _ = hex::encode_to_slice(id, &mut text);
    then(std::str::from_utf8(&text).unwrap_or_default())
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The id with these bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self { Self(bytes) }
            /// Its 16 bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] { &self.0 }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { with_text(&self.0, |text| f.write_str(text)) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> { parse(text).map(Self) }
        }
        impl TryFrom<&[u8]> for $name {
            type Error = IdError;
            fn try_from(bytes: &[u8]) -> Result<Self, IdError> { bytes.try_into().map(Self).map_err(|_| IdError) }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> { with_text(&self.0, |text| s.serialize_str(text)) }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// A vault: one keeper's world.
    VaultId;
    /// A workspace: a boundary of people and artifacts.
    WorkspaceId;
    /// A named model, dataset, code bundle or other thing.
    ArtifactId;
    /// An immutable sealed snapshot of an artifact.
    VersionId;
    /// A unit of keying: segments under one random pack key.
    PackId;
    /// A depot object.
    ObjectId;
    /// A place of depot objects.
    DepotId;
    /// A backup of a vault.
    BackupId;
    /// A domain key, version key or signing key.
    KeyId;
    /// A user, service or workload.
    PrincipalId;
    /// A time-bound permission.
    GrantId;
    /// An entry of the log.
    EntryId;
    /// A policy's answer.
    DecisionId;
    /// A handing-over of keys.
    ReleaseId;
    /// A client's session, bound to its signing key.
    SessionId;
    /// A command over versions in memory.
    RunId;
    /// What is done about a compromised key.
    IncidentId;
}
