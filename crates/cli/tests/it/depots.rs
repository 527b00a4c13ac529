//! Several depots: copied, read from whichever has it right, repaired from each other. Loss of one loses nothing.

use super::sandbox::{Dice, Ended, Sandbox, end};
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use testkit::bucket::Buckets;
use testkit::suites;

const LEN: usize = 300_000;

/// A vault with a file and a folder in its own depot, and a second depot in the folder `second`.
fn filled() -> Sandbox {
    let sandbox = Sandbox::solo();
    sandbox.write("file", Dice(1).bytes(LEN));
    for number in 0..20 {
        sandbox.write(&format!("tree/{number}"), Dice(number).bytes(1_000));
    }
    sandbox.run(["put", "file", "lab/file", "--class", "internal"]).exits(0);
    sandbox.run(["put", "tree", "lab/tree", "--class", "internal"]).exits(0);
    sandbox.run(["depot", "add", "second"]).exits(0);
    sandbox
}

fn copied() -> Sandbox {
    let sandbox = filled();
    sandbox.run(["depot", "copy"]).exits(0);
    sandbox
}

/// The objects of a depot in a folder: their paths below it, and what they hold. Unfinished uploads are none.
fn objects(depot: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![depot.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && path.file_name().unwrap() != "unfinished" {
                open.push(path);
            } else if path.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                found.insert(path.strip_prefix(depot).unwrap().to_owned(), bytes);
            }
        }
    }
    found
}

fn unfinished(depot: &Path) -> Vec<PathBuf> {
    let Ok(vaults) = std::fs::read_dir(depot) else { return Vec::new() };
    let inside = vaults.filter_map(|vault| std::fs::read_dir(vault.ok()?.path().join("unfinished")).ok());
    inside.flatten().map(|entry| entry.unwrap().path()).collect()
}

fn json(sandbox: &Sandbox, args: &[&str]) -> Ended {
    sandbox.run([&["--format", "json"], args].concat())
}

fn depots(sandbox: &Sandbox) -> Vec<Value> {
    json(sandbox, &["depot", "ls"]).exits(0).json()["items"].as_array().unwrap().clone()
}

/// Everything opens, is what was put, and verifies.
#[track_caller]
fn whole(sandbox: &Sandbox) {
    let file = sandbox.run(["cat", "lab/file"]).exits(0);
    assert!(file.stdout == std::fs::read(sandbox.at("file")).unwrap());
    std::fs::remove_dir_all(sandbox.at("out")).unwrap_or_default();
    sandbox.run(["get", "lab/tree", "out"]).exits(0);
    for number in 0..20 {
        let name = number.to_string();
        let (one, other) =
            (std::fs::read(sandbox.at("tree").join(&name)), std::fs::read(sandbox.at("out").join(&name)));
        assert!(one.unwrap() == other.unwrap());
    }
    sandbox.run(["ls", "lab/tree"]).exits(0);
    sandbox.run(["run", "--input", "in=lab/file", "--", "sh", "-c", "test -s \"$STRONGROOM_INPUT_IN\""]).exits(0);
    sandbox.run(["verify", "--all"]).exits(0);
}

#[test]
fn what_was_put_before_is_copied_by_the_job_byte_for_byte() {
    let sandbox = filled();
    let (own, second) = (sandbox.vault().join("depot"), sandbox.at("second"));
    assert!(objects(&second).is_empty(), "adding copies nothing, and leaves nothing of its trial");
    let status = json(&sandbox, &["status"]).exits(0).json();
    assert_eq!(status["depots"][1]["backlog"], 4, "{status}");
    assert_eq!(status["jobs_overdue"], serde_json::json!(["copy"]));
    assert!(status["verified"].is_null());
    sandbox.run(["jobs", "run"]).exits(0);
    assert!(objects(&own) == objects(&second));
    let status = json(&sandbox, &["status"]).exits(0).json();
    assert_eq!((&status["depots"][1]["backlog"], &status["jobs_overdue"]), (&0.into(), &serde_json::json!([])));
    // What is put without its copy is due again, and only that is copied.
    sandbox.write("file", Dice(9).bytes(LEN));
    sandbox.run(["put", "--no-copy", "file", "lab/file"]).exits(0);
    assert_eq!(depots(&sandbox)[1]["backlog"], 2);
    let report = json(&sandbox, &["depot", "copy", "--to", "second"]).exits(3);
    assert!(report.stderr.contains("not-found"), "a place is named as it is listed: {}", report.stderr);
    let report = json(&sandbox, &["depot", "copy", "--to", second.to_str().unwrap()]).exits(0).json();
    assert_eq!(
        (&report["ok"], &report["depots"][0]["copied"], &report["depots"][0]["held"]),
        (&true.into(), &2.into(), &6.into())
    );
    assert!(objects(&own) == objects(&second));
    let listed = depots(&sandbox);
    assert_eq!((&listed[0]["primary"], &listed[1]["primary"]), (&true.into(), &false.into()));
    assert!(listed.iter().all(|depot| depot["reachable"] == true));
    sandbox.run(["verify", "--sample", "10%"]).exits(0);
    assert!(json(&sandbox, &["status"]).exits(0).json()["verified"].is_number(), "its age is told");
    sandbox.run(["verify", "--state"]).exits(0);
}

