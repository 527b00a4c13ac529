//! Opening a vault.

use super::file::{RootEntry, VaultFile};
use super::{ClockCheck, KmsPlace, OpenOptions, Passphrase, RootKind, RootMeans, RootUnlock};
use crate::cache::Facts;
use crate::clock::{Watch, stored_mark};
use crate::datastore::{Datastore, Transaction, probe, sqlite};
use crate::engine::{Engine, Rules, load_rules};
use crate::error::{Error, Result};
use crate::journal::LOG_NUMBER;
use crate::keys::{Domains, VaultKeys, sealed};
use crate::ledger::{self, Ledger};
use crate::release::Queue;
use crate::roots::{KeyfileRoot, PassphraseRoot, RecoveryRoot, RootProvider, Roots, TokenRoot, Wrapper as _};
use crate::rows::{Root, RootState, Setting};
use crate::schema;
use crate::session::Nonces;
use crate::suites::{self, Suites};
use api::terms::{KeyId, PrincipalId, VaultId};
use api::wire::VaultInfo;
use log::keys::Signers;
use policy::Crypto;
use seal::passphrase::Params;
use seal::recovery::Code;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};

/// The database in the vault's folder.
pub(crate) const DATABASE: &str = "keeper.db";

/// Opens the store of a vault and brings its schema up.
pub(crate) fn store(dir: &Path, elsewhere: Option<Datastore>) -> Result<Datastore> {
    let store = match elsewhere {
        Some(store) => store,
        None => {
            probe::refuse_network(dir)?;
            Datastore::sqlite(&dir.join(DATABASE), &sqlite::Options::default())?
        }
    };
    store.migrate(&schema::ALL)?;
    Ok(store)
}

/// Opens a vault with the first of its roots that opens here.
///
/// # Errors
/// What the first of them said, if none does.
pub(crate) fn open(options: &OpenOptions) -> Result<Engine> {
    let file = VaultFile::read(&options.dir)?;
    let mut failed: Vec<(KeyId, Error)> = Vec::new();
    let mut refused = Error::RootRefused("the vault has no root of this kind");
    for entry in &file.roots {
        for means in options.roots.iter().filter(|means| means.fits(entry)) {
            let opened = with(&file, entry.id, means).and_then(|root| {
                let root: Arc<dyn RootProvider> = Arc::from(root);
                opened(options, &file, &root)
            });
            match opened {
                Ok(engine) => {
                    for (root, why) in failed {
                        engine.domains.roots.did_not_open(root, why);
                    }
                    return Ok(engine);
                }
                Err(error) if !speaks_of_root(&error) => return Err(error),
                Err(error) => {
                    if failed.is_empty() {
                        refused = error.clone();
                    }
                    if !matches!(error, Error::RootAway { .. }) {
                        failed.push((entry.id, error));
                    }
                }
            }
        }
    }
    Err(refused)
}

/// Whether another root may do better.
const fn speaks_of_root(error: &Error) -> bool {
    matches!(
        error,
        Error::RootRefused(_)
            | Error::RootAway { .. }
            | Error::RootWeak { .. }
            | Error::RootSays { .. }
            | Error::Wrap { .. }
            | Error::Io { .. }
            | Error::VaultFile(_)
    )
}

