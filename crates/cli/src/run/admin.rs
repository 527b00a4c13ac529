//! Commands on the vault, keys and principals.

use super::{Context, backup, destroy, incident, near};
use crate::args::{GcArgs, KeyCommand, KeyMoveArgs, PrincipalAddArgs, PrincipalCommand, StatusArgs};
use crate::output::{Failure, bytes_shown, printable, table};
use crate::unlock;
use api::terms::{Exit, KeyId, KeyState, Name, Timestamp};
use api::wire::{
    Freshness, GrantSpec, KeyItem, KeyList, KeyMove, PresenceTold, PrincipalAdd, PrincipalErase, PrincipalErased,
    PrincipalItem, Revocation, Status,
};
use client::{Client, Deletes};
use serde_json::json;
use std::ffi::OsStr;

pub fn status(context: &Context, args: &StatusArgs) -> Result<u8, Failure> {
    if args.accept_clock {
        return accept_clock(context);
    }
    context.with(|client| {
        let status = client.status()?;
        let unlocked = match client.seat().connection().unlocked() {
            Some(unlocked) => Some(unlocked.clone()),
            // One that this command did not ask, or cannot: `lock` and `unlock` say more of it.
            None => client::agent::state(&unlock::place_of_agent(client.vault())).unwrap_or_default(),
        };
        let mut shown = serde_json::to_value(&status).map_err(|e| Failure::internal("cannot write JSON", &e))?;
        if let Some(fields) = shown.as_object_mut() {
            fields.insert("unlocked".to_owned(), json!(unlocked));
        }
        context.output.result("status", &shown, || {
            let roots: Vec<&str> = status.roots.iter().map(|root| root.kind.as_str()).collect();
            let freshness = match status.freshness {
                Freshness::Proven => "proven by the anchor",
                Freshness::Unproven if status.read_only.is_some() => "not proven: see read-only",
                Freshness::Unproven => "not proven: no anchor",
            };
            let mut out = format!(
                "vault        {} ({})\nprincipal    {}\nholds        {} workspaces, {} artifacts, {} versions\n\
                 log          {} entries, {} pending, freshness {freshness}\nroots        {}\npolicy       {}\n",
                status.vault.vault,
                status.vault.mode,
                status.principal,
                status.workspaces,
                status.artifacts,
                status.versions,
                status.log_size,
                status.log_pending,
                roots.join(", "),
                status.policy_set,
            );
            for depot in &status.depots {
                let role = if depot.primary { "primary" } else { "copy" };
                let lacks = match depot.backlog {
                    0 => String::new(),
                    count => format!(", lacks {count} objects: strongroom depot copy"),
                };
                out.push_str(&format!("depot        {role}, {} {}{lacks}\n", depot.kind, printable(&depot.place)));
            }
            out.push_str(&drills(&status));
            let verified = status.verified.map_or_else(|| "never".to_owned(), |time| time.to_string());
            out.push_str(&format!("verified     {verified} (all, or a sample)\n"));
            out.push_str(&match &status.backed_up {
                None => "backup       none was made: strongroom backup create FILE\n".to_owned(),
                Some(made) => format!("backup       {made}, {} ago\n", backup::since(*made)),
            });
            for line in status.restored.iter().flat_map(backup::told) {
                out.push_str(&format!("restored     {line}\n"));
            }
            if let Some(unlocked) = &unlocked {
                out.push_str(&format!(
                    "unlocked     until {}, since {} by user {} with a {} (process {}): strongroom lock\n",
                    unlocked.until, unlocked.since, unlocked.uid, unlocked.root, unlocked.pid
                ));
            }
            let stand = &status.keys;
            let next = stand.next_due.map(|due| format!(", the first until {due}")).unwrap_or_default();
            out.push_str(&match (stand.overdue, stand.due_soon, stand.suspended) {
                (0, 0, 0) => format!("keys         {} in their time{next}\n", stand.active),
                (over, soon, suspended) => format!(
                    "keys         {} of {} in their time{next}; {soon} due within 30 days, {suspended} suspended: strongroom key ls --due\n",
                    stand.active.saturating_sub(over), stand.active,
                ),
            });
            if let Some(away) = &stand.away {
                out.push_str(&format!(
                    "away         from {} no root at hand wraps the next key of {} domains, {} among them: strongroom key check\n",
                    away.from, away.domains, printable(&away.of.join(", ")),
                ));
            }
            if stand.archived > 0 {
                out.push_str(&format!("archived     {} version keys, opened under archive-read\n", stand.archived));
            }
            status.incidents.iter().for_each(|item| out.push_str(&incident::line(item)));
            if status.keys_due > 0 {
                let keys = if status.keys_due == 1 { "key" } else { "keys" };
                out.push_str(&format!("overdue      {} {keys}: strongroom key rotate\n", status.keys_due));
            }
            if !status.jobs_overdue.is_empty() {
                out.push_str(&format!("jobs         due: {} (strongroom jobs run)\n", status.jobs_overdue.join(", ")));
            }
            if status.to_delete > 0 {
                out.push_str(&format!(
                    "garbage      {} objects are still to be deleted: strongroom gc\n",
                    status.to_delete
                ));
            }
            if status.drafts > 0 {
                out.push_str(&format!(
                    "unfinished   {} versions: being written, or left by a put that ended early (strongroom gc)\n",
                    status.drafts
                ));
            }
            if let Some(why) = &status.read_only {
                out.push_str(&format!("read-only    {}\n", printable(why)));
            }
            out
        })?;
        Ok(0)
    })
}

