//! Refusals, and what their hints say, done.

use super::{Hint, only, run, sh, solo};
use crate::sandbox::{Sandbox, end};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

fn folder(sandbox: &Sandbox, name: &str, mode: u32) -> PathBuf {
    let path = sandbox.at(name);
    std::fs::create_dir_all(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path
}

fn keyfile(sandbox: &Sandbox) -> PathBuf {
    only(sandbox.at("config/strongroom"))
}

pub(super) fn no_safe_place(hint: &Hint) {
    let sandbox = solo();
    folder(&sandbox, "run", 0o700);
    folder(&sandbox, "run/strongroom", 0o777);
    hint.of(&sandbox.run(["unlock"]).exits(9));
    let mine = folder(&sandbox, "mine", 0o700);
    for args in [&["unlock", "--for", "1m"][..], &["lock"]] {
        let mut command = sandbox.command(args);
        command.env("XDG_RUNTIME_DIR", &mine);
        end(command).exits(0);
    }
}

pub(super) fn last_root(hint: &Hint) {
    let sandbox = solo();
    let roots = sandbox.run(["--format", "json", "root", "ls"]).exits(0).json();
    hint.of(&sandbox.run(["--yes", "root", "remove", roots["roots"][0]["id"].as_str().unwrap()]).exits(8));
    sandbox.run(["root", "drill"]).exits(0);
}

pub(super) fn no_escrow(hint: &Hint) {
    let sandbox = Sandbox::new();
    sandbox.run(["init", "--recovery-file", "code"]).exits(0);
    hint.of(&sandbox.run(["escrow", "recover", "--share", "none", "--no-recovery"]).exits(4));
    sandbox.run(["recover", "--code-file", "code", "--keyfile", "new.key", "--no-recovery"]).exits(0);
}

pub(super) fn no_folder(hint: &Hint) {
    let sandbox = solo();
    hint.of(&sandbox.run(["get", "lab/a", "no/such/x"]).exits(3));
    sandbox.run(["get", "lab/a", "x"]).exits(0);
}

pub(super) fn too_large_for_memory(hint: &Hint) {
    let sandbox = solo();
    sandbox.write("large/big", vec![7; 4 << 20]);
    sandbox.write("large/small", b"data");
    sandbox.run(["put", "large", "lab/large", "--class", "internal"]).exits(0);
    let over = |input: &str| sandbox.run(["run", "--memory", "1MiB", "-i", &format!("m={input}"), "--", "true"]);
    hint.of(&over("lab/large").exits(9));
    over("lab/large/small").exits(0);
}

pub(super) fn no_match(hint: &Hint) {
    let sandbox = solo();
    let put = |pattern: &str| sandbox.run(["put", "tree", "lab/tree", "--include", pattern]);
    hint.of(&put("/f").exits(2));
    put("f").exits(0);
    put("sub/f").exits(0);
}

pub(super) fn destination_exists(hint: &Hint) {
    let sandbox = solo();
    sandbox.write("taken", b"old");
    let said = hint.of(&sandbox.run(["get", "lab/a", "taken"]).exits(8));
    assert!(said.contains("taken"), "{said}");
    sandbox.run(["get", "lab/a", "free"]).exits(0);
    sandbox.run(["get", "lab/a", "taken", "--force"]).exits(0);
    assert_eq!(std::fs::read(sandbox.at("taken")).unwrap(), b"data");
}

pub(super) fn proof_exists(hint: &Hint) {
    let sandbox = solo();
    sandbox.write("taken", b"old");
    hint.of(&sandbox.run(["audit", "prove", "1", "-o", "taken"]).exits(8));
    sandbox.run(["audit", "prove", "1", "-o", "free"]).exits(0);
    assert_eq!(std::fs::read(sandbox.at("taken")).unwrap(), b"old");
}

pub(super) fn not_a_folder(hint: &Hint) {
    let sandbox = solo();
    hint.of(&sandbox.run(["man", "f/pages"]).exits(9));
    sandbox.run(["man", "pages"]).exits(0);
}

pub(super) fn no_source(hint: &Hint) {
    let sandbox = solo();
    hint.of(&sandbox.run(["put", "nothing", "lab/b"]).exits(3));
    sandbox.run(["put", "f", "lab/b"]).exits(0);
}

/// A vault that a passphrase opens.
fn passphrase() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write_private("right", "correct horse");
    sandbox.run(["--passphrase-file", "right", "init", "--root", "passphrase", "--no-recovery"]).exits(0);
    sandbox
}

