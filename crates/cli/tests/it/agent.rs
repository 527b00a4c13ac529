//! `unlock` and `lock`: the process between them, who reaches it, and what is left of it.

use super::sandbox::{Dice, Ended, Sandbox, end};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A sandbox with a folder for what runs. Its agents end with it: they look at the vault's folder every second.
pub(super) fn with_runtime(sandbox: Sandbox) -> Sandbox {
    std::fs::create_dir(sandbox.at("run")).unwrap();
    std::fs::set_permissions(sandbox.at("run"), std::fs::Permissions::from_mode(0o700)).unwrap();
    sandbox.write("f", b"hello");
    sandbox
}

pub(super) fn passphrase() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write_private("phrase", b"correct horse");
    let mut init = sandbox.command(["init", "--root", "passphrase", "--no-recovery"]);
    init.env("STRONGROOM_PASSPHRASE_FILE", sandbox.at("phrase"));
    end(init).exits(0);
    with_runtime(sandbox)
}

fn unlock(sandbox: &Sandbox, args: &[&str]) -> Value {
    let mut command = sandbox.command(["--format", "json", "unlock"].iter().chain(args));
    command.env("STRONGROOM_PASSPHRASE_FILE", sandbox.at("phrase"));
    end(command).exits(0).json()
}

fn keyfile() -> Sandbox {
    with_runtime(Sandbox::solo())
}

fn lock(sandbox: &Sandbox) -> Value {
    sandbox.run(["--format", "json", "lock"]).exits(0).json()
}

fn unlocked(sandbox: &Sandbox) -> Value {
    sandbox.run(["--format", "json", "status"]).exits(0).json()["unlocked"].clone()
}

fn pid(unlocked: &Value) -> i32 {
    i32::try_from(unlocked["pid"].as_u64().expect("a process")).unwrap()
}

fn lives(pid: i32) -> bool {
    // A zombie waits for whoever adopts it; it holds nothing any more.
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !status.is_empty() && !status.contains(") Z ")
}

fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert!(ends(pid.as_raw_nonzero().get()));
}

/// Whether it is gone, or soon: between its files' end and its own the kernel may have another to look after.
fn ends(pid: i32) -> bool {
    (0..2_000_000).any(|_| {
        std::thread::yield_now();
        !lives(pid)
    })
}

fn socket(sandbox: &Sandbox) -> PathBuf {
    let folder = std::fs::read_dir(sandbox.at("run/strongroom")).unwrap();
    let sockets = folder.map(|entry| entry.unwrap().path()).find(|path| path.extension().is_some_and(|e| e == "sock"));
    sockets.expect("a socket")
}

#[test]
fn an_unlocked_vault_asks_for_no_passphrase_until_it_is_locked() {
    let sandbox = passphrase();
    let refused = sandbox.run(["put", "f", "lab/a"]).exits(4);
    assert!(refused.stderr.contains("try: strongroom unlock"), "{}", refused.stderr);
    let told = unlock(&sandbox, &[]);
    assert_eq!(told["until"].as_u64().unwrap() - told["since"].as_u64().unwrap(), 8 * 3_600_000);
    assert_eq!(told["root"], "passphrase");
    sandbox.run(["put", "f", "lab/a"]).exits(0);
    assert_eq!(sandbox.run(["cat", "lab/a"]).exits(0).stdout, b"hello");
    sandbox.run(["get", "lab/a", "out"]).exits(0);
    sandbox.run(["audit", "export", "copy"]).exits(0);
    assert!(sandbox.at("copy/checkpoint").is_file(), "a path of the command's folder, not of the agent's");
    sandbox.run(["verify", "--all", "--state"]).exits(0);
    sandbox.run(["gc"]).exits(0);
    let shown = unlocked(&sandbox);
    assert_eq!((&shown["until"], &shown["pid"]), (&told["until"], &told["pid"]));
    assert!(sandbox.run(["status"]).exits(0).text().contains("unlocked     until "));
    assert_eq!(lock(&sandbox)["was"], "unlocked");
    assert_eq!(lock(&sandbox)["was"], "locked");
    assert!(sandbox.run(["lock"]).exits(0).text().contains("it was locked already"));
    sandbox.run(["cat", "lab/a"]).exits(4);
    assert!(ends(pid(&told)), "its memory is gone with it");
    // What it did is in the log.
    let mut tail = sandbox.command(["--format", "json", "audit", "query", "--act", "vault"]);
    tail.env("STRONGROOM_PASSPHRASE_FILE", sandbox.at("phrase"));
    let acts = end(tail).exits(0).json();
    let acts: Vec<&str> =
        acts["items"].as_array().unwrap().iter().map(|i| i["entry"]["act"].as_str().unwrap()).collect();
    assert_eq!(acts.iter().filter(|act| **act == "vault.unlock").count(), 1, "{acts:?}");
    assert_eq!(acts.iter().filter(|act| **act == "vault.lock").count(), 1, "{acts:?}");
}

