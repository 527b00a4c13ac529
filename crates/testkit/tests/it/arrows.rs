//! The arrows of ARCHITECTURE.md: which crate may use which, over `cargo metadata`.

use super::metadata;
use cargo_metadata::DependencyKind;
use std::collections::BTreeSet;

const ALLOWED: &[(&str, &[&str])] = &[
    ("seal", &[]),
    ("log", &[]),
    ("api", &[]),
    ("testkit", &[]),
    ("policy", &["api"]),
    ("depot", &["seal"]),
    ("pkcs11", &[]),
    ("aws-kms", &[]),
    ("keeper", &["policy", "log", "seal", "api", "pkcs11", "aws-kms"]),
    ("client", &["depot", "seal", "log", "api", "keeper"]),
    ("cli", &["client", "api"]),
];

/// Crates that must stay pure: none of these below them, at any depth, in normal dependencies.
const PURE: &[&str] = &["seal", "log", "policy", "api"];
const IMPURE: &[&str] = &["tokio", "hyper", "reqwest", "rusqlite", "tokio-postgres", "object_store", "axum"];

#[test]
fn only_the_drawn_arrows_exist() {
    let metadata = metadata();
    let members = metadata.workspace_packages();
    let mut seen = BTreeSet::new();
    for package in &members {
        let name = package.name.strip_prefix("strongroom-").expect("our crates are named strongroom-*");
        let (_, allowed) =
            ALLOWED.iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("no arrows drawn for {name}"));
        seen.insert(name.to_owned());
        for dependency in package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal) {
            if let Some(target) = dependency.name.strip_prefix("strongroom-") {
                assert!(allowed.contains(&target), "{name} -> {target} is not drawn");
            }
        }
    }
    for (name, _) in ALLOWED {
        assert!(seen.contains(*name), "the arrows name {name}, which does not exist");
    }
}

#[test]
fn pure_crates_reach_no_runtime_network_or_database() {
    let metadata = metadata();
    let resolve = metadata.resolve.as_ref().expect("a resolved graph");
    for name in PURE {
        let start = metadata
            .workspace_packages()
            .iter()
            .find(|p| p.name.as_str() == format!("strongroom-{name}"))
            .map(|p| p.id.clone())
            .expect("a member");
        let mut open = vec![start];
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            if !seen.insert(id.clone()) {
                continue;
            }
            let node = resolve.nodes.iter().find(|n| n.id == id).expect("a node");
            for dep in &node.deps {
                if dep.dep_kinds.iter().any(|k| k.kind == DependencyKind::Normal) {
                    open.push(dep.pkg.clone());
                }
            }
        }
        for package in metadata.packages.iter().filter(|p| seen.contains(&p.id)) {
            assert!(!IMPURE.contains(&package.name.as_str()), "{name} reaches {}", package.name);
        }
    }
}
