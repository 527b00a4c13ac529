//! `key archive`: what is out of use is opened under a right of its own, by every command that opens something.

use super::agent::with_runtime;
use super::sandbox::{Sandbox, end};
use serde_json::{Value, json};

fn told(sandbox: &Sandbox, args: &[&str]) -> Value {
    sandbox.run(["--format", "json"].iter().chain(args)).exits(0).json()
}

fn archive(sandbox: &Sandbox, args: &[&str]) -> Value {
    told(sandbox, &[&["key", "archive", "--reason", "the project ended"], args].concat())
}

/// Of the keys of a purpose: version, state, wraps.
fn keys(sandbox: &Sandbox, purpose: &str) -> Vec<(u64, String, u64)> {
    let keys = told(sandbox, &["key", "ls"])["keys"].as_array().unwrap().clone();
    let of = keys.iter().filter(|key| key["purpose"] == purpose);
    of.map(|key| {
        let number = |field: &str| key[field].as_u64().unwrap();
        (number("version"), key["state"].as_str().unwrap().to_owned(), number("wraps"))
    })
    .collect()
}

fn sound(sandbox: &Sandbox) {
    for args in [&["verify", "--all", "--state"][..], &["audit", "verify", "--replay"]] {
        assert_eq!(told(sandbox, args)["ok"], true, "{args:?}");
    }
}

/// Three versions of `lab/old` and one of `lab/new`.
fn filled(sandbox: &Sandbox, who: &[&str]) {
    for n in 0..3 {
        sandbox.write("f", format!("content {n}"));
        sandbox.run([who, &["put", "f", "lab/old", "--class", "internal"]].concat()).exits(0);
    }
    sandbox.run([who, &["put", "f", "lab/new", "--class", "internal"]].concat()).exits(0);
}

/// A team: a writer, a reader, a steward, a custodian.
fn team() -> Sandbox {
    let team = with_runtime(Sandbox::rehearsal());
    for (who, grant) in
        [("olivia", "vault=writer"), ("rick", "lab=reader"), ("stella", "lab=steward"), ("cus", "lab=custodian")]
    {
        if who == "rick" {
            filled(&team, &["--as", "olivia"]);
        }
        team.run(["principal", "add", who, "--grant", grant, "--clearance", "internal"]).exits(0);
    }
    team
}

#[test]
fn the_archive_is_told_of_and_what_is_in_it_comes_back() {
    let sandbox = Sandbox::solo();
    filled(&sandbox, &[]);
    let would = archive(&sandbox, &["--dry-run", "lab/old@v1"]);
    assert_eq!(would["versions"].as_array().unwrap().len(), 1);
    assert!(keys(&sandbox, "archive").is_empty());
    let done = archive(&sandbox, &["lab/old@v1", "lab/old@v2"]);
    assert_eq!((&done["kind"], &done["moved"]), (&json!("archived"), &json!(["lab/old@v1", "lab/old@v2"])));
    assert_eq!((done["already"].as_u64(), done["receipts"].as_array().unwrap().len()), (Some(0), 1));
    assert_eq!(archive(&sandbox, &["lab/old@v1"])["already"], 1);
    assert_eq!(keys(&sandbox, "archive"), [(1, "active".to_owned(), 2)]);
    assert_eq!(keys(&sandbox, "domain"), [(1, "active".to_owned(), 2)]);
    assert!(sandbox.run(["status"]).exits(0).text().contains("archived     2 version keys"));
    assert!(sandbox.run(["show", "lab/old@v1"]).exits(0).text().contains("opened under archive-read"));
    assert!(sandbox.run(["history", "lab/old"]).exits(0).text().contains("archived"));
    assert!(sandbox.run(["key", "ls"]).exits(0).text().contains("lab/dev/internal"));
    // Alone, the owner has the right.
    assert_eq!(sandbox.run(["cat", "lab/old@v1"]).exits(0).stdout, b"content 0");
    sandbox.run(["ls", "lab/old@v1"]).exits(0);
    sound(&sandbox);

    // With a rotation it is wrapped again like the rest.
    let would = told(&sandbox, &["--dry-run", "key", "rotate"]);
    assert_eq!(would["keys"].as_array().unwrap().len(), 2);
    assert_eq!(told(&sandbox, &["key", "rotate"])["rewrapped"], 4);
    assert_eq!(keys(&sandbox, "archive"), [(1, "deactivated".to_owned(), 0), (2, "active".to_owned(), 2)]);
    assert_eq!(sandbox.run(["cat", "lab/old@v2"]).exits(0).stdout, b"content 1");

    // It is sealed anew where it is in use.
    let refused = sandbox.run(["key", "reencrypt", "lab/old@v1"]).exits(8);
    let hint = "strongroom key unarchive lab/old@v1 --reason REASON";
    assert!(refused.text().contains(hint), "{}", refused.text());
    assert_eq!(
        told(&sandbox, &["key", "unarchive", "lab/old@v1", "--reason", "asked for"])["moved"],
        json!(["lab/old@v1"])
    );
    sandbox.run(["key", "reencrypt", "lab/old@v1"]).exits(0);
    let item = told(&sandbox, &["show", "lab/old@v1"]);
    assert_eq!((&item["key_state"], &item["archived"]), (&json!("active"), &Value::Null));
    let key = told(&sandbox, &["key", "ls"])["keys"].as_array().unwrap().clone();
    let apart = key.iter().find(|key| key["purpose"] == "archive" && key["state"] == "active").unwrap();
    let all = ["key", "unarchive", "--all-of", apart["id"].as_str().unwrap(), "--reason", "r"];
    assert_eq!(told(&sandbox, &all)["moved"], json!(["lab/old@v2"]));
    assert_eq!(told(&sandbox, &all)["moved"], json!([]));
    assert_eq!(sandbox.run(["cat", "lab/old@v2"]).exits(0).stdout, b"content 1");
    sound(&sandbox);
}

