//! Commands on the policy set.

mod check;

use super::{Context, near, why};
use crate::args::PolicyCommand;
use crate::output::{Failure, printable, refusal_text};
use crate::unlock;
use api::terms::{Action, Name, Reference, Selector};
use api::wire::{BaselineApply, Explain, PolicyApplied, PolicyApply, PolicyChanges, PolicyCheck, Refusal, SuitesShown};
use client::{Client, Why};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The longest policy or case file, in bytes.
const MAX_LEN_BYTES: u64 = 1 << 20;
/// The most files of one set.
const MAX_FILES: usize = 1_000;

pub fn policy(context: &Context, command: PolicyCommand) -> Result<u8, Failure> {
    match command {
        PolicyCommand::Show => context.with(|client| {
            let shown = client.policy()?;
            context.output.result("policy", &shown, || {
                let mut out = format!("policy set {}\n", shown.hash);
                for (name, source) in &shown.sources {
                    out.push_str(&format!("\n// {}\n{}\n", printable(name), source.trim_end()));
                }
                out
            })?;
            Ok(0)
        }),
        PolicyCommand::Lint { files } => {
            let sources = if files.is_empty() { None } else { Some(sources(&files)?) };
            check::check(context, PolicyCheck { sources, cases: None }, None)
        }
        PolicyCommand::Test { cases, files, min_coverage } => {
            let sources = if files.is_empty() { None } else { Some(sources(&files)?) };
            check::check(context, PolicyCheck { sources, cases: Some(text(&cases)?) }, min_coverage)
        }
        PolicyCommand::Explain { action, reference, class, environment, kind, from, why: args } => {
            let principal = context.global.principal.as_deref().map(unlock::name).transpose()?;
            let reference = reference.as_deref().map(subject).transpose()?;
            let Why { reason, confirm } = why(&args);
            let asked = Explain { principal, reference, class, environment, kind, ..Explain::of(action) };
            let question = as_put_would(context, Explain { from, reason, confirm, ..asked });
            // `--as` says whom it is about; who asks is the owner of the vault.
            context.with_owner(|client| answered(context, &question, &explained(client, &question)?))
        }
        PolicyCommand::Suites { file: None, baseline: false, .. } => {
            context.with(|client| suites(context, &client.suites()?))
        }
        PolicyCommand::Suites { file, accept_lockout, .. } => {
            let table = file.as_deref().map(table).transpose()?.unwrap_or_default();
            if context.global.dry_run {
                let would = context.with(|client| Ok(client.suites_look(table)?))?;
                return context
                    .output
                    .result("suites", &would, || format!("{}would put this table in force\n", shut(&would.warnings)))
                    .map(|()| 0);
            }
            if accept_lockout {
                let would = context.with(|client| Ok(client.suites_look(table.clone())?))?;
                context.output.say(shut(&would.warnings).trim_end());
            }
            context.confirmed("This changes with what every class of the whole vault is sealed from now on.")?;
            context.with(|client| suites(context, &client.suites_apply(table, accept_lockout)?))
        }
        PolicyCommand::Apply { files, base, cases, baseline } => {
            // Without files, the organisation's policies stay as they are, or nothing was said.
            let sources = if baseline && files.is_empty() { None } else { Some(sources(&files)?) };
            let cases = cases.as_deref().map(text).transpose()?;
            let asked = PolicyCheck { sources: sources.clone(), cases };
            if context.global.dry_run {
                return check::check(context, asked, None);
            }
            if baseline {
                context.confirmed("This moves the whole vault to the baseline of this program.")?;
                let apply = BaselineApply { sources, base };
                return context.with(|client| applied(context, &client.baseline_apply(apply)?, None));
            }
            let changes = context.with_owner(|client| Ok(client.policy_check(asked)?.changes))?;
            if let Some(changes) = &changes {
                context.output.say(check::changes_text(changes).trim_end());
            }
            context.confirmed("This replaces the policy set of the whole vault.")?;
            // What was shown is what is replaced, or nothing.
            let base = base.or_else(|| changes.as_ref().map(|changes| changes.before.clone()));
            let apply = PolicyApply { sources: sources.unwrap_or_default(), base };
            context.with(|client| applied(context, &client.policy_apply(apply)?, changes.as_ref()))
        }
    }
}

/// What `policy apply` answers.
#[derive(Debug, serde::Serialize)]
struct Applied<'a> {
    #[serde(flatten)]
    applied: &'a PolicyApplied,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<&'a PolicyChanges>,
}

fn suites(context: &Context, shown: &SuitesShown) -> Result<u8, Failure> {
    context.output.result("suites", shown, || match &shown.receipt {
        Some(receipt) => format!("{}the table is in force, log entry {}\n", shut(&shown.warnings), receipt.entry),
        None => format!("# {}\n{}", if shown.own { "the organisation's" } else { "the baseline's" }, shown.table),
    })?;
    Ok(0)
}

/// What a table leaves without a root that opens it.
fn shut(warnings: &[String]) -> String {
    warnings.iter().map(|warning| format!("locked out {}\n", printable(warning))).collect()
}

