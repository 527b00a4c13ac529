//! `init`.

use super::{Context, recovery};
use crate::args::{InitArgs, RootKindArg};
use crate::output::{Failure, printable};
use crate::unlock::{self, New};
use api::terms::{Mode, Name};
use client::vault::{self, Root};
use serde_json::json;
use std::path::PathBuf;

pub fn init(context: &Context, args: &InitArgs) -> Result<u8, Failure> {
    let (global, output) = (&context.global, &context.output);
    let dir = global.vault.clone().unwrap_or_else(|| PathBuf::from(vault::FOLDER));
    let id = vault::draw_id()?;
    let anchor = unlock::anchor(global, id)?;
    let owner = owner(args.owner.as_deref())?;
    let keyfile = (args.root == RootKindArg::Keyfile).then(|| unlock::keyfile(global, id)).transpose()?;
    let kind = if keyfile.is_some() { "keyfile" } else { "passphrase" };
    let shown = |path: &PathBuf| path.display().to_string();
    let line = |path: &PathBuf| printable(&shown(path));
    let mut result = json!({
        "vault": id, "mode": args.mode, "dir": shown(&dir), "root": kind, "keyfile": keyfile.as_ref().map(shown),
        "anchor": shown(&anchor), "owner": owner,
    });
    let depot = args.depot.as_deref().map(|text| super::depot::place(text, &args.bucket)).transpose()?;
    if global.dry_run {
        return output
            .result("init", &result, || format!("would make a {} vault in {}\n", args.mode, line(&dir)))
            .map(|()| 0);
    }
    let crypto = args.crypto.as_deref().map(super::policy::table).transpose()?;
    let root = match &keyfile {
        Some(path) => Root::Keyfile(path.clone()),
        None => Root::Passphrase(unlock::passphrase(global, New::Yes)?),
    };
    let recovery = recovery::prepared(&args.recovery, &dir)?;
    let made = vault::init(vault::Init {
        dir: dir.clone(),
        vault: id,
        mode: args.mode,
        root,
        anchor: anchor.clone(),
        owner: owner.clone(),
        crypto,
        recovery: recovery.code,
        depot,
    });
    let info = recovery.shown.finish(made)?;
    if let Some(fields) = result.as_object_mut() {
        fields.insert("suite".to_owned(), info.suite.word().into());
        fields.insert("release_key".to_owned(), hex::encode(&info.release_key).into());
        fields.insert("log_keys".to_owned(), info.log_keys.clone().into());
        fields.insert("origin".to_owned(), info.origin.clone().into());
        fields.insert("recovery".to_owned(), recovery.word.into());
    }
    output.result("init", &result, || {
        let opens = match &keyfile {
            Some(path) => format!("key file  {}  (keep a copy somewhere safe)", line(path)),
            None => "root      a passphrase".to_owned(),
        };
        format!(
            "vault     {} ({}, id {id})\n{opens}\nanchor    {}\nowner     {owner}\n",
            line(&dir),
            args.mode,
            line(&anchor),
        )
    })?;
    output.say(match args.mode {
        Mode::Solo => "next: strongroom put FILE WORKSPACE/ARTIFACT",
        // The owner of a team does not work with its data.
        Mode::Rehearsal => {
            "next: strongroom principal add NAME --grant WORKSPACE=writer --clearance confidential\n\
             then: strongroom --as NAME put FILE WORKSPACE/ARTIFACT"
        }
    });
    Ok(0)
}

/// The given name, or the user's with what no name may hold left out.
fn owner(given: Option<&str>) -> Result<Name, Failure> {
    if let Some(given) = given {
        return unlock::name(given);
    }
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_default();
    let kept: String =
        user.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')).take(100).collect();
    let kept = kept.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    unlock::name(if kept.is_empty() { "owner" } else { kept })
}
