//! `doctor --spills`.

use crate::output::{Failure, bytes_shown, on_terminal, printable};
use crate::run::Context;
use api::terms::Exit;
use client::Client;
use client::doctor::spills::{Confirmed, Held, Removal, Root, Search, Spill, SpillReport};
use std::path::{Path, PathBuf};

/// A search of its own.
pub(super) fn spills(context: &Context, paths: &[PathBuf], remove: bool) -> Result<u8, Failure> {
    let roots = match paths {
        [] => {
            let here = std::env::current_dir().map_err(|e| Failure::from_io("cannot tell the working folder", &e))?;
            std::iter::once(Root::named(here)).chain(well_known()).collect()
        }
        named => named.iter().map(Root::named).collect::<Vec<_>>(),
    };
    context.with(|client| {
        let (search, mut report) = searched(context, client, &roots)?;
        if remove {
            for spill in &mut report.items {
                removed(context, &search, spill)?;
            }
        }
        let gone = |spill: &Spill| spill.removal == Some(Removal::Removed);
        let clean = report.items.iter().all(gone);
        context.output.list("spills", &report, "items", || text(&report))?;
        Ok(if clean { 0 } else { Exit::Error as u8 })
    })
}

/// Where tools leave things on this machine.
pub(super) fn well_known() -> Vec<Root> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    client::doctor::spills::well_known(variable("HOME").as_deref(), variable)
}

/// Searches, and keeps the search for removals.
pub(super) fn searched<'a>(
    context: &Context,
    client: &'a Client,
    roots: &[Root],
) -> Result<(Search<'a>, SpillReport), Failure> {
    let terminal = context.terminal();
    let search = Search::open(client, &terminal);
    let report = search.and_then(|search| search.run(roots, &terminal).map(|report| (search, report)));
    terminal.clear();
    Ok(report?)
}

/// Removes one file, on a yes.
fn removed(context: &Context, search: &Search<'_>, spill: &mut Spill) -> Result<(), Failure> {
    let path = printable(&spill.path.display().to_string());
    if context.global.dry_run {
        context.output.say(&format!("would remove {path}"));
        return Ok(());
    }
    let whole = spill.holds.iter().any(|held| held.among_others);
    let rest = if whole { "; it holds other things too, which go with it" } else { "" };
    match context.confirmed(&format!("Remove {path} ({}{rest})?", holding(&spill.holds))) {
        Ok(()) => {
            let confirmed = if context.global.yes { Confirmed::WithOthers } else { Confirmed::ByItself };
            search.remove(spill, confirmed);
            Ok(())
        }
        // Somebody said no to this one.
        Err(_) if on_terminal() => Ok(()),
        Err(failure) => Err(failure),
    }
}

fn holding(holds: &[Held]) -> String {
    holds.iter().map(|held| printable(&held.version)).collect::<Vec<_>>().join(", ")
}

/// What was found, and what was not looked into.
pub(super) fn text(report: &SpillReport) -> String {
    let mut out = String::new();
    for spill in &report.items {
        out.push_str(&one(spill));
    }
    if report.items.iter().any(|spill| spill.removal == Some(Removal::Removed)) {
        out.push_str("What was removed may still be in snapshots and backups, and on the disk itself.\n");
    }
    let known = &report.known;
    let found = match report.items.len() {
        0 => "no plaintext of the vault".to_owned(),
        1 => "1 file with plaintext of the vault".to_owned(),
        count => format!("{count} files with plaintext of the vault"),
    };
    let searched = report.searched;
    out.push_str(&format!(
        "{found}: {} files ({}) in {} folders were searched for {} versions\n",
        searched.files,
        bytes_shown(searched.bytes),
        searched.folders,
        known.versions,
    ));
    for (what, versions) in
        [("may not be looked for", &known.refused), ("have nothing to be looked for by", &known.without)]
    {
        if !versions.is_empty() {
            let some: Vec<String> = versions.iter().take(3).map(|version| printable(version)).collect();
            out.push_str(&format!("{} versions {what}: {}\n", versions.len(), some.join(", ")));
        }
    }
    for left in &report.not_searched {
        let example = printable(&left.example.display().to_string());
        out.push_str(&format!("not searched: {} {}, as {example}\n", left.count, left.what));
    }
    out
}

fn one(spill: &Spill) -> String {
    let path = printable(&Path::new(&spill.path).display().to_string());
    let mut out = format!("SPILL    {path} ({})\n", bytes_shown(spill.bytes));
    for held in &spill.holds {
        let files: Vec<String> = held.files.iter().map(|file| printable(file)).collect();
        let (version, files) = (printable(&held.version), files.join(", "));
        if held.whole {
            out.push_str(&format!("         holds {version}, {files}: all of it\n"));
        } else {
            let (pieces, of) = (held.pieces, held.of);
            out.push_str(&format!(
                "         holds parts of {version}, {files}: {pieces} of {of} pieces that tell it\n"
            ));
        }
        for export in &held.exported {
            let (by, time, version) = (printable(&export.by), printable(&export.time), printable(&export.version));
            let decision = export.decision.as_deref().unwrap_or("unknown");
            out.push_str(&format!(
                "         {version} was exported by {by} at {time}, decision {decision}: allowed; this may be what was exported\n"
            ));
        }
    }
    out.push_str(&format!("         left by: {}\n         avoid it: {}\n", spill.cause, spill.avoid));
    if let Some(removal) = spill.removal {
        out.push_str(&format!("         {}\n", removal_text(removal)));
    } else {
        out.push_str(&format!("         try: strongroom doctor --spills '{path}' --remove\n"));
    }
    out
}

const fn removal_text(removal: Removal) -> &'static str {
    match removal {
        Removal::Removed => "removed",
        Removal::OneNameOfSeveral => "removed, but it has other names, which still hold it",
        Removal::Changed => "left: it is not what was found any more",
        Removal::InGit => "left: git keeps it, and its history has to be rewritten (git filter-repo)",
        Removal::HoldsOthers => "left: it holds other things too, and was not named itself",
        Removal::Refused => "left: the file system refused",
    }
}
