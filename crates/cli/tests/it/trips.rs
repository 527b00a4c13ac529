//! What went in comes out: every kind of source, through `put`, `get`, `cat` and `ls`.

use super::sandbox::{Dice, Sandbox, end};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use testkit::suites;

/// Everything below a folder: what it is, its mode and its bytes.
pub fn tree(root: &Path) -> BTreeMap<PathBuf, (char, u32, Vec<u8>)> {
    let mut out = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = std::fs::symlink_metadata(&path).unwrap();
            let mode = meta.permissions().mode() & 0o777;
            let name = path.strip_prefix(root).unwrap().to_owned();
            if meta.is_symlink() {
                let target = std::fs::read_link(&path).unwrap();
                out.insert(name, ('l', 0, target.as_os_str().as_bytes().to_vec()));
            } else if meta.is_dir() {
                out.insert(name, ('d', mode, Vec::new()));
                open.push(path);
            } else {
                out.insert(name, ('f', mode, std::fs::read(&path).unwrap()));
            }
        }
    }
    out
}

#[track_caller]
fn round_trip(sandbox: &Sandbox, source: &Path) {
    sandbox.run([OsStr::new("put"), source.as_os_str(), OsStr::new("lab/thing")]).exits(0);
    end(sandbox.command_under("000", ["get", "lab/thing", "back"])).exits(0);
    assert!(tree(source) == tree(&sandbox.at("back")), "the folders differ");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(source), mode(&sandbox.at("back")), "mode of the root");
}

#[test]
fn a_file_of_each_awkward_size_comes_back() {
    suites::each(|| {
        let sandbox = Sandbox::solo();
        let mut dice = Dice(1);
        for (n, size) in
            [0, 1, 16_383, 16_384, 65_535, 65_536, 65_537, 1 << 20, (1 << 20) + 1, 3_333_333].into_iter().enumerate()
        {
            let bytes = dice.bytes(size);
            sandbox.write("in.bin", &bytes);
            sandbox.run(["put", "in.bin", &format!("lab/size{n}")]).exits(0);
            let out = format!("out{n}");
            let got = sandbox.run(["--format", "json", "get", &format!("lab/size{n}"), &out]).exits(0).json();
            assert_eq!((got["bytes"].as_u64(), got["files"].as_u64()), (Some(size as u64), Some(1)), "{size}");
            assert!(std::fs::read(sandbox.at(&out)).unwrap() == bytes, "{size}");
            assert!(sandbox.run(["cat", &format!("lab/size{n}")]).exits(0).stdout == bytes, "{size}");
        }
    });
}

#[test]
fn a_single_file_lands_at_dest_or_in_the_folder() {
    suites::each(|| {
        let sandbox = Sandbox::solo();
        sandbox.write("in.bin", b"bytes");
        sandbox.run(["put", "in.bin", "lab/one"]).exits(0);
        std::fs::create_dir(sandbox.at("folder")).unwrap();
        sandbox.run(["get", "lab/one", "folder"]).exits(0);
        assert_eq!(std::fs::read(sandbox.at("folder/in.bin")).unwrap(), b"bytes");
        sandbox.run(["get", "lab/one", "folder/renamed"]).exits(0);
        assert_eq!(std::fs::read(sandbox.at("folder/renamed")).unwrap(), b"bytes");
    });
}

#[test]
fn a_folder_with_one_file_is_still_a_folder() {
    suites::each(|| {
        let sandbox = Sandbox::solo();
        sandbox.write("in/only", b"x");
        round_trip(&sandbox, &sandbox.at("in"));
        assert!(sandbox.at("back/only").is_file());
    });
}

#[test]
fn an_empty_folder_and_empty_files_come_back() {
    suites::each(|| {
        let sandbox = Sandbox::solo();
        std::fs::create_dir_all(sandbox.at("in/empty/deeper")).unwrap();
        sandbox.write("in/nothing", b"");
        round_trip(&sandbox, &sandbox.at("in"));
        std::fs::create_dir(sandbox.at("bare")).unwrap();
        sandbox.run(["put", "bare", "lab/bare"]).exits(0);
        sandbox.run(["get", "lab/bare", "bare-back"]).exits(0);
        assert!(tree(&sandbox.at("bare-back")).is_empty());
    });
}

