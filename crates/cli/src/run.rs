//! One function for each command: from arguments to a call of the client, from its answer to output.

mod admin;
mod agent;
mod alias;
mod archive;
mod ask;
mod audit;
mod backup;
mod command;
mod data;
mod depot;
mod destroy;
mod diff;
mod doctor;
mod escrow;
mod incident;
mod init;
mod jobs;
mod keeping;
mod lineage;
mod man;
mod migrate;
pub mod near;
mod policy;
mod recover;
mod recovery;
mod reencrypt;
mod root;
mod rotate;
mod rotate_root;
#[cfg(feature = "share")]
mod share;
mod values;

use crate::args::{Cli, Command, Format, Global, Late, When};
use crate::config::Config;
use crate::output::{Failure, Output, on_terminal, print, printable, stderr};
use crate::progress::Terminal;
use crate::unlock;
use api::terms::{Code, Exit};
use api::wire::Problem;
use client::{Client, Why};
use std::collections::BTreeMap;

/// What every command needs.
pub struct Context {
    global: Global,
    config: Config,
    output: Output,
}

/// Runs a command, which is called by these words; answers its exit code, or what went wrong and whether to say it in JSON.
pub fn run(cli: Cli, words: &str) -> Result<u8, (Failure, bool)> {
    let Cli { mut global, command } = cli;
    let is_json = |format| matches!(format, Some(Format::Json | Format::Jsonl));
    let early = is_json(global.format);
    if matches!(command, Command::Agent) {
        return agent::agent().map_err(|failure| (failure, early));
    }
    // Named for this command, by a flag or its variable; the user's configuration only says where things are.
    global.opens_itself = global.names_what_opens();
    let here = std::env::current_dir().map_err(|e| (Failure::from_io("cannot tell the working folder", &e), early))?;
    let config = Config::load(&here).map_err(|failure| (failure, early))?;
    config.fill(&mut global).map_err(|failure| (failure, early))?;
    let json = is_json(global.format);
    let output = Output::new(global.format.unwrap_or(Format::Auto), global.quiet, global.verbose);
    let context = Context { global, config, output };
    dispatch(&context, command).map_err(|failure| (failure.of_command(words), json))
}

fn dispatch(context: &Context, command: Command) -> Result<u8, Failure> {
    match command {
        Command::Init(Late(args)) => init::init(context, &args),
        Command::Put(Late(args)) => data::put(context, args),
        Command::Get(Late(args)) => data::get(context, &args),
        #[cfg(feature = "share")]
        Command::Share(Late(args)) => share::share(context, args),
        Command::Cat(Late(args)) => data::cat(context, &args),
        Command::Run(Late(args)) => command::run(context, &args),
        Command::Ls(Late(args)) => data::ls(context, &args),
        Command::Show { reference } => data::show(context, &reference),
        Command::History(Late(args)) => data::history(context, &args),
        Command::Diff(Late(args)) => diff::diff(context, &args),
        Command::Lineage(Late(command)) => lineage::lineage(context, &command),
        Command::Alias(Late(command)) => alias::alias(context, command),
        Command::Rm(Late(args)) => keeping::remove(context, &args),
        Command::Undelete { reference } => keeping::restore(context, &reference),
        Command::Retention(Late(command)) => keeping::retention(context, &command),
        Command::Hold(Late(command)) => keeping::hold(context, &command),
        Command::Verify(Late(args)) => data::verify(context, &args),
        Command::Status(Late(args)) => admin::status(context, &args),
        Command::WhoCan(Late(args)) => ask::who_can(context, args),
        Command::WhoDid(Late(args)) => ask::who_did(context, &args),
        Command::Explain { decision } => ask::explain(context, &decision),
        Command::Whoami => admin::whoami(context),
        Command::Doctor(Late(args)) => doctor::doctor(context, &args),
        Command::Encrypt(Late(args)) => values::encrypt(context, &args),
        Command::Decrypt(Late(args)) => values::decrypt(context, &args),
        Command::Key(Late(command)) => admin::key(context, command),
        Command::Incident(Late(command)) => incident::incident(context, &command),
        Command::Root(Late(command)) => root::root(context, command),
        Command::Escrow(Late(command)) => escrow::escrow(context, command),
        Command::Backup(Late(command)) => backup::backup(context, command),
        Command::Principal(Late(command)) => admin::principal(context, command),
        Command::Policy(Late(command)) => policy::policy(context, command),
        Command::Audit(Late(command)) => audit::audit(context, command),
        Command::Depot(Late(command)) => depot::depot(context, &command),
        Command::Gc(Late(args)) => admin::gc(context, &args),
        Command::Unlock(Late(args)) => agent::unlock(context, &args),
        Command::Recover(Late(args)) => recover::recover(context, &args),
        Command::Lock => agent::lock(context),
        Command::Agent => agent::agent(),
        Command::Jobs(Late(command)) => jobs::jobs(context, &command),
        Command::Completions { shell } => print(&crate::complete::script(shell)?).map(|()| 0),
        Command::Man { folder } => man::man(context, folder.as_deref()),
    }
}

/// What a further check found, or why it could not be made: what was found before it is told either way.
fn further<T>(check: Option<Result<T, Problem>>) -> (Option<T>, Option<Problem>) {
    match check {
        None => (None, None),
        Some(Ok(found)) => (Some(found), None),
        Some(Err(problem)) => (None, Some(problem)),
    }
}

impl Context {
    /// Opens the vault, acts, and ends the session, so that the log is integrated before the command exits.
    fn with<T>(&self, act: impl FnOnce(&Client) -> Result<T, Failure>) -> Result<T, Failure> {
        self.acting(&self.global, act)
    }

