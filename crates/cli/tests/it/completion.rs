//! What real shells offer while somebody types.

use super::sandbox::{Sandbox, end};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

/// A rehearsal vault with two workspaces, an alias, and one who may see one of them.
fn lab() -> Sandbox {
    let sandbox = Sandbox::rehearsal();
    sandbox.write("f", b"data");
    for (name, clearance, grant) in [("wanda", "confidential", "lab=writer"), ("alice", "internal", "lab=reader")] {
        sandbox.run(["principal", "add", name, "--clearance", clearance, "--grant", grant]).exits(0);
    }
    sandbox.run(["principal", "add", "willy", "--clearance", "confidential", "--grant", "ward=writer"]).exits(0);
    let put = ["put", "f", "lab/thing", "--class", "internal", "--alias", "prod"];
    sandbox.run(["--as", "wanda"].iter().chain(&put)).exits(0);
    sandbox.run(["--as", "wanda", "put", "f", "lab/other", "--class", "internal"]).exits(0);
    sandbox.run(["--as", "willy", "put", "f", "ward/scan", "--class", "internal"]).exits(0);
    sandbox
}

/// A shell that finds our program under its name.
fn shell(sandbox: &Sandbox, program: &str) -> Command {
    let plain = sandbox.command(["ls"]);
    let bin = std::path::Path::new(plain.get_program()).parent().unwrap();
    let path = std::env::join_paths(
        [bin.to_owned()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let mut command = Command::new(program);
    command.current_dir(sandbox.path()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", path.unwrap()).env("TERM", "dumb");
    command
}

/// What bash would put in the place of what follows the last break, the line being in these words.
fn bash(sandbox: &Sandbox, words: &[&str]) -> Vec<String> {
    const ASK: &str = r#"
        source <(strongroom completions bash)
        COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9; shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _strongroom
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let line = words.join(" ").replace(" @ ", "@").replace(" @", "@").replace(" = ", "=").replace(" =", "=");
    let mut command = shell(sandbox, "bash");
    command.args(["--norc", "-c", ASK, "bash", &line]).args(words);
    let ended = end(command).exits(0);
    assert!(ended.stderr.is_empty(), "{words:?}: {}", ended.stderr);
    let text = String::from_utf8(ended.stdout).unwrap();
    // Where a value may stand, a flag may too.
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('-')).map(str::to_owned).collect()
}

const NOTHING: [&str; 0] = [];

fn log_size(sandbox: &Sandbox) -> u64 {
    sandbox.run(["--format", "json", "status"]).exits(0).json()["log_size"].as_u64().unwrap()
}

#[test]
fn values_are_offered_from_the_vault_as_ls_shows_them() {
    let sandbox = lab();
    let before = log_size(&sandbox);
    for (words, offered) in [
        (&["strongroom", "--as", "wanda", "get", "la"][..], &["lab/"][..]),
        (&["strongroom", "--as", "wanda", "get", "lab/"], &["lab/other", "lab/thing"]),
        (&["strongroom", "--as", "wanda", "get", "lab/thing", "@", "p"], &["prod"]),
        (&["strongroom", "--as", "wanda", "get", "lab/thing", "@"], &["prod", "v1"]),
        (&["strongroom", "--as", "wanda", "run", "--input", "m", "=", "lab/t"], &["lab/thing"]),
        (&["strongroom", "--as", "wanda", "alias", "set", "lab/thing", ""], &["prod"]),
        (&["strongroom", "--as", "wanda", "put", "f", "lab/t"], &["lab/thing"]),
        (&["strongroom", "principal", "show", "wi"], &["willy"]),
        (&["strongroom", "principal", "erase", "wi"], &["willy"]),
        (&["strongroom", "--as", "wa"], &["wanda"]),
        (&["strongroom", "--as", "wanda", "key", "rotate", "--workspace", "l"], &["lab"]),
        (&["strongroom", "principal", "add", "bob", "--grant", "lab", "=", "a"], &["auditor"]),
        (&["strongroom", "put", "f", "lab/a", "--class", "=", "re"], &["restricted"]),
        (&["strongroom", "put", "f", "lab/a", "--env", ""], &["dev", "staging", "prod"]),
        (&["strongroom", "put", "f", "lab/a", "--kind", "m"], &["model"]),
        (&["strongroom", "principal", "add", "bob", "--kind", ""], &["user", "service", "workload"]),
        (&["strongroom", "init", "--mode", ""], &["solo", "rehearsal"]),
        (&["strongroom", "policy", "explain", "manage-"], &["manage-principals", "manage-policy", "manage-keys"]),
        (&["strongroom", "audit", "ex"], &["export"]),
        (&["strongroom", "--as", "wanda", "diff", "lab/thing", "@", "v1", "lab/ot"], &["lab/other"]),
        (&["strongroom", "--as", "wanda", "lineage", "show", "lab/t"], &["lab/thing"]),
        (&["strongroom", "--as", "wanda", "share", "lab/t"], &["lab/thing"]),
        (&["strongroom", "who-can", "rev"], &["review"]),
        (&["strongroom", "--as", "wanda", "who-did", "lab/o"], &["lab/other"]),
        (&["strongroom", "--as", "wanda", "alias", "history", "lab/thing", ""], &["prod"]),
        (&["strongroom", "--as", "wanda", "rm", "lab/thing", "@", "v"], &["v1"]),
        (&["strongroom", "--as", "wanda", "undelete", "lab/th"], &["lab/thing"]),
        (&["strongroom", "--as", "wanda", "retention", "set", "lab/o"], &["lab/other"]),
        (&["strongroom", "--as", "wanda", "hold", "ls", "la"], &["lab/"]),
        (&["strongroom", "jobs", "run", "rew"], &["rewrap"]),
        (&["strongroom", "--as", "wanda", "key", "suspend", "lab/o"], &["lab/other"]),
        (&["strongroom", "depot", "ch"], &["check"]),
    ] {
        assert_eq!(bash(&sandbox, words), offered, "{words:?}");
    }
    assert_eq!(log_size(&sandbox), before, "looking leaves no entry");
}

#[test]
fn what_may_not_be_listed_is_neither_offered_nor_asked_for() {
    let sandbox = lab();
    sandbox.run(["--as", "wanda", "put", "f", "lab/hidden", "--class", "confidential"]).exits(0);
    let before = log_size(&sandbox);
    for words in [
        &["strongroom", "--as", "alice", "get", "w"][..],
        &["strongroom", "--as", "alice", "get", "ward/"],
        &["strongroom", "--as", "alice", "get", "ward/scan", "@"],
        &["strongroom", "--as", "alice", "get", "lab/none", "@"],
        &["strongroom", "--as", "nobody", "get", "l"],
        &["strongroom", "--vault", "elsewhere", "get", "l"],
    ] {
        assert_eq!(bash(&sandbox, words), NOTHING, "{words:?}");
    }
    // As much as `ls` tells, and no more.
    let listed = sandbox.run(["--format", "json", "--as", "alice", "ls", "lab"]).exits(0).json();
    let listed: Vec<String> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| format!("lab/{}", item["name"].as_str().unwrap()))
        .collect();
    assert_eq!(bash(&sandbox, &["strongroom", "--as", "alice", "get", "lab/"]), listed);
    bash(&sandbox, &["strongroom", "--as", "alice", "get", "lab/hidden", "@"]);
    bash(&sandbox, &["strongroom", "--as", "alice", "principal", "show", ""]);
    assert_eq!(log_size(&sandbox), before, "no refusal was provoked");
}

#[test]
fn a_vault_that_only_a_passphrase_opens_is_not_asked_and_nothing_is_said() {
    let sandbox = Sandbox::new();
    let file = sandbox.write_private("words", "correct horse\n");
    let mut init = sandbox.command(["init", "--root", "passphrase", "--no-recovery"]);
    init.env("STRONGROOM_PASSPHRASE_FILE", &file);
    end(init).exits(0);
    let begun = Instant::now();
    for words in [&["strongroom", "get", ""][..], &["strongroom", "--passphrase-file", "words", "get", ""]] {
        assert_eq!(bash(&sandbox, words), NOTHING);
    }
    assert!(begun.elapsed() < Duration::from_secs(20));
    std::fs::write(sandbox.vault().join("vault.json"), b"{").unwrap();
    assert_eq!(bash(&sandbox, &["strongroom", "get", ""]), NOTHING);
    assert_eq!(bash(&Sandbox::new(), &["strongroom", "get", ""]), NOTHING);
}

/// Types at a shell of its own, presses Tab, and waits for what must come.
const TYPED: &str = r#"
import os, pty, select, sys, time
setup, typed, expected = sys.argv[1:4]
child, terminal = pty.fork()
if child == 0:
    os.execvp(sys.argv[4], sys.argv[4:])
shown = b""
def until(text):
    global shown
    deadline = time.monotonic() + 60
    while text.encode() not in shown:
        if time.monotonic() > deadline or not select.select([terminal], [], [], 60)[0]:
            sys.exit(f"no {text} in {shown}")
        shown += os.read(terminal, 65536)
    shown = b""
os.write(terminal, setup.encode() + b"; echo REA''DY\n")
until("READY")
os.write(terminal, typed.encode() + b"\t")
until(expected)
os.write(terminal, b"\x15exit\n")
"#;

/// A vault that a passphrase opens, with one workspace.
fn with_passphrase() -> Sandbox {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.at("run")).unwrap();
    std::fs::set_permissions(sandbox.at("run"), std::fs::Permissions::from_mode(0o700)).unwrap();
    sandbox.write_private("words", "correct horse\n");
    sandbox.write("f", b"data");
    for args in [&["init", "--root", "passphrase", "--no-recovery"][..], &["put", "f", "lab/a"]] {
        sandbox.run(["--passphrase-file", "words"].iter().chain(args)).exits(0);
    }
    sandbox
}

