//! What somebody tries who writes the depot: a table of attacks, each against `verify`, `get` and `cat --bytes`.
//!
//! `verify` and `get` end with exit 7 and name the object. A read of a range ends with exit 7, or with the right bytes where the attack
//! did not touch what it reads; what it gives out before it ends is right in either case.

mod forgeries;

use super::{flipped, overwrite};
use crate::inside::{Known, known};
use crate::sandbox::{Dice, Sandbox};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use testkit::suites;

const KIB: usize = 1024;
/// Most stored bytes before a damaged one that a unit of verification begins.
const UNIT: u64 = 56 + 65_600;

/// Groups of a segment of 300 KiB; it has one top.
const GROUPS: usize = 5;

const LATEST: &str = "lab/data@v3";
const BEFORE: &str = "lab/data@v2";

/// Files and ranges that are read under each attack; together they touch every group of every segment.
const READS: [(&str, usize, usize); 7] = [
    ("a.bin", 0, 300 * KIB - 1),
    ("a.bin", 81_920, 81_929),
    ("a.bin", 200_000, 200_000),
    ("b.bin", 0, 200 * KIB - 1),
    ("b.bin", 1, 4_096),
    ("s/000", 0, KIB - 1),
    ("s/099", 0, KIB - 1),
];

/// Three versions of two artifacts, of equal shapes, so that no length gives a swap away: `s` and `b.bin` in a first pack of 300 KiB
/// that all share; from the second version on `a.bin` in a pack of its own, of 300 KiB as well, new in the third.
struct Scene {
    sandbox: Sandbox,
    /// Files of the latest version.
    files: BTreeMap<&'static str, Vec<u8>>,
    before: Known,
    latest: Known,
    other: Known,
}

/// A way to change the depot: what each object becomes, or none if it goes.
struct Attack {
    how: String,
    edits: Vec<(PathBuf, Option<Vec<u8>>)>,
    /// What `verify` calls it, one of these.
    called: &'static [&'static str],
    /// The first byte that is not what it was, if the place is to be told.
    at: Option<usize>,
}

