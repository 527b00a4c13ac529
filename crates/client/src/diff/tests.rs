use super::side::Named;
use super::*;
use proptest::prelude::*;
use seal::list::Node;
use std::collections::BTreeMap;

fn nodes() -> impl Strategy<Value = (u16, Node, Option<[u8; 32]>)> {
    let digest = prop::option::weighted(0.8, (0..3_u8).prop_map(|n| [n; 32]));
    let file = ((0..3_u64), digest).prop_map(|(size, digest)| (Node::File { size }, digest));
    let link = (0..2_u8).prop_map(|n| (Node::Symlink { target: vec![b'a' + n] }, None));
    let what = prop_oneof![3 => file, 1 => link, 1 => Just((Node::Folder, None))];
    ((0..2_u16), what).prop_map(|(mode, (node, digest))| (mode, node, digest))
}

/// Mode, node and digest.
type Had = (u16, Node, Option<[u8; 32]>);

fn versions() -> impl Strategy<Value = BTreeMap<Vec<u8>, Had>> {
    prop::collection::btree_map(prop::collection::vec(b'a'..b'd', 0..3), nodes(), 0..8)
}

fn named(path: &[u8], (mode, node, digest): &(u16, Node, Option<[u8; 32]>)) -> Named {
    Named { path: path.to_vec(), mode: *mode, node: node.clone(), digest: *digest }
}

fn merge(limit: usize) -> Merge {
    let summary = DiffSummary {
        old: String::new(),
        new: String::new(),
        compared: true,
        why_not: None,
        added: 0,
        removed: 0,
        changed: 0,
        same: 0,
        unknown: 0,
        releases: Vec::new(),
    };
    Merge { page: DiffPage { summary, items: Vec::new(), next: None }, limit, last: None }
}

proptest! {
    #[test]
    fn every_path_is_counted_once_and_a_page_holds_the_first_differences(
        old in versions(),
        new in versions(),
        limit in 1..5_usize,
    ) {
        let paths: std::collections::BTreeSet<&Vec<u8>> = old.keys().chain(new.keys()).collect();
        let (mut whole, mut page) = (merge(usize::MAX), merge(limit));
        for path in &paths {
            let (one, other) = (old.get(*path).map(|node| named(path, node)), new.get(*path).map(|node| named(path, node)));
            whole.compare(one.clone(), other.clone());
            page.compare(one, other);
        }
        let summary = &whole.page.summary;
        let (only_new, only_old) = (paths.iter().filter(|p| !old.contains_key(**p)).count(), paths.iter().filter(|p| !new.contains_key(**p)).count());
        prop_assert_eq!((summary.added, summary.removed), (only_new as u64, only_old as u64));
        prop_assert_eq!(summary.added + summary.removed + summary.changed + summary.same, paths.len() as u64);
        prop_assert_eq!(&page.page.summary, summary);
        let items = &whole.page.items;
        prop_assert_eq!(items.len() as u64, summary.added + summary.removed + summary.changed);
        prop_assert_eq!(&page.page.items[..], &items[..items.len().min(limit)]);
        prop_assert_eq!(page.page.next.is_some(), items.len() > limit);
        for item in items.iter().filter(|item| item.status == Status::Changed) {
            prop_assert!(!item.differs.is_empty() && item.old != item.new, "{:?}", item);
        }
        prop_assert_eq!(summary.differs(), !items.is_empty());
    }
}

#[test]
fn what_was_not_compared_is_no_difference_and_is_counted() {
    let file = |size, digest| named(b"a", &(0o644, Node::File { size }, digest));
    let mut merge = merge(9);
    for (one, other) in [(Some([1; 32]), None), (None, Some([1; 32])), (None, None)] {
        merge.compare(Some(file(1, one)), Some(file(1, other)));
    }
    assert_eq!((merge.page.summary.same, merge.page.summary.unknown), (3, 3));
    merge.compare(Some(file(1, Some([1; 32]))), Some(file(1, Some([1; 32]))));
    assert_eq!((merge.page.summary.same, merge.page.summary.unknown), (4, 3));
    merge.compare(Some(file(1, None)), Some(file(2, None)));
    merge.compare(Some(file(1, Some([1; 32]))), Some(file(1, Some([2; 32]))));
    let told: Vec<_> = merge.page.items.iter().map(|item| item.differs.clone()).collect();
    assert_eq!(told, [vec!["size"], vec!["content"]]);
}
