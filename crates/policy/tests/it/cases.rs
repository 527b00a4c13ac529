//! Case files.

use crate::facts::baseline;
use policy::{CaseError, Report, Set, Source, test};

const EXAMPLES: &[(&str, &str)] = &[
    ("solo.json", include_str!("../../../../examples/policies/solo.json")),
    ("rehearsal.json", include_str!("../../../../examples/policies/rehearsal.json")),
];

#[test]
fn the_examples_pass() {
    for (name, text) in EXAMPLES {
        let report = test(baseline(), text).unwrap();
        assert!(report.passed() && report.cases >= 5, "{name}: {:#?}", report.failures);
    }
}

fn with_case(case: &str) -> String {
    format!(
        r#"{{"principals": {{"ann": {{"clearance": "internal", "roles": {{"lab": ["reader"]}}}}}},
        "artifacts": {{"net": {{"workspace": "lab", "class": "confidential"}}}},
        "cases": [{{"name": "c", "principal": "ann", "action": "read", "resource": {{"artifact": "net"}}, {case}}}]}}"#
    )
}

#[test]
fn a_case_that_goes_otherwise_fails_with_its_reasons() {
    let report = test(baseline(), &with_case(r#""context": {"presence_secs": 5}, "expect": "allow""#)).unwrap();
    let failure = &report.failures[0];
    assert_eq!(failure.expected, "allow");
    assert_eq!(failure.got, "deny by clearance");
    assert_eq!(failure.why, ["clearance: your clearance is internal, the artifact is confidential"]);
    for wrong in [
        r#""expect": "deny", "policies": []"#,
        r#""expect": "deny", "policies": ["clearance"]"#,
        r#""expect": "deny", "visible": false"#,
        r#""expect": "deny", "advice": ["present"]"#,
    ] {
        assert!(!test(baseline(), &with_case(wrong)).unwrap().passed(), "{wrong}");
    }
    let right =
        r#""expect": "deny", "policies": ["presence-confidential", "clearance"], "visible": true, "advice": []"#;
    assert!(test(baseline(), &with_case(right)).unwrap().passed());
}

#[test]
fn what_is_no_case_file_is_refused() {
    let form = |text: &str| matches!(test(baseline(), text), Err(CaseError::Form { .. }));
    for bad in ["", "[]", "{}", "{\"cases\": []} x", &"[".repeat(100_000)] {
        assert!(form(bad), "{bad:.20}");
    }
    assert!(form(&with_case(r#""expect": "maybe""#)));
    assert!(form(&with_case(r#""expect": "deny", "polices": []"#)));
    let unknown = with_case(r#""expect": "deny""#).replace("\"artifact\": \"net\"", "\"artifact\": \"nat\"");
    assert!(matches!(test(baseline(), &unknown), Err(CaseError::Unknown { .. })));
    let big = " ".repeat(Report::MAX_LEN_BYTES + 1);
    assert!(matches!(test(baseline(), &big), Err(CaseError::TooLarge)));
}

#[test]
fn coverage_counts_what_cases_reached() {
    let own = "@id(\"own-read\") permit (principal in Role::\"member\", action == Action::\"read\", resource is Artifact)
        when { resource.class <= 1 && context.task } unless { resource.quarantined };
        @id(\"own-alias\") forbid (principal, action == Action::\"alias\", resource is Artifact) when { context.solo };";
    let mut sources = Set::baseline_sources();
    sources.push(Source { name: "own".to_owned(), text: own.to_owned() });
    let set = Set::load(&sources).unwrap();
    let cases = |more: &str| {
        format!(
            r#"{{"principals": {{"ann": {{"clearance": "internal", "roles": {{"lab": ["member"]}}}}}},
            "artifacts": {{"net": {{"workspace": "lab", "class": "internal"}}, "sick": {{"workspace": "lab", "class": "confidential", "quarantined": true}}}},
            "cases": [{{"name": "a", "principal": "ann", "action": "read", "resource": {{"artifact": "net"}}, "context": {{"task": true}}, "expect": "allow"}}{more}]}}"#
        )
    };
    let report = test(&set, &cases("")).unwrap();
    let own =
        |report: &Report| report.coverage.policies.iter().filter(|policy| policy.own).cloned().collect::<Vec<_>>();
    let [alias, read] = &own(&report)[..] else { panic!("{report:?}") };
    assert_eq!(
        (alias.policy.as_str(), alias.determined, alias.conditions[0].held + alias.conditions[0].failed),
        ("own-alias", 0, 0)
    );
    let seen = |covered: &policy::Covered| {
        covered.conditions.iter().map(|seen| (seen.condition.clone(), seen.held, seen.failed)).collect::<Vec<_>>()
    };
    let wanted = [("resource.class <= 1", 1, 0), ("context.task", 1, 0), ("resource.quarantined", 0, 1)];
    assert_eq!(seen(read), wanted.map(|(text, held, failed)| (text.to_owned(), held, failed)));
    // Four of ten: one of two policies, three of eight sides of conditions.
    assert_eq!(report.coverage.percent, 40);
    let more = r#", {"name": "b", "principal": "ann", "action": "read", "resource": {"artifact": "sick"}, "expect": "deny"},
        {"name": "c", "principal": "ann", "action": "alias", "resource": {"artifact": "net"}, "context": {"mode": "solo"}, "expect": "deny"}"#;
    let report = test(&set, &cases(more)).unwrap();
    assert_eq!((report.cases, report.failures.len()), (3, 0), "{report:?}");
    assert_eq!(report.coverage.percent, 90, "all but `context.solo` being false: {:?}", own(&report));
    assert_eq!(report.answers[1], ("b".to_owned(), "deny by clearance presence-confidential quarantine".to_owned()));
    let bare = test(baseline(), &cases("")).unwrap();
    assert!(bare.coverage.percent > 0 && bare.coverage.percent < 50, "of the baseline, if there are no own policies");
}

#[test]
fn what_changes_between_two_sets_is_told_by_id() {
    let with = |text: &str| {
        let mut sources = Set::baseline_sources();
        sources.push(Source { name: "own".to_owned(), text: text.to_owned() });
        Set::load(&sources).unwrap()
    };
    let scope = "permit (principal, action == Action::\"read\", resource is Artifact)";
    let before = with(&format!("@id(\"a\") {scope}; @id(\"b\") {scope}; @id(\"c\") {scope};"));
    let after = with(&format!("@id(\"b\") {scope} when {{ context.solo }};\n@id(\"c\") {scope}; @id(\"d\") {scope};"));
    let changes = before.changes(&after);
    assert_eq!(
        (changes.added, changes.removed, changes.changed),
        (vec!["d".into()], vec!["a".into()], vec!["b".into()])
    );
}
