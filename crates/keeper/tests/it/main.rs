//! The keeper's integration tests.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod datastore;
mod ledger;
mod vault;
mod versions;
mod world;
