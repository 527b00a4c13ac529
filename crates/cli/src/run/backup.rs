//! `backup`.

use super::{Context, escrow, recover, recovery};
use crate::args::{BackupCommand, BackupRestoreArgs, OpensArgs, RootKindArg};
use crate::output::{Failure, bytes_shown, on_terminal, printable};
use crate::unlock::{self, New};
use api::terms::{Code, Exit, Timestamp};
use api::wire::{Problem, Restores};
use client::backup::{self, Checked, Content, DepotPlace, Fork, Opening, Restore, Restored};
use client::vault::{self, Description, Recovering, Root, RootKind, Sitting};
use client::{NewDepot, Which};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub fn backup(context: &Context, command: BackupCommand) -> Result<u8, Failure> {
    match command {
        BackupCommand::Create { file } => create(context, &file),
        BackupCommand::Verify { file, with } => verify(context, &file, &with),
        BackupCommand::Restore(args) => restore(context, &args),
    }
}

fn create(context: &Context, file: &Path) -> Result<u8, Failure> {
    context.with(|client| {
        if context.global.dry_run {
            let would = json!({"file": file.display().to_string()});
            let text = || format!("would make a backup in {}\n", printable(&file.display().to_string()));
            return context.output.result("backup-made", &would, text).map(|()| 0);
        }
        let terminal = context.terminal();
        client::Watch::stage(&terminal, "sealing a backup", None);
        let made = client.backup_create(file);
        terminal.clear();
        let made = made?;
        context.output.result("backup-made", &made, || {
            let roots: Vec<&str> = made.roots.iter().map(|root| root.kind.as_str()).collect();
            format!(
                "backup    {}\nfile      {}  ({})\nholds     {} versions, {} entries of the log; not what lies in depots\nopens by  {}\n",
                made.backup,
                printable(&made.file),
                bytes_shown(made.bytes),
                made.versions,
                made.log_size,
                roots.join(", "),
            )
        })?;
        context.output.say("next: take it off this machine, then: strongroom backup verify FILE");
        Ok(0)
    })
}

/// What is at hand that opens a backup; nothing, if nobody has to be asked and nothing is there.
fn opening(context: &Context, described: &Description, with: &OpensArgs) -> Result<Option<Opening>, Failure> {
    if let Some(recovering) = recovering(with)? {
        return Ok(Some(Opening::Recovering(recovering)));
    }
    let roots = unlock::at_hand(&context.global, described)?;
    Ok((!roots.is_empty()).then(|| Opening::Roots(roots.into_iter().map(Arc::new).collect())))
}

fn recovering(with: &OpensArgs) -> Result<Option<Recovering>, Failure> {
    Ok(match &with.code_file {
        Some(path) => Some(Recovering::Code(recover::code_in(path)?)),
        None if with.shares.is_empty() => None,
        None => Some(Recovering::Shares(escrow::in_files(&with.shares)?)),
    })
}

fn verify(context: &Context, file: &Path, with: &OpensArgs) -> Result<u8, Failure> {
    let described = backup::describe(file)?;
    let opening = opening(context, &described, with)?;
    let terminal = context.terminal();
    client::Watch::stage(&terminal, "checking a backup", None);
    let checked = backup::check(file, opening.as_ref());
    terminal.clear();
    let checked = checked?;
    let age_secs = client::now().as_millis().saturating_sub(checked.made.as_millis()) / 1_000;
    let mut shown = serde_json::to_value(&checked).map_err(|e| Failure::internal("cannot write JSON", &e))?;
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("age_secs".to_owned(), age_secs.into());
    }
    context.output.result("backup-checked", &shown, || checked_text(&checked, age_secs))?;
    if checked.content.is_none() {
        context.output.warn(
            "no root of its vault is at hand: whether it is whole was looked at, and nothing of what it says is proven",
        );
    }
    match (checked.ok, context.output.is_json()) {
        (true, _) => Ok(0),
        (false, true) => Err(Failure::Exit(Exit::Integrity as u8)),
        (false, false) => {
            let problem = Problem::new(Code::Integrity, "the backup does not hold", "see the list above");
            Err(problem.with_try("use another backup, or another copy of this one").into())
        }
    }
}

