//! A vault on disk: made, described, opened.

pub(crate) mod file;
pub(crate) mod make;
pub(crate) mod open;

use crate::datastore::Datastore;
use crate::system::{Clock, SystemClock};
use api::terms::{KeyId, Mode, Name, VaultId};
use api::wire::{Problem, VaultInfo};
use seal::recovery::Code;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// A passphrase, overwritten on drop.
pub type Passphrase = Zeroizing<Vec<u8>>;

/// How a new vault is made.
#[derive(Debug)]
pub struct InitOptions {
    /// The folder; made if absent, and it must hold no vault.
    pub dir: PathBuf,
    /// The id, from [`draw_id`]: the default paths of key file and anchor carry it.
    pub vault: VaultId,
    /// How it is run.
    pub mode: Mode,
    /// Its first root.
    pub root: RootChoice,
    /// Where the last signed tree head is kept, outside the vault.
    pub anchor: PathBuf,
    /// The first principal, owner of everything.
    pub owner: Name,
    /// The organisation's table of suites in place of `baseline/crypto.toml`.
    pub crypto: Option<String>,
    /// A second root, behind a code.
    pub recovery: Option<RecoveryCode>,
}

/// A recovery code before anybody has seen it.
#[derive(Debug)]
pub struct RecoveryCode {
    pub(crate) code: Code,
    pub(crate) kept: Kept,
}

/// Where a recovery code goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is shown to somebody, who writes it down.
    Paper,
    /// It is written to a file: to the policies, a key file.
    File,
}

impl RecoveryCode {
    /// Draws one.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn draw(kept: Kept) -> Result<Self, Problem> {
        Ok(Self { code: Code::generate().map_err(|_| crate::error::Error::Random)?, kept })
    }

    /// The code, to be shown once.
    pub fn expose_text(&self) -> Zeroizing<String> {
        self.code.expose_text()
    }
}

/// How a vault is recovered.
#[derive(Debug)]
pub struct RecoverOptions {
    /// The folder.
    pub dir: PathBuf,
    /// The anchor.
    pub anchor: PathBuf,
    /// What brings it back.
    pub with: Recovering,
    /// The root that comes in the place of those that were there.
    pub root: RootChoice,
    /// And a new code, in the place of the one that is used now.
    pub recovery: Option<RecoveryCode>,
    /// Whether roots of before that alone wrap a key which this does not open go on opening everything that they did; else it is refused.
    pub keep_roots: bool,
    /// Time; tests put their own in.
    pub clock: Arc<dyn Clock>,
    /// The database, if it is not the one in the folder.
    pub store: Option<Datastore>,
}

/// The root of a new vault.
pub enum RootChoice {
    /// A random key in a new file (0600) outside the vault; the file must not exist.
    Keyfile {
        /// Where.
        path: PathBuf,
    },
    /// Derived from a passphrase, by the function of the vault's suite.
    Passphrase {
        /// The passphrase, at most 1,024 bytes.
        bytes: Passphrase,
    },
    /// A new key in a PKCS #11 token, which it does not leave.
    Pkcs11 {
        /// The token.
        place: TokenPlace,
        /// Its PIN.
        pin: Passphrase,
    },
    /// A key of AWS KMS that is there.
    AwsKms {
        /// Which, and how it is reached.
        place: KmsPlace,
    },
}

/// How long a token or a service may take to answer before the next root is asked.
pub const ANSWER_WITHIN: std::time::Duration = std::time::Duration::from_secs(2);

/// A PKCS #11 token, and the vendor's library that reaches it. The library runs in this process: take it from whoever runs the
/// program, never from the vault's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPlace {
    /// The library, by absolute path.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// Its serial number, where the label alone does not tell.
    pub serial: Option<String>,
    /// Whether somebody was asked for the PIN just now: then the last try before the token locks is taken.
    pub asked: bool,
    /// How long it may take to answer.
    pub deadline: std::time::Duration,
}

/// A key of AWS KMS. Credentials come from the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsPlace {
    /// Its ARN; no alias.
    pub key: String,
    /// An endpoint other than the region's.
    pub endpoint: Option<String>,
    /// How long it may take to answer.
    pub deadline: std::time::Duration,
}

/// A further root, and where it stands among the others.
#[derive(Debug)]
pub struct RootAdd {
    /// What it is.
    pub choice: RootChoice,
    /// The lowest is asked first; none for what its kind has, or the root that it follows.
    pub priority: Option<u32>,
    /// The root of its kind that it is to take the place of.
    pub follows: Option<KeyId>,
}

/// How many shares an escrow has, and how many bring it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EscrowWanted {
    /// From 2 to 16.
    pub shares: u8,
    /// From 2 to as many.
    pub threshold: u8,
}

/// The texts of shares, as they are on paper. Overwritten on drop.
pub struct Shares(pub Vec<Zeroizing<String>>);

