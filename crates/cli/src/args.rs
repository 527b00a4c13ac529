//! The whole command line as types. What each flag means is said here and nowhere else; `help` and the reference are generated.

mod admin;
mod alias;
mod ask;
mod audit;
mod backup;
mod data;
mod depot;
mod incident;
mod keeping;
mod late;
mod root;
mod run;
mod value;
mod values;

pub use admin::{
    DoctorArgs, GcArgs, InitArgs, JobsCommand, KeyArchiveArgs, KeyCertificateArgs, KeyCommand, KeyDestroyArgs,
    KeyMoveArgs, KeyRotateArgs, KeyUnarchiveArgs, MigrateArgs, PolicyCommand, PrincipalAddArgs, PrincipalCommand,
    RecoverArgs, RecoveryArgs, ReencryptArgs, RootKindArg, StatusArgs, UnlockArgs,
};
pub use alias::AliasCommand;
pub use ask::{WhoCanArgs, WhoDidArgs};
pub use audit::{AuditCommand, AuditQueryArgs};
pub use backup::{BackupCommand, BackupRestoreArgs, OpensArgs};
#[cfg(feature = "share")]
pub use data::ShareArgs;
pub use data::{
    CatArgs, DiffArgs, GetArgs, HistoryArgs, LineageArgs, LineageCommand, LsArgs, PutArgs, ReasonArgs, VerifyArgs,
};
pub use depot::{BucketArgs, DepotAddArgs, DepotCheckArgs, DepotCommand};
pub use incident::IncidentCommand;
pub use keeping::{HoldCommand, RemovalArgs, RetentionCommand, RmArgs};
pub use late::Late;
pub use root::{
    EscrowCommand, EscrowCreateArgs, EscrowRecoverArgs, Pkcs11Args, RootAddCommand, RootCommand, RotateArgs, SharesArgs,
};
pub use run::{RoomArg, RunArgs};
pub use value::{Asserted, ByteRange, Duration, Expected, Pair, Percent, Size, Tag};
pub use values::{DecryptArgs, EncryptArgs};

use clap::builder::styling::{AnsiColor, Style, Styles};
use clap::builder::{BoolishValueParser, TypedValueParser as _};
use clap::{ArgAction, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// Protects model artifacts and sensitive data: sealed at the source, opened only where policy allows, every release in a log.
#[derive(Debug, Parser)]
#[command(name = "strongroom", version, max_term_width = 100, disable_help_subcommand = true, styles = STYLES)]
#[command(after_help = "References: WORKSPACE/ARTIFACT[@v3|@alias][/path/in/artifact]; no @ means the latest version.
Exit codes: 0 ok, 1 error, 2 usage, 3 not found, 4 sign in or unlock, 5 denied, 6 approval needed,
7 integrity, 8 conflict, 9 temporary, 10 gone, 130 interrupted.
Environment: every flag has a variable, such as STRONGROOM_VAULT and STRONGROOM_PUT_CLASS.")]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Heads and names stand out; nothing else does.
const STYLES: Styles = Styles::plain()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(Style::new().bold())
    .placeholder(Style::new());

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The vault folder [default: the nearest .strongroom upwards]
    #[arg(long, global = true, value_name = "DIR")]
    pub vault: Option<PathBuf>,
    /// Act as this principal (rehearsal vaults); for `policy explain`, about whom to ask
    #[arg(long = "as", global = true, value_name = "PRINCIPAL")]
    pub principal: Option<String>,
    /// What this session proved, on your word: mfa=now or mfa=none (rehearsal vaults) [default: mfa=now]
    #[arg(long = "assert", global = true, value_name = "FACT")]
    pub presence: Option<Asserted>,
    /// How to print
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Whether to show progress bars on standard error
    #[arg(long, global = true, value_enum, value_name = "WHEN")]
    pub progress: Option<When>,
    /// The root's key file [default: $XDG_CONFIG_HOME/strongroom/<vault id>.key]
    #[arg(long, global = true, value_name = "PATH")]
    pub keyfile: Option<PathBuf>,
    /// Read the passphrase from this file instead of a prompt
    #[arg(long, global = true, value_name = "PATH")]
    pub passphrase_file: Option<PathBuf>,
    /// The log's anchor [default: $XDG_STATE_HOME/strongroom/<vault id>.anchor]
    #[arg(long, global = true, value_name = "PATH")]
    pub anchor: Option<PathBuf>,
    /// Print results and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more about what happens
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Do not ask for confirmation
    #[arg(short, long, global = true)]
    pub yes: bool,
    /// Say what would happen, and do nothing
    #[arg(short = 'n', long, global = true)]
    pub dry_run: bool,
    /// A root or an anchor was named for this command, so it opens the vault itself and asks no agent.
    #[arg(skip)]
    pub opens_itself: bool,
}

