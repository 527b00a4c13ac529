//! Commands on data.

use super::{Context, further, near, why};
use crate::args::{ByteRange, CatArgs, GetArgs, HistoryArgs, LsArgs, PutArgs, VerifyArgs};
use crate::output::{Failure, bytes_shown, printable, table};
use crate::unlock;
use api::terms::{Action, Code, Exit, Name, Reference, Selector};
use api::wire::{Explain, Freshness, ListQuery, MadeBy, Problem, StateVerified, VersionItem};
use client::dest::Existing;
use client::source::Filter;
use client::{Bytes, Client, Get, Put, Share, Towards, Why};
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

pub fn put(context: &Context, args: PutArgs) -> Result<u8, Failure> {
    let project = &context.config.project;
    let target = reference(OsStr::new(&args.target))?;
    if target.path.is_some() || target.selector != Selector::Latest {
        return Err(Failure::usage("bad target", "a put goes to WORKSPACE/ARTIFACT, without a version or a path"));
    }
    let mut tags = BTreeMap::new();
    for tag in args.tags {
        if tags.insert(tag.key.clone(), tag.value).is_some() {
            return Err(Failure::usage("bad tag", format!("`{}` is given more than once", tag.key)));
        }
    }
    let exclude: Vec<String> = args.exclude.iter().chain(&project.exclude).cloned().collect();
    let put = Put {
        source: args.source,
        workspace: target.workspace,
        artifact: target.artifact,
        class: args.class,
        at_least: project.at_least(args.class),
        environment: project.environment(args.environment),
        kind: args.kind,
        tags,
        alias: args.alias.as_deref().map(unlock::name).transpose()?,
        from: args.from,
        made: None,
        filter: Filter::new(&args.include, &exclude).map_err(|e| Failure::usage("bad pattern", e))?,
        afresh: args.afresh,
        no_copy: args.no_copy,
    };
    context.with(|client| {
        if context.global.dry_run {
            return would_put(context, client, &put, &args.target);
        }
        let terminal = context.terminal();
        let done = client.put(&put, &terminal);
        terminal.clear();
        let done = done.map_err(|problem| with_sources(client, &put.from, problem.into()))?;
        if let Some(asked) = put.at_least.filter(|asked| *asked < done.class) {
            let file = "strongroom.toml";
            context
                .output
                .say(&format!("{file} asks for {asked}, but a project only raises the class: --class chooses"));
        }
        context.output.result("put", &done, || {
            let kept = if done.reused_bytes > 0 {
                format!(", {} unchanged", bytes_shown(done.reused_bytes))
            } else {
                String::new()
            };
            format!(
                "put {}  {} in {} files{kept}, uploaded {}\nclass {} ({}), digest {}\nlog entry {}\n",
                done.version,
                bytes_shown(done.bytes),
                done.files,
                bytes_shown(done.uploaded_bytes),
                done.class,
                done.class_why,
                done.digest,
                done.entry,
            )
        })?;
        Ok(0)
    })
}

pub fn get(context: &Context, args: &GetArgs) -> Result<u8, Failure> {
    let reference = reference(&args.reference)?;
    let existing = if args.force { Existing::Replace } else { Existing::Keep };
    context.with(|client| {
        if context.global.dry_run {
            return would(context, client, Action::Export, &reference, why(&args.why));
        }
        context.with_reasons(why(&args.why), |why| {
            let get = Get { reference: reference.clone(), dest: args.dest.clone(), existing, why: why.clone() };
            let terminal = context.terminal();
            let done = client.get(&get, &terminal);
            terminal.clear();
            let done = done.map_err(|problem| near::told(client, &reference, problem.into()))?;
            context.output.result("get", &done, || {
                let (bytes, dest) = (bytes_shown(done.bytes), printable(&done.dest));
                format!("got {}  {bytes} in {} files -> {dest}\n", done.version, done.files)
            })?;
            Ok(0)
        })
    })
}

pub fn cat(context: &Context, args: &CatArgs) -> Result<u8, Failure> {
    let reference = reference(&args.reference)?;
    let bytes = match args.bytes {
        None => Bytes::All,
        Some(ByteRange::Between(first, last)) => Bytes::Between(first, last),
        Some(ByteRange::From(first)) => Bytes::From(first),
        Some(ByteRange::Last(len)) => Bytes::Last(len),
    };
    context.with(|client| {
        if context.global.dry_run {
            return would(context, client, Towards::of(std::io::stdout()).action(), &reference, why(&args.why));
        }
        context.with_reasons(why(&args.why), |why| {
            let terminal = context.terminal();
            let mut out = std::io::stdout().lock();
            let towards = Towards::of(&out);
            let done = client.cat(&reference, bytes, why, (&mut out, towards), &terminal);
            match done.map_err(|problem| near::told(client, &reference, problem.into()))? {
                Ok(_) => Ok(0),
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Failure::Quiet),
                Err(error) => Err(Failure::from_io("cannot write to standard output", &error)),
            }
        })
    })
}

