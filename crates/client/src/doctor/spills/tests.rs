//! Searches over prints at hand.

use super::known::Index;
use super::look::{Room, look};
use super::walk::search;
use super::*;
use crate::watch::Unwatched;
use api::terms::{ArtifactId, Class, Environment, Kind, ObjectId, Timestamp, VersionId};
use api::wire::VersionItem;
use base64::Engine as _;
use seal::Suite;
use seal::prints::{Builder, Edges, For, Printer, Set};
use seal::secret::PrintKey;
use seal::tree;
use std::path::Path;

fn key() -> PrintKey {
    PrintKey::from_bytes(Box::new([5; 32]))
}

fn version(number: u8, class: Class) -> VersionItem {
    VersionItem {
        suite: api::terms::Suite::Default,
        made: None,
        removed: None,
        reencrypted: None,
        archived: None,
        holds: Vec::new(),
        reference: format!("lab/a{number}@v1"),
        id: VersionId::from_bytes([number; 16]),
        number: 1,
        artifact: ArtifactId::from_bytes([number; 16]),
        class,
        environment: Environment::Dev,
        kind: Kind::Dataset,
        digest: String::new(),
        object: ObjectId::from_bytes([number; 16]),
        key: api::terms::KeyId::from_bytes([number; 16]),
        key_state: api::terms::KeyState::Active,
        bytes: 1,
        files: 1,
        created: Timestamp::from_millis(1),
        creator: "olivia".into(),
        tags: BTreeMap::new(),
        aliases: Vec::new(),
        from: Vec::new(),
    }
}

/// The prints of one file, as a put makes them.
fn set(bytes: &[u8]) -> Set {
    let printer = Printer::new(key());
    let mut builder = Builder::default();
    printer.content(bytes, Edges::WHOLE, For::Keeping, &mut |kind, print| builder.part(kind, print));
    let leaves: Vec<tree::Digest> = tree::leaves(Suite::Default, bytes).collect();
    builder.end(0, Some((printer.whole(bytes.len() as u64, &tree::root(Suite::Default, &leaves)), bytes.len() as u64)));
    builder.finish(1)
}

fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut roll = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    (0..len).map(|_| roll()).collect()
}

fn found(index: &Index, at: &Path) -> Vec<Found> {
    search(index, &[Root::named(at)], Path::new("/nowhere"), &Unwatched).unwrap().found
}

#[test]
fn what_a_public_version_holds_is_no_spill() {
    let dir = tempfile::tempdir().unwrap();
    let (both, secret) = (bytes(1, 50_000), bytes(2, 50_000));
    std::fs::write(dir.path().join("both"), &both).unwrap();
    std::fs::write(dir.path().join("secret"), &secret).unwrap();
    let kept = [both.as_slice(), &secret].concat();
    let alone = Index::of(key(), vec![(version(1, Class::Internal), set(&kept))]);
    assert_eq!(found(&alone, dir.path()).len(), 2);
    let public = vec![(version(1, Class::Internal), set(&kept)), (version(2, Class::Public), set(&both))];
    let names: Vec<_> = found(&Index::of(key(), public), dir.path()).iter().map(Found::shown).collect();
    assert_eq!(names, [dir.path().join("secret")]);
}

#[test]
fn a_file_that_is_not_what_was_found_stays() {
    let dir = tempfile::tempdir().unwrap();
    let secret = bytes(3, 50_000);
    let index = Index::of(key(), vec![(version(1, Class::Confidential), set(&secret))]);
    let path = dir.path().join("copy");
    let put = || std::fs::write(&path, &secret).unwrap();
    let one = || found(&index, dir.path()).pop().unwrap();

    put();
    let held = one();
    std::fs::write(&path, bytes(4, 50_000)).unwrap();
    assert_eq!(remove::remove(&index, &held), Removal::Changed, "other bytes");
    put();
    let held = one();
    std::fs::rename(&path, dir.path().join("moved")).unwrap();
    std::fs::copy(dir.path().join("moved"), &path).unwrap();
    assert_eq!(remove::remove(&index, &held), Removal::Changed, "another file under its name");
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(dir.path().join("moved"), &path).unwrap();
    assert_eq!(remove::remove(&index, &held), Removal::Changed, "a link under its name");
    assert!(dir.path().join("moved").exists());
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_file(dir.path().join("moved")).unwrap();

    // Its folder became a link to somewhere else.
    std::fs::create_dir(dir.path().join("sub")).unwrap();
    std::fs::write(dir.path().join("sub/copy"), &secret).unwrap();
    let held = one();
    std::fs::rename(dir.path().join("sub"), dir.path().join("other")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("other"), dir.path().join("sub")).unwrap();
    assert_eq!(remove::remove(&index, &held), Removal::Changed);
    assert!(dir.path().join("other/copy").exists());
    std::fs::remove_dir_all(dir.path().join("other")).unwrap();

    put();
    std::fs::hard_link(&path, dir.path().join("second")).unwrap();
    let both = found(&index, dir.path());
    assert_eq!(both.len(), 2);
    assert_eq!(remove::remove(&index, &both[0]), Removal::OneNameOfSeveral);
    let last = one();
    assert_eq!(remove::remove(&index, &last), Removal::Removed);
    assert_eq!(remove::remove(&index, &last), Removal::Changed, "it is gone");
}

