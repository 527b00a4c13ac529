//! Strongroom's transparency log, as pure functions: bytes in, bytes out.
//!
//! The formats are C2SP's (`tlog-tiles`, `signed-note`, `tlog-checkpoint`, `tlog-cosignature`, `tlog-proof`) over the Merkle tree of RFC 6962; `spec/log.md`
//! fixes what they leave open and defines the [`entry`].
//!
//! Guarantees: what [`verify::run`] accepts is exactly what two keys signed, hash by hash; a [`receipt::Receipt`] proves that an entry stands in a signed
//! tree. Not guaranteed here: that the signed tree is the newest (an anchor outside says that), nor that an entry was true when it was written.
//!
//! ```
//! use log::{edge::Edge, keys::Signers, proof, source::{HashReader, MemoryTiles}};
//!
//! let signers = Signers::from_seeds("strongroom/000102030405060708090a0b0c0d0e0f/1", &[1; 32], &[2; 32])?;
//! let mut tiles = MemoryTiles::default();
//! let extension = Edge::default().extend([b"one".as_slice(), b"two"])?;
//! tiles.insert_all(extension.files);
//! let signed = signers.sign(extension.edge.size(), &extension.edge.root(), 1_700_000_000)?;
//! let checkpoint = signers.keys().open(&signed)?;
//!
//! let path = proof::inclusion(&mut HashReader::new(&tiles, checkpoint.size), 1)?;
//! proof::verify_inclusion(&log::tree::leaf(b"two"), 1, checkpoint.size, &path, &checkpoint.root)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod certificate;
pub mod checkpoint;
pub mod cosign;
pub mod edge;
pub mod entry;
pub mod jcs;
pub mod keys;
pub mod note;
pub mod proof;
pub mod receipt;
pub mod source;
pub mod tile;
pub mod tree;
pub mod verify;

mod text;

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Bytes from outside that are malformed, altered or not authentic.
    Hostile,
    /// The caller asked for something that makes no sense.
    Misuse,
    /// Storage or the system failed.
    Environment,
    /// A defect of ours.
    Bug,
}
