//! Tree digests (`spec/format.md#tree-digests`).
//!
//! A stream is cut into groups of 64 KiB, each group is a leaf, and the leaves form the tree of RFC 6962, section 2.1, over the hash of the
//! suite: BLAKE3, or SHA-256 as RFC 6962 has it. So threads hash groups apart, and a reader can check one group without the rest.
//!
//! ```
//! use seal::Suite;
//! use seal::tree::{Stream, leaf, node};
//! for suite in Suite::ALL {
//!     let mut stream = Stream::new(suite);
//!     stream.update(&[1; 65_536]);
//!     stream.update(b"tail");
//!     assert_eq!(stream.finish(), node(suite, &leaf(suite, &[1; 65_536]), &leaf(suite, b"tail")));
//! }
//! ```

use crate::{Suite, hash};
use aws_lc_rs::digest::{Context, SHA256};
use blake3::hazmat::{ContextKey, HasherExt, hash_derive_key_context};
use std::fmt;
use std::sync::LazyLock;

/// Plaintext bytes of every group but the last.
pub const GROUP_LEN: usize = 65_536;
/// Bytes of a digest.
pub const DIGEST_LEN: usize = 32;

/// The digest of a group, of a node, or of a whole stream. Public: it authenticates sealed bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; DIGEST_LEN]);

impl Digest {
    /// Takes the bytes of a stored digest.
    pub const fn from_bytes(bytes: [u8; DIGEST_LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub const fn as_bytes(&self) -> &[u8; DIGEST_LEN] {
        &self.0
    }
}

impl From<[u8; DIGEST_LEN]> for Digest {
    fn from(bytes: [u8; DIGEST_LEN]) -> Self {
        Self(bytes)
    }
}

impl Default for Digest {
    /// All zero: a place to write a digest to; the digest of nothing we can find.
    fn default() -> Self {
        Self([0; DIGEST_LEN])
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// The digest of one group. It is kept apart from a node's: by a `derive_key` context of BLAKE3, which leaves the group aligned, or by the
/// prefix byte 0 of RFC 6962.
pub fn leaf(suite: Suite, group: &[u8]) -> Digest {
    match suite {
        Suite::Default => Digest(*blake3_leaf().update(group).finalize().as_bytes()),
        Suite::Nist => Digest(hash::sha256(&[&[LEAF_PREFIX], group])),
    }
}

fn blake3_leaf() -> blake3::Hasher {
    static KEY: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context("strongroom/v1/tree-leaf"));
    blake3::Hasher::new_from_context_key(&KEY)
}

/// The digest of two neighbours.
pub fn node(suite: Suite, left: &Digest, right: &Digest) -> Digest {
    static KEY: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context("strongroom/v1/tree-node"));
    match suite {
        Suite::Default => {
            let mut hasher = blake3::Hasher::new_from_context_key(&KEY);
            hasher.update(&left.0).update(&right.0);
            Digest(*hasher.finalize().as_bytes())
        }
        Suite::Nist => {
            let mut bytes = [NODE_PREFIX; 1 + 2 * DIGEST_LEN];
            let (_, digests) = bytes.split_at_mut(1);
            digests.iter_mut().zip(left.0.iter().chain(&right.0)).for_each(|(to, from)| *to = *from);
            Digest(hash::sha256_of(&bytes))
        }
    }
}

/// The root over digests that stand side by side at one height; of none, the hash of nothing.
pub fn root(suite: Suite, digests: &[Digest]) -> Digest {
    let mut level = digests.to_vec();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => node(suite, left, right),
                // The odd one out rises: with this, pairing level by level gives the shape of RFC 6962.
                rest => rest.first().copied().unwrap_or_default(),
            })
            .collect();
    }
    level.first().copied().unwrap_or_else(|| {
        Digest(match suite {
            Suite::Default => *blake3::hash(&[]).as_bytes(),
            Suite::Nist => hash::sha256_of(&[]),
        })
    })
}

/// The leaf of a group whose bytes arrive in parts.
#[derive(Clone)]
enum LeafHasher {
    Blake3(Box<blake3::Hasher>),
    Sha256(Context),
}

impl LeafHasher {
    fn new(suite: Suite) -> Self {
        match suite {
            Suite::Default => Self::Blake3(Box::new(blake3_leaf())),
            Suite::Nist => Self::Sha256(Self::prefixed()),
        }
    }

    fn prefixed() -> Context {
        let mut context = Context::new(&SHA256);
        context.update(&[LEAF_PREFIX]);
        context
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Blake3(hasher) => {
                hasher.update(bytes);
            }
            Self::Sha256(context) => context.update(bytes),
        }
    }

    /// The digest of what was given since the last one.
    fn take(&mut self) -> Digest {
        match self {
            Self::Blake3(hasher) => {
                let digest = Digest(*hasher.finalize().as_bytes());
                hasher.reset();
                digest
            }
            Self::Sha256(context) => {
                let full = std::mem::replace(context, Self::prefixed()).finish();
                let mut digest = Digest::default();
                digest.0.copy_from_slice(full.as_ref());
                digest
            }
        }
    }
}

/// RFC 6962, section 2.1.
const LEAF_PREFIX: u8 = 0;
const NODE_PREFIX: u8 = 1;

/// Groups of a plain stream (a file) of this many bytes; none if it is empty.
pub const fn group_count(len: u64) -> u64 {
    len.div_ceil(GROUP_LEN as u64)
}

/// The digest of each group of `data`, which starts at a group boundary. Threads call this on their own blocks.
pub fn leaves(suite: Suite, data: &[u8]) -> impl ExactSizeIterator<Item = Digest> {
    data.chunks(GROUP_LEN).map(move |group| leaf(suite, group))
}

/// The digest of a whole stream in memory.
pub fn digest(suite: Suite, data: &[u8]) -> Digest {
    root(suite, &leaves(suite, data).collect::<Vec<_>>())
}

/// Digests a stream that arrives in pieces of any size. It holds 32 bytes for each 64 KiB seen.
#[derive(Clone)]
pub struct Stream {
    suite: Suite,
    leaves: Vec<Digest>,
    hasher: LeafHasher,
    filled: usize,
}

impl Stream {
    /// A stream of no bytes.
    pub fn new(suite: Suite) -> Self {
        Self { suite, leaves: Vec::new(), hasher: LeafHasher::new(suite), filled: 0 }
    }

    /// Appends bytes.
    pub fn update(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let (now, rest) = data.split_at(data.len().min(GROUP_LEN - self.filled));
            self.hasher.update(now);
            self.filled += now.len();
            if self.filled == GROUP_LEN {
                self.close_group();
            }
            data = rest;
        }
    }

    /// The digest of everything appended.
    pub fn finish(mut self) -> Digest {
        self.close_group();
        root(self.suite, &self.leaves)
    }

    fn close_group(&mut self) {
        if self.filled > 0 {
            self.leaves.push(self.hasher.take());
            self.filled = 0;
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("suite", &self.suite)
            .field("groups", &self.leaves.len())
            .field("filled", &self.filled)
            .finish_non_exhaustive()
    }
}
