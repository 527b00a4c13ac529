//! `key check`, `key migrate`: what is out of policy is told, and brought back while everything goes on; killed or started twice, it ends
//! the same.

use super::sandbox::{Dice, Ended, Sandbox, end};
use super::stored::put;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

const BASELINE: &str = include_str!("../../../../baseline/crypto.toml");

fn told(sandbox: &Sandbox, args: &[&str]) -> Value {
    sandbox.run(["--format", "json"].iter().chain(args)).exits(0).json()
}

/// Versions of two classes, one of which shares packs, a named key with a value, and content to compare with.
fn filled() -> Sandbox {
    let sandbox = Sandbox::solo();
    fill(&sandbox);
    sandbox
}

fn fill(sandbox: &Sandbox) {
    let mut dice = Dice(11);
    sandbox.write("in/large", dice.bytes(3_000_001));
    sandbox.write("in/deep/empty", b"");
    (0..5).for_each(|n| drop(sandbox.write(&format!("in/small-{n}"), dice.bytes(300 + n))));
    put(sandbox, &["put", "in", "lab/data", "--class", "confidential"]);
    sandbox.write("in/small-5", b"more");
    put(sandbox, &["put", "in", "lab/data"]);
    sandbox.write("other", b"other");
    put(sandbox, &["put", "other", "lab/other", "--class", "internal"]);
    put(sandbox, &["put", "other", "web/other", "--class", "confidential"]);
    told(sandbox, &["key", "create", "lab/db", "--class", "confidential"]);
    sandbox.write("secret", b"secret");
    let token = sandbox.run(["encrypt", "--key", "lab/db", "secret"]).exits(0).stdout;
    sandbox.write("token", token);
}

/// The baseline, with other lines for the class confidential, put in force.
fn confidential(sandbox: &Sandbox, lines: &str) {
    let class = "[class.confidential]\nwrite = \"default\"\nread = [\"default\", \"nist\"]";
    assert!(BASELINE.contains(class));
    sandbox.write("own.toml", BASELINE.replacen(class, &format!("[class.confidential]\n{lines}"), 1));
    told(sandbox, &["--yes", "policy", "suites", "own.toml"]);
}

const NIST: &str = "write = \"nist\"\nread = [\"default\", \"nist\"]";

fn same(sandbox: &Sandbox) {
    let out = sandbox.at("out");
    let _ = std::fs::remove_dir_all(&out);
    sandbox.run(["get", "lab/data", "out"]).exits(0);
    let compared = std::process::Command::new("diff").args(["-r", "in", "out"]).current_dir(sandbox.path()).output();
    let compared = compared.unwrap();
    assert!(compared.status.success(), "{}", String::from_utf8_lossy(&compared.stdout));
    assert_eq!(sandbox.run(["cat", "web/other"]).exits(0).stdout, b"other");
}

fn sound(sandbox: &Sandbox) {
    for args in [&["verify", "--all", "--state"][..], &["audit", "verify", "--replay"]] {
        assert_eq!(told(sandbox, args)["ok"], true, "{args:?}");
    }
}

fn checked(sandbox: &Sandbox, code: i32) -> Value {
    sandbox.run(["--format", "json", "key", "check"]).exits(code).json()
}

fn suite(sandbox: &Sandbox, reference: &str) -> String {
    told(sandbox, &["show", reference])["suite"].as_str().unwrap().to_owned()
}