fn checked_text(checked: &Checked, age_secs: u64) -> String {
    let roots: Vec<&str> = checked.roots.iter().map(|root| root.kind.as_str()).collect();
    let mut out = format!(
        "backup    {} of vault {} ({})\nmade      {}, {} ago\nlength    {}\nopens by  {}\n",
        checked.backup,
        checked.vault,
        checked.mode,
        checked.made,
        age(age_secs),
        bytes_shown(checked.bytes),
        roots.join(", "),
    );
    if let Some(content) = &checked.content {
        out.push_str(&format!(
            "holds     {} versions of {} artifacts, a database of {}\nlog       {} entries, root {}\nopened    by {}\n",
            content.versions,
            content.artifacts,
            bytes_shown(content.database_bytes),
            content.log_size,
            content.log_root,
            content.opened_by,
        ));
        out.push_str(&depots_text(&content.depots));
    }
    checked.failures.iter().for_each(|failure| out.push_str(&format!("wrong: {}\n", printable(failure))));
    out.push_str(match (checked.ok, &checked.content) {
        (false, _) => "NOT whole\n",
        (true, Some(Content { .. })) => "whole: every byte and the log were checked\n",
        (true, None) => "not damaged, as far as its checksum tells\n",
    });
    out
}

fn depots_text(depots: &[DepotPlace]) -> String {
    let line = |depot: &DepotPlace| {
        let role = if depot.primary { "primary" } else { "copy" };
        format!("depot     {role}, {} {}\n", depot.kind, printable(&depot.place))
    };
    depots.iter().map(line).collect()
}

/// How long ago, in the largest unit that tells it.
fn age(secs: u64) -> String {
    match secs {
        0..120 => format!("{secs} s"),
        120..7_200 => format!("{} min", secs / 60),
        7_200..172_800 => format!("{} h", secs / 3_600),
        _ => format!("{} days", secs / 86_400),
    }
}

fn restore(context: &Context, args: &BackupRestoreArgs) -> Result<u8, Failure> {
    let (global, output) = (&context.global, &context.output);
    let described = backup::describe(&args.file)?;
    let dir = global.vault.clone().unwrap_or_else(|| PathBuf::from(vault::FOLDER));
    let anchor = unlock::anchor(global, described.vault)?;
    if global.dry_run {
        let would = json!({"vault": described.vault, "dir": dir.display().to_string()});
        let text = || format!("would restore vault {} in {}\n", described.vault, printable(&dir.display().to_string()));
        return output.result("backup-restored", &would, text).map(|()| 0);
    }
    let depot = args.depot.as_deref().map(|text| super::depot::place(text, &args.bucket)).transpose()?;
    let new = match recovering(&args.with)? {
        Some(_) => Some(NewRoot::prepared(context, args, &described)?),
        None => None,
    };
    let Some(opening) = opening(context, &described, &args.with)? else {
        let why = "no root of its vault is at hand";
        let problem = Problem::new(Code::RootRefused, "the backup stays sealed", why);
        return Err(problem
            .with_try("name the key file with --keyfile PATH; or bring it back with --share FILE for each, or --code-file FILE")
            .into());
    };
    let fork = if args.accept_fork { Fork::Accepted } else { Fork::Refused };
    let terminal = context.terminal();
    client::Watch::stage(&terminal, "restoring a backup", None);
    let restored =
        backup::restore(Restore { file: args.file.clone(), dir: dir.clone(), opening, anchor: anchor.clone(), fork });
    terminal.clear();
    let restored = restored?;
    let mut result = serde_json::to_value(&restored).map_err(|e| Failure::internal("cannot write JSON", &e))?;
    let (keyfile, recovery) = match new {
        None => (None, None),
        Some(new) => {
            let made = new.make(context, args, (&dir, &anchor))?;
            (made.keyfile, Some(made.recovery))
        }
    };
    if let Some(fields) = result.as_object_mut() {
        fields.insert("keyfile".to_owned(), json!(keyfile.as_ref().map(|path| path.display().to_string())));
        fields.insert("recovery".to_owned(), json!(recovery.flatten()));
    }
    // One that holds the vault which was here before knows nothing of this one.
    if let Err(problem) = client::agent::lock(&unlock::place_of_agent(described.vault)) {
        output.warn(&problem.to_string());
    }
    output.result("backup-restored", &result, || restored_text(&restored, keyfile.as_deref()))?;
    if let Some(place) = depot {
        let roots = unlock::roots(global, &vault::describe(&dir)?)?;
        let client = vault::open(&dir, roots, anchor, Sitting::default())?;
        let moved = client.depot_add(&NewDepot { place, which: Which::Copy }, &client::Unwatched);
        client.close()?;
        let moved = moved?;
        output.say(&format!("depot {} is {} {}", moved.depot.id, moved.depot.kind, moved.depot.place));
    }
    output.say("next: strongroom depot check, for what lies in the depots, and: strongroom verify --state");
    Ok(0)
}