/// How long ago each root, and the escrow, was last found to open what it wraps: the one that was longest ago counts.
fn drills(status: &Status) -> String {
    let ago = |at: Option<Timestamp>| match at {
        None => "never".to_owned(),
        Some(at) => match status.now.as_millis().saturating_sub(at.as_millis()) / 86_400_000 {
            0 => "today".to_owned(),
            1 => "a day ago".to_owned(),
            days => format!("{days} days ago"),
        },
    };
    let opening = status.roots.iter().filter(|root| !root.only_wraps).map(|root| root.drilled);
    let mut text = format!("drilled      roots {} (strongroom root drill)", ago(opening.min().flatten()));
    if let Some(escrow) = status.roots.iter().find(|root| root.kind == "escrow") {
        text += &format!(", escrow {} (strongroom escrow rehearse)", ago(escrow.drilled));
    }
    text + "\n"
}

pub fn whoami(context: &Context) -> Result<u8, Failure> {
    context.with(|client| {
        let told = client.whoami()?;
        context.output.result("whoami", &told, || {
            let presence = match told.presence {
                PresenceTold::Now => "proven now",
                PresenceTold::None => "not proven",
                PresenceTold::NotAsked => "not asked for",
            };
            let suspended = if told.suspended { ", suspended" } else { "" };
            let mut out = format!(
                "principal    {} ({}, {}{suspended})\nclearance    {}\npresence     {presence}\nvault        {} ({})\n",
                told.principal, told.kind, told.auth, told.clearance, told.vault, told.mode,
            );
            for GrantSpec { workspace, role, until } in &told.grants {
                let end = until.map(|until| format!(" until {until}")).unwrap_or_default();
                out.push_str(&format!("role         {workspace}={role}{end}\n"));
            }
            if let Some(why) = &told.read_only {
                out.push_str(&format!("read-only    {}\n", printable(why)));
            }
            out
        })?;
        Ok(0)
    })
}

/// The owner's word that the clock is right.
fn accept_clock(context: &Context) -> Result<u8, Failure> {
    if context.global.dry_run {
        return context.with_any_clock(|client| {
            let vault = client.vault().to_string();
            context
                .output
                .result("clock", &json!({"vault": vault}), || "the machine's clock would be accepted\n".into())?;
            Ok(0)
        });
    }
    context.confirmed("Is the machine's clock right?")?;
    context.with_any_clock(|client| {
        let accepted = client.clock_accept()?;
        context.output.result("clock", &accepted, || {
            format!("it is {} from now on; the vault was told {} last\n", accepted.now, accepted.before)
        })?;
        Ok(0)
    })
}

