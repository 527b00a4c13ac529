//! `diff`.

use super::data::{reference, with_sources};
use super::{Context, why};
use crate::args::DiffArgs;
use crate::output::{Failure, bytes_shown, printable};
use api::terms::Exit;
use client::{Contents, Diff, DiffItem, DiffPage, DiffSummary, FileState, Status};

pub fn diff(context: &Context, args: &DiffArgs) -> Result<u8, Failure> {
    let (old, new) = (reference(&args.old)?, reference(&args.new)?);
    let contents = if args.names_only { Contents::Never } else { Contents::IfAllowed };
    context.with(|client| {
        context.with_reasons(why(&args.why), |why| {
            let diff = Diff {
                old: old.clone(),
                new: new.clone(),
                contents,
                after: args.after.clone(),
                limit: args.limit as usize,
                why: why.clone(),
            };
            let terminal = context.terminal();
            let page = client.diff(&diff, &terminal);
            terminal.clear();
            let both = [&old, &new].map(|reference| reference.without_path().to_string());
            let page = page.map_err(|problem| with_sources(client, &both, problem.into()))?;
            context.output.list("diff", &page, "items", || text(&page))?;
            if context.output.is_lines() {
                context.output.result("diff-summary", &page.summary, String::new)?;
            }
            Ok(if args.exit_code && page.summary.differs() { Exit::Error as u8 } else { 0 })
        })
    })
}

fn text(page: &DiffPage) -> String {
    let mut out: String = page.items.iter().map(line).collect();
    if let Some(next) = &page.next {
        out.push_str(&format!("more: --after {next}\n"));
    }
    out + &summary(&page.summary)
}

fn line(item: &DiffItem) -> String {
    let path = printable(&item.path);
    let whole = |state: &Option<FileState>| match state {
        Some(state) if state.what == "file" => bytes_shown(state.size),
        Some(state) => state.what.to_owned(),
        None => String::new(),
    };
    match item.status {
        Status::Added => format!("A  {path}  ({})\n", whole(&item.new)),
        Status::Removed => format!("D  {path}  ({})\n", whole(&item.old)),
        Status::Changed => format!("M  {path}  ({})\n", changes(item)),
    }
}

/// `size 3 B -> 5 B, mode 0644 -> 0600, content`.
fn changes(item: &DiffItem) -> String {
    let (Some(old), Some(new)) = (&item.old, &item.new) else { return String::new() };
    let changed = |what: &&str| match *what {
        "type" => format!("{} -> {}", old.what, new.what),
        "size" => format!("size {} -> {}", bytes_shown(old.size), bytes_shown(new.size)),
        "mode" => format!("mode {} -> {}", old.mode, new.mode),
        "target" => {
            let target = |state: &FileState| printable(state.target.as_deref().unwrap_or_default()).to_string();
            format!("target {} -> {}", target(old), target(new))
        }
        other => other.to_owned(),
    };
    item.differs.iter().map(changed).collect::<Vec<_>>().join(", ")
}

fn summary(summary: &DiffSummary) -> String {
    let DiffSummary { old, new, compared, why_not, added, removed, changed, unknown, .. } = summary;
    let mut out = format!("{old} -> {new}: {added} added, {removed} removed, {changed} changed\n");
    if !compared {
        let why = why_not.as_ref().map(|why| format!(": {}", printable(why))).unwrap_or_default();
        out.push_str(&format!("contents not compared{why}\n"));
    }
    if *unknown > 0 {
        out.push_str(&format!("{unknown} files of one size and mode may differ\n"));
    }
    out
}
