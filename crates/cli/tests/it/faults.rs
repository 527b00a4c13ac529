//! Full and read-only disks, two processes on one vault: clear errors, nothing lost.

use super::sandbox::{Dice, Ended, Sandbox, end};
use std::process::Command;

/// Runs a shell script with the sandbox's environment in its own mount namespace, with a small tmpfs at `small`.
pub fn on_small_disk(sandbox: &Sandbox, mebibytes: u32, script: &str) -> Ended {
    std::fs::create_dir_all(sandbox.at("small")).expect("a folder");
    let prepared = sandbox.command(["--version"]);
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    let script = format!("set -e\nmount -t tmpfs -o size={mebibytes}m tmpfs small\ncd small\n{script}");
    command.args(["--mount", "sh", "-c", &script]).current_dir(sandbox.path()).env_clear();
    for (name, value) in prepared.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command.env("SR", env!("CARGO_BIN_EXE_strongroom"));
    end(command)
}

#[test]
fn a_full_disk_is_a_clear_temporary_error_and_loses_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("first.bin", Dice(1).bytes(500_000));
    sandbox.write("big.bin", Dice(2).bytes(20_000_000));
    let ended = on_small_disk(
        &sandbox,
        12,
        "$SR init --no-recovery
$SR put ../first.bin lab/first --class internal
code=0; $SR put ../big.bin lab/big --class internal 2> ../full.txt || code=$?
echo put=$code
$SR cat lab/first | cmp - ../first.bin && echo first=same
code=0; $SR show lab/big > /dev/null 2>&1 || code=$?; echo big=$code
code=0; $SR gc --grace 0s --yes > /dev/null 2>../gc.txt || code=$?; echo gc=$code
$SR put ../first.bin lab/second --class internal > /dev/null && echo second=stored
$SR verify --all > /dev/null && $SR audit verify > /dev/null && echo verified",
    )
    .exits(0);
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    for line in ["put=9", "first=same", "big=3", "gc=0", "second=stored", "verified"] {
        assert!(said.lines().any(|l| l == line), "no `{line}` in: {said}\n{}", ended.stderr);
    }
    let why = std::fs::read_to_string(sandbox.at("full.txt")).expect("the error");
    assert!(why.contains("full") || why.contains("space"), "{why}");
}

#[test]
fn a_read_only_disk_is_a_clear_error() {
    let sandbox = Sandbox::new();
    sandbox.write("first.bin", Dice(1).bytes(5_000));
    let ended = on_small_disk(
        &sandbox,
        32,
        "$SR init --no-recovery > /dev/null
$SR put ../first.bin lab/first --class internal > /dev/null
mount -o remount,ro small 2>/dev/null || mount -o remount,ro . 
code=0; $SR put ../first.bin lab/second --class internal 2> ../ro.txt || code=$?
echo put=$code
mount -o remount,rw .
$SR cat lab/first | cmp - ../first.bin && echo first=same",
    )
    .exits(0);
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(said.contains("put=9") && said.contains("first=same"), "{said}\n{}", ended.stderr);
    let why = std::fs::read_to_string(sandbox.at("ro.txt")).expect("the error");
    assert!(why.contains("read-only") || why.contains("write"), "{why}");
}

/// Rotates, applies and collects, and tells the exit code of each with a name.
const ACTS: &str = "acts() {
code=0; $SR key rotate > /dev/null 2> ../$1-rotate.txt || code=$?; echo $1 rotate=$code
code=0; $SR policy apply ../extra.cedar --yes > /dev/null 2> ../$1-apply.txt || code=$?; echo $1 apply=$code
code=0; $SR gc --grace 0s > /dev/null 2> ../$1-gc.txt || code=$?; echo $1 gc=$code
}
sound() {
$SR cat lab/first | cmp - ../first.bin
$SR verify --all --state > /dev/null
$SR audit verify > /dev/null
echo $1 sound
}
$SR init --no-recovery > /dev/null
$SR put ../first.bin lab/first --class internal > /dev/null
";

