//! Entries, canonical JSON, bundles and tiles: read to what writes the same bytes, or not at all.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log::{entry::Entry, jcs, tile};

fuzz_target!(|data: &[u8]| {
    if let Ok(entry) = Entry::parse(data) {
        assert_eq!(entry.encode().expect("what was read"), data);
    }
    if let Ok(value) = jcs::parse(data, 65_535) {
        assert_eq!(jcs::to_vec(&value).expect("what was read"), data);
    }
    let Some((width, bundle)) = data.split_first() else { return };
    let width = u64::from(*width) + 1;
    if let Ok(entries) = tile::entries(bundle, width) {
        let mut again = Vec::new();
        for entry in &entries {
            tile::push_entry(&mut again, entry).expect("what was read");
        }
        assert_eq!(again, bundle);
    }
    if let Ok(hashes) = tile::hashes(bundle, width) {
        assert_eq!(tile::to_bytes(&hashes), bundle);
    }
});
