//! Commands on roots.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `root`
#[derive(Debug, Subcommand)]
pub enum RootCommand {
    /// List the roots in the order in which they are asked, and how each stands
    Ls,
    /// Add a root: from now on it opens everything that its kind may
    #[command(subcommand)]
    Add(RootAddCommand),
    /// Remove a root: it opens nothing any more; the last one that opens stays
    Remove {
        /// Its id, or the beginning of it
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Have every root in turn open what it wraps; exits with 1 if one does not
    Drill,
}

/// `root add`
#[derive(Debug, Subcommand)]
pub enum RootAddCommand {
    /// A random key in a new file
    Keyfile {
        /// Where the file goes; it must not exist
        #[arg(long, value_name = "FILE")]
        path: PathBuf,
        /// Where it stands among the others.
        #[command(flatten)]
        rank: RankArgs,
    },
}

/// Where a root stands.
#[derive(Debug, Args)]
pub struct RankArgs {
    /// The lowest is asked first [default: pkcs11 10, aws-kms 20, keyfile 30]
    #[arg(long, value_name = "N")]
    pub priority: Option<u32>,
}
