//! Completion of commands, flags and values: the shell's script asks this program what may come next.
//!
//! Names come from the vault and are those that `ls` shows to who asks: what may not be listed is never asked for, so that no refusal is
//! logged either. Nothing is ever asked, written or said: an agent answers if `unlock` started one, else a key file opens the vault; a
//! vault that only a passphrase opens, an error or a slow disk mean no names. Names
//! inside a version are not offered, for looking at them is a release.

mod names;
mod shells;

use crate::args;
use crate::config::Config;
use crate::output::Failure;
use api::terms::{Action, Class, Environment, Kind, Mode, PlaybookStep, PrincipalKind};
use clap::FromArgMatches as _;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};
use names::Names;
use std::ffi::{OsStr, OsString};
use std::sync::mpsc;
use std::time::Duration;

/// The variable by which a script asks.
const VARIABLE: &str = "STRONGROOM_COMPLETE";

/// The longest wait for names.
const PATIENCE: Duration = Duration::from_secs(2);

const SHELLS: Shells<'static> = Shells(&[
    &shells::Bash,
    &clap_complete::env::Elvish,
    &clap_complete::env::Fish,
    &clap_complete::env::Powershell,
    &clap_complete::env::Zsh,
]);

/// Answers a shell, if it is one that asks.
pub fn answered() -> bool {
    if std::env::var_os(VARIABLE).is_none_or(|shell| shell.is_empty() || shell == "0") {
        return false;
    }
    let here = std::env::current_dir().ok();
    // What goes wrong is not said into somebody's command line.
    let _ = CompleteEnv::with_factory(command)
        .var(VARIABLE)
        .bin("strongroom")
        .completer("strongroom")
        .shells(SHELLS)
        .try_complete(std::env::args_os(), here.as_deref());
    true
}

/// What a shell reads to complete our commands.
pub fn script(shell: clap_complete::Shell) -> Result<Vec<u8>, Failure> {
    let mut script = Vec::new();
    let name = shell.to_string();
    let shells = SHELLS;
    let completer = shells.completer(&name).ok_or_else(|| Failure::internal("cannot write the script", &name))?;
    let written = completer.write_registration(VARIABLE, "strongroom", "strongroom", "strongroom", &mut script);
    written.map_err(|e| Failure::internal("cannot write the script", &e))?;
    Ok(script)
}

/// The command line, with what completes each value.
fn command() -> clap::Command {
    with_values(args::command(), "")
}

fn with_values(command: clap::Command, words: &str) -> clap::Command {
    let command = command.mut_args(|arg| match values(words, arg.get_id().as_str()) {
        Some(values) => arg.add(ArgValueCompleter::new(move |current: &OsStr| candidates(values, current))),
        None => arg,
    });
    let below: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    below.iter().fold(command, |command, name| {
        command.mut_subcommand(name, |below| with_values(below, format!("{words} {name}").trim_start()))
    })
}

/// What a value is one of.
#[derive(Debug, Clone, Copy)]
enum Values {
    /// One of these words.
    Words(fn() -> Vec<&'static str>),
    /// `WORKSPACE=ROLE`.
    Roles,
    Workspaces,
    Principals,
    /// Principals, for who is about to say as whom to act.
    Actors,
    /// `WORKSPACE/ARTIFACT`.
    Artifacts,
    /// With an alias or a number.
    Versions,
    /// `NAME=WORKSPACE/ARTIFACT`.
    NamedArtifacts,
    /// The same with an alias or a number.
    NamedVersions,
    /// An alias of the artifact that the command line names.
    Aliases,
    /// A job.
    Jobs,
    /// A depot.
    Depots,
}

fn classes() -> Vec<&'static str> {
    Class::ALL.iter().map(|class| class.word()).collect()
}

fn environments() -> Vec<&'static str> {
    Environment::ALL.iter().map(|environment| environment.word()).collect()
}

fn kinds() -> Vec<&'static str> {
    Kind::ALL.iter().map(|kind| kind.word()).collect()
}

fn principal_kinds() -> Vec<&'static str> {
    PrincipalKind::ALL.iter().map(|kind| kind.word()).collect()
}

