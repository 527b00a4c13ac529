//! The spill finder through the real binary: what lies about is found, and nothing else is.

use super::sandbox::{Dice, Ended, Sandbox};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

const HEAD: &str = "id,age,radius,texture,perimeter,area,smoothness\n";

fn rows(dice: &mut Dice, count: usize) -> Vec<String> {
    let row = |dice: &mut Dice| {
        let mut cell = |whole: u64, part: u64| format!("{}.{:03}", dice.below(whole), dice.below(part));
        let measured: Vec<String> = (0..5).map(|_| cell(900, 1_000)).collect();
        let (id, age) = (dice.below(10_000_000), dice.below(90));
        format!("{id},{age},{}", measured.join(","))
    };
    (0..count).map(|_| row(dice)).collect()
}

fn csv(rows: &[String]) -> Vec<u8> {
    format!("{HEAD}{}\n", rows.join("\n")).into_bytes()
}

fn prose(dice: &mut Dice, lines: usize) -> Vec<String> {
    let words =
        ["the", "patient", "was", "seen", "again", "scan", "showed", "nothing", "left", "right", "after", "pain"];
    let line = |dice: &mut Dice| {
        let some: Vec<&str> = (0..9).map(|_| words[dice.below(12) as usize]).collect();
        format!("{} {}", some.join(" "), dice.below(1 << 40))
    };
    (0..lines).map(|_| line(dice)).collect()
}

/// A safetensors file with one tensor of these bytes.
fn tensors(bytes: &[u8], name: &str) -> Vec<u8> {
    let header = format!(
        r#"{{"__metadata__":{{"format":"pt"}},"{name}":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{}]}}}}"#,
        bytes.len() / 4,
        bytes.len()
    );
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), bytes].concat()
}

/// A tar archive of one file between two others.
fn tar(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, bytes) in [("first.txt", &b"something"[..]), (name, bytes), ("last.txt", b"else")] {
        let mut header = [0_u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..136].copy_from_slice(format!("{:011o}\0", bytes.len()).as_bytes());
        header[257..262].copy_from_slice(b"ustar");
        out.extend_from_slice(&header);
        out.extend_from_slice(bytes);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1_024, 0);
    out
}