pub(super) fn wrong_passphrase(hint: &Hint) {
    let sandbox = passphrase();
    sandbox.write_private("wrong", "battery staple");
    hint.of(&sandbox.run(["--passphrase-file", "wrong", "ls"]).exits(4));
    sandbox.run(["--passphrase-file", "right", "ls"]).exits(0);
}

pub(super) fn no_terminal(hint: &Hint) {
    let sandbox = passphrase();
    hint.of(&sandbox.run(["ls"]).exits(4));
    let mut again = sandbox.command(["ls"]);
    again.env("STRONGROOM_PASSPHRASE_FILE", sandbox.at("right"));
    end(again).exits(0);
}

pub(super) fn second_init(hint: &Hint) {
    let sandbox = Sandbox::solo();
    hint.of(&sandbox.run(["init", "--no-recovery"]).exits(8));
    sandbox.run(["init", "--no-recovery", "--vault", "other"]).exits(0);
    sandbox.run(["ls", "--vault", "other"]).exits(0);
}

pub(super) fn recovery_file_exists(hint: &Hint) {
    let sandbox = Sandbox::new();
    sandbox.write("taken", b"old");
    hint.of(&sandbox.run(["init", "--recovery-file", "taken"]).exits(8));
    sandbox.run(["init", "--recovery-file", "free"]).exits(0);
    assert_eq!(std::fs::read(sandbox.at("taken")).unwrap(), b"old");
}

/// With a recovery code in the file `code`.
fn recoverable() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.run(["init", "--recovery-file", "code"]).exits(0);
    sandbox
}

pub(super) fn foreign_code(hint: &Hint) {
    let (sandbox, other) = (recoverable(), recoverable());
    std::fs::remove_file(keyfile(&sandbox)).unwrap();
    std::fs::copy(other.at("code"), sandbox.at("foreign")).unwrap();
    let recover = |code: &str| sandbox.run(["recover", "--no-recovery", "--code-file", code]);
    hint.of(&recover("foreign").exits(4));
    recover("code").exits(0);
    sandbox.run(["ls"]).exits(0);
}

pub(super) fn key_file_in_the_way(hint: &Hint) {
    for away in [true, false] {
        let sandbox = recoverable();
        let recover = |more: &[&str]| {
            sandbox.run(["recover", "--no-recovery", "--code-file", "code"].iter().chain(more).copied())
        };
        hint.of(&recover(&[]).exits(8));
        if away {
            std::fs::rename(keyfile(&sandbox), sandbox.at("old.key")).unwrap();
            recover(&[]).exits(0);
            sandbox.run(["ls"]).exits(0);
        } else {
            recover(&["--keyfile", "new.key"]).exits(0);
            sandbox.run(["ls", "--keyfile", "new.key"]).exits(0);
        }
    }
}

pub(super) fn no_recovery_code(hint: &Hint) {
    let sandbox = solo();
    std::fs::rename(keyfile(&sandbox), sandbox.at("copy.key")).unwrap();
    sandbox.write("code", b"any");
    hint.of(&sandbox.run(["recover", "--no-recovery", "--code-file", "code"]).exits(4));
    sandbox.run(["ls", "--keyfile", "copy.key"]).exits(0);
}

pub(super) fn lower_class(hint: &Hint) {
    let sandbox = solo();
    sandbox.run(["put", "f", "lab/b", "--class", "confidential"]).exits(0);
    hint.of(&sandbox.run(["put", "f", "lab/b", "--class", "internal"]).exits(8));
    sandbox.run(["put", "f", "lab/b"]).exits(0);
    sandbox.run(["put", "f", "lab/c", "--class", "internal"]).exits(0);
}

