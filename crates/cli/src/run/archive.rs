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
        None => Archivable { versions: named(client, &args.references)?, left: 0 },
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
            client.archivable(&workspace, before)?
        }
    };
    moved(context, client, ArchiveWay::In, &meant, &args.reason)
}

pub fn unarchive(context: &Context, client: &Client, args: &KeyUnarchiveArgs) -> Result<u8, Failure> {
    let versions = match &args.all_of {
        None => named(client, &args.references)?,
        Some(key) => client.archived_of(&client.key(key)?)?,
    };
    moved(context, client, ArchiveWay::Out, &Archivable { versions, left: 0 }, &args.reason)
}

/// The versions that references name.
fn named(client: &Client, references: &[String]) -> Result<Vec<VersionId>, Failure> {
    let id = |text: &String| {
        let named = reference(OsStr::new(text))?;
        if named.path.is_some() {
            return Err(Failure::usage("bad reference", "this is about whole versions: leave the path out"));
        }
        let found = client.show(&named.to_string());
        Ok(found.map_err(|problem| near::told(client, &named, problem.into()))?.id)
    };
    references.iter().map(id).collect()
}

fn moved(context: &Context, client: &Client, way: ArchiveWay, meant: &Archivable, reason: &str) -> Result<u8, Failure> {
    let Archivable { versions, left } = meant;
    let verb = match way {
        ArchiveWay::In => "moved to the archive",
        ArchiveWay::Out => "taken back into use",
    };
    if context.global.dry_run {
        let would = json!({"versions": versions, "left": left});
        context.output.result("archived", &would, || format!("{} version keys would be {verb}\n", versions.len()))?;
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
