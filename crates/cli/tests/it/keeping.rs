//! `rm`, `undelete`, `retention` and `hold`, as people use them.

use super::sandbox::Sandbox;

/// Three versions of `clinic/scans`, and a model that was made from the first.
fn clinic() -> Sandbox {
    let sandbox = Sandbox::solo();
    for n in 1..=3 {
        sandbox.write("f", format!("scan {n}"));
        sandbox.run(["put", "f", "clinic/scans", "--class", "internal"]).exits(0);
    }
    sandbox.run(["put", "f", "clinic/model", "--class", "internal", "--from", "clinic/scans@v1"]).exits(0);
    sandbox
}

#[test]
fn a_removed_version_is_gone_and_comes_back() {
    let sandbox = clinic();
    let bare = sandbox.run(["rm", "clinic/scans"]).exits(2).stderr;
    assert!(bare.contains("no version is named") && bare.contains("strongroom rm clinic/scans@vN"), "{bare}");
    let would = sandbox.run(["rm", "clinic/scans@v1", "-n"]).exits(0).text();
    assert!(
        would.contains("would remove clinic/scans@v1") && would.contains("made from it: clinic/model@v1"),
        "{would}"
    );
    assert_eq!(sandbox.run(["cat", "clinic/scans@v1"]).exits(0).stdout, b"scan 1");
    let said = sandbox.run(["rm", "clinic/scans@v1", "--reason", "withdrawn"]).exits(0).text();
    assert!(said.contains("removed clinic/scans@v1") && said.contains("strongroom undelete clinic/scans@v1"), "{said}");
    for args in [&["cat", "clinic/scans@v1"][..], &["get", "clinic/scans@v1", "out"], &["ls", "clinic/scans@v1/"]] {
        let refused = sandbox.run(args).exits(10).stderr;
        assert!(refused.contains("was removed") && refused.contains("strongroom undelete"), "{args:?} {refused}");
    }
    assert!(sandbox.run(["history", "clinic/scans"]).exits(0).text().contains("removed"));
    assert!(sandbox.run(["show", "clinic/scans@v1"]).exits(0).text().contains("its key is destroyed after"));
    // What is there is still whole.
    sandbox.run(["verify", "--all", "--state"]).exits(0);
    sandbox.run(["undelete", "clinic/scans@v1", "-n"]).exits(0);
    sandbox.run(["cat", "clinic/scans@v1"]).exits(10);
    assert!(sandbox.run(["undelete", "clinic/scans@v1"]).exits(0).text().contains("is restored"));
    assert_eq!(sandbox.run(["cat", "clinic/scans@v1"]).exits(0).stdout, b"scan 1");
    let done = sandbox.run(["who-did", "clinic/scans"]).exits(0).text();
    assert!(done.contains("version.remove") && done.contains("version.restore"), "{done}");
}

#[test]
fn the_latest_version_is_the_newest_that_is_there() {
    let sandbox = clinic();
    sandbox.run(["rm", "clinic/scans@v3"]).exits(0);
    assert_eq!(sandbox.run(["cat", "clinic/scans"]).exits(0).stdout, b"scan 2");
    sandbox.write("f", "scan 4");
    let put = sandbox.run(["put", "f", "clinic/scans", "--format", "json"]).exits(0).json();
    assert_eq!(put["version"], "clinic/scans@v4", "no number is used twice");
    let all = sandbox.run(["rm", "clinic/scans", "--all-versions", "--format", "json"]).exits(0).json();
    assert_eq!((all["kind"].as_str(), all["changed"].as_u64()), (Some("removal"), Some(3)));
    let gone = sandbox.run(["cat", "clinic/scans"]).exits(10).stderr;
    assert!(gone.contains("every version of `clinic/scans` was removed"), "{gone}");
    let history = sandbox.run(["history", "clinic/scans"]).exits(0).text();
    assert!(gone.contains("strongroom history clinic/scans, then") && history.contains("removed"), "{gone}");
    assert!(sandbox.run(["ls", "clinic"]).exits(0).text().contains("removed"));
    sandbox.run(["undelete", "clinic/scans@v2"]).exits(0);
    assert_eq!(sandbox.run(["cat", "clinic/scans"]).exits(0).stdout, b"scan 2");
}