impl std::fmt::Debug for Shares {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shares({})", self.0.len())
    }
}

/// What brings a vault back.
#[derive(Debug)]
pub enum Recovering {
    /// The recovery code, as it was typed.
    Code(Passphrase),
    /// Shares of the escrow.
    Shares(Shares),
}

impl RootChoice {
    /// What opens it again in this process.
    pub(crate) fn unlock(&self) -> RootUnlock {
        match self {
            Self::Keyfile { path } => RootUnlock::Keyfile(path.clone()),
            Self::Passphrase { bytes } => RootUnlock::Passphrase(bytes.clone()),
            Self::Pkcs11 { place, pin } => RootUnlock::Pkcs11 { place: place.clone(), pin: pin.clone() },
            Self::AwsKms { place } => RootUnlock::AwsKms { place: place.clone(), credentials: Passphrase::default() },
        }
    }

    /// The kind of root that it makes.
    pub const fn kind(&self) -> RootKind {
        match self {
            Self::Keyfile { .. } => RootKind::Keyfile,
            Self::Passphrase { .. } => RootKind::Passphrase,
            Self::Pkcs11 { .. } => RootKind::Pkcs11,
            Self::AwsKms { .. } => RootKind::AwsKms,
        }
    }
}

impl std::fmt::Debug for RootChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Keyfile { path } => f.debug_struct("Keyfile").field("path", path).finish(),
            Self::Passphrase { .. } => f.write_str("Passphrase(..)"),
            Self::Pkcs11 { place, .. } => f.debug_struct("Pkcs11").field("place", place).finish_non_exhaustive(),
            Self::AwsKms { place } => f.debug_struct("AwsKms").field("place", place).finish(),
        }
    }
}

/// The kind of a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RootKind {
    /// A key file outside the vault.
    Keyfile,
    /// A passphrase.
    Passphrase,
    /// A code that `recover` takes; until then it only wraps.
    Recovery,
    /// A key in a token that speaks PKCS #11.
    Pkcs11,
    /// A key of a cloud's key management.
    AwsKms,
    /// A public key whose secret half is in shares; it only wraps.
    Escrow,
}

impl RootKind {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Keyfile => "keyfile",
            Self::Passphrase => "passphrase",
            Self::Recovery => "recovery",
            Self::Pkcs11 => "pkcs11",
            Self::AwsKms => "aws-kms",
            Self::Escrow => "escrow",
        }
    }

    /// Whether it never opens anything in a vault's daily life.
    pub const fn only_wraps(self) -> bool {
        matches!(self, Self::Recovery | Self::Escrow)
    }

    /// Where it stands among others unless somebody says otherwise: the lowest is asked first.
    pub(crate) const fn priority(self) -> u32 {
        match self {
            Self::Pkcs11 => 10,
            Self::AwsKms => 20,
            Self::Keyfile => 30,
            Self::Passphrase => 40,
            Self::Recovery | Self::Escrow => 90,
        }
    }
}

impl std::fmt::Display for RootKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// What `vault.json` says. Nothing here is trusted before a root has opened.
#[derive(Debug, Clone)]
pub struct Description {
    /// The vault.
    pub vault: VaultId,
    /// Its mode.
    pub mode: Mode,
    /// Its roots, in the order in which they are tried.
    pub roots: Vec<RootEntry>,
}

/// A root as `vault.json` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootEntry {
    /// Its id.
    pub id: KeyId,
    /// Its kind.
    pub kind: RootKind,
}

impl Description {
    /// Whether it has a root of a kind.
    pub fn has(&self, kind: RootKind) -> bool {
        self.roots.iter().any(|root| root.kind == kind)
    }
}

/// How a vault is opened.
#[derive(Debug)]
pub struct OpenOptions {
    /// The folder.
    pub dir: PathBuf,
    /// What opens its roots here; they are tried in the order of `vault.json`.
    pub roots: Vec<Arc<RootMeans>>,
    /// The anchor; an absent file means that freshness is unproven.
    pub anchor: PathBuf,
    /// Time; tests put their own in.
    pub clock: Arc<dyn Clock>,
    /// Whether a clock out of bounds keeps the vault closed.
    pub clock_check: ClockCheck,
    /// The database, if it is not the one in the folder.
    pub store: Option<Datastore>,
}

impl OpenOptions {
    /// With the operating system's clock.
    pub fn new(dir: PathBuf, root: RootUnlock, anchor: PathBuf) -> Self {
        Self::with_roots(dir, vec![RootMeans { root: None, unlock: root }], anchor)
    }

    /// The same with whatever opens roots here.
    pub fn with_roots(dir: PathBuf, roots: Vec<RootMeans>, anchor: PathBuf) -> Self {
        let roots = roots.into_iter().map(Arc::new).collect();
        Self { dir, roots, anchor, clock: Arc::new(SystemClock), clock_check: ClockCheck::AtOpening, store: None }
    }
}

