//! Roots in tokens and in the cloud, by the commands that people type: SoftHSM and moto stand for the hardware and the service.

use super::agent::with_runtime;
use super::prompts::{at_a_terminal, at_a_terminal_with, shown};
use super::sandbox::{Dice, Ended, Sandbox, end};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub(super) const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// A vault, and a token of SoftHSM beside it.
pub(super) struct Token {
    pub(super) sandbox: Sandbox,
}

impl Token {
    pub(super) fn new(init: &[&str]) -> Self {
        let sandbox = Sandbox::new();
        sandbox.run(init).exits(0);
        Self::beside(sandbox, "1234")
    }

    /// A token with this PIN beside a vault that there is.
    pub(super) fn beside(sandbox: Sandbox, pin: &str) -> Self {
        assert!(Path::new(MODULE).exists(), "the tests want SoftHSM: run scripts/test-deps.sh");
        let sandbox = with_runtime(sandbox);
        std::fs::create_dir(sandbox.at("tokens")).unwrap();
        let config = format!("directories.tokendir = {}\nlog.level = ERROR\n", sandbox.at("tokens").display());
        sandbox.write("softhsm2.conf", config);
        sandbox.write_private("pin", format!("{pin}\n"));
        let token = Self { sandbox };
        let mut made = Command::new("softhsm2-util");
        made.args(["--init-token", "--free", "--label", "vault token", "--so-pin", "5678", "--pin", pin]);
        let made = made.env("SOFTHSM2_CONF", token.sandbox.at("softhsm2.conf")).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        token
    }

    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.sandbox.command(args);
        command.env("SOFTHSM2_CONF", self.sandbox.at("softhsm2.conf"));
        command
    }

    #[track_caller]
    pub(super) fn run(&self, args: &[&str]) -> Ended {
        end(self.command(args))
    }

    #[track_caller]
    pub(super) fn json(&self, args: &[&str]) -> Value {
        self.run(&[&["--format", "json"], args].concat()).exits(0).json()
    }

    pub(super) fn add(&self) -> Value {
        let pin = self.sandbox.at("pin").display().to_string();
        self.json(&["root", "add", "pkcs11", "--module", MODULE, "--token", "vault token", "--pin-file", &pin])
    }

    pub(super) fn roots(&self) -> Vec<Value> {
        self.json(&["root", "ls"])["roots"].as_array().unwrap().clone()
    }

    pub(super) fn key_file(&self) -> PathBuf {
        let folder = self.sandbox.at("config/strongroom");
        let found = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        found.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "key")).unwrap()
    }
}

#[test]
fn a_token_opens_the_vault_and_its_key_stays_in_it() {
    let token = Token::new(&["init", "--no-recovery"]);
    token.run(&["put", "f", "lab/net", "--class", "internal"]).exits(0);
    let added = token.add();
    assert_eq!(
        (&added["root"]["kind"], &added["root"]["term"], &added["wrapped"]),
        (&"pkcs11".into(), &"hsm".into(), &1.into())
    );
    // The key file is gone: the token alone opens what was there, and what comes.
    std::fs::remove_file(token.key_file()).unwrap();
    assert_eq!(token.run(&["cat", "lab/net"]).exits(0).stdout, b"hello");
    token.run(&["put", "f", "lab/other", "--class", "confidential"]).exits(0);
    let drill = token.json(&["root", "drill"]);
    assert_eq!(
        (&drill["ok"], &drill["items"][0]["outcome"], &drill["items"][0]["keys"]),
        (&true.into(), &"opens".into(), &7.into())
    );
    assert_eq!(drill["items"][1]["outcome"], "away");
    // Where the account finds the token is beside the key file, and not in the vault, which others may write.
    let text = std::fs::read_to_string(token.sandbox.vault().join("vault.json")).unwrap();
    assert!(!text.contains("softhsm") && !text.contains("1234"));
    // An agent opens it once; releases ask it nothing.
    token.run(&["unlock", "--for", "1h"]).exits(0);
    token.run(&["cat", "lab/net"]).exits(0);
    let calls = token.roots()[0]["calls"].as_u64().unwrap();
    assert!(calls >= 7, "{calls}");
    for _ in 0..3 {
        token.run(&["cat", "lab/net"]).exits(0);
    }
    assert_eq!(token.roots()[0]["calls"].as_u64().unwrap(), calls);
    token.run(&["lock"]).exits(0);
    token.run(&["audit", "verify"]).exits(0);
    token.run(&["verify", "--state"]).exits(0);
}