impl Attack {
    fn new(how: impl Into<String>, called: &'static [&'static str]) -> Self {
        Self { how: how.into(), edits: Vec::new(), called, at: None }
    }

    fn with(mut self, object: &[u8; 16], bytes: Vec<u8>, scene: &Scene) -> Self {
        self.edits.push((scene.path(object), Some(bytes)));
        self
    }

    fn without(mut self, object: &[u8; 16], scene: &Scene) -> Self {
        self.edits.push((scene.path(object), None));
        self
    }
}

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox::solo();
        let files = three_versions(&sandbox, "lab/data", 7);
        three_versions(&sandbox, "lab/other", 8);
        let [before, latest, other] = [BEFORE, LATEST, "lab/other@v3"].map(|version| known(&sandbox, version));
        let scene = Self { sandbox, files, before, latest, other };
        let (own, shared) = (scene.own(), scene.shared());
        assert_eq!(own.len(), shared.len(), "segments of one length");
        assert_eq!(scene.latest.record.list.stored_len, scene.before.record.list.stored_len, "lists of one length");
        assert_eq!(
            scene.object().len(),
            scene.read(&scene.before.record.object).len(),
            "version objects of one length"
        );
        scene
    }

    /// The object of the segment that only the latest version has.
    fn own_id(&self) -> [u8; 16] {
        self.segment_of("a.bin")
    }

    /// The object of the segment that it shares with older versions.
    fn shared_id(&self) -> [u8; 16] {
        self.segment_of("b.bin")
    }

    fn segment_of(&self, path: &str) -> [u8; 16] {
        segment_of(&self.latest, path)
    }

    fn own(&self) -> Vec<u8> {
        self.read(&self.own_id())
    }

    fn shared(&self) -> Vec<u8> {
        self.read(&self.shared_id())
    }

    /// The latest version object.
    fn object(&self) -> Vec<u8> {
        self.read(&self.latest.record.object)
    }

    fn read(&self, object: &[u8; 16]) -> Vec<u8> {
        std::fs::read(self.path(object)).expect("an object")
    }

    fn path(&self, object: &[u8; 16]) -> PathBuf {
        let name = hex::encode(object);
        self.sandbox.objects().into_iter().find(|path| path.ends_with(&name)).expect("an object of the depot")
    }

    /// Carries an attack out, sees it refused everywhere for these versions, and puts everything back.
    #[track_caller]
    fn refuses(&self, attack: &Attack, versions: &[&str]) {
        let originals: Vec<_> =
            attack.edits.iter().map(|(path, _)| (path, std::fs::read(path).expect("an object"))).collect();
        for (path, bytes) in &attack.edits {
            match bytes {
                Some(bytes) => overwrite(path, bytes),
                None => std::fs::remove_file(path).expect("a file"),
            }
        }
        let objects: Vec<String> = attack.edits.iter().map(|(path, _)| file_name(path)).collect();
        for version in versions {
            self.verify_refuses(attack, &objects, version);
            self.get_refuses(attack, &objects, version);
        }
        self.reads_are_right_or_refused(attack, &objects);
        for (path, bytes) in originals {
            overwrite(path, &bytes);
        }
    }

    #[track_caller]
    fn verify_refuses(&self, attack: &Attack, objects: &[String], version: &str) {
        let how = &attack.how;
        let ended = self.sandbox.run(["--format", "json", "verify", version]);
        assert_eq!(ended.code, 7, "{how}: verify: {} {}", String::from_utf8_lossy(&ended.stdout), ended.stderr);
        let found = ended.json();
        assert_eq!(found["ok"], false, "{how}");
        let failures = found["failures"].as_array().expect("failures");
        let names = |failure: &Value| {
            let text = |field: &str| failure[field].as_str().unwrap_or_default().to_owned();
            let offset = failure["offset"].as_u64().expect("an offset");
            let near = attack.at.is_none_or(|at| offset <= at as u64 && at as u64 - offset < UNIT);
            text("ref") == version
                && objects.contains(&text("object"))
                && attack.called.iter().any(|word| text("what").contains(word))
                && near
        };
        assert!(failures.iter().any(names), "{how}: {:?} at {:?}: {found}", attack.called, attack.at);
    }

    #[track_caller]
    fn get_refuses(&self, attack: &Attack, objects: &[String], version: &str) {
        let how = &attack.how;
        let got = self.sandbox.run(["get", version, "never"]);
        assert_eq!(got.code, 7, "{how}: get: {}", got.stderr);
        assert!(names_one(&got.stderr, objects), "{how}: get names no object: {}", got.stderr);
        self.nothing_is_left(how);
    }

    #[track_caller]
    fn nothing_is_left(&self, how: &str) {
        assert!(!self.sandbox.at("never").exists(), "{how}: something was written");
        let here = std::fs::read_dir(self.sandbox.path()).expect("a folder").flatten();
        let staged: Vec<_> = here.map(|e| e.file_name()).filter(|n| n.to_string_lossy().contains("staging")).collect();
        assert!(staged.is_empty(), "{how}: left behind: {staged:?}");
    }

    /// Every range of the latest version, and its files one at a time: right, or refused and right so far. At least one is refused.
    #[track_caller]
    fn reads_are_right_or_refused(&self, attack: &Attack, objects: &[String]) {
        let how = &attack.how;
        let mut refused = 0;
        for (file, first, last) in READS {
            let (reference, range) = (format!("{LATEST}/{file}"), format!("{first}-{last}"));
            let right = &self.files[file][first..=last];
            let cat = self.sandbox.run(["cat", &reference, "--bytes", &range]);
            if cat.code == 0 {
                assert!(cat.stdout == right, "{how}: cat {reference} --bytes {range} gave wrong bytes");
                continue;
            }
            refused += 1;
            assert_eq!(cat.code, 7, "{how}: cat {reference}: {}", cat.stderr);
            assert!(
                right.starts_with(&cat.stdout),
                "{how}: cat {reference} --bytes {range} gave unauthenticated bytes"
            );
            assert!(names_one(&cat.stderr, objects), "{how}: cat {reference} names no object: {}", cat.stderr);
            if (first, last - first) == (0, right.len() - 1) && self.files[file].len() == right.len() {
                let got = self.sandbox.run(["get", &reference, "never"]);
                assert_eq!(got.code, 7, "{how}: get {reference}: {}", got.stderr);
                self.nothing_is_left(how);
            }
        }
        assert!(refused > 0, "{how}: no range that was read noticed it");
    }
}