pub(super) fn other_kind(hint: &Hint) {
    let sandbox = solo();
    sandbox.run(["put", "f", "lab/b", "--kind", "model"]).exits(0);
    hint.of(&sandbox.run(["put", "f", "lab/b", "--kind", "dataset"]).exits(8));
    sandbox.run(["put", "f", "lab/b"]).exits(0);
    sandbox.run(["put", "f", "lab/c", "--kind", "dataset"]).exits(0);
}

pub(super) fn pipe(hint: &Hint) {
    let sandbox = solo();
    sh(&sandbox, "mkfifo pipe");
    hint.of(&sandbox.run(["put", "pipe", "lab/b"]).exits(1));
    sandbox.run(["put", "f", "lab/b"]).exits(0);
    sandbox.run(["put", "tree", "lab/c"]).exits(0);
    sandbox.run(["put", "-", "lab/d"]).exits(0);
}

pub(super) fn pipe_inside(hint: &Hint) {
    let sandbox = solo();
    sh(&sandbox, "mkfifo tree/pipe");
    let said = hint.of(&sandbox.run(["put", "tree", "lab/b"]).exits(1));
    let pattern = said.split('\'').nth(1).unwrap();
    sandbox.run(["put", "tree", "lab/b", "--exclude", pattern]).exits(0);
}

pub(super) fn link_as_source(hint: &Hint) {
    let sandbox = solo();
    std::os::unix::fs::symlink("tree", sandbox.at("link")).unwrap();
    let said = hint.of(&sandbox.run(["put", "link", "lab/b"]).exits(2));
    sandbox.run(["put", said.split('\'').nth(1).unwrap(), "lab/b"]).exits(0);
}

pub(super) fn vault_itself(hint: &Hint) {
    let sandbox = solo();
    hint.of(&sandbox.run(["put", ".strongroom", "lab/b"]).exits(2));
    sandbox.run(["put", ".", "lab/b"]).exits(0);
}

pub(super) fn export_into_something(hint: &Hint) {
    let sandbox = solo();
    hint.of(&sandbox.run(["audit", "export", "tree"]).exits(8));
    folder(&sandbox, "empty", 0o755);
    sandbox.run(["audit", "export", "empty"]).exits(0);
    sandbox.run(["audit", "export", "absent"]).exits(0);
}

/// A vault that an older copy of it took the place of.
pub(super) fn older() -> Sandbox {
    let sandbox = solo();
    sh(&sandbox, "cp -r .strongroom copy");
    sandbox.run(["put", "f", "lab/b"]).exits(0);
    sh(&sandbox, "rm -r .strongroom && mv copy .strongroom");
    sandbox
}

pub(super) fn older_copy(hint: &Hint) {
    let sandbox = older();
    hint.of(&sandbox.run(["put", "f", "lab/b"]).exits(7));
    std::fs::rename(only(sandbox.at("state/strongroom")), sandbox.at("old.anchor")).unwrap();
    sandbox.run(["audit", "verify", "--new-anchor"]).exits(0);
    sandbox.run(["put", "f", "lab/b"]).exits(0);
}

pub(super) fn unlock_of_an_older_copy(hint: &Hint) {
    let sandbox = older();
    folder(&sandbox, "run", 0o700);
    let said = hint.of(&sandbox.run(["unlock"]).exits(7));
    let told = run(&sandbox, &said);
    assert!(told.text().contains("read-only"), "{}", told.text());
}

/// A part of the vault goes, and comes back from a copy.
pub(super) fn lost(hint: &Hint, part: &str) {
    let sandbox = solo();
    sh(&sandbox, &format!("cp -r .strongroom copy && rm -r .strongroom/{part}"));
    hint.of(&sandbox.run(["ls"]).exits(7));
    sh(&sandbox, &format!("cp -r copy/{part} .strongroom/{part}"));
    sandbox.run(["cat", "lab/a"]).exits(0);
}

