//! The hashes of RFC 6962 section 2.1 (`spec/log.md#tree`).

use std::fmt;

use aws_lc_rs::digest;

/// The most entries a log may hold.
pub const MAX_SIZE: u64 = 1 << 48;

/// A SHA-256 digest: a leaf, a node or a root.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; Self::LEN]);

impl Hash {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// The hash with these bytes.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// From 64 lower-case hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        crate::text::hex_array(text).map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// SHA-256 of plain bytes.
pub fn sha256(bytes: &[u8]) -> Hash {
    let mut out = [0; Hash::LEN];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    Hash(out)
}

/// The leaf of an entry: H(0x00 || entry).
pub fn leaf(entry: &[u8]) -> Hash {
    LeafHasher::default().leaf(entry)
}

/// Hashes many leaves through one buffer.
#[derive(Debug, Default)]
pub struct LeafHasher {
    buffer: Vec<u8>,
}

impl LeafHasher {
    /// The leaf of an entry: H(0x00 || entry).
    pub fn leaf(&mut self, entry: &[u8]) -> Hash {
        self.buffer.clear();
        self.buffer.push(0);
        self.buffer.extend_from_slice(entry);
        sha256(&self.buffer)
    }
}

/// An inner node: H(0x01 || left || right).
pub fn node(left: &Hash, right: &Hash) -> Hash {
    let mut input = [1; 1 + 2 * Hash::LEN];
    let (_, children) = input.split_at_mut(1);
    let (first, second) = children.split_at_mut(Hash::LEN);
    first.copy_from_slice(&left.0);
    second.copy_from_slice(&right.0);
    sha256(&input)
}

/// The root of the tree with no entries.
pub fn empty_root() -> Hash {
    sha256(&[])
}

/// The root of the tree over these leaves or equally high subtrees; `None` when there are none.
///
/// Works in place: afterwards the slice holds rubbish.
pub fn fold(hashes: &mut [Hash]) -> Option<Hash> {
    let mut len = hashes.len();
    while len > 1 {
        let mut write = 0;
        let mut read = 0;
        while let Some(&left) = hashes.get(read).filter(|_| read < len) {
            let up = match hashes.get(read + 1).filter(|_| read + 1 < len) {
                Some(right) => node(&left, right),
                None => left,
            };
            if let Some(slot) = hashes.get_mut(write) {
                *slot = up;
            }
            write += 1;
            read += 2;
        }
        len = write;
    }
    hashes.first().copied()
}

/// The root of a sequence of perfect subtrees, the highest (leftmost) first.
pub(crate) fn fold_peaks(peaks: &[Hash]) -> Option<Hash> {
    let (last, rest) = peaks.split_last()?;
    Some(rest.iter().rev().fold(*last, |right, left| node(left, &right)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_hashes() {
        assert_eq!(empty_root().to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(leaf(b"").to_string(), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        assert_eq!(fold(&mut []), None);
    }

    #[test]
    fn fold_of_any_length_is_the_tree_of_rfc_6962() {
        fn naive(leaves: &[Hash]) -> Hash {
            if let [one] = leaves {
                return *one;
            }
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node(&naive(left), &naive(right))
        }
        let leaves: Vec<_> = (0..70_u8).map(|n| leaf(&[n])).collect();
        for len in 1..leaves.len() {
            let leaves = leaves.get(..len).unwrap();
            assert_eq!(fold(&mut leaves.to_vec()).unwrap(), naive(leaves), "{len}");
        }
    }
}
