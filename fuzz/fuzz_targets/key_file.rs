//! The key file: one line of one length, or refused; a line end may be missing and digits may be upper case.
#![no_main]

use keeper::fuzz::key_file;
use libfuzzer_sys::fuzz_target;

const VAULT: [u8; 16] = [1; 16];

fuzz_target!(|data: &[u8]| {
    if let Some(text) = key_file(data, VAULT) {
        let line = data.strip_suffix(b"\n").unwrap_or(data);
        assert_eq!(text.strip_suffix(b"\n"), Some(line.to_ascii_lowercase().as_slice()));
        assert_eq!(key_file(&text, VAULT), Some(text));
        assert_eq!(key_file(data, [2; 16]), None, "it belongs to one vault");
    }
});
