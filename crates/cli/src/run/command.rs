//! `run`: a command over versions in memory.

use super::{Context, ask, near};
use crate::args::{RoomArg, RunArgs};
use crate::output::{Failure, bytes_shown, on_terminal, printable, stderr};
use crate::progress::Terminal;
use crate::unlock;
use api::terms::{Action, Code, Reference, Selector};
use api::wire::{Explain, RunOutcome};
use client::run::{Output, Room};
use client::{Client, Run, RunReport};
use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

pub fn run(context: &Context, args: &RunArgs) -> Result<u8, Failure> {
    let inputs =
        args.inputs.iter().map(|named| Ok((named.name.clone(), super::data::reference(OsStr::new(&named.what))?)));
    let inputs = inputs.collect::<Result<Vec<_>, Failure>>()?;
    let outputs = args.outputs.iter().map(|named| Ok((named.name.clone(), output(context, args, &named.what)?)));
    let run = Run {
        inputs,
        outputs: outputs.collect::<Result<Vec<_>, Failure>>()?,
        command: args.command.clone(),
        reason: args.reason.clone(),
        confirm: args.confirm.clone(),
        unattended_secs: args.unattended.map(|time| time.secs),
        room: match args.room {
            RoomArg::Auto => None,
            RoomArg::Namespace => Some(Room::Namespace),
            RoomArg::Folder => Some(Room::Folder),
        },
        size_bytes: args.memory.map(|size| size.bytes),
        patience: Duration::from_secs(args.patience.secs),
        helper: PathBuf::from("/proc/self/exe"),
    };
    if context.global.dry_run {
        return context.with(|client| would(context, client, &run));
    }
    // What is to go on alone does not end with somebody's `unlock`.
    let global = match run.unattended_secs {
        Some(secs) => unlock::for_secs(&context.global, secs)?,
        None => context.global.clone(),
    };
    let report = context.acting(&global, |client| {
        let mut run = run;
        confirming(&mut run, |run| {
            let terminal = Terminal::without_signals(context.global.progress, context.quiet(), context.output);
            client.run(run, &terminal).map_err(|problem| {
                let references: Vec<Reference> = run.inputs.iter().map(|(_, reference)| reference.clone()).collect();
                near::told_first(client, &references, problem.into())
            })
        })
    })?;
    told(context, &report);
    Ok(match report.outcome {
        RunOutcome::Exited { code } => code,
        RunOutcome::Signalled { signal } => {
            // As the command ended, so does this one, for whoever waits for it. Signals that end nothing fall through.
            let _ = signal_hook::low_level::emulate_default_handler(i32::from(signal));
            signal.wrapping_add(128)
        }
        RunOutcome::Stopped { .. } => 1,
    })
}

fn output(context: &Context, args: &RunArgs, text: &str) -> Result<Output, Failure> {
    let project = &context.config.project;
    let target = super::data::reference(OsStr::new(text))?;
    if target.path.is_some() || target.selector != Selector::Latest {
        return Err(Failure::usage("bad output", "an output goes to WORKSPACE/ARTIFACT, without a version or a path"));
    }
    Ok(Output {
        workspace: target.workspace,
        artifact: target.artifact,
        class: args.class,
        at_least: project.at_least(args.class),
        environment: project.environment(args.environment),
        kind: args.kind,
    })
}

/// Acts; if a reason and confirmations are missing and somebody is there, asks for them and acts again.
fn confirming<T>(run: &mut Run, mut act: impl FnMut(&Run) -> Result<T, Failure>) -> Result<T, Failure> {
    loop {
        match act(run) {
            Err(Failure::Problem(problem)) if problem.code == Code::ConfirmationNeeded && on_terminal() => {
                let asked = run.confirm.len();
                Failure::Problem(problem).report(false);
                if run.reason.is_none() {
                    run.reason = Some(ask("Reason: ")?);
                }
                run.confirm.push(ask("WORKSPACE/ARTIFACT again, to confirm: ")?);
                if asked > run.inputs.len() {
                    return Err(Failure::usage("not confirmed", "what was typed names no input"));
                }
            }
            other => return other,
        }
    }
}

/// `--dry-run`: the first input or output that would be refused, or the last that would not.
fn would(context: &Context, client: &Client, run: &Run) -> Result<u8, Failure> {
    let reads = run.inputs.iter().map(|(_, reference)| {
        let path = format!("{}/{}", reference.workspace, reference.artifact);
        Explain {
            reference: Some(reference.without_path().to_string()),
            reason: run.reason.clone(),
            confirm: run.confirm.iter().find(|confirm| **confirm == path).cloned(),
            ..Explain::of(Action::Read)
        }
    });
    let writes = run.outputs.iter().map(|(_, output)| Explain {
        reference: Some(format!("{}/{}", output.workspace, output.artifact)),
        class: output.class,
        at_least: output.at_least,
        environment: Some(output.environment),
        kind: output.kind,
        ..Explain::of(Action::Write)
    });
    let mut last = None;
    for question in reads.chain(writes) {
        let answer = super::policy::explained(client, &question)?;
        let allowed = answer.allowed;
        last = Some((question, answer));
        if !allowed {
            break;
        }
    }
    match last {
        Some((question, answer)) => super::policy::answered(context, &question, &answer),
        None => Err(Failure::usage("nothing to run over", "there is neither input nor output")),
    }
}

/// Standard output is the command's: what is said of the run goes beside it.
fn told(context: &Context, report: &RunReport) {
    if context.output.is_json() {
        if let Ok(text) = context.output.as_line("run", report) {
            stderr(&text);
        }
        return;
    }
    for put in &report.outputs {
        let (version, bytes) = (printable(&put.version), bytes_shown(put.bytes));
        context.output.say(&format!("sealed {version}  {bytes} in {} files, class {}", put.files, put.class));
    }
    context.output.detail(&format!("run {} ({})", report.run, report.room));
}
