//! Sources: what is not uploaded twice, what is left out, what is refused.

use super::sandbox::{Dice, Sandbox};
use std::os::unix::fs::symlink;
use std::process::Stdio;

fn uploaded(sandbox: &Sandbox, args: &[&str]) -> u64 {
    let mut all = vec!["--format", "json", "put"];
    all.extend(args);
    sandbox.run(all).exits(0).json()["uploaded_bytes"].as_u64().unwrap()
}

#[test]
fn an_unchanged_folder_uploads_no_segment() {
    let sandbox = Sandbox::solo();
    let mut dice = Dice(20);
    for n in 0..20 {
        sandbox.write(&format!("in/f{n}"), dice.bytes(50_000));
    }
    sandbox.write("in/large", dice.bytes(2_000_000));
    assert!(uploaded(&sandbox, &["in", "lab/same"]) > 3_000_000);
    assert_eq!(uploaded(&sandbox, &["in", "lab/same"]), 0);
    // Also when only the bytes are the same, not the files.
    let copy =
        std::process::Command::new("cp").args(["-r", "in", "copy"]).current_dir(sandbox.path()).status().unwrap();
    assert!(copy.success());
    assert_eq!(uploaded(&sandbox, &["copy", "lab/same"]), 0);
    std::fs::remove_dir_all(sandbox.vault().join("cache")).unwrap();
    assert_eq!(uploaded(&sandbox, &["in", "lab/same"]), 0, "without the cache");
    sandbox.run(["get", "lab/same", "back"]).exits(0);
    assert!(super::trips::tree(&sandbox.at("in")) == super::trips::tree(&sandbox.at("back")));
}

#[test]
fn only_what_changed_is_uploaded_and_both_versions_open() {
    let sandbox = Sandbox::solo();
    let mut dice = Dice(21);
    sandbox.write("in/a", dice.bytes(400_000));
    sandbox.write("in/b", dice.bytes(400_000));
    sandbox.run(["put", "in", "lab/some", "--class", "internal"]).exits(0);
    let before = super::trips::tree(&sandbox.at("in"));
    sandbox.write("in/b", dice.bytes(400_000));
    sandbox.write("in/c", dice.bytes(10));
    let second = uploaded(&sandbox, &["in", "lab/some", "--class", "internal"]);
    assert!((400_000..450_000).contains(&second), "{second}");
    sandbox.run(["get", "lab/some@v1", "one"]).exits(0);
    sandbox.run(["get", "lab/some@v2", "two"]).exits(0);
    assert!(super::trips::tree(&sandbox.at("one")) == before);
    assert!(super::trips::tree(&sandbox.at("two")) == super::trips::tree(&sandbox.at("in")));
    sandbox.run(["verify", "--all"]).exits(0);
}

#[test]
fn packs_that_the_depot_lost_are_put_anew() {
    let sandbox = Sandbox::solo();
    let mut dice = Dice(27);
    sandbox.write("in/a", dice.bytes(300_000));
    sandbox.write("in/b", dice.bytes(100_000));
    sandbox.run(["put", "in", "lab/lost", "--class", "internal"]).exits(0);
    let segment = sandbox.objects().swap_remove(0);
    let whole = std::fs::read(&segment).unwrap();
    let shorter = &whole[..whole.len() - 1];
    for (number, left) in [(2, None), (3, Some(shorter))] {
        let segment = sandbox.objects().into_iter().find(|path| std::fs::metadata(path).unwrap().len() > 400_000);
        let segment = segment.expect("the segment of the version before");
        std::fs::remove_file(&segment).unwrap();
        if let Some(left) = left {
            std::fs::write(&segment, left).unwrap();
        }
        let ended = sandbox.run(["--format", "json", "put", "in", "lab/lost", "--class", "internal"]).exits(0);
        let put = ended.json();
        assert!(put["uploaded_bytes"].as_u64().unwrap() >= 400_000 && put["reused_bytes"] == 0, "{put}");
        let version = format!("lab/lost@v{number}");
        sandbox.run(["verify", &version]).exits(0);
        if left.is_some() {
            std::fs::remove_file(&segment).unwrap();
        }
    }
    sandbox.run(["get", "lab/lost", "back"]).exits(0);
    assert!(super::trips::tree(&sandbox.at("in")) == super::trips::tree(&sandbox.at("back")));
    // And it says so.
    std::fs::remove_file(sandbox.objects().swap_remove(0)).unwrap();
    let said = sandbox.run(["put", "in", "lab/lost", "--class", "internal"]).exits(0).stderr;
    assert!(said.contains("the depot lost segments"), "{said}");
}

