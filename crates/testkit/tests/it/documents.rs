//! Documents say what is true: tests that SECURITY.md names exist, files that documents link exist.

use super::{files, read, root, shown};

#[test]
fn the_readme_fits_on_two_screens() {
    let lines = read(&root().join("README.md")).lines().count();
    assert!((20..=80).contains(&lines), "README.md has {lines} lines");
}

/// Whether a word in backticks is the name of a test.
fn is_test(word: &str) -> bool {
    word.len() > 12
        && word.contains('_')
        && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// The words in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_test_that_security_md_names_exists() {
    let tests: Vec<String> = files("crates", &[".rs"]).iter().map(|p| read(p)).collect();
    let go_and_python: Vec<String> = files("", &[".go", ".py", ".sh"]).iter().map(|p| read(p)).collect();
    let text = read(&root().join("SECURITY.md"));
    let mut named = 0;
    for word in quoted(&text).filter(|word| is_test(word)) {
        named += 1;
        let function = format!("fn {word}(");
        let exists = tests.iter().any(|t| t.contains(&function)) || go_and_python.iter().any(|t| t.contains(word));
        assert!(exists, "SECURITY.md names the test `{word}`, which does not exist");
    }
    assert!(named >= 20, "SECURITY.md names only {named} tests");
}

/// The rows of the tables of a text whose last column names no test.
fn rows_without_a_test(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_rule = |line: &&str| line.starts_with('|') && line.bytes().all(|b| b"|-: ".contains(&b));
    let (mut rows, mut tables) = (Vec::new(), 0);
    for (at, line) in lines.iter().enumerate() {
        let is_head = lines.get(at + 1).is_some_and(is_rule);
        tables += usize::from(is_head);
        if line.starts_with('|') && !is_head && !is_rule(line) {
            rows.push(*line);
        }
    }
    assert!(tables > 0 && rows.len() >= tables, "the tables were found");
    let proven = |row: &&str| {
        let last = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        row.split('|').count() == 5 && quoted(last).any(is_test)
    };
    rows.into_iter().filter(|row| !proven(row)).collect()
}

#[test]
fn every_row_of_security_md_names_its_test() {
    let text = read(&root().join("SECURITY.md"));
    let bare = rows_without_a_test(&text);
    assert!(bare.is_empty(), "rows of SECURITY.md without a test:\n{}", bare.join("\n"));
    // The check sees what it looks for: no name, none in the last column, a column too few.
    let table = "| they try | what stops it | test |\n|---|---|---|\n";
    for row in
        ["| a | b | |", "| a | b | by review |", "| `a_test_of_something` | b | c |", "| a | `a_test_of_something` |"]
    {
        assert_eq!(rows_without_a_test(&format!("{table}{row}\n")), [row]);
    }
    assert!(rows_without_a_test(&format!("{table}| a | b | `a_test_of_something` |\n")).is_empty());
}

#[test]
fn the_table_of_messages_is_what_the_sources_say_in_a_calm_voice() {
    let script = root().join("scripts/messages.py");
    let checked = |sources: &std::path::Path| {
        let mut command = std::process::Command::new("python3");
        command.arg(&script).arg("--check").env("STRONGROOM_SOURCES", sources);
        let output = command.output().expect("python3");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), format!("{out}{err}"))
    };
    let (current, told) = checked(&root());
    assert!(current, "{told}");
    let number =
        |word: &str| told.split(word).next().and_then(|text| text.split(", ").last()?.trim().parse::<u32>().ok());
    assert!(number(" messages") > Some(200) && number(" hints") > Some(80), "{told}");
    // The check sees what it looks for: a text that the table has not, and a tone that it should not have.
    let other = tempfile::tempdir().expect("a folder");
    for (text, wrong) in [("it is closed", "is not what the sources say"), ("please open it!", "small talk")] {
        for name in ["crates/api/src/terms/code.rs", "crates/cli/src/output/failure.rs", "docs/messages.md"] {
            let to = other.path().join(name);
            std::fs::create_dir_all(to.parent().expect("a parent")).expect("folders");
            std::fs::copy(root().join(name), to).expect("a copy");
        }
        let source = format!("fn f() {{ Problem::new(Code::Busy, \"the door\", \"{text}\"); }}\n");
        std::fs::write(other.path().join("crates/api/src/door.rs"), source).expect("a source");
        let (current, told) = checked(other.path());
        assert!(!current && told.contains(wrong), "{told}");
    }
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