#[test]
fn unlocking_again_sets_another_time_and_wants_the_root_again() {
    let sandbox = passphrase();
    let first = unlock(&sandbox, &["--for", "8h"]);
    let second = unlock(&sandbox, &["--for", "2m"]);
    assert_eq!(first["pid"], second["pid"], "the same agent");
    assert_eq!(second["until"].as_u64().unwrap() - second["since"].as_u64().unwrap(), 120_000);
    assert_eq!(unlocked(&sandbox)["until"], second["until"]);
    sandbox.write_private("phrase", b"wrong");
    let mut wrong = sandbox.command(["unlock"]);
    wrong.env("STRONGROOM_PASSPHRASE_FILE", sandbox.at("phrase"));
    end(wrong).exits(4);
    assert_eq!(unlocked(&sandbox)["until"], second["until"], "nothing changed");
    for time in ["59s", "169h", "8d"] {
        let refused = sandbox.run(["unlock", "--for", time]).exits(2);
        assert!(refused.stderr.contains("from 1m to 7d"), "{}", refused.stderr);
    }
    lock(&sandbox);
}

#[test]
fn a_command_that_names_a_root_or_an_anchor_opens_the_vault_itself() {
    let sandbox = keyfile();
    unlock(&sandbox, &[]);
    let key = sandbox.at("config/strongroom");
    let key = std::fs::read_dir(key).unwrap().next().unwrap().unwrap().path();
    std::fs::rename(&key, sandbox.at("away.key")).unwrap();
    sandbox.run(["ls"]).exits(0);
    sandbox.run(["ls", "--keyfile", "away.key"]).exits(0);
    sandbox.run(["ls", "--keyfile", "nothing.key"]).exits(4);
    let unproven =
        sandbox.run(["--format", "json", "status", "--keyfile", "away.key", "--anchor", "no.anchor"]).exits(0);
    assert_eq!(unproven.json()["freshness"], "unproven");
    assert_eq!(unlocked(&sandbox)["root"], "keyfile");
    lock(&sandbox);
    sandbox.run(["ls"]).exits(4);
}

#[test]
fn who_acts_and_what_they_assert_goes_with_the_session() {
    let sandbox = with_runtime(Sandbox::rehearsal());
    unlock(&sandbox, &[]);
    sandbox.run(["principal", "add", "wanda", "--clearance", "confidential", "--grant", "lab=writer"]).exits(0);
    sandbox.run(["--as", "wanda", "put", "f", "lab/a", "--class", "confidential"]).exits(0);
    sandbox.run(["--as", "wanda", "--assert", "mfa=none", "cat", "lab/a"]).exits(5);
    sandbox.run(["--as", "wanda", "cat", "lab/a"]).exits(0);
    sandbox.run(["--as", "nobody", "ls"]).exits(3);
    let status = sandbox.run(["--as", "wanda", "--format", "json", "status"]).exits(0).json();
    assert_eq!(status["principal"], "wanda");
    lock(&sandbox);
}

#[test]
fn two_vaults_have_two_agents() {
    let sandbox = keyfile();
    sandbox.run(["init", "--no-recovery", "--vault", "other"]).exits(0);
    let (one, two) = (unlock(&sandbox, &[]), unlock(&sandbox, &["--vault", "other", "--for", "1h"]));
    assert!(one["pid"] != two["pid"] && one["vault"] != two["vault"]);
    lock(&sandbox);
    assert!(ends(pid(&one)) && lives(pid(&two)));
    let status = sandbox.run(["--format", "json", "status", "--vault", "other"]).exits(0).json();
    assert_eq!(status["unlocked"]["pid"], two["pid"]);
    sandbox.run(["lock", "--vault", "other"]).exits(0);
    assert!(ends(pid(&two)));
}