pub fn key(context: &Context, command: KeyCommand) -> Result<u8, Failure> {
    match command {
        KeyCommand::States => return key_states(context),
        KeyCommand::Certificate(args) => return destroy::certificate(context, &args),
        KeyCommand::Destroy(args) => return destroy::destroy(context, &args),
        KeyCommand::Rotate(args) => return super::rotate::rotate(context, &args),
        KeyCommand::Reencrypt(args) => return super::reencrypt::reencrypt(context, &args),
        KeyCommand::Check { at, within } => return super::migrate::check(context, at, within),
        KeyCommand::Migrate(args) => return super::migrate::migrate(context, &args),
        _ => {}
    }
    context.with(|client| match command {
        KeyCommand::States
        | KeyCommand::Certificate(_)
        | KeyCommand::Destroy(_)
        | KeyCommand::Rotate(_)
        | KeyCommand::Reencrypt(_)
        | KeyCommand::Check { .. }
        | KeyCommand::Migrate(_) => Ok(0),
        KeyCommand::Suspend(args) => key_move(context, client, &args, KeyState::Suspended),
        KeyCommand::Resume(args) => key_move(context, client, &args, KeyState::Active),
        KeyCommand::Archive(args) => super::archive::archive(context, client, &args),
        KeyCommand::Unarchive(args) => super::archive::unarchive(context, client, &args),
        KeyCommand::Compromise(args) => incident::compromise(context, client, &args),
        KeyCommand::Create { key, environment, class } => {
            super::values::create(context, client, &key, (environment, class))
        }
        KeyCommand::Ls { due: true, within } => {
            let mut keys = client.keys()?;
            let by = keys.now.plus_millis(within.secs.saturating_mul(1_000));
            keys.keys.retain(|key| key.is_due(by));
            keys.keys.sort_by_key(|key| key.due);
            context.output.list("keys", &keys, "keys", || due_text(&keys))?;
            Ok(0)
        }
        KeyCommand::Ls { .. } => {
            let keys = client.keys()?;
            context.output.list("keys", &keys, "keys", || keys_text(&keys.keys))?;
            Ok(0)
        }
        KeyCommand::Show { id } => {
            let key = client.key(&id)?;
            let keys = KeyList { now: key.since, keys: vec![key] };
            context.output.result("keys", &keys, || keys_text(&keys.keys))?;
            Ok(0)
        }
    })
}

/// A key by its id, the beginning of a domain key's, or the version whose key it is.
pub(super) fn key_named(client: &Client, text: &str) -> Result<KeyId, Failure> {
    if text.contains('/') {
        let named = super::data::reference(OsStr::new(text))?;
        return Ok(client.show(&named.to_string()).map_err(|problem| near::told(client, &named, problem.into()))?.key);
    }
    match text.parse() {
        Ok(id) => Ok(id),
        Err(_) => Ok(client.key(text)?.id),
    }
}

fn key_move(context: &Context, client: &Client, args: &KeyMoveArgs, to: KeyState) -> Result<u8, Failure> {
    let key = key_named(client, &args.key)?;
    if context.global.dry_run {
        let would = json!({"key": key, "to": to});
        context.output.result("key-moved", &would, || format!("key {key} would be {to}: {}\n", to.allows()))?;
        return Ok(0);
    }
    let moved = client.key_move(KeyMove { key, to, reason: args.reason.clone() })?;
    context.output.result("key-moved", &moved, || match moved.receipt {
        Some(_) => format!("key {key} of {} is {to}, and was {}: {}\n", moved.of, moved.from, to.allows()),
        None => format!("key {key} of {} was {to} already\n", moved.of),
    })?;
    Ok(0)
}

fn key_states(context: &Context) -> Result<u8, Failure> {
    let item = |state: &KeyState| {
        let then: Vec<KeyState> = state.follows().collect();
        json!({"state": state, "protects": state.protects(), "opens": state.opens(), "moves": state.moves(), "then": then})
    };
    let items: Vec<_> = KeyState::ALL.iter().map(item).collect();
    context.output.list("key-states", &json!({"items": items}), "items", || {
        let row = |state: &KeyState| {
            let then: Vec<&str> = state.follows().map(KeyState::word).collect();
            let then = if then.is_empty() { "-".to_owned() } else { then.join(", ") };
            vec![state.to_string(), state.allows().to_owned(), then]
        };
        table(&["state", "with such a key", "then"], &KeyState::ALL.iter().map(row).collect::<Vec<_>>())
    })?;
    Ok(0)
}

