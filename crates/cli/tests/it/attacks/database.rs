//! What somebody tries who writes the database, through the commands.

use super::copy_folder;
use crate::sandbox::Sandbox;

/// Runs SQL behind the keeper's back; how many rows it changed.
fn tamper(sandbox: &Sandbox, sql: &str) -> usize {
    database(sandbox).execute(sql, []).expect(sql)
}

fn database(sandbox: &Sandbox) -> rusqlite::Connection {
    rusqlite::Connection::open(sandbox.vault().join("keeper.db")).expect("the database")
}

/// Replaces a text in the bodies of a table's rows.
fn edit(table: &str, from: &str, to: &str) -> String {
    format!(
        "UPDATE {table} SET body = CAST(replace(CAST(body AS TEXT), '{from}', '{to}') AS BLOB) \
         WHERE instr(CAST(body AS TEXT), '{from}') > 0"
    )
}

/// Copies of vault and anchor, to put back.
fn saved(sandbox: &Sandbox) {
    copy_folder(&sandbox.vault(), &sandbox.at("saved/vault"));
    copy_folder(&sandbox.at("state"), &sandbox.at("saved/state"));
}

fn put_back(sandbox: &Sandbox) {
    for (from, to) in [("saved/vault", sandbox.vault()), ("saved/state", sandbox.at("state"))] {
        std::fs::remove_dir_all(&to).expect("the changed one goes");
        copy_folder(&sandbox.at(from), &to);
    }
}

fn extra_policy(owner: &str) -> String {
    format!(
        "@id(\"extra\")\n@reason(\"a policy that never matches\")\n@owner(\"a test\")\n\
         forbid (principal, action == Action::\"export\", resource is Artifact) when {{ resource.owner == \"{owner}\" }};\n"
    )
}

/// A solo vault with a version and a policy of its own.
fn prepared() -> Sandbox {
    let sandbox = Sandbox::solo();
    sandbox.write("f", b"data");
    sandbox.run(["put", "f", "lab/data", "--class", "confidential"]).exits(0);
    let policy = sandbox.write("extra.cedar", extra_policy("nobody-1"));
    sandbox.run(["policy", "apply", policy.to_str().expect("a path"), "--yes"]).exits(0);
    sandbox
}

#[test]
fn every_edited_row_is_refused_by_its_mac_and_nothing_is_opened() {
    let sandbox = prepared();
    saved(&sandbox);
    let edits = [
        ("wrap", edit("wrap", "\"sealed\":\"", "\"sealed\":\"00")),
        ("wrap", edit("wrap", "\"class\":\"confidential\"", "\"class\":\"public\"")),
        ("wrap", edit("wrap", "\"under_version\":1", "\"under_version\":2")),
        ("version", edit("version", "\"class\":\"confidential\"", "\"class\":\"public\"")),
        ("artifact", edit("artifact", "\"class\":\"confidential\"", "\"class\":\"public\"")),
        ("principal", edit("principal", "\"clearance\":\"restricted\"", "\"clearance\":\"public\"")),
        ("role_grant", edit("role_grant", "\"role\":\"owner\"", "\"role\":\"reader\"")),
        ("role_grant", "UPDATE role_grant SET ticket = ticket + 1".to_owned()),
        ("policy_set", edit("policy_set", "\"hash\":\"", "\"hash\":\"0")),
        ("policy_source", edit("policy_source", "nobody-1", "nobody-2")),
        ("crypto_key", edit("crypto_key", "\"state\":\"active\"", "\"state\":\"deactivated\"")),
        ("setting", edit("setting", "\"value\":\"solo\"", "\"value\":\"rehearsal\"")),
    ];
    for (table, sql) in edits {
        assert!(tamper(&sandbox, &sql) > 0, "{sql}");
        let got = sandbox.run(["get", "lab/data", "never"]);
        assert_eq!(got.code, 7, "{sql}: get: {}", got.stderr);
        assert!(got.stderr.contains(table), "{sql}: get does not name {table}: {}", got.stderr);
        assert!(!sandbox.at("never").exists(), "{sql}: something was written");
        let cat = sandbox.run(["cat", "lab/data"]).exits(7);
        assert!(cat.stdout.is_empty(), "{sql}: something was given out");
        let state = sandbox.run(["verify", "--state"]);
        assert_eq!(state.code, 7, "{sql}: verify --state: {}", state.stderr);
        sandbox.run(["gc", "--grace", "0s", "--yes"]).exits(7);
        put_back(&sandbox);
    }
    sandbox.run(["get", "lab/data", "whole"]).exits(0);
    sandbox.run(["verify", "--all", "--state"]).exits(0);
}