/// Runs a script after [`ACTS`] and answers what it said, line for line.
fn acting(sandbox: &Sandbox, script: &str) -> Vec<String> {
    sandbox.write("first.bin", Dice(1).bytes(500_000));
    sandbox.write("extra.cedar", "");
    let ended = on_small_disk(sandbox, 12, &format!("{ACTS}{script}")).exits(0);
    String::from_utf8_lossy(&ended.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn rotate_apply_and_gc_on_a_full_disk_are_temporary_errors_and_lose_nothing() {
    let sandbox = Sandbox::new();
    // The disk is full at once, in the middle of the act, or not before its end.
    let said = acting(
        &sandbox,
        "for free in 0 16 32 48 64 80 96 128 160 192 256; do
dd if=/dev/zero of=filler bs=4k 2> /dev/null || true
truncate -s -${free}K filler
acts $free
rm filler
sound $free
done
acts last
sound last",
    );
    let mut refused = 0;
    for line in &said {
        let words: Vec<&str> = line.split([' ', '=']).collect();
        match words[..] {
            [free, act, "9"] => {
                let why = std::fs::read_to_string(sandbox.at(format!("{free}-{act}.txt"))).expect("the error");
                assert!(why.contains("full") || why.contains("space"), "{line}: {why}");
                refused += 1;
            }
            [_, _, "0"] | [_, "sound"] => {}
            _ => panic!("{line} in {said:?}"),
        }
    }
    assert!((6..33).contains(&refused), "full for some and not for all: {said:?}");
    assert_eq!(said.iter().filter(|line| line.ends_with("sound")).count(), 12, "{said:?}");
    assert_eq!(said[said.len() - 4..], ["last rotate=0", "last apply=0", "last gc=0", "last sound"]);
}

#[test]
fn rotate_apply_and_gc_on_a_read_only_disk_are_clear_errors() {
    let sandbox = Sandbox::new();
    let said = acting(
        &sandbox,
        "mount -o remount,ro .
acts first
mount -o remount,rw .
sound first
acts last
sound last",
    );
    let expected = ["first rotate=9", "first apply=9", "first gc=9", "first sound"];
    assert_eq!(said[..4], expected);
    assert_eq!(said[4..], ["last rotate=0", "last apply=0", "last gc=0", "last sound"]);
    for act in ["rotate", "apply", "gc"] {
        let why = std::fs::read_to_string(sandbox.at(format!("first-{act}.txt"))).expect("the error");
        assert!(why.contains("read-only"), "{act}: {why}");
    }
}

#[test]
fn a_file_system_that_fails_the_probe_gets_no_vault_and_no_key() {
    let sandbox = Sandbox::new();
    // The probe's lock file cannot be opened: a folder is in its way. The shell's number is the one of what it becomes.
    let script = "mkdir -p .strongroom/.probe-$$.lock && exec \"$0\" init --no-recovery";
    let init = sandbox.command(["init"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(init.get_program()).current_dir(sandbox.path()).env_clear();
    shell.envs(init.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let refused = end(shell).exits(9);
    assert!(refused.stderr.contains("a file"), "{}", refused.stderr);
    assert!(!sandbox.vault().join("log").exists(), "a vault was begun");
    assert_eq!(std::fs::read_dir(sandbox.at("config/strongroom")).expect("a folder").count(), 0, "a key was made");
}

#[test]
fn two_processes_on_one_vault_lose_nothing() {
    let sandbox = Sandbox::solo();
    let writers = 6;
    let children: Vec<_> = (0..writers)
        .map(|n| {
            let source = sandbox.write(&format!("src/{n}"), Dice(n).bytes(70_000));
            let source = source.display().to_string();
            sandbox.command(["put", &source, "lab/shared", "--class", "internal"]).spawn().expect("a writer")
        })
        .collect();
    let mut acknowledged = 0;
    for mut child in children {
        let status = child.wait().expect("an end");
        assert!(matches!(status.code(), Some(0 | 8 | 9)), "{status}");
        acknowledged += u64::from(status.success());
    }
    assert!(acknowledged >= 1);
    let history = sandbox.run(["--format", "json", "history", "lab/shared"]).exits(0).json();
    let numbers: Vec<u64> =
        history["items"].as_array().expect("items").iter().filter_map(|i| i["number"].as_u64()).collect();
    assert_eq!(numbers, (1..=acknowledged).rev().collect::<Vec<_>>(), "numbers are given at commit, without gaps");
    let verified = sandbox.run(["--format", "json", "verify", "--all", "--state"]).exits(0).json();
    assert_eq!(verified["ok"], true);
    sandbox.run(["audit", "verify"]).exits(0);
}
