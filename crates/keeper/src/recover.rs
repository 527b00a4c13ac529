//! `recover`: whoever brings the recovery code gets a new root, and those that were there open nothing any more.
//!
//! Each step leaves a vault that opens, with the old roots or with the new ones: the new ones join and get a wrap of every key; then
//! `vault.json` names both; then one transaction makes the new ones count and the old ones not; then what the old ones could open
//! is removed, by a job if this process does not come to it. A recovery that broke off before that transaction is begun again.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::jobs::Slice;
use crate::journal::{By, Event};
use crate::keys::domains::wraps_of;
use crate::roots::{self, Joining, New, RootProvider, forget, lacking, orphans, retire};
use crate::rows::{Key, Root, RootState};
use crate::vault::file::VaultFile;
use crate::vault::{OpenOptions, RecoverOptions, Recovering, RootChoice, RootKind, make, open};
use api::terms::KeyId;
use log::entry::{AuthMethod, Kind};
use std::sync::Arc;

/// Opens a vault by its recovery code and gives it new roots; which of those that were there stay, for what they alone open.
pub(crate) fn recover(options: &RecoverOptions) -> Result<Vec<KeyId>> {
    let file = VaultFile::read(&options.dir)?;
    let root = match &options.with {
        Recovering::Code(code) => open::unlock_recovery(&file, &roots::recovery::parse(code)?)?,
        Recovering::Shares(shares) => roots::unlock_escrow(&file, shares)?,
    };
    let root: Arc<dyn RootProvider> = Arc::new(root);
    let unlock = OpenOptions {
        clock: options.clock.clone(),
        store: options.store.clone(),
        ..OpenOptions::with_roots(options.dir.clone(), Vec::new(), options.anchor.clone())
    };
    let engine = open::opened(&unlock, &file, &root)?;
    if let Some(why) = engine.read_only.get() {
        return Err(Error::ReadOnly(why.clone()));
    }
    forget(&engine, RootState::Joining, &Slice::whole())?;
    let mut both = VaultFile { roots: Vec::new(), ..file.clone() };
    let now = engine.now()?;
    let mut new: Vec<New> = Vec::new();
    let crypto = engine.store.read(|tx| engine.suites.of(tx, &engine.keys.guard))?;
    roots::useful(&crypto, options.root.kind(), now)?;
    let primary: Arc<dyn RootProvider> = Arc::from(make::make_root(&options.root, (&crypto, now), &mut both)?);
    new.push(New::opening(Root::joining(primary.id(), primary.kind(), now), primary));
    if let Some(recovery) = &options.recovery {
        let (row, root) = make::make_recovery(recovery, &mut both, now)?;
        new.push(New::opening(Root { state: RootState::Joining, ..row }, Arc::new(root)));
    }
    let by = By { principal: engine.owner, auth: AuthMethod::Asserted, at: now };
    let recovery = Recovery { engine: &engine, new: &new, by };
    recovery.join()?;
    let joining = Joining { engine: &engine, by };
    for new in &new {
        joining.wrap_all(new)?;
    }
    let amended = VaultFile::amend(&options.dir, |file| {
        file.check_of(&engine)?;
        let rows: Vec<Root> = engine.store.read(|tx| engine.keys.guard.select(tx, "ORDER BY id", &[]))?;
        file.roots.retain(|entry| rows.iter().any(|row| row.id == entry.id && row.state.counts()));
        file.roots.extend(both.roots.iter().cloned());
        Ok(())
    })?;
    drop(amended);
    let mut stay: Vec<KeyId> = Vec::new();
    while let Some(key) = recovery.switch(&stay)? {
        let mut wrapped = 0;
        for new in &new {
            wrapped += joining.wrap_all(new)?.0;
        }
        if wrapped > 0 {
            continue;
        }
        let holding = recovery.holding(key, &stay)?;
        if holding.is_empty() || !options.keep_roots {
            // Nothing is under it that counts, and it would be in the way of the next try.
            if let RootChoice::Keyfile { path } = &options.root {
                let _ = std::fs::remove_file(path);
            }
        }
        if holding.is_empty() {
            let why = format!("key {key} would be under no root: a {} may not wrap it", options.root.kind());
            return Err(Error::Conflict { what: "the recovery", why, hint: Some(OTHER_ROOT.to_owned()) });
        }
        if !options.keep_roots {
            let ids: Vec<String> = holding.iter().map(ToString::to_string).collect();
            let why = format!("of the keys that this does not open, {key} is under root {} alone", ids.join(", "));
            return Err(Error::Conflict { what: "the recovery", why, hint: Some(KEEP_ROOTS.to_owned()) });
        }
        stay.extend(holding);
    }
    // From here on the new roots count. What is left is a job's as well.
    retire(&engine, &Slice::whole())?;
    engine.integrate()?;
    Ok(stay)
}