pub fn ls(context: &Context, args: &LsArgs) -> Result<u8, Failure> {
    let what = args.what.as_deref();
    let inside = what.filter(|what| what.as_bytes().contains(&b'/'));
    if let Some(inside) = inside {
        let reference = reference(inside)?;
        return context.with(|client| files(context, client, &reference, args));
    }
    let workspace = what.map(|what| unlock::name(&what.to_string_lossy())).transpose()?;
    context.with(|client| names(context, client, workspace, args))
}

fn names(context: &Context, client: &Client, workspace: Option<Name>, args: &LsArgs) -> Result<u8, Failure> {
    let of_artifacts = workspace.is_some();
    let query = ListQuery { workspace: workspace.clone(), after: args.after.clone(), limit: args.limit };
    let page = client.names(query).map_err(|problem| match &workspace {
        Some(workspace) => near::told_workspace(client, workspace, problem.into()),
        None => problem.into(),
    })?;
    context.output.list("ls", &page, "items", || {
        let rows: Vec<Vec<String>> = page
            .items
            .iter()
            .map(|item| match &item.latest {
                Some(latest) => vec![
                    item.name.clone(),
                    format!("v{}", latest.number),
                    latest.kind.to_string(),
                    latest.class.to_string(),
                    bytes_shown(latest.bytes),
                    latest.created.to_string(),
                ],
                None if of_artifacts => vec![item.name.clone(), "removed".to_owned()],
                None => vec![item.name.clone(), item.artifacts.map(|n| n.to_string()).unwrap_or_default()],
            })
            .collect();
        let head: &[&str] = if of_artifacts {
            &["artifact", "latest", "kind", "class", "size", "put"]
        } else {
            &["workspace", "artifacts"]
        };
        more(if rows.is_empty() { "nothing here yet\n".to_owned() } else { table(head, &rows) }, page.next.as_deref())
    })?;
    Ok(0)
}

fn files(context: &Context, client: &Client, reference: &Reference, args: &LsArgs) -> Result<u8, Failure> {
    context.with_reasons(why(&args.why), |why| {
        let page = client.files(reference, args.after.as_deref(), args.limit as usize, why);
        let page = page.map_err(|problem| near::told(client, reference, problem.into()))?;
        context.output.list("ls", &page, "items", || {
            let row = |item: &client::FileItem| {
                let path = match (&item.target, item.what) {
                    (Some(target), _) => format!("{} -> {target}", item.path),
                    (None, "folder") => format!("{}/", item.path),
                    (None, _) => item.path.clone(),
                };
                let size = if item.what == "file" { bytes_shown(item.size) } else { "-".to_owned() };
                vec![item.mode.clone(), size, path]
            };
            more(
                table(&["mode", "size", "path"], &page.items.iter().map(row).collect::<Vec<_>>()),
                page.next.as_deref(),
            )
        })?;
        Ok(0)
    })
}

fn more(text: String, next: Option<&str>) -> String {
    match next {
        Some(next) => format!("{text}more: --after {}\n", printable(next)),
        None => text,
    }
}

pub fn show(context: &Context, text: &str) -> Result<u8, Failure> {
    let named = reference(OsStr::new(text))?;
    if named.path.is_some() {
        let problem =
            Problem::new(Code::BadRequest, "bad reference", "show is about a version, not about a path in it");
        return Err(problem
            .with_try(format!("strongroom ls {text}, or strongroom show {}", named.without_path()))
            .into());
    }
    context.with(|client| {
        let item = client.show(&named.to_string()).map_err(|problem| near::told(client, &named, problem.into()))?;
        context.output.result("version", &item, || {
            let list = |texts: &[String]| if texts.is_empty() { "-".to_owned() } else { texts.join(", ") };
            let tags: Vec<String> = item.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let from: Vec<String> = item.from.iter().map(ToString::to_string).collect();
            let rows = [
                ("version", item.reference.clone()),
                ("id", item.id.to_string()),
                ("digest", item.digest.clone()),
                ("kind", item.kind.to_string()),
                ("class", item.class.to_string()),
                ("environment", item.environment.to_string()),
                ("size", format!("{} in {} files", bytes_shown(item.bytes), item.files)),
                ("put", format!("{} by {}", item.created, item.creator)),
                ("key", format!("{} ({})", item.key, item.key_state)),
                ("aliases", list(&item.aliases)),
                ("tags", list(&tags)),
                ("from", list(&from)),
            ];
            let made = item.made.iter().flat_map(|MadeBy { run, provenance }| {
                let code = provenance.code.clone().unwrap_or_else(|| "-".to_owned());
                [
                    ("run", run.to_string()),
                    ("command", provenance.command.clone()),
                    ("code", code),
                    ("run in", provenance.environment.clone()),
                ]
            });
            let removed = item.removed.iter().map(|removed| {
                let then = match removed.destroyed {
                    Some(at) => format!("its key was destroyed at {at}"),
                    None if removed.held => "a legal hold keeps its key".to_owned(),
                    None => format!("its key is destroyed after {}", removed.until),
                };
                ("removed", format!("{}; {then}", removed.at))
            });
            let archived = item.archived.iter().map(|at| ("archived", format!("{at}; opened under archive-read")));
            let holds: Vec<&str> = item.holds.iter().map(Name::as_str).collect();
            let held = (!holds.is_empty()).then(|| ("legal holds", holds.join(", ")));
            let rows: Vec<_> = rows.into_iter().chain(made).chain(archived).chain(removed).chain(held).collect();
            rows.iter().map(|(name, value)| format!("{name:<12} {}\n", printable(value))).collect()
        })?;
        Ok(0)
    })
}