impl Global {
    /// Whether a root or an anchor is named, by a flag or its variable.
    pub fn names_what_opens(&self) -> bool {
        self.keyfile.is_some() || self.passphrase_file.is_some() || self.anchor.is_some()
    }
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// As `human`.
    Auto,
    /// Text for people.
    Human,
    /// One JSON object.
    Json,
    /// One JSON object per line, for commands that list.
    Jsonl,
}

/// When to do something that only suits a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What was asked for, and the words of the command, for `strongroom WORDS --help`.
///
/// # Errors
/// When that is no command of ours; help and version too.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<(Cli, String), clap::Error> {
    let words: Vec<OsString> = words.into_iter().collect();
    // What is wrong, or is no command, the whole command line tells.
    parsed(lean(&words), &words).or_else(|_| parsed(Cli::command(), &words))
}

fn parsed(command: clap::Command, words: &[OsString]) -> Result<(Cli, String), clap::Error> {
    let mut command = prepared(command, "STRONGROOM", &|name| words.iter().any(|word| word == name));
    let matches = command.try_get_matches_from_mut(words)?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    // Freeing some thousand small pieces takes longer than the end of the process.
    std::mem::forget(command);
    let below = std::iter::successors(matches.subcommand(), |(_, matches)| matches.subcommand());
    let words: Vec<&str> = below.map(|(name, _)| name).collect();
    Ok((cli, words.join(" ")))
}

/// The command line with those commands only that these words may call: giving every command the global options is most of what
/// parsing costs. What this takes, the whole one takes alike.
fn lean(words: &[OsString]) -> clap::Command {
    let all = late::called_by(words, || Command::augment_subcommands(clap::Command::new("strongroom")));
    let called = all.get_subcommands().filter(|sub| words.iter().any(|word| word == sub.get_name()));
    let root = Global::augment_args(clap::Command::new("strongroom")).subcommand_required(true);
    let root = called.fold(root, |root, sub| root.subcommand(sub.clone()));
    std::mem::forget(all);
    root.disable_help_subcommand(true)
}

/// The words of the command that arguments name, as far as they name one.
pub fn words(arguments: impl IntoIterator<Item = OsString>) -> String {
    let mut command = &command();
    let mut words = Vec::new();
    for argument in arguments {
        if let Some(below) = command.find_subcommand(&argument) {
            words.push(below.get_name());
            command = below;
        }
    }
    words.join(" ")
}

/// The command line, with a variable of the environment for every flag: `STRONGROOM_VAULT` for a global one, `STRONGROOM_PUT_CLASS`
/// for one of a command.
pub fn command() -> clap::Command {
    prepared(Cli::command(), "STRONGROOM", &|_| true)
}

/// With variables for the command itself and those below it that may be called. The whole tree is most of what parsing costs, and a
/// command that is called is among the arguments.
fn prepared(command: clap::Command, prefix: &str, is_called: &dyn Fn(&str) -> bool) -> clap::Command {
    let below = |name: &str| format!("{prefix}_{}", name.replace('-', "_").to_uppercase());
    let command = command.mut_args(|arg| {
        let Some(variable) = arg.get_long().map(below) else { return arg };
        let switch = matches!(arg.get_action(), ArgAction::SetTrue);
        if !switch {
            return arg.env(variable).hide_env(true);
        }
        // As people write them: 1, yes and on are true as well.
        let arg = arg.value_parser(BoolishValueParser::new());
        if ON_PURPOSE.contains(&arg.get_id().as_str()) || says_no(&variable) {
            arg
        } else {
            arg.env(variable).hide_env(true)
        }
    });
    command.mut_subcommands(|sub| {
        let prefix = below(sub.get_name());
        if is_called(sub.get_name()) { prepared(sub, &prefix, is_called) } else { sub }
    })
}

/// Switches that overrule what protects the vault, or reach all of something: said each time, and never by a variable that is set somewhere.
const ON_PURPOSE: [&str; 6] = ["new_anchor", "accept_clock", "accept_fork", "all_versions", "keep_everything", "lost"];