fn restored_text(restored: &Restored, keyfile: Option<&Path>) -> String {
    let line = |path: &Path| printable(&path.display().to_string());
    let mut out = format!(
        "vault     {} in {}\nbackup    {}, made {}\nholds     {} versions, {} entries of the log and one that says that it was restored\n",
        restored.vault,
        line(&restored.dir),
        restored.backup,
        restored.made,
        restored.versions,
        restored.log_size,
    );
    match (restored.fork, &restored.old_anchor) {
        (Some(known), Some(old)) => out.push_str(&format!(
            "FORK      the anchor knew of {known} entries: what came after the backup is given up; it is in {}\n",
            line(old)
        )),
        (Some(known), None) => out.push_str(&format!("FORK      the anchor knew of {known} entries\n")),
        (None, _) if restored.freshness == api::wire::Freshness::Proven => {
            out.push_str("log       the anchor knew of nothing newer\n");
        }
        (None, _) => out.push_str("log       no anchor says whether the backup was the newest\n"),
    }
    if let Some(path) = keyfile {
        out.push_str(&format!("key file  {}  (keep a copy somewhere safe)\n", line(path)));
    }
    out.push_str(&depots_text(&restored.depots));
    out
}

/// What `status` and `verify` say of it for ever.
pub fn told(restored: &Restores) -> Vec<String> {
    let latest = restored.latest.iter().map(|item| {
        let fork = match item.fork {
            Some(known) => format!("; FORK: it gave up {} entries", known.saturating_sub(item.log_size)),
            None => String::new(),
        };
        format!("{} from a backup of {} with {} entries{fork}", item.at, item.made, item.log_size)
    });
    let mut lines: Vec<String> = latest.collect();
    let more = restored.count.saturating_sub(restored.latest.len() as u64);
    if more > 0 {
        lines.push(format!("and {more} times before: strongroom audit query --act vault.restore"));
    }
    lines
}

/// The age of the last backup, for `status`.
pub fn since(made: Timestamp) -> String {
    age(client::now().as_millis().saturating_sub(made.as_millis()) / 1_000)
}

/// The root that a vault gets which was brought back without one.
struct NewRoot {
    keyfile: Option<PathBuf>,
}

struct Made {
    keyfile: Option<PathBuf>,
    recovery: Option<&'static str>,
}

impl NewRoot {
    /// What could be in the way is found before anything is restored.
    fn prepared(context: &Context, args: &BackupRestoreArgs, described: &Description) -> Result<Self, Failure> {
        let has_passphrase = described.has(RootKind::Passphrase);
        let kind = args.root.unwrap_or(if has_passphrase { RootKindArg::Passphrase } else { RootKindArg::Keyfile });
        let keyfile = match kind {
            RootKindArg::Passphrase => None,
            RootKindArg::Keyfile => Some(recover::free_keyfile(&context.global, described.vault)?),
        };
        if !args.recovery.no_recovery && args.recovery.recovery_file.is_none() && !on_terminal() {
            recovery::refuse_nowhere()?;
        }
        Ok(Self { keyfile })
    }

    fn make(self, context: &Context, args: &BackupRestoreArgs, (dir, anchor): (&Path, &Path)) -> Result<Made, Failure> {
        let with = recovering(&args.with)?.ok_or_else(|| Failure::usage("nothing to recover with", "give --share"))?;
        let root = match &self.keyfile {
            Some(path) => Root::Keyfile(path.clone()),
            None => Root::Passphrase(unlock::passphrase(&context.global, New::Yes)?),
        };
        let recovery = recovery::prepared(&args.recovery, dir)?;
        let (dir, anchor) = (dir.to_owned(), anchor.to_owned());
        let (word, shown, keep_roots) = (recovery.word, recovery.shown, args.keep_roots);
        let recovery = recovery.code;
        let made = vault::recover(vault::Recover { dir, anchor, with, root, recovery, keep_roots });
        for root in shown.finish(made)? {
            context.output.warn(&format!(
                "root {root} of before still counts: it alone wraps keys that this could not open, and they wait for it; \
                 `strongroom root ls`"
            ));
        }
        Ok(Made { keyfile: self.keyfile, recovery: word })
    }
}
