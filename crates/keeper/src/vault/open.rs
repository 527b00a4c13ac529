//! Opening a vault.

use super::file::{RootEntry, VaultFile};
use super::{ClockCheck, OpenOptions, RootKind, RootUnlock};
use crate::cache::Facts;
use crate::clock::{Watch, stored_mark};
use crate::datastore::{Datastore, Transaction, probe, sqlite};
use crate::engine::{Engine, Rules, load_rules};
use crate::error::{Error, Result};
use crate::journal::LOG_NUMBER;
use crate::keys::{Domains, VaultKeys, sealed};
use crate::ledger::{self, Ledger};
use crate::release::Queue;
use crate::roots::{KeyfileRoot, PassphraseRoot, RecoveryRoot, RecoveryWrapper, RootProvider, Wrapper};
use crate::rows::{Root, RootState, Setting};
use crate::schema;
use crate::session::Nonces;
use crate::suites::{self, Suites};
use api::terms::{PrincipalId, Suite, VaultId};
use api::wire::VaultInfo;
use log::keys::Signers;
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

/// Opens a vault with one of its roots.
pub(crate) fn open(options: &OpenOptions) -> Result<Engine> {
    let file = VaultFile::read(&options.dir)?;
    let root = unlock(&file, &options.root)?;
    opened(options, &file, root)
}

/// The same with a root that is unlocked.
pub(crate) fn opened(options: &OpenOptions, file: &VaultFile, root: Box<dyn RootProvider>) -> Result<Engine> {
    if options.store.is_none() {
        refuse_lost(&options.dir)?;
    }
    let store = store(&options.dir, options.store.clone())?;
    let loaded = store.read(|tx| Loaded::read(tx, file, root.as_ref()))?;
    let watch = Watch::new(Arc::clone(&options.clock), loaded.keys.guard.clone(), loaded.mark);
    if options.clock_check == ClockCheck::AtOpening {
        watch.now()?;
    }
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
        domains: Domains::new(file.vault, root, loaded.others),
        watch,
        nonces: Nonces::default(),
        rules: loaded.rules,
        suites: loaded.suites,
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
    suites: Suites,
    mark: api::terms::Timestamp,
    others: Vec<Box<dyn Wrapper>>,
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
        let others = others(tx, file.suite, &keys, root)?;
        let suites = Suites::new(text, crypto);
        Ok(Self { owner, rules, suites, others, mark: stored_mark(tx, &keys.guard)?, keys })
    }
}

/// The roots beside the one that is unlocked, which must count itself.
fn others(
    tx: &mut dyn Transaction,
    suite: Suite,
    keys: &VaultKeys,
    root: &dyn RootProvider,
) -> Result<Vec<Box<dyn Wrapper>>> {
    let rows: Vec<Root> = keys.guard.select(tx, "ORDER BY id", &[])?;
    match rows.iter().find(|row| row.id == root.id()).map(|row| row.state) {
        Some(RootState::Active) => {}
        Some(RootState::Joining) => {
            return Err(Error::RootRefused("a recovery with this root broke off: run strongroom recover"));
        }
        Some(RootState::Retired) | None => return Err(Error::RootRefused("this root was retired by a recovery")),
    }
    let mut others: Vec<Box<dyn Wrapper>> = Vec::new();
    for row in rows.iter().filter(|row| row.state == RootState::Active && row.id != root.id()) {
        match RecoveryWrapper::of(suite, row)? {
            Some(wrapper) => others.push(Box::new(wrapper)),
            // Who recovers makes no keys, and this root is about to be retired.
            None if root.kind() == RootKind::Recovery => {}
            None => return Err(Error::Unsupported("the vault has a root that this program cannot wrap under".into())),
        }
    }
    Ok(others)
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

fn unlock(file: &VaultFile, with: &RootUnlock) -> Result<Box<dyn RootProvider>> {
    let of = |kind: RootKind| file.roots.iter().filter(move |entry| entry.kind == kind);
    let mut refused = Error::RootRefused("the vault has no root of this kind");
    match with {
        RootUnlock::Keyfile(path) => {
            let root = KeyfileRoot::read(path, file.vault)?;
            for entry in of(RootKind::Keyfile) {
                match file.check(entry, &root) {
                    Ok(()) => return Ok(Box::new(root)),
                    Err(error) => refused = error,
                }
            }
        }
        RootUnlock::Passphrase(phrase) => {
            for entry in of(RootKind::Passphrase) {
                let params = params(entry)?;
                if params.suite() != sealed(file.suite) {
                    return Err(Error::VaultFile("its passphrase parameters are of another suite"));
                }
                let root = PassphraseRoot::derive(&params, phrase, file.vault, entry.id)?;
                match file.check(entry, &root) {
                    Ok(()) => return Ok(Box::new(root)),
                    Err(error) => refused = error,
                }
            }
        }
        RootUnlock::Opened => return Err(Error::Internal("a root that is opened is not unlocked")),
    }
    Err(refused)
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