#[test]
fn a_put_ends_when_every_depot_has_it() {
    let sandbox = copied();
    let (own, second) = (sandbox.vault().join("depot"), sandbox.at("second"));
    let everywhere = |why: &str| {
        assert!(objects(&own) == objects(&second), "{why}");
        let status = json(&sandbox, &["status"]).exits(0).json();
        assert_eq!((&status["depots"][1]["backlog"], &status["jobs_overdue"]), (&0.into(), &serde_json::json!([])));
    };
    sandbox.run(["put", "file", "lab/more"]).exits(0);
    everywhere("a file");
    // The unchanged files stay in the packs of the version before, which are there.
    sandbox.write("tree/3", Dice(50).bytes(2_000));
    sandbox.run(["put", "tree", "lab/tree"]).exits(0);
    everywhere("some files of a folder");
    let keep = "cp \"$STRONGROOM_INPUT_IN\" \"$STRONGROOM_OUTPUT_OUT/kept\"";
    sandbox.run(["run", "--input", "in=lab/file", "--output", "out=lab/made", "--", "sh", "-c", keep]).exits(0);
    everywhere("the output of a run");
    sandbox.run(["key", "reencrypt", "lab/file"]).exits(0);
    assert!(objects(&own) == objects(&second), "a version sealed anew");
    // The primary is gone the moment after.
    sandbox.run(["put", "file", "lab/last"]).exits(0);
    std::fs::remove_dir_all(&own).unwrap();
    whole(&sandbox);
    for name in ["lab/more", "lab/last", "lab/made"] {
        sandbox.run(["get", name, &name.replace('/', "-")]).exits(0);
    }
}

