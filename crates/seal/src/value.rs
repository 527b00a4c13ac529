//! Sealed values: small texts and keys of applications, each one line under a version of a named key (`spec/keys.md#values`).

use crate::label::{Label, lp};
use crate::secret::ValueKey;
use crate::{Fault, Id, Suite, chunked};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::BTreeMap;
use std::fmt;
use zeroize::Zeroizing;

/// The longest value, in bytes.
pub const MAX_LEN: usize = 65_536;
/// The most pairs of a context.
pub const MAX_PAIRS: usize = 16;
/// The longest name of a pair, in bytes.
pub const MAX_PAIR_NAME_LEN: usize = 64;
/// The longest value of a pair, in bytes.
pub const MAX_PAIR_VALUE_LEN: usize = 1_024;
/// The longest names and values of all pairs together, in bytes.
pub const MAX_PAIRS_LEN: usize = 4_096;
/// The longest name of a workspace or a key, in bytes.
pub const MAX_NAME_LEN: usize = 100;
/// The longest token, in bytes: head, names, number, and what is sealed as base64url.
pub const MAX_TOKEN_LEN: usize = 96 * 1024;

const HEAD: &str = "strongroom:1:";
/// What the longest value makes.
const MAX_SEALED_LEN: usize = chunked::HEADER_LEN + MAX_LEN + (MAX_LEN / chunked::CHUNK_LEN + 1) * chunked::TAG_LEN;
/// What the empty value makes.
const MIN_SEALED_LEN: usize = chunked::HEADER_LEN + chunked::TAG_LEN;

/// What a caller says that a value is about; whoever opens it says the same.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Pairs(BTreeMap<String, String>);

/// A value as it is kept, with the names of what sealed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The vault.
    pub vault: Id,
    /// The workspace, by name.
    pub workspace: String,
    /// The named key, by name.
    pub name: String,
    /// The version of it, from 1.
    pub number: u32,
    sealed: Vec<u8>,
}

/// A version of a named key, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// Algorithms of the version.
    pub suite: Suite,
    /// The vault.
    pub vault: Id,
    /// The named key.
    pub named: Id,
    /// The version's key.
    pub key: Id,
    /// The version, from 1.
    pub number: u32,
    /// The workspace, by name.
    pub workspace: &'a str,
    /// The named key, by name.
    pub name: &'a str,
}

/// A value that was not sealed or not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another key, place or context, or it is damaged; which, nobody learns.
    #[error("the value cannot be opened")]
    Authentication,
    /// It is longer than a value may be.
    #[error("a value is at most {MAX_LEN} bytes")]
    TooLong,
    /// A context that is out of bounds.
    #[error("{0}")]
    Pairs(&'static str),
    /// A text that is no token.
    #[error("{0}")]
    Token(&'static str),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] crate::entropy::Unavailable),
    /// The cipher refused.
    #[error("the cipher failed")]
    Cipher,
}

impl Error {
    /// Whose fault this is.
    pub fn fault(self) -> Fault {
        match self {
            Self::Authentication | Self::Token(_) => Fault::Hostile,
            Self::TooLong | Self::Pairs(_) => Fault::Misuse,
            Self::Entropy(error) => error.fault(),
            Self::Cipher => Fault::Bug,
        }
    }
}

impl Pairs {
    /// Within bounds: at most 16 pairs, names of 1 to 64 bytes, values of at most 1,024, and 4,096 in all.
    ///
    /// # Errors
    /// [`Error::Pairs`].
    pub fn new(pairs: BTreeMap<String, String>) -> Result<Self, Error> {
        if pairs.len() > MAX_PAIRS {
            return Err(Error::Pairs("it has at most 16 pairs"));
        }
        if pairs.keys().any(|name| name.is_empty() || name.len() > MAX_PAIR_NAME_LEN) {
            return Err(Error::Pairs("the name of a pair is 1 to 64 bytes"));
        }
        if pairs.values().any(|value| value.len() > MAX_PAIR_VALUE_LEN) {
            return Err(Error::Pairs("the value of a pair is at most 1024 bytes"));
        }
        if pairs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MAX_PAIRS_LEN {
            return Err(Error::Pairs("its pairs are at most 4096 bytes together"));
        }
        Ok(Self(pairs))
    }

    /// The pairs, by name.
    pub fn pairs(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

/// What values are about may be personal.
impl fmt::Debug for Pairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pairs({} of them)", self.0.len())
    }
}

impl Place<'_> {
    /// LP of the place, then name and value of each pair, by name.
    fn context(&self, pairs: &Pairs) -> Result<Vec<u8>, Error> {
        let (suite, number) = (self.suite.number().to_be_bytes(), self.number.to_be_bytes());
        let mut fields: Vec<&[u8]> =
            vec![&suite, &self.vault, &self.named, &self.key, &number, self.workspace.as_bytes(), self.name.as_bytes()];
        for (name, value) in &pairs.0 {
            fields.extend([name.as_bytes(), value.as_bytes()]);
        }
        lp(Label::Value, &fields).map_err(|_| Error::Pairs("a field of it is too long"))
    }
}

