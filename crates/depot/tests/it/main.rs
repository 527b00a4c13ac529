//! Tests of the depot through its public interface.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod conformance;
mod faults;
mod faulty_client;
mod local;
mod sealed;
mod several;
mod version;
