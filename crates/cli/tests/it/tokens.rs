//! Tokens that go away or hang while something is under way: what can go on does, what was missed is told and made up for.

use super::roots::{MODULE, Token};
use super::sandbox::{Sandbox, end};
use serde_json::Value;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// What a token answers that was pulled out: to `C_GetSlotList`, `C_OpenSession`, `C_EncryptInit` and `C_DecryptInit`.
const AWAY: &str = "always 4 30\nalways 12 e0\nalways 29 e0\nalways 33 e0\n";

/// A token behind a module that fails as it is told to. SoftHSM itself goes on without its files.
struct Failing(Token);

impl Failing {
    fn new(classes: &[&str]) -> Self {
        let failing = Self(Token::new(&["init", "--no-recovery"]));
        let (token, sandbox) = (&failing.0, &failing.0.sandbox);
        for class in classes {
            token.run(&["put", "f", &format!("lab/{class}"), "--class", class]).exits(0);
        }
        // An agent has none of the variables by which it would find its files.
        let at = |name: &str| sandbox.at(name).display().to_string();
        let told = format!(
            "#include <stdlib.h>\n#include <string.h>\nstatic char *path(const char *name) {{\n\
             if (strcmp(name, \"P11_REAL\") == 0) return \"{MODULE}\";\n\
             return strcmp(name, \"P11_FAULTS\") == 0 ? \"{}\" : \"{}\";\n}}\n#define getenv path\n",
            at("faults"),
            at("logins")
        );
        let (told, shim) = (sandbox.write("told.h", told), sandbox.at("shim.so"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pkcs11/tests/it/shim.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-w", "-include"]).arg(told).arg("-o").args([&shim, &source]);
        let made = compiler.output().unwrap();
        assert!(made.status.success(), "{made:?}");
        failing.told("");
        let (module, pin) = (at("shim.so"), at("pin"));
        let add = ["root", "add", "pkcs11", "--module", &module, "--token", "vault token", "--pin-file", &pin];
        token.run(&add).exits(0);
        failing
    }

    /// What it does from now on.
    fn told(&self, text: &str) {
        let next = self.0.sandbox.write("next", text);
        std::fs::rename(next, self.0.sandbox.at("faults")).unwrap();
    }

    /// The token's root, which is asked first.
    fn root(&self) -> Value {
        let first = self.0.roots().remove(0);
        assert_eq!(first["kind"], "pkcs11", "{first}");
        first
    }

    fn logged(&self, act: &str) -> usize {
        self.0.json(&["audit", "query", "--act", act])["items"].as_array().unwrap().len()
    }
}

#[test]
fn a_token_that_goes_in_the_middle_stops_neither_a_release_nor_a_rotation_and_is_made_up_for() {
    let classes = ["public", "internal", "confidential"];
    let failing = Failing::new(&classes);
    let token = &failing.0;
    token.run(&["unlock", "--for", "1h"]).exits(0);
    token.run(&["cat", "lab/public"]).exits(0);
    failing.told(AWAY);
    // Of a domain that nothing opened yet: the key file does.
    assert_eq!(token.run(&["cat", "lab/internal"]).exits(0).stdout, b"hello");
    let first = failing.root();
    assert_eq!((&first["state"], &first["lacks"]), (&"active".into(), &0.into()), "{first}");
    // A rotation goes on under the others, and the token lacks what it made.
    let rotated = token.json(&["key", "rotate"]);
    assert_eq!((&rotated["rewrapped"], &rotated["remaining"]), (&3.into(), &0.into()), "{rotated}");
    assert_eq!(rotated["keys"].as_array().unwrap().len(), 3);
    let first = failing.root();
    assert_eq!((&first["state"], &first["lacks"]), (&"behind".into(), &3.into()), "{first}");
    token.run(&["lock"]).exits(0);
    // The same where no agent has anything open.
    token.run(&["cat", "lab/confidential"]).exits(0);
    token.run(&["key", "rotate", "--class", "internal"]).exits(0);
    let first = failing.root();
    assert_eq!(first["lacks"], 4);
    assert!(first["failing"]["why"].as_str().is_some_and(|why| why.contains("removed")), "{first}");
    assert_eq!((failing.logged("root.failing"), failing.logged("root.answers")), (1, 0), "told once");
    // With the token alone, nothing opens and nothing is rotated while it is away.
    let (file, kept) = (token.key_file(), token.sandbox.at("kept"));
    std::fs::rename(&file, &kept).unwrap();
    token.run(&["cat", "lab/public"]).exits(9);
    token.run(&["key", "rotate"]).exits(9);
    std::fs::rename(&kept, &file).unwrap();
    token.run(&["jobs", "run"]).exits(0);
    assert_eq!(failing.root()["lacks"], 4, "it is away still");

    failing.told("");
    token.run(&["jobs", "run"]).exits(0);
    let first = failing.root();
    assert_eq!((&first["state"], &first["lacks"], &first["failing"]), (&"active".into(), &0.into(), &Value::Null));
    assert_eq!((failing.logged("root.failing"), failing.logged("root.answers")), (1, 1));
    // What was made meanwhile opens by the token alone.
    std::fs::remove_file(file).unwrap();
    for class in classes {
        assert_eq!(token.run(&["cat", &format!("lab/{class}")]).exits(0).stdout, b"hello");
    }
    token.run(&["verify", "--state"]).exits(0);
}

/// How long it takes until what somebody wants to read is there, in milliseconds.
fn read_after(token: &Token, reference: &str) -> u128 {
    let began = Instant::now();
    let mut child = token.command(&["cat", reference]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut bytes = [0; 5];
    child.stdout.take().unwrap().read_exact(&mut bytes).unwrap();
    let took = began.elapsed().as_millis();
    assert_eq!(&bytes, b"hello", "{reference}");
    assert!(child.wait().unwrap().success());
    took
}

#[test]
fn a_token_that_hangs_costs_a_release_one_deadline_with_an_agent_and_without() {
    // One deadline of 2 s and no second one, and what the machine needs besides.
    const ONCE: std::ops::Range<u128> = 2_000..4_000;
    let failing = Failing::new(&["public", "internal"]);
    let token = &failing.0;
    assert_eq!(failing.root()["failing"], Value::Null);
    failing.told("hang\n");
    let took = read_after(token, "lab/public");
    assert!(ONCE.contains(&took), "without an agent: {took} ms");
    failing.told("");
    assert_eq!(failing.logged("root.failing"), 1);
    token.run(&["jobs", "run"]).exits(0);
    assert_eq!((&failing.root()["failing"], failing.logged("root.answers")), (&Value::Null, 1));

    token.run(&["unlock", "--for", "1h"]).exits(0);
    // The agent opened nothing of the data yet.
    failing.told("hang\n");
    let took = read_after(token, "lab/internal");
    assert!(ONCE.contains(&took), "with an agent: {took} ms");
    // What is open stays so at no cost, and the agent ends although a call hangs in it.
    let took = read_after(token, "lab/internal");
    assert!(took < ONCE.start, "opened already: {took} ms");
    token.run(&["lock"]).exits(0);
    failing.told("");
    token.run(&["jobs", "run"]).exits(0);
    assert_eq!((failing.logged("root.failing"), failing.logged("root.answers")), (2, 2));
    assert_eq!(failing.root()["failing"], Value::Null);
    token.run(&["verify", "--state"]).exits(0);
}

#[test]
fn a_passphrase_and_a_token_restore_a_backup_on_a_fresh_machine() {
    let sandbox = Sandbox::new();
    let phrase = sandbox.write_private("phrase", "some words\n").display().to_string();
    sandbox.run(["init", "--no-recovery", "--root", "passphrase", "--passphrase-file", &phrase]).exits(0);
    let token = Token::beside(sandbox, "1234");
    let by_phrase = ["--passphrase-file", phrase.as_str()];
    let pin = token.sandbox.at("pin").display().to_string();
    let add = ["root", "add", "pkcs11", "--module", MODULE, "--token", "vault token", "--pin-file", &pin];
    token.run(&[&add[..], &by_phrase].concat()).exits(0);
    for class in ["internal", "confidential"] {
        token.run(&[&["put", "f", &format!("lab/{class}"), "--class", class][..], &by_phrase].concat()).exits(0);
    }
    let backup = token.sandbox.at("b");
    token.run(&[&["backup", "create", "b"][..], &by_phrase].concat()).exits(0);
    for with in ["passphrase", "pkcs11"] {
        let new = Sandbox::new();
        let run = |args: &[&str]| {
            let mut command = new.command(args);
            if with == "passphrase" {
                command.args(by_phrase);
            } else {
                command.env("SOFTHSM2_CONF", token.sandbox.at("softhsm2.conf"));
            }
            end(command)
        };
        let file = new.write_private("b", std::fs::read(&backup).unwrap()).display().to_string();
        new.run(["backup", "restore", &file]).exits(4);
        assert!(!new.vault().exists(), "{with}: something is left of what was refused");
        if with == "pkcs11" {
            // Where the account finds the token: the one thing that is carried besides, for no backup says what code to run.
            let folder = token.sandbox.at("config/strongroom");
            let places = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            let places = places.into_iter().find(|path| path.to_string_lossy().ends_with(".roots.json")).unwrap();
            let name = format!("config/strongroom/{}", places.file_name().unwrap().display());
            new.write_private(&name, std::fs::read(&places).unwrap());
        }
        let checked = run(&["--format", "json", "backup", "verify", "b"]).exits(0).json();
        assert_eq!((&checked["ok"], &checked["content"]["opened_by"]), (&true.into(), &with.into()), "{checked}");
        run(&["backup", "restore", "b"]).exits(0);
        let depot = token.sandbox.vault().join("depot");
        assert!(Command::new("cp").arg("-r").arg(depot).arg(new.vault()).status().unwrap().success());
        for class in ["internal", "confidential"] {
            assert_eq!(run(&["cat", &format!("lab/{class}")]).exits(0).stdout, b"hello", "{with}");
        }
        new.write("g", b"afterwards");
        run(&["put", "g", "lab/internal"]).exits(0);
        run(&["verify", "--all", "--state"]).exits(0);
        run(&["audit", "verify", "--replay"]).exits(0);
    }
}
