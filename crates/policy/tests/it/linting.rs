//! Findings, and where they point.

use api::terms::Timestamp;
use policy::{Finding, Set, Severity, Source, lint};

/// 2026-11-18.
const TODAY: Timestamp = Timestamp::from_millis(1_795_000_000_000);

fn found(text: &str) -> Vec<String> {
    let sources = [Source { name: "own.cedar".to_owned(), text: text.to_owned() }];
    let line = |f: &Finding| {
        let severity = if f.severity == Severity::Error { "error" } else { "warning" };
        let at = f.position.map(|p| format!("{}:{}", p.line, p.column)).unwrap_or_default();
        format!("{severity} {} {at}", f.rule)
    };
    lint(&sources, TODAY).iter().map(line).collect()
}

const NOTES: &str = "@reason(\"because\") @control(\"C-1\")\n@owner(\"us\") @review_by(\"2099-01-31\")\n";

#[test]
fn the_baseline_has_no_findings() {
    assert_eq!(lint(&Set::baseline_sources(), TODAY), []);
}

#[test]
fn missing_annotations_are_warned_of() {
    let text = "@id(\"a\")\npermit (principal, action == Action::\"list\", resource);\n";
    assert_eq!(found(text), ["warning annotation 1:1"; 3]);
    let forbid = "@id(\"a\")\nforbid (principal, action == Action::\"list\", resource) when { context.solo };\n";
    assert_eq!(found(forbid), ["warning annotation 1:1"; 4], "a forbid names its control too");
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

const FINE_START: &str = "@id(\"a\") @reason(\"r\") @owner(\"o\") @review_by(\"2099-01-31\")\npermit (principal, action == Action::\"list\", resource);\n";

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
    let first = lint(&[Source { name: "own.cedar".to_owned(), text: text.to_owned() }], TODAY).remove(0);
    assert!(first.to_string().starts_with("own.cedar:1:"), "{first}");
}

/// What lint says of policies beside the baseline: the rules.
fn rules(policies: &[&str]) -> Vec<String> {
    let text: String =
        policies.iter().enumerate().map(|(n, policy)| format!("@id(\"p{n}\") {NOTES}{policy}\n")).collect();
    let mut sources = Set::baseline_sources();
    sources.push(Source { name: "own.cedar".to_owned(), text });
    let told = |f: Finding| {
        assert!(!f.why().is_empty() && !f.mend().is_empty(), "{f:?}");
        assert!(f.source == "own.cedar" && f.position.is_some(), "{f:?}");
        format!("{} {}", f.policy.unwrap_or_default(), f.rule)
    };
    lint(&sources, TODAY).into_iter().map(told).collect()
}

const READ: &str = "action == Action::\"read\", resource is Artifact";
const READER: &str = "principal in Role::\"reader\"";

#[test]
fn what_never_matches_is_unused() {
    for (condition, rule) in [
        // Found by types, by Cedar.
        ("when { resource is Vault }", "p0 unused"),
        // Found by trying.
        ("when { resource.class > 1 && resource.class < 2 }", "p0 unused"),
        (
            "when { principal.clearance >= resource.class } unless { principal.clearance > 0 || resource.class == 0 }",
            "p0 unused",
        ),
        ("when { resource.env == \"dev\" && resource.env == \"prod\" }", "p0 unused"),
        ("when { resource.owner == \"\" && resource.owner == \"x\" }", "p0 unused"),
        ("unless { principal.roles.contains(\"reader\") }", "p0 unused"),
    ] {
        let policy = format!("permit ({READER}, {READ}) {condition};");
        assert_eq!(rules(&[&policy]), [rule], "{condition}");
    }
    for condition in [
        "when { resource.class > 1 && resource.class < 3 && context.task }",
        "when { resource.owner != \"\" && resource.owner != \"x\" && context.own }",
        "when { resource.residency.containsAll([\"eu\", \"us\"]) && resource.residency.contains(context.region) && context.own }",
        "when { context.mfa.age < duration(\"1h\") && context.mfa.age > duration(\"2h\") && context.own }",
    ] {
        let policy = format!("permit (principal in Role::\"auditor\", {READ}) {condition};");
        assert_eq!(rules(&[&policy]), [""; 0], "{condition}");
    }
}

#[test]
fn a_permit_that_another_implies_is_shadowed() {
    let task = format!("permit ({READER}, {READ}) when {{ context.task }};");
    assert_eq!(rules(&[&task]), ["p0 shadowed"], "by reader-read");
    let writers = format!("permit (principal in Role::\"writer\", {READ});");
    assert_eq!(rules(&[&writers]), ["p0 shadowed"], "a writer is a reader");
    let member = "principal in Role::\"member\"";
    let (wide, narrow) = (
        format!("permit ({member}, {READ}) when {{ resource.class < 2 && context.own }};"),
        format!("permit ({member}, {READ}) when {{ resource.class == 0 && context.own && context.task }};"),
    );
    assert_eq!(rules(&[&wide, &narrow]), ["p1 shadowed"]);
    assert_eq!(rules(&[&wide, &wide]), ["p1 shadowed"], "the first of two stays");
    let place = "11111111111111111111111111111111";
    let placed = format!(
        "permit ({member}, action == Action::\"read\", resource is Artifact in Workspace::\"{place}\") when {{ context.own && resource.class == 1 }};"
    );
    assert_eq!(rules(&[&wide, &placed]), ["p1 shadowed"]);
    // Neither implies the other.
    let other = format!("permit ({member}, {READ}) when {{ resource.class < 3 && context.task }};");
    assert_eq!(rules(&[&wide, &other]), [""; 0]);
    let both = format!(
        "permit ({member}, action in [Action::\"read\", Action::\"alias\"], resource is Artifact) when {{ context.own && resource.class == 0 }};"
    );
    assert_eq!(rules(&[&wide, &both]), [""; 0], "it also permits another act");
}

