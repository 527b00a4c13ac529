use super::*;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

fn walked(root: &Path, filter: Filter) -> Result<Vec<Found>, Error> {
    Walk::new(Arc::new(Tree::open(root)?), filter, None).collect()
}

fn paths(found: &[Found]) -> Vec<String> {
    found.iter().map(|f| String::from_utf8_lossy(&f.path).into_owned()).collect()
}

#[test]
fn the_order_is_that_of_path_bytes() {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["a", "a/b", "z"] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
    }
    for file in ["a.txt", "a/b/c", "a/b.x", "a0", "z/y"] {
        std::fs::write(dir.path().join(file), file).unwrap();
    }
    let found = walked(dir.path(), Filter::default()).unwrap();
    assert_eq!(paths(&found), ["", "a", "a.txt", "a/b", "a/b.x", "a/b/c", "a0", "z", "z/y"]);
    assert!(found.is_sorted_by(|a, b| a.path < b.path));
}

#[test]
fn links_are_listed_and_never_followed() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("real")).unwrap();
    std::fs::write(dir.path().join("real/file"), b"x").unwrap();
    std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", dir.path().join("dangling")).unwrap();
    let found = walked(dir.path(), Filter::default()).unwrap();
    assert_eq!(paths(&found), ["", "dangling", "link", "real", "real/file"]);
    assert_eq!(found[2].what, What::Link(b"real".to_vec()));
    assert!(matches!(Tree::open(&dir.path().join("link")), Err(Error::RootIsLink(_) | Error::Io { .. })));
}

#[test]
fn names_that_are_not_utf8_are_kept_as_bytes() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"\xff\xfe")), b"x").unwrap();
    assert_eq!(walked(dir.path(), Filter::default()).unwrap()[1].path, b"\xff\xfe");
}

#[test]
fn pipes_and_sockets_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("s")).unwrap();
    let error = walked(dir.path(), Filter::default()).unwrap_err();
    assert!(matches!(error, Error::Special { kind: "socket", .. }), "{error}");
    assert!(walked(dir.path(), Filter::new(&[], &["s".into()]).unwrap()).is_ok());
}

#[test]
fn a_file_swapped_for_a_link_or_rewritten_is_a_change() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    std::fs::write(&path, b"one").unwrap();
    let tree = Tree::open(dir.path()).unwrap();
    let found = Identity::of(&rustix::fs::stat(&path).unwrap());
    let mut last = super::super::tree::LastFolder::default();
    assert!(tree.file(b"f", &found, &mut last).is_ok());
    std::fs::write(&path, b"longer").unwrap();
    assert!(matches!(tree.file(b"f", &found, &mut last), Err(Error::Changed(_))));
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    assert!(matches!(tree.file(b"f", &found, &mut last), Err(Error::Changed(_))));
}

#[test]
fn a_folder_on_the_way_swapped_for_a_link_is_a_change() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("d")).unwrap();
    std::fs::write(dir.path().join("d/f"), b"one").unwrap();
    let found = Identity::of(&rustix::fs::stat(dir.path().join("d/f")).unwrap());
    std::fs::rename(dir.path().join("d"), dir.path().join("e")).unwrap();
    std::os::unix::fs::symlink("e", dir.path().join("d")).unwrap();
    let tree = Tree::open(dir.path()).unwrap();
    let mut last = super::super::tree::LastFolder::default();
    assert!(matches!(tree.file(b"d/f", &found, &mut last), Err(Error::Changed(_))));
}

#[test]
fn the_vault_inside_the_source_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join(".strongroom")).unwrap();
    std::fs::write(dir.path().join(".strongroom/db"), b"x").unwrap();
    let vault = Identity::of(&rustix::fs::stat(dir.path().join(".strongroom")).unwrap());
    let tree = Arc::new(Tree::open(dir.path()).unwrap());
    let found: Vec<Found> =
        Walk::new(tree, Filter::default(), Some((vault.dev, vault.ino))).map(Result::unwrap).collect();
    assert_eq!(paths(&found), [""]);
}

#[test]
fn nesting_has_a_limit() {
    let dir = tempfile::tempdir().unwrap();
    let mut deep = dir.path().to_owned();
    for _ in 0..=MAX_DEPTH {
        deep.push("d");
    }
    std::fs::create_dir_all(&deep).unwrap();
    assert!(matches!(walked(dir.path(), Filter::default()), Err(Error::TooMuch { .. })));
}
