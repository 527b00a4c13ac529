//! Licences, sources and single copies of what matters (in place of an external checker: the same rules, no install).

use super::root;
use cargo_metadata::MetadataCommand;
use std::collections::BTreeMap;

const ACCEPTED: &[&str] = &[
    "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "MIT", "MIT-0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MPL-2.0",
    "Unicode-3.0", "Unicode-DFS-2016", "Zlib", "CC0-1.0", "0BSD", "BlueOak-1.0.0", "OpenSSL", "CDLA-Permissive-2.0",
    "Unlicense", "BSL-1.0",
];

/// One copy of each of these, so that there is one thing to audit.
const SINGLE: &[&str] = &["aws-lc-rs", "aws-lc-sys", "blake3", "argon2", "zeroize", "subtle", "libsqlite3-sys", "rustls"];

/// No second cryptographic provider in what ships.
const FORBIDDEN: &[&str] = &["ring", "openssl", "openssl-sys", "native-tls", "sharks"];

/// Whether the licence expression can be met by accepted licences alone: `OR` needs one side, `AND` both.
fn acceptable(expression: &str) -> bool {
    let text = expression.replace('/', " OR ").replace(['(', ')'], " ");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.split(" AND ").all(|part| part.split(" OR ").any(|l| ACCEPTED.contains(&l.trim())))
}

#[test]
fn every_dependency_has_an_accepted_licence_and_comes_from_the_registry() {
    let metadata = MetadataCommand::new().current_dir(root()).exec().expect("cargo metadata");
    let mut bad = Vec::new();
    for package in &metadata.packages {
        if package.name.starts_with("strongroom-") {
            continue;
        }
        match &package.license {
            Some(l) if acceptable(l) => {}
            other => bad.push(format!("{} {}: {other:?}", package.name, package.version)),
        }
        let from_registry = package.source.as_ref().is_some_and(|s| s.repr.starts_with("registry+"));
        if !from_registry {
            bad.push(format!("{} comes from {:?}", package.name, package.source));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn the_licence_rule_can_refuse() {
    assert!(acceptable("MIT OR GPL-3.0") && acceptable("(MIT OR Apache-2.0) AND Unicode-3.0"));
    assert!(!acceptable("GPL-3.0") && !acceptable("MIT AND AGPL-3.0") && !acceptable("BUSL-1.1"));
}

#[test]
fn there_is_one_copy_of_each_critical_crate_and_no_second_provider() {
    let metadata = MetadataCommand::new().current_dir(root()).exec().expect("cargo metadata");
    let shipped = shipped(&metadata);
    let mut versions: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for package in metadata.packages.iter().filter(|p| shipped.contains(&p.id)) {
        versions.entry(package.name.as_str()).or_default().push(package.version.to_string());
        assert!(!FORBIDDEN.contains(&package.name.as_str()), "{} is in the graph that ships", package.name);
    }
    for name in SINGLE {
        let copies = versions.get(name).map(Vec::len).unwrap_or_default();
        assert!(copies <= 1, "{name}: {:?}", versions.get(name));
    }
    assert!(versions.contains_key("aws-lc-rs"), "the graph was read");
}

/// What the binary reaches through normal and build dependencies.
fn shipped(metadata: &cargo_metadata::Metadata) -> std::collections::BTreeSet<cargo_metadata::PackageId> {
    let resolve = metadata.resolve.as_ref().expect("a resolved graph");
    let mut open: Vec<_> = metadata.workspace_default_packages().iter().map(|p| p.id.clone()).collect();
    let mut seen = std::collections::BTreeSet::new();
    while let Some(id) = open.pop() {
        if seen.insert(id.clone()) {
            let node = resolve.nodes.iter().find(|n| n.id == id).expect("a node");
            let normal = |d: &&cargo_metadata::NodeDep| {
                d.dep_kinds.iter().any(|k| k.kind != cargo_metadata::DependencyKind::Development)
            };
            open.extend(node.deps.iter().filter(normal).map(|d| d.pkg.clone()));
        }
    }
    seen
}
