//! Recovery: a root that only wraps, until somebody brings its code (`spec/keys.md#recovery`).
//!
//! The vault holds a public key, under which every key of a root is sealed besides; the private half is sealed under a key that is
//! derived from the code, which nobody holds but on paper. So what is made later is recoverable too, and no secret lies about.

use zeroize::Zeroizing;

use crate::hpke::{self, OneTimeKey, enc_len};
use crate::label::{Context, Label};
use crate::paper::{self, Misread};
use crate::secret::{KEY_LEN, RootKey};
use crate::wrap::{self, WrapContext, Wrappable};
use crate::{Fault, Id, Suite, chunked, derive, entropy};

/// Groups of a code.
pub const GROUPS: usize = paper::groups(KEY_LEN);
/// Characters of a group.
pub const GROUP_LEN: usize = paper::GROUP_LEN;
/// Length of a sealed private half.
pub const PRIVATE_SEALED_LEN: usize = chunked::HEADER_LEN + PRIVATE_LEN + chunked::TAG_LEN;

/// The longest text that is looked at, with what people put between groups.
const MAX_TEXT_LEN: usize = 256;
/// Length of a key sealed to a recovery key of the suite: encapsulated key, key, tag.
pub const fn sealed_len(suite: Suite) -> usize {
    enc_len(suite) + 32 + 16
}

const PRIVATE_LEN: usize = hpke::PRIVATE_KEY_LEN;

/// What is wrong with a recovery code or with what it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not so many groups of so many characters.
    #[error("a recovery code has 13 groups of five letters and digits")]
    Form,
    /// A group whose check does not hold, from 1.
    #[error("group {0} of the recovery code has a slip in it")]
    Slip(usize),
    /// The code, the sealed half or the sealed key is another's, or damaged; which, nobody learns.
    #[error("the recovery code does not open this")]
    Authentication,
    /// The secret's type and the context's kind do not belong together.
    #[error("this kind of key is not wrapped by a root")]
    Kind,
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] entropy::Unavailable),
    /// The key exchange or the cipher failed.
    #[error("the cipher failed")]
    Cipher,
}

impl Error {
    /// Whose fault this is.
    pub fn fault(self) -> Fault {
        match self {
            Self::Form | Self::Slip(_) | Self::Kind => Fault::Misuse,
            Self::Authentication => Fault::Hostile,
            Self::Entropy(error) => error.fault(),
            Self::Cipher => Fault::Bug,
        }
    }
}

/// The secret behind a code: 256 uniform bits.
pub struct Code(RootKey);

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Code(..)")
    }
}

impl Code {
    /// A fresh one.
    ///
    /// # Errors
    /// [`Error::Entropy`].
    pub fn generate() -> Result<Self, Error> {
        Ok(Self(RootKey::generate()?))
    }

    /// Reads a code as people type it: in any case, with blanks and hyphens anywhere, `O` for 0 and `I` or `L` for 1.
    ///
    /// # Errors
    /// [`Error::Form`], or [`Error::Slip`] with the first group that has one.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        if text.len() > MAX_TEXT_LEN {
            return Err(Error::Form);
        }
        let bytes = paper::read(text, KEY_LEN).map_err(|error| match error {
            Misread::Form => Error::Form,
            Misread::Slip(group) => Error::Slip(group),
        })?;
        RootKey::from_slice(&bytes).map(Self).map_err(|_| Error::Form)
    }

    /// The code, to be shown once: groups between hyphens.
    ///
    /// # Security
    /// Whoever reads it opens the vault.
    pub fn expose_text(&self) -> Zeroizing<String> {
        paper::shown(self.0.expose_bytes(), GROUPS)
    }

    /// The key that seals the private half, and authenticates what a vault says of this root.
    ///
    /// # Errors
    /// [`Error::Cipher`].
    pub fn root_key(&self, suite: Suite, vault: &Id) -> Result<RootKey, Error> {
        let info = Context::new(Label::RecoveryRoot, suite).field(vault).into_bytes();
        RootKey::fill_with(|out| derive::expand(self.0.expose_bytes(), &info, out)).map_err(|_| Error::Cipher)
    }
}

