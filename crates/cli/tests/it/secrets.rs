//! No key and no plaintext stays behind: not in the memory of a process that finished its work, not in any file.

use super::sandbox::{Dice, Ended, Sandbox, end};
use std::collections::BTreeMap;
use std::path::Path;
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

/// A plaintext whose every stretch of 24 bytes can be searched for, and the middle of it.
fn canary_text(seed: u64) -> (Vec<u8>, Vec<u8>) {
    let text = Dice(seed).bytes(200_000);
    let middle = text[100_000..100_024].to_vec();
    (text, middle)
}

fn key_file(sandbox: &Sandbox) -> Vec<u8> {
    let folder = sandbox.at("config/strongroom");
    let file = std::fs::read_dir(folder)
        .expect("the configuration")
        .flatten()
        .find(|e| e.path().extension().is_some_and(|x| x == "key"));
    std::fs::read(file.expect("a key file").path()).expect("the key file")
}

/// Every way the root key may be written down in its file: raw or hexadecimal.
fn root_keys(file: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(file);
    let word = text.split_whitespace().rfind(|w| w.len() >= 64 && w.bytes().all(|b| b.is_ascii_hexdigit()));
    match word {
        Some(word) => hex::decode(&word[word.len() - 64..]).expect("hexadecimal"),
        None => file[file.len() - 32..].to_vec(),
    }
}

#[test]
fn the_search_finds_what_is_there() {
    let sandbox = Sandbox::solo();
    let needles = BTreeMap::from([("argument", b"lab/visible-argument".to_vec())]);
    let (_, report) = search_memory(&sandbox, &needles, &sandbox.command(["show", "lab/visible-argument"]));
    assert!(report["found"]["argument"].is_array(), "a needle that is in memory is found: {report}");
}

#[test]
fn memory_holds_no_key_and_no_plaintext_after_the_work() {
    let sandbox = Sandbox::solo();
    let (text, middle) = canary_text(21);
    sandbox.write("canary.bin", &text);
    let needles = BTreeMap::from([("plaintext", middle), ("root-key", root_keys(&key_file(&sandbox)))]);
    for args in [
        &["put", "canary.bin", "lab/canary", "--class", "internal"][..],
        &["get", "lab/canary", "out.bin"],
        &["cat", "lab/canary", "--bytes", "90000-110000"],
        &["key", "rotate"],
        &["verify", "--all"],
    ] {
        let (_, report) = search_memory(&sandbox, &needles, &sandbox.command(args));
        assert_eq!(report["exit"], 0, "{args:?}");
        assert_eq!(report["found"], serde_json::json!({}), "{args:?}");
    }
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
    let file = sandbox.write("phrase.txt", format!("{phrase}\n"));
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
fn no_file_of_vault_or_depot_holds_plaintext_names_or_the_root_key() {
    let sandbox = Sandbox::solo();
    let (text, middle) = canary_text(22);
    sandbox.write("source/secret-project-name.bin", &text);
    sandbox.run(["put", "source", "lab/canary", "--class", "confidential"]).exits(0);
    sandbox.run(["get", "lab/canary", "copy"]).exits(0);
    let root = root_keys(&key_file(&sandbox));
    let mut open = vec![sandbox.vault(), sandbox.at("state")];
    let mut searched = 0;
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(path).expect("a folder").flatten().map(|e| e.path()));
            continue;
        }
        let bytes = std::fs::read(&path).expect("a file");
        searched += bytes.len();
        for (name, needle) in [
            ("plaintext", &middle[..]),
            ("a file name", b"secret-project-name"),
            ("the root key", &root),
            ("its hex", hex::encode(&root).as_bytes()),
        ] {
            let found = bytes.windows(needle.len()).any(|w| w == needle);
            assert!(!found, "{name} is in {}", path.display());
        }
    }
    assert!(searched > 200_000, "the vault was read");
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
        if line.split_whitespace().nth(4) == Some("0") && line.split_whitespace().nth(5) == Some("0") {
            break;
        }
        std::thread::yield_now();
    }
    drop(child.stdin.take());
    child.wait().expect("an end");
    let fields: Vec<_> = line.split_whitespace().collect();
    assert_eq!(fields.get(4..6), Some(&["0", "0"][..]), "soft and hard limit: {line}");
}