pub fn history(context: &Context, args: &HistoryArgs) -> Result<u8, Failure> {
    let named = Reference { selector: Selector::Latest, ..reference(OsStr::new(&args.reference))?.without_path() };
    context.with(|client| {
        let page = client.history(&named.to_string(), args.before, args.limit);
        let (items, next) = page.map_err(|problem| near::told(client, &named, problem.into()))?;
        context.output.list("history", &json!({"items": items, "next": next}), "items", || {
            let row = |item: &VersionItem| {
                vec![
                    format!("v{}", item.number),
                    item.class.to_string(),
                    bytes_shown(item.bytes),
                    item.files.to_string(),
                    item.created.to_string(),
                    item.creator.clone(),
                    item.aliases.join(","),
                    match &item.removed {
                        None if !item.holds.is_empty() => "held".to_owned(),
                        None if item.archived.is_some() => "archived".to_owned(),
                        None => String::new(),
                        Some(removed) if removed.destroyed.is_some() => "destroyed".to_owned(),
                        Some(removed) if removed.held => "removed, held".to_owned(),
                        Some(_) => "removed".to_owned(),
                    },
                ]
            };
            let head = ["version", "class", "size", "files", "put", "by", "aliases", "state"];
            let text = table(&head, &items.iter().map(row).collect::<Vec<_>>());
            match next {
                Some(next) => format!("{text}more: --before {next}\n"),
                None => text,
            }
        })?;
        Ok(0)
    })
}

pub fn verify(context: &Context, args: &VerifyArgs) -> Result<u8, Failure> {
    let references: Vec<String> = args
        .references
        .iter()
        .map(|text| Ok(reference(OsStr::new(text))?.without_path().to_string()))
        .collect::<Result<_, Failure>>()?;
    context.with(|client| {
        let terminal = context.terminal();
        client::Watch::stage(&terminal, "verifying", None);
        let report = match args.sample.and_then(|part| Share::of_millionths(part.millionths)) {
            Some(share) => client.verify_sample(&references, share, &terminal),
            None if args.all => client.verify_all(&terminal),
            None => client.verify(&references, &terminal),
        };
        terminal.clear();
        let report = report.map_err(|problem| with_sources(client, &references, problem.into()))?;
        let (state, failed) = further(args.state.then(|| client.state_verify()));
        let ok = report.ok && failed.is_none() && state.as_ref().is_none_or(|state| state.ok);
        let told = Told { report: &client::VerifyReport { ok, ..report.clone() }, state: state.as_ref() };
        context.output.result("verify", &told, || verified_text(&report, state.as_ref()))?;
        if report.freshness == Freshness::Unproven && !report.failures.iter().any(|failure| failure.is_of_the_log()) {
            context.output.warn("freshness not proven: there is no anchor to compare the log with (audit verify --new-anchor makes one)");
        }
        if !args.all && args.sample.is_none() && references.is_empty() {
            context.output.warn("the log was checked, and no version: name some, or all with --all");
        }
        match failed {
            Some(problem) if report.ok => return Err(problem.into()),
            Some(problem) => drop(Failure::from(problem).report(context.output.is_json())),
            None if ok => return Ok(0),
            None => {}
        }
        if context.output.is_json() {
            return Err(Failure::Exit(Exit::Integrity as u8));
        }
        let log = |failure: &client::Failure| failure.is_of_the_log();
        let (what, hint) = match &report.failures[..] {
            [] => ("the database is not what the log says", "a copy of the vault from a backup"),
            failures if failures.iter().all(log) => {
                ("the log is not what was signed", "a newer copy of the vault; `strongroom status` says if it is read-only, and why")
            }
            _ => (
                "the vault does not hold what was put",
                "a copy of the depot from a backup, or the source again: strongroom put --afresh SRC WORKSPACE/ARTIFACT",
            ),
        };
        Err(Problem::new(Code::Integrity, what, "see the list above").with_try(hint).into())
    })
}