#[test]
fn a_pin_is_asked_for_where_somebody_is_there() {
    let token = Token::new(&["init", "--no-recovery"]);
    let config = token.sandbox.at("softhsm2.conf").display().to_string();
    let variables = [("TERM", "xterm"), ("SOFTHSM2_CONF", config.as_str())];
    let answer = [("PIN of token vault token: ", "!1234")];
    let at_a_terminal = |args: &[&str]| at_a_terminal_with(&token.sandbox, &variables, &answer, args);
    let added = at_a_terminal(&["root", "add", "pkcs11", "--module", MODULE, "--token", "vault token"]).exits(0);
    assert!(!shown(&added).contains("1234"), "{}", shown(&added));
    std::fs::remove_file(token.key_file()).unwrap();
    let refused = token.run(&["ls"]).exits(4);
    assert!(refused.stderr.contains("no terminal to ask for the PIN of token `vault token`"), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("try: strongroom unlock, at a terminal; or name a file with the PIN"),
        "{}",
        refused.stderr
    );
    at_a_terminal(&["unlock", "--for", "1h"]).exits(0);
    token.run(&["ls"]).exits(0);
    token.run(&["lock"]).exits(0);
}

#[test]
fn shares_are_shown_one_by_one_and_typed_unseen() {
    let sandbox = Sandbox::solo();
    let enter = ("when it is written down: ", "");
    let made = at_a_terminal(&sandbox, &[enter, enter], &["escrow", "create", "--shares", "2", "--threshold", "2"]);
    let made = shown(&made.exits(0));
    let is_groups = |line: &&str| line.split('-').count() == 8 && line.split('-').all(|group| group.len() == 5);
    let lines: Vec<&str> = made.lines().map(str::trim).filter(is_groups).collect();
    assert_eq!(lines.len(), 8, "{made}");
    let typed: Vec<String> = lines.chunks(4).map(|share| format!("!{}", share.join("-"))).collect();
    let answers = [("Share 1 ", typed[0].as_str()), ("Share 2 ", typed[1].as_str()), ("Share 3 ", "!")];
    let rehearsed = shown(&at_a_terminal(&sandbox, &answers, &["escrow", "rehearse"]).exits(0));
    assert!(rehearsed.contains("shares 1, 2 open all of 5 keys"), "{rehearsed}");
    assert!(!rehearsed.contains(lines[0]), "{rehearsed}");
}

#[test]
fn a_wrong_pin_is_told_and_the_next_root_opens() {
    let token = Token::new(&["init", "--no-recovery"]);
    token.run(&["put", "f", "lab/net", "--class", "internal"]).exits(0);
    token.add();
    token.sandbox.write_private("pin", "9999\n");
    assert_eq!(token.run(&["cat", "lab/net"]).exits(0).stdout, b"hello");
    let first = &token.roots()[0];
    assert!(first["failing"]["why"].as_str().unwrap().contains("PIN is wrong"), "{first}");
    let told = token.json(&["audit", "query", "--act", "root.failing"]);
    assert_eq!(told["items"].as_array().map(Vec::len), Some(1), "{told}");
    // Alone it says so, and the exit code is that of a locked vault.
    let kept = token.key_file();
    std::fs::rename(&kept, token.sandbox.at("kept")).unwrap();
    let refused = token.run(&["cat", "lab/net"]).exits(4);
    assert!(refused.stderr.contains("PIN is wrong"), "{}", refused.stderr);
    token.sandbox.write_private("pin", "1234\n");
    token.run(&["cat", "lab/net"]).exits(0);
    assert_eq!(token.roots()[0]["failing"], Value::Null);
}