/// When a clock that is further from the high-water mark than tolerated is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClockCheck {
    /// When the vault is opened.
    #[default]
    AtOpening,
    /// By every command but [`api::wire::Command::ClockAccept`], which the vault is opened for.
    AtCommands,
}

/// What opens a root, and which.
#[derive(Debug)]
pub struct RootMeans {
    /// The root; none for any of the kind.
    pub root: Option<KeyId>,
    /// What opens it.
    pub unlock: RootUnlock,
}

impl RootMeans {
    /// Whether it may open this one.
    pub(crate) fn fits(&self, entry: &file::RootEntry) -> bool {
        self.unlock.kind() == entry.kind && self.root.is_none_or(|root| root == entry.id)
    }
}

/// What opens a root.
pub enum RootUnlock {
    /// The key file.
    Keyfile(PathBuf),
    /// The passphrase.
    Passphrase(Passphrase),
    /// A PKCS #11 token.
    Pkcs11 {
        /// Which.
        place: TokenPlace,
        /// Its PIN.
        pin: Passphrase,
    },
    /// AWS KMS.
    AwsKms {
        /// Which key.
        place: KmsPlace,
        /// What [`aws_credentials`] found; nothing, to look again.
        credentials: Passphrase,
    },
}

/// The AWS credentials of this process, for another one that has not its environment.
///
/// # Errors
/// `root-refused` if there are none that can be used; `unsupported` if AWS KMS is not built in.
pub fn aws_credentials() -> Result<Passphrase, Problem> {
    #[cfg(feature = "aws-kms")]
    return Ok(crate::roots::KmsRoot::credentials()?);
    #[cfg(not(feature = "aws-kms"))]
    Err(crate::error::Error::Unsupported("this program was built without AWS KMS".into()).into())
}

impl RootUnlock {
    /// The kind of root that it opens.
    pub const fn kind(&self) -> RootKind {
        match self {
            Self::Keyfile(_) => RootKind::Keyfile,
            Self::Passphrase(_) => RootKind::Passphrase,
            Self::Pkcs11 { .. } => RootKind::Pkcs11,
            Self::AwsKms { .. } => RootKind::AwsKms,
        }
    }
}

impl std::fmt::Debug for RootUnlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Keyfile(path) => f.debug_tuple("Keyfile").field(path).finish(),
            Self::Passphrase(_) => f.write_str("Passphrase(..)"),
            Self::Pkcs11 { place, .. } => f.debug_struct("Pkcs11").field("place", place).finish_non_exhaustive(),
            Self::AwsKms { place, .. } => f.debug_struct("AwsKms").field("place", place).finish_non_exhaustive(),
        }
    }
}

/// Gives a vault new roots with its recovery code: those that were there open nothing any more, the code neither. One stays if it alone
/// wraps a key that the code does not open: which.
///
/// # Errors
/// `root-refused` for a code with a slip, of another vault, or used already; `conflict` if a key file is in the way; whatever keeps a
/// vault from being opened.
pub fn recover(options: &RecoverOptions) -> Result<Vec<KeyId>, Problem> {
    Ok(crate::recover::recover(options)?)
}

/// Which root of a vault a key file is.
///
/// # Errors
/// `root-refused` for a file that is none, is another vault's, or that others can read.
pub fn keyfile_root(path: &Path, vault: VaultId) -> Result<KeyId, Problem> {
    use crate::roots::Wrapper as _;
    Ok(crate::roots::KeyfileRoot::read(path, vault)?.id())
}

/// Waits, before the process exits, for threads that were left in the library of a token that did not answer: some crash when
/// they are ended inside. Whether all have ended.
pub fn rest(within: std::time::Duration) -> bool {
    pkcs11::rest(within)
}

/// A fresh vault id.
///
/// # Errors
/// When the operating system gives no randomness.
pub fn draw_id() -> Result<VaultId, Problem> {
    Ok(VaultId::from_bytes(crate::system::random()?))
}

/// Makes a vault.
///
/// # Errors
/// `conflict` if one is there or the key file exists; `unavailable`, `unsupported` for folders that cannot carry one.
pub fn init(options: &InitOptions) -> Result<VaultInfo, Problem> {
    Ok(make::init(options, None)?)
}

/// The same with a database elsewhere, which must be empty.
///
/// # Errors
/// As [`init`], and whatever the database says.
pub fn init_in(options: &InitOptions, store: Datastore) -> Result<VaultInfo, Problem> {
    Ok(make::init(options, Some(store))?)
}

/// Reads `vault.json` without any root: which vault, which roots.
///
/// # Errors
/// `no-vault` if there is none.
pub fn describe(dir: &Path) -> Result<Description, Problem> {
    let file = file::VaultFile::read(dir)?;
    let roots = file.roots.iter().map(|root| RootEntry { id: root.id, kind: root.kind }).collect();
    Ok(Description { vault: file.vault, mode: file.mode, roots })
}