const KEEP_ROOTS: &str = "give --keep-roots as well, if nobody else has that root: it goes on opening what it did";
const OTHER_ROOT: &str = "choose the other kind of root: --root passphrase, or --root keyfile";

/// Whether a recovery takes the place of a root: of what a person has or knows. A token, a cloud's key, an escrow stay.
const fn is_replaced(kind: RootKind) -> bool {
    matches!(kind, RootKind::Keyfile | RootKind::Passphrase | RootKind::Recovery)
}

/// New roots for old ones.
struct Recovery<'a> {
    engine: &'a Engine,
    new: &'a [New],
    by: By,
}

impl Recovery<'_> {
    /// Rows of the new ones, which do not count yet.
    fn join(&self) -> Result<()> {
        let guard = &self.engine.keys.guard;
        self.engine.store.write(|tx| {
            let ticket = tx.ticket()?;
            let changes = self.new.iter().map(|new| guard.insert(tx, &new.row, ticket)).collect::<Result<_>>()?;
            let event = Event::new(Kind::State, "vault.recover").with("step", "begun").changing(changes);
            self.engine.log(tx, ticket, &self.by, &[event]).map(drop)
        })
    }

    /// The roots of before that wrap a key which what brought the vault back does not open: it is not lost with them while they are
    /// somewhere. None if it does open it.
    fn holding(&self, key: KeyId, stay: &[KeyId]) -> Result<Vec<KeyId>> {
        let guard = &self.engine.keys.guard;
        self.engine.store.read(|tx| {
            let key: Key = guard.expect(tx, key.as_bytes())?;
            let wraps = wraps_of(tx, guard, key.id)?;
            if self.engine.domains.secret(&key, &wraps).is_ok() {
                return Ok(Vec::new());
            }
            let rows: Vec<Root> = guard.select(tx, "ORDER BY id", &[])?;
            let holds = |row: &&Root| {
                row.state.counts()
                    && is_replaced(row.kind)
                    && !stay.contains(&row.id)
                    && wraps.iter().any(|wrap| wrap.under == row.id)
            };
            Ok(rows.iter().filter(holds).map(|row| row.id).collect())
        })
    }

    /// Makes the new roots count and the old ones not, but for those that stay, unless a key is in the way that would be under none
    /// that may open it: which.
    fn switch(&self, stay: &[KeyId]) -> Result<Option<KeyId>> {
        let guard = &self.engine.keys.guard;
        self.engine.store.write(|tx| {
            let ticket = tx.ticket()?;
            let rows: Vec<Root> = guard.select(tx, "ORDER BY id", &[])?;
            let old: Vec<Root> = rows.into_iter().filter(|row| row.state.counts()).collect();
            if !old.iter().any(|row| row.id == self.engine.opened_by.0) {
                return Err(Error::conflict("the recovery", "somebody else recovered the vault meanwhile"));
            }
            let leaves = |row: &Root| is_replaced(row.kind) && !stay.contains(&row.id);
            let (old, others): (Vec<Root>, Vec<Root>) = old.into_iter().partition(leaves);
            let leaving: Vec<KeyId> = old.iter().map(|row| row.id).collect();
            let mut lacks = Vec::with_capacity(self.new.len());
            for new in self.new {
                let missing = lacking(self.engine, tx, &new.row, None, 1)?;
                // What the code does not open is under a root that stays, or is found below.
                if let Some(key) = missing.iter().find(|key| key.domain.is_none()) {
                    return Ok(Some(key.id));
                }
                lacks.push(!missing.is_empty());
            }
            if let Some(key) = orphans(tx, guard, &leaving, 1)?.first() {
                return Ok(Some(key.id));
            }
            let others: Vec<&Root> = others.iter().chain(self.new.iter().map(|new| &new.row)).collect();
            if let Some(key) = roots::shut(self.engine, tx, &leaving, &others)? {
                return Ok(Some(key));
            }
            let mut changes = Vec::new();
            for row in old {
                changes.push(guard.update(tx, &Root { state: RootState::Retired, ..row }, ticket)?);
            }
            let mut event = Event::new(Kind::State, "vault.recover").with("step", "done");
            for (new, lacks) in self.new.iter().zip(lacks) {
                let row = &new.row;
                event = event.on(if row.public.is_some() { "recovery" } else { "root" }, row.id);
                let state = if lacks { RootState::Behind } else { RootState::Active };
                changes.push(guard.update(tx, &Root { state, ..row.clone() }, ticket)?);
            }
            for (at, id) in stay.iter().enumerate() {
                event = event.on(&format!("stays.{at}"), id);
            }
            self.engine.log(tx, ticket, &self.by, &[event.changing(changes)])?;
            Ok(None)
        })
    }
}