/// The same with a root that is unlocked.
pub(crate) fn opened(options: &OpenOptions, file: &VaultFile, root: &Arc<dyn RootProvider>) -> Result<Engine> {
    if options.store.is_none() {
        refuse_lost(&options.dir)?;
    }
    let store = store(&options.dir, options.store.clone())?;
    let loaded = store.read(|tx| Loaded::read(tx, file, root.as_ref()))?;
    let watch = Arc::new(Watch::new(Arc::clone(&options.clock), loaded.keys.guard.clone(), loaded.mark));
    if options.clock_check == ClockCheck::AtOpening {
        watch.now()?;
    }
    let (text, crypto) = loaded.suites;
    let suites = Arc::new(Suites::new(text, crypto, Arc::clone(&watch)));
    file.entry(root.id()).map_or(Ok(()), |entry| suites.refuse_weak(entry))?;
    let means = (root, options.roots.as_slice());
    let roots = Roots::new(options.dir.clone(), file, &loaded.roots, means, Arc::clone(&suites))?;
    let signers = signers(file.vault, &loaded.keys)?;
    let info = info(file, &loaded.keys, &signers);
    let ledger = ledger(&options.dir, &options.anchor, &store, signers, &loaded.keys)?;
    Ok(Engine {
        vault: file.vault,
        dir: options.dir.clone(),
        mode: file.mode,
        owner: loaded.owner,
        info,
        store,
        domains: Domains::new(file.vault, roots, Arc::clone(&watch)),
        opened_by: (root.id(), root.kind()),
        watch,
        nonces: Nonces::default(),
        rules: loaded.rules,
        suites,
        facts: Facts::default(),
        releases: Queue::default(),
        read_only: ledger.read_only().map(OnceLock::from).unwrap_or_default(),
        appended: AtomicU64::new(0),
        stays: AtomicBool::new(false),
        ledger,
        keys: loaded.keys,
    })
}

/// Refuses a vault whose database is gone, which opening would make anew.
fn refuse_lost(dir: &Path) -> Result<()> {
    let filled = |name: &str| std::fs::metadata(dir.join(name)).is_ok_and(|found| found.len() > 0);
    // What was committed last may be in the journal only.
    if filled(DATABASE) || filled("keeper.db-wal") { Ok(()) } else { Err(Error::DatabaseLost(dir.join(DATABASE))) }
}

/// What the database says, checked.
struct Loaded {
    keys: VaultKeys,
    owner: PrincipalId,
    rules: Rules,
    suites: (String, Crypto),
    mark: api::terms::Timestamp,
    roots: Vec<Root>,
}

impl Loaded {
    fn read(tx: &mut dyn Transaction, file: &VaultFile, root: &dyn RootProvider) -> Result<Self> {
        let keys = VaultKeys::open(tx, file.suite, file.vault, root)?;
        let setting = |tx: &mut dyn Transaction, name: &str| -> Result<String> {
            Ok(keys.guard.expect::<Setting>(tx, &Setting::id_of(name))?.value)
        };
        if setting(tx, "mode")? != file.mode.word() {
            return Err(Error::VaultFile("its mode is not the vault's"));
        }
        let text = suites::setting(tx, &keys.guard)?;
        let crypto = suites::parsed(&text)?;
        let owner = setting(tx, "owner")?.parse().map_err(|_| Error::Internal("the owner is no id"))?;
        let rules = Rules::new(Arc::new(load_rules(&keys, tx)?));
        let roots = roots(tx, &keys, root)?;
        Ok(Self { owner, rules, suites: (text, crypto), roots, mark: stored_mark(tx, &keys.guard)?, keys })
    }
}

/// The rows of all roots; the one that is unlocked must count.
fn roots(tx: &mut dyn Transaction, keys: &VaultKeys, root: &dyn RootProvider) -> Result<Vec<Root>> {
    let rows: Vec<Root> = keys.guard.select(tx, "ORDER BY id", &[])?;
    match rows.iter().find(|row| row.id == root.id()).map(|row| row.state) {
        Some(RootState::Active | RootState::Behind) => Ok(rows),
        Some(RootState::Joining) => {
            Err(Error::RootRefused("a recovery with this root broke off: run strongroom recover"))
        }
        Some(RootState::Retired) | None => Err(Error::RootRefused("this root was retired")),
    }
}

