//! Runs: one command over versions in memory, whose outputs are sealed with what they were made from.

use super::{Receipt, VersionItem};
use crate::terms::{Class, Environment, Kind, Name, RunId, Timestamp, VersionId};
use std::collections::BTreeMap;

/// Start a run: every input is decided as `read`, every output as `write`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RunStart {
    /// References without paths. At most 64.
    pub inputs: Vec<String>,
    /// Where the outputs go. At most 64.
    pub outputs: Vec<RunOutput>,
    /// How long it may go on without its person, in seconds; none: it is attended, and ends after 12 hours at the latest. Either way
    /// no longer than the classes of its inputs and outputs allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unattended_secs: Option<u64>,
    /// The command line, for the log. At most 4,096 bytes.
    pub line: String,
    /// Why, for restricted data.
    pub reason: Option<String>,
    /// `WORKSPACE/ARTIFACT` typed again, for restricted inputs in solo mode.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confirm: Vec<String>,
}

/// Where an output goes, as [`super::Begin`] takes it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RunOutput {
    /// The workspace.
    pub workspace: Name,
    /// The artifact.
    pub artifact: Name,
    /// The class asked for. Whatever it is, the version is not below the highest class among the inputs.
    pub class: Option<Class>,
    /// Whatever the class would be, it is not below this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Class>,
    /// The environment.
    pub environment: Environment,
    /// What it is.
    pub kind: Option<Kind>,
}

/// The run may begin.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RunStarted {
    /// Its id, which releases and new versions name.
    pub run: RunId,
    /// The inputs as they are from now on, in the order asked for.
    pub inputs: Vec<VersionItem>,
    /// It ends then.
    pub until: Timestamp,
    /// Without a renewal it ends then.
    pub lease_until: Timestamp,
    /// Where the log says so.
    pub receipt: Receipt,
}

/// The run may go on.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RunRenewed {
    /// Without another renewal it ends then.
    pub lease_until: Timestamp,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum RunOutcome {
    /// The command ended with this exit code.
    Exited {
        /// 0 is success.
        code: u8,
    },
    /// The command was ended by a signal.
    Signalled {
        /// Its number.
        signal: u8,
    },
    /// It was stopped from here.
    Stopped {
        /// Why. At most 512 bytes.
        why: String,
    },
}

/// A run is over.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RunEnd {
    /// Which.
    pub run: RunId,
    /// How.
    #[serde(flatten)]
    pub outcome: RunOutcome,
    /// The versions that were made.
    pub outputs: Vec<VersionId>,
}

/// How a version was made.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Provenance {
    /// The command. At most 4,096 bytes.
    pub command: String,
    /// The commit of the code that was there, `+` behind it if files differed from it. At most 128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// SHA-256 over what the environment was, hexadecimal.
    pub environment: String,
    /// What the digest is over: program, system, packages, lock files. At most 64 of at most 512 bytes.
    pub parts: BTreeMap<String, String>,
}

/// [`Provenance`] of a version, with the run that made it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MadeBy {
    /// The run.
    pub run: RunId,
    /// How.
    #[serde(flatten)]
    pub provenance: Provenance,
}