/// Puts them, and answers the files of the third.
fn three_versions(sandbox: &Sandbox, artifact: &str, seed: u64) -> BTreeMap<&'static str, Vec<u8>> {
    let mut dice = Dice(seed);
    let folder = format!("in-{seed}");
    let mut files = BTreeMap::from([("b.bin", dice.bytes(200 * KIB))]);
    for n in 0..100 {
        let small = dice.bytes(KIB);
        sandbox.write(&format!("{folder}/s/{n:03}"), &small);
        match n {
            0 => drop(files.insert("s/000", small)),
            99 => drop(files.insert("s/099", small)),
            _ => {}
        }
    }
    sandbox.write(&format!("{folder}/b.bin"), &files["b.bin"]);
    let put = ["put", &folder, artifact, "--class", "internal"];
    sandbox.run(put).exits(0);
    for _ in 0..2 {
        files.insert("a.bin", dice.bytes(300 * KIB));
        sandbox.write(&format!("{folder}/a.bin"), &files["a.bin"]);
        sandbox.run(put).exits(0);
    }
    files
}

/// The object of the one segment that a file begins in.
fn segment_of(known: &Known, path: &str) -> [u8; 16] {
    let extent = known.places[known.ordinal(path)].extents[0];
    known.record.packs[extent.pack as usize].segments[extent.segment as usize].object
}

fn names_one(message: &str, objects: &[String]) -> bool {
    objects.iter().any(|object| message.contains(object))
}

