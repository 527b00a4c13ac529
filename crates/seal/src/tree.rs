//! Tree digests (`spec/format.md#tree-digests`).
//!
//! A stream is cut into groups of 64 KiB, each group is a leaf, and the leaves form the tree of RFC 6962, section 2.1, with BLAKE3 in
//! place of SHA-256. So threads hash groups apart, and a reader can check one group without the rest.
//!
//! ```
//! use seal::tree::{Stream, leaf, node};
//! let mut stream = Stream::new();
//! stream.update(&[1; 65_536]);
//! stream.update(b"tail");
//! assert_eq!(stream.finish(), node(&leaf(&[1; 65_536]), &leaf(b"tail")));
//! ```

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

/// The digest of one group: BLAKE3 in `derive_key` mode, which keeps it apart from a node's and leaves the group aligned.
pub fn leaf(group: &[u8]) -> Digest {
    leaf_of(&[group])
}

/// [`leaf`] of a group that lies in parts.
pub(crate) fn leaf_of(parts: &[&[u8]]) -> Digest {
    let mut hasher = leaf_hasher();
    for part in parts {
        hasher.update(part);
    }
    Digest(*hasher.finalize().as_bytes())
}

fn leaf_hasher() -> blake3::Hasher {
    static KEY: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context("strongroom/v1/tree-leaf"));
    blake3::Hasher::new_from_context_key(&KEY)
}

/// The digest of two neighbours: BLAKE3 in `derive_key` mode over both.
pub fn node(left: &Digest, right: &Digest) -> Digest {
    static KEY: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context("strongroom/v1/tree-node"));
    let mut hasher = blake3::Hasher::new_from_context_key(&KEY);
    hasher.update(&left.0).update(&right.0);
    Digest(*hasher.finalize().as_bytes())
}

/// The root over digests that stand side by side at one height; of none, `BLAKE3("")`.
pub fn root(digests: &[Digest]) -> Digest {
    let mut level = digests.to_vec();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => node(left, right),
                // The odd one out rises: with this, pairing level by level gives the shape of RFC 6962.
                rest => rest.first().copied().unwrap_or_default(),
            })
            .collect();
    }
    level.first().copied().unwrap_or_else(|| Digest(*blake3::hash(&[]).as_bytes()))
}

/// Groups of a plain stream (a file) of this many bytes; none if it is empty.
pub const fn group_count(len: u64) -> u64 {
    len.div_ceil(GROUP_LEN as u64)
}

/// The digest of each group of `data`, which starts at a group boundary. Threads call this on their own blocks.
pub fn leaves(data: &[u8]) -> impl ExactSizeIterator<Item = Digest> {
    data.chunks(GROUP_LEN).map(leaf)
}

/// The digest of a whole stream in memory.
pub fn digest(data: &[u8]) -> Digest {
    root(&leaves(data).collect::<Vec<_>>())
}

/// Digests a stream that arrives in pieces of any size. It holds 32 bytes for each 64 KiB seen.
#[derive(Clone)]
pub struct Stream {
    leaves: Vec<Digest>,
    hasher: blake3::Hasher,
    filled: usize,
}

impl Stream {
    /// A stream of no bytes.
    pub fn new() -> Self {
        Self { leaves: Vec::new(), hasher: leaf_hasher(), filled: 0 }
    }

    /// Appends bytes.
    pub fn update(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let (now, rest) = data.split_at(data.len().min(GROUP_LEN - self.filled));
            if now.len() == GROUP_LEN {
                self.leaves.push(leaf(now));
            } else {
                self.append(now);
            }
            data = rest;
        }
    }

    /// The digest of everything appended.
    pub fn finish(mut self) -> Digest {
        self.close_group();
        root(&self.leaves)
    }

    fn append(&mut self, part: &[u8]) {
        self.hasher.update(part);
        self.filled += part.len();
        if self.filled == GROUP_LEN {
            self.close_group();
        }
    }

    fn close_group(&mut self) {
        if self.filled > 0 {
            self.leaves.push(Digest(*self.hasher.finalize().as_bytes()));
            self.hasher.reset();
            self.filled = 0;
        }
    }
}

impl Default for Stream {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("groups", &self.leaves.len())
            .field("filled", &self.filled)
            .finish_non_exhaustive()
    }
}