/// Files are read into one room, one after another: what was read before is no content of a file that has none.
#[test]
fn what_a_hole_leaves_out_is_not_what_was_read_before() {
    let dir = tempfile::tempdir().unwrap();
    let secret = bytes(5, 50_000);
    let index = Index::of(key(), vec![(version(1, Class::Confidential), set(&secret))]);
    let pasted = format!("x = \"{}\"", base64::engine::general_purpose::STANDARD.encode(&secret));
    let (dense, hole) = (dir.path().join("a.py"), dir.path().join("b.py"));
    std::fs::write(&dense, &pasted).unwrap();
    let len = pasted.len() as u64;
    std::fs::File::create(&hole).unwrap().set_len(len).unwrap();
    let mut room = Room::default();
    let mut held =
        |path: &Path| look(&index, &mut room, b"a.py", &std::fs::File::open(path).unwrap(), len).unwrap().held;
    assert_eq!(held(&dense).len(), 1);
    assert!(held(&hole).is_empty());
}

#[test]
fn chance_raises_no_alarm_among_a_million_prints() {
    // As many prints as a large vault has, none of them of anything here.
    let mut noise = bytes(6, 12 << 20).into_iter();
    let mut next = || u64::from_be_bytes(std::array::from_fn(|_| noise.next().unwrap_or(0)));
    let mut set = Set { files: 1, ..Set::default() };
    for part in &mut set.parts {
        *part = (0..300_000).map(|_| seal::prints::Entry { print: next(), file: 0 }).collect();
    }
    let index = Index::of(key(), vec![(version(1, Class::Internal), set)]);
    assert!(index.count.prints > 1_000_000);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("f"), bytes(7, 8 << 20)).unwrap();
    assert!(found(&index, dir.path()).is_empty());
}

#[test]
fn causes_are_told_by_places_and_shared_folders_are_for_ones_own() {
    let roots = well_known(Some(Path::new("/home/x")), |name| (name == "HF_HOME").then(|| "/data/hf".into()));
    assert!(roots.contains(&Root { path: "/data/hf".into(), well_known: true, own_only: false }));
    assert!(roots.iter().any(|root| root.path == Path::new("/tmp") && root.own_only));
    let own = well_known(None, |name| (name == "TMPDIR").then(|| "/scratch".into()));
    assert_eq!(own, [Root { path: "/scratch".into(), well_known: true, own_only: true }]);
    for (path, word) in [
        ("/home/x/.cache/huggingface/hub/a", "Hugging Face"),
        ("/tmp/mlflow-1/artifacts/m", "MLflow"),
        ("/home/x/.cache/rclone/vfs/a", "rclone"),
        ("/home/x/project/eval.ipynb", "notebook"),
        ("/home/x/.local/share/Trash/files/a", "trash"),
        ("/home/x/.bash_history", "shell"),
        ("/tmp/x/y", "temporary"),
        ("/home/x/project/.git/lfs/objects/a", "commit"),
    ] {
        let (cause, avoid) = places::cause(Path::new(path));
        assert!(cause.contains(word) && !avoid.is_empty(), "{path}: {cause}");
    }
}

#[test]
fn any_bytes_are_looked_at_to_their_end() {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::of(key(), vec![(version(1, Class::Internal), set(&bytes(8, 20_000)))]);
    let tar = {
        let mut header = vec![0; 512];
        header[257..262].copy_from_slice(b"ustar");
        header
    };
    let texts: [&[u8]; 6] = [
        b"<td><tr></td><<<td",
        b"{\"cells\":[[[[{\"a\":[\"x\",\"y\"]}]]]]}",
        b"\"\",,,;;\n,,,\n\t\t\t\n1,2,3,,\n",
        &[b'A'; 300],
        b"\x28\xb5\x2f\xfd",
        &tar,
    ];
    for seed in 0..200 {
        let mut hostile = texts[seed as usize % texts.len()].repeat(1 + seed as usize % 7);
        for (at, byte) in bytes(seed, 40).chunks(2).map(|two| (usize::from(two[0]), two[1])) {
            let len = hostile.len();
            hostile[at % len] = byte;
        }
        for name in ["a.ipynb", "b", "c.json"] {
            std::fs::write(dir.path().join(name), &hostile).unwrap();
        }
        assert!(found(&index, dir.path()).is_empty(), "{seed}");
    }
    let nested = "[".repeat(100_000);
    std::fs::write(dir.path().join("a.ipynb"), nested).unwrap();
    assert!(found(&index, dir.path()).is_empty());
}
