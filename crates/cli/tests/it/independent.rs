//! The independent decryptor in Python, which shares no code with the crates, opens what `put` wrote. The keys come from a release in
//! this process.

use super::inside::known;
use super::sandbox::{Dice, Sandbox};
use super::trips::tree;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Output;
use testkit::python::python;
use testkit::suites;

/// A version as somebody has it who was given its keys and a copy of the depot.
struct Given {
    depot: PathBuf,
    object: PathBuf,
    keys: PathBuf,
    digest: String,
}

impl Given {
    fn of(sandbox: &Sandbox, reference: &str) -> Self {
        let known = known(sandbox, reference);
        let name = hex::encode(known.record.object);
        let object = sandbox.objects().into_iter().find(|path| path.ends_with(&name)).expect("the version object");
        let keys = serde_json::json!({
            "list_key": hex::encode(known.list_key.expose_bytes()),
            "map_key": hex::encode(known.map_key.expose_bytes()),
        });
        let keys = sandbox.write(&format!("keys/{name}.json"), keys.to_string());
        let digest = hex::encode(known.record.digest().expect("a digest"));
        Self { depot: sandbox.vault().join("depot"), object, keys, digest }
    }

    fn python(&self, args: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/strongroom_open.py");
        let text = |path: &Path| path.to_str().expect("a plain path").to_owned();
        let mut all = vec![text(&script), "--depot".into(), text(&self.depot), "--object".into(), text(&self.object)];
        all.extend(["--keys".into(), text(&self.keys), "--digest".into(), self.digest.clone()]);
        all.extend(args.iter().map(|arg| (*arg).to_owned()));
        python(&all)
    }

    /// What it prints, if it ends well.
    #[track_caller]
    fn reads(&self, args: &[&str]) -> Vec<u8> {
        let out = self.python(args);
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    }
}

/// A folder with large, small and empty files, empty folders, links and modes.
fn fill(sandbox: &Sandbox, dice: &mut Dice) -> PathBuf {
    let root = sandbox.at("in");
    for (name, len) in [("large", (5 << 20) + 123), ("aligned", 2 << 20), ("group", 65_536), ("one", 1), ("none", 0)] {
        sandbox.write(&format!("in/{name}"), dice.bytes(len));
    }
    for n in 0..2_000 {
        let len = dice.below(700) as usize;
        sandbox.write(&format!("in/many/{:02}/{n:04}", n % 17), dice.bytes(len));
    }
    std::fs::create_dir_all(root.join("empty/deeper")).unwrap();
    symlink("../large", root.join("many/link")).unwrap();
    symlink("/nowhere/at all", root.join("dangling")).unwrap();
    for (path, mode) in [("large", 0o640), ("one", 0o755), ("many/03", 0o500), ("empty", 0o711)] {
        std::fs::set_permissions(root.join(path), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    root
}

#[test]
fn python_opens_folders_that_put_wrote_in_every_version() {
    suites::each(|| {
        let sandbox = Sandbox::solo();
        let mut dice = Dice(51);
        let root = fill(&sandbox, &mut dice);
        // Padded, and not.
        for class in ["confidential", "internal"] {
            let artifact = format!("lab/{class}");
            let put = ["put", "in", &artifact, "--class", class];
            sandbox.run(put).exits(0);
            let one = tree(&root);
            // Most of the second version lies in the packs of the first.
            sandbox.write("in/large", dice.bytes((3 << 20) + 7));
            sandbox.write("in/many/00/new", dice.bytes(10));
            std::fs::remove_file(root.join("aligned")).unwrap();
            let report = sandbox.run([&["--format", "json"][..], &put].concat()).exits(0).json();
            assert!(report["reused_bytes"].as_u64().is_some_and(|bytes| bytes > 100_000), "{report}");
            for (version, expected) in [("@v1", one), ("@v2", tree(&root))] {
                let reference = format!("{artifact}{version}");
                let given = Given::of(&sandbox, &reference);
                let (ours, theirs) = (format!("get-{class}{version}"), sandbox.at(format!("python-{class}{version}")));
                given.reads(&["extract", theirs.to_str().unwrap()]);
                assert!(tree(&theirs) == expected, "{reference}: Python extracts something else");
                sandbox.run(["get", &reference, &ours]).exits(0);
                assert!(tree(&sandbox.at(&ours)) == expected, "{reference}: get opens something else");
                let listed = given.reads(&["ls"]).iter().filter(|byte| **byte == b'\n').count();
                // The root folder has an entry as well.
                assert_eq!(listed, expected.len() + 1, "{reference}");
            }
            sandbox.write("in/aligned", dice.bytes(2 << 20));
        }
        std::fs::set_permissions(root.join("many/03"), std::fs::Permissions::from_mode(0o700)).unwrap();
    });
}

#[test]
fn python_reads_the_same_ranges_as_cat_and_refuses_what_cat_refuses() {
    suites::each(|| {
        let sandbox = Sandbox::solo();
        let mut dice = Dice(52);
        let bytes = dice.bytes(3_000_001);
        sandbox.write("in/large", &bytes);
        sandbox.write("in/small", b"small");
        sandbox.write("in/none", b"");
        sandbox.run(["put", "in", "lab/ranges", "--class", "confidential"]).exits(0);
        sandbox.write("alone.bin", &bytes[..100_000]);
        sandbox.run(["put", "alone.bin", "lab/alone"]).exits(0);
        let mut stdin = sandbox.command(["put", "-", "lab/stdin"]);
        stdin.stdin(std::fs::File::open(sandbox.at("alone.bin")).unwrap());
        super::sandbox::end(stdin).exits(0);

        let given = Given::of(&sandbox, "lab/ranges");
        let mut ranges = vec![(0, 0), (0, 3_000_000), (65_535, 65_536), (2_999_999, 3_000_000), (1_048_575, 1_048_577)];
        ranges.extend((0..8).map(|_| {
            let first = dice.below(3_000_000);
            (first, (first + dice.below(200_000)).min(3_000_000))
        }));
        for (first, last) in ranges {
            let range = format!("{first}-{last}");
            let theirs = given.reads(&["cat", "large", "--bytes", &range]);
            let ours = sandbox.run(["cat", "lab/ranges/large", "--bytes", &range]).exits(0).stdout;
            assert!(theirs == bytes[first as usize..=last as usize] && ours == theirs, "{range}");
        }
        assert_eq!(given.reads(&["cat", "small"]), b"small");
        assert_eq!(given.reads(&["cat", "none"]), b"");
        for (reference, name) in [("lab/alone", "alone.bin"), ("lab/stdin", "stdin")] {
            assert!(Given::of(&sandbox, reference).reads(&["cat", name]) == bytes[..100_000], "{reference}");
        }

        // A byte of the last third: what lies before it still reads, for both.
        let path = sandbox.objects().swap_remove(0);
        let mut stored = std::fs::read(&path).unwrap();
        stored[2_500_000] ^= 1;
        super::attacks::overwrite(&path, &stored);
        for (range, code) in [("0-1000000", 0), ("2400000-2600000", 7), ("0-3000000", 7)] {
            let theirs = given.python(&["cat", "large", "--bytes", range]);
            assert_eq!(theirs.status.code(), Some(code), "{range}: {}", String::from_utf8_lossy(&theirs.stderr));
            sandbox.run(["cat", "lab/ranges/large", "--bytes", range]).exits(code);
        }
        let dest = sandbox.at("never");
        assert_eq!(given.python(&["extract", dest.to_str().unwrap()]).status.code(), Some(7));
    });
}
