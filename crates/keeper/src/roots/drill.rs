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
use api::terms::{Action, KeyId, Timestamp};
use api::wire::{RootDrilled, RootDrills, RootOutcome};
use log::entry::Kind;
use seal::wrap::WrapContext;
use std::sync::Arc;

/// Keys looked at in one transaction.
const PAGE: i64 = 256;
/// A root that was drilled so long ago needs no drill yet: what one slice of time left is for the next.
const FRESH_MILLIS: u64 = 15 * 86_400_000;
/// The table of jobs, where the place is kept at which a drill stopped.
const JOBS: &str = "job";

/// What one root did.
pub(super) struct Drill {
    root: KeyId,
    pub(super) outcome: RootOutcome,
    keys: u64,
    pub(super) why: Option<String>,
    /// Its slice of time was over before.
    unfinished: bool,
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
        for Drill { root, outcome, keys, why, .. } in &done {
            let row: Root = engine.keys.guard.expect(tx, root.as_bytes())?;
            let root = item(engine, tx, &row)?;
            items.push(RootDrilled { root, outcome: *outcome, keys: *keys, why: why.clone() });
        }
        Ok(RootDrills { ok: items.iter().all(|item| item.outcome != RootOutcome::Fails), items })
    })
}

/// The scheduled one, while its slice of time lasts; how many roots opened everything. What it came to is kept: the next one goes on.
pub(crate) fn scheduled(engine: &Engine, slice: &Slice) -> Result<u64> {
    let (now, mut opened) = (engine.now()?, 0);
    for member in due(engine, now, slice)? {
        let drill = one(engine, &member, slice)?;
        if drill.unfinished {
            break;
        }
        opened += u64::from(drill.outcome == RootOutcome::Opens);
        told(engine, by_system(engine, now), &[drill])?;
        if slice.is_over() {
            break;
        }
    }
    Ok(opened)
}

/// Roots that were not drilled of late, the longest ago first. In passing, none of which it is known that it does not answer: whoever waits
/// for its deadline learns nothing new.
fn due(engine: &Engine, now: Timestamp, slice: &Slice) -> Result<Vec<Arc<Member>>> {
    let rows: Vec<Root> = engine.store.read(|tx| engine.keys.guard.select(tx, "ORDER BY id", &[]))?;
    let mut found = Vec::new();
    for member in engine.domains.roots.members() {
        let Some(row) = rows.iter().find(|row| row.id == member.id) else { continue };
        let fresh = row.drilled.is_some_and(|at| at <= now && now < at.plus_millis(FRESH_MILLIS));
        if slice.is_whole() || !fresh && row.failing.is_none() && !member.kind.only_wraps() {
            found.push((row.drilled, member));
        }
    }
    found.sort_by_key(|(drilled, _)| *drilled);
    Ok(found.into_iter().map(|(_, member)| member).collect())
}

fn all(engine: &Engine, by: By) -> Result<Vec<Drill>> {
    let members = engine.domains.roots.members();
    let whole = Slice::whole();
    let done: Vec<Drill> = members.iter().map(|member| one(engine, member, &whole)).collect::<Result<_>>()?;
    told(engine, by, &done)?;
    Ok(done)
}

/// Writes down how it went.
fn told(engine: &Engine, by: By, done: &[Drill]) -> Result<()> {
    engine.store.write(|tx| {
        let guard = &engine.keys.guard;
        let ticket = tx.ticket()?;
        let mut event = Event::new(Kind::State, "root.drill");
        let mut changes = Vec::new();
        for drill in done {
            event = event.with(&format!("root.{}", drill.root), word(drill.outcome));
            let Some(row) = guard.find::<Root>(tx, drill.root.as_bytes())? else { continue };
            if drill.outcome == RootOutcome::Opens {
                changes.push(guard.update(tx, &Root { drilled: Some(by.at), ..row }, ticket)?);
            }
        }
        engine.log(tx, ticket, &by, &[event.changing(changes)]).map(drop)
    })?;
    super::see_to(engine, &Slice::within(crate::jobs::IN_PASSING)).map(drop)
}