/// A recovery key, both halves: of one suite, whichever those of the keys that are sealed to it are.
#[derive(Debug)]
pub struct Pair(OneTimeKey);

impl Pair {
    /// A fresh one.
    ///
    /// # Errors
    /// [`Error::Cipher`] when the library gives no key.
    pub fn generate(suite: Suite) -> Result<Self, Error> {
        OneTimeKey::generate(suite).map(Self).map_err(|_| Error::Cipher)
    }

    /// Whose KEM it is for.
    pub fn suite(&self) -> Suite {
        self.0.suite()
    }

    /// The public half, which the vault keeps.
    pub fn public(&self) -> &[u8] {
        self.0.public()
    }

    /// The private half, sealed under the code's key for one root of one vault.
    ///
    /// # Errors
    /// [`Error::Entropy`], [`Error::Cipher`].
    pub fn seal(&self, key: &RootKey, vault: &Id, root: &Id) -> Result<Vec<u8>, Error> {
        let private = self.0.expose_private().map_err(|_| Error::Cipher)?;
        let context = private_context(self.suite(), vault, root);
        chunked::seal_all(key.expose_bytes(), &context, &private).map_err(|error| match error {
            chunked::Error::Entropy(error) => Error::Entropy(error),
            _ => Error::Cipher,
        })
    }

    /// Opens a private half.
    ///
    /// # Errors
    /// [`Error::Authentication`].
    pub fn open(key: &RootKey, suite: Suite, vault: &Id, root: &Id, sealed: &[u8]) -> Result<Self, Error> {
        if sealed.len() != PRIVATE_SEALED_LEN {
            return Err(Error::Authentication);
        }
        let context = private_context(suite, vault, root);
        let private = chunked::open_all(key.expose_bytes(), &context, sealed, PRIVATE_LEN as u64);
        let private = private.map_err(|_| Error::Authentication)?;
        OneTimeKey::from_private(suite, &private).map(Self).map_err(|_| Error::Authentication)
    }

    /// Opens a key that was sealed to the public half.
    ///
    /// # Errors
    /// [`Error::Authentication`] for every one that was not sealed for this place.
    pub fn unwrap<S: Wrappable>(&self, context: &WrapContext, sealed: &[u8]) -> Result<S, Error> {
        if !wrap::root_admits::<S>(context.kind) {
            return Err(Error::Kind);
        }
        if sealed.len() != sealed_len(self.suite()) {
            return Err(Error::Authentication);
        }
        let (enc, ciphertext) = sealed.split_at_checked(enc_len(self.suite())).ok_or(Error::Authentication)?;
        let info = context.encode(Label::WrapRecovery);
        let opened = hpke::open(&self.0, enc, &info, &[], ciphertext).map_err(|_| Error::Authentication)?;
        S::take(&opened).ok_or(Error::Authentication)
    }
}

/// Seals a key to a public half of a suite, for one place.
///
/// # Errors
/// [`Error::Kind`]; [`Error::Cipher`] for what is no public key.
pub fn wrap<S: Wrappable>(suite: Suite, public: &[u8], context: &WrapContext, secret: &S) -> Result<Vec<u8>, Error> {
    if !wrap::root_admits::<S>(context.kind) {
        return Err(Error::Kind);
    }
    let info = context.encode(Label::WrapRecovery);
    let (enc, ciphertext) = hpke::seal(suite, public, &info, &[], secret.expose()).map_err(|_| Error::Cipher)?;
    Ok([enc, ciphertext].concat())
}

fn private_context(suite: Suite, vault: &Id, root: &Id) -> Vec<u8> {
    Context::new(Label::RecoveryPrivate, suite).field(vault).field(root).into_bytes()
}

#[cfg(test)]
mod tests;
