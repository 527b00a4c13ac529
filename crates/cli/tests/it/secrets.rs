//! No key and no plaintext stays behind: not in the memory of a process that finished its work, not in any file.

use super::agent::with_runtime;
use super::inside::{joined, key_file, known, stretched, wrapped_keys, wrapped_under};
use super::roots::Token;
use super::sandbox::{Dice, Ended, Sandbox, end};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

type Needles = BTreeMap<&'static str, Vec<u8>>;

/// Runs the binary and searches its memory when it exits; gives what it printed and what was found.
fn search_memory(sandbox: &Sandbox, needles: &Needles, prepared: &Command) -> (Ended, serde_json::Value) {
    search_memory_fed(sandbox, needles, prepared, Stdio::null())
}

/// The same with something on standard input.
fn search_memory_fed(
    sandbox: &Sandbox,
    needles: &Needles,
    prepared: &Command,
    stdin: Stdio,
) -> (Ended, serde_json::Value) {
    let list: String = needles.iter().map(|(name, bytes)| format!("{name} {}\n", hex::encode(bytes))).collect();
    let list = sandbox.write("needles.txt", list);
    // Without root, a user namespace gives the right to trace a process that made itself undumpable.
    let mut command = if rustix::process::geteuid().is_root() {
        Command::new("python3")
    } else {
        let mut unshare = Command::new("unshare");
        unshare.args(["--map-root-user", "python3"]);
        unshare
    };
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/memory_at_exit.py"));
    command.arg(&list).arg(prepared.get_program()).args(prepared.get_args()).current_dir(sandbox.path()).env_clear();
    for (name, value) in prepared.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command.stdin(stdin);
    let ended = end(command).exits(0);
    std::fs::remove_file(list).expect("the needles");
    let last = ended.stderr.lines().last().unwrap_or_default().to_owned();
    let report: serde_json::Value = serde_json::from_str(&last).unwrap_or_else(|e| panic!("{e}: {}", ended.stderr));
    assert!(report["bytes"].as_u64().is_some_and(|b| b > 1 << 20), "memory was read: {report}");
    (ended, report)
}

/// Runs the binary and keeps its memory as it was at its exit.
fn dumped(sandbox: &Sandbox, prepared: &Command) -> (serde_json::Value, Vec<u8>) {
    let dump = sandbox.at("memory.dump");
    let mut command = sandbox.command(prepared.get_args());
    command.envs(prepared.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("MEMORY_DUMP", &dump);
    let (_, report) = search_memory(sandbox, &Needles::new(), &command);
    let memory = std::fs::read(&dump).expect("a dump");
    std::fs::remove_file(dump).expect("a dump");
    assert_eq!(report["bytes"].as_u64(), Some(memory.len() as u64), "all of it");
    (report, memory)
}

/// A plaintext whose every stretch of 24 bytes can be searched for, and the middle of it.
fn canary_text(seed: u64) -> (Vec<u8>, Vec<u8>) {
    let text = Dice(seed).bytes(200_000);
    let middle = text[100_000..100_024].to_vec();
    (text, middle)
}

/// Everything secret that the vault can open now, raw and in hexadecimal digits: the root, each key that it keeps wrapped, and the
/// keys of this version and its packs.
fn secrets_of(sandbox: &Sandbox, reference: &str) -> Vec<(String, Vec<u8>)> {
    let mut keys = wrapped_keys(sandbox);
    keys.extend(known(sandbox, reference).keys());
    for name in ["root", "domain", "version", "pack", "list", "map", "row-mac", "field", "release", "log-"] {
        assert!(keys.keys().any(|key| key.starts_with(name)), "no {name} key among {:?}", keys.keys());
    }
    let digits = |(name, key): (&String, &Vec<u8>)| (format!("{name} in digits"), hex::encode(key).into_bytes());
    let digits: Vec<_> = keys.iter().map(digits).collect();
    keys.into_iter().chain(digits).collect()
}

/// Which of these are in the bytes.
fn found_in(bytes: &[u8], needles: &[(String, Vec<u8>)]) -> Vec<String> {
    // One look at each place tells most of them apart.
    let mut starts = vec![false; 1 << 16];
    let start = |bytes: &[u8]| usize::from(u16::from_le_bytes([bytes[0], bytes[1]]));
    needles.iter().for_each(|(_, needle)| starts[start(needle)] = true);
    let mut found = Vec::new();
    for at in 0..bytes.len().saturating_sub(1) {
        let rest = &bytes[at..];
        if starts[start(rest)] {
            found.extend(needles.iter().filter(|(_, needle)| rest.starts_with(needle)).map(|(name, _)| name.clone()));
        }
    }
    found
}

/// Every file below these folders, with what it holds of the needles; answers how many bytes were searched.
#[track_caller]
fn no_file_holds(folders: Vec<PathBuf>, needles: &[(String, Vec<u8>)]) -> usize {
    let (mut open, mut searched) = (folders, 0);
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(path).expect("a folder").flatten().map(|e| e.path()));
            continue;
        }
        let bytes = std::fs::read(&path).expect("a file");
        searched += bytes.len();
        assert_eq!(found_in(&bytes, needles), [""; 0], "{}", path.display());
    }
    searched
}

