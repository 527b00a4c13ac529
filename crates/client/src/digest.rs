//! The tree digest of a file whose groups become known one after another, in memory that does not grow with the file.

use seal::Suite;
use seal::tree::{self, Digest};

/// A tree of which only the roots of complete subtrees are kept: at most one for each height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Growing {
    suite: Suite,
    /// Height and root, highest first.
    roots: Vec<(u32, Digest)>,
}

impl Growing {
    /// Of no groups yet.
    pub fn new(suite: Suite) -> Self {
        Self { suite, roots: Vec::new() }
    }

    /// The suite of its digests.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Appends the digest of the next group.
    pub fn push(&mut self, leaf: Digest) {
        let (mut height, mut root) = (0, leaf);
        while let Some((_, left)) = self.roots.pop_if(|(left, _)| *left == height) {
            root = tree::node(self.suite, &left, &root);
            height += 1;
        }
        self.roots.push((height, root));
    }

    /// The digest of everything appended.
    pub fn finish(&self) -> Digest {
        let mut roots = self.roots.iter().rev().map(|(_, root)| *root);
        match roots.next() {
            None => tree::root(self.suite, &[]),
            Some(last) => roots.fold(last, |right, left| tree::node(self.suite, &left, &right)),
        }
    }

    /// Heights and roots, to go on later.
    pub fn parts(&self) -> &[(u32, Digest)] {
        &self.roots
    }

    /// The reverse of [`Self::parts`]; heights must fall.
    pub fn from_parts(suite: Suite, roots: Vec<(u32, Digest)>) -> Option<Self> {
        roots.is_sorted_by(|(a, _), (b, _)| a > b).then_some(Self { suite, roots })
    }
}

#[cfg(test)]
mod tests {
    use super::Growing;
    use seal::Suite;
    use seal::tree::{self, Digest};

    #[test]
    fn it_equals_the_tree_over_all_leaves() {
        for suite in Suite::ALL {
            let leaves: Vec<Digest> = (0..300u32).map(|n| tree::leaf(suite, &n.to_be_bytes())).collect();
            let mut growing = Growing::new(suite);
            for (count, leaf) in (0..).zip(&leaves) {
                assert_eq!(growing.finish(), tree::root(suite, &leaves[..count]), "{count}");
                growing.push(*leaf);
            }
            let again = Growing::from_parts(suite, growing.parts().to_vec());
            assert_eq!(again.map(|growing| growing.finish()), Some(tree::root(suite, &leaves)));
        }
    }
}
