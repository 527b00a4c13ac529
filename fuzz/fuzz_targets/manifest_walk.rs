//! A list sealed by a holder of the key around hostile plaintext: a walk ends, and never in a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seal::Suite;
use seal::chunked::seal_all;
use seal::label::{Label, lp};
use seal::list::ListReader;
use seal::record::{Manifest, VersionRecord};
use seal::secret::ListKey;
use seal::tree::{leaf, root};

const GROUP: usize = 4 * 16_400;

fuzz_target!(|data: &[u8]| {
    if data.is_empty() || data.len() > 200_000 {
        return;
    }
    Suite::ALL.into_iter().for_each(|suite| walk(suite, data));
});

fn walk(suite: Suite, data: &[u8]) {
    let number = suite.number().to_be_bytes();
    let context = lp(Label::List, &[&number, &[1; 16], &[3; 16]]).expect("short");
    let mut stored = seal_all(&[5; 32], &context, data).expect("sealed");
    let (first, rest) = stored.split_at(stored.len().min(56 + GROUP));
    let leaves: Vec<_> = std::iter::once(first).chain(rest.chunks(GROUP)).map(|group| leaf(suite, group)).collect();
    let digest = root(suite, &leaves);
    stored.extend_from_slice(digest.as_bytes());
    leaves.iter().for_each(|leaf| stored.extend_from_slice(leaf.as_bytes()));
    let list = Manifest {
        offset: 0,
        plaintext_len: data.len() as u64,
        stored_len: stored.len() as u64,
        digest: *digest.as_bytes(),
    };
    let record = VersionRecord {
        suite,
        vault: [1; 16],
        artifact: [2; 16],
        version: [3; 16],
        previous: None,
        class: 0,
        environment: None,
        packs: Vec::new(),
        object: [4; 16],
        list,
        map: list,
    };
    let key = ListKey::from_slice(&[5; 32]).expect("32 bytes");
    let Ok(mut reader) = ListReader::open(&key, &record, stored.as_slice()) else { return };
    let mut last: Option<Vec<u8>> = None;
    while let Ok(Some((_, entry))) = reader.next_entry() {
        assert!(last.is_none_or(|last| last.as_slice() < entry.path()));
        last = Some(entry.path().to_vec());
    }
    let _ = reader.find(b"a");
}