#[test]
fn a_decision_whose_inputs_were_altered_is_named_by_audit_verify() {
    let sandbox = prepared();
    sandbox.run(["get", "lab/data", "whole"]).exits(0);
    let tail = sandbox.run(["--format", "json", "audit", "tail", "--limit", "1"]).exits(0).json();
    let entry = &tail["items"][0]["entry"];
    let (id, ticket) = (entry["id"].as_str().expect("an id"), &entry["ticket"]);
    let show = ["--format", "json", "audit", "show", id];
    assert_eq!(sandbox.run(show).exits(0).json()["replayed"]["outcome"], "same");
    sandbox.run(["audit", "verify", "--replay"]).exits(0);
    saved(&sandbox);
    // It is sealed: whatever stands there instead does not open.
    let clearance = format!("UPDATE cas SET bytes = zeroblob(length(bytes)) WHERE ticket = {ticket}");
    let text = "UPDATE cas SET bytes = CAST(replace(CAST(bytes AS TEXT), 'nobody-1', 'nobody-2') AS BLOB) \
                WHERE instr(CAST(bytes AS TEXT), 'nobody-1') > 0";
    let attacks = [
        (clearance, "not what the entry commits to", "differs"),
        (text.to_owned(), "`extra.cedar`", "differs"),
        (format!("DELETE FROM cas WHERE ticket = {ticket}"), "is missing", "missing"),
    ];
    for (sql, named, outcome) in attacks {
        assert!(tamper(&sandbox, &sql) > 0, "{sql}");
        let found = sandbox.run(["audit", "verify", "--replay"]).exits(7);
        let told = String::from_utf8_lossy(&found.stdout).into_owned();
        assert!(told.contains(named) && told.contains(id), "{sql}: {told}");
        let whole = sandbox.run(["--format", "json", "audit", "verify", "--replay"]).exits(7).json();
        assert_eq!((&whole["ok"], &whole["replayed"]["ok"]), (&false.into(), &false.into()), "{sql}: {whole}");
        assert_eq!(whole["failures"], serde_json::json!([]), "{sql}: the log itself is whole");
        let shown = sandbox.run(show).exits(7).json();
        assert_eq!(shown["replayed"]["outcome"], outcome, "{sql}: {shown}");
        // What decisions rest on is data about the past: nothing else depends on it.
        sandbox.run(["audit", "verify"]).exits(0);
        put_back(&sandbox);
    }
    sandbox.run(["audit", "verify", "--replay"]).exits(0);
}

#[test]
fn what_a_verification_found_is_told_although_the_further_check_fails() {
    for (sql, command, word, field, code) in [
        ("DELETE FROM entry WHERE idx = 2", &["audit", "verify", "--replay"][..], "log NOT verified", "replayed", 7),
        ("ALTER TABLE alias RENAME TO lost", &["verify", "--state"], "log: verified", "state", 1),
    ] {
        let sandbox = prepared();
        tamper(&sandbox, sql);
        let found = sandbox.run(command).exits(code);
        let told = String::from_utf8_lossy(&found.stdout).into_owned();
        assert!(told.contains(word), "{command:?}: {told}");
        assert!(found.stderr.contains("error: "), "{command:?}: {}", found.stderr);
        let found = sandbox.run(["--format", "json"].iter().chain(command)).exits(code);
        let told = found.json();
        assert_eq!((&told["ok"], told.get(field)), (&false.into(), None), "{told}");
        let error: serde_json::Value =
            serde_json::from_str(found.stderr.lines().last().expect("an error")).expect("one error");
        assert_eq!(error["kind"], "error");
    }
}

