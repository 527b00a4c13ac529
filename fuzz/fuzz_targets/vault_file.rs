//! `vault.json`: read to one text with a bounded number of roots, or refused.
#![no_main]

use keeper::fuzz::vault_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(text) = vault_file(data) {
        assert!(text.len() <= 8 * data.len() + 4096, "what was read is not longer than what it was read from");
        assert_eq!(vault_file(&text), Some(text));
    }
});