#[test]
fn an_agent_answers_for_a_vault_that_only_a_passphrase_opens() {
    let sandbox = with_passphrase();
    assert_eq!(bash(&sandbox, &["strongroom", "get", "la"]), NOTHING);
    sandbox.run(["--passphrase-file", "words", "unlock", "--for", "10m"]).exits(0);
    let offered = (bash(&sandbox, &["strongroom", "get", "la"]), bash(&sandbox, &["strongroom", "get", "lab/"]));
    let named = bash(&sandbox, &["strongroom", "--keyfile", "none", "get", "la"]);
    sandbox.run(["lock"]).exits(0);
    assert_eq!(offered, (vec!["lab/".to_owned()], vec!["lab/a".to_owned()]));
    assert_eq!(named, NOTHING, "who names a root does not mean the agent");
    assert_eq!(bash(&sandbox, &["strongroom", "get", "la"]), NOTHING);
}

#[test]
fn an_agent_that_is_silent_is_not_waited_for() {
    let sandbox = with_passphrase();
    let status = sandbox.run(["--passphrase-file", "words", "--format", "json", "unlock", "--dry-run"]).exits(0).json();
    let socket = std::path::PathBuf::from(status["socket"].as_str().unwrap());
    let folder = socket.parent().unwrap();
    std::fs::create_dir_all(folder).unwrap();
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    let silent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let begun = Instant::now();
    assert_eq!(bash(&sandbox, &["strongroom", "get", "la"]), NOTHING);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}: a command would wait for half a minute");
    silent.set_nonblocking(true).unwrap();
    assert!(silent.accept().is_ok(), "it was asked");
}

