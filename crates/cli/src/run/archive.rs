//! `key archive` and `key unarchive`.

use super::data::reference;
use super::{Context, near, unlock};
use crate::args::{KeyArchiveArgs, KeyUnarchiveArgs};
use crate::output::{Failure, printable};
use api::terms::{Timestamp, VersionId};
use api::wire::KeyArchived;
use client::{Archivable, ArchiveWay, Client};
use serde_json::json;
use std::ffi::OsStr;

pub fn archive(context: &Context, client: &Client, args: &KeyArchiveArgs) -> Result<u8, Failure> {
    let meant = match &args.workspace {
        None => named(client, ArchiveWay::In, &args.references)?,
        Some(workspace) => {
            let workspace = unlock::name(workspace)?;
            let before = match (args.before, args.older_than) {
                (Some(before), _) => before,
                (None, Some(age)) => {
                    let now = client.keys()?.now.as_millis();
                    Timestamp::from_millis(now.saturating_sub(age.secs.saturating_mul(1_000)))
                }
                (None, None) => return Err(Failure::usage("how old?", "say --before TIME or --older-than TIME")),
            };
            let Archivable { versions, left } = client.archivable(&workspace, before)?;
            Meant { left, ..Meant::all(versions) }
        }
    };
    moved(context, client, ArchiveWay::In, &meant, &args.reason)
}

pub fn unarchive(context: &Context, client: &Client, args: &KeyUnarchiveArgs) -> Result<u8, Failure> {
    let meant = match &args.all_of {
        None => named(client, ArchiveWay::Out, &args.references)?,
        Some(key) => Meant::all(client.archived_of(&client.key(key)?)?),
    };
    moved(context, client, ArchiveWay::Out, &meant, &args.reason)
}

/// Versions that are to move.
#[derive(Debug, Default)]
struct Meant {
    versions: Vec<VersionId>,
    /// Those of them that are there already, as far as was looked.
    already: Vec<VersionId>,
    left: u64,
}

impl Meant {
    fn all(versions: Vec<VersionId>) -> Self {
        Self { versions, ..Self::default() }
    }
}

/// The versions that references name.
fn named(client: &Client, way: ArchiveWay, references: &[String]) -> Result<Meant, Failure> {
    let mut meant = Meant::default();
    for text in references {
        let named = reference(OsStr::new(text))?;
        if named.path.is_some() {
            return Err(Failure::usage("bad reference", "this is about whole versions: leave the path out"));
        }
        let found = client.show(&named.to_string());
        let found = found.map_err(|problem| near::told(client, &named, problem.into()))?;
        meant.versions.push(found.id);
        if found.archived.is_some() == (way == ArchiveWay::In) {
            meant.already.push(found.id);
        }
    }
    Ok(meant)
}

fn moved(context: &Context, client: &Client, way: ArchiveWay, meant: &Meant, reason: &str) -> Result<u8, Failure> {
    let Meant { versions, already, left } = meant;
    let verb = match way {
        ArchiveWay::In => "moved to the archive",
        ArchiveWay::Out => "taken back into use",
    };
    if context.global.dry_run {
        let would: Vec<&VersionId> = versions.iter().filter(|id| !already.contains(id)).collect();
        let told = json!({"versions": would, "already": already.len(), "left": left});
        context.output.result("archived", &told, || {
            let there =
                if already.is_empty() { String::new() } else { format!("; {} are there already", already.len()) };
            format!("{} version keys would be {verb}{there}\n", would.len())
        })?;
        return Ok(0);
    }
    let done = client.archive_all(way, versions, reason)?;
    let KeyArchived { moved, already, shared_with, receipts } = &done;
    let told =
        json!({"moved": moved, "already": already, "left": left, "shared_with": shared_with, "receipts": receipts});
    context.output.result("archived", &told, || {
        let mut text = String::new();
        if done.moved.len() <= versions.len().min(MAX_NAMED) {
            done.moved.iter().for_each(|version| text += &format!("{verb}: {version}\n"));
        }
        text += &format!("{} version keys {verb}; the depot was not touched\n", done.moved.len());
        if done.already > 0 {
            text += &format!("{} were there already\n", done.already);
        }
        if !done.shared_with.is_empty() {
            let others = done.shared_with.join(" ");
            text += &format!("these are in use and open what they share with them: {}\n", printable(&others));
        }
        if *left > 0 {
            text += &format!("{left} are left, which an alias names or whose key opens nothing now\n");
        }
        text
    })?;
    Ok(0)
}

/// The most versions that are named one by one.
const MAX_NAMED: usize = 16;
