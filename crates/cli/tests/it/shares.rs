//! `share`: standard age files, which other programs open, and an export in the log that says whom it was for.

use super::sandbox::{Ended, Sandbox, end};
use std::path::Path;
use std::process::Command;

/// A vault with a folder of files, a single file and a restricted one, and keys of two recipients.
struct Desk {
    sandbox: Sandbox,
    age: String,
    ssh: String,
}

fn desk() -> Desk {
    let sandbox = Sandbox::solo();
    sandbox.write("src/a/table.csv", b"id\n1\n");
    sandbox.write("src/a/empty", b"");
    sandbox.write(&format!("src/{}/deep", "long-name-".repeat(20)), vec![7; 700]);
    sandbox.write("model.bin", vec![9; 3 << 20]);
    std::os::unix::fs::symlink("a/table.csv", sandbox.at("src/link")).unwrap();
    sandbox.run(["put", "src", "lab/data", "--class", "internal"]).exits(0);
    sandbox.run(["put", "model.bin", "lab/model", "--class", "internal"]).exits(0);
    sandbox.run(["put", "model.bin", "lab/secret", "--class", "restricted"]).exits(0);
    let make = |program: &str, arguments: &[&str]| {
        let made = Command::new(program).args(arguments).current_dir(sandbox.path()).output().unwrap();
        assert!(made.status.success(), "{program}: {}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8_lossy(&made.stdout).into_owned()
    };
    make("age-keygen", &["-o", "age.key"]);
    let age = make("age-keygen", &["-y", "age.key"]).trim().to_owned();
    make("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", "ssh.key"]);
    let ssh = std::fs::read_to_string(sandbox.at("ssh.key.pub")).unwrap().trim().to_owned();
    Desk { sandbox, age, ssh }
}