fn modes() -> Vec<&'static str> {
    Mode::ALL.iter().map(|mode| mode.word()).collect()
}

/// Those that people do.
fn steps() -> Vec<&'static str> {
    vec![PlaybookStep::Notify.word(), PlaybookStep::Review.word()]
}

fn actions() -> Vec<&'static str> {
    Action::ALL.iter().map(|action| action.word()).collect()
}

fn facts() -> Vec<&'static str> {
    vec!["mfa=now", "mfa=none"]
}

/// As the help of `principal add` names them.
const ROLES: [&str; 7] = ["reader", "writer", "steward", "custodian", "policy-author", "auditor", "owner"];

/// What an argument of a command is one of; nothing if it is free, or a path.
fn values(words: &str, argument: &str) -> Option<Values> {
    Some(match (words, argument) {
        ("principal add", "kind") => Values::Words(principal_kinds),
        ("principal add", "grants" | "revoke") => Values::Roles,
        ("principal add" | "principal show" | "principal erase", "name") | (_, "by") => Values::Principals,
        (_, "principal") => Values::Actors,
        (_, "class" | "clearance") => Values::Words(classes),
        (_, "environment") => Values::Words(environments),
        (_, "kind") => Values::Words(kinds),
        (_, "mode") => Values::Words(modes),
        (_, "step") => Values::Words(steps),
        (_, "presence") => Values::Words(facts),
        (_, "action") => Values::Words(actions),
        (_, "workspace") => Values::Workspaces,
        ("jobs run", "name") => Values::Jobs,
        ("depot copy", "to") | ("depot check" | "depot rm", "depot") => Values::Depots,
        ("run", "inputs") => Values::NamedVersions,
        ("run", "outputs") => Values::NamedArtifacts,
        ("alias set" | "alias rm" | "alias history", "name") | ("put", "alias") => Values::Aliases,
        ("key destroy", "confirm") => return None,
        (_, "target" | "confirm" | "artifact" | "place") | ("history", "reference") => Values::Artifacts,
        (_, "reference" | "references" | "from" | "old" | "new")
        | ("ls", "what")
        | ("key suspend" | "key resume" | "key compromise" | "key destroy" | "key certificate", "key") => {
            Values::Versions
        }
        _ => return None,
    })
}

/// What may stand where somebody has typed this much.
fn candidates(values: Values, current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str() else { return Vec::new() };
    let mut found: Vec<String> = match values {
        Values::Words(words) => words().iter().map(|word| (*word).to_owned()).collect(),
        Values::Roles => match current.split_once('=') {
            Some((workspace, _)) => ROLES.iter().map(|role| format!("{workspace}={role}")).collect(),
            None => from_vault(|names| names.workspaces("=")),
        },
        Values::Workspaces => from_vault(|names| names.workspaces("")),
        Values::Principals => from_vault(Names::principals),
        // What is being typed names nobody yet.
        Values::Actors => from(|| Some(args::Global { principal: None, ..global()? }), Names::principals),
        Values::Artifacts | Values::Versions => of_reference(values, "", current),
        Values::NamedArtifacts | Values::NamedVersions => match current.split_once('=') {
            Some((name, current)) => of_reference(values, &format!("{name}="), current),
            None => Vec::new(),
        },
        Values::Aliases => from_vault(|names| names.aliases(&line()?)),
        Values::Jobs => from_vault(Names::jobs),
        Values::Depots => from_vault(Names::depots),
    };
    found.retain(|candidate| candidate.starts_with(current));
    found.into_iter().map(CompletionCandidate::new).collect()
}

fn of_reference(values: Values, before: &str, current: &str) -> Vec<String> {
    let versions = matches!(values, Values::Versions | Values::NamedVersions);
    let current = current.to_owned();
    let found = from_vault(move |names| match (current.split_once('/'), current.split_once('@')) {
        (Some(_), Some((artifact, _))) if versions => names.versions(artifact),
        (Some((workspace, _)), None) => names.artifacts(workspace),
        (None, None) => names.workspaces("/"),
        _ => None,
    });
    found.into_iter().map(|name| format!("{before}{name}")).collect()
}