#[test]
fn a_permit_that_is_always_forbidden_is_told() {
    let member = "principal in Role::\"member\"";
    let public = format!("permit ({member}, {READ}) when {{ resource.class == 0 && context.solo }};");
    let never = format!("forbid (principal, {READ});");
    assert_eq!(rules(&[&never, &public]), ["p1 forbidden"]);
    let some = format!("forbid (principal, {READ}) when {{ resource.class <= 1 }};");
    assert_eq!(rules(&[&some, &public]), ["p1 forbidden"]);
    let fewer = format!("forbid (principal, {READ}) when {{ resource.class <= 1 && context.own }};");
    assert_eq!(rules(&[&fewer, &public]), [""; 0]);
    // A guardrail: custodians open no data outside solo.
    let custodian = format!("permit (principal in Role::\"custodian\", {READ}) unless {{ context.solo }};");
    assert_eq!(rules(&[&custodian]), ["p0 forbidden"]);
    let rogue = format!("permit ({member}, {READ}) unless {{ principal.active }};");
    assert_eq!(rules(&[&rogue]), ["p0 forbidden"]);
}

#[test]
fn words_that_no_fact_has_are_told() {
    for (condition, count) in [
        ("resource.env == \"production\" || context.solo", 1),
        ("\"models\" != resource.kind && context.own", 1),
        ("principal.roles.containsAny([\"admin\", \"root\"]) || context.solo", 2),
        ("context.approved.contains(\"restricted-exports\") || context.own", 1),
        ("context.auth == \"password\" || context.own", 1),
        ("resource.class >= 4 || context.own", 1),
        ("resource.env == \"prod\" && resource.class == 3 && context.own", 0),
        ("resource.owner == \"production\" && context.own", 0),
    ] {
        let policy = format!("permit (principal in Role::\"member\", {READ}) when {{ {condition} }};");
        assert_eq!(rules(&[&policy]), vec!["p0 word"; count], "{condition}");
    }
}

#[test]
fn what_may_err_is_told_and_what_cannot_is_proven() {
    for (condition, errs) in [
        ("principal.clearance + 1 > resource.class", false),
        ("principal.clearance * 4611686018427387904 > 0", true),
        ("9223372036854775807 - principal.clearance * 3 > 0 - resource.class", false),
        ("9223372036854775807 + resource.class > 3", true),
        ("context.now.toTime() > duration(\"9h\")", false),
        ("context.now.offset(duration(\"-30d\")) > datetime(\"2026-01-01\")", false),
        ("context.now.durationSince(datetime(\"2026-01-01\")) < duration(\"8760h\")", false),
        ("context.mfa.age.toMinutes() + 60 < 120", false),
        ("context.mfa.age.toMilliseconds() + 1 < 3600000", true),
        ("context.now.offset(context.mfa.age) > datetime(\"2026-01-01\")", true),
        (
            "principal == User::\"11111111111111111111111111111111\" && User::\"11111111111111111111111111111111\".active",
            true,
        ),
        ("context.region like \"eu-*\" && context.mfa.age <= duration(\"15m\")", false),
        ("(if context.own then principal.clearance else 9223372036854775807) + 1 > 1", true),
    ] {
        let policy = format!("permit (principal in Role::\"member\", {READ}) when {{ context.own && {condition} }};");
        assert_eq!(rules(&[&policy]), vec!["p0 errs"; errs.into()], "{condition}");
    }
}

#[test]
fn a_review_that_is_past_due_is_told() {
    let of = |date: &str| {
        let text = format!(
            "@id(\"a\") @reason(\"r\") @owner(\"o\") @review_by(\"{date}\")\npermit (principal, action == Action::\"list\", resource);"
        );
        found(&text)
    };
    assert_eq!(of("2026-11-18"), [""; 0]);
    assert_eq!(of("2026-11-17"), ["warning review 1:1"]);
    for bad in ["soon", "2026-1-18", "2027/01/31"] {
        assert_eq!(of(bad), ["warning review 1:1"], "{bad}");
    }
}

#[test]
fn a_guardrail_is_not_replaced() {
    let text = "@id(\"suspended\") forbid (principal, action, resource) when { context.task };";
    let mut sources = Set::baseline_sources();
    sources.push(Source { name: "own.cedar".to_owned(), text: text.to_owned() });
    let refused = Set::load(&sources).unwrap_err().to_string();
    assert!(refused.contains("`suspended` is a guardrail of the baseline, which is not removed"), "{refused}");
}
