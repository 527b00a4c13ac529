//! Commands on aliases.

use super::Expected;
use clap::Subcommand;

/// `alias`
#[derive(Debug, Subcommand)]
pub enum AliasCommand {
    /// Make an alias point to a version, or move it there
    Set {
        /// The version
        #[arg(value_name = "REF")]
        reference: String,
        /// The alias
        #[arg(value_name = "NAME")]
        name: String,
        /// Only if it points to this version now: @vN, or none if it is not there yet
        #[arg(long, value_name = "@vN")]
        expect: Option<Expected>,
    },
    /// Take an alias away; the version stays
    Rm {
        /// The artifact
        #[arg(value_name = "WORKSPACE/ARTIFACT")]
        artifact: String,
        /// The alias
        #[arg(value_name = "NAME")]
        name: String,
        /// Only if it points to this version now: @vN
        #[arg(long, value_name = "@vN")]
        expect: Option<Expected>,
    },
    /// List the aliases of an artifact
    Ls {
        /// The artifact
        #[arg(value_name = "WORKSPACE/ARTIFACT")]
        artifact: String,
    },
    /// List the moves of an alias as the log tells them, newest first
    History {
        /// The artifact
        #[arg(value_name = "WORKSPACE/ARTIFACT")]
        artifact: String,
        /// The alias
        #[arg(value_name = "NAME")]
        name: String,
        /// At most this many
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Continue behind this index of the log (`next` of the page before)
        #[arg(long, value_name = "INDEX")]
        after: Option<u64>,
    },
}
