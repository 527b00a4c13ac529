//! `root`: what opens the vault, and what opens it when that is gone.

use super::Context;
use super::recovery::refuse_inside;
use crate::args::{Global, Pkcs11Args, RootAddCommand, RootCommand};
use crate::output::{Failure, printable, table};
use crate::unlock;
use api::terms::{Code, Exit, VaultId};
use api::wire::{Problem, RootDrilled, RootItem, RootOutcome};
use client::Client;
use client::root::{At, Places, RootAdd, RootChoice};
use client::vault::{self, KmsPlace, Passphrase};
use serde_json::json;
use std::path::PathBuf;

pub fn root(context: &Context, command: RootCommand) -> Result<u8, Failure> {
    match command {
        RootCommand::Ls => context.with(|client| {
            let list = client.roots()?;
            context.output.list("roots", &list, "roots", || text(&list.roots))?;
            Ok(0)
        }),
        RootCommand::Add(command) => add(context, command),
        RootCommand::Remove { id } => remove(context, &id),
        RootCommand::Rotate(args) => super::rotate_root::rotate(context, &args, |_| Ok(())),
        RootCommand::Set { id, priority } => super::rotate_root::set(context, &id, priority),
        RootCommand::Drill => drill(context),
    }
}

/// What opens a root is read where the command runs, so an agent is not asked.
pub(super) fn by_itself(context: &Context) -> Global {
    Global { opens_itself: true, ..context.global.clone() }
}

fn add(context: &Context, command: RootAddCommand) -> Result<u8, Failure> {
    let dir = unlock::folder(&context.global)?;
    let described = vault::describe(&dir)?;
    let (choice, at, rank) = match command {
        RootAddCommand::Keyfile { path, rank } => {
            let path =
                std::path::absolute(&path).map_err(|e| Failure::from_io("cannot tell where the file goes", &e))?;
            refuse_inside(&path, &dir)?;
            (RootChoice::Keyfile { path: path.clone() }, At::Keyfile { path }, rank)
        }
        RootAddCommand::Pkcs11(args) => {
            let absolute = |path: PathBuf| {
                std::path::absolute(&path).map_err(|e| Failure::from_io("cannot tell where the file is", &e))
            };
            let Pkcs11Args { module, token, serial, pin_file, rank } = args;
            let pin_file = pin_file.map(absolute).transpose()?;
            let at = At::Pkcs11 { module, token: token.clone(), serial, pin_file, deadline_ms: rank.deadline };
            let At::Pkcs11 { pin_file, .. } = &at else { return Err(Failure::usage("no token", "it has no place")) };
            let pin =
                if context.global.dry_run { Passphrase::default() } else { unlock::pin(pin_file.as_deref(), &token)? };
            let place = unlock::token_at(&at, pin_file.is_none());
            let place = place.ok_or_else(|| Failure::usage("no token", "it has no place"))?;
            (RootChoice::Pkcs11 { place, pin }, at, rank)
        }
        #[cfg(feature = "aws-kms")]
        RootAddCommand::AwsKms { key, endpoint, rank } => {
            let place =
                KmsPlace { key: key.clone(), endpoint: endpoint.clone(), deadline: unlock::within(rank.deadline) };
            (RootChoice::AwsKms { place }, At::AwsKms { key, endpoint, deadline_ms: rank.deadline }, rank)
        }
    };
    let kind = choice.kind();
    if context.global.dry_run {
        let would = json!({"kind": kind, "priority": rank.priority});
        context.output.result("root-added", &would, || format!("would add a root: {kind}\n"))?;
        return Ok(0);
    }
    let (file, _) = unlock::places(described.vault)?;
    context.acting(&by_itself(context), |client| {
        if let Some(known) = counts_already(client, described.vault, &at)? {
            // Whoever added it was killed before its place was written down.
            Places::amend(&file, known.id, Some(at))?;
            let told = json!({"root": known, "wrapped": 0, "locked": 0, "receipt": null});
            let text = || format!("root {} ({}) was there; this account finds it from now on\n", known.id, known.kind);
            context.output.result("root-added", &told, text)?;
            return Ok(0);
        }
        let added = client.root_add(&RootAdd { choice, priority: rank.priority, follows: None })?;
        // It counts: what cannot be written down is told, and the root is not lost.
        if let Err(problem) = Places::amend(&file, added.root.id, Some(at)) {
            context.output.warn(&problem.to_string());
        }
        context.output.result("root-added", &added, || {
            let left = match added.locked {
                0 => String::new(),
                some => format!(", {some} follow when what opens them is at hand"),
            };
            let RootItem { id, kind, priority, .. } = &added.root;
            format!(
                "root {id} ({kind}, priority {priority}) opens the vault; {} domain keys wrapped{left}\n",
                added.wrapped
            )
        })?;
        Ok(0)
    })
}

