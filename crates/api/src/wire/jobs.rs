//! Work that waits between commands.

use crate::terms::Timestamp;

/// `jobs ls`.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct JobList {
    /// In the order in which they run.
    pub items: Vec<JobItem>,
}

/// A job: what is done when it is due, by the next command, an agent or `jobs run`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct JobItem {
    /// Its name.
    pub name: String,
    /// What it does.
    pub about: String,
    /// Who does it.
    pub by: JobBy,
    /// How often it is to run, in milliseconds; none for work that waits or does not.
    pub every_millis: Option<u64>,
    /// When it ran last, where that counts.
    pub last: Option<Timestamp>,
    /// When it is to run; none if nothing waits.
    pub due: Option<Timestamp>,
    /// That time has come.
    pub overdue: bool,
}

/// Who does a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobBy {
    /// The keeper.
    Keeper,
    /// A client, because it takes the depot.
    Client,
}

/// `jobs run`: the keeper's jobs.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct JobsRan {
    /// Those that were due.
    pub items: Vec<JobRan>,
}

/// What one job did.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct JobRan {
    /// Its name.
    pub name: String,
    /// How many things it did: entries, wraps, versions.
    pub done: u64,
    /// Why it could not be done.
    pub failed: Option<String>,
}
