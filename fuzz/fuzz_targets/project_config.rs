//! `strongroom.toml` and the user's configuration: nothing but known keys, and a project never says whom to trust.
#![no_main]

use client::source::Filter;
use file::{Project, User, parse};
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/cli/src/config/file.rs"]
mod file;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let table = text.parse::<toml::Table>();
    let said = |key: &str| table.as_ref().is_ok_and(|table| table.contains_key(key));
    if let Ok(user) = parse::<User>(text) {
        let found = [
            ("vault", user.vault.is_some()),
            ("format", user.format.is_some()),
            ("progress", user.progress.is_some()),
            ("as", user.principal.is_some()),
            ("keyfile", user.keyfile.is_some()),
            ("anchor", user.anchor.is_some()),
            ("passphrase-file", user.passphrase_file.is_some()),
        ];
        assert!(found.iter().all(|(key, there)| said(key) == *there));
    }
    let Ok(project) = parse::<Project>(text) else { return };
    let found = [
        ("vault", project.vault.is_some()),
        ("format", project.format.is_some()),
        ("progress", project.progress.is_some()),
        ("class", project.class.is_some()),
        ("env", project.env.is_some()),
        ("exclude", said("exclude")),
    ];
    assert!(found.iter().all(|(key, there)| said(key) == *there));
    assert_eq!(table.map(|table| table.len()).ok(), Some(found.iter().filter(|(_, there)| *there).count()));
    // Patterns that a stranger's repository may hold.
    if let Ok(filter) = Filter::new(&[], &project.exclude)
        && filter.excludes(b"a/b")
    {
        assert!(!project.exclude.is_empty() && filter.excludes(b"a/b/c.d"), "what lies below is out as well");
    }
});
