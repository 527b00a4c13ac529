//! The words and the wire of Strongroom: what client and keeper say to each other.
//!
//! [`terms`] holds the glossary as types (ids, classes, names, references, error codes); [`wire`] holds the requests
//! and answers. Nothing here does I/O, keeps a secret, or decides.

pub mod terms;
pub mod wire;