/// A table of suites; an empty one would mean another.
pub(super) fn table(path: &Path) -> Result<String, Failure> {
    let text = text(path)?;
    if text.trim().is_empty() {
        return Err(Failure::usage(&format!("cannot use `{}`", path.display()), "a table of suites is not empty"));
    }
    Ok(text)
}

fn applied(context: &Context, applied: &PolicyApplied, changes: Option<&PolicyChanges>) -> Result<u8, Failure> {
    context.output.result("policy-applied", &Applied { applied, changes }, || {
        format!("policy set {} is in force, log entry {}\n", applied.hash, applied.receipt.entry)
    })?;
    Ok(0)
}

/// A question about a version that is not there yet, with what the project says of such versions.
fn as_put_would(context: &Context, question: Explain) -> Explain {
    let project = &context.config.project;
    let reference = question.reference.as_deref().and_then(|text| text.parse::<Reference>().ok());
    if reference.is_none_or(|reference| reference.selector != Selector::Latest)
        || !matches!(question.action, Action::Write | Action::Alias)
    {
        return question;
    }
    let environment = Some(project.environment(question.environment));
    Explain { at_least: project.at_least(question.class), environment, ..question }
}

/// What a question is about: a workspace or `vault`, or a version without its path.
pub(super) fn subject(text: &str) -> Result<String, Failure> {
    if text.contains('/') {
        Ok(super::data::reference(std::ffi::OsStr::new(text))?.without_path().to_string())
    } else {
        unlock::name(text).map(|name| name.to_string())
    }
}

/// The answer, or what of the question is not there.
pub(super) fn explained(client: &Client, question: &Explain) -> Result<Refusal, Failure> {
    client.explain(question.clone()).map_err(|problem| {
        let failure = match &question.principal {
            Some(principal) => near::told_principal(client, principal, problem.into()),
            None => problem.into(),
        };
        if question.action == Action::Write {
            return super::data::with_sources(client, &question.from, failure);
        }
        match question.reference.as_deref().map(|text| (text.parse::<Reference>(), text.parse::<Name>())) {
            Some((Ok(reference), _)) => near::told(client, &reference, failure),
            Some((_, Ok(workspace))) if question.action == Action::List => {
                near::told_workspace(client, &workspace, failure)
            }
            _ => failure,
        }
    })
}

/// Prints what would be decided: the question was answered, so the exit code is 0 either way.
pub(super) fn answered(context: &Context, question: &Explain, answer: &Refusal) -> Result<u8, Failure> {
    context.output.result("decision", answer, || {
        let verb = if answer.allowed { "allowed" } else { "denied" };
        let subject = question.reference.as_deref().unwrap_or("vault");
        let mut out = format!("{verb}: {} {}\n{}", question.action, printable(subject), refusal_text(answer));
        if let Some(hint) = &answer.try_ {
            out.push_str(&format!("  try: {}\n", printable(hint)));
        }
        out
    })?;
    Ok(0)
}

/// Reads Cedar files, and those directly in folders, under their names. At least one: none would take away every policy of the
/// organisation, and whoever means that says it with an empty file.
fn sources(paths: &[PathBuf]) -> Result<BTreeMap<String, String>, Failure> {
    let mut out = BTreeMap::new();
    let mut add = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if out.len() == MAX_FILES {
            return Err(Failure::usage("too many policy files", format!("more than {MAX_FILES}")));
        }
        match out.insert(name.clone(), text(path)?) {
            None => Ok(()),
            Some(_) => Err(Failure::usage("bad policy files", format!("two files are called `{name}`"))),
        }
    };
    for path in paths {
        if !path.is_dir() {
            add(path)?;
            continue;
        }
        let what = format!("cannot read `{}`", path.display());
        for entry in std::fs::read_dir(path).map_err(|e| Failure::from_io(&what, &e))? {
            let path = entry.map_err(|e| Failure::from_io(&what, &e))?.path();
            if path.extension().is_some_and(|extension| extension == "cedar") {
                add(&path)?;
            }
        }
    }
    if out.is_empty() {
        return Err(Failure::usage("no policy files", "neither a Cedar file nor a folder with one was named"));
    }
    Ok(out)
}

fn text(path: &Path) -> Result<String, Failure> {
    let what = format!("cannot read `{}`", path.display());
    let len = std::fs::metadata(path).map_err(|e| Failure::from_io(&what, &e))?.len();
    if len > MAX_LEN_BYTES {
        return Err(Failure::usage(&what, "it is longer than 1 MiB"));
    }
    std::fs::read_to_string(path).map_err(|e| Failure::from_io(&what, &e))
}

#[cfg(test)]
mod tests {
    use super::sources;
    use crate::output::Failure;

    #[test]
    fn no_policy_file_at_all_is_no_empty_set() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("README.md"), "none here").unwrap();
        for paths in [vec![], vec![dir.path().to_owned()]] {
            let Err(Failure::Problem(problem)) = sources(&paths) else { panic!("{paths:?} were taken") };
            assert_eq!((problem.code, &*problem.what), (api::terms::Code::BadRequest, "no policy files"));
        }
        std::fs::write(dir.path().join("none.cedar"), "").unwrap();
        assert_eq!(sources(&[dir.path().to_owned()]).unwrap().len(), 1, "an empty file says it");
    }
}
