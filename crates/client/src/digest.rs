//! The tree digest of a file whose groups become known one after another, in memory that does not grow with the file.

use seal::tree::{self, Digest};

/// A tree of which only the roots of complete subtrees are kept: at most one for each height.
#[derive(Debug, Clone, Default)]
pub struct Growing {
    /// Height and root, highest first.
    roots: Vec<(u32, Digest)>,
}

impl Growing {
    /// Appends the digest of the next group.
    pub fn push(&mut self, leaf: Digest) {
        let (mut height, mut root) = (0, leaf);
        while let Some((_, left)) = self.roots.pop_if(|(left, _)| *left == height) {
            root = tree::node(&left, &root);
            height += 1;
        }
        self.roots.push((height, root));
    }

    /// The digest of everything appended.
    pub fn finish(&self) -> Digest {
        let mut roots = self.roots.iter().rev().map(|(_, root)| *root);
        match roots.next() {
            None => tree::root(&[]),
            Some(last) => roots.fold(last, |right, left| tree::node(&left, &right)),
        }
    }

    /// Heights and roots, to go on later.
    pub fn parts(&self) -> &[(u32, Digest)] {
        &self.roots
    }

    /// The reverse of [`Self::parts`]; heights must fall.
    pub fn from_parts(roots: Vec<(u32, Digest)>) -> Option<Self> {
        roots.is_sorted_by(|(a, _), (b, _)| a > b).then_some(Self { roots })
    }
}

#[cfg(test)]
mod tests {
    use super::Growing;
    use seal::tree::{self, Digest};

    #[test]
    fn it_equals_the_tree_over_all_leaves() {
        let leaves: Vec<Digest> = (0..300u32).map(|n| tree::leaf(&n.to_be_bytes())).collect();
        let mut growing = Growing::default();
        for (count, leaf) in (0..).zip(&leaves) {
            assert_eq!(growing.finish(), tree::root(&leaves[..count]), "{count}");
            growing.push(*leaf);
        }
        assert_eq!(Growing::from_parts(growing.parts().to_vec()).map(|g| g.finish()), Some(tree::root(&leaves)));
    }
}
