//! `root add`: a further root, which opens everything that its kind may.
//!
//! Each step leaves a vault that opens: `vault.json` names the root first, which nothing believes yet; then one transaction makes it
//! count, with a wrap of each of the vault's own keys; then domain keys follow in batches, and a job goes on with them.

use super::RootProvider;
use super::join::{Joining, New};
use super::list::item;
use super::upkeep::settled;
use crate::acts::{Act, Wanted, act, look};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::journal::Logged;
use crate::keys::domains::{wrap_under, wraps_of};
use crate::rows::{Guard, Key, Root, RootState, Wrap};
use crate::session::Session;
use crate::vault::file::{MAX_ROOTS, VaultFile};
use crate::vault::{RootAdd, RootChoice, RootMeans, make};
use api::terms::{Action, KeyId};
use api::wire::RootAdded;
use std::sync::Arc;

const ACT: &str = "root.add";

/// Adds a root.
pub(crate) fn add(engine: &Engine, session: &Session, wanted: &RootAdd) -> Result<RootAdded> {
    look(engine, session, &Wanted::vault(Action::ManageKeys, ACT))?;
    if let Some(why) = engine.read_only.get() {
        return Err(Error::ReadOnly(why.clone()));
    }
    let crypto = engine.store.read(|tx| engine.crypto(tx))?;
    let mut file = VaultFile::read(&engine.dir)?;
    let rows = engine.store.read(|tx| rows(engine, tx))?;
    // What a command left that was killed before it counted.
    file.roots.retain(|entry| rows.iter().any(|row| row.id == entry.id));
    if file.roots.len() >= MAX_ROOTS {
        return Err(Error::conflict("the root", format!("a vault has at most {MAX_ROOTS} roots")));
    }
    let root: Arc<dyn RootProvider> = Arc::from(make::make_root(&wanted.choice, &crypto, &mut file)?);
    let added = counted(engine, session, wanted, &mut file, &rows, &root);
    if added.is_err() {
        // It wraps nothing that is kept.
        give_up(&wanted.choice, root.as_ref());
    }
    let (row, logged) = added?;
    let means = RootMeans { root: Some(row.id), unlock: wanted.choice.unlock() };
    let rows = engine.store.read(|tx| self::rows(engine, tx))?;
    engine.domains.roots.reload(&rows, Some((Arc::clone(&root), Arc::new(means))))?;
    let new = New::opening(row, root);
    let joining = Joining { engine, by: crate::journal::By::session(session, engine.now()?) };
    let (wrapped, locked) = joining.wrap_all(&new)?;
    settled(&joining, &new)?;
    let receipt = engine.settled(&logged)?;
    engine.store.read(|tx| {
        let row: Root = engine.keys.guard.expect(tx, new.row.id.as_bytes())?;
        Ok(RootAdded { root: item(engine, tx, &row)?, wrapped, locked, receipt: receipt.clone() })
    })
}

fn rows(engine: &Engine, tx: &mut dyn Transaction) -> Result<Vec<Root>> {
    engine.keys.guard.select(tx, "ORDER BY id", &[])
}

/// Makes a root count that has a wrap of each of the vault's own keys.
fn counted(
    engine: &Engine,
    session: &Session,
    wanted: &RootAdd,
    file: &mut VaultFile,
    rows: &[Root],
    root: &Arc<dyn RootProvider>,
) -> Result<(Root, Logged)> {
    let made = Root::joining(root.id(), root.kind(), engine.now()?);
    let row = Root { state: RootState::Behind, priority: wanted.priority.unwrap_or(made.priority), ..made };
    let wraps = own_keys(engine, root.as_ref())?;
    let order = |id: KeyId| {
        let row = rows.iter().chain([&row]).find(|row| row.id == id);
        row.map_or((u32::MAX, None), |row| (row.priority, Some(row.created)))
    };
    file.roots.sort_by_key(|entry| order(entry.id));
    file.write(&engine.dir)?;
    let asked = Wanted::vault(Action::ManageKeys, ACT);
    let logged = act(engine, session, &asked, &[], |tx, act| written(tx, act, &row, &wraps))?;
    Ok((row, logged))
}

fn written(tx: &mut dyn Transaction, act: &Act<'_>, row: &Root, wraps: &[Wrap]) -> Result<Logged> {
    let guard = &act.engine.keys.guard;
    let mut changes = vec![guard.insert(tx, row, act.ticket)?];
    for wrap in wraps {
        changes.push(guard.insert(tx, wrap, act.ticket)?);
    }
    let event = act.event(ACT).on("root", row.id).with("kind", row.kind).with("priority", row.priority);
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
