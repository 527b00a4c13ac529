//! `doctor`.

mod spills;

use super::Context;
use crate::args::DoctorArgs;
use crate::config::config_home;
use crate::output::{Failure, on_terminal, printable};
use crate::unlock;
use api::terms::Exit;
use client::doctor::spills::SpillReport;
use client::doctor::{self, Check, Places, State};
use client::vault::{self, RootKind};
use std::path::{Path, PathBuf};

/// What was found, as JSON.
#[derive(serde::Serialize)]
struct Told<'a> {
    ok: bool,
    checks: &'a [Check],
    #[serde(skip_serializing_if = "Option::is_none")]
    spills: Option<SpillReport>,
}

pub fn doctor(context: &Context, args: &DoctorArgs) -> Result<u8, Failure> {
    if let Some(paths) = &args.spills {
        return spills::spills(context, paths, args.remove);
    }
    let dir = unlock::folder(&context.global)?;
    let mut checks = doctor::examine(&places(context, &dir)?);
    if args.fix {
        fix(context, &mut checks)?;
    }
    let mut found = None;
    // Permissions first: a key file that others can read opens nothing.
    match unlock::open(&context.global) {
        Ok(client) => context.using(&context.global, client, |client| {
            let told = client.examine()?;
            let writes = told.iter().all(|check| check.state != State::Finding || check.name != doctor::OPENS_NAME);
            checks.extend(told);
            // What is looked for by prints is logged, which a read-only vault cannot do.
            if writes {
                found = Some(spills::searched(context, client, &spills::well_known())?.1);
            }
            Ok(())
        })?,
        Err(Failure::Problem(problem)) => checks.extend(doctor::unopened(&problem)),
        Err(other) => return Err(other),
    }
    let clean = found.as_ref().is_none_or(|found| found.items.is_empty());
    let ok = clean && checks.iter().all(|check| check.state != State::Finding);
    let told = Told { ok, checks: &checks, spills: found };
    context.output.list("doctor", &told, "checks", || {
        let spills = told.spills.as_ref().map(spills::text).unwrap_or_default();
        format!("{}{spills}", text(&checks))
    })?;
    Ok(if ok { 0 } else { Exit::Error as u8 })
}

/// What is looked at. What the vault's file does not say is left out.
fn places(context: &Context, dir: &Path) -> Result<Places, Failure> {
    let here = std::env::current_dir().map_err(|e| Failure::from_io("cannot tell the working folder", &e))?;
    let described = vault::describe(dir).ok();
    let global = &context.global;
    let described_keyfile = described.as_ref().filter(|described| described.has(RootKind::Keyfile));
    let keyfiles = described.as_ref().map(|described| keyfiles(described.vault)).unwrap_or_default();
    let kept = described_keyfile.map(|described| unlock::keyfile(global, described.vault)).transpose()?;
    // One that is not there may be that of a root which was removed.
    let keyfile = kept.map(|kept| if kept.exists() { kept } else { keyfiles.first().cloned().unwrap_or(kept) });
    Ok(Places {
        dir: dir.to_owned(),
        vault: described.as_ref().map(|described| described.vault),
        keyfile,
        keyfiles,
        anchor: described.as_ref().map(|described| unlock::anchor(global, described.vault)).transpose()?,
        config: config_home().map(|home| home.join("strongroom/config.toml")),
        passphrase_file: global.passphrase_file.clone(),
        here,
        system: Path::new("/").to_owned(),
    })
}

/// The key files of roots that this account was told of. What is wrong with the file that says so, opening the vault tells.
fn keyfiles(vault: api::terms::VaultId) -> Vec<PathBuf> {
    let Ok((_, places)) = unlock::places(vault) else { return Vec::new() };
    let path = |place: client::root::Place| match place.at {
        client::root::At::Keyfile { path } => Some(path),
        client::root::At::Pkcs11 { .. } | client::root::At::AwsKms { .. } => None,
    };
    places.roots.into_iter().filter_map(path).collect()
}

/// Mends what can be mended, each on a yes.
fn fix(context: &Context, checks: &mut [Check]) -> Result<(), Failure> {
    for check in checks {
        let Some(fix) = &check.fix else { continue };
        if context.global.dry_run {
            context.output.say(&format!("would {}", printable(fix)));
            continue;
        }
        match context.confirmed(&format!("{}: {}. {}?", check.name, printable(&check.what), printable(fix))) {
            Ok(()) => check.fix(),
            // Somebody said no to this one.
            Err(_) if on_terminal() => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

fn text(checks: &[Check]) -> String {
    let mut out = String::new();
    for check in checks {
        let state = match check.state {
            State::Ok if check.fixed.is_some() => "mended",
            State::Ok => "ok",
            State::Unknown => "unknown",
            State::Warning => "warning",
            State::Finding => "FINDING",
        };
        out.push_str(&format!("{state:<9}{:<18}{}\n", check.name, printable(&check.what)));
        if let Some(fixed) = &check.fixed {
            out.push_str(&format!("         did: {}\n", printable(fixed)));
        }
        if check.state < State::Warning {
            continue;
        }
        out.push_str(&format!("         why: {}\n", check.why));
        if let Some(hint) = &check.try_ {
            out.push_str(&format!("         try: {}\n", printable(hint)));
        }
        if let Some(fix) = &check.fix {
            out.push_str(&format!("         --fix would: {}\n", printable(fix)));
        }
    }
    out
}
