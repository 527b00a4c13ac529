//! The sealed format: bytes in, bytes out.
//!
//! This crate seals and opens everything Strongroom stores. It has no file system, clock or network; the only outside thing it
//! touches is the operating system's random generator, in [`entropy`].
//!
//! # Guarantees
//! - What opens is exactly what a holder of the key sealed under the same context: nothing flipped, cut, extended, swapped, or moved.
//! - A segment read against its digest is also safe from somebody who *holds the key*: every group is verified before it is
//!   decrypted.
//! - Nothing here allocates by a length from outside before that length is checked against a named maximum.
//! - Keys are overwritten when they are dropped, and their `Debug` shows only their role.
//!
//! # Non-guarantees
//! - Sizes are not hidden beyond what padding hides.
//! - Nothing here decides who may hold a key.
//!
//! `spec/format.md` and `spec/keys.md` are normative.

pub mod entropy;
pub mod secret;

mod fault;
mod suite;

pub use fault::Fault;
pub use suite::{Suite, UnknownSuite};