/// Whether a switch's variable says no. To the parser even such a switch would be given, and would fulfil or exclude others.
fn says_no(variable: &str) -> bool {
    let parsed = |value: OsString| BoolishValueParser::new().parse_ref(&clap::Command::new(""), None, &value).ok();
    std::env::var_os(variable).and_then(parsed) == Some(false)
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a vault
    Init(Late<InitArgs>),
    /// Seal a file, a folder or standard input as a new version
    Put(Late<PutArgs>),
    /// Open a version onto the disk
    Get(Late<GetArgs>),
    /// Export a version for others, as an age file: it cannot be recalled
    #[cfg(feature = "share")]
    Share(Late<ShareArgs>),
    /// Write a file of a version to standard output
    Cat(Late<CatArgs>),
    /// Run a command over versions in memory, and seal what it makes
    Run(Late<RunArgs>),
    /// List workspaces, artifacts, or files inside a version
    Ls(Late<LsArgs>),
    /// Show one version
    Show {
        /// The version
        #[arg(value_name = "REF")]
        reference: String,
    },
    /// List the versions of an artifact, newest first
    History(Late<HistoryArgs>),
    /// Compare two versions: files added, removed and changed
    Diff(Late<DiffArgs>),
    /// What versions were made from, and what was made from them
    #[command(subcommand)]
    Lineage(Late<LineageCommand>),
    /// Movable names of versions
    #[command(subcommand)]
    Alias(Late<AliasCommand>),
    /// Remove a version, or all of an artifact: it can be restored for a while
    Rm(Late<RmArgs>),
    /// Restore a version that was removed
    Undelete {
        /// The version, by number
        #[arg(value_name = "REF")]
        reference: String,
    },
    /// How long versions are kept
    #[command(subcommand)]
    Retention(Late<RetentionCommand>),
    /// Legal holds: what is under one is not removed
    #[command(subcommand)]
    Hold(Late<HoldCommand>),
    /// Check that the depot holds what was put, and that the log is whole
    Verify(Late<VerifyArgs>),
    /// Show the state of the vault
    Status(Late<StatusArgs>),
    /// Show who is acting, with which roles, in which vault
    Whoami,
    /// Check what is around the vault: permissions, anchor, clock, disk, memory, and what was left behind
    Doctor(Late<DoctorArgs>),
    /// List everybody who may do something, now or at a time, and what lets them
    WhoCan(Late<WhoCanArgs>),
    /// List what was done to an artifact and what was refused, newest first
    WhoDid(Late<WhoDidArgs>),
    /// Explain a decision that was made, by the facts and policies of its time
    Explain {
        /// The decision, as a refusal or the log names it
        #[arg(value_name = "DECISION")]
        decision: String,
    },
    /// Seal a small value, such as a password of a service or a field of a database, under a named key
    Encrypt(Late<EncryptArgs>),
    /// Open a small value that `encrypt` sealed
    Decrypt(Late<DecryptArgs>),
    /// Domain keys, named keys and signing keys
    #[command(subcommand)]
    Key(Late<KeyCommand>),
    /// Compromised keys: what each touched, and what is still to be done
    #[command(subcommand)]
    Incident(Late<IncidentCommand>),
    /// What opens the vault: key files, tokens, cloud keys
    #[command(subcommand)]
    Root(Late<RootCommand>),
    /// A key in several hands, for the day on which nothing else opens the vault
    #[command(subcommand)]
    Escrow(Late<EscrowCommand>),
    /// Everything but the ciphertext in one sealed file, and a vault of it again
    #[command(subcommand)]
    Backup(Late<BackupCommand>),
    /// Users, services and workloads
    #[command(subcommand)]
    Principal(Late<PrincipalCommand>),
    /// The policy set
    #[command(subcommand)]
    Policy(Late<PolicyCommand>),
    /// The log of everything that happened
    #[command(subcommand)]
    Audit(Late<AuditCommand>),
    /// Delete what no version needs any more from the depot
    Gc(Late<GcArgs>),
    /// Where the data lies: one depot, and copies of it in others
    #[command(subcommand)]
    Depot(Late<DepotCommand>),
    /// Work that waits between commands
    #[command(subcommand)]
    Jobs(Late<JobsCommand>),
    /// Keep the vault open for a while: commands need neither passphrase nor the time to open it
    Unlock(Late<UnlockArgs>),
    /// Close the vault that `unlock` keeps open
    Lock,
    /// Give the vault a new key file or passphrase with its recovery code; those before open nothing any more
    Recover(Late<RecoverArgs>),
    /// What `unlock` starts
    #[command(hide = true)]
    Agent,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Write the manual page of every command
    Man {
        /// A folder for all of them [default: the first one, on standard output]
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// What stands below the help of commands is broken by hand, and again by whoever prints it.
    #[test]
    fn no_line_below_a_help_is_broken_twice() {
        fn look(command: &clap::Command) {
            let below = [command.get_after_help(), command.get_after_long_help()].into_iter().flatten();
            for line in below.flat_map(|text| text.to_string().lines().map(str::to_owned).collect::<Vec<_>>()) {
                assert!(line.chars().count() <= 100, "{}: {line}", command.get_name());
            }
            command.get_subcommands().for_each(look);
        }
        look(&command());
    }

    /// Every flag as `command --flag`, with its variable.
    fn flags(command: &clap::Command, words: &str, out: &mut Vec<(String, Option<String>)>) {
        for arg in command.get_arguments() {
            if let Some(long) = arg.get_long() {
                let variable = arg.get_env().map(|name| name.to_string_lossy().into_owned());
                out.push((format!("{words}--{long}"), variable));
            }
        }
        for sub in command.get_subcommands() {
            flags(sub, &format!("{words}{} ", sub.get_name()), out);
        }
    }

    #[test]
    fn every_flag_has_a_variable_of_its_own() {
        let mut found = Vec::new();
        flags(&command(), "", &mut found);
        assert!(found.len() > 60, "{}", found.len());
        let mut by_variable = BTreeMap::new();
        for (flag, variable) in found {
            if ON_PURPOSE.iter().any(|id| flag.ends_with(&format!("--{}", id.replace('_', "-")))) {
                assert_eq!(variable, None, "{flag}");
                continue;
            }
            let variable = variable.unwrap_or_else(|| panic!("{flag} has no variable"));
            let words = flag.replace([' ', '-'], "_").replace("___", "_").replace("__", "_").to_uppercase();
            assert_eq!(variable, format!("STRONGROOM_{}", words.trim_start_matches('_')), "{flag}");
            if let Some(other) = by_variable.insert(variable.clone(), flag.clone()) {
                panic!("{variable} is of {other} and of {flag}");
            }
        }
    }

    #[test]
    fn the_words_of_a_command_are_the_parsers() {
        let words = |line: &str| parse(line.split(' ').map(OsString::from)).map(|(_, words)| words).unwrap();
        assert_eq!(words("strongroom put f lab/a"), "put");
        assert_eq!(words("strongroom --vault v policy explain read lab/a --as alice"), "policy explain");
        assert_eq!(words("strongroom audit tail"), "audit tail");
    }

    /// `key ls`, for every command that has none below it.
    fn leaves(command: &clap::Command, words: &str, out: &mut Vec<String>) {
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            let words = format!("{words} {}", sub.get_name()).trim_start().to_owned();
            if sub.has_subcommands() { leaves(sub, &words, out) } else { out.push(words) }
        }
    }

    /// The commands in backticks of the first column of the table; a word alone may stand for `alias rm` after `alias set`.
    fn documented(text: &str) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for row in text.lines().filter_map(|line| line.strip_prefix("| ")) {
            let (mut above, cell) = (String::new(), row.split('|').next().unwrap_or_default());
            for words in cell.split('`').skip(1).step_by(2) {
                found.push(words.to_owned());
                found.push(format!("{above} {words}"));
                above = words.split(' ').next().unwrap_or_default().to_owned();
            }
        }
        found
    }

    #[test]
    fn every_command_says_in_the_documents_what_its_json_is() {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/json.md")).unwrap();
        let (documented, mut commands) = (documented(&text), Vec::new());
        leaves(&command(), "", &mut commands);
        assert!(commands.len() > 30, "{commands:?}");
        let missing: Vec<&String> = commands.iter().filter(|words| !documented.contains(words)).collect();
        assert!(missing.is_empty(), "docs/json.md does not name {missing:?}");
    }

    #[test]
    fn the_parser_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn the_lean_command_line_takes_what_the_whole_one_takes() {
        for (line, taken) in [
            ("put a lab/b --class restricted", true),
            ("-q --as put get lab/b out", true),
            ("--as put get", false),
            ("put get put/get", true),
            ("key rotate --workspace key", true),
            ("run --input in=lab/a -- put x", true),
            ("audit show put", true),
            ("audit put", false),
            ("get", false),
            ("--version", false),
            ("put --help", false),
            ("push a", false),
            ("", false),
        ] {
            let words: Vec<OsString> =
                ["strongroom"].into_iter().chain(line.split_whitespace()).map(Into::into).collect();
            let (lean, whole) = (parsed(lean(&words), &words), parsed(Cli::command(), &words));
            assert_eq!(lean.is_ok(), taken, "{line}");
            assert_eq!(format!("{:?}", lean.ok()), format!("{:?}", whole.ok()), "{line}");
        }
    }
}