/// What the vault answers to who asks.
fn from_vault(ask: impl FnOnce(&Names) -> Option<Vec<String>> + Send + 'static) -> Vec<String> {
    from(global, ask)
}

/// What a vault answers in time.
fn from(
    options: impl FnOnce() -> Option<args::Global> + Send + 'static,
    ask: impl FnOnce(&Names) -> Option<Vec<String>> + Send + 'static,
) -> Vec<String> {
    let (tell, told) = mpsc::channel();
    // Whoever waits too long leaves, and the process ends: it holds nothing that a kill would harm. The session is not ended as a
    // command ends its own: looking does no work that waits.
    std::thread::spawn(move || {
        let found = options().and_then(|options| ask(&Names::open(&options)?));
        let _ = tell.send(found);
    });
    told.recv_timeout(PATIENCE).ok().flatten().unwrap_or_default()
}

/// What stands on the command line that is completed.
fn line() -> Option<Vec<OsString>> {
    let words: Vec<OsString> = std::env::args_os().skip_while(|word| word != "--").skip(1).collect();
    (!words.is_empty()).then_some(words)
}

/// The options that say which vault, and who asks.
fn global() -> Option<args::Global> {
    let matches = args::command().ignore_errors(true).try_get_matches_from(line()?).ok()?;
    let below = std::iter::successors(Some(&matches), |matches| matches.subcommand().map(|(_, below)| below));
    let mut global = args::Global::from_arg_matches(below.last()?).ok()?;
    let here = std::env::current_dir().ok()?;
    global.opens_itself = global.names_what_opens();
    Config::load(&here).ok()?.fill(&mut global).ok()?;
    Some(global)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_to_assert_can_be_asserted() {
        for fact in facts() {
            assert!(fact.parse::<args::Asserted>().is_ok(), "{fact}");
        }
    }

    #[test]
    fn the_roles_offered_are_those_that_the_help_names() {
        let mut command = args::command();
        let add = command.find_subcommand_mut("principal").and_then(|principal| principal.find_subcommand_mut("add"));
        let help = add.unwrap().render_long_help().to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains(&format!("Roles: {}", ROLES.join(", "))), "{help}");
    }

    /// Every argument that takes a value is completed, is a path, or is one of those that nobody can guess.
    #[test]
    fn every_value_is_completed_or_free() {
        let free = [
            "confirm",
            "after",
            "act",
            "all_of",
            "as_of",
            "at",
            "base",
            "before",
            "bytes",
            "command",
            "context",
            "deadline",
            "decision",
            "depth",
            "endpoint",
            "entry",
            "exclude",
            "expect",
            "grace",
            "id",
            "keep_for",
            "keep_last",
            "include",
            "key",
            "length",
            "limit",
            "memory",
            "min_coverage",
            "name",
            "owner",
            "older_than",
            "patience",
            "priority",
            "purpose",
            "rate",
            "reason",
            "region",
            "sample",
            "serial",
            "shares",
            "since",
            "tags",
            "threshold",
            "to",
            "within",
            "token",
            "unattended",
            "until",
            "with",
        ];
        let mut seen = 0;
        let mut open = vec![(String::new(), command())];
        while let Some((words, command)) = open.pop() {
            for arg in command.get_arguments().filter(|arg| arg.get_action().takes_values()) {
                let id = arg.get_id().as_str();
                let is_path = arg.get_value_hint() != clap::ValueHint::Unknown
                    || arg.get_value_parser().type_id() == clap::builder::ValueParser::path_buf().type_id();
                let listed = !arg.get_possible_values().is_empty() || arg.get::<ArgValueCompleter>().is_some();
                assert!(is_path || listed || free.contains(&id), "{words} {id} is completed by nothing");
                seen += usize::from(listed);
            }
            let below = command.get_subcommands();
            open.extend(below.map(|below| (format!("{words} {}", below.get_name()).trim().to_owned(), below.clone())));
        }
        assert!(seen > 40, "{seen}");
    }
}
