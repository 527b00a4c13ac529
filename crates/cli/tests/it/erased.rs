//! Erasing a person, as people use it.

use super::sandbox::Sandbox;

fn clinic() -> Sandbox {
    let sandbox = Sandbox::rehearsal();
    sandbox.write("f", "data");
    for (name, clearance, grant) in [
        ("wanda", "confidential", "clinic=writer"),
        ("quentin", "confidential", "clinic=reader"),
        ("aud", "public", "vault=auditor"),
        ("cus", "public", "vault=custodian"),
    ] {
        sandbox.run(["principal", "add", name, "--clearance", clearance, "--grant", grant]).exits(0);
    }
    sandbox.run(["--as", "wanda", "put", "f", "clinic/records"]).exits(0);
    sandbox.run(["--as", "quentin", "get", "clinic/records", "out", "--reason", "the trial of Zebulon"]).exits(0);
    sandbox
}

fn told(sandbox: &Sandbox, args: &[&str]) -> serde_json::Value {
    sandbox.run(["--format", "json"].iter().chain(args)).exits(0).json()
}

const ERASE: [&str; 6] = ["principal", "erase", "quentin", "--reason", "request 17", "--yes"];

#[test]
fn an_erased_person_is_an_id_and_the_log_verifies_and_is_no_longer_replayable() {
    let sandbox = clinic();
    let read = told(&sandbox, &["--as", "aud", "audit", "query", "--principal", "quentin"])["items"][0].clone();
    let (entry, decision) = (read["entry"]["id"].as_str().unwrap(), read["entry"]["decision"]["id"].as_str().unwrap());
    let id = read["entry"]["principal"].as_str().unwrap();
    assert!(sandbox.run(["--as", "aud", "explain", decision]).exits(0).text().contains("made again: the same"));
    sandbox.run(["principal", "add", "quentin", "--change", "--suspended"]).exits(0);
    sandbox.run(["-n", "principal", "erase", "quentin", "--reason", "request 17"]).exits(0);
    sandbox.run(["--as", "wanda", "principal", "erase", "quentin", "--reason", "request 17", "--yes"]).exits(5);
    sandbox.run(["principal", "erase", "quentin", "--reason", "Quentin asked", "--yes"]).exits(2);
    let said = sandbox.run(ERASE).exits(0).text();
    assert!(said.contains(&format!("quentin is erased: from now on there is only {id}")), "{said}");
    assert!(said.contains("no longer replayable") && !said.contains("backup"), "{said}");

    let erased = format!("{id} (erased)");
    for args in [&["principal", "ls"][..], &["--as", "aud", "audit", "tail"], &["--as", "aud", "audit", "show", entry]]
    {
        let text = sandbox.run(args).exits(0).text();
        assert!(text.contains(&erased) && !text.contains("quentin"), "{args:?}: {text}");
    }
    let shown = told(&sandbox, &["--as", "aud", "audit", "show", entry]);
    assert_eq!(shown["disclosed"]["reason"], serde_json::json!({ "erased": true }));
    assert_eq!(shown["replayed"]["outcome"], "erased");
    let text = sandbox.run(["--as", "aud", "explain", decision]).exits(0).text();
    assert!(text.contains(&format!("verifiable, no longer replayable: {id} was erased since")), "{text}");
    let text = sandbox.run(["--as", "aud", "audit", "verify", "--replay"]).exits(0).text();
    assert!(text.contains("verifiable, no longer replayable") && text.contains("log verified"), "{text}");
    let replayed = told(&sandbox, &["--as", "aud", "audit", "verify", "--replay"])["replayed"].clone();
    assert!(replayed["ok"] == true && replayed["erased"].as_u64().unwrap() > 0, "{replayed}");
    sandbox.run(["--as", "aud", "verify", "--state"]).exits(0);
    // The id finds what the name found.
    let items = told(&sandbox, &["--as", "aud", "audit", "query", "--principal", id]);
    assert!(items["items"].as_array().unwrap().iter().all(|item| item["principal"] == erased.as_str()), "{items}");
    assert!(!items["items"].as_array().unwrap().is_empty());
    sandbox.run(["--as", "quentin", "ls"]).exits(3);
    sandbox.run(ERASE).exits(3);
    sandbox.run(["principal", "add", "quentin"]).exits(0);
    let again = told(&sandbox, &["principal", "show", "quentin"]);
    assert!(again["id"] != id && again["grants"].as_array().unwrap().is_empty(), "{again}");
}

#[test]
fn an_agent_forgets_who_is_erased_and_a_backup_is_named() {
    let sandbox = clinic();
    sandbox.run(["unlock"]).exits(0);
    sandbox.run(["--as", "quentin", "cat", "clinic/records"]).exits(0);
    let backup = told(&sandbox, &["--as", "cus", "backup", "create", "backup"]);
    assert!(backup["versions"].as_u64().unwrap() > 0);
    sandbox.run(["principal", "add", "quentin", "--change", "--suspended"]).exits(0);
    let done = told(&sandbox, &ERASE);
    assert!(done["finished"] == true && done["backup"].is_u64(), "{done}");
    sandbox.run(["--as", "quentin", "cat", "clinic/records"]).exits(3);
    let page = told(&sandbox, &["--as", "aud", "audit", "query", "--act", "release"]);
    assert!(!page.to_string().contains("quentin") && !page.to_string().contains("Zebulon"), "{page}");
    sandbox.run(["lock"]).exits(0);
    let page = told(&sandbox, &["--as", "aud", "audit", "query", "--act", "release"]);
    assert!(!page.to_string().contains("quentin"), "{page}");
}