#[test]
fn deleted_rows_and_entries_are_missed() {
    let sandbox = prepared();
    saved(&sandbox);
    let deletions: [(&str, &str, &[&str]); 6] = [
        ("DELETE FROM policy_source", "policy_source", &["verify", "--state"]),
        ("DELETE FROM version", "version", &["verify", "--state"]),
        ("DELETE FROM wrap WHERE json_extract(body, '$.kind') = 'version'", "wrap", &["verify", "--state"]),
        ("DELETE FROM entry", "entr", &["audit", "verify"]),
        ("DELETE FROM entry WHERE idx = (SELECT MAX(idx) FROM entry)", "entr", &["audit", "verify"]),
        ("DELETE FROM entry WHERE idx = 2", "entr", &["audit", "verify"]),
    ];
    let mut wrong = Vec::new();
    for (sql, table, command) in deletions {
        assert!(tamper(&sandbox, sql) > 0, "{sql}");
        let found = sandbox.run(command);
        let told = format!("{}{}", String::from_utf8_lossy(&found.stdout), found.stderr);
        let collected = sandbox.run(["gc", "--grace", "0s", "--yes"]);
        if (found.code, collected.code) != (7, 7) || !told.contains(table) {
            wrong.push(format!("{sql}: {command:?} {} {told}; gc {} {}", found.code, collected.code, collected.stderr));
        }
        put_back(&sandbox);
    }
    assert_eq!(wrong, [""; 0]);
    // Without a grant the owner is nobody; whoever may audit finds it.
    assert!(tamper(&sandbox, "DELETE FROM role_grant") > 0);
    for command in [&["get", "lab/data", "never"][..], &["cat", "lab/data"], &["verify", "--state"]] {
        assert!(sandbox.run(command).exits(3).stdout.is_empty(), "{command:?}");
    }
    assert!(!sandbox.at("never").exists());
    put_back(&sandbox);
    sandbox.run(["verify", "--all", "--state"]).exits(0);
}

#[test]
fn one_older_row_put_back_whole_is_named_by_verify_state() {
    let sandbox = prepared();
    let second = sandbox.write("extra-2.cedar", extra_policy("nobody-2"));
    let apply = ["policy", "apply", second.to_str().expect("a path"), "--yes"];
    let acts: [(&[&str], &[&str]); 3] = [
        (&["key", "rotate"], &["wrap"]),
        (&apply, &["policy_set", "policy_source"]),
        (&["put", "f", "lab/data"], &["artifact"]),
    ];
    for (act, tables) in acts {
        replayed(&sandbox, act, tables, &["--format", "json", "verify", "--state"]);
    }
    let sandbox = Sandbox::rehearsal();
    for (name, grant) in [("aud", "vault=auditor"), ("alice", "lab=reader")] {
        sandbox.run(["principal", "add", name, "--clearance", "confidential", "--grant", grant]).exits(0);
    }
    let verify = ["--as", "aud", "--format", "json", "verify", "--state"];
    replayed(&sandbox, &["principal", "add", "alice", "--change", "--suspended"], &["principal"], &verify);
    replayed(&sandbox, &["principal", "add", "alice", "--change", "--revoke", "lab=reader"], &["role_grant"], &verify);
}

