//! From text to policies that are known to be sound.

use super::{LoadError, Set, Source};
use crate::Rules;
use crate::baseline::{GUARDRAILS, PERMITS, SCHEMA};
use crate::lint::{Finding, Position, Severity};
use cedar_policy::{Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::OnceLock;

/// The pinned schema, parsed once.
pub(crate) fn schema() -> Result<&'static Schema, LoadError> {
    static PARSED: OnceLock<Result<Schema, String>> = OnceLock::new();
    let parse = || Schema::from_cedarschema_str(SCHEMA).map(|(schema, _)| schema).map_err(|e| e.to_string());
    PARSED.get_or_init(parse).as_ref().map_err(|e| LoadError::Baseline(e.clone()))
}

/// Exactly as written, without white space around it.
pub(super) fn text_of(policy: &Policy) -> String {
    policy.to_cedar().unwrap_or_default().trim().to_owned()
}

/// Whether types are checked as well as form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Parsed; what annotations name may be of another time.
    Text,
    /// Parsed and named.
    Form,
    /// And validated against the schema.
    Types,
}

/// Parses, names and validates; the policies come sorted by id.
pub(super) fn read(sources: &[Source], rules: &Rules, depth: Depth) -> Result<Vec<Policy>, LoadError> {
    let len: usize = sources.iter().map(|source| source.text.len()).sum();
    if sources.len() > Set::MAX_SOURCES || len > Set::MAX_LEN_BYTES {
        return Err(LoadError::TooLarge);
    }
    let mut findings = Vec::new();
    let mut named: BTreeMap<String, (Policy, &Source)> = BTreeMap::new();
    for source in sources {
        for policy in parse_source(source, &mut findings) {
            match id_of(&policy, source, (depth != Depth::Text).then_some(rules)) {
                Err(finding) => findings.push(finding),
                Ok(id) if named.contains_key(&id) => findings.push(doubled(&id, &policy, source)),
                Ok(id) => drop(named.insert(id.clone(), (policy.new_id(PolicyId::new(id)), source))),
            }
        }
    }
    if named.len() > Set::MAX_POLICIES {
        return Err(LoadError::TooLarge);
    }
    if findings.is_empty() && depth == Depth::Types {
        findings = validate(&named)?;
    }
    findings.retain(|finding| finding.severity == Severity::Error);
    if findings.is_empty() {
        Ok(named.into_values().map(|(policy, _)| policy).collect())
    } else {
        Err(LoadError::Invalid(findings))
    }
}

/// The policies of one source. What is wrong with them goes to `findings`.
pub(crate) fn parse_source(source: &Source, findings: &mut Vec<Finding>) -> Vec<Policy> {
    if let Some(at) = too_long(&source.text) {
        let message = format!(
            "a policy has at most {} bytes, a weight of {MAX_WEIGHT} and {MAX_NESTING} nested brackets",
            Set::MAX_POLICY_BYTES
        );
        findings.push(Finding::error("parse", source, Some(at), message));
        return Vec::new();
    }
    match PolicySet::from_str(&source.text) {
        Ok(parsed) => {
            if let Some(template) = parsed.templates().next() {
                let at = source.text.find(template.to_cedar().trim());
                let message = "templates are not taken: grants are data".to_owned();
                findings.push(Finding::error("template", source, at, message));
            }
            parsed.policies().cloned().collect()
        }
        Err(errors) => {
            findings.extend(errors.iter().map(|error| {
                let at = offset_of(error);
                Finding::error("parse", source, at, error.to_string())
            }));
            Vec::new()
        }
    }
}

/// Brackets nest at most this deep; the parser is recursive.
const MAX_NESTING: usize = 64;

/// A policy weighs at most this much: two for each operator and bracket, one for each dot. Each may be one level of its
/// tree, and Cedar walks trees by recursion; a test holds this to a stack of 8 MiB with Cedar unoptimised.
const MAX_WEIGHT: usize = 128;

/// Where a policy is too long or too deep, if one is. Looks at bytes alone, so that no hostile text reaches the parser;
/// counts from one `;` outside strings and comments to the next, which is at least what a policy takes.
fn too_long(text: &str) -> Option<usize> {
    let (mut start, mut depth, mut weight) = (0, 0_usize, 0_usize);
    let (mut quoted, mut comment, mut escaped) = (false, false, false);
    let bytes = text.as_bytes();
    for (at, byte) in text.bytes().enumerate() {
        if comment {
            comment = byte != b'\n';
        } else if quoted {
            quoted = escaped || byte != b'"';
            escaped = byte == b'\\' && !escaped;
        } else {
            match byte {
                b'"' => quoted = true,
                b'/' => comment = bytes.get(at + 1) == Some(&b'/'),
                b'(' | b'[' | b'{' => (depth, weight) = (depth + 1, weight + 2),
                b')' | b']' | b'}' => depth = depth.saturating_sub(1),
                b'.' => weight += 1,
                b'+' | b'-' | b'*' | b'!' => weight += 2,
                // Both bytes of `&&` and `||` are one operator; `e` as in `else`.
                b'&' | b'|' => weight += 2 * usize::from(bytes.get(at + 1) == Some(&byte)),
                b'e' if bytes.get(at..).is_some_and(|rest| rest.starts_with(b"else")) => weight += 2,
                b';' => (start, weight) = (at + 1, 0),
                _ => {}
            }
        }
        if at >= start + Set::MAX_POLICY_BYTES || depth > MAX_NESTING || weight > MAX_WEIGHT {
            return Some(start);
        }
    }
    None
}

