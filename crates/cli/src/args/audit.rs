//! Commands on the log.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `audit`
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// The newest entries
    Tail {
        /// How many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Entries that match
    Query(AuditQueryArgs),
    /// One entry as the log holds it
    Show {
        /// Its id, its decision's id, or its index
        #[arg(value_name = "ENTRY")]
        entry: String,
    },
    /// A proof that an entry is in the log, which anybody can check offline
    Prove {
        /// Its id, its decision's id, or its index
        #[arg(value_name = "ENTRY")]
        entry: String,
        /// Write the proof to this file
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Derive the whole log again: every hash, both signatures, the anchor
    Verify {
        /// The anchor is missing, and this log is known to be the newest one: make it again
        #[arg(long)]
        new_anchor: bool,
        /// Make every decision in the log again, from what was stored for it
        #[arg(long, conflicts_with = "new_anchor")]
        replay: bool,
    },
    /// Write the log out in the tlog-tiles layout
    Export {
        /// A folder that is empty or absent
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

/// `audit query`
#[derive(Debug, Args)]
pub struct AuditQueryArgs {
    /// By this principal
    #[arg(long = "principal", value_name = "NAME")]
    pub by: Option<String>,
    /// About this artifact or version
    #[arg(long = "ref", value_name = "REF")]
    pub reference: Option<String>,
    /// Of this act, or of acts that begin so
    #[arg(long, value_name = "ACT")]
    pub act: Option<String>,
    /// At or after this time (2026-01-31 or 2026-01-31T12:00:00Z)
    #[arg(long, value_name = "TIME")]
    pub since: Option<api::terms::Timestamp>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<api::terms::Timestamp>,
    /// At most this many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// Continue after this index (`next` of the page before)
    #[arg(long, value_name = "INDEX")]
    pub after: Option<u64>,
}
