use super::*;
use proptest::prelude::*;
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
    place.stage_file().unwrap().0.write_all(b"one").unwrap();
    assert_eq!(place.show().unwrap(), dir.path().join("out"));
    let mut place = Place::for_file(dir.path(), b"name", Existing::Keep).unwrap();
    place.stage_file().unwrap();
    assert_eq!(place.show().unwrap(), dir.path().join("name"));
    assert!(matches!(Place::for_file(dir.path(), b"name", Existing::Keep), Err(Error::Exists(_))));
    assert_eq!(names(dir.path()), ["name", "out"]);
}

#[test]
fn a_file_has_no_name_before_it_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    for existing in [Existing::Keep, Existing::Replace] {
        for there in
            [None, Some("file"), Some("folder")].into_iter().take(if existing == Existing::Keep { 1 } else { 3 })
        {
            let dest = dir.path().join("out");
            match there {
                Some("folder") => std::fs::create_dir_all(dest.join("deep")).unwrap(),
                Some(_) => std::fs::write(&dest, b"old").unwrap(),
                None => {}
            }
            let before = names(dir.path());
            let mut place = Place::find(&dest, existing).unwrap();
            let (mut file, _) = place.stage_file().unwrap();
            file.write_all(b"new").unwrap();
            assert_eq!(names(dir.path()), before, "nothing shows, and nothing would be left");
            place.show().unwrap();
            assert_eq!((names(dir.path()), std::fs::read(&dest).unwrap()), (vec!["out".to_owned()], b"new".to_vec()));
            std::fs::remove_file(&dest).unwrap();
        }
    }
}

#[test]
fn a_file_system_without_nameless_files_gets_a_hidden_one() {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("out");
    for existing in [Existing::Keep, Existing::Replace] {
        let mut place = Place::for_file(&dest, b"x", existing).unwrap();
        let mut file = File::from(place.hidden_file().unwrap());
        assert_eq!(names(dir.path()).iter().filter(|name| name.starts_with(".strongroom-staging-")).count(), 1);
        file.write_all(b"new").unwrap();
        place.show().unwrap();
        assert_eq!((names(dir.path()), std::fs::read(&dest).unwrap()), (vec!["out".to_owned()], b"new".to_vec()));
    }
    let mut place = Place::for_file(&dest, b"x", Existing::Replace).unwrap();
    place.hidden_file().unwrap();
    drop(place);
    assert_eq!(names(dir.path()), ["out"], "what is not shown is gone");
}

/// A name that is drawn for a staging.
fn staging(number: u8) -> String {
    format!(".strongroom-staging-{number:016x}")
}

