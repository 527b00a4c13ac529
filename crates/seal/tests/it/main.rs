//! The sealed format, from outside.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests: a panic is how they fail")]

mod case;
mod chunked;
mod keys;
mod manifest;
mod published;
mod python;
mod record;
mod release;
mod segment;
mod tree;
mod value;
mod vectors;
mod wycheproof;

/// Either suite, for properties.
fn suites() -> impl proptest::strategy::Strategy<Value = seal::Suite> {
    proptest::sample::select(&seal::Suite::ALL)
}
