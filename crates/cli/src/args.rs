//! The whole command line as types. What each flag means is said here and nowhere else; `help` and the reference are generated.

mod admin;
mod audit;
mod data;
mod value;

pub use admin::{
    GcArgs, InitArgs, KeyCommand, PolicyCommand, PrincipalAddArgs, PrincipalCommand, RootKindArg, StatusArgs,
};
pub use audit::{AuditCommand, AuditQueryArgs};
pub use data::{CatArgs, GetArgs, HistoryArgs, LsArgs, PutArgs, ReasonArgs, VerifyArgs};
pub use value::{Asserted, ByteRange, Duration, Tag};

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Protects model artifacts and sensitive data: sealed at the source, opened only where policy allows, every release in a log.
#[derive(Debug, Parser)]
#[command(name = "strongroom", version, max_term_width = 100, disable_help_subcommand = true)]
#[command(after_help = "References: WORKSPACE/ARTIFACT[@v3|@alias][/path/in/artifact]; no @ means the latest version.
Exit codes: 0 ok, 1 error, 2 usage, 3 not found, 4 sign in or unlock, 5 denied, 6 approval needed, 7 integrity,
8 conflict, 9 temporary, 10 gone, 130 interrupted.")]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The vault folder [default: the nearest .strongroom upwards]
    #[arg(long, global = true, value_name = "DIR", env = "STRONGROOM_VAULT", hide_env = true)]
    pub vault: Option<PathBuf>,
    /// Act as this principal (rehearsal vaults); for `policy explain`, about whom to ask
    #[arg(long = "as", global = true, value_name = "PRINCIPAL", env = "STRONGROOM_AS", hide_env = true)]
    pub principal: Option<String>,
    /// What this session proved, on your word: mfa=now or mfa=none (rehearsal vaults) [default: mfa=now]
    #[arg(long = "assert", global = true, value_name = "FACT", env = "STRONGROOM_ASSERT", hide_env = true)]
    pub presence: Option<Asserted>,
    /// How to print
    #[arg(long, global = true, value_enum, value_name = "FORMAT", env = "STRONGROOM_FORMAT", hide_env = true)]
    pub format: Option<Format>,
    /// Whether to show progress bars on standard error
    #[arg(long, global = true, value_enum, value_name = "WHEN", env = "STRONGROOM_PROGRESS", hide_env = true)]
    pub progress: Option<When>,
    /// The root's key file [default: $XDG_CONFIG_HOME/strongroom/<vault id>.key]
    #[arg(long, global = true, value_name = "PATH", env = "STRONGROOM_KEYFILE", hide_env = true)]
    pub keyfile: Option<PathBuf>,
    /// Read the passphrase from this file instead of a prompt
    #[arg(long, global = true, value_name = "PATH", env = "STRONGROOM_PASSPHRASE_FILE", hide_env = true)]
    pub passphrase_file: Option<PathBuf>,
    /// The log's anchor [default: $XDG_STATE_HOME/strongroom/<vault id>.anchor]
    #[arg(long, global = true, value_name = "PATH", env = "STRONGROOM_ANCHOR", hide_env = true)]
    pub anchor: Option<PathBuf>,
    /// Print results and errors only
    #[arg(short, long, global = true, env = "STRONGROOM_QUIET", hide_env = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more about what happens
    #[arg(short, long, global = true, env = "STRONGROOM_VERBOSE", hide_env = true)]
    pub verbose: bool,
    /// Do not ask for confirmation
    #[arg(short, long, global = true, env = "STRONGROOM_YES", hide_env = true)]
    pub yes: bool,
    /// Say what would happen, and do nothing
    #[arg(short = 'n', long, global = true, env = "STRONGROOM_DRY_RUN", hide_env = true)]
    pub dry_run: bool,
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

impl Command {
    /// Its words, for `strongroom WORDS --help`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Init(_) => "init",
            Self::Put(_) => "put",
            Self::Get(_) => "get",
            Self::Cat(_) => "cat",
            Self::Ls(_) => "ls",
            Self::Show { .. } => "show",
            Self::History(_) => "history",
            Self::Verify(_) => "verify",
            Self::Status(_) => "status",
            Self::Key(KeyCommand::Ls) => "key ls",
            Self::Key(KeyCommand::Show { .. }) => "key show",
            Self::Key(KeyCommand::Rotate { .. }) => "key rotate",
            Self::Principal(PrincipalCommand::Add(_)) => "principal add",
            Self::Principal(PrincipalCommand::Ls) => "principal ls",
            Self::Principal(PrincipalCommand::Show { .. }) => "principal show",
            Self::Policy(PolicyCommand::Show) => "policy show",
            Self::Policy(PolicyCommand::Lint { .. }) => "policy lint",
            Self::Policy(PolicyCommand::Test { .. }) => "policy test",
            Self::Policy(PolicyCommand::Explain { .. }) => "policy explain",
            Self::Policy(PolicyCommand::Apply { .. }) => "policy apply",
            Self::Audit(AuditCommand::Tail { .. }) => "audit tail",
            Self::Audit(AuditCommand::Query(_)) => "audit query",
            Self::Audit(AuditCommand::Show { .. }) => "audit show",
            Self::Audit(AuditCommand::Prove { .. }) => "audit prove",
            Self::Audit(AuditCommand::Verify { .. }) => "audit verify",
            Self::Audit(AuditCommand::Export { .. }) => "audit export",
            Self::Gc(_) => "gc",
            Self::Completions { .. } => "completions",
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a vault
    Init(InitArgs),
    /// Seal a file, a folder or standard input as a new version
    Put(PutArgs),
    /// Open a version onto the disk
    Get(GetArgs),
    /// Write a file of a version to standard output
    Cat(CatArgs),
    /// List workspaces, artifacts, or files inside a version
    Ls(LsArgs),
    /// Show one version
    Show {
        /// The version
        #[arg(value_name = "REF")]
        reference: String,
    },
    /// List the versions of an artifact, newest first
    History(HistoryArgs),
    /// Check that the depot holds what was put, and that the log is whole
    Verify(VerifyArgs),
    /// Show the state of the vault
    Status(StatusArgs),
    /// Domain keys and signing keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Users, services and workloads
    #[command(subcommand)]
    Principal(PrincipalCommand),
    /// The policy set
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// The log of everything that happened
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Delete what no version needs any more from the depot
    Gc(GcArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}
