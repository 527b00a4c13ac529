//! What comes over an agent's socket: it is read into one form of its own, or refused.
#![no_main]

use client::agent::reread;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(text) = reread(data) {
        assert_eq!(reread(&text), Some(text));
    }
});
