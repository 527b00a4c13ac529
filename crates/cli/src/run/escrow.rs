//! `escrow`: a key in several hands.

use super::recovery::refuse_inside;
use super::{Context, recover};
use crate::args::{EscrowCommand, EscrowCreateArgs, EscrowRecoverArgs, Global, SharesArgs};
use crate::output::{Failure, on_terminal, printable};
use crate::unlock;
use api::terms::{Code, KeyId};
use api::wire::Problem;
use client::root::{EscrowWanted, Shares};
use client::vault::{self, Recovering, RootKind};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The longest text of a share.
const MAX_SHARE_LEN: u64 = 4_096;
/// The most shares that are read.
const MAX_SHARES: usize = 16;

pub fn escrow(context: &Context, command: EscrowCommand) -> Result<u8, Failure> {
    match command {
        EscrowCommand::Create(args) => create(context, &args),
        EscrowCommand::Rehearse(args) => rehearse(context, &args),
        EscrowCommand::Recover(args) => recovered(context, &args),
    }
}

/// Shares are made and typed where the command runs, so an agent is not asked.
fn by_itself(context: &Context) -> Global {
    Global { opens_itself: true, ..context.global.clone() }
}

fn create(context: &Context, args: &EscrowCreateArgs) -> Result<u8, Failure> {
    let &EscrowCreateArgs { shares, threshold, .. } = args;
    if threshold > shares {
        return Err(Failure::usage("bad number of shares", format!("{threshold} of {shares} are never there")));
    }
    #[cfg(feature = "share")]
    let recipients: &[String] = &args.to;
    #[cfg(not(feature = "share"))]
    let recipients: &[String] = &[];
    if !recipients.is_empty() && recipients.len() != usize::from(shares) {
        let why = format!("{} recipients for {shares} shares: one for each, in their order", recipients.len());
        return Err(Failure::usage("bad number of recipients", why));
    }
    #[cfg(feature = "share")]
    for recipient in recipients {
        // What is wrong with one is told before anything is made.
        client::share::sealed_text("", recipient)?;
    }
    let into = match (&args.into, recipients.is_empty()) {
        (Some(folder), _) => Some(folder.clone()),
        (None, false) => Some(PathBuf::from(".")),
        (None, true) if on_terminal() => None,
        (None, true) => {
            let why = "there is no terminal to show the shares on; give --to age1... for each, or --into DIR";
            return Err(Failure::usage("no place for the shares", why));
        }
    };
    if context.global.dry_run {
        let would = json!({"shares": shares, "threshold": threshold});
        let text = || format!("would make {shares} shares, of which {threshold} bring everything back\n");
        context.output.result("escrow-created", &would, text)?;
        return Ok(0);
    }
    if let Some(folder) = &into {
        refuse_inside(folder, &unlock::folder(&context.global)?)?;
    }
    context.acting(&by_itself(context), |client| {
        let mut files = Vec::new();
        let made = client.escrow_create(&EscrowWanted { shares, threshold }, &mut |root, texts| match &into {
            Some(folder) => written(folder, root, recipients, texts, &mut files),
            None => shown(texts),
        });
        let made = made.inspect_err(|_| {
            // They are of an escrow that does not count.
            for file in &files {
                let _ = std::fs::remove_file(file);
            }
        })?;
        let mut result = serde_json::to_value(&made).map_err(|e| Failure::internal("cannot write JSON", &e))?;
        if let Some(fields) = result.as_object_mut() {
            fields.insert("files".to_owned(), json!(files));
        }
        context.output.result("escrow-created", &result, || {
            let mut out = format!(
                "escrow {} ({}): {threshold} of {shares} shares bring everything back; those of earlier ones do not any more\n",
                made.generation, made.root.id
            );
            if made.locked > 0 {
                out.push_str(&format!("lacks     {} keys, which follow when what opens them is at hand\n", made.locked));
            }
            for file in &files {
                out.push_str(&format!("share     {}\n", printable(&file.display().to_string())));
            }
            out
        })?;
        context.output.say("next: give each share to somebody else, then: strongroom escrow rehearse");
        Ok(0)
    })
}

/// Writes each share to a file of its own, sealed for its holder if there is one.
fn written(
    folder: &Path,
    root: KeyId,
    recipients: &[String],
    texts: &Shares,
    files: &mut Vec<PathBuf>,
) -> Result<(), Problem> {
    let count = texts.0.len();
    let short: String = root.to_string().chars().take(8).collect();
    for (at, text) in texts.0.iter().enumerate() {
        let (suffix, bytes) = match recipients.get(at) {
            #[cfg(feature = "share")]
            Some(recipient) => ("age", Zeroizing::new(client::share::sealed_text(text, recipient)?)),
            _ => ("txt", Zeroizing::new(text.as_bytes().to_vec())),
        };
        let path = folder.join(format!("escrow-{short}-share-{}-of-{count}.{suffix}", at + 1));
        let io = |e: std::io::Error| {
            Problem::new(Code::Unavailable, format!("cannot write `{}`", path.display()), e.to_string())
        };
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(io)?;
        files.push(path.clone());
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(io)?;
    }
    let io = |e: std::io::Error| {
        Problem::new(Code::Unavailable, format!("cannot write `{}`", folder.display()), e.to_string())
    };
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)
}