#[test]
fn whoever_lacks_the_right_opens_it_by_no_command() {
    let team = team();
    team.run(["--as", "rick", "unlock", "--for", "5m"]).exits(0);
    // What the agent knows of it is of before.
    assert_eq!(team.run(["--as", "rick", "cat", "lab/old@v1"]).exits(0).stdout, b"content 0");
    for who in ["rick", "stella"] {
        team.run(["--as", who, "key", "archive", "lab/old@v1", "--reason", "r"]).exits(5);
    }
    team.run(["--as", "cus", "key", "archive", "lab/old@v1", "--reason", "the project ended"]).exits(0);
    let recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    let opening: [&[&str]; 5] = [
        &["cat", "lab/old@v1"],
        &["get", "lab/old@v1", "out"],
        &["run", "-i", "m=lab/old@v1", "--", "true"],
        &["share", "lab/old@v1", "--with", recipient, "--purpose", "paper"],
        &["key", "reencrypt", "lab/old@v1"],
    ];
    for args in opening {
        let refused = team.run([&["--as", "rick"], args].concat()).exits(5);
        let is_anew = args.contains(&"reencrypt");
        assert!(is_anew || refused.text().contains("archive-read"), "{args:?}: {}", refused.text());
        assert!(!team.at("out").exists());
    }
    let would = team.run(["--as", "rick", "--dry-run", "get", "lab/old@v1", "out"]).exits(0).text();
    assert!(would.contains("denied") && would.contains("archive-read"), "{would}");
    // The refusal names who gives the right, and how.
    let refused = team.run(["--as", "rick", "cat", "lab/old@v1"]).exits(5);
    let hint = "strongroom principal add rick --change --grant lab=steward";
    assert!(refused.text().contains(hint), "{}", refused.text());
    team.run(["--as", "cus", "cat", "lab/old@v1"]).exits(5);
    team.run(["--as", "cus", "key", "reencrypt", "lab/old@v1"]).exits(8);
    // Names are told as before.
    for args in [&["ls", "lab/old@v1"][..], &["show", "lab/old@v1"], &["lineage", "show", "lab/old@v1"]] {
        team.run([&["--as", "rick"], args].concat()).exits(0);
    }
    assert_eq!(team.run(["--as", "rick", "cat", "lab/old@v2"]).exits(0).stdout, b"content 1");
    assert_eq!(team.run(["--as", "stella", "cat", "lab/old@v1"]).exits(0).stdout, b"content 0");
    team.run(["--as", "stella", "get", "lab/old@v1", "out"]).exits(0);
    let who = team.run(["who-can", "read", "lab/old@v1"]).exits(0).text();
    assert!(who.contains("stella") && !who.contains("rick"), "{who}");
    team.run(["--as", "cus", "key", "unarchive", "lab/old@v1", "--reason", "asked for"]).exits(0);
    assert_eq!(team.run(["--as", "rick", "cat", "lab/old@v1"]).exits(0).stdout, b"content 0");
    team.run(["lock"]).exits(0);
}