pub(super) fn broken_vault_file(hint: &Hint) {
    let sandbox = solo();
    sh(&sandbox, "cp .strongroom/vault.json copy && echo '{' > .strongroom/vault.json");
    hint.of(&sandbox.run(["ls"]).exits(7));
    sh(&sandbox, "cp copy .strongroom/vault.json");
    sandbox.run(["ls"]).exits(0);
}

pub(super) fn lost_key_file(hint: &Hint) {
    let sandbox = solo();
    let (place, away) = (keyfile(&sandbox), sandbox.at("away.key"));
    std::fs::rename(&place, &away).unwrap();
    hint.of(&sandbox.run(["ls"]).exits(4));
    sandbox.run(["ls", "--keyfile", "away.key"]).exits(0);
    std::fs::rename(&away, &place).unwrap();
    sandbox.run(["ls"]).exits(0);
}

pub(super) fn no_socket(hint: &Hint) {
    let sandbox = solo();
    folder(&sandbox, "run", 0o700);
    folder(&sandbox, "run/strongroom", 0o700);
    let told = sandbox.run(["--format", "json", "-n", "unlock"]).exits(0).json();
    let socket = PathBuf::from(told["socket"].as_str().unwrap());
    std::fs::write(&socket, b"").unwrap();
    hint.of(&sandbox.run(["ls"]).exits(8));
    std::fs::remove_file(socket).unwrap();
    sandbox.run(["unlock", "--for", "1m"]).exits(0);
    sandbox.run(["ls"]).exits(0);
    sandbox.run(["lock"]).exits(0);
}

pub(super) fn bad_configuration(hint: &Hint) {
    let sandbox = solo();
    sandbox.write("config/strongroom/config.toml", "format = 'yaml'\n");
    let said = hint.of(&sandbox.run(["ls"]).exits(2));
    assert!(run(&sandbox, &said).exits(0).text().contains("--format"));
}

pub(super) fn alias_elsewhere(hint: &Hint) {
    let sandbox = solo();
    sandbox.run(["put", "tree", "lab/a", "--alias", "prod"]).exits(0);
    let said = hint.of(&sandbox.run(["alias", "set", "lab/a@v1", "prod", "--expect", "@v1"]).exits(8));
    assert!(run(&sandbox, &said).exits(0).text().contains("v2"));
}

pub(super) fn no_decision(hint: &Hint) {
    let sandbox = solo();
    let said = hint.of(&sandbox.run(["explain", &"0".repeat(32)]).exits(3));
    run(&sandbox, &said).exits(0);
    let said = hint.of(&sandbox.run(["audit", "show", "99999"]).exits(3));
    run(&sandbox, &said).exits(0);
}

pub(super) fn bad_decision(hint: &Hint) {
    let sandbox = solo();
    let said = hint.of(&sandbox.run(["explain", "lab/a"]).exits(2));
    let (tail, explain) = said.split_once("; what would be decided: ").unwrap();
    run(&sandbox, tail).exits(0);
    run(&sandbox, &explain.replace("REF", "lab/a")).exits(0);
}

pub(super) fn named_vault_absent(hint: &Hint) {
    let sandbox = Sandbox::new();
    let said = hint.of(&sandbox.run(["ls", "--vault", "nowhere"]).exits(3));
    run(&sandbox, &format!("{said} --no-recovery")).exits(0);
    sandbox.run(["ls"]).exits(0);
}

pub(super) fn no_vault(hint: &Hint) {
    let sandbox = Sandbox::new();
    let said = hint.of(&sandbox.run(["ls"]).exits(3));
    let (init, named) = said.split_once(", or ").unwrap();
    run(&sandbox, &format!("{init} --no-recovery --vault v")).exits(0);
    sandbox.run(["ls"].into_iter().chain(named.replace("DIR", "v").split(' '))).exits(0);
}

/// What is not there is looked for with the command that lists what is.
pub(super) fn listed(hint: &Hint, args: &[&str]) {
    let sandbox = solo();
    let said = hint.of(&sandbox.run(args).exits(3));
    run(&sandbox, &said).exits(0);
}