#[test]
fn a_depot_that_does_not_take_a_version_keeps_nobody_from_putting_it_and_gets_it_later() {
    let sandbox = copied();
    let (own, second) = (sandbox.vault().join("depot"), sandbox.at("second"));
    std::fs::rename(&second, sandbox.at("away")).unwrap();
    std::fs::write(&second, b"no folder").unwrap();
    let put = sandbox.run(["put", "file", "lab/more"]).exits(0);
    assert!(put.stderr.contains("warning: lab/more@v1 not in the depot"), "{}", put.stderr);
    assert!(put.stderr.contains("strongroom depot copy"), "{}", put.stderr);
    let told = json(&sandbox, &["put", "file", "lab/again"]).exits(0);
    let line = told.stderr.lines().find_map(|line| serde_json::from_str::<Value>(line).ok()).unwrap();
    assert_eq!((&line["kind"], &line["items"][0]["version"]), (&"not-copied".into(), &"lab/again@v1".into()));
    let status = json(&sandbox, &["status"]).exits(0).json();
    assert_eq!((&status["depots"][1]["backlog"], &status["jobs_overdue"][0]), (&4.into(), &"copy".into()));
    // Two versions of one command are one warning.
    let keep = "echo 1 > \"$STRONGROOM_OUTPUT_ONE/kept\" && echo 2 > \"$STRONGROOM_OUTPUT_TWO/kept\"";
    let outputs = ["--output", "one=lab/one", "--output", "two=lab/two"];
    let ran = sandbox.run(["run"].iter().chain(&outputs).chain(&["--", "sh", "-c", keep])).exits(0);
    assert_eq!(ran.stderr.matches(" and 1 more not in the depot").count(), 1, "{}", ran.stderr);
    assert_eq!(depots(&sandbox)[1]["backlog"], 8);
    std::fs::remove_file(&second).unwrap();
    std::fs::rename(sandbox.at("away"), &second).unwrap();
    // It answers again: what is put is there, and what was not waits for the job.
    assert!(!sandbox.run(["put", "file", "lab/third"]).exits(0).stderr.contains("warning"));
    assert_eq!(depots(&sandbox)[1]["backlog"], 8);
    // A later version lies in part in what the first put wrote: that it is sealed anew brings nothing of that.
    sandbox.write("tree/3", Dice(60).bytes(3_000));
    std::fs::rename(&second, sandbox.at("away")).unwrap();
    std::fs::write(&second, b"no folder").unwrap();
    sandbox.run(["put", "tree", "lab/shared"]).exits(0);
    std::fs::remove_file(&second).unwrap();
    std::fs::rename(sandbox.at("away"), &second).unwrap();
    sandbox.write("tree/4", Dice(61).bytes(3_000));
    sandbox.run(["put", "tree", "lab/shared"]).exits(0);
    sandbox.run(["key", "reencrypt", "lab/shared@v1"]).exits(0);
    assert_eq!(depots(&sandbox)[1]["backlog"], 10, "what was put while it was away still waits");
    sandbox.run(["jobs", "run"]).exits(0);
    assert_eq!(depots(&sandbox)[1]["backlog"], 0);
    sandbox.run(["gc", "--grace", "0s"]).exits(0);
    assert!(objects(&own) == objects(&second));
    std::fs::remove_dir_all(&own).unwrap();
    for version in ["lab/shared@v1", "lab/shared@v2", "lab/more", "lab/again"] {
        sandbox.run(["get", version, &version.replace('/', "-")]).exits(0);
    }
}

#[test]
fn a_vault_that_was_empty_when_its_depot_came_has_nothing_to_copy() {
    let sandbox = Sandbox::solo();
    sandbox.write("file", Dice(1).bytes(LEN));
    sandbox.run(["depot", "add", "second"]).exits(0);
    sandbox.run(["put", "file", "lab/file", "--class", "internal"]).exits(0);
    let status = json(&sandbox, &["status"]).exits(0).json();
    assert_eq!((&status["depots"][1]["backlog"], &status["jobs_overdue"]), (&0.into(), &serde_json::json!([])));
    assert!(objects(&sandbox.vault().join("depot")) == objects(&sandbox.at("second")));
}

#[test]
fn an_object_lost_in_one_depot_is_read_from_another_and_repaired() {
    let sandbox = copied();
    let (own, second) = (sandbox.vault().join("depot"), sandbox.at("second"));
    let good = objects(&own);
    for (name, bytes) in &good {
        let path = own.join(name);
        let flipped = || {
            let mut wrong = bytes.clone();
            wrong[bytes.len() / 3] ^= 1;
            std::fs::write(&path, wrong).unwrap();
        };
        let damages: [&dyn Fn(); 4] = [
            &|| std::fs::remove_file(&path).unwrap(),
            &flipped,
            &|| std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap(),
            &|| {
                std::fs::remove_file(&path).unwrap();
                std::os::unix::fs::symlink(second.join(name), &path).unwrap();
            },
        ];
        for damage in damages {
            damage();
            whole(&sandbox);
            let read = json(&sandbox, &["verify", "--all"]).exits(0);
            let told: Value = serde_json::from_str(read.stderr.trim()).unwrap();
            assert_eq!(told["kind"], "read-elsewhere");
            let object = name.file_name().unwrap().to_str().unwrap();
            assert!(told["items"].as_array().unwrap().iter().any(|item| item["object"] == object), "{told}");
            let warned = sandbox.run(["verify", "--all"]).exits(0);
            assert!(warned.stderr.contains("warning: not read from the depot"), "{}", warned.stderr);
            let found = json(&sandbox, &["depot", "check"]).exits(7).json();
            assert_eq!((&found["ok"], found["findings"].as_array().unwrap().len()), (&false.into(), 1), "{found}");
            assert_eq!(found["findings"][0]["object"], object);
            let mended = json(&sandbox, &["depot", "check", "--repair"]).exits(0).json();
            assert_eq!((&mended["ok"], &mended["findings"][0]["repaired"]), (&true.into(), &true.into()), "{mended}");
            assert!(std::fs::symlink_metadata(&path).unwrap().is_file());
            assert!(objects(&own) == good && objects(&second) == good, "it is as it was, and so is the other");
            let quiet = sandbox.run(["verify", "--all"]).exits(0);
            assert!(!quiet.stderr.contains("warning"), "{}", quiet.stderr);
        }
    }
    // The other way round: a copy that was damaged.
    let (name, bytes) = good.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
    let mut wrong = bytes.clone();
    wrong[70_000] ^= 1;
    std::fs::write(second.join(name), wrong).unwrap();
    sandbox.run(["verify", "--all"]).exits(0);
    sandbox.run(["depot", "check", "--depot", second.to_str().unwrap(), "--sample", "100%"]).exits(7);
    std::fs::remove_file(second.join(name)).unwrap();
    let due = sandbox.run(["jobs", "run", "verify"]).exits(1);
    assert!(due.text().contains("strongroom depot check"), "the job looks at copies too: {}", due.text());
    sandbox.run(["depot", "check", "--repair"]).exits(0);
    assert!(objects(&second) == good);
}

