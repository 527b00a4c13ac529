//! Which suite seals what: chosen by a table, stored with each version, kept.

use super::sandbox::{Dice, Sandbox};
use super::stored::{objects, put, record};
use serde_json::Value;
use testkit::suites;

const BASELINE: &str = include_str!("../../../../baseline/crypto.toml");

fn json(sandbox: &Sandbox, args: &[&str]) -> Value {
    sandbox.run(["--format", "json"].iter().chain(args)).exits(0).json()
}

/// The baseline, with `nist` for the class confidential; both are read.
fn confidential_nist() -> String {
    let (before, after) = BASELINE.split_once("[class.confidential]\nwrite = \"default\"").expect("the class");
    format!("{before}[class.confidential]\nwrite = \"nist\"{after}")
}

#[test]
fn a_class_goes_over_to_another_suite_and_both_open() {
    let sandbox = Sandbox::solo();
    let mut dice = Dice(3);
    let large = dice.bytes(3_000_000);
    sandbox.write("in/large", &large);
    sandbox.write("in/small", b"one");
    let one = put(&sandbox, &["put", "in", "lab/data", "--class", "confidential"]);
    sandbox.write("own.toml", confidential_nist());
    let applied = json(&sandbox, &["--yes", "policy", "suites", "own.toml"]);
    assert!(applied["kind"] == "suites" && applied["own"] == true && applied["receipt"]["entry"].is_string());
    assert_eq!(json(&sandbox, &["policy", "suites"])["table"], confidential_nist().as_str());

    // Unchanged files are sealed again: no pack belongs to versions of two suites.
    sandbox.write("in/small", b"two");
    let two = put(&sandbox, &["put", "in", "lab/data"]);
    assert_eq!(two["reused_bytes"], 0);
    let three = put(&sandbox, &["put", "in", "lab/data"]);
    assert!(three["reused_bytes"].as_u64().unwrap() >= 3_000_000, "{three}");
    let records = [&one, &two, &three].map(|put| record(&sandbox, put));
    assert_eq!(records.each_ref().map(|record| record.suite.number()), [1, 2, 2]);
    assert!(objects(&records[0]).is_disjoint(&objects(&records[1])));
    assert!(!objects(&records[1]).is_disjoint(&objects(&records[2])));
    let suites = ["v1", "v2", "v3"].map(|v| json(&sandbox, &["show", &format!("lab/data@{v}")])["suite"].clone());
    assert_eq!(suites, ["default", "nist", "nist"].map(Value::from));

    json(&sandbox, &["--yes", "key", "rotate"]);
    for (version, small) in [("v1", "one"), ("v2", "two"), ("v3", "two")] {
        sandbox.run(["get", &format!("lab/data@{version}"), version]).exits(0);
        assert!(std::fs::read(sandbox.at(format!("{version}/large"))).unwrap() == large, "{version}");
        assert_eq!(std::fs::read(sandbox.at(format!("{version}/small"))).unwrap(), small.as_bytes());
        let range = sandbox.run(["cat", &format!("lab/data@{version}/large"), "--bytes", "70000-70009"]).exits(0);
        assert_eq!(range.stdout, large[70_000..=70_009]);
    }
    assert_eq!(json(&sandbox, &["verify", "--all", "--state"])["ok"], true);
    assert_eq!(json(&sandbox, &["audit", "verify", "--replay"])["ok"], true);

    // What may not be read is not opened, and comes back with the table.
    let only = suites::table("nist").expect("a table").replacen("suite = \"nist\"", "suite = \"default\"", 1);
    sandbox.write("only.toml", only);
    json(&sandbox, &["--yes", "policy", "suites", "only.toml"]);
    let refused = sandbox.run(["get", "lab/data@v1", "no"]).exits(10);
    assert!(refused.stderr.contains("suite `default`"), "{}", refused.stderr);
    sandbox.run(["get", "lab/data@v2", "yes"]).exits(0);
    assert_eq!(json(&sandbox, &["--yes", "policy", "suites", "--baseline"])["own"], false);
    sandbox.run(["get", "lab/data@v1", "again"]).exits(0);
}

#[test]
fn a_vault_of_suite_nist_stretches_a_passphrase_by_pbkdf2() {
    let sandbox = Sandbox::new();
    sandbox.write("suites.toml", suites::table("nist").expect("a table"));
    sandbox.write_private("phrase", "correct horse battery staple");
    let with = ["--passphrase-file", "phrase"];
    let init = ["init", "--root", "passphrase", "--no-recovery", "--crypto", "suites.toml"];
    let made = json(&sandbox, &[&with[..], &init].concat());
    assert_eq!(made["suite"], "nist");
    let file: Value = serde_json::from_slice(&std::fs::read(sandbox.vault().join("vault.json")).unwrap()).unwrap();
    assert_eq!(file["suite"], "nist");
    let params = file["roots"][0]["params"].as_str().expect("parameters");
    assert!(params.starts_with("83021a000927c050"), "PBKDF2, 600,000 iterations: {params}");
    sandbox.write("x", b"x");
    sandbox.run([&with[..], &["put", "x", "lab/x"]].concat()).exits(0);
    assert_eq!(sandbox.run([&with[..], &["cat", "lab/x"]].concat()).exits(0).stdout, b"x");
    sandbox.write_private("wrong", "correct horse battery stable");
    sandbox.run(["--passphrase-file", "wrong", "cat", "lab/x"]).exits(4);
    // One iteration, by an editor of the file: refused before it is tried.
    let weak = std::fs::read_to_string(sandbox.vault().join("vault.json")).unwrap().replace("83021a000927c0", "830201");
    std::fs::write(sandbox.vault().join("vault.json"), weak).unwrap();
    sandbox.run([&with[..], &["cat", "lab/x"]].concat()).exits(7);
}

#[test]
fn a_table_that_is_none_makes_no_vault() {
    let sandbox = Sandbox::new();
    for (name, text) in [
        ("empty", String::new()),
        ("weak", BASELINE.replace("iterations = 600000", "iterations = 1000")),
        ("unknown", BASELINE.replacen("write = \"default\"", "write = \"rot13\"", 1)),
        ("cut", BASELINE[..BASELINE.len() / 2].to_owned()),
        ("long", format!("{BASELINE}{}", "#".repeat(10_000))),
    ] {
        sandbox.write(name, text);
        let refused = sandbox.run(["init", "--no-recovery", "--crypto", name]).exits(2);
        assert!(refused.stderr.contains("table"), "{name}: {}", refused.stderr);
        assert!(!sandbox.vault().exists(), "{name}");
    }
    sandbox.run(["init", "--no-recovery", "--crypto", "nowhere"]);
    assert!(!sandbox.vault().exists());
}
