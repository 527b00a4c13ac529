//! The contract of the output: help of the whole command tree, and the JSON of each command with what varies taken out.

use super::sandbox::Sandbox;
use serde_json::Value;
use std::process::Command;

/// The help of every command, as the parser tells it.
#[test]
fn help_of_every_command_is_as_written_down() {
    let mut text = String::new();
    let mut open = vec![Vec::<String>::new()];
    while let Some(path) = open.pop() {
        let help = help(&path);
        let title = if path.is_empty() { "strongroom".to_owned() } else { format!("strongroom {}", path.join(" ")) };
        text.push_str(&format!("## {title}\n\n{}\n", help.trim_end()));
        let mut below: Vec<Vec<String>> =
            commands(&help).into_iter().map(|name| [path.clone(), vec![name]].concat()).collect();
        below.reverse();
        open.extend(below);
    }
    insta::assert_snapshot!("help", text);
}

fn help(path: &[String]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_strongroom")).args(path).arg("--help").env_clear().output().unwrap();
    assert!(output.status.success(), "{path:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The names under `Commands:`.
fn commands(help: &str) -> Vec<String> {
    let after = help.split("Commands:\n").nth(1).unwrap_or_default();
    let lines = after
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// Takes out what differs from run to run: ids, digests, times, paths.
fn redacted(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(word(&text)),
        Value::Array(items) => Value::Array(items.into_iter().map(redacted).collect()),
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(key, value)| {
                    let times = [
                        "at", "compared", "created", "due", "first", "last", "next_due", "now", "renewed", "since",
                        "time", "expires", "until",
                    ];
                    let value = match value {
                        Value::Number(_) if times.contains(&key.as_str()) => Value::String("[time]".to_owned()),
                        Value::Number(_) if key == "log_size" || key == "log_index" || key == "ticket" => {
                            Value::String("[number]".to_owned())
                        }
                        Value::String(_) if key == "time" => Value::String("[time]".to_owned()),
                        Value::Null if key == "log_index" => Value::String("[number]".to_owned()),
                        other => redacted(other),
                    };
                    (word(&key), value)
                })
                .collect(),
        ),
        other => other,
    }
}

fn word(text: &str) -> String {
    let is_hex = |text: &str| text.len() >= 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if is_hex(text) {
        return format!("[{} hex digits]", text.len());
    }
    if text.starts_with("strongroom/") || text.contains("/strongroom/") || text.starts_with('/') {
        return "[place]".to_owned();
    }
    text.to_owned()
}

fn json(sandbox: &Sandbox, args: &[&str]) -> Value {
    let mut all = vec!["--format", "json"];
    all.extend(args);
    let ended = sandbox.run(all).exits(0);
    let text = String::from_utf8(ended.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "one object on one line: {text}");
    redacted(serde_json::from_str(&text).unwrap())
}

fn lab() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.run(["init", "--no-recovery", "--owner", "owner"]).exits(0);
    sandbox.write("in/a.txt", b"hello");
    sandbox.write("in/sub/b.bin", [7; 1000]);
    for (name, mode) in [("in/a.txt", 0o644), ("in/sub", 0o755), ("in/sub/b.bin", 0o644)] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(sandbox.at(name), mode).unwrap();
    }
    sandbox
}

#[test]
fn json_of_commands_on_data_is_as_documented() {
    let sandbox = Sandbox::new();
    insta::assert_json_snapshot!("init", json(&sandbox, &["init", "--no-recovery", "--owner", "owner"]));
    let sandbox = lab();
    let put = ["put", "in", "lab/thing", "--class", "internal", "--kind", "dataset", "--tag", "k=v", "--alias", "prod"];
    insta::assert_json_snapshot!("put", json(&sandbox, &put));
    insta::assert_json_snapshot!("get", json(&sandbox, &["get", "lab/thing", "out"]));
    insta::assert_json_snapshot!("ls", json(&sandbox, &["ls"]));
    insta::assert_json_snapshot!("ls_workspace", json(&sandbox, &["ls", "lab"]));
    insta::assert_json_snapshot!("ls_version", json(&sandbox, &["ls", "lab/thing@prod/"]));
    insta::assert_json_snapshot!("show", json(&sandbox, &["show", "lab/thing"]));
    insta::assert_json_snapshot!("history", json(&sandbox, &["history", "lab/thing"]));
    insta::assert_json_snapshot!("verify", json(&sandbox, &["verify", "--all"]));
    insta::assert_json_snapshot!("gc", json(&sandbox, &["gc"]));
}

