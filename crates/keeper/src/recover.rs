//! `recover`: whoever brings the recovery code gets a new root, and those that were there open nothing any more.
//!
//! Each step leaves a vault that opens, with the old roots or with the new ones: the new ones join and get a wrap of every key; then
//! `vault.json` names both; then one transaction makes the new ones count and the old ones not; then what the old ones could open
//! is removed, by a job if this process does not come to it. A recovery that broke off before that transaction is begun again.

use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::jobs::Slice;
use crate::journal::{By, Event};
use crate::keys::{check_fingerprint, domains};
use crate::roots::{self, RootProvider};
use crate::rows::{Change, Key, Root, RootState, Wrap, WrapKind};
use crate::system;
use crate::vault::file::VaultFile;
use crate::vault::{OpenOptions, RecoverOptions, make, open};
use api::terms::{KeyId, Timestamp};
use log::entry::{AuthMethod, Kind};
use seal::wrap::WrapContext;

/// Keys wrapped, or wraps removed, in one transaction: their changes fit one entry.
const BATCH: i64 = 64;

/// Opens a vault by its recovery code and gives it new roots.
pub(crate) fn recover(options: &RecoverOptions) -> Result<()> {
    let file = VaultFile::read(&options.dir)?;
    let code = roots::recovery::parse(&options.code)?;
    let root = open::unlock_recovery(&file, &code)?;
    let unlock = OpenOptions {
        clock: options.clock.clone(),
        store: options.store.clone(),
        ..OpenOptions::by_recovery(options.dir.clone(), options.anchor.clone())
    };
    let engine = open::opened(&unlock, &file, Box::new(root))?;
    if let Some(why) = engine.read_only.get() {
        return Err(Error::ReadOnly(why.clone()));
    }
    forget(&engine, RootState::Joining, &Slice::whole())?;
    let active = of_state(&engine, RootState::Active)?;
    let mut both = VaultFile { roots: Vec::new(), ..file.clone() };
    let named = |id: KeyId| active.iter().any(|row| row.id == id);
    both.roots.extend(file.roots.iter().filter(|entry| named(entry.id)).cloned());
    let now = engine.now()?;
    let mut new: Vec<(Root, Box<dyn RootProvider>)> = Vec::new();
    let crypto = engine.store.read(|tx| engine.suites.of(tx, &engine.keys.guard))?;
    let primary = make::make_root(&options.root, &crypto, &mut both)?;
    new.push((Root::joining(primary.id(), primary.kind(), now), primary));
    if let Some(recovery) = &options.recovery {
        let (row, root) = make::make_recovery(recovery, &mut both, now)?;
        new.push((Root { state: RootState::Joining, ..row }, Box::new(root)));
    }
    let joining =
        Joining { engine: &engine, new: &new, by: By { principal: engine.owner, auth: AuthMethod::Asserted, at: now } };
    joining.join()?;
    while joining.wrap_some()? > 0 {}
    both.write(&options.dir)?;
    while !joining.switch()? {}
    // From here on the new roots count. What is left is a job's as well.
    retire(&engine, &Slice::whole())?;
    engine.integrate()
}

/// Roots that come in.
struct Joining<'a> {
    engine: &'a Engine,
    new: &'a [(Root, Box<dyn RootProvider>)],
    by: By,
}

impl Joining<'_> {
    /// Their rows, which do not count yet.
    fn join(&self) -> Result<()> {
        let guard = &self.engine.keys.guard;
        self.engine.store.write(|tx| {
            let ticket = tx.ticket()?;
            let changes = self.new.iter().map(|(row, _)| guard.insert(tx, row, ticket)).collect::<Result<_>>()?;
            let event = Event::new(Kind::State, "vault.recover").with("step", "begun").changing(changes);
            self.engine.log(tx, ticket, &self.by, &[event]).map(drop)
        })
    }

    /// Wraps some of the keys that they do not have yet; how many.
    fn wrap_some(&self) -> Result<usize> {
        self.engine.store.write(|tx| self.wrap_in(tx))
    }

    fn wrap_in(&self, tx: &mut dyn Transaction) -> Result<usize> {
        let engine = self.engine;
        let Some((first, _)) = self.new.first() else { return Ok(0) };
        let (old, first) = (engine.domains.root().id(), first.id);
        let tail = "WHERE under = $1 AND NOT EXISTS \
                    (SELECT 1 FROM wrap other WHERE other.wrapped = wrap.wrapped AND other.under = $2) ORDER BY id LIMIT $3";
        let values = [old.as_bytes().into(), first.as_bytes().into(), BATCH.into()];
        let wraps: Vec<Wrap> = engine.keys.guard.select(tx, tail, &values)?;
        if wraps.is_empty() {
            return Ok(0);
        }
        let ticket = tx.ticket()?;
        let mut changes = Vec::new();
        for wrap in &wraps {
            changes.extend(self.wrap_again(tx, wrap, ticket)?);
        }
        let event = Event::new(Kind::State, "root.wrap").with("keys", wraps.len()).changing(changes);
        engine.log(tx, ticket, &self.by, &[event])?;
        Ok(wraps.len())
    }

    /// One key, opened by the code, under each of them.
    fn wrap_again(&self, tx: &mut dyn Transaction, wrap: &Wrap, ticket: i64) -> Result<Vec<Change>> {
        let engine = self.engine;
        let key: Key = engine.keys.guard.expect(tx, wrap.key.as_bytes())?;
        let refuse = || Error::Wrap { key: key.id.to_string() };
        let sealed = hex::decode(&wrap.sealed).map_err(|_| refuse())?;
        let old = engine.domains.root();
        let secret = old.unwrap(&context(engine, &key, wrap, old.id())?, &sealed)?;
        check_fingerprint(key.suite, engine.vault, key.id, secret.expose_bytes(), &key.fingerprint)?;
        let mut changes = Vec::with_capacity(self.new.len());
        for (_, root) in self.new {
            let place = context(engine, &key, wrap, root.id())?;
            let sealed = root.wrap(&place, &secret)?;
            // What does not open again must not be all that is left.
            if root.unwrap(&place, &sealed)?.expose_bytes() != secret.expose_bytes() {
                return Err(refuse());
            }
            let id = KeyId::from_bytes(system::random()?);
            let again = Wrap { id, under: root.id(), sealed: hex::encode(sealed), ..wrap.clone() };
            changes.push(engine.keys.guard.insert(tx, &again, ticket)?);
        }
        Ok(changes)
    }

    /// Makes the new roots count and the old ones not, unless a key was made meanwhile that they do not have.
    fn switch(&self) -> Result<bool> {
        let guard = &self.engine.keys.guard;
        self.engine.store.write(|tx| {
            if self.wrap_in(tx)? > 0 {
                return Ok(false);
            }
            let ticket = tx.ticket()?;
            let old: Vec<Root> =
                guard.select(tx, "WHERE state = $1 ORDER BY id", &[RootState::Active.word().into()])?;
            if !old.iter().any(|row| row.id == self.engine.domains.root().id()) {
                return Err(Error::conflict("the recovery", "somebody else recovered the vault meanwhile"));
            }
            let mut changes = Vec::new();
            for row in old {
                changes.push(guard.update(tx, &Root { state: RootState::Retired, ..row }, ticket)?);
            }
            let mut event = Event::new(Kind::State, "vault.recover").with("step", "done");
            for (row, _) in self.new {
                event = event.on(if row.public.is_some() { "recovery" } else { "root" }, row.id);
                changes.push(guard.update(tx, &Root { state: RootState::Active, ..row.clone() }, ticket)?);
            }
            self.engine.log(tx, ticket, &self.by, &[event.changing(changes)])?;
            Ok(true)
        })
    }
}