/// What a key belongs to.
fn of(key: &KeyItem) -> String {
    match (&key.workspace, key.environment, key.class) {
        (Some(workspace), Some(environment), Some(class)) => format!("{workspace}/{environment}/{class}"),
        _ => "vault".to_owned(),
    }
}

fn due_text(keys: &KeyList) -> String {
    let row = |key: &KeyItem| {
        let time = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
        let then = match key.renewed {
            None => format!("{}: nothing renews it (strongroom key states)", key.state),
            Some(at) if at <= keys.now => "renewed by the next job: strongroom jobs run".to_owned(),
            Some(at) => format!("renewed from {at} on"),
        };
        let uses = key.uses.zip(key.uses_max).map_or_else(|| "-".to_owned(), |(uses, max)| format!("{uses} of {max}"));
        vec![key.id.to_string(), of(key), key.state.clone(), time(Some(key.created)), time(key.due), uses, then]
    };
    if keys.keys.is_empty() {
        return "no key is due\n".to_owned();
    }
    table(&["id", "of", "state", "made", "due", "uses", "then"], &keys.keys.iter().map(row).collect::<Vec<_>>())
}

pub(super) fn keys_text(keys: &[KeyItem]) -> String {
    let row = |key: &KeyItem| {
        let of = match (&key.workspace, key.environment, key.class) {
            (Some(workspace), _, _) if key.name.is_some() => {
                format!("{workspace}/{}", key.name.as_deref().unwrap_or_default())
            }
            (Some(workspace), Some(environment), Some(class)) => format!("{workspace}/{environment}/{class}"),
            _ => "vault".to_owned(),
        };
        let due = key.due.map(|due| due.to_string()).unwrap_or_else(|| "-".to_owned());
        vec![
            key.id.to_string(),
            key.purpose.clone(),
            of,
            format!("v{}", key.version),
            key.state.clone(),
            key.wraps.to_string(),
            due,
        ]
    };
    table(&["id", "purpose", "of", "version", "state", "wraps", "due"], &keys.iter().map(row).collect::<Vec<_>>())
}

pub fn principal(context: &Context, command: PrincipalCommand) -> Result<u8, Failure> {
    match command {
        PrincipalCommand::Add(args) => {
            let add = added(&args)?;
            context.with(|client| {
                if context.global.dry_run {
                    let verb = if add.change { "change" } else { "add" };
                    context.output.result("principal", &add, || format!("would {verb} {}\n", add.name))?;
                    return Ok(0);
                }
                let item = client.principal_add(add)?;
                context.output.result("principal", &item, || principals_text(std::slice::from_ref(&item)))?;
                Ok(0)
            })
        }
        PrincipalCommand::Erase(args) => {
            let name = unlock::name(&args.name)?;
            context.with(|client| {
                if context.global.dry_run {
                    let item = client.principal(&name)?;
                    let shown = json!({"id": item.id, "name": item.name, "suspended": item.suspended});
                    let first = if item.suspended { "" } else { ", once suspended: it is active, and refused" };
                    context.output.result("principal-erased", &shown, || format!("would erase {name}{first}\n"))?;
                    return Ok(0);
                }
                context.confirmed(&format!("Erase {name} for ever?"))?;
                let done =
                    client.principal_erase(PrincipalErase { name: name.clone(), reason: args.reason.clone() })?;
                context.output.result("principal-erased", &done, || erased_text(&name, &done))?;
                Ok(0)
            })
        }
        PrincipalCommand::Ls => context.with(|client| {
            let items = client.principals()?;
            context.output.list("principals", &json!({"items": items}), "items", || principals_text(&items))?;
            Ok(0)
        }),
        PrincipalCommand::Show { name } => {
            let name = unlock::name(&name)?;
            context.with(|client| {
                let item = client.principal(&name)?;
                context.output.result("principal", &item, || principals_text(std::slice::from_ref(&item)))?;
                Ok(0)
            })
        }
    }
}

