//! Checks of the repository itself: layout, arrows, licences, documents.
#![expect(clippy::expect_used, clippy::panic, reason = "tests")]

mod arrows;
mod documents;
mod fuzzing;
mod licences;
mod tidy;
mod vectors;

use std::path::{Path, PathBuf};

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace exists")
}

/// Text files under `folder` with one of these endings, build output left out.
fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
            if path.is_dir() {
                let built = name.starts_with("target") || name.starts_with('.') || name == "node_modules";
                if !built {
                    open.push(path);
                }
            } else if endings.iter().any(|e| name.ends_with(e)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// The dependency graph on the platform we build for.
fn metadata() -> cargo_metadata::Metadata {
    let platform = ["--filter-platform".to_owned(), "x86_64-unknown-linux-gnu".to_owned()];
    cargo_metadata::MetadataCommand::new()
        .current_dir(root())
        .other_options(platform.to_vec())
        .exec()
        .expect("cargo metadata")
}
