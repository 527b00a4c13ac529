//! Finding, making and opening a vault folder.

use crate::Client;
use crate::connection::embedded::Embedded;
use crate::depots::Place;
use crate::seat::{Seat, SessionKey};
use api::terms::{Code, KeyId, Mode, Name, VaultId};
use api::wire::{Problem, VaultInfo};
use keeper::vault::RootChoice;
use keeper::{Keeper, Session};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

pub use keeper::Presence;
pub use keeper::vault::{
    ANSWER_WITHIN, ClockCheck, Description, Kept, KmsPlace, RecoveryCode, RootEntry, RootKind, RootMeans, RootUnlock,
    TokenPlace,
};
pub use keeper::vault::{Recovering, aws_credentials, keyfile_root, rest};

/// A passphrase, overwritten on drop.
pub type Passphrase = Zeroizing<Vec<u8>>;

/// The name of a vault's folder.
pub const FOLDER: &str = ".strongroom";

/// The nearest vault folder, from here upwards.
pub fn find(from: &Path) -> Option<PathBuf> {
    from.ancestors().map(|dir| dir.join(FOLDER)).find(|dir| dir.is_dir())
}

/// The vault that a folder names: itself, even if it is damaged, or else the one in it.
pub fn named(dir: &Path) -> PathBuf {
    let inside = dir.join(FOLDER);
    let no_vault = describe(dir).is_err_and(|problem| problem.code == Code::NoVault);
    if no_vault && inside.is_dir() { inside } else { dir.to_owned() }
}

/// A fresh vault id, which the default paths of key file and anchor carry.
///
/// # Errors
/// `unavailable` without randomness.
pub fn draw_id() -> Result<VaultId, Problem> {
    keeper::vault::draw_id()
}

/// Which vault this is and what opens it; unproven before a root has opened.
///
/// # Errors
/// `no-vault`.
pub fn describe(dir: &Path) -> Result<Description, Problem> {
    keeper::vault::describe(dir)
}

/// The root of a new vault, or one that comes in the place of others.
#[derive(Debug)]
pub enum Root {
    /// With a key file.
    Keyfile(PathBuf),
    /// With a passphrase.
    Passphrase(Passphrase),
}

impl Root {
    /// The same again, to open what it was made for.
    fn again(&self) -> Self {
        match self {
            Self::Keyfile(path) => Self::Keyfile(path.clone()),
            Self::Passphrase(bytes) => Self::Passphrase(Zeroizing::new(bytes.to_vec())),
        }
    }

    fn unlocking(self) -> RootUnlock {
        match self {
            Self::Keyfile(path) => RootUnlock::Keyfile(path),
            Self::Passphrase(bytes) => RootUnlock::Passphrase(bytes),
        }
    }

    fn made(self) -> RootChoice {
        match self {
            Self::Keyfile(path) => RootChoice::Keyfile { path },
            Self::Passphrase(bytes) => RootChoice::Passphrase { bytes },
        }
    }
}

/// How a new vault is made.
#[derive(Debug)]
pub struct Init {
    /// The folder.
    pub dir: PathBuf,
    /// Its id.
    pub vault: VaultId,
    /// How it is run.
    pub mode: Mode,
    /// What opens it.
    pub root: Root,
    /// Where the last signed tree head is kept.
    pub anchor: PathBuf,
    /// The first principal.
    pub owner: Name,
    /// The organisation's table of suites in place of the baseline's.
    pub crypto: Option<String>,
    /// A second root, behind a code.
    pub recovery: Option<RecoveryCode>,
    /// Where its data lies, and not in the folder `depot` in it.
    pub depot: Option<Place>,
}

/// How a vault is recovered.
#[derive(Debug)]
pub struct Recover {
    /// The folder.
    pub dir: PathBuf,
    /// Where the last signed tree head is kept.
    pub anchor: PathBuf,
    /// What brings it back.
    pub with: Recovering,
    /// What opens it from now on.
    pub root: Root,
    /// And a new code.
    pub recovery: Option<RecoveryCode>,
    /// Whether roots of before may stay, where they alone open a key.
    pub keep_roots: bool,
}