fn file_name(path: &std::path::Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

/// What is told of a segment that is not what was sealed.
const SEGMENT: &[&str] = &["group", "header", "tree of digests"];
const TREE: &[&str] = &["tree of digests"];
const LENGTH: &[&str] = &["wrong length"];
const RECORD: &[&str] = &["version record"];
const LIST: &[&str] = &["list: "];
const MAP: &[&str] = &["map: "];

#[test]
fn one_flipped_byte_anywhere_in_the_depot_is_found() {
    suites::each(|| {
        let scene = Scene::new();
        let mut dice = Dice(11);
        for object in [scene.own_id(), scene.shared_id()] {
            let whole = scene.read(&object);
            // Header, first chunk and its tag, the middle, tops and leaves.
            let sealed = whole.len() - (GROUPS + 1) * 32;
            let mut places =
                vec![0, 24, 55, 56, 16_440, whole.len() / 2, sealed - 1, sealed, sealed + 32, whole.len() - 1];
            places.extend((0..4).map(|_| dice.below(whole.len() as u64) as usize));
            for at in places {
                let attack = Attack::new(format!("byte {at} of {} of a segment", whole.len()), SEGMENT);
                let attack = Attack { at: Some(at), ..attack.with(&object, flipped(&whole, at), &scene) };
                scene.refuses(&attack, &[LATEST]);
            }
        }
        let (whole, record) = (scene.object(), &scene.latest.record);
        let mut places = Vec::new();
        for (called, manifest) in [(LIST, &record.list), (MAP, &record.map)] {
            let (start, len) = (manifest.offset as usize, manifest.stored_len as usize);
            let random = dice.below(len as u64) as usize;
            places.extend([0, 24, 56, len / 2, len - 64, len - 1, random].map(|at| (called, start + at)));
        }
        let end = (record.map.offset + record.map.stored_len) as usize;
        places.extend(
            [end, (end + whole.len()) / 2, whole.len() - 9, whole.len() - 8, whole.len() - 1].map(|at| (RECORD, at)),
        );
        for (called, at) in places {
            let attack = Attack::new(format!("byte {at} of {} of a version object", whole.len()), called);
            let attack = Attack { at: Some(at), ..attack.with(&record.object, flipped(&whole, at), &scene) };
            scene.refuses(&attack, &[LATEST]);
        }
        scene.sandbox.run(["verify", "--all"]).exits(0);
    });
}

#[test]
fn cut_extended_and_deleted_objects_are_found() {
    suites::each(|| {
        let scene = Scene::new();
        for object in [scene.own_id(), scene.shared_id(), scene.latest.record.object] {
            let whole = scene.read(&object);
            let called = if object == scene.latest.record.object { RECORD } else { LENGTH };
            let attempts: [(&str, Vec<u8>); 6] = [
                ("cut by one byte", whole[..whole.len() - 1].to_vec()),
                ("cut to half", whole[..whole.len() / 2].to_vec()),
                ("emptied", Vec::new()),
                ("extended by a byte", [&whole[..], b"x"].concat()),
                ("extended by a group of zeros", [&whole[..], &[0; 65_600]].concat()),
                ("twice", whole.repeat(2)),
            ];
            for (how, bytes) in attempts {
                let how = format!("{how}: object of {} bytes", whole.len());
                scene.refuses(&Attack::new(how, called).with(&object, bytes, &scene), &[LATEST]);
            }
            let gone = Attack::new("deleted", &["is not in the depot"]).without(&object, &scene);
            scene.refuses(&gone, &[LATEST]);
        }
        scene.sandbox.run(["verify", "--all"]).exits(0);
    });
}

#[test]
fn swapped_and_older_segments_versions_lists_and_maps_are_found() {
    suites::each(|| {
        let scene = Scene::new();
        let (latest, before, other) = (&scene.latest.record, &scene.before.record, &scene.other.record);
        let (own, shared) = (scene.own_id(), scene.shared_id());
        let old = segment_of(&scene.before, "a.bin");
        let foreign = segment_of(&scene.other, "a.bin");
        let swap = |how: &str, called, one: &[u8; 16], two: &[u8; 16]| {
            let (bytes_one, bytes_two) = (scene.read(one), scene.read(two));
            Attack::new(how, called).with(one, bytes_two, &scene).with(two, bytes_one, &scene)
        };
        scene.refuses(&swap("segments of one version swapped", TREE, &own, &shared), &[LATEST]);
        scene.refuses(&swap("segments of two versions swapped", TREE, &own, &old), &[LATEST, BEFORE]);
        scene.refuses(&swap("segments of two artifacts swapped", TREE, &own, &foreign), &[LATEST, "lab/other@v3"]);
        let versions = swap("version objects swapped", RECORD, &latest.object, &before.object);
        scene.refuses(&versions, &[LATEST, BEFORE]);
        let artifacts = swap("version objects of two artifacts swapped", RECORD, &latest.object, &other.object);
        scene.refuses(&artifacts, &[LATEST, "lab/other@v3"]);

        let (segment, object) = (scene.read(&old), scene.read(&before.object));
        let replayed = Attack::new("an older segment", TREE).with(&own, segment.clone(), &scene);
        scene.refuses(&replayed, &[LATEST]);
        let replayed = Attack::new("an older version object", RECORD).with(&latest.object, object.clone(), &scene);
        scene.refuses(&replayed, &[LATEST]);
        let replayed = Attack::new("an older version, all of it", RECORD);
        let replayed = replayed.with(&own, segment, &scene).with(&latest.object, object.clone(), &scene);
        scene.refuses(&replayed, &[LATEST]);

        let whole = scene.object();
        let list = 0..latest.list.stored_len as usize;
        let map = list.end..list.end + latest.map.stored_len as usize;
        let foreign = scene.read(&other.object);
        let parts: [(&str, &'static [&'static str], Vec<u8>); 6] = [
            ("the list of an older version", LIST, [&object[list.clone()], &whole[list.end..]].concat()),
            (
                "the map of an older version",
                MAP,
                [&whole[list.clone()], &object[map.clone()], &whole[map.end..]].concat(),
            ),
            ("list and map of an older version", LIST, [&object[..map.end], &whole[map.end..]].concat()),
            ("the record of an older version", RECORD, [&whole[..map.end], &object[map.end..]].concat()),
            ("list and map of another artifact", MAP, [&foreign[..map.end], &whole[map.end..]].concat()),
            ("list and map in the other order", LIST, [&whole[map.clone()], &whole[list], &whole[map.end..]].concat()),
        ];
        for (how, called, bytes) in parts {
            scene.refuses(&Attack::new(how, called).with(&latest.object, bytes, &scene), &[LATEST]);
        }
        scene.sandbox.run(["verify", "--all"]).exits(0);
    });
}

