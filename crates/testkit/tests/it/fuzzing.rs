//! What fuzzing starts from.

use super::{read, root};
use std::collections::BTreeSet;

/// Fewer are no choice.
const LEAST_SEEDS: usize = 3;

fn names(folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(root().join("fuzz").join(folder)).expect("a readable folder");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name")).collect()
}

#[test]
fn every_fuzz_target_is_built_and_has_seeds() {
    let manifest = read(&root().join("fuzz/Cargo.toml"));
    let paths = manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")?.strip_suffix(".rs\""));
    let targets: BTreeSet<String> = paths.map(str::to_owned).collect();
    assert!(targets.len() >= 24, "{targets:?}");
    let files = names("fuzz_targets").iter().map(|name| name.trim_end_matches(".rs").to_owned()).collect();
    assert_eq!(targets, files, "each file is a target");
    assert_eq!(targets, names("corpus"), "each target has seeds");
    for target in targets {
        let seeds = names(&format!("corpus/{target}")).len();
        assert!(seeds >= LEAST_SEEDS, "{target} starts from {seeds} inputs");
    }
}
