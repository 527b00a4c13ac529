//! Living with policies: lint, tests with coverage, what an apply would change, and the playground of `examples/policies/`.

use super::sandbox::{Sandbox, end};
use std::path::Path;
use std::process::Command;

const NOTES: &str = "@reason(\"because\") @owner(\"tests\") @control(\"C-1\") @review_by(\"2036-01-31\")\n";

/// A forbid with these annotations.
fn freeze(condition: &str) -> String {
    format!(
        "@id(\"freeze\") {NOTES}forbid (principal, action == Action::\"write\", resource is Artifact)\nwhen {{ {condition} }};\n"
    )
}

const CASES: &str = r#"{
    "mode": "solo",
    "principals": { "me": { "clearance": "restricted", "roles": { "*": ["owner"] }, "envs": ["dev", "prod"] } },
    "artifacts": { "draft": { "workspace": "lab", "class": "internal" },
                   "served": { "workspace": "lab", "class": "internal", "env": "prod" } },
    "cases": [
        { "name": "put in dev", "principal": "me", "action": "write", "resource": { "artifact": "draft" }, "expect": "allow" },
        { "name": "put in prod", "principal": "me", "action": "write", "resource": { "artifact": "served" }, "expect": "deny" }
    ]
}"#;

#[test]
fn lint_says_what_where_why_and_how_to_mend() {
    let sandbox = Sandbox::solo();
    let never = freeze("resource.env == \"production\"").replace("forbid", "permit");
    sandbox.write("own.cedar", format!("// ours\n{never}"));
    let ended = sandbox.run(["policy", "lint", "own.cedar"]).exits(1);
    let text = String::from_utf8(ended.stdout).unwrap();
    for part in [
        "warning[word]: own.cedar:2:1: `freeze` `production` is no environment: dev staging prod",
        "warning[unused]: own.cedar:2:1: `freeze` it never matches",
        "  why: ",
        "  mend: ",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let found = sandbox.run(["--format", "json", "policy", "lint", "own.cedar"]).exits(1).json();
    let finding = &found["findings"][0];
    for (field, value) in [("severity", "warning"), ("file", "own.cedar"), ("policy", "freeze")] {
        assert_eq!(finding[field], value, "{finding}");
    }
    assert_eq!((finding["line"].as_u64(), finding["column"].as_u64()), (Some(2), Some(1)));
    sandbox.write("own.cedar", freeze("resource.env == \"prod\""));
    sandbox.run(["policy", "lint", "own.cedar"]).exits(0);
}

#[test]
fn tests_tell_what_they_reached_and_fail_under_a_threshold() {
    let sandbox = Sandbox::solo();
    sandbox.write("own.cedar", freeze("resource.env == \"prod\" && context.solo"));
    sandbox.write("cases.json", CASES);
    let args = ["policy", "test", "cases.json", "--policies", "own.cedar"];
    let text = String::from_utf8(sandbox.run(args).exits(0).stdout).unwrap();
    assert!(text.contains("not covered: `freeze`: never false: context.solo\n"), "{text}");
    assert!(text.contains("coverage: 80 % of the organisation's policies\n"), "{text}");
    let tested = sandbox.run(["--format", "json"].iter().chain(&args)).exits(0).json();
    assert_eq!(tested["coverage"]["percent"], 80);
    let covered =
        tested["coverage"]["policies"].as_array().unwrap().iter().find(|policy| policy["own"] == true).unwrap();
    assert_eq!((&covered["policy"], &covered["determined"]), (&"freeze".into(), &1.into()), "{covered}");
    assert_eq!(covered["conditions"][1]["failed"], 0, "{covered}");
    let least = |percent: &str, code: i32| {
        let ended = sandbox.run(args.iter().chain(&["--min-coverage", percent])).exits(code);
        String::from_utf8(ended.stdout).unwrap()
    };
    least("80", 0);
    assert!(least("81", 1).contains("coverage: 80 % is less than the 81 % wanted"));
    sandbox.run(args.iter().chain(&["--min-coverage", "101"])).exits(2);
    // A warning of lint fails no test; a case does.
    sandbox.write("own.cedar", freeze("resource.env == \"prod\"").replace("@control(\"C-1\")", ""));
    sandbox.run(args).exits(0);
    sandbox.write("own.cedar", "");
    let failed = String::from_utf8(sandbox.run(args).exits(1).stdout).unwrap();
    assert!(failed.contains("case failed: put in prod: expected deny, got allow by solo-owner-data"), "{failed}");
}

#[test]
fn apply_shows_what_changes_before_it_asks() {
    let sandbox = Sandbox::solo();
    sandbox.write("own.cedar", freeze("resource.env == \"prod\""));
    sandbox.write("cases.json", CASES);
    let args = ["policy", "apply", "own.cedar", "--cases", "cases.json"];
    let ended = sandbox.run(args).exits(2);
    for part in [
        "+ freeze",
        "case put in prod: allow by solo-owner-data -> deny by freeze",
        "policies: 1 added, 0 removed, 0 changed",
    ] {
        assert!(ended.stderr.contains(part), "{part:?} is not in\n{}", ended.stderr);
    }
    let dry = String::from_utf8(sandbox.run(args.iter().chain(&["--dry-run"])).exits(0).stdout).unwrap();
    assert!(dry.contains("+ freeze\n"), "{dry}");
    sandbox.write("f", "1");
    sandbox.run(["put", "f", "lab/a", "--env", "prod", "--class", "internal"]).exits(0);
    let applied = sandbox.run(["--format", "json"].iter().chain(&args).chain(&["--yes"])).exits(0).json();
    assert_eq!(applied["changes"]["added"], serde_json::json!(["freeze"]), "{applied}");
    assert!(sandbox.run(["put", "f", "lab/b", "--env", "prod", "--class", "internal"]).code == 5);
    sandbox.write("own.cedar", freeze("resource.env == \"staging\""));
    let changed = sandbox.run(["policy", "apply", "own.cedar", "--yes"]).exits(0);
    assert!(changed.stderr.contains("~ freeze"), "{}", changed.stderr);
    sandbox.write("own.cedar", "");
    let removed = sandbox.run(["policy", "apply", "own.cedar", "--yes"]).exits(0);
    assert!(removed.stderr.contains("- freeze"), "{}", removed.stderr);
    let same = sandbox.run(["policy", "apply", "own.cedar", "--yes"]).exits(0);
    assert!(same.stderr.contains("no policy changes"), "{}", same.stderr);
}

#[test]
fn a_guardrail_is_neither_replaced_nor_left_out() {
    let sandbox = Sandbox::solo();
    let softer = "@id(\"suspended\") @reason(\"softer\") @owner(\"me\") forbid (principal, action, resource) when { context.task };";
    sandbox.write("own/soft.cedar", softer);
    let refused = sandbox.run(["policy", "apply", "own", "--yes"]).exits(2);
    let text = "`suspended` is a guardrail of the baseline, which is not removed and not replaced";
    assert!(refused.stderr.contains(text), "{}", refused.stderr);
    let found = String::from_utf8(sandbox.run(["policy", "lint", "own"]).exits(1).stdout).unwrap();
    assert!(found.contains("error[id]: soft.cedar:1:1:") && found.contains(text), "{found}");
    // Whatever is applied, the guardrails are there.
    sandbox.write("none.cedar", "");
    sandbox.run(["policy", "apply", "none.cedar", "--yes"]).exits(0);
    let shown = sandbox.run(["--format", "json", "policy", "show"]).exits(0).json();
    assert!(shown["sources"]["baseline/guardrails/principal.cedar"].as_str().unwrap().contains("@id(\"suspended\")"));
}

#[test]
fn the_commands_of_the_playground_run() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let binary = Path::new(env!("CARGO_BIN_EXE_strongroom")).parent().expect("a folder").display().to_string();
    for name in ["hospital", "model-lab", "public-data"] {
        let readme = std::fs::read_to_string(examples.join("policies").join(name).join("README.md")).expect("a README");
        let block = readme.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block");
        assert!(block.matches("strongroom policy ").count() >= 4, "{block}");
        let sandbox = Sandbox::solo();
        std::os::unix::fs::symlink(&examples, sandbox.at("examples")).expect("a link");
        let mut command = Command::new("sh");
        command.args(["-c", &format!("set -eu\n{block}")]).current_dir(sandbox.path()).env_clear();
        for (variable, value) in sandbox.command(["--version"]).get_envs() {
            if let Some(value) = value {
                command.env(variable, value);
            }
        }
        command.env("PATH", format!("{binary}:{}", std::env::var("PATH").unwrap_or_default()));
        end(command).exits(0);
        // What was applied decides: the second file of cases is asked of the set in force.
        let shown = sandbox.run(["--format", "json", "policy", "show"]).exits(0).json();
        assert!(shown["sources"].as_object().unwrap().keys().any(|file| !file.starts_with("baseline/")), "{name}");
    }
}
