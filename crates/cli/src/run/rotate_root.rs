//! `root rotate`, `root set`: a new root of its kind in the place of one; another place among the others.

use super::Context;
use super::recovery::refuse_inside;
use super::root::{by_itself, named};
use crate::args::{Global, RotateArgs};
use crate::output::{Failure, printable};
use crate::unlock::{self, New};
use api::terms::{Code, VaultId};
use api::wire::{Problem, RootItem};
use client::Client;
use client::root::{At, Places, RootAdd, RootChoice};
use client::vault::{self, KmsPlace};
use serde_json::json;
use std::path::{Path, PathBuf};

/// How many names are tried for a new key file.
const MAX_NAMES: u32 = 1_000;

pub fn set(context: &Context, id: &str, priority: u32) -> Result<u8, Failure> {
    context.with(|client| {
        let root = named(client, id)?;
        if context.global.dry_run {
            let would = json!({"root": root, "receipt": null});
            let text = || format!("root {} ({}) would have priority {priority}\n", root.id, root.kind);
            context.output.result("root-changed", &would, text)?;
            return Ok(0);
        }
        let changed = client.root_set(root.id, priority)?;
        context.output.result("root-changed", &changed, || {
            let RootItem { id, kind, priority, .. } = &changed.root;
            let so = if changed.receipt.is_some() { "has" } else { "had already" };
            format!("root {id} ({kind}) {so} priority {priority}\n")
        })?;
        Ok(0)
    })
}

/// With what is looked at before anything is done.
pub fn rotate(
    context: &Context,
    args: &RotateArgs,
    look: impl Fn(&Client) -> Result<(), Failure>,
) -> Result<u8, Failure> {
    let dir = unlock::folder(&context.global)?;
    let vault = vault::describe(&dir)?.vault;
    find_again(&context.global, &dir, vault)?;
    context.acting(&by_itself(context), |client| {
        look(client)?;
        let old = named(client, &args.id)?;
        let begun = client.roots()?.roots.into_iter().find(|root| root.follows == Some(old.id));
        if context.global.dry_run {
            let would = json!({"root": begun, "replaces": old.id, "kind": old.kind, "wraps": old.wraps, "receipt": null});
            let text = || format!("would put a new {} in the place of root {}\n", old.kind, old.id);
            context.output.result("root-rotated", &would, text)?;
            return Ok(0);
        }
        let question = format!("Rotate root {} ({})? It opens nothing any more then.", old.id, old.kind);
        context.confirmed(&question)?;
        let (file, places) = unlock::places(vault)?;
        let new = match begun {
            Some(new) => new,
            None => {
                let (choice, at) = successor(context, args, &old, &places, (dir.as_path(), vault))?;
                let added = client.root_add(&RootAdd { choice, priority: None, follows: Some(old.id) })?;
                if let Some(at) = at {
                    Places::amend(&file, added.root.id, Some(at))?;
                }
                added.root
            }
        };
        if new.lacks > 0 {
            // What an earlier try did not come to.
            client.jobs_run(Some("roots"), &context.terminal())?;
        }
        let removed = client.root_remove(old.id, Some(new.id))?;
        if places.of(old.id).is_some() {
            Places::amend(&file, old.id, None)?;
        }
        let new = named(client, &new.id.to_string())?;
        let told = json!({"root": new, "replaces": old.id, "kind": old.kind, "wraps": removed.wraps, "receipt": removed.receipt});
        context.output.result("root-rotated", &told, || text(&new, &old, &places, &context.global, vault))?;
        Ok(0)
    })
}

fn text(new: &RootItem, old: &RootItem, places: &Places, global: &Global, vault: VaultId) -> String {
    let mut text =
        format!("root {} ({}) is in the place of {}, which opens nothing any more\n", new.id, new.kind, old.id);
    if old.kind == "keyfile"
        && let Ok(path) = old_file(places, global, vault, old)
    {
        let path = printable(&path.display().to_string());
        text += &format!("the old key file {path} is still there: copies of the vault from before open with it\n");
    }
    text
}

/// A key file that was made by a try that was killed before its place was written down: it is beside the old one.
fn find_again(global: &Global, dir: &Path, vault: VaultId) -> Result<(), Failure> {
    let (file, places) = unlock::places(vault)?;
    let default = unlock::keyfile(global, vault)?;
    let known = |root| places.of(root).is_some();
    let own = vault::keyfile_root(&default, vault).ok();
    for entry in vault::describe(dir)?.roots.iter().filter(|entry| entry.kind == vault::RootKind::Keyfile) {
        if known(entry.id) || own == Some(entry.id) {
            continue;
        }
        let beside: Vec<PathBuf> = places
            .roots
            .iter()
            .filter_map(|place| match &place.at {
                At::Keyfile { path } => Some(path.clone()),
                At::Pkcs11 { .. } | At::AwsKms { .. } => None,
            })
            .chain([default.clone()])
            .collect();
        let found = beside.iter().flat_map(|path| names(path).take_while(|path| path.exists()));
        for path in found {
            if vault::keyfile_root(&path, vault).is_ok_and(|id| id == entry.id) {
                Places::amend(&file, entry.id, Some(At::Keyfile { path }))?;
                break;
            }
        }
    }
    Ok(())
}

