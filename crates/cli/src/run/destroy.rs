//! `key destroy`, and the certificate at its end.

use super::Context;
use super::admin::key_named;
use crate::args::{KeyCertificateArgs, KeyDestroyArgs};
use crate::output::{Failure, printable};
use api::terms::{Code, KeyId};
use api::wire::{KeyDestroy, KeyDestroying, KeySpare, Problem};
use client::certificate::{MAX_LEN, check, joined};
use client::{Client, LogKeys};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::path::Path;

/// The longest file of verifier keys: ML-DSA-44 has 1,312 bytes.
const MAX_VKEYS_LEN: u64 = 16 << 10;

pub fn destroy(context: &Context, args: &KeyDestroyArgs) -> Result<u8, Failure> {
    context.with(|client| {
        let key = key_named(client, &args.key)?;
        if context.global.dry_run {
            let verb =
                if args.cancel { "would be spared" } else { "would open nothing from now on, and be destroyed later" };
            context.output.result("key-ends", &json!({"key": key}), || format!("key {key} {verb}\n"))?;
            return Ok(0);
        }
        let done = if args.cancel {
            client.key_spare(KeySpare { key, reason: args.reason.clone() })?
        } else {
            context.confirmed(&format!("Destroy the key {key}, and with it all that only it opens?"))?;
            client.key_destroy(KeyDestroy { key, reason: args.reason.clone(), confirm: args.confirm.clone() })?
        };
        context.output.result("key-ends", &done, || told(&done))?;
        Ok(0)
    })
}

fn told(done: &KeyDestroying) -> String {
    let KeyDestroying { key, of, until, versions, receipt } = done;
    match until {
        None => format!("key {key} of {of} is spared\n"),
        Some(until) => {
            let already = if receipt.is_some() { "" } else { " already" };
            format!(
                "key {key} of {of} opens nothing{already}, and is destroyed after {until}: {versions} versions go with it\n\
                 until then: strongroom key destroy {key} --cancel --reason REASON\n"
            )
        }
    }
}

pub fn certificate(context: &Context, args: &KeyCertificateArgs) -> Result<u8, Failure> {
    match (&args.check, &args.log_keys, &args.key) {
        (Some(file), Some(keys), _) => checked(context, file, keys),
        (_, _, Some(key)) => context.with(|client| {
            let key = key_named(client, key)?;
            shown(context, client, key, args.output.as_deref())
        }),
        _ => Err(Failure::usage("nothing to show", "name a key, or a certificate to check")),
    }
}

fn shown(context: &Context, client: &Client, key: KeyId, to: Option<&Path>) -> Result<u8, Failure> {
    let head = client.certificate(key, 0)?;
    let (Some(entry), Some(proof)) = (&head.entry, &head.proof) else {
        return Err(Problem::new(Code::Internal, "the certificate has no proof", "the keeper answered none").into());
    };
    let mut parts = String::new();
    for number in 1..=head.parts {
        parts.push_str(&client.certificate(key, number)?.text);
    }
    let text = joined(&head.text, &parts, entry, proof);
    if let Some(path) = to {
        let what = format!("cannot write `{}`", path.display());
        let mut file = super::audit::created(path, &what)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|e| Failure::from_io(&what, &e))?;
    }
    let output = to.map(|path| path.display().to_string());
    let body = to.is_none().then_some(&text);
    context.output.result("certificate", &json!({"key": key, "certificate": body, "output": output}), || match to {
        Some(path) => format!("certificate of key {key} in {}\n", printable(&path.display().to_string())),
        None => text.clone(),
    })?;
    Ok(0)
}

fn checked(context: &Context, file: &Path, keys: &Path) -> Result<u8, Failure> {
    let vkeys = read(keys, MAX_VKEYS_LEN)?;
    let mut lines = vkeys.lines();
    let (Some(ed25519), Some(mldsa), None) = (lines.next(), lines.next(), lines.next()) else {
        return Err(Failure::usage(
            "the log's keys are refused",
            "the file has two lines, as `audit export` writes them",
        ));
    };
    let keys = LogKeys::from_vkeys(ed25519, mldsa)
        .map_err(|error| Failure::usage("the log's keys are refused", error.to_string()))?;
    let text = read(file, MAX_LEN as u64)?;
    let found = check(&text, &keys).map_err(|error| {
        Problem::new(Code::BadSignature, "the certificate does not hold", error.to_string())
            .with_try("ask for it again: strongroom key certificate ID -o FILE")
    })?;
    let size = found.checkpoint.size;
    let shown = json!({"ok": true, "key": found.key, "time": found.time, "head": found.head, "size": size});
    context.output.result("certificate-checked", &shown, || {
        let head: String = found.head.iter().map(|line| format!("  {}\n", printable(line))).collect();
        format!(
            "the log of {size} entries vouches for it: key {} was destroyed, certified at {}\n{head}",
            found.key, found.time
        )
    })?;
    Ok(0)
}

fn read(path: &Path, max: u64) -> Result<String, Failure> {
    let what = format!("cannot read `{}`", path.display());
    let file = std::fs::File::open(path).map_err(|e| Failure::from_io(&what, &e))?;
    let mut text = String::new();
    file.take(max + 1).read_to_string(&mut text).map_err(|e| Failure::from_io(&what, &e))?;
    if text.len() as u64 > max {
        return Err(Failure::usage(&what, "it is too long"));
    }
    Ok(text)
}
