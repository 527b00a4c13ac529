//! `who-can`, `who-did` and `explain`, as people use them.

use super::sandbox::Sandbox;
use serde_json::Value;

fn clinic() -> Sandbox {
    let sandbox = Sandbox::rehearsal();
    sandbox.write("f", "data");
    for (name, clearance, grant) in [
        ("wanda", "confidential", "clinic=writer"),
        ("rick", "confidential", "clinic=reader:2099-01-31"),
        ("alice", "internal", "clinic=reader"),
        ("aud", "public", "vault=auditor"),
    ] {
        sandbox.run(["principal", "add", name, "--clearance", clearance, "--grant", grant]).exits(0);
    }
    sandbox.run(["--as", "wanda", "put", "f", "clinic/records"]).exits(0);
    sandbox
}

fn lines(sandbox: &Sandbox, args: &[&str]) -> Vec<Value> {
    let out = sandbox.run(["--format", "jsonl"].iter().chain(args)).exits(0).stdout;
    String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn access_is_asked_for_now_and_then() {
    let sandbox = clinic();
    let text = sandbox.run(["who-can", "read", "clinic/records"]).exits(0).text();
    for part in ["rick", "wanda", "reader-read", "clinic=reader", "2099-01-31", "presence"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("alice"), "{text}");
    let before = sandbox.run(["--format", "json", "who-can", "read", "clinic/records"]).exits(0).json();
    let then = before["as_of"].as_u64().unwrap();
    let stamp = api::terms::Timestamp::from_millis(then).to_string();
    sandbox.run(["principal", "add", "rick", "--change", "--revoke", "clinic"]).exits(0);
    let who = |args: &[&str]| {
        let items = lines(&sandbox, &[&["who-can", "read", "clinic/records"][..], args].concat());
        items.iter().map(|item| item["principal"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(who(&[]), ["wanda"]);
    assert_eq!(who(&["--as-of", &stamp]), ["rick", "wanda"]);
    assert!(sandbox.run(["who-can", "collect"]).exits(0).text().contains("nobody may collect vault"));
    assert!(sandbox.run(["--as", "aud", "who-can", "audit"]).exits(0).text().contains("aud"));
    sandbox.run(["who-can", "read", "clinic/recods"]).exits(3);
    sandbox.run(["who-can", "read"]).exits(2);
    sandbox.run(["who-can", "read", "clinic/records", "--as-of", "2099-01-01"]).exits(2);
    sandbox.run(["--as", "alice", "who-can", "read", "clinic/records"]).exits(5);
}

#[test]
fn deeds_are_told_and_a_refusal_is_explained() {
    let sandbox = clinic();
    sandbox.run(["--as", "rick", "cat", "clinic/records"]).exits(0);
    let told = sandbox.run(["--as", "alice", "--format", "json", "cat", "clinic/records"]).exits(5).stderr;
    let told: Value = serde_json::from_str(told.trim()).unwrap();
    let decision = told["refusal"]["decision"].as_str().unwrap();
    let text = sandbox.run(["--as", "aud", "who-did", "clinic/records"]).exits(0).text();
    for part in ["rick", "release.read", "done", "alice", "denied", "clearance", "clinic/records@v1", "version.commit"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let deeds = lines(&sandbox, &["--as", "aud", "who-did", "clinic/records", "--limit", "1"]);
    assert_eq!((deeds.len(), &deeds[0]["decision"]), (2, &decision.into()), "{deeds:?}");
    let next = deeds[1]["next"].to_string();
    let rest = lines(&sandbox, &["--as", "aud", "who-did", "clinic/records", "--after", &next]);
    assert!(rest.len() >= 3 && rest.iter().all(|deed| deed["decision"] != *decision), "{rest:?}");
    // Each is an entry that proves itself.
    sandbox.run(["--as", "aud", "audit", "prove", rest[0]["entry"].as_str().unwrap()]).exits(0);
    let none = sandbox.run(["--as", "aud", "who-did", "clinic/records", "--until", "2001-01-01"]).exits(0).text();
    assert!(!none.contains("rick"), "{none}");
    sandbox.run(["who-did", "clinic/records"]).exits(5);
    let explained = sandbox.run(["--as", "alice", "explain", decision]).exits(0).text();
    for part in [
        "denied: release.read by alice",
        "near miss: clearance",
        "clearance internal",
        "confidential, dev",
        "made again: the same",
    ] {
        assert!(explained.contains(part), "{part}: {explained}");
    }
    sandbox.run(["--as", "rick", "explain", decision]).exits(5);
    sandbox.run(["--as", "aud", "explain", decision]).exits(0);
    sandbox.run(["--as", "aud", "explain", &"7".repeat(32)]).exits(3);
    let wrong = sandbox.run(["explain", "read"]).exits(2).stderr;
    assert!(wrong.contains("strongroom policy explain"), "{wrong}");
}