/// The root of a key file that is there, if it counts.
fn counts_already(client: &Client, vault: VaultId, at: &At) -> Result<Option<RootItem>, Failure> {
    let At::Keyfile { path } = at else { return Ok(None) };
    let Ok(id) = vault::keyfile_root(path, vault) else { return Ok(None) };
    Ok(client.roots()?.roots.into_iter().find(|root| root.id == id))
}

fn remove(context: &Context, id: &str) -> Result<u8, Failure> {
    let described = vault::describe(&unlock::folder(&context.global)?)?;
    context.acting(&by_itself(context), |client| {
        let root = named(client, id)?;
        if context.global.dry_run {
            let would = json!({"root": root.id, "kind": root.kind});
            let text = || format!("would remove root {} ({}): {} keys are wrapped under it\n", root.id, root.kind, root.wraps);
            context.output.result("root-removed", &would, text)?;
            return Ok(0);
        }
        context.confirmed(&format!("Remove root {} ({})? It opens nothing any more.", root.id, root.kind))?;
        let removed = client.root_remove(root.id, None)?;
        let (file, places) = unlock::places(described.vault)?;
        if places.of(root.id).is_some()
            && let Err(problem) = Places::amend(&file, root.id, None)
        {
            context.output.warn(&problem.to_string());
        }
        context.output.result("root-removed", &removed, || {
            format!(
                "root {} ({}) opens nothing any more; {} wraps removed. Copies of the vault from before still open with it\n",
                removed.root, removed.kind, removed.wraps
            )
        })?;
        Ok(0)
    })
}

fn drill(context: &Context) -> Result<u8, Failure> {
    context.acting(&by_itself(context), |client| {
        if context.global.dry_run {
            let list = client.roots()?;
            context.output.result("roots-drilled", &list, || text(&list.roots))?;
            return Ok(0);
        }
        let drills = client.root_drill()?;
        context.output.list("roots-drilled", &drills, "items", || {
            let row = |item: &RootDrilled| {
                let outcome = match item.outcome {
                    RootOutcome::Opens => format!("opens all of {} keys", item.keys),
                    RootOutcome::Fails if item.keys > 0 => format!("opens {} keys", item.keys),
                    RootOutcome::Fails => "FAILS".to_owned(),
                    RootOutcome::Away => "left out".to_owned(),
                    RootOutcome::OnlyWraps => "only wraps".to_owned(),
                };
                let why = item.why.as_deref().map(printable).unwrap_or_default();
                vec![item.root.id.to_string(), item.root.kind.clone(), outcome, why]
            };
            table(&["root", "kind", "drill", "why"], &drills.items.iter().map(row).collect::<Vec<_>>())
        })?;
        Ok(if drills.ok { 0 } else { Exit::Error as u8 })
    })
}

/// A root by its id, or the beginning of it.
pub(super) fn named(client: &Client, text: &str) -> Result<RootItem, Failure> {
    let mut found: Vec<RootItem> = client.roots()?.roots;
    found.retain(|root| !text.is_empty() && root.id.to_string().starts_with(text));
    match (found.pop(), found.is_empty()) {
        (Some(root), true) => Ok(root),
        (Some(_), false) => Err(Failure::usage("which root?", format!("the ids of several begin with `{text}`"))),
        (None, _) => {
            let problem = Problem::new(Code::NotFound, "not found", format!("there is no root `{text}`"));
            Err(problem.with_try("strongroom root ls").into())
        }
    }
}

fn text(roots: &[RootItem]) -> String {
    let row = |root: &RootItem| {
        let stands = match (&root.failing, root.lacks) {
            (Some(failing), _) => format!("FAILING since {}: {}", failing.since, printable(&failing.why)),
            (None, 0) => root.state.clone(),
            (None, lacks) => format!("{}, lacks {lacks} keys", root.state),
        };
        let drilled = match root.drilled {
            Some(at) => at.to_string(),
            None if root.only_wraps => "only wraps".to_owned(),
            None => "never".to_owned(),
        };
        let hand = if root.at_hand { "yes" } else { "no" };
        vec![
            root.id.to_string(),
            root.kind.clone(),
            root.priority.to_string(),
            root.wraps.to_string(),
            hand.to_owned(),
            drilled,
            stands,
        ]
    };
    let heads = ["root", "kind", "priority", "keys", "at hand", "drilled", "stands"];
    table(&heads, &roots.iter().map(row).collect::<Vec<_>>())
}
