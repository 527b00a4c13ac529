//! Rules of style that a compiler does not check.

use super::{files, read, shown};

const HARD_LIMIT_LINES: usize = 800;
const MEDIAN_LIMIT_LINES: usize = 250;

#[test]
fn no_rust_file_is_longer_than_the_hard_limit() {
    let mut lengths = Vec::new();
    for path in files("crates", &[".rs"]) {
        let lines = read(&path).lines().count();
        assert!(lines <= HARD_LIMIT_LINES, "{} has {lines} lines: split it by idea", shown(&path));
        lengths.push(lines);
    }
    lengths.sort_unstable();
    assert!(lengths.len() > 50, "the tree was read");
    let median = lengths[lengths.len() / 2];
    assert!(median <= MEDIAN_LIMIT_LINES, "the median file has {median} lines");
}

#[test]
fn there_is_no_unfinished_or_silenced_code() {
    // Written in two halves, so that this file does not find itself.
    let banned = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("#[al", "low("),
        concat!("#![al", "low("),
        concat!("#[ig", "nore"),
        concat!("dbg", "!("),
    ];
    // A test that waits for time to pass is slow on a quiet machine and wrong on a busy one.
    let sleep = concat!("thread::", "sleep(");
    let mut found = Vec::new();
    for path in files("crates", &[".rs"]).into_iter().chain(files("fuzz", &[".rs"])) {
        for (number, line) in read(&path).lines().enumerate() {
            let sleeps = line.contains(sleep) && shown(&path).contains("tests");
            if sleeps || banned.iter().any(|b| line.contains(b)) {
                found.push(format!("{}:{}: {}", shown(&path), number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn modules_have_telling_names() {
    for path in files("crates", &[".rs"]) {
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        assert!(
            !["common", "utils", "util", "types", "helpers", "manager", "misc"].contains(&stem),
            "{}",
            shown(&path)
        );
        let of_a_target = path.components().any(|c| c.as_os_str() == "tests" || c.as_os_str() == "benches");
        assert!(stem != "mod" || of_a_target, "{}: use name.rs", shown(&path));
    }
}

#[test]
fn only_the_named_files_touch_the_clock_and_the_random_generator() {
    let clock = concat!("System", "Time::now");
    let random = concat!("System", "Random");
    for path in files("crates", &[".rs"]) {
        let name = shown(&path);
        if name.contains("/tests/") || name.contains("/benches/") {
            continue;
        }
        let text = read(&path);
        let may = ["crates/keeper/src/system.rs", "crates/client/src/system.rs"];
        assert!(!text.contains(clock) || may.contains(&name.as_str()), "{name} reads the clock");
        let may = ["crates/seal/src/entropy.rs", "crates/keeper/src/system.rs"];
        assert!(
            !text.contains(random) || may.contains(&name.as_str()) || name.starts_with("crates/testkit"),
            "{name} draws random bytes"
        );
    }
}

#[test]
fn unsafe_code_is_forbidden_in_every_crate() {
    for path in files("crates", &["Cargo.toml"]) {
        let text = read(&path);
        assert!(text.contains("[lints]") && text.contains("workspace = true"), "{} leaves the lints", shown(&path));
    }
}
