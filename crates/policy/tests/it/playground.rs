//! The case files of `examples/policies/`: each organisation's rules are clean, and its cases reach them.

use crate::facts::baseline;
use api::terms::Timestamp;
use policy::{Set, Source, lint, test};
use std::path::{Path, PathBuf};

/// 2026-11-18.
const TODAY: Timestamp = Timestamp::from_millis(1_795_000_000_000);

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/policies")
}

/// The folders, with the baseline and the policies of each.
fn organisations() -> Vec<(String, Vec<Source>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(examples()).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        let mut sources = Set::baseline_sources();
        for file in std::fs::read_dir(&path).unwrap() {
            let file = file.unwrap().path();
            if file.extension().is_some_and(|extension| extension == "cedar") {
                let name = file.file_name().unwrap().to_string_lossy().into_owned();
                sources.push(Source { name, text: std::fs::read_to_string(&file).unwrap() });
            }
        }
        found.push((path.file_name().unwrap().to_string_lossy().into_owned(), sources));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

#[test]
fn the_playground_is_clean_and_its_cases_reach_its_policies() {
    let organisations = organisations();
    let names: Vec<&str> = organisations.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["hospital", "model-lab", "public-data"]);
    for (name, sources) in organisations {
        assert_eq!(lint(&sources, TODAY), [], "{name}");
        let set = Set::load(&sources).unwrap();
        let cases = std::fs::read_to_string(examples().join(&name).join("cases.json")).unwrap();
        let report = test(&set, &cases).unwrap();
        assert!(report.passed(), "{name}: {:#?}", report.failures);
        let own: Vec<_> = report.coverage.policies.iter().filter(|policy| policy.own).collect();
        assert!(own.len() >= 4 && report.coverage.percent >= 95, "{name}: {} %: {own:#?}", report.coverage.percent);
        // Each is there for something: without it, a case goes otherwise.
        let bare = test(baseline(), &cases).unwrap();
        assert!(!bare.passed(), "{name}: the baseline alone would do");
        let readme = std::fs::read_to_string(examples().join(&name).join("README.md")).unwrap();
        assert!(readme.contains(&format!("policy apply examples/policies/{name}")), "{name}");
    }
}