#[test]
fn two_copies_that_are_each_damaged_are_repaired_from_what_is_right_of_both() {
    suites::each(two_damaged_copies);
}

fn two_damaged_copies() {
    let sandbox = copied();
    let (own, second) = (sandbox.vault().join("depot"), sandbox.at("second"));
    let good = objects(&own);
    let (name, bytes) = good.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
    for (depot, at) in [(&own, 10), (&second, 200_000)] {
        let mut wrong = bytes.clone();
        wrong[at] ^= 1;
        std::fs::write(depot.join(name), wrong).unwrap();
    }
    whole(&sandbox);
    let mended = json(&sandbox, &["depot", "check", "--repair"]).exits(0).json();
    assert_eq!(mended["findings"].as_array().unwrap().len(), 2, "{mended}");
    assert!(objects(&own) == good && objects(&second) == good);
    // What is wrong in both at one place is in no depot any more, and nothing pretends otherwise.
    let mut wrong = bytes.clone();
    wrong[200_000] ^= 1;
    std::fs::write(own.join(name), &wrong).unwrap();
    std::fs::write(second.join(name), &wrong).unwrap();
    let lost = json(&sandbox, &["depot", "check", "--repair"]).exits(7).json();
    assert!(lost["findings"].as_array().unwrap().iter().all(|finding| finding["repaired"] == false), "{lost}");
    assert!(std::fs::read(own.join(name)).unwrap() == wrong, "what cannot be repaired is left");
    sandbox.run(["cat", "lab/file"]).exits(7);
    sandbox.run(["verify", "--all"]).exits(7);
}

#[test]
fn the_primary_is_lost_and_nothing_with_it() {
    let sandbox = copied();
    std::fs::remove_dir_all(sandbox.vault().join("depot")).unwrap();
    whole(&sandbox);
    let listed = depots(&sandbox);
    assert_eq!((&listed[0]["reachable"], &listed[1]["reachable"]), (&false.into(), &true.into()));
    sandbox.run(["put", "file", "lab/new"]).exits(9);
    let checked = json(&sandbox, &["depot", "check"]).exits(9).json();
    assert!(checked["depots"][0]["failed"].is_string() && checked["depots"][1]["failed"].is_null(), "{checked}");
    sandbox.run(["depot", "rm", listed[0]["id"].as_str().unwrap()]).exits(0);
    let listed = depots(&sandbox);
    assert!(listed.len() == 1 && listed[0]["primary"] == true);
    sandbox.run(["put", "file", "lab/new"]).exits(0);
    whole(&sandbox);
    sandbox.run(["gc", "--grace", "0s"]).exits(0);
    sandbox.run(["verify", "--all", "--state"]).exits(0);
    // A folder in place of the one that was lost, and everything is twice again.
    sandbox.run(["depot", "add", "third"]).exits(0);
    sandbox.run(["depot", "copy"]).exits(0);
    assert!(objects(&sandbox.at("second")) == objects(&sandbox.at("third")));
}