#[test]
fn json_of_administration_is_as_documented() {
    let sandbox = lab();
    sandbox.run(["put", "in", "lab/thing", "--class", "confidential"]).exits(0);
    insta::assert_json_snapshot!(
        "principal_add",
        json(&sandbox, &["principal", "add", "alice", "--grant", "lab=reader"])
    );
    insta::assert_json_snapshot!("principal_ls", json(&sandbox, &["principal", "ls"]));
    insta::assert_json_snapshot!("key_ls", json(&sandbox, &["key", "ls"]));
    insta::assert_json_snapshot!("key_rotate", json(&sandbox, &["key", "rotate", "--workspace", "lab"]));
    insta::assert_json_snapshot!(
        "explain",
        json(&sandbox, &["policy", "explain", "--as", "alice", "read", "lab/thing"])
    );
    insta::assert_json_snapshot!("status", json(&sandbox, &["status"]));
    insta::assert_json_snapshot!("audit_verify", {".head.checkpoint" => "[note]"}, json(&sandbox, &["audit", "verify"]));
    let replay = json(&sandbox, &["audit", "verify", "--replay"]);
    insta::assert_json_snapshot!("audit_replay", {".head.checkpoint" => "[note]"}, replay);
    insta::assert_json_snapshot!("policy_lint", json(&sandbox, &["policy", "lint"]));
    insta::assert_json_snapshot!("depot_add", json(&sandbox, &["depot", "add", "second"]));
    insta::assert_json_snapshot!("depot_copy", {".depots[].bytes" => "[bytes]"}, json(&sandbox, &["depot", "copy"]));
    insta::assert_json_snapshot!("depot_ls", json(&sandbox, &["depot", "ls"]));
    insta::assert_json_snapshot!("depot_check", {".depots[].bytes" => "[bytes]"}, json(&sandbox, &["depot", "check"]));
}

#[test]
fn json_of_log_and_policy_is_as_documented() {
    let sandbox = lab();
    let put = sandbox.run(["--format", "json", "put", "in", "lab/thing", "--class", "internal"]).exits(0).json();
    let entry = put["entry"].as_str().unwrap();
    insta::assert_json_snapshot!("audit_tail", json(&sandbox, &["audit", "tail", "--limit", "2"]));
    insta::assert_json_snapshot!(
        "audit_query",
        json(&sandbox, &["audit", "query", "--principal", "owner", "--act", "version", "--limit", "1"])
    );
    insta::assert_json_snapshot!("audit_show", json(&sandbox, &["audit", "show", entry]));
    let proof = json(&sandbox, &["audit", "prove", entry]);
    assert!(proof["proof"].as_str().unwrap().starts_with("c2sp.org/tlog-proof@v1\n"), "{proof}");
    insta::assert_json_snapshot!("audit_prove", {".proof" => "[proof]"}, proof);
    let written = json(&sandbox, &["audit", "prove", entry, "--output", "receipt"]);
    assert_eq!((written["output"].as_str(), sandbox.at("receipt").is_file()), (Some("receipt"), true));
    insta::assert_json_snapshot!("audit_export", json(&sandbox, &["audit", "export", "copy"]));
    let mut shown = json(&sandbox, &["policy", "show"]);
    for source in shown["sources"].as_object_mut().unwrap().values_mut() {
        assert!(source.as_str().is_some_and(|text| !text.is_empty()), "{source}");
        *source = "[text]".into();
    }
    insta::assert_json_snapshot!("policy_show", shown);
    sandbox.write("cases", CASES);
    let tested = json(&sandbox, &["policy", "test", "cases"]);
    let covered = tested["coverage"]["policies"].as_array().unwrap();
    let clearance = covered.iter().find(|policy| policy["policy"] == "clearance").unwrap();
    let seen = serde_json::json!([{"condition": "principal.clearance >= resource.class", "held": 1, "failed": 1}]);
    let wanted = serde_json::json!({"policy": "clearance", "own": false, "determined": 1, "conditions": seen});
    assert_eq!(*clearance, wanted);
    insta::assert_json_snapshot!(
        "policy_test",
        { ".coverage.policies" => "[policies]", ".coverage.percent" => "[number]" },
        tested
    );
    sandbox.write("wrong-cases", CASES.replace("deny", "allow"));
    let found = sandbox.run(["--format", "json", "policy", "test", "wrong-cases"]).exits(1).json();
    assert_eq!((found["ok"].as_bool(), found["failures"].as_array().map(Vec::len)), (Some(false), Some(1)), "{found}");
    sandbox.write("extra.cedar", EXTRA);
    insta::assert_json_snapshot!("policy_apply", json(&sandbox, &["policy", "apply", "extra.cedar", "--yes"]));
}

