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
    /// Put a new root of the same kind in the place of one, which opens nothing any more once the new one opens everything
    #[command(
        after_help = "The new one is added first, wraps everything that the old one wraps, and opens it once; then the
old one is removed. After a kill the same command goes on. A key file goes beside the old one
unless --path says where; a passphrase is asked for twice, or read from --new-passphrase-file; a
token makes another key, in the same token unless --token names one; a key of AWS KMS is named
with --key. Copies of the vault from before still open with the old root."
    )]
    Rotate(RotateArgs),
    /// Change in which order a root is asked
    Set {
        /// Its id, or the beginning of it
        #[arg(value_name = "ID")]
        id: String,
        /// The lowest is asked first
        #[arg(long, value_name = "N")]
        priority: u32,
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
    /// A new key in a token that speaks PKCS #11: it wraps and opens inside, and never leaves
    Pkcs11(Pkcs11Args),
    /// A key of AWS KMS; credentials come from the environment
    #[cfg(feature = "aws-kms")]
    AwsKms {
        /// The key's ARN; no alias
        #[arg(long, value_name = "ARN")]
        key: String,
        /// An endpoint other than the region's
        #[arg(long, value_name = "URL")]
        endpoint: Option<String>,
        /// Where it stands among the others.
        #[command(flatten)]
        rank: RankArgs,
    },
}

/// `root add pkcs11`
#[derive(Debug, Args)]
pub struct Pkcs11Args {
    /// The vendor's library, by absolute path; it runs as part of this program
    #[arg(long, value_name = "FILE")]
    pub module: PathBuf,
    /// The token's label
    #[arg(long, value_name = "LABEL")]
    pub token: String,
    /// Its serial number, where several have the label
    #[arg(long, value_name = "SERIAL")]
    pub serial: Option<String>,
    /// Read the PIN from this file, now and later, instead of a prompt
    #[arg(long, value_name = "FILE")]
    pub pin_file: Option<PathBuf>,
    /// Where it stands among the others.
    #[command(flatten)]
    pub rank: RankArgs,
}

/// `root rotate`
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// The root that goes: its id, or the beginning of it
    #[arg(value_name = "ID")]
    pub id: String,
    /// Where the new key file goes; it must not exist [default: beside the old one]
    #[arg(long, value_name = "FILE")]
    pub path: Option<PathBuf>,
    /// Read the new passphrase from this file instead of a prompt
    #[arg(long, value_name = "FILE")]
    pub new_passphrase_file: Option<PathBuf>,
    /// The label of the token that makes the new key [default: the same token]
    #[arg(long, value_name = "LABEL")]
    pub token: Option<String>,
    /// Read that token's PIN from this file [default: as the old one's]
    #[arg(long, value_name = "FILE", requires = "token")]
    pub pin_file: Option<PathBuf>,
    /// The ARN of the new key of AWS KMS
    #[arg(long, value_name = "ARN")]
    pub key: Option<String>,
}

/// `escrow`
#[derive(Debug, Subcommand)]
pub enum EscrowCommand {
    /// Split a key that opens everything into shares, of which some bring it back; those of an earlier escrow open nothing any more
    Create(EscrowCreateArgs),
    /// Prove with real shares that they bring everything back, and bring nothing back
    Rehearse(SharesArgs),
    /// Give the vault a new key file or passphrase with shares; the key file, the passphrase and the recovery code before open nothing
    /// any more
    Recover(EscrowRecoverArgs),
}

/// `escrow create`
#[derive(Debug, Args)]
pub struct EscrowCreateArgs {
    /// How many shares, from 2 to 16
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(2..=16))]
    pub shares: u8,
    /// How many of them bring it back, from 2
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u8).range(2..=16))]
    pub threshold: u8,
    /// Seal a share for this age or SSH key; once for each share, in their order
    #[cfg(feature = "share")]
    #[arg(long, value_name = "age1...|ssh-...")]
    pub to: Vec<String>,
    /// Write the shares to new files in this folder, instead of the terminal
    #[arg(long, value_name = "DIR")]
    pub into: Option<PathBuf>,
}

/// Shares of an escrow.
#[derive(Debug, Args)]
pub struct SharesArgs {
    /// A file with a share, as it was written or typed off paper; may be repeated [default: asked for]
    #[arg(long = "share", value_name = "FILE")]
    pub shares: Vec<PathBuf>,
}

/// `escrow recover`
#[derive(Debug, Args)]
pub struct EscrowRecoverArgs {
    /// What brings it back.
    #[command(flatten)]
    pub shares: SharesArgs,
    /// What opens the vault from now on [default: the kind that did]
    #[arg(long, value_enum)]
    pub root: Option<super::RootKindArg>,
    /// What becomes of the new recovery code.
    #[command(flatten)]
    pub recovery: super::RecoveryArgs,
    /// Keep roots of before that alone open a key; without this the recovery is refused there
    #[arg(long)]
    pub keep_roots: bool,
}

/// Where a root stands.
#[derive(Debug, Args)]
pub struct RankArgs {
    /// The lowest is asked first [default: pkcs11 10, aws-kms 20, keyfile 30]
    #[arg(long, value_name = "N")]
    pub priority: Option<u32>,
    /// How long a token or a service may take to answer before the next root is asked, in milliseconds [default: 2000]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(10..=60_000))]
    pub deadline: Option<u64>,
}
