//! Near names: what somebody may have meant. Only what the same principal may list is looked at.

use crate::output::Failure;
use api::terms::{Code, Name, Reference, Selector};
use api::wire::{ListQuery, Problem};
use client::Client;

/// The most names that are compared.
const MAX_NAMES: u32 = 1_000;

/// Of a failure that something in the reference was not found: which part, and what is there.
pub fn told(client: &Client, reference: &Reference, failure: Failure) -> Failure {
    told_first(client, std::slice::from_ref(reference), failure)
}

/// The same for several references: of the one that the failure names.
pub fn told_first(client: &Client, references: &[Reference], failure: Failure) -> Failure {
    match failure {
        Failure::Problem(problem) if problem.code == Code::NotFound && problem.missing.is_some() => {
            let named = |reference: &&Reference| problem.missing == Some(reference.without_path().to_string());
            let better = references.iter().find(named).and_then(|reference| missing(client, reference));
            Failure::Problem(better.map(Box::new).unwrap_or(problem))
        }
        other => other,
    }
}

/// The same for a workspace.
pub fn told_workspace(client: &Client, workspace: &Name, failure: Failure) -> Failure {
    match failure {
        Failure::Problem(problem) if problem.code == Code::NotFound => {
            let near = names(client, None).and_then(|names| among(workspace.as_str(), &names));
            let hint = near.as_ref().map_or_else(|| "strongroom ls".to_owned(), |near| format!("strongroom ls {near}"));
            not_found(workspace.as_str(), near, hint).into()
        }
        other => other,
    }
}

/// The same for the principal of a question.
pub fn told_principal(client: &Client, principal: &Name, failure: Failure) -> Failure {
    match failure {
        Failure::Problem(problem) if problem.code == Code::NotFound => {
            let Ok(items) = client.principals() else { return Failure::Problem(problem) };
            let names: Vec<String> = items.into_iter().map(|item| item.name).collect();
            if names.iter().any(|name| name == principal.as_str()) {
                return Failure::Problem(problem);
            }
            let near = among(principal.as_str(), &names);
            not_found(principal.as_str(), near, "strongroom principal ls".to_owned()).into()
        }
        other => other,
    }
}

/// What of the reference is not there; none if all of it is.
fn missing(client: &Client, reference: &Reference) -> Option<Problem> {
    if client.show(&reference.without_path().to_string()).is_ok() {
        return None;
    }
    let Reference { workspace, artifact, .. } = reference;
    let workspaces = names(client, None)?;
    if !workspaces.iter().any(|name| name == workspace.as_str()) {
        let near = among(workspace.as_str(), &workspaces).map(|name| format!("{name}/{artifact}"));
        return Some(not_found(&reference.to_string(), near, "strongroom ls".to_owned()));
    }
    let artifacts = names(client, Some(workspace.clone()))?;
    let path = format!("{workspace}/{artifact}");
    if !artifacts.iter().any(|name| name == artifact.as_str()) {
        let near = among(artifact.as_str(), &artifacts).map(|name| format!("{workspace}/{name}"));
        return Some(not_found(&reference.to_string(), near, format!("strongroom ls {workspace}")));
    }
    let (versions, _) = client.history(&path, None, 100).ok()?;
    let latest = versions.first()?;
    if matches!(reference.selector, Selector::Latest) {
        latest.removed.as_ref()?;
        let why = format!("every version of `{path}` was removed");
        let gone = Problem::new(Code::Gone, "nothing is there", why);
        return Some(gone.with_try(format!("strongroom history {path}, then strongroom undelete {path}@vN")));
    }
    let aliases: Vec<String> = versions.iter().flat_map(|version| version.aliases.clone()).collect();
    let near = match &reference.selector {
        Selector::Alias(alias) => among(alias.as_str(), &aliases).map(|alias| format!("{path}@{alias}")),
        _ => Some(format!("{path}@v{}", latest.number)),
    };
    Some(not_found(&reference.to_string(), near, format!("strongroom history {path}")))
}

fn not_found(what: &str, near: Option<String>, hint: String) -> Problem {
    let why = match near {
        Some(near) => format!("`{what}` was not found; did you mean `{near}`?"),
        None => format!("`{what}` was not found"),
    };
    Problem { missing: Some(what.to_owned()), ..Problem::new(Code::NotFound, "not found", why).with_try(hint) }
}

/// Workspaces, or artifacts of one, that may be seen.
fn names(client: &Client, workspace: Option<Name>) -> Option<Vec<String>> {
    let page = client.names(ListQuery { workspace, after: None, limit: MAX_NAMES }).ok()?;
    Some(page.items.into_iter().map(|item| item.name).collect())
}

/// The name that was meant, if one is near enough: few letters differ, or it begins so.
pub fn among(word: &str, names: &[String]) -> Option<String> {
    let limit = match word.chars().count() {
        0..=2 => 0,
        3..=5 => 1,
        6..=9 => 2,
        _ => 3,
    };
    let scored = names.iter().map(|name| (distance(word, name), name));
    let nearest = scored.min().filter(|(distance, _)| *distance <= limit).map(|(_, name)| name);
    nearest.or_else(|| names.iter().find(|name| word.len() > 2 && name.starts_with(word))).cloned()
}

/// Whether one may have been meant by the other.
pub fn is_near(word: &str, name: &str) -> bool {
    among(word, &[name.to_owned()]).is_some()
}

/// How many letters must be left out, put in, replaced or swapped with their neighbour.
fn distance(one: &str, other: &str) -> usize {
    let one: Vec<char> = one.to_lowercase().chars().collect();
    let other: Vec<char> = other.to_lowercase().chars().collect();
    let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let replaced = at(&last, j) + usize::from(a != b);
            let mut least = replaced.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && one.get(i - 1) == Some(b) && other.get(j - 1) == Some(a);
            if swapped {
                least = least.min(at(&before, j - 1) + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    at(&last, other.len())
}

#[cfg(test)]
mod tests {
    use super::{among, distance};

    #[test]
    fn letters_left_out_put_in_replaced_and_swapped_count_one_each() {
        for (one, other, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("records", "recrds", 1),
            ("clinic", "clinci", 1),
            ("abc", "xyz", 3),
            ("Ab", "ab", 0),
        ] {
            assert_eq!((distance(one, other), distance(other, one)), (expected, expected), "{one} {other}");
        }
    }

    #[test]
    fn a_near_name_is_told_and_a_far_one_is_not() {
        let names: Vec<String> = ["records", "network", "lab"].map(str::to_owned).to_vec();
        for (word, meant) in [
            ("recods", Some("records")),
            ("lib", Some("lab")),
            ("netw", Some("network")),
            ("table", None),
            ("xx", None),
        ] {
            assert_eq!(among(word, &names).as_deref(), meant, "{word}");
        }
    }
}