fn notebook(outputs: Value) -> Vec<u8> {
    let cell = json!({"cell_type": "code", "source": ["df.head()\n"], "outputs": [{"data": outputs}]});
    json!({"cells": [cell], "metadata": {}, "nbformat": 4}).to_string().into_bytes()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = bytes.chunks(3).flat_map(|three| {
        let n = three.iter().fold(0_u32, |n, byte| n << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        (0..=three.len()).map(move |at| DIGITS[(n >> (18 - 6 * at) & 63) as usize] as char)
    });
    digits.collect()
}

/// What is in the vault.
struct Stored {
    sandbox: Sandbox,
    rows: Vec<String>,
    open: Vec<String>,
    notes: Vec<String>,
    weights: Vec<u8>,
    blob: Vec<u8>,
}

impl Stored {
    fn new() -> Self {
        let sandbox = Sandbox::solo();
        let mut dice = Dice(60);
        let stored = Self {
            rows: rows(&mut dice, 4_000),
            open: rows(&mut dice, 1_000),
            notes: prose(&mut dice, 300),
            weights: dice.bytes(6 << 20),
            blob: dice.bytes(3 << 20),
            sandbox,
        };
        let Self { sandbox, .. } = &stored;
        sandbox.write("src/rows/patients.csv", csv(&stored.rows));
        sandbox.write("src/rows/LICENSE", LICENCE);
        sandbox.write("src/open/open.csv", csv(&stored.open));
        sandbox.write("src/notes/notes.txt", stored.notes.join("\n"));
        sandbox.write("src/model/model.safetensors", tensors(&stored.weights, "encoder.weight"));
        sandbox.write("src/model/config.json", r#"{"hidden_size": 768, "num_layers": 12, "vocab_size": 30522}"#);
        sandbox.write("src/model/zeros.bin", vec![0; 100_000]);
        sandbox.write("src/blob/blob", &stored.blob);
        for (name, class) in [
            ("rows", "confidential"),
            ("open", "public"),
            ("notes", "internal"),
            ("model", "restricted"),
            ("blob", "internal"),
        ] {
            sandbox.run(["put", &format!("src/{name}"), &format!("lab/{name}"), "--class", class]).exits(0);
        }
        std::fs::remove_dir_all(sandbox.at("src")).unwrap();
        stored
    }

    /// The planted spill of a number, and its name.
    fn planted(&self, number: usize, dice: &mut Dice) -> (String, Vec<u8>) {
        let from = dice.below(2_000) as usize;
        let some = |step: usize, count: usize| {
            self.rows.iter().skip(from).step_by(step).take(count).cloned().collect::<Vec<_>>()
        };
        let part = |bytes: &[u8], len: usize, dice: &mut Dice| {
            let from = dice.below((bytes.len() - len) as u64) as usize;
            bytes[from..from + len].to_vec()
        };
        let (name, bytes) = match number % 16 {
            0 => ("copy.csv", csv(&self.rows)),
            1 => ("renamed", self.blob.clone()),
            2 => ("half.csv", csv(&self.rows[..1_000 + from])),
            3 => ("cut.bin", self.blob[..1 << 20].to_vec()),
            4 => ("in.tar", tar("patients.csv", &csv(&self.rows))),
            5 => ("some.csv", csv(&some(7, 200))),
            6 => {
                let cells = |row: &String| format!("<td>{}</td>", row.replace(',', "</td>\n<td>"));
                let rows: Vec<String> = self
                    .rows
                    .iter()
                    .take(5)
                    .enumerate()
                    .map(|(at, row)| format!("<tr>\n<th>{at}</th>\n{}\n</tr>", cells(row)))
                    .collect();
                ("head.ipynb", notebook(json!({"text/html": [format!("<table>\n{}\n</table>", rows.join("\n"))]})))
            }
            7 => {
                let shown: Vec<String> = self
                    .rows
                    .iter()
                    .take(6)
                    .enumerate()
                    .map(|(at, row)| format!("{at}  {}\n", row.replace(',', "   ")))
                    .collect();
                ("shown.ipynb", notebook(json!({"text/plain": shown})))
            }
            8 => ("image.ipynb", notebook(json!({"image/png": base64(&self.blob[..200_000])}))),
            9 => ("part.safetensors", tensors(&part(&self.weights, 2 << 20, dice), "head.bias")),
            10 => ("joined", [dice.bytes(5_000), part(&self.weights, 3 << 20, dice), dice.bytes(70_000)].concat()),
            11 => {
                let some = self.notes[50..80].join("\n");
                ("mail.txt", format!("Dear all,\nsee below what was found.\n\n{some}\n\nBest wishes").into_bytes())
            }
            12 => {
                let numbered: Vec<String> =
                    some(3, 300).iter().enumerate().map(|(at, row)| format!("{at},{row}")).collect();
                ("indexed.csv", csv(&numbered))
            }
            13 => ("columns.tsv", some(5, 300).join("\n").replace(',', "\t").into_bytes()),
            14 => {
                // A stored member: a header of its own before, a directory behind.
                let csv = csv(&self.rows);
                ("stored.zip", [&b"PK\x03\x04\x14\0\0\0\0\0"[..], &[1; 20], b"patients.csv", &csv, &[0; 90]].concat())
            }
            _ => {
                let columns: Vec<String> =
                    self.rows.iter().map(|row| row.split(',').skip(2).collect::<Vec<_>>().join(";")).collect();
                ("columns.csv", columns.join("\n").into_bytes())
            }
        };
        (name.to_owned(), bytes)
    }

    /// Something that is no spill.
    fn decoy(&self, number: usize, dice: &mut Dice) -> (String, Vec<u8>) {
        let count = 20 + dice.below(400) as usize;
        let (name, bytes) = match number % 12 {
            0 => ("random", dice.bytes(100 + count * 100)),
            1 => ("text.txt", prose(dice, count).join("\n").into_bytes()),
            2 => ("zeros", vec![0; [100_000, 3 << 20, 12_345][number % 3]]),
            3 => ("open.csv", csv(&self.open)),
            4 => {
                let mut near: Vec<String> = self.open.iter().skip(count).cloned().collect();
                near.extend(rows(dice, 40));
                ("near.csv", csv(&near))
            }
            5 => ("other.csv", csv(&rows(dice, count))),
            6 => (
                if number.is_multiple_of(2) { "LICENSE" } else { "terms.txt" },
                LICENCE.repeat(1 + number % 3).into_bytes(),
            ),
            7 => ("model.safetensors", tensors(&dice.bytes(count * 400), "encoder.weight")),
            8 => {
                let first = dice.below(1_000);
                let longs = (first..first + 20_000).flat_map(u64::to_le_bytes).collect();
                let floats = (0..20_000_u32).flat_map(|n| (n as f32 * 0.5).to_le_bytes()).collect();
                ("count.npy", if number.is_multiple_of(2) { longs } else { floats })
            }
            9 => ("train.py", CODE.repeat(1 + number % 4).into_bytes()),
            10 => (
                "config.json",
                format!(r#"{{"hidden_size": 768, "num_layers": 12, "vocab_size": {count}}}"#).into_bytes(),
            ),
            _ => (
                "note.ipynb",
                notebook(json!({"text/plain": prose(dice, 20), "image/png": base64(&dice.bytes(50_000))})),
            ),
        };
        (name.to_owned(), bytes)
    }
}

const LICENCE: &str = "Permission is hereby granted, free of charge, to any person obtaining a copy\n\
of this software and associated documentation files (the \"Software\"), to deal\n\
in the Software without restriction, including without limitation the rights\n\
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell\n\
copies of the Software, and to permit persons to whom the Software is\n\
furnished to do so, subject to the following conditions:\n";

const CODE: &str = "import argparse\nimport torch\nparser = argparse.ArgumentParser()\n\
parser.add_argument(\"--lr\", type=float, default=1e-3)\nparser.add_argument(\"--epochs\", type=int, default=10)\n\
parser.add_argument(\"--batch\", type=int, default=32)\nargs = parser.parse_args()\n";

fn search(sandbox: &Sandbox, args: &[&str]) -> Ended {
    sandbox.run(["--format", "json", "doctor", "--spills"].iter().chain(args))
}

fn paths(report: &Value) -> BTreeSet<PathBuf> {
    report["items"].as_array().unwrap().iter().map(|item| PathBuf::from(item["path"].as_str().unwrap())).collect()
}

#[test]
fn a_hundred_planted_spills_are_found_and_a_thousand_decoys_are_not() {
    let stored = Stored::new();
    let sandbox = &stored.sandbox;
    let mut dice = Dice(61);
    let mut planted = BTreeSet::new();
    for number in 0..100 {
        let (name, bytes) = stored.planted(number, &mut dice);
        planted.insert(PathBuf::from(format!("planted/{}/{number}-{name}", number % 7)));
        sandbox.write(&format!("planted/{}/{number}-{name}", number % 7), bytes);
    }
    for number in 0..1_000 {
        let (name, bytes) = stored.decoy(number, &mut dice);
        let name = if name == "LICENSE" {
            format!("decoys/{number}/{name}")
        } else {
            format!("decoys/{}/{number}-{name}", number % 9)
        };
        sandbox.write(&name, bytes);
    }
    let decoys = search(sandbox, &["decoys"]).exits(0).json();
    assert_eq!(decoys["items"], json!([]));
    let searched = decoys["searched"]["files"].as_u64().unwrap();
    assert!(searched > 900, "{decoys}");
    let found = search(sandbox, &["decoys", "planted"]).exits(1).json();
    let missed: Vec<_> = planted.difference(&paths(&found)).cloned().collect();
    let wrong: Vec<_> = paths(&found).difference(&planted).cloned().collect();
    assert!(missed.is_empty() && wrong.is_empty(), "missed {missed:?}, wrong {wrong:?}");
    assert_eq!((&found["known"]["versions"], &found["known"]["refused"]), (&json!(4), &json!([])));
    for item in found["items"].as_array().unwrap() {
        let held = &item["holds"][0];
        let path = item["path"].as_str().unwrap();
        assert!(held["version"].as_str().unwrap().ends_with("@v1"), "{item}");
        assert!(held["files"][0].is_string() && item["cause"].is_string() && item["avoid"].is_string(), "{item}");
        if path.ends_with("copy.csv") || path.ends_with("renamed") || path.ends_with("in.tar") {
            assert_eq!(held["whole"], true, "{item}");
        }
    }
    let named = |end: &str| {
        let items = found["items"].as_array().unwrap();
        items.iter().find(|item| item["path"].as_str().unwrap().ends_with(end)).unwrap().clone()
    };
    assert_eq!(named("mail.txt")["holds"][0]["files"], json!(["notes.txt"]));
    assert_eq!(named("mail.txt")["holds"][0]["version"], "lab/notes@v1");
    assert!(named("head.ipynb")["cause"].as_str().unwrap().contains("notebook"));
}

#[test]
fn what_is_compressed_or_gits_own_is_said_and_never_removed() {
    let stored = Stored::new();
    let sandbox = &stored.sandbox;
    sandbox.write("tree/.git/objects/ab/cdef", b"x\x9c and what zlib made of it, which is not looked into");
    sandbox.write("tree/.git/objects/pack/pack-1.pack", [&b"PACK"[..], &[7; 200]].concat());
    sandbox.write("tree/a.csv.gz", [&[0x1f, 0x8b][..], &[8; 200]].concat());
    sandbox.write("tree/.git/lfs/objects/aa/bb/data", csv(&stored.rows));
    sandbox.write("tree/data.csv", csv(&stored.rows));
    let found = search(sandbox, &["tree"]).exits(1).json();
    let left: Vec<&str> =
        found["not_searched"].as_array().unwrap().iter().map(|left| left["what"].as_str().unwrap()).collect();
    assert!(
        left.iter().any(|left| left.contains("git objects")) && left.iter().any(|left| left.contains("git packs")),
        "{left:?}"
    );
    assert!(left.contains(&"gzip files"), "{left:?}");
    assert_eq!(paths(&found).len(), 2);
    let removed = search(sandbox, &["tree", "--remove", "--yes"]).exits(1).json();
    let of = |end: &str| {
        removed["items"].as_array().unwrap().iter().find(|i| i["path"].as_str().unwrap().ends_with(end)).unwrap()["removal"].clone()
    };
    assert_eq!((of("lfs/objects/aa/bb/data"), of("tree/data.csv")), (json!("in-git"), json!("removed")));
    assert!(sandbox.at("tree/.git/lfs/objects/aa/bb/data").exists() && !sandbox.at("tree/data.csv").exists());
}

#[test]
fn nothing_is_removed_without_a_yes_and_mixed_files_only_by_name() {
    let stored = Stored::new();
    let sandbox = &stored.sandbox;
    let mixed = [
        prose(&mut Dice(62), 400).join("\n").into_bytes(),
        b"\n".to_vec(),
        stored.notes[10..30].join("\n").into_bytes(),
    ];
    sandbox.write("lying/copy", &stored.blob);
    sandbox.write("lying/mixed.txt", mixed.concat());
    sandbox.write("lying/innocent.txt", prose(&mut Dice(63), 50).join("\n"));
    std::os::unix::fs::symlink(sandbox.at("lying/copy"), sandbox.at("lying/link")).unwrap();
    search(sandbox, &["lying", "--remove"]).exits(2);
    search(sandbox, &["lying", "--remove", "--dry-run"]).exits(1);
    assert!(sandbox.at("lying/copy").exists());
    let removed = search(sandbox, &["lying", "--remove", "--yes"]).exits(1).json();
    assert_eq!(paths(&removed).len(), 2, "{removed}");
    assert!(!sandbox.at("lying/copy").exists() && sandbox.at("lying/mixed.txt").exists());
    assert_eq!(removed["items"][1]["removal"], "holds-others", "{removed}");
    search(sandbox, &["lying/mixed.txt", "--remove", "--yes"]).exits(0);
    assert!(!sandbox.at("lying/mixed.txt").exists() && sandbox.at("lying/innocent.txt").exists());
    assert!(std::fs::symlink_metadata(sandbox.at("lying/link")).is_ok(), "a link holds nothing");
    let text = sandbox.run(["doctor", "--spills", "lying"]).exits(0).text();
    assert!(text.contains("no plaintext of the vault"), "{text}");
}

#[test]
fn a_hostile_folder_ends_the_search_nowhere() {
    let stored = Stored::new();
    let sandbox = &stored.sandbox;
    let at = |name: &str| sandbox.at("hostile").join(name);
    sandbox.write("hostile/deep/a\u{1b}[31m.csv", csv(&stored.rows));
    sandbox.write("outside/copy", &stored.blob);
    std::os::unix::fs::symlink("..", at("deep/loop")).unwrap();
    std::os::unix::fs::symlink(sandbox.at("outside"), at("out")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    // A tebibyte of nothing, and something at its end.
    let sparse = std::fs::File::create(at("sparse")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, &stored.blob, (1 << 40) - (3 << 20)).unwrap();
    let mut deep = at("deep");
    for _ in 0..140 {
        deep.push("d");
    }
    std::fs::create_dir_all(&deep).unwrap();
    let found = search(sandbox, &["hostile"]).exits(1).json();
    let ends: Vec<bool> = paths(&found).iter().map(|path| path.starts_with("hostile")).collect();
    assert_eq!(ends, [true, true], "{found}");
    assert!(found["not_searched"].to_string().contains("128 deep"), "{found}");
    let text = sandbox.run(["doctor", "--spills", "hostile"]).exits(1).text();
    assert!(!text.contains('\u{1b}'), "{text}");
    for root in ["hostile/out", "hostile/pipe", "nowhere"] {
        let left = search(sandbox, &[root]).exits(0).json();
        assert_eq!((&left["items"], &left["not_searched"][0]["count"]), (&json!([]), &json!(1)), "{left}");
    }
}

#[test]
fn exports_and_versions_are_named() {
    let stored = Stored::new();
    let sandbox = &stored.sandbox;
    sandbox.run(["get", "lab/rows", "out"]).exits(0);
    // The second version keeps most of the first, whose prints come along.
    sandbox.write("out/more.csv", csv(&rows(&mut Dice(64), 50)));
    sandbox.run(["put", "out", "lab/rows", "--class", "confidential"]).exits(0);
    let found = search(sandbox, &["out"]).exits(1).json();
    let item = found["items"].as_array().unwrap().iter().find(|i| i["path"] == "out/patients.csv").unwrap();
    let held = &item["holds"][0];
    assert_eq!((&held["version"], &held["whole"]), (&json!("lab/rows@v2"), &json!(true)), "{item}");
    let exported = &held["exported"][0];
    assert_eq!(exported["version"], "lab/rows@v1", "{item}");
    assert!(exported["decision"].is_string() && exported["by"].is_string() && exported["time"].is_string(), "{item}");
    let entries = sandbox.run(["--format", "json", "audit", "query", "--act", "release.prints"]).exits(0).json();
    assert!(entries["items"].as_array().unwrap().len() >= 4, "each artifact's prints left under a decision: {entries}");
}

#[test]
fn plain_doctor_looks_where_tools_leave_things() {
    let stored = Stored::new();
    let sandbox = &stored.sandbox;
    sandbox.write("home/.cache/huggingface/datasets/a/data.csv", csv(&stored.rows[..2_000]));
    sandbox.write("tmp/x/tmp123", &stored.blob);
    let doctor = || {
        let mut command = sandbox.command(["--format", "json", "doctor"]);
        command.env("TMPDIR", sandbox.at("tmp"));
        super::sandbox::end(command)
    };
    let found = doctor().exits(1).json();
    let items = &found["spills"]["items"];
    assert_eq!(paths(&found["spills"]).len(), 2, "{found}");
    assert!(items[0]["cause"].as_str().unwrap().contains("Hugging Face"), "{items}");
    std::fs::remove_dir_all(sandbox.at("home")).unwrap();
    std::fs::remove_dir_all(sandbox.at("tmp")).unwrap();
    assert_eq!(doctor().json()["spills"]["items"], json!([]));
}