/// Makes a vault with its depot, and has git ignore it. A depot elsewhere is tried first: if it cannot be used, nothing is made.
///
/// # Errors
/// `conflict` if there is one; `unsupported` for a file system that cannot carry one; `unavailable`.
pub fn init(options: Init) -> Result<VaultInfo, Problem> {
    for parent in
        [Some(options.anchor.as_path()), keyfile(&options.root)].into_iter().flatten().filter_map(Path::parent)
    {
        private_folder(parent)?;
    }
    let own = options.dir.join("depot");
    if let Some(place) = &options.depot {
        // By an act under a right that its owner has in a solo vault only.
        if options.mode != Mode::Solo {
            let why = format!("a {} vault is given its depots by a custodian", options.mode);
            let problem = Problem::new(Code::BadRequest, "cannot make the vault with that depot", why);
            return Err(problem.with_try("init without --depot, then strongroom --as CUSTODIAN depot add DIR|URL"));
        }
        let dir = std::path::absolute(&options.dir).map_err(|e| crate::fault::io("cannot find", &options.dir, &e))?;
        if place.overlaps(&Place::Folder(dir)) {
            let what = format!("`{}` cannot be a depot", place.text());
            return Err(Problem::new(Code::Conflict, what, "it lies in the vault, or the vault in it"));
        }
        crate::depots::tried(place, *options.vault.as_bytes())?;
    }
    let elsewhere =
        options.depot.map(|place| (place, options.root.again(), options.dir.clone(), options.anchor.clone()));
    let ignore = options.dir.join(".gitignore");
    let info = keeper::vault::init(&keeper::vault::InitOptions {
        dir: options.dir,
        vault: options.vault,
        mode: options.mode,
        root: options.root.made(),
        anchor: options.anchor,
        owner: options.owner,
        crypto: options.crypto,
        recovery: options.recovery,
    })?;
    match elsewhere {
        None => drop(depot::Local::create(&own).map_err(|e| crate::fault::depot("cannot make the depot", &e))?),
        Some((place, root, dir, anchor)) => {
            move_depot(&place, root, &dir, anchor)?;
            // It is empty, and nothing looks for it.
            let _ = std::fs::remove_dir(&own);
        }
    }
    std::fs::write(&ignore, "*\n").map_err(|e| crate::fault::io("cannot write", &ignore, &e))?;
    Ok(info)
}

/// Has a new vault keep its data elsewhere.
fn move_depot(place: &Place, root: Root, dir: &Path, anchor: PathBuf) -> Result<(), Problem> {
    let keeper = Keeper::open(&keeper::vault::OpenOptions::new(dir.to_owned(), root.unlocking(), anchor))?;
    let key = SessionKey::generate()?;
    let session = sat_down(&keeper, Sitting::default(), key.public())?;
    let seat = Seat::new(Box::new(Embedded::new(keeper, session)), key)?;
    crate::depots::begin_with(&seat, place)?;
    seat.close()
}

/// Gives a vault new roots with its recovery code; those that were there open nothing any more, the code neither. One stays, if it may,
/// that alone wraps a key which the code does not open: which.
///
/// # Errors
/// `root-refused` for a code that has a slip, is of another vault, or was used; `conflict` if a key file is in the way; as [`open`].
pub fn recover(options: Recover) -> Result<Vec<KeyId>, Problem> {
    for parent in
        [Some(options.anchor.as_path()), keyfile(&options.root)].into_iter().flatten().filter_map(Path::parent)
    {
        private_folder(parent)?;
    }
    keeper::vault::recover(&keeper::vault::RecoverOptions {
        dir: options.dir,
        anchor: options.anchor,
        with: options.with,
        root: options.root.made(),
        recovery: options.recovery,
        keep_roots: options.keep_roots,
        clock: Arc::new(keeper::system::SystemClock),
        store: None,
    })
}

/// Who sits down, and what they say of themselves. Everything but nothing is for rehearsal vaults.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sitting<'a> {
    /// The principal; else the owner.
    pub principal: Option<&'a Name>,
    /// Whether they proved to be there; else they did, just now.
    pub presence: Option<Presence>,
}

/// Opens a vault and sits down as its owner, or as a named principal of a rehearsal vault.
///
/// # Errors
/// `no-vault`, `root-refused`, `bad-signature`, `clock-back`, `clock-ahead`, `unavailable`; `bad-request` for what only a rehearsal
/// vault takes on somebody's word.
pub fn open(dir: &Path, roots: Vec<RootMeans>, anchor: PathBuf, who: Sitting<'_>) -> Result<Client, Problem> {
    open_checking(dir, roots, anchor, who, ClockCheck::AtOpening)
}

/// As [`open`], with the clock checked as `clock_check` says.
///
/// # Errors
/// As [`open`].
pub fn open_checking(
    dir: &Path,
    roots: Vec<RootMeans>,
    anchor: PathBuf,
    who: Sitting<'_>,
    clock_check: ClockCheck,
) -> Result<Client, Problem> {
    let options = keeper::vault::OpenOptions::with_roots(dir.to_owned(), roots, anchor);
    let keeper = Keeper::open(&keeper::vault::OpenOptions { clock_check, ..options })?;
    let key = SessionKey::generate()?;
    let session = sat_down(&keeper, who, key.public())?;
    Client::of(Seat::new(Box::new(Embedded::new(keeper, session)), key)?, dir)
}

/// A session with an opened vault.
pub(crate) fn sat_down(keeper: &Keeper, who: Sitting<'_>, public_key: [u8; 32]) -> Result<Session, Problem> {
    if who.presence.is_some() && keeper.info().mode != Mode::Rehearsal {
        let why =
            format!("a {} vault takes nothing on somebody's word; only a rehearsal vault does", keeper.info().mode);
        return Err(Problem::new(Code::BadRequest, "cannot assert presence", why));
    }
    Ok(keeper.session(who.principal, public_key)?.with_presence(who.presence.unwrap_or_default()))
}

fn keyfile(root: &Root) -> Option<&Path> {
    match root {
        Root::Keyfile(path) => Some(path),
        Root::Passphrase(_) => None,
    }
}

/// Makes a folder that only its owner can enter.
pub(crate) fn private_folder(path: &Path) -> Result<(), Problem> {
    use std::os::unix::fs::DirBuilderExt as _;
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|e| Problem::new(Code::Unavailable, format!("cannot make `{}`", path.display()), e.to_string()))
}