#[test]
fn a_token_that_is_pulled_out_does_not_stop_the_vault() {
    let token = Token::new(&["init", "--no-recovery"]);
    token.run(&["put", "f", "lab/net", "--class", "internal"]).exits(0);
    token.add();
    token.run(&["unlock", "--for", "1h"]).exits(0);
    std::fs::rename(token.sandbox.at("tokens"), token.sandbox.at("away")).unwrap();
    // What is open stays so; a new domain key is under the key file until the token is back.
    token.run(&["cat", "lab/net"]).exits(0);
    token.run(&["put", "f", "lab/new", "--class", "public"]).exits(0);
    let first = token.roots().remove(0);
    assert_eq!((&first["kind"], &first["state"], &first["lacks"]), (&"pkcs11".into(), &"behind".into(), &1.into()));
    // It is told while the vault stays open.
    assert!(first["failing"]["why"].is_string(), "{first}");
    let told = token.json(&["audit", "query", "--act", "root.failing"]);
    assert_eq!(told["items"].as_array().map(Vec::len), Some(1), "{told}");
    token.run(&["lock"]).exits(0);
    token.run(&["cat", "lab/new"]).exits(0);
    std::fs::rename(token.sandbox.at("away"), token.sandbox.at("tokens")).unwrap();
    token.run(&["jobs", "run"]).exits(0);
    let first = token.roots().remove(0);
    assert_eq!((&first["state"], &first["lacks"]), (&"active".into(), &0.into()), "{first}");
}