#[test]
fn what_the_dead_left_is_swept_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    // What somebody is at.
    let mut living = Place::for_folder(&at("living"), Existing::Keep).unwrap();
    let stage = living.stage_folder().unwrap();
    stage.folder(b"kept").unwrap();
    drop(stage);
    let mut hidden = Place::for_file(&at("hidden"), b"x", Existing::Keep).unwrap();
    drop(hidden.hidden_file().unwrap());
    // What is left of a folder that was whole already, one that was not, and a file.
    std::fs::create_dir_all(at(&staging(1)).join("a/b")).unwrap();
    std::fs::write(at(&staging(1)).join("a/b/c"), b"plain").unwrap();
    symlink(at("theirs"), at(&staging(1)).join("a/link")).unwrap();
    std::fs::create_dir(at(&staging(2))).unwrap();
    std::fs::write(at(&staging(3)), b"plain").unwrap();
    // What is not: other names, links, something else under such a name, an old folder that was being replaced.
    let others = ["theirs".to_owned(), format!("{}-old", staging(4)), ".strongroom-staging-".into(), staging(5) + "0"];
    for name in &others {
        std::fs::create_dir(at(name)).unwrap();
        std::fs::write(at(name).join("kept"), b"kept").unwrap();
    }
    symlink(at("theirs"), at(&staging(6))).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, at(&staging(7)), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let parent = rustix::fs::open(dir.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    let me = rustix::process::geteuid().as_raw();
    let before = everything(dir.path());
    for (folder, mode) in [("a/b", 0o500), ("a", 0o000), ("", 0o500)] {
        std::fs::set_permissions(at(&staging(1)).join(folder), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    stale::sweep(parent.as_fd(), me);
    let kept = |path: &Path| [1, 2, 3].iter().all(|number| !path.starts_with(at(&staging(*number))));
    let expected: Vec<_> = before.into_iter().filter(|(path, ..)| kept(path)).collect();
    assert_eq!(everything(dir.path()), expected);

    std::fs::create_dir(at(&staging(1))).unwrap();
    stale::sweep(parent.as_fd(), me + 1);
    assert!(at(&staging(1)).exists(), "another user's is not ours to take");
    assert_eq!(living.show().unwrap(), at("living"));
    assert_eq!(hidden.show().unwrap(), at("hidden"));
    Place::for_file(&at("next"), b"x", Existing::Keep).unwrap().stage_file().unwrap();
    assert!(!at(&staging(1)).exists(), "the next one sweeps");
}

#[test]
fn nothing_is_swept_where_others_may_have_named_it() {
    let dir = tempfile::tempdir().unwrap();
    let (left, me) = (dir.path().join(staging(1)), rustix::process::geteuid().as_raw());
    // Whoever may write here could have named a folder of ours so; a sticky folder keeps names to their owners.
    for (mode, swept) in [(0o777, false), (0o770, false), (0o1777, true), (0o755, true)] {
        std::fs::create_dir_all(left.join("precious")).unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        let parent = rustix::fs::open(dir.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        stale::sweep(parent.as_fd(), me);
        assert_eq!(left.exists(), !swept, "{mode:o}");
    }
}

#[test]
fn a_staging_that_was_swept_before_it_was_locked_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let parent = rustix::fs::open(dir.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    let me = rustix::process::geteuid().as_raw();
    let mut place = Place::for_folder(&dir.path().join("out"), Existing::Keep).unwrap();
    let stage = place.stage_folder_after(|| stale::sweep(parent.as_fd(), me)).unwrap();
    stage.folder(b"d").unwrap();
    place.show().unwrap();
    let mut place = Place::for_folder(&dir.path().join("other"), Existing::Keep).unwrap();
    let mut swept = 0;
    let first = place.hidden.clone();
    let made = place.attempt(|place| {
        let folder = place.new_folder(Mode::RWXU)?;
        if swept < 3 {
            swept += 1;
            stale::sweep(parent.as_fd(), me);
        }
        place.held(folder)
    });
    assert!(made.is_ok() && place.hidden != first);
    assert_eq!(names(dir.path()).len(), 2);
}

#[test]
fn whoever_sweeps_holds_what_they_looked_at_until_it_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let parent = rustix::fs::open(dir.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    let me = rustix::process::geteuid().as_raw();
    // Made, but not locked yet when it is looked at: its maker gets no lock and makes another.
    let mut place = Place::for_folder(&dir.path().join("out"), Existing::Keep).unwrap();
    let mut made = Some(place.new_folder(Mode::RWXU).unwrap());
    let mut held = Vec::new();
    stale::sweep_after(parent.as_fd(), me, |name| {
        assert_eq!(name, place.hidden);
        held.extend(made.take().map(|folder| place.held(folder).map(drop)));
    });
    assert_eq!(held, [Err(Errno::NOENT)], "it was looked at once, and not given to its maker");
    assert_eq!(names(dir.path()), Vec::<String>::new());
    place.stage_folder().unwrap().folder(b"d").unwrap();
    assert_eq!(names(&place.show().unwrap()), ["d"]);

    // Looked at while it only told what is granted here: what is staged then is not under its name.
    let mut place = Place::for_folder(&dir.path().join("other"), Existing::Keep).unwrap();
    place.new_folder(Mode::RWXU).unwrap();
    let mut stage = None;
    stale::sweep_after(parent.as_fd(), me, |name| {
        rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR).unwrap();
        stage = Some(place.stage_folder().unwrap());
    });
    stage.unwrap().folder(b"d").unwrap();
    assert_eq!(names(&place.show().unwrap()), ["d"]);
}

#[test]
fn a_folder_is_opened_up_and_what_a_link_names_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let parent = rustix::fs::open(dir.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    let mode = |name: &str| std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o7777;
    for name in ["theirs", "closed"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
        std::fs::set_permissions(dir.path().join(name), std::fs::Permissions::from_mode(0o050)).unwrap();
    }
    symlink("theirs", dir.path().join("link")).unwrap();
    assert!(stale::open_up(parent.as_fd(), b"link").is_err());
    assert_eq!(mode("theirs"), 0o050);
    stale::open_up(parent.as_fd(), b"closed").unwrap();
    assert_eq!(mode("closed"), 0o700);
}

#[test]
fn nothing_but_what_was_staged_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let mut place = Place::for_folder(&dir.path().join("out"), Existing::Keep).unwrap();
    place.stage_folder().unwrap();
    let hidden = dir.path().join(crate::source::as_path(&place.hidden));
    std::fs::remove_dir(&hidden).unwrap();
    std::fs::create_dir(&hidden).unwrap();
    std::fs::write(hidden.join("planted"), b"theirs").unwrap();
    let error = place.show().unwrap_err();
    assert!(matches!(error, Error::Vanished(_)), "{error}");
    assert!(!dir.path().join("out").exists() && hidden.join("planted").exists());
    let problem = Problem::from(error);
    assert!(problem.why.contains("removed or replaced"), "{}", problem.why);
    assert_eq!((problem.code, problem.try_.as_deref()), (Code::Unavailable, Some("run the command again")));

    let mut place = Place::for_file(&dir.path().join("out"), b"x", Existing::Keep).unwrap();
    place.hidden_file().unwrap();
    std::fs::remove_file(dir.path().join(crate::source::as_path(&place.hidden))).unwrap();
    assert!(matches!(place.show(), Err(Error::Vanished(_))), "a file that was removed is no missing destination");
}

#[test]
fn what_is_always_taken_away_is_said_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let mut place = Place::for_folder(&dir.path().join("out"), Existing::Keep).unwrap();
    let made = place.attempt(|place| {
        let folder = place.new_folder(Mode::RWXU)?;
        rustix::fs::unlinkat(&place.parent, &*place.hidden, AtFlags::REMOVEDIR)?;
        place.held(folder)
    });
    assert!(matches!(made, Err(Error::Vanished(_))), "{made:?}");
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
    place.stage_file().unwrap().0.write_all(b"new").unwrap();
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
fn only_granted_bits_are_given_and_never_the_special_ones() {
    assert_eq!(Granted(0o755).of(0o666), Mode::from_raw_mode(0o644));
    assert_eq!(Granted(0o750).of(0o7777), Mode::from_raw_mode(0o750));
    assert_eq!(Granted(0o777).of(0o7777), Mode::from_raw_mode(0o777));
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("made")).unwrap();
    let of = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let umasked = of(&dir.path().join("made"));
    let mut place = Place::for_folder(&dir.path().join("out"), Existing::Keep).unwrap();
    let stage = place.stage_folder().unwrap();
    assert_eq!(stage.granted(), Granted(umasked), "a new folder has what the umask leaves of every bit");
    let hidden = dir.path().join(crate::source::as_path(&place.hidden));
    assert_eq!(of(&hidden), 0o700, "while it is filled nobody else may look");
    drop(place);
    let mut place = Place::for_file(&dir.path().join("out"), b"x", Existing::Keep).unwrap();
    let (file, granted) = place.stage_file().unwrap();
    assert_eq!(granted, Granted(umasked));
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    drop(place);
    let mut place = Place::for_file(&dir.path().join("out"), b"x", Existing::Keep).unwrap();
    place.hidden_file().unwrap();
    assert_eq!(of(&dir.path().join(crate::source::as_path(&place.hidden))), 0o600);
}