/// The recovery root that a code opens.
pub(crate) fn unlock_recovery(file: &VaultFile, code: &Code) -> Result<RecoveryRoot> {
    let mut refused = Error::RecoveryRefused("this vault was made without one".into());
    for entry in file.roots.iter().filter(|entry| entry.kind == RootKind::Recovery) {
        let sealed = entry.params.as_ref().and_then(|params| hex::decode(params).ok()).unwrap_or_default();
        let root = RecoveryRoot::open(code, file.suite, file.vault, entry.id, &sealed);
        match root.and_then(|root| file.check(entry, &root).map(|()| root)) {
            Ok(root) => return Ok(root),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// A root of a vault's file, opened with what somebody has for it.
pub(crate) fn with(file: &VaultFile, id: KeyId, means: &RootMeans) -> Result<Box<dyn RootProvider>> {
    let entry = file.entry(id).ok_or(Error::RootRefused("vault.json does not name this root"))?;
    let root: Box<dyn RootProvider> = match &means.unlock {
        RootUnlock::Keyfile(path) => {
            let root = KeyfileRoot::read(path, file.vault)?;
            if root.id() != id && file.entry(root.id()).is_some() {
                // It is another one's.
                return Err(Error::RootAway { kind: RootKind::Keyfile });
            }
            Box::new(root)
        }
        RootUnlock::Passphrase(phrase) => {
            let params = params(entry)?;
            if params.suite() != sealed(file.suite) {
                return Err(Error::VaultFile("its passphrase parameters are of another suite"));
            }
            Box::new(PassphraseRoot::derive(&params, phrase, file.vault, id)?)
        }
        RootUnlock::Pkcs11 { place, pin } => Box::new(TokenRoot::open(file.vault, id, place, pin, &raw(entry)?)?),
        RootUnlock::AwsKms { place, credentials } => opened_in_cloud(file, id, (place, credentials), &raw(entry)?)?,
    };
    file.check(entry, root.as_ref())?;
    Ok(root)
}

#[cfg(feature = "aws-kms")]
fn opened_in_cloud(
    file: &VaultFile,
    id: KeyId,
    (place, credentials): (&KmsPlace, &Passphrase),
    params: &[u8],
) -> Result<Box<dyn RootProvider>> {
    Ok(Box::new(crate::roots::KmsRoot::open(file.vault, id, (place, credentials), params)?))
}

#[cfg(not(feature = "aws-kms"))]
fn opened_in_cloud(_: &VaultFile, _: KeyId, _: (&KmsPlace, &Passphrase), _: &[u8]) -> Result<Box<dyn RootProvider>> {
    let why = "this program was built without AWS KMS".to_owned();
    Err(Error::RootSays { why, passes: false, spent: false })
}

/// What `vault.json` keeps for a root.
fn raw(entry: &RootEntry) -> Result<Vec<u8>> {
    let params = entry.params.as_ref().and_then(|params| hex::decode(params).ok());
    params.ok_or(Error::VaultFile("its parameters of a root are not of their form"))
}

/// How a passphrase becomes this root.
pub(crate) fn params(entry: &RootEntry) -> Result<Params> {
    let bad = Error::VaultFile("its passphrase parameters are not of their form");
    let Some(Ok(bytes)) = entry.params.as_ref().map(hex::decode) else { return Err(bad) };
    Params::decode(&bytes).map_err(|_| bad)
}

/// The log's signing keys.
pub(crate) fn signers(vault: VaultId, keys: &VaultKeys) -> Result<Signers> {
    let origin = format!("strongroom/{vault}/{LOG_NUMBER}");
    Signers::from_seeds(&origin, keys.log_ed25519.expose_bytes(), keys.log_mldsa44.expose_bytes())
        .map_err(|_| Error::Internal("the log's keys are no keys"))
}

/// The log of a vault.
pub(crate) fn ledger(
    dir: &Path,
    anchor: &Path,
    store: &Datastore,
    signers: Signers,
    keys: &VaultKeys,
) -> Result<Ledger> {
    let options = ledger::Options {
        store: store.clone(),
        folder: dir.join("log"),
        anchor: anchor.to_owned(),
        signers,
        mac: keys.ledger_mac(),
    };
    Ok(Ledger::open(options)?)
}

/// What a client pins.
pub(crate) fn info(file: &VaultFile, keys: &VaultKeys, signers: &Signers) -> VaultInfo {
    let log = signers.keys();
    VaultInfo {
        vault: file.vault,
        mode: file.mode,
        suite: file.suite,
        release_key: keys.release.verifying_key().as_bytes().to_vec(),
        log_keys: vec![log.ed25519().to_string(), log.mldsa().to_string()],
        origin: log.origin().to_string(),
    }
}
