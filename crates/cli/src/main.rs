//! The `strongroom` command: arguments, prompts, rendering. What things do is in the client.

mod args;
mod complete;
mod config;
mod output;
mod progress;
mod run;
mod suggest;
mod unlock;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use output::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(inside) = inside() {
        return ExitCode::from(client::run::inside(&inside));
    }
    with_its_stack(acted)
}

/// The policy engine evaluates nothing on the last 100 KiB of a stack, and musl counts of the first thread's stack what was used so far.
#[cfg(target_env = "musl")]
fn with_its_stack(act: fn() -> ExitCode) -> ExitCode {
    const STACK_LEN_BYTES: usize = 8 << 20;
    match std::thread::Builder::new().stack_size(STACK_LEN_BYTES).spawn(act).map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        Ok(Err(_)) => ExitCode::from(api::terms::Exit::Error as u8),
        // What needs no decision works here too.
        Err(_) => act(),
    }
}

#[cfg(not(target_env = "musl"))]
fn with_its_stack(act: fn() -> ExitCode) -> ExitCode {
    act()
}

/// How long an end waits for the library of a token.
const REST: std::time::Duration = std::time::Duration::from_secs(5);

fn acted() -> ExitCode {
    let hardened = harden();
    if complete::answered() {
        return ExitCode::SUCCESS;
    }
    let json = wants_json();
    let code = match args::parse(std::env::args_os()) {
        Err(error) => usage(&error, json),
        Ok((cli, words)) => {
            if hardened.is_none() {
                output::stderr("warning: core dumps could not be turned off");
            }
            match run::run(cli, &words) {
                Ok(code) => code,
                Err((failure, json)) => failure.report(json),
            }
        }
    };
    // A thread that is left in a token's library may crash when the process ends under it.
    client::vault::rest(REST);
    ExitCode::from(code)
}

/// One of the processes around the command of a `run`: it holds no secrets of ours, and must be visible to itself.
fn inside() -> Option<client::run::Inside> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != "run-inside" {
        return None;
    }
    let mut text = || args.next()?.into_string().ok();
    let (part, kind) = (text()?, text()?);
    let room = args.next()?.into();
    let size_bytes = args.next()?.to_str()?.parse().ok()?;
    let command = args.skip_while(|arg| arg != "--").skip(1).collect();
    Some(client::run::Inside { part, kind, room, size_bytes, command })
}

/// No core dumps, and no look into this process by others of the same account.
fn harden() -> Option<()> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    // 1 and not 0: a program that the kernel hands dumps to gets them at 0 too (core(5)). What a `run` starts inherits it.
    setrlimit(Resource::Core, Rlimit { current: Some(1), maximum: Some(1) }).ok()?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).ok()
}

/// Whether errors are JSON, found before the arguments are known to be right.
fn wants_json() -> bool {
    let mut args = std::env::args_os().skip(1);
    let mut found = std::env::var("STRONGROOM_FORMAT").unwrap_or_default();
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy().into_owned();
        if text == "--" {
            break;
        }
        if text == "--format" {
            found = args.next().unwrap_or_default().to_string_lossy().into_owned();
        } else if let Some(value) = text.strip_prefix("--format=") {
            value.clone_into(&mut found);
        }
    }
    matches!(found.as_str(), "json" | "jsonl")
}

/// Prints help, version, or what is wrong with the arguments.
fn usage(error: &clap::Error, json: bool) -> u8 {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            return match output::print(output::styled(&error.render()).as_bytes()) {
                Ok(()) => 0,
                Err(failure) => failure.report(json),
            };
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand if !json => {
            output::usage(&error.render());
            return api::terms::Exit::Usage as u8;
        }
        _ => {}
    }
    let words = args::words(std::env::args_os().skip(1));
    let problem = api::wire::Problem::new(api::terms::Code::BadRequest, "wrong usage", why(error));
    let hint = hint(error, &words).unwrap_or_else(|| format!("{} --help", ["strongroom", &words].join(" ").trim_end()));
    Failure::from(problem.with_try(hint)).report(json)
}

/// The parser's first line, with what it would list below.
fn why(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let listed = |kind| match error.get(kind) {
        Some(ContextValue::Strings(texts)) if !texts.is_empty() => Some(texts.join(", ")),
        _ => None,
    };
    match error.kind() {
        ErrorKind::MissingRequiredArgument => {
            listed(ContextKind::InvalidArg).map_or_else(|| first.to_owned(), |missing| format!("missing: {missing}"))
        }
        ErrorKind::InvalidValue => match listed(ContextKind::ValidValue) {
            Some(valid) => format!("{first}; it is one of {valid}"),
            None => first.to_owned(),
        },
        // One other argument stands in the line already, several below it.
        ErrorKind::ArgumentConflict => match listed(ContextKind::PriorArg) {
            Some(others) if first.ends_with(':') => format!("{first} {others}"),
            _ => first.to_owned(),
        },
        _ => first.to_owned(),
    }
}

/// What helps with an error of these words' command.
fn hint(error: &clap::Error, words: &str) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        // The nearest comes last.
        Some(ContextValue::Strings(texts)) => texts.last().cloned(),
        _ => None,
    };
    if let Some(word) = text(ContextKind::InvalidSubcommand) {
        let near = text(ContextKind::SuggestedSubcommand);
        if !words.is_empty() {
            let known = suggest::below(words, &word).map(str::to_owned);
            return known.or_else(|| near.map(|near| format!("strongroom {words} {near}")));
        }
        return suggest::for_word(&word).map(str::to_owned).or_else(|| near.map(|near| format!("strongroom {near}")));
    }
    if let Some(flag) = text(ContextKind::SuggestedArg) {
        // What is like nothing here is not called what is least unlike it, in the usage either.
        let is_meant = text(ContextKind::InvalidArg).is_none_or(|given| run::near::is_near(&given, &flag));
        return is_meant.then_some(flag);
    }
    match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => {
            usage.to_string().lines().next().map(|line| line.trim_start_matches("Usage: ").trim().to_owned())
        }
        _ => None,
    }
}
