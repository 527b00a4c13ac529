//! `root drill`: every root in turn opens what it wraps, so that the day on which it is the only one is not the first.

use super::join::count_lacking;
use super::list::item;
use super::set::Member;
use super::{Finding, Secret};
use crate::acts::{Wanted, look};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::jobs::{Slice, by_system};
use crate::journal::{By, Event};
use crate::keys::check_fingerprint;
use crate::rows::{Key, Root, Wrap};
use crate::session::Session;
use api::terms::{Action, KeyId};
use api::wire::{RootDrilled, RootDrills, RootOutcome};
use log::entry::Kind;
use seal::wrap::WrapContext;

/// Keys looked at in one transaction.
const PAGE: i64 = 256;

/// What one root did.
struct Drill {
    root: KeyId,
    outcome: RootOutcome,
    keys: u64,
    why: Option<String>,
}

/// Drills every root.
pub(crate) fn drill(engine: &Engine, session: &Session) -> Result<RootDrills> {
    look(engine, session, &Wanted::vault(Action::ManageKeys, "root.drill"))?;
    if let Some(why) = engine.read_only.get() {
        return Err(Error::ReadOnly(why.clone()));
    }
    let done = all(engine, By::session(session, engine.now()?))?;
    engine.store.read(|tx| {
        let mut items = Vec::with_capacity(done.len());
        for Drill { root, outcome, keys, why } in &done {
            let row: Root = engine.keys.guard.expect(tx, root.as_bytes())?;
            let root = item(engine, tx, &row)?;
            items.push(RootDrilled { root, outcome: *outcome, keys: *keys, why: why.clone() });
        }
        Ok(RootDrills { ok: items.iter().all(|item| item.outcome != RootOutcome::Fails), items })
    })
}

/// The scheduled one; how many roots opened everything.
pub(crate) fn scheduled(engine: &Engine, _: &Slice) -> Result<u64> {
    let done = all(engine, by_system(engine, engine.now()?))?;
    Ok(done.iter().filter(|drill| drill.outcome == RootOutcome::Opens).count() as u64)
}

fn all(engine: &Engine, by: By) -> Result<Vec<Drill>> {
    let members = engine.domains.roots.members();
    let done: Vec<Drill> = members.iter().map(|member| one(engine, member)).collect::<Result<_>>()?;
    engine.store.write(|tx| {
        let guard = &engine.keys.guard;
        let ticket = tx.ticket()?;
        let mut event = Event::new(Kind::State, "root.drill");
        let mut changes = Vec::new();
        for drill in &done {
            event = event.with(&format!("root.{}", drill.root), word(drill.outcome));
            let Some(row) = guard.find::<Root>(tx, drill.root.as_bytes())? else { continue };
            if drill.outcome == RootOutcome::Opens {
                changes.push(guard.update(tx, &Root { drilled: Some(by.at), ..row }, ticket)?);
            }
        }
        engine.log(tx, ticket, &by, &[event.changing(changes)]).map(drop)
    })?;
    super::see_to(engine, &Slice::within(crate::jobs::IN_PASSING))?;
    Ok(done)
}

/// One root: everything that it wraps is opened and held to its fingerprint.
fn one(engine: &Engine, member: &Member) -> Result<Drill> {
    let told = |outcome, keys, why| Drill { root: member.id, outcome, keys, why };
    let lacks = engine.store.read(|tx| {
        let row: Root = engine.keys.guard.expect(tx, member.id.as_bytes())?;
        count_lacking(tx, &row)
    })?;
    let lacks = (lacks > 0).then(|| format!("it lacks {lacks} keys"));
    if member.kind.only_wraps() {
        let outcome = if lacks.is_some() { RootOutcome::Fails } else { RootOutcome::OnlyWraps };
        return Ok(told(outcome, 0, lacks));
    }
    let roots = &engine.domains.roots;
    if let Err(Error::RootAway { .. }) = roots.opened(member) {
        return Ok(told(RootOutcome::Away, 0, Some("nothing here opens it".to_owned())));
    }
    let opened = opened_all(engine, member.id, |context, sealed| roots.opened(member)?.unwrap(context, sealed));
    match opened {
        Ok(keys) => {
            roots.note(member.id, Finding::Answers);
            let outcome = if lacks.is_some() { RootOutcome::Fails } else { RootOutcome::Opens };
            Ok(told(outcome, keys, lacks))
        }
        // The database, and not the root.
        Err(error @ (Error::Store(_) | Error::Altered { .. })) => Err(error),
        Err(error) => {
            roots.note(member.id, Finding::Fails(error.to_string()));
            Ok(told(RootOutcome::Fails, 0, Some(error.to_string())))
        }
    }
}

/// Opens everything that is wrapped under a root and holds it to its fingerprint; how many keys.
pub(super) fn opened_all(
    engine: &Engine,
    root: KeyId,
    unwrap: impl Fn(&WrapContext, &[u8]) -> Result<Secret>,
) -> Result<u64> {
    let guard = &engine.keys.guard;
    let (mut after, mut keys) = (KeyId::from_bytes([0; 16]), 0);
    loop {
        let page = engine.store.read(|tx| {
            let tail = "WHERE under = $1 AND id > $2 ORDER BY id LIMIT $3";
            let wraps: Vec<Wrap> =
                guard.select(tx, tail, &[root.as_bytes().into(), after.as_bytes().into(), PAGE.into()])?;
            let with_key = |wrap: Wrap| Ok((guard.expect::<Key>(tx, wrap.key.as_bytes())?, wrap));
            wraps.into_iter().map(with_key).collect::<Result<Vec<(Key, Wrap)>>>()
        })?;
        let Some((_, last)) = page.last() else { return Ok(keys) };
        after = last.id;
        for (key, wrap) in &page {
            let sealed = hex::decode(&wrap.sealed).map_err(|_| Error::Wrap { key: key.id.to_string() })?;
            let secret = unwrap(&engine.domains.context(key, root), &sealed)?;
            check_fingerprint(key.suite, engine.vault, key.id, secret.expose_bytes(), &key.fingerprint)?;
            keys += 1;
        }
    }
}

const fn word(outcome: RootOutcome) -> &'static str {
    match outcome {
        RootOutcome::Opens => "opens",
        RootOutcome::Fails => "fails",
        RootOutcome::Away => "away",
        RootOutcome::OnlyWraps => "only-wraps",
    }
}
