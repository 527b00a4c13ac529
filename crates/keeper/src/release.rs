//! Releases: keys leave only here.
//!
//! One release is: *prepare* (facts, decision; in parallel), *commit* (a batch of up to 64 in one transaction: epochs held and
//! compared, entries written), *seal* (unwrap, derive, envelope; in parallel, only after the commit). A single call is a batch
//! of one.

mod commit;
mod prepare;
mod queue;
mod seal;

use commit::Fate;
pub(crate) use queue::Queue;
pub(crate) use seal::{Sealing, envelope};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::session::{Asked, Session, verified};
use api::terms::Action;
use api::wire::{Command, Release, Released};

/// How often a release is decided again when its facts change under it.
const MAX_ATTEMPTS: u32 = 8;

/// The longest reason, in bytes.
const MAX_REASON_LEN: usize = 1024;

/// The most recipients of what is shared, and the longest of them in bytes.
const MAX_RECIPIENTS: usize = 32;
const MAX_RECIPIENT_LEN: usize = 1024;

/// Answers a request for keys.
pub(crate) fn release(engine: &Engine, session: &Session, command: &Release) -> Result<Released> {
    let reference = crate::show::parsed(&command.reference)?;
    if command.reason.as_ref().is_some_and(|reason| reason.len() > MAX_REASON_LEN) {
        return Err(bad("a reason has at most 1024 bytes"));
    }
    let now = engine.now()?;
    let wrapped = Command::Release(command.clone());
    let asked = verified(engine.vault, session, &engine.nonces, &command.request, &wrapped, now)?;
    check_action(command, &asked)?;
    if let Some(id) = command.run {
        let run = engine.store.read(|tx| crate::run::own(engine, tx, session, id, now))?;
        asked.versions.iter().try_for_each(|version| run.opens(*version))?;
    }
    for _ in 0..MAX_ATTEMPTS {
        let prepared = prepare::prepare(engine, session, command, &reference, &asked)?;
        match engine.releases.submit(engine, prepared)? {
            (prepared, Fate::Released(logged)) => return seal::finish(engine, &asked, &prepared, &logged),
            (prepared, Fate::Denied) => {
                return Err(prepared.shut.unwrap_or_else(|| prepared.decided.verdict.error(&prepared.about)));
            }
            (prepared, Fate::Stale) => engine.facts.forget(&prepared.subjects),
        }
    }
    Err(Error::Stale)
}

fn check_action(command: &Release, asked: &Asked) -> Result<()> {
    if !matches!(command.action, Action::List | Action::Read | Action::Export | Action::Reencrypt) {
        return Err(bad("keys are released for list, read, export and reencrypt"));
    }
    if !command.shared_with.is_empty() {
        shared(command)?;
    }
    if command.run.is_some() && command.action != Action::Read {
        return Err(bad("a run reads"));
    }
    if asked.action != command.action {
        return Err(bad("the signed request is for another action"));
    }
    if asked.versions.len() != 1 { Err(bad("the signed request must name one version")) } else { Ok(()) }
}

/// What goes to others is an export for a purpose.
fn shared(command: &Release) -> Result<()> {
    if command.action != Action::Export {
        return Err(bad("only what is exported is shared"));
    }
    if command.reason.as_ref().is_none_or(|reason| reason.trim().is_empty()) {
        return Err(bad("what is shared is shared for a purpose: give a reason"));
    }
    let with = &command.shared_with;
    if with.len() > MAX_RECIPIENTS || with.iter().any(|recipient| recipient.len() > MAX_RECIPIENT_LEN) {
        return Err(bad("at most 32 recipients of at most 1,024 bytes"));
    }
    Ok(())
}

fn bad(why: impl Into<String>) -> Error {
    Error::bad("the release", why)
}
