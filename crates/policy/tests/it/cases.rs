//! Case files.

use crate::facts::baseline;
use policy::{CaseError, Report, test};

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
