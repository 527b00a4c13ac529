//! Wraps: a key sealed under another, bound to its place (`spec/keys.md#wraps`).

use crate::label::{Context, Label};
use crate::secret::{ArchiveKey, DomainKey, FieldKey, MacKey, RootKey, SigningSeed, ValueKey, VersionKey};
use crate::{Fault, Id, Suite, chunked};

/// Length of a wrap: header, key, tag.
pub const WRAP_LEN: usize = chunked::HEADER_LEN + 32 + chunked::TAG_LEN;

/// What the wrapped key is for; part of the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A domain key.
    Domain = 1,
    /// A version key.
    Version = 2,
    /// The seed of the log's Ed25519 key.
    LogEd25519 = 3,
    /// The seed of the log's ML-DSA-44 key.
    LogMlDsa44 = 4,
    /// The seed of the release key.
    Release = 5,
    /// The seed of a session key.
    Session = 6,
    /// A key that authenticates rows.
    Mac = 7,
    /// A key that seals fields.
    Field = 8,
    /// A version of a named key.
    Value = 9,
    /// An archive key.
    Archive = 10,
}

impl Kind {
    /// Its number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Whether a domain key or an archive key wraps it; a root wraps the others.
    const fn is_of_domain(self) -> bool {
        matches!(self, Self::Version | Self::Value)
    }

    /// The kind with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Domain,
            2 => Self::Version,
            3 => Self::LogEd25519,
            4 => Self::LogMlDsa44,
            5 => Self::Release,
            6 => Self::Session,
            7 => Self::Mac,
            8 => Self::Field,
            9 => Self::Value,
            10 => Self::Archive,
            _ => return None,
        })
    }
}

/// Everything a wrap is bound to. What does not apply is `None` and is bound as absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WrapContext {
    /// Algorithms.
    pub suite: Suite,
    /// The vault.
    pub vault: Id,
    /// What the key is for.
    pub kind: Kind,
    /// The workspace.
    pub workspace: Option<Id>,
    /// Number of the environment.
    pub environment: Option<u8>,
    /// Number of the classification.
    pub class: Option<u8>,
    /// The artifact, or the named key that a version is of.
    pub artifact: Option<Id>,
    /// The version.
    pub version: Option<Id>,
    /// The wrapped key.
    pub key_id: Id,
    /// The wrapping key.
    pub wrapping_key_id: Id,
    /// Version of the wrapping key.
    pub wrapping_key_version: u32,
}

impl WrapContext {
    /// The bytes to which a device or a service binds what it wraps.
    #[must_use]
    pub fn for_device(&self) -> Vec<u8> {
        self.encode(Label::WrapDevice)
    }

    pub(crate) fn encode(&self, label: Label) -> Vec<u8> {
        Context::new(label, self.suite)
            .field(&self.vault)
            .field(&[self.kind.number()])
            .optional(self.workspace.as_ref())
            .optional(self.environment.map(|number| [number]).as_ref())
            .optional(self.class.map(|number| [number]).as_ref())
            .optional(self.artifact.as_ref())
            .optional(self.version.as_ref())
            .field(&self.key_id)
            .field(&self.wrapping_key_id)
            .field(&self.wrapping_key_version.to_be_bytes())
            .into_bytes()
    }
}

/// The key that wraps. Each type has its own label.
#[derive(Clone, Copy, Debug)]
pub enum WrappingKey<'a> {
    /// A root: wraps domain keys, archive keys and the vault's own keys.
    Root(&'a RootKey),
    /// A domain key: wraps version keys and named keys.
    Domain(&'a DomainKey),
    /// An archive key: wraps version keys that were moved to the archive.
    Archive(&'a ArchiveKey),
}

impl<'a> From<&'a RootKey> for WrappingKey<'a> {
    fn from(key: &'a RootKey) -> Self {
        Self::Root(key)
    }
}

impl<'a> From<&'a DomainKey> for WrappingKey<'a> {
    fn from(key: &'a DomainKey) -> Self {
        Self::Domain(key)
    }
}

impl<'a> From<&'a ArchiveKey> for WrappingKey<'a> {
    fn from(key: &'a ArchiveKey) -> Self {
        Self::Archive(key)
    }
}

