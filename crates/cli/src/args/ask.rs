//! Questions about people, rights and decisions.

use api::terms::{Action, Environment, Timestamp};
use clap::Args;

/// `who-can`
#[derive(Debug, Args)]
#[command(after_help = "Whoever may review (owner, steward, auditor) may ask. What is asked for is asked of
whoever acts: confirmation, presence, task, approval:RULE. --as-of goes by the roles,
policies and versions of that time, folded from the whole log.")]
pub struct WhoCanArgs {
    /// list, read (cat), export (get), archive-read, write (put), alias, encrypt, decrypt, rotate-keys, manage-keys,
    /// destroy-keys, reencrypt, manage-principals, manage-policy, audit, collect (gc), backup or review (who-can)
    #[arg(value_name = "ACTION")]
    pub action: Action,
    /// On which version, artifact, named key or workspace; nothing, or vault, for what is about the whole vault
    #[arg(value_name = "REF")]
    pub reference: Option<String>,
    /// With write: the environment of the new version [default: dev]
    #[arg(long = "env", value_name = "ENVIRONMENT")]
    pub environment: Option<Environment>,
    /// At this time (2026-01-31 or 2026-01-31T12:00:00Z) [default: now]
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<Timestamp>,
    /// At most this many
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// Continue after this name (`next` of the page before)
    #[arg(long, value_name = "NAME")]
    pub after: Option<String>,
}

/// `who-did`
#[derive(Debug, Args)]
pub struct WhoDidArgs {
    /// The artifact, or a version of it
    #[arg(value_name = "REF")]
    pub reference: String,
    /// At or after this time (2026-01-31 or 2026-01-31T12:00:00Z)
    #[arg(long, value_name = "TIME")]
    pub since: Option<Timestamp>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<Timestamp>,
    /// At most this many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// Continue behind this index of the log (`next` of the page before)
    #[arg(long, value_name = "INDEX")]
    pub after: Option<u64>,
}