#[test]
fn the_search_finds_what_is_there() {
    let sandbox = Sandbox::solo();
    let needles = BTreeMap::from([("argument", b"lab/visible-argument".to_vec())]);
    let show = || sandbox.command(["show", "lab/visible-argument"]);
    let (_, report) = search_memory(&sandbox, &needles, &show());
    assert!(report["found"]["argument"].is_array(), "a needle that is in memory is found: {report}");
    let needle = ("argument".to_owned(), b"lab/visible-argument".to_vec());
    let absent = ("another".to_owned(), Dice(1).bytes(32));
    let (_, memory) = dumped(&sandbox, &show());
    assert!(found_in(&memory, &[needle, absent]).iter().all(|name| name == "argument"));
    assert!(!found_in(&memory, &[("argument".to_owned(), b"lab/visible-argument".to_vec())]).is_empty());
}

#[test]
fn memory_holds_no_key_and_no_plaintext_after_the_work() {
    let sandbox = Sandbox::solo();
    let (text, middle) = canary_text(21);
    sandbox.write("in/canary.bin", &text);
    sandbox.write("in/other.bin", b"other");
    let put = ["put", "in", "lab/canary", "--class", "internal"];
    for args in [
        &put[..],
        &["get", "lab/canary", "out"],
        &["cat", "lab/canary/canary.bin", "--bytes", "90000-110000"],
        &["ls", "lab/canary"],
        &["key", "rotate"],
        // Shares a pack with the version before.
        &put,
        &["get", "lab/canary@v1/canary.bin", "alone"],
        &["verify", "--all", "--state"],
        &["audit", "verify"],
        &["gc", "--grace", "0s", "--yes"],
    ] {
        let (report, memory) = dumped(&sandbox, &sandbox.command(args));
        assert_eq!(report["exit"], 0, "{args:?}");
        // Only now is every key of it known.
        let mut needles = secrets_of(&sandbox, "lab/canary");
        needles.push(("plaintext".to_owned(), middle.clone()));
        assert_eq!(found_in(&memory, &needles), [""; 0], "{args:?}");
        sandbox.write("in/other.bin", args.join(" "));
    }
}

/// What agents seal and open as a value.
fn small_value() -> Vec<u8> {
    Dice(24).bytes(40)
}