impl WrappingKey<'_> {
    fn parts(&self) -> (&[u8; 32], Label) {
        match self {
            Self::Root(key) => (key.expose_bytes(), Label::WrapRoot),
            Self::Domain(key) => (key.expose_bytes(), Label::WrapDomain),
            Self::Archive(key) => (key.expose_bytes(), Label::WrapArchive),
        }
    }

    fn admits(&self, kind: Kind) -> bool {
        match self {
            Self::Root(_) => !kind.is_of_domain(),
            Self::Domain(_) => kind.is_of_domain(),
            Self::Archive(_) => matches!(kind, Kind::Version),
        }
    }
}

/// Whether roots wrap this type as this kind.
pub(crate) fn root_admits<S: Wrappable>(kind: Kind) -> bool {
    !kind.is_of_domain() && S::admits(kind)
}

mod sealed {
    pub trait Sealed {}
}

/// A secret that can be wrapped.
pub trait Wrappable: sealed::Sealed + Sized {
    #[doc(hidden)]
    fn admits(kind: Kind) -> bool;
    #[doc(hidden)]
    fn expose(&self) -> &[u8; 32];
    #[doc(hidden)]
    fn take(bytes: &[u8]) -> Option<Self>;
}

macro_rules! wrappable {
    ($($name:ident: $($kind:ident)|+;)+) => {$(
        impl sealed::Sealed for $name {}
        impl Wrappable for $name {
            fn admits(kind: Kind) -> bool {
                matches!(kind, $(Kind::$kind)|+)
            }
            fn expose(&self) -> &[u8; 32] {
                self.expose_bytes()
            }
            fn take(bytes: &[u8]) -> Option<Self> {
                Self::from_slice(bytes).ok()
            }
        }
    )+};
}

wrappable! {
    DomainKey: Domain;
    ArchiveKey: Archive;
    VersionKey: Version;
    ValueKey: Value;
    SigningSeed: LogEd25519 | LogMlDsa44 | Release | Session;
    MacKey: Mac;
    FieldKey: Field;
}

/// A wrap that was not made or not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The wrap does not belong to this key and context, or it is damaged; which, nobody learns.
    #[error("the wrapped key cannot be opened")]
    Authentication,
    /// The secret's type, the kind and the wrapping key do not belong together.
    #[error("this kind of key is not wrapped by this kind of key")]
    Kind,
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] crate::entropy::Unavailable),
    /// The cipher refused.
    #[error("the cipher failed")]
    Cipher,
}

impl From<chunked::Error> for Error {
    fn from(error: chunked::Error) -> Self {
        match error {
            chunked::Error::Entropy(error) => Self::Entropy(error),
            _ => Self::Cipher,
        }
    }
}

impl Error {
    /// Whose fault this is.
    pub fn fault(self) -> Fault {
        match self {
            Self::Authentication => Fault::Hostile,
            Self::Kind => Fault::Misuse,
            Self::Entropy(error) => error.fault(),
            Self::Cipher => Fault::Bug,
        }
    }
}

/// Wraps `secret`; two wraps of one key differ.
///
/// # Errors
/// [`Error::Kind`] when the types and the context's kind do not belong together; [`Error::Entropy`].
pub fn wrap<'a, S: Wrappable>(
    key: impl Into<WrappingKey<'a>>,
    context: &WrapContext,
    secret: &S,
) -> Result<Vec<u8>, Error> {
    let key = key.into();
    check::<S>(&key, context)?;
    let (bytes, label) = key.parts();
    Ok(chunked::seal_all(bytes, &context.encode(label), secret.expose())?)
}

/// Opens a wrap.
///
/// # Errors
/// [`Error::Authentication`] for every wrap that was not made by this key under this context.
pub fn unwrap<'a, S: Wrappable>(
    key: impl Into<WrappingKey<'a>>,
    context: &WrapContext,
    wrapped: &[u8],
) -> Result<S, Error> {
    let key = key.into();
    check::<S>(&key, context)?;
    if wrapped.len() != WRAP_LEN {
        return Err(Error::Authentication);
    }
    let (bytes, label) = key.parts();
    let plain = chunked::open_all(bytes, &context.encode(label), wrapped, 32).map_err(|_| Error::Authentication)?;
    S::take(&plain).ok_or(Error::Authentication)
}

fn check<S: Wrappable>(key: &WrappingKey<'_>, context: &WrapContext) -> Result<(), Error> {
    if S::admits(context.kind) && key.admits(context.kind) { Ok(()) } else { Err(Error::Kind) }
}
