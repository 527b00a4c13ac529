//! Small mistakes are refused, and told with a way that is open.

use super::sandbox::{Ended, Sandbox, end};
use serde_json::Value;

fn told(sandbox: &Sandbox, code: i32, args: &[&str]) -> (String, String) {
    let ended = sandbox.run(["--format", "json"].iter().chain(args)).exits(code);
    let error: Value = serde_json::from_str(ended.stderr.lines().last().unwrap()).unwrap();
    let text = |field: &str| error[field].as_str().unwrap_or_default().to_owned();
    (format!("{}: {}", text("what"), text("why")), text("try"))
}

fn stored() -> Sandbox {
    let sandbox = Sandbox::solo();
    sandbox.write("tree/sub/f", b"data");
    sandbox.run(["put", "tree", "lab/tree", "--class", "confidential"]).exits(0);
    sandbox
}

#[test]
fn what_is_missing_or_not_allowed_on_the_command_line_is_named() {
    let sandbox = Sandbox::new();
    for (args, why, hint) in [
        (&["put"][..], "missing: <SRC>, <WORKSPACE/ARTIFACT>", "strongroom put <SRC> <WORKSPACE/ARTIFACT>"),
        (&["ls", "--format", "yaml"], "one of auto, human, json, jsonl", "strongroom ls --help"),
        (&["init", "--root", "tpm"], "one of keyfile, passphrase", "strongroom init --help"),
        (&["completions", "tcsh"], "bash, elvish, fish", "strongroom completions --help"),
        (
            &["put", "f", "lab/a", "--class", "secret"],
            "`secret` is not one of public, internal, confidential, restricted",
            "strongroom put --help",
        ),
        (&["principal", "rm", "bob"], "rm", "strongroom principal add NAME --change --suspended"),
        (&["principal", "list"], "list", "strongroom principal ls"),
        (&["key", "list"], "list", "strongroom key ls"),
        (&["key", "add"], "add", "strongroom key create WORKSPACE/NAME"),
        (&["audit", "list"], "list", "strongroom audit tail"),
        (&["audit", "verfy"], "verfy", "strongroom audit verify"),
        (&["policies"], "policies", "strongroom policy show"),
        (
            &["key", "archive", "lab/a", "--workspace", "lab", "--older-than", "1d", "--reason", "r"],
            "cannot be used with: --",
            "strongroom key archive --reason <TEXT> <REF>...",
        ),
        (&["incident", "close", "ab", "--reason", "r"], "'--reason'", "strongroom incident close --help"),
        (&["ls", "--formt", "json"], "'--formt'", "--format"),
        (&["unseal"], "unseal", "strongroom get REF DEST"),
        (&["revoke"], "revoke", "strongroom principal add NAME --change --revoke WORKSPACE"),
    ] {
        let ended: Ended = sandbox.run(args).exits(2);
        assert!(ended.stderr.contains(why), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(&format!("try: {hint}")), "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn a_source_that_would_be_nothing_is_refused_and_makes_no_version() {
    let sandbox = stored();
    let put = |source: &str, more: &[&str]| told(&sandbox, 2, &[&["put", source, "lab/tree"], more].concat());
    let (why, hint) = put("tree", &["--include", "nomatch"]);
    assert!(why.contains("nothing in `tree` matches") && hint.contains("pattern"), "{why} {hint}");
    assert!(put(".strongroom", &[]).0.contains("the vault itself"));
    put("tree", &["--tag", "a=1", "--tag", "a=2"]);
    let latest = sandbox.run(["--format", "json", "show", "lab/tree"]).exits(0).json();
    assert_eq!(latest["number"], 1, "{latest}");
    sandbox.run(["put", "tree", "lab/tree", "--include", "f"]).exits(0);
    told(&sandbox, 3, &["--dry-run", "put", "nothing", "lab/tree"]);
}

#[test]
fn the_hint_to_exclude_what_cannot_be_stored_excludes_it() {
    let sandbox = stored();
    let made = std::process::Command::new("mkfifo").arg(sandbox.at("tree/sub/fi")).status().unwrap();
    assert!(made.success());
    let (_, hint) = told(&sandbox, 1, &["put", "tree", "lab/tree"]);
    let pattern = hint.split('\'').nth(1).unwrap();
    assert_eq!(pattern, "sub/fi", "{hint}");
    sandbox.run(["put", "tree", "lab/tree", "--exclude", pattern]).exits(0);
    let (_, hint) = told(&sandbox, 1, &["put", "/dev/null", "lab/null"]);
    assert!(!hint.contains("--exclude"), "{hint}");
}

#[test]
fn a_reference_is_taken_whole_or_refused() {
    let sandbox = stored();
    let (_, hint) = told(&sandbox, 2, &["show", "lab/tree@v1/sub"]);
    assert_eq!(hint, "strongroom ls lab/tree@v1/sub, or strongroom show lab/tree@v1");
    told(&sandbox, 2, &["show", "lab/tree@v01"]);
    let (why, hint) = told(&sandbox, 2, &["cat", "lab/tree@v1/sub"]);
    assert!(why.contains("`lab/tree@v1/sub`"), "{why}");
    assert_eq!(hint, "strongroom ls lab/tree@v1/sub");
}

#[test]
fn what_stands_in_the_way_is_said_with_the_way_around_it() {
    let sandbox = stored();
    let (why, hint) = told(&sandbox, 8, &["put", "tree", "lab/tree", "--class", "public"]);
    assert!(why.contains("no command of this release") && hint.contains("--class"), "{why} {hint}");
    let (why, hint) = told(&sandbox, 8, &["put", "tree", "lab/tree", "--kind", "model"]);
    assert!(why.contains("of the kind `other`") && hint.contains("--kind"), "{why} {hint}");
    sandbox.write("proof", b"mine");
    let (why, hint) = told(&sandbox, 8, &["audit", "prove", "0", "-o", "proof"]);
    assert!(why.contains("a file of this name") && hint.contains("-o"), "{why} {hint}");
    assert_eq!(std::fs::read(sandbox.at("proof")).unwrap(), b"mine");
    let (why, hint) = told(&sandbox, 8, &["audit", "export", "tree"]);
    assert!(why.contains("not an empty folder") && hint.contains("empty or absent"), "{why} {hint}");
    assert!(!format!("{why} {hint}").contains("audit verify"), "{why} {hint}");
    let (why, hint) = told(&sandbox, 2, &["principal", "add", "bob", "--grant", "lab=reader:2020-01-31"]);
    assert!(why.contains("ended already"), "{why} {hint}");
    told(&sandbox, 3, &["principal", "show", "bob"]);
    let team = Sandbox::rehearsal();
    let (why, hint) = told(&team, 3, &["--as", "zed", "ls"]);
    assert!(why.contains("no principal `zed`"), "{why}");
    assert_eq!(hint, "strongroom principal ls");
}

#[test]
fn a_tail_names_no_page_that_it_cannot_turn_to() {
    let sandbox = stored();
    let text = sandbox.run(["audit", "tail", "--limit", "1"]).exits(0).stdout;
    assert!(!String::from_utf8(text).unwrap().contains("more:"));
    assert_eq!(sandbox.run(["--format", "json", "audit", "tail", "--limit", "1"]).exits(0).json()["next"], Value::Null);
    let mut command = sandbox.command(["audit", "query", "--limit", "1"]);
    command.env("NO_COLOR", "1");
    let text = String::from_utf8(end(command).exits(0).stdout).unwrap();
    let after = text.lines().find_map(|line| line.strip_prefix("more: --after ")).unwrap();
    sandbox.run(["audit", "query", "--after", after]).exits(0);
}

#[test]
fn what_is_refused_about_keys_and_backups_is_told_with_its_own_way_on() {
    let sandbox = stored();
    for args in [&["key", "certificate", "lab/tree"][..], &["key", "destroy", "lab/tree", "--cancel", "--reason", "r"]]
    {
        assert_eq!(told(&sandbox, 8, args).1, "strongroom key ls", "{args:?}");
    }
    sandbox.run(["audit", "export", "log"]).exits(0);
    let check = ["key", "certificate", "--check", "tree/sub/f", "--log-keys", "log/vkeys"];
    assert!(told(&sandbox, 7, &check).1.contains("strongroom key certificate ID -o FILE"));
    for args in [&["backup", "verify", "nowhere"][..], &["backup", "restore", "nowhere", "--vault", "new"]] {
        let (why, hint) = told(&sandbox, 3, args);
        assert!(why.contains("there is no `nowhere`") && hint == "check the name or the path", "{why} {hint}");
    }
    std::fs::create_dir(sandbox.at("copy")).unwrap();
    sandbox.run(["depot", "add", "copy"]).exits(0);
    assert_eq!(told(&sandbox, 8, &["depot", "add", "copy"]).1, "strongroom depot ls");
}

#[test]
fn a_dry_run_says_what_would_be_refused_or_is_so_already() {
    let sandbox = stored();
    let json =
        |args: &[&str]| -> Value { sandbox.run(["--format", "json", "--dry-run"].iter().chain(args)).exits(0).json() };
    let archive = ["key", "archive", "lab/tree@v1", "--reason", "over"];
    let would = json(&archive);
    assert!(would["versions"].as_array().unwrap().len() == 1 && would["already"] == 0, "{would}");
    sandbox.run(archive).exits(0);
    let would = json(&archive);
    assert!(would["versions"].as_array().unwrap().is_empty() && would["already"] == 1, "{would}");
    let text = sandbox.run(["--dry-run"].iter().chain(&archive)).exits(0).text();
    assert!(text.contains("0 version keys") && text.contains("1 are there already"), "{text}");
    sandbox.run(["principal", "add", "ann"]).exits(0);
    let erase = ["principal", "erase", "ann", "--reason", "request 17"];
    assert_eq!(json(&erase)["suspended"], false);
    assert!(sandbox.run(["--dry-run"].iter().chain(&erase)).exits(0).text().contains("once suspended"));
    sandbox.run(["principal", "add", "ann", "--change", "--suspended"]).exits(0);
    assert_eq!(json(&erase)["suspended"], true);
}

#[test]
fn shares_that_are_too_few_are_told_as_shares() {
    let sandbox = stored();
    sandbox.run(["escrow", "create", "--shares", "3", "--threshold", "2", "--into", "."]).exits(0);
    let listed = std::fs::read_dir(sandbox.path()).unwrap().map(|entry| entry.unwrap().path());
    let mut shares: Vec<String> = listed.map(|path| path.to_str().unwrap().to_owned()).collect();
    shares.retain(|path| path.contains("-share-"));
    for given in [vec![&shares[0]], vec![&shares[0], &shares[0]]] {
        let given = given.iter().flat_map(|path| ["--share", path.as_str()]);
        let args: Vec<&str> = ["escrow", "rehearse"].into_iter().chain(given).collect();
        let (why, hint) = told(&sandbox, 4, &args);
        assert!(why.contains("the shares are refused") && hint.contains("each once: --share FILE"), "{why} {hint}");
    }
    sandbox.run(["escrow", "rehearse", "--share", &shares[0], "--share", &shares[1]]).exits(0);
}
