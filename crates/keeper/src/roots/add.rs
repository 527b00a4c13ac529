//! `root add`: a further root, which opens everything that its kind may.
//!
//! Each step leaves a vault that opens: `vault.json` names the root first, which nothing believes yet; then one transaction makes it
//! count, with a wrap of each of the vault's own keys; then domain keys follow in batches, and a job goes on with them.

use super::RootProvider;
use super::escrow::GENERATIONS;
use super::join::{Joining, New, count_lacking};
use super::list::item;
use super::retire;
use super::upkeep::settled;
use crate::acts::{Act, Wanted, act, look};
use crate::datastore::{self, Transaction};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::jobs::Slice;
use crate::journal::{By, Logged};
use crate::keys::domains::{wrap_under, wraps_of};
use crate::rows::{Guard, Key, Root, RootState, Setting, Wrap};
use crate::session::Session;
use crate::vault::file::{MAX_ROOTS, VaultFile};
use crate::vault::{RootAdd, RootChoice, RootKind, RootMeans, make};
use api::terms::{Action, Class, Environment, KeyId, Timestamp};
use api::wire::RootAdded;
use policy::Crypto;
use std::sync::Arc;

/// Adds a root.
pub(crate) fn add(engine: &Engine, session: &Session, wanted: &RootAdd) -> Result<RootAdded> {
    look(engine, session, &Wanted::vault(Action::ManageKeys, "root.add"))?;
    let crypto = engine.store.read(|tx| engine.crypto(tx))?;
    useful(&crypto, wanted.choice.kind(), engine.now()?)?;
    let before = wanted.follows.map(|id| followed(engine, id, &wanted.choice)).transpose()?;
    let mut file = VaultFile::read_of(engine)?;
    room(&file)?;
    let root: Arc<dyn RootProvider> = Arc::from(make::make_root(&wanted.choice, (&crypto, engine.now()?), &mut file)?);
    let made = Root::joining(root.id(), root.kind(), engine.now()?);
    let priority = wanted.priority.or(before.map(|row| row.priority)).unwrap_or(made.priority);
    let row = Root { priority, follows: wanted.follows, ..made };
    let means = RootMeans { root: Some(row.id), unlock: wanted.choice.unlock() };
    let plan = Plan { act: "root.add", row, replaces: Vec::new() };
    let waiting = Waiting { engine, session, root: Arc::clone(&root), means: Some(Arc::new(means)) };
    let added = waiting.come_in(plan, &file);
    // It wraps nothing that is kept; unless nobody knows whether it counts.
    if added.as_ref().is_err_and(|error| !matches!(error, Error::Store(datastore::Error::OutcomeUnknown(_)))) {
        give_up(&wanted.choice, root.as_ref());
    }
    added
}

/// Refuses a kind of root that may wrap the keys of no class.
pub(crate) fn useful(table: &Crypto, kind: RootKind, at: Timestamp) -> Result<()> {
    let root = Root::joining(KeyId::from_bytes([0; 16]), kind, at).term();
    let wraps = |time| {
        let places = Class::ALL.iter().flat_map(|class| Environment::ALL.iter().map(move |place| (*class, *place)));
        places.into_iter().any(|(class, environment)| table.wraps(class, environment, root, time))
    };
    if wraps(at) { Ok(()) } else { Err(Error::RootUseless { root, since: table.since(at, |time| !wraps(time)) }) }
}

/// The root that another one of its kind is to take the place of.
fn followed(engine: &Engine, id: KeyId, choice: &RootChoice) -> Result<Root> {
    let rows: Vec<Root> = engine.store.read(|tx| engine.keys.guard.select(tx, "ORDER BY id", &[]))?;
    if let Some(other) = rows.iter().find(|row| row.follows == Some(id) && row.state.counts()) {
        return Err(Error::conflict("the root", format!("{} takes its place already", other.id)));
    }
    let found = rows.into_iter().find(|row| row.id == id && row.state.counts());
    let found = found.ok_or_else(|| Error::NotFound(id.to_string()))?;
    if found.kind != choice.kind() {
        return Err(Error::bad("the root", format!("it is a {}, and what follows it another kind", found.kind)));
    }
    Ok(found)
}

/// Refuses one root more where a recovery would have no room for its own.
pub(super) fn room(file: &VaultFile) -> Result<()> {
    if file.roots.len() + 2 >= MAX_ROOTS {
        return Err(Error::conflict("the root", format!("a vault has at most {} roots", MAX_ROOTS - 2)));
    }
    Ok(())
}

/// A root that was made and does not count yet.
pub(crate) struct Waiting<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) session: &'a Session,
    pub(crate) root: Arc<dyn RootProvider>,
    /// What opens it again in this process; none if nothing shall.
    pub(crate) means: Option<Arc<RootMeans>>,
}

/// What becomes of it.
pub(crate) struct Plan {
    /// The act's name in the log.
    pub(crate) act: &'static str,
    pub(crate) row: Root,
    /// Roots that are retired with it.
    pub(crate) replaces: Vec<KeyId>,
}

