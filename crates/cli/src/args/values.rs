//! `encrypt`, `decrypt`: small values under named keys.

use super::{Pair, ReasonArgs};
use clap::Args;
use std::path::PathBuf;

/// `encrypt`
#[derive(Debug, Args)]
#[command(
    after_help = "Prints one line of text, which names the key and never holds it. At most 64 KiB; `put` takes what
is longer. Whoever decrypts gives the same --context. A key is made by `key create`."
)]
pub struct EncryptArgs {
    /// The value, or - for standard input; with --renew what `encrypt` printed
    #[arg(value_name = "FILE", default_value = "-")]
    pub file: PathBuf,
    /// The key that seals it
    #[arg(long, value_name = "WORKSPACE/NAME", required_unless_present = "renew")]
    pub key: Option<String>,
    /// What the value is about, such as table=users; may be repeated, and decrypting takes the same
    #[arg(long, value_name = "NAME=VALUE")]
    pub context: Vec<Pair>,
    /// Seal again, under the newest version of its key, what `encrypt` printed; the value is not shown
    #[arg(long, conflicts_with = "key")]
    pub renew: bool,
    /// Why you need it; it goes into the log
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// `decrypt`
#[derive(Debug, Args)]
#[command(after_help = "Prints the value as it was, without a line end. Into a file it is an export, as with `cat`.")]
pub struct DecryptArgs {
    /// What `encrypt` printed, or - for standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub file: PathBuf,
    /// What the value is about, as it was given to `encrypt`; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub context: Vec<Pair>,
    /// Why.
    #[command(flatten)]
    pub why: ReasonArgs,
}
