//! Inclusion and consistency proofs (`spec/log.md#proofs`).

use crate::Fault;
use crate::source::{HashReader, SourceError};
use crate::tree::{self, Hash};

/// The longest inclusion path.
pub const MAX_PATH: usize = 63;
/// The longest consistency proof.
pub const MAX_CONSISTENCY: usize = 126;

/// Why a proof could not be made or does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// There is no entry with this index in a tree of this size.
    #[error("entry {index} is not in a tree of {size}")]
    Index {
        /// The index asked for.
        index: u64,
        /// The size of the tree.
        size: u64,
    },
    /// The older tree is larger than the newer one.
    #[error("size {old} is not before {new}")]
    Order {
        /// Size of the older tree.
        old: u64,
        /// Size of the newer tree.
        new: u64,
    },
    /// The proof does not lead to the root, or has another length than the sizes call for.
    #[error("the proof does not hold")]
    Wrong,
    /// A tile that the proof needs could not be read.
    #[error("tile not readable")]
    Source(#[from] SourceError),
}

impl ProofError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Index { .. } | Self::Order { .. } => Fault::Misuse,
            Self::Wrong => Fault::Hostile,
            Self::Source(error) => error.fault(),
        }
    }
}

/// The path from an entry's leaf to the root of the reader's tree: the leaf's sibling first.
///
/// # Errors
/// When the index lies outside the tree, or a tile cannot be read.
pub fn inclusion(reader: &mut HashReader<'_>, index: u64) -> Result<Vec<Hash>, ProofError> {
    let size = reader.size();
    if index >= size {
        return Err(ProofError::Index { index, size });
    }
    let (mut start, mut end) = (0, size);
    let mut path = Vec::new();
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            path.push(reader.range(middle, end)?);
            end = middle;
        } else {
            path.push(reader.range(start, middle)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// Checks that `leaf` stands at `index` in the tree of this size and root.
///
/// # Errors
/// [`ProofError::Index`] when it cannot, [`ProofError::Wrong`] when the path does not prove it.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::Index { index, size });
    }
    let (mut position, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in path {
        if last == 0 {
            return Err(ProofError::Wrong);
        }
        if position % 2 == 1 || position == last {
            hash = tree::node(sibling, &hash);
            while position.is_multiple_of(2) && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            hash = tree::node(&hash, sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    if last == 0 && hash == *root { Ok(()) } else { Err(ProofError::Wrong) }
}

/// The proof that the reader's tree continues the tree of `old` entries.
///
/// # Errors
/// When `old` is larger than the tree, or a tile cannot be read.
pub fn consistency(reader: &mut HashReader<'_>, old: u64) -> Result<Vec<Hash>, ProofError> {
    let new = reader.size();
    if old > new {
        return Err(ProofError::Order { old, new });
    }
    let mut proof = Vec::new();
    if old == 0 || old == new {
        return Ok(proof);
    }
    let (mut start, mut end) = (0, new);
    let mut known = true;
    while old != end {
        let middle = start + split(end - start);
        if old <= middle {
            proof.push(reader.range(middle, end)?);
            end = middle;
        } else {
            proof.push(reader.range(start, middle)?);
            start = middle;
            known = false;
        }
    }
    if !known {
        proof.push(reader.range(start, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// A tree head: how many entries, and the root over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How many entries.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

/// Checks that the tree `new` continues the tree `old`.
///
/// # Errors
/// [`ProofError::Order`] when it is smaller, [`ProofError::Wrong`] when the proof does not show it.
pub fn verify_consistency(old: &Head, new: &Head, proof: &[Hash]) -> Result<(), ProofError> {
    let holds = |condition: bool| if condition { Ok(()) } else { Err(ProofError::Wrong) };
    if old.size > new.size {
        return Err(ProofError::Order { old: old.size, new: new.size });
    }
    if old.size == new.size {
        return holds(proof.is_empty() && old.root == new.root);
    }
    if old.size == 0 {
        return holds(proof.is_empty() && old.root == tree::empty_root());
    }
    // RFC 9162 section 2.1.4.2: when the old tree is perfect, its root starts the proof.
    let mut rest = proof.iter();
    let seed = if old.size.is_power_of_two() { Some(&old.root) } else { rest.next() };
    let Some(seed) = seed else { return Err(ProofError::Wrong) };
    let shift = (old.size - 1).trailing_ones();
    let (mut position, mut last) = ((old.size - 1) >> shift, (new.size - 1) >> shift);
    let (mut old_hash, mut new_hash) = (*seed, *seed);
    for sibling in rest {
        if last == 0 {
            return Err(ProofError::Wrong);
        }
        if position % 2 == 1 || position == last {
            old_hash = tree::node(sibling, &old_hash);
            new_hash = tree::node(sibling, &new_hash);
            while position.is_multiple_of(2) && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = tree::node(&new_hash, sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    holds(last == 0 && old_hash == old.root && new_hash == new.root)
}

/// The largest power of two below `n`, for `n` > 1.
fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}