#[test]
fn a_range_read_gives_only_what_it_verified() {
    suites::each(|| {
        let scene = Scene::new();
        let object = scene.own_id();
        overwrite(&scene.path(&object), &flipped(&scene.own(), 250 * KIB));
        let right = &scene.files["a.bin"];
        let good = scene.sandbox.run(["cat", "lab/data/a.bin", "--bytes", "100-8291"]).exits(0);
        assert_eq!(good.stdout, right[100..=8291], "the undamaged part still reads");
        let bad = scene.sandbox.run(["cat", "lab/data/a.bin", "--bytes", "250000-258191"]).exits(7);
        assert!(bad.stdout.is_empty(), "{} unauthenticated bytes were given out", bad.stdout.len());
        let across = scene.sandbox.run(["cat", "lab/data/a.bin", "--bytes", "0-299999"]).exits(7);
        assert!(right.starts_with(&across.stdout), "what was given out before the damage is right");
    });
}

#[test]
fn damage_in_a_long_list_or_map_is_named_by_whoever_reads_it() {
    let sandbox = Sandbox::solo();
    let name = |n: usize| format!("in/{n:05}-{}", "a-long-name-".repeat(8));
    for n in 0..6_000 {
        sandbox.write(&name(n), n.to_string());
    }
    sandbox.run(["put", "in", "lab/many", "--class", "internal"]).exits(0);
    let record = known(&sandbox, "lab/many").record;
    let object = hex::encode(record.object);
    let path = sandbox.objects().into_iter().find(|path| path.ends_with(&object)).expect("the version object");
    let whole = std::fs::read(&path).expect("an object");
    let middle = format!("lab/many/{}", &name(3_000)[3..]);
    for (what, manifest) in [("list", record.list), ("map", record.map)] {
        assert!(manifest.stored_len > 3 * 65_600, "the {what} has several groups");
        // A place that opening the list or map does not read.
        let at = (manifest.offset + manifest.stored_len / 2) as usize;
        overwrite(&path, &flipped(&whole, at));
        let mut commands = vec![vec!["get", "lab/many", "never"], vec!["cat", &middle]];
        if what == "list" {
            commands.push(vec!["ls", &middle]);
        }
        for command in commands {
            let ended = sandbox.run(&command);
            assert_eq!(ended.code, 7, "{what}: {command:?}: {}", ended.stderr);
            assert!(ended.stderr.contains(&object), "{what}: {command:?} names no object: {}", ended.stderr);
            let place = ended.stderr.split("at byte ").nth(1).and_then(|rest| rest.split_whitespace().next());
            let place: u64 = place.and_then(|digits| digits.parse().ok()).expect("a place in the message");
            assert!(place <= at as u64 && at as u64 - place < UNIT, "{what}: {command:?}: {place} is not near {at}");
            assert!(ended.stdout.is_empty(), "{what}: {command:?} gave out something");
        }
        assert!(!sandbox.at("never").exists(), "{what}: something was written");
    }
    overwrite(&path, &whole);
    sandbox.run(["verify", "--all"]).exits(0);
}
