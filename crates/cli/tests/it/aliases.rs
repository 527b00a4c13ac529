//! `alias` and `whoami`, as people use them.

use super::sandbox::Sandbox;
use serde_json::Value;

/// Three versions of `clinic/model` in prod, the last one `prod`.
fn clinic() -> Sandbox {
    let sandbox = Sandbox::solo();
    for n in 1..=3 {
        sandbox.write("f", format!("weights {n}"));
        sandbox.run(["put", "f", "clinic/model", "--class", "internal", "--env", "prod", "--alias", "prod"]).exits(0);
    }
    sandbox
}

fn lines(sandbox: &Sandbox, args: &[&str]) -> Vec<Value> {
    let out = sandbox.run(["--format", "jsonl"].iter().chain(args)).exits(0).stdout;
    String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_release_is_rolled_back_and_the_log_tells_it() {
    let sandbox = clinic();
    assert_eq!(sandbox.run(["cat", "clinic/model@prod"]).exits(0).stdout, b"weights 3");
    let said = sandbox.run(["alias", "set", "clinic/model@v2", "prod", "--expect", "@v3"]).exits(0).text();
    assert!(
        said.contains("prod points to clinic/model@v2, was clinic/model@v3") && said.contains("log entry"),
        "{said}"
    );
    assert_eq!(sandbox.run(["cat", "clinic/model@prod"]).exits(0).stdout, b"weights 2");
    let again = sandbox.run(["alias", "set", "clinic/model@v2", "prod"]).exits(0).text();
    assert!(again.contains("already"), "{again}");
    let conflict = sandbox.run(["alias", "set", "clinic/model@v1", "prod", "--expect", "@v3"]).exits(8).stderr;
    assert!(conflict.contains("points to v2") && conflict.contains("strongroom alias history"), "{conflict}");
    let past = lines(&sandbox, &["alias", "history", "clinic/model", "prod"]);
    let acts: Vec<_> = past.iter().map(|line| (line["act"].as_str().unwrap(), line["version"].as_str())).collect();
    assert_eq!(acts.len(), 4);
    assert_eq!(acts[0], ("alias.set", Some("clinic/model@v2")));
    assert_eq!(past[0]["before"], "clinic/model@v3");
    // Each move is an entry that proves itself.
    sandbox.run(["audit", "prove", past[0]["entry"].as_str().unwrap()]).exits(0);
    let two = sandbox.run(["alias", "history", "clinic/model", "prod", "--limit", "2"]).exits(0).text();
    assert!(two.contains("more: --after "), "{two}");
    sandbox.run(["alias", "set", "clinic/model@v1", "golden", "--expect", "none"]).exits(0);
    let listed = lines(&sandbox, &["alias", "ls", "clinic/model"]);
    let listed: Vec<_> = listed.iter().map(|line| (line["alias"].as_str().unwrap(), line["number"].as_u64())).collect();
    assert_eq!(listed, [("golden", Some(1)), ("prod", Some(2))]);
    sandbox.run(["alias", "rm", "clinic/model", "golden"]).exits(0);
    sandbox.run(["show", "clinic/model@golden"]).exits(3);
    sandbox.run(["alias", "rm", "clinic/model", "golden"]).exits(3);
    sandbox.run(["verify", "--state"]).exits(0);
    sandbox.run(["audit", "verify", "--replay"]).exits(0);
}

#[test]
fn a_move_that_is_only_asked_about_moves_nothing() {
    let sandbox = clinic();
    let dry = |words: &[&str]| sandbox.run(["--dry-run", "--format", "json", "alias"].iter().chain(words));
    for words in
        [&["set", "clinic/model@v1", "prod"][..], &["set", "clinic/model", "fresh"], &["rm", "clinic/model", "prod"]]
    {
        assert_eq!(dry(words).exits(0).json()["allowed"], true, "{words:?}");
    }
    dry(&["set", "clinic/model@v9", "prod"]).exits(3);
    dry(&["rm", "clinic/model", "ghost"]).exits(3);
    assert_eq!(sandbox.run(["cat", "clinic/model@prod"]).exits(0).stdout, b"weights 3");
    sandbox.run(["show", "clinic/model@fresh"]).exits(3);
}

#[test]
fn slips_of_alias_are_told_what_was_meant() {
    let sandbox = clinic();
    for (words, code, hint) in [
        (&["alias", "set", "clinic/model@v1", "latest"][..], 2, "latest"),
        (&["alias", "set", "clinic/model/file", "prod"], 2, "path"),
        (&["alias", "ls", "clinic/model@v1"], 2, "without a version"),
        (&["alias", "set", "clinic/model@v1", "prod", "--expect", "v01"], 2, "@vN"),
        (&["alias", "set", "clinic/modle@v1", "prod"], 3, "did you mean `clinic/model`"),
        (&["alias", "history", "clinic/model", "prdo"], 3, "did you mean `clinic/model@prod`"),
        (&["alias", "move", "clinic/model@v1", "prod"], 2, "strongroom alias set REF NAME"),
        (&["promote"], 2, "strongroom alias set REF NAME"),
        (&["me"], 2, "strongroom whoami"),
    ] {
        let ended = sandbox.run(words).exits(code);
        assert!(ended.stderr.contains(hint), "{words:?}: {}", ended.stderr);
    }
    let empty = Sandbox::solo();
    empty.write("f", b"x");
    empty.run(["put", "f", "lab/a"]).exits(0);
    assert!(empty.run(["alias", "ls", "lab/a"]).exits(0).text().contains("strongroom alias set"));
}

#[test]
fn a_person_is_told_their_roles_and_their_end() {
    let sandbox = Sandbox::rehearsal();
    sandbox.run(["principal", "add", "alice", "--grant", "lab=reader:2099-01-31", "--clearance", "internal"]).exits(0);
    let text = sandbox.run(["--as", "alice", "whoami"]).exits(0).text();
    for part in ["alice (user, asserted)", "internal", "lab=reader until 2099-01-31", "proven now", "rehearsal"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let told = sandbox.run(["--as", "alice", "--assert", "mfa=none", "--format", "json", "whoami"]).exits(0).json();
    assert_eq!((&told["presence"], &told["type"]), (&"none".into(), &"user".into()), "{told}");
}
