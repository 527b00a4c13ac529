//! Decrypted blocks of lists and maps, as a holder of the key could write them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seal::{list, map};

fuzz_target!(|data: &[u8]| {
    if let Ok(entries) = list::decode_entries(data) {
        assert!(entries.iter().all(|entry| entry.path().len() <= list::MAX_PATH_LEN));
    }
    if let Ok(entries) = map::decode_entries(data) {
        assert!(entries.iter().all(|entry| entry.size().is_some()));
    }
});