/// The memory of an agent when it ends, after it worked and then was ended so; and with what it was opened.
fn memory_of(sandbox: &Sandbox, mut unlock: Command, ended_by: fn(&Sandbox, i32)) -> (Vec<u8>, String) {
    sandbox.write("in/canary.bin", canary_text(22).0);
    let value = small_value();
    sandbox.write("value", &value);
    let dump = sandbox.at("memory.dump");
    unlock.env("MEMORY_DUMP", &dump);
    let unlock = &unlock;
    let root = std::thread::scope(|scope| {
        let searched = scope.spawn(move || search_memory(sandbox, &Needles::new(), unlock));
        // Before it is there, what wants a passphrase is refused.
        let status = || Some(sandbox.run(["--format", "json", "status"])).filter(|ended| ended.code == 0);
        let unlocked = || status().map(|status| status.json()["unlocked"].clone()).filter(|told| !told.is_null());
        let unlocked = std::iter::repeat_with(unlocked).take(1_000).flatten().next().expect("an agent");
        for args in [
            &["put", "in", "lab/canary", "--class", "internal"][..],
            &["get", "lab/canary", "out"],
            &["key", "rotate"],
            &["verify", "--all", "--state"],
            &["cat", "lab/canary/canary.bin"],
            &["key", "create", "lab/db", "--class", "internal"],
        ] {
            sandbox.run(args).exits(0);
        }
        // A small value goes in and comes back.
        sandbox.write("token", sandbox.run(["encrypt", "--key", "lab/db", "value"]).exits(0).stdout);
        assert_eq!(sandbox.run(["decrypt", "token"]).exits(0).stdout, value);
        ended_by(sandbox, i32::try_from(unlocked["pid"].as_i64().unwrap()).unwrap());
        let (_, report) = searched.join().expect("a search");
        assert_eq!(report["exit"], 0, "{report}");
        unlocked["root"].as_str().unwrap().to_owned()
    });
    let memory = std::fs::read(&dump).expect("a dump");
    std::fs::remove_file(dump).expect("a dump");
    (memory, root)
}

/// The names of what is in there.
fn names_in(memory: &[u8], needles: &[(String, Vec<u8>)]) -> Vec<String> {
    let mut found = found_in(memory, needles);
    found.sort();
    found.dedup();
    found
}

fn locked(sandbox: &Sandbox, _: i32) {
    sandbox.run(["lock"]).exits(0);
}

/// It has no time to overwrite anything.
fn aborted(_: &Sandbox, pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::ABORT).unwrap();
}

/// What of its secrets is in memory of an agent that a key file opened.
fn memory_of_an_agent(ended_by: fn(&Sandbox, i32)) -> Vec<String> {
    let sandbox = with_runtime(Sandbox::solo());
    let (memory, _) = memory_of(&sandbox, sandbox.command(["unlock", "--for", "1h"]), ended_by);
    let mut needles = secrets_of(&sandbox, "lab/canary");
    needles.push(("value in digits".to_owned(), hex::encode(small_value()).into_bytes()));
    needles.push(("value".to_owned(), small_value()));
    names_in(&memory, &needles)
}

/// What of them, of the passphrase, and of the key into which it was stretched, is in memory of one that a passphrase opened.
fn memory_after_a_passphrase(ended_by: fn(&Sandbox, i32)) -> Vec<String> {
    let (sandbox, phrase) = (Sandbox::new(), "correct-horse-7f3a91-battery");
    let file = sandbox.write_private("phrase.txt", format!("{phrase}\n")).display().to_string();
    sandbox.run(["init", "--root", "passphrase", "--no-recovery", "--passphrase-file", &file]).exits(0);
    let sandbox = with_runtime(sandbox);
    let unlock = sandbox.command(["unlock", "--for", "1h", "--passphrase-file", &file]);
    let (memory, root) = memory_of(&sandbox, unlock, ended_by);
    assert_eq!(root, "passphrase");
    let keys = wrapped_under(&sandbox, stretched(&sandbox, phrase.as_bytes()));
    assert!(keys.len() > 8 && keys.contains_key("root"), "{:?}", keys.keys());
    let needles = keys.into_iter().chain([("passphrase".to_owned(), phrase.as_bytes().to_vec())]).collect::<Vec<_>>();
    names_in(&memory, &needles)
}

/// What of them, and of the PIN, is in memory of one that a token opened.
fn memory_after_a_pin(ended_by: fn(&Sandbox, i32)) -> Vec<String> {
    let pin = "4711-0815-7f3a91-pin";
    let token = Token::beside(Sandbox::solo(), pin);
    token.add();
    let (memory, root) = memory_of(&token.sandbox, token.command(&["unlock", "--for", "1h"]), ended_by);
    assert_eq!(root, "pkcs11");
    let mut needles: Vec<_> = wrapped_keys(&token.sandbox).into_iter().collect();
    needles.push(("pin".to_owned(), pin.as_bytes().to_vec()));
    names_in(&memory, &needles)
}

#[test]
fn memory_of_an_agent_holds_no_passphrase_and_no_key_of_it_after_lock() {
    assert_eq!(memory_after_a_passphrase(locked), [""; 0]);
    let found = memory_after_a_passphrase(aborted);
    assert!(found.iter().any(|name| name == "root"), "{found:?}");
}

