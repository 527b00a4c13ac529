//! Commands on aliases.

use super::data::reference;
use super::{Context, near, policy};
use crate::args::{AliasCommand, Expected};
use crate::output::{Failure, table};
use crate::unlock;
use api::terms::{Action, Code, Name, Reference, Selector};
use api::wire::{AliasItem, AliasMove, AliasMoved, AliasPast, AliasRemove, AliasSet, Explain};
use client::Client;
use serde_json::json;
use std::ffi::OsStr;

pub fn alias(context: &Context, command: AliasCommand) -> Result<u8, Failure> {
    match command {
        AliasCommand::Set { reference, name, expect } => set(context, &reference, &name, expect),
        AliasCommand::Rm { artifact, name, expect } => remove(context, &artifact, &name, expect),
        AliasCommand::Ls { artifact } => list(context, &artifact),
        AliasCommand::History { artifact, name, limit, after } => {
            let (artifact, alias) = (named(&artifact)?, unlock::name(&name)?);
            history(context, &artifact, AliasPast { reference: artifact.to_string(), alias, after, limit })
        }
    }
}

fn set(context: &Context, text: &str, name: &str, expect: Option<Expected>) -> Result<u8, Failure> {
    let (to, alias) = (version(text)?, unlock::name(name)?);
    context.with(|client| {
        if context.global.dry_run {
            return would(context, client, &to, &alias);
        }
        let wish = AliasSet { reference: to.to_string(), alias, expect: expect.map(|Expected(number)| number) };
        let done = client.alias_set(wish).map_err(|problem| near::told(client, &to, problem.into()))?;
        told(context, &done)
    })
}

fn remove(context: &Context, text: &str, name: &str, expect: Option<Expected>) -> Result<u8, Failure> {
    let (artifact, alias) = (named(text)?, unlock::name(name)?);
    let at = Reference { selector: Selector::Alias(alias.clone()), ..artifact.clone() };
    context.with(|client| {
        if context.global.dry_run {
            return asked(context, client, &at);
        }
        let expect = expect.map(|Expected(number)| number);
        let wish = AliasRemove { reference: artifact.to_string(), alias, expect };
        let done = client.alias_remove(wish).map_err(|problem| near::told(client, &at, problem.into()))?;
        told(context, &done)
    })
}

fn told(context: &Context, done: &AliasMoved) -> Result<u8, Failure> {
    context.output.result("alias", done, || {
        let entry = done.receipt.as_ref().map(|receipt| format!("log entry {}\n", receipt.entry)).unwrap_or_default();
        let was = done.before.as_ref().map(|before| format!(", was {before}")).unwrap_or_default();
        match &done.version {
            Some(version) if !done.changed => format!("{} points to {version} already\n", done.alias),
            Some(version) => format!("{} points to {version}{was}\n{entry}", done.alias),
            None => format!("{} is removed{was}\n{entry}", done.alias),
        }
    })?;
    Ok(0)
}

fn list(context: &Context, text: &str) -> Result<u8, Failure> {
    let artifact = named(text)?;
    context.with(|client| {
        let items = client.aliases(&artifact.to_string());
        let items = items.map_err(|problem| near::told(client, &artifact, problem.into()))?;
        context.output.list("aliases", &json!({"items": items}), "items", || {
            let row = |item: &AliasItem| {
                let (class, environment) = (item.class.to_string(), item.environment.to_string());
                vec![item.alias.to_string(), item.version.clone(), class, environment, item.created.to_string()]
            };
            match &items[..] {
                [] => "no alias yet: strongroom alias set REF NAME\n".to_owned(),
                items => table(
                    &["alias", "version", "class", "environment", "put"],
                    &items.iter().map(row).collect::<Vec<_>>(),
                ),
            }
        })?;
        Ok(0)
    })
}

fn history(context: &Context, artifact: &Reference, past: AliasPast) -> Result<u8, Failure> {
    let at = Reference { selector: Selector::Alias(past.alias.clone()), ..artifact.clone() };
    context.with(|client| {
        let page = client.alias_history(past).map_err(|problem| near::told(client, &at, problem.into()))?;
        let (items, next) = page;
        context.output.list("alias-history", &json!({"items": items, "next": next}), "items", || {
            let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
            let row = |item: &AliasMove| {
                let index = item.log_index.map_or_else(|| "pending".to_owned(), |index| index.to_string());
                let (who, act) = (or_dash(&item.principal), item.act.clone());
                vec![index, item.time.to_string(), who, act, or_dash(&item.before), or_dash(&item.version)]
            };
            let head = ["index", "time", "principal", "act", "left", "came to"];
            let text = table(&head, &items.iter().map(row).collect::<Vec<_>>());
            match next {
                Some(next) => format!("{text}more: --after {next}\n"),
                None => text,
            }
        })?;
        Ok(0)
    })
}

/// `--dry-run`: the first decision that would refuse the move, else the one on the version that it comes to.
fn would(context: &Context, client: &Client, to: &Reference, alias: &Name) -> Result<u8, Failure> {
    let leaves = Reference { selector: Selector::Alias(alias.clone()), ..to.clone() };
    let question = |at: &Reference| Explain { reference: Some(at.to_string()), ..Explain::of(Action::Alias) };
    // By number: without one the question would be about the version that a put makes.
    let shown = client.show(&to.to_string()).map_err(|problem| near::told(client, to, problem.into()))?;
    let comes = Reference { selector: Selector::Number(shown.number), ..to.clone() };
    let answer = client.explain(question(&comes))?;
    if answer.allowed {
        match client.explain(question(&leaves)) {
            Ok(left) if !left.allowed => return policy::answered(context, &question(&leaves), &left),
            // It is new: it leaves no version.
            Err(problem) if problem.code != Code::NotFound => return Err(problem.into()),
            Ok(_) | Err(_) => {}
        }
    }
    policy::answered(context, &question(&comes), &answer)
}

fn asked(context: &Context, client: &Client, at: &Reference) -> Result<u8, Failure> {
    let question = Explain { reference: Some(at.to_string()), ..Explain::of(Action::Alias) };
    policy::answered(context, &question, &policy::explained(client, &question)?)
}

fn version(text: &str) -> Result<Reference, Failure> {
    let parsed = reference(OsStr::new(text))?;
    match parsed.path {
        None => Ok(parsed),
        Some(_) => Err(Failure::usage("bad reference", "an alias is of a whole version: leave the path out")),
    }
}

/// An artifact, without a version.
fn named(text: &str) -> Result<Reference, Failure> {
    let parsed = version(text)?;
    match parsed.selector {
        Selector::Latest => Ok(parsed),
        _ => Err(Failure::usage("bad artifact", "name the WORKSPACE/ARTIFACT without a version, then the alias")),
    }
}
