//! A record of the journal of an unfinished put: it has one form, and names no more files than it has room for.
#![no_main]

use client::put::fuzz::journal_record;
use libfuzzer_sys::fuzz_target;
use seal::Suite;

fuzz_target!(|data: &[u8]| {
    for suite in Suite::ALL {
        if let Some(again) = journal_record(suite, data) {
            assert_eq!(again.as_slice(), data);
        }
    }
});