#[test]
fn memory_of_an_agent_holds_no_pin_after_lock() {
    assert_eq!(memory_after_a_pin(locked), [""; 0]);
    let found = memory_after_a_pin(aborted);
    assert!(found.iter().any(|name| name == "pin"), "{found:?}");
}

#[test]
fn memory_holds_no_seed_and_no_share_after_an_escrow_was_made_rehearsed_and_used() {
    let sandbox = Sandbox::solo();
    sandbox.write("f", b"hello");
    sandbox.run(["put", "f", "lab/net", "--class", "internal"]).exits(0);
    let create = ["--format", "json", "escrow", "create", "--shares", "3", "--threshold", "2", "--into", "."];
    let (report, made) = dumped(&sandbox, &sandbox.command(create));
    assert_eq!(report["exit"], 0);
    let files: Vec<PathBuf> =
        std::fs::read_dir(sandbox.path()).expect("a folder").map(|e| e.expect("e").path()).collect();
    let mut files: Vec<PathBuf> =
        files.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "txt")).collect();
    files.sort();
    assert_eq!(files.len(), 3);
    let groups = |line: &&str| line.split('-').count() == 8 && line.split('-').all(|group| group.len() == 5);
    let text = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).expect("a share");
        text.lines().map(str::trim).filter(groups).map(str::to_owned).collect::<Vec<_>>()
    };
    let lines: Vec<Vec<String>> = files.iter().map(text).collect();
    let shares: Vec<String> = lines.iter().map(|lines| lines.join("-")).collect();
    let [seed, key] = joined(&sandbox, &shares[..2]);
    // Any two make the same.
    assert_eq!(joined(&sandbox, &shares[1..])[0], seed);
    let mut needles = vec![
        ("seed in digits".to_owned(), hex::encode(&seed).into_bytes()),
        ("seed".to_owned(), seed),
        ("key".to_owned(), key),
    ];
    // The first lines say which share of what it is, and are public.
    for (n, lines) in lines.iter().enumerate() {
        needles.extend(lines.iter().skip(1).map(|line| (format!("share {n}"), line.clone().into_bytes())));
    }
    assert_eq!(names_in(&made, &needles), [""; 0], "create");
    let named = |path: &PathBuf| path.display().to_string();
    let with = ["--share".to_owned(), named(&files[2]), "--share".to_owned(), named(&files[0])];
    for verb in ["rehearse", "recover"] {
        let mut command = sandbox.command(["escrow", verb].iter().map(|word| (*word).to_owned()).chain(with.clone()));
        if verb == "recover" {
            // Another machine, with nothing but the vault's folder and the shares.
            for folder in ["config", "state"] {
                std::fs::rename(sandbox.at(folder), sandbox.at(format!("{folder}-before"))).expect("a move");
            }
            command.arg("--no-recovery");
        }
        let (report, memory) = dumped(&sandbox, &command);
        assert_eq!(report["exit"], 0, "{verb}");
        assert_eq!(names_in(&memory, &needles), [""; 0], "{verb}");
    }
    assert_eq!(sandbox.run(["cat", "lab/net"]).exits(0).stdout, b"hello");
}

#[test]
fn memory_of_an_agent_holds_no_key_after_lock() {
    assert_eq!(memory_of_an_agent(locked), [""; 0]);
    // The same search finds them in one that has no time to overwrite them.
    let found = memory_of_an_agent(aborted);
    assert!(found.iter().any(|name| name.starts_with("domain")), "{found:?}");
}

