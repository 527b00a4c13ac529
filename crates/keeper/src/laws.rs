//! The policy set: shown, checked, replaced.

mod check;

pub(crate) use check::checked;

use crate::acts::{Act, Under, Wanted, act};
use crate::datastore::Transaction;
use crate::engine::{Engine, all_sources, as_applied, assemble_rules, in_force, rule_sources};
use crate::epochs;
use crate::error::{Error, Result};
use crate::hash;
use crate::journal::Logged;
use crate::kept;
use crate::rows::{PolicySet, PolicySource, Table};
use crate::session::Session;
use api::terms::Action;
use api::wire::{BaselineApply, PolicyApplied, PolicyApply, PolicyShown};
use policy::Set;
use std::collections::BTreeMap;

/// Names of the baseline's sources start so; they are pinned.
const PINNED: &str = "baseline/";
/// The act that moves a vault to another baseline.
const MOVE: &str = "policy.baseline";
/// The longest source, in bytes.
const MAX_SOURCE_LEN: usize = 1 << 20;
/// The longest name of a source, in bytes.
const MAX_NAME_LEN: usize = 255;

/// The set in force, with its sources: of a baseline that is not this program's, what was kept of it.
pub(crate) fn shown(engine: &Engine) -> Result<PolicyShown> {
    engine.store.read(|tx| {
        let row = in_force(&engine.keys, tx)?.not_newer()?;
        let sources = match row.is_current() {
            true => all_sources(&rule_sources(&engine.keys, tx, &row)?),
            false => as_applied(tx, &row)?.1,
        };
        Ok(PolicyShown { hash: row.hash, sources: sources.into_iter().map(|s| (s.name, s.text)).collect() })
    })
}

/// Replaces the organisation's part of the set.
pub(crate) fn apply(engine: &Engine, session: &Session, command: &PolicyApply) -> Result<PolicyApplied> {
    check_form(&command.sources)?;
    let wanted = Wanted::vault(Action::ManagePolicy, "policy.apply");
    replace(engine, session, &wanted, command.base.as_deref(), &rows(&command.sources))
}

/// Moves the vault to this program's baseline, as the policies with its older baseline allow it.
pub(crate) fn move_baseline(engine: &Engine, session: &Session, command: &BaselineApply) -> Result<PolicyApplied> {
    let (before, own) = engine.store.read(|tx| {
        let before = in_force(&engine.keys, tx)?.not_newer()?;
        let own = rule_sources(&engine.keys, tx, &before)?;
        Ok::<_, Error>((before, own))
    })?;
    if before.is_current() {
        return Err(Error::Conflict {
            what: "the move to the baseline",
            why: format!("the vault has this program's baseline already, edition {}", policy::EDITION),
            hint: Some("strongroom policy show".into()),
        });
    }
    let new = match &command.sources {
        Some(sources) => {
            check_form(sources)?;
            rows(sources)
        }
        None => own,
    };
    let wanted = Wanted { under: Under::Applied, ..Wanted::vault(Action::ManagePolicy, MOVE) };
    replace(engine, session, &wanted, command.base.as_deref().or(Some(&before.hash)), &new)
}

fn replace(
    engine: &Engine,
    session: &Session,
    wanted: &Wanted,
    base: Option<&str>,
    new: &[PolicySource],
) -> Result<PolicyApplied> {
    let set = assemble_rules(new)?;
    let write = |tx: &mut dyn Transaction, act: &Act<'_>| write(engine, tx, act, wanted.act, base, new, &set);
    let logged = act(engine, session, wanted, &[PolicySet::row_id()], write)?;
    Ok(PolicyApplied { hash: set.hash().to_string(), receipt: engine.settled(&logged)? })
}

fn write(
    engine: &Engine,
    tx: &mut dyn Transaction,
    act: &Act<'_>,
    name: &'static str,
    base: Option<&str>,
    new: &[PolicySource],
    set: &Set,
) -> Result<Logged> {
    let guard = &engine.keys.guard;
    let before = in_force(&engine.keys, tx)?;
    if base.is_some_and(|base| *base != before.hash) {
        return Err(Error::Conflict {
            what: "the policy set",
            why: format!("the set in force is {}, not the one that this change was made against", before.hash),
            hint: Some("strongroom policy show".into()),
        });
    }
    let ticket = act.ticket;
    let mut changes = Vec::new();
    let old = rule_sources(&engine.keys, tx, &before)?;
    for source in old.iter().filter(|source| new.iter().all(|other| other.name != source.name)) {
        changes.push(guard.remove::<PolicySource>(tx, &source.id())?);
    }
    for source in new {
        match old.iter().find(|other| other.name == source.name) {
            Some(same) if same == source => {}
            Some(_) => changes.push(guard.update(tx, source, ticket)?),
            None => changes.push(guard.insert(tx, source, ticket)?),
        }
    }
    // The set stays readable for replay when it is no longer in force.
    kept::keep_set(tx, set.hash(), &all_sources(new))?;
    let row = PolicySet::new(set, new.iter().map(|source| source.name.clone()).collect(), act.now);
    changes.push(guard.update(tx, &row, ticket)?);
    epochs::bump(tx, &PolicySet::row_id())?;
    let mut event = act.event(name).on("before", &before.hash).on("after", &row.hash).changing(changes);
    if !before.is_current() {
        let editions = format!("{} to {}", before.edition, row.edition);
        event = event.on("baseline.before", &before.baseline).on("baseline.after", &row.baseline);
        event = event.with("edition", editions);
    }
    for source in new.iter().take(32) {
        let digest = hex::encode(hash::sha256(source.text.as_bytes()));
        event = event.on(&format!("source.{}", hex::encode(source.id().first_chunk::<4>().unwrap_or(&[0; 4]))), digest);
    }
    let logged = engine.log(tx, ticket, &act.by, &[event])?;
    logged.first().copied().ok_or(Error::Internal("an entry was lost"))
}

fn own_sources(engine: &Engine, tx: &mut dyn Transaction) -> Result<BTreeMap<String, String>> {
    let row = in_force(&engine.keys, tx)?;
    let sources = rule_sources(&engine.keys, tx, &row)?;
    Ok(sources.into_iter().map(|source| (source.name, source.text)).collect())
}

fn rows(sources: &BTreeMap<String, String>) -> Vec<PolicySource> {
    sources.iter().map(|(name, text)| PolicySource { name: name.clone(), text: text.clone() }).collect()
}

fn check_form(sources: &BTreeMap<String, String>) -> Result<()> {
    let bad = |why: &str| Err(Error::bad("the policy set", why));
    if sources.len() > Set::MAX_SOURCES {
        return bad("too many files");
    }
    for (name, text) in sources {
        if name.starts_with(PINNED) {
            return bad("names that start with `baseline/` are the baseline's");
        }
        if name.is_empty() || name.len() > MAX_NAME_LEN || name.chars().any(char::is_control) {
            return bad("a file's name has 1 to 255 bytes without control characters");
        }
        if text.len() > MAX_SOURCE_LEN || text.contains('\0') {
            return bad("a file has at most 1 MiB of text");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
