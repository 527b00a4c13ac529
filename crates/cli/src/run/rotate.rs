//! `key rotate`: of domains and named keys, by what they belong to or by a key of them; of a root, by its id.

use super::admin::{key_named, keys_text};
use super::{Context, migrate, rotate_root};
use crate::args::{KeyRotateArgs, RotateArgs};
use crate::output::Failure;
use crate::unlock;
use api::terms::{Class, Code, Environment, KeyId, KeyState};
use api::wire::{KeyItem, KeyRotate, KeyRotated, Problem};
use client::{Client, vault};
use serde_json::json;

pub fn rotate(context: &Context, args: &KeyRotateArgs) -> Result<u8, Failure> {
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
    let Some(id) = &args.id else { return context.with(|client| keys(context, client, which)) };
    if is_of_a_root(context, id)? {
        return root(context, id, args);
    }
    let done = context.with(|client| match of_key(client, id)? {
        Some(key) => keys(context, client, KeyRotate { key: Some(key), ..which }).map(Some),
        None => Ok(None),
    })?;
    done.map_or_else(|| root(context, id, args), Ok)
}

fn keys(context: &Context, client: &Client, which: KeyRotate) -> Result<u8, Failure> {
    if context.global.dry_run {
        let all = client.keys()?.keys;
        let keys: Vec<KeyItem> = match which.key {
            Some(id) => with_it(id, &all)?,
            None => all.iter().filter(|key| rotates(key, &all, &which)).cloned().collect(),
        };
        context.output.result("keys", &json!({"keys": keys}), || keys_text(&keys))?;
        return Ok(0);
    }
    let done = client.rotate(which)?;
    context.output.result("rotate", &done, || text(&done))?;
    Ok(if done.failed.is_empty() { 0 } else { 1 })
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
    if done.already {
        let after = done.keys.iter().map(|key| format!(": {} came after it", key.id)).collect::<String>();
        let wrapped =
            if done.rewrapped > 0 { format!(", {} keys wrapped again", done.rewrapped) } else { String::new() };
        return format!("it was rotated already{after}{wrapped}{left}{shut}\n{}", migrate::unmade_text(&done.failed));
    }
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
    let args =
        RotateArgs { id: id.to_owned(), path: None, new_passphrase_file: None, token: None, pin_file: None, key: None };
    rotate_root::rotate(context, &args, |client| match of_key(client, id)? {
        Some(_) => Err(Failure::usage("which key?", format!("no root's id begins with `{id}` any more"))),
        None => Ok(()),
    })
}

/// The key that is named so; none if it is a root.
fn of_key(client: &Client, text: &str) -> Result<Option<KeyId>, Failure> {
    if text.contains('/') {
        return key_named(client, text).map(Some);
    }
    let of_a_root = !text.is_empty() && client.roots()?.roots.iter().any(|root| root.id.to_string().starts_with(text));
    if let Ok(id) = text.parse() {
        return Ok(if of_a_root { None } else { Some(id) });
    }
    match client.key(text) {
        Err(problem) if of_a_root && problem.code == Code::NotFound => Ok(None),
        Ok(_) | Err(Problem { code: Code::Conflict, .. }) if of_a_root => {
            Err(Failure::usage("which one?", format!("the ids of a root and of a key begin with `{text}`")))
        }
        found => Ok(Some(found?.id)),
    }
}

/// The key and those that get their next version with it, if it would get one.
fn with_it(id: KeyId, all: &[KeyItem]) -> Result<Vec<KeyItem>, Failure> {
    let refused = |code, why: String| Failure::from(Problem::new(code, "the rotation was refused", why));
    let Some(key) = all.iter().find(|key| key.id == id) else {
        return Err(refused(Code::NotFound, format!("no domain key, archive key or named key is {id}")));
    };
    if key.workspace.is_none() {
        return Err(refused(Code::Conflict, "it is one of the vault's own keys, which have one version".to_owned()));
    }
    let is = |key: &KeyItem, state: KeyState| key.state == state.word();
    let shut = |id: KeyId, what: &str| Err(refused(Code::Gone, format!("the key {id} is {what}")));
    let last = all.iter().filter(|other| domain(other) == domain(key)).max_by_key(|other| other.version);
    let is_last = last.is_none_or(|last| last.id == id);
    if key.name.is_some() {
        // One that was destroyed with its domain's key is followed like any other.
        return match (is_last, is(key, KeyState::Active) || is(key, KeyState::Destroyed)) {
            (false, _) => Ok(Vec::new()),
            (true, true) => Ok(vec![key.clone()]),
            (true, false) => shut(id, &key.state),
        };
    }
    if key.ends.is_some() {
        return shut(id, "to be destroyed");
    }
    if [KeyState::PreActive, KeyState::Suspended, KeyState::Destroyed].iter().any(|state| is(key, *state)) {
        return shut(id, &key.state);
    }
    if let Some(last) = last.filter(|_| !is_last) {
        let is_lost = is(last, KeyState::Compromised) || is(last, KeyState::Destroyed);
        return if is_lost && key.wraps > 0 { shut(last.id, &last.state) } else { Ok(Vec::new()) };
    }
    if is(key, KeyState::Deactivated) {
        let why = format!("the key {id} is deactivated: the next one is made when something is sealed there");
        return Err(refused(Code::Conflict, why));
    }
    let lies_under = |named: &KeyItem| {
        let of = |key: &KeyItem| (key.workspace.clone(), key.environment, key.class);
        key.purpose == "domain" && named.name.is_some() && is(named, KeyState::Active) && of(named) == of(key)
    };
    Ok(all.iter().filter(|other| other.id == id || lies_under(other)).cloned().collect())
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
