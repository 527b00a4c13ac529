//! Making a vault: folders, root, keys, owner, policy, and the log's first entry.

use super::file::VaultFile;
use super::{InitOptions, Kept, KmsPlace, RecoveryCode, RootChoice, RootKind, open};
use crate::cache::Facts;
use crate::clock::Watch;
use crate::datastore::probe::probe;
use crate::datastore::{Datastore, Transaction};
use crate::engine::{Engine, Rules};
use crate::epochs;
use crate::error::{Error, Result};
use crate::hold::looked;
use crate::journal::{By, Event};
use crate::kept;
use crate::keys::{Domains, VaultKeys, vault as vault_keys};
use crate::release::Queue;
use crate::roots::{KeyfileRoot, PassphraseRoot, RecoveryRoot, RootProvider, Roots, TokenRoot, Wrapper};
use crate::rows::{Change, Grant, PolicySet, Principal, Root, RootState, Setting, Subject};
use crate::session::Nonces;
use crate::subject;
use crate::suites::{self, Suites};
use crate::system::{self, SystemClock};
use api::terms::{Class, GrantId, KeyId, PrincipalId, PrincipalKind, Timestamp};
use api::wire::VaultInfo;
use log::entry::{AuthMethod, Kind};
use policy::{Crypto, Role, Set};
use seal::passphrase::Params;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};

/// Folders of a vault.
const FOLDERS: [&str; 3] = ["log", "depot", "drafts"];

/// Makes a vault; `vault.json` comes last, so that a folder with one is a whole vault.
pub(crate) fn init(options: &InitOptions, store: Option<Datastore>) -> Result<VaultInfo> {
    refuse_existing(&options.dir)?;
    let crypto = suites::checked(options.crypto.as_deref().unwrap_or_default())?;
    let now = system::now();
    crate::roots::useful(&crypto, options.root.kind(), now)?;
    make_folders(&options.dir)?;
    let suite = crypto.vault();
    let mut file = VaultFile::new(options.vault, options.mode, suite);
    let root = make_root(&options.root, (&crypto, now), &mut file)?;
    let mut roots = vec![Root { state: RootState::Active, ..Root::joining(root.id(), root.kind(), now) }];
    let root: Arc<dyn RootProvider> = Arc::from(root);
    let mut wrappers: Vec<Arc<dyn Wrapper>> = vec![Arc::clone(&root) as Arc<dyn Wrapper>];
    if let Some(recovery) = &options.recovery {
        let (row, root) = make_recovery(recovery, &mut file, now)?;
        roots.push(row);
        wrappers.push(Arc::new(root));
    }
    let wrappers: Vec<&dyn Wrapper> = wrappers.iter().map(AsRef::as_ref).collect();
    let drawn = vault_keys::draw_all(suite, options.vault, &wrappers, now)?;
    let (mut rows, mut secrets) = (Vec::new(), Vec::new());
    for new in drawn {
        secrets.push((new.key.clone(), new.secret));
        rows.push((new.key, new.wraps));
    }
    let keys = VaultKeys::assemble(options.vault, secrets)?;
    let watch = Watch::new(Arc::new(SystemClock), keys.guard.clone(), Timestamp::from_millis(0));
    watch.now()?;
    let watch = Arc::new(watch);
    let suites = Suites::new(options.crypto.clone().unwrap_or_default(), crypto, Arc::clone(&watch));
    let suites = Arc::new(suites);
    let all = Roots::new(options.dir.clone(), &file, &roots, (&root, &[]), Arc::clone(&suites))?;
    let domains = Domains::new(options.vault, all, Arc::clone(&watch));
    let set = Arc::new(Set::baseline().map_err(|error| Error::Policy(error.to_string()))?);
    let store = open::store(&options.dir, store)?;
    let signers = open::signers(options.vault, &keys)?;
    let info = open::info(&file, &keys, &signers);
    let ledger = open::ledger(&options.dir, &options.anchor, &store, signers, &keys)?;
    let owner = PrincipalId::from_bytes(system::random()?);
    let engine = Engine {
        vault: options.vault,
        dir: options.dir.clone(),
        mode: options.mode,
        owner,
        info,
        store,
        domains,
        opened_by: (root.id(), root.kind()),
        watch,
        nonces: Nonces::default(),
        rules: Rules::new(Arc::clone(&set)),
        suites,
        facts: Facts::default(),
        releases: Queue::default(),
        ledger,
        appended: AtomicU64::new(0),
        stays: AtomicBool::new(false),
        read_only: OnceLock::new(),
        keys,
    };
    let owner = owner_row(engine.owner, now);
    let subject = subject::drawn(&engine.keys.fields, engine.vault, engine.owner, &options.owner, now)?;
    let crypto = options.crypto.as_deref().unwrap_or_default();
    let first = First { owner: &owner, subject: &subject, roots: &roots, rows: &rows, set: &set, crypto, now };
    engine.store.write(|tx| first.write(&engine, tx))?;
    engine.integrate()?;
    file.write(&options.dir)?;
    Ok(engine.info)
}

fn refuse_existing(dir: &Path) -> Result<()> {
    match VaultFile::read(dir) {
        Err(Error::NoVault(_)) => Ok(()),
        Err(error @ (Error::Io { .. } | Error::VaultFileLost(_) | Error::RestoreUnfinished(_))) => Err(error),
        Ok(_) | Err(_) => Err(Error::VaultExists(dir.to_owned())),
    }
}

