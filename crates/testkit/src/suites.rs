//! One test, run for a vault of every suite.

use std::cell::Cell;

/// The words of the suites.
pub const ALL: [&str; 2] = ["default", "nist"];

thread_local! {
    static CURRENT: Cell<&'static str> = const { Cell::new("default") };
}

/// Runs a test once for each suite. Vaults that it makes in this thread write that suite, and open no other.
pub fn each(test: impl Fn()) {
    for suite in ALL {
        CURRENT.set(suite);
        println!("under suite {suite}");
        test();
    }
    CURRENT.set("default");
}

/// The suite that the test runs for.
#[must_use]
pub fn current() -> &'static str {
    CURRENT.get()
}

/// The table that has a vault write this suite only; none for the one that every vault writes.
#[must_use]
pub fn table(suite: &str) -> Option<String> {
    if suite == "default" {
        return None;
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../baseline/crypto.toml");
    let baseline = std::fs::read_to_string(path).unwrap_or_default();
    let lines = baseline.lines().filter(|line| !line.starts_with('#'));
    let only = |line: &str| match line.split_once(" = ") {
        Some((key @ ("suite" | "write"), _)) => format!("{key} = \"{suite}\"\n"),
        Some(("read", _)) => format!("read = [\"{suite}\"]\n"),
        _ => format!("{line}\n"),
    };
    Some(lines.map(only).collect())
}