#[test]
fn json_of_single_keys_and_principals_is_as_documented() {
    let sandbox = lab();
    sandbox.run(["put", "in", "lab/thing", "--class", "internal"]).exits(0);
    sandbox.run(["principal", "add", "alice", "--grant", "lab=reader:2031-01-31"]).exits(0);
    insta::assert_json_snapshot!("principal_show", json(&sandbox, &["principal", "show", "alice"]));
    sandbox.run(["principal", "add", "alice", "--change", "--suspended"]).exits(0);
    let erase = ["principal", "erase", "alice", "--reason", "asked", "--yes"];
    insta::assert_json_snapshot!("principal_erase", json(&sandbox, &erase));
    let keys = sandbox.run(["--format", "json", "key", "ls"]).exits(0).json();
    let domain = keys["keys"].as_array().unwrap().iter().find(|key| key["purpose"] == "domain").unwrap();
    insta::assert_json_snapshot!("key_show", json(&sandbox, &["key", "show", domain["id"].as_str().unwrap()]));
    insta::assert_json_snapshot!("verify_state", json(&sandbox, &["verify", "lab/thing", "--state"]));
}

#[test]
fn json_of_an_error_is_as_documented() {
    let sandbox = lab();
    let told = |args: &[&str], code| {
        let ended = sandbox.run(["--format", "json"].iter().chain(args)).exits(code);
        assert!(ended.stdout.is_empty());
        redacted(serde_json::from_str(ended.stderr.trim()).unwrap())
    };
    insta::assert_json_snapshot!("error", told(&["show", "lab/none"], 3));
}

#[test]
fn json_of_a_refusal_is_as_documented() {
    let sandbox = Sandbox::rehearsal();
    sandbox.write("f", b"data");
    for (name, clearance, grant) in [("wanda", "confidential", "lab=writer"), ("alice", "internal", "lab=reader")] {
        sandbox.run(["principal", "add", name, "--clearance", clearance, "--grant", grant]).exits(0);
    }
    sandbox.run(["--as", "wanda", "put", "f", "lab/thing"]).exits(0);
    let refused = sandbox.run(["--format", "json", "--as", "alice", "cat", "lab/thing"]).exits(5);
    assert!(refused.stdout.is_empty());
    let told: Value = serde_json::from_str(refused.stderr.trim()).unwrap();
    for field in ["allowed", "decision", "policies", "near_misses", "try"] {
        assert!(!told["refusal"][field].is_null(), "{field}: {told}");
    }
    insta::assert_json_snapshot!("refusal", redacted(told));
}

#[test]
fn json_of_what_would_happen_is_as_documented() {
    let sandbox = lab();
    insta::assert_json_snapshot!("dry_put", json(&sandbox, &["--dry-run", "put", "in", "lab/thing"]));
    insta::assert_json_snapshot!("explain_vault", json(&sandbox, &["policy", "explain", "audit"]));
    sandbox.run(["principal", "add", "alice", "--grant", "lab=reader"]).exits(0);
    let change = ["principal", "add", "alice", "--change", "--clearance", "public"];
    insta::assert_json_snapshot!("principal_change", json(&sandbox, &change));
    let clock = json(&sandbox, &["status", "--accept-clock", "--yes"]);
    insta::assert_json_snapshot!("clock", {".before" => "[time]", ".now" => "[time]"}, clock);
}

#[test]
fn json_of_aliases_is_as_documented() {
    let sandbox = lab();
    sandbox.run(["put", "in", "lab/thing", "--class", "internal", "--alias", "prod"]).exits(0);
    sandbox.run(["put", "in", "lab/thing"]).exits(0);
    insta::assert_json_snapshot!("alias_set", json(&sandbox, &["alias", "set", "lab/thing@v2", "prod"]));
    insta::assert_json_snapshot!("alias_ls", json(&sandbox, &["alias", "ls", "lab/thing"]));
    insta::assert_json_snapshot!("alias_history", json(&sandbox, &["alias", "history", "lab/thing", "prod"]));
    insta::assert_json_snapshot!("whoami", json(&sandbox, &["whoami"]));
}

#[test]
fn json_of_comparisons_and_lineage_is_as_documented() {
    let sandbox = lab();
    sandbox.run(["put", "in", "lab/thing", "--class", "internal"]).exits(0);
    sandbox.write("in/a.txt", b"hello again");
    sandbox.run(["put", "in", "lab/thing", "--from", "lab/thing@v1"]).exits(0);
    insta::assert_json_snapshot!("diff", json(&sandbox, &["diff", "lab/thing@v1", "lab/thing@v2"]));
    insta::assert_json_snapshot!("lineage", json(&sandbox, &["lineage", "show", "lab/thing"]));
}

#[test]
fn json_of_questions_is_as_documented() {
    let sandbox = lab();
    sandbox.run(["put", "in", "lab/thing", "--class", "internal"]).exits(0);
    let can = json(&sandbox, &["who-can", "read", "lab/thing"]);
    insta::assert_json_snapshot!("who_can", {".as_of" => "[time]"}, can);
    let did = json(&sandbox, &["who-did", "lab/thing", "--limit", "1"]);
    insta::assert_json_snapshot!("who_did", {".next" => "[number]"}, did);
    let shown = sandbox.run(["--format", "json", "who-did", "lab/thing", "--limit", "1"]).exits(0).json();
    let decision = shown["items"][0]["decision"].as_str().unwrap();
    insta::assert_json_snapshot!("explained", json(&sandbox, &["explain", decision]));
}