#[test]
fn nothing_that_somebody_puts_into_the_staging_folder_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("out");
    let mut place = Place::for_folder(&dest, Existing::Keep).unwrap();
    let hidden = dir.path().join(crate::source::as_path(&place.hidden));
    // Quick: a file, while the folder is open to others. Nothing is staged, and what is theirs stays theirs.
    let planted = || std::fs::write(hidden.join("planted"), b"theirs").unwrap();
    assert!(matches!(place.stage_folder_after(planted), Err(Error::Io { .. })));
    drop(place);
    assert!(!dest.exists() && hidden.join("planted").exists());
    std::fs::remove_dir_all(&hidden).unwrap();

    // Patient: the folder itself, kept open until it is filled.
    let mut place = Place::for_folder(&dest, Existing::Keep).unwrap();
    let hidden = dir.path().join(crate::source::as_path(&place.hidden));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut held = None;
    let stage = place.stage_folder_after(|| held = Some(rustix::fs::open(&hidden, flags, Mode::empty()).unwrap()));
    stage.unwrap().folder(b"ours").unwrap();
    let planted = rustix::fs::mkdirat(held.unwrap(), "planted", Mode::RWXU);
    assert_eq!(planted, Err(Errno::NOENT), "the folder that was open to others is gone");
    assert_eq!(names(&place.show().unwrap()), ["ours"]);
}

