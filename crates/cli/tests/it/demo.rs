//! The demo runs on any file or folder, not only on its own model.

use super::sandbox::{Sandbox, end};
use std::path::Path;
use std::process::Command;

/// Runs the demo on this file or folder of the sandbox to its end, and gives what it showed.
#[track_caller]
fn demo(sandbox: &Sandbox, model: &str) -> String {
    let prepared = sandbox.command(["--version"]);
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/demo.sh"));
    command.arg(model).current_dir(sandbox.path()).env_clear();
    command.envs(prepared.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("DEMO_BIN", Path::new(env!("CARGO_BIN_EXE_strongroom")).parent().expect("a folder"));
    command.env("DEMO_DIR", sandbox.at(format!("demo of {model}")));
    let ended = end(command);
    let shown = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{model:?}: {shown}");
    assert!(shown.contains("caught, and nothing was written") && shown.contains("Where next"), "{model:?}: {shown}");
    shown
}

#[test]
fn the_demo_runs_on_any_file_or_folder() {
    let sandbox = Sandbox::new();
    sandbox.write("tiny", b"abcdef");
    sandbox.write("empty", b"");
    std::fs::create_dir(sandbox.at("nothing")).expect("a folder");
    sandbox.write("linked/ a@b\n%d/c", b"hello");
    std::os::unix::fs::symlink("nowhere", sandbox.at("linked/broken")).expect("a link");
    std::os::unix::fs::symlink("/", sandbox.at("linked/out")).expect("a link");
    for (model, range) in [
        ("tiny", "equal to the original's bytes 0-5"),
        ("empty", "skipped: empty has no byte to read"),
        ("nothing", "skipped: nothing has no byte to read"),
        ("linked", "equal to the original's bytes 0-4"),
    ] {
        let shown = demo(&sandbox, model);
        assert!(shown.contains(range), "{model}: {shown}");
    }
}
