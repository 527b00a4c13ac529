//! `doctor` through the real binary.

use super::sandbox::{Dice, Ended, Sandbox, end};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

fn filled() -> Sandbox {
    let sandbox = Sandbox::solo();
    sandbox.write("f", Dice(50).bytes(100_000));
    sandbox.run(["put", "f", "lab/a", "--class", "internal"]).exits(0);
    sandbox
}

/// `doctor` that looks into the sandbox's temporary folder only, which nobody else uses.
fn doctor(sandbox: &Sandbox, args: &[&str]) -> Ended {
    let mut command = sandbox.command(args.iter().chain(&["doctor"]));
    command.env("TMPDIR", sandbox.at("tmp"));
    end(command)
}

fn keyfile(sandbox: &Sandbox) -> PathBuf {
    let mut found = std::fs::read_dir(sandbox.at("config/strongroom")).unwrap();
    found.next().unwrap().unwrap().path()
}

/// The findings of an examination, by name; the sandbox itself may lie in memory.
fn findings(ended: &Ended) -> Vec<String> {
    let told = ended.json();
    let checks = told["checks"].as_array().unwrap();
    let found = checks.iter().filter(|check| check["state"] == "finding").map(|check| check["name"].as_str().unwrap());
    let found: Vec<String> = found.filter(|name| *name != "file-system").map(str::to_owned).collect();
    assert_eq!(told["ok"], Value::Bool(ended.code == 0), "{told}");
    found
}

fn check(ended: &Ended, name: &str) -> Value {
    let told = ended.json();
    let found = told["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).cloned();
    found.unwrap_or_else(|| panic!("no check {name}: {told}"))
}

#[test]
fn a_vault_as_it_was_made_has_no_finding() {
    let sandbox = filled();
    let examined = doctor(&sandbox, &["--format", "json"]);
    assert!(findings(&examined).is_empty(), "{}", examined.text());
    for name in ["key-file", "anchor", "swap", "core-dumps", "ptrace", "disk", "sync", "freshness", "verified"] {
        let check = check(&examined, name);
        assert!(check["why"].as_str().unwrap().len() > 10 && check["what"].is_string(), "{check}");
    }
    let lines = doctor(&sandbox, &["--format", "jsonl"]);
    let lines = String::from_utf8(lines.stdout).unwrap();
    assert!(lines.lines().count() > 15 && lines.lines().all(|line| line.contains("\"kind\":\"doctor\"")), "{lines}");
}

#[test]
fn doctor_says_what_it_could_not_check_and_mends_what_kept_the_vault_closed() {
    let sandbox = filled();
    let open =
        |mode| std::fs::set_permissions(keyfile(&sandbox), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    open(0o644);
    let examined = doctor(&sandbox, &["--format", "json"]).exits(1);
    assert_eq!(findings(&examined), ["key-file", "opens"], "{}", examined.text());
    assert_eq!(check(&examined, "freshness")["state"], "unknown");
    assert!(check(&examined, "key-file")["fix"].as_str().unwrap().starts_with("chmod 600"));
    // Nothing is changed without a yes, nor to see what would be.
    sandbox.run(["doctor", "--fix"]).exits(2);
    let would = sandbox.run(["doctor", "--fix", "--dry-run"]).exits(1);
    assert!(would.stderr.contains("would chmod 600"), "{}", would.text());
    assert_eq!(std::fs::metadata(keyfile(&sandbox)).unwrap().permissions().mode() & 0o777, 0o644);
    let mut command = sandbox.command(["--format", "json", "doctor", "--fix", "--yes"]);
    command.env("TMPDIR", sandbox.at("tmp"));
    let mended = end(command);
    assert!(findings(&mended).is_empty(), "{}", mended.text());
    assert!(check(&mended, "key-file")["fixed"].is_string());
    assert_eq!(std::fs::metadata(keyfile(&sandbox)).unwrap().permissions().mode() & 0o777, 0o600);
    let text = doctor(&sandbox, &[]).text();
    assert!(text.contains("key-file") && !text.contains("FINDING          key-file"), "{text}");
}

#[test]
fn a_sample_finds_what_is_damaged_or_gone_and_says_what_it_may_have_missed() {
    let sandbox = Sandbox::solo();
    sandbox.write("big", Dice(51).bytes(24 << 20));
    sandbox.run(["put", "big", "lab/big", "--class", "internal"]).exits(0);
    let verify = |part: &str| sandbox.run(["--format", "json", "verify", "--sample", part]);
    let job = || {
        let jobs = sandbox.run(["--format", "json", "jobs", "ls"]).exits(0).json();
        jobs["items"].as_array().unwrap().iter().find(|job| job["name"] == "verify").unwrap().clone()
    };
    assert!(job()["last"].is_null());
    let whole = verify("100%").exits(0).json();
    assert_eq!((&whole["sample"]["share"], &whole["sample"]["covered"]), (&1.0.into(), &whole["sample"]["bytes"]));
    assert!(job()["last"].is_number(), "the vault remembers that it was looked at");
    let some = verify("25%").exits(0).json();
    let sample = &some["sample"];
    assert!(sample["covered"].as_u64() < sample["bytes"].as_u64(), "{some}");
    assert_eq!(sample["missed"][0]["probability"], 0.75, "one unit of 24: {some}");
    let ran = sandbox.run(["--format", "json", "jobs", "run", "verify"]).exits(0).json();
    assert_eq!(ran["items"][0]["failed"], Value::Null, "{ran}");
    sandbox.run(["verify", "--sample", "5"]).exits(2);

    // One byte of each MiB: half of them is read, so all are left once in 2^24 times.
    let object = sandbox.objects().remove(0);
    let sound = std::fs::read(&object).unwrap();
    let mut damaged = sound.clone();
    damaged.iter_mut().step_by(1 << 20).skip(1).for_each(|byte| *byte ^= 1);
    std::fs::write(&object, &damaged).unwrap();
    let found = verify("50%").exits(7).json();
    assert_eq!(found["failures"][0]["ref"], "lab/big@v1", "{found}");
    std::fs::write(&object, &sound).unwrap();
    verify("50%").exits(0);
    // What is cut or gone is found whatever is read.
    std::fs::write(&object, &sound[..sound.len() - 1]).unwrap();
    verify("0.0001%").exits(7);
    std::fs::remove_file(&object).unwrap();
    assert_eq!(sandbox.run(["jobs", "run", "verify"]).exits(1).code, 1);
}
