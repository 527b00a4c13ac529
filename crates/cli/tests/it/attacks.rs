//! What somebody with write access to the storage or to the vault's folder can try, through the real binary: every
//! attempt ends with exit 7, says what and where, and hands out not one unauthenticated byte.

use super::sandbox::{Dice, Sandbox};
use std::path::{Path, PathBuf};

const KIB: usize = 1024;

/// A vault with two versions of one artifact, of equal shape, and one other artifact.
fn prepared() -> (Sandbox, Vec<u8>, Vec<u8>) {
    let sandbox = Sandbox::solo();
    let mut dice = Dice(7);
    let (one, two) = (dice.bytes(300 * KIB), dice.bytes(300 * KIB));
    let source = sandbox.write("data.bin", &one);
    sandbox.run(["put", "data.bin", "lab/data", "--class", "internal"]).exits(0);
    std::fs::write(source, &two).expect("a file");
    sandbox.run(["put", "data.bin", "lab/data", "--class", "internal"]).exits(0);
    (sandbox, one, two)
}

/// Objects that appeared between two looks.
fn objects_of(sandbox: &Sandbox, put: impl FnOnce()) -> Vec<PathBuf> {
    let before = sandbox.objects();
    put();
    sandbox.objects().into_iter().filter(|o| !before.contains(o)).collect()
}

/// `verify`, `get` and `cat` of a whole version all refuse, and nothing is written.
#[track_caller]
fn refused_everywhere(sandbox: &Sandbox, reference: &str, how: &str) {
    let found = sandbox.run(["--format", "json", "verify", reference]);
    assert_eq!(found.code, 7, "{how}: verify: {} {}", String::from_utf8_lossy(&found.stdout), found.stderr);
    let found = found.json();
    assert_eq!(found["ok"], false, "{how}");
    let failure = &found["failures"][0];
    assert!(failure["what"].as_str().is_some_and(|w| !w.is_empty()), "{how}: {found}");
    assert!(failure["object"].as_str().is_some_and(|o| !o.is_empty()), "{how}: {found}");
    let got = sandbox.run(["get", reference, "never"]);
    assert_eq!(got.code, 7, "{how}: get: {}", got.stderr);
    assert!(!sandbox.at("never").exists(), "{how}: something was written");
    let staged: Vec<_> =
        std::fs::read_dir(sandbox.path()).expect("a folder").flatten().map(|e| e.file_name()).collect();
    assert!(!staged.iter().any(|n| n.to_string_lossy().contains("staging")), "{how}: left behind: {staged:?}");
    let cat = sandbox.run(["cat", reference]);
    assert_eq!(cat.code, 7, "{how}: cat: {}", cat.stderr);
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).expect("an object");
    bytes[at] ^= 1;
    overwrite(path, &bytes);
}

/// Objects are read-only on disk; an attacker is not impressed.
fn overwrite(path: &Path, bytes: &[u8]) {
    let _ = std::fs::remove_file(path);
    std::fs::write(path, bytes).expect("an object");
}

#[test]
fn one_flipped_byte_anywhere_in_the_depot_is_found() {
    let (sandbox, _, two) = prepared();
    let mut dice = Dice(11);
    let objects = objects_of(&sandbox, || {
        sandbox.write("data.bin", &two[1..]);
        sandbox.run(["put", "data.bin", "lab/data", "--class", "internal"]).exits(0);
    });
    assert_eq!(objects.len(), 2, "a small put writes one segment and one version object");
    for object in objects {
        let whole = std::fs::read(&object).expect("an object");
        let mut places = vec![0, 24, 55, 56, 16_384, whole.len() / 2, whole.len() - 33, whole.len() - 1];
        places.extend((0..6).map(|_| dice.below(whole.len() as u64) as usize));
        for at in places.into_iter().filter(|at| *at < whole.len()) {
            flip(&object, at);
            refused_everywhere(&sandbox, "lab/data", &format!("byte {at} of {} in {}", whole.len(), object.display()));
            overwrite(&object, &whole);
        }
    }
    sandbox.run(["verify", "--all"]).exits(0);
}