/// Names that a hostile writer may choose, more often bad ones than chance would give.
fn paths() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just(b"..".to_vec()),
        Just(b".".to_vec()),
        Just(Vec::new()),
        Just(b"link".to_vec()),
        Just(b"a".to_vec()),
        Just(b"b".to_vec()),
        prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.join(&b'/'))
}

#[derive(Debug, Clone)]
enum Step {
    File(Vec<u8>),
    Folder(Vec<u8>),
    Link(Vec<u8>, Vec<u8>),
    Mode(Vec<u8>, u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let target = prop_oneof![Just(b"/outside".to_vec()), Just(b"..".to_vec()), Just(b"../outside".to_vec()), paths()];
    let step = prop_oneof![
        paths().prop_map(Step::File),
        paths().prop_map(Step::Folder),
        (paths(), target).prop_map(|(path, target)| Step::Link(path, target)),
        (paths(), any::<u32>()).prop_map(|(path, mode)| Step::Mode(path, mode)),
    ];
    prop::collection::vec(step, 0..24)
}

/// Everything below a folder, links not followed, with its mode and length.
fn everything(root: &Path) -> Vec<(PathBuf, u32, u64)> {
    let mut open = vec![root.to_owned()];
    let mut out = Vec::new();
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = std::fs::symlink_metadata(&path).unwrap();
            out.push((path.clone(), meta.permissions().mode(), meta.len()));
            if meta.is_dir() {
                open.push(path);
            }
        }
    }
    out.sort();
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_order_of_hostile_names_leaves_the_staging_folder(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("outside/b")).unwrap();
        std::fs::write(dir.path().join("outside/a"), b"theirs").unwrap();
        let inside = dir.path().join("in");
        std::fs::create_dir(&inside).unwrap();
        symlink(dir.path().join("outside"), inside.join("beside")).unwrap();
        let before = everything(dir.path());
        let mut place = Place::for_folder(&inside.join("out"), Existing::Keep).unwrap();
        let stage = place.stage_folder().unwrap();
        let hidden = inside.join(crate::source::as_path(&place.hidden));
        let mut last = LastFolder::default();
        for step in &steps {
            let (path, done) = match step {
                Step::File(path) => {
                    let made = stage.file(path, &mut last).map(|mut file| file.write_all(b"ours").unwrap());
                    (path, made)
                }
                Step::Folder(path) => (path, stage.folder(path)),
                Step::Link(path, target) => (path, stage.link(path, target)),
                Step::Mode(path, mode) => (path, stage.mode(path, mode | 0o700)),
            };
            if done.is_ok() && !matches!(step, Step::Mode(..)) {
                prop_assert!(std::fs::symlink_metadata(hidden.join(crate::source::as_path(path))).is_ok());
            }
        }
        let after: Vec<_> = everything(dir.path()).into_iter().filter(|(path, ..)| !path.starts_with(&hidden)).collect();
        prop_assert_eq!(after, before, "something outside was made or changed");
        drop(place);
        prop_assert_eq!(everything(&inside).len(), 1, "and nothing is left");
    }

    #[test]
    fn a_destination_is_the_place_that_was_named(name in "[a-z.]{1,12}") {
        let dir = tempfile::tempdir().unwrap();
        match Place::for_folder(&dir.path().join(&name), Existing::Keep) {
            Ok(mut place) => {
                place.stage_folder().unwrap();
                prop_assert_eq!(place.show().unwrap(), dir.path().join(&name));
                prop_assert_eq!(names(dir.path()), [name]);
            }
            Err(error) => {
                prop_assert!(name == "." || name == "..", "{} {}", name, error);
                prop_assert!(matches!(error, Error::Exists(_)), "{} is there", name);
            }
        }
    }
}

#[test]
fn set_user_id_is_never_restored() {
    let dir = tempfile::tempdir().unwrap();
    let mut place = Place::for_folder(&dir.path().join("out"), Existing::Keep).unwrap();
    let stage = place.stage_folder().unwrap();
    stage.folder(b"d").unwrap();
    stage.mode(b"d", 0o7700).unwrap();
    let shown = place.show().unwrap();
    assert_eq!(std::fs::metadata(shown.join("d")).unwrap().permissions().mode() & 0o7777, 0o700);
}