#[test]
fn restricted_data_in_prod_wants_a_token_and_an_escrow() {
    let token = Token::new(&["init", "--no-recovery"]);
    let put = ["put", "f", "lab/net", "--class", "restricted", "--env", "prod"];
    token.run(&put).exits(5);
    token.add();
    token.run(&put).exits(5);
    let made = token.json(&["escrow", "create", "--shares", "3", "--threshold", "2", "--into", "."]);
    let files: Vec<&str> = made["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap()).collect();
    assert_eq!(files.len(), 3);
    token.run(&put).exits(0);
    // The key file wraps nothing of it.
    let roots = token.roots();
    let of = |kind: &str| roots.iter().find(|root| root["kind"] == kind).unwrap()["wraps"].as_u64().unwrap();
    assert_eq!((of("pkcs11"), of("escrow"), of("keyfile")), (6, 6, 5));
    token.run(&["escrow", "rehearse", "--share", files[2], "--share", files[0]]).exits(0);
    let few = token.run(&["escrow", "rehearse", "--share", files[2]]).exits(4);
    assert!(few.stderr.contains("1 of the 2 shares"), "{}", few.stderr);
}

#[test]
fn shares_are_sealed_for_their_holders_and_bring_the_vault_back() {
    let sandbox = with_runtime(Sandbox::solo());
    sandbox.run(["put", "f", "lab/net", "--class", "internal"]).exits(0);
    let holders: Vec<(PathBuf, String)> = (0..2)
        .map(|n| {
            let path = sandbox.at(format!("holder-{n}"));
            assert!(Command::new("age-keygen").arg("-o").arg(&path).output().unwrap().status.success());
            let text = std::fs::read_to_string(&path).unwrap();
            let public = text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned();
            (path, public)
        })
        .collect();
    let to = |n: usize| holders[n].1.as_str();
    sandbox.run(["escrow", "create", "--shares", "2", "--threshold", "2", "--to", to(0)]).exits(2);
    sandbox
        .run(["escrow", "create", "--shares", "2", "--threshold", "2", "--to", to(0), "--to", "age1nobody"])
        .exits(2);
    let args =
        ["--format", "json", "escrow", "create", "--shares", "2", "--threshold", "2", "--to", to(0), "--to", to(1)];
    let made = sandbox.run(args).exits(0).json();
    let mut typed = Vec::new();
    for (n, (key, _)) in holders.iter().enumerate() {
        let sealed = sandbox.at(made["files"][n].as_str().unwrap());
        assert!(std::fs::read(&sealed).unwrap().starts_with(b"age-encryption.org/"));
        let opened = Command::new("age").args(["--decrypt", "-i"]).args([key, &sealed]).output().unwrap();
        assert!(opened.status.success(), "{opened:?}");
        typed.push(sandbox.write_private(&format!("share-{n}"), opened.stdout).display().to_string());
    }
    let sealed = sandbox.run(["escrow", "rehearse", "--share", made["files"][0].as_str().unwrap()]).exits(2);
    assert!(sealed.stderr.contains("age --decrypt"), "{}", sealed.stderr);
    // Every root is gone, and the vault is on another machine: no configuration, no anchor.
    for folder in ["config", "state"] {
        std::fs::rename(sandbox.at(folder), sandbox.at(format!("{folder}-before"))).unwrap();
    }
    let recover = ["escrow", "recover", "--share", &typed[1], "--share", &typed[0], "--no-recovery"];
    sandbox.run(recover).exits(0);
    assert_eq!(sandbox.run(["cat", "lab/net"]).exits(0).stdout, b"hello");
}

/// The service, on loopback.
struct Cloud {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    port: u64,
    key: String,
}

impl Cloud {
    fn new() -> Self {
        let peer = Path::new(env!("CARGO_MANIFEST_DIR")).join("../aws-kms/tests/peer.py");
        let mut command = Command::new(testkit::python::program());
        command.arg(peer).arg("moto").env("PYTHONDONTWRITEBYTECODE", "1");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut cloud = Self { child, input, output, port: 0, key: String::new() };
        cloud.port = cloud.hear()["port"].as_u64().unwrap();
        cloud.key = cloud.made();
        cloud
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// The ARN of a new key.
    fn made(&mut self) -> String {
        use std::io::Write as _;
        let call = r#"{"call": "create_key", "KeyUsage": "ENCRYPT_DECRYPT", "KeySpec": "SYMMETRIC_DEFAULT"}"#;
        writeln!(self.input.as_mut().unwrap(), "{call}").unwrap();
        self.hear()["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn end(&mut self) {
        drop(self.input.take());
        self.child.wait().unwrap();
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.end();
    }
}

#[test]
fn a_key_of_the_cloud_opens_the_vault_and_another_root_when_it_is_gone() {
    let mut cloud = Cloud::new();
    let sandbox = with_runtime(Sandbox::solo());
    let run = |args: &[&str]| {
        let mut command = sandbox.command(args);
        command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "secret");
        end(command)
    };
    run(&["put", "f", "lab/net", "--class", "internal"]).exits(0);
    let endpoint = cloud.endpoint();
    let add =
        ["--format", "json", "root", "add", "aws-kms", "--key", &cloud.key, "--endpoint", &endpoint, "--priority", "1"];
    let none = sandbox.run(add).exits(4);
    assert!(none.stderr.contains("AWS credentials"), "{}", none.stderr);
    let added = run(&add).exits(0).json();
    assert_eq!((&added["root"]["kind"], &added["root"]["term"]), (&"aws-kms".into(), &"kms".into()));
    let folder = sandbox.at("config/strongroom");
    let key = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let key = key.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "key")).unwrap();
    std::fs::rename(&key, sandbox.at("kept")).unwrap();
    assert_eq!(run(&["cat", "lab/net"]).exits(0).stdout, b"hello");
    run(&["unlock", "--for", "1h"]).exits(0);
    assert_eq!(sandbox.run(["cat", "lab/net"]).exits(0).stdout, b"hello");
    run(&["lock"]).exits(0);
    std::fs::rename(sandbox.at("kept"), &key).unwrap();
    // The service is gone: the key file opens, and it is told once.
    cloud.end();
    for _ in 0..2 {
        assert_eq!(run(&["cat", "lab/net"]).exits(0).stdout, b"hello");
    }
    let first = &run(&["--format", "json", "root", "ls"]).exits(0).json()["roots"][0];
    assert!(first["failing"]["why"].as_str().unwrap().contains("AWS KMS is not reached"), "{first}");
}

