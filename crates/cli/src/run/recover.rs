//! `recover`.

use super::{Context, recovery};
use crate::args::{Global, RecoverArgs, RecoveryArgs, RootKindArg};
use crate::output::{Failure, on_terminal, printable};
use crate::unlock::{self, New};
use api::terms::{Code, VaultId};
use api::wire::Problem;
use client::vault::{self, Passphrase, Recovering, Root, RootKind};
use serde_json::json;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The longest text that a code is looked for in.
const MAX_CODE_LEN: u64 = 1_024;

pub fn recover(context: &Context, args: &RecoverArgs) -> Result<u8, Failure> {
    let dir = unlock::folder(&context.global)?;
    let described = vault::describe(&dir)?;
    if !described.has(RootKind::Recovery) {
        let why = "it was made with --no-recovery, so nothing but its other roots opens it";
        return Err(Problem::new(Code::RootRefused, "the vault has no recovery code", why)
            .with_try("look for a copy of the key file, and name it with --keyfile PATH")
            .into());
    }
    let code = || Ok(Recovering::Code(code(args)?));
    let replaced = match described.roots.iter().any(|root| !is_replaced(root.kind)) {
        false => "what opened the vault before does not any more, nor does the code that was used",
        true => {
            "key file, passphrase and code of before open nothing any more; tokens, cloud keys and escrow still do: \
             strongroom root ls"
        }
    };
    new_root(context, &dir, &described, (args.root, &args.recovery, args.keep_roots), ("recover", replaced), code)
}

/// Whether a recovery takes the place of such a root.
const fn is_replaced(kind: RootKind) -> bool {
    matches!(kind, RootKind::Keyfile | RootKind::Passphrase | RootKind::Recovery)
}

/// Gives the vault a new root with what brings it back, which is asked for last.
pub fn new_root(
    context: &Context,
    dir: &Path,
    described: &vault::Description,
    (root, recovery, keep_roots): (Option<RootKindArg>, &RecoveryArgs, bool),
    (command, replaced): (&'static str, &str),
    with: impl FnOnce() -> Result<Recovering, Failure>,
) -> Result<u8, Failure> {
    let (global, output) = (&context.global, &context.output);
    let has_passphrase = described.has(RootKind::Passphrase);
    let kind = root.unwrap_or(if has_passphrase { RootKindArg::Passphrase } else { RootKindArg::Keyfile });
    let anchor = unlock::anchor(global, described.vault)?;
    let keyfile = (kind == RootKindArg::Keyfile).then(|| free_keyfile(global, described.vault)).transpose()?;
    let word = if keyfile.is_some() { "keyfile" } else { "passphrase" };
    let mut result = json!({
        "vault": described.vault, "root": word, "keyfile": keyfile.as_ref().map(|path| path.display().to_string()),
    });
    if global.dry_run {
        output.result(command, &result, || format!("would give the vault a new root: a {word}\n"))?;
        return Ok(0);
    }
    let with = with()?;
    let root = match &keyfile {
        Some(path) => Root::Keyfile(path.clone()),
        None => Root::Passphrase(unlock::passphrase(global, New::Yes)?),
    };
    let recovery = recovery::prepared(recovery, dir)?;
    let made =
        vault::recover(vault::Recover { dir: dir.to_owned(), anchor, with, root, recovery: recovery.code, keep_roots });
    let stays = recovery.shown.finish(made)?;
    // It holds the root that was retired just now, and would end by itself within a second.
    if let Err(problem) = client::agent::lock(&unlock::place_of_agent(described.vault)) {
        output.warn(&problem.to_string());
    }
    if let Some(fields) = result.as_object_mut() {
        fields.insert("recovery".to_owned(), recovery.word.into());
        fields.insert("stays".to_owned(), json!(stays));
    }
    output.result(command, &result, || {
        let opens = match &keyfile {
            Some(path) => format!("key file  {}  (keep a copy somewhere safe)", printable(&path.display().to_string())),
            None => "root      a passphrase".to_owned(),
        };
        let but = if stays.is_empty() { "" } else { ", but for what is named as staying" };
        format!("{opens}\n{replaced}{but}\n")
    })?;
    for root in &stays {
        output.warn(&format!(
            "root {root} of before still counts: it alone wraps keys that this could not open, and they wait for it; \
             `strongroom root ls`"
        ));
    }
    Ok(0)
}

/// Where a new key file goes, if nothing is in the way.
pub fn free_keyfile(global: &Global, vault: VaultId) -> Result<PathBuf, Failure> {
    let path = unlock::keyfile(global, vault)?;
    if !path.exists() {
        return Ok(path);
    }
    let problem = Problem::new(Code::Conflict, "a file is in the way", format!("`{}` exists already", path.display()));
    Err(problem.with_try("move it away, or name another path with --keyfile; nothing is overwritten").into())
}

/// The code in a file.
pub fn code_in(path: &Path) -> Result<Passphrase, Failure> {
    let what = format!("cannot read `{}`", path.display());
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_CODE_LEN as usize + 1));
    let file = std::fs::File::open(path).map_err(|e| Failure::from_io(&what, &e))?;
    file.take(MAX_CODE_LEN).read_to_end(&mut bytes).map_err(|e| Failure::from_io(&what, &e))?;
    Ok(bytes)
}

fn code(args: &RecoverArgs) -> Result<Passphrase, Failure> {
    if let Some(path) = &args.code_file {
        return code_in(path);
    }
    if !on_terminal() {
        return Err(Failure::usage("no recovery code", "there is no terminal to ask for it; give --code-file FILE"));
    }
    let text =
        rpassword::prompt_password("Recovery code: ").map_err(|e| Failure::from_io("cannot read the code", &e))?;
    Ok(Zeroizing::new(text.into_bytes()))
}