/// Names beside a key file: `x.key`, then `x.2.key`, `x.3.key` ...
fn names(path: &Path) -> impl Iterator<Item = PathBuf> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    // One that was made so before counts on.
    let first =
        stem.rsplit_once('.').filter(|(_, n)| n.parse::<u32>().is_ok()).map_or(stem.clone(), |(s, _)| s.to_owned());
    let ending = path.extension().map(|ending| format!(".{}", ending.to_string_lossy())).unwrap_or_default();
    let path = path.to_owned();
    (2..MAX_NAMES).map(move |n| path.with_file_name(format!("{first}.{n}{ending}")))
}

/// What is put in the place of a root, and where this account finds it.
fn successor(
    context: &Context,
    args: &RotateArgs,
    old: &RootItem,
    places: &Places,
    (dir, vault): (&Path, VaultId),
) -> Result<(RootChoice, Option<At>), Failure> {
    let nowhere =
        || Failure::usage("no root", "this account does not know where the old one is: root add and root remove do");
    match old.kind.as_str() {
        "keyfile" => {
            let path = match &args.path {
                Some(path) => {
                    std::path::absolute(path).map_err(|e| Failure::from_io("cannot tell where the file goes", &e))?
                }
                None => names(&old_file(places, &context.global, vault, old)?)
                    .find(|path| !path.exists())
                    .ok_or_else(nowhere)?,
            };
            refuse_inside(&path, dir)?;
            Ok((RootChoice::Keyfile { path: path.clone() }, Some(At::Keyfile { path })))
        }
        "passphrase" => {
            let file = args.new_passphrase_file.clone();
            let bytes = unlock::passphrase(&Global { passphrase_file: file, ..context.global.clone() }, New::Yes)?;
            Ok((RootChoice::Passphrase { bytes }, None))
        }
        "pkcs11" => {
            let Some(At::Pkcs11 { module, token, serial, pin_file, deadline_ms }) = places.of(old.id).cloned() else {
                return Err(nowhere());
            };
            let same = args.token.is_none();
            let absolute = |path: &PathBuf| {
                std::path::absolute(path).map_err(|e| Failure::from_io("cannot tell where the file is", &e))
            };
            let given = args.pin_file.as_ref().map(absolute).transpose()?;
            let token = args.token.clone().unwrap_or(token);
            let (serial, pin_file) = if same { (serial, pin_file) } else { (None, given) };
            let pin = unlock::pin(pin_file.as_deref(), &token)?;
            let asked = pin_file.is_none();
            let at = At::Pkcs11 { module, token, serial, pin_file, deadline_ms };
            let place = unlock::token_at(&at, asked).ok_or_else(nowhere)?;
            Ok((RootChoice::Pkcs11 { place, pin }, Some(at)))
        }
        "aws-kms" => {
            let (endpoint, deadline_ms) = match places.of(old.id) {
                Some(At::AwsKms { endpoint, deadline_ms, .. }) => (endpoint.clone(), *deadline_ms),
                _ => return Err(nowhere()),
            };
            let key =
                args.key.clone().ok_or_else(|| Failure::usage("no key", "name the new key: root rotate --key ARN"))?;
            let deadline = unlock::within(deadline_ms);
            let place = KmsPlace { key: key.clone(), endpoint: endpoint.clone(), deadline };
            Ok((RootChoice::AwsKms { place }, Some(At::AwsKms { key, endpoint, deadline_ms })))
        }
        other => {
            let why = format!("a new {other} is made by a command of its own, which ends the one before");
            let is_escrow = other == "escrow";
            let hint = if is_escrow { "strongroom escrow create --help" } else { "strongroom recover --help" };
            Err(Problem::new(Code::BadRequest, "this root does not rotate", why).with_try(hint).into())
        }
    }
}

/// Where a key file is.
fn old_file(places: &Places, global: &Global, vault: VaultId, old: &RootItem) -> Result<PathBuf, Failure> {
    match places.of(old.id) {
        Some(At::Keyfile { path }) if global.keyfile.is_none() => Ok(path.clone()),
        _ => {
            let path = unlock::keyfile(global, vault)?;
            std::path::absolute(&path).map_err(|e| Failure::from_io("cannot tell where the file is", &e))
        }
    }
}
