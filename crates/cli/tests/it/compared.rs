//! `diff` and `lineage`, as people use them.

use super::sandbox::Sandbox;
use serde_json::Value;
use std::os::unix::fs::{PermissionsExt as _, symlink};

fn lines(sandbox: &Sandbox, args: &[&str]) -> Vec<Value> {
    let out = sandbox.run(["--format", "jsonl"].iter().chain(args)).exits(0).stdout;
    String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn mode(sandbox: &Sandbox, name: &str, mode: u32) {
    std::fs::set_permissions(sandbox.at(name), std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Two versions of `lab/set` that differ in every way.
fn changed() -> Sandbox {
    let sandbox = Sandbox::solo();
    for (name, bytes) in [("a-gone", "1"), ("b/same", "same"), ("b/size", "12"), ("c-content", "one"), ("d-mode", "x")]
    {
        sandbox.write(&format!("in/{name}"), bytes);
    }
    sandbox.write("in/e-type", "x");
    symlink("one", sandbox.at("in/f-link")).unwrap();
    ["in", "in/b"].iter().for_each(|name| mode(&sandbox, name, 0o755));
    mode(&sandbox, "in/d-mode", 0o644);
    sandbox.run(["put", "in", "lab/set", "--class", "internal"]).exits(0);
    std::fs::remove_file(sandbox.at("in/a-gone")).unwrap();
    sandbox.write("in/b/size", "123");
    sandbox.write("in/c-content", "two");
    mode(&sandbox, "in/d-mode", 0o600);
    std::fs::remove_file(sandbox.at("in/e-type")).unwrap();
    std::fs::create_dir(sandbox.at("in/e-type")).unwrap();
    std::fs::remove_file(sandbox.at("in/f-link")).unwrap();
    symlink("two", sandbox.at("in/f-link")).unwrap();
    sandbox.write("in/g-new", "new");
    sandbox.run(["put", "in", "lab/set"]).exits(0);
    sandbox
}

fn told(items: &[Value]) -> Vec<(&str, &str, Vec<&str>)> {
    items
        .iter()
        .filter(|item| item["kind"] == "diff")
        .map(|item| {
            let differs = item["differs"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
            (item["status"].as_str().unwrap(), item["path"].as_str().unwrap(), differs)
        })
        .collect()
}

#[test]
fn every_kind_of_difference_is_told() {
    let sandbox = changed();
    let items = lines(&sandbox, &["diff", "lab/set@v1", "lab/set@v2"]);
    let expected = [
        ("removed", "a-gone", vec![]),
        ("changed", "b/size", vec!["size", "content"]),
        ("changed", "c-content", vec!["content"]),
        ("changed", "d-mode", vec!["mode"]),
        ("changed", "e-type", vec!["type", "mode"]),
        ("changed", "f-link", vec!["target"]),
        ("added", "g-new", vec![]),
    ];
    assert_eq!(told(&items), expected);
    let summary = items.last().unwrap();
    assert_eq!(summary["kind"], "diff-summary");
    assert_eq!(
        (&summary["added"], &summary["removed"], &summary["changed"], &summary["compared"], &summary["unknown"]),
        (&1.into(), &1.into(), &5.into(), &true.into(), &0.into())
    );
    let content = &items[2];
    assert_ne!(content["old"]["digest"], content["new"]["digest"]);
    assert_eq!(content["old"]["digest"].as_str().map(str::len), Some(64));
    // The other way round.
    let back = lines(&sandbox, &["diff", "lab/set", "lab/set@v1"]);
    assert_eq!(told(&back)[0], ("added", "a-gone", vec![]));
    let text = sandbox.run(["diff", "lab/set@v1", "lab/set@v2"]).exits(0).text();
    for line in [
        "D  a-gone  (1 B)",
        "M  b/size  (size 2 B -> 3 B, content)",
        "M  f-link  (target one -> two)",
        "A  g-new  (3 B)",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(text.contains("lab/set@v1 -> lab/set@v2: 1 added, 1 removed, 5 changed"), "{text}");
    // Only names: what has one size may differ.
    let names = lines(&sandbox, &["diff", "--names-only", "lab/set@v1", "lab/set@v2"]);
    assert_eq!(
        told(&names).iter().map(|(_, path, _)| *path).collect::<Vec<_>>(),
        ["a-gone", "b/size", "d-mode", "e-type", "f-link", "g-new"]
    );
    assert_eq!((&names.last().unwrap()["compared"], &names.last().unwrap()["unknown"]), (&false.into(), &2.into()));
    assert!(names.iter().all(|item| item["old"].get("digest").is_none() && item["new"].get("digest").is_none()));
}

#[test]
fn differences_exit_with_1_only_if_asked_and_pages_go_on() {
    let sandbox = changed();
    let both = ["lab/set@v1", "lab/set@v2"];
    sandbox.run(["diff"].iter().chain(&both)).exits(0);
    sandbox.run(["diff", "--exit-code"].iter().chain(&both)).exits(1);
    let same = sandbox.run(["diff", "--exit-code", "lab/set@v1", "lab/set@v1"]).exits(0).text();
    assert!(same.contains("0 added, 0 removed, 0 changed"), "{same}");
    let whole = lines(&sandbox, &["diff", both[0], both[1]]);
    let (mut paged, mut after) = (Vec::new(), None::<String>);
    loop {
        let mut args = vec!["diff", both[0], both[1], "--limit", "2"];
        args.extend(after.iter().flat_map(|after| ["--after", after]));
        let page = lines(&sandbox, &args);
        let next =
            page.iter().find(|item| item["kind"] == "next").map(|item| item["next"].as_str().unwrap().to_owned());
        paged.extend(page.into_iter().filter(|item| item["kind"] == "diff"));
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(told(&paged), told(&whole));
    let text = sandbox.run(["diff", both[0], both[1], "--limit", "1"]).exits(0).text();
    assert!(text.contains("more: --after a-gone") && text.contains("5 changed"), "{text}");
}

#[test]
fn folders_and_files_inside_are_compared_whatever_stands_beside_them() {
    let sandbox = changed();
    for name in ["sub/x", "sub-one/x", "sub.d/x"] {
        sandbox.write(&format!("more/{name}"), name);
    }
    sandbox.run(["put", "more", "lab/more", "--class", "internal"]).exits(0);
    let of = |old: &str, new: &str| lines(&sandbox, &["diff", old, new]);
    assert_eq!(told(&of("lab/set@v1/b", "lab/set@v2/b")), [("changed", "size", vec!["size", "content"])]);
    assert_eq!(told(&of("lab/set@v1/c-content", "lab/set@v2/c-content")), [("changed", ".", vec!["content"])]);
    // Siblings whose names begin alike are not inside.
    assert_eq!(told(&of("lab/more/sub", "lab/more/sub-one")), [("changed", "x", vec!["size", "content"])]);
    sandbox.run(["diff", "lab/set@v1/none", "lab/set@v2/b"]).exits(3);
    sandbox.run(["diff", "lab/set@v1", "lab/set@v9"]).exits(3);
    sandbox.run(["diff", "lab/set@v1"]).exits(2);
}

#[test]
fn without_the_right_to_read_contents_are_not_compared_and_it_says_so() {
    let sandbox = Sandbox::rehearsal();
    sandbox.write("f", "one");
    for (name, clearance, grant) in [
        ("wanda", "confidential", "lab=writer"),
        ("alice", "internal", "lab=reader"),
        ("mallory", "restricted", "yard=reader"),
    ] {
        sandbox.run(["principal", "add", name, "--clearance", clearance, "--grant", grant]).exits(0);
    }
    sandbox.run(["--as", "wanda", "put", "f", "lab/a", "--class", "confidential"]).exits(0);
    sandbox.write("f", "two");
    sandbox.run(["--as", "wanda", "put", "f", "lab/a"]).exits(0);
    let diff = |who: &str| sandbox.run(["--as", who, "--format", "json", "diff", "lab/a@v1", "lab/a@v2"]);
    let wanda = diff("wanda").exits(0).json();
    assert_eq!((&wanda["changed"], &wanda["compared"]), (&1.into(), &true.into()), "{wanda}");
    let alice = diff("alice").exits(0).json();
    assert_eq!(
        (&alice["changed"], &alice["compared"], &alice["unknown"]),
        (&0.into(), &false.into(), &1.into()),
        "{alice}"
    );
    assert!(alice["why_not"].as_str().unwrap().contains("clearance"), "{alice}");
    let text = sandbox.run(["--as", "alice", "diff", "lab/a@v1", "lab/a@v2"]).exits(0).text();
    assert!(text.contains("contents not compared: lab/a@v1 may not be read"), "{text}");
    // She was given the keys of names, and nothing refused her in the log.
    sandbox.run(["principal", "add", "aud", "--grant", "vault=auditor"]).exits(0);
    let entries =
        sandbox.run(["--as", "aud", "--format", "json", "audit", "query", "--principal", "alice"]).exits(0).json();
    let acts: Vec<_> = entries["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["entry"]["act"].as_str().unwrap().to_owned())
        .collect();
    assert!(acts.len() == 4 && acts.iter().all(|act| act == "release.list"), "{acts:?}");
    diff("mallory").exits(3);
}

#[test]
fn a_tampered_depot_is_found_by_a_comparison() {
    let sandbox = changed();
    for object in sandbox.objects() {
        let mut bytes = std::fs::read(&object).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&object, bytes).unwrap();
    }
    let ended = sandbox.run(["diff", "lab/set@v1", "lab/set@v2"]).exits(7);
    assert!(ended.stdout.is_empty(), "{:?}", ended);
}

#[test]
fn lineage_is_a_tree_for_people_and_a_graph_for_programs() {
    let sandbox = Sandbox::solo();
    sandbox.write("f", "data");
    let put = |to: &str, from: &[&str]| {
        let from = from.iter().flat_map(|source| ["--from", source]);
        sandbox.run(["put", "f", to, "--class", "internal", "--kind", "dataset"].into_iter().chain(from)).exits(0);
    };
    put("lab/raw", &[]);
    put("lab/clean", &["lab/raw"]);
    put("lab/model", &["lab/clean", "lab/raw"]);
    let text = sandbox.run(["lineage", "show", "lab/model"]).exits(0).text();
    let shape: Vec<&str> = text.lines().map(|line| line.split("  dataset").next().unwrap()).collect();
    assert_eq!(shape, ["lab/model@v1", "  lab/clean@v1", "    lab/raw@v1", "  lab/raw@v1  (above)"], "{text}");
    let impact = sandbox.run(["lineage", "impact", "lab/raw"]).exits(0).text();
    assert!(impact.starts_with("lab/raw@v1") && impact.contains("lab/model@v1"), "{impact}");
    assert!(sandbox.run(["lineage", "impact", "lab/model"]).exits(0).text().contains("nothing was made from it"));
    assert!(sandbox.run(["lineage", "show", "lab/raw"]).exits(0).text().contains("put --from"));
    let graph = sandbox.run(["--format", "json", "lineage", "show", "lab/model"]).exits(0).json();
    assert_eq!((graph["nodes"].as_array().unwrap().len(), graph["edges"].as_array().unwrap().len()), (3, 3), "{graph}");
    assert_eq!(graph["edges"][0]["kind"], "from");
    let page = lines(&sandbox, &["lineage", "show", "lab/model", "--limit", "1"]);
    let kinds: Vec<&str> = page.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["lineage", "lineage-edge", "lineage-edge", "next"]);
    sandbox.run(["lineage", "show", "lab/modle"]).exits(3);
    sandbox.run(["lineage", "show", "lab/model/f"]).exits(2);
    for (words, hint) in [
        (&["provenance"][..], "lineage show"),
        (&["downstream"], "lineage impact"),
        (&["compare"], "diff REF REF"),
        (&["lineage", "children"], "lineage impact"),
    ] {
        assert!(sandbox.run(words).exits(2).stderr.contains(hint), "{words:?}");
    }
}