#[test]
fn a_root_that_comes_or_goes_half_way_leaves_a_vault_that_opens() {
    let sandbox = with_runtime(Sandbox::solo());
    for class in ["public", "internal", "confidential"] {
        sandbox.run(["put", "f", &format!("lab/{class}"), "--class", class]).exits(0);
    }
    let roots = || sandbox.run(["--format", "json", "root", "ls"]).exits(0).json()["roots"].as_array().unwrap().clone();
    let mut dice = Dice(20_261_122);
    let mut killed = 0;
    for round in 0..24 {
        // In turn one comes in and another one goes, and each is killed somewhere.
        let known = roots();
        let counting: Vec<&Value> =
            known.iter().filter(|root| root["kind"] == "keyfile" && root["at_hand"] == true).collect();
        let args: Vec<String> = match counting.len() {
            0..=2 => vec!["root".into(), "add".into(), "keyfile".into(), "--path".into(), format!("key-{round}")],
            _ => vec!["--yes".into(), "root".into(), "remove".into(), counting[1]["id"].as_str().unwrap().into()],
        };
        let mut child = sandbox.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let until = std::time::Instant::now() + std::time::Duration::from_micros(dice.below(60_000));
        while std::time::Instant::now() < until && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        killed += usize::from(child.try_wait().unwrap().is_none());
        let _ = child.kill();
        child.wait().unwrap();
        // Where it was killed before its place was written down, the same command does that; else the file is in the way.
        let path = format!("key-{round}");
        if sandbox.at(&path).exists() {
            let again = sandbox.run(["root", "add", "keyfile", "--path", &path]);
            assert!(matches!(again.code, 0 | 8), "{}", again.text());
        }
        sandbox.run(["jobs", "run"]).exits(0);
        assert_eq!(sandbox.run(["cat", "lab/confidential"]).exits(0).stdout, b"hello");
        sandbox.run(["verify", "--state"]).exits(0);
        for root in roots() {
            assert!(matches!(root["state"].as_str(), Some("active" | "behind")), "round {round}: {root}");
            assert!(
                root["state"] == "active" || root["at_hand"] == false || root["lacks"] != 0,
                "round {round}: {root}"
            );
        }
    }
    assert!(killed > 4, "{killed} of 24 were killed at work");
    let drill = sandbox.run(["--format", "json", "root", "drill"]).exits(0).json();
    assert_eq!(drill["ok"], true);
}