fn make_folders(dir: &Path) -> Result<()> {
    crate::roots::make_private_folder(dir)?;
    if let Err(refused) = probe(dir) {
        // What was in the folder before stays.
        let _ = std::fs::remove_dir(dir);
        return Err(refused.into());
    }
    for name in FOLDERS {
        crate::roots::make_private_folder(&dir.join(name))?;
    }
    let ignore = dir.join(".gitignore");
    std::fs::write(&ignore, "*\n").map_err(|error| Error::io("the vault cannot be made", &ignore, &error))
}

/// Makes a root of the suite that the vault's file says, and names it there.
pub(crate) fn make_root(
    choice: &RootChoice,
    (crypto, at): (&Crypto, Timestamp),
    file: &mut VaultFile,
) -> Result<Box<dyn RootProvider>> {
    let vault = file.vault;
    let id = KeyId::from_bytes(system::random()?);
    match choice {
        RootChoice::Keyfile { path } => {
            let root = KeyfileRoot::create(path, vault, id)?;
            file.add(&root, None);
            Ok(Box::new(root))
        }
        RootChoice::Passphrase { bytes } => {
            let params = Params::generate(suites::cost(crypto, file.suite, at)).map_err(|_| Error::Random)?;
            let root = PassphraseRoot::derive(&params, bytes, vault, id)?;
            file.add(&root, Some(params.encode()));
            Ok(Box::new(root))
        }
        RootChoice::Pkcs11 { place, pin } => {
            let (root, params) = TokenRoot::create(vault, place, pin)?;
            file.add(&root, Some(params));
            Ok(Box::new(root))
        }
        RootChoice::AwsKms { place } => in_cloud(file, id, place),
    }
}

#[cfg(feature = "aws-kms")]
fn in_cloud(file: &mut VaultFile, id: KeyId, place: &KmsPlace) -> Result<Box<dyn RootProvider>> {
    let (root, params) = crate::roots::KmsRoot::create(file.vault, id, place)?;
    file.add(&root, Some(params));
    Ok(Box::new(root))
}

#[cfg(not(feature = "aws-kms"))]
fn in_cloud(_: &mut VaultFile, _: KeyId, _: &KmsPlace) -> Result<Box<dyn RootProvider>> {
    Err(Error::Unsupported("this program was built without AWS KMS".into()))
}

/// Makes a root behind a recovery code, with its row, and names it in the vault's file.
pub(crate) fn make_recovery(
    recovery: &RecoveryCode,
    file: &mut VaultFile,
    now: Timestamp,
) -> Result<(Root, RecoveryRoot)> {
    let id = KeyId::from_bytes(system::random()?);
    let in_file = recovery.kept == Kept::File;
    let row = Root { in_file, state: RootState::Active, ..Root::joining(id, RootKind::Recovery, now) };
    let root = RecoveryRoot::create(&recovery.code, file.suite, file.vault, id)?;
    file.add(&root, Some(root.sealed()));
    Ok((Root { public: Some(root.public()), ..row }, root))
}

fn owner_row(id: PrincipalId, now: Timestamp) -> Principal {
    Principal {
        id,
        kind: PrincipalKind::User,
        clearance: Class::Restricted,
        suspended: false,
        created: now,
        erased: None,
    }
}

/// The first transaction.
struct First<'a> {
    owner: &'a Principal,
    subject: &'a Subject,
    roots: &'a [Root],
    rows: &'a [(crate::rows::Key, Vec<crate::rows::Wrap>)],
    set: &'a Set,
    crypto: &'a str,
    now: Timestamp,
}

impl First<'_> {
    fn write(&self, engine: &Engine, tx: &mut dyn Transaction) -> Result<()> {
        let ticket = tx.ticket()?;
        engine.watch.mark(tx)?;
        let guard = &engine.keys.guard;
        let mut changes: Vec<Change> = Vec::new();
        for row in self.roots {
            changes.push(guard.insert(tx, row, ticket)?);
        }
        for (key, wraps) in self.rows {
            changes.push(guard.insert(tx, key, ticket)?);
            for wrap in wraps {
                changes.push(guard.insert(tx, wrap, ticket)?);
            }
        }
        changes.push(guard.insert(tx, self.owner, ticket)?);
        changes.push(guard.insert(tx, self.subject, ticket)?);
        let grant = Grant {
            id: GrantId::from_bytes(system::random()?),
            principal: self.owner.id,
            workspace: None,
            role: Role::Owner.word().to_owned(),
            until: None,
            created: self.now,
        };
        changes.push(guard.insert(tx, &grant, ticket)?);
        let rules = PolicySet::new(self.set, Vec::new(), self.now);
        changes.push(guard.insert(tx, &rules, ticket)?);
        kept::keep_set(tx, self.set.hash(), &Set::baseline_sources())?;
        let settings = [
            ("mode", engine.mode.word().to_owned()),
            ("owner", engine.owner.to_string()),
            (suites::SETTING, self.crypto.to_owned()),
        ];
        for (name, value) in settings {
            changes.push(guard.insert(tx, &Setting { name: name.to_owned(), value }, ticket)?);
        }
        epochs::create(tx, self.owner.id.as_bytes(), "principal")?;
        epochs::create(tx, &PolicySet::row_id(), "policy")?;
        epochs::create(tx, &looked::subject(), "holds")?;
        let by = By { principal: self.owner.id, auth: AuthMethod::Asserted, at: self.now };
        let event = Event::new(Kind::Genesis, "vault.init")
            .with("mode", engine.mode)
            .with("suite", engine.info.suite)
            .with("policy_set", self.set.hash())
            .with("baseline", Set::baseline_digest())
            .changing(changes);
        engine.log(tx, ticket, &by, &[event])?;
        Ok(())
    }
}
