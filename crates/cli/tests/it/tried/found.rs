//! Findings of `doctor`, and what their hints say, done.

use super::{Hint, only, sh, solo};
use crate::sandbox::{Sandbox, end};
use serde_json::Value;
use std::path::PathBuf;

/// The hints of one check, as `doctor` tells them with these flags.
fn hints(sandbox: &Sandbox, flags: &[&str], check: &str) -> Vec<String> {
    let mut command = sandbox.command(["--format", "json", "doctor"].iter().chain(flags));
    command.env("TMPDIR", sandbox.at("tmp"));
    let told = end(command).json();
    let checks = told["checks"].as_array().unwrap();
    let of_check: Vec<&Value> = checks.iter().filter(|found| found["name"] == check).collect();
    assert!(!of_check.is_empty(), "no check {check}: {told}");
    of_check.iter().filter_map(|found| found["try"].as_str()).map(str::to_owned).collect()
}

/// The one hint of a check, which is of the form that is asked for.
#[track_caller]
fn one(hint: &Hint, found: Vec<String>) -> String {
    assert_eq!(found.len(), 1, "{found:?}");
    hint.is(&found[0])
}

const NONE: Vec<String> = Vec::new();

fn keyfile(sandbox: &Sandbox) -> PathBuf {
    only(sandbox.at("config/strongroom"))
}

pub(super) fn open_key_file(hint: &Hint) {
    let sandbox = solo();
    sh(&sandbox, "chmod 644 config/strongroom/*.key");
    let said = one(hint, hints(&sandbox, &[], "key-file"));
    sandbox.run(["ls"]).exits(4);
    sh(&sandbox, &said);
    assert_eq!(hints(&sandbox, &[], "key-file"), NONE);
    sandbox.run(["ls"]).exits(0);
}

pub(super) fn key_file_inside(hint: &Hint) {
    let sandbox = solo();
    std::fs::rename(keyfile(&sandbox), sandbox.vault().join("own.key")).unwrap();
    one(hint, hints(&sandbox, &["--keyfile", ".strongroom/own.key"], "key-place"));
    std::fs::rename(sandbox.vault().join("own.key"), sandbox.at("own.key")).unwrap();
    assert_eq!(hints(&sandbox, &["--keyfile", "own.key"], "key-place"), NONE);
}

pub(super) fn anchor_inside(hint: &Hint) {
    let sandbox = solo();
    std::fs::rename(only(sandbox.at("state/strongroom")), sandbox.vault().join("own.anchor")).unwrap();
    one(hint, hints(&sandbox, &["--anchor", ".strongroom/own.anchor"], "anchor-place"));
    std::fs::rename(sandbox.vault().join("own.anchor"), sandbox.at("own.anchor")).unwrap();
    assert_eq!(hints(&sandbox, &["--anchor", "own.anchor"], "anchor-place"), NONE);
}

pub(super) fn synced_folder(hint: &Hint) {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.at("Dropbox")).unwrap();
    sandbox.run(["init", "--no-recovery", "--vault", "Dropbox/v"]).exits(0);
    one(hint, hints(&sandbox, &["--vault", "Dropbox/v"], "vault-place"));
    sh(&sandbox, "mv Dropbox/v v");
    assert_eq!(hints(&sandbox, &["--vault", "v"], "vault-place"), NONE);
}

pub(super) fn copied_key_file(hint: &Hint) {
    let sandbox = solo();
    std::fs::copy(keyfile(&sandbox), sandbox.at("copy.key")).unwrap();
    let said = one(hint, hints(&sandbox, &[], "key-copies"));
    sh(&sandbox, said.split(", once").next().unwrap());
    assert!(!sandbox.at("copy.key").exists());
    assert_eq!(hints(&sandbox, &[], "key-copies"), NONE);
}

pub(super) fn read_only(hint: &Hint) {
    let sandbox = super::acts::older();
    let said = one(hint, hints(&sandbox, &[], "opens"));
    let told = super::run(&sandbox, &said).exits(7);
    assert!(told.text().contains("anchor"), "{}", told.text());
}

pub(super) fn lost_anchor(hint: &Hint) {
    let sandbox = solo();
    std::fs::remove_file(only(sandbox.at("state/strongroom"))).unwrap();
    let said = one(hint, hints(&sandbox, &[], "anchor"));
    super::run(&sandbox, said.split(", if").next().unwrap()).exits(0);
    assert_eq!(hints(&sandbox, &[], "anchor"), NONE);
}
