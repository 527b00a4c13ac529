//! Put, get and open sealed versions: a depot for the bytes, a keeper for the keys.
//!
//! The client seals at the source and opens at the destination; neither depot nor network sees plaintext. It is synchronous and uses a
//! few threads. Keys live in memory for as long as one operation.
//!
//! # Guarantees
//! - Nothing that the keeper answers is used before its signature holds for exactly what was asked.
//! - No byte is given out before the group it lies in was verified against the version record.
//! - A destination is whole or not there; links are never followed, in sources or destinations.
//! - A source that changes while it is read is refused, never mixed.
//!
//! # Non-guarantees
//! - Who may read a version can also copy it: leases and policies end future releases, not memories.

pub mod agent;
pub mod backup;
pub mod connection;
pub mod dest;
pub mod digest;
#[cfg(feature = "embedded")]
pub mod doctor;
pub mod opened;
pub mod put;
#[cfg(feature = "embedded")]
pub mod root;
pub mod run;
pub mod seat;
#[cfg(feature = "share")]
pub mod share;
pub mod source;
#[cfg(feature = "embedded")]
pub mod vault;

mod admin;
mod alias;
mod archive;
mod ask;
mod cat;
mod client;
mod collect;
mod depots;
mod diff;
mod fault;
mod get;
mod incident;
mod jobs;
mod keeping;
mod lineage;
mod ls;
mod migrate;
mod spool;
mod system;
mod verify;
mod watch;

pub use archive::{Archivable, ArchiveWay};
pub use cat::{Bytes, CatReport, Towards};
pub use client::Client;
pub use collect::{CollectReport, Deletes};
pub use depots::{
    BucketAt, CheckReport, Copied, CopyReport, Finding, Held, NewDepot, NotCopied, Passed, Place, Reached, Repair,
    Seen, Which, parse_place,
};
pub use diff::{Contents, Diff, DiffItem, DiffPage, DiffSummary, FileState, Status};
pub use get::{Get, GetReport};
/// Certificates of destruction, and the keys by which they are checked.
pub use log::{certificate, keys::LogKeys};
pub use ls::{FileItem, FilePage};
pub use migrate::{MigrateFailure, MigratePlan, MigrateReport};
pub use put::{Put, PutReport, ReencryptReport};
pub use run::{Run, RunReport};
pub use seat::Why;
pub use system::now;
pub use verify::{Checked, Failure, Missed, SampleReport, Share, VerifyReport};
pub use watch::{Unwatched, Watch};
