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

pub mod backup;
pub mod chunked;
pub mod derive;
pub mod entropy;
pub mod envelope;
pub mod escrow;
pub mod hpke;
pub mod label;
pub mod list;
pub mod mac;
pub mod manifest;
pub mod map;
pub mod object;
pub mod padme;
pub mod passphrase;
pub mod prints;
pub mod record;
pub mod recovery;
pub mod request;
pub mod secret;
pub mod segment;
pub mod sign;
pub mod tree;
pub mod value;
pub mod wrap;

mod blocks;
mod cbor;
mod fault;
mod hash;
mod paper;
mod suite;

pub use cbor::Malformed;
pub use fault::{Corrupt, Fault};
pub use suite::{Suite, UnknownSuite};

/// A random 16-byte id: of a vault, an artifact, a version, a pack, an object, a key, a principal, a session, a release.
pub type Id = [u8; 16];