fn erased_text(name: &Name, done: &PrincipalErased) -> String {
    let PrincipalErased { id, grants, runs, values, backup, unfinished, .. } = done;
    let mut out = format!(
        "{name} is erased: from now on there is only {id}\n  roles {grants}, runs {runs}, values in the log {values}; the log \
         stays verifiable, decisions of theirs are no longer replayable\n"
    );
    if let Some(backup) = backup {
        out.push_str(&format!("  backups up to {backup} still hold them, for whoever has a root: destroy those\n"));
    }
    if let Some(why) = unfinished {
        out.push_str(&format!("  not finished: {why}; `strongroom jobs run erase` goes on with it\n"));
    }
    out
}

fn added(args: &PrincipalAddArgs) -> Result<PrincipalAdd, Failure> {
    Ok(PrincipalAdd {
        name: unlock::name(&args.name)?,
        kind: args.kind,
        clearance: args.clearance,
        grants: args.grants.iter().map(|text| grant(text)).collect::<Result<_, _>>()?,
        revoke: args.revoke.iter().map(|text| revocation(text)).collect::<Result<_, _>>()?,
        suspended: if args.active { Some(false) } else { args.suspended.then_some(true) },
        change: args.change,
    })
}

/// `WORKSPACE=ROLE[:UNTIL]`.
fn grant(text: &str) -> Result<GrantSpec, Failure> {
    let bad = |why: &str| Failure::usage("bad grant", format!("`{text}`: {why}"));
    let (workspace, rest) = text.split_once('=').ok_or_else(|| bad("a grant is WORKSPACE=ROLE[:UNTIL]"))?;
    let (role, until) = match rest.split_once(':') {
        Some((role, until)) => (role, Some(until.parse::<Timestamp>().map_err(|e| bad(&e.to_string()))?)),
        None => (rest, None),
    };
    if role.is_empty() {
        return Err(bad("the role is missing"));
    }
    Ok(GrantSpec { workspace: unlock::name(workspace)?, role: role.to_owned(), until })
}

/// `WORKSPACE[=ROLE]`.
fn revocation(text: &str) -> Result<Revocation, Failure> {
    let (workspace, role) = match text.split_once('=') {
        Some((workspace, role)) => (workspace, Some(role.to_owned())),
        None => (text, None),
    };
    Ok(Revocation { workspace: unlock::name(workspace)?, role })
}

fn principals_text(items: &[PrincipalItem]) -> String {
    let row = |item: &PrincipalItem| {
        let grants: Vec<String> = item
            .grants
            .iter()
            .map(|grant| match grant.until {
                Some(until) => format!("{}={} until {until}", grant.workspace, grant.role),
                None => format!("{}={}", grant.workspace, grant.role),
            })
            .collect();
        let state = match (item.erased, item.suspended) {
            (Some(_), _) => "erased",
            (None, true) => "suspended",
            (None, false) => "active",
        };
        vec![item.name.clone(), item.kind.to_string(), item.clearance.to_string(), state.to_owned(), grants.join(", ")]
    };
    table(&["name", "kind", "clearance", "state", "grants"], &items.iter().map(row).collect::<Vec<_>>())
}

pub fn gc(context: &Context, args: &GcArgs) -> Result<u8, Failure> {
    context.with(|client| {
        let terminal = context.terminal();
        let deletes = if context.global.dry_run { Deletes::No } else { Deletes::Yes };
        let done = client.collect(args.grace.secs, deletes, &terminal);
        terminal.clear();
        let done = done?;
        context.output.result("gc", &done, || {
            let verb = if deletes == Deletes::Yes { "deleted" } else { "would delete" };
            let mut out = format!(
                "{verb} {} objects and {} unfinished uploads, {}\n",
                done.objects,
                done.uploads,
                bytes_shown(done.bytes)
            );
            if done.left > 0 {
                out.push_str(&format!("{} objects did not leave every depot: the next gc tries again\n", done.left));
            }
            for (depot, why) in &done.unreachable {
                out.push_str(&format!("depot {depot}: {}\n", printable(why)));
            }
            out
        })?;
        Ok(if done.unreachable.is_empty() { 0 } else { Exit::Temporary as u8 })
    })
}
