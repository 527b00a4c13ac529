//! Tests of the log crate.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod edge;
mod entry;
mod go;
mod note;
mod proof;
mod support;
mod vectors;
mod verify;
