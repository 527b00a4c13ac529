//! `unlock`, `lock`, and the process between them.

use super::Context;
use crate::args::UnlockArgs;
use crate::output::{Failure, printable};
use crate::unlock;
use client::agent::{self, Handover, Locked, MAX_SECS, MIN_SECS};
use client::vault;
use serde_json::json;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub fn unlock(context: &Context, args: &UnlockArgs) -> Result<u8, Failure> {
    let (global, output) = (&context.global, &context.output);
    let secs = args.length.secs;
    if !(MIN_SECS..=MAX_SECS).contains(&secs) {
        return Err(Failure::usage("bad time to unlock for", "it is from 1m to 7d"));
    }
    let dir = unlock::folder(global)?;
    let described = vault::describe(&dir)?;
    let place = unlock::place_of_agent(described.vault);
    if global.dry_run {
        let result = json!({"vault": described.vault, "secs": secs, "socket": place.socket()});
        let text = || format!("would unlock {} for {secs} s\n", printable(&dir.display().to_string()));
        output.result("unlock", &result, text)?;
        return Ok(0);
    }
    let anchor = unlock::anchor(global, described.vault)?;
    let roots = unlock::every_root(global, &described)?;
    let mut program = Command::new("/proc/self/exe");
    program.arg("agent");
    let unlocked = agent::start(program, Handover { place, dir: dir.clone(), roots, anchor, secs })?;
    if !unlocked.memory_locked {
        output.warn("the system does not keep all keys in memory: they may be written to swap (`ulimit -l`)");
    }
    let mut result = serde_json::to_value(&unlocked).map_err(|e| Failure::internal("cannot write JSON", &e))?;
    if let Some(fields) = result.as_object_mut() {
        fields.insert("vault".to_owned(), json!(described.vault));
    }
    output.result("unlock", &result, || {
        let dir = printable(&dir.display().to_string());
        format!("unlocked {dir} until {}; `strongroom lock` locks it\n", unlocked.until)
    })?;
    Ok(0)
}

pub fn lock(context: &Context) -> Result<u8, Failure> {
    let (global, output) = (&context.global, &context.output);
    let described = vault::describe(&unlock::folder(global)?)?;
    let place = unlock::place_of_agent(described.vault);
    if global.dry_run {
        let unlocked = agent::state(&place)?;
        let text = || if unlocked.is_some() { "would lock it\n" } else { "it is locked\n" }.to_owned();
        output.result("lock", &json!({"vault": described.vault, "was": was(unlocked.is_some())}), text)?;
        return Ok(0);
    }
    let locked = agent::lock(&place)?;
    let result = json!({
        "vault": described.vault, "was": was(locked != Locked::Already), "forced": locked == Locked::Forced,
    });
    output.result("lock", &result, || {
        match locked {
            Locked::Already => "it was locked already\n",
            Locked::Asked => "locked\n",
            Locked::Forced => "locked: its agent did not answer and was ended by force\n",
        }
        .to_owned()
    })?;
    Ok(0)
}

fn was(unlocked: bool) -> &'static str {
    if unlocked { "unlocked" } else { "locked" }
}

/// The process that `unlock` starts.
pub fn agent() -> Result<u8, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop))
            .map_err(|e| Failure::from_io("cannot catch signals", &e))?;
    }
    agent::run(std::io::stdin(), std::io::stdout(), stop)?;
    Ok(0)
}
