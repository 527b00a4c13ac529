//! Findings, and where they point.

use policy::{Finding, Set, Severity, Source, lint};

fn found(text: &str) -> Vec<String> {
    let sources = [Source { name: "own.cedar".to_owned(), text: text.to_owned() }];
    let line = |f: &Finding| {
        let severity = if f.severity == Severity::Error { "error" } else { "warning" };
        let at = f.position.map(|p| format!("{}:{}", p.line, p.column)).unwrap_or_default();
        format!("{severity} {} {at}", f.rule)
    };
    lint(&sources).iter().map(line).collect()
}

const NOTES: &str = "@reason(\"because\")\n@owner(\"us\")\n";

#[test]
fn the_baseline_has_no_findings() {
    assert_eq!(lint(&Set::baseline_sources()), []);
}

#[test]
fn missing_annotations_are_warned_of() {
    let text = "@id(\"a\")\npermit (principal, action == Action::\"list\", resource);\n";
    assert_eq!(found(text), ["warning annotation 1:1", "warning annotation 1:1"]);
    assert_eq!(found(&format!("{NOTES}{text}")), [""; 0]);
}

#[test]
fn errors_point_at_the_place() {
    let text = format!(
        "{NOTES}@id(\"a\")\npermit (principal, action == Action::\"list\", resource)\nwhen {{ principal.age > 3 }};"
    );
    assert_eq!(found(&text), ["error schema 5:8"]);
    assert_eq!(found("// é\n@id(\"a\") permit (principal, action, resource) when };"), ["error parse 2:52"]);
    let nameless = format!("{FINE_START}\n{NOTES}permit (principal, action == Action::\"list\", resource);");
    assert_eq!(found(&nameless), ["error id 4:1"]);
}

const FINE_START: &str =
    "@id(\"a\") @reason(\"r\") @owner(\"o\")\npermit (principal, action == Action::\"list\", resource);\n";

#[test]
fn what_a_missing_fact_would_open_is_warned_of() {
    let of = |policy: &str| found(&format!("{NOTES}@id(\"a\")\n{policy}"));
    let edge = ["warning edge 1:1"];
    let optional = ["warning optional 1:1"];
    let none = [""; 0];
    let scope = "principal, action == Action::\"read\", resource is Artifact";
    let member = "principal in Role::\"member\"";
    assert_eq!(of(&format!("forbid ({member}, action == Action::\"read\", resource is Artifact);")), edge);
    assert_eq!(of(&format!("permit ({member}, action == Action::\"read\", resource is Artifact);")), none);
    assert_eq!(of(&format!("forbid ({scope}) when {{ {member} }};")), edge);
    assert_eq!(of(&format!("forbid ({scope}) unless {{ {member} }};")), none);
    assert_eq!(of(&format!("forbid ({scope}) unless {{ !({member}) }};")), edge);
    assert_eq!(of(&format!("permit ({scope}) unless {{ {member} }};")), edge);
    assert_eq!(of(&format!("permit ({scope}) when {{ context.solo && {member} }};")), none);
    assert_eq!(of(&format!("permit ({scope}) when {{ ({member}) == false }};")), edge);
    assert_eq!(of(&format!("permit ({scope}) when {{ if {member} then context.solo else context.task }};")), edge);
    assert_eq!(of(&format!("forbid ({scope}) when {{ resource has owner }};")), optional);
    assert_eq!(of(&format!("forbid ({scope}) unless {{ resource has owner }};")), none);
}

#[test]
fn a_permit_for_every_action_is_warned_of() {
    let text = format!("{NOTES}@id(\"a\")\npermit (principal, action, resource);");
    assert_eq!(found(&text), ["warning action 1:1"]);
}

#[test]
fn findings_read_as_compilers_write_them() {
    let text = "@id(\"a\") permit (principal, action == Action::\"fly\", resource);";
    let first = lint(&[Source { name: "own.cedar".to_owned(), text: text.to_owned() }]).remove(0);
    assert!(first.to_string().starts_with("own.cedar:1:"), "{first}");
}
