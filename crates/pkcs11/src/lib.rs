//! A key in a PKCS#11 token that never leaves it: it wraps and unwraps 32-byte secrets inside.
//!
//! A [`Token`] is one login to one token and its one key. The module that the vendor supplies may block, so it lives in a thread of its
//! own and every call has a deadline (`worker.rs`). The PIN stays in this process, in memory that is overwritten, until the token is
//! dropped: a token that was pulled out and put back is opened again without a person. A PIN that the token refuses once is forgotten
//! at once, because each try counts towards the lock.

mod answer;
mod error;
mod gcm;
mod key;
mod link;
mod module;
mod worker;
mod wrapped;

pub use error::{TokenError, Tries};
pub use wrapped::{MAX_WRAPPED_LEN, MIN_WRAPPED_LEN};

use error::Result;
use gcm::Counts;
use link::Link;
use module::Pin;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use worker::Worker;
use zeroize::Zeroizing;

/// Length of the secrets that a token wraps.
pub const SECRET_LEN: usize = 32;

/// Longest context that is bound to a wrap.
pub const MAX_CONTEXT_LEN: usize = 1024;

/// Longest PIN.
pub const MAX_PIN_LEN: usize = 255;

/// Wraps under one key with random IVs (NIST SP 800-38D, 8.3).
pub const MAX_WRAPS: u64 = 1 << 32;

/// Where a key is. Holds nothing secret.
///
/// # Security
/// The module is code that runs in this process: take its path from whoever runs the program, never from a file that others write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The vendor's library, by absolute path.
    pub module: PathBuf,
    /// Label of the token.
    pub token: String,
    /// Its serial number, where the label alone may not tell.
    pub serial: Option<String>,
    /// `CKA_ID` of the key.
    pub key: [u8; 16],
}

/// What to do when the token says that one more wrong PIN locks it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastTry {
    /// Do not log in: a wrong PIN file under a restarting service locks no token.
    #[default]
    Refuse,
    /// Log in: a person was asked.
    Take,
}

/// How long to wait and what to assume.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// For a wrap or an unwrap, the wait for others before it included.
    pub answer_within: Duration,
    /// For loading the module, login and finding the key.
    pub open_within: Duration,
    /// Before the PIN locks.
    pub last_try: LastTry,
    /// Wraps made under this key before, in other processes.
    pub wrapped_before: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            answer_within: Duration::from_secs(2),
            open_within: Duration::from_secs(10),
            last_try: LastTry::Refuse,
            wrapped_before: 0,
        }
    }
}

/// An open token and its key.
pub struct Token {
    place: Place,
    counts: Arc<Counts>,
    worker: Worker<Link>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({}, {})", self.place.token, hex::encode(self.place.key))
    }
}

impl Token {
    /// Logs in and finds the key, which must be what [`Token::create`] makes: AES-256, in the token, private, sensitive, never
    /// extractable, for encryption and decryption.
    ///
    /// # Errors
    /// Every [`TokenError`] but the refusal of wrapped bytes. A wrong PIN is tried once.
    pub fn open(place: &Place, pin: &[u8], settings: Settings) -> Result<Self> {
        let pin = Arc::new(Pin::new(pin)?);
        let counts = Arc::new(Counts::new(settings.wrapped_before));
        let (of, shared) = (place.clone(), Arc::clone(&counts));
        let make = move || Link::open(of, pin, settings, shared).map(|link| (link, ()));
        let (worker, ()) = Worker::start(settings.open_within, settings.answer_within, make, drop)?;
        Ok(Self { place: place.clone(), counts, worker })
    }

    /// Makes a fresh key in the token that carries this label, and proves that it wraps and unwraps. A key that does not is destroyed.
    ///
    /// # Errors
    /// As [`Token::open`]. After [`TokenError::NoAnswer`] the token may keep a key `strongroom root ...` that nobody uses.
    pub fn create(
        module: &Path,
        token: &str,
        serial: Option<&str>,
        pin: &[u8],
        settings: Settings,
    ) -> Result<(Self, Place)> {
        let pin = Arc::new(Pin::new(pin)?);
        let counts = Arc::new(Counts::new(0));
        let of = Place {
            module: module.to_owned(),
            token: token.to_owned(),
            serial: serial.map(str::to_owned),
            key: gcm::random()?,
        };
        let shared = Arc::clone(&counts);
        let make = move || Link::create(of, pin, settings, shared).map(|link| (link.place().clone(), link)).map(swap);
        let abandon = |mut link: Link| drop(link.destroy_key());
        let (worker, place) = Worker::start(settings.open_within, settings.answer_within, make, abandon)?;
        Ok((Self { place: place.clone(), counts, worker }, place))
    }

    /// Where the key is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Wraps a secret for one context, and opens the wrap again before handing it out.
    ///
    /// # Errors
    /// [`TokenError`]. Tried a second time only after the token was away.
    pub fn wrap(&self, context: &[u8], secret: &[u8; SECRET_LEN]) -> Result<Vec<u8>> {
        let context = bounded(context)?;
        let mut copy = Box::new(Zeroizing::new([0; SECRET_LEN]));
        copy.copy_from_slice(secret);
        self.worker.ask(move |link| link.wrap(&context, &copy))
    }

    /// Opens what [`Token::wrap`] made for that context.
    ///
    /// # Errors
    /// [`TokenError::Refused`] for bytes or a context that are not those of a wrap under this key, else the token's trouble. Tried a
    /// second time only after the token was away.
    pub fn unwrap(&self, context: &[u8], wrapped: &[u8]) -> Result<Box<Zeroizing<[u8; SECRET_LEN]>>> {
        let context = bounded(context)?;
        let wrapped = wrapped::Wrapped::decode(wrapped)?;
        self.worker.ask(move |link| link.unwrap(&context, &wrapped))
    }

    /// Destroys the key in the token. What it wrapped is lost.
    ///
    /// # Errors
    /// [`TokenError`]. Never tried twice.
    pub fn destroy_key(&self) -> Result<()> {
        self.worker.ask(Link::destroy_key)
    }

    /// Encryptions and decryptions that the token was asked for.
    pub fn calls(&self) -> u64 {
        self.counts.calls.load(Ordering::Relaxed)
    }

    /// Wraps under this key that are known of, [`Settings::wrapped_before`] included.
    pub fn wraps(&self) -> u64 {
        self.counts.wraps.load(Ordering::Relaxed)
    }

    /// Whether the last call that was waited for has been answered.
    pub fn answers(&self) -> bool {
        self.worker.answers()
    }
}

/// Waits for threads that were left in a module which did not answer. Whether all have ended.
///
/// Call it before the process exits, after the last [`Token`] was dropped: a thread that is still in a module then may crash the process
/// (SoftHSM does). Where it says no, exit without exit handlers.
pub fn rest(within: Duration) -> bool {
    worker::rest(within) == 0
}

fn swap<A, B>((a, b): (A, B)) -> (B, A) {
    (b, a)
}

fn bounded(context: &[u8]) -> Result<Vec<u8>> {
    if context.len() > MAX_CONTEXT_LEN { Err(TokenError::Context) } else { Ok(context.to_vec()) }
}