#[test]
fn memory_holds_no_plaintext_after_standard_input_comparisons_and_failures() {
    let sandbox = Sandbox::solo();
    let text = Dice(23).bytes(3_000_000);
    let places = [("start", 0), ("early", 8_100), ("middle", 1_500_000), ("late", 2_990_000), ("end", text.len() - 24)];
    let needles: Needles = places.map(|(name, at)| (name, text[at..at + 24].to_vec())).into();
    let canary = sandbox.write("in/canary.bin", &text);
    let clean = |args: &[&str], stdin: Stdio, exit: i64| {
        let (ended, report) = search_memory_fed(&sandbox, &needles, &sandbox.command(args), stdin);
        assert_eq!(
            (&report["exit"], &report["found"]),
            (&exit.into(), &serde_json::json!({})),
            "{args:?} {}",
            ended.stderr
        );
    };
    let open = || Stdio::from(std::fs::File::open(&canary).expect("the canary"));
    clean(&["put", "-", "lab/stdin", "--class", "internal"], open(), 0);
    clean(&["put", "in", "lab/canary", "--class", "internal"], Stdio::null(), 0);
    // Other times, the same bytes: it is read and compared, not put.
    let file = std::fs::File::options().write(true).open(&canary).expect("the canary");
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000)).expect("a time");
    clean(&["put", "in", "lab/canary", "--class", "internal"], Stdio::null(), 0);
    clean(&["cat", "lab/canary/canary.bin", "--bytes", "1000000-2995000"], Stdio::null(), 0);
    // The last group is damaged: what came before it was opened already.
    let segment = sandbox.objects().swap_remove(0);
    let mut bytes = std::fs::read(&segment).expect("a segment");
    bytes[2_950_000] ^= 1;
    std::fs::write(&segment, &bytes).expect("a segment");
    let other = sandbox.objects().swap_remove(1);
    let mut bytes = std::fs::read(&other).expect("a segment");
    bytes[2_950_000] ^= 1;
    std::fs::write(&other, &bytes).expect("a segment");
    clean(&["get", "lab/canary", "out"], Stdio::null(), 7);
    clean(&["cat", "lab/stdin"], Stdio::null(), 7);
}

#[test]
fn memory_holds_no_passphrase_after_the_work() {
    let sandbox = Sandbox::new();
    let phrase = "correct-horse-7f3a91-battery";
    let file = sandbox.write_private("phrase.txt", format!("{phrase}\n"));
    let file = file.display().to_string();
    let mut init = sandbox.command(["init", "--root", "passphrase", "--no-recovery"]);
    init.env("STRONGROOM_PASSPHRASE_FILE", &file);
    end(init).exits(0);
    let needles = BTreeMap::from([("passphrase", phrase.as_bytes().to_vec())]);
    let mut list = sandbox.command(["ls"]);
    list.env("STRONGROOM_PASSPHRASE_FILE", &file);
    let (_, report) = search_memory(&sandbox, &needles, &list);
    assert_eq!(report["exit"], 0);
    assert_eq!(report["found"], serde_json::json!({}));
}

#[test]
fn no_file_of_vault_or_depot_holds_plaintext_names_or_a_key() {
    let sandbox = Sandbox::solo();
    let (text, middle) = canary_text(22);
    sandbox.write("source/secret-project-name.bin", &text);
    sandbox.run(["put", "source", "lab/canary", "--class", "confidential"]).exits(0);
    sandbox.run(["get", "lab/canary", "copy"]).exits(0);
    sandbox.run(["key", "rotate"]).exits(0);
    sandbox.write("source/another.bin", b"another");
    sandbox.run(["put", "source", "lab/canary", "--class", "confidential"]).exits(0);
    let mut needles = secrets_of(&sandbox, "lab/canary");
    needles.push(("plaintext".to_owned(), middle));
    needles.push(("a file name".to_owned(), b"secret-project-name".to_vec()));
    let searched = no_file_holds(vec![sandbox.vault(), sandbox.at("state")], &needles);
    assert!(searched > 200_000, "the vault was read");
    let key = std::fs::read(key_file(&sandbox)).expect("the key file");
    assert_eq!(found_in(&key, &needles), ["root in digits"], "what is there is found");
}