#[test]
fn links_modes_and_strange_names_come_back() {
    suites::each(|| {
        let sandbox = Sandbox::solo();
        let root = sandbox.at("in");
        std::fs::create_dir_all(root.join("sub")).unwrap();
        let strange =
            [&b"\xff\xfe"[..], b"new\nline", b"-rf", b"a b", "ümlaut".as_bytes(), b"quote'\"", b"%41", b"back\\slash"];
        for name in strange {
            std::fs::write(root.join(OsStr::from_bytes(name)), name).unwrap();
        }
        for mode in [0o400, 0o644, 0o755, 0o777, 0o600] {
            let path = root.join(format!("mode-{mode:o}"));
            std::fs::write(&path, b"x").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        symlink("sub", root.join("to-folder")).unwrap();
        symlink("/etc/passwd", root.join("outside")).unwrap();
        symlink("../../nowhere", root.join("dangling")).unwrap();
        symlink(".", root.join("sub/loop")).unwrap();
        std::fs::set_permissions(root.join("sub"), std::fs::Permissions::from_mode(0o500)).unwrap();
        std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o750)).unwrap();
        round_trip(&sandbox, &root);
        for path in ["in/sub", "back/sub"] {
            std::fs::set_permissions(sandbox.at(path), std::fs::Permissions::from_mode(0o700)).unwrap();
        }
    });
}

#[test]
fn the_umask_of_the_reader_counts() {
    suites::each(|| {
        let sandbox = Sandbox::solo();
        let root = sandbox.at("in");
        std::fs::create_dir_all(root.join("open")).unwrap();
        let set = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        for (name, mode) in [("all", 0o666), ("run", 0o777), ("own", 0o600), ("open/empty", 0o666)] {
            set(&sandbox.write(&format!("in/{name}"), if name == "open/empty" { "" } else { name }), mode);
        }
        set(&root.join("open"), 0o777);
        set(&root, 0o775);
        sandbox.run(["put", "in", "lab/wide"]).exits(0);
        sandbox.run(["put", "in/all", "lab/file"]).exits(0);
        let mode = |path: &str| std::fs::metadata(sandbox.at(path)).unwrap().permissions().mode() & 0o7777;
        for (umask, expected) in [
            ("022", [0o755, 0o644, 0o755, 0o600, 0o755, 0o644]),
            ("027", [0o750, 0o640, 0o750, 0o600, 0o750, 0o640]),
            ("077", [0o700, 0o600, 0o700, 0o600, 0o700, 0o600]),
            ("000", [0o775, 0o666, 0o777, 0o600, 0o777, 0o666]),
        ] {
            end(sandbox.command_under(umask, ["get", "lab/wide", umask])).exits(0);
            let found =
                ["", "/all", "/run", "/own", "/open", "/open/empty"].map(|name| mode(&format!("{umask}{name}")));
            assert_eq!(found.map(|mode| format!("{mode:o}")), expected.map(|mode: u32| format!("{mode:o}")), "{umask}");
            end(sandbox.command_under(umask, ["get", "lab/file", &format!("file-{umask}")])).exits(0);
            assert_eq!(mode(&format!("file-{umask}")), expected[1], "{umask}: a single file");
        }
    });
}

#[test]
fn set_user_id_does_not_come_back() {
    suites::each(|| {
        let sandbox = Sandbox::solo();
        let path = sandbox.write("in/tool", b"x");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o6755)).unwrap();
        sandbox.run(["put", "in", "lab/tool"]).exits(0);
        end(sandbox.command_under("000", ["get", "lab/tool", "back"])).exits(0);
        let mode = std::fs::metadata(sandbox.at("back/tool")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755);
    });
}

#[test]
fn two_thousand_small_files_come_back_from_one_segment() {
    suites::each(|| {
        let sandbox = Sandbox::solo();
        let mut dice = Dice(3);
        for n in 0..2_000u64 {
            let len = dice.below(3_000) as usize;
            sandbox.write(&format!("in/{}/{}/f{n}", n % 7, n % 31), dice.bytes(len));
        }
        round_trip(&sandbox, &sandbox.at("in"));
        assert_eq!(sandbox.objects().len(), 2, "one segment, one version object");
    });
}

#[test]
fn large_and_small_files_mixed_come_back() {
    suites::each(|| {
        let sandbox = Sandbox::solo();
        let mut dice = Dice(4);
        for n in 0..60u64 {
            let len = match n % 4 {
                0 => 1_048_576 + dice.below(3_000_000),
                1 => dice.below(200_000),
                2 => 700_000 + dice.below(340_000),
                _ => dice.below(100),
            };
            sandbox.write(&format!("in/{:02}", (n * 37) % 60), dice.bytes(len as usize));
        }
        round_trip(&sandbox, &sandbox.at("in"));
    });
}

