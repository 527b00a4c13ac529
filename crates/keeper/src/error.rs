//! What can go wrong inside, and how each is told outside.

use crate::datastore;
use crate::removal::RemovedWords;
use api::terms::{Class, Code, Environment, KeyId, KeyState, RootKind, Suite, Timestamp};
use api::wire::{Problem, Refusal};
use std::path::PathBuf;

/// The keeper's result.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Every way to fail. Messages hold no secrets.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Store(#[from] datastore::Error),
    #[error("row `{row}` of `{table}` is not what the keeper wrote")]
    Altered { table: &'static str, row: String },
    #[error("the wrap of key `{key}` does not open in its place")]
    Wrap { key: String },
    #[error("`{0}` was not found")]
    NotFound(String),
    #[error("there is no principal `{0}`")]
    NoPrincipal(api::terms::Name),
    /// Whoever it was does nothing any more.
    #[error("{0} was erased")]
    Erased(api::terms::PrincipalId),
    #[error("no vault in `{}`", .0.display())]
    NoVault(PathBuf),
    #[error("`{}` holds a vault already", .0.display())]
    VaultExists(PathBuf),
    #[error("`vault.json` is not readable: {0}")]
    VaultFile(&'static str),
    /// There is data of a vault, and not the file that says which.
    #[error("`{}` holds the data of a vault, and its vault.json is missing", .0.display())]
    VaultFileLost(PathBuf),
    /// Some of a vault, and what says that it is being restored.
    #[error("a backup was being restored into `{}`, and that did not finish", .0.display())]
    RestoreUnfinished(PathBuf),
    #[error("the backup does not hold: {0}")]
    BackupDamaged(String),
    #[error("{}", behind(*.has, *.known))]
    BackupBehind { has: u64, known: u64 },
    #[error("the vault's database `{}` is missing or empty", .0.display())]
    DatabaseLost(PathBuf),
    #[error("the root does not open: {0}")]
    RootRefused(&'static str),
    /// A root that counts, and that this process has nothing to open with.
    #[error("the {kind} root is not at hand")]
    RootAway { kind: crate::vault::RootKind },
    /// What a token or a service says; whether it may pass, and whether the same PIN must not be tried again.
    #[error("{why}")]
    RootSays { why: String, passes: bool, spent: bool },
    #[error("no root of the vault may wrap {class} keys in {environment}")]
    NoRoot { class: Class, environment: Environment },
    #[error("the recovery code is refused: {0}")]
    RecoveryRefused(String),
    #[error("the shares are refused: {0}")]
    SharesRefused(String),
    #[error("`{}` exists already", .0.display())]
    FileExists(PathBuf),
    #[error("there is no `{}`", .0.display())]
    NoFile(PathBuf),
    #[error("{what} `{}`: {why}", .path.display())]
    Io { what: &'static str, path: PathBuf, why: std::io::ErrorKind },
    #[error("the operating system gives no randomness")]
    Random,
    #[error("{what}: {why}")]
    BadRequest { what: &'static str, why: String },
    #[error("the session is not valid: {0}")]
    BadSession(&'static str),
    /// A bound on what one principal may ask; others go on.
    #[error("{0}")]
    TooMany(&'static str),
    #[error("refused")]
    Refused { what: String, code: Code, refusal: Box<Refusal> },
    #[error("{what}: {why}")]
    Conflict { what: &'static str, why: String, hint: Option<String> },
    #[error("the request is made for another suite than `{suite}`")]
    Suite { what: &'static str, suite: Suite },
    #[error("nothing {class} of suite `{suite}` is opened here{}", since_worded(*.since))]
    SuiteShut { class: Class, suite: Suite, since: Option<Timestamp>, mend: String },
    /// The only roots that wrap a key are of kinds that the table does not let open it.
    #[error("key {key} lies under a {root} root, and none may open {class} keys in {environment}{}", since_worded(*.since))]
    RootShut { key: KeyId, root: RootKind, class: Class, environment: Environment, since: Option<Timestamp> },
    /// A passphrase that costs a guesser less than the table lets be opened.
    #[error("a guess at the passphrase of root {root} costs {costs}, which is not opened{}", since_worded(*.since))]
    RootWeak { root: KeyId, costs: String, since: Option<Timestamp> },
    /// The same of one that is open: it opens what it wrapped, and wraps nothing new.
    #[error("root {root} wraps nothing new: a guess at its passphrase costs {costs}, which is not opened{}", since_worded(*.since))]
    RootOutdated { root: KeyId, costs: String, since: Option<Timestamp> },
    /// No class lets such a root wrap its keys.
    #[error("a {root} root may wrap the keys of no class{}", since_worded(*.since))]
    RootUseless { root: RootKind, since: Option<Timestamp> },
    /// A key that seals is not what the table asks for: it is followed by another one, and the command made again.
    #[error("key {key} is out of policy: nothing is sealed under it any more")]
    OutOfPolicy { key: KeyId },
    #[error("{}", .0.join("; "))]
    LocksOut(Vec<String>),
    #[error("`{reference}` {state}")]
    Removed { reference: String, state: RemovedWords },
    #[error("key {key} of {of} is {state}: {}", state.allows())]
    KeyShut { key: KeyId, of: String, state: KeyState },
    #[error("{of}: its key lies under the key {key}, which is to be destroyed after {until}")]
    KeyEnding { key: KeyId, of: String, until: Timestamp },
    /// Another context, an altered token, or another key: which, nobody learns.
    #[error("this is no token of {of} with this context")]
    Value { of: String },
    #[error("the clock went back by {by_secs} s")]
    ClockBack { by_secs: u64 },
    #[error("the clock is {by_days} days ahead of what the vault saw last")]
    ClockAhead { by_days: u64 },
    #[error("the vault is read-only: {0}")]
    ReadOnly(String),
    #[error("{0}")]
    Unproven(&'static str),
    #[error("the log: {why}")]
    Log { code: Code, why: String },
    #[error("the policy set: {0}")]
    Policy(String),
    #[error("{}", other_baseline(*.edition, .baseline))]
    OtherBaseline { edition: u32, baseline: String },
    #[error("{0}")]
    Unsupported(String),
    #[error("a defect: {0}")]
    Internal(&'static str),
    /// A look at something that policy refuses; logged before it is told.
    #[error("not visible")]
    Unseen(Box<crate::decide::Verdict>),
    /// Facts changed while a decision was made; the command is decided again and this never leaves the keeper.
    #[error("facts changed while the decision was made")]
    Stale,
}

impl Error {
    pub(crate) fn bad(what: &'static str, why: impl Into<String>) -> Self {
        Self::BadRequest { what, why: why.into() }
    }

    pub(crate) fn conflict(what: &'static str, why: impl Into<String>) -> Self {
        Self::Conflict { what, why: why.into(), hint: None }
    }

    /// Whether it is about one key and what opens it, and says nothing of another key. What was altered says something of all.
    pub(crate) const fn is_of_one_key(&self) -> bool {
        matches!(
            self,
            Self::KeyShut { .. }
                | Self::KeyEnding { .. }
                | Self::OutOfPolicy { .. }
                | Self::NoRoot { .. }
                | Self::RootAway { .. }
                | Self::RootRefused(_)
                | Self::RootSays { .. }
                | Self::RootShut { .. }
                | Self::RootWeak { .. }
                | Self::RootOutdated { .. }
                | Self::Conflict { .. }
                | Self::Io { .. }
        )
    }

    /// Whether something in the database is not what a keeper wrote there.
    pub(crate) const fn is_altered(&self) -> bool {
        matches!(self, Self::Wrap { .. } | Self::Altered { .. })
    }

    pub(crate) fn io(what: &'static str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::Io { what, path: path.to_owned(), why: error.kind() }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let why = error.to_string();
        match error {
            Error::Store(store) => of_store(&store),
            Error::Altered { .. } => {
                Self::new(Code::BadSignature, "the database was altered", why).with_try("strongroom verify --state")
            }
            Error::Wrap { .. } => Self::new(Code::BadSignature, "a wrapped key was altered or moved", why)
                .with_try("strongroom verify --state"),
            Error::NotFound(name) => {
                Self { missing: Some(name), ..Self::new(Code::NotFound, "not found", why).with_try("strongroom ls") }
            }
            Error::NoPrincipal(_) => Self::new(Code::NotFound, "not found", why).with_try("strongroom principal ls"),
            Error::Erased(_) => Self::new(Code::Gone, "the session is over", why),
            Error::NoVault(_) => Self::new(Code::NoVault, "no vault", why).with_try("strongroom init"),
            Error::VaultExists(_) => Self::new(Code::Conflict, "a vault cannot be made here", why)
                .with_try("choose another folder with --vault"),
            Error::VaultFile(_) => Self::new(Code::Integrity, "the vault cannot be opened", why)
                .with_try("put vault.json back from a copy of the vault"),
            Error::VaultFileLost(_) => Self::new(Code::Integrity, "the vault cannot be opened", why).with_try(
                "put vault.json back from a copy and remove nothing; or, if an `init` never finished here, move the folder away",
            ),
            Error::RestoreUnfinished(_) => Self::new(Code::Conflict, "the vault cannot be opened", why)
                .with_try("strongroom backup restore FILE, once more"),
            Error::BackupDamaged(_) => Self::new(Code::Integrity, "the backup cannot be used", why)
                .with_try("use another backup, or another copy of this one"),
            Error::BackupBehind { .. } => Self::new(Code::BehindAnchor, "the backup is older than the log", why).with_try(
                "restore a newer backup; or, if there is none and what came later is lost: strongroom backup restore FILE \
                 --accept-fork",
            ),
            Error::DatabaseLost(_) => Self::new(Code::Integrity, "the vault cannot be opened", why)
                .with_try("put keeper.db and log back from a copy of the vault"),
            Error::RootRefused(_) => Self::new(Code::RootRefused, "the vault stays locked", why)
                .with_try("check the passphrase, or the key file with --keyfile"),
            Error::RootAway { .. } => {
                Self::new(Code::RootRefused, "the key stays locked", why).with_try("strongroom root ls")
            }
            Error::RootSays { passes, .. } => {
                let code = if passes { Code::Unavailable } else { Code::RootRefused };
                Self::new(code, "the root does not open", why).with_try("strongroom root ls")
            }
            Error::NoRoot { .. } => {
                Self::new(Code::Unsupported, "no key was made", why).with_try("strongroom root add --help")
            }
            Error::RecoveryRefused(_) => Self::new(Code::RootRefused, "the vault stays locked", why)
                .with_try("compare the code with what was written down, and name its vault with --vault"),
            Error::SharesRefused(_) => Self::new(Code::RootRefused, "the vault stays locked", why)
                .with_try("give as many shares of the vault's newest escrow as it takes, each once: --share FILE"),
            Error::FileExists(_) => Self::new(Code::Conflict, "a file is in the way", why)
                .with_try("choose another path; nothing is overwritten"),
            Error::NoFile(_) => Self::new(Code::NotFound, "no such file", why),
            Error::Io { why: kind, .. } => of_io(kind, why),
            Error::Random => Self::new(Code::Unavailable, "no randomness", why),
            Error::BadRequest { what, why } => Self::new(Code::BadRequest, refused_what(what), why),
            Error::BadSession(_) => {
                Self::new(Code::BadSession, "the session was refused", why).with_try("run the command again: it starts a new session")
            }
            Error::TooMany(_) => {
                Self::new(Code::Busy, "too many requests", why).with_try("wait, then run the command again")
            }
            Error::Refused { what, code, refusal } => refused(what, code, refusal),
            Error::Conflict { what, why, hint } => {
                Self { try_: hint, ..Self::new(Code::Conflict, refused_what(what), why) }
            }
            Error::Suite { what, suite } => {
                Self { suite: Some(suite), ..Self::new(Code::Conflict, refused_what(what), why) }
            }
            Error::SuiteShut { mend, .. } => Self::new(Code::Gone, "the suite is out of policy", why).with_try(mend),
            Error::RootShut { .. } => Self::new(Code::Gone, "the root is out of policy", why)
                .with_try("strongroom policy suites FILE, with a later date; then strongroom key migrate"),
            Error::RootWeak { .. } => Self::new(Code::Gone, "the passphrase is out of policy", why)
                .with_try("open the vault with another root, or strongroom recover; then strongroom key check"),
            Error::RootOutdated { root, .. } => Self::new(Code::Gone, "the passphrase is out of policy", why)
                .with_try(format!("strongroom root rotate {root}")),
            Error::RootUseless { .. } => {
                Self::new(Code::Gone, "the root is out of policy", why).with_try("strongroom policy suites")
            }
            Error::OutOfPolicy { .. } => {
                Self::new(Code::Gone, "the key is out of policy", why).with_try("strongroom key migrate")
            }
            Error::LocksOut(_) => Self::new(Code::Conflict, "the table of suites was refused", why)
                .with_try("give it later dates or add a root first; or, if that is what you want: --accept-lockout"),
            Error::Removed { reference, state } => {
                let problem = Self::new(Code::Gone, "the version was removed", why);
                match state {
                    RemovedWords::Until { .. } | RemovedWords::Held { .. } => problem.with_try(format!("strongroom undelete {reference}")),
                    RemovedWords::Ending { .. } => problem.with_try(format!("strongroom key destroy {reference} --cancel --reason REASON, as custodian")),
                    RemovedWords::Destroyed { .. } => problem,
                }
            }
            Error::KeyShut { state, .. } => {
                Self::new(Code::Gone, format!("the key is {state}"), why).with_try("strongroom key states")
            }
            Error::KeyEnding { key, .. } => Self::new(Code::Gone, "the key is to be destroyed", why)
                .with_try(format!("strongroom key destroy {key} --cancel --reason REASON, as custodian")),
            Error::Value { .. } => Self::new(Code::Integrity, "the value stays sealed", why)
                .with_try("give each --context as it was given when the value was sealed"),
            Error::ClockBack { .. } => Self::new(Code::ClockBack, "the clock cannot be trusted", why)
                .with_try("set the clock; or, if it is right: strongroom status --accept-clock"),
            Error::ClockAhead { .. } => Self::new(Code::ClockAhead, "the clock cannot be trusted", why)
                .with_try("set the clock; or, if it is right: strongroom status --accept-clock"),
            Error::ReadOnly(_) => Self::new(Code::BehindAnchor, "the vault is read-only", why)
                .with_try(
                "put back a newer copy of the vault; if there is none, move its anchor file away and say that this is the newest: \
                 `strongroom audit verify --new-anchor`",
            ),
            Error::Unproven(_) => Self::new(Code::BehindAnchor, "freshness is not proven", why).with_try(
                "put the anchor back, or, if this is the newest copy: `strongroom audit verify --new-anchor`",
            ),
            Error::Log { code, .. } => Self::new(code, "the log refused", why).with_try("strongroom audit verify"),
            Error::Policy(_) => {
                Self::new(Code::BadRequest, "the policy set is not valid", why).with_try("strongroom policy lint")
            }
            Error::OtherBaseline { edition, .. } if edition > policy::EDITION => {
                Self::new(Code::Unsupported, "the vault's policies are newer than this program", why)
                    .with_try("use the program that moved the vault to its baseline, or a newer one")
            }
            Error::OtherBaseline { .. } => Self::new(Code::Conflict, "the vault's policies hold another baseline", why)
                .with_try("strongroom policy apply --baseline"),
            Error::Unsupported(_) => Self::new(Code::Unsupported, "not supported", why),
            Error::Internal(_) => Self::new(Code::Internal, "the keeper failed", why),
            Error::Unseen(_) => Self::new(Code::NotFound, "not found", why),
            Error::Stale => Self::new(Code::Busy, "the decision kept changing", why).with_try("run the command again"),
        }
    }
}

/// Since when a table refuses something: by a date of it, or as it is.
fn since_worded(since: Option<Timestamp>) -> String {
    since.map_or_else(|| " by the vault's table".to_owned(), |since| format!(" since {since}"))
}

/// Two baselines of one edition differ in their digests only.
fn other_baseline(edition: u32, digest: &str) -> String {
    let ours = policy::EDITION;
    if edition != ours {
        return format!(
            "the policies of the vault hold edition {edition} of the baseline, this program has edition {ours}"
        );
    }
    let (theirs, own) = (digest, policy::Set::baseline_digest());
    format!(
        "the policies of the vault hold another baseline of edition {edition} than this program: \
         its digest is {theirs}, this program's {own}"
    )
}

/// What the anchor says against a backup.
fn behind(has: u64, known: u64) -> String {
    let other = if known > has { "" } else { " of another history" };
    format!("the backup has {has} entries of the log, and the anchor on this machine knows of {known}{other}")
}

/// What happened to something that was asked for.
fn refused_what(what: &str) -> String {
    format!("{what} was refused")
}

fn refused(what: String, code: Code, refusal: Box<Refusal>) -> Problem {
    let why = match refusal.reasons.first() {
        Some(reason) => reason.clone(),
        None => "no policy permits it".to_owned(),
    };
    Problem { try_: refusal.try_.clone(), refusal: Some(refusal), ..Problem::new(code, what, why) }
}

fn of_io(kind: std::io::ErrorKind, why: String) -> Problem {
    use std::io::ErrorKind;
    let code = match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Code::DiskFull,
        _ => Code::Unavailable,
    };
    Problem::new(code, "a file could not be used", why)
}

fn of_store(error: &datastore::Error) -> Problem {
    use datastore::Error as Store;
    let code = match error {
        Store::Busy | Store::Contended { .. } => Code::Busy,
        Store::Full => Code::DiskFull,
        Store::ReadOnly | Store::Unavailable(_) => Code::Unavailable,
        Store::OutcomeUnknown(_) => Code::OutcomeUnknown,
        Store::Constraint { .. } => Code::Conflict,
        Store::Corrupt(_) => Code::Integrity,
        Store::SchemaNewer { .. } | Store::Unsupported(_) => Code::Unsupported,
        Store::SchemaChanged { .. } | Store::Statement(_) | Store::Misuse(_) | Store::TooLarge { .. } => Code::Internal,
    };
    let problem = Problem::new(code, "the database could not be used", error.to_string());
    match error {
        Store::Full => problem.with_try("make room, then run the command again"),
        _ if error.is_temporary() => problem.with_try("run the command again"),
        _ => problem,
    }
}