#[test]
fn doctor_takes_the_key_file_of_another_root_for_no_copy() {
    let sandbox = with_runtime(Sandbox::solo());
    sandbox.run(["root", "add", "keyfile", "--path", "stick.key"]).exits(0);
    let state = |name: &str| {
        let told = sandbox.run(["--format", "json", "doctor"]);
        let told: Value = serde_json::from_slice(&told.stdout).unwrap();
        told["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap()["state"].clone()
    };
    assert_eq!(state("key-copies"), "ok");
    std::fs::copy(sandbox.at("stick.key"), sandbox.at("copy.key")).unwrap();
    assert_eq!(state("key-copies"), "finding");
}

#[test]
fn what_others_may_write_names_no_library() {
    let token = Token::new(&["init", "--no-recovery"]);
    token.add();
    let folder = token.sandbox.at("config/strongroom");
    let places = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let places = places.into_iter().find(|path| path.to_string_lossy().ends_with(".roots.json")).unwrap();
    std::fs::set_permissions(&places, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let refused = token.run(&["status"]).exits(4);
    assert!(refused.stderr.contains("others may write"), "{}", refused.stderr);
}

fn listed(sandbox: &Sandbox) -> Vec<Value> {
    sandbox.run(["--format", "json", "root", "ls"]).exits(0).json()["roots"].as_array().unwrap().clone()
}

#[test]
fn a_key_file_is_rotated_in_one_command_and_the_old_one_opens_nothing() {
    let sandbox = with_runtime(Sandbox::solo());
    for class in ["public", "internal", "confidential"] {
        sandbox.run(["put", "f", &format!("lab/{class}"), "--class", class]).exits(0);
    }
    let old = listed(&sandbox)[0].clone();
    let id = old["id"].as_str().unwrap();
    sandbox.run(["root", "rotate", id]).exits(2);
    assert_eq!(sandbox.run(["--format", "json", "--dry-run", "root", "rotate", id]).exits(0).json()["replaces"], id);
    assert_eq!(listed(&sandbox), std::slice::from_ref(&old));
    let done = sandbox.run(["--format", "json", "--yes", "root", "rotate", id]).exits(0).json();
    let new = &done["root"];
    assert_eq!(
        (&done["replaces"], &done["wraps"], &new["wraps"]),
        (&old["id"], &old["wraps"], &old["wraps"]),
        "{done}"
    );
    assert_eq!((&new["kind"], &new["priority"], &new["follows"]), (&old["kind"], &old["priority"], &old["id"]));
    assert_eq!(listed(&sandbox).len(), 1);
    let folder = sandbox.at("config/strongroom");
    let files = || {
        let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        names.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "key")).collect::<Vec<_>>()
    };
    let (first, second): (Vec<PathBuf>, Vec<PathBuf>) =
        files().into_iter().partition(|path| !path.to_string_lossy().ends_with(".2.key"));
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_eq!(sandbox.run(["cat", "lab/confidential"]).exits(0).stdout, b"hello");
    // The old file opens nothing; the new one does without it.
    std::fs::rename(&second[0], sandbox.at("kept")).unwrap();
    sandbox.run(["cat", "lab/confidential"]).exits(4);
    std::fs::rename(sandbox.at("kept"), &second[0]).unwrap();
    std::fs::remove_file(&first[0]).unwrap();
    assert_eq!(sandbox.run(["cat", "lab/confidential"]).exits(0).stdout, b"hello");
    let again = listed(&sandbox)[0]["id"].as_str().unwrap().to_owned();
    sandbox.run(["--yes", "root", "rotate", &again, "--path", "stick.key"]).exits(0);
    assert_eq!(sandbox.run(["cat", "lab/public"]).exits(0).stdout, b"hello");
    sandbox.run(["verify", "--all", "--state"]).exits(0);
}

#[test]
fn a_rotation_of_a_root_that_was_killed_goes_on() {
    let sandbox = with_runtime(Sandbox::solo());
    for class in ["public", "internal", "confidential"] {
        sandbox.run(["put", "f", &format!("lab/{class}"), "--class", class]).exits(0);
    }
    let mut dice = Dice(20_261_123);
    let mut killed = 0;
    for round in 0..12 {
        let old = listed(&sandbox)[0]["id"].as_str().unwrap().to_owned();
        let args = ["--yes", "root", "rotate", &old];
        let mut child = sandbox.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let until = std::time::Instant::now() + std::time::Duration::from_micros(dice.below(40_000));
        while std::time::Instant::now() < until && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        killed += usize::from(child.try_wait().unwrap().is_none());
        let _ = child.kill();
        child.wait().unwrap();
        assert_eq!(sandbox.run(["cat", "lab/confidential"]).exits(0).stdout, b"hello", "round {round}");
        if listed(&sandbox).iter().any(|root| root["id"] == old.as_str()) {
            sandbox.run(args).exits(0);
        }
        let roots = listed(&sandbox);
        assert_eq!((roots.len(), &roots[0]["state"]), (1, &"active".into()), "round {round}: {roots:?}");
        assert_ne!(roots[0]["id"], old.as_str());
        assert_eq!(sandbox.run(["cat", "lab/confidential"]).exits(0).stdout, b"hello", "round {round}");
        sandbox.run(["verify", "--state"]).exits(0);
    }
    assert!(killed > 0, "none of 12 was killed at work");
}

