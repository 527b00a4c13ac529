//! `encrypt`, `decrypt`, `key create`.

use super::data::reference;
use super::{Context, policy, why};
use crate::args::{DecryptArgs, EncryptArgs, Pair};
use crate::output::Failure;
use api::terms::{Action, Class, Environment, Name, Reference, Selector};
use api::wire::{Decrypt, Encrypt, Explain, NamedKeyMake, Plain};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use client::{Client, Towards, Why};
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::path::Path;
use zeroize::Zeroizing;

/// The longest value, in bytes, and what of a longer one is read to tell.
const MAX_VALUE_LEN: u64 = 65_536;
/// The longest token and its line end, and some to tell.
const MAX_TOKEN_LEN: u64 = 98_304;

pub fn encrypt(context: &Context, args: &EncryptArgs) -> Result<u8, Failure> {
    let pairs = pairs(&args.context)?;
    let Some(key) = &args.key else { return renew(context, args, pairs) };
    let (workspace, name) = named(key)?;
    if context.global.dry_run {
        let why = Why { reason: None, confirm: None };
        return context.with(|client| would(context, client, Action::Encrypt, key, why));
    }
    let value = read(&args.file, MAX_VALUE_LEN)?;
    let value = Plain::new(value.to_vec());
    let wanted = Encrypt { workspace, name, context: pairs, value, reason: args.reason.clone() };
    context.with(|client| {
        let done = client.encrypt(wanted)?;
        context.output.result("encrypted", &done, || format!("{}\n", done.token))?;
        Ok(0)
    })
}

fn renew(context: &Context, args: &EncryptArgs, pairs: BTreeMap<String, String>) -> Result<u8, Failure> {
    let token = token(&args.file)?;
    if context.global.dry_run {
        let why = Why { reason: None, confirm: None };
        return context.with(|client| would(context, client, Action::Encrypt, &key_of(&token)?, why));
    }
    let wanted = Decrypt { token, context: pairs, reason: args.reason.clone(), confirm: None, to_disk: false };
    context.with(|client| {
        let done = client.renew(wanted)?;
        context.output.result("encrypted", &done, || format!("{}\n", done.token))?;
        Ok(0)
    })
}

pub fn decrypt(context: &Context, args: &DecryptArgs) -> Result<u8, Failure> {
    let (pairs, token) = (pairs(&args.context)?, token(&args.file)?);
    let to_disk = Towards::of(std::io::stdout()) == Towards::Disk;
    context.with(|client| {
        if context.global.dry_run {
            return would(context, client, Action::Decrypt, &key_of(&token)?, why(&args.why));
        }
        let done = context.with_reasons(why(&args.why), |Why { reason, confirm }| {
            let (token, context) = (token.clone(), pairs.clone());
            let (reason, confirm) = (reason.clone(), confirm.clone());
            Ok(client.decrypt(Decrypt { token, context, reason, confirm, to_disk })?)
        })?;
        let value = done.value.expose_bytes();
        if context.output.is_json() {
            let value = Zeroizing::new(STANDARD.encode(value));
            let shown = json!({
                "value": *value, "name": done.name, "version": done.version, "newest": done.newest, "receipt": done.receipt,
            });
            context.output.result("decrypted", &shown, String::new)?;
            return Ok(0);
        }
        let mut out = std::io::stdout().lock();
        match out.write_all(value).and_then(|()| out.flush()) {
            Ok(()) => Ok(0),
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Failure::Quiet),
            Err(error) => Err(Failure::from_io("cannot write to standard output", &error)),
        }
    })
}

pub fn create(
    context: &Context,
    client: &Client,
    key: &str,
    (environment, class): (Environment, Option<Class>),
) -> Result<u8, Failure> {
    let (workspace, name) = named(key)?;
    let wanted = NamedKeyMake { workspace, name, environment, class };
    if context.global.dry_run {
        context.output.result("named-key", &wanted, || format!("the key {key} would be made\n"))?;
        return Ok(0);
    }
    let made = client.key_create(wanted)?;
    context.output.result("named-key", &made, || {
        let due = made.due.map(|due| format!("; its next version follows by {due}")).unwrap_or_default();
        format!("{} v{} ({}, {}) is made{due}\n", made.name, made.version, made.class, made.environment)
    })?;
    Ok(0)
}

/// What would be decided on the key.
fn would(context: &Context, client: &Client, action: Action, key: &str, why: Why) -> Result<u8, Failure> {
    let Why { reason, confirm } = why;
    let question = Explain { reference: Some(key.to_owned()), reason, confirm, ..Explain::of(action) };
    policy::answered(context, &question, &policy::explained(client, &question)?)
}

/// `WORKSPACE/NAME` of a key.
fn named(text: &str) -> Result<(Name, Name), Failure> {
    match reference(OsStr::new(text))? {
        Reference { workspace, artifact, selector: Selector::Latest, path: None } => Ok((workspace, artifact)),
        _ => Err(Failure::usage("bad key", format!("`{text}` is not WORKSPACE/NAME"))),
    }
}

fn pairs(given: &[Pair]) -> Result<BTreeMap<String, String>, Failure> {
    let mut pairs = BTreeMap::new();
    for Pair { name, value } in given {
        if pairs.insert(name.clone(), value.clone()).is_some() {
            return Err(Failure::usage("bad context", format!("`{name}` is given more than once")));
        }
    }
    Ok(pairs)
}

/// One line, as `encrypt` printed it.
fn token(file: &Path) -> Result<String, Failure> {
    let bytes = read(file, MAX_TOKEN_LEN)?;
    let bad = || Failure::usage("bad token", "it is not one line of text, as sealing a value prints it");
    let text = std::str::from_utf8(&bytes).map_err(|_| bad())?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

/// The key that a token names.
fn key_of(token: &str) -> Result<String, Failure> {
    let named = token.split(':').nth(3).map(str::to_owned);
    named.ok_or_else(|| Failure::usage("bad token", "it is not one line of text, as sealing a value prints it"))
}

/// A file or standard input, and one byte more than it may have, so that the keeper refuses it.
fn read(file: &Path, most: u64) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let room = usize::try_from(most).unwrap_or(usize::MAX).saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    let what = format!("cannot read `{}`", file.display());
    if file == Path::new("-") {
        std::io::stdin().lock().take(most + 1).read_to_end(&mut bytes).map_err(|e| Failure::from_io(&what, &e))?;
    } else {
        let open = std::fs::File::open(file).map_err(|e| Failure::from_io(&what, &e))?;
        open.take(most + 1).read_to_end(&mut bytes).map_err(|e| Failure::from_io(&what, &e))?;
    }
    Ok(bytes)
}
