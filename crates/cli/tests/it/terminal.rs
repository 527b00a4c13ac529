//! What others wrote does not reach the terminal as anything but text.

use super::sandbox::{Ended, Sandbox};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

/// Escape, bell, the eight-bit CSI, an override of direction, a line separator, a byte order mark.
const SLY: &str = "x\u{1b}[2J\u{7}\u{9b}31m\u{202e}gpj.exe\u{2028}\u{feff}";
const HIDDEN: [char; 7] = ['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}', '\u{2028}', '\u{feff}', '\r'];

#[track_caller]
fn is_clean(ended: &Ended) {
    let out = std::str::from_utf8(&ended.stdout).expect("text");
    for text in [out, ended.stderr.as_str()] {
        assert!(!text.contains(HIDDEN), "{text:?}");
    }
}

/// A vault whose file names, links, tags and lineage are all sly.
fn sly() -> Sandbox {
    let sandbox = Sandbox::solo();
    sandbox.write(&format!("in/{SLY}"), b"x");
    std::fs::write(sandbox.at("in").join(OsStr::from_bytes(b"\xc2\x9b\xff\n")), b"y").unwrap();
    std::os::unix::fs::symlink(SLY, sandbox.at("in/link")).unwrap();
    let tag = format!("note={SLY}\nclass        public");
    sandbox.run(["put", "in", "lab/sly", "--class", "internal", "--tag", &tag]).exits(0);
    sandbox
}

#[test]
fn no_name_tag_or_failure_reaches_the_terminal_raw() {
    let sandbox = sly();
    let file = format!("lab/sly/{SLY}");
    let out = format!("out-{SLY}");
    for (args, code) in [
        (&["show", "lab/sly"][..], 0),
        (&["ls", "lab/sly/"], 0),
        (&["ls", "lab/sly/", "--limit", "1"], 0),
        (&["history", "lab/sly"], 0),
        (&["get", "lab/sly", &out], 0),
        (&["get", "lab/sly", &out], 8),
        (&["get", &file, &out, "--force"], 0),
        (&["cat", &format!("lab/sly/none-{SLY}")], 3),
        (&["put", &format!("none-{SLY}"), "lab/x"], 3),
        (&["put", "in", SLY], 2),
        (&["put", "in", "lab/x", "--exclude", &format!("[{SLY}")], 2),
        (&["audit", "tail"], 0),
        (&["audit", "export", &format!("log-{SLY}")], 0),
        (&["policy", "lint", &format!("none-{SLY}")], 3),
        (&[SLY], 2),
        (&["show", "lab/sly", &format!("--{SLY}")], 2),
    ] {
        for format in ["human", "json", "jsonl"] {
            let all = ["--format", format].into_iter().chain(args.iter().copied());
            let ended = sandbox.run(all);
            is_clean(&ended);
            // The same command a second time may find its own work.
            assert!(ended.code == code || format != "human", "{args:?}: {} {}", ended.code, ended.stderr);
        }
    }
    let tagged = sandbox.run(["--format", "json", "show", "lab/sly"]).exits(0).json();
    assert!(tagged["tags"]["note"].as_str().unwrap().starts_with(SLY), "JSON means what was stored: {tagged}");
}

#[test]
fn a_line_break_in_a_tag_or_a_name_makes_no_line() {
    let sandbox = sly();
    let shown = String::from_utf8(sandbox.run(["show", "lab/sly"]).exits(0).stdout).unwrap();
    assert_eq!(shown.lines().filter(|line| line.starts_with("class ")).collect::<Vec<_>>(), ["class        internal"]);
    let failed = sandbox.run(["cat", "lab/sly/none\n  try: strongroom gc"]).exits(3).stderr;
    assert!(!failed.lines().any(|line| line == "  try: strongroom gc`"), "{failed}");
    assert_eq!(failed.lines().filter(|line| line.trim_start().starts_with("try:")).count(), 1, "{failed}");
}