#[test]
fn a_key_of_the_cloud_is_rotated_to_another_one_and_is_not_asked_any_more() {
    let mut cloud = Cloud::new();
    let (old, new, endpoint) = (cloud.key.clone(), cloud.made(), cloud.endpoint());
    let sandbox = Sandbox::solo();
    sandbox.write("f", b"hello");
    let run = |args: &[&str]| {
        let mut command = sandbox.command(args);
        command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "secret");
        end(command)
    };
    run(&["put", "f", "lab/net", "--class", "internal"]).exits(0);
    let add = ["--format", "json", "root", "add", "aws-kms", "--key", &old, "--endpoint", &endpoint, "--priority", "3"];
    let added = run(&add).exits(0).json();
    let id = added["root"]["id"].as_str().unwrap();
    // The same key again is none to rotate to.
    run(&["--yes", "root", "rotate", id]).exits(2);
    let done = run(&["--format", "json", "--yes", "root", "rotate", id, "--key", &new]).exits(0).json();
    assert_eq!((&done["root"]["kind"], &done["root"]["priority"]), (&"aws-kms".into(), &3.into()));
    let roots = run(&["--format", "json", "root", "ls"]).exits(0).json();
    let ids: Vec<&Value> = roots["roots"].as_array().unwrap().iter().map(|root| &root["id"]).collect();
    assert!(ids.contains(&&done["root"]["id"]) && !ids.contains(&&id.into()), "{roots}");
    // It alone opens the vault, and what is put from now on.
    let key = std::fs::read_dir(sandbox.at("config/strongroom")).unwrap().map(|entry| entry.unwrap().path());
    let key = key.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "key")).unwrap();
    std::fs::remove_file(key).unwrap();
    assert_eq!(run(&["cat", "lab/net"]).exits(0).stdout, b"hello");
    run(&["put", "f", "lab/later", "--class", "internal"]).exits(0);
    assert_eq!(run(&["cat", "lab/later"]).exits(0).stdout, b"hello");
    run(&["verify", "--all", "--state"]).exits(0);
}

#[test]
fn a_passphrase_and_a_token_are_rotated_and_their_places_among_the_others_stay() {
    let sandbox = Sandbox::new();
    sandbox.write("f", b"hello");
    let (one, two) = (sandbox.write_private("one", "first words\n"), sandbox.write_private("two", "other words\n"));
    let with = |path: &Path, args: &[&str]| {
        let mut command = sandbox.command(args);
        command.env("STRONGROOM_PASSPHRASE_FILE", path);
        end(command)
    };
    with(&one, &["init", "--no-recovery", "--root", "passphrase"]).exits(0);
    with(&one, &["put", "f", "lab/net", "--class", "internal"]).exits(0);
    let id =
        with(&one, &["--format", "json", "root", "ls"]).exits(0).json()["roots"][0]["id"].as_str().unwrap().to_owned();
    with(&one, &["--yes", "root", "rotate", &id, "--new-passphrase-file", two.to_str().unwrap()]).exits(0);
    with(&one, &["cat", "lab/net"]).exits(4);
    assert_eq!(with(&two, &["cat", "lab/net"]).exits(0).stdout, b"hello");

    let token = Token::new(&["init", "--no-recovery"]);
    token.run(&["put", "f", "lab/net", "--class", "internal"]).exits(0);
    let added = token.add();
    let old = added["root"]["id"].as_str().unwrap();
    token.json(&["root", "set", old, "--priority", "7"]);
    let done = token.json(&["--yes", "root", "rotate", old]);
    assert_eq!((&done["root"]["kind"], &done["root"]["priority"]), (&"pkcs11".into(), &7.into()));
    std::fs::remove_file(token.key_file()).unwrap();
    assert_eq!(token.run(&["cat", "lab/net"]).exits(0).stdout, b"hello");
    token.run(&["verify", "--state"]).exits(0);
}