#[test]
fn two_unlocks_at_once_leave_one_agent() {
    let sandbox = keyfile();
    for _ in 0..3 {
        let start = || sandbox.command(["--format", "json", "unlock"]).stdout(Stdio::piped()).spawn().unwrap();
        let both = [start(), start(), start()];
        let told = both.map(|child| {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success());
            serde_json::from_slice::<Value>(&output.stdout).unwrap()
        });
        assert!(told[0]["pid"] == told[1]["pid"] && told[1]["pid"] == told[2]["pid"], "{told:?}");
        lock(&sandbox);
    }
}

#[test]
fn an_agent_that_was_killed_leaves_a_vault_that_opens_as_before() {
    let sandbox = keyfile();
    let told = unlock(&sandbox, &[]);
    sandbox.run(["put", "f", "lab/a"]).exits(0);
    kill(pid(&told));
    assert!(socket(&sandbox).exists());
    assert_eq!(sandbox.run(["cat", "lab/a"]).exits(0).stdout, b"hello");
    assert!(
        !sandbox.at("run/strongroom").read_dir().unwrap().any(|e| e.unwrap().path().extension().unwrap() == "sock")
    );
    assert_eq!(lock(&sandbox)["was"], "locked");
    let again = unlock(&sandbox, &[]);
    assert_ne!(again["pid"], told["pid"]);
    lock(&sandbox);

    let sandbox = passphrase();
    kill(pid(&unlock(&sandbox, &[])));
    assert!(sandbox.run(["ls"]).exits(4).stderr.contains("try: strongroom unlock"));
}

#[test]
fn nothing_that_was_acknowledged_is_lost_when_the_agent_is_killed_at_work() {
    let sandbox = keyfile();
    sandbox.write("big", Dice(7).bytes(3_000_000));
    let mut stored = Vec::new();
    for round in 0..8_u64 {
        let told = unlock(&sandbox, &[]);
        let name = format!("lab/a{round}");
        let mut put = sandbox.command(["--format", "json", "put", "big", &name]);
        let put = put.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        for _ in 0..round * 40 {
            std::thread::yield_now();
        }
        kill(pid(&told));
        let output = put.wait_with_output().unwrap();
        match output.status.code() {
            Some(0) => stored.push(name),
            code => assert!(matches!(code, Some(4 | 9)), "{code:?} {}", String::from_utf8_lossy(&output.stderr)),
        }
    }
    for name in &stored {
        assert_eq!(sandbox.run(["cat", name]).exits(0).stdout, std::fs::read(sandbox.at("big")).unwrap());
    }
    assert_eq!(sandbox.run(["--format", "json", "verify", "--all", "--state"]).exits(0).json()["ok"], true);
    sandbox.run(["audit", "verify"]).exits(0);
}

#[test]
fn a_copy_of_the_vault_is_not_served_by_its_agent() {
    let sandbox = keyfile();
    unlock(&sandbox, &[]);
    let copied = Command::new("cp").args(["-r", ".strongroom", "copy"]).current_dir(sandbox.path()).status().unwrap();
    assert!(copied.success());
    let refused = sandbox.run(["ls", "--vault", "copy"]).exits(8);
    assert!(
        refused.stderr.contains("one is a copy") && refused.stderr.contains("try: strongroom lock"),
        "{}",
        refused.stderr
    );
    sandbox.run(["unlock", "--vault", "copy"]).exits(8);
    sandbox.run(["ls"]).exits(0);
    lock(&sandbox);
    sandbox.run(["ls", "--vault", "copy"]).exits(0);
}

#[test]
fn an_agent_whose_vault_is_deleted_ends() {
    let sandbox = keyfile();
    let told = unlock(&sandbox, &[]);
    std::fs::remove_dir_all(sandbox.vault()).unwrap();
    let ended = (0..200).any(|_| Command::new("sleep").arg("0.05").status().is_ok() && !lives(pid(&told)));
    assert!(ended, "it looks every second");
}

