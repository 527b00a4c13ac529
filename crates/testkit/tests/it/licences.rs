//! Licences, sources and single copies of what matters (in place of an external checker: the same rules, no install).

use super::{metadata, root};

use std::collections::{BTreeMap, BTreeSet};

const ACCEPTED: &[&str] = &[
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MPL-2.0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Zlib",
    "CC0-1.0",
    "0BSD",
    "BlueOak-1.0.0",
    "OpenSSL",
    "CDLA-Permissive-2.0",
    "Unlicense",
    "BSL-1.0",
];

/// One copy of each of these, so that there is one thing to audit.
const SINGLE: &[&str] =
    &["aws-lc-rs", "aws-lc-sys", "blake3", "argon2", "zeroize", "subtle", "libsqlite3-sys", "rustls"];

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
    let metadata = metadata();
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
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in shipped().lines() {
        let mut words = line.split(' ');
        let (Some(name), Some(version)) = (words.next(), words.next()) else { continue };
        assert!(!FORBIDDEN.contains(&name), "{name} is in the graph that ships");
        versions.entry(name.to_owned()).or_default().insert(version.to_owned());
    }
    for name in SINGLE {
        let copies = versions.get(*name).map(BTreeSet::len).unwrap_or_default();
        assert!(copies <= 1, "{name}: {:?}", versions.get(*name));
    }
    assert!(versions.contains_key("aws-lc-rs"), "the graph was read");
}

/// What the binary is built from, a `name version` a line. `cargo tree` knows the features in use; `cargo metadata`
/// would also list optional crates that nothing switches on.
fn shipped() -> String {
    let arguments = ["tree", "--workspace", "--offline", "-e", "normal,build", "--prefix", "none"];
    let output = std::process::Command::new(env!("CARGO")).args(arguments).current_dir(root()).output();
    let output = output.expect("cargo tree runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}