#[test]
fn a_hold_keeps_and_a_rule_removes_what_nothing_keeps() {
    let sandbox = clinic();
    let reason = ["--reason", "a letter of the court"];
    assert_eq!(sandbox.run(["hold", "set", "clinic/scans@v1", "case-7"]).exits(2).stdout, b"");
    sandbox.run(["hold", "set", "clinic/scans@v1", "case-7", "-n"].iter().chain(&reason)).exits(0);
    assert!(sandbox.run(["hold", "ls", "clinic"]).exits(0).text().contains("no legal hold"));
    let set = sandbox.run(["hold", "set", "clinic/scans@v1", "case-7"].iter().chain(&reason)).exits(0).text();
    assert!(set.contains("clinic/scans@v1 is under the hold case-7"), "{set}");
    let refused = sandbox.run(["rm", "clinic/scans@v1"]).exits(5).stderr;
    assert!(refused.contains("legal hold"), "{refused}");
    let taken = sandbox.run(["hold", "set", "clinic/scans@v2", "case-7"].iter().chain(&reason)).exits(8).stderr;
    assert!(taken.contains("try: strongroom hold ls clinic/scans"), "{taken}");
    assert!(sandbox.run(["hold", "ls", "clinic/scans"]).exits(0).text().contains("case-7"));
    assert!(sandbox.run(["show", "clinic/scans@v1"]).exits(0).text().contains("legal holds  case-7"));
    assert!(!sandbox.run(["show", "clinic/scans@v2"]).exits(0).text().contains("legal holds"));
    assert!(sandbox.run(["history", "clinic/scans"]).exits(0).text().contains(" held\n"));

    let would = sandbox.run(["retention", "set", "clinic/scans", "--keep-last", "1", "-n"]).exits(0).text();
    assert!(would.contains("goes with the next run") && would.contains("stays: legal hold"), "{would}");
    assert!(sandbox.run(["retention", "report", "clinic/scans"]).exits(0).text().contains("keeps everything"));
    sandbox.run(["retention", "set", "clinic/scans", "--keep-last", "1"]).exits(0);
    sandbox.run(["jobs", "run", "retention"]).exits(0);
    for told in [vec!["who-did", "clinic/scans"], vec!["audit", "query", "--ref", "clinic/scans"]] {
        let text = sandbox.run(&told).exits(0).text();
        let row = |act: &str| text.lines().find(|line| line.contains(act)).unwrap_or_else(|| panic!("{text}"));
        assert!(row("retention.remove").contains("(system)"), "{text}");
        assert!(row("retention.set").contains("owner") && row("hold.set").contains("owner"), "{text}");
    }
    let report = sandbox.run(["retention", "report", "clinic", "--format", "json"]).exits(0).json();
    let scans = report["items"].as_array().unwrap().iter().find(|item| item["artifact"] == "clinic/scans").unwrap();
    assert_eq!((scans["kept"].as_u64(), scans["removed"].as_u64()), (Some(2), Some(1)), "{report}");
    sandbox.run(["cat", "clinic/scans@v2"]).exits(10);
    sandbox.run(["cat", "clinic/scans@v1"]).exits(0);
    sandbox.run(["hold", "lift", "clinic/scans", "case-7"].iter().chain(&reason)).exits(0);
    sandbox.run(["retention", "set", "clinic/scans", "--keep-everything"]).exits(0);
    sandbox.run(["retention", "set", "clinic/scans"]).exits(2);
    sandbox.run(["undelete", "clinic/scans@v2"]).exits(0);
    sandbox.run(["audit", "verify", "--replay"]).exits(0);
}

#[test]
fn an_alias_is_taken_away_before_its_version() {
    let sandbox = clinic();
    sandbox.run(["alias", "set", "clinic/scans@v2", "golden"]).exits(0);
    let refused = sandbox.run(["rm", "clinic/scans@v2"]).exits(8).stderr;
    let hint =
        refused.lines().find_map(|line| line.strip_prefix("  try: strongroom ")).unwrap_or_else(|| panic!("{refused}"));
    sandbox.run(hint.split(' ')).exits(0);
    sandbox.run(["rm", "clinic/scans@v2"]).exits(0);
}