/// Every file below these folders, with what it holds.
fn files(folders: &[std::path::PathBuf]) -> std::collections::BTreeMap<std::path::PathBuf, Vec<u8>> {
    let (mut found, mut open) = (std::collections::BTreeMap::new(), folders.to_vec());
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                found.insert(path, bytes);
            }
        }
    }
    found
}

#[test]
fn looking_writes_nothing_into_the_vault_or_beside_it() {
    let sandbox = lab();
    let folders = [sandbox.vault(), sandbox.at("state"), sandbox.at("config")];
    let before = files(&folders);
    assert!(before.len() > 5, "{:?}", before.keys());
    for words in [
        &["strongroom", "--as", "wanda", "get", "lab/thing", "@"][..],
        &["strongroom", "principal", "show", ""],
        &["strongroom", "jobs", "run", ""],
    ] {
        assert_ne!(bash(&sandbox, words), NOTHING, "{words:?}");
    }
    let after = files(&folders);
    let changed: Vec<_> =
        before.keys().chain(after.keys()).filter(|path| before.get(*path) != after.get(*path)).collect();
    assert!(changed.is_empty(), "{changed:?}");
}

#[test]
fn bash_and_zsh_complete_while_somebody_types() {
    let sandbox = lab();
    let zsh = "autoload -Uz compinit; compinit -u -D; source <(strongroom completions zsh)";
    for (shell_line, setup) in
        [(&["bash", "--norc", "-i"][..], "source <(strongroom completions bash)"), (&["zsh", "-f", "-i"], zsh)]
    {
        for (typed, rest) in [
            ("strongroom --as wanda get lab/th", "ing"),
            ("strongroom --as wanda get lab/thing@pr", "od"),
            ("strongroom put f lab/a --class=re", "stricted"),
            ("strongroom whoa", "mi"),
        ] {
            let mut command = shell(&sandbox, "python3");
            command.args(["-c", TYPED, setup, typed, rest]).args(shell_line);
            end(command).exits(0);
        }
    }
}

#[test]
fn fish_completes_values() {
    let sandbox = lab();
    for (line, offered) in [
        ("strongroom --as wanda get lab/", "lab/other\nlab/thing\n"),
        ("strongroom --as wanda get lab/thing@p", "lab/thing@prod\n"),
        ("strongroom put f lab/a --class=re", "--class=restricted\n"),
    ] {
        let script = format!("strongroom completions fish | source; complete -C '{line}'");
        let mut command = shell(&sandbox, "fish");
        command.args(["--no-config", "-c", &script]);
        let ended = end(command).exits(0);
        assert_eq!(String::from_utf8(ended.stdout).unwrap(), offered, "{line}: {}", ended.stderr);
    }
}

#[test]
fn an_answer_comes_soon() {
    let sandbox = lab();
    let mut times = Vec::new();
    for _ in 0..5 {
        let mut command = sandbox.command(["--", "strongroom", "--as", "wanda", "get", "lab/"]);
        command.env("STRONGROOM_COMPLETE", "bash").env("STRONGROOM_INDEX", "4");
        let begun = Instant::now();
        assert!(end(command).exits(0).text().contains("lab/thing"));
        times.push(begun.elapsed());
    }
    times.sort();
    // The fastest of some: other tests run beside this one.
    assert!(times[0] < Duration::from_millis(500), "{times:?}");
}
