//! The keeper's integration tests.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod aliases;
mod archive;
mod attacks;
mod backup;
mod bursts;
mod collect;
mod datastore;
mod decisions;
mod depots;
mod destroy;
mod drift;
mod engines;
mod erase;
mod escrow;
mod forged;
mod incidents;
mod keeping;
mod keys;
mod killed;
mod ledger;
mod lineage;
mod prints;
mod replays;
mod rights;
mod roots;
mod runs;
mod suites;
mod twice;
mod upkeep;
mod values;
mod vault;
mod versions;
mod who;
mod world;