pub(super) fn cat_of_a_folder(hint: &Hint) {
    let sandbox = solo();
    let said = hint.of(&sandbox.run(["cat", "lab/tree/sub"]).exits(2));
    assert!(run(&sandbox, &said).exits(0).text().contains('f'));
}

pub(super) fn show_of_a_path(hint: &Hint) {
    let sandbox = solo();
    let said = hint.of(&sandbox.run(["show", "lab/tree/sub"]).exits(2));
    for command in said.split(", or ") {
        run(&sandbox, command).exits(0);
    }
}

pub(super) fn bad_policy(hint: &Hint) {
    let sandbox = solo();
    sandbox.write("wrong.cedar", "permit");
    let said = hint.of(&sandbox.run(["policy", "apply", "wrong.cedar", "--yes"]).exits(2));
    let told = run(&sandbox, &format!("{said} wrong.cedar")).exits(1);
    assert!(told.text().contains("wrong"), "{}", told.text());
}

pub(super) fn other_base(hint: &Hint) {
    let sandbox = solo();
    sandbox.write("extra.cedar", "");
    let apply = |base: &str| sandbox.run(["policy", "apply", "extra.cedar", "--yes", "--base", base]);
    let said = hint.of(&apply(&"0".repeat(64)).exits(8));
    run(&sandbox, &said).exits(0);
    let set = sandbox.run(["--format", "json", "policy", "show"]).exits(0).json();
    apply(set["hash"].as_str().unwrap()).exits(0);
}

/// A table by which the vault's root may wrap and open nothing.
fn locking(sandbox: &Sandbox) {
    let table = testkit::suites::table("default");
    assert!(table.is_none(), "the baseline's");
    let lines = include_str!("../../../../../baseline/crypto.toml").lines();
    let lines = lines.map(|line| match line.starts_with("read = ") {
        true => format!("{line}\nwrap = [\"hsm\", \"kms\", \"escrow\"]\n"),
        false => format!("{line}\n"),
    });
    sandbox.write("locks.toml", lines.collect::<String>());
}

pub(super) fn locks_out(hint: &Hint) {
    let sandbox = solo();
    locking(&sandbox);
    let said = hint.of(&sandbox.run(["--yes", "policy", "suites", "locks.toml"]).exits(8));
    let flag = said.rsplit(' ').next().unwrap();
    sandbox.run(["--yes", "policy", "suites", "locks.toml", flag]).exits(0);
    sandbox.run(["cat", "lab/a"]).exits(10);
    sandbox.run(["--yes", "policy", "suites", "--baseline"]).exits(0);
    sandbox.run(["cat", "lab/a"]).exits(0);
}

pub(super) fn root_of_no_use(hint: &Hint) {
    let sandbox = solo();
    locking(&sandbox);
    sandbox.run(["--yes", "policy", "suites", "locks.toml", "--accept-lockout"]).exits(0);
    let said = hint.of(&sandbox.run(["root", "add", "keyfile", "--path", "second.key"]).exits(10));
    assert!(run(&sandbox, &said).exits(0).text().contains("wrap = [\"hsm\""));
}

/// A rehearsal vault with an artifact and a reader of it.
fn lab() -> Sandbox {
    let sandbox = Sandbox::rehearsal();
    sandbox.write("f", b"data");
    for (name, grant) in [("wanda", "lab=writer"), ("alice", "lab=reader"), ("paula", "vault=policy-author")] {
        sandbox.run(["principal", "add", name, "--clearance", "confidential", "--grant", grant]).exits(0);
    }
    sandbox.run(["--as", "wanda", "put", "f", "lab/a", "--class", "internal"]).exits(0);
    sandbox
}

/// Runs what stands in backticks, and answers what it told.
fn quoted(sandbox: &Sandbox, said: &str) -> String {
    run(sandbox, said.split('`').nth(1).unwrap()).exits(0).text()
}

pub(super) fn suspended(hint: &Hint) {
    let sandbox = lab();
    sandbox.run(["principal", "add", "alice", "--change", "--suspended"]).exits(0);
    let said = hint.of(&sandbox.run(["--as", "alice", "cat", "lab/a"]).exits(10));
    let told = quoted(&sandbox, &said);
    assert!(told.contains("suspended"), "{told}");
}

