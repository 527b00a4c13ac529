//! `run`: a command over versions in memory.

use super::{Duration, Size};
use api::terms::{Class, Environment, Kind};
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::str::FromStr;

/// `run`
#[derive(Debug, Args)]
#[command(
    after_help = "The command finds an input at $STRONGROOM_INPUT_NAME, a file or a folder of files, and leaves an
output in the folder $STRONGROOM_OUTPUT_NAME. They lie in memory, and so do TMPDIR and the caches
of common tools. The command's exit code is the exit code; outputs are sealed if it is 0."
)]
pub struct RunArgs {
    /// Open this version, or a path in it, for the command; may be repeated
    #[arg(short, long = "input", value_name = "NAME=REF[/PATH]")]
    pub inputs: Vec<Named>,
    /// Seal what the command leaves in its folder as a new version; may be repeated
    #[arg(short, long = "output", value_name = "NAME=WORKSPACE/ARTIFACT")]
    pub outputs: Vec<Named>,
    /// Classification of the outputs, never below that of any input [default: the workspace's, else confidential]
    #[arg(long)]
    pub class: Option<Class>,
    /// Environment of the outputs: dev, staging or prod [default: dev]
    #[arg(long = "env", value_name = "ENVIRONMENT")]
    pub environment: Option<Environment>,
    /// What the outputs are: model, dataset, code or other
    #[arg(long)]
    pub kind: Option<Kind>,
    /// Why you need it (restricted data)
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// WORKSPACE/ARTIFACT of a restricted input again (solo vaults); may be repeated
    #[arg(long, value_name = "WORKSPACE/ARTIFACT")]
    pub confirm: Vec<String>,
    /// Let it go on for this long without you, as in 72h [default: it ends after 12h]
    #[arg(long, value_name = "TIME")]
    pub unattended: Option<Duration>,
    /// Where its files are kept in memory
    #[arg(long, value_enum, value_name = "WHERE", default_value_t = RoomArg::Auto)]
    pub room: RoomArg,
    /// The most memory that its files may take, as in 16GiB [default: half of the machine's]
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<Size>,
    /// How long outputs that cannot be sealed now, on a full disk for example, are kept in memory and tried again
    #[arg(long, value_name = "TIME", default_value = "10m")]
    pub patience: Duration,
    /// The command
    #[arg(value_name = "COMMAND", required = true, last = true)]
    pub command: Vec<OsString>,
}

/// Where a run's files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoomArg {
    /// The first of these that there is.
    Auto,
    /// On a file system in memory that only the command and what it starts can see.
    Namespace,
    /// In a folder of yours on a file system in memory that is there.
    Folder,
}

/// `NAME=REF`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// What the command knows it by.
    pub name: String,
    /// What it is.
    pub what: String,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, what) = text.split_once('=').ok_or("write it as NAME=WORKSPACE/ARTIFACT")?;
        name.parse::<api::terms::Name>().map_err(|e| e.to_string())?;
        Ok(Self { name: name.to_owned(), what: what.to_owned() })
    }
}