#[test]
fn damage_that_versions_share_is_named_for_each_and_a_put_afresh_mends_the_next() {
    let sandbox = Sandbox::solo();
    sandbox.write("in/a", Dice(28).bytes(300_000));
    let put = ["put", "in", "lab/shared", "--class", "internal"];
    sandbox.run(put).exits(0);
    sandbox.run(put).exits(0);
    let objects = sandbox.objects();
    let segment = objects.iter().find(|path| std::fs::metadata(path).unwrap().len() > 300_000).unwrap();
    let mut bytes = std::fs::read(segment).unwrap();
    bytes[200_000] ^= 1;
    std::fs::write(segment, bytes).unwrap();
    let report = sandbox.run(["--format", "json", "verify", "--all"]).exits(7).json();
    let mut named: Vec<&str> =
        report["failures"].as_array().unwrap().iter().map(|failure| failure["ref"].as_str().unwrap()).collect();
    named.sort_unstable();
    assert_eq!(named, ["lab/shared@v1", "lab/shared@v2"]);
    // What is of the right length is not read again when it is shared: the next version cannot be opened either.
    sandbox.run(put).exits(0);
    sandbox.run(["get", "lab/shared", "back"]).exits(7);
    assert!(uploaded(&sandbox, &["in", "lab/shared", "--class", "internal", "--afresh"]) >= 300_000);
    sandbox.run(["get", "lab/shared", "back"]).exits(0);
    assert!(super::trips::tree(&sandbox.at("in")) == super::trips::tree(&sandbox.at("back")));
}

#[test]
fn a_file_with_its_times_put_back_is_still_read_again() {
    let sandbox = Sandbox::solo();
    let path = sandbox.write("in/f", Dice(22).bytes(100_000));
    let times = std::fs::metadata(&path).unwrap().modified().unwrap();
    sandbox.run(["put", "in", "lab/times"]).exits(0);
    std::fs::write(&path, Dice(23).bytes(100_000)).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(times).unwrap();
    assert!(uploaded(&sandbox, &["in", "lab/times"]) >= 100_000);
}

#[test]
fn another_class_shares_no_pack() {
    let sandbox = Sandbox::solo();
    sandbox.write("in/f", Dice(24).bytes(100_000));
    sandbox.run(["put", "in", "lab/class", "--class", "internal"]).exits(0);
    assert!(uploaded(&sandbox, &["in", "lab/class", "--class", "confidential"]) >= 100_000);
}

#[test]
fn patterns_choose_what_is_put() {
    let sandbox = Sandbox::solo();
    for name in ["in/a.bin", "in/b.txt", "in/.git/config", "in/sub/c.bin", "in/sub/d.tmp"] {
        sandbox.write(name, name);
    }
    sandbox.run(["put", "in", "lab/chosen", "--include", "*.bin", "--exclude", ".git"]).exits(0);
    sandbox.run(["get", "lab/chosen", "back"]).exits(0);
    let names: Vec<String> = super::trips::tree(&sandbox.at("back")).keys().map(|p| p.display().to_string()).collect();
    assert_eq!(names, ["a.bin", "sub", "sub/c.bin"]);
    sandbox.run(["put", "in", "lab/chosen", "--exclude", "["]).exits(2);
}

#[test]
fn the_vault_is_not_put_into_itself() {
    let sandbox = Sandbox::solo();
    sandbox.write("data", b"x");
    sandbox.run(["put", ".", "lab/self"]).exits(0);
    let listed = sandbox.run(["ls", "lab/self/"]).exits(0).stdout;
    let listed = String::from_utf8(listed).unwrap();
    assert!(listed.contains("data") && !listed.contains(".strongroom"), "{listed}");
}

#[test]
fn links_as_a_source_and_special_files_are_refused() {
    let sandbox = Sandbox::solo();
    sandbox.write("real/f", b"x");
    symlink("real", sandbox.at("link")).unwrap();
    let refused = sandbox.run(["put", "link", "lab/x"]).exits(2);
    assert!(refused.stderr.contains("symbolic link"), "{}", refused.stderr);
    let made = std::process::Command::new("mkfifo").arg(sandbox.at("real/pipe")).status().unwrap();
    assert!(made.success());
    // More than once: no thread may go on with what another one's error left half laid, and hide the error behind its own.
    for _ in 0..20 {
        let refused = sandbox.run(["put", "real", "lab/x"]).exits(1);
        assert!(refused.stderr.contains("pipe") && refused.stderr.contains("--exclude"), "{}", refused.stderr);
    }
    sandbox.run(["put", "real", "lab/x", "--exclude", "pipe"]).exits(0);
    sandbox.run(["put", "nothing-there", "lab/x"]).exits(3);
}

#[test]
fn a_source_that_changes_while_it_is_read_is_refused() {
    let sandbox = Sandbox::solo();
    let path = sandbox.write("in/grows", Dice(25).bytes(60_000_000));
    let stop = std::sync::atomic::AtomicBool::new(false);
    let refused = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = std::fs::File::options().write(true).open(&path).unwrap();
            let mut n = 0u64;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                use std::io::{Seek as _, SeekFrom, Write as _};
                file.seek(SeekFrom::Start((n * 997) % 59_000_000)).unwrap();
                file.write_all(&n.to_le_bytes()).unwrap();
                n += 1;
            }
        });
        let ended = sandbox.run(["--format", "json", "put", "in", "lab/moving"]);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        ended
    });
    assert_eq!(refused.code, 8, "{}", refused.stderr);
    assert!(refused.stderr.contains("source-changed"), "{}", refused.stderr);
    assert!(refused.stderr.contains("run the command again when nothing writes to the source"), "{}", refused.stderr);
    sandbox.run(["show", "lab/moving"]).exits(3);
    sandbox.run(["put", "in", "lab/moving"]).exits(0);
}

