//! What somebody with write access to the storage or to the vault's folder can try, through the real binary: every
//! attempt ends with exit 7, says what and where, and hands out not one unauthenticated byte.

mod database;
mod depot;
mod middle;

use super::sandbox::Sandbox;
use std::path::Path;

/// Bytes with one bit flipped.
fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}

/// Objects are read-only on disk; an attacker is not impressed.
pub fn overwrite(path: &Path, bytes: &[u8]) {
    let _ = std::fs::remove_file(path);
    std::fs::write(path, bytes).expect("an object");
}

#[test]
fn an_older_copy_of_the_vault_is_read_only() {
    let sandbox = Sandbox::solo();
    sandbox.write("data.bin", b"first");
    sandbox.run(["put", "data.bin", "lab/data", "--class", "internal"]).exits(0);
    let copy = sandbox.at("older");
    copy_folder(&sandbox.vault(), &copy);
    sandbox.write("data.bin", b"second");
    sandbox.run(["put", "data.bin", "lab/data", "--class", "internal"]).exits(0);
    std::fs::remove_dir_all(sandbox.vault()).expect("the newer vault goes");
    copy_folder(&copy, &sandbox.vault());

    sandbox.run(["put", "data.bin", "lab/data", "--class", "internal"]).exits(7);
    sandbox.run(["get", "lab/data", "out"]).exits(7);
    sandbox.run(["gc", "--grace", "0s", "--yes"]).exits(7);
    sandbox.run(["key", "rotate"]).exits(7);
    assert!(!sandbox.at("out").exists());
    let verified = sandbox.run(["audit", "verify"]);
    assert_eq!(verified.code, 7, "{}", verified.stderr);
}

#[test]
fn a_lost_anchor_is_said_and_not_taken_for_proof() {
    let sandbox = Sandbox::solo();
    sandbox.write("data.bin", b"first");
    sandbox.run(["put", "data.bin", "lab/data", "--class", "internal"]).exits(0);
    let fresh = sandbox.run(["--format", "json", "verify", "--all"]).exits(0).json();
    assert_eq!(fresh["freshness"], "proven");
    std::fs::remove_dir_all(sandbox.at("state")).expect("the anchor goes");
    let unproven = sandbox.run(["--format", "json", "verify", "--all"]).exits(0);
    assert!(unproven.stderr.contains("fresh"), "a warning says so: {}", unproven.stderr);
    assert_eq!(unproven.json()["freshness"], "unproven");
    sandbox.run(["gc", "--grace", "0s", "--yes"]).exits(7);
    let again = sandbox.run(["--format", "json", "status"]).exits(0).json();
    assert_eq!(again["freshness"], "unproven", "a copy does not vouch for itself: {again}");
    let made = sandbox.run(["--format", "json", "audit", "verify", "--new-anchor"]).exits(0).json();
    assert_eq!(made["freshness"], "proven");
    sandbox.run(["gc", "--grace", "0s", "--yes"]).exits(0);
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}
