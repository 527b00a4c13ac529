//! Commands on depots.

use super::Percent;
use clap::{Args, Subcommand};

/// `depot`
#[derive(Debug, Subcommand)]
pub enum DepotCommand {
    /// Take a further depot into use: a folder, or a bucket
    Add(DepotAddArgs),
    /// List depots: what each holds and lacks, as last seen, and whether it answers
    Ls,
    /// Copy what a depot lacks from another that has it right
    Copy {
        /// Only to this one, by its id, the beginning of it, or its place
        #[arg(long, value_name = "DEPOT")]
        to: Option<String>,
    },
    /// Check each depot alone against what was put; exits with 7 if something is missing or damaged and not repaired
    Check(DepotCheckArgs),
    /// Take a depot out of use, if all that it holds is in another one; what lies in it stays there
    Rm {
        /// Its id, the beginning of it, or its place
        #[arg(value_name = "DEPOT")]
        depot: String,
        /// It is gone for good: what it alone held is lost, and nobody looks for it any more
        #[arg(long)]
        lost: bool,
    },
}

/// Where a bucket's service is.
#[derive(Debug, Clone, Args)]
pub struct BucketArgs {
    /// The URL of the bucket's service [default: AWS]
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
    /// The region of the bucket's service [default: us-east-1]
    #[arg(long, value_name = "NAME")]
    pub region: Option<String>,
    /// A file that only its owner can read, with the lines access_key_id = ..., secret_access_key = ... and, if needed, session_token
    /// = ... [default: the environment]
    #[arg(long, value_name = "FILE")]
    pub credentials: Option<std::path::PathBuf>,
}

/// `depot add`
#[derive(Debug, Args)]
#[command(after_long_help = "\
The place is tried first: an object is written, read back and deleted. How to sign in to a bucket is
never kept in the vault: every command that reads or writes it looks at the file of --credentials,
or at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.")]
pub struct DepotAddArgs {
    /// A folder, or s3://BUCKET/PREFIX
    #[arg(value_name = "DIR|URL", value_hint = clap::ValueHint::DirPath)]
    pub address: String,
    /// Where a bucket's service is.
    #[command(flatten)]
    pub bucket: BucketArgs,
}

/// `depot check`
#[derive(Debug, Args)]
pub struct DepotCheckArgs {
    /// Only this one, by its id, the beginning of it, or its place
    #[arg(long, value_name = "DEPOT")]
    pub depot: Option<String>,
    /// Read a random part of the data, and of everything else all
    #[arg(long, value_name = "PERCENT")]
    pub sample: Option<Percent>,
    /// Replace what is missing or damaged by a copy from a depot that has it right
    #[arg(long)]
    pub repair: bool,
}
