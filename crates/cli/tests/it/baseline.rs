//! A vault whose policies hold another baseline than this program's: refused with a command that helps.

use super::inside::wrapped_keys;
use super::sandbox::Sandbox;
use seal::secret::MacKey;
use serde_json::Value;

/// Says that another program's baseline is in force, as that program would: with the right MAC.
fn hold(sandbox: &Sandbox, edition: u32) {
    let keys = wrapped_keys(sandbox);
    let (_, mac) = keys.iter().find(|(name, _)| name.starts_with("row-mac")).expect("a key");
    let mac = MacKey::from_slice(mac).expect("a key");
    let db = rusqlite::Connection::open(sandbox.vault().join("keeper.db")).expect("the database");
    let read = "SELECT id, body, salt, ticket FROM policy_set";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let (id, body, salt, ticket): (Vec<u8>, Vec<u8>, Vec<u8>, i64) = db.query_row(read, [], row).expect("a set");
    let mut set: Value = serde_json::from_slice(&body).expect("JSON");
    set["baseline"] = "0".repeat(64).into();
    set["edition"] = edition.into();
    let body = set.to_string().into_bytes();
    let mut message = Vec::new();
    for field in [&b"strongroom/v1/row-mac"[..], b"policy_set", &id, &salt, &ticket.to_be_bytes()] {
        message.extend_from_slice(&u16::try_from(field.len()).expect("a short field").to_be_bytes());
        message.extend_from_slice(field);
    }
    message.extend_from_slice(&u32::try_from(body.len()).expect("a length").to_be_bytes());
    message.extend_from_slice(&body);
    let tag = seal::mac::tag(&mac, &message);
    let changed = db.execute("UPDATE policy_set SET body = ?1, mac = ?2", (&body, &tag[..])).expect("a change");
    assert_eq!(changed, 1);
}

#[test]
fn an_older_baseline_is_refused_with_the_command_that_moves_it() {
    let sandbox = Sandbox::solo();
    sandbox.write("f", b"data");
    sandbox.run(["put", "f", "lab/data", "--class", "internal"]).exits(0);
    hold(&sandbox, 0);
    let tries = "try: strongroom policy apply --baseline";
    let commands: [&[&str]; 5] =
        [&["put", "f", "lab/data"], &["cat", "lab/data"], &["ls"], &["key", "rotate"], &["audit", "tail"]];
    for command in commands {
        let refused = sandbox.run(command).exits(8);
        assert!(refused.stderr.contains(tries) && refused.stdout.is_empty(), "{command:?}: {}", refused.stderr);
    }
    sandbox.run(["policy", "show"]).exits(0);
    sandbox.run(["policy", "apply", "--baseline", "--dry-run"]).exits(0);
    sandbox.run(["cat", "lab/data"]).exits(8);
    sandbox.run(["policy", "apply", "--baseline", "--yes"]).exits(0);
    assert_eq!(sandbox.run(["cat", "lab/data"]).exits(0).stdout, b"data");
    let told = sandbox.run(["--format", "json", "audit", "query", "--act", "policy.baseline"]).exits(0).json();
    let entry = &told["items"][0]["entry"];
    assert_eq!(entry["subject"]["baseline.before"], "0".repeat(64));
    assert_eq!(entry["detail"]["edition"], "0 to 1");
    sandbox.run(["verify", "--state"]).exits(0);
    sandbox.run(["audit", "verify", "--replay"]).exits(0);
    let again = sandbox.run(["policy", "apply", "--baseline", "--yes"]).exits(8);
    assert!(again.stderr.contains("already"), "{}", again.stderr);
}

#[test]
fn a_newer_baseline_is_refused_as_what_it_is() {
    let sandbox = Sandbox::solo();
    hold(&sandbox, 7);
    for command in [&["ls"][..], &["policy", "apply", "--baseline", "--yes"]] {
        let refused = sandbox.run(command).exits(1);
        for part in ["newer than this program", "edition 7", "try: use the program"] {
            assert!(refused.stderr.contains(part), "{command:?}: {part}: {}", refused.stderr);
        }
    }
}

#[test]
fn another_baseline_of_the_same_edition_is_told_by_its_digest() {
    let sandbox = Sandbox::solo();
    hold(&sandbox, 1);
    let refused = sandbox.run(["ls"]).exits(8);
    let digest = "0".repeat(64);
    for part in ["another baseline of edition 1", &digest, "try: strongroom policy apply --baseline"] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    assert!(!refused.stderr.contains("this program has edition"), "{}", refused.stderr);
    sandbox.run(["policy", "apply", "--baseline", "--yes"]).exits(0);
    sandbox.run(["ls"]).exits(0);
}