#[test]
fn a_workspace_is_archived_by_age_but_for_what_an_alias_names() {
    let sandbox = Sandbox::solo();
    filled(&sandbox, &[]);
    sandbox.run(["put", "f", "yard/other", "--class", "internal"]).exits(0);
    sandbox.run(["alias", "set", "lab/old@v2", "best"]).exits(0);
    assert_eq!(archive(&sandbox, &["--workspace", "lab", "--older-than", "1d"])["moved"], json!([]));
    assert_eq!(archive(&sandbox, &["--workspace", "lab", "--before", "2026-01-31"])["moved"], json!([]));
    let done = archive(&sandbox, &["--workspace", "lab", "--older-than", "0s"]);
    let moved: Vec<&str> = done["moved"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!((moved.len(), done["left"].as_u64()), (3, Some(1)), "{done}");
    assert!(!moved.contains(&"lab/old@v2"));
    assert_eq!(archive(&sandbox, &["--workspace", "lab", "--older-than", "0s"])["moved"], json!([]));
    // By name it is.
    archive(&sandbox, &["lab/old@best"]);
    assert_eq!(sandbox.run(["cat", "lab/old@best"]).exits(0).stdout, b"content 1");
    for args in [
        &["key", "archive", "--reason", "r"][..],
        &["key", "archive", "--workspace", "lab", "--reason", "r"],
        &["key", "archive", "lab/old", "--older-than", "1d", "--reason", "r"],
        &["key", "archive", "lab/old/f", "--reason", "r"],
        &["key", "archive", "lab/old"],
        &["key", "unarchive", "--reason", "r"],
    ] {
        sandbox.run(args).exits(2);
    }
    sandbox.run(["key", "archive", "lab/none", "--reason", "r"]).exits(3);
    sound(&sandbox);
}

#[test]
fn what_is_archived_opens_with_every_root_and_restricted_data_asks_as_before() {
    let sandbox = Sandbox::solo();
    filled(&sandbox, &[]);
    archive(&sandbox, &["lab/old@v1"]);
    sandbox.run(["root", "add", "keyfile", "--path", "stick.key"]).exits(0);
    sandbox.run(["root", "drill"]).exits(0);
    let roots = told(&sandbox, &["root", "ls"])["roots"].as_array().unwrap().clone();
    sandbox.run(["--yes", "root", "remove", roots[0]["id"].as_str().unwrap()]).exits(0);
    let mut cat = sandbox.command(["cat", "lab/old@v1"]);
    cat.env("STRONGROOM_KEYFILE", sandbox.at("stick.key"));
    assert_eq!(end(cat).exits(0).stdout, b"content 0");

    let other = Sandbox::solo();
    other.write("f", b"secret");
    other.run(["put", "f", "lab/data", "--class", "restricted"]).exits(0);
    archive(&other, &["lab/data"]);
    other.run(["cat", "lab/data"]).exits(2);
    let stated = ["cat", "lab/data", "--reason", "r", "--confirm", "lab/data"];
    assert_eq!(other.run(stated).exits(0).stdout, b"secret");
    sound(&other);
}

#[test]
fn the_playbook_of_a_compromised_domain_key_ends_when_what_is_archived_was_brought_back() {
    let sandbox = Sandbox::solo();
    filled(&sandbox, &[]);
    archive(&sandbox, &["lab/old@v1"]);
    let listed = told(&sandbox, &["key", "ls"]);
    let domain = |key: &&Value| key["purpose"] == "domain" && key["class"] == "internal";
    let key = listed["keys"].as_array().unwrap().iter().find(domain).unwrap()["id"].as_str().unwrap();
    let incident = told(&sandbox, &["key", "compromise", key, "--reason", "found on a server"]);
    let incident = incident["incident"]["id"].as_str().unwrap();
    let exposed = || told(&sandbox, &["incident", "show", incident])["incident"]["exposed"].as_u64().unwrap();
    sandbox.run(["key", "rotate", "--workspace", "lab"]).exits(0);
    let anew = sandbox.run(["key", "reencrypt", "--all-of", key]).exits(0);
    let bring_back = format!("strongroom key unarchive --all-of {key}");
    assert!(anew.stderr.contains("left alone: 1 versions") && anew.stderr.contains(&bring_back), "{}", anew.stderr);
    assert_eq!(exposed(), 1, "what is in the archive is still of the key that left");
    sandbox.run(["key", "unarchive", "--all-of", key, "--reason", "to be sealed anew"]).exits(0);
    sandbox.run(["key", "reencrypt", "--all-of", key]).exits(0);
    assert_eq!(exposed(), 0);
    assert_eq!(sandbox.run(["cat", "lab/old@v1"]).exits(0).stdout, b"content 0");
    sound(&sandbox);
}
