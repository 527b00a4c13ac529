//! Commands on incidents.

use clap::Subcommand;
use std::path::PathBuf;

/// `incident`
#[derive(Debug, Subcommand)]
pub enum IncidentCommand {
    /// List incidents, and what is open of each
    Ls,
    /// Show what a compromised key touched, and what is to be done
    Show {
        /// Its id, its key's, or the beginning of one
        #[arg(value_name = "ID")]
        id: String,
        /// Write everything that the log tells of it to this new file, as lines of JSON
        #[arg(long, value_name = "FILE")]
        evidence: Option<PathBuf>,
    },
    /// Say that a step is done which people do: notify or review
    Done {
        /// Its id, its key's, or the beginning of one
        #[arg(value_name = "ID")]
        id: String,
        /// notify or review
        #[arg(value_name = "STEP")]
        step: api::terms::PlaybookStep,
        /// What was done; it goes into the log
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Close an incident of which nothing is left to do; its evidence stays
    Close {
        /// Its id, its key's, or the beginning of one
        #[arg(value_name = "ID")]
        id: String,
    },
}