#[test]
fn a_depot_that_alone_holds_something_is_not_taken_out() {
    let sandbox = filled();
    let (own, second) = (depots(&sandbox)[0]["id"].clone(), depots(&sandbox)[1]["id"].clone());
    let (own, second) = (own.as_str().unwrap(), second.as_str().unwrap());
    let refused = sandbox.run(["depot", "rm", own]).exits(8);
    assert!(refused.stderr.contains("4 objects are in no other depot"), "{}", refused.stderr);
    sandbox.run(["depot", "rm", "--dry-run", second]).exits(0);
    sandbox.run(["depot", "rm", second]).exits(0);
    assert!(sandbox.run(["depot", "rm", own]).exits(8).stderr.contains("only one"));
    sandbox.run(["depot", "add", "second"]).exits(0);
    sandbox.run(["depot", "copy"]).exits(0);
    // The copy had damage when it was looked at last, and the primary may have it right.
    let (name, _) = objects(&sandbox.at("second")).pop_first().unwrap();
    std::fs::write(sandbox.at("second").join(&name), b"x").unwrap();
    sandbox.run(["depot", "check"]).exits(7);
    let refused = sandbox.run(["depot", "rm", own]).exits(8);
    assert!(refused.stderr.contains("try: strongroom depot c"), "{}", refused.stderr);
    sandbox.run(["depot", "check", "--repair"]).exits(0);
    sandbox.run(["depot", "rm", own]).exits(0);
    whole(&sandbox);
    // One that is gone for good, with what it alone held.
    sandbox.run(["depot", "add", "third"]).exits(0);
    std::fs::remove_dir_all(sandbox.at("second")).unwrap();
    let second = depots(&sandbox)[0]["id"].clone();
    sandbox.run(["depot", "rm", second.as_str().unwrap()]).exits(9);
    sandbox.run(["depot", "rm", "--lost", second.as_str().unwrap()]).exits(0);
    sandbox.run(["put", "file", "lab/again"]).exits(0);
    sandbox.run(["depot", "check"]).exits(7);
}

/// A vault with a few objects that take a while to copy.
fn large() -> Sandbox {
    let sandbox = Sandbox::solo();
    for number in 0..4 {
        let path = sandbox.write("large", Dice(number).bytes(4_096));
        std::fs::File::options().write(true).open(path).unwrap().set_len(64 << 20).unwrap();
        sandbox.run(["put", "large", &format!("lab/{number}"), "--class", "internal"]).exits(0);
    }
    sandbox.run(["depot", "add", "second"]).exits(0);
    sandbox
}