/// Where a wrap of a key stands under a root.
fn context(engine: &Engine, key: &Key, wrap: &Wrap, root: KeyId) -> Result<WrapContext> {
    let refuse = || Error::Wrap { key: key.id.to_string() };
    if wrap.suite != key.suite {
        return Err(refuse());
    }
    match (wrap.kind, key.domain) {
        (WrapKind::Domain, Some(domain)) if wrap.domain == Some(domain) => {
            Ok(domains::root_context(key.suite, engine.vault, &domain, key.id, root))
        }
        (WrapKind::Vault, None) if wrap.purpose == Some(key.purpose) => {
            Ok(roots::context(key.suite, engine.vault, key.purpose.kind(), key.id, root))
        }
        _ => Err(refuse()),
    }
}

/// Whether a root was retired of which something is left.
pub(crate) fn retired(engine: &Engine, now: Timestamp) -> Result<Option<Timestamp>> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM root WHERE state = $1";
    let count = engine.store.read(|tx| tx.query(sql, &[RootState::Retired.word().into()])?.one()?.integer(0))?;
    Ok((count > 0).then_some(now))
}

/// Removes retired roots from `vault.json`, then what they could open, then their rows; how many wraps.
pub(crate) fn retire(engine: &Engine, slice: &Slice) -> Result<u64> {
    let retired = of_state(engine, RootState::Retired)?;
    if retired.is_empty() {
        return Ok(0);
    }
    let mut file = VaultFile::read(&engine.dir)?;
    let count = file.roots.len();
    file.roots.retain(|entry| retired.iter().all(|row| row.id != entry.id));
    if file.vault == engine.vault && file.roots.len() < count && !file.roots.is_empty() {
        file.write(&engine.dir)?;
    }
    forget(engine, RootState::Retired, slice)
}

fn of_state(engine: &Engine, state: RootState) -> Result<Vec<Root>> {
    engine.store.read(|tx| engine.keys.guard.select(tx, "WHERE state = $1 ORDER BY id", &[state.word().into()]))
}

/// Removes the wraps under roots of a state, and then their rows, while the time lasts.
fn forget(engine: &Engine, state: RootState, slice: &Slice) -> Result<u64> {
    let guard = &engine.keys.guard;
    let mut done = 0;
    for row in of_state(engine, state)? {
        loop {
            let by = crate::jobs::by_system(engine, engine.now()?);
            let removed = engine.store.write(|tx| {
                let tail = "WHERE under = $1 ORDER BY id LIMIT $2";
                let wraps: Vec<Wrap> = guard.select(tx, tail, &[row.id.as_bytes().into(), BATCH.into()])?;
                let ticket = tx.ticket()?;
                let mut changes = Vec::with_capacity(wraps.len().max(1));
                for wrap in &wraps {
                    changes.push(guard.remove::<Wrap>(tx, wrap.id.as_bytes())?);
                }
                if wraps.is_empty() {
                    changes.push(guard.remove::<Root>(tx, row.id.as_bytes())?);
                }
                let event = Event::new(Kind::State, "root.retire").on("root", row.id).with("wraps", wraps.len());
                engine.log(tx, ticket, &by, &[event.changing(changes)])?;
                Ok::<_, Error>(wraps.len() as u64)
            })?;
            done += removed;
            if removed == 0 {
                break;
            }
            if slice.is_over() {
                return Ok(done);
            }
        }
    }
    Ok(done)
}
