//! What can go wrong with a token.

use std::path::PathBuf;
use std::time::Duration;

pub(super) type Result<T> = std::result::Result<T, TokenError>;

/// What a token says about the tries that are left after a wrong PIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tries {
    /// It does not say.
    Unknown,
    /// It counts, and some were wrong.
    Few,
    /// The next wrong one locks it.
    Last,
    /// It is locked now.
    None,
}

impl std::fmt::Display for Tries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unknown => "",
            Self::Few => ": few tries are left",
            Self::Last => ": one more wrong PIN locks the token",
            Self::None => ": the token is locked now",
        })
    }
}

/// Every way to fail. Messages hold no PIN and no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Relative names are searched for, and what is found runs.
    #[error("the PKCS#11 module `{}` is not an absolute path", .0.display())]
    ModulePath(PathBuf),
    /// It is missing, or the linker refuses it.
    #[error("the PKCS#11 module `{}` cannot be loaded: {why}", .path.display())]
    ModuleLoad {
        /// The module.
        path: PathBuf,
        /// The system's reason.
        why: String,
    },
    /// It runs in this process.
    #[error("others than its owner and root can change the PKCS#11 module `{}`", .0.display())]
    ModuleTrust(PathBuf),
    /// It lacks the functions.
    #[error("`{}` is not a PKCS#11 module", .0.display())]
    NotAModule(PathBuf),
    /// No slot shows it.
    #[error("no token `{0}` is present")]
    Missing(String),
    /// The label does not tell which.
    #[error("several tokens are labelled `{0}`: name the serial number too")]
    Ambiguous(String),
    /// No user PIN was ever set.
    #[error("the token has no user PIN yet")]
    PinUnset,
    /// Not shown to the token.
    #[error("the PIN is empty or too long")]
    PinShape,
    /// Tried once.
    #[error("the PIN is wrong{0}")]
    PinWrong(Tries),
    /// Not tried, see [`super::LastTry`].
    #[error("the PIN was not tried: one more wrong PIN locks the token")]
    PinLastTry,
    /// Only the security officer can unlock it.
    #[error("the PIN is locked")]
    PinLocked,
    /// Only a new one helps.
    #[error("the PIN has expired")]
    PinExpired,
    /// Somebody else in this process is, so that no PIN is checked.
    #[error("another part of this process is logged in to the token")]
    LoggedIn,
    /// No key with that id.
    #[error("the key is not in the token")]
    KeyMissing,
    /// Ids are drawn at random.
    #[error("the token holds two keys with the same id")]
    KeyTwice,
    /// It is not what was made.
    #[error("the key in the token is unfit: {0}")]
    KeyUnfit(&'static str),
    /// No `CKM_AES_GCM` for 256-bit keys.
    #[error("the token does not do AES-GCM with 256-bit keys")]
    Mechanism,
    /// One answer for altered bytes, a wrong context and another key.
    #[error("the wrap does not open in its place")]
    Refused,
    /// The caller's.
    #[error("the context of a wrap is too long")]
    Context,
    /// Also when a session, a login or a handle is gone.
    #[error("the token was removed ({0})")]
    Removed(String),
    /// It may answer later.
    #[error("the token gives no answer within {0:?}")]
    NoAnswer(Duration),
    /// Not asked: an earlier call still waits.
    #[error("the token has not answered an earlier call yet")]
    Unhealthy,
    /// Not asked: others wait.
    #[error("too many calls wait for the token")]
    Busy,
    /// See [`super::MAX_WRAPS`].
    #[error("the key has wrapped as often as is safe: rotate the root")]
    Spent,
    /// It wrote no IV of its own, or the same twice.
    #[error("the token does not choose a fresh IV")]
    Iv,
    /// Nothing was kept.
    #[error("what the token wrapped does not open again")]
    NotKept,
    /// Any other answer.
    #[error("the token answers {call} with {code}")]
    Answer {
        /// The function.
        call: String,
        /// `CKR_...`.
        code: String,
    },
    /// The module's answer makes no sense to its binding.
    #[error("the PKCS#11 module gives a malformed answer: {0}")]
    Malformed(String),
    /// No bytes for an IV or an id.
    #[error("the operating system gives no randomness")]
    Random,
    /// No thread, or it ended by a fault.
    #[error("the token's thread ended")]
    Stopped,
}

impl TokenError {
    /// The session is of no more use; a new one may be.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Self::Removed(_))
    }

    /// No further login with this PIN.
    pub(super) fn bars_pin(&self) -> bool {
        matches!(self, Self::PinWrong(_) | Self::PinLocked | Self::PinExpired)
    }
}
