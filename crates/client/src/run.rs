//! `run`: a command over versions in memory. Its inputs are files in a room that only it sees, its caches and temporary files lie
//! there too, its outputs are sealed from there with what they were made from, and nothing of it is left when it ends.
//!
//! The keeper knows the run: it decides every input and output before anything is opened, and is asked again every few seconds. When
//! it says no, the command is stopped, with the reason (`docs/decisions/0070-runs.md`).

mod control;
mod descendants;
mod environment;
mod inside;
mod link;
mod memory;
pub(crate) mod mounted;
mod outputs;
mod provenance;
mod room;

pub use environment::variable;
pub use inside::{Inside, inside};
pub use room::Kind as Room;
pub(crate) use room::sweep;

use crate::Client;
use crate::dest::{Granted, Stage};
use crate::get::Packed;
use crate::put::PutReport;
use crate::seat::{Grant, Why, unexpected};
use crate::watch::{Watch, check};
use api::terms::{Class, Code, Environment, Kind, Name, Reference, RunId, VersionId};
use api::wire::{Answer, Command, Problem, Provenance, RunEnd, RunOutcome, RunOutput, RunStart, RunStarted};
use control::{Control, Ended};
use link::Message;
use memory::Memory;
use room::{Plan, Ready};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What to run, over what.
#[derive(Debug, Clone)]
pub struct Run {
    /// By the names under which the command finds them.
    pub inputs: Vec<(String, Reference)>,
    /// By the names under which the command finds them.
    pub outputs: Vec<(String, Output)>,
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// Why, for restricted data.
    pub reason: Option<String>,
    /// Restricted inputs of a solo vault, typed again.
    pub confirm: Vec<String>,
    /// How long it may go on without its person, in seconds.
    pub unattended_secs: Option<u64>,
    /// Only this kind of room; else whichever there is, the namespace first.
    pub room: Option<Room>,
    /// The most bytes in the room; else what the machine's memory suggests.
    pub size_bytes: Option<u64>,
    /// How long outputs that cannot be sealed now are kept in memory and tried again.
    pub patience: Duration,
    /// The program that calls [`inside()`] when its arguments are `run-inside PART KIND ROOM SIZE -- COMMAND`.
    pub helper: PathBuf,
}

/// Where an output goes.
#[derive(Debug, Clone)]
pub struct Output {
    /// The workspace.
    pub workspace: Name,
    /// The artifact.
    pub artifact: Name,
    /// The class asked for; it is not below that of any input.
    pub class: Option<Class>,
    /// Whatever the class would be, it is not below this one.
    pub at_least: Option<Class>,
    /// The environment.
    pub environment: Environment,
    /// What it is.
    pub kind: Option<Kind>,
}

/// How a run went.
#[derive(Debug, Clone, serde::Serialize)]
pub struct RunReport {
    /// Its id in the log.
    pub run: RunId,
    /// How the command ended.
    #[serde(flatten)]
    pub outcome: RunOutcome,
    /// Where its files were: `namespace` or `folder`.
    pub room: &'static str,
    /// The versions that were opened.
    pub inputs: Vec<String>,
    /// The versions that were made.
    pub outputs: Vec<PutReport>,
}

/// What keeps a command from being run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// No program of this name.
    #[error("there is no program `{0}` to run")]
    NoProgram(String),
    /// A name that no variable can tell from others.
    #[error("`{0}` is no name of its own for an input or output: letters and digits tell names apart")]
    Name(String),
    /// Nothing to run.
    #[error("there is no command to run")]
    NoCommand,
    /// More than there is.
    #[error("the inputs take {needed} bytes of memory, and {available} are free and allowed")]
    Memory {
        /// Bytes.
        needed: u64,
        /// Bytes.
        available: u64,
    },
}

impl From<RunError> for Problem {
    fn from(error: RunError) -> Self {
        let why = error.to_string();
        let what = "cannot run the command";
        match error {
            RunError::NoProgram(_) => Self::new(Code::NotFound, what, why).with_try("the program's path, behind `--`"),
            RunError::Name(_) | RunError::NoCommand => Self::new(Code::BadRequest, what, why),
            RunError::Memory { .. } => Self::new(Code::Unavailable, what, why)
                .with_try("a path inside the version, `NAME=WORKSPACE/ARTIFACT/path`, which opens that part alone"),
        }
    }
}

/// How long a command may take to end by itself after it was told why it must.
const GRACE: Duration = Duration::from_secs(10);