#[test]
fn what_a_killed_put_leaves_holds_no_plaintext_no_name_and_no_key() {
    let sandbox = Sandbox::solo();
    let marks = [("before", 25_u64), ("first segment", 600 << 20), ("cut off", (1 << 30) + (50 << 20))];
    sandbox.write("in/a-secret-name", Dice(61).bytes(5_000));
    let large = std::fs::File::create(sandbox.at("in/large-secret-name")).expect("a file");
    large.set_len((1 << 30) + (400 << 20)).expect("a size");
    let mut needles = vec![("a name".to_owned(), b"secret-name".to_vec())];
    needles.push((
        "a small file".to_owned(),
        std::fs::read(sandbox.at("in/a-secret-name")).expect("a file")[..32].to_vec(),
    ));
    for (n, (name, at)) in marks.into_iter().enumerate() {
        let mark = Dice(62 + n as u64).bytes(70_000);
        std::os::unix::fs::FileExt::write_all_at(&large, &mark, at).expect("a mark");
        needles.push((name.to_owned(), mark[40_000..40_032].to_vec()));
    }
    let put = ["--format", "json", "put", "in", "lab/killed", "--class", "confidential"];
    super::sources::killed_after_its_first_segment(&sandbox, &put);
    // As it is now: the next put goes on with it and tidies up.
    let left = sandbox.at("left");
    let copied = std::process::Command::new("cp").args(["-al"]).arg(sandbox.vault()).arg(&left).status().expect("cp");
    assert!(copied.success());
    for entry in std::fs::read_dir(sandbox.vault()).expect("the vault").flatten().filter(|e| e.path().is_file()) {
        super::attacks::overwrite(&left.join(entry.file_name()), &std::fs::read(entry.path()).expect("a file"));
    }
    assert!(left.join("drafts").read_dir().expect("drafts").count() > 0, "a journal is left");
    let resumed = sandbox.run(put).exits(0).json();
    assert!(resumed["reused_bytes"].as_u64() >= Some((1 << 30) - 65_536), "the same pack key: {resumed}");
    needles.extend(secrets_of(&sandbox, "lab/killed"));
    let searched = no_file_holds(vec![left, sandbox.vault(), sandbox.at("state")], &needles);
    assert!(searched > 2 << 30, "the segments were read: {searched}");
}

#[test]
fn core_dumps_are_off() {
    let sandbox = Sandbox::solo();
    sandbox.write("big.bin", Dice(5).bytes(1000));
    let mut child =
        sandbox.command(["put", "-", "lab/stdin"]).stdin(std::process::Stdio::piped()).spawn().expect("a child");
    let limits = format!("/proc/{}/limits", child.id());
    let mut line = String::new();
    // The limit is set before anything else is done; wait until exec and that happened, at most a few seconds.
    for _ in 0..20_000 {
        let text = std::fs::read_to_string(&limits).unwrap_or_default();
        line = text.lines().find(|l| l.starts_with("Max core file size")).unwrap_or_default().to_owned();
        if line.split_whitespace().nth(4) == Some("1") && line.split_whitespace().nth(5) == Some("1") {
            break;
        }
        std::thread::yield_now();
    }
    drop(child.stdin.take());
    child.wait().expect("an end");
    let fields: Vec<_> = line.split_whitespace().collect();
    // One byte is less than any core, and the one limit at which the kernel hands none to a program either.
    assert_eq!(fields.get(4..6), Some(&["1", "1"][..]), "soft and hard limit: {line}");
}

/// A command without the privileges of an administrator, who may look into everything.
fn unprivileged(program: &std::ffi::OsStr) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-all", "--inh-caps=-all"]).arg(program);
    command
}

#[test]
fn a_living_process_is_not_looked_into_by_others_of_the_same_account() {
    let sandbox = Sandbox::solo();
    let piped = Stdio::piped;
    let seen = |child: &std::process::Child| {
        let environ = format!("/proc/{}/environ", child.id());
        unprivileged("cat".as_ref()).arg(environ).output().expect("a look").status.success()
    };
    // It is started, and then some: both copy their input.
    let until = |child: &std::process::Child, expected: bool| (0..500).any(|_| seen(child) == expected);
    let mut other = unprivileged("cat".as_ref()).stdin(piped()).spawn().expect("a child");
    assert!(until(&other, true), "another program is looked into");
    drop(other.stdin.take());
    other.wait().expect("an end");
    let put = sandbox.command(["put", "-", "lab/stdin"]);
    let mut command = unprivileged(put.get_program());
    command.args(put.get_args()).current_dir(sandbox.path()).env_clear();
    command.envs(put.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = command.stdin(piped()).spawn().expect("a child");
    assert!(until(&child, false), "it can be looked into");
    // It stays so while it works.
    child.stdin.as_mut().expect("a pipe").write_all(&[7; 200_000]).expect("written");
    assert!(!seen(&child) && child.try_wait().expect("a state").is_none(), "it can be looked into at work");
    drop(child.stdin.take());
    assert!(child.wait().expect("an end").success());
}