pub(super) fn forbidden_to_the_owner(hint: &Hint) {
    let sandbox = lab();
    let owner = sandbox.run(["--format", "json", "whoami"]).exits(0).json();
    let owner = owner["name"].as_str().or(owner["principal"].as_str()).unwrap().to_owned();
    sandbox.run(["principal", "add", &owner, "--change", "--grant", "lab=reader", "--clearance", "internal"]).exits(0);
    sandbox.run(["cat", "lab/a"]).exits(0);
    let policy = "@id(\"closed\")\n@reason(\"closed for a test\")\n@owner(\"a test\")\n\
                  forbid (principal, action == Action::\"read\", resource is Artifact);\n";
    sandbox.write("closed.cedar", policy);
    sandbox.run(["--as", "paula", "--yes", "policy", "apply", "closed.cedar"]).exits(0);
    let said = hint.of(&sandbox.run(["cat", "lab/a"]).exits(5));
    let told = quoted(&sandbox, &said);
    assert!(told.contains("closed for a test"), "{told}");
}

pub(super) fn principal_exists(hint: &Hint) {
    let sandbox = Sandbox::rehearsal();
    let add = ["principal", "add", "alice", "--clearance", "internal"];
    sandbox.run(add).exits(0);
    let said = hint.of(&sandbox.run(add).exits(8));
    run(&sandbox, &format!("{said} --clearance public")).exits(0);
}

pub(super) fn erasing_somebody_active(hint: &Hint) {
    let sandbox = Sandbox::rehearsal();
    sandbox.run(["principal", "add", "alice"]).exits(0);
    let erase = ["principal", "erase", "alice", "--reason", "asked", "--yes"];
    let said = hint.of(&sandbox.run(erase).exits(8));
    run(&sandbox, &said).exits(0);
    sandbox.run(erase).exits(0);
}

pub(super) fn flipped_byte(hint: &Hint) {
    let sandbox = solo();
    let object = sandbox.objects().remove(0);
    let mut bytes = std::fs::read(&object).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&object, bytes).unwrap();
    let (mut refused, references) = (None, ["lab/a", "lab/tree/sub/f"]);
    for reference in references {
        let ended = sandbox.run(["cat", reference]);
        if ended.code == 7 {
            refused = Some(hint.of(&ended));
        }
    }
    let found = run(&sandbox, &refused.expect("one of them is damaged")).exits(7);
    assert!(found.text().contains("lab/"), "it says which: {}", found.text());
}

pub(super) fn edited_row(hint: &Hint) {
    let sandbox = solo();
    let database = rusqlite::Connection::open(sandbox.vault().join("keeper.db")).unwrap();
    let edit = "UPDATE wrap SET body = CAST(replace(CAST(body AS TEXT), '\"sealed\":\"', '\"sealed\":\"00') AS BLOB)";
    assert!(database.execute(edit, []).unwrap() > 0);
    drop(database);
    let said = hint.of(&sandbox.run(["cat", "lab/a"]).exits(7));
    let found = run(&sandbox, &said);
    assert_eq!(found.code, 7, "{}", found.text());
}

pub(super) fn bad_reference(hint: &Hint) {
    let sandbox = solo();
    let said = hint.of(&sandbox.run(["put", "f", "lab/a@v1"]).exits(2));
    assert!(run(&sandbox, &said).exits(0).text().contains("WORKSPACE/ARTIFACT"));
}

pub(super) fn unknown_flag(hint: &Hint) {
    let sandbox = Sandbox::new();
    let said = hint.of(&sandbox.run(["init", "--root", "tpm"]).exits(2));
    assert!(run(&sandbox, &said).exits(0).text().contains("--root"));
}

pub(super) fn no_program(hint: &Hint) {
    let sandbox = solo();
    let over = |program: &str| sandbox.run(["run", "-i", "m=lab/a", "--", program]);
    hint.of(&over("no-such-program").exits(3));
    over("true").exits(0);
}
