//! Commands on data.

use super::{ByteRange, Percent, Tag};
use api::terms::{Class, Environment, Kind};
use clap::{Args, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// `put`
#[derive(Debug, Args)]
#[command(after_help = "A put of files that was interrupted keeps each finished segment (1 GiB)
for the same command again; what is smaller, and standard input, begins anew.")]
pub struct PutArgs {
    /// A file, a folder, or - for standard input
    #[arg(value_name = "SRC")]
    pub source: PathBuf,
    /// Where it goes
    #[arg(value_name = "WORKSPACE/ARTIFACT")]
    pub target: String,
    /// Classification: public, internal, confidential or restricted [default: the workspace's, else confidential]
    #[arg(long)]
    pub class: Option<Class>,
    /// Environment: dev, staging or prod [default: dev]
    #[arg(long = "env", value_name = "ENVIRONMENT")]
    pub environment: Option<Environment>,
    /// What it is: model, dataset, code or other
    #[arg(long)]
    pub kind: Option<Kind>,
    /// Attach a tag; may be repeated
    #[arg(long = "tag", value_name = "KEY=VALUE")]
    pub tags: Vec<Tag>,
    /// Move this alias to the new version
    #[arg(long, value_name = "NAME")]
    pub alias: Option<String>,
    /// What it was made from; may be repeated
    #[arg(long = "from", value_name = "REF")]
    pub from: Vec<String>,
    /// Put only what matches; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,
    /// Leave out what matches; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Seal and upload everything again, also what did not change: mends a version whose objects are damaged
    #[arg(long)]
    pub afresh: bool,
    /// Leave it to the job `copy` to bring it to depots besides the primary
    #[arg(long)]
    pub no_copy: bool,
}

/// Why, for restricted data.
#[derive(Debug, Clone, Default, Args)]
pub struct ReasonArgs {
    /// Why you need it (restricted data)
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// WORKSPACE/ARTIFACT again (restricted data in a solo vault)
    #[arg(long, value_name = "WORKSPACE/ARTIFACT")]
    pub confirm: Option<String>,
}

/// `get`
#[derive(Debug, Args)]
pub struct GetArgs {
    /// The version, or a file or folder in it
    #[arg(value_name = "REF")]
    pub reference: OsString,
    /// Where it goes; it must not exist yet, except a folder that a single file goes into
    #[arg(value_name = "DEST")]
    pub dest: PathBuf,
    /// Replace what is there
    #[arg(long)]
    pub force: bool,
    /// Why.
    #[command(flatten)]
    pub why: ReasonArgs,
}

/// `share`
#[cfg(feature = "share")]
#[derive(Debug, Args)]
#[command(after_help = "This is an export: what was shared cannot be recalled. A folder is shared as a tar archive.
The recipient opens it with age or rage: age -d -i KEY FILE > COPY, or age -d -i KEY FILE | tar -x")]
pub struct ShareArgs {
    /// The version, or a file or folder in it
    #[arg(value_name = "REF")]
    pub reference: OsString,
    /// The age file [default: named after the version, here]
    #[arg(value_name = "DEST")]
    pub dest: Option<PathBuf>,
    /// Who can open it: age1..., or the line of an ssh-ed25519 or ssh-rsa public key; may be repeated
    #[arg(long = "with", value_name = "RECIPIENT", required = true)]
    pub with: Vec<String>,
    /// What for; the log keeps it
    #[arg(long, value_name = "TEXT")]
    pub purpose: String,
    /// WORKSPACE/ARTIFACT again (restricted data in a solo vault)
    #[arg(long, value_name = "WORKSPACE/ARTIFACT")]
    pub confirm: Option<String>,
    /// Replace what is there
    #[arg(long)]
    pub force: bool,
}

/// `cat`
#[derive(Debug, Args)]
pub struct CatArgs {
    /// The file
    #[arg(value_name = "REF[/PATH]")]
    pub reference: OsString,
    /// Only these bytes: A-B (both included), A- or -N
    #[arg(long, value_name = "A-B", allow_hyphen_values = true)]
    pub bytes: Option<ByteRange>,
    /// Why.
    #[command(flatten)]
    pub why: ReasonArgs,
}

/// `ls`
#[derive(Debug, Args)]
pub struct LsArgs {
    /// Nothing for workspaces, a workspace for artifacts, a version for files
    #[arg(value_name = "WORKSPACE|REF[/PREFIX]")]
    pub what: Option<OsString>,
    /// At most this many
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// Continue after this one (`next` of the page before)
    #[arg(long, value_name = "NEXT")]
    pub after: Option<String>,
    /// Why.
    #[command(flatten)]
    pub why: ReasonArgs,
}

/// `history`
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// The artifact
    #[arg(value_name = "REF")]
    pub reference: String,
    /// At most this many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// Continue below this version number
    #[arg(long, value_name = "N")]
    pub before: Option<u64>,
}

/// `verify`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// These versions [default: the log and the anchor only]
    #[arg(value_name = "REF")]
    pub references: Vec<String>,
    /// Every version of every artifact
    #[arg(long, conflicts_with = "references")]
    pub all: bool,
    /// Read only a random part of the segments, as 5%, of these versions or of every one
    #[arg(long, value_name = "PERCENT", conflicts_with = "all")]
    pub sample: Option<Percent>,
    /// Rebuild the state from the log and compare it with the tables
    #[arg(long)]
    pub state: bool,
    /// Why.
    #[command(flatten)]
    pub why: ReasonArgs,
}

/// `diff`
#[derive(Debug, Args)]
#[command(after_help = "Exits with 0 whether there are differences or not, as git diff does;
with --exit-code with 1 if there are. Contents are compared by their digests,
for which both versions must be readable; else by type, size and mode alone.")]
pub struct DiffArgs {
    /// The version before, or a file or folder in it
    #[arg(value_name = "REF")]
    pub old: OsString,
    /// The version after, or a file or folder in it
    #[arg(value_name = "REF")]
    pub new: OsString,
    /// Compare names, types, sizes and modes only: nothing is opened for reading
    #[arg(long)]
    pub names_only: bool,
    /// Exit with 1 if there are differences
    #[arg(long)]
    pub exit_code: bool,
    /// At most this many; all are counted
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
    /// Continue after this path (`next` of the page before)
    #[arg(long, value_name = "NEXT")]
    pub after: Option<String>,
    /// Why.
    #[command(flatten)]
    pub why: ReasonArgs,
}

/// `lineage`
#[derive(Debug, Subcommand)]
pub enum LineageCommand {
    /// Show what a version was made from, and what that was made from, and so on
    Show(LineageArgs),
    /// Show what was made from a version as far as you may see it, and what from that, and so on
    Impact(LineageArgs),
}

/// `lineage show`, `lineage impact`
#[derive(Debug, Args)]
pub struct LineageArgs {
    /// The version
    #[arg(value_name = "REF")]
    pub reference: String,
    /// At most so many steps away
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub depth: u32,
    /// At most this many versions
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// Continue behind so many versions (`next` of the page before)
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub after: u64,
}
