//! What the fuzzer starts from, for the tests that hold it to what the code writes.

#![expect(clippy::unwrap_used, reason = "for tests: it fails aloud")]

use std::path::Path;

/// The seeds of a target that are read as they stand: those named `ok`.
///
/// # Panics
/// If the target has no corpus.
#[must_use]
pub fn good(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let good = |file: std::fs::DirEntry| {
        let named = file.file_name().to_string_lossy().starts_with("ok");
        named.then(|| std::fs::read(file.path()).unwrap())
    };
    std::fs::read_dir(folder).unwrap().filter_map(|file| good(file.unwrap())).collect()
}