    /// As [`Self::with`], as the vault's owner whatever `--as` says.
    fn with_owner<T>(&self, act: impl FnOnce(&Client) -> Result<T, Failure>) -> Result<T, Failure> {
        self.acting(&Global { principal: None, ..self.global.clone() }, act)
    }

    /// As [`Self::with`], with a clock that only a command on the clock itself may go by.
    fn with_any_clock<T>(&self, act: impl FnOnce(&Client) -> Result<T, Failure>) -> Result<T, Failure> {
        self.using(&self.global, unlock::open_with_any_clock(&self.global)?, act)
    }

    fn acting<T>(&self, global: &Global, act: impl FnOnce(&Client) -> Result<T, Failure>) -> Result<T, Failure> {
        self.using(global, unlock::open(global)?, act)
    }

    fn using<T>(
        &self,
        global: &Global,
        client: Client,
        act: impl FnOnce(&Client) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.output.detail(&format!("vault {} in {}", client.vault(), unlock::folder(global)?.display()));
        let done = act(&client);
        self.tell_elsewhere(&client)?;
        self.tell_not_copied(&client)?;
        match (done, client.close()) {
            (Ok(done), Ok(())) => Ok(done),
            (Err(failure), Ok(())) => Err(failure),
            // What was done stands and is logged, but the log is not what was signed: said by the exit code too.
            (Ok(_), Err(problem)) if problem.code.exit() == Exit::Integrity => Err(Failure::from(problem)),
            (done, Err(problem)) => {
                self.output.warn(&problem.to_string());
                done
            }
        }
    }

    /// Says which copies were passed over, and that what was read is from another depot.
    fn tell_elsewhere(&self, client: &Client) -> Result<(), Failure> {
        let text = |place: &str, first: &client::Seen, more: usize| {
            let more = if more > 0 { format!(", and {more} more") } else { String::new() };
            format!("not read from the depot {place}: object {}{more}: {}", first.object, first.what)
        };
        let hint = "other depots were asked instead: see strongroom depot check";
        self.tell_by_depot("read-elsewhere", &client.read_elsewhere(), |one| &one.place, text, hint)
    }

    /// Says which depots besides the primary did not take what was put.
    fn tell_not_copied(&self, client: &Client) -> Result<(), Failure> {
        let text = |place: &str, first: &client::NotCopied, more: usize| {
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{}{more} not in the depot {place} yet: {}", first.version, first.what)
        };
        let hint = "the job `copy` brings it there: strongroom depot copy";
        self.tell_by_depot("not-copied", &client.not_copied(), |one| &one.place, text, hint)
    }

    /// A line of JSON, or a warning for each depot, with the first of its items and how many more there are.
    fn tell_by_depot<T: serde::Serialize>(
        &self,
        kind: &str,
        items: &[T],
        place: impl Fn(&T) -> &str,
        text: impl Fn(&str, &T, usize) -> String,
        hint: &str,
    ) -> Result<(), Failure> {
        if items.is_empty() {
            return Ok(());
        }
        if self.output.is_json() {
            stderr(&self.output.as_line(kind, &serde_json::json!({"items": items}))?);
            return Ok(());
        }
        let mut by_depot: BTreeMap<&str, (&T, usize)> = BTreeMap::new();
        for one in items {
            by_depot.entry(place(one)).and_modify(|(_, more)| *more += 1).or_insert((one, 0));
        }
        for (place, (first, more)) in by_depot {
            self.output.warn(&text(place, first, more));
        }
        self.output.warn(hint);
        Ok(())
    }

    fn quiet(&self) -> bool {
        self.global.quiet || self.output.is_json()
    }

    /// What an operation reports to, with Ctrl-C caught from here on.
    fn terminal(&self) -> Terminal {
        Terminal::new(self.global.progress.unwrap_or(When::Auto), self.quiet(), self.output)
    }

    /// Acts; if a reason and a confirmation are missing and somebody is there, asks for them and acts again.
    fn with_reasons<T>(&self, why: Why, mut act: impl FnMut(&Why) -> Result<T, Failure>) -> Result<T, Failure> {
        match act(&why) {
            Err(Failure::Problem(problem)) if problem.code == Code::ConfirmationNeeded && on_terminal() => {
                Failure::Problem(problem).report(false);
                let reason = match why.reason {
                    Some(reason) => reason,
                    None => ask("Reason: ")?,
                };
                let confirm = match why.confirm {
                    Some(confirm) => confirm,
                    None => ask("WORKSPACE/ARTIFACT again, to confirm: ")?,
                };
                act(&Why { reason: Some(reason), confirm: Some(confirm) })
            }
            other => other,
        }
    }

    /// Asks a question; `--yes` answers it, and where nobody is there it is an error.
    fn confirmed(&self, question: &str) -> Result<(), Failure> {
        if self.global.yes {
            return Ok(());
        }
        if !on_terminal() {
            return Err(Failure::usage("not confirmed", format!("{question} Give --yes to say so")));
        }
        match ask(&format!("{question} [y/N] "))?.as_str() {
            "y" | "Y" | "yes" => Ok(()),
            _ => Err(Failure::usage("not confirmed", "nothing was done")),
        }
    }
}

fn ask(prompt: &str) -> Result<String, Failure> {
    use std::io::Write as _;
    let failed = |e: std::io::Error| Failure::from_io("cannot ask", &e);
    std::io::stderr().write_all(printable(prompt).as_bytes()).map_err(failed)?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(failed)?;
    Ok(line.trim().to_owned())
}

fn why(args: &crate::args::ReasonArgs) -> Why {
    Why { reason: args.reason.clone(), confirm: args.confirm.clone() }
}
