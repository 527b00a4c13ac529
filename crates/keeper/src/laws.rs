//! The policy set: shown, checked, replaced.

use crate::acts::{Act, Wanted, act};
use crate::datastore::Transaction;
use crate::engine::{Engine, all_sources, assemble_rules, rule_sources};
use crate::epochs;
use crate::error::{Error, Result};
use crate::hash;
use crate::journal::Logged;
use crate::kept;
use crate::rows::{PolicySet, PolicySource, Table};
use crate::session::Session;
use api::terms::Action;
use api::wire::{PolicyApplied, PolicyApply, PolicyCheck, PolicyChecked, PolicyShown};
use policy::{Set, Source};
use std::collections::BTreeMap;

/// Names of the baseline's sources start so; they are pinned.
const PINNED: &str = "baseline/";
/// The longest source, in bytes.
const MAX_SOURCE_LEN: usize = 1 << 20;
/// The longest name of a source, in bytes.
const MAX_NAME_LEN: usize = 255;

/// The set in force, with its sources.
pub(crate) fn shown(engine: &Engine) -> Result<PolicyShown> {
    let (hash, sources) = engine.store.read(|tx| in_force(engine, tx))?;
    let baseline = Set::baseline_sources().into_iter().map(|source| (source.name, source.text));
    Ok(PolicyShown { hash, sources: baseline.chain(sources).collect() })
}

/// Lints sources and runs cases, without applying anything.
pub(crate) fn checked(engine: &Engine, command: &PolicyCheck) -> Result<PolicyChecked> {
    let sources = match &command.sources {
        Some(sources) => sources.clone(),
        None => engine.store.read(|tx| in_force(engine, tx))?.1,
    };
    check_form(&sources)?;
    let own = sources.iter().map(|(name, text)| Source { name: name.clone(), text: text.clone() });
    let all: Vec<Source> = Set::baseline_sources().into_iter().chain(own).collect();
    let mut findings: Vec<String> = policy::lint(&all).iter().map(ToString::to_string).collect();
    let set = match assemble_rules(&rows(&sources)) {
        Ok(set) => set,
        Err(error) => {
            if findings.is_empty() {
                findings.push(error.to_string());
            }
            return Ok(PolicyChecked { ok: false, hash: String::new(), policies: 0, cases: 0, findings });
        }
    };
    let mut cases = 0;
    if let Some(text) = &command.cases {
        let report = policy::test(&set, text).map_err(|error| Error::bad("the cases", error.to_string()))?;
        cases = report.cases as u64;
        findings.extend(report.failures.iter().map(|failure| {
            let why = failure.why.join("; ");
            format!("case {}: expected {}, got {} ({why})", failure.name, failure.expected, failure.got)
        }));
    }
    let policies = set.ids().count() as u64;
    Ok(PolicyChecked { ok: findings.is_empty(), hash: set.hash().to_string(), policies, cases, findings })
}

/// Replaces the organisation's part of the set.
pub(crate) fn apply(engine: &Engine, session: &Session, command: &PolicyApply) -> Result<PolicyApplied> {
    check_form(&command.sources)?;
    let new = rows(&command.sources);
    let set = assemble_rules(&new)?;
    let wanted = Wanted::vault(Action::ManagePolicy, "policy.apply");
    let logged =
        act(engine, session, &wanted, &[PolicySet::row_id()], |tx, act| write(engine, tx, act, command, &new, &set))?;
    Ok(PolicyApplied { hash: set.hash().to_string(), receipt: engine.settled(&logged)? })
}

fn write(
    engine: &Engine,
    tx: &mut dyn Transaction,
    act: &Act<'_>,
    command: &PolicyApply,
    new: &[PolicySource],
    set: &Set,
) -> Result<Logged> {
    let guard = &engine.keys.guard;
    let before: PolicySet = guard.expect(tx, &PolicySet::row_id())?;
    if command.base.as_ref().is_some_and(|base| *base != before.hash) {
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
    let names = new.iter().map(|source| source.name.clone()).collect();
    let hash = set.hash().to_string();
    let row = PolicySet { hash: hash.clone(), validator: Set::validator(), sources: names, applied: act.now };
    changes.push(guard.update(tx, &row, ticket)?);
    epochs::bump(tx, &PolicySet::row_id())?;
    let mut event = act.event("policy.apply").on("before", &before.hash).on("after", &hash).changing(changes);
    for source in new.iter().take(32) {
        let digest = hex::encode(hash::sha256(source.text.as_bytes()));
        event = event.on(&format!("source.{}", hex::encode(source.id().first_chunk::<4>().unwrap_or(&[0; 4]))), digest);
    }
    let logged = engine.log(tx, ticket, &act.by, &[event])?;
    logged.first().copied().ok_or(Error::Internal("an entry was lost"))
}

fn in_force(engine: &Engine, tx: &mut dyn Transaction) -> Result<(String, BTreeMap<String, String>)> {
    let row: PolicySet = engine.keys.guard.expect(tx, &PolicySet::row_id())?;
    let sources = rule_sources(&engine.keys, tx, &row)?;
    Ok((row.hash, sources.into_iter().map(|source| (source.name, source.text)).collect()))
}

fn rows(sources: &BTreeMap<String, String>) -> Vec<PolicySource> {
    sources.iter().map(|(name, text)| PolicySource { name: name.clone(), text: text.clone() }).collect()
}

fn check_form(sources: &BTreeMap<String, String>) -> Result<()> {
    let bad = |why: &str| Err(Error::bad("the policy sources", why));
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