/// The verification as JSON: `ok` is of everything that was asked for.
#[derive(serde::Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    report: &'a client::VerifyReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a StateVerified>,
}

fn verified_text(report: &client::VerifyReport, state: Option<&StateVerified>) -> String {
    let checked = report.checked;
    let mut out = format!(
        "{} versions, {} objects, {} checked\n",
        checked.versions,
        checked.objects,
        bytes_shown(checked.bytes),
    );
    if let Some(sample) = &report.sample {
        let part = 100.0 * sample.covered as f64 / sample.bytes.max(1) as f64;
        out.push_str(&format!(
            "sample: {} of {} of the segments were read ({part:.1} %); lists, maps and lengths whole\n",
            bytes_shown(sample.covered),
            bytes_shown(sample.bytes),
        ));
        for missed in &sample.missed {
            let (damaged, chance) = (100.0 * missed.damaged, 100.0 * missed.probability);
            out.push_str(&format!(
                "  damage of {damaged} % of them would have been missed with a chance of {chance:.3} %\n"
            ));
        }
    }
    let (log, stored): (Vec<_>, Vec<_>) = report.failures.iter().partition(|failure| failure.is_of_the_log());
    for failure in stored {
        out.push_str(&format!(
            "damaged: {} object {} at byte {}: {}\n",
            failure.reference,
            failure.object,
            failure.offset,
            printable(&failure.what)
        ));
    }
    log.iter().for_each(|failure| out.push_str(&format!("wrong: {}\n", printable(&failure.what))));
    out.push_str(match report.freshness {
        _ if !log.is_empty() => "log: NOT verified\n",
        Freshness::Proven => "log: verified, and as new as the anchor\n",
        Freshness::Unproven => "log: verified, freshness not proven\n",
    });
    for line in report.restored.iter().flat_map(super::backup::told) {
        out.push_str(&format!("restored: {line}\n"));
    }
    if let Some(state) = state {
        out.push_str(&format!("state: {} rows compared with the log\n", state.rows));
        state.failures.iter().for_each(|failure| out.push_str(&format!("altered: {}\n", printable(failure))));
    }
    out
}

/// Of several references, the one that the failure says is not there.
pub(super) fn with_sources(client: &Client, references: &[String], failure: Failure) -> Failure {
    let parsed: Vec<Reference> = references.iter().filter_map(|text| text.parse().ok()).collect();
    near::told_first(client, &parsed, failure)
}

/// `--dry-run`: what would be decided.
fn would(
    context: &Context,
    client: &Client,
    action: Action,
    reference: &Reference,
    Why { reason, confirm }: Why,
) -> Result<u8, Failure> {
    let reference = Some(reference.without_path().to_string());
    let question = Explain { reference, reason, confirm, ..Explain::of(action) };
    super::policy::answered(context, &question, &super::policy::explained(client, &question)?)
}

/// The same for `put`: the first thing that would be refused, the alias included.
fn would_put(context: &Context, client: &Client, put: &Put, target: &str) -> Result<u8, Failure> {
    if put.source.as_os_str() != "-" {
        let what = format!("cannot read `{}`", put.source.display());
        std::fs::symlink_metadata(&put.source).map_err(|e| Failure::from_io(&what, &e))?;
    }
    let write = Explain {
        reference: Some(target.to_owned()),
        class: put.class,
        at_least: put.at_least,
        environment: Some(put.environment),
        kind: put.kind,
        ..Explain::of(Action::Write)
    };
    let written = client.explain(write.clone())?;
    if !written.allowed {
        return super::policy::answered(context, &write, &written);
    }
    if let Some(alias) = &put.alias {
        let moved = Explain { action: Action::Alias, ..write.clone() };
        let left = Explain { reference: Some(format!("{target}@{alias}")), ..Explain::of(Action::Alias) };
        for question in [moved, left] {
            match client.explain(question.clone()) {
                Ok(answer) if !answer.allowed => return super::policy::answered(context, &question, &answer),
                // The alias is new: it leaves no version.
                Err(problem) if problem.code != Code::NotFound => return Err(problem.into()),
                Ok(_) | Err(_) => {}
            }
        }
    }
    let whole = Explain { from: put.from.clone(), ..write };
    super::policy::answered(context, &whole, &super::policy::explained(client, &whole)?)
}

/// A reference as the shell handed it over.
pub(super) fn reference(text: &OsStr) -> Result<Reference, Failure> {
    Reference::from_bytes(text.as_bytes()).map_err(|e| Failure::usage("bad reference", e))
}