/// Another user of this machine, in Python: what its connection is told, or why there is none.
fn as_nobody(socket: &std::path::Path) -> Ended {
    const CONNECT: &str = "import socket, struct, sys
s = socket.socket(socket.AF_UNIX)
try:
    s.connect(sys.argv[1])
except OSError as error:
    sys.exit(f'not connected: {error.errno}')
ask = b'{\"ask\":\"state\"}'
try:
    s.sendall(struct.pack('>I', len(ask)) + ask)
except BrokenPipeError:
    pass  # it was refused before it said anything
print(s.recv(65536)[4:].decode())";
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/env", "python3", "-c", CONNECT]);
    command.arg(socket).current_dir("/").env_clear().env("PATH", "/usr/bin:/bin:/usr/local/bin");
    end(command)
}

#[test]
fn another_user_is_refused_by_the_files_and_by_the_agent() {
    assert!(rustix::process::geteuid().is_root(), "it takes root to become another user");
    let sandbox = keyfile();
    unlock(&sandbox, &[]);
    let socket = socket(&sandbox);
    let mode = |path: &std::path::Path, mode: u32| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let modes = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((modes(&socket), modes(&sandbox.at("run/strongroom"))), (0o600, 0o700));
    mode(sandbox.path(), 0o755);
    mode(&sandbox.at("run"), 0o755);
    let refused = as_nobody(&socket);
    assert!(refused.code != 0 && refused.stderr.contains("not connected: 13"), "{refused:?}");
    // Whoever opened the files to everybody has not opened the agent.
    mode(&sandbox.at("run/strongroom"), 0o777);
    mode(&socket, 0o666);
    let refused = as_nobody(&socket).exits(0);
    let said: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(said["reply"], "refused", "{said}");
    assert_eq!(said["with"]["code"], "bad-session", "{said}");
    assert!(said["with"]["why"].as_str().unwrap().contains("runs as user 65534"), "{said}");
    mode(&sandbox.at("run/strongroom"), 0o700);
    mode(&sandbox.at("run"), 0o700);
    assert_eq!(unlocked(&sandbox)["uid"], 0);
    lock(&sandbox);
}

#[test]
fn an_agent_is_not_looked_into_and_its_keys_stay_in_memory() {
    let sandbox = keyfile();
    let told = unlock(&sandbox, &[]);
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", pid(&told))).unwrap();
    let limits = read("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["1", "1"], "{core}");
    // Another process of the same account, without the privileges of an administrator.
    let look = |file: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-all", "--inh-caps=-all", "cat", &format!("/proc/{}/{file}", pid(&told))]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    };
    assert!(!look("environ") && !look("maps") && !look("mem"));
    assert_eq!(told["memory_locked"], true);
    let locked = read("status").lines().find(|line| line.starts_with("VmLck:")).unwrap().to_owned();
    let kib: u64 = locked.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kib >= 4, "{locked}");
    // Nothing of whoever started it: no variable, no terminal, no folder.
    assert_eq!(std::fs::read(format!("/proc/{}/environ", pid(&told))).unwrap(), b"");
    assert_eq!(std::fs::read_link(format!("/proc/{}/cwd", pid(&told))).unwrap(), PathBuf::from("/"));
    let line = std::fs::read(format!("/proc/{}/cmdline", pid(&told))).unwrap();
    assert!(line.ends_with(b"\0agent\0"), "{:?}", String::from_utf8_lossy(&line));
    lock(&sandbox);
    assert!(ends(pid(&told)));
}

#[test]
fn an_agent_that_hangs_is_ended_by_force() {
    let sandbox = keyfile();
    let told = unlock(&sandbox, &[]);
    let stopped = rustix::process::Pid::from_raw(pid(&told)).unwrap();
    rustix::process::kill_process(stopped, rustix::process::Signal::STOP).unwrap();
    let locked = lock(&sandbox);
    assert_eq!((locked["was"].as_str(), locked["forced"].as_bool()), (Some("unlocked"), Some(true)));
    assert!(ends(pid(&told)));
    sandbox.run(["ls"]).exits(0);
}

#[test]
fn what_only_unlock_starts_says_so() {
    let sandbox = keyfile();
    let said = sandbox.run(["agent"]).exits(0);
    assert!(String::from_utf8_lossy(&said.stdout).contains("this is for `strongroom unlock`"), "{said:?}");
    let dry = sandbox.run(["--format", "json", "unlock", "--dry-run"]).exits(0).json();
    assert_eq!(dry["secs"], 28_800);
    assert_eq!(unlocked(&sandbox), Value::Null);
    sandbox.run(["lock", "--dry-run"]).exits(0);
}