/// Acts, then puts the rows of these tables back as they were before, every MAC right; and puts all of it right again.
#[track_caller]
fn replayed(sandbox: &Sandbox, act: &[&str], tables: &[&str], verify: &[&str]) {
    let older = sandbox.at("older");
    copy_folder(&sandbox.vault(), &older);
    sandbox.run(act).exits(0);
    sandbox.run(verify).exits(0);
    saved(sandbox);
    let db = database(sandbox);
    db.execute("ATTACH ?1 AS older", [older.join("keeper.db").to_str().expect("a path")]).expect("the older one");
    for table in tables {
        db.execute(&format!("DELETE FROM main.{table}"), []).expect("the newer rows go");
        let back = db.execute(&format!("INSERT INTO main.{table} SELECT * FROM older.{table}"), []).expect("rows");
        assert!(back > 0, "{table} had rows");
    }
    drop(db);
    let found = sandbox.run(verify);
    let told = String::from_utf8_lossy(&found.stdout).into_owned();
    assert_eq!(found.code, 7, "{act:?}: {told} {}", found.stderr);
    assert!(told.contains(tables[0]), "{act:?}: {} is not named: {told}", tables[0]);
    // In a rehearsal vault the owner may not collect garbage at all.
    if !verify.contains(&"--as") {
        sandbox.run(["gc", "--grace", "0s", "--yes"]).exits(7);
    }
    put_back(sandbox);
    std::fs::remove_dir_all(older).expect("the older copy goes");
    std::fs::remove_dir_all(sandbox.at("saved")).expect("the saved copy goes");
}

#[test]
fn an_older_copy_of_the_vault_proves_no_freshness() {
    let sandbox = prepared();
    copy_folder(&sandbox.vault(), &sandbox.at("older"));
    sandbox.write("f", b"newer data");
    sandbox.run(["put", "f", "lab/data", "--class", "confidential"]).exits(0);
    std::fs::remove_dir_all(sandbox.vault()).expect("the newer one goes");
    copy_folder(&sandbox.at("older"), &sandbox.vault());
    for command in [&["audit", "verify"][..], &["verify"]] {
        let said = sandbox.run([&["--format", "json"], command].concat()).exits(7).json();
        assert_eq!((&said["ok"], &said["freshness"]), (&false.into(), &"unproven".into()), "{said}");
        let text = sandbox.run(command).exits(7).text();
        assert!(text.contains("NOT verified") && !text.contains("as new as") && !text.contains("no anchor"), "{text}");
        assert!(!text.contains("put --afresh"), "the depot holds what it should: {text}");
    }
    let status = sandbox.run(["status"]).exits(0).text();
    assert!(status.contains("an older copy was restored") && !status.contains("no anchor"), "{status}");
    let refused = sandbox.run(["get", "lab/data", "never"]).exits(7);
    assert!(refused.stderr.contains("move its anchor file away"), "{}", refused.stderr);
    // What it says to do: the owner takes this copy for the newest one there is.
    std::fs::remove_dir_all(sandbox.at("state")).expect("the anchor goes");
    // The published checkpoint lies in the vault and is as old as it.
    sandbox.run(["audit", "verify", "--new-anchor", "--yes"]).exits(0);
    sandbox.run(["get", "lab/data", "back"]).exits(0);
}

#[test]
fn nothing_is_committed_while_the_folder_of_the_log_is_missing() {
    let sandbox = prepared();
    let holds = || sandbox.run(["--format", "json", "status"]).exits(0).json()["versions"].clone();
    let before = holds();
    std::fs::rename(sandbox.vault().join("log"), sandbox.at("log")).expect("the log goes");
    let refused = sandbox.run(["put", "f", "lab/other"]).exits(7);
    assert!(refused.stderr.contains("the folder of the log is missing"), "{}", refused.stderr);
    std::fs::rename(sandbox.at("log"), sandbox.vault().join("log")).expect("the log comes back");
    assert_eq!(holds(), before);
    sandbox.run(["put", "f", "lab/other"]).exits(0);
    sandbox.run(["verify", "--all", "--state"]).exits(0);
}