impl Client {
    /// Runs a command over versions in memory and seals what it made. For a process of its own: signals are passed on from here, and
    /// without a namespace every child of this process ends with the command.
    ///
    /// # Errors
    /// `denied`, `confirmation-needed`, `not-found`; `unsupported` where nothing can be kept in memory; what the sealing of an output
    /// says. If access goes while it runs, the command is stopped and the refusal is the error.
    pub fn run(&self, run: &Run, watch: &dyn Watch) -> Result<RunReport, Problem> {
        sweep(&self.scratch());
        names(run)?;
        let program = provenance::program(run.command.first().ok_or(RunError::NoCommand)?)?;
        let started = self.start_run(run)?;
        let control = Control::new(watch)?;
        let running = Running { client: self, run, started: &started, control: &control, program: &program };
        let result = running.go();
        let outcome = match &result {
            Ok(report) => report.outcome.clone(),
            Err(problem) => RunOutcome::Stopped { why: told(problem) },
        };
        let outputs = result.as_ref().map(|report| report.outputs.iter().map(|put| put.id).collect());
        self.end_run(started.run, outcome, outputs.unwrap_or_default(), watch);
        result
    }

    fn start_run(&self, run: &Run) -> Result<RunStarted, Problem> {
        let outputs = run.outputs.iter().map(|(_, output)| RunOutput {
            workspace: output.workspace.clone(),
            artifact: output.artifact.clone(),
            class: output.class,
            at_least: output.at_least,
            environment: output.environment,
            kind: output.kind,
        });
        let start = RunStart {
            inputs: run.inputs.iter().map(|(_, reference)| reference.without_path().to_string()).collect(),
            outputs: outputs.collect(),
            unattended_secs: run.unattended_secs,
            line: provenance::shown(&run.command),
            reason: run.reason.clone(),
            confirm: run.confirm.clone(),
        };
        match self.seat().call(Command::RunStart(start))? {
            Answer::RunStarted(started) => Ok(*started),
            other => Err(unexpected(&other)),
        }
    }

    /// Tells the keeper. What the run did stands either way.
    fn end_run(&self, run: RunId, outcome: RunOutcome, outputs: Vec<VersionId>, watch: &dyn Watch) {
        if let Err(problem) = self.seat().call(Command::RunEnd(RunEnd { run, outcome, outputs })) {
            watch.note(&format!("the log does not say yet how the run ended: {problem}"));
        }
    }
}

/// Names that lead to different variables, and that are names of folders.
fn names(run: &Run) -> Result<(), RunError> {
    let inputs = run.inputs.iter().map(|(name, _)| ("INPUT", name));
    let outputs = run.outputs.iter().map(|(name, _)| ("OUTPUT", name));
    let mut seen = BTreeSet::new();
    for (kind, name) in inputs.chain(outputs) {
        let is_name = name.parse::<Name>().is_ok();
        if !is_name || !seen.insert(variable(kind, name)) {
            return Err(RunError::Name(name.clone()));
        }
    }
    Ok(())
}

fn told(problem: &Problem) -> String {
    let mut why = problem.to_string();
    why.truncate(why.floor_char_boundary(512));
    why
}

struct Running<'a> {
    client: &'a Client,
    run: &'a Run,
    started: &'a RunStarted,
    control: &'a Control<'a>,
    program: &'a Path,
}

/// An input with its keys.
struct Input<'a> {
    name: &'a str,
    packed: Packed<'a>,
}