#[test]
fn everything_goes_over_to_another_suite_and_is_what_it_was() {
    let sandbox = filled();
    assert_eq!(checked(&sandbox, 0)["items"], json!([]));
    let before = told(&sandbox, &["show", "lab/data@v1"]);
    confidential(&sandbox, NIST);
    let found = checked(&sandbox, 1);
    let of: BTreeSet<&str> =
        found["items"].as_array().unwrap().iter().map(|item| item["of"].as_str().unwrap()).collect();
    let expected =
        ["lab/data@v1", "lab/data@v2", "lab/db v1", "lab/dev/confidential", "web/dev/confidential", "web/other@v1"];
    assert_eq!(of, expected.into_iter().collect(), "{found}");
    let text = sandbox.run(["key", "check"]).exits(1).text();
    assert!(text.contains("strongroom key reencrypt lab/data@v1") && text.contains("strongroom key migrate"), "{text}");

    let plan = told(&sandbox, &["key", "migrate", "--plan"]);
    assert_eq!(
        (&plan["versions"], &plan["domains"]),
        (&json!(3), &json!(["lab/dev/confidential", "web/dev/confidential"]))
    );
    assert!(plan["bytes"].as_u64().unwrap() > 6_000_000, "{plan}");
    assert_eq!(checked(&sandbox, 1)["items"], found["items"], "a plan changes nothing");
    sandbox.run(["key", "migrate"]).exits(2);
    let done = told(&sandbox, &["--yes", "key", "migrate"]);
    assert_eq!((&done["versions"], &done["domains"], &done["failed"]), (&json!(3), &json!(2), &json!([])), "{done}");
    assert_eq!(done["bytes"], plan["bytes"]);
    assert_eq!(checked(&sandbox, 0)["items"], json!([]));

    let now = told(&sandbox, &["show", "lab/data@v1"]);
    assert!(now["suite"] == "nist" && now["digest"] != before["digest"] && now["key"] != before["key"]);
    for field in ["id", "number", "bytes", "files", "created", "creator", "class"] {
        assert_eq!(now[field], before[field], "{field}");
    }
    assert_eq!(suite(&sandbox, "lab/other"), "default", "another class stays");
    same(&sandbox);
    // Values are sealed by whoever keeps them: what is left is told, and still opens.
    let left = done["left"].as_array().unwrap();
    assert!(left.len() == 1 && left[0]["of"] == "lab/db v1" && left[0]["wrong"] == "values", "{done}");
    assert_eq!(sandbox.run(["decrypt", "token"]).exits(0).stdout, b"secret");
    sound(&sandbox);
    let again = told(&sandbox, &["--yes", "key", "migrate"]);
    assert_eq!((&again["versions"], &again["domains"], &again["named"]), (&json!(0), &json!(0), &json!(0)));

    // What is put from now on shares with what was sealed anew.
    sandbox.write("in/small-6", b"again");
    put(&sandbox, &["put", "in", "lab/data"]);
    same(&sandbox);
    told(&sandbox, &["--yes", "gc", "--grace", "0s"]);
    sound(&sandbox);
    // And back, from digests in the other suite.
    confidential(&sandbox, "write = \"default\"\nread = [\"default\"]");
    sandbox.run(["get", "lab/data@v1", "no"]).exits(10);
    assert_eq!(told(&sandbox, &["--yes", "key", "migrate"])["failed"], json!([]));
    assert_eq!(suite(&sandbox, "lab/data@v1"), "default");
    same(&sandbox);
    sound(&sandbox);
}

