//! Every `try:` line of a refusal is a command that runs, and tells what the refusal told.

use super::sandbox::{Ended, Sandbox};
use serde_json::Value;

/// A rehearsal vault with people for every kind of refusal.
fn lab() -> Sandbox {
    let sandbox = Sandbox::rehearsal();
    sandbox.run(["principal", "add", "aud", "--grant", "vault=auditor"]).exits(0);
    sandbox.write("f", b"data");
    for (name, clearance, grant) in [
        ("wanda", "restricted", "lab=writer"),
        ("alice", "internal", "lab=reader"),
        ("carol", "restricted", "lab=reader"),
        ("visitor", "confidential", "vault=reader"),
    ] {
        sandbox.run(["principal", "add", name, "--clearance", clearance, "--grant", grant]).exits(0);
    }
    for class in ["internal", "confidential", "restricted"] {
        sandbox.run(["--as", "wanda", "put", "f", &format!("lab/{class}"), "--class", class]).exits(0);
    }
    sandbox
}

fn told(sandbox: &Sandbox, args: &[&str]) -> (i32, Value) {
    let ended: Ended = sandbox.run(["--format", "json"].iter().chain(args));
    assert!(ended.stdout.is_empty(), "{args:?}");
    (ended.code, serde_json::from_str(ended.stderr.trim()).unwrap_or_else(|e| panic!("{args:?} {e}: {}", ended.stderr)))
}