#[test]
fn cut_extended_swapped_and_deleted_objects_are_found() {
    let sandbox = Sandbox::solo();
    let mut dice = Dice(13);
    let one = objects_of(&sandbox, || {
        sandbox.write("data.bin", dice.bytes(300 * KIB));
        sandbox.run(["put", "data.bin", "lab/data", "--class", "internal"]).exits(0);
    });
    let two = objects_of(&sandbox, || {
        sandbox.write("data.bin", dice.bytes(300 * KIB));
        sandbox.run(["put", "data.bin", "lab/data", "--class", "internal"]).exits(0);
    });
    for (old, new) in one.iter().zip(&two) {
        let (old_bytes, whole) = (std::fs::read(old).expect("old"), std::fs::read(new).expect("new"));
        let attempts: [(&str, Vec<u8>); 5] = [
            ("cut by one byte", whole[..whole.len() - 1].to_vec()),
            ("cut to half", whole[..whole.len() / 2].to_vec()),
            ("emptied", Vec::new()),
            ("extended", [&whole[..], b"x"].concat()),
            ("an older version's object in its place", old_bytes),
        ];
        for (how, bytes) in attempts {
            overwrite(new, &bytes);
            refused_everywhere(&sandbox, "lab/data", how);
        }
        std::fs::remove_file(new).expect("a file");
        refused_everywhere(&sandbox, "lab/data", "deleted");
        overwrite(new, &whole);
    }
    sandbox.run(["verify", "--all"]).exits(0);
    sandbox.run(["cat", "lab/data@v1"]).exits(0);
}

#[test]
fn a_range_read_gives_only_what_it_verified() {
    let (sandbox, _, two) = prepared();
    let segment = sandbox.objects().into_iter().find(|o| {
        // The newest segment is the one whose damage the latest version notices.
        let whole = std::fs::read(o).expect("an object");
        flip(o, 250 * KIB);
        let noticed = sandbox.run(["verify", "lab/data"]).code == 7;
        overwrite(o, &whole);
        noticed
    });
    let segment = segment.expect("the latest version has a segment");
    flip(&segment, 250 * KIB);
    let good = sandbox.run(["cat", "lab/data", "--bytes", "100-8291"]).exits(0);
    assert_eq!(good.stdout, two[100..=8291], "the undamaged part still reads");
    let bad = sandbox.run(["cat", "lab/data", "--bytes", "250000-258191"]).exits(7);
    assert!(bad.stdout.is_empty(), "{} unauthenticated bytes were given out", bad.stdout.len());
    let across = sandbox.run(["cat", "lab/data", "--bytes", "0-299999"]).exits(7);
    assert!(two.starts_with(&across.stdout), "what was given out before the damage is right");
}

#[test]
fn an_older_copy_of_the_vault_is_read_only() {
    let sandbox = Sandbox::solo();
    sandbox.write("data.bin", b"first");
    sandbox.run(["put", "data.bin", "lab/data", "--class", "internal"]).exits(0);
    let copy = sandbox.at("older");
    copy_folder(&sandbox.vault(), &copy);
    sandbox.write("data.bin", b"second");
    sandbox.run(["put", "data.bin", "lab/data", "--class", "internal"]).exits(0);
    std::fs::remove_dir_all(sandbox.vault()).expect("the newer vault goes");
    copy_folder(&copy, &sandbox.vault());

    sandbox.run(["put", "data.bin", "lab/data", "--class", "internal"]).exits(7);
    sandbox.run(["get", "lab/data", "out"]).exits(7);
    sandbox.run(["gc", "--grace", "0s", "--yes"]).exits(7);
    sandbox.run(["key", "rotate"]).exits(7);
    assert!(!sandbox.at("out").exists());
    let verified = sandbox.run(["audit", "verify"]);
    assert_eq!(verified.code, 7, "{}", verified.stderr);
}

#[test]
fn a_lost_anchor_is_said_and_not_taken_for_proof() {
    let sandbox = Sandbox::solo();
    sandbox.write("data.bin", b"first");
    sandbox.run(["put", "data.bin", "lab/data", "--class", "internal"]).exits(0);
    let fresh = sandbox.run(["--format", "json", "verify", "--all"]).exits(0).json();
    assert_eq!(fresh["freshness"], "proven");
    std::fs::remove_dir_all(sandbox.at("state")).expect("the anchor goes");
    let unproven = sandbox.run(["--format", "json", "verify", "--all"]).exits(0);
    assert!(unproven.stderr.contains("fresh"), "a warning says so: {}", unproven.stderr);
    assert_eq!(unproven.json()["freshness"], "unproven");
    sandbox.run(["gc", "--grace", "0s", "--yes"]).exits(7);
    let again = sandbox.run(["--format", "json", "status"]).exits(0).json();
    assert_eq!(again["freshness"], "unproven", "a copy does not vouch for itself: {again}");
    let made = sandbox.run(["--format", "json", "audit", "verify", "--new-anchor"]).exits(0).json();
    assert_eq!(made["freshness"], "proven");
    sandbox.run(["gc", "--grace", "0s", "--yes"]).exits(0);
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}
