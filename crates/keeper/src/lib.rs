//! The keeper: the key plane's engine.
//!
//! It holds identities, policy, keys, decisions and the log, and never sees data. Commands come in as [`api::wire::Command`]
//! and are answered with [`api::wire::Answer`] or a [`api::wire::Problem`]; what hands out keys is signed end to end by
//! `seal::request` and `seal::envelope` besides. The keeper is synchronous; many threads may call it at once, and several
//! processes may work on one vault.
//!
//! # Guarantees
//! - A key leaves only after a policy said yes and the log durably holds who, what and why.
//! - Rows that a decision reads carry a MAC under a key that the database does not hold.
//! - Whatever cannot be decided or logged is refused.
//!
//! # Non-guarantees
//! - In the modes *solo* and *rehearsal* the operating-system account is the trust boundary: identities are asserted.

pub mod backup;
pub mod datastore;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod ledger;
pub mod resident;
pub mod system;
pub mod vault;

mod acts;
mod alias;
mod audit;
mod bursts;
mod cache;
mod certificate;
mod clock;
mod collect;
mod decide;
mod decision;
mod depots;
mod engine;
mod epochs;
mod error;
mod explain;
mod facts;
mod field;
mod hash;
mod hold;
mod incidents;
mod jobs;
mod journal;
mod keeper;
mod kept;
mod keys;
mod laws;
mod lineage;
mod people;
mod prints;
mod recover;
mod release;
mod removal;
mod replay;
mod retention;
mod roots;
mod rows;
mod run;
mod schema;
mod session;
mod show;
mod status;
mod subject;
mod suites;
mod unlocking;
mod values;
mod who;
mod whoami;
mod write;

pub use keeper::Keeper;
pub use session::{Presence, Session};