/// The `@id`, when the annotations that steer decisions make sense; if no rules are given, whatever they say.
fn id_of(policy: &Policy, source: &Source, rules: Option<&Rules>) -> Result<String, Finding> {
    let error = |rule, message| Err(Finding::error(rule, source, position_of(policy, source), message));
    // Asked one by one, Cedar parses each key anew.
    let notes: BTreeMap<&str, &str> = policy.annotations().collect();
    let note = |key: &str| notes.get(key).copied();
    let Some(id) = note("id") else {
        return error("id", "every policy has an @id".to_owned());
    };
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if id.is_empty() || id.len() > 100 || !id.bytes().all(word) {
        return error("id", "an @id is 1 to 100 of a-z 0-9 -".to_owned());
    }
    let Some(rules) = rules else { return Ok(id.to_owned()) };
    match note("approval") {
        Some(rule) if !rules.contains_key(rule) => error("approval", format!("there is no approval rule `{rule}`")),
        _ => match note("advice") {
            None | Some("confirm" | "present" | "task" | "root") => Ok(id.to_owned()),
            Some(other) => error("advice", format!("`{other}` is not one of confirm present task root")),
        },
    }
}

fn doubled(id: &str, policy: &Policy, source: &Source) -> Finding {
    let message = match pinned_ids().contains(id) {
        true => {
            format!("`{id}` is a guardrail of the baseline, which is not removed and not replaced: its id is taken")
        }
        false => format!("a second policy `{id}`"),
    };
    Finding::error("id", source, position_of(policy, source), message)
}

/// The ids of the guardrails.
pub(super) fn pinned_ids() -> &'static BTreeSet<String> {
    static IDS: OnceLock<BTreeSet<String>> = OnceLock::new();
    IDS.get_or_init(|| GUARDRAILS.iter().flat_map(|(_, text)| policies_of(text)).map(|(id, _)| id).collect())
}

/// Whether a policy is one of the baseline, word for word.
pub(crate) fn is_baseline(policy: &Policy) -> bool {
    static TEXTS: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    let texts =
        TEXTS.get_or_init(|| GUARDRAILS.iter().chain(PERMITS).flat_map(|(_, text)| policies_of(text)).collect());
    policy.annotation("id").and_then(|id| texts.get(id)).is_some_and(|text| *text == text_of(policy))
}

/// The policies of an embedded file, by id.
fn policies_of(text: &str) -> Vec<(String, String)> {
    let parsed = PolicySet::from_str(text).unwrap_or_default();
    let named = |policy: &Policy| Some((policy.annotation("id")?.to_owned(), text_of(policy)));
    parsed.policies().filter_map(named).collect()
}

/// Strict validation against the pinned schema: errors, and warnings as such.
pub(crate) fn validate(named: &BTreeMap<String, (Policy, &Source)>) -> Result<Vec<Finding>, LoadError> {
    let policies = named.values().map(|(policy, _)| policy.clone());
    let set = PolicySet::from_policies(policies).map_err(|e| LoadError::Baseline(e.to_string()))?;
    let result = Validator::new(schema()?.clone()).validate(&set, ValidationMode::Strict);
    let finding = |id: &PolicyId, severity, at: Option<usize>, message: String| {
        let id: &str = id.as_ref();
        let source = named.get(id).map(|(_, source)| *source);
        let position = source.and_then(|source| Some(Position::of(&source.text, at?)));
        let name = source.map(|source| source.name.clone()).unwrap_or_default();
        Finding { severity, rule: "schema", source: name, position, policy: Some(id.to_owned()), message }
    };
    let errors =
        result.validation_errors().map(|e| finding(e.policy_id(), Severity::Error, offset_of(e), e.to_string()));
    let warnings =
        result.validation_warnings().map(|w| finding(w.policy_id(), Severity::Warning, offset_of(w), w.to_string()));
    let mut findings: Vec<Finding> = errors.chain(warnings).collect();
    // Cedar says it once for every type of principal and resource.
    findings.dedup_by(|b, a| (&a.policy, a.position, a.severity) == (&b.policy, b.position, b.severity));
    Ok(findings)
}

/// The first byte that a diagnostic points at.
fn offset_of(diagnostic: &dyn miette::Diagnostic) -> Option<usize> {
    diagnostic.labels()?.map(|label| label.offset()).min()
}

/// Where a policy begins in its source.
pub(crate) fn position_of(policy: &Policy, source: &Source) -> Option<usize> {
    source.text.find(&text_of(policy))
}

/// Every guardrail of the baseline is there, word for word.
pub(super) fn check_pins(sources: &[Source], policies: &[Policy]) -> Result<(), LoadError> {
    // A guardrail file that is a source of the set as it stands needs no second parse: its policies are in the set.
    let missing = GUARDRAILS.iter().filter(|(_, text)| sources.iter().all(|source| source.text != *text));
    for (name, text) in missing {
        let pinned = PolicySet::from_str(text).map_err(|e| LoadError::Baseline(format!("{name}: {e}")))?;
        for guardrail in pinned.policies() {
            let Some(id) = guardrail.annotation("id") else {
                return Err(LoadError::Baseline(format!("{name}: a guardrail without an id")));
            };
            let at = policies.binary_search_by(|policy| AsRef::<str>::as_ref(policy.id()).cmp(id));
            let found = at.ok().and_then(|at| policies.get(at));
            if found.is_none_or(|policy| text_of(policy) != text_of(guardrail)) {
                return Err(LoadError::Pinned { id: id.to_owned() });
            }
        }
    }
    Ok(())
}