/// Starts it, with its progress on a pipe.
fn start(sandbox: &Sandbox) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut command = sandbox.command(["--yes", "key", "migrate"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    (child, stderr)
}

#[test]
fn killed_at_any_step_the_same_command_goes_on() {
    let sandbox = filled();
    confidential(&sandbox, NIST);
    let mut killed = 0;
    // Before each step, and after each version.
    for wait_for in ["1 of 4", "2 of 4", "3 of 4", "4 of 4", "sealed anew", "sealed anew"] {
        let (mut child, stderr) = start(&sandbox);
        let seen = stderr.lines().any(|line| line.unwrap().contains(wait_for));
        let _ = child.kill();
        killed += u32::from(!child.wait().unwrap().success() && seen);
        assert_eq!(told(&sandbox, &["verify", "--all", "--state"])["ok"], true, "{wait_for}");
        same(&sandbox);
    }
    assert!(killed > 0);
    let done = told(&sandbox, &["--yes", "key", "migrate"]);
    assert_eq!(done["failed"], json!([]));
    assert_eq!(checked(&sandbox, 0)["items"], json!([]));
    // Each domain has two keys and no more, whatever was killed.
    let keys = told(&sandbox, &["key", "ls"]);
    let confidential = |key: &&Value| key["purpose"] == "domain" && key["class"] == "confidential";
    assert_eq!(keys["keys"].as_array().unwrap().iter().filter(confidential).count(), 4, "{keys}");
    same(&sandbox);
    sound(&sandbox);
}

#[test]
fn two_at_once_do_nothing_twice_while_others_read_and_write() {
    let sandbox = filled();
    confidential(&sandbox, NIST);
    let mut both = [start(&sandbox), start(&sandbox)];
    let mut puts = 0;
    while puts == 0 || (both.iter_mut().any(|(child, _)| child.try_wait().unwrap().is_none()) && puts < 200) {
        sandbox.write("new", puts.to_string());
        sandbox.run(["put", "new", "lab/new", "--class", "confidential"]).exits(0);
        assert_eq!(sandbox.run(["cat", "lab/new"]).exits(0).stdout, puts.to_string().into_bytes());
        sandbox.run(["cat", "lab/data/small-1"]).exits(0);
        puts += 1;
    }
    for (mut child, stderr) in both {
        let said: Vec<String> = stderr.lines().map_while(Result::ok).collect();
        assert!(child.wait().unwrap().success(), "{said:?}");
    }
    let last = told(&sandbox, &["--yes", "key", "migrate"]);
    assert_eq!((&last["versions"], &last["failed"]), (&json!(0), &json!([])), "{last}");
    assert_eq!(checked(&sandbox, 0)["items"], json!([]));
    let entries = told(&sandbox, &["audit", "query", "--act", "version.reencrypt"]);
    let acts = entries["items"].as_array().unwrap().iter().map(|item| item["entry"]["act"].as_str().unwrap());
    assert_eq!(acts.filter(|act| *act == "version.reencrypt").count(), 3, "each once: {entries}");
    same(&sandbox);
    sound(&sandbox);
}

#[test]
fn an_unlocked_vault_goes_over_through_its_agent() {
    let sandbox = super::agent::passphrase();
    let with_phrase = |args: &[&str]| {
        let mut command = sandbox.command(args);
        command.env("STRONGROOM_PASSPHRASE_FILE", sandbox.at("phrase"));
        end(command).exits(0)
    };
    with_phrase(&["root", "add", "keyfile", "--path", "second.key"]);
    let agent = with_phrase(&["--format", "json", "unlock"]).json()["pid"].clone();
    fill(&sandbox);
    let dated = "write = \"nist\"\nread = [\"default\", \"nist\"]\nwrap = [\"passphrase\", \"hsm\"]\nopen = [\"passphrase\", \"hsm\", \"keyfile\"]";
    confidential(&sandbox, dated);
    let wrong = checked(&sandbox, 1).to_string();
    assert!(wrong.contains("\"suite\"") && wrong.contains("\"root\""), "{wrong}");
    // Whoever asks the agent may be killed, and two may ask it at once.
    let (mut child, stderr) = start(&sandbox);
    assert!(stderr.lines().any(|line| line.unwrap().contains("sealed anew")));
    let _ = child.kill();
    let _ = child.wait();
    same(&sandbox);
    for (mut child, stderr) in [start(&sandbox), start(&sandbox)] {
        let said: Vec<String> = stderr.lines().map_while(Result::ok).collect();
        assert!(child.wait().unwrap().success(), "{said:?}");
    }
    assert_eq!(checked(&sandbox, 0)["items"], json!([]));
    same(&sandbox);
    sound(&sandbox);
    assert_eq!(told(&sandbox, &["status"])["unlocked"]["pid"], agent, "one agent did it all");
    // Nothing of the class is under the key file any more, which is all that is at hand without the agent.
    told(&sandbox, &["lock"]);
    sandbox.run(["cat", "web/other"]).exits(4);
    assert_eq!(sandbox.run(["cat", "lab/other"]).exits(0).stdout, b"other");
    assert_eq!(with_phrase(&["cat", "web/other"]).stdout, b"other");
}

#[test]
fn what_fails_is_named_and_keeps_nothing_else_from_it() {
    let sandbox = Sandbox::solo();
    sandbox.write("f", b"data");
    put(&sandbox, &["put", "f", "lab/secret", "--class", "restricted"]);
    put(&sandbox, &["put", "f", "lab/plain", "--class", "internal"]);
    let table = testkit::suites::table("nist").unwrap().replacen("suite = \"nist\"", "suite = \"default\"", 1);
    sandbox.write("own.toml", table);
    told(&sandbox, &["--yes", "policy", "suites", "own.toml"]);
    // What agreeing to the plan confirms is named by it.
    assert_eq!(told(&sandbox, &["key", "migrate", "--plan"])["restricted"], json!(["lab/secret"]));
    let plan = sandbox.run(["key", "migrate", "--plan"]).exits(0).text();
    assert!(plan.contains("restricted artifacts among others: lab/secret\n"), "{plan}");
    let done: Value = sandbox.run(["--format", "json", "--yes", "key", "migrate"]).exits(1).json();
    let failed = done["failed"].as_array().unwrap();
    assert!(failed.len() == 1 && failed[0]["reference"] == "lab/secret@v1", "{done}");
    assert_eq!((&done["versions"], suite(&sandbox, "lab/plain").as_str()), (&json!(1), "nist"));
    let done = told(&sandbox, &["--yes", "key", "migrate", "--reason", "the date has come"]);
    assert_eq!((&done["versions"], &done["failed"]), (&json!(1), &json!([])));
    assert_eq!(checked(&sandbox, 0)["items"], json!([]));
    sound(&sandbox);
}

#[test]
fn a_domain_that_no_root_may_wrap_keeps_no_other_from_being_brought_back() {
    let sandbox = filled();
    let internal = "[class.internal]\nwrite = \"default\"\nread = [\"default\", \"nist\"]";
    assert!(BASELINE.contains(internal));
    let class = "[class.confidential]\nwrite = \"default\"\nread = [\"default\", \"nist\"]";
    let shut = format!("{internal}\nwrap = [\"hsm\"]\nopen = [\"hsm\", \"keyfile\"]");
    let table = BASELINE.replacen(class, &format!("[class.confidential]\n{NIST}"), 1).replacen(internal, &shut, 1);
    sandbox.write("own.toml", table);
    told(&sandbox, &["--yes", "policy", "suites", "own.toml", "--accept-lockout"]);
    let migrate = || -> Value { sandbox.run(["--format", "json", "--yes", "key", "migrate"]).exits(1).json() };
    let unmade = |done: &Value| {
        let unmade = done["unmade"].as_array().unwrap();
        assert!(unmade.len() == 1 && unmade[0]["of"] == "lab/dev/internal", "{done}");
        assert_eq!(unmade[0]["problem"]["try"], "strongroom root add --help", "{done}");
    };
    let done = migrate();
    unmade(&done);
    assert_eq!((&done["domains"], &done["versions"], &done["failed"]), (&json!(2), &json!(3), &json!([])), "{done}");
    let again = migrate();
    unmade(&again);
    assert_eq!((&again["domains"], &again["versions"], &again["rewrapped"]), (&json!(0), &json!(0), &json!(0)));
    let text = sandbox.run(["--yes", "key", "migrate"]).exits(1).text();
    assert!(text.contains("not done: lab/dev/internal: no root of the vault may wrap internal keys"), "{text}");

    let rotated = sandbox.run(["--format", "json", "key", "rotate"]).exits(1).json();
    assert_eq!(rotated["failed"][0]["of"], "lab/dev/internal");
    assert_eq!(rotated["keys"].as_array().unwrap().len(), 3, "two domains and a named key: {rotated}");
    let text = sandbox.run(["key", "rotate"]).exits(1).text();
    assert!(text.starts_with("2 domain keys, 1 named keys rotated, "), "{text}");
    assert!(text.contains("\nnot done: lab/dev/internal: ") && text.contains("(strongroom root add --help)"), "{text}");
    // Of one alone it is the refusal.
    sandbox.run(["key", "rotate", "--class", "internal"]).exits(1);
    same(&sandbox);
    sound(&sandbox);
}

#[test]
fn a_date_that_leaves_no_root_at_hand_is_told_by_status_and_check() {
    let sandbox = filled();
    assert_eq!(told(&sandbox, &["status"])["keys"]["away"], Value::Null);
    let class = "[class.confidential]\nwrite = \"default\"\nread = [\"default\", \"nist\"]";
    let wrap = "wrap = [\"hsm\", { root = \"keyfile\", until = \"2200-01-01\" }]\nopen = [\"hsm\", \"keyfile\"]";
    sandbox.write("own.toml", BASELINE.replacen(class, &format!("{class}\n{wrap}"), 1));
    told(&sandbox, &["--yes", "policy", "suites", "own.toml", "--accept-lockout"]);
    let away = told(&sandbox, &["status"])["keys"]["away"].clone();
    assert_eq!(away["of"], json!(["lab/dev/confidential", "web/dev/confidential"]), "{away}");
    // The first of January 2200.
    assert_eq!((&away["from"], &away["domains"]), (&json!(7_258_118_400_000_u64), &json!(2)));
    let text = sandbox.run(["status"]).exits(0).text();
    let line = text.lines().find(|line| line.starts_with("away ")).unwrap();
    assert!(line.contains("from 2200-01-01") && line.ends_with(": strongroom key check"), "{line}");
    let checked = sandbox.run(["--format", "json", "key", "check", "--at", "2200-01-01"]).exits(1).json();
    let wrong = checked["items"].as_array().unwrap().iter().filter(|item| item["wrong"] == "away").count();
    assert_eq!(wrong, 2, "{checked}");
}

#[test]
fn what_is_to_come_is_told_with_its_date() {
    let sandbox = filled();
    let lines = "write = [\"default\", { suite = \"nist\", from = \"2200-01-01\" }]\n\
                 read = [{ suite = \"default\", until = \"2200-01-20\" }, \"nist\"]";
    confidential(&sandbox, lines);
    let now = checked(&sandbox, 0);
    assert_eq!((&now["items"], &now["coming"]), (&json!([]), &json!([])));
    let at = |time: &str, within: &str, code: i32| -> Value {
        sandbox.run(["--format", "json", "key", "check", "--at", time, "--within", within]).exits(code).json()
    };
    let soon = at("2199-12-30", "5d", 1);
    let wrong = |told: &Value, of: &str| -> BTreeSet<String> {
        told[of].as_array().unwrap().iter().map(|item| item["wrong"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(wrong(&soon, "items"), ["overdue".to_owned()].into(), "cryptoperiods are long over: {soon}");
    assert_eq!(wrong(&soon, "coming"), ["suite".to_owned()].into());
    let then = at("2200-01-01", "30d", 1);
    assert!(wrong(&then, "items").contains("suite") && wrong(&then, "coming").contains("unread"), "{then}");
    let closed = at("2200-01-20", "1d", 1);
    assert!(wrong(&closed, "items").contains("unread"), "{closed}");
    sandbox.run(["key", "check", "--at", "yesterday"]).exits(2);
}

#[test]
fn a_table_that_locks_out_is_shown_before_it_is_taken() {
    let sandbox = filled();
    let class = "[class.confidential]\nwrite = \"default\"\nread = [\"default\", \"nist\"]";
    let open = "open = [\"hsm\", { root = \"keyfile\", until = \"2200-01-01\" }]";
    let table = BASELINE.replacen(class, &format!("{class}\nwrap = [\"hsm\"]\n{open}"), 1);
    sandbox.write("locks.toml", table);
    let would = told(&sandbox, &["--dry-run", "policy", "suites", "locks.toml"]);
    let warnings = would["warnings"].as_array().unwrap();
    assert!(warnings.len() == 2 && would["receipt"].is_null(), "{would}");
    assert!(warnings.iter().any(|line| line.as_str().unwrap().contains("2200-01-01")), "{would}");
    let refused: Ended = sandbox.run(["--yes", "policy", "suites", "locks.toml"]).exits(8);
    assert!(refused.stderr.contains("confidential in dev") && refused.stderr.contains("--accept-lockout"));
    assert_eq!(told(&sandbox, &["policy", "suites"])["own"], false);
    let gap = BASELINE.replacen(
        class,
        "[class.confidential]\nwrite = { suite = \"default\", until = \"2031-01-01\" }\nread = [\"default\"]",
        1,
    );
    sandbox.write("gap.toml", gap);
    let refused = sandbox.run(["--yes", "policy", "suites", "gap.toml"]).exits(2);
    assert!(refused.stderr.contains("2031-01-01") && refused.stderr.contains("confidential"), "{}", refused.stderr);
    told(&sandbox, &["--yes", "policy", "suites", "locks.toml", "--accept-lockout"]);
    same(&sandbox);
    let none = Sandbox::new();
    none.write(
        "locks.toml",
        BASELINE.replace("read = [\"default\", \"nist\"]", "read = [\"default\"]\nwrap = [\"hsm\"]"),
    );
    none.run(["init", "--no-recovery", "--crypto", "locks.toml"]).exits(10);
    assert!(!none.vault().join("vault.json").exists());
}