/// What stands between backticks.
fn commands(hint: &str) -> Vec<&str> {
    hint.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_hint_of_a_refusal_runs_and_says_the_same() {
    let sandbox = lab();
    let mut met = Vec::new();
    for (code, args) in [
        (5, &["--as", "carol", "--assert", "mfa=none", "cat", "lab/confidential"][..]),
        (5, &["--as", "carol", "cat", "lab/restricted"]),
        (5, &["--as", "wanda", "put", "f", "lab/confidential", "--env", "prod"]),
        (6, &["--as", "visitor", "get", "lab/confidential", "out"]),
    ] {
        let (exit, error) = told(&sandbox, args);
        assert_eq!(exit, code, "{args:?} {error}");
        let hint = error["try"].as_str().unwrap_or_else(|| panic!("{args:?} has no hint: {error}"));
        let commands = commands(hint);
        assert!(!commands.is_empty(), "{args:?}: {hint}");
        if let Some(flags) = commands[0].strip_prefix("--") {
            // The same command with other flags.
            let flags = format!("--{flags}");
            let replaced = ["--assert", "mfa=none", "--env", "prod"];
            let kept = args.iter().filter(|arg| !replaced.contains(*arg)).copied();
            sandbox.run(kept.chain(flags.split(' '))).exits(0);
            met.push("flags");
            continue;
        }
        let explain: Vec<&str> = commands[0].strip_prefix("strongroom ").expect("a command").split(' ').collect();
        let explained = sandbox.run(["--format", "json"].iter().chain(&explain)).exits(0).json();
        for field in ["allowed", "policies", "reasons", "near_misses", "approval", "try"] {
            assert_eq!(explained[field], error["refusal"][field], "{args:?}: {hint} {field}");
        }
        // What no command does is not sent for.
        assert!(hint.starts_with("none: this release"), "{args:?}: {hint}");
        met.push(if error["refusal"]["approval"].is_null() { "explain" } else { "approval" });
    }
    for kind in ["flags", "explain", "approval"] {
        assert!(met.contains(&kind), "no hint of the kind {kind} was met");
    }
}

#[test]
fn what_is_missing_is_named_as_the_command_that_gives_it_and_then_the_act_is_allowed() {
    for (args, gives) in [
        (&["--as", "alice", "cat", "lab/confidential"][..], "alice --change --clearance confidential"),
        (&["--as", "alice", "cat", "lab/confidential@v1"], "alice --change --clearance confidential"),
        (&["--as", "alice", "get", "lab/confidential", "out"], "alice --change --clearance confidential"),
        (&["--as", "alice", "put", "f", "lab/internal"], "alice --change --grant lab=writer"),
        (
            &["--as", "alice", "put", "f", "lab/confidential"],
            "alice --change --grant lab=writer --clearance confidential",
        ),
        (
            &["--as", "alice", "put", "f", "lab/new", "--class", "internal", "--env", "staging"],
            "alice --change --grant lab=writer",
        ),
        (
            &["--as", "wanda", "put", "f", "lab/internal", "--env", "staging", "--alias", "live"],
            "wanda --change --grant lab=steward",
        ),
        (&["put", "f", "lab/internal"], "NAME --grant lab=writer --clearance internal"),
        (&["put", "f", "lab/mine"], "NAME --grant lab=writer --clearance confidential"),
        (&["cat", "lab/confidential"], "NAME --grant lab=reader --clearance confidential"),
        (&["audit", "tail"], "NAME --grant vault=auditor"),
        (&["audit", "verify"], "NAME --grant vault=auditor"),
        (&["verify", "--state"], "NAME --grant vault=auditor"),
        (&["--as", "alice", "who-did", "lab/internal"], "NAME --grant lab=auditor"),
        (&["--as", "alice", "who-can", "read", "lab/internal"], "NAME --grant lab=auditor --clearance internal"),
        (&["--as", "alice", "who-can", "audit"], "NAME --grant vault=auditor"),
        (&["key", "rotate"], "NAME --grant vault=custodian"),
        (&["key", "rotate", "--workspace", "lab"], "NAME --grant lab=custodian"),
        (&["gc"], "NAME --grant vault=custodian"),
        (&["status", "--accept-clock", "--yes"], "NAME --grant vault=custodian"),
        (&["policy", "apply", "extra.cedar", "--yes"], "NAME --grant vault=policy-author"),
        (&["--as", "alice", "principal", "add", "eve"], "NAME --grant vault=owner"),
        (&["--as", "aud", "key", "rotate"], "NAME --grant vault=custodian"),
    ] {
        let sandbox = lab();
        sandbox.write("extra.cedar", "");
        let (exit, error) = told(&sandbox, args);
        assert_eq!(exit, 5, "{args:?} {error}");
        let hint = error["try"].as_str().unwrap_or_else(|| panic!("{args:?} has no hint: {error}"));
        let command = commands(hint)[0];
        assert_eq!(command, format!("strongroom principal add {gives}"), "{args:?}: {hint}");
        assert_eq!(error["refusal"]["try"], hint, "{args:?}");
        let words = command.strip_prefix("strongroom ").unwrap().replace("NAME", "newcomer");
        sandbox.run(words.split(' ')).exits(0);
        if gives.starts_with("NAME") {
            let act = args.iter().skip(if args[0] == "--as" { 2 } else { 0 });
            sandbox.run(["--as", "newcomer"].iter().chain(act)).exits(0);
        } else {
            sandbox.run(args).exits(0);
        }
    }
}

#[test]
fn the_first_steps_that_init_names_work() {
    for mode in ["solo", "rehearsal"] {
        let sandbox = Sandbox::new();
        sandbox.write("FILE", b"data");
        let said = sandbox.run(["init", "--mode", mode, "--no-recovery"]).exits(0).stderr;
        let steps: Vec<&str> =
            said.lines().filter_map(|line| line.split_once(": strongroom ").map(|(_, step)| step)).collect();
        assert_eq!(steps.len(), if mode == "solo" { 1 } else { 2 }, "{said}");
        for step in steps {
            let step = step.replace("WORKSPACE", "lab").replace("ARTIFACT", "a").replace("NAME", "wanda");
            sandbox.run(step.split(' ')).exits(0);
        }
        let who = if mode == "solo" { &[][..] } else { &["--as", "wanda"] };
        assert_eq!(sandbox.run(who.iter().chain(&["cat", "lab/a"])).exits(0).stdout, b"data");
    }
}

#[test]
fn the_hint_of_a_confirmation_runs() {
    let sandbox = Sandbox::solo();
    sandbox.write("f", b"data");
    sandbox.run(["put", "f", "lab/a", "--class", "restricted"]).exits(0);
    let (code, error) = told(&sandbox, &["cat", "lab/a"]);
    assert_eq!(code, 2, "{error}");
    let hint = error["try"].as_str().unwrap();
    let flags = commands(hint)[0].replace("REASON", "because");
    let ended = sandbox.run(["cat", "lab/a"].into_iter().chain(flags.split(' '))).exits(0);
    assert_eq!(ended.stdout, b"data");
}

#[test]
fn explain_takes_the_vault_and_every_act_on_it() {
    let sandbox = lab();
    let explain = |args: &[&str]| sandbox.run(["--format", "json", "policy", "explain"].iter().chain(args));
    for act in
        ["list", "rotate-keys", "manage-keys", "manage-principals", "manage-policy", "audit", "collect", "backup"]
    {
        let bare = explain(&["--as", "aud", act]).exits(0).json();
        let named = explain(&["--as", "aud", act, "vault"]).exits(0).json();
        assert_eq!(bare, named, "{act}");
        assert_eq!(bare["allowed"], matches!(act, "list" | "audit"), "{act}: {bare}");
    }
    assert_eq!(explain(&["--as", "alice", "list", "lab"]).exits(0).json()["allowed"], true);
    assert_eq!(explain(&["--as", "wanda", "write", "lab/new", "--env", "staging"]).exits(0).json()["allowed"], true);
    for wrong in [&["read"][..], &["read", "lab"], &["audit", "lab/internal"], &["collect", "lab"], &["gc"]] {
        explain(wrong).exits(2);
    }
    let text = sandbox.run(["policy", "explain", "--as", "aud", "collect"]).exits(0).stdout;
    assert!(String::from_utf8(text).unwrap().starts_with("denied: collect vault\n"));
}