#[test]
fn json_of_incidents_is_as_documented() {
    let sandbox = lab();
    sandbox.run(["put", "in", "lab/thing", "--class", "internal"]).exits(0);
    let without = |mut told: Value, name: &str| {
        told.as_object_mut().unwrap().insert(name.to_owned(), Value::String("[left out]".to_owned()));
        told
    };
    let told = json(&sandbox, &["key", "compromise", "lab/thing@v1", "--reason", "lost"]);
    // Commands of its steps have ids in them.
    insta::assert_json_snapshot!("key_compromise", without(told, "steps"));
    let listed = sandbox.run(["--format", "json", "incident", "ls"]).exits(0).json();
    let id = listed["items"][0]["id"].as_str().unwrap().to_owned();
    insta::assert_json_snapshot!("incident_ls", json(&sandbox, &["incident", "ls"]));
    insta::assert_json_snapshot!("evidence", json(&sandbox, &["incident", "show", &id[..8], "--evidence", "lines"]));
}

/// The documented words of each kind are those that the snapshots have.
#[test]
fn every_field_of_a_snapshot_is_documented_under_its_kind() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let documented = std::fs::read_to_string(root.join("../../docs/json.md")).unwrap();
    let mut kinds = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(root.join("tests/it/snapshots")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let Ok(Value::Object(fields)) = serde_json::from_str(text.splitn(3, "---\n").nth(2).unwrap()) else { continue };
        let kind = fields["kind"].as_str().unwrap();
        kinds.insert(kind.to_owned());
        let rows = documented
            .lines()
            .filter(|line| line.contains(&format!("`{kind}`")) || line.contains(&format!("\"{kind}\"")));
        let rows: Vec<&str> = rows.collect();
        let words: Vec<&str> =
            rows.iter().flat_map(|row| row.split(|c: char| !(c.is_alphanumeric() || c == '_'))).collect();
        for field in fields.keys() {
            assert!(field == "kind" || words.contains(&field.as_str()), "{}: `{field}` of `{kind}`", path.display());
        }
    }
    assert!(kinds.len() >= 20, "{kinds:?}");
}

#[test]
fn json_lines_are_one_object_per_item() {
    let sandbox = lab();
    sandbox.run(["put", "in", "lab/thing"]).exits(0);
    let out = sandbox.run(["--format", "jsonl", "ls", "lab/thing/", "--limit", "2"]).exits(0).stdout;
    let lines: Vec<Value> =
        String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ls", "ls", "next"]);
}

#[test]
fn quiet_says_results_only_and_nothing_is_drawn_without_a_terminal() {
    let sandbox = lab();
    let ended = sandbox.run(["-q", "put", "in", "lab/thing"]).exits(0);
    assert!(ended.stderr.is_empty(), "{}", ended.stderr);
    let ended = sandbox.run(["put", "in", "lab/thing"]).exits(0);
    assert!(!ended.stderr.contains('\u{1b}') && !ended.stdout.contains(&0x1b));
    assert!(ended.stderr.contains("class confidential"), "{}", ended.stderr);
}

#[test]
fn the_version_is_printed_and_completions_ask_the_program() {
    let sandbox = Sandbox::new();
    let version = sandbox.run(["--version"]).exits(0).stdout;
    assert_eq!(String::from_utf8(version).unwrap().trim(), concat!("strongroom ", env!("CARGO_PKG_VERSION")));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = String::from_utf8(sandbox.run(["completions", shell]).exits(0).stdout).unwrap();
        assert!(script.contains("STRONGROOM_COMPLETE") && script.contains("strongroom"), "{shell}");
    }
}

/// Two questions and what is expected.
const CASES: &str = r#"{
    "principals": { "rick": { "clearance": "internal", "roles": { "lab": ["reader"] } } },
    "artifacts": { "net": { "workspace": "lab", "class": "internal" }, "secret": { "workspace": "lab", "class": "confidential" } },
    "cases": [
        { "name": "covered", "principal": "rick", "action": "read", "resource": { "artifact": "net" },
          "context": { "presence_secs": 60 }, "expect": "allow" },
        { "name": "above", "principal": "rick", "action": "read", "resource": { "artifact": "secret" },
          "context": { "presence_secs": 60 }, "expect": "deny" }
    ]
}"#;

/// A policy that never matches.
const EXTRA: &str = r#"@id("extra") @reason("never matches") @owner("tests")
forbid (principal, action == Action::"export", resource is Artifact) when { resource.owner == "nobody" };
"#;