#[test]
fn an_interrupted_put_leaves_no_version_and_ends_with_130() {
    let sandbox = Sandbox::solo();
    let mut command = sandbox.command(["put", "-", "lab/stopped"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Two blocks through the pipe show that the put is under way and catches the signal.
    std::io::Write::write_all(&mut stdin, &vec![7; 5 << 20]).unwrap();
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    sandbox.run(["show", "lab/stopped"]).exits(3);
    sandbox.run(["verify", "--all"]).exits(0);
}

#[test]
fn a_killed_put_goes_on_after_its_finished_segments() {
    let sandbox = Sandbox::solo();
    let mut dice = Dice(26);
    sandbox.write("in/a-small", dice.bytes(5_000));
    sandbox.write("in/z-small", dice.bytes(5_000));
    let large = std::fs::File::create(sandbox.at("in/large")).unwrap();
    let size = (2u64 << 30) + (300 << 20) + 11;
    large.set_len(size).unwrap();
    let at = (1u64 << 30) + 12_345;
    let mark = dice.bytes(70_000);
    std::os::unix::fs::FileExt::write_all_at(&large, &mark, at).unwrap();
    let args = ["--format", "json", "put", "in", "lab/resumed", "--class", "internal"];
    killed_after_its_first_segment(&sandbox, &args);
    sandbox.run(["show", "lab/resumed"]).exits(3);

    let put = sandbox.run(args).exits(0).json();
    let (uploaded, reused) = (put["uploaded_bytes"].as_u64().unwrap(), put["reused_bytes"].as_u64().unwrap());
    assert_eq!(put["bytes"], size + 10_000);
    assert!(reused >= (1 << 30) - 65_536 && uploaded < size - (1 << 30) + (8 << 20), "{put}");
    let range = format!("{at}-{}", at + 69_999);
    assert!(sandbox.run(["cat", "lab/resumed/large", "--bytes", &range]).exits(0).stdout == mark);
    for name in ["a-small", "z-small"] {
        let cat = sandbox.run(["cat", &format!("lab/resumed/{name}")]).exits(0).stdout;
        assert!(cat == std::fs::read(sandbox.at(format!("in/{name}"))).unwrap(), "{name}");
    }
    sandbox.run(["get", "lab/resumed/large", "back"]).exits(0);
    let same = std::process::Command::new("cmp").arg(sandbox.at("in/large")).arg(sandbox.at("back")).status().unwrap();
    assert!(same.success(), "the plaintext digest was carried over");
    sandbox.run(["verify", "--all"]).exits(0);
    assert_eq!(std::fs::read_dir(sandbox.vault().join("drafts")).unwrap().count(), 0, "no journal is left");
}

#[test]
fn a_killed_put_starts_over_when_its_finished_segment_is_damaged() {
    let sandbox = Sandbox::solo();
    std::fs::create_dir(sandbox.at("in")).unwrap();
    let large = std::fs::File::create(sandbox.at("in/large")).unwrap();
    large.set_len((1u64 << 30) + (400 << 20)).unwrap();
    let args = ["--format", "json", "put", "in", "lab/resumed", "--class", "internal"];
    killed_after_its_first_segment(&sandbox, &args);
    // One bit in the middle of the finished segment, its length as before.
    let segment = sandbox.objects().swap_remove(0);
    let file = std::fs::File::options().read(true).write(true).open(&segment).unwrap();
    let mut byte = [0];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut byte, 600_000_000).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[byte[0] ^ 1], 600_000_000).unwrap();

    let put = sandbox.run(args).exits(0).json();
    assert_eq!(put["reused_bytes"], 0, "{put}");
    sandbox.run(["verify", "--all"]).exits(0);
    let listed = sandbox.run(["--format", "json", "status"]).exits(0).json();
    assert_eq!(listed["drafts"], 0, "the damaged draft was given up: {listed}");
}

/// Starts a put and kills it when its journal names a finished segment.
pub fn killed_after_its_first_segment(sandbox: &Sandbox, args: &[&str]) {
    let mut child = sandbox.command(args.iter().copied()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let journaled = || {
        let drafts = std::fs::read_dir(sandbox.vault().join("drafts")).into_iter().flatten().flatten();
        drafts.map(|entry| entry.path().join("00000000")).any(|record| record.exists())
    };
    while !journaled() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before its first segment was noted");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success(), "it was killed in the middle");
}
