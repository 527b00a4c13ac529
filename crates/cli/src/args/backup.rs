//! Commands on backups.

use super::{BucketArgs, RecoveryArgs, RootKindArg};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `backup`
#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Put the database, the wrapped keys, the policies and the log into one sealed file; what lies in depots is not in it
    Create {
        /// Where it goes; the file must not exist
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Check a backup and say what is in it; exits with 7 if it does not hold
    #[command(
        after_help = "With a root of its vault at hand every byte is checked, and the log from its entries to its head.
Without one: whether it is whole and not damaged by accident, which is said."
    )]
    Verify {
        /// The backup
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// What opens it.
        #[command(flatten)]
        with: OpensArgs,
    },
    /// Make a vault of a backup again, in an empty folder
    Restore(Box<BackupRestoreArgs>),
}

/// What opens a backup when no root does.
#[derive(Debug, Args)]
pub struct OpensArgs {
    /// Open it with shares of the escrow: a file with one; may be repeated
    #[arg(long = "share", value_name = "FILE", conflicts_with = "code_file")]
    pub shares: Vec<PathBuf>,
    /// Open it with the recovery code in this file
    #[arg(long, value_name = "FILE")]
    pub code_file: Option<PathBuf>,
}

/// `backup restore`
#[derive(Debug, Args)]
#[command(after_long_help = "\
The folder is --vault, else .strongroom here. Opened by a root, the vault has the roots that it had.
With --share or --code-file it gets a new root besides, and what a person had before opens it no
more. A log is never rolled back: if the anchor on this machine knows of entries that the backup has
not, nothing is restored. --accept-fork gives them up; that is logged, and status and verify show it
for ever. The anchor of then is kept beside the new one.")]
pub struct BackupRestoreArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What opens it.
    #[command(flatten)]
    pub with: OpensArgs,
    /// With --share or --code-file: what opens the vault from now on [default: the kind that did]
    #[arg(long, value_enum)]
    pub root: Option<RootKindArg>,
    /// What becomes of the new recovery code.
    #[command(flatten)]
    pub recovery: RecoveryArgs,
    /// Keep roots of before that alone open a key; without this the recovery is refused there
    #[arg(long)]
    pub keep_roots: bool,
    /// Take a further depot into use, in which the ciphertext is: a folder, or s3://BUCKET/PREFIX
    #[arg(long, value_name = "DIR|URL", value_hint = clap::ValueHint::DirPath)]
    pub depot: Option<String>,
    /// Where a bucket's service is.
    #[command(flatten)]
    pub bucket: BucketArgs,
    /// Give up entries of the log that were signed after the backup
    #[arg(long)]
    pub accept_fork: bool,
}