impl Running<'_> {
    fn go(&self) -> Result<RunReport, Problem> {
        let grants = self.grants()?;
        let mut inputs = Vec::with_capacity(grants.len());
        for ((name, reference), grant) in self.run.inputs.iter().zip(&grants) {
            let packed = Packed::open(self.client.store(), grant, reference.path.as_deref())?;
            inputs.push(Input { name, packed });
        }
        let total = inputs.iter().map(|input| input.packed.len()).fold(0, u64::saturating_add);
        let mut room = self.room(&inputs, total)?;
        // What a run was is looked up while its inputs are opened, and the keeper is asked all the while.
        std::thread::scope(|scope| {
            let provenance = scope.spawn(|| provenance::of(&self.run.command, self.program));
            let renewing = self.control.renewing(scope, self.client, self.started, &room.link)?;
            let done = self.within(&mut room, inputs, total, || {
                provenance.join().map_err(|_| Problem::new(Code::Internal, "cannot run the command", "a thread died"))
            });
            drop(renewing);
            done
        })
    }

    fn grants(&self) -> Result<Vec<Grant>, Problem> {
        let mut grants = Vec::with_capacity(self.started.inputs.len());
        for item in &self.started.inputs {
            let path = item.reference.split('@').next().unwrap_or_default();
            let confirm = self.run.confirm.iter().find(|confirm| *confirm == path).cloned();
            let why = Why { reason: self.run.reason.clone(), confirm };
            grants.push(self.client.seat().release_input(item, &why, self.started.run)?);
        }
        Ok(grants)
    }

    /// A room in memory, or an error: never a folder on a disk.
    fn room(&self, inputs: &[Input<'_>], total: u64) -> Result<room::Room, Problem> {
        let memory = Memory::of_this_machine();
        let free = memory.map(|memory| memory.available);
        let allowed = free.into_iter().chain(self.run.size_bytes).min();
        if let Some(available) = allowed.filter(|bytes| *bytes < total) {
            return Err(RunError::Memory { needed: total, available }.into());
        }
        let fallback = Memory { total: 8 << 30, available: 8 << 30 };
        let size_bytes = self.run.size_bytes.unwrap_or_else(|| memory.unwrap_or(fallback).size_for(total));
        let scratch = self.client.scratch();
        let run = self.run;
        let plan =
            Plan { run: self.started.run, scratch: &scratch, size_bytes, helper: &run.helper, command: &run.command };
        let kinds = match run.room {
            Some(kind) => vec![kind],
            None => vec![Room::Namespace, Room::Folder],
        };
        let mut refusals = Vec::new();
        for kind in kinds {
            let made = Ready::find(kind, &plan).map_err(|e| e.to_string()).and_then(|ready| {
                let environment = self.environment(ready.path(), inputs);
                ready.make(&plan, &environment).map_err(|(why, ready)| {
                    ready.discard();
                    why
                })
            });
            match made {
                Ok(room) => {
                    if let Some(why) = refusals.first() {
                        self.control.note(&format!("files are kept in memory that others of this account see: {why}"));
                    }
                    return Ok(room);
                }
                Err(why) => refusals.push(format!("no {}: {why}", kind.word())),
            }
        }
        Err(room::refused(&refusals.join("; ")))
    }

    fn environment(&self, room: &Path, inputs: &[Input<'_>]) -> Vec<(OsString, OsString)> {
        let place = |input: &Input<'_>| {
            let folder = format!("in/{}", input.name).into_bytes();
            let place = match input.packed.file_name() {
                Some(file) => [&folder, b"/".as_slice(), file].concat(),
                None => folder,
            };
            (input.name.to_owned(), place)
        };
        let inputs: Vec<_> = inputs.iter().map(place).collect();
        let outputs: Vec<_> = self.run.outputs.iter().map(|(name, _)| name.clone()).collect();
        environment::of(room, self.started.run, &inputs, &outputs)
    }

    /// Fills the room, runs the command, and seals what it made.
    fn within(
        &self,
        room: &mut room::Room,
        inputs: Vec<Input<'_>>,
        total: u64,
        provenance: impl FnOnce() -> Result<Provenance, Problem>,
    ) -> Result<RunReport, Problem> {
        // What stopped it says more than that it was stopped.
        self.fill(room, inputs, total).map_err(|problem| self.control.stopped().unwrap_or(problem))?;
        let provenance = provenance()?;
        let ended = self.command(room)?;
        room.ended();
        let outcome = match ended {
            Ended::Exited(code) => RunOutcome::Exited { code },
            Ended::Signalled(signal) => RunOutcome::Signalled { signal },
        };
        let outputs = match outcome {
            RunOutcome::Exited { code: 0 } => self.seal(room, &provenance)?,
            _ => Vec::new(),
        };
        let inputs = self.started.inputs.iter().map(|item| item.reference.clone()).collect();
        Ok(RunReport { run: self.started.run, outcome, room: room.kind.word(), inputs, outputs })
    }

    fn fill(&self, room: &room::Room, inputs: Vec<Input<'_>>, total: u64) -> Result<(), Problem> {
        let failed = |e: std::io::Error| room::refused(&e.to_string());
        let outputs = self.run.outputs.iter().map(|(name, _)| format!("out/{name}"));
        for folder in environment::FOLDERS.map(str::to_owned).into_iter().chain(outputs) {
            room.folder(&folder).map_err(failed)?;
        }
        self.control.stage("opening", Some(total));
        for Input { name, packed } in inputs {
            let folder = room.folder(&format!("in/{name}")).map_err(failed)?;
            packed.unpack(&Stage::new(folder, Granted::OWNER), self.control)?;
        }
        check(self.control, "run")
    }

    /// Starts the command and waits for its end.
    fn command(&self, room: &room::Room) -> Result<Ended, Problem> {
        let failed = |why: String| Problem::new(Code::Unavailable, "cannot run the command", why);
        let stdin = rustix::stdio::stdin();
        self.control.start()?;
        room.link.send(&Message::Go, Some(stdin.as_fd())).map_err(|e| failed(e.to_string()))?;
        let ended = loop {
            match room.link.receive().map_err(|e| failed(e.to_string()))? {
                Some((Message::Exited(code), _)) => break Ended::Exited(code),
                Some((Message::Signalled(signal), _)) => break Ended::Signalled(signal),
                Some((Message::NotStarted(why), _)) => return Err(failed(why)),
                Some(_) => {}
                // Whoever waited for it was killed, and it with them.
                None => break Ended::Signalled(9),
            }
        };
        self.control.over();
        self.control.stopped().map_or(Ok(ended), Err)
    }
}