/// Seals a value; two tokens of one value differ.
///
/// # Errors
/// [`Error::TooLong`], [`Error::Entropy`].
pub fn seal(key: &ValueKey, place: &Place<'_>, pairs: &Pairs, value: &[u8]) -> Result<Token, Error> {
    if value.len() > MAX_LEN {
        return Err(Error::TooLong);
    }
    let sealed = chunked::seal_all(key.expose_bytes(), &place.context(pairs)?, value).map_err(|error| match error {
        chunked::Error::Entropy(error) => Error::Entropy(error),
        _ => Error::Cipher,
    })?;
    let (workspace, name) = (place.workspace.to_owned(), place.name.to_owned());
    Ok(Token { vault: place.vault, workspace, name, number: place.number, sealed })
}

/// Opens a value under the version that its token names.
///
/// # Errors
/// [`Error::Authentication`] for everything that was not sealed by this key in this place with these pairs.
pub fn open(key: &ValueKey, place: &Place<'_>, pairs: &Pairs, token: &Token) -> Result<Zeroizing<Vec<u8>>, Error> {
    let named = (token.vault, token.workspace.as_str(), token.name.as_str(), token.number);
    if named != (place.vault, place.workspace, place.name, place.number) {
        return Err(Error::Authentication);
    }
    let opened = chunked::open_all(key.expose_bytes(), &place.context(pairs)?, &token.sealed, MAX_LEN as u64);
    opened.map_err(|_| Error::Authentication)
}

impl Token {
    /// Reads a token. Each has one form: what is read is written as it was.
    ///
    /// # Errors
    /// [`Error::Token`], which says what is not of its form.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_TOKEN_LEN {
            return Err(Error::Token("it is too long"));
        }
        let rest = text.strip_prefix(HEAD).ok_or(Error::Token("it does not begin with `strongroom:1:`"))?;
        let mut parts = rest.split(':');
        let mut part = || parts.next().ok_or(Error::Token("it is cut short"));
        let (vault, place, number, sealed) = (part()?, part()?, part()?, part()?);
        if parts.next().is_some() {
            return Err(Error::Token("it has more parts than a token"));
        }
        let vault = id(vault).ok_or(Error::Token("its vault is not 32 hexadecimal digits"))?;
        let (workspace, name) = place.split_once('/').ok_or(Error::Token("its key is not WORKSPACE/NAME"))?;
        if !is_name(workspace) || !is_name(name) {
            return Err(Error::Token("its key is not WORKSPACE/NAME"));
        }
        let number = version(number).ok_or(Error::Token("its version is not v and a number"))?;
        let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| Error::Token("it does not end in base64url"))?;
        if !(MIN_SEALED_LEN..=MAX_SEALED_LEN).contains(&sealed.len()) {
            return Err(Error::Token("what it holds has no length of a value"));
        }
        Ok(Self { vault, workspace: workspace.to_owned(), name: name.to_owned(), number, sealed })
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vault, workspace, name, number, sealed } = self;
        let (vault, sealed) = (hex::encode(vault), URL_SAFE_NO_PAD.encode(sealed));
        write!(f, "{HEAD}{vault}:{workspace}/{name}:v{number}:{sealed}")
    }
}

fn id(text: &str) -> Option<Id> {
    let id: Id = hex::decode(text).ok()?.try_into().ok()?;
    (hex::encode(id) == text).then_some(id)
}

fn version(text: &str) -> Option<u32> {
    let number: u32 = text.strip_prefix('v')?.parse().ok()?;
    (number > 0 && format!("v{number}") == text).then_some(number)
}

fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=MAX_NAME_LEN).contains(&text.len()) && text.bytes().all(inner)
}