#[test]
fn a_copy_that_is_killed_leaves_whole_objects_and_goes_on() {
    let sandbox = large();
    let (own, second) = (sandbox.vault().join("depot"), sandbox.at("second"));
    let good = objects(&own);
    for kills in 0..3 {
        let mut copy: Command = sandbox.command(["depot", "copy"]);
        let mut child = copy.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let before = objects(&second).len();
        let written = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|found| found.len() > 1 << 20);
        while !unfinished(&second).iter().any(written) || objects(&second).len() < before {
            if child.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::yield_now();
        }
        child.kill().unwrap_or_default();
        let killed = child.wait().unwrap().signal() == Some(9);
        assert!(killed || kills > 0, "the first one is killed in the middle");
        let there = objects(&second);
        assert!(there.iter().all(|(name, bytes)| good.get(name) == Some(bytes)), "what shows is whole");
        if killed {
            assert!(!unfinished(&second).is_empty(), "what was being written is left, and is no object");
        }
        std::fs::remove_dir_all(sandbox.at("second")).unwrap_or_default();
        std::fs::create_dir(sandbox.at("second")).unwrap();
        if kills == 2 {
            break;
        }
    }
    // Killed once more, and then to the end: what was whole is not copied again.
    let mut child = sandbox.command(["depot", "copy"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while objects(&second).is_empty() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    child.kill().unwrap_or_default();
    child.wait().unwrap();
    let kept = objects(&second).len();
    assert!(kept > 0);
    let report = json(&sandbox, &["depot", "copy"]).exits(0).json();
    assert_eq!(report["depots"][1]["copied"], good.len() - kept, "{report}");
    assert!(objects(&second) == good);
    sandbox.run(["gc", "--grace", "0s"]).exits(0);
    assert!(unfinished(&second).is_empty(), "what was torn is swept away");
    sandbox.run(["depot", "check"]).exits(0);
}

#[test]
fn two_copies_at_once_make_one() {
    let sandbox = large();
    let start = || {
        let mut copy = sandbox.command(["--format", "json", "depot", "copy"]);
        copy.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let both = [start(), start()];
    for child in both {
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    assert!(objects(&sandbox.vault().join("depot")) == objects(&sandbox.at("second")));
    assert!(unfinished(&sandbox.at("second")).is_empty());
    sandbox.run(["depot", "check"]).exits(0);
}

#[test]
fn places_that_are_no_further_depot_are_refused() {
    let sandbox = filled();
    let refused = |args: &[&str], why: &str| {
        let ended = sandbox.run([&["depot", "add"], args].concat()).exits(8);
        assert!(ended.stderr.contains(why), "{args:?}: {}", ended.stderr);
    };
    std::os::unix::fs::symlink(sandbox.at("second"), sandbox.at("link")).unwrap();
    refused(&["second"], "or they are the same");
    refused(&["link"], "or they are the same");
    refused(&["second/below"], "or that in it");
    refused(&["."], "the vault in it");
    refused(&[".strongroom/third"], "it lies in the vault");
    sandbox.run(["depot", "add", "--dry-run", "third"]).exits(0);
    assert!(!sandbox.at("third").exists());
    sandbox.run(["depot", "add", "no/such/folder"]).exits(9);
    sandbox.run(["depot", "add", "ftp://somewhere"]).exits(2);
    sandbox.run(["depot", "add", "third", "--region", "x"]).exits(2);
    sandbox.run(["depot", "add", "s3://models"]).exits(9);
    // In a rehearsal vault it takes a custodian.
    let rehearsal = Sandbox::new();
    let refused_there = rehearsal.run(["init", "--mode", "rehearsal", "--no-recovery", "--depot", "data"]).exits(2);
    assert!(refused_there.stderr.contains("--as CUSTODIAN depot add") && !rehearsal.vault().exists());
    rehearsal.run(["init", "--mode", "rehearsal", "--no-recovery"]).exits(0);
    rehearsal.run(["depot", "add", "data"]).exits(5);
    rehearsal.run(["principal", "add", "cus", "--grant", "vault=custodian"]).exits(0);
    rehearsal.run(["--as", "cus", "depot", "add", "data"]).exits(0);
    // Objects that this vault does not know, under its id.
    let (name, bytes) = objects(&sandbox.vault().join("depot")).pop_first().unwrap();
    let known = name.file_name().unwrap().to_str().unwrap();
    let other = if known.ends_with('0') { '1' } else { '0' };
    let strange = sandbox.at("strange").join(&name).with_file_name(format!("{}{other}", &known[..31]));
    std::fs::create_dir_all(strange.parent().unwrap()).unwrap();
    std::fs::write(&strange, &bytes).unwrap();
    refused(&["strange"], "1 objects that the vault does not know");
    // One that it knows is welcome, and not copied again.
    std::fs::rename(&strange, strange.with_file_name(name.file_name().unwrap())).unwrap();
    sandbox.run(["depot", "add", "strange"]).exits(0);
    let report = json(&sandbox, &["depot", "copy"]).exits(0).json();
    assert_eq!(report["depots"][2]["copied"], 3, "{report}");
    sandbox.run(["depot", "check"]).exits(0);
}

#[test]
fn a_vault_that_was_made_before_there_were_several_depots_opens() {
    let sandbox = Sandbox::solo();
    sandbox.write("file", b"data");
    sandbox.run(["put", "file", "lab/file"]).exits(0);
    let database = rusqlite::Connection::open(sandbox.vault().join("keeper.db")).unwrap();
    let before = "DROP TABLE depot; DROP TABLE depot_seen; DROP TABLE uncopied; DROP TABLE named_key; DROP TABLE named_version; \
                  CREATE TABLE kept AS SELECT * FROM subject; DROP TABLE subject; \
                  DELETE FROM schema_migration WHERE number >= 3";
    database.execute_batch(before).unwrap();
    // The tables are made; without who its people are nobody comes in.
    sandbox.run(["ls"]).exits(7);
    database.execute_batch("INSERT INTO subject SELECT * FROM kept; DROP TABLE kept").unwrap();
    drop(database);
    assert_eq!(depots(&sandbox).len(), 1);
    sandbox.run(["depot", "add", "second"]).exits(0);
    sandbox.run(["depot", "copy"]).exits(0);
    sandbox.run(["verify", "--all", "--state"]).exits(0);
}

#[test]
fn a_repair_that_is_killed_leaves_what_was_there_and_is_done_again() {
    let sandbox = large();
    sandbox.run(["depot", "copy"]).exits(0);
    let (own, second) = (sandbox.vault().join("depot"), sandbox.at("second"));
    let good = objects(&own);
    let (name, bytes) = good.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
    let mut wrong = bytes.clone();
    wrong[40 << 20] ^= 1;
    std::fs::write(own.join(name), &wrong).unwrap();
    let mut repair = sandbox.command(["depot", "check", "--repair"]);
    let mut child = repair.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while unfinished(&own).is_empty() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    child.kill().unwrap_or_default();
    child.wait().unwrap();
    let there = std::fs::read(own.join(name)).unwrap();
    assert!(there == wrong || there == *bytes, "the one or the other, and nothing in between");
    sandbox.run(["verify", "--all"]).exits(0);
    sandbox.run(["depot", "check", "--repair"]).exits(0);
    assert!(objects(&own) == good && objects(&second) == good);
}

#[test]
fn gc_deletes_from_every_depot_and_what_one_could_not_is_tried_again() {
    let sandbox = copied();
    let (own, second) = (sandbox.vault().join("depot"), sandbox.at("second"));
    sandbox.write("late", Dice(5).bytes(LEN));
    sandbox.run(["put", "late", "lab/late"]).exits(0);
    sandbox.run(["depot", "copy"]).exits(0);
    sandbox.run(["rm", "lab/late@v1"]).exits(0);
    let before = objects(&second).len();
    assert_eq!(before, 6);
    // The wait is over: its key is destroyed, and what it alone needed is garbage.
    let later = |args: &[&str]| -> Ended {
        let plain = sandbox.command(args.iter().copied());
        let mut command = Command::new("faketime");
        command.args(["-f", "+40d"]).arg(plain.get_program()).args(plain.get_args());
        command.current_dir(sandbox.path()).env_clear().stdin(Stdio::null());
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        end(command)
    };
    later(&["--yes", "status", "--accept-clock"]).exits(0);
    later(&["jobs", "run", "destroy"]).exits(0);
    std::fs::rename(&second, sandbox.at("away")).unwrap();
    let left = later(&["--format", "json", "gc", "--grace", "0s"]).exits(9).json();
    assert_eq!((&left["left"], left["unreachable"].as_object().unwrap().len()), (&2.into(), 1), "{left}");
    assert_eq!(objects(&own).len(), 4, "it is gone from the one that answers");
    assert_eq!(later(&["--format", "json", "status"]).exits(0).json()["to_delete"], 2);
    std::fs::rename(sandbox.at("away"), &second).unwrap();
    let done = later(&["--format", "json", "gc", "--grace", "0s"]).exits(0).json();
    assert_eq!((&done["objects"], &done["left"]), (&2.into(), &0.into()), "{done}");
    assert!(objects(&own) == objects(&second));
    assert_eq!(later(&["--format", "json", "status"]).exits(0).json()["to_delete"], 0);
    later(&["depot", "check"]).exits(0);
}

fn with_keys(sandbox: &Sandbox, args: &[&str]) -> Ended {
    let mut command = sandbox.command(args.iter().copied());
    command.env("AWS_ACCESS_KEY_ID", "canary-id").env("AWS_SECRET_ACCESS_KEY", "canary-secret");
    end(command)
}

#[test]
fn a_bucket_is_the_primary_of_a_vault_and_a_folder_its_copy() {
    let buckets = Buckets::start(&["models"]);
    let endpoint = buckets.endpoint();
    let sandbox = Sandbox::new();
    let run = |args: &[&str]| with_keys(&sandbox, args);
    let refused = run(&["init", "--no-recovery", "--depot", "s3://absent/x", "--endpoint", &endpoint]);
    assert_eq!(refused.code, 9, "{}", refused.stderr);
    assert!(!sandbox.vault().exists(), "a bucket that cannot be used makes no vault");
    run(&["init", "--no-recovery", "--depot", "s3://models/team", "--endpoint", &endpoint]).exits(0);
    assert!(!sandbox.vault().join("depot").exists(), "and one that can is the only depot");
    sandbox.write("file", Dice(3).bytes(20 << 20));
    run(&["put", "file", "lab/file", "--class", "internal"]).exits(0);
    let told = run(&["--format", "json", "show", "lab/file"]).exits(0).json();
    let whole = |what: &str| {
        let read = run(&["cat", "lab/file"]).exits(0);
        assert!(read.stdout == std::fs::read(sandbox.at("file")).unwrap(), "{what}");
        read.stderr
    };
    assert_eq!(whole("from the bucket"), "");
    // How to sign in is in no file of the vault.
    let unsigned = sandbox.run(["cat", "lab/file"]);
    assert!(unsigned.code == 9 && unsigned.stderr.contains("AWS_ACCESS_KEY_ID"), "{}", unsigned.stderr);
    let secret = Command::new("grep").args(["-rl", "canary-"]).arg(sandbox.vault()).output().unwrap();
    assert!(secret.stdout.is_empty(), "{}", String::from_utf8_lossy(&secret.stdout));

    run(&["depot", "add", "second"]).exits(0);
    run(&["depot", "copy"]).exits(0);
    run(&["depot", "check"]).exits(0);
    // Lost in the bucket, and had by the folder.
    let status = run(&["--format", "json", "status"]).exits(0).json();
    let object =
        format!("models/team/{}/{}", status["vault"]["vault"].as_str().unwrap(), told["object"].as_str().unwrap());
    assert!(buckets.delete(&object));
    assert!(whole("from the folder").contains("warning: not read from the depot s3://models/team"));
    run(&["depot", "check"]).exits(7);
    run(&["depot", "check", "--repair"]).exits(0);
    assert_eq!(whole("repaired"), "");
    // Lost in the folder, and had by the bucket.
    std::fs::remove_dir_all(sandbox.at("second")).unwrap();
    std::fs::create_dir(sandbox.at("second")).unwrap();
    let copied = run(&["--format", "json", "depot", "copy"]).exits(0).json();
    assert_eq!(copied["depots"][1]["copied"], 2, "{copied}");
    // With credentials of its own, for which the environment is not asked.
    let own = Buckets::start(&["apart"]);
    sandbox.write_private("keys", "access_key_id = canary-id\nsecret_access_key = canary-secret\n");
    let apart = ["depot", "add", "s3://apart", "--endpoint", &own.endpoint(), "--credentials", "keys"];
    sandbox.run(apart).exits(0);
    run(&["depot", "copy"]).exits(0);
    let read = sandbox.run(["cat", "lab/file"]).exits(0);
    assert!(read.stdout == std::fs::read(sandbox.at("file")).unwrap());
    let apart = run(&["--format", "json", "depot", "ls"]).exits(0).json()["items"][2]["id"].clone();
    std::fs::set_permissions(sandbox.at("keys"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    assert!(run(&["depot", "ls"]).exits(0).text().contains("others may read or write it"));
    run(&["depot", "rm", apart.as_str().unwrap()]).exits(0);
    // A second name of the same bucket is found by what is written there.
    let port = endpoint.rsplit(':').next().unwrap();
    let alias = format!("http://localhost:{port}");
    let same = run(&["depot", "add", "s3://models/team", "--endpoint", &alias]);
    assert!(same.code == 8 && same.stderr.contains("they are the same"), "{}", same.stderr);

    // The service ends: what is read is read from the folder, and what is put is refused until it is the primary.
    drop(buckets);
    assert!(whole("without the bucket").contains("did not answer"));
    run(&["put", "file", "lab/other"]).exits(9);
    run(&["depot", "check"]).exits(9);
    let primary = run(&["--format", "json", "depot", "ls"]).exits(0).json()["items"][0]["id"].clone();
    run(&["depot", "rm", primary.as_str().unwrap()]).exits(0);
    sandbox.run(["put", "file", "lab/other"]).exits(0);
    sandbox.run(["verify", "--all", "--state"]).exits(0);
}