/// Shows each share by itself on the terminal, and takes it off again before the next holder looks.
fn shown(texts: &Shares) -> Result<(), Problem> {
    let count = texts.0.len();
    let io = |e: std::io::Error| Problem::new(Code::Unavailable, "cannot show the shares", e.to_string());
    for (at, text) in texts.0.iter().enumerate() {
        let mut out = std::io::stderr().lock();
        write!(out, "\nshare {} of {count}, shown this once (for one person, on paper):\n\n", at + 1).map_err(io)?;
        out.write_all(text.as_bytes()).map_err(io)?;
        write!(out, "\nEnter, when it is written down: ").and_then(|()| out.flush()).map_err(io)?;
        std::io::stdin().read_line(&mut String::new()).map_err(io)?;
        out.write_all(b"\x1b[2J\x1b[3J\x1b[H").and_then(|()| out.flush()).map_err(io)?;
    }
    Ok(())
}

fn rehearse(context: &Context, args: &SharesArgs) -> Result<u8, Failure> {
    if context.global.dry_run {
        return context.with(|client| {
            let roots = client.roots()?.roots.into_iter().filter(|root| root.kind == "escrow").collect::<Vec<_>>();
            let text = || format!("would rehearse {} escrow\n", roots.len());
            context.output.result("escrow-rehearsed", &json!({"roots": roots}), text)?;
            Ok(0)
        });
    }
    let shares = read(args)?;
    context.acting(&by_itself(context), |client| {
        let done = client.escrow_rehearse(&shares)?;
        context.output.result("escrow-rehearsed", &done, || {
            let numbers: Vec<String> = done.shares.iter().map(u8::to_string).collect();
            let lacks = match done.root.lacks {
                0 => String::new(),
                some => format!("; it LACKS {some} keys (strongroom root ls)"),
            };
            format!("shares {} open all of {} keys{lacks}; nothing was changed\n", numbers.join(", "), done.keys)
        })?;
        Ok(0)
    })
}

fn recovered(context: &Context, args: &EscrowRecoverArgs) -> Result<u8, Failure> {
    let dir = unlock::folder(&context.global)?;
    let described = vault::describe(&dir)?;
    if !described.has(RootKind::Escrow) {
        let problem =
            Problem::new(Code::RootRefused, "the vault has no escrow", "none was made, or another one replaced it");
        return Err(problem.with_try("strongroom recover, with the recovery code").into());
    }
    let replaced = "what a person had or knew opens the vault no more; the shares still do: make a new escrow";
    let shares = || Ok(Recovering::Shares(read(&args.shares)?));
    recover::new_root(
        context,
        &dir,
        &described,
        (args.root, &args.recovery, args.keep_roots),
        ("escrow-recovered", replaced),
        shares,
    )
}

/// Reads shares from files, or asks for them until an empty line.
fn read(args: &SharesArgs) -> Result<Shares, Failure> {
    if args.shares.is_empty() { typed() } else { in_files(&args.shares) }
}

/// Shares from files.
pub fn in_files(files: &[PathBuf]) -> Result<Shares, Failure> {
    let mut texts = Vec::new();
    for path in files.iter().take(MAX_SHARES + 1) {
        let what = format!("cannot read `{}`", path.display());
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SHARE_LEN as usize + 1));
        let file = std::fs::File::open(path).map_err(|e| Failure::from_io(&what, &e))?;
        file.take(MAX_SHARE_LEN + 1).read_to_end(&mut bytes).map_err(|e| Failure::from_io(&what, &e))?;
        if bytes.starts_with(b"age-encryption.org/") {
            let why = format!(
                "`{}` is sealed for its holder: age --decrypt -i KEY FILE",
                printable(&path.display().to_string())
            );
            return Err(Failure::usage("a share that is sealed", why));
        }
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| Failure::usage("bad share", "it is no text"))?;
        texts.push(Zeroizing::new(text));
    }
    Ok(Shares(texts))
}

/// Shares from the terminal.
fn typed() -> Result<Shares, Failure> {
    if !on_terminal() {
        return Err(Failure::usage("no shares", "there is no terminal to ask for them; give --share FILE for each"));
    }
    let mut texts = Vec::new();
    while texts.len() < MAX_SHARES {
        let prompt = format!("Share {} (all its groups on one line; empty to end): ", texts.len() + 1);
        let text = rpassword::prompt_password(prompt).map_err(|e| Failure::from_io("cannot read the share", &e))?;
        if text.trim().is_empty() {
            break;
        }
        texts.push(Zeroizing::new(text));
    }
    Ok(Shares(texts))
}
