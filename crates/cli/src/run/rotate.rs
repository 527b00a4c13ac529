//! `key rotate`: of domains and named keys, by what they belong to or by a key of them; of a root, by its id.

use super::admin::keys_text;
use super::{Context, migrate, rotate_root};
use crate::args::{KeyRotateArgs, RotateArgs};
use crate::output::Failure;
use crate::unlock;
use api::terms::{Class, Code, Environment, KeyId, KeyState};
use api::wire::{KeyItem, KeyRotate, KeyRotated, Problem};
use client::{Client, vault};
use serde_json::json;

pub fn rotate(context: &Context, args: &KeyRotateArgs) -> Result<u8, Failure> {
    if let Some(id) = &args.id
        && is_of_a_root(context, id)?
    {
        return root(context, id, args);
    }
    let name = |text: &Option<String>| text.as_deref().map(unlock::name).transpose();
    let which = KeyRotate {
        workspace: name(&args.workspace)?,
        environment: args.environment,
        class: args.class,
        name: name(&args.name)?,
        no_wait: args.no_wait,
        per_second: args.rate,
        ..KeyRotate::default()
    };
    context.with(|client| {
        let which = match &args.id {
            Some(id) => of_key(client, id, which)?,
            None => which,
        };
        if context.global.dry_run {
            let all = client.keys()?.keys;
            let keys: Vec<KeyItem> = all.iter().filter(|key| rotates(key, &all, &which)).cloned().collect();
            context.output.result("keys", &json!({"keys": keys}), || keys_text(&keys))?;
            return Ok(0);
        }
        let done = client.rotate(which)?;
        context.output.result("rotate", &done, || text(&done))?;
        Ok(if done.failed.is_empty() { 0 } else { 1 })
    })
}

fn text(done: &KeyRotated) -> String {
    let left =
        if done.remaining > 0 { format!(", {} to go with later commands", done.remaining) } else { String::new() };
    let shut = match done.suspended.as_slice() {
        [] => String::new(),
        some => format!("; suspended ones were left alone: {} (strongroom key ls)", migrate::counted(some)),
    };
    let named = done.keys.iter().filter(|key| key.name.is_some()).count();
    let values = if named > 0 { format!(", {named} named keys") } else { String::new() };
    format!(
        "{} domain keys{values} rotated, {} keys wrapped again{left}; the depot was not touched{shut}\n{}",
        done.keys.len() - named,
        done.rewrapped,
        migrate::unmade_text(&done.failed),
    )
}

/// Whether the id of a root begins so, by the vault's own file: nothing is opened for it.
fn is_of_a_root(context: &Context, id: &str) -> Result<bool, Failure> {
    let described = vault::describe(&unlock::folder(&context.global)?)?;
    Ok(!id.is_empty() && described.roots.iter().any(|root| root.id.to_string().starts_with(id)))
}

fn root(context: &Context, id: &str, args: &KeyRotateArgs) -> Result<u8, Failure> {
    if args.no_wait || args.rate.is_some() {
        return Err(Failure::usage("a root is rotated at once", format!("--no-wait and --rate are not for `{id}`")));
    }
    let is_whole = id.parse::<KeyId>().is_ok();
    let begins_a_key = |client: &Client| match client.key(id) {
        Ok(_) => true,
        Err(problem) => problem.code == Code::Conflict,
    };
    if !is_whole && context.with(|client| Ok(begins_a_key(client)))? {
        return Err(Failure::usage("which one?", format!("the ids of a root and of a key begin with `{id}`")));
    }
    let args =
        RotateArgs { id: id.to_owned(), path: None, new_passphrase_file: None, token: None, pin_file: None, key: None };
    rotate_root::rotate(context, &args)
}

/// The domain that a key is of, or the named key.
fn of_key(client: &Client, id: &str, which: KeyRotate) -> Result<KeyRotate, Failure> {
    let key = client.key(id)?;
    let refused = |why: String| {
        Failure::from(Problem::new(Code::Conflict, "the key was not rotated", why).with_try("strongroom key ls"))
    };
    let Some(workspace) = &key.workspace else {
        return Err(refused(format!("the vault's own keys stay: {} is its {} key", key.id, key.purpose)));
    };
    let all = client.keys()?.keys;
    let workspace = Some(unlock::name(workspace)?);
    let name = key.name.as_deref().map(unlock::name).transpose()?;
    let which = match name {
        Some(_) => KeyRotate { workspace, name, ..which },
        None => KeyRotate { workspace, environment: key.environment, class: key.class, ..which },
    };
    let newest = all.iter().filter(|other| domain(other) == domain(&key)).max_by_key(|other| other.version);
    match newest.filter(|newest| newest.version > key.version) {
        // What an earlier try did not come to goes on.
        Some(_) if key.wraps > 0 => {}
        Some(next) => return Err(refused(format!("the key {} is {}: {} came after it", key.id, key.state, next.id))),
        None if key.state == KeyState::Suspended.word() || rotates(&key, &all, &which) => {}
        None => return Err(refused(format!("the key {} is {}", key.id, key.state))),
    }
    Ok(which)
}

type Domain<'a> = (&'a str, Option<&'a str>, Option<&'a str>, Option<Environment>, Option<Class>);

/// What the versions of a key have in common.
fn domain(key: &KeyItem) -> Domain<'_> {
    (&key.purpose, key.name.as_deref(), key.workspace.as_deref(), key.environment, key.class)
}

/// Whether a rotation means a key.
fn rotates(key: &KeyItem, all: &[KeyItem], which: &KeyRotate) -> bool {
    let wraps = |key: &KeyItem| key.purpose == "domain" || key.purpose == "archive";
    let leads = || !all.iter().any(|other| domain(other) == domain(key) && other.version > key.version);
    let meant = match &which.name {
        Some(name) => key.name.as_deref() == Some(name.as_str()),
        None => wraps(key) || key.name.is_some(),
    };
    let lost = || wraps(key) && key.state == KeyState::Compromised.word() && leads();
    meant
        && (key.state == KeyState::Active.word() || lost())
        && which.workspace.as_ref().is_none_or(|name| key.workspace.as_deref() == Some(name.as_str()))
        && which.environment.is_none_or(|environment| key.environment == Some(environment))
        && which.class.is_none_or(|class| key.class == Some(class))
}
