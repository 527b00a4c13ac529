//! Documents say what is true: tests that SECURITY.md names exist, files that documents link exist.

use super::{files, read, root, shown};

#[test]
fn the_readme_fits_on_two_screens() {
    let lines = read(&root().join("README.md")).lines().count();
    assert!((20..=80).contains(&lines), "README.md has {lines} lines");
}

#[test]
fn every_test_that_security_md_names_exists() {
    let tests: Vec<String> = files("crates", &[".rs"]).iter().map(|p| read(p)).collect();
    let go_and_python: Vec<String> = files("", &[".go", ".py", ".sh"]).iter().map(|p| read(p)).collect();
    let text = read(&root().join("SECURITY.md"));
    let mut named = 0;
    for word in text.split('`').skip(1).step_by(2) {
        let is_test = word.len() > 12
            && word.contains('_')
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if is_test {
            named += 1;
            let function = format!("fn {word}(");
            let exists = tests.iter().any(|t| t.contains(&function)) || go_and_python.iter().any(|t| t.contains(word));
            assert!(exists, "SECURITY.md names the test `{word}`, which does not exist");
        }
    }
    assert!(named >= 20, "SECURITY.md names only {named} tests");
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut checked = 0;
    for path in files("", &[".md"]) {
        let text = read(&path);
        let folder = path.parent().expect("a folder");
        for part in text.split("](").skip(1) {
            let target = part.split([')', '#', ' ']).next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            checked += 1;
            assert!(folder.join(target).exists(), "{} links to {target}, which does not exist", shown(&path));
        }
    }
    assert!(checked >= 5, "links were found");
}
