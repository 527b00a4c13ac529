//! `key compromise` and `incident`, as people meet them.

use super::sandbox::{Ended, Sandbox};
use serde_json::Value;

fn lab() -> Sandbox {
    let sandbox = Sandbox::solo();
    sandbox.write("f", b"data");
    for name in ["lab/net", "lab/other"] {
        sandbox.run(["put", "f", name, "--class", "internal"]).exits(0);
        sandbox.run(["cat", name]).exits(0);
    }
    sandbox
}

fn json(sandbox: &Sandbox, args: &[&str]) -> Value {
    sandbox.run(["--format", "json"].iter().chain(args)).exits(0).json()
}

/// Standard output as text.
fn text(ended: Ended) -> String {
    String::from_utf8(ended.exits(0).stdout).unwrap()
}

#[test]
fn a_compromised_domain_key_is_told_and_followed() {
    let sandbox = lab();
    let keys = json(&sandbox, &["key", "ls"]);
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["class"] == "internal").unwrap()["id"].clone();
    let (key, short) = (key.as_str().unwrap(), &key.as_str().unwrap()[..8]);
    assert_eq!(json(&sandbox, &["key", "compromise", short, "--reason", "x", "--dry-run"])["to"], "compromised");
    sandbox.run(["cat", "lab/net"]).exits(0);
    let told = text(sandbox.run(["key", "compromise", short, "--reason", "found on a public server"]));
    for line in [
        format!("key          {key} of lab/dev/internal, compromised: nothing is released under it"),
        "versions     2\npacks        2\nprincipals   1\nreleases     3, 0 of them to a disk".to_owned(),
        "open  rotate (2 left): ".to_owned(),
        "        strongroom key rotate --workspace lab --env dev --class internal\n".to_owned(),
        "open  re-encrypt (2 of 2 left): ".to_owned(),
        format!("        strongroom key reencrypt --all-of {key}\n"),
    ] {
        assert!(told.contains(&line), "{line}\n{told}");
    }
    let shut = sandbox.run(["cat", "lab/net"]).exits(10);
    assert!(shut.stderr.contains("is compromised: it opens nothing"), "{}", shut.stderr);
    let status = text(sandbox.run(["status"]));
    let line =
        format!("incident     {key} of lab/dev/internal: open: rotate, re-encrypt, notify, review, 2 of 2 version");
    assert!(status.contains(&line), "{status}");

    // Every step that is a command of now runs as it stands there.
    let rotate = "key rotate --workspace lab --env dev --class internal";
    let would = json(&sandbox, &rotate.split(' ').chain(["--dry-run"]).collect::<Vec<_>>());
    assert_eq!((would["keys"].as_array().unwrap().len(), would["keys"][0]["id"].as_str()), (1, Some(key)));
    sandbox.run(rotate.split(' ')).exits(0);
    sandbox.run(["cat", "lab/net"]).exits(0);
    let told = json(&sandbox, &["incident", "show", short]);
    assert_eq!(told["incident"]["open"], serde_json::json!(["re-encrypt", "notify", "review"]));
    for step in told["steps"].as_array().unwrap() {
        for command in step["commands"].as_array().unwrap() {
            let words: Vec<&str> = command.as_str().unwrap().split(' ').skip(1).collect();
            if words[..2] != ["key", "reencrypt"] && words[..2] != ["incident", "done"] {
                sandbox.run(words).exits(0);
            }
        }
    }
    let id = told["incident"]["id"].as_str().unwrap();
    for step in ["notify", "review"] {
        let done = text(sandbox.run(["incident", "done", &id[..6], step, "--reason", "by telephone"]));
        assert!(done.contains(&format!("done  {step} (by ")), "{done}");
    }
    sandbox.run(["incident", "done", id, "rotate", "--reason", "x"]).exits(2);
    let refused = sandbox.run(["incident", "close", id]).exits(8);
    assert!(refused.stderr.contains(&format!("  try: strongroom incident show {id}")), "{}", refused.stderr);
    let listed = text(sandbox.run(["incident", "ls"]));
    assert!(listed.contains("2 of 2") && listed.contains("re-encrypt"), "{listed}");
    // Sealed anew, the versions lie under other keys, and nothing is left to do.
    sandbox.run(["key", "reencrypt", "--all-of", key]).exits(0);
    sandbox.run(["cat", "lab/net"]).exits(0);
    let listed = text(sandbox.run(["incident", "ls"]));
    assert!(listed.contains("0 of 2"), "{listed}");
    sandbox.run(["incident", "close", id]).exits(0);
    // Of the key to which they were moved on the way, the evidence knows that their keys are gone, and misses no record.
    let keys = json(&sandbox, &["key", "ls"])["keys"].clone();
    let next =
        |key: &&serde_json::Value| key["class"] == "internal" && key["state"] == "active" && key["name"].is_null();
    let next = keys.as_array().unwrap().iter().find(next).unwrap()["id"].as_str().unwrap().to_owned();
    let told = json(&sandbox, &["key", "compromise", &next, "--reason", "that one too"]);
    assert!(told["found"]["destroyed"].as_u64().unwrap() >= 1, "{told}");
    assert_eq!(told["found"]["records_lost"], 0, "{told}");
    assert!(told["found"]["packs"].as_u64().unwrap() >= 1, "{told}");
}

#[test]
fn evidence_is_a_new_file_of_its_owner() {
    let sandbox = lab();
    let told = json(&sandbox, &["key", "compromise", "lab/net@v1", "--reason", "sent by mail"]);
    assert_eq!((told["incident"]["of"].as_str(), told["found"]["releases"].as_u64()), (Some("lab/net@v1"), Some(1)));
    let id = told["incident"]["id"].as_str().unwrap();
    sandbox.run(["cat", "lab/net"]).exits(10);
    sandbox.run(["cat", "lab/other"]).exits(0);
    let show = ["incident", "show", id, "--evidence", "evidence.jsonl"];
    json(&sandbox, &[&show[..], &["--dry-run"]].concat());
    assert!(!sandbox.at("evidence.jsonl").exists());
    let written = json(&sandbox, &show);
    assert_eq!(written["evidence"], told["found"]["evidence"]);
    let text = std::fs::read_to_string(sandbox.at("evidence.jsonl")).unwrap();
    assert_eq!(text.lines().count() as u64, written["lines"].as_u64().unwrap());
    // Nothing is overwritten, and nothing half written stays.
    sandbox.run(show).exits(8);
    assert_eq!(std::fs::read_to_string(sandbox.at("evidence.jsonl")).unwrap(), text);
    sandbox.run(["incident", "show", id, "--evidence", "none/evidence.jsonl"]).exits(9);
    let left = std::fs::read_dir(sandbox.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.filter(|name| name.to_string_lossy().contains(".partial")).count() == 0);
    let none = sandbox.run(["incident", "show", "ffff"]).exits(3);
    assert!(none.stderr.contains("try: strongroom incident ls"), "{}", none.stderr);
}