impl Waiting<'_> {
    /// Has it count, and wraps everything under it. `file` names it.
    pub(crate) fn come_in(self, plan: Plan, file: &VaultFile) -> Result<RootAdded> {
        let (row, logged) = self.counted(plan, file)?;
        self.complete(row, &logged)
    }

    /// Makes it count with a wrap of each of the vault's own keys.
    fn counted(&self, plan: Plan, named: &VaultFile) -> Result<(Root, Logged)> {
        let engine = self.engine;
        if let Some(why) = engine.read_only.get() {
            return Err(Error::ReadOnly(why.clone()));
        }
        let row = Root { state: RootState::Behind, ..plan.row };
        let entry = named.entry(row.id).ok_or(Error::Internal("a root without its entry"))?;
        let wraps = own_keys(engine, self.root.as_ref())?;
        // Held until it counts: a root that is named and has no row is what a command left that was killed.
        let amended = VaultFile::amend(&engine.dir, |file| {
            file.check_of(engine)?;
            let rows: Vec<Root> = engine.store.read(|tx| engine.keys.guard.select(tx, "ORDER BY id", &[]))?;
            let known = |id: KeyId| rows.iter().chain([&row]).find(|row| row.id == id);
            file.roots.retain(|entry| known(entry.id).is_some());
            room(file)?;
            file.roots.push(entry.clone());
            file.roots.sort_by_key(|entry| known(entry.id).map(|row| (row.priority, row.created)));
            Ok(())
        })?;
        let asked = Wanted::vault(Action::ManageKeys, plan.act);
        let plan = Plan { row, ..plan };
        let logged = act(engine, self.session, &asked, &[], |tx, act| written(tx, act, &plan, &wraps))?;
        drop(amended);
        Ok((plan.row, logged))
    }

    /// Wraps domain keys under it. It counts: what is left is a job's as well.
    fn complete(self, row: Root, logged: &Logged) -> Result<RootAdded> {
        let Self { engine, session, root, means } = self;
        let receipt = engine.settled(logged)?;
        let new = New::opening(row, root);
        let wrapped = self::wrapped(engine, session, &new, means).unwrap_or(0);
        engine.store.read(|tx| {
            let row: Root = engine.keys.guard.expect(tx, new.row.id.as_bytes())?;
            let locked = count_lacking(engine, tx, &row)?;
            Ok(RootAdded { root: item(engine, tx, &row)?, wrapped, locked, receipt: receipt.clone() })
        })
    }
}

fn wrapped(engine: &Engine, session: &Session, new: &New, means: Option<Arc<RootMeans>>) -> Result<u64> {
    let rows: Vec<Root> = engine.store.read(|tx| engine.keys.guard.select(tx, "ORDER BY id", &[]))?;
    engine.domains.roots.reload(&rows, new.opened().zip(means))?;
    let joining = Joining { engine, by: By::session(session, engine.now()?) };
    let (wrapped, _) = joining.wrap_all(new)?;
    settled(&joining, new)?;
    retire(engine, &Slice::whole())?;
    Ok(wrapped)
}

fn written(tx: &mut dyn Transaction, act: &Act<'_>, plan: &Plan, wraps: &[Wrap]) -> Result<Logged> {
    let (guard, row) = (&act.engine.keys.guard, &plan.row);
    let mut changes = vec![guard.insert(tx, row, act.ticket)?];
    for wrap in wraps {
        changes.push(guard.insert(tx, wrap, act.ticket)?);
    }
    let mut event = act.event(plan.act).on("root", row.id).with("kind", row.kind).with("priority", row.priority);
    for (at, id) in plan.replaces.iter().enumerate() {
        let old: Root = guard.expect(tx, id.as_bytes())?;
        changes.push(guard.update(tx, &Root { state: RootState::Retired, ..old }, act.ticket)?);
        event = event.on(&format!("replaces.{at}"), id);
    }
    if let Some(generation) = row.generation {
        let count = Setting { name: GENERATIONS.to_owned(), value: generation.to_string() };
        changes.push(match guard.find::<Setting>(tx, &Setting::id_of(GENERATIONS))? {
            Some(before) if before.value.parse::<u16>().is_ok_and(|before| before < generation) => {
                guard.update(tx, &count, act.ticket)?
            }
            Some(_) => return Err(Error::conflict("the escrow", "somebody else made one meanwhile")),
            None => guard.insert(tx, &count, act.ticket)?,
        });
    }
    let logged = act.engine.log(tx, act.ticket, &act.by, &[event.changing(changes)])?;
    logged.first().copied().ok_or(Error::Internal("an entry was lost"))
}

/// The vault's own keys under a root.
fn own_keys(engine: &Engine, root: &dyn RootProvider) -> Result<Vec<Wrap>> {
    let guard: &Guard = &engine.keys.guard;
    let keys = engine.store.read(|tx| {
        let keys: Vec<Key> = guard.select(tx, "WHERE environment IS NULL ORDER BY id", &[])?;
        keys.into_iter().map(|key| Ok((wraps_of(tx, guard, key.id)?, key))).collect::<Result<Vec<_>>>()
    })?;
    let mut made = Vec::with_capacity(keys.len());
    for (wraps, key) in keys.iter().filter(|(wraps, _)| !wraps.is_empty()) {
        let secret = engine.domains.secret(key, wraps)?;
        let context = engine.domains.context(key, root.id());
        let sealed = root.wrap(&context, &secret)?;
        // What does not open again must not be all that is left one day.
        if root.unwrap(&context, &sealed)?.expose_bytes() != secret.expose_bytes() {
            return Err(Error::Wrap { key: key.id.to_string() });
        }
        made.push(wrap_under(key, root.id(), sealed)?);
    }
    Ok(made)
}

/// Removes what was made for a root that does not come in.
fn give_up(choice: &RootChoice, root: &dyn RootProvider) {
    if let RootChoice::Keyfile { path } = choice {
        // A file that opens nothing.
        let _ = std::fs::remove_file(path);
    }
    root.give_up();
}
