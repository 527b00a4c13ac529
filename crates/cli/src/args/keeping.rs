//! `rm`, `undelete`, `retention`, `hold`: how long versions stay.

use super::Duration;
use clap::{Args, Subcommand};

/// `rm`
#[derive(Debug, Args)]
#[command(
    after_help = "What is removed is not opened any more. `undelete` restores it until its key is destroyed: after
7 days, or 30 for confidential and restricted data, by the next command or `jobs run`. `gc` then
frees the space. In a team, restricted data is removed when a steward and an owner agree, whom
this release cannot ask."
)]
pub struct RmArgs {
    /// The version, by number; with --all-versions the artifact
    #[arg(value_name = "REF")]
    pub reference: String,
    /// Every version of the artifact
    #[arg(long)]
    pub all_versions: bool,
    #[command(flatten)]
    pub why: RemovalArgs,
}

/// What a removal says of itself.
#[derive(Debug, Clone, Args)]
pub struct RemovalArgs {
    /// Why, for the log (restricted data asks for it)
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// WORKSPACE/ARTIFACT again (restricted data in a solo vault)
    #[arg(long, value_name = "WORKSPACE/ARTIFACT")]
    pub confirm: Option<String>,
}

/// `retention`
#[derive(Debug, Subcommand)]
pub enum RetentionCommand {
    /// Keep the newest versions, or the young ones, of an artifact; the others are removed
    #[command(
        after_help = "A version stays if either bound keeps it, if an alias points to it, under a legal hold, or if its
class is above the artifact's when the rule was set. What is removed can be restored like what
`rm` removes. The job `retention` applies the rule, at the end of commands or by `jobs run`."
    )]
    Set {
        /// The artifact
        #[arg(value_name = "WORKSPACE/ARTIFACT")]
        artifact: String,
        /// Keep versions that are younger, as in 365d
        #[arg(long, value_name = "TIME", required_unless_present_any = ["keep_last", "keep_everything"])]
        keep_for: Option<Duration>,
        /// Keep the newest so many of each environment
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        keep_last: Option<u32>,
        /// Keep everything: take the rule away
        #[arg(long, conflicts_with_all = ["keep_for", "keep_last"])]
        keep_everything: bool,
        #[command(flatten)]
        why: RemovalArgs,
    },
    /// Show what is kept, what goes, and what is removed already
    Report {
        /// A workspace; or an artifact, with each version
        #[arg(value_name = "WORKSPACE[/ARTIFACT]")]
        place: String,
        /// Continue behind this artifact (`next` of the page before)
        #[arg(long, value_name = "NAME")]
        after: Option<String>,
    },
}

/// `hold`
#[derive(Debug, Subcommand)]
pub enum HoldCommand {
    /// Put an artifact, with every version it has and will have, or one version under a legal hold: nothing of it is removed
    Set {
        /// The artifact, or one version
        #[arg(value_name = "REF")]
        reference: String,
        /// What the hold is called
        #[arg(value_name = "NAME")]
        name: String,
        /// Why, for the log
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Lift a legal hold
    Lift {
        /// The artifact
        #[arg(value_name = "WORKSPACE/ARTIFACT")]
        artifact: String,
        /// The hold
        #[arg(value_name = "NAME")]
        name: String,
        /// Why, for the log
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// List legal holds
    Ls {
        /// A workspace or an artifact
        #[arg(value_name = "WORKSPACE[/ARTIFACT]")]
        place: String,
    },
}
