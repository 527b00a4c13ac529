//! What the search of `doctor` finds on a disk: archives, notebooks, HTML, base64, whatever it is. The first byte chooses the file's name.
#![no_main]

use client::doctor::spills::{FUZZED, looked_into};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some((first, rest)) = data.split_first()
        && let Some(name) = FUZZED.get(usize::from(*first) % FUZZED.len())
    {
        looked_into(name, rest);
    }
});