/// What the reference implementation of age makes of a file, in the sandbox.
fn opened(sandbox: &Sandbox, key: &str, file: &str) -> Vec<u8> {
    let done = Command::new("age").args(["-d", "-i", key, file]).current_dir(sandbox.path()).output().unwrap();
    assert!(done.status.success(), "{file}: {}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

fn share(desk: &Desk, more: &[&str]) -> Ended {
    desk.sandbox.run([&["--format", "json", "share", "--with", &desk.age, "--with", &desk.ssh], more].concat())
}

#[test]
fn another_implementation_opens_what_was_shared_with_either_key() {
    let desk = desk();
    let sandbox = &desk.sandbox;
    let told = share(&desk, &["lab/model", "--purpose", "paper 12"]).exits(0).json();
    assert_eq!(
        (&told["kind"], &told["dest"], &told["form"]),
        (&"share".into(), &"model-v1.age".into(), &"file".into())
    );
    for key in ["age.key", "ssh.key"] {
        assert_eq!(opened(sandbox, key, "model-v1.age"), vec![9; 3 << 20], "{key}");
    }
    let told = share(&desk, &["lab/data/a/table.csv", "--purpose", "paper 12"]).exits(0).json();
    assert_eq!(told["dest"], "data-v1-table.csv.age");
    assert_eq!(opened(sandbox, "age.key", "data-v1-table.csv.age"), b"id\n1\n");

    let told = share(&desk, &["lab/data", "whole.age", "--purpose", "paper 12"]).exits(0).json();
    assert_eq!((&told["form"], &told["files"]), (&"tar".into(), &3.into()));
    std::fs::write(sandbox.at("whole.tar"), opened(sandbox, "ssh.key", "whole.age")).unwrap();
    std::fs::create_dir(sandbox.at("out")).unwrap();
    let tar = Command::new("tar").args(["-xf", "whole.tar", "-C", "out"]).current_dir(sandbox.path()).status().unwrap();
    assert!(tar.success());
    let mut diff = Command::new("diff");
    let same = diff.args(["-r", "--no-dereference", "src", "out"]).current_dir(sandbox.path()).output().unwrap();
    assert!(same.status.success(), "{}", String::from_utf8_lossy(&same.stdout));
    let part = share(&desk, &["lab/data/a", "part.age", "--purpose", "paper 12"]).exits(0).json();
    assert_eq!(part["files"], 2);
}

#[test]
fn a_share_is_an_export_that_names_purpose_and_recipients_and_no_file_holds_them_in_the_clear() {
    let desk = desk();
    let sandbox = &desk.sandbox;
    share(&desk, &["lab/model", "--purpose", "paper 12"]).exits(0);
    let found = sandbox.run(["--format", "json", "audit", "query", "--act", "release.export"]).exits(0).json();
    let item = &found["items"][0];
    assert_eq!(
        (&item["entry"]["detail"]["recall"], &item["entry"]["detail"]["shared_with"]),
        (&"none".into(), &"2".into())
    );
    let disclosed = item["disclosed"].to_string();
    assert!(
        disclosed.contains("paper 12") && disclosed.contains(&desk.age) && disclosed.contains("ssh-ed25519"),
        "{disclosed}"
    );
    let mut open = vec![sandbox.vault()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            assert!(!holds(&bytes, desk.age.as_bytes()) && !holds(&bytes, b"paper 12"), "{}", path.display());
        }
    }
    sandbox.run(["audit", "verify", "--replay"]).exits(0);
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn what_cannot_be_shared_is_refused_before_it_is_released_and_leaves_no_file() {
    let desk = desk();
    let sandbox = &desk.sandbox;
    let with = |recipient: &str, more: &[&str]| {
        sandbox.run([&["share", "lab/model", "out.age", "--with", recipient], more].concat())
    };
    for recipient in ["bob", "age1qqqq", "AGE-SECRET-KEY-1QQPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", "ssh-dss AAAA"] {
        let refused = with(recipient, &["--purpose", "p"]).exits(2);
        assert!(refused.stderr.contains("no recipient") && !refused.stderr.contains("QQPZRY"), "{}", refused.stderr);
    }
    with(&desk.age, &[]).exits(2);
    let empty = with(&desk.age, &["--purpose", " "]).exits(2);
    assert!(empty.stderr.contains("for a purpose"), "{}", empty.stderr);
    let found = sandbox.run(["--format", "json", "audit", "query", "--act", "release.export"]).exits(0).json();
    assert_eq!(found["items"].as_array().unwrap().len(), 0);
    share(&desk, &["lab/none", "--purpose", "p"]).exits(3);
    share(&desk, &["lab/data/none", "--purpose", "p"]).exits(3);
    share(&desk, &["lab/secret", "--purpose", "p"]).exits(2);
    share(&desk, &["lab/secret", "--purpose", "p", "--confirm", "lab/secret"]).exits(0);
    sandbox.write("taken.age", b"mine");
    share(&desk, &["lab/model", "taken.age", "--purpose", "p"]).exits(8);
    assert_eq!(std::fs::read(sandbox.at("taken.age")).unwrap(), b"mine");
    share(&desk, &["lab/model", "taken.age", "--purpose", "p", "--force"]).exits(0);
    assert_eq!(opened(sandbox, "age.key", "taken.age").len(), 3 << 20);
    // Damage in the depot leaves nothing that looks whole.
    let largest = sandbox.objects().remove(0);
    let mut bytes = std::fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&largest, bytes).unwrap();
    let mut codes: Vec<i32> = Vec::new();
    for (artifact, confirm) in [("lab/model", "x"), ("lab/secret", "lab/secret")] {
        codes.push(share(&desk, &[artifact, "damaged.age", "--purpose", "p", "--confirm", confirm, "--force"]).code);
    }
    codes.sort_unstable();
    assert_eq!(codes, [0, 7]);
    let dry = end(sandbox.command(["share", "-n", "lab/secret", "dry.age", "--with", &desk.age, "--purpose", "p"]));
    assert_eq!((dry.code, Path::new(&sandbox.at("dry.age")).exists()), (0, false));
}