#[test]
fn a_file_larger_than_a_segment_comes_back_and_its_ranges_too() {
    let sandbox = Sandbox::solo();
    let path = sandbox.at("large.bin");
    let size: u64 = (1 << 30) + (80 << 20) + 4_321;
    let mut file = std::fs::File::create(&path).unwrap();
    file.set_len(size).unwrap();
    let marks = [0, (1 << 30) - 20_000, (1 << 30) - 5, 1 << 30, size - 40_000];
    let mut dice = Dice(5);
    for at in marks {
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&dice.bytes(40_000)).unwrap();
    }
    file.set_len(size).unwrap();
    let put = sandbox.run(["--format", "json", "put", "large.bin", "lab/large", "--class", "internal"]).exits(0).json();
    assert_eq!(put["bytes"], size);
    assert_eq!(sandbox.objects().len(), 3, "two segments, one version object");
    let across = format!("{}-{}", (1u64 << 30) - 30_000, (1u64 << 30) + 30_000);
    let range = sandbox.run(["cat", "lab/large", "--bytes", &across]).exits(0).stdout;
    let mut expected = vec![0; 60_001];
    let mut file = std::fs::File::open(&path).unwrap();
    file.seek(SeekFrom::Start((1 << 30) - 30_000)).unwrap();
    file.read_exact(&mut expected).unwrap();
    assert!(range == expected, "the range across the segments");
    sandbox.run(["get", "lab/large", "back.bin"]).exits(0);
    let same = std::process::Command::new("cmp").arg(&path).arg(sandbox.at("back.bin")).status().unwrap();
    assert!(same.success(), "the files differ");
    sandbox.run(["verify", "lab/large"]).exits(0);
}

#[test]
fn standard_input_is_streamed() {
    suites::each(|| {
        let sandbox = Sandbox::solo();
        let mut dice = Dice(6);
        for (n, size) in [0, 5, 1 << 20, (2 << 20) + 17].into_iter().enumerate() {
            let bytes = dice.bytes(size);
            let reference = format!("lab/stream{n}");
            let mut command = sandbox.command(["put", "-", &reference]);
            let mut child =
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(&bytes).unwrap();
            drop(stdin);
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert!(sandbox.run(["cat", &reference]).exits(0).stdout == bytes, "{size}");
            sandbox.run(["get", &reference, &format!("out{n}")]).exits(0);
            assert!(std::fs::read(sandbox.at(format!("out{n}"))).unwrap() == bytes, "{size}");
        }
    });
}

#[test]
fn ranges_are_inclusive_and_exact() {
    suites::each(|| {
        let sandbox = Sandbox::solo();
        let bytes = Dice(8).bytes(200_001);
        sandbox.write("in/a/b.bin", &bytes);
        sandbox.write("in/a/first", b"0123456789");
        sandbox.run(["put", "in", "lab/ranges"]).exits(0);
        let cat = |range: &str| sandbox.run(["cat", "lab/ranges/a/b.bin", "--bytes", range]);
        for (range, expected) in [
            ("0-0", &bytes[..1]),
            ("16383-16384", &bytes[16_383..16_385]),
            ("65530-65540", &bytes[65_530..65_541]),
            ("200000-200000", &bytes[200_000..]),
            ("199990-999999", &bytes[199_990..]),
            ("100000-", &bytes[100_000..]),
            ("-7", &bytes[199_994..]),
            ("0-200000", &bytes[..]),
        ] {
            assert!(cat(range).exits(0).stdout == expected, "{range}");
        }
        cat("200001-200002").exits(2);
        cat("5-4").exits(2);
        cat("x").exits(2);
        assert_eq!(sandbox.run(["cat", "lab/ranges/a/first", "--bytes", "3-5"]).exits(0).stdout, b"345");
    });
}

#[test]
fn a_part_of_a_version_can_be_got() {
    suites::each(|| {
        let sandbox = Sandbox::solo();
        for name in ["in/a/x", "in/a/sub/y", "in/a.b", "in/ab/z", "in/a0"] {
            sandbox.write(name, name);
        }
        sandbox.run(["put", "in", "lab/parts"]).exits(0);
        sandbox.run(["get", "lab/parts/a", "part"]).exits(0);
        assert!(tree(&sandbox.at("part")) == tree(&sandbox.at("in/a")), "the folders differ");
        sandbox.run(["get", "lab/parts/a/sub/y", "y"]).exits(0);
        assert_eq!(std::fs::read(sandbox.at("y")).unwrap(), b"in/a/sub/y");
        sandbox.run(["get", "lab/parts/none", "n"]).exits(3);
    });
}

#[test]
fn names_are_listed_by_prefix_and_page() {
    suites::each(|| {
        let sandbox = Sandbox::solo();
        for n in 0..25 {
            sandbox.write(&format!("in/a/f{n:02}"), b"x");
        }
        sandbox.write("in/a.b", b"x");
        sandbox.write("in/z", b"x");
        sandbox.run(["put", "in", "lab/names"]).exits(0);
        let mut seen = Vec::new();
        let mut after = String::new();
        loop {
            let mut args = vec!["--format", "json", "ls", "lab/names/a", "--limit", "10"];
            if !after.is_empty() {
                args.extend(["--after", &after]);
            }
            let page = sandbox.run(args).exits(0).json();
            seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["path"].as_str().unwrap().to_owned()));
            match page["next"].as_str() {
                Some(next) => after = next.to_owned(),
                None => break,
            }
        }
        let expected: Vec<String> =
            std::iter::once("a".to_owned()).chain((0..25).map(|n| format!("a/f{n:02}"))).collect();
        assert_eq!(seen, expected);
        sandbox.run(["ls", "lab/names/nothing"]).exits(3);
    });
}
