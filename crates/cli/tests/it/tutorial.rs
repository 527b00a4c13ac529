//! Every command of the tutorial runs, in order, in one empty folder, and does what the page says of it.

use super::sandbox::{Ended, Sandbox, end};
use std::path::Path;
use std::process::Command;

/// Runs the `sh` blocks of a page of the documentation.
fn run(sandbox: &Sandbox, page: &str) -> (Ended, String) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let text = std::fs::read_to_string(page).unwrap();
    let blocks: Vec<&str> =
        text.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap_or_default()).collect();
    let script = format!("set -eu\n{}", blocks.concat());
    let binary = Path::new(env!("CARGO_BIN_EXE_strongroom")).parent().unwrap().display().to_string();
    let prepared = sandbox.command(["--version"]);
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(sandbox.path()).env_clear();
    command.envs(prepared.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", format!("{binary}:{}", std::env::var("PATH").unwrap()));
    (end(command), script)
}

#[test]
fn the_commands_of_the_tutorial_run_and_say_what_it_says() {
    let sandbox = Sandbox::new();
    let (ended, script) = run(&sandbox, "tutorial.md");
    assert!(script.matches("strongroom ").count() >= 25, "the blocks were found");
    let ended = ended.exits(0);
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    for part in
        ["refused with 5", "{\"0\": 125.0, \"1\": 120.0}", "clinic/model@v1", "age,pressure,ill", "python3 train.py"]
    {
        assert!(said.contains(part), "no `{part}` in:\n{said}\n{}", ended.stderr);
    }
    assert!(ended.stderr.contains("clearance") && !ended.stderr.contains("panicked"), "{}", ended.stderr);
    assert!(sandbox.at("log-copy/checkpoint").exists());
    assert!(!sandbox.at("table").exists());
}