#[test]
fn a_code_and_an_escrow_are_made_anew_by_their_own_commands() {
    let sandbox = with_runtime(Sandbox::new());
    sandbox.write("f", b"hello");
    sandbox.run(["init", "--recovery-file", "code"]).exits(0);
    sandbox.run(["escrow", "create", "--shares", "2", "--threshold", "2", "--into", "."]).exits(0);
    for root in listed(&sandbox).iter().filter(|root| root["only_wraps"] == true) {
        let refused = sandbox.run(["--yes", "root", "rotate", root["id"].as_str().unwrap()]).exits(2);
        let hint = refused.stderr.lines().find_map(|line| line.strip_prefix("  try: strongroom ")).unwrap().to_owned();
        sandbox.run(hint.split(' ')).exits(0);
    }
}

#[test]
fn the_order_of_roots_is_changed_and_status_says_when_they_were_tried() {
    let sandbox = with_runtime(Sandbox::solo());
    let status = |sandbox: &Sandbox| String::from_utf8(sandbox.run(["status"]).exits(0).stdout).unwrap();
    let line = |text: &str| text.lines().find(|line| line.starts_with("drilled")).unwrap().to_owned();
    assert!(line(&status(&sandbox)).contains("roots never"));
    sandbox.run(["root", "add", "keyfile", "--path", "stick.key"]).exits(0);
    let second = listed(&sandbox)[1]["id"].as_str().unwrap().to_owned();
    let changed = sandbox.run(["--format", "json", "root", "set", &second, "--priority", "3"]).exits(0).json();
    assert!(changed["root"]["priority"] == 3 && changed["receipt"].is_object(), "{changed}");
    assert_eq!(listed(&sandbox)[0]["id"], second.as_str());
    let again = sandbox.run(["--format", "json", "root", "set", &second, "--priority", "3"]).exits(0).json();
    assert!(again["receipt"].is_null(), "{again}");
    sandbox.run(["root", "set", "ffff", "--priority", "3"]).exits(3);
    sandbox.run(["root", "drill"]).exits(0);
    assert!(line(&status(&sandbox)).contains("roots today"), "{}", status(&sandbox));
    let made = sandbox
        .run(["--format", "json", "escrow", "create", "--shares", "2", "--threshold", "2", "--into", "."])
        .exits(0)
        .json();
    assert!(line(&status(&sandbox)).contains("escrow never"));
    // A rehearsal that fails is in the log, and counts as none.
    let share = made["files"][0].as_str().unwrap();
    sandbox.run(["escrow", "rehearse", "--share", share]).exits(4);
    let log = sandbox.run(["--format", "json", "audit", "query", "--act", "escrow.rehearse"]).exits(0).json();
    assert_eq!(log["items"][0]["entry"]["detail"]["outcome"], "failed", "{log}");
    assert!(line(&status(&sandbox)).contains("escrow never"));
    sandbox.run(["escrow", "rehearse", "--share", share, "--share", made["files"][1].as_str().unwrap()]).exits(0);
    assert!(line(&status(&sandbox)).contains("escrow today"));
    sandbox.run(["verify", "--state"]).exits(0);
}

#[test]
fn a_root_that_hangs_costs_a_release_its_deadline_once() {
    let mut cloud = Cloud::new();
    let sandbox = with_runtime(Sandbox::solo());
    let run = |args: &[&str]| {
        let mut command = sandbox.command(args);
        command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "secret");
        end(command)
    };
    run(&["put", "f", "lab/net", "--class", "internal"]).exits(0);
    let endpoint = cloud.endpoint();
    run(&["root", "add", "aws-kms", "--key", &cloud.key, "--endpoint", &endpoint, "--priority", "1"]).exits(0);
    cloud.end();
    // It takes every call and answers none.
    let hanging = std::net::TcpListener::bind(("127.0.0.1", u16::try_from(cloud.port).unwrap())).unwrap();
    let began = std::time::Instant::now();
    assert_eq!(run(&["cat", "lab/net"]).exits(0).stdout, b"hello");
    let took = began.elapsed().as_millis();
    assert!((2_000..4_000).contains(&took), "one deadline of 2 s, and not two: {took} ms");
    drop(hanging);
    let first = &run(&["--format", "json", "root", "ls"]).exits(0).json()["roots"][0];
    assert!(first["failing"].is_object(), "{first}");
}
