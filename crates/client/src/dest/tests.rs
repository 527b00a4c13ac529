use super::*;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_file_lands_at_dest_or_in_the_folder_and_never_over_something() {
    let dir = tempfile::tempdir().unwrap();
    let mut place = Place::for_file(&dir.path().join("out"), b"name", Existing::Keep).unwrap();
    place.stage_file().unwrap().write_all(b"one").unwrap();
    assert_eq!(place.show().unwrap(), dir.path().join("out"));
    let mut place = Place::for_file(dir.path(), b"name", Existing::Keep).unwrap();
    place.stage_file().unwrap();
    assert_eq!(place.show().unwrap(), dir.path().join("name"));
    assert!(matches!(Place::for_file(dir.path(), b"name", Existing::Keep), Err(Error::Exists(_))));
    assert_eq!(names(dir.path()), ["name", "out"]);
}

#[test]
fn somebody_who_was_faster_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("out");
    let mut place = Place::for_file(&dest, b"x", Existing::Keep).unwrap();
    place.stage_file().unwrap();
    std::fs::write(&dest, b"theirs").unwrap();
    assert!(matches!(place.show(), Err(Error::Exists(_))));
    assert_eq!(std::fs::read(&dest).unwrap(), b"theirs");
    assert_eq!(names(dir.path()), ["out"], "the staging is gone");
}

#[test]
fn a_dangling_link_counts_as_something() {
    let dir = tempfile::tempdir().unwrap();
    symlink("nowhere", dir.path().join("out")).unwrap();
    assert!(matches!(Place::for_file(&dir.path().join("out"), b"x", Existing::Keep), Err(Error::Exists(_))));
}

#[test]
fn force_replaces_files_links_and_whole_folders() {
    let dir = tempfile::tempdir().unwrap();
    let outside = dir.path().join("outside");
    std::fs::write(&outside, b"untouched").unwrap();
    let dest = dir.path().join("dest");
    symlink(&outside, &dest).unwrap();
    let mut place = Place::for_file(&dest, b"x", Existing::Replace).unwrap();
    place.stage_file().unwrap().write_all(b"new").unwrap();
    place.show().unwrap();
    assert_eq!(std::fs::read(&dest).unwrap(), b"new");
    assert_eq!(std::fs::read(&outside).unwrap(), b"untouched");

    std::fs::remove_file(&dest).unwrap();
    std::fs::create_dir_all(dest.join("old/deep")).unwrap();
    let mut place = Place::for_folder(&dest, Existing::Replace).unwrap();
    place.stage_folder().unwrap().folder(b"fresh").unwrap();
    place.show().unwrap();
    assert_eq!(names(&dest), ["fresh"]);
    assert_eq!(names(dir.path()), ["dest", "outside"]);
}

#[test]
fn what_is_not_shown_leaves_no_trace_even_read_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut place = Place::for_folder(&dir.path().join("out"), Existing::Keep).unwrap();
    let stage = place.stage_folder().unwrap();
    stage.folder(b"a/b").unwrap();
    stage.file(b"a/b/c", &mut LastFolder::default()).unwrap();
    stage.mode(b"a/b", 0o500).unwrap();
    stage.mode(b"a", 0).unwrap();
    drop(place);
    assert_eq!(names(dir.path()), Vec::<String>::new());
}

#[test]
fn a_hostile_version_cannot_leave_the_staging_folder() {
    let dir = tempfile::tempdir().unwrap();
    let mut place = Place::for_folder(&dir.path().join("out"), Existing::Keep).unwrap();
    let stage = place.stage_folder().unwrap();
    let last = &mut LastFolder::default();
    for bad in [&b""[..], b"/x", b"../x", b"a/../../x", b"a//b", b"./x", b"a/", b"a\0b"] {
        assert!(matches!(stage.file(bad, last), Err(Error::Path(_))), "{bad:?}");
        assert!(stage.folder(bad).is_err() && stage.link(bad, b"t").is_err(), "{bad:?}");
    }
    stage.link(b"link", b"/etc").unwrap();
    assert!(matches!(stage.file(b"link/passwd", &mut LastFolder::default()), Err(Error::Path(_))));
    stage.file(b"twice", last).unwrap();
    assert!(matches!(stage.file(b"twice", last), Err(Error::Path(_))));
    assert!(matches!(stage.file(b"twice/below", last), Err(Error::Path(_))));
}

#[test]
fn set_user_id_is_never_restored() {
    let dir = tempfile::tempdir().unwrap();
    let mut place = Place::for_folder(&dir.path().join("out"), Existing::Keep).unwrap();
    let stage = place.stage_folder().unwrap();
    stage.folder(b"d").unwrap();
    stage.mode(b"d", 0o7755).unwrap();
    let shown = place.show().unwrap();
    assert_eq!(std::fs::metadata(shown.join("d")).unwrap().permissions().mode() & 0o7777, 0o755);
}
