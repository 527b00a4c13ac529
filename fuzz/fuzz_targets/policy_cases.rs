//! Any text is a case file or is refused, and the baseline answers every case without an evaluation error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use policy::{Set, test};
use std::sync::LazyLock;

static BASELINE: LazyLock<Set> = LazyLock::new(|| Set::baseline().expect("the baseline loads"));

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(report) = test(&BASELINE, text) {
        assert!(report.failures.len() <= report.cases);
    }
});