/// One root: everything that it wraps is opened and held to its fingerprint, from where the last one stopped if this one may stop too.
pub(super) fn one(engine: &Engine, member: &Member, slice: &Slice) -> Result<Drill> {
    let told = |outcome, keys, why| Drill { root: member.id, outcome, keys, why, unfinished: false };
    let lacks = engine.store.read(|tx| {
        let row: Root = engine.keys.guard.expect(tx, member.id.as_bytes())?;
        count_lacking(engine, tx, &row)
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
    let opened = opened_all(engine, member.id, slice, |context, sealed| roots.opened(member)?.unwrap(context, sealed));
    match opened {
        Ok((keys, unfinished)) => {
            roots.note(member.id, Finding::Answers);
            let outcome = if lacks.is_some() { RootOutcome::Fails } else { RootOutcome::Opens };
            Ok(Drill { unfinished, ..told(outcome, keys, lacks) })
        }
        // The database, and not the root.
        Err(error @ (Error::Store(_) | Error::Altered { .. })) => Err(error),
        Err(error) => {
            roots.note(member.id, Finding::Fails(error.to_string()));
            Ok(told(RootOutcome::Fails, 0, Some(error.to_string())))
        }
    }
}

/// Opens everything that is wrapped under a root and holds it to its fingerprint; how many keys, and whether the slice was over before the
/// last. A slice that ends begins where the one before it stopped.
pub(super) fn opened_all(
    engine: &Engine,
    root: KeyId,
    slice: &Slice,
    unwrap: impl Fn(&WrapContext, &[u8]) -> Result<Secret>,
) -> Result<(u64, bool)> {
    let guard = &engine.keys.guard;
    let begins = if slice.is_whole() { None } else { stopped(engine, root)? };
    let (mut after, mut keys) = (begins.unwrap_or(KeyId::from_bytes([0; 16])), 0);
    loop {
        let page = engine.store.read(|tx| {
            let tail = "WHERE under = $1 AND id > $2 ORDER BY id LIMIT $3";
            let wraps: Vec<Wrap> =
                guard.select(tx, tail, &[root.as_bytes().into(), after.as_bytes().into(), PAGE.into()])?;
            let with_key = |wrap: Wrap| Ok((guard.expect::<Key>(tx, wrap.key.as_bytes())?, wrap));
            wraps.into_iter().map(with_key).collect::<Result<Vec<(Key, Wrap)>>>()
        })?;
        if page.is_empty() {
            if begins.is_some() {
                stop(engine, root, None)?;
            }
            return Ok((keys, false));
        }
        for (key, wrap) in &page {
            let sealed = hex::decode(&wrap.sealed).map_err(|_| Error::Wrap { key: key.id.to_string() })?;
            let secret = unwrap(&engine.domains.context(key, root), &sealed)?;
            check_fingerprint(key.suite, engine.vault, key.id, secret.expose_bytes(), &key.fingerprint)?;
            keys += 1;
            after = wrap.id;
            if slice.is_over() {
                stop(engine, root, Some(after))?;
                return Ok((keys, true));
            }
        }
    }
}

/// Where the drill of a root stopped: a row beside those of jobs, under its MAC, with the first bits of the wrap.
fn place(root: KeyId) -> String {
    format!("drill-{root}")
}

fn stopped(engine: &Engine, root: KeyId) -> Result<Option<KeyId>> {
    let name = place(root);
    engine.store.read(|tx| {
        let rows = tx.query("SELECT last, mac FROM job WHERE name = $1", &[name.as_str().into()])?;
        let Some(row) = rows.optional()? else { return Ok(None) };
        let bits = row.integer(0)?;
        engine.keys.guard.check(JOBS, name.as_bytes(), &bits.to_be_bytes(), row.bytes(1)?)?;
        // Behind every id that begins so: they are random, and two do not.
        let mut id = [0xff; 16];
        let first = u64::try_from(bits).unwrap_or(0) << 1;
        let first = first | 1;
        id.iter_mut().zip(first.to_be_bytes()).for_each(|(to, from)| *to = from);
        Ok(Some(KeyId::from_bytes(id)))
    })
}

fn stop(engine: &Engine, root: KeyId, at: Option<KeyId>) -> Result<()> {
    let name = place(root);
    let first = at.and_then(|id| id.as_bytes().first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes) >> 1));
    let bits = first.and_then(|first| i64::try_from(first).ok());
    engine.store.write(|tx| {
        let Some(bits) = bits else {
            tx.query("DELETE FROM job WHERE name = $1", &[name.as_str().into()])?;
            return Ok(());
        };
        let mac = engine.keys.guard.tag(JOBS, name.as_bytes(), &bits.to_be_bytes());
        tx.query(
            "INSERT INTO job (name, last, mac) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO UPDATE SET last = excluded.last, mac = excluded.mac",
            &[name.as_str().into(), bits.into(), (&mac).into()],
        )?;
        Ok(())
    })
}

const fn word(outcome: RootOutcome) -> &'static str {
    match outcome {
        RootOutcome::Opens => "opens",
        RootOutcome::Fails => "fails",
        RootOutcome::Away => "away",
        RootOutcome::OnlyWraps => "only-wraps",
    }
}

#[cfg(test)]
mod tests;
