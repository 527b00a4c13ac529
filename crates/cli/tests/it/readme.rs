//! Every command of README.md runs, in order, in one empty folder.

use super::sandbox::{Sandbox, end};
use std::path::Path;
use std::process::Command;

#[test]
fn the_commands_of_the_readme_run() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = std::fs::read_to_string(readme).expect("README.md");
    let mut script = String::from("set -eu\n");
    let mut blocks = 0;
    for block in text.split("```sh\n").skip(1) {
        script.push_str(block.split("```").next().unwrap_or_default());
        blocks += 1;
    }
    assert!(blocks >= 3 && script.matches("strongroom ").count() >= 12, "the blocks were found");

    let sandbox = Sandbox::new();
    let binary = Path::new(env!("CARGO_BIN_EXE_strongroom")).parent().expect("a folder").display().to_string();
    let prepared = sandbox.command(["--version"]);
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(sandbox.path()).env_clear();
    for (name, value) in prepared.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let path = format!("{binary}:{}", std::env::var("PATH").unwrap_or_default());
    let ended = end({
        command.env("PATH", path);
        command
    });
    let ended = ended.exits(0);
    assert!(ended.stderr.lines().all(|l| !l.contains("panicked")), "{}", ended.stderr);
    assert_eq!(std::fs::read(sandbox.at("restored/table.csv")).expect("restored"), b"id,value\n");
    assert!(sandbox.at("log-copy").join("checkpoint").exists());
}
